//! Resolution: which files, and which row groups of them, may hold the rows that are asked for.
//!
//! Never too little, as little too much as possible. Stage one is one statement over indexed
//! columns of the registry (`demands`); stage two judges what is left by all the bounds that the
//! registry keeps, with the whole predicate (`judge`). Both see one snapshot, so that an answer
//! is as of one commit.

mod aligned;
mod demands;
mod estimate;
mod judge;
pub(crate) mod past;
pub(crate) mod place;
mod quick;
mod region;
pub(crate) mod tables;

use crate::predicate::{self, Predicate, column};
use crate::process::map_many;
use crate::registry::candidates::{Candidate, CandidateRow};
use crate::registry::resolve::{Columns, Resolver};
use crate::registry::tables::Wanted;
use crate::registry::{self, Registry};
use crate::sky::{self, Region};
use crate::withdraw::Version;
use aligned::Sides;
use estimate::explained;
use judge::{Judged, Judges};
use past::Whereabouts;
use place::Places;
use serde::Serialize;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// What is asked. Everything that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Condition on columns.
    pub predicate: Option<Predicate>,
    /// Parts of the sky, all of which hold the positions.
    pub regions: Vec<Region>,
    /// Objects, by TARGETID.
    pub target_ids: Option<Vec<i64>>,
    /// Objects, by a query of the registry's database that gives one column of TARGETIDs.
    pub sql: Option<String>,
    /// Product; [`crate::layout::SPECTRA`] by default.
    pub product: Option<String>,
    /// As of which commit; now by default.
    pub as_of: Option<i64>,
    /// Columns that will be read. Those that other products of a tile have are found there, too.
    pub columns: Option<Vec<String>>,
}

impl Query {
    /// Condition and listed objects as one predicate; neither regions nor the SQL are part of it.
    #[must_use]
    pub fn condition(&self) -> Predicate {
        let objects = self.target_ids.as_deref().map(tables::one_of);
        match (self.predicate.clone(), objects) {
            (Some(predicate), Some(objects)) => predicate.and(objects),
            (one, other) => one.or(other).unwrap_or(Predicate::Constant(Some(true))),
        }
    }

    /// Whether rows may match in which a column is NULL.
    #[must_use]
    pub fn may_be_null(&self, name: &str) -> bool {
        let wanted = column::fold(name);
        aligned::may_be_null(&self.condition(), |name| column::fold(name) == wanted)
    }

    /// The product asked for.
    #[must_use]
    pub fn product(&self) -> &str {
        self.product.as_deref().unwrap_or(crate::layout::SPECTRA)
    }
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Resolution {
    /// Of this form: 1.
    pub version: u32,
    /// The registry's commit that the answer is as of; 0 before the first.
    pub commit: i64,
    /// Files that may hold matching rows, by path.
    pub files: Vec<ResolvedFile>,
    /// What was left out.
    pub pruned: Pruned,
    /// Objects of the question's SQL, where rows of some files can only be told by them.
    #[serde(skip)]
    pub targets: Option<Vec<i64>>,
    /// Of an answer without files: others of the product, of which none is read but the columns.
    #[serde(skip)]
    pub patterns: Vec<ResolvedFile>,
}

/// A file that may hold matching rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ResolvedFile {
    /// Number of this version of the file in the registry.
    pub file_id: i64,
    /// Node where its bytes are local.
    pub node: Arc<str>,
    /// Absolute path on that node.
    pub path: PathBuf,
    /// What can be opened from here; `None` where nothing can.
    pub uri: Option<String>,
    /// Product it belongs to.
    pub product: Arc<str>,
    /// Rows in the file.
    pub num_rows: i64,
    /// Row groups that may hold matching rows, from 0.
    pub row_groups: Vec<usize>,
    /// Rows of each of these, where the file has several and it is known.
    #[serde(skip)]
    pub spans: Vec<Range<i64>>,
    /// All row groups that the file has.
    #[serde(skip)]
    pub row_groups_in_file: usize,
    /// Rows that hold objects of the question's SQL, from 0, ascending; `None`: not asked, or not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<Vec<i32>>,
    /// Size of the whole file.
    pub size_bytes: i64,
    /// Files with the same number have the same columns.
    #[serde(skip)]
    pub schema_id: Option<i32>,
    /// When it was last modified, nanoseconds since 1970.
    #[serde(skip)]
    pub mtime_ns: i64,
    /// The commit that took it out, where that has happened since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_commit: Option<i64>,
    /// Why it cannot be read any more, and what to do; `uri` is `None` then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<String>,
    /// Files of other products that the question is about: row n of each is row n of this file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aligned: Vec<ResolvedFile>,
}

/// How much is told besides the files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Nothing that costs more.
    #[default]
    Files,
    /// How many files there are, too.
    Counted,
    /// And what each step left, and about how many rows match.
    Explained,
}

/// Counts of what was left out, and what remains.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Pruned {
    /// Live files of the product; `None`: more than 100,000, or not counted.
    pub live_files: Option<i64>,
    /// Files left by the registry's indexes.
    pub indexed_files: usize,
    /// Files left by all bounds: those of the answer.
    pub files: usize,
    /// Files left out because a product that the question is about has none that zips with them.
    #[serde(skip_serializing_if = "is_zero")]
    pub unaligned: usize,
    /// Row groups in the files of the answer.
    pub row_groups_in_files: usize,
    /// Row groups of the answer.
    pub row_groups: usize,
    /// Rows in the row groups of the answer: no more can match.
    pub rows_at_most: i64,
    /// Step by step, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explained: Option<Explained>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// What each step left.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explained {
    /// The question as it was understood.
    pub condition: String,
    /// Steps in order.
    pub steps: Vec<Step>,
    /// About how many rows match.
    pub rows_estimated: i64,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// What was looked at.
    pub by: &'static str,
    /// Files left after it.
    pub files: i64,
}

/// Why a question cannot be resolved.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// The question is about what no file has.
    #[error(transparent)]
    Predicate(#[from] predicate::Error),
    /// No live file belongs to the product.
    #[error("no product '{product}': the registry has {}", known.join(", "))]
    UnknownProduct {
        /// As it was asked for.
        product: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// Several other products have a column.
    #[error("column '{column}' is in the products {}: ask for one of them with --product", products.join(" and "))]
    Ambiguous {
        /// The column.
        column: String,
        /// The products.
        products: Vec<String>,
    },
}

impl Error {
    /// Whether the question, not the registry, is at fault.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Registry(error) => error.is_usage(),
            _ => true,
        }
    }
}

/// Answers a question from the registry.
///
/// A column that the product lacks is looked for in the other products of its tiles.
///
/// # Errors
/// [`Error`]; an answer without files is no error.
pub async fn resolve(
    registry: &Registry,
    query: &Query,
    detail: Detail,
) -> Result<Resolution, Error> {
    if query.columns.is_none() {
        match alone(registry, query, detail).await {
            Err(Error::Predicate(predicate::Error::UnknownColumn { .. })) => {}
            done => return done,
        }
    }
    let sides = Sides::of(&registry.resolver(query.as_of).await?, query).await?;
    if sides.is_empty() {
        return alone(registry, query, detail).await;
    }
    aligned::resolve(registry, query, detail, &sides).await
}

/// How the database's server looks for the files of a question about one product now, beside its SQL:
/// the plan, line by line.
///
/// # Errors
/// [`Error`].
pub async fn plan(registry: &Registry, query: &Query) -> Result<Vec<String>, Error> {
    let cover = sky::region::cover(&query.regions);
    let demands = demands::of(query, &query.condition(), cover.as_deref()).unwrap_or_default();
    Ok(registry.resolver(None).await?.plan(&demands).await?)
}

/// Answers a question about one product.
async fn alone(registry: &Registry, query: &Query, detail: Detail) -> Result<Resolution, Error> {
    let (resolver, wanted) = tables::ask(registry, query).await?;
    let answer = answered(&resolver, query, detail, wanted).await;
    resolver.end().await;
    answer
}

/// The same, by a connection that was told in which rows people's tables want objects.
async fn answered(
    resolver: &Resolver,
    query: &Query,
    detail: Detail,
    wanted: Option<Wanted>,
) -> Result<Resolution, Error> {
    let mut condition = query.condition();
    let cover = sky::region::cover(&query.regions);
    let mut demands = demands::of(query, &condition, cover.as_deref());
    let shell = demands::shell(&condition);
    if let Some(wanted) = &wanted {
        demands = demands.map(|demands| wanted.narrow(demands));
        condition = wanted.condition(&condition);
    }
    let asked = demands.clone().unwrap_or_default();
    let (answer, places) = tokio::join!(resolver.files(&asked), resolver.places());
    let (mut answer, mut places) = (answer?, Places::reachable(&places?));
    if demands.is_none() {
        answer.files.clear();
    }
    if let Some(wanted) = &wanted {
        wanted.locate(&mut answer.files);
    }
    let candidates = &answer.files;
    let lake_of = |candidate: &Candidate| candidate.file.lake_id;
    let mut runs = candidates.chunk_by(|a, b| lake_of(a) == lake_of(b));
    if runs.any(|run| run.first().is_some_and(|candidate| !places.has(lake_of(candidate)))) {
        places = Places::reachable(&resolver.places_now().await?);
    }
    let mut pruned = Pruned { indexed_files: candidates.len(), ..Pruned::default() };
    if candidates.is_empty() && resolver.remembered(query.product()).is_none() {
        check_product(resolver, query.product()).await?;
    }
    if detail >= Detail::Counted {
        pruned.live_files = resolver.product_files(query.product()).await?;
    }
    let judges =
        Judges::new(resolver, candidates, &condition, shell, &query.regions, cover.as_deref())
            .await?
            .with_objects_located(wanted.is_none());
    check_columns(resolver, query, &condition, &judges).await?;
    let judged = judges.judge(resolver, candidates).await?;
    let mut judged = by_path(judged, &places);
    if wanted.is_some() {
        judged.iter_mut().for_each(Judged::count_located);
    }
    if detail == Detail::Explained {
        let cover = cover.as_deref();
        let explained =
            explained(resolver, query, &query.condition(), &asked, &pruned, &judged, cover).await?;
        pruned.explained = Some(explained);
    }
    for judged in &judged {
        pruned.row_groups_in_files += judged.row_groups_in_file;
        pruned.row_groups += judged.row_groups.len();
        pruned.rows_at_most += judged.rows_at_most;
    }
    let whereabouts = Mutex::default();
    let product: Arc<str> = query.product().into();
    let files = map_many(judged, |judged| {
        let rows = judged.candidate.located.clone().filter(|_| wanted.is_some());
        ResolvedFile { rows, ..resolved(judged, &product, &places, &whereabouts) }
    });
    pruned.files = files.len();
    let targets = wanted.and_then(|wanted| wanted.targets);
    let patterns = match files.is_empty() {
        true => patterns(resolver, &product, &places).await?,
        false => Vec::new(),
    };
    Ok(Resolution { version: 1, commit: answer.commit, files, pruned, targets, patterns })
}

/// What files of a product look like: one of each schema that can be opened, without row groups.
async fn patterns(
    resolver: &Resolver,
    product: &Arc<str>,
    places: &Places,
) -> Result<Vec<ResolvedFile>, Error> {
    let whereabouts = Mutex::default();
    let found = resolver.patterns(product).await?;
    let patterns = found.iter().map(|candidate| {
        let file = resolved(judge::whole(candidate), product, places, &whereabouts);
        ResolvedFile { row_groups: Vec::new(), ..file }
    });
    Ok(patterns.filter(|file| file.uri.is_some()).collect())
}

impl Resolution {
    /// Its files, each followed by those that stand beside it.
    pub fn all_files(&self) -> impl Iterator<Item = &ResolvedFile> {
        self.files.iter().flat_map(|file| std::iter::once(file).chain(&file.aligned))
    }

    /// What a person is to know who asks other products: files that were left out, in words.
    #[must_use]
    pub fn left_out(&self) -> Option<String> {
        let files = Some(self.pruned.unaligned).filter(|files| *files > 0)?;
        Some(format!(
            "{files} files were left out: what the question asks of other products has not been made for them, or anew: see `bifrost stage list`"
        ))
    }

    /// Counts again what is left once files or row groups were taken out.
    fn recount(&mut self) {
        let rows = |file: &ResolvedFile| match file.spans.as_slice() {
            [] => file.num_rows,
            spans => spans.iter().map(|span| span.end - span.start).sum(),
        };
        let wanted = |file: &ResolvedFile| {
            let wanted = file.rows.as_ref().and_then(|rows| i64::try_from(rows.len()).ok());
            rows(file).min(wanted.unwrap_or(i64::MAX))
        };
        self.pruned.files = self.files.len();
        let groups = self.files.iter().map(|file| file.row_groups_in_file);
        self.pruned.row_groups_in_files = groups.sum();
        self.pruned.row_groups = self.files.iter().map(|file| file.row_groups.len()).sum();
        self.pruned.rows_at_most = self.files.iter().map(wanted).sum();
    }
}

/// Puts files into the order of their paths, those of several nodes in the order of these.
///
/// Paths begin alike and lie all over memory: what comes behind their common beginning is mostly
/// enough to compare.
fn by_path<'a>(judged: Vec<Judged<'a>>, places: &Places) -> Vec<Judged<'a>> {
    let first = judged.first().map(|judged| judged.file().path.as_bytes()).unwrap_or_default();
    let alike = |path: &[u8]| path.iter().zip(first).take_while(|(a, b)| a == b).count();
    let alike = |judged: &Judged| alike(judged.file().path.as_bytes());
    let common = map_many(judged.iter().collect(), alike).into_iter().min();
    let key = |judged: &Judged| {
        let rest = judged.file().path.as_bytes().iter().skip(common.unwrap_or_default());
        let mut key = [0; 16];
        key.iter_mut().zip(rest).for_each(|(key, byte)| *key = *byte);
        u128::from_be_bytes(key)
    };
    let rest = |judged: &Judged<'a>| {
        let file = &judged.candidate.file;
        (file.path.as_str(), places.node_of(file.lake_id), file.file_id)
    };
    let mut keyed = map_many(judged, |judged| (key(&judged), judged));
    keyed.sort_unstable_by(|(a, one), (b, other)| {
        a.cmp(b).then_with(|| rest(one).cmp(&rest(other)))
    });
    keyed.into_iter().map(|(_, judged)| judged).collect()
}

fn resolved(
    judged: Judged,
    product: &Arc<str>,
    places: &Places,
    whereabouts: &Mutex<Whereabouts>,
) -> ResolvedFile {
    let Candidate { file, past, .. } = judged.candidate;
    let CandidateRow { file_id, lake_id, path, num_rows, size_bytes, schema_id, mtime_ns, .. } =
        &**file;
    let relative = path;
    let (path, mut uri) = places.of(*lake_id, path);
    let mut lost = None;
    if let Some(past) = past {
        let version = Version { size_bytes: *size_bytes, mtime_ns: *mtime_ns, inode: past.inode };
        let folder = places.folder_of(*lake_id);
        let mut whereabouts = whereabouts.lock().unwrap_or_else(PoisonError::into_inner);
        let found = folder.and_then(|folder| whereabouts.find(folder, relative, version));
        lost = (folder.is_some() && found.is_none()).then(|| past::why_lost(past));
        uri = found.map(|found| found.display().to_string());
    }
    ResolvedFile {
        file_id: *file_id,
        node: places.node_of(*lake_id).cloned().unwrap_or_default(),
        path,
        uri,
        product: product.clone(),
        num_rows: num_rows.unwrap_or_default(),
        row_groups: judged.row_groups,
        spans: judged.spans,
        row_groups_in_file: judged.row_groups_in_file,
        rows: None,
        size_bytes: *size_bytes,
        schema_id: *schema_id,
        mtime_ns: *mtime_ns,
        ended_commit: past.as_ref().map(|past| past.ended_commit),
        lost,
        aligned: Vec::new(),
    }
}

/// A product without files is a slip of the pen, unless there is no product at all.
async fn check_product(resolver: &Resolver, product: &str) -> Result<(), Error> {
    let known = resolver.products().await?;
    if known.is_empty() || known.iter().any(|known| known == product) {
        return Ok(());
    }
    Err(Error::UnknownProduct { product: product.to_owned(), known })
}

/// Every column must be in some file of the product, and be comparable with its literal there.
async fn check_columns(
    resolver: &Resolver,
    query: &Query,
    condition: &Predicate,
    judges: &Judges<'_>,
) -> Result<(), Error> {
    let mut names = condition.columns();
    if !query.regions.is_empty() {
        names.extend(["ra", "dec"]);
    }
    if names.iter().all(|name| judges.has(name)) {
        return Ok(judges.check_types(condition)?);
    }
    let require = |schemas: &[Columns]| {
        let all = || schemas.iter().flat_map(|columns| columns.iter()).map(|c| c.name.as_str());
        names.iter().try_for_each(|name| column::require(all(), name))
    };
    // a column that was there once can be asked for; one that was not may have come since
    if resolver.remembered(query.product()).is_some_and(|schemas| require(&schemas).is_ok()) {
        return Ok(());
    }
    let ids = resolver.product_schemas(query.product()).await?;
    if ids.is_empty() {
        return Ok(());
    }
    let schemas = resolver.schemas(&ids).await?;
    let schemas: Vec<Columns> = schemas.into_iter().map(|(_, columns)| columns).collect();
    Ok(require(&schemas)?)
}
