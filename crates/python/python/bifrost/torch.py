"""Resolved rows as an iterable torch dataset.

    rows = lake.resolve("zwarn = 0").torch_dataset(["flux", "ivar", "z"], batch_size=256, shuffle=True)
    for batch in torch.utils.data.DataLoader(rows, batch_size=None, num_workers=2):
        batch["flux"]                       # float32, (256, pixels)

The dataset knows its DataLoader worker and its rank, and reads a share of the row groups in each.
Shuffled, row groups come in random order, and the rows of several of them (`window`) are mixed: all of
it follows from `seed` and the epoch. What was read to some batch can be gone on with:

    rows.load_state_dict({"epoch": 3, "batches": 1200})
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch.utils.data import IterableDataset, get_worker_info

from bifrost._bifrost import UsageError
from bifrost._rows import Rows
from bifrost.shm import Cache

if TYPE_CHECKING:
    from bifrost._resolution import Resolution

Batch = dict[str, Any]


class Dataset(IterableDataset):
    """Rows as dictionaries of tensors, by column.

    columns: all by default. Arrays of one length become a matrix, (rows, length); others a list of
        tensors; text a list of str. NULL is NaN in floating-point columns and an error in others.
    batch_size: rows of a batch; give the DataLoader `batch_size=None`. None: rows come one by one, for a
        DataLoader that collates them.
    shuffle, seed, window: whether rows are mixed, by which seed, and over how many row groups at once
        (their decoded rows are held in memory).
    rank, world_size: of this process; those of torch.distributed by default.
    cache: what was decoded once is kept there for later epochs: a `bifrost.shm.Cache`.
    drop_last: leaves out a last batch that is not full.
    """

    def __init__(
        self,
        resolution: Resolution,
        columns: Sequence[str] | None = None,
        *,
        batch_size: int | None = None,
        shuffle: bool = False,
        seed: int = 0,
        window: int = 4,
        rank: int | None = None,
        world_size: int | None = None,
        cache: Cache | None = None,
        drop_last: bool = False,
    ):
        super().__init__()
        self._parts = resolution.read(columns, threads=1).split(1)
        self._batch_size = batch_size
        self._shuffle, self._seed, self._window = shuffle, seed, max(window, 1)
        self._rank, self._world_size = _world(rank, world_size)
        self._cache = cache
        self._drop_last = drop_last
        self._epoch, self._skip, self._seen = 0, 0, 0

    @property
    def rows_at_most(self) -> int:
        """Rows of all ranks together: no more can match."""
        return sum(part.rows_at_most for part in self._parts)

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of the next pass, from its beginning."""
        self._epoch, self._skip, self._seen = epoch, 0, 0

    def state_dict(self, batches: int | None = None) -> dict[str, int]:
        """How far this pass is. With a DataLoader that has workers, say how many batches it gave."""
        return {"epoch": self._epoch, "batches": self._seen if batches is None else batches}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Goes on after so many batches (rows, without `batch_size`) of an epoch. The number of workers,
        ranks and the size of batches must be the same as then."""
        self._epoch, self._skip, self._seen = state["epoch"], state["batches"], state["batches"]

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        workers, number = (worker.num_workers, worker.id) if worker else (1, 0)
        # workers take turns: the first of them goes on where its turn was
        number = (number + self._skip) % workers
        skipped = (self._skip + workers - 1 - number) // workers
        self._skip = 0
        for batch in self._batches(self._rank * workers + number, self._world_size * workers, skipped):
            self._seen += 1
            yield batch

    def _batches(self, shard: int, shards: int, skipped: int) -> Iterator[Batch]:
        size = self._batch_size or 1
        for table in _cut(self._tables(shard, shards, skipped * size), size * (1 if self._batch_size else 1024)):
            if self._batch_size is None:
                yield from _rows(tensors(table), table.num_rows)
            elif table.num_rows == size or not self._drop_last:
                yield tensors(table)

    def _tables(self, shard: int, shards: int, skipped: int) -> Iterator[pa.Table]:
        """The rows of a shard in the order of this epoch, but for the first of them."""
        order = np.arange(len(self._parts))
        if self._shuffle:
            np.random.default_rng([self._seed, self._epoch]).shuffle(order)
        mine = order[shard::shards]
        window = self._window if self._shuffle else 1
        for start in range(0, len(mine), window):
            parts = [self._parts[index] for index in mine[start : start + window]]
            if skipped:
                # whole windows are passed over without decoding what was asked for
                rows = sum(part.count() for part in parts)
                if rows <= skipped:
                    skipped -= rows
                    continue
            batches = (batch for part in parts for batch in self._read(part))
            if self._shuffle:
                table = pa.Table.from_batches(batches, self._parts[0].schema)
                seed = [self._seed, self._epoch, shard, start]
                table = table.take(np.random.default_rng(seed).permutation(table.num_rows))
                batches = table.combine_chunks().to_batches()
            for batch in batches:
                passed = min(skipped, batch.num_rows)
                skipped -= passed
                yield pa.Table.from_batches([batch.slice(passed)])

    def _read(self, part: Rows) -> Iterator[pa.RecordBatch]:
        return iter(part) if self._cache is None else self._cache.batches(part)


def _world(rank: int | None, world_size: int | None) -> tuple[int, int]:
    if rank is not None and world_size is not None:
        return rank, world_size
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def _cut(tables: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The same rows in tables of so many; only what lies on a seam is copied."""
    held: list[pa.Table] = []
    count = 0
    for table in tables:
        while table.num_rows:
            taken = table.slice(0, rows - count)
            table = table.slice(taken.num_rows)
            held.append(taken)
            count += taken.num_rows
            if count == rows:
                yield _joined(held)
                held, count = [], 0
    if count:
        yield _joined(held)


def _joined(tables: list[pa.Table]) -> pa.Table:
    return tables[0] if len(tables) == 1 else pa.concat_tables(tables).combine_chunks()


def _rows(batch: Batch, rows: int) -> Iterator[Batch]:
    for row in range(rows):
        yield {name: values[row] for name, values in batch.items()}


def tensors(table: pa.Table | pa.RecordBatch) -> Batch:
    """Columns as tensors, without a copy where a column lies in one piece."""
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    return {name: _tensor(name, column) for name, column in zip(table.column_names, table.columns, strict=True)}


def _tensor(name: str, column: pa.ChunkedArray) -> Any:
    array = column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
    kind = array.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        if array.null_count:
            raise UsageError(f"column '{name}' has NULL: ask for rows where {name} IS NOT NULL")
        values = _flat(name, array.flatten())
        lengths = np.unique(array.value_lengths().to_numpy(zero_copy_only=False))
        if len(lengths) == 1:
            return values.view(len(array), int(lengths[0]))
        ends = np.cumsum(array.value_lengths().to_numpy(zero_copy_only=False))
        return list(torch.tensor_split(values, ends[:-1].tolist()))
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return _flat(name, array)
    return array.to_pylist()


def _flat(name: str, array: pa.Array) -> torch.Tensor:
    if array.null_count and pa.types.is_floating(array.type):
        array = pc.fill_null(array, float("nan"))
    if array.null_count:
        raise UsageError(f"column '{name}' has NULL, which {array.type} cannot say: ask for rows where it has none")
    if pa.types.is_boolean(array.type):
        return torch.from_numpy(array.to_numpy(zero_copy_only=False).copy())
    if pa.types.is_unsigned_integer(array.type) and array.type.bit_width > 8:
        array = array.cast(pa.int64())
    return torch.from_dlpack(array)
