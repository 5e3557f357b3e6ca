"""LSDB and hats open a lake as it is, after every commit, and find what `bifrost read` finds."""

import shutil

import astropy.units as u
import lsdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord
from catalogs import LIGHT, check, files_of, ids, properties
from conftest import new_place

QUARANTINED = 3
MADE = ("hats.properties", "properties", "partition_info.csv", "skymap.fits", "point_map.fits",
        "dataset/_common_metadata")


def mock(place, out, *options):
    place.run("mock", "--out", out, *LIGHT, *options)


@pytest.fixture(scope="module")
def made():
    with new_place() as place:
        mock(place, "archive", "--tiles", 3, "--objects", 60, "--program", "dark", "--seed", 1)
        mock(place, "archive", "--tiles", 2, "--objects", 40, "--program", "bright", "--seed", 2)
        place.run("convert", "archive")
        place.unsynced = check(place.lake / "spectra")
        place.run("sync", "--no-datasheet")
        yield place


def read(place, *question, columns="target_id,ra,dec,z"):
    """What `bifrost read` finds, as a table."""
    out = place.folder / "found.parquet"
    place.run("read", *(question or ("--product", "spectra")), "--columns", columns, "--format", "parquet", "--output", out)
    return pq.read_table(out).to_pandas()


def test_a_lake_is_a_catalog_with_a_registry_and_without(made):
    with_registry = check(made.lake / "spectra")
    assert ids(with_registry) == ids(made.unsynced) == ids(read(made))
    assert properties(made.lake / "spectra")["bifrost_commit"].split()[0] == "1"


def test_a_cone_of_lsdb_is_a_cone_of_bifrost(made):
    catalog = lsdb.open_catalog(made.lake / "spectra")
    every = read(made)
    for radius_deg in (0.05, 0.4, 3):
        at = every.iloc[len(every) // 2]
        theirs = catalog.cone_search(at.ra, at.dec, radius_deg * 3600).compute()
        ours = read(made, "--cone", f"{at.ra},{at.dec},{radius_deg}")
        assert ids(theirs) == ids(ours) and len(ours) > 0
    assert len(ours) == len(every)


def test_objects_are_found_by_id(made):
    wanted = ids(read(made))[::17]
    catalog = lsdb.open_catalog(
        made.lake / "spectra", columns=["target_id", "z", "flux"], filters=[("target_id", "in", wanted)]
    )
    theirs = catalog.compute().sort_values("target_id")
    ours = read(made, "--target-id", *wanted, columns="target_id,z,flux").sort_values("target_id")
    assert list(theirs["target_id"]) == list(ours["target_id"]) == wanted
    for mine, other in zip(ours["flux"], theirs["flux"]):
        assert np.array_equal(mine, other) and len(mine) > 1000


def test_a_crossmatch_finds_the_neighbours_that_astropy_finds(made):
    every = read(made, "has_position").drop_duplicates("target_id")
    moved = every.iloc[::3][["target_id", "ra", "dec"]].assign(dec=lambda rows: rows.dec + 0.4 / 3600)
    mine = lsdb.from_dataframe(pd.DataFrame(moved.to_dict("list")), ra_column="ra", dec_column="dec")
    catalog = lsdb.open_catalog(made.lake / "spectra").query("has_position")
    pairs = mine.crossmatch(catalog, n_neighbors=1, radius_arcsec=1, suffixes=("_mine", "_desi"),
                            suffix_method="all_columns").compute()
    here, there = (SkyCoord(rows.ra.to_numpy() * u.deg, rows.dec.to_numpy() * u.deg) for rows in (moved, every))
    nearest, apart, _ = here.match_to_catalog_sky(there)
    found = dict(zip(moved.target_id[apart < 1 * u.arcsec],
                     every.target_id.to_numpy()[nearest][apart < 1 * u.arcsec]))
    assert len(pairs) == len(found) == len(moved)
    assert dict(zip(pairs["target_id_mine"], pairs["target_id_desi"])) == found


def test_what_a_stage_makes_is_a_catalog_too(place):
    mock(place, "one", "--pix", 500, "--objects", 30)
    mock(place, "one", "--pix", 501, "--objects", 20)
    place.run("convert", "one")
    place.run("stage", "run", "snr", "--no-registry")
    unsynced = check(place.lake / "snr")
    place.run("sync", "--no-datasheet")
    rows = check(place.lake / "snr")
    assert ids(rows) == ids(unsynced) == ids(check(place.lake / "spectra"))
    mock(place, "two", "--pix", 502, "--objects", 10)
    place.run("convert", "two")
    place.run("stage", "run", "snr")
    rows = check(place.lake / "snr")
    assert ids(rows) == ids(check(place.lake / "spectra")) and set(rows["healpix"]) == {500, 501, 502}
    # the two fit row by row
    snr, spectra = (lsdb.open_catalog(place.lake / name).compute() for name in ("snr", "spectra"))
    assert list(snr["target_id"]) == list(spectra["target_id"]) and snr["snr_b"].notna().any()


def stats(catalog):
    return {name: (catalog / name).stat() for name in MADE}


def test_a_catalog_keeps_step_and_what_is_unchanged_is_not_written(place):
    mock(place, "one", "--pix", 500, "--objects", 30, "--seed", 1)
    mock(place, "one", "--pix", 501, "--objects", 20, "--seed", 1)
    mock(place, "one", "--pix", 502, "--objects", 20, "--seed", 1)
    place.run("convert", "one")
    place.run("sync", "--no-datasheet")
    catalog = place.lake / "spectra"
    check(catalog)
    first, kept = stats(catalog), {name: (catalog / name).read_bytes() for name in MADE}
    place.run("sync", "--no-datasheet")
    for name, before in first.items():
        after = (catalog / name).stat()
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns), name

    # one tile changes, one is empty from now on, one goes, one comes
    shutil.rmtree(place.folder / "one")
    mock(place, "one", "--pix", 500, "--objects", 45, "--seed", 2)
    place.run("convert", "one")
    mock(place, "two", "--pix", 503, "--objects", 10, "--seed", 3)
    mock(place, "two", "--pix", 501, "--objects", 15, "--seed", 3)
    place.run("convert", "two", "--where", "z > 99")
    [gone] = files_of(catalog)[6, 502]
    gone.unlink()
    report = place.json("sync", "--no-datasheet")
    assert (report["commit"], report["hats"]) == (2, ["spectra"])
    rows = check(catalog)
    assert not gone.parent.exists(), "a pixel without files has no folder"
    assert set(files_of(catalog)) == {(6, 500), (6, 501), (6, 503)}
    assert ids(rows) == ids(read(place)) and set(rows["healpix"]) == {500}
    second = stats(catalog)["dataset/_common_metadata"]
    assert second.st_ino == first["dataset/_common_metadata"].st_ino, "the columns are the same"

    # a sync that died before it wrote the catalog is made up for by one that finds nothing changed
    now = {name: (catalog / name).read_bytes() for name in MADE}
    for name, old in kept.items():
        (catalog / name).write_bytes(old)
    report = place.json("sync", "--no-datasheet")
    assert (report["commit"], report["hats"]) == (None, ["spectra"])
    assert {name: (catalog / name).read_bytes() for name in MADE} == now
    for name in MADE:
        (catalog / name).unlink()
        assert place.json("sync", "--no-datasheet")["hats"] == ["spectra"], name
        assert {name: (catalog / name).read_bytes() for name in MADE} == now


def test_a_lake_that_lost_everything_is_an_empty_catalog(place):
    mock(place, "one", "--pix", 500, "--objects", 5)
    place.run("convert", "one")
    place.run("sync", "--no-datasheet")
    [[file]] = files_of(place.lake / "spectra").values()
    file.unlink()
    place.run("sync", "--no-datasheet")
    assert len(check(place.lake / "spectra")) == 0


def test_other_products_are_catalogs_if_they_have_positions_and_nobody_elses(place):
    mock(place, "one", "--pix", 500, "--objects", 20)
    place.run("convert", "one")
    [[source]] = files_of(place.lake / "spectra").values()
    names = ["_healpix_29", "target_id", "ra", "dec"]
    narrow = pq.read_table(source, columns=names)

    def put(product, table):
        folder = place.lake / product / "dataset/Norder=6/Dir=0/Npix=500"
        folder.mkdir(parents=True)
        pq.write_table(table, folder / "iron-main-dark-500_20.parquet")
        return place.lake / product

    derived = put("derived", narrow.append_column("snr", pa.array(np.arange(narrow.num_rows, dtype="f4"))))
    without = put("without", narrow.select(["target_id"]))
    theirs = put("theirs", narrow)
    (theirs / "hats.properties").write_text("obs_collection=theirs\n")
    place.run("sync", "--no-datasheet")
    assert place.json("sync", "--no-datasheet")["hats"] == []
    rows = check(derived)
    assert list(rows["snr"]) == list(range(len(rows))) and len(rows) == narrow.num_rows
    assert [path.name for path in without.iterdir()] == ["dataset"]
    assert sorted(path.name for path in theirs.iterdir()) == ["dataset", "hats.properties"]
    # a newer file brings a column: what is older lacks it
    folder = derived / "dataset/Norder=6/Dir=0/Npix=501"
    folder.mkdir()
    table = narrow.append_column("wider", pa.array(["x"] * narrow.num_rows))
    pq.write_table(table, folder / "iron-main-dark-501_20.parquet")
    place.run("sync", "--no-datasheet")
    rows = check(derived)
    assert rows["wider"].notna().sum() == rows["snr"].notna().sum() == narrow.num_rows == len(rows) / 2


def test_a_file_that_cannot_be_read_is_not_counted(place):
    mock(place, "one", "--pix", 500, "--objects", 20)
    mock(place, "one", "--pix", 501, "--objects", 20)
    place.run("convert", "one")
    catalog = place.lake / "spectra"
    [file] = files_of(catalog)[6, 501]
    file.write_bytes(file.read_bytes()[:4000])
    place.run("sync", "--no-datasheet", code=QUARANTINED)
    lines = (catalog / "partition_info.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in lines[1:]] == [["6", "500"]]
    rows = lsdb.open_catalog(catalog).compute()
    assert len(rows) == int(properties(catalog)["hats_nrows"]) == len(read(place))
