//! Groups of galaxies as a catalogue, and galaxies without fingers of God.
//!
//! Members are taken in order of their identifiers, so that a group is the same to the last bit in
//! whatever order rows come.

mod compress;
mod dispersion;

#[cfg(test)]
mod tests;

pub use compress::compress;
pub use dispersion::{Dispersion, dispersion};

use crate::cosmology::{Cosmology, direction};
use crate::fof::Components;
use rayon::prelude::*;
use thiserror::Error;

/// Why there is no catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Error {
    /// Arrays of one sample are not equally long.
    #[error("{expected} galaxies, but {found} values of {of}")]
    Length {
        /// What there are too few or too many of.
        of: &'static str,
        /// Number of galaxies.
        expected: usize,
        /// Number of values.
        found: usize,
    },
}

/// The galaxies that were linked, an entry per galaxy in each array.
#[derive(Clone, Copy, Debug)]
pub struct Galaxies<'a> {
    /// Identifiers (`TARGETID`), each once.
    pub id: &'a [i64],
    /// Right ascension, degrees.
    pub ra_deg: &'a [f64],
    /// Declination, degrees.
    pub dec_deg: &'a [f64],
}

impl Galaxies<'_> {
    fn check(&self, components: &Components, of: &'static str, other: usize) -> Result<(), Error> {
        let expected = self.id.len();
        for (of, found) in [
            ("right ascension", self.ra_deg.len()),
            ("declination", self.dec_deg.len()),
            ("group", components.first().len()),
            (of, other),
        ] {
            if found != expected {
                return Err(Error::Length { of, expected, found });
            }
        }
        Ok(())
    }

    /// A group's rows in order of identifiers.
    fn in_order(&self, rows: &[u32]) -> Vec<usize> {
        let mut rows: Vec<usize> = rows.iter().map(|row| *row as usize).collect();
        rows.sort_unstable_by_key(|row| (self.id[*row], *row));
        rows
    }

    /// Unit vectors of rows, and that of their centre: of the mean of them.
    fn directions(&self, rows: &[usize]) -> (Vec<[f64; 3]>, [f64; 3]) {
        let of = |row: &usize| direction(self.ra_deg[*row], self.dec_deg[*row]);
        let all: Vec<[f64; 3]> = rows.iter().map(of).collect();
        let mut sum = [0.0; 3];
        for place in &all {
            sum = [sum[0] + place[0], sum[1] + place[1], sum[2] + place[2]];
        }
        let norm = length(sum);
        (all, sum.map(|x| x / norm))
    }
}

/// A catalogue of groups, an entry per group in each array, in order of identifiers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalogue {
    /// The smallest identifier of its members.
    pub group_id: Vec<i64>,
    /// Number of members.
    pub size: Vec<u32>,
    /// Right ascension (degrees, 0 to 360) of the centre: of the mean of the members' unit vectors.
    pub ra_deg: Vec<f64>,
    /// Declination (degrees) of the centre.
    pub dec_deg: Vec<f64>,
    /// Median redshift of the members.
    pub z: Vec<f64>,
    /// Velocity dispersion by the gapper, km/s: see [`dispersion`]. NaN where errors of velocity are
    /// as large as it.
    pub dispersion: Vec<f64>,
    /// Its error, km/s: NaN with it, and for pairs.
    pub dispersion_error: Vec<f64>,
    /// The projected distance from the centre that half of the members are within, comoving Mpc at the
    /// median redshift.
    pub r50: Vec<f64>,
}

/// The catalogue of groups of at least `least` members, at redshifts `z`. `velocity_error` (km/s, one
/// for all galaxies or one for each) is taken out of velocity dispersions.
///
/// # Errors
/// If the arrays or the groups are not of as many galaxies.
pub fn catalogue(
    cosmology: &Cosmology,
    galaxies: Galaxies<'_>,
    z: &[f64],
    velocity_error: &[f64],
    groups: &Components,
    least: u32,
) -> Result<Catalogue, Error> {
    galaxies.check(groups, "redshift", z.len())?;
    let (expected, found) = (z.len(), velocity_error.len());
    if found != expected && found != 1 {
        return Err(Error::Length { of: "velocity error", expected, found });
    }
    let error = |row: usize| velocity_error[if found == 1 { 0 } else { row }];
    let members = groups.members(least);
    let groups: Vec<&[u32]> = members.iter().collect();
    let group = |rows: &&[u32]| {
        let rows = galaxies.in_order(rows);
        let redshifts: Vec<f64> = rows.iter().map(|row| z[*row]).collect();
        let square = rows.iter().map(|row| error(*row).powi(2)).sum::<f64>() / rows.len() as f64;
        Group {
            id: galaxies.id[rows[0]],
            size: rows.len() as u32,
            z: median(redshifts.clone()),
            dispersion: dispersion(&redshifts, square.sqrt()),
            ..Group::around(galaxies, &rows)
        }
    };
    let mut groups: Vec<Group> = groups.par_iter().map(group).collect();
    groups.par_sort_by_key(|group| group.id);
    let column = |of: fn(&Group) -> f64| groups.iter().map(of).collect::<Vec<f64>>();
    Ok(Catalogue {
        group_id: groups.iter().map(|group| group.id).collect(),
        size: groups.iter().map(|group| group.size).collect(),
        ra_deg: column(|group| group.centre[0]),
        dec_deg: column(|group| group.centre[1]),
        z: column(|group| group.z),
        dispersion: column(|group| group.dispersion.sigma),
        dispersion_error: column(|group| group.dispersion.error),
        r50: groups.iter().map(|group| group.angle * cosmology.distance(group.z)).collect(),
    })
}

/// A row of the catalogue.
#[derive(Default)]
struct Group {
    id: i64,
    size: u32,
    z: f64,
    dispersion: Dispersion,
    /// Right ascension and declination, degrees.
    centre: [f64; 2],
    /// Median angle of the members to the centre, radian.
    angle: f64,
}

impl Group {
    /// A group's place and size on the sky.
    fn around(galaxies: Galaxies<'_>, rows: &[usize]) -> Self {
        let (places, centre) = galaxies.directions(rows);
        let [x, y, z] = centre;
        let ra = y.atan2(x).to_degrees();
        let dec = z.atan2(x.hypot(y)).to_degrees();
        let angle = median(places.iter().map(|place| angle(*place, centre)).collect());
        Self { centre: [if ra < 0.0 { ra + 360.0 } else { ra }, dec], angle, ..Self::default() }
    }
}

/// Angle between two unit vectors, radian.
pub(crate) fn angle(a: [f64; 3], b: [f64; 3]) -> f64 {
    let chord = length([a[0] - b[0], a[1] - b[1], a[2] - b[2]]);
    2.0 * (0.5 * chord).min(1.0).asin()
}

fn length([x, y, z]: [f64; 3]) -> f64 {
    (x * x + y * y + z * z).sqrt()
}

/// The middle value, or the mean of the two in the middle: NaN of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.len() % 2) {
        (Some(value), 1) => *value,
        (Some(value), _) => 0.5 * (values[middle - 1] + value),
        (None, _) => f64::NAN,
    }
}
