//! Random numbers that depend on what they are for and on nothing else.
//!
//! Every row of every purpose has a stream of its own, keyed by seed, pixel, program and row. So
//! a tile has the same bytes on one core and on sixty, and an edge case changes what it is about
//! and leaves the rest of the tile as it was.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, StandardNormal};

/// What a stream of random numbers decides.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
pub enum Purpose {
    /// How many rows a tile has.
    Size,
    /// A target: class, position, redshift, brightness.
    Target,
    /// The order of rows.
    Order,
    /// The exposures of a pixel.
    Exposure,
    /// When and how well a target was observed.
    Observation,
    /// Columns of the targeting catalogue.
    Photometry,
    /// The glow of the night sky, by arm.
    Glow,
    /// Noise and bad pixels, by arm.
    Noise,
    /// Where NaN and Inf strike, by arm.
    Blight,
    /// The redshift fit.
    Fit,
    /// The line fits.
    Lines,
    /// The scans of the fits' details, by template.
    Scan,
    /// The runners-up of the fits' details.
    RunnersUp,
    /// The order of redrock rows, where it is another.
    RedrockOrder,
    /// The order of emline rows, where it is another.
    EmlineOrder,
}

/// The origin of all streams of a tile, or of what tiles of one pixel share.
#[derive(Debug, Clone, Copy)]
pub struct Seed {
    seed: u64,
    pixel: u32,
    branch: u32,
}

impl Seed {
    /// The streams of a pixel's program; branch 0 is what all programs of the pixel share.
    #[must_use]
    pub fn new(seed: u64, pixel: u32, branch: u32) -> Self {
        Self { seed, pixel, branch }
    }

    /// The stream of one purpose and row.
    #[must_use]
    pub fn dice(self, purpose: Purpose, row: usize) -> Dice {
        self.dice_of(purpose, 0, row)
    }

    /// The stream of one purpose, row and part of it (an arm, a template).
    #[must_use]
    pub fn dice_of(self, purpose: Purpose, part: usize, row: usize) -> Dice {
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        key[8..12].copy_from_slice(&self.pixel.to_le_bytes());
        key[12..16].copy_from_slice(&self.branch.to_le_bytes());
        key[16..20].copy_from_slice(&(purpose as u32).to_le_bytes());
        key[20..24].copy_from_slice(&(part as u32).to_le_bytes());
        key[24..].copy_from_slice(&(row as u64).to_le_bytes());
        Dice(ChaCha8Rng::from_seed(key))
    }
}

/// One stream of random numbers.
#[derive(Debug)]
pub struct Dice(ChaCha8Rng);

impl Dice {
    /// Evenly between two bounds.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.0.random::<f64>()
    }

    /// A whole number below `end`; 0 where `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { self.0.random_range(0..end) }
    }

    /// A whole number below `end`.
    pub fn cell(&mut self, cells: std::ops::Range<i64>) -> i64 {
        self.0.random_range(cells)
    }

    /// Gaussian.
    pub fn normal(&mut self, mean: f64, sigma: f64) -> f64 {
        let unit: f64 = StandardNormal.sample(&mut self.0);
        mean + sigma * unit
    }

    /// Gaussian of mean 0 and sigma 1, in single precision.
    pub fn noise(&mut self) -> f32 {
        StandardNormal.sample(&mut self.0)
    }

    /// Gaussian in the logarithm, around a median.
    pub fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        median * self.normal(0.0, sigma).exp()
    }

    /// Sum of `shape` exponential waiting times: a gamma distribution of whole shape.
    pub fn gamma(&mut self, shape: usize, scale: f64) -> f64 {
        (0..shape)
            .map(|_| {
                let wait: f64 = Exp1.sample(&mut self.0);
                wait * scale
            })
            .sum()
    }

    /// The place of a weight that is hit in proportion to its size.
    pub fn pick(&mut self, weights: &[f64]) -> usize {
        let mut left = self.uniform(0.0, weights.iter().sum());
        let hit = weights.iter().position(|w| {
            left -= w;
            left < 0.0
        });
        hit.unwrap_or(weights.len().saturating_sub(1))
    }

    /// Puts things in random order.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for i in (1..things.len()).rev() {
            things.swap(i, self.below(i + 1));
        }
    }
}
