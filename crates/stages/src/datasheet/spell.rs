//! How numbers, sizes, times and cells of a table are spelled.

use chrono::{DateTime, Utc};

/// What stands for everything that nothing tells.
pub(super) const UNKNOWN: &str = "unknown";

/// A text, or `unknown` for none.
pub(super) fn known(text: &Option<String>) -> String {
    text.as_deref().filter(|text| !text.is_empty()).unwrap_or(UNKNOWN).to_owned()
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A size in the largest decimal unit that leaves at least one: `512 B`, `2.3 MB`.
pub(crate) fn size(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if size < 999.5 {
            return if unit == "B" { format!("{size} B") } else { format!("{size:.1} {unit}") };
        }
        size /= 1000.0;
    }
    format!("{size:.1} TB")
}

/// A number of six significant digits, without trailing zeros; plain where that is short.
pub(super) fn float(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if !value.is_finite() {
        return value.to_string().replace("inf", "∞").replace('-', "−");
    }
    let magnitude = value.abs().log10().floor() as i32;
    let text = if (-4..15).contains(&magnitude) {
        let decimals = (5 - magnitude).max(0) as usize;
        trimmed(&format!("{value:.decimals$}"))
    } else {
        let text = format!("{value:.5e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        format!("{}e{exponent}", trimmed(mantissa))
    };
    text.replace('-', "−")
}

fn trimmed(number: &str) -> String {
    if !number.contains('.') {
        return number.to_owned();
    }
    number.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `2026-11-20 23:00:00 UTC`.
pub(crate) fn time(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// An area in square degrees.
pub(super) fn area(deg2: f64) -> String {
    match deg2 {
        0.0 => "0 deg²".to_owned(),
        ..10.0 => format!("{deg2:.2} deg²"),
        ..100.0 => format!("{deg2:.1} deg²"),
        _ => format!("{} deg²", grouped(deg2.round() as u64)),
    }
}

/// `part` of `whole` in percent, never rounded to 0 or 100 unless it is.
pub(super) fn share(part: u64, whole: u64) -> String {
    match (part, whole) {
        (_, 0) => "no rows".to_owned(),
        (0, _) => "0 %".to_owned(),
        (part, whole) if part >= whole => "100 %".to_owned(),
        (part, whole) => {
            let percent = 100.0 * part as f64 / whole as f64;
            format!("{:.2} %", percent.clamp(0.01, 99.99))
        }
    }
}

/// Text as it can stand in a cell of a Markdown table.
pub(crate) fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' => out.push_str("\\|"),
            '<' => out.push_str("&lt;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A word of a shell's command line, quoted where it must be.
pub(super) fn shell(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=:@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// A string of SQL.
pub(super) fn sql(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spelled_short() {
        let spelled = [
            (0.0, "0"),
            (-0.0, "0"),
            (-0.005, "−0.005"),
            (3600.0, "3600"),
            (123.456_789, "123.457"),
            (1e-17, "1e−17"),
            (-2.5e20, "−2.5e20"),
            (f64::INFINITY, "∞"),
            (39_627_756_000_000.0, "39627756000000"),
        ];
        for (value, text) in spelled {
            assert_eq!(float(value), text);
        }
        assert_eq!(grouped(12_207), "12,207");
        assert_eq!(grouped(999), "999");
        assert_eq!(size(64_000_000), "64.0 MB");
        assert_eq!(size(999), "999 B");
        assert_eq!(share(999_999, 1_000_000), "99.99 %");
        assert_eq!(shell("/a b/it's"), "'/a b/it'\\''s'");
        assert_eq!(cell("a|b\nc<d"), "a\\|b c&lt;d");
    }
}
