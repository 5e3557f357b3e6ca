//! A survey as DESI is one, object by object: what a tile holds follows from its number.
//!
//! Proportions and redshift distributions are rounded from the survey's target selection: luminous
//! red galaxies around z 0.75, emission-line galaxies from 0.6 to 1.6, quasars with a thin tail
//! beyond 4, nearby galaxies in bright time, stars everywhere; failed fits (zwarn ≠ 0) lie anywhere.
//! (DESI Collaboration 2024, AJ 168, 58.)

use bifrost_core::sky;
use bifrost_core::sync::simulated::Object;
use bifrost_core::tile::{Name, Pixel, Tile};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// HEALPix pixels of nside 64.
pub const PIXELS: u64 = 49_152;
/// Coprime to the number of pixels: tiles that follow each other lie all over the sky.
const STRIDE: u64 = 20_747;

/// Tile number so and so: the sky is filled once before a second release begins.
pub fn tile(number: u64) -> Tile {
    let name = |text: &str| Name::new(text).expect("a name");
    let release = match number / PIXELS {
        0 => "iron".to_owned(),
        later => format!("r{later:03}"),
    };
    let (survey, program) = match number % 50 {
        0..31 => ("main", "dark"),
        31..46 => ("main", "bright"),
        46..48 => ("main", "backup"),
        48 => ("sv1", "other"),
        _ => ("sv3", "dark"),
    };
    Tile {
        release: name(&release),
        survey: name(survey),
        program: name(program),
        pixel: Pixel::new((number * STRIDE % PIXELS) as i64).expect("a pixel"),
    }
}

/// The objects of a tile, in the order of a lake; about so many.
pub fn objects(number: u64, mean: f64) -> Vec<Object> {
    let tile = tile(number);
    let mut dice = Dice(ChaCha8Rng::seed_from_u64(number));
    // tiles at the edge of the footprint have few objects, and none is without
    let count = (mean * dice.normal(0.0, 0.5).exp() / 1.13).clamp(1.0, 4.0 * mean) as usize;
    let first = i64::from(tile.pixel.get()) << 46;
    let mut places: Vec<i64> =
        (0..count).map(|_| first + dice.0.random_range(0..1 << 46)).collect();
    places.sort_unstable();
    // TARGETID (DESI data model): bits 0 to 21 number the objects of a brick, 22 to 41 the brick,
    // 42 to 57 the release of the imaging
    let bricks = 7 * i64::from(tile.pixel.get());
    let object = |(index, healpix_29): (usize, i64)| {
        let (ra, dec) = sky::centre_of(healpix_29);
        let (spectype, z, good) = dice.target(tile.program.as_str());
        Object {
            healpix_29,
            target_id: 9010 << 42 | (bricks + (index % 14) as i64) << 22 | (index + 1) as i64,
            ra,
            dec,
            z,
            zwarn: if good { 0 } else { 1 << dice.0.random_range(1..11) },
            deltachi2: if good { dice.normal(6.0, 1.8).exp() + 9.0 } else { 9.0 * dice.part() },
            spectype,
        }
    };
    places.into_iter().enumerate().map(object).collect()
}

struct Dice(ChaCha8Rng);

impl Dice {
    /// In (0, 1].
    fn part(&mut self) -> f64 {
        1.0 - self.0.random::<f64>()
    }

    fn normal(&mut self, mean: f64, sigma: f64) -> f64 {
        let (a, b) = (self.part(), self.part());
        mean + sigma * (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    /// Class, redshift, and whether the fit is good.
    fn target(&mut self, program: &str) -> (&'static str, f64, bool) {
        let kind = self.part();
        // upper ends of LRG, ELG, QSO, BGS; stars are the rest; and how often a fit fails
        let (shares, fails) = match program {
            "dark" => ([0.26, 0.68, 0.86, 0.86], [0.01, 0.25, 0.08, 0.01, 0.03]),
            "bright" => ([0.02, 0.02, 0.03, 0.66], [0.01, 0.25, 0.08, 0.01, 0.02]),
            "backup" => ([0.0, 0.0, 0.01, 0.02], [0.01, 0.25, 0.2, 0.05, 0.05]),
            _ => ([0.2, 0.45, 0.6, 0.75], [0.02, 0.3, 0.15, 0.02, 0.05]),
        };
        let kind = shares.iter().position(|end| kind <= *end).unwrap_or(shares.len());
        if self.part() < fails[kind] {
            return match self.part() {
                p if p < 0.75 => ("GALAXY", 1.7 * self.part(), false),
                p if p < 0.95 => ("QSO", 0.05 + 5.95 * self.part(), false),
                _ => ("STAR", self.normal(0.0, 1e-3), false),
            };
        }
        let (class, z) = match kind {
            0 => ("GALAXY", self.normal(0.75, 0.18).clamp(0.05, 1.4)),
            1 => ("GALAXY", 0.6 + 0.51 * (self.part() + self.part())),
            // a gamma distribution of shape 4
            2 => ("QSO", 0.6 - 0.3 * (0..4).map(|_| self.part().ln()).sum::<f64>()),
            3 => ("GALAXY", self.normal(-1.6, 0.5).exp().clamp(0.003, 0.7)),
            _ => ("STAR", self.normal(0.0, 3e-4)),
        };
        (class, z, true)
    }
}
