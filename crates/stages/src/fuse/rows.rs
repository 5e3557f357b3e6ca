//! The scalar columns of the kept rows, as one Arrow batch; and the order of rows in the file.

use super::findings::Findings;
use super::schema::{COLUMNS, Column, Kind, Made, Origin, SCHEMA};
use super::tables::{Keyed, Tables, survey_column};
use crate::fits::{Columns, Error};
use crate::rrdetails::Details;
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float32Array, Float64Array, Int16Array, Int32Array,
    Int64Array, ListArray, RecordBatch, StringArray, UInt32Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Float64Type, Int64Type, Schema, SchemaRef};
use bifrost_core::predicate::{self, Predicate, column, filter};
use bifrost_core::sky::{healpix_29, lies_in, pixel_of, range_of, turned};
use bifrost_core::tile::{Pixel, Tile};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// Columns of FIBERMAP that say where a row lies.
const RA: &str = "TARGET_RA";
const DEC: &str = "TARGET_DEC";

/// The schema of the columns that are known before the arrays are read.
pub static SCALARS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let scalar = COLUMNS.iter().zip(SCHEMA.fields()).filter(|(column, _)| !is_from_pixels(column));
    Arc::new(Schema::new(scalar.map(|(_, field)| field.clone()).collect::<Vec<_>>()))
});

/// The schema of the columns that rows may be selected by: all but the arrays.
pub static SELECTABLE: LazyLock<SchemaRef> = LazyLock::new(|| {
    let counts = COLUMNS
        .iter()
        .zip(SCHEMA.fields())
        .filter(|(column, _)| is_from_pixels(column) && !column.kind.is_pixels());
    let all = SCALARS.fields().iter().chain(counts.map(|(_, field)| field));
    Arc::new(Schema::new(all.cloned().collect::<Vec<_>>()))
});

/// Whether a column is known only once the arrays are read.
#[must_use]
pub fn is_from_pixels(column: &Column) -> bool {
    matches!(column.origin, Origin::Made(Made::GoodPix(_) | Made::Pixels | Made::Place))
}

/// Rows' scalars, and the coadd rows they came from.
#[derive(Debug)]
pub struct Scalars {
    /// Columns of [`SCALARS`].
    pub batch: RecordBatch,
    /// Rows of the coadd file.
    pub coadd_rows: Vec<u32>,
}

/// What stands between FITS tables and a batch.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A column is not what it should be.
    #[error(transparent)]
    Fits(#[from] Error),
    /// The condition does not fit the columns.
    #[error(transparent)]
    Predicate(#[from] predicate::Error),
    /// Arrow refused, which is a fault of this program.
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
}

/// Builds the scalars of the kept rows, in the coadd's order.
///
/// # Errors
/// [`Fault`].
pub fn build(
    tables: &Tables,
    details: &[Option<Details>],
    tile: &Tile,
    findings: &mut Findings,
) -> Result<Scalars, Fault> {
    let maker = Maker::new(tables, details, tile)?;
    maker.tell_of_positions(findings);
    let mut absent: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut arrays = Vec::new();
    for column in COLUMNS.iter().filter(|column| !is_from_pixels(column)) {
        arrays.push(maker.array(column, &mut absent)?);
    }
    for (table, names) in absent {
        findings.note(format!("{table} lacks {}: NULL", names.join(", ")));
    }
    let batch = RecordBatch::try_new(SCALARS.clone(), arrays)?;
    Ok(Scalars { batch, coadd_rows: tables.kept.clone() })
}

/// Whether a condition needs [`Made::GoodPix`] columns.
#[must_use]
pub fn asks_for_pixels(predicate: &Predicate) -> bool {
    let counts = SELECTABLE.fields().iter().skip(SCALARS.fields().len());
    let names: Vec<&str> = counts.map(|field| field.name().as_str()).collect();
    predicate
        .columns()
        .iter()
        .any(|wanted| column::find_named(names.iter().copied(), wanted).is_some())
}

/// Which rows match a condition; `good` has the pixel counts of each.
///
/// # Errors
/// [`Fault`].
pub fn selected(
    scalars: &Scalars,
    good: &[[i32; 3]],
    predicate: &Predicate,
) -> Result<BooleanArray, Fault> {
    let mut columns = scalars.batch.columns().to_vec();
    for arm in 0..3 {
        columns.push(Arc::new(Int32Array::from_iter_values(good.iter().map(|g| g[arm]))));
    }
    let batch = RecordBatch::try_new(SELECTABLE.clone(), columns)?;
    Ok(filter::matches(predicate, &batch)?)
}

/// The rows that are selected, in the order of the file: by sky index, then target.
///
/// # Errors
/// [`Fault`].
pub fn sort(scalars: Scalars, selected: Option<&BooleanArray>) -> Result<Scalars, Fault> {
    let is_selected = |row: &u32| selected.is_none_or(|s| s.value(*row as usize));
    let mut order: Vec<u32> =
        (0u32..).take(scalars.batch.num_rows()).filter(|row| is_selected(row)).collect();
    let column = |i: usize| scalars.batch.column(i).as_any().downcast_ref::<Int64Array>();
    // the first two columns are the sky index and the target
    if let (Some(sky), Some(ids)) = (column(0), column(1)) {
        order.sort_by_key(|row| (sky.value(*row as usize), ids.value(*row as usize)));
    }
    let coadd_rows = order.iter().map(|i| scalars.coadd_rows[*i as usize]).collect();
    let batch = take_record_batch(&scalars.batch, &UInt32Array::from(order))?;
    Ok(Scalars { batch, coadd_rows })
}

/// Says which rows lie outside of the tile's pixel: they are another tile's, or damaged.
#[must_use]
pub fn misplaced(scalars: &Scalars, tile: &Tile) -> Option<String> {
    let column = |name: &str| scalars.batch.column_by_name(name);
    let degrees = |name: &str| column(name).and_then(|c| c.as_primitive_opt::<Float64Type>());
    let ids = column("target_id").and_then(|c| c.as_primitive_opt::<Int64Type>())?;
    let cell = range_of(Pixel::ORDER, u64::from(tile.pixel.get()));
    let outside = |(_, (ra, dec)): &(usize, (Option<f64>, Option<f64>))| matches!((ra, dec), (Some(ra), Some(dec)) if !lies_in(*ra, *dec, &cell));
    let mut outside =
        degrees("ra")?.iter().zip(degrees("dec")?).enumerate().filter(outside).peekable();
    let (row, (ra, dec)) = *outside.peek()?;
    let (ra, dec) = (ra?, dec?);
    let pixel = pixel_of(ra, dec).map(|pixel| pixel.to_string()).unwrap_or_default();
    Some(format!(
        "{} of its rows lie outside of pixel {}, the first is row {} of FIBERMAP (from 0), target {} at \
         ra {ra}, dec {dec}, in pixel {pixel}",
        outside.count(),
        tile.pixel,
        scalars.coadd_rows[row],
        ids.value(row),
    ))
}

/// Row of each kept row in another table.
type Rows = Vec<Option<u32>>;

struct Maker<'a> {
    tables: &'a Tables,
    details: &'a [Option<Details>],
    tile: &'a Tile,
    ids: Vec<i64>,
    /// Right ascension, 0 to 360, and declination.
    degrees: Vec<(Option<f64>, Option<f64>)>,
    positions: Vec<Option<i64>>,
    fibermap_rows: Rows,
    redshift_rows: Rows,
    score_rows: Rows,
    emline_rows: Rows,
}

impl<'a> Maker<'a> {
    fn new(
        tables: &'a Tables,
        details: &'a [Option<Details>],
        tile: &'a Tile,
    ) -> Result<Self, Error> {
        let ids = tables.kept_ids();
        let rows_in = |table: Option<&Keyed>| -> Rows {
            ids.iter().map(|id| table.and_then(|table| table.row_of(*id))).collect()
        };
        let fibermap = &tables.fibermap.columns;
        let (ra, dec) = (fibermap.reals(RA)?, fibermap.reals(DEC)?);
        let degrees = |row: &u32| {
            let (ra, dec) = (ra[*row as usize], dec[*row as usize]);
            let dec = Some(dec).filter(|dec| (-90.0..=90.0).contains(dec));
            (Some(ra).filter(|ra| ra.is_finite()).map(turned), dec)
        };
        let degrees: Vec<_> = tables.kept.iter().map(degrees).collect();
        let position = |(ra, dec): &(Option<f64>, Option<f64>)| healpix_29((*ra)?, (*dec)?);
        Ok(Self {
            details,
            tile,
            positions: degrees.iter().map(position).collect(),
            degrees,
            fibermap_rows: tables.kept.iter().map(|row| Some(*row)).collect(),
            redshift_rows: rows_in(Some(&tables.redshifts)),
            score_rows: rows_in(tables.scores.as_ref()),
            emline_rows: rows_in(tables.emline.as_ref()),
            ids,
            tables,
        })
    }

    /// Notes what is not as the file has it.
    fn tell_of_positions(&self, findings: &mut Findings) {
        let fibermap = &self.tables.fibermap.columns;
        let (Ok(ra), Ok(dec)) = (fibermap.reals(RA), fibermap.reals(DEC)) else { return };
        let count = |is_so: &dyn Fn(f64, f64) -> bool| {
            self.tables
                .kept
                .iter()
                .filter(|row| is_so(ra[**row as usize], dec[**row as usize]))
                .count()
        };
        let is_turned = |ra: f64, _| ra.is_finite() && !(0.0..360.0).contains(&ra);
        let is_none = |ra: f64, dec: f64| {
            ra.is_infinite() || (!dec.is_nan() && !(-90.0..=90.0).contains(&dec))
        };
        for (count, told) in [
            (count(&is_turned), "rows had a TARGET_RA outside of 0 to 360 degrees: brought there"),
            (count(&is_none), "rows had a position that is none: what is not on the sky is NULL"),
        ] {
            if count > 0 {
                findings.note(format!("{count} {told}"));
            }
        }
    }

    fn array<'n>(
        &self,
        column: &'n Column,
        absent: &mut BTreeMap<&'static str, Vec<&'n str>>,
    ) -> Result<ArrayRef, Error> {
        let survey = self.tile.survey.as_str();
        let own;
        let (columns, table, rows, name) = match &column.origin {
            Origin::Made(made) => return Ok(self.made(*made)),
            Origin::Fibermap(RA) => return Ok(reals(self.degrees.iter().map(|place| place.0))),
            Origin::Fibermap(DEC) => return Ok(reals(self.degrees.iter().map(|place| place.1))),
            Origin::Fibermap(name) => {
                (Some(&self.tables.fibermap.columns), "FIBERMAP", &self.fibermap_rows, *name)
            }
            Origin::Target(name) => {
                let columns = &self.tables.fibermap.columns;
                own = survey_column(survey, name);
                let name = if columns.has(&own) { own.as_str() } else { *name };
                (Some(columns), "FIBERMAP", &self.fibermap_rows, name)
            }
            Origin::Redshifts(name) => {
                (Some(&self.tables.redshifts.columns), "REDSHIFTS", &self.redshift_rows, *name)
            }
            Origin::Scores(name) => {
                let columns = self.tables.scores.as_ref().map(|t| &t.columns);
                (columns, "SCORES", &self.score_rows, *name)
            }
            Origin::Emline(name) => {
                let columns = self.tables.emline.as_ref().map(|t| &t.columns);
                (columns, "EMLINEFIT", &self.emline_rows, name.as_str())
            }
        };
        match columns {
            Some(columns) if columns.has(name) => gather(column, columns, name, rows),
            columns => {
                if columns.is_some() || table == "SCORES" {
                    absent.entry(table).or_default().push(&column.name);
                }
                Ok(arrow::array::new_null_array(&column.kind.data_type(), rows.len()))
            }
        }
    }

    fn made(&self, made: Made) -> ArrayRef {
        let n = self.ids.len();
        let first = range_of(Pixel::ORDER, u64::from(self.tile.pixel.get())).start;
        let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text; n])) };
        match made {
            Made::Healpix29 => Arc::new(Int64Array::from_iter_values(
                self.positions.iter().map(|position| position.unwrap_or(first)),
            )),
            Made::Survey => text(self.tile.survey.as_str()),
            Made::Program => text(self.tile.program.as_str()),
            Made::Release => text(self.tile.release.as_str()),
            Made::Healpix => {
                let pixel = i64::from(self.tile.pixel) as i32;
                Arc::new(Int32Array::from_value(pixel, n))
            }
            Made::CoaddRow => Arc::new(Int32Array::from_iter_values(
                self.tables.kept.iter().map(|row| *row as i32),
            )),
            Made::HasPosition => flags(self.positions.iter().map(Option::is_some)),
            Made::HasEmline => flags(self.emline_rows.iter().map(Option::is_some)),
            Made::HasRrdetails => flags(self.details.iter().map(Option::is_some)),
            Made::FirstNight => self.night(|e| e.first_night),
            Made::LastNight => self.night(|e| e.last_night),
            Made::MinMjd => self.date(|e| e.min_mjd),
            Made::MeanMjd => self.date(super::tables::Exposures::mean_mjd),
            Made::MaxMjd => self.date(|e| e.max_mjd),
            Made::Z2 => self.detail(|d| d.z2),
            Made::Chi22 => self.detail(|d| d.chi2_2),
            Made::Deltachi22 => self.detail(|d| d.deltachi2_2),
            Made::BestChi2(class) => self.detail(|d| d.best_chi2[class]),
            Made::Spectype2 => self.detail_text(|d| &d.spectype2),
            Made::Subtype2 => self.detail_text(|d| &d.subtype2),
            Made::GoodPix(_) | Made::Pixels | Made::Place => {
                arrow::array::new_null_array(&DataType::Int32, n)
            }
        }
    }

    fn night(&self, night: impl Fn(&super::tables::Exposures) -> Option<i64>) -> ArrayRef {
        let of = |id| self.tables.exposures.get(id).and_then(&night);
        let nights = self.ids.iter().map(|id| of(id).and_then(|n| i32::try_from(n).ok()));
        Arc::new(nights.collect::<Int32Array>())
    }

    fn date(&self, date: impl Fn(&super::tables::Exposures) -> f64) -> ArrayRef {
        let dates = self.ids.iter().map(|id| self.tables.exposures.get(id).map(&date));
        reals(dates)
    }

    fn detail(&self, value: impl Fn(&Details) -> f64) -> ArrayRef {
        reals(self.details.iter().map(|d| d.as_ref().map(&value)))
    }

    fn detail_text(&self, value: impl Fn(&Details) -> &String) -> ArrayRef {
        let texts = self.details.iter().map(|d| d.as_ref().map(&value));
        Arc::new(texts.collect::<StringArray>())
    }
}

fn flags(flags: impl Iterator<Item = bool>) -> ArrayRef {
    Arc::new(BooleanArray::from(flags.collect::<Vec<_>>()))
}

/// NaN becomes NULL.
fn reals(values: impl Iterator<Item = Option<f64>>) -> ArrayRef {
    Arc::new(values.map(|x| x.filter(|x| !x.is_nan())).collect::<Float64Array>())
}

/// The values of a FITS column at `rows`, in the column's Arrow type.
fn gather(
    column: &Column,
    columns: &Columns,
    name: &str,
    rows: &[Option<u32>],
) -> Result<ArrayRef, Error> {
    let too_large = || Error::Column(format!("{name}, a value of which is too large,"));
    macro_rules! integers {
        ($array:ty, $native:ty) => {{
            let values = columns.integers(name)?;
            let narrow = |n: i64| <$native>::try_from(n).map_err(|_| too_large());
            let is_value = |n: &i64| Some(*n) != column.sentinel();
            let at = |row: &Option<u32>| row.and_then(|r| values[r as usize]).filter(is_value);
            let picked = rows.iter().map(|row| at(row).map(narrow).transpose());
            Arc::new(picked.collect::<Result<$array, Error>>()?)
        }};
    }
    Ok(match column.kind {
        Kind::I16 => integers!(Int16Array, i16),
        Kind::I32 => integers!(Int32Array, i32),
        Kind::I64 if column.is_required() => {
            let values = columns.integers(name)?;
            let picked = rows.iter().map(|row| row.and_then(|r| values[r as usize]));
            let picked: Option<Vec<i64>> = picked.collect();
            Arc::new(Int64Array::from(picked.ok_or_else(|| Error::Column(name.to_owned()))?))
        }
        Kind::I64 => integers!(Int64Array, i64),
        Kind::F32 => {
            let values = columns.reals(name)?;
            let at = |row: &Option<u32>| row.map(|r| values[r as usize]).filter(|x| !x.is_nan());
            Arc::new(rows.iter().map(|row| at(row).map(|x| x as f32)).collect::<Float32Array>())
        }
        Kind::F64 => {
            let values = columns.reals(name)?;
            reals(rows.iter().map(|row| row.map(|r| values[r as usize])))
        }
        Kind::Text => {
            let values = columns.texts(name)?;
            let at = |row: &Option<u32>| row.map(|r| values[r as usize].as_str());
            Arc::new(rows.iter().map(at).collect::<StringArray>())
        }
        Kind::Reals => vectors(columns, name, rows)?,
        Kind::Bool | Kind::PixelsF64 | Kind::PixelsF32 | Kind::PixelsI32 => {
            return Err(Error::Column(name.to_owned()));
        }
    })
}

/// A few doubles a row; a row without any is NULL.
fn vectors(columns: &Columns, name: &str, rows: &[Option<u32>]) -> Result<ArrayRef, Error> {
    let (values, repeat) = (columns.vectors(name)?, columns.repeat(name)?);
    let mut picked = Vec::with_capacity(rows.len() * repeat);
    for row in rows.iter().flatten() {
        let start = *row as usize * repeat;
        picked.extend_from_slice(&values[start..start + repeat]);
    }
    let lengths = rows.iter().map(|row| if row.is_some() { repeat } else { 0 });
    let nulls: NullBuffer = rows.iter().map(Option::is_some).collect();
    let DataType::List(element) = Kind::Reals.data_type() else {
        return Err(Error::Column(name.to_owned()));
    };
    let list = ListArray::new(
        element,
        OffsetBuffer::from_lengths(lengths),
        Arc::new(Float64Array::from(picked)),
        Some(nulls).filter(|nulls| nulls.null_count() > 0),
    );
    Ok(Arc::new(list))
}
