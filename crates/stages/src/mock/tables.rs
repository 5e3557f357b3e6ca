//! The tables of coadd and redrock: each column's name, type, unit and value stand on one line,
//! in the archive's order.

use super::Object;
use super::arms::{Arm, Score};
use super::exposures::Visit;
use super::spectra::nanomaggies;
use super::targets::{Class, NORTH_DEC_DEG};
use crate::fits::write::{Cell, Column, Header, Table};

/// Target bits of `DESI_TARGET`.
mod target_bit {
    pub(super) const LRG: i64 = 1;
    pub(super) const ELG: i64 = 1 << 1;
    pub(super) const QSO: i64 = 1 << 2;
    pub(super) const SKY: i64 = 1 << 32;
    pub(super) const BGS_ANY: i64 = 1 << 60;
    pub(super) const MWS_ANY: i64 = 1 << 61;
}

/// Where and in which campaign: what decides columns beyond the objects themselves.
#[derive(Debug, Clone, Copy)]
pub struct Campaign<'a> {
    /// Survey.
    pub survey: &'a str,
    /// Program.
    pub program: &'a str,
}

impl Campaign<'_> {
    /// The prefix of the target bit columns that the survey validation has of its own.
    fn validation(&self) -> Option<String> {
        matches!(self.survey, "sv1" | "sv2" | "sv3").then(|| self.survey.to_uppercase())
    }
}

fn column<T: Cell>(
    name: &str,
    unit: &'static str,
    objects: &[&Object],
    value: impl Fn(&Object) -> T,
) -> Column {
    Column::new(name, unit, objects.iter().map(|o| value(o)))
}

fn text<'a>(
    name: &str,
    width: usize,
    objects: &'a [&Object],
    value: impl Fn(&'a Object) -> &'a str,
) -> Column {
    Column::text(name, width, objects.iter().map(|o| value(o)))
}

/// `FIBERMAP`: 317 bytes a row, 341 for the survey validation.
pub fn fibermap(objects: &[&Object], campaign: Campaign<'_>, cards: Header) -> Table {
    let mut columns = targeting_columns(objects);
    columns.extend(photometry_columns(objects));
    columns.extend(gaia_columns(objects));
    columns.extend(target_bit_columns(objects, campaign));
    columns.extend(coadd_columns(objects));
    Table::new("FIBERMAP", objects.len(), columns, cards)
}

fn targeting_columns(objects: &[&Object]) -> Vec<Column> {
    let names: Vec<String> = objects.iter().map(|o| brick_name(o)).collect();
    // an unassigned fiber knows nothing of the targeting catalogue
    let real = |o: &Object, value: i64| if o.target.class == Class::Unassigned { 0 } else { value };
    let sky_or = |o: &Object, object: i64, sky: i64| match o.target.class {
        Class::Sky => sky,
        Class::Unassigned => 0,
        _ => object,
    };
    let motion = |o: &Object, i: usize| {
        if o.target.class.is_star() { o.photometry.proper_motion_mas_yr[i] as f32 } else { 0.0 }
    };
    vec![
        column("TARGETID", "", objects, |o| o.target.target_id),
        column("COADD_FIBERSTATUS", "", objects, |o| o.observation.status),
        column("TARGET_RA", "deg", objects, |o| o.target.ra_deg),
        column("TARGET_DEC", "deg", objects, |o| o.target.dec_deg),
        column("PMRA", "mas yr-1", objects, |o| motion(o, 0)),
        column("PMDEC", "mas yr-1", objects, |o| motion(o, 1)),
        column("REF_EPOCH", "yr", objects, |o| of_object(o, 2015.5)),
        column("FA_TARGET", "", objects, |o| o.target_bits),
        column("FA_TYPE", "", objects, |o| sky_or(o, 1, 4) as u8),
        text("OBJTYPE", 3, objects, |o| objtype(o)),
        column("SUBPRIORITY", "", objects, |o| match o.target.class {
            Class::Unassigned => 0.0,
            _ => o.photometry.subpriority,
        }),
        column("OBSCONDITIONS", "", objects, |o| sky_or(o, 1, 63) as i32),
        column("RELEASE", "", objects, |o| real(o, o.target.catalogue_release) as i16),
        Column::text("BRICKNAME", 8, names.iter().map(String::as_str)),
        column("BRICKID", "", objects, |o| real(o, o.target.brick_id) as i32),
        column("BRICK_OBJID", "", objects, |o| real(o, o.target.objid) as i32),
        text("MORPHTYPE", 4, objects, |o| match o.target.class {
            Class::Galaxy => "SER",
            class if class.is_object() => "PSF",
            _ => "",
        }),
    ]
}

fn photometry_columns(objects: &[&Object]) -> Vec<Column> {
    const BANDS: [(&str, f64); 5] = [("G", -0.5), ("R", 0.0), ("Z", 0.4), ("W1", 0.9), ("W2", 0.6)];
    let flux = |o: &Object, slope: f64| {
        let colour = if o.target.class == Class::Quasar { 2.5 } else { 1.6 - o.target.young };
        nanomaggies(o.target.r_mag) * 10f64.powf(0.4 * slope * colour.max(0.3))
    };
    let bands = |prefix: &str, unit, count, value: &dyn Fn(f64) -> f64| -> Vec<Column> {
        let bands = BANDS.iter().take(count);
        bands
            .map(|(band, slope)| {
                let name = format!("{prefix}_{band}");
                column(&name, unit, objects, |o| of_object(o, value(flux(o, *slope))))
            })
            .collect()
    };
    let galaxy = |o: &Object, value: f64| match o.target.class {
        Class::Galaxy => value as f32,
        _ => 0.0,
    };
    let mut columns = vec![column("EBV", "mag", objects, |o| of_object(o, o.photometry.ebv))];
    columns.extend(bands("FLUX", "nanomaggy", 5, &|f| f));
    columns.extend(bands("FLUX_IVAR", "nanomaggy^-2", 5, &|f| 200.0 / (1.0 + f)));
    columns.extend(bands("FIBERFLUX", "nanomaggy", 3, &|f| 0.6 * f));
    columns.extend(bands("FIBERTOTFLUX", "nanomaggy", 3, &|f| 0.605 * f));
    columns.extend([
        column("MASKBITS", "", objects, |_| 0i16),
        column("SERSIC", "", objects, |o| galaxy(o, o.photometry.sersic)),
        column("SHAPE_R", "arcsec", objects, |o| galaxy(o, o.photometry.radius_arcsec)),
        column("SHAPE_E1", "", objects, |o| galaxy(o, o.photometry.ellipticity[0])),
        column("SHAPE_E2", "", objects, |o| galaxy(o, o.photometry.ellipticity[1])),
    ]);
    columns
}

fn gaia_columns(objects: &[&Object]) -> Vec<Column> {
    let star = |o: &Object, value: f64| if o.target.class.is_star() { value as f32 } else { 0.0 };
    let wanted = |o: &Object, object: i64| match o.target.class {
        Class::Sky => -1,
        Class::Unassigned => 0,
        _ => object,
    };
    vec![
        column("REF_ID", "", objects, |o| {
            let id =
                4_000_000_000_000_000_000 + o.target.target_id.rem_euclid(1_000_000_000_000_000);
            if o.target.class.is_star() { id } else { 0 }
        }),
        text("REF_CAT", 2, objects, |o| if o.target.class.is_star() { "G2" } else { "" }),
        column("GAIA_PHOT_G_MEAN_MAG", "mag", objects, |o| star(o, o.target.r_mag)),
        column("GAIA_PHOT_BP_MEAN_MAG", "mag", objects, |o| star(o, o.target.r_mag + 0.3)),
        column("GAIA_PHOT_RP_MEAN_MAG", "mag", objects, |o| star(o, o.target.r_mag - 0.4)),
        column("PARALLAX", "mas", objects, |o| star(o, o.photometry.parallax_mas)),
        text("PHOTSYS", 1, objects, |o| match o.target.class.is_object() {
            true if o.target.dec_deg < NORTH_DEC_DEG => "S",
            true => "N",
            false => "",
        }),
        column("PRIORITY_INIT", "", objects, |o| wanted(o, 3200)),
        column("NUMOBS_INIT", "", objects, |o| wanted(o, 2)),
    ]
}

/// `DESI_TARGET` of a target in a program.
pub fn target_bits(class: Class, young: f64, program: &str) -> i64 {
    use target_bit::{BGS_ANY, ELG, LRG, MWS_ANY, QSO, SKY};
    match class {
        Class::Galaxy if program == "bright" => BGS_ANY,
        Class::Galaxy if young > 0.5 => ELG,
        Class::Galaxy => LRG,
        Class::Star(_) if program == "bright" => MWS_ANY,
        // stars among dark targets are quasar candidates that were none
        Class::Quasar | Class::Star(_) => QSO,
        Class::Sky => SKY,
        Class::Unassigned => 0,
    }
}

fn target_bit_columns(objects: &[&Object], campaign: Campaign<'_>) -> Vec<Column> {
    let is_bright = campaign.program == "bright";
    let bgs = |o: &Object| if is_bright && o.target.class == Class::Galaxy { 2 } else { 0 };
    let mws = |o: &Object| if is_bright && o.target.class.is_star() { 1 << 8 } else { 0 };
    let none = |_: &Object| 0i64;
    let column = |name: &str, bits: &dyn Fn(&Object) -> i64| column(name, "", objects, bits);
    match campaign.validation() {
        None => vec![
            column("DESI_TARGET", &|o| o.target_bits),
            column("BGS_TARGET", &bgs),
            column("MWS_TARGET", &mws),
            column("SCND_TARGET", &none),
        ],
        Some(prefix) => vec![
            column(&format!("{prefix}_DESI_TARGET"), &|o| o.target_bits),
            column(&format!("{prefix}_BGS_TARGET"), &bgs),
            column(&format!("{prefix}_MWS_TARGET"), &mws),
            column(&format!("{prefix}_SCND_TARGET"), &none),
            column("DESI_TARGET", &none),
            column("BGS_TARGET", &none),
            column("MWS_TARGET", &none),
        ],
    }
}

fn coadd_columns(objects: &[&Object]) -> Vec<Column> {
    let used = |o: &Object, value: f64| if o.observation.is_used() { value } else { 0.0 };
    let distinct = |o: &Object, of: fn(&Visit) -> i32| {
        let mut seen: Vec<i32> = o.observation.visits.iter().map(of).collect();
        seen.sort_unstable();
        seen.dedup();
        used(o, seen.len() as f64) as i16
    };
    let mean = |o: &Object, of: fn(&Visit) -> f64| o.observation.mean(of) as f32;
    let spread = |o: &Object| if o.observation.visits.len() > 1 { 0.07f32 } else { 0.0 };
    vec![
        column("PLATE_RA", "deg", objects, |o| o.target.ra_deg),
        column("PLATE_DEC", "deg", objects, |o| o.target.dec_deg),
        column("COADD_NUMEXP", "", objects, |o| used(o, o.observation.visits.len() as f64) as i16),
        column("COADD_EXPTIME", "s", objects, |o| used(o, o.observation.seconds()) as f32),
        column("COADD_NUMNIGHT", "", objects, |o| distinct(o, |v| v.exposure.night)),
        column("COADD_NUMTILE", "", objects, |o| distinct(o, |v| v.exposure.pointing_id)),
        column("MEAN_DELTA_X", "mm", objects, |o| mean(o, |v| v.delta_x_mm)),
        column("RMS_DELTA_X", "mm", objects, |o| mean(o, |v| v.delta_x_mm.powi(2)).sqrt()),
        column("MEAN_DELTA_Y", "mm", objects, |o| mean(o, |v| v.delta_y_mm)),
        column("RMS_DELTA_Y", "mm", objects, |o| mean(o, |v| v.delta_y_mm.powi(2)).sqrt()),
        column("MEAN_FIBER_RA", "deg", objects, |o| o.observation.mean(|v| v.fiber_ra_deg)),
        column("STD_FIBER_RA", "arcsec", objects, spread),
        column("MEAN_FIBER_DEC", "deg", objects, |o| o.observation.mean(|v| v.fiber_dec_deg)),
        column("STD_FIBER_DEC", "arcsec", objects, spread),
        column("MEAN_PSF_TO_FIBER_SPECFLUX", "", objects, |o| mean(o, |v| v.psf_share)),
    ]
}

/// `EXP_FIBERMAP`: 162 bytes a row, one row a target and exposure. The redrock file leaves the
/// units out (`has_units`).
pub fn exp_fibermap(objects: &[&Object], has_units: bool, cards: Header) -> Table {
    let visits: Vec<(&Object, &Visit)> =
        objects.iter().flat_map(|o| o.observation.visits.iter().map(move |v| (*o, v))).collect();
    let visits = visits.as_slice();
    fn of<T: Cell>(
        visits: &[(&Object, &Visit)],
        name: &str,
        unit: &'static str,
        value: impl Fn(&Object, &Visit) -> T,
    ) -> Column {
        Column::new(name, unit, visits.iter().map(|(o, v)| value(o, v)))
    }
    let unit = |unit: &'static str| if has_units { unit } else { "" };
    let columns = vec![
        of(visits, "TARGETID", "", |o, _| o.target.target_id),
        of(visits, "PRIORITY", "", |_, _| 3200i32),
        of(visits, "SUBPRIORITY", "", |_, _| 0f64),
        of(visits, "NIGHT", "", |_, v| v.exposure.night),
        of(visits, "EXPID", "", |_, v| v.exposure.exposure_id),
        of(visits, "MJD", "", |_, v| v.exposure.mjd),
        of(visits, "TILEID", "", |_, v| v.exposure.pointing_id),
        of(visits, "EXPTIME", unit("s"), |_, v| v.exposure.seconds),
        of(visits, "PETAL_LOC", "", |_, v| v.exposure.petal as i16),
        of(visits, "DEVICE_LOC", "", |o, _| o.observation.device),
        of(visits, "LOCATION", "", |o, v| o.observation.location(v)),
        of(visits, "FIBER", "", |o, v| v.exposure.petal * 500 + o.observation.device % 500),
        of(visits, "FIBERSTATUS", "", |o, _| o.observation.status),
        of(visits, "FIBERASSIGN_X", unit("mm"), |_, v| v.x_mm as f32),
        of(visits, "FIBERASSIGN_Y", unit("mm"), |_, v| v.y_mm as f32),
        of(visits, "LAMBDA_REF", unit("Angstrom"), |_, _| 5400f32),
        of(visits, "PLATE_RA", unit("deg"), |o, _| o.target.ra_deg),
        of(visits, "PLATE_DEC", unit("deg"), |o, _| o.target.dec_deg),
        of(visits, "NUM_ITER", "", |_, _| 2i64),
        of(visits, "FIBER_X", unit("mm"), |_, v| v.x_mm),
        of(visits, "FIBER_Y", unit("mm"), |_, v| v.y_mm),
        of(visits, "DELTA_X", unit("mm"), |_, v| v.delta_x_mm),
        of(visits, "DELTA_Y", unit("mm"), |_, v| v.delta_y_mm),
        of(visits, "FIBER_RA", unit("deg"), |_, v| v.fiber_ra_deg),
        of(visits, "FIBER_DEC", unit("deg"), |_, v| v.fiber_dec_deg),
        of(visits, "PSF_TO_FIBER_SPECFLUX", "", |_, v| v.psf_share),
    ];
    Table::new("EXP_FIBERMAP", visits.len(), columns, cards)
}

/// Template signal-to-noise: kind, and what a good exposure of 1000 s brings in B, R, Z.
const TSNR2: [(&str, [f64; 3]); 8] = [
    ("GPBDARK", [215.0, 14_600.0, 3.6e-5]),
    ("ELG", [0.165, 31.5, 116.8]),
    ("GPBBRIGHT", [39.0, 2516.0, 6.5e-6]),
    ("LYA", [109.0, 0.080, 0.0]),
    ("BGS", [847.0, 2812.0, 5247.0]),
    ("GPBBACKUP", [248.0, 14_130.0, 4.0e-5]),
    ("QSO", [4.35, 9.5, 24.6]),
    ("LRG", [1.79, 45.1, 56.2]),
];

fn tsnr2_columns(objects: &[&Object]) -> Vec<Column> {
    let in_arm = |o: &Object, scales: &[f64; 3], arm: usize| scales[arm] * o.scores[arm].depth;
    let mut columns = Vec::new();
    for arm in Arm::ALL {
        columns.extend(TSNR2.iter().map(|(kind, scales)| {
            let name = format!("TSNR2_{kind}_{}", arm.letter());
            column(&name, "", objects, |o| in_arm(o, scales, arm as usize) as f32)
        }));
    }
    columns.extend(TSNR2.iter().map(|(kind, scales)| {
        column(&format!("TSNR2_{kind}"), "", objects, |o| {
            (0..3).map(|arm| in_arm(o, scales, arm)).sum::<f64>() as f32
        })
    }));
    columns
}

/// `SCORES`: 172 bytes a row.
pub fn scores(objects: &[&Object], cards: Header) -> Table {
    let mut columns = vec![column("TARGETID", "", objects, |o| o.target.target_id)];
    for arm in Arm::ALL {
        let score = |name: &str, value: fn(&Score) -> f32| {
            let name = format!("{name}_{}", arm.letter());
            column(&name, "", objects, move |o| value(&o.scores[arm as usize]))
        };
        columns.extend([
            score("INTEG_COADD_FLUX", |s| s.flux_integral),
            score("MEDIAN_COADD_FLUX", |s| s.flux_median),
            score("MEDIAN_COADD_SNR", |s| s.snr_median),
        ]);
    }
    columns.extend(tsnr2_columns(objects));
    Table::new("SCORES", objects.len(), columns, cards)
}

/// `TSNR2`: 136 bytes a row.
pub fn tsnr2(objects: &[&Object]) -> Table {
    let mut columns = vec![column("TARGETID", "", objects, |o| o.target.target_id)];
    columns.extend(tsnr2_columns(objects));
    Table::new("TSNR2", objects.len(), columns, Header::default())
}

/// `REDSHIFTS`: 170 bytes a row.
pub fn redshifts(objects: &[&Object]) -> Table {
    let columns = vec![
        column("TARGETID", "", objects, |o| o.target.target_id),
        column("Z", "", objects, |o| o.fit.z),
        column("ZERR", "", objects, |o| o.fit.z_error),
        column("ZWARN", "", objects, |o| o.fit.warnings),
        column("CHI2", "", objects, |o| o.fit.chi2),
        Column::vector("COEFF", objects.iter().map(|o| o.fit.coefficients)),
        column("NPIXELS", "", objects, |o| o.fit.pixel_count as i64),
        text("SPECTYPE", 6, objects, |o| o.fit.family.name()),
        text("SUBTYPE", 20, objects, |o| o.fit.subtype),
        column("NCOEFF", "", objects, |o| o.fit.coefficient_count),
        column("DELTACHI2", "", objects, |o| o.fit.delta_chi2),
    ];
    Table::new("REDSHIFTS", objects.len(), columns, Header::default())
}

/// `OBJTYPE` of a row.
pub fn objtype(object: &Object) -> &'static str {
    match object.target.class {
        Class::Sky => "SKY",
        Class::Unassigned => "",
        _ => "TGT",
    }
}

/// A number that only real objects have; 0 otherwise.
fn of_object(object: &Object, value: f64) -> f32 {
    if object.target.class.is_object() { value as f32 } else { 0.0 }
}

fn brick_name(object: &Object) -> String {
    if object.target.class == Class::Unassigned {
        return String::new();
    }
    let (ra, dec) = (object.target.ra_deg, object.target.dec_deg);
    let sign = if dec < 0.0 { 'm' } else { 'p' };
    format!("{:04}{sign}{:03}", (ra * 10.0) as u32, (dec.abs() * 10.0) as u32)
}
