//! What of a question the registry's indexes can be asked.

use super::Query;
use super::region::{demanded, pixels};
use crate::occupancy::{self, Shell};
use crate::predicate::Predicate;
use crate::predicate::needs::{self, Interval};
use crate::registry::demands::Demands;
use std::ops::Range;

/// The demands of a question whose regions have that cover; `None` if nothing can fulfil them.
pub(super) fn of(
    query: &Query,
    condition: &Predicate,
    cover: Option<&[Range<i64>]>,
) -> Option<Demands> {
    let float = |name| Interval::<f64>::of(condition, name);
    let int = |name| Interval::<i64>::of(condition, name);
    let texts = |name| needs::texts(condition, name).map(Vec::from_iter);
    let (z, deltachi2) = (float("z"), float("deltachi2"));
    let (zwarn, target_id) = (int("zwarn"), int("target_id"));
    if z.is_empty() || deltachi2.is_empty() || zwarn.is_empty() || target_id.is_empty() {
        return None;
    }
    let spectypes = texts("spectype");
    let objects = needs::integers(condition, "target_id").map(Vec::from_iter);
    let releases = texts("release");
    let demands = Demands {
        product: query.product().to_owned(),
        sky: cover.map(pixels),
        area: demanded(condition).map(|cover| pixels(&cover)),
        z: z.ends(),
        deltachi2: deltachi2.ends(),
        zwarn: zwarn.ends(),
        target_id: target_id.ends(),
        cells: occupancy::demanded(spectypes.as_deref(), zwarn_zero(zwarn), z),
        spectypes,
        release_cells: releases.as_deref().map(occupancy::release_cells),
        releases,
        surveys: texts("survey"),
        programs: texts("program"),
        healpixes: needs::integers(condition, "healpix").map(Vec::from_iter),
        objects,
        ..Demands::default()
    };
    let lists = [&demands.spectypes, &demands.releases, &demands.surveys, &demands.programs];
    let is_empty = lists.into_iter().flatten().any(Vec::is_empty);
    let no_objects = demands.objects.as_ref().is_some_and(Vec::is_empty);
    (!is_empty && !no_objects).then_some(demands)
}

/// The redshift of which class and quality a matching row must have.
pub(super) fn shell(condition: &Predicate) -> Option<Shell> {
    let spectypes = needs::texts(condition, "spectype").map(Vec::from_iter);
    let zwarn = zwarn_zero(Interval::<i64>::of(condition, "zwarn"));
    Shell::demanded(spectypes.as_deref(), zwarn, Interval::<f64>::of(condition, "z"))
}

/// Whether matching rows have `zwarn = 0` (or have not); `None`: either.
pub(super) fn zwarn_zero(zwarn: Interval<i64>) -> Option<bool> {
    match (zwarn.first, zwarn.last) {
        (0, 0) => Some(true),
        (first, last) if first > 0 || last < 0 => Some(false),
        _ => None,
    }
}

/// The demands added up one kind after the other, each with its name; kinds that ask nothing are
/// left out.
pub(super) fn steps(all: &Demands) -> Vec<(&'static str, Demands)> {
    let mut so_far = Demands { product: all.product.clone(), ..Demands::default() };
    let mut steps = Vec::new();
    if all.sky.is_some() {
        so_far.sky.clone_from(&all.sky);
        steps.push(("sky cover of the region", so_far.clone()));
    }
    let spectypes = None;
    let (sky, files) = (so_far.sky, None);
    so_far = Demands { sky, cells: None, objects: None, spectypes, files, ..all.clone() };
    steps.push(("indexed bounds and tile keys", so_far));
    if all.cells.is_some() {
        let classes = Demands { objects: None, files: None, ..all.clone() };
        steps.push(("objects by class, quality and redshift", classes));
    }
    if all.objects.is_some() {
        let objects = Demands { files: None, ..all.clone() };
        steps.push(("catalog of objects", objects));
    }
    if all.files.is_some() {
        steps.push(("objects of the SQL", all.clone()));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demands(text: &str) -> Option<Demands> {
        let predicate = Predicate::parse(text).expect("a predicate");
        let query = Query { predicate: Some(predicate), ..Query::default() };
        of(&query, &query.condition(), None)
    }

    #[test]
    fn the_historic_cut_asks_three_indexes() {
        let asked = demands("spectype = 'QSO' AND zwarn = 0 AND z > 2.5").expect("possible");
        assert_eq!(asked.spectypes, Some(vec!["QSO".into()]));
        assert_eq!(asked.z, (Some(2.5), None));
        // 2.5 to 2.7 in four narrow cells, wide ones from there on
        assert_eq!(asked.cells.map(|cells| (cells[0], cells.len())), Some((768 + 52, 4 + 11)));
        assert_eq!(steps(&demands("z > 2").expect("possible")).len(), 2);
    }

    #[test]
    fn contradictions_ask_nobody() {
        for text in ["z > 3 AND z < 2", "spectype IN ('QSO') AND spectype = 'STAR'", "zwarn = NULL"]
        {
            assert!(demands(text).is_none(), "{text}");
        }
    }
}
