"""Single spectra, as numpy arrays."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from bifrost import _bifrost
from bifrost._rows import whole as whole_number


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A spectrum: its arms one after another, b, r, z, which overlap; or coadded, on one grid."""

    about: dict[str, Any]
    """What the catalog knows: release, survey, program, healpix, ra, dec, z, spectype, file, …"""
    wavelength: np.ndarray
    """Å, vacuum."""
    flux: np.ndarray
    """10⁻¹⁷ erg/s/cm²/Å."""
    ivar: np.ndarray
    """Inverse variance of the flux; 0: no data."""
    mask: np.ndarray
    """Mask bits; 0: good."""

    @classmethod
    def _of(cls, told: tuple[Any, ...]) -> Spectrum:
        about, *pixels = told
        return cls(json.loads(about), *pixels)

    def __repr__(self) -> str:
        about = self.about
        return (
            f"<bifrost.Spectrum of {self.target_id}, {about['survey']} {about['program']}:"
            f" {about['spectype']} at z = {about['z']}, {len(self.flux)} pixels>"
        )

    @property
    def target_id(self) -> int:
        """TARGETID."""
        return self.about["target_id"]

    @property
    def z(self) -> float | None:
        """Redshift of the best fit."""
        return self.about["z"]

    @property
    def good(self) -> np.ndarray:
        """Which pixels are to be used: ivar above 0, no mask bit."""
        return (self.ivar > 0) & (self.mask == 0)

    def coadded(self) -> Spectrum:
        """On the survey's grid: 7,781 pixels of 0.8 Å from 3600 Å, overlaps weighted by ivar."""
        pixels = _bifrost.coadd(self.wavelength, self.flux, self.ivar, self.mask)
        return Spectrum(self.about, _bifrost.grid(), *pixels)

    def lines(self) -> list[tuple[str, float, bool]]:
        """Name, observed wavelength (Å) and whether it is of emission, of the lines in its range."""
        if self.z is None or not len(self.wavelength):
            return []
        return _bifrost.line_marks(self.z, float(self.wavelength.min()), float(self.wavelength.max()))

    def plot(self, axes: Any = None, *, smooth: int = 9) -> Any:
        """Draws flux, its running mean over `smooth` pixels, its error, and lines at its redshift.

        axes: of matplotlib; new ones by default. Returns them.
        """
        import matplotlib.pyplot as plt

        whole = self if np.all(np.diff(self.wavelength) > 0) else self.coadded()
        if axes is None:
            axes = plt.subplots(figsize=(11, 4))[1]
        good = whole.good
        weight = np.where(good, whole.ivar, 0.0)
        window = np.ones(min(whole_number("smooth", smooth, 1), len(good)))
        total = np.convolve(weight, window, "same")
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.convolve(weight * whole.flux, window, "same") / total
            error = 1 / np.sqrt(np.where(good, whole.ivar, np.nan))
        axes.plot(whole.wavelength, np.where(good, whole.flux, np.nan), color="0.8", lw=0.5)
        axes.plot(whole.wavelength, error, color="tab:orange", lw=0.5, alpha=0.7, label="error")
        axes.plot(whole.wavelength, mean, color="black", lw=0.8, label=f"flux, mean of {smooth} pixels")
        shown = mean[np.isfinite(mean)]
        if len(shown):
            low, high = np.percentile(shown, [0.1, 99.9])
            margin = 0.15 * max(high - low, 1e-3)
            axes.set_ylim(low - margin, high + 2 * margin)
        else:
            axes.text(0.5, 0.5, "no good pixel", transform=axes.transAxes, ha="center")
        room = 0.015 * (whole.wavelength[-1] - whole.wavelength[0])
        named: tuple[str, float] = ("", -np.inf)
        for name, at, is_emission in self.lines():
            axes.axvline(at, color="tab:blue" if is_emission else "tab:red", lw=0.5, ls=":")
            if name != named[0] or at - named[1] > room:
                axes.text(at, 1.01, name, transform=axes.get_xaxis_transform(), rotation=90, fontsize=7, ha="center")
                named = name, at
        axes.set_xlabel("wavelength, Å (vacuum)")
        axes.set_ylabel("flux, 10⁻¹⁷ erg s⁻¹ cm⁻² Å⁻¹")
        z = "unknown" if self.z is None else f"{self.z:.4f}"
        axes.set_title(f"{self.target_id} · {self.about['spectype']} · z = {z}", pad=38)
        axes.legend(loc="upper right", frameon=False, fontsize=8)
        return axes
