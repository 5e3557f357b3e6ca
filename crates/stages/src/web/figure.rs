//! A wedge of the survey: galaxies in their classes, filaments over them.

use super::Web;
use crate::datasheet::figure::{self, Area, FAINT_INK, Figure, INK, drawn, svg as figure_svg};
use crate::survey::Sample;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

const SIZE: (i32, i32) = (1000, 640);
const MARGIN: i32 = 50;
/// Void, sheet, filament, knot.
const CLASSES: [(RGBColor, &str); 4] = [
    (RGBColor(86, 180, 233), "void"),
    (RGBColor(0, 114, 178), "sheet"),
    (RGBColor(230, 159, 0), "filament"),
    (RGBColor(213, 94, 0), "knot"),
];
const FILAMENT: RGBColor = RGBColor(40, 40, 40);
/// Galaxies that are drawn, at most: those of the thinnest slice that has as many.
const DRAWN: usize = 20_000;

/// Draws the slice in declination about the sample's middle that holds up to 20,000 galaxies: distance
/// from the observer upwards, right ascension across, as SVG text.
///
/// # Errors
/// Those of the plotting library.
pub fn wedge(title: &str, sample: &Sample, web: &Web) -> Result<String, figure::Error> {
    figure_svg("the wedge", SIZE, |area| draw(area, title, sample, web))
}

fn draw(area: &Area<'_>, title: &str, sample: &Sample, web: &Web) -> Figure {
    let place = |y: i32| (drawn(MARGIN), drawn(y));
    let Some(slice) = Slice::of(sample, &web.positions) else {
        area.draw_text(title, &figure::text(17, &INK, HPos::Left), place(24))?;
        let middle = (drawn(SIZE.0 / 2), drawn(SIZE.1 / 2));
        return area.draw_text("no galaxy", &figure::text(14, &FAINT_INK, HPos::Center), middle);
    };
    area.draw_text(title, &figure::text(17, &INK, HPos::Left), place(24))?;
    let about = format!(
        "declination {:+.2}° to {:+.2}°, {} of {} galaxies; up to {:.0} Mpc (comoving)",
        slice.dec[0],
        slice.dec[1],
        slice.rows.len(),
        sample.len(),
        slice.reach
    );
    area.draw_text(&about, &figure::text(12, &FAINT_INK, HPos::Left), place(46))?;
    for (number, (colour, name)) in CLASSES.iter().enumerate() {
        let x = SIZE.0 - MARGIN - 300 + 80 * number as i32;
        area.draw(&Circle::new((drawn(x), drawn(24)), drawn(4), colour.filled()))?;
        area.draw_text(name, &figure::text(12, &INK, HPos::Left), (drawn(x + 8), drawn(24)))?;
    }
    for &row in &slice.rows {
        let class = web.class.get(row).and_then(|class| class.class());
        let colour = class.and_then(|class| CLASSES.get(class as usize)).map_or(FAINT_INK, |c| c.0);
        if let Some(at) = web.positions.get(row).map(|place| slice.point(*place)) {
            area.draw(&Circle::new(at, 5, colour.filled()))?;
        }
    }
    for filament in &web.skeleton.filaments {
        for ends in web.skeleton.line(filament).windows(2) {
            if ends.iter().all(|end| slice.holds(*end)) {
                let line = vec![slice.point(ends[0]), slice.point(ends[1])];
                area.draw(&PathElement::new(line, FILAMENT.stroke_width(4)))?;
            }
        }
    }
    Ok(())
}

/// Which galaxies are drawn, and where.
struct Slice {
    rows: Vec<usize>,
    dec: [f64; 2],
    /// Direction of the wedge's middle.
    middle: f64,
    reach: f64,
    scale: f64,
}

impl Slice {
    fn of(sample: &Sample, positions: &[[f64; 3]]) -> Option<Self> {
        let mut decs: Vec<f64> = sample.dec.clone();
        decs.sort_unstable_by(f64::total_cmp);
        let (count, half) = (decs.len(), decs.len().min(DRAWN) / 2);
        let middle = count / 2;
        let last = (middle + half).min(count.checked_sub(1)?);
        let dec = [*decs.get(middle.saturating_sub(half))?, *decs.get(last)?];
        let is_in =
            |row: &usize| sample.dec.get(*row).is_some_and(|d| (dec[0]..=dec[1]).contains(d));
        let rows: Vec<usize> = (0..count).filter(is_in).collect();
        let sum =
            rows.iter().filter_map(|row| positions.get(*row)).fold([0.0; 2], |sum, [x, y, _]| {
                let length = x.hypot(*y).max(f64::MIN_POSITIVE);
                [sum[0] + x / length, sum[1] + y / length]
            });
        let mut made = Self { rows, dec, middle: sum[1].atan2(sum[0]), reach: 0.0, scale: 1.0 };
        let (mut reach, mut across) = (0.0f64, 0.0f64);
        for row in &made.rows {
            let place = made.turned(*positions.get(*row)?);
            (reach, across) = (reach.max(place[0].hypot(place[1])), across.max(place[1].abs()));
        }
        let room = (f64::from(SIZE.0 - 2 * MARGIN) / 2.0, f64::from(SIZE.1 - 2 * MARGIN - 20));
        made.reach = reach;
        made.scale = (room.0 / across.max(1e-9)).min(room.1 / reach.max(1e-9));
        Some(made)
    }

    /// Along the middle of the wedge, and across; what is above the equator is laid down.
    fn turned(&self, [x, y, z]: [f64; 3]) -> [f64; 2] {
        let flat = x.hypot(y);
        let stretch = if flat > 0.0 { flat.hypot(z) / flat } else { 1.0 };
        let (sin, cos) = self.middle.sin_cos();
        [(x * cos + y * sin) * stretch, (y * cos - x * sin) * stretch]
    }

    fn point(&self, place: [f64; 3]) -> (i32, i32) {
        let [along, across] = self.turned(place);
        // right ascension grows to the left
        let x = f64::from(SIZE.0) / 2.0 - across * self.scale;
        let y = f64::from(SIZE.1 - MARGIN) - along * self.scale;
        figure::point((x, y))
    }

    fn holds(&self, [x, y, z]: [f64; 3]) -> bool {
        let dec = z.atan2(x.hypot(y)).to_degrees();
        (self.dec[0]..=self.dec[1]).contains(&dec)
    }
}
