"""`bifrost stage`: the product snr against numpy on the archive's own files, and what keeps it true:
rows that zip with spectra, staleness, resuming, several nodes, files that cannot be read.

BIFROST_BIN names the program.
"""

import json
import os
import shutil
import signal
import subprocess
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

ARMS = ("B", "R", "Z")
WAVE = (3600 - 1e-3, 9800 + 1e-3)
KEYS = ["_healpix_29", "target_id", "survey", "program", "healpix", "release", "ra", "dec"]


def mock(place, *arguments, objects=30, seed=4):
    place.run("mock", "--out", place.folder / "archive", "--objects", objects, "--seed", seed, *arguments)
    return place.folder / "archive"


@pytest.fixture
def lake(place):
    """A lake with spectra of three tiles, unrounded: two programs share a pixel."""
    mock(place, "--tiles", 2)
    mock(place, "--tiles", 1, "--program", "bright", "--edge", "dead_r", "nan_flux")
    place.run("convert", place.folder / "archive", "--precision", "exact")
    return place


def files(root, product):
    """The product's files by tile."""
    found = (root / product / "dataset").glob("Norder=6/Dir=*/Npix=*/*.parquet")
    return {path.stem.rsplit("_", 1)[0]: path for path in found}


def about(path, key):
    return pq.ParquetFile(path).metadata.metadata[f"bifrost.{key}".encode()].decode()


def states(place, version=1):
    rows = place.sql(
        "SELECT concat_ws('-', release, survey, program, healpix), state, reason"
        " FROM stage_tiles('snr', %s, 'spectra', 'snr')", version
    )
    return {tile: (state, reason) for tile, state, reason in rows}


def measured(coadd, arm):
    """S/N, good pixels and flux of every row of an arm, from the archive's file, by TARGETID."""
    with fits.open(coadd) as file:
        ids = np.array(file["FIBERMAP"].data["TARGETID"])
        wave = np.array(file[f"{arm}_WAVELENGTH"].data, dtype=float)
        flux, ivar = (np.array(file[f"{arm}_{part}"].data, dtype="f4") for part in ("FLUX", "IVAR"))
        mask = np.array(file[f"{arm}_MASK"].data)
    kept = (wave > WAVE[0]) & (wave < WAVE[1])
    width = np.gradient(wave)
    good = kept & (ivar > 0) & (mask == 0) & np.isfinite(flux) & np.isfinite(ivar)
    rows = {}
    for target, f, i, g in zip(ids, flux, ivar, good):
        snr = np.median(f[g] * np.sqrt(i[g])) if g.any() else None
        rows[int(target)] = snr, int(g.sum()), np.sum(f[g].astype(float) * width[g]) if g.any() else None
    return rows


def test_every_value_is_what_numpy_finds_in_the_archives_files(lake):
    report = lake.json("stage", "run", "snr")
    assert report["totals"] == {"converted": 3} and report["left"] == 0
    made = files(lake.lake, "snr")
    assert len(made) == 3
    empty = compared = 0
    for tile, path in made.items():
        rows = pq.read_table(path).to_pylist()
        (coadd,) = (lake.folder / "archive").rglob(f"coadd-{tile.removeprefix('iron-')}.fits")
        for arm in ARMS:
            expected = measured(coadd, arm)
            for row in rows:
                snr, good, flux = expected[row["target_id"]]
                assert row[f"good_pixels_{arm.lower()}"] == good
                found = row[f"snr_{arm.lower()}"], row[f"flux_sum_{arm.lower()}"]
                if good == 0:
                    assert found == (None, None)
                    empty += 1
                else:
                    assert found == pytest.approx((snr, flux), rel=2e-6, abs=1e-4)
                    compared += 1
    assert compared > 100 and empty > 20
    fields = {field.name: field.metadata for field in pq.read_schema(made[tile])}
    assert fields["flux_sum_b"][b"unit"] == b"1e-17 erg.s**-1.cm**-2"
    assert all({b"ucd", b"description"} <= set(fields[name]) for name in fields)


def test_rows_zip_with_spectra_and_files_say_what_they_were_made_of(lake):
    lake.run("stage", "run", "snr")
    spectra, made = files(lake.lake, "spectra"), files(lake.lake, "snr")
    assert set(spectra) == set(made)
    for tile, path in made.items():
        assert path.relative_to(lake.lake / "snr") == spectra[tile].relative_to(lake.lake / "spectra")
        keys = [pq.read_table(file, columns=KEYS) for file in (spectra[tile], path)]
        assert keys[0].equals(keys[1]) and keys[0].num_rows > 0
        sorting = pq.ParquetFile(path).metadata.row_group(0).sorting_columns
        assert [column.column_index for column in sorting] == [0, 1]
        assert pq.read_schema(path).names[:2] == KEYS[:2]
        assert about(path, "order") == about(spectra[tile], "order")
        assert json.loads(about(path, "stage")) == {"name": "snr", "version": 1}
        (parent,) = json.loads(about(path, "parents"))
        assert parent["content"] == about(spectra[tile], "content")
        assert parent["product"] == "spectra" and parent["name"] == spectra[tile].name
    pairs = lake.sql("""
        SELECT s.num_rows FROM file_registry s JOIN file_registry m USING (release, survey, program, healpix)
        WHERE s.product = 'spectra' AND m.product = 'snr' AND s.state = 'live' AND m.state = 'live'
          AND s.order_hash = m.order_hash AND m.content IS NOT NULL""")
    assert len(pairs) == 3
    sheet = (lake.lake / "DATA_README.md").read_text()
    assert "**snr**: 17 columns" in sheet and "| `flux_sum_z` |" in sheet
    # a question about the product itself
    rows = lake.json("resolve", "snr_b > 0", "--product", "snr")["files"]
    assert {row["product"] for row in rows} == {"snr"}


def test_what_is_stale_follows_from_what_it_was_made_of(lake):
    dark, second, bright = "iron-main-dark-10000", "iron-main-dark-10001", "iron-main-bright-10000"
    lake.run("sync", "--no-datasheet")
    assert set(states(lake).values()) == {("missing", None)}
    lake.run("stage", "run", "snr")
    assert set(states(lake).values()) == {("made", None)}
    assert set(states(lake, version=2).values()) == {("stale", "made by version 1")}
    again = lake.json("stage", "run", "snr")
    assert again["totals"] == {} and again["up_to_date"] == 3
    assert lake.sql("SELECT count(*) FROM stage_runs") == [(1,)]
    # other rows; the same rows rounded otherwise; no file any more
    archive = lake.folder / "archive" / "healpix" / "main"
    rows = len(pq.read_table(files(lake.lake, "spectra")[dark], columns=["z"]))
    lake.run("convert", archive / "dark" / "100" / "10000", "--precision", "exact", "--where", "z > 0.3")
    lake.run("convert", archive / "dark" / "100" / "10001", "--precision", "decimals")
    files(lake.lake, "spectra")[bright].unlink()
    lake.run("sync", "--no-datasheet")
    assert states(lake) == {
        dark: ("stale", "its input has other rows"),
        second: ("stale", "its input was made again"),
        bright: ("stale", "its input is gone"),
    }
    (stage,) = [s for s in lake.json("stage", "list")["stages"] if s["name"] == "snr"]
    assert (stage["made"], stage["stale"], stage["missing"]) == (0, 3, 0)
    plan = lake.json("stage", "run", "snr", "--dry-run")
    why = {"{release}-{survey}-{program}-{pixel}".format(**t["tile"]): t["why"] for t in plan["tiles"]}
    assert why == {dark: "its input has other rows", second: "its input was made again"}
    report = lake.json("stage", "run", "snr")
    assert report["totals"] == {"converted": 2} and report["orphaned"] == 1
    assert states(lake)[dark] == states(lake)[second] == ("made", None)
    made = pq.read_table(files(lake.lake, "snr")[dark], columns=KEYS)
    assert 0 < len(made) < rows
    assert made.equals(pq.read_table(files(lake.lake, "spectra")[dark], columns=KEYS))
    assert states(lake)[bright] == ("stale", "its input is gone"), "nothing is deleted"


def test_without_a_registry_the_files_themselves_tell(lake):
    assert lake.json("stage", "run", "snr", "--no-registry")["totals"] == {"converted": 3}
    again = lake.json("stage", "run", "snr", "--no-registry")
    assert again["totals"] == {"unchanged": 3} and again["up_to_date"] == 3
    dark = lake.folder / "archive" / "healpix" / "main" / "dark" / "100" / "10000"
    lake.run("convert", dark, "--precision", "noise")
    report = lake.json("stage", "run", "snr", "--no-registry")
    assert report["totals"] == {"converted": 1, "unchanged": 2}
    assert not (lake.lake / ".bifrost" / "postgres").exists()
    lake.run("sync", "--no-datasheet")
    assert set(states(lake).values()) == {("made", None)}


def test_only_tiles_that_were_named(lake):
    report = lake.json("stage", "run", "snr", "iron-main-dark-10001")
    assert [t["tile"]["pixel"] for t in report["tiles"]] == [10001]
    key = "dr1/spectro/redux/{}/healpix/main/dark/100/10001/coadd-main-dark-10001.fits\n"
    # what `run` takes for tiles is taken here, too
    (lake.folder / "list").write_text("# some\niron-main-dark-10000\n\n" + key.format("iron"))
    report = lake.json("stage", "run", "snr", "--tiles", lake.folder / "list", "--jobs", 1)
    assert [t["tile"]["pixel"] for t in report["tiles"]] == [10000] and report["up_to_date"] == 1
    for wrong in ("iron-main-dark\n", key.format("fuji")):
        (lake.folder / "list").write_text("iron-main-dark-10000\n" + wrong)
        assert "list:2: " in lake.run("stage", "run", "snr", "--tiles", lake.folder / "list", code=2).stderr
    assert "there are snr" in lake.run("stage", "run", "sn", code=2).stderr
    assert "bifrost convert" in lake.run("stage", "run", "convert", code=2).stderr
    lake.run("stage", "run", "snr", "iron-main-dark", code=2)
    lake.run("stage", "run", "snr", "iron-main-dark-7", code=4)


def test_a_run_that_was_killed_goes_on_where_it_was(place):
    mock(place, "--tiles", 24, objects=60)
    place.run("convert", place.folder / "archive")
    place.run("sync", "--no-datasheet")
    command = [os.environ["BIFROST_BIN"], "stage", "run", "snr", "--jobs", "1"]
    run = subprocess.Popen(command, env=place.environment, cwd=place.folder, stdout=subprocess.PIPE)
    while run.poll() is None and len(files(place.lake, "snr")) < 3:
        time.sleep(0.001)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    before = {tile: path.stat().st_ino for tile, path in files(place.lake, "snr").items()}
    assert 3 <= len(before) < 24
    for path in files(place.lake, "snr").values():
        assert pq.read_table(path).num_rows > 0, "what is there is whole"
    report = place.json("stage", "run", "snr")
    assert report["totals"] == {"converted": 24 - len(before)} and report["up_to_date"] == len(before)
    after = {tile: path.stat().st_ino for tile, path in files(place.lake, "snr").items()}
    assert len(after) == 24 and before.items() <= after.items()
    assert set(states(place).values()) == {("made", None)}
    assert place.sql("SELECT ending FROM stage_runs ORDER BY began_at") == [("abandoned",), ("complete",)]
    assert not any((place.lake / ".bifrost" / "staging").iterdir())
    counts = place.sql("SELECT count(*) FROM file_registry WHERE product = 'snr' AND state = 'live'")
    assert counts == [(24,)]


def test_a_run_that_is_told_to_stop_ends_what_it_has_begun(place):
    mock(place, "--tiles", 24, objects=60)
    place.run("convert", place.folder / "archive")
    place.run("sync", "--no-datasheet")
    command = [os.environ["BIFROST_BIN"], "stage", "run", "snr", "--jobs", "1", "--json"]
    run = subprocess.Popen(command, env=place.environment, cwd=place.folder, stdout=subprocess.PIPE)
    while run.poll() is None and not files(place.lake, "snr"):
        time.sleep(0.001)
    run.terminate()
    report = json.loads(run.communicate()[0])
    assert run.returncode == 75 and report["left"] > 0
    assert len(files(place.lake, "snr")) == 24 - report["left"] == report["totals"]["converted"]
    assert place.sql("SELECT ending, tiles FROM stage_runs") == [("stopped", 24)]
    assert place.json("stage", "run", "snr")["totals"] == {"converted": report["left"]}


def test_each_node_makes_the_products_of_its_own_files(place):
    archive = mock(place, "--tiles", 4) / "healpix" / "main" / "dark" / "100"
    lakes = {"alpha": place.folder / "alpha", "beta": place.folder / "beta"}
    url = place.database_url

    def bifrost(node, *arguments):
        command = [os.environ["BIFROST_BIN"], "--lake", lakes[node], "--node", node, "--database-url", url]
        command += [*map(str, arguments), "--json"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, env=place.environment, text=True)

    def ended(run):
        printed = run.communicate()[0]
        assert run.returncode == 0, printed
        return json.loads(printed)

    for node, pixels in (("alpha", (10000, 10001)), ("beta", (10002, 10003))):
        ended(bifrost(node, "convert", *(archive / str(pixel) for pixel in pixels)))
    runs = [bifrost(node, "stage", "run", "snr") for node in lakes]
    assert [ended(run)["totals"] for run in runs] == [{"converted": 2}, {"converted": 2}]
    for node, lake in lakes.items():
        assert set(files(lake, "snr")) == set(files(lake, "spectra"))
    rows = place.sql("SELECT node, count(*) FROM files WHERE product = 'snr' GROUP BY node ORDER BY node")
    assert rows == [("alpha", 2), ("beta", 2)]
    # a tile that moves: the other node makes it, and what the first had made is out
    ended(bifrost("beta", "convert", archive / "10001"))
    shutil.rmtree(lakes["alpha"] / "spectra" / "dataset" / "Norder=6" / "Dir=10000" / "Npix=10001")
    ended(bifrost("alpha", "sync", "--no-datasheet"))
    assert ended(bifrost("beta", "stage", "run", "snr"))["totals"] == {"converted": 1}
    moved = place.sql("SELECT node FROM files WHERE product = 'snr' AND healpix = 10001")
    assert moved == [("beta",)]
    assert set(states(place).values()) == {("made", None)}
    alpha = ended(bifrost("alpha", "stage", "run", "snr"))
    assert alpha["totals"] == {} and alpha["up_to_date"] == 1


def test_a_file_that_cannot_be_read_is_named_and_the_rest_goes_on(lake):
    bad = files(lake.lake, "spectra")["iron-main-dark-10000"]
    whole = bad.read_bytes()
    bad.write_bytes(whole[: len(whole) // 2])
    for _ in range(2):
        report = lake.json("stage", "run", "snr", code=3)
        (failed,) = [t for t in report["tiles"] if t["outcome"] == "corrupt"]
        assert failed["tile"]["pixel"] == 10000 and "cannot be read" in failed["reasons"][0]
        assert set(files(lake.lake, "snr")) == {"iron-main-dark-10001", "iron-main-bright-10000"}
        outcomes = lake.sql("SELECT product, tile, outcome FROM tile_outcomes")
        assert outcomes == [("snr", "iron-main-dark-10000", "corrupt")]
    ledger = lake.sql("SELECT outcome, count(*) FROM stage_attempts GROUP BY outcome ORDER BY outcome")
    assert ledger == [("converted", 2), ("corrupt", 2)]
    assert "| snr | iron-main-dark-10000 |" in (lake.lake / "DATA_README.md").read_text()
    bad.write_bytes(whole)
    assert lake.json("stage", "run", "snr")["totals"] == {"converted": 1}
    assert lake.sql("SELECT count(*) FROM tile_outcomes") == [(0,)]


def test_damage_in_the_middle_of_a_file_is_that_tiles(lake):
    bad = files(lake.lake, "spectra")["iron-main-dark-10000"]
    flux = pq.ParquetFile(bad).metadata.row_group(0)
    (column,) = [flux.column(i) for i in range(flux.num_columns) if flux.column(i).path_in_schema.startswith("flux.")]
    data = bytearray(bad.read_bytes())
    middle = column.data_page_offset + column.total_compressed_size // 2
    data[middle : middle + 4096] = bytes(4096)
    bad.write_bytes(data)
    report = lake.json("stage", "run", "snr", code=3)
    assert report["totals"] == {"converted": 2, "checksum_mismatch": 1}
    assert set(files(lake.lake, "snr")) == {"iron-main-dark-10001", "iron-main-bright-10000"}


def test_files_that_state_no_order_get_one(lake):
    """Files of other writers: the registry reads the key column, and stages go on from there."""
    path = files(lake.lake, "spectra")["iron-main-dark-10000"]
    stated = about(path, "order")
    table = pq.read_table(path).replace_schema_metadata(None)
    pq.write_table(table, path, row_group_size=7)
    lake.run("sync", "--no-datasheet")
    query = "SELECT order_hash, content FROM file_registry WHERE product = 'spectra' AND state = 'live' AND path LIKE %s"
    assert lake.sql(query, "%dark-10000%") == [(stated, None)]
    assert lake.json("stage", "run", "snr")["totals"] == {"converted": 3}
    made = files(lake.lake, "snr")["iron-main-dark-10000"]
    assert about(made, "order") == stated
    assert set(states(lake).values()) == {("made", None)}
    pq.write_table(table.slice(1), path)
    lake.run("sync", "--no-datasheet")
    assert states(lake)["iron-main-dark-10000"] == ("stale", "its input has other rows")


def test_stages_are_listed(place):
    stages = {s["name"]: s for s in place.json("stage", "list")["stages"]}
    assert set(stages) == {"convert", "snr", "tokens", "groups", "environment", "spectra-h5"}
    snr = stages["snr"]
    assert (snr["version"], snr["input"], snr["product"]) == (1, "spectra", "snr")
    assert [c["name"] for c in snr["columns"]][:3] == ["snr_b", "good_pixels_b", "flux_sum_b"]
    assert snr["made"] is None, "there is no lake yet"
    place.run("convert", mock(place))
    place.run("sync", "--no-datasheet")
    listed = place.run("stage", "list").stdout.splitlines()
    assert [line.split() for line in listed] == [
        ["stage", "version", "reads", "makes", "columns", "made", "stale", "missing"],
        ["convert", "2", "archive", "spectra", str(len(stages["convert"]["columns"])), "1", "–", "–"],
        ["snr", "1", "spectra", "snr", "9", "0", "0", "1"],
        ["tokens", "1", "spectra", "tokens", "4", "0", "0", "1"],
        ["groups", "2", "spectra", "groups", "9", "0", "0", "1"],
        ["environment", "3", "spectra", "environment", "13", "0", "0", "1"],
        ["spectra-h5", "1", "spectra", "spectra-h5", "0", "0", "0", "1"],
    ]
    place.run("stage", "run", "snr")
    assert place.json("stage", "list")["stages"][1]["made"] == 1
