//! Insertion by several threads at once: each has a region, and leaves alone the cells that reach beyond
//! it. Points that would change such cells wait for the next pass, which has its borders elsewhere.
//!
//! A cell belongs to a region if its vertices do, and what comes in its place does again. So no cell is
//! written by two threads, and none is read by one while another writes it, but for neighbours of cells
//! on borders, each of which is one thread's alone.

use super::Error;
use super::build::{Build, cells_of};
use super::insert::{Inserter, Outcome, Region};
use crate::wanted::Wanted;
use rayon::prelude::*;

/// Most regions.
const MOST_REGIONS: usize = 64;
/// Passes before the rest is inserted by one thread.
const PASSES: usize = 4;
/// Points after which it is asked whether any of it is wanted.
const BETWEEN: usize = 4096;

/// What a thread is to insert, and what it did.
struct Share<'v> {
    region: Region,
    /// At the end the first `waiting` of them are those that wait.
    vertices: &'v mut [u32],
    fresh: std::ops::Range<u32>,
    free: Vec<u32>,
    last: u32,
    duplicates: Vec<[u32; 2]>,
    waiting: usize,
}

impl Build {
    /// Inserts vertices, by several threads where they are many. The cells do not depend on how many
    /// threads there are, nor does their order.
    ///
    /// # Errors
    ///
    /// [`Error::TooMany`] if there is no room for their cells; [`Error::Unwanted`].
    pub fn insert_by_regions(
        &mut self,
        mut vertices: Vec<u32>,
        wanted: Wanted<'_>,
    ) -> Result<(), Error> {
        for _ in 0..PASSES {
            let regions = self.regions(vertices.len());
            if regions < 2 {
                break;
            }
            vertices = self.pass(vertices, regions, wanted);
            wanted.check()?;
        }
        self.insert(&vertices)
    }

    /// How many regions so many vertices are shared among, a power of two: up to four may be smaller.
    fn regions(&self, vertices: usize) -> usize {
        let few = (16 * vertices / self.points_a_region).min(4);
        let many = vertices / self.points_a_region;
        many.clamp(few, MOST_REGIONS).checked_ilog2().map_or(0, |log| 1 << log)
    }

    /// Inserts what is within one of some regions, and returns the rest; less, if it is given up.
    fn pass(&mut self, mut vertices: Vec<u32>, regions: usize, wanted: Wanted<'_>) -> Vec<u32> {
        let mut shares = Vec::new();
        self.share(Region::ALL, &mut vertices, regions, &mut shares);
        for share in &mut shares {
            share.last = self.near(share.vertices.first().copied());
            let need = cells_of(share.vertices.len());
            share.free = self.free.split_off(self.free.len().saturating_sub(need));
            share.fresh = self.store.grow(need - share.free.len());
        }
        let (points, view) = (&self.points[..], self.store.view());
        shares.par_iter_mut().for_each(|share| {
            let mut inserter = Inserter::new(points, view, share.region, share.last);
            inserter.fresh = share.fresh.clone();
            inserter.free = std::mem::take(&mut share.free);
            for at in 0..share.vertices.len() {
                if at % BETWEEN == 0 && wanted.check().is_err() {
                    break;
                }
                let vertex = share.vertices[at];
                match inserter.insert(vertex) {
                    Outcome::Inserted => {}
                    Outcome::Duplicate(of) => share.duplicates.push([vertex, of]),
                    Outcome::Beyond | Outcome::Full => {
                        share.vertices[share.waiting] = vertex;
                        share.waiting += 1;
                    }
                }
            }
            share.last = inserter.last;
            share.free = inserter.into_unused();
        });
        let mut waiting = Vec::new();
        for share in shares {
            self.last = share.last;
            self.free.extend(share.free);
            self.duplicates.extend(share.duplicates);
            waiting.push((share.vertices.len(), share.waiting));
        }
        let (mut begin, mut end) = (0, 0);
        for (all, waiting) in waiting {
            vertices.copy_within(begin..begin + waiting, end);
            begin += all;
            end += waiting;
        }
        vertices.truncate(end);
        vertices
    }

    /// A cell near a vertex.
    fn near(&self, vertex: Option<u32>) -> u32 {
        let inserter = Inserter::new(&self.points, self.store.view(), Region::ALL, self.last);
        vertex.and_then(|vertex| inserter.cell_of(vertex)).unwrap_or(self.last)
    }

    /// Halves a region along its longest side, between as many vertices on either side, until there
    /// are as many regions as asked for.
    fn share<'v>(
        &self,
        region: Region,
        vertices: &'v mut [u32],
        regions: usize,
        shares: &mut Vec<Share<'v>>,
    ) {
        let cut = (regions > 1).then(|| self.cut(vertices, regions)).flatten();
        let Some((axis, value)) = cut else {
            let (free, duplicates) = (Vec::new(), Vec::new());
            shares.push(Share {
                region,
                vertices,
                fresh: 0..0,
                free,
                last: 0,
                duplicates,
                waiting: 0,
            });
            return;
        };
        let is_low = |vertex: u32| self.points[vertex as usize][axis] < value;
        let mut low = 0;
        let mut high = Vec::with_capacity(vertices.iter().filter(|v| !is_low(**v)).count());
        for at in 0..vertices.len() {
            let vertex = vertices[at];
            if is_low(vertex) {
                vertices[low] = vertex;
                low += 1;
            } else {
                high.push(vertex);
            }
        }
        vertices[low..].copy_from_slice(&high);
        drop(high);
        let (low, high) = vertices.split_at_mut(low);
        let (mut low_region, mut high_region) = (region, region);
        low_region.high[axis] = value;
        high_region.low[axis] = value;
        self.share(low_region, low, regions / 2, shares);
        self.share(high_region, high, regions - regions / 2, shares);
    }

    /// On which axis, and where, vertices are cut in proportion to the regions on either side; by a
    /// sample of them.
    fn cut(&self, vertices: &[u32], regions: usize) -> Option<(usize, f64)> {
        let step = (vertices.len() / 4096).max(1);
        let sample: Vec<_> =
            vertices.iter().step_by(step).map(|vertex| self.points[*vertex as usize]).collect();
        let axes = [0, 1, 2].map(|axis| {
            let mut values: Vec<f64> = sample.iter().map(|point| point[axis]).collect();
            values.sort_unstable_by(f64::total_cmp);
            values
        });
        let width = |axis: &usize| Some(axes[*axis].last()? - axes[*axis].first()?);
        let axis = (0..3)
            .max_by(|i, j| width(i).partial_cmp(&width(j)).unwrap_or(std::cmp::Ordering::Equal))?;
        let value = *axes[axis].get(sample.len() * (regions / 2) / regions)?;
        Some((axis, value))
    }
}
