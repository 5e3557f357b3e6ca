//! Spectra as the product `spectra` holds them: a row's arms one after another, b, r, z.

use arrow::array::{Array, ArrowPrimitiveType, AsArray, ListArray, RecordBatch};
use arrow::datatypes::{Float32Type, Float64Type, Int32Type};
use arrow::error::ArrowError;
pub use bifrost_core::spectrum::ARMS;
use bifrost_core::spectrum::arms;

/// The columns that [`Spectra`] needs.
pub const COLUMNS: [&str; 4] = ["wavelength", "flux", "ivar", "mask_array"];
/// Width of a pixel, Å.
pub const STEP_ANGSTROM: f64 = 0.8;

/// The spectra of some rows.
#[derive(Debug, Clone, Copy)]
pub struct Spectra<'a> {
    offsets: &'a [i32],
    pixels: Pixels<'a>,
}

/// Some pixels of a spectrum: arrays of one length.
#[derive(Debug, Clone, Copy)]
pub struct Pixels<'a> {
    /// Å, vacuum.
    pub wavelength: &'a [f64],
    /// 10⁻¹⁷ erg/s/cm²/Å.
    pub flux: &'a [f32],
    /// Inverse variance of the flux.
    pub ivar: &'a [f32],
    /// Mask bits.
    pub mask: &'a [i32],
}

/// A good pixel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pixel {
    /// Å, vacuum.
    pub wavelength: f64,
    /// 10⁻¹⁷ erg/s/cm²/Å.
    pub flux: f32,
    /// Inverse variance of the flux, above 0.
    pub ivar: f32,
}

impl<'a> Spectra<'a> {
    /// Of rows that have [`COLUMNS`].
    ///
    /// # Errors
    /// Where a column is missing, is of another type, or has NULL; where they differ in length.
    pub fn of(rows: &'a RecordBatch) -> Result<Self, ArrowError> {
        let [wavelength, flux, ivar, mask] = COLUMNS.map(|name| list(rows, name));
        let (wavelength, flux, ivar, mask) = (wavelength?, flux?, ivar?, mask?);
        let offsets = wavelength.value_offsets();
        if [flux, ivar, mask].iter().any(|other| other.value_offsets() != offsets) {
            return Err(wrong("its arrays differ in length"));
        }
        let pixels = Pixels {
            wavelength: values::<Float64Type>(wavelength)?,
            flux: values::<Float32Type>(flux)?,
            ivar: values::<Float32Type>(ivar)?,
            mask: values::<Int32Type>(mask)?,
        };
        Ok(Self { offsets, pixels })
    }

    /// All pixels of each row.
    pub fn rows(self) -> impl ExactSizeIterator<Item = Pixels<'a>> {
        let rows = self.offsets.windows(2);
        rows.map(move |ends| self.pixels.part(ends[0] as usize, ends[1] as usize))
    }

    /// An arm of each row; empty where the row has none of it.
    pub fn arms(self, arm: usize) -> impl Iterator<Item = Pixels<'a>> {
        self.rows().map(move |pixels| {
            let part = &arms(pixels.wavelength)[arm];
            pixels.part(part.start, part.end)
        })
    }
}

impl<'a> Pixels<'a> {
    fn part(self, first: usize, end: usize) -> Self {
        Self {
            wavelength: &self.wavelength[first..end],
            flux: &self.flux[first..end],
            ivar: &self.ivar[first..end],
            mask: &self.mask[first..end],
        }
    }

    /// Those with ivar above 0 and no mask bit.
    pub fn good(self) -> impl Iterator<Item = Pixel> + use<'a> {
        (0..self.flux.len()).filter(move |&i| self.ivar[i] > 0.0 && self.mask[i] == 0).map(
            move |i| Pixel {
                wavelength: self.wavelength[i],
                flux: self.flux[i],
                ivar: self.ivar[i],
            },
        )
    }
}

fn list<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a ListArray, ArrowError> {
    let column = rows.column_by_name(name).ok_or_else(|| wrong(&format!("it has no {name}")))?;
    let list = column.as_list_opt::<i32>().filter(|list| list.null_count() == 0);
    list.ok_or_else(|| wrong(&format!("{name} is {} or has NULL", column.data_type())))
}

fn values<T: ArrowPrimitiveType>(list: &ListArray) -> Result<&[T::Native], ArrowError> {
    let values = list.values();
    let typed = values.as_primitive_opt::<T>().filter(|typed| typed.null_count() == 0);
    typed
        .map(|typed| &**typed.values())
        .ok_or_else(|| wrong(&format!("an array is of {} or has NULL", values.data_type())))
}

fn wrong(what: &str) -> ArrowError {
    ArrowError::SchemaError(what.to_owned())
}
