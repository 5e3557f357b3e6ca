//! Fits through libhdf5: the only file that knows it. Any layout, one call at a time, slow.

use super::{Error, Fit};
use hdf5::types::FixedAscii;
use hdf5::{File, H5Type};
use std::path::Path;

impl From<hdf5::Error> for Error {
    fn from(error: hdf5::Error) -> Self {
        Self::Hdf5(error.to_string().lines().next().unwrap_or_default().to_owned())
    }
}

#[derive(Debug, Clone, Copy, H5Type)]
#[repr(C)]
struct Record {
    z: f64,
    chi2: f64,
    deltachi2: f64,
    znum: i64,
    spectype: FixedAscii<6>,
    subtype: FixedAscii<20>,
}

impl From<&Record> for Fit {
    fn from(record: &Record) -> Self {
        Self {
            z: record.z,
            chi2: record.chi2,
            deltachi2: record.deltachi2,
            znum: record.znum,
            spectype: record.spectype.as_str().trim_end().to_owned(),
            subtype: record.subtype.as_str().trim_end().to_owned(),
        }
    }
}

/// Reads the fits of targets; `None` for those that the file lacks.
pub(super) fn read(path: &Path, target_ids: &[i64]) -> Result<Vec<Option<Vec<Fit>>>, Error> {
    let file = File::open(path)?;
    let zfit = file.group("zfit")?;
    target_ids
        .iter()
        .map(|id| {
            let name = id.to_string();
            if !zfit.link_exists(&name) {
                return Ok(None);
            }
            let data = zfit.dataset(&format!("{name}/zfit"))?;
            let records: Vec<Record> =
                data.as_reader().conversion(hdf5::Conversion::Soft).read_raw()?;
            Ok(Some(records.iter().map(Fit::from).collect()))
        })
        .collect()
}
