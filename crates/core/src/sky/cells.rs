//! HEALPix cells and directions, both ways, without a detour by angles (Górski et al. 2005, section 5;
//! NESTED numbers).
//!
//! A face is a square of cells, along whose sides x and y count. Rings count from the north pole; around
//! the poles they have fewer cells than in the belt around the equator.

use super::vector::Vector;
use std::f64::consts::PI;
use std::sync::LazyLock;

/// Sine of the declination where the caps around the poles begin.
const CAP: f64 = 2.0 / 3.0;

/// Points around a circle. Cells are much larger: whatever of one reaches into the circle is wider than from
/// point to point where it crosses another half as large again.
const POINTS: usize = 24;

/// Sines and cosines of their bearings.
static AROUND: LazyLock<[(f64, f64); POINTS]> = LazyLock::new(|| {
    std::array::from_fn(|point| (point as f64 / POINTS as f64 * 2.0 * PI).sin_cos())
});

/// Cells of an order that may be nearer to a position (degrees) than a radius (radians), which is at most a
/// quarter of their size: never too few. Some come several times.
pub(crate) fn cells_near(
    order: u8,
    (ra_deg, dec_deg): (f64, f64),
    radius: f64,
) -> impl Iterator<Item = u64> {
    let (lon, lat) = (ra_deg.to_radians(), dec_deg.to_radians());
    let ((sin_lon, cos_lon), (sin_lat, cos_lat)) = (lon.sin_cos(), lat.sin_cos());
    let centre = [cos_lat * cos_lon, cos_lat * sin_lon, sin_lat];
    let north = [-sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat];
    let east = [-sin_lon, cos_lon, 0.0];
    let (sin_radius, cos_radius) = (1.5 * radius).sin_cos();
    let around = AROUND.iter().map(move |(sin, cos)| {
        let along = |axis: usize| {
            centre[axis] * cos_radius + (north[axis] * cos + east[axis] * sin) * sin_radius
        };
        cell_of(order, [along(0), along(1), along(2)])
    });
    around.chain([cell_of(order, centre)])
}

/// The direction of a cell's centre.
pub(super) fn centre(order: u8, cell: u64) -> Vector {
    let side = 1i64 << order;
    let (face, within) = ((cell >> (2 * order)) as i64, cell & ((1 << (2 * order)) - 1));
    let (x, y) = (every_other_bit(within), every_other_bit(within >> 1));
    let ring = ((face / 4 + 2) << order) - x - y - 1;
    // into how many steps a quarter of the ring is cut
    let steps = ring.min(4 * side - ring).min(side);
    let first = 2 * (face % 4) + (face / 4 + 1) % 2;
    let lon = PI / 4.0 * (first * steps + x - y) as f64 / steps as f64;
    let (sine, cosine) = if steps < side {
        // one minus the sine, which is accurate near the poles
        let short = (steps * steps) as f64 / (3.0 * (side * side) as f64);
        ((1.0 - short).copysign((2 * side - ring) as f64), (short * (2.0 - short)).sqrt())
    } else {
        let sine = CAP * (2 * side - ring) as f64 / side as f64;
        (sine, (1.0 - sine * sine).sqrt())
    };
    let (sin_lon, cos_lon) = lon.sin_cos();
    [cosine * cos_lon, cosine * sin_lon, sine]
}

/// The cell of an order in which a direction lies.
pub(super) fn cell_of(order: u8, [x, y, sine]: Vector) -> u64 {
    let side = (1u64 << order) as f64;
    let last = (1i64 << order) - 1;
    // quarters of a turn
    let lon = (y.atan2(x) * 2.0 / PI).rem_euclid(4.0);
    let (face, x, y) = if sine.abs() <= CAP {
        // lines that go up and down to the right
        let (middle, height) = (side * (0.5 + lon), side * sine * 0.75);
        let (up, down) = ((middle - height) as i64, (middle + height) as i64);
        let (up_face, down_face) = (up >> order, down >> order);
        let face = match up_face.cmp(&down_face) {
            std::cmp::Ordering::Equal => up_face % 4 + 4,
            std::cmp::Ordering::Less => up_face,
            std::cmp::Ordering::Greater => down_face + 8,
        };
        (face, down & last, last - (up & last))
    } else {
        let quarter = (lon as i64).min(3);
        let along = lon - quarter as f64;
        // one minus the sine, by the cosine: that is accurate near the poles
        let from_pole = (x * x + y * y) / (1.0 + sine.abs());
        let ring = side * (3.0 * from_pole).sqrt();
        let (west, east) = ((along * ring) as i64, ((1.0 - along) * ring) as i64);
        let (west, east) = (west.min(last), east.min(last));
        if sine > 0.0 { (quarter, last - east, last - west) } else { (quarter + 8, west, east) }
    };
    (face as u64) << (2 * order) | spread(x as u64) | spread(y as u64) << 1
}

/// Bits in groups of 1, 2, 4 and so on, with as much room between them.
const GROUPS: [u64; 6] = [
    0x5555_5555_5555_5555,
    0x3333_3333_3333_3333,
    0x0f0f_0f0f_0f0f_0f0f,
    0x00ff_00ff_00ff_00ff,
    0x0000_ffff_0000_ffff,
    0x0000_0000_ffff_ffff,
];

/// Bits 0, 2, 4 and so on, pushed together.
fn every_other_bit(bits: u64) -> i64 {
    let join = |bits, step: usize| (bits | bits >> (1 << step)) & GROUPS[step + 1];
    (0..5).fold(bits & GROUPS[0], join) as i64
}

/// Bits pushed apart, to 0, 2, 4 and so on.
fn spread(bits: u64) -> u64 {
    let part = |bits, step: usize| (bits | bits << (1 << step)) & GROUPS[step];
    (0..5).rev().fold(bits, part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sky::vector::{angle, vector_of};
    use cdshealpix::nested;
    use rand::{RngExt as _, SeedableRng as _};

    #[test]
    fn cells_near_a_position_are_never_too_few() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        let (mut found, mut there) = (0, 0);
        for round in 0..30_000 {
            let order = [6, 6, 8][round % 3];
            // corners, where the ends of cells are sharp
            let cell = rng.random_range(0..12u64 << (2 * order));
            let cell = if round % 5 == 0 { (cell >> (2 * order)) << (2 * order) } else { cell };
            let corners = nested::vertices(order, cell);
            let (lon, lat) = corners[rng.random_range(0..4)];
            let radius = crate::sky::cell_area_deg2(order).sqrt().to_radians()
                * [1e-5, 1e-3, 0.1, 0.25][rng.random_range(0..4)];
            let mut off = |part: f64| radius * part * rng.random_range(-1.0..1.0);
            let lat = (lat + off(1.5)).clamp(-PI / 2.0, PI / 2.0);
            let lon = lon + off(1.5) / lat.cos().max(1e-6);
            let position = (lon.to_degrees(), lat.to_degrees());
            let near: Vec<u64> = cells_near(order, position, radius).collect();
            let inside = |part: f64, bearing: f64| {
                let lat = lat + radius * part * bearing.sin();
                let lon = lon + radius * part * bearing.cos() / lat.cos().abs().max(1e-9);
                vector_of(lon, lat)
            };
            for at in 0..300u32 {
                let inside = inside(f64::from(at % 10) / 10.0, f64::from(at) * PI / 150.0);
                if angle(inside, vector_of(position.0.to_radians(), position.1.to_radians()))
                    <= radius
                {
                    assert!(
                        near.contains(&cell_of(order, inside)),
                        "{order}: {position:?} {radius}"
                    );
                    there += 1;
                }
            }
            let mut near = near;
            near.sort_unstable();
            near.dedup();
            found += near.len();
        }
        assert!(there > 2_000_000 && found < 110_000, "{there} {found}");
    }

    #[test]
    fn centres_and_cells_are_those_of_another_library() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(2);
        let few =
            (0..=2u8).flat_map(|order| (0..12u64 << (2 * order)).map(move |cell| (order, cell)));
        let many = std::iter::repeat_with(|| {
            let order = rng.random_range(3..=29u8);
            (order, rng.random_range(0..12u64 << (2 * order)))
        });
        for (order, cell) in few.chain(many.take(20_000)) {
            let (lon, lat) = nested::center(order, cell);
            let apart = angle(vector_of(lon, lat), centre(order, cell));
            assert!(apart < 1e-14, "{order}/{cell}: {apart}");
            if order < 24 {
                assert_eq!(cell_of(order, centre(order, cell)), cell, "{order}");
            }
        }
    }

    #[test]
    fn directions_lie_in_the_cells_of_another_library() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let mut near_an_edge = 0;
        for _ in 0..100_000 {
            let order = rng.random_range(0..=13u8);
            let lon = rng.random_range(-4.0..8.0f64);
            let lat = match rng.random_range(0..3) {
                0 => rng.random_range(-1.0..1.0f64).asin(),
                1 => rng.random_range(1.5..PI / 2.0),
                _ => -rng.random_range(1.5..PI / 2.0),
            };
            let same = cell_of(order, vector_of(lon, lat)) == nested::hash(order, lon, lat);
            near_an_edge += u32::from(!same);
        }
        assert!(near_an_edge < 3, "{near_an_edge}");
    }
}
