//! `bifrost groups`: groups of galaxies of the whole survey, as a product and a catalog.

use super::{stage, web::known};
use crate::completeness;
use crate::context::Context;
use crate::exit::{Exit, Usage, usage};
use crate::printer::table;
use crate::progress;
use crate::survey::{self, Piece, Whole};
use bifrost_science::cosmology::Cosmology;
use bifrost_stages::groups::{self, Found, Settings};
use bifrost_stages::survey::{Cap, Completeness, Tracer};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Arguments of `bifrost groups`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    which: stage::run::Which,
}

/// What may also be set in `bifrost.toml`, under `[groups]`, with the same spelling (`tracers` is a
/// list of `{name, where}`).
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[group(skip)]
pub struct Options {
    /// A kind of galaxies, NAME=CONDITION in SQL; several make several samples, and a galaxy of two is
    /// of the first [default: bright and dark galaxies of the main survey]
    #[arg(long = "tracer", value_name = "NAME=CONDITION", value_parser = survey::parse_tracer)]
    tracers: Option<Vec<Tracer>>,
    /// Where on the sky the survey looked, as a MOC of the IVOA (FITS, JSON, ASCII): galaxies elsewhere are
    /// left out [default: the pixels of the tiles that hold any of the sample]
    #[arg(long, value_name = "MOC")]
    mask: Option<PathBuf>,
    /// Linking length on the sky, in mean separations of galaxies [default: 0.05]
    #[arg(long, value_name = "B")]
    b0: Option<f64>,
    /// How much longer links are along the line of sight [default: 18]
    #[arg(long, value_name = "R")]
    r0: Option<f64>,
    /// No link reaches beyond a halo of this mass, solar masses [default: 1e15]
    #[arg(long, value_name = "MASS")]
    largest_halo: Option<f64>,
    /// Part of the targets that have a redshift, above 0 and up to 1: a number, a column of a product, or a
    /// file: a HEALPix map (FITS), or a table (FITS, Parquet, CSV) of objects by target_id, or of places by ra
    /// and dec [default: 1]
    #[arg(long, value_name = "PART|COLUMN|FILE")]
    completeness: Option<completeness::Asked>,
    /// Its column in that file [default: completeness, fracz_tilelocid, comp_tile, or 1/weight_comp]
    #[arg(long, value_name = "NAME")]
    completeness_column: Option<String>,
    /// Smoothing of the number density along the line of sight, comoving Mpc [default: 50]
    #[arg(long, value_name = "MPC")]
    smoothing: Option<f64>,
    /// Error of the galaxies' velocities, taken out of velocity dispersions, km/s [default: 10]
    #[arg(long, value_name = "KM/S")]
    velocity_error: Option<f64>,
    /// Distances are those of flat ΛCDM with this Hubble constant, in 100 km/s/Mpc, and --omega-m [default:
    /// both are those of DESI's fiducial cosmology, with its radiation and neutrinos]
    #[arg(long, value_name = "H")]
    h: Option<f64>,
    /// Matter today by the critical density, with --h
    #[arg(long, value_name = "PART")]
    omega_m: Option<f64>,
}

impl Options {
    pub(super) fn or(&self, those: &Self) -> Self {
        Self {
            tracers: self.tracers.clone().or_else(|| those.tracers.clone()),
            mask: self.mask.clone().or_else(|| those.mask.clone()),
            b0: self.b0.or(those.b0),
            r0: self.r0.or(those.r0),
            largest_halo: self.largest_halo.or(those.largest_halo),
            completeness: self.completeness.clone().or_else(|| those.completeness.clone()),
            completeness_column: self
                .completeness_column
                .clone()
                .or_else(|| those.completeness_column.clone()),
            smoothing: self.smoothing.or(those.smoothing),
            velocity_error: self.velocity_error.or(those.velocity_error),
            h: self.h.or(those.h),
            omega_m: self.omega_m.or(those.omega_m),
        }
    }

    fn cosmology(&self) -> Result<Cosmology, Usage> {
        match (self.h, self.omega_m) {
            (None, None) => Ok(Cosmology::desi()),
            (Some(h), Some(omega_m)) => Cosmology::flat(h, omega_m).map_err(|_| {
                let text = "h is a number above 0, matter a part from 0 to 1";
                usage(format!("--h {h} --omega-m {omega_m}: {text}"))
            }),
            (Some(_), None) => Err(usage("--h is of a cosmology with --omega-m: give both")),
            (None, Some(_)) => Err(usage("--omega-m is of a cosmology with --h: give both")),
        }
    }

    /// The samples, of the galaxies that are there now.
    pub(super) fn read(&self, ctx: &Context, tracers: Vec<Tracer>) -> anyhow::Result<Whole> {
        let column = self.completeness_column.as_deref();
        let completeness = match (&self.completeness, column) {
            (Some(asked), _) => asked.read(column)?,
            (None, Some(name)) => return Err(completeness::no_file(name).into()),
            (None, None) => Completeness::default(),
        };
        Whole::read(ctx, tracers, self.mask.as_deref(), completeness, self.cosmology()?)
    }

    /// With what is the default of the rest.
    pub(super) fn settings(&self) -> Result<(Vec<Tracer>, Settings), Usage> {
        let usual = Settings::default();
        let positive = |value: Option<f64>, usual: f64, name: &str| match value.unwrap_or(usual) {
            value if value > 0.0 && value.is_finite() => Ok(value),
            value => Err(usage(format!("--{name} {value}: it must be a number above 0"))),
        };
        let settings = Settings {
            b0: positive(self.b0, usual.b0, "b0")?,
            r0: positive(self.r0, usual.r0, "r0")?,
            largest_halo: positive(self.largest_halo, usual.largest_halo, "largest-halo")?,
            smoothing: positive(self.smoothing, usual.smoothing, "smoothing")?,
            velocity_error: self.velocity_error.unwrap_or(usual.velocity_error),
        };
        if !(settings.velocity_error >= 0.0 && settings.velocity_error.is_finite()) {
            let text = "it must be a number from 0 up";
            return Err(usage(format!("--velocity-error {}: {text}", settings.velocity_error)));
        }
        self.cosmology()?;
        let tracers = self.tracers.clone().unwrap_or_else(Tracer::of_main);
        survey::check_names(&tracers)?;
        Ok((tracers, settings))
    }
}

#[derive(Debug, Serialize)]
struct Report {
    version: u32,
    catalogs: Vec<Catalog>,
    stage: Option<stage::report::Report>,
}

#[derive(Debug, Serialize)]
struct Catalog {
    tracer: String,
    cap: Cap,
    galaxies: usize,
    grouped: usize,
    groups: usize,
    largest: u32,
}

/// Runs the command.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    let options = args.options.or(&ctx.settings.groups);
    let (tracers, settings) = options.settings()?;
    let whole = options.read(ctx, tracers)?;
    if whole.pieces.is_empty() {
        return Ok(Exit::NothingMatched);
    }
    let configuration = whole.configuration(&settings);
    let mut found = Vec::new();
    let galaxies = whole.pieces.iter().map(|piece| piece.sample.len() as u64).sum();
    let bar = progress::shares(&ctx.printer, galaxies);
    for piece in &whole.pieces {
        bar.set_message(format!("{} {}: groups", piece.tracer, piece.cap));
        let groups = groups::find(&piece.sample, &piece.mask, &whole.cosmology, &settings);
        let groups = groups.map_err(|error| match error {
            groups::Error::Density(error) => usage(error).into(),
            error => anyhow::Error::from(error),
        })?;
        found.push((&piece.sample, groups));
        bar.inc(piece.sample.len() as u64);
    }
    bar.finish_and_clear();
    let parts: Vec<_> = found.iter().map(|(sample, found)| (*sample, found)).collect();
    let given = groups::stage(configuration.clone(), &parts)?;
    let made = stage::run::make(ctx, &args.which, &given)?;
    let found = || whole.pieces.iter().zip(found.iter().map(|(_, found)| found));
    if !args.which.dry_run {
        let catalog = |(piece, found): (&Piece, &Found)| {
            found.catalog(&piece.tracer, &piece.cap.to_string(), &configuration)
        };
        let catalogs: Vec<_> = found().map(catalog).collect();
        // a catalog beside files of other settings would tell what they do not
        match args.which.is_of_all() || known::are_of(ctx, &whole, &configuration)? {
            true => ctx.block_on(whole.registry.put_groups(&catalogs))?,
            false => ctx.printer.note(
                "galaxy_groups in SQL stays as it was, since other tiles' groups are of other settings or \
                 galaxies: run it without tiles to make all of them alike",
            ),
        }
    }
    let catalogs = found().map(|(piece, found)| Catalog::of(piece, found));
    let report = Report { version: 1, catalogs: catalogs.collect(), stage: made.report };
    ctx.printer.data(&report, Report::show)?;
    made.exit
}

impl Catalog {
    fn of(piece: &Piece, found: &Found) -> Self {
        Self {
            tracer: piece.tracer.clone(),
            cap: piece.cap,
            galaxies: piece.sample.len(),
            grouped: found.group_id.iter().flatten().count(),
            groups: found.groups.size.len(),
            largest: found.groups.size.iter().copied().max().unwrap_or(0),
        }
    }
}

impl Report {
    fn show(&self) -> String {
        let head = ["tracer", "cap", "galaxies", "in groups", "groups", "largest"];
        let mut rows = table(&head, &[2, 3, 4, 5]);
        for catalog in &self.catalogs {
            rows.add_row([
                catalog.tracer.clone(),
                catalog.cap.to_string(),
                catalog.galaxies.to_string(),
                catalog.grouped.to_string(),
                catalog.groups.to_string(),
                catalog.largest.to_string(),
            ]);
        }
        let stage = self.stage.as_ref().map(stage::report::Report::show).unwrap_or_default();
        format!("{rows}\n{stage}")
    }
}
