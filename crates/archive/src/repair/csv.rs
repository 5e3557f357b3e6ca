//! Lines of a list, whether they have columns or not.

use super::Line;

/// What may stand between values, likeliest first.
const SEPARATORS: [char; 3] = [',', ';', '\t'];

/// The columns that are looked at, by their place in the header, and what stands between them.
#[derive(Debug, Default, Clone, Copy)]
struct Columns {
    separator: char,
    file_type: Option<usize>,
    pixel: Option<usize>,
    file_name: Option<usize>,
    url: Option<usize>,
    survey: Option<usize>,
    program: Option<usize>,
}

impl Columns {
    /// Of a header; none where the line is not one.
    fn of(line: &str) -> Option<Self> {
        SEPARATORS.into_iter().find_map(|separator| Self::between(line, separator))
    }

    fn between(line: &str, separator: char) -> Option<Self> {
        let mut columns = Self { separator, ..Self::default() };
        for (index, name) in fields(line, separator).enumerate() {
            let place = match name.to_ascii_lowercase().as_str() {
                "file_type" => &mut columns.file_type,
                "pixel" | "healpix" => &mut columns.pixel,
                "filename" => &mut columns.file_name,
                "url" | "key" => &mut columns.url,
                "survey" => &mut columns.survey,
                "program" => &mut columns.program,
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
    // spreadsheets on a Mac may still end lines with \r alone
    let end = if text.contains('\n') { '\n' } else { '\r' };
    let mut columns = None;
    let mut lines = Vec::new();
    for (index, text) in text.trim_start_matches('\u{feff}').split(end).enumerate() {
        // a tab may stand for a value that is missing
        let text = text.trim_matches([' ', '\r']);
        if text.trim().is_empty() || text.starts_with('#') {
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
        let address = text.trim().trim_matches('"');
        return Line { number, text, address, ..Line::default() };
    };
    let values: Vec<&str> = fields(text, columns.separator).collect();
    let value = |at: Option<usize>| values.get(at?).copied().filter(|v| !v.is_empty());
    let file_name = value(columns.file_name);
    Line {
        number,
        text,
        address: value(columns.url).or(file_name).unwrap_or_default(),
        file_name,
        pixel: value(columns.pixel),
        file_type: value(columns.file_type),
        survey: value(columns.survey),
        program: value(columns.program),
    }
}

/// Values between separators that are not within quotes.
fn fields(line: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    let values = line.split(move |c: char| {
        is_quoted ^= c == '"';
        c == separator && !is_quoted
    });
    values.map(|value| value.trim().trim_matches('"').trim())
}
