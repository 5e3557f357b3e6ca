"""Questions about columns of several products of a tile: files that zip, and never a stale one.

BIFROST_BIN names the program.
"""

import json
import math
import random
import shutil

import bifrost
import pyarrow.parquet as pq
import pytest

from test_stage import files, mock


@pytest.fixture
def lake(place):
    """Spectra of four tiles, and snr of them."""
    mock(place, "--tiles", 3)
    mock(place, "--tiles", 1, "--program", "bright", "--edge", "dead_r", "nan_flux")
    place.run("convert", place.folder / "archive", "--precision", "exact")
    place.run("stage", "run", "snr")
    return place


def rewrite(path, rows):
    """The same file, still ours, in row groups of so many rows."""
    old = pq.ParquetFile(path)
    said = {key: value for key, value in old.metadata.metadata.items() if key != b"ARROW:schema"}
    table = pq.read_table(path).replace_schema_metadata(said)
    pq.write_table(table, path, row_group_size=rows, sorting_columns=old.metadata.row_group(0).sorting_columns)


def zipped(place):
    """Every row of spectra with what snr says of it, None where there is no snr."""
    made, rows = files(place.lake, "snr"), []
    for tile, path in files(place.lake, "spectra").items():
        ours = pq.read_table(path, columns=["target_id", "z", "zwarn", "spectype", "program"]).to_pylist()
        theirs = pq.read_table(made[tile], columns=["snr_b", "snr_r", "good_pixels_r"]).to_pylist() if tile in made else [{}] * len(ours)
        rows += [{"tile": tile, "snr_b": None, "snr_r": None, "good_pixels_r": None} | a | b for a, b in zip(ours, theirs, strict=True)]
    return rows


COLUMNS = "target_id,program,z,snr_b,snr_r"


def read(place, question, code=0):
    text = place.run("read", question, "--columns", COLUMNS, "--format", "json", code=code).stdout
    return sorted((r["target_id"], r["program"], r["z"], r.get("snr_b"), r.get("snr_r")) for r in map(json.loads, text.splitlines()))


def expected(rows, matches):
    found = [r for r in rows if matches(r)]
    return sorted((r["target_id"], r["program"], r["z"], r["snr_b"], r["snr_r"]) for r in found)


def above(value, least):
    return value is not None and value > least


QUESTIONS = {
    "z > 0.5 AND snr_b > 1": lambda r: above(r["z"], 0.5) and above(r["snr_b"], 1),
    "z > 1.5 OR snr_r > 3": lambda r: above(r["z"], 1.5) or above(r["snr_r"], 3),
    "snr_r IS NULL AND zwarn >= 0": lambda r: r["snr_r"] is None and r["zwarn"] is not None,
    "NOT (snr_r <= 1) AND program = 'dark' AND good_pixels_r > 100": lambda r: above(r["snr_r"], 1)
    and r["program"] == "dark" and above(r["good_pixels_r"], 100),
}


def close(found, wanted):
    def equal(a, b):
        return a == b or (isinstance(a, float) and isinstance(b, float) and math.isclose(a, b, rel_tol=1e-6))
    return len(found) == len(wanted) and all(equal(a, b) for one, other in zip(found, wanted) for a, b in zip(one, other))


@pytest.mark.parametrize("groups", [(None, None), (7, 5), (4, 100)])
def test_rows_are_those_of_both_tables_side_by_side(lake, groups):
    for product, rows in zip(("spectra", "snr"), groups):
        for path in files(lake.lake, product).values() if rows else ():
            rewrite(path, rows)
    if groups[0]:
        lake.run("sync")
    rows = zipped(lake)
    for question, matches in QUESTIONS.items():
        wanted = expected(rows, matches)
        assert close(read(lake, question), wanted), question
    assert len(expected(rows, QUESTIONS["z > 0.5 AND snr_b > 1"])) > 3
    if groups == (7, 5):
        least = sorted(r["snr_r"] for r in rows if r["snr_r"] is not None)[-2]
        answer = lake.json("resolve", f"z > -1 AND snr_r >= {least}")
        groups_of = {f["path"]: len(f["row_groups"]) for f in answer["files"]}
        assert 0 < sum(groups_of.values()) < sum(pq.ParquetFile(path).metadata.num_row_groups for path in groups_of)
        assert close(read(lake, f"z > -1 AND snr_r >= {least}"), expected(rows, lambda r: r["snr_r"] is not None and r["snr_r"] >= least and r["z"] is not None and r["z"] > -1))


def test_each_file_names_the_one_beside_it(lake):
    answer = lake.json("resolve", "z > 0.1 AND snr_b > 0")
    assert answer["files"] and answer["pruned"].get("unaligned", 0) == 0
    for file in answer["files"]:
        (beside,) = file["aligned"]
        assert beside["product"] == "snr" and file["product"] == "spectra"
        assert beside["path"] == file["path"].replace("/spectra/", "/snr/")
        assert beside["num_rows"] == file["num_rows"] and beside["uri"] and beside["row_groups"]
    assert "aligned" not in lake.json("resolve", "z > 0.1")["files"][0]
    # columns alone bring them, too, and leave nothing out
    everything = read(lake, "z > -9")
    assert len(everything) == len(expected(zipped(lake), lambda r: above(r["z"], -9)))


def test_a_stale_file_is_never_given(lake):
    tiles = sorted(files(lake.lake, "spectra"))
    before = zipped(lake)
    commit = lake.sql("SELECT max(commit_id) FROM commits")[0][0]
    assert len(lake.json("resolve", "z > -9 AND snr_b > -1e9")["files"]) == len(tiles)
    # made again: the same rows, other spectra
    (coadd,) = (lake.folder / "archive").rglob(f"coadd-{tiles[0].removeprefix('iron-')}.fits")
    lake.run("convert", coadd.parent, "--precision", "noise")
    lake.run("sync")
    answer = lake.json("resolve", "z > -9 AND snr_b > -1e9")
    assert len(answer["files"]) == len(tiles) - 1 and answer["pruned"]["unaligned"] == 1
    shown = lake.run("resolve", "z > -9 AND snr_b > -1e9")
    assert "1 files were left out" in shown.stderr and "bifrost stage list" in shown.stderr
    # where nothing is asked of it that NULL does not fulfil, the tile stays
    rows = [r | {"snr_b": None, "snr_r": None} if r["tile"] == tiles[0] else r for r in before]
    for question in ("z > 1.5 OR snr_r > 3", "z > 0.2 AND snr_b > 1"):
        matches = {"z > 0.2 AND snr_b > 1": lambda r: above(r["z"], 0.2) and above(r["snr_b"], 1)}.get(question) or QUESTIONS[question]
        assert close(read(lake, question), expected(rows, matches)), question
    # then, it was not stale
    then = lake.json("resolve", "z > -9 AND snr_b > -1e9", "--as-of", commit)
    assert len(then["files"]) == len(tiles)
    # the stage makes it anew
    lake.run("stage", "run", "snr")
    assert len(lake.json("resolve", "z > -9 AND snr_b > -1e9")["files"]) == len(tiles)


def test_a_tile_without_the_other_product_is_left_out_and_counted(lake):
    tile, path = sorted(files(lake.lake, "snr").items())[1]
    path.unlink()
    lake.run("sync")
    rows = zipped(lake)
    for question, matches in QUESTIONS.items():
        assert close(read(lake, question), expected(rows, matches)), question
    assert lake.json("resolve", "z > -9 AND snr_b > -1e9")["pruned"]["unaligned"] == 1
    package = bifrost.open(lake.lake, lake.database_url)
    with pytest.warns(UserWarning, match="1 files were left out: .* has not been made for them") as told:
        assert len(package.resolve("z > -9 AND snr_b > -1e9")) == len(files(lake.lake, "snr"))
    assert told[0].filename == __file__
    assert lake.json("resolve", "z > -9 OR snr_b > -1e9")["pruned"].get("unaligned", 0) == 0


@pytest.mark.parametrize("question", ["z > 100", "z > 100 AND snr_b > 0", "z > -9 AND snr_b > 1e9", "z > 100 OR snr_r > 1e9"])
def test_an_answer_without_files_has_the_columns_of_both(lake, question):
    columns = ["target_id", "z", "snr_b", "flux"]
    asked = [question, "--columns", ",".join(columns)]
    full = lake.read("z > -9 AND snr_b > -1e9", "--columns", ",".join(columns))
    assert lake.run("read", *asked, "--format", "csv", code=4).stdout == ",".join(columns) + "\n"
    package = bifrost.open(lake.lake, lake.database_url)
    rows = package.resolve(question).read(columns)
    assert rows.schema.names == columns and rows.schema.types == full.schema.types
    assert rows.to_arrow().num_rows == rows.count() == 0
    assert package.resolve(question).duckdb(columns).fetchall() == []
    assert package.resolve(question).polars(columns).select("snr_b").collect().shape == (0, 1)


def test_what_is_meant_must_be_clear(lake):
    refused = lake.run("resolve", "snr_bb > 1", code=2)
    assert "no column 'snr_bb'" in refused.stderr
    shutil.copytree(lake.lake / "snr", lake.lake / "snr2")
    lake.run("sync")
    refused = lake.run("resolve", "z > 1 AND snr_b > 1", code=2)
    assert "'snr_b' is in the products snr and snr2" in refused.stderr
    refused = lake.run("resolve", "z > 1 AND snr_b > 'much'", code=2)
    assert lake.json("resolve", "snr_b > 1", "--product", "snr2")["files"]


def test_a_snapshot_holds_both_files(lake):
    lake.run("resolve", "z > 0.1 AND snr_b > 0", "--save", lake.folder / "cut.json")
    saved = json.loads((lake.folder / "cut.json").read_text())["snapshot"]
    assert {file["path"].split("/")[0] for file in saved["files"]} == {"spectra", "snr"}
    replayed = lake.run("replay", lake.folder / "cut.json", "--deep")
    assert replayed.returncode == 0
    rows = lake.run("read", "--snapshot", lake.folder / "cut.json", "--format", "json", "--columns", COLUMNS).stdout
    found = sorted(json.loads(line)["target_id"] for line in rows.splitlines())
    assert found == [row[0] for row in read(lake, "z > 0.1 AND snr_b > 0")] and found


def test_many_questions_lose_no_row(lake):
    for path in files(lake.lake, "snr").values():
        rewrite(path, 6)
    lake.run("sync")
    rows, dice = zipped(lake), random.Random(8)
    met = 0
    for _ in range(40):
        z, b, r = dice.uniform(0, 2), dice.uniform(-1, 6), dice.uniform(-1, 6)
        joint = dice.choice(["AND", "OR"])
        question = f"z > {z:.3f} {joint} (snr_b > {b:.3f} AND snr_r < {r:.3f})"
        def matches(row):
            inner = above(row["snr_b"], float(f"{b:.3f}")) and row["snr_r"] is not None and row["snr_r"] < float(f"{r:.3f}")
            outer = above(row["z"], float(f"{z:.3f}"))
            return (outer and inner) if joint == "AND" else (outer or inner)
        ended = lake.run("read", question, "--columns", "target_id", "--format", "json", code=0) if any(map(matches, rows)) else None
        if ended:
            found = sorted(json.loads(line)["target_id"] for line in ended.stdout.splitlines())
            assert found == sorted(r["target_id"] for r in rows if matches(r)), question
            met += 1
    assert met > 15
