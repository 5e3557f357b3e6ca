"""Rows of lakes that lie elsewhere: behind a real nginx, in a real object store.

BIFROST_BIN names the program. The lake is hidden from the registry's eyes by taking away what makes its
folder a lake, so that only the prefix leads to it.
"""

import contextlib
import json
import os
import pickle
import shutil
import threading
from pathlib import Path

import bifrost
import numpy as np
import pyarrow as pa
import pytest
from archive_server import server
from conftest import new_place
from s3 import BUCKET, bucket
from test_stage import mock
from web import web

QUESTION = ("z > 1 AND zwarn = 0", "--columns", "target_id,z,flux")


@pytest.fixture(scope="module")
def place():
    with new_place() as place:
        mock(place, "--tiles", 3, objects=60)
        place.run("convert", place.folder / "archive", "--group-rows", 16)
        place.run("stage", "run", "snr")
        # wherever the lake is, its registry is there
        place.environment["BIFROST_DATABASE_URL"] = place.database_url
        yield place


@contextlib.contextmanager
def elsewhere(place):
    """The lake as if it were on another machine."""
    identity = place.lake / ".bifrost/lake.json"
    identity.rename(identity.with_suffix(".away"))
    try:
        yield
    finally:
        identity.with_suffix(".away").rename(identity)


def test_rows_come_over_http(place):
    with web(place) as server:
        place.run("sync", "--uri-prefix", server.url)
        expected = place.read(*QUESTION)
        assert server.requests() == []
        with elsewhere(place):
            uris = place.run("resolve", QUESTION[0], "--format", "paths").stdout.split()
            assert all(uri.startswith(server.url) for uri in uris)
            assert expected.num_rows > 0 and place.read(*QUESTION).equals(expected)
            assert server.requests()
            # what was asked for, and not the files
            assert place.read(QUESTION[0], "--columns", "target_id").num_rows == expected.num_rows
            sent = server.requests()
            sizes = [Path(file["path"]).stat().st_size for file in place.json("resolve", QUESTION[0])["files"]]
            assert sum(sent) < sum(sizes) / 2, (sent, sizes)
            # two products of a tile
            both = place.read("zwarn = 0 AND snr_r > 0", "--columns", "target_id,snr_r,flux")
        assert both.equals(place.read("zwarn = 0 AND snr_r > 0", "--columns", "target_id,snr_r,flux"))


def test_every_way_of_the_package_reads_over_http(place):
    columns = ["target_id", "z", "flux", "snr_r"]
    with web(place) as server:
        place.run("sync", "--uri-prefix", server.url)
        here = bifrost.open(place.lake, place.database_url).resolve("zwarn = 0 AND snr_r > 0")
        expected = here.read(columns).to_arrow()
        ids, z = expected.column("target_id").to_pylist(), sorted(expected.column("z").to_pylist())
        spectrum = bifrost.open(place.lake, place.database_url).spectrum(ids[0])
        nearby = expected_pairs(bifrost.open(place.lake, place.database_url), ids)
        server.requests()
        with elsewhere(place):
            lake = bifrost.open(database_url=place.database_url)
            answer = lake.resolve("zwarn = 0 AND snr_r > 0")
            assert all(path.startswith(server.url) for path in answer.paths())
            assert answer.read(columns).to_arrow().equals(expected)
            assert pickle.loads(pickle.dumps(answer.read(columns))).to_arrow().equals(expected)
            assert pickle.loads(pickle.dumps(answer)).read(columns).to_arrow().equals(expected)
            assert sorted(answer.polars().select("z").collect()["z"]) == z
            assert sorted(row[0] for row in answer.duckdb().project("z").fetchall()) == z
            assert pa.concat_tables(part.to_arrow() for part in answer.read(columns).split(16)).equals(expected)
            there = lake.spectrum(ids[0])
            assert there.about["target_id"] == ids[0] and there.flux.tolist() == spectrum.flux.tolist()
            assert expected_pairs(lake, ids) == nearby
            assert len(lake.resolve("z > 100").read(columns).to_arrow()) == 0
        assert server.requests()


def expected_pairs(lake, ids):
    rows = lake.read(target_ids=ids[:5], columns=["ra", "dec"]).to_arrow()
    return lake.crossmatch(rows, 1, columns=["target_id", "z"]).to_pylist()


def test_arrays_of_single_rows_do_not_bring_the_file(place):
    with web(place) as server:
        place.run("sync", "--uri-prefix", server.url)
        target = place.read(*QUESTION).column("target_id")[0].as_py()
        [file] = place.json("resolve", "--target-id", target)["files"]
        with elsewhere(place):
            server.requests()
            row = place.read("--target-id", target, "--columns", "flux")
            sent = sum(server.requests())
        assert row.num_rows == 1 and sent < file["size_bytes"] / 2, (sent, file["size_bytes"])


def shown(place, target, code=0):
    ended = place.run("spectrum", target, "--program", "dark", "--json", code=code)
    if code:
        return ended.stderr
    [found] = [json.loads(line) for line in ended.stdout.splitlines()]
    return {key: found[key] for key in ("target_id", "wavelength", "flux", "ivar", "mask")}, found["store"]


def test_spectra_come_over_http(place):
    with web(place) as server:
        place.run("sync", "--uri-prefix", server.url)
        target = place.read(*QUESTION).column("target_id")[0].as_py()
        here, store = shown(place, target)
        [file] = place.json("resolve", "--target-id", target)["files"]
        assert store is None and len(here["flux"]) > 7000
        with elsewhere(place):
            server.requests()
            assert shown(place, target) == (here, None)
            sent = server.requests()
            assert len(sent) <= 4 and sum(sent) < file["size_bytes"] / 2, (sent, file["size_bytes"])
        # the same from a spectra store: its end, and one row of it
        place.run("stage", "run", "spectra-h5")
        place.run("sync", "--uri-prefix", server.url)
        try:
            assert shown(place, target)[1].endswith(".h5")
            with elsewhere(place):
                server.requests()
                there, store = shown(place, target)
                sent = server.requests()
                assert there == here and store.startswith(server.url)
                assert len(sent) <= 4 and max(sent) <= 300_000, sent
            # another store in its place is noticed by its size, and Parquet is read instead
            path = Path(shown(place, target)[1])
            content, written = path.read_bytes(), os.stat(path).st_mtime_ns
            path.write_bytes(content + b"more")
            with elsewhere(place):
                assert shown(place, target)[0] == here
            path.write_bytes(content)
            os.utime(path, ns=(written, written))
        finally:
            shutil.rmtree(place.lake / "spectra-h5")
            place.run("sync", "--uri-prefix", server.url)


def test_arrays_of_stores_come_over_http():
    with new_place() as place:
        mock(place, "--tiles", 2, objects=40)
        place.run("convert", place.folder / "archive", "--arrays", "hdf5")
        place.environment["BIFROST_DATABASE_URL"] = place.database_url
        with web(place) as server:
            place.run("sync", "--uri-prefix", server.url)
            expected = place.read(*QUESTION)
            target = expected.column("target_id")[0].as_py()
            here, _ = shown(place, target)
            assert expected.num_rows > 0 and server.requests() == []
            with elsewhere(place):
                assert place.read(*QUESTION).equals(expected)
                assert server.requests()
                assert shown(place, target)[0] == here
                away = place.lake / "away"
                (place.lake / "spectra-h5").rename(away)
                assert "is gone since it was registered" in shown(place, target, code=1)
                assert "cannot be read there" in place.read(*QUESTION, code=1)
                away.rename(place.lake / "spectra-h5")
                for store in (place.lake / "spectra-h5").rglob("*.h5"):
                    store.write_bytes(store.read_bytes() + b"more")
                assert "has changed since it was registered" in shown(place, target, code=1)


def test_what_is_gone_or_another_is_told(place):
    with web(place) as server:
        place.run("sync", "--uri-prefix", server.url)
        [file] = place.json("resolve", "--target-id", place.read(*QUESTION).column("target_id")[0].as_py())["files"]
        with elsewhere(place):
            content, written = Path(file["path"]).read_bytes(), os.stat(file["path"]).st_mtime_ns
            try:
                with open(file["path"], "ab") as grown:
                    grown.write(b"more")
                said = place.read(*QUESTION, code=1)
                assert "has changed since it was registered" in said and file["path"] in said
            finally:
                with open(file["path"], "wb") as again:
                    again.write(content)
                os.utime(file["path"], ns=(written, written))
            spectra = place.lake / "spectra"
            spectra.rename(place.lake / "away")
            try:
                assert "is gone since it was registered" in place.read(*QUESTION, code=1)
            finally:
                (place.lake / "away").rename(spectra)
    with elsewhere(place):
        assert "failed to open http://" in place.read(*QUESTION, code=1)
    place.run("sync")


def test_a_server_need_not_know_how_large_its_files_are(place):
    """`Content-Range: bytes 5-9/*`."""
    serving = server("/")
    serving.unsized = True
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{serving.server_port}"
    try:
        place.run("sync", "--uri-prefix", url)
        expected = place.read(*QUESTION)
        with elsewhere(place):
            assert expected.num_rows > 0 and place.read(*QUESTION).equals(expected)
            file = Path(place.json("resolve", QUESTION[0])["files"][0]["path"])
            content, written = file.read_bytes(), os.stat(file).st_mtime_ns
            try:
                file.write_bytes(content[:-4])
                assert "has changed since it was registered" in place.read(*QUESTION, code=1)
            finally:
                file.write_bytes(content)
                os.utime(file, ns=(written, written))
    finally:
        serving.shutdown()
        serving.server_close()
        place.run("sync")


def test_rows_come_from_an_object_store(place, monkeypatch):
    with bucket() as store:
        place.run("stage", "run", "spectra-h5")
        for path in [*(place.lake / "spectra").rglob("*.parquet"), *(place.lake / "spectra-h5").rglob("*.h5")]:
            store.put(str(path).lstrip("/"), path.read_bytes())
        place.run("sync", "--uri-prefix", f"s3://{BUCKET}")
        expected = place.read(*QUESTION)
        target = expected.column("target_id")[0].as_py()
        here, _ = shown(place, target)
        place.environment |= {
            "AWS_ENDPOINT": store.url, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-west-2",
            "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
        with elsewhere(place):
            assert place.run("resolve", QUESTION[0], "--format", "paths").stdout.startswith("s3://")
            assert place.read(*QUESTION).equals(expected)
            there, path = shown(place, target)
            assert there == here and path.startswith("s3://") and path.endswith(".h5")
            lake = bifrost.open(database_url=place.database_url)
            answer, columns = lake.resolve(QUESTION[0]), ["target_id", "z", "flux"]
            # where there is none; what is corrected holds at once
            monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:9")
            for name in ("AWS_ALLOW_HTTP", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                monkeypatch.setenv(name, place.environment[name])
            with pytest.raises(bifrost.Error, match="failed to open s3://"):
                answer.read(columns)
            monkeypatch.setenv("AWS_ENDPOINT", store.url)
            assert answer.read(columns).to_arrow().equals(expected)
            assert pickle.loads(pickle.dumps(answer)).read(columns).to_arrow().equals(expected)
            z = sorted(expected.column("z").to_pylist())
            assert sorted(answer.polars().select("z").collect()["z"]) == z
            assert sorted(row[0] for row in answer.duckdb().project("z").fetchall()) == z
            spectrum = lake.spectrum(target, program="dark")
            assert spectrum.flux.tolist() == np.float32(here["flux"]).tolist() and spectrum.about["store"].startswith("s3://")
            assert [found.target_id for found in lake.spectra([target], program="dark")] == [target]
            key = answer.paths()[0].removeprefix(f"s3://{BUCKET}/")
            store.client.delete_object(Bucket=BUCKET, Key=key)
            with pytest.raises(bifrost.Error, match=f"{key} is gone since it was registered"):
                answer.read(columns).to_arrow()
