//! Finds the linked pairs of a sample: the tree against itself.

use super::forest::Forest;
use crate::kd::{Node, Point, SERIAL, Tree, separation};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// What is done with links; members are numbered in the tree's order.
pub(super) trait Links: Sync {
    /// Whether it is components that are sought, so that links within one need not be found.
    const COMPONENTS: bool;

    /// Two members are linked.
    fn link(&self, a: u32, b: u32);

    /// Whether two members are known to be of one component.
    fn are_joined(&self, a: u32, b: u32) -> bool;
}

/// Half of what a member or a node reaches: links need the mean of two.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    /// Least and largest transverse linking length.
    pub(super) across: [f64; 2],
    /// Least and largest linking length along the line of sight.
    pub(super) along: [f64; 2],
}

impl Reach {
    pub(super) fn join(self, other: Self) -> Self {
        let join = |a: [f64; 2], b: [f64; 2]| [a[0].min(b[0]), a[1].max(b[1])];
        Self { across: join(self.across, other.across), along: join(self.along, other.along) }
    }
}

/// A walk over pairs of nodes.
pub(super) struct Walk<'a, L> {
    tree: &'a Tree,
    /// Linking lengths of each member: transverse, line of sight.
    lengths: &'a [[f64; 2]],
    reach: Vec<Reach>,
    /// Nodes whose members are all of one component, as far as is known.
    whole: Vec<AtomicBool>,
    links: &'a L,
}

/// A node on the walk, and whether it is part of a component as a whole.
#[derive(Clone, Copy)]
struct Part {
    node: Node,
    is_whole: bool,
}

impl<'a, L: Links> Walk<'a, L> {
    pub(super) fn new(tree: &'a Tree, lengths: &'a [[f64; 2]], links: &'a L) -> Self {
        let leaf = |range: std::ops::Range<usize>| {
            let start = [f64::INFINITY, f64::NEG_INFINITY];
            let none = Reach { across: start, along: start };
            lengths[range].iter().fold(none, |all, [across, along]| {
                all.join(Reach { across: [*across; 2], along: [*along; 2] })
            })
        };
        let reach = tree.gather(leaf, Reach::join);
        let whole = (0..tree.len()).map(|_| AtomicBool::new(false)).collect();
        Self { tree, lengths, reach, whole, links }
    }

    /// Finds all links.
    pub(super) fn run(&self) {
        if !self.tree.points.is_empty() {
            self.within(self.tree.root());
        }
    }

    fn within(&self, node: Node) {
        if L::COMPONENTS && self.all_link(node, node) {
            self.chain(node, self.first(node));
            self.set_whole(node);
            return;
        }
        if node.level == 0 {
            self.within_leaf(node);
        } else {
            let (left, right) = self.tree.children(node);
            let Some(right) = right else { return self.within(left) };
            if node.level > SERIAL {
                rayon::join(|| self.within(left), || self.within(right));
            } else {
                self.within(left);
                self.within(right);
            }
            self.between(self.part(left, false), self.part(right, false));
        }
        if L::COMPONENTS && self.is_connected(node) {
            self.set_whole(node);
        }
    }

    fn between(&self, a: Part, b: Part) {
        let (reach_a, reach_b) = (self.reach(a.node), self.reach(b.node));
        let [across, along] = self.tree.bounds(a.node).gap(self.tree.bounds(b.node));
        let most = [(reach_a.across[1], reach_b.across[1]), (reach_a.along[1], reach_b.along[1])];
        if !is_linked([across, along], most) {
            return;
        }
        if L::COMPONENTS {
            let (first, other) = (self.first(a.node), self.first(b.node));
            if a.is_whole && b.is_whole && self.links.are_joined(first, other) {
                return;
            }
            if self.all_link(a.node, b.node) {
                self.chain(a.node, other);
                self.chain(b.node, first);
                self.set_whole(a.node);
                self.set_whole(b.node);
                return;
            }
        }
        let (a, b) = if a.node.level >= b.node.level { (a, b) } else { (b, a) };
        if a.node.level == 0 {
            return self.between_leaves(a.node, b.node);
        }
        let (left, right) = self.tree.children(a.node);
        let left = self.part(left, a.is_whole);
        let Some(right) = right else { return self.between(left, b) };
        let right = self.part(right, a.is_whole);
        if a.node.level > SERIAL {
            rayon::join(|| self.between(left, b), || self.between(right, b));
        } else {
            self.between(left, b);
            self.between(right, b);
        }
    }

    fn within_leaf(&self, node: Node) {
        let range = self.tree.range(node);
        let points = &self.tree.points[range.clone()];
        let lengths = &self.lengths[range.clone()];
        for (i, (point, length)) in points.iter().zip(lengths).enumerate() {
            let others = points[i + 1..].iter().zip(&lengths[i + 1..]);
            self.link_near(range.start + i, point, *length, range.start + i + 1, others);
        }
    }

    fn between_leaves(&self, a: Node, b: Node) {
        let (bounds, reach) = (self.tree.bounds(b), self.reach(b));
        let (range, start) = (self.tree.range(a), self.tree.range(b).start);
        let points = &self.tree.points[self.tree.range(b)];
        let lengths = &self.lengths[self.tree.range(b)];
        for member in range {
            let (point, length) = (&self.tree.points[member], self.lengths[member]);
            let most = [(length[0], reach.across[1]), (length[1], reach.along[1])];
            if is_linked(bounds.gap_to(&point.at), most) {
                self.link_near(member, point, length, start, points.iter().zip(lengths));
            }
        }
    }

    /// Links a member to those of others, numbered from `start`, that are near enough.
    fn link_near<'p>(
        &self,
        member: usize,
        point: &Point,
        length: [f64; 2],
        start: usize,
        others: impl Iterator<Item = (&'p Point, &'p [f64; 2])>,
    ) {
        for (i, (other, other_length)) in others.enumerate() {
            let apart = separation(&point.at, &other.at);
            let lengths = [(length[0], other_length[0]), (length[1], other_length[1])];
            if is_linked(apart, lengths) {
                self.links.link(member as u32, (start + i) as u32);
            }
        }
    }

    /// Whether each member of a node is linked to each of another.
    fn all_link(&self, a: Node, b: Node) -> bool {
        let (reach_a, reach_b) = (self.reach(a), self.reach(b));
        let span = self.tree.bounds(a).span(self.tree.bounds(b));
        let least = [(reach_a.across[0], reach_b.across[0]), (reach_a.along[0], reach_b.along[0])];
        is_linked(span, least)
    }

    /// Links a node's members to one.
    fn chain(&self, node: Node, to: u32) {
        for member in self.tree.range(node) {
            self.links.link(to, member as u32);
        }
    }

    fn is_connected(&self, node: Node) -> bool {
        let first = self.first(node);
        if node.level == 0 {
            return self.tree.range(node).all(|member| self.links.are_joined(first, member as u32));
        }
        let (left, right) = self.tree.children(node);
        self.is_whole(left)
            && right.is_none_or(|right| {
                self.is_whole(right) && self.links.are_joined(first, self.first(right))
            })
    }

    fn first(&self, node: Node) -> u32 {
        self.tree.range(node).start as u32
    }

    fn reach(&self, node: Node) -> &Reach {
        &self.reach[self.tree.index(node)]
    }

    fn part(&self, node: Node, is_whole: bool) -> Part {
        Part { node, is_whole: is_whole || (L::COMPONENTS && self.is_whole(node)) }
    }

    fn is_whole(&self, node: Node) -> bool {
        self.whole[self.tree.index(node)].load(Relaxed)
    }

    fn set_whole(&self, node: Node) {
        self.whole[self.tree.index(node)].store(true, Relaxed);
    }
}

/// Whether a distance squared and one along the line of sight are within the means of linking lengths.
fn is_linked([across, along]: [f64; 2], [lengths, depths]: [(f64, f64); 2]) -> bool {
    let (length, depth) = ((lengths.0 + lengths.1) * 0.5, (depths.0 + depths.1) * 0.5);
    along <= depth && across <= length * length
}

impl Links for Forest {
    const COMPONENTS: bool = true;

    fn link(&self, a: u32, b: u32) {
        self.join(a, b);
    }

    fn are_joined(&self, a: u32, b: u32) -> bool {
        self.root(a) == self.root(b)
    }
}

/// Links as they are, for who wants to see or count them.
pub(super) struct Visit<F>(pub(super) F);

impl<F: Fn(u32, u32) + Sync> Links for Visit<F> {
    const COMPONENTS: bool = false;

    fn link(&self, a: u32, b: u32) {
        self.0(a, b);
    }

    fn are_joined(&self, _: u32, _: u32) -> bool {
        false
    }
}
