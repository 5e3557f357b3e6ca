//! A pool of connections to the registry's database.

use super::memory::Memory;
use super::{Error, doing};
use crate::patience::{OF_A_COMMAND, patiently};
use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod,
    Runtime, Timeouts,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_postgres::NoTls;
use tokio_postgres::config::{Config, Host, SslMode, TargetSessionAttrs};

const OLDEST_SERVER: i32 = 14;
const CONNECTIONS: usize = 8;
const READERS: usize = 4;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(60);
const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

/// The registry of an installation. Cheap to clone: clones share their connections.
#[derive(Clone, Debug)]
pub struct Registry {
    pool: Pool,
    readers: Pool,
    place: String,
    /// What resolutions found out and need not ask again.
    pub(crate) memory: Arc<Memory>,
    /// A connection that had a lake's turn and is free.
    pub(super) parked: Arc<Mutex<Option<ClientWrapper>>>,
}

impl Registry {
    /// Connects to the database, over TCP or a Unix socket, and looks at the server's version.
    ///
    /// Neither looks at the schema nor changes it: see [`Registry::migrate`] and
    /// [`Registry::check_schema`].
    ///
    /// # Errors
    /// [`Error::Url`], [`Error::Unreachable`], [`Error::ServerTooOld`].
    pub async fn connect(url: &str) -> Result<Self, Error> {
        let config = configured(url)?;
        let place = place(&config);
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let memory = Arc::new(Memory::default());
        let pool = |size, settings, memory| {
            Pool::builder(Manager::from_config(config.clone(), NoTls, manager.clone()))
                .max_size(size)
                .wait_timeout(Some(WAIT_TIMEOUT))
                .post_create(settle(settings, memory))
                .runtime(Runtime::Tokio1)
                .build()
                .map_err(|e| Error::Url(e.to_string()))
        };
        let all = include_str!("../../../../sql/session_settings.sql");
        let resolving = include_str!("../../../../sql/resolve_settings.sql");
        let registry = Self {
            pool: pool(CONNECTIONS, vec![all], None)?,
            readers: pool(READERS, vec![all, resolving], Some(memory.clone()))?,
            place,
            parked: Arc::default(),
            memory,
        };
        // where several are named, one is expected to take over
        let patience = if config.get_hosts().len() > 1 { OF_A_COMMAND } else { Duration::ZERO };
        match patiently(patience, || registry.server_major()).await? {
            found if found < OLDEST_SERVER => {
                Err(Error::ServerTooOld { place: registry.place, found })
            }
            _ => Ok(registry),
        }
    }

    /// Where the database is: host or socket folder, and name; no password.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// A connection of the pool; it goes back when dropped.
    pub(crate) async fn client(&self) -> Result<deadpool_postgres::Client, Error> {
        self.connection(&self.pool).await
    }

    /// The same, for resolutions.
    pub(super) async fn reader(&self) -> Result<deadpool_postgres::Client, Error> {
        self.connection(&self.readers).await
    }

    /// One more of the latter, if there is one that nobody needs: it is not waited for.
    pub(super) async fn idle_reader(&self) -> Option<deadpool_postgres::Client> {
        let wait = Some(Duration::ZERO);
        self.readers.timeout_get(&Timeouts { wait, ..self.readers.timeouts() }).await.ok()
    }

    async fn connection(&self, pool: &Pool) -> Result<deadpool_postgres::Client, Error> {
        pool.get().await.map_err(|e| match e {
            PoolError::Backend(source) | PoolError::PostCreateHook(HookError::Backend(source)) => {
                Error::Unreachable { place: self.place.clone(), source }
            }
            // the pool is never closed, has a runtime, and no other hook: what is left is waiting
            _ => Error::Busy { place: self.place.clone(), waited_s: WAIT_TIMEOUT.as_secs() },
        })
    }

    /// Major version of the server.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn server_major(&self) -> Result<i32, Error> {
        let sql = include_str!("../../../../sql/server_version.sql");
        let row = self.client().await?.query_one(sql, &[]).await;
        let number: i32 =
            row.and_then(|row| row.try_get(0)).map_err(doing("ask for the server's version"))?;
        Ok(number / 10_000)
    }

    /// Goes to the server and back, by a connection of those that resolve.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn ping(&self) -> Result<(), Error> {
        let client = self.reader().await?;
        let done = async {
            let statement = client.prepare_cached(include_str!("../../../../sql/ping.sql")).await?;
            client.query_one(&statement, &[]).await
        };
        done.await.map(drop).map_err(doing("reach the server"))
    }

    /// Size of the database on disk, in bytes.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Statement`].
    pub async fn size_bytes(&self) -> Result<i64, Error> {
        let sql = include_str!("../../../../sql/database_size.sql");
        let row = self.client().await?.query_one(sql, &[]).await;
        row.and_then(|row| row.try_get(0)).map_err(doing("ask for the database's size"))
    }
}

/// The variables that make `psql` connect where `url` says, without showing a password in the
/// list of processes.
///
/// # Errors
/// [`Error::Url`].
pub fn psql_variables(url: &str) -> Result<Vec<(&'static str, String)>, Error> {
    let config = configured(url)?;
    let list = |items: Vec<String>| (!items.is_empty()).then(|| items.join(","));
    let hosts = config.get_hosts().iter().map(host_name).collect();
    let ports = config.get_ports().iter().map(u16::to_string).collect();
    let password = config.get_password().map(|p| String::from_utf8_lossy(p).into_owned());
    let ssl = match config.get_ssl_mode() {
        SslMode::Disable => Some("disable".to_owned()),
        SslMode::Require => Some("require".to_owned()),
        _ => None,
    };
    let session = match config.get_target_session_attrs() {
        TargetSessionAttrs::ReadWrite => Some("read-write".to_owned()),
        TargetSessionAttrs::ReadOnly => Some("read-only".to_owned()),
        _ => None,
    };
    let variables = [
        ("PGHOST", list(hosts)),
        ("PGPORT", list(ports)),
        ("PGUSER", config.get_user().map(str::to_owned)),
        ("PGPASSWORD", password),
        ("PGDATABASE", config.get_dbname().map(str::to_owned)),
        ("PGSSLMODE", ssl),
        ("PGTARGETSESSIONATTRS", session),
    ];
    Ok(variables.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
}

/// Sets up each new connection; one that resolves may reach another server than those before it.
fn settle(settings: Vec<&'static str>, memory: Option<Arc<Memory>>) -> Hook {
    Hook::async_fn(move |client: &mut ClientWrapper, _| {
        let settings = settings.clone();
        memory.as_ref().inspect(|memory| memory.forget());
        Box::pin(async move {
            for sql in settings {
                client.query_one(sql, &[]).await.map_err(HookError::Backend)?;
            }
            Ok(())
        })
    })
}

fn configured(url: &str) -> Result<Config, Error> {
    let mut config: Config = url.parse().map_err(|e| Error::Url(super::reason(&e)))?;
    if config.get_application_name().is_none() {
        config.application_name("bifrost");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    // a network that swallows everything is noticed within minutes, not hours
    config.keepalives_idle(SILENCE).keepalives_interval(SILENCE / 4).keepalives_retries(4);
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SILENCE);
    }
    Ok(config)
}

fn place(config: &Config) -> String {
    let hosts: Vec<_> = config.get_hosts().iter().map(host_name).collect();
    let database = config.get_dbname().or(config.get_user()).unwrap_or("the default database");
    format!("{} (database {database})", hosts.join(", "))
}

fn host_name(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(folder) => folder.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn psql_is_told_everything_but_by_its_variables() {
        let url = "postgresql://ada:s%20cret@db.example:5433/sky?sslmode=require";
        let variables = psql_variables(url).expect("a good URL");
        let get = |name| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str());
        assert_eq!(get("PGHOST"), Some("db.example"));
        assert_eq!(get("PGPORT"), Some("5433"));
        assert_eq!(get("PGUSER"), Some("ada"));
        assert_eq!(get("PGPASSWORD"), Some("s cret"));
        assert_eq!(get("PGDATABASE"), Some("sky"));
        assert_eq!(get("PGSSLMODE"), Some("require"));
    }

    #[test]
    fn a_place_names_no_password() {
        let config = configured("postgresql:///sky?host=%2Frun%2Fa%20b&password=secret");
        assert_eq!(place(&config.expect("a good URL")), "/run/a b (database sky)");
        assert!(matches!(configured("mysql://x"), Err(Error::Url(_))));
    }
}
