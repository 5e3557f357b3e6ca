//! HATS: each product with positions is a catalog that LSDB opens as it is.
//!
//! ```text
//! LAKE/<product>/hats.properties  properties       what it is, and which commit it is as of
//! LAKE/<product>/partition_info.csv                the pixels that hold files, and how much is in each
//! LAKE/<product>/skymap.fits  point_map.fits       rows by pixel
//! LAKE/<product>/dataset/_common_metadata          the columns
//! ```
//!
//! The registry knows what changed since a commit, the catalog says which commit it is as of: so it
//! is brought up to date pixel by pixel, however many commits it missed and whoever died on the way.
//! Where no registry is at hand, a pixel's folder says what is in it ([`look_at`]); such a catalog is
//! as of no commit, and the next sync compares all of it. A catalog of another program is left alone.
//!
//! A [`view`] shows the catalogs of several lakes as one, with an index of its TARGETIDs and a margin cache
//! where these are wanted.

mod catalog;
mod collection;
mod columns;
mod disk;
mod index;
mod margin;
mod partitions;
mod skymap;
pub mod view;

use crate::blocking::run_blocking;
use crate::layout::{self, DATASET, Lake};
use crate::publish;
use crate::registry::hats::HatsReader;
use crate::registry::{self, Registry};
use crate::whole::write_if_changed;
use catalog::{Catalog, There};
use chrono::{DateTime, SecondsFormat, Utc};
pub use collection::{Extras, Progress};
pub use disk::look_at;
pub use partitions::{Content, Partition, Partitions};
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Catalogs follow what is published no more often than this.
const A_MOMENT: Duration = Duration::from_secs(10);
const LOCK: &str = "hats.lock";
const DRAFT: &str = "hats.draft";
/// One file a product that is no catalog: what that is as of.
const PASSED_OVER: &str = "hats";

/// Why a catalog could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("failed to {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Publications could not be kept waiting.
    #[error(transparent)]
    Publish(#[from] publish::Error),
    /// The registry refused.
    #[error(transparent)]
    Registry(#[from] registry::Error),
}

impl Error {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// A folder of a product in which something changed, and what is live in it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FolderRow {
    /// Relative to the lake.
    pub(crate) folder: String,
    pub(crate) content: Content,
}

/// A schema that came, and a live file that has it (relative to the lake).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SchemaRow {
    pub(crate) fingerprint: String,
    pub(crate) path: String,
}

/// A commit of a registry: its number, and when it was made, since numbers begin anew with a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AsOf {
    pub(crate) commit: i64,
    pub(crate) at: DateTime<Utc>,
}

impl AsOf {
    fn parse(text: &str) -> Option<Self> {
        let (commit, at) = text.split_once(' ')?;
        Some(Self { commit: commit.parse().ok()?, at: at.parse().ok()? })
    }
}

impl fmt::Display for AsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.commit, self.at.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

/// Brings the catalogs of a lake up to date with the registry, and removes folders of pixels that
/// hold nothing any more; gives the products whose catalog changed.
///
/// # Errors
/// [`Error`]; what is not up to date then is brought up to date by the next call.
pub async fn refresh(registry: &Registry, lake: &Lake) -> Result<Vec<String>, Error> {
    registry.with_hats(async |reader| refresh_with(reader, lake).await).await
}

/// [`refresh`], with what `registry` answers.
pub(crate) async fn refresh_with(
    mut registry: HatsReader<'_>,
    lake: &Lake,
) -> Result<Vec<String>, Error> {
    let mut changed = Vec::new();
    let Some(latest) = registry.latest(lake).await? else { return Ok(changed) };
    if behind(lake, latest)?.is_empty() {
        return Ok(changed);
    }
    let owner = lake.clone();
    let _lock = run_blocking(move || lock(&owner)).await?;
    for product in behind(lake, latest)? {
        let known = match Catalog::read(&lake.root().join(&product), lake.identity().lake_id) {
            There::Foreign => continue,
            There::Nothing => Catalog::default(),
            There::Ours(catalog) => *catalog,
        };
        let (catalog, since) = match known.as_of {
            Some(as_of) if registry.is_known(as_of).await? => (known, as_of.commit),
            _ => (Catalog::default(), 0),
        };
        let changes = registry.changes(lake, &product, since).await?;
        let lake = lake.clone();
        let name = product.clone();
        if run_blocking(move || apply(&lake, &name, catalog, latest, changes)).await? {
            changed.push(product);
        }
    }
    Ok(changed)
}

/// Refreshes catalogs of a lake in which something is published all the time: now and then.
#[derive(Debug, Default)]
pub struct Refresher {
    last: Option<Instant>,
}

impl Refresher {
    /// Brings the catalogs up to date, unless that was done a moment ago. A failure is logged: what
    /// stays behind lists too little, and nothing wrong, and the next time makes up for it.
    pub async fn refresh_if_due(&mut self, registry: &Registry, lake: &Lake) {
        if self.last.is_some_and(|last| last.elapsed() < A_MOMENT) {
            return;
        }
        self.last = Some(Instant::now());
        if let Err(e) = refresh(registry, lake).await {
            tracing::warn!("{e}");
        }
    }
}

/// What changed in a product since a commit.
pub(crate) type Changes = (Vec<FolderRow>, Vec<SchemaRow>);

fn apply(
    lake: &Lake,
    product: &str,
    mut catalog: Catalog,
    latest: AsOf,
    (folders, schemas): Changes,
) -> Result<bool, Error> {
    catalog.as_of = Some(latest);
    let mut emptied = Vec::new();
    for row in folders {
        let folder = Path::new(&row.folder);
        let Some(partition) = partition_in(folder) else { return pass_over(lake, product, latest) };
        if row.content.files > 0 {
            catalog.partitions.0.insert(partition, row.content);
        } else {
            catalog.partitions.0.remove(&partition);
            emptied.push(lake.root().join(folder));
        }
    }
    for SchemaRow { fingerprint, path } in schemas {
        if catalog.schemas.contains(&fingerprint) {
            continue;
        }
        match columns::of_file(&lake.root().join(&path)) {
            Ok(schema) => catalog.add_columns(&fingerprint, &schema),
            Err(e) => {
                tracing::info!("{path} went before its columns were read: {e}");
                // the next call looks at everything
                catalog.as_of = None;
            }
        }
    }
    if !catalog.has_positions() {
        return pass_over(lake, product, latest);
    }
    let changed = write(lake, product, &catalog)?;
    remove_empty(lake, &emptied)?;
    Ok(changed)
}

/// The partition whose folder this is; files that lie elsewhere make a product no catalog of ours.
fn partition_in(folder: &Path) -> Option<Partition> {
    let is_pixel = folder.file_name()?.to_str()?.starts_with("Npix=");
    layout::partition_of(folder).filter(|_| is_pixel)
}

/// Notes that a product is no catalog, so that nobody looks again before something changes.
fn pass_over(lake: &Lake, product: &str, latest: AsOf) -> Result<bool, Error> {
    let folder = lake.private(PASSED_OVER);
    let note = || -> io::Result<bool> {
        fs::create_dir_all(&folder)?;
        let text = latest.to_string();
        write_if_changed(&folder.join(product), &lake.private(DRAFT), text.as_bytes())?;
        Ok(false)
    };
    note().map_err(Error::io("write to", &folder))
}

fn write(lake: &Lake, product: &str, catalog: &Catalog) -> Result<bool, Error> {
    let folder = lake.root().join(product);
    let written = catalog.write(&folder, product, lake.identity().lake_id, &lake.private(DRAFT));
    written.map_err(Error::io("write the HATS catalog in", &folder))
}

/// Products that may be catalogs and are not as of the latest commit.
fn behind(lake: &Lake, latest: AsOf) -> Result<Vec<String>, Error> {
    let passed_over = |name: &str| {
        let note = fs::read_to_string(lake.private(PASSED_OVER).join(name)).ok();
        note.and_then(|note| AsOf::parse(&note)) == Some(latest)
    };
    let list = || -> io::Result<Vec<String>> {
        let mut products = Vec::new();
        for entry in fs::read_dir(lake.root())? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let folder = entry.path();
            let is_behind = || Catalog::as_of(&folder, lake.identity().lake_id) != Some(latest);
            let is_product = !name.starts_with('.') && folder.join(DATASET).is_dir();
            if is_product && is_behind() && !passed_over(&name) {
                products.push(name);
            }
        }
        products.sort();
        Ok(products)
    };
    list().map_err(Error::io("list", lake.root()))
}

/// Removes folders if they are empty, while nothing is being published into them.
fn remove_empty(lake: &Lake, folders: &[PathBuf]) -> Result<(), Error> {
    if folders.is_empty() {
        return Ok(());
    }
    let _still = publish::still(lake)?;
    for folder in folders {
        match fs::remove_dir(folder) {
            Err(e)
                if !matches!(
                    e.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty
                ) =>
            {
                return Err(Error::io("remove the empty folder", folder)(e));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Keeps other writers of this lake's catalogs waiting until it is dropped.
fn lock(lake: &Lake) -> Result<File, Error> {
    let path = lake.private(LOCK);
    let lock = || -> io::Result<File> {
        let file = File::options().create(true).append(true).open(&path)?;
        file.lock()?;
        Ok(file)
    };
    lock().map_err(Error::io("lock", &path))
}
