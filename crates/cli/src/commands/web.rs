//! `bifrost web`: the cosmic web of the whole survey, as a product and as filaments.

use super::groups;
use super::stage;
use crate::context::Context;
use crate::exit::{Exit, Usage, usage};
use crate::printer::table;
use crate::progress;
use crate::rows::Output;
use crate::survey::{self, Piece};
use anyhow::Context as _;
use bifrost_science::cosmology::Cosmology;
use bifrost_science::skeleton::Kind;
use bifrost_stages::groups as friends;
use bifrost_stages::picture;
use bifrost_stages::survey::Cap;
use bifrost_stages::web::{self, Settings, Web, export};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Arguments of `bifrost web`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    groups: groups::Options,
    /// Write filaments (NDskl, VTK, Parquet) and a wedge (SVG, PNG) here, a file each for a tracer and cap
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    #[command(flatten)]
    which: stage::run::Which,
}

/// What may also be set in `bifrost.toml`, under `[web]`, with the same spelling; galaxies and groups are
/// those of `[groups]`.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[group(skip)]
pub struct Options {
    /// Filaments that stand out by so many sigmas, 0 to 8 [default: 3]
    #[arg(long, value_name = "N")]
    sigmas: Option<f64>,
    /// How often densities are averaged over neighbours before filaments are looked for [default: 1]
    #[arg(long, value_name = "N")]
    smooth_density: Option<usize>,
    /// How often filaments are smoothed [default: 1]
    #[arg(long, value_name = "N")]
    smooth_filaments: Option<usize>,
    /// Sets of random points for the classes [default: 100]
    #[arg(long, value_name = "N")]
    realisations: Option<u32>,
    /// Seed of the random points [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

impl Options {
    fn settings(&self, those: &Self, groups: friends::Settings) -> Result<Settings, Usage> {
        let usual = Settings::default();
        let settings = Settings {
            groups,
            sigmas: self.sigmas.or(those.sigmas).unwrap_or(usual.sigmas),
            smooth_density: self
                .smooth_density
                .or(those.smooth_density)
                .unwrap_or(usual.smooth_density),
            smooth_filaments: (self.smooth_filaments.or(those.smooth_filaments))
                .unwrap_or(usual.smooth_filaments),
            realisations: self.realisations.or(those.realisations).unwrap_or(usual.realisations),
            seed: self.seed.or(those.seed).unwrap_or(usual.seed),
            ..usual
        };
        match settings.sigmas {
            sigmas if (0.0..=8.0).contains(&sigmas) => Ok(settings),
            sigmas => Err(usage(format!("--sigmas {sigmas}: it must be 0 to 8"))),
        }
    }
}

#[derive(Debug, Serialize)]
struct Report {
    version: u32,
    webs: Vec<Told>,
    stage: Option<stage::report::Report>,
}

#[derive(Debug, Serialize)]
struct Told {
    tracer: String,
    cap: Cap,
    galaxies: usize,
    boundary: usize,
    /// Galaxies that are void, sheet, filament, knot.
    classes: [usize; 4],
    filaments: usize,
    peaks: usize,
    files: Vec<PathBuf>,
}

/// Runs the command.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    let (tracers, groups) = args.groups.or(&ctx.settings.groups).settings()?;
    let settings = args.options.settings(&ctx.settings.web, groups)?;
    let cosmology = Cosmology::desi();
    let (lake, registry) = (ctx.lake()?, ctx.registry()?);
    ctx.block_on(super::run::sync_lake(ctx, &registry, &lake))?;
    let pieces = survey::pieces(ctx, &registry, &tracers)?;
    if pieces.is_empty() {
        ctx.printer.note("no galaxy of any tracer is there");
        return Ok(Exit::NothingMatched);
    }
    let bar = progress::bar(&ctx.printer, pieces.len() as u64, "samples");
    let mut webs = Vec::new();
    for piece in &pieces {
        let told =
            |step: &'static str| bar.set_message(format!("{} {}: {step}", piece.tracer, piece.cap));
        webs.push(web::find(&piece.sample, &cosmology, &settings, &told)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let samples: Vec<Value> = pieces.iter().map(Piece::about).collect();
    let configuration = survey::configuration(&settings, &tracers, &cosmology, &samples);
    let found: Vec<_> = pieces.iter().map(|piece| &piece.sample).zip(&webs).collect();
    let made = stage::run::make(ctx, &args.which, &web::stage(configuration, &found)?)?;
    let mut told = Vec::new();
    for (piece, web) in pieces.iter().zip(&webs) {
        let mut files = Vec::new();
        if let Some(folder) = args.output.as_deref().filter(|_| !args.which.dry_run) {
            files = write(folder, piece, web)?;
        }
        told.push(Told::of(piece, web, files));
    }
    ctx.printer.data(&Report { version: 1, webs: told, stage: made.report }, Report::show)?;
    made.exit
}

/// The skeleton in every form, and the wedge.
fn write(folder: &Path, piece: &Piece, web: &Web) -> anyhow::Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("failed to make the folder {}", folder.display()))?;
    let name = format!("{}-{}", piece.tracer, piece.cap);
    let mut files = Vec::new();
    let mut put = |suffix: &str, bytes: &[u8]| -> anyhow::Result<()> {
        let path = folder.join(format!("{name}.{suffix}"));
        let mut out = Output::open(Some(&path))?;
        out.write(bytes)?;
        out.finish()?;
        files.push(path);
        Ok(())
    };
    for form in export::Form::ALL {
        let mut bytes = Vec::new();
        export::write(form, &web.skeleton, &web.positions, &mut bytes)?;
        put(form.suffix(), &bytes)?;
    }
    put("segments.parquet", &export::parquet(&web.skeleton)?)?;
    let wedge = web::wedge(&name, &piece.sample, web)?;
    put("svg", wedge.as_bytes())?;
    put("png", &picture::png(&wedge)?)?;
    Ok(files)
}

impl Told {
    fn of(piece: &Piece, web: &Web, files: Vec<PathBuf>) -> Self {
        let mut classes = [0; 4];
        for class in web.class.iter().filter_map(|class| class.class()) {
            classes.get_mut(class as usize).into_iter().for_each(|count| *count += 1);
        }
        Self {
            tracer: piece.tracer.clone(),
            cap: piece.cap,
            galaxies: piece.sample.len(),
            boundary: web.is_boundary.iter().filter(|is| **is).count(),
            classes,
            filaments: web.skeleton.filaments.len(),
            peaks: web.skeleton.nodes.iter().filter(|node| node.kind == Kind::Maximum).count(),
            files,
        }
    }
}

impl Report {
    fn show(&self) -> String {
        let head = [
            "tracer",
            "cap",
            "galaxies",
            "at the boundary",
            "void",
            "sheet",
            "filament",
            "knot",
            "filaments",
            "peaks",
        ];
        let mut rows = table(&head, &[2, 3, 4, 5, 6, 7, 8, 9]);
        for web in &self.webs {
            let counts = [web.galaxies, web.boundary].into_iter().chain(web.classes);
            let counts = counts.chain([web.filaments, web.peaks]).map(|count| count.to_string());
            let names = [web.tracer.clone(), web.cap.to_string()];
            rows.add_row(names.into_iter().chain(counts));
        }
        let files = self.webs.iter().flat_map(|web| &web.files);
        let files: String = files.map(|path| format!("\nwrote {}", path.display())).collect();
        let stage = self.stage.as_ref().map(stage::report::Report::show).unwrap_or_default();
        format!("{rows}\n{stage}{files}")
    }
}
