"""Time travel: as of every earlier commit the registry gives the list that it gave then, a reader the
rows that it gave then; a saved snapshot keeps its files from gc, and its replay says what is gone.

BIFROST_BIN names the program. BIFROST_SOAK=1 lives longer histories.
"""

import hashlib
import json
import os
import random
import shutil
import subprocess
import threading
import time

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import new_place

SOAK = bool(os.environ.get("BIFROST_SOAK"))
QUESTIONS = [
    ["z > 0"],
    ["spectype = 'QSO' AND zwarn = 0 AND z > 2"],
    ["spectype = 'STAR' AND zwarn <> 0"],
    ["z BETWEEN 0.2 AND 0.4"],
    ["ebv > 0.03"],
    ["flux_r > 50 OR flux_r IS NULL"],
    ["program = 'dark' AND healpix = 10001"],
    ["z > 0.5", "--cone", "252.7,45.9,0.4"],
]


@pytest.fixture
def lake(place):
    """A lake with spectra of six tiles, registered: commit 1."""
    for program in ("dark", "bright"):
        place.run("mock", "--out", place.folder / "archive", "--tiles", 3, "--objects", 30,
                  "--program", program, "--seed", 5)
    place.run("convert", place.folder / "archive", "--group-rows", 8)
    place.run("sync")
    return place


def spectra(place):
    """The lake's spectra by tile."""
    found = sorted((place.lake / "spectra").rglob("*.parquet"))
    return {path.stem.rsplit("_", 1)[0].removeprefix("iron-main-"): path for path in found}


def listed(place, question, *more):
    """Files and row groups of an answer."""
    answer = answered(place, "resolve", *question, *more)
    return {file["file_id"]: file["row_groups"] for file in answer["files"]}


def answered(place, *arguments, codes=(0, 4)):
    """JSON, also of an answer with nothing in it (exit code 4)."""
    command = [os.environ["BIFROST_BIN"], *map(str, arguments), "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=place.folder, env=place.environment)
    assert ended.returncode in codes, ended.stderr
    return json.loads(ended.stdout)


def read(place, question, *more, code=0):
    ended = place.run("read", *question, "--columns", "target_id,z", "--format", "csv", *more, code=code)
    return sorted(ended.stdout.splitlines()[1:])


def remake(place, *options):
    place.run("convert", place.folder / "archive", "--group-rows", 8, *options)
    return place.json("sync")["commit"]


def marked(place, *grace):
    for step in ("mark", "move", "unlink"):
        place.run("gc", "--apply", step, "--grace", *(grace or ("0s",)))


def kept(place):
    folders = [place.lake / ".bifrost" / "replaced", place.lake / ".bifrost" / "gc"]
    return sorted(path for folder in folders for path in folder.rglob("*.parquet"))


def test_as_of_every_commit_the_list_is_the_one_of_then(lake):
    """A random history of files that come, are made again, go, come back and are damaged."""
    dice = random.Random(11)
    away = lake.folder / "away"
    away.mkdir()
    recorded = {1: [listed(lake, question) for question in QUESTIONS]}
    for turn in range(60 if SOAK else 14):
        there, gone = spectra(lake), sorted(away.iterdir())
        deed = dice.choice(["remake", "remove", "return", "damage", "catalog", "gc"])
        if deed == "remake":
            remake(lake, *dice.choice([["--where", "zwarn = 0"], ["--where", "z > 0.1"], ["--force"]]))
        elif deed == "remove" and there:
            path = dice.choice(list(there.values()))
            path.rename(away / path.name)
        elif deed == "return" and gone:
            path = dice.choice(gone)
            pixel = path.stem.rsplit("_", 1)[0].rsplit("-", 1)[1]
            path.rename(lake.lake / "spectra/dataset/Norder=6/Dir=10000" / f"Npix={pixel}" / path.name)
        elif deed == "damage" and there:
            path = dice.choice(list(there.values()))
            path.write_bytes(path.read_bytes()[:-1])
        elif deed == "catalog":
            lake.run("sync", "--no-catalog", "--no-datasheet")
        # what is damaged is quarantined: exit code 3
        answered(lake, "sync", codes=(0, 3))
        commit = lake.sql("SELECT max(commit_id) FROM commits")[0][0]
        recorded.setdefault(commit, [listed(lake, question) for question in QUESTIONS])
    assert len(recorded) > 6
    for commit, lists in recorded.items():
        for question, then in zip(QUESTIONS, lists):
            assert listed(lake, question, "--as-of", commit) == then, (commit, question)


def test_objects_are_never_missed_as_of_then(lake):
    """The catalog only knows now: as of then more may be named, never less."""
    ids = [row[0] for row in lake.sql("SELECT target_id FROM catalog ORDER BY target_id")]
    chosen = random.Random(1).sample(ids, 5)
    then = listed(lake, ["--target-id", ",".join(map(str, chosen))])
    rows = read(lake, ["--target-id", ",".join(map(str, chosen))])
    assert len(rows) >= 5
    remake(lake, "--where", "z > 90", "--force")
    now = listed(lake, ["--target-id", ",".join(map(str, chosen))], "--as-of", 1)
    assert set(then) <= set(now) and all(set(then[f]) <= set(now[f]) for f in then)
    assert read(lake, ["--target-id", ",".join(map(str, chosen))], "--as-of", 1) == rows


def test_rows_are_read_as_of_then_from_where_they_lie_now(lake):
    question = ["zwarn >= 0 AND z > 0.3"]
    before = read(lake, question)
    assert remake(lake, "--where", "zwarn = 0") == 2
    after = read(lake, question)
    assert after != before
    assert read(lake, question, "--as-of", 1) == before
    assert read(lake, question, "--as-of", 2) == after == read(lake, question, "--as-of", "now")
    lake.run("gc", "--apply", "mark", "--grace", "0s")
    lake.run("gc", "--apply", "move", "--grace", "0s")
    assert all(".bifrost/gc/" in str(path) for path in kept(lake))
    assert read(lake, question, "--as-of", 1) == before, "from the folder of gc"
    lake.run("gc", "--apply", "unlink", "--grace", "0s")
    answer = lake.json("resolve", *question, "--as-of", 1)
    assert len(answer["files"]) == 6 and {file["uri"] for file in answer["files"]} == {None}
    failed = lake.run("read", *question, "--as-of", 1, code=1).stderr
    assert "commit 2 took it out and gc has unlinked it" in failed and "dark-10000" in failed


def test_a_file_that_was_written_over_is_named(lake):
    path = spectra(lake)["dark-10000"]
    with path.open("r+b") as file:
        file.truncate(1000)
    lake.run("sync", code=3)
    failed = lake.run("read", "z > -1", "--as-of", 1, code=1).stderr
    assert path.name in failed and "commit 2 took it out and it was written over" in failed
    assert "iron-main-dark-10001" not in failed


def test_of_many_that_are_gone_some_are_named(lake):
    folder = lake.lake / "extra"
    folder.mkdir()
    for number in range(40):
        pq.write_table(pa.table({"x": [number]}), folder / f"{number}.parquet")
    commit = lake.json("sync")["commit"]
    for path in folder.iterdir():
        path.unlink()
    lake.run("sync")
    question = ["x >= 0", "--product", "extra", "--as-of", commit]
    for asked in (["read", *question], ["resolve", *question, "--save", lake.folder / "lost.json"]):
        said = lake.run(*asked, code=1).stderr
        assert "40 files" in said and "extra/0.parquet: commit" in said and said.endswith(" more\n"), said
        assert len(said) < 4000
    everything = lake.json("resolve", *question)["files"]
    assert len(everything) == 40 and all("commit" in file["lost"] for file in everything)


def test_points_are_commits_or_times(lake):
    time.sleep(0.01)
    between = lake.sql("SELECT clock_timestamp()")[0][0].isoformat()
    remake(lake, "--where", "zwarn = 0")
    everything = ["z > -1"]
    assert listed(lake, everything, "--as-of", between) == listed(lake, everything, "--as-of", 1)
    # as psql and `status` print times
    for stamp in lake.sql("SELECT committed_at::text, to_char(committed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US \"UTC\"') FROM commits ORDER BY commit_id")[0]:
        assert "+00" in stamp or "UTC" in stamp
        assert listed(lake, everything, "--as-of", stamp) == listed(lake, everything, "--as-of", 1)
    assert listed(lake, everything, "--as-of", "2999-01-01") == listed(lake, everything)
    assert listed(lake, everything, "--as-of", 0) == {}
    for point, says in [("3", "there is no commit 3 yet: the latest is 2"),
                        ("2020-01-01", "remembers nothing from before commit 1"),
                        ("soon", "is no commit")]:
        assert says in lake.run("resolve", *everything, "--as-of", point, code=2).stderr
    held = lake.json("status", "--as-of", 1)["held"]
    assert [(h["product"], h["files"]) for h in held] == [("spectra", 6)]
    assert held[0]["rows"] > lake.json("status", "--as-of", "now")["held"][0]["rows"]
    # a registry that was made anew has forgotten
    lake.run("db", "rebuild", "--discard")
    assert "remembers nothing" in lake.run("resolve", *everything, "--as-of", 1, code=2).stderr


def test_log_and_diff_tell_what_was_done(lake):
    files = spectra(lake)
    rows = dict(lake.sql("SELECT path, num_rows FROM file_registry WHERE state = 'live'"))
    files["bright-10000"].unlink()
    lake.run("sync")
    lake.run("stage", "run", "snr")
    remake(lake, "--where", "zwarn = 0")
    log = lake.json("log")["commits"]
    assert [c["commit"] for c in log] == sorted((c["commit"] for c in log), reverse=True)
    actions = [c["action"] for c in log]
    assert actions[0] == "sync" and actions[-2:] == ["sync", "sync"] and set(actions[1:-2]) == {"stage"}
    assert all(c["node"] and c["by"] and c["key"] for c in log)
    assert len({c["key"] for c in log}) == len(log)
    assert (log[-1]["files_added"], log[-2]["files_missing"]) == (6, 1)
    assert [c["commit"] for c in lake.json("log", "--limit", 1, "--until", 2)["commits"]] == [2]
    assert "1 missing" in lake.run("log").stdout
    last = log[0]["commit"]
    first = lake.json("diff", 0, 1)
    assert len(first["added"]) == 6 and not first["replaced"] and not first["removed"]
    gone = lake.json("diff", 1, 2)
    assert [c["old"]["path"] for c in gone["removed"]] == [str(files["bright-10000"])]
    assert gone["products"] == {"spectra": {
        "added": 0, "replaced": 0, "removed": 1, "rows_before": gone["removed"][0]["old"]["rows"], "rows_after": 0}}
    remade = lake.json("diff", last - 1, "now")
    assert len(remade["replaced"]) == 5 and len(remade["added"]) == 1, "the tile that vanished is made again"
    for change in remade["replaced"]:
        path = change["old"]["path"].removeprefix(f"{lake.lake}/")
        assert change["old"]["rows"] == rows[path] >= change["new"]["rows"]
    counts = remade["products"]["spectra"]
    assert counts["rows_before"] == sum(c["old"]["rows"] for c in remade["replaced"])
    assert counts["rows_after"] == sum(c["new"]["rows"] for c in remade["replaced"] + remade["added"])
    back = lake.json("diff", "now", last - 1)
    assert {c["new"]["file_id"] for c in back["replaced"]} == {c["old"]["file_id"] for c in remade["replaced"]}
    lake.run("diff", last, code=4)
    assert "→" in lake.run("diff", 1, last).stdout


def test_a_key_that_is_repeated_does_nothing(lake):
    spectra(lake)["dark-10000"].unlink()
    first = lake.json("sync", "--key", "nightly-7")
    spectra(lake)["dark-10001"].unlink()
    again = lake.json("sync", "--key", "nightly-7")
    assert (first["commit"], again["commit"], again["repeats"]) == (2, None, 2)
    assert lake.sql("SELECT count(*) FROM commits") == [(2,)]
    assert lake.sql("SELECT key FROM commits WHERE commit_id = 2") == [("nightly-7",)]
    assert lake.json("sync")["commit"] == 3


# snapshots


QUASARS = ["spectype = 'QSO' AND z > 1"]


def save(place, *question):
    path = place.folder / "paper.json"
    place.run("resolve", *(question or QUASARS), "--save", path)
    return path


def kinds(report):
    return sorted({finding["kind"] for finding in report["findings"]})


def test_a_snapshot_says_what_it_names(lake):
    answer = lake.json("resolve", *QUASARS)
    path = save(lake)
    saved = json.loads(path.read_text())
    text = json.dumps(saved["snapshot"], separators=(",", ":"), ensure_ascii=False)
    assert saved["id"] == "bifrost:sha256:" + hashlib.sha256(text.encode()).hexdigest()
    files = saved["snapshot"]["files"]
    assert [(f["file_id"], f["row_groups"]) for f in files] == [
        (f["file_id"], f["row_groups"]) for f in answer["files"]]
    for file in files:
        content = (lake.lake / file["path"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
        assert file["size_bytes"] == len(content) and file["content"].startswith("blake3:")
        assert file["tile"] in file["path"]
    assert saved["snapshot"]["question"]["predicate"] == "spectype = 'QSO' AND z > 1"
    pins = lake.sql("SELECT snapshot, count(*) FROM snapshot_pins GROUP BY snapshot")
    assert pins == [(saved["snapshot"]["name"], len(files))]
    assert lake.json("replay", path, "--deep")["files_read"] == len(files)
    lake.run("resolve", *QUASARS, "--save", path, code=2)
    lake.run("resolve", "z > 90", "--save", lake.folder / "none.json", code=4)
    assert not (lake.folder / "none.json").exists() and len(lake.sql("SELECT FROM snapshot_pins")) == len(files)


def test_a_snapshot_outlives_its_files_successors_and_gc(lake):
    rows = read(lake, QUASARS)
    path = save(lake)
    named = {f["path"] for f in json.loads(path.read_text())["snapshot"]["files"]}
    remake(lake, "--where", "zwarn = 0")
    marked(lake)
    assert len(kept(lake)) == len(named)
    report = lake.json("replay", path, "--deep")
    assert (report["findings"], report["moved"], report["pinned"]) == ([], len(named), len(named))
    assert report["more"] == 0
    assert read(lake, ["--snapshot", path]) == rows != read(lake, QUASARS)
    assert {c["product"] for c in lake.json("diff", path, "now")["replaced"]} == {"spectra"}
    # let go
    assert "no longer kept" in lake.run("replay", path, "--forget").stdout
    lake.run("replay", path, "--forget", code=4)
    marked(lake)
    assert kept(lake) == []
    report = lake.json("replay", path, code=3)
    assert kinds(report) == ["gone"] and {f["path"] for f in report["findings"]} == named
    assert "gc has unlinked it" in report["findings"][0]["what"]
    lake.run("resolve", *QUASARS, "--as-of", 1, "--save", lake.folder / "late.json", code=1)
    assert not (lake.folder / "late.json").exists()
    assert lake.sql("SELECT count(*) FROM snapshot_pins") == [(0,)]


def test_what_was_altered_is_told(lake):
    path = save(lake)
    saved = json.loads(path.read_text())
    first = lake.lake / saved["snapshot"]["files"][0]["path"]
    # one bit, under the same size and time: only reading shows it
    times = first.stat()
    with first.open("r+b") as file:
        file.seek(5000)
        byte = file.read(1)
        file.seek(5000)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(first, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert lake.json("replay", path)["findings"] == []
    assert kinds(lake.json("replay", path, "--deep", code=3)) == ["changed"]
    first.unlink()
    assert kinds(lake.json("replay", path, code=3)) == ["gone"]
    shutil.move(lake.lake / ".bifrost" / "lake.json", lake.folder / "lake.json")
    url = lake.database_url
    assert kinds(lake.json("--database-url", url, "replay", path, code=3)) == ["unreachable"]
    shutil.move(lake.folder / "lake.json", lake.lake / ".bifrost" / "lake.json")
    saved["snapshot"]["files"][1]["rows"] += 1
    path.write_text(json.dumps(saved))
    assert kinds(lake.json("replay", path, code=3)) == ["digest"]
    lake.run("read", "--snapshot", path, code=2)
    path.write_text("{}")
    lake.run("replay", path, code=2)


def test_another_registry_checks_the_files_alone(lake):
    path = save(lake)
    lake.run("db", "rebuild", "--discard")
    assert kinds(lake.json("replay", path, "--deep", code=3)) == ["registry"]
    said = lake.run("replay", path, "--deep", code=3).stdout
    assert "its files are there; whether its answer is still the same cannot be asked" in said
    assert "were read, and have the bytes that they had" in said and "it does not hold" not in said
    assert "are kept for" not in said, "what a rebuild keeps"
    assert "another registry" in lake.run("read", "--snapshot", path, code=2).stderr


def ends(place):
    """Where the pinned file is once all that may go is gone."""
    for _ in range(3):
        place.run("gc", "--apply", "unlink", "--grace", "0s")
    return sorted(path.name for path in kept(place))


def test_pins_outlive_a_registry_that_is_made_anew(lake):
    """Files that were replaced, and are in no lake and no registry any more, but in a saved snapshot."""
    path = save(lake)
    named = sorted(f["path"].rsplit("/")[-1] for f in json.loads(path.read_text())["snapshot"]["files"])
    remake(lake, "--where", "zwarn = 0")
    assert len(named) < len(kept(lake))
    anew = lake.run("db", "rebuild", "--discard").stdout
    assert f"gc still keeps {len(named)} files for saved snapshots" in anew
    report = lake.json("replay", path, "--deep", code=3)
    assert (kinds(report), report["pinned"], report["moved"]) == (["registry"], len(named), len(named))
    assert ends(lake) == named
    # and one in another database, which cannot know, is told by who has the file
    with psycopg.connect(lake.database_url) as connection:
        connection.execute("TRUNCATE snapshot_pins")
    said = lake.run("replay", path, code=3).stdout
    assert "only 0 are kept for" in said and "unless --pin keeps them" in said
    lake.run("gc", "--apply", "move", "--grace", "0s")
    for pinned in (len(named), len(named)):
        assert lake.json("replay", path, "--pin", code=3)["pinned"] == pinned
    assert ends(lake) == named
    lake.run("replay", path, "--forget")
    assert ends(lake) == []
    assert kinds(lake.json("replay", path, "--pin", code=3)) == ["gone", "registry"]
    saved = json.loads(path.read_text())
    saved["snapshot"]["name"] = "another"
    path.write_text(json.dumps(saved))
    assert "not what was saved" in lake.run("replay", path, "--pin", code=2).stderr
    assert "not what was saved" in lake.run("diff", path, "now", code=2).stderr


def test_pins_and_time_travel_outlive_a_move_to_another_disk(lake):
    """A copy has the same names, sizes and times, and other inodes."""
    rows = read(lake, QUASARS)
    path = save(lake)
    remake(lake, "--where", "zwarn = 0")
    others = len(kept(lake))
    copy = lake.folder / "copy"
    shutil.copytree(lake.lake / ".bifrost" / "replaced", copy)
    shutil.rmtree(lake.lake / ".bifrost" / "replaced")
    copy.rename(lake.lake / ".bifrost" / "replaced")
    assert read(lake, QUASARS, "--as-of", 1) == rows
    assert lake.json("replay", path, "--deep")["findings"] == []
    assert 0 < len(ends(lake)) < others
    assert lake.json("replay", path, "--deep")["findings"] == []
    assert read(lake, ["--snapshot", path]) == rows


def test_psql_is_told_where_the_registry_does_not_remember(lake):
    remake(lake, "--where", "zwarn = 0")
    lake.run("db", "rebuild", "--discard")
    [(first,)] = lake.sql("SELECT min(commit_id) FROM commits")
    assert first > 2
    with psycopg.connect(lake.database_url, autocommit=True) as reader:
        for query in ("SELECT count(*) FROM files_as_of({})", "SELECT FROM files_as_of({}) WHERE product = 'none'",
                      "SELECT is_made_of_live(file_id, {}) FROM file_parents UNION ALL SELECT true FROM files_as_of({})",
                      "SELECT FROM unnest('{{{}}}'::int8[]) AS c (c) CROSS JOIN LATERAL files_as_of(c.c)"):
            with pytest.raises(psycopg.Error, match=f"remembers nothing from before commit {first}"):
                reader.execute(query.format(first - 1, first - 1))
            with pytest.raises(psycopg.Error, match=f"there is no commit {first + 1} yet: the latest is {first}"):
                reader.execute(query.format(first + 1, first + 1))
            reader.execute(query.format(first, first))
        assert reader.execute("SELECT count(*) FROM files_as_of(0)").fetchone() == (0,)
        assert reader.execute("SELECT count(*) FROM files_as_of(NULL)").fetchone() == (0,)


def test_a_time_as_it_is_printed_is_the_commit_that_it_was_printed_of(lake):
    remake(lake, "--where", "zwarn = 0")
    with psycopg.connect(lake.database_url) as connection:
        connection.execute("UPDATE commits SET committed_at = '2026-01-01 10:00:00.7+00' WHERE commit_id = 1")
        connection.execute("UPDATE commits SET committed_at = '2026-01-01 10:00:01.7+00' WHERE commit_id = 2")
    for point, commit in [("2026-01-01 10:00:00 UTC", 1), ("2026-01-01T11:00:01+01:00", 2),
                          ("2026-01-01 10:00:01", 2), ("2026-01-01 10:00:01.2", 1), ("2026-01-01 10:00:01.7+00", 2)]:
        assert lake.json("resolve", "z > 0", "--as-of", point)["commit"] == commit, point
    assert "2026-01-01 10:00:01" in lake.run("log").stdout


def test_commits_without_end_do_not_hold_up_the_past(lake):
    """A long answer about then, while a campaign publishes faster than it can be given."""
    then = listed(lake, ["z > 0.5"])
    remake(lake, "--where", "zwarn = 0")
    stopped = threading.Event()

    def publish():
        with psycopg.connect(lake.database_url, autocommit=True) as connection:
            while not stopped.is_set():
                connection.execute("INSERT INTO commits (lake_id, node, program)"
                                   " SELECT lake_id, node, program FROM commits WHERE commit_id = 1")

    with psycopg.connect(lake.database_url) as connection:
        connection.execute("CREATE OR REPLACE FUNCTION is_remembered(as_of bigint) RETURNS boolean LANGUAGE plpgsql STABLE"
                           " AS 'BEGIN PERFORM pg_sleep(0.05); RETURN true; END'")
    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        command = [os.environ["BIFROST_BIN"], "resolve", "z > 0.5", "--as-of", "1", "--json"]
        ended = subprocess.run(command, capture_output=True, text=True, env=lake.environment, cwd=lake.folder,
                               timeout=60, check=True)  # an end, however late
    finally:
        stopped.set()
        publisher.join()
    assert {f["file_id"]: f["row_groups"] for f in json.loads(ended.stdout)["files"]} == then


def test_gc_and_a_snapshot_do_not_both_win(lake):
    """Whoever saves after gc has decided is refused; whoever saved before keeps the files."""
    remake(lake, "--where", "zwarn = 0")
    lake.run("gc", "--apply", "mark", "--grace", "0s")
    lake.run("gc", "--apply", "move", "--grace", "0s")
    with psycopg.connect(lake.database_url) as gc:
        gc.execute("UPDATE gc_marks SET step = 'unlinking'")
    failed = lake.run("resolve", *QUASARS, "--as-of", 1, "--save", lake.folder / "late.json", code=1).stderr
    assert "is deleted" in failed and not (lake.folder / "late.json").exists()
    with psycopg.connect(lake.database_url) as gc:
        gc.execute("UPDATE gc_marks SET step = 'moved'")
    path = save(lake, *QUASARS, "--as-of", 1)
    lake.run("gc", "--apply", "unlink", "--grace", "0s")
    assert lake.json("replay", path, "--deep")["findings"] == []


def test_an_old_registry_travels_as_far_as_it_can(lake):
    """What was registered before commits had keys is as of its commits all the same."""
    then = [listed(lake, question) for question in QUESTIONS]
    remake(lake, "--where", "zwarn = 0")
    with psycopg.connect(lake.database_url) as connection:
        connection.execute("TRUNCATE past_bounds, past_cells")
    for question, files in zip(QUESTIONS, then):
        now = listed(lake, question, "--as-of", 1)
        assert set(files) <= set(now) and all(set(files[f]) <= set(now[f]) for f in files), question


def test_status_tells_how_the_registry_stands():
    with new_place() as lake:
        lake.lake.mkdir()
        psycopg.connect(lake.database_url).close()  # a server of its own is up now
        lake.run("db", "migrate")
        assert "the registry is empty" in lake.run("status", code=4).stdout
        lake.run("mock", "--out", lake.folder / "archive", "--objects", 20, "--tiles", 5)
        lake.run("convert", lake.folder / "archive")
        lake.run("sync")
        files = sorted((lake.lake / "spectra" / "dataset").rglob("*.parquet"))
        table = pq.ParquetFile(files[0]).read()
        # one file of an older schema, one that is no Parquet file any more, one that is gone
        pq.write_table(table.drop_columns(["subtype"]), files[0])
        files[1].write_bytes(b"PAR1 is not enough")
        files[2].unlink()
        lake.run("sync", code=3)
        said = lake.json("status")["registry"]
        (product,) = [p for p in said["products"] if p["product"] == "spectra"]
        states = [product[state] for state in ("files", "quarantined", "missing", "schemas", "drifted")]
        assert states == [3, 1, 1, 2, 1], product
        assert said["commit"]["commit"] == lake.sql("SELECT max(commit_id) FROM commits")[0][0]
        (node,) = said["nodes"]
        assert 0 <= node["silent_s"] < 60 and node["last_commit"] == said["commit"]["commit"]
        shown = lake.run("status").stdout
        assert f"commit {said['commit']['commit']} of 20" in shown and "drifted" in shown and "MB/s" not in shown
        metrics = lake.run("status", "--metrics").stdout
        assert f'bifrost_files_drifted{{product="spectra",node="{node["node"]}"}} 1' in metrics
