"""Arrays of a few rows: Bifrost against pyarrow with filters, on 100 tiles of mock spectra.

    python arrays.py FOLDER [--tiles 100] [--objects 300] [--repeat 5] [--record]

A lake is made in FOLDER unless it is there. BIFROST_BIN is a release build, the package `bifrost` one of
the same; BIFROST_DATABASE_URL names an empty database. Asked is for flux and ivar of about 1 % of the
rows. Told is, too, what share of the array pages held a wanted row, which is what has to be decoded.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import time

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pyarrow.parquet as pq

import bifrost

RESULTS = pathlib.Path(__file__).with_name("RESULTS.md")
COLUMNS = ["target_id", "flux", "ivar"]


def make(folder, tiles, objects):
    environment = {**os.environ, "BIFROST_LAKE": str(folder / "lake")}
    run = lambda *command: subprocess.run([os.environ["BIFROST_BIN"], *map(str, command)], check=True, env=environment)  # noqa: E731
    for first in range(0, tiles, 10):
        archive = folder / f"archive-{first}"
        pixels = [flag for pixel in range(10000 + first, 10000 + min(first + 10, tiles)) for flag in ("--pix", pixel)]
        run("mock", "--out", archive, *pixels, "--objects", objects, "--seed", first, "-q")
        run("convert", archive, "-q")
        subprocess.run(["rm", "-r", archive], check=True)
    run("sync", "--no-datasheet", "-q")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--tiles", type=int, default=100)
    parser.add_argument("--objects", type=int, default=300)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    if not (folder / "lake").exists():
        make(folder, arguments.tiles, arguments.objects)
    lake = bifrost.open(folder / "lake", os.environ["BIFROST_DATABASE_URL"])
    z = sorted(lake.read("zwarn = 0", columns=["z"]).to_arrow().column("z").to_pylist())
    total = lake.read("zwarn >= 0", columns=["z"]).count()
    cut = z[-max(total // 100, 1)]
    files = [str(path) for path in sorted((folder / "lake/spectra").rglob("*.parquet"))]

    def ours():
        return lake.resolve(f"zwarn = 0 AND z >= {cut!r}").read(COLUMNS).to_arrow()

    def theirs():
        wanted = (pc.field("zwarn") == 0) & (pc.field("z") >= cut)
        return pa.dataset.dataset(files).to_table(columns=COLUMNS, filter=wanted)

    times = {ours: [], theirs: []}
    for turn in range(arguments.repeat + 1):
        rows = []
        for way in times:
            started = time.perf_counter()
            found = way()
            if turn:
                times[way].append(time.perf_counter() - started)
            rows.append({row["target_id"]: row for row in found.select(COLUMNS).to_pylist()})
        assert rows[0] == rows[1]
    one, other = (statistics.median(times[way]) for way in (ours, theirs))
    pages, all_pages = share(files, set(rows[0]))
    line = (
        f"| {len(files)} | {total} | {len(rows[0])} | {one:.3f} | {other:.2f} | {other / one:.1f} |"
        f" {pages} of {all_pages} ({pages / all_pages:.1%}) |"
    )
    print(line)
    if arguments.record:
        with RESULTS.open("a") as results:
            results.write(
                "\n## Arrays of a few rows: against pyarrow with filters\n\n"
                f"`… python tests/bench/arrays.py FOLDER --tiles {arguments.tiles} --objects {arguments.objects} --record`\n\n"
                "Flux and ivar of the best-fitted rows beyond a redshift; identical rows; medians of runs in turns, in one"
                " process.\nDemanded: at least 5 times as fast.\n\n"
                "| tiles | rows | rows wanted | Bifrost s | pyarrow s | ratio | array pages decoded |\n"
                "|--:|--:|--:|--:|--:|--:|--:|\n" + line + "\n")


def share(files, wanted):
    """Pages of flux that hold a wanted row, of all of them."""
    held = total = 0
    for path in files:
        rows = [target in wanted for target in pq.read_table(path, columns=["target_id"]).column(0).to_pylist()]
        pages = [any(rows[start : start + 8]) for start in range(0, len(rows), 8)]
        held, total = held + sum(pages), total + len(pages)
    return held, total


if __name__ == "__main__":
    main()
