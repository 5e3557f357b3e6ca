//! Figures as pictures: SVG drawn pixel by pixel, with a font that comes with the program, so that
//! the same figure is the same picture on every machine.

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::fontdb::{Database, Source};
use resvg::usvg::{Options, Tree};
use std::path::Path;
use std::sync::{Arc, LazyLock};

/// Pixels of the picture for one of the figure, along each side.
const SCALE: f32 = 2.0;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
#[error("failed to make a picture of the figure: {0}")]
pub struct Error(String);

/// What a figure is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Scalable, as text.
    Svg,
    /// Pixels.
    Png,
}

impl Format {
    /// By the ending of a file's name.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "svg" => Some(Self::Svg),
            "png" => Some(Self::Png),
            _ => None,
        }
    }

    /// A figure's bytes.
    ///
    /// # Errors
    /// As [`png`].
    pub fn bytes(self, svg: String) -> Result<Vec<u8>, Error> {
        match self {
            Self::Svg => Ok(svg.into_bytes()),
            Self::Png => png(&svg),
        }
    }
}

/// Draws a figure as PNG, two pixels to one of the figure's along each side.
///
/// # Errors
/// Where the text is no SVG, or too large.
pub fn png(svg: &str) -> Result<Vec<u8>, Error> {
    static FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| Arc::new(fonts()));
    let options = Options { fontdb: FONTS.clone(), ..Options::default() };
    let failed = |reason: &dyn std::fmt::Display| Error(reason.to_string());
    let tree = Tree::from_str(svg, &options).map_err(|e| failed(&e))?;
    let size = tree.size().to_int_size().scale_by(SCALE).ok_or_else(|| failed(&"it is empty"))?;
    let mut picture =
        Pixmap::new(size.width(), size.height()).ok_or_else(|| failed(&"it is too large"))?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut picture.as_mut());
    picture.encode_png().map_err(|e| failed(&e))
}

/// One font, which stands for those that figures name.
fn fonts() -> Database {
    let mut fonts = Database::new();
    fonts.load_font_source(Source::Binary(Arc::new(dejavu::sans_condensed::regular())));
    let family = fonts.faces().next().and_then(|face| face.families.first());
    if let Some((family, _)) = family.cloned() {
        fonts.set_sans_serif_family(family);
    }
    fonts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ink(svg: &str) -> (u32, u32, usize) {
        let picture = Pixmap::decode_png(&png(svg).expect("a picture")).expect("PNG");
        let dark = picture.pixels().iter().filter(|p| p.alpha() > 0 && p.red() < 128).count();
        (picture.width(), picture.height(), dark)
    }

    #[test]
    fn lines_and_text_are_drawn() {
        let figure = |inner: &str| {
            format!(
                r##"<svg width="100" height="40" viewBox="0 0 400 160" xmlns="http://www.w3.org/2000/svg">
                   <rect width="400" height="160" fill="#ffffff"/>{inner}</svg>"##
            )
        };
        assert_eq!(ink(&figure("")), (200, 80, 0));
        let line = r##"<polyline points="0,80 400,80" stroke="#000000" stroke-width="8"/>"##;
        assert_eq!(ink(&figure(line)), (200, 80, 800));
        let text = |letters: &str| {
            let family = crate::datasheet::figure::FONT;
            ink(&figure(&format!(
                r##"<text x="20" y="80" font-family="{family}" font-size="60" fill="#000000">{letters}</text>"##
            )))
        };
        let (_, _, dark) = text("z");
        assert!(dark > 50, "{dark}");
        // what the font lacks would be drawn as nothing
        for letters in ["Å", "⁻¹⁷", "σ", "°", "·", "α", "β", "−", "²"] {
            assert!(text(letters).2 > 10, "{letters}");
        }
    }

    #[test]
    fn what_is_no_figure_is_an_error() {
        assert!(png("no figure").is_err());
        assert_eq!(Format::of(Path::new("a/b.PNG")), Some(Format::Png));
        assert_eq!(Format::of(Path::new("a/b.pdf")), None);
    }
}
