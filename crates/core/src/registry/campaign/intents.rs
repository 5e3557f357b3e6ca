//! Intents: files that are about to appear in a lake; and files that a lake must take away.

use crate::outcome::Outcome;
use crate::registry::archive::Keys;
use crate::registry::commits::Commit;
use crate::registry::lakes::{CurrentRow, LakeSession};
use crate::registry::{Error, Registry, doing};
use crate::tile::{Name, Pixel, Tile};
use crate::withdraw::Version;
use postgres_types::ToSql;
use std::time::Duration;
use tokio_postgres::Row;
use uuid::Uuid;

/// A file that is about to appear in a lake, or has, and is not registered yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The try that made it.
    pub attempt_id: i64,
    /// What its predecessors are moved away under.
    pub publish_id: Uuid,
    /// Its final path, relative to the lake.
    pub path: String,
    /// What tells it from other files of that name.
    pub version: Version,
    /// How the try ends once it is registered.
    pub outcome: Outcome,
    /// The lease under which it was made.
    pub token: i64,
    /// Whether nobody has taken that lease over.
    pub is_held: bool,
    /// Whether the registry knows the file.
    pub is_registered: bool,
}

/// A pixel's spectra store that is about to appear in a lake with its tiles' files, or has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreIntent {
    /// The lease under which it was made.
    pub token: i64,
    /// What its predecessor is moved away under.
    pub publish_id: Uuid,
    /// Its final path, relative to the lake.
    pub path: String,
    /// What tells it from other files of that name.
    pub version: Version,
    /// Whether nobody has taken that lease over.
    pub is_held: bool,
}

/// A file that a lake must take away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SetAside {
    pub(crate) path: String,
    pub(crate) version: Version,
}

/// A live file of another lake that is overtaken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Superseded {
    pub(crate) file_id: i64,
    pub(crate) num_rows: i64,
    pub(crate) size_bytes: i64,
    pub(crate) in_catalog: bool,
}

impl LakeSession {
    /// Notes files that are about to appear, all under one lease.
    pub(crate) async fn put_intents(&self, token: i64, intents: &[Intent]) -> Result<(), Error> {
        let sql = include_str!("../../../../../sql/campaign_put_intents.sql");
        let ids: Vec<i64> = intents.iter().map(|i| i.attempt_id).collect();
        let publish_ids: Vec<Uuid> = intents.iter().map(|i| i.publish_id).collect();
        let paths: Vec<&str> = intents.iter().map(|i| i.path.as_str()).collect();
        let sizes: Vec<i64> = intents.iter().map(|i| i.version.size_bytes).collect();
        let times: Vec<i64> = intents.iter().map(|i| i.version.mtime_ns).collect();
        let inodes: Vec<i64> = intents.iter().map(|i| i.version.inode).collect();
        let outcomes: Vec<&str> = intents.iter().map(|i| i.outcome.as_str()).collect();
        let values: [&(dyn ToSql + Sync); 9] =
            [&ids, &publish_ids, &paths, &sizes, &times, &inodes, &outcomes, &self.lake_id, &token];
        let done = self.client.execute(sql, &values).await;
        done.map(drop).map_err(doing("note what is about to be published"))
    }

    /// Notes a spectra store that is about to appear.
    pub(crate) async fn put_store_intent(&self, intent: &StoreIntent) -> Result<(), Error> {
        let sql = include_str!("../../../../../sql/campaign_put_store_intent.sql");
        let StoreIntent { token, publish_id, path, version, .. } = intent;
        let Version { size_bytes, mtime_ns, inode } = version;
        let values: [&(dyn ToSql + Sync); 7] =
            [token, publish_id, &self.lake_id, path, size_bytes, mtime_ns, inode];
        let done = self.client.execute(sql, &values).await;
        done.map(drop).map_err(doing("note what is about to be published"))
    }

    /// The spectra stores that the lake was about to publish, by lease.
    pub(crate) async fn store_intents(&self) -> Result<Vec<StoreIntent>, Error> {
        let sql = include_str!("../../../../../sql/campaign_store_intents_of.sql");
        let rows = self.client.query(sql, &[&self.lake_id]).await;
        rows.and_then(|rows| rows.iter().map(store_intent).collect())
            .map_err(doing("list what was about to be published"))
    }

    /// Strikes a store's intent off.
    pub(crate) async fn delete_store_intent(&self, token: i64) -> Result<(), Error> {
        let sql = include_str!("../../../../../sql/campaign_delete_store_intent.sql");
        let done = self.client.execute(sql, &[&token]).await;
        done.map(drop).map_err(doing("strike intents off"))
    }

    /// What the lake was about to publish, by lease.
    pub(crate) async fn intents(&self) -> Result<Vec<Intent>, Error> {
        let sql = include_str!("../../../../../sql/campaign_intents_of.sql");
        let rows = self.client.query(sql, &[&self.lake_id]).await;
        rows.and_then(|rows| rows.iter().map(intent).collect())
            .map_err(doing("list what was about to be published"))
    }

    /// Strikes intents off.
    pub(crate) async fn delete_intents(&self, attempt_ids: &[i64]) -> Result<(), Error> {
        let sql = include_str!("../../../../../sql/campaign_delete_intents.sql");
        let done = self.client.execute(sql, &[&attempt_ids]).await;
        done.map(drop).map_err(doing("strike intents off"))
    }

    /// What the lake is to take away.
    pub(crate) async fn set_aside(&self) -> Result<Vec<SetAside>, Error> {
        let sql = include_str!("../../../../../sql/campaign_set_aside_of.sql");
        set_aside(self.client.query(sql, &[&self.lake_id]).await)
    }

    /// It is away.
    pub(crate) async fn forget_set_aside(&self, paths: &[&str]) -> Result<(), Error> {
        let sql = include_str!("../../../../../sql/campaign_forget_set_aside.sql");
        let done = self.client.execute(sql, &[&self.lake_id, &paths]).await;
        done.map(drop).map_err(doing("note what was taken away"))
    }

    /// Begins a commit whose locks fall if we are silent in it for longer than `patience`.
    pub(crate) async fn begin_publication(
        &mut self,
        patience: Duration,
    ) -> Result<Commit<'_>, Error> {
        let transaction = self.client.transaction().await.map_err(doing("begin a commit"))?;
        let lock = include_str!("../../../../../sql/campaign_lock_commits.sql");
        let patience = format!("{}ms", patience.as_millis());
        let locked = transaction.query_one(lock, &[&patience]).await;
        locked.map_err(doing("wait for another commit"))?;
        Commit::numbered(transaction, self.lake_id).await
    }
}

impl Commit<'_> {
    /// What the lake is to take away, as of this commit.
    pub(crate) async fn set_aside(&self) -> Result<Vec<SetAside>, Error> {
        let sql = include_str!("../../../../../sql/campaign_set_aside_of.sql");
        set_aside(self.transaction.query(sql, &[&self.lake_id]).await)
    }

    /// Files that are there after all.
    pub(crate) async fn forget_set_aside(&self, paths: &[&str]) -> Result<(), Error> {
        let sql = include_str!("../../../../../sql/campaign_forget_set_aside.sql");
        let done = self.transaction.execute(sql, &[&self.lake_id, &paths]).await;
        done.map(drop).map_err(doing("note what is there again"))
    }

    /// Strikes intents off, as of this commit.
    pub(crate) async fn delete_intents(&self, attempt_ids: &[i64]) -> Result<(), Error> {
        let sql = include_str!("../../../../../sql/campaign_delete_intents.sql");
        let done = self.transaction.execute(sql, &[&attempt_ids]).await;
        done.map(drop).map_err(doing("strike intents off"))
    }

    /// Strikes a store's intent off, as of this commit.
    pub(crate) async fn delete_store_intent(&self, token: i64) -> Result<(), Error> {
        let sql = include_str!("../../../../../sql/campaign_delete_store_intent.sql");
        let done = self.transaction.execute(sql, &[&token]).await;
        done.map(drop).map_err(doing("strike intents off"))
    }

    /// Files that the registry believes to be in a folder of the lake, by path. It ends with `/`.
    pub(crate) async fn files_in(&self, folder: &str) -> Result<Vec<CurrentRow>, Error> {
        let sql = include_str!("../../../../../sql/campaign_folder_files.sql");
        let rows = self.transaction.query(sql, &[&self.lake_id, &folder]).await;
        rows.and_then(|rows| rows.iter().map(CurrentRow::of).collect())
            .map_err(doing("list a pixel's files"))
    }

    /// Tells other lakes to take their files of tiles away, and gives those that are live.
    pub(crate) async fn supersede(
        &self,
        product: &Name,
        tiles: &[Tile],
    ) -> Result<Vec<Superseded>, Error> {
        let sql = include_str!("../../../../../sql/campaign_supersede.sql");
        let Keys { releases, surveys, programs, pixels } = Keys::of(tiles.iter());
        let values: [&(dyn ToSql + Sync); 6] =
            [&self.lake_id, &product.as_str(), &releases, &surveys, &programs, &pixels];
        superseded(self.transaction.query(sql, &values).await)
    }

    /// Tells lakes that have no tile of a pixel any more to take its spectra store away, and gives those
    /// that are live.
    pub(crate) async fn supersede_stores(&self, pixel: Pixel) -> Result<Vec<Superseded>, Error> {
        let sql = include_str!("../../../../../sql/campaign_supersede_stores.sql");
        superseded(self.transaction.query(sql, &[&self.lake_id, &(pixel.get() as i32)]).await)
    }

    /// Queues the tiles of which this lake alone holds the file; says how many.
    pub(crate) async fn requeue_lake(&self, product: &Name) -> Result<u64, Error> {
        let sql = include_str!("../../../../../sql/campaign_requeue_lake.sql");
        let done = self.transaction.execute(sql, &[&self.lake_id, &product.as_str()]).await;
        done.map_err(doing("queue tiles again"))
    }
}

impl Registry {
    /// Lakes of a node, each with its root.
    pub(crate) async fn lakes_of(&self, node: &str) -> Result<Vec<(Uuid, String)>, Error> {
        let sql = include_str!("../../../../../sql/campaign_lakes_of.sql");
        let rows = self.client().await?.query(sql, &[&node]).await;
        let lake = |row: &Row| Ok((row.try_get(0)?, row.try_get(1)?));
        rows.and_then(|rows| rows.iter().map(lake).collect())
            .map_err(doing("list the node's lakes"))
    }

    /// Says that a node will not come back; gives the lake of its latest run, or nothing where it
    /// is at work or never was there.
    pub(crate) async fn mark_forgotten(&self, node: &str) -> Result<Option<Uuid>, Error> {
        let sql = include_str!("../../../../../sql/campaign_forget.sql");
        let row = self.client().await?.query_opt(sql, &[&node]).await;
        row.and_then(|row| row.map(|r| r.try_get(0)).transpose()).map_err(doing("forget the node"))
    }
}

fn set_aside(rows: Result<Vec<Row>, tokio_postgres::Error>) -> Result<Vec<SetAside>, Error> {
    let one = |row: &Row| Ok(SetAside { path: row.try_get(0)?, version: version(row, 1)? });
    rows.and_then(|rows| rows.iter().map(one).collect()).map_err(doing("list what is to go"))
}

fn superseded(rows: Result<Vec<Row>, tokio_postgres::Error>) -> Result<Vec<Superseded>, Error> {
    let file = |row: &Row| {
        Ok(Superseded {
            file_id: row.try_get(0)?,
            num_rows: row.try_get(1)?,
            size_bytes: row.try_get(2)?,
            in_catalog: row.try_get(3)?,
        })
    };
    rows.and_then(|rows| rows.iter().map(file).collect())
        .map_err(doing("take other lakes' files out"))
}

fn version(row: &Row, first: usize) -> Result<Version, tokio_postgres::Error> {
    Ok(Version {
        size_bytes: row.try_get(first)?,
        mtime_ns: row.try_get(first + 1)?,
        inode: row.try_get(first + 2)?,
    })
}

fn intent(row: &Row) -> Result<Intent, tokio_postgres::Error> {
    Ok(Intent {
        attempt_id: row.try_get(0)?,
        publish_id: row.try_get(1)?,
        token: row.try_get(2)?,
        path: row.try_get(3)?,
        version: version(row, 4)?,
        outcome: Outcome::from_word(row.try_get(7)?).unwrap_or(Outcome::Internal),
        is_held: row.try_get(8)?,
        is_registered: row.try_get(9)?,
    })
}

fn store_intent(row: &Row) -> Result<StoreIntent, tokio_postgres::Error> {
    Ok(StoreIntent {
        token: row.try_get(0)?,
        publish_id: row.try_get(1)?,
        path: row.try_get(2)?,
        version: version(row, 3)?,
        is_held: row.try_get(6)?,
    })
}
