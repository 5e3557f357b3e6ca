//! From cells in the making to the mesh.

use super::Delaunay;
use super::build::Build;
use super::predicates::Point;
use super::store::{Four, INFINITE, View};
use crate::mesh::NONE;
use rayon::prelude::*;
use std::sync::atomic::AtomicU32;

/// Leaves out infinite and unused cells, and gives vertices the numbers that the points have.
pub fn finish<'a>(vertices: &'a [Point], build: Build, indices: &[u32]) -> Delaunay<'a> {
    let Build { points, mut store, duplicates, .. } = build;
    drop(points);
    close(store.view(), store.cells.len());
    let count = compact(store.view(), store.cells.len());
    store.cells.truncate(count);
    store.neighbours.truncate(count);
    let mut names = indices.to_vec();
    let duplicates = renamed(&duplicates, &mut names);
    let rename = |four: &mut Four| {
        for slot in four {
            let vertex = slot.get_mut();
            *vertex = names[*vertex as usize];
        }
    };
    store.cells.par_iter_mut().for_each(rename);
    let cells = plain(store.cells);
    let neighbours = plain(store.neighbours);
    Delaunay { vertices, cells, neighbours, duplicates }
}

fn plain(fours: Vec<Four>) -> Vec<[u32; 4]> {
    let mut plain: Vec<[u32; 4]> =
        fours.into_iter().map(|four| four.map(AtomicU32::into_inner)).collect();
    plain.shrink_to_fit();
    plain
}

/// Cells lose their infinite neighbours.
fn close(view: View<'_>, size: usize) {
    for id in 0..size as u32 {
        // unused cells have no neighbour that has them
        if view.cell(id)[3] == INFINITE {
            let inner = view.neighbours(id)[3];
            let slot = view.slot_of(inner, id);
            if view.neighbours(inner)[slot] == id {
                view.set_neighbour(inner, slot, NONE);
            }
        }
    }
}

/// Cells from the end fill the gaps. Returns how many cells there are.
fn compact(view: View<'_>, size: usize) -> usize {
    let (mut gap, mut end) = (0, size as u32);
    loop {
        while gap < end && view.cell(gap)[3] != INFINITE {
            gap += 1;
        }
        while gap < end && view.cell(end - 1)[3] == INFINITE {
            end -= 1;
        }
        if gap == end {
            return gap as usize;
        }
        end -= 1;
        view.set_cell(gap, view.cell(end));
        for (slot, neighbour) in view.neighbours(end).into_iter().enumerate() {
            view.set_neighbour(gap, slot, neighbour);
            if neighbour != NONE {
                view.set_neighbour(neighbour, view.slot_of(neighbour, end), gap);
            }
        }
    }
}

/// Duplicates by the points' numbers, each of the first point there, which becomes the vertex' name.
fn renamed(duplicates: &[[u32; 2]], names: &mut [u32]) -> Vec<[u32; 2]> {
    let mut groups: Vec<[u32; 2]> =
        duplicates.iter().map(|[vertex, of]| [*of, names[*vertex as usize]]).collect();
    groups.sort_unstable();
    let mut renamed = Vec::with_capacity(groups.len());
    for group in groups.chunk_by(|one, other| one[0] == other[0]) {
        let [vertex, least] = group[0];
        let own = names[vertex as usize];
        let first = own.min(least);
        names[vertex as usize] = first;
        let all = group.iter().map(|[_, name]| *name).chain([own]);
        renamed.extend(all.filter(|name| *name != first).map(|name| [name, first]));
    }
    renamed.sort_unstable();
    renamed
}

/// Points in a plane: no cells.
pub fn flat(vertices: &[Point]) -> Delaunay<'_> {
    let mut order: Vec<u32> = (0..vertices.len() as u32).collect();
    let at = |index: &u32| vertices[*index as usize].map(|value| value + 0.0);
    order.par_sort_by(|i, j| at(i).partial_cmp(&at(j)).unwrap_or(std::cmp::Ordering::Equal));
    let groups = order.chunk_by(|i, j| at(i) == at(j));
    let pairs = groups.flat_map(|group| group[1..].iter().map(|index| [*index, group[0]]));
    let mut duplicates: Vec<_> = pairs.collect();
    duplicates.sort_unstable();
    Delaunay { vertices, cells: Vec::new(), neighbours: Vec::new(), duplicates }
}
