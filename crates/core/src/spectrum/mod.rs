//! Spectra by TARGETID: from the registry to the row, from the row to its pixels.
//!
//! [`Spectra`] looks objects up in the registry, in one statement, and reads of the files only what
//! holds their spectra: the chunks of a row where the pixel has a spectra store (`store`, see
//! [`crate::store`]), else the pages of a row in Parquet (`table`). A store that cannot be read is told
//! in the log, and Parquet is read instead. Files that were read stay open with
//! their footers decoded, so many of them (`cache`); whether a file is still the one that the
//! registry knows, its size and time say before every read. A handle is cheap to clone, and any
//! number of threads may use it at once: nothing is read under a lock.

mod arms;
mod cache;
mod observed;
pub(crate) mod store;
mod table;

pub use arms::{ARMS, arms};
pub use observed::Observed;

use crate::blocking::run_blocking;
use crate::guard::guard;
use crate::read::{self, Handle};
use crate::registry::spectra::Place;
use crate::registry::{self, Registry};
use crate::resolution::place::Places;
use bifrost_science::coadd::{self, coadd};
use bifrost_science::grid::COADDED;
use cache::Cache;
use observed::{Found, Source};
use rayon::prelude::*;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use store::Store;
use table::Table;

/// Files that a handle keeps open unless it is told otherwise.
pub const FILES_OPEN: usize = 256;

/// Flux density, as VOUnit spells it.
pub const FLUX_UNIT: &str = "10**-17.erg.s**-1.cm**-2.Angstrom**-1";
/// Inverse variance of flux density.
pub const IVAR_UNIT: &str = "10**34.erg**-2.s**2.cm**4.Angstrom**2";
/// The columns of arrays in `spectra`: name, unit, UCD, meaning.
pub const COLUMNS: [[&str; 4]; 4] = [
    [
        "wavelength",
        "Angstrom",
        "em.wl",
        "Vacuum wavelength, barycentric; arms stacked B, R, Z with their overlaps kept, so not monotonic",
    ],
    [
        "flux",
        FLUX_UNIT,
        "phot.flux.density;em.wl",
        "Flux density, pixel by pixel of wavelength; 0 where the pipeline's was not finite",
    ],
    [
        "ivar",
        IVAR_UNIT,
        "stat.weight;phot.flux.density",
        "Inverse variance of flux, pixel by pixel; 0 says no data",
    ],
    ["mask_array", "", "meta.code.qual", "Mask bits, pixel by pixel; any bit says do not use"],
];

/// Which of an object's spectra; what is `None` may be any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Which {
    /// Production of the archive.
    pub release: Option<String>,
    /// Survey.
    pub survey: Option<String>,
    /// Program.
    pub program: Option<String>,
}

impl Which {
    fn is_of(&self, place: &Place) -> bool {
        let is = |asked: &Option<String>, name: &Option<String>| asked.is_none() || asked == name;
        is(&self.release, &place.release)
            && is(&self.survey, &place.survey)
            && is(&self.program, &place.program)
    }
}

/// The pixels of a spectrum: arrays of one length. Of the arms as they were taken, one after the
/// other, b, r, z, which overlap; or of one grid.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pixels {
    /// Å, vacuum.
    pub wavelength: Arc<[f64]>,
    /// 10⁻¹⁷ erg/s/cm²/Å.
    pub flux: Vec<f32>,
    /// Inverse variance of the flux.
    pub ivar: Vec<f32>,
    /// Mask bits; 0: good.
    pub mask: Vec<i32>,
}

/// A spectrum.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Spectrum {
    /// Of what.
    #[serde(flatten)]
    pub about: Observed,
    /// Its pixels.
    #[serde(flatten)]
    pub pixels: Pixels,
}

/// Why there is no spectrum.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry refused.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// The file refused.
    #[error(transparent)]
    Read(#[from] read::Error),
    /// The catalog does not know it.
    #[error("no spectrum of TARGETID {target_id}{} is in the catalog", told(.which))]
    Unknown {
        /// The TARGETID.
        target_id: i64,
        /// What was asked for.
        which: Which,
    },
    /// The spectra store refused, and there is no other.
    #[error("{} {source}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: crate::store::Error,
    },
    /// The row has no spectrum.
    #[error("{} has no {column} in this row: make it again with arrays", path.display())]
    NoSpectrum {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
    },
    /// Its wavelengths are not the survey's.
    #[error("{}: TARGETID {target_id} cannot be coadded: {source}", path.display())]
    Coadd {
        /// The file.
        path: PathBuf,
        /// The TARGETID.
        target_id: i64,
        /// What is wrong.
        source: coadd::Error,
    },
    /// The file has no spectra.
    #[error("{} has no column {column}: it holds no spectra", path.display())]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
    },
}

/// What tells a row's arrays from others: the first 8 bytes of the BLAKE3 of flux, ivar and mask, one
/// after the other, as little-endian bytes; a little-endian number.
#[must_use]
pub fn hash(flux: &[f32], ivar: &[f32], mask: &[i32]) -> i64 {
    let floats = flux.iter().chain(ivar).flat_map(|value| value.to_le_bytes());
    let bytes: Vec<u8> = floats.chain(mask.iter().flat_map(|bits| bits.to_le_bytes())).collect();
    let hash = blake3::hash(&bytes);
    hash.as_bytes().first_chunk().map_or(0, |first| i64::from_le_bytes(*first))
}

fn told(which: &Which) -> String {
    let Which { release, survey, program } = which;
    [("release", release), ("survey", survey), ("program", program)]
        .into_iter()
        .filter_map(|(what, name)| Some(format!(" of {what} {}", name.as_ref()?)))
        .collect()
}

/// Spectra by TARGETID. Clones share what is open.
#[derive(Debug, Clone)]
pub struct Spectra(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    tables: Arc<Cache<Table>>,
    stores: Arc<Cache<Store>>,
}

impl Spectra {
    /// Of a registry, with [`FILES_OPEN`].
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        Self::with_files_open(registry, FILES_OPEN)
    }

    /// Of a registry; so many files of each kind are kept open.
    #[must_use]
    pub fn with_files_open(registry: Registry, files: usize) -> Self {
        let tables = Arc::new(Cache::new(files));
        let stores = Arc::new(Cache::new(files));
        Self(Arc::new(Inner { registry, tables, stores }))
    }

    /// The same open files with another connection to the same registry: a runtime's connections are
    /// served by that runtime.
    #[must_use]
    pub fn with_registry(&self, registry: Registry) -> Self {
        let (tables, stores) = (self.0.tables.clone(), self.0.stores.clone());
        Self(Arc::new(Inner { registry, tables, stores }))
    }

    /// An object's spectra: of one that was observed in several programs there are several. The
    /// primary one comes first, then they are in the order of release, survey, program and pixel.
    ///
    /// Files are read on the calling thread.
    ///
    /// # Errors
    /// [`Error::Unknown`] where there is none; else [`Error`].
    pub async fn spectrum(&self, target_id: i64, which: &Which) -> Result<Vec<Spectrum>, Error> {
        let found = self.find(&[target_id], which).await?;
        if found.is_empty() {
            return Err(Error::Unknown { target_id, which: which.clone() });
        }
        match found.into_iter().map(|about| self.read(about)).collect() {
            // published between look-up and reading: what is there now, the registry knows by now
            Err(Error::Read(read::Error::Changed(_) | read::Error::Vanished(_))) => {
                let found = self.find(&[target_id], which).await?;
                found.into_iter().map(|about| self.read(about)).collect()
            }
            read => read,
        }
    }

    /// The spectra of objects, in the order in which these are named, each as in
    /// [`Spectra::spectrum`]; those that the catalog does not know are left out. Files are read on all
    /// cores.
    ///
    /// # Errors
    /// [`Error`]: where one cannot be read, none is given.
    pub async fn spectra(&self, target_ids: &[i64], which: &Which) -> Result<Vec<Spectrum>, Error> {
        let found = self.find(target_ids, which).await?;
        let this = self.clone();
        run_blocking(move || found.into_par_iter().map(|about| this.read(about)).collect()).await
    }

    /// Where the spectra of objects lie, as [`Spectra::spectra`] orders them; [`Spectra::read`] reads
    /// them. Of copies of a tile in several lakes the one that can be opened from here is named.
    ///
    /// # Errors
    /// [`Error::Registry`]; [`Error::Read`] where a spectrum lies on other machines only.
    pub async fn find(&self, target_ids: &[i64], which: &Which) -> Result<Vec<Observed>, Error> {
        let resolver = self.0.registry.resolver(None).await?;
        let mut rows = resolver.spectra(target_ids).await?;
        rows.retain(|row| which.is_of(&row.place()));
        let mut places = Places::reachable(&resolver.places().await?);
        if rows.iter().any(|row| !places.has(row.holder.lake_id)) {
            places = Places::reachable(&resolver.places_now().await?);
        }
        drop(resolver);
        let mut rank = HashMap::with_capacity(target_ids.len());
        for (at, target_id) in target_ids.iter().enumerate() {
            rank.entry(*target_id).or_insert(at);
        }
        let (mut here, mut elsewhere) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in rows {
            let holder = &row.holder;
            let (path, uri) = places.of(holder.lake_id, &holder.file.path);
            match uri {
                Some(uri) => {
                    let store = holder.store.as_ref().and_then(|(file, _)| {
                        places.of(holder.lake_id, &file.path).1.map(PathBuf::from)
                    });
                    here.push(Observed::of(&row, uri.into(), store));
                }
                None => {
                    let node = places.node_of(holder.lake_id).map_or("unknown", |node| node);
                    let file = format!("{node}:{}", path.display());
                    elsewhere.push((Observed::of(&row, path, None), file));
                }
            }
        }
        let rank = |of: &Observed| rank.get(&of.target_id).copied();
        here.sort_by(|one, other| {
            let by_tile = rank(one).cmp(&rank(other)).then_with(|| one.tile().cmp(&other.tile()));
            by_tile
                .then_with(|| other.is_primary.cmp(&one.is_primary))
                .then_with(|| one.is_remote().cmp(&other.is_remote()))
                .then_with(|| one.path.cmp(&other.path))
        });
        here.dedup_by(|next, one| next.is_copy_of(one));
        here.sort_by_key(|of| (rank(of), Reverse(of.is_primary)));
        elsewhere.retain(|(of, _)| !here.iter().any(|one| of.is_copy_of(one)));
        if elsewhere.is_empty() {
            return Ok(here);
        }
        let mut files: Vec<String> = elsewhere.into_iter().map(|(_, file)| file).collect();
        files.sort();
        files.dedup();
        Err(read::Error::Unreachable(files).into())
    }

    /// Reads a spectrum that was found, on the calling thread.
    ///
    /// # Errors
    /// [`Error::Read`] where the file is no longer what was found, or is damaged;
    /// [`Error::NoSpectrum`], [`Error::NoColumn`].
    pub fn read(&self, about: Observed) -> Result<Spectrum, Error> {
        let in_store = about.in_store.as_ref().map(|(source, group)| self.in_store(source, group));
        let pixels = match in_store {
            Some(Ok(Some(pixels))) => pixels,
            Some(Ok(None)) | None => self.in_table(&about.file)?,
            Some(Err(error)) => match self.in_table(&about.file) {
                // its arrays are in the store, and nowhere else
                Err(Error::NoSpectrum { .. } | Error::NoColumn { .. }) => return Err(error),
                instead => {
                    tracing::warn!(
                        "{error}; the arrays of {} are read instead",
                        about.path.display()
                    );
                    instead?
                }
            },
        };
        Ok(Spectrum { about, pixels })
    }

    fn in_table(&self, source: &Source) -> Result<Pixels, Error> {
        let path = &source.path;
        let open = |found| match found {
            Found::Here(file, size_bytes) => Table::open(file, size_bytes, path),
            Found::There(source) => Table::open_remote(&source, path),
        };
        source.opened(&self.0.tables, open)?.pixels(source)
    }

    fn in_store(&self, source: &Source, group: &str) -> Result<Option<Pixels>, Error> {
        let path = &source.path;
        let refused = |source| refused_by_store(path, source);
        let open = |found| {
            let (file, size_bytes) = match found {
                Found::Here(file, size_bytes) => (Handle::Local(Arc::new(file)), size_bytes),
                Found::There(source) => (Handle::open(&source)?, source.size_bytes()),
            };
            Store::open(file, size_bytes, path).map_err(refused)
        };
        let store = source.opened(&self.0.stores, open)?;
        guard(|| store.pixels(group, source.row, Some(source.target_id)))
            .unwrap_or_else(|fault| Err(crate::store::Error::Damaged(fault.to_string())))
            .map_err(refused)
    }
}

impl Spectrum {
    /// The spectrum with its arms coadded, on the survey's grid: 7,781 pixels of 0.8 Å from 3600 Å.
    ///
    /// # Errors
    /// [`Error::Coadd`] where its wavelengths are not on that grid.
    pub fn coadded(self) -> Result<Self, Error> {
        static WAVELENGTH: LazyLock<Arc<[f64]>> = LazyLock::new(|| COADDED.wavelengths().collect());
        let Self { about, pixels } = self;
        match coadd(&pixels.wavelength, &pixels.flux, &pixels.ivar, &pixels.mask) {
            Ok(coadd::Coadded { flux, ivar, mask }) => {
                let wavelength = WAVELENGTH.clone();
                Ok(Self { about, pixels: Pixels { wavelength, flux, ivar, mask } })
            }
            Err(source) => {
                let (path, target_id) = (about.path, about.target_id);
                Err(Error::Coadd { path, target_id, source })
            }
        }
    }
}

/// What is wrong with a version of a file, or with what is in it.
fn refused_by_store(path: &Path, source: crate::store::Error) -> Error {
    let source = match source {
        crate::store::Error::Io(error) => match error.downcast::<read::Error>() {
            Ok(error) => return error.into(),
            Err(error) => crate::store::Error::Io(error),
        },
        other => other,
    };
    Error::Store { path: path.to_owned(), source }
}

fn refused(path: &Path) -> impl Fn(io::Error) -> read::Error {
    |error| match error.kind() {
        io::ErrorKind::NotFound => read::Error::Vanished(path.to_owned()),
        _ => read::Error::Io { path: path.to_owned(), source: error },
    }
}
