"""Bounds of row groups: packed by `bifrost sync`, by the migration that packs those of older registries,
and read by questions and at the psql prompt, they are what pyarrow finds in the footers."""

import struct

import duckdb
import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from older import older

ROWS, GROUP = 600, 50
FILES = {
    "plain.parquet": dict(row_group_size=GROUP),
    "uneven.parquet": dict(row_group_size=77),
    "one.parquet": dict(row_group_size=ROWS),
    "partly.parquet": dict(row_group_size=200, write_statistics=["deep", "word", "single"]),
}
I64 = np.iinfo(np.int64)
ODD = [0.0, -0.0, 5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, -1.7976931348623157e308, 1 / 3,
       np.inf, -np.inf, 1e-310, 123456789.123]


def table():
    """Every kind of column; each group of fifty rows has ends of another kind."""
    rng = np.random.default_rng(5)
    deep = rng.normal(0, 1, ROWS) * 10.0 ** rng.integers(-300, 300, ROWS)
    numbers = rng.integers(-(2**62), 2**62, ROWS)
    for group, odd in enumerate(ODD):
        deep[GROUP * group : GROUP * (group + 1)] = [odd] * GROUP
    deep[:GROUP] = rng.normal(0, 1, GROUP)
    numbers[3], numbers[GROUP + 4] = I64.min, I64.max
    words = [f"w{rng.integers(100)}" for _ in range(ROWS)]
    words[70], words[130], words[190] = "Ä" * 90, "a\0b", ""
    return pa.table({
        "number": numbers,
        "deep": deep,
        "sparse": pa.array(rng.integers(0, 9, ROWS), mask=np.arange(ROWS) // GROUP % 3 == 0),
        "single": rng.normal(0, 9, ROWS).astype(np.float32),
        "nan": np.where(np.arange(ROWS) % 7 == 0, np.nan, rng.normal(0, 1, ROWS)),
        "flag": np.arange(ROWS) // GROUP % 2 == 0,
        "word": words,
        "unsigned": rng.integers(0, 2**64, ROWS, dtype=np.uint64),
        "list": pa.array([[1]] * ROWS),
        "void": pa.nulls(ROWS, pa.string()),
    })


@pytest.fixture
def lake(place):
    folder = place.lake / "foreign"
    folder.mkdir(parents=True)
    for name, how in FILES.items():
        pq.write_table(table(), folder / name, **how)
    place.run("sync", "--no-datasheet")
    return place


def unpacked(packed, columns):
    """Rows of each group, and by column what is known: NULLs, least, greatest, whether both are values."""
    count = struct.unpack_from(">i", packed)[0]
    ends = struct.unpack_from(f">{len(columns) + 2}i", packed, 4)
    assert ends[-1] == len(packed) and ends[0] == 4 * (len(columns) + 3)
    blocks = [packed[a:b] for a, b in zip(ends, ends[1:])]
    rows = list(struct.unpack(f">{count}q", blocks[0]))
    found = {}
    for (name, kind), block in zip(columns, blocks[1:]):
        groups, at = [], 0
        for _ in range(count):
            nulls = struct.unpack_from(">i", block, at)[0]
            at += 4
            exact = None
            if kind == "text":
                exact, at, texts = bool(block[at]), at + 1, []
                for _ in range(2):
                    length = struct.unpack_from(">i", block, at)[0]
                    texts.append(block[at + 4 : at + 4 + length].decode() if length >= 0 else None)
                    at += 4 + max(length, 0)
                low, high = texts
            else:
                low, high = struct.unpack_from(">dd" if kind == "float" else ">qq", block, at)
                at += 16
                unknown = (np.nan, np.nan) if kind == "float" else (I64.max, I64.min)
                low, high = (None if e == u or e != e else e for e, u in zip((low, high), unknown))
            groups.append((None if nulls < 0 else nulls, low, high, exact))
        assert at == len(block), name
        found[name] = groups
    return rows, found


def everything(lake):
    """By file: its number, and what is packed of its row groups."""
    files = lake.sql("""
        SELECT f.path, f.file_id, b.row_groups, array_agg(c->>'name' ORDER BY (c->>'position')::int),
               array_agg(c->>'kind' ORDER BY (c->>'position')::int), array_agg((c->>'slot')::int ORDER BY (c->>'position')::int)
        FROM file_registry f JOIN file_bounds b USING (file_id) JOIN file_schemas s USING (schema_id),
             jsonb_array_elements(s.columns) c
        WHERE c ? 'position' GROUP BY f.path, f.file_id, b.row_groups""")
    return {path.split("/")[-1]: (file, bytes(packed) if packed else None, list(zip(names, kinds)), slots)
            for path, file, packed, names, kinds, slots in files}


def same(one, other):
    """Equal, to the sign of zero."""
    return one == other and (not isinstance(one, float) or np.signbit(one) == np.signbit(other))


def test_bounds_of_row_groups_are_those_of_the_footers(lake):
    files = everything(lake)
    assert files["one.parquet"][1] is None
    compared = 0
    for name, (_, packed, columns, _) in files.items():
        if packed is None:
            continue
        footer = pq.read_metadata(lake.lake / "foreign" / name)
        rows, found = unpacked(packed, columns)
        assert rows == [footer.row_group(g).num_rows for g in range(footer.num_row_groups)]
        shown = lake.sql(
            "SELECT column_name, row_group, num_rows, null_count, int_min, int_max, float_min, float_max, text_min, text_max"
            " FROM column_bounds WHERE path LIKE '%%/' || %s AND row_group IS NOT NULL", name)
        # arrays are shown too, with nothing known of them
        assert len(shown) == len(rows) * (len(columns) + 1)
        shown = {(column, group): rest for column, group, *rest in shown}
        kinds = dict(columns)
        for column, kind in kinds.items():
            for group, (nulls, low, high, exact) in enumerate(found[column]):
                chunks = footer.row_group(group)
                [chunk] = [c for c in map(chunks.column, range(chunks.num_columns)) if c.path_in_schema == column]
                said = chunk.statistics
                place = {"float": 4, "text": 6}.get(kind, 2)
                row = shown[column, group]
                assert row[:2] == [rows[group], nulls] and all(map(same, row[place : place + 2], (low, high))), (column, group)
                assert all(value is None for value in row[2:place] + row[place + 2 :])
                if said is None or not said.has_min_max:
                    assert (low, high) == (None, None), (column, group)
                    continue
                compared += 1
                assert nulls == said.null_count
                if kind == "text":
                    assert low.encode() <= said.min.encode() and high.encode() >= said.max.encode()
                    assert exact == ((low, high) == (said.min, said.max))
                elif column == "unsigned":
                    assert low in (None, said.min) and high in (None, said.max)
                elif kind == "float":
                    assert (low, high) == (said.min, said.max)
                else:
                    unknown = (said.min if said.min != I64.max else None, said.max if said.max != I64.min else None)
                    assert (low, high) == unknown
    assert compared > 150


QUESTIONS = ["deep > 1e300", "deep = 5e-324", "number < -9223372036854775000", "number > 9223372036854775000", "sparse IS NOT NULL",
             "sparse IS NULL", "flag", "word > 'w99'", "word = ''", "single < -20 AND flag", "nan > 2.5", "void IS NOT NULL",
             "unsigned > 18446744073709551000", "word >= 'x' OR number = 0"]


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_keeps_the_groups_that_hold_an_answer(lake, question):
    """All of them, and by columns whose values lie in order no other."""
    plain = pq.ParquetFile(lake.lake / "foreign" / "plain.parquet")
    duck = duckdb.connect()
    holding = set()
    for group in range(plain.num_row_groups):
        part = plain.read_row_group(group)  # noqa: F841 (DuckDB reads it by its name)
        where = question.replace("nan >", "NOT isnan(nan) AND nan >")
        if duck.execute(f"SELECT count(*) FROM part WHERE {where}").fetchone()[0]:
            holding.add(group)
    answer = lake.json("resolve", "--product", "foreign", question)
    kept = {file["path"].split("/")[-1]: set(file["row_groups"]) for file in answer["files"]}
    assert holding <= kept.get("plain.parquet", set()), question
    if question in ("deep > 1e300", "sparse IS NOT NULL", "sparse IS NULL", "flag", "void IS NOT NULL", "word = ''"):
        assert holding == kept.get("plain.parquet", set()), question


def test_those_of_an_older_registry_are_packed_alike(lake):
    """To the last bit; and a question finds the same."""
    before, answers = everything(lake), [lake.json("resolve", "--product", "foreign", q)["files"] for q in QUESTIONS]
    shown = lake.sql("SELECT * FROM column_bounds ORDER BY path, column_name, row_group")
    groups = []
    for file, packed, columns, slots in before.values():
        if packed is None:
            continue
        rows, found = unpacked(packed, columns)
        for group, count in enumerate(rows):
            kinds = [("bool", "int"), ("float",), ("text",)]
            arrays = {"null_count": [found[name][group][0] for name, _ in columns]}
            for array, of in zip(("int", "float", "text"), kinds):
                held = sorted((slot, found[name][group]) for (name, kind), slot in zip(columns, slots) if kind in of)
                arrays[f"{array}_min"] = [known[1] for _, known in held]
                arrays[f"{array}_max"] = [known[2] for _, known in held]
                if array == "text":
                    arrays["text_exact"] = [known[3] for _, known in held]
            groups.append((file, group, count, arrays))
    with psycopg.connect(lake.database_url) as connection:
        older(connection, groups)
        assert connection.execute("SELECT count(*) FROM row_groups").fetchone() == (len(groups) + 1,)
    lake.run("db", "migrate")
    assert everything(lake) == before
    assert lake.sql("SELECT * FROM column_bounds ORDER BY path, column_name, row_group") == shown
    assert [lake.json("resolve", "--product", "foreign", q)["files"] for q in QUESTIONS] == answers
