"""Persistence pairs, skeleton and density of crates/science: against GUDHI, a planted web, and N.

    cargo build --release --manifest-path crates/science/Cargo.toml --example skeleton
    pip install gudhi scipy
    python tests/bench/skeleton.py target/release/examples/skeleton [--delaunay …/examples/delaunay] [--record]

Meshes are Delaunay meshes of random points: of the example `delaunay`, or else of scipy.

1. Pairs of 100 meshes (seeds 0 to 99) of up to 3 million simplices, of values that are noise, smooth, full of
   ties, and constant, are those of GUDHI's lower-star filtration. The times of the largest are shown.
2. A web of known filaments, galaxies scattered about them and in the field: how much of it is found
   (completeness: of the planted length, what has a found filament within 3 Mpc), and how much of what is
   found is planted (purity: of the found length, the same).
3. Time and peak memory against the number of clustered points, mesh included, its making not.
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import gudhi
import numpy as np
from scipy.spatial import Delaunay, cKDTree

RESULTS = Path(__file__).with_name("RESULTS.md")
STEPS = ("stars", "density", "order", "gradient", "paths", "pairs", "skeleton", "distances")


def delaunay(points, program, folder):
    if program is None:
        made = Delaunay(points)
        return made.simplices.astype("u4"), made.neighbors.astype("i4").view("u4")
    points.tofile(folder / "points")
    subprocess.run([program, folder / "points", "2", "1", folder / "cells"], check=True, stdout=subprocess.DEVNULL)
    cells, neighbours = np.fromfile(folder / "cells", "u4").reshape(2, -1, 4)
    (folder / "cells").unlink()
    return cells, neighbours


def write(folder, points, cells, neighbours):
    with open(folder / "mesh", "wb") as file:
        np.array([len(points), len(cells)], "u8").tofile(file)
        for array in (points, cells, neighbours):
            np.ascontiguousarray(array).tofile(file)
    return folder / "mesh"


def run(*command):
    """What a program says of each step, and its peak memory in MB."""
    said = subprocess.check_output([str(word) for word in command], text=True).splitlines()
    said = dict(line.split(" ", 1) for line in said)
    return said, float(said.get("memory", "nan")) / 1e3


def gudhi_pairs(cells, rank):
    """Dimension, birth and death of finite pairs whose cells are not of one lower star; simplices; seconds."""
    began = time.perf_counter()
    tree = gudhi.SimplexTree()
    tree.insert_batch(np.ascontiguousarray(cells.T.astype("i4")), np.full(len(cells), -1.0))
    for vertex in np.unique(cells):
        tree.assign_filtration([int(vertex)], float(rank[vertex]))
    tree.make_filtration_non_decreasing()
    made = time.perf_counter()
    tree.compute_persistence(homology_coeff_field=2, persistence_dim_max=True)
    done = time.perf_counter()
    pairs = [(d, *pair) for d in range(3) for pair in tree.persistence_intervals_in_dimension(d)]
    pairs = sorted((int(d), int(b), int(e)) for d, b, e in pairs if np.isfinite(e) and b != e)
    return pairs, tree.num_simplices(), done - made, made - began


def values(seed, points, dice):
    return [
        lambda: dice.normal(size=len(points)),
        lambda: np.sin(7 * points).sum(1),
        lambda: np.floor(3 * np.sin(7 * points).sum(1) + dice.normal(size=len(points))),
        lambda: np.full(len(points), 2.0),
    ][seed % 4 if seed < 99 else 0]()


def against_gudhi(program, delaunay_program, folder, meshes):
    rows = []
    for seed in range(100 - meshes, 100):
        dice = np.random.default_rng(seed)
        count = 105_000 if seed == 99 else 30_000 if seed >= 96 else int(10 ** dice.uniform(0.8, 3.5))
        points = dice.random((count, 3))
        value = values(seed, points, dice)
        cells, neighbours = delaunay(points, delaunay_program, folder)
        value.tofile(folder / "values")
        path = write(folder, points, cells, neighbours)
        said, memory = run(program, "pairs", path, folder / "values", folder / "pairs")
        rank = np.empty(count, int)
        rank[np.lexsort((np.arange(count), value))] = np.arange(count)
        expected, simplices, peer, building = gudhi_pairs(cells, rank)
        found = np.fromfile(folder / "pairs", "u4").reshape(-1, 3).tolist()
        found = sorted(tuple(pair) for pair in found if pair[1] != pair[2])
        assert found == expected, f"seed {seed}: {len(found)} pairs, GUDHI has {len(expected)}"
        ours = sum(float(said[step]) for step in ("stars", "order", "gradient", "paths", "pairs"))
        rows.append((simplices, len(expected), ours, memory, peer, building))
    return rows


def planted(dice, count=20_000, nodes=25, side=100.0):
    """Galaxies, and the segments that they are scattered about."""
    peaks = dice.uniform(0.1 * side, 0.9 * side, (nodes, 3))
    _, near = cKDTree(peaks).query(peaks, 3)
    ways = np.array(sorted({tuple(sorted((a, b))) for a, *others in near for b in others}))
    segments = peaks[ways]
    lengths = np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1)
    way = dice.choice(len(ways), count * 6 // 10, p=lengths / lengths.sum())
    along = dice.random((len(way), 1))
    on = segments[way, 0] * (1 - along) + segments[way, 1] * along + dice.normal(0, 0.7, (len(way), 3))
    in_peaks = peaks[dice.integers(0, nodes, count * 2 // 10)]
    in_peaks = in_peaks + dice.normal(0, 1.0, in_peaks.shape)
    field = dice.uniform(0, side, (count - len(on) - len(in_peaks), 3))
    return np.concatenate([on, in_peaks, field]), segments


def sampled(segments, step=0.25):
    lengths = np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1)
    counts = np.maximum(1, np.ceil(lengths / step).astype(int))
    of = np.repeat(np.arange(len(segments)), counts)
    at = (np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts) + 0.5) / counts[of]
    points = segments[of, 0] * (1 - at[:, None]) + segments[of, 1] * at[:, None]
    return points, (lengths / counts)[of]


def recovered(program, delaunay_program, folder, sigmas, smooth, seeds):
    """Mean completeness and purity."""
    both = []
    for seed in seeds:
        points, segments = planted(np.random.default_rng(seed))
        path = write(folder, points, *delaunay(points, delaunay_program, folder))
        run(program, "web", path, sigmas, smooth, folder / "segments")
        found = sampled(np.fromfile(folder / "segments").reshape(-1, 2, 3))
        truth = sampled(segments)
        share = lambda of, near: of[1][cKDTree(near[0]).query(of[0])[0] < 3].sum() / of[1].sum()  # noqa: E731
        both.append((share(truth, found), share(found, truth)))
    return np.mean(both, axis=0)


def clustered(count, seed=1):
    """Six in ten points in haloes, whose sizes follow a power law."""
    dice = np.random.default_rng(seed)
    haloes = max(1, count // 200)
    centres, weights = dice.random((haloes, 3)), dice.pareto(1.5, haloes) + 0.1
    weights /= weights.sum()
    halo = dice.choice(haloes, count * 6 // 10, p=weights)
    size = 0.3 * (count ** (-1 / 3)) * np.cbrt(weights[halo] * haloes)
    inside = centres[halo] + dice.normal(size=(len(halo), 3)) * (size * dice.random(len(halo)))[:, None]
    points = np.concatenate([inside % 1, dice.random((count - len(halo), 3))])
    dice.shuffle(points)
    return points


def against_count(program, delaunay_program, folder, counts):
    for count in counts:
        points = clustered(count)
        began = time.perf_counter()
        cells, neighbours = delaunay(points, delaunay_program, folder)
        meshing = time.perf_counter() - began
        path = write(folder, points, cells, neighbours)
        size = path.stat().st_size / 1e6
        cells_count = len(cells)
        del points, cells, neighbours
        said, memory = run(program, "web", path, 3, 0, folder / "segments")
        path.unlink()
        yield count, cells_count, [float(said[step]) for step in STEPS], memory, size, meshing


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the example skeleton, built for release")
    parser.add_argument("--delaunay", help="the example delaunay, built for release")
    parser.add_argument("--meshes", type=int, default=100, help="how many are compared with GUDHI, largest last")
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    program = os.path.abspath(options.program)
    peer = options.delaunay and os.path.abspath(options.delaunay)
    lines = []

    def say(line=""):
        lines.append(line)
        print(line, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        rows = against_gudhi(program, peer, folder, options.meshes)
        simplices, pairs, ours, memory, theirs, building = rows[-1]
        say(f"Pairs equal GUDHI {gudhi.__version__}'s on {len(rows)} meshes of {min(r[0] for r in rows):,} to "
            f"{max(r[0] for r in rows):,} simplices, {sum(r[1] for r in rows):,} pairs in all. On the largest:")
        say()
        say("| simplices | pairs | kernel s | kernel MB | GUDHI s | building its tree s | ratio |")
        say("|--:|--:|--:|--:|--:|--:|--:|")
        say(f"| {simplices:,} | {pairs:,} | {ours:.2f} | {memory:.0f} | {theirs:.2f} | {building:.2f} | {theirs / ours:.1f} |")
        say()
        say("Planted webs of 25 nodes in (100 Mpc)³, 20,000 galaxies, a fifth of them field; means of seeds 0 to 4:")
        say()
        say("| threshold | passes of smoothing | completeness | purity |")
        say("|--:|--:|--:|--:|")
        for sigmas, smooth in ((3, 0), (4, 0), (3, 1), (4, 1), (3, 2)):
            completeness, purity = recovered(program, peer, folder, sigmas, smooth, range(5))
            say(f"| {sigmas} σ | {smooth} | {completeness:.3f} | {purity:.3f} |")
        say()
        say("Clustered points, 3 σ, seconds of each step; memory has the mesh in it:")
        say()
        say("| points | cells | " + " | ".join(STEPS) + " | sum s | peak MB | mesh MB | Delaunay s |")
        say("|--:|--:|" + "--:|" * (len(STEPS) + 4))
        for count, cells, steps, memory, size, meshing in against_count(program, peer, folder, options.counts):
            shown = " | ".join(f"{step:.2f}" for step in steps)
            say(f"| {count:,} | {cells:,} | {shown} | {sum(steps):.2f} | {memory:.0f} | {size:.0f} | {meshing:.1f} |")
    if options.record:
        load = f"load {os.getloadavg()[0]:.1f} at the end"
        with RESULTS.open("a") as file:
            file.write("\n## Persistence pairs and skeleton\n\n"
                       f"`python tests/bench/skeleton.py {shlex.join(sys.argv[1:])}`, {os.cpu_count()} cores, "
                       f"{load}: figures are for comparison within the run.\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
