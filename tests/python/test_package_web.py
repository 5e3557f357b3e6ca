"""Kernels of the cosmic web in `bifrost.science`, against scipy.

The package `bifrost` is installed, or in PYTHONPATH.
"""

import signal

import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import Delaunay, cKDTree

import bifrost
from bifrost import science


@pytest.fixture(scope="module")
def points():
    dice = np.random.default_rng(8)
    knots = dice.uniform(0, 100, (20, 3))
    clustered = knots[dice.integers(0, 20, 1500)] + dice.normal(0, 1.5, (1500, 3))
    return np.concatenate([clustered, dice.uniform(0, 100, (1500, 3))])


def test_groups_are_those_of_all_pairs(points):
    labels = science.fof(points, 1.2)
    pairs = cKDTree(points).query_pairs(1.2, output_type="ndarray")
    _, expected = connected_components(coo_matrix((np.ones(len(pairs)), pairs.T), shape=(len(points),) * 2), directed=False)
    for group in np.unique(expected):
        rows = np.flatnonzero(expected == group)
        assert set(labels[rows]) == ({rows[0]} if len(rows) > 1 else {-1})
    assert (labels == -1).any() and (labels != -1).any()


def test_groups_on_the_sky_take_lengths_of_each_galaxy():
    ra, dec, z = np.array([359.9999, 0.0001, 0.0001, 180.0]), np.zeros(4), np.array([0.1, 0.1001, 0.2, 0.1])
    assert science.fof_sky(ra, dec, z, np.full(4, 1e-5), np.full(4, 5.0)).tolist() == [0, 0, -1, -1]
    assert science.fof_sky(ra, dec, z, np.full(4, 1e-6), np.full(4, 5.0)).tolist() == [-1] * 4


def test_tetrahedra_are_those_of_qhull(points):
    made = science.delaunay(points)
    assert {*map(tuple, np.sort(made.cells, axis=1))} == {*map(tuple, np.sort(Delaunay(points).simplices, axis=1))}
    none = np.uint32(2**32 - 1)
    for cell in range(0, len(made.cells), 97):
        for corner, other in enumerate(made.neighbours[cell]):
            face = set(made.cells[cell]) - {made.cells[cell][corner]}
            assert other == none or face <= set(made.cells[other])


def test_filaments_lead_to_peaks(points):
    found = science.skeleton(points, 2.0, smooth_density=0, smooth=0)
    assert len(found.density) == len(points) and found.boundary.any() and not found.boundary.all()
    assert len(found.segments) > 10 and len(found.filament) == len(found.segments)
    peaks = points[found.node[found.kind == 3]]
    # without smoothing, peaks are ends of pieces, and pieces run from galaxy to galaxy
    ends = found.segments.reshape(-1, 3)
    assert cKDTree(points).query(ends)[0].max() == 0 and (cKDTree(ends).query(peaks)[0] == 0).mean() > 0.5
    volume = 4 / found.density[~found.boundary]
    assert (volume > 0).all()
    again = science.skeleton(points, 2.0, smooth_density=0, smooth=0)
    assert all((a == b).all() for a, b in zip(found, again, strict=True))


def test_distances_are_those_of_a_dense_line(points):
    segments = np.array([[[0, 0, 0], [100, 100, 100.0]], [[0, 100, 0], [0, 100, 0.0]]])
    along = np.linspace(0, 1, 200_001)[:, None] * 100 + np.zeros(3)
    expected = cKDTree(np.concatenate([along, [[0, 100, 0]]])).query(points)[0]
    assert science.distance(points, segments) == pytest.approx(expected, abs=1e-3)
    assert np.isnan(science.distance(points, np.empty((0, 2, 3)))).all()


def test_distances_in_the_fiducial_cosmology():

    found = science.comoving(np.array([0.0, 0.5, 1.0, -1.0]))
    assert found[0] == 0 and 1950 < found[1] < 1980 and 3380 < found[2] < 3420 and np.isnan(found[3])


def test_distances_in_a_cosmology_of_ones_own():
    z = np.array([0.01, 0.3, 1.1, 3.0])
    expected = FlatLambdaCDM(70, 0.3).comoving_distance(z).value
    assert science.comoving(z, h=0.7, omega_m=0.3) == pytest.approx(expected, rel=1e-8)
    for wrong in ({"h": 0.7}, {"omega_m": 0.3}):
        with pytest.raises(bifrost.UsageError, match="give both"):
            science.comoving(z, **wrong)
    with pytest.raises(bifrost.UsageError, match="h -1 and omega_m 0.3"):
        science.comoving(z, h=-1, omega_m=0.3)


def test_filaments_may_be_of_a_ratio(points):
    every, few, none = (science.skeleton(points, ratio=ratio) for ratio in (1.0, 10.0, 1e30))
    assert len(every.segments) > len(few.segments) > 0 and len(none.segments) <= len(few.segments)
    same = science.skeleton(points, 0.0)
    assert all(np.array_equal(a, b) for a, b in zip(every, same, strict=True))
    with pytest.raises(bifrost.UsageError, match="a ratio from 1 up, not 0.5"):
        science.skeleton(points, ratio=0.5)


def test_signals_are_looked_after_while_a_kernel_works():
    """Ctrl-C ends a call, and does not wait for its end."""
    positions = np.random.default_rng(3).random((150_000, 3))
    calls = []
    before = signal.signal(signal.SIGALRM, lambda *_: calls.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
        science.skeleton(positions)
        assert len(calls) > 3, "one is that of the end"

        def interrupt(*_):
            raise KeyboardInterrupt

        signal.signal(signal.SIGALRM, interrupt)
        with pytest.raises(KeyboardInterrupt):
            science.skeleton(positions)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(science.delaunay(positions[:100]).cells) > 100


def test_what_cannot_be_meant_is_said():
    with pytest.raises(bifrost.UsageError, match="2 columns, not 3"):
        science.delaunay(np.zeros((5, 2)))
    with pytest.raises(bifrost.UsageError, match=r"a column is wanted, not the shape \(2, 2\)"):
        science.fof_sky(np.zeros(4), np.zeros(4), np.ones((2, 2)), 0.1, 1)
    with pytest.raises(bifrost.UsageError, match="linking length -1"):
        science.fof(np.zeros((5, 3)), -1)
    with pytest.raises(bifrost.UsageError, match="sigmas"):
        science.skeleton(np.random.default_rng(1).random((50, 3)), 99)
    with pytest.raises(bifrost.UsageError, match="coordinate NaN"):
        science.delaunay(np.full((5, 3), np.nan))
    assert len(science.delaunay(np.zeros((5, 3))).cells) == 0
    with pytest.raises(bifrost.UsageError, match=r"shape \(5, 3, 1\)"):
        science.fof(np.zeros((5, 3, 1)), 1)
    with pytest.raises(bifrost.UsageError, match="not complex128"):
        science.delaunay(np.zeros((5, 3), complex))
    with pytest.raises(bifrost.UsageError, match=r"shape \(2, 3\)"):
        science.distance(np.zeros((5, 3)), np.zeros((2, 3)))
    with pytest.raises(bifrost.UsageError, match="coordinate 1e300:"):
        science.delaunay(np.full((5, 3), 1e300))
    with pytest.raises(bifrost.UsageError, match="0 times or more"):
        science.skeleton(np.zeros((5, 3)), smooth=-1)


def test_what_is_masked_is_nowhere():
    """What lies under a mask is any number, often that of another galaxy."""
    positions = np.ma.masked_array(np.zeros((4, 3)), [[False] * 3, [False, True, False], [False] * 3, [True] * 3])
    assert science.fof(positions, 1.0).tolist() == [0, -1, 0, -1]
    with pytest.raises(bifrost.UsageError, match="point 1 has a coordinate NaN"):
        science.delaunay(positions)
    assert np.isnan(science.distance(positions, [[[0, 0, 0], [1, 1, 1]]])).tolist() == [False, True, False, True]
    z = np.ma.masked_array([0.1, 0.1, 0.1], [False, True, False])
    assert np.isnan(science.comoving(z)).tolist() == [False, True, False]
    assert science.fof_sky(np.zeros(3), np.zeros(3), z, 1e-3, 1.0).tolist() == [0, -1, 0]


def test_numbers_come_as_people_have_them(points):
    expected = science.fof(points, 1.2)
    frozen, wide = points.copy(), np.zeros((len(points), 6))
    frozen.flags.writeable = False
    wide[:, ::2] = points
    for same in (points.tolist(), frozen, wide[:, ::2], np.asfortranarray(points), points.astype(">f8"), np.ma.masked_array(points)):
        assert (science.fof(same, 1.2) == expected).all()
    for none in ([], np.empty((0, 3))):
        assert len(science.fof(none, 1.0)) == len(science.delaunay(none).cells) == len(science.skeleton(none).density) == 0
    assert np.isnan(science.distance(points[:2], [])).all()
    assert science.comoving([[0.1, 0.2]]).shape == (1, 2)
