"""Bloom filters of other writers: what `read` looks up in them it need not decode, and misses nothing.

BIFROST_BIN names the program.
"""

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROWS, GROUP = 20_000, 2_048


def table():
    """Identifiers without order: every row group has about the same bounds."""
    dice = np.random.default_rng(3)
    number = dice.choice(np.arange(1, 10 * ROWS), ROWS, replace=False)
    return pa.table({
        "number": pa.array(number, pa.int64()),
        "small": pa.array(number.astype("i4")),
        "name": [f"J{n:06d}" for n in number],
        "z": dice.uniform(0, 5, ROWS),
    })


def by_pyarrow(path):
    options = {name: {"ndv": GROUP, "fpp": 0.001} for name in ("number", "small", "name")}
    pq.write_table(table(), path, row_group_size=GROUP, use_dictionary=False, bloom_filter_options=options)


def by_duckdb(path):
    # it makes them of columns with dictionaries
    rows = table()  # noqa: F841
    how = f"ROW_GROUP_SIZE {GROUP}, DICTIONARY_SIZE_LIMIT {GROUP}, BLOOM_FILTER_FALSE_POSITIVE_RATIO 0.001"
    duckdb.sql(f"COPY rows TO '{path}' (FORMAT parquet, {how})")


def damage(path, keep):
    """All pages of all row groups but one are no longer any; the footer and the filters stay."""
    metadata = pq.read_metadata(path)
    with open(path, "r+b") as file:
        for group in range(metadata.num_row_groups):
            for column in range(metadata.num_columns):
                chunk = metadata.row_group(group).column(column)
                start = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
                if group != keep:
                    file.seek(start)
                    file.write(b"\xa5" * chunk.total_compressed_size)


@pytest.mark.parametrize("write", [by_pyarrow, by_duckdb])
def test_what_a_filter_rules_out_is_not_read(place, write):
    path = place.lake / "others/a.parquet"
    path.parent.mkdir(parents=True)
    write(path)
    rows, groups = pq.read_table(path).to_pylist(), pq.read_metadata(path).num_row_groups
    assert groups > 5
    at = 3 * GROUP + 17
    row, gone = rows[at], max(row["number"] for row in rows) // 2
    gone = next(n for n in range(gone, 10 * ROWS) if n not in {row["number"] for row in rows})
    questions = [f"number = {row['number']}", f"name = '{row['name']}'", f"small IN ({gone}, {row['small']})",
                 f"name IN ('none', '{row['name']}') AND z >= 0"]

    def found(question):
        text = place.run("read", question, "--product", "others", "--columns", "number,z", "--format", "csv")
        return text.stdout.splitlines()[1:]

    place.run("sync", "--no-datasheet")
    expected = [f"{row['number']},{row['z']}"]
    assert [found(question) for question in questions] == [expected] * len(questions)
    assert len(found(f"number <> {row['number']}")) == ROWS - 1
    for one in np.random.default_rng(5).choice(rows, 10):
        assert found(f"name = '{one['name']}'") == [f"{one['number']},{one['z']}"]

    damage(path, keep=at // GROUP)
    place.run("sync", "--no-datasheet")
    assert [found(question) for question in questions] == [expected] * len(questions)
