"""Spectra as tokens, in plain vectorised numpy: what the kernel of Rust is compared with.

The definition is that of crates/science/src/tokens.rs; all is in f32 but the positions. Run as a
program, it writes the values that the tests of Rust read:

    python tests/python/tokens_reference.py > crates/science/src/tokens/golden.txt
"""

import warnings

import numpy as np

WAVELENGTH = 3600 + 0.8 * np.arange(7781)  # the coadded grid, Å
MEDIAN_FLOOR = np.float32(0.01)
IVAR_FLOOR = np.float32(1e-8)
FLOORED, NEGATIVE, EMPTY = 1, 2, 4


def median(flux, good):
    """Medians over the good pixels of each row, NaN where there are none. Bad ones are sorted behind,
    and the middle two of the rest averaged: three times as fast as `nanmedian`."""
    count = good.sum(axis=1)
    ordered = np.sort(np.where(good, flux, np.float32(np.inf)), axis=1)
    middle = np.stack([np.maximum(count - 1, 0) // 2, np.minimum(count // 2, flux.shape[1] - 1)], axis=1)
    lower, upper = np.take_along_axis(ordered, middle, axis=1).T
    return np.where(count > 0, (lower + upper) / np.float32(2), np.float32(np.nan))


def nanmedian(flux, good):
    """As `median`, by the function that numpy has for it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # rows without a good pixel
        return np.nanmedian(np.where(good, flux, np.float32(np.nan)), axis=1)


def tokens(flux, ivar, patch, median=median):
    """Tokens (rows, patches, 2·patch), mask (rows, patches), median and flag (rows) of spectra."""
    rows, pixels = flux.shape
    good = np.isfinite(flux) & np.isfinite(ivar) & (ivar > 0)
    level = median(flux, good)
    empty = ~good.any(axis=1)
    floored = np.abs(level) < MEDIAN_FLOOR
    factor = (1 / np.where(empty, np.float32(1), np.maximum(np.abs(level), MEDIAN_FLOOR)))[:, None]
    patches = -(-pixels // patch)
    filled = ((0, 0), (0, patches * patch - pixels))
    good = np.pad(good, filled)
    flux = np.where(good, np.pad(flux, filled), np.float32(0)) * factor
    ivar = np.where(good, np.pad(ivar, filled), np.float32(0))
    sigma = factor / np.sqrt(np.maximum(ivar, IVAR_FLOOR))
    shape = (rows, patches, patch)
    made = np.concatenate([flux.reshape(shape), sigma.reshape(shape)], axis=2)
    masked = (~good).reshape(shape).sum(axis=2) > patch // 2
    flag = FLOORED * floored + NEGATIVE * (level < 0) + EMPTY * empty
    return made, masked, level, flag.astype(np.uint8)


def positions(wavelength, patch, dim):
    """Encodings (patches, dim): sines, then cosines; computed in f64."""
    omega = 2 * np.pi / np.geomspace(1e6, 0.1, dim // 2)
    phase = wavelength[:, None] * omega
    waves = np.concatenate([np.sin(phase), np.cos(phase)], axis=1)
    starts = np.arange(0, len(wavelength), patch)
    sums = np.add.reduceat(waves, starts, axis=0)
    return (sums / np.diff([*starts, len(wavelength)])[:, None]).astype("f4")


def mock(rows, pixels, seed):
    """Spectra of every sort: bright, faint, negative, with bad pixels, with no others."""
    dice = np.random.default_rng(seed)
    level, noise = np.array([[5, 1], [0.005, 0.1], [-2, 1], [-0.005, 0.1], [40, 9]]).T[..., np.arange(rows) % 5]
    flux = level[:, None] + noise[:, None] * dice.normal(size=(rows, pixels))
    ivar = noise[:, None] ** -2 * dice.uniform(0.1, 2, size=(rows, pixels))
    kind = dice.integers(0, 60, size=(rows, pixels))
    kind[np.arange(rows) % 6 == 5] = 0
    kind[np.arange(rows) % 3 == 1, pixels // 7 : pixels // 4] = 0
    for which, (bad_flux, bad_ivar) in enumerate([(0, 0), (3, 0), (3, -1), (np.nan, 1), (1, np.nan), (1, 1e-12)]):
        flux[kind == which], ivar[kind == which] = bad_flux, bad_ivar
    return flux.astype("f4"), ivar.astype("f4")


def golden():
    """Lines of a name and its values, each such that it is read back to the last bit."""
    flux, ivar = mock(6, 70, seed=5)
    yield "flux", flux
    yield "ivar", ivar
    for patch in (32, 64):
        for name, values in zip(("tokens", "masked", "median", "flag"), tokens(flux, ivar, patch)):
            yield f"{name}_{patch}", values.astype(float if values.dtype == bool else values.dtype)
        yield f"positions_{patch}", positions(WAVELENGTH, patch, 16)[::20]


if __name__ == "__main__":
    print("# made by tests/python/tokens_reference.py; do not edit")
    for name, values in golden():
        print(name, *(f"{value:.9g}" for value in values.ravel()))
