//! Parts of the sky that a question is about.

use super::cover::{self, Circle, Lies, coarse, meet};
use super::{Cone, Error, Moc, Polygon, Rectangle, order_of_cells, range_of};
use crate::tile::Pixel;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Cells along the edge of a region: finer ones tell more row groups apart, and take longer.
const CELLS_AROUND: f64 = 64.0;
const CELLS_A_RADIUS: f64 = 10.0;

/// A part of the sky; its edges belong to it.
#[derive(Debug, Clone, PartialEq)]
pub enum Region {
    /// A circle.
    Cone(Cone),
    /// Between great circles.
    Polygon(Polygon),
    /// Between parallels and meridians.
    Box(Rectangle),
    /// HEALPix cells.
    Moc(Moc),
}

/// A region as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spelled {
    /// `RA,DEC,RADIUS_DEG`
    Cone(String),
    /// `RA,DEC,RA,DEC,RA,DEC` and so on
    Polygon(String),
    /// `RA_MIN,RA_MAX,DEC_MIN,DEC_MAX`
    Box(String),
    /// The ASCII or the JSON form.
    Moc(String),
}

impl Region {
    /// Whether a position (degrees) lies in the region.
    #[must_use]
    pub fn contains(&self, ra_deg: f64, dec_deg: f64) -> bool {
        match self {
            Self::Cone(cone) => cone.contains(ra_deg, dec_deg),
            Self::Polygon(polygon) => polygon.contains(ra_deg, dec_deg),
            Self::Box(rectangle) => rectangle.contains(ra_deg, dec_deg),
            Self::Moc(moc) => moc.contains(ra_deg, dec_deg),
        }
    }

    /// Order of the cells that cover it; a MOC is its own cover.
    fn order(&self) -> Option<u8> {
        Some(order_of_cells(match self {
            Self::Cone(cone) => cone.radius_deg / CELLS_A_RADIUS,
            Self::Polygon(polygon) => polygon.perimeter_deg() / CELLS_AROUND,
            Self::Box(rectangle) => rectangle.perimeter_deg() / CELLS_AROUND,
            Self::Moc(_) => return None,
        }))
    }

    /// The share of the sky inside.
    #[must_use]
    pub fn share(&self) -> f64 {
        match self {
            Self::Cone(cone) => cone.share(),
            Self::Polygon(polygon) => polygon.share(),
            Self::Box(rectangle) => rectangle.share(),
            Self::Moc(moc) => moc.share(),
        }
    }

    /// As it is written down; what is read from that is the same region.
    #[must_use]
    pub fn spelled(&self) -> Spelled {
        match self {
            Self::Cone(cone) => Spelled::Cone(cone.to_string()),
            Self::Polygon(polygon) => Spelled::Polygon(polygon.to_string()),
            Self::Box(rectangle) => Spelled::Box(rectangle.to_string()),
            Self::Moc(moc) => Spelled::Moc(moc.to_string()),
        }
    }
}

impl TryFrom<&Spelled> for Region {
    type Error = Error;
    fn try_from(spelled: &Spelled) -> Result<Self, Error> {
        Ok(match spelled {
            Spelled::Cone(text) => Self::Cone(text.parse()?),
            Spelled::Polygon(text) => Self::Polygon(text.parse()?),
            Spelled::Box(text) => Self::Box(text.parse()?),
            Spelled::Moc(text) => Self::Moc(text.parse()?),
        })
    }
}

/// Sorted order-29 ranges, apart from each other, that cover what regions have in common: never too
/// little. `None` where there are no regions.
#[must_use]
pub fn cover(regions: &[Region]) -> Option<Vec<Range<i64>>> {
    cover_by_cells(regions, 0)
}

/// The same by cells that are so many orders smaller.
fn cover_by_cells(regions: &[Region], finer: u8) -> Option<Vec<Range<i64>>> {
    let (mut drawn, mut maps): (Vec<Judge>, Vec<Vec<Range<i64>>>) = (Vec::new(), Vec::new());
    for region in regions {
        match region {
            Region::Cone(cone) => drawn.push(Box::new(cone.lies())),
            Region::Polygon(polygon) => drawn.push(Box::new(|circle| polygon.lies(circle))),
            Region::Box(rectangle) => drawn.push(Box::new(|circle| rectangle.lies(circle))),
            Region::Moc(moc) => maps.push(moc.ranges().to_vec()),
        }
    }
    let lies =
        |circle: &Circle| drawn.iter().map(|lies| lies(circle)).min().unwrap_or(Lies::Inside);
    let order = regions.iter().filter_map(Region::order).max();
    let drawn = order.map(|order| cover::cover(order + finer, &lies));
    drawn.into_iter().chain(maps).reduce(|one, other| meet(&one, &other))
}

type Judge<'a> = Box<dyn Fn(&Circle) -> Lies + 'a>;

/// A cover by whole pixels of tiles.
#[must_use]
pub fn tile_cover(cover: &[Range<i64>]) -> Vec<Range<i64>> {
    coarse(cover, Pixel::ORDER)
}

/// About the share of the sky that regions have in common; 1 where there are none.
#[must_use]
pub fn share(regions: &[Region]) -> f64 {
    let least = regions.iter().map(Region::share).fold(1.0, f64::min);
    match regions.len() {
        0 | 1 => least,
        // what their covers have in common is a little too much: small cells make it less
        _ => cover_by_cells(regions, 2).map_or(least, |ranges| cover::share(&ranges).min(least)),
    }
}

/// How much of a cover of regions is in them.
#[must_use]
pub fn filled(regions: &[Region], by: &[Range<i64>]) -> f64 {
    let covered = cover::share(by);
    if covered > 0.0 { (share(regions) / covered).min(1.0) } else { 0.0 }
}

/// The part of a cell (order, pixel), or of the whole sky, that sorted ranges cover.
#[must_use]
pub fn part_of(by: &[Range<i64>], cell: Option<(u8, u64)>) -> f64 {
    let Some((order, pixel)) = cell else { return cover::share(by) };
    let whole = range_of(order, pixel);
    let first = by.partition_point(|range| range.end <= whole.start);
    let within = by.iter().skip(first).take_while(|range| range.start < whole.end);
    let covered = within.map(|r| (r.end.min(whole.end) - r.start.max(whole.start)) as f64);
    covered.sum::<f64>() / (whole.end - whole.start) as f64
}
