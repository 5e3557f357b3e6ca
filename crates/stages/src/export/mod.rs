//! A part of a lake as a lake of its own: the rows that answer a question, citable, with no database.
//!
//! ```text
//! FOLDER/README.md              what was asked, what is here, licence and citation
//! FOLDER/croissant.json         the same for machines
//! FOLDER/resolution.json        the snapshot: which files of the lake gave it
//! FOLDER/<product>/             a HATS catalog of the rows, file by file as in the lake
//! ```
//!
//! It is made beside its place and renamed when it is complete.

mod sheet;
mod write;

use crate::datasheet::{CROISSANT, croissant};
use arrow::datatypes::Schema;
use bifrost_core::hats;
use bifrost_core::layout::{self, Lake};
use bifrost_core::read::{self, COLUMNS_ALL, Portion, Recipe};
use bifrost_core::resolution::{Detail, Query};
use bifrost_core::session::{self, Session};
use bifrost_core::snapshot;
use bifrost_core::tile::{Name, Pixel};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Columns without which there is no catalog of the sky.
const KEYS: [&str; 4] = ["_healpix_29", "target_id", "ra", "dec"];
const SHEET: &str = "README.md";
const RESOLUTION: &str = "resolution.json";

/// Why a part of a lake cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something is there already.
    #[error("{} is there already, and an export is never written over", .0.display())]
    There(PathBuf),
    /// It would be part of a lake, whose sync would take its files for its own.
    #[error("{} lies in the lake {}: export to a folder outside", folder.display(), lake.display())]
    InLake {
        /// The folder.
        folder: PathBuf,
        /// The lake.
        lake: PathBuf,
    },
    /// No row matches.
    #[error("nothing matches: nothing was exported")]
    Empty,
    /// The question cannot be answered.
    #[error(transparent)]
    Session(#[from] session::Error),
    /// Rows cannot be read.
    #[error(transparent)]
    Read(#[from] read::Error),
    /// The snapshot cannot be saved.
    #[error(transparent)]
    Snapshot(#[from] snapshot::Error),
    /// The folder is no lake.
    #[error(transparent)]
    Lake(#[from] layout::Error),
    /// The catalog cannot be written.
    #[error(transparent)]
    Hats(#[from] hats::Error),
    /// A file cannot be written.
    #[error("failed to write {}: {reason}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The sheet's template is broken.
    #[error(transparent)]
    Sheet(#[from] minijinja::Error),
}

impl Error {
    /// Whether the question, not a disk or a registry, is at fault.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::There(_) | Self::InLake { .. } => true,
            Self::Session(error) => error.is_usage(),
            Self::Read(error) => error.is_usage(),
            Self::Snapshot(error) => error.is_usage(),
            _ => false,
        }
    }

    fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Write { path, reason: error.to_string() }
    }
}

/// What was exported.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Version of this document.
    pub version: u32,
    /// Where it is.
    pub folder: PathBuf,
    /// The digest by which it is cited.
    pub id: String,
    /// The registry's commit that it is as of.
    pub commit: i64,
    /// Files that hold rows.
    pub files: usize,
    /// Rows.
    pub rows: u64,
    /// Bytes of the files.
    pub bytes: u64,
}

/// A file of the export.
struct Made {
    pixel: Option<Pixel>,
    release: Option<String>,
    rows: u64,
    bytes: u64,
}

/// The names but for those of columns that were named before; nothing where there are none of these.
fn once(names: &[String], schema: &Schema) -> Option<Vec<String>> {
    let mut seen = BTreeSet::new();
    let columns = names.iter().zip(schema.fields());
    let new = columns.filter(|(_, field)| seen.insert(field.name())).map(|(name, _)| name.clone());
    let once: Vec<String> = new.collect();
    (once.len() < names.len()).then_some(once)
}

/// Exports the rows that answer a question, with columns as [`read::Options`] has them, to a folder that
/// is not there yet; `progress` hears how many of how many files are done.
///
/// # Errors
/// [`Error`]; the folder is not there then.
pub async fn export(
    session: &Session,
    query: &Query,
    columns: Option<&[String]>,
    folder: &Path,
    progress: impl Fn(usize, usize) + Sync,
) -> Result<Report, Error> {
    if query.sql.is_some() {
        return Err(snapshot::Error::Sql.into());
    }
    let draft = Draft::new(folder)?;
    let answer = session.resolve(query, Detail::Files).await?;
    let is_all = |names: &[String]| names == [COLUMNS_ALL];
    let named = columns.filter(|names| !is_all(names)).map(|names| {
        let keys = KEYS.iter().map(ToString::to_string);
        keys.chain(names.iter().cloned()).collect::<Vec<_>>()
    });
    let (mut recipe, mut portions) =
        session.recipe(&answer, query, named.as_deref().or(columns)).await?;
    if let Some(once) = named.and_then(|names| once(&names, &recipe.schema())) {
        (recipe, portions) = session.recipe(&answer, query, Some(&once)).await?;
    }
    let lake = Lake::open_or_create(&draft.path, "export")?;
    let product = query.product();
    let made = write_all(&recipe, portions, &lake, product, &progress)?;
    if made.is_empty() {
        return Err(Error::Empty);
    }
    if let Ok(name) = Name::new(product) {
        let pixels: BTreeSet<Pixel> = made.iter().filter_map(|file| file.pixel).collect();
        hats::look_at(&lake, &name, &pixels.into_iter().collect::<Vec<_>>())?;
    }
    let then = Query { as_of: Some(answer.commit), ..query.clone() };
    let saved = snapshot::save(session.registry(), &then, &draft.path.join(RESOLUTION)).await?;
    let report = Report {
        version: 1,
        folder: folder.to_owned(),
        id: saved.id.clone(),
        commit: answer.commit,
        files: made.len(),
        rows: made.iter().map(|file| file.rows).sum(),
        bytes: made.iter().map(|file| file.bytes).sum(),
    };
    let releases: BTreeSet<&str> = made.iter().filter_map(|file| file.release.as_deref()).collect();
    let (schema, at) = (recipe.schema(), saved.snapshot.saved_at);
    let described = croissant::of_export(product, &schema, &releases, &saved.id, at);
    let sheet = sheet::render(&report, &saved, &schema, releases)?;
    for (name, text) in [(SHEET, sheet), (CROISSANT, described)] {
        let path = draft.path.join(name);
        fs::write(&path, text).map_err(Error::write(&path))?;
    }
    draft.publish(folder)?;
    Ok(report)
}

/// Writes a file for each file that has rows, several at once.
fn write_all(
    recipe: &Recipe,
    portions: Vec<Portion>,
    lake: &Lake,
    product: &str,
    progress: &(impl Fn(usize, usize) + Sync),
) -> Result<Vec<Made>, Error> {
    let (all, done) = (portions.len(), std::sync::atomic::AtomicUsize::new(0));
    let one = |(number, portion)| {
        let made = write::file(recipe, portion, lake, product, number);
        progress(done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1, all);
        made.transpose()
    };
    portions.into_par_iter().enumerate().filter_map(one).collect()
}

/// Where this process makes what will be a folder.
#[must_use]
pub fn draft_of(folder: &Path) -> Option<PathBuf> {
    let name = format!(".{}.{}.partial", folder.file_name()?.display(), std::process::id());
    Some(folder.with_file_name(name))
}

/// A folder that vanishes unless it is published.
struct Draft {
    path: PathBuf,
}

impl Draft {
    fn new(folder: &Path) -> Result<Self, Error> {
        let is_free = match fs::read_dir(folder) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        let Some(path) = draft_of(folder).filter(|_| is_free) else {
            return Err(Error::There(folder.to_owned()));
        };
        if let Some(lake) = Lake::around(folder) {
            return Err(Error::InLake { folder: folder.to_owned(), lake });
        }
        fs::create_dir_all(&path).map_err(Error::write(&path))?;
        Ok(Self { path })
    }

    fn publish(self, folder: &Path) -> Result<(), Error> {
        // an empty folder gives way
        fs::rename(&self.path, folder).map_err(Error::write(folder))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // it is only a draft: what cannot be removed does no harm
        let _ = fs::remove_dir_all(&self.path);
    }
}
