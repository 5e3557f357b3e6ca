"""The nginx configuration, in a real nginx: a lake read over HTTP, and nothing but read."""

import re
import urllib.error
import urllib.request

import fsspec
import hats
import lsdb
import pyarrow.parquet as pq
import pytest
from catalogs import LIGHT, files_of, ids
from conftest import new_place
from web import web


@pytest.fixture(scope="module")
def served():
    with new_place() as place:
        place.run("mock", "--out", "archive", *LIGHT, "--tiles", 2, "--objects", 40)
        place.run("convert", "archive")
        with web(place) as server:
            place.url, place.log = server.url, server.log
            place.run("sync", "--no-datasheet", "--uri-prefix", place.url)
            yield place


def status(url, **options):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, **options)) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_only_the_lake_is_there_and_only_to_be_read(served):
    lake = f"{served.url}{served.lake}"
    assert status(f"{lake}/spectra/hats.properties") == 200
    assert status(f"{lake}/spectra/hats.properties", method="HEAD") == 200
    assert (served.lake / ".bifrost/lake.json").is_file()
    for path in (f"{lake}/.bifrost/lake.json", f"{lake}/%2ebifrost/lake.json", f"{lake}/.bifrost/",
                 f"{lake}/spectra/../../archive/", f"{served.url}/etc/passwd",
                 f"{lake}/../lake/.bifrost/lake.json", f"{lake}/spectra/..%2f.bifrost/lake.json"):
        assert status(path) == 404, path
    for method in ("PUT", "DELETE", "POST", "MKCOL"):
        assert status(f"{lake}/spectra/new", method=method, data=b"x") in (403, 405), method
    listing = urllib.request.urlopen(f"{lake}/").read().decode()
    assert "spectra/" in listing and ".bifrost" not in listing


def test_ranges_are_answered_with_the_bytes_that_were_asked_for(served):
    [file] = files_of(served.lake / "spectra")[6, 10000]
    content, url = file.read_bytes(), f"{served.url}{file}"
    for asked, expected in (("bytes=0-3", content[:4]), ("bytes=-8", content[-8:]),
                            ("bytes=100-299", content[100:300])):
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Range": asked})) as answer:
            assert (answer.status, answer.read()) == (206, expected)
            tag = answer.headers["ETag"]
    assert status(url, headers={"If-Match": '"other"'}) == 412
    assert status(url, headers={"If-Match": tag}) == 200


def test_a_resolution_from_elsewhere_gives_urls_and_pyarrow_reads_them(served):
    database = served.database_url
    local = served.json("resolve", "z > 0")
    # elsewhere: what lies under the lake's path is not this lake
    identity = served.lake / ".bifrost" / "lake.json"
    kept = identity.rename(served.folder / "lake.json")
    try:
        options = ("--lake", served.folder, "--database-url", database)
        answer = served.json(*options, "resolve", "z > 0")
    finally:
        kept.rename(identity)
    urls = [f"{served.url}{file['path']}" for file in answer["files"]]
    assert [file["uri"] for file in answer["files"]] == urls and len(urls) == 2
    assert [file["path"] for file in answer["files"]] == [file["uri"] for file in local["files"]]
    web = fsspec.filesystem("http")
    for file in answer["files"]:
        with web.open(file["uri"]) as remote:
            found = pq.ParquetFile(remote).read_row_groups(file["row_groups"], columns=["target_id", "z"])
        assert found == pq.read_table(file["path"], columns=["target_id", "z"], partitioning=None)


def test_lsdb_opens_the_catalog_over_http(served):
    def plain(folder, pixel, _query, suffix):
        """Without the questions to servers that cut columns out, of which a file server knows nothing."""
        return hats.io.pixel_catalog_file(folder, pixel, None, suffix)

    remote = lsdb.open_catalog(f"{served.url}{served.lake}/spectra", path_generator=plain).compute()
    local = lsdb.open_catalog(served.lake / "spectra").compute()
    assert ids(remote) == ids(local)
    log = served.log.read_text()
    assert re.search(r'"GET [^"]*\.parquet HTTP/1.1" 206', log), "by ranges, not whole"
