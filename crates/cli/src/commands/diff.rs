//! `bifrost diff`: what became of files from one commit to another.

use crate::context::Context;
use crate::exit::Exit;
use crate::history::commit_at;
use crate::printer;
use bifrost_core::registry::{Pair, PairVersion};
use serde::Serialize;
use std::collections::BTreeMap;

/// Arguments of `bifrost diff`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// From: a commit, a time, the file of a snapshot; 0 is before the first commit
    #[arg(value_name = "A")]
    from: String,
    /// To
    #[arg(value_name = "B", default_value = "now")]
    to: String,
}

#[derive(Debug, Serialize)]
struct Diff {
    version: u32,
    from: i64,
    to: i64,
    products: BTreeMap<String, Counts>,
    added: Vec<Change>,
    replaced: Vec<Change>,
    removed: Vec<Change>,
}

/// What changed of a product.
#[derive(Debug, Default, Serialize)]
struct Counts {
    added: u64,
    replaced: u64,
    removed: u64,
    rows_before: i64,
    rows_after: i64,
}

#[derive(Debug, Serialize)]
struct Change {
    product: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<PairVersion>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<PairVersion>,
}

pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    let registry = ctx.registry_to_read()?;
    let from = commit_at(ctx, &registry, &args.from)?;
    let to = commit_at(ctx, &registry, &args.to)?;
    let diff = Diff::of(from, to, ctx.ask(|| registry.diff(from, to))?);
    ctx.printer.data(&diff, Diff::show)?;
    if !ctx.printer.json {
        ctx.printer.note(&diff.summary());
    }
    Ok(if diff.products.is_empty() { Exit::NothingMatched } else { Exit::Ok })
}

impl Diff {
    fn of(from: i64, to: i64, pairs: Vec<Pair>) -> Self {
        let products = BTreeMap::new();
        let (added, replaced, removed) = (Vec::new(), Vec::new(), Vec::new());
        let mut diff = Self { version: 1, from, to, products, added, replaced, removed };
        for Pair { product, old, new } in pairs {
            let counts = diff.products.entry(product.clone()).or_default();
            counts.rows_before += old.as_ref().map_or(0, |file| file.rows);
            counts.rows_after += new.as_ref().map_or(0, |file| file.rows);
            let (count, list) = match (&old, &new) {
                (None, _) => (&mut counts.added, &mut diff.added),
                (_, None) => (&mut counts.removed, &mut diff.removed),
                _ => (&mut counts.replaced, &mut diff.replaced),
            };
            *count += 1;
            list.push(Change { product, old, new });
        }
        diff
    }

    fn show(&self) -> String {
        if self.products.is_empty() {
            return String::new();
        }
        let mut table = printer::table(&["", "product", "node", "path", "rows"], &[]);
        let lists = [("+", &self.added), ("~", &self.replaced), ("-", &self.removed)];
        for (sign, list) in lists {
            for change in list {
                let (old, new) = (change.old.as_ref(), change.new.as_ref());
                table.add_row([
                    sign.to_owned(),
                    change.product.clone(),
                    both(old, new, |file| file.node.clone()),
                    path(old, new),
                    from_to(old.map(|file| file.rows), new.map(|file| file.rows)),
                ]);
            }
        }
        table.to_string()
    }

    fn summary(&self) -> String {
        let line = |(product, counts): (&String, &Counts)| {
            let Counts { added, replaced, removed, rows_before, rows_after } = counts;
            format!(
                "{product}: {added} files added, {replaced} replaced, {removed} removed; {rows_before} rows of them before, {rows_after} after"
            )
        };
        let head = format!("from commit {} to commit {}", self.from, self.to);
        match self.products.is_empty() {
            true => format!("{head}: nothing differs"),
            false => {
                let lines: Vec<String> = self.products.iter().map(line).collect();
                format!("{head}\n{}", lines.join("\n"))
            }
        }
    }
}

/// What both have in common, or `old → new`.
fn both(
    old: Option<&PairVersion>,
    new: Option<&PairVersion>,
    of: impl Fn(&PairVersion) -> String,
) -> String {
    match (old.map(&of), new.map(&of)) {
        (Some(old), Some(new)) if old != new => format!("{old} → {new}"),
        (one, other) => other.or(one).unwrap_or_default(),
    }
}

/// The path; of another file in the same folder, its name.
fn path(old: Option<&PairVersion>, new: Option<&PairVersion>) -> String {
    let parts = |file: &PairVersion| {
        let (folder, name) = file.path.rsplit_once('/')?;
        Some((folder.to_owned(), name.to_owned()))
    };
    match (old.and_then(parts), new.and_then(parts)) {
        (Some((folder, old)), Some((same, new))) if folder == same && old != new => {
            format!("{folder}/{old} → {new}")
        }
        _ => both(old, new, |file| file.path.clone()),
    }
}

fn from_to(old: Option<i64>, new: Option<i64>) -> String {
    match (old, new) {
        (Some(old), Some(new)) => format!("{old} → {new}"),
        (one, other) => one.or(other).map_or(String::new(), |rows| rows.to_string()),
    }
}
