"""Three nodes, each a host of its own: links go down and come back while they work.

The hosts are network namespaces that the test makes: `hub`, where registry and archive are reached,
and three nodes, each with a link to it. That takes root and iproute2; elsewhere the test is skipped.
"""

import contextlib
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo
from test_campaign import LEASE_S, SOAK, Archive, Node, check, log_of, private_place

HERE = Path(__file__).parent
HUB = "10.77.0.1"
POSTGRES, ARCHIVE = 5432, 8080


def ip(*words):
    return subprocess.run(["ip", *map(str, words)], capture_output=True, text=True)


def must(*words):
    ended = ip(*words)
    assert ended.returncode == 0, (words, ended.stderr)


def may_make_hosts():
    if os.getuid() != 0 or not shutil.which("ip"):
        return False
    name = f"bifrost-{os.getpid()}-trial"
    made = ip("netns", "add", name).returncode == 0
    ip("netns", "del", name)
    return made


pytestmark = pytest.mark.skipif(not may_make_hosts(), reason="hosts of one's own take root and iproute2")


class Hosts:
    """A hub and hosts around it."""

    def __init__(self, names):
        self.prefix = f"bifrost-{os.getpid()}"
        self.names = ["hub", *names]

    def namespace(self, name):
        return f"{self.prefix}-{name}"

    def __enter__(self):
        hub = self.namespace("hub")
        for name in self.names:
            must("netns", "add", self.namespace(name))
            must("-n", self.namespace(name), "link", "set", "lo", "up")
        must("-n", hub, "link", "add", "middle", "type", "bridge")
        must("-n", hub, "addr", "add", f"{HUB}/24", "dev", "middle")
        must("-n", hub, "link", "set", "middle", "up")
        for number, name in enumerate(self.names[1:], start=2):
            own = self.namespace(name)
            must("-n", own, "link", "add", "uplink", "type", "veth", "peer", "name", f"to{number}", "netns", hub)
            must("-n", hub, "link", "set", f"to{number}", "master", "middle", "up")
            must("-n", own, "addr", "add", f"10.77.0.{number}/24", "dev", "uplink")
            must("-n", own, "link", "set", "uplink", "up")
        return self

    def __exit__(self, *_):
        for name in self.names:
            ip("netns", "del", self.namespace(name))

    def inside(self, name, *command):
        """A command that runs on a host."""
        return ["ip", "netns", "exec", self.namespace(name), *map(str, command)]

    def cut(self, name):
        must("-n", self.namespace(name), "link", "set", "uplink", "down")

    def mend(self, name):
        must("-n", self.namespace(name), "link", "set", "uplink", "up")


@contextlib.contextmanager
def served(hosts, hub, folder):
    """Archive and registry, reached at the hub; their URLs as the nodes see them."""
    own = conninfo.conninfo_to_dict(hub.database_url)
    server = subprocess.Popen(
        hosts.inside("hub", sys.executable, HERE / "archive_server.py", folder),
        stdout=subprocess.PIPE, text=True)
    relay = None
    try:
        files = server.stdout.readline().strip().removeprefix("http://")
        port = own.get("port") or 5432
        relay = subprocess.Popen(
            hosts.inside("hub", sys.executable, HERE / "relay.py", f"{HUB}:{POSTGRES}",
                         f"{own['host']}/.s.PGSQL.{port}", f"{HUB}:{ARCHIVE}", files),
            stdout=subprocess.PIPE, text=True)
        assert relay.stdout.readline() == "ready\n"
        yield f"http://{HUB}:{ARCHIVE}", f"postgresql://{own['user']}@{HUB}:{POSTGRES}/{own['dbname']}"
    finally:
        for process in filter(None, (server, relay)):
            process.kill()
            process.wait()


class Host(Node):
    """A node on a host of its own."""

    def __init__(self, hub, archive_url, name, hosts, database_url):
        super().__init__(hub, type("Reached", (), {"url": archive_url}), name)
        self.hosts = hosts
        self.place.environment["BIFROST_DATABASE_URL"] = database_url

    def command(self):
        return self.hosts.inside(self.name, *super().command())


@pytest.mark.parametrize("seed", range(3 if SOAK else 1))
def test_links_that_go_down_lose_no_tile_and_make_none_twice(seed):
    dice = random.Random(seed)
    names = ["alpha", "beta", "gamma"]
    with private_place() as hub, Hosts(names) as hosts:
        archive = Archive(hub, 100 if SOAK else 12)
        hub.lake.mkdir()
        hub.run("sync")
        hub.run("inventory", archive.list(), "--archive", archive.url)
        archive.close()
        with served(hosts, hub, archive.folder) as (archive_url, database_url):
            nodes = [Host(hub, archive_url, name, hosts, database_url) for name in names]
            try:
                for node in nodes:
                    node.start()
                for event in range(40 if SOAK else 6):
                    time.sleep(dice.uniform(0.2, 1.0))
                    victim = dice.choice(nodes)
                    hosts.cut(victim.name)
                    if event % 3 == 2:
                        victim.kill()
                    time.sleep(LEASE_S * dice.uniform(0.5, 2.5))
                    hosts.mend(victim.name)
                    victim.start()
                for node in nodes:
                    assert node.process.wait(timeout=600) == 0, log_of(node)
            finally:
                for node in nodes:
                    node.kill()
            for node in nodes:
                node.place.environment["BIFROST_DATABASE_URL"] = hub.database_url
                node.place.run("sync")
        check(hub, nodes, archive.tiles)


def test_a_host_reaches_the_hub_only_while_its_link_is_up():
    """What the other test relies on."""
    with private_place() as hub, Hosts(["alpha"]) as hosts, served(hosts, hub, hub.folder) as (_, url):
        ask = ["-c", f"import psycopg; psycopg.connect('{url}', connect_timeout=2).execute('SELECT 1')"]
        assert subprocess.run(hosts.inside("alpha", sys.executable, *ask)).returncode == 0
        hosts.cut("alpha")
        cut = subprocess.run(hosts.inside("alpha", sys.executable, *ask), stderr=subprocess.DEVNULL)
        assert cut.returncode != 0
        hosts.mend("alpha")
        assert subprocess.run(hosts.inside("alpha", sys.executable, *ask)).returncode == 0
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url, connect_timeout=2)  # from outside there is no way in
