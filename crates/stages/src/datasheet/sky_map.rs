//! The sky that a lake covers: a Mollweide map of its tiles, shaded by their rows, and a small
//! footprint of each program.
//!
//! Equatorial, east to the left as on the sky, centred on RA 120° so that the seam falls into the
//! Milky Way and cuts neither galactic cap. Tiles of one shade are drawn as the fewest HEALPix
//! cells that make them up.

use super::figure::{self, Area, FAINT_INK, Figure, GRID, INK, PAPER, drawn, point};
use super::inset;
use super::spell::{self, grouped};
use bifrost_core::sky;
use bifrost_core::tile::Pixel;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use std::collections::{BTreeMap, BTreeSet};
use std::f64::consts::{PI, SQRT_2};

/// Rows of one program in one pixel.
#[derive(Debug, Clone, PartialEq)]
pub struct PixelRows {
    /// Program of the survey.
    pub program: String,
    /// Order-6 pixel.
    pub pixel: Pixel,
    /// Rows in it.
    pub rows: u64,
}

const SIZE: (i32, i32) = (960, 660);
const CENTRE_RA_DEG: f64 = 120.0;
const LAND: RGBColor = RGBColor(246, 246, 243);

/// Shades begin at these row counts; below the first a tile is empty.
const SHADE_ROWS: [u64; 7] = [1, 10, 30, 100, 300, 1_000, 3_000];
/// From pale sea green to deep indigo; the first is for empty tiles.
const SHADES: [RGBColor; 8] = [
    RGBColor(200, 200, 196),
    RGBColor(176, 222, 194),
    RGBColor(123, 199, 186),
    RGBColor(74, 170, 178),
    RGBColor(44, 138, 168),
    RGBColor(36, 103, 152),
    RGBColor(40, 66, 127),
    RGBColor(33, 32, 88),
];

/// Below this many tiles each gets a ring: a tile is two pixels wide and would not be found.
const RING_TILES: usize = 300;

/// Whether a map of so many pixels marks each with a ring.
pub(super) fn has_rings(pixels: usize) -> bool {
    pixels <= RING_TILES
}

/// Draws the map; `tiles` in any order.
///
/// # Errors
/// Those of the plotting library.
pub fn draw(tiles: &[PixelRows]) -> Result<String, figure::Error> {
    let mut rows_of: BTreeMap<Pixel, u64> = BTreeMap::new();
    let mut pixels_of: BTreeMap<&str, BTreeSet<Pixel>> = BTreeMap::new();
    for tile in tiles {
        *rows_of.entry(tile.pixel).or_default() += tile.rows;
        pixels_of.entry(&tile.program).or_default().insert(tile.pixel);
    }
    figure::svg("the sky map", SIZE, |area| {
        draw_main_map(area, &rows_of)?;
        draw_legend(area)?;
        draw_footprints(area, &pixels_of)
    })
}

fn draw_main_map(area: &Area<'_>, rows_of: &BTreeMap<Pixel, u64>) -> Figure {
    let map = Mollweide { x: 480.0, y: 218.0, half_width: 400.0 };
    map.draw_land(area)?;
    let shades = rows_of.iter().map(|(pixel, rows)| (*pixel, shade(*rows))).collect();
    for (order, cell, shade) in merged(shades) {
        map.draw_cell(area, order, cell, SHADES[shade])?;
    }
    map.draw_graticule(area)?;
    map.draw_milky_way(area)?;
    if has_rings(rows_of.len()) {
        for (pixel, rows) in rows_of {
            map.draw_ring(area, *pixel, SHADES[shade(*rows)])?;
        }
        let tiles: Vec<(Pixel, RGBColor)> =
            rows_of.iter().map(|(pixel, rows)| (*pixel, SHADES[shade(*rows)])).collect();
        inset::draw(area, &tiles)?;
    }
    map.draw_labels(area)
}

/// Which shade a tile of so many rows has.
fn shade(rows: u64) -> usize {
    SHADE_ROWS.partition_point(|start| *start <= rows)
}

/// Cells that cover the same pixels in the same shades, four siblings of one shade as their parent.
fn merged(pixels: Vec<(Pixel, usize)>) -> Vec<(u8, u64, usize)> {
    let mut level: BTreeMap<u64, usize> =
        pixels.into_iter().map(|(pixel, shade)| (u64::from(pixel.get()), shade)).collect();
    let mut done = Vec::new();
    for order in (1..=Pixel::ORDER).rev() {
        let mut parents: BTreeMap<u64, Vec<(u64, usize)>> = BTreeMap::new();
        for (cell, shade) in level {
            parents.entry(cell >> 2).or_default().push((cell, shade));
        }
        level = BTreeMap::new();
        for (parent, children) in parents {
            match children[..] {
                [(_, a), (_, b), (_, c), (_, d)] if a == b && b == c && c == d => {
                    level.insert(parent, a);
                }
                _ => done.extend(children.into_iter().map(|(cell, shade)| (order, cell, shade))),
            }
        }
    }
    done.extend(level.into_iter().map(|(cell, shade)| (0, cell, shade)));
    done
}

fn draw_legend(area: &Area<'_>) -> Figure {
    let (left, top, step, height) = (268, 446, 56, 12);
    let caption = figure::text(13, &INK, HPos::Right);
    area.draw_text("rows per tile", &caption, (drawn(left - 74), drawn(top + height / 2)))?;
    let small = figure::text(11, &FAINT_INK, HPos::Left);
    let empty = (drawn(left - 64), drawn(top));
    fill(area, empty, (drawn(34), drawn(height)), SHADES[0])?;
    area.draw_text(
        "none",
        &figure::text(11, &FAINT_INK, HPos::Center),
        (drawn(left - 47), drawn(top + height + 11)),
    )?;
    for (i, start) in SHADE_ROWS.iter().enumerate() {
        let x = left + step * i as i32;
        fill(area, (drawn(x), drawn(top)), (drawn(step), drawn(height)), SHADES[i + 1])?;
        let label = if i + 1 == SHADE_ROWS.len() { "≥ " } else { "" };
        area.draw_text(
            &format!("{label}{}", grouped(*start)),
            &small,
            (drawn(x), drawn(top + height + 11)),
        )?;
    }
    let line = left + step * 7 + 46;
    let y = drawn(top + height / 2);
    for dash in 0..4 {
        let x = drawn(line + dash * 8);
        area.draw(&PathElement::new([(x, y), (x + drawn(5), y)], galactic()))?;
    }
    area.draw_text(
        "Milky Way, b = 0°",
        &figure::text(12, &FAINT_INK, HPos::Left),
        (drawn(line + 38), y),
    )
}

fn fill(
    area: &Area<'_>,
    (x, y): (i32, i32),
    (width, height): (i32, i32),
    colour: RGBColor,
) -> Figure {
    area.draw(&Rectangle::new([(x, y), (x + width, y + height)], colour.filled()))
}

fn galactic() -> ShapeStyle {
    RGBColor(190, 120, 100).stroke_width(drawn(1).unsigned_abs())
}

/// One small map a program, side by side.
fn draw_footprints(area: &Area<'_>, pixels_of: &BTreeMap<&str, BTreeSet<Pixel>>) -> Figure {
    let count = pixels_of.len().max(1) as f64;
    let cell = 920.0 / count.max(3.0);
    let left = 480.0 - cell * (count - 1.0) / 2.0;
    for (i, (program, pixels)) in pixels_of.iter().enumerate() {
        let half_width = (cell * 0.42).min(130.0);
        let map = Mollweide { x: left + cell * i as f64, y: 578.0, half_width };
        map.draw_land(area)?;
        let one_shade = pixels.iter().map(|pixel| (*pixel, 0)).collect();
        let colour = program_colour(program);
        for (order, pixel, _) in merged(one_shade) {
            map.draw_cell(area, order, pixel, colour)?;
        }
        if has_rings(pixels.len()) {
            for pixel in pixels {
                map.draw_dot(area, *pixel, colour)?;
            }
        }
        map.draw_rim(area)?;
        let area_deg2 = pixels.len() as f64 * sky::cell_area_deg2(Pixel::ORDER);
        let label = format!("{program}: {}, {}", tiles(pixels.len()), spell::area(area_deg2));
        let below = point((map.x, map.y - half_width / 2.0 - 12.0));
        area.draw_text(&label, &figure::text(12, &INK, HPos::Center), below)?;
    }
    Ok(())
}

fn tiles(count: usize) -> String {
    match count {
        1 => "1 tile".to_owned(),
        n => format!("{} tiles", grouped(n as u64)),
    }
}

/// Colours that stay apart for colour-blind readers (after Okabe and Ito).
fn program_colour(program: &str) -> RGBColor {
    match program {
        "dark" => RGBColor(0, 90, 156),
        "bright" => RGBColor(230, 159, 0),
        "backup" => RGBColor(0, 140, 104),
        _ => RGBColor(150, 110, 150),
    }
}

/// An equal-area ellipse, twice as wide as high, at a displayed position.
struct Mollweide {
    x: f64,
    y: f64,
    half_width: f64,
}

impl Mollweide {
    /// Where an offset from the central meridian (degrees, east positive) and a declination lie.
    fn project(&self, east_deg: f64, dec_deg: f64) -> (f64, f64) {
        let theta = auxiliary(dec_deg.to_radians());
        let x = 2.0 * SQRT_2 / PI * east_deg.to_radians() * theta.cos();
        let y = SQRT_2 * theta.sin();
        let unit = self.half_width / (2.0 * SQRT_2);
        (self.x - x * unit, self.y - y * unit)
    }

    fn at(&self, ra_deg: f64, dec_deg: f64) -> (f64, f64) {
        self.project(east_of_centre(ra_deg), dec_deg)
    }

    fn rim(&self) -> Vec<(i32, i32)> {
        let up = (-90..=90).map(|dec| self.project(180.0, f64::from(dec)));
        let down = (-90..=90).rev().map(|dec| self.project(-180.0, f64::from(dec)));
        up.chain(down).map(point).collect()
    }

    fn draw_land(&self, area: &Area<'_>) -> Figure {
        area.draw(&Polygon::new(self.rim(), LAND))
    }

    fn draw_rim(&self, area: &Area<'_>) -> Figure {
        area.draw(&PathElement::new(self.rim(), FAINT_INK.stroke_width(4)))
    }

    /// Fills a cell; one that lies across the seam is drawn at both rims.
    fn draw_cell(&self, area: &Area<'_>, order: u8, cell: u64, colour: RGBColor) -> Figure {
        let segments = 1 << Pixel::ORDER.saturating_sub(order);
        let outline: Vec<(f64, f64)> = unwrapped(&sky::outline(order, cell, segments));
        let (west, east) = outline
            .iter()
            .fold((f64::MAX, f64::MIN), |(low, high), (lon, _)| (low.min(*lon), high.max(*lon)));
        for turn in [-360.0, 0.0, 360.0] {
            if west + turn < 180.0 && east + turn > -180.0 {
                let corners: Vec<(f64, f64)> = outline
                    .iter()
                    .map(|(lon, dec)| self.project((lon + turn).clamp(-180.0, 180.0), *dec))
                    .collect();
                area.draw(&Polygon::new(grown(&corners), colour))?;
            }
        }
        Ok(())
    }

    fn draw_ring(&self, area: &Area<'_>, pixel: Pixel, colour: RGBColor) -> Figure {
        let (ra, dec) = sky::centre(Pixel::ORDER, u64::from(pixel.get()));
        let style = colour.stroke_width(drawn(1).unsigned_abs() + 2);
        area.draw(&Circle::new(point(self.at(ra, dec)), drawn(5), style))
    }

    fn draw_dot(&self, area: &Area<'_>, pixel: Pixel, colour: RGBColor) -> Figure {
        let (ra, dec) = sky::centre(Pixel::ORDER, u64::from(pixel.get()));
        area.draw(&Circle::new(point(self.at(ra, dec)), drawn(2), colour.filled()))
    }

    fn draw_graticule(&self, area: &Area<'_>) -> Figure {
        let line = |points: Vec<(i32, i32)>| PathElement::new(points, GRID.stroke_width(3));
        for dec in (-60..=60).step_by(30) {
            let ends = [-180.0, 180.0].map(|east| point(self.project(east, f64::from(dec))));
            area.draw(&line(ends.to_vec()))?;
        }
        for east in (-150..=150).step_by(30) {
            let along = (-90..=90)
                .step_by(3)
                .map(|dec| point(self.project(f64::from(east), f64::from(dec))));
            area.draw(&line(along.collect()))?;
        }
        self.draw_rim(area)
    }

    /// The galactic plane, dashed.
    fn draw_milky_way(&self, area: &Area<'_>) -> Figure {
        for start in (0..360).step_by(4) {
            let ends = [0.0, 2.4].map(|more| galactic_plane(f64::from(start) + more));
            let [(ra1, dec1), (ra2, dec2)] = ends;
            if (east_of_centre(ra1) - east_of_centre(ra2)).abs() < 180.0 {
                let dash = [point(self.at(ra1, dec1)), point(self.at(ra2, dec2))];
                area.draw(&PathElement::new(dash, galactic()))?;
            }
        }
        Ok(())
    }

    fn draw_labels(&self, area: &Area<'_>) -> Figure {
        let middle = figure::text(11, &FAINT_INK, HPos::Center);
        for ra in [180, 240, 60, 0, 120] {
            let (x, y) = self.at(f64::from(ra), 0.0);
            let at = point((x, y + 10.0));
            let label = format!("{ra}°");
            let width = drawn(6 + 5 * label.chars().count() as i32);
            fill(area, (at.0 - width / 2, at.1 - drawn(6)), (width, drawn(12)), PAPER)?;
            area.draw_text(&label, &middle, at)?;
        }
        for dec in [-60, -30, 0, 30, 60] {
            let (x, y) = self.project(180.0, f64::from(dec));
            let at = point((x - 8.0, y - 0.13 * f64::from(dec)));
            let sign = if dec > 0 {
                "+"
            } else if dec < 0 {
                "−"
            } else {
                ""
            };
            let label = format!("{sign}{}°", i32::abs(dec));
            area.draw_text(&label, &figure::text(11, &FAINT_INK, HPos::Right), at)?;
        }
        let caption = figure::text(12, &FAINT_INK, HPos::Left);
        area.draw_text("← east", &caption, point((56.0, 398.0)))?;
        area.draw_text("RA, Dec (ICRS)", &caption, point((56.0, 416.0)))
    }
}

/// Degrees east of the central meridian, -180 to 180.
fn east_of_centre(ra_deg: f64) -> f64 {
    (ra_deg - CENTRE_RA_DEG + 180.0).rem_euclid(360.0) - 180.0
}

/// An outline whose longitudes (east of the centre) run on without a jump at the seam; at a pole,
/// where a longitude means nothing, it is its neighbours'.
fn unwrapped(outline: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let is_pole = |dec: f64| dec.abs() > 89.999;
    let mut previous =
        outline.iter().find(|(_, dec)| !is_pole(*dec)).map_or(0.0, |(ra, _)| east_of_centre(*ra));
    let mut out = Vec::with_capacity(outline.len());
    for (ra, dec) in outline {
        if !is_pole(*dec) {
            let lon = east_of_centre(*ra);
            previous = lon + 360.0 * ((previous - lon) / 360.0).round();
        }
        out.push((previous, *dec));
    }
    out
}

/// A polygon moved outwards by a quarter pixel, so that no seam shows between neighbours.
fn grown(corners: &[(f64, f64)]) -> Vec<(i32, i32)> {
    let count = corners.len().max(1) as f64;
    let (x, y) = corners.iter().fold((0.0, 0.0), |(x, y), corner| (x + corner.0, y + corner.1));
    let (x, y) = (x / count, y / count);
    let outwards = |(cx, cy): &(f64, f64)| {
        let (dx, dy) = (cx - x, cy - y);
        let length = dx.hypot(dy).max(1e-9);
        point((cx + 0.25 * dx / length, cy + 0.25 * dy / length))
    };
    corners.iter().map(outwards).collect()
}

/// Mollweide's auxiliary angle: `2θ + sin 2θ = π sin φ`, by Newton's method.
fn auxiliary(phi: f64) -> f64 {
    if phi.abs() > PI / 2.0 - 1e-6 {
        return phi.signum() * PI / 2.0;
    }
    let wanted = PI * phi.sin();
    let mut double = 2.0 * phi;
    for _ in 0..40 {
        let step = (double + double.sin() - wanted) / (1.0 + double.cos()).max(1e-9);
        double -= step;
        if step.abs() < 1e-9 {
            break;
        }
    }
    double / 2.0
}

/// RA and Dec (degrees) of galactic longitude `l` at latitude 0: the pole of the galaxy lies at
/// (192.85948, 27.12825) and the celestial pole at l = 122.93192 (Hipparcos, vol. 1, 1.5.3).
fn galactic_plane(l_deg: f64) -> (f64, f64) {
    let (pole_ra, pole_dec) = (192.85948_f64, 27.12825_f64.to_radians());
    let l = (122.93192 - l_deg).to_radians();
    let dec = (pole_dec.cos() * l.cos()).asin();
    let ra = pole_ra + l.sin().atan2(-pole_dec.sin() * l.cos()).to_degrees();
    (ra.rem_euclid(360.0), dec.to_degrees())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_galactic_centre_lies_on_the_plane() {
        let (ra, dec) = galactic_plane(0.0);
        // Sgr A* is 0.046° off the plane
        assert!((ra - 266.405).abs() < 0.01 && (dec + 28.936).abs() < 0.01, "({ra}, {dec})");
    }

    #[test]
    fn the_map_is_equal_area() {
        let map = Mollweide { x: 0.0, y: 0.0, half_width: 400.0 };
        let sphere: f64 = (0..12u64 * 16)
            .map(|cell| {
                let corners: Vec<(f64, f64)> = unwrapped(&sky::outline(2, cell, 32))
                    .iter()
                    .map(|(lon, dec)| map.project(*lon, *dec))
                    .collect();
                shoelace(&corners)
            })
            .sum();
        let ellipse = PI * 400.0 * 200.0;
        assert!((sphere / ellipse - 1.0).abs() < 1e-3, "{sphere} against {ellipse}");
    }

    fn shoelace(corners: &[(f64, f64)]) -> f64 {
        let next = corners.iter().cycle().skip(1);
        corners.iter().zip(next).map(|(a, b)| a.0 * b.1 - b.0 * a.1).sum::<f64>().abs() / 2.0
    }

    #[test]
    fn siblings_of_one_shade_become_their_parent() {
        let pixels = (0..16).map(|p| (Pixel::new(p).expect("a pixel"), usize::from(p == 15)));
        let cells = merged(pixels.collect());
        let orders: Vec<u8> = cells.iter().map(|cell| cell.0).collect();
        assert_eq!(orders, [6, 6, 6, 6, 5, 5, 5]);
    }
}
