//! A resolution as a file: what was asked, as of which commit, and every file of the answer with its
//! checksum, under a digest by which it can be cited.
//!
//! ```text
//! {"id": "bifrost:sha256:HEX", "snapshot": {…}}     HEX: SHA-256 of `snapshot` as compact JSON
//! ```
//!
//! Saving pins the files, so that gc keeps their bytes; [`replay`] tells whether all of it still
//! holds.

mod replay;

use crate::VERSION;
use crate::blocking::run_blocking;
use crate::history::{self, Point, commit_at};
use crate::predicate::{self, Predicate};
use crate::registry::{self, Registry, VersionRow};
use crate::resolution::{self, Detail, Query, Resolution, ResolvedFile};
use crate::sky::Region;
use crate::sky::region::Spelled;
use crate::whole;
use crate::withdraw::Version;
use bifrost_sha256::Sha256;
use chrono::{DateTime, SubsecRound, Utc};
use rayon::prelude::*;
pub use replay::{Finding, Kind, Report, replay};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The form of snapshots that this program writes and reads.
const FORM: u32 = 1;
const SCHEME: &str = "bifrost:sha256:";

/// A snapshot and the digest by which it is cited.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// `bifrost:sha256:HEX`, over `snapshot` as compact JSON.
    pub id: String,
    /// What was saved.
    pub snapshot: Snapshot,
}

/// A saved resolution.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Version of this form.
    pub form: u32,
    /// Under which its files are pinned.
    pub name: String,
    /// The registry that answered.
    pub registry: Uuid,
    /// As of which commit.
    pub commit: i64,
    /// When that was made.
    pub committed_at: Option<DateTime<Utc>>,
    /// When this was saved.
    pub saved_at: DateTime<Utc>,
    /// By which program and version.
    pub saved_by: String,
    /// What was asked.
    pub question: Question,
    /// The answer, by path.
    pub files: Vec<File>,
}

/// What was asked, in one spelling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The product.
    pub product: String,
    /// Condition on columns.
    pub predicate: Option<String>,
    /// Circle on the sky: RA, declination, radius, degrees.
    pub cone: Option<String>,
    /// Other parts of the sky that hold the positions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<Spelled>,
    /// Objects.
    pub target_ids: Option<Vec<i64>>,
    /// Columns that were to be read, and bring the products that have them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
}

/// A file of the answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Number of its version in that registry.
    pub file_id: i64,
    /// Node where it lay.
    pub node: String,
    /// Lake that held it.
    pub lake_id: Uuid,
    /// Path relative to the lake.
    pub path: String,
    /// `RELEASE-SURVEY-PROGRAM-PIXEL`, where it is the file of a tile.
    pub tile: Option<String>,
    /// Rows in the file.
    pub rows: i64,
    /// Row groups of the answer.
    pub row_groups: Vec<usize>,
    /// Its size.
    pub size_bytes: i64,
    /// When it was last modified, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Inode number.
    pub inode: i64,
    /// Checksum of its content as its maker stated it.
    pub content: Option<String>,
    /// SHA-256 of the whole file; none where it could not be read from where this was saved.
    pub sha256: Option<String>,
}

/// Why a snapshot cannot be saved, read or replayed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The question cannot be resolved.
    #[error(transparent)]
    Resolution(#[from] resolution::Error),
    /// There is no such commit.
    #[error(transparent)]
    History(#[from] history::Error),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// What SQL gives may be another thing tomorrow.
    #[error(
        "a question in SQL cannot be saved, since its tables may change: save one that names its objects"
    )]
    Sql,
    /// Nothing to save.
    #[error("nothing matches: nothing was saved")]
    Empty,
    /// Files of the answer are gone.
    #[error("{} files of the answer are gone, and a snapshot must name files that are there: {}", .0.len(), crate::read::named(.0, "; "))]
    Lost(Vec<String>),
    /// A file of the answer is another one by now.
    #[error("{} has changed since it was registered: run `bifrost sync` and save again", .0.display())]
    Changed(PathBuf),
    /// A snapshot is there already.
    #[error("{} is there already, and a snapshot is never written over", .0.display())]
    There(PathBuf),
    /// It was altered, or another registry saved it.
    #[error("the snapshot cannot be used: {0}; `bifrost replay` says more")]
    Broken(String),
    /// Not a snapshot.
    #[error("{} is no snapshot ({reason})", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        reason: String,
    },
    /// The file system refused.
    #[error("failed to {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl Error {
    /// Whether the question, not the registry or a disk, is at fault.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Resolution(error) => error.is_usage(),
            Self::History(error) => error.is_usage(),
            Self::Sql | Self::There(_) | Self::Form { .. } | Self::Broken(_) => true,
            _ => false,
        }
    }

    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

impl Question {
    fn of(query: &Query) -> Self {
        let mut cone = None;
        let mut regions: Vec<Spelled> = query.regions.iter().map(Region::spelled).collect();
        // the first circle has a place of its own, as it had before there were other regions
        regions.retain_mut(|region| match region {
            Spelled::Cone(text) if cone.is_none() => {
                cone = Some(std::mem::take(text));
                false
            }
            _ => true,
        });
        Self {
            product: query.product().to_owned(),
            predicate: query.predicate.as_ref().map(ToString::to_string),
            cone,
            regions,
            target_ids: query.target_ids.clone(),
            columns: query.columns.clone(),
        }
    }
}

impl File {
    fn version(&self) -> Version {
        Version { size_bytes: self.size_bytes, mtime_ns: self.mtime_ns, inode: self.inode }
    }
}

impl Snapshot {
    /// The question again, as of the snapshot's commit.
    ///
    /// # Errors
    /// [`resolution::Error`] where this program does not understand it.
    pub fn query(&self) -> Result<Query, resolution::Error> {
        let syntax = |error: crate::sky::Error| predicate::Error::Syntax(error.to_string());
        let asked = &self.question;
        let cone = asked.cone.clone().map(Spelled::Cone);
        let regions = cone.iter().chain(&asked.regions).map(Region::try_from);
        Ok(Query {
            predicate: asked.predicate.as_deref().map(Predicate::parse).transpose()?,
            regions: regions.collect::<Result<_, _>>().map_err(syntax)?,
            target_ids: asked.target_ids.clone(),
            sql: None,
            product: Some(asked.product.clone()),
            as_of: Some(self.commit),
            columns: asked.columns.clone(),
        })
    }

    fn id(&self) -> String {
        let mut digest = Sha256::new();
        // a struct of texts and numbers can always be written
        digest.update(&serde_json::to_vec(self).unwrap_or_default());
        format!("{SCHEME}{}", digest.hex())
    }
}

impl Saved {
    /// Reads a snapshot; whether it is as it was saved, [`replay`] tells.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Form`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read(path).map_err(Error::io("read", path))?;
        let form = |reason: String| Error::Form { path: path.to_owned(), reason };
        let saved: Self = serde_json::from_slice(&text).map_err(|e| form(e.to_string()))?;
        match saved.snapshot.form {
            FORM => Ok(saved),
            other => Err(form(format!("it has form {other}, this program knows form {FORM}"))),
        }
    }

    /// Whether it is as it was saved.
    #[must_use]
    pub fn is_genuine(&self) -> bool {
        self.id == self.snapshot.id()
    }
}

/// Resolves a question, pins the files of the answer and writes the snapshot.
///
/// What was live as of a commit never changes. So the list need not be read in the transaction that
/// pins it: a file that gc has decided to unlink meanwhile is refused by the server.
///
/// # Errors
/// [`Error`]; nothing is pinned or written.
pub async fn save(registry: &Registry, query: &Query, path: &Path) -> Result<Saved, Error> {
    if path.exists() {
        return Err(Error::There(path.to_owned()));
    }
    if query.sql.is_some() {
        return Err(Error::Sql);
    }
    let commit = match query.as_of {
        Some(commit) => commit,
        None => commit_at(registry, Point::Now).await?,
    };
    let query = Query { as_of: Some(commit), ..query.clone() };
    let answer = resolution::resolve(registry, &query, Detail::Files).await?;
    let lost =
        |file: &ResolvedFile| Some(format!("{}: {}", file.path.display(), file.lost.as_ref()?));
    let lost: Vec<String> = answer.all_files().filter_map(lost).collect();
    match (answer.files.is_empty(), lost.is_empty()) {
        (true, _) => return Err(Error::Empty),
        (_, false) => return Err(Error::Lost(lost)),
        _ => {}
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let unique = Uuid::new_v4().simple().to_string();
    let name = format!("{stem}-{}", unique.get(..8).unwrap_or(&unique));
    let ids: Vec<i64> = answer.all_files().map(|file| file.file_id).collect();
    registry.pin(&name, &ids).await?;
    let draft = Draft { registry, query: &query, commit, name: &name };
    let saved = draft.complete(answer.all_files().cloned().collect(), path).await;
    if saved.is_err()
        && let Err(e) = registry.unpin(&name).await
    {
        tracing::warn!("{e}: the pins of {name} stay");
    }
    saved
}

/// Keeps a snapshot's files again, in whatever registry: one that was made anew in another database has
/// forgotten them. Says how many were not kept.
///
/// # Errors
/// [`Error`].
pub async fn pin(registry: &Registry, saved: &Saved) -> Result<u64, Error> {
    if !saved.is_genuine() {
        return Err(Error::Broken("it is not what was saved".to_owned()));
    }
    let snapshot = &saved.snapshot;
    let files: Vec<(i64, Uuid, Version)> =
        snapshot.files.iter().map(|f| (f.file_id, f.lake_id, f.version())).collect();
    Ok(registry.pin_again(&snapshot.name, &files).await?)
}

/// The answer that was saved, to be read from where its files lie now.
///
/// # Errors
/// [`Error`]; files that are gone are no error here.
pub async fn answer(registry: &Registry, saved: &Saved) -> Result<(Query, Resolution), Error> {
    let snapshot = &saved.snapshot;
    let broken = |reason: &str| Err(Error::Broken(reason.to_owned()));
    if !saved.is_genuine() {
        return broken("it is not what was saved");
    }
    if registry.identity().await? != snapshot.registry {
        return broken("another registry saved it");
    }
    commit_at(registry, Point::Commit(snapshot.commit)).await?;
    let query = snapshot.query()?;
    let mut answer = resolution::resolve(registry, &query, Detail::Files).await?;
    let wanted: HashMap<i64, &File> = snapshot.files.iter().map(|f| (f.file_id, f)).collect();
    let keep = |file: &mut ResolvedFile| {
        let wanted = wanted.get(&file.file_id);
        wanted.is_some_and(|wanted| {
            file.row_groups.clone_from(&wanted.row_groups);
            true
        })
    };
    answer.files.retain_mut(|file| {
        file.aligned.retain_mut(keep);
        keep(file)
    });
    match answer.all_files().count() == wanted.len() {
        true => Ok((query, answer)),
        false => broken("the registry does not name all of its files"),
    }
}

/// A snapshot whose files are pinned.
struct Draft<'a> {
    registry: &'a Registry,
    query: &'a Query,
    commit: i64,
    name: &'a str,
}

impl Draft<'_> {
    async fn complete(&self, files: Vec<ResolvedFile>, path: &Path) -> Result<Saved, Error> {
        let ids: Vec<i64> = files.iter().map(|file| file.file_id).collect();
        let versions = self.registry.versions(&ids).await?;
        let snapshot = Snapshot {
            form: FORM,
            name: self.name.to_owned(),
            registry: self.registry.identity().await?,
            commit: self.commit,
            committed_at: self.registry.committed_at(self.commit).await?,
            saved_at: Utc::now().trunc_subsecs(0),
            saved_by: format!("bifrost {VERSION}"),
            question: Question::of(self.query),
            files: run_blocking(move || summed(files, versions)).await?,
        };
        let saved = Saved { id: snapshot.id(), snapshot };
        write(path, &saved)?;
        Ok(saved)
    }
}

/// The files with their checksums, read side by side.
fn summed(files: Vec<ResolvedFile>, versions: Vec<VersionRow>) -> Result<Vec<File>, Error> {
    let versions: HashMap<i64, VersionRow> =
        versions.into_iter().map(|row| (row.file_id, row)).collect();
    let one = |file: ResolvedFile| {
        let Some(known) = versions.get(&file.file_id) else {
            return Err(Error::Lost(vec![file.path.display().to_string()]));
        };
        let here = file.uri.as_deref().filter(|uri| !uri.contains("://")).map(Path::new);
        Ok(File {
            file_id: file.file_id,
            node: known.node.clone(),
            lake_id: known.lake_id,
            path: known.path.clone(),
            tile: known.tile.clone(),
            rows: known.rows,
            row_groups: file.row_groups,
            size_bytes: known.version.size_bytes,
            mtime_ns: known.version.mtime_ns,
            inode: known.version.inode,
            content: known.content.clone(),
            sha256: here.map(|path| sum(path, known.version)).transpose()?,
        })
    };
    files.into_par_iter().map(one).collect()
}

/// SHA-256 of a file that is that version, before and after.
fn sum(path: &Path, version: Version) -> Result<String, Error> {
    let is_it = || -> Result<bool, Error> {
        let about = std::fs::metadata(path).map_err(Error::io("look at", path))?;
        Ok(Version::from(&about) == version)
    };
    let before = is_it()?;
    let sum = bifrost_sha256::file(path).map_err(Error::io("read", path))?;
    if before && is_it()? { Ok(sum) } else { Err(Error::Changed(path.to_owned())) }
}

/// Writes a file that was not there, whole or not at all.
fn write(path: &Path, saved: &Saved) -> Result<(), Error> {
    let mut text = serde_json::to_string_pretty(saved)
        .map_err(|e| Error::Form { path: path.to_owned(), reason: e.to_string() })?;
    text.push('\n');
    let draft = path.with_file_name(format!(".{}.draft", saved.snapshot.name));
    whole::write_new(path, &draft, text.as_bytes()).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Error::There(path.to_owned()),
        _ => Error::io("write", path)(error),
    })?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    whole::flush_folder(folder.unwrap_or(Path::new("."))).map_err(Error::io("flush", path))
}
