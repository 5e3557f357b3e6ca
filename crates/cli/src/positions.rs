//! People's own lists of positions: CSV, Parquet, FITS.

use crate::exit::Usage;
use anyhow::Context as _;
use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Float64Type};
use bifrost_core::predicate::column;
use bifrost_stages::fits::Fits;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::Path;
use std::sync::Arc;

/// Rows that are looked at to tell the types of a CSV file's columns.
const ROWS_LOOKED_AT: usize = 1000;
/// What right ascension and declination are called, likeliest first.
const RA: [&str; 6] = ["ra", "target_ra", "ra_deg", "raj2000", "_ra", "alpha"];
const DEC: [&str; 6] = ["dec", "target_dec", "dec_deg", "dej2000", "_de", "delta"];

/// Names of the columns of right ascension and declination, where they are not the usual ones.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Names {
    /// Column of right ascension, degrees [default: ra, target_ra, ra_deg, raj2000, …]
    #[arg(long, value_name = "NAME")]
    ra_column: Option<String>,
    /// Column of declination, degrees [default: dec, target_dec, dec_deg, dej2000, …]
    #[arg(long, value_name = "NAME")]
    dec_column: Option<String>,
}

/// The positions of a file's rows, degrees; NaN where a row has none.
pub fn read(path: &Path, names: &Names) -> anyhow::Result<Vec<(f64, f64)>> {
    let mut file =
        File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
    let mut magic = Vec::new();
    (&mut file).take(6).read_to_end(&mut magic)?;
    file.rewind()?;
    let columns = match magic.as_slice() {
        b"SIMPLE" => of_fits(path, names)?,
        [b'P', b'A', b'R', b'1', ..] => of_parquet(file, path, names)?,
        _ => of_csv(file, path, names)?,
    };
    let [ra, dec] = columns;
    Ok(ra.into_iter().zip(dec).collect())
}

impl Names {
    /// Positions in a file's columns of right ascension and declination.
    fn find(&self, path: &Path, known: &[&str]) -> anyhow::Result<[usize; 2]> {
        let find = |named: &Option<String>, usual: &[&str], what: &str| {
            let mut wanted = named.iter().map(String::as_str).chain(match named {
                Some(_) => [].iter().copied(),
                None => usual.iter().copied(),
            });
            wanted.find_map(|name| column::find(known.iter().copied(), name)).ok_or_else(|| {
                let asked = named.as_deref().unwrap_or(what);
                Usage(format!(
                    "{} has no column '{asked}', but {}: name it with --{}-column",
                    path.display(),
                    known.join(", "),
                    &what[..what.len().min(3)]
                ))
            })
        };
        Ok([find(&self.ra_column, &RA, "ra")?, find(&self.dec_column, &DEC, "dec")?])
    }
}

fn of_fits(path: &Path, names: &Names) -> anyhow::Result<[Vec<f64>; 2]> {
    let table = Fits::open(path)?.first_table()?;
    let table = table.ok_or_else(|| Usage(format!("{} has no table", path.display())))?;
    let known = table.names();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let [ra, dec] = names.find(path, &known)?.map(|at| known[at]);
    let columns = table.read(&[ra, dec])?;
    Ok([columns.reals(ra)?, columns.reals(dec)?])
}

fn of_parquet(file: File, path: &Path, names: &Names) -> anyhow::Result<[Vec<f64>; 2]> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .with_context(|| format!("failed to read {}", path.display()))?;
    let schema = builder.schema().clone();
    let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let chosen = names.find(path, &known)?;
    let mask = parquet::arrow::ProjectionMask::roots(builder.parquet_schema(), chosen);
    let batches = builder.with_projection(mask).build()?.collect::<Result<Vec<_>, _>>()?;
    degrees(path, &batches, chosen.map(|at| known[at]))
}

fn of_csv(mut file: File, path: &Path, names: &Names) -> anyhow::Result<[Vec<f64>; 2]> {
    let failed = || format!("failed to read {} as CSV with a head line", path.display());
    let format = Format::default().with_header(true);
    let (schema, _) = format.infer_schema(&mut file, Some(ROWS_LOOKED_AT)).with_context(failed)?;
    file.rewind()?;
    let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let chosen = names.find(path, &known)?;
    let of = Arc::new(schema.clone());
    let reader = ReaderBuilder::new(of).with_format(format).with_projection(chosen.to_vec());
    let batches = reader.build(file)?.collect::<Result<Vec<_>, _>>().with_context(failed)?;
    degrees(path, &batches, chosen.map(|at| known[at]))
}

fn degrees(
    path: &Path,
    batches: &[RecordBatch],
    names: [&str; 2],
) -> anyhow::Result<[Vec<f64>; 2]> {
    let mut all = [Vec::new(), Vec::new()];
    for batch in batches {
        for (values, name) in all.iter_mut().zip(names) {
            let column: Option<&ArrayRef> = batch.column_by_name(name);
            let column = column.filter(|column| column.data_type().is_numeric());
            let column = column.ok_or_else(|| {
                Usage(format!("column '{name}' of {} holds no numbers", path.display()))
            })?;
            let column = cast(column, &DataType::Float64)?;
            let degrees = column.as_primitive::<Float64Type>().iter();
            values.extend(degrees.map(|value| value.unwrap_or(f64::NAN)));
        }
    }
    Ok(all)
}
