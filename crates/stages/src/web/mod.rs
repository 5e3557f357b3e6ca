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
use crate::survey::randoms::{self, Pool};
use crate::survey::{Mask, Population, Randoms, Sample};
use bifrost_science::astra::{self, Space, Web as Class, classify};
use bifrost_science::cosmology::{Cosmology, direction};
use bifrost_science::curve::morton;
use bifrost_science::delaunay::{self, Delaunay};
use bifrost_science::distance::{self, Segments};
use bifrost_science::dtfe::{self, Density};
use bifrost_science::groups::compress;
use bifrost_science::neighbours::{self, Edge, Galaxies, Recipe, Sigma, dist_5nn, sigma_5};
use bifrost_science::skeleton::{self, Kind, Options, Skeleton, Threshold};
use bifrost_science::star::{self, Stars};
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
    /// Which galaxies count as neighbours for surface densities; without it all.
    pub neighbours: Option<Population>,
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
            neighbours: None,
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
    Delaunay(#[from] delaunay::Error),
    #[error(transparent)]
    Mesh(#[from] star::Error),
    #[error(transparent)]
    Density(#[from] dtfe::Error),
    #[error(transparent)]
    Skeleton(#[from] skeleton::Error),
    #[error(transparent)]
    Distance(#[from] distance::Error),
    #[error(transparent)]
    Neighbours(#[from] neighbours::Error),
    #[error(transparent)]
    Class(#[from] astra::Error),
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
    /// Comoving Mpc to the fifth nearest galaxy.
    pub dist_5nn: Vec<f64>,
    /// How often each class came up.
    pub class: Vec<Class>,
    /// Whether the survey's end is near.
    pub is_boundary: Vec<bool>,
    /// The filaments.
    pub skeleton: Skeleton,
}

/// Makes the web of one tracer in one cap, which was looked for in all of the mask; `told` hears which
/// step begins. Without a catalogue of random points, some are thrown into the mask.
///
/// # Errors
/// [`Error`]; a sample of a few galaxies has a web in which nothing is known.
pub fn find(
    sample: &Sample,
    mask: &Mask,
    randoms: Option<&Randoms>,
    cosmology: &Cosmology,
    settings: &Settings,
    told: &dyn Fn(&'static str),
) -> Result<Web, Error> {
    told("groups");
    let found = groups::find(sample, mask, cosmology, &settings.groups)?;
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
    web.dist_5nn = dist_5nn(&positions)?;
    let edges = mask.edges();
    let places = sample.ra.par_iter().zip(&sample.dec);
    let angle: Vec<f64> = places.map(|(ra, dec)| edges.angle(*ra, *dec)).collect();
    let sigma = surface_density(sample, mask, &angle, cosmology, settings)?;
    (web.sigma_5, web.sigma_5_error) = (sigma.sigma_5, sigma.error);
    if count >= LEAST {
        told("tessellation");
        web.tessellate(&positions, settings, told)?;
        let distance = cosmology.distances(&sample.z);
        let far = distance
            .iter()
            .zip(&angle)
            .zip(&web.dist_5nn)
            .map(|((d, angle), near)| d * angle >= *near);
        web.is_boundary.iter_mut().zip(far).for_each(|(is, far)| *is |= !far);
        told("classes");
        let ends =
            sample.z.iter().fold([f64::MAX, 0.0], |[low, high], z| [z.min(low), z.max(high)]);
        let pool = randoms.map(|randoms| randoms.pool(mask, ends, count, cosmology)).transpose()?;
        let smoothing = settings.groups.smoothing;
        let cast = Cast { mask, pool: pool.as_ref(), distance: &distance, smoothing };
        let randoms = |realisation, count| cast.points(settings.seed, realisation, count);
        web.class = classify(&positions, Space::Open, settings.realisations, randoms)?;
    }
    web.positions = positions;
    Ok(web)
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
    let (mut recipe, mut is_tracer) = (Recipe::default(), vec![true; sample.len()]);
    if let Some(population) = &settings.neighbours {
        let nearest = sample.z.iter().copied().fold(f64::INFINITY, f64::min);
        recipe.z = [nearest, population.depth(cosmology)];
        is_tracer = population.of(sample, cosmology);
    }
    let galaxies = Galaxies {
        ra_deg: &sample.ra,
        dec_deg: &sample.dec,
        z: &sample.z,
        is_tracer: &is_tracer,
        completeness: &[settings.groups.completeness],
    };
    Ok(sigma_5(cosmology, galaxies, Edge::Usable(&usable), recipe)?)
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
        told: &dyn Fn(&'static str),
    ) -> Result<(), Error> {
        let order = morton(positions);
        let positions: Vec<[f64; 3]> =
            order.iter().filter_map(|row| positions.get(*row as usize).copied()).collect();
        let made = Delaunay::new(&positions)?;
        let mesh = made.mesh();
        if mesh.cells.is_empty() {
            return Ok(());
        }
        let stars = Stars::new(mesh)?;
        told("density");
        let mut density = Density::new(&stars, 1.0, 0)?;
        // galaxies at one place have one vertex; nothing is known of a cell that has no end
        let vertex = |point: u32| made.duplicate_of(point).unwrap_or(point) as usize;
        let vertices: Vec<usize> = (0..order.len() as u32).map(vertex).collect();
        let known = |vertex: usize| density.values.get(vertex).copied().filter(|d| *d > 0.0);
        let densities = vertices.iter().map(|v| known(*v).unwrap_or(f64::NAN));
        self.density = back(&order, densities, f64::NAN);
        let ends = vertices.iter().map(|v| density.boundary.get(*v).is_none_or(|is| *is));
        self.is_boundary = back(&order, ends, true);
        for _ in 0..settings.smooth_density {
            density.values = dtfe::smooth(&stars, &density.values)?;
        }
        told("skeleton");
        let options = Options {
            threshold: Threshold::Sigma(settings.sigmas),
            smooth: settings.smooth_filaments,
            ..Options::default()
        };
        self.skeleton = Skeleton::new(&stars, &density, &options)?;
        let ends: Vec<[f64; 3]> = (self.skeleton.nodes.iter())
            .filter(|node| node.kind == Kind::Maximum)
            .filter_map(|node| positions.get(node.vertex as usize).copied())
            .collect();
        let of = |tree: &Segments| -> Vec<f64> {
            let nearest = tree.nearest_of(&positions);
            let distance = nearest.iter().map(|n| n.map_or(f64::NAN, |nearest| nearest.distance));
            back(&order, distance, f64::NAN)
        };
        self.dist_filament = of(&Segments::new(&self.skeleton.segments())?);
        self.dist_node = of(&Segments::of_points(&ends)?);
        let row =
            |vertex: &mut u32| *vertex = order.get(*vertex as usize).copied().unwrap_or(*vertex);
        for node in &mut self.skeleton.nodes {
            row(&mut node.vertex);
            node.partner.as_mut().map(row);
        }
        self.skeleton.vertices.iter_mut().for_each(row);
        Ok(())
    }
}

/// Values in the order of rows again; a row that has none gets another.
fn back<T: Copy>(order: &[u32], values: impl Iterator<Item = T>, none: T) -> Vec<T> {
    let mut made = vec![none; order.len()];
    for (row, value) in order.iter().zip(values) {
        made.get_mut(*row as usize).into_iter().for_each(|slot| *slot = value);
    }
    made
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
        let ends = self
            .distance
            .iter()
            .fold([f64::MAX, 0.0], |[low, high]: [f64; 2], d| [low.min(*d), high.max(*d)]);
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
                *point = point.map(|x| x * distance);
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
