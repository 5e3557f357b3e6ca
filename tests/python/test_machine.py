"""ops/systemd under a real systemd: the campaign's unit, as confined as it is installed, makes tiles.

The machine is this one's files under an overlay, in namespaces of its own, with systemd as its first
process; what it writes goes with it. The archive is an S3 server, and the registry a Postgres, both
reached by TCP on loopback. That takes root and systemd; elsewhere it is skipped.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from psycopg import conninfo
from s3 import BUCKET, ROOT, bucket
from test_campaign import wait_until

HERE = Path(__file__).parent
INSTALL = HERE.parents[1] / "ops" / "systemd" / "install"
INIT = "/lib/systemd/systemd"
TILES = 4

START = f"""
set -eu
mount --make-rprivate /
mount -t tmpfs none "$SPACE"
mkdir "$SPACE/upper" "$SPACE/work" "$SPACE/root"
mount -t overlay none -o "lowerdir=/,upperdir=$SPACE/upper,workdir=$SPACE/work" "$SPACE/root"
cp "$BIN" "$SPACE/bifrost"
cd "$SPACE/root"
mount -t proc none proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs none run
mount -t tmpfs none tmp
rm -rf etc/systemd/system etc/bifrost
mkdir etc/systemd/system
DESTDIR=$PWD "$INSTALL" --lake /srv/bifrost-lake --bin "$SPACE/bifrost"
cp "$SETTINGS/bifrost.env" "$SETTINGS/bifrost.toml" etc/bifrost/
printf '[Unit]\\nDescription=Nothing else\\n' > etc/systemd/system/trial.target
chroot . systemd-sysusers /etc/sysusers.d/bifrost.conf
chroot . systemd-tmpfiles --create /etc/tmpfiles.d/bifrost.conf
# no chroot: a process in one may make no user namespace, which PrivateUsers takes
pivot_root . mnt
umount -l /mnt
exec {INIT} --system --unit=trial.target --log-target=null --show-status=0
"""


class Machine:
    """Namespaces with a systemd in them."""

    def __init__(self, settings):
        space = settings / "machine"
        space.mkdir()
        environment = {"PATH": os.environ["PATH"], "container": "other", "SPACE": str(space),
                       "BIN": os.environ["BIFROST_BIN"], "INSTALL": str(INSTALL), "SETTINGS": str(settings)}
        self.log = settings / "machine.log"
        with self.log.open("wb") as log:
            # --kill-child: its first process takes no other signal
            self.outer = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "--cgroup",
                 "sh", "-c", START], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        children = Path(f"/proc/{self.outer.pid}/task/{self.outer.pid}/children")
        wait_until(lambda: self.outer.poll() is not None or children.read_text().split())
        assert self.outer.poll() is None, self.log.read_text()
        self.first = int(children.read_text().split()[0])

    def inside(self, *words):
        command = ["nsenter", "-t", str(self.first), "-m", "-p", "-i", "-C", "-r", "-w", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    def shows(self, key, unit="bifrost-run.service"):
        return self.inside("systemctl", "show", "--value", "-p", key, unit).stdout.strip()

    def is_up(self):
        assert self.outer.poll() is None, self.log.read_text()
        return self.inside("systemctl", "is-system-running").stdout.strip() in ("running", "degraded")

    def path(self, path):
        """A path of the machine, seen from outside."""
        return Path(f"/proc/{self.first}/root") / path.lstrip("/")

    def close(self):
        self.outer.send_signal(signal.SIGKILL)
        self.outer.wait()


def may_boot():
    if os.getuid() != 0 or not all(shutil.which(p) for p in (INIT, "nsenter", "unshare", "systemd-sysusers")):
        return False
    return subprocess.run(["unshare", "--mount", "--pid", "--fork", "--cgroup", "true"]).returncode == 0


pytestmark = pytest.mark.skipif(not may_boot(), reason="a machine of one's own takes root and systemd")


def free_port():
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


@pytest.fixture
def reached(place):
    """The registry by TCP: a relay to its socket, which the unit's private /tmp hides."""
    own = conninfo.conninfo_to_dict(place.database_url)
    port = free_port()
    relay = subprocess.Popen(
        [sys.executable, HERE / "relay.py", f"127.0.0.1:{port}",
         f"{own['host']}/.s.PGSQL.{own.get('port') or 5432}"], stdout=subprocess.PIPE, text=True)
    assert relay.stdout.readline() == "ready\n"
    yield f"postgresql://{own['user']}@127.0.0.1:{port}/{own['dbname']}"
    relay.kill()
    relay.wait()


def test_the_campaigns_unit_makes_tiles_in_its_sandbox_and_ends_rightly(place, reached):
    place.lake.mkdir()
    place.run("sync")
    with bucket() as s3:
        archive = place.folder / "archive"
        place.run("mock", "--out", archive / ROOT, "--tiles", TILES, "--objects", 5, "--seed", 9)
        s3.fill(archive)
        place.run("inventory", "--archive", f"s3://{BUCKET}", "--endpoint", s3.url)
        (place.folder / "bifrost.env").write_text(f"BIFROST_DATABASE_URL={reached}\nBIFROST_NODE=machine\n")
        (place.folder / "bifrost.toml").write_text(f'[archive]\narchive = "s3://{BUCKET}"\nendpoint = "{s3.url}"\n')
        machine = Machine(place.folder)
        try:
            wait_until(machine.is_up)
            started = machine.inside("systemctl", "start", "bifrost-run.service")
            assert started.returncode == 0, started.stderr
            wait_until(lambda: machine.shows("SubState") in ("dead", "failed", "auto-restart"))
            ended = {key: machine.shows(key) for key in ("Result", "ExecMainStatus", "SubState")}
            assert ended == {"Result": "success", "ExecMainStatus": "0", "SubState": "dead"}
            files = place.sql("SELECT path, num_rows FROM files WHERE node = 'machine'")
            assert len(files) == TILES
            for path, rows in files:
                assert path.startswith("/srv/bifrost-lake/")
                assert pq.read_table(machine.path(path)).num_rows == rows
            assert machine.path("/srv/bifrost-lake/DATA_README.md").exists()
            owner = machine.path("/srv/bifrost-lake/spectra").stat().st_uid
            passwd = machine.path("/etc/passwd").read_text()
            assert f"\nbifrost:x:{owner}:" in passwd and owner != 0
            # nothing is left: no failure, and not again
            machine.inside("systemctl", "start", "bifrost-run.service")
            wait_until(lambda: machine.shows("SubState") in ("dead", "failed", "auto-restart"))
            assert (machine.shows("Result"), machine.shows("SubState")) == ("success", "dead")
        finally:
            machine.close()


def test_a_campaign_that_fails_is_tried_again_and_one_that_is_set_wrong_is_not(place, reached):
    place.lake.mkdir()
    place.run("sync")
    (place.folder / "bifrost.env").write_text(f"BIFROST_DATABASE_URL={reached}\n")
    (place.folder / "bifrost.toml").write_text("")
    machine = Machine(place.folder)
    try:
        wait_until(machine.is_up)
        # a lake that cannot be read: the disk's fault, or a person's who mends it
        machine.path("/srv/bifrost-lake/.bifrost").write_text("no folder")
        machine.inside("systemctl", "start", "bifrost-run.service")
        wait_until(lambda: machine.shows("SubState") in ("dead", "failed", "auto-restart"))
        assert (machine.shows("ExecMainStatus"), machine.shows("SubState")) == ("1", "auto-restart")
        machine.inside("systemctl", "stop", "bifrost-run.service")
        machine.path("/srv/bifrost-lake/.bifrost").unlink()
        machine.path("/etc/bifrost/bifrost.toml").write_text("[run]\nlease = -1.0\n")
        machine.inside("systemctl", "start", "bifrost-run.service")
        wait_until(lambda: machine.shows("SubState") in ("dead", "failed", "auto-restart"))
        assert (machine.shows("ExecMainStatus"), machine.shows("SubState")) == ("2", "failed")
    finally:
        machine.close()
