"""Rows that no survey should have, before `bifrost groups` and `bifrost web`: what is unknown of them is NULL, the run
says how many they are and why, and of all others everything is as if these rows were not there.

BIFROST_BIN names the program.
"""

import math

import fitsio
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import new_place

ALL = ("--tracer", "all=spectype = 'GALAXY' AND zwarn = 0")
GROUPS = ("groups", *ALL, "--b0", "0.3", "--r0", "30")
WEB = ("web", *ALL, "--b0", "0.3", "--r0", "30", "--realisations", 5, "--sigmas", 0)
# redshifts that nobody believes, and whether there is a distance
REDSHIFTS = {1e9: False, 25.0: False, math.inf: False, -math.inf: False, -1.0: False, 0.0: False, math.nan: False,
             1e-300: True, 1e-12: True, 19.99: True}  # fmt: skip
TOLD = ("all: rows left out, whose quantities are NULL: 4 with no redshift above 0, 3 with a redshift above 20,"
        " to which distances are known")  # fmt: skip


def change(place, kind, table, change):
    """Alters a table of a kind of the archive's files."""
    for path in sorted((place.folder / "archive").rglob(f"{kind}-*.fits")):
        with fitsio.FITS(path, "rw") as file:
            rows = file[table].read()
            change(rows)
            file[table].write(rows)


@pytest.fixture(scope="module")
def place():
    """A lake in which some galaxies have such redshifts."""
    with new_place() as place:
        pix = [word for pixel in (10000, 10001) for word in ("--pix", pixel)]
        place.run("mock", "--out", place.folder / "archive", "--objects", 300, "--seed", 4, "--program", "bright", *pix)
        place.run("convert", place.folder / "archive")
        spectra = rows(place, "spectra")
        known = spectra[(spectra.spectype == "GALAXY") & (spectra.zwarn == 0) & (spectra.z > 0.01)]
        place.bad = dict(zip(known.target_id[:: len(known) // 12], REDSHIFTS, strict=False))
        assert len(place.bad) == len(REDSHIFTS)

        def redshifts(table):
            for row, target in enumerate(table["TARGETID"]):
                table["Z"][row] = place.bad.get(int(target), table["Z"][row])

        change(place, "redrock", "REDSHIFTS", redshifts)
        place.run("convert", place.folder / "archive", "--force", "--no-verify")
        yield place


def rows(place, product):
    files = sorted((place.lake / product / "dataset").rglob("*.parquet"))
    return pa.concat_tables(pq.ParquetFile(path).read() for path in files).to_pandas(integer_object_nulls=True)


@pytest.mark.parametrize(("asked", "product", "column"), [(GROUPS, "groups", "group_size"), (WEB, "environment", "is_boundary")])
def test_they_are_left_out_and_told(place, asked, product, column):
    told = place.run(*asked).stderr
    assert TOLD in told
    made = rows(place, product).set_index("target_id")
    spectra = rows(place, "spectra").set_index("target_id")
    looked_at = (spectra.spectype == "GALAXY") & (spectra.zwarn == 0) & (spectra.z > 0) & (spectra.z <= 20)
    other = made.index[made[column].notna() != looked_at]
    assert not len(other), spectra.loc[other, ["z", "zwarn", "spectype"]]
    assert looked_at.sum() > 100
    for target, z in place.bad.items():
        assert made[column].notna()[target] == REDSHIFTS[z], z
    quantities = made.columns.difference(spectra.columns)
    assert made.loc[~looked_at, quantities].isna().all(axis=None)


def test_the_others_are_as_if_they_were_not_there(place):
    place.run(*GROUPS)
    place.run(*WEB)
    with_them = [rows(place, product) for product in ("groups", "environment")]
    condition = ALL[1] + " AND z > 0 AND z <= 20"
    for asked in (GROUPS, WEB):
        asked = [condition if word == ALL[1] else word for word in asked]
        assert "left out" not in place.run(*asked).stderr
    for product, expected in zip(("groups", "environment"), with_them):
        assert rows(place, product).equals(expected)


def test_in_blocks_too(place, tmp_path):
    place.run(*WEB)
    expected = rows(place, "environment")
    assert TOLD in place.run(*WEB, "--force", "--blocks", 3, "--work", tmp_path).stderr
    assert rows(place, "environment").equals(expected)


def test_of_nothing_else_nothing_is_made(place):
    for command in ("groups", "web"):
        ended = place.run(command, "--tracer", "all=z > 20", code=4)
        assert "2 with a redshift above 20" in ended.stderr or "3 with a redshift above 20" in ended.stderr
        assert "no galaxy of any tracer is there" in ended.stderr
