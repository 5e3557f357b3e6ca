//! What the catalog knows of an object's spectrum, and the versions of files that hold it.

use super::cache::Cache;
use super::{Error, refused};
use crate::read;
use crate::registry::spectra::{PlacedFile, SpectrumRow};
use crate::withdraw::Version;
use serde::Serialize;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An observed object: what the catalog knows of it, and where its spectrum lies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Observed {
    /// TARGETID.
    pub target_id: i64,
    /// Production of the archive.
    pub release: Option<String>,
    /// Survey.
    pub survey: Option<String>,
    /// Program.
    pub program: Option<String>,
    /// Pixel (nside 64, NESTED).
    pub healpix: Option<i32>,
    /// Right ascension, ICRS, degrees.
    pub ra: Option<f64>,
    /// Declination, ICRS, degrees.
    pub dec: Option<f64>,
    /// Redshift.
    pub z: Option<f64>,
    /// Error of the redshift.
    pub zerr: Option<f64>,
    /// Difference of chi2 to the next best fit.
    pub deltachi2: Option<f64>,
    /// Warnings of the redshift fit; 0: none.
    pub zwarn: Option<i64>,
    /// Class: GALAXY, QSO or STAR.
    pub spectype: Option<String>,
    /// Subclass.
    pub subtype: Option<String>,
    /// Whether it is the best of the object's rows.
    pub is_primary: bool,
    /// The file, as it can be opened from here.
    #[serde(rename = "file")]
    pub path: PathBuf,
    /// Row in it, from 0.
    pub row: u64,
    /// The spectra store that holds the same row, where there is one.
    pub store: Option<PathBuf>,
    #[serde(skip)]
    pub(super) file: Source,
    #[serde(skip)]
    pub(super) in_store: Option<(Source, String)>,
}

/// A row of a version of a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    size_bytes: i64,
    mtime_ns: i64,
    pub(super) row: u64,
    pub(super) target_id: i64,
}

/// A version of a file that was found.
pub(super) enum Found {
    /// On a disk of this machine: open, and its size.
    Here(File, u64),
    /// On a server.
    There(read::Source),
}

impl Source {
    /// The open file, if it is the one that was registered. Of a file on a server every request makes
    /// sure of it.
    pub(super) fn opened<T>(
        &self,
        cache: &Cache<T>,
        open: impl FnOnce(Found) -> Result<T, Error>,
    ) -> Result<Arc<T>, Error> {
        let path = &self.path;
        if is_remote(path) {
            let (size_bytes, mtime_ns) = (self.size_bytes, self.mtime_ns);
            let version = Version { size_bytes, mtime_ns, inode: 0 };
            if let Some(opened) = cache.get(path, version) {
                return Ok(opened);
            }
            let source = read::Source::of_file(path.clone(), size_bytes, mtime_ns);
            let opened = Arc::new(open(Found::There(source))?);
            cache.put(path, version, opened.clone());
            return Ok(opened);
        }
        let now = std::fs::metadata(path).map_err(refused(path))?;
        let version = self.checked(Version::from(&now))?;
        if let Some(opened) = cache.get(path, version) {
            return Ok(opened);
        }
        let file = File::open(path).map_err(refused(path))?;
        let now = file.metadata().map_err(refused(path))?;
        let version = self.checked(Version::from(&now))?;
        let opened = Arc::new(open(Found::Here(file, now.len()))?);
        cache.put(path, version, opened.clone());
        Ok(opened)
    }

    /// The version that is there, if it is the one that was registered.
    fn checked(&self, now: Version) -> Result<Version, read::Error> {
        if (now.size_bytes, now.mtime_ns) == (self.size_bytes, self.mtime_ns) {
            Ok(now)
        } else {
            Err(read::Error::Changed(self.path.clone()))
        }
    }
}

/// Whether it is a URI of a server.
fn is_remote(path: &Path) -> bool {
    path.to_str().is_some_and(|uri| uri.contains("://"))
}

impl Observed {
    /// Whether its file is on a server.
    pub(super) fn is_remote(&self) -> bool {
        is_remote(&self.path)
    }

    pub(super) fn of(row: &SpectrumRow, path: PathBuf, store: Option<PathBuf>) -> Self {
        let (SpectrumRow { object, label, holder }, place) = (row, row.place());
        let source = |path: &PathBuf, file: &PlacedFile| Source {
            path: path.clone(),
            size_bytes: file.size_bytes,
            mtime_ns: file.mtime_ns,
            row: u64::try_from(object.row_index).unwrap_or_default(),
            target_id: object.target_id,
        };
        let file = source(&path, &holder.file);
        let in_store = store.as_ref().zip(holder.store.as_ref());
        let in_store = in_store.map(|(path, (file, group))| (source(path, file), group.clone()));
        Self {
            target_id: object.target_id,
            release: place.release,
            survey: place.survey,
            program: place.program,
            healpix: place.healpix,
            ra: object.ra,
            dec: object.dec,
            z: object.z,
            zerr: object.zerr,
            deltachi2: object.deltachi2,
            zwarn: label.zwarn,
            spectype: label.spectype.clone(),
            subtype: label.subtype.clone(),
            is_primary: object.is_primary,
            path,
            row: file.row,
            store,
            file,
            in_store,
        }
    }

    pub(super) fn tile(&self) -> (Option<&str>, Option<&str>, Option<&str>, Option<i32>) {
        (self.release.as_deref(), self.survey.as_deref(), self.program.as_deref(), self.healpix)
    }

    /// Whether it is the same observation, in another file.
    pub(super) fn is_copy_of(&self, other: &Self) -> bool {
        self.target_id == other.target_id && self.tile() == other.tile() && self.path != other.path
    }
}
