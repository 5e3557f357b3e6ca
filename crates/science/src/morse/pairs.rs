//! Persistence pairs of critical cells.
//!
//! Vertices are paired with edges by union-find along paths of vertices, tetrahedra with triangles along
//! paths of cells, from the other end of the order. Only edges and triangles that neither pairs are left
//! for a reduction modulo 2, which is small: a column for each such triangle, a row for each such edge.

use super::{Complex, Error};
use crate::mesh::NONE;
use rayon::prelude::*;

/// Pairs of critical cells by their places in the lists of a [`Complex`], each sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pairs {
    /// A vertex whose component an edge joins to an older one.
    pub vertex_edge: Vec<(u32, u32)>,
    /// An edge whose loop a triangle fills.
    pub edge_triangle: Vec<(u32, u32)>,
    /// A triangle whose void a tetrahedron fills.
    pub triangle_tetrahedron: Vec<(u32, u32)>,
}

impl Pairs {
    pub(super) fn new(complex: &Complex) -> Result<Self, Error> {
        let mut components = Sets::new(complex.vertices.len());
        let vertex_edge: Vec<(u32, u32)> = (0..)
            .zip(&complex.edges)
            .filter_map(|(edge, e)| {
                components.join(e.ends, u32::min).map(|younger| (younger, edge))
            })
            .collect();
        // outside is a tetrahedron after the last
        let mut voids = Sets::new(complex.tetrahedra.len() + 1);
        let triangle_tetrahedron: Vec<(u32, u32)> = (0..complex.triangles.len() as u32)
            .rev()
            .filter_map(|triangle| {
                let sides = complex.triangles[triangle as usize].sides;
                voids.join(sides, u32::max).map(|younger| (triangle, younger))
            })
            .collect();
        let mut pairs = Self { vertex_edge, edge_triangle: Vec::new(), triangle_tetrahedron };
        pairs.edge_triangle = pairs.reduce(complex)?;
        pairs.vertex_edge.par_sort_unstable();
        pairs.edge_triangle.par_sort_unstable();
        pairs.triangle_tetrahedron.par_sort_unstable();
        Ok(pairs)
    }

    /// Whether the places are some of a complex's lists.
    pub(crate) fn are_of(&self, complex: &Complex) -> bool {
        let [vertices, edges] = [complex.vertices.len(), complex.edges.len()];
        let [triangles, tetrahedra] = [complex.triangles.len(), complex.tetrahedra.len()];
        let below = |pairs: &[(u32, u32)], born: usize, died: usize| {
            pairs.iter().all(|pair| (pair.0 as usize) < born && (pair.1 as usize) < died)
        };
        below(&self.vertex_edge, vertices, edges)
            && below(&self.edge_triangle, edges, triangles)
            && below(&self.triangle_tetrahedron, triangles, tetrahedra)
    }

    fn reduce(&self, complex: &Complex) -> Result<Vec<(u32, u32)>, Error> {
        let rows = left(complex.edges.len(), self.vertex_edge.iter().map(|pair| pair.1));
        let columns = left(complex.triangles.len(), self.triangle_tetrahedron.iter().map(|p| p.0));
        let row = |ranks: &[u32; 2]| {
            let edge = complex.edges.binary_search_by_key(ranks, |edge| edge.ranks).ok()?;
            rows.binary_search(&(edge as u32)).ok()
        };
        let boundary = |&triangle: &u32| {
            let boundary = complex.boundary(&complex.triangles[triangle as usize])?;
            Ok(boundary.iter().filter_map(row).map(|row| row as u32).collect())
        };
        let boundaries: Result<Vec<Vec<u32>>, Error> = columns.par_iter().map(boundary).collect();
        let mut reduced = boundaries?;
        let mut owner = vec![NONE; rows.len()];
        let mut pairs = Vec::with_capacity(rows.len());
        let mut sum = Sum::new(rows.len());
        for column in 0..reduced.len() {
            sum.add(&reduced[column]);
            while let Some(row) = sum.last() {
                let other = owner[row as usize];
                if other == NONE {
                    owner[row as usize] = column as u32;
                    pairs.push((rows[row as usize], columns[column]));
                    break;
                }
                sum.add(&reduced[other as usize]);
            }
            reduced[column] = sum.take();
        }
        Ok(pairs)
    }
}

/// Numbers below `len` that are not `taken`.
fn left(len: usize, taken: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut is_taken = vec![false; len];
    taken.for_each(|number| is_taken[number as usize] = true);
    (0..).zip(is_taken).filter(|entry| !entry.1).map(|entry| entry.0).collect()
}

/// Disjoint sets of numbers.
struct Sets(Vec<u32>);

impl Sets {
    fn new(len: usize) -> Self {
        Self((0..len as u32).collect())
    }

    fn find(&mut self, mut of: u32) -> u32 {
        while self.0[of as usize] != of {
            let grand = self.0[self.0[of as usize] as usize];
            self.0[of as usize] = grand;
            of = grand;
        }
        of
    }

    /// Joins two sets under the elder of their heads, and says which is the other; `None` if they are one.
    fn join(&mut self, of: [u32; 2], elder: impl Fn(u32, u32) -> u32) -> Option<u32> {
        let [a, b] = of.map(|one| self.find(one));
        let elder = elder(a, b);
        let younger = if elder == a { b } else { a };
        self.0[younger as usize] = elder;
        (a != b).then_some(younger)
    }
}

/// A sum of columns modulo 2 of which the last row is asked for: a set of bits, and above it two layers of
/// bits that say which words are not 0.
struct Sum {
    layers: [Vec<u64>; 3],
}

impl Sum {
    fn new(rows: usize) -> Self {
        let words = rows.div_ceil(64).max(1);
        let above = words.div_ceil(64);
        Self { layers: [vec![0; words], vec![0; above], vec![0; above.div_ceil(64)]] }
    }

    fn add(&mut self, column: &[u32]) {
        for &row in column {
            let [bits, above, top] = &mut self.layers;
            let (word, group, part) = (row as usize >> 6, row as usize >> 12, row as usize >> 18);
            bits[word] ^= 1 << (row & 63);
            set(&mut above[group], word & 63, bits[word] != 0);
            set(&mut top[part], group & 63, above[group] != 0);
        }
    }

    fn last(&self) -> Option<u32> {
        let [bits, above, top] = &self.layers;
        let part = top.iter().rposition(|&word| word != 0)?;
        let group = part << 6 | top[part].ilog2() as usize;
        let word = group << 6 | above[group].ilog2() as usize;
        Some((word << 6) as u32 | bits[word].ilog2())
    }

    /// All rows, the last first; nothing stays.
    fn take(&mut self) -> Vec<u32> {
        let mut rows = Vec::new();
        while let Some(row) = self.last() {
            rows.push(row);
            self.add(&[row]);
        }
        rows
    }
}

fn set(word: &mut u64, bit: usize, to: bool) {
    *word = *word & !(1 << bit) | u64::from(to) << bit;
}
