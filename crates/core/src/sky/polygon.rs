//! Polygons: parts of the sky between great circles.
//!
//! A polygon lies in one hemisphere. Seen from the centre of the sphere on a plane that touches it
//! there, great circles are straight lines, and all questions are those of plane geometry.

use super::cover::{Circle, HAIR, Lies};
use super::vector::{Vector, add, angle, cross, dot, less, unit, vector};
use super::{Cone, Error, numbers};
use std::fmt;
use std::str::FromStr;

/// More corners than a person draws; a MOC says it better.
const CORNERS_MAX: usize = 10_000;
/// How far an edge reaches to its sides, radians: a five-millionth of an arc second, above rounding.
const EDGE: f64 = 1e-12;
/// How far from the rim of its hemisphere a polygon stays (sine).
const RIM: f64 = 1e-3;
/// What has less area, steradians, is a line.
const AREA_MIN: f64 = 1e-15;

/// A polygon, ICRS; its edges are great circles, and part of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Polygon {
    corners_deg: Vec<(f64, f64)>,
    edges: Vec<Edge>,
    /// Where the plane touches the sphere, and the axes of the plane.
    plane: [Vector; 3],
    /// The corners on that plane.
    flat: Vec<(f64, f64)>,
    /// Distance from where it touches to the farthest corner, radians, and a little more.
    reach: f64,
    area: f64,
}

/// An edge, from one corner to the next.
#[derive(Debug, Clone, PartialEq)]
struct Edge {
    from: Vector,
    to: Vector,
    /// Pole of its great circle.
    pole: Vector,
    /// What lies between the two corners is to the left of the one and to the right of the other.
    sides: [Vector; 2],
}

impl Polygon {
    /// Checks a polygon; corners (right ascension, declination; degrees) in order around it, either
    /// way. The first one may be repeated at the end.
    ///
    /// # Errors
    /// [`Error::Position`], or [`Error::Polygon`] where there is no simple polygon smaller than a
    /// hemisphere with these corners.
    pub fn new(mut corners_deg: Vec<(f64, f64)>) -> Result<Self, Error> {
        for (ra, dec) in &mut corners_deg {
            if !ra.is_finite() || !(-90.0..=90.0).contains(dec) {
                return Err(Error::Position(*ra, *dec));
            }
            *ra = ra.rem_euclid(360.0);
        }
        if corners_deg.len() > 3 && corners_deg.first() == corners_deg.last() {
            corners_deg.pop();
        }
        match corners_deg.len() {
            0..3 => return Err(Error::Polygon("fewer than three corners")),
            3..=CORNERS_MAX => {}
            _ => return Err(Error::Polygon("more than 10000 corners: write it as a MOC")),
        }
        let corners: Vec<Vector> = corners_deg.iter().map(|at| vector(*at)).collect();
        let centre = centre(&corners).ok_or(Error::Polygon("no hemisphere that holds it"))?;
        let plane = plane(centre);
        let flat: Vec<(f64, f64)> = corners.iter().map(|c| flattened(&plane, *c)).collect();
        check_simple(&flat)?;
        let area = area(centre, &corners);
        if area < AREA_MIN {
            return Err(Error::Polygon("no area: its corners lie on one great circle"));
        }
        let next = corners.iter().cycle().skip(1);
        let edges = corners.iter().zip(next).map(|(from, to)| Edge::new(*from, *to)).collect();
        let reach = corners.iter().map(|c| angle(*c, centre)).fold(0.0, f64::max) + HAIR;
        Ok(Self { corners_deg, edges, plane, flat, reach, area })
    }

    /// Whether a position (degrees) lies in the polygon, edges included.
    #[must_use]
    pub fn contains(&self, ra_deg: f64, dec_deg: f64) -> bool {
        let at = vector((ra_deg, dec_deg));
        angle(at, self.plane[0]) <= self.reach
            && (self.winds_around(at) || self.edges.iter().any(|edge| edge.distance(at) <= EDGE))
    }

    /// Corners in order (right ascension, declination; degrees).
    #[must_use]
    pub fn corners_deg(&self) -> &[(f64, f64)] {
        &self.corners_deg
    }

    /// The share of the sky inside.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.area / (4.0 * std::f64::consts::PI)
    }

    /// A cone that holds all of it.
    #[must_use]
    pub fn around(&self) -> Cone {
        let [x, y, z] = self.plane[0];
        Cone {
            ra_deg: y.atan2(x).to_degrees().rem_euclid(360.0),
            dec_deg: z.atan2(x.hypot(y)).to_degrees(),
            radius_deg: self.reach.to_degrees(),
        }
    }

    pub(super) fn perimeter_deg(&self) -> f64 {
        self.edges.iter().map(|edge| angle(edge.from, edge.to)).sum::<f64>().to_degrees()
    }

    pub(super) fn lies(&self, circle: &Circle) -> Lies {
        let (at, radius) = (circle.centre, circle.radius + EDGE);
        if angle(at, self.plane[0]) > self.reach + radius {
            return Lies::Outside;
        }
        if self.edges.iter().any(|edge| edge.distance(at) <= radius) {
            return Lies::Across;
        }
        if self.winds_around(at) { Lies::Inside } else { Lies::Outside }
    }

    /// Whether a position that is on no edge is inside: a line from it crosses an odd number.
    fn winds_around(&self, at: Vector) -> bool {
        if dot(at, self.plane[0]) <= 0.0 {
            return false;
        }
        let (x, y) = flattened(&self.plane, at);
        let mut is_inside = false;
        for (a, b) in self.flat.iter().zip(self.flat.iter().cycle().skip(1)) {
            if (a.1 > y) != (b.1 > y) && x < a.0 + (y - a.1) / (b.1 - a.1) * (b.0 - a.0) {
                is_inside = !is_inside;
            }
        }
        is_inside
    }
}

impl Edge {
    fn new(from: Vector, to: Vector) -> Self {
        let pole = unit(cross(from, to));
        Self { from, to, pole, sides: [cross(pole, from), cross(pole, to)] }
    }

    /// Distance of a position, radians.
    fn distance(&self, at: Vector) -> f64 {
        let is_beside = dot(at, self.sides[0]) >= 0.0 && dot(at, self.sides[1]) <= 0.0;
        match is_beside {
            true => dot(less(at, self.from), self.pole).clamp(-1.0, 1.0).asin().abs(),
            false => angle(at, self.from).min(angle(at, self.to)),
        }
    }
}

/// A point from which all corners are less than 90 degrees away.
fn centre(corners: &[Vector]) -> Option<Vector> {
    let mut centre = unit(corners.iter().copied().fold([0.0; 3], add));
    // it is drawn to the corner that is farthest until none is too far
    for _ in 0..10_000 {
        let far =
            corners.iter().copied().min_by(|a, b| dot(*a, centre).total_cmp(&dot(*b, centre)))?;
        if dot(far, centre) >= RIM {
            return Some(centre);
        }
        centre = unit(add(centre, far.map(|part| part * 0.5)));
    }
    None
}

fn plane(centre: Vector) -> [Vector; 3] {
    let [x, y, z] = centre.map(f64::abs);
    let least = if x <= y && x <= z {
        [1.0, 0.0, 0.0]
    } else if y <= z {
        [0.0, 1.0, 0.0]
    } else {
        [0.0, 0.0, 1.0]
    };
    let east = unit(cross(least, centre));
    [centre, east, cross(centre, east)]
}

fn flattened(plane: &[Vector; 3], at: Vector) -> (f64, f64) {
    let depth = dot(at, plane[0]);
    (dot(at, plane[1]) / depth, dot(at, plane[2]) / depth)
}

/// Makes sure that no corner is there twice and no edge crosses another.
fn check_simple(corners: &[(f64, f64)]) -> Result<(), Error> {
    let mut sorted = corners.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Error::Polygon("a corner twice"));
    }
    let edge = |i: usize| (corners[i], corners[(i + 1) % corners.len()]);
    for i in 0..corners.len() {
        // neighbours share a corner
        let last = if i == 0 { corners.len() - 1 } else { corners.len() };
        for j in i + 2..last {
            let ((a, b), (c, d)) = (edge(i), edge(j));
            let is_apart = |first: f64, last: f64| first * last > 0.0;
            if !is_apart(turn(a, b, c), turn(a, b, d)) && !is_apart(turn(c, d, a), turn(c, d, b)) {
                return Err(Error::Polygon(
                    "edges that cross each other: give its corners in order",
                ));
            }
        }
    }
    Ok(())
}

/// Positive where the way from a over b to c turns left.
fn turn(a: (f64, f64), b: (f64, f64), c: (f64, f64)) -> f64 {
    (b.0 - a.0) * (c.1 - a.1) - (b.1 - a.1) * (c.0 - a.0)
}

/// Area in steradians: triangles to a point, those that turn the other way subtracted.
fn area(point: Vector, corners: &[Vector]) -> f64 {
    let next = corners.iter().cycle().skip(1);
    let triangle = |(a, b): (&Vector, &Vector)| {
        let volume = dot(less(point, *a), cross(*a, *b));
        2.0 * volume.atan2(1.0 + dot(point, *a) + dot(*a, *b) + dot(*b, point))
    };
    corners.iter().zip(next).map(triangle).sum::<f64>().abs()
}

impl FromStr for Polygon {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let pairs = numbers(text).filter(|numbers| numbers.len() % 2 == 0);
        let Some(pairs) = pairs else {
            return Err(Error::Syntax(
                text.to_owned(),
                "RA,DEC,RA,DEC,RA,DEC and so on, pairs of numbers",
            ));
        };
        Self::new(pairs.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
    }
}

impl fmt::Display for Polygon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (ra, dec)) in self.corners_deg.iter().enumerate() {
            write!(f, "{}{ra},{dec}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}
