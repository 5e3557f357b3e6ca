//! People are told: of milestones, of too many failures, of a stall, of the end.
//!
//! Of several nodes one tells: the registry remembers what was told. A webhook gets `{"text": …}`,
//! which Slack and its likes understand; a command gets the same and more as JSON on its standard
//! input, and is how mail is sent. A notice that cannot be delivered is logged, and no more.

use bifrost_core::registry::Registry;
use bifrost_core::registry::campaign::Progress;
use bifrost_core::tile::Name;
use serde::Serialize;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Tries that a rate of failures is counted over, at least.
const TRIES_MIN: i64 = 20;
/// What goes on being wrong is told again after so long, seconds.
const AGAIN_S: f64 = 3600.0;
/// What was told is not told again.
const NEVER_S: f64 = 1e9;
/// How long a webhook or a command may take.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(60);
const DELIVERY_TRIES: u32 = 3;

/// Who is told, and of what.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Address that `{"text": …}` is posted to.
    pub webhook: Option<String>,
    /// Shell command that gets a notice on its standard input.
    pub command: Option<String>,
    /// Percentages of the tiles.
    pub milestones: Vec<u8>,
    /// Part of the last 50 tries that may fail.
    pub failure_rate: f64,
    /// So long nothing may end, seconds.
    pub stall_s: f64,
    /// How often it is looked whether there is something to tell.
    pub every: Duration,
}

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Notice {
    /// Version of this form.
    pub version: u32,
    /// milestone, failures, stall or complete.
    pub event: &'static str,
    /// In words.
    pub text: String,
    /// The production.
    pub release: String,
    /// Name of the machine that tells.
    pub node: String,
    /// Tiles that are made.
    pub tiles_done: i64,
    /// Tiles that are to be made.
    pub tiles_left: i64,
    /// Tiles that were set aside.
    pub tiles_failed: i64,
    /// What it was told as, so that it is not told twice.
    #[serde(skip)]
    key: String,
    #[serde(skip)]
    again_s: f64,
}

impl Config {
    /// What should be told now, whether it has been or not.
    fn due(
        &self,
        (release, node): (&str, &str),
        progress: &Progress,
        elapsed_s: f64,
        is_over: bool,
    ) -> Vec<Notice> {
        let Progress { done, left, failed, late_failed, late_tiles, quiet_s } = *progress;
        let (total, mut notices) = (done + left + failed, Vec::new());
        let mut tell = |event, key, again_s, text: String| {
            let text = format!(
                "{release} on {node}: {text} ({done} tiles done, {left} left, {failed} failed)"
            );
            notices.push(Notice {
                version: 1,
                event,
                text,
                release: release.to_owned(),
                node: node.to_owned(),
                tiles_done: done,
                tiles_left: left,
                tiles_failed: failed,
                key,
                again_s,
            });
        };
        if is_over && left == 0 && total > 0 {
            let key = format!("complete-{done}-{failed}");
            tell("complete", key, NEVER_S, "nothing is left".to_owned());
            return notices;
        }
        let reached = self
            .milestones
            .iter()
            .filter(|m| left > 0 && 100 * (done + failed) >= i64::from(**m) * total);
        if let Some(milestone) = reached.max() {
            let key = format!("milestone-{milestone}-of-{total}");
            tell("milestone", key, NEVER_S, format!("{milestone} % of {total} tiles"));
        }
        let rate = late_failed as f64 / late_tiles.max(1) as f64;
        if late_tiles >= TRIES_MIN && rate > self.failure_rate {
            let text = format!("{late_failed} of the last {late_tiles} tries failed");
            tell("failures", "failures".to_owned(), AGAIN_S, text);
        }
        // a run that has just begun has had no time to end anything
        let quiet_s = quiet_s.unwrap_or(elapsed_s).min(elapsed_s);
        if left > 0 && quiet_s > self.stall_s {
            let text = format!("no tile has ended for {:.0} minutes", quiet_s / 60.0);
            tell("stall", "stall".to_owned(), AGAIN_S, text);
        }
        notices
    }
}

/// Tells people.
#[derive(Debug, Clone)]
pub struct Teller {
    /// The registry, which knows what was told.
    pub registry: Registry,
    /// The production.
    pub release: Name,
    /// Name of the machine.
    pub node: String,
    /// Who is told, and of what.
    pub config: Config,
}

impl Teller {
    /// Looks again and again whether there is something to tell, until it is dropped.
    pub async fn watch(self) {
        let began = Instant::now();
        loop {
            tokio::time::sleep(self.config.every).await;
            self.look(began.elapsed().as_secs_f64(), false).await;
        }
    }

    /// Tells what there is to tell; `is_over` where the run ended because nothing is left.
    pub async fn look(&self, elapsed_s: f64, is_over: bool) {
        let progress = match self.registry.campaign_progress(&self.release).await {
            Ok(progress) => progress,
            Err(e) => return tracing::info!("{e}"),
        };
        let about = (self.release.as_str(), self.node.as_str());
        for notice in self.config.due(about, &progress, elapsed_s, is_over) {
            let told =
                self.registry.may_tell(&self.release, &notice.key, &self.node, notice.again_s);
            match told.await {
                Ok(true) => self.deliver(&notice).await,
                Ok(false) => {}
                Err(e) => tracing::info!("{e}"),
            }
        }
    }

    async fn deliver(&self, notice: &Notice) {
        tracing::info!(event = notice.event, "{}", notice.text);
        if let Some(url) = &self.config.webhook
            && let Err(e) = post(url, notice).await
        {
            tracing::error!("the webhook was not reached: {e}");
        }
        if let Some(command) = &self.config.command {
            match tokio::time::timeout(DELIVERY_TIMEOUT, run(command, notice)).await {
                Ok(Ok(())) => {}
                Ok(Err(e)) => tracing::error!("the command for notices failed: {e}"),
                Err(_) => tracing::error!("the command for notices took too long"),
            }
        }
    }
}

async fn post(url: &str, notice: &Notice) -> Result<(), reqwest::Error> {
    let body = serde_json::json!({ "text": notice.text }).to_string();
    let client = reqwest::Client::builder().timeout(DELIVERY_TIMEOUT / 6).build()?;
    let mut tries = 1;
    loop {
        let request = client.post(url).header("Content-Type", "application/json");
        let sent = request.body(body.clone()).send().await;
        match sent.and_then(reqwest::Response::error_for_status) {
            Ok(_) => return Ok(()),
            // its address is a secret
            Err(e) if tries == DELIVERY_TRIES => return Err(e.without_url()),
            Err(_) => tokio::time::sleep(Duration::from_secs(tries.into())).await,
        }
        tries += 1;
    }
}

async fn run(command: &str, notice: &Notice) -> std::io::Result<()> {
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        let text = serde_json::to_vec(notice)?;
        // a command that does not read ends before all is written
        let _ = input.write_all(&text).await;
    }
    let status = child.wait().await?;
    if status.success() { Ok(()) } else { Err(std::io::Error::other(status.to_string())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(progress: Progress, elapsed_s: f64, is_over: bool) -> Vec<(&'static str, String)> {
        let config = Config {
            webhook: None,
            command: None,
            milestones: vec![10, 50, 90],
            failure_rate: 0.2,
            stall_s: 600.0,
            every: Duration::from_secs(1),
        };
        let notices = config.due(("iron", "alpha"), &progress, elapsed_s, is_over);
        notices.into_iter().map(|n| (n.event, n.key)).collect()
    }

    #[test]
    fn what_is_due_is_told_and_nothing_else() {
        let calm = Progress {
            done: 30,
            left: 60,
            failed: 10,
            late_tiles: 50,
            late_failed: 10,
            quiet_s: Some(5.0),
        };
        assert_eq!(due(Progress { done: 5, left: 95, failed: 0, ..calm }, 9.0, false), []);
        let milestone = ("milestone", "milestone-10-of-100".to_owned());
        assert_eq!(due(calm, 9.0, false), std::slice::from_ref(&milestone));
        let failing = Progress { late_failed: 11, ..calm };
        assert_eq!(due(failing, 9.0, false), [milestone.clone(), ("failures", "failures".into())]);
        let few = Progress { late_failed: 19, late_tiles: 19, ..calm };
        assert_eq!(due(few, 9.0, false), std::slice::from_ref(&milestone));
        let quiet = Progress { quiet_s: Some(9000.0), ..calm };
        assert_eq!(due(quiet, 9.0, false), std::slice::from_ref(&milestone), "it has just begun");
        assert_eq!(due(quiet, 700.0, false), [milestone, ("stall", "stall".into())]);
        let over = Progress { done: 90, left: 0, ..calm };
        assert_eq!(due(over, 9.0, false), []);
        assert_eq!(due(over, 9.0, true), [("complete", "complete-90-10".into())]);
        assert_eq!(due(Progress::default(), 9.0, true), []);
    }
}
