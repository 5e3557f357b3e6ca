"""`Resolution.torch_dataset`: every row once, the same from the same seed, gone on with in mid-epoch.

Runs where torch is (see ops/test). BIFROST_BIN names the program.
"""

import copy
import gc
import pickle
import resource
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch.utils.data import DataLoader

import bifrost
import bifrost.shm
import bifrost.torch
from conftest import new_place

QUESTION = "zwarn >= 0"
EXAMPLES = Path(__file__).parents[2] / "crates/python/examples"


@pytest.fixture(scope="module")
def place():
    """Four tiles in small row groups."""
    with new_place() as place:
        place.run("mock", "--out", place.folder / "archive", "--objects", 60, "--seed", 4, "--tiles", 4)
        place.run("convert", place.folder / "archive", "--group-rows", 16)
        place.run("sync")
        yield place


@pytest.fixture(scope="module")
def answer(place):
    return bifrost.open(place.lake, place.database_url).resolve(QUESTION)


@pytest.fixture(scope="module")
def ids(answer):
    return answer.read(["target_id"]).to_arrow().column("target_id").to_pylist()


def targets(batches):
    return [target for batch in batches for target in batch["target_id"].tolist()]


def test_batches_are_the_rows(answer, ids):
    rows = answer.torch_dataset(["target_id", "z", "flux", "spectype"], batch_size=32)
    batches = list(rows)
    assert targets(batches) == ids
    assert [len(batch["z"]) for batch in batches[:-1]] == [32] * (len(batches) - 1)
    table = answer.read(["z", "flux", "spectype"]).to_arrow()
    first = batches[0]
    assert first["flux"].dtype == torch.float32 and first["flux"].shape[0] == 32
    assert first["flux"][3].tolist() == table.column("flux")[3].as_py()
    assert first["spectype"] == table.column("spectype").to_pylist()[:32]
    assert torch.cat([batch["z"] for batch in batches]).tolist() == table.column("z").to_pylist()
    full = list(answer.torch_dataset(["z"], batch_size=32, drop_last=True))
    assert len(full) == len(ids) // 32


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("shuffle", [False, True])
def test_workers_share_the_rows(answer, ids, workers, shuffle):
    rows = answer.torch_dataset(["target_id"], batch_size=8, shuffle=shuffle, seed=5)
    found = targets(DataLoader(rows, batch_size=None, num_workers=workers))
    assert sorted(found) == sorted(ids)
    assert (found == ids) == (not shuffle and workers < 2)
    singly = answer.torch_dataset(["target_id"], shuffle=shuffle, seed=5)
    found = targets(DataLoader(singly, batch_size=16, num_workers=workers))
    assert sorted(found) == sorted(ids)


def test_ranks_share_the_rows(answer, ids):
    parts = [targets(answer.torch_dataset(["target_id"], batch_size=8, rank=rank, world_size=3)) for rank in range(3)]
    assert sorted(sum(parts, [])) == sorted(ids) and all(parts)
    for wrong in ({"rank": 1}, {"world_size": 2}, {"rank": 2, "world_size": 2}, {"rank": -1, "world_size": 2}):
        with pytest.raises(bifrost.UsageError, match="rank"):
            answer.torch_dataset(["target_id"], **wrong)


def test_the_order_follows_from_seed_and_epoch(answer):
    def order(seed, epoch):
        rows = answer.torch_dataset(["target_id"], batch_size=8, shuffle=True, seed=seed)
        rows.set_epoch(epoch)
        return targets(DataLoader(rows, batch_size=None, num_workers=2))

    assert order(1, 0) == order(1, 0) != order(1, 1) != order(2, 1)
    # rows of several row groups are mixed, not only the groups
    rows = targets(answer.torch_dataset(["target_id"], batch_size=8, shuffle=True, seed=1, window=4))
    inputs = {target: part for part, batch in enumerate(answer.read(["target_id"]).split(1)) for target in batch.to_arrow().column(0).to_pylist()}
    assert len({inputs[target] for target in rows[:16]}) > 1


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("seen", [0, 1, 7, 19])
def test_a_pass_is_gone_on_with(answer, workers, seen):
    def loader():
        rows = answer.torch_dataset(["target_id"], batch_size=8, shuffle=True, seed=3, window=2)
        return rows, DataLoader(rows, batch_size=None, num_workers=workers)

    _, whole = loader()
    batches = [batch["target_id"].tolist() for batch in whole]
    rows, rest = loader()
    rows.load_state_dict({"epoch": 0, "batches": seen})
    assert [batch["target_id"].tolist() for batch in rest] == batches[seen:]
    if workers == 0:
        rows, some = loader()
        for _ in zip(range(seen), iter(rows)):
            pass
        assert rows.state_dict() == {"epoch": 0, "batches": seen}


@pytest.mark.parametrize(("workers", "shuffle"), [(2, True), (3, False), (3, True), (5, True)])
@pytest.mark.parametrize("drop_last", [False, True])
def test_a_pass_is_gone_on_with_where_some_workers_have_no_more(answer, workers, shuffle, drop_last):
    def loader():
        rows = answer.torch_dataset(["target_id"], batch_size=5, shuffle=shuffle, seed=3, drop_last=drop_last)
        return rows, DataLoader(rows, batch_size=None, num_workers=workers)

    batches = [batch["target_id"].tolist() for batch in loader()[1]]
    for left in range(8):
        rows, rest = loader()
        rows.load_state_dict({"epoch": 0, "batches": len(batches) - left})
        assert [batch["target_id"].tolist() for batch in rest] == batches[len(batches) - left :], left
        # what was gone on with is whole the next time
        assert left or [batch["target_id"].tolist() for batch in rest] == batches


def test_workers_cannot_go_on_where_they_do_not_know_the_batches(answer):
    rows = answer.torch_dataset(["target_id"])
    rows.load_state_dict({"epoch": 0, "batches": 16})
    with pytest.raises(bifrost.UsageError, match="batch_size"):
        list(DataLoader(rows, batch_size=8, num_workers=2))


def test_every_pass_is_counted_from_its_beginning(answer):
    rows = answer.torch_dataset(["target_id"], batch_size=8)
    list(rows)
    for _ in zip(range(3), iter(rows)):
        pass
    assert rows.state_dict() == {"epoch": 0, "batches": 3}


def test_workers_that_stay_are_told_the_epoch(answer, ids):
    def orders(persistent):
        rows = answer.torch_dataset(["target_id"], batch_size=8, shuffle=True, seed=1)
        loader = DataLoader(rows, batch_size=None, num_workers=2, persistent_workers=persistent)
        for epoch in range(3):
            rows.set_epoch(epoch)
            yield targets(loader)
        rows.load_state_dict({"epoch": 1, "batches": 4})
        yield targets(loader)

    stay, anew = list(orders(True)), list(orders(False))
    assert stay == anew and stay[0] != stay[1] != stay[2]
    assert stay[3] == stay[1][32:] and all(sorted(order) == sorted(ids) for order in stay[:3])


def test_what_is_kept_is_what_was_read(answer):
    wanted = next(iter(answer.torch_dataset(["flux"], batch_size=4)))["flux"].clone()
    with bifrost.shm.Cache() as cache:
        rows = answer.torch_dataset(["flux"], batch_size=4, cache=cache)
        for batch in rows:
            batch["flux"].zero_()
        assert torch.equal(next(iter(rows))["flux"], wanted)


def test_a_cache_stands_what_others_do_to_its_disk(answer, monkeypatch):
    wanted = targets(answer.torch_dataset(["target_id"], batch_size=32))
    with bifrost.shm.Cache() as cache:
        (cache.folder / "draft.1").symlink_to(cache.folder / "renamed meanwhile")
        rows = answer.torch_dataset(["target_id"], batch_size=32, cache=cache)
        assert targets(rows) == wanted and cache.size_bytes > 0

    def full(*_):
        raise OSError(28, "No space left on device")

    with bifrost.shm.Cache() as cache:
        monkeypatch.setattr(bifrost.shm.pa.ipc, "new_file", full)
        assert targets(answer.torch_dataset(["target_id"], batch_size=32, cache=cache)) == wanted
        assert not list(cache.folder.iterdir())


def test_what_was_decoded_is_kept_for_later_passes(answer, ids):
    with bifrost.shm.Cache() as cache:
        rows = answer.torch_dataset(["target_id", "flux"], batch_size=32, cache=cache)
        first = list(DataLoader(rows, batch_size=None, num_workers=2))
        folder, size = cache.folder, cache.size_bytes
        assert size > 0 and sorted(targets(first)) == sorted(ids)
        moved = [(path, path + ".away") for path in answer.paths()]
        for path, away in moved:
            Path(path).rename(away)
        try:
            again = list(DataLoader(rows, batch_size=None, num_workers=2))
        finally:
            for path, away in moved:
                Path(away).rename(path)
        assert targets(again) == targets(first) and torch.equal(again[0]["flux"], first[0]["flux"])
        assert cache.size_bytes == size
        again[0]["flux"].zero_()
        assert torch.equal(next(iter(rows))["flux"], answer.torch_dataset(["flux"], batch_size=32).__iter__().__next__()["flux"])
    assert not folder.exists()
    with bifrost.shm.Cache(limit_bytes=1000) as cache:
        assert len(list(answer.torch_dataset(["flux"], batch_size=32, cache=cache))) == len(first) and cache.size_bytes == 0


def test_tensors_lie_where_the_rows_lie(answer):
    batch = next(iter(answer.read(["z", "flux"])))
    found = bifrost.torch.tensors(batch)
    assert found["flux"].data_ptr() == batch.column("flux").values.buffers()[1].address
    assert found["z"].data_ptr() == batch.column("z").buffers()[1].address


@pytest.mark.parametrize("size", [7, 1000])
def test_workers_hand_over_what_they_read(answer, size):
    columns = ["target_id", "z", "flux", "mask_array", "has_emline", "spectype"]
    loader = DataLoader(answer.torch_dataset(columns, batch_size=size), batch_size=None, num_workers=2)
    table = answer.read(columns).to_arrow()
    place = {target: row for row, target in enumerate(table.column("target_id").to_pylist())}
    seen = 0
    for batch in loader:
        assert all(batch[name].is_shared() for name in columns[:-1])
        rows = [place[target] for target in batch["target_id"].tolist()]
        wanted = bifrost.torch.tensors(table.take(rows))
        assert all(torch.equal(batch[name], wanted[name]) for name in columns[:-1])
        assert batch["spectype"] == wanted["spectype"]
        seen += len(rows)
    assert seen == len(place)


def test_a_worker_reads_empty_arrays(monkeypatch):
    monkeypatch.setattr(bifrost.torch, "get_worker_info", lambda: object())
    found = bifrost.torch.tensors(pa.table({"a": pa.array([[], []], pa.list_(pa.float32())), "b": [1.5, 2.5]}))
    assert found["a"].shape == (2, 0) and found["b"].tolist() == [1.5, 2.5] and found["b"].is_shared()


def test_what_a_tensor_cannot_say(answer):
    table = pa.table({"a": pa.array([1, None]), "b": pa.array([1.5, None]), "c": pa.array([[1.0], [2.0, 3.0]])})
    with pytest.raises(bifrost.UsageError, match="column 'a' has NULL"):
        bifrost.torch.tensors(table)
    found = bifrost.torch.tensors(table.select(["b", "c"]))
    assert found["b"][0] == 1.5 and found["b"][1].isnan() and [len(row) for row in found["c"]] == [1, 2]


def test_all_columns_come_as_tensors_of_one_type(answer):
    """The lines of what is no galaxy are NULL; those of the next batch may not be."""
    table = answer.read().to_arrow()
    assert table.column("oii_ndof").null_count and pa.types.is_int32(table.schema.field("oii_ndof").type)
    batches = list(DataLoader(answer.torch_dataset(batch_size=16), batch_size=None, num_workers=2))
    found = torch.cat([batch["oii_ndof"] for batch in batches])
    assert {batch["oii_ndof"].dtype for batch in batches} == {torch.float64}
    assert sorted(found[~found.isnan()].tolist()) == sorted(x for x in table.column("oii_ndof").to_pylist() if x is not None)
    assert int(found.isnan().sum()) == table.column("oii_ndof").null_count
    assert batches[0]["target_id"].dtype == batches[0]["zwarn"].dtype == torch.int64
    collated = DataLoader(answer.torch_dataset(), batch_size=16, num_workers=1)
    assert sum(len(batch["oii_ndof"]) for batch in collated) == table.num_rows
    with pytest.raises(bifrost.UsageError, match="column 'oii_ndof' has NULL"):
        list(answer.torch_dataset(["oii_ndof"], batch_size=16))
    [named] = answer.torch_dataset(["coadd_numexp"], batch_size=10_000)
    assert named["coadd_numexp"].dtype == torch.int16


def test_all_columns_are_those_that_tensors_can_say():
    """Files of others: every column may be NULL, of which some are."""
    with new_place() as place:
        (place.lake / "mine").mkdir(parents=True)
        for number in range(2):
            table = pa.table({
                "target_id": [2 * number + (1 << 60), 2 * number + 1],
                "seen": pa.array([True, None if number else False]),
                "count": pa.array([1, None] if number else [1, 2], pa.int64()),
                "name": ["a", None],
            })
            pq.write_table(table, place.lake / "mine" / f"{number}.parquet")
        place.run("sync")
        lake = bifrost.open(place.lake, place.database_url)
        answer = lake.resolve(product="mine")
        with pytest.warns(UserWarning, match="since some rows have NULL there .*: count;"):
            rows = answer.torch_dataset(batch_size=2)
        first, second = DataLoader(rows, batch_size=None, num_workers=1)
        assert set(first) == set(second) == {"target_id", "seen", "name"}
        assert first["target_id"].tolist() == [1 << 60, 1] and second["name"] == ["a", None]
        assert first["seen"].tolist() == [1.0, 0.0] and second["seen"].dtype == torch.float64
        assert second["seen"][0] == 1 and second["seen"][1].isnan()
        with pytest.raises(bifrost.UsageError, match="column 'count' has NULL, which int64 cannot say"):
            list(answer.torch_dataset(["count"], batch_size=2))
        with pytest.raises(bifrost.UsageError, match="column 'seen' has NULL"):
            list(answer.torch_dataset(["seen"], batch_size=2))
        # a question that leaves NULL out has all of them
        [batch] = lake.resolve("count > 0", product="mine").torch_dataset(batch_size=4)
        assert batch["count"].tolist() == [1, 2, 1]


def test_what_gives_no_batches_is_refused(answer):
    with pytest.raises(bifrost.UsageError, match="a batch without columns"):
        answer.torch_dataset([], batch_size=8)
    with pytest.raises(bifrost.UsageError, match="a cache is a bifrost.shm.Cache, not '/dev/shm'"):
        answer.torch_dataset(["z"], cache="/dev/shm")
    with pytest.raises(bifrost.UsageError, match="limit_bytes is a whole number"):
        bifrost.shm.Cache(limit_bytes=-1)


@pytest.mark.parametrize("wrong", [{"batch_size": 2.5}, {"batch_size": 0}, {"seed": -1}, {"window": 0}])
def test_numbers_that_mean_nothing_are_refused(answer, wrong):
    with pytest.raises(bifrost.UsageError, match=f"{next(iter(wrong))} is a whole number"):
        answer.torch_dataset(["z"], **wrong)


def test_a_copy_of_a_cache_takes_nothing_away(answer, ids):
    with bifrost.shm.Cache() as cache:
        rows = answer.torch_dataset(["target_id"], batch_size=16, cache=cache)
        assert targets(rows) == ids
        kept = cache.size_bytes
        # what is kept is found by whoever has it from elsewhere
        for again in (copy.deepcopy(rows), pickle.loads(pickle.dumps(rows))):
            assert targets(again) == ids
            del again
        gc.collect()
        assert cache.size_bytes == kept > 0
        assert targets(rows) == ids
    assert not cache.folder.exists() and cache.size_bytes == 0
    assert targets(rows) == ids


@pytest.mark.parametrize("state", [{"epoch": 0}, {"epoch": 0, "batches": -1}, {"epoch": "1", "batches": 0}])
def test_a_state_that_is_none_is_refused(answer, state):
    with pytest.raises(bifrost.UsageError, match="is a whole number"):
        answer.torch_dataset(["z"], batch_size=16).load_state_dict(state)


def test_memory_does_not_grow_with_epochs(answer):
    rows = answer.torch_dataset(["flux", "ivar"], batch_size=16, shuffle=True)

    def passes(count):
        for epoch in range(count):
            rows.set_epoch(epoch)
            for _ in rows:
                pass
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    before = passes(5)
    assert passes(20) < before * 1.1


def test_an_autoencoder_learns(place):
    command = [sys.executable, EXAMPLES / "train_autoencoder.py", place.lake, "--database-url", place.database_url, "--epochs", "4"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    losses = [float(line.split()[-1]) for line in ended.stdout.splitlines() if line.startswith("epoch")]
    assert len(losses) == 4 and losses[-1] < 0.8 * losses[0], ended.stdout
