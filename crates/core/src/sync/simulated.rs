//! Files that are not there, registered as if they were: for measuring the registry at any size.

use super::catalog::{Observed, Tally};
use super::inspect::{Found, Inspected, Inspector};
use super::register::Registrar;
use super::walk::Seen;
use super::{Changes, Commit, End, VERSION};
use crate::footer::{Ends, Kind, Packed, Schemas};
use crate::layout::Lake;
use crate::registry::{ClassRow, Error, FactsRow, Registry, Rows, Table};
use crate::tile::Tile;
use crate::withdraw::Version;
use rayon::prelude::*;
use std::fs;
use std::ops::Range;
use std::sync::Arc;

/// Files of one COPY.
const CHUNK_FILES: u64 = 4096;
/// Rows of a row group in `spectra`.
const GROUP_ROWS: usize = 512;

/// An object of a simulated file, of the columns that most questions are about.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "they are columns of spectra")]
pub struct Object {
    pub healpix_29: i64,
    pub target_id: i64,
    pub ra: f64,
    pub dec: f64,
    pub z: f64,
    pub zwarn: i64,
    pub deltachi2: f64,
    pub spectype: &'static str,
}

/// A file that could be there.
#[derive(Debug, Clone)]
pub struct Simulated {
    /// Relative to the lake.
    pub path: String,
    /// Its tile.
    pub tile: Tile,
    /// Its objects, by `healpix_29`.
    pub objects: Vec<Object>,
}

/// Registers simulated files in one commit, without their rows in the catalog. Columns and
/// provenance are those of the file at `example`, relative to the lake; bounds and counts are those
/// of the objects.
///
/// # Errors
/// [`io::Error`] where the example is no file that Bifrost wrote, [`Error`]; the registry is then as
/// it was before.
pub async fn fill(
    registry: &Registry,
    lake: &Lake,
    example: &str,
    numbers: Range<u64>,
    make: impl Fn(u64) -> Simulated + Sync,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let example = read(lake, example)?;
    let identity = lake.identity();
    let mut session = registry.lock_lake(identity.lake_id).await?;
    session.see_node(&identity.node, None).await?;
    let commit = session.begin_commit().await?;
    let products = ["spectra".to_owned()];
    let progress: super::Progress = Arc::new(|_| ());
    let root = lake.root().to_owned();
    let mut registrar =
        Registrar::new(&commit, identity.lake_id, &identity.node, root, Some(&products), &progress);
    let mut next_id = commit.reserve_file_ids((numbers.end - numbers.start) as i64).await?;
    for first in numbers.clone().step_by(CHUNK_FILES as usize) {
        let chunk = first..numbers.end.min(first + CHUNK_FILES);
        let files: Vec<Simulated> = chunk.into_par_iter().map(&make).collect();
        put_counts(&commit, next_id, &files).await?;
        let looked_at = files.par_iter().map(|file| file.look(&example)).collect();
        registrar.send(looked_at, &mut next_id).await?;
        registrar.registered.candidates.clear();
    }
    let tally = registrar.registered;
    let changes = Changes {
        files_added: (numbers.end - numbers.start) as i64,
        rows_added: tally.rows,
        bytes_added: tally.bytes,
        ..Changes::default()
    };
    let root = lake.root().to_string_lossy();
    let end = End {
        node: &identity.node,
        root: &root,
        program: &format!("bifrost {VERSION}"),
        action: "simulate",
        key: None,
        has_moved: false,
        changes,
        listing_digest: None,
        catalog_digest: None,
    };
    Ok(commit.finish(&end).await?)
}

fn read(lake: &Lake, path: &str) -> Result<Found, String> {
    let about = fs::metadata(lake.root().join(path)).map_err(|e| format!("{path}: {e}"))?;
    let Version { size_bytes, mtime_ns, inode } = Version::from(&about);
    let seen = Seen { path: path.to_owned(), size_bytes, mtime_ns, inode, problem: None };
    match Inspector::new(lake.root(), &Schemas::default()).inspect(&seen) {
        Inspected::Read(found) => Ok(*found),
        Inspected::Unreadable(reason) => Err(format!("{path} {reason}")),
        Inspected::Unsettled => Err(format!("{path} changed while it was read")),
    }
}

/// Cells, classes and facts of files that are numbered from `first`.
async fn put_counts(commit: &Commit<'_>, first: i64, files: &[Simulated]) -> Result<(), Error> {
    let counted: Vec<_> = files.par_iter().map(Simulated::count).collect();
    let (mut cells, mut classes, mut facts) = (Rows::default(), Rows::default(), Rows::default());
    for ((file_id, file), (counts, kinds)) in (first..).zip(files).zip(&counted) {
        facts.facts(file_id, counts);
        kinds.iter().for_each(|kind| classes.class(file_id, kind));
        cells.cells(file_id, Some(file.tile.release.as_str()), kinds, None);
    }
    commit.copy_cells(cells).await?;
    commit.copy(Table::Classes, classes).await?;
    commit.copy(Table::Facts, facts).await?;
    Ok(())
}

impl Simulated {
    fn count(&self) -> (FactsRow, Vec<ClassRow>) {
        let mut tally = Tally::default();
        for object in &self.objects {
            tally.add(&Observed {
                target_id: Some(object.target_id),
                has_position: true,
                z: Some(object.z),
                zwarn: Some(object.zwarn),
                spectype: Some(object.spectype),
                coadd_fiberstatus: Some(0),
                desi_target: None,
            });
        }
        tally.finish()
    }

    /// What a look at the file would find.
    fn look(&self, example: &Found) -> (Seen, Inspected) {
        let seen = Seen {
            path: self.path.clone(),
            size_bytes: 100 * self.objects.len() as i64,
            mtime_ns: 0,
            inode: 0,
            problem: None,
        };
        let mut found = example.clone();
        let footer = &mut found.footer;
        let groups = self.objects.chunks(GROUP_ROWS).map(|o| bounds(example, o));
        footer.groups = groups.filter(|_| self.objects.len() > GROUP_ROWS).collect();
        footer.num_row_groups = footer.groups.len().max(1);
        footer.bounds = bounds(example, &self.objects);
        found.tile = Some(self.tile.clone());
        found.sky = found.sky_of(&seen);
        (seen, Inspected::Read(Box::new(found)))
    }
}

type Column<T> = (&'static str, fn(&Object) -> T);

/// The example's bounds, those of the objects in the place of what they tell.
fn bounds(example: &Found, objects: &[Object]) -> Packed {
    let mut bounds = example.footer.bounds.clone();
    bounds.num_rows = objects.len() as i64;
    let ints: [Column<i64>; 3] =
        [("_healpix_29", |o| o.healpix_29), ("target_id", |o| o.target_id), ("zwarn", |o| o.zwarn)];
    for (name, value) in ints {
        if let Some(slot) = example.slot(name, Kind::Int) {
            bounds.ints[slot] = ends(objects.iter().map(value));
        }
    }
    let floats: [Column<f64>; 4] =
        [("ra", |o| o.ra), ("dec", |o| o.dec), ("z", |o| o.z), ("deltachi2", |o| o.deltachi2)];
    for (name, value) in floats {
        if let Some(slot) = example.slot(name, Kind::Float) {
            bounds.floats[slot] = ends(objects.iter().map(value));
        }
    }
    if let Some(slot) = example.slot("spectype", Kind::Text) {
        bounds.texts[slot] = ends(objects.iter().map(|o| o.spectype.to_owned()));
    }
    bounds
}

fn ends<T: PartialOrd + Clone>(values: impl Iterator<Item = T>) -> Ends<T> {
    let mut ends = Ends { min: None, max: None, is_exact: true };
    for value in values {
        if ends.min.as_ref().is_none_or(|min| value < *min) {
            ends.min = Some(value.clone());
        }
        if ends.max.as_ref().is_none_or(|max| value > *max) {
            ends.max = Some(value);
        }
    }
    ends
}
