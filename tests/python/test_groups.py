"""`bifrost groups`: friends of friends over the whole lake, as a product aligned with spectra and a catalog in SQL.

BIFROST_BIN names the program.
"""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import new_place

ALL = "all=spectype = 'GALAXY' AND zwarn = 0 AND z > 0.01"
LOOSE = ("--tracer", ALL, "--b0", "0.3", "--r0", "30", "--largest-halo", "1e18")


@pytest.fixture(scope="module")
def place():
    """Tiles side by side in two programs: galaxies of dark and bright share the sky."""
    with new_place() as place:
        for program, pixels, seed in (("dark", (10000, 10001), 4), ("bright", (10000,), 5)):
            pix = [word for pixel in pixels for word in ("--pix", pixel)]
            place.run("mock", "--out", place.folder / "archive", "--objects", 150, "--seed", seed, "--program", program, *pix)
        place.run("convert", place.folder / "archive")
        place.run("groups", *LOOSE)
        yield place


def rows(place, product):
    files = sorted((place.lake / product / "dataset").rglob("*.parquet"))
    return pa.concat_tables(pq.ParquetFile(path).read() for path in files).to_pandas(integer_object_nulls=True)


def test_every_galaxy_is_in_its_group(place):
    spectra = rows(place, "spectra")[["target_id", "program", "healpix", "ra", "dec", "z", "zwarn", "spectype"]]
    groups = rows(place, "groups")
    assert groups.target_id.tolist() == spectra.target_id.tolist()
    looked_at = (spectra.spectype == "GALAXY") & (spectra.zwarn == 0) & (spectra.z > 0.01)
    assert (groups.group_size.notna() == looked_at).all() and looked_at.any() and not looked_at.all()
    grouped = groups[groups.group_id.notna()]
    assert len(grouped) > 10 and (groups.group_size[looked_at] == 1).any()
    for group_id, members in grouped.groupby("group_id"):
        assert group_id == members.target_id.min() and set(members.group_size) == {len(members)}
        z = spectra.z[members.index]
        assert members.group_z.iloc[0] == pytest.approx(np.median(z), abs=1e-12)
        assert members.group_ra.nunique() == members.group_dec.nunique() == members.group_r50.nunique() == 1


def test_the_catalog_in_sql_is_that_of_the_files(place):
    grouped = rows(place, "groups").dropna(subset="group_id").drop_duplicates("group_id")
    expected = {row["group_id"]: row for row in grouped.to_dict("records")}
    found = place.sql("SELECT group_id, g.size, g.ra, g.dec, g.z, g.sigma_v, g.sigma_v_error, g.r50, tracer, cap"
                      " FROM galaxy_groups g JOIN group_catalogs USING (catalog_id)")
    assert len(found) == len(expected) > 0
    columns = ["group_size", "group_ra", "group_dec", "group_z", "group_sigma_v", "group_sigma_v_error", "group_r50"]
    for group_id, *values, tracer, cap in found:
        assert values == [None if np.isnan(expected[group_id][name]) else expected[group_id][name] for name in columns]
        assert tracer == "all" and cap in ("ngc", "sgc")
    galaxies, groups = place.sql("SELECT sum(galaxies)::int, sum(groups)::int FROM group_catalogs")[0]
    assert groups == len(found) and galaxies == rows(place, "groups").group_size.notna().sum()


def test_what_is_asked_of_both_products_zips(place):
    table = place.read("group_size >= 2 AND z > 0.01", "--columns", "target_id,z,group_id")
    groups = rows(place, "groups")
    assert sorted(table.column("target_id").to_pylist()) == sorted(groups.target_id[groups.group_size >= 2])


def test_nothing_is_made_again_unless_something_changed(place):
    again = place.json("groups", *LOOSE)
    assert again["stage"]["totals"] == {"unchanged": 3} and again["catalogs"][0]["groups"] > 0
    file = next((place.lake / "groups").rglob("*.parquet"))
    said = json.loads(pq.read_metadata(file).metadata[b"bifrost.configuration"])
    assert said["settings"]["b0"] == 0.3 and said["cosmology"]["flat"] and said["samples"][0]["galaxies"] > 0


def test_other_settings_and_other_galaxies_make_other_files():
    with new_place() as place:
        archive = place.folder / "archive"
        mock = ("mock", "--out", archive, "--objects", 60, "--program", "bright")
        place.run(*mock, "--pix", 10000, "--seed", 1)
        place.run("convert", archive)
        assert place.json("groups", "--tracer", ALL)["stage"]["totals"] == {"converted": 1}
        assert place.json("groups", "--tracer", ALL, "--b0", "0.5")["stage"]["totals"] == {"converted": 1}
        # a neighbour's galaxies count, too
        place.run(*mock, "--pix", 10001, "--seed", 2)
        place.run("convert", archive)
        assert place.json("groups", "--tracer", ALL, "--b0", "0.5")["stage"]["totals"] == {"converted": 2}
        # what the files no longer tell is gone from SQL, too
        place.run("groups", "--tracer", ALL.replace("all=", "other="))
        assert {tracer for (tracer,) in place.sql("SELECT tracer FROM group_catalogs")} == {"other"}


def test_settings_come_from_the_file_too(place):
    (place.folder / "bifrost.toml").write_text(
        "[groups]\nb0 = 0.3\nr0 = 30.0\nlargest_halo = 1e18\n"
        f"tracers = [{{name = 'all', where = \"{ALL.split('=', 1)[1]}\"}}]\n")
    assert place.json("groups")["stage"]["totals"] == {"unchanged": 3}
    (place.folder / "bifrost.toml").unlink()


def test_what_cannot_be_meant_is_said(place):
    for arguments, words in (
        (("--b0=-1",), "--b0 -1: it must be above 0"),
        (("--b0=nan",), "--b0 NaN"),
        (("--completeness", "2"), "--completeness is a part"),
        (("--tracer", "lrg"), "a tracer is NAME=CONDITION"),
        (("--tracer", "lrg=zz > 1"), "no column 'zz': did you mean 'z'?"),
    ):
        assert words in place.run("groups", *arguments, code=2).stderr
    assert "no galaxy of any tracer" in place.run("groups", "--tracer", "none=z > 90", code=4).stderr
    assert "see bifrost groups" in place.run("stage", "run", "groups", code=2).stderr
    assert "see bifrost web" in place.run("stage", "run", "environment", code=2).stderr
