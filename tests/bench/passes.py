"""Memory of passes over many spectra: decoded bytes go by, what is held stays under a bound.

    python passes.py FOLDER [--gigabytes 50] [--bound 512] [--record]

FOLDER/lake is that of arrays.py, synced in BIFROST_DATABASE_URL; the package `bifrost` is a release build. Passes over
flux, ivar and mask_array of all rows, batch by batch, follow each other in one process until so many gigabytes (10⁹
bytes of Arrow arrays) were decoded. It fails if the process was ever larger than the bound (MiB).
"""

import argparse
import os
import pathlib
import resource
import time

import bifrost

RESULTS = pathlib.Path(__file__).with_name("RESULTS.md")
COLUMNS = ["flux", "ivar", "mask_array"]


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--gigabytes", type=float, default=50)
    parser.add_argument("--bound", type=float, default=512)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    lake = bifrost.open(arguments.folder.resolve() / "lake", os.environ["BIFROST_DATABASE_URL"])
    rows = lake.resolve("zwarn >= 0").read(COLUMNS)
    before, started = peak(), time.perf_counter()
    decoded = count = passes = 0
    after_first = None
    while decoded < arguments.gigabytes * 1e9:
        for batch in rows:
            decoded += batch.nbytes
            count += batch.num_rows
        passes += 1
        after_first = after_first or peak()
    seconds = time.perf_counter() - started
    line = (
        f"| {passes} | {count:,} | {decoded / 1e9:.1f} | {decoded / 1e9 / seconds:.2f} |"
        f" {before:.0f} | {after_first:.0f} | {peak():.0f} | {arguments.bound:.0f} |"
    )
    print(line)
    assert peak() < arguments.bound, f"{peak():.0f} MiB"
    if arguments.record:
        with RESULTS.open("a") as results:
            results.write(
                "\n## Memory of passes over 50 GB of spectra\n\n"
                f"`… python tests/bench/passes.py FOLDER --gigabytes {arguments.gigabytes:g} --record`\n\n"
                "Flux, ivar and masks of all rows, batch by batch, again and again in one process; MiB are the largest resident\n"
                "size so far. Demanded: it stays under the bound.\n\n"
                "| passes | rows | GB decoded | GB/s | MiB before | MiB after the first | MiB at the end | bound, MiB |\n"
                "|--:|--:|--:|--:|--:|--:|--:|--:|\n" + line + "\n")


if __name__ == "__main__":
    main()
