"""`bifrost web` in blocks: the same bits however many, by one process or several, killed, paused or told to stop.

BIFROST_BIN names the program.
"""

import fcntl
import os
import signal
import subprocess
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import new_place

ALL = "all=spectype = 'GALAXY' AND zwarn = 0 AND z > 0.01"
ASKED = ("--tracer", ALL, "--realisations", 12, "--sigmas", 0)


@pytest.fixture(scope="module")
def place():
    """A lake with the web of four tiles, made as a whole."""
    with new_place() as place:
        pix = [word for pixel in (10000, 10001, 10002, 10003) for word in ("--pix", pixel)]
        place.run("mock", "--out", place.folder / "archive", "--objects", 600, "--seed", 6, "--program", "bright", *pix)
        place.run("convert", place.folder / "archive")
        place.run("web", *ASKED, "-o", place.folder / "whole")
        place.whole = rows(place)
        yield place


def rows(place):
    files = sorted((place.lake / "environment" / "dataset").rglob("*.parquet"))
    return pa.concat_tables(pq.ParquetFile(path).read() for path in files).replace_schema_metadata(None)


def begin(place, work, *more):
    command = [os.environ["BIFROST_BIN"], "web", *map(str, ASKED), "--blocks", "5", "--work", str(work), *map(str, more)]
    return subprocess.Popen(command, env=place.environment, cwd=place.folder, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)  # fmt: skip


def ended(process, code=0):
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, f"{out}\n{err}"
    return err


def holders(place):
    """The runs that hold leases: those of killed ones stay until they lapse and another run ends."""
    return {run for (run,) in place.sql("SELECT DISTINCT run_id FROM part_leases")}


def outputs(work):
    return {path: path.stat().st_mtime_ns for path in Path(work).rglob("*") if path.name.isdecimal()}


def wait_for(work, count):
    end = time.monotonic() + 120
    while len(outputs(work)) < count:
        assert time.monotonic() < end, "nothing was made"
        time.sleep(0.002)


@pytest.mark.parametrize("how", [("--blocks", 1), ("--blocks", 5), ("--blocks", 8), ("--memory", "200MiB")])
def test_blocks_do_not_show(place, how, tmp_path):
    out = tmp_path / "out"
    place.run("web", *ASKED, *how, "--force", "--work", tmp_path / "work", "-o", out)
    assert rows(place).equals(place.whole)
    whole = {path.name: path.read_bytes() for path in (place.folder / "whole").iterdir()}
    assert {path.name: path.read_bytes() for path in out.iterdir()} == whole and len(whole) >= 5
    assert list((tmp_path / "work").iterdir()) == [], "nothing is left"


def test_processes_share_blocks(place, tmp_path):
    before = holders(place)
    running = [begin(place, tmp_path, "--force") for _ in range(3)]
    for process in running:
        ended(process)
    assert rows(place).equals(place.whole)
    assert holders(place) <= before and list(tmp_path.iterdir()) == []


def test_a_run_that_was_killed_goes_on(place, tmp_path):
    kept = {}
    for count in (3, 12, 40):
        process = begin(place, tmp_path)
        wait_for(tmp_path, count)
        process.kill()
        process.wait()
        now = outputs(tmp_path)
        assert kept.items() <= now.items(), "what is there is not made again"
        kept = now
    (lock,) = tmp_path.glob("*/lock")
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_SH)  # so that the outputs stay
        ended(begin(place, tmp_path, "--force"))
        assert kept.items() <= outputs(tmp_path).items() and len(outputs(tmp_path)) > len(kept)
    assert rows(place).equals(place.whole)


def test_others_take_over_from_one_that_sleeps(place, tmp_path):
    sleeper = begin(place, tmp_path, "--force")
    wait_for(tmp_path, 5)
    sleeper.send_signal(signal.SIGSTOP)
    try:
        ended(begin(place, tmp_path, "--force"))
        assert rows(place).equals(place.whole)
    finally:
        sleeper.send_signal(signal.SIGCONT)
    ended(sleeper)
    assert rows(place).equals(place.whole)


def test_told_to_stop_it_gives_back_and_goes_on(place, tmp_path):
    before = holders(place)
    process = begin(place, tmp_path)
    wait_for(tmp_path, 5)
    process.send_signal(signal.SIGTERM)
    assert "the same command goes on from here" in ended(process, 75)
    assert holders(place) <= before and len(outputs(tmp_path)) >= 5
    ended(begin(place, tmp_path, "--force"))
    assert rows(place).equals(place.whole)


def test_damage_and_ceilings_are_told(place, tmp_path):
    assert "--memory 1MiB" in place.run("web", *ASKED, "--memory", "1MiB", code=2).stderr
    assert "--memory: " in place.run("web", *ASKED, "--memory", "much", code=2).stderr
    process = begin(place, tmp_path)
    wait_for(tmp_path, 30)
    process.kill()
    process.wait()
    for path in outputs(tmp_path):
        path.write_bytes(b"torn")
    assert "is damaged, and was removed" in ended(begin(place, tmp_path, "--force"))
    assert rows(place).equals(place.whole)
