//! Boxes around runs of points, and around runs of boxes: points near each other in space are found, if
//! they are near each other in their list, too. An eighth of a box is 1.7 bytes a point.

use crate::delaunay::{Region, Want};
use rayon::prelude::*;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

/// Points of a lowest box.
const LEAF: usize = 32;
/// Boxes of a box.
const BRANCH: usize = 8;

type Point = [f64; 3];
type Box3 = [Point; 2];

/// Points, and the boxes around them.
#[derive(Debug)]
pub(crate) struct Boxes<'a> {
    points: &'a [Point],
    /// From the lowest level to the one box around all.
    levels: Vec<Vec<Box3>>,
}

impl<'a> Boxes<'a> {
    pub(crate) fn new(points: &'a [Point]) -> Self {
        let mut levels = vec![points.par_chunks(LEAF).map(around).collect::<Vec<Box3>>()];
        while let Some(last) = levels.last().filter(|last| last.len() > 1) {
            let next = last.par_chunks(BRANCH).map(|boxes| around(boxes.as_flattened())).collect();
            levels.push(next);
        }
        Self { points, levels }
    }

    /// The points.
    pub(crate) fn points(&self) -> &'a [Point] {
        self.points
    }

    /// The box around all points; that around the origin, if there is none.
    pub(crate) fn bounds(&self) -> Box3 {
        self.levels.last().and_then(|top| top.first()).copied().unwrap_or([[0.0; 3]; 2])
    }

    /// Numbers of the points in a region, ascending.
    pub(crate) fn within(&self, region: &Region) -> Vec<u32> {
        let touches = |[low, high]: &Box3| {
            (0..3).all(|k| low[k] < region.high[k] && high[k] >= region.low[k])
        };
        let has = |run: Range<usize>| {
            let numbers = run.map(|number| number as u32);
            numbers.filter(|number| region.has(&self.points[*number as usize])).collect::<Vec<_>>()
        };
        let runs = self.levels[0].par_iter().enumerate().filter(|(_, box_)| touches(box_));
        runs.flat_map_iter(|(at, _)| has(self.run(at))).collect()
    }

    /// Up to `most` points that a cell wants, those nearest to what is wanted first, and whether there are
    /// no more; of those that are `fresh`.
    pub(crate) fn wanted(
        &self,
        want: &Want,
        most: usize,
        fresh: impl Fn(u32) -> bool,
    ) -> (Vec<u32>, bool) {
        let middle = match want {
            Want::Ball { centre, .. } => *centre,
            Want::Beyond([corner, ..]) => *corner,
            Want::Everything => {
                let all = (0..self.points.len() as u32).filter(|number| fresh(*number));
                return (all.collect(), true);
            }
        };
        let mut found = Vec::new();
        // squares of distances are not negative: their bits have their order
        let mut open = BinaryHeap::new();
        let top = self.levels.len() - 1;
        if !self.points.is_empty() {
            open.push(Reverse((0, top + 1, 0)));
        }
        while let Some(Reverse((_, level, at))) = open.pop() {
            if level == 0 {
                if found.len() == most {
                    return (found, false);
                }
                found.push(at as u32);
                continue;
            }
            let level = level - 1;
            let [low, high] = &self.levels[level][at];
            if !want.touches(low, high) {
                continue;
            }
            if level == 0 {
                for number in self.run(at) {
                    let point = &self.points[number];
                    if want.touches(point, point) && fresh(number as u32) {
                        open.push(Reverse((bits(&middle, &[*point; 2]), 0, number)));
                    }
                }
                continue;
            }
            let children = self.levels[level - 1].iter().enumerate();
            for (child, box_) in children.skip(at * BRANCH).take(BRANCH) {
                open.push(Reverse((bits(&middle, box_), level, child)));
            }
        }
        (found, true)
    }

    fn run(&self, at: usize) -> Range<usize> {
        at * LEAF..self.points.len().min((at + 1) * LEAF)
    }
}

fn bits(from: &Point, [low, high]: &Box3) -> u64 {
    let gap = |k: usize| (low[k] - from[k]).max(from[k] - high[k]).max(0.0);
    (gap(0) * gap(0) + gap(1) * gap(1) + gap(2) * gap(2)).to_bits()
}

fn around(points: &[Point]) -> Box3 {
    let none = [[f64::INFINITY; 3], [f64::NEG_INFINITY; 3]];
    points.iter().fold(none, |[low, high], point| {
        let axis = [0, 1, 2];
        [axis.map(|k| low[k].min(point[k])), axis.map(|k| high[k].max(point[k]))]
    })
}
