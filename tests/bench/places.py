"""What arrays cost where they are put: in Parquet, in spectra stores alone, in both.

    python places.py [--objects 300] [--tiles 4] [--turns 5] [--record]

BIFROST_BIN makes mock tiles and converts them (`--arrays`), three lakes side by side, turn by turn; the best turn
counts. Read: `bifrost read` of flux and ivar of all rows, and of those with z < 0.1, into Parquet. Bytes are those of the
lake's files. All files are in the page cache.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

BIFROST = os.environ["BIFROST_BIN"]
RESULTS = pathlib.Path(__file__).with_name("RESULTS.md")
KINDS = "parquet", "hdf5", "both"
QUESTIONS = {"all rows": "target_id > 0", "few rows": "z < 0.1"}


def run(*arguments):
    began = time.perf_counter()
    subprocess.run([BIFROST, "-q", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def size(lake, product):
    return sum(path.stat().st_size for path in (lake / product).rglob("*") if path.suffix in (".parquet", ".h5"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--objects", type=int, default=300)
    parser.add_argument("--tiles", type=int, default=4)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--record", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bifrost-") as folder:
        folder = pathlib.Path(folder)
        folder.chmod(0o755)
        run("mock", "--out", folder / "archive", "--tiles", given.tiles, "--objects", given.objects)
        best = {kind: {} for kind in KINDS}
        for turn in range(given.turns):
            for kind in KINDS:
                shutil.rmtree(folder / f"{kind}-again", ignore_errors=True)
                lake = folder / (f"{kind}-again" if turn else kind)
                took = {"convert": run("--lake", lake, "convert", folder / "archive", "--arrays", kind)}
                lake = folder / kind
                if not turn:
                    run("--lake", lake, "sync")
                for name, question in QUESTIONS.items():
                    took[name] = run("--lake", lake, "read", question, "--columns", "flux,ivar", "--format", "parquet",
                                     "-o", folder / "rows.parquet")
                for name, seconds in took.items():
                    best[kind][name] = min(seconds, best[kind].get(name, seconds))
        lines = ["| arrays | Parquet, MB | stores, MB | convert, s | read flux, ivar of all rows, s | of z < 0.1, s |",
                 "|---|--:|--:|--:|--:|--:|"]
        for kind in KINDS:
            sizes = [f"{size(folder / kind, product) / 1e6:.1f}" for product in ("spectra", "spectra-h5")]
            lines.append(f"| {kind} | {' | '.join(sizes)} | {' | '.join(f'{s:.2f}' for s in best[kind].values())} |")
        for kind in KINDS:
            run("--lake", folder / kind, "db", "down")
    print("\n".join(lines))
    if given.record:
        with RESULTS.open("a") as results:
            command = f"python tests/bench/places.py --objects {given.objects} --tiles {given.tiles} --turns {given.turns} --record"
            results.write(f"\n## Where arrays are put\n\n`{command}`\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
