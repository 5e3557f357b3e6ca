//! Reading: from a resolution to rows, straight from the Parquet files.
//!
//! Only the chosen row groups are opened, and of these only those that Bloom filters do not rule out
//! (`bloom`). In each, the columns of the question are read first and
//! tested row by row (`rows`); the columns that were asked for are decoded only for rows that passed
//! (`file`), spectra among them by a decoder of our own (`arrays`). Files are read in parallel and
//! delivered in order; a bounded number of batches is under way at any time. They come from an iterator
//! ([`Reading`]) or, for programs that wait for many things at once, a stream ([`Batches`]).
//!
//! Rows whose arrays are in spectra stores get them from there (`stored`).
//!
//! A file that cannot be read ends the reading with an error that names it: half an answer is a
//! wrong answer. Files on web servers and in object stores are read like local ones (`handle`).

mod arrays;
mod bloom;
mod file;
mod footers;
mod handle;
mod recipe;
mod rows;
mod schema;
mod stored;
mod stream;
#[cfg(test)]
mod tests;
mod zipped;

pub(crate) use arrays::keys;
pub(crate) use file::{Opened, damaged, gave_up, open};
pub(crate) use footers::whole;
pub(crate) use handle::Handle;
pub use recipe::{Portion, Recipe};
pub use schema::COLUMNS_ALL;
pub(crate) use stored::elsewhere;
pub use stream::Batches;

use crate::guard::guard;
use crate::predicate;
use crate::process::{Process, keep};
use crate::resolution::{Query, Resolution, ResolvedFile};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Batches that a file may have ready before they are fetched.
const BATCHES_AHEAD: usize = 2;
/// Files named in one error.
const FILES_NAMED: usize = 20;

/// How to read.
#[derive(Debug, Clone)]
pub struct Options {
    /// Columns to deliver, in this order; by default all of the product, and those that the question
    /// names of other products. [`COLUMNS_ALL`] alone: all of all products that it is about.
    pub columns: Option<Vec<String>>,
    /// Rows to deliver at most.
    pub limit: Option<u64>,
    /// Files read at once.
    pub threads: usize,
    /// About how large a batch may become, decoded.
    pub batch_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Self { columns: None, limit: None, threads, batch_bytes: 8 << 20 }
    }
}

/// Why rows cannot be delivered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A column that no file has, or one that cannot be compared so.
    #[error(transparent)]
    Predicate(#[from] predicate::Error),
    /// A column that cannot be compared so in one of the files.
    #[error("{}: {source}", path.display())]
    Comparison {
        /// The file.
        path: PathBuf,
        /// What is wrong with the predicate.
        source: predicate::Error,
    },
    /// Files on other machines.
    #[error(
        "{} files cannot be opened from here: {}; read them on their nodes, or mount them and register the prefix",
        .0.len(), named(.0, ", ")
    )]
    Unreachable(Vec<String>),
    /// Versions that are gone.
    #[error("{} files as of then cannot be given any more: {}", .0.len(), named(.0, "; "))]
    Lost(Vec<String>),
    /// A spectra store, which holds arrays and no table.
    #[error("{} is a spectra store, no table: `bifrost spectrum` reads it, and what else is known of its rows is in product spectra", .0.display())]
    Store(PathBuf),
    /// The file went away after it was resolved.
    #[error("{} is gone since it was registered: run `bifrost sync` and ask again", .0.display())]
    Vanished(PathBuf),
    /// The file is another one than was resolved.
    #[error("{} has changed since it was registered: run `bifrost sync` and ask again", .0.display())]
    Changed(PathBuf),
    /// The system refused.
    #[error("failed to open {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file's content cannot be decoded.
    #[error("{} cannot be read ({reason}): restore it or move it out of the lake, run `bifrost sync` and ask again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// The file's content is compressed in a way that is not known here.
    #[error("{} is compressed as nobody can read here ({reason}): write it with zstd, snappy, lz4 or gzip, run `bifrost sync` and ask again", path.display())]
    Codec {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// Its arrays are in a spectra store that does not give them.
    #[error("{} has its arrays in {}, and they cannot be read there ({reason}): restore the store or convert the tile again, or leave them out with --columns", path.display(), store.display())]
    Arrays {
        /// The file.
        path: PathBuf,
        /// The store.
        store: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A column has types in two files that no common type can hold.
    #[error("column '{column}' is {one} in some files and {other} in others ({}): leave it out with --columns, or ask for fewer files", path.display())]
    Types {
        /// The column.
        column: String,
        /// A type.
        one: String,
        /// Another.
        other: String,
        /// A file with the other.
        path: PathBuf,
    },
    /// Two columns of a file have the same name.
    #[error("{} has two columns named '{column}': rename one of them, or ask for others with --columns", path.display())]
    Twice {
        /// The name.
        column: String,
        /// The file.
        path: PathBuf,
    },
    /// A radius that is none.
    #[error(transparent)]
    Sky(#[from] crate::sky::Error),
    /// Rows cannot be put together.
    #[error("failed to put rows together: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// A recipe that is none.
    #[error("the recipe for reading cannot be understood: {0}")]
    Text(String),
    /// Rows that another process reads.
    #[error("the process that this one was forked from is reading these rows: begin anew")]
    Forked,
    /// A thread ended without saying why.
    #[error("failed to read {}: its reader ended early; this is a fault of the program", .0.display())]
    Ended(PathBuf),
}

impl Error {
    /// Whether the question is at fault.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Predicate(_)
                | Self::Sky(_)
                | Self::Store(_)
                | Self::Comparison { .. }
                | Self::Types { .. }
                | Self::Twice { .. }
        )
    }
}

/// The first few of many files.
pub(crate) fn named(files: &[String], between: &str) -> String {
    let more = files.len().saturating_sub(FILES_NAMED);
    let some = files.iter().take(FILES_NAMED).map(String::as_str).collect::<Vec<_>>().join(between);
    if more == 0 { some } else { format!("{some} and {more} more") }
}

/// A file to read: where it is, and what of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Source {
    path: PathBuf,
    size_bytes: i64,
    mtime_ns: i64,
    row_groups: Vec<usize>,
    /// Rows that may match, from 0, ascending, where they are known.
    rows: Option<Vec<i32>>,
    schema_id: Option<i32>,
    /// Files whose rows are beside its own.
    aligned: Vec<Source>,
}

impl Source {
    /// A version of a file as such.
    pub(crate) fn of_file(path: PathBuf, size_bytes: i64, mtime_ns: i64) -> Self {
        let (row_groups, aligned) = (Vec::new(), Vec::new());
        Self { path, size_bytes, mtime_ns, row_groups, rows: None, schema_id: None, aligned }
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes.unsigned_abs()
    }
}

/// Rows that answer a question, as they come; ends after the first error.
pub struct Reading {
    process: Process,
    schema: SchemaRef,
    jobs: Option<SyncSender<Job>>,
    waiting: VecDeque<Source>,
    under_way: VecDeque<(PathBuf, Receiver<Delivery>)>,
    window: usize,
    rows_left: u64,
}

struct Job {
    source: Source,
    deliver: SyncSender<Delivery>,
}

enum Delivery {
    Batch(RecordBatch),
    End,
    Failed(Error),
}

/// Starts reading what was resolved for a question.
///
/// # Errors
/// [`Error`] for whatever can be told before a row is read.
pub fn read(resolution: &Resolution, query: &Query, options: &Options) -> Result<Reading, Error> {
    let (recipe, portions) = Recipe::of(resolution, query, options.columns.as_deref())?;
    Ok(recipe.read(portions, options))
}

fn sources(resolution: &Resolution) -> Result<Vec<Source>, Error> {
    let place = |file: &ResolvedFile| format!("{}:{}", file.node, file.path.display());
    let lost = |file: &ResolvedFile| Some(format!("{}: {}", place(file), file.lost.as_ref()?));
    let lost: Vec<String> = resolution.all_files().filter_map(lost).collect();
    if !lost.is_empty() {
        return Err(Error::Lost(lost));
    }
    let files = resolution.all_files();
    let unreachable: Vec<String> = files.filter(|file| file.uri.is_none()).map(place).collect();
    if !unreachable.is_empty() {
        return Err(Error::Unreachable(unreachable));
    }
    let is_store = |file: &&ResolvedFile| file.path.extension().is_some_and(|e| e == "h5");
    if let Some(store) = resolution.all_files().find(is_store) {
        return Err(Error::Store(store.path.clone()));
    }
    Ok(resolution.files.iter().map(source).collect())
}

fn source(file: &ResolvedFile) -> Source {
    Source {
        path: file.uri.as_deref().unwrap_or_default().into(),
        size_bytes: file.size_bytes,
        mtime_ns: file.mtime_ns,
        row_groups: file.row_groups.clone(),
        rows: file.rows.clone(),
        schema_id: file.schema_id,
        aligned: file.aligned.iter().map(source).collect(),
    }
}

fn work(plan: &file::Plan, batch_bytes: usize, todo: &Mutex<Receiver<Job>>) {
    loop {
        let next = todo.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { source, deliver }) = next else { return };
        let path = source.path.clone();
        let send = |batch| deliver.send(Delivery::Batch(batch)).is_ok();
        let ended = guard(|| plan.read(&source, batch_bytes, send))
            .unwrap_or_else(|panicked| Err(file::gave_up(&path, &panicked)));
        // nobody may be listening any more
        let _ = deliver.send(match ended {
            Ok(()) => Delivery::End,
            Err(error) => Delivery::Failed(error),
        });
    }
}

impl Reading {
    fn start(plan: Arc<file::Plan>, sources: Vec<Source>, options: &Options) -> Self {
        let threads = options.threads.clamp(1, sources.len().max(1));
        let window = threads * 2;
        let (jobs, todo) = sync_channel(window);
        let todo = Arc::new(Mutex::new(todo));
        let batch_bytes = options.batch_bytes;
        for _ in 0..threads {
            let (plan, todo) = (plan.clone(), todo.clone());
            thread::spawn(move || work(&plan, batch_bytes, &todo));
        }
        Self {
            process: Process::this(),
            schema: plan.shape.schema.clone(),
            jobs: Some(jobs),
            waiting: sources.into(),
            under_way: VecDeque::new(),
            window,
            rows_left: options.limit.unwrap_or(u64::MAX),
        }
    }

    /// Columns of every batch.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn hand_out(&mut self) {
        while self.under_way.len() < self.window
            && let Some(jobs) = &self.jobs
            && let Some(source) = self.waiting.pop_front()
        {
            let (deliver, receive) = sync_channel(BATCHES_AHEAD);
            self.under_way.push_back((source.path.clone(), receive));
            // without workers the receiver tells
            let _ = jobs.send(Job { source, deliver });
        }
    }

    /// Lets the threads end, where there are any: a forked process has but their channels, perhaps in the
    /// midst of a delivery whose end it would wait for.
    fn stop(&mut self) {
        if self.process.is_left() {
            keep((self.jobs.take(), mem::take(&mut self.under_way)));
        }
        self.jobs = None;
        self.waiting.clear();
        self.under_way.clear();
    }

    fn limited(&mut self, batch: RecordBatch) -> RecordBatch {
        let rows = batch.num_rows() as u64;
        let taken = rows.min(self.rows_left);
        self.rows_left -= taken;
        if self.rows_left == 0 {
            self.stop();
        }
        if taken == rows { batch } else { batch.slice(0, taken as usize) }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Iterator for Reading {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.process.is_left() && self.jobs.is_some() {
            self.stop();
            return Some(Err(Error::Forked));
        }
        if self.rows_left == 0 {
            self.stop();
        }
        loop {
            self.hand_out();
            let (path, receive) = self.under_way.front()?;
            match receive.recv() {
                Ok(Delivery::Batch(batch)) => return Some(Ok(self.limited(batch))),
                Ok(Delivery::End) => drop(self.under_way.pop_front()),
                Ok(Delivery::Failed(error)) => {
                    self.stop();
                    return Some(Err(error));
                }
                Err(_) => {
                    let error = Error::Ended(path.clone());
                    self.stop();
                    return Some(Err(error));
                }
            }
        }
    }
}
