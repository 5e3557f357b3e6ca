"""How long a sync takes that finds nothing new among a million files, beside `find`.

    python walk.py FOLDER [--files 1000000] [--runs 3] [--record]

The files are hard links to a few small Parquet files of another program, in folders of a thousand.
`find` asks of each what sync does: its size, time and inode. BIFROST_BIN is a release build;
BIFROST_DATABASE_URL names an empty database.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import time

import pyarrow as pa
import pyarrow.parquet as pq

BIFROST = os.environ["BIFROST_BIN"]
RESULTS = pathlib.Path(__file__).with_name("RESULTS.md")
LINKS = 50_000  # a file system has a limit, 65,000 in ext4


def make(lake, count):
    source = None
    for number in range(count):
        if number % LINKS == 0:
            source = lake / f"source-{number // LINKS}.parquet"
            pq.write_table(pa.table({"target_id": pa.array(range(number, number + 8), pa.int64()), "value": [0.5] * 8}), source)
        folder = lake / "other" / f"part={number // 1000}"
        if number % 1000 == 0:
            folder.mkdir(parents=True)
        os.link(source, folder / f"{number}.parquet")
    for source in lake.glob("source-*.parquet"):
        source.unlink()


def timed(command, **more):
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **more)
    return time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    lake = arguments.folder.resolve()
    lake.mkdir(parents=True)
    make(lake, arguments.files)
    environment = {**os.environ, "BIFROST_LAKE": str(lake), "BIFROST_NODE": "bench"}
    sync = [BIFROST, "sync", "-q", "--no-datasheet"]
    find = ["find", str(lake / "other"), "-type", "f", "-printf", "%s %T@ %i %p\n"]
    first = timed(sync, env=environment)
    print(f"registered in {first:.0f} s", flush=True)
    pairs = [(timed(find), timed(sync, env=environment)) for _ in range(arguments.runs)]
    walked, synced = (statistics.median(column) for column in zip(*pairs))
    text = "| files | registered in, s | `find`, s | sync that finds nothing new, s | ratio |\n|--:|--:|--:|--:|--:|\n"
    text += f"| {arguments.files:,} | {first:.0f} | {walked:.2f} | {synced:.2f} | {synced / walked:.2f} |\n"
    print(text)
    if arguments.record:
        with RESULTS.open("a") as out:
            out.write(f"\n## A million files and nothing new\n\n{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f};"
                      f" medians of {arguments.runs}; `python tests/bench/walk.py FOLDER --record`\n\n{text}")


if __name__ == "__main__":
    main()
