"""Lists of TARGETIDs, asked by one process again and again: two connections look up half of them each, until the
process has learnt where all objects are.

BIFROST_BIN names the program; `ask`, built from the library's examples, lies beside it.
"""

import random
import shutil
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import library, new_place
from older import older

QUESTIONS = 300
COMMITS = 8
LEARNING = 60


@pytest.fixture(scope="module")
def place():
    with new_place() as place:
        archive = place.folder / "archive"
        for program in ("dark", "bright"):
            place.run("mock", "--out", archive, "--objects", 40, "--tiles", 3, "--seed", 9, "--program", program)
        place.run("convert", archive, "--group-rows", 8)
        place.run("sync")
        yield place


@pytest.fixture(scope="module")
def held(place):
    """TARGETIDs of each file, row group by row group."""
    files = {}
    for path in (place.lake / "spectra").rglob("*.parquet"):
        file = pq.ParquetFile(path)
        groups = range(file.num_row_groups)
        files[str(path)] = [set(file.read_row_group(g, ["target_id"])["target_id"].to_pylist()) for g in groups]
    return files


def truth(held, wanted):
    groups = {path: [n for n, ids in enumerate(groups) if ids & wanted] for path, groups in held.items()}
    return {path: groups for path, groups in groups.items() if groups}


def answers(ask, wanted):
    answer = ask(target_ids=sorted(wanted), detail="files")
    assert "error" not in answer, answer
    return {file["path"]: file["row_groups"] for file in answer["resolution"]["files"]}


def test_commits_in_between_change_no_answer(place, held):
    """Files are replaced by copies all the while; a version that one half knows and the other does not
    would be there without some of its row groups, or twice."""
    ids = sorted(set().union(*(ids for groups in held.values() for ids in groups)))
    dice = random.Random(3)

    def replace():
        for _ in range(COMMITS):
            path = dice.choice(sorted(held))
            shutil.copyfile(path, f"{path}.draft")
            shutil.move(f"{path}.draft", path)
            place.run("sync", "--no-datasheet")

    def ask_for_some(ask, number):
        wanted = set(random.Random(number).sample(ids, 100))
        assert answers(ask, wanted) == truth(held, wanted), number

    (started,) = place.sql("SELECT clock_timestamp()")[0]
    backends = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND backend_start > %s"
    with library(place.database_url) as ask, ThreadPoolExecutor(1) as writer:
        ask_for_some(ask, 0)
        before = place.sql(backends, started)[0][0]
        for number in range(QUESTIONS):
            ask_for_some(ask, number)
        assert place.sql(backends, started) == [(before + 1,)], "who asks often has one more"
        replaced = writer.submit(replace)
        while not replaced.done():
            number += 1
            ask_for_some(ask, number)
        replaced.result()
    assert place.sql("SELECT max(commit_id) FROM commits") == [(1 + COMMITS,)]


@contextmanager
def emptied(place):
    """A catalog without rows, of which no commit tells: who looks there finds nothing."""
    with psycopg.connect(place.database_url, autocommit=True) as connection:
        connection.execute("CREATE TEMP TABLE kept AS SELECT * FROM catalog_rows")
        connection.execute("DELETE FROM catalog_rows")
        yield
        connection.execute("INSERT INTO catalog_rows SELECT * FROM kept")


def test_who_asks_for_lists_often_learns_where_objects_are(place, held):
    """Then no row of the catalog is looked at, until a commit has come, and soon after it again."""
    ids = sorted(set().union(*(ids for groups in held.values() for ids in groups)))
    dice = random.Random(8)
    path = sorted(held)[0]
    away = place.folder / "away.parquet"

    def ask_for_some(ask, count, held=held):
        for _ in range(count):
            wanted = set(dice.sample(ids, dice.choice([32, 60, 100]))) | {5, -7, 1 << 61}
            assert answers(ask, wanted) == truth(held, wanted)

    with library(place.database_url) as ask, library(place.database_url) as seldom:
        ask_for_some(ask, LEARNING)
        ask_for_some(seldom, 20)
        with emptied(place):
            ask_for_some(ask, 20)
            assert answers(ask, ids[:9]) == {} == answers(seldom, ids), "few, and of whom rarely asks, are looked up"
        shutil.move(path, away)
        place.run("sync", "--no-datasheet")
        less = {other: groups for other, groups in held.items() if other != path}
        ask_for_some(ask, 5, less)
        with emptied(place):
            ask_for_some(ask, 20, less)
        shutil.move(away, path)
        place.run("sync", "--no-datasheet")
        ask_for_some(ask, 5)
        with emptied(place):
            ask_for_some(ask, 20)
        # of a file that others wrote bounds alone are asked
        foreign = Path(path).with_name("foreign.parquet")
        held_there = set(ids[::7])
        pq.write_table(pa.table({"target_id": sorted(held_there)}), foreign)
        place.run("sync", "--no-datasheet")
        for _ in range(5):
            wanted = set(dice.sample(ids, 60))
            found = answers(ask, wanted)
            assert bool(wanted & held_there) == (found.pop(str(foreign), None) is not None)
            assert found == truth(held, wanted)
        foreign.unlink()
        place.run("sync", "--no-datasheet")
        ask_for_some(ask, 5)
        with emptied(place):
            ask_for_some(ask, 20)


def unpacked(packed):
    """TARGETIDs and rows, by the words of the migration."""
    (runs,) = struct.unpack_from(">I", packed)
    at, start, objects = 4 + 12 * runs, 0, []
    for run in range(runs):
        brick, end = struct.unpack_from(">qI", packed, 4 + 12 * run)
        for entry in range(start, end):
            value = int.from_bytes(packed[at + 6 * entry : at + 6 * entry + 6])
            objects.append((brick << 22 | value >> 26, value & (1 << 26) - 1))
        start = end
    assert len(packed) == at + 6 * start
    return objects


def test_what_is_packed_is_what_the_catalog_knows(place):
    """Of files that a sync wrote, and of those of an older registry, byte for byte."""
    odd = [-(1 << 63), -5_000_000_000, -7, 0, 2_305_843_019_946_942_000, (1 << 63) - 1]

    def everything():
        packed = dict(place.sql("SELECT file_id, objects FROM file_cells"))
        for file, objects in packed.items():
            known = place.sql("SELECT target_id, row_index FROM catalog_rows WHERE file_id = %s ORDER BY 1, 2", file)
            assert unpacked(objects) == known
        return packed

    packed = everything()
    assert len(packed) == 6
    with psycopg.connect(place.database_url) as connection:
        older(connection)
    place.run("db", "migrate")
    assert everything() == packed
    file = min(packed)
    with psycopg.connect(place.database_url) as connection:
        older(connection)
        for row, target_id in enumerate([*odd, *odd], (1 << 26) - 20):
            connection.execute(
                "INSERT INTO catalog_rows (file_id, target_id, row_index, label_id, is_primary)"
                " SELECT %s, %s, %s, min(label_id), false FROM catalog_labels", [file, target_id, row])
    place.run("db", "migrate")
    assert len(everything()[file]) > len(packed[file])
    with psycopg.connect(place.database_url) as connection:
        older(connection)
        connection.execute("UPDATE catalog_rows SET row_index = 1 << 26 WHERE target_id = -7")
    place.run("db", "migrate")
    assert place.sql("SELECT file_id FROM file_cells WHERE objects IS NULL") == [(file,)], "a row beyond what is packed"
    (real,) = place.sql("SELECT array_agg(DISTINCT target_id) FROM catalog_rows WHERE NOT target_id = ANY (%s)", odd)[0]
    with library(place.database_url) as ask:
        for _ in range(LEARNING):
            assert len(answers(ask, real)) == 6
        with emptied(place):
            assert answers(ask, real) == {}, "looked up, as ever"
    with psycopg.connect(place.database_url) as connection:
        older(connection)
        connection.execute("CREATE TABLE kept AS SELECT * FROM catalog_rows WHERE file_id = %s", [file])
        connection.execute("DELETE FROM catalog_rows WHERE file_id = %s", [file])
    place.run("db", "migrate")
    assert everything()[file] == bytes(4), "without any TARGETID"
    with psycopg.connect(place.database_url) as connection:
        connection.execute("INSERT INTO catalog_rows SELECT * FROM kept")
        connection.execute("DROP TABLE kept")
        connection.execute("DELETE FROM catalog_rows WHERE target_id = ANY (%s)", [odd])
        connection.execute("UPDATE file_cells SET objects = %s WHERE file_id = %s", [packed[file], file])
    assert everything() == packed


def test_other_conditions_count_beside_the_list(place, held):
    """Rows are located by the list alone: what else is asked is held against bounds as ever."""
    redshifts = {}
    for path in held:
        table = pq.read_table(path, columns=["target_id", "z"])
        redshifts |= dict(zip(table["target_id"].to_pylist(), table["z"].to_pylist()))
    some = set(sorted(redshifts)[::3])
    high = {target_id for target_id in some if redshifts[target_id] > 1.5}
    with library(place.database_url) as ask:
        answer = ask(target_ids=sorted(some), predicate="z > 1.5", detail="files")["resolution"]["files"]
        found = {file["path"]: file["row_groups"] for file in answer}
        for path, groups in truth(held, high).items():
            assert set(groups) <= set(found[path])
        assert sum(map(len, found.values())) < sum(map(len, truth(held, some).values()))
        sql = f"SELECT unnest(ARRAY{sorted(some)}::bigint[])"
        one = min(some)
        both = ask(target_ids=[one], sql=sql, detail="files")["resolution"]["files"]
        assert {file["path"] for file in both} == set(truth(held, {one}))
