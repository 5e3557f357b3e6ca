"""Lakes that are not there, copies of lakes, and tiles that are in two lakes of one registry.

BIFROST_BIN names the program.
"""

import json
import os
import shutil
import subprocess

import bifrost
import pytest
from conftest import new_place


@pytest.fixture
def place():
    with new_place() as place:
        if not os.environ.get("BIFROST_TEST_DATABASE_URL"):
            # lakes come and go: the registry is not in any of them
            hub = place.folder / "hub"
            hub.mkdir()
            place.run("--lake", hub, "db", "up")
            place.use(place.json("--lake", hub, "db", "status")["url"])
        place.run("mock", "--out", place.folder / "archive", "--tiles", 2, "--objects", 20, "--seed", 4)
        place.run("convert", place.folder / "archive")
        place.environment["BIFROST_DATABASE_URL"] = place.database_url
        place.run("sync")
        yield place


def copied(place, name="copy"):
    """`cp -a`, without the private server."""
    copy = place.folder / name
    subprocess.run(["cp", "-a", place.lake, copy], check=True)
    shutil.rmtree(copy / ".bifrost" / "postgres", ignore_errors=True)
    return copy


COMMANDS = [("resolve", "z > 1"), ("read", "z > 1"), ("sync",), ("verify",), ("gc",), ("log",), ("status",), ("diff", "1"),
            ("spectrum", "5"), ("export", "z > 1", "-o", "part"), ("stage", "run", "snr"), ("db", "status"), ("db", "up"),
            ("view", "merged"), ("groups",), ("web",), ("failures",), ("nodes",)]  # fmt: skip


@pytest.mark.parametrize("what", ["nowhere", "no_folder", "file", "no_lake"])
def test_a_lake_that_is_not_there_is_a_slip_of_the_pen(what, tmp_path):
    folder = tmp_path / "lake"
    if what == "no_folder":
        folder = tmp_path / "a" / "b"
    elif what == "file":
        folder.write_text("")
    elif what == "no_lake":
        folder.mkdir()
    with new_place() as place:
        place.environment.pop("BIFROST_DATABASE_URL", None)
        place.environment["BIFROST_LAKE"] = str(folder)
        (place.folder / "none.json").write_text("{}")
        for command in COMMANDS:
            if what == "no_lake" and command[0] in ("sync", "db"):
                continue  # they make one of a folder
            if what != "no_lake" and command == ("db", "up"):
                continue
            ended = place.run(*command, code=2)
            words = "it has no .bifrost/lake.json" if what == "no_lake" else "there is no folder"
            assert words in ended.stderr and str(folder) in ended.stderr, command
        assert what == "no_lake" or not folder.is_dir()
        with pytest.raises(bifrost.UsageError, match=str(folder)):
            bifrost.open(folder)


@pytest.mark.parametrize("variable", ["BIFROST_LAKE", "BIFROST_DATABASE_URL", "BIFROST_NODE", "BIFROST_POSTGRES_BIN"])
def test_a_variable_that_is_empty_is_named(place, variable):
    place.environment[variable] = ""
    for command in (("resolve", "z > 1"), ("sync",)):
        said = place.run(*command, code=2).stderr
        assert f"{variable} is empty" in said, said
    (place.folder / "bifrost.toml").write_text(f'{variable.removeprefix("BIFROST_").lower()} = ""\n')
    del place.environment[variable]
    assert f"or {variable.removeprefix('BIFROST_').lower()} in bifrost.toml" in place.run("sync", code=2).stderr


def test_nothing_is_no_name_for_the_package_either(place, monkeypatch):
    for variable in ("BIFROST_LAKE", "BIFROST_DATABASE_URL"):
        with monkeypatch.context() as patched, pytest.raises(bifrost.UsageError, match=f"{variable} is empty"):
            patched.setenv("BIFROST_LAKE", str(place.lake))
            patched.setenv(variable, "")
            bifrost.open()
    with pytest.raises(bifrost.UsageError, match="the database URL is empty"):
        bifrost.open(place.lake, "")
    with pytest.raises(bifrost.UsageError, match="the lake's folder is empty"):
        bifrost.open("")


def test_a_copy_of_a_lake_is_not_taken_for_it(place):
    copy = copied(place)
    before = place.sql("SELECT file_id, path, state FROM file_registry ORDER BY 1"), place.sql("SELECT node, root FROM lakes")
    for command in (("sync",), ("sync", "--node", "beta"), ("verify",), ("verify", "--repair"), ("gc",), ("gc", "--apply", "mark"), ("stage", "run", "snr")):
        said = place.run("--lake", copy, *command, code=2).stderr
        assert f"{copy} and {place.lake} have one identity" in said and f"Remove {copy}/.bifrost/lake.json" in said
    assert before == (place.sql("SELECT file_id, path, state FROM file_registry ORDER BY 1"), place.sql("SELECT node, root FROM lakes"))
    said = place.run("db", "rebuild", "--discard", copy, code=2).stderr
    assert f"{copy} and {place.lake} have one identity" in said
    assert place.sql("SELECT count(*) FROM files") == [(2,)]
    # the lake itself, by whatever path
    link = place.folder / "link"
    link.symlink_to(place.lake)
    assert "nothing changed" in place.run("--lake", link, "sync").stdout
    assert "made anew of 1 lakes: 2 files" in place.run("db", "rebuild", "--discard", link, place.lake).stdout


def test_a_lake_that_moved_is_the_same(place):
    moved = place.folder / "moved"
    place.lake.rename(moved)
    place.run("--lake", moved, "sync")
    assert place.sql("SELECT root FROM lakes") == [(str(moved),)]
    assert place.sql("SELECT count(*) FROM files") == [(2,)]
    # something else is made where it was
    place.run("convert", place.folder / "archive")
    place.run("--lake", moved, "sync")
    # and the other takes its place
    (place.lake / ".bifrost" / "lake.json").unlink()
    again = copied_to(moved, place.lake)
    (moved / ".bifrost" / "lake.json").unlink()
    place.run("sync")
    assert place.sql("SELECT root FROM lakes") == [(str(again),)]


def copied_to(lake, folder):
    shutil.rmtree(folder)
    subprocess.run(["cp", "-a", lake, folder], check=True)
    return folder


def test_a_tile_in_two_lakes_is_told_with_both(place):
    assert "share their tile" not in place.run("status").stdout
    copy = copied(place)
    (copy / ".bifrost" / "lake.json").unlink()
    place.environment["BIFROST_NODE"] = "alpha"
    place.run("sync")
    synced = place.run("--lake", copy, "sync")
    [one, other] = sorted((place.lake / "spectra").rglob("*10000*.parquet"))[0], sorted((copy / "spectra").rglob("*10000*.parquet"))[0]
    assert f"too: alpha:{one}" in synced.stdout
    assert f"too: alpha:{other}" in place.run("sync").stdout
    shown = place.run("status").stdout
    assert "4 files share their tile with another" in shown
    assert f"iron-main-dark-10000: alpha:{one}" in shown and f"iron-main-dark-10000: alpha:{other}" in shown
    told = place.json("status")["registry"]
    assert told["files_twice"] == 4 and {"file": f"alpha:{one}", "tile": "iron-main-dark-10000"} in told["twice"]
    assert "bifrost_files_twice 4" in place.run("status", "--metrics").stdout.replace("{}", "")
    for lake, twin in ((place.lake, other), (copy, one)):
        found = json.loads(place.run("--lake", lake, "verify", "--json", code=3).stdout)
        assert found["wrong"] == {"duplicate": 2} and any(f"alpha:{twin}" in finding["what"] for finding in found["findings"])
    for path in (copy / "spectra").rglob("*.parquet"):
        path.unlink()
    place.run("--lake", copy, "sync")
    assert "share their tile" not in place.run("status").stdout
    assert place.run("verify").returncode == 0


@pytest.mark.parametrize("held", [6, 7, 40])
def test_of_many_files_of_a_tile_five_are_named_beside_each(place, held):
    """What somebody has split and left every piece the tile's name: told in full it would grow as the square."""
    tile = sorted((place.lake / "spectra").rglob("*10000*.parquet"))[0]
    names = [f"parts/{number:02}.parquet" for number in range(held)]
    for name in names:
        (place.lake / name).parent.mkdir(exist_ok=True)
        shutil.copy(tile, place.lake / name)
    told = [line.removeprefix("fault: ").split(": ", 1) for line in place.run("sync").stdout.splitlines() if "fault: " in line]
    assert [name for name, _ in told] == names
    found = [(finding["path"], finding["what"]) for finding in place.json("verify", code=3)["findings"]]
    kept = place.sql("SELECT path, fault FROM file_registry WHERE fault IS NOT NULL ORDER BY path")
    assert found == kept == [tuple(line) for line in told]
    for name, what in told:
        others = [other for other in names if other != name][:5]
        more = f", and {held - 6} more" if held > 6 else ""
        assert what == f"another live file holds tile iron-main-dark-10000 too: {', '.join(others)}{more}"


def test_exports_and_views_are_no_parts_of_a_lake(place):
    (place.folder / "link").symlink_to(place.lake)
    for folder in (place.lake / "part", place.lake / "a" / "b", place.folder / "link" / "part"):
        said = place.run("export", "z > -1", "-o", folder, code=2).stderr
        assert f"{folder} lies in the lake {place.lake}: export to a folder outside" in said
        assert f"{folder} lies in the lake {place.lake}" in place.run("view", folder, code=2).stderr
        assert not folder.exists()
    place.run("export", "z > -1", "-o", place.folder / "part")


def test_a_grace_that_is_longer_than_a_life_is_refused(place):
    assert "a hundred years" in place.run("gc", "--grace", "9999999999d", code=2).stderr
    place.run("gc", "--grace", "36525d")
