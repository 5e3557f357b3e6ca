//! Who may do what at a time: locks of files, which go with their process.

use super::Error;
use crate::layout::Lake;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What a campaign is called in [`Running::begin`].
pub const RUN: &str = "run";

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

/// Nothing is published while the lock lives; dead publications stay as they are.
pub(crate) fn still(lake: &Lake) -> Result<File, Error> {
    let alone = publication_lock(lake)?;
    alone.lock().map_err(Error::new("lock", &lake.private("publish.lock")))?;
    Ok(alone)
}

fn publication_lock(lake: &Lake) -> Result<File, Error> {
    let path = lake.private("publish.lock");
    open_lock(&path).map_err(Error::new("open", &path))
}

/// No [`super::recover`] goes on while the lock lives.
pub(crate) fn share(lake: &Lake) -> Result<File, Error> {
    let lock = publication_lock(lake)?;
    lock.lock_shared().map_err(Error::new("lock", &lake.private("publish.lock")))?;
    Ok(lock)
}

/// The lock that a run holds in its staging folder.
pub(super) fn lock_file(staging: &Path) -> Result<File, Error> {
    let path = staging.join("lock");
    open_lock(&path).map_err(Error::new("open", &path))
}

pub(super) fn open_lock(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(path)
}

/// Locks a file that its holder removes: what was locked must still be what the name means.
pub(super) fn lock_named(path: &Path) -> io::Result<File> {
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
