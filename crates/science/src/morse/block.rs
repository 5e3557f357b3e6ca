//! A part of a mesh: the discrete gradient on the lower stars of its vertices, and the paths along it.
//!
//! The gradient is kept at cells, in 16 bits each: three for each of the four faces, which say with what
//! the triangle is matched, and three for the cell itself. Of a face opposite corner k, s + 1 means: with
//! the edge that is opposite corner s; if s = k, with a cell. Of the cell it means: with the face opposite
//! corner s. 5 is a critical simplex, 0 one that belongs to another block.

use super::lower::{LowerStar, Match};
use super::{Error, Order, Part};
use crate::mesh::{Mesh, NONE};
use crate::star::{Star, Stars, slot_of};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering::Relaxed};

const CRITICAL: u16 = 5;
/// Where the cell's own three bits are.
const OWN: usize = 4;

/// A part of a mesh with the gradient of its vertices. A whole mesh is one part.
#[derive(Debug)]
pub struct Block<'a> {
    pub(super) stars: &'a Stars<'a>,
    pub(super) rank: &'a [u32],
    /// Vertices by rank.
    order: &'a [u32],
    /// The number of this block, and of the block of each vertex; `None` if all are of this one.
    owners: Option<(u32, &'a [u32])>,
    /// The other end of the edge that each vertex is matched with; itself without one.
    pub(super) next: Vec<u32>,
    codes: Vec<u16>,
    pub(super) critical: Critical,
}

/// Critical cells, by the ranks of their vertices, the greatest first.
#[derive(Debug, Default)]
pub(super) struct Critical {
    pub vertices: Vec<u32>,
    pub edges: Vec<[u32; 2]>,
    /// With four times a cell that has it, plus the face.
    pub triangles: Vec<([u32; 3], u32)>,
    pub tetrahedra: Vec<[u32; 4]>,
}

/// Where a path ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End<const D: usize> {
    /// At a critical cell.
    Critical([u32; D]),
    /// Beyond the mesh's boundary.
    Outside,
    /// At a cell of another block.
    Beyond { block: u32, cell: [u32; D] },
}

/// Ends of paths that were followed before, plus one; 0 for those not known yet.
pub(super) type Known = Vec<AtomicU32>;

impl<'a> Block<'a> {
    /// The gradient of a whole mesh on an order of its vertices.
    ///
    /// # Errors
    /// An order of another number of vertices; a mesh that is no manifold.
    pub fn whole(stars: &'a Stars<'a>, order: &'a Order) -> Result<Self, Error> {
        Self::new(stars, &order.rank, &order.vertices, None)
    }

    /// The gradient of a part of a mesh, of [`Part::stars`].
    ///
    /// # Errors
    /// As [`Self::whole`].
    pub fn part(stars: &'a Stars<'a>, part: &'a Part) -> Result<Self, Error> {
        Self::new(stars, &part.rank, &part.order, Some((part.number, &part.owners)))
    }

    fn new(
        stars: &'a Stars<'a>,
        rank: &'a [u32],
        order: &'a [u32],
        owners: Option<(u32, &'a [u32])>,
    ) -> Result<Self, Error> {
        let mesh = stars.mesh();
        for found in [rank.len(), order.len()] {
            if found != mesh.vertices.len() {
                return Err(Error::Length { found, expected: mesh.vertices.len() });
            }
        }
        let next: Vec<AtomicU32> = (0..rank.len() as u32).map(AtomicU32::new).collect();
        let codes: Vec<AtomicU16> = mesh.cells.iter().map(|_| AtomicU16::new(0)).collect();
        let found = stars.visit(
            LowerStar::default,
            |critical: &mut Critical, lower: &mut LowerStar, vertex, star| {
                lower.fill(mesh, rank, vertex, star);
                write(mesh, star, lower, vertex, &next, &codes);
                critical.add(mesh, rank, star, lower, vertex);
            },
        )?;
        let next = next.into_iter().map(AtomicU32::into_inner).collect();
        let codes = codes.into_iter().map(AtomicU16::into_inner).collect();
        let mut critical = Critical::default();
        for mut part in found {
            critical.vertices.append(&mut part.vertices);
            critical.edges.append(&mut part.edges);
            critical.triangles.append(&mut part.triangles);
            critical.tetrahedra.append(&mut part.tetrahedra);
        }
        Ok(Self { stars, rank, order, owners, next, codes, critical })
    }

    /// One more than the greatest rank of its vertices.
    pub(super) fn ranks_end(&self) -> usize {
        self.order.last().map_or(0, |&last| self.rank[last as usize] as usize + 1)
    }

    pub(super) fn vertices(&self) -> usize {
        self.next.len()
    }

    pub(super) fn cells(&self) -> usize {
        self.codes.len()
    }

    pub(super) fn owner(&self, vertex: u32) -> Option<u32> {
        let (own, of) = self.owners?;
        let owner = of[vertex as usize];
        (owner != own).then_some(owner)
    }

    /// The vertex of a rank; vertices are as many as ranks, or sorted by them.
    pub(super) fn locate(&self, rank: u32) -> Option<u32> {
        match self.owners {
            None => self.order.get(rank as usize).copied(),
            Some(_) => {
                let found = self.order.binary_search_by_key(&rank, |&v| self.rank[v as usize]);
                found.ok().map(|place| self.order[place])
            }
        }
    }

    /// The rank of the vertex that the edge matched with this one leads to; the same at a path's end.
    pub(super) fn step(&self, rank: u32) -> End<1> {
        let Some(vertex) = self.locate(rank) else { return End::Outside };
        match self.owner(vertex) {
            Some(block) => End::Beyond { block, cell: [rank] },
            None => End::Critical([self.rank[self.next[vertex as usize] as usize]]),
        }
    }

    /// Where the path of vertices from this rank on ends.
    pub(super) fn follow_vertex(&self, known: &Known, rank: u32) -> End<1> {
        let Some(vertex) = self.locate(rank) else { return End::Outside };
        let end = follow(known, vertex, |vertex| self.next[vertex as usize]);
        let cell = [self.rank[end as usize]];
        match self.owner(end) {
            Some(block) => End::Beyond { block, cell },
            None => End::Critical(cell),
        }
    }

    /// Where the two paths of cells end that begin on the sides of a critical triangle.
    pub(super) fn follow_sides(&self, known: &Known, place: u32) -> [End<4>; 2] {
        let (cell, face) = (place >> 2, place as usize & 3);
        [cell, self.stars.mesh().neighbours[cell as usize][face]]
            .map(|c| self.follow_cell(known, c))
    }

    /// Where the path of cells ends that begins at the cell with these ranks.
    pub(super) fn follow_from(&self, known: &Known, cell: [u32; 4]) -> End<4> {
        match self.find(&cell) {
            Some(cell) => self.follow_cell(known, cell),
            None => End::Outside,
        }
    }

    fn follow_cell(&self, known: &Known, cell: u32) -> End<4> {
        let mesh = self.stars.mesh();
        let end = follow(known, cell, |cell| match self.code(cell, OWN) {
            0 | CRITICAL => cell,
            face => mesh.neighbours[cell as usize][face as usize - 1],
        });
        if end == NONE {
            return End::Outside;
        }
        let corners = mesh.cells[end as usize];
        let cell = self.ranks(corners);
        let last = corners.into_iter().find(|&corner| self.rank[corner as usize] == cell[0]);
        match last.and_then(|last| self.owner(last)) {
            Some(block) => End::Beyond { block, cell },
            None => End::Critical(cell),
        }
    }

    /// Ranks of the vertices that share a cell with the one of this rank, if that is of this block.
    pub(super) fn around(&self, rank: u32) -> Option<Vec<u32>> {
        let vertex = self.locate(rank).filter(|&v| self.owner(v).is_none())?;
        let mut star = Star::default();
        if self.stars.is_used(vertex) {
            star.fill(self.stars.mesh(), vertex, self.stars.first(vertex));
        }
        let corners = star.cells.iter().flat_map(|&cell| self.stars.mesh().cells[cell as usize]);
        let mut ranks: Vec<u32> = corners.map(|corner| self.rank[corner as usize]).collect();
        ranks.push(rank);
        ranks.sort_unstable();
        ranks.dedup();
        Some(ranks)
    }

    /// A cell that has all vertices of a simplex that is given by ranks, the greatest first.
    pub(super) fn find(&self, ranks: &[u32]) -> Option<u32> {
        let vertex = self.locate(*ranks.first()?)?;
        if !self.stars.is_used(vertex) {
            return None;
        }
        let mesh = self.stars.mesh();
        let mut star = Star::default();
        star.fill(mesh, vertex, self.stars.first(vertex));
        star.cells.into_iter().find(|&cell| {
            let corners = mesh.cells[cell as usize].map(|corner| self.rank[corner as usize]);
            ranks.iter().all(|rank| corners.contains(rank))
        })
    }

    pub(super) fn code(&self, cell: u32, what: usize) -> u16 {
        self.codes[cell as usize] >> (3 * what) & 7
    }

    fn ranks(&self, corners: [u32; 4]) -> [u32; 4] {
        ranks(self.rank, corners)
    }
}

fn ranks(rank: &[u32], corners: [u32; 4]) -> [u32; 4] {
    let mut ranks = corners.map(|corner| rank[corner as usize]);
    ranks.sort_unstable_by(|a, b| b.cmp(a));
    ranks
}

/// Follows a path to its end, which is where `step` stays, or [`NONE`].
fn follow(known: &Known, start: u32, step: impl Fn(u32) -> u32) -> u32 {
    if start == NONE {
        return NONE;
    }
    let walk = |mut at: u32, mark: Option<u32>| loop {
        let (seen, to) = (known[at as usize].load(Relaxed), step(at));
        if let Some(mark) = mark {
            known[at as usize].store(mark, Relaxed);
        }
        match seen {
            0 if to == at || to == NONE => return to,
            0 => at = to,
            NONE => return NONE,
            end => return end - 1,
        }
    };
    let end = walk(start, None);
    walk(start, Some(if end == NONE { NONE } else { end + 1 }));
    end
}

impl Critical {
    fn add(&mut self, mesh: Mesh, rank: &[u32], star: &Star, lower: &LowerStar, vertex: u32) {
        let own = rank[vertex as usize];
        if lower.neighbours.is_empty() {
            self.vertices.push(own);
        }
        let (edges, others) = lower.matches.split_at(lower.neighbours.len());
        let (triangles, tetrahedra) = others.split_at(lower.triangles.len());
        let of = |number: u32| lower.neighbours[number as usize].0;
        for (number, _) in (0..).zip(edges).filter(|edge| *edge.1 == Match::Critical) {
            self.edges.push([own, of(number)]);
        }
        for (triangle, _) in
            lower.triangles.iter().zip(triangles).filter(|t| *t.1 == Match::Critical)
        {
            let (place, face) = triangle.sides[0];
            let place = 4 * star.cells[place as usize] + face as u32;
            self.triangles.push(([own, of(triangle.ends[0]), of(triangle.ends[1])], place));
        }
        for (&place, _) in
            lower.tetrahedra.iter().zip(tetrahedra).filter(|t| *t.1 == Match::Critical)
        {
            self.tetrahedra.push(ranks(rank, mesh.cells[star.cells[place as usize] as usize]));
        }
    }
}

/// Writes down how the lower star of a vertex is matched.
fn write(
    mesh: Mesh,
    star: &Star,
    lower: &LowerStar,
    vertex: u32,
    next: &[AtomicU32],
    codes: &[AtomicU16],
) {
    if let Some(&(_, first, _)) = lower.neighbours.first() {
        next[vertex as usize].store(first, Relaxed);
    }
    let (edges, triangles) = (lower.neighbours.len(), lower.triangles.len());
    let others = &lower.matches[edges..];
    let sides = |triangle: usize| lower.triangles[triangle].sides.into_iter();
    let put = |place: u32, what: usize, code: usize| {
        codes[star.cells[place as usize] as usize].fetch_or((code as u16) << (3 * what), Relaxed);
    };
    for (number, matched) in others[..triangles].iter().enumerate() {
        for (place, face) in sides(number).filter(|side| side.0 != NONE) {
            let code = match matched {
                Match::Down(edge) => {
                    // the corner opposite the edge is the triangle's other neighbour of v
                    let ends = lower.triangles[number].ends;
                    let other = ends[usize::from(ends[0] == *edge)];
                    let (_, other, _) = lower.neighbours[other as usize];
                    slot_of(&mesh.cells[star.cells[place as usize] as usize], other) + 1
                }
                Match::Critical => usize::from(CRITICAL),
                Match::Up | Match::Open => face + 1,
            };
            put(place, face, code);
        }
    }
    for (&place, matched) in lower.tetrahedra.iter().zip(&others[triangles..]) {
        let code = match matched {
            Match::Down(triangle) => sides(*triangle as usize - edges)
                .find(|side| side.0 == place)
                .map_or(0, |side| side.1 + 1),
            _ => usize::from(CRITICAL),
        };
        put(place, OWN, code);
    }
}
