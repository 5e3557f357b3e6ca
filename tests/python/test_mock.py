"""`bifrost mock` against the libraries that astronomers read such files with, and against the
reference tile maker where that is there.

BIFROST_BIN names the program. The reference, `tools/make_tile.py`, is looked for in
BIFROST_SHARED, else in `shared` beside the repository; without it the comparisons of structure
are left out and reported as skipped.
"""

import hashlib
import importlib.util
import json
import os
import subprocess
import warnings
from pathlib import Path

import fitsio
import h5py
import healpy
import numpy as np
import pytest
from astropy.io import fits

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("BIFROST_SHARED", REPOSITORY.parent / "shared"))
MAKE_TILE = SHARED / "tools" / "make_tile.py"

ARMS = ("B", "R", "Z")
MASKS = ("int32", "uint32", "gzip", "rice")
EDGES = (
    "nodata_only no_qso all_qso no_good dead_b dead_r dead_z nan_flux missing_emline empty_emline "
    "headless_emline missing_rrdetails missing_redrock missing_arm shuffle_redrock shuffle_emline "
    "short_emline extra_redrock duplicate_id bad_sha256 no_sha256 truncated_coadd"
).split()
PIXEL = 10000
ROWS = 60
LIGHT = ("--rrdetails", "small", "--no-resolution")

needs_reference = pytest.mark.skipif(
    not MAKE_TILE.is_file(), reason=f"{MAKE_TILE} is not there: structure is not compared"
)


def bifrost(*arguments, check=True):
    binary = os.environ.get("BIFROST_BIN")
    assert binary, "set BIFROST_BIN to the bifrost program"
    command = [binary, *map(str, arguments)]
    return subprocess.run(command, check=check, capture_output=True, text=True)


class Tile:
    """The folder of a tile."""

    def __init__(self, root, survey="main", program="dark", pixel=PIXEL):
        self.stem = f"{survey}-{program}-{pixel}"
        self.dir = Path(root, "healpix", survey, program, str(pixel // 100), str(pixel))

    def path(self, kind):
        extension = {"rrdetails": "h5", "hpixexp": "csv"}.get(kind, "fits")
        return self.dir / f"{kind}-{self.stem}.{extension}"

    def names(self):
        return sorted(path.name for path in self.dir.iterdir())

    def table(self, kind, hdu):
        with fits.open(self.path(kind)) as file:
            return with_text(np.array(file[hdu].data))

    def image(self, hdu):
        with fits.open(self.path("coadd")) as file:
            return np.array(file[hdu].data)

    def wrong_sums(self):
        """Names of files whose digest is not the stated one."""
        (sums,) = self.dir.glob("*.sha256sum")
        lines = [line.split("  ") for line in sums.read_text().splitlines()]
        stated = {name: digest for digest, name in lines}
        others = {name for name in self.names() if name != sums.name}
        assert set(stated) == others and list(stated) == sorted(stated)
        digest = {name: hashlib.sha256((self.dir / name).read_bytes()).hexdigest() for name in stated}
        return {name.split("-")[0] for name in stated if digest[name] != stated[name]}


def with_text(table):
    """The table with its bytes as text."""
    kinds = [(n, table.dtype[n].str.replace("|S", "U") if table.dtype[n].kind == "S" else table.dtype[n])
             for n in table.dtype.names]
    return table.astype(kinds)


def mock(root, *arguments, survey="main", program="dark"):
    bifrost("mock", "--out", root, "--pix", PIXEL, "--objects", ROWS, "--seed", 3,
            "--survey", survey, "--program", program, *arguments)
    return Tile(root, survey, program)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return mock(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def make_tile():
    spec = importlib.util.spec_from_file_location("make_tile", MAKE_TILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def make(root, survey="main", program="dark", **options):
        module.make_tile(str(root), PIXEL, ROWS, 3, survey=survey, program=program, **options)
        return Tile(root, survey, program)

    return make


# ---------------------------------------------------------------------------------------------
# structure, against the reference
# ---------------------------------------------------------------------------------------------

def cards_of(hdu):
    """A header without what depends on the data: exposures drawn, compressed sizes, sums."""
    is_packed = "ZIMAGE" in hdu.header
    volatile = {"CHECKSUM", "DATASUM"}
    if hdu.name == "EXP_FIBERMAP":
        volatile.add("NAXIS2")
    if is_packed:
        volatile |= {"PCOUNT", "TFORM1"}
    cards = [(c.keyword, c.value if c.keyword not in volatile else "…", c.comment)
             for c in hdu.header.cards]
    # the reference puts no sums into compressed images; sums state the time in the comment
    return [(key, value, "" if key in ("CHECKSUM", "DATASUM") else comment)
            for key, value, comment in cards if not (is_packed and key in ("CHECKSUM", "DATASUM"))]


def structure_of_fits(path):
    if path.stat().st_size == 0:
        return "empty file"
    with fits.open(path, disable_image_compression=True) as file:
        return [(hdu.name, type(hdu).__name__, cards_of(hdu)) for hdu in file]


def structure_of_hdf5(path):
    found = {}
    with h5py.File(path) as file:
        found["format"] = file.libver[0], file.userblock_size, len(file["zfit"])
        groups = {"targetids", "zfit", "zscan"}
        assert set(file) == groups

        def visit(name, item):
            if name.startswith("zfit/"):
                name = "/".join(["zfit", "*", *name.split("/")[2:]])
            if isinstance(item, h5py.Dataset):
                found[name] = (item.shape, item.dtype, item.id.get_type().get_size(), item.chunks,
                               item.compression, item.maxshape, len(item.attrs))
            else:
                found[name] = len(item.attrs)

        file.visititems(visit)
    return found


def assert_same_structure(ours, theirs):
    assert ours.names() == theirs.names()
    for kind in ("coadd", "redrock", "emline"):
        if ours.path(kind).exists():
            assert structure_of_fits(ours.path(kind)) == structure_of_fits(theirs.path(kind)), kind
    if ours.path("rrdetails").exists():
        details = structure_of_hdf5(ours.path("rrdetails")), structure_of_hdf5(theirs.path("rrdetails"))
        assert details[0] == details[1]
    csv = [tile.path("hpixexp").read_text().splitlines() for tile in (ours, theirs)]
    assert csv[0] == csv[1]


@needs_reference
@pytest.mark.parametrize("mask", MASKS)
def test_structure_for_each_mask(tmp_path, make_tile, mask):
    ours = mock(tmp_path / "ours", "--mask", mask, *LIGHT)
    theirs = make_tile(tmp_path / "theirs", mask=mask, resolution=False, rrdetails="small")
    assert_same_structure(ours, theirs)


@needs_reference
@pytest.mark.parametrize("survey, program", [("main", "dark"), ("main", "bright"), ("sv1", "other"),
                                             ("sv3", "dark"), ("cmx", "other"), ("special", "backup")])
def test_structure_for_each_kind_of_survey(tmp_path, make_tile, survey, program):
    ours = mock(tmp_path / "ours", survey=survey, program=program)
    theirs = make_tile(tmp_path / "theirs", survey=survey, program=program)
    assert_same_structure(ours, theirs)


@needs_reference
@pytest.mark.parametrize("edge", EDGES)
def test_structure_for_each_edge(tmp_path, make_tile, edge):
    ours = mock(tmp_path / "ours", "--edge", edge, *LIGHT)
    theirs = make_tile(tmp_path / "theirs", edges=[edge], resolution=False, rrdetails="small")
    if edge == "truncated_coadd":
        assert ours.names() == theirs.names()
        return
    assert_same_structure(ours, theirs)


@needs_reference
def test_structure_without_checksums_and_details(tmp_path, make_tile):
    ours = mock(tmp_path / "ours", "--no-checksum", "--rrdetails", "none")
    theirs = make_tile(tmp_path / "theirs", checksum=False, rrdetails="none")
    assert_same_structure(ours, theirs)


@needs_reference
def test_edges_are_those_of_the_reference():
    spec = importlib.util.spec_from_file_location("make_tile", MAKE_TILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert list(module.EDGES) == EDGES
    help_text = " ".join(bifrost("mock", "--help").stdout.split())
    for name, meaning in module.EDGES.items():
        assert name in help_text and meaning in help_text


# ---------------------------------------------------------------------------------------------
# the libraries read it
# ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("mask", MASKS)
def test_checksums_hold_and_masks_are_the_same(tmp_path, plain, mask):
    tile = mock(tmp_path, "--mask", mask, *LIGHT)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(tile.path("coadd"), checksum=True) as file:
            sums = [(hdu.header["CHECKSUM"], hdu.header["DATASUM"])
                    for hdu in file if not isinstance(hdu, fits.CompImageHDU)]
            assert len(sums) == len(file) - (3 if mask in ("gzip", "rice") else 0)
            file.verify("exception")
            for hdu in file:
                assert hdu.data is not None or hdu.name == "PRIMARY"
        with fits.open(tile.path("coadd"), checksum=True, disable_image_compression=True) as file:
            assert all("CHECKSUM" in hdu.header for hdu in file)
    for arm in ARMS:
        values = plain.image(f"{arm}_MASK")
        assert values.any()
        assert np.array_equal(tile.image(f"{arm}_MASK"), values)
        with fitsio.FITS(tile.path("coadd")) as file:
            assert np.array_equal(file[f"{arm}_MASK"].read(), values)


def test_fitsio_reads_what_astropy_reads(plain):
    for kind in ("coadd", "redrock", "emline"):
        with fitsio.FITS(plain.path(kind)) as ours, fits.open(plain.path(kind)) as theirs:
            assert [h.get_extname() for h in ours][1:] == [h.name for h in theirs][1:]
            for a, b in zip(ours[1:], theirs[1:]):
                left, right = a.read(), np.array(b.data)
                if right.dtype.names:
                    left, right = with_text(left), with_text(right)
                    assert left.dtype.names == right.dtype.names
                    for name in left.dtype.names:
                        assert np.array_equal(left[name], right[name], **nan_equal(left[name])), name
                else:
                    assert np.array_equal(left, right, equal_nan=True)


def nan_equal(values):
    return {"equal_nan": True} if values.dtype.kind == "f" else {}


def test_sums_hold(plain):
    assert plain.wrong_sums() == set()


def test_row_widths(plain, tmp_path):
    def width(tile, kind, hdu):
        with fits.open(tile.path(kind)) as file:
            return file[hdu].header["NAXIS1"]

    assert [width(plain, "coadd", h) for h in ("FIBERMAP", "EXP_FIBERMAP", "SCORES")] == [317, 162, 172]
    assert [width(plain, "redrock", h) for h in ("REDSHIFTS", "TSNR2")] == [170, 136]
    assert width(plain, "emline", "EMLINEFIT") == 345
    assert width(mock(tmp_path, *LIGHT, survey="sv2"), "coadd", "FIBERMAP") == 341


def test_wavelengths_have_the_sums_of_the_release(plain):
    with fits.open(plain.path("coadd")) as file:
        sums = [file[f"{arm}_WAVELENGTH"].header["DATASUM"] for arm in ARMS]
    assert sums == ["979185614", "456732359", "3106662670"]


def test_details_agree_with_redshifts(plain):
    redshifts = plain.table("redrock", "REDSHIFTS")
    with h5py.File(plain.path("rrdetails")) as file:
        assert np.array_equal(file["targetids"][:], redshifts["TARGETID"])
        for i, row in enumerate(redshifts):
            best = file[f"zfit/{row['TARGETID']}/zfit"][:]
            for ours, theirs in (("z", "Z"), ("zerr", "ZERR"), ("chi2", "CHI2"), ("npixels", "NPIXELS"),
                                 ("deltachi2", "DELTACHI2"), ("zwarn", "ZWARN"), ("ncoeff", "NCOEFF")):
                assert best[ours][0] == row[theirs], ours
            kinds = best["spectype"].tolist()
            assert [kinds.count(k) for k in (b"GALAXY", b"QSO", b"STAR")] == [3, 3, 3]
            assert kinds[0].decode() == row["SPECTYPE"]
            assert np.all(np.diff(best["chi2"]) >= 0)
            assert np.allclose(np.diff(best["chi2"]), best["deltachi2"][:-1], rtol=1e-9, atol=1e-6)
        well_fitted = (redshifts["ZWARN"] == 0) & (redshifts["SPECTYPE"] == "GALAXY")
        assert well_fitted.any()
        scan, grid = file["zscan/GALAXY/zchi2"][:], file["zscan/GALAXY/redshifts"][:]
        lowest = grid[scan[well_fitted].argmin(axis=1)]
        assert np.all(np.abs(lowest - redshifts["Z"][well_fitted]) < 0.01)


# ---------------------------------------------------------------------------------------------
# the numbers fit together
# ---------------------------------------------------------------------------------------------

def test_positions_and_ids(plain):
    fibermap = plain.table("coadd", "FIBERMAP")
    pixels = healpy.ang2pix(64, fibermap["TARGET_RA"], fibermap["TARGET_DEC"], nest=True, lonlat=True)
    assert np.all(pixels == PIXEL)
    real = fibermap[fibermap["OBJTYPE"] == "TGT"]
    assert len(real) > ROWS / 2
    ids = real["TARGETID"]
    assert np.array_equal(ids & 0x3FFFFF, real["BRICK_OBJID"])
    assert np.array_equal(ids >> 22 & 0xFFFFF, real["BRICKID"])
    assert np.array_equal(ids >> 42 & 0xFFFF, real["RELEASE"])
    unassigned = fibermap[fibermap["OBJTYPE"] == ""]
    assert len(unassigned) > 0
    assert np.all(unassigned["TARGETID"] < 0) and np.all(unassigned["COADD_NUMEXP"] == 0)
    assert len(set(fibermap["TARGETID"])) == ROWS


def test_tables_agree_with_spectra(plain):
    scores, redshifts = plain.table("coadd", "SCORES"), plain.table("redrock", "REDSHIFTS")
    pixels = np.zeros(ROWS, int)
    for arm, low, high in (("B", 4000, 5800), ("R", 5800, 7600), ("Z", 7600, 9800)):
        wave, flux, ivar = (plain.image(f"{arm}_{k}") for k in ("WAVELENGTH", "FLUX", "IVAR"))
        inside = (wave >= low) & (wave < high)
        pixels += (ivar > 0).sum(axis=1)
        snr = np.median(flux[:, inside] * np.sqrt(ivar[:, inside]), axis=1) / np.sqrt(0.8)
        assert np.allclose(scores[f"MEDIAN_COADD_SNR_{arm}"], snr, rtol=1e-5)
        assert np.allclose(scores[f"MEDIAN_COADD_FLUX_{arm}"], np.median(flux[:, inside], axis=1), rtol=1e-6)
        integral = flux[:, inside].sum(axis=1, dtype=float) * 0.8
        assert np.allclose(scores[f"INTEG_COADD_FLUX_{arm}"], integral, rtol=1e-4, atol=1e-2)
        dead = ~(ivar > 0).any(axis=1)
        assert dead.any()
        for kind in ("FLUX", "MASK", "RESOLUTION"):
            assert not plain.image(f"{arm}_{kind}")[dead].any()
        resolution = plain.image(f"{arm}_RESOLUTION")[~dead]
        assert np.allclose(resolution.sum(axis=1), 1, atol=1e-5)
        mask = plain.image(f"{arm}_MASK")
        assert np.all(ivar[mask & 2 > 0] == 0) and (mask & 2 > 0).any()
    assert np.array_equal(redshifts["NPIXELS"], pixels)
    assert np.all(redshifts["ZWARN"][pixels == 0] & 1 << 9)


def test_noise_is_what_ivar_says(plain):
    """Sky rows hold nothing but noise: their pull is a unit Gaussian."""
    sky = plain.table("coadd", "FIBERMAP")["OBJTYPE"] == "SKY"
    assert sky.any()
    for arm in ARMS:
        flux, ivar = plain.image(f"{arm}_FLUX")[sky], plain.image(f"{arm}_IVAR")[sky]
        clean = plain.image(f"{arm}_MASK")[sky] == 0
        pull = (flux * np.sqrt(ivar))[clean]
        assert abs(pull.mean()) < 0.06 and abs(pull.std() - 1) < 0.05


@pytest.mark.parametrize("line, rest", [("HALPHA", 6564.613), ("OIII", 5008.239)])
def test_lines_appear_at_their_redshift(tmp_path, line, rest):
    """The flux above the continuum peaks where the redshift says, and is what emline states."""
    bifrost("mock", "--out", tmp_path, "--pix", PIXEL, "--objects", 300, "--seed", 5, *LIGHT)
    tile = Tile(tmp_path)
    fit = tile.table("emline", "EMLINEFIT")
    strong = (fit["SPECTYPE"] == "GALAXY") & (fit["ZWARN"] == 0)
    strong &= fit[f"{line}_FLUX"] * np.sqrt(fit[f"{line}_FLUX_IVAR"]) > 25
    ratios = []
    for arm in ARMS:
        wave, flux, ivar = (tile.image(f"{arm}_{k}") for k in ("WAVELENGTH", "FLUX", "IVAR"))
        for i in np.flatnonzero(strong):
            centre, sigma = rest * (1 + fit["Z"][i]), fit[f"{line}_SIGMA"][i]
            if not wave[0] + 60 < centre < wave[-1] - 60 or not ivar[i].any():
                continue
            core = np.abs(wave - centre) < 3 * sigma
            # [N II] stands close to Halpha: take the continuum from beyond it
            side = (np.abs(wave - centre) > 35) & (np.abs(wave - centre) < 60)
            above = flux[i] - np.median(flux[i, side])
            peak = wave[core][np.convolve(above[core], np.ones(3), "same").argmax()]
            assert abs(peak - centre) < max(3.0, 1.5 * sigma), (peak, centre)
            share = {"OIII": 0.749}.get(line, 1.0)
            ratios.append(above[core].sum() * 0.8 / (share * fit[f"{line}_FLUX"][i]))
    assert len(ratios) > 5
    assert 0.85 < np.median(ratios) < 1.15


def test_programs_share_targets(tmp_path, plain):
    other = mock(tmp_path, *LIGHT, program="bright")
    a, b = plain.table("redrock", "REDSHIFTS"), other.table("redrock", "REDSHIFTS")
    shared = sorted(set(a["TARGETID"]) & set(b["TARGETID"]))
    assert 1 <= len([t for t in shared if t > 0]) <= 3
    for target in (t for t in shared if t > 0):
        (i,), (j,) = np.flatnonzero(a["TARGETID"] == target), np.flatnonzero(b["TARGETID"] == target)
        positions = [t.table("coadd", "FIBERMAP")[["TARGET_RA", "TARGET_DEC"]][k]
                     for t, k in ((plain, i), (other, j))]
        assert positions[0] == positions[1]
        if a["NPIXELS"][i] and b["NPIXELS"][j] and not (a["ZWARN"][i] & 1):
            assert abs(a["Z"][i] - b["Z"][j]) < 0.01


# ---------------------------------------------------------------------------------------------
# edges show what they say
# ---------------------------------------------------------------------------------------------

def has_spectra(tile, arm):
    return tile.image(f"{arm}_IVAR").any()


def ids(tile, kind, hdu):
    return tile.table(kind, hdu)["TARGETID"]


def assert_shuffled(tile, plain, kind, hdu):
    ours, theirs = tile.table(kind, hdu), plain.table(kind, hdu)
    assert not np.array_equal(ours["TARGETID"], theirs["TARGETID"])
    assert np.array_equal(np.sort(ours["TARGETID"]), np.sort(theirs["TARGETID"]))
    at = {target: i for i, target in enumerate(theirs["TARGETID"])}
    again = theirs[[at[target] for target in ours["TARGETID"]]]
    assert ours.tobytes() == again.tobytes()


SHOWS = {
    "nodata_only": lambda t, p: not any(has_spectra(t, a) for a in ARMS)
    and np.all(ids(t, "coadd", "FIBERMAP") < 0),
    "no_qso": lambda t, p: "QSO" not in t.table("redrock", "REDSHIFTS")["SPECTYPE"],
    "all_qso": lambda t, p: set(t.table("redrock", "REDSHIFTS")["SPECTYPE"][
        (t.table("coadd", "FIBERMAP")["OBJTYPE"] == "TGT") & (t.table("redrock", "REDSHIFTS")["NPIXELS"] > 0)
    ]) == {"QSO"},
    "no_good": lambda t, p: np.all(t.table("redrock", "REDSHIFTS")["ZWARN"] != 0),
    "dead_b": lambda t, p: [has_spectra(t, a) for a in ARMS] == [False, True, True],
    "dead_r": lambda t, p: [has_spectra(t, a) for a in ARMS] == [True, False, True],
    "dead_z": lambda t, p: [has_spectra(t, a) for a in ARMS] == [True, True, False],
    "nan_flux": lambda t, p: all(
        np.isnan(t.image(f"{a}_FLUX")).any() and np.isinf(t.image(f"{a}_FLUX")).any() for a in ARMS),
    "missing_emline": lambda t, p: not t.path("emline").exists(),
    "empty_emline": lambda t, p: t.path("emline").stat().st_size == 0,
    "headless_emline": lambda t, p: [h.name for h in fits.open(t.path("emline"))] == ["PRIMARY"],
    "missing_rrdetails": lambda t, p: not t.path("rrdetails").exists(),
    "missing_redrock": lambda t, p: not t.path("redrock").exists(),
    "missing_arm": lambda t, p: not any(h.name.startswith("Z_") for h in fits.open(t.path("coadd"))),
    "shuffle_redrock": lambda t, p: all(
        assert_shuffled(t, p, "redrock", h) is None for h in ("REDSHIFTS", "FIBERMAP", "TSNR2")),
    "shuffle_emline": lambda t, p: assert_shuffled(t, p, "emline", "EMLINEFIT") is None,
    "short_emline": lambda t, p: len(ids(t, "emline", "EMLINEFIT")) == ROWS - ROWS // 5
    and set(ids(t, "emline", "EMLINEFIT")) < set(ids(p, "emline", "EMLINEFIT")),
    "extra_redrock": lambda t, p: all(
        len(set(ids(t, "redrock", h)) - set(ids(t, "coadd", "FIBERMAP"))) == 1
        for h in ("REDSHIFTS", "FIBERMAP", "TSNR2")),
    "duplicate_id": lambda t, p: len(set(ids(t, "coadd", "FIBERMAP"))) == ROWS - 1
    and ids(t, "coadd", "FIBERMAP")[0] == ids(t, "coadd", "FIBERMAP")[1],
    "bad_sha256": lambda t, p: t.wrong_sums() == {"coadd"},
    "no_sha256": lambda t, p: not list(t.dir.glob("*.sha256sum")),
    "truncated_coadd": lambda t, p: t.wrong_sums() == {"coadd"}
    and t.path("coadd").stat().st_size == 2 * light_size(p) // 3,
}


def light_size(plain):
    """Size of the plain tile's coadd without its resolution matrices."""
    padded = [-(-ROWS * 11 * plain.image(f"{a}_WAVELENGTH").size * 4 // 2880) * 2880 for a in ARMS]
    return plain.path("coadd").stat().st_size - sum(padded) - 3 * 2880


@pytest.mark.parametrize("edge", EDGES)
def test_edges_show_what_they_say(tmp_path, plain, edge):
    tile = mock(tmp_path, "--edge", edge, *LIGHT)
    assert SHOWS[edge](tile, plain)
    if edge not in ("bad_sha256", "no_sha256", "truncated_coadd"):
        assert tile.wrong_sums() == set()


def test_edges_combine(tmp_path, plain):
    together = ["dead_r", "shuffle_redrock", "short_emline", "missing_rrdetails", "bad_sha256"]
    tile = mock(tmp_path, "--edge", *together, *LIGHT)
    for edge in ("dead_r", "short_emline", "missing_rrdetails", "bad_sha256"):
        assert SHOWS[edge](tile, plain), edge
    assert not np.array_equal(ids(tile, "redrock", "REDSHIFTS"), ids(tile, "coadd", "FIBERMAP"))


# ---------------------------------------------------------------------------------------------
# the command
# ---------------------------------------------------------------------------------------------

def bytes_of(root):
    return {path.relative_to(root): path.read_bytes() for path in Path(root).rglob("*.*") if path.is_file()}


def test_same_seed_same_bytes_whatever_the_jobs(tmp_path):
    def run(name, *more):
        bifrost("mock", "--out", tmp_path / name, "--tiles", 3, "--objects", "real", *LIGHT, *more)
        return bytes_of(tmp_path / name)

    first = run("a", "--seed", 9, "--jobs", 1)
    assert len(first) == 18
    assert first == run("b", "--seed", 9, "--jobs", 3)
    assert first != run("c", "--seed", 8, "--jobs", 1)


def test_a_tile_made_again_replaces_the_old_one(tmp_path):
    mock(tmp_path, *LIGHT)
    tile = mock(tmp_path, "--edge", "missing_emline", "no_sha256", "--rrdetails", "none")
    assert [name.split("-")[0] for name in tile.names()] == ["coadd", "hpixexp", "redrock"]


def test_json_report(tmp_path):
    report = json.loads(bifrost("--json", "mock", "--out", tmp_path, "--pix", "7,9", "--objects", 30, *LIGHT).stdout)
    assert report["version"] == 1 and report["rows"] == 60
    assert [tile["pixel"] for tile in report["tiles"]] == [7, 9]
    for tile in report["tiles"]:
        sizes = [path.stat().st_size for path in Path(tile["dir"]).iterdir()]
        assert tile["size_bytes"] == sum(sizes)
        classes = ("galaxies", "quasars", "stars", "sky", "unassigned")
        assert sum(tile[c] for c in classes) == tile["rows"] == 30


@pytest.mark.parametrize("arguments", [
    ["--edge", "broken"], ["--pix", "49152"], ["--objects", "0"], ["--objects", "many"],
    ["--mask", "float"], ["--survey", "sdss"], ["--program", "gray"], ["--jobs", "0"],
])
def test_impossible_requests_are_usage_errors(tmp_path, arguments):
    ended = bifrost("mock", "--out", tmp_path, *arguments, check=False)
    assert ended.returncode == 2
    assert arguments[1] in ended.stderr
    if arguments[0] == "--edge":
        assert all(edge in ended.stderr for edge in EDGES)
    assert not list(tmp_path.iterdir())
