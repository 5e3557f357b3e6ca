"""How many files a resolution keeps beside those that hold matching rows.

    python pruning.py LAKE [--record]

LAKE is that of scale.py, synced. For each kind of question the threshold is sought with which about
80 %, 5 % and 0.1 % of the files hold a match (DuckDB reads every row); then the resolved files and
the estimated rows are compared with those, and with what least and greatest values of each column
would keep.
"""

import argparse
import json
import os
import pathlib

import duckdb
import psycopg

from resolve import Library

URL = os.environ["BIFROST_DATABASE_URL"]
RESULTS = pathlib.Path(__file__).with_name("RESULTS.md")
SHARES = (0.8, 0.05, 0.001)

# name, predicate with its threshold, where the threshold may lie (fewest files first), and what least
# and greatest values have to be like
KINDS = {
    "distant quasars": (
        "spectype = 'QSO' AND zwarn = 0 AND z > {t}", (7.5, 0.5),
        "z_max > {t} AND zwarn_min = 0 AND spectype_min <= 'QSO' AND spectype_max >= 'QSO'"),
    "anything distant, well fitted": (
        "zwarn = 0 AND z > {t}", (7.5, 0.1), "z_max > {t} AND zwarn_min = 0"),
    "galaxies in a shell": (
        "spectype = 'GALAXY' AND zwarn = 0 AND z BETWEEN {t} AND {u}", (1.75, 1.0),
        "z_max >= {t} AND z_min <= {u} AND zwarn_min = 0 AND spectype_min <= 'GALAXY'"),
    "quasars nearby": (
        "spectype = 'QSO' AND zwarn = 0 AND z < {t}", (0.6, 3.0),
        "z_min < {t} AND zwarn_min = 0 AND spectype_min <= 'QSO' AND spectype_max >= 'QSO'"),
}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lake", type=pathlib.Path)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    lake = arguments.lake.resolve()
    truth = duckdb.connect()
    truth.execute(
        f"CREATE TABLE rows AS SELECT filename AS path, spectype, z, zwarn FROM read_parquet("
        f"'{lake}/spectra/**/*.parquet', hive_partitioning = false, filename = true)")
    [(total,)] = truth.execute("SELECT count(DISTINCT path) FROM rows").fetchall()
    library = Library(URL)
    table = "| question | files that hold a match | % | resolved | ratio | least and greatest alone | rows | estimated | off by |\n"
    table += "|---|--:|--:|--:|--:|--:|--:|--:|--:|\n"
    with psycopg.connect(URL) as connection:
        for name, (predicate, (few, many), outer) in KINDS.items():
            for share in SHARES:
                low, high = few, many
                for _ in range(30):
                    middle = (low + high) / 2
                    [(hit,)] = truth.execute(
                        f"SELECT count(DISTINCT path) FROM rows WHERE {predicate.format(t=middle, u=middle + 0.1)}").fetchall()
                    if hit < share * total:
                        low = middle
                    else:
                        high = middle
                asked = predicate.format(t=f"{high:.6g}", u=f"{high + 0.1:.6g}")
                true, rows = truth.execute(
                    f"SELECT array_agg(DISTINCT path), count(*) FROM rows WHERE {asked}").fetchone()
                answer = library.ask({"predicate": asked, "detail": "explained"})["resolution"]
                kept = {f["path"] for f in answer["files"]}
                assert set(true) <= kept, f"{asked}: missed {set(true) - kept}"
                [(crude,)] = connection.execute(
                    "SELECT count(*) FROM file_registry WHERE state = 'live' AND product = 'spectra' AND "
                    + outer.format(t=f"{high:.6g}", u=f"{high + 0.1:.6g}")).fetchall()
                estimate = answer["pruned"]["explained"]["rows_estimated"]
                table += (f"| `{asked}` | {len(true):,} | {100 * len(true) / total:.2f} | {len(kept):,} |"
                          f" {len(kept) / len(true):.2f} | {crude:,} | {rows:,} | {estimate:,} |"
                          f" {100 * (estimate / rows - 1):+.0f} % |\n")
    print(table)
    if arguments.record:
        with RESULTS.open("a") as out:
            out.write(f"\n## Quality of pruning\n\n{total:,} realistic tiles; `python tests/bench/pruning.py LAKE --record`\n\n{table}")


if __name__ == "__main__":
    main()
