"""How long a commit of one file takes while ten thousand of them go by, and how the tables grow.

    python commits.py FOLDER [--commits 10000] [--files 1000] [--record]

A lake of so many small files is made in FOLDER; then one file after the other is replaced by a copy
of itself, each time followed by `bifrost sync`. BIFROST_BIN is a release build with the example
`survey` beside it; BIFROST_DATABASE_URL names an empty database. The server's own autovacuum is all
that tidies up.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import time

import psycopg

BIFROST = os.environ["BIFROST_BIN"]
SURVEY = pathlib.Path(BIFROST).parent / "examples" / "survey"
URL = os.environ["BIFROST_DATABASE_URL"]
RESULTS = pathlib.Path(__file__).with_name("RESULTS.md")
TABLES = ("file_registry", "file_bounds", "file_cells", "file_classes", "catalog_rows", "commits")
OBJECTS = 20


def sync(environment):
    started = time.perf_counter()
    subprocess.run([BIFROST, "sync", "-q", "--no-datasheet"], check=True, env=environment, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - started) * 1e3


def replace(path):
    """The same bytes as another file."""
    draft = path.with_suffix(".draft")
    shutil.copyfile(path, draft)
    draft.rename(path)


def sizes(connection):
    return [connection.execute("SELECT pg_total_relation_size(%s::regclass)", (t,)).fetchone()[0] / 1e6 for t in TABLES]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--commits", type=int, default=10_000)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    lake = arguments.folder.resolve()
    subprocess.run([SURVEY, "write", lake, str(arguments.files), str(OBJECTS)], check=True)
    environment = {**os.environ, "BIFROST_LAKE": str(lake), "BIFROST_NODE": "bench"}
    sync(environment)
    files = sorted((lake / "spectra").rglob("*.parquet"))
    step = max(100, arguments.commits // 5)
    rows, times = [], []
    with psycopg.connect(URL, autocommit=True) as connection:
        rows.append(("0", "", *(f"{size:.1f}" for size in sizes(connection))))
        for number in range(1, arguments.commits + 1):
            replace(files[number % len(files)])
            times.append(sync(environment))
            if number == 100 or number % step == 0:
                median = statistics.median(times[-100:])
                rows.append((f"{number:,}", f"{median:.0f}", *(f"{size:.1f}" for size in sizes(connection))))
                print(*rows[-1], flush=True)
        (commits,) = connection.execute("SELECT count(*) FROM commits").fetchone()
    assert commits == arguments.commits + 1, commits
    text = "| commits | median of the last 100, ms | " + " | ".join(f"{table}, MB" for table in TABLES) + " |\n"
    text += "|--:" * (2 + len(TABLES)) + "|\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows)
    text += f"\nThe last 100 took {statistics.median(times[-100:]) / statistics.median(times[:100]):.2f} times as long as the first.\n"
    print(text)
    if arguments.record:
        with RESULTS.open("a") as out:
            out.write(f"\n## Ten thousand commits of one file\n\nA lake of {arguments.files} files of {OBJECTS} objects, with catalog;"
                      f" {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; `python tests/bench/commits.py FOLDER --record`\n\n{text}")


if __name__ == "__main__":
    main()
