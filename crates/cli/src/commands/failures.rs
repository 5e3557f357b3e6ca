//! `bifrost failures`: tiles that failed, or lost their files since, why, and another try for them.

use crate::context::Context;
use crate::exit::{Exit, Usage};
use crate::{archive, printer};
use bifrost_core::outcome::Outcome;
use bifrost_core::registry::campaign::Failure;
use serde::Serialize;
use std::collections::BTreeMap;

/// Arguments of `bifrost failures`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this outcome: corrupt, checksum_mismatch, …
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<String>,
    /// Queue them again
    #[arg(long)]
    requeue: bool,
    #[command(flatten)]
    archive: archive::Options,
}

/// What to do with tiles that lost their files.
const LOST: &str = "bring the file or its disk back and sync, or --requeue makes it again";

/// Tiles that failed.
#[derive(Debug, Serialize)]
struct Failures {
    version: u32,
    requeued: u64,
    failures: Vec<Failure>,
    /// What to do, by outcome.
    advice: BTreeMap<String, &'static str>,
}

pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    if let Some(word) = &args.outcome
        && !Outcome::from_word(word).is_some_and(Outcome::is_quarantined)
    {
        return Err(Usage(format!("'{word}' is no outcome of a tile that failed")).into());
    }
    let release = args.archive.clone().or(&ctx.settings.archive).production()?.release().clone();
    let registry = if args.requeue { ctx.registry()? } else { ctx.registry_to_read()? };
    let failures = ctx.ask(|| registry.campaign_failures(&release, args.outcome.as_deref()))?;
    if failures.is_empty() {
        let none = Failures { version: 1, requeued: 0, failures, advice: BTreeMap::new() };
        ctx.printer.none(&none, "no tile has failed")?;
        return Ok(Exit::NothingMatched);
    }
    let ids: Vec<i64> = failures.iter().map(|failure| failure.tile_id).collect();
    let requeued = if args.requeue { ctx.block_on(registry.requeue_tiles(&ids))? } else { 0 };
    let advice = failures.iter().map(advice).collect();
    ctx.printer.data(&Failures { version: 1, requeued, failures, advice }, Failures::show)?;
    Ok(Exit::Ok)
}

/// What to do with such a tile.
fn advice(failure: &Failure) -> (String, &'static str) {
    match failure.outcome.as_deref().and_then(Outcome::from_word) {
        Some(outcome) => (outcome.to_string(), outcome.advice()),
        None => (failure.state.clone(), LOST),
    }
}

impl Failures {
    fn show(&self) -> String {
        let mut table = printer::table(&["tile", "outcome", "next", "node", "ended", "error"], &[]);
        for failure in &self.failures {
            let at = |time: Option<chrono::DateTime<chrono::Utc>>| {
                time.map_or(String::new(), |t| t.format("%F %T").to_string())
            };
            let next = match failure.state.as_str() {
                "queued" => at(failure.retry_at),
                "lost" => "lost".to_owned(),
                _ => "given up".to_owned(),
            };
            table.add_row([
                failure.tile.clone(),
                failure.outcome.clone().unwrap_or_default(),
                next,
                failure.node.clone().unwrap_or_default(),
                at(failure.ended_at),
                failure.error.clone().unwrap_or_default(),
            ]);
        }
        let end = match self.requeued {
            0 => "bifrost failures --requeue queues them again".to_owned(),
            count => format!("{count} tiles are queued again"),
        };
        let lost = self.failures.iter().filter(|failure| failure.state == "lost").count();
        let failed = format!("{} tiles failed", self.failures.len() - lost);
        let lost = if lost == 0 { String::new() } else { format!(", {lost} lost their files") };
        let advice = self.advice.iter().map(|(what, to_do)| format!("{what}: {to_do}\n"));
        format!("{table}\n{}{failed}{lost}; {end}", advice.collect::<String>())
    }
}
