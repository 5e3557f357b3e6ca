"""How long a question takes to resolve: in one process, by the command line, and by DuckDB reading
the footers and columns itself.

    python resolve.py LAKE [--repeat 20]

LAKE comes from lake.py and has been synced; BIFROST_BIN is a release build, with `ask` in
`examples` beside it; BIFROST_DATABASE_URL says where the registry is. DuckDB answers the same
question (which files hold matching rows) without a registry: it is exact, so its list is compared
with the resolved one.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import time

import duckdb

BIFROST = os.environ["BIFROST_BIN"]
ASK = pathlib.Path(BIFROST).parent / "examples" / "ask"

QUESTIONS = {
    "z > 2.5": {"predicate": "z > 2.5"},
    "three cuts": {"predicate": "spectype = 'QSO' AND zwarn = 0 AND z BETWEEN 3.99 AND 3.995"},
    "column not indexed": {"predicate": "chi2 < 6001"},
    "cone of 1 degree": {"cone": (180.0, 0.0, 1.0)},
    "cone of 10 degrees, one cut": {"cone": (180.0, 0.0, 10.0), "predicate": "z > 1"},
    "one object": {"target_ids": 1},
    "100 objects": {"target_ids": 100},
    "another survey": {"predicate": "survey = 'sv1'"},
}


def ms(seconds):
    return f"{1e3 * seconds:.1f}"


class Library:
    """Many questions to one process."""

    def __init__(self, url):
        self.process = subprocess.Popen(
            [str(ASK), url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, question):
        cone = question.get("cone")
        sent = {**question, "cone": cone and ",".join(map(str, cone))}
        self.process.stdin.write(json.dumps(sent) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def command_line(question):
    arguments = [BIFROST, "resolve", "--format", "paths", "-q"]
    if "cone" in question:
        arguments += ["--cone", ",".join(map(str, question["cone"]))]
    if "target_ids" in question:
        arguments += ["--target-id", ",".join(map(str, question["target_ids"]))]
    if "predicate" in question:
        arguments += ["--", question["predicate"]]
    started = time.perf_counter()
    subprocess.run(arguments, stdout=subprocess.DEVNULL, check=False)
    return time.perf_counter() - started


def brute(lake, question):
    """Files that hold matching rows, and how long DuckDB took to find them."""
    tests = [f"({question['predicate']})"] if "predicate" in question else []
    if "cone" in question:
        ra, dec, radius = question["cone"]
        along = (
            f"sin(radians(dec)) * sin(radians({dec}))"
            f" + cos(radians(dec)) * cos(radians({dec})) * cos(radians(ra - {ra}))"
        )
        tests.append(f"{along} >= cos(radians({radius}))")
    if "target_ids" in question:
        tests.append(f"target_id IN ({', '.join(map(str, question['target_ids']))})")
    files = f"read_parquet('{lake}/spectra/**/*.parquet', hive_partitioning = false, filename = true)"
    started = time.perf_counter()
    rows = duckdb.connect().execute(
        f"SELECT DISTINCT filename FROM {files} WHERE {' AND '.join(tests)}"
    ).fetchall()
    return {r[0] for r in rows}, time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lake", type=pathlib.Path)
    parser.add_argument("--repeat", type=int, default=20)
    arguments = parser.parse_args()
    lake = arguments.lake.resolve()
    some = duckdb.connect().execute(
        f"SELECT target_id FROM read_parquet('{lake}/spectra/**/*.parquet', hive_partitioning = false)"
        " USING SAMPLE 100 ROWS (reservoir, 1)"
    ).fetchall()
    library = Library(os.environ["BIFROST_DATABASE_URL"])
    print("| question | files | of which needed | in process, median ms | worst | command line, median ms | DuckDB, ms |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for name, question in QUESTIONS.items():
        question = dict(question)
        if "target_ids" in question:
            question["target_ids"] = [r[0] for r in some[: question["target_ids"]]]
        inside = []
        for _ in range(arguments.repeat):
            answer = library.ask(question)
            inside.append(answer["resolved_us"] / 1e6)
        files = {f["path"] for f in answer["resolution"]["files"]}
        outside = [command_line(question) for _ in range(max(3, arguments.repeat // 4))]
        needed, seconds = brute(lake, question)
        assert needed <= files, f"{name}: {needed - files} missed"
        row = [
            name, len(files), len(needed), ms(statistics.median(inside)), ms(max(inside)),
            ms(statistics.median(outside)), ms(seconds),
        ]  # fmt: skip
        print("| " + " | ".join(map(str, row)) + " |", flush=True)


if __name__ == "__main__":
    main()
