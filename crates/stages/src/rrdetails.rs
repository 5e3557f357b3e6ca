//! The rrdetails file's second-best fits through libhdf5: the only file that knows it.
//!
//! `/zfit/<TARGETID>/zfit` holds a target's nine best fits, the best first. libhdf5 is not
//! thread-parallel and converts a record of 401 bytes slowly, so it is only asked where the records
//! lie; those packed as the release packs them are read straight from there.

use hdf5::types::FixedAscii;
use hdf5::{Conversion, Dataset, Datatype, File, H5Type};
use std::io;
use std::os::unix::fs::FileExt;
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

/// A fit as the release packs it: 401 bytes, little-endian, without gaps. Compared with the type in
/// the file; the bytes are then read by offset.
#[derive(Debug, Clone, Copy, H5Type)]
#[repr(C, packed)]
struct Packed {
    targetid: i64,
    z: f64,
    zerr: f64,
    zwarn: i64,
    chi2: f64,
    zz: [f64; 15],
    zzchi2: [f64; 15],
    coeff: [f64; 10],
    npixels: i64,
    spectype: FixedAscii<6>,
    subtype: FixedAscii<3>,
    ncoeff: i64,
    znum: i64,
    deltachi2: f64,
}

const PACKED_BYTES: usize = size_of::<Packed>();

impl Fit {
    fn unpack(record: &[u8; PACKED_BYTES]) -> Self {
        let eight = |at: usize| std::array::from_fn(|i| record[at + i]);
        let text = |at: usize, length: usize| {
            let text = &record[at..at + length];
            &text[..text.iter().position(|b| *b == 0).unwrap_or(length)]
        };
        let float = |at| f64::from_le_bytes(eight(at));
        Self {
            z: float(std::mem::offset_of!(Packed, z)),
            chi2: float(std::mem::offset_of!(Packed, chi2)),
            deltachi2: float(std::mem::offset_of!(Packed, deltachi2)),
            znum: i64::from_le_bytes(eight(std::mem::offset_of!(Packed, znum))),
            spectype: ascii(text(std::mem::offset_of!(Packed, spectype), 6)),
            subtype: ascii(text(std::mem::offset_of!(Packed, subtype), 3)),
        }
    }
}

fn ascii<const N: usize>(text: &[u8]) -> FixedAscii<N> {
    FixedAscii::from_ascii(text).unwrap_or_default()
}

/// An rrdetails file, through the library and by itself.
struct Source {
    library: File,
    bytes: std::fs::File,
    packed: Datatype,
}

impl Source {
    fn open(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::File::open(path).map_err(|e| Error(e.to_string()))?;
        Ok(Self { library: File::open(path)?, bytes, packed: Datatype::from_type::<Packed>()? })
    }

    /// The fits of one target.
    fn fits(&self, data: &Dataset) -> Result<Vec<Fit>, Error> {
        match data.offset() {
            Some(offset) if data.dtype()? == self.packed => {
                self.unpack(offset, data.size()).map_err(|e| Error(e.to_string()))
            }
            _ => Ok(data.as_reader().conversion(Conversion::Soft).read_raw()?),
        }
    }

    fn unpack(&self, offset: u64, records: usize) -> io::Result<Vec<Fit>> {
        let mut record = [0; PACKED_BYTES];
        (0..records as u64)
            .map(|i| {
                let at = offset.saturating_add(i.saturating_mul(PACKED_BYTES as u64));
                self.bytes.read_exact_at(&mut record, at)?;
                Ok(Fit::unpack(&record))
            })
            .collect()
    }
}

/// Reads the details of targets; `None` for those that the file lacks.
///
/// # Errors
/// [`Error`] where the file is no rrdetails file.
pub fn read(path: &Path, target_ids: &[i64]) -> Result<Vec<Option<Details>>, Error> {
    let source = Source::open(path)?;
    let targets = source.library.group("zfit")?;
    target_ids
        .iter()
        .map(|id| {
            let name = id.to_string();
            if !targets.link_exists(&name) {
                return Ok(None);
            }
            Ok(summary(&source.fits(&targets.dataset(&format!("{name}/zfit"))?)?))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_records_read_as_the_library_reads_them() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("rrdetails.h5");
        let fit = |znum: i64, spectype: &[u8], subtype: &[u8], chi2| Packed {
            targetid: 7,
            z: 0.5 + znum as f64,
            zerr: 1e-4,
            zwarn: 0,
            chi2,
            zz: [0.0; 15],
            zzchi2: [0.0; 15],
            coeff: [0.0; 10],
            npixels: 7900,
            spectype: ascii(spectype),
            subtype: ascii(subtype),
            ncoeff: 10,
            znum,
            deltachi2: 3.5,
        };
        let fits = [fit(0, b"GALAXY", b"", 9.0), fit(1, b"STAR", b"WD", 12.5)];
        let file = File::create(&path).expect("a file");
        let group = file.create_group("zfit/7").expect("a group");
        group
            .new_dataset_builder()
            .packed(true)
            .with_data(&fits)
            .create("zfit")
            .expect("a dataset");
        drop((group, file));

        let source = Source::open(&path).expect("opened");
        let data = source.library.dataset("zfit/7/zfit").expect("a dataset");
        assert_eq!(data.dtype().expect("a type"), source.packed);
        let soft: Vec<Fit> =
            data.as_reader().conversion(Conversion::Soft).read_raw().expect("read");
        let fast = source.fits(&data).expect("read");
        assert_eq!(format!("{soft:?}"), format!("{fast:?}"));
        let details = read(&path, &[7, 8]).expect("read");
        let seven = details[0].clone().expect("there");
        assert_eq!(
            (seven.z2, seven.spectype2.as_str(), seven.subtype2.as_str()),
            (1.5, "STAR", "WD")
        );
        assert_eq!(seven.best_chi2[..1], [9.0]);
        assert_eq!(details[1], None);
    }
}
