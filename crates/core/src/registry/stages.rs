//! What the registry knows of stages: which of their files are made, stale or missing; their runs,
//! and how each tile ended.

use super::archive::Keys;
use super::commits::Commit;
use super::{Error, Registry, doing};
use crate::outcome::Outcome;
use crate::tile::{Name, Pixel, Tile};
use crate::withdraw::Version;
use deadpool_postgres::GenericClient;
use postgres_types::ToSql;
use serde::Serialize;
use tokio_postgres::Row;
use uuid::Uuid;

/// A step from one product to another, in a version.
#[derive(Debug, Clone)]
pub struct Step {
    /// Name of the stage.
    pub stage: &'static str,
    /// Its version.
    pub version: u32,
    /// The product that it reads.
    pub input: Name,
    /// The product that it makes.
    pub product: Name,
}

/// How far a stage is, over all lakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StageCounts {
    /// Tiles that are made.
    pub made: i64,
    /// Tiles made of what is no longer so, or by another version.
    pub stale: i64,
    /// Tiles whose input is there and that are not made.
    pub missing: i64,
}

/// A tile of a lake that a stage is to make, or can make no more.
#[derive(Debug, Clone)]
pub struct StageTile {
    /// The tile.
    pub tile: Tile,
    /// Its input, relative to the lake; none where it is gone.
    pub input: Option<String>,
    /// Why what is there is stale; none where nothing is there.
    pub reason: Option<String>,
}

/// How a stage's run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnding {
    /// It came to its end.
    Complete,
    /// It was told to stop.
    Stopped,
}

/// How a stage's try of a tile ended, and what it cost.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "they are the columns of stage_attempts, commented there")]
pub struct StageAttempt {
    pub tile: Tile,
    pub outcome: Outcome,
    pub error: Option<String>,
    pub rows: Option<i64>,
    pub bytes_in: i64,
    pub bytes_out: Option<i64>,
    pub seconds: f64,
    pub tries: i32,
}

impl Registry {
    /// Whether a product has files, all of which one version of a stage made with one configuration (BLAKE3
    /// of its text, hex).
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn are_made_alike(
        &self,
        product: &str,
        version: u32,
        config: &str,
    ) -> Result<bool, Error> {
        let sql = include_str!("../../../../sql/stage_made_alike.sql");
        let version = i32::try_from(version).unwrap_or(i32::MAX);
        let client = self.client().await?;
        let row = client.query_one(sql, &[&product, &version, &config]).await;
        row.and_then(|row| row.try_get(0)).map_err(doing("look how a product was made"))
    }

    /// How far a stage is.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn stage_counts(&self, step: &Step) -> Result<StageCounts, Error> {
        let sql = include_str!("../../../../sql/stage_counts.sql");
        let (version, input, product) = step.values();
        let row =
            self.client().await?.query_one(sql, &[&step.stage, &version, &input, &product]).await;
        let counts = |row: Row| {
            Ok(StageCounts {
                made: row.try_get(0)?,
                stale: row.try_get(1)?,
                missing: row.try_get(2)?,
            })
        };
        row.and_then(counts).map_err(doing("count a stage's files"))
    }

    /// How far the spectra stores are: tiles that they hold, hold as they are no longer, and lack.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn store_counts(&self, version: u32) -> Result<StageCounts, Error> {
        let sql = include_str!("../../../../sql/store_counts.sql");
        let version = i32::try_from(version).unwrap_or(i32::MAX);
        let row = self.client().await?.query_one(sql, &[&version]).await;
        let counts = |row: Row| {
            Ok(StageCounts {
                made: row.try_get(0)?,
                stale: row.try_get(1)?,
                missing: row.try_get(2)?,
            })
        };
        row.and_then(counts).map_err(doing("count the tiles of spectra stores"))
    }

    /// Pixels of a lake whose spectra stores lack tiles, or hold some as they are no longer; with the
    /// reason, where something is stale.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn store_pixels(
        &self,
        lake_id: Uuid,
        version: u32,
    ) -> Result<Vec<(Pixel, Option<String>)>, Error> {
        const DOING: &str = "list the pixels of spectra stores";
        let sql = include_str!("../../../../sql/store_pixels.sql");
        let version = i32::try_from(version).unwrap_or(i32::MAX);
        let rows = self.client().await?.query(sql, &[&lake_id, &version]).await;
        let rows = rows.map_err(doing(DOING))?;
        let mut pixels = Vec::with_capacity(rows.len());
        for row in &rows {
            let pixel: i32 = row.try_get(0).map_err(doing(DOING))?;
            let reason = row.try_get(1).map_err(doing(DOING))?;
            // what is no pixel of ours is none of a store
            pixels.extend(Pixel::new(pixel.into()).ok().map(|pixel| (pixel, reason)));
        }
        Ok(pixels)
    }

    /// Live files of tiles in a product.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn files_of_tiles(&self, product: &Name) -> Result<i64, Error> {
        let sql = include_str!("../../../../sql/stage_files.sql");
        let row = self.client().await?.query_one(sql, &[&product.as_str()]).await;
        row.and_then(|row| row.try_get(0)).map_err(doing("count a stage's files"))
    }

    /// Tiles of a lake that are stale or missing, by path of their input.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn stage_tiles(&self, lake_id: Uuid, step: &Step) -> Result<Vec<StageTile>, Error> {
        let sql = include_str!("../../../../sql/stage_tiles.sql");
        let (version, input, product) = step.values();
        let values: [&(dyn ToSql + Sync); 5] = [&lake_id, &step.stage, &version, &input, &product];
        let rows = self.client().await?.query(sql, &values).await;
        let rows = rows.map_err(doing("list a stage's tiles"))?;
        let tile = |row: &Row| -> Result<Option<StageTile>, tokio_postgres::Error> {
            let name = |at| row.try_get::<_, &str>(at).map(Name::new);
            let (release, survey, program) = (name(0)?, name(1)?, name(2)?);
            let pixel = Pixel::new(row.try_get::<_, i32>(3)?.into());
            // what is no tile of ours is no tile of a stage
            let (Ok(release), Ok(survey), Ok(program), Ok(pixel)) =
                (release, survey, program, pixel)
            else {
                return Ok(None);
            };
            let tile = Tile { release, survey, program, pixel };
            Ok(Some(StageTile { tile, input: row.try_get(4)?, reason: row.try_get(5)? }))
        };
        let tiles = rows.iter().filter_map(|row| tile(row).transpose()).collect::<Result<_, _>>();
        tiles.map_err(doing("list a stage's tiles"))
    }

    /// Files of a product in a lake that could not be read, relative to it.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn unreadable_files(
        &self,
        lake_id: Uuid,
        product: &Name,
    ) -> Result<Vec<String>, Error> {
        let sql = include_str!("../../../../sql/stage_unreadable.sql");
        let rows = self.client().await?.query(sql, &[&lake_id, &product.as_str()]).await;
        rows.and_then(|rows| rows.iter().map(|row| row.try_get(0)).collect())
            .map_err(doing("list unreadable files"))
    }

    /// Notes that a run begins; those of the same stage and lake that never ended are over.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn begin_stage_run(
        &self,
        run_id: Uuid,
        lake_id: Uuid,
        node: &str,
        step: &Step,
        tiles: usize,
    ) -> Result<(), Error> {
        let sql = include_str!("../../../../sql/stage_begin_run.sql");
        let (version, _, product) = step.values();
        let tiles = i64::try_from(tiles).unwrap_or(i64::MAX);
        let values: [&(dyn ToSql + Sync); 7] =
            [&run_id, &lake_id, &node, &step.stage, &version, &product, &tiles];
        let done = self.client().await?.execute(sql, &values).await;
        done.map(drop).map_err(doing("note that a run begins"))
    }

    /// Notes how a run ended.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn end_stage_run(&self, run_id: Uuid, ending: RunEnding) -> Result<(), Error> {
        let sql = include_str!("../../../../sql/stage_end_run.sql");
        let ending = match ending {
            RunEnding::Complete => "complete",
            RunEnding::Stopped => "stopped",
        };
        let done = self.client().await?.execute(sql, &[&run_id, &ending]).await;
        done.map(drop).map_err(doing("note that a run ended"))
    }

    /// Notes how tiles ended of which nothing is published.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn put_stage_attempts(
        &self,
        run_id: Uuid,
        attempts: &[StageAttempt],
    ) -> Result<(), Error> {
        put_attempts(&self.client().await?, run_id, attempts).await
    }
}

impl Commit<'_> {
    /// Notes how tiles ended, as of this commit.
    pub(crate) async fn put_stage_attempts(
        &self,
        run_id: Uuid,
        attempts: &[StageAttempt],
    ) -> Result<(), Error> {
        put_attempts(&self.transaction, run_id, attempts).await
    }

    /// Of files of the lake, those that are live and still these versions: their places in the list.
    pub(crate) async fn still_live(&self, files: &[(&str, Version)]) -> Result<Vec<usize>, Error> {
        let sql = include_str!("../../../../sql/stage_still_live.sql");
        let paths: Vec<&str> = files.iter().map(|(path, _)| *path).collect();
        let sizes: Vec<i64> = files.iter().map(|(_, version)| version.size_bytes).collect();
        let times: Vec<i64> = files.iter().map(|(_, version)| version.mtime_ns).collect();
        let inodes: Vec<i64> = files.iter().map(|(_, version)| version.inode).collect();
        let values: [&(dyn ToSql + Sync); 5] = [&self.lake_id, &paths, &sizes, &times, &inodes];
        let rows = self.transaction.query(sql, &values).await;
        let place = |row: &Row| {
            let place: i64 = row.try_get(0)?;
            Ok(usize::try_from(place - 1).unwrap_or(usize::MAX))
        };
        rows.and_then(|rows| rows.iter().map(place).collect())
            .map_err(doing("look whether inputs are still there"))
    }
}

impl Step {
    fn values(&self) -> (i32, &str, &str) {
        let version = i32::try_from(self.version).unwrap_or(i32::MAX);
        (version, self.input.as_str(), self.product.as_str())
    }
}

async fn put_attempts(
    client: &impl GenericClient,
    run_id: Uuid,
    attempts: &[StageAttempt],
) -> Result<(), Error> {
    let sql = include_str!("../../../../sql/stage_put_attempts.sql");
    let Keys { releases, surveys, programs, pixels } = Keys::of(attempts.iter().map(|a| &a.tile));
    let outcomes: Vec<&str> = attempts.iter().map(|a| a.outcome.as_str()).collect();
    let clean = |error: &String| error.replace('\0', "\u{fffd}");
    let errors: Vec<Option<String>> =
        attempts.iter().map(|a| a.error.as_ref().map(clean)).collect();
    let rows: Vec<Option<i64>> = attempts.iter().map(|a| a.rows).collect();
    let bytes_in: Vec<i64> = attempts.iter().map(|a| a.bytes_in).collect();
    let bytes_out: Vec<Option<i64>> = attempts.iter().map(|a| a.bytes_out).collect();
    let seconds: Vec<f64> = attempts.iter().map(|a| a.seconds).collect();
    let tries: Vec<i32> = attempts.iter().map(|a| a.tries).collect();
    let values: [&(dyn ToSql + Sync); 12] = [
        &run_id, &releases, &surveys, &programs, &pixels, &outcomes, &errors, &rows, &bytes_in,
        &bytes_out, &seconds, &tries,
    ];
    let done = client.execute(sql, &values).await;
    done.map(drop).map_err(doing("note how tiles ended"))
}
