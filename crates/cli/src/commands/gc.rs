//! `bifrost gc`: what nobody needs any more leaves the lake, step by step, each with consent.

use crate::context::Context;
use crate::exit::{Exit, TryAgain};
use crate::printer;
use bifrost_core::gc::{self, Action, Consent, Error, Item, Kind, Report};
use std::collections::BTreeMap;
use std::time::Duration;

/// Arguments of `bifrost gc`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How long a marked file stays where it is, and a moved one in .bifrost/gc: 7d, 12h, 30m, 0s
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = parse_time)]
    grace: Duration,
    /// Go so far; each step includes those before it. Without this, only say what would be done
    #[arg(long, value_name = "STEP", value_enum)]
    apply: Option<Step>,
}

/// How far to go. One word more than `--yes` would be: whoever deletes has to say so.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Step {
    /// Mark files: their grace begins
    Mark,
    /// Move files whose grace is over into .bifrost/gc: their second grace begins
    Move,
    /// Unlink files whose second grace is over
    Unlink,
}

pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    let lake = ctx.lake()?;
    let (consent, registry) = match args.apply {
        None => (Consent::Nothing, ctx.registry_to_read()?),
        Some(Step::Mark) => (Consent::Mark, ctx.registry()?),
        Some(Step::Move) => (Consent::Move, ctx.registry()?),
        Some(Step::Unlink) => (Consent::Unlink, ctx.registry()?),
    };
    ctx.refuse_copy(&registry, &lake)?;
    let report = match ctx.block_on(gc::run(&registry, &lake, args.grace, consent)) {
        Err(e @ Error::AtWork) => return Err(TryAgain(e.to_string()).into()),
        other => other?,
    };
    ctx.printer.data(&report, summary)?;
    Ok(Exit::Ok)
}

/// The longest time that can be given.
const YEARS_100_S: f64 = 36525.0 * 86400.0;

/// `7d`, `12h`, `30m`, `10s`.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
    let seconds = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return Err("give a number and s, m, h or d: 7d".to_owned()),
    };
    let number: f64 = number.parse().map_err(|e| format!("'{number}': {e}"))?;
    if number * seconds > YEARS_100_S {
        return Err("a hundred years (36525d) are the most".to_owned());
    }
    Duration::try_from_secs_f64(number * seconds).map_err(|e| e.to_string())
}

fn summary(report: &Report) -> String {
    let mut groups: BTreeMap<(Kind, Action, bool), Vec<&Item>> = BTreeMap::new();
    for item in &report.items {
        groups.entry((item.kind, item.action, item.done)).or_default().push(item);
    }
    if groups.is_empty() {
        return "nothing may go".to_owned();
    }
    let mut table = printer::table(&["what", "files", "size", "", "next step due"], &[1, 2]);
    for ((kind, action, done), items) in &groups {
        let due = items.iter().filter_map(|item| item.due_at).min();
        let due = due.filter(|_| *action == Action::Wait);
        table.add_row([
            kind_name(*kind).to_owned(),
            items.len().to_string(),
            printer::size(items.iter().map(|item| item.size_bytes).sum()),
            told(*action, *done, items),
            due.map_or(String::new(), |due| due.format("%Y-%m-%d %H:%M:%S UTC").to_string()),
        ]);
    }
    let hint = match report.dry_run {
        true => "\nnothing was done: --apply mark, move or unlink does it so far",
        false => "",
    };
    format!("{table}{hint}")
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Replaced => "replaced files",
        Kind::Digest => "notes of digests",
        Kind::Partial => "left half done",
    }
}

fn told(action: Action, done: bool, items: &[&Item]) -> String {
    let (is, would) = match action {
        Action::Mark => ("marked", "to be marked"),
        Action::Wait => return "marked, grace not over".to_owned(),
        Action::Move => ("moved to .bifrost/gc", "to be moved to .bifrost/gc"),
        Action::Unlink => ("unlinked", "to be unlinked"),
        Action::Keep => {
            let mut names: Vec<_> = items.iter().filter_map(|i| i.snapshot.as_deref()).collect();
            names.sort_unstable();
            names.dedup();
            return format!("kept by snapshot {}", names.join(", "));
        }
        Action::Sync => return "stays until a sync: the registry believes it is live".to_owned(),
        Action::Return => ("brought back", "to be brought back: a snapshot names it"),
        Action::Note => ("found moved", "found moved"),
        Action::Finish => ("found unlinked", "found unlinked"),
        Action::Strike => ("no longer marked", "no longer to be marked"),
    };
    if done { is } else { would }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        let seconds = |text: &str| parse_time(text).map(|t| t.as_secs_f64()).ok();
        assert_eq!(seconds("7d"), Some(604_800.0));
        assert_eq!(seconds("1.5h"), Some(5400.0));
        assert_eq!(seconds("0s"), Some(0.0));
        for wrong in ["7", "d", "-1s", "7 days", ""] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
