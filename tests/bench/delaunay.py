"""Delaunay tetrahedra: the kernel of crates/science against CGAL's parallel build, and against Qhull.

    cargo build --release --manifest-path crates/science/Cargo.toml --example delaunay
    python tests/bench/delaunay.py target/release/examples/delaunay [--record]

CGAL's program is compiled here, with g++ -O3 (`apt install libcgal-dev libtbb-dev`); scipy has Qhull.
First both build the same points in turns, with one thread and with two. Shown are the median of seconds,
within the program, from points in memory to the mesh; processor seconds of the whole program; and its
peak memory. Then the cells are compared: with Qhull's on uniform, normal, clustered and real points
(those of shared/fixtures, if they are there: BIFROST_SHARED, else `shared` beside the repository), with
CGAL's on all of them, too, and on sets that Qhull's rounding is not up to.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

import numpy as np

RESULTS = pathlib.Path(__file__).with_name("RESULTS.md")
ROOT = pathlib.Path(__file__).parents[2]
CGAL = r"""
#include <CGAL/Delaunay_triangulation_3.h>
#include <CGAL/Delaunay_triangulation_cell_base_3.h>
#include <CGAL/Exact_predicates_inexact_constructions_kernel.h>
#include <CGAL/Triangulation_vertex_base_with_info_3.h>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <vector>
using K = CGAL::Exact_predicates_inexact_constructions_kernel;
#ifdef CELLS
using Vb = CGAL::Triangulation_vertex_base_with_info_3<unsigned, K>;
#else
using Vb = CGAL::Triangulation_vertex_base_3<K>;
#endif
using Cb = CGAL::Delaunay_triangulation_cell_base_3<K>;
#ifdef CGAL_LINKED_WITH_TBB
using Tds = CGAL::Triangulation_data_structure_3<Vb, Cb, CGAL::Parallel_tag>;
#else
using Tds = CGAL::Triangulation_data_structure_3<Vb, Cb>;
#endif
using Dt = CGAL::Delaunay_triangulation_3<K, Tds>;
int main(int, char** argv) {
  std::vector<K::Point_3> points;
  std::ifstream in(argv[1], std::ios::binary);
  for (double at[3]; in.read(reinterpret_cast<char*>(at), sizeof at);) points.emplace_back(at[0], at[1], at[2]);
  auto began = std::chrono::steady_clock::now();
#ifdef CELLS
  std::vector<std::pair<K::Point_3, unsigned>> numbered;
  for (auto& point : points) numbered.emplace_back(point, unsigned(numbered.size()));
  Dt mesh(numbered.begin(), numbered.end());
#elif defined(CGAL_LINKED_WITH_TBB)
  Dt::Lock_data_structure locks(CGAL::bbox_3(points.begin(), points.end()), 50);
  Dt mesh(points.begin(), points.end(), &locks);
#else
  Dt mesh(points.begin(), points.end());
#endif
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::printf("%g\n%zu\n", took.count(), mesh.number_of_finite_cells());
#ifdef CELLS
  std::ofstream out(argv[2], std::ios::binary);
  for (auto cell = mesh.finite_cells_begin(); cell != mesh.finite_cells_end(); ++cell)
    for (int k = 0; k < 4; k++) {
      unsigned vertex = cell->vertex(k)->info();
      out.write(reinterpret_cast<char*>(&vertex), sizeof vertex);
    }
#endif
}
"""


def compiled(folder):
    """CGAL's programs: with one thread, with several, and the one that writes its cells; or none."""
    source = folder / "cgal.cpp"
    source.write_text(CGAL)
    parallel = ["-DCGAL_LINKED_WITH_TBB", "-ltbb", "-ltbbmalloc", "-lpthread"]
    programs = {}
    for name, options in {"one": [], "many": parallel, "cells": ["-DCELLS"]}.items():
        programs[name] = folder / f"cgal-{name}"
        command = ["g++", "-O3", "-DNDEBUG", "-o", programs[name], source, *options, "-lgmp", "-lmpfr"]
        if not shutil.which("g++") or subprocess.run(command, capture_output=True).returncode:
            return None
    return programs


def run(*command):
    """Seconds that the program says, processor seconds, peak MiB, cells."""
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen([str(word) for word in command], stdout=out)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0, command
        out.seek(0)
        *seconds, cells = out.read().split()
    return float(seconds[-1]), used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, int(cells)


def canonical(cells):
    cells = np.sort(cells.astype("u4"), axis=1)
    return cells[np.lexsort(cells.T[::-1])]


def clustered(dice, count):
    """Half of them in clusters of 300, whose density falls with the square of the radius."""
    centres = dice.random((count // 600, 1, 3))
    way = dice.normal(size=(len(centres), 300, 3))
    near = centres + way / np.linalg.norm(way, axis=2, keepdims=True) * dice.uniform(0, 0.02, (*way.shape[:2], 1))
    return np.concatenate([near.reshape(-1, 3), dice.random((count - 300 * len(centres), 3))])


def sky(path):
    """Galaxies at c·z/H0, Mpc/h, which is near enough for a shape."""
    from astropy.table import Table

    galaxies = Table.read(path)
    redshift = galaxies["z" if "z" in galaxies.colnames else "zcmb"]
    ra, dec = np.radians(np.asarray(galaxies["ra"], "f8")), np.radians(np.asarray(galaxies["dec"], "f8"))
    way = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
    return 2997.92458 * np.asarray(redshift, "f8")[:, None] * way


def real():
    """Galaxies of the fixtures."""
    folder = pathlib.Path(os.environ.get("BIFROST_SHARED", ROOT.parent / "shared")) / "fixtures"
    if not folder.exists():
        print("no fixtures: real galaxies are left out", file=sys.stderr)
        return
    yield "SDSS (VAST)", sky(folder / "vast_vsquared_test_data.fits")
    yield "WISE-SGP", sky(folder / "pyfof_WISE-SGP_redshifts.fits")
    yield "Gadget walls", np.loadtxt(folder / "vast_gadget_sim_100_256_wall.dat")


def sets():
    """Points, and whether Qhull is exact enough for them."""
    dice = np.random.default_rng(1)
    yield "uniform", dice.random((100_000, 3)), True
    yield "normal", dice.normal(size=(50_000, 3)), True
    yield "clustered", clustered(dice, 60_000), True
    for name, points in real():
        yield name, points[np.isfinite(points).all(axis=1)], True
    yield "uniform at 1e9", 1e9 + 1e3 * dice.random((50_000, 3)), False
    yield "heavy tails", 0.003 * dice.standard_cauchy((50_000, 3)), False
    yield "grid 30³", np.stack(np.meshgrid(*3 * [np.arange(30.0)]), axis=-1).reshape(-1, 3), False


def compare(program, cgal, folder):
    """Rows: how many cells each has, and how many of ours the others do not have."""
    from scipy.spatial import Delaunay

    for name, points, is_exact in sets():
        # of equal points each program keeps another one
        points = np.unique(points.astype("f8"), axis=0)
        np.random.default_rng(2).shuffle(points)
        points.tofile(folder / "points")
        run(program, folder / "points", os.cpu_count(), 1, folder / "ours")
        ours = canonical(np.fromfile(folder / "ours", "u4").reshape(2, -1, 4)[0])
        theirs = {}
        if is_exact:
            theirs["Qhull"] = Delaunay(points, qhull_options="Qbb Qc Qz Q12").simplices
        if cgal:
            run(cgal["cells"], folder / "points", folder / "theirs")
            theirs["CGAL"] = np.fromfile(folder / "theirs", "u4").reshape(-1, 4)
        row = {who: "identical" if np.array_equal(ours, canonical(cells)) else "DIFFERENT" for who, cells in theirs.items()}
        yield name, f"{len(points):,}", f"{len(ours):,}", row.get("Qhull", "–"), row.get("CGAL", "–")


def race(program, cgal, folder, count, kind, turns):
    """Rows of one set of points: the programs build it in turns."""
    dice = np.random.default_rng(3)
    points = dice.random((count, 3)) if kind == "uniform" else clustered(dice, count)
    points.tofile(folder / "points")
    del points
    ways = {f"Bifrost, {threads} thread{'s' * (threads > 1)}": (program, folder / "points", threads, 1, "-") for threads in (1, 2)}
    if cgal:
        ways |= {"CGAL, 1 thread": (cgal["one"], folder / "points"), "CGAL, parallel": (cgal["many"], folder / "points")}
    found = {way: [] for way in ways}
    for _ in range(turns):
        for way, command in ways.items():
            found[way].append(run(*command))
    assert len({cells for runs in found.values() for *_, cells in runs}) == 1
    wall, cpu, memory = ({way: statistics.median(run[k] for run in runs) for way, runs in found.items()} for k in range(3))
    rival = "CGAL, parallel" if cgal else next(iter(ways))
    for way in ways:
        ratios = f"{wall[rival] / wall[way]:.2f}", f"{cpu[rival] / cpu[way]:.2f}", f"{memory[way] / memory[rival]:.2f}"
        yield f"{count:,} {kind}", way, f"{wall[way]:.2f}", f"{cpu[way]:.2f}", f"{memory[way]:.0f}", *ratios


def table(title, rows, out):
    lines = ["| " + " | ".join(title) + " |", "|" + "---|" * len(title)]
    for line in lines:
        print(line)
    for row in rows:
        lines.append(f"| {' | '.join(row)} |")
        print(lines[-1], flush=True)
    out.append("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the example delaunay, built for release")
    parser.add_argument("--points", type=int, nargs="+", default=[1_000_000, 2_000_000])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--record", action="store_true", help="append the section to RESULTS.md")
    options = parser.parse_args()
    program, load, tables = os.path.abspath(options.program), os.getloadavg()[0], []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        cgal = compiled(folder)
        if cgal is None:
            print("no CGAL: apt install g++ libcgal-dev libtbb-dev", file=sys.stderr)
        # first, since what this process holds counts as its children's peak memory
        races = (
            row
            for count in options.points
            for kind in ("uniform", "clustered")[: 1 + (count == options.points[0])]
            for row in race(program, cgal, folder, count, kind, options.turns)
        )
        title = ("points", "program", "s", "cpu s", "MiB peak", "faster than CGAL parallel", "less cpu", "memory of it")
        table(title, races, tables)
        table(("points", "how many", "tetrahedra", "Qhull's", "CGAL's"), compare(program, cgal, folder), tables)
    if options.record:
        with RESULTS.open("a") as out:
            out.write(
                f"\n## Delaunay tetrahedra: against CGAL and Qhull\n\n`python tests/bench/delaunay.py … --record`;"
                f" {os.cpu_count()} cores, load {load:.1f} before; medians of {options.turns} runs in turns. Peaks are of"
                f" whole programs, which hold the points, too.\n\n" + "\n".join(tables)
            )


if __name__ == "__main__":
    main()
