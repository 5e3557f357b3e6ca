"""The cosmic web from points to distances: what each step costs, against the number of points, and against DisPerSE.

    cargo build --release -p bifrost-science --example web
    python tests/bench/web.py target/release/examples/web [--counts 10000 …] [--scale] [--figure FILE.svg] [--record]
    python tests/bench/web.py target/release/examples/web --ceiling BYTES --counts 5000000 [--blocks 8 64] [--classes 1] [--record]

Points are drawn by the program: half of them in clustered haloes. DisPerSE 0.9.25 took 210 s and 2.9 GB for 2 million
clustered points (`delaunay_3D` 47 s, `mse` 163 s) on two cores on which CGAL's parallel Delaunay of 2 million uniform
points takes 5.1 s. It is not packaged, so it cannot run beside: with --scale CGAL's program is built and run beside
ours (`apt install libcgal-dev libtbb-dev`), and says how fast this machine is just now.

With --ceiling the web is made in memory, in as many blocks as the ceiling allows, and in so many blocks: the digest of
densities, flags, skeleton, distances and classes has to be the same, and the peak under the ceiling.
"""

import argparse
import pathlib
import statistics
import subprocess
import tempfile

import delaunay
import numpy as np

RESULTS = pathlib.Path(__file__).with_name("RESULTS.md")
STEPS = ["tessellation", "density", "skeleton", "distances"]
DISPERSE_S, DISPERSE_MIB, CGAL_S = 210, 2.9e3, 5.1


def measured(program, count, *options):
    command = [program, str(count), *map(str, options)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    words = dict(line.split() for line in said.splitlines())
    return {name: value if name == "digest" else float(value) for name, value in words.items()}


def ceiling(program, count, arguments):
    """A table of the same points in memory, under the ceiling, and in blocks."""
    classes = ["--classes", arguments.classes] if arguments.classes else []
    steps = STEPS + ["classes"] * bool(classes)
    head = " | ".join(f"{step}, s" for step in steps)
    table = f"| {count:,} points | blocks | {head} | all, s | MiB | digest |\n|:--|{'--:|' * (len(steps) + 3)}:--|\n"
    limit = ["--memory", arguments.ceiling]
    runs = {"in memory": [], f"{arguments.ceiling / 2**20:.0f} MiB": limit}
    runs |= {f"{blocks} blocks": ["--blocks", blocks] for blocks in arguments.blocks}
    digests = set()
    for name, options in runs.items():
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            folder = ["--folder", folder] if options else []
            said = measured(program, count, *options, *folder, *classes)
        digests.add(said["digest"])
        assert options != limit or said["memory"] * 1024 < arguments.ceiling, said
        seconds = [said[step] for step in steps]
        shown = " | ".join(f"{second:.1f}" for second in [*seconds, sum(seconds)])
        table += f"| {name} | {said['blocks']:.0f} | {shown} | {said['memory'] / 1024:.0f} | `{said['digest']}` |\n"
        print(table.splitlines()[-1], flush=True)
    assert len(digests) == 1, digests
    return table


def cgal():
    """Seconds of CGAL's parallel build of 2 million uniform points."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        programs = delaunay.compiled(folder)
        assert programs, "CGAL is not installed"
        np.random.default_rng(1).random((2_000_000, 3)).tofile(folder / "points")
        return delaunay.run(programs["many"], folder / "points")[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000, 1_000_000, 2_000_000])
    parser.add_argument("--scale", action="store_true")
    parser.add_argument("--figure", type=pathlib.Path)
    parser.add_argument("--ceiling", type=int)
    parser.add_argument("--blocks", type=int, nargs="*", default=[8, 64])
    parser.add_argument("--classes", type=int, default=0)
    parser.add_argument("--folder", help="where outputs of parts are kept meanwhile")
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    if arguments.ceiling:
        tables = [ceiling(arguments.program, count, arguments) for count in arguments.counts]
        if arguments.record:
            with RESULTS.open("a") as results:
                counts = " ".join(map(str, arguments.counts))
                blocks = " ".join(map(str, arguments.blocks))
                results.write(
                    "\n## The cosmic web under a memory ceiling\n\n`python tests/bench/web.py target/release/examples/web"
                    f" --ceiling {arguments.ceiling} --counts {counts} --blocks {blocks} --classes {arguments.classes} --record`"
                    "\n\nTwo threads; memory is the peak of the whole process, points included; outputs of blocks in files. Demanded:"
                    "\nthe same digest of densities, flags, skeleton, distances and classes, and a peak under the ceiling.\n\n"
                    + "\n".join(tables)
                )
        return
    table = f"| points | {' | '.join(f'{step}, s' for step in STEPS)} | all, s | MiB | µs a point |\n|{'--:|' * (len(STEPS) + 4)}\n"
    totals, text = {}, ""
    for count in arguments.counts:
        said = measured(arguments.program, count)
        totals[count] = total = sum(said[step] for step in STEPS)
        steps = " | ".join(f"{said[step]:.2f}" for step in STEPS)
        table += f"| {count:,} | {steps} | {total:.1f} | {said['memory'] / 1024:.0f} | {total / count * 1e6:.1f} |\n"
        print(table.splitlines()[-1], flush=True)
        if count == 2_000_000:
            memory = said["memory"] / 1024
            text = f"\nAt 2 million points {DISPERSE_MIB / memory:.1f} times less memory than DisPerSE"
            if arguments.scale:
                beside = [cgal(), cgal()]
                again = sum(measured(arguments.program, count)[step] for step in STEPS)
                beside.append(cgal())
                speed, ours = statistics.median(beside) / CGAL_S, statistics.median([total, again])
                text += (
                    f". CGAL took {', '.join(f'{s:.1f}' for s in beside)} s beside it instead of {CGAL_S}: the machine was"
                    f" {speed:.1f} times\nslower than the one on which DisPerSE took {DISPERSE_S} s. So scaled, ours"
                    f" ({ours:.1f} s, of two runs) is {DISPERSE_S * speed / ours:.1f} times as fast"
                )
            text += ".\n"
    print(table + text)
    if arguments.figure:
        import matplotlib.pyplot as plt

        plt.rcParams["svg.hashsalt"] = "bifrost"
        figure, axes = plt.subplots(figsize=(6, 4))
        axes.loglog(list(totals), list(totals.values()), "o-", color="#14325a")
        axes.set(xlabel="points", ylabel="seconds, points to distances", title="The cosmic web: cost against size")
        axes.grid(alpha=0.3)
        figure.tight_layout()
        figure.savefig(arguments.figure, metadata={"Date": None})
    if arguments.record:
        with RESULTS.open("a") as results:
            results.write(
                "\n## The cosmic web, from points to distances\n\n`python tests/bench/web.py target/release/examples/web"
                f" --counts {' '.join(map(str, arguments.counts))}{' --scale' if arguments.scale else ''} --record`\n\n"
                "Two threads; memory is the peak of the whole process, points included. Demanded for 2 million points: 10 times"
                "\nas fast as DisPerSE's 210 s, a quarter of its 2.9 GB; for 18 million 8 GB and 6 minutes.\n\n" + table + text)


if __name__ == "__main__":
    main()
