//! What belongs to a view's catalog, for LSDB to find: a HATS collection.
//!
//! ```text
//! DIR/<product>_collection/collection.properties   what belongs together
//! DIR/<product>_collection/<product>               a link to the product's catalog
//! DIR/<product>_collection/target_id/              an index of its TARGETIDs (`index`)
//! DIR/<product>_collection/margin.<made of>/       rows near the edges of its pixels (`margin`)
//! ```
//!
//! What a collection has once is brought up to date whenever the view is.

use super::catalog::{Catalog, value};
use super::disk::parquet_files;
use super::{Partition, index, margin};
use crate::VERSION;
use crate::layout::{self, DATASET};
use crate::whole::{flush_folder, write_changed};
use bifrost_sha256::Sha256;
use rayon::prelude::*;
use std::fmt::Write;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const PROPERTIES: &str = "collection.properties";

/// What is wanted beside each catalog of a view.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Extras {
    /// An index of its TARGETIDs.
    pub index: bool,
    /// Rows that are nearer than this to a pixel that they are not in, arc seconds.
    pub margin_arcsec: Option<f64>,
}

/// Is told how many files are done, of how many.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) + Sync);

/// Does something with each of several files, by all threads, and tells so.
pub(super) fn map_files<T: Send, U: Send>(
    files: Vec<T>,
    progress: Progress<'_>,
    with: impl Fn(T) -> U + Sync + Send,
) -> Vec<U> {
    let (done, all) = (AtomicU64::new(0), files.len() as u64);
    let with = |file| {
        let made = with(file);
        progress(1 + done.fetch_add(1, Relaxed), all);
        made
    };
    files.into_par_iter().map(with).collect()
}

/// How many rows there are of what was wanted; `None` where it was not, or could not be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) index_rows: Option<u64>,
    pub(super) margin_rows: Option<u64>,
}

/// The folder of a product's collection.
pub(super) fn name_of(product: &str) -> String {
    format!("{product}_collection")
}

/// Makes the collection of a product's catalog in a view's folder, or brings it up to date. What is not in
/// it is said in `missing`.
pub(super) fn make(
    view: &Path,
    product: &str,
    catalog: &Catalog,
    extras: Extras,
    progress: Progress<'_>,
    missing: &mut Vec<String>,
) -> io::Result<Made> {
    let folder = view.join(name_of(product));
    let text = fs::read_to_string(folder.join(PROPERTIES)).unwrap_or_default();
    let margin_there = value(&text, "default_margin").map(|name| folder.join(name));
    let with_index = extras.index || value(&text, "default_index").is_some();
    let wanted = extras.margin_arcsec;
    let wanted = wanted.filter(|arcsec| margin::is_possible(product, catalog, *arcsec, missing));
    let margin_arcsec = wanted.or_else(|| margin::threshold_of(&margin_there?));
    if !with_index && margin_arcsec.is_none() {
        return Ok(Made::default());
    }
    let files = files_of(&view.join(product).join(DATASET), catalog)?;
    let made_of = fingerprint(&files)?;
    fs::create_dir_all(&folder)?;
    let index_rows = match with_index {
        true => index::make(&folder, product, &files, &made_of, progress, missing)?,
        false => None,
    };
    let margin = match margin_arcsec {
        Some(arcsec) => margin::make(&folder, product, catalog, &files, arcsec, progress, missing)?,
        None => None,
    };
    let margin_name = margin.as_ref().map(|margin| margin.name.as_str());
    write(&folder, product, index_rows.is_some(), margin_name)?;
    margin::remove_others(&folder, margin_name)?;
    Ok(Made { index_rows, margin_rows: margin.map(|margin| margin.rows) })
}

/// The files of a catalog, with their pixels.
fn files_of(dataset: &Path, catalog: &Catalog) -> io::Result<Vec<(Partition, PathBuf)>> {
    let mut files = Vec::new();
    for partition in catalog.partitions.0.keys() {
        let found = parquet_files(&dataset.join(layout::partition_path(*partition)))?;
        files.extend(found.into_iter().map(|path| (*partition, path)));
    }
    Ok(files)
}

/// Tells files from others, and versions of a file from each other.
pub(super) fn fingerprint(files: &[(Partition, PathBuf)]) -> io::Result<String> {
    let mut hash = Sha256::new();
    for (partition, path) in files {
        let about = fs::metadata(path)?;
        let name = path.file_name().unwrap_or_default().display();
        let version = (about.ino(), about.len(), about.mtime(), about.mtime_nsec());
        hash.update(format!("{partition:?} {name} {version:?}\n").as_bytes());
    }
    Ok(short(hash))
}

/// Half of a hash, as text.
pub(super) fn short(hash: Sha256) -> String {
    let half = hash.finish().into_iter().take(16);
    half.fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn write(folder: &Path, product: &str, has_index: bool, margin: Option<&str>) -> io::Result<()> {
    let link = folder.join(product);
    if fs::read_link(&link).is_err() {
        std::os::unix::fs::symlink(Path::new("..").join(product), &link)?;
    }
    let mut text = "#HATS collection, kept by bifrost\n".to_owned();
    // writing to a string cannot fail
    let _ = writeln!(text, "obs_collection={product}\nhats_primary_table_url={product}");
    if has_index {
        let column = index::COLUMN;
        let _ = writeln!(text, "all_indexes={column} {column}\ndefault_index={column}");
    }
    if let Some(margin) = margin {
        let _ = writeln!(text, "all_margins={margin}\ndefault_margin={margin}");
    }
    let _ = writeln!(text, "hats_builder=bifrost {VERSION}\nhats_version=v1.0");
    write_changed(&[(&folder.join(PROPERTIES), text.as_bytes())], &folder.join("draft"))?;
    flush_folder(folder)
}
