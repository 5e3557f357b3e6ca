//! The fused row, as one table: where each column comes from, its type, unit, UCD and meaning.

mod spectrum;
mod target;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bifrost_core::layout::SPECTRA;
use bifrost_core::{metadata, votable};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// Type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// True or false.
    Bool,
    /// 16-bit integer.
    I16,
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// Single precision.
    F32,
    /// Double precision.
    F64,
    /// Text.
    Text,
    /// A few doubles.
    Reals,
    /// A double for each pixel.
    PixelsF64,
    /// A single for each pixel.
    PixelsF32,
    /// 32 bits for each pixel.
    PixelsI32,
}

impl Kind {
    /// The Arrow type.
    #[must_use]
    pub fn data_type(self) -> DataType {
        let list = |item| DataType::List(Arc::new(Field::new("element", item, false)));
        match self {
            Self::Bool => DataType::Boolean,
            Self::I16 => DataType::Int16,
            Self::I32 => DataType::Int32,
            Self::I64 => DataType::Int64,
            Self::F32 => DataType::Float32,
            Self::F64 => DataType::Float64,
            Self::Text => DataType::Utf8,
            Self::Reals | Self::PixelsF64 => list(DataType::Float64),
            Self::PixelsF32 => list(DataType::Float32),
            Self::PixelsI32 => list(DataType::Int32),
        }
    }

    /// Whether there is a value for each pixel.
    #[must_use]
    pub fn is_pixels(self) -> bool {
        matches!(self, Self::PixelsF64 | Self::PixelsF32 | Self::PixelsI32)
    }
}

/// What is made from several things, or from none of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// Sky index of the position.
    Healpix29,
    /// Survey of the tile.
    Survey,
    /// Program of the tile.
    Program,
    /// Pixel of the tile.
    Healpix,
    /// Release of the tile.
    Release,
    /// Row in the coadd file.
    CoaddRow,
    /// Whether the position is finite.
    HasPosition,
    /// From the exposures: first and last night; first, mean and last MJD.
    FirstNight,
    /// See above.
    LastNight,
    /// See above.
    MinMjd,
    /// See above.
    MeanMjd,
    /// See above.
    MaxMjd,
    /// Whether the emline file has the target.
    HasEmline,
    /// Whether the rrdetails file has the target.
    HasRrdetails,
    /// Of the second-best fit.
    Z2,
    /// See above.
    Chi22,
    /// See above.
    Deltachi22,
    /// See above.
    Spectype2,
    /// See above.
    Subtype2,
    /// Least chi2 of a class: 0 GALAXY, 1 QSO, 2 STAR.
    BestChi2(usize),
    /// Good pixels of an arm: 0 B, 1 R, 2 Z. Known once the arrays are read.
    GoodPix(usize),
    /// The array columns.
    Pixels,
    /// Where the arrays are, of a row that has none.
    Place,
}

/// Where a column comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// FIBERMAP of the coadd file.
    Fibermap(&'static str),
    /// FIBERMAP, in the survey's own column where there is one (SV1_DESI_TARGET …).
    Target(&'static str),
    /// REDSHIFTS of the redrock file.
    Redshifts(&'static str),
    /// SCORES of the coadd file, else TSNR2 of the redrock file.
    Scores(&'static str),
    /// EMLINEFIT of the emline file.
    Emline(String),
    /// None of these alone.
    Made(Made),
}

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Lower snake_case.
    pub name: String,
    /// Type.
    pub kind: Kind,
    /// Where it comes from.
    pub origin: Origin,
    /// Unit, VOUnit spelling; empty for none.
    pub unit: &'static str,
    /// IVOA UCD1+ word.
    pub ucd: &'static str,
    /// One sentence.
    pub description: String,
}

impl Column {
    /// Never NULL: what is made from the tile itself, and arrays.
    #[must_use]
    pub fn is_required(&self) -> bool {
        use Made::*;
        match &self.origin {
            Origin::Fibermap(card) => *card == "TARGETID",
            Origin::Made(made) => matches!(
                made,
                Healpix29
                    | Survey
                    | Program
                    | Healpix
                    | Release
                    | CoaddRow
                    | HasPosition
                    | HasEmline
                    | HasRrdetails
                    | GoodPix(_)
                    | Pixels
                    | Place
            ),
            _ => false,
        }
    }

    /// The number that the archive writes where there is none: NULL here.
    #[must_use]
    pub fn sentinel(&self) -> Option<i64> {
        match &self.origin {
            Origin::Emline(name) if name.ends_with("_NDOF") => Some(-99),
            _ => None,
        }
    }

    fn field(&self) -> Field {
        let mut about = HashMap::from([
            (metadata::UCD.to_owned(), self.ucd.to_owned()),
            (metadata::DESCRIPTION.to_owned(), self.description.clone()),
        ]);
        if !self.unit.is_empty() {
            about.insert(metadata::UNIT.to_owned(), self.unit.to_owned());
        }
        Field::new(&self.name, self.kind.data_type(), !self.is_required()).with_metadata(about)
    }
}

/// All columns, in file order: scalars, then arrays.
pub static COLUMNS: LazyLock<Vec<Column>> = LazyLock::new(columns);

/// The Arrow schema of the product.
pub static SCHEMA: LazyLock<SchemaRef> =
    LazyLock::new(|| Arc::new(Schema::new(COLUMNS.iter().map(Column::field).collect::<Vec<_>>())));

/// The schema of files whose arrays are in spectra stores: in place of arrays it says where they are.
pub static SCHEMA_WITHOUT_ARRAYS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let scalars = COLUMNS.iter().filter(|column| !column.kind.is_pixels()).map(Column::field);
    let places = spectrum::places().map(|row| column(row).field());
    Arc::new(Schema::new(scalars.chain(places).collect::<Vec<_>>()))
});

/// The schema of a file with its arrays, or without.
#[must_use]
pub fn of(has_arrays: bool) -> &'static SchemaRef {
    if has_arrays { &SCHEMA } else { &SCHEMA_WITHOUT_ARRAYS }
}

/// What astronomers' programs read of the columns, for the footer: of files without arrays, and with.
pub static VOTABLE: LazyLock<[[(&str, String); 2]; 2]> =
    LazyLock::new(|| [false, true].map(|has_arrays| votable::key_values(SPECTRA, of(has_arrays))));

type Row = (&'static str, Kind, Origin, &'static str, &'static str, &'static str);

fn columns() -> Vec<Column> {
    let mut all: Vec<Column> = Vec::new();
    all.extend(target::identity().map(column));
    all.extend(target::redshift().map(column));
    all.extend(target::target().map(column));
    all.extend(target::photometry());
    all.extend(spectrum::observation().map(column));
    all.extend(spectrum::lines());
    all.extend(spectrum::details().map(column));
    all.extend(spectrum::arrays().map(column));
    all
}

fn column((name, kind, origin, unit, ucd, description): Row) -> Column {
    Column { name: name.to_owned(), kind, origin, unit, ucd, description: description.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn columns_are_named_once_and_described() {
        let names: HashSet<_> = COLUMNS.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names.len(), COLUMNS.len());
        assert_eq!(COLUMNS[0].name, "_healpix_29");
        for column in COLUMNS.iter() {
            assert!(!column.description.is_empty() && !column.ucd.is_empty(), "{}", column.name);
            let snake = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(column.name.chars().all(snake), "{}", column.name);
        }
        let arrays = COLUMNS.iter().skip_while(|c| !c.kind.is_pixels());
        assert_eq!(arrays.count(), 4, "arrays come last");
        let with_sentinel = COLUMNS.iter().filter(|c| c.sentinel().is_some());
        assert_eq!(with_sentinel.count(), 6, "the degrees of freedom of six lines");
    }
}
