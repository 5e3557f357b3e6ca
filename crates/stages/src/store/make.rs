//! One pixel: the draft of its store, unless what is published is what would be made again.

use super::encode::{Compression, Layout};
use super::file::{About, Store, Tiled, count, say};
use super::{READS, made_by};
use crate::derive::Fault;
use crate::derive::input::Input;
use arrow::array::{Array, ArrowPrimitiveType, AsArray, ListArray, RecordBatch};
use arrow::datatypes::{Float32Type, Float64Type, Int32Type, Int64Type};
use bifrost_core::layout::SPECTRA;
use bifrost_core::metadata::{DESCRIPTION, UCD, UNIT};
use bifrost_core::order::Order;
use bifrost_core::store::{ARRAYS, Group, Index};
use bifrost_core::tile::{Name, Pixel, Tile};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

/// A tile and its open input.
pub(super) type Opened = (Tile, Input);

/// Opens a tile's file of `spectra`.
pub(super) fn open(tile: &Tile, path: &Path) -> Result<Input, Fault> {
    Input::open(&crate::stage::name(SPECTRA), tile, path)
}

/// Whether the store at `live` holds these tiles as they are, and no other, stored so. One that
/// cannot be read does not.
pub(super) fn is_current(live: &Path, inputs: &[Opened], layout: Layout) -> bool {
    let index = || {
        let file = File::open(live).ok()?;
        Some(Index::read(&file, file.metadata().ok()?.len()).ok()?.0)
    };
    let Some(index) = index() else { return false };
    let holds = |(tile, input): &Opened| {
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

fn configuration(layout: Layout) -> String {
    // a struct of names becomes JSON
    serde_json::to_string(&layout).unwrap_or_default()
}

/// Writes the store of a pixel to `path`. A tile that cannot be read ends it: the caller leaves it
/// out, and begins again.
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
    for (tile, input) in inputs {
        let group = tile_into(&store, tile, input, layout);
        groups.push(group.map_err(|fault| (Some(tile.clone()), fault))?);
    }
    let mut named: BTreeMap<_, Vec<&Tile>> = BTreeMap::new();
    for (tile, _) in inputs {
        named.entry((&tile.survey, &tile.program)).or_default().push(tile);
    }
    // a release may be called as a survey is: then a second name would be another's first
    let is_taken = |name: &Name| inputs.iter().any(|(tile, _)| tile.release == *name);
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

/// Streams a tile's file into a group.
fn tile_into(store: &Store, tile: &Tile, input: &Input, layout: Layout) -> Result<Group, Fault> {
    let ours = |error: hdf5::Error| refused(&error);
    let reader = input.rows(&READS)?;
    let schema = arrow::array::RecordBatchReader::schema(&reader);
    let about = |name: &str| -> About {
        let field = schema.field_with_name(name).ok();
        let text = |key| Some((key, field?.metadata().get(key)?));
        let texts = [UNIT, UCD, DESCRIPTION].into_iter().filter_map(text);
        texts.map(|(key, text)| (key.to_owned(), text.clone())).collect()
    };
    let rows = usize::try_from(input.num_rows()).unwrap_or(0);
    let (mut ids, mut order) = (Vec::with_capacity(rows), Order::of(tile));
    let mut group: Option<(Tiled, Vec<f64>)> = None;
    for batch in reader {
        let batch = batch.map_err(Fault::reading)?;
        let arrays = Arrays::of(&batch)?;
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
    for (array, column) in ["flux", "ivar", "mask_array"].into_iter().enumerate() {
        group.describe(array, &about(column)).map_err(ours)?;
    }
    about_tile(&group, tile, input).map_err(ours)?;
    let wavelength = (&wavelength[..], &about("wavelength"));
    group.finish(tile, input.parent.clone(), wavelength, &ids).map_err(ours)
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
struct Arrays<'a> {
    ids: &'a [i64],
    offsets: &'a [i32],
    wavelength: &'a [f64],
    flux: &'a [f32],
    ivar: &'a [f32],
    mask: &'a [i32],
}

impl<'a> Arrays<'a> {
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
