"""Cones, polygons, boxes and MOCs against astropy, mocpy and DuckDB: tiles at a pole, on RA = 0 and in
the middle of nowhere, and a product of another program whose right ascensions go from -180 to 180.

BIFROST_BIN names the program; `ask`, built from the library's examples, lies beside it.
BIFROST_SOAK=1 asks ten times as many questions."""

import csv
import io
import json
import os
import random
from pathlib import Path

import astropy.units as u
import duckdb
import healpy
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from conftest import library, new_place
from mocpy import MOC

TRIALS = 1000 if os.environ.get("BIFROST_SOAK") else 100
# the poles; RA = 0 at three declinations; neighbours
CORNERS = [4095, 32768, 0, 4096, 16384]
PIXELS = sorted({*CORNERS, *(int(p) for p in healpy.ang2pix(64, [0, 359.9, 0.4, 180], [33, 33, -20, 89.6], lonlat=True, nest=True)), 10000, 10001, 10002})

# one lake for all of them: one process
pytestmark = pytest.mark.xdist_group("regions")


class Lake:
    def __init__(self, place):
        self.place = place
        archive = place.folder / "archive"
        place.run("mock", "--out", archive, "--pix", ",".join(map(str, PIXELS)), "--objects", 60,
                  "--rrdetails", "small", "--no-resolution")  # fmt: skip
        place.run("convert", archive, "--group-rows", 16)
        duck = duckdb.connect()
        spectra = f"read_parquet('{place.lake}/spectra/**/*.parquet', filename = true, hive_partitioning = false)"
        # as others write it: another turn, no HEALPix numbers, a folder that says where they are
        for path in sorted((place.lake / "spectra").rglob("*.parquet")):
            other = Path(str(path).replace("/spectra/", "/others/"))
            other.parent.mkdir(parents=True)
            duck.execute(
                f"COPY (SELECT target_id, CASE WHEN ra > 180 THEN ra - 360 ELSE ra END AS ra, dec, z"
                f" FROM read_parquet('{path}') ORDER BY target_id) TO '{other}' (FORMAT parquet, ROW_GROUP_SIZE 2048)"
            )
        place.run("sync")
        self.rows = {"spectra": duck.execute(f"SELECT target_id, ra, dec, z, filename FROM {spectra}").fetchnumpy()}
        others = spectra.replace("/spectra/", "/others/")
        self.rows["others"] = duck.execute(f"SELECT target_id, ra, dec, z, filename FROM {others}").fetchnumpy()
        self.sky = {p: SkyCoord(r["ra"], r["dec"], unit="deg") for p, r in self.rows.items()}

    def held(self, product, inside):
        """Objects and files of rows."""
        rows = self.rows[product]
        return sorted(rows["target_id"][inside].tolist()), set(rows["filename"][inside])


@pytest.fixture(scope="module")
def lake():
    with new_place() as place:
        yield Lake(place)


@pytest.fixture(scope="module")
def ask(lake):
    """Asks the library what it must understand."""
    with library(lake.place.database_url) as ask:

        def answered(**question):
            answer = ask(**question)
            assert "error" not in answer, f"{question}: {answer['error']}"
            return answer

        yield answered


def check(lake, ask, inside, product, **question):
    """Rows and files of an answer are those inside; gives how many files there are beyond."""
    answer = ask(product=product, columns=["target_id"], **question)
    found = sorted(row["target_id"] for row in answer["rows"])
    files = {file["path"] for file in answer["resolution"]["files"]}
    objects, holding = lake.held(product, inside)
    assert holding <= files, f"{question} misses {holding - files}"
    assert found == objects, question
    return len(objects), len(files)


def places(lake, seed):
    """Positions near some row, each with a radius in degrees."""
    rng = random.Random(seed)
    rows = lake.rows["spectra"]
    for _ in range(TRIALS):
        row = rng.randrange(len(rows["ra"]))
        radius = 10 ** rng.uniform(-2, 1.3)
        centre = SkyCoord(rows["ra"][row], rows["dec"][row], unit="deg")
        centre = centre.directional_offset_by(rng.uniform(0, 360) * u.deg, rng.uniform(0, 1) * radius * u.deg)
        yield rng, centre, radius


def polygon(rng, centre, radius):
    """Corners around a point that sees all of them."""
    count = rng.randint(3, 9)
    bearings = [(i + rng.uniform(0, 0.4)) * 360 / count for i in range(count)]
    corners = [centre.directional_offset_by(b * u.deg, radius * rng.uniform(0.4, 1) * u.deg) for b in bearings]
    return SkyCoord([c.ra for c in corners], [c.dec for c in corners])


def text(corners):
    return ",".join(f"{c.ra.deg!r},{c.dec.deg!r}" for c in corners).replace("np.float64(", "").replace(")", "")


@pytest.mark.parametrize("product", ["spectra", "others"])
def test_cones_hold_what_astropy_separates(lake, ask, product):
    held = listed = 0
    for rng, centre, radius in places(lake, 1):
        radius = rng.choice([radius, radius, 10 * radius]) % 180
        cone = f"{float(centre.ra.deg)!r},{float(centre.dec.deg)!r},{radius!r}"
        inside = lake.sky[product].separation(centre).deg <= radius
        objects, files = check(lake, ask, inside, product, cone=cone)
        held, listed = held + objects, listed + files
    assert held > 10 * TRIALS and listed < TRIALS * len(PIXELS) * 0.6


@pytest.mark.parametrize("product", ["spectra", "others"])
def test_polygons_hold_what_mocpy_says(lake, ask, product):
    held = listed = 0
    for rng, centre, radius in places(lake, 2):
        corners = polygon(rng, centre, radius)
        # a cell of order 18 on the edge is 0.8 arc seconds
        inside = MOC.from_polygon_skycoord(corners, max_depth=18 if radius < 2 else 14).contains_skycoords(lake.sky[product])
        edges = np.min([distance(lake.sky[product], a, b) for a, b in zip(corners, np.roll(corners, -1))], axis=0)
        unsure = inside & (edges < 60 / 3600 if radius >= 2 else edges < 4 / 3600)
        asked = text(corners)
        answer = ask(product=product, columns=["target_id"], polygon=asked)
        found = {row["target_id"] for row in answer["rows"]}
        assert set(lake.held(product, inside & ~unsure)[0]) <= found <= set(lake.held(product, inside)[0]), asked
        files = {file["path"] for file in answer["resolution"]["files"]}
        assert lake.held(product, inside & ~unsure)[1] <= files, asked
        held, listed = held + len(found), listed + len(files)
    assert held > 5 * TRIALS and listed < TRIALS * len(PIXELS) * 0.4


def distance(sky, a, b):
    """Degrees from positions to the great circle between two corners."""
    at, a, b = (c.cartesian.get_xyz().value.T for c in (sky, a, b))
    pole = np.cross(a, b)
    pole /= np.linalg.norm(pole)
    beside = (at @ np.cross(pole, a) >= 0) & (at @ np.cross(pole, b) <= 0)
    ends = np.minimum(*(np.arccos(np.clip(at @ end, -1, 1)) for end in (a, b)))
    return np.degrees(np.where(beside, np.abs(np.arcsin(np.clip(at @ pole, -1, 1))), ends))


def box(rng, centre, radius):
    """Sides as numbers that a person writes, some over RA 0."""
    south, north = (round(float(centre.dec.deg) + d, 3) for d in (-rng.random() * radius, rng.random() * radius))
    stretch = min(radius / max(np.cos(centre.dec.rad), 0.02), 179.0)
    west, east = (round(float(centre.ra.deg) + rng.random() * s * stretch, 3) for s in (-1, 1))
    return west, east, max(south, -90.0), min(north, 90.0)


@pytest.mark.parametrize("product", ["spectra", "others"])
def test_boxes_hold_what_their_sides_enclose(lake, ask, product):
    held = listed = 0
    rows = lake.rows[product]
    for rng, centre, radius in places(lake, 3):
        west, east, south, north = box(rng, centre, radius)
        turns = [rows["ra"] + turn for turn in (-720, -360, 0, 360, 720)]
        inside = np.any([(ra >= west) & (ra <= east) for ra in turns], axis=0)
        inside &= (rows["dec"] >= south) & (rows["dec"] <= north)
        sides = [west % 360, east % 360] if rng.random() < 0.5 and east - west < 360 else [west, east]
        objects, files = check(lake, ask, inside, product, box=f"{sides[0]},{sides[1]},{south},{north}")
        held, listed = held + objects, listed + files
    assert held > 10 * TRIALS and listed < TRIALS * len(PIXELS) * 0.4


@pytest.mark.parametrize("product", ["spectra", "others"])
def test_a_condition_on_ra_and_dec_is_looked_up_on_the_sky_and_loses_no_row(lake, ask, product):
    """Numbers mean what they say: a row at -10 is not at 350."""
    held = 0
    rows = lake.rows[product]
    for rng, centre, radius in places(lake, 4):
        west, east, south, north = box(rng, centre, radius)
        turn = rng.choice([-360, 0, 0, 0, 360])
        west, east = west + turn, east + turn
        inside = (rows["ra"] >= west) & (rows["ra"] <= east) & (rows["dec"] >= south) & (rows["dec"] <= north)
        condition = f"ra BETWEEN {west} AND {east} AND dec BETWEEN {south} AND {north}"
        if rng.random() < 0.3:
            condition = f"({condition}) AND z > 0.5"
            inside &= rows["z"] > 0.5
        held += check(lake, ask, inside, product, predicate=condition)[0]
    assert held > 2 * TRIALS
    steps = ask(predicate="ra BETWEEN 0 AND 1 AND dec BETWEEN 40 AND 41", product=product, detail="explained")
    steps = {s["by"]: s["files"] for s in steps["resolution"]["pruned"]["explained"]["steps"]}
    assert product == "others" or steps["indexed bounds and tile keys"] == 0


@pytest.mark.parametrize("product", ["spectra", "others"])
def test_mocs_hold_what_mocpy_holds(lake, ask, product):
    held = listed = 0
    for rng, centre, radius in places(lake, 5):
        moc = MOC.from_cone(centre.ra, centre.dec, radius=radius * u.deg, max_depth=rng.randint(5, 14))
        if rng.random() < 0.3:
            moc = moc.difference(MOC.from_cone(centre.ra, centre.dec, radius=radius / 3 * u.deg, max_depth=12))
        if rng.random() < 0.2:
            moc = moc.complement()
        inside = moc.contains_skycoords(lake.sky[product])
        form = rng.choice(["ascii", "json"])
        spelled = moc.to_string(format=form)
        objects, files = check(lake, ask, inside, product, moc=spelled)
        held, listed = held + objects, listed + files
    assert held > 10 * TRIALS and listed < TRIALS * len(PIXELS) * 0.8


def read(lake, *question, **run):
    ended = lake.place.run("read", *question, "--format", "csv", "--columns", "target_id", **run)
    return sorted(int(row["target_id"]) for row in csv.DictReader(io.StringIO(ended.stdout)))


def test_the_program_reads_mocs_in_every_form(lake):
    centre = lake.sky["spectra"][5]
    moc = MOC.from_cone(centre.ra, centre.dec, radius=0.4 * u.deg, max_depth=13)
    inside = moc.contains_skycoords(lake.sky["spectra"])
    truth = lake.held("spectra", inside)[0]
    assert len(truth) > 5
    for form in ("fits", "json", "ascii"):
        path = lake.place.folder / f"map.{form}"
        moc.save(path, format=form, overwrite=True)
        assert read(lake, "--moc", path) == truth, form
        with path.open() as stdin:
            assert read(lake, "--moc", "-", stdin=stdin) == truth, form
    for order in (2, 29):
        whole = lake.place.folder / f"order-{order}.fits"
        MOC.from_lonlat(lake.sky["spectra"].ra[:1], lake.sky["spectra"].dec[:1], max_norder=order).save(whole, format="fits")
        assert lake.rows["spectra"]["target_id"][0] in read(lake, "--moc", whole)
    empty = lake.place.folder / "empty.json"
    empty.write_text("{}")
    assert read(lake, "--moc", empty, code=4) == []


def test_cells_of_the_first_standard_are_all_taken_or_refused(lake):
    """By numbers that name their orders, be they deeper than the head says; what is no cell is no cell."""
    rows = lake.rows["spectra"]
    cells = healpy.ang2pix(1 << 29, rows["ra"], rows["dec"], nest=True, lonlat=True)
    deep = int(cells[3])
    pixel = deep >> 46

    def write(numbers, order=6, kind="K", **more):
        column = fits.Column(name="UNIQ", format=kind, array=np.array(numbers, dtype=np.int64 if kind == "K" else np.int32))
        table = fits.BinTableHDU.from_columns([column])
        about = {"PIXTYPE": "HEALPIX", "ORDERING": "NUNIQ", "COORDSYS": "C", "MOCORDER": order, **more}
        table.header.update(about)
        path = lake.place.folder / "cells.fits"
        table.writeto(path, overwrite=True)
        return path

    one = lake.held("spectra", cells == deep)[0]
    assert one and read(lake, "--moc", write([4 * 4**29 + deep])) == one, "deeper than MOCORDER"
    truth = lake.held("spectra", cells >> 46 == pixel)[0]
    assert len(truth) > len(one)
    for numbers, kind in [([4**7 + pixel], "K"), ([4**7 + pixel, 0, 4**7 + pixel], "J"), ([4 * 4**29 + deep, 4**7 + pixel], "K")]:
        assert read(lake, "--moc", write(numbers, kind=kind)) == truth
    assert read(lake, "--moc", write([0]), code=4) == []
    def refused(path):
        return lake.place.run("read", "--moc", path, code=2).stderr

    for numbers in ([3], [-5], [4**7 + pixel, 2**62]):
        assert "is no cell's number" in refused(write(numbers))
    assert "COORDSYS" in refused(write([4**7 + pixel], COORDSYS="G"))
    path = write([4**7 + pixel, 4**7 + pixel])
    path.write_bytes(path.read_bytes()[: 2 * 2880 + 12])
    assert "cut short" in refused(path)


def test_all_of_several_regions_must_hold(lake):
    rows, sky = lake.rows["spectra"], lake.sky["spectra"]
    centre = sky[len(rows["ra"]) // 2]
    ra, dec = float(centre.ra.deg), float(centre.dec.deg)
    inside = (sky.separation(centre).deg <= 0.6) & (rows["ra"] >= ra - 0.3) & (rows["dec"] <= dec + 0.3)
    inside &= (rows["ra"] <= ra + 5) & (rows["dec"] >= dec - 5)
    truth = lake.held("spectra", inside)[0]
    assert 3 < len(truth) < (sky.separation(centre).deg <= 0.6).sum()
    asked = ["--cone", f"{ra},{dec},0.6", "--box", f"{ra - 0.3},{ra + 5},{dec - 5},{dec + 0.3}"]
    assert read(lake, *asked) == truth
    assert read(lake, *asked, "--polygon", f"{ra - 20},{dec},{ra - 19},{dec},{ra - 20},{dec + 1}", code=4) == []


def test_what_cannot_be_meant_is_a_fault_of_usage(lake):
    text = lake.place.folder / "no.moc"
    text.write_text("6/49152")
    for question, words in [
        (["--polygon", "1,2,3,4"], "fewer than three corners"),
        (["--polygon", "0,0,10,10,10,0,0,10"], "edges that cross"),
        (["--polygon", "0,0,10"], "RA,DEC,RA,DEC,RA,DEC"),
        (["--box", "1,2,4,3"], "the least comes first"),
        (["--box", "1,2,3"], "four numbers in degrees"),
        (["--moc", text], "there are no cells 6/49152"),
        (["--moc", lake.place.folder / "nowhere.fits"], "No such file"),
    ]:
        for verb in ("resolve", "read"):
            assert words in lake.place.run(verb, *question, code=2).stderr


def test_a_snapshot_keeps_its_regions(lake):
    centre = lake.sky["spectra"][5]
    ra, dec = float(centre.ra.deg), float(centre.dec.deg)
    path = lake.place.folder / "map.fits"
    MOC.from_cone(centre.ra, centre.dec, radius=0.5 * u.deg, max_depth=10).save(path, format="fits", overwrite=True)
    asked = ["--moc", path, "--box", f"{ra - 1},{ra + 1},{dec - 0.2},{dec + 0.2}", "--cone", f"{ra},{dec},0.45",
             "--polygon", f"{ra - 1},{dec - 1},{ra + 1},{dec - 1},{ra},{dec + 1}"]  # fmt: skip
    truth = read(lake, *asked)
    assert len(truth) > 3
    snapshot = lake.place.folder / "saved.json"
    lake.place.run("resolve", *asked, "--save", snapshot)
    path.unlink()
    lake.place.run("replay", snapshot)
    ended = lake.place.run("read", "--snapshot", snapshot, "--format", "csv", "--columns", "target_id")
    assert sorted(int(row["target_id"]) for row in csv.DictReader(io.StringIO(ended.stdout))) == truth
    question = json.loads(snapshot.read_text())["snapshot"]["question"]
    assert question["cone"] and [next(iter(r)) for r in question["regions"]] == ["polygon", "box", "moc"]
    # one without other regions looks as it did before there were any
    plain = lake.place.folder / "cone.json"
    lake.place.run("resolve", "--cone", f"{ra},{dec},0.45", "--save", plain)
    assert set(json.loads(plain.read_text())["snapshot"]["question"]) == {"product", "predicate", "cone", "target_ids"}
