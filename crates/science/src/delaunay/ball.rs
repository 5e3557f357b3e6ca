//! Where points would change a tessellation: balls that surely hold circumspheres, and half-spaces.

use super::predicates::{self, Point};

/// A part of space in which a point that has not been given would change cells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Want {
    /// A ball around the circumsphere of a cell; the radius is infinite for one that is nearly flat.
    Ball {
        /// Its centre.
        centre: [f64; 3],
        /// Its radius, rounded up.
        radius: f64,
    },
    /// What is beyond a face of the hull: on the positive side of three points.
    Beyond([[f64; 3]; 3]),
    /// Everything: the points so far span no tetrahedron.
    Everything,
}

impl Want {
    /// Whether a box (with its faces) may have points in it that are wanted.
    #[must_use]
    pub fn touches(&self, low: &[f64; 3], high: &[f64; 3]) -> bool {
        match self {
            Self::Ball { centre, radius } => {
                let gap = |k: usize| (low[k] - centre[k]).max(centre[k] - high[k]).max(0.0);
                let square: f64 = (0..3).map(|k| gap(k) * gap(k)).sum();
                square * (1.0 - 16.0 * f64::EPSILON) <= radius * radius
            }
            Self::Beyond([a, b, c]) => (0..8).any(|corner: usize| {
                let axis = |k: usize| if corner >> k & 1 == 0 { low[k] } else { high[k] };
                predicates::orient(a, b, c, &[axis(0), axis(1), axis(2)]) > 0.0
            }),
            Self::Everything => true,
        }
    }

    /// The ball around the circumsphere of a positive cell.
    pub(super) fn ball(cell: [&Point; 4]) -> Self {
        let [a, b, c, d] = cell;
        let minus = |p: &Point| [p[0] - a[0], p[1] - a[1], p[2] - a[2]];
        let (b, c, d) = (minus(b), minus(c), minus(d));
        let (bc, cd, db) = (cross(&b, &c), cross(&c, &d), cross(&d, &b));
        let (bb, cc, dd) = (dot(&b, &b), dot(&c, &c), dot(&d, &d));
        let volume = dot(&b, &cd);
        let normal = [0, 1, 2].map(|k| bb * cd[k] + cc * db[k] + dd * bc[k]);
        // rounding errors: 7 units of 2⁻⁵³ for each of 6 products, and 13 for each of 18, three times
        let size =
            [b, c, d].into_iter().flatten().fold(0.0, |size: f64, value| size.max(value.abs()));
        let volume_error = 32.0 * f64::EPSILON * size.powi(3);
        let normal_error = 256.0 * f64::EPSILON * size.powi(4);
        if volume <= 2.0 * volume_error {
            return Self::Ball { centre: *a, radius: f64::INFINITY };
        }
        let to_centre = normal.map(|value| value / (2.0 * volume));
        let distance = dot(&to_centre, &to_centre).sqrt();
        let error =
            (2.0 * distance * volume_error + normal_error) / (2.0 * (volume - volume_error));
        let centre = [0, 1, 2].map(|k| a[k] + to_centre[k]);
        let rounding: f64 = centre.iter().chain(a).map(|value| value.abs()).sum();
        let radius = distance + 2.0 * error + 8.0 * f64::EPSILON * (distance + rounding);
        Self::Ball { centre, radius }
    }
}

fn dot(a: &Point, b: &Point) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: &Point, b: &Point) -> Point {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}
