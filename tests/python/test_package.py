"""The Python package `bifrost`, on mock tiles: it answers and reads as the command line does, and hands
rows over without a copy.

BIFROST_BIN names the program; the package is installed, or in PYTHONPATH.
"""

import asyncio
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table

import bifrost
from bifrost._duckdb import Scanned
from conftest import new_lake

QUESTION = "z > 1 AND zwarn = 0"
COLUMNS = ["target_id", "z", "spectype", "flux"]


@pytest.fixture(scope="module")
def place():
    """Four tiles and snr of them, synced; nothing here changes them."""
    with new_lake(3, "snr") as place:
        yield place


@pytest.fixture(scope="module")
def lake(place):
    return bifrost.open(place.lake, place.database_url)


def test_an_answer_is_that_of_the_command_line(place, lake):
    answer = lake.resolve(QUESTION)
    said = place.json("resolve", QUESTION)
    assert answer.commit == said["commit"] and len(answer) == len(said["files"]) > 0
    assert [file.path for file in answer.files] == [file["path"] for file in said["files"]]
    assert answer.files[0].row_groups == said["files"][0]["row_groups"]
    assert answer.paths() == place.run("resolve", QUESTION, "--format", "paths").stdout.split()
    table = answer.to_arrow()
    assert table.column("uri").to_pylist() == answer.paths()
    assert answer.pruned["rows_at_most"] == said["pruned"]["rows_at_most"]
    assert "zwarn = 0" in answer.explain() and "live files of the product" in answer.explain()


def test_rows_are_those_of_the_command_line(place, lake):
    expected = place.read(QUESTION, "--columns", ",".join(COLUMNS))
    rows = lake.resolve(QUESTION).read(COLUMNS)
    table = rows.to_arrow()
    assert table.num_rows > 0 and table.equals(expected)
    assert rows.count() == table.num_rows <= rows.rows_at_most
    assert rows.schema.field("z").metadata[b"description"]
    assert lake.read(QUESTION, columns=COLUMNS, limit=3).to_arrow().equals(table.slice(0, 3))
    assert sum(batch.num_rows for batch in rows) == table.num_rows
    ra, dec = lake.read(QUESTION, columns=["ra", "dec"], limit=1).to_arrow().to_pylist()[0].values()
    expected = place.read("--cone", f"{ra!r},{dec!r},0.4", "--columns", "target_id")
    assert lake.read(cone=(ra, dec, 0.4), columns=["target_id"]).to_arrow().equals(expected)
    corners = [(ra - 1, dec - 1), (ra + 1, dec - 1), (ra, dec + 1)]
    text = ",".join(f"{corner[0]!r},{corner[1]!r}" for corner in corners)
    expected = place.read(f"--polygon={text}", "--columns", "target_id")
    assert lake.read(polygon=corners, columns=["target_id"]).to_arrow().equals(expected)


@pytest.mark.parametrize("nothing", ["FALSE", "z > 99", "z > 3 AND z < 2", "program = 'nowhere'"])
def test_an_answer_without_files_has_its_columns(lake, nothing):
    answer, some = lake.resolve(nothing), lake.resolve(QUESTION)
    assert len(answer) == 0
    table = answer.read(["z", "target_id"]).to_arrow()
    assert table.equals(some.read(["z", "target_id"]).to_arrow().slice(0, 0))
    assert answer.read().schema.names == some.read().schema.names
    rows = pickle.loads(pickle.dumps(answer.read(["z"])))
    assert rows.to_arrow().column("z").to_pylist() == [] == rows.to_pandas()["z"].tolist()
    with pytest.raises(bifrost.UsageError, match="zwarn"):
        answer.read(["zwarm"])


@pytest.mark.parametrize("kind", [list, np.array, pa.array, pd.Series, iter])
def test_objects_are_named_by_whatever_holds_integers(lake, kind):
    wanted = lake.read(QUESTION, columns=["target_id"]).to_arrow().column("target_id").to_pylist()[:7]
    found = lake.read(target_ids=kind(wanted), columns=["target_id"]).to_arrow()
    assert set(found.column("target_id").to_pylist()) == set(wanted)


def test_columns_of_another_product_are_found_beside(lake):
    table = lake.resolve("zwarn = 0 AND snr_r > 0").read(["target_id", "z", "snr_r"]).to_arrow()
    assert table.num_rows > 0 and min(table.column("snr_r").to_pylist()) > 0
    # asked of one product, read from two
    assert lake.resolve("zwarn = 0").read(["z", "snr_b"]).to_arrow().column_names == ["z", "snr_b"]


def test_all_columns_are_those_of_the_product_and_of_the_question(place, lake):
    own = lake.resolve(product="snr").read().schema.names
    assert "snr_r" in own and "z" not in own
    answer = lake.resolve("z > 1 AND zwarn = 0", product="snr")
    assert answer.read().to_arrow().column_names == [*own, "z", "zwarn"]
    assert place.read("z > 1 AND zwarn = 0", "--product", "snr").column_names == [*own, "z", "zwarn"]
    assert lake.resolve(product="snr", columns=["flux"]).read().schema.names == [*own, "flux"]
    assert lake.resolve("z > 99", product="snr").read().schema.names == [*own, "z"]
    assert lake.resolve("SNR_R > 3").read().schema.names == [*lake.resolve().read().schema.names, "snr_r"]
    nearby = lake.crossmatch({"ra": [180.0], "dec": [0.0]}, product="snr", predicate="z > 1")
    assert nearby.column_names == ["match_row", "separation_arcsec", *own, "z"]
    # all of all of them
    everything = answer.read("*").schema.names
    assert set(own) < set(everything) and {"z", "flux", "ebv"} < set(everything)
    assert place.read("z > 1 AND zwarn = 0", "--product", "snr", "--columns", "*").column_names == everything


def test_rows_go_into_other_tools(lake):
    rows = lake.resolve(QUESTION).read(["target_id", "z", "spectype"])
    table = rows.to_arrow()
    ids = table.column("target_id").to_pylist()
    assert pa.table(rows).equals(table)
    assert pl.DataFrame(rows)["target_id"].to_list() == ids
    assert rows.to_polars()["z"].to_list() == table.column("z").to_pylist()
    assert rows.to_pandas()["target_id"].tolist() == ids
    assert pd.DataFrame.from_arrow(rows)["target_id"].tolist() == ids
    assert duckdb.sql("SELECT count(*), max(z) FROM rows").fetchall() == [(len(ids), max(table.column("z").to_pylist()))]


def test_a_query_of_duckdb_reads_the_columns_it_needs(lake):
    answer, asked = lake.resolve("z > 0"), []

    def read(columns):
        asked.append(columns)
        return answer.read(columns)

    rows = Scanned(read, None)
    table = answer.read(["target_id", "z", "ra", "zwarn", "spectype", "flux"]).to_arrow()
    for query, columns in (
        ("SELECT count(*) FROM {}", None),
        ("SELECT target_id, z FROM {} ORDER BY z DESC LIMIT 3", {"target_id", "z"}),
        ("SELECT max(ra) FROM {} WHERE zwarn = 0 AND spectype IN ('QSO', 'STAR')", {"ra", "zwarn", "spectype"}),
        ("SELECT target_id, len(flux), flux[17] FROM {} WHERE z > 2 AND ra IS NOT NULL ORDER BY 1", {"target_id", "z", "ra", "flux"}),
        ("SELECT zwarn, count(*), avg(z) FROM {} GROUP BY 1 ORDER BY 1", {"zwarn", "z"}),
    ):
        asked.clear()
        assert duckdb.sql(query.format("rows")).fetchall() == duckdb.sql(query.format('"table"')).fetchall(), query
        assert len(asked) == 1 and (set(asked[0]) == columns if columns else len(asked[0]) == 1), (query, asked)
    relation = answer.duckdb()
    assert "flux" in relation.columns and "snr_b" not in relation.columns
    assert relation.filter("z > 2").aggregate("count(*)").fetchall() == duckdb.sql('SELECT count(*) FROM "table" WHERE z > 2').fetchall()


def test_duckdb_may_ask_about_a_column_of_any_name():
    table = pa.table({name: list(range(9)) for name in ("z", "Mixed Case", "a-b", "größe", "x.y", "(z)", "select")})
    rows = Scanned(lambda names: table if names is None else table.select(names), None)
    for name in table.column_names:
        assert duckdb.sql(f'SELECT count(*), max(z) FROM rows WHERE "{name}" > 5').fetchall() == [(3, 8)], name


def test_a_relation_of_duckdb_is_read_as_often_as_it_is_asked(lake):
    with duckdb.connect() as connection:
        relation = lake.resolve(QUESTION).duckdb(["target_id", "z"], connection=connection)
        count = len(lake.read(QUESTION, columns=["z"]).to_arrow())
        assert relation.count("z").fetchall() == relation.count("z").fetchall() == [(count,)]
        assert relation.filter("z > 2").max("z").fetchall()[0][0] > 2


def test_a_lazy_frame_reads_what_its_query_needs(lake):
    answer = lake.resolve(QUESTION)
    table = answer.read(["target_id", "z", "spectype"]).to_arrow()
    frame = answer.polars()
    assert "flux" in frame.collect_schema()
    found = frame.filter(pl.col("z") > 2).select("target_id").sort("target_id").collect()
    expected = sorted(row["target_id"] for row in table.to_pylist() if row["z"] > 2)
    assert found["target_id"].to_list() == expected
    assert frame.select("z").head(2).collect()["z"].to_list() == table.column("z").to_pylist()[:2]
    assert frame.select(pl.len()).collect().item() == table.num_rows
    # the first rows that match, and what matches of the first rows, are two things
    galaxies, rows = pl.col("spectype") == "GALAXY", pl.from_arrow(table)
    count = table.num_rows // 2
    assert 0 < rows.head(count).filter(galaxies).height < min(count, rows.filter(galaxies).height)
    for query in (lambda f: f.head(count).filter(galaxies), lambda f: f.filter(galaxies).head(count)):
        assert query(answer.polars(table.column_names)).collect().equals(query(rows))


def test_a_limit_is_of_all_that_is_asked_of_the_rows(lake):
    rows = lake.resolve(QUESTION).read(["z"], limit=3)
    assert rows.count() == rows.rows_at_most == rows.to_arrow().num_rows == 3
    assert lake.resolve(QUESTION).read(["z"], limit=10**12).count() == lake.resolve(QUESTION).read(["z"]).count()
    with pytest.raises(bifrost.UsageError, match="0 at least"):
        lake.resolve(QUESTION).read(limit=-1)
    with pytest.raises(bifrost.UsageError, match="a limit is of all rows"):
        rows.split(16)


def test_a_catalog_of_lsdb_is_made_of_the_rows(lake):
    answer = lake.resolve(QUESTION)
    frame = answer.lsdb(["target_id", "z"]).compute()
    assert sorted(frame["target_id"]) == sorted(answer.read(["target_id"]).to_arrow().column("target_id").to_pylist())
    assert list(answer.lsdb(["RA", "Z", "dec"]).columns) == ["ra", "dec", "z"]
    with pytest.raises(bifrost.UsageError, match="nothing matches"):
        lake.resolve("z > 100").lsdb(["target_id"])


def test_arrays_are_handed_over_without_a_copy(lake):
    native = next(iter(lake.resolve(QUESTION).read(["target_id", "flux"])._recipe.batches()))

    def addresses(batch):
        flux = batch.column("flux")
        return [batch.column("target_id").buffers()[1].address, flux.values.buffers()[1].address]

    ours, again = pa.record_batch(native), pa.record_batch(native)
    assert addresses(ours) == addresses(again)
    polars = pl.from_arrow(ours, rechunk=False)
    assert polars["flux"].explode().to_numpy().__array_interface__["data"][0] == addresses(ours)[1]
    assert bifrost.matrix(ours.column("flux")).__array_interface__["data"][0] == addresses(ours)[1]


def test_arrays_of_one_length_are_a_matrix(lake):
    table = lake.resolve(QUESTION).read(["flux"]).to_arrow()
    flux = bifrost.matrix(table.column("flux"))
    assert flux.shape == (table.num_rows, len(table.column("flux")[0]))
    assert flux[1].tolist() == table.column("flux")[1].as_py()
    with pytest.raises(ValueError, match="differ in length"):
        bifrost.matrix(pa.array([[1.0], [1.0, 2.0]]))


def test_rows_are_read_by_another_process(lake):
    rows = lake.resolve(QUESTION).read(["target_id", "z"])
    code = "import pickle, sys; print(*pickle.load(sys.stdin.buffer).to_arrow().column('target_id').to_pylist())"
    ended = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(rows), capture_output=True, check=True)
    assert list(map(int, ended.stdout.split())) == rows.to_arrow().column("target_id").to_pylist()
    parts = rows.split(1)
    assert len(parts) >= len(lake.resolve(QUESTION)) and all(part.uri and part.node for part in parts)
    assert pa.concat_tables([part.to_arrow() for part in parts]).equals(rows.to_arrow())


def test_an_answer_is_saved_and_replayed(place, lake, tmp_path):
    answer = lake.resolve(QUESTION)
    digest = answer.save(tmp_path / "quasars.json")
    assert digest == json.loads((tmp_path / "quasars.json").read_text())["id"]
    again = lake.snapshot(tmp_path / "quasars.json")
    assert again.paths() == answer.paths()
    assert again.read(["target_id"]).to_arrow().equals(answer.read(["target_id"]).to_arrow())
    assert lake.replay(tmp_path / "quasars.json", deep=True)["findings"] == []
    pinned = lake.replay(tmp_path / "quasars.json")["pinned"]
    assert pinned == len(again.files)
    place.run("replay", tmp_path / "quasars.json", "--forget")
    assert lake.replay(tmp_path / "quasars.json")["pinned"] == 0
    assert lake.replay(tmp_path / "quasars.json", pin=True)["pinned"] == pinned
    assert lake.resolve(QUESTION, as_of=answer.commit).paths() == answer.paths()


def test_an_answer_about_columns_of_another_product_is_saved_with_them(place, lake, tmp_path):
    answer = lake.resolve(QUESTION, columns=["z", "snr_b"])
    assert all(file.aligned for file in answer.files)
    answer.save(tmp_path / "answer.json")
    assert lake.replay(tmp_path / "answer.json")["findings"] == []
    again = lake.snapshot(tmp_path / "answer.json")
    assert again.files == answer.files and again.read().schema.names == answer.read().schema.names
    place.run("export", QUESTION, "--columns", "z,snr_b", "-o", tmp_path / "part")
    assert lake.replay(tmp_path / "part/resolution.json")["findings"] == []


def test_many_things_are_waited_for_at_once(lake):
    async def both():
        one, other = await asyncio.gather(lake.resolve_async("z > 1"), lake.resolve_async("z > 2"))
        rows = [batch.num_rows async for batch in one.read(["z"])]
        async for _ in one.read(["z"], batch_bytes=1).batches_async():
            break
        return len(one), len(other), sum(rows)

    files, fewer, rows = asyncio.run(both())
    assert files >= fewer and rows == lake.read("z > 1", columns=["z"]).count()
    with pytest.raises(bifrost.Error, match="gone"):
        asyncio.run(_of_what_is_gone(lake.resolve("z > 1")))


async def _of_what_is_gone(answer):
    path = Path(answer.paths()[0])
    rows, away = answer.read(["z"]), path.with_suffix(".away")
    path.rename(away)
    try:
        return [batch async for batch in rows]
    finally:
        away.rename(path)


@pytest.mark.parametrize(
    "question, words",
    [
        (("zwan = 0",), "zwarn"),
        (("zz > 1",), "z"),
        (("z > 'a'",), "z"),
        (("z >",), ""),
    ],
)
def test_errors_have_the_words_of_the_command_line(place, lake, question, words):
    with pytest.raises(bifrost.UsageError) as raised:
        lake.resolve(*question).read().to_arrow()
    said = place.run("read", *question, code=2).stderr
    assert str(raised.value) in said.replace("error: ", ""), said
    assert words in str(raised.value)


def test_what_cannot_be_meant_is_refused(lake):
    for question in [{"cone": (0, 91, 1)}, {"cone": (0, 0)}, {"polygon": [(0, 0), (1, 1)]}, {"as_of": 10**6}]:
        with pytest.raises(bifrost.UsageError):
            lake.resolve(**question)
    with pytest.raises(bifrost.UsageError, match="wavelenght.*wavelength"):
        lake.resolve(QUESTION).read(["wavelenght"])
    for wrong in ([3], 3, ["z", None]):
        with pytest.raises(bifrost.UsageError, match="columns are a list of names"):
            lake.resolve(QUESTION).read(wrong)
        with pytest.raises(bifrost.UsageError, match="columns are a list of names"):
            lake.resolve(QUESTION, columns=wrong)
    with pytest.raises(bifrost.UsageError, match="which lake"):
        bifrost._bifrost.Lake()
    with pytest.raises(bifrost.Error, match="not a lake"):
        bifrost.open("/")


def test_a_file_that_is_gone_is_named(place, lake):
    answer = lake.resolve(QUESTION)
    path = answer.paths()[0]
    os.rename(path, f"{path}.away")
    try:
        with pytest.raises(bifrost.Error, match="is gone since it was registered: run `bifrost sync`") as raised:
            answer.read(["z"]).to_arrow()
        assert path in str(raised.value)
        with pytest.raises(Exception, match="is gone since it was registered"):
            pa.table(lake.resolve(QUESTION).read(["flux"]))
    finally:
        os.rename(f"{path}.away", path)


def test_an_interrupt_ends_the_reading_and_leaves_nothing(place):
    code = (
        "import bifrost, signal, sys\n"
        # who runs this in the background may have it ignored
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "lake = bifrost.open(sys.argv[1], sys.argv[2])\n"
        "while True:\n"
        "    for batch in lake.resolve('zwarn >= 0').read():\n"
        "        print(batch.num_rows, flush=True)\n"
    )
    before = sorted(place.lake.rglob("*"))
    process = subprocess.Popen(
        [sys.executable, "-c", code, place.lake, place.database_url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode != 0 and "KeyboardInterrupt" in said
    assert sorted(place.lake.rglob("*")) == before


def test_targets_come_in_any_form_that_holds_them(lake):
    rows = lake.read("z > 1", columns=["target_id"]).to_arrow()
    ids = rows.column("target_id").to_numpy()[:3]
    expected = lake.resolve(target_ids=ids.tolist()).read(["target_id"]).to_arrow()
    assert set(expected.column(0).to_pylist()) == set(ids.tolist())
    masked = np.ma.array(np.append(ids, 1), mask=[0, 0, 0, 1])
    forms = [ids.astype(">i8"), masked, masked.astype(">i8"), pa.array(ids), pa.chunked_array([ids]), pd.Series(ids),
             pl.Series(ids), set(ids.tolist()), iter(ids.tolist()), ids.astype("u8"), np.repeat(ids, 2)[::2]]
    for form in forms:
        assert lake.resolve(target_ids=form).read(["target_id"]).to_arrow().equals(expected), type(form)
    assert len(lake.spectra(pa.array([None, *ids.tolist()]))) == len(lake.spectra(ids)) >= 3
    assert len(lake.resolve(target_ids=np.array([]))) == 0


def test_targets_never_come_by_way_of_a_double(lake):
    """Beyond 2^53 a double is the TARGETID of somebody else, or of nobody."""
    for wrong in [np.array([39627800000000001.0]), pd.Series([39627800000000001, None]), [1.0], [2**63], "39", ["39"], [True]]:
        with pytest.raises(bifrost.UsageError, match="integers"):
            lake.resolve(target_ids=wrong)


def test_a_list_to_match_is_taken_by_the_names_that_it_has(lake):
    ra, dec = lake.read("z > 1", columns=["ra", "dec"], limit=1).to_arrow().to_pylist()[0].values()
    expected = lake.crossmatch({"ra": [ra], "dec": [dec]}, columns=["target_id"])
    assert expected.num_rows == 1
    upper = np.array([(ra, dec)], dtype=[("RA", ">f8"), ("DEC", ">f8")])
    for table in [upper, pd.DataFrame({"Ra": [ra], "Dec": [dec]}), pl.DataFrame({"RA": [ra], "DEC": [dec]}),
                  pa.table({"RA": [ra], "DEC": [dec]}), {"RA": [ra], "DEC": [dec], "ra_error": [0]}]:
        assert lake.crossmatch(table, columns=["target_id"]).equals(expected), type(table)
    rows = lake.resolve(target_ids=expected.column("target_id")).read(["ra", "dec"])
    for table in [rows, rows.reader()]:
        assert lake.crossmatch(table, columns=["target_id"]).equals(expected), type(table)
    with pytest.raises(bifrost.UsageError, match="LazyFrame does not give column 'ra'"), pytest.warns(pl.exceptions.PerformanceWarning):
        lake.crossmatch(pl.LazyFrame({"RA": [ra], "DEC": [dec]}))
    with pytest.raises(bifrost.UsageError, match="no column 'ra', but RAJ2000, DEJ2000"):
        lake.crossmatch({"RAJ2000": [ra], "DEJ2000": [dec]})
    with pytest.raises(bifrost.UsageError, match="ra has 2 rows, dec 1"):
        lake.crossmatch({"ra": [ra, ra], "dec": [dec]})


def test_a_column_may_be_a_word_of_sql(place, lake, tmp_path):
    folder = place.lake / "words"
    folder.mkdir()
    words = ["null", "true", "not", "select", "user", "interval", "exists"]
    pa.parquet.write_table(pa.table({"row": [1, 2], **{word: [False, True] for word in words}}), folder / "a.parquet")
    place.run("sync")
    for word in words:
        rows = lake.read(f'"{word}" AND NOT ("{word}" IS NULL)', product="words", columns=["row"])
        assert pickle.loads(pickle.dumps(rows)).to_arrow().to_pylist() == [{"row": 2}], word
        saved = tmp_path / f"{word}.json"
        lake.resolve(f'"{word}"', product="words").save(saved)
        assert lake.snapshot(saved).read(["row"]).to_arrow().to_pylist() == [{"row": 2}], word


@pytest.mark.parametrize(
    "ask, words",
    [
        (lambda lake: lake.spectrum(2**63), "a TARGETID is a whole number of 64 bits, not 9223372036854775808"),
        (lambda lake: lake.spectrum("39"), "a TARGETID is a whole number of 64 bits, not '39'"),
        (lambda lake: lake.spectra(39), "a list of integers, not of type int"),
        (lambda lake: lake.resolve(target_ids=pd.DataFrame({"target_id": [1]})), "not a table: give one of its columns"),
        (lambda lake: lake.resolve(cone=5), "numbers in degrees"),
        (lambda lake: lake.resolve(cone=(1, 2, "wide")), "'wide' is no number"),
        (lambda lake: lake.resolve(moc=3), "a MOC is a file's path or a mocpy.MOC, not of type int"),
        (lambda lake: lake.read("z > 1", limit=2**64), "limit is a whole number of 64 bits, 0 at least"),
        (lambda lake: lake.read("z > 1", limit=2.5), "limit is a whole number"),
        (lambda lake: lake.resolve("z > 1").read(threads=-1), "threads is a whole number"),
        (lambda lake: lake.read("z > 1").split(-1), "rows is a whole number"),
        (lambda lake: lake.crossmatch({"ra": ["a"], "dec": [1]}), "column 'ra' holds no degrees"),
        (lambda lake: lake.crossmatch({"ra": [1], "dec": [1]}, "near"), "'near' is no number"),
        (lambda lake: lake.crossmatch(None), "a table has columns by name"),
    ],
)
def test_what_is_no_number_is_said_in_words(lake, ask, words):
    with pytest.raises(bifrost.UsageError, match=words):
        ask(lake)


def test_errors_have_the_names_that_the_package_has():
    for kind in (bifrost.Error, bifrost.UsageError):
        again = pickle.loads(pickle.dumps(kind("words")))
        assert type(again) is kind and str(again) == "words"
        assert getattr(bifrost, kind.__name__) is kind


def test_one_column_may_come_as_it_is(lake):
    assert lake.resolve("z > 1").read("ra").schema.names == ["ra"]
    assert lake.read("z > 1", columns="dec").schema.names == ["dec"]
    with pytest.raises(bifrost.UsageError, match="no column 'wavelenght'.*wavelength"):
        lake.resolve("z > 1").read("wavelenght")


@pytest.mark.parametrize(
    "question",
    [
        {"predicate": "z > 1", "cone": (252.7, 45.9, 180)},
        {"sql": "SELECT target_id FROM objects WHERE z > 1"},
        {"predicate": "z > 1", "as_of": 1},
        {"predicate": "z > 1", "columns": ["snr_b"]},
        {"predicate": "z > 1", "product": "snr"},
    ],
)
def test_an_answer_is_pickled_as_of_its_commit(lake, question):
    answer = lake.resolve(**question)
    again = pickle.loads(pickle.dumps(answer))
    assert again.commit == answer.commit and again.paths() == answer.paths() != []
    rows = answer.read(["target_id"]).to_arrow()
    assert again.read(["target_id"]).to_arrow().equals(rows)


def test_a_snapshot_is_pickled(lake, tmp_path, monkeypatch):
    lake.resolve("z > 1").save(tmp_path / "far.json")
    monkeypatch.chdir(tmp_path)
    answer = pickle.dumps(lake.snapshot("far.json"))
    monkeypatch.chdir("/")
    assert pickle.loads(answer).paths() == lake.resolve("z > 1").paths()
    lake.resolve("z > 1")


def test_positions_come_in_the_units_that_astropy_knows(lake):
    ra, dec = lake.read("z > 1", columns=["ra", "dec"], limit=3).to_arrow().columns
    places = SkyCoord(ra.to_numpy(), dec.to_numpy(), unit="deg")
    expected = lake.crossmatch({"ra": ra, "dec": dec}, 1, columns=["target_id"])
    assert expected.num_rows == 3
    lists = [
        QTable({"ra": places.ra.to("hourangle"), "dec": places.dec.to("rad")}),
        Table({"RA": places.ra.to("rad"), "DEC": places.dec.to("arcmin")}),
        places.galactic,
    ]
    for table in lists:
        found = lake.crossmatch(table, 1 * u.arcsec, columns=["target_id"])
        assert found["target_id"].equals(expected["target_id"]), type(table)
    cone = places[0].ra.to("hourangle"), places[0].dec, 0.5 * u.arcmin
    assert lake.resolve(cone=cone).read(["target_id"]).count() >= 1
