"""A dataset of Ray: resolved by Bifrost, or all files of the glob with the same filter.

    python rays.py FOLDER [--repeat 3] [--record]

FOLDER/lake is that of arrays.py, synced in BIFROST_DATABASE_URL; the package `bifrost` is a release build. Asked is
for flux of the best tenth of a percent of redshifts; told is the time to the first batch and for the whole pass, from
the question on, in one Ray of two cores that is up already. The rows must be the same.
"""

import argparse
import os
import pathlib
import statistics
import time

import ray
from ray.data.expressions import col

import bifrost

RESULTS = pathlib.Path(__file__).with_name("RESULTS.md")
COLUMNS = ["target_id", "z", "flux"]


def passed(make):
    started, first, rows = time.perf_counter(), None, set()
    for batch in make().iter_batches(batch_size=64):
        first = first or time.perf_counter() - started
        rows |= set(batch["target_id"].tolist())
    return first, time.perf_counter() - started, rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    path = arguments.folder.resolve() / "lake"
    lake = bifrost.open(path, os.environ["BIFROST_DATABASE_URL"])
    z = sorted(lake.read("zwarn = 0", columns=["z"]).to_arrow().column("z").to_pylist())
    cut = z[-max(len(z) // 1000, 5)]
    files = [str(file) for file in sorted((path / "spectra").rglob("*.parquet"))]
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    wanted = (col("zwarn") == 0) & (col("z") >= cut)
    ways = {
        "Bifrost": lambda: lake.resolve(f"zwarn = 0 AND z >= {cut!r}").ray_dataset(COLUMNS),
        "read_parquet": lambda: ray.data.read_parquet(files, columns=[*COLUMNS, "zwarn"]).filter(expr=wanted),
    }
    times = {way: [] for way in ways}
    for turn in range(arguments.repeat + 1):
        rows = []
        for way, make in ways.items():
            first, whole, found = passed(make)
            rows.append(found)
            if turn:
                times[way].append((first, whole))
        assert rows[0] == rows[1] and rows[0]
    ours, theirs = ([statistics.median(column) for column in zip(*times[way], strict=True)] for way in ways)
    table = "| | to the first batch, s | whole pass, s |\n|---|--:|--:|\n"
    table += f"| Bifrost | {ours[0]:.2f} | {ours[1]:.2f} |\n| `ray.data.read_parquet` | {theirs[0]:.2f} | {theirs[1]:.2f} |\n"
    table += f"| ratio | {theirs[0] / ours[0]:.1f} | {theirs[1] / ours[1]:.1f} |\n"
    print(table)
    if arguments.record:
        with RESULTS.open("a") as results:
            results.write(
                "\n## Ray Data: resolved against the glob\n\n`… python tests/bench/rays.py FOLDER --record`\n\n"
                f"{len(rows[0])} rows of {len(files)} files, flux among the columns; medians of runs in turns. Demanded: 5 times"
                " as fast to the\nfirst batch, 3 times over the whole pass.\n\n" + table)


if __name__ == "__main__":
    main()
