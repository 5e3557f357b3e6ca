"""A campaign over all 12,167 tiles, simulated: how long the runner itself takes.

    BIFROST_BIN=target/release/bifrost python tests/bench/campaign.py SIZES.csv [--record]

SIZES.csv (columns pixel, fits_mib) has the sizes of the historic run's tiles; they are scaled down
10,000-fold. The files are bytes, not FITS, behind a web server of this machine; conversion is a
stage that does nothing. All else is real: inventory, leases, downloads with their sums, ledger.

    inventory   a list of 12,167 keys is taken in
    planning    `run --dry-run`: what is pending, and whose it is
    status      `status`, in the middle of the run and after it
    resumed     after kill -9 in the middle: from the start of the process to its first leases
    campaign    the whole run, of three processes with lakes of their own
"""

import argparse
import csv
import hashlib
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
MACHINE = "2 cores Xeon 2.5 GHz, 24 GiB"
BIFROST = os.environ.get("BIFROST_BIN", "bifrost")
SERVER = HERE.parent / "python" / "archive_server.py"
REDUX = "dr1/spectro/redux/iron"
SCALE = 10_000


def make_archive(folder, sizes):
    """Writes the files of all tiles, and a list of them."""
    keys = []
    for pixel, size in sizes:
        place = f"{REDUX}/healpix/main/dark/{pixel // 100}/{pixel}"
        (folder / place).mkdir(parents=True)
        sums = ""
        for kind, part in (("coadd", 0.98), ("redrock", 0.02)):
            name = f"{kind}-main-dark-{pixel}.fits"
            data = hashlib.shake_128(name.encode()).digest(max(1, int(size * part)))
            (folder / place / name).write_bytes(data)
            sums += f"{hashlib.sha256(data).hexdigest()}  {name}\n"
        name = f"redux_iron_healpix_main_dark_{pixel // 100}_{pixel}.sha256sum"
        (folder / place / name).write_text(sums)
        keys.append(f"{place}/coadd-main-dark-{pixel}.fits")
    return keys


class Bench:
    def __init__(self, folder):
        self.folder = folder
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("BIFROST_")}
        self.environment.update(HOME=str(folder), XDG_STATE_HOME=str(folder / "state"))
        self.lake("hub").mkdir()
        self.call("hub", "db", "up")
        url = json.loads(self.call("hub", "db", "status", "--json"))["url"]
        self.environment["BIFROST_DATABASE_URL"] = url

    def lake(self, name):
        return self.folder / name

    def command(self, lake, *arguments):
        return [BIFROST, "--lake", str(self.lake(lake)), "--node", lake, *map(str, arguments)]

    def call(self, lake, *arguments):
        ended = subprocess.run(self.command(lake, *arguments), env=self.environment, text=True,
                               cwd=self.folder, capture_output=True)
        assert ended.returncode == 0, (arguments, ended.stdout, ended.stderr)
        return ended.stdout

    def timed(self, lake, *arguments):
        began = time.perf_counter()
        self.call(lake, *arguments)
        return time.perf_counter() - began

    def start(self, lake, *arguments):
        return subprocess.Popen(self.command(lake, *arguments), env=self.environment, text=True,
                                cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def measure(folder, sizes):
    archive = folder / "archive"
    keys = make_archive(archive, sizes)
    total = sum(size for _, size in sizes)
    (folder / "list").write_text("\n".join(keys))
    serving = subprocess.Popen([sys.executable, SERVER, archive], stdout=subprocess.PIPE, text=True)
    bench = Bench(folder)
    try:
        url = serving.stdout.readline().strip()
        run = ["run", "--archive", url, "--stage", "nothing", "--tiles-per-batch", 64]
        inventory = bench.timed("alpha", "inventory", folder / "list", "--archive", url)
        bench.lake("alpha").mkdir()
        bench.call("alpha", "sync")
        planning = statistics.median(bench.timed("alpha", *run, "--dry-run") for _ in range(5))
        began = time.perf_counter()
        first = bench.start("alpha", *run)
        lines = iter(first.stdout)
        for _ in range(30):
            next(line for line in lines if line.startswith("batch"))
        status = statistics.median(bench.timed("alpha", "status") for _ in range(5))
        first.send_signal(signal.SIGKILL)
        first.wait()
        again = time.perf_counter()
        nodes = {"alpha": bench.start("alpha", *run)}
        next(line for line in nodes["alpha"].stdout if '"leased"' in line)
        resumed = time.perf_counter() - again
        for name in ("beta", "gamma"):
            nodes[name] = bench.start(name, *run)
        for name, process in nodes.items():
            process.communicate()
            assert process.returncode == 0, name
        campaign = time.perf_counter() - began
        after = statistics.median(bench.timed("alpha", "status") for _ in range(5))
        told = json.loads(bench.call("alpha", "status", "--json"))
        assert told["tiles"]["done"] == len(sizes), told
    finally:
        serving.kill()
        bench.call("hub", "db", "down")
    tries = sum(node["made"] for node in told["nodes"])
    assert tries == len(sizes), tries
    return [
        (f"inventory of {len(sizes):,} keys", f"{inventory:.2f} s", ""),
        ("planning", f"{planning:.2f} s", "< 5 s"),
        ("status, in the middle of the run", f"{1000 * status:.0f} ms", "< 100 ms"),
        ("status, afterwards", f"{1000 * after:.0f} ms", "< 100 ms"),
        ("resumed after kill -9: to the first leases", f"{resumed:.2f} s", "< 2 s"),
        (f"campaign: {len(sizes):,} tiles, {total / 1e6:.0f} MB, 3 processes",
         f"{campaign:.0f} s, {len(sizes) / campaign:.0f} tiles/s", ""),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sizes", type=pathlib.Path)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    with arguments.sizes.open() as file:
        rows = csv.DictReader(file)
        sizes = [(int(r["pixel"]), float(r["fits_mib"]) * 2**20 / SCALE) for r in rows]
    with tempfile.TemporaryDirectory(prefix="bifrost-bench-") as folder:
        os.chmod(folder, 0o755)  # root's server runs as another user, who must get in
        before = os.getloadavg()[0]
        table = measure(pathlib.Path(folder), sizes)
    text = ["", "## A simulated campaign", "",
            f"{MACHINE}; load {before:.1f} before; `python tests/bench/campaign.py SIZES.csv --record`.",
            "", "| what | Bifrost | demanded |", "|---|--:|--:|"]
    text += [f"| {what} | {took} | {demanded} |" for what, took, demanded in table]
    print("\n".join(text))
    if arguments.record:
        with (HERE / "RESULTS.md").open("a") as results:
            results.write("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
