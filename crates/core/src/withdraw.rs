//! Taking back: a published file that was never registered, or that another lake has overtaken,
//! leaves its place. Nothing is deleted: what is taken away lies in `.bifrost/replaced/`.

use crate::layout::Lake;
use crate::publish::{Error, REPLACED, entries, flush_dir, forgive, make_dirs, share};
use rustix::fs::Stat;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// What tells a version of a file from every other: it survives a rename, and no rewriting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version {
    /// Size.
    pub size_bytes: i64,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Inode number: the bits of the unsigned one.
    pub inode: i64,
}

impl From<&Metadata> for Version {
    fn from(about: &Metadata) -> Self {
        Self::new(about.size(), (about.mtime(), about.mtime_nsec()), about.ino())
    }
}

impl From<&Stat> for Version {
    fn from(about: &Stat) -> Self {
        let size = u64::try_from(about.st_size).unwrap_or(0);
        let fraction = i64::try_from(about.st_mtime_nsec).unwrap_or(0);
        Self::new(size, (about.st_mtime, fraction), about.st_ino)
    }
}

impl Version {
    fn new(size: u64, (seconds, fraction): (i64, i64), inode: u64) -> Self {
        let nanoseconds = i128::from(seconds) * 1_000_000_000 + i128::from(fraction);
        Self {
            size_bytes: i64::try_from(size).unwrap_or(i64::MAX),
            mtime_ns: i64::try_from(nanoseconds).unwrap_or(i64::MAX),
            inode: inode.cast_signed(),
        }
    }

    /// The version that is there; none where there is no file.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn of(path: &Path) -> Result<Option<Self>, Error> {
        match fs::metadata(path) {
            Ok(about) => Ok(Some(Self::from(&about))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::new("look at", path)(e)),
        }
    }
}

/// Undoes a publication: the file leaves its place, if it is that version, and its predecessors,
/// which were moved away under `id`, come back. May be repeated, also after it was interrupted.
///
/// # Errors
/// What the file system refuses.
pub fn withdraw(lake: &Lake, path: &Path, version: Version, id: Uuid) -> Result<(), Error> {
    let place = lake.root().join(path);
    let folder = place.parent().unwrap_or(lake.root()).to_owned();
    let sharing = share(lake)?;
    move_away(lake, &place, version, &format!("{id}-withdrawn"))?;
    let replaced = lake.private(REPLACED).join(id.to_string());
    let predecessors = entries(&replaced)?;
    for old in &predecessors {
        let back = folder.join(old.file_name().unwrap_or_default());
        let linked = fs::hard_link(old, &back);
        match forgive(linked, io::ErrorKind::AlreadyExists) {
            // something newer stands there: the predecessor stays away
            Ok(()) if Version::of(&back)? != Version::of(old)? => continue,
            Ok(()) => {}
            Err(e) => return Err(Error::new("bring back", &back)(e)),
        }
        flush_dir(&folder).map_err(Error::new("flush", &folder))?;
        fs::remove_file(old).map_err(Error::new("bring back", &back))?;
    }
    if !predecessors.is_empty() {
        // only if all of them came back
        let _ = fs::remove_dir(&replaced);
    }
    drop(sharing);
    Ok(())
}

/// Takes a file out of the lake, if it is that version; says whether it was there.
///
/// # Errors
/// What the file system refuses.
pub fn set_aside(lake: &Lake, path: &Path, version: Version) -> Result<bool, Error> {
    let _sharing = share(lake)?;
    move_away(lake, &lake.root().join(path), version, &Uuid::now_v7().to_string())
}

fn move_away(lake: &Lake, place: &Path, version: Version, name: &str) -> Result<bool, Error> {
    if Version::of(place)? != Some(version) {
        return Ok(false);
    }
    let away: PathBuf = lake.private(REPLACED).join(name);
    make_dirs(&away).map_err(Error::new("make", &away))?;
    let to = away.join(place.file_name().unwrap_or_default());
    fs::rename(place, &to).map_err(Error::new("set aside", place))?;
    let folder = place.parent().unwrap_or(lake.root());
    flush_dir(&away).map_err(Error::new("flush", &away))?;
    flush_dir(folder).map_err(Error::new("flush", folder))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::Staging;
    use crate::tile::{Name, Pixel, Tile};

    fn tile() -> Tile {
        let name = |n| Name::new(n).expect("a name");
        let pixel = Pixel::new(12712).expect("a pixel");
        Tile { release: name("iron"), survey: name("main"), program: name("dark"), pixel }
    }

    fn publish(lake: &Lake, text: &str, rows: u64) -> (PathBuf, Version, Uuid) {
        let staging = Staging::open(lake).expect("staging");
        let product = Name::new("spectra").expect("a name");
        let claim = staging.claim(&product, &tile()).expect("a claim");
        fs::write(claim.draft(), text).expect("a draft");
        let (target, id) = (claim.target(rows), Uuid::now_v7());
        let version = Version::of(claim.draft()).expect("looked").expect("a draft");
        claim.publish_as(rows, id).expect("published");
        (target, version, id)
    }

    fn live(lake: &Lake) -> Vec<String> {
        let product = Name::new("spectra").expect("a name");
        let paths = lake.files_of(&product, &tile()).expect("listed");
        paths.iter().map(|path| fs::read_to_string(path).expect("text")).collect()
    }

    #[test]
    fn a_publication_is_undone_to_the_last_byte() {
        // the successor has the predecessor's name, another, or no predecessor
        for (old, rows) in [(Some(1), 1), (Some(1), 2), (None, 2)] {
            let dir = tempfile::tempdir().expect("a temporary folder");
            let lake = Lake::open_or_create(dir.path(), "here").expect("a lake");
            let before = old.map(|rows| publish(&lake, "old", rows));
            let (path, version, id) = publish(&lake, "new", rows);
            assert_eq!(live(&lake), ["new"]);
            for _again in 0..2 {
                withdraw(&lake, &path, version, id).expect("withdrawn");
                let expected: &[&str] = if old.is_some() { &["old"] } else { &[] };
                assert_eq!(live(&lake), expected, "{old:?} {rows}");
            }
            if let Some((path, version, _)) = before {
                let now = Version::of(&lake.root().join(path)).expect("looked");
                assert_eq!(now, Some(version), "to the registry it is the same file");
            }
            let kept = lake.private(REPLACED).join(format!("{id}-withdrawn"));
            assert_eq!(entries(&kept).expect("listed").len(), 1);
        }
    }

    #[test]
    fn only_that_version_is_set_aside() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let lake = Lake::open_or_create(dir.path(), "here").expect("a lake");
        let (path, version, _) = publish(&lake, "one", 1);
        let other = Version { size_bytes: version.size_bytes + 1, ..version };
        assert!(!set_aside(&lake, &path, other).expect("looked"));
        assert_eq!(live(&lake), ["one"]);
        assert!(set_aside(&lake, &path, version).expect("set aside"));
        assert!(live(&lake).is_empty());
        assert!(!set_aside(&lake, &path, version).expect("looked"));
    }
}
