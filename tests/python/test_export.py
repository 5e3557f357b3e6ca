"""`bifrost export`: a part of a lake that opens anywhere, with no database, and says where it is from.

BIFROST_BIN names the program.
"""

import json
import shutil
import subprocess

import duckdb
from hats.io.validation import is_valid_catalog
import lsdb
import mlcroissant
import pyarrow.parquet as pq
import pytest
from conftest import new_lake

QUESTION = "z > 1 AND zwarn = 0"


@pytest.fixture(scope="module")
def place():
    with new_lake(3, "snr") as place:
        yield place


def exported(place, *arguments, code=0):
    folder = place.folder / "part"
    shutil.rmtree(folder, ignore_errors=True)
    ended = place.run("export", *arguments, "-o", folder, "--json", code=code)
    return folder, (json.loads(ended.stdout) if code == 0 else ended.stderr)


def test_a_part_opens_with_no_database(place):
    expected = place.read(QUESTION)
    folder, said = exported(place, QUESTION)
    assert said["rows"] == expected.num_rows > 0
    files = sorted((folder / "spectra/dataset").rglob("*.parquet"))
    assert len(files) == said["files"] and sum(path.stat().st_size for path in files) == said["bytes"]
    for path in files:
        assert int(path.stem.rsplit("_", 1)[1]) == pq.ParquetFile(path).metadata.num_rows
    together = {row["target_id"]: row for path in files for row in pq.ParquetFile(path).read().to_pylist()}
    for row in expected.to_pylist():
        assert together[row["target_id"]] == row
    # as anybody opens it
    assert is_valid_catalog(folder / "spectra", strict=True)
    assert sorted(lsdb.open_catalog(folder / "spectra", columns=["target_id"]).compute()["target_id"]) == sorted(together)
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT count(*) FROM '{folder}/spectra/dataset/**/*.parquet'").fetchall()
    assert found == [(expected.num_rows,)]
    field = pq.read_schema(files[0]).field("z")
    assert field.metadata[b"description"]


def test_machines_are_told_what_it_is(place):
    folder, said = exported(place, QUESTION, "--columns", "z,flux,snr_r")
    described = mlcroissant.Dataset(folder / "croissant.json")
    issues = described.metadata.ctx.issues
    assert not issues.errors and not issues.warnings
    [records] = described.metadata.record_sets
    columns = pq.read_schema(next((folder / "spectra/dataset").rglob("*.parquet"))).names
    assert [field.name for field in records.fields] == columns and {"z", "flux", "snr_r"} < set(columns)
    twin = json.loads((folder / "croissant.json").read_text())
    assert twin["identifier"] == said["id"] and "Data Release 1" in twin["citeAs"]


@pytest.mark.parametrize("named", ["z,TARGETID,Z,flux", "flux,z,ra,z,_healpix_29"])
def test_a_column_that_is_named_twice_is_there_once(place, named):
    folder, _ = exported(place, QUESTION, "--columns", named)
    for path in (folder / "spectra/dataset").rglob("*.parquet"):
        names = pq.read_schema(path).names
        assert sorted(names) == ["_healpix_29", "dec", "flux", "ra", "target_id", "z"]
    assert is_valid_catalog(folder / "spectra", strict=True)
    lsdb.open_catalog(folder / "spectra", columns="all").compute()


def test_a_star_is_all_columns(place):
    [starred, all_] = (exported(place, QUESTION, *words)[1] for words in (("--columns", "*"), ()))
    assert starred["version"] == 1 and starred["bytes"] == all_["bytes"]


def test_its_tables_are_tables(place):
    folder, _ = exported(place, "z > 1\nAND program <> 'a|b'", "--cone", "0,0,180")
    lines = (folder / "README.md").read_text().split("\n")
    assert "| condition | `z > 1 AND program <> 'a\\|b'` |" in lines
    for line, following in zip(lines, lines[1:]):
        # in Markdown whatever follows a row belongs to the table
        assert not line.startswith("|") or following.startswith("|") or not following, following


def test_it_can_be_cited_and_replayed(place):
    folder, said = exported(place, QUESTION, "--cone", "0,0,180", "--columns", "z,flux")
    snapshot = json.loads((folder / "resolution.json").read_text())
    assert snapshot["id"] == said["id"] and snapshot["snapshot"]["commit"] == said["commit"]
    assert place.json("replay", folder / "resolution.json", "--deep")["findings"] == []
    sheet = (folder / "README.md").read_text()
    for words in (said["id"], QUESTION, "0,0,180", "CC BY 4.0", "arXiv:2503.14745", "| `flux` |", f"{said['rows']} rows of spectra"):
        assert words in sheet, words
    [path, *_] = (folder / "spectra/dataset").rglob("*.parquet")
    assert pq.read_schema(path).names == ["_healpix_29", "target_id", "ra", "dec", "z", "flux"]


def test_it_is_a_lake_that_can_be_synced_and_verified(place):
    folder, said = exported(place, "zwarn = 0", "--columns", "z,zwarn")
    other = place.environment | {"BIFROST_LAKE": str(folder)}
    other.pop("BIFROST_DATABASE_URL", None)

    def run(*arguments):
        import os

        return subprocess.run([os.environ["BIFROST_BIN"], *arguments], env=other, capture_output=True, text=True, check=True)

    try:
        run("sync")
        assert json.loads(run("verify", "--deep", "--json").stdout)["findings"] == []
        assert len(run("read", "zwarn = 0", "--format", "json").stdout.splitlines()) == said["rows"]
    finally:
        run("db", "down")


def test_columns_of_several_products_come_together(place):
    folder, _ = exported(place, "snr_r > 0", "--product", "snr", "--columns", "snr_r,z")
    tables = [pq.ParquetFile(path).read() for path in (folder / "snr/dataset").rglob("*.parquet")]
    assert tables and all({"snr_r", "z"} <= set(table.column_names) for table in tables)


def test_what_cannot_be_exported(place):
    folder, said = exported(place, "z > 100", code=4)
    assert "nothing matches" in said and not folder.exists()
    folder.mkdir()
    (folder / "mine").write_text("mine")
    assert "never written over" in place.run("export", QUESTION, "-o", folder, code=2).stderr
    assert (folder / "mine").read_text() == "mine" and list(place.folder.glob(".part*")) == []
    said = exported(place, "--sql", "SELECT 1::bigint", code=2)[1]
    assert "its tables may change" in said
    assert "wavelength" in exported(place, QUESTION, "--columns", "wavelenght", code=2)[1]
