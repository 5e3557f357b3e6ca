//! A block of a tessellation that is too large for memory, exact: of the cells over a block's points and
//! those around it, the ones whose circumspheres hold no point that has not been given are cells of the
//! whole. Where that is not certain the block says which points it wants to see.

use super::ball::Want;
use super::build::Build;
use super::insert::Region;
use super::predicates::{self, Cell, Point};
use super::store::INFINITE;
use super::{Error, check, order};
use crate::boxes::Boxes;
use crate::mesh::NONE;
use crate::wanted::Wanted;
use rayon::prelude::*;
use std::collections::HashSet;

/// Points that a cell is given at first: most cells want fewer, and of those that want many the nearest
/// leave nothing to want of the others. Of what then is still wanted twice as many are given, and so on.
const AT_FIRST: usize = 16;

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
    /// Cells whose wants are satisfied, their vertices in order.
    answered: HashSet<[u32; 4]>,
    /// The cells of the wants that were told last.
    wants: Vec<[u32; 4]>,
}

/// The cells of a block: all that have a vertex in the block's own part of space.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Numbers of the points that are vertices, ascending.
    pub ids: Vec<u32>,
    /// Each cell's vertices, by their places in `ids`, in positive orientation.
    pub cells: Vec<[u32; 4]>,
    /// For each cell the cells of this part behind its faces, or [`NONE`].
    pub neighbours: Vec<[u32; 4]>,
    /// Points of the block's own part of space that are not in the mesh, each with the one in its place.
    pub duplicates: Vec<[u32; 2]>,
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
                build.insert_rounds(&order.ends, first, Wanted::ALWAYS)?;
                self.build = Some(build);
            }
            Err(points) => self.points = points,
        }
        Ok(())
    }

    /// The cells of a block of points that are in `boxes`, with the numbers `ids`.
    ///
    /// # Errors
    ///
    /// As [`super::Delaunay::new`].
    pub(crate) fn cells(boxes: &Boxes<'_>, ids: &[u32], place: Place) -> Result<Part, Error> {
        Self::certain(boxes, ids, place)?.map_or_else(|| Ok(Part::default()), Self::finish)
    }

    /// The block once all of its cells are certain; none, if it has no points of its own.
    pub(crate) fn certain(
        boxes: &Boxes<'_>,
        ids: &[u32],
        place: Place,
    ) -> Result<Option<Self>, Error> {
        let at = |places: &[u32]| -> (Vec<Point>, Vec<u32>) {
            places.iter().map(|at| (boxes.points()[*at as usize], ids[*at as usize])).unzip()
        };
        let (points, numbers) = at(&boxes.within(&place.known));
        if !points.iter().any(|point| place.own.has(point)) {
            return Ok(None);
        }
        let mut block = Self::new(&points, &numbers, place)?;
        drop((points, numbers));
        let mut most = AT_FIRST;
        loop {
            let wants = block.wants();
            if wants.is_empty() {
                return Ok(Some(block));
            }
            let is_fresh = |at: u32| {
                let is_known = block.place.known.has(&boxes.points()[at as usize]);
                !is_known && !block.seen.contains(&ids[at as usize])
            };
            let wanted = |(want, ball)| {
                let counts =
                    |at: u32| is_fresh(at) && block.minds(want, &boxes.points()[at as usize]);
                boxes.wanted(ball, most, counts)
            };
            let found: Vec<(Vec<u32>, bool)> = wants.par_iter().enumerate().map(wanted).collect();
            let mut places: Vec<u32> = found.iter().flat_map(|found| &found.0).copied().collect();
            places.par_sort_unstable();
            places.dedup();
            let (points, numbers) = at(&places);
            let are_all = |want: usize| found.get(want).is_some_and(|found| found.1);
            block.answer_some(&points, &numbers, are_all)?;
            most *= 2;
        }
    }

    /// What is to be looked at before the block's cells are certain: all points there, beyond the known
    /// part, go to [`Block::answer`]; empty, when they are certain.
    pub fn wants(&mut self) -> Vec<Want> {
        let Some(build) = &self.build else {
            return if self.place.is_all_known() { Vec::new() } else { vec![Want::Everything] };
        };
        let wanted = |id: u32| {
            let cell = build.cell(id)?;
            if !self.is_own(build, &cell) {
                return None;
            }
            let want = want(build, cell);
            let is_open =
                self.place.touches_unknown(&want) && !self.answered.contains(&sorted(cell));
            is_open.then_some((want, cell))
        };
        let (wants, cells) = build.ids().into_par_iter().filter_map(wanted).unzip();
        self.wants = cells;
        wants
    }

    /// Whether a point would do away with the cell that a want of the last call is of, or is in the place of
    /// one of its vertices: the ball of a cell that is nearly flat has many more in it.
    fn minds(&self, want: usize, point: &Point) -> bool {
        match (self.wants.get(want), &self.build) {
            (Some(cell), Some(build)) if cell[3] != INFINITE => {
                let corners = cell.map(|vertex| &build.points[vertex as usize]);
                let inside = Cell::seen(corners, point).insphere();
                inside > 0.0
                    || (inside == 0.0
                        && (corners.contains(&point) || predicates::is_inside(corners, point)))
            }
            _ => true,
        }
    }

    /// How many points it was given.
    #[cfg(test)]
    pub(crate) fn given(&self) -> usize {
        self.ids.len()
    }

    /// Whether a cell has a vertex in the block's own part of space.
    fn is_own(&self, build: &Build, cell: &[u32; 4]) -> bool {
        let is_own = |vertex: &u32| {
            *vertex != INFINITE && self.place.own.has(&build.points[*vertex as usize])
        };
        cell.iter().any(is_own)
    }

    /// Takes points that were wanted, with their numbers: all in the wants of the last call that are
    /// beyond the known part of space. There may be more of them, and the same ones again.
    ///
    /// # Errors
    ///
    /// As [`Block::new`].
    pub fn answer(&mut self, points: &[[f64; 3]], ids: &[u32]) -> Result<(), Error> {
        self.answer_some(points, ids, |_| true)
    }

    /// [`Block::answer`], with all points of those wants, by their places in the last call's, that
    /// `are_all` says it of, and some of the others'.
    fn answer_some(
        &mut self,
        points: &[[f64; 3]],
        ids: &[u32],
        are_all: impl Fn(usize) -> bool,
    ) -> Result<(), Error> {
        let mut vertices = Vec::new();
        for (point, id) in given(points, ids)?.into_iter().zip(ids) {
            if self.place.known.has(&point) || !self.seen.insert(*id) {
                continue;
            }
            vertices.push(self.ids.len() as u32);
            self.ids.push(*id);
            self.build.as_mut().map_or(&mut self.points, |build| &mut build.points).push(point);
        }
        let answered = self.wants.drain(..).enumerate().filter(|(want, _)| are_all(*want));
        self.answered.extend(answered.map(|(_, cell)| sorted(cell)));
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
        let Some(build) = self.build.take() else { return Ok(Part::default()) };
        let mut part = Part::default();
        for group in groups(&build.duplicates).chunk_by(|one, other| one[0] == other[0]) {
            let of = group[0][0] as usize;
            let all =
                group.iter().map(|[_, vertex]| self.ids[*vertex as usize]).chain([self.ids[of]]);
            let mut all: Vec<u32> = all.collect();
            all.sort_unstable();
            if self.place.own.has(&build.points[of]) {
                part.duplicates.extend(all.iter().skip(1).map(|number| [*number, all[0]]));
            }
            self.ids[of] = all[0];
        }
        part.duplicates.sort_unstable();
        let inner = |id: u32| build.cell(id).filter(|cell| cell[3] != INFINITE);
        let mut places = vec![NONE; build.ids().len()];
        let mut is_used = vec![false; self.ids.len()];
        for id in build.ids() {
            if let Some(cell) = inner(id).filter(|cell| self.is_own(&build, cell)) {
                places[id as usize] = part.cells.len() as u32;
                part.cells.push(cell);
                part.neighbours.push(build.store.view().neighbours(id));
                cell.iter().for_each(|vertex| is_used[*vertex as usize] = true);
            }
        }
        drop(build);
        let mut vertices: Vec<u32> =
            (0..self.ids.len() as u32).filter(|vertex| is_used[*vertex as usize]).collect();
        vertices.par_sort_unstable_by_key(|vertex| self.ids[*vertex as usize]);
        part.ids = vertices.iter().map(|vertex| self.ids[*vertex as usize]).collect();
        for (place, vertex) in (0..).zip(vertices) {
            self.ids[vertex as usize] = place;
        }
        part.cells.as_flattened_mut().par_iter_mut().for_each(|v| *v = self.ids[*v as usize]);
        let behind = part.neighbours.as_flattened_mut().par_iter_mut();
        behind.for_each(|cell| *cell = places[*cell as usize]);
        Ok(part)
    }
}

/// Duplicates, each after the vertex that it is one of.
fn groups(duplicates: &[[u32; 2]]) -> Vec<[u32; 2]> {
    let mut groups: Vec<[u32; 2]> = duplicates.iter().map(|[vertex, of]| [*of, *vertex]).collect();
    groups.sort_unstable();
    groups
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
