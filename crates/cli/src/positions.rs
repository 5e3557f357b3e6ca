//! People's own lists of positions: CSV, Parquet, FITS.

use crate::exit::{Usage, usage};
use anyhow::Context as _;
use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, RecordBatchReader,
};
use arrow::compute::{cast, concat_batches};
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Float64Type, Int64Type, SchemaRef};
use bifrost_core::predicate::column;
use bifrost_stages::fits::{Fits, Header, Value};
use bifrost_stages::survey::Randoms;
use bifrost_stages::survey::completeness::Known;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;

/// What right ascension and declination are called, likeliest first.
const RA: [&str; 6] = ["ra", "target_ra", "ra_deg", "raj2000", "_ra", "alpha"];
const DEC: [&str; 6] = ["dec", "target_dec", "dec_deg", "dej2000", "_de", "delta"];

/// Units of angles that are not degrees, as people write them in FITS.
const OTHER_ANGLES: [&str; 10] =
    ["rad", "radian", "radians", "h", "hr", "hour", "hours", "hourangle", "arcmin", "arcsec"];

/// What some programs begin a text with.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// A column of weights that are one by the completeness, as DESI's clustering catalogues have.
const INVERSE: &str = "weight_comp";

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

/// Which of a file's columns are wanted, by their places.
type Chosen<'a> = &'a dyn Fn(&[&str]) -> anyhow::Result<Vec<usize>>;

/// The positions of a file's rows, degrees; NaN where a row has none.
pub fn read(path: &Path, names: &Names) -> anyhow::Result<Vec<(f64, f64)>> {
    let columns = numbers(path, &|known| {
        Ok(names.find(path, known, "name it with --ra-column or --dec-column")?.to_vec())
    })?;
    let [ra, dec] = <[Vec<f64>; 2]>::try_from(columns).unwrap_or_default();
    Ok(ra.into_iter().zip(dec).collect())
}

/// Adds a catalogue of random points, such as those that a survey publishes: right ascension, declination,
/// and redshift where it has one.
pub fn read_randoms(path: &Path, randoms: &mut Randoms) -> anyhow::Result<()> {
    let choose = |known: &[&str]| {
        let mut chosen = Names::default().find(path, known, "a catalogue has both")?.to_vec();
        chosen.extend(column::find(known.iter().copied(), "z"));
        Ok(chosen)
    };
    let mut columns = numbers(path, &choose)?.into_iter();
    let (ra, dec) = (columns.next().unwrap_or_default(), columns.next().unwrap_or_default());
    randoms
        .add(ra, dec, columns.next())
        .map_err(|wrong| usage(format!("{}: {wrong}", path.display())))?;
    Ok(())
}

/// What a file tells of the completeness around objects or places.
pub fn read_completeness(path: &Path, named: Option<&str>) -> anyhow::Result<Known> {
    let find = |known: &[&str], name: &str| column::find(known.iter().copied(), name);
    let choose = |known: &[&str]| {
        let usual = ["completeness", "fracz_tilelocid", "comp_tile", INVERSE];
        let mut wanted = named.into_iter().chain(usual.into_iter().filter(|_| named.is_none()));
        let value = wanted.find_map(|name| find(known, name)).ok_or_else(|| {
            Usage(format!(
                "{} has no column '{}', but {}: name it with --completeness-column",
                path.display(),
                named.unwrap_or("completeness"),
                listed(known)
            ))
        })?;
        Ok(match find(known, "target_id") {
            Some(id) => vec![value, id],
            None => {
                let usual = Names::default();
                let [ra, dec] = usual.find(path, known, "or else target_id tells of what it is")?;
                vec![value, ra, dec]
            }
        })
    };
    let columns = columns(path, &choose)?;
    let name = columns.first().map(|(name, _)| name.to_lowercase()).unwrap_or_default();
    let mut reals = columns.iter().map(|(name, column)| reals(path, name, column));
    let mut values = reals.next().transpose()?.unwrap_or_default();
    if name == INVERSE {
        values.iter_mut().for_each(|weight| *weight = weight.recip());
    }
    let known = match &columns[..] {
        [_, (id, ids)] => {
            let has_all = ids.data_type().is_integer() && ids.null_count() == 0;
            let ids = Some(ids).filter(|_| has_all).ok_or_else(|| {
                Usage(format!("column '{id}' of {} holds no numbers of objects", path.display()))
            })?;
            let ids = cast(ids, &DataType::Int64)?.as_primitive::<Int64Type>().values().to_vec();
            Known::of_objects(&name, ids, values)
        }
        _ => {
            let (ra, dec) = (reals.next().transpose()?, reals.next().transpose()?);
            Known::of_places(&name, &ra.unwrap_or_default(), &dec.unwrap_or_default(), values)
        }
    };
    Ok(known.map_err(|wrong| usage(format!("{}: {wrong}", path.display())))?)
}

/// Whether this is a table with a column of TARGETIDs, rather than one of them a line.
pub fn has_target_ids(text: &[u8]) -> bool {
    let head = text.strip_prefix(BOM).unwrap_or(text).trim_ascii_start();
    let head = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let names = str::from_utf8(head).into_iter().flat_map(|head| head.split(','));
    let is_named =
        || column::find(names.map(|name| name.trim().trim_matches('"')), "target_id").is_some();
    text.starts_with(b"SIMPLE") || text.starts_with(b"PAR1") || is_named()
}

/// The TARGETIDs in a table's column of that name; rows without are passed over.
pub fn read_target_ids(path: &Path) -> anyhow::Result<Vec<i64>> {
    let choose = |known: &[&str]| {
        let found = column::find(known.iter().copied(), "target_id");
        let none = || {
            Usage(format!("{} has no column 'target_id', but {}", path.display(), listed(known)))
        };
        Ok(vec![found.ok_or_else(none)?])
    };
    let columns = columns(path, &choose)?;
    let Some((name, ids)) = columns.first() else { return Ok(Vec::new()) };
    if !ids.data_type().is_integer() && ids.logical_null_count() < ids.len() {
        let text = format!("column '{name}' of {} holds no integers", path.display());
        return Err(Usage(text).into());
    }
    Ok(cast(ids, &DataType::Int64)?.as_primitive::<Int64Type>().iter().flatten().collect())
}

/// Columns of a file, with their names.
fn columns(path: &Path, chosen: Chosen) -> anyhow::Result<Vec<(String, ArrayRef)>> {
    let mut file =
        File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
    let mut magic = Vec::new();
    let read = (&mut file).take(6).read_to_end(&mut magic);
    read.with_context(|| format!("failed to read {}", path.display()))?;
    file.rewind()?;
    match magic.as_slice() {
        b"SIMPLE" => of_fits(path, chosen),
        [b'P', b'A', b'R', b'1', ..] => of_parquet(file, path, chosen),
        _ => of_csv(file, path, chosen),
    }
}

/// Names of columns, in words.
fn listed(known: &[&str]) -> String {
    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
}

fn numbers(path: &Path, chosen: Chosen) -> anyhow::Result<Vec<Vec<f64>>> {
    columns(path, chosen)?.iter().map(|(name, column)| reals(path, name, column)).collect()
}

/// A column as numbers, NaN where it has none.
fn reals(path: &Path, name: &str, column: &ArrayRef) -> anyhow::Result<Vec<f64>> {
    if column.logical_null_count() == column.len() {
        return Ok(vec![f64::NAN; column.len()]);
    }
    if !column.data_type().is_numeric() {
        return Err(Usage(format!("column '{name}' of {} holds no numbers", path.display())).into());
    }
    let column = cast(column, &DataType::Float64)?;
    let numbers = column.as_primitive::<Float64Type>().iter();
    Ok(numbers.map(|value| value.unwrap_or(f64::NAN)).collect())
}

impl Names {
    /// Positions in a file's columns of right ascension and declination.
    fn find(&self, path: &Path, known: &[&str], advice: &str) -> anyhow::Result<[usize; 2]> {
        let find = |named: &Option<String>, usual: &[&str], what: &str| {
            let mut wanted = named.iter().map(String::as_str).chain(match named {
                Some(_) => [].iter().copied(),
                None => usual.iter().copied(),
            });
            wanted.find_map(|name| column::find(known.iter().copied(), name)).ok_or_else(|| {
                let asked = named.as_deref().unwrap_or(what);
                if known.is_empty() {
                    return Usage(format!("{} is empty", path.display()));
                }
                let (path, has) = (path.display(), listed(known));
                Usage(format!("{path} has no column '{asked}', but {has}: {advice}"))
            })
        };
        Ok([find(&self.ra_column, &RA, "ra")?, find(&self.dec_column, &DEC, "dec")?])
    }
}

fn of_fits(path: &Path, chosen: Chosen) -> anyhow::Result<Vec<(String, ArrayRef)>> {
    let failed = || format!("failed to read {}", path.display());
    let fits = Fits::open(path).with_context(failed)?;
    let table = fits.first_table().with_context(failed)?;
    let table = table.ok_or_else(|| Usage(format!("{} has no table", path.display())))?;
    let known = table.names();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let names: Vec<&str> =
        chosen(&known)?.iter().filter_map(|at| known.get(*at).copied()).collect();
    if let Some(header) = fits.first_table_header() {
        names.iter().try_for_each(|name| in_degrees(path, header, name))?;
    }
    let columns = table.read(&names).with_context(failed)?;
    let column = |name: &&str| -> anyhow::Result<(String, ArrayRef)> {
        // numbers of objects are more than f64 can tell apart
        let column: ArrayRef = match columns.integers(name) {
            Ok(whole) => Arc::new(Int64Array::from(whole)),
            Err(_) => Arc::new(Float64Array::from(columns.reals(name)?)),
        };
        Ok(((*name).to_owned(), column))
    };
    names.iter().map(column).collect()
}

/// Refuses a column that its table says to be in another unit of angles.
fn in_degrees(path: &Path, header: &Header, name: &str) -> Result<(), Usage> {
    let is_it = |title: &Value| matches!(title, Value::Text(text) if text.trim().eq_ignore_ascii_case(name));
    let mut titles = header.cards().filter(|(_, title)| is_it(title));
    let number = titles.find_map(|(keyword, _)| keyword.strip_prefix("TTYPE"));
    let unit = number.and_then(|number| header.text(&format!("TUNIT{number}"))).map(str::trim);
    match unit {
        Some(unit) if OTHER_ANGLES.contains(&unit.to_lowercase().as_str()) => {
            let path = path.display();
            Err(Usage(format!("column '{name}' of {path} is in {unit}: write it in degrees")))
        }
        _ => Ok(()),
    }
}

fn of_parquet(file: File, path: &Path, chosen: Chosen) -> anyhow::Result<Vec<(String, ArrayRef)>> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .with_context(|| format!("failed to read {}", path.display()))?;
    let schema = builder.schema().clone();
    let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let chosen = chosen(&known)?;
    let mask = parquet::arrow::ProjectionMask::roots(builder.parquet_schema(), chosen.clone());
    let reader = builder.with_projection(mask).build()?;
    let names = chosen.iter().filter_map(|at| known.get(*at).copied());
    whole(&reader.schema(), reader.collect::<Result<Vec<_>, _>>()?, names)
}

fn of_csv(mut file: File, path: &Path, chosen: Chosen) -> anyhow::Result<Vec<(String, ArrayRef)>> {
    let failed = || format!("failed to read {} as CSV with a head line", path.display());
    let format = Format::default().with_header(true);
    let mut magic = Vec::new();
    (&mut file).take(3).read_to_end(&mut magic).with_context(failed)?;
    let start = if magic == BOM { 3 } else { 0 };
    file.seek(SeekFrom::Start(start))?;
    // whole numbers, or none, may go on for long before one has a fraction
    let (schema, _) = format.infer_schema(&mut file, None).with_context(failed)?;
    file.seek(SeekFrom::Start(start))?;
    let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let chosen = chosen(&known)?;
    let of = Arc::new(schema.clone());
    let reader = ReaderBuilder::new(of).with_format(format).with_projection(chosen.clone());
    let reader = reader.build(file)?;
    let schema = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>().with_context(failed)?;
    whole(&schema, batches, chosen.iter().filter_map(|at| known.get(*at).copied()))
}

/// Columns of all batches together, in the order of their names.
fn whole<'a>(
    schema: &SchemaRef,
    batches: Vec<RecordBatch>,
    names: impl Iterator<Item = &'a str>,
) -> anyhow::Result<Vec<(String, ArrayRef)>> {
    let all = concat_batches(schema, &batches)?;
    drop(batches);
    let column = |name: &'a str| Some((name.to_owned(), all.column_by_name(name)?.clone()));
    Ok(names.filter_map(column).collect())
}
