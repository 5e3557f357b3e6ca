//! Lines of a list, whether they have columns or not.

use super::Line;

/// The columns that are looked at, by their place in the header.
#[derive(Debug, Default, Clone, Copy)]
struct Columns {
    file_type: Option<usize>,
    pixel: Option<usize>,
    file_name: Option<usize>,
    url: Option<usize>,
}

impl Columns {
    /// Of a header; none where the line is not one.
    fn of(line: &str) -> Option<Self> {
        let mut columns = Self::default();
        for (index, name) in fields(line).enumerate() {
            let place = match name.to_ascii_lowercase().as_str() {
                "file_type" => &mut columns.file_type,
                "pixel" | "healpix" => &mut columns.pixel,
                "filename" => &mut columns.file_name,
                "url" | "key" => &mut columns.url,
                _ => continue,
            };
            *place = Some(index);
        }
        let Self { pixel, file_name, url, .. } = columns;
        (pixel.or(file_name).or(url).is_some()).then_some(columns)
    }
}

/// The lines that say something. A header, recognised by the names of its columns, gives the
/// columns of the lines after it.
pub(super) fn lines(text: &str) -> Vec<Line<'_>> {
    let mut columns = None;
    let mut lines = Vec::new();
    for (index, text) in text.lines().enumerate() {
        let text = text.trim().trim_start_matches('\u{feff}');
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        if columns.is_none()
            && lines.is_empty()
            && let Some(found) = Columns::of(text)
        {
            columns = Some(found);
            continue;
        }
        lines.push(line(index + 1, text, columns));
    }
    lines
}

fn line(number: usize, text: &str, columns: Option<Columns>) -> Line<'_> {
    let Some(columns) = columns else {
        let address = text.trim_matches('"');
        return Line { number, text, address, file_name: None, pixel: None, file_type: None };
    };
    let values: Vec<&str> = fields(text).collect();
    let value = |at: Option<usize>| values.get(at?).copied().filter(|v| !v.is_empty());
    let file_name = value(columns.file_name);
    Line {
        number,
        text,
        address: value(columns.url).or(file_name).unwrap_or_default(),
        file_name,
        pixel: value(columns.pixel),
        file_type: value(columns.file_type),
    }
}

/// Values between commas; keys and addresses have none of their own.
fn fields(line: &str) -> impl Iterator<Item = &str> {
    line.split(',').map(|value| value.trim().trim_matches('"').trim())
}
