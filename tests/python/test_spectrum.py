"""`bifrost spectrum`: the spectra of an object, from Parquet and from spectra stores, held against what
pyarrow, h5py and astropy read, and against a coadd by numpy.

BIFROST_BIN names the program; the example `spectra` lies beside it.
"""

import csv
import io
import json
import os
import subprocess
import xml.etree.ElementTree as xml
from pathlib import Path

import matplotlib.image
import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy import units
from astropy.io import fits
from astropy.table import Table

ARRAYS = {"wavelength": "wavelength", "flux": "flux", "ivar": "ivar", "mask": "mask_array"}


@pytest.fixture
def lake(place):
    """A registered lake of two programs in one pixel, in which some objects were observed in both."""
    for program, objects in ("dark", 40), ("bright", 30):
        place.run("mock", "--out", place.folder / "archive", "--objects", objects, "--seed", 1,
                  "--tiles", 1, "--program", program)
    place.run("convert", place.folder / "archive")
    place.run("sync")
    return place


def rows(lake):
    """Every row of the Parquet files, by program and TARGETID."""
    found = {}
    for path in sorted((lake.lake / "spectra").rglob("*.parquet")):
        for row in pq.read_table(path).to_pylist():
            found[row["program"], row["target_id"]] = row
    return found


def spectra(lake, target, *arguments):
    return [json.loads(line) for line in lake.run("spectrum", target, "--json", *arguments).stdout.splitlines()]


def assert_same(found, row):
    for name, column in ARRAYS.items():
        kind = {"mask": "i4", "wavelength": "f8"}.get(name, "f4")
        np.testing.assert_array_equal(np.array(found[name], dtype=kind), np.array(row[column], dtype=kind))
    for name in ("target_id", "z", "zwarn", "spectype", "survey", "program", "healpix", "ra", "dec"):
        assert found[name] == row[name], name


def coadded(row):
    """The weighted mean on the grid of 0.8 Å, pixel by pixel."""
    flux, ivar = np.zeros(7781), np.zeros(7781)
    for w, f, i, m in zip(*(row[column] for column in ARRAYS.values())):
        at = round((w - 3600) / 0.8)
        if m == 0 and i > 0:
            flux[at] += f * i
            ivar[at] += i
    return np.divide(flux, ivar, out=np.zeros(7781), where=ivar > 0), ivar


def test_every_way_to_write_a_spectrum_holds_what_the_file_holds(lake):
    every = rows(lake)
    once = [key for key in every if sum(key[1] == other for _, other in every) == 1]
    for program, target in once[:3]:
        row = every[program, target]
        (found,) = spectra(lake, target)
        assert_same(found, row)
        assert found["arms"]["b"][0] == 0 and found["arms"]["z"][1] == len(row["flux"])
        lines = {(line["name"], line["rest_angstrom"]): line["observed_angstrom"] for line in found["lines"]}
        for (_, rest), observed in lines.items():
            assert observed == pytest.approx(rest * (1 + row["z"]))
            assert 3600 <= observed <= 9824

        text = lake.run("spectrum", target, "--format", "csv").stdout
        table = list(csv.DictReader(io.StringIO(text)))
        assert [float(line["wavelength"]) for line in table] == row["wavelength"]
        assert np.array_equal(np.array([line["flux"] for line in table], dtype="f4"), np.array(row["flux"], dtype="f4"))
        assert [int(line["mask"]) for line in table] == row["mask_array"]
        assert {line["arm"] for line in table} == {"b", "r", "z"}

        file = lake.folder / f"{target}.fits"
        lake.run("spectrum", target, "--format", "fits", "-o", file)
        with fits.open(file, checksum=True) as hdus:
            hdus.verify("exception")
            header = hdus["SPECTRUM"].header
            assert (header["TARGETID"], header["PROGRAM"], header["Z"]) == (target, program, row["z"])
        table = Table.read(file, hdu="SPECTRUM")
        assert table.colnames == ["WAVELENGTH", "FLUX", "IVAR", "MASK", "ARM"]
        np.testing.assert_array_equal(table["FLUX"], np.array(row["flux"], dtype="f4"))
        np.testing.assert_array_equal(table["WAVELENGTH"], row["wavelength"])
        density = units.Unit("1e-17 erg / (s cm2 Angstrom)")
        assert units.Unit(table["FLUX"].unit).is_equivalent(density)
        assert (1 * units.Unit(table["FLUX"].unit)).to_value(density) == pytest.approx(1)
        assert (1 * units.Unit(table["IVAR"].unit)).to_value(density**-2) == pytest.approx(1)
        assert table["WAVELENGTH"].unit == "Angstrom"

        shown = lake.run("spectrum", target).stdout
        assert str(target) in shown and program in shown and row["spectype"] in shown
    assert not list(lake.folder.glob(".*partial"))


def test_arms_are_coadded_as_numpy_does_it(lake):
    for (program, target), row in list(rows(lake).items())[:8]:
        (found,) = spectra(lake, target, "--program", program, "--grid", "coadd")
        assert len(found["flux"]) == 7781 and "arms" not in found
        np.testing.assert_allclose(found["wavelength"], 3600 + 0.8 * np.arange(7781), rtol=0, atol=1e-9)
        flux, ivar = coadded(row)
        np.testing.assert_allclose(found["ivar"], ivar, rtol=1e-6)
        np.testing.assert_allclose(found["flux"], flux, rtol=1e-5, atol=1e-6)
        file = lake.folder / "coadd.fits"
        lake.run("spectrum", target, "--program", program, "--grid", "coadd", "--format", "fits", "-o", file)
        assert Table.read(file).colnames == ["WAVELENGTH", "FLUX", "IVAR", "MASK"]


def test_an_object_of_several_programs_has_several_spectra(lake):
    every = rows(lake)
    several = [target for program, target in every if program == "dark" and ("bright", target) in every]
    assert several, "the mock tiles of a pixel share objects"
    for target in several:
        found = spectra(lake, target)
        assert {one["program"] for one in found} == {"dark", "bright"}
        # the primary one first
        assert [one["is_primary"] for one in found] == [True, False]
        for one in found:
            assert_same(one, every[one["program"], target])
            (chosen,) = spectra(lake, target, "--program", one["program"])
            assert chosen == one
        refused = lake.run("spectrum", target, "--plot", lake.folder / "p.svg", code=2)
        assert "iron-main-dark" in refused.stderr and "iron-main-bright" in refused.stderr
        refused = lake.run("spectrum", target, "--format", "fits", "-o", lake.folder / "p.fits", code=2)
        assert "--program" in refused.stderr
        assert not (lake.folder / "p.svg").exists() and not (lake.folder / "p.fits").exists()


def test_a_figure_has_the_spectrum_its_lines_and_its_name(lake):
    (program, target), row = next(item for item in rows(lake).items() if item[1]["spectype"] == "GALAXY")
    file = lake.folder / "figure.svg"
    lake.run("spectrum", target, "--program", program, "--plot", file)
    drawn = xml.parse(file).getroot()
    texts = ["".join(text.itertext()).strip() for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert any(str(target) in text and "GALAXY" in text and f"{row['z']:.5f}" in text for text in texts)
    (found,) = spectra(lake, target, "--program", program)
    names = {line["name"] for line in found["lines"]}
    assert names and names <= set(texts)
    points = sum(len(line.get("points").split()) for line in drawn.iter("{http://www.w3.org/2000/svg}polyline"))
    assert points > 2 * 7000


def test_a_figure_is_a_picture_of_lines_and_words(lake):
    (program, target), _ = next(item for item in rows(lake).items() if item[1]["spectype"] == "GALAXY")
    file = lake.folder / "figure.PNG"
    lake.run("spectrum", target, "--program", program, "--plot", file)
    assert file.read_bytes().startswith(b"\x89PNG")
    picture = matplotlib.image.imread(file, format="png")
    height, width, _ = picture.shape
    assert (width, height) == (2400, 1040)
    ink = picture[..., :3].min(axis=2) < 0.6
    assert not ink[:, -4:].any() and not ink[:4].any() and not ink[-4:].any()
    # the title, names of lines, numbers at both axes, what they are of: words, not boxes
    for words in (ink[20:80, 130:1100], ink[140:222, 200:], ink[930:980, 130:], ink[250:900, 60:136], ink[400:800, 0:60],
                  ink[985:1035, 1000:1500]):
        assert 0.001 < words.mean() < 0.4, words.mean()
    # the smoothed spectrum goes from side to side
    blue = (picture[..., 2] > picture[..., 0] + 0.15) & (picture[..., 0] < 0.3)
    assert blue[230:930, 150:2340].any(axis=0).mean() > 0.95
    # the same figure is the same picture
    again = lake.folder / "again.png"
    lake.run("spectrum", target, "--program", program, "--plot", again)
    assert again.read_bytes() == file.read_bytes()


def test_what_cannot_be_shown_is_refused_in_words(lake):
    unknown = lake.run("spectrum", 12345, code=4)
    assert unknown.stdout == "" and "no spectrum of TARGETID 12345" in unknown.stderr
    (program, target), _ = next(iter(rows(lake).items()))
    other = lake.run("spectrum", target, "--program", "backup", code=4)
    assert "of program backup" in other.stderr
    lake.run("spectrum", "abc", code=2)
    assert "-o" in lake.run("spectrum", target, "--format", "fits", code=2).stderr
    assert ".svg or .png" in lake.run("spectrum", target, "--plot", "x.jpg", code=2).stderr
    # elsewhere: the registry is reached, and what lies at the lake's place is not the lake
    url, identity = lake.database_url, lake.lake / ".bifrost/lake.json"
    kept = identity.read_text()
    identity.unlink()
    missing = lake.run("spectrum", target, "--database-url", url, code=1)
    assert "cannot be opened from here" in missing.stderr
    identity.write_text(kept)


def test_a_file_that_changed_or_went_since_it_was_registered_is_told(lake):
    (program, target), row = next(iter(rows(lake).items()))
    (path,) = (lake.lake / "spectra").rglob(f"*-{program}-*.parquet")
    whole, about = path.read_bytes(), path.stat()
    path.write_bytes(whole + b"x")
    assert "has changed since" in lake.run("spectrum", target, "--program", program, code=1).stderr
    path.unlink()
    assert "is gone since" in lake.run("spectrum", target, "--program", program, code=1).stderr
    # of the same size and time, and damaged
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes(200_000) + whole[middle + 200_000 :])
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    ended = [subprocess.run(
        [os.environ["BIFROST_BIN"], "spectrum", str(other), "--program", program, "--json"],
        capture_output=True, text=True, env=lake.environment, cwd=lake.folder)
        for of, other in rows_of(whole, lake) if of == program]
    assert {process.returncode for process in ended} <= {0, 1} and any(process.returncode for process in ended)
    assert all("panicked" not in process.stderr for process in ended)


def rows_of(whole, lake):
    file = pq.read_table(io.BytesIO(whole), columns=["program", "target_id"])
    return [(row["program"], row["target_id"]) for row in file.to_pylist()]


@pytest.mark.parametrize("runtime", ["own", "shared"])
def test_many_threads_read_at_once(lake, runtime):
    program = Path(os.environ["BIFROST_BIN"]).parent / "examples" / "spectra"
    targets = "\n".join(str(target) for _, target in rows(lake)) + "\n"
    for stores in False, True:
        if stores:
            lake.run("stage", "run", "spectra-h5")
        told = subprocess.run([program, lake.database_url, "8", runtime, "coadd"], input=targets * 20,
                              capture_output=True, text=True, check=True)
        told = json.loads(told.stdout)
        assert told["spectra"] == 20 * len(targets.split()) and told["both"]["p50"] > 0
