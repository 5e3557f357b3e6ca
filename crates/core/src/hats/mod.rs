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

mod catalog;
mod columns;
mod disk;
mod partitions;
mod skymap;
pub mod view;

use crate::layout::{self, DATASET, Lake};
use crate::publish;
use crate::registry::{self, Registry};
use catalog::{Catalog, There};
pub use disk::look_at;
pub use partitions::{Content, Partition, Partitions};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

const LOCK: &str = "hats.lock";
const DRAFT: &str = "hats.draft";

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

/// Brings the catalogs of a lake up to date with the registry, and removes folders of pixels that
/// hold nothing any more; gives the products whose catalog changed.
///
/// # Errors
/// [`Error`]; what is not up to date then is brought up to date by the next call.
pub async fn refresh(registry: &Registry, lake: &Lake) -> Result<Vec<String>, Error> {
    let mut changed = Vec::new();
    let Some(latest) = registry.last_commit(lake).await? else { return Ok(changed) };
    if behind(lake, latest)?.is_empty() {
        return Ok(changed);
    }
    let owner = lake.clone();
    let _lock = blocking(move || lock(&owner)).await?;
    for product in behind(lake, latest)? {
        let folder = lake.root().join(&product);
        let catalog = match Catalog::read(&folder, lake.identity().lake_id) {
            There::Foreign => continue,
            There::Nothing => Catalog::default(),
            There::Ours(catalog) if catalog.commit.is_some() => *catalog,
            There::Ours(_) => Catalog::default(),
        };
        let since = catalog.commit.unwrap_or(0);
        let changes = registry.hats_changes(lake, &product, since).await?;
        let lake = lake.clone();
        let name = product.clone();
        if blocking(move || apply(&lake, &name, catalog, latest, changes)).await? {
            changed.push(product);
        }
    }
    Ok(changed)
}

/// What changed in a product since a commit.
pub(crate) type Changes = (Vec<FolderRow>, Vec<SchemaRow>);

fn apply(
    lake: &Lake,
    product: &str,
    mut catalog: Catalog,
    latest: i64,
    (folders, schemas): Changes,
) -> Result<bool, Error> {
    catalog.commit = Some(latest);
    let mut emptied = Vec::new();
    for row in folders {
        let folder = Path::new(&row.folder);
        // files that lie elsewhere make it no catalog of ours
        let Some(partition) = layout::partition_of(folder) else { return Ok(false) };
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
                catalog.commit = None;
            }
        }
    }
    let changed = write(lake, product, &catalog)?;
    remove_empty(lake, &emptied)?;
    Ok(changed)
}

fn write(lake: &Lake, product: &str, catalog: &Catalog) -> Result<bool, Error> {
    let folder = lake.root().join(product);
    let written = catalog.write(&folder, product, lake.identity().lake_id, &lake.private(DRAFT));
    written.map_err(Error::io("write the HATS catalog in", &folder))
}

/// Products that may be catalogs and are not as of the latest commit.
fn behind(lake: &Lake, latest: i64) -> Result<Vec<String>, Error> {
    let list = || -> io::Result<Vec<String>> {
        let mut products = Vec::new();
        for entry in fs::read_dir(lake.root())? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let folder = entry.path();
            let is_behind = || Catalog::as_of(&folder, lake.identity().lake_id) != Some(latest);
            if !name.starts_with('.') && folder.join(DATASET).is_dir() && is_behind() {
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

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(e) => match e.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // blocking tasks are not cancelled once they run, and this one is waited for
            Err(_) => std::future::pending().await,
        },
    }
}
