"""The functions for psql with numbers that are hardly any, and names that are none: they miss no file, or say
which argument cannot be meant.

BIFROST_BIN names the program.
"""

import math

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import new_place
from test_bad_rows import change

ODD = {10000: math.inf, 10001: -math.inf, 10002: math.nan}
POSITION = (252.0, 45.5)


@pytest.fixture(scope="module")
def place():
    """Three tiles, one galaxy of each with such a redshift."""
    with new_place() as place:
        place.run("mock", "--out", place.folder / "archive", "--tiles", 3, "--objects", 20, "--seed", 4)
        place.run("convert", place.folder / "archive")
        place.run("sync")
        chosen = dict(place.sql("SELECT min(target_id), healpix FROM objects GROUP BY healpix"))

        def redshifts(table):
            for row, target in enumerate(table["TARGETID"]):
                table["Z"][row] = ODD.get(chosen.get(int(target)), table["Z"][row])

        change(place, "redrock", "REDSHIFTS", redshifts)
        place.run("convert", place.folder / "archive", "--no-verify")
        place.run("sync")
        yield place


@pytest.mark.parametrize(
    ("asked", "tiles"),
    [
        ("[Infinity,)", [10000]),
        ("[1e400,)", [10000]),
        ("[100,Infinity]", [10000]),
        ("[100,)", [10000]),
        ("(,-Infinity]", [10001]),
        ("[-Infinity,-100]", [10001]),
        ("(,-1e400]", [10001]),
        ("[-Infinity,Infinity]", [10000, 10001, 10002]),
        ("[-1e-400,1e-400]", None),
        ("empty", []),
    ],
)
def test_no_file_is_missed_at_the_ends(place, asked, tiles):
    found = [row[0] for row in place.sql("SELECT healpix FROM files_with(z => %s::numrange) ORDER BY healpix", asked)]
    holds = place.sql("SELECT DISTINCT healpix FROM objects WHERE z::numeric <@ %s::numrange ORDER BY healpix", asked)
    if tiles is not None:
        assert found == tiles
    if asked != "empty":
        assert set(found) >= {row[0] for row in holds}


def refused(place, query):
    with pytest.raises(psycopg.Error) as told:
        place.sql(query)
    return str(told.value)


def test_an_end_that_is_not_a_number_is_refused(place):
    for column in ("z", "deltachi2"):
        said = refused(place, f"SELECT * FROM files_with({column} => '[NaN,)')")
        assert "an end of the range is NaN" in said


@pytest.mark.parametrize("function", ["sky_of_cone", "files_in_cone", "objects_in_cone"])
def test_a_cone_that_is_none_is_told_by_name(place, function):
    for cone, words in [
        ("0, 0, 'NaN'", "radius_deg is NaN"),
        ("0, 0, 'Infinity'", "radius_deg is Infinity"),
        ("0, 0, -1", "radius_deg is -1"),
        ("0, 0, 180.5", "radius_deg is 180.5"),
        ("0, 90.5, 1", "dec_deg is 90.5"),
        ("0, 'NaN', 1", "dec_deg is NaN"),
        ("0, '-Infinity', 1", "dec_deg is -Infinity"),
        ("'NaN', 0, 1", "ra_deg is NaN"),
        ("'Infinity', 0, 1", "ra_deg is Infinity"),
    ]:
        assert f"no cone: {words}, and must " in refused(place, f"SELECT * FROM {function}({cone})"), cone


def test_turns_change_nothing_and_where_nothing_is_known_nothing_is(place):
    ra, dec = place.sql("SELECT ra, dec FROM objects ORDER BY target_id LIMIT 1")[0]
    for radius in (0.0, 0.2, 180.0):
        for what, function in (("target_id", "objects_in_cone"), ("path", "files_in_cone")):
            counts = {
                place.sql(f"SELECT count({what}) FROM {function}(%s, %s, %s)", ra + turn, dec, radius)[0][0]
                for turn in (0, 360, 720, -360, -720)
            }
            assert len(counts) == 1, (function, radius, counts)
            assert counts != {0} or radius == 0, (function, radius)
    for cone in ("NULL, 0, 1", "0, NULL, 1", "0, 0, NULL"):
        for function in ("objects_in_cone", "files_in_cone"):
            assert place.sql(f"SELECT count(*) FROM {function}({cone})") == [(0,)]
    assert place.sql("SELECT count(*) FROM objects_in_cone(0, 90, 180)") == place.sql("SELECT count(*) FROM objects")


def test_a_pixel_that_is_none_is_told(place):
    for pixel, words in [("30, 0", "nside_order is 30"), ("-1, 0", "nside_order is -1"), ("6, -1", "this is -1"),
                         ("6, 49152", "numbered from 0 to 49151, and this is 49152"), ("29, 9223372036854775807", "this is 9")]:
        assert words in refused(place, f"SELECT * FROM healpix_centre({pixel})"), pixel
    assert place.sql("SELECT round(ra_deg::numeric, 6) FROM healpix_centre(0, 4)") == [(0,)]


def test_lists_of_nothing_find_nothing(place):
    for targets in ("NULL", "'{}'", "'{NULL}'"):
        assert place.sql(f"SELECT count(*) FROM files_of_targets({targets}::bigint[])") == [(0,)], targets
    for query in ("''", "'  ;'", "NULL"):
        assert "one query is wanted, and none is given" in refused(place, f"SELECT * FROM files_of_query({query})")
    assert "one query is wanted, and none is given" in place.run("resolve", "--sql", " ", code=2).stderr


@pytest.mark.parametrize(
    "call",
    [
        "files_with(product => %s)",
        "files_with('[0,1]', '{QSO}', target_id => '{1}', product => %s)",
        "files_in_cone(10, 10, 1, %s)",
        "files_on_sky(sky_of_cone(10, 10, 1), %s)",
        "files_of_targets('{1,2}', %s)",
        "rows_of_targets('{}', %s)",
        "files_of_query('SELECT 1', %s)",
    ],
)
def test_a_product_that_never_was_is_told_by_name(place, call):
    with pytest.raises(psycopg.errors.InvalidParameterValue) as told:
        place.sql(f"SELECT count(*) FROM {call}", "spectre")
    assert "no product 'spectre': the registry has spectra" in str(told.value)
    assert place.sql(f"SELECT count(*) >= 0 FROM {call}", "spectra") == [(True,)]


@pytest.mark.parametrize(
    "call",
    ["files_with(product => p)", "files_on_sky(sky_of_cone(1, 1, 1), p)", "rows_of_targets('{1}', p)",
     "files_of_targets('{1}', p)"],
)
def test_a_product_that_is_not_known_has_no_files(place, call):
    for product in ("NULL::text", "(VALUES (NULL::text))"):
        assert place.sql(f"SELECT count(*) FROM {call.replace('p)', product + ')')}") == [(0,)], product
    assert place.sql(f"SELECT (SELECT count(*) FROM {call}) FROM (VALUES (NULL::text)) v(p)") == [(0,)]


def test_a_product_that_is_gone_or_not_there_yet_has_no_files():
    with new_place() as place:
        place.lake.mkdir()
        place.run("sync")
        everywhere = (
            "SELECT (SELECT count(*) FROM files_with(product => 'gone'))"
            " + (SELECT count(*) FROM files_of_targets('{1}', 'gone'))"
        )
        assert place.sql(everywhere) == [(0,)]
        for product in ("gone", "stays"):
            (place.lake / product).mkdir()
            pq.write_table(pa.table({"x": [1]}), place.lake / product / "x.parquet")
        place.run("sync")
        (place.lake / "gone" / "x.parquet").unlink()
        place.run("sync")
        assert place.sql(everywhere) == [(0,)]
        assert "no product 'lost': the registry has stays" in refused(place, "SELECT * FROM files_with(product => 'lost')")
