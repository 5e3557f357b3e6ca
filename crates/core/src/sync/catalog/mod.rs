//! The catalog: rows of files become rows of the registry, by the hundred thousand a second.
//!
//! Files are taken in slices, so that memory stays bounded, and of each slice chunk by chunk, in
//! the order of the sky: one task reads and encodes chunks on all cores but one, the other sends
//! them. Which row of an object is primary is settled among the rows of a chunk before they are
//! sent. Then the rows meet those that the registry has: chunk by chunk, or, where an empty catalog
//! is filled and has no indexes yet, all at once in the end.

mod columns;
mod contest;
mod facts;
mod labels;
mod rows;

#[cfg(feature = "simulate")]
pub(super) use facts::{Observed, Tally};

use super::walk::Seen;
use super::{Progress, Step, run_blocking};
use crate::registry::{Commit, Error, RowStream, Rows, Table};
use crate::tile::Tile;
use columns::Failure;
use contest::{Contender, Places, beaten, meet};
use labels::Labels;
use rayon::prelude::*;
use rows::{Columns, Encoded};
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Rows of a slice: 30 bytes of memory each.
const SLICE_ROWS: i64 = 32 << 20;
/// Files of a slice.
const SLICE_FILES: usize = 64 << 10;
/// From so many rows on an empty catalog is filled without its indexes, which are built afterwards.
const BULK_ROWS: i64 = 100_000;
/// Rows, and files, that are read and encoded side by side before they are sent.
const CHUNK_ROWS: i64 = 16 << 10;
const CHUNK_FILES: usize = 256;

/// A registered file whose rows belong into the catalog.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) file_id: i64,
    pub(super) seen: Seen,
    pub(super) num_rows: i64,
    pub(super) tile: Option<Tile>,
    /// All its rows are known to be those of the tile.
    pub(super) is_one_tile: bool,
    /// Whether it is new in this commit.
    pub(super) is_fresh: bool,
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

/// Files that were read side by side.
#[derive(Debug, Default)]
struct Chunk {
    /// By index.
    files: Vec<(usize, Encoded)>,
    /// The best row of each object, among these.
    best: Vec<Contender>,
    failures: Failures,
}

/// What has been sent, and what is to be told when all is.
#[derive(Default)]
struct Sent {
    rows: i64,
    facts: Rows,
    cells: Rows,
    classes: Rows,
    failures: Failures,
    /// Those that were sent as primary, where the registry could not be asked.
    unmet: Vec<Contender>,
}

impl Slice<'_> {
    /// Fills the catalog from the slice's files. Where some fail, what was sent must be undone.
    async fn fill(
        &self,
        done: i64,
        total: i64,
        progress: &Progress,
    ) -> Result<(i64, Failures), Error> {
        let is_bulk = self.candidates.iter().map(|c| c.num_rows).sum::<i64>() >= BULK_ROWS
            && self.commit.can_rebuild_catalog().await?;
        let labels = Arc::new(Labels::new(self.commit.labels().await?));
        let places = Arc::new(Places::new(&self.candidates));
        let (sender, mut receiver) = mpsc::channel(4);
        let encoding = {
            let (root, candidates) = (self.root.clone(), self.candidates.clone());
            let (labels, places) = (labels.clone(), places.clone());
            run_blocking(move || encode_all(&root, &candidates, &places, &labels, &sender))
        };
        let sending = async {
            let mut sent = Sent::default();
            let mut bulk = match is_bulk {
                true => Some(self.commit.open_catalog_load().await?),
                false => None,
            };
            while let Some(mut chunk) = receiver.recv().await {
                sent.failures.append(&mut chunk.failures);
                if !sent.failures.is_empty() {
                    continue;
                }
                match &mut bulk {
                    Some(stream) => {
                        sent.unmet.append(&mut chunk.best);
                        sent.send(chunk, stream).await?;
                    }
                    None => {
                        let best = std::mem::take(&mut chunk.best);
                        let beaten = meet(&best, &places, &self.candidates, self.commit).await?;
                        chunk.demote(&beaten, &places);
                        self.commit.add_labels(&labels.take_added()).await?;
                        let mut stream = self.commit.copy_in(Table::Catalog).await?;
                        sent.send(chunk, &mut stream).await?;
                        stream.finish().await?;
                    }
                }
                progress(Step::Rows { done: (done + sent.rows) as u64, total: total as u64 });
            }
            if let Some(stream) = bulk {
                stream.finish().await?;
                self.commit.add_labels(&labels.take_added()).await?;
                let mut unmet = std::mem::take(&mut sent.unmet);
                let meeting = run_blocking(move || beaten(&mut unmet));
                self.commit.close_catalog_load().await?;
                let beaten = meeting.await;
                let row = |c: &Contender| {
                    let file_id = self.candidates[places.file(c)].file_id;
                    (c.target_id, file_id, i32::try_from(c.row).unwrap_or(i32::MAX))
                };
                self.commit.demote_rows(&beaten.iter().map(row).collect::<Vec<_>>()).await?;
            }
            self.commit.copy(Table::Facts, sent.facts).await?;
            self.commit.copy_cells(sent.cells).await?;
            self.commit.copy(Table::Classes, sent.classes).await?;
            Ok((sent.rows, sent.failures))
        };
        let ((), sent) = tokio::join!(encoding, sending);
        sent
    }
}

impl Sent {
    async fn send(&mut self, chunk: Chunk, stream: &mut RowStream) -> Result<(), Error> {
        for (_, file) in chunk.files {
            self.rows += file.rows.count() as i64;
            stream.send(file.rows).await?;
            let (facts, classes) = file.tally.finish();
            self.facts.facts(file.file_id, &facts);
            let (release, objects) = (file.release.as_deref(), file.objects.as_deref());
            self.cells.cells(file.file_id, release, &classes, objects);
            classes.iter().for_each(|class| self.classes.class(file.file_id, class));
        }
        Ok(())
    }
}

impl Chunk {
    /// Reads and encodes some files, given by their indices.
    fn read(
        root: &Path,
        candidates: &[Candidate],
        indices: &[usize],
        places: &Places,
        labels: &Labels,
    ) -> Self {
        // the server, which has more to do for a row than we have, keeps a core to itself
        let threads = rayon::current_num_threads().saturating_sub(1).max(1);
        let share = indices.len().div_ceil(threads);
        let read = |&index: &usize| {
            let batches = columns::read(root, &candidates[index]);
            (index, batches.map(|batches| batches.iter().map(Columns::of).collect::<Vec<_>>()))
        };
        let read: Vec<_> = indices.par_iter().with_min_len(share).map(read).collect();
        let (mut files, mut chunk) = (Vec::new(), Self::default());
        for (index, columns) in read {
            match columns {
                Ok(columns) => {
                    let rows = columns.iter().flat_map(Columns::standings);
                    chunk.best.extend(places.contenders(index, rows));
                    files.push((index, columns));
                }
                Err(failure) => chunk.failures.push((index, failure)),
            }
        }
        let beaten: HashSet<(usize, u32)> =
            beaten(&mut chunk.best).iter().map(|c| (places.file(c), c.row)).collect();
        let encode = |(index, columns): (usize, Vec<Columns>)| {
            let is_primary = |row| beaten.is_empty() || !beaten.contains(&(index, row));
            (index, Encoded::new(&candidates[index], &columns, labels, is_primary))
        };
        chunk.files = files.into_par_iter().with_min_len(share).map(encode).collect();
        chunk
    }

    /// Says of rows that they are not primary after all.
    fn demote(&mut self, beaten: &[Contender], places: &Places) {
        let at: HashMap<usize, usize> =
            self.files.iter().enumerate().map(|(at, (index, _))| (*index, at)).collect();
        for contender in beaten {
            if let Some(&at) = at.get(&places.file(contender)) {
                self.files[at].1.demote(contender.row);
            }
        }
    }
}

/// Reads and encodes all files, chunk by chunk, in the order of the sky: rows of one object, which
/// lie in one place, come together.
fn encode_all(
    root: &Path,
    candidates: &[Candidate],
    places: &Places,
    labels: &Labels,
    sender: &mpsc::Sender<Chunk>,
) {
    let mut indices: Vec<usize> = (0..candidates.len()).collect();
    indices.sort_by_key(|&index| {
        let candidate = &candidates[index];
        (candidate.tile.as_ref().map(|t| t.pixel.get()), places.place(index))
    });
    let mut rest = &indices[..];
    while !rest.is_empty() {
        let mut rows = 0;
        let fits = |&&index: &&usize| {
            rows += candidates[index].num_rows;
            rows <= CHUNK_ROWS
        };
        let files = rest.iter().take(CHUNK_FILES).take_while(fits).count().max(1);
        let (now, later) = rest.split_at(files);
        // the other end went away: the sync has failed, and says so
        if sender.blocking_send(Chunk::read(root, candidates, now, places, labels)).is_err() {
            return;
        }
        rest = later;
    }
}
