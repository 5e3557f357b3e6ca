//! The rrdetails file's second-best fits through libhdf5: the only file that knows it.
//!
//! `/zfit/<TARGETID>/zfit` holds a target's nine best fits, the best first. libhdf5 is not
//! thread-parallel, so a file is read in one go and the rest of the work is done on copies.

use hdf5::types::FixedAscii;
use hdf5::{File, H5Type};
use std::path::Path;

/// What is wrong with an rrdetails file.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

impl From<hdf5::Error> for Error {
    fn from(error: hdf5::Error) -> Self {
        Self(error.to_string().lines().next().unwrap_or_default().to_owned())
    }
}

/// What is kept of a target's fits.
#[derive(Debug, Clone, PartialEq)]
pub struct Details {
    /// Redshift of the second-best fit.
    pub z2: f64,
    /// Its chi2.
    pub chi2_2: f64,
    /// Distance of its chi2 to the third-best.
    pub deltachi2_2: f64,
    /// Its class.
    pub spectype2: String,
    /// Its subclass.
    pub subtype2: String,
    /// Least chi2 of GALAXY, QSO and STAR fits; NaN for none.
    pub best_chi2: [f64; 3],
}

/// The fields that are read of a fit; the file's may be wider, narrower and more.
#[derive(Debug, Clone, Copy, H5Type)]
#[repr(C)]
struct Fit {
    z: f64,
    chi2: f64,
    deltachi2: f64,
    znum: i64,
    spectype: FixedAscii<6>,
    subtype: FixedAscii<20>,
}

/// Reads the details of targets; `None` for those that the file lacks.
///
/// # Errors
/// [`Error`] where the file is no rrdetails file.
pub fn read(path: &Path, target_ids: &[i64]) -> Result<Vec<Option<Details>>, Error> {
    let file = File::open(path)?;
    let fits = file.group("zfit")?;
    target_ids
        .iter()
        .map(|id| {
            let name = id.to_string();
            if !fits.link_exists(&name) {
                return Ok(None);
            }
            let data = fits.dataset(&format!("{name}/zfit"))?;
            let records: Vec<Fit> =
                data.as_reader().conversion(hdf5::Conversion::Soft).read_raw()?;
            Ok(summary(&records))
        })
        .collect()
}

fn summary(fits: &[Fit]) -> Option<Details> {
    let second = fits.iter().find(|fit| fit.znum == 1).or(fits.get(1))?;
    let least = |class: &str| {
        let of_class = fits.iter().filter(|fit| fit.spectype.as_str().trim_end() == class);
        of_class.map(|fit| fit.chi2).fold(f64::NAN, f64::min)
    };
    Some(Details {
        z2: second.z,
        chi2_2: second.chi2,
        deltachi2_2: second.deltachi2,
        spectype2: second.spectype.as_str().trim_end().to_owned(),
        subtype2: second.subtype.as_str().trim_end().to_owned(),
        best_chi2: ["GALAXY", "QSO", "STAR"].map(least),
    })
}
