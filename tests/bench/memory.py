"""How much memory a campaign takes: `bifrost run` over large tiles, its peak from /proc.

    BIFROST_BIN=target/release/bifrost python tests/bench/memory.py [--tiles 4] [--rows 2000] [--record]

The same tiles (several programs of few pixels, so that much is under way at once) from a web server
of this machine, once for each number of jobs, default settings otherwise. The peak is VmHWM: the
most that was ever resident, memory that the allocator kept included.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
BIFROST = os.environ.get("BIFROST_BIN", "bifrost")
SERVER = HERE.parent / "python" / "archive_server.py"
REDUX = "dr1/spectro/redux/iron"


def peak_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0  # it has ended


def call(environment, *words):
    ended = subprocess.run([BIFROST, *map(str, words)], env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, (words, ended.stdout, ended.stderr)
    return ended.stdout


def watched(environment, *words):
    """Runs it; its peak, and the last line that it printed."""
    process = subprocess.Popen([BIFROST, *map(str, words)], env=environment, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    peak = 0.0
    while process.poll() is None:
        try:
            peak = max(peak, peak_mib(process.pid))
        except FileNotFoundError:
            break
        time.sleep(0.02)
    said = process.communicate()[0].splitlines()
    assert process.returncode == 0, said
    return peak, json.loads(said[-1])


def measure(folder, tiles, rows, jobs):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("BIFROST_")}
    environment.update(HOME=str(folder), XDG_STATE_HOME=str(folder / "state"))
    archive = folder / "archive"
    call(environment, "mock", "--out", archive / REDUX, "--tiles", tiles, "--objects", rows, "--seed", 7)
    keys = sorted(str(path.relative_to(archive)) for path in archive.rglob("coadd-*.fits"))
    (folder / "list").write_text("\n".join(keys))
    serving = subprocess.Popen([sys.executable, SERVER, archive], stdout=subprocess.PIPE, text=True)
    found = []
    try:
        url = serving.stdout.readline().strip()
        for number in jobs:
            here = environment | {"BIFROST_LAKE": str(folder / f"lake-{number}")}
            (folder / f"lake-{number}").mkdir()
            call(here, "db", "up")
            try:
                call(here, "inventory", folder / "list", "--archive", url)
                peak, end = watched(here, "run", "--archive", url, "--jobs", number, "--json")
                assert end["made"] == tiles, end
                found.append((number, peak, end))
            finally:
                call(here, "db", "down")
    finally:
        serving.kill()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tiles", type=int, default=4)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bifrost-bench-") as folder:
        os.chmod(folder, 0o755)  # root's server runs as another user, who must get in
        found = measure(pathlib.Path(folder), arguments.tiles, arguments.rows, arguments.jobs)
    text = ["", "## Campaign: memory", "",
            f"`python tests/bench/memory.py --tiles {arguments.tiles} --rows {arguments.rows} --record`.", "",
            "| jobs | tiles | rows a tile | MB of FITS a tile | MiB peak |", "|--:|--:|--:|--:|--:|"]
    for jobs, peak, end in found:
        each = end["bytes_in"] / 1e6 / arguments.tiles
        text.append(f"| {jobs} | {arguments.tiles} | {arguments.rows} | {each:.0f} | {peak:.0f} |")
    print("\n".join(text))
    if arguments.record:
        with (HERE / "RESULTS.md").open("a") as results:
            results.write("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
