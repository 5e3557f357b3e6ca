"""What is told before anything is read adds up: about how many rows match, which step left how many files.

Two programs over the same pixels, one of which has no tiles around it, and signal-to-noise of some of them.
BIFROST_BIN names the program.
"""

import json

import pytest
from conftest import library, new_place

OBJECTS = 400


@pytest.fixture(scope="module")
def lake():
    with new_place() as place:
        small = ["--rrdetails", "small", "--no-resolution", "--tiles", 4, "--objects", OBJECTS]
        for seed, program in enumerate(["dark", "bright"]):
            place.run("mock", "--out", place.folder / "archive", "--seed", seed, "--program", program, *small)
        place.run("convert", place.folder / "archive", "--group-rows", 64)
        place.run("sync")
        place.run("stage", "run", "snr", "iron-main-dark-10000")
        yield place


def told(place, *question):
    """The answer, checked against itself."""
    answer = json.loads(place.run("resolve", *question, "--explain", "--json").stdout)
    pruned = answer["pruned"]
    explained = pruned["explained"]
    steps = [step["files"] for step in explained["steps"]]
    assert steps == sorted(steps, reverse=True), explained
    assert steps[-1] == pruned["files"] == len(answer["files"]), explained
    assert 0 <= explained["rows_estimated"] <= pruned["rows_at_most"], pruned
    assert pruned["row_groups"] == sum(len(file["row_groups"]) for file in answer["files"])
    assert pruned["row_groups"] <= pruned["row_groups_in_files"]
    return explained["rows_estimated"], answer


def test_the_plan_is_of_the_statement_that_the_question_makes(lake):
    with library(lake.database_url) as ask:
        def plan(**question):
            return "\n".join(ask(plan=True, **question)["plan"])

        assert "file_cells_cells" in plan(predicate="z > 6")
        deep = plan(predicate="zwarn = 0 AND z > 6")
        assert "z_max >= $" in deep and "zwarn_max >= $" in deep and "zwarn" not in plan(predicate="z > 6")
        assert "healpix <= p" in plan(cone="252.7,45.9,0.2")
        objects = {"target_ids": [39633171331491934]}
        ask(**objects)
        assert "catalog_rows" in plan(**objects)


@pytest.mark.parametrize(
    "question",
    [
        "spectype = 'QSO' AND zwarn = 0",
        "spectype <> 'STAR'",
        "spectype NOT IN ('STAR', 'QSO') AND zwarn = 0",
        "NOT (zwarn = 0)",
        "zwarn = 0 AND (spectype = 'QSO' OR z > 1.2)",
        "z < 0.3 OR z > 1.1",
        "z BETWEEN 0.2 AND 0.4 OR spectype = 'QSO' AND z BETWEEN 1 AND 2",
        "NOT (spectype = 'GALAXY' AND z < 0.5)",
        "(spectype = 'QSO') IS NOT TRUE",
    ],
)
def test_rows_are_estimated_whatever_the_condition(lake, question):
    estimated, _ = told(lake, question)
    rows = lake.read(question, "--columns", "target_id").num_rows
    assert rows > 20
    assert abs(estimated - rows) <= 0.2 * rows + 5, (question, estimated, rows)


@pytest.mark.parametrize(
    "region",
    [
        ("--cone", "252.7,45.9,0.4"),
        ("--cone", "253.5,46.2,2"),
        ("--box", "252,253,45,46"),
        ("--box", "252,253,45,46", "--cone", "252.7,45.9,0.4"),
    ],
)
def test_rows_in_a_region_are_those_of_every_program_and_of_pixels_that_are_there(lake, region):
    estimated, answer = told(lake, *region)
    assert {"dark", "bright"} == {file["path"].split("-")[-2] for file in answer["files"]}
    rows = lake.read(*region, "--columns", "target_id").num_rows
    assert rows > 60
    # tiles are not filled evenly
    assert abs(estimated - rows) <= 0.35 * rows, (region, estimated, rows)


def test_a_listed_object_is_about_one_row(lake):
    ids = lake.read("z > 1.5", "--columns", "target_id")["target_id"].to_pylist()[:5]
    estimated, answer = told(lake, f"target_id IN ({', '.join(map(str, ids))})")
    assert answer["files"] and 1 <= estimated <= 5


def test_files_without_the_other_product_are_in_no_count(lake):
    alone, whole = told(lake, "zwarn = 0")
    estimated, answer = told(lake, "zwarn = 0 AND snr_r > -1e9")
    assert len(whole["files"]) == 8 and len(answer["files"]) == 1
    assert answer["pruned"]["unaligned"] == 7
    assert answer["pruned"]["row_groups_in_files"] == answer["pruned"]["row_groups"] > 1
    assert 0 < estimated < alone / 4
    last = answer["pruned"]["explained"]["steps"][-1]
    assert last == {"by": "files of other products beside them", "files": 1}


def test_before_the_first_commit_there_was_nothing(lake):
    ended = lake.run("resolve", "z > 0", "--as-of", 0, code=4)
    assert "the registry had no files at commit 0" in ended.stderr and "bifrost sync" not in ended.stderr
