"""Planning beside peers: the same files and questions in Bifrost, PyIceberg, DuckLake, and a glob.

    pip install "pyiceberg[pyarrow,sql-sqlite]==0.12.0" duckdb==1.5.5 duckdb-extension-ducklake==1.5.5
    python peers.py LAKE SCRATCH [--repeat 7] [--record]

LAKE is that of scale.py at its first size, synced; SCRATCH keeps the peers' catalogs, which take some
minutes to fill. Each peer gets the files as they are, with the bounds in their footers. PyIceberg
plans by `plan_files`. DuckLake's time is that of EXPLAIN (metadata in a DuckDB file), its files are those
that a run then reads: where these are all, nothing was planned and the time is no comparison. DuckDB's
glob has no catalog and reads columns to answer. Caches are warm: each is asked
once before the clock runs, and the median is told.
"""

import argparse
import os
import pathlib
import re
import statistics
import time

import duckdb

from resolve import Library

RESULTS = pathlib.Path(__file__).with_name("RESULTS.md")
# the peers know no cones: a box around the same place
QUESTIONS = {
    "z > 5.99": "z > 5.99",
    "rare quasars": "spectype = 'QSO' AND zwarn = 0 AND z > 5.3",
    "a square degree": "ra BETWEEN 150 AND 151 AND dec BETWEEN 2 AND 3",
    "nothing": "z > 9",
}


def clock(ask, repeat):
    """Seconds of the median, and the answer."""
    times, answer = [], ask()
    for _ in range(repeat):
        started = time.perf_counter()
        ask()
        times.append(time.perf_counter() - started)
    return statistics.median(times), answer


class Bifrost:
    def __init__(self, lake, scratch):
        self.library = Library(os.environ["BIFROST_DATABASE_URL"])

    def ask(self, predicate):
        return len(self.library.ask({"predicate": predicate, "detail": "files"})["resolution"]["files"])


class Iceberg:
    def __init__(self, lake, scratch):
        from pyiceberg.catalog.sql import SqlCatalog
        import pyarrow.parquet as pq
        catalog = SqlCatalog("bench", uri=f"sqlite:///{scratch}/iceberg.db", warehouse=f"file://{scratch}/iceberg")
        if not catalog.namespace_exists("bench"):
            files = sorted(map(str, lake.glob("spectra/**/*.parquet")))
            catalog.create_namespace("bench")
            table = catalog.create_table("bench.spectra", pq.read_schema(files[0]))
            table.add_files(files)
        self.table = catalog.load_table("bench.spectra")

    def ask(self, predicate):
        # its parser knows no BETWEEN
        predicate = re.sub(r"(\w+) BETWEEN (\S+) AND (\S+)", r"\1 >= \2 AND \1 <= \3", predicate)
        return len(list(self.table.scan(row_filter=predicate).plan_files()))


class DuckLake:
    def __init__(self, lake, scratch):
        self.connection = duckdb.connect()
        try:
            from importlib.resources import files
            [extension] = files("duckdb_extension_ducklake").rglob("*.duckdb_extension")
            self.connection.execute(f"LOAD '{extension}'")
        except ImportError:
            self.connection.execute("LOAD ducklake")
        is_new = not (scratch / "ducklake.db").exists()
        self.connection.execute(f"ATTACH 'ducklake:{scratch}/ducklake.db' AS bench (DATA_PATH '{scratch}/ducklake')")
        self.connection.execute("USE bench")
        if is_new:
            some = next(lake.glob("spectra/**/*.parquet"))
            self.connection.execute(f"CREATE TABLE spectra AS FROM read_parquet('{some}', hive_partitioning = false) LIMIT 0")
            self.connection.execute(
                f"CALL ducklake_add_data_files('bench', 'spectra', '{lake}/spectra/**/*.parquet', hive_partitioning => false)")

    def ask(self, predicate):
        self.connection.execute(f"EXPLAIN SELECT target_id FROM spectra WHERE {predicate}").fetchall()

    def files(self, predicate):
        """Files that were read, from a run."""
        [(_, plan)] = self.connection.execute(f"EXPLAIN ANALYZE SELECT target_id FROM spectra WHERE {predicate}").fetchall()
        read = re.search(r"Total Files Read:\D*(\d+)", plan)
        return int(read[1]) if read else "?"


class Glob:
    def __init__(self, lake, scratch):
        self.connection = duckdb.connect()
        self.files = f"read_parquet('{lake}/spectra/**/*.parquet', hive_partitioning = false, filename = true)"

    def ask(self, predicate):
        rows = self.connection.execute(f"SELECT DISTINCT filename FROM {self.files} WHERE {predicate}").fetchall()
        return len(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lake", type=pathlib.Path)
    parser.add_argument("scratch", type=pathlib.Path)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    lake, scratch = arguments.lake.resolve(), arguments.scratch.resolve()
    scratch.mkdir(exist_ok=True)
    peers = [kind(lake, scratch) for kind in (Bifrost, Iceberg, DuckLake, Glob)]
    table = "| question | who | files | ms | × Bifrost |\n|---|---|--:|--:|--:|\n"
    for name, predicate in QUESTIONS.items():
        ours = None
        for peer in peers:
            repeat = arguments.repeat * (20 if isinstance(peer, Bifrost) else 1)
            seconds, files = clock(lambda: peer.ask(predicate), repeat)
            if isinstance(peer, DuckLake):
                files = peer.files(predicate)
            ours = ours or seconds
            table += f"| {name} | {type(peer).__name__} | {files} | {1e3 * seconds:.2f} | {seconds / ours:.0f} |\n"
            print(table.splitlines()[-1], flush=True)
    if arguments.record:
        with RESULTS.open("a") as out:
            out.write(f"\n## Planning beside peers\n\n{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f};"
                      f" `python tests/bench/peers.py LAKE SCRATCH --record`\n\n{table}")


if __name__ == "__main__":
    main()
