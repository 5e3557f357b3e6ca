//! Bricks of the Legacy Surveys, from which DESI draws its targets: a TARGETID says in which one its
//! object lies, and so which tiles can hold it.
//!
//! Bricks stand in rows like those of a wall, 0.25 degrees high and no wider, counted from 1 at the
//! south pole, in each row from right ascension 0. Every row but the two at the poles has an even
//! number of them. Ids of targets that were drawn from elsewhere say nothing of a brick.

use super::cells::cells_near;
use super::cover::append;
use super::vector::{angle, vector};
use super::{Rectangle, range_of};
use crate::tile::Pixel;
use std::ops::Range;
use std::sync::LazyLock;

const HEIGHT_DEG: f64 = 0.25;
/// Rows of bricks; the first and the last are centred on the poles.
const ROWS: usize = 721;
/// How far beyond its brick a position may lie, degrees: stars move, and surveys round. Files state
/// how many rows lie farther out, so it must never grow: that would be another key.
const MARGIN_DEG: f64 = 1.0 / 60.0;
/// How much farther is looked: a file may hold rows from a hair beyond its pixel.
const LOOKED_DEG: f64 = 1.2 * MARGIN_DEG;
/// Releases of the imaging of which bricks are known, and in between numbers that mean something
/// else: supplemental skies and targets of opportunity.
const RELEASES: Range<i64> = 7000..11_000;
const OTHERS: [i64; 2] = [8888, 9999];
/// Bricks whose cover is worth the time; more of them are all over the surveys' sky.
const BRICKS_MAX: usize = 20_000;

/// The number of the first brick of each row; beyond the last one, what it would be.
static FIRSTS: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let mut firsts = vec![1];
    for row in 0..ROWS {
        let before = firsts.last().copied().unwrap_or_default();
        firsts.push(before + columns(row));
    }
    firsts
});

fn centre_dec_deg(row: usize) -> f64 {
    row as f64 * HEIGHT_DEG - 90.0
}

/// How many bricks a row has: enough that none is wider than high at the edge nearer to the equator.
fn columns(row: usize) -> u32 {
    if row == 0 || row == ROWS - 1 {
        return 1;
    }
    let edge = centre_dec_deg(row).abs() - HEIGHT_DEG / 2.0;
    let needed = 360.0 / HEIGHT_DEG * edge.to_radians().cos();
    2 * (needed / 2.0).ceil() as u32
}

/// The brick that a TARGETID names; `None` where it is not one of the imaging surveys' objects.
#[must_use]
pub fn brick_of(target_id: i64) -> Option<u32> {
    let bits = |first: u32, count: u32| target_id >> first & ((1 << count) - 1);
    let release = bits(42, 16);
    let is_imaging = RELEASES.contains(&release) && !OTHERS.contains(&release);
    // mock targets and those of Gaia are numbered otherwise; what is above is reserved
    if target_id <= 0 || bits(58, 1) != 0 || target_id >> 60 != 0 || !is_imaging {
        return None;
    }
    let brick = bits(22, 20) as u32;
    (1..*FIRSTS.last()?).contains(&brick).then_some(brick)
}

/// The brick in which a position (degrees) lies; `None` where it is none.
#[must_use]
pub fn brick_at(ra_deg: f64, dec_deg: f64) -> Option<u32> {
    if !ra_deg.is_finite() || !(-90.0..=90.0).contains(&dec_deg) {
        return None;
    }
    let row = ((dec_deg + 90.0) / HEIGHT_DEG + 0.5).floor() as usize;
    let columns = columns(row);
    let column = (ra_deg.rem_euclid(360.0) / 360.0 * f64::from(columns)) as u32;
    Some(FIRSTS.get(row)? + column.min(columns - 1))
}

/// A brick's row and sides: right ascensions and declinations, degrees.
fn sides(brick: u32) -> Option<((f64, f64), (f64, f64))> {
    let row = FIRSTS.partition_point(|first| *first <= brick).checked_sub(1)?;
    let column = f64::from(brick.checked_sub(*FIRSTS.get(row)?)?);
    if row >= ROWS {
        return None;
    }
    let width = 360.0 / f64::from(columns(row));
    let dec = centre_dec_deg(row);
    let decs = (dec - HEIGHT_DEG / 2.0, dec + HEIGHT_DEG / 2.0);
    Some(((column * width, (column + 1.0) * width), (decs.0.max(-90.0), decs.1.min(90.0))))
}

/// A brick and what is nearer to it than a margin (degrees), and a little more.
fn widened(brick: u32, margin_deg: f64) -> Option<Rectangle> {
    let (ra, dec) = sides(brick)?;
    let dec = ((dec.0 - margin_deg).max(-90.0), (dec.1 + margin_deg).min(90.0));
    let farthest = dec.0.abs().max(dec.1.abs());
    let beside = (margin_deg / farthest.to_radians().cos().max(1e-9)).min(180.0);
    Rectangle::new((ra.0 - beside, ra.1 + beside), dec).ok()
}

/// Whether a position (degrees) contradicts a TARGETID: it lies outside of the brick that that names,
/// or nowhere.
#[must_use]
pub fn is_off(target_id: i64, ra_deg: Option<f64>, dec_deg: Option<f64>) -> bool {
    let Some(brick) = brick_of(target_id) else { return false };
    let held =
        |((ra, dec), brick): ((f64, f64), Rectangle)| ra.is_finite() && brick.contains(ra, dec);
    !ra_deg.zip(dec_deg).zip(widened(brick, MARGIN_DEG)).is_some_and(held)
}

/// Where objects lie that are not off their bricks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Located {
    /// Order-29 ranges, sorted and apart from each other, by whole pixels of tiles: never too little.
    /// `None` where there are too many bricks.
    pub cover: Option<Vec<Range<i64>>>,
    /// Those of which nothing is known.
    pub elsewhere: Vec<i64>,
}

/// Decodes TARGETIDs.
#[must_use]
pub fn locate(target_ids: &[i64]) -> Located {
    let mut bricks = Vec::new();
    let mut located = Located::default();
    for id in target_ids {
        match brick_of(*id) {
            Some(brick) => bricks.push(brick),
            None => located.elsewhere.push(*id),
        }
    }
    bricks.sort_unstable();
    bricks.dedup();
    if bricks.len() > BRICKS_MAX {
        return located;
    }
    let mut pixels: Vec<u64> = bricks.into_iter().flat_map(pixels_of).collect();
    pixels.sort_unstable();
    pixels.dedup();
    let mut cover = Vec::new();
    pixels.into_iter().for_each(|pixel| append(&mut cover, range_of(Pixel::ORDER, pixel)));
    located.cover = Some(cover);
    located
}

/// Pixels of tiles that a brick may reach into.
fn pixels_of(brick: u32) -> Vec<u64> {
    let Some((ra, dec)) = sides(brick) else { return Vec::new() };
    // a brick at a pole is a circle, with the pole in its middle
    let is_cap = ra.1 - ra.0 >= 360.0;
    let middle = if is_cap { 90f64.copysign(dec.0) } else { (dec.0 + dec.1) / 2.0 };
    let centre = ((ra.0 + ra.1) / 2.0, middle);
    let corner = |dec: f64| angle(vector(centre), vector((ra.0, dec)));
    let radius = corner(dec.0).max(corner(dec.1)) + 1.5 * LOOKED_DEG.to_radians();
    cells_near(Pixel::ORDER, centre, radius).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sky::healpix_29;
    use rand::{RngExt as _, SeedableRng as _};

    fn id(brick: u32, objid: i64) -> i64 {
        objid | i64::from(brick) << 22 | 9010 << 42
    }

    #[test]
    fn there_are_as_many_bricks_as_the_surveys_have() {
        assert_eq!(FIRSTS.last(), Some(&662_175));
        // TARGETIDs, bricks and positions of objects of the Early Data Release
        for (target_id, brick, ra, dec) in [
            (39_633_166_985_594_090, 565_022, 245.954289, 45.110618),
            (39_633_166_985_594_300, 565_022, 245.968435, 45.092144),
        ] {
            assert_eq!(brick_of(target_id), Some(brick));
            assert_eq!(brick_at(ra, dec), Some(brick));
            assert!(!is_off(target_id, Some(ra), Some(dec)));
            assert!(is_off(target_id, Some(ra), Some(dec + 0.3)));
            assert!(is_off(target_id, None, Some(dec)));
        }
        let gaia = 2_305_843_019_946_942_000;
        for other in [0, -2_713_437, gaia, id(0, 3), id(662_175, 3), 1 << 62, 999 << 42 | 1 << 22] {
            assert_eq!(brick_of(other), None, "{other}");
            assert!(!is_off(other, None, None));
        }
    }

    #[test]
    fn a_position_lies_in_its_brick_and_in_the_cover_of_its_id() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let mut pixels = 0;
        for round in 0..60_000u32 {
            // rows at the poles and the ends of the belt come often
            let brick = match round % 4 {
                0 => rng.random_range(1..400),
                1 => 662_175 - rng.random_range(1..400),
                _ => rng.random_range(1..662_175),
            };
            let (ra, dec) = sides(brick).expect("a brick");
            let inside = (rng.random_range(ra.0..ra.1), rng.random_range(dec.0..dec.1));
            assert_eq!(brick_at(inside.0, inside.1), Some(brick));
            let located = locate(&[id(brick, 7), -3]);
            assert_eq!(located.elsewhere, [-3]);
            let cover = located.cover.expect("one brick");
            pixels += cover.iter().map(|r| (r.end - r.start) >> 46).sum::<i64>();
            let around = widened(brick, LOOKED_DEG).expect("a box");
            let ((west, east), (south, north)) = (around.ra_deg(), around.dec_deg());
            for corner in 0..12 {
                let mut at = |first: f64, last: f64| match corner % 4 {
                    0 => first,
                    1 => last,
                    _ => rng.random_range(first..=last),
                };
                let (ra, dec) = (at(west, east), at(south, north));
                let deep = healpix_29(ra.rem_euclid(360.0), dec).expect("on the sky");
                let is_there = cover.iter().any(|range| range.contains(&deep));
                assert!(is_there, "brick {brick} lost ({ra}, {dec})");
                assert!(!is_off(id(brick, 9), Some(inside.0), Some(inside.1)));
            }
        }
        assert!(pixels < 3 * 60_000, "{pixels}");
    }
}
