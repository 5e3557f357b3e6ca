//! Spectra as the product `spectra` holds them: a row's arms one after another, b, r, z.

use arrow::array::{Array, ArrowPrimitiveType, AsArray, ListArray, RecordBatch};
use arrow::datatypes::{Float32Type, Float64Type, Int32Type};
use arrow::error::ArrowError;

/// The columns that [`Spectra`] needs.
pub const COLUMNS: [&str; 4] = ["wavelength", "flux", "ivar", "mask_array"];
/// The arms, in their order.
pub const ARMS: [&str; 3] = ["b", "r", "z"];
/// Width of a pixel, Å.
pub const STEP_ANGSTROM: f64 = 0.8;
/// The last pixels of the arms, Å.
const ENDS_ANGSTROM: [f64; 3] = [5800.0, 7620.0, 9824.0];

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
            let starts = starts(pixels.wavelength);
            pixels.part(starts[arm], starts[arm + 1])
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

/// Where each arm begins, and where the last one ends. The next arm begins where wavelengths fall
/// back into the overlap, or go beyond the arm's end where the overlap was cut away.
fn starts(wavelength: &[f64]) -> [usize; 4] {
    let mut starts = [0, wavelength.len(), wavelength.len(), wavelength.len()];
    let (mut arm, mut last) = (0, f64::NEG_INFINITY);
    for (i, &here) in wavelength.iter().enumerate() {
        let mut falls_back = here <= last;
        while arm + 1 < ARMS.len() && (falls_back || here > ENDS_ANGSTROM[arm] + 0.1) {
            arm += 1;
            starts[arm] = i;
            falls_back = false;
        }
        last = here;
    }
    starts
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arms_are_told_apart_wherever_the_wavelengths_were_cut() {
        let grid = |first: f64, count: usize| (0..count).map(move |i| first + 0.8 * i as f64);
        let all: Vec<(usize, f64)> = [(3600.0, 2751), (5760.0, 2326), (7520.0, 2881)]
            .into_iter()
            .enumerate()
            .flat_map(|(arm, (first, count))| grid(first, count).map(move |wave| (arm, wave)))
            .collect();
        for (from, to) in [
            (3600.0, 9824.0),
            (3600.0, 9800.0),
            (3700.0, 5759.0),
            (5770.0, 5790.0),
            (5800.0, 5801.0),
            (5801.0, 7519.0),
            (6000.0, 9000.0),
            (7550.0, 7560.0),
            (7621.0, 9000.0),
            (5750.0, 7530.0),
        ] {
            let cut: Vec<_> = all.iter().filter(|(_, w)| (from..=to).contains(w)).collect();
            let wave: Vec<f64> = cut.iter().map(|(_, wave)| *wave).collect();
            let starts = starts(&wave);
            for arm in 0..3 {
                let count = cut.iter().filter(|(of, _)| *of == arm).count();
                assert_eq!(starts[arm + 1] - starts[arm], count, "arm {arm} of {from} to {to}");
            }
        }
    }
}
