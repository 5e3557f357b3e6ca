//! Finding tiles: files named `KIND-STEM.fits`, `.fits.gz` or `.h5`, grouped by folder and stem.
//!
//! The archive keeps a tile's files in one folder, so that is the first grouping; groups of one
//! stem from several folders that complete each other are joined. Other files are passed over.

use bifrost_core::layout::PRIVATE;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// The kinds of files that are fused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Spectra; required.
    Coadd,
    /// Redshifts; required.
    Redrock,
    /// Emission lines.
    Emline,
    /// Second-best fits.
    Rrdetails,
}

impl Kind {
    /// All, in the order of reading.
    pub const ALL: [Self; 4] = [Self::Coadd, Self::Redrock, Self::Emline, Self::Rrdetails];

    /// The word that its files begin with.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Coadd => "coadd",
            Self::Redrock => "redrock",
            Self::Emline => "emline",
            Self::Rrdetails => "rrdetails",
        }
    }

    /// Endings of its files, the preferred one first.
    fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Rrdetails => &[".h5", ".hdf5"],
            _ => &[".fits", ".fits.gz"],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The files of one tile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// What their names share: `main-dark-10000`, `4-80613-thru20210324`.
    pub stem: String,
    /// The files that are there.
    pub files: BTreeMap<Kind, PathBuf>,
    /// Their SHA-256 (hex), where whoever brought them here has computed it on the way.
    pub digests: BTreeMap<Kind, String>,
}

impl Sources {
    /// The file of a kind.
    #[must_use]
    pub fn get(&self, kind: Kind) -> Option<&Path> {
        self.files.get(&kind).map(PathBuf::as_path)
    }

    /// All files, in the order of kinds.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.files.values().cloned().collect()
    }
}

/// Why a source cannot be searched.
#[derive(Debug, thiserror::Error)]
#[error("failed to search {}: {reason}", path.display())]
pub struct Error {
    /// What was named.
    pub path: PathBuf,
    /// The system's reason.
    pub reason: String,
}

/// Finds the tiles of files and folder trees, in the order of stems.
///
/// # Errors
/// A source that does not exist or cannot be listed.
pub fn find(roots: &[PathBuf]) -> Result<Vec<Sources>, Error> {
    let mut groups: BTreeMap<(String, PathBuf), BTreeMap<Kind, PathBuf>> = BTreeMap::new();
    for root in roots {
        for path in files_under(root)? {
            let Some((kind, stem, rank)) = path.file_name().and_then(|n| parse(n.to_str()?)) else {
                continue;
            };
            let folder = path.parent().unwrap_or(Path::new("")).to_owned();
            let files = groups.entry((stem.to_owned(), folder)).or_default();
            // an unpacked file is preferred to a packed one
            let better = files.get(&kind).is_none_or(|old| rank < rank_of(kind, old));
            if better {
                files.insert(kind, path);
            }
        }
    }
    Ok(join(groups))
}

fn files_under(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let fail = |e: &dyn fmt::Display| Error { path: root.to_owned(), reason: e.to_string() };
    let root = std::path::absolute(root).map_err(|e| fail(&e))?;
    let mut files = Vec::new();
    let walk = WalkDir::new(&root).follow_links(true).sort_by_file_name();
    for entry in walk.into_iter().filter_entry(|e| e.file_name() != PRIVATE) {
        match entry {
            Ok(entry) if entry.file_type().is_file() => files.push(entry.into_path()),
            Ok(_) => {}
            Err(e) if leads_nowhere(&e) => tracing::warn!("left out: {e}"),
            Err(e) => return Err(fail(&e)),
        }
    }
    Ok(files)
}

/// Whether it is a link below the root that leads nowhere, or a file that went away meanwhile.
fn leads_nowhere(error: &walkdir::Error) -> bool {
    let is_link = |path: &Path| path.symlink_metadata().is_ok_and(|about| about.is_symlink());
    let is_gone = error.io_error().is_some_and(|e| e.kind() == io::ErrorKind::NotFound);
    let is_denied = error.io_error().is_some_and(|e| e.kind() == io::ErrorKind::PermissionDenied);
    error.depth() > 0 && !is_denied && (is_gone || error.path().is_some_and(is_link))
}

/// (kind, stem, rank of the ending) of a file name.
fn parse(name: &str) -> Option<(Kind, &str, usize)> {
    Kind::ALL.into_iter().find_map(|kind| {
        let rest = name.strip_prefix(kind.as_str())?.strip_prefix('-')?;
        let (rank, stem) = kind
            .endings()
            .iter()
            .enumerate()
            .find_map(|(i, e)| Some((i, rest.strip_suffix(e)?)))?;
        (!stem.is_empty()).then_some((kind, stem, rank))
    })
}

fn rank_of(kind: Kind, path: &Path) -> usize {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    kind.endings().iter().position(|e| name.ends_with(e)).unwrap_or(usize::MAX)
}

/// Joins groups of one stem where no kind comes twice; where one does, each folder is a tile.
fn join(groups: BTreeMap<(String, PathBuf), BTreeMap<Kind, PathBuf>>) -> Vec<Sources> {
    let mut by_stem: BTreeMap<String, Vec<BTreeMap<Kind, PathBuf>>> = BTreeMap::new();
    for ((stem, _), files) in groups {
        by_stem.entry(stem).or_default().push(files);
    }
    let mut tiles = Vec::new();
    for (stem, groups) in by_stem {
        let count: usize = groups.iter().map(BTreeMap::len).sum();
        let kinds: BTreeSet<Kind> = groups.iter().flat_map(|g| g.keys().copied()).collect();
        if kinds.len() == count {
            let files = groups.into_iter().flatten().collect();
            tiles.push(Sources { stem, files, ..Sources::default() });
        } else {
            let tile = |files| Sources { stem: stem.clone(), files, ..Sources::default() };
            tiles.extend(groups.into_iter().map(tile));
        }
    }
    tiles
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(root: &Path, names: &[&str]) {
        for name in names {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, "").expect("written");
        }
    }

    #[test]
    fn tiles_are_grouped_by_folder_and_stem() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        touch(
            dir.path(),
            &[
                "a/coadd-main-dark-1.fits",
                "a/redrock-main-dark-1.fits",
                "a/rrdetails-main-dark-1.h5",
                "a/qso_qn-main-dark-1.fits",
                "a/hpixexp-main-dark-1.csv",
                "b/coadd-main-dark-1.fits.gz",
                "b/redrock-main-dark-1.fits",
                "c/coadd-4-80613-thru20210324.fits",
                "c/coadd-4-80613-thru20210324.fits.gz",
                "d/redrock-4-80613-thru20210324.fits",
                "d/.bifrost/coadd-x.fits",
                "d/coadd-.fits",
            ],
        );
        let tiles = find(&[dir.path().to_owned()]).expect("found");
        let found: Vec<_> = tiles
            .iter()
            .map(|t| (t.stem.as_str(), t.files.keys().copied().collect::<Vec<_>>()))
            .collect();
        let pair = vec![Kind::Coadd, Kind::Redrock];
        assert_eq!(
            found,
            [
                ("4-80613-thru20210324", pair.clone()),
                ("main-dark-1", vec![Kind::Coadd, Kind::Redrock, Kind::Rrdetails]),
                ("main-dark-1", pair),
            ]
        );
        assert!(tiles[0].files[&Kind::Coadd].ends_with("coadd-4-80613-thru20210324.fits"));
        let link = |to: &str, name: &str| {
            std::os::unix::fs::symlink(to, dir.path().join(name)).expect("linked");
        };
        link("nowhere", "a/emline-main-dark-1.fits");
        link("coadd-main-dark-2.fits", "a/coadd-main-dark-2.fits");
        link("..", "a/up");
        assert_eq!(find(&[dir.path().to_owned()]).expect("found"), tiles);
        assert!(find(&[dir.path().join("gone")]).is_err());
        assert_eq!(find(&[dir.path().join("a/hpixexp-main-dark-1.csv")]).expect("found"), []);
    }
}
