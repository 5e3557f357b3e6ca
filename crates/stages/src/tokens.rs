//! Tokens: each spectrum on the coadded grid, cut into patches as a transformer reads them.

use crate::derive::spectra::{COLUMNS, Spectra};
use crate::stage::{About, FromProduct, Source, column, element};
use arrow::array::{ArrayRef, Float32Array, Int32Array, RecordBatch};
use arrow::array::{BooleanBuilder, Float32Builder, ListBuilder};
use arrow::datatypes::DataType::{Boolean, Float32, Int32, List};
use arrow::error::ArrowError;
use bifrost_science::coadd::coadd;
use bifrost_science::grid::COADDED;
use bifrost_science::tokens::{EMPTY, Tokenizer};
use std::sync::Arc;

/// Pixels of a patch: those of the published tokenizer.
const PATCH: usize = 32;

/// The stage.
pub struct Tokens;

impl FromProduct for Tokens {
    fn about(&self) -> About {
        let tokens = "Of each of 244 patches 32 fluxes, then 32 errors, over |tokens_median|";
        let masked = "Whether more than half of a patch's pixels are bad, for 244 patches";
        let median = "Median flux of the good pixels between 3600 and 9824 Angstrom, coadded";
        let flag = "Bits: 1 |median| below 0.01, which was taken; 2 median below 0; 4 none good";
        let unit = "1e-17 erg.s**-1.cm**-2.Angstrom**-1";
        let columns = vec![
            column("tokens", List(element(Float32)), "", "phot.flux;arith.ratio", tokens),
            column("tokens_masked", List(element(Boolean)), "", "meta.code.qual", masked),
            column("tokens_median", Float32, unit, "phot.flux.density;stat.median", median),
            column("tokens_flag", Int32, "", "meta.code.qual", flag),
        ];
        let from = Source::Product("spectra", &COLUMNS);
        About { name: "tokens", version: 1, from, product: "tokens", columns }
    }

    fn batch(&self, rows: &RecordBatch) -> Result<Vec<ArrayRef>, ArrowError> {
        let tokenizer = Tokenizer::new(PATCH, COADDED.pixels()).map_err(external)?;
        let mut tokens = ListBuilder::new(Float32Builder::new()).with_field(element(Float32));
        let mut masked = ListBuilder::new(BooleanBuilder::new()).with_field(element(Boolean));
        let (mut median, mut flag) = (Vec::new(), Vec::new());
        for row in Spectra::of(rows)?.rows() {
            let one = coadd(row.wavelength, row.flux, row.ivar, row.mask).map_err(external)?;
            let made = tokenizer.tokens(&one.flux, &one.ivar, 1).map_err(external)?;
            let is_there = made.flag != [EMPTY];
            if is_there {
                tokens.values().append_slice(&made.tokens);
                masked.values().append_slice(&made.masked);
            }
            tokens.append(is_there);
            masked.append(is_there);
            median.extend(made.median);
            flag.extend(made.flag.into_iter().map(i32::from));
        }
        let (median, flag) = (Float32Array::from(median), Int32Array::from(flag));
        let (tokens, masked) = (tokens.finish(), masked.finish());
        Ok(vec![Arc::new(tokens), Arc::new(masked), Arc::new(median), Arc::new(flag)])
    }
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> ArrowError {
    ArrowError::from_external_error(Box::new(error))
}
