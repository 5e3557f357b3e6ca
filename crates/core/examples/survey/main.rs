//! A realistic survey of any size, for benchmarks: as files, or as rows of a registry alone.
//!
//! ```text
//! survey write LAKE TILES OBJECTS        Parquet files of 26 scalar columns
//! survey fill LAKE FIRST TILES OBJECTS URL     rows about files that are not there
//! ```
//!
//! OBJECTS is the mean number of a tile (DR1: 1,530). `fill` needs a file that `write` made, for the
//! columns that all have; it leaves out the FIRST tiles, which are there, and rows of the catalog.

mod model;

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray,
};
use bifrost_core::layout::Lake;
use bifrost_core::metadata;
use bifrost_core::order;
use bifrost_core::registry::Registry;
use bifrost_core::sync::simulated::{self, Object, Simulated};
use bifrost_core::tile::Tile;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use rayon::prelude::*;
use std::error::Error;
use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["write", lake, tiles, objects] => {
            let (lake, tiles, objects) = (Path::new(lake), tiles.parse()?, objects.parse()?);
            (0..tiles).into_par_iter().try_for_each(|number: u64| write(lake, number, objects))
        }
        ["fill", lake, first, tiles, objects, url] => {
            fill(Path::new(lake), first.parse()?..tiles.parse()?, objects.parse()?, url)
        }
        _ => {
            Err("usage: survey write LAKE TILES OBJECTS | survey fill LAKE FIRST TILES OBJECTS URL"
                .into())
        }
    }
}

fn path(tile: &Tile, rows: usize) -> PathBuf {
    let pixel = tile.pixel.get();
    format!(
        "spectra/dataset/Norder=6/Dir={}/Npix={pixel}/{}-{}-{}-{pixel}_{rows}.parquet",
        pixel / 10_000 * 10_000,
        tile.release,
        tile.survey,
        tile.program
    )
    .into()
}

fn write(lake: &Path, number: u64, mean: f64) -> Result<()> {
    let (tile, objects) = (model::tile(number), model::objects(number, mean));
    let path = lake.join(path(&tile, objects.len()));
    fs::create_dir_all(path.parent().ok_or("no folder")?)?;
    let value = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
    let target_ids: Vec<i64> = objects.iter().map(|object| object.target_id).collect();
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_max_row_group_row_count(Some(512))
        .set_key_value_metadata(Some(vec![
            value(metadata::PRODUCT, "spectra".to_owned()),
            value(metadata::TILE, serde_json::to_string(&tile)?),
            value(metadata::ORDER, order::hash_of(&tile, &target_ids)),
        ]))
        .build();
    let batch = columns(&tile, &objects)?;
    let mut writer = ArrowWriter::try_new(File::create(path)?, batch.schema(), Some(properties))?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}

/// Names and types of fused spectra without their arrays.
fn columns(tile: &Tile, objects: &[Object]) -> Result<RecordBatch> {
    let rows = objects.len();
    let all = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text; rows])) };
    let int = |of: fn(&Object) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(objects.iter().map(of)))
    };
    let float = |of: fn(&Object) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(objects.iter().map(of)))
    };
    let text = |of: fn(&Object) -> &'static str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(objects.iter().map(of)))
    };
    let narrow = |of: fn(&Object) -> f64| -> ArrayRef {
        Arc::new(Float32Array::from_iter_values(objects.iter().map(|o| of(o) as f32)))
    };
    Ok(RecordBatch::try_from_iter([
        ("_healpix_29", int(|o| o.healpix_29)),
        ("target_id", int(|o| o.target_id)),
        ("release", all(tile.release.as_str())),
        ("survey", all(tile.survey.as_str())),
        ("program", all(tile.program.as_str())),
        ("healpix", Arc::new(Int32Array::from(vec![tile.pixel.get() as i32; rows]))),
        ("coadd_row", Arc::new(Int32Array::from_iter_values(0..rows as i32))),
        ("has_position", Arc::new(BooleanArray::from(vec![true; rows]))),
        ("z", float(|o| o.z)),
        ("zerr", float(|o| 1e-5 * (1.0 + o.z.abs()))),
        ("zwarn", int(|o| o.zwarn)),
        ("chi2", float(|o| 6000.0 + o.deltachi2 % 3000.0)),
        ("deltachi2", float(|o| o.deltachi2)),
        ("spectype", text(|o| o.spectype)),
        ("subtype", text(|o| if o.spectype == "STAR" { "M" } else { "" })),
        ("ra", float(|o| o.ra)),
        ("dec", float(|o| o.dec)),
        ("objtype", all("TGT")),
        ("coadd_fiberstatus", Arc::new(Int32Array::from(vec![0; rows]))),
        (
            "desi_target",
            int(|o| match o.spectype {
                "GALAXY" => 2,
                "QSO" => 4,
                _ => 1 << 61,
            }),
        ),
        ("bgs_target", int(|_| 0)),
        ("mws_target", int(|_| 0)),
        ("scnd_target", int(|_| 0)),
        ("ebv", narrow(|o| 0.05 + 0.01 * o.dec.to_radians().sin())),
        ("flux_r", narrow(|o| 1.0 + o.deltachi2.sqrt())),
        ("tsnr2_lrg", narrow(|o| 50.0 + o.ra.rem_euclid(100.0))),
    ])?)
}

#[tokio::main]
async fn fill(lake: &Path, tiles: Range<u64>, mean: f64, url: &str) -> Result<()> {
    let root = lake.canonicalize()?;
    let folder = path(&model::tile(0), 0).parent().map(Path::to_owned).ok_or("no folder")?;
    let written = fs::read_dir(root.join(&folder))?.next().ok_or("tile 0 is not written")??;
    let model_file = folder.join(written.file_name());
    let model_file = model_file.to_str().ok_or("not text")?;
    let registry = Registry::connect(url).await?;
    let lake = Lake::open(&root)?;
    let make = move |number: u64| {
        let (tile, objects) = (model::tile(number), model::objects(number, mean));
        let path = path(&tile, objects.len()).to_string_lossy().into_owned();
        Simulated { path, tile, objects }
    };
    simulated::fill(&registry, &lake, model_file, tiles, make).await
}
