//! The sky as HEALPix NESTED numbers of order 29, where a tile is one contiguous range.

pub mod bricks;
mod cells;
mod cone;
mod cover;
mod moc;
mod nearby;
mod polygon;
mod rectangle;
pub mod region;
#[cfg(test)]
mod tests;
mod vector;

use crate::tile::Pixel;
use cdshealpix::compass_point::Cardinal;
use cdshealpix::nested;
pub(crate) use cells::cells_near;
pub use cone::Cone;
pub use moc::Moc;
pub use nearby::Nearby;
pub use polygon::Polygon;
pub use rectangle::Rectangle;
pub use region::Region;
use std::ops::Range;
use std::path::PathBuf;

/// The deepest HEALPix order that fits an `i64`.
pub const ORDER: u8 = 29;

/// What makes a position or a region impossible.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Not finite, or beyond the poles.
    #[error("position ({0}, {1}) is not on the sky: dec must lie in -90 to 90 degrees")]
    Position(f64, f64),
    /// Not a radius.
    #[error("radius {0} is not in 0 to 180 degrees")]
    Radius(f64),
    /// Not the numbers that make such a region.
    #[error("'{0}' is not {1} in degrees")]
    Syntax(String, &'static str),
    /// Declinations in the wrong order.
    #[error("declination goes from {0} to {1}: the least comes first")]
    Upside(f64, f64),
    /// Corners that enclose nothing.
    #[error("polygon has {0}")]
    Polygon(&'static str),
    /// Not a map of the sky.
    #[error("MOC cannot be read: {0}")]
    Moc(String),
    /// A file that is none.
    #[error("failed to read the MOC in {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Numbers between commas.
fn numbers(text: &str) -> Option<Vec<f64>> {
    text.split(',').map(|number| number.trim().parse().ok()).collect()
}

/// Order of cells of about that size, from tile size down to an arc second.
fn order_of_cells(size_deg: f64) -> u8 {
    let wanted = (58.6 / size_deg.max(1e-5)).log2().ceil();
    (wanted.max(0.0) as u8).clamp(Pixel::ORDER, 18)
}

/// The order-29 numbers inside a cell.
#[must_use]
pub fn range_of(order: u8, cell: u64) -> Range<i64> {
    let shift = 2 * u32::from(ORDER - order);
    ((cell << shift) as i64)..(((cell + 1) << shift) as i64)
}

/// The number, along the curve, of a cell that is numbered along rings.
///
/// # Panics
/// For a number that is no cell of the order.
#[must_use]
pub fn nested_of_ring(order: u8, cell: u64) -> u64 {
    nested::get(order).from_ring(cell)
}

/// The corners and edge points of a cell (degrees), in order around it, `segments` a side.
#[must_use]
pub fn outline(order: u8, cell: u64, segments: u32) -> Vec<(f64, f64)> {
    let path = nested::path_along_cell_edge(order, cell, &Cardinal::S, false, segments.max(1));
    path.iter().map(|(lon, lat)| (lon.to_degrees(), lat.to_degrees())).collect()
}

/// The centre of a cell (degrees).
#[must_use]
pub fn centre(order: u8, cell: u64) -> (f64, f64) {
    let (lon, lat) = nested::center(order, cell);
    (lon.to_degrees(), lat.to_degrees())
}

/// The area of one cell in square degrees; all cells of an order have the same.
#[must_use]
pub fn cell_area_deg2(order: u8) -> f64 {
    let sphere = 4.0 * std::f64::consts::PI * 1f64.to_degrees().powi(2);
    sphere / (12u64 << (2 * u32::from(order))) as f64
}

/// The order-29 number of a position (degrees); `None` where it is not a finite point of the sky.
#[must_use]
pub fn healpix_29(ra_deg: f64, dec_deg: f64) -> Option<i64> {
    if !ra_deg.is_finite() || !(-90.0..=90.0).contains(&dec_deg) {
        return None;
    }
    // of very many turns the library makes a cell that is none
    Some(nested::hash(ORDER, turned(ra_deg).to_radians(), dec_deg.to_radians()) as i64)
}

/// The position (right ascension, declination; degrees) of the centre of an order-29 cell.
///
/// # Panics
/// For a number outside of `0..12 << 58`, which is no cell.
#[must_use]
pub fn centre_of(cell: i64) -> (f64, f64) {
    let (ra, dec) = nested::center(ORDER, cell.cast_unsigned());
    (ra.to_degrees(), dec.to_degrees())
}

/// The tile's pixel of a position (degrees).
#[must_use]
pub fn pixel_of(ra_deg: f64, dec_deg: f64) -> Option<Pixel> {
    let deep = healpix_29(ra_deg, dec_deg)?;
    Pixel::new(deep >> (2 * (ORDER - Pixel::ORDER))).ok()
}

/// Right ascension brought to 0 to 360 degrees, 360 excluded.
#[must_use]
pub fn turned(ra_deg: f64) -> f64 {
    match ra_deg.rem_euclid(360.0) {
        // a tiny negative angle is rounded to a whole turn
        whole if whole >= 360.0 => 0.0,
        part => part,
    }
}

/// How far a row may lie outside of its tile's pixel: the archive rounds positions.
const MARGIN_DEG: f64 = 1.0 / 3600.0;

/// Whether a position (degrees) lies in a cell, given by its order-29 numbers, or within one arc second of
/// it, as rows of a tile must; `false` where it is not a finite point of the sky.
#[must_use]
pub fn lies_in(ra_deg: f64, dec_deg: f64, cell: &Range<i64>) -> bool {
    let Some(here) = healpix_29(ra_deg, dec_deg) else { return false };
    if cell.contains(&here) {
        return true;
    }
    let Ok(around) = Cone::new(ra_deg, dec_deg, MARGIN_DEG) else { return false };
    let around = region::cover(&[Region::Cone(around)]);
    around.iter().flatten().any(|part| part.start < cell.end && cell.start < part.end)
}

/// Great-circle separation in degrees, accurate at all distances (Vincenty).
#[must_use]
pub fn separation_deg(ra1: f64, dec1: f64, ra2: f64, dec2: f64) -> f64 {
    let (sin1, cos1) = dec1.to_radians().sin_cos();
    let (sin2, cos2) = dec2.to_radians().sin_cos();
    let (sin_d, cos_d) = (ra2 - ra1).to_radians().sin_cos();
    let across = (cos2 * sin_d).hypot(cos1 * sin2 - sin1 * cos2 * cos_d);
    across.atan2(sin1 * sin2 + cos1 * cos2 * cos_d).to_degrees()
}
