//! Room on the disk: promised before a file is begun, waited for where there is none.
//!
//! What is promised and not yet written counts as used, so that files under way never find the disk
//! full because of each other. Others may still fill it; then the write that fails waits here too.

use crate::caller::{Event, Tell};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The disk under a folder.
#[derive(Debug)]
pub(super) struct Room {
    folder: PathBuf,
    keep_free_bytes: u64,
    poll: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    promised: u64,
    waiting: u32,
}

/// So many bytes may be written. What is left of it when it is dropped is free again.
#[derive(Debug)]
pub(super) struct Promise<'a> {
    room: &'a Room,
    left: u64,
}

/// There is not enough room.
#[derive(Debug, Clone, Copy)]
struct Lacking {
    free: u64,
    can_ever_fit: bool,
}

impl Room {
    pub(super) fn new(folder: &Path, keep_free_bytes: u64, poll: Duration) -> Self {
        Self { folder: folder.to_owned(), keep_free_bytes, poll, state: Mutex::default() }
    }

    /// Waits until so many bytes can be written, and says so where it has to wait.
    ///
    /// # Errors
    /// What the file system refuses; [`io::ErrorKind::StorageFull`] where the whole disk would not
    /// be enough.
    pub(super) async fn promise(&self, bytes: u64, tell: &Tell) -> io::Result<Promise<'_>> {
        let mut waits = false;
        let promise = loop {
            match self.try_promise(bytes) {
                Ok(Ok(promise)) => break Ok(promise),
                Ok(Err(Lacking { can_ever_fit: false, .. })) => {
                    break Err(io::ErrorKind::StorageFull.into());
                }
                Ok(Err(lacking)) => {
                    if !waits {
                        waits = true;
                        self.begin_to_wait(lacking.free, bytes, tell);
                    }
                }
                Err(e) => break Err(e),
            }
            tokio::time::sleep(self.poll).await;
        };
        if waits {
            self.stop_waiting(tell);
        }
        promise
    }

    fn try_promise(&self, bytes: u64) -> io::Result<Result<Promise<'_>, Lacking>> {
        let disk = rustix::fs::statvfs(&self.folder)?;
        let mut state = self.lock();
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let free = free.saturating_sub(self.keep_free_bytes).saturating_sub(state.promised);
        if bytes > free {
            let whole = disk.f_blocks.saturating_mul(disk.f_frsize);
            let can_ever_fit = bytes.saturating_add(self.keep_free_bytes) <= whole;
            return Ok(Err(Lacking { free, can_ever_fit }));
        }
        state.promised += bytes;
        Ok(Ok(Promise { room: self, left: bytes }))
    }

    fn begin_to_wait(&self, free_bytes: u64, need_bytes: u64, tell: &Tell) {
        let mut state = self.lock();
        state.waiting += 1;
        let is_first = state.waiting == 1;
        drop(state);
        if is_first {
            tracing::warn!(
                "waiting for room in {}: {free_bytes} bytes may be used, {need_bytes} are needed",
                self.folder.display()
            );
            tell(Event::NoRoom { free_bytes, need_bytes });
        }
    }

    fn stop_waiting(&self, tell: &Tell) {
        let mut state = self.lock();
        state.waiting = state.waiting.saturating_sub(1);
        let was_last = state.waiting == 0;
        drop(state);
        if was_last {
            tell(Event::RoomAgain);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
        let room = Arc::new(Room::new(dir.path(), keep, Duration::from_millis(10)));
        let said = Arc::new(AtomicU32::new(0));
        let tell: Tell = {
            let said = said.clone();
            Arc::new(move |event| {
                let n = if matches!(event, Event::NoRoom { .. }) { 1 } else { 100 };
                said.fetch_add(n, Ordering::SeqCst);
            })
        };
        let promise = room.promise(6_000_000, &tell).await.expect("room");
        assert_eq!(room.lock().promised, 6_000_000);
        let waiting = {
            let (room, tell) = (room.clone(), tell.clone());
            tokio::spawn(async move {
                let mut promise = room.promise(6_000_000, &tell).await.expect("room");
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
        let whole = room.promise(u64::MAX / 2, &tell).await;
        assert_eq!(whole.expect_err("no disk").kind(), io::ErrorKind::StorageFull);
    }
}
