//! Small files that readers see whole or not at all, and that are left alone where nothing changed.

use rayon::prelude::*;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Writes a file by renaming a draft of the same file system over it, unless it holds that already;
/// says whether it did. Once [`flush_folder`] was called on its folder, it outlives a power cut.
///
/// # Errors
/// What the file system refuses; the file that was there stays.
pub fn write_if_changed(path: &Path, draft: &Path, bytes: &[u8]) -> io::Result<bool> {
    write_changed(&[(path, bytes)], draft)
}

/// As [`write_if_changed`], several: their drafts, numbered, are made durable side by side before the first
/// takes its place; then they follow in order.
///
/// # Errors
/// What the file system refuses.
pub fn write_changed(files: &[(&Path, &[u8])], draft: &Path) -> io::Result<bool> {
    let changed = files.iter().filter(|(path, bytes)| !holds(path, bytes)).enumerate();
    let drafts: Vec<_> = changed
        .map(|(number, (path, bytes))| {
            (draft.with_added_extension(number.to_string()), path, bytes)
        })
        .collect();
    drafts.par_iter().try_for_each(|(draft, _, bytes)| {
        let mut file = File::create(draft)?;
        file.write_all(bytes)?;
        file.sync_all()
    })?;
    for (draft, path, _) in &drafts {
        fs::rename(draft, path)?;
    }
    Ok(!drafts.is_empty())
}

/// Writes a file that nobody else has written, by a draft of the same file system. Once [`flush_folder`] was
/// called on its folder, it outlives a power cut.
///
/// # Errors
/// `AlreadyExists` where somebody has; what the file system refuses.
pub fn write_new(path: &Path, draft: &Path, bytes: &[u8]) -> io::Result<()> {
    let write = || {
        let mut file = File::create(draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        // unlike a rename it fails where the name exists: the first wins
        fs::hard_link(draft, path)
    };
    let written = match write() {
        // some file systems have no links
        Err(e)
            if matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) =>
        {
            fs::rename(draft, path)
        }
        done => done,
    };
    // what was renamed is gone already
    let _ = fs::remove_file(draft);
    written
}

fn holds(path: &Path, bytes: &[u8]) -> bool {
    let is_same = |about: fs::Metadata| about.len() == bytes.len() as u64;
    fs::metadata(path).is_ok_and(is_same) && fs::read(path).is_ok_and(|there| there == bytes)
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
    fn of_several_files_those_are_written_that_change() {
        let folder = tempfile::tempdir().expect("a folder");
        let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
        let write = |one: &[u8], other: &[u8]| {
            write_changed(&[(&a, one), (&b, other)], &folder.path().join("draft")).expect("ok")
        };
        assert!(write(b"1", b"1") && !write(b"1", b"1"));
        let before = fs::metadata(&a).and_then(|about| about.modified()).expect("there");
        assert!(write(b"1", b"2"));
        assert_eq!(fs::metadata(&a).and_then(|about| about.modified()).expect("there"), before);
        assert_eq!(fs::read(&b).expect("there"), b"2");
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 2, "no draft is left");
    }

    #[test]
    fn of_several_who_write_a_new_file_one_does() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        let write = |number: &u8| {
            let draft = folder.path().join(format!("{number}.draft"));
            write_new(&path, &draft, &[*number])
        };
        let numbers: Vec<u8> = (0..16).collect();
        let done: Vec<_> = numbers.par_iter().map(|number| (*number, write(number))).collect();
        let (won, lost): (Vec<_>, Vec<_>) = done.into_iter().partition(|(_, done)| done.is_ok());
        let is_late =
            |done: io::Result<()>| done.is_err_and(|e| e.kind() == io::ErrorKind::AlreadyExists);
        assert!(won.len() == 1 && lost.into_iter().all(|(_, done)| is_late(done)));
        assert_eq!(fs::read(&path).expect("there"), [won[0].0]);
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1, "no draft is left");
    }

    #[test]
    fn a_file_is_written_only_where_it_changes() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, draft) = (folder.path().join("a"), folder.path().join("draft"));
        let write = |text: &str| write_if_changed(&path, &draft, text.as_bytes()).expect("ok");
        assert!(write("one") && !write("one") && write("six") && write("two"));
        assert_eq!(fs::read_to_string(&path).expect("there"), "two");
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1, "no draft is left");
    }
}
