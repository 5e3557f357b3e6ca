//! A close-up of a small footprint, for the sky map: on the whole sky a few tiles are one dot.
//!
//! Tangent plane about the middle of the tiles, north up, east to the left, as on the large map.

use super::figure::{self, Area, FAINT_INK, Figure, PAPER, drawn, point};
use bifrost_core::sky;
use bifrost_core::tile::Pixel;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

/// A footprint wider than this is seen well enough on the whole sky.
const RADIUS_MAX_DEG: f64 = 12.0;
/// Corners of the frame, displayed.
const FRAME: [(i32, i32); 2] = [(828, 318), (950, 430)];
/// Room at the bottom of the frame for the scale, displayed.
const SCALE_ROOM: i32 = 18;

/// A tangent plane with its scale.
struct Plane {
    middle: (f64, f64),
    pixels_per_degree: f64,
}

/// Draws the close-up of tiles and their colours, if they lie close together.
pub(super) fn draw(area: &Area<'_>, tiles: &[(Pixel, RGBColor)]) -> Figure {
    let Some((middle, radius_deg)) = circle(tiles) else { return Ok(()) };
    if radius_deg > RADIUS_MAX_DEG {
        return Ok(());
    }
    let [(left, top), (right, bottom)] = FRAME;
    let half = f64::from((right - left).min(bottom - top - SCALE_ROOM)) / 2.0 - 4.0;
    let plane = Plane { middle, pixels_per_degree: half / (radius_deg + 0.7) };
    let corners = FRAME.map(|(x, y)| (drawn(x), drawn(y)));
    area.draw(&Rectangle::new(corners, PAPER.filled()))?;
    for (pixel, colour) in tiles {
        let outline = sky::outline(Pixel::ORDER, u64::from(pixel.get()), 4);
        let corners: Vec<(i32, i32)> = outline.iter().map(|corner| plane.at(*corner)).collect();
        let closed: Vec<(i32, i32)> = corners.iter().chain(corners.first()).copied().collect();
        area.draw(&Polygon::new(corners, *colour))?;
        area.draw(&PathElement::new(closed, PAPER.stroke_width(2)))?;
    }
    area.draw(&Rectangle::new(corners, FAINT_INK.stroke_width(3)))?;
    let label = figure::text(11, &FAINT_INK, HPos::Right);
    let degree = drawn(1) * plane.pixels_per_degree.round() as i32;
    let (x, y) = (drawn(right - 6), drawn(bottom - 9));
    area.draw(&PathElement::new([(x - degree, y), (x, y)], FAINT_INK.stroke_width(6)))?;
    area.draw_text("1°", &label, (x - degree - drawn(4), y - drawn(1)))
}

/// Middle of the tiles and how far the farthest centre is from it, degrees; `None` where there are
/// no tiles, or they lie all around the sky.
fn circle(tiles: &[(Pixel, RGBColor)]) -> Option<((f64, f64), f64)> {
    let centres: Vec<(f64, f64)> =
        tiles.iter().map(|(p, _)| sky::centre(Pixel::ORDER, u64::from(p.get()))).collect();
    let (x, y, z) = centres.iter().fold((0.0, 0.0, 0.0), |(x, y, z), (ra, dec)| {
        let ((sin_ra, cos_ra), (sin_dec, cos_dec)) =
            (ra.to_radians().sin_cos(), dec.to_radians().sin_cos());
        (x + cos_dec * cos_ra, y + cos_dec * sin_ra, z + sin_dec)
    });
    if x.hypot(y).hypot(z) < 1e-6 {
        return None;
    }
    let middle = (y.atan2(x).to_degrees(), z.atan2(x.hypot(y)).to_degrees());
    let away = |(ra, dec): &(f64, f64)| sky::separation_deg(middle.0, middle.1, *ra, *dec);
    centres.iter().map(away).reduce(f64::max).map(|radius_deg| (middle, radius_deg))
}

impl Plane {
    /// Where a position (degrees) lies on the drawing: gnomonic projection.
    fn at(&self, (ra, dec): (f64, f64)) -> (i32, i32) {
        let (sin_ra, cos_ra) = (ra - self.middle.0).to_radians().sin_cos();
        let (sin_dec, cos_dec) = dec.to_radians().sin_cos();
        let (sin_middle, cos_middle) = self.middle.1.to_radians().sin_cos();
        let depth = (sin_middle * sin_dec + cos_middle * cos_dec * cos_ra).max(1e-6);
        let east = cos_dec * sin_ra / depth;
        let north = (cos_middle * sin_dec - sin_middle * cos_dec * cos_ra) / depth;
        let scale = self.pixels_per_degree.to_degrees();
        let [(left, top), (right, bottom)] = FRAME;
        let (x, y) = (f64::from(left + right) / 2.0, f64::from(top + bottom - SCALE_ROOM) / 2.0);
        point((x - east * scale, y - north * scale))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_tiles_is_found_across_the_seam_of_right_ascension() {
        let tiles: Vec<(Pixel, RGBColor)> = [-1.0, 1.0, 359.5]
            .iter()
            .filter_map(|ra: &f64| sky::pixel_of(ra.rem_euclid(360.0), 10.0))
            .map(|pixel| (pixel, PAPER))
            .collect();
        let ((ra, dec), radius_deg) = circle(&tiles).expect("tiles");
        assert!(ra.abs() < 1.0 && (dec - 10.0).abs() < 1.0 && radius_deg < 2.0);
        assert_eq!(circle(&[]), None);
    }
}
