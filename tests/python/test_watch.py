"""`bifrost sync --watch`: what happens in a lake is in the registry by itself, burst by burst."""

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Place, new_place

PATIENCE_S = 60  # only for what hangs


def write(path, rows=3):
    """A file that appears whole, as whoever publishes makes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    pq.write_table(pa.table({"n": list(range(rows))}), draft)
    draft.rename(path)


class Watcher:
    """The program while it follows a lake, and what it prints."""

    def __init__(self, place, *more, before=()):
        command = [*before, os.environ["BIFROST_BIN"], "sync", "--watch", "--json", "--no-datasheet", *more]
        self.place = place
        self.process = subprocess.Popen(
            command,
            cwd=place.folder,
            env=place.environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.lines, self.said, self.reports = queue.Queue(), [], []
        self.threads = [
            threading.Thread(target=lambda: [self.lines.put(json.loads(line)) for line in self.process.stdout]),
            threading.Thread(target=lambda: self.said.extend(self.process.stderr)),
        ]
        for thread in self.threads:
            thread.start()

    def until(self, **expected):
        """Waits until reports add up to so much since the last call, and gives those."""
        reports = []
        while {key: sum(report[key] for report in reports) for key in expected} != expected:
            reports.append(self.lines.get(timeout=PATIENCE_S))
        self.reports += reports
        return reports

    def stop(self, how=signal.SIGTERM, code=0):
        self.process.send_signal(how)
        ended = self.process.wait(timeout=PATIENCE_S)
        for thread in self.threads:
            thread.join()
        assert ended == code, self.said
        while not self.lines.empty():
            self.reports.append(self.lines.get())


@contextlib.contextmanager
def watching(place, *more, before=(), code=0, how=signal.SIGTERM):
    watcher = Watcher(place, *more, before=before)
    try:
        yield watcher
        watcher.stop(how, code)
    finally:
        watcher.process.kill()


@pytest.fixture
def lake(place):
    write(place.lake / "tables" / "deep" / "first.parquet")
    place.database_url  # a private server is up
    return place


def live(lake):
    return {path for (path,) in lake.sql("SELECT path FROM file_registry WHERE state = 'live'")}


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_what_appears_changes_moves_and_vanishes_is_registered(lake, how):
    tables = lake.lake / "tables"
    with watching(lake, "--every", "1h", how=how) as watcher:
        watcher.until(files_added=1)
        write(tables / "second.parquet")
        watcher.until(files_added=1)
        write(tables / "second.parquet", rows=7)
        watcher.until(files_changed=1)
        tables.joinpath("deep").rename(tables / "deeper")
        watcher.until(files_added=1, files_missing=1)
        assert live(lake) == {"tables/second.parquet", "tables/deeper/first.parquet"}
        write(tables / "deeper" / "new" / "third.parquet")
        watcher.until(files_added=1)
        write(lake.lake / "others" / "product" / "fourth.pq")
        watcher.until(files_added=1)
        tables.joinpath("deeper", "first.parquet").unlink()
        watcher.until(files_missing=1)
        tables.joinpath("deeper").rename(lake.folder / "away")
        watcher.until(files_missing=1)
        assert live(lake) == {"tables/second.parquet", "others/product/fourth.pq"}
    commits = [report["commit"] for report in watcher.reports if report["commit"]]
    assert commits == sorted(set(commits)) and len(commits) == lake.sql("SELECT count(*) FROM commits")[0][0]
    assert lake.json("sync", "--no-datasheet")["commit"] is None, "nothing was left over"


def test_many_at_once_are_few_commits(lake):
    with watching(lake, "--every", "1h") as watcher:
        watcher.until(files_added=1)
        for number in range(300):
            write(lake.lake / "tables" / f"d{number % 7}" / f"{number}.parquet")
        reports = watcher.until(files_added=300)
        # half a second of silence ends a burst; a slow machine may pause that long
        assert sum(report["commit"] is not None for report in reports) <= 5
    assert len(live(lake)) == 301


def test_a_file_that_cannot_be_read_is_told_at_the_end(lake):
    with watching(lake, "--every", "1h", code=3) as watcher:
        watcher.until(files_added=1)
        (lake.lake / "tables" / "bad.parquet").write_text("this is no Parquet")
        [*_, report] = watcher.until(files_quarantined=1)
        assert report["quarantined"][0]["path"] == "tables/bad.parquet"


BLIND = 'read ready && exec sh -c "$0" sh "$@"'
NO_WATCHES = 'echo 0 > /proc/sys/user/max_inotify_instances && exec "$@"'


def map_users(process):
    """Lets everybody be in a process' new namespace who they are, once it is there."""
    for kind in ("uid", "gid"):
        own = os.getuid() if kind == "uid" else os.getgid()
        mapping = "0 0 65536" if os.getuid() == 0 else f"0 {own} 1"
        if kind == "gid" and own:
            Path(f"/proc/{process.pid}/setgroups").write_text("deny")
        while True:
            assert process.poll() is None
            with contextlib.suppress(PermissionError):
                Path(f"/proc/{process.pid}/{kind}_map").write_text(mapping)
                break
    process.stdin.write("\n")
    process.stdin.flush()


def test_one_that_is_not_being_told_scans(lake):
    """In a namespace where nobody may watch: it says so once, and looks by the clock."""
    if subprocess.run(["unshare", "--user", "true"], capture_output=True).returncode:
        pytest.skip("this machine allows no user namespaces")
    lake.environment["BIFROST_DATABASE_URL"] = lake.database_url
    blind = ["unshare", "--user", "sh", "-c", BLIND, NO_WATCHES]
    with watching(lake, "--every", "0.2s", before=blind) as watcher:
        map_users(watcher.process)
        watcher.until(files_added=1)
        write(lake.lake / "tables" / "second.parquet")
        watcher.until(files_added=1)
        write(lake.lake / "tables" / "third.parquet")
        watcher.until(files_added=1)
    assert sum("not noticed" in line for line in watcher.said) == 1, watcher.said


def test_it_outlives_a_restart_of_postgres():
    folder = Path(tempfile.mkdtemp(prefix="bifrost-"))
    folder.chmod(0o755)  # root's server runs as another user, who must get in
    lake = Place(folder, None)
    try:
        write(lake.lake / "tables" / "first.parquet")
        with watching(lake, "--every", "1h") as watcher:
            watcher.until(files_added=1)
            lake.run("db", "down")
            write(lake.lake / "tables" / "second.parquet")
            while not any("trying again" in line for line in watcher.said):
                assert watcher.process.poll() is None
                time.sleep(0.05)
            lake.run("db", "up")
            watcher.until(files_added=1)
            write(lake.lake / "tables" / "third.parquet")
            watcher.until(files_added=1)
        # told to stop while there is no server, it stops all the same
        with watching(lake, "--every", "1h") as watcher:
            watcher.lines.get(timeout=PATIENCE_S)
            lake.run("db", "down")
            write(lake.lake / "tables" / "fourth.parquet")
            while not any("trying again" in line for line in watcher.said):
                assert watcher.process.poll() is None
                time.sleep(0.05)
        lake.run("db", "up")
        assert len(lake.json("resolve", "n >= 0", "--product", "tables")["files"]) == 3
    finally:
        lake.run("db", "down")
        shutil.rmtree(folder)


def test_tiles_that_another_lake_holds_since_are_told_of():
    """A copy of the lake with an identity of its own: nothing has changed here, and it is news all the same."""
    with new_place() as place:
        place.run("mock", "--out", place.folder / "archive", "--tiles", 1, "--objects", 5)
        place.run("convert", place.folder / "archive")
        place.environment["BIFROST_DATABASE_URL"] = place.database_url
        command = [os.environ["BIFROST_BIN"], "sync", "--watch", "--every", "0.2s", "--no-datasheet"]
        watcher = subprocess.Popen(command, env=place.environment, text=True, stdout=subprocess.PIPE)
        patience = threading.Timer(PATIENCE_S, watcher.kill)
        patience.start()
        try:
            assert watcher.stdout.readline().startswith("commit 1: 1 files added")
            copy = place.folder / "copy"
            shutil.copytree(place.lake / "spectra", copy / "spectra")
            place.run("--lake", copy, "sync", "--no-datasheet")
            told = watcher.stdout.readline(), watcher.stdout.readline()
            assert told[0].startswith("nothing changed") and str(copy) in told[1], told
            shutil.rmtree(copy / "spectra")
            place.run("--lake", copy, "sync", "--no-datasheet")
            assert watcher.stdout.readline().startswith("nothing changed")
            watcher.terminate()
            assert watcher.communicate()[0] == "" and watcher.returncode == 0, "each is told once"
        finally:
            patience.cancel()
            watcher.kill()


def test_options_that_contradict_each_other_are_refused(lake):
    for more in (["--dry-run"], ["--key", "k"], ["--every", "soon"]):
        lake.run("sync", "--watch", *more, code=2)
    lake.run("sync", "--every", "1s", code=2)
