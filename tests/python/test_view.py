"""`bifrost view`: several lakes as one catalog."""

import os
import re
import shutil

import astropy.units as u
import healpy as hp
import lsdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord
from catalogs import LIGHT, check, files_of, ids
from hats.io.validation import is_valid_catalog

LEFT_OUT = 3


@pytest.fixture
def lakes(place):
    """Two lakes of one registry, with a pixel that both have."""
    made = []
    for number, name in enumerate(("alpha", "beta")):
        lake = place.folder / "mnt" / name
        options = ("--lake", lake, "--node", name)
        for pixel, program in ((500, ("dark", "bright")[number]), (600 + number, "dark")):
            place.run("mock", "--out", f"archive-{name}", *LIGHT, "--pix", pixel, "--objects", 20,
                      "--program", program, "--seed", number)
        place.run(*options, "convert", f"archive-{name}")
        # one registry for both: the test's database, or the first lake's own server
        place.run(*options, "--database-url", url(place, lake), "sync", "--no-datasheet")
        made.append(lake)
    yield made
    if "BIFROST_DATABASE_URL" not in place.environment:
        place.run("--lake", made[0], "db", "down")


def url(place, lake):
    if not place._database_url:
        place.run("--lake", lake, "db", "up")
        place._database_url = place.json("--lake", lake, "db", "status")["url"]
    return place._database_url


def test_two_lakes_are_one_catalog(place, lakes):
    view = place.folder / "view"
    report = place.json("view", view, *lakes)
    [merged] = report["products"]
    assert (merged["lakes"], merged["pixels"], report["missing"]) == (2, 3, [])
    rows = check(view / "spectra")
    parts = [check(lake / "spectra") for lake in lakes]
    assert ids(rows) == sorted(ids(parts[0]) + ids(parts[1]))
    assert {path.parent.is_symlink() for path in files_of(view / "spectra")[6, 600]} == {True}
    assert [path.is_symlink() for path in files_of(view / "spectra")[6, 500]] == [True, True]
    # again, by way of the registry: the same
    again = place.json("--database-url", url(place, lakes[0]), "view", view)
    assert again["products"] == [merged | {"links_made": 0, "links_removed": 0}]


def test_a_view_is_brought_up_to_date(place, lakes):
    view = place.folder / "view"
    place.run("view", view, *lakes)
    [gone] = files_of(lakes[1] / "spectra")[6, 601]
    gone.unlink()
    place.run("mock", "--out", "more", *LIGHT, "--pix", 602, "--objects", 10)
    place.run("--lake", lakes[1], "convert", "more")
    # the lake has not been synced since: what it lists and does not have is named
    shutil.rmtree(gone.parent)
    report = place.json("view", view, *lakes, code=LEFT_OUT)
    assert [str(gone.parent) in what for what in report["missing"]] == [True]
    place.run("--lake", lakes[1], "--database-url", url(place, lakes[0]), "sync", "--no-datasheet")
    report = place.json("view", view, *lakes)
    assert set(files_of(view / "spectra")) == {(6, 500), (6, 600), (6, 602)}
    check(view / "spectra")
    # a lake fewer: the pixel of both is now the one lake's
    place.run("view", view, lakes[0])
    assert ids(check(view / "spectra")) == ids(check(lakes[0] / "spectra"))
    assert check(lakes[1] / "spectra") is not None, "a view takes nothing from a lake"


def test_a_view_says_what_it_cannot_show_and_touches_nothing_of_others(place, lakes):
    away = place.folder / "away"
    os.rename(lakes[1], away)
    report = place.json("--database-url", url(place, lakes[0]), "view", place.folder / "view", code=LEFT_OUT)
    assert [merged["lakes"] for merged in report["products"]] == [1]
    assert [str(lakes[1]) in what for what in report["missing"]] == [True]
    # two lakes with the same tile: its rows are shown once
    twin = place.folder / "twin"
    place.run("--lake", twin, "convert", "archive-alpha")
    report = place.json("view", place.folder / "view", lakes[0], twin, code=LEFT_OUT)
    assert len(report["missing"]) == 2
    assert ids(check(place.folder / "view" / "spectra")) == ids(check(lakes[0] / "spectra"))

    mine = place.folder / "mine"
    mine.mkdir()
    (mine / "notes").write_text("mine")
    assert "holds other things" in place.run("view", mine, lakes[0], code=2).stderr
    assert "is a lake" in place.run("view", lakes[0], away, code=2).stderr
    assert [path.name for path in mine.iterdir()] == ["notes"]


def test_lsdb_finds_objects_by_the_index_of_a_view(place, lakes):
    """`id_search` finds in the collection what `bifrost read` finds in the lakes; and what came meanwhile."""
    view = place.folder / "view"
    registry = ("--database-url", url(place, lakes[0]))

    def both():
        [product] = place.json("view", view, *lakes, "--index")["products"]
        collection = view / "spectra_collection"
        assert is_valid_catalog(collection, strict=True)
        held = check(view / "spectra")
        assert product["index_rows"] == held[["target_id", "healpix"]].drop_duplicates().shape[0]
        wanted = sorted(set(ids(held)))[::7] + [-5, 39627652591521181]
        columns = ["target_id", "program", "healpix", "z"]
        catalog = lsdb.open_catalog(collection, columns=columns)
        theirs = catalog.id_search({"target_id": wanted}).compute()
        out = place.folder / "ours.parquet"
        place.run(*registry, "read", "--target-id", ",".join(map(str, wanted)), "--columns", ",".join(columns),
                  "--format", "parquet", "-o", out)
        ours = pq.read_table(out).to_pandas()
        theirs, ours = (sorted(found[columns].itertuples(index=False, name=None)) for found in (theirs, ours))
        assert theirs == ours and len(ours) > 9
        one = catalog.id_search({"target_id": wanted[0]})
        assert set(one.compute()["target_id"]) == {wanted[0]} and len(one.get_healpix_pixels()) == 1
        index = collection / "target_id"
        assert len(lsdb.open_catalog(lakes[0] / "spectra").id_search(
            {"target_id": ids(check(lakes[0] / "spectra"))[0]}, index_catalogs={"target_id": index}).compute()) >= 1
        return {path: path.stat().st_mtime_ns for path in index.rglob("*") if path.is_file()}

    before = both()
    assert both() == before, "what is unchanged is not written"
    place.run("mock", "--out", "archive-more", *LIGHT, "--pix", 700, "--objects", 20, "--seed", 9)
    place.run("--lake", lakes[1], "convert", "archive-more")
    place.run("--lake", lakes[1], "--node", "beta", *registry, "sync", "--no-datasheet")
    after = both()
    assert len(after) == len(before) and after.keys() != before.keys()


def test_a_crossmatch_by_the_margin_of_a_view_loses_no_pair(place, lakes):
    """Neighbours beyond an edge are found as astropy finds them, whatever moves; LSDB checks the rest."""
    view = place.folder / "view"
    margin_arcsec = 300
    edges = [0.0]

    def crossmatched():
        [product] = place.json("view", view, *lakes, "--margin", margin_arcsec, code=0)["products"]
        collection = view / "spectra_collection"
        assert is_valid_catalog(collection, strict=True)
        every = check(view / "spectra").query("has_position")
        [margin] = [path for path in collection.iterdir() if path.name.startswith("margin.")]
        copies = pd.concat([pq.read_table(path).to_pandas().assign(beyond=int(re.search(r"Npix=(\d+)", str(path))[1]))
                            for path in margin.rglob("*.parquet")])
        assert len(copies) == product["margin_rows"]
        # each row that is near enough to another pixel, by a finer grid of points than its maker has
        near = set()
        for row in every.itertuples():
            here = SkyCoord(row.ra * u.deg, row.dec * u.deg)
            for part in (0.25, 0.5, 0.75, 1.0):
                around = here.directional_offset_by(np.arange(0, 360, 3) * u.deg, part * margin_arcsec * u.arcsec)
                found = set(hp.ang2pix(64, around.ra.deg, around.dec.deg, nest=True, lonlat=True)) - {row.healpix}
                near |= {(row.target_id, row.program, pixel) for pixel in found}
        held = set(zip(copies.target_id, copies.program, copies.beyond))
        assert near <= held and len(held) < 3 * len(near) and len(near) > 3
        # one row each, moved by most of the margin: many lie in another pixel then
        mine = every.drop_duplicates("target_id")
        there = SkyCoord(every.ra.to_numpy() * u.deg, every.dec.to_numpy() * u.deg)
        pairs, truth = [], []
        for bearing in (45, 135, 225, 315):
            moved = SkyCoord(mine.ra.to_numpy() * u.deg, mine.dec.to_numpy() * u.deg).directional_offset_by(
                bearing * u.deg, 0.9 * margin_arcsec * u.arcsec)
            asked = lsdb.from_dataframe(pd.DataFrame({"name": range(len(mine)), "ra": moved.ra.deg, "dec": moved.dec.deg}),
                                        ra_column="ra", dec_column="dec")
            catalog = lsdb.open_catalog(collection, columns=["target_id", "program", "ra", "dec", "has_position"])
            assert catalog.margin is not None
            found = asked.crossmatch(catalog.query("has_position"), n_neighbors=100, radius_arcsec=0.95 * margin_arcsec,
                                     suffixes=("_mine", ""), suffix_method="overlapping_columns",
                                     require_right_margin=True).compute()
            pairs += zip([bearing] * len(found), found.name, found.target_id, found.program)
            ours, theirs, apart, _ = there.search_around_sky(moved, 0.95 * margin_arcsec * u.arcsec)
            truth += [(bearing, int(a), every.target_id.iloc[b], every.program.iloc[b]) for a, b in zip(ours, theirs)]
            pixels = hp.ang2pix(64, moved.ra.deg, moved.dec.deg, nest=True, lonlat=True)
            edges[0] += sum(pixels[a] != every.healpix.iloc[b] for a, b in zip(ours, theirs))
        assert sorted(pairs) == sorted(truth)
        return {path: path.stat().st_mtime_ns for path in margin.rglob("*") if path.is_file()}

    before = crossmatched()
    assert edges[0] > 3, "pairs beyond edges"
    assert crossmatched() == before, "what is unchanged is not written"
    registry = ("--database-url", url(place, lakes[0]))
    # a pixel whose neighbour is there
    beside = int(hp.get_all_neighbours(64, 600, nest=True)[0])
    place.run("mock", "--out", "archive-more", *LIGHT, "--pix", beside, "--objects", 60, "--seed", 9)
    place.run("--lake", lakes[1], "convert", "archive-more")
    place.run("--lake", lakes[1], "--node", "beta", *registry, "sync", "--no-datasheet")
    [product] = place.json("view", view, *lakes)["products"]
    assert product["margin_rows"] > 0, "kept up to date"
    after = crossmatched()
    assert before.keys().isdisjoint(after)
    assert "at most" in place.run("view", view, *lakes, "--margin", 900, code=LEFT_OUT).stdout
    assert crossmatched() == after, "what is refused takes nothing away"
    for wrong in ("0", "-3", "far", "nan"):
        place.run("view", view, *lakes, f"--margin={wrong}", code=2)


def test_an_index_says_which_file_it_lacks_until_it_does_not(place, lakes):
    view = place.folder / "view"
    broken = files_of(lakes[0] / "spectra")[6, 500][0]
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    for _ in range(2):
        ended = place.run("view", view, *lakes, "--index", code=LEFT_OUT)
        assert f"{broken.name} is not in the index: " in ended.stdout
    broken.write_bytes(whole)
    place.run("view", view, *lakes, "--index")
    assert place.json("view", view, *lakes)["products"][0]["index_rows"] > 30, "kept up to date without being asked for"
