use super::{Coadded, CoaddedMut, Error, coadd, coadd_into};
use crate::grid::{ARMS, COADDED, TOLERANCE_ANGSTROM};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default, PartialEq)]
struct Arms {
    wavelength: Vec<f64>,
    flux: Vec<f32>,
    ivar: Vec<f32>,
    mask: Vec<i32>,
}

impl Arms {
    /// Arms in an order, cut to a range, with pixels of every sort.
    fn random(seed: u64, order: [usize; 3], cut: (f64, f64)) -> Self {
        let mut arms = Self::default();
        for arm in order {
            // the same pixels whatever the order and the cut
            let mut dice = ChaCha8Rng::seed_from_u64(seed * 3 + arm as u64);
            for wavelength in ARMS[arm].wavelengths() {
                let jitter = dice.random_range(-0.9..0.9) * TOLERANCE_ANGSTROM;
                let flux = dice.random_range(-5.0f32..50.0);
                let ivar = dice.random_range(0.001f32..9.0);
                let (flux, ivar, mask) = match dice.random_range(0..20) {
                    0 => (flux, ivar, 1 << dice.random_range(0..31)),
                    1 => (flux, 0.0, 0),
                    2 => (flux, -ivar, 0),
                    3 => (f32::NAN, ivar, 0),
                    4 => (flux, f32::INFINITY, 0),
                    5 => (flux, 0.0, i32::MIN),
                    _ => (flux, ivar, 0),
                };
                if (cut.0..=cut.1).contains(&wavelength) {
                    arms.wavelength.push(wavelength + jitter);
                    arms.flux.push(flux);
                    arms.ivar.push(ivar);
                    arms.mask.push(mask);
                }
            }
        }
        arms
    }

    fn coadd(&self) -> Result<Coadded, Error> {
        coadd(&self.wavelength, &self.flux, &self.ivar, &self.mask)
    }

    fn is_good(&self, i: usize) -> bool {
        let is_finite = self.flux[i].is_finite() && self.ivar[i].is_finite();
        self.mask[i] == 0 && self.ivar[i] > 0.0 && is_finite
    }

    /// The definition, pixel by pixel.
    fn by_hand(&self) -> Coadded {
        let mut at: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (i, wavelength) in self.wavelength.iter().enumerate() {
            at.entry(((wavelength - 3600.0) / 0.8).round() as usize).or_default().push(i);
        }
        let count = COADDED.pixels();
        let mut made =
            Coadded { flux: vec![0.0; count], ivar: vec![0.0; count], mask: vec![0; count] };
        for (pixel, all) in at {
            let good: Vec<usize> = all.iter().copied().filter(|i| self.is_good(*i)).collect();
            let weight: f64 = good.iter().map(|i| f64::from(self.ivar[*i])).sum();
            let sum: f64 =
                good.iter().map(|i| f64::from(self.ivar[*i]) * f64::from(self.flux[*i])).sum();
            if good.is_empty() {
                made.mask[pixel] = all.iter().fold(0, |bits, i| bits | self.mask[*i]);
            } else {
                (made.flux[pixel], made.ivar[pixel]) = ((sum / weight) as f32, weight as f32);
            }
        }
        made
    }
}

const CUTS: [(f64, f64); 6] = [
    (3600.0, 9824.0),
    (3600.0, 9800.0),
    (5770.0, 7530.0),
    (5801.0, 7519.0),
    (8000.0, 8100.0),
    (3600.0, 3600.0),
];

#[test]
fn it_is_the_definition_pixel_by_pixel_wherever_arms_are_cut() {
    for (seed, cut) in CUTS.into_iter().enumerate() {
        let arms = Arms::random(seed as u64, [0, 1, 2], cut);
        let (found, expected) = (arms.coadd().expect("coadded"), arms.by_hand());
        assert_eq!(found, expected, "{cut:?}");
        assert!(found.flux.iter().chain(&found.ivar).all(|value| value.is_finite()));
        assert!(found.ivar.iter().zip(&found.mask).all(|(ivar, mask)| *ivar == 0.0 || *mask == 0));
    }
}

#[test]
fn all_weight_is_used_and_used_once() {
    let arms = Arms::random(7, [0, 1, 2], CUTS[0]);
    let good = (0..arms.flux.len()).filter(|i| arms.is_good(*i));
    let weight: f64 = good.clone().map(|i| f64::from(arms.ivar[i])).sum();
    let light: f64 = good.map(|i| f64::from(arms.ivar[i]) * f64::from(arms.flux[i])).sum();
    let made = arms.coadd().expect("coadded");
    let found: f64 = made.ivar.iter().copied().map(f64::from).sum();
    let pairs = made.ivar.iter().zip(&made.flux);
    let found_light: f64 = pairs.map(|(ivar, flux)| f64::from(*ivar) * f64::from(*flux)).sum();
    assert!((found / weight - 1.0).abs() < 1e-6, "{found} of {weight}");
    assert!((found_light / light - 1.0).abs() < 1e-6, "{found_light} of {light}");
}

#[test]
fn the_order_of_arms_does_not_matter() {
    let expected = Arms::random(11, [0, 1, 2], CUTS[0]).coadd().expect("coadded");
    for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let found = Arms::random(11, order, CUTS[0]).coadd().expect("coadded");
        assert_eq!(found, expected, "{order:?}");
    }
}

#[test]
fn a_spectrum_that_is_coadded_stays_as_it_is() {
    let once = Arms::random(5, [0, 1, 2], CUTS[1]).coadd().expect("coadded");
    let wavelength: Vec<f64> = COADDED.wavelengths().collect();
    let twice = coadd(&wavelength, &once.flux, &once.ivar, &once.mask).expect("coadded");
    assert_eq!(once, twice);
}

#[test]
fn a_good_arm_outweighs_a_bad_ones_mask_and_two_bad_ones_add_their_bits() {
    let there = COADDED.pixel(5780.0).expect("a pixel");
    let at = |ivar: [f32; 2], mask: [i32; 2]| {
        let made = coadd(&[5780.0, 5780.0], &[1.0, 3.0], &ivar, &mask).expect("coadded");
        (made.flux[there], made.ivar[there], made.mask[there])
    };
    assert_eq!(at([1.0, 1.0], [0, 0]), (2.0, 2.0, 0));
    assert_eq!(at([1.0, 1.0], [4, 0]), (3.0, 1.0, 0));
    assert_eq!(at([1.0, 0.0], [0, 2]), (1.0, 1.0, 0));
    assert_eq!(at([1.0, 1.0], [4, 1]), (0.0, 0.0, 5));
    assert_eq!(at([0.0, 1.0], [0, 2]), (0.0, 0.0, 2));
    assert_eq!(at([0.0, 0.0], [0, 0]), (0.0, 0.0, 0));
}

#[test]
fn what_is_no_spectrum_of_the_grid_is_refused_with_words() {
    let off = coadd(&[3600.0, 3601.0], &[0.0; 2], &[1.0; 2], &[0; 2]).expect_err("refused");
    assert!(
        off.to_string().starts_with("wavelength 3601 Å of pixel 1 is not on the grid"),
        "{off}"
    );
    for wavelength in [3599.2, 9824.8, 3600.4, 3600.002, f64::NAN, f64::NEG_INFINITY] {
        assert!(matches!(coadd(&[wavelength], &[0.0], &[1.0], &[0]), Err(Error::OffGrid { .. })));
    }
    let end = [9823.2, 9824.0, 9824.8];
    let beyond = coadd(&end, &[0.0; 3], &[1.0; 3], &[0; 3]);
    assert_eq!(beyond, Err(Error::OffGrid { pixel: 2, wavelength: 9824.8 }));
    let lengths = coadd(&[3600.0], &[0.0; 2], &[1.0; 3], &[0; 4]).expect_err("refused");
    assert_eq!(
        lengths.to_string(),
        "a spectrum of 1 wavelengths has 2 values of flux, 3 of ivar and 4 of the mask"
    );
}

#[test]
fn buffers_are_used_again_whatever_they_hold() {
    let arms = Arms::random(3, [0, 1, 2], CUTS[2]);
    let (mut flux, mut ivar, mut mask) = (vec![f32::NAN; 7781], vec![9.0; 7781], vec![-1; 7781]);
    let into = CoaddedMut { flux: &mut flux, ivar: &mut ivar, mask: &mut mask };
    coadd_into(&arms.wavelength, &arms.flux, &arms.ivar, &arms.mask, into).expect("coadded");
    assert_eq!(Coadded { flux, ivar, mask }, arms.coadd().expect("coadded"));
    let (mut flux, mut ivar, mut mask) = (vec![0.0; 7781], vec![0.0; 7780], vec![0; 7781]);
    let into = CoaddedMut { flux: &mut flux, ivar: &mut ivar, mask: &mut mask };
    let short = coadd_into(&[], &[], &[], &[], into);
    assert_eq!(short, Err(Error::Buffer { what: "ivar", found: 7780 }));
    assert!(coadd(&[], &[], &[], &[]).expect("empty").ivar.iter().all(|ivar| *ivar == 0.0));
}
