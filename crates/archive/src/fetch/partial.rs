//! A file that is not whole yet: `NAME.part`, and `NAME.part.json` that says of which version.
//!
//! The note is written before the first byte and after the bytes of another version are gone, so
//! whatever moment a process dies at, bytes and note are of one version, or the sum will tell.

use bifrost_sha256::Sha256;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The version of a file in the archive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    /// Its size, bytes.
    pub(super) length: Option<u64>,
    /// As the server names it.
    pub(super) etag: Option<String>,
}

/// What a power cut may do to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Care {
    /// Nothing once it is whole: nobody could tell.
    Durable,
    /// Anything: whoever takes it up holds it against its sum.
    Verified,
}

impl Care {
    fn sync_folder(self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(folder) if self == Self::Durable => File::open(folder)?.sync_all(),
            _ => Ok(()),
        }
    }
}

/// A file that is not whole yet. No other process writes it meanwhile.
#[derive(Debug)]
pub(super) struct Partial {
    target: PathBuf,
    care: Care,
    file: File,
    digest: Sha256,
    written: u64,
    version: Option<Version>,
}

impl Partial {
    /// Takes up what is there of `target`, or begins it. None while another process has it.
    ///
    /// # Errors
    /// What the file system refuses.
    pub(super) fn open(target: &Path, care: Care) -> io::Result<Option<Self>> {
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        let path = with_ending(target, ".part");
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            locked => locked?,
        }
        // whoever had it may have finished it: then this is the finished file under its old name
        match fs::metadata(&path) {
            Ok(now) if now.ino() == file.metadata()?.ino() => {}
            _ => return Ok(None),
        }
        let target = target.to_owned();
        let digest = Sha256::new();
        let mut partial = Self { target, care, file, digest, written: 0, version: None };
        partial.version = partial.noted();
        partial.take_up()?;
        Ok(Some(partial))
    }

    /// Bytes that are here.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Of which version they are.
    pub(super) fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }

    /// The digest of what is here.
    pub(super) fn digest(&mut self) -> &mut Sha256 {
        &mut self.digest
    }

    /// Begins from the first byte.
    ///
    /// # Errors
    /// What the file system refuses.
    pub(super) fn begin(&mut self, version: Version) -> io::Result<()> {
        self.forget()?;
        write_whole(&self.note(), &serde_json::to_vec(&version)?, self.care)?;
        self.version = Some(version);
        Ok(())
    }

    /// Throws away what is here.
    ///
    /// # Errors
    /// What the file system refuses.
    pub(super) fn forget(&mut self) -> io::Result<()> {
        // ext4 writes a file out at once that was ever cut to nothing, and most need not be written
        if self.file.metadata()?.len() > 0 {
            self.file.set_len(0)?;
        }
        self.file.seek(SeekFrom::Start(0))?;
        (self.digest, self.written, self.version) = (Sha256::new(), 0, None);
        Ok(())
    }

    /// Adds bytes, which go into the digest too, before or after. After an error it must be opened anew.
    ///
    /// # Errors
    /// What the file system refuses.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Makes it visible under its name: it is whole.
    ///
    /// # Errors
    /// What the file system refuses.
    pub(super) fn publish(self) -> io::Result<()> {
        if self.care == Care::Durable {
            self.file.sync_all()?;
        }
        fs::rename(with_ending(&self.target, ".part"), &self.target)?;
        match fs::remove_file(self.note()) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        self.care.sync_folder(&self.target)
    }

    /// Leaves what is here to whoever comes next; nothing, if nothing came.
    ///
    /// # Errors
    /// What the file system refuses.
    pub(super) fn leave(self) -> io::Result<()> {
        if self.written > 0 {
            return Ok(());
        }
        for path in [self.note(), with_ending(&self.target, ".part")] {
            match fs::remove_file(path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }

    fn note(&self) -> PathBuf {
        with_ending(&self.target, ".part.json")
    }

    fn noted(&self) -> Option<Version> {
        serde_json::from_slice(&fs::read(self.note()).ok()?).ok()
    }

    /// Hashes what is here, if it can be continued.
    fn take_up(&mut self) -> io::Result<()> {
        let here = self.file.metadata()?.len();
        let fits = self.version.as_ref().is_some_and(|v| v.length.is_none_or(|all| here <= all));
        if !fits {
            return self.forget();
        }
        let mut buffer = vec![0; 1 << 18];
        loop {
            match self.file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => {
                    self.digest.update(&buffer[..n]);
                    self.written += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}

/// Writes a small file whole or not at all.
///
/// # Errors
/// What the file system refuses.
pub(super) fn write_whole(path: &Path, bytes: &[u8], care: Care) -> io::Result<()> {
    let draft = with_ending(path, &format!(".{}.draft", std::process::id()));
    let mut file = File::create(&draft)?;
    file.write_all(bytes)?;
    if care == Care::Durable {
        file.sync_data()?;
    }
    fs::rename(&draft, path)?;
    care.sync_folder(path)
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn open(target: &Path) -> Partial {
        Partial::open(target, Care::Durable).expect("opened").expect("ours")
    }

    #[test]
    fn it_is_taken_up_where_it_was_left() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let target = dir.path().join("a/b.fits");
        let version = Version { length: Some(3), etag: Some("\"x\"".into()) };
        let mut first = open(&target);
        assert_eq!((first.written(), first.version()), (0, None));
        first.begin(version.clone()).expect("begun");
        first.append(b"ab").expect("written");
        let other = Partial::open(&target, Care::Verified).expect("opened");
        assert!(other.is_none(), "two writers");
        drop(first);
        let mut second = open(&target);
        assert_eq!((second.written(), second.version()), (2, Some(&version)));
        second.append(b"c").expect("written");
        second.digest().update(b"c");
        assert_eq!(second.digest().clone().hex(), ABC);
        second.publish().expect("published");
        assert_eq!(fs::read(&target).expect("read"), b"abc");
        let names: Vec<_> = fs::read_dir(dir.path().join("a")).expect("listed").collect();
        assert_eq!(names.len(), 1, "{names:?}");
    }

    #[test]
    fn what_cannot_be_continued_is_begun_anew() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let target = dir.path().join("b.fits");
        let version = || Version { length: Some(3), etag: None };
        for (bytes, note) in [("abcd", "{\"length\":3,\"etag\":null}"), ("ab", "{"), ("ab", "")] {
            fs::write(with_ending(&target, ".part"), bytes).expect("written");
            fs::write(with_ending(&target, ".part.json"), note).expect("written");
            assert_eq!(open(&target).written(), 0, "{bytes} {note}");
        }
        let mut partial = open(&target);
        partial.begin(version()).expect("begun");
        partial.append(b"xyz").expect("written");
        partial.begin(version()).expect("begun anew");
        partial.append(b"abc").expect("written");
        partial.digest().update(b"abc");
        assert_eq!((partial.written(), partial.digest().clone().hex().as_str()), (3, ABC));
    }
}
