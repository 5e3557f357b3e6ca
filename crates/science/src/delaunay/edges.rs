//! The two faces of a cavity that meet in an edge find each other.

/// A table of edges, emptied by counting up.
#[derive(Default)]
pub struct Edges {
    entries: Vec<Entry>,
    turn: u32,
}

#[derive(Clone, Copy, Default)]
struct Entry {
    turn: u32,
    ends: [u32; 2],
    value: u32,
}

impl Edges {
    /// Forgets all edges, and has room for those of so many triangles.
    pub fn clear(&mut self, triangles: usize) {
        let size = (4 * triangles).next_power_of_two().max(256);
        if size > self.entries.len() || self.turn == u32::MAX {
            self.entries = vec![Entry::default(); size.max(self.entries.len())];
            self.turn = 0;
        }
        self.turn += 1;
    }

    /// Keeps a value for an edge, or returns the one kept.
    #[inline(always)]
    pub fn join(&mut self, a: u32, b: u32, value: u32) -> Option<u32> {
        let ends = if a < b { [a, b] } else { [b, a] };
        let mask = self.entries.len() - 1;
        let hash = ends[0].wrapping_mul(0x9e37_79b1) ^ ends[1].wrapping_mul(0x85eb_ca77);
        let mut place = (hash ^ hash >> 15) as usize & mask;
        loop {
            let entry = &mut self.entries[place & mask];
            if entry.turn != self.turn {
                *entry = Entry { turn: self.turn, ends, value };
                return None;
            }
            if entry.ends == ends {
                return Some(entry.value);
            }
            place += 1;
        }
    }
}
