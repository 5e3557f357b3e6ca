//! Which tiles a stage could make, by the names of the files that lie in the lake.

use bifrost_core::layout::{DATASET, Lake};
use bifrost_core::tile::{FileName, Name, Tile};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// A tile that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The tile.
    pub tile: Tile,
    /// Its input, relative to the lake.
    pub input: PathBuf,
    /// Why what is there is stale, where something is there.
    pub stale: Option<String>,
}

impl Job {
    /// What a file's name tells; none where it is no name of a tile's file.
    #[must_use]
    pub fn of(input: PathBuf) -> Option<Self> {
        let name: FileName = input.file_name()?.to_str()?.parse().ok()?;
        Some(Self { tile: name.tile, input, stale: None })
    }
}

/// Every tile of which a product has a file in the lake; of two files of a tile the first by path.
/// What cannot be listed is left out: a sync names it.
#[must_use]
pub fn tiles(lake: &Lake, product: &Name) -> Vec<Job> {
    let folder = lake.root().join(product.as_str()).join(DATASET);
    under(&folder, &|path| path.strip_prefix(lake.root()).map(PathBuf::from).ok())
}

/// The same of a folder; `inside` gives paths relative to the lake.
pub(crate) fn under(folder: &Path, inside: &dyn Fn(&Path) -> Option<PathBuf>) -> Vec<Job> {
    let mut tiles = BTreeMap::new();
    for entry in WalkDir::new(folder).sort_by_file_name().into_iter().flatten() {
        let is_file = entry.file_type().is_file();
        let job = inside(entry.path()).filter(|_| is_file).and_then(Job::of);
        if let Some(job) = job {
            tiles.entry(job.tile.clone()).or_insert(job);
        }
    }
    tiles.into_values().collect()
}
