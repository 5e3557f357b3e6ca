//! `bifrost mock`: synthetic tiles in the archive's exact format.

use crate::context::Context;
use crate::exit::{Exit, Usage};
use crate::{printer, progress};
use anyhow::Context as _;
use bifrost_core::tile::{Name, Pixel, Tile};
use bifrost_stages::mock::{self, Details, Edge, Made, Mask, Request, Size};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde::Serialize;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Arguments of `bifrost mock`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder that stands for the production; tiles go to DIR/healpix/SURVEY/PROGRAM/GROUP/PIX
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Number of tiles: consecutive pixels from --first on
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "pix")]
    tiles: u32,
    /// First pixel of --tiles
    #[arg(long, value_name = "PIX", default_value_t = 10_000, conflicts_with = "pix")]
    first: u32,
    /// Pixels (HEALPix, nside 64, NESTED)
    #[arg(long, value_name = "PIX", num_args = 1.., value_delimiter = ',')]
    pix: Vec<u32>,
    /// Rows a tile, or "real" for a spread like the archive's
    #[arg(long, value_name = "N", default_value = "400", value_parser = parse_size)]
    objects: Size,
    /// The same seed gives the same bytes
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Name of the production
    #[arg(long, default_value = "iron", value_parser = Name::new)]
    release: Name,
    /// Survey
    #[arg(long, default_value = "main", value_parser = PossibleValuesParser::new(mock::SURVEYS))]
    survey: String,
    /// Program
    #[arg(long, default_value = "dark", value_parser = PossibleValuesParser::new(mock::PROGRAMS))]
    program: String,
    /// Edge cases that every tile shows; they combine
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',', value_parser = edge_parser())]
    edge: Vec<Edge>,
    /// Form of pixel masks
    #[arg(long, default_value = "int32", value_parser = mask_parser())]
    mask: Mask,
    /// Extent of the rrdetails file
    #[arg(long, default_value = "full", value_parser = details_parser())]
    rrdetails: Details,
    /// Leave out the resolution matrices, two thirds of the bytes
    #[arg(long)]
    no_resolution: bool,
    /// Leave out CHECKSUM and DATASUM of the coadd's HDUs
    #[arg(long)]
    no_checksum: bool,
    /// Tiles that are written at once [default: one a core]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
}

pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    let tiles = tiles_of(args)?;
    let request = Request {
        out: args.out.clone(),
        size: args.objects,
        seed: args.seed,
        mask: args.mask,
        details: args.rrdetails,
        resolution: !args.no_resolution,
        checksums: !args.no_checksum,
        edges: args.edge.iter().copied().collect(),
    };
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let jobs = args.jobs.map_or(cores, NonZero::get).min(tiles.len());
    let made = write_tiles(ctx, &request, &tiles, jobs)?;
    let report = Report::new(args, made);
    ctx.printer.data(&report, Report::show)?;
    Ok(Exit::Ok)
}

fn tiles_of(args: &Args) -> anyhow::Result<Vec<Tile>> {
    let pixels: Vec<i64> = if args.pix.is_empty() {
        (i64::from(args.first)..).take(args.tiles as usize).collect()
    } else {
        args.pix.iter().map(|pixel| i64::from(*pixel)).collect()
    };
    let tile = |pixel| -> anyhow::Result<Tile> {
        Ok(Tile {
            release: args.release.clone(),
            survey: Name::new(&args.survey)?,
            program: Name::new(&args.program)?,
            pixel: Pixel::new(pixel)?,
        })
    };
    let mut tiles: Vec<Tile> = pixels
        .into_iter()
        .map(|pixel| tile(pixel).map_err(|e| Usage(e.to_string()).into()))
        .collect::<anyhow::Result<_>>()?;
    // two workers must never write one tile
    tiles.sort();
    tiles.dedup();
    Ok(tiles)
}

/// Writes tiles, `jobs` at a time, each worker taking the next that is left.
fn write_tiles(
    ctx: &Context,
    request: &Request,
    tiles: &[Tile],
    jobs: usize,
) -> anyhow::Result<Vec<Made>> {
    let bar = progress::bar(&ctx.printer, tiles.len() as u64, "tiles");
    let next = AtomicUsize::new(0);
    let made: Mutex<Vec<Made>> = Mutex::default();
    let work = || -> anyhow::Result<()> {
        while let Some(tile) = tiles.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = mock::write_tile(request, tile);
            let written = result.with_context(|| format!("failed to make tile {tile}"))?;
            made.lock().unwrap_or_else(|e| e.into_inner()).push(written);
            bar.inc(1);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        let ends = workers.into_iter().map(|worker| match worker.join() {
            Ok(end) => end,
            Err(_) => anyhow::bail!("a worker stopped; the message above says where"),
        });
        ends.collect::<anyhow::Result<()>>()
    })?;
    bar.finish_and_clear();
    let mut made = made.into_inner().unwrap_or_else(|e| e.into_inner());
    made.sort_by(|a, b| a.tile.cmp(&b.tile));
    Ok(made)
}

/// What was made.
#[derive(Debug, Serialize)]
struct Report {
    version: u32,
    out: PathBuf,
    seed: u64,
    edges: Vec<&'static str>,
    rows: usize,
    size_bytes: u64,
    tiles: Vec<TileReport>,
}

#[derive(Debug, Serialize)]
struct TileReport {
    #[serde(flatten)]
    tile: Tile,
    dir: PathBuf,
    rows: usize,
    #[serde(flatten)]
    counts: mock::Counts,
    size_bytes: u64,
}

impl Report {
    fn new(args: &Args, made: Vec<Made>) -> Self {
        let tiles: Vec<TileReport> = made
            .into_iter()
            .map(|Made { tile, dir, counts, size_bytes }| TileReport {
                tile,
                dir,
                rows: counts.total(),
                counts,
                size_bytes,
            })
            .collect();
        Self {
            version: 1,
            out: args.out.clone(),
            seed: args.seed,
            edges: args.edge.iter().map(|e| e.name()).collect(),
            rows: tiles.iter().map(|t| t.rows).sum(),
            size_bytes: tiles.iter().map(|t| t.size_bytes).sum(),
            tiles,
        }
    }

    fn show(&self) -> String {
        let head = ["tile", "rows", "galaxies", "quasars", "stars", "sky", "unassigned", "MB"];
        let mut table = printer::table(&head, &[1, 2, 3, 4, 5, 6, 7]);
        for TileReport { tile, rows, counts, size_bytes, .. } in &self.tiles {
            table.add_row([
                tile.to_string(),
                rows.to_string(),
                counts.galaxies.to_string(),
                counts.quasars.to_string(),
                counts.stars.to_string(),
                counts.sky.to_string(),
                counts.unassigned.to_string(),
                megabytes(*size_bytes),
            ]);
        }
        let summary = format!(
            "{} tiles, {} rows, {} MB in {}",
            self.tiles.len(),
            self.rows,
            megabytes(self.size_bytes),
            self.out.display()
        );
        format!("{table}\n{summary}")
    }
}

fn megabytes(size_bytes: u64) -> String {
    format!("{:.1}", size_bytes as f64 / 1e6)
}

fn parse_size(text: &str) -> Result<Size, String> {
    match text.parse() {
        _ if text == "real" => Ok(Size::Real),
        Ok(rows) if (1..=mock::MAX_OBJECTS).contains(&rows) => Ok(Size::Rows(rows)),
        _ => Err(format!("give 1 to {} rows, or 'real'", mock::MAX_OBJECTS)),
    }
}

/// A parser that knows each value's word and meaning, and shows them in `--help`.
fn parser_of<T: Clone + Send + Sync + 'static>(
    values: Vec<(&'static str, &'static str, T)>,
) -> impl TypedValueParser<Value = T> {
    let shown: Vec<PossibleValue> =
        values.iter().map(|(name, meaning, _)| PossibleValue::new(name).help(*meaning)).collect();
    PossibleValuesParser::new(shown).try_map(move |word| {
        let known = values.iter().find(|(name, ..)| *name == word);
        known.map(|(.., value)| value.clone()).ok_or("not a known word")
    })
}

fn edge_parser() -> impl TypedValueParser<Value = Edge> {
    parser_of(Edge::ALL.iter().map(|e| (e.name(), e.meaning(), *e)).collect())
}

fn mask_parser() -> impl TypedValueParser<Value = Mask> {
    parser_of(vec![
        ("int32", "plain signed integers, as DR1 has them", Mask::Int32),
        ("uint32", "plain unsigned integers (BZERO), as EDR has them", Mask::Uint32),
        ("gzip", "tile-compressed with GZIP_1, as uncoadded spectra have them", Mask::Gzip),
        ("rice", "tile-compressed with RICE_1", Mask::Rice),
    ])
}

fn details_parser() -> impl TypedValueParser<Value = Details> {
    parser_of(vec![
        ("full", "every redshift of every scan", Details::Full),
        ("small", "one redshift in twenty", Details::Small),
        ("none", "no file", Details::None),
    ])
}
