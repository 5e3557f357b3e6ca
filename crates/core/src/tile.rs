//! A tile: one (release, survey, program, HEALPix pixel), the unit that is made and published.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What is wrong with a name, a pixel or a file name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A release, survey or program that cannot stand in a file name.
    #[error("'{0}' is not a name: use 1 to 32 of a-z, 0-9 and _")]
    Name(String),
    /// A pixel beyond the sphere.
    #[error("pixel {0} is out of range: nside 64 has pixels 0 to {max}", max = Pixel::COUNT - 1)]
    Pixel(i64),
    /// Not `RELEASE-SURVEY-PROGRAM-PIX`.
    #[error("'{0}' is not named RELEASE-SURVEY-PROGRAM-PIX")]
    Tile(String),
    /// Not `RELEASE-SURVEY-PROGRAM-PIX_COUNT.parquet`.
    #[error("'{0}' is not named RELEASE-SURVEY-PROGRAM-PIX_COUNT.parquet")]
    FileName(String),
}

/// A release, survey or program: lower case letters, digits and underscores.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// Checks and lowers a name.
    ///
    /// # Errors
    /// [`Error::Name`] for an empty or overlong name or other characters than `a-z0-9_`.
    pub fn new(name: &str) -> Result<Self, Error> {
        let lower = name.trim().to_ascii_lowercase();
        let fits = (1..=32).contains(&lower.len())
            && lower.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if fits { Ok(Self(lower)) } else { Err(Error::Name(name.to_owned())) }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = Error;
    fn try_from(name: String) -> Result<Self, Error> {
        Self::new(&name)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl FromStr for Name {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self, Error> {
        Self::new(name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A HEALPix pixel of order 6 (nside 64), NESTED numbering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Pixel(u16);

impl Pixel {
    /// HEALPix order of tiles.
    pub const ORDER: u8 = 6;
    /// HEALPix nside of tiles.
    pub const NSIDE: u32 = 64;
    /// Pixels on the sphere.
    pub const COUNT: u32 = 12 * Self::NSIDE * Self::NSIDE;

    /// Checks a pixel number.
    ///
    /// # Errors
    /// [`Error::Pixel`] outside of `0..49152`.
    pub fn new(pixel: i64) -> Result<Self, Error> {
        match u16::try_from(pixel) {
            Ok(p) if u32::from(p) < Self::COUNT => Ok(Self(p)),
            _ => Err(Error::Pixel(pixel)),
        }
    }

    /// The pixel number.
    #[must_use]
    pub fn get(self) -> u32 {
        u32::from(self.0)
    }
}

impl TryFrom<i64> for Pixel {
    type Error = Error;
    fn try_from(pixel: i64) -> Result<Self, Error> {
        Self::new(pixel)
    }
}

impl From<Pixel> for i64 {
    fn from(pixel: Pixel) -> Self {
        Self::from(pixel.0)
    }
}

impl fmt::Display for Pixel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The key of a tile. Everything about tiles is keyed on all four parts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tile {
    /// Production of the archive: `iron` is DR1, `fuji` EDR, `loa` DR2.
    pub release: Name,
    /// cmx, main, special, sv1, sv2, sv3.
    pub survey: Name,
    /// backup, bright, dark, other.
    pub program: Name,
    /// The pixel.
    pub pixel: Pixel,
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}-{}", self.release, self.survey, self.program, self.pixel)
    }
}

impl FromStr for Tile {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let wrong = || Error::Tile(name.to_owned());
        let mut parts = name.split('-');
        let (Some(release), Some(survey), Some(program), Some(pixel), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        Ok(Self {
            release: Name::new(release)?,
            survey: Name::new(survey)?,
            program: Name::new(program)?,
            pixel: Pixel::new(pixel.parse().map_err(|_| wrong())?)?,
        })
    }
}

/// The informative name of a tile's file in a product: the tile and its row count.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileName {
    /// The tile.
    pub tile: Tile,
    /// Rows in the file; `_0` reads as "valid, nothing passed the cut".
    pub rows: u64,
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}.parquet", self.tile, self.rows)
    }
}

impl FromStr for FileName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let wrong = || Error::FileName(name.to_owned());
        let (tile, rows) = name
            .strip_suffix(".parquet")
            .and_then(|stem| stem.rsplit_once('_'))
            .ok_or_else(wrong)?;
        let tile = tile.parse().map_err(|error| match error {
            Error::Tile(_) => wrong(),
            other => other,
        })?;
        Ok(Self { tile, rows: rows.parse().map_err(|_| wrong())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_name_round_trips() {
        let name = "iron-main-dark-12712_234.parquet";
        let parsed: FileName = name.parse().expect("a good name");
        assert_eq!(parsed.rows, 234);
        assert_eq!(parsed.tile.pixel.get(), 12712);
        assert_eq!(parsed.to_string(), name);
    }

    #[test]
    fn bad_file_names_are_refused() {
        for name in [
            "iron-main-dark-12712.parquet",
            "iron-main-12712_1.parquet",
            "iron-main-dark-49152_1.parquet",
            "iron-main-da rk-1_1.parquet",
            "iron-main-dark-1_-1.parquet",
            "iron-main-dark-1_1.csv",
        ] {
            assert!(name.parse::<FileName>().is_err(), "{name} was taken");
        }
    }
}
