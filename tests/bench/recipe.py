"""Effective speed of a campaign: `bifrost run` against the recipe that the first campaign followed.

    BIFROST_BIN=target/release/bifrost python tests/bench/recipe.py [--record]

Mock tiles of both kinds of files that everybody needs, and the line fits, lie behind nginx on this
machine. Both sides fetch them, make the same Parquet (columns, rounding, encodings, compression)
and delete the FITS; megabytes are those of the FITS files, seconds those from the first request to
the last file on the disk.

    recipe    boto3, eight threads, batch by batch of eight tiles; then astropy and pyarrow, tile by
              tile (the script of convert.py). It verifies nothing and registers nothing.
    run       verifies every SHA-256 while it fetches, publishes each file and registers it in Postgres;
              a process from its start to its end.

The sides take turns, each after the disk has come to rest; medians are shown. Peak memory is that of the process.
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boto3
import botocore

import convert

BIFROST = os.environ.get("BIFROST_BIN", "bifrost")
ROOT = "dr1/spectro/redux/iron"
BUCKET = "desidata"
KINDS = ("coadd", "redrock", "emline")
HERE = Path(__file__).parent
MACHINE = "2 cores Xeon 2.5 GHz, 24 GiB"

NGINX = """
daemon off; error_log stderr crit; pid {folder}/nginx.pid; worker_processes 1; user {user};
events {{ worker_connections 256; }}
http {{
    access_log off; sendfile on; tcp_nopush on; etag on; default_type application/octet-stream;
    client_body_temp_path {folder}/nginx.tmp; proxy_temp_path {folder}/nginx.tmp;
    fastcgi_temp_path {folder}/nginx.tmp; uwsgi_temp_path {folder}/nginx.tmp;
    scgi_temp_path {folder}/nginx.tmp;
    server {{ listen 127.0.0.1:{port}; root {folder}/archive; }}
}}
"""


@contextlib.contextmanager
def archive(folder: Path):
    """The folder's archive behind nginx, at an address of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    conf = folder / "nginx.conf"
    user = "root" if os.getuid() == 0 else "nobody"
    conf.write_text(NGINX.format(folder=folder, port=port, user=user))
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    serving = subprocess.Popen([program, "-c", str(conf), "-e", "stderr"])
    try:
        for _ in range(100):
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        else:
            sys.exit("nginx does not answer")
        yield f"http://127.0.0.1:{port}"
    finally:
        serving.terminate()
        serving.wait()


def bifrost(lake: Path, *args):
    return [BIFROST, "-q", "--lake", str(lake), *map(str, args)]


class Tile:
    """A tile of the archive: where its files are, and its name."""

    def __init__(self, coadd: Path, root: Path):
        _, self.survey, self.program, pixel = coadd.stem.split("-")
        self.stem = coadd.stem.removeprefix("coadd-")
        self.folder = coadd.parent.relative_to(root)
        self.key = {"release": "iron", "survey": self.survey, "program": self.program, "healpix": int(pixel)}
        self.names = [f"{kind}-{self.stem}.fits" for kind in KINDS]
        self.size = sum((coadd.parent / name).stat().st_size for name in self.names)


def recipe(url: str, tiles: list, work: Path, like: dict) -> None:
    """Fetches by batches of eight with eight threads, then fuses tile by tile."""
    client = boto3.client("s3", endpoint_url=url, region_name="us-west-2", config=botocore.config.Config(
        signature_version=botocore.UNSIGNED, s3={"addressing_style": "path"}))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for start in range(0, len(tiles), 8):
            batch = tiles[start : start + 8]
            jobs = []
            for tile in batch:
                (work / tile.folder).mkdir(parents=True, exist_ok=True)
                jobs += [pool.submit(client.download_file, BUCKET, str(tile.folder / name), str(work / tile.folder / name))
                         for name in tile.names]
            for job in jobs:
                job.result()
            for tile in batch:
                convert.fuse(work / tile.folder, tile.stem, tile.key, like, work / f"{tile.stem}.parquet")
                shutil.rmtree(work / tile.folder)


def run(url: str, tiles: list, folder: Path, names: Path, more=()) -> dict:
    """A campaign into a new lake; what it took."""
    lake = folder / "lake"
    shutil.rmtree(lake, ignore_errors=True)
    where = ("--archive", f"s3://{BUCKET}", "--endpoint", url)
    try:
        subprocess.run(bifrost(lake, "inventory", names, *where), check=True, stdout=subprocess.DEVNULL)
        os.sync()
        took = convert.measure(*bifrost(lake, "run", *where, *more))
        made = list((lake / "spectra").rglob("*.parquet"))
        assert len(made) == len(tiles), (len(made), len(tiles))
        return took
    finally:
        subprocess.run(bifrost(lake, "db", "down"), check=False, stdout=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=int, default=24)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--script-once", help=argparse.SUPPRESS)
    parser.add_argument("--record", action="store_true")
    args = parser.parse_args()
    if args.script_once:
        job = json.loads(args.script_once)
        root = Path(job["root"])
        like = convert.layout_of(Path(job["fused"]), *job["options"])
        tiles = [Tile(path, root) for path in sorted(root.rglob("coadd-*.fits"))]
        start = time.perf_counter()
        recipe(job["url"], tiles, Path(job["work"]), like)
        print(time.perf_counter() - start)
        return
    with tempfile.TemporaryDirectory(prefix="bifrost-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        root = folder / "archive" / BUCKET
        subprocess.run([BIFROST, "-q", "mock", "--out", root / ROOT, "--tiles", str(args.tiles), "--objects",
                        str(args.rows), "--seed", "1", "--rrdetails", "none"], check=True, stdout=subprocess.DEVNULL)
        tiles = [Tile(path, root) for path in sorted(root.rglob("coadd-*.fits"))]
        size = sum(tile.size for tile in tiles)
        names = folder / "names"
        names.write_text("\n".join(str(tile.folder / tile.names[0]) for tile in tiles))
        # how our files are laid out, which the recipe has to match
        model = folder / "model"
        subprocess.run(bifrost(model, "convert", root / tiles[0].folder), check=True, stdout=subprocess.DEVNULL)
        (fused,) = (model / "spectra").rglob("*.parquet")
        ours, theirs, peaks = [], [], []
        with archive(folder) as url:
            job = {"url": url, "root": str(root), "work": str(folder / "work"), "fused": str(fused),
                   "options": convert.defaults()}
            for _ in range(args.runs):
                ours.append(run(url, tiles, folder, names))
                (folder / "work").mkdir()
                os.sync()
                ended = subprocess.run(
                    [sys.executable, "-S", "-c", convert.MEASURE.replace("stdout=subprocess.DEVNULL", "stdout=sys.stderr"),
                     sys.executable, __file__, "--script-once", json.dumps(job)],
                    capture_output=True, text=True, check=True)
                theirs.append(float(ended.stderr.splitlines()[-1]))
                peaks.append(json.loads(ended.stdout)[3])
                shutil.rmtree(folder / "work")
        mid = statistics.median
        wall = mid(o["wall"] for o in ours)
        text = (
            "| tiles | MB of FITS | recipe s | MB/s | MiB peak | run s | MB/s | MiB peak | ratio | demanded |\n"
            "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
            f"| {len(tiles)} | {size / 1e6:.0f} | {mid(theirs):.2f} | {size / 1e6 / mid(theirs):.0f} | {max(peaks):.0f} "
            f"| {wall:.2f} | {size / 1e6 / wall:.0f} | {max(o['peak'] for o in ours):.0f} "
            f"| {mid(theirs) / wall:.2f} | 3 |\n")
        print(text)
        if args.record:
            with open(HERE / "RESULTS.md", "a") as results:
                results.write(f"\n## Campaign: against the first campaign's recipe\n\n{MACHINE}, load "
                              f"{os.getloadavg()[0]:.1f}; `python tests/bench/recipe.py --record`; medians of "
                              f"{args.runs} runs in turns.\n\n{text}")


if __name__ == "__main__":
    main()
