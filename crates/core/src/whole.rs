//! Small files that readers see whole or not at all, and that are left alone where nothing changed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Writes a file by renaming a draft of the same file system over it, unless it holds that already;
/// says whether it did. Once [`flush_folder`] was called on its folder, it outlives a power cut.
///
/// # Errors
/// What the file system refuses; the file that was there stays.
pub fn write_if_changed(path: &Path, draft: &Path, bytes: &[u8]) -> io::Result<bool> {
    let is_same = |about: fs::Metadata| about.len() == bytes.len() as u64;
    if fs::metadata(path).is_ok_and(is_same) && fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(false);
    }
    let mut file = File::create(draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(draft, path)?;
    Ok(true)
}

/// Makes the names in a folder durable.
///
/// # Errors
/// What the file system refuses.
pub fn flush_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_only_where_it_changes() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, draft) = (folder.path().join("a"), folder.path().join("draft"));
        let write = |text: &str| write_if_changed(&path, &draft, text.as_bytes()).expect("ok");
        assert!(write("one") && !write("one") && write("two"));
        assert_eq!(fs::read_to_string(&path).expect("there"), "two");
        assert!(!draft.exists());
    }
}
