"""One spectrum by TARGETID, warm: the library (from spectra stores, and from Parquet) against h5py that opens
and reads, and pyarrow.

    python spectrum.py [--tiles 20] [--objects 500] [--spectra 2000] [--threads 1 2 16] [--record]

BIFROST_BIN is a release build with the example `spectra` in `examples` beside it. A lake of mock tiles is made
in a temporary folder, with its own Postgres. Asked are random objects; every way gives wavelength, flux, ivar
and mask. The library's way includes the look-up in the registry; h5py and pyarrow are told file and group, and
find the row by themselves:

    h5py      opens the store, finds the TARGETID in target_id_sorted, reads the row
    pyarrow   opens the Parquet file, reads the columns where target_id is the one (filters, page index)

Threads share one process; h5py has one lock for all of them.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import random
import statistics
import subprocess
import tempfile
import time

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

BIFROST = os.environ["BIFROST_BIN"]
SPECTRA = pathlib.Path(BIFROST).parent / "examples" / "spectra"
RESULTS = pathlib.Path(__file__).with_name("RESULTS.md")
COLUMNS = ["wavelength", "flux", "ivar", "mask_array"]


class Lake:
    def __init__(self, folder, tiles, objects):
        self.root = folder / "lake"
        self.environment = {**os.environ, "BIFROST_LAKE": str(self.root), "XDG_STATE_HOME": str(folder / "state")}
        self.environment.pop("BIFROST_DATABASE_URL", None)
        self.run("mock", "--out", folder / "archive", "--tiles", tiles, "--objects", objects)
        self.run("convert", folder / "archive")
        self.run("sync")

    def run(self, *arguments):
        command = [BIFROST, *map(str, arguments)]
        return subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True).stdout

    def url(self):
        return json.loads(self.run("db", "status", "--json"))["url"]

    def objects(self):
        """TARGETID, Parquet file, and store with its group."""
        found = []
        for path in sorted((self.root / "spectra").rglob("*.parquet")):
            release, survey, program, pixel = path.stem.rsplit("_", 1)[0].split("-")
            store = self.root / f"spectra-h5/Norder=6/Dir={int(pixel) // 10000 * 10000}/Npix={pixel}.h5"
            ids = pq.read_table(path, columns=["target_id"])["target_id"].to_pylist()
            found += [(target, path, store, f"{release}/{survey}/{program}") for target in ids]
        return found


def by_h5py(asked):
    target, _, store, name = asked
    with h5py.File(store) as file:
        group = file[name]
        row = group["row"][np.searchsorted(group["target_id_sorted"][:], target)]
        return group["wavelength"][:], group["flux"][row], group["ivar"][row], group["mask"][row]


def by_pyarrow(asked):
    target, path, *_ = asked
    return pq.read_table(path, columns=COLUMNS, filters=[("target_id", "=", target)], use_threads=False)


def timed(read, asked, threads):
    """The library's figures, of another way."""

    def one(of):
        began = time.perf_counter()
        read(of)
        return 1e6 * (time.perf_counter() - began)

    began = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        took = list(pool.map(one, asked))
    took.sort()
    at = lambda share: took[round((len(took) - 1) * share)]
    return {"per_second": len(took) / (time.perf_counter() - began), "both": {"p50": at(0.5), "p99": at(0.99)}}


def library(url, asked, threads, runtime):
    ids = "\n".join(str(target) for target, *_ in asked)
    command = [SPECTRA, url, str(threads), runtime]
    # one round that warms what this process keeps open, one that counts
    told = subprocess.run(command, input=f"{ids}\n{ids}", check=True, capture_output=True, text=True).stdout
    return json.loads(told)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", type=int, default=20)
    parser.add_argument("--objects", type=int, default=500)
    parser.add_argument("--spectra", type=int, default=2000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2, 16])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    pa.set_cpu_count(1)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="bifrost-bench-") as folder:
        os.chmod(folder, 0o755)
        lake = Lake(pathlib.Path(folder), arguments.tiles, arguments.objects)
        try:
            asked = random.Random(4).choices(lake.objects(), k=arguments.spectra)
            results = measure(lake, asked, arguments)
        finally:
            lake.run("db", "down")
    head = "| way | threads | p50 µs | p99 µs | look-up p50 µs | reading p50 µs | spectra/s |\n|---|--:|--:|--:|--:|--:|--:|\n"
    table = head + "".join(f"| {' | '.join(row)} |\n" for row in results)
    print(table)
    if arguments.record:
        with RESULTS.open("a") as out:
            out.write(
                f"\n## One spectrum by TARGETID\n\n{arguments.tiles} mock tiles of {arguments.objects} objects, warm; "
                f"{os.cpu_count()} cores, load {load:.1f} before; `python tests/bench/spectrum.py --record`; "
                f"medians of {arguments.runs} runs in turns, {arguments.spectra} random objects each (200 by h5py, 20 by pyarrow).\n\n{table}"
            )


def measure(lake, asked, arguments):
    rows, few = [], {"h5py": asked[:200], "pyarrow": asked[:20]}
    url = lake.url()
    for stores in False, True:
        if stores:
            lake.run("stage", "run", "spectra-h5")
        where = "store" if stores else "Parquet"
        ways = {
            f"library, {where}": lambda n: library(url, asked, n, "own"),
            f"library, {where}, one runtime": lambda n: library(url, asked, n, "shared"),
        }
        ways |= {"h5py": lambda n: timed(by_h5py, few["h5py"], n)} if stores else {"pyarrow": lambda n: timed(by_pyarrow, few["pyarrow"], n)}
        for threads in arguments.threads:
            told = {way: [] for way in ways}
            for _ in range(arguments.runs):
                for way, ask in ways.items():
                    told[way].append(ask(threads))
            for way, runs in told.items():
                middle = lambda of: statistics.median(of(run) for run in runs)
                part = lambda name: f"{middle(lambda r: r[name]['p50']):,.0f}" if name in runs[0] else ""
                rows.append((
                    way, str(threads), f"{middle(lambda r: r['both']['p50']):,.0f}",
                    f"{middle(lambda r: r['both']['p99']):,.0f}", part("look_up"), part("reading"),
                    f"{middle(lambda r: r['per_second']):,.0f}",
                ))
                print(rows[-1], flush=True)
    return rows


if __name__ == "__main__":
    main()
