//! What was found wrong with a tile: everything is kept, the worst decides.

use crate::fits;
use bifrost_core::outcome::Outcome;
use std::io;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub outcome: Outcome,
    /// What it is.
    pub reason: String,
    /// What to do.
    pub advice: &'static str,
}

/// All that is wrong, and all that is merely worth noting.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    found: Vec<Finding>,
    notes: Vec<String>,
}

impl Findings {
    /// Something is wrong.
    pub fn add(&mut self, outcome: Outcome, reason: impl Into<String>) {
        let finding = Finding { outcome, reason: reason.into(), advice: advice(outcome) };
        if !self.found.contains(&finding) {
            self.found.push(finding);
        }
    }

    /// Something is wrong, and there is a special remedy.
    pub fn add_with(&mut self, outcome: Outcome, reason: impl Into<String>, advice: &'static str) {
        self.found.push(Finding { outcome, reason: reason.into(), advice });
    }

    /// A file cannot be read.
    pub fn unreadable(&mut self, file: &str, error: &fits::Error) {
        self.add(outcome_of(error), format!("{file}: {error}"));
    }

    /// Something is worth noting.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Takes over what somebody else found.
    pub fn extend(&mut self, other: Self) {
        self.found.extend(other.found);
        self.notes.extend(other.notes);
    }

    /// The worst outcome, if anything is wrong.
    #[must_use]
    pub fn worst(&self) -> Option<Outcome> {
        self.found.iter().map(|f| f.outcome).max()
    }

    /// Everything that is wrong, the worst first.
    #[must_use]
    pub fn sorted(&self) -> Vec<&Finding> {
        let mut sorted: Vec<_> = self.found.iter().collect();
        sorted.sort_by_key(|f| std::cmp::Reverse(f.outcome));
        sorted
    }

    /// What is worth noting.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// How bad it is that a file cannot be read.
#[must_use]
pub fn outcome_of(error: &fits::Error) -> Outcome {
    match error {
        fits::Error::Io(e) if e.kind() == io::ErrorKind::NotFound => Outcome::MissingSource,
        e if e.is_disk() => Outcome::Disk,
        _ => Outcome::Corrupt,
    }
}

fn advice(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::MissingSource => "fetch the missing file and convert again",
        Outcome::Mismatch => "fetch all files of the tile again, from one release",
        Outcome::Corrupt => "fetch the file again",
        Outcome::ChecksumMismatch => {
            "fetch the file and its sum file again, or convert with --no-verify"
        }
        Outcome::ArchiveError => "try again later",
        Outcome::Disk => "make room or repair the disk, and convert again",
        Outcome::Internal => "report this with the tile's files",
        Outcome::Unchanged | Outcome::Converted | Outcome::Empty => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_decides_and_all_is_kept() {
        let mut findings = Findings::default();
        assert_eq!(findings.worst(), None);
        findings.add(Outcome::MissingSource, "no redrock");
        findings.add(Outcome::ChecksumMismatch, "bad digest");
        findings.add(Outcome::Corrupt, "no Z arm");
        findings.add(Outcome::Corrupt, "no Z arm");
        assert_eq!(findings.worst(), Some(Outcome::ChecksumMismatch));
        let reasons: Vec<_> = findings.sorted().iter().map(|f| f.reason.as_str()).collect();
        assert_eq!(reasons, ["bad digest", "no Z arm", "no redrock"]);
    }
}
