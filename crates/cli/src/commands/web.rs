//! `bifrost web`: the cosmic web of the whole survey, as a product and as filaments.

use super::groups;
use super::run::stop_on_signals;
use super::stage;
use crate::archive;
use crate::context::Context;
use crate::exit::{Exit, TryAgain, Usage, usage};
use crate::leases::Leases;
use crate::positions;
use crate::printer::table;
use crate::progress;
use crate::rows::Output;
use crate::survey::{self, Piece};
use anyhow::Context as _;
use bifrost_campaign::Stop;
use bifrost_core::layout::Lake;
use bifrost_core::publish::Running;
use bifrost_science::cosmology::Cosmology;
use bifrost_science::skeleton::Kind;
use bifrost_science::work::Memory;
use bifrost_stages::groups as friends;
use bifrost_stages::survey::shared::{Shared, digest};
use bifrost_stages::survey::{Cap, Population, Randoms};
use bifrost_stages::web::{self, Blocks, Settings, Web, export};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes of memory that do not depend on galaxies, and those of each galaxy of all samples: what is read and
/// what is found of it.
const OF_THE_PROCESS: u64 = 64 << 20;
const OF_A_GALAXY: u64 = 140;
/// How often a process looks whether another has ended.
const LOOK: Duration = Duration::from_millis(100);

/// Arguments of `bifrost web`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    groups: groups::Options,
    /// Write filaments (NDskl, VTK, Parquet), the mask (MOC) and a wedge drawn as SVG here, a file each for a
    /// tracer and cap
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
    /// Stay below so much memory (as in 2GiB): the web is made in blocks, which are kept in --work. Processes
    /// that are given the same share them, and one that was ended goes on [default: as one block, in memory]
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,
    /// Make it in so many blocks
    #[arg(long, value_name = "N", conflicts_with = "memory")]
    blocks: Option<NonZero<usize>>,
    /// Folder of the blocks, which nodes that share them all see [default: .bifrost/web in the lake]
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// A catalogue of random points that follow the survey (FITS, Parquet, CSV; ra, dec, and z where it has
    /// one), to be drawn from for the classes; may be given several times [default: points thrown into the mask]
    #[arg(long, value_name = "FILE")]
    randoms: Option<Vec<PathBuf>>,
    /// Only galaxies brighter than this in the r band (absolute, AB) count as neighbours for sigma_5, out to
    /// where the survey would lose them [default: all count]
    #[arg(long, value_name = "MAG", allow_negative_numbers = true)]
    brighter_than: Option<f64>,
    /// Magnitude in the r band (apparent, AB) to which the survey observes [default: 19.5]
    #[arg(long, value_name = "MAG")]
    faintest: Option<f64>,
    /// K correction a unit of redshift, magnitudes [default: 1]
    #[arg(long, value_name = "MAG", allow_negative_numbers = true)]
    k_correction: Option<f64>,
}

impl Options {
    fn neighbours(&self, those: &Self) -> Option<Population> {
        let brighter_than = self.brighter_than.or(those.brighter_than)?;
        let faintest = self.faintest.or(those.faintest).unwrap_or(19.5);
        let k_correction = self.k_correction.or(those.k_correction).unwrap_or(1.0);
        Some(Population { brighter_than, faintest, k_correction })
    }

    fn folder(&self, those: &Self, lake: &Lake) -> PathBuf {
        let own = || lake.root().join(".bifrost").join("web");
        self.work.clone().or_else(|| those.work.clone()).unwrap_or_else(own)
    }

    fn randoms(&self, those: &Self) -> anyhow::Result<Option<Randoms>> {
        let Some(paths) = self.randoms.as_ref().or(those.randoms.as_ref()) else { return Ok(None) };
        let mut randoms = Randoms::default();
        for path in paths {
            positions::read_randoms(path, &mut randoms)?;
        }
        Ok(Some(randoms))
    }

    /// In how many blocks a sample is made, of several that have so many galaxies in all; none, if it is
    /// made as a whole, in memory.
    fn blocks(&self, those: &Self, galaxies: usize, all: usize) -> anyhow::Result<Option<usize>> {
        let asked = (self.memory.as_ref(), self.blocks);
        let (memory, blocks) = match asked {
            (None, None) => (those.memory.as_ref(), those.blocks),
            asked => asked,
        };
        if let Some(blocks) = blocks {
            return Ok(Some(blocks.get()));
        }
        let Some(memory) = memory else { return Ok(None) };
        let bytes = archive::parse_size(memory).map_err(|e| usage(format!("--memory: {e}")))?;
        let left = bytes.saturating_sub(OF_THE_PROCESS + OF_A_GALAXY * all as u64);
        let blocks = bifrost_science::web::blocks(galaxies, left);
        let refused = || {
            usage(format!(
                "--memory {memory} is too little for {all} galaxies, whatever the blocks"
            ))
        };
        Ok(Some(blocks.ok_or_else(refused)?))
    }

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
            neighbours: self.neighbours(those),
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
    let galaxies = args.groups.or(&ctx.settings.groups);
    let (tracers, groups) = galaxies.settings()?;
    let settings = args.options.settings(&ctx.settings.web, groups)?;
    let randoms = args.options.randoms(&ctx.settings.web)?;
    let cosmology = Cosmology::desi();
    let (lake, registry) = (ctx.lake()?, ctx.registry()?);
    ctx.block_on(super::run::sync_lake(ctx, &registry, &lake))?;
    let pieces = survey::pieces(ctx, &registry, &tracers, galaxies.mask())?;
    if pieces.is_empty() {
        ctx.printer.note("no galaxy of any tracer is there");
        return Ok(Exit::NothingMatched);
    }
    let about_randoms =
        randoms.as_ref().map(|all| json!({"count": all.len(), "digest": all.digest()}));
    let samples: Vec<Value> = pieces.iter().map(Piece::about).collect();
    let all = pieces.iter().map(|piece| piece.sample.len()).sum();
    let bar = progress::bar(&ctx.printer, pieces.len() as u64, "samples");
    let (mut webs, mut shares) = (Vec::new(), Vec::new());
    for (piece, about) in pieces.iter().zip(&samples) {
        let name = format!("{} {}", piece.tracer, piece.cap);
        let told = |step: &'static str| bar.set_message(format!("{name}: {step}"));
        let parts = |step: &str, done: usize, parts: usize| {
            if parts > 1 {
                bar.set_message(format!("{name}: {step}, {done} of {parts}"));
            }
        };
        let Piece { sample, mask, .. } = piece;
        let survey = web::Survey { sample, mask, randoms: randoms.as_ref() };
        let make =
            |blocks| web::find(survey, &cosmology, &settings, blocks, &told).map_err(refused);
        let web = match args.options.blocks(&ctx.settings.web, sample.len(), all)? {
            None => make(Blocks { count: 1, work: &Memory::default() })?,
            Some(count) => {
                let shaped = [json!(env!("CARGO_PKG_VERSION")), json!(&settings), json!(count)];
                let digest = digest(shaped.iter().chain([about]).chain(&about_randoms));
                let leases = Leases::new(ctx, &registry, ctx.node(&lake), digest.clone(), &parts)?;
                let work =
                    Shared::open(&args.options.folder(&ctx.settings.web, &lake), &digest, &leases)?;
                let web = make(Blocks { count, work: &work })?;
                shares.push(work.kept());
                web
            }
        };
        webs.push(web);
        bar.inc(1);
    }
    bar.finish_and_clear();
    // one of several processes that end together writes, and the others find it written
    let _alone = alone(ctx, &lake)?;
    let mut configuration = survey::configuration(&settings, &tracers, &cosmology, &samples);
    if let (Some(said), Some(randoms)) = (configuration.as_object_mut(), &randoms) {
        said.insert(
            "randoms".to_owned(),
            json!({"count": randoms.len(), "digest": randoms.digest()}),
        );
    }
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
    let exit = made.exit?;
    for kept in shares {
        kept.finish()?;
    }
    Ok(exit)
}

/// Waits until no other web is written in the lake.
fn alone(ctx: &Context, lake: &Lake) -> anyhow::Result<Running> {
    let stop = ctx.block_on(async { stop_on_signals() })?;
    loop {
        if let Some(running) = Running::begin(lake, "web")? {
            return Ok(running);
        }
        if *stop.borrow() > Stop::Not {
            return Err(TryAgain("another process writes a web in this lake".to_owned()).into());
        }
        std::thread::sleep(LOOK);
    }
}

/// Random points that are too few are the question's fault; who was told to stop may be asked again.
fn refused(error: web::Error) -> anyhow::Error {
    match error {
        web::Error::Randoms(error) => usage(error).into(),
        web::Error::Web(bifrost_science::web::Error::Work(failure)) => {
            match failure.downcast::<TryAgain>() {
                Ok(again) => (*again).into(),
                Err(failure) => anyhow::Error::from_boxed(failure),
            }
        }
        error => error.into(),
    }
}

/// The skeleton in every form, the mask, and the wedge.
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
    put("moc.txt", format!("{}\n", piece.mask.moc()).as_bytes())?;
    put("segments.parquet", &export::parquet(&web.skeleton)?)?;
    put("svg", web::wedge(&name, &piece.sample, web)?.as_bytes())?;
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
