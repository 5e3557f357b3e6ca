//! What galaxies, quasars and stars look like: simple physical models in the rest frame.
//!
//! Continua are tabulated once on a fine rest-frame grid and sampled at a target's redshift;
//! narrow emission lines are added as Gaussians of known flux, so that the line fits of a tile
//! agree with its spectra.

use super::targets::{Class, StarType, Target};
use std::sync::LazyLock;

/// Speed of light.
const LIGHT_KM_S: f64 = 299_792.458;
/// Where every spectrum is tied to its r magnitude.
const PIVOT_ANGSTROM: f64 = 6400.0;
/// Instrumental broadening of a line.
const SPREAD_ANGSTROM: f64 = 0.75;
/// Lyman alpha, vacuum.
const LYMAN_ALPHA_ANGSTROM: f64 = 1215.67;

/// A narrow emission line of galaxies.
#[derive(Debug, Clone, Copy)]
pub struct NarrowLine {
    /// Rest wavelength, vacuum (NIST Atomic Spectra Database).
    pub rest_angstrom: f64,
    /// Typical flux over that of Hα (case B for hydrogen, star-forming galaxies else).
    ratio: f64,
    /// Which of a target's scatters applies: lines of one ion vary together.
    scatter: usize,
}

const fn line(rest_angstrom: f64, ratio: f64, scatter: usize) -> NarrowLine {
    NarrowLine { rest_angstrom, ratio, scatter }
}

/// The narrow lines of galaxies: \[O II\], Balmer, \[O III\], \[N II\], \[S II\].
pub const NARROW_LINES: [NarrowLine; 12] = [
    line(3727.092, 0.33, 0),
    line(3729.874, 0.45, 0),
    line(4102.892, 0.09, 1),
    line(4341.684, 0.16, 1),
    line(4862.683, 0.35, 1),
    line(4960.295, 0.11, 2),
    line(5008.239, 0.33, 2),
    line(6549.852, 0.11, 3),
    line(6564.613, 1.00, 1),
    line(6585.277, 0.33, 3),
    line(6718.294, 0.18, 4),
    line(6732.674, 0.13, 4),
];

/// Flux of a narrow line of a target, 10⁻¹⁷ erg/s/cm²: it grows with the share of young stars.
#[must_use]
pub fn line_flux(target: &Target, line: &NarrowLine) -> f64 {
    if target.class != Class::Galaxy {
        return 0.0;
    }
    let h_alpha = 22.0 * nanomaggies(target.r_mag) * target.young.powf(1.5);
    h_alpha * line.ratio * target.scatter[line.scatter]
}

/// Width (sigma) of a narrow line at an observed wavelength.
#[must_use]
pub fn line_sigma_angstrom(target: &Target, observed_angstrom: f64) -> f64 {
    (observed_angstrom * target.sigma_km_s / LIGHT_KM_S).hypot(SPREAD_ANGSTROM)
}

/// Flux in the units of the targeting catalogue.
#[must_use]
pub fn nanomaggies(mag: f64) -> f64 {
    10f64.powf(-0.4 * (mag - 22.5))
}

/// Writes a target's noise-free spectrum, without narrow lines, over `flux`; dark where there is
/// no object. `wave_angstrom` and `flux` are equally long.
pub fn continuum(target: &Target, wave_angstrom: &[f64], flux: &mut [f32]) {
    let Some(shape) = Shape::of(target) else { return flux.fill(0.0) };
    // nanomaggies to flux density at the pivot, and the share of light that enters a fiber
    let density = 0.2657 * 0.72 * nanomaggies(target.r_mag);
    let stretch = 1.0 / (1.0 + target.z);
    let scale = density / shape.at(PIVOT_ANGSTROM * stretch);
    for (flux, wave) in flux.iter_mut().zip(wave_angstrom) {
        *flux = (scale * shape.at(wave * stretch) * forest(target, *wave)) as f32;
    }
}

/// Adds a galaxy's narrow lines, each within six sigma.
pub fn add_lines(target: &Target, wave_angstrom: &[f64], flux: &mut [f32]) {
    for line in &NARROW_LINES {
        let total = line_flux(target, line);
        if total <= 0.0 {
            continue;
        }
        let centre = line.rest_angstrom * (1.0 + target.z);
        let sigma = line_sigma_angstrom(target, centre);
        let peak = total / (sigma * std::f64::consts::TAU.sqrt());
        let near = wave_angstrom.partition_point(|w| *w < centre - 6.0 * sigma)
            ..wave_angstrom.partition_point(|w| *w < centre + 6.0 * sigma);
        for (flux, wave) in flux[near.clone()].iter_mut().zip(&wave_angstrom[near]) {
            *flux += (peak * (-0.5 * ((wave - centre) / sigma).powi(2)).exp()) as f32;
        }
    }
}

/// What the Lyman alpha forest lets through: a mean decrement with a ripple of the sightline's own.
fn forest(target: &Target, wave_angstrom: f64) -> f64 {
    let absorber = wave_angstrom / LYMAN_ALPHA_ANGSTROM;
    if target.class != Class::Quasar || absorber >= 1.0 + target.z {
        return 1.0;
    }
    let phase = (target.objid % 977) as f64;
    let ripple = 1.0
        + 0.9 * (0.61 * wave_angstrom + phase).sin() * (0.083 * wave_angstrom + 3.0 * phase).sin();
    (-0.0036 * absorber.powf(3.4) * ripple * ripple).exp()
}

/// A target's continuum in the rest frame, up to a factor.
enum Shape<'a> {
    Galaxy { old: &'a Template, young: &'a Template, share: f64 },
    Quasar { lines: &'a Template, slope: f64, strength: f64 },
    Star(&'a Template),
}

impl Shape<'_> {
    fn of(target: &Target) -> Option<Self> {
        let library = &*LIBRARY;
        match target.class {
            Class::Galaxy => {
                let (old, young) = (&library.old, &library.young);
                Some(Shape::Galaxy { old, young, share: target.young })
            }
            Class::Quasar => {
                let (slope, strength) = (target.slope, target.scatter[0]);
                Some(Shape::Quasar { lines: &library.quasar_lines, slope, strength })
            }
            Class::Star(kind) => Some(Shape::Star(&library.stars[kind as usize])),
            Class::Sky | Class::Unassigned => None,
        }
    }

    fn at(&self, rest_angstrom: f64) -> f64 {
        match self {
            Self::Galaxy { old, young, share } => {
                (1.0 - share) * old.at(rest_angstrom) + share * young.at(rest_angstrom)
            }
            Self::Quasar { lines, slope, strength } => {
                (rest_angstrom / 3000.0).powf(*slope) * (1.0 + strength * lines.at(rest_angstrom))
            }
            Self::Star(template) => template.at(rest_angstrom),
        }
    }
}

/// A function of rest wavelength, tabulated.
struct Template(Vec<f32>);

impl Template {
    const FIRST_ANGSTROM: f64 = 500.0;
    const LAST_ANGSTROM: f64 = 12_000.0;
    const PER_ANGSTROM: f64 = 2.0;

    fn tabulate(function: impl Fn(f64) -> f64) -> Self {
        let count = ((Self::LAST_ANGSTROM - Self::FIRST_ANGSTROM) * Self::PER_ANGSTROM) as usize;
        let wave = |i| Self::FIRST_ANGSTROM + f64::from(i) / Self::PER_ANGSTROM;
        Self((0..=count as u32).map(|i| function(wave(i)) as f32).collect())
    }

    /// The same, 1 at a wavelength.
    fn normalised(function: impl Fn(f64) -> f64, angstrom: f64) -> Self {
        let scale = 1.0 / function(angstrom);
        Self::tabulate(|wave| scale * function(wave))
    }

    /// Linear interpolation; constant beyond the ends.
    fn at(&self, angstrom: f64) -> f64 {
        let place = ((angstrom - Self::FIRST_ANGSTROM) * Self::PER_ANGSTROM).max(0.0);
        let low = (place as usize).min(self.0.len() - 2);
        let part = (place - low as f64).min(1.0);
        f64::from(self.0[low]) * (1.0 - part) + f64::from(self.0[low + 1]) * part
    }
}

/// Every template, made once.
struct Library {
    old: Template,
    young: Template,
    quasar_lines: Template,
    stars: [Template; 8],
}

static LIBRARY: LazyLock<Library> = LazyLock::new(|| Library {
    old: Template::normalised(old_stars, 5500.0),
    young: Template::normalised(young_stars, 5500.0),
    quasar_lines: Template::tabulate(broad_lines),
    stars: StarType::ALL.map(|kind| Template::normalised(|w| star(kind, w), PIVOT_ANGSTROM)),
});

/// A Gaussian feature: centre and sigma in Å, and its height or depth.
type Feature = (f64, f64, f64);

fn bell(wave: f64, (centre, sigma, height): Feature) -> f64 {
    height * (-0.5 * ((wave - centre) / sigma).powi(2)).exp()
}

fn absorb(wave: f64, features: &[Feature], strength: f64) -> f64 {
    features.iter().map(|feature| 1.0 - strength * bell(wave, *feature)).product()
}

/// An old population: the 4000 Å break, Ca H and K, the G band, Mg, Na, the Ca triplet.
fn old_stars(wave: f64) -> f64 {
    const FEATURES: [Feature; 8] = [
        (3934.8, 9.0, 0.45),
        (3969.6, 9.0, 0.42),
        (4305.6, 12.0, 0.22),
        (5176.6, 16.0, 0.20),
        (5270.0, 9.0, 0.10),
        (5895.6, 6.0, 0.16),
        (8544.4, 8.0, 0.12),
        (8664.5, 8.0, 0.10),
    ];
    let break_4000 = 1.0 / (1.0 + (-(wave - 3990.0) / 60.0).exp());
    let red = wave / 5500.0;
    (break_4000 * red.powf(0.3) + 0.22 * red.powf(1.5)) * absorb(wave, &FEATURES, 1.0)
}

/// A young population: blue, with the Lyman and Balmer edges and Balmer absorption.
fn young_stars(wave: f64) -> f64 {
    const FEATURES: [Feature; 3] = [(4102.9, 8.0, 0.18), (4341.7, 8.0, 0.16), (4862.7, 8.0, 0.14)];
    let lyman_edge = if wave < 912.0 { 0.02 } else { 1.0 };
    let balmer_edge = 1.0 - 0.25 / (1.0 + ((wave - 3650.0) / 15.0).exp());
    (wave / 5500.0).powf(-1.5) * lyman_edge * balmer_edge * absorb(wave, &FEATURES, 1.0)
}

/// Lines of quasars over the local continuum: O VI, Lyα, N V, Si IV, C IV, C III], Mg II, Balmer,
/// and narrow \[O II\] and \[O III\].
fn broad_lines(wave: f64) -> f64 {
    const LINES: [Feature; 13] = [
        (1033.0, 12.0, 0.4),
        (LYMAN_ALPHA_ANGSTROM, 9.0, 3.2),
        (1240.8, 10.0, 0.9),
        (1399.8, 12.0, 0.4),
        (1549.5, 13.0, 1.5),
        (1908.7, 18.0, 0.7),
        (2798.8, 22.0, 0.8),
        (3728.5, 7.0, 0.1),
        (4341.7, 30.0, 0.2),
        (4862.7, 34.0, 0.6),
        (4960.3, 8.0, 0.35),
        (5008.2, 8.0, 1.0),
        (6564.6, 44.0, 2.2),
    ];
    LINES.iter().map(|line| bell(wave, *line)).sum()
}

/// A black body with Balmer lines, metal lines and, of M stars, TiO bands.
fn star(kind: StarType, wave: f64) -> f64 {
    const BALMER: [Feature; 7] = [
        (3836.5, 6.0, 1.0),
        (3890.2, 7.0, 1.0),
        (3971.2, 8.0, 1.0),
        (4102.9, 9.0, 1.0),
        (4341.7, 9.0, 1.0),
        (4862.7, 9.0, 1.0),
        (6564.6, 8.0, 1.0),
    ];
    const METALS: [Feature; 8] = [
        (3934.8, 7.0, 0.9),
        (3969.6, 7.0, 0.8),
        (4305.6, 8.0, 0.4),
        (5176.6, 12.0, 0.4),
        (5895.6, 4.0, 0.4),
        (8500.4, 5.0, 0.3),
        (8544.4, 6.0, 0.4),
        (8664.5, 6.0, 0.4),
    ];
    const TITANIUM_OXIDE: [Feature; 5] = [
        (6200.0, 60.0, 0.35),
        (6750.0, 90.0, 0.40),
        (7150.0, 110.0, 0.55),
        (7700.0, 120.0, 0.45),
        (8430.0, 90.0, 0.35),
    ];
    let (kelvin, balmer, metals) = match kind {
        StarType::A => (9000.0, 0.62, 0.10),
        StarType::B => (14_000.0, 0.35, 0.0),
        // a cataclysmic variable shows its Balmer lines in emission
        StarType::Cv => (15_000.0, -0.8, 0.0),
        StarType::F => (6600.0, 0.35, 0.35),
        StarType::G => (5700.0, 0.18, 0.55),
        StarType::K => (4700.0, 0.10, 0.70),
        StarType::M => (3400.0, 0.05, 0.65),
        StarType::Wd => (16_000.0, 0.70, 0.0),
    };
    // pressure broadens the lines of white dwarfs
    let broadening = if kind == StarType::Wd { 4.0 } else { 1.0 };
    let hydrogen = BALMER.map(|(centre, sigma, depth)| (centre, sigma * broadening, depth));
    let bands = if kind == StarType::M { absorb(wave, &TITANIUM_OXIDE, 1.0) } else { 1.0 };
    let black_body = wave.powi(-5) / (1.4388e8 / (wave * kelvin)).min(500.0).exp_m1();
    black_body * absorb(wave, &hydrogen, balmer) * absorb(wave, &METALS, metals) * bands
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::edges::Edges;
    use crate::mock::targets;
    use bifrost_core::tile::Pixel;

    #[test]
    fn spectra_are_positive_and_carry_their_lines() {
        let pixel = Pixel::new(9).expect("on the sphere");
        let wave: Vec<f64> = (0..7781).map(|i| 3600.0 + 0.8 * f64::from(i)).collect();
        for target in targets::draw(1, pixel, 1, 300, &Edges::default()) {
            let mut flux = vec![0f32; wave.len()];
            continuum(&target, &wave, &mut flux);
            assert_eq!(flux.iter().all(|f| *f > 0.0), target.class.is_object(), "{target:?}");
            flux.fill(0.0);
            add_lines(&target, &wave, &mut flux);
            let added = 0.8 * flux.iter().map(|f| f64::from(*f)).sum::<f64>();
            let centre = |l: &&NarrowLine| l.rest_angstrom * (1.0 + target.z);
            if NARROW_LINES.iter().any(|l| (centre(&l) - wave[7780]).abs() < 60.0) {
                continue;
            }
            let seen = NARROW_LINES.iter().filter(|l| centre(l) < wave[7780]);
            let stated: f64 = seen.map(|l| line_flux(&target, l)).sum();
            assert!((added - stated).abs() <= 0.01 * stated, "{added} {stated}");
        }
    }
}
