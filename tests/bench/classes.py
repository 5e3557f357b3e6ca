"""Classes by ASTRA against the number of sets of random points: time of each, and the peak of all.

    cargo build --release -p bifrost-science --example web
    python tests/bench/classes.py target/release/examples/web [--counts 100000 1000000] [--realisations 1 10 100]
        [--most 20000000] [--blocks N] [--record]

Points are drawn by the program: half of them in clustered haloes. Expected: time in proportion to the sets, and memory
that does not grow with them. Seconds of processors are told, too: others' load shows less in them. Runs of more than so many points and sets together are left out.
"""

import argparse
import os
import pathlib
import resource
import tempfile

from web import RESULTS, measured


def processor_s():
    """Seconds of processors that programs have taken up to now."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--realisations", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--most", type=int, default=20_000_000)
    parser.add_argument("--blocks", type=int, default=1)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    table = "| points | sets | classes, s | processor s of all | processor s a set | MiB of all |\n|--:|--:|--:|--:|--:|--:|\n"
    without = 0
    for count in arguments.counts:
        for sets in [0] + [sets for sets in arguments.realisations if count * sets <= arguments.most]:
            before = processor_s()
            with tempfile.TemporaryDirectory() as folder:
                kept = ["--blocks", arguments.blocks, "--folder", folder] if arguments.blocks > 1 else []
                said = measured(arguments.program, count, "--classes", sets, *kept)
            took = processor_s() - before
            without = took if sets == 0 else without
            each = f"{(took - without) / sets:.2f}" if sets else ""
            table += f"| {count:,} | {sets} | {said['classes']:.1f} | {took:.1f} | {each} | {said['memory'] / 1024:.0f} |\n"
            print(table.splitlines()[-1], flush=True)
    if arguments.record:
        with RESULTS.open("a") as results:
            words = [f"--{name} {' '.join(map(str, getattr(arguments, name)))}" for name in ("counts", "realisations")]
            results.write(
                "\n## Classes by ASTRA against the number of sets of random points\n\n`python tests/bench/classes.py"
                f" target/release/examples/web {' '.join(words)} --most {arguments.most} --blocks {arguments.blocks} --record`"
                f"\n\nTwo threads; no sets are the web before; load {os.getloadavg()[0]:.1f} at the end. Demanded: memory that does not grow with the sets,"
                " time in proportion to them.\n\n" + table)


if __name__ == "__main__":
    main()
