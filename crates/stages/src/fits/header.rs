//! Header cards: 80 bytes each, in any order, strings continued over CONTINUE cards.

use super::Error;

/// Bytes of a card.
pub const CARD: usize = 80;
/// Bytes of a block; headers and data fill whole blocks.
pub const BLOCK: usize = 2880;

/// What a card says.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Quoted text, without trailing blanks.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Real(f64),
    /// T or F.
    Logical(bool),
}

/// The cards of one header; of a keyword that comes twice, the first counts.
#[derive(Debug, Clone, Default)]
pub struct Header {
    cards: Vec<(String, Value)>,
}

impl Header {
    /// Parses cards up to END; `None` where END has not come yet.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut header = Self::default();
        let mut continues = false;
        for card in bytes.chunks_exact(CARD) {
            let keyword = String::from_utf8_lossy(&card[..8]).trim_end().to_ascii_uppercase();
            if keyword == "END" {
                return Some(header);
            }
            if keyword == "CONTINUE" {
                if continues {
                    continues = header.lengthen(&card[8..]);
                }
                continue;
            }
            continues = false;
            if &card[8..10] != b"= " {
                continue;
            }
            if let Some(value) = parse_value(&card[10..]) {
                continues = matches!(&value, Value::Text(text) if text.ends_with('&'));
                header.cards.push((keyword, value));
            }
        }
        None
    }

    /// Appends a CONTINUE card to the last string; whether that goes on.
    fn lengthen(&mut self, card: &[u8]) -> bool {
        let more = match parse_value(card) {
            Some(Value::Text(more)) => more,
            _ => String::new(),
        };
        if let Some((_, Value::Text(text))) = self.cards.last_mut() {
            text.pop();
            text.push_str(&more);
        }
        more.ends_with('&')
    }

    /// The value of a keyword.
    #[must_use]
    pub fn get(&self, keyword: &str) -> Option<&Value> {
        self.cards.iter().find(|(k, _)| k == keyword).map(|(_, v)| v)
    }

    /// All cards in order.
    pub fn cards(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.cards.iter().map(|(k, v)| (k.as_str(), v))
    }

    /// A text.
    #[must_use]
    pub fn text(&self, keyword: &str) -> Option<&str> {
        match self.get(keyword) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A whole number, also where it is written as `64.0` or `'64'`.
    #[must_use]
    pub fn integer(&self, keyword: &str) -> Option<i64> {
        match self.get(keyword)? {
            Value::Integer(n) => Some(*n),
            Value::Real(x) if x.fract() == 0.0 && x.abs() < 9e15 => Some(*x as i64),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// A number.
    #[must_use]
    pub fn real(&self, keyword: &str) -> Option<f64> {
        match self.get(keyword)? {
            Value::Integer(n) => Some(*n as f64),
            Value::Real(x) => Some(*x),
            _ => None,
        }
    }

    /// A logical value, also where it is written as the string 'True'.
    #[must_use]
    pub fn logical(&self, keyword: &str) -> Option<bool> {
        match self.get(keyword)? {
            Value::Logical(b) => Some(*b),
            Value::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "t" => Some(true),
                "false" | "f" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// A number that must be there and be no less than 0.
    ///
    /// # Errors
    /// [`Error::Card`].
    pub fn size(&self, keyword: &str) -> Result<u64, Error> {
        self.integer(keyword)
            .and_then(|n| u64::try_from(n).ok())
            .ok_or_else(|| Error::Card(keyword.to_owned()))
    }

    /// The version that DEPNAMnn/DEPVERnn pairs state for a name.
    #[must_use]
    pub fn dependency(&self, name: &str) -> Option<&str> {
        let number = self.cards().find_map(|(k, v)| match v {
            Value::Text(text) if text == name => k.strip_prefix("DEPNAM"),
            _ => None,
        })?;
        self.text(&format!("DEPVER{number}"))
    }
}

fn parse_value(field: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(field);
    let text = text.trim_start();
    if let Some(quoted) = text.strip_prefix('\'') {
        return Some(Value::Text(unquote(quoted)));
    }
    let token = text.split('/').next().unwrap_or_default().trim();
    match token {
        "" => None,
        "T" => Some(Value::Logical(true)),
        "F" => Some(Value::Logical(false)),
        _ => match token.parse() {
            Ok(n) => Some(Value::Integer(n)),
            Err(_) => token.replace(['D', 'd'], "E").parse().ok().map(Value::Real),
        },
    }
}

/// The text up to the closing quote; a doubled quote stands for one.
fn unquote(quoted: &str) -> String {
    let mut text = String::new();
    let mut chars = quoted.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\'' && chars.next_if_eq(&'\'').is_none() {
            break;
        }
        text.push(c);
    }
    text.truncate(text.trim_end_matches([' ', '\0']).len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(cards: &[&str]) -> Option<Header> {
        Header::parse(cards.iter().map(|c| format!("{c:<80}")).collect::<String>().as_bytes())
    }

    #[test]
    fn values_are_read() {
        let h = header(&[
            "BITPIX  =                  -32 / bits",
            "NAME    = 'O''Brien  ' / a / slash",
            "HPXNEST = 'True    '",
            "NEST    =                    T",
            "SCALE   =             1.5D-03",
            "EMPTY   = ''",
            "NOTHING =                      / undefined",
            "COMMENT = this is not a value",
            "BITPIX  =                    8 / again",
            "END",
        ])
        .expect("ended");
        assert_eq!(h.integer("BITPIX"), Some(-32));
        assert_eq!(h.text("NAME"), Some("O'Brien"));
        assert_eq!((h.logical("HPXNEST"), h.logical("NEST")), (Some(true), Some(true)));
        assert_eq!(h.real("SCALE"), Some(1.5e-3));
        assert_eq!((h.text("EMPTY"), h.get("NOTHING")), (Some(""), None));
        assert!(h.size("BITPIX").is_err() && h.size("GONE").is_err());
    }

    #[test]
    fn long_strings_continue() {
        let h = header(&[
            "DEPNAM07= 'SPECPROD'",
            "DEPVER07= 'one &'",
            "CONTINUE  'two &' / more",
            "CONTINUE  'three'",
            "CONTINUE  'stray'",
            "LAST    = 'x&'",
            "NEXT    = 1",
            "END",
        ])
        .expect("ended");
        assert_eq!(h.dependency("SPECPROD"), Some("one two three"));
        assert_eq!(h.text("LAST"), Some("x&"));
        assert_eq!(h.dependency("python"), None);
    }

    #[test]
    fn a_header_without_end_is_none() {
        assert!(header(&["SIMPLE  = T"]).is_none());
        assert!(Header::parse(b"").is_none());
    }
}
