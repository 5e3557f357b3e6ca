//! Finds the server's programs: in `PATH`, in the folders where distributions put each version,
//! and where `pg_config` points.

use super::{Error, Surroundings};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Folders that hold one folder a major version: Debian's, and Red Hat's spelling.
const VERSIONED: [(&str, &str); 2] = [("/usr/lib/postgresql", "bin"), ("/usr", "bin")];

/// One installed Postgres: the folder that holds `initdb` and `postgres`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Programs {
    folder: PathBuf,
    major: u32,
}

/// Everything that is installed; never empty.
pub(super) struct Installed {
    newest: Programs,
    found: Vec<Programs>,
}

impl Programs {
    pub(super) fn initdb(&self) -> PathBuf {
        self.folder.join("initdb")
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.folder.join("postgres")
    }

    /// The programs of a folder, if it has them all and they run.
    fn in_folder(folder: &Path) -> Option<Self> {
        if !folder.join("initdb").is_file() {
            return None;
        }
        let said = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
        let major = major(std::str::from_utf8(&said.stdout).ok()?)?;
        Some(Self { folder: folder.to_owned(), major })
    }
}

impl Installed {
    pub(super) fn newest(&self) -> &Programs {
        &self.newest
    }

    pub(super) fn of_major(&self, major: &str) -> Option<&Programs> {
        self.found.iter().find(|programs| programs.major.to_string() == major)
    }

    pub(super) fn majors(&self) -> Vec<String> {
        self.found.iter().map(|programs| programs.major.to_string()).collect()
    }
}

/// Looks everywhere; the first of each version counts, and `PATH` beats the rest.
pub(super) fn installed(around: &Surroundings) -> Result<Installed, Error> {
    let looked_in = folders(around);
    let found: Vec<_> = looked_in.iter().filter_map(|folder| Programs::in_folder(folder)).collect();
    match found.first() {
        Some(first) => Ok(Installed { newest: first.clone(), found }),
        None if around.programs.is_some() => Err(Error::NoPrograms { looked_in }),
        None => Err(Error::NoPrograms { looked_in: described(around) }),
    }
}

/// `psql`: from the same places, else left to `PATH`.
#[must_use]
pub fn psql(around: &Surroundings) -> PathBuf {
    let mut programs = folders(around).into_iter().map(|folder| folder.join("psql"));
    programs.find(|program| program.is_file()).unwrap_or_else(|| "psql".into())
}

/// A client program (`pg_dump`) of the server's major version, else of the next later one: an older
/// one refuses the server.
///
/// # Errors
/// [`Error::NoClient`].
pub fn client(around: &Surroundings, name: &str, at_least: i32) -> Result<PathBuf, Error> {
    let versioned = |folder: PathBuf| {
        let program = folder.join(name);
        let said = program.is_file().then(|| Command::new(&program).arg("--version").output())?;
        let major = major(std::str::from_utf8(&said.ok()?.stdout).ok()?)?;
        (i64::from(major) >= i64::from(at_least)).then_some((major, program))
    };
    let found = folders(around).into_iter().filter_map(versioned).min_by_key(|(major, _)| *major);
    let missing = || Error::NoClient { name: name.to_owned(), at_least };
    found.map(|(_, program)| program).ok_or_else(missing)
}

fn folders(around: &Surroundings) -> Vec<PathBuf> {
    if let Some(only) = &around.programs {
        return vec![only.clone()];
    }
    let mut folders = around.path.clone();
    folders.extend(versioned());
    folders.extend(around.path.iter().find_map(|folder| asked_pg_config(folder)));
    let mut seen = std::collections::HashSet::new();
    folders.retain(|folder| seen.insert(folder.clone()));
    folders
}

/// `/usr/lib/postgresql/17/bin`, `/usr/pgsql-17/bin`: newest first.
fn versioned() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (parent, programs) in VERSIONED {
        let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let version = if parent == "/usr" { name.strip_prefix("pgsql-") } else { Some(name) };
            if let Some(version) = version.and_then(|v| v.parse::<u32>().ok()) {
                found.push((version, entry.path().join(programs)));
            }
        }
    }
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, folder)| folder).collect()
}

fn asked_pg_config(folder: &Path) -> Option<PathBuf> {
    let said = Command::new(folder.join("pg_config")).arg("--bindir").output().ok()?;
    let folder = String::from_utf8(said.stdout).ok()?;
    Some(PathBuf::from(folder.trim())).filter(|folder| folder.is_absolute())
}

/// Where it was looked, for people: `PATH` as a whole, not folder by folder.
fn described(around: &Surroundings) -> Vec<PathBuf> {
    let mut places = vec![PathBuf::from("PATH"), PathBuf::from("/usr/lib/postgresql/*/bin")];
    places.extend(around.path.iter().find_map(|folder| asked_pg_config(folder)));
    places
}

/// The major version in `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
fn major(said: &str) -> Option<u32> {
    let version = said.split_whitespace().nth(2)?;
    let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(major("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major("command not found"), None);
    }

    #[test]
    fn a_named_folder_is_the_only_one() {
        let around = Surroundings {
            programs: Some("/nowhere".into()),
            path: vec!["/usr/lib/postgresql/15/bin".into()],
            state: Vec::new(),
        };
        let looked = match installed(&around) {
            Err(Error::NoPrograms { looked_in }) => looked_in,
            _ => Vec::new(),
        };
        assert_eq!(looked, [PathBuf::from("/nowhere")]);
    }
}
