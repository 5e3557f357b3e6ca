//! What the lake's HATS catalogs ask: what changed in a product since a commit.

use super::{Error, Registry, doing};
use crate::hats::{AsOf, Changes, Content, FolderRow, SchemaRow};
use crate::layout::Lake;
use std::collections::HashMap;
use tokio_postgres::{IsolationLevel, Row};

const PURPOSE: &str = "list what changed in a product";

impl Registry {
    /// The latest commit of a lake; nothing before its first.
    pub(crate) async fn hats_latest(&self, lake: &Lake) -> Result<Option<AsOf>, Error> {
        let sql = include_str!("../../../../sql/hats_latest.sql");
        let row = self.client().await?.query_opt(sql, &[&lake.identity().lake_id]).await;
        let as_of = |row: Row| Ok(AsOf { commit: row.try_get(0)?, at: row.try_get(1)? });
        row.and_then(|row| row.map(as_of).transpose()).map_err(doing(PURPOSE))
    }

    /// Whether a commit is one of this registry.
    pub(crate) async fn hats_is_known(&self, as_of: AsOf) -> Result<bool, Error> {
        let sql = include_str!("../../../../sql/hats_is_known.sql");
        let row = self.client().await?.query_one(sql, &[&as_of.commit, &as_of.at]).await;
        row.and_then(|row| row.try_get(0)).map_err(doing(PURPOSE))
    }

    /// What changed in a lake's product after a commit, from one snapshot.
    pub(crate) async fn hats_changes(
        &self,
        lake: &Lake,
        product: &str,
        since: i64,
    ) -> Result<Changes, Error> {
        let mut client = self.client().await?;
        let snapshot = client
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()
            .await
            .map_err(doing(PURPOSE))?;
        let lake_id = lake.identity().lake_id;
        let ask = async || -> Result<Changes, tokio_postgres::Error> {
            let folders = match since {
                0 => {
                    let sql = include_str!("../../../../sql/hats_files.sql");
                    folders_of_files(&snapshot.query(sql, &[&lake_id, &product]).await?)?
                }
                _ => {
                    let sql = include_str!("../../../../sql/hats_folders.sql");
                    folders(&snapshot.query(sql, &[&lake_id, &product, &since]).await?)?
                }
            };
            let sql = include_str!("../../../../sql/hats_schemas.sql");
            let mut schemas = Vec::new();
            for row in snapshot.query(sql, &[&lake_id, &product, &since]).await? {
                schemas.push(SchemaRow { fingerprint: row.try_get(0)?, path: row.try_get(1)? });
            }
            Ok((folders, schemas))
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

/// The same from rows of `hats_files.sql`.
fn folders_of_files(rows: &[Row]) -> Result<Vec<FolderRow>, tokio_postgres::Error> {
    let mut folders: HashMap<&str, Content> = HashMap::new();
    for row in rows {
        let path: &str = row.try_get(0)?;
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let content = folders.entry(folder).or_default();
        if row.try_get(1)? {
            content.files += 1;
            content.rows += row.try_get(2).map(i64::cast_unsigned)?;
            content.size_bytes += row.try_get(3).map(i64::cast_unsigned)?;
        }
    }
    let row = |(folder, content): (&str, Content)| FolderRow { folder: folder.to_owned(), content };
    Ok(folders.into_iter().map(row).collect())
}
