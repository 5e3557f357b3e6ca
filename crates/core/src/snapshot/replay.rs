//! Whether a snapshot still holds: its digest, its files' bytes, and the answer as of its commit.

use super::{Error, File, Saved, run_blocking};
use crate::history::{self, Point, commit_at};
use crate::registry::{Registry, VersionRow};
use crate::resolution::past::Whereabouts;
use crate::resolution::place::Places;
use crate::resolution::{self, Detail, Resolution};
use serde::Serialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What does not hold any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The snapshot was altered after it was saved.
    Digest,
    /// Another registry answered, or it has forgotten that commit: only the files can be checked.
    Registry,
    /// A file is gone.
    Gone,
    /// A file has other bytes.
    Changed,
    /// A file lies in a lake that cannot be reached from here.
    Unreachable,
    /// As of that commit the registry names other files, or other row groups.
    Answer,
}

/// Something that does not hold any more.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// What kind.
    pub kind: Kind,
    /// The file, relative to its lake, where it is about one.
    pub path: Option<String>,
    /// In words.
    pub what: String,
}

/// What came of a replay.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Version of this report's form.
    pub version: u32,
    /// The snapshot's digest.
    pub id: String,
    /// Under which its files are pinned.
    pub name: String,
    /// As of which commit it is.
    pub commit: i64,
    /// Files that it names.
    pub files: usize,
    /// Files that lie in `.bifrost` by now.
    pub moved: usize,
    /// Files whose bytes were read.
    pub files_read: usize,
    /// Files that gc keeps for it.
    pub pinned: i64,
    /// Files that the registry cannot rule out any more, as it could when this was saved.
    pub more: usize,
    /// What does not hold; nothing: all of it does.
    pub findings: Vec<Finding>,
}

/// Replays a snapshot: is it as it was saved, are its files there (`deep`: with the same bytes), and
/// does the registry still give the same answer as of its commit?
///
/// # Errors
/// [`Error`] where that could not be found out.
pub async fn replay(registry: &Registry, saved: Saved, deep: bool) -> Result<Report, Error> {
    let snapshot = &saved.snapshot;
    let mut report = Report {
        version: 1,
        id: saved.id.clone(),
        name: snapshot.name.clone(),
        commit: snapshot.commit,
        files: snapshot.files.len(),
        moved: 0,
        files_read: 0,
        pinned: 0,
        more: 0,
        findings: Vec::new(),
    };
    if !saved.is_genuine() {
        let what = "it is not what was saved: its digest is another".to_owned();
        report.findings.push(Finding { kind: Kind::Digest, path: None, what });
        return Ok(report);
    }
    let ids: Vec<i64> = snapshot.files.iter().map(|file| file.file_id).collect();
    let is_same = registry.identity().await? == snapshot.registry;
    let known = if is_same { registry.versions(&ids).await? } else { Vec::new() };
    report.pinned = registry.pinned(&snapshot.name).await?;
    let places = Places::look(&registry.resolver(None).await?.places().await?);
    let files = snapshot.files.clone();
    let checked = run_blocking(move || check(files, &places, &known, deep)).await?;
    report.moved = checked.moved;
    report.files_read = checked.files_read;
    report.findings.extend(checked.findings);
    if is_same {
        compare(registry, &saved, &mut report).await?;
    } else {
        let what = "another registry saved it: only its files were checked".to_owned();
        report.findings.push(Finding { kind: Kind::Registry, path: None, what });
    }
    Ok(report)
}

#[derive(Default)]
struct Checked {
    moved: usize,
    files_read: usize,
    findings: Vec<Finding>,
}

fn check(
    files: Vec<File>,
    places: &Places,
    known: &[VersionRow],
    deep: bool,
) -> Result<Checked, Error> {
    let known: HashMap<i64, &VersionRow> = known.iter().map(|row| (row.file_id, row)).collect();
    let (mut checked, mut whereabouts) = (Checked::default(), Whereabouts::default());
    for file in files {
        let mut found = |kind, what| {
            checked.findings.push(Finding { kind, path: Some(file.path.clone()), what });
        };
        let Some(folder) = places.folder_of(file.lake_id) else {
            let what = format!("its lake on node {} cannot be reached from here", file.node);
            found(Kind::Unreachable, what);
            continue;
        };
        let Some(place) = whereabouts.find(folder, &file.path, file.version()) else {
            found(Kind::Gone, why_gone(folder, &file, known.get(&file.file_id).copied()));
            continue;
        };
        checked.moved += usize::from(place != folder.join(&file.path));
        if let (true, Some(sum)) = (deep, &file.sha256) {
            checked.files_read += 1;
            if bifrost_sha256::file(&place).map_err(Error::io("read", &place))? != *sum {
                found(Kind::Changed, format!("{} has other bytes", place.display()));
            }
        }
    }
    Ok(checked)
}

fn why_gone(folder: &Path, file: &File, known: Option<&VersionRow>) -> String {
    let place: PathBuf = folder.join(&file.path);
    let commit = known.and_then(|row| row.removed_commit);
    let taken = commit.map_or(String::new(), |commit| format!("commit {commit} took it out; "));
    match known {
        Some(row) if row.state == "deleted" => format!("{taken}gc has unlinked it"),
        _ if place.exists() => format!("{taken}another file, or another version, lies there"),
        _ => format!("{taken}it is neither there nor in .bifrost"),
    }
}

/// Holds the snapshot against the answer as of its commit.
async fn compare(registry: &Registry, saved: &Saved, report: &mut Report) -> Result<(), Error> {
    let snapshot = &saved.snapshot;
    let mut found = |kind, path: Option<String>, what: String| {
        report.findings.push(Finding { kind, path, what });
    };
    match commit_at(registry, Point::Commit(snapshot.commit)).await {
        Ok(_) => {}
        Err(history::Error::Registry(error)) => return Err(error.into()),
        Err(error) => {
            found(Kind::Registry, None, error.to_string());
            return Ok(());
        }
    }
    let answer: Resolution =
        resolution::resolve(registry, &snapshot.query()?, Detail::Files).await?;
    let now: HashMap<i64, &[usize]> =
        answer.all_files().map(|file| (file.file_id, file.row_groups.as_slice())).collect();
    for file in &snapshot.files {
        let said = match now.get(&file.file_id) {
            None => "the registry does not name it as of that commit",
            Some(groups) if !file.row_groups.iter().all(|group| groups.contains(group)) => {
                "the registry names other row groups of it as of that commit"
            }
            Some(_) => continue,
        };
        found(Kind::Answer, Some(file.path.clone()), said.to_owned());
    }
    let then: HashMap<i64, &File> = snapshot.files.iter().map(|f| (f.file_id, f)).collect();
    report.more = now.keys().filter(|id| !then.contains_key(id)).count();
    Ok(())
}
