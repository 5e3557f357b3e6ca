//! Questions about columns of several products of a tile: which files zip, row by row.
//!
//! The product that is asked for is resolved by the parts of the condition that are about its own
//! columns. Beside each of its files stands the file of each other product that has the same rows in
//! the same order, and was made of what is live; that is judged by the parts about its columns. Parts
//! that mix products are left to the reader. Where a tile has no such file, its columns are NULL.

use super::judge::{Judged, Judges};
use super::place::Places;
use super::{Detail, Error, Query, Resolution, ResolvedFile, Step, alone, patterns, resolved};
use crate::bounds::Known;
use crate::predicate::{Predicate, bounds, column};
use crate::read::elsewhere;
use crate::registry::Registry;
use crate::registry::resolve::Resolver;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::iter;
use std::ops::Range;
use std::sync::Mutex;

/// Columns of a question that other products have, by product.
#[derive(Debug, Default)]
pub(super) struct Sides(BTreeMap<String, BTreeSet<String>>);

impl Sides {
    /// Looks which products have the columns that the product asked for lacks.
    pub(super) async fn of(resolver: &Resolver, query: &Query) -> Result<Self, Error> {
        let condition = query.condition();
        let mut names: BTreeSet<String> =
            condition.columns().into_iter().map(column::fold).collect();
        names.extend(query.columns.iter().flatten().map(|name| column::fold(name)));
        let own = columns(resolver, query.product()).await?;
        names.retain(|name| !own.contains(name));
        let mut holders: BTreeMap<String, Vec<String>> = BTreeMap::new();
        if !names.is_empty() {
            for product in resolver.products().await? {
                if product == query.product() {
                    continue;
                }
                let held = columns(resolver, &product).await?;
                for name in names.intersection(&held) {
                    holders.entry(name.clone()).or_default().push(product.clone());
                }
            }
        }
        let mut sides = Self::default();
        for (column, mut products) in holders {
            match (products.pop(), products.is_empty()) {
                (Some(product), true) => {
                    sides.0.entry(product).or_default().insert(column);
                }
                (last, _) => {
                    products.extend(last);
                    return Err(Error::Ambiguous { column, products });
                }
            }
        }
        Ok(sides)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn have(&self, name: &str) -> bool {
        self.0.values().any(|columns| columns.contains(&column::fold(name)))
    }
}

/// Folded names of the columns of a product, with those that it has by its spectra stores.
async fn columns(resolver: &Resolver, product: &str) -> Result<BTreeSet<String>, Error> {
    let ids = resolver.product_schemas(product).await?;
    let schemas = resolver.schemas(&ids).await?;
    let names = schemas.iter().flat_map(|(_, columns)| {
        let own = columns.iter().map(|held| held.name.as_ref());
        elsewhere(own.clone()).into_iter().chain(own)
    });
    Ok(names.map(column::fold).collect())
}

/// Answers a question about several products.
pub(super) async fn resolve(
    registry: &Registry,
    query: &Query,
    detail: Detail,
    sides: &Sides,
) -> Result<Resolution, Error> {
    let own = query.predicate.as_ref().and_then(|all| part(all, |name| !sides.have(name)));
    let mut own = Query { predicate: own, columns: None, ..query.clone() };
    let mut answer = alone(registry, &own, detail).await?;
    let rows = |answer: &Resolution| answer.files.iter().map(|file| file.num_rows).sum::<i64>();
    let rows_alone = rows(&answer);
    for (product, columns) in &sides.0 {
        let resolver = registry.resolver(own.as_of).await?;
        let side = Side { product, columns, query };
        if side.join(&resolver, &mut answer).await?.is_none() {
            // a commit came between: as of one, nothing changes
            own.as_of = Some(answer.commit);
            let then = Query { as_of: own.as_of, ..query.clone() };
            return Box::pin(resolve(registry, &then, detail, sides)).await;
        }
    }
    let rows_left = rows(&answer);
    if answer.files.is_empty() {
        answer.patterns =
            zipped_patterns(&registry.resolver(own.as_of).await?, query, sides).await?;
    }
    if let Some(explained) = &mut answer.pruned.explained {
        explained.condition = query.condition().to_string();
        let files = i64::try_from(answer.files.len()).unwrap_or(i64::MAX);
        explained.steps.push(Step { by: "files of other products beside them", files });
        let share = rows_left as f64 / rows_alone.max(1) as f64;
        let about = (explained.rows_estimated as f64 * share).round() as i64;
        explained.rows_estimated = about.min(answer.pruned.rows_at_most);
    }
    Ok(answer)
}

/// What an answer without files looks like: files of the product, and beside each those of the others.
async fn zipped_patterns(
    resolver: &Resolver,
    query: &Query,
    sides: &Sides,
) -> Result<Vec<ResolvedFile>, Error> {
    let places = Places::reachable(&resolver.places().await?);
    let mut own = patterns(resolver, &query.product().into(), &places).await?;
    for product in sides.0.keys() {
        let beside = patterns(resolver, &product.as_str().into(), &places).await?;
        own.iter_mut().for_each(|file| file.aligned.extend(beside.iter().cloned()));
    }
    Ok(own)
}

/// Whether rows match in which certain columns are NULL.
pub(super) fn may_be_null(condition: &Predicate, is_null: impl Fn(&str) -> bool) -> bool {
    let known = |name: &str| if is_null(name) { Known::Absent } else { Known::Unknown };
    bounds::may(condition, 1, &known)
}

/// The conjuncts of a predicate that are about certain columns only.
fn part(predicate: &Predicate, has: impl Fn(&str) -> bool) -> Option<Predicate> {
    let mut found = Vec::new();
    let mut left = vec![predicate];
    while let Some(next) = left.pop() {
        match next {
            Predicate::And(parts) => left.extend(parts.iter().rev()),
            next if next.columns().into_iter().all(&has) => found.push(next.clone()),
            _ => {}
        }
    }
    found.into_iter().reduce(Predicate::and)
}

/// Another product of the tiles of an answer.
struct Side<'a> {
    product: &'a str,
    /// Of the question, folded.
    columns: &'a BTreeSet<String>,
    query: &'a Query,
}

impl Side<'_> {
    fn has(&self, name: &str) -> bool {
        self.columns.contains(&column::fold(name))
    }

    /// Whether rows match that have none of its columns.
    fn is_optional(&self, condition: &Predicate) -> bool {
        may_be_null(condition, |name| self.has(name))
    }

    /// Puts its files beside those of an answer; `None` if the registry is not as of that any more.
    async fn join(
        &self,
        resolver: &Resolver,
        answer: &mut Resolution,
    ) -> Result<Option<()>, Error> {
        let ids: Vec<i64> = answer.files.iter().map(|file| file.file_id).collect();
        let found = resolver.aligned(&ids, self.product).await?;
        if found.commit != answer.commit {
            return Ok(None);
        }
        let all = self.query.condition();
        let condition = part(&all, |name| self.has(name));
        let condition = condition.unwrap_or(Predicate::Constant(Some(true)));
        let judges = Judges::new(resolver, &found.files, &condition, None, &[], None).await?;
        judges.check_types(&condition)?;
        let judged = judges.judge(resolver, &found.files).await?;
        let beside: HashMap<i64, i64> = found
            .own
            .iter()
            .zip(&found.files)
            .map(|(own, candidate)| (candidate.file.file_id, *own))
            .collect();
        let mut kept: HashMap<i64, Judged> = HashMap::new();
        for judged in judged {
            if let Some(own) = beside.get(&judged.file().file_id) {
                kept.entry(*own).or_insert(judged);
            }
        }
        let has_one: BTreeSet<i64> = found.own.into_iter().collect();
        let is_optional = self.is_optional(&all);
        let places = Places::reachable(&resolver.places().await?);
        let whereabouts = Mutex::default();
        let product = self.product.into();
        let files = std::mem::take(&mut answer.files);
        for mut own in files {
            let side = kept.remove(&own.file_id);
            let is_judged_out = side.is_none() && has_one.contains(&own.file_id);
            match side {
                Some(side) => {
                    let side = resolved(side, &product, &places, &whereabouts);
                    if narrow(&mut own, &side) {
                        own.aligned.push(side);
                        answer.files.push(own);
                    }
                }
                None if is_judged_out => {}
                None if is_optional => answer.files.push(own),
                None => answer.pruned.unaligned += 1,
            }
        }
        answer.recount();
        Ok(Some(()))
    }
}

/// Leaves out row groups that lie where the other file has none; whether any are left.
fn narrow(own: &mut ResolvedFile, side: &ResolvedFile) -> bool {
    let (Some(spans), Some(others)) = (spans(own), spans(side)) else { return true };
    let meets = |span: &Range<i64>| {
        others.iter().any(|other| other.start < span.end && span.start < other.end)
    };
    let kept: Vec<bool> = spans.iter().map(meets).collect();
    let mut keep = kept.iter().copied();
    own.row_groups.retain(|_| keep.next().unwrap_or(true));
    let mut keep = kept.iter().copied();
    own.spans.retain(|_| keep.next().unwrap_or(true));
    !own.row_groups.is_empty()
}

/// Rows of the row groups of an answer; `None` where they are not known.
fn spans(file: &ResolvedFile) -> Option<Vec<Range<i64>>> {
    match (file.spans.as_slice(), file.row_groups.as_slice()) {
        ([], [0]) => Some(iter::once(0..file.num_rows).collect()),
        (spans, groups) if spans.len() == groups.len() => Some(spans.to_vec()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conjuncts_are_parted_by_their_columns() {
        let predicate = Predicate::parse("z > 2 AND (snr > 3 OR z < 5) AND snr < 9 AND zwarn = 0");
        let predicate = predicate.expect("a predicate");
        let text = |has: fn(&str) -> bool| part(&predicate, has).map(|part| part.to_string());
        assert_eq!(text(|name| name == "snr").as_deref(), Some("snr < 9"));
        assert_eq!(text(|name| name != "snr").as_deref(), Some("z > 2 AND zwarn = 0"));
        assert_eq!(text(|name| name == "ra"), None);
    }
}
