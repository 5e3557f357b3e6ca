"""Spectra stores: what h5py reads of them, what is registered, and what becomes of them when their
inputs or they themselves change.

BIFROST_BIN names the program.
"""

import json
import os
import shutil
import subprocess
import time

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest

ARRAYS = {"flux": "flux", "ivar": "ivar", "mask": "mask_array"}


@pytest.fixture
def lake(place):
    """A registered lake with stores: three tiles in two pixels."""
    mock(place, "dark", 2)
    mock(place, "bright", 1)
    place.run("convert", place.folder / "archive")
    place.run("stage", "run", "spectra-h5")
    return place


def mock(place, program, tiles, seed=1, objects=25):
    place.run("mock", "--out", place.folder / "archive", "--objects", objects, "--seed", seed,
              "--tiles", tiles, "--program", program)


def parquet(lake):
    return sorted((lake.lake / "spectra").rglob("*.parquet"))


def stores(lake):
    return sorted((lake.lake / "spectra-h5").rglob("*.h5"))


def states(lake):
    rows = lake.sql("SELECT concat_ws('-', release, survey, program, healpix), state, reason FROM store_tiles(1)")
    return {tile: (state, reason) for tile, state, reason in rows}


def spectrum(lake, target, *arguments):
    return [json.loads(line) for line in lake.run("spectrum", target, "--json", *arguments).stdout.splitlines()]


def first(path):
    return pq.read_table(path, columns=["target_id", "program", "flux"]).to_pylist()[0]


def test_h5py_reads_what_parquet_holds(lake):
    assert [path.relative_to(lake.lake).as_posix() for path in stores(lake)] == [
        "spectra-h5/Norder=6/Dir=10000/Npix=10000.h5", "spectra-h5/Norder=6/Dir=10000/Npix=10001.h5"]
    seen = 0
    for path in parquet(lake):
        table = pq.read_table(path)
        release, survey, program, pixel = path.stem.rsplit("_")[0].split("-")
        store = lake.lake / f"spectra-h5/Norder=6/Dir=10000/Npix={pixel}.h5"
        with h5py.File(store) as file:
            group = file[f"{release}/{survey}/{program}"]
            assert file[f"{survey}/{program}"] == group
            for name, column in ARRAYS.items():
                np.testing.assert_array_equal(group[name][:], np.stack(table[column].to_numpy()))
                assert group[name].chunks == (1, group[name].shape[1])
            assert group["flux"].attrs["unit"] == "10**-17.erg.s**-1.cm**-2.Angstrom**-1"
            assert group["wavelength"].attrs["unit"] == "Angstrom"
            for wavelength in table["wavelength"]:
                np.testing.assert_array_equal(group["wavelength"][:], wavelength.as_py())
            ids = group["target_id"][:]
            assert ids.tolist() == table["target_id"].to_pylist()
            assert (np.diff(group["target_id_sorted"][:]) > 0).all()
            assert (ids[group["row"][:]] == group["target_id_sorted"][:]).all()
            about = pq.ParquetFile(path).metadata.metadata
            assert group.attrs["input"] == path.name
            assert group.attrs["input_content"] == about[b"bifrost.content"].decode()
            assert group.attrs["order_hash"] == about[b"bifrost.order"].decode()
            assert (file.attrs["stage"], file.attrs["stage_version"]) == ("spectra-h5", 1)
        seen += table.num_rows
    assert seen == lake.sql("SELECT sum(num_rows)::int FROM store_groups")[0][0]


def test_the_registry_knows_stores_their_groups_and_their_chunks(lake):
    files = lake.sql("SELECT path, state, num_rows, num_row_groups, content FROM file_registry"
                     " WHERE product = 'spectra-h5' ORDER BY path")
    assert [(path, state, groups) for path, state, _, groups, _ in files] == [
        ("spectra-h5/Norder=6/Dir=10000/Npix=10000.h5", "live", 2),
        ("spectra-h5/Norder=6/Dir=10000/Npix=10001.h5", "live", 1)]
    assert all(content.startswith("blake3:") for *_, content in files)
    groups = lake.sql("SELECT path, group_path, g.num_rows, num_pixels, chunks_at, target_id_at, wavelength_at"
                      " FROM store_groups g JOIN file_registry USING (file_id)")
    for path, name, rows, pixels, chunks_at, ids_at, wave_at in groups:
        raw = (lake.lake / path).read_bytes()
        with h5py.File(lake.lake / path) as file:
            group = file[name]
            assert group["target_id"].id.get_offset() == ids_at
            assert np.frombuffer(raw, "<i8", rows, ids_at).tolist() == group["target_id"][:].tolist()
            np.testing.assert_array_equal(np.frombuffer(raw, "<f8", pixels, wave_at), group["wavelength"][:])
            chunks = np.frombuffer(raw, [("at", "<u8"), ("size", "<u4"), ("skipped", "<u4")], 3 * rows, chunks_at)
            for row in range(rows):
                for array, name in enumerate(ARRAYS):
                    info = group[name].id.get_chunk_info_by_coord((row, 0))
                    assert tuple(chunks[3 * row + array]) == (info.byte_offset, info.size, info.filter_mask)
    assert set(states(lake).values()) == {("made", None)}
    assert "spectra store" in lake.run("read", "--product", "spectra-h5", code=2).stderr
    assert lake.json("sync")["commit"] is None
    assert lake.json("verify", "--deep")["findings"] == []


@pytest.mark.parametrize("compression", ["gzip=4", "none"])
def test_spectra_come_from_stores_and_are_the_same(lake, compression):
    before = {path: first(path) for path in parquet(lake)}
    lake.run("stage", "run", "spectra-h5", "--force", "--store-compression", compression)
    for row in before.values():
        (found,) = spectrum(lake, row["target_id"], "--program", row["program"])
        assert found["store"] in map(str, stores(lake))
        np.testing.assert_array_equal(np.array(found["flux"], "f4"), np.array(row["flux"], "f4"))
    # as from Parquet, to the last digit
    with_store = {path: spectrum(lake, row["target_id"], "--program", row["program"]) for path, row in before.items()}
    shutil.rmtree(lake.lake / "spectra-h5")
    lake.run("sync")
    for path, row in before.items():
        (found,) = spectrum(lake, row["target_id"], "--program", row["program"])
        (then,) = with_store[path]
        assert found["store"] is None
        assert {**found, "store": then["store"]} == then
    assert {state for state, _ in states(lake).values()} == {"missing"}


def test_only_what_is_missing_or_stale_is_made(lake):
    report = lake.json("stage", "run", "spectra-h5")
    assert report["totals"] == {} and report["up_to_date"] == 2
    assert lake.json("stage", "run", "spectra-h5", "--no-registry")["totals"] == {"unchanged": 2}
    times = {path: path.stat().st_mtime_ns for path in stores(lake)}
    # a tile of one pixel is made again, of other rows
    lake.run("convert", lake.folder / "archive", "--where", "z > 0.5")
    lake.run("sync")
    assert {state for state, _ in states(lake).values()} == {"stale"}
    # what is stale is not read: rows have moved
    kept = {path: first(path) for path in parquet(lake)}
    for now in kept.values():
        (found,) = spectrum(lake, now["target_id"], "--program", now["program"])
        assert found["store"] is None
        np.testing.assert_array_equal(np.array(found["flux"], "f4"), np.array(now["flux"], "f4"))
    foreseen = lake.json("stage", "run", "spectra-h5", "--dry-run")
    assert [planned["pixel"] for planned in foreseen["pixels"]] == [10000, 10001]
    assert foreseen["storage"]["parquet_bytes"] == sum(path.stat().st_size for path in parquet(lake))
    assert {path: path.stat().st_mtime_ns for path in stores(lake)} == times
    assert lake.json("stage", "run", "spectra-h5")["totals"] == {"converted": 2}
    assert set(states(lake).values()) == {("made", None)}
    for now in kept.values():
        (found,) = spectrum(lake, now["target_id"], "--program", now["program"])
        assert found["store"] is not None
        np.testing.assert_array_equal(np.array(found["flux"], "f4"), np.array(now["flux"], "f4"))
    # what was replaced is kept
    assert len(list((lake.lake / ".bifrost/replaced").rglob("*.h5"))) == 2


def test_a_store_without_inputs_is_set_aside(lake):
    (lonely,) = (path for path in parquet(lake) if "10001" in path.name)
    lonely.unlink()
    lake.run("stage", "run", "spectra-h5")
    assert [path.name for path in stores(lake)] == ["Npix=10000.h5"]
    assert list((lake.lake / ".bifrost/replaced").rglob("Npix=10001.h5"))
    assert set(states(lake).values()) == {("made", None)}


def test_a_damaged_or_foreign_store_is_quarantined_and_parquet_read_instead(lake):
    store = stores(lake)[0]
    whole = store.read_bytes()
    row = first(parquet(lake)[0])

    def shown():
        (found,) = spectrum(lake, row["target_id"], "--program", row["program"])
        np.testing.assert_array_equal(np.array(found["flux"], "f4"), np.array(row["flux"], "f4"))
        return found["store"]

    for bytes_now, words in (
        (whole[:-1], "does not end in an index"),
        (whole[: len(whole) // 2], "does not end in an index"),
        (b"", "is empty"),
        (whole[:-200] + bytes(100) + whole[-100:], "its index is not what its checksum states"),
    ):
        store.write_bytes(whole)
        lake.run("sync")
        assert shown() == str(store)
        store.write_bytes(bytes_now)
        # the registry still names it, and Parquet is read
        assert shown() == str(store)
        lake.run("sync", code=3)
        ((state, reason),) = lake.sql(
            "SELECT state, reason FROM file_registry WHERE path LIKE '%%10000.h5' AND removed_commit IS NULL")
        assert state == "quarantined" and words in reason
        assert shown() is None
    # its own chunks are damaged, its index is whole
    store.write_bytes(whole)
    lake.run("sync")
    about = store.stat()
    with h5py.File(store) as file:
        (group,) = (g for g in (file["iron/main/bright"], file["iron/main/dark"]) if row["target_id"] in g["target_id"][:] and row["program"] in g.name)
        at = group["flux"].id.get_chunk_info_by_coord((list(group["target_id"][:]).index(row["target_id"]), 0))
    damaged = bytearray(whole)
    damaged[at.byte_offset + at.size // 2] ^= 0xFF
    store.write_bytes(damaged)
    os.utime(store, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert shown() is not None
    ended = lake.run("spectrum", row["target_id"], "--program", row["program"])
    assert "is damaged" in ended.stderr and "read instead" in ended.stderr
    findings = lake.json("verify", "--deep", code=3)["findings"]
    assert [finding["kind"] for finding in findings if finding["path"].endswith("10000.h5")] != []
    # made again
    lake.run("stage", "run", "spectra-h5", "--force")
    assert lake.json("verify", "--deep")["findings"] == []


def test_a_tile_that_cannot_be_read_is_left_out_and_the_rest_goes_on(lake):
    (bright,) = (path for path in parquet(lake) if "bright" in path.name)
    raw = bytearray(bright.read_bytes())
    raw[len(raw) // 3] ^= 0xFF
    bright.write_bytes(raw)
    shutil.rmtree(lake.lake / "spectra-h5")
    report = lake.json("stage", "run", "spectra-h5", code=3)
    (bad,) = (ending for ending in report["pixels"] if ending["outcome"] == "checksum_mismatch")
    assert "iron-main-bright-10000" in bad["reasons"][0] and bad["tiles"] == 1
    with h5py.File(stores(lake)[0]) as file:
        assert "iron/main/dark" in file and "iron/main/bright" not in file


def test_two_runs_at_once_and_a_kill_leave_whole_stores(lake):
    command = [os.environ["BIFROST_BIN"], "stage", "run", "spectra-h5", "--force"]
    runs = [subprocess.Popen(command, env=lake.environment, cwd=lake.folder, stderr=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL) for _ in range(2)]
    assert sorted(run.wait() for run in runs) in ([0, 0], [0, 75])
    killed = subprocess.Popen(command, env=lake.environment, cwd=lake.folder, stderr=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL)
    time.sleep(0.05)
    killed.kill()
    killed.wait()
    lake.run("stage", "run", "spectra-h5")
    assert set(states(lake).values()) == {("made", None)}
    assert lake.json("verify", "--deep")["findings"] == []
    for path in stores(lake):
        with h5py.File(path) as file:
            file.visititems(lambda _, item: item[...] if isinstance(item, h5py.Dataset) else None)


def test_tiles_without_rows_have_a_group_without_rows(place):
    mock(place, "dark", 1)
    place.run("convert", place.folder / "archive", "--where", "z > 99")
    place.run("stage", "run", "spectra-h5")
    (store,) = stores(place)
    with h5py.File(store) as file:
        assert file["main/dark/flux"].shape == (0, 0) and file["main/dark/target_id"].shape == (0,)
    assert set(states(place).values()) == {("made", None)}
    assert place.json("verify", "--deep")["findings"] == []
