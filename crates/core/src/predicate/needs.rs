//! What a predicate demands of one column, whatever else it says: an interval or a list.
//!
//! The registry's indexes know nothing of trees. Every row that matches `z > 2 AND (…)` has z in
//! [2, ∞), so that interval is asked of the index and the whole tree only of what is left. A demand
//! is necessary, never sufficient: where nothing can be concluded it is everything.

use super::literal::List;
use super::{Literal, Number, Op, Predicate};
use std::collections::BTreeSet;

/// An interval, ends included; empty when `first > last`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval<T> {
    /// Lower end.
    pub first: T,
    /// Upper end.
    pub last: T,
}

/// Sets that can be intersected and enclosed.
trait Demand: Sized {
    const ANYTHING: Self;
    const NOTHING: Self;
    fn meet(self, other: Self) -> Self;
    fn join(self, other: Self) -> Self;
}

impl Demand for Interval<f64> {
    const ANYTHING: Self = Self { first: f64::NEG_INFINITY, last: f64::INFINITY };
    const NOTHING: Self = Self { first: f64::INFINITY, last: f64::NEG_INFINITY };
    fn meet(self, other: Self) -> Self {
        Self { first: self.first.max(other.first), last: self.last.min(other.last) }
    }
    fn join(self, other: Self) -> Self {
        Self { first: self.first.min(other.first), last: self.last.max(other.last) }
    }
}

impl Demand for Interval<i64> {
    const ANYTHING: Self = Self { first: i64::MIN, last: i64::MAX };
    const NOTHING: Self = Self { first: i64::MAX, last: i64::MIN };
    fn meet(self, other: Self) -> Self {
        Self { first: self.first.max(other.first), last: self.last.min(other.last) }
    }
    fn join(self, other: Self) -> Self {
        Self { first: self.first.min(other.first), last: self.last.max(other.last) }
    }
}

/// A list; `None` is everything.
impl<T: Ord> Demand for Option<BTreeSet<T>> {
    const ANYTHING: Self = None;
    const NOTHING: Self = Some(BTreeSet::new());
    fn meet(self, other: Self) -> Self {
        match (self, other) {
            (Some(mut a), Some(b)) => {
                a.retain(|item| b.contains(item));
                Some(a)
            }
            (one, other) => one.or(other),
        }
    }
    fn join(self, other: Self) -> Self {
        let mut all = self?;
        all.extend(other?);
        Some(all)
    }
}

impl Interval<f64> {
    /// Values of a floating-point column that matching rows may have.
    #[must_use]
    pub fn of(predicate: &Predicate, name: &str) -> Self {
        demand(predicate, name, true, &|op, literal| match literal {
            Literal::Number(number) => {
                // a column of 32 bits rounds the literal: both are enclosed
                let (double, single) = (number.to_f64(), f64::from(number.to_f32()));
                Self { first: double.min(single), last: double.max(single) }.opened(op)
            }
            _ => Self::ANYTHING,
        })
    }

    fn opened(self, op: Op) -> Self {
        match op {
            Op::Eq => self,
            Op::Ne => Self::ANYTHING,
            Op::Lt | Op::Le => Self { first: f64::NEG_INFINITY, ..self },
            Op::Gt | Op::Ge => Self { last: f64::INFINITY, ..self },
        }
    }

    /// The ends, `None` where there is none.
    #[must_use]
    pub fn ends(self) -> (Option<f64>, Option<f64>) {
        let Self { first, last } = self;
        ((first > f64::NEG_INFINITY).then_some(first), (last < f64::INFINITY).then_some(last))
    }
}

impl Interval<i64> {
    /// Values of an integer column that matching rows may have.
    #[must_use]
    pub fn of(predicate: &Predicate, name: &str) -> Self {
        demand(predicate, name, true, &|op, literal| match literal {
            Literal::Number(number) => Self::around(*number).opened(op),
            _ => Self::ANYTHING,
        })
    }

    /// The integers that equal a number, or that would be rounded to it as doubles.
    fn around(number: Number) -> Self {
        let (first, last) = match number {
            Number::Exact(decimal) => (decimal.floor(), decimal.ceil()),
            // saturates; beyond 2^53 several integers are one double
            Number::Double(d) => (d.next_down().floor() as i128, d.next_up().ceil() as i128),
        };
        let end = |value: i128| value.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
        Self { first: end(first), last: end(last) }
    }

    fn opened(self, op: Op) -> Self {
        match op {
            Op::Eq => self,
            Op::Ne => Self::ANYTHING,
            Op::Lt | Op::Le => Self { first: i64::MIN, ..self },
            Op::Gt | Op::Ge => Self { last: i64::MAX, ..self },
        }
    }

    /// The ends, `None` where there is none.
    #[must_use]
    pub fn ends(self) -> (Option<i64>, Option<i64>) {
        let Self { first, last } = self;
        ((first > i64::MIN).then_some(first), (last < i64::MAX).then_some(last))
    }
}

impl<T: PartialOrd> Interval<T> {
    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first > self.last
    }
}

/// Texts that matching rows must have in a column; `None`: any.
#[must_use]
pub fn texts(predicate: &Predicate, name: &str) -> Option<BTreeSet<String>> {
    demand(predicate, name, true, &|op, literal| match (op, literal) {
        (Op::Eq, Literal::Text(text)) => Some([text.clone()].into()),
        _ => None,
    })
}

/// Integers that matching rows must have in a column; `None`: any.
#[must_use]
pub fn integers(predicate: &Predicate, name: &str) -> Option<BTreeSet<i64>> {
    demand(predicate, name, true, &|op, literal| match (op, literal) {
        (Op::Eq, Literal::Number(Number::Exact(number))) => {
            let value = number.is_integer().then(|| i64::try_from(number.floor()).ok());
            Some(value.flatten().into_iter().collect())
        }
        _ => None,
    })
}

/// What a column must hold for the predicate to be `wanted` (true or false, not unknown).
fn demand<D: Demand>(
    predicate: &Predicate,
    name: &str,
    wanted: bool,
    leaf: &impl Fn(Op, &Literal) -> D,
) -> D {
    let is_it = |column: &str| column == name;
    match predicate {
        Predicate::Constant(truth) if *truth == Some(wanted) => D::ANYTHING,
        Predicate::Constant(_) => D::NOTHING,
        Predicate::Compare { column, literal: Literal::Null, .. } if is_it(column) => D::NOTHING,
        Predicate::Compare { column, op, literal } if is_it(column) => {
            leaf(if wanted { *op } else { op.negated() }, literal)
        }
        Predicate::In { column, list, .. } if wanted && is_it(column) => {
            each(list).map(|literal| leaf(Op::Eq, &literal)).fold(D::NOTHING, D::join)
        }
        Predicate::Is(inner, truth) if wanted => demand(inner, name, *truth, leaf),
        Predicate::Not(inner) => demand(inner, name, !wanted, leaf),
        Predicate::And(parts) | Predicate::Or(parts) => {
            let all_hold = wanted == matches!(predicate, Predicate::And(_));
            let demands = parts.iter().map(|part| demand(part, name, wanted, leaf));
            if all_hold {
                demands.fold(D::ANYTHING, D::meet)
            } else {
                demands.fold(D::NOTHING, D::join)
            }
        }
        _ => D::ANYTHING,
    }
}

fn each(list: &List) -> Box<dyn Iterator<Item = Literal> + '_> {
    match list {
        List::Bools(list) => Box::new(list.iter().map(|b| Literal::Bool(*b))),
        List::Numbers(list) => Box::new(list.iter().map(|n| Literal::Number(*n))),
        List::Texts(list) => Box::new(list.iter().map(|t| Literal::Text(t.clone()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Predicate {
        Predicate::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    fn z(text: &str) -> (Option<f64>, Option<f64>) {
        Interval::<f64>::of(&parsed(text), "z").ends()
    }

    fn zwarn(text: &str) -> (Option<i64>, Option<i64>) {
        Interval::<i64>::of(&parsed(text), "zwarn").ends()
    }

    #[test]
    fn intervals_follow_the_tree() {
        assert_eq!(z("z > 2 AND spectype = 'QSO' AND z < 3"), (Some(2.0), Some(3.0)));
        assert_eq!(z("z > 2 OR spectype = 'QSO'"), (None, None));
        assert_eq!(z("z > 2 OR z IN (0.5, 1)"), (Some(0.5), None));
        assert_eq!(z("NOT (z > 2 OR z < 1)"), (Some(1.0), Some(2.0)));
        assert_eq!(z("NOT (z > 2 AND z > 1)"), (None, Some(2.0)));
        assert_eq!(z("(z > 2) IS NOT TRUE"), (None, None));
        assert_eq!(z("(z > 2) IS FALSE"), (None, Some(2.0)));
        assert_eq!(z("z IS NULL OR z > 2"), (None, None));
        assert_eq!(z("z <> 2 AND z NOT IN (1)"), (None, None));
        let (first, last) = z("z = 0.1");
        assert!(first <= Some(0.1) && last >= Some(f64::from(0.1f32)));
        assert!(Interval::<f64>::of(&parsed("z > 3 AND z < 2"), "z").is_empty());
        assert!(Interval::<f64>::of(&parsed("z = NULL"), "z").is_empty());
        assert_eq!(zwarn("zwarn = 0"), (Some(0), Some(0)));
        assert_eq!(zwarn("zwarn > 2.5 AND ZWARN <= 1e30"), (Some(2), None));
        let (first, last) = zwarn("zwarn = 39627800000000001e0");
        assert!(first < Some(39_627_799_999_999_999) && last > Some(39_627_800_000_000_003));
    }

    #[test]
    fn lists_are_met_and_joined() {
        let spectypes = |text: &str| texts(&parsed(text), "spectype").map(Vec::from_iter);
        assert_eq!(
            spectypes("spectype IN ('QSO', 'STAR') AND spectype <> 'x'").map(|l| l.len()),
            Some(2)
        );
        assert_eq!(spectypes("spectype = 'QSO' AND spectype = 'STAR'"), Some(vec![]));
        assert_eq!(spectypes("spectype = 'QSO' OR spectype = 'STAR'").map(|l| l.len()), Some(2));
        assert_eq!(spectypes("spectype = 'QSO' OR z > 1"), None);
        assert_eq!(spectypes("NOT spectype <> 'QSO'").map(|l| l.len()), Some(1));
        assert_eq!(spectypes("spectype > 'QSO'"), None);
        let ids = |text: &str| integers(&parsed(text), "target_id").map(Vec::from_iter);
        assert_eq!(ids("targetid IN (5, 3.0, 2.5)"), Some(vec![3, 5]));
        assert_eq!(ids("targetid IN (5, 3e0)"), None);
        assert_eq!(ids("targetid NOT IN (5)"), None);
    }
}
