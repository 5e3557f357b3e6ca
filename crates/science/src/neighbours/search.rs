//! The nearest points of a tree.

use crate::kd::{Node, Point, Tree, separation};

/// Squared distances in space of the `K` points nearest to one, ascending, infinite where there are
/// fewer. The point's own row is left out, and so is what is not less than `window` away along the line
/// of sight.
pub(super) fn nearest<const K: usize>(tree: &Tree, point: &Point, window: f64) -> [f64; K] {
    let mut search = Search { tree, point, window, best: [f64::INFINITY; K] };
    if !tree.points.is_empty() {
        search.within(tree.root());
    }
    search.best
}

struct Search<'a, const K: usize> {
    tree: &'a Tree,
    point: &'a Point,
    window: f64,
    best: [f64; K],
}

impl<const K: usize> Search<'_, K> {
    fn within(&mut self, node: Node) {
        if node.level == 0 {
            return self.look(node);
        }
        let (left, right) = self.tree.children(node);
        let first = self.gap(left);
        let Some(right) = right else { return self.enter(left, first) };
        let second = self.gap(right);
        if first <= second {
            self.enter(left, first);
            self.enter(right, second);
        } else {
            self.enter(right, second);
            self.enter(left, first);
        }
    }

    fn enter(&mut self, node: Node, gap: f64) {
        // what is as far as the last is no nearer: so points in one place are not all looked at
        if gap < self.best[K - 1] {
            self.within(node);
        }
    }

    /// How near a node's points may be: infinite if the window excludes them.
    fn gap(&self, node: Node) -> f64 {
        let [across, along] = self.tree.bounds(node).gap_to(&self.point.at);
        if along < self.window { across } else { f64::INFINITY }
    }

    fn look(&mut self, leaf: Node) {
        for other in &self.tree.points[self.tree.range(leaf)] {
            let [across, along] = separation(&self.point.at, &other.at);
            if across < self.best[K - 1] && along < self.window && other.row != self.point.row {
                self.insert(across);
            }
        }
    }

    fn insert(&mut self, distance: f64) {
        let mut place = K - 1;
        while place > 0 && self.best[place - 1] > distance {
            self.best[place] = self.best[place - 1];
            place -= 1;
        }
        self.best[place] = distance;
    }
}
