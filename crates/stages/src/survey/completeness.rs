//! What part of the targets around a galaxy has a redshift: where fibres are few, galaxies that could be
//! linked and neighbours that could be counted are missing.
//!
//! One number, a column of a product, or a file: a map of the sky in HEALPix cells, a catalogue of objects
//! such as surveys publish for clustering, or a table of places. What is 0 or has no number is not known.

use super::Sample;
use crate::fits::{self, Fits};
use arrow::array::RecordBatch;
use bifrost_core::sky;
use bifrost_science::cosmology::direction;
use bifrost_science::distance::Segments;
use serde_json::{Value, json};
use std::path::Path;

/// How far the nearest place of a table may be from a galaxy: about the width of a tile's pixel.
const REACH_DEG: f64 = 1.0;
/// By how much rounding may take a part above 1.
const ROUNDING: f64 = 1e-6;
/// Values of maps that are less mark cells that were not looked at.
const UNSEEN: f64 = -1e30;

/// Where the completeness around galaxies is told.
#[derive(Debug, Clone)]
pub enum Completeness {
    /// Everywhere the same.
    Number(f64),
    /// In a column of a product.
    Column(String),
    /// In a file.
    Known(Known),
}

/// What a file tells.
#[derive(Debug, Clone)]
pub struct Known {
    column: String,
    of: Of,
}

#[derive(Debug, Clone)]
enum Of {
    /// By TARGETID.
    Objects(Vec<(i64, f64)>),
    /// Directions, and the values there.
    Places(Segments, Vec<f64>),
    /// First number of order 29 and the one after the last, in their order.
    Cells(Vec<(i64, i64, f64)>),
}

/// Why it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value that is no part.
    #[error("completeness {value} {of}: it must be above 0 and up to 1")]
    Value {
        /// The value.
        value: f64,
        /// Of what.
        of: String,
    },
    /// A column of something else.
    #[error("column {0} holds no numbers, and completeness is one")]
    NoNumbers(String),
    /// Columns that differ in length.
    #[error("its columns have {0} and {1} rows")]
    Length(usize, usize),
    /// A place that is nowhere.
    #[error("row {0} is not on the sky: right ascension is finite, declination -90 to 90 degrees")]
    Position(usize),
    /// A map that cannot be understood.
    #[error("its cells cannot be understood: {0}")]
    Map(String),
    /// A file that cannot be read.
    #[error(transparent)]
    Fits(#[from] fits::Error),
}

impl Default for Completeness {
    fn default() -> Self {
        Self::Number(1.0)
    }
}

impl Completeness {
    /// What footers say of it; values of files and columns are part of the samples' digests.
    #[must_use]
    pub fn about(&self) -> Value {
        match self {
            Self::Number(part) => json!(part),
            Self::Column(name) => json!(name),
            Self::Known(Known { column, of }) => match of {
                Of::Objects(_) => json!({"objects": column}),
                Of::Places(..) => json!({"places": column}),
                Of::Cells(_) => json!({"cells": column}),
            },
        }
    }

    /// The column that is to be read with the sample.
    #[must_use]
    pub fn column(&self) -> Option<&str> {
        if let Self::Column(name) = self { Some(name) } else { None }
    }

    /// Whether rows have numbers in its column.
    ///
    /// # Errors
    /// [`Error::NoNumbers`].
    pub(super) fn check(&self, rows: &RecordBatch) -> Result<(), Error> {
        let column = self.column().and_then(|name| Some((name, rows.column_by_name(name)?)));
        match column {
            Some((name, column)) if !column.data_type().is_numeric() => {
                Err(Error::NoNumbers(name.to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Of each galaxy, or of all; NaN where it is not known. `own` is what was read of its column.
    ///
    /// # Errors
    /// [`Error::Value`].
    pub(super) fn of(&self, sample: &Sample, own: Vec<f64>) -> Result<Vec<f64>, Error> {
        match self {
            Self::Number(number) => Ok(vec![part(*number, || "for all".to_owned())?]),
            Self::Known(known) => Ok(known.of(sample)),
            Self::Column(name) => {
                let rows = sample.target_id.iter().zip(own);
                rows.map(|(id, value)| part(value, || format!("in {name} of object {id}")))
                    .collect()
            }
        }
    }
}

impl Known {
    /// Of a catalogue of objects; of several rows of one the first counts.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::Value`].
    pub fn of_objects(column: &str, ids: Vec<i64>, values: Vec<f64>) -> Result<Self, Error> {
        let values = parts(values, ids.len())?;
        let mut objects: Vec<(i64, f64)> = ids.into_iter().zip(values).collect();
        objects.sort_by_key(|(id, _)| *id);
        objects.dedup_by_key(|(id, _)| *id);
        Ok(Self { column: column.to_owned(), of: Of::Objects(objects) })
    }

    /// Of a table of places (degrees, ICRS): a galaxy has the value of the nearest within a degree.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::Position`], [`Error::Value`].
    pub fn of_places(
        column: &str,
        ra: &[f64],
        dec: &[f64],
        values: Vec<f64>,
    ) -> Result<Self, Error> {
        let values = parts(values, ra.len())?;
        if dec.len() != ra.len() {
            return Err(Error::Length(ra.len(), dec.len()));
        }
        let mut places = Vec::with_capacity(ra.len());
        for (row, (ra, dec)) in ra.iter().zip(dec).enumerate() {
            if !ra.is_finite() || !(-90.0..=90.0).contains(dec) {
                return Err(Error::Position(row));
            }
            places.push(direction(*ra, *dec));
        }
        let places = Segments::of_points(&places).map_err(|error| Error::Map(error.to_string()))?;
        Ok(Self { column: column.to_owned(), of: Of::Places(places, values) })
    }

    /// Of a HEALPix map in FITS (NESTED or RING, of the whole sky or with a column PIXEL) or a map of
    /// several orders (UNIQ); none, if it is another file. Without its name the column is the only one, or
    /// `COMPLETENESS`.
    ///
    /// # Errors
    /// [`Error::Fits`], [`Error::Map`], [`Error::Value`].
    pub fn of_map(path: &Path, column: Option<&str>) -> Result<Option<Self>, Error> {
        let fits = Fits::open(path)?;
        let (Some(header), Some(table)) = (fits.first_table_header(), fits.first_table()?) else {
            return Ok(None);
        };
        if header.text("PIXTYPE") != Some("HEALPIX") && !table.has("UNIQ") {
            return Ok(None);
        }
        let frame = header.text("COORDSYS").unwrap_or("C").to_ascii_uppercase();
        if !matches!(&*frame, "C" | "ICRS" | "CELESTIAL" | "EQUATORIAL") {
            return Err(Error::Map(format!("COORDSYS is {frame}, not C (ICRS)")));
        }
        let names = table.names();
        let values: Vec<&str> = names.iter().map(String::as_str).collect();
        let values: Vec<&str> =
            values.into_iter().filter(|name| !["PIXEL", "UNIQ"].contains(name)).collect();
        let wanted = column.unwrap_or("COMPLETENESS").to_ascii_uppercase();
        let name = match (&values[..], column) {
            ([only], None) => only,
            (all, _) => all.iter().find(|name| **name == wanted).ok_or_else(|| {
                Error::Map(format!("there is no column {wanted}, but {}", names.join(", ")))
            })?,
        };
        let columns = table.read(&[name, "PIXEL", "UNIQ"])?;
        let numbers = columns.vectors(name)?;
        let cells: Vec<(u8, u64)> = if columns.has("UNIQ") {
            whole(columns.integers("UNIQ")?).into_iter().map(of_uniq).collect::<Result<_, _>>()?
        } else {
            let order = order_of(header.integer("NSIDE"))?;
            let is_ring = header.text("ORDERING").is_some_and(|o| o.eq_ignore_ascii_case("RING"));
            let cells = match columns.has("PIXEL") {
                true => whole(columns.integers("PIXEL")?),
                false => (0..numbers.len() as u64).collect(),
            };
            let nested = |cell: u64| match cell < 12 << (2 * order) {
                true if is_ring => Ok((order, sky::nested_of_ring(order, cell))),
                true => Ok((order, cell)),
                false => Err(Error::Map(format!("there is no cell {cell} of order {order}"))),
            };
            cells.into_iter().map(nested).collect::<Result<_, _>>()?
        };
        let numbers = numbers.into_iter().map(|x| if x < UNSEEN { f64::NAN } else { x }).collect();
        let numbers = parts(numbers, cells.len())?;
        let mut cells: Vec<(i64, i64, f64)> = cells
            .into_iter()
            .zip(numbers)
            .filter(|(_, value)| !value.is_nan())
            .map(|((order, cell), value)| {
                let range = sky::range_of(order, cell);
                (range.start, range.end, value)
            })
            .collect();
        cells.sort_by_key(|(first, ..)| *first);
        match cells.windows(2).any(|two| matches!(two, [(_, end, _), (next, ..)] if end > next)) {
            true => Err(Error::Map("some lie in others".to_owned())),
            false => Ok(Some(Self { column: (*name).to_owned(), of: Of::Cells(cells) })),
        }
    }

    /// Of each galaxy of a sample.
    fn of(&self, sample: &Sample) -> Vec<f64> {
        let reach = 2.0 * (0.5 * REACH_DEG.to_radians()).sin();
        let at = |id: &i64, ra: f64, dec: f64| match &self.of {
            Of::Objects(all) => {
                let place = all.binary_search_by_key(id, |(id, _)| *id).ok()?;
                all.get(place).map(|(_, value)| *value)
            }
            Of::Places(tree, values) => {
                let near =
                    tree.nearest(direction(ra, dec)).filter(|near| near.distance <= reach)?;
                values.get(near.segment as usize).copied()
            }
            Of::Cells(cells) => {
                let cell = sky::healpix_29(ra.rem_euclid(360.0), dec)?;
                let place = cells.partition_point(|(_, end, _)| *end <= cell);
                cells.get(place).filter(|(first, ..)| *first <= cell).map(|(.., value)| *value)
            }
        };
        let rows = sample.target_id.iter().zip(sample.ra.iter().zip(&sample.dec));
        rows.map(|(id, (ra, dec))| at(id, *ra, *dec).unwrap_or(f64::NAN)).collect()
    }
}

/// A value as it is meant.
fn part(value: f64, of: impl Fn() -> String) -> Result<f64, Error> {
    match value {
        0.0 => Ok(f64::NAN),
        value if value.is_nan() => Ok(value),
        value if (0.0..=1.0 + ROUNDING).contains(&value) => Ok(value.min(1.0)),
        value => Err(Error::Value { value, of: of() }),
    }
}

fn parts(values: Vec<f64>, rows: usize) -> Result<Vec<f64>, Error> {
    match values.len() {
        found if found != rows => Err(Error::Length(rows, found)),
        _ => (0..)
            .zip(values)
            .map(|(row, x): (usize, _)| part(x, || format!("in row {row}")))
            .collect(),
    }
}

/// Numbers of cells; what is none becomes one that there is not.
fn whole(numbers: Vec<Option<i64>>) -> Vec<u64> {
    numbers.into_iter().map(|n| n.and_then(|n| u64::try_from(n).ok()).unwrap_or(u64::MAX)).collect()
}

fn order_of(nside: Option<i64>) -> Result<u8, Error> {
    let order =
        nside.filter(|nside| *nside > 0 && nside.count_ones() == 1).map(i64::trailing_zeros);
    let order = order.and_then(|order| u8::try_from(order).ok()).filter(|o| *o <= sky::ORDER);
    order.ok_or_else(|| Error::Map("NSIDE is no power of two".to_owned()))
}

/// Order and number of a cell that is numbered as 4 · 4^order + number.
fn of_uniq(uniq: u64) -> Result<(u8, u64), Error> {
    let order = uniq.checked_ilog2().and_then(|bits| Some(bits.checked_sub(2)? / 2));
    let order = order.and_then(|order| u8::try_from(order).ok()).filter(|o| *o <= sky::ORDER);
    let cell = order.map(|order| (order, uniq - (4 << (2 * order))));
    let cell = cell.filter(|(order, cell)| *cell < 12 << (2 * order));
    cell.ok_or_else(|| Error::Map(format!("there is no cell {uniq} of UNIQ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Sample {
        let (ra, dec): (Vec<f64>, Vec<f64>) =
            [(10.0, 20.0), (10.5, 20.0), (200.0, -30.0)].into_iter().unzip();
        Sample { target_id: vec![3, 5, 9], ra, dec, z: vec![0.1; 3], ..Sample::default() }
    }

    fn shown(values: &[f64]) -> String {
        format!("{values:?}")
    }

    #[test]
    fn a_number_is_of_all_and_a_column_of_each() {
        let sample = sample();
        assert_eq!(Completeness::Number(0.7).of(&sample, Vec::new()).expect("a part"), [0.7]);
        for wrong in [1.5, -0.1, f64::INFINITY] {
            assert!(Completeness::Number(wrong).of(&sample, Vec::new()).is_err(), "{wrong}");
        }
        let column = Completeness::Column("c".into());
        let own = vec![0.25, 0.0, 1.0 + 1e-7];
        assert_eq!(shown(&column.of(&sample, own).expect("parts")), "[0.25, NaN, 1.0]");
        let wrong = column.of(&sample, vec![0.5, 2.0, 0.5]).expect_err("no part").to_string();
        assert_eq!(wrong, "completeness 2 in c of object 5: it must be above 0 and up to 1");
    }

    #[test]
    fn a_galaxy_finds_its_row_or_the_nearest_place() {
        let sample = sample();
        let known = Known::of_objects("c", vec![9, 3, 4, 3], vec![0.9, 0.3, 0.4, 0.5]);
        assert_eq!(shown(&known.expect("objects").of(&sample)), "[0.3, NaN, 0.9]");
        let known = Known::of_places("c", &[10.1, 370.6], &[20.0, 20.1], vec![0.5, 0.6]);
        assert_eq!(shown(&known.expect("places").of(&sample)), "[0.5, 0.6, NaN]");
        assert!(matches!(
            Known::of_places("c", &[1.0], &[91.0], vec![0.5]),
            Err(Error::Position(0))
        ));
        assert!(matches!(Known::of_objects("c", vec![1], vec![0.5; 2]), Err(Error::Length(1, 2))));
        assert!(matches!(Known::of_objects("c", vec![1], vec![-1.0]), Err(Error::Value { .. })));
    }

    #[test]
    fn cells_are_told_by_their_numbers() {
        assert_eq!(of_uniq(4).expect("a cell"), (0, 0));
        assert_eq!(of_uniq(4 * 4096 + 17).expect("a cell"), (6, 17));
        assert!(of_uniq(3).is_err() && of_uniq(u64::MAX).is_err() && of_uniq(0).is_err());
        assert_eq!(order_of(Some(64)).expect("an order"), 6);
        assert!(
            [None, Some(0), Some(48), Some(-4), Some(1 << 30)]
                .map(order_of)
                .iter()
                .all(Result::is_err)
        );
    }
}
