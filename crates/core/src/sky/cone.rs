//! Circles.

use super::cover::{Circle, Lies, cover, reach};
use super::vector::{chord2, chord2_of, vector};
use super::{Error, ORDER, numbers, separation_deg};
use crate::tile::Pixel;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// A circle on the sky, ICRS, degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cone {
    /// Right ascension of the centre.
    pub ra_deg: f64,
    /// Declination of the centre.
    pub dec_deg: f64,
    /// Radius, great-circle, at most 180.
    pub radius_deg: f64,
}

impl Cone {
    /// Checks a cone; the right ascension may have any number of turns.
    ///
    /// # Errors
    /// [`Error::Position`] or [`Error::Radius`].
    pub fn new(ra_deg: f64, dec_deg: f64, radius_deg: f64) -> Result<Self, Error> {
        if !ra_deg.is_finite() || !(-90.0..=90.0).contains(&dec_deg) {
            return Err(Error::Position(ra_deg, dec_deg));
        }
        if !(0.0..=180.0).contains(&radius_deg) {
            return Err(Error::Radius(radius_deg));
        }
        Ok(Self { ra_deg: ra_deg.rem_euclid(360.0), dec_deg, radius_deg })
    }

    /// Whether a position (degrees) lies in the cone, edge included.
    #[must_use]
    pub fn contains(&self, ra_deg: f64, dec_deg: f64) -> bool {
        separation_deg(self.ra_deg, self.dec_deg, ra_deg, dec_deg) <= self.radius_deg
    }

    /// The cone around a box of positions (degrees, ends included); `None` where there is none or
    /// the box is larger than a hemisphere.
    #[must_use]
    pub fn around(ra_deg: (f64, f64), dec_deg: (f64, f64)) -> Option<Self> {
        let width = ra_deg.1 - ra_deg.0;
        let middle = |(min, max): (f64, f64)| min + (max - min) / 2.0;
        let mut cone = Self::new(middle(ra_deg), middle(dec_deg), 0.0).ok()?;
        // the farthest position of a box that is not too wide is one of its corners
        for dec in [dec_deg.0, dec_deg.1] {
            let reach = separation_deg(0.0, cone.dec_deg, width / 2.0, dec);
            cone.radius_deg = cone.radius_deg.max(reach);
        }
        let is_sound = (0.0..=180.0).contains(&width)
            && dec_deg.0 <= dec_deg.1
            && dec_deg.0 >= -90.0
            && dec_deg.1 <= 90.0;
        (is_sound && cone.radius_deg <= 90.0).then_some(cone)
    }

    /// One order-29 range that covers the cone and as much more as there is between its ends.
    #[must_use]
    pub fn range(&self) -> Range<i64> {
        let ranges = cover(Pixel::ORDER, &self.lies());
        ranges.first().map_or(0, |r| r.start)..ranges.last().map_or(0, |r| r.end)
    }

    /// The share of the sky inside.
    #[must_use]
    pub fn share(&self) -> f64 {
        (1.0 - self.radius_deg.to_radians().cos()) / 2.0
    }

    pub(super) fn lies(&self) -> impl Fn(&Circle) -> Lies {
        let centre = vector((self.ra_deg, self.dec_deg));
        let radius = self.radius_deg.to_radians();
        // of cells of each order: what is farther is outside, what is nearer is inside
        let ends: [(f64, f64); ORDER as usize + 1] = std::array::from_fn(|order| {
            let reach = reach(order as u8);
            let near = if radius > reach { chord2_of(radius - reach) } else { 0.0 };
            (chord2_of(radius + reach), near)
        });
        move |circle| {
            let apart = chord2(centre, circle.centre);
            match ends[usize::from(circle.order)] {
                (far, _) if apart > far => Lies::Outside,
                (_, near) if apart < near => Lies::Inside,
                _ => Lies::Across,
            }
        }
    }
}

impl FromStr for Cone {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        match numbers(text).as_deref() {
            Some([ra, dec, radius]) => Self::new(*ra, *dec, *radius),
            _ => Err(Error::Syntax(text.to_owned(), "RA,DEC,RADIUS_DEG, three numbers")),
        }
    }
}

impl fmt::Display for Cone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{}", self.ra_deg, self.dec_deg, self.radius_deg)
    }
}
