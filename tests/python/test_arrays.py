"""Where arrays are put: in Parquet, in spectra stores, in both; and what becomes of it when a run is
killed, when tiles are made again, and when stores are lost.

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
PLACES = {"array_file", "array_group", "array_row", "array_hash"}


@pytest.fixture
def archive(place):
    """Three tiles in two pixels."""
    mock(place, "dark", 2)
    mock(place, "bright", 1)
    return place


def mock(place, program, tiles, seed=1, objects=25):
    place.run("mock", "--out", place.folder / "archive", "--objects", objects, "--seed", seed,
              "--tiles", tiles, "--program", program)


def convert(place, arrays, *arguments, lake=None, code=0):
    lake = ("--lake", lake) if lake else ()
    return place.json(*lake, "convert", place.folder / "archive", "--arrays", arrays, *arguments, code=code)


def parquet(lake):
    return sorted((lake / "spectra").rglob("*.parquet"))


def stores(lake):
    return sorted((lake / "spectra-h5").rglob("*.h5"))


def rows(lake):
    """Arrays by tile and TARGETID, as the places in the Parquet files say."""
    found = {}
    for path in parquet(lake):
        table = pq.read_table(path)
        for row in table.to_pylist():
            with h5py.File(lake / row["array_file"]) as file:
                group = file[row["array_group"]]
                assert group["target_id"][row["array_row"]] == row["target_id"]
                arrays = {column: group[name][row["array_row"]] for name, column in ARRAYS.items()}
                arrays["wavelength"] = group["wavelength"][:]
            found[path.stem.split("_")[0], row["target_id"]] = arrays, row["array_hash"]
    return found


def states(place):
    return {state for (state,) in place.sql("SELECT DISTINCT state FROM store_tiles(1)")}


def spectrum(place, target, *arguments):
    return [json.loads(line) for line in place.run("spectrum", target, "--json", *arguments).stdout.splitlines()]


def test_arrays_are_the_same_wherever_they_are(archive):
    both = archive.folder / "both"
    convert(archive, "both", lake=both)
    report = convert(archive, "hdf5")
    assert {tile["outcome"] for tile in report["tiles"]} == {"converted"}
    assert report["storage"]["parquet_bytes"] == sum(path.stat().st_size for path in parquet(archive.lake))
    assert report["storage"]["store_bytes"] == sum(path.stat().st_size for path in stores(archive.lake))
    assert [path.name for path in stores(archive.lake)] == ["Npix=10000.h5", "Npix=10001.h5"]
    found, seen = rows(archive.lake), 0
    for path, bare in zip(parquet(both), parquet(archive.lake), strict=True):
        full, lean = pq.read_table(path), pq.read_table(bare)
        assert set(full.column_names) - set(lean.column_names) == {"wavelength", *ARRAYS.values()}
        assert set(lean.column_names) - set(full.column_names) == PLACES
        common = [name for name in full.column_names if name in lean.column_names]
        assert full.select(common).equals(lean.select(common))
        assert bare.stat().st_size < path.stat().st_size / 5
        for row in full.to_pylist():
            arrays, said = found[path.stem.split("_")[0], row["target_id"]]
            for name, values in arrays.items():
                np.testing.assert_array_equal(values, np.array(row[name], values.dtype))
            assert said is not None
            seen += 1
    assert seen == len(found) > 0
    # stores of both kinds hold the same bytes of every spectrum, and what they say of themselves
    for one, other in zip(stores(both), stores(archive.lake), strict=True):
        with h5py.File(one) as one, h5py.File(other) as other:
            for group in [g for g in one["iron/main"]]:
                one_group, other_group = one["iron/main"][group], other["iron/main"][group]
                for name in ("flux", "ivar", "mask", "wavelength", "target_id", "target_id_sorted", "row"):
                    np.testing.assert_array_equal(one_group[name][:], other_group[name][:])
                    assert dict(one_group[name].attrs) == dict(other_group[name].attrs)


def test_everything_knows_lakes_without_arrays_in_parquet(archive):
    convert(archive, "hdf5")
    archive.run("sync")
    assert states(archive) == {"made"}
    assert archive.json("sync")["commit"] is None
    assert archive.json("verify", "--deep")["findings"] == []
    for (path, target), (arrays, _) in list(rows(archive.lake).items())[::17]:
        [found] = spectrum(archive, target, "--program", path.split("-")[2])
        assert found["store"] in map(str, stores(archive.lake))
        np.testing.assert_array_equal(np.array(found["flux"], "f4"), arrays["flux"])
    # nothing to be done: the stage would make what is there
    assert archive.json("stage", "run", "spectra-h5")["totals"] == {}
    assert archive.json("stage", "run", "spectra-h5", "--force")["totals"] == {"converted": 2}
    assert archive.json("verify", "--deep")["findings"] == []
    assert set(states(archive)) == {"made"} and len(rows(archive.lake)) > 0
    assert {tile["outcome"] for tile in convert(archive, "hdf5")["tiles"]} == {"unchanged"}
    # a lake is told from its files alone
    before = archive.sql("SELECT path, content FROM file_registry WHERE state = 'live' ORDER BY path")
    archive.run("db", "rebuild", "--discard")
    assert archive.sql("SELECT path, content FROM file_registry WHERE state = 'live' ORDER BY path") == before


def test_stages_read_arrays_from_stores(archive):
    both = archive.folder / "both"
    convert(archive, "both", lake=both)
    archive.run("--lake", both, "stage", "run", "snr", "--no-registry")
    archive.run("--lake", both, "stage", "run", "tokens", "--no-registry")
    convert(archive, "hdf5")
    for stage in ("snr", "tokens"):
        assert archive.json("stage", "run", stage)["totals"] == {"converted": 3}
        for path in sorted((both / stage).rglob("*.parquet")):
            made = archive.lake / path.relative_to(both)
            assert pq.read_table(made).equals(pq.read_table(path)), path
    assert archive.json("stage", "run", "snr")["totals"] == {}
    # other arrays and the same scalars: what was made of them is stale
    convert(archive, "hdf5", "--precision", "noise")
    archive.run("sync")
    assert archive.json("stage", "run", "snr")["totals"] == {"converted": 3}
    # without stores they say what to do
    shutil.rmtree(archive.lake / "spectra-h5")
    report = archive.json("stage", "run", "snr", "--force", code=3)
    assert all("convert the tile again" in tile["reasons"][0] for tile in report["tiles"])
    convert(archive, "hdf5", "--precision", "noise")
    assert archive.json("stage", "run", "snr", "--force")["totals"] == {"converted": 3}


def test_tiles_that_come_later_keep_the_others(archive):
    convert(archive, "hdf5")
    before = rows(archive.lake)
    (archive.folder / "archive").rename(archive.folder / "away")
    mock(archive, "backup", 2, seed=5)
    report = convert(archive, "hdf5")
    assert len(report["tiles"]) == 2
    after = rows(archive.lake)
    assert len(after) > len(before)
    for key, (arrays, said) in before.items():
        for name, values in arrays.items():
            np.testing.assert_array_equal(after[key][0][name], values)
        assert after[key][1] == said
    # another compression, taken over tile by tile
    archive.run("sync")
    archive.run("stage", "run", "spectra-h5", "--force", "--store-compression", "none")
    for key, (arrays, _) in rows(archive.lake).items():
        for name, values in arrays.items():
            np.testing.assert_array_equal(after[key][0][name], values)
    archive.run("sync")
    assert states(archive) == {"made"} and archive.json("verify", "--deep")["findings"] == []


def test_packed_files_are_told_apart_too(archive):
    convert(archive, "hdf5", lake=archive.folder / "plain")
    for path in (archive.folder / "archive").rglob("*-dark-*.fits"):
        subprocess.run(["gzip", path], check=True)
    assert {tile["outcome"] for tile in convert(archive, "hdf5", "--no-verify")["tiles"]} == {"converted"}
    for key, (arrays, said) in rows(archive.folder / "plain").items():
        assert rows(archive.lake)[key][1] == said
        break
    assert rows(archive.lake).keys() == rows(archive.folder / "plain").keys()


def test_there_and_back(archive):
    for arrays, has_arrays, has_stores in (("parquet", True, False), ("hdf5", False, True), ("both", True, True),
                                           ("hdf5", False, True), ("parquet", True, True)):
        report = convert(archive, arrays)
        archive.run("sync")
        columns = pq.read_schema(parquet(archive.lake)[0]).names
        assert ("flux" in columns, bool(stores(archive.lake))) == (has_arrays, has_stores), arrays
        assert {tile["outcome"] for tile in convert(archive, arrays)["tiles"]} == {"unchanged"}, arrays
        assert "storage" in report or arrays == "parquet"
        target = pq.read_table(parquet(archive.lake)[0], columns=["target_id"])[0][0].as_py()
        assert len(spectrum(archive, target, "--program", "bright")[0]["flux"]) > 7000
    # files are the same with a store beside them, and stay so
    archive.run("sync")
    assert archive.json("verify", "--deep")["findings"] == []


def test_a_damaged_store_is_not_replaced_by_less(archive):
    convert(archive, "hdf5")
    store = stores(archive.lake)[0]
    whole = store.read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF
    for now, words in ((bytes(damaged), "not what its checksum states"), (whole[:-7], "does not end in an index")):
        store.write_bytes(now)
        ended = archive.json("stage", "run", "spectra-h5", "--force", code=3)
        assert any(words in reason for pixel in ended["pixels"] for reason in pixel["reasons"]), ended
        assert store.read_bytes() == now
    store.write_bytes(whole)
    archive.run("stage", "run", "spectra-h5", "--force")
    archive.run("sync")
    assert archive.json("verify", "--deep")["findings"] == []


@pytest.mark.parametrize("arrays", ["hdf5", "both"])
def test_killed_anywhere_and_run_again(archive, arrays):
    command = [os.environ["BIFROST_BIN"], "convert", str(archive.folder / "archive"), "--arrays", arrays, "--force"]
    convert(archive, arrays)
    archive.run("sync")
    whole = {path.name: pq.read_table(path) for path in parquet(archive.lake)}
    began = time.monotonic()
    subprocess.run(command, env=archive.environment, cwd=archive.folder, capture_output=True, check=True)
    takes = time.monotonic() - began
    for part in range(12):
        run = subprocess.Popen(command, env=archive.environment, cwd=archive.folder,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(takes * (part + 1) / 12)
        run.kill()
        run.wait()
        # whatever was under way is finished or undone by whoever comes next
        archive.run("sync")
        assert states(archive) == {"made"}, part
        assert {path.name for path in parquet(archive.lake)} == set(whole)
    assert archive.json("verify", "--deep")["findings"] == []
    assert not list((archive.lake / ".bifrost/intents").glob("*"))
    for path in parquet(archive.lake):
        assert pq.read_table(path).equals(whole[path.name])


def test_arrays_of_stores_stand_beside_other_products(archive):
    convert(archive, "hdf5")
    archive.run("stage", "run", "snr")
    archive.run("sync")
    expected = archive.read("target_id > 0", "--columns", "target_id,flux")
    assert archive.read("--product", "snr", "--columns", "target_id,flux").equals(expected)
    own = archive.read("--product", "snr").column_names
    assert "flux" not in own and archive.read("z > 0", "--product", "snr").column_names == [*own, "z"]
    assert {"snr_r", "z", "flux", "ivar"} < set(archive.read("z > 0", "--product", "snr", "--columns", "*").column_names)


def test_rows_of_both_kinds_are_read_together(archive):
    both = archive.folder / "both"
    mock(archive, "backup", 1, seed=5)
    convert(archive, "parquet", lake=both)
    expected = {(row["program"], row["target_id"]): row for path in parquet(both) for row in pq.read_table(path).to_pylist()}
    shutil.move(archive.folder / "archive/healpix/main/backup", archive.folder / "backup")
    convert(archive, "parquet")
    shutil.move(archive.folder / "backup", archive.folder / "archive/healpix/main/backup")
    archive.json("convert", archive.folder / "archive/healpix/main/backup", "--arrays", "hdf5", "--release", "iron")
    archive.run("sync")
    assert len(stores(archive.lake)) == 1
    # some of both kinds, none that has arrays itself, few rows, all columns
    for asked in (("target_id > 0", "--columns", "target_id,program,flux,mask_array,flux_g"),
                  ("program = 'backup'", "--columns", "program,ivar,wavelength,target_id"),
                  ("z > 1", "--columns", "target_id,program,flux"), ("program = 'backup' AND z > 1",)):
        table = archive.read(*asked)
        assert table.num_rows > 0
        for row in table.to_pylist():
            meant = expected[row["program"], row["target_id"]]
            assert {k: v for k, v in row.items() if k not in PLACES} == {k: meant[k] for k in row if k not in PLACES}
    target = archive.read("program = 'backup'", "--columns", "target_id")["target_id"][0].as_py()
    assert len(archive.read("--target-id", target, "--columns", "flux").column(0)[0]) > 7000
    # scalars do not need the store; arrays do, and it is told
    store = stores(archive.lake)[0]
    whole = store.read_bytes()
    store.unlink()
    assert archive.read("program = 'backup'", "--columns", "target_id,flux_g").num_rows > 0
    said = archive.read("program = 'backup'", "--columns", "flux", code=1)
    assert str(store) in said and "convert the tile again" in said
    # arrays of others do not pass for them
    shutil.rmtree(archive.folder / "archive")
    mock(archive, "backup", 1, seed=6)
    other = archive.folder / "other"
    convert(archive, "hdf5", lake=other)
    shutil.copy(stores(other)[0], store)
    assert "it holds others in their place" in archive.read("program = 'backup'", "--columns", "flux", code=1)
    store.write_bytes(whole)
    assert archive.read("program = 'backup'", "--columns", "flux").num_rows > 0


def test_exports_hold_arrays(archive):
    convert(archive, "hdf5")
    archive.run("sync")
    archive.run("export", "z > 0.5", "-o", archive.folder / "subset")
    table = pq.read_table(parquet(archive.folder / "subset")[0])
    assert "flux" in table.column_names and not PLACES & set(table.column_names)
    assert table.schema.field("flux").metadata[b"unit"] == b"10**-17.erg.s**-1.cm**-2.Angstrom**-1"
    found = {target: arrays for (_, target), (arrays, _) in rows(archive.lake).items()}
    for row in table.to_pylist():
        np.testing.assert_array_equal(np.array(row["flux"], "f4"), found[row["target_id"]]["flux"])
