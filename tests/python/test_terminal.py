"""`bifrost run` at a terminal: what somebody who looks on sees, and what is left when it has ended."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

import pyte
import pytest
from s3 import BUCKET, ROOT, bucket

LINES = 60
TILES = 6
BAR = re.compile(r"[█░]+ \d+/6 tiles.* \[\d+m?s\]")
# a bar is drawn twenty times a second at most, and takes three bytes a column
DRAWINGS_A_SECOND, BYTES_A_COLUMN = 20, 3


class Terminal:
    """A terminal of so many columns with a program in it."""

    def __init__(self, place, columns, *words):
        self.screen = pyte.Screen(columns, LINES)
        self.stream = pyte.ByteStream(self.screen)
        self.bytes, self.began = 0, time.monotonic()
        self.main, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, columns, 0, 0))
        command = [os.environ["BIFROST_BIN"], *map(str, words)]
        self.process = subprocess.Popen(
            command, stdin=terminal, stdout=terminal, stderr=terminal, cwd=place.folder,
            env=place.environment | {"TERM": "xterm-256color"})
        os.close(terminal)

    def sights(self):
        """What is on the screen after each piece that the program wrote, until it ends."""
        while True:
            assert select.select([self.main], [], [], 300)[0], "nothing moves"
            try:
                data = os.read(self.main, 1 << 16)
            except OSError:  # nobody has the terminal open any more
                break
            self.bytes += len(data)
            self.stream.feed(data)
            yield self.shown()
        self.code = self.process.wait()
        self.seconds = time.monotonic() - self.began
        os.close(self.main)

    def shown(self):
        return [line.rstrip() for line in self.screen.display if line.strip()]


@pytest.fixture
def where(place):
    """A bucket with tiles, listed; how it is reached, at a bearable pace."""
    with bucket() as s3:
        folder = place.folder / "archive"
        place.run("mock", "--out", folder / ROOT, "--tiles", TILES, "--objects", 3, "--seed", 5)
        s3.fill(folder)
        options = ["--archive", f"s3://{BUCKET}", "--endpoint", s3.url]
        place.lake.mkdir()
        place.run("sync")
        place.run("inventory", *options)
        (place.folder / "bifrost.toml").write_text('[fetch]\nmax_rate = "8MB"\n')
        yield options


@pytest.mark.parametrize("columns", [80, 120])
def test_a_bar_is_seen_while_it_works_and_only_lines_are_left(place, where, columns):
    terminal = Terminal(place, columns, "run", *where, "--tiles-per-batch", 2)
    bars, sight = [], []
    for sight in terminal.sights():
        drawn = [line for line in sight if "█" in line or "░" in line]
        assert len(drawn) <= 1, "\n".join(sight)
        bars += drawn
    assert terminal.code == 0
    # whole, on one line, and it moves
    whole = [bar for bar in bars if BAR.fullmatch(bar)]
    assert len({bar.split("/")[0].split()[-1] for bar in whole}) > 1, bars
    assert any(re.search(r"\d MB/s, \d\d:\d\d:\d\d left", bar) for bar in whole), bars
    # nothing of it stays: the batches' lines and the end, as wide as they are
    left = "".join(line.ljust(columns) for line in sight[:-1]) + sight[-1]
    said = [line for line in re.split(r"\s*(?=batch \d+:|end:)", left) if line]
    assert [line.split()[0] for line in said] == ["batch"] * 3 + ["end:"], sight
    assert "nothing is left" in said[-1]
    most = DRAWINGS_A_SECOND * BYTES_A_COLUMN * columns * (terminal.seconds + 1)
    assert terminal.bytes < most, f"{terminal.bytes} bytes in {terminal.seconds} s"


def test_what_goes_wrong_stands_above_the_bar(place, where):
    """Whatever else is written makes way for the bar, and the other way round."""
    terminal = Terminal(place, 100, "run", *where, "--tiles-per-batch", 2, "--hook", "false",
                        "--milestones", "1", "--lease", 0.6)
    sight = []
    for sight in terminal.sights():
        assert sum("█" in line or "░" in line for line in sight) <= 1, "\n".join(sight)
    assert any("ERROR" in line and "by command" in line for line in sight), sight


def test_a_terminal_that_shows_only_errors_is_left_in_peace(place, where):
    terminal = Terminal(place, 80, "run", *where, "--quiet", "--json", "--tiles-per-batch", 3)
    sight = []
    for sight in terminal.sights():
        assert not any("█" in line or "░" in line for line in sight)
    assert terminal.code == 0 and sight[0].startswith('{"event":"batch"')


def test_a_web_says_how_far_it_is(place):
    place.run("mock", "--out", place.folder / "archive", "--objects", 200, "--program", "bright")
    place.run("convert", place.folder / "archive")
    for more in ((), ("--blocks", 2)):
        terminal = Terminal(
            place, 120, "web", "--tracer", "all=z > 0.01", "--realisations", 60, "--seed", len(more), *more)
        shares = []
        for sight in terminal.sights():
            for line in sight:
                found = re.search(r"[█░]+ +(\d+) % all \w+: (.*) \[\d+s?, .* left\]", line)
                shares += [(int(found[1]), found[2])] if found else []
        assert terminal.code == 0
        parts = [share for share, _ in shares]
        assert parts == sorted(parts) and any(words.startswith("classes ") for _, words in shares), shares
        assert not any("%" in line for line in terminal.shown())
