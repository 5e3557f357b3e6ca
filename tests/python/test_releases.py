"""Several releases of the same sky in one lake: a question about one names the files of no other, and what
the catalog does not know yet is found all the same.

BIFROST_BIN names the program."""

import shutil
from pathlib import Path

import duckdb
import psycopg
import pyarrow.parquet as pq
import pytest
from conftest import library, new_place

RELEASES = ["iron", "fuji", "loa"]
MIGRATIONS = Path(__file__).parents[2] / "migrations"
MIGRATION = MIGRATIONS / "V18__releases.sql"
ANY_CLASS = MIGRATIONS / "V24__any_class.sql"


@pytest.fixture(scope="module")
def lake():
    """The same six pixels in every release."""
    with new_place() as place:
        for seed, release in enumerate(RELEASES):
            place.run("mock", "--out", place.folder / release, "--release", release, "--tiles", 6, "--objects", 60, "--seed", seed)
            place.run("convert", place.folder / release, "--release", release)
        place.run("sync")
        yield place


def held(lake, condition):
    spectra = f"read_parquet('{lake.lake}/spectra/**/*.parquet', filename = true, hive_partitioning = false, union_by_name = true)"
    return {path for path, in duckdb.sql(f"SELECT DISTINCT filename FROM {spectra} WHERE {condition}").fetchall()}


@pytest.mark.parametrize("quality", ["zwarn = 0", "spectype = 'GALAXY' AND z > 0.3", "z BETWEEN 0.1 AND 0.4", "spectype = 'QSO' AND zwarn = 0"])
def test_a_question_about_a_release_names_its_files(lake, quality):
    conditions = [f"release = '{release}'" for release in RELEASES]
    conditions += ["release IN ('iron', 'loa')", "release <> 'iron'", "release = 'guadalupe'", "release >= 'iron'"]
    found = 0
    with library(lake.database_url) as asked:
        for condition in conditions:
            question = f"{quality} AND {condition}"
            answer = {file["path"] for file in asked(predicate=question)["resolution"]["files"]}
            truth = held(lake, question)
            assert truth <= answer, question
            assert answer <= held(lake, condition), question
            found += len(truth)
    assert found > 20


def test_the_migration_names_releases_as_the_program_does(lake):
    """Registries that are older learn the same numbers."""
    function = MIGRATION.read_text().split("CREATE FUNCTION ")[1].split("UPDATE ")[0]
    with psycopg.connect(lake.database_url) as connection:
        connection.execute(f"CREATE FUNCTION pg_temp.{function}")
        told = connection.execute(
            "SELECT f.release, x.cells[cardinality(x.cells)], pg_temp.release_cell(f.release), pg_temp.release_cell(NULL)"
            " FROM file_cells x JOIN file_registry f USING (file_id)"
        ).fetchall()
    assert len({row[:2] for row in told}) == len(RELEASES) < len(told) == 18
    assert all(ours == theirs and none == 4095 for _, ours, theirs, none in told)


def test_the_migration_adds_cells_of_any_class_as_the_program_does(lake):
    """What a file would have had before it, and has after."""
    function = ANY_CLASS.read_text().split("CREATE FUNCTION ")[1].split("-- ")[0]
    with psycopg.connect(lake.database_url) as connection:
        connection.execute(f"CREATE FUNCTION pg_temp.{function}")
        told = connection.execute(
            "SELECT x.cells, pg_temp.with_any_class(ARRAY(SELECT c FROM unnest(x.cells) c"
            " WHERE c NOT BETWEEN 2048 AND 2303)) FROM file_cells x"
        ).fetchall()
    assert len(told) == 18 and all(ours == theirs for ours, theirs in told)
    assert all(sum(2048 <= cell < 2304 for cell in ours) > 1 for ours, _ in told)


def test_files_that_come_later_are_found(lake):
    """By a process that knew that the catalog held all files."""
    path = next((lake.lake / "spectra").rglob("*.parquet"))
    some = pq.read_table(path, columns=["target_id"]).column(0).to_pylist()[:5]
    with library(lake.database_url) as ask:
        def files():
            return {file["path"] for file in ask(target_ids=some)["resolution"]["files"]}

        before = [files(), files()]
        assert before[0] == before[1] != set()
        copy = path.with_name("by-somebody-else.parquet")
        shutil.copy(path, copy)
        lake.run("sync", "--no-catalog")
        assert files() == files() == before[0] | {str(copy)}
        copy.unlink()
        lake.run("sync")
        assert files() == files() == before[0]
