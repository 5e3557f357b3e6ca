//! The cosmic web of a sample: density, filaments and class at each galaxy, as columns beside `spectra`,
//! and the filaments themselves.
//!
//! ```text
//! positions    redshifts as places, fingers of God compressed with the groups
//!   Delaunay   tetrahedra of galaxies         density_dtfe, is_boundary
//!   skeleton   filaments and nodes            dist_filament, dist_node
//!   ASTRA      with random points of the mask web_class and its probabilities
//! sky          neighbours in projection       sigma_5;  in space  dist_5nn
//! columns      the product `environment`
//! export       the skeleton for other programs: NDskl, VTK, Parquet
//! figure       a wedge of it, drawn
//! ```
//!
//! Definitions: DTFE and persistence as DisPerSE has them (Sousbie 2011), class by ASTRA (arXiv 2404.01124).

mod columns;
pub mod export;
mod figure;

pub use columns::{about, stage};
pub use figure::wedge;

use crate::groups::{self, Found};
use crate::survey::{Mask, Sample};
use bifrost_science::astra::Web as Class;
use bifrost_science::cosmology::{Cosmology, direction};
use bifrost_science::groups::compress;
use bifrost_science::neighbours::{self, Edge, Galaxies, Recipe, dist_5nn, sigma_5};
use bifrost_science::skeleton::{Options, Skeleton, Threshold};
use bifrost_science::web::{self, Realisations};
use bifrost_science::work::{Memory, Work};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;
use serde::Serialize;

/// Galaxies that a web takes: of fewer, nothing but neighbours is known.
const LEAST: usize = 10;

/// What the web is made with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settings {
    /// How groups are found.
    pub groups: groups::Settings,
    /// Galaxies of a group whose finger of God is compressed, at least.
    pub compressed_from: u32,
    /// Which persistence pairs stay: above so many sigmas.
    pub sigmas: f64,
    /// How often densities are averaged over neighbours before filaments are looked for.
    pub smooth_density: usize,
    /// How often filaments are smoothed.
    pub smooth_filaments: usize,
    /// Sets of random points for the classes.
    pub realisations: u32,
    /// Seed of the random points.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            groups: groups::Settings::default(),
            compressed_from: 3,
            sigmas: 3.0,
            smooth_density: 1,
            smooth_filaments: 1,
            realisations: 100,
            seed: 1,
        }
    }
}

/// Why there is no web.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each is the error of a kernel, in its own words")]
pub enum Error {
    #[error(transparent)]
    Groups(#[from] groups::Error),
    #[error(transparent)]
    Compression(#[from] bifrost_science::groups::Error),
    #[error(transparent)]
    Neighbours(#[from] neighbours::Error),
    #[error(transparent)]
    Web(#[from] web::Error),
}

/// The web of a sample; arrays have an entry a galaxy, NaN where a quantity is not known.
#[derive(Debug, Default)]
pub struct Web {
    /// Places, comoving Mpc, fingers of God compressed.
    pub positions: Vec<[f64; 3]>,
    /// Galaxies by comoving Mpc³.
    pub density: Vec<f64>,
    /// Comoving Mpc to the nearest filament.
    pub dist_filament: Vec<f64>,
    /// Comoving Mpc to the nearest peak that filaments end at.
    pub dist_node: Vec<f64>,
    /// Galaxies by comoving Mpc², within the fifth nearest in projection.
    pub sigma_5: Vec<f64>,
    /// Its error.
    pub sigma_5_error: Vec<f64>,
    /// Comoving Mpc to the fifth nearest galaxy.
    pub dist_5nn: Vec<f64>,
    /// How often each class came up.
    pub class: Vec<Class>,
    /// Whether the survey's end is near.
    pub is_boundary: Vec<bool>,
    /// The filaments.
    pub skeleton: Skeleton,
}

/// Makes the web of one tracer in one cap; `told` hears which step begins.
///
/// # Errors
/// [`Error`]; a sample of a few galaxies has a web in which nothing is known.
pub fn find(
    sample: &Sample,
    cosmology: &Cosmology,
    settings: &Settings,
    told: &dyn Fn(&'static str),
) -> Result<Web, Error> {
    told("groups");
    let found = groups::find(sample, cosmology, &settings.groups)?;
    let positions = positions(sample, cosmology, &found, settings.compressed_from)?;
    let count = sample.len();
    let mut web = Web {
        density: vec![f64::NAN; count],
        dist_filament: vec![f64::NAN; count],
        dist_node: vec![f64::NAN; count],
        class: vec![Class::default(); count],
        is_boundary: vec![true; count],
        ..Web::default()
    };
    told("neighbours");
    let mask = Mask::of(sample);
    let edges = mask.edges();
    let places: Vec<(f64, f64)> =
        sample.ra.iter().copied().zip(sample.dec.iter().copied()).collect();
    let angle: Vec<f64> = places.par_iter().map(|(ra, dec)| edges.angle(*ra, *dec)).collect();
    web.dist_5nn = dist_5nn(&positions)?;
    // every galaxy counts as a neighbour of the others
    let galaxies = Galaxies {
        ra_deg: &sample.ra,
        dec_deg: &sample.dec,
        z: &sample.z,
        is_tracer: &vec![true; count],
        completeness: &[settings.groups.completeness],
    };
    let sigma = sigma_5(cosmology, galaxies, Edge::Angle(&angle), Recipe::default())?;
    (web.sigma_5, web.sigma_5_error) = (sigma.sigma_5, sigma.error);
    if count >= LEAST {
        let work = Memory::default();
        web.tessellate(&positions, settings, &work, told)?;
        let distance = cosmology.distances(&sample.z);
        let far = distance
            .iter()
            .zip(&angle)
            .zip(&web.dist_5nn)
            .map(|((d, angle), near)| d * angle >= *near);
        web.is_boundary.iter_mut().zip(far).for_each(|(is, far)| *is |= !far);
        told("classes");
        let cast = Cast { mask: &mask, distance: &distance, smoothing: settings.groups.smoothing };
        let randoms = |realisation, count| cast.points(settings.seed, realisation, count);
        let realisations = Realisations { count: settings.realisations, blocks: 1 };
        web.class = web::classify(&positions, realisations, &work, &randoms)?;
    }
    web.positions = positions;
    Ok(web)
}

fn positions(
    sample: &Sample,
    cosmology: &Cosmology,
    found: &Found,
    least: u32,
) -> Result<Vec<[f64; 3]>, Error> {
    let distance = cosmology.distances(&sample.z);
    let distance = match &found.components {
        Some(groups) => {
            let (id, ra_deg, dec_deg) = (&sample.target_id[..], &sample.ra[..], &sample.dec[..]);
            let galaxies = bifrost_science::groups::Galaxies { id, ra_deg, dec_deg };
            compress(galaxies, &distance, groups, least)?
        }
        None => distance,
    };
    let places = sample.ra.iter().zip(&sample.dec).zip(distance);
    Ok(places.map(|((ra, dec), d)| direction(*ra, *dec).map(|x| x * d)).collect())
}

impl Web {
    /// Density and skeleton, and what follows of them for each galaxy.
    fn tessellate(
        &mut self,
        positions: &[[f64; 3]],
        settings: &Settings,
        work: &dyn Work,
        told: &dyn Fn(&'static str),
    ) -> Result<(), Error> {
        let options = Options {
            threshold: Threshold::Sigma(settings.sigmas),
            smooth: settings.smooth_filaments,
            ..Options::default()
        };
        let smooth_density = settings.smooth_density;
        let made = web::find(
            positions,
            &web::Settings { blocks: 1, smooth_density, options },
            work,
            told,
        )?;
        self.density = made.density;
        self.is_boundary = made.is_boundary;
        self.dist_filament = made.dist_filament;
        self.dist_node = made.dist_node;
        self.skeleton = made.skeleton;
        Ok(())
    }
}

/// Where random points are thrown.
struct Cast<'a> {
    mask: &'a Mask,
    distance: &'a [f64],
    smoothing: f64,
}

impl Cast<'_> {
    /// Points that follow the mask on the sky and the sample's smoothed distances: a distance is that of
    /// any galaxy, moved by a Gaussian, and stays within the sample's ends by mirroring.
    fn points(&self, seed: u64, realisation: u32, count: usize) -> Vec<[f64; 3]> {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        dice.set_stream(u64::from(realisation) + 1);
        let ends = self
            .distance
            .iter()
            .fold([f64::MAX, 0.0], |[low, high]: [f64; 2], d| [low.min(*d), high.max(*d)]);
        (0..count).filter_map(|_| self.point(ends, &mut dice)).collect()
    }

    fn point(&self, [low, high]: [f64; 2], dice: &mut impl Rng) -> Option<[f64; 3]> {
        let (ra, dec) = self.mask.random(dice)?;
        let of = self.distance.get(dice.random_range(0..self.distance.len().max(1)))?;
        let moved = of + self.smoothing * dice.sample::<f64, _>(StandardNormal);
        let depth = high - low;
        let folded = if depth > 0.0 { (moved - low).rem_euclid(2.0 * depth) } else { 0.0 };
        let distance = low + folded.min(2.0 * depth - folded);
        Some(direction(ra, dec).map(|x| x * distance))
    }
}
