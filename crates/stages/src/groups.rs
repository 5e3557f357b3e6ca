//! Groups of galaxies by friends of friends, as columns beside `spectra` and as a catalog.

use crate::stage::{About, Source, column};
use crate::survey::{Given, Mask, READS, Sample};
use arrow::array::{ArrayRef, Float64Array, Int16Array, Int32Array, Int64Array};
use arrow::datatypes::DataType::{Float64, Int16, Int32, Int64};
use arrow::error::ArrowError;
use bifrost_core::registry::groups::{Group, GroupCatalog};
use bifrost_science::cosmology::Cosmology;
use bifrost_science::fof::lengths::Recipe;
use bifrost_science::fof::{self, Components, Galaxies};
use bifrost_science::groups::{self, Catalogue, catalogue};
use bifrost_science::nz::{self, Density, Survey};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Name of the stage and of its product.
pub const NAME: &str = "groups";
/// Galaxies that make a group.
const LEAST: u32 = 2;

/// Bits of `groups_flag`.
mod flag {
    /// The completeness around the galaxy is not known, and so no linking length.
    pub const NO_LENGTH: i16 = 1;
    /// The galaxy is in no group.
    pub const ALONE: i16 = 2;
    /// Errors of velocity are as large as the group's dispersion.
    pub const NO_DISPERSION: i16 = 4;
    /// The dispersion's error is not known: with it, and for pairs.
    pub const NO_ERROR: i16 = 8;
}

/// What groups are looked for with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Linking length on the sky, in mean separations of galaxies.
    pub b0: f64,
    /// How much longer links are along the line of sight.
    pub r0: f64,
    /// No link reaches beyond a halo of this mass, solar masses.
    pub largest_halo: f64,
    /// Smoothing of the number density over comoving distance, Mpc.
    pub smoothing: f64,
    /// Error of the galaxies' velocities, km/s.
    pub velocity_error: f64,
}

impl Default for Settings {
    fn default() -> Self {
        let Recipe { b0, r0, largest_halo } = Recipe::default();
        Self { b0, r0, largest_halo, smoothing: 50.0, velocity_error: 10.0 }
    }
}

/// Why there are no groups.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The sample fills no volume.
    #[error(transparent)]
    Density(#[from] nz::Error),
    /// The galaxies cannot be linked.
    #[error(transparent)]
    Links(#[from] fof::Error),
    /// Their groups cannot be listed.
    #[error(transparent)]
    Catalogue(#[from] groups::Error),
}

/// The groups of a sample.
pub struct Found {
    /// Of each galaxy, in the sample's order; none where it is alone.
    pub group_id: Vec<Option<i64>>,
    /// Who belongs together; none of no galaxies.
    pub components: Option<Components>,
    /// The groups, by identifier.
    pub groups: Catalogue,
    /// Solid angle of the mask, steradian.
    pub area_sr: f64,
}

/// Which galaxies of one tracer in one cap belong together, that were looked for in all of the mask; none
/// of no galaxies. Galaxies around which the completeness is not known belong to no group.
///
/// # Errors
/// [`Error`].
pub fn components(
    sample: &Sample,
    mask: &Mask,
    cosmology: &Cosmology,
    settings: &Settings,
) -> Result<Option<Components>, Error> {
    if sample.is_empty() {
        return Ok(None);
    }
    let ends = sample.z.iter().fold([f64::MAX, 0.0], |[low, high], z| [z.min(low), z.max(high)]);
    let area_sr = mask.area_sr();
    let survey = Survey { area_sr, z: widened(ends), width: settings.smoothing };
    let density = Density::new(cosmology, survey, &sample.z, None)?;
    let distance = cosmology.distances(&sample.z);
    let density: Vec<f64> = distance.iter().map(|d| density.at(*d)).collect();
    let recipe = Recipe { b0: settings.b0, r0: settings.r0, largest_halo: settings.largest_halo };
    let lengths = recipe.lengths(cosmology, &sample.z, &density, sample.parts())?;
    Ok(Some(fof::link(Galaxies {
        ra_deg: &sample.ra,
        dec_deg: &sample.dec,
        distance: &distance,
        across: &lengths.across,
        along: &lengths.along,
    })?))
}

/// Groups the galaxies of one tracer in one cap, which were looked for in all of the mask.
///
/// # Errors
/// [`Error`]; a sample of no galaxies has no groups.
pub fn find(
    sample: &Sample,
    mask: &Mask,
    cosmology: &Cosmology,
    settings: &Settings,
) -> Result<Found, Error> {
    let components = components(sample, mask, cosmology, settings)?;
    let (mut group_id, mut groups) = (Vec::new(), Catalogue::default());
    if let Some(components) = &components {
        let (id, ra_deg, dec_deg) = (&sample.target_id[..], &sample.ra[..], &sample.dec[..]);
        let galaxies = groups::Galaxies { id, ra_deg, dec_deg };
        let errors = [settings.velocity_error];
        groups = catalogue(cosmology, galaxies, &sample.z, &errors, components, LEAST)?;
        group_id = components.group_ids(&sample.target_id)?;
    }
    Ok(Found { group_id, components, groups, area_sr: mask.area_sr() })
}

/// A survey of one redshift has no depth: it gets some.
fn widened([low, high]: [f64; 2]) -> [f64; 2] {
    if high - low > 1e-3 { [low, high] } else { [(low - 1e-3).max(1e-6), high + 1e-3] }
}

impl Found {
    /// The columns of the sample's objects.
    #[must_use]
    pub fn columns(&self) -> Vec<ArrayRef> {
        let of = |id: &Option<i64>| id.and_then(|id| self.groups.group_id.binary_search(&id).ok());
        let rows: Vec<Option<usize>> = self.group_id.iter().map(of).collect();
        let floats = |values: &[f64]| -> ArrayRef {
            let value = |row: &Option<usize>| values.get((*row)?).copied();
            Arc::new(rows.iter().map(value).collect::<Float64Array>())
        };
        let sizes = self.components.as_ref().map(Components::sizes).unwrap_or_default();
        let size = |size: &u32| (*size > 0).then_some(*size as i32);
        let groups = &self.groups;
        vec![
            Arc::new(Int64Array::from(self.group_id.clone())),
            Arc::new(sizes.iter().map(size).collect::<Int32Array>()),
            floats(&groups.ra_deg),
            floats(&groups.dec_deg),
            floats(&groups.z),
            floats(&groups.dispersion),
            floats(&groups.dispersion_error),
            floats(&groups.r50),
            Arc::new(sizes.iter().zip(&rows).map(|of| self.flags(of)).collect::<Int16Array>()),
        ]
    }

    /// Why something of a galaxy, with the size of its component and its group, is not known.
    fn flags(&self, (size, group): (&u32, &Option<usize>)) -> i16 {
        let is_unknown =
            |values: &[f64]| group.and_then(|row| values.get(row)).is_some_and(|x| x.is_nan());
        let missing = [
            (flag::NO_LENGTH, *size == 0),
            (flag::ALONE, *size == 1),
            (flag::NO_DISPERSION, is_unknown(&self.groups.dispersion)),
            (flag::NO_ERROR, is_unknown(&self.groups.dispersion_error)),
        ];
        missing.iter().filter(|(_, is)| *is).fold(0, |flags, (bit, _)| flags | bit)
    }

    /// The groups as the registry keeps them.
    #[must_use]
    pub fn catalog(&self, tracer: &str, cap: &str, configuration: &Value) -> GroupCatalog {
        let known = |values: &[f64], row: usize| values.get(row).copied().filter(|x| x.is_finite());
        let groups = &self.groups;
        let group = |row: usize| {
            Some(Group {
                group_id: *groups.group_id.get(row)?,
                size: *groups.size.get(row)? as i32,
                centre: (*groups.ra_deg.get(row)?, *groups.dec_deg.get(row)?),
                z: *groups.z.get(row)?,
                sigma_v: known(&groups.dispersion, row),
                sigma_v_error: known(&groups.dispersion_error, row),
                r50: known(&groups.r50, row),
            })
        };
        GroupCatalog {
            tracer: tracer.to_owned(),
            cap: cap.to_owned(),
            configuration: configuration.to_string(),
            galaxies: self.group_id.len() as i64,
            groups: (0..groups.group_id.len()).filter_map(group).collect(),
        }
    }
}

/// What the stage says of itself.
#[must_use]
pub fn about() -> About {
    let centre = "of the centre of its group: of the mean of the members' directions";
    let columns = vec![
        column(
            "group_id",
            Int64,
            "",
            "meta.id;meta.id.parent",
            "Smallest TARGETID of the galaxies of its group; NULL where it is in none",
        ),
        column(
            "group_size",
            Int32,
            "",
            "meta.number",
            "Galaxies in its group, 1 where it is alone; NULL where it was not looked at, or the completeness around it is not known",
        ),
        column("group_ra", Float64, "deg", "pos.eq.ra", format!("Right ascension (ICRS) {centre}")),
        column("group_dec", Float64, "deg", "pos.eq.dec", format!("Declination (ICRS) {centre}")),
        column("group_z", Float64, "", "src.redshift", "Median redshift of its group"),
        column(
            "group_sigma_v",
            Float64,
            "km.s**-1",
            "phys.veloc.dispersion",
            "Velocity dispersion of its group by the gapper",
        ),
        column(
            "group_sigma_v_error",
            Float64,
            "km.s**-1",
            "stat.error;phys.veloc.dispersion",
            "Error of group_sigma_v",
        ),
        column(
            "group_r50",
            Float64,
            "Mpc",
            "phys.size.radius",
            "Projected comoving radius that holds half of the galaxies of its group",
        ),
        column(
            "groups_flag",
            Int16,
            "",
            "meta.code.qual",
            "Why something is NULL, bits: 1 no completeness, so that it was not linked; 2 in no group; 4 errors of velocity are as large as the dispersion; 8 no error of the dispersion: with it, and for pairs; 0 all is known; NULL where it was not looked at",
        ),
    ];
    About {
        name: NAME,
        version: 2,
        from: Source::Product("spectra", &READS),
        product: NAME,
        columns,
    }
}

/// The stage that writes what was found of samples.
///
/// # Errors
/// Where the columns do not fit the samples.
pub fn stage(configuration: Value, found: &[(&Sample, &Found)]) -> Result<Given, ArrowError> {
    let parts: Vec<_> = found.iter().map(|(sample, found)| (*sample, found.columns())).collect();
    Given::new(about(), configuration, &parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Float64Type, Int32Type, Int64Type};

    /// Two pairs and a galaxy far from all others.
    fn sample() -> Sample {
        Sample {
            target_id: vec![5, 6, 7, 8, 9],
            ra: vec![150.0, 150.001, 151.0, 151.001, 155.0],
            dec: vec![2.0; 5],
            z: vec![0.1, 0.1001, 0.2, 0.2001, 0.15],
            r_mag: vec![18.0; 5],
            completeness: Vec::new(),
            tile: vec![0; 5],
            tiles: vec!["iron-main-bright-27245".parse().expect("a tile")],
        }
    }

    fn grouped(sample: &Sample) -> Result<Found, Error> {
        find(sample, &Mask::of(sample), &Cosmology::desi(), &Settings::default())
    }

    #[test]
    fn pairs_are_groups_and_a_galaxy_by_itself_is_alone() {
        let found = grouped(&sample()).expect("groups");
        let columns = found.columns();
        let ids = columns[0].as_primitive::<Int64Type>();
        assert_eq!(ids.iter().collect::<Vec<_>>(), [Some(5), Some(5), Some(7), Some(7), None]);
        let sizes = columns[1].as_primitive::<Int32Type>();
        assert_eq!(sizes.values().to_vec(), [2, 2, 2, 2, 1]);
        let z = columns[4].as_primitive::<Float64Type>();
        assert!((z.value(0) - 0.10005).abs() < 1e-12 && z.is_null(4));
        let catalog = found.catalog("bright", "ngc", &Value::Null);
        assert_eq!((catalog.galaxies, catalog.groups.len()), (5, 2));
    }

    #[test]
    fn fewer_redshifts_make_longer_links_where_they_are_fewer() {
        // a pair too wide to be linked, until most of the galaxies around the one or the other are missing
        let wide = |completeness: Vec<f64>| {
            let mut sample = Sample { completeness, ..sample() };
            (sample.ra[3], sample.ra[4]) = (151.14, 159.0);
            grouped(&sample).expect("groups")
        };
        let ids = |found: &Found| found.group_id.clone();
        assert_eq!(ids(&wide(vec![])), ids(&wide(vec![1.0; 5])));
        assert_eq!(ids(&wide(vec![1.0])), [Some(5), Some(5), None, None, None]);
        let grown = wide(vec![1.0, 1.0, 0.01, 0.01, 1.0]);
        assert_eq!(ids(&grown), [Some(5), Some(5), Some(7), Some(7), None]);
        // where it is not known, nothing is
        let unknown = wide(vec![1.0, f64::NAN, 0.01, 0.01, 1.0]);
        assert_eq!(ids(&unknown), [None, None, Some(7), Some(7), None]);
        let sizes = unknown.columns()[1].as_primitive::<Int32Type>().iter().collect::<Vec<_>>();
        assert_eq!(sizes, [Some(1), None, Some(2), Some(2), Some(1)]);
    }

    #[test]
    fn no_galaxies_have_no_groups() {
        let found = grouped(&Sample::default());
        let found = found.expect("no groups");
        assert!(found.groups.group_id.is_empty() && found.columns()[0].is_empty());
    }
}
