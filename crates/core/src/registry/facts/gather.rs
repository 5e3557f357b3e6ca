//! The statements behind [`Facts`], one function each.

use super::columns::schemas;
use super::{
    COMMITS, ClassRow, CommitRow, Facts, FileWrongRow, LISTED, LakeRow, Listed, MakingRow,
    ProductRow, RedshiftRow, Survey, TargetRow, Targeted, TileOutcomeRow, TileRow,
};
use crate::layout::SPECTRA;
use crate::tile::Pixel;
use chrono::{DateTime, Utc};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Transaction};
use uuid::Uuid;

pub(super) type Answer<T> = Result<T, tokio_postgres::Error>;

pub(super) async fn all(db: &Transaction<'_>, here: Uuid) -> Answer<Facts> {
    let listed = LISTED as i64;
    Ok(Facts {
        taken_at: taken_at(db).await?,
        here,
        commits: commits(db, COMMITS as i64).await?,
        lakes: lakes(db).await?,
        products: products(db).await?,
        tiles: tiles(db, SPECTRA, here).await?,
        classes: classes(db).await?,
        redshifts: redshifts(db).await?,
        targets: targets(db).await?,
        makings: makings(db).await?,
        schemas: schemas(db).await?,
        files_wrong: files_wrong(db, listed).await?,
        tile_outcomes: tile_outcomes(db, listed).await?,
    })
}

pub(super) async fn rows_of<T>(
    db: &Transaction<'_>,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
    read: impl Fn(&Row) -> Answer<T>,
) -> Answer<Vec<T>> {
    db.query(sql, parameters).await?.iter().map(read).collect()
}

async fn taken_at(db: &Transaction<'_>) -> Answer<DateTime<Utc>> {
    db.query_one(include_str!("../../../../../sql/facts_taken_at.sql"), &[])
        .await?
        .try_get("taken_at")
}

async fn commits(db: &Transaction<'_>, most: i64) -> Answer<Vec<CommitRow>> {
    let sql = include_str!("../../../../../sql/facts_commits.sql");
    rows_of(db, sql, &[&most], |row| {
        Ok(CommitRow {
            commit_id: row.try_get("commit_id")?,
            committed_at: row.try_get("committed_at")?,
            node: row.try_get("node")?,
            program: row.try_get("program")?,
            files_added: row.try_get("files_added")?,
            files_changed: row.try_get("files_changed")?,
            files_missing: row.try_get("files_missing")?,
            files_replaced: row.try_get("files_replaced")?,
            files_quarantined: row.try_get("files_quarantined")?,
            rows_added: row.try_get("rows_added")?,
            rows_removed: row.try_get("rows_removed")?,
            bytes_added: row.try_get("bytes_added")?,
            bytes_removed: row.try_get("bytes_removed")?,
        })
    })
    .await
}

async fn lakes(db: &Transaction<'_>) -> Answer<Vec<LakeRow>> {
    rows_of(db, include_str!("../../../../../sql/facts_lakes.sql"), &[], |row| {
        Ok(LakeRow {
            lake_id: row.try_get("lake_id")?,
            node: row.try_get("node")?,
            root: row.try_get("root")?,
            last_commit: row.try_get("last_commit")?,
            last_seen_at: row.try_get("last_seen_at")?,
            uri_prefixes: row.try_get("uri_prefixes")?,
        })
    })
    .await
}

async fn products(db: &Transaction<'_>) -> Answer<Vec<ProductRow>> {
    rows_of(db, include_str!("../../../../../sql/facts_products.sql"), &[], |row| {
        Ok(ProductRow {
            product: row.try_get("product")?,
            lake_id: row.try_get("lake_id")?,
            live: row.try_get("live")?,
            quarantined: row.try_get("quarantined")?,
            missing: row.try_get("missing")?,
            rows: row.try_get("rows")?,
            empty: row.try_get("empty")?,
            row_groups: row.try_get("row_groups")?,
            size_bytes: row.try_get("size_bytes")?,
            largest_bytes: row.try_get("largest_bytes")?,
        })
    })
    .await
}

async fn tiles(db: &Transaction<'_>, product: &str, here: Uuid) -> Answer<Vec<TileRow>> {
    let sql = include_str!("../../../../../sql/facts_tiles.sql");
    let tiles: Vec<Option<TileRow>> = rows_of(db, sql, &[&product, &here], |row| {
        let pixel: i32 = row.try_get("healpix")?;
        let Ok(pixel) = Pixel::new(i64::from(pixel)) else { return Ok(None) };
        Ok(Some(TileRow {
            release: row.try_get("release")?,
            survey: row.try_get("survey")?,
            program: row.try_get("program")?,
            pixel,
            rows: row.try_get("rows")?,
            here: row.try_get("here")?,
        }))
    })
    .await?;
    Ok(tiles.into_iter().flatten().collect())
}

fn survey(row: &Row) -> Answer<Survey> {
    Ok(Survey {
        release: row.try_get("release")?,
        survey: row.try_get("survey")?,
        program: row.try_get("program")?,
    })
}

async fn classes(db: &Transaction<'_>) -> Answer<Vec<ClassRow>> {
    rows_of(db, include_str!("../../../../../sql/facts_classes.sql"), &[], |row| {
        Ok(ClassRow {
            survey: survey(row)?,
            spectype: row.try_get("spectype")?,
            zwarn_zero: row.try_get("zwarn_zero")?,
            objects: row.try_get("objects")?,
            z_min: row.try_get("z_min")?,
            z_max: row.try_get("z_max")?,
        })
    })
    .await
}

async fn redshifts(db: &Transaction<'_>) -> Answer<Vec<RedshiftRow>> {
    rows_of(db, include_str!("../../../../../sql/facts_redshifts.sql"), &[], |row| {
        Ok(RedshiftRow {
            survey: survey(row)?,
            spectype: row.try_get("spectype")?,
            z_bin: row.try_get("z_bin")?,
            objects: row.try_get("objects")?,
        })
    })
    .await
}

async fn targets(db: &Transaction<'_>) -> Answer<Vec<TargetRow>> {
    rows_of(db, include_str!("../../../../../sql/facts_targets.sql"), &[], |row| {
        Ok(TargetRow {
            survey: survey(row)?,
            rows: row.try_get("rows")?,
            zwarn_zero: row.try_get("zwarn_zero")?,
            negative_ids: row.try_get("negative_ids")?,
            without_position: row.try_get("without_position")?,
            good_fibers: row.try_get("good_fibers")?,
            bgs: targeted(row, "bgs", "bgs_zwarn_zero")?,
            lrg: targeted(row, "lrg", "lrg_zwarn_zero")?,
            elg: targeted(row, "elg", "elg_zwarn_zero")?,
            qso: targeted(row, "qso", "qso_zwarn_zero")?,
            mws: targeted(row, "mws", "mws_zwarn_zero")?,
            scnd: targeted(row, "scnd", "scnd_zwarn_zero")?,
            other: targeted(row, "other", "other_zwarn_zero")?,
        })
    })
    .await
}

fn targeted(row: &Row, all: &str, good: &str) -> Answer<Targeted> {
    Ok(Targeted { rows: row.try_get(all)?, zwarn_zero: row.try_get(good)? })
}

async fn makings(db: &Transaction<'_>) -> Answer<Vec<MakingRow>> {
    rows_of(db, include_str!("../../../../../sql/facts_makings.sql"), &[], |row| {
        Ok(MakingRow {
            product: row.try_get("product")?,
            files: row.try_get("files")?,
            rows: row.try_get("rows")?,
            document: row.try_get("document")?,
        })
    })
    .await
}

async fn files_wrong(db: &Transaction<'_>, most: i64) -> Answer<Listed<FileWrongRow>> {
    let sql = include_str!("../../../../../sql/facts_files_wrong.sql");
    let rows = rows_of(db, sql, &[&most], |row| {
        let file = FileWrongRow {
            lake_id: row.try_get("lake_id")?,
            path: row.try_get("path")?,
            state: row.try_get("state")?,
            reason: row.try_get("reason")?,
            since: row.try_get("since")?,
        };
        Ok((file, row.try_get("total")?))
    })
    .await?;
    Ok(listed(rows))
}

async fn tile_outcomes(db: &Transaction<'_>, most: i64) -> Answer<Listed<TileOutcomeRow>> {
    let sql = include_str!("../../../../../sql/facts_tile_outcomes.sql");
    let rows = rows_of(db, sql, &[&most], |row| {
        let tile = TileOutcomeRow {
            lake_id: row.try_get("lake_id")?,
            product: row.try_get("product")?,
            tile: row.try_get("tile")?,
            outcome: row.try_get("outcome")?,
            reasons: row.try_get("reasons")?,
            advice: row.try_get("advice")?,
            at: row.try_get("at")?,
        };
        Ok((tile, row.try_get("total")?))
    })
    .await?;
    Ok(listed(rows))
}

/// Rows that each carry how many there are in all.
fn listed<T>(rows: Vec<(T, i64)>) -> Listed<T> {
    let total = rows.first().map_or(0, |(_, total)| total.unsigned_abs());
    Listed { rows: rows.into_iter().map(|(row, _)| row).collect(), total }
}
