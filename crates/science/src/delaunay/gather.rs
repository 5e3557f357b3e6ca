//! Cells near each other in memory, in place.

use crate::mesh::NONE;
use rayon::prelude::*;

/// Orders cells by their vertex of the lowest number, of `vertices`.
pub fn gather(cells: &mut [[u32; 4]], neighbours: &mut [[u32; 4]], vertices: usize) {
    let least = |cell: &[u32; 4]| cell.iter().copied().min().unwrap_or_default() as usize;
    let mut next = vec![0u32; vertices + 1];
    cells.iter().for_each(|cell| next[least(cell) + 1] += 1);
    let mut sum = 0;
    for count in &mut next {
        sum += *count;
        *count = sum;
    }
    let mut places: Vec<u32> = Vec::with_capacity(cells.len());
    places.extend(cells.iter().map(|cell| {
        let place = &mut next[least(cell)];
        *place += 1;
        *place - 1
    }));
    drop(next);
    neighbours.par_iter_mut().flatten().filter(|id| **id != NONE).for_each(|id| {
        *id = places[*id as usize];
    });
    // each swap brings a cell to its place for good
    for at in 0..places.len() {
        while places[at] as usize != at {
            let place = places[at] as usize;
            cells.swap(at, place);
            neighbours.swap(at, place);
            places.swap(at, place);
        }
    }
}
