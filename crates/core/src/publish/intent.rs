//! What a replacement is going to do, written down before it happens, and how it is done.

use super::REPLACED;
use super::disk::{flush_dir, forgive, make_dirs};
use crate::layout::{Lake, PRIVATE};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use uuid::Uuid;

pub(super) const INTENTS: &str = "intents";

/// Called before each step with its name; an error stops there, as a kill would.
pub(super) type Step<'a> = &'a mut dyn FnMut(&'static str) -> io::Result<()>;

/// One predecessor's way out; paths are relative to the lake.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Move {
    from: PathBuf,
    to: PathBuf,
}

/// What a replacement is going to do; paths are relative to the lake.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Intent {
    version: u32,
    id: Uuid,
    #[serde(flatten)]
    pub(super) first: Part,
    /// What becomes visible with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    also: Vec<Part>,
}

/// One file's way in, and its predecessors' way out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Part {
    draft: PathBuf,
    pub(super) target: PathBuf,
    pub(super) moves: Vec<Move>,
}

impl Part {
    /// Where its predecessors go.
    pub(super) fn replaced(&self, root: &Path) -> Vec<PathBuf> {
        self.moves.iter().map(|m| root.join(&m.to)).collect()
    }
}

impl Intent {
    pub(super) fn new(
        root: &Path,
        id: Uuid,
        draft: &Path,
        target: &Path,
        predecessors: &[PathBuf],
    ) -> io::Result<Self> {
        let inside = |path: &Path| {
            path.strip_prefix(root).map(Path::to_owned).map_err(|e| io::Error::other(e.to_string()))
        };
        let folder = Path::new(PRIVATE).join(REPLACED).join(id.to_string());
        let moves = predecessors
            .iter()
            .map(|old| {
                let from = inside(old)?;
                let to = folder.join(from.file_name().unwrap_or_default());
                Ok(Move { from, to })
            })
            .collect::<io::Result<_>>()?;
        let first = Part { draft: inside(draft)?, target: inside(target)?, moves };
        Ok(Self { version: 1, id, first, also: Vec::new() })
    }

    /// Both, as one. A program that knows one file an intent leaves it to one that knows several.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.version = 2;
        self.also.push(other.first);
        self.also.extend(other.also);
        self
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        std::iter::once(&self.first).chain(&self.also)
    }

    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let intent: Self = serde_json::from_slice(&fs::read(path)?)?;
        let moved = |part: &'_ Part| -> Vec<PathBuf> {
            let moves = part.moves.iter().flat_map(|m| [m.from.clone(), m.to.clone()]);
            moves.chain([part.draft.clone(), part.target.clone()]).collect()
        };
        let inside = intent
            .parts()
            .flat_map(moved)
            .all(|p| p.components().all(|c| matches!(c, Component::Normal(_))));
        if (1..=2).contains(&intent.version) && inside {
            Ok(intent)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, "unknown version or a path outside"))
        }
    }

    pub(super) fn path(&self, lake: &Lake) -> PathBuf {
        lake.private(INTENTS).join(format!("{}.json", self.id))
    }
}

/// Writes the intent, then carries it out. An error before the draft is in place withdraws it.
pub(super) fn replace(lake: &Lake, intent: &Intent, step: Step<'_>) -> io::Result<()> {
    let path = intent.path(lake);
    let intents = lake.private(INTENTS);
    make_dirs(&intents)?;
    // beside the draft first: what lies in intents/ is whole
    let whole = lake.root().join(intent.first.draft.with_extension("json"));
    let mut file = File::create(&whole)?;
    file.write_all(&serde_json::to_vec_pretty(intent)?)?;
    file.sync_all()?;
    step("record the intent")?;
    fs::rename(&whole, &path)?;
    flush_dir(&intents)?;
    let ended = carry_out(lake, intent, step);
    if ended.is_err() && intent.parts().all(|part| lake.root().join(&part.draft).exists()) {
        fs::remove_file(&path)?;
    }
    ended
}

/// Every step leaves the same state when it is repeated.
pub(super) fn carry_out(lake: &Lake, intent: &Intent, step: Step<'_>) -> io::Result<()> {
    for part in intent.parts() {
        place(lake.root(), part, step)?;
    }
    step("strike the intent")?;
    forgive(fs::remove_file(intent.path(lake)), io::ErrorKind::NotFound)
}

fn place(root: &Path, part: &Part, step: Step<'_>) -> io::Result<()> {
    let (draft, target) = (root.join(&part.draft), root.join(&part.target));
    let replaced = part.moves.first().and_then(|m| Some(root.join(m.to.parent()?)));
    if let Some(replaced) = &replaced {
        step("make the folder of the replaced")?;
        make_dirs(replaced)?;
    }
    // while the draft is there, the target is still the old file
    if draft.exists() {
        if let Some(same) = part.moves.iter().find(|m| m.from == part.target) {
            step("keep the old file of the same name")?;
            let linked = fs::hard_link(&target, root.join(&same.to));
            // gone: somebody deleted the old file; there: an earlier try came this far
            forgive(forgive(linked, io::ErrorKind::NotFound), io::ErrorKind::AlreadyExists)?;
            replaced.as_deref().map_or(Ok(()), flush_dir)?;
        }
        step("put the new file in place")?;
        fs::rename(&draft, &target)?;
    }
    let folder = target.parent().unwrap_or(root);
    step("flush the folder")?;
    flush_dir(folder)?;
    for other in part.moves.iter().filter(|m| m.from != part.target) {
        step("move an old file away")?;
        forgive(fs::rename(root.join(&other.from), root.join(&other.to)), io::ErrorKind::NotFound)?;
    }
    if let Some(replaced) = &replaced {
        step("flush the folders")?;
        flush_dir(replaced)?;
        flush_dir(folder)?;
    }
    Ok(())
}
