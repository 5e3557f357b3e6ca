//! Bins of redshift: the steps in which the registry counts objects.

/// Width of a bin.
pub const BIN_WIDTH: f64 = 0.05;
/// The first bin, which also holds everything below.
pub const FIRST_BIN: i16 = -2;
/// The last bin, which also holds everything above.
pub const LAST_BIN: i16 = 140;

/// The bin of a redshift; `None` for NaN. Larger redshifts never lie in smaller bins, so that the
/// bins of a range's ends enclose those of everything in it.
#[must_use]
pub fn bin(z: f64) -> Option<i16> {
    let steps = (z * 20.0).floor().clamp(f64::from(FIRST_BIN), f64::from(LAST_BIN));
    (!z.is_nan()).then_some(steps as i16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_ascend_and_end() {
        assert_eq!(
            [-9.0, -0.05, -1e-9, 0.0, 0.049, 0.05, 2.5, 99.0]
                .map(bin)
                .map(Option::unwrap_or_default),
            [-2, -1, -1, 0, 0, 1, 50, 140]
        );
        assert_eq!(bin(f64::NAN), None);
        assert_eq!(bin(f64::INFINITY), Some(LAST_BIN));
        let bins: Vec<_> = (0..100_000).map(|i| bin(f64::from(i) * 1e-4 - 0.2)).collect();
        assert!(bins.is_sorted());
    }
}
