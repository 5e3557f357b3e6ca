"""Room for large arrays that are made again and again.

What a program has freed goes back to the system, and comes back as pages that the system has to clear first:
for tokens that takes as long as making them. So the memory of the last large array that nothing looks at any more
is kept for the next."""

from __future__ import annotations

import math
import weakref

import numpy as np

LEAST_BYTES = 8 << 20
"""What is smaller does not go back to the system."""
MOST_BYTES = 256 << 20
"""What is larger is not worth keeping."""

_kept: list[np.ndarray] = []


def floats(*shape: int) -> np.ndarray:
    """A float32 array of any values. Its memory is used again only when it and all its views are gone."""
    size = math.prod(shape)
    if not LEAST_BYTES <= 4 * size <= MOST_BYTES:
        return np.empty(shape, np.float32)
    try:
        block = _kept.pop()
    except IndexError:
        block = np.empty(size, np.float32)
    if not size <= block.size <= 2 * size:
        block = np.empty(size, np.float32)
    # views refer to this array, since its own base is none: it is gone when the last of them is
    lent = np.asarray(block.data)
    weakref.finalize(lent, _keep, block).atexit = False
    return lent[:size].reshape(shape)


def _keep(block: np.ndarray) -> None:
    _kept[:] = [block]
