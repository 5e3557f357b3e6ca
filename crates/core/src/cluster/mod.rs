//! A lake's private Postgres: made, started and stopped without anybody's care.
//!
//! ```text
//! FOLDER/              0700, owned by the user that runs the server
//! FOLDER/data          the cluster; appears complete, by rename
//! FOLDER/.s.PGSQL.5432 the only way in
//! FOLDER/server.log
//! ```
//!
//! FOLDER is `LAKE/.bifrost/postgres`, or a folder of state named after the lake's identity where
//! that one will not do (see `place`). Postgres refuses to run as root: root starts it as
//! another user (`owner`). Whoever starts or stops the server holds a lock on FOLDER.

mod create;
mod owner;
mod place;
mod programs;
mod server;
mod tuning;

use crate::layout::Lake;
use owner::Owner;
use programs::Programs;
pub use programs::{client, psql};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The database of a private cluster, and its superuser.
pub const DATABASE: &str = "bifrost";

/// What the machine and its user say.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Folders of the user's `PATH`, in order.
    pub path: Vec<PathBuf>,
    /// The only folder to take Postgres' programs from, if one is named.
    pub programs: Option<PathBuf>,
    /// Folders where state may be kept, best first, for lakes that cannot hold a server.
    pub state: Vec<PathBuf>,
}

impl Surroundings {
    /// As the environment of this process tells them.
    #[must_use]
    pub fn of_this_process() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect();
        Self { path, programs: None, state: state_folders() }
    }
}

/// Where state may be kept, best first: where the user says, else where the system does.
fn state_folders() -> Vec<PathBuf> {
    let folder = |variable| std::env::var_os(variable).map(PathBuf::from);
    let named = folder("XDG_STATE_HOME").map(|state| state.join("bifrost"));
    let own = match rustix::process::geteuid().is_root() {
        true => Some(PathBuf::from("/var/lib/bifrost")),
        false => folder("HOME").map(|home| home.join(".local/state/bifrost")),
    };
    named.into_iter().chain(own).filter(|folder| folder.is_absolute()).collect()
}

/// The private cluster of a lake, running or not.
#[derive(Debug, Clone)]
pub struct Cluster {
    folder: PathBuf,
    owner: Owner,
}

/// Whether a cluster's server can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No server runs.
    Down,
    /// A server is starting, recovering or stopping.
    Changing,
    /// The server takes connections.
    Up,
}

/// Why a private Postgres could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Postgres is not installed, or not where it was looked for.
    #[error("no Postgres server is installed (looked in {}): install one (Debian, Ubuntu: `apt install postgresql`), name the folder of its programs with --postgres-bin, or name a running server with --database-url", list(.looked_in))]
    NoPrograms {
        /// Where it was looked for.
        looked_in: Vec<PathBuf>,
    },
    /// A program that is not there, or too old for the server.
    #[error(
        "no {name} of version {at_least} or later is installed, and the server is of version {at_least}: install one (Debian, Ubuntu: `apt install postgresql-client-{at_least}`), or name its folder with --postgres-bin"
    )]
    NoClient {
        /// Its name.
        name: String,
        /// Major version of the server.
        at_least: i32,
    },
    /// Only other major versions than the one that made the cluster are installed.
    #[error("the cluster in {} was made by Postgres {made_by}, and only version {} is installed: install postgresql-{made_by}, or name its folder with --postgres-bin", folder.display(), .installed.join(", "))]
    OtherVersion {
        /// The cluster's folder.
        folder: PathBuf,
        /// Its major version.
        made_by: String,
        /// Major versions found.
        installed: Vec<String>,
    },
    /// Root cannot run Postgres, and has nobody to run it for them.
    #[error(
        "Postgres refuses to run as root, and there is neither a user `postgres` nor `nobody` to run it: install the package postgresql, or run as an ordinary user"
    )]
    NoUser,
    /// No folder will do.
    #[error("no folder will do for the private Postgres: {}", .0.join("; "))]
    NoPlace(Vec<String>),
    /// It is another user's.
    #[error("the private Postgres of this lake, in {}, is run by user {owner}: run as {owner} or root, or name another server with --database-url", folder.display())]
    NotYours {
        /// The cluster's folder.
        folder: PathBuf,
        /// The user it belongs to.
        owner: String,
    },
    /// One of Postgres' own programs failed.
    #[error("{program} failed: {said}")]
    Program {
        /// Its name.
        program: String,
        /// What it said last.
        said: String,
    },
    /// The server did not come up, or not in time: it may still be recovering.
    #[error("the private Postgres in {} is neither up nor down after {} s: see server.log there, and try again", folder.display(), waited.as_secs())]
    Slow {
        /// The cluster's folder.
        folder: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The file system refused.
    #[error("failed to use {}: {source}", path.display())]
    Io {
        /// What was being read, made or changed.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl Error {
    /// Whether the same thing may work later without anybody's doing.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Slow { .. })
    }
}

impl Cluster {
    /// The cluster of a lake that has one already.
    ///
    /// # Errors
    /// [`Error::Io`] where the lake's private folder cannot be read.
    pub fn existing(lake: &Lake, around: &Surroundings) -> Result<Option<Self>, Error> {
        let Some(folder) = place::existing(lake, around)? else { return Ok(None) };
        let owner = Owner::of(&folder)?;
        Ok(Some(Self { folder, owner }))
    }

    /// The cluster of a lake, running: made and started if need be. The flag says whether this
    /// call started it.
    ///
    /// Any number of processes may ask at once; one makes and starts it, the others wait.
    ///
    /// # Errors
    /// Every variant of [`Error`].
    pub fn up(lake: &Lake, around: &Surroundings) -> Result<(Self, bool), Error> {
        let programs = || programs::installed(around);
        let cluster = match Self::existing(lake, around)? {
            Some(cluster) if cluster.state()? == State::Up => {
                return Ok((cluster, false));
            }
            Some(cluster) => cluster,
            None => {
                let owner = Owner::for_lake(lake.root())?;
                let folder = place::choose(lake, around, &owner, programs()?.newest())?;
                Self { folder, owner }
            }
        };
        let _lock = cluster.lock()?;
        let programs = cluster.programs(&programs()?)?;
        if !cluster.data().join("PG_VERSION").exists() {
            cluster.create(&programs)?;
        }
        let started = cluster.start(&programs)?;
        Ok((cluster, started))
    }

    /// Stops the server, letting running statements fail; says whether there was one to stop.
    ///
    /// # Errors
    /// [`Error::NotYours`], [`Error::Slow`], [`Error::Io`].
    pub fn down(&self) -> Result<bool, Error> {
        let _lock = self.lock()?;
        self.stop()
    }

    /// Whether the server can be asked.
    ///
    /// # Errors
    /// [`Error::NotYours`], [`Error::Io`].
    pub fn state(&self) -> Result<State, Error> {
        self.check_ours()?;
        self.look()
    }

    /// Where everything of it lies, the socket included.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The user that runs the server.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner.name
    }

    /// The server's process, where one runs on this machine.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.postmaster().map(|postmaster| postmaster.pid)
    }

    /// Major version of the Postgres that made it; none before that.
    #[must_use]
    pub fn made_by(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.data().join("PG_VERSION")).ok()?;
        Some(text.trim().to_owned())
    }

    /// The database URL, understood by every Postgres client.
    #[must_use]
    pub fn url(&self) -> String {
        let mut folder = String::new();
        for &byte in self.folder.as_os_str().as_bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' | b'~' => {
                    folder.push(char::from(byte));
                }
                _ => folder.push_str(&format!("%{byte:02X}")),
            }
        }
        format!("postgresql:///{DATABASE}?host={folder}&user={DATABASE}")
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn check_ours(&self) -> Result<(), Error> {
        let user = owner::effective();
        if user == 0 || user == self.owner.uid {
            return Ok(());
        }
        Err(Error::NotYours { folder: self.folder.clone(), owner: self.owner.name.clone() })
    }

    /// Waits until no other process makes, starts or stops this cluster; held until dropped.
    fn lock(&self) -> Result<File, Error> {
        self.check_ours()?;
        let lock = File::open(&self.folder).map_err(at(&self.folder))?;
        lock.lock().map_err(at(&self.folder))?;
        Ok(lock)
    }

    /// The programs that fit the data, or the newest where there are no data yet.
    fn programs(&self, installed: &programs::Installed) -> Result<Programs, Error> {
        let Some(made_by) = self.made_by() else { return Ok(installed.newest().clone()) };
        installed.of_major(&made_by).cloned().ok_or_else(|| Error::OtherVersion {
            folder: self.folder.clone(),
            made_by,
            installed: installed.majors(),
        })
    }
}

/// Gives a refusal of the file system its path.
fn at(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { path, source }
}

fn list(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    if paths.is_empty() { "no folder: PATH is empty".into() } else { paths.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_survives_any_folder() {
        let owner = Owner { uid: 1, gid: 1, name: "ada".into() };
        let cluster = Cluster { folder: PathBuf::from("/a b/ö,&?"), owner };
        assert_eq!(cluster.url(), "postgresql:///bifrost?host=/a%20b/%C3%B6%2C%26%3F&user=bifrost");
        let config: tokio_postgres::Config = cluster.url().parse().expect("a URL");
        let host = tokio_postgres::config::Host::Unix(cluster.folder);
        assert_eq!(config.get_hosts(), [host]);
    }
}
