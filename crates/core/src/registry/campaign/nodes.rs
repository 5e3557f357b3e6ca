//! Who takes part in a campaign, and who has been heard of.

use crate::registry::{Error, Registry, doing};
use crate::tile::Name;
use chrono::{DateTime, Utc};
use postgres_types::ToSql;
use serde::Serialize;
use uuid::Uuid;

/// A node that takes part, with its run.
#[derive(Debug, Clone)]
pub struct Member {
    /// Name of the machine.
    pub node: String,
    /// The lake that its files go to.
    pub lake_id: Uuid,
    /// This run.
    pub run_id: Uuid,
    /// The production that it makes tiles of.
    pub release: Name,
    /// Its share, relative to others'.
    pub weight: f64,
    /// Whether it makes every tile that is queued.
    pub takes_all: bool,
    /// How long it is waited for after it was last heard of, seconds.
    pub lease_s: f64,
}

/// The disk under a lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// Bytes that are free.
    pub free_bytes: i64,
    /// Its size, bytes.
    pub size_bytes: i64,
}

/// A node that is at work now.
#[derive(Debug, Clone, PartialEq)]
pub struct Peer {
    /// Name of the machine.
    pub node: String,
    /// Its share, relative to others'.
    pub weight: f64,
    /// Whether it makes every tile that is queued.
    pub takes_all: bool,
}

/// A node, as people are told of it.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "they are the columns of campaign_nodes, commented there")]
pub struct NodeRow {
    pub node: String,
    pub lake_id: Uuid,
    pub release: String,
    pub weight: f64,
    pub takes_all: bool,
    /// running, silent (not heard of for too long), left or forgotten.
    pub state: String,
    pub joined_at: DateTime<Utc>,
    /// Seconds since it was last heard of.
    pub silent_s: f64,
    pub free_bytes: i64,
    pub disk_bytes: i64,
    pub pixels_leased: i64,
    /// Live files of its lake that lie with it.
    pub files: i64,
    /// Their size.
    pub size_bytes: i64,
}

impl Registry {
    /// Takes part. False where another lake speaks for a node of this name, and is at work.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn join_campaign(&self, member: &Member, disk: Disk) -> Result<bool, Error> {
        let sql = include_str!("../../../../../sql/campaign_join.sql");
        let values: [&(dyn ToSql + Sync); 9] = [
            &member.node,
            &member.lake_id,
            &member.run_id,
            &member.release.as_str(),
            &member.weight,
            &member.takes_all,
            &disk.free_bytes,
            &disk.size_bytes,
            &member.lease_s,
        ];
        let joined = self.client().await?.query_opt(sql, &values).await;
        joined.map(|row| row.is_some()).map_err(doing("join the campaign"))
    }

    /// Says that the run lives.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn beat(&self, run_id: Uuid, disk: Disk, lease_s: f64) -> Result<(), Error> {
        let sql = include_str!("../../../../../sql/campaign_heartbeat.sql");
        let values: [&(dyn ToSql + Sync); 4] =
            [&run_id, &disk.free_bytes, &disk.size_bytes, &lease_s];
        let done = self.client().await?.execute(sql, &values).await;
        done.map(drop).map_err(doing("say that the run lives"))
    }

    /// Says that the run has ended.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn leave_campaign(&self, run_id: Uuid) -> Result<(), Error> {
        let sql = include_str!("../../../../../sql/campaign_leave.sql");
        let done = self.client().await?.execute(sql, &[&run_id]).await;
        done.map(drop).map_err(doing("leave the campaign"))
    }

    /// The nodes that are at work on a release.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn campaign_peers(&self, release: &Name) -> Result<Vec<Peer>, Error> {
        let sql = include_str!("../../../../../sql/campaign_members.sql");
        let rows = self.client().await?.query(sql, &[&release.as_str()]).await;
        let peer = |row: &tokio_postgres::Row| {
            Ok(Peer { node: row.try_get(0)?, weight: row.try_get(1)?, takes_all: row.try_get(2)? })
        };
        rows.and_then(|rows| rows.iter().map(peer).collect()).map_err(doing("list the nodes"))
    }

    /// All nodes that take part or took part.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn campaign_nodes(&self) -> Result<Vec<NodeRow>, Error> {
        let sql = include_str!("../../../../../sql/campaign_nodes.sql");
        let rows = self.client().await?.query(sql, &[]).await;
        let node = |row: &tokio_postgres::Row| {
            Ok(NodeRow {
                node: row.try_get(0)?,
                lake_id: row.try_get(1)?,
                release: row.try_get(2)?,
                weight: row.try_get(3)?,
                takes_all: row.try_get(4)?,
                state: row.try_get(5)?,
                joined_at: row.try_get(6)?,
                silent_s: row.try_get(7)?,
                free_bytes: row.try_get(8)?,
                disk_bytes: row.try_get(9)?,
                pixels_leased: row.try_get(10)?,
                files: row.try_get(11)?,
                size_bytes: row.try_get(12)?,
            })
        };
        rows.and_then(|rows| rows.iter().map(node).collect()).map_err(doing("list the nodes"))
    }
}
