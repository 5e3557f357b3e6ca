"""`bifrost convert` against astropy: every number of every row and column, read with pyarrow and DuckDB.

BIFROST_BIN names the program. Twenty mock tiles of two programs that share targets are converted at
each precision; the real pair of `shared/fixtures` (BIFROST_SHARED, else beside the repository) in mode
exact, where it is there.
"""

import json
import os
import subprocess
from pathlib import Path

import duckdb
import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("BIFROST_SHARED", REPOSITORY.parent / "shared"))
FIXTURES = SHARED / "fixtures"
ARMS = ("B", "R", "Z")
PRECISIONS = ("exact", "decimals", "noise=0.1")
ARRAYS = ("wavelength", "flux", "ivar", "mask_array")
FIBERMAP = (
    "target_id=TARGETID ra=TARGET_RA dec=TARGET_DEC mean_fiber_ra mean_fiber_dec objtype morphtype photsys "
    "coadd_fiberstatus desi_target bgs_target mws_target scnd_target ref_id ebv flux_g flux_r flux_z flux_w1 "
    "flux_w2 flux_ivar_g flux_ivar_r flux_ivar_z flux_ivar_w1 flux_ivar_w2 pmra pmdec parallax coadd_numexp "
    "coadd_numnight coadd_numtile coadd_exptime"
)
REDSHIFTS = "z zerr zwarn spectype subtype deltachi2 chi2 npixels ncoeff"
SCORES = (
    "tsnr2_bgs tsnr2_elg tsnr2_lrg tsnr2_lya tsnr2_qso median_coadd_snr_b median_coadd_snr_r "
    "median_coadd_snr_z"
)
LINES = "oii hdelta hgamma hbeta oiii halpha"
NOT_FITTED = -99
FITTED = "flux flux_ivar sigma sigma_ivar cont cont_ivar share share_ivar ew ew_ivar chi2 ndof"


def bifrost(*arguments):
    binary = os.environ.get("BIFROST_BIN")
    assert binary, "set BIFROST_BIN to the bifrost program"
    command = [binary, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def convert(lake, *sources, precision, more=()):
    options = ("--precision", precision, "--json", *more)
    return json.loads(bifrost("--lake", lake, "convert", *sources, *options))["tiles"]


def pairs(names):
    """(Parquet name, FITS name) of a list of words."""
    for word in names.split():
        name, _, card = word.partition("=")
        yield name, card or name.upper()


def same(found, expected, name):
    """Equal, where NaN in FITS, and -99 degrees of freedom, are NULL here."""
    expected = np.asarray(expected)
    if expected.dtype.kind in "SU":
        assert found == [text.strip() for text in expected.astype(str)], name
        return
    nulls = np.array([value is None for value in found])
    missing = np.isnan(expected) if expected.dtype.kind == "f" else np.zeros(len(expected), bool)
    if name.endswith("_ndof"):
        missing = expected == NOT_FITTED
    assert (nulls == missing).all(), name
    assert np.array_equal(np.array([v for v in found if v is not None]), expected[~missing]), name


class Source:
    """A tile's FITS files, read with astropy."""

    def __init__(self, coadd, redrock, emline=None, rrdetails=None):
        self.coadd, self.redrock = fits.open(coadd), fits.open(redrock)
        self.emline = emline and fits.open(emline)["EMLINEFIT"].data
        self.rrdetails = rrdetails and h5py.File(rrdetails)

    def table(self, name):
        file = self.redrock if name == "REDSHIFTS" else self.coadd
        return file[name].data

    def rows(self, table, ids):
        row = {int(target): i for i, target in enumerate(table["TARGETID"])}
        return [row[target] for target in ids]

    def arrays(self, ids):
        row = self.rows(self.table("FIBERMAP"), ids)
        cut = {}
        for arm in ARMS:
            wave = self.coadd[f"{arm}_WAVELENGTH"].data
            cut[arm] = (wave > 3600 - 1e-3) & (wave < 9800 + 1e-3)

        def stacked(part):
            return np.hstack([self.coadd[f"{arm}_{part}"].data[row][:, cut[arm]] for arm in ARMS])

        wave = np.hstack([self.coadd[f"{arm}_WAVELENGTH"].data[cut[arm]] for arm in ARMS])
        return np.tile(wave, (len(ids), 1)), stacked("FLUX"), stacked("IVAR"), stacked("MASK")


def check_scalars(found, source):
    ids = found["target_id"]
    fibermap = source.table("FIBERMAP")
    names = fibermap.dtype.names
    rows = source.rows(fibermap, ids)
    assert found["coadd_row"] == rows
    for name, card in pairs(FIBERMAP):
        own = f"{found['survey'][0].upper()}_{card}"
        card = own if own in names else card
        if card in names:
            same(found[name], fibermap[card][rows], name)
        else:
            assert set(found[name]) == {None}, name
    for table, words in (("REDSHIFTS", REDSHIFTS), ("SCORES", SCORES)):
        data = source.table(table)
        rows = source.rows(data, ids)
        for name, card in pairs(words):
            same(found[name], data[card][rows], name)
    data = source.table("REDSHIFTS")
    assert np.array_equal(np.array(found["coeff"]), data["COEFF"][source.rows(data, ids)])
    check_exposures(found, source.table("EXP_FIBERMAP"))
    check_lines(found, source.emline)
    check_details(found, source.rrdetails)


def check_exposures(found, exposures):
    for i, target in enumerate(found["target_id"]):
        own = exposures[exposures["TARGETID"] == target]
        assert found["first_night"][i] == own["NIGHT"].min()
        assert found["last_night"][i] == own["NIGHT"].max()
        assert (found["min_mjd"][i], found["max_mjd"][i]) == (own["MJD"].min(), own["MJD"].max())
        assert found["mean_mjd"][i] == pytest.approx(own["MJD"].mean(), abs=1e-9)


def check_lines(found, emline):
    if emline is None:
        assert set(found["has_emline"]) == {False} and set(found["halpha_flux"]) == {None}
        return
    row = {int(target): i for i, target in enumerate(emline["TARGETID"])}
    rows = [row[target] for target in found["target_id"]]
    assert set(found["has_emline"]) == {True}
    for line in LINES.split():
        for key in FITTED.split():
            same(found[f"{line}_{key}"], emline[f"{line}_{key}".upper()][rows], f"{line}_{key}")
        # what is not fitted lacks both
        assert [n is None for n in found[f"{line}_ndof"]] == [x is None for x in found[f"{line}_flux"]]


def check_details(found, rrdetails):
    if rrdetails is None:
        assert set(found["has_rrdetails"]) == {False} and set(found["z2"]) == {None}
        return
    for i, target in enumerate(found["target_id"]):
        fitted = rrdetails[f"zfit/{target}/zfit"][()]
        second = fitted[1]
        assert (found["z2"][i], found["chi2_2"][i]) == (second["z"], second["chi2"])
        assert found["deltachi2_2"][i] == second["deltachi2"]
        assert found["spectype2"][i] == second["spectype"].decode()
        assert found["subtype2"][i] == second["subtype"].decode()
        for kind in ("GALAXY", "QSO", "STAR"):
            best = fitted["chi2"][fitted["spectype"] == kind.encode()].min()
            assert found[f"chi2_{kind.lower()}"][i] == best


def scalars(table):
    return table.drop_columns(list(ARRAYS)).to_pydict()


def values(table, name):
    """An array column, a row of numbers for each object."""
    lists = table.column(name).combine_chunks()
    return lists.flatten().to_numpy().reshape(table.num_rows, -1)


def check_arrays(table, source, precision):
    """Within the bounds that fuse/precision.rs states."""
    wave, flux, ivar, mask = source.arrays(table.column("target_id").to_pylist())
    got = {name: values(table, name) for name in ARRAYS}
    assert np.array_equal(got["mask_array"], mask.astype(np.int64))
    error = {
        "wavelength": np.abs(got["wavelength"] - wave),
        "flux": np.abs(got["flux"].astype(float) - flux),
        "ivar": np.abs(got["ivar"].astype(float) - ivar),
    }
    half_ulp = np.spacing(np.abs(flux)).astype(float) / 2, np.spacing(np.abs(ivar)).astype(float) / 2
    if precision == "exact":
        assert all((e == 0).all() for e in error.values())
        return
    assert error["wavelength"].max() <= 0.005 + 1e-9
    assert ((got["ivar"] == 0) == (ivar == 0)).all()
    if precision == "decimals":
        assert (error["flux"] <= 5e-7 + half_ulp[0]).all()
        assert (error["ivar"] <= 5e-7 + half_ulp[1]).all()
        assert (error["ivar"] <= 5.1e-5 * ivar).all()
        return
    fraction = float(precision.split("=")[1])
    with np.errstate(divide="ignore"):
        sigma = np.where(ivar > 0, 1 / np.sqrt(ivar.astype(float)), np.inf)
    bound = np.where(ivar > 0, fraction * sigma * (1 + 1e-6), 5e-7 + half_ulp[0])
    assert (error["flux"] <= bound).all()
    assert (error["ivar"] <= ivar / 512).all()


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Twenty tiles: ten pixels in two programs, which share some targets."""
    root = tmp_path_factory.mktemp("archive")
    for program in ("dark", "bright"):
        bifrost(
            "mock", "--out", root, "--tiles", 10, "--objects", 24, "--seed", 7, "--program", program,
            "--no-resolution", "--rrdetails", "small",
        )
    return root


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_number_is_the_archives(archive, tmp_path, precision):
    tiles = convert(tmp_path / "lake", archive, precision=precision)
    assert len(tiles) == 20 and {tile["outcome"] for tile in tiles} == {"converted"}
    targets, unfitted = {}, 0
    for tile in tiles:
        program, pixel = tile["tile"]["program"], tile["tile"]["pixel"]
        folder = archive / "healpix" / "main" / program / str(pixel // 100) / str(pixel)
        stem = f"main-{program}-{pixel}"
        source = Source(
            folder / f"coadd-{stem}.fits", folder / f"redrock-{stem}.fits",
            folder / f"emline-{stem}.fits", folder / f"rrdetails-{stem}.h5",
        )
        table = pq.read_table(tile["path"])
        found = scalars(table)
        fibermap = source.table("FIBERMAP")
        real = (fibermap["TARGETID"] > 0) & (fibermap["OBJTYPE"] == "TGT")
        assert sorted(found["target_id"]) == sorted(int(i) for i in fibermap["TARGETID"][real])
        assert found["_healpix_29"] == sorted(found["_healpix_29"])
        assert {i >> 46 for i in found["_healpix_29"]} == {pixel}
        check_scalars(found, source)
        check_arrays(table, source, precision)
        check_duckdb(tile["path"], table)
        unfitted += found["halpha_ndof"].count(None)
        targets.setdefault(pixel, []).append(set(found["target_id"]))
    assert any(dark & bright for dark, bright in targets.values()), "no target is shared"
    assert unfitted, "every line was fitted"


def check_duckdb(path, table):
    """DuckDB reads what pyarrow reads, all rows and columns."""
    file = f"read_parquet('{path}', hive_partitioning = false)"
    rows = duckdb.sql(f"SELECT * FROM {file} ORDER BY _healpix_29, target_id").to_arrow_table()
    assert rows.column_names == table.column_names
    for name in table.column_names:
        if name in ARRAYS:
            assert np.array_equal(values(rows, name), values(table, name)), name
        else:
            assert rows.column(name).to_pylist() == table.column(name).to_pylist(), name


@pytest.mark.skipif(not FIXTURES.is_dir(), reason=f"{FIXTURES} is not there: the real pair is left out")
def test_the_real_pair_is_exact(tmp_path):
    paths = [FIXTURES / f"{kind}-4-80613-thru20210324.fits" for kind in ("coadd", "redrock")]
    given = ("--survey", "sv1", "--program", "dark")
    [tile] = convert(tmp_path / "lake", *paths, precision="exact", more=given)
    assert (tile["outcome"], tile["rows"]) == ("converted", 1)
    table = pq.read_table(tile["path"])
    found = scalars(table)
    source = Source(*paths)
    assert found["z"] == [0.36874355163716493]
    check_scalars(found, source)
    check_arrays(table, source, "exact")


def test_columns_say_what_they_are(archive, tmp_path):
    [tile, *_] = convert(tmp_path / "lake", archive, precision="exact")
    schema = pq.read_schema(tile["path"])
    for field in schema:
        assert {b"ucd", b"description"} <= set(field.metadata), field.name
    assert schema.field("flux").metadata[b"unit"].startswith(b"10**-17.erg")
    assert b"not monotonic" in schema.field("wavelength").metadata[b"description"]
    metadata = pq.read_metadata(tile["path"])
    inputs = json.loads(metadata.metadata[b"bifrost.inputs"])
    assert {i["kind"] for i in inputs} == {"coadd", "redrock", "emline", "rrdetails"}
    assert all(i["verified"] and len(i["sha256"]) == 64 for i in inputs)
    for i in range(metadata.num_columns):
        column = metadata.row_group(0).column(i)
        assert column.is_stats_set != (".list." in column.path_in_schema), column.path_in_schema
