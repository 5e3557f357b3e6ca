"""Whatever Parquet files there are in the world: each is registered as it is, or set aside with its
reason; none makes the program fall over, and none spoils its neighbours."""

import re
from concurrent.futures import ThreadPoolExecutor

import corpora
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import new_place
from corpus import LISTED, READ, REFUSED

# words of a program that fell over; the decoder's own word for a wrong index is none
FALLEN = re.compile(r"fault|panic|backtrace|index out of bounds|with overflow|unwrap|assertion|unreachable|\.rs:\d", re.I)

# one lake for all of them: one process
pytestmark = pytest.mark.xdist_group("corpora")


@pytest.fixture(scope="module")
def lake():
    with new_place() as place:
        place.cases = corpora.write(place.lake)
        place.report = place.json("sync", "--no-datasheet", code=3)
        live = "SELECT split_part(path, '/', 1), num_rows FROM file_registry WHERE state = 'live'"
        place.rows = dict(place.sql(live))
        yield place


def file_of(lake, case):
    return lake.lake / case.name / "file.parquet"


def of_fate(lake, *fates):
    return [case for case in lake.cases if case.fate in fates]


def test_each_is_registered_or_set_aside_with_its_reason(lake):
    reasons = {q["path"].split("/")[0]: q["reason"] for q in lake.report["quarantined"]}
    wanted = {case.name: case.words for case in of_fate(lake, REFUSED)}
    assert reasons.keys() == wanted.keys()
    for name, words in wanted.items():
        assert words in reasons[name], f"{name}: {reasons[name]}"
        assert not FALLEN.search(reasons[name]), f"{name}: {reasons[name]}"
        assert re.search("again|move it|decrypt", reasons[name]), f"{name} does not say what to do: {reasons[name]}"
    assert lake.rows.keys() == {case.name for case in of_fate(lake, READ, LISTED)}


def test_rows_and_columns_are_those_that_pyarrow_sees(lake):
    rows = lake.sql("""
        SELECT split_part(path, '/', 1), num_rows, array(SELECT c->>'name' FROM jsonb_array_elements(columns) c)
        FROM file_registry JOIN file_schemas USING (schema_id) WHERE state = 'live'""")
    known = {name: (count, columns) for name, count, columns in rows}
    compared = 0
    for case in of_fate(lake, READ, LISTED):
        try:
            found = pq.ParquetFile(file_of(lake, case))
        except (pa.ArrowException, OSError, UnicodeDecodeError):
            continue  # what it does not open has no columns to compare
        names = [name.replace("\0", "\ufffd") for name in found.schema_arrow.names]
        assert known[case.name] == (found.metadata.num_rows, names), case.name
        compared += 1
    assert compared > 100


def test_bounds_enclose_the_values(lake):
    """Of every column that has bounds, in every file that DuckDB reads; NaN is no value."""
    rows = lake.sql("""
        SELECT split_part(f.path, '/', 1), c->>'name', c->>'kind', b.int_min[(c->>'slot')::int], b.int_max[(c->>'slot')::int],
               b.float_min[(c->>'slot')::int], b.float_max[(c->>'slot')::int],
               b.text_min[(c->>'slot')::int], b.text_max[(c->>'slot')::int], b.null_count[(c->>'position')::int]
        FROM file_registry f JOIN file_bounds b USING (file_id) JOIN file_schemas s USING (schema_id),
             jsonb_array_elements(s.columns) c
        WHERE c ? 'slot' AND f.state = 'live'""")
    bounds = {}
    for name, *column in rows:
        bounds.setdefault(name, []).append(column)
    duck, enclosed = duckdb.connect(), 0
    for case in of_fate(lake, READ):
        # wrong bounds are their writer's word: every reader believes them
        if case.judge != "duckdb" or case.name not in bounds:
            continue
        asked = []
        for name, kind, *_ in bounds[case.name]:
            column = '"' + name.replace('"', '""') + '"'
            value = column if kind == "text" else f"{column}::DOUBLE" if kind == "float" else f"{column}::HUGEINT"
            some = f"FILTER (NOT isnan({value}))" if kind == "float" else ""
            asked.append(f"min({value}) {some}, max({value}) {some}, count(*) - count({column})")
        found = duck.execute(f"SELECT {', '.join(asked)} FROM '{file_of(lake, case)}'").fetchone()
        for at, (name, kind, *ends, nulls) in enumerate(bounds[case.name]):
            low, high = ends[dict(int=0, bool=0, float=2, text=4)[kind] :][:2]
            least, greatest, missing = found[3 * at : 3 * at + 3]
            as_ = (lambda text: text.encode()) if kind == "text" else (lambda number: number)
            if least is not None:
                assert low is None or as_(low) <= as_(least), (case.name, name)
                assert high is None or as_(high) >= as_(greatest), (case.name, name)
                enclosed += low is not None and high is not None
            assert nulls in (None, missing), (case.name, name)
    assert enclosed > 3000


def read(lake, case):
    """The rows of a product in a file, or nothing where there are none."""
    target = lake.folder / f"{case.name}.parquet"
    code = 0 if case.fate == READ else 2 if "two columns" in case.words else 1
    is_empty = lake.rows[case.name] == 0
    ended = lake.run("read", "--product", case.name, "-o", target, "--format", "parquet", code=4 if is_empty else code)
    return None if is_empty else target, ended.stderr


def rows_of(path, judge):
    """The rows, in an order of their own."""
    if judge == "duckdb":
        texts = f"SELECT COLUMNS(*)::VARCHAR FROM read_parquet('{path}', hive_partitioning = false)"
        return sorted(map(repr, duckdb.sql(texts).fetchall()))
    columns = [column.to_pylist() for column in pq.ParquetFile(path).read().columns]
    return sorted(map(repr, zip(*columns)))


def test_what_is_registered_is_read_as_others_read_it_or_not_at_all(lake):
    cases = of_fate(lake, READ, LISTED)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda case: read(lake, case), cases))
    compared = 0
    for case, (target, said) in zip(cases, results):
        said = said.replace("dictionary index out of bounds", "")
        assert not FALLEN.search(said), f"{case.name}: {said}"
        if case.fate == LISTED:
            assert str(file_of(lake, case)) in said and case.words in said, f"{case.name}: {said}"
        elif target is not None and case.judge != "none":
            assert rows_of(target, case.judge) == rows_of(file_of(lake, case), case.judge), case.name
            compared += 1
    assert compared > 90


def test_questions_are_answered_as_duckdb_answers_them(lake):
    """Resolution prunes by what the footers say: nothing that DuckDB finds may be missed."""
    names = ["page_index", "by_polars", "by_duckdb_version_2", "by_fastparquet_groups", "groups_2000", "dictionary_10_20"]
    questions = ["n >= 290", "n < 3", "name = 'object 3'", "x > 0.99", "x IS NULL AND n > 7"]
    asked = 0
    for case in (case for case in lake.cases if case.name in names):
        columns = duckdb.sql(f"SELECT * FROM '{file_of(lake, case)}'").columns
        for question in questions:
            if not set(re.findall(r"\b(n|x|name)\b", question)) <= set(columns):
                continue
            wanted = sorted(duckdb.sql(f"SELECT n FROM '{file_of(lake, case)}' WHERE {question}").fetchall())
            ended = lake.run("read", question, "--product", case.name, "--columns", "n", "--format", "csv", code=0 if wanted else 4)
            assert sorted((int(n),) for n in ended.stdout.split()[1:]) == wanted, (case.name, question)
            asked += 1
    assert asked > 20


def test_another_sync_opens_nothing(lake):
    assert lake.json("sync", "--no-datasheet")["files_opened"] == 0
