//! Crossmatching: rows of a lake near the positions of somebody's list.
//!
//! The list's surroundings are a part of the sky, by which files, row groups and rows are chosen as for
//! any question; what is read is then compared with the list, exactly.

use crate::read::{self, COLUMNS_ALL, Options, Reading};
use crate::resolution::{Detail, Query};
use crate::session::{Error, Session};
use crate::sky::{Nearby, Region};
use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{cast, concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Column of the list's row, from 0.
pub const ROW: &str = "match_row";
/// Column of the separation, arc seconds.
pub const SEPARATION: &str = "separation_arcsec";

/// A list of positions, and how near is near.
#[derive(Debug, Clone)]
pub struct List {
    /// Right ascension and declination, ICRS, degrees; NaN where a row has none.
    pub positions: Vec<(f64, f64)>,
    /// Radius, arc seconds.
    pub radius_arcsec: f64,
    /// Only the nearest of each row of the list; all by default.
    pub nearest: bool,
}

/// Rows that lie near the list's positions: which row of the list, how far, and the columns asked for.
/// In the order of the files, or, of the nearest, in that of the list.
pub struct Matches {
    schema: SchemaRef,
    rows: Box<dyn Iterator<Item = Result<RecordBatch, read::Error>> + Send>,
}

impl Matches {
    /// Columns of every batch.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

impl Iterator for Matches {
    type Item = Result<RecordBatch, read::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rows.next()
    }
}

/// Finds rows of a lake near the positions of a list, which answer a question besides.
///
/// # Errors
/// [`Error`] for whatever can be told before a row is read.
pub async fn crossmatch(
    session: &Session,
    list: &List,
    query: &Query,
    options: &Options,
) -> Result<Matches, Error> {
    let radius_deg = list.radius_arcsec / 3600.0;
    let nearby = Nearby::new(&list.positions, radius_deg).map_err(read::Error::from)?;
    let mut query = query.clone();
    query.regions.push(Region::Moc(nearby.moc(&list.positions)));
    let answer = session.resolve(&query, Detail::Files).await?;
    let asked = options.columns.as_ref().filter(|names| *names != &[COLUMNS_ALL]);
    let with_place = asked.cloned().map(|mut names| {
        let known: HashSet<String> = names.iter().map(|name| name.to_lowercase()).collect();
        names.extend(["ra", "dec"].map(String::from).into_iter().filter(|n| !known.contains(n)));
        names
    });
    let delivered = asked.map(Vec::len);
    let columns = with_place.or_else(|| options.columns.clone());
    let options = Options { columns, limit: None, ..options.clone() };
    let reading = session.read(&answer, &query, &options).await?;
    let compared = Compared::new(&reading, nearby, delivered);
    Ok(compared.start(reading, list.nearest))
}

struct Compared {
    nearby: Nearby,
    schema: SchemaRef,
    /// Columns that are delivered: the first so many.
    delivered: usize,
}

impl Compared {
    fn new(reading: &Reading, nearby: Nearby, delivered: Option<usize>) -> Self {
        let found = reading.schema();
        let delivered = delivered.unwrap_or(found.fields().len());
        let own = [
            Field::new(ROW, DataType::Int64, false),
            Field::new(SEPARATION, DataType::Float64, false),
        ];
        let own = own.into_iter().map(Arc::new);
        let fields = own.chain(found.fields().iter().take(delivered).cloned());
        Self { nearby, schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())), delivered }
    }

    fn start(self, reading: Reading, nearest: bool) -> Matches {
        let schema = self.schema.clone();
        let compare = move |batch: Result<RecordBatch, read::Error>| self.compare(&batch?);
        let all = reading.map(compare).filter(|found| match found {
            Ok(batch) => batch.num_rows() > 0,
            Err(_) => true,
        });
        if !nearest {
            return Matches { schema, rows: Box::new(all) };
        }
        let of = schema.clone();
        let mut all = Some(all);
        let rows =
            std::iter::from_fn(move || Some(nearest_of(&of, all.take()?).transpose())).flatten();
        Matches { schema, rows: Box::new(rows) }
    }

    fn compare(&self, batch: &RecordBatch) -> Result<RecordBatch, read::Error> {
        let degrees = |name: &str| {
            let column = batch.column_by_name(name);
            column.and_then(|column| cast(column, &DataType::Float64).ok())
        };
        let (mut of, mut rows, mut apart) = (Vec::new(), Vec::new(), Vec::new());
        if let (Some(ra), Some(dec)) = (degrees("ra"), degrees("dec")) {
            let places =
                ra.as_primitive::<Float64Type>().iter().zip(dec.as_primitive::<Float64Type>());
            for (row, place) in (0u32..).zip(places) {
                let (Some(ra), Some(dec)) = place else { continue };
                for (number, apart_deg) in self.nearby.of(ra, dec) {
                    of.push(i64::from(number));
                    rows.push(row);
                    apart.push(apart_deg * 3600.0);
                }
            }
        }
        let taken = take_record_batch(batch, &UInt32Array::from(rows))?;
        let own: [ArrayRef; 2] =
            [Arc::new(Int64Array::from(of)), Arc::new(Float64Array::from(apart))];
        let columns = own.into_iter().chain(taken.columns().iter().take(self.delivered).cloned());
        Ok(RecordBatch::try_new(self.schema.clone(), columns.collect())?)
    }
}

/// The nearest of each row of the list, in its order.
fn nearest_of(
    schema: &SchemaRef,
    all: impl Iterator<Item = Result<RecordBatch, read::Error>>,
) -> Result<Option<RecordBatch>, read::Error> {
    let batches = all.collect::<Result<Vec<_>, _>>()?;
    let all = concat_batches(schema, &batches)?;
    if all.num_rows() == 0 {
        return Ok(None);
    }
    let of = all.column(0).as_primitive::<Int64Type>().values();
    let apart = all.column(1).as_primitive::<Float64Type>().values();
    let mut best: HashMap<i64, u32> = HashMap::new();
    for (row, (number, here)) in (0u32..).zip(of.iter().zip(apart)) {
        let known = best.entry(*number).or_insert(row);
        if apart.get(*known as usize).is_some_and(|there| here < there) {
            *known = row;
        }
    }
    let mut best: Vec<(i64, u32)> = best.into_iter().collect();
    best.sort_unstable();
    let rows: UInt32Array = best.into_iter().map(|(_, row)| row).collect();
    Ok(Some(take_record_batch(&all, &rows)?))
}
