//! A tile's files, brought into a local folder: whole and verified, or refused with a reason.
//!
//! Files lie below the folder as they do below the archive's. A file appears under its name only
//! when its SHA-256 is the one that the archive states (or, where it states none, when its length
//! is); until then it is `NAME.part`, with a note beside it that says of which version. What a
//! process that died left behind is continued by the next.
//!
//! A transfer is one stream from the first missing byte to the end: the sum is over the bytes in
//! their order, and the archive is kept busy by several files at a time, not by parts of one.

mod desk;
mod file;
mod partial;
mod room;

use crate::archive::Fault;
use crate::caller::Caller;
use crate::key::{Kind, Production, file_name};
use crate::pace::{Valve, pause};
use crate::sums::{self, Sums};
use bifrost_core::outcome::Outcome;
use bifrost_core::registry::ArchiveFile;
use bifrost_core::tile::Tile;
use desk::Desk;
use file::Wanted;
use partial::Care;
pub use room::{Promise, Room};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How files are fetched.
#[derive(Debug, Clone)]
pub struct Config {
    /// Bytes a second, over all files; none = as fast as it goes.
    pub rate_bytes_per_s: Option<u64>,
    /// Free space that is left to others on the disk, bytes.
    pub keep_free_bytes: u64,
    /// How often a full disk is looked at again.
    pub room_poll: Duration,
    /// How often a file is fetched from its first byte because its sum was wrong.
    pub rereads: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rate_bytes_per_s: None,
            keep_free_bytes: 1_000_000_000,
            room_poll: Duration::from_secs(2),
            rereads: 5,
        }
    }
}

/// Which files of a tile are wanted, with what is known of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The tile.
    pub tile: Tile,
    /// Its files.
    pub files: Vec<Source>,
    /// SHA-256 (hex) of the files, by kind, of which all is held that is wanted: where the archive states
    /// just these, none is brought.
    pub held: BTreeMap<String, String>,
}

/// A file in the archive, with what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What it is.
    pub kind: Kind,
    /// Its size, bytes.
    pub size_bytes: Option<u64>,
    /// Its sum, should the archive have no sum file.
    pub sha256: Option<String>,
}

impl Job {
    /// The usual files of a tile of which nothing is known.
    #[must_use]
    pub fn of(tile: Tile, kinds: &[Kind]) -> Self {
        let source = |kind: &Kind| Source { kind: *kind, size_bytes: None, sha256: None };
        Self { tile, files: kinds.iter().map(source).collect(), held: BTreeMap::new() }
    }

    /// The files of an inventory, gathered by tile; in the order of the inventory.
    #[must_use]
    pub fn gather(files: &[ArchiveFile]) -> Vec<Self> {
        let mut jobs: Vec<Self> = Vec::new();
        for file in files {
            let Ok(kind) = file.kind.parse() else { continue };
            let size_bytes = file.size_bytes.and_then(|size| u64::try_from(size).ok());
            let source = Source { kind, size_bytes, sha256: file.sha256.clone() };
            match jobs.last_mut() {
                Some(job) if job.tile == file.tile => job.files.push(source),
                _ => {
                    let (tile, files) = (file.tile.clone(), vec![source]);
                    jobs.push(Self { tile, files, held: BTreeMap::new() });
                }
            }
        }
        jobs
    }

    /// Whether the archive states just the files that are held.
    fn is_held(&self, sums: &Sums) -> bool {
        let stated = |source: &Source| {
            let digest = sums.digest(&file_name(&self.tile, source.kind))?;
            Some((source.kind.as_str().to_owned(), digest.to_owned()))
        };
        let stated: BTreeMap<String, String> = self.files.iter().filter_map(stated).collect();
        !stated.is_empty() && stated == self.held
    }

    /// Bytes of its files, as far as they are known.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().filter_map(|file| file.size_bytes).sum()
    }
}

/// How a file came to be here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// All of it came now.
    Fetched,
    /// A part of it was here.
    Resumed,
    /// It was here.
    Present,
    /// The archive does not have it, and the tile can do without.
    Absent,
    /// It was not brought: what is made of it is held.
    Held,
}

impl How {
    /// Whether the file is here now.
    #[must_use]
    pub fn is_here(self) -> bool {
        !matches!(self, Self::Absent | Self::Held)
    }
}

/// A file of a tile that was fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fetched {
    /// What it is.
    pub kind: Kind,
    /// How it came to be here.
    pub how: How,
    /// Its key in the archive.
    pub key: String,
    /// Where it is, or would be.
    pub path: PathBuf,
    /// Its size, bytes.
    pub size_bytes: u64,
    /// Its version in the archive, where one was told.
    pub etag: Option<String>,
    /// Its sum (hex), if the archive states one: it has been verified.
    pub sha256: Option<String>,
}

/// Why a tile is not here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// One of missing_source, checksum_mismatch, archive_error, disk, internal.
    pub outcome: Outcome,
    /// In words, with the file's key.
    pub reason: String,
}

/// How a tile ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ending {
    /// The tile.
    pub tile: Tile,
    /// Why it is not here; none if it is.
    pub failure: Option<Failure>,
    /// Its files, in the order of kinds; all of them if it is here, none otherwise.
    pub files: Vec<Fetched>,
    /// Bytes of files that came over the network, those in vain included.
    pub bytes: u64,
    /// How long it took, seconds.
    pub seconds: f64,
    /// Requests that failed and were sent again.
    pub retries: u32,
    /// Files whose sum was wrong, and which were fetched again.
    pub corrupt: u32,
}

/// What a tile has cost so far.
#[derive(Debug, Default)]
struct Tally {
    bytes: AtomicU64,
    retries: AtomicU32,
    corrupt: AtomicU32,
}

/// Brings tiles. Shared by all that are under way: one pace, one rate, one disk.
#[derive(Debug)]
pub struct Fetcher {
    caller: Caller,
    production: Production,
    folder: PathBuf,
    valve: Option<Valve>,
    room: Arc<Room>,
    desk: Desk,
    config: Config,
}

impl Fetcher {
    /// Brings tiles of a production into `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn new(
        caller: Caller,
        production: Production,
        folder: &Path,
        config: Config,
    ) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let folder = folder.canonicalize()?;
        let tell = caller.tell.clone();
        let room = Arc::new(Room::new(&folder, config.keep_free_bytes, config.room_poll, tell));
        let valve = config.rate_bytes_per_s.map(Valve::new);
        let desk = Desk::new()?;
        Ok(Self { caller, production, folder, valve, room, desk, config })
    }

    /// The archive, and the pace at which it is asked.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Room on the disk that files are brought to.
    #[must_use]
    pub fn room(&self) -> &Arc<Room> {
        &self.room
    }

    /// Room on the disk of another folder, which may be the same disk; files of both then count.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn room_in(&self, folder: &Path) -> io::Result<Arc<Room>> {
        Ok(match self.room.is_of(folder)? {
            true => self.room.clone(),
            false => Arc::new(self.room.elsewhere(folder)),
        })
    }

    /// Where a tile's files are put.
    #[must_use]
    pub fn folder_of(&self, tile: &Tile) -> PathBuf {
        self.folder.join(self.production.folder(tile))
    }

    /// Brings a tile's files and its sum file. Any number of calls may be under way; how many
    /// transfers are is the pace's business. A call that is dropped leaves partial files, which the
    /// next continues.
    pub async fn tile(&self, job: &Job) -> Ending {
        let began = Instant::now();
        let tally = Tally::default();
        let (files, failure) = match self.verified(job, &tally).await {
            Ok(files) => (files, None),
            Err(failure) => (Vec::new(), Some(failure)),
        };
        Ending {
            tile: job.tile.clone(),
            failure,
            files,
            bytes: tally.bytes.into_inner(),
            seconds: began.elapsed().as_secs_f64(),
            retries: tally.retries.into_inner(),
            corrupt: tally.corrupt.into_inner(),
        }
    }

    /// All files of a tile. Where a sum is wrong, either the file was damaged on its way or the sum
    /// file was: both are asked for again.
    async fn verified(&self, job: &Job, tally: &Tally) -> Result<Vec<Fetched>, Failure> {
        let kinds: Vec<Kind> = job.files.iter().map(|file| file.kind).collect();
        let (tile, mut round) = (&job.tile, 0);
        loop {
            let sums = sums::read(&self.caller, &self.production, tile, &kinds, round > 0).await;
            let sums = sums.map_err(|fault| self.failed(tile, Kind::Sums, &fault))?;
            if let Some(sums) = sums.as_ref().filter(|sums| job.is_held(sums)) {
                let wanted = job.files.iter().map(|file| self.wanted(tile, file, Some(sums)));
                return Ok(wanted.map(|wanted| wanted.not_brought()).collect());
            }
            let under_way = job.files.iter().map(|source| {
                let wanted = self.wanted(tile, source, sums.as_ref());
                async move { self.one(&wanted, tally).await }
            });
            let ended = futures::future::join_all(under_way).await;
            let worst = ended.iter().filter_map(|e| e.as_ref().err()).max_by_key(|f| f.outcome);
            match worst {
                Some(failure)
                    if failure.outcome == Outcome::ChecksumMismatch
                        && round < self.config.rereads =>
                {
                    round += 1;
                }
                Some(failure) => return Err(failure.clone()),
                None => {
                    if let Some(sums) = &sums {
                        self.keep_sums(tile, sums).await?;
                    }
                    return Ok(ended.into_iter().flatten().collect());
                }
            }
        }
    }

    fn wanted(&self, tile: &Tile, source: &Source, sums: Option<&Sums>) -> Wanted {
        let name = file_name(tile, source.kind);
        let stated = sums.and_then(|sums| sums.digest(&name));
        Wanted {
            kind: source.kind,
            key: self.production.key(tile, source.kind),
            path: self.folder_of(tile).join(name),
            size_bytes: source.size_bytes,
            sha256: match sums {
                Some(_) => stated.map(str::to_owned),
                None => source.sha256.clone(),
            },
            is_listed: sums.map(|_| stated.is_some()),
        }
    }

    async fn one(&self, wanted: &Wanted, tally: &Tally) -> Result<Fetched, Failure> {
        let is_optional = !wanted.kind.is_required();
        if is_optional && wanted.is_listed == Some(false) {
            return Ok(wanted.absent());
        }
        match self.bring(wanted, tally).await {
            Err(file::Stop::Fault(Fault::Absent(_))) if is_optional => Ok(wanted.absent()),
            Err(stop) => {
                let outcome = stop.outcome();
                if outcome == Outcome::ChecksumMismatch {
                    tally.corrupt.fetch_add(1, Ordering::Relaxed);
                }
                Err(Failure { outcome, reason: format!("{}: {stop}", wanted.key) })
            }
            Ok(fetched) => Ok(fetched),
        }
    }

    fn failed(&self, tile: &Tile, kind: Kind, fault: &Fault) -> Failure {
        let reason = format!("{}: {fault}", self.production.key(tile, kind));
        Failure { outcome: Outcome::ArchiveError, reason }
    }

    /// Keeps the sum file beside the files that it describes.
    async fn keep_sums(&self, tile: &Tile, sums: &Sums) -> Result<(), Failure> {
        let path = self.folder_of(tile).join(file_name(tile, Kind::Sums));
        loop {
            let (path, text) = (path.clone(), sums.text().to_owned());
            let size_bytes = text.len() as u64;
            let write = move || partial::write_whole(&path, &text, Care::Verified);
            let kept = file::off_the_runtime(write).await;
            match kept {
                Err(e) if is_full_disk(&e) => self.wait_for_room(size_bytes).await,
                kept => {
                    return kept.map_err(|e| Failure {
                        outcome: Outcome::Disk,
                        reason: format!("{}: {e}", self.production.key(tile, Kind::Sums)),
                    });
                }
            }
        }
    }

    /// Others filled the disk: waits until there is room again, or it is worth another try.
    async fn wait_for_room(&self, bytes: u64) {
        pause(self.config.room_poll).await;
        // what is wrong with the disk, the next write says
        drop(self.room.promise(bytes).await);
    }
}

/// Whether it is for want of room that the file system refused.
#[must_use]
pub fn is_full_disk(error: &io::Error) -> bool {
    [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded].contains(&error.kind())
}
