//! Rows of a file, as COPY into `catalog` wants them: values in the order of
//! `sql/sync_copy_catalog.sql`.

use super::Candidate;
use super::columns::{self, Batch, Failure, text, value, wanted};
use super::facts::{Observed, Tally};
use crate::registry::Rows;
use crate::sky;
use arrow::array::{Float32Array, Float64Array, Int32Array, Int64Array, StringArray};
use std::path::Path;

/// Bytes of an encoded row, about.
const ROW_BYTES: usize = 260;

/// Reads and encodes a file's rows, and counts them.
pub(super) fn encode(
    root: &Path,
    candidate: &Candidate,
    is_primary: impl Fn(usize) -> bool,
) -> Result<(Rows, Tally), Failure> {
    let made =
        columns::read(root, candidate, &wanted(candidate), |made: &mut Made, batch, first| {
            let made = made.get_or_insert_with(|| {
                let rows = usize::try_from(candidate.num_rows).unwrap_or(0);
                (Rows::with_capacity(rows.min(1 << 20) * ROW_BYTES), Tally::default())
            });
            let columns = Columns::of(batch);
            for row in 0..batch.num_rows() {
                let object = columns.object(row);
                made.1.add(&object.observed());
                if let Some(target_id) = object.target_id {
                    let index = first + row;
                    put(&mut made.0, candidate, &object, target_id, index, is_primary(index));
                }
            }
        })?;
    Ok(made.unwrap_or_default())
}

type Made = Option<(Rows, Tally)>;

/// The columns of a batch; those that a file lacks are absent.
struct Columns {
    target_id: Option<Int64Array>,
    healpix_29: Option<Int64Array>,
    ra: Option<Float64Array>,
    dec: Option<Float64Array>,
    z: Option<Float64Array>,
    zerr: Option<Float64Array>,
    deltachi2: Option<Float64Array>,
    zwarn: Option<Int64Array>,
    desi_target: Option<Int64Array>,
    bgs_target: Option<Int64Array>,
    mws_target: Option<Int64Array>,
    scnd_target: Option<Int64Array>,
    healpix: Option<Int32Array>,
    coadd_fiberstatus: Option<Int32Array>,
    tsnr2_lrg: Option<Float32Array>,
    release: Option<StringArray>,
    survey: Option<StringArray>,
    program: Option<StringArray>,
    spectype: Option<StringArray>,
    subtype: Option<StringArray>,
    objtype: Option<StringArray>,
}

impl Columns {
    fn of(batch: &Batch) -> Self {
        Self {
            target_id: batch.int64s("target_id"),
            healpix_29: batch.int64s("_healpix_29"),
            ra: batch.float64s("ra"),
            dec: batch.float64s("dec"),
            z: batch.float64s("z"),
            zerr: batch.float64s("zerr"),
            deltachi2: batch.float64s("deltachi2"),
            zwarn: batch.int64s("zwarn"),
            desi_target: batch.int64s("desi_target"),
            bgs_target: batch.int64s("bgs_target"),
            mws_target: batch.int64s("mws_target"),
            scnd_target: batch.int64s("scnd_target"),
            healpix: batch.int32s("healpix"),
            coadd_fiberstatus: batch.int32s("coadd_fiberstatus"),
            tsnr2_lrg: batch.float32s("tsnr2_lrg"),
            release: batch.texts("release"),
            survey: batch.texts("survey"),
            program: batch.texts("program"),
            spectype: batch.texts("spectype"),
            subtype: batch.texts("subtype"),
            objtype: batch.texts("objtype"),
        }
    }

    fn object(&self, row: usize) -> Object<'_> {
        Object {
            target_id: value(self.target_id.as_ref(), row),
            healpix_29: value(self.healpix_29.as_ref(), row),
            ra: number(self.ra.as_ref(), row),
            dec: number(self.dec.as_ref(), row),
            z: number(self.z.as_ref(), row),
            zerr: number(self.zerr.as_ref(), row),
            deltachi2: number(self.deltachi2.as_ref(), row),
            zwarn: value(self.zwarn.as_ref(), row),
            desi_target: value(self.desi_target.as_ref(), row),
            bgs_target: value(self.bgs_target.as_ref(), row),
            mws_target: value(self.mws_target.as_ref(), row),
            scnd_target: value(self.scnd_target.as_ref(), row),
            healpix: value(self.healpix.as_ref(), row),
            coadd_fiberstatus: value(self.coadd_fiberstatus.as_ref(), row),
            tsnr2_lrg: value(self.tsnr2_lrg.as_ref(), row).filter(|x| !x.is_nan()),
            release: text(self.release.as_ref(), row),
            survey: text(self.survey.as_ref(), row),
            program: text(self.program.as_ref(), row),
            spectype: text(self.spectype.as_ref(), row),
            subtype: text(self.subtype.as_ref(), row),
            objtype: text(self.objtype.as_ref(), row),
        }
    }
}

/// A value that is a number: NaN says nothing, as NULL does.
fn number(column: Option<&Float64Array>, row: usize) -> Option<f64> {
    value(column, row).filter(|x| !x.is_nan())
}

/// One row.
struct Object<'a> {
    target_id: Option<i64>,
    healpix_29: Option<i64>,
    ra: Option<f64>,
    dec: Option<f64>,
    z: Option<f64>,
    zerr: Option<f64>,
    deltachi2: Option<f64>,
    zwarn: Option<i64>,
    desi_target: Option<i64>,
    bgs_target: Option<i64>,
    mws_target: Option<i64>,
    scnd_target: Option<i64>,
    healpix: Option<i32>,
    coadd_fiberstatus: Option<i32>,
    tsnr2_lrg: Option<f32>,
    release: Option<&'a str>,
    survey: Option<&'a str>,
    program: Option<&'a str>,
    spectype: Option<&'a str>,
    subtype: Option<&'a str>,
    objtype: Option<&'a str>,
}

impl Object<'_> {
    fn position(&self) -> Option<(f64, f64)> {
        let position = self.ra.zip(self.dec);
        position.filter(|(ra, dec)| ra.is_finite() && dec.is_finite())
    }

    fn observed(&self) -> Observed<'_> {
        Observed {
            target_id: self.target_id,
            has_position: self.position().is_some(),
            z: self.z,
            zwarn: self.zwarn,
            spectype: self.spectype,
            coadd_fiberstatus: self.coadd_fiberstatus,
            desi_target: self.desi_target,
        }
    }
}

fn put(
    rows: &mut Rows,
    candidate: &Candidate,
    object: &Object<'_>,
    target_id: i64,
    index: usize,
    is_primary: bool,
) {
    let tile = candidate.tile.as_ref();
    let deep = || object.position().and_then(|(ra, dec)| sky::healpix_29(ra, dec));
    let pixel = tile.map(|t| t.pixel.get() as i32);
    rows.begin(24);
    rows.int8(candidate.file_id);
    rows.int8(target_id);
    rows.maybe(object.healpix_29.or_else(deep), Rows::int8);
    rows.maybe(object.ra, Rows::float8);
    rows.maybe(object.dec, Rows::float8);
    rows.maybe(object.z, Rows::float8);
    rows.maybe(object.zerr, Rows::float8);
    rows.maybe(object.deltachi2, Rows::float8);
    rows.maybe(object.zwarn, Rows::int8);
    rows.maybe(object.desi_target, Rows::int8);
    rows.maybe(object.bgs_target, Rows::int8);
    rows.maybe(object.mws_target, Rows::int8);
    rows.maybe(object.scnd_target, Rows::int8);
    rows.int4(i32::try_from(index).unwrap_or(i32::MAX));
    rows.maybe(object.healpix.or(pixel), Rows::int4);
    rows.maybe(object.coadd_fiberstatus, Rows::int4);
    rows.maybe(object.tsnr2_lrg, Rows::float4);
    rows.bool(is_primary);
    rows.maybe(object.release.or(tile.map(|t| t.release.as_str())), Rows::text);
    rows.maybe(object.survey.or(tile.map(|t| t.survey.as_str())), Rows::text);
    rows.maybe(object.program.or(tile.map(|t| t.program.as_str())), Rows::text);
    rows.maybe(object.spectype, Rows::text);
    rows.maybe(object.subtype, Rows::text);
    rows.maybe(object.objtype, Rows::text);
}
