"""How long a resolution takes in a registry of 12 thousand, a million and ten million files.

    python scale.py LAKE [--files 12207:1530 1000000:100 10000000:100] [--questions 1000] [--record]

With --record the plans by which the server answers go to plans.txt.

The first size is written (2.4 GB) and synced, catalog and all; the others are rows of the registry
about files that are not there, of the same kinds of objects, made by the same code as those of
files that are. LAKE is made if it is not there; BIFROST_BIN is a release build with the examples
`ask` and `survey` beside it (cargo build --release --workspace --bins --examples --features
bifrost-core/simulate); BIFROST_DATABASE_URL names an empty database. Ten million files take
30 GB and an hour.
"""

import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import time

import psycopg

from resolve import Library, BIFROST

SURVEY = pathlib.Path(BIFROST).parent / "examples" / "survey"
URL = os.environ["BIFROST_DATABASE_URL"]
RESULTS = pathlib.Path(__file__).with_name("RESULTS.md")
SMALL = 100
PLANS = pathlib.Path(__file__).with_name("plans.txt")


def grow(lake, files, objects):
    """Brings lake and registry to so many files."""
    started = time.perf_counter()
    environment = {**os.environ, "BIFROST_LAKE": str(lake), "BIFROST_NODE": "bench"}
    if not (lake / "spectra").exists():
        subprocess.run([SURVEY, "write", lake, str(files), str(objects)], check=True)
        print(f"written in {time.perf_counter() - started:.0f} s", flush=True)
        started = time.perf_counter()
        subprocess.run([BIFROST, "sync", "-q", "--no-datasheet"], check=True, env=environment)
    else:
        with psycopg.connect(URL, autocommit=True) as connection:
            have = connection.execute("SELECT count(*) FROM file_registry").fetchone()[0]
            if have < files:
                fill(connection, lake, have, files, objects)
    with psycopg.connect(URL, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
        size = connection.execute("SELECT pg_database_size(current_database())").fetchone()[0]
    print(f"{files} files registered in {time.perf_counter() - started:.0f} s, {size / 1e9:.1f} GB", flush=True)


def fill(connection, lake, have, files, objects):
    """Adds rows without indexes and builds these afterwards."""
    indexes = connection.execute(
        "SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i"
        " WHERE i.indrelid = ANY ('{file_registry, file_classes}'::regclass[]) AND NOT i.indisprimary"
    ).fetchall()
    connection.execute("SET maintenance_work_mem = '2GB'")
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    subprocess.run([SURVEY, "fill", lake, str(have), str(files), str(objects), URL], check=True)
    for _, definition in indexes:
        connection.execute(definition)


def questions(files, some, count, dice):
    """Kinds of questions whose answers are short, and one whose answers are long."""
    tail = {12_207: (5.2, 6.2), 1_000_000: (6.0, 7.0)}.get(files, (6.6, 7.4))
    release = " AND release = 'iron'" if files > 100_000 else ""
    def quasars(): return f"spectype = 'QSO' AND zwarn = 0 AND z > {dice.uniform(*tail):.4f}"
    def cone(radius): return (round(dice.uniform(0, 360), 4), round(dice.uniform(-85, 85), 4), round(dice.uniform(0.05, radius), 3))
    kinds = {
        "predicate": lambda: {"predicate": f"z > {max(tail[0] + 0.75, dice.uniform(*tail)):.4f}"},
        "conjunction": lambda: {"predicate": quasars()},
        "cone": lambda: {"cone": cone(3)} | ({"predicate": "release = 'iron'"} if release else {}),
        "cone and conjunction": lambda: {"cone": cone(10), "predicate": f"spectype = 'QSO' AND zwarn = 0 AND z > 4{release}"},
        "100 ids": lambda: {"target_ids": dice.sample(some, 100)},
        "long answers": lambda: {"predicate": f"spectype = 'QSO' AND zwarn = 0 AND z > {dice.uniform(2, 4):.3f}{release}"},
    }
    return {name: [make() for _ in range(count if name != "long answers" else count // 10)] for name, make in kinds.items()}


def ask(library, asked):
    """Microseconds and numbers of files."""
    answers = [library.ask({"detail": "files", "count": True, **question}) for question in asked]
    for question, answer in zip(asked, answers):
        assert "error" not in answer, (question, answer)
    return [(a["resolved_us"], a.get("files", 0)) for a in answers]


def quantile(times, part):
    times = sorted(times)
    return times[min(len(times) - 1, int(part * len(times)))] / 1e3


def measure(files, count, dice):
    """A table's rows, microseconds for each further file, and how the server looks for files."""
    with psycopg.connect(URL) as connection:
        some = [r[0] for r in connection.execute(
            "SELECT target_id FROM catalog_rows TABLESAMPLE SYSTEM (0.2) WHERE is_primary LIMIT 100000")]
    library = Library(URL)
    rows, slope, plans = [], None, []
    for name, asked in questions(files, some, count, dice).items():
        ask(library, asked[: len(asked) // 5])  # warm
        # the plan is the same whatever is asked
        plans += ["", f"{files:,} files, {name}", *library.ask({**asked[0], "plan": True})["plan"]]
        pings = [us for us, _ in ask(library, [{"ping": True}] * count)]
        answers = ask(library, asked)
        if name == "long answers":
            slope = statistics.median(us / n for us, n in answers if n > SMALL)
            longest = max(n for _, n in answers)
            continue
        small = [us for us, n in answers if n <= SMALL]
        assert len(small) > count // 5, f"{name}: only {len(small)} answers are short"
        typical = statistics.median(n for _, n in answers if n <= SMALL)
        rows.append((f"{files:,}", name, len(small), f"{typical:.0f}", f"{quantile(pings, 0.5):.3f}",
                     f"{quantile(small, 0.5):.2f}", f"{quantile(small, 0.99):.2f}"))
    return rows, (f"{files:,}", f"{longest:,}", f"{slope:.2f}"), plans


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lake", type=pathlib.Path)
    parser.add_argument("--files", nargs="+", default=["12207:1530", "1000000:100", "10000000:100"])
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    dice = random.Random(4)
    rows, slopes, told = [], [], []
    for size in arguments.files:
        files, objects = map(int, size.split(":"))
        grow(arguments.lake.resolve(), files, objects)
        more, slope, plans = measure(files, arguments.questions, dice)
        rows += more
        told += plans
        slopes.append(slope)
        print(*more, slope, sep="\n", flush=True)
    text = "| files | question | answers | median files | `SELECT 1`, ms | p50, ms | p99, ms |\n|--:|---|--:|--:|--:|--:|--:|\n"
    text += "".join(f"| {' | '.join(map(str, row))} |\n" for row in rows)
    text += "\n| files | longest answer | µs a file |\n|--:|--:|--:|\n"
    text += "".join(f"| {' | '.join(map(str, row))} |\n" for row in slopes)
    print(text)
    if arguments.record:
        PLANS.write_text("\n".join(told).strip() + "\n")
        with RESULTS.open("a") as out:
            out.write(f"\n## Resolution at any size\n\n{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f};"
                      f" `python tests/bench/scale.py LAKE --record`\n\n{text}")


if __name__ == "__main__":
    main()
