//! What a column is compared with: exact decimals, binary floats, text, booleans.
//!
//! `0.1` is an exact decimal and takes the column's own precision before it is compared, as in
//! DuckDB: a FLOAT column equals `0.1` where it holds the float nearest to 0.1. `1e-1` is a binary
//! double, and a FLOAT column is widened to compare with it. Integers are compared exactly: a
//! TARGETID exceeds what a double can tell apart.

use std::cmp::Ordering;
use std::fmt;

/// Decimal digits that an exact number may have.
const DIGITS: usize = 38;

/// Powers of ten that are doubles; as far as 10^10, floats too.
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// A number as it was written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// Written without an exponent, 38 digits at most.
    Exact(Decimal),
    /// Written with an exponent, or longer.
    Double(f64),
}

/// `unscaled` / 10^`scale`, without trailing zeros behind the point.
#[derive(Debug, Clone, Copy)]
pub struct Decimal {
    unscaled: i128,
    scale: u32,
    /// The nearest binary numbers: thousands of bounds may be compared with them.
    double: f64,
    single: f32,
}

/// The right side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// NULL: nothing compares with it.
    Null,
    /// TRUE or FALSE.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text, compared by bytes.
    Text(String),
}

/// Literals of one kind, sorted, each once.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum List {
    Bools(Vec<bool>),
    Numbers(Vec<Number>),
    Texts(Vec<String>),
}

impl Number {
    /// Reads digits with an optional point and exponent, no sign.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Decimal::parse(text).map(Self::Exact).or_else(|| text.parse().ok().map(Self::Double))
    }

    /// The number with its sign changed.
    #[must_use]
    pub fn negated(self) -> Self {
        match self {
            Self::Exact(d) => Self::Exact(Decimal::new(-d.unscaled, d.scale)),
            Self::Double(d) => Self::Double(-d),
        }
    }

    /// The nearest double.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        match self {
            Self::Exact(d) => d.double,
            Self::Double(d) => d,
        }
    }

    /// The nearest float, rounded once.
    #[must_use]
    pub fn to_f32(self) -> f32 {
        match self {
            Self::Exact(d) => d.single,
            #[expect(clippy::cast_possible_truncation, reason = "rounding is what is asked for")]
            Self::Double(d) => d as f32,
        }
    }

    /// Whether it is to be compared as a double, whatever the column.
    #[must_use]
    pub fn is_double(self) -> bool {
        matches!(self, Self::Double(_))
    }

    /// Orders two numbers of the same kind; a double against a decimal by value as doubles.
    #[must_use]
    pub fn order(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Exact(a), Self::Exact(b)) => a.cmp(&b),
            (a, b) => a.to_f64().total_cmp(&b.to_f64()),
        }
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self::Exact(Decimal::new(i128::from(value), 0))
    }
}

impl Decimal {
    fn new(unscaled: i128, scale: u32) -> Self {
        let mut decimal = Self { unscaled, scale, double: 0.0, single: 0.0 };
        decimal.double = decimal.quotient().unwrap_or_else(|| decimal.rounded());
        decimal.single = decimal.short_quotient().unwrap_or_else(|| decimal.rounded());
        decimal
    }

    fn parse(text: &str) -> Option<Self> {
        let (whole, behind) = text.split_once('.').unwrap_or((text, ""));
        let behind = behind.trim_end_matches('0');
        let digits = format!("{whole}{behind}");
        let significant = digits.trim_start_matches('0');
        let is_number =
            digits.bytes().all(|b| b.is_ascii_digit()) && text != "." && !text.is_empty();
        if !is_number || significant.len().max(behind.len()) > DIGITS {
            return None;
        }
        let unscaled = if significant.is_empty() { 0 } else { significant.parse().ok()? };
        Some(Self::new(unscaled, u32::try_from(behind.len()).ok()?))
    }

    /// The same in units of 10^-`scale`: what is beyond all whole numbers of 38 digits stays beyond.
    #[must_use]
    pub fn in_units(self, scale: i8) -> Self {
        let places = i64::from(self.scale) - i64::from(scale);
        let power = |places: i64| u32::try_from(places).ok().and_then(|n| 10i128.checked_pow(n));
        let beyond = if self.unscaled < 0 { i128::MIN + 1 } else { i128::MAX - 1 };
        match places {
            _ if self.unscaled == 0 => self,
            ..=0 => {
                let scaled = power(-places).and_then(|by| self.unscaled.checked_mul(by));
                Self::new(scaled.unwrap_or(beyond), 0)
            }
            1..=38 => {
                // as everywhere, no zeros end what stands behind the point
                let zeros = (0..places)
                    .take_while(|n| power(n + 1).is_some_and(|by| self.unscaled % by == 0));
                let zeros = zeros.count() as i64;
                let unscaled = self.unscaled / power(zeros).unwrap_or(1);
                Self::new(unscaled, u32::try_from(places - zeros).unwrap_or(0))
            }
            _ => Self::new(self.unscaled.signum(), DIGITS as u32),
        }
    }

    /// The largest integer that is not above.
    #[must_use]
    pub fn floor(self) -> i128 {
        if self.is_integer() {
            return self.unscaled;
        }
        self.unscaled.div_euclid(10i128.pow(self.scale))
    }

    /// The smallest integer that is not below.
    #[must_use]
    pub fn ceil(self) -> i128 {
        self.floor() + i128::from(!self.is_integer())
    }

    /// Whether nothing stands behind the point.
    #[must_use]
    pub fn is_integer(self) -> bool {
        self.scale == 0
    }

    /// The nearest double, where both parts of the fraction are doubles: a division rounds once. An
    /// integer is rounded anyway.
    fn quotient(self) -> Option<f64> {
        (self.is_integer() || self.unscaled.unsigned_abs() <= 1 << 53 && self.scale <= 22)
            .then(|| self.unscaled as f64 / TENS[self.scale as usize])
    }

    /// The nearest float, likewise.
    fn short_quotient(self) -> Option<f32> {
        (self.is_integer() || self.unscaled.unsigned_abs() <= 1 << 24 && self.scale <= 10)
            .then(|| self.unscaled as f32 / TENS[self.scale as usize] as f32)
    }

    /// The nearest number of a binary type, rounded once.
    fn rounded<F: std::str::FromStr + Default>(self) -> F {
        self.to_string().parse().unwrap_or_default()
    }

    /// What stands behind the point, in units of 10^-38.
    fn fraction(self) -> i128 {
        self.unscaled.rem_euclid(10i128.pow(self.scale)) * 10i128.pow(DIGITS as u32 - self.scale)
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        (self.unscaled, self.scale) == (other.unscaled, other.scale)
    }
}

impl Eq for Decimal {}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        self.floor().cmp(&other.floor()).then_with(|| self.fraction().cmp(&other.fraction()))
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl List {
    /// Collects literals of one kind; NULL is left out. `Err` names the first of another kind.
    pub(super) fn collect(literals: Vec<Literal>) -> Result<Self, Literal> {
        let (mut bools, mut numbers, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        for literal in literals {
            let others_empty = match &literal {
                Literal::Null => continue,
                Literal::Bool(_) => numbers.is_empty() && texts.is_empty(),
                Literal::Number(_) => bools.is_empty() && texts.is_empty(),
                Literal::Text(_) => bools.is_empty() && numbers.is_empty(),
            };
            match literal {
                other if !others_empty => return Err(other),
                Literal::Bool(b) => bools.push(b),
                Literal::Number(n) => numbers.push(n),
                Literal::Text(t) => texts.push(t),
                Literal::Null => {}
            }
        }
        Ok(if !bools.is_empty() {
            bools.sort_unstable();
            bools.dedup();
            Self::Bools(bools)
        } else if !texts.is_empty() {
            texts.sort_unstable();
            texts.dedup();
            Self::Texts(texts)
        } else {
            Self::Numbers(sorted(numbers))
        })
    }

    /// Whole numbers, such as TARGETIDs.
    #[must_use]
    pub fn integers(values: impl IntoIterator<Item = i64>) -> Self {
        // whole numbers are put in order faster before they are decimals
        let mut values: Vec<i64> = values.into_iter().collect();
        values.sort_unstable();
        values.dedup();
        Self::Numbers(values.into_iter().map(Number::from).collect())
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Bools(list) => list.is_empty(),
            Self::Numbers(list) => list.is_empty(),
            Self::Texts(list) => list.is_empty(),
        }
    }

    /// All of them.
    #[must_use]
    pub fn literals(&self) -> Vec<Literal> {
        match self {
            Self::Bools(list) => list.iter().copied().map(Literal::Bool).collect(),
            Self::Numbers(list) => list.iter().copied().map(Literal::Number).collect(),
            Self::Texts(list) => list.iter().cloned().map(Literal::Text).collect(),
        }
    }

    /// The first of them.
    #[must_use]
    pub fn first(&self) -> Literal {
        match self {
            Self::Bools(list) => list.first().copied().map(Literal::Bool),
            Self::Numbers(list) => list.first().copied().map(Literal::Number),
            Self::Texts(list) => list.first().cloned().map(Literal::Text),
        }
        .unwrap_or(Literal::Null)
    }
}

/// Sorts; a double among them makes all of them doubles, as DuckDB finds one type for a list.
fn sorted(mut numbers: Vec<Number>) -> Vec<Number> {
    if numbers.iter().any(|n| n.is_double()) {
        numbers = numbers.into_iter().map(|n| Number::Double(n.to_f64())).collect();
    }
    numbers.sort_unstable_by(|a, b| a.order(*b));
    numbers.dedup();
    numbers
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.unscaled < 0 { "-" } else { "" };
        let digits = self.unscaled.unsigned_abs().to_string();
        let places = self.scale as usize;
        if places == 0 {
            return write!(f, "{sign}{digits}");
        }
        let digits = format!("{digits:0>width$}", width = places + 1);
        let (whole, behind) = digits.split_at(digits.len() - places);
        write!(f, "{sign}{whole}.{behind}")
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(d) => d.fmt(f),
            Self::Double(d) if d.is_infinite() => {
                f.write_str(if *d > 0.0 { "1e999" } else { "-1e999" })
            }
            Self::Double(d) => write!(f, "{d:e}"),
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Bool(b) => f.write_str(if *b { "TRUE" } else { "FALSE" }),
            Self::Number(n) => n.fmt(f),
            Self::Text(t) => write!(f, "'{}'", t.replace('\'', "''")),
        }
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let literals: Vec<String> = match self {
            Self::Bools(list) => list.iter().map(|b| Literal::Bool(*b).to_string()).collect(),
            Self::Numbers(list) => list.iter().map(Number::to_string).collect(),
            Self::Texts(list) => {
                list.iter().map(|t| Literal::Text(t.clone()).to_string()).collect()
            }
        };
        f.write_str(&literals.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn exact(text: &str) -> Decimal {
        Decimal::parse(text).unwrap_or_else(|| panic!("{text} is a decimal"))
    }

    #[test]
    fn decimals_keep_every_digit() {
        assert_eq!(exact("39627800000000001").floor(), 39_627_800_000_000_001);
        assert_eq!(exact("0.5000").to_string(), "0.5");
        assert_eq!(exact(".5"), exact("000.50"));
        assert_eq!(exact("7.").floor(), 7);
        assert!(Decimal::parse("1e3").is_none());
        assert!(Decimal::parse(".").is_none());
        assert!(Decimal::parse(&"9".repeat(39)).is_none());
    }

    #[test]
    fn floor_and_ceiling_enclose() {
        let negative = Decimal::new(-25, 1);
        assert_eq!((negative.floor(), negative.ceil()), (-3, -2));
        assert_eq!((exact("2.5").floor(), exact("2.5").ceil()), (2, 3));
        assert_eq!(exact("3.0").ceil(), 3);
        assert!(negative < exact("0.00000000000000000000000000000000000001"));
        assert!(exact(&"9".repeat(38)) > exact("1.5"));
    }

    #[test]
    fn a_quotient_is_what_reading_the_text_gives() {
        let mut random = ChaCha8Rng::seed_from_u64(9);
        for _ in 0..20_000 {
            let scale = random.random_range(0..=22);
            let unscaled =
                random.random_range(-(1i64 << 53)..=1 << 53) >> random.random_range(0..50);
            let decimal = Decimal::new(unscaled.into(), scale);
            assert_eq!(decimal.quotient(), Some(decimal.rounded()), "{decimal}");
            if let Some(short) = decimal.short_quotient() {
                assert_eq!(short, decimal.rounded::<f32>(), "{decimal}");
            }
        }
    }

    #[test]
    fn a_number_is_rounded_once() {
        // rounding to a double first would land on a tie and then on the even float
        let number = Number::parse("1.00000005960464484").expect("a number");
        assert_eq!(number.to_f32(), 1.000_000_1);
        assert_eq!(Number::parse("0.1").map(Number::to_f64), Some(0.1));
        assert!(Number::parse("1e-1").is_some_and(Number::is_double));
    }
}
