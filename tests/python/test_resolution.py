"""Resolution and reading against DuckDB's brute force, on random questions.

Two products: `spectra`, made by `bifrost mock` and `bifrost convert`, and `foreign`, files that
other programs wrote. For each question the resolved list must contain every file in which DuckDB
finds a row, and reading must return exactly DuckDB's rows.

BIFROST_BIN names the program; `ask`, built from the library's examples, lies beside it.
BIFROST_SOAK=1 asks 2,000 questions instead of 200 whose rows are read, and 100,000 instead of 1,000
that are only resolved.
"""

import json
import os

import duckdb
import foreign
import pytest
import questions
from conftest import library, new_place
from questions import Column

QUESTIONS = 2000 if os.environ.get("BIFROST_SOAK") else 200
MANY_QUESTIONS = 100_000 if os.environ.get("BIFROST_SOAK") else 1000
KEYS = {"spectra": ["program", "healpix", "target_id"], "foreign": ["row_id"]}

# one lake for all of them: one process
pytestmark = pytest.mark.xdist_group("resolution")


def fold(name):
    return "target_id" if name.lower() == "targetid" else name.lower()


def sql_name(columns, name):
    return f'"{columns[name][0]}"' if name in columns else "NULL::DOUBLE"


class Lake:
    """A synced lake, its registry, and its files as DuckDB tables."""

    def __init__(self, place):
        self.place = place
        archive = place.folder / "archive"
        for seed, program in enumerate(["dark", "bright"]):
            small = ["--rrdetails", "small", "--no-resolution"]
            tiles = ["--tiles", 10, "--objects", 40, "--seed", seed, "--program", program]
            place.run("mock", "--out", archive, *tiles, *small)
        place.run("convert", archive, "--group-rows", 16)
        foreign.write(place.lake / "foreign", 7)
        place.run("sync")
        self.duck = duckdb.connect()
        self.files, self.tables = {}, {}
        for product in KEYS:
            self.files[product] = [str(path) for path in sorted((place.lake / product).rglob("*.parquet"))]
            self.tables[product] = self.load(product)

    def load(self, product):
        """A table of scalar columns for each schema that the files have, types as in the files, with
        the number of each row's file; and what its columns are called."""
        alike = {}
        for number, path in enumerate(self.files[product]):
            described = self.duck.execute(f"DESCRIBE SELECT * FROM read_parquet('{path}')").fetchall()
            scalars = tuple((c, kind) for c, kind, *_ in described if kind[-1] != "]" and "STRUCT" not in kind)
            alike.setdefault(scalars, []).append(number)
        tables = []
        for scalars, numbers in alike.items():
            name = f"{product}_{len(tables)}"
            columns = ", ".join(f'"{c}"' for c, _ in scalars)
            parts = [f"SELECT {n} AS file, {columns} FROM read_parquet('{self.files[product][n]}')" for n in numbers]
            self.duck.execute(f"CREATE TABLE {name} AS {' UNION ALL '.join(parts)}")
            tables.append((name, {fold(c): (c, kind) for c, kind in scalars}))
        return tables

    def brute(self, product, key, condition=None, cone=None, ids=None):
        """Rows by file that match, as DuckDB finds them."""
        selects = []
        for name, known in self.tables[product]:
            tests = []
            if condition is not None:
                tests.append(f"({condition.duck(known)})")
            if cone is not None:
                tests.append(questions.inside(cone, *(sql_name(known, c) for c in ("ra", "dec"))))
            if ids is not None:
                tests.append(f'{sql_name(known, "target_id")} IN ({", ".join(map(str, ids))})')
            columns = "".join(f', "{c}"' for c in key)
            what = f"file{columns}" if key else "DISTINCT file"
            selects.append(f"SELECT {what} FROM {name} WHERE {' AND '.join(tests) or 'true'}")
        found = {}
        for number, *row in self.duck.execute(" UNION ALL ".join(selects)).fetchall():
            found.setdefault(self.files[product][number], []).append(tuple(row))
        return found


@pytest.fixture(scope="module")
def lake():
    with new_place() as place:
        yield Lake(place)


@pytest.fixture(scope="module")
def ask(lake):
    with library(lake.place.database_url) as ask:
        yield ask


def columns_of(lake, product, rng):
    """Columns to ask about, with literals from the data."""

    def values(column):
        selects = [
            f"SELECT {sql_name(known, column)}::VARCHAR AS v FROM {name}"
            for name, known in lake.tables[product]
            if column in known
        ]
        union = " UNION ".join(selects)
        rows = lake.duck.execute(f"SELECT v FROM ({union}) WHERE v IS NOT NULL ORDER BY v").fetchall()
        return rng.sample([r[0] for r in rows], min(12, len(rows)))

    def column(name, kind, duck_type):
        seen = values(name)
        if kind in ("int", "float"):
            numbers = [int(float(v)) if "." in v else int(v) for v in seen] if kind == "int" else [float(v) for v in seen]
            numbers = [v for v in numbers if v == v and abs(v) < 2**62]
            literals = questions.number_texts(rng, numbers, kind)
            literals += ["0", "-1", "2.5", "1e30", "99999999999999999999"]
        elif kind == "text":
            literals = ["'" + v.replace("'", "''") + "'" for v in seen] + ["''", "'M'", "'zz'"]
        elif kind == "date":
            literals = [f"'{v}'" for v in seen] + ["'2021-05-31'"]
        else:
            literals = ["TRUE", "FALSE"]
        return Column(name, kind, literals, duck_type)

    common = [
        ("z", "float", "DOUBLE"),
        ("z", "float", "DOUBLE"),
        ("spectype", "text", "VARCHAR"),
        ("spectype", "text", "VARCHAR"),
        ("zwarn", "int", "BIGINT"),
        ("deltachi2", "float", "FLOAT"),
        ("target_id", "int", "BIGINT"),
        ("dec", "float", "DOUBLE"),
    ]
    others = {
        "foreign": [
            ("good", "bool", "BOOLEAN"),
            ("fiber", "int", "UTINYINT"),
            ("night", "date", "DATE"),
        ],
        "spectra": [
            ("program", "text", "VARCHAR"),
            ("survey", "text", "VARCHAR"),
            ("healpix", "int", "INTEGER"),
            ("ebv", "float", "FLOAT"),
            ("flux_r", "float", "FLOAT"),
            ("has_emline", "bool", "BOOLEAN"),
            ("oiii_flux", "float", "FLOAT"),
            ("coadd_fiberstatus", "int", "INTEGER"),
        ],
    }
    return [column(*c) for c in common + others[product]]


def random_question(columns, positions, ids, rng):
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
        f"SELECT {sql_name(known, 'target_id')}, {sql_name(known, 'ra')}::DOUBLE, {sql_name(known, 'dec')}::DOUBLE FROM {name}"
        for name, known in lake.tables[product]
    )
    rows = lake.duck.execute(everything).fetchall()
    ids = sorted({r[0] for r in rows if r[0] is not None})
    positions = sorted((r[1], r[2]) for r in rows if r[1] is not None and r[2] is not None)

    listed = holding = matched = empty = 0
    for number in range(QUESTIONS // 2):
        condition, cone, wanted = random_question(columns, positions, ids, rng)
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
    total = QUESTIONS // 2 * len(lake.files[product])
    assert matched > QUESTIONS and empty > QUESTIONS // 50
    assert holding <= listed < total
    print(f"{product}: {listed} of {total} files listed, {holding} held rows")


@pytest.mark.parametrize("product", ["spectra", "foreign"])
def test_no_file_is_missed_by_any_of_many_questions(lake, ask, product):
    """Only resolved, so that they can be many; every sixth cone lies on a pole or on RA = 0."""
    rng = questions.seeded(12)
    columns = columns_of(lake, product, rng)
    selects = [
        f"SELECT {sql_name(known, 'target_id')}, {sql_name(known, 'ra')}::DOUBLE, {sql_name(known, 'dec')}::DOUBLE FROM {name}"
        for name, known in lake.tables[product]
    ]
    rows = lake.duck.execute(" UNION ALL ".join(selects)).fetchall()
    ids = sorted({r[0] for r in rows if r[0] is not None})
    positions = sorted((r[1], r[2]) for r in rows if r[1] is not None and r[2] is not None)
    listed = holding = 0
    for number in range(MANY_QUESTIONS // 2):
        condition, cone, wanted = random_question(columns, positions, ids, rng)
        question = {
            "predicate": condition and condition.ours(),
            "cone": cone and ",".join(map(repr, cone)),
            "target_ids": wanted,
            "product": product,
            "detail": "files",
        }
        truth = lake.brute(product, [], condition, cone, wanted)
        answer = ask(**question)
        assert "error" not in answer, f"{question}: {answer['error']}"
        files = {f["path"] for f in answer["resolution"]["files"]}
        assert set(truth) <= files, f"question {number} {question} misses {set(truth) - files}"
        listed += len(files)
        holding += len(truth)
    assert MANY_QUESTIONS < holding <= listed < MANY_QUESTIONS // 2 * len(lake.files[product])


def spectra(lake):
    """All rows and columns of `spectra`, in DuckDB, with their NaN where they are."""
    return f"read_parquet('{lake.place.lake}/spectra/**/*.parquet', hive_partitioning = false)"


@pytest.mark.parametrize("form", ["parquet", "json", "csv"])
def test_the_program_delivers_whole_rows(lake, form):
    """Spectra included, through the command line, in every format."""
    condition = "z > 1 AND spectype = 'QSO' AND zwarn = 0"
    target = lake.place.folder / f"found.{form}"
    lake.place.run("read", condition, "--format", form, "-o", target)
    truth = f"SELECT * FROM {spectra(lake)} WHERE {condition}"
    if form == "parquet":
        found = f"SELECT * FROM read_parquet('{target}')"
        # IEEE: infinities stay, NaN is in no array
        for one, other in ((found, truth), (truth, found)):
            assert lake.duck.execute(f"SELECT count(*) FROM ({one} EXCEPT ALL {other})").fetchall() == [(0,)]
        assert lake.duck.execute(f"SELECT count(*) FROM ({found})").fetchall()[0][0] > 10
        return
    columns = "target_id, program, z, flux_r, len(flux) AS n, list_sum(flux)::FLOAT AS total"
    if form == "json":
        found = f"SELECT {columns} FROM read_json('{target}', format = 'newline_delimited')"
    else:
        found = f"SELECT {columns} FROM (SELECT * REPLACE (flux::FLOAT[] AS flux) FROM read_csv('{target}', header = true, all_varchar = true))"
    rows = lake.duck.execute(f"SELECT * FROM ({found}) ORDER BY 2, 1").fetchall()
    wanted = lake.duck.execute(f"SELECT * FROM (SELECT {columns} FROM ({truth})) ORDER BY 2, 1").fetchall()
    assert [tuple(map(str, row[:2])) for row in rows] == [tuple(map(str, row[:2])) for row in wanted]
    for row, want in zip(rows, wanted, strict=True):
        assert [float(v) for v in row[2:]] == pytest.approx([float(v) for v in want[2:]], rel=1e-6)


def test_the_program_agrees_with_the_library(lake, ask):
    rng = questions.seeded(3)
    for product in KEYS:
        columns = columns_of(lake, product, rng)
        for _ in range(6):
            text = questions.tree(rng, columns, 2).ours()
            answer = ask(predicate=text, product=product)["resolution"]
            code = 0 if answer["files"] else 4
            ended = lake.place.run("resolve", "--json", "--product", product, "--", text, code=code)
            assert json.loads(ended.stdout) == answer


def test_psql_answers_the_same_question(lake):
    """The examples of the README, with the program's own answers beside them."""
    sql, run = lake.place.sql, lake.place.json
    ra, dec = sql("SELECT ra, dec FROM objects WHERE spectype = 'QSO' ORDER BY target_id LIMIT 1")[0]

    listed = {r[0] for r in sql("SELECT path FROM files_with(z => '[2.5,)', spectype => '{QSO}', zwarn => '[0,0]')")}
    resolved = run("resolve", "z >= 2.5 AND spectype = 'QSO' AND zwarn = 0")
    assert {f["path"] for f in resolved["files"]} <= listed < {r[0] for r in sql("SELECT path FROM files")}

    cone = f"{ra},{dec},0.3"
    resolved = {f["path"] for f in run("resolve", "--cone", cone)["files"]}
    listed = {r[0] for r in sql("SELECT path FROM files_in_cone(%s, %s, 0.3)", ra, dec)}
    assert resolved <= listed

    objects = sql("SELECT target_id, program, path FROM objects_in_cone(%s, %s, 0.3)", ra, dec)
    rows = lake.place.run("read", "--cone", cone, "--json", "--columns", "target_id,program").stdout
    rows = [json.loads(line) for line in rows.splitlines()]
    assert sorted(o[:2] for o in objects) == sorted((r["target_id"], r["program"]) for r in rows)
    assert {o[2] for o in objects} <= listed

    dusty = lake.duck.execute(f"SELECT quantile_disc(ebv, 0.98) FROM {spectra(lake)}").fetchall()[0][0]
    groups = sql(
        "SELECT path, row_group FROM column_bounds"
        " WHERE column_name = 'ebv' AND float_max >= %s AND row_group IS NOT NULL AND product = 'spectra'",
        dusty,
    )
    resolved = run("resolve", f"ebv >= {dusty:e}")["files"]
    assert 0 < len(resolved) < 20
    assert {(f["path"], g) for f in resolved for g in f["row_groups"]} == set(groups)
    total = sql("SELECT sum(num_rows) FROM row_groups WHERE product = 'spectra'")[0][0]
    assert total == lake.duck.execute(f"SELECT count(*) FROM {spectra(lake)}").fetchall()[0][0]


def test_psql_functions_miss_no_file(lake):
    rng = questions.seeded(5)
    positions = lake.place.sql("SELECT ra, dec FROM objects WHERE ra IS NOT NULL ORDER BY target_id")
    for _ in range(QUESTIONS // 4):
        cone = questions.cone(rng, positions)
        listed = {r[0] for r in lake.place.sql("SELECT path FROM files_in_cone(%s, %s, %s)", *cone)}
        assert set(lake.brute("spectra", ["target_id"], cone=cone)) <= listed
        starts = rng.sample(range(-9, 12 * 2**58), 3)
        parts = [f"[{start},{start + rng.choice([1, 2**40, 2**50, 2**57])})" for start in starts]
        for sky in (parts, ["(,5)", *parts], [*parts, f"[{2**61},)"]):
            sky = "{" + ",".join(sky) + "}"
            each = "SELECT path FROM files WHERE product = 'spectra' AND (sky && %s::int8multirange OR sky IS NULL)"
            found = lake.place.sql("SELECT path FROM files_on_sky(%s)", sky)
            assert sorted(found) == sorted(lake.place.sql(each, sky)), sky
        first = round(rng.uniform(-0.1, 3), 2)
        last = round(first + rng.choice([0.01, 0.3, 5]), 2)
        classes = rng.sample(["GALAXY", "QSO", "STAR"], rng.randint(1, 2))
        zwarn = rng.choice(["[0,0]", "[1,)", None])
        listed = lake.place.sql(
            "SELECT path FROM files_with(z => numrange(%s::numeric, %s::numeric, '[]'), spectype => %s, zwarn => %s)",
            first, last, classes, zwarn,
        )  # fmt: skip
        text = f"z BETWEEN {first} AND {last} AND spectype IN ({', '.join(repr(c) for c in classes)})"
        text += {"[0,0]": " AND zwarn = 0", "[1,)": " AND zwarn >= 1", None: ""}[zwarn]
        truth = lake.duck.execute(f"SELECT DISTINCT filename FROM {spectra(lake)[:-1]}, filename = true) WHERE {text}")
        assert {r[0] for r in truth.fetchall()} <= {r[0] for r in listed}, text
