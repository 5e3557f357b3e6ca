"""The cosmic web of positions on numpy arrays: groups, tetrahedra, filaments. Lengths are of one unit, comoving
Mpc where a survey is meant. All cores are used, and the same input gives the same bits."""

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


def _rows(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.atleast_2d(values), np.float64)


def fof(positions: np.ndarray, length: float) -> np.ndarray:
    """Friends of friends: of each of (rows, 3) positions the smallest row of its group, −1 where it is alone.
    Two are friends if they are no farther apart than `length`."""
    return _bifrost.fof_isotropic(_rows(positions), length)


def fof_sky(ra: np.ndarray, dec: np.ndarray, z: np.ndarray, across: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Friends of friends in redshift space, as :func:`fof`. Two are friends if the chord between their directions
    is at most the mean of their lengths `across` (radian), and their comoving distances differ by at most the mean
    of their lengths `along` (Mpc): Robotham et al. 2011."""
    arrays = (ra, dec, comoving(z), across, along)
    return _bifrost.fof_sky(*(np.ascontiguousarray(values, np.float64) for values in arrays))


def comoving(z: np.ndarray) -> np.ndarray:
    """Comoving distances (Mpc) of redshifts in DESI's fiducial cosmology; NaN where there is none."""
    return _bifrost.comoving(np.ascontiguousarray(np.atleast_1d(z), np.float64))


def delaunay(positions: np.ndarray) -> Delaunay:
    """The Delaunay tetrahedra of (rows, 3) positions; equal positions count once."""
    return Delaunay(*_bifrost.delaunay(_rows(positions)))


def skeleton(
    positions: np.ndarray,
    sigmas: float = 3.0,
    *,
    smooth_density: int = 1,
    smooth: int = 1,
    keep_boundary: bool = False,
) -> Skeleton:
    """Filaments of (rows, 3) positions that stand out of Poisson noise by so many sigmas. Densities are averaged
    over neighbours `smooth_density` times before, lines smoothed `smooth` times after."""
    return Skeleton(*_bifrost.skeleton(_rows(positions), sigmas, smooth_density, smooth, keep_boundary))


def distance(positions: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """Euclidean distance of (rows, 3) positions to the nearest of (segments, 2, 3); NaN without any."""
    return _bifrost.distance_to_segments(_rows(positions), np.ascontiguousarray(segments, np.float64))
