"""`bifrost run` on disks that others fill: it pauses, says so, keeps what it holds, and goes on.

The small disks are tmpfs mounts of the test's own, which takes root; elsewhere it is skipped.
"""

import json
import os
import subprocess
import threading
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import Place, small_disk
from test_campaign import Archive, wait_until

LEASE_S = 1.0
MB = 1 << 20


class Filler:
    """Somebody else's file on the same disk."""

    def __init__(self, folder):
        self.path = folder / "ballast"

    def leave(self, free_bytes):
        """Fills the disk, but for so many bytes."""
        disk = os.statvfs(self.path.parent)
        more = disk.f_bavail * disk.f_frsize - free_bytes
        with self.path.open("ab") as file:
            os.posix_fallocate(file.fileno(), file.tell(), max(more, 1))

    def leave_all(self):
        self.path.unlink(missing_ok=True)


class Running:
    """A run under way, with its log."""

    def __init__(self, place, archive, settings):
        config = place.folder / "bifrost.toml"
        config.write_text(settings)
        self.log = place.folder / "log"
        words = [os.environ["BIFROST_BIN"], "--config", config, "run", "--archive", archive.url,
                 "--lease", LEASE_S, "--tiles-per-batch", 2, "--retry-pause", 0.1]
        self.file = self.log.open("wb")
        self.process = subprocess.Popen([str(word) for word in words], env=place.environment,
                                        cwd=place.folder, stdout=subprocess.DEVNULL, stderr=self.file)

    def said(self, word):
        """Lines of its log with a word in their message; all lines are JSON."""
        *lines, _ = self.log.read_text().split("\n")
        return [line for line in map(json.loads, lines) if word in line["message"]]

    def end(self):
        code = self.process.wait(timeout=600)
        assert code == 0, self.log.read_text()[-4000:]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.file.close()


@pytest.fixture
def node(place):
    """A place whose registry is on another disk than its lake."""
    place.lake.mkdir()
    place.run("sync")
    made = Place(place.folder, place.database_url)
    with small_disk(place.folder / "small", "64m") as disk:
        made.disk = disk
        yield made


@pytest.fixture
def archive(node):
    made = Archive(node, 4)
    node.run("inventory", made.list(), "--archive", made.url)
    yield made
    made.close()


def lay_out(node, full):
    """Puts the lake or the archive's files on the small disk; the settings that say so."""
    files = node.disk if full == "scratch" else node.folder / "fits"
    if full == "lake":
        node.lake = node.disk / "lake"
        node.environment.update(BIFROST_LAKE=str(node.lake), BIFROST_NODE="small")
        node.lake.mkdir()
    return f'[fetch]\nout = "{files}"\nkeep_free = "1MB"\n'


def check(node, archive):
    """Every tile was made, at the first try, and nothing is half there."""
    tiles = archive.tiles
    assert node.sql("SELECT ended, count(*) FROM attempts GROUP BY ended") == [("converted", tiles)]
    live = node.sql("SELECT path, num_rows FROM files")
    assert len(live) == tiles
    for path, rows in live:
        assert pq.read_table(path).num_rows == rows
    assert sorted(p for p, _ in live) == sorted(map(str, node.lake.rglob("spectra/**/*.parquet")))
    for left in ("campaign_intents", "campaign_store_intents", "campaign_leases WHERE token IS NOT NULL"):
        assert node.sql(f"SELECT count(*) FROM {left}") == [(0,)], left
    assert not list(node.folder.rglob("*.part")) and not list(node.disk.rglob("coadd-*.fits"))
    assert not list((node.lake / ".bifrost" / "staging").rglob("*.parquet"))


@pytest.mark.parametrize("full", ["scratch", "lake"])
def test_a_run_pauses_says_so_keeps_its_leases_and_goes_on(node, archive, full):
    settings = lay_out(node, full)
    filler = Filler(node.disk)
    filler.leave(MB // 2)
    run = Running(node, archive, settings)
    try:
        wait_until(lambda: run.said("no room in"))
        (line,) = run.said("no room in")
        assert str(node.disk) in line["message"] and line["message"].startswith("paused")
        assert line["level"] == "WARN" and line["need_bytes"] > line["free_bytes"]
        # leases are renewed: they would have lapsed
        held = "SELECT count(*), min(extract(epoch FROM expires_at - taken_at)) FROM campaign_leases WHERE token IS NOT NULL"
        wait_until(lambda: node.sql(held)[0][1] > 3 * LEASE_S)
        assert node.sql(held)[0][0] > 0
        assert node.sql("SELECT count(*) FROM files") == node.sql("SELECT count(*) FROM attempts WHERE ended_at IS NOT NULL") == [(0,)]
        (seen,) = node.json("nodes")["nodes"]
        assert seen["pixels_leased"] > 0
        if full == "lake":
            assert seen["free_bytes"] < MB
        assert run.process.poll() is None and not run.said("room again")
        filler.leave_all()
        run.end()
        assert run.said("room again")
    finally:
        run.close()
    check(node, archive)


@pytest.mark.parametrize("full", ["scratch", "lake"])
def test_a_disk_that_is_filled_in_the_middle_of_writes_fails_no_tile(node, archive, full):
    """Nothing is kept free, so that writes themselves find the disk full, again and again."""
    settings = lay_out(node, full).replace("1MB", "0")
    filler, over = Filler(node.disk), threading.Event()

    def torment():
        for round in range(1000):
            if over.is_set():
                return
            try:
                filler.leave((0, 100_000, 700_000)[round % 3])
            except OSError:
                pass  # the run was faster
            time.sleep(0.05)
            if round % 4 == 3:
                filler.leave_all()
                time.sleep(0.02)

    thread = threading.Thread(target=torment)
    run = Running(node, archive, settings)
    try:
        # a lake that cannot be opened is another matter: it says so and ends
        wait_until(lambda: run.said("began") or run.process.poll() is not None)
        thread.start()
        wait_until(lambda: run.said("no room in") or run.process.poll() is not None)
        over.set()
        thread.join()
        filler.leave_all()
        run.end()
    finally:
        over.set()
        if thread.is_alive():
            thread.join()
        run.close()
    check(node, archive)


def test_a_disk_smaller_than_what_is_under_way_is_no_trap(node):
    """Were all tiles let in at once, each would wait for the room that the others' halves take."""
    archive = Archive(node, 12)
    try:
        node.run("inventory", archive.list(), "--archive", archive.url)
        tile = sum(p.stat().st_size for p in (archive.folder).rglob("*-10000.fits")) // 2
        Filler(node.disk).leave(2 * tile + 2 * MB)
        run = Running(node, archive, lay_out(node, "scratch"))
        try:
            run.end()
        finally:
            run.close()
    finally:
        archive.close()
    assert node.sql("SELECT ended, count(*) FROM attempts GROUP BY ended") == [("converted", archive.tiles)]
