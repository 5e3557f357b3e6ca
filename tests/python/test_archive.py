"""`bifrost inventory`, `fetch` and `bench` against an S3 server, through a network that fails."""

import filecmp
import json
import os
import signal
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyarrow.parquet as pq
import pytest
from archive_server import server
from conftest import small_disk
from faults import FAULTS, Proxy
from s3 import BUCKET, PAGE, ROOT, bucket

SOAK = bool(os.environ.get("BIFROST_SOAK"))
PROGRAMS = ("dark", "bright")
# of the client: quick to try again, and patient
QUICK = ("--backoff", 0.02, "--retries", 8, "--stall", 1)


class Archive:
    """Mock tiles in a bucket, reached through a proxy."""

    def __init__(self, place, s3, pixels=3, **faults):
        self.place, self.s3 = place, s3
        self.folder = place.folder / "archive"
        for program in PROGRAMS:
            place.run("mock", "--out", self.folder / ROOT, "--tiles", pixels, "--objects", 3,
                      "--program", program, "--seed", 5)
        s3.fill(self.folder)
        self.tiles = pixels * len(PROGRAMS)
        self.proxy = Proxy(s3.address, **faults)
        self.where = ("--archive", f"s3://{BUCKET}", "--endpoint", self.proxy.url, *QUICK)

    def files(self, *kinds):
        kinds = kinds or ("coadd", "redrock", "emline")
        found = [p for kind in kinds for p in self.folder.rglob(f"{kind}-*")]
        return [path.relative_to(self.folder) for path in sorted(found)]

    def sizes(self, *kinds):
        return sum((self.folder / path).stat().st_size for path in self.files(*kinds))

    def check(self, folder, *kinds):
        """Every file is there, and is the archive's to the last bit; nothing else is."""
        wrong = [path for path in self.files(*kinds)
                 if not filecmp.cmp(self.folder / path, folder / path, shallow=False)]
        assert wrong == []
        left = [path for path in folder.rglob("*") if ".part" in path.name]
        assert left == []


@pytest.fixture(scope="module")
def s3():
    with bucket() as made:
        yield made


@pytest.fixture
def made(place, s3):
    archives = []

    def make(**options):
        archives.append(Archive(place, s3, **options))
        return archives[-1]

    yield make
    for archive in archives:
        archive.proxy.close()
        listed = s3.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        for key in [entry["Key"] for page in listed for entry in page.get("Contents", [])]:
            s3.client.delete_object(Bucket=BUCKET, Key=key)


def test_the_bucket_itself_is_the_inventory(place, made):
    archive = made()
    report = place.json("inventory", *archive.where)
    assert (report["tiles"], report["changes"]["tiles_new"]) == (archive.tiles, archive.tiles)
    assert report["files"] == len(archive.files()) > PAGE, "the listing has several pages"
    sizes = place.sql("SELECT sum(size_bytes), count(size_bytes), count(etag) FROM archive_files")
    assert sizes == [(archive.sizes(), len(archive.files()), len(archive.files()))]
    again = place.json("inventory", *archive.where)["changes"]
    assert not any(again.values()), again
    more = place.json("inventory", "--rrdetails", *archive.where)["changes"]
    assert more["files_new"] == len(archive.files("rrdetails")) > 0


def test_an_update_queues_what_is_new_or_has_changed_and_nothing_else(place, made):
    archive = made()
    place.run("inventory", *archive.where)
    place.sql("UPDATE archive_tiles SET state = 'done' RETURNING 1")
    coadd, *_, last = archive.files("coadd")
    archive.s3.put(str(coadd), b"changed")
    new = str(coadd).replace("10000", "10077")
    for kind in ("coadd", "redrock"):
        archive.s3.put(new.replace("coadd", kind), b"new")
    archive.s3.client.delete_object(Bucket=BUCKET, Key=str(last))
    changes = place.json("inventory", "--update", *archive.where)["changes"]
    assert (changes["tiles_new"], changes["files_changed"], changes["files_absent"]) == (1, 1, 1)
    queued = place.sql("SELECT healpix FROM archive_tiles WHERE state = 'queued' ORDER BY healpix")
    assert queued == [(10000,), (10077,)]


def test_a_listing_of_nothing_changes_nothing(place, made):
    """A root that is misspelled is no archive whose tiles are all gone."""
    archive = made()
    place.run("inventory", *archive.where)
    place.sql("UPDATE archive_tiles SET state = 'done' RETURNING 1")
    for where in (("--root", "dr1/spectro/redux/irom"), ("--survey", "sv3")):
        for update in ((), ("--update",)):
            ended = place.run("inventory", *update, *where, *archive.where, code=4)
            assert "there is no tile in" in ended.stderr and "/healpix/" in ended.stderr
    assert place.sql("SELECT DISTINCT state FROM archive_files") == [("present",)]
    assert not any(place.json("inventory", "--update", *archive.where)["changes"].values())
    assert place.sql("SELECT DISTINCT state FROM archive_tiles") == [("done",)]


def test_what_comes_back_as_it_was_is_not_made_again(place, made):
    archive = made(pixels=2)
    place.run("inventory", *archive.where)
    place.run("run", *archive.where)
    bright = [path for path in archive.files() if "-bright-" in path.name]
    for path in bright:
        archive.s3.client.delete_object(Bucket=BUCKET, Key=str(path))
    archive.s3.put(f"{ROOT}/healpix/main/bright/README", b"moved")
    changes = place.json("inventory", "--update", *archive.where)["changes"]
    assert changes["files_absent"] == len(bright) > 0
    for path in bright[1:]:
        archive.s3.put(str(path), (archive.folder / path).read_bytes())
    archive.s3.put(str(bright[0]), b"another")
    changes = place.json("inventory", "--update", *archive.where)["changes"]
    assert (changes["files_changed"], changes["tiles_queued_again"]) == (1, 1)
    assert place.sql("SELECT DISTINCT state FROM archive_files") == [("present",)]
    # made without what was not there: its return is a change
    other = [path for path in bright if path.parent != bright[0].parent]
    emline = next(path for path in other if path.name.startswith("emline"))
    archive.s3.client.delete_object(Bucket=BUCKET, Key=str(emline))
    place.run("inventory", "--update", *archive.where)
    place.sql("UPDATE archive_tiles SET state = 'queued' RETURNING 1")
    tiles = place.folder / "tiles"
    tiles.write_text(str(emline))
    place.run("run", "--tiles", tiles, *archive.where)
    archive.s3.put(str(emline), (archive.folder / emline).read_bytes())
    place.sql("UPDATE archive_tiles SET state = 'done' WHERE state <> 'done' RETURNING 1")
    assert place.json("inventory", "--update", *archive.where)["changes"]["tiles_queued_again"] == 1


def test_a_listing_that_fails_in_the_middle_is_asked_for_again_or_changes_nothing(place, made):
    archive = made(faults=6, rate=1.0, wanted=("cut", "reset", "slow_down", "cut_without_length"))
    report = place.json("inventory", *archive.where)
    assert sum(archive.proxy.injected.values()) == 6
    assert report["files"] == len(archive.files())
    archive.proxy.left, archive.proxy.rate, archive.proxy.wanted = 10**6, 1.0, ("storm",)
    archive.proxy.deck.clear()
    hopeless = place.run("inventory", "--update", *archive.where[:-6], "--backoff", 0.01,
                         "--retries", 1, code=75)
    assert "busy" in hopeless.stderr
    assert place.sql("SELECT count(*) FROM archive_files WHERE state = 'present'") == [(report["files"],)]


class Lister(BaseHTTPRequestHandler):
    """A bucket whose listing names a file twice, as it changed meanwhile, and which may begin anew for ever."""

    def do_GET(self):
        folder = f"{ROOT}/healpix/main/dark"
        entry = "<Contents><Key>{}</Key><Size>{}</Size></Contents>".format
        key, goes_on = f"{folder}/100/10000/coadd-main-dark-10000.fits", "continuation-token" not in self.path
        entries = entry(f"{folder}/", 0) + entry(key, 7 if goes_on else 8)
        token = "<NextContinuationToken>more</NextContinuationToken>"
        is_truncated = str(goes_on or self.server.in_circles).lower()
        listing = (f"<ListBucketResult><IsTruncated>{is_truncated}</IsTruncated>{token}{entries}"
                   f"</ListBucketResult>").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(listing)))
        self.end_headers()
        self.wfile.write(listing)

    def log_message(self, *_):
        pass


def test_a_listing_that_repeats_itself_is_taken_once_or_not_at_all(place):
    bucket = ThreadingHTTPServer(("127.0.0.1", 0), Lister)
    bucket.in_circles = False
    threading.Thread(target=bucket.serve_forever, daemon=True).start()
    try:
        where = ("--survey", "main", "--program", "dark", "--archive", f"s3://{BUCKET}", "--endpoint",
                 f"http://127.0.0.1:{bucket.server_port}")
        report = place.json("inventory", *where)
        assert (report["files"], report["changes"]["files_new"]) == (1, 1)
        assert place.json("inventory", "--update", *where)["changes"]["files_changed"] == 0
        bucket.in_circles = True
        assert "a listing that goes in circles" in place.run("inventory", "--update", *where, code=75).stderr
    finally:
        bucket.shutdown()
        bucket.server_close()


def test_a_tile_that_two_lists_name_is_taken_once(place):
    lists = [place.folder / "one", place.folder / "other"]
    for path in lists:
        path.write_text("main-dark-10000\n")
    report = place.json("inventory", *lists)
    assert (report["tiles"], report["files"], report["changes"]["tiles_new"]) == (1, 3, 1)


def test_a_list_is_corrected_line_by_line(place, made):
    archive = made()
    key = f"{ROOT}/healpix/main/dark/100"
    listed = place.folder / "historic.csv"
    listed.write_text("\n".join([
        "file_type,pixel,filename,url",
        f"coadd,10000,coadd-main-dark-10000.fits,s3://{BUCKET}/{key}/10000/coadd-main-dark-10000.fits",
        f"coadd,10000,coadd-main-dark-10000.fits,s3://{BUCKET}/{key}/10000/coadd-main-dark-10000.fits",
        f"coadd,010001,coadd-main-dark-10001.fits,s3://desi-public/{key}/10001/coadd-main-dark-10001.fits",
        "coadd,10999,coadd-main-dark-10999.fits,",
        "nonsense,x,y,z",
    ]))
    report = place.json("inventory", listed, *archive.where, code=3)
    wrong = {c["line"]: c["wrong"] for c in report["corrections"]}
    assert wrong == {3: ["duplicate"], 4: ["bucket", "padding"]}
    assert [r["line"] for r in report["refused"]] == [6]
    assert report["tiles"] == 3
    # of the three, one pixel has no folder in the archive
    looked = place.json("inventory", listed, "--update", *archive.where, code=3)
    assert [r["was"] for r in looked["refused"] if not r["line"]] == ["iron-main-dark-10999"]
    shown = place.run("inventory", listed, "--dry-run", *archive.where, code=3).stdout
    assert f"{listed}:4: " in shown and "nothing was written" in shown


def test_what_is_fetched_is_whole_and_not_fetched_again(place, made):
    archive = made()
    out = place.folder / "out"
    place.run("inventory", *archive.where)
    archive.proxy.forget()
    report = place.json("fetch", "--out", out, *archive.where)
    assert (report["fetched"], report["failed"]) == (archive.tiles, {})
    assert archive.proxy.total(".fits") == archive.sizes()
    archive.check(out)
    known = place.sql("SELECT count(*), count(sha256) FROM archive_files")
    assert known == [(len(archive.files()),) * 2], "sums are known now"
    archive.proxy.forget()
    again = place.json("fetch", "--out", out, *archive.where)
    assert (again["fetched"], again["bytes"], archive.proxy.total(".fits")) == (archive.tiles, 0, 0)


def test_every_fault_is_survived_and_no_wrong_byte_kept(place, made):
    archive = made(faults=60, rate=0.5, seed=11, stall_s=1.5)
    out = place.folder / "out"
    place.run("inventory", *archive.where)
    report = place.json("fetch", "--out", out, *archive.where)
    assert (report["fetched"], report["failed"]) == (archive.tiles, {})
    archive.check(out)
    assert set(archive.proxy.injected) == set(FAULTS), "some fault never came"
    assert report["retries"] > 0 and report["corrupt"] > 0 and report["slow_downs"] > 0


def test_a_file_that_stays_wrong_is_refused(place, made):
    archive = made()
    coadd = archive.files("coadd")[0]
    spoilt = bytearray((archive.folder / coadd).read_bytes())
    spoilt[5000] ^= 1
    archive.s3.put(str(coadd), bytes(spoilt))
    out = place.folder / "out"
    report = place.json("fetch", coadd, "--out", out, *archive.where, code=3)
    (tile,) = report["tiles"]
    assert tile["failure"]["outcome"] == "checksum_mismatch"
    assert str(coadd) in tile["failure"]["reason"] and "sha256" in tile["failure"]["reason"]
    assert not (out / coadd).exists()
    archive.s3.client.delete_object(Bucket=BUCKET, Key=str(coadd))
    report = place.json("fetch", coadd, "--out", out, *archive.where, code=3)
    assert report["tiles"][0]["failure"]["outcome"] == "missing_source"


def respelled(archive, tile, spell):
    """The sum file of a tile, told otherwise; its key."""
    (sums,) = (archive.folder / tile).parent.glob("*.sha256sum")
    key = str(sums.relative_to(archive.folder))
    archive.s3.put(key, spell(sums.read_bytes()))
    return key


@pytest.mark.parametrize("spell", [
    lambda sums: sums.replace(b"  ", b" *"),
    lambda sums: sums.replace(b"  ", b"  ./").replace(b"\n", b"\r\n"),
    lambda sums: b"\n".join(line[:64].upper() + line[64:] for line in sums.split(b"\n")),
])
def test_sums_are_understood_as_sha256sum_writes_them(place, made, spell):
    archive = made(pixels=1)
    coadd = archive.files("coadd")[0]
    respelled(archive, coadd, spell)
    out = place.folder / "out"
    report = place.json("fetch", coadd, "--out", out, *archive.where)
    files = {file["kind"]: file for file in report["tiles"][0]["files"]}
    for kind in ("coadd", "redrock", "emline"):
        assert files[kind]["sha256"] and files[kind]["how"] == "fetched", kind
    spoilt = bytearray((archive.folder / coadd).read_bytes())
    spoilt[5000] ^= 1
    archive.s3.put(str(coadd), bytes(spoilt))
    (out / coadd).unlink()
    report = place.json("fetch", coadd, "--out", out, *archive.where, code=3)
    assert report["tiles"][0]["failure"]["outcome"] == "checksum_mismatch"


def test_a_sum_file_that_holds_no_sums_is_not_believed(place, made):
    archive = made(pixels=1)
    coadd = archive.files("coadd")[0]
    out = place.folder / "out"
    key = respelled(archive, coadd, lambda sums: b"<html>please log in</html>\n")
    report = place.json("fetch", coadd, "--out", out, *archive.where, code=3)
    failure = report["tiles"][0]["failure"]
    assert failure["outcome"] == "archive_error" and "holds no sums" in failure["reason"]
    archive.s3.put(key, b"")
    assert place.json("fetch", coadd, "--out", out, *archive.where)["fetched"] == 1
    assert (out / str(coadd).replace("coadd", "emline")).exists(), "an empty one is none"


def killed_in_the_middle(archive, coadd, out):
    """Most of a file is here when the process that fetched it dies; how much."""
    path = f"/{BUCKET}/{coadd}"
    most = (archive.folder / coadd).stat().st_size * 9 // 10
    # it is written by the megabyte
    written = most >> 20 << 20
    assert written > 0
    archive.proxy.freeze_at[path] = most
    words = [os.environ["BIFROST_BIN"], "fetch", coadd, "--out", out, *archive.where[:-2], "--stall", 60]
    fetching = subprocess.Popen([str(word) for word in words], env=archive.place.environment,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert archive.proxy.frozen.wait(60)
    part = (out / coadd).with_name(coadd.name + ".part")
    while not part.exists() or part.stat().st_size < written:
        assert fetching.poll() is None
        time.sleep(0.01)
    fetching.send_signal(signal.SIGKILL)
    fetching.wait()
    return part.stat().st_size


def test_a_transfer_goes_on_where_a_killed_process_left_it(place, made):
    archive, out = made(), place.folder / "out"
    coadd = archive.files("coadd")[0]
    here = killed_in_the_middle(archive, coadd, out)
    archive.proxy.forget()
    report = place.json("fetch", coadd, "--out", out, *archive.where)
    assert [f["how"] for f in report["tiles"][0]["files"] if f["kind"] == "coadd"] == ["resumed"]
    size = (archive.folder / coadd).stat().st_size
    assert here > 0 and archive.proxy.bytes[f"/{BUCKET}/{coadd}"] == size - here
    ranges = [fields.get("range") for path, fields in archive.proxy.requests if "coadd" in path]
    assert ranges == [f"bytes={here}-"]
    assert filecmp.cmp(archive.folder / coadd, out / coadd, shallow=False)


def test_a_file_that_changed_meanwhile_is_fetched_anew(place, made):
    archive, out = made(), place.folder / "out"
    coadd = archive.files("coadd")[0]
    killed_in_the_middle(archive, coadd, out)
    # made again, with other noise
    place.run("mock", "--out", archive.folder / ROOT, "--pix", coadd.stem.split("-")[-1], "--objects", 3,
              "--program", coadd.stem.split("-")[2], "--seed", 6)
    archive.s3.fill(archive.folder)
    place.run("fetch", coadd, "--out", out, *archive.where)
    assert filecmp.cmp(archive.folder / coadd, out / coadd, shallow=False)


def test_requests_are_signed_where_that_is_asked_for(place, made):
    archive = made()
    coadd = archive.files("coadd")[0]
    place.run("fetch", coadd, "--out", place.folder / "plain", *archive.where)
    assert not any("authorization" in fields for _, fields in archive.proxy.requests)
    archive.proxy.forget()
    place.environment.update(AWS_ACCESS_KEY_ID="key", AWS_SECRET_ACCESS_KEY="secret")
    place.run("fetch", coadd, "--out", place.folder / "signed", "--signed", *archive.where)
    signatures = [fields.get("authorization", "") for _, fields in archive.proxy.requests]
    assert signatures and all(s.startswith("AWS4-HMAC-SHA256 Credential=key/") for s in signatures)


def test_a_campaign_comes_through_a_bad_network_and_kills(place, made):
    """In a soak: 200 tiles, 1,000 faults."""
    tiles, faults = (200, 1000) if SOAK else (8, 30)
    archive = made(pixels=tiles // 2, faults=faults, rate=0.7, seed=21, stall_s=1.5)
    place.run("inventory", *archive.where)
    words = [os.environ["BIFROST_BIN"], "run", *archive.where, "--lease", 2, "--retry-pause", 0.2]
    log = place.folder / "log"
    kills = 0
    while True:
        with log.open("ab") as file:
            running = subprocess.Popen([str(word) for word in words], env=place.environment, cwd=place.folder,
                                       stdout=file, stderr=file)
        try:
            # the last one is left in peace
            life_s = archive.proxy.dice.uniform(2, 5) if SOAK else archive.proxy.dice.uniform(0.3, 1.5)
            ended = running.wait(timeout=life_s if kills < tiles // 4 else 900)
            assert ended == 0, log.read_text()[-3000:]
            break
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
            kills += 1
    # a storm may go beyond
    assert sum(archive.proxy.injected.values()) >= faults and kills > 0
    per_tile = place.sql("SELECT count(*), count(DISTINCT (survey, program, healpix)) FROM files")
    assert per_tile == [(tiles, tiles)]
    assert place.sql("SELECT count(*) FROM attempts WHERE ended_at IS NULL") == [(0,)]
    # what was made of them says of which bytes
    stated = {line.split()[1].decode(): line.split()[0].decode()
              for path in archive.folder.rglob("*.sha256sum") for line in path.read_bytes().splitlines()}
    for (path,) in place.sql("SELECT path FROM files"):
        inputs = json.loads(pq.read_metadata(path).metadata[b"bifrost.inputs"])
        assert inputs and all(stated[i["name"]] == i["sha256"] for i in inputs)
    archive.proxy.forget()
    place.run("run", *archive.where)
    assert archive.proxy.total() == 0, "a second run fetches nothing"
    if SOAK:
        print(f"{tiles} tiles, {dict(archive.proxy.injected)}, {kills} kills")


def test_a_full_disk_is_waited_for(place, made):
    archive = made()
    with small_disk(place.folder / "small", "40m") as out:
        ballast = out / "ballast"
        ballast.write_bytes(bytes(38 << 20))
        words = [os.environ["BIFROST_BIN"], "fetch", *archive.files("coadd"), "--out", out,
                 "--keep-free", "1MB", *archive.where]
        fetching = subprocess.Popen([str(word) for word in words], env=place.environment,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        said = next(line for line in fetching.stderr if "no room" in line)
        assert str(out) in said and "paused" in said
        assert fetching.poll() is None
        ballast.unlink()
        said = fetching.communicate(timeout=120)[1]
        assert fetching.returncode == 0 and "room again" in said
        archive.check(out)


def test_room_that_no_disk_has_is_not_waited_for(place, made):
    archive = made(pixels=1)
    said = place.run("fetch", "main-dark-10000", "--keep-free", "9999TB", *archive.where, code=2).stderr
    assert "--keep-free is more than the whole disk of" in said


def test_a_web_server_is_an_archive_too(place, made):
    archive = made()
    # named by its sum file, and gone: the tile can do without, and nothing is left of the attempt
    (archive.folder / archive.files("emline")[0]).unlink()
    web = server(archive.folder)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    try:
        listed = place.folder / "list"
        listed.write_text("\n".join(map(str, archive.files("coadd"))))
        url = f"http://127.0.0.1:{web.server_port}"
        out = place.folder / "out"
        place.run("inventory", listed, "--archive", url)
        assert place.json("fetch", "--out", out, "--archive", url)["fetched"] == archive.tiles
        archive.check(out)
        swept = place.json("bench", "http", "--workers", "1,2", "--files", 4, "--from", listed, "--archive", url)
        assert [r["workers"] for r in swept["rounds"]] == [1, 2]
    finally:
        web.shutdown()
        web.server_close()


@pytest.mark.parametrize("has_sums", [True, False])
def test_a_part_of_a_file_of_unknown_size_is_taken_up(place, made, has_sums):
    """`Content-Range: bytes 5-9/*`: the server need not know how large the file is."""
    archive, out = made(pixels=1), place.folder / "out"
    coadd = archive.files("coadd")[0]
    if not has_sums:
        for sums in (archive.folder / coadd).parent.glob("*.sha256sum"):
            sums.unlink()
    whole = (archive.folder / coadd).read_bytes()
    web = server(archive.folder)
    web.unsized = True
    threading.Thread(target=web.serve_forever, daemon=True).start()
    proxy = Proxy(("127.0.0.1", web.server_port), faults=6, rate=1.0, wanted=("cut",))
    try:
        report = place.json("fetch", coadd, "--out", out, "--archive", proxy.url, *QUICK)
        assert report["fetched"] == 1 and proxy.injected["cut"] == 6
        assert (out / coadd).read_bytes() == whole
        assert any("range" in fields for _, fields in proxy.requests), "some of it was here already"
    finally:
        proxy.close()
        web.shutdown()
        web.server_close()


def test_a_server_that_gives_less_than_the_rest_is_asked_for_more(place, made):
    """A part of what was asked for is what HTTP allows. Each is progress: patience is for those that bring none."""
    archive, out = made(pixels=1), place.folder / "out"
    coadd = archive.files("coadd")[0]
    size = (archive.folder / coadd).stat().st_size
    web = server(archive.folder)
    web.part = size // 20
    threading.Thread(target=web.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{web.server_port}"
        report = place.json("fetch", coadd, "--out", out, "--archive", url, *QUICK)
        assert (out / coadd).read_bytes() == (archive.folder / coadd).read_bytes()
        assert 8 < report["retries"] < 30, "more than patience alone would bear, and each brought a part"
        assert report["bytes"] == archive.sizes() - sum(p.stat().st_size for p in archive.folder.rglob("*-bright-*.fits"))
    finally:
        web.shutdown()
        web.server_close()


def test_what_comes_packed_is_not_taken_for_the_file(place, made):
    archive = made(pixels=1)
    (coadd, *_) = archive.files("coadd")
    for sums in (archive.folder / coadd).parent.glob("*.sha256sum"):
        sums.unlink()
    web = server(archive.folder)
    web.packed = True
    threading.Thread(target=web.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{web.server_port}"
        report = place.json("fetch", coadd, "--out", place.folder / "out", "--archive", url, *QUICK, code=3)
        failure = report["tiles"][0]["failure"]
        assert failure["outcome"] == "archive_error" and "packed by gzip" in failure["reason"]
    finally:
        web.shutdown()
        web.server_close()


def test_the_bench_says_how_many_workers_serve_best(place, made):
    archive = made()
    swept = place.json("bench", "s3", "--workers", "1,2,4", "--files", 3, *archive.where)
    rounds = swept["rounds"]
    size = sum((archive.folder / p).stat().st_size for p in archive.files("coadd")
               if "dark" in p.name)
    assert [(r["workers"], r["files"], r["bytes"], r["failures"]) for r in rounds] == [
        (workers, 3, size, 0) for workers in (1, 2, 4)]
    assert swept["recommended_workers"] in (1, 2, 4)
    archive.proxy.left, archive.proxy.rate, archive.proxy.wanted = 10**6, 1.0, ("slow_down",)
    archive.proxy.deck.clear()
    swept = place.json("bench", "s3", "--workers", 2, "--files", 3, *archive.where, code=3)
    assert swept["recommended_workers"] is None
