"""Resolved rows as a Ray Data dataset.

    dataset = lake.resolve("z > 2.5").ray_dataset(["target_id", "z", "flux"])
    for batch in dataset.iter_torch_batches(batch_size=256, prefetch_batches=10):
        ...

The registry has said already which row groups of which files are to be read: making the dataset
opens one file of each schema and no other, and a file's footer is read by the tasks that read its
rows. A node of the Ray cluster that is labelled `bifrost-node` with the name of a lake's node gets
the tasks whose bytes lie there:

    ray start --labels bifrost-node=NODE
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import ray
from ray.data.block import Block, BlockMetadata
from ray.data.datasource import Datasource, ReadTask
from ray.data.extensions import ArrowTensorArray, ArrowVariableShapedTensorArray

from bifrost import _bifrost
from bifrost._rows import Rows, matrix, whole

if TYPE_CHECKING:
    from bifrost._resolution import Resolution

NODE_LABEL = "bifrost-node"
"""Label of Ray's nodes that says which node of the lake they are."""
ROWS_A_TASK = 4096
"""Rows that a task reads at most, unless a row group has more."""


def dataset(
    resolution: Resolution,
    columns: Sequence[str] | None = None,
    *,
    rows_a_task: int = ROWS_A_TASK,
    tensors: bool = True,
    **options: Any,
) -> ray.data.Dataset:
    """A dataset of the rows that match.

    columns: all by default.
    rows_a_task: rows that a task reads at most; a row group is never cut.
    tensors: arrays become Ray's tensors, so that batches have those of one length as matrices; NULL among them is
        an error.
    options: of `ray.data.read_datasource`, such as `concurrency` or `ray_remote_args`.
    """
    parts = resolution.read(columns, threads=1).split(whole("rows_a_task", rows_a_task, 0))
    by_node: dict[str | None, list[Rows]] = {}
    labelled = _labelled()
    for part in parts:
        node = part.node if part.node in labelled else None
        by_node.setdefault(node, []).append(part)
    datasets = [_read(parts, node, tensors, options) for node, parts in by_node.items()]
    if not datasets:
        return ray.data.from_arrow(resolution.read(columns).schema.empty_table())
    return datasets[0].union(*datasets[1:]) if len(datasets) > 1 else datasets[0]


def _labelled() -> set[str]:
    """Names of the lake's nodes that Ray's nodes are labelled with."""
    if not ray.is_initialized():
        ray.init()
    labels = (node.get("Labels") or {} for node in ray.nodes() if node["Alive"])
    return {label[NODE_LABEL] for label in labels if NODE_LABEL in label}


def _read(parts: list[Rows], node: str | None, tensors: bool, options: dict[str, Any]) -> ray.data.Dataset:
    if node is not None:
        remote = dict(options.get("ray_remote_args") or {})
        remote.setdefault("label_selector", {NODE_LABEL: node})
        options = {**options, "ray_remote_args": remote}
    return ray.data.read_datasource(ResolvedRows(parts, tensors), **options)


class ResolvedRows(Datasource):
    """Row groups that were resolved, for `ray.data.read_datasource`."""

    def __init__(self, parts: Sequence[Rows], tensors: bool = True):
        super().__init__()
        self._parts = list(parts)
        self._tensors = tensors

    def get_name(self) -> str:
        return "Bifrost"

    def estimate_inmemory_data_size(self) -> int | None:
        return None

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        """A task for each part, or for neighbours where fewer tasks are wanted."""
        if not self._parts:
            return []
        recipe, _, schema = self._parts[0].written()
        shared = ray.put((recipe, schema))
        tasks = min(max(parallelism, 1), len(self._parts))
        ends = [len(self._parts) * task // tasks for task in range(tasks + 1)]
        groups = [self._parts[start:end] for start, end in zip(ends, ends[1:], strict=False)]
        return [self._task(shared, group, per_task_row_limit) for group in groups]

    def _task(self, shared: ray.ObjectRef, parts: list[Rows], limit: int | None) -> ReadTask:
        portions = [part.written()[1] for part in parts]
        tensors = self._tensors

        def read() -> Iterable[Block]:
            return _blocks(shared, portions, tensors)

        metadata = BlockMetadata(
            num_rows=None,  # rows that match are known when they are read
            size_bytes=None,
            exec_stats=None,
            input_files=tuple(dict.fromkeys(part.uri for part in parts)),
        )
        return ReadTask(read, metadata, per_task_row_limit=limit)


def _blocks(shared: ray.ObjectRef, portions: list[str], tensors: bool) -> Iterator[Block]:
    recipe, schema = ray.get(shared)
    for portion in portions:
        rows = Rows(_bifrost.Recipe.restored(recipe, portion, schema), threads=1)
        for batch in rows:
            table = pa.Table.from_batches([batch])
            yield _with_tensors(table) if tensors else table


def _with_tensors(table: pa.Table) -> pa.Table:
    for index, field in enumerate(table.schema):
        if pa.types.is_list(field.type) or pa.types.is_fixed_size_list(field.type):
            if not pa.types.is_primitive(field.type.value_type):
                continue
            column = table.column(index).combine_chunks()
            if column.null_count:
                # blocks of another type could not be put together with those that have none
                raise _bifrost.UsageError(
                    f"column '{field.name}' has NULL, which no tensor says: ask for rows where {field.name} IS NOT NULL,"
                    " or for tensors=False"
                )
            try:
                table = table.set_column(index, field.name, ArrowTensorArray.from_numpy(matrix(column)))
            except ValueError:
                rows = [row.values.to_numpy(zero_copy_only=False) for row in column]
                table = table.set_column(index, field.name, ArrowVariableShapedTensorArray.from_numpy(rows))
    return table
