"""Single spectra, coadding and tokens in the package `bifrost`, against the files and against numpy.

BIFROST_BIN names the program; the package is installed, or in PYTHONPATH.
"""

import concurrent.futures
import dataclasses
import itertools
import threading

import matplotlib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import bifrost
import bifrost.science
import tokens_reference as reference
from conftest import new_lake

matplotlib.use("agg")


@pytest.fixture(scope="module")
def place():
    with new_lake(2) as place:
        yield place


@pytest.fixture(scope="module")
def lake(place):
    return bifrost.open(place.lake, place.database_url)


@pytest.fixture(scope="module")
def rows(lake):
    columns = ["target_id", "program", "z", "wavelength", "flux", "ivar", "mask_array"]
    return lake.read("zwarn >= 0", columns=columns).to_arrow().to_pylist()


def test_a_spectrum_is_the_row(lake, rows):
    for row in rows[::7]:
        found = lake.spectrum(row["target_id"], program=row["program"])
        assert (found.target_id, found.z, found.about["program"]) == (row["target_id"], row["z"], row["program"])
        for name, ours in (("wavelength", found.wavelength), ("flux", found.flux), ("ivar", found.ivar), ("mask_array", found.mask)):
            assert ours.tolist() == row[name], name
    assert found.flux.dtype == found.ivar.dtype == np.float32 and found.wavelength.dtype == np.float64
    assert str(found.target_id) in repr(found)


def test_spectra_come_in_the_order_of_the_objects(lake, rows):
    ids = [row["target_id"] for row in rows[::5]][::-1]
    found = lake.spectra(np.array([*ids, 1]), coadded=True)
    assert list(dict.fromkeys(one.target_id for one in found)) == ids
    assert all(len(one.flux) == 7781 for one in found)
    assert [one.target_id for one in lake.spectra([*ids, ids[0]])] == [one.target_id for one in found]


def test_what_is_not_known_is_said(lake, rows):
    with pytest.raises(bifrost.UsageError, match="no spectrum of TARGETID 1 is in the catalog"):
        lake.spectrum(1)
    with pytest.raises(bifrost.UsageError, match="of program dawn"):
        lake.spectrum(rows[0]["target_id"], program="dawn")
    assert lake.spectra([]) == []


def test_an_open_lake_follows_commits():
    """What a look-up remembers of files is as of a commit: stores and files that come and go are seen at once."""
    with new_lake(1) as place:
        lake = bifrost.open(place.lake, place.database_url)
        before = {row["target_id"]: row for row in lake.read("z > 0", columns=["target_id", "program", "flux", "ra"]).to_arrow().to_pylist()}

        def check(ids, has_store):
            for target in ids:
                found = lake.spectrum(target, program=before[target]["program"])
                assert found.flux.tolist() == before[target]["flux"] and found.about["ra"] == before[target]["ra"]
                assert (found.about["store"] is not None) == has_store

        check(before, has_store=False)
        place.run("stage", "run", "spectra-h5")
        check(before, has_store=True)
        # other rows, so that the stores are stale
        place.run("convert", place.folder / "archive", "--where", "z > 0.5")
        place.run("sync")
        kept = lake.read("z > 0", columns=["target_id"]).to_arrow()["target_id"].to_pylist()
        assert 0 < len(kept) < len(before)
        check(kept, has_store=False)
        gone = next(target for target in before if target not in kept)
        with pytest.raises(bifrost.UsageError, match="no spectrum"):
            lake.spectrum(gone)
        place.run("stage", "run", "spectra-h5")
        check(kept, has_store=True)
        for path in (place.lake / "spectra").rglob("*-dark-*.parquet"):
            path.unlink()
        place.run("sync")
        assert {one.about["program"] for one in lake.spectra(kept)} == {"bright"}


def test_many_threads_read_at_once(lake, rows):
    expected = {row["target_id"]: row["flux"] for row in rows if row["program"] == "dark"}
    wrong = []

    def reads(ids):
        for target in ids:
            if lake.spectrum(target, program="dark").flux.tolist() != expected[target]:
                wrong.append(target)

    ids = list(expected)
    threads = [threading.Thread(target=reads, args=(ids[start::8],)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_arms_become_one(lake, rows):
    arms = lake.spectrum(rows[3]["target_id"], program=rows[3]["program"])
    one = arms.coadded()
    assert len(one.wavelength) == 7781 and np.all(np.diff(one.wavelength) > 0)
    again = lake.spectrum(arms.target_id, program=rows[3]["program"], coadded=True)
    assert np.array_equal(one.flux, again.flux) and np.array_equal(one.ivar, again.ivar)
    # by the definition
    weight, sums = np.zeros(7781), np.zeros(7781)
    place = np.rint((arms.wavelength - 3600) / 0.8).astype(int)
    good = arms.good
    np.add.at(weight, place[good], arms.ivar[good].astype(float))
    np.add.at(sums, place[good], arms.ivar[good].astype(float) * arms.flux[good])
    known = weight > 0
    assert np.allclose(one.ivar[known], weight[known], rtol=1e-6) and np.all(one.ivar[~known] == 0)
    assert np.allclose(one.flux[known], sums[known] / weight[known], rtol=1e-4, atol=1e-5)


def test_a_plot_has_the_spectrum_and_its_lines(lake, rows, tmp_path):
    row = max((row for row in rows if row["z"] is not None and 0 < row["z"] < 1), key=lambda row: row["z"])
    spectrum = lake.spectrum(row["target_id"], program=row["program"])
    axes = spectrum.plot()
    names = {text.get_text() for text in axes.texts}
    assert {"[O II]"} <= names and names == {name for name, _, _ in spectrum.lines()}
    assert str(row["target_id"]) in axes.get_title()
    axes.figure.savefig(tmp_path / "spectrum.png")
    assert (tmp_path / "spectrum.png").stat().st_size > 10_000


def test_a_plot_of_few_pixels_or_none_is_drawn(lake, rows):
    spectrum = lake.spectrum(next(row["target_id"] for row in rows if row["z"] is not None and row["z"] > 0.5))
    assert spectrum.plot(smooth=10**6).lines
    axes = dataclasses.replace(spectrum, ivar=np.zeros_like(spectrum.ivar)).plot()
    assert "no good pixel" in {text.get_text() for text in axes.texts}
    for wrong in (0, -1, 2.5):
        with pytest.raises(bifrost.UsageError, match="smooth is a whole number"):
            spectrum.plot(smooth=wrong)


def test_lines_that_lie_together_are_named_once(lake, rows):
    spectrum = lake.spectrum(rows[0]["target_id"])
    pair = dataclasses.replace(spectrum, about={**spectrum.about, "z": 0.5})
    assert [name for name, _, _ in pair.lines()].count("Mg II") == 2
    assert [text.get_text() for text in pair.plot().texts].count("Mg II") == 1


@pytest.mark.parametrize("patch", [32, 64])
@pytest.mark.parametrize("threads", [1, 3])
def test_tokens_are_those_of_numpy(lake, rows, patch, threads):
    found = lake.spectra([row["target_id"] for row in rows], coadded=True)
    flux, ivar = np.array([one.flux for one in found]), np.array([one.ivar for one in found])
    ivar[2] = 0
    made = bifrost.science.tokens(flux, ivar, patch, threads=threads)
    expected = reference.tokens(flux, ivar, patch)
    for ours, theirs in zip(made, expected, strict=True):
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
        assert np.array_equal(ours, theirs, equal_nan=True)
    # arrays of another kind or order are taken, too
    again = bifrost.science.tokens(np.asfortranarray(flux, np.float64), ivar.astype(">f4"), patch)
    assert np.array_equal(again.tokens, made.tokens)
    into = bifrost.science.Tokens(*(np.full_like(part, 7) for part in made))
    again = bifrost.science.tokens(flux, ivar, patch, threads=threads, out=into)
    assert all(one is other for one, other in zip(again, into, strict=True))
    assert all(np.array_equal(one, other, equal_nan=True) for one, other in zip(into, made, strict=True))
    with pytest.raises(bifrost.UsageError, match="buffer for tokens"):
        bifrost.science.tokens(flux[1:], ivar[1:], patch, out=into)
    batch = bifrost.science.tokenise({"flux": flux, "ivar": ivar, "z": np.arange(len(flux))}, patch)
    assert np.array_equal(batch["tokens"], made.tokens) and "flux" not in batch and len(batch["z"]) == len(flux)


def large(factor=1.0):
    """Spectra whose tokens take more than 8 MiB, the least memory that is used again."""
    flux = np.random.default_rng(3).normal(3, 1, (150, 7781)).astype("f4") * np.float32(factor)
    return flux, np.ones_like(flux)


HOLDERS = {
    "the array": lambda made: made.tokens,
    "a view": lambda made: made.tokens[3, 4:6],
    "a view of a view": lambda made: made.tokens[3:].T[5],
    "bytes of it": lambda made: made.tokens.view("u1"),
    "a buffer": lambda made: memoryview(made.tokens[7]),
    "an array of a buffer": lambda made: np.frombuffer(made.tokens, "f4"),
    "Arrow": lambda made: pa.Tensor.from_numpy(made.tokens),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_memory_of_tokens_is_not_used_again_while_somebody_looks_at_it(holder):
    made = bifrost.science.tokens(*large())
    held = HOLDERS[holder](made)
    before = np.array(held)
    del made
    others = [bifrost.science.tokens(*large(factor)) for factor in (-2, 3)]
    others[0] = bifrost.science.tokens(*large(5))
    assert not any(np.shares_memory(np.asarray(held), one.tokens) for one in others)
    assert not np.shares_memory(others[0].tokens, others[1].tokens)
    assert np.array_equal(np.array(held), before)


def test_memory_of_tokens_that_are_gone_is_used_again():
    made = bifrost.science.tokens(*large())
    address = made.tokens.ctypes.data
    del made
    again = bifrost.science.tokens(*large(2))
    assert again.tokens.ctypes.data == address
    expected = reference.tokens(*large(2), 32)
    assert all(np.array_equal(ours, theirs, equal_nan=True) for ours, theirs in zip(again, expected, strict=True))
    # few spectra need no such memory, and many more or fewer other memory
    assert bifrost.science.tokens(*(part[:3] for part in large())).tokens.shape == (3, 244, 64)


def test_threads_have_memory_of_tokens_of_their_own():
    flux, ivar = large()

    def make(factor):
        for _ in range(3):
            made = bifrost.science.tokens(flux * np.float32(factor), ivar, threads=1)
        return made

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        made = list(pool.map(make, range(1, 9)))
    starts = sorted(one.tokens.ctypes.data for one in made)
    assert all(after - before >= made[0].tokens.nbytes for before, after in itertools.pairwise(starts))
    for factor, one in enumerate(made, 1):
        assert np.array_equal(one.median, np.median(flux * np.float32(factor), axis=1)), factor


def test_positions_are_those_of_numpy():
    assert np.allclose(bifrost.science.positions(32, 512), reference.positions(reference.WAVELENGTH, 32, 512), atol=1e-6)
    assert np.array_equal(bifrost.science.grid(), reference.WAVELENGTH)
    assert bifrost.science.positions(64, 128, np.array([4000.0, 4000.8])).shape == (1, 128)


def test_arrays_in_a_column_are_taken_as_rows(lake):
    frame = lake.read("zwarn = 0", columns=["flux", "ivar"], limit=5).to_pandas()
    flux, ivar = (np.stack(frame[name]) for name in ("flux", "ivar"))
    wanted, found = bifrost.science.tokens(flux, ivar), bifrost.science.tokens(frame["flux"], frame["ivar"].to_numpy())
    assert all(np.array_equal(*pair, equal_nan=True) for pair in zip(wanted, found))
    with pytest.raises(bifrost.UsageError, match="flux holds no numbers, or not as many in each row"):
        bifrost.science.tokens(pd.Series([flux[0], flux[1][:9]]), ivar[:2])


def test_arrays_that_do_not_fit_are_refused():
    for flux, ivar, patch, words in [
        (np.ones((2, 100)), np.ones((2, 99)), 32, "shape"),
        (np.ones((2, 100)), np.ones((2, 100)), 33, "32 or 64"),
        (np.ones((2, 0)), np.ones((2, 0)), 32, "without pixels"),
    ]:
        with pytest.raises(bifrost.UsageError, match=words):
            bifrost.science.tokens(flux, ivar, patch)
    with pytest.raises(bifrost.UsageError):
        bifrost.science.coadd(np.array([1.0]), [1], [1], [0])
    ones = np.ones((2, 64))
    for ask, words in [
        (lambda: bifrost.science.tokens(ones, ones, -1), "patch is a whole number"),
        (lambda: bifrost.science.tokens(ones, ones, threads=-1), "threads is a whole number"),
        (lambda: bifrost.science.tokens(ones[None], ones[None]), r"flux is \(rows, pixels\), and has the shape \(1, 2, 64\)"),
        (lambda: bifrost.science.tokens(ones, "none"), "ivar holds no numbers"),
        (lambda: bifrost.science.tokenise({"flux": ones}), "a batch without ivar"),
        (lambda: bifrost.science.positions(32, -2), "dimensions is a whole number"),
        (lambda: bifrost.science.positions(32, 1 << 62), "an even number of dimensions, 2 to 65,536"),
        (lambda: bifrost.science.positions(wavelength=[[3600.0]]), "wavelength is one spectrum"),
        (lambda: bifrost.science.coadd(np.array([3600.0]), ones, [1], [0]), r"flux is one spectrum, \(pixels\)"),
    ]:
        with pytest.raises(bifrost.UsageError, match=words):
            ask()


def test_what_is_masked_is_bad():
    draw = np.random.default_rng(5)
    flux, ivar, bad = draw.normal(3, 1, (4, 96)), np.ones((4, 96)), draw.random((4, 96)) < 0.4
    expected = bifrost.science.tokens(flux, np.where(bad, 0, ivar))
    for made in (bifrost.science.tokens(np.ma.array(flux, mask=bad), ivar), bifrost.science.tokens(flux, np.ma.array(ivar, mask=bad))):
        assert all(np.array_equal(*pair, equal_nan=True) for pair in zip(made, expected))
    assert not np.array_equal(bifrost.science.tokens(flux, ivar).median, expected.median)
    with pytest.raises(bifrost.UsageError, match="even"):
        bifrost.science.positions(32, 3)
