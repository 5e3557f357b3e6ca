//! What the registry knows of the archive: tiles to be made, and the files that they are made of.

use super::copy::{self, Rows};
use super::{Error, Registry, doing};
use crate::tile::{Name, Pixel, Tile};
use bytes::Bytes;
use futures::SinkExt;
use std::pin::pin;
use tokio_postgres::Row;

/// A file in the archive, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveFile {
    /// The tile that it belongs to.
    pub tile: Tile,
    /// coadd, redrock, emline or rrdetails.
    pub kind: String,
    /// Its key: bucket and host apart.
    pub key: String,
    /// Its size, bytes.
    pub size_bytes: Option<i64>,
    /// Its version, as the archive names it.
    pub etag: Option<String>,
    /// Its sum, lower-case hex.
    pub sha256: Option<String>,
}

/// What fetching told of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LearntFile {
    /// The file, with what is known of it now.
    pub file: ArchiveFile,
    /// Whether the archive has it.
    pub is_present: bool,
}

/// A listing that left nothing out.
#[derive(Debug, Clone)]
pub struct Complete {
    /// The release.
    pub release: Name,
    /// The surveys and programs that were listed to their ends.
    pub programs: Vec<(Name, Name)>,
    /// The kinds of files that were looked for.
    pub kinds: Vec<String>,
}

/// What an inventory changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct InventoryChanges {
    /// Tiles that were not known before.
    pub tiles_new: i64,
    /// Files that were not known before.
    pub files_new: i64,
    /// Files that are others than they were.
    pub files_changed: i64,
    /// Files that are no longer there, or never were.
    pub files_absent: i64,
    /// Known tiles that are to be made again.
    pub tiles_queued_again: i64,
    /// Tiles that the archive does not have, by name.
    pub tiles_absent: Vec<String>,
}

/// How many files of a kind there are in tiles of a state.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ArchiveCount {
    /// State of the tiles.
    pub state: String,
    /// Kind of the files.
    pub kind: String,
    /// How many.
    pub files: i64,
    /// Their size, as far as it is known.
    pub size_bytes: Option<i64>,
    /// Of how many the size is known.
    pub sizes_known: i64,
    /// Of how many the sum is known.
    pub sums_known: i64,
}

impl Registry {
    /// Takes an inventory in: what is new or has changed queues its tile. `source` says where it
    /// comes from; a `complete` listing also tells what is not there. One transaction.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn take_inventory(
        &self,
        files: &[ArchiveFile],
        source: &str,
        complete: Option<&Complete>,
    ) -> Result<InventoryChanges, Error> {
        let mut client = self.client().await?;
        let failed = || doing("take the inventory in");
        let transaction = client.transaction().await.map_err(failed())?;
        let lock = include_str!("../../../../sql/archive_lock.sql");
        transaction.query_one(lock, &[]).await.map_err(doing("wait for another inventory"))?;
        let sql = include_str!("../../../../sql/archive_copy_seen.sql");
        let sink = transaction.copy_in::<_, Bytes>(sql).await.map_err(failed())?;
        let mut sink = pin!(sink);
        let rows = rows_of(files).into_bytes();
        for part in [copy::header(), rows, copy::trailer()] {
            sink.send(part).await.map_err(failed())?;
        }
        sink.finish().await.map_err(failed())?;
        let sql = include_str!("../../../../sql/archive_analyze_seen.sql");
        transaction.batch_execute(sql).await.map_err(failed())?;
        let changes = async {
            let sql = include_str!("../../../../sql/archive_add_tiles.sql");
            let row = transaction.query_one(sql, &[&source]).await?;
            let tiles_new = row.try_get(0)?;
            let sql = include_str!("../../../../sql/archive_put_files.sql");
            let row = transaction.query_one(sql, &[]).await?;
            let mut changes = InventoryChanges {
                tiles_new,
                files_new: row.try_get(0)?,
                files_changed: row.try_get(1)?,
                tiles_queued_again: row.try_get(2)?,
                ..InventoryChanges::default()
            };
            if let Some(complete) = complete {
                let release = complete.release.as_str();
                let (surveys, programs): (Vec<&str>, Vec<&str>) =
                    complete.programs.iter().map(|(s, p)| (s.as_str(), p.as_str())).unzip();
                let sql = include_str!("../../../../sql/archive_mark_absent.sql");
                let asked: [&(dyn postgres_types::ToSql + Sync); 4] =
                    [&release, &surveys, &programs, &complete.kinds];
                let row = transaction.query_one(sql, &asked).await?;
                (changes.files_absent, changes.tiles_absent) = (row.try_get(0)?, row.try_get(1)?);
            }
            let sql = include_str!("../../../../sql/archive_forget_seen.sql");
            transaction.execute(sql, &[]).await?;
            Ok(changes)
        };
        let changes = changes.await.map_err(failed())?;
        transaction.commit().await.map_err(failed())?;
        Ok(changes)
    }

    /// Files of queued tiles, of at most `tiles_max` of them: tiles of a pixel together.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn archive_queue(
        &self,
        release: &Name,
        survey: Option<&Name>,
        program: Option<&Name>,
        tiles_max: Option<i64>,
    ) -> Result<Vec<ArchiveFile>, Error> {
        let sql = include_str!("../../../../sql/archive_queue.sql");
        let (survey, program) = (survey.map(Name::as_str), program.map(Name::as_str));
        let client = self.client().await?;
        let rows = client.query(sql, &[&release.as_str(), &survey, &program, &tiles_max]).await;
        files(rows)
    }

    /// Files of tiles, as far as inventories have named them.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn archive_files_of(&self, tiles: &[Tile]) -> Result<Vec<ArchiveFile>, Error> {
        let sql = include_str!("../../../../sql/archive_files_of.sql");
        let Keys { releases, surveys, programs, pixels } = Keys::of(tiles.iter());
        let client = self.client().await?;
        files(client.query(sql, &[&releases, &surveys, &programs, &pixels]).await)
    }

    /// Notes what fetching told of files: sizes, sums, and what the archive does not have. Nothing
    /// of it is a change in the archive.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn learn_archive_files(&self, learnt: &[LearntFile]) -> Result<(), Error> {
        let sql = include_str!("../../../../sql/archive_learn.sql");
        let Keys { releases, surveys, programs, pixels } =
            Keys::of(learnt.iter().map(|l| &l.file.tile));
        let files = || learnt.iter().map(|l| &l.file);
        let kinds: Vec<&str> = files().map(|f| f.kind.as_str()).collect();
        let sizes: Vec<Option<i64>> = files().map(|f| f.size_bytes).collect();
        let etags: Vec<Option<&str>> = files().map(|f| f.etag.as_deref()).collect();
        let sums: Vec<Option<&str>> = files().map(|f| f.sha256.as_deref()).collect();
        let present: Vec<bool> = learnt.iter().map(|l| l.is_present).collect();
        let asked: [&(dyn postgres_types::ToSql + Sync); 9] =
            [&releases, &surveys, &programs, &pixels, &kinds, &sizes, &etags, &sums, &present];
        let done = self.client().await?.execute(sql, &asked).await;
        done.map(drop).map_err(doing("note what was fetched"))
    }

    /// Surveys and programs that inventories of a release have been about.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn archive_programs(&self, release: &Name) -> Result<Vec<(Name, Name)>, Error> {
        let sql = include_str!("../../../../sql/archive_programs.sql");
        let rows = self.client().await?.query(sql, &[&release.as_str()]).await;
        let rows = rows.map_err(doing("look the inventory up"))?;
        Ok(rows.iter().filter_map(|row| Some((name(row, 0)?, name(row, 1)?))).collect())
    }

    /// Tiles that inventories of a release have named.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn archive_tiles(
        &self,
        release: &Name,
        survey: Option<&Name>,
        program: Option<&Name>,
    ) -> Result<Vec<Tile>, Error> {
        let sql = include_str!("../../../../sql/archive_tiles_of.sql");
        let (survey, program) = (survey.map(Name::as_str), program.map(Name::as_str));
        let client = self.client().await?;
        let rows = client.query(sql, &[&release.as_str(), &survey, &program]).await;
        let rows = rows.map_err(doing("look the inventory up"))?;
        let tile = |row: &Row| {
            let (survey, program) = (name(row, 0)?, name(row, 1)?);
            Some(Tile { release: release.clone(), survey, program, pixel: pixel(row, 2)? })
        };
        Ok(rows.iter().filter_map(tile).collect())
    }

    /// What the inventory of a release holds, by state of the tile and kind of file.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn archive_counts(&self, release: &Name) -> Result<Vec<ArchiveCount>, Error> {
        let sql = include_str!("../../../../sql/archive_counts.sql");
        let rows = self.client().await?.query(sql, &[&release.as_str()]).await;
        let count = |row: &Row| {
            Ok(ArchiveCount {
                state: row.try_get(0)?,
                kind: row.try_get(1)?,
                files: row.try_get(2)?,
                size_bytes: row.try_get(3)?,
                sizes_known: row.try_get(4)?,
                sums_known: row.try_get(5)?,
            })
        };
        rows.and_then(|rows| rows.iter().map(count).collect()).map_err(doing("count the inventory"))
    }
}

/// The keys of tiles, column by column.
pub(super) struct Keys<'a> {
    pub(super) releases: Vec<&'a str>,
    pub(super) surveys: Vec<&'a str>,
    pub(super) programs: Vec<&'a str>,
    pub(super) pixels: Vec<i32>,
}

impl<'a> Keys<'a> {
    pub(super) fn of(tiles: impl Iterator<Item = &'a Tile> + Clone) -> Self {
        Self {
            releases: tiles.clone().map(|t| t.release.as_str()).collect(),
            surveys: tiles.clone().map(|t| t.survey.as_str()).collect(),
            programs: tiles.clone().map(|t| t.program.as_str()).collect(),
            pixels: tiles.map(|t| t.pixel.get() as i32).collect(),
        }
    }
}

fn rows_of(files: &[ArchiveFile]) -> Rows {
    let mut rows = Rows::with_capacity(files.len() * 256);
    for file in files {
        rows.begin(9);
        rows.maybe(file.size_bytes, Rows::int8);
        rows.int4(file.tile.pixel.get() as i32);
        for name in [&file.tile.release, &file.tile.survey, &file.tile.program] {
            rows.text(name.as_str());
        }
        rows.text(&file.kind);
        rows.text(&file.key);
        rows.maybe(file.etag.as_deref(), Rows::text);
        rows.maybe(file.sha256.as_deref(), Rows::text);
    }
    rows
}

fn files(rows: Result<Vec<Row>, tokio_postgres::Error>) -> Result<Vec<ArchiveFile>, Error> {
    let file = |row: &Row| -> Result<Option<ArchiveFile>, tokio_postgres::Error> {
        let Some(tile) = tile(row) else { return Ok(None) };
        Ok(Some(ArchiveFile {
            tile,
            kind: row.try_get(4)?,
            key: row.try_get(5)?,
            size_bytes: row.try_get(6)?,
            etag: row.try_get(7)?,
            sha256: row.try_get(8)?,
        }))
    };
    let files = rows.and_then(|rows| rows.iter().filter_map(|r| file(r).transpose()).collect());
    files.map_err(doing("look files of the archive up"))
}

/// The tile that the first four columns name.
pub(super) fn tile(row: &Row) -> Option<Tile> {
    let (release, survey, program) = (name(row, 0)?, name(row, 1)?, name(row, 2)?);
    Some(Tile { release, survey, program, pixel: pixel(row, 3)? })
}

/// Names and pixels come out as they were checked when they went in.
fn name(row: &Row, column: usize) -> Option<Name> {
    Name::new(row.try_get(column).ok()?).ok()
}

pub(super) fn pixel(row: &Row, column: usize) -> Option<Pixel> {
    Pixel::new(row.try_get::<_, i32>(column).ok()?.into()).ok()
}
