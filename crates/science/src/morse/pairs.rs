//! Persistence pairs of critical cells.
//!
//! Vertices are paired with edges by union-find along paths of vertices, tetrahedra with triangles along
//! paths of cells, from the other end of the order. Only edges and triangles that neither pairs are left
//! for a reduction modulo 2, which is small: a column for each such triangle, a row for each such edge.

use super::block::Block;
use super::chain::{Spread, odd};
use super::{Complex, Error};
use crate::mesh::NONE;
use crate::work::{Bytes, Failure, put};
use rayon::prelude::*;
use std::collections::{BinaryHeap, HashMap};

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

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for pairs in [&self.vertex_edge, &self.edge_triangle, &self.triangle_tetrahedron] {
            put(&mut out, &pairs.iter().map(|pair| [pair.0, pair.1]).collect::<Vec<_>>());
        }
        out
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Failure> {
        let mut bytes = Bytes(bytes);
        let mut pairs = || -> Result<Vec<(u32, u32)>, Failure> {
            Ok(bytes.list::<[u32; 2]>()?.into_iter().map(|[born, died]| (born, died)).collect())
        };
        let (vertex_edge, edge_triangle) = (pairs()?, pairs()?);
        Ok(Self { vertex_edge, edge_triangle, triangle_tetrahedron: pairs()? })
    }
}

/// Pairing in rounds: blocks are asked for the boundaries of triangles, and then for what becomes of edges
/// that others' boundaries leave by, until no boundary leaves any block.
#[derive(Debug)]
pub struct Pairing<'a> {
    complex: &'a Complex,
    pairs: Pairs,
    /// Edges that no vertex is paired with, ascending.
    rows: Vec<u32>,
    /// Triangles that no tetrahedron is paired with, ascending.
    columns: Vec<u32>,
    /// The boundary of each column as far as it is in the triangle's block.
    begun: Vec<Answer>,
    /// What edges of other blocks are pushed down to.
    known: HashMap<[u32; 2], Answer>,
    /// Edges that are asked for, after their blocks, ascending; none before the first round.
    asked: Option<Vec<[u32; 3]>>,
}

/// What a block says of a triangle's or an edge's boundary.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    rows: Vec<u32>,
    beyond: Vec<[u32; 3]>,
}

impl Answer {
    /// All in a row, for a store.
    pub(crate) fn write(answers: &[Self]) -> Vec<u8> {
        let mut out = Vec::new();
        let lengths: Vec<[u32; 2]> =
            answers.iter().map(|a| [a.rows.len() as u32, a.beyond.len() as u32]).collect();
        put(&mut out, &lengths);
        put(&mut out, &answers.iter().flat_map(|a| a.rows.iter().copied()).collect::<Vec<_>>());
        put(&mut out, &answers.iter().flat_map(|a| a.beyond.iter().copied()).collect::<Vec<_>>());
        out
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Self>, Failure> {
        let mut bytes = Bytes(bytes);
        let lengths: Vec<[u32; 2]> = bytes.list()?;
        let (mut rows, mut beyond) = (bytes.list()?.into_iter(), bytes.list()?.into_iter());
        let answer = |[r, b]: [u32; 2]| Self {
            rows: rows.by_ref().take(r as usize).collect(),
            beyond: beyond.by_ref().take(b as usize).collect(),
        };
        Ok(lengths.into_iter().map(answer).collect())
    }
}

impl<'a> Pairing<'a> {
    /// Pairs vertices with edges and triangles with tetrahedra.
    #[must_use]
    pub fn new(complex: &'a Complex) -> Self {
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
        let rows = left(complex.edges.len(), vertex_edge.iter().map(|pair| pair.1));
        let columns = left(complex.triangles.len(), triangle_tetrahedron.iter().map(|p| p.0));
        let pairs = Pairs { vertex_edge, edge_triangle: Vec::new(), triangle_tetrahedron };
        let (begun, known) = (vec![Answer::default(); columns.len()], HashMap::new());
        Self { complex, pairs, rows, columns, begun, known, asked: None }
    }

    /// Whether blocks are to be asked again.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.asked.as_ref().is_none_or(|asked| !asked.is_empty())
    }

    /// Whether there is something to ask of a block.
    #[must_use]
    pub fn asks(&self, block: u32) -> bool {
        match &self.asked {
            None => self.triangles(block).next().is_some(),
            Some(_) => !self.edges(block).is_empty(),
        }
    }

    /// What a block says to what it is asked.
    #[must_use]
    pub fn answer(&self, number: u32, block: &Block<'_>) -> Vec<Answer> {
        let answer = |spread: Spread| Answer {
            rows: spread.critical.iter().filter_map(|edge| self.row(edge)).collect(),
            beyond: spread.beyond,
        };
        match &self.asked {
            None => {
                let columns: Vec<usize> = self.triangles(number).collect();
                let place = |column: usize| self.triangle(column).place;
                columns.par_iter().map(|&c| answer(block.boundary(place(c)))).collect()
            }
            Some(_) => {
                let edges = self.edges(number).par_iter();
                edges.map(|&[_, a, b]| answer(block.boundary_from([a, b]))).collect()
            }
        }
    }

    /// Takes the answers of all blocks, in the order of their numbers.
    ///
    /// # Errors
    /// Not as many answers as were asked for.
    pub fn take(&mut self, answers: impl IntoIterator<Item = Vec<Answer>>) -> Result<(), Error> {
        let mut next = Vec::new();
        for (number, answers) in (0..).zip(answers) {
            next.extend(answers.iter().flat_map(|answer| answer.beyond.iter().copied()));
            let found = answers.len();
            let expected = match &self.asked {
                None => {
                    let columns: Vec<usize> = self.triangles(number).collect();
                    let expected = columns.len();
                    columns.into_iter().zip(answers).for_each(|(c, a)| self.begun[c] = a);
                    expected
                }
                Some(_) => {
                    let edges: Vec<[u32; 2]> =
                        self.edges(number).iter().map(|&[_, a, b]| [a, b]).collect();
                    let expected = edges.len();
                    self.known.extend(edges.into_iter().zip(answers));
                    expected
                }
            };
            if found != expected {
                return Err(Error::Length { found, expected });
            }
        }
        next.par_sort_unstable();
        next.dedup();
        next.retain(|&[_, a, b]| !self.known.contains_key(&[a, b]));
        self.asked = Some(next);
        Ok(())
    }

    /// Pairs edges with triangles.
    ///
    /// # Errors
    /// A boundary that leaves a block by an edge that was not asked for.
    pub fn finish(&self) -> Result<Pairs, Error> {
        let boundaries: Result<Vec<Vec<u32>>, Error> =
            self.begun.par_iter().map(|begun| self.boundary(begun)).collect();
        let mut pairs = self.pairs.clone();
        pairs.edge_triangle = self.reduce(boundaries?);
        pairs.vertex_edge.par_sort_unstable();
        pairs.edge_triangle.par_sort_unstable();
        pairs.triangle_tetrahedron.par_sort_unstable();
        Ok(pairs)
    }

    fn triangle(&self, column: usize) -> &super::Triangle {
        &self.complex.triangles[self.columns[column] as usize]
    }

    /// Columns whose triangles are a block's.
    fn triangles(&self, block: u32) -> impl Iterator<Item = usize> + '_ {
        (0..self.columns.len()).filter(move |&column| self.triangle(column).block == block)
    }

    /// Edges that a block is asked for.
    fn edges(&self, block: u32) -> &[[u32; 3]] {
        let asked = self.asked.as_deref().unwrap_or_default();
        let at = |block: u32| asked.partition_point(|edge| edge[0] < block);
        &asked[at(block)..at(block + 1)]
    }

    fn row(&self, ranks: &[u32; 2]) -> Option<u32> {
        let edge = self.complex.edges.binary_search_by_key(ranks, |edge| edge.ranks).ok()?;
        self.rows.binary_search(&(edge as u32)).ok().map(|row| row as u32)
    }

    /// All rows of a boundary, across blocks.
    fn boundary(&self, begun: &Answer) -> Result<Vec<u32>, Error> {
        let mut rows = begun.rows.clone();
        if begun.beyond.is_empty() {
            return Ok(rows);
        }
        // the last edge first, so that each is met when all paths to it are known
        let edge = |&[_, a, b]: &[u32; 3]| [a, b];
        let mut open: BinaryHeap<[u32; 2]> = begun.beyond.iter().map(edge).collect();
        while let Some(first) = open.pop() {
            let mut is_odd = true;
            while open.peek() == Some(&first) {
                open.pop();
                is_odd = !is_odd;
            }
            if is_odd {
                let answer = self.known.get(&first).ok_or(Error::Path)?;
                rows.extend(&answer.rows);
                open.extend(answer.beyond.iter().map(edge));
            }
        }
        Ok(odd(rows))
    }

    /// Reduces columns modulo 2.
    fn reduce(&self, mut reduced: Vec<Vec<u32>>) -> Vec<(u32, u32)> {
        let mut owner = vec![NONE; self.rows.len()];
        let mut pairs = Vec::with_capacity(self.rows.len());
        let mut sum = Sum::new(self.rows.len());
        for column in 0..reduced.len() {
            sum.add(&reduced[column]);
            while let Some(row) = sum.last() {
                let other = owner[row as usize];
                if other == NONE {
                    owner[row as usize] = column as u32;
                    pairs.push((self.rows[row as usize], self.columns[column]));
                    break;
                }
                sum.add(&reduced[other as usize]);
            }
            reduced[column] = sum.take();
        }
        pairs
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
