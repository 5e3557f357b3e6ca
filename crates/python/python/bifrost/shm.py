"""Decoded rows kept in shared memory, for passes after the first.

    with bifrost.shm.Cache() as cache:
        rows = resolution.torch_dataset(columns, cache=cache)

Rows are kept as Arrow files, which are mapped, not copied: workers share one copy.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from bifrost._rows import Rows, whole

SHARED_MEMORY = "/dev/shm"


class Cache:
    """A folder of decoded rows, by default in shared memory, gone when it is closed.

    folder: where to keep them instead; it stays.
    limit_bytes: once so much is kept no more is taken in; half of what is free by default.
    """

    _is_own = False

    def __init__(self, folder: str | os.PathLike[str] | None = None, *, limit_bytes: int | None = None):
        if limit_bytes is not None:
            whole("limit_bytes", limit_bytes, 0)
        self._is_own = folder is None
        if folder is None:
            shared = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
            folder = tempfile.mkdtemp(prefix="bifrost-", dir=shared)
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.limit_bytes = shutil.disk_usage(self.folder).free // 2 if limit_bytes is None else limit_bytes
        self._owner = os.getpid()

    def __enter__(self) -> Cache:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        # the folder is gone with the first, not with a copy
        return {**self.__dict__, "_is_own": False}

    def close(self) -> None:
        """Removes what is kept, if the folder is its own; maps that are in use stay valid."""
        # workers are forks: theirs is a copy of this object
        if self._is_own and self._owner == os.getpid():
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def size_bytes(self) -> int:
        """Bytes that are kept."""
        size = 0
        with contextlib.suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                # another worker's draft has its name meanwhile
                with contextlib.suppress(FileNotFoundError):
                    size += entry.stat().st_size
        return size

    def batches(self, rows: Rows) -> Iterator[pa.RecordBatch]:
        """The rows, from here if they were kept."""
        path = self.folder / f"{_name(rows)}.arrow"
        try:
            yield from _mapped(path)
            return
        except FileNotFoundError:
            pass
        batches = list(rows)
        size = sum(batch.nbytes for batch in batches)
        # before they are given away: whoever gets them may change them in place
        if self.size_bytes + size <= self.limit_bytes:
            _write(path, rows.schema, batches)
        yield from batches


def _name(rows: Rows) -> str:
    recipe, portions, schema = rows.written()
    # metadata of fields come in any order
    fields = [(field.name, str(field.type)) for field in schema]
    text = f"{recipe}\n{portions}\n{fields}"
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def _write(path: Path, schema: pa.Schema, batches: list[pa.RecordBatch]) -> None:
    draft = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
    try:
        with pa.OSFile(str(draft), "wb") as file, pa.ipc.new_file(file, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
        draft.rename(path)
    except OSError:
        # others have filled the disk: the rows were given, and are read again next time
        draft.unlink(missing_ok=True)


def _mapped(path: Path) -> Iterator[pa.RecordBatch]:
    with path.open("rb") as file:
        # pages are private once they are written to: a tensor that is changed in place changes no other
        pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    reader = pa.ipc.open_file(pa.py_buffer(pages))
    for index in range(reader.num_record_batches):
        yield reader.get_batch(index)
