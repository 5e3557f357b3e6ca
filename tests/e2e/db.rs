//! The private Postgres: made, found again, killed, crowded, homeless.

use crate::support::{Ended, Place, clean, trials};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

#[test]
fn it_comes_up_stays_up_and_goes_down() {
    let place = Place::private();
    place.bifrost(["db", "up"]).expect(0);
    let first = place.json(["db", "status"]);
    assert_eq!(first["running"], true);
    assert_eq!(first["schema"], serde_json::Value::Null, "`up` makes no tables");
    place.bifrost(["db", "up"]).expect(0);
    assert_eq!(place.json(["db", "status"])["pid"], first["pid"], "`up` leaves it alone");
    place.bifrost(["db", "migrate"]).expect(0);
    let migrated = place.json(["db", "status"]);
    assert_eq!(migrated["schema"], migrated["schema_known"]);
    assert_eq!(place.sql("SHOW listen_addresses"), "", "only the socket");
    assert_eq!(place.sql("SELECT 6 * 7"), "42");
    place.bifrost(["db", "down"]).expect(0);
    place.bifrost(["db", "down"]).expect(0);
    let down = place.bifrost(["db", "status", "--json"]).expect(4).json();
    assert_eq!(down["running"], false);
}

#[test]
fn commands_start_it_when_it_is_not_up() {
    let place = Place::private();
    place.bifrost(["db", "up"]).expect(0);
    place.bifrost(["db", "down"]).expect(0);
    place.bifrost(["db", "migrate"]).expect(0);
    assert_eq!(place.json(["db", "status"])["running"], true);
}

#[test]
fn it_comes_back_after_a_kill() {
    let place = Place::private();
    place.bifrost(["db", "up"]).expect(0);
    place.sql("CREATE TABLE kept AS SELECT 1 AS one");
    kill(&pid(&place));
    let dead = place.bifrost(["db", "status", "--json"]).expect(4).json();
    assert_eq!(dead["running"], false);
    place.bifrost(["db", "up"]).expect(0);
    assert_eq!(place.sql("SELECT one FROM kept"), "1");
}

#[test]
fn workers_that_outlive_the_server_do_not_hold_it_up() {
    let place = Place::private();
    place.bifrost(["db", "up"]).expect(0);
    let mut busy = place.start(["db", "psql", "-c", "DO 'BEGIN LOOP END LOOP; END'"]);
    while place.sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO %'") == "0" {
        std::thread::sleep(Duration::from_millis(20));
    }
    kill(&pid(&place));
    place.bifrost(["db", "up"]).expect(0);
    assert_eq!(place.sql("SELECT 6 * 7"), "42");
    assert!(!busy.wait().expect("it ends").success());
}

#[test]
fn a_kill_in_the_middle_of_making_it_does_no_harm() {
    let place = Place::private();
    let kills = trials(4, 40);
    for kill in 1..=kills {
        let mut up = place.start(["db", "up"]);
        // spread over the second or so that making it takes
        std::thread::sleep(Duration::from_secs(1) * kill as u32 / kills as u32);
        up.kill().expect("it is ours");
        up.wait().expect("it ends");
    }
    place.bifrost(["db", "up"]).expect(0);
    assert_eq!(place.sql("SELECT 6 * 7"), "42");
}

#[test]
fn a_stale_pid_file_is_no_obstacle() {
    let place = Place::private();
    place.bifrost(["db", "up"]).expect(0);
    let data = place.lake().join(".bifrost/postgres/data");
    let pid_file = data.join("postmaster.pid");
    let stale = std::fs::read_to_string(&pid_file).expect("a running server's pid file");
    place.bifrost(["db", "down"]).expect(0);
    let mut sleeper = Command::new("sleep").arg("600").spawn().expect("a process");
    let (_, rest) = stale.split_once('\n').expect("many lines");
    // the number belongs to somebody who is alive, and whom the server may signal
    std::fs::write(&pid_file, format!("{}\n{rest}", sleeper.id())).expect("written");
    place.bifrost(["db", "up"]).expect(0);
    assert!(sleeper.try_wait().expect("its state").is_none(), "the other process lives on");
    sleeper.kill().expect("ours");
    sleeper.wait().expect("gone");
}

#[test]
fn four_at_once_start_one() {
    let place = Place::private();
    let ups: Vec<_> = (0..4).map(|_| place.start(["db", "up"])).collect();
    for up in ups {
        assert!(up.wait_with_output().expect("it ends").status.success());
    }
    let migrations: Vec<_> = (0..4).map(|_| place.start(["db", "migrate"])).collect();
    for migration in migrations {
        assert!(migration.wait_with_output().expect("it ends").status.success());
    }
    assert_eq!(place.sql("SELECT count(*) = max(version) FROM refinery_schema_history"), "t");
}

#[test]
fn four_nodes_migrate_one_database_at_once() {
    let place = Place::new();
    place.bifrost(["db", "up"]).expect(0);
    let migrations: Vec<_> = (0..4).map(|_| place.start(["db", "migrate"])).collect();
    for migration in migrations {
        assert!(migration.wait_with_output().expect("it ends").status.success());
    }
    assert_eq!(place.sql("SELECT count(*) = max(version) FROM refinery_schema_history"), "t");
}

#[test]
fn a_newer_schema_is_left_alone() {
    let place = Place::new();
    place.bifrost(["db", "up"]).expect(0);
    place.bifrost(["db", "migrate"]).expect(0);
    place.sql(
        "INSERT INTO refinery_schema_history VALUES (999, 'later', '2030-01-01T00:00:00Z', '1')",
    );
    let ended = place.bifrost(["db", "migrate"]).expect(1);
    assert!(ended.stderr.contains("schema 999"), "{}", ended.stderr);
}

#[test]
fn a_folder_may_have_any_name() {
    let place = Place::private();
    for name in ["a b\"c'&?%é", "a, b"] {
        let lake = place.path(name);
        let run = |args: &[&str]| -> Ended {
            let mut command = place.command(args);
            Ended::from(command.env("BIFROST_LAKE", &lake).output().expect("it runs"))
        };
        run(&["db", "up"]).expect(0);
        assert_eq!(run(&["db", "psql", "-Atc", "SELECT 6 * 7"]).expect(0).stdout, "42\n");
        let status = run(&["db", "status", "--json"]).expect(0).json();
        let url = status["url"].as_str().expect("a URL");
        run(&["db", "status", "--database-url", url]).expect(0);
        run(&["db", "down"]).expect(0);
    }
}

#[test]
fn a_long_path_sends_it_to_the_state_folder() {
    let place = Place::private();
    let lake = place.path(&"deep/".repeat(20)).join("lake");
    let run = |args: &[&str]| -> Ended {
        let mut command = place.command(args);
        Ended::from(command.arg("--lake").arg(&lake).output().expect("it runs"))
    };
    run(&["db", "up"]).expect(0);
    let status = run(&["db", "status", "--json"]).expect(0).json();
    let folder = status["folder"].as_str().expect("a folder");
    assert!(Path::new(folder).starts_with(place.path("state")), "{folder}");
    run(&["db", "down"]).expect(0);
}

#[test]
fn a_folder_out_of_reach_sends_it_to_the_state_folder() {
    let place = Place::private();
    let home = place.path("home");
    let lake = home.join("lake");
    std::fs::create_dir_all(&lake).expect("a folder");
    std::fs::set_permissions(&home, Permissions::from_mode(0o700)).expect("closed");
    let run = |args: &[&str]| -> Ended {
        let mut command = place.command(args);
        Ended::from(command.arg("--lake").arg(&lake).output().expect("it runs"))
    };
    run(&["db", "up"]).expect(0);
    let status = run(&["db", "status", "--json"]).expect(0).json();
    let folder = Path::new(status["folder"].as_str().expect("a folder")).to_owned();
    // only root's server runs as somebody else
    let expected = if is_root() { place.path("state") } else { lake.clone() };
    assert!(folder.starts_with(expected), "{}", folder.display());
    run(&["db", "down"]).expect(0);
    run(&["db", "up"]).expect(0);
    let again = run(&["db", "status", "--json"]).expect(0).json();
    assert_eq!(again["folder"], status["folder"]);
    run(&["db", "down"]).expect(0);
}

#[test]
fn an_ordinary_user_runs_a_server_too() {
    if !is_root() {
        // every other test of this file shows it
        return it_comes_up_stays_up_and_goes_down();
    }
    let place = Place::private();
    let program = place.path("bifrost");
    std::fs::copy(crate::support::BIFROST, &program).expect("a copy that everybody can run");
    let home = place.path("ordinary");
    std::fs::create_dir(&home).expect("a folder");
    let nobody = 65534;
    std::os::unix::fs::chown(&home, Some(nobody), Some(nobody)).expect("given");
    let run = |args: &[&str]| -> Ended {
        let mut command = clean(Command::new("setpriv"));
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program).args(args);
        command.current_dir(&home).env("HOME", &home).env_remove("XDG_STATE_HOME");
        Ended::from(command.arg("--lake").arg(home.join("lake")).output().expect("setpriv runs"))
    };
    run(&["db", "up"]).expect(0);
    let status = run(&["db", "status", "--json"]).expect(0).json();
    let folder = Path::new(status["folder"].as_str().expect("a folder")).to_owned();
    assert_eq!(std::fs::metadata(folder).expect("it is there").uid(), nobody);
    run(&["db", "down"]).expect(0);
    // root then runs it as the same user, so that both can go on using it
    let lake = home.join("lake");
    let mut command = place.command(["db", "up"]);
    Ended::from(command.arg("--lake").arg(&lake).output().expect("it runs")).expect(0);
    let again = run(&["db", "status", "--json"]).expect(0).json();
    assert_eq!(again["user"], status["user"]);
    run(&["db", "down"]).expect(0);
}

#[test]
fn another_users_server_is_named_not_touched() {
    let place = Place::private();
    let stranger = |program: &Path| -> Ended {
        let mut command = clean(Command::new(program));
        if is_root() {
            command = clean(Command::new("setpriv"));
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
        }
        command.args(["db", "migrate", "--lake"]).arg(place.lake()).current_dir("/");
        Ended::from(command.output().expect("it runs")).expect(1)
    };
    place.bifrost(["db", "up"]).expect(0);
    let program = place.path("bifrost");
    std::fs::copy(crate::support::BIFROST, &program).expect("a copy that everybody can run");
    if !is_root() {
        // nothing here is another user's, but the top folder is
        place.bifrost(["db", "down"]).expect(0);
        let folder = place.lake().join(".bifrost/postgres");
        std::fs::rename(&folder, place.path("aside")).expect("moved");
        std::os::unix::fs::symlink("/", &folder).expect("a link");
    }
    let ended = stranger(&program);
    assert!(ended.stderr.contains("is run by user"), "{}", ended.stderr);
    if !is_root() {
        std::fs::remove_file(place.lake().join(".bifrost/postgres")).expect("the link goes");
    }
}

#[test]
fn without_programs_it_says_what_to_install() {
    let place = Place::private();
    let ended = place.bifrost(["db", "up", "--postgres-bin", "/nonexistent"]).expect(1);
    assert!(ended.stderr.contains("apt install postgresql"), "{}", ended.stderr);
    assert_eq!(ended.stderr.trim().lines().count(), 1, "{}", ended.stderr);
}

#[test]
fn a_named_server_is_not_ours_to_start_or_stop() {
    let place = Place::private();
    let url = "postgresql:///x?host=/nonexistent";
    for verb in ["up", "down"] {
        let ended = place.bifrost(["db", verb, "--database-url", url]).expect(0);
        assert!(ended.stderr.contains("nothing to start or stop"), "{}", ended.stderr);
    }
    place.bifrost(["db", "status", "--database-url", url]).expect(4);
    place.bifrost(["db", "migrate", "--database-url", url]).expect(75);
    place.bifrost(["db", "migrate", "--database-url", "mysql://x"]).expect(2);
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

fn pid(place: &Place) -> String {
    place.json(["db", "status"])["pid"].to_string()
}

fn kill(pid: &str) {
    let pid = pid.parse().ok().and_then(Pid::from_raw).expect("a process");
    kill_process(pid, Signal::KILL).expect("it is killed");
}
