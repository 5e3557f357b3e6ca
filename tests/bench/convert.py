"""Conversion speed and memory: `bifrost convert` against a vectorised astropy + pyarrow script.

    BIFROST_BIN=target/release/bifrost python tests/bench/convert.py

Both sides turn one mock tile into the same file: the same columns, rows, rounding, row groups,
encodings and compression, which is checked by comparing what they wrote, value by value. They run
in turns; the first run of each is not counted; medians are shown. Bifrost is timed as a process
from start to end, the script inside a running interpreter, without its imports. On a busy machine
only the CPU seconds mean something. The script's peak memory holds the mapped pages of the files.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import healpy
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from astropy.io import fits

ARMS = ("B", "R", "Z")
CUT_ANGSTROM = (3600.0, 9800.0)
TOLERANCE_ANGSTROM = 1e-3
# rows whose pixels are worked on together: so many stay in the processor's cache
BLOCK_ROWS = 16
PIXEL = 10000
# degrees of freedom of a line that was not fitted
NOT_FITTED = -99

FIBERMAP = """
    target_id=TARGETID ra=TARGET_RA dec=TARGET_DEC mean_fiber_ra mean_fiber_dec objtype morphtype
    photsys coadd_fiberstatus desi_target bgs_target mws_target scnd_target ref_id ebv flux_g flux_r
    flux_z flux_w1 flux_w2 flux_ivar_g flux_ivar_r flux_ivar_z flux_ivar_w1 flux_ivar_w2 pmra pmdec
    parallax coadd_numexp coadd_numnight coadd_numtile coadd_exptime
"""
REDSHIFTS = "z zerr zwarn spectype subtype deltachi2 chi2 npixels ncoeff coeff"
SCORES = """
    tsnr2_bgs tsnr2_elg tsnr2_lrg tsnr2_lya tsnr2_qso
    median_coadd_snr_b median_coadd_snr_r median_coadd_snr_z
"""
LINES = " ".join(
    f"{line}_{key}"
    for line in "oii hdelta hgamma hbeta oiii halpha".split()
    for key in "flux flux_ivar sigma sigma_ivar cont cont_ivar share share_ivar ew ew_ivar chi2 ndof".split()
)


# ---------------------------------------------------------------------------------------------
# the script that Bifrost is compared with
# ---------------------------------------------------------------------------------------------

def names(words):
    """{column: FITS name} of words like `ra=TARGET_RA` or, where they only differ in case, `zerr`."""
    pairs = (word.partition("=") for word in words.split())
    return {column: fits_name or column.upper() for column, _, fits_name in pairs}


def records(hdus, name):
    """A table as a plain record array, big-endian as it lies in the file."""
    return hdus[name].data.view(np.ndarray)


def native(values):
    return values.astype(values.dtype.newbyteorder("="))


def rows_of(ids, wanted):
    """For each wanted id its row, and whether it is there."""
    order = np.argsort(ids, kind="stable")
    place = np.minimum(np.searchsorted(ids, wanted, sorter=order), len(ids) - 1)
    rows = order[place]
    return rows, ids[rows] == wanted


def arrow(values, field, found=None):
    """Values as the field's Arrow array; NaN and what was not found become NULL."""
    missing = np.zeros(len(values), bool) if found is None else ~found
    if values.dtype.kind == "S":
        array = pa.array(np.char.rstrip(values).tolist(), pa.binary(), mask=missing)
        return array.cast(pa.utf8()).cast(field.type)
    if values.ndim == 2:
        offsets = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
        return pa.ListArray.from_arrays(offsets, native(values).ravel(), type=field.type)
    values = native(values)
    if values.dtype.kind == "f":
        missing = missing | np.isnan(values)
    return pa.array(values, mask=missing if missing.any() else None).cast(field.type)


def exposures(table, ids):
    """First and last night; first, mean and last MJD of each id, from one row an exposure."""
    order = np.argsort(table["TARGETID"], kind="stable")
    sorted_ids = native(table["TARGETID"])[order]
    night, mjd = native(table["NIGHT"])[order], native(table["MJD"])[order]
    starts = np.flatnonzero(np.r_[True, sorted_ids[1:] != sorted_ids[:-1]])
    counts = np.diff(np.r_[starts, len(sorted_ids)])
    columns = {
        "first_night": np.minimum.reduceat(night, starts),
        "last_night": np.maximum.reduceat(night, starts),
        "min_mjd": np.minimum.reduceat(mjd, starts),
        "mean_mjd": np.add.reduceat(mjd, starts) / counts,
        "max_mjd": np.maximum.reduceat(mjd, starts),
    }
    rows, found = rows_of(sorted_ids[starts], ids)
    return {name: (values[rows], found) for name, values in columns.items()}


SECOND = np.dtype([("z", "f8"), ("chi2", "f8"), ("deltachi2", "f8"), ("spectype", "S6"), ("subtype", "S3")])


def best_fits(path, ids):
    """The nine best fits of each id, and whether the file has it: only the fields that are used,
    through h5py's low-level calls, which take a fifth of the time of the others."""
    fits_of, found = np.zeros((len(ids), 9), SECOND), np.zeros(len(ids), bool)
    kind = h5py.h5t.py_create(SECOND)
    with h5py.File(path) as file:
        group = file["zfit"].id
        for i, target_id in enumerate(ids):
            name = b"%d" % target_id
            if group.links.exists(name):
                dataset = h5py.h5d.open(group, name + b"/zfit")
                dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, fits_of[i], kind)
                found[i] = True
    return fits_of, found


def details(path, ids):
    """Columns of the rrdetails file: second-best fit, and the least chi2 of each class."""
    if not path.exists():
        return {"has_rrdetails": (np.zeros(len(ids), bool), None)}
    best, found = best_fits(path, ids)
    columns = {"has_rrdetails": (found, None)}
    for name, key in (("z2", "z"), ("chi2_2", "chi2"), ("deltachi2_2", "deltachi2"),
                      ("spectype2", "spectype"), ("subtype2", "subtype")):
        columns[name] = (best[key][:, 1], found)
    for kind in ("GALAXY", "QSO", "STAR"):
        least = np.where(best["spectype"] == kind.encode(), best["chi2"], np.inf).min(axis=1)
        columns[f"chi2_{kind.lower()}"] = (least, found)
    return columns


def scalars(coadd, folder, stem, key, schema):
    """All scalar columns but the good pixels, and the coadd row of each, in file order."""
    fibermap = records(coadd, "FIBERMAP")
    all_ids = native(fibermap["TARGETID"])
    rows = np.flatnonzero((all_ids > 0) & (np.char.rstrip(fibermap["OBJTYPE"]) == b"TGT"))
    ra, dec = native(fibermap["TARGET_RA"])[rows], native(fibermap["TARGET_DEC"])[rows]
    deep = healpy.ang2pix(1 << 29, ra, dec, nest=True, lonlat=True)
    order = np.lexsort((all_ids[rows], deep))
    rows, deep = rows[order], deep[order]
    ids = all_ids[rows]

    columns = {
        "_healpix_29": (deep, None),
        "coadd_row": (rows, None),
        "has_position": (np.ones(len(rows), bool), None),
        "healpix": (np.full(len(rows), key["healpix"]), None),
    }
    for name in ("release", "survey", "program"):
        columns[name] = (np.full(len(rows), key[name].encode()), None)
    with fits.open(folder / f"redrock-{stem}.fits", memmap=True) as redrock:
        redshifts = records(redrock, "REDSHIFTS")
        tables = [(fibermap, FIBERMAP), (redshifts, REDSHIFTS), (records(coadd, "SCORES"), SCORES)]
        for table, words in tables:
            at, found = rows_of(native(table["TARGETID"]), ids)
            for column, name in names(words).items():
                if name in table.dtype.names:
                    columns[column] = (table[name][at], found)
    emline = folder / f"emline-{stem}.fits"
    found = np.zeros(len(ids), bool)
    if emline.exists():
        with fits.open(emline, memmap=True) as hdus:
            table = records(hdus, "EMLINEFIT")
            at, found = rows_of(native(table["TARGETID"]), ids)
            for column, name in names(LINES).items():
                values = table[name][at]
                fitted = values != NOT_FITTED if column.endswith("_ndof") else True
                columns[column] = (values, found & fitted)
    columns["has_emline"] = (found, None)
    columns |= exposures(records(coadd, "EXP_FIBERMAP"), ids)
    columns |= details(folder / f"rrdetails-{stem}.h5", ids)
    arrays = {name: arrow(values, schema.field(name), found)
              for name, (values, found) in columns.items()}
    return arrays, rows


def round_flux(x, wide):
    """Six decimals, in place; from 16 up single precision resolves no six decimals."""
    np.multiply(x, 1e6, out=wide, dtype=np.float64)
    np.rint(wide, out=wide)
    wide /= 1e6
    np.copyto(x, wide, where=np.abs(x) < 16, casting="same_kind")


def round_ivar(x, wide):
    """Six decimals, but at least four digits: below 0.01 fourteen bits of the mantissa."""
    small = x < 0.01
    bits = x.view(np.uint32)
    rounded = ((bits + np.uint32(1 << 8)) & np.uint32(0xFFFFFE00)).view(np.float32)
    fits_in = small & (x >= np.finfo(np.float32).tiny)
    few = np.where(fits_in, rounded, x)
    round_flux(x, wide)
    np.copyto(x, few, where=small)


def cut(wave):
    first = np.searchsorted(wave, CUT_ANGSTROM[0] - TOLERANCE_ANGSTROM)
    return slice(first, np.searchsorted(wave, CUT_ANGSTROM[1] + TOLERANCE_ANGSTROM, side="right"))


def pixels(coadd, rows, places, cuts):
    """Flux, ivar and mask of rows, arms side by side, rounded; and good pixels of each arm."""
    width = places[-1].stop
    flux = np.empty((len(rows), width), np.float32)
    ivar = np.empty((len(rows), width), np.float32)
    mask = np.empty((len(rows), width), np.int32)
    good = np.empty((len(rows), len(ARMS)), np.int32)
    images = [[coadd[f"{arm}_{kind}"].data[:, c] for kind in ("FLUX", "IVAR", "MASK")]
              for arm, c in zip(ARMS, cuts)]
    wide = np.empty((BLOCK_ROWS, width), np.float64)
    for start in range(0, len(rows), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        picked = rows[block]
        for place, (flux_image, ivar_image, mask_image) in zip(places, images):
            flux[block, place] = flux_image[picked]
            ivar[block, place] = ivar_image[picked]
            mask[block, place] = mask_image[picked]
        f, i, room = flux[block], ivar[block], wide[: len(picked)]
        bad = ~(np.isfinite(f) & np.isfinite(i))
        if bad.any():
            f[bad] = 0
            i[bad] = 0
        is_good = (i > 0) & (mask[block] == 0)
        for arm, place in enumerate(places):
            good[block, arm] = np.count_nonzero(is_good[:, place], axis=1)
        round_flux(f, room)
        round_ivar(i, room)
    return flux, ivar, mask, good


def fuse(folder, stem, key, like, out):
    """Fuses a tile into a file that is laid out as `like` says."""
    draft = out.with_suffix(".draft")
    with fits.open(folder / f"coadd-{stem}.fits", memmap=True) as coadd:
        arrays, rows = scalars(coadd, folder, stem, key, like["schema"])
        waves = [coadd[f"{arm}_WAVELENGTH"].data for arm in ARMS]
        cuts = [cut(wave) for wave in waves]
        stops = np.cumsum([c.stop - c.start for c in cuts])
        places = [slice(a, b) for a, b in zip(np.r_[0, stops[:-1]], stops)]
        wave = np.concatenate([wave[c] for wave, c in zip(waves, cuts)])
        wave = np.round(wave * 100) / 100
        with pq.ParquetWriter(draft, like["schema"], **like["options"]) as writer:
            for start in range(0, len(rows), like["group_rows"]):
                picked = rows[start : start + like["group_rows"]]
                flux, ivar, mask, good = pixels(coadd, picked, places, cuts)
                group = {name: array.slice(start, len(picked)) for name, array in arrays.items()}
                for arm, name in enumerate(ARMS):
                    group[f"good_pix_{name.lower()}"] = pa.array(good[:, arm])
                group |= {"flux": flux, "ivar": ivar, "mask_array": mask}
                group["wavelength"] = np.broadcast_to(wave, flux.shape)
                columns = [group.get(f.name) for f in like["schema"]]
                columns = [arrow(c, f) if isinstance(c, np.ndarray) else c if c is not None
                           else pa.nulls(len(picked), f.type) for c, f in zip(columns, like["schema"])]
                table = pa.Table.from_arrays(columns, schema=like["schema"])
                writer.write_table(table, row_group_size=len(picked))
    with open(draft) as file:
        os.fsync(file.fileno())
    draft.rename(out)


# ---------------------------------------------------------------------------------------------
# the comparison
# ---------------------------------------------------------------------------------------------

MEASURE = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
ended = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
wall = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_CHILDREN)
json.dump([ended.returncode, wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024], sys.stdout)
"""


def measure(*command):
    """Wall and CPU seconds and peak MiB of a command, started by a small process of its own."""
    shown = subprocess.run([sys.executable, "-S", "-c", MEASURE, *map(str, command)],
                           stdout=subprocess.PIPE, text=True, check=True).stdout
    code, wall, cpu, peak = json.loads(shown)
    if code != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {code}")
    return {"wall": wall, "cpu": cpu, "peak": peak}


def bifrost(*arguments):
    return [os.environ["BIFROST_BIN"], "-q", *map(str, arguments)]


class Tile:
    """A mock tile and where both sides put what they make of it."""

    def __init__(self, work, rows, *more):
        self.rows = rows
        self.source = work / f"tile-{rows}{''.join(more)}"
        self.lake = work / f"lake-{rows}{''.join(more)}"
        self.out = work / f"script-{rows}{''.join(more)}.parquet"
        subprocess.run(bifrost("mock", "--out", self.source, "--pix", PIXEL, "--objects", rows,
                               "--seed", 1, *more), check=True, stdout=subprocess.DEVNULL)
        self.stem = f"main-dark-{PIXEL}"
        self.folder = self.source / "healpix" / "main" / "dark" / str(PIXEL // 100) / str(PIXEL)
        self.key = {"release": "iron", "survey": "main", "program": "dark", "healpix": PIXEL}

    def convert(self, *more):
        return bifrost("--lake", self.lake, "convert", self.source, "--force", *more)

    def fused(self):
        (path,) = (self.lake / "spectra").rglob("*.parquet")
        return path


def defaults():
    """Compression, its level and rows of an array page, as `bifrost convert --help` states them."""
    text = subprocess.run(bifrost("convert", "--help"), capture_output=True, text=True, check=True).stdout
    text = " ".join(text.split())
    codec, level = re.search(r"\[default: (zstd|snappy|none)=?(\d+)?\]", text).groups()
    page_rows = re.search(r"Rows of an array page \[default: (\d+)\]", text)
    return codec, int(level) if level else None, int(page_rows.group(1))


def layout_of(path, codec, level, page_rows):
    """How a file is laid out, as arguments of pyarrow's writer."""
    file = pq.ParquetFile(path)
    schema, footer = file.schema_arrow, file.metadata
    group = footer.row_group(0)
    chunks = [group.column(i) for i in range(group.num_columns)]
    has_dictionary = {c.path_in_schema for c in chunks if any("DICTIONARY" in e for e in c.encodings)}
    encodings = {}
    for chunk in chunks:
        special = [e for e in chunk.encodings if e.startswith(("BYTE_STREAM", "DELTA"))]
        if special:
            encodings[chunk.path_in_schema] = special[0]
        assert chunk.compression.lower().startswith(codec.removesuffix("none")), chunk
    width = len(file.read_row_group(0, ["wavelength"])["wavelength"][0])
    return {
        "schema": schema,
        "group_rows": group.num_rows,
        "options": {
            "compression": codec,
            "compression_level": level,
            "use_dictionary": sorted(has_dictionary - set(encodings)),
            "column_encoding": encodings,
            "write_statistics": sorted(c.path_in_schema for c in chunks if c.is_stats_set),
            "write_page_index": True,
            "data_page_size": page_rows * width * 4,
        },
    }


def assert_same(left, right):
    """Both files hold the same rows: same columns, types, values, NULLs."""
    a, b = pq.ParquetFile(left), pq.ParquetFile(right)
    assert a.schema_arrow.equals(b.schema_arrow, check_metadata=False)
    assert a.num_row_groups == b.num_row_groups
    for i in range(a.num_row_groups):
        x, y = a.read_row_group(i), b.read_row_group(i)
        for name in x.column_names:
            same = x[name].equals(y[name]) or nearly(name, x[name], y[name])
            assert same, f"{name} differs in row group {i}"


def nearly(name, x, y):
    """A mean may differ in its last bit, by the order of the sum."""
    if name != "mean_mjd":
        return False
    return pc.max(pc.abs(pc.subtract(x, y))).as_py() < 1e-9


def compare(tile, runs, options):
    subprocess.run(tile.convert("--no-verify"), check=True, stdout=subprocess.DEVNULL)
    like = layout_of(tile.fused(), *options)
    script = lambda: fuse(tile.folder, tile.stem, tile.key, like, tile.out)  # noqa: E731
    script()
    assert_same(tile.fused(), tile.out)
    ours, theirs, alone, verified = [], [], [], []
    for _ in range(runs + 1):
        start, cpu = time.perf_counter(), time.process_time()
        script()
        theirs.append({"wall": time.perf_counter() - start, "cpu": time.process_time() - cpu})
        ours.append(measure(*tile.convert("--no-verify")))
        alone.append(measure(*tile.convert("--no-verify", "--jobs", 1)))
        verified.append(measure(*tile.convert()))
    again = measure(sys.executable, __file__, "--script-once", json.dumps({
        "folder": str(tile.folder), "stem": tile.stem, "key": tile.key, "out": str(tile.out),
        "fused": str(tile.fused()), "options": options,
    }))

    def median(of, what):
        return statistics.median(run[what] for run in of[1:])

    sources = [p for p in tile.folder.iterdir() if p.suffix in (".fits", ".h5")]
    return {
        "tile": f"{tile.rows} rows, {sum(p.stat().st_size for p in sources) / 1e6:.0f} MB in {len(sources)} files",
        "script s": median(theirs, "wall"),
        "bifrost s": median(ours, "wall"),
        "ratio": median(theirs, "wall") / median(ours, "wall"),
        "jobs 1 s": median(alone, "wall"),
        "ratio jobs 1": median(theirs, "wall") / median(alone, "wall"),
        "script cpu s": median(theirs, "cpu"),
        "bifrost cpu s": median(ours, "cpu"),
        "cpu ratio": median(theirs, "cpu") / median(ours, "cpu"),
        "verifying adds s": median(verified, "wall") - median(ours, "wall"),
        "script MB": tile.out.stat().st_size / 1e6,
        "bifrost MB": tile.fused().stat().st_size / 1e6,
        "script MiB peak": again["peak"],
        "bifrost MiB peak": max(run["peak"] for run in ours),
    }


def memory(tile):
    ran = measure(*tile.convert("--no-verify", "--jobs", 1))
    size = sum(p.stat().st_size for p in tile.folder.glob("*.fits")) / 1e9
    return {"tile": f"{tile.rows} rows, {size:.2f} GB of FITS", "jobs 1 s": ran["wall"],
            "bifrost MiB peak": ran["peak"]}


def show(rows):
    head = list(rows[0])
    print("| " + " | ".join(head) + " |")
    print("|---" + "|--:" * (len(head) - 1) + "|")
    for row in rows:
        cells = [f"{v:.3g}" if isinstance(v, float) and v < 100 else f"{v:.0f}" if isinstance(v, float)
                 else str(v) for v in row.values()]
        print("| " + " | ".join(cells) + " |")
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[534, 2200])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--memory-rows", type=int, default=5000, help="0 leaves the memory demand out")
    parser.add_argument("--work", type=Path, help="folder for tiles and lakes [default: a temporary one]")
    parser.add_argument("--script-once", help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.script_once:
        job = json.loads(a.script_once)
        like = layout_of(Path(job["fused"]), *job["options"])
        fuse(Path(job["folder"]), job["stem"], job["key"], like, Path(job["out"]))
        return
    if "BIFROST_BIN" not in os.environ:
        sys.exit("set BIFROST_BIN to the release build of bifrost")
    work = Path(tempfile.mkdtemp(prefix="bifrost-bench-", dir=a.work))
    try:
        options = defaults()
        print(f"pyarrow {pa.__version__}, {options[0]} level {options[1]}; medians of {a.runs}; load "
              f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; both sides wrote the same values\n")
        table = []
        for rows in a.rows:
            for more in ([], ["--rrdetails", "none"]):
                tile = Tile(work, rows, *more)
                table.append(compare(tile, a.runs, options))
                shutil.rmtree(tile.source)
                shutil.rmtree(tile.lake)
        if table:
            show(table)
        if a.memory_rows:
            show([memory(Tile(work, a.memory_rows, "--rrdetails", "small"))])
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
