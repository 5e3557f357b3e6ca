//! A wedge of the survey: galaxies in their classes, filaments over them, in distance and right ascension.

use super::Web;
use crate::datasheet::figure::{
    self, Area, FAINT_INK, Figure, GRID, INK, drawn, svg as figure_svg,
};
use crate::survey::Sample;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use std::f64::consts::{FRAC_PI_2, PI};

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
/// Half of the angle (radian) that wedges have at least: angles of narrower ones are drawn larger.
const HALF: f64 = 0.35;
/// Pieces that an arc is drawn with.
const PIECES: i32 = 120;
/// Distances (Mpc) and right ascensions (degrees) that are marked, at most.
const MARKS: f64 = 5.0;

/// Draws the slice in declination about the sample's middle that holds up to 20,000 galaxies: distance
/// from the observer upwards, right ascension across, as SVG text. Angles of a narrow survey are drawn so
/// many times as large as it says.
///
/// # Errors
/// Those of the plotting library.
pub fn wedge(title: &str, sample: &Sample, web: &Web) -> Result<String, figure::Error> {
    figure_svg("the wedge", SIZE, |area| draw(area, title, sample, web))
}

fn draw(area: &Area<'_>, title: &str, sample: &Sample, web: &Web) -> Figure {
    area.draw_text(title, &figure::text(17, &INK, HPos::Left), (drawn(MARGIN), drawn(24)))?;
    let Some(slice) = Slice::of(sample, &web.positions) else {
        let middle = (drawn(SIZE.0 / 2), drawn(SIZE.1 / 2));
        return area.draw_text("no galaxy", &figure::text(14, &FAINT_INK, HPos::Center), middle);
    };
    let about = figure::text(12, &FAINT_INK, HPos::Left);
    area.draw_text(&slice.about(sample.len()), &about, (drawn(MARGIN), drawn(46)))?;
    legend(area)?;
    slice.marks(area)?;
    for &row in &slice.rows {
        let class = web.class.get(row).and_then(|class| class.class());
        let colour = class.and_then(|class| CLASSES.get(class as usize)).map_or(FAINT_INK, |c| c.0);
        if let Some(at) = web.positions.get(row).map(|place| slice.point(*place)) {
            area.draw(&Circle::new(at, 5, colour.filled()))?;
        }
    }
    for filament in &web.skeleton.filaments {
        for ends in web.skeleton.line(filament).windows(2) {
            let line = vec![slice.point(ends[0]), slice.point(ends[1])];
            // a line of no length cannot be drawn
            if ends.iter().all(|end| slice.holds(*end)) && line[0] != line[1] {
                area.draw(&PathElement::new(line, FILAMENT.stroke_width(4)))?;
            }
        }
    }
    Ok(())
}

/// What colours and lines stand for.
fn legend(area: &Area<'_>) -> Figure {
    let style = figure::text(12, &INK, HPos::Left);
    let x = |number: usize| drawn(SIZE.0 - MARGIN - 430 + 76 * number as i32);
    let no_class = (FAINT_INK, "no class");
    for (number, (colour, name)) in CLASSES.iter().chain([&no_class]).enumerate() {
        area.draw(&Circle::new((x(number), drawn(24)), drawn(4), colour.filled()))?;
        area.draw_text(name, &style, (x(number) + drawn(8), drawn(24)))?;
    }
    let line = vec![(x(5) - drawn(6), drawn(24)), (x(5) + drawn(4), drawn(24))];
    area.draw(&PathElement::new(line, FILAMENT.stroke_width(4)))?;
    area.draw_text("skeleton", &style, (x(5) + drawn(8), drawn(24)))
}

/// Which galaxies are drawn, and where.
struct Slice {
    rows: Vec<usize>,
    dec: [f64; 2],
    /// Right ascension of the wedge's middle, radian.
    middle: f64,
    /// Greatest angle from there, radian, and how many times as large it is drawn.
    half: f64,
    stretch: f64,
    /// Greatest distance, Mpc.
    reach: f64,
    /// Pixels of a Mpc.
    scale: f64,
    /// The observer's place in the picture.
    origin: (f64, f64),
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
        let places = || rows.iter().filter_map(|row| positions.get(*row));
        let sum = places().fold([0.0; 2], |sum, [x, y, _]| {
            let length = x.hypot(*y).max(f64::MIN_POSITIVE);
            [sum[0] + x / length, sum[1] + y / length]
        });
        let middle = sum[1].atan2(sum[0]);
        let (mut reach, mut half) = (1e-9f64, 1e-9f64);
        for place in places() {
            let (distance, angle) = polar(*place, middle);
            (reach, half) = (reach.max(distance), half.max(angle.abs()));
        }
        let stretch = (HALF / half).floor().clamp(1.0, 1e3);
        let opening = half * stretch;
        // the observer is in the picture, and what lies behind
        let behind = if opening > FRAC_PI_2 { -opening.cos() } else { 0.0 };
        let across = 2.0 * opening.min(FRAC_PI_2).sin();
        let room = (f64::from(SIZE.0 - 2 * MARGIN), f64::from(SIZE.1 - 2 * MARGIN - 40));
        let size = (room.0 / across).min(room.1 / (1.0 + behind));
        let origin = (f64::from(SIZE.0) / 2.0, f64::from(SIZE.1 - MARGIN) - behind * size);
        Some(Self { rows, dec, middle, half, stretch, reach, scale: size / reach, origin })
    }

    fn about(&self, all: usize) -> String {
        let [low, high] = self.dec;
        let wider = match self.stretch {
            stretch if stretch > 1.0 => format!("; angles {stretch:.0} times as large"),
            _ => String::new(),
        };
        format!(
            "declination {low:+.2}° to {high:+.2}°, {} of {all} galaxies; up to {:.0} Mpc (comoving){wider}",
            self.rows.len(),
            self.reach
        )
    }

    /// Arcs of distance, rays of right ascension, and what they are of.
    fn marks(&self, area: &Area<'_>) -> Figure {
        let line = GRID.stroke_width(3);
        let step = round_step(self.reach / MARKS);
        let number = text_of(step);
        for distance in (1..).map(|n| f64::from(n) * step).take_while(|d| *d <= self.reach) {
            let angle = |piece: i32| (f64::from(2 * piece) / f64::from(PIECES) - 1.0) * self.half;
            let arc: Vec<_> = (0..=PIECES).map(|n| self.at(distance, angle(n))).collect();
            area.draw(&PathElement::new(arc, line))?;
            let (x, y) = self.at(distance, -self.half);
            let style = figure::text(11, &FAINT_INK, HPos::Left);
            area.draw_text(&format!("{} Mpc", number(distance)), &style, (x + drawn(5), y))?;
        }
        let step = round_step(2.0 * self.half.to_degrees() / MARKS);
        let number = text_of(step);
        let (middle, half) = (self.middle.to_degrees(), self.half.to_degrees());
        let first = ((middle - half) / step).ceil();
        let last = ((middle + half) / step).floor();
        // all around, the last is the first again
        let last = last.min(first + (360.0 / step).round() - 1.0);
        for number_of in 0..=(last - first).max(0.0) as i32 {
            let ra = (first + f64::from(number_of)) * step;
            let angle = (ra - middle).to_radians();
            let ray = vec![self.at(0.0, 0.0), self.at(self.reach, angle)];
            area.draw(&PathElement::new(ray, line))?;
            let style = figure::text(11, &FAINT_INK, HPos::Center);
            let beyond = self.reach + 12.0 / self.scale;
            area.draw_text(
                &format!("{}°", number(ra.rem_euclid(360.0))),
                &style,
                self.at(beyond, angle),
            )?;
        }
        Ok(())
    }

    /// Where a distance (Mpc) is drawn, in a direction so far (radian) from the middle.
    fn at(&self, distance: f64, angle: f64) -> (i32, i32) {
        let (sin, cos) = (angle * self.stretch).sin_cos();
        let length = distance * self.scale;
        // right ascension grows to the left
        figure::point((self.origin.0 - length * sin, self.origin.1 - length * cos))
    }

    fn point(&self, place: [f64; 3]) -> (i32, i32) {
        let (distance, angle) = polar(place, self.middle);
        self.at(distance, angle)
    }

    fn holds(&self, [x, y, z]: [f64; 3]) -> bool {
        let dec = z.atan2(x.hypot(y)).to_degrees();
        (self.dec[0]..=self.dec[1]).contains(&dec)
    }
}

/// Distance of a place, and its right ascension from the middle's, −π to π.
fn polar([x, y, z]: [f64; 3], middle: f64) -> (f64, f64) {
    let angle = (y.atan2(x) - middle + PI).rem_euclid(2.0 * PI) - PI;
    (x.hypot(y).hypot(z), angle)
}

/// The first of 1, 2, 5, 10, … that is not less.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.max(1e-6).log10().floor());
    [1.0, 2.0, 5.0]
        .map(|digit| digit * power)
        .into_iter()
        .find(|step| *step >= least)
        .unwrap_or(10.0 * power)
}

/// Numbers with as many decimals as their steps have.
fn text_of(step: f64) -> impl Fn(f64) -> String {
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    move |number| format!("{number:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(ra: &[f64], distance: f64) -> Slice {
        let count = ra.len();
        let sample = Sample {
            target_id: (0..count as i64).collect(),
            ra: ra.to_vec(),
            dec: vec![0.0; count],
            ..Sample::default()
        };
        let place = |ra: &f64| [ra.to_radians().cos(), ra.to_radians().sin(), 0.0];
        let positions: Vec<_> = ra.iter().map(|ra| place(ra).map(|x| x * distance)).collect();
        Slice::of(&sample, &positions).expect("a slice")
    }

    #[test]
    fn all_of_a_slice_is_in_the_picture() {
        for ra in [
            vec![359.0, 0.0, 1.0],
            vec![100.0, 150.0, 260.0],
            (0..36).map(|n| f64::from(n) * 10.0).collect(),
        ] {
            let slice = slice(&ra, 700.0);
            for row in 0..ra.len() {
                let (x, y) = slice.at(
                    700.0,
                    (ra[row].to_radians() - slice.middle + PI).rem_euclid(2.0 * PI) - PI,
                );
                assert!(
                    (0..=drawn(SIZE.0)).contains(&x) && (0..=drawn(SIZE.1)).contains(&y),
                    "{ra:?} {x} {y}"
                );
            }
        }
        assert_eq!(slice(&[359.0, 1.0], 700.0).stretch, 20.0);
        assert_eq!(slice(&[100.0, 150.0], 700.0).stretch, 1.0);
    }

    #[test]
    fn steps_are_round() {
        assert_eq!([0.3, 1.0, 1.2, 7.0, 951.0].map(round_step), [0.5, 1.0, 2.0, 10.0, 1000.0]);
        assert_eq!(
            (text_of(0.5)(1.5), text_of(200.0)(400.0)),
            ("1.5".to_owned(), "400".to_owned())
        );
    }
}
