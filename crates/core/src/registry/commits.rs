//! One commit: everything that a sync changes, in one transaction, in the order of numbers.

use super::copy::{self, Rows};
use super::lakes::OutcomeRow;
use super::rows::Label;
use super::{Error, doing};
use crate::tile::Tile;
use bytes::Bytes;
use deadpool_postgres::{ClientWrapper, Transaction};
use futures::SinkExt;
use postgres_types::ToSql;
use std::pin::Pin;
use tokio_postgres::CopyInSink;
use uuid::Uuid;

/// A commit under way. Dropped without [`Commit::finish`], it leaves no trace.
pub(crate) struct Commit<'a> {
    pub(super) transaction: Transaction<'a>,
    pub(super) lake_id: Uuid,
    number: i64,
}

/// What a commit changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[expect(missing_docs, reason = "they are the columns of commits, commented there")]
pub struct Changes {
    pub files_added: i64,
    pub files_changed: i64,
    pub files_missing: i64,
    pub files_replaced: i64,
    pub files_quarantined: i64,
    pub rows_added: i64,
    pub rows_removed: i64,
    pub bytes_added: i64,
    pub bytes_removed: i64,
    pub catalog_added: i64,
    pub catalog_removed: i64,
}

impl std::ops::AddAssign for Changes {
    fn add_assign(&mut self, more: Self) {
        self.files_added += more.files_added;
        self.files_changed += more.files_changed;
        self.files_missing += more.files_missing;
        self.files_replaced += more.files_replaced;
        self.files_quarantined += more.files_quarantined;
        self.rows_added += more.rows_added;
        self.rows_removed += more.rows_removed;
        self.bytes_added += more.bytes_added;
        self.bytes_removed += more.bytes_removed;
        self.catalog_added += more.catalog_added;
        self.catalog_removed += more.catalog_removed;
    }
}

/// A primary row that a new one would have to beat.
#[derive(Debug, Clone)]
pub(crate) struct ContestedRow {
    /// Where it is, for [`Commit::demote`].
    pub(crate) place: String,
    pub(crate) target_id: i64,
    pub(crate) file_id: i64,
    pub(crate) zwarn_zero: bool,
    pub(crate) tsnr2_lrg: Option<f32>,
    pub(crate) release: Option<String>,
    pub(crate) survey: Option<String>,
    pub(crate) program: Option<String>,
    pub(crate) healpix: Option<i32>,
}

/// A table that is filled by COPY.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Table {
    Files,
    Bounds,
    Parents,
    Groups,
    Cells,
    Classes,
    Facts,
    Labels,
    Catalog,
    /// The catalog between [`Commit::open_catalog_load`] and [`Commit::close_catalog_load`].
    OpenCatalog,
}

impl Table {
    fn sql(self) -> &'static str {
        match self {
            Self::Files => include_str!("../../../../sql/sync_copy_files.sql"),
            Self::Bounds => include_str!("../../../../sql/sync_copy_bounds.sql"),
            Self::Parents => include_str!("../../../../sql/sync_copy_parents.sql"),
            Self::Groups => include_str!("../../../../sql/sync_copy_groups.sql"),
            Self::Cells => include_str!("../../../../sql/sync_copy_cells.sql"),
            Self::Classes => include_str!("../../../../sql/sync_copy_classes.sql"),
            Self::Facts => include_str!("../../../../sql/sync_copy_facts.sql"),
            Self::Labels => include_str!("../../../../sql/sync_copy_labels.sql"),
            Self::Catalog => include_str!("../../../../sql/sync_copy_catalog.sql"),
            Self::OpenCatalog => include_str!("../../../../sql/sync_copy_catalog_frozen.sql"),
        }
    }

    fn doing(self) -> &'static str {
        match self {
            Self::Files => "register files",
            Self::Bounds => "register bounds",
            Self::Parents => "register what files were made of",
            Self::Groups => "register groups of spectra stores",
            Self::Cells => "register which objects occur",
            Self::Classes => "register classes",
            Self::Facts => "register facts",
            Self::Labels | Self::Catalog | Self::OpenCatalog => "fill the catalog",
        }
    }
}

impl<'a> Commit<'a> {
    pub(super) async fn begin(client: &'a mut ClientWrapper, lake_id: Uuid) -> Result<Self, Error> {
        let transaction = client.transaction().await.map_err(doing("begin a commit"))?;
        let lock = include_str!("../../../../sql/sync_lock_commits.sql");
        transaction.query_one(lock, &[]).await.map_err(doing("wait for another commit"))?;
        Self::numbered(transaction, lake_id).await
    }

    /// A commit in a transaction that holds the lock of commits.
    pub(super) async fn numbered(
        transaction: Transaction<'a>,
        lake_id: Uuid,
    ) -> Result<Self, Error> {
        let sql = include_str!("../../../../sql/sync_number_commit.sql");
        let row = transaction.query_one(sql, &[]).await;
        let number = row.and_then(|r| r.try_get(0)).map_err(doing("number a commit"))?;
        Ok(Self { transaction, lake_id, number })
    }

    /// Its number.
    pub(crate) fn number(&self) -> i64 {
        self.number
    }

    /// Tells the planner of files that came, where it would not know of them for a while.
    pub(crate) async fn analyze_files(&self) -> Result<(), Error> {
        let sql = include_str!("../../../../sql/sync_analyze_files.sql");
        self.transaction.batch_execute(sql).await.map_err(doing("analyze files"))
    }

    /// The first of so many consecutive numbers of files.
    pub(crate) async fn reserve_file_ids(&self, count: i64) -> Result<i64, Error> {
        if count == 0 {
            return Ok(0);
        }
        let sql = include_str!("../../../../sql/sync_reserve_file_ids.sql");
        let row = self.transaction.query_one(sql, &[&count]).await;
        row.and_then(|r| r.try_get(0)).map_err(doing("number files"))
    }

    /// The number of a schema, which is added if it is new.
    pub(crate) async fn schema_id(
        &self,
        fingerprint: &str,
        columns: &serde_json::Value,
    ) -> Result<i32, Error> {
        let sql = include_str!("../../../../sql/sync_add_schema.sql");
        let row = self.transaction.query_one(sql, &[&fingerprint, columns]).await;
        row.and_then(|r| r.try_get(0)).map_err(doing("register a schema"))
    }

    /// The number of a way in which files are made, which is added if it is new.
    pub(crate) async fn making_id(
        &self,
        fingerprint: &str,
        document: &serde_json::Value,
    ) -> Result<i32, Error> {
        let sql = include_str!("../../../../sql/sync_add_making.sql");
        let row = self.transaction.query_one(sql, &[&fingerprint, document]).await;
        row.and_then(|r| r.try_get(0)).map_err(doing("register how files were made"))
    }

    /// Adds rows to a table.
    pub(crate) async fn copy(&self, table: Table, rows: Rows) -> Result<u64, Error> {
        if rows.count() == 0 {
            return Ok(0);
        }
        let mut stream = self.copy_in(table).await?;
        stream.send(rows).await?;
        stream.finish().await
    }

    /// Adds rows to `file_cells`, which are sorted into its index together.
    pub(crate) async fn copy_cells(&self, rows: Rows) -> Result<(), Error> {
        if self.copy(Table::Cells, rows).await? > 0 {
            let sql = include_str!("../../../../sql/sync_sort_in_cells.sql");
            let sorted = self.transaction.execute(sql, &[]).await;
            sorted.map_err(doing(Table::Cells.doing()))?;
        }
        Ok(())
    }

    /// Opens a stream of rows into a table; nothing else can be done until it is finished.
    pub(crate) async fn copy_in(&self, table: Table) -> Result<RowStream, Error> {
        let sink = self.transaction.copy_in(table.sql()).await.map_err(doing(table.doing()))?;
        let mut stream = RowStream { sink: Box::pin(sink), table };
        stream.send_bytes(copy::header()).await?;
        Ok(stream)
    }

    /// Files that ceased to be what they were, each with the state that it passes into.
    pub(crate) async fn remove_files(&self, ids: &[i64], states: &[&str]) -> Result<(), Error> {
        let sql = include_str!("../../../../sql/sync_remove_files.sql");
        let done = self.transaction.execute(sql, &[&ids, &states, &self.number]).await;
        done.map(drop).map_err(doing("take files out"))
    }

    /// Puts the bounds of files that are no longer live where only questions about then look.
    pub(crate) async fn delete_bounds(&self, file_ids: &[i64]) -> Result<(), Error> {
        let sql = include_str!("../../../../sql/sync_delete_bounds.sql");
        let done = self.transaction.execute(sql, &[&file_ids]).await;
        done.map(drop).map_err(doing("take bounds out"))
    }

    /// Forgets the counts of files that are no longer in the catalog.
    pub(crate) async fn delete_facts(&self, file_ids: &[i64]) -> Result<(), Error> {
        let classes = include_str!("../../../../sql/sync_delete_classes.sql");
        let facts = include_str!("../../../../sql/sync_delete_facts.sql");
        let done = async {
            self.transaction.execute(classes, &[&file_ids]).await?;
            self.transaction.execute(facts, &[&file_ids]).await
        };
        done.await.map(drop).map_err(doing("take facts out"))
    }

    /// Takes the rows of files out of the catalog, and says how many there were.
    pub(crate) async fn uncatalog(&self, file_ids: &[i64]) -> Result<i64, Error> {
        let sql = include_str!("../../../../sql/sync_uncatalog.sql");
        let row = self.transaction.query_one(sql, &[&file_ids]).await;
        row.and_then(|r| r.try_get(0)).map_err(doing("take rows out of the catalog"))
    }

    /// Whether the catalog never held anything, and its indexes are ours to take away and build
    /// again.
    pub(crate) async fn can_rebuild_catalog(&self) -> Result<bool, Error> {
        let sql = include_str!("../../../../sql/sync_can_rebuild_catalog.sql");
        let row = self.transaction.query_one(sql, &[]).await;
        row.and_then(|r| r.try_get(0)).map_err(doing("look into the catalog"))
    }

    /// Opens a stream of millions of rows into a catalog that can be rebuilt.
    pub(crate) async fn open_catalog_load(&self) -> Result<RowStream, Error> {
        let sql = include_str!("../../../../sql/sync_open_catalog_load.sql");
        self.transaction.batch_execute(sql).await.map_err(doing("make the catalog ready"))?;
        self.copy_in(Table::OpenCatalog).await
    }

    /// Builds the indexes once the rows are there.
    pub(crate) async fn close_catalog_load(&self) -> Result<(), Error> {
        let sql = include_str!("../../../../sql/sync_close_catalog_load.sql");
        self.transaction.batch_execute(sql).await.map_err(doing("index the catalog"))
    }

    /// Adds labels to the catalog.
    pub(crate) async fn add_labels(&self, labels: &[(i32, Label)]) -> Result<(), Error> {
        let mut rows = Rows::default();
        labels.iter().for_each(|(number, label)| rows.label(*number, label));
        self.copy(Table::Labels, rows).await.map(drop)
    }

    /// The labels of the catalog, each with its number.
    pub(crate) async fn labels(&self) -> Result<Vec<(i32, Label)>, Error> {
        let sql = include_str!("../../../../sql/sync_labels.sql");
        let label = |row: &tokio_postgres::Row| {
            let label = Label {
                zwarn: row.try_get(1)?,
                coadd_fiberstatus: row.try_get(2)?,
                healpix: row.try_get(3)?,
                release: row.try_get(4)?,
                survey: row.try_get(5)?,
                program: row.try_get(6)?,
                spectype: row.try_get(7)?,
                subtype: row.try_get(8)?,
                objtype: row.try_get(9)?,
            };
            Ok((row.try_get(0)?, label))
        };
        let rows = self.transaction.query(sql, &[]).await;
        rows.and_then(|rows| rows.iter().map(label).collect())
            .map_err(doing("look labels of the catalog up"))
    }

    /// The primary rows of objects.
    pub(crate) async fn contested(&self, target_ids: &[i64]) -> Result<Vec<ContestedRow>, Error> {
        let sql = include_str!("../../../../sql/sync_contested.sql");
        let rows = self.transaction.query(sql, &[&target_ids]).await;
        let contested = |row: &tokio_postgres::Row| {
            Ok(ContestedRow {
                place: row.try_get(0)?,
                target_id: row.try_get(1)?,
                file_id: row.try_get(2)?,
                zwarn_zero: row.try_get(3)?,
                tsnr2_lrg: row.try_get(4)?,
                release: row.try_get(5)?,
                survey: row.try_get(6)?,
                program: row.try_get(7)?,
                healpix: row.try_get(8)?,
            })
        };
        rows.and_then(|rows| rows.iter().map(contested).collect())
            .map_err(doing("look primary rows up"))
    }

    /// What follows can be undone by [`Commit::return_to_savepoint`].
    pub(crate) async fn mark_savepoint(&self) -> Result<(), Error> {
        let sql = include_str!("../../../../sql/sync_mark_savepoint.sql");
        self.transaction.batch_execute(sql).await.map_err(doing("mark a savepoint"))
    }

    /// Undoes everything since [`Commit::mark_savepoint`].
    pub(crate) async fn return_to_savepoint(&self) -> Result<(), Error> {
        let sql = include_str!("../../../../sql/sync_return_to_savepoint.sql");
        self.transaction.batch_execute(sql).await.map_err(doing("return to a savepoint"))
    }

    /// Makes primary rows that were looked up ordinary ones: better rows are about to come.
    pub(crate) async fn demote(&self, places: &[String]) -> Result<(), Error> {
        if places.is_empty() {
            return Ok(());
        }
        let sql = include_str!("../../../../sql/sync_demote.sql");
        let done = self.transaction.execute(sql, &[&places]).await;
        done.map(drop).map_err(doing("mark primary rows"))
    }

    /// Makes primary rows (TARGETID, file, row) that have just come ordinary ones.
    pub(crate) async fn demote_rows(&self, rows: &[(i64, i64, i32)]) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let target_ids: Vec<i64> = rows.iter().map(|r| r.0).collect();
        let file_ids: Vec<i64> = rows.iter().map(|r| r.1).collect();
        let indices: Vec<i32> = rows.iter().map(|r| r.2).collect();
        let sql = include_str!("../../../../sql/sync_demote_rows.sql");
        let done = self.transaction.execute(sql, &[&target_ids, &file_ids, &indices]).await;
        done.map(drop).map_err(doing("mark primary rows"))
    }

    /// Marks whether the catalog holds the rows of files.
    pub(crate) async fn mark_cataloged(&self, ids: &[i64], whether: bool) -> Result<(), Error> {
        let sql = include_str!("../../../../sql/sync_mark_cataloged.sql");
        let done = self.transaction.execute(sql, &[&ids, &whether, &self.number]).await;
        done.map(drop).map_err(doing("mark cataloged files"))
    }

    /// Sets a registered file aside: its rows cannot be read.
    pub(crate) async fn quarantine(&self, file_id: i64, reason: &str) -> Result<(), Error> {
        let sql = include_str!("../../../../sql/sync_quarantine_file.sql");
        let done = self.transaction.execute(sql, &[&file_id, &reason, &self.number]).await;
        done.map(drop).map_err(doing("set a file aside"))
    }

    /// Names live files that share their tile with another; of these pixels, or of all.
    pub(crate) async fn mark_faults(&self, pixels: Option<&[i32]>) -> Result<(), Error> {
        let sql = include_str!("../../../../sql/sync_mark_faults.sql");
        let done = self.transaction.execute(sql, &[&pixels]).await;
        done.map(drop).map_err(doing("look for tiles in two files"))
    }

    /// Calls missing files replaced where they are there again; counts those that this very commit
    /// had found missing.
    pub(crate) async fn mark_replaced(&self) -> Result<i64, Error> {
        let sql = include_str!("../../../../sql/sync_mark_replaced.sql");
        let row = self.transaction.query_one(sql, &[&self.lake_id, &self.number]).await;
        row.and_then(|r| r.try_get(0)).map_err(doing("find missing files again"))
    }

    /// Forgets what happened to all tiles but these, each of a product.
    pub(crate) async fn keep_outcomes(
        &self,
        products: &[&str],
        tiles: &[&str],
    ) -> Result<(), Error> {
        let sql = include_str!("../../../../sql/sync_drop_outcomes.sql");
        let done = self.transaction.execute(sql, &[&self.lake_id, &products, &tiles]).await;
        done.map(drop).map_err(doing("forget outcomes of tiles"))
    }

    /// Records why a tile could not be made.
    pub(crate) async fn put_outcome(
        &self,
        outcome: &OutcomeRow,
        tile: Option<&Tile>,
    ) -> Result<(), Error> {
        let sql = include_str!("../../../../sql/sync_put_outcome.sql");
        let (release, survey) = (tile.map(|t| t.release.as_str()), tile.map(|t| t.survey.as_str()));
        let (program, pixel) =
            (tile.map(|t| t.program.as_str()), tile.map(|t| t.pixel.get() as i32));
        let values: [&(dyn ToSql + Sync); 12] = [
            &self.lake_id,
            &outcome.product,
            &outcome.tile,
            &release,
            &survey,
            &program,
            &pixel,
            &outcome.outcome,
            &outcome.reasons,
            &outcome.advice,
            &outcome.at,
            &self.number,
        ];
        let done = self.transaction.execute(sql, &values).await;
        done.map(drop).map_err(doing("record the outcome of a tile"))
    }

    /// Ends it without a number: nothing of the lake has changed, only what is known about it.
    pub(crate) async fn finish_unnumbered(self) -> Result<(), Error> {
        self.transaction.commit().await.map_err(doing("finish the transaction"))
    }

    /// Makes the whole commit visible.
    pub(crate) async fn finish(self, end: &End<'_>) -> Result<(), Error> {
        let c = &end.changes;
        let commit = include_str!("../../../../sql/sync_finish_commit.sql");
        let lake = include_str!("../../../../sql/sync_finish_lake.sql");
        let moved = include_str!("../../../../sql/sync_move_lake.sql");
        let done = async {
            let counts: [&(dyn ToSql + Sync); 17] = [
                &self.number,
                &self.lake_id,
                &end.node,
                &end.program,
                &c.files_added,
                &c.files_changed,
                &c.files_missing,
                &c.files_replaced,
                &c.files_quarantined,
                &c.rows_added,
                &c.rows_removed,
                &c.bytes_added,
                &c.bytes_removed,
                &c.catalog_added,
                &c.catalog_removed,
                &end.action,
                &end.key,
            ];
            self.transaction.execute(commit, &counts).await?;
            let (listing, catalog) = (end.listing_digest, end.catalog_digest);
            let about: [&(dyn ToSql + Sync); 6] =
                [&self.lake_id, &end.node, &end.root, &self.number, &listing, &catalog];
            self.transaction.execute(lake, &about).await?;
            if end.has_moved {
                self.transaction.execute(moved, &about[..2]).await?;
            }
            self.transaction.commit().await
        };
        done.await.map_err(doing("finish the commit"))
    }
}

/// What is written of a commit at its end.
#[derive(Debug)]
pub(crate) struct End<'a> {
    pub(crate) node: &'a str,
    pub(crate) root: &'a str,
    pub(crate) program: &'a str,
    /// What it was for: see the column.
    pub(crate) action: &'a str,
    /// Under which a repetition is none; one is made up where there is none.
    pub(crate) key: Option<&'a str>,
    pub(crate) has_moved: bool,
    pub(crate) changes: Changes,
    pub(crate) listing_digest: Option<&'a [u8]>,
    pub(crate) catalog_digest: Option<&'a [u8]>,
}

/// Rows on their way into a table.
pub(crate) struct RowStream {
    sink: Pin<Box<CopyInSink<Bytes>>>,
    table: Table,
}

impl RowStream {
    /// Sends some rows.
    pub(crate) async fn send(&mut self, rows: Rows) -> Result<(), Error> {
        self.send_bytes(rows.into_bytes()).await
    }

    async fn send_bytes(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.sink.send(bytes).await.map_err(doing(self.table.doing()))
    }

    /// Ends the stream; says how many rows arrived.
    pub(crate) async fn finish(mut self) -> Result<u64, Error> {
        self.send_bytes(copy::trailer()).await?;
        self.sink.as_mut().finish().await.map_err(doing(self.table.doing()))
    }
}
