//! A folder in which several processes compute together, and in which one that was killed goes on.
//!
//! ```text
//! FOLDER/DIGEST/lock        shared by the processes at work
//! FOLDER/DIGEST/STEP/PART   output of a part, after its BLAKE3
//! ```
//!
//! An output is put there by renaming, whole, and is the same whoever made it. So nothing depends on
//! [`Claims`] but how much is made twice.

use crate::heap;
use bifrost_science::work::{Failure, Make, Work};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// How often a process looks for what others make.
const LOOK: Duration = Duration::from_millis(100);
/// What nobody has worked on for so long is removed.
const FORGOTTEN: Duration = Duration::from_secs(7 * 24 * 3600);
/// Bytes of a digest.
const DIGEST: usize = blake3::OUT_LEN;

/// Who works on what.
pub trait Claims: Sync {
    /// Takes a part, unless another process is at work on it.
    ///
    /// # Errors
    /// Where nobody can say, or no more work is to be begun.
    fn claim(&self, step: &str, part: usize) -> Result<bool, Failure>;

    /// Gives a part back.
    ///
    /// # Errors
    /// Where nobody can be told.
    fn release(&self, step: &str, part: usize) -> Result<(), Failure>;

    /// So many parts of a step are there, of so many.
    fn told(&self, step: &str, done: usize, parts: usize);
}

/// Why a folder cannot be worked in.
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
    /// An output that is not what was written.
    #[error("{} is damaged, and was removed: it is made anew when the command runs again", .0.display())]
    Damaged(PathBuf),
}

/// BLAKE3 of the document that determines a computation (hex).
#[must_use]
pub fn digest(document: &Value) -> String {
    blake3::hash(document.to_string().as_bytes()).to_hex().to_string()
}

/// The outputs of one computation, and who makes them.
pub struct Shared<'a> {
    kept: Kept,
    claims: &'a dyn Claims,
}

/// Outputs that no other process removes.
#[derive(Debug)]
pub struct Kept {
    root: PathBuf,
    lock: File,
}

impl<'a> Shared<'a> {
    /// Goes on with the computation of a digest in a folder, or begins it. Outputs that are damaged are
    /// removed, and so is what nobody has worked on for a week.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(folder: &Path, digest: &str, claims: &'a dyn Claims) -> Result<Self, Error> {
        remove_forgotten(folder);
        let root = folder.join(digest);
        fs::create_dir_all(&root).map_err(io("make the folder", &root))?;
        let path = root.join("lock");
        let lock = File::create(&path).map_err(io("make the file", &path))?;
        lock.lock_shared().map_err(io("lock", &path))?;
        let kept = Kept { root, lock };
        kept.remove_damaged()?;
        Ok(Self { kept, claims })
    }

    /// Nothing more is made; what is there stays, until it is finished with.
    #[must_use]
    pub fn kept(self) -> Kept {
        self.kept
    }

    fn first_free(&self, step: &str, missing: &[usize]) -> Result<Option<usize>, Failure> {
        for part in missing {
            if self.claims.claim(step, *part)? {
                return Ok(Some(*part));
            }
        }
        Ok(None)
    }
}

impl Kept {
    /// Nothing is needed any more: the outputs are removed, unless another process works with them.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(self) -> Result<(), Error> {
        let _ = self.lock.unlock();
        match self.lock.try_lock() {
            Ok(()) => fs::remove_dir_all(&self.root).map_err(io("remove the folder", &self.root)),
            Err(_) => Ok(()),
        }
    }

    fn remove_damaged(&self) -> Result<(), Error> {
        let entries = |folder: &Path| fs::read_dir(folder).map(|entries| entries.flatten());
        let steps = entries(&self.root).map_err(io("read the folder", &self.root))?;
        let files = steps.filter_map(|step| entries(&step.path()).ok()).flatten();
        for path in files.map(|file| file.path()).filter(|path| path.extension().is_none()) {
            if let Err(error @ Error::Damaged(_)) = read(&path) {
                tracing::warn!("{error}");
            }
        }
        Ok(())
    }

    fn folder(&self, step: &str) -> PathBuf {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        self.root.join(step.chars().map(plain).collect::<String>())
    }

    fn path(&self, step: &str, part: usize) -> PathBuf {
        self.folder(step).join(part.to_string())
    }
}

impl Work for Shared<'_> {
    fn each(&self, step: &str, parts: usize, make: Make<'_>) -> Result<(), Failure> {
        let folder = self.kept.folder(step);
        fs::create_dir_all(&folder).map_err(io("make the folder", &folder))?;
        let mut missing: Vec<usize> = (0..parts).collect();
        loop {
            missing.retain(|part| !self.kept.path(step, *part).exists());
            self.claims.told(step, parts - missing.len(), parts);
            let Some(part) = self.first_free(step, &missing)? else {
                if missing.is_empty() {
                    return Ok(());
                }
                std::thread::sleep(LOOK);
                continue;
            };
            // another may have ended it between the look and the claim
            let path = self.kept.path(step, part);
            let made = match path.exists() {
                true => Ok(()),
                false => make(part).and_then(|bytes| Ok(write(&path, &bytes)?)),
            };
            heap::give_back();
            self.claims.release(step, part)?;
            made?;
        }
    }

    fn read(&self, step: &str, part: usize) -> Result<Vec<u8>, Failure> {
        Ok(read(&self.kept.path(step, part))?)
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    // numbers of processes are those of one node
    let draft = path.with_extension(format!("draft-{}", Uuid::new_v4()));
    let write = || {
        let mut file = File::create(&draft)?;
        file.write_all(blake3::hash(bytes).as_bytes())?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    write().inspect_err(|_| drop(fs::remove_file(&draft))).map_err(io("write", path))
}

/// Reads an output; one that is damaged is removed.
fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = fs::read(path).map_err(io("read", path))?;
    let is_whole = bytes
        .split_at_checked(DIGEST)
        .is_some_and(|(digest, rest)| blake3::hash(rest).as_bytes() == digest);
    if !is_whole {
        let _ = fs::remove_file(path);
        return Err(Error::Damaged(path.to_owned()));
    }
    bytes.drain(..DIGEST);
    Ok(bytes)
}

fn io<'p>(doing: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> Error + 'p {
    move |source| Error::Io { doing, path: path.to_owned(), source }
}

/// Removes computations that nobody has worked on for long. What cannot be removed stays.
fn remove_forgotten(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let is_old = |path: &Path| {
        let changed = fs::metadata(path).and_then(|about| about.modified()).ok();
        changed.and_then(|then| SystemTime::now().duration_since(then).ok()) > Some(FORGOTTEN)
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let lock = path.join("lock");
        let is_free = |lock: &Path| File::open(lock).is_ok_and(|lock| lock.try_lock().is_ok());
        if is_old(&lock) && is_old(&path) && is_free(&lock) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    /// Claims of several threads.
    #[derive(Default)]
    struct Held(Mutex<HashSet<(String, usize)>>);

    impl Claims for Held {
        fn claim(&self, step: &str, part: usize) -> Result<bool, Failure> {
            Ok(self.0.lock().expect("held").insert((step.to_owned(), part)))
        }

        fn release(&self, step: &str, part: usize) -> Result<(), Failure> {
            assert!(self.0.lock().expect("held").remove(&(step.to_owned(), part)));
            Ok(())
        }

        fn told(&self, _: &str, _: usize, _: usize) {}
    }

    #[test]
    fn several_share_parts_and_each_is_made_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let (held, made) = (Held::default(), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let work = Shared::open(folder.path(), "work", &held).expect("opened");
                    let make = |part: usize| {
                        made.fetch_add(1, Relaxed);
                        Ok(vec![part as u8; part])
                    };
                    work.each("a step", 20, &make).expect("made");
                    assert!(
                        (0..20).all(|part| work.read("a step", part).expect("read")
                            == vec![part as u8; part])
                    );
                    work.kept().finish().expect("finished");
                });
            }
        });
        assert_eq!(made.into_inner(), 20);
        assert!(!folder.path().join("work").exists(), "the last takes the folder away");
    }

    #[test]
    fn what_is_there_is_not_made_again_and_damage_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let held = Held::default();
        let work = Shared::open(folder.path(), "work", &held).expect("opened");
        let fail = |part: usize| match part {
            0 => Ok(b"nought".to_vec()),
            _ => Err("interrupted".into()),
        };
        assert_eq!(work.each("s", 2, &fail).expect_err("stopped").to_string(), "interrupted");
        drop(work);
        let work = Shared::open(folder.path(), "work", &held).expect("opened");
        let other = |part: usize| if part == 0 { Err("made again".into()) } else { Ok(vec![7]) };
        work.each("s", 2, &other).expect("goes on");
        assert_eq!(work.read("s", 0).expect("there"), b"nought");
        let path = work.kept.path("s", 1);
        fs::write(&path, b"torn").expect("written");
        assert!(
            work.read("s", 1).expect_err("damaged").to_string().contains("when the command runs")
        );
        work.each("s", 2, &other).expect("made anew");
        fs::write(&path, b"torn again").expect("written");
        let work = Shared::open(folder.path(), "work", &held).expect("opened");
        assert!(!path.exists());
        work.each("s", 2, &other).expect("made anew");
        assert_eq!(work.read("s", 1).expect("there"), [7]);
    }
}
