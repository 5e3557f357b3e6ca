"""`bifrost groups`: friends of friends over the whole lake, as a product aligned with spectra and a catalog in SQL.

BIFROST_BIN names the program.
"""

import json

import fitsio
import healpy
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


def test_a_flag_says_why_something_is_null(place):
    found = rows(place, "groups")
    found = found[found.groups_flag.notna()]
    flag, size = found.groups_flag.astype(int), found.group_size.astype(int)
    assert ((flag & 2 > 0) == (size == 1)).all() and ((flag & 2 > 0) == found.group_id.isna()).all()
    grouped, flag = found[size > 1], flag[size > 1]
    assert ((flag & 4 > 0) == grouped.group_sigma_v.isna()).all() and (flag & 1 == 0).all()
    assert ((flag & 8 > 0) == grouped.group_sigma_v_error.isna()).all() and (flag & 8 > 0).any()


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


def test_the_catalog_in_sql_is_of_no_other_settings_than_the_files(place):
    asked = "SELECT DISTINCT configuration -> 'settings' ->> 'b0' FROM group_catalogs"
    assert place.sql(asked) == [("0.3",)]
    tile = next((place.lake / "groups" / "dataset").rglob("*.parquet")).name.rsplit("_", 1)[0]
    said = place.run("groups", *LOOSE[:2], "--b0", "0.4", *LOOSE[4:], tile).stderr
    assert "galaxy_groups in SQL stays as it was" in said and place.sql(asked) == [("0.3",)]
    # with that tile as the others again, it is theirs
    assert "stays as it was" not in place.run("groups", *LOOSE, tile).stderr
    assert place.sql(asked) == [("0.3",)]


def test_distances_are_of_the_cosmology_that_is_asked_for(place):
    """Where everything is twice as far, groups are the same and twice as large."""
    # a halo's size does not grow with distances: no link is held back by one
    asked = ("groups", *LOOSE[:6], "--largest-halo", "1e40", "--omega-m", 0.3)
    place.run(*asked, "--h", 0.7)
    near = rows(place, "groups")
    file = next((place.lake / "groups").rglob("*.parquet"))
    said = json.loads(pq.read_metadata(file).metadata[b"bifrost.configuration"])
    assert said["cosmology"] == {"name": "flat LCDM", "h": 0.7, "omega_m": 0.3, "omega_r": 0, "flat": True}
    place.run(*asked, "--h", 0.35, "--smoothing", 100)
    far = rows(place, "groups")
    assert near.group_id.equals(far.group_id) and near.group_id.notna().sum() > 10
    twice = (far.group_r50 / near.group_r50).dropna()
    assert np.allclose(twice, 2, rtol=1e-9)
    place.run("groups", *LOOSE)


def test_settings_come_from_the_file_too(place):
    (place.folder / "bifrost.toml").write_text(
        "[groups]\nb0 = 0.3\nr0 = 30.0\nlargest_halo = 1e18\n"
        f"tracers = [{{name = 'all', where = \"{ALL.split('=', 1)[1]}\"}}]\n")
    assert place.json("groups")["stage"]["totals"] == {"unchanged": 3}
    (place.folder / "bifrost.toml").unlink()


def test_what_cannot_be_meant_is_said(place):
    empty = place.folder / "empty.csv"
    empty.touch()
    for arguments, words in (
        (("--b0=-1",), "--b0 -1: it must be a number above 0"),
        (("--b0=inf",), "--b0 inf: it must be a number above 0"),
        (("--b0=nan",), "--b0 NaN"),
        (("--completeness", "2"), "--completeness 2: it must be above 0 and up to 1"),
        (("--completeness", "no/such.fits"), "no/such.fits: there is no such file"),
        (("--completeness", "fraczz"), "no column 'fraczz'"),
        (("--completeness", empty), "empty.csv has no column 'completeness', but none: name it"),
        (("--completeness", "spectype"), "column spectype holds no numbers"),
        (("--velocity-error=-1",), "--velocity-error -1: it must be a number from 0 up"),
        (("--h", "0.7"), "--h is of a cosmology with --omega-m: give both"),
        (("--omega-m", "0.3"), "--omega-m is of a cosmology with --h: give both"),
        (("--h", "0", "--omega-m", "0.3"), "--h 0 --omega-m 0.3: h is a number above 0"),
        (("--h", "0.7", "--omega-m", "1.3"), "matter a part from 0 to 1"),
        (("--completeness-column", "part"), "--completeness-column part: it is a column of a file"),
        (("--completeness", "0.5", "--completeness-column", "part"), "name that with --completeness"),
        (("--tracer", "lrg"), "a tracer is NAME=CONDITION"),
        (("--tracer", "lrg=zz > 1"), "no column 'zz': did you mean 'z'?"),
        (("--tracer", "../lrg=z > 1"), "'../lrg' names no tracer"),
        (("--tracer", "a/b=z > 1"), "'a/b' names no tracer"),
        (("--tracer", "a\nb=z > 1"), "'a\\nb' names no tracer"),
        (("--tracer", "lrg=z > 1", "--tracer", "lrg=z < 1"), "two tracers are called 'lrg'"),
    ):
        assert words in place.run("groups", *arguments, code=2).stderr
    assert "no galaxy of any tracer" in place.run("groups", "--tracer", "none=z > 90", code=4).stderr
    elsewhere = "iron-main-bright-40000"
    for dry in ((), ("--dry-run",)):
        assert "of 1 tiles named, 0 lie here" in place.run("groups", "--tracer", ALL, elsewhere, *dry, code=4).stderr
    assert "see bifrost groups" in place.run("stage", "run", "groups", code=2).stderr
    assert "see bifrost web" in place.run("stage", "run", "environment", code=2).stderr


def columns(place):
    """Objects that are looked at, and a completeness for each: it falls from one end of the sky to the other."""
    spectra = rows(place, "spectra")
    looked_at = spectra[(spectra.spectype == "GALAXY") & (spectra.zwarn == 0) & (spectra.z > 0.01)]
    looked_at = looked_at.drop_duplicates("target_id")
    part = np.interp(looked_at.ra, [looked_at.ra.min(), looked_at.ra.max()], [1, 0.01])
    return looked_at.assign(completeness=part)


def grouped(place, completeness, *more):
    place.run("groups", *LOOSE, "--completeness", completeness, *more)
    file = next((place.lake / "groups").rglob("*.parquet"))
    return rows(place, "groups"), json.loads(pq.read_metadata(file).metadata[b"bifrost.configuration"])


def test_completeness_is_of_each_galaxy(place):
    """A column, a catalogue, its weights, a table of places and a map say the same, and link more where it is less."""
    known = columns(place)
    whole, _ = grouped(place, 1)
    # the catalogue of a survey, by TARGETID, as FITS and as Parquet with weights
    catalogue = place.folder / "full.fits"
    table = {"TARGETID": known.target_id.to_numpy(), "FRACZ_TILELOCID": known.completeness.to_numpy()}
    fitsio.write(catalogue, np.rec.fromarrays(list(table.values()), names=list(table)), clobber=True)
    by_object, said = grouped(place, catalogue)
    assert said["completeness"] == {"objects": "fracz_tilelocid"}
    clustering = place.folder / "clustering.parquet"
    pq.write_table(pa.table({"TARGETID": known.target_id, "WEIGHT_COMP": 1 / known.completeness}), clustering)
    by_weight, said = grouped(place, clustering)
    assert said["completeness"] == {"objects": "weight_comp"}
    places = place.folder / "places.csv"
    known[["ra", "dec", "completeness"]].to_csv(places, index=False, float_format="%.17g")
    by_place, said = grouped(place, places, "--completeness-column", "completeness")
    assert said["completeness"] == {"places": "completeness"}
    for other in (by_weight, by_place):
        assert (other.group_id.fillna(0) == by_object.group_id.fillna(0)).mean() > 0.999
    # links grow by (1/c)^(1/3): who was together stays together, others join
    more = by_object.group_id.notna().sum() - whole.group_id.notna().sum()
    assert more > 10
    for _, members in whole.dropna(subset="group_id").groupby("group_id"):
        assert by_object.group_id[members.index].nunique() == 1
    assert "places.csv has no column 'nothing', but ra, dec, completeness" in place.run(
        "groups", "--completeness", places, "--completeness-column", "nothing", code=2).stderr
    places.write_text("target_id,completeness\n5,1.5\n")
    assert "completeness 1.5 in row 0: it must be above 0" in place.run("groups", "--completeness", places, code=2).stderr


@pytest.mark.parametrize("kind", ["nested", "ring", "partial", "uniq"])
def test_completeness_of_a_map(place, kind):
    known = columns(place)
    nside, cells = 256, None
    nested = healpy.ang2pix(nside, known.ra.to_numpy(), known.dec.to_numpy(), nest=True, lonlat=True)
    values = np.full(12 * nside**2, healpy.UNSEEN)
    values[np.unique(nested)] = np.linspace(0.02, 1, np.unique(nested).size).astype(np.float32)
    unknown = nested[0]
    values[unknown] = healpy.UNSEEN
    file = place.folder / f"{kind}.fits"
    if kind == "uniq":
        cells = np.flatnonzero(values > 0)
        fitsio.write(file, np.rec.fromarrays([cells + 4 * nside**2, values[cells]], names=["UNIQ", "PART"]), clobber=True)
    else:
        map_ = values if kind != "ring" else healpy.reorder(values, n2r=True)
        healpy.write_map(file, map_, nest=kind != "ring", partial=kind == "partial", dtype=np.float32, overwrite=True)
    found, said = grouped(place, file)
    assert list(said["completeness"]) == ["cells"]
    # the same of each object
    table = place.folder / "objects.parquet"
    part = np.where(values[nested] > 0, values[nested], 0)
    pq.write_table(pa.table({"target_id": known.target_id, "completeness": part}), table)
    expected, _ = grouped(place, table)
    assert found.equals(expected)
    lost = known.target_id[nested == unknown]
    assert found[found.target_id.isin(lost)].group_size.isna().all() and found.group_id.notna().sum() > 10
    asked = ("groups", *LOOSE, "--completeness", table)
    assert f"the completeness around {len(lost)} of" in place.run(*asked).stderr


def test_completeness_may_be_a_column(place):
    known = columns(place)
    assert known.ebv.between(0, 1).all() and known.target_id.is_unique
    found, said = grouped(place, "ebv")
    assert said["completeness"] == "ebv"
    table = place.folder / "ebv.parquet"
    pq.write_table(pa.table({"target_id": known.target_id, "completeness": known.ebv.astype(float)}), table)
    assert grouped(place, table)[0].equals(found)
