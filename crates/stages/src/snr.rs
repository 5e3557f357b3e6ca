//! Signal to noise: how good and how bright the spectrum of each object is, arm by arm.

use crate::derive::spectra::{ARMS, COLUMNS, STEP_ANGSTROM, Spectra};
use crate::stage::{About, FromProduct, Source, column};
use arrow::array::{ArrayRef, Float32Array, Int32Array, RecordBatch};
use arrow::datatypes::DataType::{Float32, Int32};
use arrow::error::ArrowError;
use std::sync::Arc;

/// The stage.
pub struct Snr;

impl FromProduct for Snr {
    fn about(&self) -> About {
        let columns = ARMS.iter().flat_map(|arm| {
            let (name, unit) = (|what| format!("{what}_{arm}"), "1e-17 erg.s**-1.cm**-2");
            let snr = format!("Median S/N of the good pixels of arm {arm}");
            let good = format!("Good pixels of arm {arm}: ivar above 0 and no mask bit");
            let flux = format!("Flux of arm {arm}, integrated over its good pixels");
            [
                column(name("snr"), Float32, "", "stat.snr;stat.median", snr),
                column(name("good_pixels"), Int32, "", "meta.number", good),
                column(name("flux_sum"), Float32, unit, "phot.flux;em.opt", flux),
            ]
        });
        let (from, columns) = (Source::Product("spectra", &COLUMNS), columns.collect());
        About { name: "snr", version: 1, from, product: "snr", columns }
    }

    fn batch(&self, rows: &RecordBatch) -> Result<Vec<ArrayRef>, ArrowError> {
        let mut columns: Vec<ArrayRef> = Vec::new();
        for arm in 0..ARMS.len() {
            let (mut snr, mut good, mut flux) = (Vec::new(), Vec::new(), Vec::new());
            for pixels in Spectra::of(rows)?.arms(arm) {
                let mut each: Vec<f32> = pixels.good().map(|p| p.flux * p.ivar.sqrt()).collect();
                let sum: f64 = pixels.good().map(|p| f64::from(p.flux) * STEP_ANGSTROM).sum();
                each.sort_unstable_by(f32::total_cmp);
                let (n, middle) = (each.len(), each.len() / 2);
                snr.push((n > 0).then(|| (each[(n - 1) / 2] + each[middle]) / 2.0));
                good.push(n as i32);
                flux.push((n > 0).then_some(sum as f32));
            }
            columns.push(Arc::new(Float32Array::from(snr)));
            columns.push(Arc::new(Int32Array::from(good)));
            columns.push(Arc::new(Float32Array::from(flux)));
        }
        Ok(columns)
    }
}
