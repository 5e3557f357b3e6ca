"""A place of its own for every test: a temporary folder with a lake, and a database.

BIFROST_BIN names the program. The database is one of the server that BIFROST_TEST_DATABASE_URL
names; without that variable it is the lake's own private server.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest


class Place:
    """A temporary folder with a lake, and the program set to it."""

    def __init__(self, folder, database_url):
        self.folder = folder
        self.lake = folder / "lake"
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("BIFROST_")}
        self.environment.update(
            BIFROST_LAKE=str(self.lake), HOME=str(folder), XDG_STATE_HOME=str(folder / "state")
        )
        if database_url:
            self.environment["BIFROST_DATABASE_URL"] = database_url
        self._database_url = database_url

    def run(self, *arguments, code=0, stdin=None):
        """Runs the program; its exit code must be the expected one."""
        command = [os.environ["BIFROST_BIN"], *map(str, arguments)]
        ended = subprocess.run(
            command, capture_output=True, text=True, cwd=self.folder, env=self.environment, stdin=stdin
        )
        assert ended.returncode == code, f"{command}\n{ended.stdout}\n{ended.stderr}"
        return ended

    def json(self, *arguments, code=0):
        """What the program prints with --json."""
        return json.loads(self.run(*arguments, "--json", code=code).stdout)

    def read(self, *arguments, code=0):
        """The rows that `bifrost read` gives, or the words with which it fails."""
        path = self.folder / "read.parquet"
        ended = self.run("read", *arguments, "--format", "parquet", "-o", path, code=code)
        if code:
            return ended.stderr
        table = pq.read_table(path)
        path.unlink()
        return table

    @property
    def database_url(self):
        """Where the registry is; starts the private server if that is the one."""
        if not self._database_url:
            self.run("db", "up")
            self._database_url = self.json("db", "status")["url"]
        return self._database_url

    def use(self, database_url):
        """Another server than the lake's own."""
        self._database_url = database_url

    def sql(self, query, *parameters):
        """Rows that a query gives."""
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(query, parameters or None).fetchall()


def with_database(url, name):
    """The URL with another database: postgresql://HOST/DATABASE?OPTIONS."""
    return re.sub(r"^(\w+://[^/?]*)(/[^?]*)?", rf"\1/{name}", url)


@pytest.fixture
def place():
    with new_place() as place:
        yield place


class Folders:
    """Folders that are gone afterwards: pytest would keep those of the last three runs."""

    def __init__(self, folder):
        self.folder = Path(folder)

    def mktemp(self, name):
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))


@pytest.fixture(scope="session")
def tmp_path_factory():
    with tempfile.TemporaryDirectory(prefix="bifrost-") as folder:
        Path(folder).chmod(0o755)
        yield Folders(folder)


@pytest.fixture
def tmp_path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("test")
    yield folder
    shutil.rmtree(folder)


@contextlib.contextmanager
def new_place():
    """A place that is gone afterwards."""
    assert os.environ.get("BIFROST_BIN"), "set BIFROST_BIN to the bifrost program"
    server = os.environ.get("BIFROST_TEST_DATABASE_URL")
    name = f"bifrost_test_{uuid.uuid4().hex}"
    if server:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    folder = Path(tempfile.mkdtemp(prefix="bifrost-"))
    folder.chmod(0o755)  # root's server runs as another user, who must get in
    place = Place(folder, server and with_database(server, name))
    try:
        yield place
    finally:  # whatever the test did, and whatever it set: nothing is left behind
        if server:
            with psycopg.connect(server, autocommit=True) as connection:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        for data in folder.glob("*/.bifrost/postgres/data"):
            stop = [os.environ["BIFROST_BIN"], "--lake", data.parents[2], "db", "down"]
            environment = {k: v for k, v in os.environ.items() if not k.startswith("BIFROST_")}
            subprocess.run(stop, check=True, capture_output=True, cwd="/", env=environment)
        shutil.rmtree(folder)


@contextlib.contextmanager
def new_lake(tiles, *stages):
    """A place with tiles of the program dark and one of bright, their stages, all of it synced."""
    with new_place() as place:
        archive = place.folder / "archive"
        made = ["mock", "--out", archive, "--objects", 30, "--seed", 4]
        place.run(*made, "--tiles", tiles)
        place.run(*made, "--tiles", 1, "--program", "bright")
        place.run("convert", archive)
        for stage in stages:
            place.run("stage", "run", stage)
        place.run("sync")
        yield place


@contextlib.contextmanager
def library(database_url):
    """Asks the library, in one process for all questions: the example `ask` beside the program."""
    program = Path(os.environ["BIFROST_BIN"]).parent / "examples" / "ask"
    command = [str(program), database_url]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(**question):
        process.stdin.write(json.dumps(question) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    yield ask
    process.stdin.close()
    assert process.wait() == 0


@contextlib.contextmanager
def small_disk(folder, size):
    """A disk of its own at a new folder; where that is not allowed, the test is skipped."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk of one's own takes the right to mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
