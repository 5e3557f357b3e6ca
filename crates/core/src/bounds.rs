//! What is known of a column's values without reading them: bounds, NULLs, NaN.
//!
//! Footers fill these, the registry packs them, [`crate::predicate::bounds`] judges by them.
//! Whatever is not known is `None`, and nothing may be concluded from it. Bounds enclose: every
//! value that is neither NULL nor NaN lies between them, ends included. They need not be attained
//! (`is_exact`), so a text cut short is a good lower bound and, once its last character is raised,
//! a good upper one.

use std::cmp::Ordering;

/// A bound. Integers of every width, dates and times are `Int`; floats of every width are `Float`
/// and never NaN.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Value {
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
}

impl Value {
    /// Order of two values of one kind; `None` for different kinds and NaN.
    #[must_use]
    pub fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            (Self::Text(a), Self::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            _ => None,
        }
    }
}

/// What is known of one column in one file or row group.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bounds {
    /// No value is smaller.
    pub min: Option<Value>,
    /// No value is larger.
    pub max: Option<Value>,
    /// Whether both bounds are known to be values that occur.
    pub is_exact: bool,
    /// Rows that are NULL.
    pub null_count: Option<u64>,
    /// Whether some value is NaN; `Some(false)` for columns that are not floats.
    pub has_nan: Option<bool>,
}

/// What is known of one column of one file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Known<'a> {
    /// The file has no such column: it is NULL in every row.
    Absent,
    /// The file has it, and no more is known.
    Unknown,
    /// What is known.
    Bounds(&'a Bounds),
}

/// The prefix of a text with at most `limit_bytes` bytes: a lower bound of what it bounds.
#[must_use]
pub fn text_below(text: &str, limit_bytes: usize) -> &str {
    let end = (0..=limit_bytes.min(text.len())).rev().find(|&i| text.is_char_boundary(i));
    &text[..end.unwrap_or(0)]
}

/// A text of at most about `limit_bytes` bytes that sorts after everything that starts as `text`
/// does; `None` if there is none. The text itself if it is short enough.
#[must_use]
pub fn text_above(text: &str, limit_bytes: usize) -> Option<String> {
    let mut prefix = text_below(text, limit_bytes).to_owned();
    if prefix.len() == text.len() {
        return Some(prefix);
    }
    while let Some(last) = prefix.pop() {
        // the numbers of surrogates are no characters: the next one after them is
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            prefix.push(next);
            return Some(prefix);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_still_bounds() {
        for text in ["GALAXY", "überlang", "a\u{10ffff}\u{10ffff}b", "\u{d7ff}\u{d7ff}x"] {
            for limit in 0..text.len() {
                assert!(text_below(text, limit) <= text, "{text} {limit}");
                if let Some(above) = text_above(text, limit) {
                    assert!(above.as_str() > text, "{above} bounds {text}");
                }
            }
            assert_eq!(text_above(text, 99).as_deref(), Some(text));
        }
        assert_eq!(text_above("\u{10ffff}\u{10ffff}", 4), None);
    }
}
