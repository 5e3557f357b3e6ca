"""Resolution and reading against DuckDB's brute force, on random questions.

Two products: `spectra`, made by `bifrost mock` and `bifrost convert`, and `foreign`, files that
other programs wrote. For each question the resolved list must contain every file in which DuckDB
finds a row, and reading must return exactly DuckDB's rows.

BIFROST_BIN names the program; `ask`, built from the library's examples, lies beside it.
BIFROST_SOAK=1 asks 2,000 questions instead of 200.
"""

import json
import os
import random
import subprocess
import uuid
from pathlib import Path

import duckdb
import psycopg
import pytest

import foreign
import questions
from questions import Column

QUESTIONS = 2000 if os.environ.get("BIFROST_SOAK") else 200
BIFROST = os.environ.get("BIFROST_BIN", "bifrost")
ASK = Path(BIFROST).parent / "examples" / "ask"

pytestmark = pytest.mark.xdist_group("resolution")


def run(*arguments, check=True, env=None):
    done = subprocess.run([BIFROST, *map(str, arguments)], capture_output=True, text=True, env=env)
    assert not check or done.returncode == 0, done.stderr
    return done


class Lake:
    """A synced lake, its registry, and its files as DuckDB tables."""

    def __init__(self, root):
        self.root = root / "lake"
        self.url = None
        server = os.environ.get("BIFROST_TEST_DATABASE_URL")
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("BIFROST_")}
        self.env["BIFROST_LAKE"] = str(self.root)
        if server:
            name = f"resolution_{uuid.uuid4().hex}"
            with psycopg.connect(server, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")
            head, _, options = server.partition("?")
            self.url = f"{head.rsplit('/', 1)[0]}/{name}?{options}"
            self.env["BIFROST_DATABASE_URL"] = self.url
            self.drop = (server, name)
        root.chmod(0o755)
        for seed, program in enumerate(["dark", "bright"]):
            run("mock", "--out", root / "archive", "--tiles", 10, "--objects", 40, "--seed", seed,
                "--program", program, "--rrdetails", "small", "--no-resolution")
        self.bifrost("convert", root / "archive", "--group-rows", 16)
        foreign.write(self.root / "foreign", 7)
        self.bifrost("sync")
        if self.url is None:
            self.url = json.loads(self.bifrost("db", "status", "--json").stdout)["url"]
        self.duck = duckdb.connect()
        self.tables = {}
        for product, key in (("spectra", "*"), ("foreign", "*")):
            paths = sorted((self.root / product).rglob("*.parquet"))
            self.tables[product] = [self.load(i, product, path) for i, path in enumerate(paths)]

    def load(self, number, product, path):
        """A table of the file's scalar columns, types as in the file, and the columns' names."""
        name = f"{product}_{number}"
        described = self.duck.execute(f"DESCRIBE SELECT * FROM read_parquet('{path}')").fetchall()
        scalars = [c for c, kind, *_ in described if not kind.endswith("[]") and "STRUCT" not in kind]
        columns = ", ".join(f'"{c}"' for c in scalars)
        self.duck.execute(f"CREATE TABLE {name} AS SELECT {columns} FROM read_parquet('{path}')")
        fold = lambda n: "target_id" if n.lower() == "targetid" else n.lower()
        return name, str(path), {fold(c): c for c in scalars}

    def bifrost(self, *arguments, check=True):
        return run(*arguments, check=check, env=self.env)

    def brute(self, product, key, condition=None, cone=None, ids=None):
        """Rows by file that match, as DuckDB finds them."""
        selects = []
        for number, (name, _, names) in enumerate(self.tables[product]):
            tests = []
            if condition is not None:
                tests.append(condition.duck(names))
            if cone is not None:
                ra, dec = (f'"{names[c]}"' if c in names else "NULL::DOUBLE" for c in ("ra", "dec"))
                tests.append(questions.inside(cone, ra, dec))
            if ids is not None:
                tests.append(f'"{names["target_id"]}" IN ({", ".join(map(str, ids))})')
            columns = ", ".join(f'"{c}"' for c in key)
            selects.append(f"SELECT {number}, {columns} FROM {name} WHERE {' AND '.join(tests) or 'true'}")
        found = {}
        for number, *row in self.duck.execute(" UNION ALL ".join(selects)).fetchall():
            found.setdefault(self.tables[product][number][1], []).append(tuple(row))
        return found

    def close(self):
        if hasattr(self, "drop"):
            server, name = self.drop
            with psycopg.connect(server, autocommit=True) as connection:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        else:
            self.bifrost("db", "down")


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    lake = Lake(tmp_path_factory.mktemp("resolution"))
    yield lake
    lake.close()


@pytest.fixture(scope="module")
def ask(lake):
    """Asks the library, in one process for all questions."""
    process = subprocess.Popen([str(ASK), lake.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(**question):
        process.stdin.write(json.dumps(question) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    yield ask
    process.stdin.close()
    process.wait()


def columns_of(lake, product, rng):
    """Columns to ask about, with literals from the data."""

    def values(column, share=12):
        selects = [
            f'SELECT "{names[column]}" AS v FROM {name}'
            for name, _, names in lake.tables[product]
            if column in names
        ]
        rows = lake.duck.execute(f"SELECT DISTINCT v::VARCHAR FROM ({' UNION ALL '.join(selects)}) WHERE v IS NOT NULL").fetchall()
        return rng.sample([r[0] for r in rows], min(share, len(rows)))

    def column(name, kind, duck_type):
        if kind in ("float", "int"):
            seen = [float(v) if kind == "float" else int(float(v)) if "." in v else int(v) for v in values(name)]
            seen = [v for v in seen if v == v and abs(v) < 2**62]
            literals = questions.number_texts(rng, seen, kind) + ["0", "-1", "2.5", "1e30", "99999999999999999999"]
        elif kind == "text":
            literals = ["'" + v.replace("'", "''") + "'" for v in values(name)] + ["''", "'M'", "'zz'"]
        elif kind == "date":
            literals = [f"'{v}'" for v in values(name)] + ["'2021-05-31'"]
        else:
            literals = ["TRUE", "FALSE"]
        return Column(name, kind, literals, duck_type)

    common = [
        column("z", "float", "DOUBLE"),
        column("z", "float", "DOUBLE"),
        column("spectype", "text", "VARCHAR"),
        column("spectype", "text", "VARCHAR"),
        column("zwarn", "int", "BIGINT"),
        column("deltachi2", "float", "FLOAT"),
        column("target_id", "int", "BIGINT"),
        column("dec", "float", "DOUBLE"),
    ]
    if product == "foreign":
        return common + [
            column("good", "bool", "BOOLEAN"),
            column("fiber", "int", "UTINYINT"),
            column("night", "date", "DATE"),
        ]
    return common + [
        column("program", "text", "VARCHAR"),
        column("survey", "text", "VARCHAR"),
        column("healpix", "int", "INTEGER"),
        column("ebv", "float", "FLOAT"),
        column("flux_r", "float", "FLOAT"),
        column("has_emline", "bool", "BOOLEAN"),
        column("oiii_flux", "float", "FLOAT"),
        column("coadd_fiberstatus", "int", "INTEGER"),
    ]


KEYS = {"spectra": ["program", "healpix", "target_id"], "foreign": ["row_id"]}


def random_question(lake, product, columns, positions, ids, rng):
    shape = rng.random()
    condition = questions.tree(rng, columns, rng.choice([0, 1, 1, 2, 3])) if shape < 0.85 else None
    cone = questions.cone(rng, positions) if shape > 0.7 else None
    wanted = rng.sample(ids, rng.randint(1, 5)) if rng.random() < 0.1 else None
    return condition, cone, wanted


@pytest.mark.parametrize("product", ["spectra", "foreign"])
def test_no_file_is_missed_and_rows_are_duckdbs(lake, ask, product):
    rng = questions.seeded(11)
    columns = columns_of(lake, product, rng)
    everything = " UNION ALL ".join(
        f'SELECT "{names["target_id"]}", "{names["ra"]}"::DOUBLE, "{names["dec"]}"::DOUBLE FROM {name}'
        for name, _, names in lake.tables[product]
        if "ra" in names
    )
    rows = lake.duck.execute(everything).fetchall()
    ids = sorted({r[0] for r in rows if r[0] is not None})
    positions = sorted((r[1], r[2]) for r in rows if r[1] is not None and r[2] is not None)

    listed = holding = matched = empty = 0
    for number in range(QUESTIONS // 2):
        condition, cone, wanted = random_question(lake, product, columns, positions, ids, rng)
        text = condition and condition.ours()
        question = {
            "predicate": text,
            "cone": cone and ",".join(map(repr, cone)),
            "target_ids": wanted,
            "product": product,
            "columns": KEYS[product],
        }
        truth = lake.brute(product, KEYS[product], condition, cone, wanted)
        answer = ask(**question)
        assert "error" not in answer, f"{question}: {answer['error']}"
        files = {f["path"] for f in answer["resolution"]["files"]}
        assert set(truth) <= files, f"question {number} {question} misses {set(truth) - files}"
        found = sorted(tuple(row[k] for k in KEYS[product]) for row in answer["rows"])
        assert found == sorted(r for rows in truth.values() for r in rows), f"{number}: {question}"
        listed += len(files)
        holding += len(truth)
        matched += len(found)
        empty += not truth
    # the questions are worth asking, and the answers worth having
    total = QUESTIONS // 2 * len(lake.tables[product])
    assert matched > QUESTIONS and empty > QUESTIONS // 50
    assert holding <= listed < total
    print(f"{product}: {listed} of {total} files listed, {holding} held rows")
