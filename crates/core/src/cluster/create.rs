//! Makes a cluster: complete or not at all, by rename.

use super::programs::Programs;
use super::{Cluster, DATABASE, Error, at, place, tuning};
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

const DRAFT: &str = "draft-";

impl Cluster {
    /// Makes the data folder; the lock is held.
    ///
    /// A run that was killed may have left a program that still writes into its own draft: each
    /// draft has a name of its own, and what remains of others is swept away.
    pub(super) fn create(&self, programs: &Programs) -> Result<(), Error> {
        // a run that was cut short may have made the folder and not given it away
        place::give(&self.folder, &self.owner).map_err(at(&self.folder))?;
        self.sweep_drafts()?;
        let draft = self.folder.join(format!("{DRAFT}{}", uuid::Uuid::new_v4()));
        let mut initdb = self.owner.command(&programs.initdb(), &self.folder);
        initdb.arg("--pgdata").arg(&draft).args([
            "--username",
            DATABASE,
            "--encoding=UTF8",
            "--locale=C",
            "--auth-local=trust",
            "--auth-host=reject",
            "--data-checksums",
            "--no-instructions",
        ]);
        run(initdb, "")?;
        write_settings(&draft.join("postgresql.conf"))?;
        let mut single = self.owner.command(&programs.postgres(), &self.folder);
        single.arg("--single").arg("-D").arg(&draft).arg("postgres");
        run(single, include_str!("../../../../sql/create_private_database.sql"))?;
        let data = self.data();
        std::fs::rename(&draft, &data).map_err(at(&data))?;
        let folder = File::open(&self.folder).map_err(at(&self.folder))?;
        folder.sync_all().map_err(at(&self.folder))
    }

    fn sweep_drafts(&self) -> Result<(), Error> {
        for entry in std::fs::read_dir(&self.folder).map_err(at(&self.folder))? {
            let entry = entry.map_err(at(&self.folder))?;
            if entry.file_name().to_string_lossy().starts_with(DRAFT) {
                // a program that still writes there may win this time; the next sweep will not lose
                if let Err(e) = std::fs::remove_dir_all(entry.path()) {
                    tracing::debug!("{}: {e}", entry.path().display());
                }
            }
        }
        Ok(())
    }
}

/// Adds our settings to the file that `initdb` wrote; the last mention of a setting counts.
fn write_settings(path: &Path) -> Result<(), Error> {
    let flags = OFlags::NOFOLLOW.bits().cast_signed();
    let mut file =
        OpenOptions::new().append(true).custom_flags(flags).open(path).map_err(at(path))?;
    let settings = tuning::settings(tuning::memory_bytes(), tuning::cores());
    file.write_all(settings.as_bytes()).and_then(|()| file.sync_all()).map_err(at(path))
}

/// Runs a program to its end, feeding it `input`.
fn run(mut command: Command, input: &str) -> Result<(), Error> {
    let name = Path::new(command.get_program()).to_owned();
    let failed = |said: String| Error::Program {
        program: name.display().to_string(),
        said: last_lines(&said),
    };
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| failed(e.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // a program that ended early says why itself
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(|e| failed(e.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(failed(format!("{}\n{}", output.status, String::from_utf8_lossy(&said))))
}

/// The end of what a program said, on one line.
pub(super) fn last_lines(said: &str) -> String {
    let lines: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(4)..].join(" | ")
}
