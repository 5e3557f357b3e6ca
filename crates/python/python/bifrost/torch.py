"""Resolved rows as an iterable torch dataset.

    rows = lake.resolve("zwarn = 0").torch_dataset(["flux", "ivar", "z"], batch_size=256, shuffle=True)
    for batch in torch.utils.data.DataLoader(rows, batch_size=None, num_workers=2):
        batch["flux"]                       # float32, (256, pixels)

The dataset knows its DataLoader worker and its rank, and reads a share of the row groups in each.
Shuffled, row groups come in random order, and the rows of several of them (`window`) are mixed: all of
it follows from `seed` and the epoch. What was read to some batch can be gone on with:

    rows.load_state_dict({"epoch": 3, "batches": 1200})

Epoch and state hold for workers too, those that stay (`persistent_workers=True`) as well.
"""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch.utils.data import IterableDataset, get_worker_info

from bifrost._bifrost import UsageError
from bifrost._rows import Rows, matrix, names, whole
from bifrost.shm import Cache

if TYPE_CHECKING:
    from bifrost._resolution import Resolution

Batch = dict[str, Any]

MOST_WORKERS = 1024
"""Workers of a DataLoader at most."""


class Dataset(IterableDataset):
    """Rows as dictionaries of tensors, by column.

    columns: Arrays of one length become a matrix, (rows, length); others a list of tensors; text a list of
        str. NULL is NaN in floating-point columns and an error in others: ask for rows where it is not. By
        default all that `Resolution.read` gives and tensors can say: integers of 32 bits at most and booleans
        that may be NULL are float64, with NaN; integers of 64 bits are left out with a warning where some are
        NULL, as far as the registry knows. Columns that are named keep their types.
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
        for name, value, least in (("batch_size", batch_size, 1), ("seed", seed, 0), ("window", window, 1)):
            if value is not None:
                whole(name, value, least)
        if cache is not None and not isinstance(cache, Cache):
            raise UsageError(f"a cache is a bifrost.shm.Cache, not {cache!r}")
        if columns is not None and not names(columns):
            raise UsageError("a batch without columns says nothing: name some, or leave columns out for all")
        rows = resolution.read(_told(resolution) if columns is None else columns, threads=1)
        self._real = () if columns is not None else tuple(field.name for field in rows.schema if _is_real(field))
        self._rows = Rows(rows._recipe.split(1), **rows._options)
        self._parts = rows.split(1)
        self._batch_size = batch_size
        self._shuffle, self._seed, self._window = shuffle, seed, window
        self._rank, self._world_size = _world(rank, world_size)
        self._cache = cache
        self._drop_last = drop_last
        self._epoch, self._seen = 0, 0
        # epoch, batches to pass over, and of each worker whether it has begun since these were said; workers see it
        self._said = torch.zeros(2 + MOST_WORKERS, dtype=torch.int64).share_memory_()

    @property
    def rows_at_most(self) -> int:
        """Rows of all ranks together: no more can match."""
        return sum(part.rows_at_most for part in self._parts)

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of the next pass, from its beginning."""
        self._say(whole("epoch", epoch, 0), 0)

    def state_dict(self, batches: int | None = None) -> dict[str, int]:
        """How far this pass is. With a DataLoader that has workers, say how many batches it gave."""
        return {"epoch": int(self._said[0]), "batches": self._seen if batches is None else batches}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """The next pass goes on after so many batches of an epoch (rows, without `batch_size`, where there is
        one worker at most). The number of workers, ranks and the size of batches must be the same as then."""
        self._say(whole("epoch", state.get("epoch"), 0), whole("batches", state.get("batches"), 0))

    def _say(self, epoch: int, batches: int) -> None:
        self._said.zero_()
        self._said[0], self._said[1], self._seen = epoch, batches, batches

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        workers, number = (worker.num_workers, worker.id) if worker else (1, 0)
        has_begun = bool(self._said[2 + number])
        self._said[2 + number] = 1
        self._epoch = int(self._said[0])
        self._seen = 0 if has_begun else int(self._said[1])
        shard, skipped = self._turn(workers, number)
        for batch in self._batches(self._rank * workers + shard, self._world_size * workers, skipped):
            self._seen += 1
            yield batch

    def _turn(self, workers: int, number: int) -> tuple[int, int]:
        """Which of the rank's shards a worker goes on with, and after how many batches of it. Workers take
        turns, but for those that have no more."""
        if workers == 1 or not self._seen:
            return number, self._seen
        if self._batch_size is None:
            raise UsageError("several workers go on in mid-epoch where the dataset makes the batches: give it batch_size")
        first, shards = self._rank * workers, self._world_size * workers
        rest = [self._counted(self._order(first + shard, shards)) for shard in range(workers)]
        given, turns = [0] * workers, deque(range(workers))
        for _ in range(self._seen):
            while turns and next(rest[turns[0]], None) is None:
                turns.popleft()
            if not turns:
                break
            given[turns[0]] += 1
            turns.rotate(-1)
        ended = [shard for shard in range(workers) if shard not in turns]
        shard = [*turns, *ended][number]
        return shard, given[shard]

    def _counted(self, parts: list[int]) -> Iterator[int]:
        """Rows of each batch of these parts, which are counted as far as that is asked."""
        size, rows = self._batch_size or 1, 0
        for index in parts:
            rows += self._parts[index].count()
            while rows >= size:
                rows -= size
                yield size
        if rows and not self._drop_last:
            yield rows

    def _order(self, shard: int, shards: int) -> list[int]:
        """Parts of a shard in the order of this epoch."""
        order = np.arange(len(self._parts))
        if self._shuffle:
            np.random.default_rng([self._seed, self._epoch]).shuffle(order)
        return order[shard::shards].tolist()

    def _batches(self, shard: int, shards: int, skipped: int) -> Iterator[Batch]:
        size = self._batch_size or 1
        for table in _cut(self._tables(shard, shards, skipped * size), size * (1 if self._batch_size else 1024)):
            if self._batch_size is None:
                yield from _rows(tensors(self._with_reals(table)), table.num_rows)
            elif table.num_rows == size or not self._drop_last:
                yield tensors(self._with_reals(table))

    def _with_reals(self, table: pa.Table) -> pa.Table:
        for name in self._real:
            at = table.schema.get_field_index(name)
            table = table.set_column(at, name, table.column(at).cast(pa.float64()))
        return table

    def _tables(self, shard: int, shards: int, skipped: int) -> Iterator[pa.Table]:
        """The rows of a shard in the order of this epoch, but for the first of them."""
        mine = self._order(shard, shards)
        window = self._window if self._shuffle else 1
        windows = [(start, mine[start : start + window]) for start in range(0, len(mine), window)]
        while skipped and windows:
            # whole windows are passed over without decoding what was asked for
            rows = sum(self._parts[index].count() for index in windows[0][1])
            if rows > skipped:
                break
            skipped -= rows
            del windows[0]
        for batch in self._mixed(shard, windows) if self._shuffle else self._read([i for _, w in windows for i in w]):
            passed = min(skipped, batch.num_rows)
            skipped -= passed
            yield pa.Table.from_batches([batch.slice(passed)])

    def _mixed(self, shard: int, windows: list[tuple[int, list[int]]]) -> Iterator[pa.RecordBatch]:
        for start, parts in windows:
            table = pa.Table.from_batches(self._read(parts), self._rows.schema)
            seed = [self._seed, self._epoch, shard, start]
            order = np.random.default_rng(seed).permutation(table.num_rows)
            columns = [_ordered(column, order) for column in table.columns]
            yield from pa.table(columns, schema=table.schema).combine_chunks().to_batches()

    def _read(self, parts: list[int]) -> Iterator[pa.RecordBatch]:
        """Rows of parts, read ahead by a thread that goes from one to the next."""
        if self._cache is None:
            return iter(self._rows._some(parts))
        return (batch for index in parts for batch in self._cache.batches(self._parts[index]))


def _is_real(field: pa.Field) -> bool:
    """Whether a column may have NULL, which a float64 can say without losing any of its integers."""
    kind = field.type
    return bool(field.nullable and (pa.types.is_boolean(kind) or pa.types.is_integer(kind) and kind.bit_width <= 32))


def _told(resolution: Resolution) -> list[str] | None:
    """All columns but those of which no type of a tensor says all that some rows have."""
    fields = list(resolution.read().schema)
    large = [field.name for field in fields if field.nullable and pa.types.is_integer(field.type) and not _is_real(field)]
    left_out = resolution._native.nullable(large)
    if not left_out:
        return None
    warnings.warn(
        f"left out, since some rows have NULL there and integers of 64 bits cannot say it: {', '.join(left_out)};"
        " name the columns, and ask for rows where these are not NULL, to have them",
        stacklevel=4,
    )
    return [field.name for field in fields if field.name not in left_out]


def _ordered(column: pa.ChunkedArray, order: np.ndarray) -> pa.Array | pa.ChunkedArray:
    """The rows of a column in an order. Arrow takes lists value by value: numbers of rows of one length are taken
    row by row."""
    item = column.type.value_type if pa.types.is_list(column.type) else None
    if item is None or not (pa.types.is_floating(item) or pa.types.is_integer(item)):
        return column.take(pa.array(order))
    try:
        rows = matrix(column)
    except ValueError:
        return column.take(pa.array(order))
    if rows.size > np.iinfo(np.int32).max:
        return column.take(pa.array(order))
    ends = np.arange(len(order) + 1, dtype=np.int32) * np.int32(rows.shape[1])
    values = pa.array(np.take(rows, order, axis=0).reshape(-1), item)
    return pa.Array.from_buffers(column.type, len(order), [None, pa.py_buffer(ends)], children=[values])


def _world(rank: int | None, world_size: int | None) -> tuple[int, int]:
    if (rank is None) != (world_size is None):
        raise UsageError("rank and world_size belong together: give both, or neither")
    if rank is not None and world_size is not None:
        if not 0 <= rank < world_size:
            raise UsageError(f"rank {rank} of {world_size}: ranks are counted from 0")
        return rank, world_size
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def _cut(tables: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The same rows in tables of so many; nothing is copied."""
    held: list[pa.Table] = []
    count = 0
    for table in tables:
        while table.num_rows:
            taken = table.slice(0, rows - count)
            table = table.slice(taken.num_rows)
            held.append(taken)
            count += taken.num_rows
            if count == rows:
                yield pa.concat_tables(held)
                held, count = [], 0
    if count:
        yield pa.concat_tables(held)


def _rows(batch: Batch, rows: int) -> Iterator[Batch]:
    for row in range(rows):
        yield {name: values[row] for name, values in batch.items()}


def tensors(table: pa.Table | pa.RecordBatch) -> Batch:
    """Columns as tensors, without a copy where a column lies in one piece."""
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    return {name: _tensor(name, column) for name, column in zip(table.column_names, table.columns, strict=True)}


def _tensor(name: str, column: pa.ChunkedArray) -> Any:
    kind = column.type
    chunks = column.chunks or [pa.array([], kind)]
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        if column.null_count:
            raise UsageError(f"column '{name}' has NULL: ask for rows where {name} IS NOT NULL")
        values = _together([_flat(name, chunk.flatten()) for chunk in chunks])
        lengths = np.concatenate([chunk.value_lengths().to_numpy(zero_copy_only=False) for chunk in chunks])
        if len(lengths) and (lengths == lengths[0]).all():
            return values.view(len(lengths), int(lengths[0]))
        return list(torch.tensor_split(values, np.cumsum(lengths)[:-1].tolist()))
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return _together([_flat(name, chunk) for chunk in chunks])
    return column.to_pylist()


def _together(parts: list[torch.Tensor]) -> torch.Tensor:
    """One tensor of several; a worker's is put at once where the process that trains will map it."""
    if get_worker_info() is not None and hasattr(os, "memfd_create") and any(map(len, parts)):
        return _shared(parts)
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _shared(parts: list[torch.Tensor]) -> torch.Tensor:
    """Written, not copied into a map: that saves a page fault every 4 KiB."""
    file = os.memfd_create("bifrost")
    try:
        for part in parts:
            rest = memoryview(part.numpy()).cast("B")
            while rest:
                rest = rest[os.write(file, rest) :]
        count = sum(map(len, parts))
        storage = torch.UntypedStorage._new_shared_fd_cpu(file, count * parts[0].element_size())
    finally:
        os.close(file)
    return torch.empty(0, dtype=parts[0].dtype).set_(storage, 0, (count,))


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
