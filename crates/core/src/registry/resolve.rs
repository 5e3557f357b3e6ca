//! What a resolution asks the registry, all within one snapshot.

use super::{Error, Registry, doing};
use crate::bounds::{Bounds, Value};
use deadpool_postgres::{Client, Transaction};
use tokio_postgres::types::ToSql;
use tokio_postgres::{IsolationLevel, Row};
use uuid::Uuid;

const PURPOSE: &str = "resolve the question in the registry";

/// Where the files of a lake lie.
#[derive(Debug, Clone)]
pub(crate) struct PlaceRow {
    pub(crate) lake_id: Uuid,
    pub(crate) root: String,
    pub(crate) uri_prefixes: Vec<String>,
}

/// A file that may hold matching rows.
#[derive(Debug, Clone)]
pub(crate) struct CandidateRow {
    pub(crate) file_id: i64,
    pub(crate) lake_id: Uuid,
    pub(crate) schema_id: Option<i32>,
    pub(crate) num_rows: Option<i64>,
    pub(crate) num_row_groups: Option<i32>,
    pub(crate) size_bytes: i64,
    pub(crate) mtime_ns: i64,
    /// Whether the catalog holds its rows, and can be relied on.
    pub(crate) in_catalog: bool,
    pub(crate) node: String,
    pub(crate) product: String,
    pub(crate) path: String,
}

/// A column of a schema, as the registry keeps it.
#[derive(Debug, Clone, serde::Deserialize)]
pub(crate) struct ColumnRow {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) data_type: String,
    pub(crate) kind: Kind,
    pub(crate) slot: Option<i32>,
    pub(crate) position: Option<i32>,
}

/// Which arrays hold a column's bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Int,
    Float,
    Text,
    Bool,
    #[serde(other)]
    Other,
}

/// What indexed columns are asked; `None` asks nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Demands {
    pub(crate) product: String,
    /// An `int8multirange`, as text.
    pub(crate) sky: Option<String>,
    pub(crate) z: (Option<f64>, Option<f64>),
    pub(crate) deltachi2: (Option<f64>, Option<f64>),
    pub(crate) zwarn: (Option<i64>, Option<i64>),
    pub(crate) target_id: (Option<i64>, Option<i64>),
    pub(crate) spectypes: Option<Vec<String>>,
    pub(crate) releases: Option<Vec<String>>,
    pub(crate) surveys: Option<Vec<String>>,
    pub(crate) programs: Option<Vec<String>>,
    pub(crate) healpixes: Option<Vec<i64>>,
    pub(crate) zwarn_zero: Option<bool>,
    pub(crate) z_bins: Option<Vec<i16>>,
    /// Files in which the catalog found the wanted objects.
    pub(crate) files: Option<Vec<i64>>,
}

/// Slots of each kind to fetch, first and last, from 1; `(1, 0)` fetches none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slices {
    pub(crate) position: (i32, i32),
    pub(crate) int: (i32, i32),
    pub(crate) float: (i32, i32),
    pub(crate) text: (i32, i32),
}

/// The fetched bounds of a file or row group.
pub(crate) struct BoundsRow {
    pub(crate) file_id: i64,
    pub(crate) row_group: i32,
    pub(crate) num_rows: i64,
    nulls: Known<i32>,
    int: (Known<i64>, Known<i64>),
    float: (Known<f64>, Known<f64>, Known<bool>),
    text: (Known<String>, Known<String>, Known<bool>),
}

type Known<T> = Option<Vec<Option<T>>>;

impl BoundsRow {
    /// Bounds of one column; `slices` are those that were fetched.
    pub(crate) fn of(&self, column: &ColumnRow, slices: &Slices) -> Bounds {
        let mut bounds = Bounds {
            null_count: at(&self.nulls, column.position, slices.position)
                .and_then(|n| u64::try_from(n).ok()),
            ..Bounds::default()
        };
        match column.kind {
            Kind::Int | Kind::Bool => {
                let value = |known| {
                    let value: i64 = at(known, column.slot, slices.int)?;
                    Some(match column.kind {
                        Kind::Bool => Value::Bool(value != 0),
                        _ => Value::Int(value.into()),
                    })
                };
                (bounds.min, bounds.max) = (value(&self.int.0), value(&self.int.1));
                bounds.has_nan = Some(false);
            }
            Kind::Float => {
                let value = |known| at(known, column.slot, slices.float).map(Value::Float);
                (bounds.min, bounds.max) = (value(&self.float.0), value(&self.float.1));
                bounds.has_nan = at(&self.float.2, column.slot, slices.float);
            }
            Kind::Text => {
                let value = |known| at(known, column.slot, slices.text).map(Value::Text);
                (bounds.min, bounds.max) = (value(&self.text.0), value(&self.text.1));
                bounds.is_exact = at(&self.text.2, column.slot, slices.text) == Some(true);
                bounds.has_nan = Some(false);
            }
            Kind::Other => {}
        }
        bounds
    }
}

fn at<T: Clone>(known: &Known<T>, slot: Option<i32>, slice: (i32, i32)) -> Option<T> {
    let index = usize::try_from(slot?.checked_sub(slice.0)?).ok()?;
    known.as_ref()?.get(index)?.clone()
}

impl Registry {
    /// A connection for one resolution.
    pub(crate) async fn resolver(&self) -> Result<Resolver, Error> {
        Ok(Resolver { client: self.client().await? })
    }
}

/// A connection on which a resolution runs.
pub(crate) struct Resolver {
    client: Client,
}

impl Resolver {
    /// Starts a snapshot: whatever is asked of it is as of one moment.
    pub(crate) async fn snapshot(&mut self) -> Result<Snapshot<'_>, Error> {
        let builder = self.client.build_transaction();
        let transaction = builder
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()
            .await
            .map_err(doing(PURPOSE))?;
        let snapshot = Snapshot { transaction };
        snapshot.rows(include_str!("../../../../sql/resolve_settings.sql"), &[]).await?;
        Ok(snapshot)
    }
}

/// The registry at one moment.
pub(crate) struct Snapshot<'a> {
    transaction: Transaction<'a>,
}

impl Snapshot<'_> {
    async fn rows(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
        let ask = async {
            let statement = self.transaction.prepare_cached(sql).await?;
            self.transaction.query(&statement, params).await
        };
        ask.await.map_err(doing(PURPOSE))
    }

    async fn each<T>(
        &self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
        read: impl Fn(&Row) -> Result<T, tokio_postgres::Error>,
    ) -> Result<Vec<T>, Error> {
        let rows = self.rows(sql, params).await?;
        rows.iter().map(read).collect::<Result<_, _>>().map_err(doing(PURPOSE))
    }

    async fn number(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<i64, Error> {
        let numbers = self.each(sql, params, |row| row.try_get(0)).await?;
        Ok(numbers.first().copied().unwrap_or_default())
    }

    /// The latest commit.
    pub(crate) async fn commit(&self) -> Result<i64, Error> {
        self.number(include_str!("../../../../sql/resolve_commit.sql"), &[]).await
    }

    /// Every lake.
    pub(crate) async fn places(&self) -> Result<Vec<PlaceRow>, Error> {
        let sql = include_str!("../../../../sql/resolve_places.sql");
        let read = |row: &Row| {
            Ok(PlaceRow {
                lake_id: row.try_get(0)?,
                root: row.try_get(1)?,
                uri_prefixes: row.try_get(2)?,
            })
        };
        self.each(sql, &[], read).await
    }

    /// How many files of a product are live; `None` for more than 100,000.
    pub(crate) async fn product_files(&self, product: &str) -> Result<Option<i64>, Error> {
        let sql = include_str!("../../../../sql/resolve_product_files.sql");
        let counted = self.number(sql, &[&product]).await?;
        Ok((counted <= 100_000).then_some(counted))
    }

    /// Every product that has live files.
    pub(crate) async fn products(&self) -> Result<Vec<String>, Error> {
        let sql = include_str!("../../../../sql/resolve_products.sql");
        self.each(sql, &[], |row| row.try_get(0)).await
    }

    /// Schemas of a product's live files.
    pub(crate) async fn product_schemas(&self, product: &str) -> Result<Vec<i32>, Error> {
        let sql = include_str!("../../../../sql/resolve_product_schemas.sql");
        self.each(sql, &[&product], |row| row.try_get(0)).await
    }

    /// Columns of schemas.
    pub(crate) async fn schemas(&self, ids: &[i32]) -> Result<Vec<(i32, Vec<ColumnRow>)>, Error> {
        let sql = include_str!("../../../../sql/resolve_schemas.sql");
        let read = |row: &Row| {
            let columns: tokio_postgres::types::Json<Vec<ColumnRow>> = row.try_get(1)?;
            Ok((row.try_get(0)?, columns.0))
        };
        self.each(sql, &[&ids], read).await
    }

    /// Rows of each file in which the catalog knows the objects, ascending.
    pub(crate) async fn targets(&self, ids: &[i64]) -> Result<Vec<(i64, Vec<i32>)>, Error> {
        let sql = include_str!("../../../../sql/resolve_targets.sql");
        self.each(sql, &[&ids], |row| Ok((row.try_get(0)?, row.try_get(1)?))).await
    }

    /// Files that may hold matching rows, in no order.
    pub(crate) async fn candidates(&self, asked: &Demands) -> Result<Vec<CandidateRow>, Error> {
        let sql = include_str!("../../../../sql/resolve_candidates.sql");
        let by_class =
            asked.spectypes.is_some() || asked.zwarn_zero.is_some() || asked.z_bins.is_some();
        let params: [&(dyn ToSql + Sync); 19] = [
            &asked.product,
            &asked.sky,
            &asked.z.0,
            &asked.z.1,
            &asked.deltachi2.0,
            &asked.deltachi2.1,
            &asked.zwarn.0,
            &asked.zwarn.1,
            &asked.target_id.0,
            &asked.target_id.1,
            &asked.spectypes,
            &asked.releases,
            &asked.surveys,
            &asked.programs,
            &asked.healpixes,
            &by_class,
            &asked.zwarn_zero,
            &asked.z_bins,
            &asked.files,
        ];
        let read = |row: &Row| {
            Ok(CandidateRow {
                file_id: row.try_get(0)?,
                lake_id: row.try_get(1)?,
                schema_id: row.try_get(2)?,
                num_rows: row.try_get(3)?,
                num_row_groups: row.try_get(4)?,
                size_bytes: row.try_get(5)?,
                in_catalog: row.try_get(6)?,
                node: row.try_get(7)?,
                product: row.try_get(8)?,
                path: row.try_get(9)?,
                mtime_ns: row.try_get(10)?,
            })
        };
        self.each(sql, &params, read).await
    }

    /// Bounds of whole files of one schema.
    pub(crate) async fn file_bounds(
        &self,
        files: &[i64],
        slices: &Slices,
    ) -> Result<Vec<BoundsRow>, Error> {
        self.bounds(include_str!("../../../../sql/resolve_file_bounds.sql"), files, slices).await
    }

    /// Bounds of the row groups of files of one schema that have several, by file and group.
    pub(crate) async fn group_bounds(
        &self,
        files: &[i64],
        slices: &Slices,
    ) -> Result<Vec<BoundsRow>, Error> {
        self.bounds(include_str!("../../../../sql/resolve_group_bounds.sql"), files, slices).await
    }

    async fn bounds(
        &self,
        sql: &str,
        files: &[i64],
        slices: &Slices,
    ) -> Result<Vec<BoundsRow>, Error> {
        let Slices { position, int, float, text } = slices;
        let params: [&(dyn ToSql + Sync); 9] = [
            &files,
            &position.0,
            &position.1,
            &int.0,
            &int.1,
            &float.0,
            &float.1,
            &text.0,
            &text.1,
        ];
        let read = |row: &Row| {
            Ok(BoundsRow {
                file_id: row.try_get(0)?,
                row_group: row.try_get(1)?,
                num_rows: row.try_get(2)?,
                nulls: row.try_get(3)?,
                int: (row.try_get(4)?, row.try_get(5)?),
                float: (row.try_get(6)?, row.try_get(7)?, row.try_get(8)?),
                text: (row.try_get(9)?, row.try_get(10)?, row.try_get(11)?),
            })
        };
        self.each(sql, &params, read).await
    }

    /// Objects of the files that have the demanded class, quality and redshift.
    pub(crate) async fn estimate(&self, files: &[i64], asked: &Demands) -> Result<i64, Error> {
        let sql = include_str!("../../../../sql/resolve_estimate.sql");
        let params: [&(dyn ToSql + Sync); 4] =
            [&files, &asked.spectypes, &asked.zwarn_zero, &asked.z_bins];
        self.number(sql, &params).await
    }
}
