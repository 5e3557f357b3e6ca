//! The cosmic web of points from density to distances and classes, block by block: what is the same to the
//! last bit however many blocks there are, and whoever makes which.
//!
//! Steps are done in parts, one a block, whose outputs a [`Work`] keeps; a run that is ended goes on with
//! the first part that is missing. What stays in memory all the while is little for each point; a block is
//! made or read, used and dropped.
//!
//! | step | parts | output, bytes a point | |
//! |:--|:--|--:|:--|
//! | `mesh` | blocks | 220 to 260 | cells with a vertex of the block; none of one block alone, which keeps its mesh |
//! | `density` | blocks | 12 | DTFE, flags, duplicates |
//! | `smooth N` | blocks | 12 | density averaged over neighbours |
//! | `gradient` | blocks | 31 to 40 | how simplices are matched; critical cells; where paths lead |
//! | `boundaries N` | blocks | | what becomes of edges that critical triangles' boundaries have |
//! | `pairs` | 1 | | persistence pairs |
//! | `contrasts` | blocks | | how vertices on filaments stand out |
//! | `distances` | blocks | 16 | from points to filaments and to peaks |
//! | `classes N` | blocks | 1 | of galaxies by ASTRA, with the Nth set of random points |
//!
//! The order of densities, the gathering of critical cells and the tracing of filaments are of the whole,
//! and quick: each process does them for itself.

mod cells;
mod classes;
#[cfg(test)]
mod tests;

pub use classes::{Realisations, classify};

use crate::curve::morton;
use crate::distance::{self, Segments};
use crate::dtfe::{self, Density};
use crate::morse::{self, Answer, Block, Complex, Found, Gathering, Order, Pairing, Pairs};
use crate::skeleton::{self, Contrast, Field, Kind, Options, Skeleton, Tracing};
use crate::tiles::Tiles;
use crate::work::{Bytes, Failure, Torn, Work, put};
use crate::{astra, delaunay, star};
use cells::Cells;
use rayon::prelude::*;

/// What the web is made with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// How many blocks, at least one: see [`blocks`].
    pub blocks: usize,
    /// How often densities are averaged over neighbours before filaments are looked for.
    pub smooth_density: usize,
    /// What is kept of filaments.
    pub options: Options,
}

impl Default for Settings {
    fn default() -> Self {
        Self { blocks: 1, smooth_density: 1, options: Options::default() }
    }
}

/// Why there is no web.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each is the error of a kernel, in its own words")]
pub enum Error {
    #[error(transparent)]
    Delaunay(#[from] delaunay::Error),
    #[error(transparent)]
    Mesh(#[from] star::Error),
    #[error(transparent)]
    Density(#[from] dtfe::Error),
    #[error(transparent)]
    Morse(#[from] morse::Error),
    #[error(transparent)]
    Skeleton(#[from] skeleton::Error),
    #[error(transparent)]
    Distance(#[from] distance::Error),
    #[error(transparent)]
    Class(#[from] astra::Error),
    /// A store that has lost an output, or cannot keep one.
    #[error(transparent)]
    Work(Failure),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure.downcast() {
            Ok(own) => *own,
            Err(other) => Self::Work(other),
        }
    }
}

impl From<Torn> for Error {
    fn from(torn: Torn) -> Self {
        Self::Work(torn.into())
    }
}

/// The web of points; arrays have an entry a point, NaN where a quantity is not known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Web {
    /// Tetrahedra.
    pub cells: u64,
    /// Points by unit of volume; NaN on the hull.
    pub density: Vec<f64>,
    /// Whether the hull is near.
    pub is_boundary: Vec<bool>,
    /// The filaments; their vertices are the points' numbers.
    pub skeleton: Skeleton,
    /// To the nearest filament.
    pub dist_filament: Vec<f64>,
    /// To the nearest peak that filaments end at.
    pub dist_node: Vec<f64>,
}

/// Bytes of a point that are in memory whatever the blocks: measured are 121 for the web, and 245 where
/// classes with as many random points are made after it; the caller's positions are among them.
const WHOLE: f64 = 260.0;
/// Bytes of a point of a block, or around it, while the block is made: measured are 354.
const OF_A_BLOCK: f64 = 450.0;
/// Bytes of a point in one block: measured are 362 for the web, and 750 for classes after it.
const ALONE: f64 = 800.0;
/// Most blocks that are worth it: of more, what is around them outweighs them.
pub const MOST_BLOCKS: usize = 4096;

/// How many blocks let the web of so many points, and classes with as many random points, be made within so
/// many bytes:
///
/// ```text
/// 1 block     800 · points ≤ bytes
/// more        260 · points + 450 · n · (1 + 6 / ∛n)³ ≤ bytes        n = points / blocks
/// ```
///
/// 260 bytes are for what is whole, 450 for a block's points and those within three mean distances of it.
/// None, if no number of blocks does.
#[must_use]
pub fn blocks(points: usize, bytes: u64) -> Option<usize> {
    (1..=MOST_BLOCKS).find(|blocks| need(points, *blocks) <= bytes as f64)
}

/// The fewest bytes within which the web of so many points, and classes with as many random points, can be made.
#[must_use]
pub fn least_bytes(points: usize) -> u64 {
    let needs = (1..=MOST_BLOCKS).map(|blocks| need(points, blocks));
    needs.fold(f64::INFINITY, f64::min).ceil() as u64
}

/// Bytes for so many points in so many blocks.
fn need(points: usize, blocks: usize) -> f64 {
    if blocks == 1 {
        return ALONE * points as f64;
    }
    let own = points as f64 / blocks as f64;
    let around = (1.0 + 6.0 / own.max(1.0).cbrt()).powi(3);
    WHOLE * points as f64 + OF_A_BLOCK * own * around
}

/// Makes the web; `work` keeps what is made of these positions with these settings. `told` hears which step begins: `tessellation`, `density`, `skeleton`, `distances`.
///
/// # Errors
/// [`Error`]. Points that span no tetrahedron have a web in which nothing is known.
pub fn find(
    positions: &[[f64; 3]],
    settings: &Settings,
    work: &dyn Work,
    told: &dyn Fn(&'static str),
) -> Result<Web, Error> {
    let _ratios = settings.options.threshold.ratios()?;
    delaunay::check(positions)?;
    told("tessellation");
    let rows = morton(positions);
    let sorted: Vec<[f64; 3]> = rows.par_iter().map(|row| positions[*row as usize]).collect();
    let tiles = Tiles::new(&sorted, settings.blocks);
    let cells = Cells::new(&sorted, &tiles, work)?;
    told("density");
    let (mut web, mut density) = densities(&cells, work)?;
    for pass in 0..settings.smooth_density {
        smooth(&cells, work, pass, &mut density.values)?;
    }
    told("skeleton");
    let order = Order::descending(&density.values).map_err(Error::Morse)?;
    let field = Field { positions: &sorted, density: &density, order: &order };
    web.skeleton = skeleton(&cells, work, field, &settings.options)?;
    drop(cells);
    told("distances");
    drop((density, order));
    web.find_distances(&sorted, settings.blocks.max(1), work)?;
    web.name(&rows);
    Ok(web)
}

/// Densities as they are known at points, and as the mesh has them at vertices.
fn densities(cells: &Cells<'_>, work: &dyn Work) -> Result<(Web, Density), Error> {
    let extent = dtfe::extent(cells.positions)?;
    work.each("density", cells.count(), &|block| Ok(cells.density(block, extent)?))?;
    let count = cells.positions.len();
    let mut web = Web::default();
    let mut density = Density { values: vec![0.0; count], boundary: vec![true; count] };
    let (mut flagged, mut duplicates) = (Vec::new(), Vec::new());
    for block in 0..cells.count() {
        let output = work.read("density", block)?;
        let mut bytes = Bytes(&output);
        let ids: Vec<u32> = bytes.list()?;
        scatter(&mut density.values, &ids, &bytes.list()?);
        scatter(&mut density.boundary, &ids, &vec![false; ids.len()]);
        flagged.extend(bytes.list::<u32>()?);
        duplicates.extend(bytes.list::<[u32; 2]>()?);
        web.cells += bytes.list::<u64>()?.iter().sum::<u64>();
    }
    work.forget("density");
    let flags = vec![true; flagged.len()];
    scatter(&mut density.boundary, &flagged, &flags);
    drop((flagged, flags));
    // nothing is known of a cell that has no end; points at one place have one vertex
    let known = |value: &f64| if *value > 0.0 { *value } else { f64::NAN };
    web.density = density.values.par_iter().map(known).collect();
    web.is_boundary.clone_from(&density.boundary);
    astra::copy(&mut web.density, &duplicates);
    astra::copy(&mut web.is_boundary, &duplicates);
    Ok((web, density))
}

fn smooth(
    cells: &Cells<'_>,
    work: &dyn Work,
    pass: usize,
    values: &mut [f64],
) -> Result<(), Error> {
    let step = format!("smooth {pass}");
    let before = &*values;
    work.each(&step, cells.count(), &|block| Ok(cells.smooth(block, before)?))?;
    for block in 0..cells.count() {
        let output = work.read(&step, block)?;
        let mut bytes = Bytes(&output);
        scatter(values, &bytes.list()?, &bytes.list()?);
    }
    work.forget(&step);
    Ok(())
}

fn skeleton(
    cells: &Cells<'_>,
    work: &dyn Work,
    field: Field<'_>,
    options: &Options,
) -> Result<Skeleton, Error> {
    let order = field.order;
    work.each("gradient", cells.count(), &|block| Ok(cells.gradient(block, order)?))?;
    let mut gathering = Gathering::new(cells.positions.len());
    for block in 0..cells.count() {
        gathering.add(Found::read(&mut Bytes(&work.read("gradient", block)?))?)?;
    }
    let complex = gathering.finish()?;
    let pairs = pairs(cells, work, order, &complex)?;
    let tracing = Tracing::new(&complex, &pairs, field, options)?;
    work.each("contrasts", cells.count(), &|number| {
        let (places, values): (Vec<u32>, Vec<f64>) =
            cells.block(number, order, |block| tracing.contrasts(block))?.into_iter().unzip();
        let mut out = Vec::new();
        put(&mut out, &places);
        put(&mut out, &values);
        Ok(out)
    })?;
    let mut contrasts: Vec<Contrast> = Vec::new();
    for block in 0..cells.count() {
        let output = work.read("contrasts", block)?;
        let mut bytes = Bytes(&output);
        contrasts.extend(bytes.list()?.into_iter().zip(bytes.list::<f64>()?));
    }
    work.forget("contrasts");
    work.forget("gradient");
    work.forget("mesh");
    Ok(tracing.finish(contrasts))
}

fn pairs(
    cells: &Cells<'_>,
    work: &dyn Work,
    order: &Order,
    complex: &Complex,
) -> Result<Pairs, Error> {
    let mut pairing = Pairing::new(complex);
    for round in 0.. {
        if !pairing.is_open() {
            break;
        }
        let step = format!("boundaries {round}");
        work.each(&step, cells.count(), &|number| {
            let answer = |block: &Block<'_>| pairing.answer(number as u32, block);
            let answers = match pairing.asks(number as u32) {
                true => cells.block(number, order, answer)?,
                false => Vec::new(),
            };
            Ok(Answer::write(&answers))
        })?;
        let answers: Result<Vec<Vec<Answer>>, Failure> =
            (0..cells.count()).map(|block| Answer::read(&work.read(&step, block)?)).collect();
        pairing.take(answers?)?;
        work.forget(&step);
    }
    work.each("pairs", 1, &|_| Ok(pairing.finish().map_err(Error::Morse)?.write()))?;
    let pairs = Pairs::read(&work.read("pairs", 0)?)?;
    work.forget("pairs");
    Ok(pairs)
}

impl Web {
    fn find_distances(
        &mut self,
        positions: &[[f64; 3]],
        parts: usize,
        work: &dyn Work,
    ) -> Result<(), Error> {
        let peaks = self.skeleton.nodes.iter().filter(|node| node.kind == Kind::Maximum);
        let peaks: Vec<[f64; 3]> = peaks.map(|node| positions[node.vertex as usize]).collect();
        let trees = [Segments::new(&self.skeleton.segments())?, Segments::of_points(&peaks)?];
        work.each("distances", parts, &|part| {
            let end = |part: usize| positions.len() * part / parts;
            let mut out = Vec::new();
            for tree in &trees {
                let near = positions[end(part)..end(part + 1)].par_iter().with_min_len(256);
                let distance =
                    |point: &[f64; 3]| tree.nearest(*point).map_or(f64::NAN, |n| n.distance);
                put(&mut out, &near.map(distance).collect::<Vec<f64>>());
            }
            Ok(out)
        })?;
        for part in 0..parts {
            let output = work.read("distances", part)?;
            let mut bytes = Bytes(&output);
            self.dist_filament.extend(bytes.list::<f64>()?);
            self.dist_node.extend(bytes.list::<f64>()?);
        }
        work.forget("distances");
        Ok(())
    }

    /// Puts what is in the order of `rows` into that of the points again, which are named by their numbers.
    fn name(&mut self, rows: &[u32]) {
        for values in [&mut self.density, &mut self.dist_filament, &mut self.dist_node] {
            *values = back(rows, values, f64::NAN);
        }
        self.is_boundary = back(rows, &self.is_boundary, true);
        let row = |vertex: &mut u32| *vertex = rows[*vertex as usize];
        for node in &mut self.skeleton.nodes {
            row(&mut node.vertex);
            node.partner.as_mut().map(row);
        }
        self.skeleton.vertices.iter_mut().for_each(row);
    }
}

fn back<T: Copy>(rows: &[u32], values: &[T], none: T) -> Vec<T> {
    let mut made = vec![none; rows.len()];
    scatter(&mut made, rows, values);
    made
}

fn scatter<T: Copy>(into: &mut [T], places: &[u32], values: &[T]) {
    for (place, value) in places.iter().zip(values) {
        into.get_mut(*place as usize).into_iter().for_each(|slot| *slot = *value);
    }
}
