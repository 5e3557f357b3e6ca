//! Whether a file or row group can hold matching rows, judged by its bounds alone.
//!
//! Every part of the predicate is given the set of truth values that some row might have (true,
//! false, unknown); sets combine as SQL combines truth. Nothing known means every truth value, so
//! the answer errs only towards keeping. A part that is certain for each row ("always") lets a
//! reader skip the filter and an estimate count every row.

use super::literal::List;
use super::{Literal, Number, Op, Predicate};
use crate::bounds::{Bounds, Known, Value};
use std::cmp::Ordering;

/// What can be said of all rows together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No row matches.
    Never,
    /// Some rows may match.
    Maybe,
    /// Every row matches.
    Always,
}

/// Judges `rows` rows by what `known` says of each column.
pub fn judge<'a>(predicate: &Predicate, rows: u64, known: &impl Fn(&str) -> Known<'a>) -> Verdict {
    if rows == 0 {
        return Verdict::Never;
    }
    match possible(predicate, rows, known) {
        Truths { yes: false, .. } => Verdict::Never,
        Truths { yes: true, no: false, unknown: false } => Verdict::Always,
        _ => Verdict::Maybe,
    }
}

/// Whether some row may match: [`judge`] other than [`Verdict::Never`], and no more than that.
pub fn may<'a>(predicate: &Predicate, rows: u64, known: &impl Fn(&str) -> Known<'a>) -> bool {
    rows > 0
        && match predicate {
            Predicate::And(parts) => parts.iter().all(|part| may(part, rows, known)),
            Predicate::Or(parts) => parts.iter().any(|part| may(part, rows, known)),
            predicate => possible(predicate, rows, known).yes,
        }
}

/// Truth values that some row might have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Truths {
    yes: bool,
    no: bool,
    unknown: bool,
}

impl Truths {
    const ALL: Self = Self { yes: true, no: true, unknown: true };
    const NONE: Self = Self { yes: false, no: false, unknown: false };
    const YES: Self = Self { yes: true, ..Self::NONE };
    const NO: Self = Self { no: true, ..Self::NONE };
    const UNKNOWN: Self = Self { unknown: true, ..Self::NONE };

    fn not(self) -> Self {
        Self { yes: self.no, no: self.yes, ..self }
    }

    fn and(self, other: Self) -> Self {
        Self {
            yes: self.yes && other.yes,
            no: self.no || other.no,
            unknown: (self.unknown && (other.unknown || other.yes))
                || (other.unknown && (self.unknown || self.yes)),
        }
    }

    fn or(self, other: Self) -> Self {
        self.not().and(other.not()).not()
    }

    fn either(self, other: Self) -> Self {
        Self {
            yes: self.yes || other.yes,
            no: self.no || other.no,
            unknown: self.unknown || other.unknown,
        }
    }
}

fn possible<'a>(predicate: &Predicate, rows: u64, known: &impl Fn(&str) -> Known<'a>) -> Truths {
    let part = |p: &Predicate| possible(p, rows, known);
    match predicate {
        Predicate::Constant(Some(true)) => Truths::YES,
        Predicate::Constant(Some(false)) => Truths::NO,
        Predicate::Constant(None) => Truths::UNKNOWN,
        Predicate::Compare { literal: Literal::Null, .. } => Truths::UNKNOWN,
        Predicate::Compare { column, op, literal } => {
            tested(known(column), rows, |bounds| compared(bounds, *op, literal))
        }
        Predicate::In { list, has_null: true, .. } if list.is_empty() => Truths::UNKNOWN,
        Predicate::In { column, list, has_null } => tested(known(column), rows, |bounds| {
            let truths = listed(bounds, list);
            if *has_null && truths.no {
                Truths { unknown: true, no: false, ..truths }
            } else {
                truths
            }
        }),
        Predicate::Column(column) => {
            tested(known(column), rows, |bounds| compared(bounds, Op::Eq, &Literal::Bool(true)))
        }
        Predicate::IsNull(column) => nulls(known(column), rows),
        Predicate::Is(inner, wanted) => {
            let truths = part(inner);
            let (hit, miss) =
                if *wanted { (truths.yes, truths.no) } else { (truths.no, truths.yes) };
            Truths { yes: hit, no: miss || truths.unknown, unknown: false }
        }
        Predicate::Not(inner) => part(inner).not(),
        Predicate::And(parts) => parts.iter().map(part).fold(Truths::YES, Truths::and),
        Predicate::Or(parts) => parts.iter().map(part).fold(Truths::NO, Truths::or),
    }
}

/// Lays NULL and NaN over what a test can say of the other values.
fn tested(known: Known, rows: u64, values: impl FnOnce(&Bounds) -> Truths) -> Truths {
    let bounds = match known {
        Known::Absent => return Truths::UNKNOWN,
        Known::Unknown => return Truths::ALL,
        Known::Bounds(bounds) => bounds,
    };
    match bounds.null_count {
        Some(nulls) if nulls == rows => return Truths::UNKNOWN,
        // more NULLs than rows: whoever wrote this is not to be believed
        Some(nulls) if nulls > rows => return Truths::ALL,
        _ => {}
    }
    let nan = match bounds.has_nan {
        Some(has_nan) => has_nan,
        None => !matches!(bounds.min, Some(Value::Int(_) | Value::Text(_) | Value::Bool(_))),
    };
    let unknown = nan || bounds.null_count != Some(0);
    let truths = values(bounds);
    Truths { unknown: unknown || truths.unknown, ..truths }
}

fn nulls(known: Known, rows: u64) -> Truths {
    match known {
        Known::Absent => Truths::YES,
        Known::Unknown => Truths { unknown: false, ..Truths::ALL },
        Known::Bounds(bounds) => match bounds.null_count {
            Some(0) => Truths::NO,
            Some(nulls) if nulls == rows => Truths::YES,
            _ => Truths { unknown: false, ..Truths::ALL },
        },
    }
}

fn compared(bounds: &Bounds, op: Op, literal: &Literal) -> Truths {
    let seen = |view| {
        let (min, max) = orders(bounds, literal, view);
        within(min, max, op)
    };
    views(bounds).iter().map(|view| seen(*view)).fold(Truths::NONE, Truths::either)
}

/// How a column sees a number: a float column may be 32 bits wide and round a decimal to its own
/// precision, and bounds do not tell the width, so both ways count.
#[derive(Debug, Clone, Copy)]
enum View {
    Double,
    Single,
}

fn views(bounds: &Bounds) -> &'static [View] {
    let is_float =
        [&bounds.min, &bounds.max].into_iter().flatten().any(|v| matches!(v, Value::Float(_)));
    if is_float { &[View::Double, View::Single] } else { &[View::Double] }
}

/// How the bounds stand to a literal; `None` where that is not known.
fn orders(bounds: &Bounds, literal: &Literal, view: View) -> (Option<Ordering>, Option<Ordering>) {
    let order = |bound: &Option<Value>| order(bound.as_ref()?, literal, view);
    (order(&bounds.min), order(&bounds.max))
}

fn order(bound: &Value, literal: &Literal, view: View) -> Option<Ordering> {
    match (bound, literal) {
        (Value::Bool(bound), Literal::Bool(with)) => Some(bound.cmp(with)),
        (Value::Text(bound), Literal::Text(with)) => Some(bound.as_bytes().cmp(with.as_bytes())),
        (Value::Int(bound), Literal::Number(with)) => Some(order_integer(*bound, *with)),
        (Value::Float(bound), Literal::Number(with)) => bound.partial_cmp(&match view {
            View::Single if !with.is_double() => f64::from(with.to_f32()),
            _ => with.to_f64(),
        }),
        _ => None,
    }
}

/// Integers are exact against decimals and become doubles against doubles, as in the filter.
fn order_integer(value: i128, number: Number) -> Ordering {
    match number {
        Number::Double(d) => (value as f64).partial_cmp(&d).unwrap_or(Ordering::Less),
        Number::Exact(d) => value.cmp(&d.floor()).then(if d.is_integer() {
            Ordering::Equal
        } else {
            Ordering::Less
        }),
    }
}

/// What a comparison can say of values between bounds that stand to the literal as given.
fn within(min: Option<Ordering>, max: Option<Ordering>, op: Op) -> Truths {
    // an order that some value might have
    let less = min.is_none_or(Ordering::is_lt);
    let greater = max.is_none_or(Ordering::is_gt);
    let equal = min.is_none_or(Ordering::is_le) && max.is_none_or(Ordering::is_ge);
    [(less, Ordering::Less), (equal, Ordering::Equal), (greater, Ordering::Greater)]
        .into_iter()
        .filter(|(might, _)| *might)
        .map(|(_, order)| if op.holds(order) { Truths::YES } else { Truths::NO })
        .fold(Truths::NONE, Truths::either)
}

/// A sorted list is searched, not walked: it may hold a hundred thousand TARGETIDs.
fn listed(bounds: &Bounds, list: &List) -> Truths {
    match list {
        List::Bools(list) => first_above(bounds, list, |b| Literal::Bool(*b)),
        List::Texts(list) => first_above(bounds, list, |t| Literal::Text(t.clone())),
        List::Numbers(list) => first_above(bounds, list, |n| Literal::Number(*n)),
    }
}

/// Looks at the first literal that is not below the bounds: if it lies beyond them, all do.
fn first_above<T>(bounds: &Bounds, list: &[T], literal: impl Fn(&T) -> Literal) -> Truths {
    let seen = |view: &View| {
        let min_is_above =
            |item: &T| orders(bounds, &literal(item), *view).0.is_some_and(Ordering::is_gt);
        let Some(item) = list.get(list.partition_point(min_is_above)) else { return Truths::NO };
        let (min, max) = orders(bounds, &literal(item), *view);
        within(min, max, Op::Eq)
    };
    views(bounds).iter().map(seen).fold(Truths::NONE, Truths::either)
}
