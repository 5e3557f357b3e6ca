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

/// Writes files into the lake's root by rename, in order, as far as their content is not that already;
/// says whether any was.
pub(super) fn write_changed(lake: &Lake, files: &[(&str, &[u8])]) -> Result<bool, Error> {
    let paths: Vec<_> =
        files.iter().map(|(name, bytes)| (lake.root().join(name), *bytes)).collect();
    let files: Vec<_> = paths.iter().map(|(path, bytes)| (path.as_path(), *bytes)).collect();
    let write = || {
        let is_changed = whole::write_changed(&files, &lake.private(DRAFT))?;
        if is_changed {
            whole::flush_folder(lake.root())?;
        }
        Ok(is_changed)
    };
    let path = lake.root().to_owned();
    write().map_err(|source| Error::Io { action: "write the datasheet in", path, source })
}

/// Keeps an old sheet beside the new one, under a name of its content.
pub(super) fn keep(lake: &Lake, sheet: &[u8]) -> Result<PathBuf, Error> {
    let stem = SHEET.trim_end_matches(".md");
    let hash = blake3::hash(sheet).to_hex();
    let name = format!("{stem}.kept-{}.md", &hash.as_str()[..8]);
    write_changed(lake, &[(&name, sheet)])?;
    Ok(lake.root().join(name))
}
