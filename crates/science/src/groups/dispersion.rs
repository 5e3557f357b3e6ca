//! Velocity dispersions by the gapper.

use super::median;
use crate::cosmology::LIGHT_KM_S;
use std::f64::consts::PI;

/// A velocity dispersion, km/s.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dispersion {
    /// The dispersion: NaN where it cannot be known.
    pub sigma: f64,
    /// Its error: NaN where it cannot be known.
    pub error: f64,
}

impl Default for Dispersion {
    fn default() -> Self {
        Self { sigma: f64::NAN, error: f64::NAN }
    }
}

/// The velocity dispersion of a group's members (Beers et al. 1990; as Robotham et al. 2011 use it).
///
/// Velocities are v = c (z − z̃)/(1 + z̃) with the median z̃. In order, with gaps gᵢ between them,
/// σ_gap = √π/(n(n−1)) Σ i(n−i) gᵢ; since one galaxy is taken to rest at the centre, σ² = n/(n−1) σ_gap²
/// less the square of `velocity_error` (km/s; of one velocity, root mean square). If nothing is left, the
/// dispersion is not resolved and NaN. The error is that of the jackknife over members, for three or more.
///
/// The sum over gaps is also Σᵢⱼ |vᵢ − vⱼ| over pairs: leaving one out takes its distances to others away,
/// so that the jackknife costs one more pass.
#[must_use]
pub fn dispersion(z: &[f64], velocity_error: f64) -> Dispersion {
    let middle = median(z.to_vec());
    let mut velocities: Vec<f64> =
        z.iter().map(|z| LIGHT_KM_S * (z - middle) / (1.0 + middle)).collect();
    velocities.sort_unstable_by(f64::total_cmp);
    let count = z.len() as f64;
    if z.len() < 2 || !velocities.iter().all(|velocity| velocity.is_finite()) {
        return Dispersion::default();
    }
    let gaps = velocities.windows(2).map(|pair| pair[1] - pair[0]);
    let sum: f64 =
        (1..).zip(gaps).map(|(i, gap)| f64::from(i) * (count - f64::from(i)) * gap).sum();
    let raw = raw(sum, count);
    let square = raw * raw - velocity_error * velocity_error;
    if square.is_nan() || square <= 0.0 {
        return Dispersion::default();
    }
    let sigma = square.sqrt();
    if z.len() < 3 {
        return Dispersion { sigma, error: f64::NAN };
    }
    // the distances of a velocity to those below and above it, from sums over both
    let total: f64 = velocities.iter().sum();
    let mut below = 0.0;
    let mut without = Vec::with_capacity(z.len());
    for (place, velocity) in velocities.iter().enumerate() {
        let above = total - below - velocity;
        let distances = (2.0 * place as f64 + 1.0 - count) * velocity + above - below;
        without.push(self::raw(sum - distances, count - 1.0));
        below += velocity;
    }
    let mean = without.iter().sum::<f64>() / count;
    let spread: f64 = without.iter().map(|raw| (raw - mean).powi(2)).sum();
    let error = ((count - 1.0) / count * spread).sqrt();
    Dispersion { sigma, error: error * raw / sigma }
}

/// The gapper's dispersion, with a galaxy at rest, from the sum over gaps.
fn raw(sum: f64, count: f64) -> f64 {
    PI.sqrt() / (count * (count - 1.0)) * sum * (count / (count - 1.0)).sqrt()
}
