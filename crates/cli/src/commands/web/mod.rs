//! `bifrost web`: the cosmic web of the whole survey, as a product and as filaments.

pub(super) mod known;
mod make;
mod shares;

use super::groups;
use super::stage;
use crate::archive;
use crate::context::Context;
use crate::exit::{Exit, Usage, usage};
use crate::positions;
use crate::printer::table;
use crate::rows::Output;
use crate::survey::Piece;
use anyhow::Context as _;
use bifrost_core::remote::Folder;
use bifrost_science::skeleton::{Kind, Threshold};
use bifrost_science::web::MOST_BLOCKS;
use bifrost_stages::groups as friends;
use bifrost_stages::picture;
use bifrost_stages::survey::shared::Place;
use bifrost_stages::survey::{Cap, Population, Randoms};
use bifrost_stages::web::{self, Settings, Web, export};
use make::Maker;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::num::NonZero;
use std::path::{Path, PathBuf};

/// Arguments of `bifrost web`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    groups: groups::Options,
    /// Write filaments (NDskl, VTK, Parquet), the mask (MOC) and a wedge (SVG, PNG) here, a file each for a
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
    /// Filaments that stand out by so many sigmas, 0 to 8; where densities are smoothed, as they are unless told
    /// otherwise, sigmas are nominal [default: 3]
    #[arg(long, value_name = "N", conflicts_with = "ratio")]
    sigmas: Option<f64>,
    /// Filaments of persistence pairs whose densities have this ratio, from 1 up, in place of --sigmas
    #[arg(long, value_name = "R")]
    ratio: Option<f64>,
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
    /// Where nodes share blocks: a folder that all of them see, or s3://BUCKET/FOLDER, for which AWS_ENDPOINT,
    /// AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are heeded [default: .bifrost/web in the lake]
    #[arg(long, value_name = "DIR|URL")]
    work: Option<PathBuf>,
    /// Copies of blocks that lie behind a URL are kept in .bifrost/web, in so much room [default: 16GiB]
    #[arg(long, value_name = "SIZE")]
    scratch: Option<String>,
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
    fn or(&self, those: &Self) -> Self {
        // a ceiling and a number of blocks take each other's place
        let asked = if self.memory.is_some() || self.blocks.is_some() { self } else { those };
        let stands_out = if self.sigmas.is_some() || self.ratio.is_some() { self } else { those };
        Self {
            sigmas: stands_out.sigmas,
            ratio: stands_out.ratio,
            smooth_density: self.smooth_density.or(those.smooth_density),
            smooth_filaments: self.smooth_filaments.or(those.smooth_filaments),
            realisations: self.realisations.or(those.realisations),
            seed: self.seed.or(those.seed),
            memory: asked.memory.clone(),
            blocks: asked.blocks,
            work: self.work.clone().or_else(|| those.work.clone()),
            scratch: self.scratch.clone().or_else(|| those.scratch.clone()),
            randoms: self.randoms.clone().or_else(|| those.randoms.clone()),
            brighter_than: self.brighter_than.or(those.brighter_than),
            faintest: self.faintest.or(those.faintest),
            k_correction: self.k_correction.or(those.k_correction),
        }
    }

    /// Whether any of it is of no use, where only `with` these together is the web made.
    fn check_use(&self, with: &[&Self]) -> Result<(), Usage> {
        let any = |is: fn(&Self) -> bool| with.iter().any(|options| is(options));
        let is_kept = any(|options| options.memory.is_some() || options.blocks.is_some());
        let is_far = any(|options| options.url().is_some());
        let is_population = any(|options| options.brighter_than.is_some());
        let text = |of: Option<String>| of.unwrap_or_default();
        let number = |of: Option<f64>| text(of.map(|number| number.to_string()));
        let work = self.work.as_ref().map(|work| work.display().to_string());
        let beyond = "only --brighter-than counts a population: give it, too";
        let all = [
            ("work", text(work), is_kept, "blocks are kept there: give --memory or --blocks, too"),
            (
                "scratch",
                text(self.scratch.clone()),
                is_far,
                "only of blocks behind a URL are there copies: give --work URL, too",
            ),
            ("faintest", number(self.faintest), is_population, beyond),
            ("k-correction", number(self.k_correction), is_population, beyond),
        ];
        match all.iter().find(|(_, value, is_used, _)| !value.is_empty() && !is_used) {
            Some((name, value, _, why)) => Err(usage(format!("--{name} {value}: {why}"))),
            None => Ok(()),
        }
    }

    fn threshold(&self) -> Result<Threshold, Usage> {
        match (self.sigmas, self.ratio) {
            (Some(_), Some(_)) => Err(usage("sigmas and ratio take each other's place: set one")),
            (_, Some(ratio)) if ratio >= 1.0 && ratio.is_finite() => Ok(Threshold::Ratio(ratio)),
            (_, Some(ratio)) => Err(usage(format!("--ratio {ratio}: it must be from 1 up"))),
            (None, None) => Ok(Settings::default().threshold),
            (Some(sigmas), _) if (0.0..=8.0).contains(&sigmas) => Ok(Threshold::Sigma(sigmas)),
            (Some(sigmas), _) => Err(usage(format!("--sigmas {sigmas}: it must be 0 to 8"))),
        }
    }

    /// Where blocks are kept; `own` is the lake's folder for them.
    fn place<'p>(&'p self, own: &'p Path) -> anyhow::Result<Place<'p>> {
        let scratch = self.scratch.as_deref().unwrap_or("16GiB");
        let scratch_bytes =
            archive::parse_size(scratch).map_err(|e| usage(format!("--scratch: {e}")))?;
        let remote = self.url().map(Folder::new).transpose();
        let remote = remote.map_err(|e| usage(format!("--work: {:#}", anyhow::Error::new(e))))?;
        let folder = self.work.as_deref().filter(|_| remote.is_none()).unwrap_or(own);
        Ok(Place { folder, remote, scratch_bytes })
    }

    /// Where nodes exchange blocks that see no common folder.
    fn url(&self) -> Option<&str> {
        self.work.as_ref()?.to_str().filter(|work| work.contains("://"))
    }

    fn neighbours(&self) -> Result<Option<Population>, Usage> {
        let given = [
            ("brighter-than", self.brighter_than),
            ("faintest", self.faintest),
            ("k-correction", self.k_correction),
        ];
        let wrong = given.iter().find(|(_, given)| given.is_some_and(|value| !value.is_finite()));
        if let Some((name, Some(value))) = wrong {
            return Err(usage(format!("--{name} {value}: it must be a number")));
        }
        Ok(self.brighter_than.map(|brighter_than| Population {
            brighter_than,
            faintest: self.faintest.unwrap_or(19.5),
            k_correction: self.k_correction.unwrap_or(1.0),
        }))
    }

    fn randoms(&self) -> anyhow::Result<Option<Randoms>> {
        let Some(paths) = &self.randoms else { return Ok(None) };
        let mut randoms = Randoms::default();
        for path in paths {
            positions::read_randoms(path, &mut randoms)?;
        }
        Ok(Some(randoms))
    }

    fn settings(&self, groups: friends::Settings) -> Result<Settings, Usage> {
        let usual = Settings::default();
        if let Some(blocks) = self.blocks.filter(|blocks| blocks.get() > MOST_BLOCKS) {
            let text = "what is around them outweighs them";
            return Err(usage(format!("--blocks {blocks}: of more than {MOST_BLOCKS}, {text}")));
        }
        if self.blocks.is_some() && self.memory.is_some() {
            return Err(usage("memory and blocks take each other's place: set one"));
        }
        Ok(Settings {
            groups,
            threshold: self.threshold()?,
            smooth_density: self.smooth_density.unwrap_or(usual.smooth_density),
            smooth_filaments: self.smooth_filaments.unwrap_or(usual.smooth_filaments),
            realisations: self.realisations.unwrap_or(usual.realisations),
            seed: self.seed.unwrap_or(usual.seed),
            neighbours: self.neighbours()?,
            ..usual
        })
    }
}

#[derive(Debug, Serialize)]
struct Report {
    version: u32,
    /// Whether groups were those of the product `groups`.
    groups_read: bool,
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
    let set = &ctx.settings.web;
    let options = args.options.or(set);
    let settings = options.settings(groups)?;
    args.options.check_use(&[&options])?;
    // what the command line takes the place of may have been the use of what else is set
    set.check_use(&[set, &options])?;
    let output = args.output.as_deref().filter(|_| !args.which.dry_run);
    output.map(can_be_written).transpose()?;
    let randoms = options.randoms()?;
    let whole = galaxies.read(ctx, tracers)?;
    let pieces = &whole.pieces;
    if pieces.is_empty() {
        return Ok(Exit::NothingMatched);
    }
    let known = known::groups(ctx, &whole, &whole.configuration(&settings.groups))?;
    let mut configuration = whole.configuration(&settings);
    if let Some(said) = configuration.as_object_mut() {
        said.insert("constants".to_owned(), web::constants());
        said.extend(randoms.as_ref().map(|randoms| {
            let about = json!({"count": randoms.len(), "digest": randoms.digest()});
            ("randoms".to_owned(), about)
        }));
    }
    let maker = Maker {
        ctx,
        whole: &whole,
        options: &options,
        settings: &settings,
        randoms: randoms.as_ref(),
        groups: known.as_deref(),
    };
    let (webs, kept) = maker.make(&configuration)?;
    // one of several processes that end together writes, and the others find it written
    let _alone = make::alone(ctx, &whole.lake)?;
    let found: Vec<_> = pieces.iter().map(|piece| &piece.sample).zip(&webs).collect();
    let made = stage::run::make(ctx, &args.which, &web::stage(configuration.clone(), &found)?)?;
    let mut told = Vec::new();
    for (piece, web) in pieces.iter().zip(&webs) {
        let mut files = Vec::new();
        if let Some(folder) = output {
            files = write(folder, piece, web, &configuration)?;
        }
        told.push(Told::of(piece, web, files));
    }
    let report =
        Report { version: 1, groups_read: known.is_some(), webs: told, stage: made.report };
    ctx.printer.data(&report, Report::show)?;
    let exit = made.exit?;
    kept.into_iter().try_for_each(|kept| maker.finish(kept))?;
    Ok(exit)
}

/// Whether files can be made in a folder, which is made: before hours of work.
fn can_be_written(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("failed to make the folder {}", folder.display()))?;
    let probe = folder.join(format!(".bifrost-{}", std::process::id()));
    let made = std::fs::write(&probe, []).and_then(|()| std::fs::remove_file(&probe));
    made.with_context(|| format!("failed to write into the folder {}", folder.display()))
}

/// The skeleton in every form, the mask, and the wedge.
fn write(
    folder: &Path,
    piece: &Piece,
    web: &Web,
    configuration: &Value,
) -> anyhow::Result<Vec<PathBuf>> {
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
    put("segments.parquet", &export::parquet(&web.skeleton, configuration)?)?;
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
