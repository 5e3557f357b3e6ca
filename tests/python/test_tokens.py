"""The product tokens against numpy: patches of spectra that numpy coadds itself, from mock tiles on.

BIFROST_BIN names the program.
"""

import json

import duckdb
import lsdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tokens_reference as reference
from conftest import new_place

KEYS = ["_healpix_29", "target_id", "survey", "program", "healpix", "release", "ra", "dec"]
PATCH, PATCHES = 32, 244
DEAD = "iron-main-bright-10000"


@pytest.fixture(scope="module")
def lake():
    """Tokens of spectra of two tiles of every sort, one of them rounded, and of one without a good pixel."""
    with new_place() as place:
        archive = place.folder / "archive"

        def mock(*arguments):
            place.run("mock", "--out", archive, "--objects", 25, "--seed", 4, *arguments)

        mock("--tiles", 2, "--edge", "nan_flux")
        mock("--tiles", 1, "--program", "bright", "--edge", "dead_b", "dead_r", "dead_z")
        tiles = archive / "healpix" / "main"
        place.run("convert", tiles / "bright", tiles / "dark" / "100" / "10000", "--precision", "exact")
        place.run("convert", tiles / "dark" / "100" / "10001")
        place.run("sync", "--no-datasheet")
        place.report = place.json("stage", "run", "tokens")
        yield place


def files(root, product):
    found = (root / product / "dataset").glob("Norder=6/Dir=*/Npix=*/*.parquet")
    return {path.stem.rsplit("_", 1)[0]: path for path in found}


def coadded(row):
    """Flux and ivar of a row of spectra on the coadded grid: every arm's pixel added where it belongs."""
    wavelength, flux, ivar, mask = (np.array(row[name]) for name in ("wavelength", "flux", "ivar", "mask_array"))
    pixel = np.rint((wavelength - 3600) / 0.8).astype(int)
    assert np.abs(reference.WAVELENGTH[pixel] - wavelength).max() < 1e-3
    weight, light = np.zeros((2, reference.WAVELENGTH.size))
    good = (ivar > 0) & (mask == 0)
    np.add.at(weight, pixel[good], ivar[good])
    np.add.at(light, pixel[good], ivar[good] * flux[good])
    mean = np.divide(light, weight, out=np.zeros_like(light), where=weight > 0)
    return mean.astype("f4"), weight.astype("f4")


def expected(spectra):
    """What numpy makes of a file of spectra."""
    rows = pq.read_table(spectra, columns=["wavelength", "flux", "ivar", "mask_array"]).to_pylist()
    flux, ivar = map(np.array, zip(*map(coadded, rows)))
    return reference.tokens(flux, ivar, PATCH)


def compare(table, tokens, masked, median, flag):
    empty = flag == reference.EMPTY
    np.testing.assert_array_equal(table["tokens_flag"], flag)
    for name in ("tokens", "tokens_masked", "tokens_median"):
        np.testing.assert_array_equal(table[name].is_null(), empty)
    found = table["tokens"].combine_chunks().flatten().to_numpy()
    np.testing.assert_allclose(found.reshape(-1, PATCHES, 2 * PATCH), tokens[~empty], rtol=5e-7)
    found = np.array(table["tokens_masked"].combine_chunks().flatten())
    np.testing.assert_array_equal(found.reshape(-1, PATCHES), masked[~empty])
    found = table["tokens_median"].drop_null().to_numpy()
    np.testing.assert_allclose(found, median[~empty], rtol=5e-7)
    return int(empty.sum())


def test_every_token_is_what_numpy_makes_of_the_spectra(lake):
    assert lake.report["totals"] == {"converted": 3} and lake.report["left"] == 0
    spectra, made = files(lake.lake, "spectra"), files(lake.lake, "tokens")
    assert set(spectra) == set(made) and len(made) == 3
    rows = empty = 0
    for tile, path in made.items():
        table = pq.read_table(path)
        empty += compare(table, *expected(spectra[tile]))
        rows += len(table)
        assert table.select(KEYS).equals(pq.read_table(spectra[tile], columns=KEYS))
        stage = json.loads(pq.ParquetFile(path).metadata.metadata[b"bifrost.stage"])
        assert stage == {"name": "tokens", "version": 1}
    # a spectrum without a good pixel has a flag, and no tokens
    dead = pq.read_table(made[DEAD])
    assert empty == len(dead) > 0 and rows - empty > 30
    assert set(dead["tokens_flag"].to_pylist()) == {reference.EMPTY}
    schema = pq.read_schema(made[DEAD])
    assert schema.field("tokens").type == pa.list_(pa.field("element", pa.float32(), nullable=False))
    assert schema.field("tokens_masked").type == pa.list_(pa.field("element", pa.bool_(), nullable=False))
    assert lake.json("stage", "run", "tokens")["up_to_date"] == 3


def test_arrays_carry_no_bounds_and_scalars_do(lake):
    group = pq.ParquetFile(files(lake.lake, "tokens")["iron-main-dark-10000"]).metadata.row_group(0)
    columns = {c.path_in_schema: c for c in (group.column(i) for i in range(group.num_columns))}
    tokens = columns["tokens.list.element"]
    assert tokens.statistics is None and "BYTE_STREAM_SPLIT" in tokens.encodings
    assert columns["tokens_masked.list.element"].statistics is None
    assert columns["tokens_median"].statistics.has_min_max


def test_questions_readers_and_the_datasheet_take_them_as_any_product(lake):
    lake.run("sync")
    sheet = (lake.lake / "DATA_README.md").read_text()
    assert "**tokens**: 12 columns" in sheet and "| `tokens_masked` |" in sheet
    assert "tokens" in (lake.lake / "croissant.json").read_text()
    assert (lake.lake / "tokens" / "hats.properties").exists()
    assert lake.json("verify", "--deep")["findings"] == []
    # bounds of the scalars leave files out, also beside spectra
    found = lake.json("resolve", "tokens_flag >= 4", "--product", "tokens")["files"]
    assert [DEAD in file["path"] for file in found] == [True]
    out = lake.folder / "answer.parquet"
    columns = "target_id,z,tokens,tokens_median"
    question = ("z > 0.1 AND tokens_flag = 0", "--columns", columns)
    lake.run("read", *question, "--format", "parquet", "--output", out)
    answer = pq.read_table(out)
    assert len(answer) > 10 and set(pa.compute.list_value_length(answer["tokens"]).to_pylist()) == {PATCHES * 64}
    by_target = {}
    for tile, path in files(lake.lake, "tokens").items():
        table = pq.read_table(path)
        by_target.update(zip(table["target_id"].to_pylist(), table["tokens"].to_pylist()))
    for target, tokens in zip(answer["target_id"].to_pylist(), answer["tokens"].to_pylist()):
        assert tokens == by_target[target]


def test_other_readers_see_the_same_arrays(lake):
    path = files(lake.lake, "tokens")["iron-main-dark-10001"]
    tokens, masked = expected(files(lake.lake, "spectra")["iron-main-dark-10001"])[:2]
    frame = pl.read_parquet(path)
    np.testing.assert_allclose(np.stack(frame["tokens"]), tokens.reshape(len(frame), -1), rtol=5e-7)
    query = f"SELECT sum(len(tokens)), sum(list_sum(tokens_masked::INT[])) FROM '{path}'"
    assert duckdb.sql(query).fetchall() == [(tokens.size, masked.sum())]
    catalog = lsdb.open_catalog(lake.lake / "tokens", columns=["target_id", "tokens_flag", "tokens"]).compute()
    rows = sum(pq.ParquetFile(made).metadata.num_rows for made in files(lake.lake, "tokens").values())
    assert len(catalog) == rows and (catalog["tokens"].isna() == (catalog["tokens_flag"] == reference.EMPTY)).all()


def test_the_reference_is_its_own_definition():
    """Row by row, with the plainest functions of numpy."""
    flux, ivar = reference.mock(12, 500, seed=2)
    for patch in (32, 64):
        tokens, masked, median, flag = reference.tokens(flux, ivar, patch)
        np.testing.assert_array_equal(reference.tokens(flux, ivar, patch, reference.nanmedian)[0], tokens)
        assert tokens.shape == (12, -(-500 // patch), 2 * patch) and tokens.dtype == "f4"
        assert set(flag) >= {0, reference.FLOORED, reference.NEGATIVE, reference.EMPTY}
        for row in range(12):
            good = np.isfinite(flux[row]) & np.isfinite(ivar[row]) & (ivar[row] > 0)
            assert (flag[row] == reference.EMPTY) == (not good.any()) == bool(np.isnan(median[row]))
            if not good.any():
                assert masked[row].all() and not tokens[row, :, :patch].any()
                continue
            assert median[row] == np.median(flux[row][good])
            scale = max(abs(median[row]), 0.01)
            found = tokens[row, :, :patch].ravel()[:500]
            np.testing.assert_allclose(found, np.where(good, flux[row], 0) / scale, rtol=5e-7)
            sigma = np.where(good, np.maximum(ivar[row], 1e-8), 1e-8) ** -0.5
            np.testing.assert_allclose(tokens[row, :, patch:].ravel()[:500], sigma / scale, rtol=5e-7)
            bad = [np.count_nonzero(~good[i : i + patch]) for i in range(0, 500, patch)]
            bad[-1] += len(bad) * patch - 500
            assert list(masked[row]) == [n > patch / 2 for n in bad]


def test_positions_are_means_of_sines_and_cosines():
    made = reference.positions(reference.WAVELENGTH, 64, 32)
    assert made.shape == (122, 32)
    omega = 2 * np.pi * np.logspace(-6, 1, 16)
    last = reference.WAVELENGTH[121 * 64 :]
    assert len(last) == 37
    np.testing.assert_allclose(made[121, 5], np.mean(np.sin(omega[5] * last)), atol=1e-6)
    np.testing.assert_allclose(made[121, 16 + 9], np.mean(np.cos(omega[9] * last)), atol=1e-6)
