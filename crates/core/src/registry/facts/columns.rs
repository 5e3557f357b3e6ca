//! What the live files say of their columns: NULLs and ranges, by schema.

use super::gather::{Answer, rows_of};
use super::{Column, Range, Schema};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use tokio_postgres::{Row, Transaction};

/// A column as `file_schemas.columns` describes it.
#[derive(Debug, Deserialize)]
struct Described {
    name: String,
    #[serde(rename = "type")]
    arrow_type: String,
    kind: String,
    slot: Option<i64>,
    position: Option<i64>,
    unit: Option<String>,
    description: Option<String>,
}

pub(super) async fn schemas(db: &Transaction<'_>) -> Answer<Vec<Schema>> {
    let values = Values::read(db).await?;
    rows_of(db, include_str!("../../../../../sql/facts_schemas.sql"), &[], |row| {
        let schema_id: i32 = row.try_get("schema_id")?;
        let columns: postgres_types::Json<Vec<Described>> = row.try_get("columns")?;
        let files: i64 = row.try_get("files_with_rows")?;
        Ok(Schema {
            product: row.try_get("product")?,
            fingerprint: row.try_get("fingerprint")?,
            files: row.try_get("files")?,
            rows: row.try_get("rows")?,
            columns: columns.0.into_iter().map(|c| values.of(schema_id, files, c)).collect(),
        })
    })
    .await
}

/// What the live files say of their columns' values, by schema and position or slot.
struct Values {
    nulls: HashMap<(i32, i64), Nulls>,
    ranges: BTreeMap<&'static str, HashMap<(i32, i64), KnownRange>>,
}

struct Nulls {
    files_known: i64,
    files_without_values: i64,
    nulls: i64,
}

struct KnownRange {
    files_known: i64,
    files_with_nan: i64,
    range: Option<Range>,
}

impl Values {
    async fn read(db: &Transaction<'_>) -> Answer<Self> {
        let ranges = [
            ("int", int_ranges(db).await?),
            ("float", float_ranges(db).await?),
            ("text", text_ranges(db).await?),
        ];
        Ok(Self { nulls: nulls(db).await?, ranges: ranges.into() })
    }

    fn of(&self, schema_id: i32, files: i64, column: Described) -> Column {
        let nulls = column.position.and_then(|p| self.nulls.get(&(schema_id, p)));
        let kind = if column.kind == "bool" { "int" } else { &column.kind };
        let range = column
            .slot
            .zip(self.ranges.get(kind))
            .and_then(|(slot, ranges)| ranges.get(&(schema_id, slot)));
        let with_values = files - nulls.map_or(0, |n| n.files_without_values);
        let bounded = range.map_or(0, |r| r.files_known);
        Column {
            name: column.name,
            arrow_type: column.arrow_type,
            unit: column.unit,
            description: column.description,
            nulls: nulls.filter(|n| n.files_known == files).map(|n| n.nulls),
            range: range.and_then(|r| r.range.clone()),
            files_without_bounds: (with_values - bounded).max(0),
            files_with_nan: range.map_or(0, |r| r.files_with_nan),
        }
    }
}

async fn nulls(db: &Transaction<'_>) -> Answer<HashMap<(i32, i64), Nulls>> {
    let sql = include_str!("../../../../../sql/facts_nulls.sql");
    let rows = rows_of(db, sql, &[], |row| {
        let nulls = Nulls {
            files_known: row.try_get("files_known")?,
            files_without_values: row.try_get("files_without_values")?,
            nulls: row.try_get("nulls")?,
        };
        Ok(((row.try_get("schema_id")?, row.try_get("position")?), nulls))
    });
    Ok(rows.await?.into_iter().collect())
}

type Ranges = HashMap<(i32, i64), KnownRange>;

async fn int_ranges(db: &Transaction<'_>) -> Answer<Ranges> {
    let sql = include_str!("../../../../../sql/facts_range_int.sql");
    ranges(db, sql, |row| {
        let (low, high) = (row.try_get("low")?, row.try_get("high")?);
        Ok(Option::zip(low, high).map(|(low, high)| Range::Int(low, high)))
    })
    .await
}

async fn float_ranges(db: &Transaction<'_>) -> Answer<Ranges> {
    let sql = include_str!("../../../../../sql/facts_range_float.sql");
    ranges(db, sql, |row| {
        let (low, high) = (row.try_get("low")?, row.try_get("high")?);
        Ok(Option::zip(low, high).map(|(low, high)| Range::Float(low, high)))
    })
    .await
}

async fn text_ranges(db: &Transaction<'_>) -> Answer<Ranges> {
    let sql = include_str!("../../../../../sql/facts_range_text.sql");
    ranges(db, sql, |row| {
        let (low, high) = (row.try_get("low")?, row.try_get("high")?);
        Ok(Option::zip(low, high).map(|(low, high)| Range::Text(low, high)))
    })
    .await
}

async fn ranges(
    db: &Transaction<'_>,
    sql: &str,
    range: impl Fn(&Row) -> Answer<Option<Range>>,
) -> Answer<Ranges> {
    let rows = rows_of(db, sql, &[], |row| {
        let known = KnownRange {
            files_known: row.try_get("files_known")?,
            files_with_nan: row.try_get("files_with_nan")?,
            range: range(row)?,
        };
        Ok(((row.try_get("schema_id")?, row.try_get("slot")?), known))
    });
    Ok(rows.await?.into_iter().collect())
}
