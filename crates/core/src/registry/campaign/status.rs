//! How a campaign stands, as people are told.

use crate::layout::SPECTRA;
use crate::registry::{Error, Registry, doing};
use crate::tile::Name;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::BTreeMap;
use tokio_postgres::Row;

/// Tiles of a release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Made.
    pub done: i64,
    /// To be made.
    pub left: i64,
    /// Of these, tiles that failed and will be tried again.
    pub to_retry: i64,
    /// Set aside with a reason.
    pub failed: i64,
    /// Not in the archive.
    pub absent: i64,
    /// Those that failed, by outcome.
    pub failed_by: BTreeMap<String, i64>,
}

/// What a node has done.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "they are the columns of campaign_rates.sql")]
pub struct Rate {
    pub node: String,
    pub under_way: i64,
    pub made: i64,
    pub failed: i64,
    pub bytes_in: i64,
    pub bytes_out: i64,
    /// Tries that ended of late.
    pub late_tiles: i64,
    /// Bytes of their files.
    pub late_bytes: i64,
    /// How long "of late" is, seconds; none where nothing ended.
    pub late_s: Option<f64>,
    pub last_end_at: Option<DateTime<Utc>>,
}

/// A tile whose last try failed.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "they are the columns of the view failures")]
pub struct Failure {
    #[serde(skip)]
    pub tile_id: i64,
    pub tile: String,
    /// failed; queued: it will be tried again; lost: it was made, and its file is gone or set aside.
    pub state: String,
    pub outcome: Option<String>,
    pub retry_at: Option<DateTime<Utc>>,
    pub node: Option<String>,
    pub ended_at: Option<DateTime<Utc>>,
    pub error: Option<String>,
}

/// What notices are about.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Progress {
    /// Tiles that are made.
    pub done: i64,
    /// Tiles that are to be made.
    pub left: i64,
    /// Tiles set aside with a reason.
    pub failed: i64,
    /// Of the last tries, those that failed.
    pub late_failed: i64,
    /// The last tries of that time: 50, or as many as there were.
    pub late_tiles: i64,
    /// Since the last one ended, seconds.
    pub quiet_s: Option<f64>,
    /// The latest try of the last ones.
    pub last_attempt: Option<i64>,
}

impl Registry {
    /// Tiles of a release by state.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn campaign_counts(&self, release: &Name) -> Result<Counts, Error> {
        let sql = include_str!("../../../../../sql/campaign_counts.sql");
        let rows = self.client().await?.query(sql, &[&release.as_str()]).await;
        let read = |rows: Vec<Row>| {
            let mut counts = Counts::default();
            for row in rows {
                let (state, has_failed): (&str, bool) = (row.try_get(0)?, row.try_get(1)?);
                let (outcome, tiles): (Option<String>, i64) = (row.try_get(2)?, row.try_get(3)?);
                match state {
                    "done" => counts.done += tiles,
                    "queued" => {
                        counts.left += tiles;
                        counts.to_retry += if has_failed { tiles } else { 0 };
                    }
                    "absent" => counts.absent += tiles,
                    _ => {
                        counts.failed += tiles;
                        *counts.failed_by.entry(outcome.unwrap_or_default()).or_default() += tiles;
                    }
                }
            }
            Ok(counts)
        };
        rows.and_then(read).map_err(doing("count the tiles"))
    }

    /// What each node has done, altogether and within the last seconds.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn campaign_rates(&self, release: &Name, late_s: f64) -> Result<Vec<Rate>, Error> {
        let sql = include_str!("../../../../../sql/campaign_rates.sql");
        let rows = self.client().await?.query(sql, &[&release.as_str(), &late_s]).await;
        let rate = |row: &Row| {
            Ok(Rate {
                node: row.try_get(0)?,
                under_way: row.try_get(1)?,
                made: row.try_get(2)?,
                failed: row.try_get(3)?,
                bytes_in: row.try_get(4)?,
                bytes_out: row.try_get(5)?,
                late_tiles: row.try_get(6)?,
                late_bytes: row.try_get(7)?,
                late_s: row.try_get(8)?,
                last_end_at: row.try_get(9)?,
            })
        };
        rows.and_then(|rows| rows.iter().map(rate).collect())
            .map_err(doing("count what nodes have done"))
    }

    /// Tiles whose last try failed; of one outcome, or all.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn campaign_failures(
        &self,
        release: &Name,
        outcome: Option<&str>,
    ) -> Result<Vec<Failure>, Error> {
        let sql = include_str!("../../../../../sql/campaign_failures.sql");
        let rows = self.client().await?.query(sql, &[&release.as_str(), &outcome, &SPECTRA]).await;
        let failure = |row: &Row| {
            Ok(Failure {
                tile_id: row.try_get(0)?,
                tile: row.try_get(1)?,
                state: row.try_get(2)?,
                outcome: row.try_get(3)?,
                retry_at: row.try_get(4)?,
                node: row.try_get(5)?,
                ended_at: row.try_get(6)?,
                error: row.try_get(7)?,
            })
        };
        rows.and_then(|rows| rows.iter().map(failure).collect()).map_err(doing("list the failures"))
    }

    /// What notices are about.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn campaign_progress(&self, release: &Name, late_s: f64) -> Result<Progress, Error> {
        let sql = include_str!("../../../../../sql/campaign_progress.sql");
        let asked: [&(dyn postgres_types::ToSql + Sync); 2] = [&release.as_str(), &late_s];
        let row = self.client().await?.query_one(sql, &asked).await;
        let progress = |row: Row| {
            Ok(Progress {
                done: row.try_get(0)?,
                left: row.try_get(1)?,
                failed: row.try_get(2)?,
                late_failed: row.try_get(3)?,
                late_tiles: row.try_get(4)?,
                quiet_s: row.try_get(5)?,
                last_attempt: row.try_get(6)?,
            })
        };
        row.and_then(progress).map_err(doing("look how far the campaign is"))
    }

    /// The right to tell people of an event: of several nodes one gets it, and again only after
    /// `again_s` seconds.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn may_tell(
        &self,
        release: &Name,
        event: &str,
        node: &str,
        again_s: f64,
    ) -> Result<bool, Error> {
        let sql = include_str!("../../../../../sql/campaign_tell.sql");
        let asked: [&(dyn postgres_types::ToSql + Sync); 4] =
            [&release.as_str(), &event, &node, &again_s];
        let row = self.client().await?.query_opt(sql, &asked).await;
        row.map(|row| row.is_some()).map_err(doing("look whether it was told"))
    }

    /// An event could not be told after all: whoever looks next may tell it.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn was_not_told(&self, release: &Name, event: &str, node: &str) -> Result<(), Error> {
        let sql = include_str!("../../../../../sql/campaign_untell.sql");
        let asked: [&(dyn postgres_types::ToSql + Sync); 3] = [&release.as_str(), &event, &node];
        let ended = self.client().await?.execute(sql, &asked).await;
        ended.map(drop).map_err(doing("note that it was not told"))
    }
}
