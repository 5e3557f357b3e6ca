//! A block of a tessellation that is too large for memory, exact: of the cells over a block's points and
//! those around it, the ones whose circumspheres hold no point that has not been given are cells of the
//! whole. Where that is not certain the block says which points it wants to see.

use super::ball::Want;
use super::build::Build;
use super::insert::Region;
use super::predicates::Point;
use super::store::INFINITE;
use super::{Error, check, order};
use crate::mesh::NONE;
use std::collections::{HashMap, HashSet};

/// Where a block is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// The block's own part of space. Those of all blocks are disjoint and have all points in them.
    pub own: Region,
    /// Around it, where all points are given from the beginning.
    pub known: Region,
    /// A box (with its faces) that all points are in, of whatever block.
    pub bounds: [[f64; 3]; 2],
}

/// The tessellation of a block's points and those around it.
pub struct Block {
    place: Place,
    points: Vec<Point>,
    ids: Vec<u32>,
    build: Option<Build>,
    /// Points beyond what was known.
    seen: HashSet<u32>,
    /// Cells whose wants are satisfied.
    answered: HashSet<[u32; 4]>,
    wants: Vec<[u32; 4]>,
}

/// The cells of a block: those whose vertex with the lowest number is in the block's own part of space.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Numbers of each cell's vertices, in positive orientation.
    pub cells: Vec<[u32; 4]>,
    /// For each cell the cells of this part behind its faces, or [`NONE`].
    pub neighbours: Vec<[u32; 4]>,
}

impl Block {
    /// Tessellates the points of the known part of space, which have the numbers `ids`.
    ///
    /// # Errors
    ///
    /// As [`super::Delaunay::new`]; and [`Error::Numbers`], if there are not as many numbers as points.
    pub fn new(points: &[[f64; 3]], ids: &[u32], place: Place) -> Result<Self, Error> {
        let (seen, answered) = (HashSet::new(), HashSet::new());
        let (points, ids) = (given(points, ids)?, ids.to_vec());
        let wants = Vec::new();
        let mut block = Self { place, points, ids, build: None, seen, answered, wants };
        block.start()?;
        Ok(block)
    }

    fn start(&mut self) -> Result<(), Error> {
        let order = order::order(&self.points);
        self.points = order.indices.iter().map(|index| self.points[*index as usize]).collect();
        self.ids = order.indices.iter().map(|index| self.ids[*index as usize]).collect();
        match Build::start(std::mem::take(&mut self.points)) {
            Ok((mut build, first)) => {
                build.insert_rounds(&order.ends, first)?;
                self.build = Some(build);
            }
            Err(points) => self.points = points,
        }
        Ok(())
    }

    /// What is to be looked at before the block's cells are certain: all points there, beyond the known
    /// part, go to [`Block::answer`]; empty, when they are certain.
    pub fn wants(&mut self) -> Vec<Want> {
        let Some(build) = &self.build else {
            return if self.place.is_all_known() { Vec::new() } else { vec![Want::Everything] };
        };
        let mut wants = Vec::new();
        self.wants.clear();
        for (_, cell) in build.cells() {
            let is_own = |vertex: &u32| {
                *vertex != INFINITE && self.place.own.has(&build.points[*vertex as usize])
            };
            if !cell.iter().any(is_own) {
                continue;
            }
            let want = want(build, cell);
            let key = sorted(cell);
            if self.place.touches_unknown(&want) && !self.answered.contains(&key) {
                wants.push(want);
                self.wants.push(key);
            }
        }
        wants
    }

    /// Takes points that were wanted, with their numbers: all in the wants of the last call that are
    /// beyond the known part of space. There may be more of them, and the same ones again.
    ///
    /// # Errors
    ///
    /// As [`Block::new`].
    pub fn answer(&mut self, points: &[[f64; 3]], ids: &[u32]) -> Result<(), Error> {
        let mut vertices = Vec::new();
        for (point, id) in given(points, ids)?.into_iter().zip(ids) {
            if self.place.known.has(&point) || !self.seen.insert(*id) {
                continue;
            }
            vertices.push(self.ids.len() as u32);
            self.ids.push(*id);
            self.build.as_mut().map_or(&mut self.points, |build| &mut build.points).push(point);
        }
        self.answered.extend(self.wants.drain(..));
        match &mut self.build {
            Some(build) => build.insert(&vertices),
            None => {
                // all there is, so it is known
                self.place.known = Region::ALL;
                self.start()
            }
        }
    }

    /// The block's cells.
    ///
    /// # Errors
    ///
    /// [`Error::Uncertain`], if there are wants.
    pub fn finish(mut self) -> Result<Part, Error> {
        let wants = self.wants();
        if !wants.is_empty() {
            return Err(Error::Uncertain(wants.len()));
        }
        let Some(build) = self.build else { return Ok(Part::default()) };
        for [vertex, of] in &build.duplicates {
            let least = self.ids[*vertex as usize].min(self.ids[*of as usize]);
            self.ids[*of as usize] = least;
        }
        let mut part = Part::default();
        let mut places = HashMap::new();
        for (id, cell) in build.cells() {
            if cell[3] == INFINITE {
                continue;
            }
            let least = cell.into_iter().min_by_key(|vertex| self.ids[*vertex as usize]);
            let is_own = |vertex| self.place.own.has(&build.points[vertex as usize]);
            if least.is_some_and(is_own) {
                places.insert(id, part.cells.len() as u32);
                part.cells.push(cell.map(|vertex| self.ids[vertex as usize]));
                part.neighbours.push(build.store.view().neighbours(id));
            }
        }
        let own = |neighbour: &mut u32| *neighbour = places.get(neighbour).copied().unwrap_or(NONE);
        part.neighbours.iter_mut().flatten().for_each(own);
        Ok(part)
    }
}

impl Place {
    /// Parts of the bounds that are not known.
    fn unknown(&self) -> impl Iterator<Item = [Point; 2]> {
        let [low, high] = self.bounds;
        let known = self.known;
        (0..3).flat_map(move |k| {
            let (mut below, mut above) = ([low, high], [low, high]);
            below[1][k] = known.low[k].min(high[k]);
            above[0][k] = known.high[k].max(low[k]);
            // what is known has its low faces and not its high ones
            let has_below = known.low[k] > low[k];
            let has_above = known.high[k] <= high[k];
            has_below.then_some(below).into_iter().chain(has_above.then_some(above))
        })
    }

    fn is_all_known(&self) -> bool {
        self.unknown().next().is_none()
    }

    fn touches_unknown(&self, want: &Want) -> bool {
        self.unknown().any(|[low, high]| want.touches(&low, &high))
    }
}

fn given(points: &[Point], ids: &[u32]) -> Result<Vec<Point>, Error> {
    if points.len() != ids.len() {
        return Err(Error::Numbers { points: points.len(), numbers: ids.len() });
    }
    check(points)?;
    Ok(points.to_vec())
}

/// Where a point would do away with a cell.
fn want(build: &Build, cell: [u32; 4]) -> Want {
    let at = |k: usize| &build.points[cell[k] as usize];
    if cell[3] == INFINITE {
        Want::Beyond([*at(0), *at(1), *at(2)])
    } else {
        Want::ball([at(0), at(1), at(2), at(3)])
    }
}

fn sorted(mut cell: [u32; 4]) -> [u32; 4] {
    cell.sort_unstable();
    cell
}

/// As [`Part::stitch`].
pub fn stitch(parts: &[Part]) -> Part {
    let mut whole = Part::default();
    let mut open = Vec::new();
    for part in parts {
        let first = whole.cells.len() as u32;
        whole.cells.extend(&part.cells);
        let moved = |id: u32| if id == NONE { NONE } else { id + first };
        whole.neighbours.extend(part.neighbours.iter().map(|four| four.map(moved)));
    }
    for (id, (cell, neighbours)) in whole.cells.iter().zip(&whole.neighbours).enumerate() {
        for slot in (0..4).filter(|slot| neighbours[*slot] == NONE) {
            let mut face = *cell;
            face[slot] = NONE;
            open.push((sorted(face), id, slot));
        }
    }
    open.sort_unstable();
    let mut rest = &open[..];
    while let [one, tail @ ..] = rest {
        rest = tail;
        if let [other, tail @ ..] = rest
            && one.0 == other.0
        {
            whole.neighbours[one.1][one.2] = other.1 as u32;
            whole.neighbours[other.1][other.2] = one.1 as u32;
            rest = tail;
        }
    }
    whole
}
