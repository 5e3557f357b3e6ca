"""Rows that lie where they should not: what `bifrost convert` publishes, `bifrost verify --deep` finds sound, and what
it does not publish it sets aside with file and row.

BIFROST_BIN names the program.
"""

import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import new_place
from test_bad_rows import change

PIXEL = 10000


@pytest.fixture
def place():
    with new_place() as place:
        place.run("mock", "--out", place.folder / "archive", "--pix", PIXEL, "--objects", 40, "--seed", 4)
        place.run("convert", place.folder / "archive")
        yield place


def rows(place):
    [path] = sorted((place.lake / "spectra" / "dataset").rglob("*.parquet"))
    table = pq.ParquetFile(path).read(["_healpix_29", "target_id", "ra", "dec", "has_position", "coadd_row"])
    notes = json.loads(pq.read_metadata(path).metadata[b"bifrost.notes"])
    return table.sort_by("target_id"), notes


def placed(place, where):
    """Gives targets other positions, of what was converted before."""

    def positions(table):
        for row, target in enumerate(table["TARGETID"]):
            ra, dec = where.get(int(target), (None, None))
            table["TARGET_RA"][row] = table["TARGET_RA"][row] if ra is None else ra
            table["TARGET_DEC"][row] = table["TARGET_DEC"][row] if dec is None else dec

    change(place, "coadd", "FIBERMAP", positions)


def is_sound(place):
    place.run("sync")
    report = place.json("verify", "--deep")
    return report["wrong"] == {} and report["files_read"] == 1


def test_whole_turns_are_taken_off(place):
    before, _ = rows(place)
    ids, ra = before.column("target_id").to_pylist(), before.column("ra").to_pylist()
    turns = [360.0, 720.0, -360.0, -720.0]
    placed(place, {target: (ra + turn, None) for target, ra, turn in zip(ids, ra, turns)})
    place.run("convert", place.folder / "archive", "--no-verify")
    after, notes = rows(place)
    assert after.column("target_id").equals(before.column("target_id"))
    there = np.array(after.column("ra"))
    assert np.all((there >= 0) & (there < 360)) and np.allclose(there, np.array(ra), rtol=0, atol=1e-9)
    assert "4 rows had a TARGET_RA outside of 0 to 360 degrees: brought there" in notes
    assert is_sound(place)
    assert place.read(f"ra BETWEEN {ra[0] - 1e-9} AND {ra[0] + 1e-9}").num_rows == 1


def test_what_is_no_position_is_null(place):
    before, _ = rows(place)
    ids = before.column("target_id").to_pylist()
    odd = [(math.nan, None), (None, math.nan), (math.inf, None), (None, 95.0), (-999.0, -999.0), (None, -math.inf)]
    placed(place, dict(zip(ids, odd)))
    place.run("convert", place.folder / "archive", "--no-verify")
    after, notes = rows(place)
    assert after.num_rows == before.num_rows
    found = {row["target_id"]: row for row in after.to_pylist()}
    for target, (ra, dec) in zip(ids, odd):
        row = found[target]
        assert not row["has_position"] and row["_healpix_29"] == PIXEL << 46
        if dec is not None:
            assert row["dec"] is None
        if ra is not None and not math.isfinite(ra):
            assert row["ra"] is None
    assert "4 rows had a position that is none: what is not on the sky is NULL" in notes
    assert sum(row["has_position"] for row in found.values()) == before.num_rows - len(odd)
    assert is_sound(place)


def test_rows_of_another_pixel_set_the_tile_aside(place):
    before, _ = rows(place)
    first, second = before.slice(3, 2).to_pylist()
    placed(place, {first["target_id"]: (720.5, None), second["target_id"]: (None, -second["dec"])})
    report = place.json("convert", place.folder / "archive", "--no-verify", code=3)
    [tile] = report["tiles"]
    worst = min(first, second, key=lambda row: row["coadd_row"])
    assert tile["outcome"] == "mismatch"
    [reason] = tile["reasons"]
    assert reason.startswith(f"coadd-main-dark-{PIXEL}.fits: 2 of its rows lie outside of pixel {PIXEL}, ")
    told = {f"row {row['coadd_row']} of FIBERMAP (from 0), target {row['target_id']} at ra " for row in (first, second)}
    assert any(words in reason for words in told), (reason, worst)
    assert "--where" in tile["advice"]
    # what was published stays
    assert rows(place)[0].equals(before) and is_sound(place)
    ids = f"{first['target_id']}, {second['target_id']}"
    place.run("convert", place.folder / "archive", "--no-verify", "--where", f"target_id NOT IN ({ids})")
    assert rows(place)[0].num_rows == before.num_rows - 2 and is_sound(place)


def test_the_rounding_of_the_archive_is_borne(place):
    """A row may lie one arc second outside."""
    healpy = pytest.importorskip("healpy")
    corners = np.array(healpy.boundaries(64, PIXEL, step=8, nest=True)).T
    ra, dec = healpy.vec2ang(corners, lonlat=True)
    inside = healpy.pix2ang(64, PIXEL, nest=True, lonlat=True)
    before, _ = rows(place)
    target = before.column("target_id")[0].as_py()
    side = 3
    for arcsec, code in ((0.3, 0), (8.0, 3)):
        away = np.array([ra[side] - inside[0], dec[side] - inside[1]])
        away *= arcsec / 3600 / np.hypot(away[0] * np.cos(np.radians(dec[side])), away[1])
        placed(place, {target: (ra[side] + away[0], dec[side] + away[1])})
        place.run("convert", place.folder / "archive", "--no-verify", code=code)
        assert is_sound(place), arcsec
