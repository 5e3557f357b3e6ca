//! How many bytes of the archive's files may be here at once, and what is left of earlier runs.

use bifrost_archive::fetch::Room;
use bifrost_archive::key::Production;
use bifrost_core::tile::Tile;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// What a tile is taken for until some are known: coadd and redrock of the survey's mean tile.
const USUAL_BYTES: u64 = 400_000_000;
const UNIT: u64 = 1_000_000;
/// So long a pixel that is not let in waits before the disk is asked again, at most.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Bytes that may be in use, shared by all pixels under way.
#[derive(Debug)]
pub(crate) struct Scratch {
    bytes: Arc<Semaphore>,
    units: u32,
    seen_tiles: AtomicU64,
    seen_bytes: AtomicU64,
    /// The disks that a pixel is written to: the scratch folder's and the lake's.
    rooms: [Arc<Room>; 2],
    let_in: Mutex<()>,
}

impl Scratch {
    pub(crate) fn new(bytes: u64, rooms: [Arc<Room>; 2]) -> Self {
        let units =
            u32::try_from((bytes / UNIT).max(1)).unwrap_or(u32::MAX >> 4).min(u32::MAX >> 4);
        let bytes = Arc::new(Semaphore::new(units as usize));
        let (seen_tiles, seen_bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { bytes, units, seen_tiles, seen_bytes, rooms, let_in: Mutex::default() }
    }

    /// Waits for room for tiles of these sizes; who asks first is served first. What is larger than
    /// all the room gets all of it.
    ///
    /// A disk that is nearly full is shared by fewer, in the end by one: pixels that are all half
    /// here would wait for each other for ever.
    pub(crate) async fn take(&self, sizes: &[Option<u64>]) -> Option<OwnedSemaphorePermit> {
        let usual = match self.seen_tiles.load(Ordering::Relaxed) {
            0 => USUAL_BYTES,
            tiles => self.seen_bytes.load(Ordering::Relaxed) / tiles,
        };
        let bytes: u64 = sizes.iter().map(|size| size.unwrap_or(usual)).sum();
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, self.units);
        let _turn = self.let_in.lock().await;
        let permit = self.bytes.clone().acquire_many_owned(units).await.ok()?;
        // they may be on their way to the disk or not: all are counted
        while self.under_way() > u64::from(units) && !self.have(2 * UNIT * self.under_way()) {
            sleep(self.rooms[0].poll().min(LOOK_AGAIN)).await;
        }
        Some(permit)
    }

    /// Bytes of those that were let in, in units.
    fn under_way(&self) -> u64 {
        u64::from(self.units).saturating_sub(self.bytes.available_permits() as u64)
    }

    /// Whether all disks have so much room; one that cannot be asked says more when it is written to.
    fn have(&self, bytes: u64) -> bool {
        self.rooms.iter().all(|room| room.has(bytes).unwrap_or(true))
    }

    /// A tile turned out to have so many bytes.
    pub(crate) fn learn(&self, bytes: u64) {
        self.seen_tiles.fetch_add(1, Ordering::Relaxed);
        self.seen_bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Free bytes and size of the disk under a folder.
pub(crate) fn disk(folder: &Path) -> io::Result<(u64, u64)> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok((disk.f_bavail.saturating_mul(disk.f_frsize), disk.f_blocks.saturating_mul(disk.f_frsize)))
}

/// Deletes what earlier runs left of tiles that are over: not to be made here.
///
/// # Errors
/// What the file system refuses.
pub(crate) fn sweep(
    folder: &Path,
    production: &Production,
    is_over: impl Fn(&Tile) -> bool,
) -> io::Result<u64> {
    let mut freed = 0;
    let mut folders = vec![folder.join(production.root())];
    while let Some(here) = folders.pop() {
        let entries = match std::fs::read_dir(&here) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let Some(key) = path.strip_prefix(folder).ok().and_then(Path::to_str) else { continue };
            let key = key.trim_end_matches(".json").trim_end_matches(".part");
            // what this program did not fetch is not its to delete
            let Some((tile, _)) = production.parse(key) else { continue };
            if is_over(&tile) {
                freed += std::fs::metadata(&path)?.len();
                std::fs::remove_file(&path)?;
            }
        }
    }
    Ok(freed)
}

/// Deletes a tile's folder with all that was fetched.
pub(crate) fn remove(folder: &Path) {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            tracing::warn!("{} could not be deleted: {e}", folder.display());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bifrost_archive::key::Kind;
    use bifrost_core::tile::{Name, Pixel};

    fn room(folder: &Path, keep_free_bytes: u64) -> Arc<Room> {
        Arc::new(Room::new(folder, keep_free_bytes, Duration::from_millis(5), Arc::new(|_| {})))
    }

    #[tokio::test]
    async fn room_is_bounded_and_nothing_is_too_large() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let room = room(dir.path(), 0);
        let scratch = Scratch::new(10 * UNIT, [room.clone(), room]);
        let first = scratch.take(&[Some(6 * UNIT), Some(2 * UNIT)]).await;
        assert_eq!(scratch.bytes.available_permits(), 2);
        drop(first);
        let whole = scratch.take(&[Some(99 * UNIT)]).await;
        assert_eq!(scratch.bytes.available_permits(), 0);
        drop(whole);
        scratch.learn(3 * UNIT);
        let _unknown = scratch.take(&[None]).await;
        assert_eq!(scratch.bytes.available_permits(), 7);
    }

    #[tokio::test]
    async fn a_full_disk_is_entered_by_one_at_a_time() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (free, full) = (room(dir.path(), 0), room(dir.path(), u64::MAX));
        let scratch = Arc::new(Scratch::new(10 * UNIT, [free, full]));
        let first = scratch.take(&[Some(UNIT)]).await;
        let second = {
            let scratch = scratch.clone();
            tokio::spawn(async move { scratch.take(&[Some(UNIT)]).await.is_some() })
        };
        while scratch.bytes.available_permits() > 8 {
            tokio::task::yield_now().await;
        }
        sleep(Duration::from_millis(50)).await;
        assert!(!second.is_finished());
        drop(first);
        assert!(second.await.expect("it went on"));
    }

    #[test]
    fn only_what_is_not_wanted_is_swept() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let name = |n| Name::new(n).expect("a name");
        let production = Production::known(&name("iron")).expect("known");
        let tile = |pixel| Tile {
            release: name("iron"),
            survey: name("main"),
            program: name("dark"),
            pixel: Pixel::new(pixel).expect("a pixel"),
        };
        let put = |key: String| {
            let path = dir.path().join(key);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(&path, "123").expect("written");
            path
        };
        let wanted = put(production.key(&tile(1), Kind::Coadd) + ".part");
        let gone = put(production.key(&tile(2), Kind::Coadd) + ".part.json");
        let foreign = put(production.folder(&tile(2)) + "/notes.txt");
        let is_over = |at: &Tile| *at != tile(1);
        assert_eq!(sweep(dir.path(), &production, is_over).expect("swept"), 3);
        assert!(wanted.exists() && !gone.exists() && foreign.exists());
    }
}
