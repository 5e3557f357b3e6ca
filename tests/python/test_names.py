"""Columns whose names differ in case only: a name in double quotes means itself, as in Postgres.

BIFROST_BIN names the program; the package `bifrost` is installed, or in PYTHONPATH.
"""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bifrost
from conftest import new_place

# in each file, which rows have which z and Z
LOW, HIGH = [0.1, 0.2, 0.3, 0.4], [5.1, 5.2, 5.3, 5.4]
FILES = {
    "both": {"z": LOW, "Z": HIGH, "TARGETID": [1, 2, 3, 4], "target_id": [5, 6, 7, 8]},
    "turned": {"Z": LOW, "z": HIGH, "TARGETID": [11, 12, 13, 14], "target_id": [15, 16, 17, 18]},
    "upper": {"Z": HIGH, "TARGETID": [21, 22, 23, 24]},
    "lower": {"z": HIGH, "target_id": [35, 36, 37, 38]},
}
ASKED = [
    ('"Z" > 1', ["both", "upper"]),
    ('"z" > 1', ["turned", "upper", "lower"]),
    ("Z > 1", ["turned", "upper", "lower"]),
    ('"Z" > 1 AND "z" < 1', ["both"]),
    ('"Z" < 1 AND z > 1', ["turned"]),
    ('"TARGETID" IN (1, 11, 21)', ["both", "turned", "upper"]),
    ('"target_id" IN (5, 35)', ["both", "lower"]),
    ("TARGETID IN (5, 21, 35)", ["both", "upper", "lower"]),
    ('"Z" IS NULL', ["lower"]),
]


@pytest.fixture(scope="module")
def place():
    with new_place() as place:
        (place.lake / "mine").mkdir(parents=True)
        for name, columns in FILES.items():
            table = pa.table({"name": [name] * 4, **columns})
            pq.write_table(table, place.lake / "mine" / f"{name}.parquet", row_group_size=2)
        place.run("sync")
        yield place


@pytest.mark.parametrize(("asked", "files"), ASKED)
def test_a_name_in_quotes_means_itself(place, asked, files):
    found = place.read(asked, "--product", "mine", "--columns", "name")
    assert set(found.column("name").to_pylist()) == set(files)
    listed = {file["path"].split("/")[-1].removesuffix(".parquet") for file in place.json("resolve", asked, "--product", "mine")["files"]}
    assert listed >= set(files)
    lake = bifrost.open(place.lake, place.database_url)
    again = lake.read(asked, product="mine", columns=["name"]).to_arrow()
    assert sorted(again.column("name").to_pylist()) == sorted(found.column("name").to_pylist())


def test_a_spelling_that_no_column_has_is_told(place):
    said = place.run("resolve", '"zZ" > 1 OR "Name" = \'x\'', "--product", "mine", code=2).stderr
    assert "no column 'Name': did you mean 'name'?" in said
