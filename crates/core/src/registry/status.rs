//! How the registry stands: what people look at first.

use super::{Error, Registry, doing};
use chrono::{DateTime, Utc};
use serde::Serialize;

/// The latest commit, what there is, and who has been heard of.
#[derive(Debug, Clone, Serialize)]
pub struct Standing {
    /// The latest commit; none before the first.
    pub commit: Option<Commit>,
    /// By product and node.
    pub products: Vec<Product>,
    /// By name.
    pub nodes: Vec<Node>,
    /// Files that share their tile with another live file of their product.
    pub files_twice: i64,
    /// The first of them.
    pub twice: Vec<Twice>,
}

/// A file that shares its tile with another: rows of the tile are in answers twice.
#[derive(Debug, Clone, Serialize)]
pub struct Twice {
    /// Node and path.
    pub file: String,
    /// The tile.
    pub tile: String,
}

/// So many are named.
const TWICE_NAMED: i64 = 6;

/// A commit.
#[derive(Debug, Clone, Serialize)]
pub struct Commit {
    /// Its number.
    pub commit: i64,
    /// When it was numbered.
    pub at: DateTime<Utc>,
}

/// What there is of a product on a node.
#[derive(Debug, Clone, Serialize)]
pub struct Product {
    /// The product.
    pub product: String,
    /// The node.
    pub node: String,
    /// Live files.
    pub files: i64,
    /// Their rows.
    pub rows: i64,
    /// Their size, bytes.
    pub size_bytes: i64,
    /// Files that cannot be read.
    pub quarantined: i64,
    /// Files that are gone.
    pub missing: i64,
    /// Schemas of the product's live files, on all nodes.
    pub schemas: i64,
    /// Live files here of another schema than most of the product's.
    pub drifted: i64,
}

/// A node.
#[derive(Debug, Clone, Serialize)]
pub struct Node {
    /// Its name.
    pub node: String,
    /// Seconds since its last sync.
    pub silent_s: f64,
    /// The last commit that changed its lakes.
    pub last_commit: Option<i64>,
}

impl Registry {
    /// How the registry stands.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn standing(&self) -> Result<Standing, Error> {
        let client = self.client().await?;
        let gather = async {
            let latest = include_str!("../../../../sql/status_commit.sql");
            let commit = client.query_opt(latest, &[]).await?;
            let commit = commit.map(|row| {
                Ok::<_, tokio_postgres::Error>(Commit {
                    commit: row.try_get(0)?,
                    at: row.try_get(1)?,
                })
            });
            let mut products = Vec::new();
            for row in
                client.query(include_str!("../../../../sql/status_products.sql"), &[]).await?
            {
                products.push(Product {
                    product: row.try_get(0)?,
                    node: row.try_get(1)?,
                    files: row.try_get(2)?,
                    rows: row.try_get(3)?,
                    size_bytes: row.try_get(4)?,
                    quarantined: row.try_get(5)?,
                    missing: row.try_get(6)?,
                    schemas: row.try_get(7)?,
                    drifted: row.try_get(8)?,
                });
            }
            let mut nodes = Vec::new();
            for row in client.query(include_str!("../../../../sql/status_nodes.sql"), &[]).await? {
                nodes.push(Node {
                    node: row.try_get(0)?,
                    silent_s: row.try_get(1)?,
                    last_commit: row.try_get(2)?,
                });
            }
            let faults = include_str!("../../../../sql/status_faults.sql");
            let (mut files_twice, mut twice) = (0, Vec::new());
            for row in client.query(faults, &[&TWICE_NAMED]).await? {
                twice.push(Twice { file: row.try_get(0)?, tile: row.try_get(1)? });
                files_twice = row.try_get(2)?;
            }
            Ok(Standing { commit: commit.transpose()?, products, nodes, files_twice, twice })
        };
        gather.await.map_err(doing("ask how the registry stands"))
    }
}
