//! A place of its own for every test: a temporary folder with a lake, a database, and the built
//! program to run there.
//!
//! The database is one of the server that `BIFROST_TEST_DATABASE_URL` names; without that
//! variable it is the lake's own private server, as a user would have it.

use serde_json::Value;
use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// The program under test.
pub const BIFROST: &str = env!("CARGO_BIN_EXE_bifrost");

/// A temporary folder with a lake and, unless it is private, a database of its own.
pub struct Place {
    folder: tempfile::TempDir,
    database: Option<Database>,
}

impl Place {
    /// A lake whose registry is a fresh database.
    pub fn new() -> Self {
        let mut place = Self::private();
        place.database = Database::create();
        place
    }

    /// A lake whose registry is its own private server.
    pub fn private() -> Self {
        let folder = tempfile::Builder::new().prefix("bifrost-").tempdir().expect("a folder");
        // the server's user, who is not root, must get in
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("open it");
        Self { folder, database: None }
    }

    /// A path in the temporary folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The lake's folder; commands make it.
    pub fn lake(&self) -> PathBuf {
        self.path("lake")
    }

    /// Runs the program to its end.
    pub fn bifrost<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> Ended {
        Ended::from(self.command(args).output().expect("the program runs"))
    }

    /// Runs the program, which must end with exit code 0, and parses the JSON it printed.
    pub fn json<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> Value {
        let mut command = self.command(args);
        Ended::from(command.arg("--json").output().expect("the program runs")).expect(0).json()
    }

    /// Starts the program and leaves it running: to be killed, or waited for.
    pub fn start<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> Child {
        let mut command = self.command(args);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
    }

    /// The program, set to this place and to nothing else of the environment.
    pub fn command<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> Command {
        let mut command = clean(Command::new(BIFROST));
        command.args(args).current_dir(self.folder.path()).env("BIFROST_LAKE", self.lake());
        command.env("HOME", self.folder.path()).env("XDG_STATE_HOME", self.path("state"));
        if let Some(database) = &self.database {
            command.env("BIFROST_DATABASE_URL", &database.url);
        }
        command
    }

    /// Where the registry is; starts the private server if that is the one.
    pub fn database_url(&self) -> String {
        if let Some(database) = &self.database {
            return database.url.clone();
        }
        self.bifrost(["db", "up"]).expect(0);
        self.json(["db", "status"])["url"].as_str().expect("a URL").to_owned()
    }

    /// What a query says: columns separated by `|`, rows by newlines.
    pub fn sql(&self, query: &str) -> String {
        let ended = self.bifrost(["db", "psql", "-AtXq", "-v", "ON_ERROR_STOP=1", "-c", query]);
        ended.expect(0).stdout.trim_end().to_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.database.is_none() && self.lake().join(".bifrost").exists() {
            let down = self.bifrost(["db", "down"]);
            if down.code != 0 && !std::thread::panicking() {
                panic!("the private server did not stop: {}", down.stderr);
            }
        }
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// The same, if the exit code is the expected one.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// What was printed, which must be JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("{e} in {}\nstderr: {}", self.stdout, self.stderr))
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is text");
        Self {
            // a shell's way to count a death by signal
            code: output.status.code().unwrap_or(128),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

/// A command without any setting of ours from the environment.
pub fn clean(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("BIFROST_") {
            command.env_remove(name);
        }
    }
    command
}

/// The repository that is tested.
pub fn repository() -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().and_then(Path::parent);
    crates.expect("crates/cli lies two folders deep").to_owned()
}

/// Real data that is not part of the repository: `BIFROST_SHARED`, else `shared` beside it.
/// Says so where it is absent; `left_out` names the checks that then do not run.
pub fn shared(left_out: &str) -> Option<PathBuf> {
    let named = std::env::var_os("BIFROST_SHARED").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| repository().join("../shared"));
    let present = folder.join("fixtures").is_dir();
    if !present {
        leave_out(&format!("{} is absent; left out: {left_out}", folder.display()));
    }
    present.then_some(folder)
}

/// How often to try: `short` as a rule, `long` in a soak (`BIFROST_SOAK`, see ops/soak).
pub fn trials(short: usize, long: usize) -> usize {
    if std::env::var_os("BIFROST_SOAK").is_some() { long } else { short }
}

/// Says which checks this machine does not allow.
#[expect(clippy::print_stderr, reason = "the test runner shows it")]
pub fn leave_out(why: &str) {
    eprintln!("{why}");
}

/// A database that is dropped with its test.
struct Database {
    server: String,
    name: String,
    url: String,
}

impl Database {
    fn create() -> Option<Self> {
        let server = std::env::var("BIFROST_TEST_DATABASE_URL").ok()?;
        let name = format!("bifrost_test_{}", uuid::Uuid::new_v4().simple());
        psql(&server, &format!("CREATE DATABASE {name} TEMPLATE template0"));
        let url = with_database(&server, &name);
        Some(Self { server, name, url })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        psql(&self.server, &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

fn psql(url: &str, statement: &str) {
    let mut psql = Command::new("psql");
    psql.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", statement]);
    let ended = Ended::from(psql.output().expect("psql is installed"));
    assert_eq!(ended.code, 0, "{statement}: {}", ended.stderr);
}

/// `postgresql://HOST/DATABASE?…` with another database.
fn with_database(url: &str, name: &str) -> String {
    let (server, options) = url.split_once('?').unwrap_or((url, ""));
    let scheme = server.find("://").map_or(0, |at| at + 3);
    let end = server[scheme..].find('/').map_or(server.len(), |at| scheme + at);
    format!("{}/{name}?{options}", &server[..end])
}

#[test]
fn a_url_takes_another_database() {
    let cases = [
        ("postgresql:///a?host=/s/t&user=u", "postgresql:///b?host=/s/t&user=u"),
        ("postgresql://u:p@host:5433/a", "postgresql://u:p@host:5433/b?"),
        ("postgresql://host", "postgresql://host/b?"),
    ];
    for (url, expected) in cases {
        assert_eq!(with_database(url, "b"), expected);
    }
}
