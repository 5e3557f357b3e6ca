//! Statements that are put together for what a question demands.
//!
//! A condition that asks nothing costs time all the same, and one text for all questions would have
//! to hold all of them. Texts come from a file alone; what they are about goes in as parameters.

use tokio_postgres::types::ToSql;

/// Marks a line that is only there for some questions; the words behind it say which.
const MARK: &str = "--?";

/// A statement for one question.
pub struct Assembled<'a> {
    /// Its text.
    pub sql: String,
    /// Its parameters in order.
    pub params: Vec<&'a (dyn ToSql + Sync)>,
}

/// What statements are put together from: lines, some of them only for some questions.
pub struct Template(Vec<Line>);

struct Line {
    /// Words of which one is demanded where the line is there; none: it always is.
    words: Vec<&'static str>,
    /// Texts, and the parameters behind them.
    parts: Vec<(&'static str, &'static str)>,
    rest: &'static str,
}

impl Line {
    fn of(line: &'static str) -> Self {
        let (text, words) = line.split_once(MARK).unwrap_or((line, ""));
        let (mut parts, mut rest) = (Vec::new(), text.trim_end());
        while let Some((before, name, after)) = parameter(rest) {
            parts.push((before, name));
            rest = after;
        }
        Self { words: words.split_whitespace().collect(), parts, rest }
    }
}

impl Template {
    /// Takes a text apart, once for all questions.
    #[must_use]
    pub fn of(text: &'static str) -> Self {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("--"));
        Self(lines.map(Line::of).collect())
    }

    /// Leaves out lines that have words of which none is demanded, and numbers the parameters, which are
    /// written `:name`, in the order in which they come.
    #[must_use]
    pub fn assemble<'a>(
        &self,
        demanded: &[&str],
        value: impl Fn(&str) -> Option<&'a (dyn ToSql + Sync)>,
    ) -> Assembled<'a> {
        let mut assembled = Assembled { sql: String::new(), params: Vec::new() };
        let mut names: Vec<&str> = Vec::new();
        let is_wanted = |line: &&Line| {
            line.words.is_empty() || line.words.iter().any(|word| demanded.contains(word))
        };
        for line in self.0.iter().filter(is_wanted) {
            for (before, name) in &line.parts {
                assembled.sql.push_str(before);
                let known = names.iter().position(|known| known == name);
                match known.map(|place| place + 1).or_else(|| {
                    assembled.params.push(value(name)?);
                    names.push(name);
                    Some(names.len())
                }) {
                    Some(number) => assembled.sql.push_str(&format!("${number}")),
                    None => assembled.sql.push_str("NULL"),
                }
            }
            assembled.sql.push_str(line.rest);
            assembled.sql.push('\n');
        }
        assembled
    }
}

/// The first `:name` of a text, with what comes before and after; `::type` is none.
fn parameter(text: &'static str) -> Option<(&'static str, &'static str, &'static str)> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let mut from = 0;
    loop {
        let colon = from + text.get(from..)?.find(':')?;
        let after = text.get(colon + 1..)?;
        let length = after.find(|c| !is_name(c)).unwrap_or(after.len());
        if after.starts_with(':') {
            from = colon + 2;
        } else if length == 0 {
            from = colon + 1;
        } else {
            return Some((&text[..colon], &after[..length], &after[length..]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_left_out_and_parameters_numbered() {
        let template = Template::of(
            "-- about\nSELECT :a::int8\nWHERE b = :b AND c = :a  --? one two\n  OR d  --? three\n",
        );
        let (a, b) = (1i64, "x");
        let value = |name: &str| -> Option<&(dyn ToSql + Sync)> {
            match name {
                "a" => Some(&a),
                "b" => Some(&b),
                _ => None,
            }
        };
        let all = template.assemble(&["two"], value);
        assert_eq!(all.sql, "SELECT $1::int8\nWHERE b = $2 AND c = $1\n");
        assert_eq!(all.params.len(), 2);
        let few = template.assemble(&["three"], value);
        assert_eq!((few.sql.as_str(), few.params.len()), ("SELECT $1::int8\n  OR d\n", 1));
    }
}
