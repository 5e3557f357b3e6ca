"""Where output goes that is no plain file, and what is printed where there is nothing."""

import json
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import new_lake


@pytest.fixture(scope="module")
def place():
    with new_lake(2) as place:
        yield place


def drained(fifo, bytes_):
    with open(fifo, "rb") as end:
        bytes_.append(end.read())


@pytest.mark.parametrize("format", ["csv", "json", "parquet"])
def test_a_pipe_is_written_to_and_stays_one(place, format):
    fifo = place.folder / f"pipe-{format}"
    os.mkfifo(fifo)
    bytes_ = []
    reader = threading.Thread(target=drained, args=(fifo, bytes_), daemon=True)
    reader.start()
    place.run("read", "z > 0", "--columns", "target_id", "--format", format, "-o", fifo)
    reader.join(30)
    assert fifo.is_fifo(), "it was replaced"
    file = place.folder / f"file-{format}"
    place.run("read", "z > 0", "--columns", "target_id", "--format", format, "-o", file)
    assert bytes_ == [file.read_bytes()] and bytes_[0]


def test_a_spectrum_goes_to_standard_output_by_name(place):
    target_id = place.read("z > 0", "--columns", "target_id").column(0)[0].as_py()
    said = place.run("spectrum", target_id, "--format", "csv", "-o", "/dev/stdout").stdout
    assert said == place.run("spectrum", target_id, "--format", "csv").stdout != ""


def test_a_link_stays_and_what_it_leads_to_is_replaced(place):
    (place.folder / "real").mkdir()
    real, link = place.folder / "real" / "rows.parquet", place.folder / "link.parquet"
    real.write_bytes(b"old")
    link.symlink_to(real)
    place.run("read", "z > 0", "--columns", "z", "--format", "parquet", "-o", link)
    assert link.is_symlink() and pq.read_table(real).num_rows > 0
    assert os.listdir(real.parent) == [real.name]


def test_saving_a_snapshot_touches_no_other_file(place):
    other = place.folder / "quasars.draft"
    other.write_text("mine")
    place.run("resolve", "z > 0", "--save", place.folder / "quasars.json")
    assert other.read_text() == "mine"
    place.run("replay", place.folder / "quasars.json", "--forget")


def test_a_saved_snapshot_is_told_with_a_version(place):
    path = place.folder / "told.json"
    told = place.json("resolve", "z > 0", "--save", path)
    assert told.pop("version") == 1
    assert told == json.loads(path.read_text())
    place.run("replay", path, "--forget")


def test_json_is_json_where_there_is_nothing(place):
    assert place.json("failures", code=4) == {"version": 1, "requeued": 0, "failures": [], "advice": {}}
    assert place.json("nodes", code=4) == {"version": 1, "nodes": []}
    assert place.run("failures", code=4).stdout == ""


def test_lists_are_read_whole_before_their_types_are_told(place):
    ra, dec = place.read("z > 0", "--columns", "ra,dec", "--limit", 1).to_pylist()[0].values()
    lines = [f"{i},{i % 360}," for i in range(1500)]
    listed = place.folder / "late.csv"
    listed.write_text("\n".join(["name,ra,dec", *lines, f"last,{ra!r},{dec!r}", ""]))
    said = place.run("match", listed, "--columns", "z", "--format", "csv").stdout.splitlines()
    assert len(said) == 2 and said[1].startswith("1500,")


def test_a_list_of_targets_may_begin_with_a_byte_order_mark(place):
    target_id = place.read("z > 0", "--columns", "target_id").column(0)[0].as_py()
    listed = place.folder / "ids.txt"
    listed.write_text(f"\ufeff{target_id}\r\n")
    assert place.read("--target-ids", listed, "--columns", "target_id").num_rows == 1


@pytest.mark.parametrize("words", [
    ("read", "TRUE", "--format", "csv", "-o", "rows.csv"),
    ("read", "TRUE", "--format", "parquet", "-o", "rows.parquet"),
    ("export", "TRUE", "-o", "part"),
])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_what_is_interrupted_leaves_nothing_behind(place, words, how):
    folder = place.folder / f"{how.name}-{words[-1]}"
    folder.mkdir()
    process = subprocess.Popen([os.environ["BIFROST_BIN"], *words], cwd=folder, env=place.environment,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not os.listdir(folder):
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(how)
    assert process.wait(60) in (0, 128 + how), "it was done already, or ended as by the signal"
    assert os.listdir(folder) == ([words[-1]] if process.returncode == 0 else [])


def test_names_and_words_of_others_do_nothing_to_a_terminal(place):
    """Escape sequences in names of files and in values are spelled, as JSON does."""
    folder = place.lake / "odd"
    folder.mkdir(parents=True)
    evil = "\x1b]0;title\x07\x1b[2J\x9b1m\r"
    pq.write_table(pa.table({"n": [1], "word": [evil]}), folder / f"{evil}.parquet")
    (folder / f"{evil}2.parquet").write_bytes(b"no Parquet")
    path = str(folder / f"{evil}.parquet")
    for command, code in [("sync", 3), ("status", 0), ("resolve n=1 --product odd", 0), ("read n=1 --product odd --columns word", 0), ("verify", 0),
                          ("resolve n=1 --product odd --explain", 0), ("diff 0 now", 0), ("log", 0)]:  # fmt: skip
        ended = place.run(*command.split(), code=code)
        said = ended.stdout + ended.stderr
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", said), (command, said)
        assert command in ("status", "verify", "log") or "\\u{1b}]0;title\\u{7}" in said, (command, said)
    assert place.json("resolve", "n=1", "--product", "odd")["files"][0]["path"] == path
    Path(path).unlink()
    assert "\\u{1b}[2J" in place.run("read", "n=1", "--product", "odd", code=1).stderr
