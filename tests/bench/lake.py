"""Synthetic lakes for benchmarks: many small tiles of 26 scalar columns, in the real layout.

    python lake.py OUT [--tiles 12207] [--rows 60]
    BIFROST_BIN=target/release/bifrost python lake.py OUT --fused

Names, types and value ranges are those of fused spectra without their arrays. Every tenth tile has
several row groups. The output is the same for the same arguments.

With --fused they are fused spectra: `bifrost mock` and `bifrost convert`, ten objects a tile in row groups
of three, so that footers are those of a survey (151 columns, three or four row groups, schema, VOTable) and
the rest is little (7 GB; 10 minutes, and 8 GB besides while it is made).
"""

import argparse
import multiprocessing
import os
import pathlib
import shutil
import subprocess

import healpy
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NSIDE, NSIDE_DEEP = 64, 2**29
PIXELS = 12 * NSIDE**2


def table(pixel: int, rows: int) -> pa.Table:
    """The fused rows of one tile, arrays left out."""
    rng = np.random.default_rng(pixel)
    deep = np.sort((np.int64(pixel) << 46) + rng.integers(0, 1 << 46, rows))
    ra, dec = healpy.pix2ang(NSIDE_DEEP, deep, nest=True, lonlat=True)
    spectype = rng.choice(["GALAXY", "QSO", "STAR"], rows, p=[0.7, 0.2, 0.1])
    z = np.where(spectype == "QSO", rng.uniform(0.3, 4, rows), rng.uniform(0, 1.6, rows))
    z = np.where(spectype == "STAR", rng.normal(0, 5e-4, rows), z)
    target_id = 39_627_000_000_000_000 + np.int64(pixel) * 10_000_000 + rng.permutation(rows)
    # a fifth of the objects is observed again in another tile of the neighbourhood
    target_id = np.where(rng.random(rows) < 0.2, target_id - 10_000_000, target_id)
    zwarn = np.where(rng.random(rows) < 0.85, 0, 1 << rng.integers(1, 11, rows)).astype(np.int64)

    def names(value):
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int8)), pa.array([value]))

    return pa.table({
        "_healpix_29": deep,
        "target_id": target_id,
        "release": names("iron"),
        "survey": names("main"),
        "program": names("dark"),
        "healpix": np.full(rows, pixel, np.int32),
        "coadd_row": np.arange(rows, dtype=np.int32),
        "has_position": np.ones(rows, bool),
        "z": z,
        "zerr": rng.lognormal(-10, 1, rows),
        "zwarn": zwarn,
        "chi2": rng.uniform(6000, 9000, rows),
        "deltachi2": rng.lognormal(5, 2, rows),
        "spectype": pa.array(spectype),
        "subtype": pa.array(np.where(spectype == "STAR", "M", "")),
        "ra": ra,
        "dec": dec,
        "objtype": pa.array(["TGT"] * rows),
        "coadd_fiberstatus": np.where(rng.random(rows) < 0.95, 0, 1 << 12).astype(np.int32),
        "desi_target": (1 << rng.integers(0, 3, rows)).astype(np.int64),
        "bgs_target": np.zeros(rows, np.int64),
        "mws_target": np.zeros(rows, np.int64),
        "scnd_target": np.zeros(rows, np.int64),
        "ebv": rng.uniform(0, 0.1, rows).astype(np.float32),
        "flux_r": pa.array(rng.lognormal(1, 1, rows).astype(np.float32), mask=rng.random(rows) < 0.02),
        "tsnr2_lrg": rng.uniform(50, 150, rows).astype(np.float32),
    })


def write(job) -> None:
    """Writes one tile."""
    root, pixel, rows = job
    folder = root / f"spectra/dataset/Norder=6/Dir={pixel // 10000 * 10000}/Npix={pixel}"
    folder.mkdir(parents=True, exist_ok=True)
    group = max(rows // 4, 1) if pixel % 10 == 0 else 1 << 20
    pq.write_table(
        table(pixel, rows),
        folder / f"iron-main-dark-{pixel}_{rows}.parquet",
        row_group_size=group,
        compression="zstd",
    )


def make(root: pathlib.Path, tiles: int, rows: int, start: int = 0) -> None:
    """Writes tiles number `start` to `tiles`, of about `rows` rows, spread over the sky."""
    rng = np.random.default_rng(7)
    pixels = rng.permutation(PIXELS)[start:tiles]
    counts = (rows * np.random.default_rng(start).uniform(0.5, 1.5, len(pixels))).astype(int)
    jobs = [(root, int(pixel), max(1, int(count))) for pixel, count in zip(pixels, counts)]
    with multiprocessing.Pool() as pool:
        for _ in pool.imap_unordered(write, jobs, chunksize=64):
            pass


def fuse(root: pathlib.Path, tiles: int) -> None:
    """Writes fused tiles, a thousand at a time: their archive is a hundred times as large."""
    program = os.environ["BIFROST_BIN"]
    archive = root.with_name(root.name + ".archive")
    for first in range(0, tiles, 1000):
        some = min(1000, tiles - first)
        mock = ["mock", "--out", archive, "--objects", "10", "--tiles", str(some), "--first", str(10_000 + first)]
        for command in (mock, ["--lake", root, "convert", archive, "--group-rows", "3"]):
            subprocess.run([program, *command], check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(archive)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--tiles", type=int, default=12_207)
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--fused", action="store_true")
    args = parser.parse_args()
    if args.fused:
        fuse(args.out, args.tiles)
    else:
        make(args.out, args.tiles, args.rows)
