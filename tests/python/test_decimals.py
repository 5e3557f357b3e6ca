"""Decimal columns, as DuckDB makes of `1.5` and Postgres of `numeric`: questions about them find DuckDB's rows.

BIFROST_BIN names the program.
"""

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import new_place


@pytest.fixture(scope="module")
def lake():
    with new_place() as place:
        folder = place.lake / "magnitudes"
        folder.mkdir(parents=True)
        duck = duckdb.connect()
        rows = """SELECT i AS row_id, (39627800000000000 + i)::DECIMAL(20, 0) AS targetid,
            CASE WHEN i % 7 = 0 THEN NULL ELSE (i % 400 - 200) / 8 END::DECIMAL(9, 3) AS mag,
            (i / 1000)::DECIMAL(4, 1) AS small, (i * 1.25)::DECIMAL(38, 20) AS wide FROM range({}, {}) AS r (i)"""
        for number in range(3):
            duck.sql(rows.format(1000 * number, 1000 * number + 900)).write_parquet(str(folder / f"{number}.parquet"))
        whole = pq.read_table(folder / "0.parquet")
        written = [("integers", {"store_decimal_as_integer": True}), ("bytes", {})]
        for number, (name, options) in enumerate(written, 1):
            moved = pa.array([10_000 * number + value for value in whole["row_id"].to_pylist()])
            pq.write_table(whole.set_column(0, "row_id", moved), folder / f"{name}.parquet", row_group_size=100, **options)
        place.run("sync")
        place.duck = duck.sql(f"SELECT * FROM read_parquet('{folder}/*.parquet')")
        yield place


@pytest.mark.parametrize(
    "question",
    [
        "mag > 20.125",
        "mag = -17.5",
        "mag <> 3 AND mag BETWEEN 2.9999 AND 3.1251",
        "mag IN (1.5, 2.125, 2.1250001, 99999)",
        "mag NOT IN (1.5, NULL)",
        "NOT (mag < 24.8)",
        "mag IS NULL AND small = 0.7",
        "wide >= 1124.99999999999999999999 AND wide < 1e4",
        "small > 2.7 OR small = 1e-1",
        "targetid = 39627800000000001",
        "TARGETID IN (39627800000000001, 39627800000002001, 39627800000000001.5)",
    ],
)
def test_questions_find_duckdbs_rows(lake, question):
    wanted = sorted(row for (row,) in lake.duck.filter(question).project("row_id").fetchall())
    read = ["read", question, "--product", "magnitudes", "--columns", "row_id", "--format", "csv"]
    rows = lake.run(*read, code=0 if wanted else 4).stdout.splitlines()[1:]
    assert sorted(map(int, rows)) == wanted
    answer = lake.json("resolve", question, "--product", "magnitudes", code=0 if wanted else 4)
    assert answer["pruned"]["rows_at_most"] >= len(wanted)


def test_objects_may_have_decimal_numbers(lake):
    rows = lake.read("--product", "magnitudes", "--target-id", "39627800000000003,39627800000002003", "--columns", "row_id")
    assert sorted(rows["row_id"].to_pylist()) == [3, 2003, 10_003, 20_003]


def test_what_is_no_number_is_refused_by_name(lake):
    said = lake.run("resolve", "mag > 'faint'", "--product", "magnitudes", code=2).stderr
    assert "'mag' holds numbers" in said
