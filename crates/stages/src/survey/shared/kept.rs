//! Outputs, where they are kept: in a folder that all processes see, or behind a URL.
//!
//! ```text
//! FOLDER/DIGEST/lock        shared by the processes at work that see it
//! FOLDER/DIGEST/STEP/PART   output of a part, and its BLAKE3
//! URL/DIGEST/begun          that somebody may write there
//! URL/DIGEST/STEP/PART      the same output; those in the folder are then copies, as many as may be
//! ```

use bifrost_core::remote::{self, Folder};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use uuid::Uuid;
use walkdir::WalkDir;

/// How often a process looks for what others make, in a folder and behind a URL.
const LOOKS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];
/// What nobody has worked on for so long is removed.
const FORGOTTEN: Duration = Duration::from_secs(7 * 24 * 3600);
/// Bytes of a digest.
const DIGEST: usize = blake3::OUT_LEN;
/// How an output was lost.
const DAMAGED: &str = "is damaged, and was removed";
const GONE: &str = "is gone";

/// Why outputs cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refuses.
    #[error("failed to {doing} {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// What lies behind the URL refuses.
    #[error(transparent)]
    Remote(#[from] remote::Error),
    /// An output that was there is no more: whoever does the work again makes it again.
    #[error("{name} {how}")]
    Lost {
        /// Its path or URL.
        name: String,
        /// What became of it.
        how: &'static str,
    },
}

impl Error {
    /// Whether the same thing may work later without anybody's doing.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Remote(error) if error.may_pass())
    }
}

/// Where outputs are kept.
#[derive(Debug)]
pub struct Place<'p> {
    /// A folder that this process sees.
    pub folder: &'p Path,
    /// Where processes exchange outputs that see no common folder. The folder then holds copies.
    pub remote: Option<Folder>,
    /// Bytes that copies take, at most.
    pub scratch_bytes: u64,
}

/// Outputs that no other process removes.
#[derive(Debug)]
pub struct Kept {
    digest: String,
    root: PathBuf,
    lock: File,
    remote: Option<Folder>,
    scratch_bytes: u64,
}

impl Kept {
    pub(super) fn open(place: Place<'_>, digest: &str) -> Result<Self, Error> {
        let Place { folder, remote, scratch_bytes } = place;
        remove_forgotten(folder);
        if let Some(remote) = &remote {
            remote.put(&format!("{digest}/begun"), Vec::new())?;
            remove_forgotten_behind(remote, digest);
        }
        let root = folder.join(digest);
        let lock = loop {
            if let Some(lock) = lock(&root)? {
                break lock;
            }
        };
        Ok(Self { digest: digest.to_owned(), root, lock, remote, scratch_bytes })
    }

    /// What the outputs are of.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Whether they lie behind a URL.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        self.remote.is_some()
    }

    /// This process is done: the outputs in the folder are removed unless another works with them there,
    /// and those behind the URL unless they are needed.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Remote`].
    pub fn finish(self, is_needed: bool) -> Result<(), Error> {
        if let Some(remote) = self.remote.as_ref().filter(|_| !is_needed) {
            remote.remove_all(&self.digest)?;
        }
        let _ = self.lock.unlock();
        match self.lock.try_lock() {
            Ok(()) => {
                // aside first: another process may begin the same at this moment
                let gone = self.root.with_extension(format!("gone-{}", Uuid::new_v4()));
                let remove =
                    || fs::rename(&self.root, &gone).and_then(|()| fs::remove_dir_all(&gone));
                remove().map_err(io("remove the folder", &self.root))
            }
            Err(_) => Ok(()),
        }
    }

    /// Until it is worth while to look again for what others make.
    pub(super) fn wait(&self) {
        std::thread::sleep(LOOKS[usize::from(self.remote.is_some())]);
    }

    /// The parts of a step that are there.
    pub(super) fn parts(&self, step: &str) -> Result<BTreeSet<usize>, Error> {
        let names = match &self.remote {
            Some(remote) => remote.names(&format!("{}/{}", self.digest, plain(step)))?[0].clone(),
            None => names(&self.root.join(plain(step)))?,
        };
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Whether a part of a step is there.
    pub(super) fn has(&self, step: &str, part: usize) -> Result<bool, Error> {
        Ok(match &self.remote {
            Some(remote) => remote.has(&self.name(step, part))?,
            None => self.path(step, part).exists(),
        })
    }

    /// Keeps an output.
    pub(super) fn put(&self, step: &str, part: usize, mut bytes: Vec<u8>) -> Result<(), Error> {
        let digest = blake3::hash(&bytes);
        bytes.reserve_exact(DIGEST);
        bytes.extend_from_slice(digest.as_bytes());
        let path = self.path(step, part);
        let Some(remote) = &self.remote else { return write(&path, &bytes) };
        self.copy(&path, &bytes);
        Ok(remote.put(&self.name(step, part), bytes)?)
    }

    /// An output; one that is damaged is removed.
    pub(super) fn read(&self, step: &str, part: usize) -> Result<Vec<u8>, Error> {
        let (path, name) = (self.path(step, part), self.name(step, part));
        let here = self.read_here(&path);
        let Some(remote) = &self.remote else { return here };
        if let Ok(bytes) = here {
            return Ok(bytes);
        }
        let lost = |how| Error::Lost { name: remote.url(&name), how };
        let mut bytes = remote.get(&name)?.ok_or_else(|| lost(GONE))?;
        if !is_whole(&bytes) {
            remote.remove(&name)?;
            return Err(lost(DAMAGED));
        }
        self.copy(&path, &bytes);
        bytes.truncate(bytes.len() - DIGEST);
        Ok(bytes)
    }

    /// Copies of a step are needed no more.
    pub(super) fn forget(&self, step: &str) {
        if self.remote.is_some() {
            let _ = fs::remove_dir_all(self.root.join(plain(step)));
        }
    }

    fn read_here(&self, path: &Path) -> Result<Vec<u8>, Error> {
        let lost = |how| Error::Lost { name: path.display().to_string(), how };
        let mut bytes = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(lost(GONE)),
            read => read.map_err(io("read", path))?,
        };
        if !is_whole(&bytes) {
            self.remove_damaged();
            return Err(lost(DAMAGED));
        }
        bytes.truncate(bytes.len() - DIGEST);
        Ok(bytes)
    }

    /// Where one file is damaged, others may be.
    fn remove_damaged(&self) {
        for path in self.files().map(walkdir::DirEntry::into_path) {
            let is_output = path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().chars().all(|c| c.is_ascii_digit()));
            if is_output && fs::read(&path).is_ok_and(|bytes| !is_whole(&bytes)) {
                tracing::warn!("{} {DAMAGED}", path.display());
                let _ = fs::remove_file(&path);
            }
        }
    }

    /// Keeps a copy of what lies behind the URL, if there is room for it. What cannot be kept is asked for
    /// again.
    fn copy(&self, path: &Path, bytes: &[u8]) {
        let sizes = self.files().filter_map(|file| file.metadata().ok()).map(|about| about.len());
        if sizes.sum::<u64>() + bytes.len() as u64 <= self.scratch_bytes {
            let _ = write(path, bytes).inspect_err(|error| tracing::debug!("{error}"));
        }
    }

    fn files(&self) -> impl Iterator<Item = walkdir::DirEntry> {
        let entries = WalkDir::new(&self.root).into_iter().flatten();
        entries.filter(|entry| entry.file_type().is_file())
    }

    fn name(&self, step: &str, part: usize) -> String {
        format!("{}/{}/{part}", self.digest, plain(step))
    }

    fn path(&self, step: &str, part: usize) -> PathBuf {
        self.root.join(plain(step)).join(part.to_string())
    }
}

/// A step as the name of a folder.
fn plain(step: &str) -> String {
    step.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

/// Names in a folder, none if it is not there.
fn names(folder: &Path) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(io("read the folder", folder))?,
    };
    Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    // numbers of processes are those of one node
    let draft = path.with_extension(format!("draft-{}", Uuid::new_v4()));
    let write = || {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        let mut file = File::create(&draft)?;
        file.write_all(bytes)?;
        // not waiting for the disk: what a crash of the machine takes away is told by its digest, and made again
        drop(file);
        fs::rename(&draft, path)
    };
    write().inspect_err(|_| drop(fs::remove_file(&draft))).map_err(io("write", path))
}

/// Keeps others from removing a folder; `None` where one was just about it.
fn lock(root: &Path) -> Result<Option<File>, Error> {
    fs::create_dir_all(root).map_err(io("make the folder", root))?;
    let path = root.join("lock");
    let lock = match File::create(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        made => made.map_err(io("make the file", &path))?,
    };
    lock.lock_shared().map_err(io("lock", &path))?;
    let own = lock.metadata().map_err(io("look at", &path))?.ino();
    let is_there = fs::metadata(&path).is_ok_and(|there| there.ino() == own);
    Ok(is_there.then_some(lock))
}

/// Whether bytes end with their digest.
fn is_whole(bytes: &[u8]) -> bool {
    let parts = bytes.len().checked_sub(DIGEST).and_then(|end| bytes.split_at_checked(end));
    parts.is_some_and(|(bytes, digest)| blake3::hash(bytes).as_bytes() == digest)
}

fn io<'p>(doing: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> Error + 'p {
    move |source| Error::Io { doing, path: path.to_owned(), source }
}

/// Removes computations that nobody has worked on for long. What cannot be removed stays.
fn remove_forgotten(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let is_old =
        |path: &Path| fs::metadata(path).and_then(|about| about.modified()).is_ok_and(is_forgotten);
    for path in entries.flatten().map(|entry| entry.path()) {
        let lock = path.join("lock");
        let is_free = |lock: &Path| File::open(lock).is_ok_and(|lock| lock.try_lock().is_ok());
        if is_old(&lock) && is_old(&path) && is_free(&lock) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// The same behind a URL.
fn remove_forgotten_behind(remote: &Folder, own: &str) {
    let Ok([_, folders]) = remote.names("") else { return };
    let is_digest = |name: &str| blake3::Hash::from_hex(name).is_ok();
    for name in folders.iter().filter(|name| is_digest(name) && *name != own) {
        let newest = remote.newest(name).ok().flatten();
        if newest.is_some_and(|newest| is_forgotten(newest.into())) {
            let _ = remote.remove_all(name);
        }
    }
}

fn is_forgotten(then: SystemTime) -> bool {
    SystemTime::now().duration_since(then).is_ok_and(|ago| ago > FORGOTTEN)
}
