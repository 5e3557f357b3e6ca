//! What the imaging catalogue says of a target, beyond its brightness.

use super::dice::{Purpose, Seed};

/// Columns of the targeting catalogue that no spectrum depends on.
#[derive(Debug, Clone)]
pub struct Photometry {
    /// Galactic reddening.
    pub ebv: f64,
    /// Sérsic index of a galaxy.
    pub sersic: f64,
    /// Half-light radius of a galaxy.
    pub radius_arcsec: f64,
    /// Ellipticity components of a galaxy.
    pub ellipticity: [f64; 2],
    /// Proper motion of a star.
    pub proper_motion_mas_yr: [f64; 2],
    /// Parallax of a star.
    pub parallax_mas: f64,
    /// Tie breaker of fiber assignment, 0 to 1.
    pub subpriority: f64,
}

/// Draws the columns of one row.
pub fn draw(seed: Seed, row: usize) -> Photometry {
    let mut dice = seed.dice(Purpose::Photometry, row);
    Photometry {
        ebv: dice.uniform(0.03, 0.04),
        sersic: dice.uniform(0.8, 4.5),
        radius_arcsec: dice.uniform(0.3, 3.0),
        ellipticity: [dice.normal(0.0, 0.2), dice.normal(0.0, 0.2)],
        proper_motion_mas_yr: [dice.normal(0.0, 5.0), dice.normal(0.0, 5.0)],
        parallax_mas: dice.gamma(2, 0.4),
        subpriority: dice.uniform(0.0, 1.0),
    }
}
