"""`bifrost web` itself under a memory ceiling: a lake of clustered galaxies, made in memory and within the ceiling.

    python tests/bench/ceiling.py target/release/bifrost [--galaxies 5000000] [--memory 2GiB] [--realisations 1] [--s3] [--record]

Galaxies lie in adjoining tiles of scalar columns: half of them in haloes that are longer along the line of sight than
across, half anywhere. Demanded: a peak of the whole process (reading, groups, neighbours, web, classes, writing) under
the ceiling, and the same bits in the product `environment`. Postgres is another process, and is not counted. With --s3
blocks are also kept behind a URL: in moto, which answers as S3 does, on this machine.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import healpy
import lake
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.append(str(pathlib.Path(__file__).parents[1] / "python"))
from s3 import BUCKET, bucket  # noqa: E402

RESULTS = pathlib.Path(__file__).with_name("RESULTS.md")
REDSHIFTS = (0.1, 0.8)
OF_A_HALO = 20
DEGREES = 0.03  # across a halo
DEPTH = 0.0015  # along it, in redshift


def write(job):
    """One tile of clustered galaxies."""
    root, pixel, rows = job
    table = lake.table(pixel, rows)
    dice = np.random.default_rng(pixel)
    centre = np.repeat(dice.choice(rows, rows // (2 * OF_A_HALO), replace=False), OF_A_HALO)
    member = dice.permutation(rows)[: centre.size]
    ra, dec = (table[name].to_numpy().copy() for name in ("ra", "dec"))
    z = dice.uniform(*(value**3 for value in REDSHIFTS), rows) ** (1 / 3)
    turn = dice.normal(0, DEGREES, (2, centre.size))
    around = [ra[centre] + turn[0] / np.cos(np.radians(dec[centre])), dec[centre] + turn[1]]
    within = healpy.ang2pix(64, *around, nest=True, lonlat=True) == pixel
    ra[member[within]], dec[member[within]] = around[0][within] % 360, around[1][within]
    z[member] = z[centre] + dice.normal(0, DEPTH, centre.size)
    deep = healpy.ang2pix(lake.NSIDE_DEEP, ra, dec, nest=True, lonlat=True)
    values = {"ra": ra, "dec": dec, "z": z, "_healpix_29": deep, "spectype": pa.array(["GALAXY"] * rows),
              "zwarn": np.zeros(rows, np.int64)}  # fmt: skip
    values["target_id"] = np.int64(pixel) * 10_000_000 + np.arange(1, rows + 1)
    for name, column in values.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(column))
    folder = root / f"spectra/dataset/Norder=6/Dir={pixel // 10000 * 10000}/Npix={pixel}"
    folder.mkdir(parents=True)
    pq.write_table(table.take(np.argsort(deep)), folder / f"iron-main-dark-{pixel}_{rows}.parquet", compression="zstd")


def web(program, root, log, *options):
    """Seconds and peak MiB of the command, and what it says."""
    command = [program, "--lake", root, "--json", "web", "--tracer", "all=z > 0", "--force", *map(str, options)]
    began = time.monotonic()
    with tempfile.TemporaryFile() as out, log.open("w") as err:
        child = subprocess.Popen(command, stdout=out, stderr=err)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0, log.read_text()
        out.seek(0)
        return time.monotonic() - began, used.ru_maxrss / 1024, json.load(out)


def digest(root):
    """Of all values of the product."""
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted((root / "environment" / "dataset").rglob("*.parquet")):
        table = pq.ParquetFile(path).read().replace_schema_metadata(None).combine_chunks()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        digest.update(sink.getvalue())
    return digest.hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--galaxies", type=int, default=5_000_000)
    parser.add_argument("--tiles", type=int, default=500)
    parser.add_argument("--memory", default="2GiB")
    parser.add_argument("--realisations", type=int, default=1)
    parser.add_argument("--only-ceiling", action="store_true", help="not in memory, too")
    parser.add_argument("--s3", action="store_true", help="with blocks behind a URL, too")
    parser.add_argument("--folder", type=pathlib.Path, help="where the lake is made, or lies already")
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, bucket() as store:
        os.environ |= {"AWS_ENDPOINT": store.url, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-west-2",
                       "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}  # fmt: skip
        root = (arguments.folder or pathlib.Path(folder)) / "lake"
        program = arguments.program.resolve()
        if not (root / "spectra").exists():
            jobs = [(root, pixel, arguments.galaxies // arguments.tiles) for pixel in range(arguments.tiles)]
            with multiprocessing.Pool(2) as pool:
                pool.map(write, jobs, chunksize=8)
        try:
            subprocess.run([program, "--lake", root, "-q", "sync"], check=True)
            limit = ["--memory", arguments.memory]
            runs = {arguments.memory: limit}
            if arguments.s3:
                runs[f"{arguments.memory}, s3://"] = [*limit, "--work", f"s3://{BUCKET}/web"]
            if not arguments.only_ceiling:
                runs["in memory"] = []
            table = f"| {arguments.galaxies:,} galaxies | s | MiB | bytes a galaxy | digest |\n|:--|--:|--:|--:|:--|\n"
            digests = set()
            for name, options in runs.items():
                seconds, mib, _ = web(program, root, root.parent / "log", "--realisations", arguments.realisations, *options)
                found = digest(root)
                digests.add(found)
                table += f"| {name} | {seconds:.0f} | {mib:.0f} | {mib * 2**20 / arguments.galaxies:.0f} | `{found}` |\n"
                print(table.splitlines()[-1], flush=True)
                size, unit = re.fullmatch(r"(\d+)([MG])iB", arguments.memory).groups()
                ceiling = int(size) * (1024 if unit == "G" else 1)
                assert not options or mib < ceiling, f"{mib} MiB are above {arguments.memory}"
            assert len(digests) == 1, digests
        finally:
            subprocess.run([program, "--lake", root, "-q", "db", "down"], check=False)
    if arguments.record:
        with RESULTS.open("a") as results:
            results.write(
                "\n## `bifrost web` itself under a memory ceiling\n\n`python tests/bench/ceiling.py target/release/bifrost --galaxies"
                f" {arguments.galaxies} --memory {arguments.memory} --realisations {arguments.realisations}{' --s3' * arguments.s3} --record`\n\n"
                "The whole command: reading, groups, neighbours, density, filaments, distances, classes, writing. Two threads;"
                f"\nload {os.getloadavg()[0]:.1f} at the end. Demanded: a peak under the ceiling, the same bits.\n\n" + table)


if __name__ == "__main__":
    main()
