"""Speed of `bifrost fetch` against a plain parallel GET, and of planning a campaign.

    BIFROST_BIN=target/release/bifrost python tests/bench/fetch.py [--list CSV] [--s3] [--record]

One nginx on loopback serves mock tiles from memory (files that were just written). Both sides fetch
the coadd, redrock and emline files of every tile, eight at a time, into an empty folder:

    plain     `xargs -P8 curl`, one process a file. It verifies nothing.
    summed    the same, and `sha256sum` of what came, eight files at a time: what one would have to do
              to know what `bifrost fetch` knows.
    bifrost   `bifrost fetch`, which also reads the sum files and hashes every byte.

They take turns: over TLS, as the archive is reached; without, where nginx sends pages of its cache and has
hardly anything to do; and with so many MB/s a connection, as a network or S3 gives them. In the first two the
processors are the limit: of both sides and of the server. Medians are shown, of MB/s and of seconds of
processor time (of the tool and of nginx). `chrt -r 1 python …` lets them run before other work. Planning is `bifrost inventory` of a CSV with a column `pixel` into an empty registry; without
--list it has 12,167 pixels.

`--s3` fetches from the S3 server that the tests use (moto) instead, anonymously, by keys of its bucket: one
process that hands out what it holds in memory, and is the limit itself. It plans nothing. `--record` appends the table to RESULTS.md.
"""

import argparse
import contextlib
import os
import pathlib
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "python"))
import s3

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
    server {{ listen 127.0.0.1:{port} {tls}; root {archive}; limit_rate {limit}; }}
}}
"""
TLS = "ssl; ssl_certificate {folder}/tls.crt; ssl_certificate_key {folder}/tls.key"


def bifrost(lake: pathlib.Path, *args, trust: pathlib.Path | None = None) -> None:
    env = {k: v for k, v in os.environ.items() if not k.startswith("BIFROST_")}
    env["BIFROST_LAKE"] = str(lake)
    if trust:
        env["SSL_CERT_FILE"] = str(trust)
    subprocess.run([BIFROST, "-q", *map(str, args)], env=env, check=True, stdout=subprocess.DEVNULL)


def make_certificate(folder: pathlib.Path) -> None:
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE",
                    "-keyout", folder / "tls.key", "-out", folder / "tls.crt"],
                   check=True, capture_output=True)


@contextlib.contextmanager
def nginx(folder: pathlib.Path, archive: pathlib.Path, mb_per_s: int, is_tls: bool = False):
    """Serves `archive`; gives its address, how `bifrost fetch` is told of it, and the process. 0 MB/s a connection
    = as fast as it goes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    conf = folder / "nginx.conf"
    tls = TLS.format(folder=folder) if is_tls else ""
    conf.write_text(NGINX.format(folder=folder, port=port, archive=archive, limit=mb_per_s * 10**6, tls=tls))
    serving = subprocess.Popen(["nginx", "-p", folder, "-c", conf, "-e", folder / "error.log"])
    try:
        for _ in range(100):
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        else:
            raise SystemExit("nginx did not start")
        url = f"http{'s' if is_tls else ''}://127.0.0.1:{port}"
        yield url, ("--archive", url), serving.pid
    finally:
        serving.terminate()
        serving.wait()


@contextlib.contextmanager
def moto(archive: pathlib.Path):
    """The same of a bucket with all of `archive`."""
    with s3.bucket() as bucket:
        bucket.fill(archive)
        yield f"{bucket.url}/{s3.BUCKET}", ("--archive", f"s3://{s3.BUCKET}", "--endpoint", bucket.url), bucket.pid


def processor_seconds(pid: int) -> float:
    """Of a process and its children that live."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(processor_seconds(int(child)) for child in children)


def in_parallel(words: str, lines, folder: pathlib.Path) -> None:
    subprocess.run(["xargs", f"-P{AT_ONCE}", *words.split()], input="\n".join(lines) + "\n",
                   text=True, check=True, cwd=folder, stdout=subprocess.DEVNULL)


class Trial:
    def __init__(self, folder: pathlib.Path, archive: pathlib.Path):
        self.folder, self.archive, self.out = folder, archive, folder / "out"
        kinds = ("coadd-", "redrock-", "emline-")
        self.files = sorted(p for p in archive.rglob("*.fits") if p.name.startswith(kinds))
        self.bytes = sum(path.stat().st_size for path in self.files)
        largest = max(path.stat().st_size for path in self.files)
        self.what = f"{len(self.files)} files, the largest {largest / 1e6:.0f} MB, {self.bytes / 1e6:.0f} MB"
        self.tiles = folder / "tiles"
        self.tiles.write_text("\n".join(str(p.relative_to(archive)) for p in self.files
                                        if p.name.startswith("coadd-")))

    def plain(self, url: str, *_) -> None:
        keys = [str(path.relative_to(self.archive)) for path in self.files]
        trust = f"--cacert {self.folder}/tls.crt"
        in_parallel(f"-L2 curl -sSf {trust} --create-dirs", [f"-o {key}\n{url}/{key}" for key in keys], self.out)

    def summed(self, url: str, *_) -> None:
        self.plain(url)
        in_parallel("-n1 sha256sum --", [str(p.relative_to(self.archive)) for p in self.files], self.out)

    def bifrost(self, _, *where) -> None:
        bifrost(self.folder / "lake", "fetch", "--tiles", self.tiles, "--out", self.out, *where,
                trust=self.folder / "tls.crt")

    def rate(self, side, url: str, where: tuple, server: int) -> tuple[float, float]:
        """MB/s of one run, and the processor time that it and the server took; what came is looked at."""
        def spent():
            ours = resource.getrusage(resource.RUSAGE_CHILDREN)
            return ours.ru_utime + ours.ru_stime + processor_seconds(server)
        self.out.mkdir()
        os.sync()
        before, start = spent(), time.perf_counter()
        side(url, *where)
        seconds, cost = time.perf_counter() - start, spent() - before
        came = sum((self.out / p.relative_to(self.archive)).stat().st_size for p in self.files)
        assert came == self.bytes, (came, self.bytes)
        shutil.rmtree(self.out)
        return self.bytes / 1e6 / seconds, cost


def measure_fetch(trial: Trial, serving, how: str, runs: int):
    """A line of the table: of whatever server `serving` gives."""
    sides = [trial.plain, trial.summed, trial.bifrost]
    found = {side: [] for side in sides}
    with serving as (url, where, server):
        for _ in range(runs):
            for side in sides:
                found[side].append(trial.rate(side, url, where, server))
    rates = {side: [rate for rate, _ in found[side]] for side in sides}
    costs = {side: statistics.median(cost for _, cost in found[side]) for side in sides}
    plain, summed, ours = (statistics.median(rates[side]) for side in sides)
    spread = f"{min(rates[trial.bifrost]):.0f} to {max(rates[trial.bifrost]):.0f}"
    return (trial.what, how, f"{plain:.0f}", f"{summed:.0f}", f"{ours:.0f} ({spread})",
            f"{ours / plain:.2f}", f"{ours / summed:.2f}", f"{costs[trial.plain]:.2f}", f"{costs[trial.bifrost]:.2f}")


def measure_nginx(trial: Trial, limit: int, is_tls: bool, runs: int):
    how = f"{limit} MB/s a connection" if limit else "as fast as it goes"
    serving = nginx(trial.folder, trial.archive, limit, is_tls)
    return measure_fetch(trial, serving, "nginx, " + how + (", TLS" if is_tls else ""), runs)


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


def trial_of(folder: pathlib.Path, tiles: int, objects: int) -> Trial:
    archive = folder / f"archive{tiles}x{objects}"
    bifrost(folder / "lake", "mock", "--out", archive / ROOT, "--tiles", tiles, "--objects", objects)
    return Trial(folder, archive)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", nargs="+", help="tiles x objects of each; an object has 0.45 MB "
                        "[default: 16x100 64x100 8x800; with --s3 16x20]")
    parser.add_argument("--s3", action="store_true", help="from an S3 server")
    parser.add_argument("--limits", type=int, nargs="+", default=[20], help="MB/s a connection")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--list", type=pathlib.Path, help="a CSV to plan by")
    parser.add_argument("--record", action="store_true")
    args = parser.parse_args()
    before = os.getloadavg()[0]
    lines = []
    with tempfile.TemporaryDirectory(prefix="bifrost-bench-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        make_certificate(folder)
        if not args.s3:
            seconds, planned = measure_planning(folder, args.list, args.runs)
        for number, what in enumerate(args.tiles or (["16x20"] if args.s3 else ["16x100", "64x100", "8x800"])):
            trial = trial_of(folder, *map(int, what.split("x")))
            if args.s3:
                lines.append(measure_fetch(trial, moto(trial.archive), "moto (S3)", args.runs))
            else:
                lines += [measure_nginx(trial, 0, is_tls, args.runs) for is_tls in (True, False)]
                if number == 0:
                    lines += [measure_nginx(trial, limit, False, args.runs) for limit in args.limits]
            shutil.rmtree(trial.archive)
    busy = f"load {before:.1f} before, {os.getloadavg()[0]:.1f} after"
    head = ("| files | server | plain MB/s | summed MB/s | bifrost MB/s | of plain | of summed "
            "| plain CPU s | bifrost CPU s |\n|---|---|--:|--:|--:|--:|--:|--:|--:|\n")
    text = head + "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\nDemanded: 0.80 of plain."
    if not args.s3:
        text += (f" Planning {planned:,} tiles: {statistics.median(seconds):.2f} s "
                 f"({min(seconds):.2f} to {max(seconds):.2f}); demanded: 5 s.")
    text += "\n"
    print(text, busy, sep="\n")
    if args.record:
        with open(HERE / "RESULTS.md", "a") as results:
            what, how = ("Fetching from S3", " --s3") if args.s3 else ("Fetching, and planning what to fetch", "")
            results.write(f"\n## {what}\n\n{MACHINE}; {busy}; "
                          f"`python tests/bench/fetch.py{how} --record`; medians of {args.runs} runs in turns.\n\n{text}")


if __name__ == "__main__":
    main()
