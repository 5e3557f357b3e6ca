//! What the lake's HATS catalogs ask: what changed in a product since a commit.

use super::{Error, Registry, doing};
use crate::hats::{Changes, Content, FolderRow, SchemaRow};
use crate::layout::Lake;
use tokio_postgres::IsolationLevel;

const PURPOSE: &str = "list what changed in a product";

impl Registry {
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
            let sql = include_str!("../../../../sql/hats_folders.sql");
            let mut folders = Vec::new();
            for row in snapshot.query(sql, &[&lake_id, &product, &since]).await? {
                let count = |i| row.try_get(i).map(i64::cast_unsigned);
                let content = Content { files: count(1)?, rows: count(2)?, size_bytes: count(3)? };
                folders.push(FolderRow { folder: row.try_get(0)?, content });
            }
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
