//! Where on the sky a sample was looked for: the tiles' pixels (nside 64) that hold any of it.

use super::Sample;
use bifrost_core::sky;
use bifrost_core::tile::Pixel;
use bifrost_science::cosmology::direction;
use bifrost_science::distance::Segments;
use rand::{Rng, RngExt};
use std::collections::BTreeSet;
use std::f64::consts::PI;

/// Pieces that a side of a pixel is drawn with.
const PIECES: u32 = 8;
/// How far beyond its middle a piece is looked at, by the way from the pixel's centre.
const BEYOND: f64 = 0.02;

/// Pixels of the sky.
#[derive(Debug, Clone, Default)]
pub struct Mask {
    pixels: Vec<Pixel>,
}

/// Where a mask ends.
#[derive(Debug, Clone, Default)]
pub struct Edges(Segments);

impl Mask {
    /// The pixels of the tiles that a sample is from.
    #[must_use]
    pub fn of(sample: &Sample) -> Self {
        let tiles = sample.tile.iter().filter_map(|tile| sample.tiles.get(*tile as usize));
        let pixels: BTreeSet<Pixel> = tiles.map(|tile| tile.pixel).collect();
        Self { pixels: pixels.into_iter().collect() }
    }

    /// Its solid angle, steradian.
    #[must_use]
    pub fn area_sr(&self) -> f64 {
        self.pixels.len() as f64 * 4.0 * PI / f64::from(Pixel::COUNT)
    }

    /// A position in it (degrees), each as likely as any other of the same area. None of an empty mask.
    pub fn random(&self, dice: &mut impl Rng) -> Option<(f64, f64)> {
        let pixel = self.pixels.get(dice.random_range(0..self.pixels.len().max(1)))?;
        let cells = sky::range_of(Pixel::ORDER, u64::from(pixel.get()));
        Some(sky::centre_of(dice.random_range(cells)))
    }

    /// Its edges: the sides of pixels beyond which no pixel of it lies.
    #[must_use]
    pub fn edges(&self) -> Edges {
        let mut pieces = Vec::new();
        for pixel in &self.pixels {
            let cell = u64::from(pixel.get());
            let (ra, dec) = sky::centre(Pixel::ORDER, cell);
            let centre = direction(ra, dec);
            let corners = sky::outline(Pixel::ORDER, cell, PIECES);
            let corners: Vec<[f64; 3]> =
                corners.iter().map(|(ra, dec)| direction(*ra, *dec)).collect();
            let next = corners.iter().cycle().skip(1);
            for (from, to) in corners.iter().zip(next) {
                let beyond = |k: usize| {
                    let middle = 0.5 * (from[k] + to[k]);
                    middle + BEYOND * (middle - centre[k])
                };
                if !self.holds([0, 1, 2].map(beyond)) {
                    pieces.push([*from, *to]);
                }
            }
        }
        // directions are finite, and no sky has 2³² sides
        Edges(Segments::new(&pieces).unwrap_or_default())
    }

    fn holds(&self, [x, y, z]: [f64; 3]) -> bool {
        let ra = y.atan2(x).to_degrees().rem_euclid(360.0);
        let dec = z.atan2(x.hypot(y)).to_degrees();
        sky::pixel_of(ra, dec).is_some_and(|pixel| self.pixels.binary_search(&pixel).is_ok())
    }
}

impl Edges {
    /// Angle (radian) from a position to the nearest edge; half a turn where there is none.
    #[must_use]
    pub fn angle(&self, ra_deg: f64, dec_deg: f64) -> f64 {
        let nearest = self.0.nearest(direction(ra_deg, dec_deg));
        nearest.map_or(PI, |nearest| 2.0 * (0.5 * nearest.distance).min(1.0).asin())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn mask(pixels: &[i64]) -> Mask {
        let mut pixels: Vec<Pixel> =
            pixels.iter().map(|pixel| Pixel::new(*pixel).expect("a pixel")).collect();
        pixels.sort();
        Mask { pixels }
    }

    #[test]
    fn random_positions_lie_in_the_mask_and_fill_it() {
        let mask = mask(&[10000, 10001, 40000]);
        let mut dice = ChaCha8Rng::seed_from_u64(1);
        let mut counts = [0; 3];
        for _ in 0..3000 {
            let (ra, dec) = mask.random(&mut dice).expect("a position");
            let pixel = sky::pixel_of(ra, dec).expect("a pixel");
            counts[mask.pixels.binary_search(&pixel).expect("a pixel of the mask")] += 1;
        }
        assert!(counts.iter().all(|count| (880..1120).contains(count)), "{counts:?}");
        assert!((mask.area_sr() - 3.0 * 4.0 * PI / 49152.0).abs() < 1e-15);
        assert!(Mask::default().random(&mut dice).is_none());
    }

    #[test]
    fn edges_are_where_no_pixel_follows() {
        // four pixels of one parent make a larger one: their common corner is farthest from all edges
        let (one, four) = (mask(&[10000]).edges(), mask(&[10000, 10001, 10002, 10003]).edges());
        let size = (4.0 * PI / 49152.0f64).sqrt();
        let (ra, dec) = sky::centre(5, 2500);
        assert!(one.angle(ra, dec) < 0.05 * size, "its corner lies on the edge of the one");
        let within = four.angle(ra, dec) / size;
        assert!((0.7..1.1).contains(&within), "{within}");
        let (ra, dec) = sky::centre(6, 10000);
        assert!((0.35..0.55).contains(&(one.angle(ra, dec) / size)));
        assert_eq!(Mask::default().edges().angle(0.0, 0.0), PI);
    }
}
