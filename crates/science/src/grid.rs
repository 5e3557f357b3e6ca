//! The wavelengths of pixels. Every grid of the survey is a part of one: 0.8 Å steps from 3600 Å.

/// Width of a pixel, Å.
pub const STEP_ANGSTROM: f64 = 0.8;
/// How far (Å) a wavelength may be from a pixel's and still be that pixel's.
pub const TOLERANCE_ANGSTROM: f64 = 1e-3;
/// The arms b, r, z.
pub const ARMS: [Grid; 3] =
    [Grid::new(3600.0, 2751), Grid::new(5760.0, 2326), Grid::new(7520.0, 2881)];
/// Coadded spectra: from the first pixel of arm b to the last of arm z.
pub const COADDED: Grid = Grid::new(3600.0, 7781);

/// Wavelengths in equal steps of [`STEP_ANGSTROM`], vacuum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    first_angstrom: f64,
    pixels: usize,
}

impl Grid {
    const fn new(first_angstrom: f64, pixels: usize) -> Self {
        Self { first_angstrom, pixels }
    }

    /// Number of pixels.
    #[must_use]
    pub const fn pixels(self) -> usize {
        self.pixels
    }

    /// Wavelength (Å) of a pixel: computed from its number, so that no error adds up.
    #[must_use]
    pub fn wavelength(self, pixel: usize) -> f64 {
        // 32 bits become a float in one step, 64 do not
        self.first_angstrom + STEP_ANGSTROM * f64::from(pixel as i32)
    }

    /// Wavelengths (Å) of all pixels.
    pub fn wavelengths(self) -> impl ExactSizeIterator<Item = f64> {
        (0..self.pixels).map(move |pixel| self.wavelength(pixel))
    }

    /// The pixel at a wavelength (Å), if there is one within [`TOLERANCE_ANGSTROM`].
    #[must_use]
    pub fn pixel(self, wavelength: f64) -> Option<usize> {
        let nearest = ((wavelength - self.first_angstrom) / STEP_ANGSTROM).round();
        let is_inside = nearest >= 0.0 && nearest < self.pixels as f64;
        let pixel = nearest as usize;
        (is_inside && self.is_at(pixel, wavelength)).then_some(pixel)
    }

    fn is_at(self, pixel: usize, wavelength: f64) -> bool {
        (self.wavelength(pixel) - wavelength).abs() <= TOLERANCE_ANGSTROM
    }

    /// For how many pixels, from `pixel` on, wavelengths (Å) are those of the grid.
    pub(crate) fn follows(self, pixel: usize, wavelengths: &[f64]) -> usize {
        let room = wavelengths.len().min(self.pixels.saturating_sub(pixel));
        let mut count = 0;
        // many at a time, without a branch for each
        for part in wavelengths[..room].chunks(64) {
            let pairs = part.iter().zip(pixel + count..);
            let are_all = pairs.fold(true, |all, (wave, pixel)| all & self.is_at(pixel, *wave));
            if !are_all {
                break;
            }
            count += part.len();
        }
        let rest = wavelengths[count..room].iter().zip(pixel + count..);
        count + rest.take_while(|(wave, pixel)| self.is_at(*pixel, **wave)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arms_are_parts_of_the_coadded_grid() {
        let ends = [(3600.0, 5800.0), (5760.0, 7620.0), (7520.0, 9824.0)];
        for (arm, (first, last)) in ARMS.into_iter().zip(ends) {
            assert!((arm.wavelength(0) - first).abs() < 1e-9);
            assert!((arm.wavelength(arm.pixels() - 1) - last).abs() < 1e-9);
            let start = COADDED.pixel(first).expect("a pixel");
            for (i, wavelength) in arm.wavelengths().enumerate() {
                assert_eq!(COADDED.pixel(wavelength), Some(start + i));
            }
        }
        assert_eq!(COADDED.wavelengths().len(), 7781);
        assert!((COADDED.wavelength(7780) - 9824.0).abs() < 1e-9);
    }

    #[test]
    fn wavelengths_follow_the_grid_as_far_as_they_do() {
        let mut wavelengths: Vec<f64> = COADDED.wavelengths().skip(100).take(200).collect();
        assert_eq!(COADDED.follows(100, &wavelengths), 200);
        assert_eq!(COADDED.follows(101, &wavelengths), 0);
        for odd in [199, 128, 127, 64, 63, 1, 0] {
            wavelengths[odd] += 0.01;
            assert_eq!(COADDED.follows(100, &wavelengths), odd);
        }
        let end: Vec<f64> = (0..10).map(|i| 9820.8 + 0.8 * f64::from(i)).collect();
        assert_eq!(COADDED.follows(7776, &end), 5);
        assert_eq!(COADDED.follows(7781, &end), 0);
    }

    #[test]
    fn a_wavelength_has_a_pixel_or_none() {
        for (wavelength, pixel) in [
            (3600.0, Some(0)),
            (3600.8 + 9e-4, Some(1)),
            (3600.8 - 9e-4, Some(1)),
            (3600.8 + 2e-3, None),
            (3601.2, None),
            (3599.2, None),
            (9824.8, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
            (-1e300, None),
        ] {
            assert_eq!(COADDED.pixel(wavelength), pixel, "{wavelength}");
        }
    }
}
