"""Speed of `bifrost fetch` against a plain parallel GET, and of planning a campaign.

    BIFROST_BIN=target/release/bifrost python tests/bench/fetch.py [--list CSV] [--record]

One nginx on loopback serves mock tiles from memory (files that were just written). Both sides fetch
the coadd, redrock and emline files of every tile, eight at a time, into an empty folder:

    plain     `xargs -P8 curl`, one process a file. It verifies nothing.
    summed    the same, and `sha256sum` of what came, eight files at a time: what one would have to do
              to know what `bifrost fetch` knows.
    bifrost   `bifrost fetch`, which also reads the sum files and hashes every byte.

They take turns, first with nginx as fast as it goes (then the processors are the limit: of both sides
and of the server), then with so many MB/s a connection, as a network or S3 gives them. Medians are
shown. Planning is `bifrost inventory` of a CSV with a column `pixel` into an empty registry; without
--list it has 12,167 pixels. `--record` appends the table to RESULTS.md.
"""

import argparse
import contextlib
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).parent
MACHINE = "2 cores Xeon 2.5 GHz, 24 GiB"
BIFROST = os.environ.get("BIFROST_BIN", "bifrost")
ROOT = "dr1/spectro/redux/iron"
AT_ONCE = 8

NGINX = """
daemon off; worker_processes 2; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off; sendfile on; tcp_nopush on; types {{ }}
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{ listen 127.0.0.1:{port}; root {archive}; limit_rate {limit}; }}
}}
"""


def bifrost(lake: pathlib.Path, *args) -> None:
    env = {k: v for k, v in os.environ.items() if not k.startswith("BIFROST_")}
    env["BIFROST_LAKE"] = str(lake)
    subprocess.run([BIFROST, "-q", *map(str, args)], env=env, check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def nginx(folder: pathlib.Path, archive: pathlib.Path, mb_per_s: int):
    """Serves `archive`; gives the address. 0 MB/s a connection = as fast as it goes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    conf = folder / "nginx.conf"
    conf.write_text(NGINX.format(folder=folder, port=port, archive=archive, limit=mb_per_s * 10**6))
    serving = subprocess.Popen(["nginx", "-p", folder, "-c", conf, "-e", folder / "error.log"])
    try:
        for _ in range(100):
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        else:
            raise SystemExit("nginx did not start")
        yield f"http://127.0.0.1:{port}"
    finally:
        serving.terminate()
        serving.wait()


def in_parallel(words: str, lines, folder: pathlib.Path) -> None:
    subprocess.run(["xargs", f"-P{AT_ONCE}", *words.split()], input="\n".join(lines) + "\n",
                   text=True, check=True, cwd=folder, stdout=subprocess.DEVNULL)


class Trial:
    def __init__(self, folder: pathlib.Path, archive: pathlib.Path):
        self.folder, self.archive, self.out = folder, archive, folder / "out"
        kinds = ("coadd-", "redrock-", "emline-")
        self.files = sorted(p for p in archive.rglob("*.fits") if p.name.startswith(kinds))
        self.bytes = sum(path.stat().st_size for path in self.files)
        self.tiles = folder / "tiles"
        self.tiles.write_text("\n".join(str(p.relative_to(archive)) for p in self.files
                                        if p.name.startswith("coadd-")))

    def plain(self, url: str) -> None:
        keys = [str(path.relative_to(self.archive)) for path in self.files]
        in_parallel("-L2 curl -sSf --create-dirs", [f"-o {key}\n{url}/{key}" for key in keys], self.out)

    def summed(self, url: str) -> None:
        self.plain(url)
        in_parallel("-n1 sha256sum --", [str(p.relative_to(self.archive)) for p in self.files], self.out)

    def bifrost(self, url: str) -> None:
        bifrost(self.folder / "lake", "fetch", "--tiles", self.tiles, "--out", self.out, "--archive", url)

    def rate(self, side, url: str) -> float:
        """MB/s of one run; what came is looked at."""
        self.out.mkdir()
        os.sync()
        start = time.perf_counter()
        side(url)
        seconds = time.perf_counter() - start
        came = sum((self.out / p.relative_to(self.archive)).stat().st_size for p in self.files)
        assert came == self.bytes, (came, self.bytes)
        shutil.rmtree(self.out)
        return self.bytes / 1e6 / seconds


def measure_fetch(trial: Trial, limits, runs: int):
    sides = [trial.plain, trial.summed, trial.bifrost]
    for limit in limits:
        rates = {side: [] for side in sides}
        with nginx(trial.folder, trial.archive, limit) as url:
            for _ in range(runs):
                for side in sides:
                    rates[side].append(trial.rate(side, url))
        plain, summed, ours = (statistics.median(rates[side]) for side in sides)
        spread = f"{min(rates[trial.bifrost]):.0f} to {max(rates[trial.bifrost]):.0f}"
        how = f"{limit} MB/s a connection" if limit else "as fast as it goes"
        yield (how, f"{plain:.0f}", f"{summed:.0f}", f"{ours:.0f} ({spread})",
               f"{ours / plain:.2f}", f"{ours / summed:.2f}")


def measure_planning(folder: pathlib.Path, listed: pathlib.Path | None, runs: int):
    """Seconds to plan, and the number of tiles."""
    if listed is None:
        listed = folder / "list.csv"
        listed.write_text("pixel\n" + "".join(f"{pixel}\n" for pixel in range(12_167)))
    seconds = []
    for run in range(runs):
        lake = folder / f"planned{run}"
        lake.mkdir()
        bifrost(lake, "db", "up")
        try:
            start = time.perf_counter()
            bifrost(lake, "inventory", listed, "--survey", "main", "--program", "dark")
            seconds.append(time.perf_counter() - start)
        finally:
            bifrost(lake, "db", "down")
    return seconds, sum(1 for _ in listed.open()) - 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=int, default=16)
    parser.add_argument("--objects", type=int, default=100, help="of a tile; 0.45 MB each")
    parser.add_argument("--limits", type=int, nargs="+", default=[0, 20], help="MB/s a connection; 0 = none")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--list", type=pathlib.Path, help="a CSV to plan by")
    parser.add_argument("--record", action="store_true")
    args = parser.parse_args()
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="bifrost-bench-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        seconds, planned = measure_planning(folder, args.list, args.runs)
        archive = folder / "archive"
        bifrost(folder / "lake", "mock", "--out", archive / ROOT, "--tiles", args.tiles, "--objects", args.objects)
        trial = Trial(folder, archive)
        lines = list(measure_fetch(trial, args.limits, args.runs))
    busy = f"load {before:.1f} before, {os.getloadavg()[0]:.1f} after"
    head = "| nginx | plain MB/s | summed MB/s | bifrost MB/s | of plain | of summed |\n|---|--:|--:|--:|--:|--:|\n"
    text = (f"{len(trial.files)} files of {args.tiles} tiles, {trial.bytes / 1e6:.0f} MB; demanded: 0.80 of plain.\n\n"
            + head + "".join(f"| {' | '.join(line)} |\n" for line in lines)
            + f"\nPlanning {planned:,} tiles: {statistics.median(seconds):.2f} s "
              f"({min(seconds):.2f} to {max(seconds):.2f}); demanded: 5 s.\n")
    print(text, busy, sep="\n")
    if args.record:
        with open(HERE / "RESULTS.md", "a") as results:
            results.write(f"\n## Fetching, and planning what to fetch\n\n{MACHINE}; {busy}; "
                          f"`python tests/bench/fetch.py --record`; medians of {args.runs} runs in turns.\n\n{text}")


if __name__ == "__main__":
    main()
