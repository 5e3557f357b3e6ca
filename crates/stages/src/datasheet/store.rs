//! Where the datasheet's files are kept: whole or not at all, and never touched without a change.

use super::{Error, SHEET};
use bifrost_core::layout::Lake;
use bifrost_core::whole;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

const LOCK: &str = "datasheet.lock";
const DRAFT: &str = "datasheet.draft";

/// Keeps other makers of this lake's sheet waiting until it is dropped.
pub(super) fn lock(lake: &Lake) -> Result<File, Error> {
    let path = lake.private(LOCK);
    let lock = || -> io::Result<File> {
        let file = File::options().create(true).append(true).open(&path)?;
        file.lock()?;
        Ok(file)
    };
    lock().map_err(|source| Error::Io { action: "lock", path: path.clone(), source })
}

/// A file in the lake's root; `None` where it is not.
pub(super) fn read(lake: &Lake, name: &str) -> Result<Option<Vec<u8>>, Error> {
    let path = lake.root().join(name);
    match fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io { action: "read", path, source }),
    }
}

/// Writes a file into the lake's root by rename, if its content is not that already.
pub(super) fn write_if_changed(lake: &Lake, name: &str, bytes: &[u8]) -> Result<bool, Error> {
    let path = lake.root().join(name);
    let write = || {
        let is_changed = whole::write_if_changed(&path, &lake.private(DRAFT), bytes)?;
        if is_changed {
            whole::flush_folder(lake.root())?;
        }
        Ok(is_changed)
    };
    write().map_err(|source| Error::Io { action: "write", path: path.clone(), source })
}

/// Keeps an old sheet beside the new one, under a name of its content.
pub(super) fn keep(lake: &Lake, sheet: &[u8]) -> Result<PathBuf, Error> {
    let stem = SHEET.trim_end_matches(".md");
    let hash = blake3::hash(sheet).to_hex();
    let name = format!("{stem}.kept-{}.md", &hash.as_str()[..8]);
    write_if_changed(lake, &name, sheet)?;
    Ok(lake.root().join(name))
}
