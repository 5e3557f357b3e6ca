//! The filaments of the cosmic web: lines along ridges of density, from passes to peaks.
//!
//! On the vertices' order from the highest density to the lowest, critical cells are
//!
//! | cell | is a | of density |
//! |:--|:--|:--|
//! | vertex | [`Kind::Maximum`] | peak |
//! | edge | [`Kind::Saddle2`] | pass between peaks: the filament's lowest point |
//! | triangle | [`Kind::Saddle1`] | lowest point of a wall |
//! | tetrahedron | [`Kind::Minimum`] | void |
//!
//! so that filaments run along edges of the mesh, from galaxy to galaxy. (DisPerSE orders the other way
//! round and has peaks in cells. On a mesh without boundary the pairs are the same.) A critical cell's place
//! and density are those of its vertex of least density.
//!
//! Pairs whose ratio of densities is below a [`Threshold`] are cancelled. What cancelling does to paths does
//! not depend on the sequence: the paths of vertices and the cancelled passes are a forest, with one peak
//! that is left in each tree, and a filament goes to that peak. Where filaments run together they are one
//! from there on, and the place is a [`Kind::Bifurcation`] (as after DisPerSE's `-breakdown`). Passes whose
//! two filaments lead to the same peak are kept (as with `-forceLoops`).
//!
//! **Boundary.** Where density is flagged ([`crate::dtfe::Density::boundary`]) nodes are, and filaments that
//! touch such a vertex; both are left out unless [`Options::keep_boundary`] (as with `-rmBoundary`).
//!
//! Sources: Sousbie 2011 (MNRAS 414, 350); Sousbie, Pichon & Kawahara 2011 (MNRAS 414, 384).

mod forest;
#[cfg(test)]
mod tests;
mod threshold;

pub use threshold::Threshold;

use crate::dtfe::{self, Density};
use crate::morse::{self, Block, Complex, Order, Pairs};
use crate::patch::Patch;
use crate::star::Stars;
use forest::Forest;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;

/// Why there is no skeleton.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// No gradient.
    #[error(transparent)]
    Morse(#[from] morse::Error),
    /// No density.
    #[error(transparent)]
    Density(#[from] dtfe::Error),
    /// A density that has no ratio to others.
    #[error("the density of vertex {0} is not a finite number from 0 up")]
    Negative(usize),
    /// Critical cells or pairs of another mesh.
    #[error("critical cells, pairs and densities are not of one mesh")]
    Foreign,
    /// A threshold that is none.
    #[error("a threshold is a number of sigmas from 0 to 8, or a ratio from 1 up, not {0}")]
    Threshold(f64),
}

/// What is kept, and how it is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Pairs below are cancelled.
    pub threshold: Threshold,
    /// How often each point of a filament but its ends moves to the mean of itself and its two neighbours.
    pub smooth: usize,
    /// Whether what lies on the boundary stays.
    pub keep_boundary: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { threshold: Threshold::Sigma(3.0), smooth: 1, keep_boundary: false }
    }
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Void.
    Minimum,
    /// Lowest point of a wall.
    Saddle1,
    /// Lowest point of a filament.
    Saddle2,
    /// Peak.
    Maximum,
    /// Where filaments join.
    Bifurcation,
}

/// A point that filaments end at, or another critical point that is left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Its vertex.
    pub vertex: u32,
    /// Density at the vertex.
    pub density: f64,
    /// Ratio of densities of the persistence pair, the higher over the lower: infinite without a partner.
    /// Of a bifurcation, the greatest of the passes whose filaments run through.
    pub persistence: f64,
    /// The vertex of the pair's other cell.
    pub partner: Option<u32>,
    /// Whether the density at the vertex is flagged.
    pub boundary: bool,
}

/// A line between two nodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Filament {
    /// The node it begins at: a pass, or a bifurcation.
    pub from: u32,
    /// The node it ends at: a peak, a bifurcation, or another pass that its way leads over.
    pub to: u32,
    /// Which points it has, both nodes among them.
    pub points: Range<usize>,
    /// The greatest persistence of passes whose filaments run through.
    pub persistence: f64,
    /// How it stands out: the median along it of a vertex's density over that of its surroundings, which
    /// is the median of those that share an edge with the vertex and are not on the line.
    pub robustness: f64,
    /// Whether one of its vertices is flagged.
    pub boundary: bool,
}

/// Nodes and filaments.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Skeleton {
    /// Nodes, by density from the highest to the lowest.
    pub nodes: Vec<Node>,
    /// Filaments, by the nodes they begin at.
    pub filaments: Vec<Filament>,
    /// Vertices that filaments run through.
    pub vertices: Vec<u32>,
    /// Where these vertices are, smoothed.
    pub points: Vec<[f64; 3]>,
}

/// What the vertices of a whole mesh are like, however it was cut.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// Positions.
    pub positions: &'a [[f64; 3]],
    /// Densities, and where they are flagged.
    pub density: &'a Density,
    /// The order of densities, descending.
    pub order: &'a Order,
}

/// A skeleton but for how filaments stand out, which blocks are asked for.
#[derive(Debug)]
pub struct Tracing<'a> {
    field: Field<'a>,
    options: Options,
    critical: Rated,
    forest: Forest,
    ratios: [f64; 3],
    /// Where each line's vertices begin among those of all lines.
    begins: Vec<u32>,
}

/// How vertices of lines stand out: the place of each among those of all lines, and its density over that
/// of its surroundings.
pub type Contrast = (u32, f64);

impl<'a> Tracing<'a> {
    /// Finds the lines of critical cells and pairs on the descending order of densities.
    ///
    /// # Errors
    /// Densities that are not one for each vertex, finite, and from 0 up; a threshold that is none; what is
    /// not of one mesh.
    pub fn new(
        complex: &Complex,
        pairs: &Pairs,
        field: Field<'a>,
        options: &Options,
    ) -> Result<Self, Error> {
        let ratios = options.threshold.ratios()?;
        check(&field.density.values)?;
        let expected = field.positions.len();
        for found in
            [field.density.values.len(), field.density.boundary.len(), field.order.rank.len()]
        {
            if found != expected {
                return Err(dtfe::Error::Length { found, expected }.into());
            }
        }
        if complex.ranks_end() != expected || !pairs.are_of(complex) {
            return Err(Error::Foreign);
        }
        let critical = Rated::new(complex, pairs, field);
        let forest = Forest::new(complex, &critical, ratios);
        let mut end = 0;
        let begin = |line: &forest::Line| {
            end += line.ranks.len() as u32;
            end - line.ranks.len() as u32
        };
        let begins = forest.lines.iter().map(begin).collect();
        Ok(Self { field, options: *options, critical, forest, ratios, begins })
    }

    /// What a block says of the vertices of lines that are its own.
    #[must_use]
    pub fn contrasts(&self, block: &Block<'_>) -> Vec<Contrast> {
        let lines = self.forest.lines.par_iter().zip(&self.begins);
        let contrasts = |(line, begin): (&forest::Line, &u32)| {
            let mut own = line.ranks.clone();
            own.sort_unstable();
            let contrast = |(place, rank): (u32, &u32)| {
                let mut around = block.around(*rank)?;
                around.retain(|rank| own.binary_search(rank).is_err());
                // ranks are by density, so the middle one has the median
                let middle = around.get(around.len() / 2)?;
                Some((place, ratio(self.density(*rank), self.density(*middle))))
            };
            (*begin..).zip(&line.ranks).filter_map(contrast).collect::<Vec<_>>()
        };
        lines.flat_map_iter(contrasts).collect()
    }

    /// The skeleton, with what all blocks say.
    #[must_use]
    pub fn finish(self, contrasts: impl IntoIterator<Item = Contrast>) -> Skeleton {
        let count = self.forest.lines.iter().map(|line| line.ranks.len()).sum();
        let mut all = vec![f64::NAN; count];
        for (place, contrast) in contrasts {
            all.get_mut(place as usize).into_iter().for_each(|slot| *slot = contrast);
        }
        let mut made = Skeleton::default();
        let numbers = made.add_nodes(&self.critical, &self.forest, self.field, self.ratios);
        for (line, begin) in self.forest.lines.iter().zip(&self.begins) {
            let begin = *begin as usize;
            let contrasts = &mut all[begin..begin + line.ranks.len()];
            made.add_filament(line, robustness(contrasts), &numbers, self.field, &self.options);
        }
        if !self.options.keep_boundary {
            made.drop_boundary();
        }
        made
    }

    fn density(&self, rank: u32) -> f64 {
        self.field.density.values[self.field.order.vertices[rank as usize] as usize]
    }
}

impl Skeleton {
    /// The skeleton of density on a whole mesh.
    ///
    /// # Errors
    /// A mesh that is no manifold; densities that are not one for each vertex, finite, and from 0 up; a
    /// threshold that is none.
    pub fn new(stars: &Stars, density: &Density, options: &Options) -> Result<Self, Error> {
        options.threshold.ratios()?;
        check(&density.values)?;
        let patch = Patch::whole(stars.mesh());
        let order = Order::descending(&density.values)?;
        let (block, found) = Block::new(&patch, stars, &order)?;
        let complex = Complex::new(order.rank.len(), [found])?;
        let blocks = [block];
        let pairs = complex.pairs(&blocks)?;
        let field = Field { positions: stars.mesh().vertices, density, order: &order };
        Self::trace(&complex, &pairs, field, options, &blocks)
    }

    /// The skeleton of critical cells and pairs on the descending order of densities, with all blocks at
    /// hand: of the same pairs for another threshold, or of a mesh in several blocks.
    ///
    /// # Errors
    /// As [`Tracing::new`].
    pub fn trace(
        complex: &Complex,
        pairs: &Pairs,
        field: Field,
        options: &Options,
        blocks: &[Block],
    ) -> Result<Self, Error> {
        let tracing = Tracing::new(complex, pairs, field, options)?;
        let contrasts: Vec<Contrast> =
            blocks.iter().flat_map(|block| tracing.contrasts(block)).collect();
        Ok(tracing.finish(contrasts))
    }

    /// Points of a filament.
    #[must_use]
    pub fn line(&self, filament: &Filament) -> &[[f64; 3]] {
        self.points.get(filament.points.clone()).unwrap_or_default()
    }

    /// All pieces of filaments.
    #[must_use]
    pub fn segments(&self) -> Vec<[[f64; 3]; 2]> {
        let pieces = |filament| self.line(filament).windows(2).map(|ends| [ends[0], ends[1]]);
        self.filaments.iter().flat_map(pieces).collect()
    }

    /// One node for all critical cells of a kind at a vertex, the most persistent; and one for each
    /// bifurcation. Says which node filaments that meet at a rank have.
    fn add_nodes(
        &mut self,
        critical: &Rated,
        forest: &Forest,
        field: Field,
        ratios: [f64; 3],
    ) -> BTreeMap<u32, u32> {
        let kinds = [Kind::Maximum, Kind::Saddle2, Kind::Saddle1, Kind::Minimum];
        let mut nodes = BTreeMap::new();
        for (kind, rated) in kinds.into_iter().zip(&critical.0) {
            for one in rated.iter().filter(|one| one.is_kept(ratios)) {
                let node = nodes.entry((one.rank, kind)).or_insert((one.ratio, one.partner));
                if one.ratio > node.0 {
                    *node = (one.ratio, one.partner);
                }
            }
        }
        nodes.extend(
            forest.joins.iter().map(|&(rank, ratio)| ((rank, Kind::Bifurcation), (ratio, None))),
        );
        let mut numbers = BTreeMap::new();
        for ((rank, kind), (persistence, partner)) in nodes {
            if matches!(kind, Kind::Maximum | Kind::Saddle2 | Kind::Bifurcation) {
                numbers.insert(rank, self.nodes.len() as u32);
            }
            let vertex = field.order.vertices[rank as usize];
            self.nodes.push(Node {
                kind,
                vertex,
                density: field.density.values[vertex as usize],
                persistence,
                partner: partner.map(|rank| field.order.vertices[rank as usize]),
                boundary: field.density.boundary[vertex as usize],
            });
        }
        numbers
    }

    fn add_filament(
        &mut self,
        line: &forest::Line,
        robustness: f64,
        numbers: &BTreeMap<u32, u32>,
        field: Field,
        options: &Options,
    ) {
        let node = |rank: Option<&u32>| rank.and_then(|rank| numbers.get(rank)).copied();
        let (Some(from), Some(to)) = (node(line.ranks.first()), node(line.ranks.last())) else {
            return;
        };
        let begin = self.points.len();
        let vertices = line.ranks.iter().map(|&rank| field.order.vertices[rank as usize]);
        self.vertices.extend(vertices.clone());
        self.points.extend(vertices.clone().map(|vertex| field.positions[vertex as usize]));
        for _ in 0..options.smooth {
            smooth(&mut self.points[begin..]);
        }
        self.filaments.push(Filament {
            from,
            to,
            points: begin..self.points.len(),
            persistence: line.ratio,
            robustness,
            boundary: vertices.into_iter().any(|vertex| field.density.boundary[vertex as usize]),
        });
    }

    fn drop_boundary(&mut self) {
        let mut places = Vec::with_capacity(self.nodes.len());
        let mut left = 0;
        for node in &self.nodes {
            places.push(left);
            left += u32::from(!node.boundary);
        }
        self.nodes.retain(|node| !node.boundary);
        let old = std::mem::take(self);
        self.nodes = old.nodes;
        for mut filament in old.filaments.into_iter().filter(|filament| !filament.boundary) {
            let begin = self.points.len();
            self.points.extend_from_slice(&old.points[filament.points.clone()]);
            self.vertices.extend_from_slice(&old.vertices[filament.points.clone()]);
            filament.points = begin..self.points.len();
            (filament.from, filament.to) =
                (places[filament.from as usize], places[filament.to as usize]);
            self.filaments.push(filament);
        }
    }
}

fn check(values: &[f64]) -> Result<(), Error> {
    match values.iter().position(|value| !(value.is_finite() && *value >= 0.0)) {
        Some(vertex) => Err(Error::Negative(vertex)),
        None => Ok(()),
    }
}

fn smooth(points: &mut [[f64; 3]]) {
    let Some(&(mut before)) = points.first() else { return };
    for at in 1..points.len().saturating_sub(1) {
        let (own, after) = (points[at], points[at + 1]);
        points[at] = std::array::from_fn(|axis| (before[axis] + own[axis] + after[axis]) / 3.0);
        before = own;
    }
}

/// The median of contrasts that are known; 1 if none is.
fn robustness(contrasts: &mut [f64]) -> f64 {
    // what is not known comes last
    contrasts.sort_unstable_by(f64::total_cmp);
    let known = contrasts.partition_point(|contrast| !contrast.is_nan());
    contrasts[..known].get(known / 2).copied().unwrap_or(1.0)
}

/// A higher density over a lower one: 1 where both are 0.
fn ratio(high: f64, low: f64) -> f64 {
    if high == low { 1.0 } else { high / low }
}

/// A critical cell, the ratio of its pair, and the kind of pair.
#[derive(Debug, Clone, Copy)]
struct Rating {
    /// Rank of its last vertex.
    rank: u32,
    /// Ratio of densities; infinite without a partner.
    ratio: f64,
    /// Rank of the partner's last vertex.
    partner: Option<u32>,
    /// Which threshold the pair has.
    threshold: u8,
}

impl Rating {
    fn is_kept(&self, ratios: [f64; 3]) -> bool {
        self.ratio >= ratios[usize::from(self.threshold)]
    }
}

/// All critical cells by dimension, in the order of the [`Complex`].
#[derive(Debug)]
struct Rated([Vec<Rating>; 4]);

impl Rated {
    fn new(complex: &Complex, pairs: &Pairs, field: Field) -> Self {
        let alone = |rank| Rating { rank, ratio: f64::INFINITY, partner: None, threshold: 0 };
        let mut all = [
            complex.vertices.iter().map(|&rank| alone(rank)).collect::<Vec<_>>(),
            complex.edges.iter().map(|edge| alone(edge.ranks[0])).collect(),
            complex.triangles.iter().map(|triangle| alone(triangle.ranks[0])).collect(),
            complex.tetrahedra.iter().map(|ranks| alone(ranks[0])).collect(),
        ];
        let density =
            |rank: u32| field.density.values[field.order.vertices[rank as usize] as usize];
        let kinds = [&pairs.vertex_edge, &pairs.edge_triangle, &pairs.triangle_tetrahedron];
        for (dimension, (pairs, threshold)) in kinds.into_iter().zip([2, 1, 0]).enumerate() {
            for &(born, died) in pairs {
                let (born, died) = (born as usize, died as usize);
                let ranks = [all[dimension][born].rank, all[dimension + 1][died].rank];
                let ratio = ratio(density(ranks[0]), density(ranks[1]));
                let paired =
                    |rank, partner| Rating { rank, ratio, partner: Some(partner), threshold };
                all[dimension][born] = paired(ranks[0], ranks[1]);
                all[dimension + 1][died] = paired(ranks[1], ranks[0]);
            }
        }
        Self(all)
    }
}
