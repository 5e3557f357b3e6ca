//! Room on the disk: promised before a file is begun, waited for where there is none.
//!
//! What is promised and not yet written counts as used, so that files under way never find the disk
//! full because of each other. Others may still fill it; then the write that fails waits here too.

use crate::caller::{Event, Tell};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, fs};

/// The disk under a folder.
pub struct Room {
    folder: PathBuf,
    keep_free_bytes: u64,
    poll: Duration,
    tell: Tell,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    promised: u64,
    waiting: u32,
}

/// So many bytes may be written. What is left of it when it is dropped is free again.
#[derive(Debug)]
pub struct Promise<'a> {
    room: &'a Room,
    left: u64,
}

/// There is not enough room.
#[derive(Debug, Clone, Copy)]
struct Lacking {
    free: u64,
    can_ever_fit: bool,
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("folder", &self.folder).field("state", &self.state).finish()
    }
}

impl Room {
    /// The disk under `folder`, of which some is left to others; `tell` hears of pauses.
    #[must_use]
    pub fn new(folder: &Path, keep_free_bytes: u64, poll: Duration, tell: Tell) -> Self {
        Self { folder: folder.to_owned(), keep_free_bytes, poll, tell, state: Mutex::default() }
    }

    /// Whether a folder is on the same disk.
    pub(super) fn is_of(&self, folder: &Path) -> io::Result<bool> {
        Ok(fs::metadata(&self.folder)?.dev() == fs::metadata(folder)?.dev())
    }

    /// Room for the files of another folder, where that is on another disk.
    pub(super) fn elsewhere(&self, folder: &Path) -> Self {
        Self::new(folder, self.keep_free_bytes, self.poll, self.tell.clone())
    }

    /// How often it is looked for.
    #[must_use]
    pub fn poll(&self) -> Duration {
        self.poll
    }

    /// Whether anything could be promised if nothing else were on the disk.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn is_possible(&self) -> io::Result<bool> {
        Ok(self.free()?.1 > self.keep_free_bytes)
    }

    /// Whether so many bytes could be promised now.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn has(&self, bytes: u64) -> io::Result<bool> {
        Ok(self.try_promise(bytes)?.is_ok())
    }

    /// Whether so many bytes cannot be written, whatever was promised to whom.
    #[must_use]
    pub fn is_full_for(&self, bytes: u64) -> bool {
        // a disk that cannot be asked has another fault
        self.free().is_ok_and(|(free, _)| free < bytes)
    }

    /// Waits until so many bytes can be written, and says so where it has to wait.
    ///
    /// # Errors
    /// What the file system refuses; [`io::ErrorKind::StorageFull`] where the whole disk would not
    /// be enough.
    pub async fn promise(&self, bytes: u64) -> io::Result<Promise<'_>> {
        let mut waiting: Option<Waiting<'_>> = None;
        loop {
            match self.try_promise(bytes)? {
                Ok(promise) => {
                    if let Some(waiting) = &mut waiting {
                        waiting.is_in_vain = false;
                    }
                    return Ok(promise);
                }
                Err(Lacking { can_ever_fit: false, .. }) => {
                    let text = "the whole disk is too small for it and what is kept free";
                    return Err(io::Error::new(io::ErrorKind::StorageFull, text));
                }
                Err(lacking) => {
                    if waiting.is_none() {
                        waiting = Some(self.wait(lacking.free, bytes));
                    }
                }
            }
            tokio::time::sleep(self.poll).await;
        }
    }

    fn try_promise(&self, bytes: u64) -> io::Result<Result<Promise<'_>, Lacking>> {
        let (free, whole) = self.free()?;
        let mut state = self.lock();
        let free = free.saturating_sub(state.promised);
        if bytes > free {
            let can_ever_fit = bytes.saturating_add(self.keep_free_bytes) <= whole;
            return Ok(Err(Lacking { free, can_ever_fit }));
        }
        state.promised += bytes;
        Ok(Ok(Promise { room: self, left: bytes }))
    }

    /// Bytes of the disk that may be used, and all that it has.
    fn free(&self) -> io::Result<(u64, u64)> {
        let disk = rustix::fs::statvfs(&self.folder)?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let whole = disk.f_blocks.saturating_mul(disk.f_frsize);
        Ok((free.saturating_sub(self.keep_free_bytes), whole))
    }

    /// Says so if nobody waits yet.
    fn wait(&self, free_bytes: u64, need_bytes: u64) -> Waiting<'_> {
        let mut state = self.lock();
        state.waiting += 1;
        let is_first = state.waiting == 1;
        drop(state);
        if is_first {
            (self.tell)(Event::NoRoom { folder: self.folder.clone(), free_bytes, need_bytes });
        }
        Waiting { room: self, is_in_vain: true }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody waits for room, until this is dropped.
struct Waiting<'a> {
    room: &'a Room,
    is_in_vain: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.room.lock();
        state.waiting -= 1;
        let was_last = state.waiting == 0;
        drop(state);
        if was_last && !self.is_in_vain {
            (self.room.tell)(Event::RoomAgain { folder: self.room.folder.clone() });
        }
    }
}

impl Promise<'_> {
    /// Makes it a promise of so many bytes; false if there is no room for them.
    ///
    /// # Errors
    /// What the file system refuses.
    pub(super) fn grow_to(&mut self, bytes: u64) -> io::Result<bool> {
        let more = bytes.saturating_sub(self.left);
        if more > 0 {
            let Ok(mut promise) = self.room.try_promise(more)? else {
                return Ok(false);
            };
            self.left += std::mem::take(&mut promise.left);
        }
        Ok(true)
    }

    /// So many of the bytes are on the disk now.
    pub(super) fn wrote(&mut self, bytes: u64) {
        let bytes = bytes.min(self.left);
        self.left -= bytes;
        self.room.lock().promised -= bytes;
    }
}

impl Drop for Promise<'_> {
    fn drop(&mut self) {
        self.room.lock().promised -= self.left;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test(start_paused = true)]
    async fn promises_count_until_they_are_kept() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let disk = rustix::fs::statvfs(dir.path()).expect("a disk");
        let free = disk.f_bavail * disk.f_frsize;
        // all but about 10 MB, give or take what other programs write meanwhile
        let keep = free - 10_000_000;
        let said = Arc::new(AtomicU32::new(0));
        let tell: Tell = {
            let said = said.clone();
            Arc::new(move |event| {
                let n = if matches!(event, Event::NoRoom { .. }) { 1 } else { 100 };
                said.fetch_add(n, Ordering::SeqCst);
            })
        };
        let room = Arc::new(Room::new(dir.path(), keep, Duration::from_millis(10), tell));
        let promise = room.promise(6_000_000).await.expect("room");
        assert_eq!(room.lock().promised, 6_000_000);
        let waiting = {
            let room = room.clone();
            tokio::spawn(async move {
                let mut promise = room.promise(6_000_000).await.expect("room");
                promise.wrote(5_000_000);
                room.lock().promised
            })
        };
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!waiting.is_finished());
        assert_eq!(said.load(Ordering::SeqCst), 1, "it pauses and says so, once");
        drop(promise);
        assert_eq!(waiting.await.expect("it went on"), 1_000_000);
        assert_eq!(said.load(Ordering::SeqCst), 101);
        assert_eq!(room.lock().promised, 0);
        let whole = room.promise(u64::MAX / 2).await;
        assert_eq!(whole.expect_err("no disk").kind(), io::ErrorKind::StorageFull);
    }
}
