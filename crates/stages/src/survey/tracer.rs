//! Tracers: galaxies of one kind, which sample the density field with one n(z) and one bias. Each,
//! in each cap, is a survey of its own.

use serde::{Deserialize, Serialize};
use std::fmt;

/// North galactic pole (J2000, degrees).
const POLE: (f64, f64) = (192.859_48, 27.128_25);

/// A kind of galaxies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tracer {
    /// What it is called.
    pub name: String,
    /// Which rows belong to it, in SQL; a row of two tracers belongs to the first.
    #[serde(rename = "where")]
    pub condition: String,
}

/// A side of the Milky Way: DESI observes two separate pieces of sky.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cap {
    /// Galactic latitude 0 and above.
    Ngc,
    /// Below.
    Sgc,
}

impl Tracer {
    /// Those of the main survey: the bright galaxy survey, and the luminous red and emission line
    /// galaxies of the dark program, in the redshifts that they sample well.
    #[must_use]
    pub fn of_main() -> Vec<Self> {
        let tracer = |name: &str, program: &str, z: &str| Self {
            name: name.to_owned(),
            condition: format!(
                "survey = 'main' AND program = '{program}' AND spectype = 'GALAXY' AND zwarn = 0 AND {z}"
            ),
        };
        vec![
            tracer("bright", "bright", "z BETWEEN 0.01 AND 0.6"),
            tracer("dark", "dark", "z BETWEEN 0.1 AND 1.6"),
        ]
    }
}

impl Cap {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ngc, Self::Sgc];

    /// The cap of a position (ICRS, degrees).
    #[must_use]
    pub fn of(ra_deg: f64, dec_deg: f64) -> Self {
        let (pole_ra, pole_dec) = (POLE.0.to_radians(), POLE.1.to_radians());
        let (ra, dec) = (ra_deg.to_radians(), dec_deg.to_radians());
        let height = dec.sin() * pole_dec.sin() + dec.cos() * pole_dec.cos() * (ra - pole_ra).cos();
        if height >= 0.0 { Self::Ngc } else { Self::Sgc }
    }
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ngc => "ngc",
            Self::Sgc => "sgc",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_galactic_plane_parts_the_caps() {
        assert_eq!(Cap::of(180.0, 30.0), Cap::Ngc);
        assert_eq!(Cap::of(10.0, 0.0), Cap::Sgc);
        // the galactic centre lies in the plane, half a degree aside on either side of it
        let (ra, dec) = (266.405, -28.936);
        assert_ne!(Cap::of(ra - 0.5, dec), Cap::of(ra + 0.5, dec));
    }
}
