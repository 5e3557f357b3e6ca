//! What is in a lake: every Parquet file under it, by one look at each folder and file.
//!
//! Folders are read in parallel; of a file only name, size, time and inode are looked at, so that a
//! walk costs little more than listing. The digest of all of these tells whether anything changed,
//! without sorting and without asking the registry about single files.

use super::Error;
use crate::layout::{DATASET, Lake, PRIVATE};
use crate::store;
use crate::withdraw::Version;
use rayon::Scope;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, RawDirEntry, openat, statat};
use rustix::io::retry_on_intr;
use std::fs::Metadata;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Deeper folders are not looked into: links may form circles.
const MAX_DEPTH: u8 = 32;
/// Of a folder's entries, that are asked for at once.
const LISTED_BYTES: usize = 8 << 10;
const EXTENSIONS: [&str; 3] = ["parquet", "parq", "pq"];

/// A file that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// Relative to the lake.
    pub(super) path: String,
    pub(super) size_bytes: i64,
    pub(super) mtime_ns: i64,
    /// Bits of the unsigned number.
    pub(super) inode: i64,
    /// Why it cannot be a file of the lake, whatever is in it.
    pub(super) problem: Option<&'static str>,
}

/// What a walk found.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Sorted by path once [`Listing::sort`] was called.
    pub(super) files: Vec<Seen>,
    /// Folders (relative) that could not be read, and why: nothing is known of what is in them.
    pub(super) unread: Vec<(String, String)>,
    /// Folders in which a publication is under way: they are left as they are.
    pub(super) under_way: Vec<String>,
    digest: Digest,
}

/// A sum over files that does not depend on their order.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Digest([u64; 4]);

impl Digest {
    fn add(&mut self, hash: &blake3::Hash) {
        for (sum, part) in self.0.iter_mut().zip(hash.as_bytes().chunks_exact(8)) {
            *sum = sum.wrapping_add(part.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)));
        }
    }

    fn merge(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, n)| *sum = sum.wrapping_add(n));
    }
}

impl Seen {
    fn new(path: String, version: Version, problem: Option<&'static str>) -> Self {
        let Version { size_bytes, mtime_ns, inode } = version;
        Self { path, size_bytes, mtime_ns, inode, problem }
    }

    pub(super) fn version(&self) -> Version {
        let Self { size_bytes, mtime_ns, inode, .. } = *self;
        Version { size_bytes, mtime_ns, inode }
    }

    /// Whether a file is still what was seen.
    pub(super) fn is(&self, about: &Metadata) -> bool {
        self.version() == Version::from(about)
    }

    /// The first folder of the path.
    pub(super) fn product(&self) -> &str {
        self.path.split_once('/').map_or("", |(product, _)| product)
    }

    fn hash(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        for number in [self.size_bytes, self.mtime_ns, self.inode] {
            hasher.update(&number.to_le_bytes());
        }
        hasher.update(self.path.as_bytes()).finalize()
    }
}

impl Listing {
    /// Puts the files into the order of the registry: byte by byte.
    pub(super) fn sort(&mut self) {
        self.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        // names that are not UTF-8 may look alike
        self.files.dedup_by(|a, b| a.path == b.path);
    }

    /// Digest of everything seen, and of `also`; none where something could not be seen.
    pub(super) fn digest(&self, also: &[u8]) -> Option<[u8; 32]> {
        let mut hasher = blake3::Hasher::new();
        for part in self.digest.0 {
            hasher.update(&part.to_le_bytes());
        }
        hasher.update(also);
        (self.unread.is_empty() && self.under_way.is_empty()).then(|| *hasher.finalize().as_bytes())
    }

    /// Leaves folders and files as they are: a publication is under way there, and settles what they hold.
    pub(super) fn leave(&mut self, folders: Vec<String>) {
        let is_in = |path: &str| {
            folders
                .iter()
                .filter_map(|f| path.strip_prefix(f.as_str()))
                .any(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.files.retain(|seen| !is_in(&seen.path));
        self.under_way.extend(folders);
    }

    fn merge(&mut self, other: Self) {
        self.files.extend(other.files);
        self.unread.extend(other.unread);
        self.digest.merge(other.digest);
    }
}

/// Walks a lake.
pub(super) fn walk(lake: &Lake) -> Result<Listing, Error> {
    let root = lake.root();
    // a lake that cannot be listed at all is no empty lake
    let folder = open(CWD, root).map_err(|source| Error::Walk { path: root.to_owned(), source })?;
    let walk = Walk { root, found: Mutex::default() };
    rayon::scope(|scope| walk.folder(scope, "", folder, Place::Root, 0));
    Ok(walk.found.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Lists one pixel's folder, and a file beside it; what is not there holds nothing.
pub(super) fn pixel_folder(
    lake: &Lake,
    relative: &str,
    store: Option<&str>,
) -> Result<Listing, Error> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Walk { path, source }
    };
    let walk = Walk { root: lake.root(), found: Mutex::default() };
    let path = lake.root().join(relative);
    match open(CWD, &path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        other => {
            let folder = other.map_err(failed(&path))?;
            rayon::scope(|scope| walk.folder(scope, relative, folder, Place::Open, 0));
        }
    }
    let mut listing = walk.found.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(store) = store {
        let path = lake.root().join(store);
        match std::fs::metadata(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            about => {
                listing.files.push(Seen::new(
                    store.to_owned(),
                    Version::from(&about.map_err(failed(&path))?),
                    None,
                ));
            }
        }
    }
    listing.sort();
    Ok(listing)
}

/// Digest of the quarantine folder's listing.
pub(super) fn quarantine_digest(lake: &Lake) -> [u8; 32] {
    let mut digest = Digest::default();
    let entries = std::fs::read_dir(lake.private("quarantine")).into_iter().flatten().flatten();
    for entry in entries {
        if let Ok(about) = entry.metadata() {
            let name = entry.file_name().to_string_lossy().into_owned();
            digest.add(&Seen::new(name, Version::from(&about), None).hash());
        }
    }
    let mut bytes = [0; 32];
    bytes.chunks_exact_mut(8).zip(digest.0).for_each(|(b, n)| b.copy_from_slice(&n.to_le_bytes()));
    bytes
}

/// What a folder is, which decides what in it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Product,
    /// `dataset`, `Norder=…` or `Dir=…` of a HATS product: what must come next.
    Hats(&'static str),
    /// `Norder=…` or `Dir=…` of spectra stores, or the folder that holds these: what must come next.
    Store(&'static str),
    /// Everything in it counts.
    Open,
}

impl Place {
    /// What a subfolder is; `None` where it does not count.
    fn below(self, name: &str) -> Option<Self> {
        match self {
            Self::Root if name == store::PRODUCT => Some(Self::Store("Norder=")),
            Self::Root => (name != PRIVATE).then_some(Self::Product),
            Self::Product | Self::Open => Some(Self::Open),
            Self::Hats(prefix) if !name.starts_with(prefix) => None,
            Self::Hats("Norder=") => Some(Self::Hats("Dir=")),
            Self::Hats("Dir=") => Some(Self::Hats("Npix=")),
            Self::Hats(_) => Some(Self::Open),
            Self::Store("Norder=") if name.starts_with("Norder=") => Some(Self::Store("Dir=")),
            Self::Store("Dir=") if name.starts_with("Dir=") => Some(Self::Store("Npix=")),
            Self::Store(_) => None,
        }
    }

    /// Whether a file with that name counts here.
    fn holds(self, name: &str) -> bool {
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        let is_parquet = EXTENSIONS.iter().any(|e| extension.eq_ignore_ascii_case(e));
        match self {
            Self::Store(prefix) => {
                prefix == "Npix=" && name.starts_with(prefix) && extension == "h5"
            }
            Self::Hats(prefix) => is_parquet && prefix == "Npix=" && name.starts_with(prefix),
            _ => is_parquet,
        }
    }
}

struct Walk<'a> {
    root: &'a Path,
    found: Mutex<Listing>,
}

/// Opens a folder, by a name in another one: of a path of ten names the system then looks up one.
fn open(at: impl AsFd, name: impl rustix::path::Arg + Copy) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(retry_on_intr(|| openat(&at, name, flags, Mode::empty()))?)
}

impl Walk<'_> {
    fn folder<'s>(
        &'s self,
        scope: &Scope<'s>,
        relative: &str,
        folder: OwnedFd,
        place: Place,
        depth: u8,
    ) {
        let mut here = Listing::default();
        let mut below: Vec<(String, Place)> = Vec::new();
        let mut buffer = [MaybeUninit::uninit(); LISTED_BYTES];
        let mut entries = RawDir::new(&folder, &mut buffer);
        while let Some(entry) = entries.next() {
            match entry {
                Ok(entry) => self.entry(&folder, relative, &entry, place, &mut here, &mut below),
                Err(e) => {
                    here.unread.push((relative.to_owned(), io::Error::from(e).to_string()));
                    break;
                }
            }
        }
        // a product with a dataset is HATS, and nothing else in it is data
        if place == Place::Product && below.iter().any(|(path, _)| is_dataset(path)) {
            (here.files, here.digest) = (Vec::new(), Digest::default());
            below.retain(|(path, _)| is_dataset(path));
            below.iter_mut().for_each(|(_, place)| *place = Place::Hats("Norder="));
        }
        self.found.lock().unwrap_or_else(PoisonError::into_inner).merge(here);
        let folder = Arc::new(folder);
        for (path, place) in below {
            let folder = folder.clone();
            scope.spawn(move |scope| self.subfolder(scope, &folder, &path, place, depth + 1));
        }
    }

    fn subfolder<'s>(
        &'s self,
        scope: &Scope<'s>,
        within: &OwnedFd,
        relative: &str,
        place: Place,
        depth: u8,
    ) {
        let name = relative.rsplit('/').next().unwrap_or_default();
        let reason = match open(within, name) {
            Ok(_) if depth > MAX_DEPTH => "is nested too deep".to_owned(),
            Ok(folder) => return self.folder(scope, relative, folder, place, depth),
            // it went while we walked
            Err(e) if e.kind() == io::ErrorKind::NotFound => return,
            Err(e) => e.to_string(),
        };
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.unread.push((relative.to_owned(), reason));
    }

    fn entry(
        &self,
        folder: &OwnedFd,
        relative: &str,
        entry: &RawDirEntry<'_>,
        place: Place,
        here: &mut Listing,
        below: &mut Vec<(String, Place)>,
    ) {
        let name = entry.file_name();
        if [c".", c".."].contains(&name) {
            return;
        }
        let text = name.to_string_lossy();
        let path =
            if relative.is_empty() { text.to_string() } else { format!("{relative}/{text}") };
        let look = || Ok(statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?);
        let kind: io::Result<FileType> = match entry.file_type() {
            // some file systems do not tell
            FileType::Unknown => look().map(|about| FileType::from_raw_mode(about.st_mode)),
            kind => Ok(kind),
        };
        let seen = kind.and_then(|kind| match kind {
            FileType::Directory => Ok(None),
            FileType::Symlink => Ok(self.linked(relative, &path)?.as_ref().map(Version::from)),
            FileType::RegularFile if place.holds(&text) => {
                look().map(|about| Some(Version::from(&about)))
            }
            _ => Err(io::ErrorKind::NotFound.into()),
        });
        match seen {
            Ok(None) => below.extend(place.below(&text).map(|place| (path, place))),
            Ok(Some(version)) if place.holds(&text) => {
                let problem = match (place, name.to_str()) {
                    (Place::Root, _) => Some("lies in no product: move it into a folder"),
                    (_, Err(_)) => Some("has a name that is not UTF-8: rename it"),
                    _ => None,
                };
                let seen = Seen::new(path, version, problem);
                here.digest.add(&seen.hash());
                here.files.push(seen);
            }
            Ok(Some(_)) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => here.unread.push((path, e.to_string())),
        }
    }

    /// What a symbolic link leads to: `None` = a folder that is to be walked. A folder that holds
    /// the link is not, nor is the lake itself.
    fn linked(&self, relative: &str, path: &str) -> io::Result<Option<Metadata>> {
        let about = std::fs::metadata(self.root.join(path))?;
        if !about.is_dir() {
            return if about.is_file() {
                Ok(Some(about))
            } else {
                Err(io::ErrorKind::NotFound.into())
            };
        }
        let identity = |about: &Metadata| (about.dev(), about.ino());
        let holder = self.root.join(relative);
        let circular = holder.ancestors().any(|ancestor| {
            std::fs::metadata(ancestor).is_ok_and(|a| identity(&a) == identity(&about))
        });
        if circular { Err(io::ErrorKind::NotFound.into()) } else { Ok(None) }
    }
}

fn is_dataset(path: &str) -> bool {
    path.rsplit('/').next() == Some(DATASET)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn lake_with(paths: &[&str]) -> (tempfile::TempDir, Lake) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let lake = Lake::open_or_create(dir.path(), "here").expect("a lake");
        for path in paths {
            let path = lake.root().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, "x").expect("written");
        }
        (dir, lake)
    }

    fn paths(lake: &Lake) -> Vec<String> {
        let mut listing = walk(lake).expect("walked");
        listing.sort();
        listing.files.into_iter().map(|f| f.path).collect()
    }

    #[test]
    fn what_counts_is_seen_and_nothing_else() {
        let (_dir, lake) = lake_with(&[
            ".bifrost/staging/a.parquet",
            "spectra/dataset/Norder=6/Dir=0/Npix=7/iron-main-dark-7_1.parquet",
            "spectra/dataset/Norder=6/Dir=0/Npix=8.parquet",
            "spectra/dataset/Norder=6/Dir=0/stray.parquet",
            "spectra/dataset/Norder=6/Dir=0/Npix=9/notes.txt",
            "spectra/dataset/data_thumbnail.parquet",
            "spectra/per_partition_statistics.parquet",
            "tables/deep/er/x.PARQUET",
            "tables/details.h5",
            "tables/y.pq",
            "loose.parquet",
            "spectra-h5/Norder=6/Dir=0/Npix=7.h5",
            "spectra-h5/Norder=6/Dir=0/Npix=7.h5.part",
            "spectra-h5/Norder=6/Dir=0/notes.h5",
            "spectra-h5/Npix=8.h5",
        ]);
        assert_eq!(
            paths(&lake),
            [
                "loose.parquet",
                "spectra-h5/Norder=6/Dir=0/Npix=7.h5",
                "spectra/dataset/Norder=6/Dir=0/Npix=7/iron-main-dark-7_1.parquet",
                "spectra/dataset/Norder=6/Dir=0/Npix=8.parquet",
                "tables/deep/er/x.PARQUET",
                "tables/y.pq",
            ]
        );
        let listing = walk(&lake).expect("walked");
        let loose = listing.files.iter().find(|f| f.product().is_empty()).expect("the loose file");
        assert!(loose.problem.is_some());
    }

    #[test]
    fn the_digest_tells_every_change() {
        let (_dir, lake) = lake_with(&["p/a.parquet", "p/b.parquet"]);
        let digest = || walk(&lake).expect("walked").digest(b"").expect("a digest");
        let before = digest();
        assert_eq!(digest(), before);
        let file = lake.root().join("p/a.parquet");
        fs::write(&file, "yy").expect("written");
        let larger = digest();
        assert_ne!(larger, before);
        fs::rename(&file, lake.root().join("p/c.parquet")).expect("renamed");
        let renamed = digest();
        assert_ne!(renamed, larger);
        fs::remove_file(lake.root().join("p/c.parquet")).expect("removed");
        assert_ne!(digest(), renamed);
    }

    #[test]
    fn links_are_followed_but_not_in_circles() {
        let (_dir, lake) = lake_with(&["p/a.parquet"]);
        let elsewhere = tempfile::tempdir().expect("a temporary folder");
        fs::write(elsewhere.path().join("b.parquet"), "x").expect("written");
        let link = |to: &Path, name: &str| {
            std::os::unix::fs::symlink(to, lake.root().join(name)).expect("linked");
        };
        link(elsewhere.path(), "q");
        link(lake.root(), "p/self");
        link(&lake.root().join("p"), "p/here");
        link(&elsewhere.path().join("b.parquet"), "p/c.parquet");
        link(Path::new("nowhere"), "p/d.parquet");
        assert_eq!(paths(&lake), ["p/a.parquet", "p/c.parquet", "q/b.parquet"]);
    }
}
