//! What the rows of a file must be: as many as stated, in order, on the sky where their file is,
//! each object once.

use crate::order::Order;
use crate::sky;
use crate::tile::Tile;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, SchemaRef};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// How far a position may lie from the cell that it is numbered by, of 64 bits and of 32: programs
/// round differently on the edge of a cell of 4e-7 arc seconds.
const ROUNDING_DEG: [f64; 2] = [5e-7, 1e-4];

/// What the rows are held against.
#[derive(Debug, Clone)]
pub(super) struct Expected<'a> {
    /// The tile that the file is of.
    pub(super) tile: Option<&'a Tile>,
    /// Order-29 numbers of the pixel that the file lies in.
    pub(super) partition: Option<Range<i64>>,
    /// Whether it is one of our files, which number rows without a position, too.
    pub(super) is_ours: bool,
}

/// Rows with which the same is wrong.
#[derive(Debug, Clone, Copy, Default)]
struct Wrong {
    count: u64,
    first: u64,
}

impl Wrong {
    fn note(&mut self, row: u64) {
        if self.count == 0 {
            self.first = row;
        }
        self.count += 1;
    }

    fn told(self, what: &str) -> Option<String> {
        (self.count > 0)
            .then(|| format!("{} rows {what} (the first: row {})", self.count, self.first))
    }
}

/// Looks at batch after batch.
pub(super) struct Rows<'a> {
    expected: Expected<'a>,
    columns: HashMap<&'static str, usize>,
    rounding_deg: f64,
    rows: u64,
    last: Option<i64>,
    order: Option<Order>,
    keys: HashMap<[String; 3], u32>,
    seen: HashSet<(u32, i64)>,
    null: Wrong,
    unsorted: Wrong,
    outside: Wrong,
    misnumbered: Wrong,
    twice: Wrong,
}

/// The columns that are looked at, each with its other names.
const COLUMNS: [(&str, &[&str]); 7] = [
    ("_healpix_29", &[]),
    ("target_id", &["targetid"]),
    ("ra", &[]),
    ("dec", &[]),
    ("release", &[]),
    ("survey", &[]),
    ("program", &[]),
];
const HEALPIX: &str = COLUMNS[0].0;
const TARGET_ID: &str = COLUMNS[1].0;
const KEY: [&str; 3] = ["release", "survey", "program"];

/// Places of the columns that are looked at.
pub(super) fn columns_of(schema: &SchemaRef) -> HashMap<&'static str, usize> {
    let place = |(name, others): &(&'static str, &[&str])| {
        let is_it = |field: &str| {
            field.eq_ignore_ascii_case(name) || others.iter().any(|o| field.eq_ignore_ascii_case(o))
        };
        let mut places =
            schema.fields().iter().enumerate().filter(|(_, field)| is_it(field.name()));
        let first = places.next().filter(|(_, field)| !field.data_type().is_nested())?;
        places.next().is_none().then_some((*name, first.0))
    };
    COLUMNS.iter().filter_map(place).collect()
}

impl<'a> Rows<'a> {
    /// `schema` is that of the batches.
    pub(super) fn new(expected: Expected<'a>, schema: &SchemaRef) -> Self {
        let columns = columns_of(schema);
        let is_wide = |name| {
            let place: Option<&usize> = columns.get(name);
            place.is_some_and(|place| *schema.field(*place).data_type() == DataType::Float64)
        };
        let rounding_deg = ROUNDING_DEG[usize::from(!(is_wide("ra") && is_wide("dec")))];
        let order = expected.tile.filter(|_| columns.contains_key(TARGET_ID)).map(Order::of);
        Self {
            expected,
            columns,
            rounding_deg,
            rows: 0,
            last: None,
            order,
            keys: HashMap::new(),
            seen: HashSet::new(),
            null: Wrong::default(),
            unsorted: Wrong::default(),
            outside: Wrong::default(),
            misnumbered: Wrong::default(),
            twice: Wrong::default(),
        }
    }

    /// Looks at the next rows.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<(), arrow::error::ArrowError> {
        let column = |name: &str, kind: &DataType| {
            self.columns.get(name).map(|at| cast(batch.column(*at), kind)).transpose()
        };
        let numbers = column(HEALPIX, &DataType::Int64)?;
        let ids = column(TARGET_ID, &DataType::Int64)?;
        let (ra, dec) = (column("ra", &DataType::Float64)?, column("dec", &DataType::Float64)?);
        let [release, survey, program] = KEY.map(|name| column(name, &DataType::Utf8));
        let names = [release?, survey?, program?];
        for row in 0..batch.num_rows() {
            let number = numbers.as_ref().map(|numbers| {
                let numbers = numbers.as_primitive::<Int64Type>();
                numbers.is_valid(row).then(|| numbers.value(row))
            });
            let position = real(ra.as_ref(), row).zip(real(dec.as_ref(), row));
            self.place(number, position);
            if let Some(ids) = ids.as_ref().map(|ids| ids.as_primitive::<Int64Type>()) {
                match ids.is_valid(row).then(|| ids.value(row)) {
                    Some(id) => self.object(id, names.each_ref().map(|n| text(n.as_ref(), row))),
                    None => self.order = None,
                }
            }
            self.rows += 1;
        }
        Ok(())
    }

    /// A row's number and position.
    fn place(&mut self, number: Option<Option<i64>>, position: Option<(f64, f64)>) {
        let deep = position.and_then(|(ra, dec)| sky::healpix_29(ra, dec));
        let row = self.rows;
        if let Some(Some(number)) = number {
            if self.last.is_some_and(|last| number < last) {
                self.unsorted.note(row);
            }
            self.last = Some(number);
            if !self.is_number_of(number, deep.zip(position)) {
                self.misnumbered.note(row);
            }
        } else if number.is_some() && self.expected.is_ours {
            self.null.note(row);
        }
        let where_it_is = deep.or(number.flatten());
        if let (Some(here), Some(partition)) = (where_it_is, &self.expected.partition)
            && !partition.contains(&here)
            && !position.is_some_and(|(ra, dec)| sky::lies_in(ra, dec, partition))
        {
            self.outside.note(row);
        }
    }

    fn is_number_of(&self, number: i64, place: Option<(i64, (f64, f64))>) -> bool {
        match place {
            Some((deep, _)) if deep == number => true,
            Some((_, (ra, dec))) => {
                let Ok(cell) = u64::try_from(number) else { return false };
                if cell >= 12 << (2 * u32::from(sky::ORDER)) {
                    return false;
                }
                let (cell_ra, cell_dec) = sky::centre(sky::ORDER, cell);
                sky::separation_deg(ra, dec, cell_ra, cell_dec) <= self.rounding_deg
            }
            None => match &self.expected.partition {
                Some(partition) if self.expected.is_ours && self.columns.contains_key("ra") => {
                    number == partition.start
                }
                _ => true,
            },
        }
    }

    /// A row's object. A negative TARGETID is no real target.
    fn object(&mut self, id: i64, names: [Option<&str>; 3]) {
        if let Some(order) = &mut self.order {
            order.add(&[id]);
        }
        let Some(tile) = self.expected.tile.filter(|_| id >= 0) else { return };
        let own = [tile.release.as_str(), tile.survey.as_str(), tile.program.as_str()];
        let is_own = names.iter().zip(own).all(|(name, own)| name.is_none_or(|name| name == own));
        let key = if is_own {
            0
        } else {
            let next = u32::try_from(self.keys.len() + 1).unwrap_or(u32::MAX);
            let names = names.map(|name| name.unwrap_or_default().to_owned());
            *self.keys.entry(names).or_insert(next)
        };
        if !self.seen.insert((key, id)) {
            self.twice.note(self.rows);
        }
    }

    /// Rows so far.
    pub(super) fn count(&self) -> u64 {
        self.rows
    }

    /// Hash of their order, where they have one.
    pub(super) fn order(&self) -> Option<String> {
        self.order.as_ref().map(Order::hash)
    }

    /// What is wrong with them.
    pub(super) fn wrong(&self) -> Vec<String> {
        [
            self.null.told("have no _healpix_29"),
            self.unsorted.told("are not in the order of _healpix_29"),
            self.misnumbered.told("have a _healpix_29 that is not that of their ra and dec"),
            self.outside.told("lie outside of the pixel of their file"),
            self.twice.told("are of an object that an earlier row holds"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn real(column: Option<&ArrayRef>, row: usize) -> Option<f64> {
    let column = column?.as_primitive_opt::<Float64Type>()?;
    column.is_valid(row).then(|| column.value(row))
}

fn text(column: Option<&ArrayRef>, row: usize) -> Option<&str> {
    let column = column?.as_string_opt::<i32>()?;
    column.is_valid(row).then(|| column.value(row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tile::{Name, Pixel};
    use arrow::array::{Float64Array, Int64Array};
    use std::sync::Arc;

    const PIXEL: u64 = 12712;

    /// `_healpix_29`, ra, dec, TARGETID.
    type Row = (i64, f64, f64, i64);

    fn tile() -> Tile {
        let name = |n| Name::new(n).expect("a name");
        let pixel = Pixel::new(PIXEL as i64).expect("a pixel");
        Tile { release: name("iron"), survey: name("main"), program: name("dark"), pixel }
    }

    /// Rows at the centres of cells of the pixel, with what is changed about them.
    fn wrong(change: impl FnOnce(&mut Vec<Row>)) -> Vec<String> {
        let mut rows: Vec<_> = (0..8u64)
            .map(|i| {
                let (ra, dec) = sky::centre(9, PIXEL * 64 + i * 8);
                (sky::healpix_29(ra, dec).expect("on the sky"), ra, dec, 100 + i as i64)
            })
            .collect();
        change(&mut rows);
        let reals = |pick: fn(&Row) -> f64| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values(rows.iter().map(pick)))
        };
        let ints = |pick: fn(&Row) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(rows.iter().map(pick)))
        };
        let batch = RecordBatch::try_from_iter([
            ("_healpix_29", ints(|r| r.0)),
            ("ra", reals(|r| r.1)),
            ("dec", reals(|r| r.2)),
            ("TARGETID", ints(|r| r.3)),
        ])
        .expect("a batch");
        let tile = tile();
        let partition = Some(sky::range_of(Pixel::ORDER, PIXEL));
        let expected = Expected { tile: Some(&tile), partition, is_ours: true };
        let mut looked = Rows::new(expected, &batch.schema());
        // the border between batches must not matter
        looked.add(&batch.slice(0, 3)).expect("looked");
        looked.add(&batch.slice(3, batch.num_rows() - 3)).expect("looked");
        assert_eq!(looked.count(), rows.len() as u64);
        looked.wrong()
    }

    #[test]
    fn sound_rows_are_sound() {
        assert!(wrong(|_| {}).is_empty());
        // a row without position has its pixel's first number
        let start = sky::range_of(Pixel::ORDER, PIXEL).start;
        assert!(wrong(|rows| rows[0] = (start, f64::NAN, f64::NAN, 1)).is_empty());
        // the same cell as another program rounds it
        assert!(wrong(|rows| rows[7].0 += 1).is_empty());
    }

    #[test]
    fn each_kind_of_wrong_row_is_told() {
        let told = |what: &str, change: fn(&mut Vec<Row>)| {
            let wrong = wrong(change);
            assert!(wrong.iter().any(|w| w.contains(what)), "{what}: {wrong:?}");
        };
        told("1 rows are not in the order of _healpix_29 (the first: row 3)", |rows| {
            rows.swap(2, 3);
        });
        told("2 rows have a _healpix_29 that is not", |rows| {
            rows[4].0 += 1 << 30;
            rows[5].0 = -1;
        });
        told("1 rows lie outside", |rows| {
            let (ra, dec) = sky::centre(6, PIXEL + 1);
            rows[7] = (sky::healpix_29(ra, dec).expect("on the sky"), ra, dec, 9);
        });
        told("1 rows are of an object that an earlier row holds (the first: row 6)", |rows| {
            rows[6].3 = rows[1].3;
        });
        told("1 rows have a _healpix_29 that is not", |rows| {
            (rows[3].1, rows[3].2) = (f64::NAN, f64::NAN);
        });
    }

    #[test]
    fn a_negative_targetid_is_no_object() {
        assert!(wrong(|rows| rows.iter_mut().for_each(|r| r.3 = -1)).is_empty());
    }
}
