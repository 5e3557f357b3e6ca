"""The Python package in processes that were forked, as torch's DataLoader does, and in those that get
what is pickled. Nothing here may wait for ever.

BIFROST_BIN names the program; the package is installed, or in PYTHONPATH. BIFROST_SOAK=1 forks 4,000
times instead of 100 while rows are read.
"""

import multiprocessing
import os
import pickle

import numpy as np
import pyarrow as pa
import pytest

import bifrost
from bifrost import science
from conftest import new_lake

PATIENCE = 60
FORKS = 4000 if os.environ.get("BIFROST_SOAK") else 100


@pytest.fixture(scope="module")
def place():
    with new_lake(3) as place:
        yield place


@pytest.fixture(scope="module")
def lake(place):
    return bifrost.open(place.lake, place.database_url)


def forked(work):
    """What work gives in a forked process, or the words of its error."""

    def child(end):
        try:
            end.send(work())
        except bifrost.Error as error:
            end.send(f"{type(error).__name__}: {error}")

    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=child, args=(there,))
    process.start()
    try:
        assert here.poll(PATIENCE), "the forked process waits for ever"
        return here.recv()
    finally:
        process.kill()
        process.join()


def test_a_forked_process_asks_the_lake_anew(lake):
    answer = lake.resolve("z > 1")
    rows = answer.read(["target_id", "z"])
    table = rows.to_arrow()
    ids = table.column("target_id").to_pylist()[:5]
    near = {"ra": [10.0], "dec": [10.0]}
    asked = {
        "resolve": lambda: len(lake.resolve("z > 1")),
        "read": lambda: answer.read(["target_id", "z"]).to_arrow(),
        "rows": lambda: rows.to_arrow(),
        "spectrum": lambda: lake.spectrum(ids[0]).flux.sum(),
        "spectra": lambda: [spectrum.target_id for spectrum in lake.spectra(ids)],
        "crossmatch": lambda: lake.crossmatch(near, 3600 * 180, columns=["target_id"]).num_rows,
    }
    expected = {name: ask() for name, ask in asked.items()}
    assert expected["resolve"] == len(answer) > 0 and expected["rows"] == table
    for name, ask in asked.items():
        assert forked(ask) == expected[name], name
    # in turn, in one process, and in one that is forked from that
    assert forked(lambda: [ask() for ask in asked.values()]) == list(expected.values())
    assert forked(lambda: forked(asked["resolve"])) == len(answer)
    assert lake.resolve("z > 1").paths() == answer.paths(), "the process itself goes on"


def test_kernels_run_in_a_forked_process(lake):
    positions = np.random.default_rng(1).random((2000, 3))
    flux = np.random.default_rng(2).random((8, 7781), np.float32)
    kernels = {
        "tokens": lambda: science.tokens(flux, flux, threads=2).tokens,
        "fof": lambda: science.fof(positions, 0.05),
        "delaunay": lambda: science.delaunay(positions).cells,
        "skeleton": lambda: science.skeleton(positions).density,
        "distance": lambda: science.distance(positions, positions.reshape(-1, 2, 3)),
        "comoving": lambda: science.comoving(positions[:, 0]),
    }
    expected = {name: kernel() for name, kernel in kernels.items()}
    for name, kernel in kernels.items():
        np.testing.assert_array_equal(forked(kernel), expected[name], name)


def test_what_the_parent_reads_is_not_gone_on_with(lake):
    rows = lake.resolve("z > -9").read(["target_id", "flux"], batch_bytes=1000)
    batches = iter(rows)
    taken = next(batches).num_rows
    assert "begin anew" in forked(lambda: next(batches).num_rows)
    assert taken + sum(batch.num_rows for batch in batches) == rows.count()


def test_no_lock_is_waited_for_that_a_thread_of_the_parent_held(lake):
    """A fork comes at any moment: in most, a thread delivers a batch, looks for a footer or a buffer."""
    answer = lake.resolve("z > -9")
    rows = answer.read(["target_id", "flux"], batch_bytes=1000)
    count = rows.count()

    def child(batches, stream):
        batches.close()
        with pytest.raises(Exception, match="begin anew"):
            stream.read_next_batch()
        del stream
        return sum(batch.num_rows for batch in rows)

    for _ in range(FORKS):
        batches = iter(rows)
        stream = pa.RecordBatchReader.from_stream(rows)
        next(batches)
        assert forked(lambda: child(batches, stream)) == count
        batches.close()


def test_a_forked_process_can_let_go_of_a_lake(place):
    held = [bifrost.open(place.lake, place.database_url)]
    held.append(held[0].resolve("z > 1"))
    assert forked(lambda: held.clear() or "let go") == "let go"
    assert held[0].resolve("z > 1").paths() == held[1].paths()


def test_a_lake_can_be_pickled(lake, place):
    again = pickle.loads(pickle.dumps(lake))
    assert again.resolve("z > 1").paths() == lake.resolve("z > 1").paths()
    before = os.getcwd()
    os.chdir(place.folder)
    try:
        near = bifrost.open("lake", place.database_url)
    finally:
        os.chdir(before)
    assert len(pickle.loads(pickle.dumps(near)).resolve()) == 4
