//! The catalog: rows of files become rows of the registry, by the hundred thousand a second.
//!
//! Files are taken in slices, so that memory stays bounded. Of each slice the columns that decide
//! which rows are primary are read first; then all catalog columns are read, encoded in parallel
//! and streamed into one COPY, each row written once and for good.

mod columns;
mod contest;
mod facts;
mod rows;

use super::walk::Seen;
use super::{Progress, Step, run_blocking};
use crate::registry::{Commit, Error, Rows, Table};
use crate::tile::Tile;
use columns::Failure;
use contest::{Primaries, last};
use rayon::prelude::*;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Rows of a slice: 24 bytes of memory each.
const SLICE_ROWS: i64 = 32 << 20;
/// Files of a slice.
const SLICE_FILES: usize = 64 << 10;
/// Files that are encoded side by side before they are sent.
const CHUNK_FILES: usize = 64;

/// A registered file whose rows belong into the catalog.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) file_id: i64,
    pub(super) seen: Seen,
    pub(super) num_rows: i64,
    pub(super) tile: Option<Tile>,
    /// Written by this program: its rows are those of the tile.
    pub(super) is_ours: bool,
    /// Whether it is new in this commit.
    pub(super) is_fresh: bool,
}

/// What a tile is sorted by where rows are equally good; unknown comes last.
type TileOrder<'a> = (
    (bool, Option<&'a str>),
    (bool, Option<&'a str>),
    (bool, Option<&'a str>),
    (bool, Option<i32>),
);

impl Candidate {
    fn tile_order(&self) -> TileOrder<'_> {
        let tile = self.tile.as_ref();
        (
            last(tile.map(|t| t.release.as_str())),
            last(tile.map(|t| t.survey.as_str())),
            last(tile.map(|t| t.program.as_str())),
            last(tile.map(|t| t.pixel.get() as i32)),
        )
    }
}

fn candidate_order(a: &Candidate, b: &Candidate) -> Ordering {
    a.tile_order().cmp(&b.tile_order()).then(a.file_id.cmp(&b.file_id))
}

/// What became of files whose rows were to be cataloged.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Rows that the catalog gained.
    pub(super) rows: i64,
    /// Files that could not be read, and why.
    pub(super) unreadable: Vec<(Candidate, String)>,
    /// Files that changed meanwhile.
    pub(super) unsettled: Vec<Candidate>,
    /// Files that were registered before and are in the catalog now.
    pub(super) caught_up: Vec<i64>,
}

/// Takes the rows of files into the catalog.
pub(super) async fn fill(
    commit: &Commit<'_>,
    root: PathBuf,
    candidates: Vec<Candidate>,
    progress: &Progress,
) -> Result<Outcome, Error> {
    let mut outcome = Outcome::default();
    let total = candidates.iter().map(|c| c.num_rows).sum();
    let ranges = slices(&candidates);
    let mut candidates = candidates.into_iter();
    for range in ranges {
        let mut slice: Vec<Candidate> = candidates.by_ref().take(range.len()).collect();
        commit.mark_savepoint().await?;
        // rows that turn out to be unreadable while others have been sent: once more without them
        loop {
            let filling = Slice { root: root.clone(), candidates: Arc::new(slice), commit };
            let (rows, failures) = filling.fill(outcome.rows, total, progress).await?;
            slice = Arc::unwrap_or_clone(filling.candidates);
            if failures.is_empty() {
                outcome.rows += rows;
                break;
            }
            commit.return_to_savepoint().await?;
            slice = outcome.set_aside(slice, failures);
        }
        outcome.caught_up.extend(slice.iter().filter(|c| !c.is_fresh).map(|c| c.file_id));
    }
    Ok(outcome)
}

impl Outcome {
    /// Parts the files that failed from those that may still succeed.
    fn set_aside(
        &mut self,
        slice: Vec<Candidate>,
        failures: Vec<(usize, Failure)>,
    ) -> Vec<Candidate> {
        let failed: HashSet<usize> = failures.iter().map(|(index, _)| *index).collect();
        for (index, failure) in failures {
            let Some(candidate) = slice.get(index).cloned() else { continue };
            match failure {
                Failure::Unreadable(reason) => self.unreadable.push((candidate, reason)),
                Failure::Unsettled => self.unsettled.push(candidate),
            }
        }
        let rest = slice.into_iter().enumerate().filter(|(index, _)| !failed.contains(index));
        rest.map(|(_, candidate)| candidate).collect()
    }
}

/// Cuts files into slices of bounded rows and number.
fn slices(candidates: &[Candidate]) -> Vec<Range<usize>> {
    let (mut slices, mut start, mut rows) = (Vec::new(), 0, 0i64);
    for (index, candidate) in candidates.iter().enumerate() {
        let with = rows.saturating_add(candidate.num_rows);
        if index > start && (with > SLICE_ROWS || index - start >= SLICE_FILES) {
            slices.push(start..index);
            (start, rows) = (index, candidate.num_rows);
        } else {
            rows = with;
        }
    }
    if start < candidates.len() {
        slices.push(start..candidates.len());
    }
    slices
}

struct Slice<'a> {
    root: PathBuf,
    candidates: Arc<Vec<Candidate>>,
    commit: &'a Commit<'a>,
}

type Failures = Vec<(usize, Failure)>;

impl Slice<'_> {
    /// Fills the catalog from the slice's files. Where some fail, what was sent must be undone.
    async fn fill(
        &self,
        done: i64,
        total: i64,
        progress: &Progress,
    ) -> Result<(i64, Failures), Error> {
        let (root, candidates) = (self.root.clone(), self.candidates.clone());
        let mut primaries = run_blocking(move || Primaries::among(&root, &candidates)).await;
        if !primaries.failures.is_empty() {
            return Ok((0, primaries.failures));
        }
        if !self.commit.is_catalog_empty().await? {
            primaries.meet(&self.candidates, self.commit).await?;
        }
        let (sender, mut receiver) = mpsc::channel(4);
        let (root, candidates) = (self.root.clone(), self.candidates.clone());
        let encoding = run_blocking(move || encode_all(&root, &candidates, &primaries, &sender));
        let sending = async {
            let mut counts = (Rows::default(), Rows::default(), Vec::new());
            let mut stream = self.commit.copy_in(Table::Catalog).await?;
            let mut rows = 0;
            while let Some(chunk) = receiver.recv().await {
                for file in chunk {
                    match file {
                        Encoded::Rows { catalog, file_id, facts, classes } => {
                            rows += catalog.count() as i64;
                            stream.send(catalog).await?;
                            counts.0.facts(file_id, &facts);
                            classes.iter().for_each(|class| counts.1.class(file_id, class));
                        }
                        Encoded::Failed(index, failure) => counts.2.push((index, failure)),
                    }
                }
                progress(Step::Rows { done: (done + rows) as u64, total: total as u64 });
            }
            stream.finish().await?;
            self.commit.copy(Table::Facts, counts.0).await?;
            self.commit.copy(Table::Classes, counts.1).await?;
            Ok((rows, counts.2))
        };
        let ((), sent) = tokio::join!(encoding, sending);
        sent
    }
}

/// A file's rows, ready to be sent.
enum Encoded {
    Rows {
        file_id: i64,
        catalog: Rows,
        facts: crate::registry::FactsRow,
        classes: Vec<crate::registry::ClassRow>,
    },
    Failed(usize, Failure),
}

fn encode_all(
    root: &std::path::Path,
    candidates: &[Candidate],
    primaries: &Primaries,
    sender: &mpsc::Sender<Vec<Encoded>>,
) {
    let indices: Vec<usize> = (0..candidates.len()).collect();
    for chunk in indices.chunks(CHUNK_FILES) {
        let encode = |&index: &usize| {
            let candidate = &candidates[index];
            let is_primary = |row| primaries.is_primary(index, row);
            match rows::encode(root, candidate, is_primary) {
                Ok((catalog, tally)) => {
                    let (facts, classes) = tally.finish();
                    Encoded::Rows { file_id: candidate.file_id, catalog, facts, classes }
                }
                Err(failure) => Encoded::Failed(index, failure),
            }
        };
        // the other end went away: the sync has failed, and says so
        if sender.blocking_send(chunk.par_iter().map(encode).collect()).is_err() {
            return;
        }
    }
}
