//! A spectrum drawn: its flux in grey under a smoothed line, its error, and where lines would be.

use super::smooth::{is_good, smoothed};
use crate::datasheet::figure::{
    self, Area, FAINT_INK, FONT, Figure, GRID, INK, drawn, svg as figure_svg,
};
use bifrost_core::spectrum::{Observed, Pixels, Spectrum, arms};
use bifrost_science::lines::{Kind, Mark, marks};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::Range;

const SIZE: (i32, i32) = (1200, 520);
/// Room above the chart for title and names of lines, and left of it.
const TOP: i32 = 112;
const LEFT: i32 = 70;
const RIGHT: i32 = 22;
/// Names of lines are so far apart, at least.
const NAMES_APART: f64 = 13.0;
const RAW: RGBColor = RGBColor(190, 190, 190);
const ERROR: RGBColor = RGBColor(230, 159, 0);
const EMISSION: RGBColor = RGBColor(213, 94, 0);
const ABSORPTION: RGBColor = RGBColor(0, 114, 178);
const SMOOTH: RGBColor = RGBColor(20, 50, 90);

/// Draws a spectrum, as SVG text.
///
/// # Errors
/// Those of the plotting library.
pub fn svg(spectrum: &Spectrum) -> Result<String, figure::Error> {
    let pixels = &spectrum.pixels;
    figure_svg("the spectrum", SIZE, |area| {
        title(area, &spectrum.about)?;
        if !(0..pixels.flux.len()).any(|i| is_good(pixels, i)) {
            let style = figure::text(14, &FAINT_INK, HPos::Center);
            let middle = (drawn(SIZE.0 / 2), drawn(SIZE.1 / 2));
            return area.draw_text("no pixel of it is good", &style, middle);
        }
        chart(area, spectrum)
    })
}

fn title(area: &Area<'_>, about: &Observed) -> Figure {
    let class = about.spectype.as_deref().unwrap_or("no class");
    let z = about.z.map_or_else(|| "no redshift".to_owned(), |z| format!("z = {z:.5}"));
    let head = format!("TARGETID {}   {class}   {z}", about.target_id);
    let mut parts: Vec<String> =
        [&about.release, &about.survey, &about.program].into_iter().flatten().cloned().collect();
    parts.extend(about.ra.zip(about.dec).map(|(ra, dec)| format!("RA {ra:.5}°, Dec {dec:+.5}°")));
    parts.extend(about.zwarn.map(|zwarn| format!("zwarn {zwarn}")));
    let place = |y: i32| (drawn(LEFT), drawn(y));
    area.draw_text(&head, &figure::text(17, &INK, HPos::Left), place(24))?;
    area.draw_text(&parts.join(" · "), &figure::text(12, &FAINT_INK, HPos::Left), place(46))
}

/// What a pixel has to be drawn, if it has.
type Value<'a> = &'a dyn Fn(usize) -> Option<f64>;

/// What is drawn of a stretch of pixels that follow each other.
struct Stretch {
    pixels: Range<usize>,
    smooth: Vec<Option<f64>>,
}

fn chart(area: &Area<'_>, spectrum: &Spectrum) -> Figure {
    let pixels = &spectrum.pixels;
    let stretches: Vec<Stretch> = stretches(pixels)
        .into_iter()
        .map(|part| Stretch { smooth: smoothed(pixels, part.clone()), pixels: part })
        .collect();
    let (from, to) = ends(&pixels.wavelength);
    let (low, high) = range(pixels, &stretches);
    let mut chart = ChartBuilder::on(area)
        .margin_top(drawn(TOP))
        .margin_right(drawn(RIGHT))
        .margin_left(drawn(8))
        .margin_bottom(drawn(6))
        .x_label_area_size(drawn(42))
        .y_label_area_size(drawn(LEFT - 8))
        .build_cartesian_2d(from..to, low..high)?;
    let style = |size: i32| (FONT, f64::from(drawn(size)) * 1.24).into_font().color(&INK);
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID.stroke_width(2))
        .light_line_style(TRANSPARENT)
        .axis_style(FAINT_INK.stroke_width(4))
        .x_labels(13)
        .y_labels(7)
        .x_label_formatter(&|wave| format!("{wave:.0}"))
        .y_label_formatter(&|flux| format!("{}", (flux * 1000.0).round() / 1000.0))
        .label_style(style(12))
        .axis_desc_style(style(13))
        .x_desc("wavelength in vacuum, Å")
        .y_desc("flux, 10⁻¹⁷ erg/s/cm²/Å")
        .draw()?;
    let within = |flux: f64| flux.clamp(low, high);
    let marked: Vec<Mark> =
        spectrum.about.z.map_or_else(Vec::new, |z| marks(z, from..=to).collect());
    for mark in &marked {
        let line = [(mark.observed_angstrom, low), (mark.observed_angstrom, high)];
        let colour = colour(mark.line.kind);
        chart.draw_series(DashedLineSeries::new(
            line,
            drawn(3),
            drawn(3),
            colour.mix(0.55).stroke_width(4),
        ))?;
    }
    for Stretch { pixels: part, smooth } in &stretches {
        let flux = |i: usize| is_good(pixels, i).then(|| f64::from(pixels.flux[i]));
        let error = |i: usize| is_good(pixels, i).then(|| 1.0 / f64::from(pixels.ivar[i]).sqrt());
        let calm = |i: usize| smooth[i - part.start];
        let layers: [(Value<'_>, ShapeStyle); 3] = [
            (&flux, RAW.stroke_width(2)),
            (&error, ERROR.mix(0.8).stroke_width(3)),
            (&calm, SMOOTH.stroke_width(5)),
        ];
        for (value, style) in layers {
            let point = |i: usize| Some((pixels.wavelength[i], within(value(i)?)));
            for path in paths(part.clone().map(point)) {
                chart.draw_series([PathElement::new(path, style)])?;
            }
        }
    }
    names(area, &marked, (from, to))?;
    legend(area, &marked)
}

fn colour(kind: Kind) -> RGBColor {
    match kind {
        Kind::Emission => EMISSION,
        Kind::Absorption => ABSORPTION,
    }
}

/// Pixels that follow each other: the arms, or all where they were coadded.
fn stretches(pixels: &Pixels) -> Vec<Range<usize>> {
    let grows = pixels.wavelength.windows(2).all(|pair| pair[0] < pair[1]);
    let all = 0..pixels.flux.len();
    let parts = if grows { [all, 0..0, 0..0] } else { arms(&pixels.wavelength) };
    parts.into_iter().filter(|part| !part.is_empty()).collect()
}

fn ends(wavelength: &[f64]) -> (f64, f64) {
    let ends = (f64::INFINITY, f64::NEG_INFINITY);
    let (from, to) = wavelength.iter().fold(ends, |(from, to), w| (from.min(*w), to.max(*w)));
    (from, to.max(from + 1.0))
}

/// From below nearly all of the smoothed flux, and 0, to above nearly all of it, and most errors.
fn range(pixels: &Pixels, stretches: &[Stretch]) -> (f64, f64) {
    let mut smooth: Vec<f64> =
        stretches.iter().flat_map(|s| s.smooth.iter().flatten().copied()).collect();
    smooth.sort_unstable_by(f64::total_cmp);
    let mut errors: Vec<f64> = (0..pixels.flux.len())
        .filter(|&i| is_good(pixels, i))
        .map(|i| 1.0 / f64::from(pixels.ivar[i]).sqrt())
        .collect();
    errors.sort_unstable_by(f64::total_cmp);
    let at = |sorted: &[f64], share: f64| {
        let last = sorted.len().saturating_sub(1);
        sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(0.0)
    };
    // a strong line is the point of a spectrum: only what a pixel or two hold is cut off
    let (low, high) = (at(&smooth, 0.002).min(0.0), at(&smooth, 0.9995));
    let high = high.max(at(&errors, 0.6) * 1.5).max(low + 1e-3);
    let room = (high - low) * 0.07;
    (low - room, high + room)
}

/// Runs of points that are there.
fn paths(points: impl Iterator<Item = Option<(f64, f64)>>) -> Vec<Vec<(f64, f64)>> {
    let mut paths: Vec<Vec<(f64, f64)>> = vec![Vec::new()];
    for point in points {
        match (point, paths.last_mut()) {
            (Some(point), Some(path)) => path.push(point),
            (None, Some(path)) if !path.is_empty() => paths.push(Vec::new()),
            _ => {}
        }
    }
    paths.retain(|path| path.len() > 1);
    paths
}

/// Names above their lines, upright, pushed apart where they would lie on each other; neighbours of
/// one name have it once.
fn names(area: &Area<'_>, marked: &[Mark], (from, to): (f64, f64)) -> Figure {
    let width = f64::from(SIZE.0 - LEFT - RIGHT);
    let x = |wave: f64| f64::from(LEFT) + (wave - from) / (to - from) * width;
    let mut labels: Vec<(&Mark, f64, f64)> = Vec::new();
    for mark in marked {
        let here = x(mark.observed_angstrom);
        match labels.last_mut() {
            Some((last, _, until)) if last.line.name == mark.line.name && here - *until < 40.0 => {
                *until = here;
            }
            _ => labels.push((mark, here, here)),
        }
    }
    let middles: Vec<f64> = labels.iter().map(|(_, first, last)| (first + last) / 2.0).collect();
    let places = apart(&middles, NAMES_APART, f64::from(SIZE.0) - 6.0);
    for ((mark, _, _), (place, middle)) in labels.iter().zip(places.iter().zip(&middles)) {
        let style = (FONT, f64::from(drawn(11)) * 1.24)
            .into_font()
            .transform(FontTransform::Rotate270)
            .color(&colour(mark.line.kind))
            .pos(Pos::new(HPos::Left, VPos::Center));
        let at = |x: f64, y: f64| figure::point((x, y));
        let foot = f64::from(TOP);
        let link = [at(*place, foot - 9.0), at(*place, foot - 7.0), at(*middle, foot)];
        area.draw(&PathElement::new(link, colour(mark.line.kind).mix(0.55).stroke_width(3)))?;
        area.draw_text(mark.line.name, &style, at(*place, foot - 11.0))?;
    }
    Ok(())
}

/// Ascending places pushed apart to `least`, none beyond `end`, each moved as little as that allows.
fn apart(places: &[f64], least: f64, end: f64) -> Vec<f64> {
    let mut groups: Vec<(f64, usize)> = Vec::new();
    // a group of n places spreads around the mean of where they would be
    for place in places {
        groups.push((*place, 1));
        while let [.., (left, n), (right, m)] = groups[..]
            && right - left < least * (n + m) as f64 / 2.0
        {
            let middle = (left * n as f64 + right * m as f64) / (n + m) as f64;
            groups.truncate(groups.len() - 2);
            groups.push((middle, n + m));
        }
    }
    let spread = |(middle, count): (f64, usize)| {
        let first = middle - least * (count - 1) as f64 / 2.0;
        (0..count).map(move |i| first + least * i as f64)
    };
    let mut found: Vec<f64> = groups.into_iter().flat_map(spread).collect();
    let mut limit = end;
    for place in found.iter_mut().rev() {
        *place = place.min(limit);
        limit = *place - least;
    }
    found
}

fn legend(area: &Area<'_>, marked: &[Mark]) -> Figure {
    let has = |kind: Kind| marked.iter().any(|mark| mark.line.kind == kind);
    let all = [
        ("flux", RAW, true),
        ("smoothed", SMOOTH, true),
        ("error (1σ)", ERROR, true),
        ("emission line", EMISSION, has(Kind::Emission)),
        ("absorption line", ABSORPTION, has(Kind::Absorption)),
    ];
    let shown: Vec<_> = all.into_iter().filter(|(_, _, is_shown)| *is_shown).collect();
    let mut x = SIZE.0 - RIGHT - 118 * shown.len() as i32;
    for (name, colour, _) in shown {
        let line = [(drawn(x), drawn(24)), (drawn(x + 18), drawn(24))];
        area.draw(&PathElement::new(line, colour.stroke_width(8)))?;
        area.draw_text(name, &figure::text(12, &INK, HPos::Left), (drawn(x + 24), drawn(24)))?;
        x += 118;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_lie_on_each_other() {
        let places = apart(&[10.0, 100.0, 101.0, 102.0, 300.0, 398.0, 399.0], 13.0, 400.0);
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] > 12.999), "{places:?}");
        assert_eq!((places[0], places[2], places[4], places[6]), (10.0, 101.0, 300.0, 400.0));
        assert_eq!(apart(&[], 13.0, 400.0), Vec::<f64>::new());
    }

    #[test]
    fn paths_end_where_pixels_are_bad() {
        let point = |i: i32| (i % 4 != 3).then(|| (f64::from(i), 0.0));
        let found = paths((0..10).map(point));
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 2]);
    }
}
