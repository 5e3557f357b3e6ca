//! A balanced k-d tree over places of four coordinates: three that distances are measured in, and one
//! along the line of sight. Friends-of-friends and neighbours are searched in it.
//!
//! Each node is cut at its median, wherever points lie, so that no scale has to be chosen: co-located
//! points, outliers and any clustering leave it as deep as it is. Points lie in its order, so that a
//! node's are a slice; nodes are complete but for the right edge, so that they need no links.

use rayon::prelude::*;
use std::ops::Range;

/// Points of a leaf, at most.
pub(crate) const LEAF: usize = 16;
/// Levels below which a node's work is one thread's.
pub(crate) const SERIAL: u32 = 8;
/// Points that are looked at to choose a cut.
const SAMPLE: usize = 64;

/// A point, and the row that it came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) at: [f64; 4],
    pub(crate) row: u32,
}

/// The least box around points.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) low: [f64; 4],
    pub(crate) high: [f64; 4],
}

impl Bounds {
    const EMPTY: Self = Self { low: [f64::INFINITY; 4], high: [f64::NEG_INFINITY; 4] };

    fn of<'a>(points: impl Iterator<Item = &'a Point>) -> Self {
        points
            .fold(Self::EMPTY, |bounds, point| bounds.join(Self { low: point.at, high: point.at }))
    }

    fn join(mut self, other: Self) -> Self {
        for axis in 0..4 {
            self.low[axis] = self.low[axis].min(other.low[axis]);
            self.high[axis] = self.high[axis].max(other.high[axis]);
        }
        self
    }

    /// The square of the gap between two boxes in space, and the gap along the line of sight. Rounding
    /// keeps order, and the operations are those of [`separation`] in the same sequence: no two points
    /// of the boxes are computed to be nearer.
    pub(crate) fn gap(&self, other: &Self) -> [f64; 2] {
        let gap = |axis: usize| {
            let apart = (other.low[axis] - self.high[axis]).max(self.low[axis] - other.high[axis]);
            apart.max(0.0)
        };
        [squared([gap(0), gap(1), gap(2)]), gap(3)]
    }

    /// As [`gap`](Self::gap), the bound from above: no two points are computed to be farther apart.
    pub(crate) fn span(&self, other: &Self) -> [f64; 2] {
        let span = |axis: usize| {
            (other.high[axis] - self.low[axis]).max(self.high[axis] - other.low[axis])
        };
        [squared([span(0), span(1), span(2)]), span(3)]
    }

    /// The gap to a point.
    pub(crate) fn gap_to(&self, at: &[f64; 4]) -> [f64; 2] {
        let gap =
            |axis: usize| (at[axis] - self.high[axis]).max(self.low[axis] - at[axis]).max(0.0);
        [squared([gap(0), gap(1), gap(2)]), gap(3)]
    }
}

/// The square of the distance between two points in space, and their distance along the line of sight.
pub(crate) fn separation(a: &[f64; 4], b: &[f64; 4]) -> [f64; 2] {
    [squared([a[0] - b[0], a[1] - b[1], a[2] - b[2]]), (a[3] - b[3]).abs()]
}

fn squared([x, y, z]: [f64; 3]) -> f64 {
    x * x + y * y + z * z
}

/// A node: its level above the leaves, and its number on that level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) level: u32,
    pub(crate) number: usize,
}

/// The tree.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) points: Vec<Point>,
    bounds: Vec<Bounds>,
    /// Where the nodes of each level begin; the root is the last node.
    levels: Vec<usize>,
}

impl Tree {
    /// Orders points (no NaN among them). `scale` says for a row how much a step along the line of
    /// sight counts in space: better balanced boxes, the same answers.
    pub(crate) fn new(mut points: Vec<Point>, scale: impl Fn(u32) -> f64 + Sync) -> Self {
        let leaves = points.len().div_ceil(LEAF).max(1);
        let top = leaves.next_power_of_two().trailing_zeros();
        order(&mut points, top, &scale);
        let mut bounds: Vec<_> =
            points.par_chunks(LEAF).map(|points| Bounds::of(points.iter())).collect();
        bounds.resize(leaves, Bounds::EMPTY);
        let mut levels = vec![0];
        for level in 0..top as usize {
            let begin = levels[level];
            levels.push(bounds.len());
            let pairs = bounds[begin..].par_chunks(2);
            let upper: Vec<_> = pairs
                .map(|pair| pair.iter().fold(Bounds::EMPTY, |all, part| all.join(*part)))
                .collect();
            bounds.extend(upper);
        }
        Self { points, bounds, levels }
    }

    /// The node of all points.
    pub(crate) fn root(&self) -> Node {
        Node { level: self.levels.len() as u32 - 1, number: 0 }
    }

    /// Number of all nodes.
    pub(crate) fn len(&self) -> usize {
        self.bounds.len()
    }

    /// A node's place among all: leaves come first, in order.
    pub(crate) fn index(&self, node: Node) -> usize {
        self.levels[node.level as usize] + node.number
    }

    pub(crate) fn bounds(&self, node: Node) -> &Bounds {
        &self.bounds[self.index(node)]
    }

    /// The places of a node's points.
    pub(crate) fn range(&self, node: Node) -> Range<usize> {
        let width = LEAF << node.level;
        let end = (node.number + 1) * width;
        node.number * width..end.min(self.points.len())
    }

    /// A node's children: nodes on the right edge may have one.
    pub(crate) fn children(&self, node: Node) -> (Node, Option<Node>) {
        let child = |number| Node { level: node.level - 1, number };
        let [level, upper] = [node.level as usize - 1, node.level as usize];
        let count = self.levels[upper] - self.levels[level];
        let second = 2 * node.number + 1;
        (child(second - 1), (second < count).then(|| child(second)))
    }

    /// What is known of leaves, put together for all nodes in the order of [`index`](Self::index).
    pub(crate) fn gather<T: Copy + Send + Sync>(
        &self,
        leaf: impl Fn(Range<usize>) -> T + Sync,
        join: impl Fn(T, T) -> T + Sync,
    ) -> Vec<T> {
        let leaves = self.levels.get(1).copied().unwrap_or(self.bounds.len());
        let whole = |number| leaf(self.range(Node { level: 0, number }));
        let mut all: Vec<T> = (0..leaves).into_par_iter().map(whole).collect();
        for level in 1..self.levels.len() {
            let pairs = all[self.levels[level - 1]..].par_chunks(2);
            let pair = |pair: &[T]| pair[1..].iter().fold(pair[0], |all, part| join(all, *part));
            let upper: Vec<T> = pairs.map(pair).collect();
            all.extend(upper);
        }
        all
    }
}

/// Brings points into the order of the tree below a node.
fn order(points: &mut [Point], level: u32, scale: &(impl Fn(u32) -> f64 + Sync)) {
    let half = LEAF << level.saturating_sub(1);
    if level == 0 {
        return;
    }
    if points.len() <= half {
        return order(points, level - 1, scale);
    }
    let axis = widest(points, scale);
    points.select_nth_unstable_by(half, |a, b| a.at[axis].total_cmp(&b.at[axis]));
    let (left, right) = points.split_at_mut(half);
    if level > SERIAL {
        rayon::join(|| order(left, level - 1, scale), || order(right, level - 1, scale));
    } else {
        order(left, level - 1, scale);
        order(right, level - 1, scale);
    }
}

/// The axis that points extend along most.
fn widest(points: &[Point], scale: &impl Fn(u32) -> f64) -> usize {
    let sample = points.iter().step_by(points.len().div_ceil(SAMPLE));
    let Bounds { low, high } = Bounds::of(sample);
    let mut best = (0, high[0] - low[0]);
    for axis in 1..4 {
        let mut extent = high[axis] - low[axis];
        if axis == 3 {
            extent *= scale(points[points.len() / 2].row);
        }
        if extent > best.1 {
            best = (axis, extent);
        }
    }
    best.0
}
