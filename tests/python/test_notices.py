"""People are told how a campaign goes: by a webhook that a web server here receives, and by a command."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from test_campaign import Archive, wait_until

# tries of one delivery
TRIES = 3


class Ears:
    """A webhook and a command, and what they were told."""

    def __init__(self, folder):
        self.posted, self.to_refuse = [], 0
        self.refused = 0
        ears = self

        class Ear(BaseHTTPRequestHandler):
            def do_POST(self):
                assert self.headers["Content-Type"] == "application/json"
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                is_refused = ears.to_refuse > 0
                if is_refused:
                    ears.to_refuse -= 1
                    ears.refused += 1
                else:
                    ears.posted.append(body)
                self.send_response(500 if is_refused else 200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Ear)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.told = folder / "told"
        self.options = ["--webhook", f"http://127.0.0.1:{self.server.server_port}/secret",
                        "--hook", f"cat >> {self.told}; echo >> {self.told}"]

    def commanded(self):
        """What the command got."""
        text = self.told.read_text() if self.told.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def events(self):
        """What both were told, which is the same; by the webhook as Slack wants it."""
        notices = self.commanded()
        assert sorted(body["text"] for body in self.posted) == sorted(n["text"] for n in notices)
        assert all(set(body) == {"text"} for body in self.posted)
        return [notice["event"] for notice in notices]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def ears(place):
    made = Ears(place.folder)
    yield made
    made.close()


@contextlib.contextmanager
def inventoried(place, pixels, spoil=0):
    """An archive, some of whose tiles are cut short, with sums that agree."""
    archive = Archive(place, pixels)
    for coadd in sorted(archive.folder.rglob("coadd-*.fits"))[:spoil]:
        coadd.write_bytes(coadd.read_bytes()[:50_000])
        for sums in coadd.parent.glob("*.sha256sum"):
            sums.unlink()
    place.lake.mkdir()
    place.run("sync")
    place.run("inventory", archive.list(), "--archive", archive.url)
    try:
        yield archive
    finally:
        archive.close()


def test_people_are_told_once_of_milestones_and_of_the_end(place, ears):
    with inventoried(place, 3) as archive:
        options = ["--archive", archive.url, *ears.options, "--milestones", "30"]
        place.run("run", *options, "--max-batches", 1, "--tiles-per-batch", 2)
        for _ in range(2):
            place.run("run", *options)
        assert ears.events() == ["milestone", "complete"]
        first, last = ears.commanded()
        assert (first["tiles_done"], last["tiles_done"]) == (2, archive.tiles)
        assert "30 % of 6 tiles" in first["text"] and "nothing is left" in last["text"]
        assert all(n["version"] == 1 and n["release"] == "iron" and n["node"] for n in (first, last))


def test_the_end_is_told_again_when_something_has_been_made_again(place, ears):
    with inventoried(place, 1) as archive:
        options = ["--archive", archive.url, *ears.options, "--milestones", "100"]
        for _ in range(2):
            place.run("run", *options)
        assert ears.events() == ["complete"]
        place.sql("UPDATE archive_tiles SET state = 'queued' RETURNING 1")
        for _ in range(2):
            place.run("run", *options)
        assert ears.events() == ["complete"] * 2, "to the same counts, and it is another end"


def test_people_are_not_told_of_the_failures_of_another_day(place, ears):
    with inventoried(place, 13, spoil=12) as archive:
        options = ["--archive", archive.url, *ears.options, "--milestones", "100", "--failure-rate", 0.1]
        some = ["--max-batches", 6, "--tiles-per-batch", 4]
        place.run("run", "--archive", archive.url, *some, code=3)
        place.sql("UPDATE campaign_attempts SET ended_at = ended_at - interval '1 day' RETURNING 1")
        place.run("run", *options, "--max-batches", 0)
        assert ears.events() == []


def test_people_are_told_of_many_failures_and_not_of_few(place, ears):
    with inventoried(place, 13, spoil=12) as archive:
        options = ["--archive", archive.url, *ears.options, "--milestones", "100"]
        # tiles are left, so that it is no end
        some = ["--max-batches", 6, "--tiles-per-batch", 4]
        place.run("run", *options, "--failure-rate", 0.95, *some, code=3)
        assert ears.events() == []
        place.run("run", *options, "--failure-rate", 0.1, "--max-batches", 0)
        place.run("run", *options, "--failure-rate", 0.1, "--max-batches", 0)
        assert ears.events() == ["failures"], "once, and then not for a while"
        (failed,), = place.sql("SELECT count(*) FROM attempts WHERE ended = 'corrupt'")
        assert failed > 0 and f"{failed} of the last 24 tries failed" in ears.commanded()[0]["text"]


def test_people_are_told_when_nothing_moves(place, ears):
    with inventoried(place, 2) as archive:
        archive.server.shutdown()  # nobody answers
        command = [os.environ["BIFROST_BIN"], "run", "--archive", archive.url, *ears.options,
                   "--stall-after", "0.5", "--lease", "1", "--grace", "2", "--stall", "600"]
        running = subprocess.Popen(command, env=place.environment, cwd=place.folder,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: ears.posted and ears.commanded())
            running.send_signal(signal.SIGTERM)
            assert running.wait(timeout=60) == 75
        finally:
            running.kill()
            running.wait()
        assert ears.events() == ["stall"]
        assert "no tile has ended" in ears.posted[0]["text"]
        threading.Thread(target=archive.server.serve_forever, daemon=True).start()


def test_the_end_is_told_although_the_webhook_was_away_for_longer_than_its_tries(place, ears):
    with inventoried(place, 1) as archive:
        ears.to_refuse = TRIES + 1
        ended = place.run("run", "--archive", archive.url, *ears.options, "--milestones", "100")
        assert ears.refused == TRIES + 1
        assert ears.events() == ["complete"], "and the command, which worked, once"
        errors = [line for line in map(json.loads, ended.stderr.splitlines()) if line["level"] == "ERROR"]
        assert len(errors) == 1 and "webhook" in errors[0]["message"]
        assert ears.posted[0]["text"] in errors[0]["message"], "the log has it in any case"
        assert "secret" not in ended.stderr


def test_what_a_run_could_not_tell_the_next_one_tells(place, ears):
    with inventoried(place, 3) as archive:
        options = ["--archive", archive.url, *ears.options, "--milestones", "30",
                   "--max-batches", 1, "--tiles-per-batch", 2]
        ears.to_refuse = TRIES
        place.run("run", *options)
        assert ears.posted == [] and len(ears.commanded()) == 1
        place.run("run", *options)
        assert [body["text"].split(":")[1][:5] for body in ears.posted] == [" 30 %"]
        assert len(ears.commanded()) == 1


def test_a_run_that_is_told_to_stop_while_nobody_answers_leaves_it_to_the_next(place, ears):
    with inventoried(place, 1) as archive, socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"http://127.0.0.1:{mute.getsockname()[1]}"
        command = [os.environ["BIFROST_BIN"], "run", "--archive", archive.url, "--webhook", address, "--grace", "60"]
        running = subprocess.Popen(command, env=place.environment, cwd=place.folder, stdout=subprocess.DEVNULL)
        try:
            connection, _ = mute.accept()
            running.send_signal(signal.SIGTERM)
            assert running.wait(timeout=60) == 75, "it has all its grace left"
            connection.close()
        finally:
            running.kill()
            running.wait()
        place.run("run", "--archive", archive.url, *ears.options)
        assert "complete" in ears.events()
