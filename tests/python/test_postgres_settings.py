"""ops/postgres/bifrost.conf, given to a real server of its own."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg
import pytest

SETTINGS = Path(__file__).resolve().parents[2] / "ops" / "postgres" / "bifrost.conf"
# what a small machine cannot give
OVERRIDDEN = {"shared_buffers": "16MB"}
NOBODY = 65534


def program(name):
    """One of Postgres' programs: of the PATH, else of the newest version that Debian has."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda p: int(p.parts[4]))
    return shutil.which(name) or str(found[-1])


def as_owner():
    """Postgres refuses to run as root."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


@pytest.fixture(scope="module")
def server():
    """A server that includes the settings; gives a connection."""
    folder = Path(tempfile.mkdtemp(prefix="bifrost-"))
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    shutil.copy(SETTINGS, folder / "bifrost.conf")
    (folder / "bifrost.conf").chmod(0o644)
    data = folder / "data"
    quiet = {"cwd": folder, "check": True, "capture_output": True, **as_owner()}
    make = [program("initdb"), "-D", data, "-U", "bifrost", "-A", "trust", "--no-sync"]
    subprocess.run(make, **quiet)
    own = "".join(f"{key} = {value}\n" for key, value in OVERRIDDEN.items())
    with (data / "postgresql.conf").open("a") as file:
        file.write(f"include '{folder}/bifrost.conf'\n{own}")
        file.write(f"listen_addresses = ''\nunix_socket_directories = '{folder}'\n")
    control = [program("pg_ctl"), "-D", data, "-w", "-l", folder / "log"]
    try:
        subprocess.run([*control, "start"], **quiet)
        try:
            with psycopg.connect(f"host={folder} user=bifrost dbname=postgres") as connection:
                yield connection
        finally:
            subprocess.run([*control, "stop", "-m", "immediate"], **quiet)
    finally:
        shutil.rmtree(folder)


def written():
    lines = [line for line in SETTINGS.read_text().splitlines() if re.match(r"\w", line)]
    return dict(re.match(r"(\w+) = ('[^']*'|\S+)", line).groups() for line in lines)


def test_the_server_takes_every_setting(server):
    wrong = "SELECT name, setting, error FROM pg_file_settings WHERE error IS NOT NULL"
    assert server.execute(wrong).fetchall() == []
    in_force = "SELECT lower(name) FROM pg_settings WHERE sourcefile LIKE '%/bifrost.conf'"
    names = {name for (name,) in server.execute(in_force)}
    assert names == written().keys() - OVERRIDDEN.keys()
    assert len(names) > 30
    waiting = "SELECT name FROM pg_settings WHERE pending_restart"
    assert server.execute(waiting).fetchall() == []


def test_nothing_that_was_committed_can_be_lost(server):
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        assert server.execute(f"SHOW {name}").fetchone() == ("on",)


def test_the_worst_case_fits_the_node(server):
    def size(text):
        return server.execute("SELECT pg_size_bytes(%s)", [text]).fetchone()[0]

    own = {name: value.strip("'") for name, value in written().items()}
    vacuums = int(own["autovacuum_max_workers"]) * size(own["autovacuum_work_mem"])
    sorts = int(own["max_connections"]) * size(own["work_mem"])
    worst = size(own["shared_buffers"]) + vacuums + sorts + size(own["maintenance_work_mem"])
    assert worst <= 0.75 * size("28GB")
    assert size(own["effective_cache_size"]) + sorts <= size("28GB")
