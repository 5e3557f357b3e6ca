//! Which user runs the server.
//!
//! Ordinary users run their own. For root it is the owner of what is there already: of the
//! cluster, else of the lake; where that is root too, `postgres`, else `nobody`.

use super::{Error, at};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) name: String,
}

/// The user this process acts as.
pub(super) fn effective() -> u32 {
    rustix::process::geteuid().as_raw()
}

impl Owner {
    /// The owner of a cluster's folder.
    pub(super) fn of(folder: &Path) -> Result<Self, Error> {
        let metadata = std::fs::metadata(folder).map_err(at(folder))?;
        if metadata.uid() == 0 {
            // made by root in a run that was cut short before it gave the folder away
            return Self::unprivileged();
        }
        Ok(Self::known(|user| user.uid == metadata.uid()).unwrap_or_else(|| Self {
            uid: metadata.uid(),
            gid: metadata.gid(),
            name: metadata.uid().to_string(),
        }))
    }

    /// Who shall run the server of a lake that has none yet.
    pub(super) fn for_lake(root: &Path) -> Result<Self, Error> {
        let me = effective();
        if me != 0 {
            let gid = rustix::process::getegid().as_raw();
            let name = Self::known(|user| user.uid == me).map(|user| user.name);
            return Ok(Self { uid: me, gid, name: name.unwrap_or_else(|| me.to_string()) });
        }
        let lake_owner = std::fs::metadata(root).map_err(at(root))?.uid();
        match Self::known(|user| user.uid == lake_owner && user.uid != 0) {
            Some(owner) => Ok(owner),
            None => Self::unprivileged(),
        }
    }

    /// A command that runs as this user, with nothing of our environment.
    pub(super) fn command(&self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").current_dir(folder);
        if effective() == 0 {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    fn unprivileged() -> Result<Self, Error> {
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| Self::known(|user| user.name == name))
            .ok_or(Error::NoUser)
    }

    fn known(wanted: impl Fn(&Self) -> bool) -> Option<Self> {
        let users = std::fs::read_to_string("/etc/passwd").ok()?;
        users.lines().filter_map(Self::parse).find(wanted)
    }

    /// A line of the user database: `name:password:uid:gid:…`.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Self { uid, gid, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_read_from_their_lines() {
        let line = "postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash";
        let postgres = Owner { uid: 101, gid: 104, name: "postgres".into() };
        assert_eq!(Owner::parse(line), Some(postgres));
        assert_eq!(Owner::parse("+::::::"), None);
    }
}
