//! Union-find that threads share without locks: components as they grow.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A forest over numbered members: each tree is a component, and its root the smallest number in it.
///
/// A root is only ever hung below a smaller number, by one compare-and-swap. So parents are smaller than
/// their children, no cycle can come to be, and whatever order unions are made in, a component ends with
/// the one root that was never hung: its smallest member. No other memory is published through the
/// parents, so that relaxed order suffices; the threads' join orders the end.
#[derive(Debug)]
pub(super) struct Forest(Vec<AtomicU32>);

impl Forest {
    pub(super) fn new(members: u32) -> Self {
        Self((0..members).map(AtomicU32::new).collect())
    }

    /// Smallest known member of a component; halves the path on its way.
    pub(super) fn root(&self, mut member: u32) -> u32 {
        loop {
            let parent = self.0[member as usize].load(Relaxed);
            let above = self.0[parent as usize].load(Relaxed);
            if parent == above {
                return parent;
            }
            // a lost race leaves a longer path, never a wrong one
            let place = &self.0[member as usize];
            let _ = place.compare_exchange(parent, above, Relaxed, Relaxed);
            member = above;
        }
    }

    /// Makes one component of two members' ones.
    pub(super) fn join(&self, a: u32, b: u32) {
        let (mut a, mut b) = (a, b);
        loop {
            (a, b) = (self.root(a), self.root(b));
            if a == b {
                return;
            }
            let (low, high) = (a.min(b), a.max(b));
            if self.0[high as usize].compare_exchange(high, low, Relaxed, Relaxed).is_ok() {
                return;
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
