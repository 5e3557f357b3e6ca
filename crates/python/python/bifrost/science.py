"""Kernels on numpy arrays: spectra on one grid and as a transformer reads them; the cosmic web of positions."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from bifrost import _bifrost, _room
from bifrost._rows import whole
from bifrost._web import Delaunay, Skeleton, comoving, delaunay, distance, fof, fof_sky, skeleton

__all__ = [
    "Delaunay",
    "Skeleton",
    "Tokens",
    "coadd",
    "comoving",
    "delaunay",
    "distance",
    "fof",
    "fof_sky",
    "grid",
    "positions",
    "skeleton",
    "tokenise",
    "tokens",
]


class Tokens(NamedTuple):
    """Spectra cut into patches, after Shen et al. 2025 (arXiv 2510.17959)."""

    tokens: np.ndarray
    """(rows, patches, 2·patch) float32: of each patch its fluxes, then their errors, over |median|."""
    masked: np.ndarray
    """(rows, patches) bool: more than half of the patch's pixels are bad; as `key_padding_mask` of torch."""
    median: np.ndarray
    """(rows) float32: median flux of the good pixels, 10⁻¹⁷ erg/s/cm²/Å; NaN without any."""
    flag: np.ndarray
    """(rows) uint8: 1 |median| below 0.01, which was taken; 2 median below 0; 4 no good pixel."""


def tokens(
    flux: np.ndarray, ivar: np.ndarray, patch: int = 32, *, threads: int | None = None, out: Tokens | None = None
) -> Tokens:
    """Tokens of spectra of one grid, (rows, pixels); bad pixels have ivar 0, or are masked. Patches of 32 or 64 pixels,
    the last filled up with bad ones. Fastest on float32 arrays in C order, which are not copied. `out` are
    arrays of an earlier call of the same shape, whose values are lost. Without them, large tokens take the
    memory of earlier ones that nobody looks at any more, of which up to 256 MiB are kept."""
    if np.ma.isMaskedArray(flux) or np.ma.isMaskedArray(ivar):
        ivar = np.where(np.ma.getmaskarray(flux) | np.ma.getmaskarray(ivar), 0, np.ma.getdata(ivar))
    flux, ivar = _floats("flux", flux, 2), _floats("ivar", ivar, 2)
    if flux.shape != ivar.shape:
        raise _bifrost.UsageError(f"flux has the shape {flux.shape}, ivar {ivar.shape}")
    patch = whole("patch", patch, 1)
    threads = None if threads is None else whole("threads", threads, 0)
    if out is None:
        rows = len(flux)
        patches, width = _bifrost.token_shape(flux.shape[1], patch)
        masked, median, flag = np.zeros((rows, patches), bool), np.zeros(rows, np.float32), np.zeros(rows, np.uint8)
        out = Tokens(_room.floats(rows, patches, width), masked, median, flag)
    _bifrost.tokens(flux, ivar, patch, threads or os.cpu_count() or 1, *out)
    return out


def tokenise(batch: dict[str, np.ndarray], patch: int = 32) -> dict[str, np.ndarray]:
    """For `map_batches` of Ray Data: `flux` and `ivar` of a batch become tokens, all else stays."""
    if missing := {"flux", "ivar"} - batch.keys():
        raise _bifrost.UsageError(f"a batch without {' and '.join(sorted(missing))} has no tokens: read these columns, too")
    made = tokens(batch["flux"], batch["ivar"], patch, threads=1)
    rest = {name: values for name, values in batch.items() if name not in ("flux", "ivar")}
    named = {"tokens": made.tokens, "tokens_masked": made.masked, "tokens_median": made.median, "tokens_flag": made.flag}
    return {**rest, **named}


def positions(patch: int = 32, dimensions: int = 512, wavelength: np.ndarray | None = None) -> np.ndarray:
    """Encodings of where patches are in wavelength, (patches, dimensions) float32: sines, then cosines, of
    λ·ω, ω from 2π/10⁶ to 2π/0.1 per Å, computed in float64. The survey's grid by default."""
    wavelength = grid() if wavelength is None else _floats("wavelength", wavelength, 1, np.float64)
    return _bifrost.positions(wavelength, whole("patch", patch, 1), whole("dimensions", dimensions, 0))


def grid() -> np.ndarray:
    """Wavelengths of the survey's grid: 7,781 pixels of 0.8 Å from 3600 Å, vacuum."""
    return _bifrost.grid()


def coadd(
    wavelength: np.ndarray, flux: np.ndarray, ivar: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flux, ivar and mask of a spectrum's arms on the survey's grid, overlaps weighted by ivar."""
    bits = np.asarray(mask).astype(np.int32, copy=False)
    return _bifrost.coadd(
        _floats("wavelength", wavelength, 1, np.float64), _floats("flux", flux, 1), _floats("ivar", ivar, 1), bits.ravel()
    )


def _floats(name: str, values: Any, dimensions: int, kind: type = np.float32) -> np.ndarray:
    """Floats one after another in memory, of one spectrum or of several."""
    try:
        if getattr(values, "dtype", None) == object and values.ndim == 1 and len(values):
            # arrays in a column of pandas, or in a batch of Ray
            values = np.stack(list(values))
        floats: np.ndarray = np.ascontiguousarray(values, kind)
    except (TypeError, ValueError) as fault:
        raise _bifrost.UsageError(f"{name} holds no numbers, or not as many in each row: {fault}") from fault
    floats = np.atleast_2d(floats) if dimensions == 2 else floats
    if floats.ndim != dimensions:
        what = "one spectrum, (pixels)" if dimensions == 1 else "(rows, pixels)"
        raise _bifrost.UsageError(f"{name} is {what}, and has the shape {floats.shape} here")
    return floats
