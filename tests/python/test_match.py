"""`bifrost match` and `Lake.crossmatch` against astropy on the same positions.

BIFROST_BIN names the program; the package `bifrost` is installed, or in PYTHONPATH.
"""

import json

import astropy.units as u
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord, search_around_sky
from astropy.table import Table

import bifrost
from conftest import new_lake

RADIUS = 30.0


@pytest.fixture(scope="module")
def place():
    with new_lake(3) as place:
        yield place


@pytest.fixture(scope="module")
def lake(place):
    return bifrost.open(place.lake, place.database_url)


@pytest.fixture(scope="module")
def rows(lake):
    return lake.read("zwarn >= 0", columns=["target_id", "program", "ra", "dec"]).to_arrow()


@pytest.fixture(scope="module")
def positions(rows):
    """Near rows of the lake, near none, and a row without a position."""
    dice = np.random.default_rng(3)
    chosen = rows.take(dice.choice(rows.num_rows, 60, replace=False))
    ra, dec = (np.array(chosen.column(name)) for name in ("ra", "dec"))
    off, turn = dice.uniform(0, 1.5 * RADIUS, 60) / 3600, dice.uniform(0, 2 * np.pi, 60)
    dec = dec + off * np.sin(turn)
    ra = ra + off * np.cos(turn) / np.cos(np.radians(dec))
    return {"ra": np.r_[ra, 10.0, np.nan], "dec": np.r_[dec, -80.0, 0.0]}


@pytest.fixture(scope="module")
def expected(rows, positions):
    """(row of the list, TARGETID, program): separation, by astropy."""
    known = np.isfinite(positions["ra"])
    ours = SkyCoord(positions["ra"][known] * u.deg, positions["dec"][known] * u.deg)
    theirs = SkyCoord(np.array(rows.column("ra")) * u.deg, np.array(rows.column("dec")) * u.deg)
    of, found, apart, _ = search_around_sky(ours, theirs, RADIUS * u.arcsec)
    ids, programs = rows.column("target_id").to_pylist(), rows.column("program").to_pylist()
    return {(int(i), ids[j], programs[j]): s for i, j, s in zip(of, found, apart.arcsec, strict=True)}


def test_all_pairs_are_those_of_astropy(lake, positions, expected):
    found = lake.crossmatch(positions, RADIUS, nearest=False, columns=["target_id", "program"])
    assert found.column_names == ["match_row", "separation_arcsec", "target_id", "program"]
    found = {(row["match_row"], row["target_id"], row["program"]): row["separation_arcsec"] for row in found.to_pylist()}
    assert found.keys() == expected.keys() and len(found) > 30
    assert all(abs(found[pair] - expected[pair]) < 1e-6 for pair in found)


@pytest.mark.parametrize("kind", [dict, pa.table, pd.DataFrame, Table])
def test_the_nearest_of_each_position(lake, positions, expected, kind):
    found = lake.crossmatch(kind(positions), RADIUS, columns=["target_id"])
    best = {}
    for (row, target, _), apart in expected.items():
        best[row] = min(best.get(row, (apart, target)), (apart, target))
    assert found.column("match_row").to_pylist() == sorted(best)
    for row in found.to_pylist():
        assert abs(row["separation_arcsec"] - best[row["match_row"]][0]) < 1e-6


@pytest.mark.parametrize("form", ["csv", "parquet", "fits"])
def test_lists_are_read_from_files(place, positions, expected, form):
    path = place.folder / f"list.{form}"
    table = Table({"name": [f"a, {i}" for i in range(len(positions["ra"]))], "RA": positions["ra"], "Dec": positions["dec"]})
    if form == "csv":
        table.to_pandas().to_csv(path, index=False)
    elif form == "parquet":
        pq.write_table(pa.Table.from_pandas(table.to_pandas()), path)
    else:
        table.write(path, overwrite=True)
    ended = place.run("match", path, "--radius", RADIUS, "--columns", "target_id,program", "--json")
    assert "1 of the 62 rows" in ended.stderr and "have no position" in ended.stderr
    found = {(row["match_row"], row["target_id"], row["program"]) for row in map(json.loads, ended.stdout.splitlines())}
    assert found == set(expected)


@pytest.mark.parametrize("unit", ["rad", "h", "arcmin"])
def test_a_list_in_another_unit_is_refused(place, unit):
    path = place.folder / "radians.fits"
    Table({"Dec": [0.5], "RA": [1.5] * u.Unit(unit)}).write(path, overwrite=True)
    said = place.run("match", path, code=2).stderr
    assert "column 'RA' of" in said and "radians.fits is in" in said and "write it in degrees" in said


def test_a_condition_holds_besides_and_a_table_is_short(place, positions, expected):
    path = place.folder / "list.csv"
    pd.DataFrame(positions).rename(columns={"ra": "x", "dec": "y"}).to_csv(path, index=False)
    names = "--ra-column", "x", "--dec-column", "y"
    found = place.run("match", path, "--radius", RADIUS, *names, "--where", "program = 'bright'").stdout.splitlines()
    assert len(found) - 1 == sum(program == "bright" for _, _, program in expected)
    assert "separation_arcsec" in found[0] and "flux" not in found[0]
    out = place.folder / "matches.parquet"
    place.run("match", path, "--radius", RADIUS, *names, "--nearest", "--format", "parquet", "-o", out)
    assert "flux" in pq.read_schema(out).names and pq.read_table(out).num_rows == len({row for row, _, _ in expected})


def test_without_matches_there_are_the_same_columns(place, lake, positions):
    asked = {"nearest": [True, False], "columns": [None, ["z", "flux"]], "predicate": [None, "program = 'dark'"]}
    for nearest in asked["nearest"]:
        for columns in asked["columns"]:
            for predicate in asked["predicate"]:
                options = {"nearest": nearest, "columns": columns, "predicate": predicate}
                some = lake.crossmatch(positions, RADIUS, **options)
                for ra, dec in [([10.0], [-80.0]), ([np.nan], [0.0]), ([], [])]:
                    none = lake.crossmatch({"ra": ra, "dec": dec}, RADIUS, **options)
                    assert none.num_rows == 0 and none.schema.equals(some.schema), options
    here = place.folder / "here.csv"
    pd.DataFrame(positions).to_csv(here, index=False)
    far = place.folder / "far.csv"
    far.write_text("ra,dec\n10,-80\n")
    for words in ((), ("--nearest",), ("--columns", "target_id,flux"), ("--where", "z > 0")):
        heads = []
        for path, code in ((here, 0), (far, 4)):
            out = place.folder / "matches.parquet"
            out.unlink(missing_ok=True)
            place.run("match", path, "--radius", RADIUS, *words, "--format", "parquet", "-o", out, code=code)
            text = place.run("match", path, "--radius", RADIUS, *words, "--format", "csv", code=code).stdout
            heads.append((pq.read_schema(out), text.splitlines()[0]))
        assert heads[0][0].equals(heads[1][0]) and heads[0][1] == heads[1][1], words
        assert pq.read_table(out).num_rows == 0
    assert place.run("match", far, code=4).stdout == ""


def test_odd_positions_and_lists_of_none_match_nothing(place, lake):
    path = place.folder / "odd.csv"
    for rows in ("", "1e300,0\ninf,0\n0,91\n-1e17,12\n", ",\n,\n", "nan,nan\n"):
        path.write_text("ra,dec\n" + rows)
        place.run("match", path, code=4)
    assert lake.crossmatch({"ra": [1e300, -1e300], "dec": [0.0, 0.0]}, 1.0).num_rows == 0
    path.write_text("")
    assert "odd.csv is empty" in place.run("match", path, code=2).stderr


def test_lists_that_are_none(place, lake, positions):
    path = place.folder / "list.csv"
    path.write_text("a,b\n1,2\n")
    said = place.run("match", path, code=2).stderr
    assert "has no column 'ra', but a, b: name it with --ra-column" in said
    path.write_text("ra,dec\nx,y\n")
    assert "column 'ra' of" in place.run("match", path, code=2).stderr
    path.write_text("ra,dec\n10,-80\n")
    place.run("match", path, code=4)
    assert "failed to open" in place.run("match", place.folder / "nowhere.csv", code=1).stderr
    assert "radius" in place.run("match", path, "--radius=-1", code=2).stderr
    with pytest.raises(bifrost.UsageError, match="radius"):
        lake.crossmatch(positions, -1)
