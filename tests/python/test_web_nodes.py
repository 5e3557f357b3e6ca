"""`bifrost web` on nodes that see no common folder, and share blocks through an object store.

BIFROST_BIN names the program. Each node has a lake, and with it a scratch folder, of its own; the server is moto.
"""

import contextlib
import os
import shutil
import subprocess
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from catalogs import free_port
from conftest import new_place
from s3 import BUCKET, bucket

ALL = "all=spectype = 'GALAXY' AND zwarn = 0 AND z > 0.01"
ASKED = ("--tracer", ALL, "--realisations", "8", "--sigmas", "0")
NODES = {"alpha": (10000, 10003), "beta": (10001,), "gamma": (10002,)}
CLAIM = """
    INSERT INTO part_leases (work, step, part, node, run_id, lease_s, expires_at)
    VALUES (%s, 'process', 0, 'delta', %s, 15, clock_timestamp() + interval '15 s')
    ON CONFLICT (work, step, part) DO UPDATE SET expires_at = excluded.expires_at RETURNING 1"""


@pytest.fixture(scope="module")
def store():
    with bucket() as store:
        yield store


@pytest.fixture(scope="module")
def place(store):
    """A lake on each of three nodes, and the web of all their galaxies as one process makes it in memory."""
    with new_place() as place:
        place.environment |= {
            "BIFROST_DATABASE_URL": place.database_url,
            "AWS_ENDPOINT": store.url, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-west-2",
            "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}  # fmt: skip
        for node, pixels in NODES.items():
            pix = [word for pixel in pixels for word in ("--pix", pixel)]
            archive = place.folder / f"archive-{node}"
            place.run("mock", "--out", archive, "--objects", 500, "--seed", 6, "--program", "bright", *pix)
            place.run("--lake", place.folder / node, "--node", node, "convert", archive)
            place.run("--lake", place.folder / node, "--node", node, "sync")
        for node in NODES:
            ended(begin(place, node, "-o", place.folder / f"whole-{node}"))
        place.whole = rows(place)
        assert place.whole.num_rows > 800
        yield place


def rows(place):
    files = sorted(path for node in NODES for path in (place.folder / node / "environment").rglob("*.parquet"))
    assert len(files) == sum(map(len, NODES.values()))
    return pa.concat_tables(pq.ParquetFile(path).read() for path in files).replace_schema_metadata(None)


def drawn(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def begin(place, node, *more, **variables):
    lake = ("--lake", str(place.folder / node), "--node", node)
    command = [os.environ["BIFROST_BIN"], *lake, "web", *ASKED, *map(str, more)]
    return subprocess.Popen(command, env=place.environment | variables, cwd=place.folder, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip


def shared(place, node, folder, *more, **variables):
    return begin(place, node, "--blocks", 4, "--work", f"s3://{BUCKET}/{folder}", *more, **variables)


def ended(process, code=0):
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, f"{out}\n{err}"
    return err


def outputs(store, folder):
    """Objects below a folder, and when each was put there."""
    pages = store.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{folder}/")
    objects = [found for page in pages for found in page.get("Contents", [])]
    return {found["Key"]: found["LastModified"] for found in objects if found["Key"].split("/")[-1].isdecimal()}


def wait_for(store, folder, count):
    end = time.monotonic() + 120
    while len(outputs(store, folder)) < count:
        assert time.monotonic() < end, "nothing was made"
        time.sleep(0.01)


@contextlib.contextmanager
def at_work(place, folder, store):
    """As if one more node were at work, so that outputs stay."""
    (work,) = {key.split("/")[1] for key in outputs(store, folder)}
    stop = threading.Event()

    def renew(run_id=uuid.uuid4()):
        while not stop.wait(0.3):
            place.sql(CLAIM, work, run_id)
        place.sql("DELETE FROM part_leases WHERE run_id = %s RETURNING 1", run_id)

    thread = threading.Thread(target=renew)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_nodes_share_blocks_and_one_is_killed(place, store):
    running = {node: shared(place, node, "three", "--force", "-o", place.folder / f"three-{node}") for node in NODES}
    wait_for(store, "three", 9)
    running["beta"].kill()
    running["beta"].communicate()
    running["beta"] = shared(place, "beta", "three", "--force", "-o", place.folder / "three-beta")
    for process in running.values():
        ended(process)
    assert rows(place).equals(place.whole)
    for node in NODES:
        assert drawn(place.folder / f"three-{node}") == drawn(place.folder / f"whole-{node}")
        assert list((place.folder / node / ".bifrost/web").iterdir()) == [], "no copy is left"
    assert outputs(store, "three") == {} and place.sql("SELECT count(*) FROM part_leases") == [(0,)]


def test_another_node_goes_on_from_what_is_there(place, store):
    process = shared(place, "alpha", "goes-on", "--force")
    wait_for(store, "goes-on", 12)
    process.kill()
    process.communicate()
    kept = outputs(store, "goes-on")
    with at_work(place, "goes-on", store):
        ended(shared(place, "beta", "goes-on", "--force"))
        now = outputs(store, "goes-on")
    assert kept.items() <= now.items() and len(now) > len(kept), "what is there is not made again"
    for node in ("alpha", "gamma"):
        ended(shared(place, node, "goes-on", "--force"))
    assert rows(place).equals(place.whole) and outputs(store, "goes-on") == {}


def test_what_is_cut_short_or_altered_is_made_again(place, store):
    process = shared(place, "alpha", "altered", "--force")
    wait_for(store, "altered", 20)
    process.kill()
    process.communicate()
    kept = sorted(outputs(store, "altered"))
    of = {step: [key for key in kept if f"/{step}/" in key] for step in ("mesh", "density", "gradient")}
    harm = {of["mesh"][0]: lambda b: b[: len(b) // 2], of["density"][1]: lambda b: b"", of["mesh"][3]: lambda b: b[:7],
            of["density"][2]: lambda b: b[:90] + bytes([b[90] ^ 1]) + b[91:], of["gradient"][0]: lambda b: b + b"\0"}  # fmt: skip
    for key, change in harm.items():
        whole = store.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        store.put(key, change(whole))
    shutil.rmtree(place.folder / "alpha/.bifrost/web")
    before = outputs(store, "altered")
    with at_work(place, "altered", store):
        told = ended(shared(place, "alpha", "altered", "--force"))
        after = outputs(store, "altered")
    for key in harm:
        assert f"s3://{BUCKET}/{key} is damaged, and was removed: it is made again" in told
    assert {key for key in before if before[key] != after[key]} <= harm.keys(), "and nothing else"
    for node in ("beta", "gamma"):
        ended(shared(place, node, "altered", "--force"))
    assert rows(place).equals(place.whole)


@pytest.mark.parametrize("scratch", [0, 200_000])
def test_copies_stay_within_their_room(place, store, scratch):
    process = shared(place, "gamma", f"scratch-{scratch}", "--force", "--scratch", scratch)
    most = 0
    while process.poll() is None:
        size = 0
        for folder, _, names in os.walk(place.folder / "gamma/.bifrost/web"):
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    size += os.stat(f"{folder}/{name}").st_size
        most = max(most, size)
    ended(process)
    assert most <= scratch and (most > scratch / 2 or scratch == 0)
    assert rows(place).equals(place.whole)


def test_others_objects_stay(place, store):
    store.put("others/note", b"not ours")
    ended(shared(place, "beta", "others", "--force"))
    assert store.client.get_object(Bucket=BUCKET, Key="others/note")["Body"].read() == b"not ours"


class Refuses(BaseHTTPRequestHandler):
    def do_PUT(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_error(403)

    do_GET = do_PUT

    def log_message(self, *_):
        pass


def test_what_is_wrong_with_a_url_is_said(place, store):
    asked = ("--blocks", 4, "--work")
    told = ended(begin(place, "alpha", *asked, "s3://no-such-bucket/web"), 1)
    assert "failed to write s3://no-such-bucket/web/" in told
    assert "there is no such bucket: make it, or correct the URL, AWS_ENDPOINT or AWS_REGION" in told
    for url in ("s3:///web", "gs://bucket/web", "://"):
        told = ended(begin(place, "alpha", *asked, url), 2)
        assert f"--work: {url} is no folder of an object store, as s3://BUCKET/FOLDER is" in told
    assert "--scratch: " in ended(begin(place, "alpha", *asked, "s3://b/c", "--scratch", "much"), 2)
    refuses = ThreadingHTTPServer(("127.0.0.1", 0), Refuses)
    threading.Thread(target=refuses.serve_forever, daemon=True).start()
    try:
        told = ended(shared(place, "alpha", "web", AWS_ENDPOINT=f"http://127.0.0.1:{refuses.server_port}"), 1)
        assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of somebody who may read and write there" in told
    finally:
        refuses.shutdown()
        refuses.server_close()
    told = ended(shared(place, "alpha", "web", AWS_ENDPOINT=f"http://127.0.0.1:{free_port()}"), 75)
    assert f"failed to write s3://{BUCKET}/web/" in told and "are the URL and AWS_ENDPOINT right?" in told
    for node in NODES:
        folder = place.folder / node / ".bifrost/web"
        assert not folder.exists() or list(folder.iterdir()) == []
