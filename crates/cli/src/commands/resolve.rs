//! `bifrost resolve`: which files and row groups answer a question.

use super::replay;
use crate::context::Context;
use crate::exit::{Exit, usage};
use crate::history::AsOf;
use crate::positions;
use crate::printer::{Printer, size, table};
use bifrost_core::predicate::Predicate;
use bifrost_core::resolution::{self, Detail, Explained, Query, Resolution, ResolvedFile};
use bifrost_core::sky::region::Spelled;
use bifrost_core::sky::{self, Moc, Region};
use bifrost_core::snapshot::{self, Saved};
use clap::ValueEnum;
use serde::Serialize;
use std::fmt::Display;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// What is asked: the same for `resolve` and `read`.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "question", required = true, multiple = true)]
pub struct Selectors {
    /// Condition in SQL, e.g. "z > 2.5 AND spectype = 'QSO' AND zwarn = 0"
    #[arg(value_name = "PREDICATE", group = "question")]
    predicate: Option<String>,
    /// Circle on the sky, in degrees
    #[arg(long, value_name = "RA,DEC,RADIUS_DEG", group = "question", allow_hyphen_values = true)]
    cone: Option<String>,
    /// Polygon on the sky: its corners in order, in degrees; its edges are great circles
    #[arg(
        long,
        value_name = "RA,DEC,RA,DEC,RA,DEC[,…]",
        group = "question",
        allow_hyphen_values = true
    )]
    polygon: Option<String>,
    /// Box on the sky, in degrees; goes over RA 0 where RA_MIN > RA_MAX
    #[arg(
        long = "box",
        value_name = "RA_MIN,RA_MAX,DEC_MIN,DEC_MAX",
        group = "question",
        allow_hyphen_values = true
    )]
    rectangle: Option<String>,
    /// Part of the sky as a MOC of the IVOA: FITS, JSON or ASCII; - is standard input
    #[arg(long, value_name = "FILE", group = "question")]
    moc: Option<PathBuf>,
    /// Objects by TARGETID; separate several by commas or spaces
    #[arg(long, value_name = "ID", group = "question", num_args = 1.., value_delimiter = ',', allow_negative_numbers = true)]
    target_id: Option<Vec<i64>>,
    /// Objects by a query of the registry's database that gives one column of TARGETIDs, e.g.
    /// "SELECT targetid FROM galaxies WHERE mass > 11"
    // it may begin with a comment
    #[arg(long, value_name = "QUERY", group = "question", allow_hyphen_values = true)]
    sql: Option<String>,
    /// More of them from a file, one a line or in a column target_id or targetid of CSV, Parquet or
    /// FITS; - is standard input, one a line
    #[arg(long, value_name = "FILE", group = "question")]
    target_ids: Option<PathBuf>,
    /// Product [default: spectra]
    #[arg(long, value_name = "P", group = "question")]
    product: Option<String>,
}

impl Selectors {
    /// The question; what cannot be meant is a usage error.
    pub fn query(&self) -> anyhow::Result<Query> {
        let predicate = self.predicate.as_deref().map(Predicate::parse).transpose();
        Ok(Query {
            predicate: predicate.map_err(usage)?,
            regions: self.regions().map_err(usage)?,
            target_ids: self.target_ids()?,
            sql: self.sql.clone(),
            product: self.product.clone(),
            as_of: None,
            columns: None,
        })
    }

    /// Objects of the command line and of the file, each once.
    fn target_ids(&self) -> anyhow::Result<Option<Vec<i64>>> {
        let Some(path) = &self.target_ids else { return Ok(self.target_id.clone()) };
        let mut text = Vec::new();
        let read = match path.as_os_str() == "-" {
            true => std::io::stdin().read_to_end(&mut text),
            false => File::open(path).and_then(|mut file| file.read_to_end(&mut text)),
        };
        let failed =
            |e: &dyn Display| usage(format!("failed to read TARGETIDs of {}: {e}", path.display()));
        read.map_err(|e| failed(&e))?;
        let mut ids = self.target_id.clone().unwrap_or_default();
        if path.as_os_str() != "-" && positions::has_target_ids(&text) {
            drop(text);
            ids.extend(positions::read_target_ids(path)?);
            ids.sort_unstable();
            ids.dedup();
            return Ok(Some(ids));
        }
        let text = String::from_utf8(text).map_err(|e| failed(&e))?;
        // a byte order mark is no part of the first of them
        for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let id = line.parse().map_err(|_| {
                let path = path.display();
                usage(format!("line {number} of {path} is no TARGETID, an integer: '{line}'"))
            })?;
            ids.push(id);
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(Some(ids))
    }

    fn regions(&self) -> Result<Vec<Region>, sky::Error> {
        let spelled = [
            self.cone.clone().map(Spelled::Cone),
            self.polygon.clone().map(Spelled::Polygon),
            self.rectangle.clone().map(Spelled::Box),
        ];
        let spelled = spelled.iter().flatten().map(Region::try_from);
        let moc = self.moc.iter().map(|path| match path.as_os_str() == "-" {
            true => Moc::read(Path::new("/dev/stdin")),
            false => Moc::read(path),
        });
        let moc = moc.map(|moc| moc.map(Region::Moc));
        spelled.chain(moc).collect()
    }
}

/// Resolves a question in the registry.
pub fn resolve(ctx: &Context, query: &Query, detail: Detail) -> anyhow::Result<Resolution> {
    let registry = ctx.registry_to_read()?;
    ctx.ask(|| resolution::resolve(&registry, query, detail)).map_err(|error| match error {
        resolution::Error::Registry(error) if !error.is_usage() => error.into(),
        error => usage(error).into(),
    })
}

/// How the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One path or URI a line, of files that can be opened from here
    Paths,
    /// Everything, versioned
    Json,
}

/// Arguments of `bifrost resolve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    selectors: Selectors,
    #[command(flatten)]
    as_of: AsOf,
    /// Save the answer as a snapshot that can be cited and replayed, and keep its files from gc
    #[arg(long, value_name = "FILE", conflicts_with_all = ["format", "explain"])]
    save: Option<PathBuf>,
    /// How to write the answer
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Say what left which files out
    #[arg(long)]
    explain: bool,
}

/// Runs the command.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    let query = Query { as_of: args.as_of.commit(ctx)?, ..args.selectors.query()? };
    if let Some(path) = &args.save {
        return save(ctx, &query, path);
    }
    let detail = if args.explain { Detail::Explained } else { Detail::Counted };
    let answer = resolve(ctx, &query, detail)?;
    let printer = Printer { json: ctx.printer.json || args.format == Format::Json, ..ctx.printer };
    printer.data(&answer, |answer| match args.format {
        Format::Paths => paths(answer),
        _ => rows(answer),
    })?;
    if !printer.json {
        printer.note(&summary(&answer, query.as_of));
        if let Some(explained) = &answer.pruned.explained {
            printer.note(&explanation(explained));
        }
    }
    note_unreachable(&printer, &answer);
    Ok(if answer.files.is_empty() { Exit::NothingMatched } else { Exit::Ok })
}

/// A snapshot as it is told, which the file holds without the version.
#[derive(Serialize)]
struct Kept<'a> {
    version: u32,
    #[serde(flatten)]
    saved: &'a Saved,
}

fn save(ctx: &Context, query: &Query, path: &Path) -> anyhow::Result<Exit> {
    let saved = match ctx.block_on(snapshot::save(&ctx.registry()?, query, path)) {
        Err(snapshot::Error::Empty) => {
            ctx.printer.note(&snapshot::Error::Empty.to_string());
            return Ok(Exit::NothingMatched);
        }
        saved => saved.map_err(replay::failed)?,
    };
    ctx.printer.data(&Kept { version: 1, saved: &saved }, |Kept { saved, .. }| {
        let files = &saved.snapshot.files;
        let bytes = files.iter().map(|file| file.size_bytes).sum();
        let (count, commit) = (files.len(), saved.snapshot.commit);
        format!("{}\n{count} files, {}, as of commit {commit}", saved.id, size(bytes))
    })?;
    let unread = saved.snapshot.files.iter().filter(|file| file.sha256.is_none()).count();
    if unread > 0 {
        ctx.printer.note(&format!(
            "{unread} files cannot be read from here: the snapshot has no SHA-256 of them"
        ));
    }
    Ok(Exit::Ok)
}

fn paths(answer: &Resolution) -> String {
    let uris = answer.files.iter().filter_map(|file| file.uri.as_deref());
    uris.map(|uri| format!("{uri}\n")).collect()
}

fn rows(answer: &Resolution) -> String {
    if answer.files.is_empty() {
        return String::new();
    }
    let mut table = table(&["node", "path", "rows", "row groups", "size"], &[2, 4]);
    for file in &answer.files {
        table.add_row([
            file.node.to_string(),
            file.path.display().to_string(),
            file.num_rows.to_string(),
            runs(&file.row_groups),
            size(file.size_bytes),
        ]);
    }
    table.to_string()
}

/// `[0, 1, 2, 5]` as `0-2,5`.
fn runs(numbers: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let text = |(first, last): &(usize, usize)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    runs.iter().map(text).collect::<Vec<_>>().join(",")
}

fn summary(answer: &Resolution, as_of: Option<i64>) -> String {
    let pruned = &answer.pruned;
    match (pruned.live_files, as_of) {
        (Some(0), Some(commit)) => return format!("the registry had no files at commit {commit}"),
        (Some(0), None) => return "the registry has no files yet: run `bifrost sync`".into(),
        _ => {}
    }
    let live = pruned.live_files.map_or("more than 100000".into(), |files| files.to_string());
    format!(
        "{} of {live} files, {} of their {} row groups, at most {} rows (commit {})",
        pruned.files,
        pruned.row_groups,
        pruned.row_groups_in_files,
        pruned.rows_at_most,
        answer.commit,
    )
}

fn explanation(explained: &Explained) -> String {
    let mut table = table(&["left by", "files"], &[1]);
    for step in &explained.steps {
        table.add_row([step.by.to_owned(), step.files.to_string()]);
    }
    format!(
        "condition: {}\n{table}\nabout {} rows match",
        explained.condition, explained.rows_estimated
    )
}

/// Names files that cannot be opened from here, and counts those that lack a file beside them.
pub fn note_unreachable(printer: &Printer, answer: &Resolution) {
    if let Some(words) = answer.left_out() {
        printer.note(&words);
    }
    let gone = |file: &ResolvedFile| {
        let why = file.lost.as_ref()?;
        Some(format!("{}:{}: {why}", file.node, file.path.display()))
    };
    answer.all_files().filter_map(gone).for_each(|line| printer.note(&line));
    let is_out_of_reach = |file: &&ResolvedFile| file.uri.is_none() && file.lost.is_none();
    let lost: Vec<&ResolvedFile> = answer.all_files().filter(is_out_of_reach).collect();
    if lost.is_empty() {
        return;
    }
    printer.note(&format!(
        "{} files cannot be opened from here: run on their node, or register how to reach it with `bifrost sync --uri-prefix` there",
        lost.len()
    ));
    for file in lost {
        printer.note(&format!("  {}:{}", file.node, file.path.display()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_short() {
        assert_eq!(runs(&[0, 1, 2, 5, 7, 8]), "0-2,5,7-8");
        assert_eq!(runs(&[]), "");
    }
}
