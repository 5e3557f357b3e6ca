//! People are told: of milestones, of too many failures, of a stall, of the end.
//!
//! Of several nodes one tells: the registry remembers what was told, webhook and command apart. A
//! webhook gets `{"text": …}`, which Slack and its likes understand; a command gets the same and
//! more as JSON on its standard input, and is how mail is sent.
//!
//! What cannot be delivered is logged, and counts as not told: it is due again for whoever looks
//! next, this node after a growing pause, another one, or the next run.

use crate::settings::Stop;
use bifrost_core::registry::campaign::Progress;
use bifrost_core::registry::{self, Registry};
use bifrost_core::tile::Name;
use serde::Serialize;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// Tries that a rate of failures is counted over, at least.
const TRIES_MIN: i64 = 20;
/// What goes on being wrong is told again after so long, seconds.
const AGAIN_S: f64 = 3600.0;
/// What was told is not told again.
const NEVER_S: f64 = 1e9;
/// How long a webhook or a command may take.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(60);
const DELIVERY_TRIES: u32 = 3;
/// The longest pause after a notice that could not be delivered.
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// So long a run that has ended goes on trying to say so.
const LAST_PATIENCE: Duration = Duration::from_secs(60);

/// Whether something can be posted to an address, if anybody is there.
#[must_use]
pub fn is_address(url: &str) -> bool {
    reqwest::Url::parse(url).is_ok_and(|url| url.scheme().starts_with("http") && url.has_host())
}

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
        let Progress { done, left, failed, late_failed, late_tiles, quiet_s, last_attempt } =
            *progress;
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
            // what was queued again may come to the same counts
            let key = format!("complete-{done}-{failed}-{}", last_attempt.unwrap_or(0));
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

/// A way to reach people.
#[derive(Debug, Clone)]
enum Channel {
    /// Its address, which is a secret.
    Webhook(String),
    Command(String),
}

/// Tells people, on one channel.
#[derive(Debug, Clone)]
pub struct Teller {
    registry: Registry,
    release: Name,
    node: String,
    config: Arc<Config>,
    channel: Channel,
    stop: watch::Receiver<Stop>,
}

impl Teller {
    /// One for each channel of a configuration; none delivers anything once the run is told to stop.
    #[must_use]
    pub fn all(
        registry: &Registry,
        release: &Name,
        node: &str,
        config: Config,
        stop: &watch::Receiver<Stop>,
    ) -> Vec<Self> {
        let config = Arc::new(config);
        let webhook = config.webhook.clone().map(Channel::Webhook);
        let command = config.command.clone().map(Channel::Command);
        let teller = |channel| Self {
            registry: registry.clone(),
            release: release.clone(),
            node: node.to_owned(),
            config: config.clone(),
            channel,
            stop: stop.clone(),
        };
        webhook.into_iter().chain(command).map(teller).collect()
    }

    /// Looks again and again whether there is something to tell, until it is dropped.
    pub async fn watch(self) {
        let (began, mut pause) = (Instant::now(), self.config.every);
        loop {
            sleep(pause).await;
            let deadline = Instant::now() + PAUSE_MAX;
            let is_told = self.look(began.elapsed().as_secs_f64(), false, deadline).await;
            pause = if is_told { self.config.every } else { (pause * 2).min(PAUSE_MAX) };
        }
    }

    /// Tells what there is to tell when a run has ended; `is_over` where nothing is left. There
    /// may be no run after it, so what cannot be delivered is tried for a while.
    pub async fn look_last(&self, elapsed_s: f64, is_over: bool) {
        let (deadline, mut pause) = (Instant::now() + LAST_PATIENCE, Duration::from_secs(1));
        while !self.look(elapsed_s, is_over, deadline).await && is_over {
            tokio::select! {
                () = sleep(pause) => pause *= 2,
                () = self.cut(deadline) => break,
            }
        }
    }

    /// Tells what there is to tell; false where something could not be delivered.
    async fn look(&self, elapsed_s: f64, is_over: bool, deadline: Instant) -> bool {
        match self.try_look(elapsed_s, is_over, deadline).await {
            Ok(is_told) => is_told,
            Err(e) => {
                tracing::info!("{e}");
                false
            }
        }
    }

    async fn try_look(
        &self,
        elapsed_s: f64,
        is_over: bool,
        deadline: Instant,
    ) -> Result<bool, registry::Error> {
        let (release, node) = (&self.release, self.node.as_str());
        // what went wrong in an earlier run was told then
        let late_s = elapsed_s.max(AGAIN_S);
        let progress = self.registry.campaign_progress(release, late_s).await?;
        let mut is_told = true;
        for notice in self.config.due((release.as_str(), node), &progress, elapsed_s, is_over) {
            let event = format!("{} by {}", notice.key, self.channel.name());
            if !self.registry.may_tell(release, &event, node, notice.again_s).await? {
                continue;
            }
            tracing::info!(event = notice.event, "{}", notice.text);
            let delivered = tokio::select! {
                delivered = self.channel.deliver(&notice) => delivered,
                () = self.cut(deadline) => Err("for which no time is left".to_owned()),
            };
            if let Err(e) = delivered {
                let name = self.channel.name();
                tracing::error!(event = notice.event, "not told by {name}, {e}: {}", notice.text);
                is_told = false;
                self.registry.was_not_told(release, &event, node).await?;
            }
        }
        Ok(is_told)
    }

    /// Waits until the run is told to stop, or it is too late.
    async fn cut(&self, deadline: Instant) {
        let mut stop = self.stop.clone();
        let told = async {
            if stop.wait_for(|stop| *stop > Stop::Not).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        drop(tokio::time::timeout_at(deadline, told).await);
    }
}

impl Channel {
    fn name(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Command(_) => "command",
        }
    }

    async fn deliver(&self, notice: &Notice) -> Result<(), String> {
        match self {
            Self::Webhook(url) => {
                post(url, notice).await.map_err(|e| format!("which was not reached ({e})"))
            }
            Self::Command(command) => {
                match tokio::time::timeout(DELIVERY_TIMEOUT, run(command, notice)).await {
                    Ok(ended) => ended.map_err(|e| format!("which failed ({e})")),
                    Err(_) => Err("which took too long".to_owned()),
                }
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
            Err(_) => sleep(Duration::from_secs(tries.into())).await,
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
            last_attempt: Some(7),
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
        assert_eq!(due(over, 9.0, true), [("complete", "complete-90-10-7".into())]);
        assert_eq!(due(Progress::default(), 9.0, true), []);
    }
}
