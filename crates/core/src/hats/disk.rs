//! A catalog without a registry: a pixel's folder says what is in it.

use super::catalog::{Catalog, There};
use super::columns;
use super::{Content, Error, Partition, lock, write};
use crate::footer::{Footer, Schemas};
use crate::layout::{self, DATASET, Lake};
use crate::tile::{FileName, Name, Pixel};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Brings a product's catalog up to date with what lies in some pixels' folders, in which something
/// changed; with all of them where there is no catalog yet. Says whether it changed.
///
/// # Errors
/// [`Error::Io`]; the next call, or the next sync, makes up for it.
pub fn look_at(lake: &Lake, product: &Name, pixels: &[Pixel]) -> Result<bool, Error> {
    let folder = lake.root().join(product.as_str());
    let _lock = lock(lake)?;
    let there = Catalog::read(&folder, lake.identity().lake_id);
    let (mut catalog, partitions) = match there {
        There::Foreign => return Ok(false),
        There::Ours(_) if pixels.is_empty() => return Ok(false),
        There::Nothing if !folder.join(DATASET).is_dir() => return Ok(false),
        There::Ours(catalog) => {
            let touched = pixels.iter().map(|pixel| (Pixel::ORDER, u64::from(pixel.get())));
            (*catalog, touched.collect())
        }
        There::Nothing => {
            let dataset = folder.join(DATASET);
            let found = partitions_in(&dataset).map_err(Error::io("list", &dataset))?;
            (Catalog::default(), found)
        }
    };
    let schemas = Schemas::default();
    let mut seen = Vec::new();
    for partition in partitions {
        let place = folder.join(DATASET).join(layout::partition_path(partition));
        let found = contents(&place, &schemas, &mut seen).map_err(Error::io("list", &place))?;
        match found.files {
            0 => catalog.partitions.0.remove(&partition),
            _ => catalog.partitions.0.insert(partition, found),
        };
    }
    // a registry may know more of what is here, or less
    catalog.as_of = None;
    for (fingerprint, path) in seen {
        if !catalog.schemas.contains(&fingerprint) {
            let schema =
                columns::of_file(&path).map_err(Error::io("read the columns of", &path))?;
            catalog.add_columns(&fingerprint, &schema);
        }
    }
    write(lake, product.as_str(), &catalog)
}

/// What a partition's folder holds; files that cannot be read do not count. Of each folder one
/// file's columns are looked at, and noted in `seen` with the file.
fn contents(
    folder: &Path,
    schemas: &Schemas,
    seen: &mut Vec<(String, PathBuf)>,
) -> io::Result<Content> {
    let mut content = Content::default();
    let mut newest = None;
    for path in parquet_files(folder)? {
        let about = fs::metadata(&path)?;
        let Some(rows) = rows_of(&path, about.len(), schemas) else { continue };
        content += Content { rows, files: 1, size_bytes: about.len() };
        newest = newest.max(Some((about.modified()?, path)));
    }
    if let Some((_, path)) = newest
        && let Ok(footer) = footer_of(&path, fs::metadata(&path)?.len(), schemas)
    {
        let fingerprint = footer.schema.fingerprint();
        if !seen.iter().any(|(known, _)| known == fingerprint) {
            seen.push((fingerprint.to_owned(), path));
        }
    }
    Ok(content)
}

/// Parquet files of a folder, by name; a folder that is not there holds none.
pub(super) fn parquet_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?.map(|entry| entry.map(|e| e.path())).collect::<io::Result<_>>()?,
    };
    files.retain(|path| path.extension().is_some_and(|e| e == "parquet") && path.is_file());
    files.sort();
    Ok(files)
}

/// Rows of a file: its name says so, or its footer.
pub(super) fn rows_of(path: &Path, size_bytes: u64, schemas: &Schemas) -> Option<u64> {
    let named = path.file_name()?.to_str()?.parse::<FileName>();
    match named {
        Ok(name) => Some(name.rows),
        Err(_) => footer_of(path, size_bytes, schemas).ok()?.bounds.num_rows.try_into().ok(),
    }
}

fn footer_of(
    path: &Path,
    size_bytes: u64,
    schemas: &Schemas,
) -> Result<Footer, crate::footer::Error> {
    Footer::read(&File::open(path)?, size_bytes, schemas)
}

/// Partitions whose folders are there: `Norder=k/Dir=d/Npix=n`.
fn partitions_in(dataset: &Path) -> io::Result<Vec<Partition>> {
    let mut found = Vec::new();
    let walk = walkdir::WalkDir::new(dataset).min_depth(3).max_depth(3);
    for entry in walk {
        let entry = entry.map_err(io::Error::other)?;
        let relative = entry.path().strip_prefix(dataset).unwrap_or(entry.path());
        found.extend(layout::partition_of(relative).filter(|_| entry.file_type().is_dir()));
    }
    found.sort_unstable();
    Ok(found)
}
