//! Rows of a file, as COPY into `catalog` wants them: values in the order of
//! `sql/sync_copy_catalog.sql`.

use super::Candidate;
use super::columns::{Batch, text, value};
use super::contest::Quality;
use super::facts::{Observed, Tally};
use super::labels::Labels;
use crate::registry::{Label, Rows, objects};
use crate::sky;
use arrow::array::{Float32Array, Float64Array, Int32Array, Int64Array, StringArray};

/// Bytes of an encoded row, about.
const ROW_BYTES: usize = 144;

/// A file's rows, encoded.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    pub(super) file_id: i64,
    pub(super) release: Option<String>,
    pub(super) rows: Rows,
    pub(super) tally: Tally,
    /// What is packed of the file's objects.
    pub(super) objects: Option<Vec<u8>>,
    /// By row: where it is written whether the row is primary; nowhere for rows without a TARGETID,
    /// which are left out.
    primary_at: Vec<usize>,
}

impl Encoded {
    /// Encodes a file's rows, and counts them.
    pub(super) fn new(
        candidate: &Candidate,
        columns: &[Columns],
        labels: &Labels,
        is_primary: impl Fn(u32) -> bool,
    ) -> Self {
        let mut labels = labels.for_file();
        let num_rows = columns.iter().map(|c| c.num_rows).sum();
        let mut encoded = Self {
            file_id: candidate.file_id,
            release: candidate.tile.as_ref().map(|tile| tile.release.to_string()),
            rows: Rows::with_capacity(num_rows * ROW_BYTES),
            tally: Tally::default(),
            objects: None,
            primary_at: Vec::with_capacity(num_rows),
        };
        let mut known = Vec::with_capacity(num_rows);
        let objects = columns.iter().flat_map(|c| (0..c.num_rows).map(|row| c.object(row)));
        for (index, object) in (0..).zip(objects) {
            encoded.tally.add(&object.observed());
            if let Some(target_id) = object.target_id {
                let label = labels.number(&object.label(candidate));
                encoded.put(&object, target_id, index, label);
                known.push((target_id, index));
                encoded.primary_at.push(encoded.rows.len());
                encoded.rows.bool(is_primary(index));
            } else {
                encoded.primary_at.push(usize::MAX);
            }
        }
        encoded.objects = objects::pack(known);
        encoded
    }

    /// Says of a row that it is not primary after all.
    pub(super) fn demote(&mut self, row: u32) {
        if let Some(&place) = self.primary_at.get(row as usize) {
            self.rows.put_false(place);
        }
    }
}

/// The columns of a batch; those that a file lacks are absent.
pub(super) struct Columns {
    num_rows: usize,
    target_id: Option<Int64Array>,
    healpix_29: Option<Int64Array>,
    ra: Option<Float64Array>,
    dec: Option<Float64Array>,
    z: Option<Float64Array>,
    zerr: Option<Float64Array>,
    deltachi2: Option<Float64Array>,
    zwarn: Option<Int64Array>,
    desi_target: Option<Int64Array>,
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
    pub(super) fn of(batch: &Batch) -> Self {
        Self {
            num_rows: batch.num_rows(),
            target_id: batch.int64s("target_id"),
            healpix_29: batch.int64s("_healpix_29"),
            ra: batch.float64s("ra"),
            dec: batch.float64s("dec"),
            z: batch.float64s("z"),
            zerr: batch.float64s("zerr"),
            deltachi2: batch.float64s("deltachi2"),
            zwarn: batch.int64s("zwarn"),
            desi_target: batch.int64s("desi_target"),
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

    /// Which object each row is of, and how good it is; none for rows without a TARGETID.
    pub(super) fn standings(&self) -> impl Iterator<Item = Option<(i64, Quality)>> {
        (0..self.num_rows).map(|row| {
            let target_id = value(self.target_id.as_ref(), row)?;
            let zwarn_zero = value(self.zwarn.as_ref(), row) == Some(0);
            Some((target_id, Quality::new(zwarn_zero, value(self.tsnr2_lrg.as_ref(), row))))
        })
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

impl<'a> Object<'a> {
    fn position(&self) -> Option<(f64, f64)> {
        let position = self.ra.zip(self.dec);
        position.filter(|(ra, dec)| ra.is_finite() && dec.is_finite())
    }

    fn observed(&self) -> Observed<'a> {
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

    /// What the row shares with many others; its tile only where it is another than the file's.
    fn label(&self, candidate: &Candidate) -> Label<&'a str> {
        fn other<'a>(value: Option<&'a str>, of_file: Option<&str>) -> Option<&'a str> {
            value.filter(|value| of_file != Some(value))
        }
        let tile = candidate.tile.as_ref();
        let pixel = tile.map(|t| t.pixel.get() as i32);
        Label {
            zwarn: self.zwarn,
            coadd_fiberstatus: self.coadd_fiberstatus,
            healpix: self.healpix.filter(|healpix| pixel != Some(*healpix)),
            release: other(self.release, tile.map(|t| t.release.as_str())),
            survey: other(self.survey, tile.map(|t| t.survey.as_str())),
            program: other(self.program, tile.map(|t| t.program.as_str())),
            spectype: self.spectype,
            subtype: self.subtype,
            objtype: self.objtype,
        }
    }
}

impl Encoded {
    /// All but the last value of a row.
    fn put(&mut self, object: &Object<'_>, target_id: i64, index: u32, label: i32) {
        let deep = || object.position().and_then(|(ra, dec)| sky::healpix_29(ra, dec));
        let rows = &mut self.rows;
        rows.begin(13);
        rows.int8(self.file_id);
        rows.int8(target_id);
        rows.maybe(object.healpix_29.or_else(deep), Rows::int8);
        rows.maybe(object.ra, Rows::float8);
        rows.maybe(object.dec, Rows::float8);
        rows.maybe(object.z, Rows::float8);
        rows.maybe(object.zerr, Rows::float8);
        rows.maybe(object.deltachi2, Rows::float8);
        rows.maybe(object.desi_target, Rows::int8);
        rows.int4(i32::try_from(index).unwrap_or(i32::MAX));
        rows.int4(label);
        rows.maybe(object.tsnr2_lrg, Rows::float4);
    }
}
