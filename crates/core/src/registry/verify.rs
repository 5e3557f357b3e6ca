//! What the registry knows of files, to be held against the disk; files that did not stand it.

use super::commits::Commit;
use super::{Error, Registry, doing};
use crate::withdraw::Version;
use tokio_postgres::Row;
use uuid::Uuid;

/// A file as it was registered.
#[derive(Debug, Clone)]
pub(crate) struct KnownRow {
    pub(crate) file_id: i64,
    pub(crate) path: String,
    pub(crate) version: Version,
    pub(crate) is_live: bool,
    pub(crate) num_rows: Option<i64>,
    pub(crate) footer_hash: Option<Vec<u8>>,
    pub(crate) fingerprint: Option<String>,
    pub(crate) order_hash: Option<String>,
}

/// Files that hold the same objects.
#[derive(Debug, Clone)]
pub(crate) struct DuplicateRow {
    pub(crate) path: String,
    pub(crate) paths: String,
    pub(crate) objects: i64,
    pub(crate) target_id: i64,
}

/// A live file that was found damaged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CondemnedRow {
    pub(crate) file_id: i64,
    pub(crate) num_rows: i64,
    pub(crate) size_bytes: i64,
    pub(crate) pixel: Option<i32>,
    pub(crate) in_catalog: bool,
}

impl Registry {
    /// The files that are live in a lake.
    pub(crate) async fn verify_ids(&self, lake_id: Uuid) -> Result<Vec<i64>, Error> {
        let sql = include_str!("../../../../sql/verify_ids.sql");
        let rows = self.client().await?.query(sql, &[&lake_id]).await;
        rows.and_then(|rows| rows.iter().map(|row| row.try_get(0)).collect())
            .map_err(doing("list the lake's files"))
    }

    /// What is known of files, by path.
    pub(crate) async fn known_files(&self, ids: &[i64]) -> Result<Vec<KnownRow>, Error> {
        let sql = include_str!("../../../../sql/verify_files.sql");
        let rows = self.client().await?.query(sql, &[&ids]).await;
        rows.and_then(|rows| rows.iter().map(KnownRow::of).collect())
            .map_err(doing("look files up"))
    }

    /// Objects that are held more than once, by files; so many of these at most.
    pub(crate) async fn duplicates(
        &self,
        lake_id: Uuid,
        limit: i64,
    ) -> Result<Vec<DuplicateRow>, Error> {
        let sql = include_str!("../../../../sql/verify_duplicates.sql");
        let rows = self.client().await?.query(sql, &[&lake_id, &limit]).await;
        let duplicate = |row: &Row| {
            Ok(DuplicateRow {
                path: row.try_get(0)?,
                paths: row.try_get(1)?,
                objects: row.try_get(2)?,
                target_id: row.try_get(3)?,
            })
        };
        rows.and_then(|rows| rows.iter().map(duplicate).collect())
            .map_err(doing("look for duplicates"))
    }
}

impl KnownRow {
    fn of(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            file_id: row.try_get(0)?,
            path: row.try_get(1)?,
            version: Version {
                size_bytes: row.try_get(2)?,
                mtime_ns: row.try_get(3)?,
                inode: row.try_get(4)?,
            },
            is_live: row.try_get(5)?,
            num_rows: row.try_get(6)?,
            footer_hash: row.try_get(7)?,
            fingerprint: row.try_get(8)?,
            order_hash: row.try_get(9)?,
        })
    }
}

impl Commit<'_> {
    /// Those of the files that are live.
    pub(crate) async fn condemned(&self, ids: &[i64]) -> Result<Vec<CondemnedRow>, Error> {
        let sql = include_str!("../../../../sql/verify_condemned.sql");
        let rows = self.transaction.query(sql, &[&ids]).await;
        let condemned = |row: &Row| {
            Ok(CondemnedRow {
                file_id: row.try_get(0)?,
                num_rows: row.try_get(1)?,
                size_bytes: row.try_get(2)?,
                pixel: row.try_get(3)?,
                in_catalog: row.try_get(4)?,
            })
        };
        rows.and_then(|rows| rows.iter().map(condemned).collect()).map_err(doing("look files up"))
    }
}
