"""A user's table of TARGETIDs against the object catalog: the ways to join them, side by side.

    python tables.py [--ids 1000 100000 1000000] [--repeat 5] [--record]

BIFROST_DATABASE_URL names a registry with a catalog (that of scale.py, synced and migrated), BIFROST_BIN
is a release build with `ask` in `examples` beside it. A table of random objects, in no order and with an
index, is made in a schema of its own and dropped at the end. Asked is for each file, and the rows in it:

    as planned    a join, planned by Postgres as it likes
    hash join     the same, with no other kind of join allowed
    merge join    the same
    sorted probes a nested loop over the sorted TARGETIDs
    function      rows_of_targets(targets_of_query(…)): the array of TARGETIDs goes to the index
    resolution    the library: the same function, files judged, rows handed over

The ways take turns; the median of the runs is told, after one that warms.
"""

import argparse
import os
import pathlib
import random
import statistics
import time

import psycopg

from resolve import Library

URL = os.environ["BIFROST_DATABASE_URL"]
RESULTS = pathlib.Path(__file__).with_name("RESULTS.md")
JOIN = """SELECT count(*), sum(cardinality(row_indexes)) FROM (
    SELECT c.file_id, array_agg(c.row_index) AS row_indexes
    FROM {} JOIN catalog_rows c ON c.target_id = g.targetid GROUP BY c.file_id) AS files"""
PLAIN = JOIN.format("bench_tables.galaxies g")
SORTED = JOIN.format("(SELECT DISTINCT targetid FROM bench_tables.galaxies ORDER BY 1) AS g")
ASKED = "SELECT targetid FROM bench_tables.galaxies"
OURS = f"SELECT count(*), sum(cardinality(row_indexes)) FROM rows_of_targets(targets_of_query('{ASKED}'))"
WAYS = {
    "as planned": ("", PLAIN),
    "hash join": ("mergejoin nestloop", PLAIN),
    "merge join": ("hashjoin nestloop", PLAIN),
    "sorted probes": ("hashjoin mergejoin seqscan", SORTED),
    "function": ("", OURS),
}


def fill(connection, ids, dice):
    """A user's table."""
    connection.execute("DROP SCHEMA IF EXISTS bench_tables CASCADE")
    connection.execute("CREATE SCHEMA bench_tables")
    connection.execute("SELECT setseed(%s)", (dice.random(),))
    connection.execute(
        "CREATE TABLE bench_tables.galaxies AS SELECT target_id AS targetid, random() AS mass FROM catalog_rows"
        " WHERE is_primary AND random() < %s::float8 / (SELECT reltuples FROM pg_class WHERE oid = 'catalog_rows'::regclass)"
        " ORDER BY random()",
        (1.05 * ids,),
    )
    connection.execute("CREATE INDEX ON bench_tables.galaxies (targetid)")
    connection.execute("VACUUM ANALYZE bench_tables.galaxies")
    return connection.execute("SELECT count(*) FROM bench_tables.galaxies").fetchone()[0]


def ask(way):
    """Seconds, and files and rows that were found."""
    off, query = WAYS[way]
    with psycopg.connect(URL, autocommit=True) as connection:
        for kind in off.split():
            connection.execute(f"SET enable_{kind} = off")
        started = time.perf_counter()
        found = connection.execute(query).fetchone()
        return time.perf_counter() - started, tuple(map(int, found))


def resolve(library):
    answer = library.ask({"sql": ASKED, "detail": "files"})
    files = answer["resolution"]["files"]
    return answer["resolved_us"] / 1e6, (len(files), sum(len(file["rows"]) for file in files))


def measure(ids, repeat, dice):
    """Rows of the table for one number of TARGETIDs."""
    library = Library(URL)
    with psycopg.connect(URL, autocommit=True) as connection:
        count = fill(connection, ids, dice)
        try:
            times, answers = {}, set()
            for run in range(repeat + 1):
                for way in (*WAYS, "resolution"):
                    seconds, found = resolve(library) if way == "resolution" else ask(way)
                    answers.add(found)
                    if run:
                        times.setdefault(way, []).append(seconds)
        finally:
            connection.execute("DROP SCHEMA bench_tables CASCADE")
    [(files, rows)] = answers
    median = {way: statistics.median(seconds) for way, seconds in times.items()}
    return [
        (f"{count:,}", f"{files:,}", f"{rows:,}", way, f"{1e3 * seconds:,.0f}", f"{median['hash join'] / seconds:.1f}")
        for way, seconds in median.items()
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ids", type=int, nargs="+", default=[1000, 100_000, 1_000_000])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    dice = random.Random(4)
    table = "| TARGETIDs | files | rows | way | ms | hash join ÷ it |\n|--:|--:|--:|---|--:|--:|\n"
    load = os.getloadavg()[0]
    for ids in arguments.ids:
        for row in measure(ids, arguments.repeat, dice):
            table += f"| {' | '.join(row)} |\n"
            print(table.splitlines()[-1], flush=True)
    with psycopg.connect(URL) as connection:
        objects = connection.execute("SELECT reltuples::bigint FROM pg_class WHERE relname = 'catalog_rows'").fetchone()[0]
    if arguments.record:
        with RESULTS.open("a") as out:
            out.write(f"\n## Tables of one's own\n\n{objects / 1e6:.1f} M objects; {os.cpu_count()} cores, load {load:.1f}"
                      f" before; `python tests/bench/tables.py --record`; medians of {arguments.repeat} runs.\n\n{table}")


if __name__ == "__main__":
    main()
