//! Where things lie in a lake: the only module that spells a path.
//!
//! ```text
//! LAKE/<product>/dataset/Norder=6/Dir=10000/Npix=12712/iron-main-dark-12712_234.parquet
//! LAKE/spectra-h5/Norder=6/Dir=10000/Npix=12712.h5     the arrays of a pixel's tiles (see `store`)
//! LAKE/<product>/hats.properties …     what makes a HATS catalog of it (see `hats`)
//! LAKE/.bifrost/lake.json      identity of the lake
//! LAKE/.bifrost/staging/       files being made
//! LAKE/.bifrost/intents/       publications under way
//! LAKE/.bifrost/replaced/      predecessors of files that were made again
//! LAKE/.bifrost/quarantine/    one JSON a tile that could not be made: why, and what to do
//! LAKE/.bifrost/digests/       one JSON a tile whose files were touched, but are the same
//! LAKE/.bifrost/gc/            what gc is about to unlink
//! LAKE/.bifrost/scratch/       the archive's files, until the tile is published
//! LAKE/.bifrost/run.lock       held by the process that runs a campaign here
//! LAKE/.bifrost/stage-S.lock   held by the process that runs stage S here
//! ```

use crate::store;
use crate::tile::{FileName, Name, Pixel, Tile};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The folder of a lake that readers never look into.
pub const PRIVATE: &str = ".bifrost";
/// The folder of a HATS product that holds its data files.
pub const DATASET: &str = "dataset";
/// The product of fused rows.
pub const SPECTRA: &str = "spectra";

/// What a lake knows of itself, kept in `.bifrost/lake.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Never changes, whatever the folder is called or where it is mounted.
    pub lake_id: Uuid,
    /// Node where the lake was made; the default of `--node`.
    pub node: String,
}

/// A lake on this machine.
#[derive(Debug, Clone)]
pub struct Lake {
    root: PathBuf,
    identity: Identity,
}

/// Why a lake cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder is not a lake (yet).
    #[error("{} is not a lake: it has no {PRIVATE}/lake.json; `bifrost convert` and `bifrost sync` make one", .0.display())]
    NotALake(PathBuf),
    /// There is no such folder.
    #[error("there is no folder {}: give the lake's as it is", .0.display())]
    Missing(PathBuf),
    /// The identity file is damaged.
    #[error("{} cannot be understood ({reason}): restore it from a backup, or delete it to give the lake a new identity", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        reason: String,
    },
    /// The file system refused.
    #[error("failed to open lake {}: {source}", path.display())]
    Io {
        /// What was being opened or made.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl Error {
    /// Whether another folder was meant.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::NotALake(_) | Self::Missing(_))
    }
}

impl Lake {
    /// Opens an existing lake.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::NotALake`] where `.bifrost/lake.json` is missing; [`Error::Identity`] where it is damaged.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Io { path, source }
        };
        let root = match root.canonicalize() {
            Ok(folder) if folder.is_dir() => folder,
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(io(root)(e)),
            _ => return Err(Error::Missing(root.to_owned())),
        };
        let path = root.join(PRIVATE).join("lake.json");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(Error::NotALake(root)),
            Err(source) => return Err(Error::Io { path, source }),
        };
        match serde_json::from_str(&text) {
            Ok(identity) => Ok(Self { root, identity }),
            Err(e) => Err(Error::Identity { path, reason: e.to_string() }),
        }
    }

    /// Opens a lake, or makes one of the folder; `node` names the machine if it is new.
    ///
    /// Two processes that make the same lake at once agree on one identity.
    ///
    /// # Errors
    /// As [`Lake::open`], and [`Error::Io`] where the folder cannot be written.
    pub fn open_or_create(root: &Path, node: &str) -> Result<Self, Error> {
        match Self::open(root) {
            Err(Error::NotALake(_) | Error::Missing(_)) => {}
            other => return other,
        }
        let private = root.join(PRIVATE);
        let create = || -> io::Result<()> {
            std::fs::create_dir_all(&private)?;
            let identity = Identity { lake_id: Uuid::new_v4(), node: node.to_owned() };
            let text = serde_json::to_string_pretty(&identity).map_err(io::Error::other)?;
            let draft = private.join(format!("lake.{}.json", identity.lake_id));
            std::fs::write(&draft, text + "\n")?;
            std::fs::File::open(&draft)?.sync_all()?;
            // a hard link fails where the name exists: the first maker wins
            match std::fs::hard_link(&draft, private.join("lake.json")) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                _ => {}
            }
            std::fs::remove_file(&draft)?;
            std::fs::File::open(&private)?.sync_all()
        };
        create().map_err(|source| Error::Io { path: private.clone(), source })?;
        Self::open(root)
    }

    /// The lake in which a folder lies, or would lie: what is put there its sync takes for its own.
    #[must_use]
    pub fn around(folder: &Path) -> Option<PathBuf> {
        let whole = std::path::absolute(folder).ok()?;
        let there = whole.ancestors().find_map(|part| part.canonicalize().ok())?;
        there.ancestors().find(|part| Self::open(part).is_ok()).map(Path::to_owned)
    }

    /// Whether another folder holds a lake of the same identity: one is a copy of the other.
    #[must_use]
    pub fn is_twin_of(&self, folder: &Path) -> bool {
        let file = |root: &Path| std::fs::metadata(root.join(PRIVATE).join("lake.json")).ok();
        let is_same = |(a, b): (std::fs::Metadata, std::fs::Metadata)| {
            (a.dev(), a.ino()) == (b.dev(), b.ino())
        };
        Self::open(folder).is_ok_and(|other| other.identity.lake_id == self.identity.lake_id)
            && !file(folder).zip(file(&self.root)).is_some_and(is_same)
    }

    /// The lake's folder, absolute and without symbolic links.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The lake's identity.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// A folder under `.bifrost/`.
    #[must_use]
    pub fn private(&self, name: &str) -> PathBuf {
        self.root.join(PRIVATE).join(name)
    }

    /// The folder that holds a pixel's files of a product.
    #[must_use]
    pub fn pixel_dir(&self, product: &Name, pixel: Pixel) -> PathBuf {
        self.root.join(product.as_str()).join(DATASET).join(pixel_path(pixel))
    }

    /// Where a tile's file of a product lies.
    #[must_use]
    pub fn file(&self, product: &Name, name: &FileName) -> PathBuf {
        self.pixel_dir(product, name.tile.pixel).join(name.to_string())
    }

    /// Where the spectra store of a pixel lies.
    #[must_use]
    pub fn store(&self, pixel: Pixel) -> PathBuf {
        let mut path = self.root.join(store::PRODUCT).join(pixel_path(pixel)).into_os_string();
        path.push(".h5");
        path.into()
    }

    /// The live files of a tile in a product, of whatever row count, in name order.
    ///
    /// # Errors
    /// Those of reading the pixel's folder; a missing folder holds no files.
    pub fn files_of(&self, product: &Name, tile: &Tile) -> io::Result<Vec<PathBuf>> {
        let entries = match std::fs::read_dir(self.pixel_dir(product, tile.pixel)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry?;
            let named = entry.file_name().to_str().and_then(|n| n.parse::<FileName>().ok());
            if named.is_some_and(|n| n.tile == *tile) {
                files.push(entry.path());
            }
        }
        files.sort();
        Ok(files)
    }
}

/// `Norder=6/Dir=10000/Npix=12712`, as HATS lays partitions out.
#[must_use]
pub fn pixel_path(pixel: Pixel) -> PathBuf {
    partition_path((Pixel::ORDER, u64::from(pixel.get())))
}

/// The same for a pixel of any order.
#[must_use]
pub fn partition_path((order, npix): (u8, u64)) -> PathBuf {
    PathBuf::from(format!("Norder={order}/Dir={}/Npix={npix}", npix / 10_000 * 10_000))
}

/// The (order, pixel) that a HATS path names, if it names one: `…/Norder=k/Dir=d/Npix=n/…`.
#[must_use]
pub fn partition_of(relative: &Path) -> Option<(u8, u64)> {
    let mut order = None;
    for part in relative.iter().filter_map(|p| p.to_str()) {
        if let Some(k) = part.strip_prefix("Norder=") {
            order = k.parse().ok().filter(|k| *k <= 29);
        } else if let (Some(n), Some(order)) = (part.strip_prefix("Npix="), order) {
            let n = n.strip_suffix(".parquet").or_else(|| n.strip_suffix(".h5")).unwrap_or(n);
            let n: u64 = n.parse().ok()?;
            return (n < 12u64 << (2 * order)).then_some((order, n));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lake_keeps_its_identity() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let root = dir.path().join("lake");
        let made = Lake::open_or_create(&root, "alpha").expect("made");
        let again = Lake::open_or_create(&root, "beta").expect("opened");
        assert_eq!(made.identity(), again.identity());
        assert!(matches!(Lake::open(dir.path()), Err(Error::NotALake(_))));
    }

    #[test]
    fn partitions_are_read_from_paths() {
        let path = Path::new("spectra/dataset/Norder=6/Dir=10000/Npix=12712/x.parquet");
        assert_eq!(partition_of(path), Some((6, 12712)));
        assert_eq!(
            partition_of(Path::new("p/dataset/Norder=0/Dir=0/Npix=11.parquet")),
            Some((0, 11))
        );
        assert_eq!(partition_of(Path::new("p/dataset/Norder=0/Dir=0/Npix=12.parquet")), None);
    }
}
