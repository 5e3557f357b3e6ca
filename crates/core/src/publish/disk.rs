//! Files and folders whose names are durable.

use super::Error;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Takes one kind of failure for success.
pub(crate) fn forgive(result: io::Result<()>, kind: io::ErrorKind) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == kind => Ok(()),
        other => other,
    }
}

/// What is in a folder, in order of names; nothing where there is none.
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

/// Makes a file durable, and says its size.
pub(super) fn flush(path: &Path) -> io::Result<u64> {
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
