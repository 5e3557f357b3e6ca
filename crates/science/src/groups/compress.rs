//! Fingers of God, compressed.

use super::{Error, Galaxies, angle};
use crate::fof::Components;
use rayon::prelude::*;

/// Comoving distances (Mpc) of galaxies with each group made as long as it is wide (after Tegmark et al.
/// 2004, astro-ph/0310725; Tempel et al. 2012, arXiv:1112.4648).
///
/// A group of at least `least` members (2 or more) has the mean distance D̄; its width is the root mean
/// square of the members' transverse distances D̄θ from its centre along one axis, √(Σ(D̄θ)²/2(n−1)), and
/// its length √(Σ(D−D̄)²/(n−1)). If it is longer than wide, D becomes D̄ + (D−D̄)·width/length: the centre
/// stays, and so does what is not in a group. Positions are unit vectors times these distances.
///
/// # Errors
/// If the arrays or the groups are not of as many galaxies.
pub fn compress(
    galaxies: Galaxies<'_>,
    distance: &[f64],
    groups: &Components,
    least: u32,
) -> Result<Vec<f64>, Error> {
    galaxies.check(groups, "distance", distance.len())?;
    let members = groups.members(least.max(2));
    let groups: Vec<&[u32]> = members.iter().collect();
    let squeezed: Vec<_> =
        groups.par_iter().map(|rows| squeeze(galaxies, distance, rows)).collect();
    let mut made = distance.to_vec();
    for (rows, (mean, factor)) in groups.iter().zip(squeezed) {
        for row in rows.iter().map(|row| *row as usize) {
            if factor < 1.0 {
                made[row] = mean + (made[row] - mean) * factor;
            }
        }
    }
    Ok(made)
}

/// A group's mean distance, and how much shorter it has to be.
fn squeeze(galaxies: Galaxies<'_>, distance: &[f64], rows: &[u32]) -> (f64, f64) {
    let rows = galaxies.in_order(rows);
    let count = rows.len() as f64;
    let mean = rows.iter().map(|row| distance[*row]).sum::<f64>() / count;
    let depth: f64 = rows.iter().map(|row| (distance[*row] - mean).powi(2)).sum();
    let (places, centre) = galaxies.directions(&rows);
    let width: f64 = places.iter().map(|place| (mean * angle(*place, centre)).powi(2)).sum();
    (mean, (0.5 * width / depth).sqrt())
}
