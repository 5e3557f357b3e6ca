//! A drawing surface for SVG figures: quarter-pixel coordinates, a few colours, text.
//!
//! The plotting library draws on whole pixels, which is too coarse for a tile of two pixels. So
//! figures are drawn four times as large and the picture's header shrinks them back: vector
//! graphics lose nothing by it. Same input, same bytes.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Drawn units a displayed pixel.
const SCALE: i32 = 4;

/// A drawing area that writes SVG.
pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// What became of a part of a figure.
pub(crate) type Figure = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// Why a figure cannot be drawn: the plotting library's own words.
#[derive(Debug, thiserror::Error)]
#[error("failed to draw {figure}: {reason}")]
pub struct Error {
    figure: &'static str,
    reason: String,
}

pub(crate) const INK: RGBColor = RGBColor(51, 51, 51);
pub(crate) const FAINT_INK: RGBColor = RGBColor(119, 119, 119);
pub(crate) const GRID: RGBColor = RGBColor(208, 208, 208);
pub(crate) const PAPER: RGBColor = RGBColor(255, 255, 255);

/// Fonts that every viewer of SVG replaces by one it has.
pub(crate) const FONT: &str = "Helvetica, Arial, sans-serif";

/// Draws a figure of a displayed size and returns it as SVG text.
pub(crate) fn svg<E: std::fmt::Display>(
    figure: &'static str,
    (width, height): (i32, i32),
    draw: impl FnOnce(&Area<'_>) -> Result<(), E>,
) -> Result<String, Error> {
    let failed = |reason: String| Error { figure, reason };
    let mut text = String::new();
    let size = (drawn(width).unsigned_abs(), drawn(height).unsigned_abs());
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        area.fill(&PAPER).map_err(|e| failed(e.to_string()))?;
        draw(&area).map_err(|e| failed(e.to_string()))?;
        area.present().map_err(|e| failed(e.to_string()))?;
    }
    let large = format!("width=\"{}\" height=\"{}\" viewBox", size.0, size.1);
    let displayed = format!("width=\"{width}\" height=\"{height}\" viewBox");
    Ok(text.replacen(&large, &displayed, 1).replace(" opacity=\"1\"", ""))
}

/// A displayed length in drawn units.
pub(crate) fn drawn(pixels: i32) -> i32 {
    pixels * SCALE
}

/// A displayed coordinate, in fractions of a pixel, in drawn units.
pub(crate) fn point((x, y): (f64, f64)) -> (i32, i32) {
    let unit = f64::from(SCALE);
    ((x * unit).round() as i32, (y * unit).round() as i32)
}

/// A text style of a displayed size, anchored at its middle height.
pub(crate) fn text(size: i32, colour: &'static RGBColor, across: HPos) -> TextStyle<'static> {
    // the library divides font sizes by 1.24
    let font = (FONT, f64::from(drawn(size)) * 1.24).into_font();
    TextStyle::from(font).color(colour).pos(Pos::new(across, VPos::Center))
}
