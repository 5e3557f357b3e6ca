//! One pixel: the draft of its store, unless what is published is what would be made again.

use super::encode::{Compression, Layout};
use super::file::{About, Store, Tiled, count, say};
use super::stored::{Row, Stored, no_arrays};
use super::{READS, made_by};
use crate::derive::Fault;
use crate::derive::input::Input;
use crate::fuse::schema::SCHEMA;
use arrow::array::{Array, ArrowPrimitiveType, AsArray, ListArray, RecordBatch};
use arrow::datatypes::{Float32Type, Float64Type, Int32Type, Int64Type, Schema};
use bifrost_core::layout::SPECTRA;
use bifrost_core::metadata::{DESCRIPTION, UCD, UNIT};
use bifrost_core::order::{Order, hash_of};
use bifrost_core::store::{ARRAYS, Group, Index};
use bifrost_core::tile::{Name, Pixel, Tile};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A tile, its open file of `spectra`, and where its arrays are.
pub(super) struct Opened {
    pub(super) tile: Tile,
    pub(super) input: Input,
    pub(super) arrays: Arrays,
}

/// Where the arrays of a tile are.
pub(super) enum Arrays {
    /// In its file.
    Table,
    /// In a store, or a pile.
    Store(Arc<Stored>),
    /// Nowhere: the store that had them is gone, or is of another version of the file.
    Lost,
}

impl Opened {
    pub(super) fn num_rows(&self) -> u64 {
        self.input.num_rows().unsigned_abs()
    }
}

/// Opens a tile's file of `spectra`; where it has no arrays, they may be in the store that is there.
pub(super) fn open(
    tile: &Tile,
    path: &Path,
    stored: Option<&Arc<Stored>>,
) -> Result<Opened, Fault> {
    let input = Input::open(&crate::stage::name(SPECTRA), tile, path)?;
    let arrays = match stored.filter(|stored| stored.holds(tile, &input)) {
        _ if input.has(&READS).len() == READS.len() => Arrays::Table,
        Some(stored) => Arrays::Store(stored.clone()),
        None => Arrays::Lost,
    };
    Ok(Opened { tile: tile.clone(), input, arrays })
}

/// Whether the store at `live` holds these tiles as they are, and no other, stored so. One that
/// cannot be read does not.
pub(super) fn is_current(live: &Path, inputs: &[Opened], layout: Layout) -> bool {
    let index = || {
        let file = File::open(live).ok()?;
        Some(Index::read(&file, file.metadata().ok()?.len()).ok()?.0)
    };
    let Some(index) = index() else { return false };
    let holds = |Opened { tile, input, .. }: &Opened| {
        index.group(tile).is_some_and(|group| {
            let (then, now) = (&group.parent, &input.parent);
            (&then.content, &then.order) == (&now.content, &now.order)
                && (input.states_content
                    || (then.size_bytes, then.mtime_ns) == (now.size_bytes, now.mtime_ns))
        })
    };
    index.stage == made_by()
        && index.configuration == configuration(layout)
        && index.groups.len() == inputs.len()
        && inputs.iter().all(holds)
}

/// The store that is live, and why it cannot be read.
pub(super) fn beside(live: &[PathBuf]) -> (Option<Arc<Stored>>, Option<Fault>) {
    match live.first().map_or(Ok(None), |path| Stored::open(path)) {
        Ok(stored) => (stored.map(Arc::new), None),
        Err(fault) => (None, Some(fault)),
    }
}

/// Leaves out tiles whose arrays are nowhere, and says which. While they may be in a store that is
/// damaged, this stays where it is.
pub(super) fn without_lost(
    inputs: &mut Vec<Opened>,
    damage: Option<Fault>,
) -> Result<Vec<Fault>, Fault> {
    let is_lost = |opened: &Opened| matches!(opened.arrays, Arrays::Lost);
    match damage {
        Some(damage) if inputs.iter().any(is_lost) => Err(damage),
        _ => Ok(inputs
            .extract_if(.., |opened| is_lost(opened))
            .map(|lost| no_arrays(&lost.tile))
            .collect()),
    }
}

fn configuration(layout: Layout) -> String {
    // a struct of names becomes JSON
    serde_json::to_string(&layout).unwrap_or_default()
}

/// Writes the store of a pixel to `path`. A tile that cannot be read ends it: the caller leaves it
/// out, and begins again. Without a tile's name the store that is there must stay.
pub(super) fn write(
    path: &Path,
    pixel: Pixel,
    inputs: &[Opened],
    layout: Layout,
) -> Result<(), (Option<Tile>, Fault)> {
    let ours = |error: hdf5::Error| (None, refused(&error));
    let store = Store::create(path, layout).map_err(ours)?;
    about_file(&store, pixel).map_err(ours)?;
    let mut groups = Vec::new();
    for Opened { tile, input, arrays } in inputs {
        groups.push(match arrays {
            Arrays::Table => tile_into(&store, tile, input, layout)
                .map_err(|fault| (Some(tile.clone()), fault))?,
            // what is nowhere else is not left out
            Arrays::Store(stored) => {
                stored_into(&store, tile, input, stored, layout).map_err(|fault| (None, fault))?
            }
            Arrays::Lost => return Err((Some(tile.clone()), no_arrays(tile))),
        });
    }
    let mut named: BTreeMap<_, Vec<&Tile>> = BTreeMap::new();
    for Opened { tile, .. } in inputs {
        named.entry((&tile.survey, &tile.program)).or_default().push(tile);
    }
    // a release may be called as a survey is: then a second name would be another's first
    let is_taken = |name: &Name| inputs.iter().any(|opened| opened.tile.release == *name);
    for ((survey, _), tiles) in named {
        if let ([tile], false) = (&tiles[..], is_taken(survey)) {
            store.link(tile).map_err(ours)?;
        }
    }
    store.close().map_err(ours)?;
    let index = Index::new(made_by(), configuration(layout), layout.compression.filters(), groups);
    let append = || index.append(&mut File::options().read(true).write(true).open(path)?);
    append().map_err(|error: io::Error| (None, Fault::Disk(error.to_string())))
}

/// What libhdf5 says: it fails where the disk does.
fn refused(error: &hdf5::Error) -> Fault {
    Fault::Disk(format!("libhdf5 cannot write it: {error}"))
}

fn about_file(store: &Store, pixel: Pixel) -> hdf5::Result<()> {
    let made_by = made_by();
    let root = store.root();
    say(root, "product", bifrost_core::store::PRODUCT)?;
    say(root, "bifrost_version", bifrost_core::VERSION)?;
    say(root, "stage", &made_by.name)?;
    count(root, "stage_version", made_by.version.into())?;
    count(root, "healpix", pixel.get().into())?;
    count(root, "nside", 64)?;
    say(root, "ordering", "NESTED")?;
    let words = "One group a tile, RELEASE/SURVEY/PROGRAM. Row i of flux, ivar and mask is the spectrum \
                 of target_id[i], its arms b, r, z one after the other, at wavelength. \
                 target_id_sorted is for searching; row says where each of it is.";
    say(root, "description", words)
}

/// Takes a tile's chunks over from a store, as they are where they are to be stored so.
fn stored_into(
    store: &Store,
    tile: &Tile,
    input: &Input,
    stored: &Stored,
    layout: Layout,
) -> Result<Group, Fault> {
    let ours = |error: hdf5::Error| refused(&error);
    stored.verify()?;
    let from = stored.group(tile)?;
    let ids = stored.target_ids(from)?;
    let is_whole = from.rows == u32::try_from(input.num_rows()).unwrap_or(u32::MAX);
    if !is_whole || hash_of(tile, &ids) != input.parent.order {
        let reason = "its input's rows are not those of its arrays";
        return Err(Fault::Corrupt(reason.to_owned()));
    }
    let group = store.tile(tile, ids.len(), from.pixels as usize).map_err(ours)?;
    let is_same = stored.index.filters == layout.compression.filters();
    let rows = if from.pixels == 0 { 0 } else { ids.len() };
    for row in 0..rows {
        let chunks = match is_same {
            true => {
                let skipped = from.chunks[row].map(|chunk| chunk.skipped);
                let mut skipped = skipped.into_iter();
                stored.chunks(from, row)?.map(|bytes| (bytes, skipped.next().unwrap_or(0)))
            }
            false => {
                let Row { flux, ivar, mask } = stored.row(from, row)?;
                [
                    layout.compression.chunk(&flux, f32::to_le_bytes),
                    layout.compression.chunk(&ivar, f32::to_le_bytes),
                    layout.compression.chunk(&mask, i32::to_le_bytes),
                ]
            }
        };
        for (array, (chunk, skipped)) in chunks.iter().enumerate() {
            group.put(array, row, chunk, *skipped).map_err(ours)?;
        }
    }
    let about = |name: &str| about(&SCHEMA, name);
    finish(group, tile, input, &about, (&stored.wavelength(from)?, &ids))
}

/// What a schema says of a column.
fn about(schema: &Schema, name: &str) -> About {
    let field = schema.field_with_name(name).ok();
    let text = |key| Some((key, field?.metadata().get(key)?));
    let texts = [UNIT, UCD, DESCRIPTION].into_iter().filter_map(text);
    texts.map(|(key, text)| (key.to_owned(), text.clone())).collect()
}

fn finish(
    group: Tiled,
    tile: &Tile,
    input: &Input,
    about: &dyn Fn(&str) -> About,
    (wavelength, ids): (&[f64], &[i64]),
) -> Result<Group, Fault> {
    let ours = |error: hdf5::Error| refused(&error);
    for (array, column) in ["flux", "ivar", "mask_array"].into_iter().enumerate() {
        group.describe(array, &about(column)).map_err(ours)?;
    }
    about_tile(&group, tile, input).map_err(ours)?;
    let wavelength = (wavelength, &about("wavelength"));
    group.finish(tile, input.parent.clone(), wavelength, ids).map_err(ours)
}

/// Streams a tile's file into a group.
fn tile_into(store: &Store, tile: &Tile, input: &Input, layout: Layout) -> Result<Group, Fault> {
    let ours = |error: hdf5::Error| refused(&error);
    let reader = input.rows(&READS)?;
    let schema = arrow::array::RecordBatchReader::schema(&reader);
    let rows = usize::try_from(input.num_rows()).unwrap_or(0);
    let (mut ids, mut order) = (Vec::with_capacity(rows), Order::of(tile));
    let mut group: Option<(Tiled, Vec<f64>)> = None;
    for batch in reader {
        let batch = batch.map_err(Fault::reading)?;
        let arrays = Columns::of(&batch)?;
        order.add(arrays.ids);
        if ids.len() + batch.num_rows() > rows {
            return Err(Fault::Corrupt("its input has more rows than it states".to_owned()));
        }
        let (group, wavelength) = match &mut group {
            Some(group) => group,
            None => {
                let wavelength = arrays.wavelength(0).to_vec();
                let tiled = store.tile(tile, rows, wavelength.len()).map_err(ours)?;
                group.insert((tiled, wavelength))
            }
        };
        arrays.write(group, wavelength, ids.len(), layout.compression)?;
        ids.extend_from_slice(arrays.ids);
    }
    if ids.len() != rows || order.hash() != input.parent.order {
        let reason = "its input's rows are not in the number or the order that its footer states";
        return Err(Fault::Corrupt(reason.to_owned()));
    }
    let (group, wavelength) = match group {
        Some(group) => group,
        None => (store.tile(tile, 0, 0).map_err(ours)?, Vec::new()),
    };
    finish(group, tile, input, &|name| about(&schema, name), (&wavelength, &ids))
}

fn about_tile(group: &Tiled, tile: &Tile, input: &Input) -> hdf5::Result<()> {
    let (of, parent) = (group.group(), &input.parent);
    say(of, "release", tile.release.as_str())?;
    say(of, "survey", tile.survey.as_str())?;
    say(of, "program", tile.program.as_str())?;
    count(of, "healpix", tile.pixel.get().into())?;
    say(of, "input", &parent.name)?;
    say(of, "input_content", &parent.content)?;
    say(of, "order_hash", &parent.order)
}

/// The columns of some rows.
struct Columns<'a> {
    ids: &'a [i64],
    offsets: &'a [i32],
    wavelength: &'a [f64],
    flux: &'a [f32],
    ivar: &'a [f32],
    mask: &'a [i32],
}

impl<'a> Columns<'a> {
    fn of(rows: &'a RecordBatch) -> Result<Self, Fault> {
        let wrong =
            |name: &str| Fault::Corrupt(format!("its input's {name} is not as it should be"));
        let [id, wavelength, flux, ivar, mask] = READS;
        let ids = rows.column_by_name(id).and_then(|ids| ids.as_primitive_opt::<Int64Type>());
        let ids = ids.filter(|ids| ids.null_count() == 0).ok_or_else(|| wrong(id))?;
        let list = |name: &str| {
            let list = rows.column_by_name(name).and_then(|list| list.as_list_opt::<i32>());
            list.filter(|list| list.null_count() == 0).ok_or_else(|| wrong(name))
        };
        let lists = [list(wavelength)?, list(flux)?, list(ivar)?, list(mask)?];
        let offsets = lists[0].value_offsets();
        if lists.iter().any(|other| other.value_offsets() != offsets) {
            return Err(Fault::Corrupt("its input's arrays differ in length".to_owned()));
        }
        Ok(Self {
            ids: ids.values(),
            offsets,
            wavelength: values::<Float64Type>(lists[0]).ok_or_else(|| wrong(wavelength))?,
            flux: values::<Float32Type>(lists[1]).ok_or_else(|| wrong(flux))?,
            ivar: values::<Float32Type>(lists[2]).ok_or_else(|| wrong(ivar))?,
            mask: values::<Int32Type>(lists[3]).ok_or_else(|| wrong(mask))?,
        })
    }

    fn range(&self, row: usize) -> std::ops::Range<usize> {
        match self.offsets.get(row..row + 2) {
            Some([first, end]) => *first as usize..*end as usize,
            _ => 0..0,
        }
    }

    fn wavelength(&self, row: usize) -> &[f64] {
        &self.wavelength[self.range(row)]
    }

    /// Writes the rows from a row of the group on.
    fn write(
        &self,
        group: &Tiled,
        wavelength: &[f64],
        from: usize,
        compression: Compression,
    ) -> Result<(), Fault> {
        if (0..self.ids.len()).any(|row| self.wavelength(row) != wavelength) {
            let reason = "its input's rows differ in wavelength: a store has one for all of a tile";
            return Err(Fault::Mismatch(reason.to_owned()));
        }
        if wavelength.is_empty() {
            return Ok(());
        }
        let encode = |row: usize| {
            let part = self.range(row);
            [
                compression.chunk(&self.flux[part.clone()], f32::to_le_bytes),
                compression.chunk(&self.ivar[part.clone()], f32::to_le_bytes),
                compression.chunk(&self.mask[part], i32::to_le_bytes),
            ]
        };
        let encoded: Vec<[(Vec<u8>, u32); ARRAYS.len()]> =
            (0..self.ids.len()).into_par_iter().map(encode).collect();
        // a row's chunks one after the other, so that one read gives all of them
        for (row, chunks) in (from..).zip(encoded) {
            for (array, (chunk, skipped)) in chunks.iter().enumerate() {
                group.put(array, row, chunk, *skipped).map_err(|error| refused(&error))?;
            }
        }
        Ok(())
    }
}

fn values<T: ArrowPrimitiveType>(list: &ListArray) -> Option<&[T::Native]> {
    let values = list.values().as_primitive_opt::<T>().filter(|v| v.null_count() == 0)?;
    Some(&values.values()[..])
}
