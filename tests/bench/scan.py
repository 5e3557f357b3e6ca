"""Two float columns of 18 million rows of a compacted product: Bifrost, DuckDB, Polars, and the parquet crate alone.

    python scan.py FOLDER [--rows 18000000] [--repeat 3] [--record]

A product of four files, ten columns, row groups of 65,536 rows, zstd, is made in FOLDER/lake unless it is there,
and synced. BIFROST_BIN is a release build with the example `decode` in `examples` beside it, the package `bifrost`
one of the same; BIFROST_DATABASE_URL names an empty database. Each way runs in a process of its own, in turns, after
a pass that warms the page cache, and gives Arrow (DuckDB, Polars, Bifrost) or plain buffers (`decode`).
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

BIFROST = os.environ["BIFROST_BIN"]
RESULTS = pathlib.Path(__file__).with_name("RESULTS.md")
FILES = 4
COLUMNS = ["z", "flux_g"]


def make(lake, rows):
    dice = np.random.default_rng(1)
    folder = lake / "wide/parts"
    folder.mkdir(parents=True)
    for number in range(FILES):
        count = rows // FILES
        z = dice.gamma(2, 0.4, count)
        table = {"target_id": dice.integers(0, 2**60, count), "ra": dice.uniform(0, 360, count), "dec": dice.uniform(-30, 80, count), "z": z}
        table |= {f"flux_{band}": dice.lognormal(0, 1, count).astype("f4") for band in "grzwu"}
        table["zwarn"] = (dice.random(count) < 0.1).astype("i4")
        pq.write_table(pa.table(table), folder / f"part-{number}.parquet", compression="zstd", row_group_size=65_536)
    environment = {**os.environ, "BIFROST_LAKE": str(lake), "BIFROST_NODE": "bench"}
    subprocess.run([BIFROST, "sync", "-q", "--no-datasheet"], check=True, env=environment)


def one(way, lake):
    glob = f"{lake}/wide/parts/*.parquet"
    if way == "Bifrost":
        import bifrost

        opened = bifrost.open(lake, os.environ["BIFROST_DATABASE_URL"])
        started = time.perf_counter()
        found = opened.resolve(product="wide").read(COLUMNS).to_arrow()
    elif way == "DuckDB":
        import duckdb

        started = time.perf_counter()
        found = duckdb.sql(f"SELECT {', '.join(COLUMNS)} FROM read_parquet('{glob}')").to_arrow_table()
    else:
        import polars as pl

        started = time.perf_counter()
        found = pl.scan_parquet(glob).select(COLUMNS).collect().to_arrow()
    seconds = time.perf_counter() - started
    sums = sum(pc.sum(found.column(name).cast(pa.float64())).as_py() for name in COLUMNS)
    print(json.dumps({"seconds": seconds, "values": 2 * found.num_rows, "sum": sums}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--rows", type=int, default=18_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--one", metavar="WAY", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    lake = arguments.folder.resolve() / "lake"
    if arguments.one:
        return one(arguments.one, lake)
    if not lake.exists():
        make(lake, arguments.rows)
    decode = [pathlib.Path(BIFROST).parent / "examples/decode", ",".join(COLUMNS), *sorted((lake / "wide/parts").glob("*.parquet"))]
    ways = {way: [sys.executable, __file__, arguments.folder, "--one", way] for way in ("Bifrost", "DuckDB", "Polars")}
    ways["parquet crate"] = decode
    times, total = {way: [] for way in ways}, None
    for turn in range(arguments.repeat + 1):
        for way, command in ways.items():
            said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            assert said["values"] == 2 * arguments.rows // FILES * FILES, (way, said)
            total = total or said["sum"]
            assert abs(said["sum"] / total - 1) < 1e-9, (way, said)
            if turn:
                times[way].append(said["seconds"])
    seconds = {way: statistics.median(found) for way, found in times.items()}
    table = "| | s | Bifrost is |\n|---|--:|--:|\n"
    for way, found in seconds.items():
        table += f"| {way} | {found:.3f} | {found / seconds['Bifrost']:.2f} × as fast |\n"
    print(table)
    if arguments.record:
        with RESULTS.open("a") as results:
            results.write(
                "\n## Two float columns of 18 million rows\n\n`… python tests/bench/scan.py FOLDER --record`\n\n"
                "A compacted product of four files; medians of runs in turns, each in a new process. Demanded: as fast as DuckDB"
                "\nand Polars, 0.7 times as fast as the parquet crate's own decoding.\n\n" + table)


if __name__ == "__main__":
    main()
