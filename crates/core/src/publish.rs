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

#[cfg(test)]
mod tests;

use crate::layout::{Lake, PRIVATE};
use crate::store;
use crate::tile::{FileName, Name, Pixel, Tile};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

const STAGING: &str = "staging";
const INTENTS: &str = "intents";
pub(crate) const REPLACED: &str = "replaced";
const CLAIMS: &str = "claims";
/// Extension of what a writer may pile up beside a draft: it goes with the claim.
pub const PILE: &str = "pile";
/// What a campaign is called in [`Running::begin`].
pub const RUN: &str = "run";

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

/// The right to run a campaign, or a stage, in a lake: one process at a time. Goes with the process.
#[derive(Debug)]
pub struct Running {
    _alone: File,
}

impl Running {
    /// Takes it for [`RUN`] or a stage; none while another process has it.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn begin(lake: &Lake, what: &str) -> Result<Option<Self>, Error> {
        let path = lake.private(&format!("{what}.lock"));
        let alone = open_lock(&path).map_err(Error::new("open", &path))?;
        match alone.try_lock() {
            Ok(()) => Ok(Some(Self { _alone: alone })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(Error::new("lock", &path)(e)),
        }
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

/// Nothing is published while the lock lives; dead publications stay as they are.
pub(crate) fn still(lake: &Lake) -> Result<File, Error> {
    let alone = publication_lock(lake)?;
    alone.lock().map_err(Error::new("lock", &lake.private("publish.lock")))?;
    Ok(alone)
}

/// Called before each step with its name; an error stops there, as a kill would.
type Step<'a> = &'a mut dyn FnMut(&'static str) -> io::Result<()>;

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

/// One predecessor's way out; paths are relative to the lake.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Move {
    from: PathBuf,
    to: PathBuf,
}

/// What a replacement is going to do; paths are relative to the lake.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Intent {
    version: u32,
    id: Uuid,
    #[serde(flatten)]
    first: Part,
    /// What becomes visible with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    also: Vec<Part>,
}

/// One file's way in, and its predecessors' way out.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Part {
    draft: PathBuf,
    target: PathBuf,
    moves: Vec<Move>,
}

impl Part {
    /// Where its predecessors go.
    fn replaced(&self, root: &Path) -> Vec<PathBuf> {
        self.moves.iter().map(|m| root.join(&m.to)).collect()
    }
}

impl Intent {
    fn new(
        root: &Path,
        id: Uuid,
        draft: &Path,
        target: &Path,
        predecessors: &[PathBuf],
    ) -> io::Result<Self> {
        let inside = |path: &Path| {
            path.strip_prefix(root).map(Path::to_owned).map_err(|e| io::Error::other(e.to_string()))
        };
        let folder = Path::new(PRIVATE).join(REPLACED).join(id.to_string());
        let moves = predecessors
            .iter()
            .map(|old| {
                let from = inside(old)?;
                let to = folder.join(from.file_name().unwrap_or_default());
                Ok(Move { from, to })
            })
            .collect::<io::Result<_>>()?;
        let first = Part { draft: inside(draft)?, target: inside(target)?, moves };
        Ok(Self { version: 1, id, first, also: Vec::new() })
    }

    /// Both, as one. A program that knows one file an intent leaves it to one that knows several.
    fn and(mut self, other: Self) -> Self {
        self.version = 2;
        self.also.push(other.first);
        self.also.extend(other.also);
        self
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        std::iter::once(&self.first).chain(&self.also)
    }

    fn read(path: &Path) -> io::Result<Self> {
        let intent: Self = serde_json::from_slice(&fs::read(path)?)?;
        let moved = |part: &'_ Part| -> Vec<PathBuf> {
            let moves = part.moves.iter().flat_map(|m| [m.from.clone(), m.to.clone()]);
            moves.chain([part.draft.clone(), part.target.clone()]).collect()
        };
        let inside = intent
            .parts()
            .flat_map(moved)
            .all(|p| p.components().all(|c| matches!(c, Component::Normal(_))));
        if (1..=2).contains(&intent.version) && inside {
            Ok(intent)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, "unknown version or a path outside"))
        }
    }

    fn path(&self, lake: &Lake) -> PathBuf {
        lake.private(INTENTS).join(format!("{}.json", self.id))
    }
}

/// Writes the intent, then carries it out. An error before the draft is in place withdraws it.
fn replace(lake: &Lake, intent: &Intent, step: Step<'_>) -> io::Result<()> {
    let path = intent.path(lake);
    let intents = lake.private(INTENTS);
    make_dirs(&intents)?;
    // beside the draft first: what lies in intents/ is whole
    let whole = lake.root().join(intent.first.draft.with_extension("json"));
    let mut file = File::create(&whole)?;
    file.write_all(&serde_json::to_vec_pretty(intent)?)?;
    file.sync_all()?;
    step("record the intent")?;
    fs::rename(&whole, &path)?;
    flush_dir(&intents)?;
    let ended = carry_out(lake, intent, step);
    if ended.is_err() && intent.parts().all(|part| lake.root().join(&part.draft).exists()) {
        fs::remove_file(&path)?;
    }
    ended
}

/// Every step leaves the same state when it is repeated.
fn carry_out(lake: &Lake, intent: &Intent, step: Step<'_>) -> io::Result<()> {
    for part in intent.parts() {
        place(lake.root(), part, step)?;
    }
    step("strike the intent")?;
    forgive(fs::remove_file(intent.path(lake)), io::ErrorKind::NotFound)
}

fn place(root: &Path, part: &Part, step: Step<'_>) -> io::Result<()> {
    let (draft, target) = (root.join(&part.draft), root.join(&part.target));
    let replaced = part.moves.first().and_then(|m| Some(root.join(m.to.parent()?)));
    if let Some(replaced) = &replaced {
        step("make the folder of the replaced")?;
        make_dirs(replaced)?;
    }
    // while the draft is there, the target is still the old file
    if draft.exists() {
        if let Some(same) = part.moves.iter().find(|m| m.from == part.target) {
            step("keep the old file of the same name")?;
            let linked = fs::hard_link(&target, root.join(&same.to));
            // gone: somebody deleted the old file; there: an earlier try came this far
            forgive(forgive(linked, io::ErrorKind::NotFound), io::ErrorKind::AlreadyExists)?;
            replaced.as_deref().map_or(Ok(()), flush_dir)?;
        }
        step("put the new file in place")?;
        fs::rename(&draft, &target)?;
    }
    let folder = target.parent().unwrap_or(root);
    step("flush the folder")?;
    flush_dir(folder)?;
    for other in part.moves.iter().filter(|m| m.from != part.target) {
        step("move an old file away")?;
        forgive(fs::rename(root.join(&other.from), root.join(&other.to)), io::ErrorKind::NotFound)?;
    }
    if let Some(replaced) = &replaced {
        step("flush the folders")?;
        flush_dir(replaced)?;
        flush_dir(folder)?;
    }
    Ok(())
}

pub(crate) fn forgive(result: io::Result<()>, kind: io::ErrorKind) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == kind => Ok(()),
        other => other,
    }
}

fn publication_lock(lake: &Lake) -> Result<File, Error> {
    let path = lake.private("publish.lock");
    open_lock(&path).map_err(Error::new("open", &path))
}

pub(crate) fn share(lake: &Lake) -> Result<File, Error> {
    let lock = publication_lock(lake)?;
    lock.lock_shared().map_err(Error::new("lock", &lake.private("publish.lock")))?;
    Ok(lock)
}

fn lock_file(staging: &Path) -> Result<File, Error> {
    let path = staging.join("lock");
    open_lock(&path).map_err(Error::new("open", &path))
}

fn open_lock(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(path)
}

/// Locks a file that its holder removes: what was locked must still be what the name means.
fn lock_named(path: &Path) -> io::Result<File> {
    loop {
        let lock = open_lock(path)?;
        lock.lock()?;
        let held = lock.metadata()?;
        match fs::metadata(path) {
            Ok(named) if (named.dev(), named.ino()) == (held.dev(), held.ino()) => return Ok(lock),
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
}

pub(crate) fn entries(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let listed = || -> io::Result<Vec<PathBuf>> {
        let mut paths =
            fs::read_dir(dir)?.map(|e| Ok(e?.path())).collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    };
    match listed() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(Error::new("list", dir)),
    }
}

fn flush(path: &Path) -> io::Result<u64> {
    let file = File::open(path)?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}

pub(crate) fn flush_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes a folder and those above it; each new name is durable.
pub(crate) fn make_dirs(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let Some(parent) = dir.parent() else { return Ok(()) };
    make_dirs(parent)?;
    forgive(fs::create_dir(dir), io::ErrorKind::AlreadyExists)?;
    flush_dir(parent)
}
