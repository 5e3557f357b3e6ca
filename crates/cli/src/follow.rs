//! `bifrost sync --watch`: one sync after the other, each when there is reason for it.

use crate::commands::run::stop_on_signals;
use crate::commands::sync::{Job, exit, summary};
use crate::context::Context;
use crate::exit::{Exit, TryAgain, may_pass};
use bifrost_campaign::Stop;
use bifrost_core::sync::{Fault, Report};
use bifrost_core::watch::{Follower, Wake};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch::Receiver;

/// How long to wait after a sync that did not come to its end: longer each time.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Syncs until told to stop; between two syncs that is at once. A registry that is away is waited for.
pub fn follow(ctx: &Context, job: &Job, every: Duration) -> anyhow::Result<Exit> {
    let mut stop = ctx.block_on(async { stop_on_signals() })?;
    // from before the first sync, so that nothing falls between the two
    let mut follower = Follower::new(&job.lake);
    let mut ended = Exit::Ok;
    let (mut faults, mut pause) = (None, PAUSE);
    loop {
        if let Some(reason) = follower.blindness() {
            let every = every.as_secs_f64();
            ctx.printer.note(&format!(
                "changes are not noticed as they happen ({reason}): the lake is looked at every {every} s"
            ));
        }
        let synced = ctx.block_on(sync(job, &mut stop));
        let wait = match synced.and_then(|report| told(ctx, job, report, faults.as_deref())) {
            Ok(report) => {
                pause = PAUSE;
                if exit(&report) != Exit::Ok {
                    ended = exit(&report);
                }
                faults = Some(report.faults);
                // what changed while it was read is settled soon
                if report.unsettled.is_empty() { every } else { PAUSE.min(every) }
            }
            Err(error) if error.chain().any(may_pass) && !error.is::<TryAgain>() => {
                tracing::warn!("{error:#}; trying again in {} s", pause.as_secs());
                let longer = (pause * 2).min(LONGEST_PAUSE);
                std::mem::replace(&mut pause, longer)
            }
            Err(error) => return Err(error),
        };
        let Some(wake) = ctx.block_on(next(&mut follower, &mut stop, wait)) else {
            return Ok(ended);
        };
        tracing::debug!("{wake:?}");
    }
}

/// One sync; whoever is told to stop twice gives it up, and nothing of it is done.
async fn sync(job: &Job, stop: &mut Receiver<Stop>) -> anyhow::Result<Report> {
    tokio::select! {
        report = job.sync(Arc::new(|_| {})) => Ok(report?),
        _ = stop.wait_for(|stop| *stop > Stop::Soon) => {
            Err(TryAgain("told to stop in the middle of a sync, which is undone".into()).into())
        }
    }
}

/// Says what a sync did: as JSON always, to people only what is news. Faults come and go with what
/// other lakes hold, too.
fn told(
    ctx: &Context,
    job: &Job,
    report: Report,
    faults: Option<&[Fault]>,
) -> anyhow::Result<Report> {
    let is_news = report.commit.is_some() || !report.unread.is_empty();
    if ctx.printer.json || is_news || faults != Some(&report.faults) {
        ctx.printer.line(&report, &summary(&report))?;
    }
    job.refresh_sheet(ctx, &report)?;
    Ok(report)
}

/// Why to sync next; `None` to stop.
async fn next(
    follower: &mut Follower,
    stop: &mut Receiver<Stop>,
    longest: Duration,
) -> Option<Wake> {
    tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop > Stop::Not) => None,
        wake = follower.wait(longest) => Some(wake),
    }
}
