//! Cells while they are made: four vertices and four neighbours, 32 bytes, which threads may share.
//!
//! A face of the convex hull bears an *infinite* cell, whose last vertex is [`INFINITE`]: so that
//! every cell has four neighbours. The top bit of a cell's last vertex marks it while a point is inserted.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, Ordering};

/// The vertex beyond the hull. It is a cell's last; unused cells have it, too.
pub const INFINITE: u32 = u32::MAX >> 1;
/// Most cells that there may be: two bits of a number are for a slot.
pub const MOST_CELLS: usize = 1 << 30;
/// Most points that there may be.
pub const MOST_POINTS: usize = MOST_CELLS / 8;
const MARK: u32 = 1 << 31;

/// Four numbers that any thread may read and write.
pub type Four = [AtomicU32; 4];

fn four(values: [u32; 4]) -> Four {
    values.map(AtomicU32::new)
}

#[inline(always)]
fn load(four: &Four, order: Ordering) -> [u32; 4] {
    [four[0].load(order), four[1].load(order), four[2].load(order), four[3].load(order)]
}

/// All cells, used and unused ones.
pub struct Store {
    pub cells: Vec<Four>,
    pub neighbours: Vec<Four>,
}

impl Store {
    /// No cells, but memory set aside for so many: arrays that grow would leave holes in it.
    pub fn with_room(room: usize) -> Self {
        let room = room.min(MOST_CELLS);
        Self { cells: Vec::with_capacity(room), neighbours: Vec::with_capacity(room) }
    }

    /// Makes so many more cells, unused ones. Returns their numbers.
    pub fn grow(&mut self, more: usize) -> std::ops::Range<u32> {
        let first = self.cells.len();
        let size = (first + more).min(MOST_CELLS);
        self.cells.resize_with(size, || four([0, 0, 0, INFINITE]));
        self.neighbours.resize_with(size, || four([0; 4]));
        first as u32..size as u32
    }

    pub fn view(&self) -> View<'_> {
        View { cells: &self.cells, neighbours: &self.neighbours }
    }
}

/// The cells as a thread sees them.
#[derive(Clone, Copy)]
pub struct View<'a> {
    cells: &'a [Four],
    neighbours: &'a [Four],
}

impl View<'_> {
    /// Vertices of a cell.
    #[inline(always)]
    pub fn cell(self, cell: u32) -> [u32; 4] {
        let [a, b, c, d] = load(&self.cells[cell as usize], Relaxed);
        [a, b, c, d & !MARK]
    }

    #[inline(always)]
    pub fn set_cell(self, cell: u32, vertices: [u32; 4]) {
        for (slot, vertex) in self.cells[cell as usize].iter().zip(vertices) {
            slot.store(vertex, Relaxed);
        }
    }

    #[inline(always)]
    pub fn neighbours(self, cell: u32) -> [u32; 4] {
        load(&self.neighbours[cell as usize], Acquire)
    }

    /// The neighbour's vertices, set before, are seen by who reads its number.
    #[inline(always)]
    pub fn set_neighbour(self, cell: u32, slot: usize, neighbour: u32) {
        self.neighbours[cell as usize][slot].store(neighbour, Release);
    }

    /// Makes a cell an unused one. It keeps its other vertices: a thread that still reads it sees that
    /// it is none of its own.
    pub fn discard(self, cell: u32) {
        self.cells[cell as usize][3].store(INFINITE, Relaxed);
    }

    /// In which slot a cell has a neighbour.
    #[inline(always)]
    pub fn slot_of(self, cell: u32, neighbour: u32) -> usize {
        let [a, b, c, _] = self.neighbours(cell);
        if a == neighbour {
            0
        } else if b == neighbour {
            1
        } else if c == neighbour {
            2
        } else {
            3
        }
    }

    #[inline(always)]
    pub fn is_marked(self, cell: u32) -> bool {
        self.cells[cell as usize][3].load(Relaxed) & MARK != 0
    }

    #[inline(always)]
    pub fn mark(self, cell: u32, is_marked: bool) {
        let last = &self.cells[cell as usize][3];
        let vertex = last.load(Relaxed) & !MARK;
        last.store(if is_marked { vertex | MARK } else { vertex }, Relaxed);
    }
}
