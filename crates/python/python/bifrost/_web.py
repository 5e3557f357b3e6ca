"""The cosmic web of positions on numpy arrays: groups, tetrahedra, filaments. Lengths are of one unit, comoving
Mpc where a survey is meant. All cores are used, and the same input gives the same bits. Ctrl-C ends a call at once,
and what its threads do soon after."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bifrost import _bifrost


class Delaunay(NamedTuple):
    """A Delaunay tessellation."""

    cells: np.ndarray
    """(cells, 4) uint32: the vertices of each tetrahedron, rows of the positions."""
    neighbours: np.ndarray
    """(cells, 4) uint32: the cell beyond the face opposite each vertex, 4294967295 where there is none."""


class Skeleton(NamedTuple):
    """Filaments: lines along ridges of density (Sousbie 2011)."""

    segments: np.ndarray
    """(segments, 2, 3) float64: both ends of each piece of the filaments."""
    filament: np.ndarray
    """(segments) uint32: the filament that the piece belongs to."""
    node: np.ndarray
    """(nodes) uint32: rows of the positions at which filaments meet and end."""
    kind: np.ndarray
    """(nodes) uint8: 0 minimum, 1 and 2 saddles, 3 maximum, 4 bifurcation."""
    persistence: np.ndarray
    """(nodes) float64: ratio of the densities of the persistence pair, infinite without a partner."""
    density: np.ndarray
    """(rows) float64: positions by volume (DTFE), before any smoothing; 0 on the hull."""
    boundary: np.ndarray
    """(rows) bool: on the hull or beside it, where density is not to be trusted."""


def _reals(values: np.ndarray) -> np.ndarray:
    """Values as float64; NaN for what an array masks."""
    is_masked = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else None
    values = np.asarray(values)
    if values.dtype.kind not in "biufO":
        raise _bifrost.UsageError(f"real numbers are wanted, not {values.dtype}")
    reals = np.ascontiguousarray(values, np.float64)
    return reals if is_masked is None else np.where(is_masked, np.nan, reals)


def _rows(values: np.ndarray) -> np.ndarray:
    rows = _reals(values)
    if rows.size == 0 and rows.ndim == 1:
        return rows.reshape(0, 3)
    rows = np.atleast_2d(rows)
    if rows.ndim != 2:
        raise _bifrost.UsageError(f"positions have the shape {rows.shape}, not (rows, 3)")
    return rows


def fof(positions: np.ndarray, length: float) -> np.ndarray:
    """Friends of friends: of each of (rows, 3) positions the smallest row of its group, −1 where it is alone.
    Two are friends if they are no farther apart than `length`; what has a coordinate that is not finite is alone."""
    return _bifrost.fof_isotropic(_rows(positions), length)


def fof_sky(
    ra: np.ndarray,
    dec: np.ndarray,
    z: np.ndarray,
    across: np.ndarray,
    along: np.ndarray,
    *,
    h: float | None = None,
    omega_m: float | None = None,
) -> np.ndarray:
    """Friends of friends in redshift space, as :func:`fof`. Two are friends if the chord between their directions
    is at most the mean of their lengths `across` (radian), and their comoving distances differ by at most the mean
    of their lengths `along` (Mpc): Robotham et al. 2011. A length may be one number for all. What is nowhere, or
    has no length, is alone. Distances are those of :func:`comoving`."""
    ra, dec, distance = np.atleast_1d(_reals(ra)), np.atleast_1d(_reals(dec)), comoving(z, h=h, omega_m=omega_m)
    across, along = (_reals(np.broadcast_to(a, ra.shape) if np.ndim(a) == 0 else a) for a in (across, along))
    for values in (ra, dec, distance, across, along):
        if values.ndim != 1:
            raise _bifrost.UsageError(f"a column is wanted, not the shape {values.shape}")
    return _bifrost.fof_sky(ra, dec, distance, across, along)


def comoving(z: np.ndarray, *, h: float | None = None, omega_m: float | None = None) -> np.ndarray:
    """Comoving distances (Mpc) of redshifts in DESI's fiducial cosmology, in the shape of these; NaN where there is
    none. With `h` and `omega_m` the cosmology is flat ΛCDM of these, without radiation."""
    if (h is None) != (omega_m is None):
        raise _bifrost.UsageError("h and omega_m make a cosmology together: give both")
    flat = None if h is None or omega_m is None else (h, omega_m)
    z = np.atleast_1d(_reals(z))
    return _bifrost.comoving(z.ravel(), flat).reshape(z.shape)


def delaunay(positions: np.ndarray) -> Delaunay:
    """The Delaunay tetrahedra of (rows, 3) positions; equal positions count once."""
    return Delaunay(*_bifrost.delaunay(_rows(positions)))


def skeleton(
    positions: np.ndarray,
    sigmas: float = 3.0,
    *,
    ratio: float | None = None,
    smooth_density: int = 1,
    smooth: int = 1,
    keep_boundary: bool = False,
) -> Skeleton:
    """Filaments of (rows, 3) positions that stand out of Poisson noise by so many sigmas, or, with `ratio`,
    of persistence pairs whose densities have at least that ratio. Densities are averaged
    over neighbours `smooth_density` times before, which makes sigmas nominal; lines are smoothed `smooth` times
    after."""
    if smooth_density < 0 or smooth < 0:
        raise _bifrost.UsageError("smoothing is done 0 times or more")
    return Skeleton(*_bifrost.skeleton(_rows(positions), sigmas, ratio, smooth_density, smooth, keep_boundary))


def distance(positions: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """Euclidean distance of (rows, 3) positions to the nearest of (segments, 2, 3); NaN without any."""
    segments = _reals(segments)
    if segments.size == 0:
        segments = segments.reshape(0, 2, 3)
    if segments.ndim != 3:
        raise _bifrost.UsageError(f"segments have the shape {segments.shape}, not (number, 2, 3)")
    return _bifrost.distance_to_segments(_rows(positions), segments)
