"""Friends of friends: the kernel of crates/science against Nessie and scipy.

    pip install nessie-py scipy astropy
    cargo build --release --manifest-path crates/science/Cargo.toml --example fof
    python tests/bench/fof.py target/release/examples/fof [--fixtures FOLDER] [--largest 6400000] [--record]

Nessie (the Python package of the crate `fof`) and the kernel are given the same right ascensions,
declinations, distances and linking lengths, and have to find the same links; what is timed is finding
links (Nessie) and finding groups (kernel: the links and their components). scipy finds groups of
positions from the pairs of a tree and their connected components; they have to be the same. Samples are
real catalogues, if the folder of fixtures is there, and light cones: half of the galaxies alone, half in
groups with fingers of God, thinned with redshift as a survey that is limited in magnitude. They run in
turns, each in a process of its own, on all cores; best of the turns. CPU seconds and peak memory are of
the whole process, with the reading of its sample: they count where other work makes seconds uncertain.
"""

import argparse
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
from astropy.cosmology import FlatLambdaCDM
from astropy.io import fits

RESULTS = pathlib.Path(__file__).with_name("RESULTS.md")
FIXTURES = pathlib.Path(__file__).parents[3] / "shared/fixtures"
COSMOLOGY = FlatLambdaCDM(70, 0.3)
B0, R0 = 0.05, 18
SKY = 0.275  # part of the sphere that light cones cover


def lengths(ra, dec, z, area):
    """Right ascension, declination, distance and both linking lengths."""
    grid = np.linspace(0, z.max() * 1.01, 4000)
    far = COSMOLOGY.comoving_distance(grid).value
    distance = np.interp(z, grid, far)
    counts, edges = np.histogram(distance, 60)
    density = np.interp(distance, (edges[1:] + edges[:-1]) / 2, counts / (area * np.diff(edges**3) / 3))
    length = np.minimum(B0 * np.maximum(density, 1e-9) ** (-1 / 3), 2)
    along = length * R0 * (1 + z) / COSMOLOGY.efunc(z)
    return np.stack([ra, dec, distance, length / distance, np.minimum(along, 15)])


def cone(count, seed=1):
    """A clustered light cone, about RA 0."""
    dice = np.random.default_rng(seed)
    grid = np.linspace(0.01, 0.6, 2000)
    far = COSMOLOGY.comoving_distance(grid).value
    chance = np.cumsum(far**2 * np.gradient(far, grid) * np.exp(-((grid / 0.3) ** 2.2)))

    def places(count):
        dec = np.degrees(np.arcsin(dice.uniform(-0.2, 0.9, count)))
        return dice.uniform(-90, 90, count), dec, np.interp(dice.random(count), chance / chance[-1], grid)

    sizes = np.floor(1.5 * (1 - dice.random(count)) ** (-1 / 1.4)).astype(int).clip(2, 200)
    sizes = sizes[: np.searchsorted(np.cumsum(sizes), count // 2)]
    group = np.repeat(np.arange(sizes.size), sizes)
    ra, dec, z = (value[group] for value in places(sizes.size))
    size, members = sizes[group], group.size
    radius = 0.12 * size ** (1 / 3) * np.abs(dice.standard_cauchy(members)).clip(0, 4)
    turn, height = dice.uniform(0, 2 * np.pi, members), dice.uniform(-1, 1, members)
    angle = np.degrees(radius * np.sqrt(1 - height**2) / np.interp(z, grid, far))
    dec = (dec + angle * np.sin(turn)).clip(-89.9, 89.9)
    ra = ra + angle * np.cos(turn) / np.cos(np.radians(dec))
    z = z + (1 + z) * 120 * size ** (1 / 3) * dice.standard_normal(members) / 299792.458
    both = [np.concatenate(pair) for pair in zip(places(count - members), (ra % 360, dec, z))]
    order = dice.permutation(count)
    ra, dec, z = (value[order] for value in both)
    return lengths(ra % 360, dec, z.clip(0.005, 0.62), SKY * 4 * np.pi)


def catalogues(folder):
    """Real samples."""
    files = {
        "WISE-SGP": ("pyfof_WISE-SGP_redshifts.fits", "zcmb", 0.02),
        "SDSS": ("vast_vsquared_test_data.fits", "z", 0.2),
    }
    for name, (file, column, part) in files.items():
        if not (folder / file).exists():
            print(f"{folder / file} is not there: {name} is left out", file=sys.stderr)
            continue
        table = fits.getdata(folder / file, 1)
        ra, dec, z = (np.asarray(table[key], float) for key in ("ra", "dec", column))
        good = z > 0
        yield name, lengths(ra[good], dec[good], z[good], part * 4 * np.pi)


def run(command):
    """What a process prints, its CPU seconds, and its own peak memory in MB, not that of a fork before."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    peak = 0
    while process.poll() is None:
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        peak = max([peak] + [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")])
        time.sleep(0.005)
    assert process.returncode == 0, command
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    return float(process.stdout.read().split()[-1]), cpu, peak * 1024 / 1e6


def kernel(options, what, sample, out="-"):
    return run([options.program, what, sample, str(options.threads), "1", out])


def peer(what, sample, out="-"):
    return run([sys.executable, __file__, what, sample, "--as-peer", out])


def nessie(path, out):
    """Links by Nessie, sorted; prints seconds."""
    import nessie_py

    sample = np.fromfile(path).reshape(5, -1)
    began = time.perf_counter()
    found = nessie_py.fof_links_fast(*sample)
    print(time.perf_counter() - began)
    if out != "-":
        # it counts rows from 1
        pairs = np.sort(np.stack([found["i"], found["j"]], 1), 1) - 1
        pairs[np.lexsort(pairs.T[::-1])].astype("u4").tofile(out)


def scipy(path, out):
    """Groups by scipy; prints seconds."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    values = np.fromfile(path)
    positions = values[1:].reshape(3, -1).T.copy()
    began = time.perf_counter()
    pairs = cKDTree(positions).query_pairs(values[0], output_type="ndarray")
    shape = (len(positions), len(positions))
    graph = coo_array((np.ones(len(pairs), bool), pairs.T), shape)
    _, label = connected_components(graph, directed=False)
    print(time.perf_counter() - began)
    _, first, inverse = np.unique(label, return_index=True, return_inverse=True)
    first[inverse].astype("u4").tofile(out)


def against_nessie(options, folder, name, sample, turns):
    path, ours, theirs = (os.path.join(folder, part) for part in ("sample", "ours", "theirs"))
    sample.tofile(path)
    fast, slow = [], []
    for _ in range(turns):
        fast += [kernel(options, "link", path) for _ in range(3)]
        slow.append(peer("nessie", path, theirs))
    kernel(options, "links", path, ours)
    ours, theirs = np.fromfile(ours, "u4"), np.fromfile(theirs, "u4")
    assert np.array_equal(ours, theirs), f"{name}: {ours.size // 2} links, and {theirs.size // 2} by Nessie"
    return row(name, sample.shape[1], f"{ours.size // 2:,}", slow, fast)


def against_scipy(options, folder, count, turns):
    dice = np.random.default_rng(3)
    side = 100 * (count / 1e4) ** (1 / 3)
    clumps = dice.uniform(0, side, (count // 40, 3))[dice.integers(0, count // 40, count // 2)]
    clumps = clumps + dice.normal(0, 0.8, clumps.shape)
    positions = np.concatenate([dice.uniform(0, side, (count - len(clumps), 3)), clumps])
    path, ours, theirs = (os.path.join(folder, part) for part in ("sample", "ours", "theirs"))
    np.concatenate([[0.2 * 100 / 1e4 ** (1 / 3)], positions.T.ravel()]).tofile(path)
    fast, slow = [], []
    for _ in range(turns):
        fast.append(kernel(options, "isotropic", path, ours))
        slow.append(peer("scipy", path, theirs))
    found = np.fromfile(ours, "u4")
    assert np.array_equal(found, np.fromfile(theirs, "u4")), "scipy finds other groups"
    groups = np.count_nonzero(np.bincount(found) > 1)
    return row("positions, one length: scipy", count, f"{groups:,} groups", slow, fast)


def row(name, count, found, slow, fast):
    (theirs, their_cpu, their_memory), (ours, cpu, memory) = (tuple(map(min, zip(*turns))) for turns in (slow, fast))
    return (f"| {name} | {count:,} | {found} | {theirs:.3g} | {ours:.3g} | {theirs / ours:,.0f} | {their_cpu:.3g}"
            f" | {cpu:.3g} | {their_memory:,.0f} | {memory:,.0f} |\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=os.path.abspath, help="the example fof, built for release")
    parser.add_argument("--fixtures", type=pathlib.Path, default=FIXTURES)
    parser.add_argument("--largest", type=int, default=6_400_000, help="galaxies of the cone that the kernel alone is given")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    rows = ["| sample | galaxies | links, all the same | peer s | kernel s | ratio | peer CPU s | kernel CPU s | peer MB | kernel MB |\n",
            "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"]

    def add(made):
        rows.append(made)
        print(made, end="", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        for name, sample in catalogues(options.fixtures):
            add(against_nessie(options, folder, f"{name}: Nessie", sample, options.turns))
        for count in (100_000, 1_000_000):
            turns = options.turns if count < 1_000_000 else 1
            add(against_nessie(options, folder, "light cone: Nessie", cone(count), turns))
        add(against_scipy(options, folder, 2_000_000, options.turns))
        path = os.path.join(folder, "sample")
        cone(options.largest).tofile(path)
        ours, cpu, memory = map(min, zip(*[kernel(options, "link", path) for _ in range(options.turns)]))
        add(f"| light cone | {options.largest:,} | | | {ours:.3g} | | | {cpu:.3g} | | {memory:,.0f} |\n")
    if options.record:
        with RESULTS.open("a") as results:
            results.write(f"\n## Friends of friends: against Nessie and scipy\n\n`python tests/bench/fof.py PROGRAM --turns {options.turns} --record`;"
                          f" {options.threads} threads each, load {load:.1f} before, best of turns: {options.turns}"
                          f" (one on a million), the kernel three times in each turn with Nessie. Demanded: the same links, 50 times as fast on a million"
                          f" galaxies, 6.4 M in 15 s and 1.5 GB.\n\n{''.join(rows)}")


if __name__ == "__main__":
    if "--as-peer" in sys.argv:
        {"nessie": nessie, "scipy": scipy}[sys.argv[1]](sys.argv[2], sys.argv[4])
    else:
        main()
