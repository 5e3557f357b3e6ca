//! Boxes: parts of the sky between two parallels and two meridians.

use super::cover::{Circle, Lies};
use super::{Error, numbers};
use std::fmt;
use std::str::FromStr;

/// A box, ICRS, degrees; its sides are parallels and meridians, and part of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rectangle {
    /// Western side, from 0 to 360.
    ra_min_deg: f64,
    /// Eastern side, from the western one to 360 more.
    ra_max_deg: f64,
    dec_min_deg: f64,
    dec_max_deg: f64,
}

impl Rectangle {
    /// Checks a box. Where the first right ascension is greater than the last, or less than 0, it
    /// goes over 0; a whole turn or more is all of them.
    ///
    /// # Errors
    /// [`Error::Position`] or [`Error::Upside`].
    pub fn new(ra_deg: (f64, f64), dec_deg: (f64, f64)) -> Result<Self, Error> {
        for (ra, dec) in [(ra_deg.0, dec_deg.0), (ra_deg.1, dec_deg.1)] {
            if !ra.is_finite() || !(-90.0..=90.0).contains(&dec) {
                return Err(Error::Position(ra, dec));
            }
        }
        let (dec_min_deg, dec_max_deg) = dec_deg;
        if dec_min_deg > dec_max_deg {
            return Err(Error::Upside(dec_min_deg, dec_max_deg));
        }
        let (first, last) = ra_deg;
        let (ra_min_deg, ra_max_deg) = if last - first >= 360.0 {
            (0.0, 360.0)
        } else {
            // sides that need no turn are kept to the last digit
            let turns = 360.0 * (first / 360.0).floor();
            let past = 360.0 * ((first - last) / 360.0).ceil().max(0.0);
            let (first, last) = (first - turns, last - turns + past);
            (first, last.clamp(first, first + 360.0))
        };
        Ok(Self { ra_min_deg, ra_max_deg, dec_min_deg, dec_max_deg })
    }

    /// Whether a position (degrees, right ascension in any turn) lies in the box, sides included.
    #[must_use]
    pub fn contains(&self, ra_deg: f64, dec_deg: f64) -> bool {
        if !(self.dec_min_deg..=self.dec_max_deg).contains(&dec_deg) {
            return false;
        }
        // all meridians meet at a pole
        if dec_deg.abs() >= 90.0 {
            return true;
        }
        let ra = ra_deg.rem_euclid(360.0);
        [ra, ra + 360.0, ra - 360.0]
            .iter()
            .any(|ra| (self.ra_min_deg..=self.ra_max_deg).contains(ra))
    }

    /// Sides: first and last right ascension (degrees), the last one up to a turn farther.
    #[must_use]
    pub fn ra_deg(&self) -> (f64, f64) {
        (self.ra_min_deg, self.ra_max_deg)
    }

    /// Sides: least and greatest declination (degrees).
    #[must_use]
    pub fn dec_deg(&self) -> (f64, f64) {
        (self.dec_min_deg, self.dec_max_deg)
    }

    /// Whether every right ascension is inside.
    #[must_use]
    pub fn is_ring(&self) -> bool {
        self.ra_max_deg - self.ra_min_deg >= 360.0
    }

    /// The share of the sky inside.
    #[must_use]
    pub fn share(&self) -> f64 {
        let sine = |deg: f64| deg.to_radians().sin();
        let height = sine(self.dec_max_deg) - sine(self.dec_min_deg);
        height / 2.0 * (self.ra_max_deg - self.ra_min_deg) / 360.0
    }

    /// Length of its sides together, degrees.
    pub(super) fn perimeter_deg(&self) -> f64 {
        let widest = match self.dec_min_deg <= 0.0 && self.dec_max_deg >= 0.0 {
            true => 0.0,
            false => self.dec_min_deg.abs().min(self.dec_max_deg.abs()),
        };
        let width = (self.ra_max_deg - self.ra_min_deg) * f64::to_radians(widest).cos();
        2.0 * (width + self.dec_max_deg - self.dec_min_deg)
    }

    pub(super) fn lies(&self, circle: &Circle) -> Lies {
        let radius_deg = circle.radius.to_degrees();
        let (ra_deg, dec_deg) = circle.position_deg();
        let (south, north) = (dec_deg - radius_deg, dec_deg + radius_deg);
        if north < self.dec_min_deg || south > self.dec_max_deg {
            return Lies::Outside;
        }
        let is_level = south >= self.dec_min_deg && north <= self.dec_max_deg;
        let half = circle.half_width_deg(dec_deg);
        if self.is_ring() || half >= 180.0 {
            return if is_level && self.is_ring() { Lies::Inside } else { Lies::Across };
        }
        let spans = [-360.0, 0.0, 360.0].map(|turn| {
            let ra = ra_deg + turn;
            (ra - half, ra + half)
        });
        let (west, east) = (self.ra_min_deg, self.ra_max_deg);
        if spans.iter().all(|(first, last)| *last < west || *first > east) {
            return Lies::Outside;
        }
        let is_inside = spans.iter().any(|(first, last)| *first >= west && *last <= east);
        if is_level && is_inside { Lies::Inside } else { Lies::Across }
    }
}

impl FromStr for Rectangle {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        match numbers(text).as_deref() {
            Some([west, east, south, north]) => Self::new((*west, *east), (*south, *north)),
            _ => Err(Error::Syntax(text.to_owned(), "RA_MIN,RA_MAX,DEC_MIN,DEC_MAX, four numbers")),
        }
    }
}

impl fmt::Display for Rectangle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ra_min_deg, ra_max_deg, dec_min_deg, dec_max_deg } = self;
        write!(f, "{ra_min_deg},{ra_max_deg},{dec_min_deg},{dec_max_deg}")
    }
}
