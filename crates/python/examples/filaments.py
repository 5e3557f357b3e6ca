"""Does star formation drop near filaments at fixed density? Mocks in which it does, and in which it does not.

    python filaments.py [--json] [--plot web.png]

Galaxies in dense places form fewer stars, and places near filaments are dense: near and far galaxies differ whether
filaments do anything or not. Compared among galaxies of the same density, only what filaments do should remain. So it
does where star formation follows the measured (DTFE) density, as in the first two mocks. In the third it follows the
density that the galaxies were drawn from, and what the measurement of density misses passes for filaments' doing.
"""

import argparse
import json

import numpy as np

from bifrost import science

BOX = 120.0  # Mpc, as are all lengths
SIDE, JITTER = 3, 0.25  # nodes in a lattice, displaced by up to a part of its spacing; neighbours are joined
NODE_SIZE, GROUPS, GROUP_SIZE, CLUMP_WIDTH = 80, 100, 40, 1.5  # galaxies at nodes, and in groups away from the web
PER_MPC, LINE_WIDTH = 5.0, 1.0  # galaxies along filaments, and their scatter about them
FIELD = 4000
SLOPE, SCATTER = -0.3, 0.3  # dex of specific star formation rate by dex of density; dex
EFFECT, REACH = -0.2, 2.0  # planted: dex on a filament, and the distance in which it falls by e
NEAR, FAR, BIN = 1.5, 5.0, 0.1  # BIN: dex of density
RESAMPLES, CUBES = 200, 6  # the bootstrap draws cubes, 6 to a side, as one wrong filament errs for many galaxies


def web(dice):
    """Galaxies, both ends of the filaments that they were planted along, and the density that they were drawn from."""
    lattice = np.stack(np.meshgrid(*3 * [np.arange(SIDE)], indexing="ij"), axis=-1).reshape(-1, 3)
    nodes = (lattice + dice.uniform(0.5 - JITTER, 0.5 + JITTER, lattice.shape)) * BOX / SIDE
    joined = np.nonzero(np.triu(np.abs(lattice[:, None] - lattice).sum(axis=2) == 1))
    lines = nodes[np.stack(joined, axis=1)]
    clumps = np.concatenate([nodes, dice.uniform(0, BOX, (GROUPS, 3))])
    sizes = np.repeat([NODE_SIZE, GROUP_SIZE], [len(nodes), GROUPS])
    numbers = np.round(PER_MPC * np.linalg.norm(lines[:, 1] - lines[:, 0], axis=1)).astype(int)
    on = np.repeat(lines, numbers, axis=0)
    on = on[:, 0] + dice.random((len(on), 1)) * (on[:, 1] - on[:, 0])
    on += dice.normal(0, LINE_WIDTH, on.shape)
    within = np.repeat(clumps, sizes, axis=0)
    within += dice.normal(0, CLUMP_WIDTH, within.shape)
    positions = np.concatenate([on, within, dice.uniform(0, BOX, (FIELD, 3))])
    positions = positions[((positions > 0) & (positions < BOX)).all(axis=1)]

    density = np.full(len(positions), FIELD / BOX**3)
    for line in lines:
        away = science.distance(positions, line[None]) / LINE_WIDTH
        density += PER_MPC / (2 * np.pi * LINE_WIDTH**2) * np.exp(-(away**2) / 2)
    for clump, size in zip(clumps, sizes, strict=True):
        away = np.linalg.norm(positions - clump, axis=1) / CLUMP_WIDTH
        density += size / (2 * np.pi * CLUMP_WIDTH**2) ** 1.5 * np.exp(-(away**2) / 2)
    return positions, lines, density


class Comparison:
    """Near with far galaxies: of all densities, and within narrow bins of it."""

    def __init__(self, positions, log_density, is_near, is_far):
        self.chosen, self.is_near = np.flatnonzero(is_near | is_far), is_near[is_near | is_far]
        self.bins = np.floor((log_density[self.chosen] - log_density[self.chosen].min()) / BIN).astype(int)
        x, y, z = np.floor(positions[self.chosen] / BOX * CUBES).astype(int).T
        self.cubes = (x * CUBES + y) * CUBES + z

    def once(self, values, weights):
        length = self.bins.max() + 1
        counts, sums = (
            [np.bincount(self.bins, what * side, length) for side in (self.is_near, ~self.is_near)]
            for what in (weights, weights * values)
        )
        naive = sums[0].sum() / counts[0].sum() - sums[1].sum() / counts[1].sum()
        # with the same scatter everywhere, a bin's difference has the inverse variance near * far / (near + far)
        both = (counts[0] > 0) & (counts[1] > 0)
        near, far = counts[0][both], counts[1][both]
        within = sums[0][both] / near - sums[1][both] / far
        return naive, np.average(within, weights=near * far / (near + far))

    def differences(self, values):
        """Naive and at fixed density: mean of near less mean of far galaxies."""
        return self.once(values[self.chosen], np.ones(len(self.chosen)))

    def errors(self, values):
        dice = np.random.default_rng(1)
        draws = (np.bincount(dice.integers(0, CUBES**3, CUBES**3), minlength=CUBES**3) for _ in range(RESAMPLES))
        return np.std([self.once(values[self.chosen], draw[self.cubes]) for draw in draws], axis=0)


def plot(path, positions, found, distance, rates, compare):
    import matplotlib.pyplot as plt
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
    is_in = np.abs(positions[:, 2] - BOX / 2) < 10
    left.plot(*positions[is_in, :2].T, ",", color="0.5")
    for piece in found.segments[(np.abs(found.segments[..., 2] - BOX / 2) < 10).all(axis=1)]:
        left.plot(*piece[:, :2].T, color="C3", lw=1)
    left.set(xlabel="x (Mpc)", ylabel="y (Mpc)", aspect="equal", title="A slice of 20 Mpc, with the filaments found")
    low, high = np.array([0, 0.5, 1, 1.5, 2, 3, 4]), np.array([0.5, 1, 1.5, 2, 3, 4, 5])
    rings = [compare((distance >= inner) & (distance < outer)) for inner, outer in zip(low, high, strict=True)]
    for name, rate in rates.items():
        shown = [(ring.differences(rate)[1], ring.errors(rate)[1]) for ring in rings]
        right.errorbar((low + high) / 2, *np.transpose(shown), fmt="o", ms=4, label=name)
    along = np.linspace(0, 5, 100)
    right.plot(along, EFFECT * np.exp(-along / REACH), color="0.5", label="planted")
    right.set(xlabel="distance to a filament (Mpc)", ylabel="Δ log sSFR at fixed density (dex)")
    right.legend()
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print numbers")
    parser.add_argument("--plot", metavar="FILE", help="draw a slice and the relation")
    options = parser.parse_args()
    dice = np.random.default_rng(6)
    positions, lines, true_density = web(dice)
    found = science.skeleton(positions, sigmas=5)
    distance, true_distance = science.distance(positions, found.segments), science.distance(positions, lines)
    inside = ~found.boundary
    log_density = np.log10(found.density, where=inside, out=np.zeros(len(positions)))
    effect = EFFECT * np.exp(-true_distance / REACH)
    scatter = dice.normal(-10, SCATTER, (3, len(positions)))
    rates = {
        "filaments suppress": SLOPE * log_density + effect + scatter[0],
        "filaments do nothing": SLOPE * log_density + scatter[1],
        "nothing, density drawn": SLOPE * np.log10(true_density) + scatter[2],
    }

    def compare(is_near, away=distance):
        return Comparison(positions, log_density, inside & is_near, inside & (away > FAR))

    seen, known = compare(distance < NEAR), compare(true_distance < NEAR, true_distance)
    answer = {"galaxies": len(positions), "near": int(seen.is_near.sum()), "far": int((~seen.is_near).sum())}
    answer |= {"planted": known.differences(effect)[1], "planted_as_found": seen.differences(effect)[1], "mocks": {}}
    for name, rate in rates.items():
        (naive, fixed), (naive_error, fixed_error) = seen.differences(rate), seen.errors(rate)
        answer["mocks"][name] = dict(naive=naive, naive_error=naive_error, fixed=fixed, fixed_error=fixed_error)
    if options.plot:
        plot(options.plot, positions, found, distance, rates, compare)
    if options.json:
        print(json.dumps(answer, indent=2))
    else:
        print("{galaxies} galaxies, {near} near a filament and {far} far from any".format(**answer))
        print("near less far, dex      all densities      at fixed density")
        for name, row in answer["mocks"].items():
            print("{:22}  {naive:+.3f} ± {naive_error:.3f}     {fixed:+.3f} ± {fixed_error:.3f}".format(name, **row))
        print("planted {planted:+.3f}, and {planted_as_found:+.3f} by the filaments found".format(**answer))


if __name__ == "__main__":
    main()
