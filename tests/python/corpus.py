"""A lake of odd files, each a product of its own with its fate:

  READ     registered; read as DuckDB (or pyarrow) reads it
  LISTED   registered, as its footer is sound; reading it ends in an error that names it
  REFUSED  quarantined, with a reason that has these words in it
"""

import io
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from crafted import INT32, REQUIRED, chunk, document, element, page, plain

READ, LISTED, REFUSED = "read", "listed", "refused"
ROWS = 300
# in the decoded footer: the first column of the first row group
CHUNK = (4, 0, 1, 0, 3)
STATISTICS = (*CHUNK, 12)


class Case(NamedTuple):
    """A file, what must become of it, and who says what is in it."""

    name: str
    fate: str
    words: str
    judge: str


class Corpus:
    """Where the files go."""

    def __init__(self, lake):
        self.lake = lake
        self.cases = []

    def path(self, name, fate=READ, words="", judge="duckdb"):
        """A place for a file that something else writes."""
        self.cases.append(Case(name, fate, words, judge))
        folder = self.lake / name
        folder.mkdir(parents=True)
        return folder / "file.parquet"

    def put(self, name, data, fate=READ, words="", judge="duckdb"):
        self.path(name, fate, words, judge).write_bytes(data)

    def refused(self, name, data, words):
        self.put(name, data, REFUSED, words)

    def listed(self, name, data, words="cannot be read"):
        self.put(name, data, LISTED, words)


def table(rows=ROWS):
    """Numbers, texts, and NULLs."""
    rng = np.random.default_rng(5)
    return pa.table({
        "n": pa.array(range(rows), pa.int64()),
        "x": pa.array(rng.normal(0, 3, rows), mask=rng.random(rows) < 0.2),
        "name": [f"object {i % 17}" for i in range(rows)],
    })


def written(data=None, **how):
    """Bytes of a file that pyarrow writes."""
    sink = io.BytesIO()
    pq.write_table(table() if data is None else data, sink, **how)
    return sink.getvalue()


def one(physical, pages_, count, repetition=REQUIRED, rows=None, **more):
    """A file of one column `n` of one row group."""
    annotation = {key: more.pop(key) for key in ("length", "converted", "logical") if key in more}
    schema = [element("schema", children=1), element("n", physical, repetition, **annotation)]
    return document(schema, [(count if rows is None else rows, [chunk(["n"], physical, pages_, count, **more)])])


def ints(values, **how):
    return page(plain(INT32, values), len(values), **how)
