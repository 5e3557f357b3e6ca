//! The lower star of one vertex, matched: Robins, Wood & Sheppard 2011 (IEEE TPAMI 33, 1646), their
//! algorithm ProcessLowerStar.
//!
//! The lower star of v has an edge for each neighbour that comes before v, a triangle for each edge
//! between two such neighbours in v's link, a tetrahedron for each triangle between three. They are
//! numbered in this order; neighbours are numbered by rank, so that comparing neighbours' numbers,
//! greatest first, is comparing simplices.

use crate::mesh::{Mesh, NONE};
use crate::star::{Index, OTHERS, Star, slot_of};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What a simplex of the lower star is matched with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    /// Not decided yet.
    Open,
    /// With one of a dimension higher.
    Up,
    /// With this one, of a dimension lower; with v itself for an edge.
    Down(u32),
    /// With none: it is critical.
    Critical,
}

/// A triangle of the lower star: v and two neighbours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Triangle {
    /// Numbers of the two neighbours, the greater first.
    pub ends: [u32; 2],
    /// Where it is: places in the star of the cells on both sides (the second may be [`NONE`]) and the
    /// face of each.
    pub sides: [(u32, usize); 2],
    /// Numbers of the tetrahedra of the lower star that it bounds, or [`NONE`].
    above: [u32; 2],
    /// The next triangle at each end.
    next: [u32; 2],
}

/// The lower star of one vertex and how it is matched. Used again for other vertices.
#[derive(Debug, Default)]
pub(super) struct LowerStar {
    /// Rank and vertex of each neighbour that comes before v, by rank; and when it was met.
    pub neighbours: Vec<(u32, u32, u32)>,
    /// Triangles.
    pub triangles: Vec<Triangle>,
    /// Place in the star of each tetrahedron.
    pub tetrahedra: Vec<u32>,
    /// How each edge, then each triangle, then each tetrahedron is matched.
    pub matches: Vec<Match>,
    /// For each cell of the star, the neighbours' numbers at its corners.
    corners: Vec<[u32; 4]>,
    /// For each cell of the star, the triangles' numbers at its faces.
    faces: Vec<[u32; 4]>,
    /// The first triangle at each neighbour.
    heads: Vec<u32>,
    /// Faces of each simplex in the lower star that are not decided.
    left: Vec<u8>,
    /// For each neighbour in the sequence they were met in, its number by rank, or [`NONE`] if it comes later.
    sorted: Vec<u32>,
    numbers: Index,
    growing: BinaryHeap<Reverse<u128>>,
    waiting: BinaryHeap<Reverse<u128>>,
}

impl LowerStar {
    /// Finds the lower star of `vertex` in its star, and matches it.
    pub(super) fn fill(&mut self, mesh: Mesh, rank: &[u32], vertex: u32, star: &Star) {
        self.find_neighbours(mesh, rank, vertex, star);
        self.find_triangles(star);
        self.find_tetrahedra(star);
        self.pair();
    }

    /// Numbers neighbours as the walk through the star meets them, then by rank. A cell shares two with the
    /// one it was reached from, so that only the third is looked up.
    fn find_neighbours(&mut self, mesh: Mesh, rank: &[u32], vertex: u32, star: &Star) {
        self.neighbours.clear();
        self.corners.clear();
        self.numbers.clear();
        self.sorted.clear();
        let own = rank[vertex as usize];
        for ((&cell, &slot), &(from, face)) in star.cells.iter().zip(&star.slots).zip(&star.from) {
            let cell = &mesh.cells[cell as usize];
            let mut corners = [NONE; 4];
            for corner in OTHERS[slot] {
                if from != NONE && corner != face {
                    let (from, other) =
                        (from as usize, &mesh.cells[star.cells[from as usize] as usize]);
                    corners[corner] = self.corners[from][slot_of(other, cell[corner])];
                    continue;
                }
                let fresh = self.sorted.len() as u32;
                corners[corner] = self.numbers.insert(cell[corner], fresh);
                if corners[corner] == fresh {
                    self.sorted.push(NONE);
                    let theirs = rank[cell[corner] as usize];
                    if theirs < own {
                        self.neighbours.push((theirs, cell[corner], fresh));
                    }
                }
            }
            self.corners.push(corners);
        }
        self.neighbours.sort_unstable();
        for (number, &(_, _, fresh)) in (0..).zip(&self.neighbours) {
            self.sorted[fresh as usize] = number;
        }
        for corner in self.corners.iter_mut().flatten() {
            *corner = self.sorted.get(*corner as usize).copied().unwrap_or(NONE);
        }
    }

    fn find_triangles(&mut self, star: &Star) {
        self.triangles.clear();
        self.faces.clear();
        self.faces.resize(star.cells.len(), [NONE; 4]);
        self.heads.clear();
        self.heads.resize(self.neighbours.len(), NONE);
        for (place, (&slot, across)) in star.slots.iter().zip(&star.across).enumerate() {
            let [a, b, c] = OTHERS[slot];
            for (face, ends) in [(a, [b, c]), (b, [a, c]), (c, [a, b])] {
                let beyond = across[face];
                if beyond != NONE && (beyond as usize) < place {
                    continue;
                }
                let ends = ends.map(|end| self.corners[place][end]);
                if ends.contains(&NONE) {
                    continue;
                }
                let number = self.triangles.len() as u32;
                self.faces[place][face] = number;
                let mut sides = [(place as u32, face), (NONE, 0)];
                if beyond != NONE {
                    let back = slot_of(&star.across[beyond as usize], place as u32);
                    sides[1] = (beyond, back);
                    self.faces[beyond as usize][back] = number;
                }
                let ends = [ends[0].max(ends[1]), ends[0].min(ends[1])];
                let next = ends.map(|end| self.heads[end as usize]);
                ends.iter().for_each(|&end| self.heads[end as usize] = number);
                self.triangles.push(Triangle { ends, sides, above: [NONE; 2], next });
            }
        }
    }

    fn find_tetrahedra(&mut self, star: &Star) {
        self.tetrahedra.clear();
        for (place, &slot) in star.slots.iter().enumerate() {
            let corners = self.corners[place];
            if OTHERS[slot].iter().any(|&k| corners[k] == NONE) {
                continue;
            }
            let number = self.tetrahedra.len() as u32;
            self.tetrahedra.push(place as u32);
            for face in OTHERS[slot] {
                let above = &mut self.triangles[self.faces[place][face] as usize].above;
                above[usize::from(above[0] != NONE)] = number;
            }
        }
    }

    /// ProcessLowerStar: the first edge goes with v; from there on a simplex with one undecided face is
    /// matched with it; where there is none, the first simplex left is critical.
    fn pair(&mut self) {
        let (edges, triangles) = (self.neighbours.len(), self.triangles.len());
        let all = edges + triangles + self.tetrahedra.len();
        self.matches.clear();
        self.matches.resize(all, Match::Open);
        self.left.clear();
        self.left.resize(edges, 0);
        self.left.resize(edges + triangles, 2);
        self.left.resize(all, 3);
        self.growing.clear();
        self.waiting.clear();
        if edges == 0 {
            return;
        }
        self.decide(0, Match::Down(NONE));
        let mut edge = 1;
        loop {
            while let Some(Reverse(key)) = self.growing.pop() {
                let simplex = key as u32 as usize;
                if self.matches[simplex] != Match::Open {
                    continue;
                }
                match self.open_face(simplex) {
                    Some(face) => {
                        self.decide(face, Match::Up);
                        self.decide(simplex, Match::Down(face as u32));
                    }
                    None => self.waiting.push(Reverse(key)),
                }
            }
            while edge < edges && self.matches[edge] != Match::Open {
                edge += 1;
            }
            let first = (edge < edges).then(|| Reverse(self.key(edge)));
            let waiting = self.waiting.peek().copied();
            // the lesser key is the greater in reverse, and none is the least
            let Some(Reverse(key)) = first.max(waiting) else { return };
            if first < waiting {
                self.waiting.pop();
            }
            let simplex = key as u32 as usize;
            if self.matches[simplex] == Match::Open {
                self.decide(simplex, Match::Critical);
            }
        }
    }

    /// Notes how a simplex is matched, and which simplices above it have one undecided face now.
    fn decide(&mut self, simplex: usize, as_: Match) {
        self.matches[simplex] = as_;
        let edges = self.neighbours.len();
        let triangles = self.triangles.len();
        if simplex < edges {
            let mut triangle = self.heads[simplex];
            while triangle != NONE {
                let Triangle { ends, next, .. } = self.triangles[triangle as usize];
                self.lose_face(edges + triangle as usize);
                triangle = next[usize::from(ends[0] as usize != simplex)];
            }
        } else if simplex < edges + triangles {
            for above in self.triangles[simplex - edges].above.into_iter().filter(|&a| a != NONE) {
                self.lose_face(edges + triangles + above as usize);
            }
        }
    }

    fn lose_face(&mut self, simplex: usize) {
        self.left[simplex] -= 1;
        if self.left[simplex] == 1 && self.matches[simplex] == Match::Open {
            self.growing.push(Reverse(self.key(simplex)));
        }
    }

    /// The undecided face of a simplex that has one.
    fn open_face(&self, simplex: usize) -> Option<usize> {
        let edges = self.neighbours.len();
        let is_open = |face: &usize| self.matches[*face] == Match::Open;
        match simplex.checked_sub(edges + self.triangles.len()) {
            Some(tetrahedron) => {
                let faces = self.faces[self.tetrahedra[tetrahedron] as usize];
                let faces = faces.into_iter().filter(|&face| face != NONE);
                faces.map(|face| edges + face as usize).find(is_open)
            }
            None => {
                let ends = self.triangles[simplex - edges].ends;
                ends.into_iter().map(|end| end as usize).find(is_open)
            }
        }
    }

    /// Orders simplices as their ranks do, vertex by vertex, a face before what it bounds; the lowest
    /// 32 bits are the simplex itself.
    fn key(&self, simplex: usize) -> u128 {
        let edges = self.neighbours.len();
        let corners = if simplex < edges {
            [simplex as u32 + 1, 0, 0]
        } else if let Some(triangle) = self.triangles.get(simplex - edges) {
            [triangle.ends[0] + 1, triangle.ends[1] + 1, 0]
        } else {
            let place = self.tetrahedra[simplex - edges - self.triangles.len()] as usize;
            let [a, b, c, d] = self.corners[place].map(|corner| corner.wrapping_add(1));
            let (low, high) = ([a.min(b), c.min(d)], [a.max(b), c.max(d)]);
            // the corner that is v has 0, which is the least
            let middle = [low[0].max(low[1]), high[0].min(high[1])];
            [high[0].max(high[1]), middle[0].max(middle[1]), middle[0].min(middle[1])]
        };
        corners
            .into_iter()
            .chain([simplex as u32])
            .fold(0, |key, part| key << 32 | u128::from(part))
    }
}
