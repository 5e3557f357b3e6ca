"""The life of a file: `bifrost verify` finds every damage and `--repair` brings the registry into line
without touching a byte; `bifrost gc` deletes only what nobody needs, in steps, whoever kills it.

BIFROST_BIN names the program.
"""

import hashlib
import os
import random
import signal
import subprocess
import time
import uuid

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

SOAK = bool(os.environ.get("BIFROST_SOAK"))


@pytest.fixture
def lake(place):
    """A lake with spectra of six tiles, registered."""
    for program in ("dark", "bright"):
        place.run("mock", "--out", place.folder / "archive", "--tiles", 3, "--objects", 20,
                  "--program", program, "--seed", 5)
    place.run("convert", place.folder / "archive")
    place.run("sync")
    return place


def spectra(place):
    """The lake's spectra by tile."""
    found = (place.lake / "spectra").rglob("*.parquet")
    return {path.stem.rsplit("_", 1)[0].removeprefix("iron-main-"): path for path in found}


def relative(place, path):
    return str(path.relative_to(place.lake))


def contents(place):
    """Digest and time of the lake's data: what describes them (datasheet, HATS) names the commit."""
    files = [path for path in (place.lake / "spectra" / "dataset").rglob("*.parquet") if path.is_file()]
    assert files
    return {path: (hashlib.sha256(path.read_bytes()).digest(), path.stat().st_mtime_ns) for path in files}


def flip(path, place):
    """Changes one bit and nothing that a directory shows."""
    times = path.stat()
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)
        file.seek(place)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def rewrite(path, change):
    """Another program writes the file with other rows."""
    table = change(pq.read_table(path))
    tile = path.stem.rsplit("_", 1)[0]
    path.unlink()
    path = path.with_name(f"{tile}_{table.num_rows}.parquet")
    pq.write_table(table, path)
    return path


def wrong(report):
    return {(finding["kind"], finding["path"]) for finding in report["findings"]}


def states(place):
    return dict(place.sql("SELECT path, state FROM file_registry WHERE removed_commit IS NULL"))


def test_a_sound_lake_is_sound(lake):
    report = lake.json("verify", "--deep")
    assert (report["files"], report["files_read"], report["findings"]) == (6, 6, [])
    assert report["bytes_read"] == sum(path.stat().st_size for path in spectra(lake).values())
    assert lake.json("verify")["files_read"] == 0
    lake.run("stage", "run", "snr")
    assert lake.json("verify", "--deep")["files_read"] == 12
    drawn = [lake.json("verify", "--deep", "--sample", 3, "--seed", seed) for seed in (1, 1)]
    assert [(d["files"], d["files_read"], d["seed"]) for d in drawn] == [(12, 3, 1)] * 2
    assert drawn[0]["bytes_read"] == drawn[1]["bytes_read"]
    lake.run("verify", "--sample", 3, code=2)
    assert lake.json("sync")["commit"] is None, "verification changes nothing"


def test_what_a_directory_shows_is_found_and_the_registry_is_brought_into_line(lake):
    files = spectra(lake)
    files["dark-10000"].unlink()
    cut = files["dark-10001"]
    with cut.open("r+b") as file:
        file.truncate(1000)
    stray = cut.with_name("iron-main-backup-10001_0.parquet")
    pq.write_table(pq.read_table(files["dark-10002"]), stray)
    before = contents(lake)
    expected = {
        ("missing", relative(lake, files["dark-10000"])),
        ("changed", relative(lake, cut)),
        ("unknown", relative(lake, stray)),
    }
    assert wrong(lake.json("verify", code=3)) == expected
    assert lake.sql("SELECT count(*) FROM commits") == [(1,)], "nothing was repaired"
    report = lake.json("verify", "--repair", code=3)
    assert wrong(report) == expected | {("damaged", relative(lake, cut))}
    assert len(report["commits"]) == 1
    known = states(lake)
    assert relative(lake, files["dark-10000"]) not in known
    assert known[relative(lake, cut)] == "quarantined" and known[relative(lake, stray)] == "live"
    again = lake.json("verify")
    assert again["findings"] == [] and again["still_quarantined"] == 1
    for _ in range(2):
        synced = lake.json("sync")
        assert (synced["commit"], synced["still_quarantined"]) == (None, 1), "not only when all is compared"
    assert contents(lake) == before


def test_what_only_reading_shows_is_found_and_quarantined(lake):
    """Each file is damaged in another way, and each says so."""
    files = spectra(lake)
    flipped = files["dark-10000"]
    flip(flipped, flipped.stat().st_size // 2)
    doubled = rewrite(files["dark-10001"], lambda t: pa.concat_tables([t.slice(0, 1), t]))
    unsorted = rewrite(files["dark-10002"], lambda t: t.take(list(reversed(range(t.num_rows)))))
    moved = files["bright-10000"].parent.with_name("Npix=10003") / files["bright-10000"].name
    moved.parent.mkdir()
    files["bright-10000"].rename(moved)

    def shifted(table):
        place = table.schema.get_field_index("ra")
        ra = pa.array([(x + 0.5 if x else x) for x in table["ra"].to_pylist()])
        return table.set_column(place, table.schema.field(place), ra)

    astray = rewrite(files["bright-10001"], shifted)
    lake.run("sync")
    assert set(states(lake).values()) == {"live"}, "a sync reads footers only"
    before = contents(lake)
    report = lake.json("verify", "--deep", code=3)
    told = {f["path"]: f["what"] for f in report["findings"] if f["kind"] == "damaged"}
    words = {
        flipped: "not what its checksum states",
        doubled: "1 rows are of an object that an earlier row holds (the first: row 1)",
        unsorted: "are not in the order of _healpix_29",
        moved: "of pixel 10000 and lies in the folder of pixel 10003",
        astray: "have a _healpix_29 that is not that of their ra and dec",
    }
    assert {relative(lake, path) for path in words} == set(told)
    for path, said in words.items():
        assert said in told[relative(lake, path)], path
    assert "lie outside of the pixel" in told[relative(lake, astray)]
    assert set(states(lake).values()) == {"live"}, "nothing was repaired"
    # what is found twice is held twice: in the file, and so in the catalog
    kinds = {(f["kind"], f["path"]) for f in report["findings"]}
    assert ("duplicate", relative(lake, doubled)) in kinds
    report = lake.json("verify", "--deep", "--repair", code=3)
    assert len(report["commits"]) == 1
    known = states(lake)
    assert {path for path, state in known.items() if state == "quarantined"} == {
        relative(lake, path) for path in words}
    reasons = dict(lake.sql("SELECT path, reason FROM file_registry WHERE state = 'quarantined'"))
    assert "checksum" in reasons[relative(lake, flipped)]
    live = lake.sql("SELECT count(*) FROM files")[0][0]
    assert live == 1 and lake.sql("SELECT count(DISTINCT file_id) FROM catalog") == [(1,)]
    assert lake.sql("SELECT count(*) FROM (SELECT target_id FROM catalog GROUP BY 1"
                    " HAVING count(*) FILTER (WHERE is_primary) <> 1) AS x") == [(0,)]
    assert lake.json("verify", "--deep")["findings"] == []
    assert lake.json("sync")["commit"] is None
    assert contents(lake) == before
    # a file that is made again is live again
    lake.run("convert", lake.folder / "archive", "--force")
    assert lake.run("sync", code=0)
    assert states(lake)[relative(lake, flipped)] == "live"


def test_every_bit_of_a_file_is_verified(lake):
    """Wherever a bit flips, it is found: in pages, in the footer, in its length, in the magic."""
    lake.run("stage", "run", "snr")
    derived = next((lake.lake / "snr").rglob("*dark-10000_*.parquet"))
    for path in (spectra(lake)["dark-10000"], derived):
        flip_all_over(lake, path)


def flip_all_over(lake, path):
    whole = path.read_bytes()
    dice = random.Random(3)
    size = len(whole)
    places = [0, 3, 4, size - 1, size - 5, size - 8, size - 9, *dice.sample(range(size), 40 if SOAK else 6)]
    for place in places:
        flip(path, place)
        assert ("damaged", relative(lake, path)) in wrong(lake.json("verify", "--deep", code=3)), place
        flip(path, place)
    assert path.read_bytes() == whole
    assert lake.json("verify", "--deep")["findings"] == []


def test_the_same_objects_in_two_files_are_told(lake):
    files = spectra(lake)
    other = pq.read_table(files["dark-10000"])
    rewrite(files["dark-10001"], lambda table: pa.concat_tables([table, other]))
    lake.run("sync")
    report = lake.json("verify", "--deep", code=3)
    duplicates = [f for f in report["findings"] if f["kind"] == "duplicate"]
    assert len(duplicates) == 1, report["findings"]
    assert f"{other.num_rows} objects are held more than once" in duplicates[0]["what"]
    for tile in ("dark-10000", "dark-10001"):
        assert f"iron-main-{tile}_" in duplicates[0]["what"]


# gc


def replaced(place):
    return sorted((place.lake / ".bifrost" / "replaced").rglob("*.parquet"))


def moved(place):
    return sorted((place.lake / ".bifrost" / "gc").rglob("*.parquet"))


def actions(report):
    return sorted({item["action"] for item in report["items"] if item["kind"] == "replaced"})


@pytest.fixture
def remade(lake):
    """A lake whose files were all made again."""
    lake.run("convert", lake.folder / "archive", "--where", "zwarn = 0")
    lake.run("sync")
    assert len(replaced(lake)) == 6
    return lake


def gone(place):
    return sorted(state for (state,) in place.sql(
        "SELECT state FROM file_registry WHERE removed_commit IS NOT NULL"))


def test_files_go_step_by_step_and_pinned_ones_stay(remade):
    live = contents(remade)
    pinned = remade.sql("SELECT min(file_id) FROM file_registry WHERE state = 'replaced'")[0][0]
    with psycopg.connect(remade.database_url) as connection:
        connection.execute("INSERT INTO snapshot_pins VALUES ('paper', %s)", (pinned,))
    plan = remade.json("gc")
    assert plan["dry_run"] and actions(plan) == ["keep", "mark"]
    assert remade.sql("SELECT count(*) FROM gc_marks") == [(0,)], "a dry run does nothing"
    remade.run("gc", "--apply", "mark")
    assert remade.sql("SELECT count(*) FROM gc_marks") == [(5,)]
    # whatever there is consent to: the grace is not over
    assert actions(remade.json("gc", "--apply", "unlink")) == ["keep", "wait"]
    assert len(replaced(remade)) == 6
    # the grace is over, but there is consent to marks only
    assert actions(remade.json("gc", "--grace", "0s", "--apply", "mark")) == ["keep", "move"]
    assert len(replaced(remade)) == 6
    remade.run("gc", "--grace", "0s", "--apply", "unlink")
    assert (len(replaced(remade)), len(moved(remade))) == (1, 5), "one step a run"
    assert actions(remade.json("gc", "--apply", "unlink")) == ["keep", "wait"], "the second grace"
    assert gone(remade) == ["replaced"] * 6
    remade.run("gc", "--grace", "0s", "--apply", "unlink")
    assert (len(replaced(remade)), len(moved(remade))) == (1, 0)
    assert gone(remade) == ["deleted"] * 5 + ["replaced"]
    assert remade.sql("SELECT count(*) FROM gc_marks") == [(0,)]
    assert contents(remade) == live, "nothing in the lake itself was touched"
    assert remade.json("sync")["commit"] is None
    deleted = remade.sql("SELECT min(file_id) FROM file_registry WHERE state = 'deleted'")[0][0]
    with psycopg.connect(remade.database_url) as connection, pytest.raises(psycopg.Error, match="is deleted"):
        connection.execute("INSERT INTO snapshot_pins VALUES ('late', %s)", (deleted,))
    # once nobody needs it, it goes too
    with psycopg.connect(remade.database_url) as connection:
        connection.execute("DELETE FROM snapshot_pins")
    for _ in range(3):
        remade.run("gc", "--grace", "0s", "--apply", "unlink")
    assert replaced(remade) == [] and gone(remade) == ["deleted"] * 6
    assert remade.run("gc").stdout == "nothing may go\n"


def test_a_file_that_is_pinned_late_comes_back(remade):
    before = replaced(remade)
    for _ in range(2):
        remade.run("gc", "--grace", "0s", "--apply", "move")
    assert len(moved(remade)) == 6
    with psycopg.connect(remade.database_url) as connection:
        connection.execute("INSERT INTO snapshot_pins SELECT 'late', file_id FROM file_registry"
                           " WHERE state = 'replaced'")
    assert actions(remade.json("gc", "--grace", "0s", "--apply", "unlink")) == ["return"]
    assert replaced(remade) == before and moved(remade) == []
    assert actions(remade.json("gc", "--grace", "0s", "--apply", "unlink")) == ["keep"]


def test_a_file_of_whose_end_the_registry_was_not_told_stays(lake):
    """It is pinned as the live version that the registry believes it to be."""
    with psycopg.connect(lake.database_url) as connection:
        connection.execute("INSERT INTO snapshot_pins SELECT 'paper', file_id FROM file_registry")
    lake.run("convert", lake.folder / "archive", "--where", "zwarn = 0")
    before = replaced(lake)
    assert len(before) == 6
    for _ in range(3):
        assert actions(lake.json("gc", "--grace", "0s", "--apply", "unlink")) == ["sync"]
    lake.run("sync")
    assert actions(lake.json("gc", "--grace", "0s", "--apply", "unlink")) == ["keep"]
    assert replaced(lake) == before


def test_notes_and_leftovers_go_too_and_what_is_needed_stays(lake):
    private = lake.lake / ".bifrost"
    (private / "digests").mkdir(exist_ok=True)
    needed = private / "digests" / "iron-main-dark-10000.json"
    unneeded = private / "digests" / "iron-main-dark-77.json"
    part = private / "scratch" / "dr1" / "coadd.fits.part"
    part.parent.mkdir(parents=True)
    for path in (needed, unneeded, part):
        path.write_text("[]")
    plan = lake.json("gc")
    assert [(item["path"], item["kind"]) for item in plan["items"]] == [
        ("digests/iron-main-dark-77.json", "digest"), ("scratch/dr1/coadd.fits.part", "partial")]
    for _ in range(3):
        lake.run("gc", "--grace", "0s", "--apply", "unlink")
    assert needed.exists() and not unneeded.exists() and not part.exists()
    assert lake.json("gc")["items"] == []


def test_whoever_kills_it_no_file_is_half_gone(remade):
    """Every file lies where it lay, or in the folder of what was moved, or was decided on."""
    private = remade.lake / ".bifrost"
    for number in range(300):
        path = private / "replaced" / str(uuid.uuid4()) / f"{number}.parquet"
        path.parent.mkdir()
        path.write_text(str(number))
    [(pinned,)] = remade.sql("SELECT min(file_id) FROM file_registry WHERE state = 'replaced'")
    with psycopg.connect(remade.database_url) as connection:
        connection.execute("INSERT INTO snapshot_pins VALUES ('paper', %s)", (pinned,))
    [(inode,)] = remade.sql("SELECT inode FROM file_registry WHERE file_id = %s", pinned)
    everything = {path.relative_to(private / "replaced") for path in replaced(remade)}
    live = contents(remade)
    dice = random.Random(7)
    command = [os.environ["BIFROST_BIN"], "gc", "--grace", "0s", "--apply", "unlink"]
    for _ in range(200 if SOAK else 25):
        process = subprocess.Popen(command, env=remade.environment, cwd=remade.folder,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(dice.uniform(0.03, 0.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        here = {path.relative_to(private / "replaced") for path in replaced(remade)}
        there = {path.relative_to(private / "gc" / "replaced") for path in moved(remade)}
        assert not here & there
        assert any(path.stat().st_ino == inode for path in [*replaced(remade), *moved(remade)])
        decided = {path.removeprefix("replaced/") for (path,) in remade.sql(
            "SELECT path FROM gc_marks WHERE step <> 'unlinking'")}
        lost = {str(path) for path in everything - here - there}
        assert not lost & decided, "what is gone was decided on, and is known to be gone"
    for _ in range(3):
        remade.run("gc", "--grace", "0s", "--apply", "unlink")
    assert [path.stat().st_ino for path in replaced(remade)] == [inode] and moved(remade) == []
    assert remade.sql("SELECT count(*) FROM gc_marks") == [(0,)]
    assert gone(remade) == ["deleted"] * 5 + ["replaced"]
    assert contents(remade) == live
