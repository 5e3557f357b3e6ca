"""`bifrost run` as people meet it: one node, several nodes, and everything that dies meanwhile."""

import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import psycopg
import pytest
from archive_server import server
from catalogs import check as check_catalog
from conftest import Place, new_place

SOAK = bool(os.environ.get("BIFROST_SOAK"))
LEASE_S = 1.0
RELEASE = "dr1/spectro/redux/iron"


class Archive:
    """Mock tiles behind a web server."""

    def __init__(self, place, pixels, programs=("dark", "bright")):
        self.place = place
        self.folder = place.folder / "archive"
        self.programs = programs
        for program in programs:
            place.run("mock", "--out", self.folder / RELEASE, "--tiles", pixels, "--objects", 5,
                      "--program", program, "--seed", 3)
        self.server = server(self.folder)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.tiles = pixels * len(programs)

    def list(self):
        keys = sorted(str(p.relative_to(self.folder)) for p in self.folder.rglob("coadd-*.fits"))
        path = self.place.folder / "list"
        path.write_text("\n".join(keys))
        return path

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def archive(place):
    made = Archive(place, 3)
    place.lake.mkdir()
    place.run("sync")
    place.run("inventory", made.list(), "--archive", made.url)
    yield made
    made.close()


def lines(ended):
    return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.mark.parametrize("arrays", ["hdf5", "both"])
def test_spectra_stores_are_published_with_their_tiles(place, archive, arrays):
    end = lines(place.run("run", "--archive", archive.url, "--arrays", arrays, "--json"))[-1]
    assert end["end"] == "complete" and end["failed"] == 0 and end["made"] == archive.tiles
    stores = list((place.lake / "spectra-h5").rglob("*.h5"))
    assert len(stores) == archive.tiles / 2
    # each in the commit of its tiles
    added = place.sql("SELECT substring(path from 'Npix=([0-9]+)'), count(DISTINCT added_commit) FROM file_registry"
                      " WHERE state = 'live' GROUP BY 1")
    assert len(added) == 3 and all(count == 1 for _, count in added), added
    assert {state for (state,) in place.sql("SELECT state FROM store_tiles(1)")} == {"made"}
    assert place.json("sync")["commit"] is None
    assert place.json("verify", "--deep")["findings"] == []
    target, program = place.sql("SELECT target_id, program FROM catalog LIMIT 1")[0]
    found = json.loads(place.run("spectrum", target, "--program", program, "--json").stdout)
    assert found["store"] and len(found["flux"]) > 7000
    assert not list((place.lake / ".bifrost/intents").glob("*"))


@pytest.mark.parametrize("obstacle", [".bifrost/claims/spectra-h5-10001/x", "spectra-h5"])
def test_tiles_whose_spectra_store_cannot_be_made_are_set_aside_as_any_other(place, archive, obstacle):
    obstacle = place.lake / obstacle
    obstacle.parent.mkdir(parents=True, exist_ok=True)
    obstacle.write_text("in the way")
    tries = ["run", "--archive", archive.url, "--arrays", "hdf5", "--tries", 1, "--no-wait", "--json"]
    end = lines(place.run(*tries, code=3))[-1]
    tiles = place.sql("SELECT tile, error FROM failures ORDER BY tile")
    assert end["failed"] == len(tiles) > 0
    records = {}
    for path in (place.lake / ".bifrost/quarantine").iterdir():
        records[path.stem] = "; ".join(json.loads(path.read_text())["reasons"])
    assert records == dict(tiles)
    datasheet = (place.lake / "DATA_README.md").read_text()
    assert all(tile in datasheet for tile in records)
    obstacle.unlink()
    if obstacle.name == "x":
        obstacle.parent.rmdir()
    place.run("failures", "--requeue")
    end = lines(place.run(*tries))[-1]
    assert end["end"] == "complete" and end["made"] == len(tiles)
    assert not list((place.lake / ".bifrost/quarantine").iterdir())
    assert {state for (state,) in place.sql("SELECT state FROM store_tiles(1)")} == {"made"}
    assert place.json("verify", "--deep")["findings"] == []


def test_a_campaign_fetches_makes_and_publishes_and_a_second_finds_nothing(place, archive):
    planned = place.json("run", "--archive", archive.url, "--dry-run")
    assert (planned["tiles"], planned["pixels"], planned["batches"]) == (6, 3, 1)
    planned = place.json("run", "--dry-run", "--max-batches", 2, "--tiles-per-batch", 2)
    assert (planned["tiles"], planned["pixels"], planned["batches"]) == (4, 2, 2)
    ended = place.run("run", "--archive", archive.url, "--tiles-per-batch", 3, "--json")
    *batches, end = lines(ended)
    assert sum(batch["made"] for batch in batches) == end["made"] == archive.tiles
    assert end["end"] == "complete" and end["failed"] == 0
    assert end["bytes_in"] > end["bytes_out"] > 0
    # the log is JSON where nobody looks on
    assert "began" in [json.loads(line)["message"] for line in ended.stderr.splitlines()]
    files = place.sql("SELECT count(*), sum(num_rows) FROM files")[0]
    assert files[0] == archive.tiles
    assert place.sql("SELECT count(*) FROM catalog")[0][0] == files[1]
    assert not list(place.lake.rglob("coadd-*.fits")), "what was fetched is deleted once it is published"
    assert (place.lake / "DATA_README.md").exists()
    assert len(check_catalog(place.lake / "spectra")) == files[1]
    again = lines(place.run("run", "--archive", archive.url, "--json"))
    assert [(e["event"], e["batches"]) for e in again] == [("end", 0)]
    status = place.json("status")
    assert status["tiles"]["done"] == archive.tiles and status["tiles"]["left"] == 0
    assert place.json("nodes")["nodes"][0]["files"] == archive.tiles
    place.run("failures", code=4)
    # a node that goes by another name holds no file twice
    place.run("--node", "other", "run", "--archive", archive.url)
    assert sum(node["files"] for node in place.json("nodes")["nodes"]) == archive.tiles


@pytest.mark.parametrize("arrays", ["parquet", "hdf5"])
def test_what_the_lake_holds_is_not_brought_again(place, archive, arrays):
    """A registry that was lost, ledger and all: the sum files tell that nothing has to come."""
    run = ("run", "--archive", archive.url, "--arrays", arrays, "--json")
    assert lines(place.run(*run))[-1]["made"] == archive.tiles
    with psycopg.connect(place.database_url) as owner:
        owner.execute("TRUNCATE archive_tiles, campaign_leases CASCADE")
    place.run("db", "rebuild", "--discard")
    place.run("inventory", archive.list(), "--archive", archive.url)
    # one changes in the archive, another in the lake
    place.run("mock", "--out", archive.folder / RELEASE, "--tiles", 1, "--objects", 5, "--program", "dark", "--seed", 4)
    held = sorted((place.lake / "spectra").rglob("*bright*.parquet"))[-1]
    held.write_bytes(b"PAR1 and nothing of it PAR1")
    place.run("sync", code=3)
    *_, end = lines(place.run(*run))
    assert end["end"] == "complete" and end["made"] == archive.tiles
    rows = place.sql("SELECT tile, ended, bytes_fetched FROM attempts")
    assert len(rows) == archive.tiles
    assert [ended for _, ended, fetched in rows if not fetched] == ["unchanged"] * (archive.tiles - 2), rows
    assert [ended for _, ended, fetched in rows if fetched] == ["converted"] * 2, rows
    assert place.json("verify", "--deep")["findings"] == []


def test_what_cannot_be_made_so_is_said_before_anything_begins(place, archive):
    tiles = place.folder / "tiles"
    for named in ("", "main-dark-40000\n"):
        tiles.write_text(named)
        for dry in ((), ("--dry-run",)):
            ended = place.run("run", "--archive", archive.url, "--tiles", tiles, *dry, code=4)
            assert "none of the tiles that were named is there" in ended.stderr and not ended.stdout
    told = place.run("run", "--archive", archive.url, "--only-failed").stdout
    assert f"{archive.tiles} left, 0 failed: nothing is left of what was asked for" in told
    for arguments, words in (
        (("--max-rate", "0"), "--max-rate 0: nothing would ever come"),
        (("--keep-free", "9999TB"), "--keep-free is more than the whole disk of"),
        (("--webhook", "hooks.example.org/T0"), "--webhook takes a URL"),
        (("--hook", "cat", "--milestones", "50,101"), "--milestones takes percentages"),
    ):
        assert words in place.run("run", "--archive", archive.url, *arguments, code=2).stderr
    assert place.sql("SELECT count(*) FROM attempts") == [(0,)]


def test_tiles_of_a_list_are_corrected_aloud_and_those_of_another_production_refused(place, archive):
    tiles = place.folder / "tiles"
    commands = (("run", "--dry-run", "--tiles"), ("fetch", "--dry-run", "--tiles"), ("bench", "http", "--from"))
    for other in ("edr/spectro/redux/fuji/healpix/main/dark/100/10001", "fuji-main-dark-10001"):
        tiles.write_text(f"main-dark-10000\n{other}\n\nnonsense\n")
        for command in commands:
            said = place.run(*command, tiles, "--archive", archive.url, code=2).stderr
            assert f"{tiles}:2: '{other}' is of another production than iron" in said and f"{tiles}:4: " in said
        said = place.run("fetch", "main-dark-10000", other, "--archive", archive.url, code=2).stderr
        assert f"TILE:2: '{other}' is of another production" in said
    tiles.write_text("main-dark-10000\nmain-dark-010001\nedr/spectro/redux/iron/healpix/main/dark/100/10001\n")
    for command in commands:
        said = place.run(*command, tiles, "--archive", archive.url).stderr
        assert f"{tiles}:2: main-dark-010001 → {RELEASE}/healpix/main/dark/100/10001 (wrong zero padding)" in said
        assert f"{tiles}:3: " in said and "(wrong folder, duplicate)" in said
    assert place.json("run", "--dry-run", "--tiles", tiles, "--archive", archive.url)["tiles"] == 2


def test_what_fails_is_explained_told_apart_and_tried_again(place, archive):
    tile = archive.folder / RELEASE / "healpix/main/dark/100/10001"
    good = (tile / "coadd-main-dark-10001.fits").read_bytes()
    # damaged in the archive, with sums that agree
    (tile / "coadd-main-dark-10001.fits").write_bytes(good[:100_000])
    for sums in tile.glob("*.sha256sum"):
        sums.rename(sums.with_suffix(".gone"))
    options = ["--archive", archive.url, "--keep-fits"]
    batch, ended = lines(place.run("run", *options, "--json", code=3))
    assert (ended["made"], ended["failed"]) == (5, 1)
    # what went into those that were made, and came out of them
    made = sorted(path for path in archive.folder.rglob("*.fits") if path.parent != tile)
    assert (batch["files_in"], batch["bytes_in"]) == (15, sum(path.stat().st_size for path in made))
    assert batch["bytes_out"] == sum(path.stat().st_size for path in place.lake.rglob("*.parquet"))
    told = place.json("failures")
    listed = told["failures"]
    assert [(f["tile"], f["outcome"]) for f in listed] == [("iron-main-dark-10001", "corrupt")]
    assert "truncated" in listed[0]["error"] or "cut" in listed[0]["error"], listed
    assert list(told["advice"]) == ["corrupt"]
    assert f"\ncorrupt: {told['advice']['corrupt']}\n" in place.run("failures").stdout
    assert place.json("status")["tiles"]["failed_by"] == {"corrupt": 1}
    metrics = place.run("status", "--metrics").stdout
    assert 'bifrost_tiles{release="iron",state="done"} 5' in metrics
    outcomes = place.sql("SELECT tile, outcome FROM tile_outcomes")
    assert outcomes == [("iron-main-dark-10001", "corrupt")], "the run's own sync tells the registry"
    # nothing is left to do, and it still is no success
    place.run("run", *options, code=3)
    (tile / "coadd-main-dark-10001.fits").write_bytes(good)
    for sums in tile.glob("*.gone"):
        sums.rename(sums.with_suffix(".sha256sum"))
    ended = lines(place.run("run", *options, "--only-failed", "--json"))[-1]
    assert (ended["made"], ended["failed"]) == (1, 0)
    assert place.sql("SELECT count(*) FROM tile_outcomes") == [(0,)]
    ends = place.sql("SELECT ended FROM attempts WHERE tile = 'iron-main-dark-10001' ORDER BY attempt_id")
    assert [end for (end,) in ends] == ["corrupt", "converted"]
    assert list(place.lake.rglob("coadd-*.fits")), "they were to be kept"


def test_what_would_be_tried_again_is_foreseen(place, archive):
    for coadd in sorted(archive.folder.rglob("coadd-*-10001.fits")):
        coadd.write_bytes(coadd.read_bytes()[:100_000])
        for sums in coadd.parent.glob("*.sha256sum"):
            sums.unlink()
    place.run("run", "--archive", archive.url, code=3)
    planned = place.json("run", "--archive", archive.url, "--only-failed", "--dry-run")
    assert (planned["tiles"], planned["pixels"], planned["tiles_failed"]) == (2, 1, 2)
    assert place.sql("SELECT count(*) FROM archive_tiles WHERE state = 'failed'") == [(2,)], "nothing was queued"
    assert place.json("run", "--archive", archive.url, "--dry-run")["tiles"] == 0
    assert lines(place.run("run", "--archive", archive.url, "--only-failed", "--json", code=3))[-1]["failed"] == 2


def test_tiles_that_lost_their_files_are_told_of_and_made_again(place, archive):
    options = ["--archive", archive.url, "--json"]
    place.run("run", *options)
    gone, damaged = (next(place.lake.rglob(f"iron-main-dark-{pixel}_*.parquet")) for pixel in (10000, 10001))
    place.run("failures", code=4)
    content, times = damaged.read_bytes(), damaged.stat()
    gone.unlink()
    damaged.write_bytes(content[:2000] + b"xxxx" + content[2004:])
    os.utime(damaged, ns=(times.st_atime_ns, times.st_mtime_ns))
    place.run("sync")
    place.run("verify", "--deep", "--repair", code=3)
    # nothing is left, and two tiles are nowhere
    assert lines(place.run("run", *options))[-1]["batches"] == 0
    listed = {f["tile"]: f for f in place.json("failures")["failures"]}
    assert {f["state"] for f in listed.values()} == {"lost"} and len(listed) == 2
    assert listed["iron-main-dark-10000"]["error"].endswith("is gone")
    assert "failures --requeue" in listed["iron-main-dark-10001"]["error"]
    shown = place.run("failures").stdout
    assert "0 tiles failed, 2 lost their files" in shown and "\nlost: bring the file or its disk back" in shown
    place.run("failures", "--outcome", "corrupt", code=4)
    assert place.json("run", "--archive", archive.url, "--only-failed", "--dry-run")["tiles"] == 2
    assert place.json("failures", "--requeue")["requeued"] == 2
    assert lines(place.run("run", *options))[-1]["made"] == 2
    ends = place.sql("SELECT tile, ended FROM attempts ORDER BY attempt_id DESC LIMIT 2")
    assert sorted(ends) == [("iron-main-dark-10000", "converted"), ("iron-main-dark-10001", "converted")]
    assert place.sql("SELECT count(*) FROM files") == [(archive.tiles,)]
    assert damaged.read_bytes()[:3000] == content[:3000], "its footer tells of other times"
    assert place.json("verify", "--deep")["still_quarantined"] == 0
    place.run("failures", code=4)


def test_tries_that_are_repeated_are_no_progress(place, archive):
    archive.server.shutdown()
    archive.server.server_close()  # the connection is refused
    place.run("run", "--archive", archive.url, "--tries", 2, "--retry-pause", 0.1, "--retries", 1, "--backoff", 0.1, code=3)
    status = place.json("status")
    assert status["tiles"]["failed_by"] == {"archive_error": archive.tiles}
    assert (status["nodes"][0]["failed"], status["tiles_per_hour"], status["eta_s"]) == (2 * archive.tiles, 0, None)
    assert "ETA unknown" in place.run("status").stdout


def test_files_of_the_archive_that_no_run_has_brought_stay(place, archive):
    mirror = place.folder / "mirror"
    (place.folder / "bifrost.toml").write_text(f'[fetch]\nout = "{mirror}"\n')
    place.run("fetch", "--archive", archive.url)
    brought = sorted(path for path in mirror.rglob("*") if path.is_file())
    listed = place.folder / "listed"
    listed.write_text("iron-main-dark-10000\n")
    place.run("run", "--archive", archive.url, "--tiles", listed)
    assert [path for path in brought if "main-dark-10000" in path.name and path.exists()] == []
    # the rest is another node's: nothing of it is this one's to make
    place.sql("UPDATE archive_tiles SET state = 'absent' WHERE state = 'queued' RETURNING 1")
    place.run("run", "--archive", archive.url)
    rest = [path for path in brought if "main-dark-10000" not in path.name and "dark_100_10000" not in path.name]
    assert len(rest) > 10 and all(path.exists() for path in rest)


def test_what_another_node_made_since_is_no_failure_of_this_lake_any_more(place):
    archive = Archive(place, 1, programs=["dark"])
    place.lake.mkdir()
    place.run("sync")
    place.run("inventory", archive.list(), "--archive", archive.url)
    alpha, beta = (Node(place, archive, name) for name in ("alpha", "beta"))
    (coadd,) = archive.folder.rglob("coadd-*.fits")
    content = coadd.read_bytes()
    try:
        coadd.write_bytes(content[:100_000])
        alpha.place.run("run", "--archive", archive.url, "--tries", 1, code=3)
        assert place.sql("SELECT count(*) FROM tile_outcomes") == [(1,)]
        coadd.write_bytes(content)
        place.run("failures", "--requeue")
        beta.place.run("run", "--archive", archive.url)
        alpha.place.run("sync")
        assert place.sql("SELECT count(*) FROM tile_outcomes") == [(0,)]
        # what fails after it was made is news
        coadd.write_bytes(content[:100_000])
        alpha.place.run("convert", archive.folder / RELEASE, code=3)
        alpha.place.run("sync")
        assert place.sql("SELECT count(*) FROM tile_outcomes") == [(1,)]
    finally:
        for node in (alpha, beta):
            node.close()
        archive.close()


def test_a_run_that_is_told_to_stop_gives_its_leases_back(place, archive):
    archive.server.shutdown()  # nobody answers: tiles stay under way
    command = [os.environ["BIFROST_BIN"], "run", "--archive", archive.url, "--grace", "10"]
    running = subprocess.Popen(command, env=place.environment, cwd=place.folder,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: place.sql("SELECT count(*) FROM campaign_leases WHERE token IS NOT NULL")[0][0])
    assert place.run("run", "--archive", archive.url, code=75).stderr.count("another run") == 1
    running.send_signal(signal.SIGTERM)
    assert running.wait(timeout=60) == 75
    assert place.sql("SELECT count(*) FROM campaign_leases WHERE token IS NOT NULL") == [(0,)]
    assert place.sql("SELECT DISTINCT ended FROM attempts") == [("released",)]
    assert place.sql("SELECT state FROM campaign_nodes") == [("left",)]
    threading.Thread(target=archive.server.serve_forever, daemon=True).start()
    assert lines(place.run("run", "--archive", archive.url, "--json"))[-1]["made"] == archive.tiles


def wait_until(condition, timeout_s=60):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


class Wire:
    """A way to the registry that can be cut: what is sent meanwhile arrives later."""

    def __init__(self, url, folder):
        (host,) = re.findall(r"host=([^&]+)", url)
        folder.mkdir()
        self.url = url.replace(host, str(folder))
        self.there = str(Path(host) / ".s.PGSQL.5432")
        self.whole = threading.Event()
        self.whole.set()
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(str(folder / ".s.PGSQL.5432"))
        self.listening.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                here, _ = self.listening.accept()
                threading.Thread(target=self.join, args=(here,), daemon=True).start()

    def join(self, here):
        there = socket.socket(socket.AF_UNIX)
        try:
            there.connect(self.there)
        except OSError:
            here.close()  # the server is down
            return
        threading.Thread(target=self.pump, args=(there, here), daemon=True).start()
        self.pump(here, there)

    def pump(self, from_, to):
        with contextlib.suppress(OSError):
            while data := from_.recv(1 << 16):
                self.whole.wait()
                to.sendall(data)
        for end in (from_, to):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def cut(self, seconds):
        self.whole.clear()
        time.sleep(seconds)
        self.whole.set()


class Node:
    """A process with a lake of its own, which is started again whenever it died."""

    def __init__(self, hub, archive, name):
        self.name, self.archive = name, archive
        self.place = Place(hub.folder, hub.database_url)
        self.place.lake = hub.folder / name
        self.wire = Wire(hub.database_url, hub.folder / f"wire-{name}")
        self.place.environment.update(
            BIFROST_LAKE=str(self.place.lake), BIFROST_NODE=name, BIFROST_DATABASE_URL=self.wire.url
        )
        self.log = (hub.folder / f"{name}.log").open("ab")
        self.process = None

    def start(self):
        if self.process and self.process.poll() is None:
            return
        self.process = subprocess.Popen(self.command(), env=self.place.environment,
                                        cwd=self.place.folder, stdout=self.log, stderr=self.log)

    def command(self):
        words = [os.environ["BIFROST_BIN"], "run", "--archive", self.archive.url,
                 "--lease", LEASE_S, "--tiles-per-batch", 2, "--jobs", 1, "--retry-pause", 0.1,
                 "--grace", 3, "--retries", 3, "--backoff", 0.1]
        return [str(word) for word in words]

    def send(self, number):
        if self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self):
        if self.process:
            self.send(signal.SIGKILL)
            self.process.wait()

    def close(self):
        self.kill()
        self.wire.listening.close()

    def files(self):
        return sorted(p.name for p in self.place.lake.glob("spectra/dataset/*/*/*/*.parquet"))


@contextlib.contextmanager
def private_place():
    """A place with a server of its own, which may be restarted."""
    server_of_all = os.environ.pop("BIFROST_TEST_DATABASE_URL", None)
    try:
        with new_place() as place:
            yield place
    finally:
        if server_of_all:
            os.environ["BIFROST_TEST_DATABASE_URL"] = server_of_all


@pytest.mark.parametrize("seed", range(12 if SOAK else 1))
def test_three_nodes_killed_paused_cut_off_and_robbed_of_their_registry(seed):
    dice = random.Random(seed)
    with private_place() as hub:
        archive = Archive(hub, 150 if SOAK else 30)
        hub.lake.mkdir()
        hub.run("sync")
        hub.run("inventory", archive.list(), "--archive", archive.url)
        nodes = [Node(hub, archive, name) for name in ("alpha", "beta", "gamma")]
        try:
            torment(hub, nodes, dice, rounds=8 if SOAK else 2)
            for node in nodes:
                node.send(signal.SIGCONT)
                finish(node)
        finally:
            for node in nodes:
                node.kill()
            archive.close()
        for node in nodes:
            node.place.run("sync")
            node.close()
        check(hub, nodes, archive.tiles)


def torment(hub, nodes, dice, rounds):
    """Everything that can happen happens to somebody, in any order, again and again."""
    for node in nodes:
        node.start()
    events = ["kill", "kill", "kill", "pause", "pause", "partition",
              "partition", "terminate", "restart the registry"] * rounds
    dice.shuffle(events)
    for event in events:
        time.sleep(dice.uniform(0.05, 0.7))
        for node in nodes:
            node.start()
        victim = dice.choice(nodes)
        match event:
            case "kill":
                victim.kill()
            case "pause":
                victim.send(signal.SIGSTOP)
                time.sleep(LEASE_S * dice.uniform(0.5, 2.5))
                victim.send(signal.SIGCONT)
            case "partition":
                victim.wire.cut(LEASE_S * dice.uniform(0.5, 3))
            case "terminate":
                victim.send(signal.SIGTERM)
            case _:
                hub.run("db", "down")
                time.sleep(dice.uniform(0, 1))
                hub.run("db", "up")


def finish(node):
    """Lets it run to its end; it may just be stopping, because it was told to."""
    for _ in range(3):
        node.start()
        if node.process.wait(timeout=600) == 0:
            return
    raise AssertionError(log_of(node))


def test_a_node_that_dies_for_good_is_stood_in_for_and_one_that_is_forgotten_may_come_back(place):
    archive = Archive(place, 12, programs=["dark"])
    place.lake.mkdir()
    place.run("sync")
    place.run("inventory", archive.list(), "--archive", archive.url)
    alpha, beta = (Node(place, archive, name) for name in ("alpha", "beta"))
    live = "SELECT count(*) FROM files WHERE node = '{}'"
    try:
        alpha.start()
        wait_until(lambda: place.sql(live.format("alpha"))[0][0] >= 2)
        alpha.kill()
        place.run("nodes", "forget", "alpha", code=2)  # it may only be slow
        finish(beta)
        # what the dead one had made stays where it is
        (alphas,), = place.sql(live.format("alpha"))
        assert alphas >= 2 and place.sql(live.format("beta")) == [(12 - alphas,)]
        told = place.json("nodes", "forget", "alpha")
        assert (told["files_missing"], told["tiles_queued_again"]) == (alphas, alphas)
        finish(beta)
        assert place.sql(live.format("beta")) == [(12,)]
        # it comes back after all: nothing is left to do, and its files are others' now
        finish(alpha)
    finally:
        for node in (alpha, beta):
            node.close()
        archive.close()
    assert alpha.files() == []
    assert place.sql(live.format("beta")) == [(12,)]
    assert place.sql("SELECT count(*) FROM campaign_set_aside") == [(0,)]
    kept = list((alpha.place.lake / ".bifrost" / "replaced").rglob("*.parquet"))
    assert len(kept) >= alphas, "nothing is deleted"


def log_of(node):
    return Path(node.log.name).read_text()[-4000:]


def check(hub, nodes, tiles):
    """One live file a tile, in the registry as in the lakes, and every try explained."""
    live = hub.sql("SELECT node, path, num_rows FROM files")
    per_tile = hub.sql("SELECT count(*), count(DISTINCT (survey, program, healpix)) FROM files")
    assert per_tile == [(tiles, tiles)]
    by_node = {node.name: sorted(Path(p).name for n, p, _ in live if n == node.name) for node in nodes}
    assert by_node == {node.name: node.files() for node in nodes}
    assert hub.sql("SELECT state, count(*) FROM archive_tiles GROUP BY state") == [("done", tiles)]
    made = "SELECT count(*) FROM attempts WHERE ended IN ('converted', 'unchanged', 'empty')"
    assert hub.sql(made) == [(tiles,)], "each tile is made once"
    assert hub.sql("SELECT count(*) FROM attempts WHERE ended_at IS NULL") == [(0,)]
    for left in ("campaign_intents", "campaign_store_intents", "campaign_set_aside", "campaign_leases WHERE token IS NOT NULL"):
        assert hub.sql(f"SELECT count(*) FROM {left}") == [(0,)], left
    assert hub.sql("SELECT count(*) FROM file_registry WHERE fault IS NOT NULL") == [(0,)]
    assert hub.sql("SELECT count(*) FROM catalog") == [(sum(rows for _, _, rows in live),)]
    if SOAK:
        tries = "SELECT ended, count(*) FROM attempts GROUP BY ended ORDER BY ended"
        told = ", ".join(f"{count} {ended}" for ended, count in hub.sql(tries))
        shares = ", ".join(f"{name} {len(files)}" for name, files in by_node.items())
        print(f"{tiles} tiles ({shares}); tries: {told}")
