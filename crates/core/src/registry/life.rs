//! The end of a file's life, and of a registry's: marks of gc, pins of snapshots, a registry that is
//! made anew.

use super::lakes::LakeSession;
use super::{Error, Registry, doing};
use crate::withdraw::Version;
use chrono::{DateTime, Utc};
use postgres_types::ToSql;
use std::collections::{HashMap, HashSet};
use tokio_postgres::Row;
use uuid::Uuid;

/// How far a marked file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It lies where it lay.
    Marked,
    /// It lies in the folder of what was moved.
    Moved,
    /// It may be gone.
    Unlinking,
}

/// A file on its way out.
#[derive(Debug, Clone)]
pub(crate) struct MarkRow {
    pub(crate) path: String,
    pub(crate) kind: String,
    pub(crate) version: Version,
    pub(crate) step: Step,
    pub(crate) due_at: DateTime<Utc>,
    pub(crate) is_due: bool,
}

/// A file that is to be marked.
#[derive(Debug, Clone)]
pub(crate) struct NewMark<'a> {
    pub(crate) path: &'a str,
    pub(crate) kind: &'static str,
    pub(crate) version: Version,
    pub(crate) is_moved: bool,
}

/// What only a backup of the registry keeps, of what hangs on files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Lost {
    /// Commits: who changed what when, and with them time travel.
    pub commits: i64,
    /// Versions of files that are no longer there.
    pub files_gone: i64,
    /// Marks of gc: graces begin anew.
    pub gc_marks: i64,
}

/// Columns of versions.
struct Versions {
    sizes: Vec<i64>,
    times: Vec<i64>,
    inodes: Vec<i64>,
}

impl Versions {
    fn of(versions: impl Iterator<Item = Version> + Clone) -> Self {
        Self {
            sizes: versions.clone().map(|v| v.size_bytes).collect(),
            times: versions.clone().map(|v| v.mtime_ns).collect(),
            inodes: versions.map(|v| v.inode).collect(),
        }
    }
}

impl LakeSession {
    /// Files on their way out, by path.
    pub(crate) async fn gc_marks(&self, grace_s: f64) -> Result<Vec<MarkRow>, Error> {
        let sql = include_str!("../../../../sql/gc_marks.sql");
        let rows = self.client.query(sql, &[&self.lake_id, &grace_s]).await;
        rows.and_then(|rows| rows.iter().map(MarkRow::of).collect())
            .map_err(doing("list what gc has marked"))
    }

    /// The snapshots that name some of these versions, by place.
    pub(crate) async fn pins(
        &self,
        versions: impl Iterator<Item = Version> + Clone,
    ) -> Result<HashMap<usize, String>, Error> {
        let sql = include_str!("../../../../sql/gc_pins.sql");
        let v = Versions::of(versions);
        let rows = self.client.query(sql, &[&self.lake_id, &v.sizes, &v.times]).await;
        let pin = |row: &Row| {
            let place: i64 = row.try_get(0)?;
            Ok((usize::try_from(place - 1).unwrap_or_default(), row.try_get(1)?))
        };
        rows.and_then(|rows| rows.iter().map(pin).collect()).map_err(doing("look for pins"))
    }

    /// The places of those versions that the registry believes to be in the lake.
    pub(crate) async fn believed(
        &self,
        versions: impl Iterator<Item = Version> + Clone,
    ) -> Result<HashSet<usize>, Error> {
        let sql = include_str!("../../../../sql/gc_believed.sql");
        let v = Versions::of(versions);
        let rows = self.client.query(sql, &[&self.lake_id, &v.sizes, &v.times, &v.inodes]).await;
        let place =
            |row: &Row| Ok(usize::try_from(row.try_get::<_, i64>(0)? - 1).unwrap_or_default());
        rows.and_then(|rows| rows.iter().map(place).collect())
            .map_err(doing("look for files that are believed to be there"))
    }

    /// Marks files.
    pub(crate) async fn gc_mark(&self, marks: &[NewMark<'_>]) -> Result<(), Error> {
        let sql = include_str!("../../../../sql/gc_mark.sql");
        let paths: Vec<&str> = marks.iter().map(|m| m.path).collect();
        let kinds: Vec<&str> = marks.iter().map(|m| m.kind).collect();
        let moved: Vec<bool> = marks.iter().map(|m| m.is_moved).collect();
        let v = Versions::of(marks.iter().map(|m| m.version));
        let values: [&(dyn ToSql + Sync); 7] =
            [&self.lake_id, &paths, &kinds, &v.sizes, &v.times, &v.inodes, &moved];
        self.client.execute(sql, &values).await.map(drop).map_err(doing("mark files"))
    }

    /// Marked files lie in the folder of what was moved.
    pub(crate) async fn gc_moved(&self, paths: &[&str]) -> Result<(), Error> {
        let sql = include_str!("../../../../sql/gc_moved.sql");
        let done = self.client.execute(sql, &[&self.lake_id, &paths]).await;
        done.map(drop).map_err(doing("note what gc has moved"))
    }

    /// Decides that moved files are unlinked: those that no snapshot names.
    pub(crate) async fn gc_decide(&mut self, paths: &[&str]) -> Result<(), Error> {
        let lock = include_str!("../../../../sql/gc_lock_pins.sql");
        let sql = include_str!("../../../../sql/gc_decide.sql");
        let decided = async {
            let transaction = self.client.transaction().await?;
            transaction.batch_execute(lock).await?;
            transaction.execute(sql, &[&self.lake_id, &paths]).await?;
            transaction.commit().await
        };
        decided.await.map_err(doing("decide what is unlinked"))
    }

    /// Files are unlinked.
    pub(crate) async fn gc_unlinked(&self, paths: &[&str]) -> Result<(), Error> {
        let sql = include_str!("../../../../sql/gc_unlinked.sql");
        let done = self.client.execute(sql, &[&self.lake_id, &paths]).await;
        done.map(drop).map_err(doing("note what gc has unlinked"))
    }

    /// Files are no longer marked.
    pub(crate) async fn gc_strike(&self, paths: &[&str]) -> Result<(), Error> {
        let sql = include_str!("../../../../sql/gc_strike.sql");
        let done = self.client.execute(sql, &[&self.lake_id, &paths]).await;
        done.map(drop).map_err(doing("strike marks"))
    }
}

impl Registry {
    /// What would be lost if the registry were made anew from the lakes.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn lost(&self) -> Result<Lost, Error> {
        let sql = include_str!("../../../../sql/rebuild_lost.sql");
        let row = self.client().await?.query_one(sql, &[]).await;
        let lost = |row: Row| {
            Ok(Lost {
                commits: row.try_get(0)?,
                files_gone: row.try_get(1)?,
                gc_marks: row.try_get(2)?,
            })
        };
        row.and_then(lost).map_err(doing("count what only a backup keeps"))
    }

    /// How many files all saved snapshots keep.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn pins(&self) -> Result<i64, Error> {
        let sql = include_str!("../../../../sql/rebuild_pins.sql");
        let row = self.client().await?.query_one(sql, &[]).await;
        row.and_then(|row| row.try_get(0)).map_err(doing("count the pins of snapshots"))
    }

    /// Lakes that are registered: identity, node, root.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn lakes(&self) -> Result<Vec<(Uuid, String, String)>, Error> {
        let sql = include_str!("../../../../sql/rebuild_lakes.sql");
        let rows = self.client().await?.query(sql, &[]).await;
        let lake = |row: &Row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
        rows.and_then(|rows| rows.iter().map(lake).collect()).map_err(doing("list the lakes"))
    }

    /// Forgets all files, objects and commits, in one transaction.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn discard(&self) -> Result<(), Error> {
        let lakes = include_str!("../../../../sql/rebuild_lock_lakes.sql");
        let commits = include_str!("../../../../sql/sync_lock_commits.sql");
        let sql = include_str!("../../../../sql/rebuild_discard.sql");
        let identity = include_str!("../../../../sql/rebuild_identity.sql");
        let mut client = self.client().await?;
        let done = async {
            let transaction = client.transaction().await?;
            transaction.query_one(lakes, &[]).await?;
            transaction.query_one(commits, &[]).await?;
            transaction.batch_execute(sql).await?;
            transaction.batch_execute(identity).await?;
            transaction.commit().await
        };
        done.await.map_err(doing("forget what was registered"))
    }

    /// Numbers the next commits from beyond a number on that a lost registry has used.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn number_after(&self, commit: i64) -> Result<(), Error> {
        let lock = include_str!("../../../../sql/sync_lock_commits.sql");
        let sql = include_str!("../../../../sql/rebuild_number.sql");
        let mut client = self.client().await?;
        let done = async {
            let transaction = client.transaction().await?;
            transaction.query_one(lock, &[]).await?;
            transaction.query_one(sql, &[&commit]).await?;
            transaction.commit().await
        };
        done.await.map_err(doing("number commits"))
    }

    /// Whether nothing at all is in the database.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn is_empty(&self) -> Result<bool, Error> {
        let sql = include_str!("../../../../sql/restore_is_empty.sql");
        let row = self.client().await?.query_one(sql, &[]).await;
        row.and_then(|row| row.try_get(0)).map_err(doing("look into the database"))
    }

    /// Ends the connections of others to the database, so that their programs forget what was in it before.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn end_others(&self) -> Result<(), Error> {
        let sql = include_str!("../../../../sql/restore_end_others.sql");
        let done = self.client().await?.query_one(sql, &[]).await;
        done.map(drop).map_err(doing("end the connections of others"))
    }

    /// Gives the server's roles their rights again.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn grant(&self) -> Result<(), Error> {
        let sql = include_str!("../../../../sql/restore_grants.sql");
        let done = self.client().await?.query_one(sql, &[]).await;
        done.map(drop).map_err(doing("give the roles their rights"))
    }
}

impl MarkRow {
    fn of(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            path: row.try_get(0)?,
            kind: row.try_get(1)?,
            version: Version {
                size_bytes: row.try_get(2)?,
                mtime_ns: row.try_get(3)?,
                inode: row.try_get(4)?,
            },
            step: match row.try_get(5)? {
                "marked" => Step::Marked,
                "moved" => Step::Moved,
                _ => Step::Unlinking,
            },
            due_at: row.try_get(6)?,
            is_due: row.try_get(7)?,
        })
    }
}
