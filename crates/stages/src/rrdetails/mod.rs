//! The rrdetails file's second-best fits.
//!
//! `/zfit/<TARGETID>/zfit` holds a target's nine best fits, the best first: thousands of groups of
//! one small table each, in the oldest HDF5 format. libhdf5 takes 0.2 ms for each, far longer than
//! the spectra take; so `plain` follows the addresses in the file by itself, and `library` is
//! there for files that are laid out otherwise.

mod library;
mod plain;

use std::path::Path;

/// What is wrong with an rrdetails file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// What libhdf5 says.
    #[error("{0}")]
    Hdf5(String),
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
#[derive(Debug, Clone, PartialEq)]
struct Fit {
    z: f64,
    chi2: f64,
    deltachi2: f64,
    znum: i64,
    spectype: String,
    subtype: String,
}

/// Reads the details of targets; `None` for those that the file lacks.
///
/// # Errors
/// [`Error`] where the file is no rrdetails file.
pub fn read(path: &Path, target_ids: &[i64]) -> Result<Vec<Option<Details>>, Error> {
    let fits = match plain::read(path, target_ids) {
        Ok(fits) => fits,
        Err(plain::Error::Io(error)) => return Err(error.into()),
        Err(plain::Error::Unknown) => library::read(path, target_ids)?,
    };
    Ok(fits.iter().map(|fits| summary(fits.as_deref()?)).collect())
}

fn summary(fits: &[Fit]) -> Option<Details> {
    let second = fits.iter().find(|fit| fit.znum == 1).or(fits.get(1))?;
    let least = |class: &str| {
        let of_class = fits.iter().filter(|fit| fit.spectype == class);
        of_class.map(|fit| fit.chi2).fold(f64::NAN, f64::min)
    };
    Some(Details {
        z2: second.z,
        chi2_2: second.chi2,
        deltachi2_2: second.deltachi2,
        spectype2: second.spectype.clone(),
        subtype2: second.subtype.clone(),
        best_chi2: ["GALAXY", "QSO", "STAR"].map(least),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::{self, Request, Size};
    use bifrost_core::tile::{Name, Pixel, Tile};
    use std::path::PathBuf;

    fn tile(out: &Path, objects: usize) -> PathBuf {
        let name = |n| Name::new(n).expect("a name");
        let pixel = Pixel::new(10_000).expect("a pixel");
        let tile =
            Tile { release: name("iron"), survey: name("main"), program: name("dark"), pixel };
        let request = Request {
            out: out.to_owned(),
            size: Size::Rows(objects),
            seed: 5,
            mask: mock::Mask::Int32,
            details: mock::Details::Small,
            resolution: false,
            checksums: false,
            edges: Default::default(),
        };
        mock::write_tile(&request, &tile).expect("made").dir.join("rrdetails-main-dark-10000.h5")
    }

    #[test]
    fn both_ways_of_reading_agree() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        // enough targets for B-trees of more than one level
        let path = tile(dir.path(), 700);
        let file = hdf5::File::open(&path).expect("HDF5");
        let mut ids: Vec<i64> =
            file.dataset("targetids").expect("there").read_raw().expect("numbers");
        ids.push(12345);
        let plain = plain::read(&path, &ids).expect("the oldest format");
        let library = library::read(&path, &ids).expect("HDF5");
        assert_eq!(plain, library);
        assert_eq!(plain.iter().flatten().count(), 700);
        assert!(plain.iter().flatten().all(|fits| fits.len() == 9));
        let details = read(&path, &ids).expect("read");
        let second = details[0].as_ref().expect("details");
        assert_eq!(second.z2, library[0].as_ref().expect("fits")[1].z);
        assert!(second.best_chi2.iter().all(|chi2| chi2.is_finite()));
        assert_eq!(details[700], None);
    }

    #[test]
    #[expect(clippy::print_stderr, reason = "the test runner shows it")]
    fn a_real_file_is_read_alike() {
        // real data is no part of the repository: BIFROST_SHARED, else `shared` beside it
        let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
        let shared = std::env::var_os("BIFROST_SHARED").map_or_else(beside, PathBuf::from);
        let path = shared.join("fixtures/rrdetails-test.h5");
        if !path.is_file() {
            eprintln!("{} is absent; left out: a real rrdetails file", path.display());
            return;
        }
        let file = hdf5::File::open(&path).expect("HDF5");
        let ids: Vec<i64> = file.dataset("targetids").expect("there").read_raw().expect("numbers");
        let plain = plain::read(&path, &ids).expect("the oldest format");
        assert_eq!(plain, library::read(&path, &ids).expect("HDF5"));
        let fits = plain[0].as_ref().expect("fits");
        assert_eq!((plain.len(), fits.len()), (3, 6));
        // as h5py prints it
        let fourth = Fit {
            z: 3.203118956320239,
            chi2: 7214.230159074068,
            deltachi2: 1.5463012229884043,
            znum: 3,
            spectype: "QSO".to_owned(),
            subtype: "HIZ".to_owned(),
        };
        assert_eq!((ids[0], &fits[3]), (616094145466860255, &fourth));
    }

    #[test]
    fn damage_is_told() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = tile(dir.path(), 20);
        let whole = std::fs::read(&path).expect("read");
        let broken = dir.path().join("broken.h5");
        for length in [0, 7, 100, 5000, whole.len() / 2] {
            std::fs::write(&broken, &whole[..length]).expect("written");
            assert!(read(&broken, &[1]).is_err(), "{length} bytes were taken");
        }
        assert!(matches!(read(&dir.path().join("gone.h5"), &[1]), Err(Error::Io(_))));
        // any byte may be wrong: no panic, no endless loop
        for at in (0..whole.len().min(4096)).step_by(17) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            std::fs::write(&broken, &bytes).expect("written");
            let _ = plain::read(&broken, &[1, 39633345008634465]);
        }
    }
}
