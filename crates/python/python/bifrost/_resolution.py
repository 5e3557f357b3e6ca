"""What a question resolves to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bifrost._bifrost import UsageError
from bifrost._rows import Rows, names

if TYPE_CHECKING:
    from os import PathLike

    from bifrost import _bifrost


@dataclass(frozen=True)
class File:
    """A file that may hold matching rows."""

    file_id: int
    """Number of this version of the file in the registry."""
    node: str
    """Node where its bytes are local."""
    path: str
    """Absolute path on that node."""
    uri: str | None
    """What can be opened from here; None where nothing can."""
    product: str
    num_rows: int
    row_groups: list[int]
    """Row groups that may hold matching rows, from 0."""
    size_bytes: int
    rows: list[int] | None = None
    """Rows of the objects asked for by SQL, from 0, where they are known."""
    ended_commit: int | None = None
    """The commit that took it out, where that has happened since."""
    lost: str | None = None
    """Why it cannot be read any more, and what to do."""
    aligned: list[File] = field(default_factory=list)
    """Files of other products: row n of each is row n of this one."""

    @classmethod
    def _of(cls, said: dict[str, Any]) -> File:
        return cls(**{**said, "aligned": [cls._of(file) for file in said.get("aligned", [])]})


class Resolution:
    """The answer to a question: files and row groups, as of a commit. Nothing is read yet. Pickled, it is
    asked again as of its commit, where it is taken out."""

    def __init__(self, native: _bifrost.Resolution, ask: Callable[..., Resolution], question: dict[str, Any]):
        self._native = native
        self._ask, self._question = ask, question

    def __reduce__(self) -> tuple[Any, ...]:
        return _asked, (self._ask, self._question)

    def __len__(self) -> int:
        return len(self._native)

    def __repr__(self) -> str:
        return f"<bifrost.Resolution of {len(self)} files, as of commit {self.commit}>"

    @property
    def commit(self) -> int:
        """The registry's commit that the answer is as of."""
        return self._native.commit

    @cached_property
    def _said(self) -> dict[str, Any]:
        return json.loads(self._native.json())

    @cached_property
    def files(self) -> list[File]:
        """Files that may hold matching rows, by path."""
        return [File._of(said) for said in self._said["files"]]

    @property
    def pruned(self) -> dict[str, Any]:
        """Counts of files, row groups and rows: what was left out, what remains."""
        return self._said["pruned"]

    def paths(self) -> list[str]:
        """Paths and URIs that can be opened from here."""
        return self._native.uris()

    def to_arrow(self) -> pa.Table:
        """The files as a table."""
        schema = pa.schema(
            [
                ("file_id", pa.int64()),
                ("node", pa.string()),
                ("path", pa.string()),
                ("uri", pa.string()),
                ("product", pa.string()),
                ("num_rows", pa.int64()),
                ("row_groups", pa.list_(pa.int32())),
                ("size_bytes", pa.int64()),
            ]
        )
        return pa.Table.from_pylist(self._said["files"], schema=schema)

    def explain(self) -> str:
        """What left which files out, and about how many rows match."""
        pruned = json.loads(self._native.explained())
        steps = [f"{step['files']:>12}  {step['by']}" for step in pruned["explained"]["steps"]]
        return "\n".join(
            [
                f"condition: {pruned['explained']['condition']}",
                "files left by",
                *steps,
                f"{pruned['row_groups']} of {pruned['row_groups_in_files']} row groups,"
                f" at most {pruned['rows_at_most']} rows, about {pruned['explained']['rows_estimated']} match",
            ]
        )

    def save(self, path: str | PathLike[str]) -> str:
        """Saves the answer as a snapshot that can be replayed, keeps its files from gc, and gives the
        digest by which it is cited."""
        return self._native.save(path)

    def read(
        self,
        columns: Sequence[str] | None = None,
        *,
        limit: int | None = None,
        threads: int | None = None,
        batch_bytes: int | None = None,
    ) -> Rows:
        """The rows that match, to be taken as Arrow, pandas, Polars, …

        columns: in this order. By default all of the product, and of other products those that the question
            names; "*" is all of all products that it is of. Columns of other products of the tiles are
            found there.
        limit: rows at most.
        threads: files read at once; as many as there are cores by default.
        batch_bytes: about how large a batch may become, decoded; 8 MiB by default.
        """
        recipe = self._native.recipe(names(columns))
        return Rows(recipe, limit=limit, threads=threads, batch_bytes=batch_bytes)

    def polars(self, columns: Sequence[str] | None = None) -> Any:
        """A lazy Polars frame: only columns that its query needs are read."""
        import polars as pl
        from polars.io.plugins import register_io_source

        schema = self.read(columns).schema

        def source(
            with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _batch_size: int | None
        ) -> Iterator[pl.DataFrame]:
            wanted = columns if with_columns is None else with_columns
            # the first rows, and of these the ones that match
            for batch in self.read(wanted, limit=n_rows):
                frame = pl.DataFrame(pa.Table.from_batches([batch]))
                yield frame if predicate is None else frame.filter(predicate)

        return register_io_source(source, schema=pl.DataFrame(schema.empty_table()).schema, is_pure=True)

    def duckdb(self, columns: Sequence[str] | None = None, *, connection: Any = None) -> Any:
        """A DuckDB relation over the rows, which are read anew whenever it is asked: the columns that the query
        needs, and no more."""
        import duckdb

        from bifrost._duckdb import Scanned

        return (connection or duckdb).from_arrow(Scanned(self.read, columns))

    def lsdb(self, columns: Sequence[str] | None = None, **options: Any) -> Any:
        """An LSDB catalog of the rows, held in memory. `ra` and `dec` are among the columns. Raises UsageError
        where no row matches: a catalog has one at least."""
        import lsdb

        wanted = names(columns)
        if wanted is not None:
            # names of columns are one in upper and lower case
            wanted = ["ra", "dec", *(name for name in wanted if name.lower() not in ("ra", "dec"))]
        options = {"catalog_name": "bifrost", **options}
        rows = self.read(wanted).to_pandas()
        if rows.empty:
            raise UsageError("nothing matches, and LSDB makes no catalog of nothing")
        return lsdb.from_dataframe(rows, ra_column="ra", dec_column="dec", **options)

    def ray_dataset(self, columns: Sequence[str] | None = None, **options: Any) -> Any:
        """A Ray Data dataset of the rows: see `bifrost.ray.dataset`."""
        from bifrost import ray

        return ray.dataset(self, columns, **options)

    def torch_dataset(self, columns: Sequence[str] | None = None, **options: Any) -> Any:
        """An iterable torch dataset of the rows: see `bifrost.torch.Dataset`."""
        from bifrost import torch

        return torch.Dataset(self, columns, **options)


def _asked(ask: Callable[..., Resolution], question: dict[str, Any]) -> Resolution:
    return ask(**question)
