"""Rows on their way from the files into people's tools."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bifrost import _bifrost

if TYPE_CHECKING:
    import numpy as np


class Rows:
    """The rows of an answer, not read yet.

    Each way of taking them reads the files anew: `for batch in rows`, `async for batch in rows`,
    `rows.to_arrow()`, or anything that takes Arrow streams (pyarrow, Polars, pandas, DuckDB) by `__arrow_c_stream__`. Nothing is
    copied on the way. It can be pickled and read by another process that reaches the files.
    """

    def __init__(self, recipe: _bifrost.Recipe, **options: Any):
        for name, value in options.items():
            if value is not None:
                whole(name, value, 0)
        self._recipe = recipe
        self._options = options

    def __repr__(self) -> str:
        return f"<bifrost.Rows of {len(self._recipe)} portions: {', '.join(self.schema.names)}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (*self.written(), self._options)

    def written(self) -> tuple[str, str, pa.Schema]:
        """What another process needs to read them: what rows, of which portions, of which schema."""
        return (*self._recipe.written(), self.schema)

    @property
    def schema(self) -> pa.Schema:
        """Columns of every batch, with unit, UCD and description in the fields' metadata."""
        return pa.schema(self._recipe.schema)

    @property
    def node(self) -> str | None:
        """The node where their bytes are local; None where that is not one."""
        nodes = {node for node, _, _, _ in self._recipe.portions()}
        return nodes.pop() if len(nodes) == 1 else None

    @property
    def uri(self) -> str | None:
        """The file that holds them; None where that is not one."""
        uris = {uri for _, uri, _, _ in self._recipe.portions()}
        return uris.pop() if len(uris) == 1 else None

    @property
    def rows_at_most(self) -> int:
        """Rows in the row groups to be read: no more can match."""
        return self._limited(sum(rows for _, _, rows, _ in self._recipe.portions()))

    def _limited(self, rows: int) -> int:
        limit = self._options.get("limit")
        return rows if limit is None else min(rows, limit)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        batches = self._recipe.batches(**self._options)
        try:
            for batch in batches:
                yield pa.record_batch(batch)
        finally:
            batches.close()

    async def batches_async(self) -> AsyncGenerator[pa.RecordBatch, None]:
        """The same, for programs that wait for many things at once: `async for batch in rows`."""
        batches = self._recipe.batches(**self._options)
        try:
            while (batch := await asyncio.to_thread(next, batches, None)) is not None:
                yield pa.record_batch(batch)
        finally:
            # what is under way in the other thread is waited for there
            await asyncio.to_thread(batches.close)

    __aiter__ = batches_async

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._recipe.stream(**self._options).__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        return self.schema.__arrow_c_schema__()

    def reader(self) -> pa.RecordBatchReader:
        """The rows as a stream of pyarrow."""
        return pa.RecordBatchReader.from_batches(self.schema, iter(self))

    def to_arrow(self) -> pa.Table:
        """All rows as a pyarrow table."""
        return pa.Table.from_batches(iter(self), self.schema)

    def to_pandas(self, **options: Any) -> Any:
        """All rows as a pandas frame."""
        return self.to_arrow().to_pandas(**options)

    def to_polars(self) -> Any:
        """All rows as a Polars frame."""
        import polars

        return polars.from_arrow(self.to_arrow())

    def count(self) -> int:
        """How many rows there are; only what the question needs is read."""
        return self._limited(self._recipe.count())

    def split(self, rows: int) -> list[Rows]:
        """The same as parts of whole row groups: of at most so many rows, or one row group."""
        whole("rows", rows, 0)
        if self._options.get("limit") is not None:
            raise _bifrost.UsageError("a limit is of all rows, and parts do not know of each other: split them without")
        parts = Rows(self._recipe.split(rows), **self._options)
        return [parts._some([index]) for index in range(len(parts._recipe))]

    def _some(self, portions: list[int]) -> Rows:
        return Rows(self._recipe.some(portions), **self._options)


def _restored(recipe: str, portions: str, schema: pa.Schema, options: dict[str, Any]) -> Rows:
    return Rows(_bifrost.Recipe.restored(recipe, portions, schema), **options)


def names(columns: Sequence[str] | None) -> list[str] | None:
    """Names of columns; one may come as it is."""
    if columns is None:
        return None
    if isinstance(columns, str):
        return [columns]
    found = list(columns) if isinstance(columns, Iterable) else [columns]
    if wrong := [name for name in found if not isinstance(name, str)]:
        raise _bifrost.UsageError(f"columns are a list of names, and {wrong[0]!r} is none")
    return found


def whole(name: str, value: Any, least: int) -> int:
    """A whole number of 64 bits, at least so large. Raises UsageError where it is none."""
    try:
        found = operator.index(value)
    except TypeError:
        found = least - 1
    if isinstance(value, bool) or not least <= found < 1 << 63:
        at_least = f", {least} at least" if least >= 0 else ""
        raise _bifrost.UsageError(f"{name} is a whole number of 64 bits{at_least}, not {value!r}")
    return found


def matrix(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """A column of arrays of one length as a matrix, (rows, length), without a copy where it lies in one
    piece. Raises ValueError where lengths differ or values are NULL."""
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if column.null_count:
        raise ValueError("some rows are NULL: leave them out first")
    values = column.flatten()
    if values.null_count:
        raise ValueError("some values are NULL")
    rows = len(column)
    length = len(values) // rows if rows else 0
    if pa.types.is_fixed_size_list(column.type):
        length = column.type.list_size
    elif rows and not (column.value_lengths().to_numpy() == length).all():
        raise ValueError("the rows' arrays differ in length: take them one by one")
    return values.to_numpy(zero_copy_only=not pa.types.is_boolean(values.type)).reshape(rows, length)
