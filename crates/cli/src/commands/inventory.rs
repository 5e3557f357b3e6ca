//! `bifrost inventory`: which tiles there are to make, from the archive itself or from a list.

use crate::archive;
use crate::context::Context;
use crate::exit::{Exit, TryAgain, Usage};
use crate::{printer, progress};
use anyhow::Context as _;
use bifrost_archive::archive::Fault;
use bifrost_archive::caller::Caller;
use bifrost_archive::key::{Kind, Production, file_name};
use bifrost_archive::repair::{self, Correction, Expected, Mended, Refused, TableRow};
use bifrost_archive::{list, sums};
use bifrost_core::registry::{ArchiveCount, ArchiveFile, Complete, InventoryChanges, Registry};
use bifrost_core::tile::{Name, Tile};
use bifrost_stages::fits::Fits;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Arguments of `bifrost inventory`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Lists of keys or URLs (one a line), CSV files with columns file_type, pixel, filename, url,
    /// survey, program, or the production's tile tables (FITS) [default: the archive's own listing]
    #[arg(value_name = "LIST")]
    lists: Vec<PathBuf>,
    /// Compare what is known with the archive as it is now, and queue what is new or has changed
    #[arg(long)]
    update: bool,
    /// Read the sum files too: one request a tile (fetch reads them anyway)
    #[arg(long)]
    sums: bool,
    /// Take rrdetails files in: 62 % more bytes
    #[arg(long)]
    rrdetails: bool,
    /// Only this survey
    #[arg(long)]
    survey: Option<Name>,
    /// Only this program
    #[arg(long)]
    program: Option<Name>,
    /// Say what lists would give, and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    archive: archive::Options,
}

/// What was found, corrected and changed.
#[derive(Debug, Serialize)]
struct Report {
    version: u32,
    release: Name,
    dry_run: bool,
    sources: Vec<String>,
    tiles: usize,
    files: usize,
    corrections: Vec<Noted<Correction>>,
    refused: Vec<Noted<Refused>>,
    unread: Vec<String>,
    changes: InventoryChanges,
    inventory: Vec<ArchiveCount>,
    seconds: f64,
}

/// A line of a list, with the list's name.
#[derive(Debug, Serialize)]
struct Noted<T> {
    list: String,
    #[serde(flatten)]
    what: T,
}

/// Files to be taken in, and where they come from.
#[derive(Debug, Default)]
struct Found {
    files: Vec<ArchiveFile>,
    corrections: Vec<Noted<Correction>>,
    refused: Vec<Noted<Refused>>,
    sources: Vec<String>,
    unread: Vec<String>,
    complete: Option<Complete>,
}

impl Found {
    /// What several lists name, or a listing names twice, is one.
    fn unite(&mut self) {
        self.files.sort_by(|a, b| (&a.tile, &a.kind).cmp(&(&b.tile, &b.kind)));
        self.files.dedup_by(|b, a| (&a.tile, &a.kind) == (&b.tile, &b.kind));
    }
}

pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    let options = args.archive.clone().or(&ctx.settings.archive);
    let began = Instant::now();
    let job = Job {
        production: options.production()?,
        caller: options.caller(Arc::new(|_| {}))?,
        kinds: Kind::wanted(args.rrdetails),
        args,
    };
    let mut found = Found::default();
    for path in &args.lists {
        job.read_list(path, &mut found)?;
    }
    let registry = if args.dry_run { None } else { Some(registry(ctx)?) };
    if args.update || args.lists.is_empty() {
        ctx.block_on(job.look(ctx, registry.as_ref(), &mut found))?;
    }
    found.unite();
    if args.sums && !job.reads_sums_anyway() {
        ctx.block_on(job.read_sums(ctx, &mut found));
    }
    let tiles = found.files.iter().map(|file| &file.tile).collect::<BTreeSet<_>>().len();
    if tiles == 0 && found.refused.is_empty() {
        // a folder that is misspelled is as empty as one whose tiles are all gone
        ctx.printer.note(&match found.complete {
            Some(_) => format!("there is no tile in {}: nothing is changed", job.listed()),
            None => "no tile was named".to_owned(),
        });
        return Ok(Exit::NothingMatched);
    }
    let (mut changes, mut inventory) = (InventoryChanges::default(), Vec::new());
    if let Some(registry) = &registry {
        let source = found.sources.join(", ");
        let taken = registry.take_inventory(&found.files, &source, found.complete.as_ref());
        changes = ctx.block_on(taken)?;
        inventory = ctx.block_on(registry.archive_counts(job.production.release()))?;
    }
    let report = Report {
        version: 1,
        release: job.production.release().clone(),
        dry_run: args.dry_run,
        sources: found.sources,
        tiles,
        files: found.files.len(),
        corrections: found.corrections,
        refused: found.refused,
        unread: found.unread,
        changes,
        inventory,
        seconds: began.elapsed().as_secs_f64(),
    };
    ctx.printer.data(&report, Report::show)?;
    let is_whole = report.refused.is_empty() && report.unread.is_empty();
    Ok(if is_whole { Exit::Ok } else { Exit::Quarantined })
}

/// The registry; an inventory may be the first that a lake hears of.
fn registry(ctx: &Context) -> anyhow::Result<Registry> {
    if ctx.settings.database_url.is_none() {
        ctx.lake_or_new()?;
    }
    ctx.registry()
}

/// What is asked for.
struct Job<'a> {
    production: Production,
    caller: Caller,
    kinds: &'static [Kind],
    args: &'a Args,
}

impl Job<'_> {
    fn read_list(&self, path: &Path, found: &mut Found) -> anyhow::Result<()> {
        let mended = self.mended(path)?;
        let list = path.display().to_string();
        found.sources.push(list.clone());
        let noted = |what| Noted { list: list.clone(), what };
        found.corrections.extend(mended.corrections.into_iter().map(noted));
        let noted = |what| Noted { list: list.clone(), what };
        found.refused.extend(mended.refused.into_iter().map(noted));
        let tiles = mended.tiles.into_keys().filter(|tile| self.is_asked_for(tile));
        found.files.extend(tiles.flat_map(|tile| self.files_of(&tile)));
        Ok(())
    }

    fn mended(&self, path: &Path) -> anyhow::Result<Mended> {
        let expected = Expected {
            production: self.production.clone(),
            bucket: self.caller.archive().bucket().map(str::to_owned),
            survey: self.args.survey.clone(),
            program: self.args.program.clone(),
        };
        let bytes = std::fs::read(path)
            .with_context(|| format!("failed to read the list {}", path.display()))?;
        if bytes.starts_with(b"SIMPLE  =") {
            return Ok(repair::mend_rows(&table_rows(path)?, &expected));
        }
        let text = String::from_utf8(bytes);
        let text = text.map_err(|_| Usage(format!("{} is no text", path.display())))?;
        Ok(repair::mend(&text, &expected))
    }

    fn is_asked_for(&self, tile: &Tile) -> bool {
        self.args.survey.as_ref().is_none_or(|s| *s == tile.survey)
            && self.args.program.as_ref().is_none_or(|p| *p == tile.program)
    }

    /// A list that names one file of a tile means the tile: it is made from all of them.
    fn files_of(&self, tile: &Tile) -> Vec<ArchiveFile> {
        let file = |kind: &Kind| ArchiveFile {
            tile: tile.clone(),
            kind: kind.as_str().to_owned(),
            key: self.production.key(tile, *kind),
            size_bytes: None,
            etag: None,
            sha256: None,
        };
        self.kinds.iter().map(file).collect()
    }

    /// The address of what is listed.
    fn listed(&self) -> String {
        let (survey, program) = (self.args.survey.as_ref(), self.args.program.as_ref());
        self.caller.archive().url(&self.production.prefix(survey, program)).to_string()
    }

    /// Looks at the archive itself: at all of it, or, where lists say what is wanted, at that.
    async fn look(
        &self,
        ctx: &Context,
        registry: Option<&Registry>,
        found: &mut Found,
    ) -> anyhow::Result<()> {
        let release = self.production.release();
        let listed: BTreeSet<Tile> = found.files.iter().map(|f| f.tile.clone()).collect();
        if self.reads_sums_anyway() {
            if listed.is_empty() {
                let (survey, program) = (self.args.survey.as_ref(), self.args.program.as_ref());
                let known = match registry {
                    Some(registry) => registry.archive_tiles(release, survey, program).await?,
                    None => Vec::new(),
                };
                if known.is_empty() {
                    let text = "a web server lists nothing: name the tiles in a LIST";
                    return Err(Usage(text.to_owned()).into());
                }
                found.files = known.iter().flat_map(|tile| self.files_of(tile)).collect();
                found.sources.push("sum files".to_owned());
            }
            self.read_sums(ctx, found).await;
            return Ok(());
        }
        let programs = self.programs(registry, &listed).await?;
        let files = list::files(&self.caller, &self.production, &programs, self.kinds).await;
        let mut files = files.map_err(|fault| failed("list the archive", fault))?;
        if !listed.is_empty() {
            files.retain(|file| listed.contains(&file.tile));
            // what a list names stays in the inventory, be it there or not
            let there: BTreeSet<Tile> = files.iter().map(|f| f.tile.clone()).collect();
            let gone = listed.into_iter().filter(|tile| !there.contains(tile)).collect::<Vec<_>>();
            for tile in gone {
                let reason = "the archive has no such folder".to_owned();
                let what = Refused { line: 0, was: tile.to_string(), reason };
                found.refused.push(Noted { list: found.sources.join(", "), what });
            }
        } else {
            found.sources.push(self.caller.archive().url("").to_string());
            found.complete = Some(Complete {
                release: release.clone(),
                programs,
                kinds: self.kinds.iter().map(|kind| kind.as_str().to_owned()).collect(),
            });
        }
        found.files = files;
        Ok(())
    }

    /// What is listed: what is asked for, else what lists or earlier inventories are about, else
    /// everything.
    async fn programs(
        &self,
        registry: Option<&Registry>,
        listed: &BTreeSet<Tile>,
    ) -> anyhow::Result<Vec<(Name, Name)>> {
        let (survey, program) = (self.args.survey.as_ref(), self.args.program.as_ref());
        let mut known: Vec<(Name, Name)> =
            listed.iter().map(|tile| (tile.survey.clone(), tile.program.clone())).collect();
        if let (true, true, Some(registry)) = (known.is_empty(), self.args.update, registry) {
            known = registry.archive_programs(self.production.release()).await?;
            known.retain(|(s, p)| survey.is_none_or(|x| x == s) && program.is_none_or(|x| x == p));
        }
        known.sort();
        known.dedup();
        if !known.is_empty() {
            return Ok(known);
        }
        let programs = list::programs(&self.caller, &self.production, survey, program).await;
        programs.map_err(|fault| failed("list the archive", fault))
    }

    /// Whether the archive tells what it holds by its sum files only.
    fn reads_sums_anyway(&self) -> bool {
        self.caller.archive().bucket().is_none()
    }

    /// Takes sums over from the sum files; what they do not name is not there.
    async fn read_sums(&self, ctx: &Context, found: &mut Found) {
        let tiles: BTreeSet<Tile> = found.files.iter().map(|file| file.tile.clone()).collect();
        let tiles: Vec<Tile> = tiles.into_iter().collect();
        let bar = progress::bar(&ctx.printer, tiles.len() as u64, "sum files");
        let mut read = std::collections::BTreeMap::new();
        let unread = &mut found.unread;
        sums::read_all(&self.caller, &self.production, &tiles, self.kinds, |tile, sums| {
            bar.inc(1);
            match sums {
                Ok(Some(sums)) => drop(read.insert(tile.clone(), sums)),
                Ok(None) => {}
                Err(fault) => unread.push(format!("the sum file of {tile}: {fault}")),
            }
        })
        .await;
        bar.finish_and_clear();
        for file in &mut found.files {
            let name = file.kind.parse::<Kind>().map(|kind| file_name(&file.tile, kind));
            if let (Some(sums), Ok(name)) = (read.get(&file.tile), name) {
                file.sha256 = sums.digest(&name).map(str::to_owned);
            }
        }
    }
}

fn failed(what: &str, fault: Fault) -> anyhow::Error {
    let text = format!("failed to {what}: {fault}");
    if fault.may_pass() { TryAgain(text).into() } else { anyhow::anyhow!(text) }
}

/// (survey, program, pixel) of the first table that has them.
fn table_rows(path: &Path) -> anyhow::Result<Vec<TableRow>> {
    const ESSENTIAL: [&str; 3] = ["SURVEY", "PROGRAM", "HEALPIX"];
    const MORE: [&str; 2] = ["TILEID", "PETAL_LOC"];
    let read = || -> Result<Option<Vec<TableRow>>, bifrost_stages::fits::Error> {
        let fits = Fits::open(path)?;
        for name in fits.tables() {
            let table = fits.table(name)?;
            if !ESSENTIAL.iter().all(|column| table.has(column)) {
                continue;
            }
            let columns = table.read(&[&ESSENTIAL[..], &MORE[..]].concat())?;
            let surveys = columns.texts("SURVEY")?;
            let programs = columns.texts("PROGRAM")?;
            let pixels = columns.integers("HEALPIX")?;
            let mut more = Vec::new();
            for column in MORE.iter().filter(|column| columns.has(column)) {
                more.push(columns.integers(column)?);
            }
            let rows = surveys.into_iter().zip(programs).zip(pixels).enumerate();
            let row = |(index, ((survey, program), pixel)): (usize, ((String, String), _))| {
                let of = more.iter().map(|m| m[index].unwrap_or(-1)).collect();
                TableRow { survey, program, pixel: Option::unwrap_or(pixel, -1), of }
            };
            return Ok(Some(rows.map(row).collect()));
        }
        Ok(None)
    };
    match read() {
        Ok(Some(rows)) => Ok(rows),
        Ok(None) => {
            let text = "it has no table with columns SURVEY, PROGRAM and HEALPIX";
            Err(Usage(format!("{}: {text}", path.display())).into())
        }
        Err(e) => Err(Usage(format!("{}: {e}", path.display())).into()),
    }
}

impl Report {
    fn show(&self) -> String {
        let mut lines = Vec::new();
        for Noted { list, what } in &self.corrections {
            lines.push(format!("{list}:{}: {what}", what.line));
        }
        for Noted { list, what } in &self.refused {
            let line = if what.line > 0 { format!(":{}", what.line) } else { String::new() };
            lines.push(format!("{list}{line}: refused: {}: {}", what.was, what.reason));
        }
        lines.extend(self.unread.iter().map(|what| format!("could not be read: {what}")));
        lines.extend(self.changes.tiles_absent.iter().map(|t| format!("not in the archive: {t}")));
        if !self.inventory.is_empty() {
            let head = ["tiles", "kind", "files", "size", "sizes known", "sums known"];
            let mut table = printer::table(&head, &[2, 3, 4, 5]);
            for count in &self.inventory {
                table.add_row([
                    count.state.clone(),
                    count.kind.clone(),
                    count.files.to_string(),
                    count.size_bytes.map(printer::size).unwrap_or_default(),
                    count.sizes_known.to_string(),
                    count.sums_known.to_string(),
                ]);
            }
            lines.push(table.to_string());
        }
        let c = &self.changes;
        let counts = [
            (self.corrections.len() as i64, "lines corrected"),
            (self.refused.len() as i64, "refused"),
            (c.tiles_new, "tiles new"),
            (c.files_new, "files new"),
            (c.files_changed, "files changed"),
            (c.files_absent, "files absent"),
            (c.tiles_queued_again, "tiles queued again"),
        ];
        let told = counts.iter().filter(|(count, _)| *count != 0);
        let told: Vec<String> = told.map(|(count, what)| format!("{count} {what}")).collect();
        let told = if told.is_empty() { "nothing changed".to_owned() } else { told.join(", ") };
        let would = if self.dry_run { "; nothing was written" } else { "" };
        lines.push(format!("{} tiles: {told}{would} ({:.2} s)", self.tiles, self.seconds));
        lines.join("\n")
    }
}
