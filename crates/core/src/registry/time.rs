//! What the registry said earlier: its commits, and what was live as of one.

use super::{Changes, Error, Registry, doing};
use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio_postgres::Row;
use uuid::Uuid;

/// What is known of a version that is live no longer, to find it again.
#[derive(Debug, Clone)]
pub(crate) struct PastRow {
    pub(crate) inode: i64,
    /// The commit that took it out.
    pub(crate) ended_commit: i64,
    /// What became of it.
    pub(crate) state: String,
}

impl PastRow {
    /// From the columns that only answers as of a commit have.
    pub(super) fn of(row: &Row) -> Result<Option<Self>, tokio_postgres::Error> {
        let Some(ended_commit) = row.try_get("ended_commit")? else { return Ok(None) };
        Ok(Some(Self { inode: row.try_get("inode")?, ended_commit, state: row.try_get("state")? }))
    }
}

/// A commit.
#[derive(Debug, Clone, Serialize)]
pub struct CommitRow {
    /// Its number.
    pub commit: i64,
    /// When it was numbered.
    pub at: DateTime<Utc>,
    /// What made it: sync, run, stage, verify, forget; nothing where nobody noted it.
    pub action: Option<String>,
    /// The node.
    pub node: String,
    /// Role of the database that made it.
    pub by: Option<String>,
    /// Program and version.
    pub program: String,
    /// Idempotency key.
    pub key: String,
    /// The lake.
    pub lake_id: Uuid,
    /// What changed.
    #[serde(flatten)]
    pub changes: Changes,
}

/// A version of a file in a difference.
#[derive(Debug, Clone, Serialize)]
pub struct Version {
    /// Its number in the registry.
    pub file_id: i64,
    /// The node.
    pub node: String,
    /// Absolute path on that node.
    pub path: String,
    /// Rows.
    pub rows: i64,
    /// Size, bytes.
    pub size_bytes: i64,
}

/// What became of a file, or of a tile of a product, from one commit to another.
#[derive(Debug, Clone, Serialize)]
pub struct Pair {
    /// The product.
    pub product: String,
    /// What was live as of the first; none: it was added.
    pub old: Option<Version>,
    /// What was live as of the second; none: it was removed.
    pub new: Option<Version>,
}

/// What there was of a product on a node.
#[derive(Debug, Clone, Serialize)]
pub struct Held {
    /// The product.
    pub product: String,
    /// The node.
    pub node: String,
    /// Live files.
    pub files: i64,
    /// Their rows.
    pub rows: i64,
    /// Their size, bytes.
    pub size_bytes: i64,
}

/// The first commit and the latest.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) first: (i64, DateTime<Utc>),
    pub(crate) latest: (i64, DateTime<Utc>),
    /// The latest up to the time that was asked for.
    pub(crate) latest_then: Option<i64>,
}

impl Registry {
    /// The first commit and the latest; nothing before the first.
    pub(crate) async fn span(&self, until: Option<DateTime<Utc>>) -> Result<Option<Span>, Error> {
        let sql = include_str!("../../../../sql/time_span.sql");
        let row = self.client().await?.query_one(sql, &[&until]).await;
        let span = |row: Row| {
            let Some(first) = row.try_get(0)? else { return Ok(None) };
            Ok(Some(Span {
                first: (first, row.try_get(1)?),
                latest: (row.try_get(2)?, row.try_get(3)?),
                latest_then: row.try_get(4)?,
            }))
        };
        row.and_then(span).map_err(doing("look for the commit"))
    }

    /// When the latest commit up to a number was made.
    pub(crate) async fn committed_at(&self, commit: i64) -> Result<Option<DateTime<Utc>>, Error> {
        let sql = include_str!("../../../../sql/time_committed_at.sql");
        let row = self.client().await?.query_opt(sql, &[&commit]).await;
        row.and_then(|row| row.map(|r| r.try_get(0)).transpose())
            .map_err(doing("look for the commit"))
    }

    /// The latest commits, newest first: so many, up to a number where one is given.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn log(&self, limit: i64, until: Option<i64>) -> Result<Vec<CommitRow>, Error> {
        let sql = include_str!("../../../../sql/time_log.sql");
        let rows = self.client().await?.query(sql, &[&limit, &until]).await;
        rows.and_then(|rows| rows.iter().map(CommitRow::of).collect())
            .map_err(doing("list the commits"))
    }

    /// What differs between what was live as of two commits, by product and path.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn diff(&self, from: i64, to: i64) -> Result<Vec<Pair>, Error> {
        let sql = include_str!("../../../../sql/time_diff.sql");
        let rows = self.client().await?.query(sql, &[&from, &to]).await;
        let pair = |row: &Row| {
            let (old, new) = (Version::of(row, 1)?, Version::of(row, 6)?);
            Ok(Pair { product: row.try_get(0)?, old, new })
        };
        rows.and_then(|rows| rows.iter().map(pair).collect()).map_err(doing("compare two commits"))
    }

    /// What was live as of a commit, by product and node.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn held(&self, as_of: i64) -> Result<Vec<Held>, Error> {
        let sql = include_str!("../../../../sql/time_status.sql");
        let rows = self.client().await?.query(sql, &[&as_of]).await;
        let held = |row: &Row| {
            Ok(Held {
                product: row.try_get(0)?,
                node: row.try_get(1)?,
                files: row.try_get(2)?,
                rows: row.try_get(3)?,
                size_bytes: row.try_get(4)?,
            })
        };
        rows.and_then(|rows| rows.iter().map(held).collect()).map_err(doing("count what there was"))
    }
}

impl CommitRow {
    fn of(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            commit: row.try_get(0)?,
            at: row.try_get(1)?,
            action: row.try_get(2)?,
            node: row.try_get(3)?,
            by: row.try_get(4)?,
            program: row.try_get(5)?,
            key: row.try_get(6)?,
            lake_id: row.try_get(7)?,
            changes: Changes {
                files_added: row.try_get(8)?,
                files_changed: row.try_get(9)?,
                files_missing: row.try_get(10)?,
                files_replaced: row.try_get(11)?,
                files_quarantined: row.try_get(12)?,
                rows_added: row.try_get(13)?,
                rows_removed: row.try_get(14)?,
                bytes_added: row.try_get(15)?,
                bytes_removed: row.try_get(16)?,
                catalog_added: row.try_get(17)?,
                catalog_removed: row.try_get(18)?,
            },
        })
    }
}

impl Version {
    /// Columns from `first` on; none where that is NULL.
    fn of(row: &Row, first: usize) -> Result<Option<Self>, tokio_postgres::Error> {
        let Some(file_id) = row.try_get(first)? else { return Ok(None) };
        Ok(Some(Self {
            file_id,
            node: row.try_get(first + 1)?,
            path: row.try_get(first + 2)?,
            rows: row.try_get(first + 3)?,
            size_bytes: row.try_get(first + 4)?,
        }))
    }
}
