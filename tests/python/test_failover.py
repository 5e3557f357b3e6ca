"""The server that holds the registry dies for good, and its standby takes over, while nodes sync.

BIFROST_BIN names the program. BIFROST_SOAK=1 lets eight servers die in turn."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Place
from test_campaign import Archive, lines, private_place
from test_postgres_settings import NOBODY, as_owner, program

DEATHS = 8 if os.environ.get("BIFROST_SOAK") else 2


class Server:
    """Postgres on a socket of its own, which confirms a commit once its standby has it."""

    def __init__(self, folder, name, follows=None):
        self.socket, self.data = folder / name, folder / name / "data"
        self.socket.mkdir()
        if os.geteuid() == 0:
            os.chown(self.socket, NOBODY, NOBODY)
        if follows:
            self.call("pg_basebackup", "-D", self.data, "-h", follows.socket, "-U", "bifrost", "-R", "-X", "stream", "-c", "fast", "--no-sync")
        else:
            self.call("initdb", "-D", self.data, "-U", "bifrost", "-A", "trust", "--no-sync")
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(f"listen_addresses = ''\nunix_socket_directories = '{self.socket}'\nshared_buffers = 16MB\nfsync = off\n"
                       f"cluster_name = {name}\nsynchronous_standby_names = ''\n")  # fmt: skip
        self.control("start")

    def call(self, name, *arguments):
        command = [program(name), *map(str, arguments)]
        return subprocess.run(command, cwd=self.socket, check=True, capture_output=True, text=True, timeout=60, **as_owner())

    def control(self, *what):
        self.call("pg_ctl", "-D", self.data, "-w", "-l", self.socket / "log", *what)

    def ask(self, query):
        with psycopg.connect(f"host={self.socket} user=bifrost dbname=postgres", autocommit=True) as connection:
            return connection.execute(query).fetchall() if query.startswith("SELECT") else connection.execute(query)

    def is_followed(self, by=None):
        """From now on no commit is confirmed that the standby has not applied."""
        if by:
            self.ask("ALTER SYSTEM SET synchronous_standby_names = '*'")
            self.ask("SELECT pg_reload_conf()")
        until(lambda: self.ask("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == [(1,)])

    def die(self):
        """All at once, as when the power fails."""
        postmaster = int((self.data / "postmaster.pid").read_text().split()[0])
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(postmaster)], capture_output=True, text=True).stdout.split()
        for pid in [postmaster, *map(int, children)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self):
        with contextlib.suppress(subprocess.CalledProcessError, FileNotFoundError):
            self.control("stop", "-m", "immediate")


def until(what, patience_s=60):
    ends = time.monotonic() + patience_s
    while not what():
        assert time.monotonic() < ends, "it did not come about in time"
        time.sleep(0.05)


@pytest.fixture
def folder():
    folder = Path(tempfile.mkdtemp(prefix="bifrost-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


class Writer(threading.Thread):
    """Writes a file and syncs, again and again; remembers what it was told of each commit."""

    def __init__(self, place, name):
        super().__init__()
        self.place, self.node, self.told, self.wrong, self.has_ended = place, name, [], [], threading.Event()

    def run(self):
        number = 0
        while not self.has_ended.is_set():
            path = self.place.lake / "tables" / f"{number}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table({"n": [number]}), path)
            ended = subprocess.run([os.environ["BIFROST_BIN"], "sync", "--json"], capture_output=True, text=True,
                                   cwd=self.place.folder, env=self.place.environment)  # fmt: skip
            if ended.returncode == 0:
                self.told.append((json.loads(ended.stdout)["commit"], number))
            else:
                self.wrong.append((ended.returncode, ended.stderr))
            number += 1


def test_a_standby_takes_over_in_the_middle_of_syncs(folder):
    servers = [Server(folder, "first")]
    writers = []
    try:
        servers.append(Server(folder, "second", follows=servers[0]))
        servers[0].is_followed(by=servers[1])
        for name in ("alpha", "beta"):
            (folder / name).mkdir()
            writers.append(Writer(Place(folder / name, "later"), name))
            writers[-1].place.environment["BIFROST_NODE"] = name


        # a list of all that will ever be: who knows one that is not there yet goes on to the next
        names = ["first", "second", *(f"heir{n}" for n in range(DEATHS - 1))]
        hosts = ",".join(str(folder / name) for name in names)
        url = f"host={hosts} user=bifrost dbname=postgres target_session_attrs=read-write"
        for writer in writers:
            writer.place.environment["BIFROST_DATABASE_URL"] = url
        writers[0].place.run("db", "migrate")
        for writer in writers:
            writer.start()
        for death in range(DEATHS):
            dying, heir = servers[-2:]
            before = [len(writer.told) for writer in writers]
            until(lambda: all(len(w.told) > n + 2 for w, n in zip(writers, before, strict=True)))
            dying.die()
            time.sleep(0.3 * death)
            heir.control("promote")
            until(lambda: all(len(w.told) > n + 4 for w, n in zip(writers, before, strict=True)))
            if death + 1 < DEATHS:
                servers.append(Server(folder, f"heir{death}", follows=heir))
                heir.is_followed(by=servers[-1])
        for writer in writers:
            writer.has_ended.set()
        for writer in writers:
            writer.join()
            assert not writer.wrong, "\n".join(f"{code} {text}" for code, text in writer.wrong)
            writer.place.run("sync")
        left = servers[-1]
        known = left.ask("SELECT l.node, f.path, f.added_commit FROM file_registry f JOIN lakes l USING (lake_id) WHERE f.state = 'live'")
        assert len(known) == len({row[:2] for row in known})
        for writer in writers:
            ours = {path: commit for node, path, commit in known if node == writer.node}
            assert ours.keys() == {f"tables/{path.name}" for path in writer.place.lake.glob("tables/*.parquet")}
            for commit, number in writer.told:
                # None: an earlier try had done it, and its answer was lost
                assert commit in (None, ours[f"tables/{number}.parquet"]), (commit, number)
        commits = [n for n, in left.ask("SELECT commit_id FROM commits ORDER BY committed_at")]
        assert commits == sorted(commits)
    finally:
        for writer in writers:
            writer.has_ended.set()
        for writer in writers:
            if writer.is_alive():
                writer.join(120)
        for server in servers:
            server.stop()


def test_a_run_that_is_told_to_stop_while_its_registry_is_away_has_not_failed():
    with private_place() as place:
        archive = Archive(place, 1)
        place.lake.mkdir()
        place.run("inventory", archive.list())
        archive.server.shutdown()  # nobody answers: tiles stay under way
        command = [os.environ["BIFROST_BIN"], "run", "--archive", archive.url, "--grace", "4"]
        running = subprocess.Popen(command, env=place.environment, cwd=place.folder, text=True,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            while "leased" not in running.stderr.readline():
                assert running.poll() is None
            place.run("db", "down")
            running.send_signal(signal.SIGTERM)
            said = running.communicate(timeout=60)[1]
            assert running.returncode == 75, said
            assert "bifrost: told to stop; " in said and "failed to reach Postgres" in said
        finally:
            running.kill()
        place.run("db", "up")
        threading.Thread(target=archive.server.serve_forever, daemon=True).start()
        assert lines(place.run("run", "--archive", archive.url, "--json"))[-1]["made"] == archive.tiles
        archive.close()
