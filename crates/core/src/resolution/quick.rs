//! Comparisons of promoted columns, made ready to be held against thousands of bounds.
//!
//! What most questions are made of is decided by two comparisons, of numbers or of texts. All else is left
//! to [`bounds::may`](crate::predicate::bounds::may), of which this is never narrower.

use crate::footer::Kind;
use crate::predicate::literal::List;
use crate::predicate::{Literal, Number, Op, Predicate};
use crate::registry::promoted::{self, Entry};

/// The conjuncts of a condition.
pub(super) struct Quick<'a> {
    tests: Vec<Test<'a>>,
    /// That the object is one of those which the catalog is asked for.
    objects: Vec<Test<'a>>,
    /// Those that are not so simple.
    pub(super) others: Vec<&'a Predicate>,
}

/// A comparison of a promoted column. A literal that is no machine number lies between two.
enum Test<'a> {
    Int {
        place: usize,
        op: Op,
        floor: i64,
        ceil: i64,
    },
    Float {
        place: usize,
        op: Op,
        low: f64,
        high: f64,
    },
    /// The text that the column of texts equals.
    Text(&'a str),
    /// Of which the column is one; ascending.
    OneOf {
        place: usize,
        list: Vec<i64>,
    },
}

impl<'a> Quick<'a> {
    pub(super) fn of(condition: &'a Predicate) -> Self {
        let mut quick = Self { tests: Vec::new(), objects: Vec::new(), others: Vec::new() };
        let mut left = vec![condition];
        while let Some(next) = left.pop() {
            match next {
                Predicate::And(parts) => left.extend(parts),
                next => match Test::of(next) {
                    Some(test) if test.is_of_objects() => quick.objects.push(test),
                    Some(test) => quick.tests.push(test),
                    None => quick.others.push(next),
                },
            }
        }
        quick
    }

    /// Whether some row of a file or row group may fulfil all but the others; where the catalog says which
    /// rows are of wanted objects, those are.
    pub(super) fn may(&self, entry: &Entry, is_located: bool) -> bool {
        let objects = if is_located { &[] } else { self.objects.as_slice() };
        // what is not looked at need not come from memory
        (is_located || entry.num_rows > 0)
            && self.tests.iter().chain(objects).all(|test| test.may(entry))
    }
}

impl<'a> Test<'a> {
    fn of(predicate: &'a Predicate) -> Option<Self> {
        let place_of = |column| promoted::COLUMNS.iter().position(|(name, _)| name == column);
        let (column, op, literal) = match predicate {
            Predicate::Compare { column, op, literal } => (column, *op, literal),
            Predicate::In { column, list: List::Numbers(list), .. } => {
                let place =
                    place_of(column).filter(|place| promoted::COLUMNS[*place].1 == Kind::Int)?;
                return Some(Self::OneOf { place, list: integers(list)? });
            }
            _ => return None,
        };
        let place = place_of(column)?;
        let number = match literal {
            Literal::Number(number) => number,
            Literal::Text(text) if promoted::COLUMNS[place].1 == Kind::Text => {
                return (op == Op::Eq).then_some(Self::Text(text));
            }
            _ => return None,
        };
        match (promoted::COLUMNS[place].1, number) {
            _ if op == Op::Ne => None,
            (Kind::Int, Number::Exact(decimal)) => {
                let end = |value: i128| i64::try_from(value).ok();
                let (floor, ceil) = (end(decimal.floor())?, end(decimal.ceil())?);
                // no integer equals a fraction: that is not worth a case
                (op != Op::Eq || floor == ceil).then_some(Self::Int { place, op, floor, ceil })
            }
            (Kind::Float, number) => {
                let double = number.to_f64();
                // a column of 32 bits rounds the literal, and bounds do not tell the width
                let single = if number.is_double() { double } else { number.to_f32().into() };
                Some(Self::Float { place, op, low: double.min(single), high: double.max(single) })
            }
            _ => None,
        }
    }

    fn is_of_objects(&self) -> bool {
        matches!(self, Self::OneOf { place, .. } if promoted::COLUMNS[*place].0 == "target_id")
    }

    fn may(&self, entry: &Entry) -> bool {
        match *self {
            Self::Int { place, op, floor, ceil } => {
                let (min, max) = entry.ints(place);
                match op {
                    Op::Gt => max.is_none_or(|max| max > floor),
                    Op::Ge => max.is_none_or(|max| max >= ceil),
                    Op::Lt => min.is_none_or(|min| min < ceil),
                    Op::Le => min.is_none_or(|min| min <= floor),
                    _ => min.is_none_or(|min| min <= floor) && max.is_none_or(|max| max >= ceil),
                }
            }
            Self::Float { place, op, low, high } => {
                let (min, max) = entry.floats(place);
                match op {
                    Op::Gt => max.is_none_or(|max| max > low),
                    Op::Ge => max.is_none_or(|max| max >= low),
                    Op::Lt => min.is_none_or(|min| min < high),
                    Op::Le => min.is_none_or(|min| min <= high),
                    _ => min.is_none_or(|min| min <= high) && max.is_none_or(|max| max >= low),
                }
            }
            Self::OneOf { place, ref list } => {
                let (min, max) = entry.ints(place);
                let first = min.map_or(0, |min| list.partition_point(|value| *value < min));
                list.get(first).is_some_and(|value| max.is_none_or(|max| *value <= max))
            }
            Self::Text(text) => {
                let (min, max) = entry.texts();
                min.is_none_or(|min| min <= text) && max.is_none_or(|max| max >= text)
            }
        }
    }
}

/// The integers of a sorted list; `None` where it holds something else, or what is beyond an `i64`.
fn integers(list: &[Number]) -> Option<Vec<i64>> {
    let integer = |number: &Number| match number {
        Number::Exact(decimal) if decimal.floor() == decimal.ceil() => {
            i64::try_from(decimal.floor()).ok()
        }
        _ => None,
    };
    list.iter().map(integer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::Known;
    use crate::predicate::bounds;
    use rand::{RngExt as _, SeedableRng as _};

    #[test]
    fn it_is_never_narrower_than_the_judgement_of_bounds() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(12);
        let (mut kept, mut left_out, mut wider) = (0, 0, 0);
        for _ in 0..40_000 {
            let columns = ["z", "zwarn", "deltachi2", "target_id", "ra", "spectype"];
            let column = columns[rng.random_range(0..6)];
            let op = ["<", "<=", "=", ">=", ">", "<>"][rng.random_range(0..6)];
            let number = match rng.random_range(0..4) {
                _ if column == "spectype" => format!("'{}'", rng.random_range(-3..9i64)),
                0 => rng.random_range(-3..9i64).to_string(),
                1 => format!("{:.1}", rng.random_range(-3.0..9.0f64)),
                2 => format!("{:e}", rng.random_range(-3.0..9.0f64)),
                _ => "99999999999999999999999".to_owned(),
            };
            let text = match rng.random_range(0..4) {
                0 if column != "spectype" => {
                    let more =
                        [number.as_str(), "7", "-2.0", "1.5", "NULL", "12345678901234567890"];
                    let more = &more[..rng.random_range(1..7)];
                    format!("{column} IN ({})", more.join(", "))
                }
                _ => format!("{column} {op} {number}"),
            };
            let predicate = Predicate::parse(&text).expect("one");
            let mut end = || match rng.random_range(0..5) {
                0 => None,
                1 => Some(rng.random_range(-3.0..9.0f64)),
                _ => Some(f64::from(rng.random_range(-30..90i16)) / 10.0),
            };
            let (a, b) = (end(), end());
            let ends = match (a, b) {
                (Some(a), Some(b)) => (Some(a.min(b)), Some(a.max(b))),
                ends => ends,
            };
            let entry = Entry::like(rng.random_range(0..3), ends);
            let places: Vec<usize> = (0..promoted::COLUMNS.len()).collect();
            let asked = entry.bounds(&places);
            let known = |name: &str| {
                let place = promoted::COLUMNS.iter().position(|(known, _)| *known == name);
                place.map_or(Known::Unknown, |place| Known::Bounds(asked.get(place)))
            };
            let rows = u64::from(entry.num_rows);
            let may = bounds::may(&predicate, rows, &known);
            let quick = Quick::of(&predicate);
            let quickly = quick.may(&entry, false)
                && quick.others.iter().all(|other| bounds::may(other, rows, &known));
            assert!(quickly || !may, "{predicate} {ends:?}");
            kept += usize::from(may);
            left_out += usize::from(!quickly);
            wider += usize::from(quickly && !may);
        }
        assert!(kept > 10_000 && left_out > 5000 && wider < 100, "{kept} {left_out} {wider}");
    }
}
