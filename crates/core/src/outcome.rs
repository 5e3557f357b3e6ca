//! How a tile ends: one word from one list, everywhere (summary tables, registry, datasheet).

use serde::{Deserialize, Serialize};
use std::fmt;

/// The end of one tile in one run.
///
/// The order is the order of severity: where several things are wrong with a tile, the worst is
/// its outcome. A failed checksum is worse than unreadable structure, which is worse than files
/// that disagree, because each puts in doubt what the next one would have found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Same inputs and configuration as the published file: nothing to do.
    Unchanged,
    /// Published, with rows.
    Converted,
    /// Published, valid, without rows: nothing passed the selection.
    Empty,
    /// A required file is not there.
    MissingSource,
    /// The files of the tile disagree about its targets.
    Mismatch,
    /// A file cannot be read as what it should be.
    Corrupt,
    /// A file's sha256 is not the one its sum file states.
    ChecksumMismatch,
    /// The archive did not deliver.
    ArchiveError,
    /// The local disk refused (full, read-only, failing).
    Disk,
    /// A fault of this program.
    Internal,
}

impl Outcome {
    /// Every outcome, mildest first.
    pub const ALL: [Self; 10] = [
        Self::Unchanged,
        Self::Converted,
        Self::Empty,
        Self::MissingSource,
        Self::Mismatch,
        Self::Corrupt,
        Self::ChecksumMismatch,
        Self::ArchiveError,
        Self::Disk,
        Self::Internal,
    ];

    /// The outcome that a word of tables, JSON or SQL names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == word)
    }

    /// Whether the cause may be gone later without anybody's doing.
    #[must_use]
    pub fn may_pass(self) -> bool {
        matches!(self, Self::ArchiveError | Self::Disk | Self::Internal)
    }

    /// Whether the tile was set aside with a reason instead of published.
    #[must_use]
    pub fn is_quarantined(self) -> bool {
        self > Self::Empty
    }

    /// What to do with a tile of the archive that ended so; nothing where it was published.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Unchanged | Self::Converted | Self::Empty => "",
            Self::MissingSource => {
                "the archive lacks a file: inventory --update queues the tile once it is there"
            }
            Self::Mismatch | Self::Corrupt | Self::ChecksumMismatch => {
                "report the archive's files: inventory --update queues the tile once there are \
                 others, --requeue tries these again"
            }
            Self::ArchiveError => "see whether the archive answers (bench), then --requeue",
            Self::Disk => "make room on the node's disk, or mend it, then --requeue",
            Self::Internal => "report the error, it is this program's; --requeue tries again",
        }
    }

    /// The word used in tables, JSON and SQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Converted => "converted",
            Self::Empty => "empty",
            Self::MissingSource => "missing_source",
            Self::Mismatch => "mismatch",
            Self::Corrupt => "corrupt",
            Self::ChecksumMismatch => "checksum_mismatch",
            Self::ArchiveError => "archive_error",
            Self::Disk => "disk",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
