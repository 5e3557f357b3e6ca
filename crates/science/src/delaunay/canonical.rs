//! One order of cells and of their vertices, for comparison: whatever made them.

use crate::mesh::NONE;
use rayon::prelude::*;

/// Orders cells by their vertices, of which the least is the first and the second least of the others, as
/// far as the orientation lets it be, the second.
pub fn sort(cells: &mut Vec<[u32; 4]>, neighbours: &mut Vec<[u32; 4]>) {
    cells.par_iter_mut().zip(neighbours.par_iter_mut()).for_each(|(cell, behind)| {
        let turn = turned(*cell);
        (*cell, *behind) = (turn.map(|k| cell[k]), turn.map(|k| behind[k]));
    });
    let mut order: Vec<u32> = (0..cells.len() as u32).collect();
    order.par_sort_unstable_by_key(|id| cells[*id as usize]);
    let mut places = vec![0; order.len()];
    for (place, id) in (0..).zip(&order) {
        places[*id as usize] = place;
    }
    let place = |id: u32| if id == NONE { NONE } else { places[id as usize] };
    *cells = order.par_iter().map(|id| cells[*id as usize]).collect();
    *neighbours = order.par_iter().map(|id| neighbours[*id as usize].map(place)).collect();
}

/// The even permutation that puts the least first, and the least of the others second.
fn turned(cell: [u32; 4]) -> [usize; 4] {
    let least =
        |slots: &[usize]| slots.iter().copied().min_by_key(|k| cell[*k]).unwrap_or_default();
    let first = least(&[0, 1, 2, 3]);
    // the others, in the order that makes an even permutation
    let others = [[1, 2, 3], [0, 3, 2], [3, 0, 1], [2, 1, 0]][first];
    let second = least(&others);
    let at = others.iter().position(|k| *k == second).unwrap_or_default();
    [first, second, others[(at + 1) % 3], others[(at + 2) % 3]]
}
