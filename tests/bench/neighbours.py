"""Fifth neighbours: the kernel of crates/science against scipy's cKDTree.

    cargo build --release --manifest-path crates/science/Cargo.toml --example neighbours
    python tests/bench/neighbours.py target/release/examples/neighbours [--record]

Both find, for each of the positions, the distance of the fifth nearest other one, which has to agree to
1e-12; scipy builds its tree and asks for six neighbours of each point, itself being one. Σ₅ has no peer
that is a kernel: for some galaxies it is checked against numpy, which compares with all others, and the
time of all is shown. All cores, in turns, best of the turns.
"""

import argparse
import os
import pathlib
import subprocess
import tempfile
import time

import numpy as np
from astropy.cosmology import FlatLambdaCDM
from scipy.spatial import cKDTree

import cosmology
from fof import cone

RESULTS = pathlib.Path(__file__).with_name("RESULTS.md")
COSMOLOGY = FlatLambdaCDM(70, 0.3)


def kernel(options, what, folder, columns):
    """Seconds, and what is found."""
    path, out = os.path.join(folder, "sample"), os.path.join(folder, "out")
    np.stack(columns).tofile(path)
    command = [options.program, what, path, str(options.threads), str(options.turns), out]
    seconds = min(map(float, subprocess.check_output(command, text=True).split()))
    return seconds, np.fromfile(out)


def by_scipy(options, positions):
    began = time.perf_counter()
    distances, _ = cKDTree(positions).query(positions, k=6, workers=options.threads)
    return time.perf_counter() - began, distances[:, 5]


def directly(ra, dec, z, rows):
    """Σ₅ of some rows, from all galaxies."""
    ra, dec = np.radians(ra), np.radians(dec)
    places = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], 1)
    for row in rows:
        near = np.abs(z - z[row]) * 299792.458 / (1 + z[row]) < 1000
        near[row] = False
        chords = np.sort(np.sqrt(((places[near] - places[row]) ** 2).sum(1)))
        radius = 2 * np.arcsin(chords[4] / 2) * cosmology.DESI.comoving_distance(z[row]).value
        yield 5 / (np.pi * radius**2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=os.path.abspath, help="the example neighbours, built for release")
    parser.add_argument("--galaxies", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    ra, dec, distance = cone(options.galaxies)[:3]
    grid = np.linspace(0.001, 0.7, 4000)
    z = np.interp(distance, COSMOLOGY.comoving_distance(grid).value, grid)
    x, y, height = np.cos(np.radians(dec)) * np.cos(np.radians(ra)), np.cos(np.radians(dec)) * np.sin(np.radians(ra)), np.sin(np.radians(dec))
    positions = distance[:, None] * np.stack([x, y, height], 1)
    with tempfile.TemporaryDirectory() as folder:
        ours, found = kernel(options, "dist", folder, positions.T)
        theirs, expected = min((by_scipy(options, positions) for _ in range(options.turns)), key=lambda turn: turn[0])
        assert np.allclose(found, expected, rtol=1e-12, atol=0), np.abs(found / expected - 1).max()
        sigma_s, sigma = kernel(options, "sigma", folder, (ra, dec, z))
        rows = np.random.default_rng(2).integers(0, len(z), 50)
        # astropy's distances are not quite those of DESI's cosmology
        assert np.allclose(sigma[rows], list(directly(ra, dec, z, rows)), rtol=1e-4)
    table = (f"| {len(z):,} galaxies | peer s | kernel s | ratio |\n|---|--:|--:|--:|\n"
             f"| distance of the fifth neighbour: cKDTree | {theirs:.3g} | {ours:.3g} | {theirs / ours:.1f} |\n"
             f"| Σ₅ and its error | | {sigma_s:.3g} | |\n")
    print(table)
    if options.record:
        with RESULTS.open("a") as results:
            results.write(f"\n## Neighbours: against scipy\n\n`python tests/bench/neighbours.py PROGRAM --record`;"
                          f" {options.threads} threads, load {load:.1f} before, best of {options.turns}.\n\n{table}")


if __name__ == "__main__":
    main()
