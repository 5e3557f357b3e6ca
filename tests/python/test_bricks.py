"""TARGETIDs that name a brick of the sky: a lake without catalog is asked for objects by where they lie,
and never misses a file, whatever ids say.

BIFROST_BIN names the program. BIFROST_SOAK=1 asks ten times as many questions."""

import json
import os
import random
import subprocess
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table
from conftest import new_place
from pyarrow import csv as pacsv

TRIALS = 200 if os.environ.get("BIFROST_SOAK") else 20
SHARED = Path(os.environ.get("BIFROST_SHARED", Path(__file__).parents[3] / "shared"))
FIXTURES = SHARED / "fixtures"
BRICK = 2**22


def lie(folder):
    """Gives one good target of every tile an id that names another brick, in all of its files."""
    for tile in {path.parent for path in folder.rglob("coadd-*.fits")}:
        with fits.open(next(tile.glob("coadd-*.fits"))) as file:
            ids = file["FIBERMAP"].data["TARGETID"][file["FIBERMAP"].data["OBJTYPE"] == "TGT"]
        liar = int(ids[ids > 0][0])
        for path in tile.glob("*.fits"):
            with fits.open(path, mode="update") as file:
                for hdu in file:
                    if isinstance(hdu, fits.BinTableHDU) and "TARGETID" in hdu.columns.names:
                        told = hdu.data["TARGETID"]
                        told[told == liar] = liar + 1000 * BRICK


@pytest.fixture(scope="module")
def lake():
    """Tiles whose ids name their bricks, and tiles with ids that lie."""
    with new_place() as place:
        for folder, first in [("sound", 10000), ("lying", 10040)]:
            place.run("mock", "--out", place.folder / folder, "--tiles", 8, "--first", first, "--objects", 40,
                      "--rrdetails", "small", "--no-resolution", "--no-checksum", "--edge", "no_sha256")  # fmt: skip
        lie(place.folder / "lying")
        for folder in ("sound", "lying"):
            place.run("convert", place.folder / folder)
        place.run("sync", "--no-catalog")
        yield place


def rows(lake):
    """TARGETID, file, position of every row."""
    spectra = f"read_parquet('{lake.lake}/spectra/**/*.parquet', filename = true, hive_partitioning = false)"
    return duckdb.sql(f"SELECT target_id, filename, ra, dec FROM {spectra}").fetchall()


def ask(lake, ids, *more):
    """Files of the answer."""
    command = [os.environ["BIFROST_BIN"], "resolve", "--json", "--target-id", ",".join(map(str, ids)), *more]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=lake.folder, env=lake.environment)
    assert ended.returncode in (0, 4), ended.stderr
    return {file["path"] for file in json.loads(ended.stdout)["files"]}


def test_files_say_whether_their_ids_name_their_bricks(lake):
    counted = dict(lake.sql("SELECT off_brick, count(*) FROM file_registry WHERE state = 'live' GROUP BY off_brick"))
    assert counted == {0: 8, 1: 8}
    for path in (lake.lake / "spectra").rglob("*.parquet"):
        stated = int(pq.read_metadata(path).metadata[b"bifrost.off_brick"])
        about = pq.read_table(path, columns=["target_id", "ra", "dec"]).to_pydict()
        off = sum(not near(*row) for row in zip(about["target_id"], about["ra"], about["dec"], strict=True))
        assert stated == off, path


def near(target_id, ra, dec):
    """Whether a position lies in the brick that an id names, or within an arc minute."""
    number = target_id // BRICK % 2**20
    first = 1
    for row in range(721):
        south, north = -90.125 + row / 4, -89.875 + row / 4
        width = 1 if row in (0, 720) else int(np.ceil(1440 * np.cos(np.radians(abs(south + 0.125) - 0.125)) / 2)) * 2
        if number < first + width:
            west = (number - first) * 360 / width
            margin = 1 / 60 / np.cos(np.radians(max(abs(south), abs(north)) + 1 / 60))
            return west - margin <= ra <= west + 360 / width + margin and south - 1 / 60 <= dec <= north + 1 / 60
        first += width
    raise AssertionError(number)


def test_a_few_files_are_left_and_none_is_missed(lake):
    rng = random.Random(1)
    held = rows(lake)
    ids = [row[0] for row in held]
    kept = holding = 0
    for _ in range(TRIALS):
        asked = rng.sample(ids, rng.randint(1, 3))
        # ids that name nothing, or what is not there
        asked += rng.sample([-5, 7, 2305843019946942000, 39_633_166_985_594_090, rng.choice(ids) + 1], rng.randint(0, 2))
        truth = {file for target_id, file, *_ in held if target_id in asked}
        found = ask(lake, asked)
        assert truth <= found, asked
        kept, holding = kept + len(found), holding + len(truth)
    files = len({row[1] for row in held})
    assert holding < kept < TRIALS * files / 2, (holding, kept, files)
    # one object of a tile whose ids name their bricks
    sound = {path for (path,) in lake.sql("SELECT l.root || '/' || f.path FROM file_registry f JOIN lakes l USING (lake_id) WHERE f.off_brick = 0")}
    one = next(row for row in held if row[1] in sound)
    assert len(ask(lake, one[:1]) & sound) <= 4
    assert ask(lake, one[:1], "--as-of", "1") == ask(lake, one[:1])


def test_ids_that_lie_are_found(lake):
    """A file whose ids lie is asked for all of them."""
    lying = [path for path, in lake.sql("SELECT path FROM file_registry WHERE state = 'live' AND off_brick > 0")]
    held = rows(lake)
    assert lying
    for target_id, file, ra, dec in held:
        if not near(target_id, ra, dec):
            assert file in ask(lake, [target_id])


@pytest.mark.skipif(not FIXTURES.exists(), reason="the archive's own files are not here")
def test_real_targets_lie_in_the_bricks_that_they_name():
    looked = set()
    for name in ("coadd-sv3-dark-26065.fits", "coadd-4-80613-thru20210324.fits", "redrock-test.fits"):
        with fits.open(FIXTURES / name) as file:
            table = file["FIBERMAP"].data
            for row in table:
                if row["TARGETID"] > 0:
                    assert near(int(row["TARGETID"]), row["TARGET_RA"], row["TARGET_DEC"]), row["TARGETID"]
                    looked.add(int(row["TARGETID"]))
    assert len(looked) == 7


def test_ids_come_from_a_file_or_from_standard_input(lake):
    held = rows(lake)
    asked = [row[0] for row in held[::7]]
    truth = sorted(row[0] for row in held if row[0] in set(asked))
    path = lake.folder / "ids.txt"
    path.write_text("".join(f"{number}\n\n" for number in asked))
    more = ["--columns", "target_id", "--format", "csv"]
    found = lake.run("read", "--target-ids", path, *more).stdout.split()[1:]
    assert sorted(map(int, found)) == truth
    command = [os.environ["BIFROST_BIN"], "read", "--target-ids", "-", "--target-id", str(asked[0]), *more]
    piped = subprocess.run(command, input="\n".join(map(str, asked[1:])), capture_output=True, text=True,
                           cwd=lake.folder, env=lake.environment, check=True)  # fmt: skip
    assert sorted(map(int, piped.stdout.split()[1:])) == truth
    ids = np.array(asked, dtype=np.int64)
    table = pa.table({"name": ["x"] * len(ids), "TARGETID": ids})
    forms = {form: lake.folder / f"ids.{form}" for form in ("csv", "parquet", "fits", "bom.csv")}
    pacsv.write_csv(table, forms["csv"])
    forms["bom.csv"].write_bytes(b"\xef\xbb\xbf" + forms["csv"].read_bytes())
    pq.write_table(pa.concat_tables([table, pa.table({"name": ["y"], "TARGETID": pa.nulls(1, pa.int64())})]), forms["parquet"])
    Table({"z": ids * 0.1, "TargetID": ids.astype(np.uint64)}).write(forms["fits"])
    for form, file in forms.items():
        found = lake.run("read", "--target-ids", file, *more).stdout.split()[1:]
        assert sorted(map(int, found)) == truth, form
    Table({"targetid": ids.astype(float)}).write(lake.folder / "f8.fits")
    said = lake.run("resolve", "--target-ids", lake.folder / "f8.fits", code=2).stderr
    assert "column 'TARGETID' of " in said and "holds no integers" in said
    pq.write_table(table.select(["name"]), lake.folder / "names.parquet")
    assert "no column 'target_id', but name" in lake.run("resolve", "--target-ids", lake.folder / "names.parquet", code=2).stderr
    (lake.folder / "none.csv").write_text("targetid\n")
    lake.run("resolve", "--target-ids", lake.folder / "none.csv", code=4)
    path.write_text("39627800000000001\n12x\n")
    assert "line 2 of " in lake.run("resolve", "--target-ids", path, code=2).stderr
    assert "No such file" in lake.run("resolve", "--target-ids", lake.folder / "none.txt", code=2).stderr
    path.write_text("\n")
    lake.run("resolve", "--target-ids", path, code=4)
