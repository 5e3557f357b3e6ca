//! The catalogs of several lakes as one: a small tree of symbolic links.
//!
//! A pixel that one lake has is a link to that lake's folder, so that what comes into it is seen at
//! once; a pixel that several have is a folder of links to files. Made again, it takes in what has
//! changed. Nothing but links and the view's own files is ever removed.

use super::catalog::{Catalog, There};
use super::disk::{parquet_files, rows_of};
use super::{Content, Error, Extras, Partition, Progress, collection};
use crate::footer::Schemas;
use crate::layout::{self, DATASET, Lake, PRIVATE};
use crate::registry::{self, Registry};
use crate::resolution::place;
use crate::tile::{FileName, Tile};
use crate::whole::write_if_changed;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// What tells a view from any other folder.
const MARK: &str = ".bifrost-view.json";
const DRAFT: &str = ".bifrost-view.draft";

/// What a view was made of.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Mark {
    version: u32,
    /// Owner of the view's catalogs.
    view_id: Uuid,
    lakes: Vec<PathBuf>,
}

/// What a view shows, and what it does not.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Version of this report's form.
    pub version: u32,
    /// The catalogs, by name.
    pub products: Vec<Merged>,
    /// What should be there and is not, in words.
    pub missing: Vec<String>,
}

/// A catalog of the view.
#[derive(Debug, Clone, Serialize)]
pub struct Merged {
    /// Its name.
    pub product: String,
    /// Lakes that have some of it.
    pub lakes: usize,
    /// Pixels that hold files.
    pub pixels: usize,
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub size_bytes: u64,
    /// Links that were made or changed.
    pub links_made: usize,
    /// Links that led to nothing any more.
    pub links_removed: usize,
    /// Rows of its index of TARGETIDs, where that is wanted and it has any.
    pub index_rows: Option<u64>,
    /// Rows of its margin cache, likewise.
    pub margin_rows: Option<u64>,
}

/// Why a view could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The folder is in use otherwise.
    #[error("{} holds other things: give the name of a folder that is empty or not there", .0.display())]
    InUse(PathBuf),
    /// The folder is a lake.
    #[error("{} is a lake: give the view a folder of its own", .0.display())]
    IsLake(PathBuf),
    /// The folder is part of a lake, which would take the view's links for files of its own.
    #[error("{} lies in the lake {}: give the view a folder outside", folder.display(), lake.display())]
    InLake {
        /// The folder.
        folder: PathBuf,
        /// The lake.
        lake: PathBuf,
    },
    /// The file system refused.
    #[error(transparent)]
    Hats(#[from] Error),
}

/// The lakes of an installation that can be reached from here, and in words those that cannot.
///
/// # Errors
/// Those of reaching the registry and of reading it.
pub async fn reachable(registry: &Registry) -> Result<(Vec<Lake>, Vec<String>), registry::Error> {
    let rows = registry.resolver(None).await?.places().await?;
    let (mut lakes, mut missing) = (Vec::new(), Vec::new());
    for row in rows.iter() {
        match place::folder(row).and_then(|folder| Lake::open(folder.as_ref()).ok()) {
            Some(lake) => lakes.push(lake),
            None => missing.push(format!("the lake {} cannot be reached from here", row.root)),
        }
    }
    lakes.sort_by(|a, b| a.root().cmp(b.root()));
    Ok((lakes, missing))
}

/// Makes a folder show the catalogs of lakes, or brings it up to date; beside each with what is wanted, or was
/// before. An index takes 24 bytes of memory for each object, twice while it is made.
///
/// # Errors
/// [`Refused`]; made again, it is completed.
pub fn make(
    folder: &Path,
    lakes: &[Lake],
    extras: Extras,
    progress: Progress<'_>,
) -> Result<Report, Refused> {
    let owner = claim(folder, lakes)?;
    let mut report = Report { version: 1, ..Report::default() };
    let mut products: BTreeMap<String, Vec<(&Lake, Catalog)>> = BTreeMap::new();
    for lake in lakes {
        for product in products_of(lake)? {
            match Catalog::read(&lake.root().join(&product), lake.identity().lake_id) {
                There::Ours(catalog) => products.entry(product).or_default().push((lake, *catalog)),
                There::Foreign | There::Nothing => {
                    let place = lake.root().join(&product);
                    let text = format!("{} is no catalog yet: sync its lake", place.display());
                    report.missing.push(text);
                }
            }
        }
    }
    let names: BTreeSet<String> = products.keys().cloned().collect();
    for (product, parts) in products {
        let root = folder.join(&product);
        let mut make = || -> io::Result<Merged> {
            let missing = &mut report.missing;
            let (merged, catalog) = merge(&root, &product, owner, &parts, missing)?;
            let name = collection::name_of(&product);
            if names.contains(&name) {
                if extras != Extras::default() {
                    missing.push(format!("{product} has no collection: {name} is a product"));
                }
                return Ok(merged);
            }
            let made = collection::make(folder, &product, &catalog, extras, progress, missing)?;
            let (index_rows, margin_rows) = (made.index_rows, made.margin_rows);
            Ok(Merged { index_rows, margin_rows, ..merged })
        };
        let made = make().map_err(Error::io("make the view", &root))?;
        report.products.push(made);
    }
    Ok(report)
}

/// Makes sure that the folder is a view, and gives the owner of its catalogs.
fn claim(folder: &Path, lakes: &[Lake]) -> Result<Uuid, Refused> {
    let claim = || -> io::Result<Result<Uuid, Refused>> {
        if folder.join(PRIVATE).exists() {
            return Ok(Err(Refused::IsLake(folder.to_owned())));
        }
        if let Some(lake) = Lake::around(folder) {
            return Ok(Err(Refused::InLake { folder: folder.to_owned(), lake }));
        }
        fs::create_dir_all(folder)?;
        let path = folder.join(MARK);
        let known =
            fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Mark>(&text).ok());
        if known.is_none() && fs::read_dir(folder)?.next().is_some() {
            return Ok(Err(Refused::InUse(folder.to_owned())));
        }
        let view_id = known.map_or_else(Uuid::new_v4, |mark| mark.view_id);
        let lakes = lakes.iter().map(|lake| lake.root().to_owned()).collect();
        let text = serde_json::to_string_pretty(&Mark { version: 1, view_id, lakes })? + "\n";
        write_if_changed(&path, &folder.join(DRAFT), text.as_bytes())?;
        Ok(Ok(view_id))
    };
    claim().map_err(Error::io("make the view", folder))?
}

/// Folders of a lake that hold a product.
fn products_of(lake: &Lake) -> Result<Vec<String>, Error> {
    let list = || -> io::Result<Vec<String>> {
        let mut products = Vec::new();
        for entry in fs::read_dir(lake.root())? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string()
                && !name.starts_with('.')
                && entry.path().join(DATASET).is_dir()
            {
                products.push(name);
            }
        }
        products.sort();
        Ok(products)
    };
    list().map_err(Error::io("list", lake.root()))
}

/// One product of all lakes.
fn merge(
    root: &Path,
    product: &str,
    owner: Uuid,
    parts: &[(&Lake, Catalog)],
    missing: &mut Vec<String>,
) -> io::Result<(Merged, Catalog)> {
    let dataset = root.join(DATASET);
    fs::create_dir_all(&dataset)?;
    let mut shown = Catalog::default();
    let mut sources: BTreeMap<Partition, Vec<(PathBuf, Content)>> = BTreeMap::new();
    for (lake, catalog) in parts {
        if let Some(schema) = &catalog.schema {
            shown.add_columns(&catalog.schemas.join("+"), schema);
        }
        for (partition, content) in &catalog.partitions.0 {
            let place =
                lake.root().join(product).join(DATASET).join(layout::partition_path(*partition));
            match place.is_dir() {
                true => sources.entry(*partition).or_default().push((place, *content)),
                false => missing.push(format!("{} is not there", place.display())),
            }
        }
    }
    let mut links = Links::default();
    for (partition, sources) in sources {
        let place = dataset.join(layout::partition_path(partition));
        let content = match &sources[..] {
            [(source, content)] => {
                links.put(&place, source)?;
                *content
            }
            _ => links.put_files(&place, &sources, missing)?,
        };
        shown.partitions.0.insert(partition, content);
    }
    links.sweep(&dataset, &shown)?;
    shown.write(root, product, owner, &root.join(DRAFT))?;
    let total = shown.partitions.total();
    let merged = Merged {
        product: product.to_owned(),
        lakes: parts.len(),
        pixels: shown.partitions.0.len(),
        rows: total.rows,
        size_bytes: total.size_bytes,
        links_made: links.made,
        links_removed: links.removed,
        index_rows: None,
        margin_rows: None,
    };
    Ok((merged, shown))
}

/// Counts what was done to links.
#[derive(Debug, Default)]
struct Links {
    made: usize,
    removed: usize,
}

impl Links {
    /// Makes a link lead to a target.
    fn put(&mut self, link: &Path, target: &Path) -> io::Result<()> {
        match fs::read_link(link) {
            Ok(there) if there == target => return Ok(()),
            Ok(_) => fs::remove_file(link)?,
            Err(_) if link.is_dir() => self.remove_links_in(link)?,
            Err(_) => fs::create_dir_all(link.parent().unwrap_or(link))?,
        }
        self.made += 1;
        symlink(target, link)
    }

    /// Makes a folder show the files of several, each tile once.
    fn put_files(
        &mut self,
        folder: &Path,
        sources: &[(PathBuf, Content)],
        missing: &mut Vec<String>,
    ) -> io::Result<Content> {
        if fs::read_link(folder).is_ok() {
            fs::remove_file(folder)?;
        }
        fs::create_dir_all(folder)?;
        let (schemas, mut content) = (Schemas::default(), Content::default());
        let mut tiles: BTreeSet<Tile> = BTreeSet::new();
        let mut names = BTreeSet::new();
        for path in sources
            .iter()
            .map(|(source, _)| parquet_files(source))
            .collect::<io::Result<Vec<_>>>()?
            .concat()
        {
            let size_bytes = fs::metadata(&path)?.len();
            let Some(rows) = rows_of(&path, size_bytes, &schemas) else { continue };
            let name = path.file_name().unwrap_or_default().to_owned();
            let tile = name.to_str().and_then(|name| name.parse::<FileName>().ok()).map(|n| n.tile);
            if tile.is_some_and(|tile| !tiles.insert(tile)) || !names.insert(name.clone()) {
                missing.push(format!(
                    "{} is left out: another lake has that tile too",
                    path.display()
                ));
                continue;
            }
            content += Content { rows, files: 1, size_bytes };
            self.put(&folder.join(name), &path)?;
        }
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_symlink() && !names.contains(&entry.file_name()) {
                fs::remove_file(entry.path())?;
                self.removed += 1;
            }
        }
        Ok(content)
    }

    /// Removes the links of pixels that are shown no longer.
    fn sweep(&mut self, dataset: &Path, shown: &Catalog) -> io::Result<()> {
        let walk = walkdir::WalkDir::new(dataset).min_depth(3).max_depth(3);
        for entry in walk {
            let entry = entry.map_err(io::Error::other)?;
            let relative = entry.path().strip_prefix(dataset).unwrap_or(entry.path());
            match layout::partition_of(relative) {
                Some(partition) if !shown.partitions.0.contains_key(&partition) => {}
                _ => continue,
            }
            if entry.path_is_symlink() {
                fs::remove_file(entry.path())?;
                self.removed += 1;
            } else {
                self.remove_links_in(entry.path())?;
            }
        }
        Ok(())
    }

    /// Removes a folder of links; one with anything else in it stays.
    fn remove_links_in(&mut self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_symlink() {
                fs::remove_file(entry.path())?;
                self.removed += 1;
            }
        }
        fs::remove_dir(folder)
    }
}
