//! What the registry knows of one lake, and the right to change it.

use super::commits::Commit;
use super::{Error, Registry, doing};
use chrono::{DateTime, Utc};
use futures::{Stream, TryStreamExt};
use std::sync::{MutexGuard, PoisonError};
use tokio_postgres::Row;
use uuid::Uuid;

/// The sole right to sync a lake: while it lives, no other sync of that lake runs anywhere.
pub(crate) struct LakeSession {
    pub(super) client: deadpool_postgres::ClientWrapper,
    pub(super) lake_id: Uuid,
}

/// A lake as the registry knows it.
#[derive(Debug, Clone)]
pub(crate) struct LakeRow {
    pub(crate) node: String,
    pub(crate) root: String,
    pub(crate) listing_digest: Option<Vec<u8>>,
    pub(crate) catalog_digest: Option<Vec<u8>>,
}

/// A file that the registry believes to be in the lake.
#[derive(Debug, Clone)]
pub(crate) struct CurrentRow {
    pub(crate) file_id: i64,
    pub(crate) path: String,
    pub(crate) product: String,
    pub(crate) size_bytes: i64,
    pub(crate) mtime_ns: i64,
    pub(crate) inode: i64,
    pub(crate) num_rows: Option<i64>,
    pub(crate) healpix: Option<i32>,
    pub(crate) is_live: bool,
    pub(crate) in_catalog: bool,
}

/// A tile that could not be made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OutcomeRow {
    pub(crate) product: String,
    pub(crate) tile: String,
    pub(crate) outcome: String,
    pub(crate) reasons: Vec<String>,
    pub(crate) advice: Option<String>,
    pub(crate) at: DateTime<Utc>,
}

impl Registry {
    /// Waits until no other sync of the lake is under way, and keeps others waiting.
    pub(crate) async fn lock_lake(&self, lake_id: Uuid) -> Result<LakeSession, Error> {
        // outside the pool: the lock goes with the connection, however this ends
        let parked = self.parked().take();
        let client = match parked.filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => deadpool_postgres::Client::take(self.client().await?),
        };
        let sql = include_str!("../../../../sql/sync_lock_lake.sql");
        client.query_one(sql, &[&lake_id]).await.map_err(doing("wait for the lake's turn"))?;
        Ok(LakeSession { client, lake_id })
    }

    /// Gives up the right, and keeps the connection for the next: whoever publishes file by file
    /// would spend most of the time on new ones.
    pub(crate) async fn unlock_lake(&self, session: LakeSession) -> Result<(), Error> {
        let sql = include_str!("../../../../sql/sync_unlock_lake.sql");
        let done = session.client.query_one(sql, &[&session.lake_id]).await;
        done.map_err(doing("end the lake's turn"))?;
        *self.parked() = Some(session.client);
        Ok(())
    }

    fn parked(&self) -> MutexGuard<'_, Option<deadpool_postgres::ClientWrapper>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LakeSession {
    /// What is known of the lake; nothing before its first commit.
    pub(crate) async fn lake(&self) -> Result<Option<LakeRow>, Error> {
        let sql = include_str!("../../../../sql/sync_lake.sql");
        let row = self.client.query_opt(sql, &[&self.lake_id]).await;
        row.and_then(|row| row.map(|r| LakeRow::of(&r)).transpose())
            .map_err(doing("look the lake up"))
    }

    /// Notes that the node lives; its URI prefixes are replaced where some are given.
    pub(crate) async fn see_node(
        &self,
        node: &str,
        uri_prefixes: Option<&[String]>,
    ) -> Result<(), Error> {
        let sql = include_str!("../../../../sql/sync_see_node.sql");
        let done = self.client.execute(sql, &[&node, &uri_prefixes]).await;
        done.map(drop).map_err(doing("note that the node lives"))
    }

    /// The files that the registry believes to be in the lake, by path.
    pub(crate) async fn current_files(
        &self,
    ) -> Result<impl Stream<Item = Result<CurrentRow, Error>> + use<>, Error> {
        const DOING: &str = "list the lake's files";
        let sql = include_str!("../../../../sql/sync_current_files.sql");
        let rows = self.client.query_raw(sql, [&self.lake_id]).await.map_err(doing(DOING))?;
        Ok(rows
            .and_then(|row| std::future::ready(CurrentRow::of(&row)))
            .map_err(|source| doing(DOING)(source)))
    }

    /// The tiles of the lake that could not be made, as far as the registry was told.
    pub(crate) async fn outcomes(&self) -> Result<Vec<OutcomeRow>, Error> {
        let sql = include_str!("../../../../sql/sync_outcomes.sql");
        let rows = self.client.query(sql, &[&self.lake_id]).await;
        rows.and_then(|rows| rows.iter().map(OutcomeRow::of).collect())
            .map_err(doing("list the outcomes of tiles"))
    }

    /// Live files with which something is wrong: path and fault.
    pub(crate) async fn faults(&self) -> Result<Vec<(String, String)>, Error> {
        let sql = include_str!("../../../../sql/sync_faults.sql");
        let rows = self.client.query(sql, &[&self.lake_id]).await;
        let pair = |row: &Row| Ok((row.try_get(0)?, row.try_get(1)?));
        rows.and_then(|rows| rows.iter().map(pair).collect()).map_err(doing("list faults"))
    }

    /// Files that are set aside.
    pub(crate) async fn still_quarantined(&self) -> Result<u64, Error> {
        let sql = include_str!("../../../../sql/sync_still_quarantined.sql");
        let row = self.client.query_one(sql, &[&self.lake_id]).await;
        let count = row.and_then(|row| row.try_get::<_, i64>(0));
        count.map(i64::cast_unsigned).map_err(doing("count what is set aside"))
    }

    /// Notes the digests of a lake that was compared file by file and found unchanged, so that the
    /// next sync need not.
    pub(crate) async fn agree(
        &self,
        listing_digest: Option<&[u8]>,
        catalog_digest: Option<&[u8]>,
    ) -> Result<(), Error> {
        let sql = include_str!("../../../../sql/sync_agree.sql");
        let done =
            self.client.execute(sql, &[&self.lake_id, &listing_digest, &catalog_digest]).await;
        done.map(drop).map_err(doing("note that the lake is unchanged"))
    }

    /// The lake's commit that has this key.
    pub(crate) async fn commit_of_key(&self, key: &str) -> Result<Option<i64>, Error> {
        let sql = include_str!("../../../../sql/sync_commit_of_key.sql");
        let row = self.client.query_opt(sql, &[&self.lake_id, &key]).await;
        row.and_then(|row| row.map(|r| r.try_get(0)).transpose())
            .map_err(doing("look a commit up by its key"))
    }

    /// Begins a commit: waits until no other is under way in the whole registry.
    pub(crate) async fn begin_commit(&mut self) -> Result<Commit<'_>, Error> {
        Commit::begin(&mut self.client, self.lake_id).await
    }
}

impl LakeRow {
    fn of(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            node: row.try_get(0)?,
            root: row.try_get(1)?,
            listing_digest: row.try_get(2)?,
            catalog_digest: row.try_get(3)?,
        })
    }
}

impl CurrentRow {
    pub(super) fn of(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            file_id: row.try_get(0)?,
            path: row.try_get(1)?,
            product: row.try_get(2)?,
            size_bytes: row.try_get(3)?,
            mtime_ns: row.try_get(4)?,
            inode: row.try_get(5)?,
            num_rows: row.try_get(6)?,
            healpix: row.try_get(7)?,
            is_live: row.try_get(8)?,
            in_catalog: row.try_get(9)?,
        })
    }
}

impl OutcomeRow {
    /// What there is one of: product and tile.
    pub(crate) fn key(&self) -> (&str, &str) {
        (&self.product, &self.tile)
    }

    fn of(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            product: row.try_get(0)?,
            tile: row.try_get(1)?,
            outcome: row.try_get(2)?,
            reasons: row.try_get(3)?,
            advice: row.try_get(4)?,
            at: row.try_get(5)?,
        })
    }
}
