//! Spectral lines that people look for, and where they are at a redshift.

use std::ops::RangeInclusive;

/// A line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// As it is labelled, such as `[O III]`; lines of one multiplet share it.
    pub name: &'static str,
    /// Its wavelength at rest in vacuum, Å.
    pub rest_angstrom: f64,
    /// Whether it is looked for in emission or in absorption.
    pub kind: Kind,
    /// Where the wavelength comes from.
    pub source: Source,
}

/// How a line shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Above the continuum.
    Emission,
    /// Below the continuum.
    Absorption,
}

/// Where a wavelength comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Source {
    /// Observed wavelengths of the NIST Atomic Spectra Database.
    Nist,
    /// The line list of `FastSpecFit`, whose own sources are `PyNeb`, CHIANTI, and for ultraviolet
    /// blends Vanden Berk et al. (2001) and Shull et al. (2012).
    FastSpecFit,
    /// The line list of SDSS.
    Sdss,
    /// The line lists of DESI's `prospect` viewer and of SDSS: this wavelength in air (Å), made vacuum
    /// by Morton (1991).
    Air(f64),
}

/// A line as it is observed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mark {
    /// The line.
    pub line: &'static Line,
    /// Where it is observed, Å in vacuum.
    pub observed_angstrom: f64,
}

const fn emission(name: &'static str, rest_angstrom: f64, source: Source) -> Line {
    Line { name, rest_angstrom, kind: Kind::Emission, source }
}

const fn absorption(name: &'static str, rest_angstrom: f64, air_angstrom: f64) -> Line {
    Line { name, rest_angstrom, kind: Kind::Absorption, source: Source::Air(air_angstrom) }
}

use Source::{FastSpecFit, Nist, Sdss};

/// All lines, by wavelength.
pub const LINES: [Line; 42] = [
    emission("Lyα", 1215.670, Nist),
    emission("N V", 1240.810, Sdss),
    emission("Si IV", 1396.760, FastSpecFit),
    emission("C IV", 1549.060, FastSpecFit),
    emission("He II", 1640.420, FastSpecFit),
    emission("Al III", 1857.400, FastSpecFit),
    emission("C III]", 1908.734, FastSpecFit),
    emission("Mg II", 2796.351, FastSpecFit),
    emission("Mg II", 2803.532, FastSpecFit),
    emission("[Ne V]", 3426.864, FastSpecFit),
    emission("[O II]", 3727.092, FastSpecFit),
    emission("[O II]", 3729.875, FastSpecFit),
    emission("[Ne III]", 3869.861, FastSpecFit),
    absorption("Ca K", 3934.777, 3933.663),
    absorption("Ca H", 3969.591, 3968.468),
    emission("Hε", 3971.195, FastSpecFit),
    emission("Hδ", 4102.892, FastSpecFit),
    absorption("G band", 4305.61, 4304.40),
    emission("Hγ", 4341.684, FastSpecFit),
    emission("[O III]", 4364.435, FastSpecFit),
    emission("He II", 4686.866, FastSpecFit),
    emission("Hβ", 4862.71, Nist),
    emission("[O III]", 4960.295, Nist),
    emission("[O III]", 5008.240, Nist),
    absorption("Mg b", 5168.761, 5167.322),
    absorption("Mg b", 5174.125, 5172.684),
    absorption("Mg b", 5185.048, 5183.604),
    emission("He I", 5877.269, FastSpecFit),
    absorption("Na D", 5891.583, 5889.951),
    absorption("Na D", 5897.558, 5895.924),
    emission("[O I]", 6302.044, FastSpecFit),
    emission("[N II]", 6549.861, Nist),
    emission("Hα", 6564.60, Nist),
    emission("[N II]", 6585.273, Nist),
    emission("[S II]", 6718.291, FastSpecFit),
    emission("[S II]", 6732.671, FastSpecFit),
    emission("[O II]", 7321.731, FastSpecFit),
    absorption("Ca II", 8500.35, 8498.018),
    absorption("Ca II", 8544.44, 8542.089),
    absorption("Ca II", 8664.52, 8662.140),
    emission("[S III]", 9071.103, FastSpecFit),
    emission("[S III]", 9533.227, FastSpecFit),
];

/// The lines that fall into a range of wavelengths (Å, vacuum) at a redshift, by wavelength. None
/// where the redshift is none: not finite, or not above -1.
pub fn marks(z: f64, range_angstrom: RangeInclusive<f64>) -> impl Iterator<Item = Mark> {
    let stretch = if z.is_finite() && z > -1.0 { 1.0 + z } else { f64::NAN };
    let mark =
        move |line: &'static Line| Mark { line, observed_angstrom: line.rest_angstrom * stretch };
    LINES.iter().map(mark).filter(move |mark| range_angstrom.contains(&mark.observed_angstrom))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Morton 1991 (ApJS 77, 119), IAU standard; Å.
    fn vacuum(air: f64) -> f64 {
        // the formula takes a vacuum wavelength: a few rounds are exact enough
        (0..4).fold(air, |vacuum, _| {
            let s2 = (1e4 / vacuum).powi(2);
            air * (1.0 + 6.4328e-5 + 2.94981e-2 / (146.0 - s2) + 2.5540e-4 / (41.0 - s2))
        })
    }

    #[test]
    fn wavelengths_grow_and_are_those_of_vacuum() {
        assert!(LINES.windows(2).all(|pair| pair[0].rest_angstrom < pair[1].rest_angstrom));
        for line in &LINES {
            if let Source::Air(air) = line.source {
                let expected = vacuum(air);
                assert!((line.rest_angstrom - expected).abs() < 0.01, "{line:?}: {expected}");
            }
        }
    }

    #[test]
    fn what_is_pinned_stays() {
        let at = |name: &str| -> Vec<f64> {
            LINES.iter().filter(|line| line.name == name).map(|line| line.rest_angstrom).collect()
        };
        assert_eq!((at("Hα"), at("Hβ")), (vec![6564.60], vec![4862.71]));
        assert_eq!(at("[O III]")[1..], [4960.295, 5008.240]);
        assert_eq!(at("[N II]"), [6549.861, 6585.273]);
        assert_eq!((at("[O II]").len(), at("Mg II").len(), at("[S II]").len()), (3, 2, 2));
    }

    #[test]
    fn lines_come_into_range_and_leave_it_with_redshift() {
        let names = |z: f64| marks(z, 3600.0..=9824.0).map(|m| m.line.name).collect::<Vec<_>>();
        assert!(names(0.0).contains(&"Hα") && !names(0.5).contains(&"Hα"));
        assert!(names(0.495).contains(&"Hα") && !names(0.0).contains(&"Lyα"));
        assert_eq!(names(3.0).first(), Some(&"Lyα"));
        let hb = marks(0.1, 5300.0..=5400.0).find(|mark| mark.line.name == "Hβ").expect("Hβ");
        assert!((hb.observed_angstrom - 5348.981).abs() < 1e-9);
        assert_eq!(marks(0.0, 4862.71..=4862.71).count(), 1);
        for none in [f64::NAN, f64::INFINITY, -1.0, -2.0] {
            assert!(names(none).is_empty(), "{none}");
        }
    }
}
