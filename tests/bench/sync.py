"""Speed of `bifrost sync`: against a pyarrow + COPY script, against `find`, and of the catalog.

    BIFROST_BIN=target/release/bifrost python tests/bench/sync.py [--record]
    … sync.py --builds NEW OLD [--lake LAKE] [--runs 15]     cold syncs of several builds, and nothing else

Four measurements, all from the start of the process to its end, on a server of their own:

    cold      12,207 small tiles of 26 scalar columns into an empty registry, without the catalog.
              The script reads the same footers with a pool of threads and stores the same bounds,
              one row a column and row group, by one COPY into a table without any index; it is
              timed inside a running interpreter. Both sides must hold the same bounds. Beside them
              the example `footers`: the parquet crate alone, which reads and decodes on all cores.
    no-op     the same lake again; `find -printf '%p %s %T@ %i'` looks at the same files.
    bulk      rows of a registered lake into an empty catalog.
    more      rows of new tiles, a fifth of whose objects are known, beside a full catalog.

The machine's speed changes by half from hour to hour, so the last two have a yardstick, which is what
Postgres can do at that moment: `psql` sends the same rows, ready made in its binary format, into a table
of the same kind; in bulk it is emptied, filled, and indexed, beside a full one its indexes are in
place. Nobody reads Parquet there, nor settles which row of an object is primary.

The sides take turns; medians are shown, and how busy the machine was: beside other work only the
ratios mean something, and they little. `--record` appends the table to RESULTS.md.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import psycopg
import pyarrow.parquet as pq

import lake as lakes

HERE = pathlib.Path(__file__).parent
MACHINE = f"{os.cpu_count()} cores"
BIFROST = os.environ.get("BIFROST_BIN", "bifrost")

STATS = """
CREATE TABLE files (file_id int, path text, size_bytes bigint, mtime_ns bigint, num_rows bigint);
CREATE TABLE stats (file_id int, row_group int, name text, int_min bigint, int_max bigint,
    float_min float8, float_max float8, text_min text, text_max text, null_count bigint);
"""


class Server:
    """A private Postgres, and fresh databases on it."""

    def __init__(self, folder: pathlib.Path):
        self.lake = folder / "server"
        self.lake.mkdir()
        bifrost(self.lake, None, "db", "up")
        self.url = json.loads(bifrost(self.lake, None, "db", "status", "--json"))["url"]
        self.count = 0

    def database(self) -> str:
        self.count += 1
        name = f"bench{self.count}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
            user = connection.info.user
            host = connection.info.host
        return f"postgresql:///{name}?host={host}&user={user}"

    def settle(self, *done: str):
        """Drops databases that are done with, and writes out what is left to write."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for url in done:
                connection.execute(f"DROP DATABASE {url.split('/')[3].split('?')[0]}")
            connection.execute("CHECKPOINT")

    def down(self):
        bifrost(self.lake, None, "db", "down")


def bifrost(lake: pathlib.Path, url: str | None, *args: str, program=BIFROST) -> str:
    """Runs Bifrost and returns what it printed."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("BIFROST_")}
    env |= {"BIFROST_LAKE": str(lake)} | ({"BIFROST_DATABASE_URL": url} if url else {})
    return subprocess.run([program, *args], env=env, check=True, capture_output=True, text=True).stdout


def timed(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def sync(lake: pathlib.Path, url: str, *args: str, program=BIFROST) -> dict:
    """Syncs a lake; what the report says, and how long the process took."""
    start = time.perf_counter()
    report = json.loads(bifrost(lake, url, "sync", "--no-datasheet", "--json", *args, program=program))
    return report | {"wall_s": time.perf_counter() - start}


# the script that Bifrost is compared with -------------------------------------------------------


def bounds_of(job):
    """The rows of one file: what the registry is to know of it."""
    file_id, path = job
    about, footer = path.stat(), pq.read_metadata(path)
    rows = []
    for group in range(footer.num_row_groups):
        chunks = footer.row_group(group)
        for index in range(chunks.num_columns):
            chunk = chunks.column(index)
            found = chunk.statistics
            ends = (found.min, found.max) if found is not None and found.has_min_max else (None, None)
            place = {bool: 0, int: 0, float: 2, str: 4}[type(ends[0])] if ends[0] is not None else 0
            cells = [None] * 6
            cells[place : place + 2] = [int(e) if isinstance(e, bool) else e for e in ends]
            nulls = found.null_count if found is not None and found.has_null_count else None
            rows.append((file_id, group, chunk.path_in_schema, *cells, nulls))
    return (file_id, str(path), about.st_size, about.st_mtime_ns, footer.num_rows), rows


def script(lake: pathlib.Path, url: str) -> None:
    """Walks, reads footers with a pool of threads, and copies files and bounds."""
    jobs = enumerate(sorted(lake.glob("spectra/dataset/Norder=*/Dir=*/Npix=*/*.parquet")))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        read = list(pool.map(bounds_of, jobs))
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        with cursor.copy("COPY files FROM STDIN") as copy:
            for file, _ in read:
                copy.write_row(file)
        with cursor.copy("COPY stats FROM STDIN") as copy:
            for _, rows in read:
                for row in rows:
                    copy.write_row(row)


SAME = {
    # both sides: the sums of every kind of bound over row groups, and their number
    "bifrost": """
        WITH g AS MATERIALIZED (SELECT * FROM column_bounds WHERE row_group IS NOT NULL)
        SELECT (SELECT count(*) FROM row_groups), sum(null_count),
               sum(int_min::numeric + int_max), round(sum(float_min::numeric + float_max::numeric), 3),
               count(text_min) + count(text_max) FROM g""",
    "script": """
        SELECT count(DISTINCT (file_id, row_group)), sum(null_count),
               sum(int_min::numeric + int_max), round(sum(float_min::numeric + float_max::numeric), 3),
               count(text_min) + count(text_max) FROM stats""",
}


def everything(url: str, query: str):
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def ask(url: str, query: str):
    return everything(url, query)[0]


# measurements -----------------------------------------------------------------------------------


def measure_cold(server: Server, lake: pathlib.Path, runs: int):
    ours, theirs, footers = [], [], []
    example = pathlib.Path(BIFROST).parent / "examples" / "footers"
    for _ in range(runs):
        merely = json.loads(subprocess.run([example, lake / "spectra"], check=True, capture_output=True).stdout)
        footers.append(merely["seconds"])
        url = server.database()
        bifrost(lake, url, "db", "migrate")
        server.settle()
        ours.append(sync(lake, url, "--no-catalog")["wall_s"])
        other = server.database()
        with psycopg.connect(other) as connection:
            connection.execute(STATS)
        server.settle()
        theirs.append(timed(lambda: script(lake, other)))
    held = ask(url, SAME["bifrost"]), ask(other, SAME["script"])
    assert held[0] == held[1], held
    assert ask(url, "SELECT count(*) FROM file_registry")[0] == merely["files"]
    return url, ours, theirs, footers


def measure_builds(server: Server, lake: pathlib.Path, builds: list[pathlib.Path], runs: int):
    """Cold syncs by several programs in turns, and the footers alone: all their seconds."""
    seconds = {build: [] for build in builds} | {"footers": []}
    for turn in range(runs):
        merely = subprocess.run([builds[0].parent / "examples" / "footers", lake / "spectra"], check=True, capture_output=True)
        seconds["footers"].append(json.loads(merely.stdout)["seconds"])
        # whoever comes first finds the files in memory, others what those before them left to write
        for build in builds[turn % len(builds) :] + builds[: turn % len(builds)]:
            url = server.database()
            bifrost(lake, url, "db", "migrate", program=build)
            server.settle()
            seconds[build].append(sync(lake, url, "--no-catalog", program=build)["wall_s"])
            server.settle(url)
    return seconds


def measure_noop(lake: pathlib.Path, url: str, runs: int):
    ours, theirs = [], []
    find = ["find", str(lake), "-printf", "%p %s %T@ %i\\n"]
    for _ in range(runs):
        report = sync(lake, url, "--no-catalog")
        assert report["commit"] is None and report["files_opened"] == 0, report
        ours.append(report["wall_s"])
        theirs.append(timed(lambda: subprocess.run(find, check=True, stdout=subprocess.DEVNULL)))
    return ours, theirs


def measure_catalog(server: Server, folder: pathlib.Path, rows: int, runs: int):
    """Rows a second: in bulk, and beside a full catalog."""
    lake, aside = folder / "catalog", folder / "aside"
    lakes.make(lake, rows // 1000, 1000)
    full = set(lake.rglob("*.parquet"))
    lakes.make(lake, rows // 1000 + 200, 1000, start=rows // 1000)
    new = [(path, aside / path.name) for path in lake.rglob("*.parquet") if path not in full]
    aside.mkdir()
    bulks, mores, by_psql = [], [], []
    for _ in range(runs):
        server.settle()
        for path, away in new:
            path.rename(away)
        url = server.database()
        sync(lake, url, "--no-catalog")
        bulks.append(sync(lake, url))
        assert abs(bulks[-1]["catalog_added"] - rows) < rows / 5, bulks[-1]
        for path, away in new:
            away.rename(path)
        mores.append(sync(lake, url))
        assert mores[-1]["catalog_added"] > 0 and mores[-1]["commit"], mores[-1]
        assert ask(url, PRIMARIES) == (True,)
        by_psql.append(yardstick(server, url, folder / "rows", mores[-1]["catalog_added"]))
        server.settle(url)
    return bulks, mores, by_psql


def psql(url: str, *commands: str) -> float:
    options = [part for command in commands for part in ("-c", command)]
    return timed(lambda: subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", *options, url], check=True))


def yardstick(server: Server, url: str, file: pathlib.Path, fresh: int):
    """Rows a second of `psql`: the catalog but for its last `fresh` rows, in bulk; and those."""
    first, count = ask(url, f"""
        SELECT min(file_id), sum(num_rows)::bigint FROM (
            SELECT file_id, num_rows, sum(num_rows) OVER (ORDER BY file_id DESC) AS above
            FROM file_registry WHERE in_catalog) f WHERE above <= {fresh}""")
    assert count == fresh, (count, fresh)
    indexes = [row[0] for row in everything(url, """
        SELECT replace(pg_get_indexdef(indexrelid), 'catalog_rows', 'yardstick')
        FROM pg_index WHERE indrelid = 'catalog_rows'::regclass""")]
    out = f"\\copy (SELECT * FROM catalog_rows WHERE file_id {{}} {first}) TO '{file}' (FORMAT binary)"
    into = f"\\copy yardstick FROM '{file}' (FORMAT binary{{}})"
    psql(url, "CREATE TABLE yardstick (LIKE catalog_rows) WITH (fillfactor = 95)", out.format("<"))
    server.settle()
    bulk = psql(url, "BEGIN", "TRUNCATE yardstick", into.format(", FREEZE"),
                "SET LOCAL maintenance_work_mem = '256MB'", *indexes, "COMMIT")
    rows = ask(url, "SELECT count(*) FROM yardstick")[0]
    psql(url, out.format(">="))
    server.settle()
    more = psql(url, into.format(""))
    return rows / bulk, fresh / more


PRIMARIES = "SELECT count(*) FILTER (WHERE is_primary) = count(DISTINCT target_id) FROM catalog"


def table(lines) -> str:
    head = "| what | Bifrost | other side | ratio | demanded |\n|---|---|---|---|---|\n"
    return head + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=int, default=12_207)
    parser.add_argument("--rows", type=int, default=2_000_000, help="rows of the catalog")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--lake", type=pathlib.Path, help="a lake that lake.py made, to use again")
    parser.add_argument("--builds", type=pathlib.Path, nargs="+", help="programs whose cold syncs to compare")
    parser.add_argument("--record", action="store_true")
    args = parser.parse_args()
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="bifrost-bench-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        lake = args.lake or folder / "tiles"
        if not args.lake:
            lakes.make(lake, args.tiles, 60)
        server = Server(folder)
        try:
            if args.builds:
                seconds = measure_builds(server, lake, args.builds, args.runs)
                alone = statistics.median(seconds["footers"])
                for build, all_of in seconds.items():
                    typical = statistics.median(all_of)
                    print(f"{build}: {typical:.3f} s, at best {min(all_of):.3f}; {typical / alone:.2f} × the footers")
                return
            url, cold, by_script, footers = measure_cold(server, lake, args.runs)
            noop, by_find = measure_noop(lake, url, 2 * args.runs)
            bulks, mores, by_psql = measure_catalog(server, folder, args.rows, args.runs)
        finally:
            server.down()
    mid = statistics.median
    rates = lambda reports: sorted(r["catalog_added"] / r["wall_s"] for r in reports)
    spread = lambda r: f"{mid(r):,.0f} rows/s ({min(r):,.0f} to {max(r):,.0f})"
    ready = [list(side) for side in zip(*by_psql)]
    times = lambda ours, theirs: f"{mid(ours) / mid(theirs):.2f}× its rate"
    text = table([
        (f"cold sync, {args.tiles} files", f"{mid(cold):.2f} s", f"script {mid(by_script):.2f} s",
         f"{mid(by_script) / mid(cold):.1f}× as fast", "8×"),
        ("the same", f"{mid(cold):.2f} s", f"parquet crate, footers alone {mid(footers):.2f} s",
         f"{mid(cold) / mid(footers):.2f}× as long", "≤ 3×"),
        ("no-op sync", f"{mid(noop):.3f} s", f"find {mid(by_find):.3f} s",
         f"{mid(noop) / mid(by_find):.2f}× as long", "≤ 2×"),
        (f"catalog in bulk, {bulks[0]['catalog_added']} rows", spread(rates(bulks)),
         f"psql {spread(ready[0])}", times(rates(bulks), ready[0]), "400,000"),
        (f"catalog beside it, {mores[0]['catalog_added']} rows", spread(rates(mores)),
         f"psql {spread(ready[1])}", times(rates(mores), ready[1]), "100,000"),
    ])
    busy = f"load {before:.1f} before, {os.getloadavg()[0]:.1f} after"
    print(text, busy, sep="\n")
    if args.record:
        with open(HERE / "RESULTS.md", "a") as results:
            results.write(f"\n## Sync\n\n{MACHINE}; {busy}; `python tests/bench/sync.py --record`; "
                          f"medians of {args.runs} runs in turns.\n\n{text}")


if __name__ == "__main__":
    main()
