//! Publication of what a stage has made from files of the same lake: in place and registered at once.
//!
//! The right to publish is the input: in the transaction that registers a file, its input must be
//! live and still the version that was read. Whoever made a file of something that was replaced
//! meanwhile publishes nothing. Should the process die between rename and commit, the file is in
//! place with all its provenance, and the next sync registers it: there is nothing to settle.

use super::direct::{Site, folder_of};
use super::{Error, Report, Update, run_blocking};
use crate::outcome::Outcome;
use crate::patience::{OF_A_COMMAND, patiently};
use crate::publish::{self, Claim};
use crate::registry::Changes;
use crate::registry::stages::StageAttempt;
use crate::tile::{Name, Tile};
use crate::withdraw::Version;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use uuid::Uuid;

/// A draft that a stage has made from a file of the same lake.
#[derive(Debug)]
pub struct Derived {
    /// The draft's claim.
    pub claim: Arc<Claim>,
    /// The file that it was made of, relative to the lake.
    pub input: PathBuf,
    /// Its version when it was read.
    pub version: Version,
    /// How it ended, if it is published.
    pub attempt: StageAttempt,
}

impl Derived {
    fn rows(&self) -> u64 {
        self.attempt.rows.and_then(|rows| u64::try_from(rows).ok()).unwrap_or(0)
    }
}

/// What became of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Landed {
    /// It is published, as a file of so many bytes.
    Published {
        /// Where it lies.
        path: PathBuf,
        /// Its size.
        size_bytes: u64,
    },
    /// Its input is no longer what it was made of.
    Overtaken,
    /// It is in place, and cannot be registered.
    Refused(String),
}

/// Publishes drafts in one commit; says of each what became of it. A registry that goes away on the way is
/// waited for: what is in place by then stays there, and is registered.
///
/// # Errors
/// [`Error`]; nothing is registered, files may be in place: the next sync registers them.
pub async fn publish_derived(
    site: &Site,
    product: &Name,
    run_id: Uuid,
    made: &[Derived],
) -> Result<Vec<Landed>, Error> {
    let placed = OnceLock::new();
    patiently(OF_A_COMMAND, || try_to_publish(site, product, run_id, made, &placed)).await
}

/// What was put in place: paths and sizes.
type Placed = Vec<Option<(PathBuf, u64)>>;

async fn try_to_publish(
    site: &Site,
    product: &Name,
    run_id: Uuid,
    made: &[Derived],
    in_place: &OnceLock<Placed>,
) -> Result<Vec<Landed>, Error> {
    let mut session = site.registry.lock_lake(site.lake.identity().lake_id).await?;
    session.see_node(&site.node, None).await?;
    let options = site.options();
    let update = Update::at(site, &options, &session, "stage").await?;
    let commit = session.begin_publication(site.patience).await?;
    let inputs: Vec<_> = made.iter().map(|m| (m.input.to_string_lossy(), m.version)).collect();
    let inputs: Vec<(&str, Version)> = inputs.iter().map(|(path, v)| (&**path, *v)).collect();
    let mut valid = vec![false; made.len()];
    for place in commit.still_live(&inputs).await? {
        valid.get_mut(place).into_iter().for_each(|valid| *valid = true);
    }
    let placed = match in_place.get() {
        Some(placed) => placed,
        None => {
            let placed = place(made, &valid).await?;
            in_place.get_or_init(|| placed)
        }
    };
    let mut changes = Changes::default();
    let mut refused = BTreeMap::new();
    for tiles in by_folder(site.lake.root(), made, placed).values() {
        let mut report = Report::default();
        let tiles: Vec<(&str, &Tile)> = tiles.iter().map(|(path, t)| (path.as_str(), *t)).collect();
        changes += update.enter(&commit, product, &tiles, &mut report).await?.0;
        refused.extend(report.quarantined.into_iter().map(|q| (q.path, q.reason)));
        let moving = |path| (path, "it changed while it was registered".to_owned());
        refused.extend(report.unsettled.into_iter().map(moving));
    }
    let landed: Vec<Landed> = placed
        .iter()
        .cloned()
        .map(|placed| match placed {
            None => Landed::Overtaken,
            Some((path, size_bytes)) => {
                let relative = path.strip_prefix(site.lake.root()).unwrap_or(&path);
                match refused.remove(&*relative.to_string_lossy()) {
                    Some(reason) => Landed::Refused(reason),
                    None => Landed::Published { path, size_bytes },
                }
            }
        })
        .collect();
    let attempts: Vec<StageAttempt> = made.iter().zip(&landed).filter_map(attempt_of).collect();
    commit.put_stage_attempts(run_id, &attempts).await?;
    if changes == Changes::default() {
        commit.finish_unnumbered().await?;
    } else {
        update.finish(commit, changes, false).await?;
    }
    // it is published whether or not we can say that our turn is over: the server will notice
    if let Err(e) = site.registry.unlock_lake(session).await {
        tracing::info!("{e}");
    }
    Ok(landed)
}

/// Puts the valid ones in place: their paths and sizes.
async fn place(made: &[Derived], valid: &[bool]) -> Result<Placed, publish::Error> {
    let claims: Vec<_> =
        made.iter().zip(valid).map(|(m, ok)| ok.then(|| (m.claim.clone(), m.rows()))).collect();
    run_blocking(move || {
        claims
            .into_iter()
            .map(|claim| {
                let Some((claim, rows)) = claim else { return Ok(None) };
                let published = claim.publish_as(rows, Uuid::now_v7())?;
                Ok(Some((published.path, published.size_bytes)))
            })
            .collect()
    })
    .await
}

type ByFolder<'a> = BTreeMap<String, Vec<(String, &'a Tile)>>;

/// What was placed, by the folder of its pixel; paths are relative to the lake.
fn by_folder<'a>(
    root: &Path,
    made: &'a [Derived],
    placed: &[Option<(PathBuf, u64)>],
) -> ByFolder<'a> {
    let mut folders = ByFolder::new();
    for (made, placed) in made.iter().zip(placed) {
        let relative = placed.as_ref().and_then(|(path, _)| path.strip_prefix(root).ok());
        let Some(path) = relative.map(|path| path.to_string_lossy().into_owned()) else { continue };
        let Some(folder) = folder_of(&path) else { continue };
        folders.entry(folder).or_default().push((path, &made.attempt.tile));
    }
    folders
}

fn attempt_of((made, landed): (&Derived, &Landed)) -> Option<StageAttempt> {
    let attempt = made.attempt.clone();
    match landed {
        Landed::Published { size_bytes, .. } => {
            Some(StageAttempt { bytes_out: i64::try_from(*size_bytes).ok(), ..attempt })
        }
        Landed::Refused(reason) => {
            let (outcome, error) = (Outcome::Internal, Some(reason.clone()));
            Some(StageAttempt { outcome, error, ..attempt })
        }
        Landed::Overtaken => None,
    }
}
