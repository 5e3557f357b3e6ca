//! Leases: the right to make the tiles of a pixel, for a while.

use super::Ending;
use crate::layout::SPECTRA;
use crate::registry::archive::{pixel, tile};
use crate::registry::{ArchiveFile, Error, Registry, doing};
use crate::tile::{Name, Pixel, Tile};
use postgres_types::ToSql;
use tokio_postgres::GenericClient;
use tokio_postgres::Row;
use uuid::Uuid;

/// Who takes leases, for what.
#[derive(Debug, Clone)]
pub struct Taker {
    /// Name of the machine.
    pub node: String,
    /// The lake that files go to.
    pub lake_id: Uuid,
    /// This run.
    pub run_id: Uuid,
    /// The production that tiles are made of.
    pub release: Name,
    /// What is done with a tile.
    pub stage: String,
    /// The product that comes of it.
    pub product: Name,
    /// Only these tiles, by number.
    pub only: Option<Vec<i64>>,
    /// How long a lease holds unless it is renewed, seconds.
    pub lease_s: f64,
}

/// A pixel with tiles that are to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingPixel {
    /// The pixel.
    pub pixel: Pixel,
    /// Tiles that may be tried now.
    pub ready: i64,
    /// Tiles that failed and wait for another try.
    pub waiting: i64,
    /// Until the first of these may be tried, seconds.
    pub wait_s: Option<f64>,
    /// Whether somebody is at work on it.
    pub is_held: bool,
    /// Nodes that hold live files of it.
    pub nodes: Vec<String>,
}

/// A pixel whose tiles are ours to make.
#[derive(Debug, Clone)]
pub struct Lease {
    /// The pixel.
    pub pixel: Pixel,
    /// What proves it; larger than that of every earlier lease.
    pub token: i64,
    /// Its tiles that are to be made, each with a try that has begun.
    pub tiles: Vec<LeasedTile>,
}

/// A tile that is ours to make.
#[derive(Debug, Clone)]
pub struct LeasedTile {
    /// Number of the try.
    pub attempt_id: i64,
    /// The tile.
    pub tile: Tile,
    /// Its files in the archive.
    pub files: Vec<ArchiveFile>,
    /// Whether the lake's file of it was set aside.
    pub is_damaged: bool,
}

impl Registry {
    /// The pixels with tiles that are to be made.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn pending_pixels(&self, taker: &Taker) -> Result<Vec<PendingPixel>, Error> {
        pending(&**self.client().await?, taker).await
    }

    /// The pixels with tiles that would be to be made if these were queued again: nothing is changed.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn pending_if_requeued(
        &self,
        taker: &Taker,
        tile_ids: &[i64],
    ) -> Result<Vec<PendingPixel>, Error> {
        let failed = || doing("look for tiles to make");
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(failed())?;
        let requeue = include_str!("../../../../../sql/campaign_requeue.sql");
        transaction.execute(requeue, &[&tile_ids, &SPECTRA]).await.map_err(failed())?;
        let pixels = pending(&*transaction, taker).await?;
        transaction.rollback().await.map_err(failed())?;
        Ok(pixels)
    }

    /// Makes pixels known, so that they can be leased.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn make_leases(&self, pixels: &[Pixel]) -> Result<(), Error> {
        let sql = include_str!("../../../../../sql/campaign_make_leases.sql");
        let done = self.client().await?.execute(sql, &[&numbers(pixels)]).await;
        done.map(drop).map_err(doing("make pixels known"))
    }

    /// Takes those of the pixels that nobody holds, and begins a try of each of their tiles. The
    /// tries of holders whose leases lapsed are closed.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn take_leases(&self, taker: &Taker, pixels: &[Pixel]) -> Result<Vec<Lease>, Error> {
        let failed = || doing("take leases");
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(failed())?;
        let take = include_str!("../../../../../sql/campaign_take_leases.sql");
        let pixels = numbers(pixels);
        let asked: [&(dyn ToSql + Sync); 5] =
            [&pixels, &taker.node, &taker.lake_id, &taker.run_id, &taker.lease_s];
        let taken = transaction.query(take, &asked).await.map_err(failed())?;
        let (mut pixels, mut tokens, mut lapsed) = (Vec::<i32>::new(), Vec::<i64>::new(), vec![]);
        for row in &taken {
            pixels.push(row.try_get(0).map_err(failed())?);
            tokens.push(row.try_get(1).map_err(failed())?);
            lapsed.extend(row.try_get::<_, Option<i64>>(2).map_err(failed())?);
        }
        let close = include_str!("../../../../../sql/campaign_close_attempts.sql");
        let why = format!("its lease lapsed, and {} took over", taker.node);
        let abandoned = Ending::Abandoned.as_str();
        transaction.execute(close, &[&lapsed, &abandoned, &why]).await.map_err(failed())?;
        let begin = include_str!("../../../../../sql/campaign_begin_attempts.sql");
        let (release, stage) = (taker.release.as_str(), &taker.stage);
        let asked: [&(dyn ToSql + Sync); 8] = [
            &pixels,
            &tokens,
            &taker.lake_id,
            &taker.node,
            stage,
            &release,
            &taker.only,
            &taker.product.as_str(),
        ];
        let rows = transaction.query(begin, &asked).await.map_err(failed())?;
        let leases = gather(&rows).map_err(failed())?;
        // made by others since they were looked for
        let idle: Vec<i64> =
            tokens.into_iter().filter(|t| leases.iter().all(|l| l.token != *t)).collect();
        let free = include_str!("../../../../../sql/campaign_free_leases.sql");
        transaction.execute(free, &[&idle]).await.map_err(failed())?;
        transaction.commit().await.map_err(failed())?;
        Ok(leases)
    }

    /// Renews leases; gives the tokens of those that are still held.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn renew_leases(&self, tokens: &[i64], lease_s: f64) -> Result<Vec<i64>, Error> {
        let sql = include_str!("../../../../../sql/campaign_renew.sql");
        let rows = self.client().await?.query(sql, &[&tokens, &lease_s]).await;
        rows.and_then(|rows| rows.iter().map(|row| row.try_get(0)).collect())
            .map_err(doing("renew leases"))
    }

    /// Gives leases back; their open tries end as `ending`.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn give_leases_back(
        &self,
        tokens: &[i64],
        ending: Ending,
        why: &str,
    ) -> Result<(), Error> {
        let failed = || doing("give leases back");
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(failed())?;
        let close = include_str!("../../../../../sql/campaign_close_attempts.sql");
        let free = include_str!("../../../../../sql/campaign_free_leases.sql");
        transaction.execute(free, &[&tokens]).await.map_err(failed())?;
        transaction.execute(close, &[&tokens, &ending.as_str(), &why]).await.map_err(failed())?;
        transaction.commit().await.map_err(failed())
    }

    /// Tokens of all leases that runs of a lake hold.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn leases_of(&self, lake_id: Uuid) -> Result<Vec<i64>, Error> {
        let sql = include_str!("../../../../../sql/campaign_leases_of.sql");
        let rows = self.client().await?.query(sql, &[&lake_id]).await;
        rows.and_then(|rows| rows.iter().map(|row| row.try_get(0)).collect())
            .map_err(doing("list leases"))
    }
}

async fn pending(client: &impl GenericClient, taker: &Taker) -> Result<Vec<PendingPixel>, Error> {
    let sql = include_str!("../../../../../sql/campaign_pending.sql");
    let values: [&(dyn ToSql + Sync); 3] =
        [&taker.release.as_str(), &taker.only, &taker.product.as_str()];
    let rows = client.query(sql, &values).await;
    let pending = |row: &Row| -> Result<Option<PendingPixel>, tokio_postgres::Error> {
        let Some(pixel) = pixel(row, 0) else { return Ok(None) };
        Ok(Some(PendingPixel {
            pixel,
            ready: row.try_get(1)?,
            waiting: row.try_get(2)?,
            wait_s: row.try_get(3)?,
            is_held: row.try_get(4)?,
            nodes: row.try_get(5)?,
        }))
    };
    rows.and_then(|rows| rows.iter().filter_map(|r| pending(r).transpose()).collect())
        .map_err(doing("look for tiles to make"))
}

fn numbers(pixels: &[Pixel]) -> Vec<i32> {
    pixels.iter().map(|pixel| pixel.get() as i32).collect()
}

/// Rows come by token and tile; a row a file, or one without where the tile has none.
fn gather(rows: &[Row]) -> Result<Vec<Lease>, tokio_postgres::Error> {
    let mut leases: Vec<Lease> = Vec::new();
    for row in rows {
        let Some(tile) = tile(row) else { continue };
        let (attempt_id, token): (i64, i64) = (row.try_get(9)?, row.try_get(10)?);
        if leases.last().is_none_or(|lease| lease.token != token) {
            leases.push(Lease { pixel: tile.pixel, token, tiles: Vec::new() });
        }
        let Some(lease) = leases.last_mut() else { continue };
        if lease.tiles.last().is_none_or(|last| last.attempt_id != attempt_id) {
            let (tile, is_damaged) = (tile.clone(), row.try_get(11)?);
            lease.tiles.push(LeasedTile { attempt_id, tile, files: Vec::new(), is_damaged });
        }
        if let (Some(last), Some(kind)) = (lease.tiles.last_mut(), row.try_get(4)?) {
            last.files.push(ArchiveFile {
                tile,
                kind,
                key: row.try_get(5)?,
                size_bytes: row.try_get(6)?,
                etag: row.try_get(7)?,
                sha256: row.try_get(8)?,
            });
        }
    }
    Ok(leases)
}
