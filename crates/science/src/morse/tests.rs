//! Pairs against a reduction of the whole boundary matrix, and what any gradient must obey.

use super::*;
use crate::mesh::{Mesh, NONE};
use crate::patch::{Patch, Share};
use crate::star::Stars;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};

/// A mesh that owns its arrays.
#[derive(Debug, Clone, Default)]
pub(crate) struct Owned {
    pub vertices: Vec<[f64; 3]>,
    pub cells: Vec<[u32; 4]>,
    pub neighbours: Vec<[u32; 4]>,
}

impl Owned {
    pub(crate) fn mesh(&self) -> Mesh<'_> {
        Mesh { vertices: &self.vertices, cells: &self.cells, neighbours: &self.neighbours }
    }

    /// Finds neighbours of cells.
    pub(crate) fn of(vertices: Vec<[f64; 3]>, cells: Vec<[u32; 4]>) -> Self {
        let mut neighbours = vec![[NONE; 4]; cells.len()];
        let mut open = BTreeMap::new();
        for (number, cell) in cells.iter().enumerate() {
            for face in 0..4 {
                let mut corners = *cell;
                corners[face] = NONE;
                corners.sort_unstable();
                if let Some((other, back)) = open.insert(corners, (number, face)) {
                    let _: (usize, usize) = (other, back);
                    neighbours[number][face] = other as u32;
                    neighbours[other][back] = number as u32;
                }
            }
        }
        Self { vertices, cells, neighbours }
    }

    /// Kuhn's six tetrahedra in each cube of a grid, its vertices shaken by up to `shake`.
    pub(crate) fn grid(sides: [usize; 3], shake: f64, dice: &mut impl Rng) -> Self {
        let [nx, ny, nz] = sides;
        let number = |[x, y, z]: [usize; 3]| ((x * ny + y) * nz + z) as u32;
        let mut vertices = Vec::new();
        let mut cells = Vec::new();
        for x in 0..nx {
            for y in 0..ny {
                for z in 0..nz {
                    let place = [x, y, z].map(|at| at as f64);
                    vertices.push(place.map(|at| at + shake * (dice.random::<f64>() - 0.5)));
                    if x + 1 < nx && y + 1 < ny && z + 1 < nz {
                        for axes in
                            [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
                        {
                            let mut at = [x, y, z];
                            let mut cell = [number(at); 4];
                            for (corner, axis) in cell[1..].iter_mut().zip(axes) {
                                at[axis] += 1;
                                *corner = number(at);
                            }
                            cells.push(cell);
                        }
                    }
                }
            }
        }
        Self::of(vertices, cells)
    }

    /// The same mesh with cells, and vertices in them, in another order.
    pub(crate) fn shuffled(&self, dice: &mut impl Rng) -> Self {
        let mut cells = self.cells.clone();
        for at in (1..cells.len()).rev() {
            cells.swap(at, dice.random_range(0..=at));
        }
        for cell in &mut cells {
            cell.rotate_left(dice.random_range(0..4));
            cell.swap(0, dice.random_range(0..4));
        }
        Self::of(self.vertices.clone(), cells)
    }
}

pub(crate) fn dice(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Dimension and the last ranks of both cells, of all pairs whose cells are not of one lower star.
fn ranks(complex: &Complex, pairs: &Pairs) -> Vec<(usize, u32, u32)> {
    let edge = |at: u32| complex.edges[at as usize].ranks[0];
    let triangle = |at: u32| complex.triangles[at as usize].ranks[0];
    let first = pairs.vertex_edge.iter().map(|p| (0, complex.vertices[p.0 as usize], edge(p.1)));
    let second = pairs.edge_triangle.iter().map(|p| (1, edge(p.0), triangle(p.1)));
    let third = pairs.triangle_tetrahedron.iter();
    let third = third.map(|p| (2, triangle(p.0), complex.tetrahedra[p.1 as usize][0]));
    let mut all: Vec<_> = first.chain(second).chain(third).filter(|p| p.1 != p.2).collect();
    all.sort_unstable();
    all
}

/// The textbook's reduction of all simplices' boundaries.
fn by_matrix(mesh: Mesh, rank: &[u32]) -> Vec<(usize, u32, u32)> {
    let mut simplices = BTreeSet::new();
    for cell in mesh.cells {
        for subset in 1..16_u32 {
            let corners = (0..4).filter(|k| subset >> k & 1 == 1);
            let mut simplex: Vec<u32> = corners.map(|k| rank[cell[k as usize] as usize]).collect();
            simplex.sort_unstable_by(|a, b| b.cmp(a));
            simplices.insert((simplex[0], simplex.len(), simplex));
        }
    }
    let simplices: Vec<Vec<u32>> = simplices.into_iter().map(|s| s.2).collect();
    let number: BTreeMap<&Vec<u32>, usize> = simplices.iter().zip(0..).collect();
    let mut columns: Vec<BTreeSet<usize>> = Vec::new();
    let mut owner = BTreeMap::new();
    let mut pairs = Vec::new();
    for (own, simplex) in simplices.iter().enumerate() {
        let mut column = BTreeSet::new();
        for left_out in (0..simplex.len()).filter(|_| simplex.len() > 1) {
            let mut face = simplex.clone();
            face.remove(left_out);
            column.insert(number[&face]);
        }
        while let Some(&last) = column.last() {
            let Some(&other) = owner.get(&last) else {
                owner.insert(last, own);
                pairs.push((simplices[last].len() - 1, simplices[last][0], simplex[0]));
                break;
            };
            let other: &BTreeSet<usize> = &columns[other];
            column = column.symmetric_difference(other).copied().collect();
        }
        columns.push(column);
    }
    pairs.retain(|pair| pair.1 != pair.2);
    pairs.sort_unstable();
    pairs
}

fn values(kind: usize, count: usize, dice: &mut impl Rng) -> Vec<f64> {
    let mut value = |at: usize| match kind {
        0 => dice.random::<f64>(),
        1 => f64::from(dice.random_range(0..4_u8)),
        2 => (at as f64 / 7.0).sin(),
        _ => 1.0,
    };
    (0..count).map(&mut value).collect()
}

#[test]
fn pairs_are_those_of_the_boundary_matrix() {
    for seed in 0..24 {
        let mut dice = dice(seed);
        let sides = [0; 3].map(|_| dice.random_range(2..6));
        let mut owned = Owned::grid(sides, 0.5, &mut dice);
        if seed % 3 == 0 {
            // holes: tunnels and voids that no cell fills; lone vertices and edges are no manifold
            owned = hollow(&owned, sides);
        }
        let values = values(seed as usize % 4, owned.vertices.len(), &mut dice);
        let order = Order::ascending(&values).expect("an order");
        let (complex, pairs) = whole(&owned, &order);
        let found = ranks(&complex, &pairs);
        assert_eq!(found, by_matrix(owned.mesh(), &order.rank), "seed {seed}");
    }
}

/// Without the cube in the middle.
fn hollow(owned: &Owned, sides: [usize; 3]) -> Owned {
    let middle = sides.map(|side| (side - 1) / 2);
    let first = ((middle[0] * sides[1] + middle[1]) * sides[2] + middle[2]) as u32;
    let cells = owned.cells.iter().filter(|cell| cell[0] != first).copied().collect();
    Owned::of(owned.vertices.clone(), cells)
}

#[test]
fn critical_cells_alternate_to_one_on_a_ball() {
    for seed in 0..8 {
        let owned = Owned::grid([7, 6, 5], 0.5, &mut dice(seed));
        let values = values(seed as usize % 4, owned.vertices.len(), &mut dice(seed + 100));
        let order = Order::descending(&values).expect("an order");
        let (complex, _) = whole(&owned, &order);
        let even = complex.vertices.len() + complex.triangles.len();
        assert_eq!(even, 1 + complex.edges.len() + complex.tetrahedra.len(), "seed {seed}");
    }
}

#[test]
fn cells_in_any_order_have_the_same_critical_cells_and_pairs() {
    let owned = Owned::grid([8, 8, 8], 0.5, &mut dice(1));
    let order = Order::descending(&values(1, 512, &mut dice(2))).expect("an order");
    let made = |owned: &Owned| {
        let (complex, pairs) = whole(owned, &order);
        let edges: Vec<_> = complex.edges.iter().map(|edge| (edge.ranks, edge.ends)).collect();
        let triangles: Vec<_> = complex.triangles.iter().map(|t| t.ranks).collect();
        let cells = (complex.vertices.clone(), edges, triangles, complex.tetrahedra.clone());
        (cells, pairs)
    };
    let first = made(&owned);
    assert!(first.1.edge_triangle.len() > 10);
    for seed in 0..4 {
        assert_eq!(made(&owned.shuffled(&mut dice(seed))), first, "seed {seed}");
    }
}

#[test]
fn parts_give_the_pairs_of_the_whole() {
    let owned = Owned::grid([9, 8, 7], 0.5, &mut dice(5));
    let order = Order::ascending(&values(0, 504, &mut dice(6))).expect("an order");
    let (whole, expected) = whole(&owned, &order);
    for blocks in [2, 8, 64] {
        // vertices at random are the worst cut there is: paths leave blocks at every step
        let mut dice = dice(blocks.into());
        let owners: Vec<u32> = (0..504).map(|_| dice.random_range(0..blocks)).collect();
        let (complex, pairs) =
            in_blocks(owned.mesh(), &order, &owners, blocks, |complex, blocks| {
                complex.pairs(blocks).expect("pairs")
            });
        assert_eq!(complex.vertices, whole.vertices);
        assert_eq!(complex.edges, whole.edges);
        let sides = |complex: &Complex| -> Vec<_> {
            complex.triangles.iter().map(|t| (t.ranks, t.sides)).collect()
        };
        assert_eq!(sides(&complex), sides(&whole));
        assert_eq!(complex.tetrahedra, whole.tetrahedra);
        for edge in &whole.edges {
            assert_eq!(complex.path(edge, 1), whole.path(edge, 1));
        }
        assert_eq!(pairs, expected, "{blocks}");
    }
}

/// Critical cells and pairs of a whole mesh.
fn whole(owned: &Owned, order: &Order) -> (Complex, Pairs) {
    let patch = Patch::whole(owned.mesh());
    let stars = patch.stars().expect("a mesh");
    let (block, found) = Block::new(&patch, &stars, order).expect("a gradient");
    let complex = Complex::new(order.rank.len(), [found]).expect("critical cells");
    let pairs = complex.pairs(&[block]).expect("pairs");
    (complex, pairs)
}

/// Critical cells of a mesh cut into blocks, and what `make` makes of them.
pub(crate) fn in_blocks<T>(
    mesh: Mesh,
    order: &Order,
    owners: &[u32],
    blocks: u32,
    make: impl Fn(&Complex, &[Block]) -> T,
) -> (Complex, T) {
    let patches: Vec<Patch> =
        (0..blocks).map(|number| Patch::cut(mesh, Share { number, owners })).collect();
    let stars: Vec<Stars> = patches.iter().map(|patch| patch.stars().expect("a mesh")).collect();
    let made = patches.iter().zip(&stars);
    let made = made.map(|(patch, stars)| Block::new(patch, stars, order).expect("a gradient"));
    let (blocks, found): (Vec<Block>, Vec<Found>) = made.unzip();
    let complex = Complex::new(order.rank.len(), found).expect("critical cells");
    let made = make(&complex, &blocks);
    (complex, made)
}

#[test]
fn what_blocks_find_is_read_as_it_was_written_and_must_fit() {
    let owned = Owned::grid([5, 5, 5], 0.5, &mut dice(1));
    let order = Order::ascending(&values(0, 125, &mut dice(2))).expect("an order");
    let owners: Vec<u32> = (0..125).map(|at| at % 3).collect();
    let patch = Patch::cut(owned.mesh(), Share { number: 1, owners: &owners });
    let stars = patch.stars().expect("a mesh");
    let (_, found) = Block::new(&patch, &stars, &order).expect("a gradient");
    let mut out = Vec::new();
    found.write(&mut out);
    let read = |bytes: &[u8]| Found::read(&mut crate::work::Bytes(bytes));
    assert_eq!(read(&out).expect("it is whole"), found);
    assert!(read(&out[..out.len() - 1]).is_err());
    assert_eq!(Complex::new(125, [found.clone()]).map(|_| ()), Err(Error::Path));
    assert_eq!(Complex::new(9, [found]).map(|_| ()), Err(Error::Block(0)));
}

#[test]
fn orders_put_equal_values_by_number_and_zeros_are_equal() {
    let order = Order::ascending(&[0.0, -0.0, 1.0, -1.0, 0.0]).expect("an order");
    assert_eq!(order.vertices, [3, 0, 1, 4, 2]);
    assert_eq!(order.rank, [1, 2, 4, 0, 3]);
    assert_eq!(Order::descending(&[0.0, -0.0, 1.0]).expect("an order").vertices, [2, 1, 0]);
    assert_eq!(Order::ascending(&[0.0, f64::NAN]), Err(Error::NotANumber(1)));
}

#[test]
fn what_is_no_mesh_is_refused() {
    use crate::star::Error as Wrong;
    let corners = vec![[0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    let new = |cells: &[[u32; 4]], neighbours: &[[u32; 4]]| {
        Stars::new(Mesh { vertices: &corners, cells, neighbours }).map(|_| ())
    };
    let alone = [NONE; 4];
    assert_eq!(new(&[[0, 1, 2, 3]], &[alone]), Ok(()));
    assert_eq!(new(&[[0, 1, 2, 3]], &[]), Err(Wrong::Length { cells: 1, neighbours: 0 }));
    assert_eq!(new(&[[0, 1, 2, 4]], &[alone]), Err(Wrong::Vertex(0)));
    assert_eq!(new(&[[0, 1, 2, 2]], &[alone]), Err(Wrong::Vertex(0)));
    assert_eq!(new(&[[0, 1, 2, 3]], &[[7, NONE, NONE, NONE]]), Err(Wrong::Neighbour(0)));
    assert_eq!(new(&[[0, 1, 2, 3]], &[[0, NONE, NONE, NONE]]), Err(Wrong::Neighbour(0)));
}

#[test]
fn cells_that_touch_at_a_vertex_alone_are_refused() {
    let vertices = (0..7).map(|k| [f64::from(k), f64::from(k * k), f64::from(k * k * k)]).collect();
    let owned = Owned::of(vertices, vec![[0, 1, 2, 3], [3, 4, 5, 6]]);
    let patch = Patch::whole(owned.mesh());
    let stars = patch.stars().expect("a mesh");
    let order = Order::ascending(&[0.0; 7]).expect("an order");
    let refused = Block::new(&patch, &stars, &order).map(|_| ());
    assert_eq!(refused, Err(Error::Mesh(crate::star::Error::Manifold)));
}

#[test]
fn an_empty_mesh_has_no_critical_cells() {
    let owned = Owned::default();
    let order = Order::ascending(&[]).expect("an order");
    assert_eq!(whole(&owned, &order).1, Pairs::default());
}
