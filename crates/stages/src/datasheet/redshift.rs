//! How many objects lie at which redshift, by class: a histogram on a logarithmic scale.

use super::figure::{self, FAINT_INK, FONT, Figure, GRID, INK, drawn};
use super::spell::grouped;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use std::collections::BTreeMap;

/// Objects of one class in one bin of redshift.
#[derive(Debug, Clone, PartialEq)]
pub struct Bin {
    /// Redrock's class: `GALAXY`, `QSO`, `STAR`.
    pub class: String,
    /// Lower edge of the bin in units of its width.
    pub z_bin: i16,
    /// Objects in it.
    pub objects: u64,
}

const WIDTH: f64 = bifrost_core::redshift::BIN_WIDTH;

const SIZE: (i32, i32) = (960, 420);

/// Draws the histogram.
///
/// # Errors
/// Those of the plotting library.
pub fn draw(bins: &[Bin]) -> Result<String, figure::Error> {
    let mut classes: BTreeMap<&str, BTreeMap<i16, u64>> = BTreeMap::new();
    for bin in bins.iter().filter(|bin| bin.objects > 0) {
        *classes.entry(&bin.class).or_default().entry(bin.z_bin).or_default() += bin.objects;
    }
    figure::svg("the redshift histogram", SIZE, |area| {
        if classes.is_empty() {
            let style = figure::text(14, &FAINT_INK, HPos::Center);
            let middle = (drawn(SIZE.0 / 2), drawn(SIZE.1 / 2));
            return area.draw_text("no object has a confident redshift yet", &style, middle);
        }
        draw_chart(area, &classes)
    })
}

fn draw_chart(area: &figure::Area<'_>, classes: &BTreeMap<&str, BTreeMap<i16, u64>>) -> Figure {
    let bins = || classes.values().flat_map(|bins| bins.iter());
    let last = bins().map(|(bin, _)| *bin).max().unwrap_or(0);
    let first = bins().map(|(bin, _)| *bin).min().unwrap_or(0);
    let most = bins().map(|(_, objects)| *objects).max().unwrap_or(1);
    let right = (f64::from(last + 1) * WIDTH + 0.1).max(1.0);
    let left = (f64::from(first) * WIDTH - 0.05).min(-0.1);
    let top = 10f64.powf(((most as f64).log10() * 1.06 + 0.15).max(1.0));
    let mut chart = ChartBuilder::on(area)
        .margin_top(drawn(18))
        .margin_right(drawn(24))
        .margin_left(drawn(14))
        .margin_bottom(drawn(6))
        .x_label_area_size(drawn(40))
        .y_label_area_size(drawn(68))
        .build_cartesian_2d(left..right, (0.6..top).log_scale())?;
    let label = (FONT, f64::from(drawn(12)) * 1.24).into_font().color(&INK);
    let title = (FONT, f64::from(drawn(14)) * 1.24).into_font().color(&INK);
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID.stroke_width(2))
        .light_line_style(TRANSPARENT)
        .axis_style(FAINT_INK.stroke_width(4))
        .x_labels(12)
        .y_labels(8)
        .x_label_formatter(&|z| format!("{}", (z * 100.0).round() / 100.0))
        .y_label_formatter(&|count| grouped(count.round() as u64))
        .label_style(label)
        .axis_desc_style(title)
        .x_desc("redshift z")
        .y_desc(format!("objects per Δz = {WIDTH}"))
        .draw()?;
    for (class, bins) in classes {
        let colour = class_colour(class);
        for (from, to) in runs(bins) {
            let steps = outline(bins, from, to);
            chart.draw_series([Polygon::new(steps.clone(), colour.mix(0.22))])?;
            chart.draw_series([PathElement::new(steps, colour.stroke_width(7))])?;
        }
    }
    draw_legend(area, classes)
}

/// Unbroken runs of filled bins, first and last.
fn runs(bins: &BTreeMap<i16, u64>) -> Vec<(i16, i16)> {
    let mut runs: Vec<(i16, i16)> = Vec::new();
    for bin in bins.keys() {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *bin => *last = *bin,
            _ => runs.push((*bin, *bin)),
        }
    }
    runs
}

/// The stairs of a run, from the floor up, along and back to the floor.
fn outline(bins: &BTreeMap<i16, u64>, from: i16, to: i16) -> Vec<(f64, f64)> {
    const FLOOR: f64 = 0.6;
    let edge = |bin: i16| f64::from(bin) * WIDTH;
    let mut steps = vec![(edge(from), FLOOR)];
    for (bin, objects) in bins.range(from..=to) {
        steps.push((edge(*bin), *objects as f64));
        steps.push((edge(bin + 1), *objects as f64));
    }
    steps.push((edge(to + 1), FLOOR));
    steps
}

fn draw_legend(area: &figure::Area<'_>, classes: &BTreeMap<&str, BTreeMap<i16, u64>>) -> Figure {
    for (i, (class, bins)) in classes.iter().enumerate() {
        let (x, y) = (730, 40 + 24 * i as i32);
        let colour = class_colour(class);
        let corners = [(drawn(x), drawn(y - 7)), (drawn(x + 22), drawn(y + 7))];
        area.draw(&Rectangle::new(corners, colour.mix(0.22).filled()))?;
        area.draw(&Rectangle::new(corners, colour.stroke_width(6)))?;
        let text = format!("{class}  {}", grouped(bins.values().sum()));
        area.draw_text(&text, &figure::text(13, &INK, HPos::Left), (drawn(x + 32), drawn(y)))?;
    }
    Ok(())
}

/// Colours that stay apart for colour-blind readers (after Okabe and Ito).
fn class_colour(class: &str) -> RGBColor {
    match class {
        "GALAXY" => RGBColor(0, 114, 178),
        "QSO" => RGBColor(213, 94, 0),
        "STAR" => RGBColor(204, 150, 0),
        _ => RGBColor(120, 120, 120),
    }
}
