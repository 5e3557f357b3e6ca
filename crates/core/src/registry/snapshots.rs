//! Pins of saved snapshots, and the versions of files that they name.

use super::{Error, Registry, doing};
use crate::withdraw::Version;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

/// A version of a file, by all that it is known by.
#[derive(Debug, Clone)]
pub(crate) struct VersionRow {
    pub(crate) file_id: i64,
    pub(crate) lake_id: Uuid,
    pub(crate) node: String,
    pub(crate) path: String,
    /// `RELEASE-SURVEY-PROGRAM-PIXEL`, where it is the file of a tile.
    pub(crate) tile: Option<String>,
    pub(crate) rows: i64,
    pub(crate) version: Version,
    /// Checksum of its content as its maker stated it.
    pub(crate) content: Option<String>,
    pub(crate) state: String,
    pub(crate) removed_commit: Option<i64>,
}

impl Registry {
    /// Which registry this is.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn identity(&self) -> Result<Uuid, Error> {
        let sql = include_str!("../../../../sql/snapshot_registry.sql");
        let row = self.client().await?.query_one(sql, &[]).await;
        row.and_then(|row| row.try_get(0)).map_err(doing("ask which registry this is"))
    }

    /// Keeps files for a snapshot. The server refuses where one of them is deleted, or about to be.
    pub(crate) async fn pin(&self, snapshot: &str, files: &[i64]) -> Result<(), Error> {
        let sql = include_str!("../../../../sql/snapshot_pin.sql");
        let done = self.client().await?.execute(sql, &[&snapshot, &files]).await;
        done.map(drop).map_err(doing("pin the snapshot's files"))
    }

    /// Keeps files for a snapshot that another registry may have saved, as far as gc has not unlinked
    /// them; each is a number, a lake and which version it is. Says how many were not kept before.
    pub(crate) async fn pin_again(
        &self,
        snapshot: &str,
        files: &[(i64, Uuid, Version)],
    ) -> Result<u64, Error> {
        let sql = include_str!("../../../../sql/snapshot_pin_again.sql");
        let ids: Vec<i64> = files.iter().map(|(id, _, _)| *id).collect();
        let lakes: Vec<Uuid> = files.iter().map(|(_, lake, _)| *lake).collect();
        let column = |of: fn(&Version) -> i64| -> Vec<i64> {
            files.iter().map(|(_, _, version)| of(version)).collect()
        };
        let sizes = column(|version| version.size_bytes);
        let times = column(|version| version.mtime_ns);
        let inodes = column(|version| version.inode);
        let values: [&(dyn ToSql + Sync); 6] = [&snapshot, &ids, &lakes, &sizes, &times, &inodes];
        let done = self.client().await?.execute(sql, &values).await;
        done.map_err(doing("pin the snapshot's files"))
    }

    /// Lets go of a snapshot's files; says how many there were.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn unpin(&self, snapshot: &str) -> Result<u64, Error> {
        let sql = include_str!("../../../../sql/snapshot_unpin.sql");
        let done = self.client().await?.execute(sql, &[&snapshot]).await;
        done.map_err(doing("let go of the snapshot's files"))
    }

    /// How many files a snapshot keeps.
    pub(crate) async fn pinned(&self, snapshot: &str) -> Result<i64, Error> {
        let sql = include_str!("../../../../sql/snapshot_pinned.sql");
        let row = self.client().await?.query_one(sql, &[&snapshot]).await;
        row.and_then(|row| row.try_get(0)).map_err(doing("count the snapshot's pins"))
    }

    /// Versions of files, in no order; numbers that there are not are left out.
    pub(crate) async fn versions(&self, files: &[i64]) -> Result<Vec<VersionRow>, Error> {
        let sql = include_str!("../../../../sql/snapshot_files.sql");
        let rows = self.client().await?.query(sql, &[&files]).await;
        rows.and_then(|rows| rows.iter().map(VersionRow::of).collect())
            .map_err(doing("look the snapshot's files up"))
    }
}

impl VersionRow {
    fn of(row: &Row) -> Result<Self, tokio_postgres::Error> {
        let text = |column| row.try_get::<_, Option<String>>(column);
        let pixel: Option<i32> = row.try_get(7)?;
        let tile = match (text(4)?, text(5)?, text(6)?, pixel) {
            (Some(release), Some(survey), Some(program), Some(pixel)) => {
                Some(format!("{release}-{survey}-{program}-{pixel}"))
            }
            _ => None,
        };
        Ok(Self {
            file_id: row.try_get(0)?,
            lake_id: row.try_get(1)?,
            node: row.try_get(2)?,
            path: row.try_get(3)?,
            tile,
            rows: row.try_get::<_, Option<i64>>(8)?.unwrap_or_default(),
            version: Version {
                size_bytes: row.try_get(9)?,
                mtime_ns: row.try_get(10)?,
                inode: row.try_get(11)?,
            },
            content: row.try_get(12)?,
            state: row.try_get(13)?,
            removed_commit: row.try_get(14)?,
        })
    }
}
