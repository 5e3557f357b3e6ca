//! The details of the redshift fits, in HDF5: χ²(z) scans over all templates, and the nine best
//! fits of each target. Written a few rows at a time, in the library's oldest format, contiguous,
//! without filters and attributes, as the archive has it.

use super::Object;
use super::dice::{Dice, Purpose, Seed};
use super::redshifts::{COEFFICIENTS, Family, Fit, subtype_of};
use super::targets::StarType;
use hdf5::H5Type;
use hdf5::types::FixedAscii;
use ndarray::{ArrayView2, ArrayView3};
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::path::Path;

/// Rows that are made and written together.
const ROWS_AT_ONCE: usize = 128;
/// Fits that are kept of a target: three a family.
const FITS: usize = 9;
/// Points of the parabola around each fit.
const POINTS: usize = 15;
/// Penalised points at the low end of a galaxy scan.
const PENALISED: usize = 2;

/// A template that spectra are compared with.
#[derive(Debug)]
pub struct Template {
    /// Family, and after `:::` the subtype.
    pub name: String,
    family: Family,
    subtype: &'static str,
    coefficients: usize,
    redshifts: Vec<f64>,
}

impl Template {
    /// The version that the redrock header states.
    pub fn version(&self) -> &'static str {
        match self.family {
            Family::Galaxy => "2.6",
            Family::Quasar => "1.0",
            Family::Star => "unknown",
        }
    }
}

/// Every template, in the pipeline's order, with the redshifts it is tried at.
pub fn templates() -> Vec<Template> {
    let logarithmic = |low: f64, high: f64, count: usize| -> Vec<f64> {
        let step = (high.ln() - low.ln()) / (count - 1) as f64;
        (0..count).map(|i| (low.ln() + step * i as f64).exp_m1()).collect()
    };
    let template = |family: Family, subtype, coefficients, redshifts| {
        let name = match subtype {
            "" => family.name().to_owned(),
            _ => format!("{}:::{subtype}", family.name()),
        };
        Template { name, family, subtype, coefficients, redshifts }
    };
    let galaxy: Vec<f64> =
        (0..1446).map(|i| 10f64.powf(0.995f64.log10() + f64::from(i) * 3e-4) - 1.0).collect();
    let star: Vec<f64> = (0..101).map(|i| -0.002 + f64::from(i) * 4e-5).collect();
    let mut all = vec![
        template(Family::Galaxy, "", 10, galaxy),
        template(Family::Quasar, "HIZ", 4, logarithmic(2.4, 7.993_026_3, 1046)),
        template(Family::Quasar, "LOZ", 4, logarithmic(1.05, 2.598_300_03, 788)),
    ];
    all.extend(StarType::ALL.map(|kind| {
        let (subtype, coefficients) = subtype_of(Family::Star, 0.0, kind);
        template(Family::Star, subtype, coefficients as usize, star.clone())
    }));
    all
}

/// One of the nine best fits, packed as the archive packs it: 401 bytes.
#[derive(Clone, Copy, H5Type)]
#[repr(C, packed)]
struct ZFit {
    targetid: i64,
    z: f64,
    zerr: f64,
    zwarn: i64,
    chi2: f64,
    zz: [f64; POINTS],
    zzchi2: [f64; POINTS],
    coeff: [f64; COEFFICIENTS],
    npixels: i64,
    spectype: FixedAscii<6>,
    subtype: FixedAscii<3>,
    ncoeff: i64,
    znum: i64,
    deltachi2: f64,
}

/// Writes the file; scans take every `thin`-th redshift.
///
/// # Errors
/// Those of the HDF5 library.
pub fn write(path: &Path, seed: Seed, objects: &[Object], thin: usize) -> hdf5::Result<()> {
    let file = hdf5::File::create(path)?;
    let ids: Vec<i64> = objects.iter().map(|o| o.target.target_id).collect();
    file.new_dataset::<i64>().shape(ids.len()).create("targetids")?.write(&ids[..])?;
    for (number, mut template) in templates().into_iter().enumerate() {
        template.redshifts = template.redshifts.into_iter().step_by(thin).collect();
        write_scan(&file, seed, number, &template, objects)?;
    }
    let mut written = BTreeSet::new();
    for (row, object) in objects.iter().enumerate() {
        let id = object.target.target_id;
        if written.insert(id) {
            let fits = best_fits(seed.dice(Purpose::RunnersUp, row), object);
            let dataset = file.new_dataset::<ZFit>().packed(true).shape(FITS);
            dataset.create(format!("zfit/{id}/zfit").as_str())?.write(&fits[..])?;
        }
    }
    Ok(())
}

/// A row of a scan: χ², penalty and coefficients at each redshift.
struct Scan {
    chi2: Vec<f64>,
    penalty: Vec<f64>,
    coefficients: Vec<f64>,
}

fn write_scan(
    file: &hdf5::File,
    seed: Seed,
    number: usize,
    template: &Template,
    objects: &[Object],
) -> hdf5::Result<()> {
    let group = file.create_group(&format!("zscan/{}", template.name))?;
    let [rows, points, count] = [objects.len(), template.redshifts.len(), template.coefficients];
    let chi2 = group.new_dataset::<f64>().shape((rows, points)).create("zchi2")?;
    let penalty = group.new_dataset::<f64>().shape((rows, points)).create("penalty")?;
    let coefficients = group.new_dataset::<f64>().shape((rows, points, count)).create("zcoeff")?;
    let plane = |values: &[f64]| values.len() / points;
    for (chunk_number, chunk) in objects.chunks(ROWS_AT_ONCE).enumerate() {
        let first = chunk_number * ROWS_AT_ONCE;
        let scans: Vec<Scan> = chunk
            .par_iter()
            .enumerate()
            .map(|(i, o)| scan(seed.dice_of(Purpose::Scan, number, first + i), template, o))
            .collect();
        let range = first..first + chunk.len();
        let gather = |of: fn(&Scan) -> &[f64]| scans.iter().map(of).collect::<Vec<_>>().concat();
        for (dataset, values) in [(&chi2, gather(|s| &s.chi2)), (&penalty, gather(|s| &s.penalty))]
        {
            let view = ArrayView2::from_shape((plane(&values), points), &values);
            dataset.write_slice(view.map_err(shape_error)?, (range.clone(), ..))?;
        }
        let values = gather(|s| &s.coefficients);
        let view = ArrayView3::from_shape((chunk.len(), points, count), &values);
        coefficients.write_slice(view.map_err(shape_error)?, (range, .., ..))?;
    }
    group.new_dataset::<f64>().shape(points).create("redshifts")?.write(&template.redshifts[..])
}

fn shape_error(error: ndarray::ShapeError) -> hdf5::Error {
    hdf5::Error::from(error.to_string())
}

/// Far from the solution χ² is flat; near it, in the template's own scan, there is a well.
fn scan(mut dice: Dice, template: &Template, object: &Object) -> Scan {
    let fit = &object.fit;
    let depth = resolvable(fit);
    let is_own = fit.family == template.family && fit.subtype == template.subtype;
    let level = fit.chi2 + depth * if is_own { 2.0 } else { 3.0 };
    let well = if is_own { 2.2 * depth } else { 0.0 };
    let width = 0.002 * (1.0 + fit.z.abs());
    let chi2 = template.redshifts.iter().map(|z| {
        let bell = well * (-0.5 * ((z - fit.z) / width).powi(2)).exp();
        let value = level + 0.3 * depth * dice.normal(0.0, 1.0) - bell;
        if fit.pixel_count == 0 { 0.0 } else { value }
    });
    let chi2: Vec<f64> = chi2.collect();
    let mut penalty = vec![0.0; chi2.len()];
    if template.family == Family::Galaxy {
        penalty.iter_mut().take(PENALISED).for_each(|p| *p = dice.gamma(1, 1.0));
    }
    let coefficients =
        (0..chi2.len() * template.coefficients).map(|_| dice.normal(0.0, 30.0)).collect();
    Scan { chi2, penalty, coefficients }
}

/// A χ² difference that later fits can be told apart by.
fn resolvable(fit: &Fit) -> f64 {
    fit.delta_chi2.max(1e-3)
}

/// The row of `REDSHIFTS` first, then worse and worse: three of its family, three of each other.
fn best_fits(mut dice: Dice, object: &Object) -> Vec<ZFit> {
    let fit = &object.fit;
    let others = Family::ALL.into_iter().filter(|family| *family != fit.family);
    let families = [fit.family].into_iter().chain(others).flat_map(|family| [family; 3]);
    let mut chi2 = fit.chi2;
    let mut gap = fit.delta_chi2;
    let fits = families.enumerate().map(|(rank, family)| {
        let record = match rank {
            0 => record(object, fit, rank, chi2, gap),
            _ => {
                let other = runner_up(&mut dice, fit, family);
                record(object, &other, rank, chi2, if rank + 1 < FITS { gap } else { 0.0 })
            }
        };
        chi2 += gap;
        gap = resolvable(fit) * dice.gamma(1, 0.3);
        record
    });
    fits.collect()
}

fn runner_up(dice: &mut Dice, best: &Fit, family: Family) -> Fit {
    let z = match family {
        Family::Galaxy => dice.uniform(-0.005, 1.7),
        Family::Quasar => dice.uniform(0.05, 6.99),
        Family::Star => dice.uniform(-0.002, 0.002),
    };
    let star = StarType::ALL[dice.below(StarType::ALL.len())];
    let (subtype, coefficient_count) = subtype_of(family, z, star);
    Fit {
        z,
        z_error: dice.lognormal(1e-4, 0.5),
        warnings: 0,
        coefficients: [0.0; COEFFICIENTS],
        coefficient_count,
        family,
        subtype,
        ..best.clone()
    }
}

fn record(object: &Object, fit: &Fit, rank: usize, chi2: f64, delta_chi2: f64) -> ZFit {
    /// Half of the range of the parabola's points.
    const REACH: f64 = 0.0016;
    let middle = (POINTS / 2) as f64;
    let is_close = rank > 0 && delta_chi2 < super::redshifts::SMALL_DELTA_CHI2;
    ZFit {
        targetid: object.target.target_id,
        z: fit.z,
        zerr: fit.z_error,
        zwarn: if is_close { 4 } else { fit.warnings },
        chi2,
        zz: std::array::from_fn(|i| fit.z + REACH * (i as f64 - middle) / middle),
        zzchi2: std::array::from_fn(|i| chi2 + (i as f64 - middle).powi(2)),
        coeff: fit.coefficients,
        npixels: fit.pixel_count as i64,
        spectype: short(fit.family.name()),
        subtype: short(fit.subtype),
        ncoeff: fit.coefficient_count,
        znum: rank as i64,
        deltachi2: delta_chi2,
    }
}

fn short<const N: usize>(word: &str) -> FixedAscii<N> {
    FixedAscii::from_ascii(word).unwrap_or_default()
}
