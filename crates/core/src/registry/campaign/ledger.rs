//! The ledger: every try of every tile, what it cost and how it ended.

use crate::layout::SPECTRA;
use crate::outcome::Outcome;
use crate::registry::archive::Keys;
use crate::registry::commits::Commit;
use crate::registry::{Error, Registry, doing};
use crate::tile::{Name, Tile};
use chrono::{DateTime, Utc};
use deadpool_postgres::Transaction;
use postgres_types::ToSql;
use std::collections::HashSet;
use uuid::Uuid;

/// How a try ended that came to no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The process died, or lost the lease and gave up.
    Abandoned,
    /// It came to publish, and no longer held the lease.
    Fenced,
    /// The run was told to stop.
    Released,
}

impl Ending {
    /// The word used in SQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Abandoned => "abandoned",
            Self::Fenced => "fenced",
            Self::Released => "released",
        }
    }
}

/// What a try has cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[expect(missing_docs, reason = "they are the columns of campaign_attempts, commented there")]
pub struct Measured {
    pub attempt_id: i64,
    pub bytes_fetched: i64,
    pub bytes_in: i64,
    pub bytes_out: Option<i64>,
    pub rows: Option<i64>,
    pub fetch_s: f64,
    pub make_s: f64,
    pub retries: i32,
}

/// How a try ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptEnd {
    /// Number of the try.
    pub attempt_id: i64,
    /// The outcome.
    pub outcome: Outcome,
    /// What is wrong, in words.
    pub error: Option<String>,
}

/// How often what may pass is tried again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retry {
    /// Tries, at most, that fail.
    pub tries: i32,
    /// Pause after the first, seconds; each is four times as long as the last.
    pub pause_s: f64,
}

impl Commit<'_> {
    /// Ends tries with their outcomes, and their tiles with them.
    pub(crate) async fn end_attempts(
        &self,
        ends: &[AttemptEnd],
        publish_s: Option<f64>,
        retry: Retry,
    ) -> Result<(), Error> {
        end_attempts(&self.transaction, ends, publish_s, retry).await
    }

    /// Gives the lease back.
    pub(crate) async fn free_lease(&self, token: i64) -> Result<(), Error> {
        free_lease(&self.transaction, token).await
    }

    /// Keeps the lease from being taken by others; false where it is lost. A lapsed lease that
    /// nobody took may settle what was begun, but not publish.
    pub(crate) async fn lock_lease(&self, token: i64, may_be_lapsed: bool) -> Result<bool, Error> {
        lock_lease(&self.transaction, token, may_be_lapsed).await
    }
}

impl Registry {
    /// Ends tries of which nothing is published, under their lease; false where it is lost, and
    /// nothing is written.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn end_attempts_of(
        &self,
        token: i64,
        ends: &[AttemptEnd],
        retry: Retry,
    ) -> Result<bool, Error> {
        let failed = || doing("end tries");
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(failed())?;
        if !lock_lease(&transaction, token, false).await? {
            return Ok(false);
        }
        end_attempts(&transaction, ends, None, retry).await?;
        free_lease(&transaction, token).await?;
        transaction.commit().await.map_err(failed())?;
        Ok(true)
    }

    /// Notes what tries have cost.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn measure_attempts(&self, measured: &[Measured]) -> Result<(), Error> {
        let sql = include_str!("../../../../../sql/campaign_measure.sql");
        let ids: Vec<i64> = measured.iter().map(|m| m.attempt_id).collect();
        let fetched: Vec<i64> = measured.iter().map(|m| m.bytes_fetched).collect();
        let bytes_in: Vec<i64> = measured.iter().map(|m| m.bytes_in).collect();
        let bytes_out: Vec<Option<i64>> = measured.iter().map(|m| m.bytes_out).collect();
        let rows: Vec<Option<i64>> = measured.iter().map(|m| m.rows).collect();
        let fetch_s: Vec<f64> = measured.iter().map(|m| m.fetch_s).collect();
        let make_s: Vec<f64> = measured.iter().map(|m| m.make_s).collect();
        let retries: Vec<i32> = measured.iter().map(|m| m.retries).collect();
        let values: [&(dyn ToSql + Sync); 8] =
            [&ids, &fetched, &bytes_in, &bytes_out, &rows, &fetch_s, &make_s, &retries];
        let done = self.client().await?.execute(sql, &values).await;
        done.map(drop).map_err(doing("note what tries have cost"))
    }

    /// Numbers of tiles; those that no inventory has named are left out.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn tile_ids(&self, tiles: &[Tile]) -> Result<Vec<i64>, Error> {
        let sql = include_str!("../../../../../sql/campaign_tile_ids.sql");
        let Keys { releases, surveys, programs, pixels } = Keys::of(tiles.iter());
        let client = self.client().await?;
        let rows = client.query(sql, &[&releases, &surveys, &programs, &pixels]).await;
        rows.and_then(|rows| rows.iter().map(|row| row.try_get(0)).collect())
            .map_err(doing("look tiles up"))
    }

    /// Of some tiles, those that campaigns have made since these times, by name.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn made_tiles(&self, tiles: &[(Tile, DateTime<Utc>)]) -> Result<Vec<String>, Error> {
        let sql = include_str!("../../../../../sql/campaign_made_tiles.sql");
        let names = tiles.iter().map(|(tile, _)| tile);
        let Keys { releases, surveys, programs, pixels } = Keys::of(names);
        let times: Vec<DateTime<Utc>> = tiles.iter().map(|(_, at)| *at).collect();
        let client = self.client().await?;
        let rows = client.query(sql, &[&releases, &surveys, &programs, &pixels, &times]).await;
        rows.and_then(|rows| rows.iter().map(|row| row.try_get(0)).collect())
            .map_err(doing("look tiles up"))
    }

    /// Names of the tiles that runs of a lake have tried to make.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn tried_tiles(&self, lake_id: Uuid) -> Result<HashSet<String>, Error> {
        let sql = include_str!("../../../../../sql/campaign_tried_tiles.sql");
        let rows = self.client().await?.query(sql, &[&lake_id]).await;
        rows.and_then(|rows| rows.iter().map(|row| row.try_get(0)).collect())
            .map_err(doing("list the tiles that were tried"))
    }

    /// Numbers of the tiles of a release that failed, for good or so far, or whose file was lost since.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn failed_tiles(&self, release: &Name) -> Result<Vec<i64>, Error> {
        let failures = self.campaign_failures(release, None).await?;
        Ok(failures.iter().map(|failure| failure.tile_id).collect())
    }

    /// Queues tiles again that failed, or that no live file holds; says how many.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn requeue_tiles(&self, tile_ids: &[i64]) -> Result<u64, Error> {
        let sql = include_str!("../../../../../sql/campaign_requeue.sql");
        let done = self.client().await?.execute(sql, &[&tile_ids, &SPECTRA]).await;
        done.map_err(doing("queue tiles again"))
    }
}

async fn lock_lease(
    client: &Transaction<'_>,
    token: i64,
    may_be_lapsed: bool,
) -> Result<bool, Error> {
    let sql = include_str!("../../../../../sql/campaign_lock_lease.sql");
    let row = client.query_opt(sql, &[&token as &(dyn ToSql + Sync), &may_be_lapsed]).await;
    row.map(|row| row.is_some()).map_err(doing("lock the lease"))
}

async fn free_lease(client: &Transaction<'_>, token: i64) -> Result<(), Error> {
    let sql = include_str!("../../../../../sql/campaign_free_leases.sql");
    let done = client.execute(sql, &[&vec![token]]).await;
    done.map(drop).map_err(doing("give the lease back"))
}

async fn end_attempts(
    client: &Transaction<'_>,
    ends: &[AttemptEnd],
    publish_s: Option<f64>,
    retry: Retry,
) -> Result<(), Error> {
    let sql = include_str!("../../../../../sql/campaign_end_attempts.sql");
    let ids: Vec<i64> = ends.iter().map(|end| end.attempt_id).collect();
    let outcomes: Vec<&str> = ends.iter().map(|end| end.outcome.as_str()).collect();
    let errors: Vec<Option<String>> =
        ends.iter().map(|end| end.error.as_ref().map(|e| e.replace('\0', "\u{fffd}"))).collect();
    let values: [&(dyn ToSql + Sync); 6] =
        [&ids, &outcomes, &errors, &publish_s, &retry.tries, &retry.pause_s];
    let done = client.execute(sql, &values).await;
    done.map(drop).map_err(doing("end tries"))
}
