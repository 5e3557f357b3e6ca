"""`bifrost view`: several lakes as one catalog."""

import os
import shutil

import lsdb
import pyarrow.parquet as pq
import pytest
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
    assert place.json("view", view, *lakes)["products"][0]["index_rows"] is None
