"""A registry outlives its server, serves many at once, and gives each the rights that are needed.

BIFROST_BIN names the program.
"""

import os
import random
import shutil
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import library
from older import BEFORE, older
from test_campaign import private_place

READER, WRITER = "ada", "sam"


@pytest.fixture
def hub():
    """A place with a server of its own, which may be destroyed."""
    with private_place() as place:
        yield place


def fill(place):
    """Six tiles, some of them made twice: there is history."""
    for program in ("dark", "bright"):
        place.run("mock", "--out", place.folder / "archive", "--tiles", 3, "--objects", 20,
                  "--program", program, "--seed", 5)
    place.run("convert", place.folder / "archive")
    place.run("sync")
    place.run("convert", place.folder / "archive", "--where", "zwarn = 0")
    place.run("sync")


def destroy(place):
    place.run("db", "down")
    shutil.rmtree(place.lake / ".bifrost" / "postgres")


# what follows from the lake alone, whatever numbers things have
KNOWN = {
    "files": "SELECT path, product, release, survey, program, healpix, num_rows, size_bytes, z_min, z_max,"
             " sky::text, in_catalog FROM files ORDER BY path",
    "bounds": "SELECT path, row_group, column_name, int_min, int_max, float_min, float_max, text_min, text_max,"
              " null_count FROM column_bounds ORDER BY path, row_group, column_name",
    "objects": "SELECT target_id, ra, dec, z, zwarn, spectype, path, row_index, is_primary FROM objects"
               " ORDER BY path, row_index",
    "classes": "SELECT path, spectype, zwarn_zero, c.num_rows, z_bins, z_counts FROM file_classes c"
               " JOIN files USING (file_id) ORDER BY path, spectype, zwarn_zero",
}


def known(place):
    return {name: place.sql(query) for name, query in KNOWN.items()}


def test_a_registry_is_made_anew_from_its_lakes(hub):
    fill(hub)
    before = known(hub)
    assert all(before.values())
    refused = hub.run("db", "rebuild", code=2)
    assert "2 commits, 6 versions of files that are gone" in refused.stderr
    assert known(hub) == before
    report = hub.json("db", "rebuild", "--discard")
    assert report["lost"]["commits"] == 2 and report["to_sync"] == []
    assert known(hub) == before
    assert hub.sql("SELECT min(commit_id), count(*) FROM commits") == [(3, 1)], "no number comes twice"
    assert hub.json("sync")["commit"] is None
    # and where nothing at all is left
    destroy(hub)
    said = hub.run("db", "rebuild").stdout
    assert "made anew of 1 lakes: 6 files" in said and "only a backup keeps" in said
    assert known(hub) == before
    assert hub.json("sync")["commit"] is None
    assert hub.json("verify", "--deep")["findings"] == []


def test_lakes_that_are_not_here_are_named(hub):
    fill(hub)
    other = hub.folder / "other"
    url = hub.database_url
    (other / "tables").mkdir(parents=True)
    pq.write_table(pa.table({"x": [1]}), other / "tables" / "x.parquet")
    hub.run("--lake", other, "--node", "beta", "--database-url", url, "sync")
    report = hub.json("db", "rebuild", "--discard")
    assert report["to_sync"] == [{"node": "beta", "root": str(other)}]
    both = hub.json("db", "rebuild", "--discard", other)
    assert both["to_sync"] == [] and len(both["lakes"]) == 2
    assert hub.sql("SELECT node FROM files WHERE product = 'tables'") == [("beta",)]


def test_a_backup_brings_everything_back(hub):
    fill(hub)
    whole = {**KNOWN, "commits": "SELECT * FROM commits ORDER BY commit_id",
             "versions": "SELECT file_id, path, state, added_commit, removed_commit FROM file_registry ORDER BY 1",
             "lakes": "SELECT * FROM lakes", "nodes": "SELECT * FROM nodes"}
    before = {name: hub.sql(query) for name, query in whole.items()}
    file = hub.folder / "registry.dump"
    report = hub.json("db", "backup", file)
    assert report["size_bytes"] == file.stat().st_size > 0
    hub.run("db", "backup", file, code=2)
    assert not list(hub.folder.glob("*.part"))
    refused = hub.run("db", "restore", file, code=2)
    assert "is not empty" in refused.stderr
    destroy(hub)
    hub.run("db", "restore", file)
    assert {name: hub.sql(query) for name, query in whole.items()} == before
    report = hub.json("sync")
    assert (report["commit"], report["files_opened"]) == (None, 0)
    # numbers go on where they were
    hub.run("convert", hub.folder / "archive", "--force")
    assert hub.json("sync")["commit"] == 3
    hub.run("db", "restore", hub.folder / "nowhere", code=2)


def test_who_remembers_what_was_there_before_a_restore_forgets_it(hub):
    """A process that asks on, while the database is emptied and restored: numbers mean other commits and files then."""
    hub.run("mock", "--out", hub.folder / "archive", "--objects", 40, "--tiles", 3, "--no-resolution")
    hub.run("convert", hub.folder / "archive")
    hub.run("sync", "--no-datasheet")
    file = hub.folder / "registry.dump"
    hub.run("db", "backup", file)
    paths = sorted((hub.lake / "spectra").rglob("*.parquet"))
    held = {str(path): set(pq.read_table(path, columns=["target_id"])["target_id"].to_pylist()) for path in paths}
    wanted = sorted(set.union(*held.values()))[:80]

    def found(ask):
        answer = ask(target_ids=wanted, detail="files")
        return {of["path"] for of in answer["resolution"]["files"]} if "resolution" in answer else None

    def truth():
        return {path for path, ids in held.items() if ids & set(wanted) and Path(path).exists()}

    with library(hub.database_url) as ask:
        shutil.copy(paths[0], hub.folder / "kept")
        paths[0].unlink()
        hub.run("sync", "--no-datasheet")
        for _ in range(60):
            assert found(ask) == truth()
        with psycopg.connect(hub.database_url, autocommit=True) as owner:
            owner.execute("DROP SCHEMA public CASCADE")
            owner.execute("CREATE SCHEMA public")
        hub.run("db", "restore", file)
        paths[0].parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(hub.folder / "kept", paths[0])
        paths[1].unlink()
        hub.run("sync", "--no-datasheet")
        assert hub.sql("SELECT max(commit_id) FROM commits") == [(2,)], "a number that there was before"
        answers = [found(ask) for _ in range(5)]
        # who lost a connection says so
        assert all(answer in (None, truth()) for answer in answers[:2]) and answers[2:] == [truth()] * 3


def test_a_damaged_backup_leaves_nothing_behind(hub):
    fill(hub)
    file = hub.folder / "registry.dump"
    hub.run("db", "backup", file)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    destroy(hub)
    hub.run("db", "restore", file, code=1)
    assert hub.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]
    file.write_bytes(whole)
    hub.run("db", "restore", file)
    assert hub.json("sync")["commit"] is None


# roles


@pytest.fixture
def people(hub):
    """A hub where one person may read and another may write."""
    fill(hub)
    with psycopg.connect(hub.database_url) as connection:
        connection.execute(f"CREATE ROLE {READER} LOGIN IN ROLE bifrost_reader")
        connection.execute(f"CREATE ROLE {WRITER} LOGIN IN ROLE bifrost_writer")
    return hub


def url_of(place, person):
    return place.database_url.replace("user=bifrost", f"user={person}")


def relations(place, kinds):
    query = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = ANY (%s)"
    return sorted(name for (name,) in place.sql(query, kinds))


def is_refused(connection, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)
    return True


def forbidden(table):
    return [f"ALTER TABLE {table} ADD COLUMN more int", f"DROP TABLE {table} CASCADE", f"TRUNCATE {table} CASCADE",
            f"CREATE INDEX ON {table} ((1))"]


def test_a_reader_sees_everything_and_changes_nothing(people):
    tables, views = relations(people, ["r"]), relations(people, ["v"])
    assert len(tables) > 20 and len(views) > 5
    # the check that follows must notice a table that was forgotten
    psql = people.run("db", "psql", "--database-url", url_of(people, READER), "-Atc", "SELECT count(*) FROM files")
    assert psql.stdout.strip() == "6"
    with psycopg.connect(url_of(people, READER), autocommit=True) as reader:
        for name in [*tables, *views]:
            reader.execute(f"SELECT * FROM {name} LIMIT 1")
        for name in tables:
            [(column,)] = people.sql(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
                " AND NOT attisdropped AND attidentity = '' ORDER BY attnum LIMIT 1", name)
            for statement in [f"INSERT INTO {name} DEFAULT VALUES", f"DELETE FROM {name}",
                              f"UPDATE {name} SET {column} = {column}", *forbidden(name)]:
                assert is_refused(reader, statement)
        for name in relations(people, ["S"]):
            assert is_refused(reader, f"SELECT nextval('{name}')")
        assert is_refused(reader, "CREATE TABLE public.mine (x int)")
        assert is_refused(reader, "SELECT registry_grants()")
        # functions are theirs to call
        assert reader.execute("SELECT count(*) FROM files_with(z => '(0,)')").fetchone()[0] > 0
    url = url_of(people, READER)
    assert people.json("resolve", "z > 0", "--database-url", url)["files"]
    assert people.json("verify", "--deep", "--database-url", url)["findings"] == []
    assert people.json("gc", "--database-url", url)["dry_run"]
    said = people.run("sync", "--database-url", url, code=1).stderr
    assert said.count("permission denied") == 1 and "db error" not in said, said
    assert "whoever is granted bifrost_reader may read the registry, bifrost_writer may also write" in said


def test_who_may_not_migrate_is_told_so(people):
    """A registry of an earlier schema: people see what to do, and its owner is told what was done."""
    [(latest,)] = people.sql("SELECT max(version) FROM refinery_schema_history")
    with psycopg.connect(people.database_url) as owner:
        bounds = owner.execute("SELECT * FROM column_bounds ORDER BY path, column_name").fetchall()
        older(owner)
    words = f"the registry has schema {BEFORE}, and this program needs schema {latest}: run `bifrost db migrate` as a role"
    for role, command in [(READER, ("resolve", "z > 0")), (WRITER, ("resolve", "z > 0")), (WRITER, ("sync",))]:
        assert words in people.run(*command, "--database-url", url_of(people, role), code=1).stderr
    assert f"from schema {BEFORE} to {latest}" in people.run("sync").stderr
    assert "schema" not in people.run("sync").stderr
    assert people.sql("SELECT * FROM column_bounds ORDER BY path, column_name") == bounds
    people.run("resolve", "z > 0", "--database-url", url_of(people, READER))
    with psycopg.connect(people.database_url) as owner:
        owner.execute("UPDATE refinery_schema_history SET version = version + 1 WHERE version = %s", [latest])
    try:
        for command in (("resolve", "z > 0"), ("sync",), ("status",)):
            said = people.run(*command, code=1).stderr
            assert f"the registry has schema {latest + 1}, and this program knows schemas up to {latest}: use a newer" in said
    finally:
        with psycopg.connect(people.database_url) as owner:
            owner.execute("UPDATE refinery_schema_history SET version = version - 1 WHERE version > %s", [latest])


def test_a_writer_does_the_programs_work_and_no_more(people):
    url = url_of(people, WRITER)
    with psycopg.connect(url, autocommit=True) as writer:
        for name in relations(people, ["r"]):
            for statement in forbidden(name):
                assert is_refused(writer, statement)
        assert is_refused(writer, "CREATE TABLE public.mine (x int)")
        assert is_refused(writer, "UPDATE refinery_schema_history SET version = 0")
    own = ["--database-url", url]
    people.run("convert", people.folder / "archive", "--force")
    # a file whose number of rows is another has another name
    synced = people.json("sync", *own)
    assert synced["files_changed"] + synced["files_added"] == 6
    next((people.lake / "spectra").rglob("*.parquet")).unlink()
    assert people.json("sync", *own)["files_missing"] == 1
    people.run("stage", "run", "snr", *own)
    for _ in range(3):
        people.run("gc", "--grace", "0s", "--apply", "unlink", *own)
    assert people.sql("SELECT count(*) FROM file_registry WHERE state = 'deleted'")[0][0] > 0
    keys = sorted(str(p.relative_to(people.folder)) for p in (people.folder / "archive").rglob("coadd-*.fits"))
    assert keys
    people.json("verify", "--deep", "--repair", *own)


# many at once


class Watcher(threading.Thread):
    """Looks at commits all the time: one that becomes visible late must not have a small number."""

    def __init__(self, url):
        super().__init__()
        self.url, self.stopped, self.seen, self.late = url, threading.Event(), set(), []

    def run(self):
        with psycopg.connect(self.url, autocommit=True) as connection:
            while not self.stopped.is_set():
                now = {number for (number,) in connection.execute("SELECT commit_id FROM commits")}
                new = now - self.seen
                if self.seen and new and min(new) < max(self.seen):
                    self.late.append(sorted(new))
                self.seen = now


class Cutter(threading.Thread):
    """Cuts the program's connections all the time."""

    def __init__(self, url):
        super().__init__()
        self.url, self.stopped, self.cut = url, threading.Event(), 0
        self.dice = random.Random(7)

    def run(self):
        with psycopg.connect(self.url, autocommit=True) as connection:
            while not self.stopped.wait(self.dice.uniform(0.02, 0.4)):
                query = ("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                         " WHERE application_name = 'bifrost' AND datname = current_database()")
                self.cut += connection.execute(query).fetchone()[0]


def objects(first, program):
    """A table of objects: the same ones lie in several files, so that lakes compete for them."""
    count = 40
    return pa.table({
        "target_id": [39627000000000000 + first + i for i in range(count)],
        "z": [0.1] * count, "zwarn": [first % 3] * count, "ra": [10.0] * count, "dec": [5.0] * count,
        "survey": ["main"] * count, "program": [program] * count,
    })


def test_sixteen_syncs_at_once_lose_nothing(hub):
    url = hub.database_url
    shared = hub.folder / "shared"
    shared.mkdir()
    nodes = ["alpha", "beta", "gamma", "delta"]
    lakes = {name: hub.folder / name for name in nodes}
    common = hub.folder / "common"

    def put(folder, name, first, program="dark"):
        folder.mkdir(parents=True, exist_ok=True)
        draft = hub.folder / f"{name}.draft"
        pq.write_table(objects(first, program), draft)
        draft.rename(folder / f"{name}.parquet")

    for number, (name, lake) in enumerate(lakes.items()):
        put(lake / "own", f"own-{name}", 20 * number)
        # a tree that all of them have
        (lake / "shared").symlink_to(shared)
    put(shared, "shared-0", 10)
    put(common / "own", "common-0", 30)
    hub.run("db", "migrate")
    watcher = Watcher(url)
    watcher.start()
    try:
        for turn in range(3):
            # each lake of its own by three, and one lake that all nodes sync, each as its own
            jobs = [(name, lakes[name]) for name in nodes for _ in range(3)] + [(name, common) for name in nodes]
            assert len(jobs) == 16
            running = [subprocess.Popen(
                [os.environ["BIFROST_BIN"], "sync", "--no-datasheet", "--catalog", "own,shared", "--json",
                 "--lake", str(lake), "--node", name, "--database-url", url],
                env=hub.environment, cwd=hub.folder, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE) for name, lake in jobs]
            # files come, change and go while they work
            put(shared, f"shared-{turn + 1}", 15 * turn)
            put(shared, "shared-0", 10 + turn)
            put(common / "own", f"common-{turn + 1}", 25 * turn)
            for name in nodes[:2]:
                put(lakes[name] / "own", f"more-{name}-{turn}", 7 * turn, "bright")
            if turn == 1:
                (lakes["delta"] / "own" / "own-delta.parquet").unlink()
            for process in running:
                said = process.communicate()
                assert process.returncode == 0, said
        for name, lake in [*lakes.items(), ("alpha", common)]:
            hub.run("sync", "--no-datasheet", "--catalog", "own,shared", "--lake", lake, "--node", name,
                    "--database-url", url)
    finally:
        watcher.stopped.set()
        watcher.join()
    assert watcher.late == [] and len(watcher.seen) > 8
    on_disk = Counter()
    rows = 0
    for lake in [*lakes.values(), common]:
        for path in [*(lake / "own").glob("*.parquet"), *(lake / "shared").glob("*.parquet")]:
            on_disk[str(path)] += 1
            rows += pq.read_metadata(path).num_rows
    registered = Counter(path for (path,) in hub.sql("SELECT path FROM files"))
    assert registered == on_disk
    assert hub.sql("SELECT count(*) FROM catalog") == [(rows,)]
    assert hub.sql("SELECT count(*) FROM (SELECT FROM catalog GROUP BY target_id"
                   " HAVING count(*) FILTER (WHERE is_primary) <> 1) AS x") == [(0,)]
    assert hub.sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == [(0,)]
    # what was counted is what is there
    balance = hub.sql("SELECT sum(rows_added - rows_removed), sum(catalog_added - catalog_removed) FROM commits")
    assert balance == [(rows, rows)]
    for name, lake in [*lakes.items(), ("alpha", common)]:
        report = hub.json("verify", "--lake", lake, "--node", name, "--database-url", url)
        assert report["findings"] == []


def test_syncs_whose_connections_are_cut_end_in_the_old_or_the_new_state(hub):
    """Whoever ends the server's processes all the time: what is registered is always one whole state."""
    url = hub.database_url
    shared = hub.folder / "shared"
    lakes = {name: hub.folder / name for name in ("alpha", "beta", "gamma")}
    (shared / "dataset").mkdir(parents=True)
    for lake in lakes.values():
        lake.mkdir()
        (lake / "tables").symlink_to(shared / "dataset")

    def put(turn):
        for number in range(4):
            draft = hub.folder / "draft"
            pq.write_table(objects(10 * number + turn, "dark"), draft)
            draft.rename(shared / "dataset" / f"{number}.parquet")
        about = [path.stat() for path in (shared / "dataset").glob("*.parquet")]
        return sorted((a.st_size, a.st_mtime_ns) for a in about)

    def registered():
        """What each lake holds, in one look."""
        rows = hub.sql("SELECT lake_id, size_bytes, mtime_ns FROM file_registry WHERE removed_commit IS NULL")
        found = {}
        for lake_id, *version in rows:
            found.setdefault(lake_id, []).append(tuple(version))
        return [sorted(files) for files in found.values()]

    def start(name):
        return subprocess.Popen(
            [os.environ["BIFROST_BIN"], "sync", "--no-datasheet", "--catalog", "tables", "--json", "--lake",
             str(lakes[name]), "--node", name, "--database-url", url],
            env=hub.environment, cwd=hub.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    hub.run("db", "migrate")
    whole = [put(0)]
    watcher, cutter = Watcher(url), Cutter(url)
    watcher.start()
    cutter.start()
    ended = Counter()
    try:
        turns, turn = 40 if os.environ.get("BIFROST_SOAK") else 3, 0
        # where the machine is quick, little is cut in a turn
        while (turn := turn + 1) <= turns or cutter.cut <= 10 and turn < 100:
            running = [start(name) for name in lakes for _ in range(2)]
            while any(process.poll() is None for process in running):
                for files in registered():
                    assert files in whole
            for process in running:
                said = process.communicate()
                # 75: it was cut off again and again
                assert process.returncode in (0, 75), said
                ended[process.returncode] += 1
            whole.append(put(turn))
    finally:
        cutter.stopped.set()
        cutter.join()
        watcher.stopped.set()
        watcher.join()
    assert cutter.cut > 10 and ended[0] > 0
    assert watcher.late == []
    for name, lake in lakes.items():
        hub.run("sync", "--no-datasheet", "--catalog", "tables", "--lake", lake, "--node", name,
                "--database-url", url)
    assert registered() == [whole[-1]] * 3
    rows = sum(pq.read_metadata(path).num_rows for path in (shared / "dataset").glob("*.parquet"))
    assert hub.sql("SELECT count(*) FROM catalog") == [(3 * rows,)]
    assert hub.sql("SELECT count(*) FROM (SELECT FROM catalog GROUP BY target_id"
                   " HAVING count(*) FILTER (WHERE is_primary) <> 1) AS x") == [(0,)]
    balance = hub.sql("SELECT sum(rows_added - rows_removed), sum(catalog_added - catalog_removed) FROM commits")
    assert balance == [(3 * rows, 3 * rows)]
    assert hub.json("sync", "--no-datasheet", "--catalog", "tables", "--lake", lakes["alpha"], "--node", "alpha",
                    "--database-url", url)["commit"] is None


@pytest.fixture(scope="module")
def derived():
    """Tiles and their stage, on a server of its own."""
    with private_place() as place:
        fill(place)
        place.run("stage", "run", "snr")
        yield place


def live(place):
    return place.sql("SELECT product, path, num_rows FROM file_registry WHERE state = 'live' ORDER BY path")


@pytest.mark.parametrize("command", ["stage run snr --force", "stage run spectra-h5 --force", "gc", "gc --apply mark", "db rebuild --discard"])
def test_a_command_that_is_cut_off_while_it_waits_for_its_turn_waits_again(derived, command):
    before = live(derived)
    with psycopg.connect(derived.database_url, autocommit=True) as connection:
        turn = "hashtextextended('bifrost.lake.' || lake_id, 0)) FROM lakes"
        connection.execute(f"SELECT pg_advisory_lock({turn}")
        program = [os.environ["BIFROST_BIN"], *command.split()]
        process = subprocess.Popen(program, env=derived.environment, cwd=derived.folder, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
        waits = "FROM pg_stat_activity WHERE wait_event = 'advisory' AND application_name = 'bifrost'"
        while not connection.execute(f"SELECT count(pg_terminate_backend(pid)) {waits}").fetchone()[0]:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        connection.execute(f"SELECT pg_advisory_unlock({turn}")
        said = process.communicate()
    assert process.returncode == 0, said
    assert "trying again" in said[1]
    assert {row[1] for row in before} <= {row[1] for row in live(derived)}


@pytest.mark.parametrize("table", ["stage_runs", "stage_attempts", "file_registry", "commits"])
@pytest.mark.parametrize("when", ["BEFORE", "AFTER"])
def test_a_stage_whose_connection_is_cut_goes_on(derived, table, when):
    """Cut once, in the middle of a statement of its own: files that are in place by then are registered all the same."""
    before, versions = live(derived), derived.sql("SELECT count(*) FROM file_registry")
    with psycopg.connect(derived.database_url, autocommit=True) as connection:
        connection.execute(f"""
            CREATE SEQUENCE cuts;
            CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF nextval('public.cuts') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
                RETURN NULL; END $$;
            CREATE TRIGGER cut {when} INSERT ON {table} FOR EACH STATEMENT EXECUTE FUNCTION cut()""")
        try:
            said = derived.run("stage", "run", "snr", "--force")
            assert connection.execute("SELECT last_value FROM cuts").fetchone()[0] > 1, "it was cut and done again"
        finally:
            connection.execute("DROP FUNCTION cut() CASCADE; DROP SEQUENCE cuts")
    assert "trying again" in said.stderr
    assert live(derived) == before
    assert derived.sql("SELECT count(*) FROM file_registry") == [(versions[0][0] + 6,)]
    runs = derived.sql("SELECT ending, tiles, (SELECT count(*) FROM stage_attempts a WHERE a.run_id = r.run_id)"
                       " FROM stage_runs r ORDER BY began_at DESC LIMIT 1")  # fmt: skip
    assert runs == [("complete", 6, 6)]
    assert derived.json("verify", "--deep")["findings"] == []
