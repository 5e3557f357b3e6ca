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

use crate::groups;
use crate::heap;
use crate::survey::randoms::{self, Pool};
use crate::survey::{Mask, Population, Randoms, Sample};
use bifrost_science::astra::{self, Web as Class};
use bifrost_science::cosmology::{Cosmology, direction};
use bifrost_science::fof::Components;
use bifrost_science::groups::compress;
use bifrost_science::neighbours::{self, Edge, Galaxies, Recipe, Sigma, dist_5nn, sigma_5};
use bifrost_science::skeleton::{Options, Skeleton, Threshold};
use bifrost_science::web::{self, Realisations};
use bifrost_science::work::Work;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;
use serde::Serialize;
use serde::ser::{Error as _, SerializeMap, Serializer};
use serde_json::{Value, json};

/// Galaxies that a web takes: of fewer, nothing but neighbours is known.
const LEAST: usize = 10;
/// Mpc that no coordinate can be told from 0 by.
const NOTHING: f64 = 1e-30;

/// What the web is made with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settings {
    /// How groups are found.
    pub groups: groups::Settings,
    /// Galaxies of a group whose finger of God is compressed, at least.
    pub compressed_from: u32,
    /// Which persistence pairs stay.
    #[serde(flatten, serialize_with = "threshold")]
    pub threshold: Threshold,
    /// How often densities are averaged over neighbours before filaments are looked for.
    pub smooth_density: usize,
    /// How often filaments are smoothed.
    pub smooth_filaments: usize,
    /// Sets of random points for the classes.
    pub realisations: u32,
    /// Seed of the random points.
    pub seed: u64,
    /// Which galaxies count as neighbours for surface densities; without it all.
    pub neighbours: Option<Population>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            groups: groups::Settings::default(),
            compressed_from: 3,
            threshold: Threshold::Sigma(3.0),
            smooth_density: 1,
            smooth_filaments: 1,
            realisations: 100,
            seed: 1,
            neighbours: None,
        }
    }
}

fn threshold<S: Serializer>(threshold: &Threshold, serializer: S) -> Result<S::Ok, S::Error> {
    let (name, value) = match threshold {
        Threshold::Sigma(sigmas) => ("sigmas", sigmas),
        Threshold::Ratio(ratio) => ("ratio", ratio),
    };
    let ratios = threshold.ratios().map_err(S::Error::custom)?;
    let mut map = serializer.serialize_map(Some(2))?;
    map.serialize_entry(name, value)?;
    map.serialize_entry("persistence_ratios", &ratios)?;
    map.end()
}

/// What nobody sets and yet shapes the columns, for their footers.
#[must_use]
pub fn constants() -> Value {
    let Recipe { velocity_km_s, least_usable, .. } = Recipe::default();
    json!({
        "class_thresholds": astra::THRESHOLDS,
        "sigma_5_velocity_km_s": velocity_km_s,
        "sigma_5_least_usable": least_usable,
        "least_galaxies": LEAST,
    })
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
    #[error(transparent)]
    Randoms(#[from] randoms::Error),
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
    /// Why one of both is not known: bits of [`neighbours::flag`].
    pub sigma_5_flag: Vec<u8>,
    /// Comoving Mpc to the fifth nearest galaxy.
    pub dist_5nn: Vec<f64>,
    /// How often each class came up.
    pub class: Vec<Class>,
    /// Whether the survey's end is near.
    pub is_boundary: Vec<bool>,
    /// The filaments.
    pub skeleton: Skeleton,
}

/// One tracer in one cap, and how it was looked for.
#[derive(Debug, Clone, Copy)]
pub struct Survey<'a> {
    /// Its galaxies.
    pub sample: &'a Sample,
    /// Where they were looked for.
    pub mask: &'a Mask,
    /// Random points that follow the survey; without them, some are thrown into the mask.
    pub randoms: Option<&'a Randoms>,
    /// Its groups, where they are known: those that [`groups::components`] finds.
    pub groups: Option<&'a Components>,
}

/// In how many blocks the web is made, and who keeps them: neither shows in the web.
#[derive(Clone, Copy)]
pub struct Blocks<'a> {
    /// How many.
    pub count: usize,
    /// What is made of this survey with these settings in so many blocks.
    pub work: &'a dyn Work,
}

/// Makes the web of a survey; `told` hears which step begins.
///
/// # Errors
/// [`Error`]; a sample of a few galaxies has a web in which nothing is known.
pub fn find(
    survey: Survey<'_>,
    cosmology: &Cosmology,
    settings: &Settings,
    blocks: Blocks<'_>,
    told: &dyn Fn(&'static str),
) -> Result<Web, Error> {
    let Survey { sample, mask, groups, .. } = survey;
    let positions = match groups {
        Some(known) => positions(sample, cosmology, Some(known), settings.compressed_from)?,
        None => {
            told("groups");
            let found = groups::components(sample, mask, cosmology, &settings.groups)?;
            positions(sample, cosmology, found.as_ref(), settings.compressed_from)?
        }
    };
    let count = sample.len();
    let mut web = Web::default();
    told("neighbours");
    heap::give_back();
    web.dist_5nn = dist_5nn(&positions)?;
    let edges = mask.edges();
    let places = sample.ra.par_iter().zip(&sample.dec);
    let angle: Vec<f64> = places.map(|(ra, dec)| edges.angle(*ra, *dec)).collect();
    drop(edges);
    let sigma = surface_density(sample, mask, &angle, cosmology, settings)?;
    (web.sigma_5, web.sigma_5_error) = (sigma.sigma_5, sigma.error);
    web.sigma_5_flag = sigma.flag;
    // not needed: no more than the blocks need stays in memory
    drop(sigma.radius);
    let far = |row: usize| {
        let near = web.dist_5nn.get(row).copied().unwrap_or(f64::NAN);
        let z = sample.z.get(row).copied().unwrap_or(f64::NAN);
        angle.get(row).is_some_and(|angle| cosmology.distance(z) * angle >= near)
    };
    let is_far: Vec<bool> = (0..count).into_par_iter().map(far).collect();
    drop(angle);
    heap::give_back();
    match count >= LEAST {
        true => {
            web.tessellate(&positions, settings, blocks, told)?;
            web.is_boundary.iter_mut().zip(is_far).for_each(|(is, far)| *is |= !far);
            told("classes");
            web.class = classes(survey, &positions, cosmology, settings, blocks)?;
        }
        false => web.know_nothing(count),
    }
    web.positions = positions;
    Ok(web)
}

fn classes(
    survey: Survey<'_>,
    positions: &[[f64; 3]],
    cosmology: &Cosmology,
    settings: &Settings,
    blocks: Blocks<'_>,
) -> Result<Vec<Class>, Error> {
    let Survey { sample, mask, randoms, .. } = survey;
    let count = sample.len();
    let pool = randoms.map(|randoms| randoms.pool(mask, ends(&sample.z), count, cosmology));
    let pool = pool.transpose()?;
    let distance = cosmology.distances(&sample.z);
    let smoothing = settings.groups.smoothing;
    let cast = Cast { mask, pool: pool.as_ref(), distance: &distance, smoothing };
    let randoms = |realisation, count| cast.points(settings.seed, realisation, count);
    let realisations = Realisations { count: settings.realisations, blocks: blocks.count };
    Ok(web::classify(positions, realisations, blocks.work, &randoms)?)
}

/// Surface densities, of the part of each circle that lies in the mask.
fn surface_density(
    sample: &Sample,
    mask: &Mask,
    angle: &[f64],
    cosmology: &Cosmology,
    settings: &Settings,
) -> Result<Sigma, Error> {
    let usable = |row: usize, radius: f64| {
        let place = sample.ra.get(row).zip(sample.dec.get(row)).zip(angle.get(row));
        match place {
            Some((_, angle)) if radius <= *angle => 1.0,
            Some(((ra, dec), _)) => mask.part_of_circle(*ra, *dec, radius),
            None => 0.0,
        }
    };
    // beyond the sample's redshifts its neighbours are not known
    let mut recipe = Recipe { z: ends(&sample.z), ..Recipe::default() };
    let mut is_tracer = vec![true; sample.len()];
    if let Some(population) = &settings.neighbours {
        recipe.z[1] = recipe.z[1].min(population.depth(cosmology));
        is_tracer = population.of(sample, cosmology);
    }
    let galaxies = Galaxies {
        ra_deg: &sample.ra,
        dec_deg: &sample.dec,
        z: &sample.z,
        is_tracer: &is_tracer,
        completeness: sample.parts(),
    };
    Ok(sigma_5(cosmology, galaxies, Edge::Usable(&usable), recipe)?)
}

fn positions(
    sample: &Sample,
    cosmology: &Cosmology,
    groups: Option<&Components>,
    least: u32,
) -> Result<Vec<[f64; 3]>, Error> {
    let distance = cosmology.distances(&sample.z);
    let distance = match groups {
        Some(groups) => {
            let (id, ra_deg, dec_deg) = (&sample.target_id[..], &sample.ra[..], &sample.dec[..]);
            let galaxies = bifrost_science::groups::Galaxies { id, ra_deg, dec_deg };
            compress(galaxies, &distance, groups, least)?
        }
        None => distance,
    };
    let places = sample.ra.iter().zip(&sample.dec).zip(distance);
    Ok(places.map(|((ra, dec), distance)| place(direction(*ra, *dec), distance)).collect())
}

/// A place (Mpc); coordinates that are next to nothing are 0, since geometry cannot be exact with them.
fn place(direction: [f64; 3], distance: f64) -> [f64; 3] {
    direction.map(|x| x * distance).map(|x| if x.abs() < NOTHING { 0.0 } else { x })
}

impl Web {
    /// Of galaxies too few for a mesh.
    fn know_nothing(&mut self, count: usize) {
        for values in [&mut self.density, &mut self.dist_filament, &mut self.dist_node] {
            *values = vec![f64::NAN; count];
        }
        self.class = vec![Class::default(); count];
        self.is_boundary = vec![true; count];
    }

    /// Density and skeleton, and what follows of them for each galaxy.
    fn tessellate(
        &mut self,
        positions: &[[f64; 3]],
        settings: &Settings,
        blocks: Blocks<'_>,
        told: &dyn Fn(&'static str),
    ) -> Result<(), Error> {
        let options = Options {
            threshold: settings.threshold,
            smooth: settings.smooth_filaments,
            ..Options::default()
        };
        let smooth_density = settings.smooth_density;
        let settings = web::Settings { blocks: blocks.count, smooth_density, options };
        let made = web::find(positions, &settings, blocks.work, told)?;
        self.density = made.density;
        self.is_boundary = made.is_boundary;
        self.dist_filament = made.dist_filament;
        self.dist_node = made.dist_node;
        self.skeleton = made.skeleton;
        Ok(())
    }
}

/// The least and the greatest of what is not negative.
fn ends(values: &[f64]) -> [f64; 2] {
    values.iter().fold([f64::MAX, 0.0], |[low, high], value| [value.min(low), value.max(high)])
}

/// Where random points are thrown.
struct Cast<'a> {
    mask: &'a Mask,
    /// Points to draw from in place of the mask.
    pool: Option<&'a Pool>,
    distance: &'a [f64],
    smoothing: f64,
}

impl Cast<'_> {
    /// Points that follow the survey on the sky, and where they have no distances of their own the sample's
    /// smoothed ones: a distance is that of any galaxy, moved by a Gaussian, and stays within the sample's
    /// ends by mirroring.
    fn points(&self, seed: u64, realisation: u32, count: usize) -> Vec<[f64; 3]> {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        dice.set_stream(u64::from(realisation) + 1);
        let ends = ends(self.distance);
        let mut points = match self.pool {
            Some(pool) => pool.draw(count, &mut dice),
            None => (0..count)
                .filter_map(|_| self.mask.random(&mut dice))
                .map(|(ra, dec)| direction(ra, dec))
                .collect(),
        };
        if self.pool.is_none_or(|pool| !pool.has_distances) {
            for point in &mut points {
                let distance = self.depth(ends, &mut dice);
                *point = place(*point, distance);
            }
        }
        points
    }

    fn depth(&self, [low, high]: [f64; 2], dice: &mut impl Rng) -> f64 {
        let row = dice.random_range(0..self.distance.len().max(1));
        let of = self.distance.get(row).copied().unwrap_or(low);
        let moved = of + self.smoothing * dice.sample::<f64, _>(StandardNormal);
        let depth = high - low;
        let folded = if depth > 0.0 { (moved - low).rem_euclid(2.0 * depth) } else { 0.0 };
        low + folded.min(2.0 * depth - folded)
    }
}
