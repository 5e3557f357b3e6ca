//! Publication: a finished file becomes visible whole or not at all.
//!
//! A run works in a staging folder of its own, whose lock file it holds as long as it lives. To
//! make a tile it takes a [`Claim`], which keeps other writers of that tile waiting, writes the
//! claim's draft, and publishes. Where nothing is replaced, publication is one rename. Where
//! predecessors are, an intent record says what is to happen before it happens: the draft is
//! renamed into place, the predecessors move into `.bifrost/replaced/`, the record goes. Every
//! step may be repeated, so [`recover`] finishes what a dead process began, and may itself be
//! killed at any instruction.
//!
//! Publications share `.bifrost/publish.lock`; [`recover`] takes it alone and keeps it until its
//! guard is dropped, so that whoever walks the lake sees no publication half done.

mod disk;
mod intent;
mod locks;
#[cfg(test)]
mod tests;

pub(crate) use disk::{entries, flush_dir, forgive, make_dirs};
pub use locks::{RUN, Running};
pub(crate) use locks::{share, still};

use crate::layout::Lake;
use crate::store;
use crate::tile::{FileName, Name, Pixel, Tile};
use disk::flush;
use intent::{INTENTS, Intent, Step, carry_out, replace};
use locks::{lock_file, lock_named, open_lock};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

const STAGING: &str = "staging";
pub(crate) const REPLACED: &str = "replaced";
const CLAIMS: &str = "claims";
/// Extension of what a writer may pile up beside a draft: it goes with the claim.
pub const PILE: &str = "pile";

/// What the file system refused.
#[derive(Debug, thiserror::Error)]
#[error("failed to {action} {}: {source}", path.display())]
pub struct Error {
    /// What was tried.
    pub action: &'static str,
    /// With which file or folder.
    pub path: PathBuf,
    /// The system's reason.
    pub source: io::Error,
}

impl Error {
    pub(crate) fn new(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { action, path, source }
    }
}

/// A published file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Where it lies now.
    pub path: PathBuf,
    /// Its size.
    pub size_bytes: u64,
    /// Where its predecessors lie now.
    pub replaced: Vec<PathBuf>,
}

/// A run's staging folder. Dropped with its last claim, or killed, it is emptied by the next
/// [`recover`].
#[derive(Debug, Clone)]
pub struct Staging(Arc<Folder>);

#[derive(Debug)]
struct Folder {
    lake: Lake,
    dir: PathBuf,
    _alive: File,
}

impl Staging {
    /// Finishes what dead runs began, then makes a folder for this one.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn open(lake: &Lake) -> Result<Self, Error> {
        drop(recover(lake)?);
        let _sharing = share(lake)?;
        let dir = lake.private(STAGING).join(Uuid::new_v4().to_string());
        make_dirs(&dir).map_err(Error::new("make", &dir))?;
        let alive = lock_file(&dir)?;
        alive.lock().map_err(Error::new("lock", &dir))?;
        Ok(Self(Arc::new(Folder { lake: lake.clone(), dir, _alive: alive })))
    }

    /// The folder, for other files that live as long as the run.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// Claims a tile of a product; waits while another writer has it.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn claim(&self, product: &Name, tile: &Tile) -> Result<Claim, Error> {
        let what = What::Tile { product: product.clone(), tile: tile.clone() };
        self.claimed(&format!("{product}-{tile}"), "parquet", what)
    }

    /// Claims the spectra store of a pixel; waits while another writer has it.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn claim_store(&self, pixel: Pixel) -> Result<Claim, Error> {
        self.claimed(&format!("{}-{pixel}", store::PRODUCT), "h5", What::Store(pixel))
    }

    fn claimed(&self, name: &str, extension: &str, what: What) -> Result<Claim, Error> {
        let claims = self.0.lake.private(CLAIMS);
        make_dirs(&claims).map_err(Error::new("make", &claims))?;
        let lock_path = claims.join(name);
        let lock = lock_named(&lock_path).map_err(Error::new("lock", &lock_path))?;
        let draft = self.0.dir.join(format!("{name}.{extension}"));
        Ok(Claim { staging: self.0.clone(), what, draft, lock_path, _lock: lock })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // what stays behind is taken by the next recovery
        if let Ok(_sharing) = share(&self.lake) {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// The sole right to publish a tile of a product, or a pixel's spectra store. Dropped, it leaves
/// nothing behind.
#[derive(Debug)]
pub struct Claim {
    staging: Arc<Folder>,
    what: What,
    draft: PathBuf,
    lock_path: PathBuf,
    _lock: File,
}

/// What is claimed.
#[derive(Debug)]
enum What {
    Tile { product: Name, tile: Tile },
    Store(Pixel),
}

impl Claim {
    /// Where the new file is to be written.
    #[must_use]
    pub fn draft(&self) -> &Path {
        &self.draft
    }

    /// The live files of what is claimed.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn live(&self) -> Result<Vec<PathBuf>, Error> {
        let lake = &self.staging.lake;
        match &self.what {
            What::Tile { product, tile } => {
                let dir = lake.pixel_dir(product, tile.pixel);
                lake.files_of(product, tile).map_err(Error::new("list the files in", &dir))
            }
            What::Store(pixel) => {
                let path = lake.store(*pixel);
                let is_there = path.try_exists().map_err(Error::new("look for", &path))?;
                Ok(if is_there { vec![path] } else { Vec::new() })
            }
        }
    }

    /// Where the file will lie, relative to the lake.
    #[must_use]
    pub fn target(&self, rows: u64) -> PathBuf {
        let target = self.place(rows);
        target.strip_prefix(self.staging.lake.root()).map(Path::to_owned).unwrap_or(target)
    }

    fn place(&self, rows: u64) -> PathBuf {
        match &self.what {
            What::Tile { product, tile } => {
                self.staging.lake.file(product, &FileName { tile: tile.clone(), rows })
            }
            What::Store(pixel) => self.staging.lake.store(*pixel),
        }
    }

    /// Makes the draft durable where it is.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn flush(&self) -> Result<u64, Error> {
        flush(&self.draft).map_err(Error::new("flush", &self.draft))
    }

    /// Makes the draft durable and visible under its name, in place of all the tile's live files.
    ///
    /// # Errors
    /// What the file system refuses; then the old files are live, or, where the new one already
    /// was, the next [`recover`] finishes.
    pub fn publish(self, rows: u64) -> Result<Published, Error> {
        self.publish_as(rows, Uuid::now_v7())
    }

    /// The same under a given number, by which [`crate::withdraw::withdraw`] can undo it.
    ///
    /// # Errors
    /// As [`Claim::publish`].
    pub fn publish_as(&self, rows: u64, id: Uuid) -> Result<Published, Error> {
        let size_bytes = self.flush()?;
        let root = self.staging.lake.root();
        let _sharing = share(&self.staging.lake)?;
        let (intent, target) = self.intent(rows, id)?;
        if intent.first.moves.is_empty() {
            let folder = target.parent().unwrap_or(root);
            fs::rename(&self.draft, &target).map_err(Error::new("publish", &target))?;
            flush_dir(folder).map_err(Error::new("flush", folder))?;
            return Ok(Published { path: target, size_bytes, replaced: Vec::new() });
        }
        replace(&self.staging.lake, &intent, &mut |_| Ok(()))
            .map_err(Error::new("replace", &target))?;
        Ok(Published { path: target, size_bytes, replaced: intent.first.replaced(root) })
    }

    /// What its publication is going to do. The folder that it will lie in is made.
    fn intent(&self, rows: u64, id: Uuid) -> Result<(Intent, PathBuf), Error> {
        let root = self.staging.lake.root();
        let target = self.place(rows);
        let folder = target.parent().unwrap_or(root);
        let predecessors = self.live()?;
        make_dirs(folder).map_err(Error::new("make", folder))?;
        let intent = Intent::new(root, id, &self.draft, &target, &predecessors)
            .map_err(Error::new("replace", &target))?;
        Ok((intent, target))
    }
}

/// A draft that is to be published with others: its claim, its rows, and the number under which
/// [`crate::withdraw::withdraw`] can undo it.
pub type Draft<'a> = (&'a Claim, u64, Uuid);

/// Publishes drafts of a lake as one: whatever happens, the next [`recover`] leaves all of them in
/// place, or none.
///
/// # Errors
/// What the file system refuses; then all old files are live, or the next [`recover`] finishes.
pub fn publish_together(drafts: &[Draft<'_>]) -> Result<Vec<Published>, Error> {
    let Some(((first, ..), _)) = drafts.split_first() else { return Ok(Vec::new()) };
    let lake = &first.staging.lake;
    let sizes: Vec<u64> =
        drafts.iter().map(|(claim, ..)| claim.flush()).collect::<Result<_, _>>()?;
    let _sharing = share(lake)?;
    let mut published = Vec::with_capacity(drafts.len());
    let mut whole: Option<Intent> = None;
    for ((claim, rows, id), size_bytes) in drafts.iter().zip(sizes) {
        let (intent, path) = claim.intent(*rows, *id)?;
        let replaced = intent.first.replaced(lake.root());
        published.push(Published { path, size_bytes, replaced });
        whole = Some(match whole {
            Some(whole) => whole.and(intent),
            None => intent,
        });
    }
    if let Some(intent) = whole {
        let target = lake.root().join(&intent.first.target);
        replace(lake, &intent, &mut |_| Ok(())).map_err(Error::new("replace", &target))?;
    }
    Ok(published)
}

impl Drop for Claim {
    fn drop(&mut self) {
        // the file is gone after publication, and may never have been written
        let _ = fs::remove_file(&self.draft);
        let _ = fs::remove_file(self.draft.with_extension(PILE));
        let _ = fs::remove_file(&self.lock_path);
    }
}

/// No publication is under way, nor begins, while this lives.
#[derive(Debug)]
pub struct Quiet {
    _alone: File,
    /// Publications of dead processes that were finished now.
    pub finished: usize,
}

/// Finishes the publications of dead processes and empties their staging folders.
///
/// Waits until no publication is under way; none begins until the guard is dropped.
///
/// # Errors
/// What the file system refuses.
pub fn recover(lake: &Lake) -> Result<Quiet, Error> {
    let alone = still(lake)?;
    let finished = recover_with(lake, &mut |_| Ok(()))?;
    Ok(Quiet { _alone: alone, finished })
}

fn recover_with(lake: &Lake, step: Step<'_>) -> Result<usize, Error> {
    let mut finished = 0;
    for path in entries(&lake.private(INTENTS))? {
        // writers hold the shared lock from intent to end: any intent seen here is abandoned
        match Intent::read(&path) {
            Ok(intent) => {
                carry_out(lake, &intent, step).map_err(Error::new("carry out", &path))?;
                finished += 1;
            }
            Err(e) => tracing::warn!("left alone: {} is no intent record: {e}", path.display()),
        }
    }
    for dir in entries(&lake.private(STAGING))? {
        let lock = lock_file(&dir)?;
        match lock.try_lock() {
            Ok(()) => fs::remove_dir_all(&dir).map_err(Error::new("remove", &dir))?,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(e)) => return Err(Error::new("lock", &dir)(e)),
        }
    }
    for path in entries(&lake.private(CLAIMS))? {
        // a claim that can be locked is nobody's; what cannot be opened is none
        let Ok(lock) = open_lock(&path) else { continue };
        if lock.try_lock().is_ok() {
            forgive(fs::remove_file(&path), io::ErrorKind::NotFound)
                .map_err(Error::new("remove", &path))?;
        }
    }
    Ok(finished)
}
