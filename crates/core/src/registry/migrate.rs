//! Brings the registry's tables up to date, by whichever node comes first.
//!
//! Migrations only add, and are never edited once they have landed.

use super::{Error, Registry, doing};
use refinery::{Migration, Runner};
use tokio_postgres::error::SqlState;

/// The schema version that this program works with.
pub const LATEST: i32 = MIGRATIONS.len() as i32;

/// Every migration in order: the version is the position, from 1.
const MIGRATIONS: [(&str, &str); 28] = [
    ("V1__registry", include_str!("../../../../migrations/V1__registry.sql")),
    ("V2__views", include_str!("../../../../migrations/V2__views.sql")),
    ("V3__archive", include_str!("../../../../migrations/V3__archive.sql")),
    ("V4__campaign", include_str!("../../../../migrations/V4__campaign.sql")),
    ("V5__stages", include_str!("../../../../migrations/V5__stages.sql")),
    ("V6__occupancy", include_str!("../../../../migrations/V6__occupancy.sql")),
    ("V7__hats", include_str!("../../../../migrations/V7__hats.sql")),
    ("V8__life", include_str!("../../../../migrations/V8__life.sql")),
    ("V9__time", include_str!("../../../../migrations/V9__time.sql")),
    ("V10__questions", include_str!("../../../../migrations/V10__questions.sql")),
    ("V11__tables", include_str!("../../../../migrations/V11__tables.sql")),
    ("V12__bricks", include_str!("../../../../migrations/V12__bricks.sql")),
    ("V13__store", include_str!("../../../../migrations/V13__store.sql")),
    ("V14__groups", include_str!("../../../../migrations/V14__groups.sql")),
    ("V15__parts", include_str!("../../../../migrations/V15__parts.sql")),
    ("V16__store_intents", include_str!("../../../../migrations/V16__store_intents.sql")),
    ("V17__pixels", include_str!("../../../../migrations/V17__pixels.sql")),
    ("V18__releases", include_str!("../../../../migrations/V18__releases.sql")),
    ("V19__then", include_str!("../../../../migrations/V19__then.sql")),
    ("V20__one_release", include_str!("../../../../migrations/V20__one_release.sql")),
    ("V21__odd_numbers", include_str!("../../../../migrations/V21__odd_numbers.sql")),
    ("V22__files_on_sky", include_str!("../../../../migrations/V22__files_on_sky.sql")),
    ("V23__fewer_indexes", include_str!("../../../../migrations/V23__fewer_indexes.sql")),
    ("V24__any_class", include_str!("../../../../migrations/V24__any_class.sql")),
    ("V25__pins", include_str!("../../../../migrations/V25__pins.sql")),
    ("V26__row_groups", include_str!("../../../../migrations/V26__row_groups.sql")),
    ("V27__slips", include_str!("../../../../migrations/V27__slips.sql")),
    ("V28__objects", include_str!("../../../../migrations/V28__objects.sql")),
];

impl Registry {
    /// Makes the tables, or brings them to [`LATEST`]; says which version it found before.
    ///
    /// Any number of nodes may call it at once: a lock in the database lets one of them work
    /// while the others wait and then find nothing left to do. Each migration is one transaction.
    ///
    /// # Errors
    /// [`Error::SchemaTooNew`], [`Error::SchemaTooOld`] where the role may not, [`Error::Migration`],
    /// [`Error::Unreachable`].
    pub async fn migrate(&self) -> Result<Option<i32>, Error> {
        match self.schema_version().await? {
            Some(version) if version == LATEST => return Ok(Some(version)),
            Some(found) if found > LATEST => return Err(Error::SchemaTooNew { found }),
            _ => {}
        }
        // outside the pool: dropped in the middle, the connection closes and gives back the lock
        let mut client = deadpool_postgres::Client::take(self.client().await?);
        let lock = include_str!("../../../../sql/migration_lock.sql");
        client.query_one(lock, &[]).await.map_err(doing("wait for another node's migration"))?;
        let found = self.schema_version().await?;
        let migrated = runner()?.run_async(&mut *client).await;
        migrated.map_err(|error| match of_server(&error).and_then(|cause| cause.code()) {
            Some(&SqlState::INSUFFICIENT_PRIVILEGE) => Error::SchemaTooOld { found },
            _ => Error::Migration(explained(&error)),
        })?;
        Ok(found)
    }

    /// Makes sure that the tables are those this program knows, without touching them.
    ///
    /// # Errors
    /// [`Error::SchemaTooNew`], [`Error::SchemaTooOld`], [`Error::Unreachable`].
    pub async fn check_schema(&self) -> Result<(), Error> {
        match self.schema_version().await? {
            Some(version) if version == LATEST => Ok(()),
            Some(found) if found > LATEST => Err(Error::SchemaTooNew { found }),
            found => Err(Error::SchemaTooOld { found }),
        }
    }

    /// The version of the tables; none where they were never made.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn schema_version(&self) -> Result<Option<i32>, Error> {
        let client = self.client().await?;
        let ask = doing("ask for the schema's version");
        let exists = include_str!("../../../../sql/schema_history_exists.sql");
        let version = include_str!("../../../../sql/schema_version.sql");
        let answer = async {
            if client.query_one(exists, &[]).await?.try_get(0)? {
                client.query_one(version, &[]).await?.try_get(0)
            } else {
                Ok(None)
            }
        };
        answer.await.map_err(ask)
    }
}

fn runner() -> Result<Runner, Error> {
    let migrations = MIGRATIONS.iter().map(|(name, sql)| Migration::unapplied(name, sql));
    let migrations: Vec<_> =
        migrations.collect::<Result<_, _>>().map_err(|e| Error::Migration(e.to_string()))?;
    Ok(Runner::new(&migrations))
}

fn of_server(error: &refinery::Error) -> Option<&tokio_postgres::Error> {
    std::error::Error::source(error)?.downcast_ref()
}

/// Refinery's words, with what the server said.
fn explained(error: &refinery::Error) -> String {
    match of_server(error) {
        Some(cause) => super::reason(cause),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_positions() {
        for (index, migration) in runner().expect("good names").get_migrations().iter().enumerate()
        {
            assert_eq!(i64::from(migration.version()), index as i64 + 1, "{migration}");
        }
    }
}
