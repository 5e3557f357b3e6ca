"""Size and speed of the array columns' encodings: the table behind `bifrost convert`'s defaults.

    BIFROST_BIN=target/release/bifrost python tests/bench/encodings.py [--objects 200]

First, with pyarrow, each array column by itself: dictionary, plain, byte stream split and delta (on
the bits as integers: Parquet has no delta for floats), each with snappy and with zstd of levels 1, 3
and 9, at each precision; bytes for each value, and CPU seconds for a million values. Then split pages
of a few rows, in one piece and plane by plane. Then whole files as `bifrost convert` writes them, by
precision and compression. Spectra are those of a mock tile and, where `shared/fixtures` is there
(BIFROST_SHARED, else beside the repository), three real ones: mock ivar is smoother than real ivar.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("BIFROST_SHARED", REPOSITORY.parent / "shared"))
REAL = ("coadd-4-80613-thru20210324.fits", "coadd-sv3-dark-26065.fits")
CODECS = (("snappy", None), ("zstd", 1), ("zstd", 3), ("zstd", 9))
ENCODINGS = {"dictionary": None, "plain": "PLAIN", "split": "BYTE_STREAM_SPLIT", "delta": "DELTA_BINARY_PACKED"}
FRACTION = 0.05


def spectra(path):
    """Flux, ivar, mask of the rows with data, arms stacked."""
    with fits.open(path) as hdus:
        real = hdus["FIBERMAP"].data["COADD_NUMEXP"] > 0

        def stacked(part, kind):
            return np.hstack([hdus[f"{arm}_{part}"].data[real] for arm in "BRZ"]).astype(kind)

        return stacked("FLUX", np.float32), stacked("IVAR", np.float32), stacked("MASK", np.int64).astype(np.int32)


def keep_bits(x, bits):
    drop = np.uint32(23 - bits)
    rounded = (x.view(np.uint32) + (np.uint32(1) << (drop - np.uint32(1)))) & (np.uint32(0xFFFFFFFF) << drop)
    return np.where(np.abs(x) >= np.finfo(np.float32).tiny, rounded.view(np.float32), x)


def rounded(flux, ivar, precision):
    """As fuse/precision.rs rounds."""
    six = lambda x: np.where(np.abs(x) < 16, (np.round(x.astype(float) * 1e6) / 1e6).astype(np.float32), x)
    if precision == "exact":
        return flux, ivar
    if precision == "decimals":
        return six(flux), np.where(np.abs(ivar) >= 0.01, six(ivar), keep_bits(ivar, 14))
    if precision == "grid":
        step = np.float32(2.0**20)
        return np.where(np.abs(flux) < 8, np.round(flux * step) / step, flux), six(ivar)
    widest = (2 * FRACTION / np.sqrt(np.maximum(ivar, np.finfo(np.float32).tiny))).astype(np.float32)
    step = (widest.view(np.uint32) & np.uint32(0x7F800000)).view(np.float32)
    noisy = np.where(np.abs(flux) < step * 2097152, np.round(flux / step) * step, flux)
    return np.where(ivar > 0, noisy, six(flux)).astype(np.float32), keep_bits(ivar, 8)


def written(values, encoding, codec, level):
    """Bytes for each value, CPU seconds for a million."""
    if encoding == "delta":
        values = values.view(np.int32)
    table = pa.table({"x": values.reshape(-1)})
    options = {"use_dictionary": encoding == "dictionary", "write_statistics": False}
    if ENCODINGS[encoding]:
        options["column_encoding"] = {"x": ENCODINGS[encoding]}
    out = io.BytesIO()
    start = time.process_time()
    pq.write_table(table, out, compression=codec, compression_level=level, **options)
    return out.tell() / values.size, (time.process_time() - start) * 1e6 / values.size


def columns_table(sets):
    print("| spectra | column | precision | encoding | " + " | ".join(f"{c} {l or ''}".strip() for c, l in CODECS) + " |")
    print("|---|---|---|---|" + "---|" * len(CODECS))
    for name, (flux, ivar, mask) in sets.items():
        for precision in ("exact", "decimals", "grid", "noise"):
            pair = dict(zip(("flux", "ivar"), rounded(flux, ivar, precision)))
            for column, values in pair.items():
                for encoding in ENCODINGS:
                    row(name, column, precision, encoding, np.ascontiguousarray(values))
        for encoding in ("dictionary", "plain", "delta"):
            row(name, "mask_array", "exact", encoding, mask)


def row(name, column, precision, encoding, values):
    cells = [written(values, encoding, codec, level) for codec, level in CODECS]
    cells = " | ".join(f"{size:.3f} B, {seconds:.3f} s" for size, seconds in cells)
    print(f"| {name} | {column} | {precision} | {encoding} | {cells} |", flush=True)


def planes_table(sets):
    """Split pages of a few rows in one piece of zstd, and with each byte plane coded on its own."""
    zstd = pa.Codec("zstd", compression_level=1)
    print("\n| spectra | column | rows a page | in one piece | plane by plane |\n|---|---|---|---|---|")
    for name, (flux, ivar, _) in sets.items():
        for column, values in (("flux", flux), ("ivar", ivar)):
            for rows in (1, 2, 4, 8, 16):
                whole = apart = 0
                for start in range(0, len(values), rows):
                    page = np.ascontiguousarray(values[start : start + rows]).view(np.uint8)
                    planes = np.ascontiguousarray(page.reshape(-1, 4).T)
                    whole += len(zstd.compress(planes.tobytes()))
                    apart += sum(len(zstd.compress(plane.tobytes())) for plane in planes)
                size = values.size
                print(f"| {name} | {column} | {rows} | {whole / size:.3f} | {apart / size:.3f} |")


def files_table(binary, archive, scratch):
    print("\n| precision | compression | MB | CPU s |\n|---|---|---|---|")
    for precision in ("exact", "decimals", "noise"):
        for compression in ("none", "snappy", "zstd=1", "zstd=3", "zstd=9"):
            command = [binary, "--lake", scratch / "lake", "convert", archive, "--force", "--no-verify", "--json"]
            command += ["--precision", precision, "--compression", compression]
            before = sum(os.times()[2:4])
            ended = subprocess.run(command, check=True, capture_output=True, text=True)
            cpu = sum(os.times()[2:4]) - before
            size = json.loads(ended.stdout)["bytes_out"]
            print(f"| {precision} | {compression} | {size / 1e6:.2f} | {cpu:.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=200)
    args = parser.parse_args()
    binary = os.environ.get("BIFROST_BIN") or sys.exit("set BIFROST_BIN to the bifrost program")
    with tempfile.TemporaryDirectory(prefix="bifrost-encodings-") as scratch:
        scratch = Path(scratch)
        make = [binary, "mock", "--out", scratch / "archive", "--objects", str(args.objects), "--no-resolution"]
        subprocess.run(make, check=True, capture_output=True)
        coadd = scratch / "archive/healpix/main/dark/100/10000/coadd-main-dark-10000.fits"
        sets = {"mock": spectra(coadd)}
        paths = [SHARED / "fixtures" / name for name in REAL]
        if all(path.is_file() for path in paths):
            sets["real"] = [np.concatenate(parts) for parts in zip(*map(spectra, paths))]
        else:
            print(f"{SHARED / 'fixtures'} is absent: real spectra are left out", file=sys.stderr)
        columns_table(sets)
        planes_table(sets)
        files_table(binary, scratch / "archive", scratch)


if __name__ == "__main__":
    main()
