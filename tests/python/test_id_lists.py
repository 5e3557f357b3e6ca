"""Lists of TARGETIDs, asked by one process again and again: two connections look up half of them each.

BIFROST_BIN names the program; `ask`, built from the library's examples, lies beside it.
"""

import random
import shutil
from concurrent.futures import ThreadPoolExecutor

import pyarrow.parquet as pq
import pytest
from conftest import library, new_place

QUESTIONS = 300
COMMITS = 8


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
