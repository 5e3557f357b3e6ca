//! Where on the sky a sample was looked for: a MOC of the user's, or the tiles' pixels (nside 64) that hold
//! any of it.

use super::{Cap, Sample};
use bifrost_core::sky::{self, Moc};
use bifrost_core::tile::Pixel;
use bifrost_science::cosmology::direction;
use bifrost_science::distance::Segments;
use rand::{Rng, RngExt};
use std::f64::consts::PI;
use std::path::Path;

/// Pieces that a side of a cell is drawn with, at least.
const PIECES: u32 = 8;
/// And at most, however small its neighbours are.
const MOST_PIECES: u32 = 256;
/// How far beyond its middle a piece is looked at, by the way from the centre of the smallest cell.
const BEYOND: f64 = 0.02;
/// Places of a circle that are asked whether they lie in the mask.
const PLACES: u32 = 256;
/// Between points that fill a disc evenly, radian (Vogel 1979).
const GOLDEN_ANGLE: f64 = 2.399_963_229_728_653;

/// Part of the sky.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mask {
    moc: Moc,
    /// For each range of the MOC, how many cells of order 29 there are up to its end.
    ends: Vec<i64>,
}

/// Where a mask ends.
#[derive(Debug, Clone, Default)]
pub struct Edges(Segments);

impl From<Moc> for Mask {
    fn from(moc: Moc) -> Self {
        let ends = moc.ranges().iter().scan(0, |all, range| {
            *all += range.end - range.start;
            Some(*all)
        });
        Self { ends: ends.collect(), moc }
    }
}

impl Mask {
    /// Reads a MOC.
    ///
    /// # Errors
    /// [`sky::Error`] for a file that is none.
    pub fn read(path: &Path) -> Result<Self, sky::Error> {
        Moc::read(path).map(Self::from)
    }

    /// The pixels of the tiles that a sample is from.
    #[must_use]
    pub fn of(sample: &Sample) -> Self {
        let mut tiles = sample.tile.clone();
        tiles.sort_unstable();
        tiles.dedup();
        let tiles = tiles.iter().filter_map(|tile| sample.tiles.get(*tile as usize));
        let pixels = tiles.map(|tile| u64::from(tile.pixel.get()));
        Moc::of_cells(Pixel::ORDER, pixels).into()
    }

    /// Its part in a cap: cells that are no larger than a tile's pixel, by their centres.
    #[must_use]
    pub fn cap(&self, cap: Cap) -> Self {
        let small = self.moc.cells().flat_map(|(order, cell)| {
            let shift = 2 * u32::from(Pixel::ORDER.saturating_sub(order));
            let parts = (cell << shift)..((cell + 1) << shift);
            parts.map(move |part| (order.max(Pixel::ORDER), part))
        });
        let is_there = |(order, cell): &(u8, u64)| {
            let (ra, dec) = sky::centre(*order, *cell);
            Cap::of(ra, dec) == cap
        };
        Moc::of_ranges(small.filter(is_there).map(|(o, cell)| sky::range_of(o, cell)).collect())
            .into()
    }

    /// It as a MOC.
    #[must_use]
    pub fn moc(&self) -> &Moc {
        &self.moc
    }

    /// BLAKE3 of its cells (hex).
    #[must_use]
    pub fn digest(&self) -> String {
        blake3::hash(self.moc.to_string().as_bytes()).to_hex().to_string()
    }

    /// Its solid angle, steradian.
    #[must_use]
    pub fn area_sr(&self) -> f64 {
        self.moc.share() * 4.0 * PI
    }

    /// Whether a position (degrees) lies in it.
    #[must_use]
    pub fn contains(&self, ra_deg: f64, dec_deg: f64) -> bool {
        self.moc.contains(ra_deg, dec_deg)
    }

    /// A position in it (degrees), each as likely as any other of the same area. None of an empty mask.
    pub fn random(&self, dice: &mut impl Rng) -> Option<(f64, f64)> {
        let number = dice.random_range(0..self.ends.last().copied()?);
        let range = self.ends.partition_point(|end| *end <= number);
        let cell = self.moc.ranges().get(range)?.end - (self.ends.get(range)? - number);
        Some(sky::centre_of(cell))
    }

    /// The part (0 to 1) of a circle (radius in radian) that lies in it, to a hundredth or so: of 256 places
    /// that fill the circle evenly.
    #[must_use]
    pub fn part_of_circle(&self, ra_deg: f64, dec_deg: f64, radius: f64) -> f64 {
        let (sin_ra, cos_ra) = ra_deg.to_radians().sin_cos();
        let (sin_dec, cos_dec) = dec_deg.to_radians().sin_cos();
        let middle = direction(ra_deg, dec_deg);
        let (east, north) =
            ([-sin_ra, cos_ra, 0.0], [-sin_dec * cos_ra, -sin_dec * sin_ra, cos_dec]);
        let is_in = |place: &u32| {
            let part = (f64::from(*place) + 0.5) / f64::from(PLACES);
            // parts of equal area, on the sphere
            let away = 2.0 * ((0.5 * radius).sin() * part.sqrt()).min(1.0).asin();
            let (sin, cos) = (f64::from(*place) * GOLDEN_ANGLE).sin_cos();
            let at =
                |k: usize| middle[k] * away.cos() + (east[k] * cos + north[k] * sin) * away.sin();
            self.holds([0, 1, 2].map(at))
        };
        (0..PLACES).filter(is_in).count() as f64 / f64::from(PLACES)
    }

    /// Its edges: the sides of cells beyond which no cell of it lies.
    #[must_use]
    pub fn edges(&self) -> Edges {
        let deepest = self.moc.cells().map(|(order, _)| order).max().unwrap_or_default();
        let mut sides = Vec::new();
        for (order, cell) in self.moc.cells() {
            let smaller = 2u32.saturating_pow(u32::from(deepest - order));
            let pieces = smaller.clamp(PIECES, MOST_PIECES);
            let (ra, dec) = sky::centre(order, cell);
            let centre = direction(ra, dec);
            let outline = sky::outline(order, cell, pieces);
            let outline: Vec<[f64; 3]> =
                outline.iter().map(|(ra, dec)| direction(*ra, *dec)).collect();
            let next = outline.iter().cycle().skip(1);
            for (from, to) in outline.iter().zip(next) {
                let beyond = |k: usize| {
                    let middle = 0.5 * (from[k] + to[k]);
                    middle + BEYOND / f64::from(smaller) * (middle - centre[k])
                };
                if !self.holds([0, 1, 2].map(beyond)) {
                    sides.push([*from, *to]);
                }
            }
        }
        // directions are finite, and no sky has 2³² sides
        Edges(Segments::new(&sides).unwrap_or_default())
    }

    fn holds(&self, [x, y, z]: [f64; 3]) -> bool {
        self.contains(y.atan2(x).to_degrees(), z.atan2(x.hypot(y)).to_degrees())
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

    fn mask(pixels: &[u64]) -> Mask {
        Moc::of_cells(6, pixels.iter().copied()).into()
    }

    #[test]
    fn random_positions_lie_in_the_mask_and_fill_it() {
        let mask = mask(&[10000, 10001, 40000]);
        let mut dice = ChaCha8Rng::seed_from_u64(1);
        let mut counts = [0; 3];
        for _ in 0..3000 {
            let (ra, dec) = mask.random(&mut dice).expect("a position");
            let pixel = sky::pixel_of(ra, dec).expect("a pixel").get();
            counts[[10000, 10001, 40000].iter().position(|p| *p == pixel).expect("of the mask")] +=
                1;
        }
        assert!(counts.iter().all(|count| (880..1120).contains(count)), "{counts:?}");
        assert!((mask.area_sr() - 3.0 * 4.0 * PI / 49152.0).abs() < 1e-15);
        assert!(Mask::default().random(&mut dice).is_none());
    }

    #[test]
    fn edges_are_where_no_cell_follows() {
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

    #[test]
    fn edges_do_not_depend_on_how_cells_are_put_together() {
        // a hole of a small cell in a large one, and the same of the small cells alone
        let hole = 10000 << 6;
        let small = ((2500 << 8)..(2501 << 8)).filter(|cell| *cell != hole);
        let mask = Mask::from(Moc::of_cells(9, small));
        assert!(mask.moc().cells().any(|(order, _)| order < 9));
        let (ra, dec) = sky::centre(9, hole);
        assert!(!mask.contains(ra, dec));
        let size = (4.0 * PI / 12.0f64).sqrt() / f64::from(1 << 9);
        assert!((0.35..0.55).contains(&(mask.edges().angle(ra, dec) / size)));
    }

    #[test]
    fn a_circle_on_the_edge_is_half_in() {
        let hemisphere = Mask::from(Moc::of_cells(0, 0..4));
        // the first four cells are not the northern hemisphere, but are symmetric about the pole
        let all = hemisphere.part_of_circle(12.0, 90.0, 0.3);
        assert!((all - 1.0).abs() < 1e-12, "{all}");
        let northern =
            Mask::from(Moc::of_cells(8, (0..12 << 16).filter(|c| sky::centre(8, *c).1 > 0.0)));
        for radius in [0.02, 0.1, 1.0] {
            let part = northern.part_of_circle(77.0, 0.0, radius);
            assert!((part - 0.5).abs() < 0.03, "{part} of a radius {radius}");
        }
        // a cap of 60 degrees about a place 30 degrees north: by the area of spherical caps
        assert!((northern.part_of_circle(10.0, 30.0, PI / 3.0) - 0.784).abs() < 0.02);
    }

    #[test]
    fn caps_share_a_mask() {
        let whole = Mask::from(Moc::of_cells(0, 0..12));
        let [north, south] = Cap::ALL.map(|cap| whole.cap(cap));
        assert!((north.area_sr() + south.area_sr() - 4.0 * PI).abs() < 1e-12);
        assert!((north.area_sr() - 2.0 * PI).abs() < 0.01);
        assert!(north.contains(192.86, 27.13) && !south.contains(192.86, 27.13));
    }
}
