//! Signs of orientation and in-sphere determinants, exact: a filter in floating point, and behind it
//! Shewchuk's adaptive arithmetic (Discrete Comput. Geom. 18, 305, 1997) of the crate `robust`.
//!
//! Five points on a sphere are told apart by a symbolic perturbation (Devillers & Teillaud, Comput.
//! Geom. 44, 160, 2011): each point is lifted by an infinitesimal that grows steeply with its place in the
//! lexicographic order of coordinates. So the tessellation depends on nothing but the points.

use robust::Coord3D;

/// A position, or a difference of positions.
pub type Point = [f64; 3];

/// Rounding errors of [`Cell::replaced`], in units of the product of extents: 7 units of 2⁻⁵³ for each of
/// six products (Shewchuk's `o3derrboundA`), and some for the bound's own rounding.
const ORIENT_ERROR: f64 = 48.0 * (0.5 * f64::EPSILON);
/// The same for the in-sphere determinant: 16 units for each of 24 products (`isperrboundA`).
const INSPHERE_ERROR: f64 = 416.0 * (0.5 * f64::EPSILON);

/// A cell's vertices as seen from a point.
#[derive(Clone, Copy)]
pub struct Cell {
    x: [f64; 4],
    y: [f64; 4],
    z: [f64; 4],
    /// Greatest |x|, |y|, |z|.
    pub extent: Point,
}

impl Cell {
    /// The cell seen from `from`.
    #[inline(always)]
    pub fn seen(vertices: [&Point; 4], from: &Point) -> Self {
        let axis = |axis: usize| lanes(|k| vertices[k][axis] - from[axis]);
        let (x, y, z) = (axis(0), axis(1), axis(2));
        Self { x, y, z, extent: [greatest(&x), greatest(&y), greatest(&z)] }
    }

    /// Six volumes: of the cell with its k-th vertex replaced by the point it is seen from.
    #[inline(always)]
    pub fn replaced(&self) -> [f64; 4] {
        let [a, b, c, d] = normal(&self.x, &self.y, &self.z);
        [-a, -b, -c, -d]
    }

    /// How far off the values of [`Cell::replaced`] may be.
    #[inline(always)]
    pub fn replaced_error(&self) -> f64 {
        ORIENT_ERROR * (self.extent[0] * self.extent[1] * self.extent[2])
    }

    /// Above 0 inside the circumsphere of the cell, 0 where rounding hides the sign.
    #[inline(always)]
    pub fn insphere(&self) -> f64 {
        let (x, y, z) = (&self.x, &self.y, &self.z);
        let volumes = self.replaced();
        let lifted = lanes(|k| ((x[k] * x[k] + y[k] * y[k]) + z[k] * z[k]) * volumes[k]);
        let value = (lifted[0] + lifted[1]) + (lifted[2] + lifted[3]);
        let [w, h, d] = self.extent;
        let error = INSPHERE_ERROR * (w * h * d) * ((w * w + h * h) + d * d);
        if value > error || value < -error { value } else { 0.0 }
    }
}

#[inline(always)]
fn lanes(lane: impl Fn(usize) -> f64) -> [f64; 4] {
    [lane(0), lane(1), lane(2), lane(3)]
}

#[inline(always)]
fn greatest(values: &[f64; 4]) -> f64 {
    let greater = |a: f64, b: f64| if a > b { a } else { b };
    let [a, b, c, d] = values;
    greater(greater(a.abs(), b.abs()), greater(c.abs(), d.abs()))
}

fn coord(point: &Point) -> Coord3D<f64> {
    let [x, y, z] = *point;
    Coord3D { x, y, z }
}

/// Sign of the volume of a tetrahedron, (b − a) · (c − a) × (d − a); 0 in a plane.
pub fn orient(a: &Point, b: &Point, c: &Point, d: &Point) -> f64 {
    robust::orient3d(coord(b), coord(a), coord(c), coord(d))
}

/// Whether a point is inside the circumsphere of a positive cell, perturbed.
#[cold]
pub fn is_inside(cell: [&Point; 4], point: &Point) -> bool {
    let [a, b, c, d] = cell;
    let value = robust::insphere(coord(b), coord(a), coord(c), coord(d), coord(point));
    if value != 0.0 { value > 0.0 } else { is_inside_perturbed(cell, point) }
}

/// The same for points on the sphere. The point that is lifted most decides: if it is the fifth, it
/// is outside; if it is a vertex, the fifth is inside where it is on that vertex's side.
fn is_inside_perturbed(cell: [&Point; 4], point: &Point) -> bool {
    let mut ranks = [0, 1, 2, 3, 4];
    let at = |k: usize| cell.get(k).copied().unwrap_or(point);
    ranks.sort_by(|i, j| at(*j).partial_cmp(at(*i)).unwrap_or(std::cmp::Ordering::Equal));
    for rank in ranks {
        let mut replaced = cell;
        let Some(vertex) = replaced.get_mut(rank) else { return false };
        *vertex = point;
        let [a, b, c, d] = replaced;
        let side = orient(a, b, c, d);
        if side != 0.0 {
            return side > 0.0;
        }
    }
    // not reached: the cell has a volume, so the first vertex that counts has decided
    false
}

/// Whether three points are on one line, exactly.
pub fn is_line(a: &Point, b: &Point, c: &Point) -> bool {
    let flat = |i: usize, j: usize| {
        let on = |p: &Point| robust::Coord { x: p[i], y: p[j] };
        robust::orient2d(on(a), on(b), on(c)) == 0.0
    };
    flat(0, 1) && flat(1, 2) && flat(2, 0)
}

/// A cell that is to go, as seen from the point that makes it go: from here it is cheap to ask for the
/// circumspheres of the cells around it, each of which shares three of its vertices.
pub struct Hollow {
    sides: Sides,
    /// Square of a distance from the point, within which fourth vertices are judged.
    reach: f64,
    insphere_error: f64,
    orient_error: f64,
}

/// Of the faces opposite the vertices. Seen from the point p, with a face's vertices f, g, h and any
/// point e the in-sphere determinant is e · (x, y, z) − |e|² volume.
struct Sides {
    x: [f64; 4],
    y: [f64; 4],
    z: [f64; 4],
    volume: [f64; 4],
}

/// Rounding errors of that sum: 17 units of 2⁻⁵³ for each of 24 products.
const SIDE_ERROR: f64 = 448.0 * (0.5 * f64::EPSILON);

impl Hollow {
    /// The cell seen from `from`.
    #[inline(always)]
    pub fn seen(vertices: [&Point; 4], from: &Point) -> Self {
        let axis = |axis: usize| lanes(|k| vertices[k][axis] - from[axis]);
        let (x, y, z) = (axis(0), axis(1), axis(2));
        let square = lanes(|k| (x[k] * x[k] + y[k] * y[k]) + z[k] * z[k]);
        let sides = Sides {
            x: normal(&y, &z, &square),
            y: normal(&z, &x, &square),
            z: normal(&x, &y, &square),
            volume: normal(&x, &y, &z),
        };
        let reach = 4.0 * greatest(&square);
        let cube = reach * reach.sqrt();
        let insphere_error = SIDE_ERROR * (cube * reach);
        Self { sides, reach, insphere_error, orient_error: ORIENT_ERROR * cube }
    }

    /// Whether the circumsphere of the cell behind the face opposite the k-th vertex, whose own
    /// fourth vertex this is, holds the point; none, where rounding hides the answer.
    #[inline(always)]
    pub fn holds(&self, k: usize, fourth: &Point, from: &Point) -> Option<bool> {
        let Sides { x, y, z, volume } = &self.sides;
        let e = [fourth[0] - from[0], fourth[1] - from[1], fourth[2] - from[2]];
        let square = (e[0] * e[0] + e[1] * e[1]) + e[2] * e[2];
        let value = ((e[0] * x[k] + e[1] * y[k]) + e[2] * z[k]) - square * volume[k];
        let is_sure = value.abs() > self.insphere_error && square <= self.reach;
        is_sure.then_some(value < 0.0)
    }

    /// Whether the point is strictly behind the face opposite the k-th vertex; none, where rounding
    /// hides the answer.
    pub fn is_behind(&self, k: usize) -> Option<bool> {
        let volume = self.sides.volume[k];
        (volume.abs() > self.orient_error).then_some(volume > 0.0)
    }
}

/// For each face the determinant of three coordinates of its vertices, positive with the fourth.
#[inline(always)]
fn normal(u: &[f64; 4], v: &[f64; 4], w: &[f64; 4]) -> [f64; 4] {
    let next = lanes(|k| u[k] * v[(k + 1) & 3] - u[(k + 1) & 3] * v[k]);
    let opposite = lanes(|k| u[k] * v[(k + 2) & 3] - u[(k + 2) & 3] * v[k]);
    let minor = lanes(|k| {
        let [a, b, c] = [(k + 1) & 3, (k + 2) & 3, (k + 3) & 3];
        (w[a] * next[b] + w[c] * next[a]) + w[b] * opposite[c]
    });
    [-minor[0], minor[1], -minor[2], minor[3]]
}
