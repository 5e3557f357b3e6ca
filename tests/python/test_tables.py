"""Tables of a user's own beside the registry: SQL of TARGETIDs resolves and reads as DuckDB's join does.

One lake for all: two programs over the same tiles, so that objects are in several files; a product
that is made of them row by row; files of another program, of which the catalog does not know the rows.
"""

import json
import random
from pathlib import Path

import duckdb
import foreign
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import library, new_place

pytestmark = pytest.mark.xdist_group("tables")

NOWHERE = [-1, 0, 2**63 - 1]
KEY = "target_id, program, healpix"


class Lake:
    def __init__(self, place):
        self.place = place
        archive = place.folder / "archive"
        for program in ("dark", "bright"):
            small = ["--rrdetails", "small", "--no-resolution", "--program", program]
            place.run("mock", "--out", archive, "--tiles", 5, "--objects", 40, "--seed", 3, *small)
        # the same objects, observed in another program; names of equal length fit into the FITS headers
        for path in list(archive.rglob("*-main-bright-10000.fits")):
            again = Path(str(path).replace("bright", "backup"))
            again.parent.mkdir(parents=True, exist_ok=True)
            again.write_bytes(path.read_bytes().replace(b"bright", b"backup"))
        place.run("convert", archive, "--group-rows", 16, "--no-verify")
        place.run("sync")
        place.run("stage", "run", "snr")
        foreign.write(place.lake / "foreign", 5)
        place.run("sync")
        self.duck = duckdb.connect()
        with psycopg.connect(place.database_url, autocommit=True) as ada:
            ada.execute("CREATE SCHEMA ada")
            ada.execute("CREATE TABLE ada.galaxies (targetid bigint, mass float8, small integer, name text)")
            known = [row[0] for row in self.rows("spectra", "DISTINCT target_id", "true ORDER BY 1")]
            dice = random.Random(8)
            some = dice.sample(known, len(known) // 2)
            # duplicates, NULLs, ids that are nowhere; in no order
            listed = some + some[:30] + [None] * 5 + NOWHERE
            dice.shuffle(listed)
            rows = [(target, dice.uniform(8, 12), number, str(target)) for number, target in enumerate(listed)]
            with ada.cursor() as cursor:
                cursor.executemany("INSERT INTO ada.galaxies VALUES (%s, %s, %s, %s)", rows)
        self.mine = {row[0]: row[1] for row in reversed(rows)}
        self.known = known

    def rows(self, product, columns, condition):
        files = f"read_parquet('{self.place.lake}/{product}/**/*.parquet', hive_partitioning = false, union_by_name = true)"
        return self.duck.execute(f"SELECT {columns} FROM {files} WHERE {condition}").fetchall()

    def wanted(self, sql):
        """What the user's SQL gives, each once."""
        return sorted({row[0] for row in self.place.sql(sql)} - {None})

    def truth(self, product, columns, sql, condition="true"):
        ids = ", ".join(map(str, self.wanted(sql))) or "NULL"
        return sorted(self.rows(product, columns, f"({condition}) AND target_id IN ({ids})"))

    def read(self, sql, *more, columns=KEY, code=0):
        """Rows that the program reads."""
        names = columns.replace(" ", "")
        ended = self.place.run("read", "--sql", sql, "--json", "--columns", names, *more, code=code)
        return sorted(tuple(json.loads(line).values()) for line in ended.stdout.splitlines())


@pytest.fixture(scope="module")
def lake():
    with new_place() as place:
        yield Lake(place)


ALL = "SELECT targetid FROM ada.galaxies"


def test_rows_are_those_of_a_join(lake):
    truth = lake.truth("spectra", KEY, ALL)
    assert len(truth) > 100 and len({row[0] for row in truth}) < len(truth), "some are in several programs"
    assert lake.read(ALL) == truth
    answer = lake.place.json("resolve", "--sql", ALL)
    assert sum(len(file["rows"]) for file in answer["files"]) == len(truth) == answer["pruned"]["rows_at_most"]
    # the rows are those very rows
    found = []
    for file in answer["files"]:
        table = pq.read_table(file["uri"], columns=["target_id", "program", "healpix"])
        assert file["rows"] == sorted(file["rows"]) and len(set(file["rows"])) == len(file["rows"])
        found += [tuple(row.values()) for row in table.take(file["rows"]).to_pylist()]
    assert sorted(found) == truth


@pytest.mark.parametrize(
    ("sql", "end"),
    [
        ("SELECT small + 39627000000000000 FROM ada.galaxies", ""),
        ("SELECT targetid FROM ada.galaxies WHERE mass > 11", " -- heavy ones;"),
        ("SELECT targetid FROM ada.galaxies WHERE mass > 11", "; -- heavy ones"),
        ("SELECT targetid FROM ada.galaxies WHERE mass > 11", " ; /* all; of ** them */ ;\n-- heavy; ones\n"),
        ("SELECT targetid FROM ada.galaxies WHERE mass > 11 AND name <> 'a; -- b'", ""),
        ("WITH heavy AS (SELECT * FROM ada.galaxies WHERE mass > 11) SELECT targetid FROM heavy ORDER BY mass LIMIT 9", ";"),
        ("SELECT o.target_id FROM objects o JOIN ada.galaxies g ON o.target_id = g.targetid WHERE o.spectype = 'QSO'", ""),
        ("TABLE ada.ids UNION ALL VALUES (1::bigint), (NULL)", ""),
        ("SELECT 7::smallint", ""),
    ],
)
def test_any_query_of_integers_will_do(lake, sql, end):
    with psycopg.connect(lake.place.database_url, autocommit=True) as ada:
        ada.execute("CREATE OR REPLACE VIEW ada.ids AS SELECT targetid FROM ada.galaxies WHERE mass > 11.5")
    truth = lake.truth("spectra", KEY, sql)
    assert lake.read(sql + end, code=0 if truth else 4) == truth


def test_it_goes_with_condition_cone_ids_and_product(lake):
    condition = "z > 0.5 AND zwarn = 0 AND program = 'dark'"
    assert lake.read(ALL, condition) == lake.truth("spectra", KEY, ALL, condition) != []
    ra, dec = lake.rows("spectra", "ra, dec", "has_position ORDER BY ra LIMIT 1")[0]
    around = f"sqrt(pow((ra - {ra}) * cos(radians({dec})), 2) + pow(dec - {dec}, 2)) < 0.3"
    assert lake.read(ALL, "--cone", f"{ra},{dec},0.3") == lake.truth("spectra", KEY, ALL, around) != []
    some = [target for target in lake.wanted(ALL) if target in lake.known][:3]
    others = [target for target in lake.known if target not in lake.mine][:3]
    ids = ",".join(map(str, some + others))
    assert lake.read(ALL, "--target-id", ids) == lake.truth("spectra", KEY, ALL, f"target_id IN ({ids})") != []
    # the rows of a product that was made of them are known too
    answer = lake.place.json("resolve", "--sql", ALL, "--product", "snr")
    assert answer["files"] and all(file["rows"] for file in answer["files"])
    columns = "target_id, program, good_pixels_r"
    assert lake.read(ALL, "--product", "snr", columns=columns) == lake.truth("snr", columns, ALL) != []


def test_files_that_the_catalog_does_not_know_are_read_by_the_objects(lake):
    ids = "SELECT DISTINCT 39627000000000000 + n * 3 FROM generate_series(0, 3000) n"
    some = [row[0] for row in lake.rows("foreign", "target_id", "target_id IS NOT NULL ORDER BY 1")]
    sql = f"{ids} UNION VALUES ({some[0]}), ({some[-1]}), ({some[len(some) // 2]})"
    truth = lake.truth("foreign", "row_id", sql)
    assert len(truth) >= 3
    assert lake.read(sql, "--product", "foreign", columns="row_id") == truth
    files = lake.place.json("resolve", "--sql", sql, "--product", "foreign")["files"]
    assert files and all("rows" not in file for file in files)
    listed = lake.place.sql("SELECT path, row_indexes FROM files_of_query(%s, 'foreign')", sql)
    assert {file["path"] for file in files} <= {path for path, _ in listed}
    assert all(rows is None for _, rows in listed)


def test_rows_that_are_known_and_objects_go_together(lake):
    """Where one file of a product is of another program, its rows are found by the objects."""
    [path] = (lake.place.lake / "spectra").rglob("iron-main-dark-10002_*.parquet")
    other = path.with_name(path.name.replace("dark", "other"))
    pq.write_table(pq.read_table(path), other)
    lake.place.run("sync")
    try:
        truth = lake.truth("spectra", KEY, ALL, "zwarn = 0")
        assert lake.read(ALL, "zwarn = 0") == truth != []
        kinds = {"rows" in file for file in lake.place.json("resolve", "--sql", ALL)["files"]}
        assert kinds == {True, False}
    finally:
        other.unlink()
        lake.place.run("sync")


def test_nothing_wanted_is_nothing_found(lake):
    for sql in (f"{ALL} WHERE false", "VALUES (-1), (0)", "SELECT NULL::bigint"):
        assert lake.read(sql, code=4) == []
        assert lake.place.json("resolve", "--sql", sql, code=4)["files"] == []
        assert lake.place.sql("SELECT * FROM files_of_query(%s)", sql) == []
        assert lake.place.sql("SELECT * FROM files_of_query(%s, 'foreign')", sql) == [] or "VALUES" in sql


def test_the_answer_is_as_of_then(lake):
    then = lake.place.json("log")["commits"][0]["commit"]
    before = lake.read(ALL)
    [path] = (lake.place.lake / "spectra").rglob("iron-main-dark-10001_*.parquet")
    kept = path.read_bytes()
    path.unlink()
    lake.place.run("sync")
    try:
        now = lake.read(ALL)
        assert now == lake.truth("spectra", KEY, ALL) and len(now) < len(before)
        told = lake.place.run("resolve", "--sql", ALL, "--as-of", then)
        assert path.name in told.stdout
        lost = lake.place.run("read", "--sql", ALL, "--as-of", then, code=1)
        assert path.name in lost.stderr
    finally:
        path.write_bytes(kept)
        lake.place.run("sync")
    assert lake.read(ALL) == before
    assert lake.read(ALL, "--as-of", "now") == before


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT mass FROM ada.galaxies", "double precision"),
        ("SELECT name FROM ada.galaxies", "text"),
        ("SELECT targetid::numeric FROM ada.galaxies", "numeric"),
        ("SELECT targetid, mass FROM ada.galaxies", "only one column"),
        ("SELECT targetid FROM ada.galaxy", 'relation "ada.galaxy" does not exist'),
        ("SELECT targetid FRO ada.galaxies", "syntax error"),
        ("SELECT targetid / (small - small) FROM ada.galaxies", "division by zero"),
        ("", "one query"),
        ("SELECT 1; SELECT 2", "one query"),
        ("SELECT 1; DROP TABLE ada.galaxies", "one query"),
        ("SELECT 1) AS x; DROP TABLE ada.galaxies; SELECT * FROM (SELECT 2", "syntax error"),
        ("DELETE FROM ada.galaxies RETURNING targetid", "DELETE"),
        ("INSERT INTO ada.galaxies (targetid) VALUES (1) RETURNING targetid", "INSERT"),
        ("WITH gone AS (DELETE FROM ada.galaxies RETURNING targetid) SELECT targetid FROM gone", "only reads"),
        ("SELECT targetid FROM ada.galaxies FOR UPDATE", "SELECT FOR UPDATE"),
        ("SELECT setval('commits_commit_id_seq', 1)", "read-only"),
        ("SELECT ada.meddle()", "read-only"),
    ],
)
def test_what_cannot_be_meant_or_would_write_is_refused(lake, sql, says):
    with psycopg.connect(lake.place.database_url, autocommit=True) as ada:
        ada.execute(
            "CREATE OR REPLACE FUNCTION ada.meddle() RETURNS bigint LANGUAGE sql"
            " AS 'DELETE FROM ada.galaxies RETURNING targetid'"
        )
    before = lake.place.sql("SELECT count(*), sum(targetid) FROM ada.galaxies")
    for command in ("resolve", "read"):
        ended = lake.place.run(command, "--sql", sql, code=2)
        assert says in ended.stderr and ended.stdout == "", ended.stderr
    assert lake.place.sql("SELECT count(*), sum(targetid) FROM ada.galaxies") == before


def test_a_snapshot_does_not_hang_on_a_table_that_may_change(lake):
    ended = lake.place.run("resolve", "--sql", ALL, "--save", lake.place.folder / "s.json", code=2)
    assert "SQL" in ended.stderr and not (lake.place.folder / "s.json").exists()


def test_a_program_that_was_answered_holds_nobodys_tables(lake):
    """Though it waits for its next question, and nothing of it has a turn."""
    with library(lake.place.database_url) as ask, psycopg.connect(lake.place.database_url) as ada:
        ada.execute("SET lock_timeout = '5s'")
        for question in ({}, {"predicate": "z > 1 AND nonsense > 1"}, {"columns": ["target_id", "good_pixels_r"]}):
            ask(sql=ALL, **question)
            ada.execute("LOCK TABLE ada.galaxies IN ACCESS EXCLUSIVE MODE")
            ada.rollback()


def test_functions_for_psql_give_files_and_rows(lake):
    ids = lake.wanted(ALL)
    truth = lake.truth("spectra", KEY, ALL)
    by_query = lake.place.sql("SELECT * FROM files_of_query(%s) ORDER BY path", ALL)
    by_ids = lake.place.sql("SELECT * FROM files_of_targets(%s) ORDER BY path", ids + ids[:9] + [None])
    assert by_query == by_ids
    found = []
    for _, node, path, uris, num_rows, rows_wanted, rows in by_query:
        table = pq.read_table(path, columns=["target_id", "program", "healpix"])
        assert (table.num_rows, rows_wanted, uris) == (num_rows, len(rows), []) and node
        found += [tuple(row.values()) for row in table.take(rows).to_pylist()]
    assert sorted(found) == truth
    answer = lake.place.json("resolve", "--sql", ALL)
    assert [(f["file_id"], f["rows"]) for f in answer["files"]] == [(row[0], sorted(row[6])) for row in by_query]
    lake.place.run("sync", "--uri-prefix", "http://example/,/mnt/a")
    [(uris, path)] = lake.place.sql("SELECT uris, path FROM files_of_targets(%s) LIMIT 1", ids)
    assert uris == [f"http://example{path}", f"/mnt/a{path}"]


def test_a_table_joins_with_objects_and_files(lake):
    joined = lake.place.sql(
        "SELECT o.target_id, o.program, o.healpix, o.path, o.row_index, g.mass FROM ada.galaxies g"
        " JOIN objects o ON o.target_id = g.targetid WHERE g.mass > 10"
    )
    sql = f"{ALL} WHERE mass > 10"
    assert sorted({row[:3] for row in joined}) == lake.truth("spectra", KEY, sql) != []
    for target, program, _, path, row, _ in random.Random(1).sample(joined, 20):
        assert Path(path).name.startswith(f"iron-main-{program}")
        assert pq.read_table(path, columns=["target_id"])["target_id"][row].as_py() == target


def test_a_reader_asks_with_its_own_rights(lake):
    """Who may see the registry may use the functions, and sees of others' tables what is granted."""
    role = f"reader_{random.getrandbits(64):x}"
    url = lake.place.database_url
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {role} IN ROLE bifrost_reader")
        owner.execute("GRANT USAGE ON SCHEMA ada TO PUBLIC")
        owner.execute("REVOKE ALL ON ada.galaxies FROM bifrost_reader")
    try:
        with psycopg.connect(url, options=f"-c role={role}", autocommit=True) as reader:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute("SELECT * FROM files_of_query(%s)", (ALL,))
            as_reader = url + ("&" if "?" in url else "?") + f"options=-c%20role%3D{role}"
            ask = ("--database-url", as_reader, "resolve", "--sql", ALL)
            assert "permission denied for table galaxies" in lake.place.run(*ask, code=2).stderr
            with psycopg.connect(url, autocommit=True) as owner:
                owner.execute("GRANT SELECT ON ada.galaxies TO PUBLIC")
            assert reader.execute("SELECT count(*) FROM files_of_query(%s)", (ALL,)).fetchone()[0] > 0
            lake.place.run(*ask)
    finally:
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute("REVOKE ALL ON ada.galaxies FROM PUBLIC")
            owner.execute(f"DROP ROLE {role}")
