//! Keys: where the archive keeps what. The only module that spells one.
//!
//! ```text
//! dr1/spectro/redux/iron/healpix/main/dark/100/10000/coadd-main-dark-10000.fits
//! └────── root ────────┘        └S──┘└P──┘└G─┘└pixel┘ G = pixel / 100, nothing is zero-padded
//! ```
//! Source: the survey's data model, `DESI_SPECTRO_REDUX/SPECPROD/healpix`.

use bifrost_core::tile::{Name, Pixel, Tile};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The folder of a production that holds its tiles.
pub const HEALPIX: &str = "healpix";

/// What a file of a tile's folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Spectra.
    Coadd,
    /// Redshifts.
    Redrock,
    /// Emission lines; not every tile has them.
    Emline,
    /// Second-best fits; 62 % on top of a tile's bytes, and not every tile has them.
    Rrdetails,
    /// The exposures that went in.
    Hpixexp,
    /// The SHA-256 sums of the folder's files.
    Sums,
}

impl Kind {
    /// All, in the order in which a tile's files are asked for.
    pub const ALL: [Self; 6] =
        [Self::Coadd, Self::Redrock, Self::Emline, Self::Rrdetails, Self::Hpixexp, Self::Sums];

    /// What is fetched of a tile.
    #[must_use]
    pub fn wanted(rrdetails: bool) -> &'static [Self] {
        let all = &[Self::Coadd, Self::Redrock, Self::Emline, Self::Rrdetails];
        if rrdetails { all } else { &all[..3] }
    }

    /// Whether a tile cannot be made without it.
    #[must_use]
    pub fn is_required(self) -> bool {
        matches!(self, Self::Coadd | Self::Redrock)
    }

    /// The word that its files begin with, as in tables and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Coadd => "coadd",
            Self::Redrock => "redrock",
            Self::Emline => "emline",
            Self::Rrdetails => "rrdetails",
            Self::Hpixexp => "hpixexp",
            Self::Sums => "sums",
        }
    }

    fn ending(self) -> &'static str {
        match self {
            Self::Rrdetails => ".h5",
            Self::Hpixexp => ".csv",
            Self::Sums => ".sha256sum",
            _ => ".fits",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == word);
        found.ok_or_else(|| format!("'{word}' is no kind of file"))
    }
}

/// A production of the archive, and where its files lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Production {
    release: Name,
    root: String,
}

impl Production {
    /// A public release that is known by name.
    #[must_use]
    pub fn known(release: &Name) -> Option<Self> {
        let data_release = match release.as_str() {
            "fuji" => "edr",
            "guadalupe" | "iron" => "dr1",
            "loa" => "dr2",
            _ => return None,
        };
        Some(Self::new(release, &format!("{data_release}/spectro/redux/{release}")))
    }

    /// A production whose root folder (`dr1/spectro/redux/iron`) is given.
    #[must_use]
    pub fn new(release: &Name, root: &str) -> Self {
        Self { release: release.clone(), root: root.trim_matches('/').to_owned() }
    }

    /// Its name.
    #[must_use]
    pub fn release(&self) -> &Name {
        &self.release
    }

    /// Its root folder, without slashes at the ends.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// What the keys of all its tiles begin with, or those of a survey, or of a program of it.
    #[must_use]
    pub fn prefix(&self, survey: Option<&Name>, program: Option<&Name>) -> String {
        let mut prefix = format!("{}/{HEALPIX}/", self.root);
        for name in [survey, survey.and(program)].into_iter().flatten() {
            prefix += &format!("{name}/");
        }
        prefix
    }

    /// The folder of a tile, without a slash at the end.
    #[must_use]
    pub fn folder(&self, tile: &Tile) -> String {
        let prefix = self.prefix(Some(&tile.survey), Some(&tile.program));
        format!("{prefix}{}/{}", group(tile.pixel), tile.pixel)
    }

    /// The key of a tile's file.
    #[must_use]
    pub fn key(&self, tile: &Tile, kind: Kind) -> String {
        format!("{}/{}", self.folder(tile), file_name(tile, kind))
    }

    /// Which tile's file a key names, if it is spelled as this production spells it.
    #[must_use]
    pub fn parse(&self, key: &str) -> Option<(Tile, Kind)> {
        let (_, name) = key.rsplit_once('/')?;
        let said = Said::of_file(name)?;
        let tile = said.tile(&self.release)?;
        (self.key(&tile, said.kind?) == key).then_some((tile, said.kind?))
    }
}

/// The bare name of a tile's file.
#[must_use]
pub fn file_name(tile: &Tile, kind: Kind) -> String {
    let Tile { release, survey, program, pixel } = tile;
    match kind {
        Kind::Sums => {
            let group = group(*pixel);
            format!("redux_{release}_{HEALPIX}_{survey}_{program}_{group}_{pixel}.sha256sum")
        }
        _ => format!("{kind}-{survey}-{program}-{pixel}{}", kind.ending()),
    }
}

/// The folder above a pixel's.
pub(crate) fn group(pixel: Pixel) -> u32 {
    pixel.get() / 100
}

/// What a name says of its tile, right or wrong; the digits are as they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) kind: Option<Kind>,
    /// The production, where the name has it.
    pub(crate) release: Option<String>,
    pub(crate) survey: Name,
    pub(crate) program: Name,
    pub(crate) digits: String,
}

impl Said {
    /// `coadd-main-dark-10000.fits`, `redux_iron_healpix_main_dark_100_10000.sha256sum`.
    pub(crate) fn of_file(name: &str) -> Option<Self> {
        Kind::ALL.into_iter().find_map(|kind| {
            let stem = name.strip_suffix(kind.ending())?;
            if kind == Kind::Sums {
                let parts: Vec<&str> = stem.split('_').collect();
                let ["redux", release, HEALPIX, survey, program, _, digits] = parts[..] else {
                    return None;
                };
                let said = Self::new(Some(kind), survey, program, digits)?;
                return Some(Self { release: Some(release.to_owned()), ..said });
            }
            Self::of_stem(stem.strip_prefix(kind.as_str())?.strip_prefix('-')?, Some(kind))
        })
    }

    /// `main-dark-10000`, or with a release before it.
    pub(crate) fn of_tile(name: &str) -> Option<Self> {
        if name.split('-').count() != 4 {
            return Self::of_stem(name, None);
        }
        let (release, stem) = name.split_once('-')?;
        Some(Self { release: Some(release.to_owned()), ..Self::of_stem(stem, None)? })
    }

    fn of_stem(stem: &str, kind: Option<Kind>) -> Option<Self> {
        let mut parts = stem.split('-');
        let (survey, program, digits) = (parts.next()?, parts.next()?, parts.next()?);
        parts.next().is_none().then(|| Self::new(kind, survey, program, digits))?
    }

    pub(crate) fn new(
        kind: Option<Kind>,
        survey: &str,
        program: &str,
        digits: &str,
    ) -> Option<Self> {
        let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let (survey, program) = (Name::new(survey).ok()?, Name::new(program).ok()?);
        let digits = digits.to_owned();
        is_number.then_some(Self { kind, release: None, survey, program, digits })
    }

    /// The tile, if there is such a pixel.
    pub(crate) fn tile(&self, release: &Name) -> Option<Tile> {
        let pixel = Pixel::new(self.digits.parse().ok()?).ok()?;
        let (survey, program) = (self.survey.clone(), self.program.clone());
        Some(Tile { release: release.clone(), survey, program, pixel })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_archive() {
        let iron = Production::known(&Name::new("iron").expect("a name")).expect("known");
        let folder = "dr1/spectro/redux/iron/healpix/main/dark/100/10000/";
        let name = |n| Name::new(n).expect("a name");
        let pixel = Pixel::new(10_000).expect("a pixel");
        let tile =
            Tile { release: name("iron"), survey: name("main"), program: name("dark"), pixel };
        for (kind, file) in [
            (Kind::Coadd, "coadd-main-dark-10000.fits"),
            (Kind::Redrock, "redrock-main-dark-10000.fits"),
            (Kind::Emline, "emline-main-dark-10000.fits"),
            (Kind::Rrdetails, "rrdetails-main-dark-10000.h5"),
            (Kind::Hpixexp, "hpixexp-main-dark-10000.csv"),
            (Kind::Sums, "redux_iron_healpix_main_dark_100_10000.sha256sum"),
        ] {
            let key = format!("{folder}{file}");
            assert_eq!(iron.key(&tile, kind), key);
            assert_eq!(iron.parse(&key), Some((tile.clone(), kind)));
        }
        let small = Tile { pixel: Pixel::new(7).expect("a pixel"), ..tile };
        let key = "dr1/spectro/redux/iron/healpix/main/dark/0/7/coadd-main-dark-7.fits";
        assert_eq!(iron.key(&small, Kind::Coadd), key);
        assert_eq!(iron.prefix(Some(&small.survey), None), "dr1/spectro/redux/iron/healpix/main/");
    }

    #[test]
    fn other_files_are_no_keys() {
        let iron = Production::known(&Name::new("iron").expect("a name")).expect("known");
        let folder = "dr1/spectro/redux/iron/healpix/main/dark/100/10000/";
        for file in [
            "spectra-main-dark-10000.fits.gz",
            "qso_qn-main-dark-10000.fits",
            "coadd-main-dark-10001.fits",
            "coadd-main-dark-010000.fits",
            "coadd-main-dark-99999.fits",
            "logs/redux_iron_healpix_main_dark_100_10000_logs.sha256sum",
            "",
        ] {
            assert_eq!(iron.parse(&format!("{folder}{file}")), None, "{file}");
        }
        assert_eq!(iron.parse("coadd-main-dark-10000.fits"), None);
    }
}
