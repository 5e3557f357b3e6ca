//! The way in for programs: a lake's registry, opened to ask and to read.
//!
//! ```no_run
//! # use bifrost_core::{predicate::Predicate, read::Options, resolution::{Detail, Query}, session::*};
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let lake = Session::open(&At { lake: Some("/data/lake".into()), ..At::default() }).await?;
//! let query = Query { predicate: Some(Predicate::parse("z > 2.5 AND zwarn = 0")?), ..Query::default() };
//! let answer = lake.resolve(&query, Detail::Files).await?;
//! let columns = Some(vec!["target_id".into(), "flux".into()]);
//! for batch in lake.read(&answer, &query, &Options { columns, ..Options::default() }).await? {
//!     println!("{} rows", batch?.num_rows());
//! }
//! # Ok(()) }
//! ```

use crate::blocking::run_blocking;
use crate::cluster::{self, Cluster, Surroundings};
use crate::layout::{self, Lake};
use crate::patience::{OF_A_COMMAND, patiently};
use crate::predicate::{Predicate, column};
use crate::read::{self, Options, Reading};
use crate::registry::{self, Registry};
use crate::resolution::{self, Detail, Query, Resolution};
use crate::{predicate, snapshot};
use std::path::PathBuf;

/// Where to look: a lake, a database, or both.
#[derive(Debug, Clone, Default)]
pub struct At {
    /// The lake's folder. Without a database, its private Postgres is asked, and started if need be.
    pub lake: Option<PathBuf>,
    /// The database that holds the registry.
    pub database_url: Option<String>,
    /// Folder of Postgres' programs, for a private one.
    pub postgres_bin: Option<PathBuf>,
}

/// An open registry. Cheap to clone; clones share connections and what they remember.
#[derive(Debug, Clone)]
pub struct Session {
    registry: Registry,
}

/// Why it cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither lake nor database was named.
    #[error("which lake? name its folder, a database URL, or both")]
    Nowhere,
    /// Something was named by nothing.
    #[error("the {0} is empty: give one, or leave it out")]
    Empty(&'static str),
    /// The lake cannot be opened.
    #[error(transparent)]
    Lake(#[from] layout::Error),
    /// The lake's private Postgres cannot be had.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// The question cannot be resolved.
    #[error(transparent)]
    Resolution(#[from] resolution::Error),
    /// Rows cannot be read.
    #[error(transparent)]
    Read(#[from] read::Error),
    /// A snapshot cannot be saved, read or replayed.
    #[error(transparent)]
    Snapshot(#[from] snapshot::Error),
}

impl Error {
    /// Whether the question, not a registry, a disk or a file, is at fault.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Nowhere | Self::Empty(_) => true,
            Self::Lake(error) => error.is_usage(),
            Self::Cluster(_) => false,
            Self::Registry(error) => error.is_usage(),
            Self::Resolution(error) => error.is_usage(),
            Self::Read(error) => error.is_usage(),
            Self::Snapshot(error) => error.is_usage(),
        }
    }
}

impl From<Registry> for Session {
    fn from(registry: Registry) -> Self {
        Self { registry }
    }
}

impl Session {
    /// Opens a registry to read from it: one that is shared is left as it is.
    ///
    /// # Errors
    /// [`Error`] where there is no lake, no server or no registry of this program's schema.
    pub async fn open(at: &At) -> Result<Self, Error> {
        if at.database_url.as_deref() == Some("") {
            return Err(Error::Empty("database URL"));
        } else if at.lake.as_deref().is_some_and(|lake| lake.as_os_str().is_empty()) {
            return Err(Error::Empty("lake's folder"));
        }
        let lake = at.lake.as_deref().map(Lake::open).transpose()?;
        let registry = match (&at.database_url, lake) {
            (Some(url), _) => {
                let registry = Registry::connect(url).await?;
                patiently(OF_A_COMMAND, || registry.check_schema()).await?;
                registry
            }
            (None, Some(lake)) => {
                let mut around = Surroundings::of_this_process();
                around.programs = at.postgres_bin.clone();
                let (cluster, _) = run_blocking(move || Cluster::up(&lake, &around)).await?;
                let registry = Registry::connect(&cluster.url()).await?;
                patiently(OF_A_COMMAND, || registry.migrate()).await?;
                registry
            }
            (None, None) => return Err(Error::Nowhere),
        };
        Ok(Self { registry })
    }

    /// The registry.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Which files and row groups may hold what is asked for.
    ///
    /// # Errors
    /// [`Error::Resolution`]; an answer without files is no error.
    pub async fn resolve(&self, query: &Query, detail: Detail) -> Result<Resolution, Error> {
        let ask = || resolution::resolve(&self.registry, query, detail);
        Ok(patiently(OF_A_COMMAND, ask).await?)
    }

    /// The rows of an answer, as they come. Columns that only other products of the tiles have are
    /// looked for there, as of the answer's commit.
    ///
    /// # Errors
    /// [`Error`] for whatever can be told before a row is read.
    pub async fn read(
        &self,
        answer: &Resolution,
        query: &Query,
        options: &Options,
    ) -> Result<Reading, Error> {
        let (recipe, portions) = self.recipe(answer, query, options.columns.as_deref()).await?;
        Ok(recipe.read(portions, options))
    }

    /// Which columns have NULL in rows of an answer, or may have, as far as the registry knows.
    ///
    /// # Errors
    /// [`Error::Resolution`].
    pub async fn nullable(
        &self,
        answer: &Resolution,
        query: &Query,
        columns: Vec<String>,
    ) -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        for name in columns.into_iter().filter(|name| query.may_be_null(name)) {
            let is_null = Predicate::IsNull(column::fold(&name));
            let predicate = match query.predicate.clone() {
                Some(asked) => asked.and(is_null),
                None => is_null,
            };
            let (predicate, as_of) = (Some(predicate), Some(answer.commit));
            let query = Query { predicate, as_of, ..query.clone() };
            if !self.resolve(&query, Detail::Files).await?.files.is_empty() {
                found.push(name);
            }
        }
        Ok(found)
    }

    /// The same as a recipe and portions, which other processes can read.
    ///
    /// # Errors
    /// As [`Session::read`].
    pub async fn recipe(
        &self,
        answer: &Resolution,
        query: &Query,
        columns: Option<&[String]>,
    ) -> Result<(read::Recipe, Vec<read::Portion>), Error> {
        use predicate::Error::UnknownColumn;
        use read::Error::Predicate;
        match (read::Recipe::of(answer, query, columns), columns) {
            (Err(Predicate(UnknownColumn { .. })), Some(columns)) => {
                let columns = Some(columns.to_vec());
                let query =
                    Query { columns: columns.clone(), as_of: Some(answer.commit), ..query.clone() };
                let answer = self.resolve(&query, Detail::Files).await?;
                Ok(read::Recipe::of(&answer, &query, columns.as_deref())?)
            }
            (found, _) => Ok(found?),
        }
    }
}
