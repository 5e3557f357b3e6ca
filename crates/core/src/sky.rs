//! The sky as HEALPix NESTED numbers of order 29, where a tile is one contiguous range.

use crate::tile::Pixel;
use cdshealpix::compass_point::Cardinal;
use cdshealpix::nested;
use std::ops::Range;

/// The deepest HEALPix order that fits an `i64`.
pub const ORDER: u8 = 29;

/// A circle on the sky, ICRS, degrees.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Cone {
    /// Right ascension of the centre.
    pub ra_deg: f64,
    /// Declination of the centre.
    pub dec_deg: f64,
    /// Radius, great-circle, at most 180.
    pub radius_deg: f64,
}

/// What makes a position or a cone impossible.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Not finite, or beyond the poles.
    #[error("position ({0}, {1}) is not on the sky: dec must lie in -90 to 90 degrees")]
    Position(f64, f64),
    /// Not a radius.
    #[error("radius {0} is not in 0 to 180 degrees")]
    Radius(f64),
    /// Not three numbers.
    #[error("'{0}' is not RA,DEC,RADIUS_DEG, three numbers in degrees")]
    Syntax(String),
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

    /// Order-29 ranges that cover the cone, sorted and apart from each other: never too little.
    #[must_use]
    pub fn ranges(&self) -> Vec<Range<i64>> {
        self.ranges_at(self.order())
    }

    /// Order of cells of about a twentieth of the radius, from tile size down to an arc second.
    fn order(&self) -> u8 {
        let wanted = (58.6 / (self.radius_deg / 20.0).max(1e-5)).log2().ceil();
        (wanted.max(0.0) as u8).clamp(Pixel::ORDER, 18)
    }

    /// The same by cells of a quarter of a degree at least: fewer ranges, fine enough to tell tiles
    /// apart.
    #[must_use]
    pub fn tile_ranges(&self) -> Vec<Range<i64>> {
        self.ranges_at(self.order().min(Pixel::ORDER + 2))
    }

    /// One order-29 range that covers the cone and as much more as there is between its ends.
    #[must_use]
    pub fn range(&self) -> Range<i64> {
        let ranges = self.ranges_at(Pixel::ORDER);
        ranges.first().map_or(0, |r| r.start)..ranges.last().map_or(0, |r| r.end)
    }

    fn ranges_at(&self, order: u8) -> Vec<Range<i64>> {
        // a hair is added: rounding must never lose a position on the edge
        let radius = (self.radius_deg.to_radians() + 1e-9).min(std::f64::consts::PI);
        let cover = nested::cone_coverage_approx(
            order,
            self.ra_deg.to_radians(),
            self.dec_deg.to_radians(),
            radius,
        );
        let mut ranges: Vec<Range<i64>> = Vec::new();
        for cell in cover.into_iter() {
            let next = range_of(cell.depth, cell.hash);
            match ranges.last_mut() {
                Some(last) if last.end == next.start => last.end = next.end,
                _ => ranges.push(next),
            }
        }
        ranges
    }
}

impl std::str::FromStr for Cone {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let numbers: Vec<f64> = text
            .split(',')
            .map(|n| n.trim().parse().map_err(|_| Error::Syntax(text.to_owned())))
            .collect::<Result<_, _>>()?;
        match numbers[..] {
            [ra, dec, radius] => Self::new(ra, dec, radius),
            _ => Err(Error::Syntax(text.to_owned())),
        }
    }
}

/// The order-29 numbers inside a cell.
#[must_use]
pub fn range_of(order: u8, cell: u64) -> Range<i64> {
    let shift = 2 * u32::from(ORDER - order);
    ((cell << shift) as i64)..(((cell + 1) << shift) as i64)
}

/// The corners and edge points of a cell (degrees), in order around it, `segments` a side.
#[must_use]
pub fn outline(order: u8, cell: u64, segments: u32) -> Vec<(f64, f64)> {
    let path = nested::path_along_cell_edge(order, cell, &Cardinal::S, false, segments.max(1));
    path.iter().map(|(lon, lat)| (lon.to_degrees(), lat.to_degrees())).collect()
}

/// The centre of a cell (degrees).
#[must_use]
pub fn centre(order: u8, cell: u64) -> (f64, f64) {
    let (lon, lat) = nested::center(order, cell);
    (lon.to_degrees(), lat.to_degrees())
}

/// The area of one cell in square degrees; all cells of an order have the same.
#[must_use]
pub fn cell_area_deg2(order: u8) -> f64 {
    let sphere = 4.0 * std::f64::consts::PI * 1f64.to_degrees().powi(2);
    sphere / (12u64 << (2 * u32::from(order))) as f64
}

/// The order-29 number of a position (degrees); `None` where it is not a finite point of the sky.
#[must_use]
pub fn healpix_29(ra_deg: f64, dec_deg: f64) -> Option<i64> {
    if !ra_deg.is_finite() || !(-90.0..=90.0).contains(&dec_deg) {
        return None;
    }
    Some(nested::hash(ORDER, ra_deg.to_radians(), dec_deg.to_radians()) as i64)
}

/// The position (right ascension, declination; degrees) of the centre of an order-29 cell.
///
/// # Panics
/// For a number outside of `0..12 << 58`, which is no cell.
#[must_use]
pub fn centre_of(cell: i64) -> (f64, f64) {
    let (ra, dec) = nested::center(ORDER, cell.cast_unsigned());
    (ra.to_degrees(), dec.to_degrees())
}

/// The tile's pixel of a position (degrees).
#[must_use]
pub fn pixel_of(ra_deg: f64, dec_deg: f64) -> Option<Pixel> {
    let deep = healpix_29(ra_deg, dec_deg)?;
    Pixel::new(deep >> (2 * (ORDER - Pixel::ORDER))).ok()
}

/// Great-circle separation in degrees, accurate at all distances (Vincenty).
#[must_use]
pub fn separation_deg(ra1: f64, dec1: f64, ra2: f64, dec2: f64) -> f64 {
    let (sin1, cos1) = dec1.to_radians().sin_cos();
    let (sin2, cos2) = dec2.to_radians().sin_cos();
    let (sin_d, cos_d) = (ra2 - ra1).to_radians().sin_cos();
    let across = (cos2 * sin_d).hypot(cos1 * sin2 - sin1 * cos2 * cos_d);
    across.atan2(sin1 * sin2 + cos1 * cos2 * cos_d).to_degrees()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cover_holds_every_position_of_its_cone() {
        let mut seed = 7u64;
        let mut random = || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 11) as f64 / (1u64 << 53) as f64
        };
        for _ in 0..400 {
            let cone = Cone::new(
                random() * 360.0,
                (2.0 * random() - 1.0).asin().to_degrees(),
                10f64.powf(random() * 5.0 - 3.0).min(180.0),
            )
            .expect("a cone");
            let ranges = cone.ranges();
            for _ in 0..50 {
                let dec =
                    (cone.dec_deg + (random() - 0.5) * 2.2 * cone.radius_deg).clamp(-90.0, 90.0);
                let stretch = 1.0 / dec.to_radians().cos().max(1e-3);
                let ra = cone.ra_deg + (random() - 0.5) * 2.2 * cone.radius_deg * stretch;
                if cone.contains(ra, dec) {
                    let deep = healpix_29(ra.rem_euclid(360.0), dec).expect("on the sky");
                    assert!(
                        ranges.iter().any(|r| r.contains(&deep)),
                        "{cone:?} lost ({ra}, {dec})"
                    );
                }
            }
        }
    }

    #[test]
    fn no_position_has_no_number() {
        assert_eq!(healpix_29(f64::NAN, 0.0), None);
        assert_eq!(healpix_29(0.0, 90.1), None);
        assert!(healpix_29(-10.0, 0.0).is_some());
    }
}
