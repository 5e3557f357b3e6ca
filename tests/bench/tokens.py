"""Spectra as tokens: the kernel of crates/science, and the Python package, against vectorised numpy, on one core.

    cargo build --release --manifest-path crates/science/Cargo.toml --example tokens
    python tests/bench/tokens.py target/release/examples/tokens

The package is measured where it can be imported (of a release build).

Both make the same tokens of the same spectra in memory, which is checked bit by bit: 7,781 pixels on the
coadded grid, 1 % of them bad, from f32 arrays into f32 arrays. They run in turns on the same core, which
both are bound to; the time is that of a pass within the running program, and the median of passes is
shown. numpy is timed twice: with np.nanmedian, which is how one writes it, and with the fastest way to a
median of good pixels that was found, which is a sort of all rows at once. numpy and the package make their
arrays anew in each pass, while those of the pass before are still there, as in a loop over batches; the kernel
writes into the same ones.
"""

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "python"))
import tokens_reference as reference  # noqa: E402

try:
    import bifrost.science as package
except ImportError:
    package = None


def spectra(rows, seed=1):
    """Smooth spectra of galaxies' brightness with noise, flux and ivar."""
    dice = np.random.default_rng(seed)
    wave, pixels = reference.WAVELENGTH, reference.WAVELENGTH.size
    shape = 1 + 0.3 * np.sin(wave / 900 + dice.normal(size=(rows, 1)))
    flux = np.exp(dice.normal(size=(rows, 1))) * shape + 0.7 * dice.normal(size=(rows, pixels))
    ivar = dice.uniform(0.5, 3, (rows, pixels))
    bad = dice.random((rows, pixels)) < 0.01
    flux[bad] = ivar[bad] = 0
    return flux.astype("f4"), ivar.astype("f4")


def kernel(program, path, patch, passes, out="-"):
    """Seconds of each pass."""
    command = [program, path, str(patch), "1", str(passes), out]
    return [float(line) for line in subprocess.check_output(command).split()]


def timed(make, passes=1):
    """Seconds of each pass; what a pass made stays until the next has made its own."""
    took, made = [], None
    for _ in range(passes):
        began = time.perf_counter()
        made = make()
        took.append(time.perf_counter() - began)
    del made
    return took


def is_the_same(program, path, out, flux, ivar, patch):
    """What the kernel makes is what numpy makes."""
    kernel(program, path, patch, 1, out)
    tokens, masked, median, flag = reference.tokens(flux, ivar, patch)
    expected = np.concatenate([part.ravel().astype("f4") for part in (tokens, median, flag, masked)])
    return np.array_equal(np.fromfile(out, "f4"), expected, equal_nan=True)


def compare(program, folder, rows, patch, turns):
    flux, ivar = spectra(rows)
    path, out = str(Path(folder) / "spectra"), str(Path(folder) / "tokens")
    np.concatenate([flux, ivar]).tofile(path)
    assert is_the_same(program, path, out, flux, ivar, patch), "numpy makes other tokens"
    passes = max(3, 2000 // rows)
    ways = {
        "kernel": lambda: kernel(program, path, patch, passes),
        "sort": lambda: timed(lambda: reference.tokens(flux, ivar, patch, reference.median)),
        "nanmedian": lambda: timed(lambda: reference.tokens(flux, ivar, patch, reference.nanmedian)),
    }
    if package:
        ways["package"] = lambda: timed(lambda: package.tokens(flux, ivar, patch, threads=1), passes)
    took = {name: [] for name in ways}
    for _ in range(turns):
        for name, way in ways.items():
            took[name] += way()
    return {name: 1e6 * statistics.median(times) / rows for name, times in took.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the example tokens, built for release")
    parser.add_argument("--rows", type=int, nargs="+", default=[16, 64, 256, 1024])
    parser.add_argument("--turns", type=int, default=9)
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print("| spectra | patch | kernel µs a spectrum | package | numpy, sorting | numpy, nanmedian | kernel is | package is |")
    print("|--:|--:|--:|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        for rows in options.rows:
            for patch in (32, 64):
                took = compare(os.path.abspath(options.program), folder, rows, patch, options.turns)
                times = f"{took['kernel']:.1f} | {took.get('package', math.nan):.1f} | {took['sort']:.0f} | {took['nanmedian']:.0f}"
                ratios = " | ".join(f"{took['sort'] / took.get(name, math.nan):.1f} ×" for name in ("kernel", "package"))
                print(f"| {rows} | {patch} | {times} | {ratios} |", flush=True)


if __name__ == "__main__":
    main()
