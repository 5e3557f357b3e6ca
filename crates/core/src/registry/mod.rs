//! The registry: everything Bifrost knows about files and objects, in Postgres.
//!
//! The only module that speaks SQL. Each statement is a file under `/sql` and one function here;
//! the tables are made by the files under `/migrations`.

mod aligned;
mod archive;
pub mod campaign;
pub(crate) mod candidates;
mod commits;
mod connect;
mod copy;
pub(crate) mod demands;
pub mod facts;
pub mod groups;
pub(crate) mod hats;
mod lakes;
mod life;
pub(crate) mod memory;
mod migrate;
mod named;
pub(crate) mod objects;
pub mod parts;
pub(crate) mod promoted;
pub(crate) mod resolve;
pub(crate) mod row_groups;
mod rows;
mod snapshots;
pub(crate) mod spectra;
pub mod stages;
#[doc(hidden)]
pub mod status;
pub(crate) mod tables;
pub mod template;
pub(crate) mod time;
mod verify;

pub use archive::{ArchiveCount, ArchiveFile, Complete, InventoryChanges, LearntFile};
pub use commits::Changes;
pub(crate) use commits::{Commit, ContestedRow, End, RowStream, Table};
pub use connect::{Registry, psql_variables};
pub(crate) use copy::Rows;
pub(crate) use lakes::{CurrentRow, LakeRow, LakeSession, OutcomeRow};
pub use life::Lost;
pub(crate) use life::{MarkRow, NewMark, Step as GcStep};
pub use migrate::LATEST;
pub(crate) use rows::{ClassRow, FactsRow, FileRow, Label, ReadRow};
pub(crate) use snapshots::VersionRow;
pub use time::{CommitRow, Held, Pair, Version as PairVersion};
pub(crate) use verify::KnownRow;

use tokio_postgres::error::SqlState;

/// Why the registry could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database URL means nothing.
    #[error(
        "the database URL cannot be understood ({0}): it looks like postgresql://USER@HOST/DATABASE or postgresql:///DATABASE?host=/SOCKET/FOLDER"
    )]
    Url(String),
    /// No connection.
    #[error("failed to reach Postgres at {place}: {}", reason(source))]
    Unreachable {
        /// Host or socket folder, and database.
        place: String,
        /// What the driver said.
        source: tokio_postgres::Error,
    },
    /// Every connection of the pool stayed in use for too long.
    #[error(
        "failed to get a connection to Postgres at {place} within {waited_s} s: too much is going on at once"
    )]
    Busy {
        /// Host or socket folder, and database.
        place: String,
        /// How long it was waited for, in seconds.
        waited_s: u64,
    },
    /// The server lacks what the registry is built on (multiranges).
    #[error("Postgres at {place} is version {found}, and the registry needs 14 or later")]
    ServerTooOld {
        /// Host or socket folder, and database.
        place: String,
        /// Major version.
        found: i32,
    },
    /// Another, newer Bifrost has been here.
    #[error(
        "the registry has schema {found}, and this program knows schemas up to {LATEST}: use a newer bifrost"
    )]
    SchemaTooNew {
        /// Version in the database.
        found: i32,
    },
    /// The tables are not there, or of an earlier version.
    #[error("the registry has {}, and this program needs schema {LATEST}: run `bifrost db migrate` as a role that may make and alter its tables", match found { Some(v) => format!("schema {v}"), None => "no tables yet".into() })]
    SchemaTooOld {
        /// Version in the database, if it has any.
        found: Option<i32>,
    },
    /// The tables could not be brought up to date; what was begun is undone.
    #[error("failed to migrate the registry: {0}")]
    Migration(String),
    /// SQL that somebody asked with failed, through no fault of the server.
    #[error("the SQL cannot be run: {}", reason(.0))]
    Question(tokio_postgres::Error),
    /// A statement failed.
    #[error("failed to {doing}: {}{}", reason(source), rights(source))]
    Statement {
        /// What the statement was for, as a verb phrase.
        doing: &'static str,
        /// What the driver said.
        source: tokio_postgres::Error,
    },
}

impl Error {
    /// Whether the question, not the registry, is at fault.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Question(_) | Self::Url(_))
    }

    /// Whether the same thing may work later without anybody's doing.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Busy { .. } => true,
            Self::Unreachable { source, .. } | Self::Statement { source, .. } => {
                match source.code() {
                    Some(state) => [
                        SqlState::CANNOT_CONNECT_NOW,
                        SqlState::TOO_MANY_CONNECTIONS,
                        SqlState::ADMIN_SHUTDOWN,
                        SqlState::CRASH_SHUTDOWN,
                        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
                        // a standby that takes over in a moment
                        SqlState::READ_ONLY_SQL_TRANSACTION,
                        SqlState::T_R_SERIALIZATION_FAILURE,
                        SqlState::T_R_DEADLOCK_DETECTED,
                    ]
                    .contains(state),
                    None => source.is_closed() || is_io(source),
                }
            }
            _ => false,
        }
    }
}

/// Gives a failed statement its purpose: `.map_err(doing("count the files"))`.
pub(crate) fn doing(doing: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Error {
    move |source| Error::Statement { doing, source }
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    std::error::Error::source(error).is_some_and(|cause| cause.is::<std::io::Error>())
}

/// Who may do what was refused.
fn rights(error: &tokio_postgres::Error) -> &'static str {
    match error.code() {
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            ": whoever is granted bifrost_reader may read the registry, bifrost_writer may also write"
        }
        _ => "",
    }
}

/// The server's own words where it spoke, else the driver's with their causes.
fn reason(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        let more = [said.detail(), said.hint()];
        let more = more.iter().flatten().map(|words| format!("; {words}"));
        return format!("{}{}", said.message(), more.collect::<String>());
    }
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        words = format!("{words}: {inner}");
        cause = inner.source();
    }
    words
}
