//! About how many rows match, and what each step left out: told before anything is read.
//!
//! The registry counts a file's objects by class, quality and bins of redshift. A condition is judged
//! once for each of the kinds that it tells apart: every class that it names and all others, warnings
//! or none, and every stretch of redshift between the numbers that it names. What is left of these is
//! counted. What the condition says of other columns leaves nothing out.

use super::judge::Judged;
use super::{Error, Explained, Pruned, Query, Step, demands};
use crate::bounds::{Bounds, Known, Value};
use crate::layout;
use crate::predicate::{Literal, Predicate, bounds};
use crate::registry::demands::Demands;
use crate::registry::resolve::Resolver;
use crate::sky::region;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::path::Path;

/// Kinds that are told apart; a condition that names more is judged as if it named none.
const KINDS_MAX: usize = 512;
/// So far from a number that a condition names lies what is surely above or below it, be it seen as a
/// double or as a float.
const HAIR: f64 = 1e-6;
/// A class that no condition names.
const ANOTHER: &str = "\u{10ffff}";

/// Redshifts between two, where there are such.
type Stretch = (Option<f64>, Option<f64>);

/// Objects of some classes, of a quality, between two redshifts.
#[derive(Debug, Clone, PartialEq)]
struct Kind {
    classes: Classes,
    zwarn_zero: Option<bool>,
    z: Stretch,
}

#[derive(Debug, Clone, PartialEq)]
enum Classes {
    All,
    These(Vec<String>),
    AllBut(Vec<String>),
}

/// The kinds of objects that may match.
fn kinds(condition: &Predicate) -> Vec<Kind> {
    let texts = condition.compared_with("spectype").into_iter();
    let classes: BTreeSet<String> = texts
        .filter_map(|literal| match literal {
            Literal::Text(text) => Some(text),
            _ => None,
        })
        .collect();
    let numbers = condition.compared_with("z").into_iter().filter_map(|literal| match literal {
        Literal::Number(number) => Some(number.to_f64()).filter(|z| z.is_finite()),
        _ => None,
    });
    let mut ends: Vec<f64> = numbers.collect();
    ends.sort_unstable_by(f64::total_cmp);
    ends.dedup();
    if 2 * (classes.len() + 1) * (ends.len() + 1) > KINDS_MAX {
        return vec![Kind { classes: Classes::All, zwarn_zero: None, z: (None, None) }];
    }
    let mut stretches: Vec<(Stretch, [Vec<bool>; 2])> = Vec::new();
    for place in 0..=ends.len() {
        let first = place.checked_sub(1).and_then(|before| ends.get(before).copied());
        let last = ends.get(place).copied();
        let matching = [true, false].map(|zero| {
            let classes = classes.iter().map(String::as_str).chain([ANOTHER]);
            classes.map(|class| may_match(condition, class, zero, (first, last))).collect()
        });
        match stretches.last_mut() {
            Some(((_, end), alike)) if *alike == matching => *end = last,
            _ => stretches.push(((first, last), matching)),
        }
    }
    let mut kinds = Vec::new();
    for (z, [good, bad]) in stretches {
        let qualities = if good == bad {
            vec![(None, good)]
        } else {
            vec![(Some(true), good), (Some(false), bad)]
        };
        for (zwarn_zero, matching) in qualities {
            let classes = chosen(&classes, &matching);
            kinds.extend(classes.map(|classes| Kind { classes, zwarn_zero, z }));
        }
    }
    kinds
}

/// The classes that match, where the last of `matching` is about all that are not named.
fn chosen(named: &BTreeSet<String>, matching: &[bool]) -> Option<Classes> {
    let that = |wanted: bool| -> Vec<String> {
        named
            .iter()
            .zip(matching)
            .filter(|(_, is)| **is == wanted)
            .map(|(c, _)| c.clone())
            .collect()
    };
    let (these, but) = (that(true), that(false));
    match matching.last() {
        Some(true) if but.is_empty() => Some(Classes::All),
        Some(true) => Some(Classes::AllBut(but)),
        _ => (!these.is_empty()).then_some(Classes::These(these)),
    }
}

fn may_match(condition: &Predicate, class: &str, zwarn_zero: bool, (first, last): Stretch) -> bool {
    let whole =
        |min, max| Bounds { min, max, is_exact: false, null_count: Some(0), has_nan: Some(false) };
    let text = Some(Value::Text(class.to_owned()));
    let spectype = whole(text.clone(), text);
    let zwarn = match zwarn_zero {
        true => whole(Some(Value::Int(0)), Some(Value::Int(0))),
        false => whole(Some(Value::Int(1)), Some(Value::Int(i64::MAX.into()))),
    };
    let hair = |z: f64| HAIR * z.abs().max(1e-3);
    let above = first.map_or(f64::MIN, |z| z + hair(z));
    let below = last.map_or(f64::MAX, |z| z - hair(z)).max(above);
    let z = whole(Some(Value::Float(above)), Some(Value::Float(below)));
    let known = |name: &str| match name {
        "spectype" => Known::Bounds(&spectype),
        "zwarn" => Known::Bounds(&zwarn),
        "z" => Known::Bounds(&z),
        _ => Known::Unknown,
    };
    bounds::may(condition, 2, &known)
}

/// About which part of a file's rows lies in regions.
struct Parts<'a> {
    cover: Option<&'a [Range<i64>]>,
    /// How much of the cover is in the regions.
    filled: f64,
    known: HashMap<Option<(u8, u64)>, f64>,
}

impl<'a> Parts<'a> {
    fn of(query: &Query, cover: Option<&'a [Range<i64>]>) -> Self {
        let filled = cover.map_or(1.0, |cover| region::filled(&query.regions, cover));
        Self { cover, filled, known: HashMap::new() }
    }

    fn of_rows(&mut self, judged: &Judged) -> f64 {
        let rows = judged.file().num_rows.unwrap_or_default() as f64;
        let Some(cover) = self.cover else { return rows };
        let cell = layout::partition_of(Path::new(&judged.file().path));
        let part = self.known.entry(cell).or_insert_with(|| region::part_of(cover, cell));
        rows * *part * self.filled
    }
}

/// About how many rows of the answer match.
async fn rows(
    resolver: &Resolver,
    condition: &Predicate,
    demands: &Demands,
    judged: &[Judged<'_>],
    mut parts: Parts<'_>,
) -> Result<f64, Error> {
    let (cataloged, others): (Vec<&Judged>, Vec<&Judged>) =
        judged.iter().partition(|judged| judged.file().has_cells);
    let ids: Vec<i64> = cataloged.iter().map(|judged| judged.file().file_id).collect();
    let (mut all, mut inside, mut at_most) = (0.0, 0.0, 0.0);
    for judged in cataloged {
        all += judged.file().num_rows.unwrap_or_default() as f64;
        inside += parts.of_rows(judged);
        at_most += judged.rows_at_most as f64;
    }
    let mut counted = 0.0;
    for kind in kinds(condition) {
        let of = async |classes: Option<&[String]>| {
            resolver.estimate(&ids, classes, kind.zwarn_zero, kind.z).await
        };
        counted += match &kind.classes {
            Classes::All => of(None).await?,
            Classes::These(classes) => of(Some(classes)).await?,
            Classes::AllBut(classes) => of(None).await? - of(Some(classes)).await?,
        };
    }
    let share = if all > 0.0 { inside / all } else { 0.0 };
    let mut rows = (counted * share).min(at_most);
    for judged in others {
        rows += parts.of_rows(judged).min(judged.rows_at_most as f64);
    }
    let objects = demands.objects.as_ref().map_or(f64::INFINITY, |objects| objects.len() as f64);
    Ok(rows.min(objects))
}

/// What each step left, and about how many rows match.
pub(super) async fn explained(
    resolver: &Resolver,
    query: &Query,
    condition: &Predicate,
    demands: &Demands,
    pruned: &Pruned,
    judged: &[Judged<'_>],
    cover: Option<&[Range<i64>]>,
) -> Result<Explained, Error> {
    let mut steps = Vec::new();
    if let Some(files) = pruned.live_files {
        steps.push(Step { by: "live files of the product", files });
    }
    let mut left: Option<HashSet<i64>> = None;
    for (by, demands) in demands::steps(demands) {
        let named = resolver.files(&demands).await?.files;
        let named = named.iter().map(|candidate| candidate.file.file_id);
        let now: HashSet<i64> = match &left {
            Some(left) => named.filter(|id| left.contains(id)).collect(),
            None => named.collect(),
        };
        steps.push(Step { by, files: i64::try_from(now.len()).unwrap_or(i64::MAX) });
        left = Some(now);
    }
    steps.push(Step {
        by: "all bounds of files and row groups",
        files: i64::try_from(judged.len()).unwrap_or(i64::MAX),
    });
    let rows = rows(resolver, condition, demands, judged, Parts::of(query, cover)).await?;
    Ok(Explained { condition: condition.to_string(), steps, rows_estimated: rows.round() as i64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<Kind> {
        kinds(&Predicate::parse(text).expect("a predicate"))
    }

    fn kind(classes: Classes, zwarn_zero: Option<bool>, z: Stretch) -> Kind {
        Kind { classes, zwarn_zero, z }
    }

    #[test]
    fn a_condition_is_the_kinds_of_objects_that_it_is_about() {
        let these = |names: &[&str]| Classes::These(names.iter().map(|n| (*n).into()).collect());
        let but = |names: &[&str]| Classes::AllBut(names.iter().map(|n| (*n).into()).collect());
        let any = (None, None);
        for (text, wanted) in [
            ("ra > 3", vec![kind(Classes::All, None, any)]),
            (
                "spectype = 'QSO' AND zwarn = 0 AND z > 2.5",
                vec![kind(these(&["QSO"]), Some(true), (Some(2.5), None))],
            ),
            ("spectype <> 'STAR'", vec![kind(but(&["STAR"]), None, any)]),
            ("NOT (zwarn = 0)", vec![kind(Classes::All, Some(false), any)]),
            (
                "z < 0.1 OR z > 0.7 AND ra > 3",
                vec![
                    kind(Classes::All, None, (None, Some(0.1))),
                    kind(Classes::All, None, (Some(0.7), None)),
                ],
            ),
            (
                "zwarn = 0 AND (spectype = 'QSO' OR z > 1.5)",
                vec![
                    kind(these(&["QSO"]), Some(true), (None, Some(1.5))),
                    kind(Classes::All, Some(true), (Some(1.5), None)),
                ],
            ),
            ("z BETWEEN 1 AND 2", vec![kind(Classes::All, None, (Some(1.0), Some(2.0)))]),
            ("z IS NULL", vec![]),
        ] {
            assert_eq!(told(text), wanted, "{text}");
        }
        let many: Vec<String> = (0..600).map(|n| n.to_string()).collect();
        let many = format!("z NOT IN ({})", many.join(", "));
        assert_eq!(told(&many), [kind(Classes::All, None, any)]);
    }
}
