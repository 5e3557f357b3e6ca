//! What the lake's HATS catalogs ask: what changed in a product since a commit.

use super::lakes::LakeSession;
use super::{Error, Registry, doing};
use crate::hats::{AsOf, Changes, Content, FolderRow, SchemaRow};
use crate::layout::Lake;
use deadpool_postgres::ClientWrapper;
use std::collections::BTreeMap;
use tokio_postgres::{IsolationLevel, Row};

const PURPOSE: &str = "list what changed in a product";

/// Asks what catalogs must know, over a connection that is there.
pub(crate) struct HatsReader<'a>(&'a mut ClientWrapper);

impl LakeSession {
    /// Over the connection that has the right to change the lake.
    pub(crate) fn hats(&mut self) -> HatsReader<'_> {
        HatsReader(&mut self.client)
    }
}

impl Registry {
    /// Over a connection of its own, for as long as `work` takes.
    pub(crate) async fn with_hats<T, E: From<Error>>(
        &self,
        work: impl AsyncFnOnce(HatsReader<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut client = self.client().await?;
        work(HatsReader(&mut client)).await
    }
}

impl HatsReader<'_> {
    /// The latest commit of a lake; nothing before its first.
    pub(crate) async fn latest(&self, lake: &Lake) -> Result<Option<AsOf>, Error> {
        let sql = include_str!("../../../../sql/hats_latest.sql");
        let row = self.0.query_opt(sql, &[&lake.identity().lake_id]).await;
        let as_of = |row: Row| Ok(AsOf { commit: row.try_get(0)?, at: row.try_get(1)? });
        row.and_then(|row| row.map(as_of).transpose()).map_err(doing(PURPOSE))
    }

    /// Whether a commit is one of this registry.
    pub(crate) async fn is_known(&self, as_of: AsOf) -> Result<bool, Error> {
        let sql = include_str!("../../../../sql/hats_is_known.sql");
        let row = self.0.query_one(sql, &[&as_of.commit, &as_of.at]).await;
        row.and_then(|row| row.try_get(0)).map_err(doing(PURPOSE))
    }

    /// What changed in a lake's product after a commit, from one snapshot.
    pub(crate) async fn changes(
        &mut self,
        lake: &Lake,
        product: &str,
        since: i64,
    ) -> Result<Changes, Error> {
        let snapshot = self
            .0
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()
            .await
            .map_err(doing(PURPOSE))?;
        let lake_id = lake.identity().lake_id;
        let ask = async || -> Result<Changes, tokio_postgres::Error> {
            if since == 0 {
                let sql = include_str!("../../../../sql/hats_files.sql");
                let files = snapshot.query(sql, &[&lake_id, &product]).await?;
                let (folders, samples) = counted(&files)?;
                let sql = include_str!("../../../../sql/hats_fingerprints.sql");
                let ids: Vec<i32> = samples.keys().copied().collect();
                let schema = |row: Row| {
                    let path = samples.get(&row.try_get(0)?).map_or("", |path| path).to_owned();
                    Ok(SchemaRow { fingerprint: row.try_get(1)?, path })
                };
                let schemas = snapshot.query(sql, &[&ids]).await?.into_iter().map(schema);
                return Ok((folders, schemas.collect::<Result<_, tokio_postgres::Error>>()?));
            }
            let asked: [&(dyn tokio_postgres::types::ToSql + Sync); _] =
                [&lake_id, &product, &since];
            let sql = include_str!("../../../../sql/hats_folders.sql");
            let folders = folders(&snapshot.query(sql, &asked).await?)?;
            let sql = include_str!("../../../../sql/hats_schemas.sql");
            let schema =
                |row: Row| Ok(SchemaRow { fingerprint: row.try_get(0)?, path: row.try_get(1)? });
            let schemas = snapshot.query(sql, &asked).await?.into_iter().map(schema);
            Ok((folders, schemas.collect::<Result<_, tokio_postgres::Error>>()?))
        };
        ask().await.map_err(doing(PURPOSE))
    }
}

/// From rows of `hats_folders.sql`.
fn folders(rows: &[Row]) -> Result<Vec<FolderRow>, tokio_postgres::Error> {
    let folder = |row: &Row| {
        let count = |i| row.try_get(i).map(i64::cast_unsigned);
        let content = Content { files: count(1)?, rows: count(2)?, size_bytes: count(3)? };
        Ok(FolderRow { folder: row.try_get(0)?, content })
    };
    rows.iter().map(folder).collect()
}

/// Folders from rows of `hats_files.sql`, and of each schema the first live file that has it.
fn counted(rows: &[Row]) -> Result<(Vec<FolderRow>, BTreeMap<i32, &str>), tokio_postgres::Error> {
    let mut folders: Vec<(&str, Content)> = Vec::with_capacity(rows.len());
    let mut samples: BTreeMap<i32, &str> = BTreeMap::new();
    for row in rows {
        let path: &str = row.try_get(0)?;
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut content = Content::default();
        if row.try_get(1)? {
            content.files += 1;
            content.rows += row.try_get(2).map(i64::cast_unsigned)?;
            content.size_bytes += row.try_get(3).map(i64::cast_unsigned)?;
            if let Some(schema_id) = row.try_get(4)? {
                let sample = samples.entry(schema_id).or_insert(path);
                *sample = path.min(*sample);
            }
        }
        folders.push((folder, content));
    }
    // mostly they are, as they came that way
    folders.sort_by_key(|(folder, _)| *folder);
    folders.dedup_by(|(folder, more), (known, content)| {
        let is_same = folder == known;
        if is_same {
            *content += *more;
        }
        is_same
    });
    let row = |(folder, content): (&str, Content)| FolderRow { folder: folder.to_owned(), content };
    Ok((folders.into_iter().map(row).collect(), samples))
}
