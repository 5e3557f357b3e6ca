//! Where a lake's private Postgres lies, and how that is remembered.
//!
//! First choice is `LAKE/.bifrost/postgres`. A folder will not do if it cannot be made, if the
//! user who runs the server cannot enter it (a lake below a home that only root may search), or if
//! its socket's path would be longer than the system allows or none that clients understand. Then
//! a folder of state is taken, named after the lake's identity, and `LAKE/.bifrost/postgres.json`
//! says which.

use super::owner::{Owner, effective};
use super::programs::Programs;
use super::{Error, Surroundings, at};
use crate::layout::Lake;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Name of the socket in its folder.
pub(super) const SOCKET: &str = ".s.PGSQL.5432";
/// Longest path of a Unix socket, in bytes.
const SOCKET_PATH_MAX: usize = 107;

#[derive(Serialize, Deserialize)]
struct Elsewhere {
    folder: PathBuf,
}

/// The folder that this lake's cluster has, if it has one.
pub(super) fn existing(lake: &Lake, around: &Surroundings) -> Result<Option<PathBuf>, Error> {
    let inside = lake.private("postgres");
    if inside.try_exists().map_err(at(&inside))? {
        return Ok(Some(inside));
    }
    if let Some(remembered) = recall(lake)? {
        return Ok(Some(remembered));
    }
    // a lake that cannot be written cannot remember
    Ok(in_state(lake, around).find(|folder| folder.is_dir()))
}

/// Makes the folder for a lake that has none yet, and remembers it.
pub(super) fn choose(
    lake: &Lake,
    around: &Surroundings,
    owner: &Owner,
    programs: &Programs,
) -> Result<PathBuf, Error> {
    let mut reasons = Vec::new();
    for folder in std::iter::once(lake.private("postgres")).chain(in_state(lake, around)) {
        match make(&folder, owner, programs) {
            Ok(()) if folder.starts_with(lake.root()) => return Ok(folder),
            Ok(()) => {
                // where the lake cannot be written, `existing` looks through the state again
                if let Err(reason) = remember(lake, &folder) {
                    tracing::debug!("{}: {reason}", lake.root().display());
                }
                return Ok(folder);
            }
            Err(reason) => reasons.push(format!("{} {reason}", folder.display())),
        }
    }
    Err(Error::NoPlace(reasons))
}

fn in_state(lake: &Lake, around: &Surroundings) -> impl Iterator<Item = PathBuf> {
    let lake_id = lake.identity().lake_id.to_string();
    around.state.clone().into_iter().map(move |state| state.join(&lake_id))
}

/// Makes an empty folder that the server's user owns, can reach and can put a socket into.
fn make(folder: &Path, owner: &Owner, programs: &Programs) -> Result<(), String> {
    check_socket(&folder.join(SOCKET))?;
    let refused = |e: io::Error| format!("cannot be made ({e})");
    make_parent(folder).map_err(refused)?;
    match std::fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(refused(e)),
        _ => {}
    }
    give(folder, owner).map_err(refused)?;
    if let Err(e) = owner.command(&programs.postgres(), folder).arg("--version").output() {
        // a folder that another process has just filled stays
        let _ = std::fs::remove_dir(folder);
        return Err(format!("is out of reach for user {}, who runs the server ({e})", owner.name));
    }
    Ok(())
}

/// Whether clients can be told of a socket and the system can make it.
fn check_socket(socket: &Path) -> Result<(), String> {
    let length = socket.as_os_str().as_bytes().len();
    match socket.to_str() {
        _ if length > SOCKET_PATH_MAX => Err(format!(
            "is too long a path for a socket ({length} bytes, at most {SOCKET_PATH_MAX})"
        )),
        None => Err("is no text in UTF-8, as Postgres' clients need".into()),
        Some(path) if path.contains(',') => {
            Err("has a comma, which Postgres' clients take for the end of a host".into())
        }
        Some(_) => Ok(()),
    }
}

/// Makes the folder of all state; open to search, as the server's user may be another.
fn make_parent(folder: &Path) -> io::Result<()> {
    let Some(parent) = folder.parent() else { return Ok(()) };
    if parent.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(parent)?;
    std::fs::set_permissions(parent, Permissions::from_mode(0o755))
}

/// Gives the folder to the server's user; never follows a link that somebody put in its place.
pub(super) fn give(folder: &Path, owner: &Owner) -> io::Result<()> {
    let flags = (OFlags::DIRECTORY | OFlags::NOFOLLOW).bits();
    let folder = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(folder)?;
    if effective() == 0 {
        std::os::unix::fs::fchown(&folder, Some(owner.uid), Some(owner.gid))?;
    }
    folder.set_permissions(Permissions::from_mode(0o700))
}

fn remembered_in(lake: &Lake) -> PathBuf {
    lake.private("postgres.json")
}

fn recall(lake: &Lake) -> Result<Option<PathBuf>, Error> {
    let path = remembered_in(lake);
    match std::fs::read_to_string(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(at(&path)(e)),
        Ok(text) => {
            let elsewhere: Elsewhere =
                serde_json::from_str(&text).map_err(|e| at(&path)(io::Error::other(e)))?;
            Ok(Some(elsewhere.folder).filter(|folder| folder.is_dir()))
        }
    }
}

fn remember(lake: &Lake, folder: &Path) -> io::Result<()> {
    let elsewhere = Elsewhere { folder: folder.to_owned() };
    let text = serde_json::to_string_pretty(&elsewhere).map_err(io::Error::other)?;
    let path = remembered_in(lake);
    let draft = path.with_extension(uuid::Uuid::new_v4().to_string());
    let mut file = File::create_new(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&draft, &path)
}
