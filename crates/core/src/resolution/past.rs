//! Where versions lie that have left their place in the lake: in `.bifrost`, until gc unlinks them.
//!
//! A rename changes neither size nor time nor inode. So a version is where a file of these three
//! is; one that was written over is nowhere. In `.bifrost`, where nobody writes, name, size and time
//! are enough: a lake that was copied to another disk has other inodes.

use crate::layout::Lake;
use crate::publish::REPLACED;
use crate::registry::time::PastRow;
use crate::withdraw::Version;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use uuid::Uuid;
use walkdir::WalkDir;

/// What lies in the private folders of lakes; each is walked once, if it is asked for.
#[derive(Default)]
pub(crate) struct Whereabouts {
    lakes: HashMap<Uuid, Kept>,
}

/// Files that left their places.
#[derive(Default)]
struct Kept {
    versions: HashMap<Version, PathBuf>,
    /// The same by name, size and time.
    copies: HashMap<(OsString, i64, i64), PathBuf>,
}

impl Whereabouts {
    /// Where a version lies that was at `path` in the lake of this folder.
    pub(crate) fn find(&mut self, folder: &Path, path: &str, version: Version) -> Option<PathBuf> {
        let place = folder.join(path);
        let is_it = |about: fs::Metadata| Version::from(&about) == version;
        if fs::metadata(&place).is_ok_and(is_it) {
            return Some(place);
        }
        let lake = Lake::open(folder).ok()?;
        let kept = self.lakes.entry(lake.identity().lake_id).or_insert_with(|| kept(&lake));
        let copy = || kept.copies.get(&alike(&place, version));
        kept.versions.get(&version).or_else(copy).cloned()
    }
}

/// What a copy has in common with a version.
fn alike(path: &Path, version: Version) -> (OsString, i64, i64) {
    let name = path.file_name().unwrap_or_default().to_owned();
    (name, version.size_bytes, version.mtime_ns)
}

/// Looks for files that left their places.
fn kept(lake: &Lake) -> Kept {
    // gc keeps the paths below its folder
    let folders = [lake.private(REPLACED), lake.private("gc").join(REPLACED)];
    let mut kept = Kept::default();
    let files = folders
        .iter()
        // what cannot be read cannot be given
        .flat_map(|folder| WalkDir::new(folder).into_iter().filter_map(Result::ok))
        .filter(|entry| entry.file_type().is_file())
        .filter_map(|entry| {
            let version = Version::from(&entry.metadata().ok()?);
            Some((version, entry.into_path()))
        });
    for (version, path) in files {
        kept.copies.insert(alike(&path, version), path.clone());
        kept.versions.insert(version, path);
    }
    kept
}

/// Why a version cannot be given, and what to do.
pub(crate) fn why_lost(past: &PastRow) -> String {
    let how = match past.state.as_str() {
        "deleted" => "gc has unlinked it since",
        "missing" => "it vanished",
        _ => "it was written over, or taken away by something else than bifrost",
    };
    let commit = past.ended_commit;
    format!(
        "commit {commit} took it out and {how}: restore it from a backup, or ask as of commit {commit} or later"
    )
}
