//! What a resolution asks the registry: one statement, and where that is not enough, more about the
//! files that it named.

use super::candidates::{Answer, Candidate, CandidateRow};
use super::demands::Demands;
use super::memory::Memory;
use super::named::{Named, Told};
use super::objects::{FILES, Lesson, Listing};
use super::row_groups::RowGroups;
use super::tables::Connection;
use super::template::{Assembled, Template};
use super::{Error, Registry, doing};
use crate::bounds::{Bounds, Value};
use crate::occupancy::Occupied;
use crate::process::map_many;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, SimpleQueryMessage};
use uuid::Uuid;

const PURPOSE: &str = "resolve the question in the registry";

/// Objects that make it worth to look up as many others by another connection, and to open one.
const MANY: usize = 32;
const VERY_MANY: usize = 10_000;

/// Where the files of a lake lie.
#[derive(Debug, Clone)]
pub(crate) struct PlaceRow {
    pub(crate) lake_id: Uuid,
    pub(crate) node: String,
    pub(crate) root: String,
    pub(crate) uri_prefixes: Vec<String>,
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

/// Slots of each kind to fetch, first and last, from 1; `(1, 0)` fetches none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slices {
    pub(crate) position: (i32, i32),
    pub(crate) int: (i32, i32),
    pub(crate) float: (i32, i32),
    pub(crate) text: (i32, i32),
}

/// The fetched bounds of a file.
pub(crate) struct BoundsRow {
    pub(crate) file_id: i64,
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

/// Columns of a schema.
pub(crate) type Columns = Arc<[ColumnRow]>;

impl Registry {
    /// A connection for one resolution, as of now or of a commit.
    pub(crate) async fn resolver(&self, as_of: Option<i64>) -> Result<Resolver, Error> {
        // settings of readers are made for the statement about now
        let reader = Connection::Pooled(self.reader().await?);
        let (client, reader) = match as_of {
            None => (reader, None),
            Some(_) => (Connection::Pooled(self.client().await?), Some(reader)),
        };
        let (more, memory) = (Some(self.clone()), self.memory.clone());
        Ok(Resolver { client, reader, more, memory, as_of })
    }
}

/// A connection on which a resolution runs. Versions of files never change, so what is asked about
/// those of an answer is as of the same commit; of a file that went meanwhile, nothing is known.
pub(crate) struct Resolver {
    pub(super) client: Connection,
    /// Another, for what is asked about now.
    pub(super) reader: Option<Connection>,
    /// Where more connections are, unless all has to be of one snapshot.
    pub(super) more: Option<Registry>,
    pub(super) memory: Arc<Memory>,
    pub(super) as_of: Option<i64>,
}

impl Connection {
    async fn rows(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
        let ask = async {
            let statement = self.prepare_cached(sql).await?;
            self.query(&statement, params).await
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

    async fn told(&self, asked: &Demands, is_cataloged: bool) -> Result<Option<Told>, Error> {
        let Assembled { sql, params } = statement(asked, is_cataloged);
        Ok(self.each(&sql, &params, Told::of).await?.pop())
    }
}

/// The statement by which a question finds files.
fn statement(asked: &Demands, is_cataloged: bool) -> Assembled<'_> {
    static TEMPLATE: LazyLock<Template> =
        LazyLock::new(|| Template::of(include_str!("../../../../sql/resolve_files.sql")));
    TEMPLATE.assemble(&asked.words(is_cataloged), |name| asked.value(name))
}

impl Resolver {
    pub(super) async fn rows(
        &self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        self.client.rows(sql, params).await
    }

    pub(super) async fn each<T>(
        &self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
        read: impl Fn(&Row) -> Result<T, tokio_postgres::Error>,
    ) -> Result<Vec<T>, Error> {
        self.client.each(sql, params, read).await
    }

    /// What is asked about now.
    fn now(&self) -> &Connection {
        self.reader.as_ref().unwrap_or(&self.client)
    }

    async fn number(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<i64, Error> {
        let numbers = self.each(sql, params, |row| row.try_get(0)).await?;
        Ok(numbers.first().copied().unwrap_or_default())
    }

    /// Every lake, as of a moment ago.
    pub(crate) async fn places(&self) -> Result<Arc<[PlaceRow]>, Error> {
        match self.memory.places() {
            Some(places) => Ok(places),
            None => self.places_now().await,
        }
    }

    /// Every lake.
    pub(crate) async fn places_now(&self) -> Result<Arc<[PlaceRow]>, Error> {
        let sql = include_str!("../../../../sql/resolve_places.sql");
        let read = |row: &Row| {
            Ok(PlaceRow {
                lake_id: row.try_get(0)?,
                node: row.try_get(1)?,
                root: row.try_get(2)?,
                uri_prefixes: row.try_get(3)?,
            })
        };
        let places: Arc<[PlaceRow]> = self.each(sql, &[], read).await?.into();
        self.memory.learn_places(places.clone());
        Ok(places)
    }

    /// How many files of a product are live; `None` for more than 100,000.
    pub(crate) async fn product_files(&self, product: &str) -> Result<Option<i64>, Error> {
        let now = include_str!("../../../../sql/resolve_product_files.sql");
        let then = include_str!("../../../../sql/time_product_files.sql");
        let counted = match &self.as_of {
            None => self.number(now, &[&product]).await?,
            Some(commit) => self.number(then, &[&product, commit]).await?,
        };
        Ok((counted <= 100_000).then_some(counted))
    }

    /// Every product that has live files.
    pub(crate) async fn products(&self) -> Result<Vec<String>, Error> {
        let now = include_str!("../../../../sql/resolve_products.sql");
        let then = include_str!("../../../../sql/time_products.sql");
        match &self.as_of {
            None => self.each(now, &[], |row| row.try_get(0)).await,
            Some(commit) => self.each(then, &[commit], |row| row.try_get(0)).await,
        }
    }

    /// Schemas of a product's live files.
    pub(crate) async fn product_schemas(&self, product: &str) -> Result<Vec<i32>, Error> {
        let now = include_str!("../../../../sql/resolve_product_schemas.sql");
        let then = include_str!("../../../../sql/time_product_schemas.sql");
        let Some(commit) = &self.as_of else {
            let ids: Vec<i32> = self.each(now, &[&product], |row| row.try_get(0)).await?;
            self.memory.learn_product(product, ids.clone());
            return Ok(ids);
        };
        self.each(then, &[&product, commit], |row| row.try_get(0)).await
    }

    /// The columns that a product had when somebody last asked; `None` where nobody has.
    pub(crate) fn remembered(&self, product: &str) -> Option<Vec<Columns>> {
        let ids = self.memory.product(product)?;
        ids.into_iter().map(|id| self.memory.schema(id)).collect()
    }

    /// Columns of schemas; those that are known are not asked for.
    pub(crate) async fn schemas(&self, ids: &[i32]) -> Result<Vec<(i32, Columns)>, Error> {
        let known = |id: &i32| Some((*id, self.memory.schema(*id)?));
        let (mut found, mut unknown) = (Vec::with_capacity(ids.len()), Vec::new());
        ids.iter().for_each(|id| match known(id) {
            Some(schema) => found.push(schema),
            None => unknown.push(*id),
        });
        if !unknown.is_empty() {
            let sql = include_str!("../../../../sql/resolve_schemas.sql");
            let read = |row: &Row| {
                let columns: tokio_postgres::types::Json<Vec<ColumnRow>> = row.try_get(1)?;
                Ok((row.try_get(0)?, Columns::from(columns.0)))
            };
            let asked = self.each(sql, &[&unknown], read).await?;
            self.memory.learn_schemas(asked.clone());
            found.extend(asked);
        }
        Ok(found)
    }

    /// Files that may hold matching rows.
    pub(crate) async fn files(&self, asked: &Demands) -> Result<Answer, Error> {
        match self.as_of {
            None => self.files_now(asked).await,
            Some(commit) => self.files_then(asked, commit).await,
        }
    }

    async fn files_now(&self, asked: &Demands) -> Result<Answer, Error> {
        // again only where the registry was made anew between two statements, or the catalog knows all
        // files no longer
        loop {
            let is_cataloged = self.memory.is_cataloged(&asked.product);
            let Some(told) = self.told(asked, is_cataloged).await? else {
                return Ok(Answer::default());
            };
            let named = Named::of(told);
            self.memory.keep_to(named.registry_id);
            if let Some(is_now) = named.is_cataloged {
                self.memory.learn_cataloged(&asked.product, is_now);
                if is_cataloged && !is_now {
                    continue;
                }
            }
            let Some(rows) = self.recall(&named).await? else { continue };
            let cells = asked.cells.as_deref().map(Occupied::of);
            let is_occupied =
                |held: &Occupied| cells.as_ref().is_none_or(|cells| cells.meets(held));
            let is_asked = |file: &CandidateRow| {
                *file.product == *asked.product
                    && file.num_rows != Some(0)
                    && file.occupied.as_ref().is_none_or(is_occupied)
            };
            let rows = map_many(rows, |file| is_asked(&file).then_some(file));
            let files = rows
                .into_iter()
                .zip(named.located)
                .filter_map(|(file, located)| Some(Candidate { file: file?, located, past: None }));
            return Ok(Answer { commit: named.commit, files: files.collect() });
        }
    }

    /// What the registry tells of a question: of many objects no more than that nothing has changed, once all
    /// were learnt.
    async fn told(&self, asked: &Demands, is_cataloged: bool) -> Result<Option<Told>, Error> {
        let objects = asked.objects.as_deref().filter(|_| is_cataloged && asked.files.is_none());
        let objects = objects.unwrap_or_default();
        if objects.len() < MANY {
            return self.now().told(asked, is_cataloged).await;
        }
        if let Some((registry_id, directory)) = self.memory.directory() {
            let told = self.now().told(&asked.of_objects(&[]), true).await?;
            let told = told.filter(|told| told.source() == (registry_id, directory.commit));
            if let Some(told) = told.and_then(|told| told.with_found(&directory, objects)) {
                return Ok(Some(told));
            }
        }
        let told = self.looked_up(asked, objects).await?;
        if let Some(told) = &told {
            self.learn_objects(told).await;
        }
        Ok(told)
    }

    /// Looks many objects up by two connections, for whose halves the server may use a core each. Whoever asks
    /// rarely does not open a second one for few.
    async fn looked_up(&self, asked: &Demands, objects: &[i64]) -> Result<Option<Told>, Error> {
        let (one, other) = objects.split_at(objects.len() / 2);
        let are_many =
            one.len() >= MANY && (self.memory.is_asked_often() || one.len() >= VERY_MANY);
        if let Some(registry) = self.more.as_ref().filter(|_| are_many)
            && let Some(second) = registry.idle_reader().await
        {
            let second = Connection::Pooled(second);
            let [one, other] = [one, other].map(|part| asked.of_objects(part));
            let both = tokio::join!(self.now().told(&one, true), second.told(&other, true));
            // where one is cut, or a commit came in between, all is asked for anew
            if let (Ok(Some(one)), Ok(Some(other))) = both
                && let Some(told) = one.with(other)
            {
                return Ok(Some(told));
            }
        }
        self.now().told(asked, true).await
    }

    /// Learns a part of what makes lists quick that are asked later. Without it they are answered all the same.
    async fn learn_objects(&self, told: &Told) {
        let (registry_id, commit) = told.source();
        let now = self.now();
        match self.memory.next_lesson(registry_id, commit) {
            Some(Lesson::Files) => {
                let sql = include_str!("../../../../sql/resolve_cataloged.sql");
                let read = |row: &Row| {
                    let (commit, files, bytes) =
                        (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
                    Ok((row.try_get(0)?, Listing { commit, files, bytes }))
                };
                if let Ok(Some((id, listing))) =
                    now.each(sql, &[&(FILES + 1)], read).await.map(|mut r| r.pop())
                {
                    self.memory.learn_files(id, listing);
                }
            }
            Some(Lesson::Objects(files)) => {
                let sql = include_str!("../../../../sql/resolve_objects.sql");
                let read = |row: &Row| Ok((row.try_get(0)?, row.try_get::<_, &[u8]>(1)?.into()));
                if let Ok(found) = now.each(sql, &[&files, &registry_id], read).await {
                    self.memory.learn_objects(registry_id, &files, found);
                }
            }
            None => {}
        }
    }

    /// How the server finds the files that may hold matching rows: its plan, whatever the values are.
    pub(crate) async fn plan(&self, asked: &Demands) -> Result<Vec<String>, Error> {
        let Assembled { sql, params } = statement(asked, self.memory.is_cataloged(&asked.product));
        let nulls = vec!["NULL"; params.len()].join(", ");
        let explain = format!(
            "PREPARE planned AS {sql}; EXPLAIN (COSTS OFF) EXECUTE planned ({nulls}); DEALLOCATE planned"
        );
        let told = self.now().simple_query(&explain).await.map_err(doing(PURPOSE))?;
        let line = |message: SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        };
        Ok(told.into_iter().filter_map(line).collect())
    }

    /// What is known of the files, in their order; `None` if they are of a registry that was.
    async fn recall(&self, named: &Named) -> Result<Option<Vec<Arc<CandidateRow>>>, Error> {
        let mut rows = self.memory.files(&named.ids, named.commit);
        let unknown: Vec<i64> = named
            .ids
            .iter()
            .zip(&rows)
            .filter_map(|(id, row)| row.is_none().then_some(*id))
            .collect();
        if !unknown.is_empty() {
            let sql = include_str!("../../../../sql/resolve_rows.sql");
            let read = |row: &Row| CandidateRow::of(row, &self.memory, named.commit).map(Arc::new);
            let around = self.memory.around(&unknown);
            let params: [&(dyn ToSql + Sync); 3] = [&unknown, &named.registry_id, &around];
            let found = self.now().each(sql, &params, read).await?;
            self.memory.learn(named.registry_id, found.iter().cloned());
            let mut found: HashMap<i64, Arc<CandidateRow>> =
                found.into_iter().map(|row| (row.file_id, row)).collect();
            for (id, row) in named.ids.iter().zip(&mut rows).filter(|(_, row)| row.is_none()) {
                *row = found.remove(id);
            }
        }
        Ok(rows.into_iter().collect())
    }

    /// A live file of each schema of a product; none where some schema has none any more.
    pub(crate) async fn patterns(&self, product: &str) -> Result<Vec<Candidate>, Error> {
        let schemas = self.product_schemas(product).await?;
        let sql = include_str!("../../../../sql/resolve_patterns.sql");
        let read = |row: &Row| Ok((row.try_get(0)?, row.try_get(1)?));
        let found: Vec<(Uuid, i64)> = self.each(sql, &[&product, &schemas], read).await?;
        let Some((registry_id, _)) = found.first().filter(|_| found.len() == schemas.len()) else {
            return Ok(Vec::new());
        };
        let named = Named::without_rows(*registry_id, found.iter().map(|(_, id)| *id).collect());
        self.memory.keep_to(*registry_id);
        let rows = self.recall(&named).await?.unwrap_or_default();
        let pattern = |file| Candidate { file, located: None, past: None };
        Ok(rows.into_iter().map(pattern).collect())
    }

    async fn files_then(&self, asked: &Demands, commit: i64) -> Result<Answer, Error> {
        static TEMPLATE: LazyLock<Template> =
            LazyLock::new(|| Template::of(include_str!("../../../../sql/time_files.sql")));
        let Assembled { sql, params } = TEMPLATE.assemble(&asked.words(false), |name| match name {
            "commit" => self.as_of.as_ref().map(|commit| commit as _),
            _ => asked.value(name),
        });
        let read = |row: &Row| Candidate::of(row, &self.memory, commit);
        let latest = include_str!("../../../../sql/latest_commit.sql");
        loop {
            let mut now = self.files_now(asked).await?;
            // What is asked last knows of all that ended meanwhile, and what did not end was there
            // before: so commits may come in between. Again where a server that lags behind answers.
            let latest = self.number(latest, &[]).await?;
            if latest < now.commit {
                continue;
            }
            let changed = self.each(&sql, &params, read).await?;
            // what is remembered of a file may be from before it left the catalog
            let known: HashSet<i64> = changed.iter().map(|c| c.file.file_id).collect();
            let is_of_then =
                |f: &CandidateRow| f.as_is_since <= commit && !known.contains(&f.file_id);
            now.files.retain(|candidate| is_of_then(&candidate.file));
            now.files.extend(changed);
            return Ok(Answer { commit, ..now });
        }
    }

    /// Bounds of whole files of one schema.
    pub(crate) async fn file_bounds(
        &self,
        files: &[i64],
        slices: &Slices,
    ) -> Result<Vec<BoundsRow>, Error> {
        let now = include_str!("../../../../sql/resolve_file_bounds.sql");
        let then = include_str!("../../../../sql/time_file_bounds.sql");
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
                num_rows: row.try_get(1)?,
                nulls: row.try_get(2)?,
                int: (row.try_get(3)?, row.try_get(4)?),
                float: (row.try_get(5)?, row.try_get(6)?, row.try_get(7)?),
                text: (row.try_get(8)?, row.try_get(9)?, row.try_get(10)?),
            })
        };
        self.each(if self.as_of.is_none() { now } else { then }, &params, read).await
    }

    /// Row groups of the files of one schema that have several and of which they are known, with the
    /// bounds of some columns.
    pub(crate) async fn row_groups<'c>(
        &self,
        files: &[i64],
        columns: impl Iterator<Item = &'c ColumnRow> + Clone,
    ) -> Result<Vec<(i64, RowGroups)>, Error> {
        let now = include_str!("../../../../sql/resolve_row_groups.sql");
        let then = include_str!("../../../../sql/time_row_groups.sql");
        let positions: Vec<Option<i32>> = columns.clone().map(|column| column.position).collect();
        let read = |row: &Row| {
            let rows: &[u8] = row.try_get(2)?;
            let blocks: Vec<Option<&[u8]>> = row.try_get(3)?;
            let blocks = blocks.into_iter().zip(columns.clone().map(|column| column.kind));
            Ok((row.try_get(0)?, RowGroups::unpack(rows, blocks, row.try_get(1)?)))
        };
        let sql = if self.as_of.is_none() { now } else { then };
        self.each(sql, &[&files, &positions], read).await
    }

    /// Objects of the files that have the demanded class, quality and redshift.
    pub(crate) async fn estimate(
        &self,
        files: &[i64],
        spectypes: Option<&[String]>,
        zwarn_zero: Option<bool>,
        z: (Option<f64>, Option<f64>),
    ) -> Result<f64, Error> {
        let sql = include_str!("../../../../sql/resolve_estimate.sql");
        let params: [&(dyn ToSql + Sync); 5] = [&files, &spectypes, &zwarn_zero, &z.0, &z.1];
        let sums = self.each(sql, &params, |row| row.try_get(0)).await?;
        Ok(sums.first().copied().unwrap_or_default())
    }
}
