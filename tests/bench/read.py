"""Rows out of a lake of 12,207 files, side by side: Bifrost, DuckDB and Polars over the glob.

    python read.py LAKE [--repeat 3] [--record]

LAKE is that of scale.py, synced: real files with the survey's identities, positions, redshifts and
classes, without arrays, 1,530 rows each. BIFROST_DATABASE_URL names its registry; the package `bifrost`
is a release build (maturin build --release), installed or in PYTHONPATH. Five scalar columns are asked
for, with predicates that hit about 80 %, 5 % and 0.1 % of the files. Each tool runs in a process of its
own, which asks once, with its own threads, in turns, after one pass that warms the page cache; the median
is told, without the start of the process and, of Bifrost, without connecting to the registry. The rows
must be the same.
"""

import argparse
import hashlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import duckdb
import polars as pl

import bifrost

RESULTS = pathlib.Path(__file__).with_name("RESULTS.md")
COLUMNS = ["target_id", "ra", "dec", "z", "zwarn"]
SHARES = {"80 %": 0.8, "5 %": 0.05, "0.1 %": 0.001}


def threshold(lake, share):
    """The redshift beyond which so many of the files hold a well-fitted quasar."""
    files = duckdb.sql(
        f"SELECT max(z) AS z FROM read_parquet('{lake}/spectra/dataset/**/*.parquet', hive_partitioning = false,"
        " filename = true) WHERE spectype = 'QSO' AND zwarn = 0 GROUP BY filename ORDER BY z DESC").fetchall()
    return files[int(12207 * share)][0]


def one(way, path, z):
    """Rows and seconds of one way, asked once in this process."""
    where = f"spectype = 'QSO' AND zwarn = 0 AND z > {z!r}"
    names = ", ".join(COLUMNS)
    glob = f"{path}/spectra/dataset/**/*.parquet"
    if way == "Bifrost":
        lake = bifrost.open(path, os.environ["BIFROST_DATABASE_URL"])
    started = time.perf_counter()
    if way == "Bifrost":
        found = lake.resolve(where).read(COLUMNS).to_arrow()
    elif way == "DuckDB":
        found = duckdb.sql(
            f"SELECT {names} FROM read_parquet('{glob}', hive_partitioning = false) WHERE {where}").to_arrow_table()
    else:
        wanted = (pl.col("spectype") == "QSO") & (pl.col("zwarn") == 0) & (pl.col("z") > z)
        found = pl.scan_parquet(glob, hive_partitioning=False).filter(wanted).select(COLUMNS).collect().to_arrow()
    seconds = time.perf_counter() - started
    rows = sorted(zip(*(found.column(name).to_pylist() for name in COLUMNS), strict=True))
    digest = hashlib.sha256(repr(rows).encode()).hexdigest()
    print(json.dumps({"seconds": seconds, "rows": len(rows), "digest": digest}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lake", type=pathlib.Path)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--one", nargs=2, metavar=("WAY", "Z"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    path = arguments.lake.resolve()
    if arguments.one:
        return one(arguments.one[0], path, float(arguments.one[1]))
    table = "| files hit | rows | Bifrost s | DuckDB s | ratio | Polars s | ratio |\n|---|--:|--:|--:|--:|--:|--:|\n"
    for name, share in SHARES.items():
        z = threshold(path, share)
        times, rows = {"Bifrost": [], "DuckDB": [], "Polars": []}, set()
        for turn in range(arguments.repeat + 1):
            for way, seconds in times.items():
                command = [sys.executable, __file__, path, "--one", way, repr(z)]
                said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
                rows.add((said["rows"], said["digest"]))
                if turn:
                    seconds.append(said["seconds"])
        assert len(rows) == 1, (name, rows)
        [(count, _)] = rows
        ours, duck, polars = (statistics.median(seconds) for seconds in times.values())
        line = f"| {name} | {count} | {ours:.4f} | {duck:.2f} | {duck / ours:.1f} | {polars:.2f} | {polars / ours:.1f} |"
        print(line, flush=True)
        table += line + "\n"
    if arguments.record:
        with RESULTS.open("a") as results:
            results.write(
                "\n## Selective reading of 12,207 files: against DuckDB and Polars\n\n"
                f"`PYTHONPATH=… BIFROST_DATABASE_URL=… python tests/bench/read.py LAKE --repeat {arguments.repeat} --record`\n\n"
                "Five scalar columns of well-fitted quasars beyond a redshift; identical rows; medians of runs in turns,"
                " each in a\nnew process that asks once; page cache warm.\nDemanded: at least 1.5, 10 and 50 times as fast as both.\n\n" + table)


if __name__ == "__main__":
    main()
