//! A part of a mesh: the discrete gradient on the lower stars of its vertices, and the paths along it.
//!
//! The gradient is kept at cells, in 16 bits each: three for each of the four faces, which say with what
//! the triangle is matched, and three for the cell itself. Of a face opposite corner k, s + 1 means: with
//! the edge that is opposite corner s; if s = k, with a cell. Of the cell it means: with the face opposite
//! corner s. 5 is a critical simplex, 0 one that belongs to another block.

use super::found::{EXIT, Found, OUTSIDE, Triangle};
use super::lower::{LowerStar, Match};
use super::{Error, Order};
use crate::mesh::{Mesh, NONE};
use crate::patch::Patch;
use crate::star::{Star, Stars, slot_of};
use crate::work::{Bytes, Failure, put};
use rayon::prelude::*;
use std::borrow::Cow;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering::Relaxed};

const CRITICAL: u16 = 5;
/// Where the cell's own three bits are.
const OWN: usize = 4;

/// A part of a mesh with the gradient of its vertices: 2 bytes a cell, 4 a vertex, and 4 for ranks where it
/// is not the whole.
#[derive(Debug)]
pub struct Block<'a> {
    pub(super) patch: &'a Patch<'a>,
    pub(super) stars: &'a Stars<'a>,
    pub(super) rank: Cow<'a, [u32]>,
    order: &'a Order,
    pub(super) gradient: Cow<'a, Gradient>,
}

/// How simplices are matched.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gradient {
    /// The other end of the edge that each vertex is matched with; itself without one.
    pub next: Vec<u32>,
    pub codes: Vec<u16>,
}

impl Gradient {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put(out, &self.next);
        put(out, &self.codes);
    }

    pub(crate) fn read(bytes: &mut Bytes<'_>) -> Result<Self, Failure> {
        Ok(Self { next: bytes.list()?, codes: bytes.list()? })
    }
}

/// Critical cells, by the ranks of their vertices, the greatest first.
#[derive(Debug, Default)]
struct Critical {
    vertices: Vec<u32>,
    edges: Vec<[u32; 2]>,
    /// With four times a cell that has it, plus the face.
    triangles: Vec<([u32; 3], u32)>,
    tetrahedra: Vec<[u32; 4]>,
}

/// Ends of paths that were followed before, plus one; 0 for those not known yet.
type Known = Vec<AtomicU32>;

impl<'a> Block<'a> {
    /// The gradient on an order of the whole mesh's vertices, and what others need of it.
    ///
    /// # Errors
    /// An order of another number of vertices; a mesh that is no manifold.
    pub fn new(
        patch: &'a Patch<'a>,
        stars: &'a Stars<'a>,
        order: &'a Order,
    ) -> Result<(Self, Found), Error> {
        let rank = ranked(patch, order)?;
        let mesh = patch.mesh();
        let next: Vec<AtomicU32> = (0..rank.len() as u32).map(AtomicU32::new).collect();
        let codes: Vec<AtomicU16> = mesh.cells.iter().map(|_| AtomicU16::new(0)).collect();
        let found = stars.visit(
            LowerStar::default,
            |critical: &mut Critical, lower: &mut LowerStar, vertex, star| {
                lower.fill(mesh, &rank, vertex, star);
                write(mesh, star, lower, vertex, &next, &codes);
                critical.add(mesh, &rank, star, lower, vertex);
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
        let block =
            Self { patch, stars, rank, order, gradient: Cow::Owned(Gradient { next, codes }) };
        let found = block.found(critical);
        Ok((block, found))
    }

    /// A block whose gradient is known.
    ///
    /// # Errors
    /// An order, or a gradient, of another number of vertices or cells.
    pub(crate) fn again(
        patch: &'a Patch<'a>,
        stars: &'a Stars<'a>,
        order: &'a Order,
        gradient: Cow<'a, Gradient>,
    ) -> Result<Self, Error> {
        let rank = ranked(patch, order)?;
        let sizes =
            [(gradient.next.len(), rank.len()), (gradient.codes.len(), patch.mesh().cells.len())];
        match sizes.into_iter().find(|(found, expected)| found != expected) {
            Some((found, expected)) => Err(Error::Length { found, expected }),
            None => Ok(Self { patch, stars, rank, order, gradient }),
        }
    }

    pub(crate) fn into_gradient(self) -> Gradient {
        self.gradient.into_owned()
    }

    /// What other blocks and the gathering need: critical cells, where paths lead, and where those that
    /// enter from other blocks end.
    fn found(&self, mut critical: Critical) -> Found {
        critical.tetrahedra.par_sort_unstable();
        let mesh = self.patch.mesh();
        let known: Known = mesh.cells.iter().map(|_| AtomicU32::new(0)).collect();
        let sides = |place: u32| {
            let (cell, face) = (place >> 2, place as usize & 3);
            [cell, mesh.neighbours[cell as usize][face]].map(|cell| self.follow(&known, cell))
        };
        let mut triangles: Vec<([u32; 3], u32, [u32; 2])> = Vec::new();
        let followed = critical.triangles.par_iter();
        triangles.par_extend(followed.map(|&(ranks, place)| (ranks, place, sides(place))));
        let entries =
            (0..mesh.cells.len() as u32).into_par_iter().filter(|cell| self.is_entry(*cell));
        let entries: Vec<(u32, u32)> =
            entries.map(|cell| (cell, self.follow(&known, cell))).collect();
        let ends = entries.iter().map(|entry| entry.1);
        let ends = triangles.iter().flat_map(|triangle| triangle.2).chain(ends);
        let mut exits: Vec<[u32; 4]> = ends
            .filter(|end| *end != NONE && self.last(*end).is_some())
            .map(|end| self.ranks(mesh.cells[end as usize]))
            .collect();
        exits.par_sort_unstable();
        exits.dedup();
        let end = |cell: u32| {
            if cell == NONE {
                return OUTSIDE;
            }
            let ranks = self.ranks(mesh.cells[cell as usize]);
            match self.last(cell) {
                Some(_) => EXIT | place(&exits, &ranks),
                None => place(&critical.tetrahedra, &ranks),
            }
        };
        let triangles = triangles.into_par_iter().map(|(ranks, place, sides)| Triangle {
            ranks,
            place,
            sides: sides.map(end),
        });
        let triangles = triangles.collect();
        let entries = entries.into_par_iter();
        let entries =
            entries.map(|(cell, to)| (self.ranks(mesh.cells[cell as usize]), end(to))).collect();
        let own = self.patch.own(self.stars);
        let next = own.map(|v| [v, self.gradient.next[v as usize]].map(|v| self.rank[v as usize]));
        Found {
            next: next.collect(),
            vertices: critical.vertices,
            edges: critical.edges,
            triangles,
            tetrahedra: critical.tetrahedra,
            entries,
            exits,
        }
    }

    /// The other block that a cell belongs to: that of its last vertex.
    fn last(&self, cell: u32) -> Option<u32> {
        let corners = self.patch.mesh().cells[cell as usize];
        let last = corners.into_iter().max_by_key(|corner| self.rank[*corner as usize])?;
        self.patch.owner(last)
    }

    /// Whether a path of another block may lead to a cell of this one: through the face that its last
    /// vertex is not on, if that face's last vertex is the other's.
    fn is_entry(&self, cell: u32) -> bool {
        let mut corners = self.patch.mesh().cells[cell as usize];
        corners.sort_unstable_by_key(|corner| std::cmp::Reverse(self.rank[*corner as usize]));
        self.patch.owner(corners[0]).is_none() && self.patch.owner(corners[1]).is_some()
    }

    /// The vertex of a rank.
    pub(super) fn locate(&self, rank: u32) -> Option<u32> {
        self.patch.vertex(*self.order.vertices.get(rank as usize)?)
    }

    /// The last cell of a path, which is critical or another block's; [`NONE`] where it leads outside.
    fn follow(&self, known: &Known, cell: u32) -> u32 {
        let mesh = self.patch.mesh();
        follow(known, cell, |cell| match self.code(cell, OWN) {
            0 | CRITICAL => cell,
            face => mesh.neighbours[cell as usize][face as usize - 1],
        })
    }

    /// Ranks of the vertices that share a cell with the one of this rank, if that is of this block.
    pub(crate) fn around(&self, rank: u32) -> Option<Vec<u32>> {
        let vertex = self.locate(rank).filter(|&v| self.patch.owner(v).is_none())?;
        let mesh = self.patch.mesh();
        let mut star = Star::default();
        if self.stars.is_used(vertex) {
            star.fill(mesh, vertex, self.stars.first(vertex));
        }
        let corners = star.cells.iter().flat_map(|&cell| mesh.cells[cell as usize]);
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
        let mesh = self.patch.mesh();
        let mut star = Star::default();
        star.fill(mesh, vertex, self.stars.first(vertex));
        star.cells.into_iter().find(|&cell| {
            let corners = mesh.cells[cell as usize].map(|corner| self.rank[corner as usize]);
            ranks.iter().all(|rank| corners.contains(rank))
        })
    }

    pub(super) fn code(&self, cell: u32, what: usize) -> u16 {
        self.gradient.codes[cell as usize] >> (3 * what) & 7
    }

    fn ranks(&self, corners: [u32; 4]) -> [u32; 4] {
        ranks(&self.rank, corners)
    }
}

/// The rank of each vertex of a patch.
fn ranked<'a>(patch: &Patch<'_>, order: &'a Order) -> Result<Cow<'a, [u32]>, Error> {
    let (found, expected) = (order.rank.len(), patch.whole_len());
    if found == expected {
        Ok(patch.of(&order.rank))
    } else {
        Err(Error::Length { found, expected })
    }
}

fn place<T: Ord>(sorted: &[T], what: &T) -> u32 {
    sorted.binary_search(what).unwrap_or_else(|place| place) as u32
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
