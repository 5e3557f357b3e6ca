//! `bifrost convert`: fuse the archive's files of each tile into one Parquet file.

use crate::commands::stage::Room;
use crate::context::Context;
use crate::exit::{Exit, Usage};
use crate::{printer, progress};
use bifrost_core::hats;
use bifrost_core::layout::SPECTRA;
use bifrost_core::outcome::Outcome;
use bifrost_core::predicate::{Predicate, filter::Filter};
use bifrost_core::tile::{Name, Pixel};
use bifrost_stages::fuse::{
    self, Arrays, Codec, Config, Ending, Given, Keep, Layout, Plan, Precision,
};
use bifrost_stages::store;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Instant;

/// Arguments of `bifrost convert`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder trees in the archive's layout, or files named KIND-STEM.fits and KIND-STEM.h5
    #[arg(value_name = "SRC", required = true)]
    sources: Vec<PathBuf>,
    /// Say what would be done, and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    options: Options,
}

/// What may also be set in `bifrost.toml`, under `[convert]`, with the same spelling.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Keep only rows that match, e.g. "spectype = 'QSO' and zwarn = 0"
    #[arg(long = "where", value_name = "PREDICATE")]
    #[serde(rename = "where")]
    condition: Option<String>,
    /// Rows to keep: real targets, or all (sky and unassigned fibres too) [default: targets]
    #[arg(long, value_name = "targets|all", value_parser = parse_keep)]
    keep: Option<Keep>,
    /// Where arrays go: the Parquet files, the pixels' spectra stores (HDF5; Parquet says where in
    /// them), or both [default: parquet]
    #[arg(long, value_name = "parquet|hdf5|both", value_parser = parse_arrays)]
    arrays: Option<Arrays>,
    /// Compression of spectra stores: gzip or gzip=LEVEL (1 to 9), none [default: gzip=4]
    #[arg(long, value_name = "CODEC")]
    store_compression: Option<store::Compression>,
    /// Tiles at a time [default: one a core]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    /// Make tiles again that are up to date
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    force: Option<bool>,
    /// Do not verify sha256 sums
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    no_verify: Option<bool>,
    /// Rounding of the arrays: exact, decimals, noise or noise=F (F of σ) [default: decimals]
    #[arg(long, value_name = "MODE")]
    precision: Option<String>,
    /// Wavelengths to keep, Å, both ends included [default: 3600,9800]
    #[arg(long, value_name = "MIN,MAX", value_delimiter = ',', num_args = 1)]
    wave: Option<Vec<f64>>,
    /// Release of files that do not say it
    #[arg(long, value_name = "NAME")]
    release: Option<Name>,
    /// Survey of files that do not say it
    #[arg(long, value_name = "NAME")]
    survey: Option<Name>,
    /// Program of files that do not say it
    #[arg(long, value_name = "NAME")]
    program: Option<Name>,
    /// Compression: zstd or zstd=LEVEL (1 to 22), snappy, none [default: zstd=1]
    #[arg(long, value_name = "CODEC")]
    compression: Option<String>,
    /// Rows of a row group [default: 512]
    #[arg(long, value_name = "N")]
    group_rows: Option<NonZero<usize>>,
    /// Rows of an array page [default: 8]
    #[arg(long, value_name = "N")]
    page_rows: Option<NonZero<usize>>,
}

impl Options {
    /// These, and where they are silent, those.
    fn or(self, those: &Self) -> Self {
        let those = those.clone();
        Self {
            condition: self.condition.or(those.condition),
            keep: self.keep.or(those.keep),
            arrays: self.arrays.or(those.arrays),
            store_compression: self.store_compression.or(those.store_compression),
            jobs: self.jobs.or(those.jobs),
            force: self.force.or(those.force),
            no_verify: self.no_verify.or(those.no_verify),
            precision: self.precision.or(those.precision),
            wave: self.wave.or(those.wave),
            release: self.release.or(those.release),
            survey: self.survey.or(those.survey),
            program: self.program.or(those.program),
            compression: self.compression.or(those.compression),
            group_rows: self.group_rows.or(those.group_rows),
            page_rows: self.page_rows.or(those.page_rows),
        }
    }

    /// What shapes the files.
    pub fn config(&self) -> anyhow::Result<Config> {
        let default = Config::default();
        let layout = Layout {
            group_rows: self.group_rows.map_or(default.layout.group_rows, NonZero::get),
            page_rows: self.page_rows.map_or(default.layout.page_rows, NonZero::get),
            codec: self
                .compression
                .as_deref()
                .map_or(Ok(default.layout.codec), parse_codec)
                .map_err(Usage)?,
        };
        let precision = self.precision.as_deref().map(str::parse::<Precision>).transpose();
        Ok(Config {
            keep: self.keep.unwrap_or_default(),
            selection: self.condition.as_deref().map(parse_condition).transpose()?,
            precision: precision.map_err(|e| Usage(e.to_string()))?.unwrap_or(default.precision),
            wave_angstrom: self.wave.as_deref().map_or(Ok(default.wave_angstrom), parse_wave)?,
            layout,
            arrays: self.arrays.unwrap_or_default(),
            store: store::Layout { compression: self.store_compression.unwrap_or_default() },
            verify: !self.no_verify.unwrap_or(false),
            force: self.force.unwrap_or(false),
            given: Given {
                release: self.release.clone(),
                survey: self.survey.clone(),
                program: self.program.clone(),
            },
        })
    }
}

pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    let options = args.options.clone().or(&ctx.settings.convert);
    let config = options.config()?;
    let tiles = fuse::sources::find(&args.sources).map_err(|e| Usage(e.to_string()))?;
    if tiles.is_empty() {
        ctx.printer
            .note("no tile is there: its files are named coadd-STEM.fits, redrock-STEM.fits");
        return Ok(Exit::NothingMatched);
    }
    if args.dry_run {
        let lake = ctx.lake().ok();
        let plans = tiles.iter().map(|tile| fuse::plan(lake.as_ref(), tile, &config)).collect();
        ctx.printer.data(&Plans { version: 1, dry_run: true, tiles: plans }, Plans::show)?;
        return Ok(Exit::Ok);
    }
    let lake = ctx.lake_or_new()?;
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let jobs = options.jobs.map_or(cores, NonZero::get);
    let bar = progress::bar(&ctx.printer, tiles.len() as u64, "tiles");
    let start = Instant::now();
    let endings = fuse::convert(&lake, &tiles, &config, jobs, &|_| bar.inc(1))?;
    bar.finish_and_clear();
    let made = |e: &&Ending| matches!(e.outcome, Outcome::Converted | Outcome::Empty);
    let tiles_made = endings.iter().filter(made).filter_map(|e| e.tile.as_ref());
    let pixels: Vec<Pixel> = tiles_made.map(|tile| tile.pixel).collect();
    hats::look_at(&lake, &Name::new(SPECTRA)?, &pixels)?;
    let storage = match config.arrays {
        Arrays::Parquet => None,
        _ => Some(Room::of(&lake, store::Budget::of(&lake, &[]))?),
    };
    let report = Report::new(endings, storage, start.elapsed().as_secs_f64());
    ctx.printer.data(&report, Report::show)?;
    Ok(if report.has_quarantined() { Exit::Quarantined } else { Exit::Ok })
}

fn parse_condition(text: &str) -> anyhow::Result<Predicate> {
    let understood = || -> Result<Predicate, bifrost_core::predicate::Error> {
        let predicate = Predicate::parse(text)?;
        let schema = &fuse::rows::SELECTABLE;
        predicate.check_columns(schema.fields().iter().map(|field| field.name().as_str()))?;
        Filter::bind(&predicate, schema)?;
        Ok(predicate)
    };
    understood().map_err(|e| Usage(format!("--where: {e}")).into())
}

fn parse_keep(text: &str) -> Result<Keep, String> {
    match text {
        "targets" => Ok(Keep::Targets),
        "all" => Ok(Keep::All),
        _ => Err("use targets or all".to_owned()),
    }
}

/// Also of `bifrost run`.
pub fn parse_arrays(text: &str) -> Result<Arrays, String> {
    match text {
        "parquet" => Ok(Arrays::Parquet),
        "hdf5" => Ok(Arrays::Hdf5),
        "both" => Ok(Arrays::Both),
        _ => Err("use parquet, hdf5 or both".to_owned()),
    }
}

fn parse_codec(text: &str) -> Result<Codec, String> {
    let (name, level) = text.split_once('=').map_or((text, None), |(n, l)| (n, Some(l)));
    let level = level.map(str::parse::<i32>).transpose();
    match (name, level) {
        ("zstd", Ok(level)) if (1..=22).contains(&level.unwrap_or(1)) => {
            Ok(Codec::Zstd(level.unwrap_or(1)))
        }
        ("snappy", Ok(None)) => Ok(Codec::Snappy),
        ("none", Ok(None)) => Ok(Codec::Uncompressed),
        _ => Err(format!(
            "'{text}' is no compression: use zstd, zstd=LEVEL (1 to 22), snappy or none"
        )),
    }
}

fn parse_wave(wave: &[f64]) -> anyhow::Result<(f64, f64)> {
    match wave {
        [min, max] if min.is_finite() && max.is_finite() && min < max => Ok((*min, *max)),
        _ => {
            Err(Usage("--wave takes MIN,MAX: two wavelengths in Å, the lesser first".into()).into())
        }
    }
}

/// What would be done.
#[derive(Debug, Serialize)]
struct Plans {
    version: u32,
    dry_run: bool,
    tiles: Vec<Plan>,
}

impl Plans {
    fn show(&self) -> String {
        let mut table = printer::table(&["tile", "would be", "MB in", "reason"], &[2]);
        for plan in &self.tiles {
            let name = plan.tile.as_ref().map_or_else(|| plan.stem.clone(), ToString::to_string);
            let would = if plan.would == "convert" { "converted" } else { plan.would };
            table.add_row([
                name,
                would.to_owned(),
                megabytes(plan.bytes_in),
                plan.reasons.join("; "),
            ]);
        }
        format!("{table}\n{} tiles; nothing was written", self.tiles.len())
    }
}

/// What was done.
#[derive(Debug, Serialize)]
struct Report {
    version: u32,
    totals: BTreeMap<Outcome, usize>,
    rows: u64,
    bytes_in: u64,
    bytes_out: u64,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage: Option<Room>,
    tiles: Vec<Ending>,
}

impl Report {
    fn new(tiles: Vec<Ending>, storage: Option<Room>, seconds: f64) -> Self {
        let mut totals = BTreeMap::new();
        for tile in &tiles {
            *totals.entry(tile.outcome).or_default() += 1;
        }
        let made = || tiles.iter().filter(|t| t.outcome != Outcome::Unchanged);
        Self {
            version: 1,
            totals,
            rows: made().filter_map(|t| t.rows).sum(),
            bytes_in: made().map(|t| t.bytes_in).sum(),
            bytes_out: made().filter_map(|t| t.bytes_out).sum(),
            seconds,
            storage,
            tiles,
        }
    }

    fn has_quarantined(&self) -> bool {
        self.totals.keys().any(|outcome| outcome.is_quarantined())
    }

    fn show(&self) -> String {
        let head = ["tile", "outcome", "rows", "MB in", "MB out", "s", "reason"];
        let mut table = printer::table(&head, &[2, 3, 4, 5]);
        for ending in &self.tiles {
            let name =
                ending.tile.as_ref().map_or_else(|| ending.stem.clone(), ToString::to_string);
            let mut reason = ending.reasons.join("; ");
            if let Some(advice) = &ending.advice {
                reason = format!("{reason} → {advice}");
            }
            table.add_row([
                name,
                ending.outcome.to_string(),
                ending.rows.map(|n| n.to_string()).unwrap_or_default(),
                megabytes(ending.bytes_in),
                ending.bytes_out.map(megabytes).unwrap_or_default(),
                format!("{:.2}", ending.seconds),
                reason,
            ]);
        }
        let totals: Vec<_> = self.totals.iter().map(|(o, n)| format!("{n} {o}")).collect();
        let storage = self.storage.as_ref().map(|room| format!("\n{}", room.show()));
        format!(
            "{table}\n{} tiles ({}): {} rows, {} MB in, {} MB out, {:.2} s{}",
            self.tiles.len(),
            totals.join(", "),
            self.rows,
            megabytes(self.bytes_in),
            megabytes(self.bytes_out),
            self.seconds,
            storage.unwrap_or_default()
        )
    }
}

fn megabytes(size_bytes: u64) -> String {
    format!("{:.1}", size_bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_checked_before_any_tile() {
        assert!(parse_condition("spectype = 'QSO' and zwarn = 0 and good_pix_b > 9").is_ok());
        for text in ["nothing = 1", "z >", "flux > 1", "spectype > 1"] {
            let error = parse_condition(text).expect_err(text);
            assert!(error.is::<Usage>(), "{text}");
        }
        assert_eq!(parse_codec("zstd=3"), Ok(Codec::Zstd(3)));
        for text in ["zstd=0", "zstd=23", "snappy=1", "gzip", ""] {
            assert!(parse_codec(text).is_err(), "{text}");
        }
        assert!(parse_wave(&[3600.0, 9800.0]).is_ok());
        assert!(parse_wave(&[9800.0, 3600.0]).is_err() && parse_wave(&[1.0]).is_err());
    }

    #[test]
    fn settings_are_spelled_as_flags() {
        let set: Options = toml::from_str("no_verify = true\nwhere = 'z > 1'\nwave = [3600, 9800]")
            .expect("settings");
        let merged = Options { condition: Some("z > 2".into()), ..Options::default() }.or(&set);
        assert_eq!(merged.condition.as_deref(), Some("z > 2"));
        assert!(!merged.config().expect("a config").verify);
        assert!(toml::from_str::<Options>("verify = true").is_err());
    }
}
