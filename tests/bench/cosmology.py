"""Comoving distances: the table of crates/science against astropy, which integrates each.

    cargo build --release --manifest-path crates/science/Cargo.toml --example cosmology
    python tests/bench/cosmology.py target/release/examples/cosmology [--record]

Flat cosmologies of matter and Λ have to agree to 1e-8. With radiation and neutrinos astropy differs from
CLASS, whose numbers DESI uses and the crate's own tests hold: it fits the neutrinos' energy with a
formula, and its densities are made from other constants; how much it differs is shown. One thread each.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import numpy as np
from astropy.cosmology import FlatLambdaCDM

RESULTS = pathlib.Path(__file__).with_name("RESULTS.md")
# the ratio of temperatures is in Neff, as N_ur and T_ncdm of CLASS have it
DESI = FlatLambdaCDM(67.36, (0.02237 + 0.12) / 0.6736**2, Tcmb0=2.7255, Neff=3.046, m_nu=[0, 0, 0.06])
COSMOLOGIES = {
    ("0.7", "0.3"): FlatLambdaCDM(70, 0.3),
    ("0.72", "0.27"): FlatLambdaCDM(72, 0.27),
    ("0.5", "1"): FlatLambdaCDM(50, 1),
    ("desi", "desi"): DESI,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=os.path.abspath, help="the example cosmology, built for release")
    parser.add_argument("--redshifts", type=int, default=20_000)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    z = np.concatenate([np.geomspace(1e-4, 20, options.redshifts), np.arange(1, 5000) / 512])
    z = z[z < 20]
    table = "| cosmology | largest relative difference | astropy µs a redshift | table µs | ratio |\n|---|--:|--:|--:|--:|\n"
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        redshifts, out = os.path.join(folder, "z"), os.path.join(folder, "distances")
        z.tofile(redshifts)
        for words, peer in COSMOLOGIES.items():
            began = time.perf_counter()
            expected = peer.comoving_distance(z).value
            theirs = 1e6 * (time.perf_counter() - began) / z.size
            lines = subprocess.check_output([options.program, *words, redshifts, "9", out], text=True)
            ours = 1e6 * statistics.median(map(float, lines.split())) / z.size
            difference = np.abs(np.fromfile(out) / expected - 1).max()
            assert difference < (1e-4 if words[0] == "desi" else 1e-8), (words, difference)
            name = "DESI's" if words[0] == "desi" else f"h {words[0]}, Ω_m {words[1]}"
            row = f"| {name} | {difference:.1e} | {theirs:.2f} | {ours:.4f} | {theirs / ours:,.0f} |\n"
            print(row, end="", flush=True)
            table += row
    if options.record:
        with RESULTS.open("a") as results:
            results.write(f"\n## Comoving distances: against astropy\n\n`python tests/bench/cosmology.py PROGRAM --record`;"
                          f" {z.size:,} redshifts from 1e-4 to 20, one thread, load {load:.1f} before.\n\n{table}")


if __name__ == "__main__":
    main()
