"""Rows as DuckDB scans them: only the columns that a query needs are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as ds

if TYPE_CHECKING:
    from bifrost._rows import Rows


class Scanned(ds.Dataset):
    """A dataset whose scanner reads the columns that are asked for, and those that a filter is of.

    DuckDB asks a dataset of pyarrow for a scanner with its columns and filter; that is all of a dataset
    that there is here.
    """

    def __init__(self, read: Callable[[Sequence[str] | None], Rows], columns: Sequence[str] | None):
        self._read = read
        self._schema = read(columns).schema

    @property
    def schema(self) -> pa.Schema:
        return self._schema

    def scanner(self, columns: Sequence[str] | None = None, filter: Any = None, **options: Any) -> ds.Scanner:
        names = self._schema.names
        wanted = names if columns is None else list(columns)
        if filter is not None:
            # an expression does not say of what it is: each name that its text has may be a column
            said = str(filter)
            named = (name for name in names if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", said))
            wanted = [*wanted, *(name for name in named if name not in wanted)]
        if not wanted:
            # rows are counted by their keys
            wanted = ["target_id"] if "target_id" in names else names[:1]
        reader = pa.RecordBatchReader.from_stream(self._read(wanted))
        options.pop("batch_size", None)
        return ds.Scanner.from_batches(reader, columns=columns, filter=filter, **options)
