//! What part of the targets has a redshift, as people say it: a number, a column, or a file.

use crate::exit::{Usage, usage};
use crate::positions;
use bifrost_stages::survey::Completeness;
use bifrost_stages::survey::completeness::Known;
use serde::Deserialize;
use std::convert::Infallible;
use std::path::Path;
use std::str::FromStr;

/// A number, or the name of a column or file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Asked {
    /// The same everywhere.
    Number(f64),
    /// Of a column or file.
    Name(String),
}

impl FromStr for Asked {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Number))
    }
}

impl Asked {
    /// What is meant; `column` is that of a file.
    pub fn read(&self, column: Option<&str>) -> anyhow::Result<Completeness> {
        let path = match self {
            Self::Name(name) if Path::new(name).is_file() => Path::new(name),
            Self::Name(name) if name.contains(['/', '.']) => {
                return Err(usage(format!("--completeness {name}: there is no such file")).into());
            }
            _ if let Some(name) = column => return Err(no_file(name).into()),
            Self::Number(part) if *part > 0.0 && *part <= 1.0 => {
                return Ok(Completeness::Number(*part));
            }
            Self::Number(part) => {
                let text = format!("--completeness {part}: it must be above 0 and up to 1");
                return Err(usage(text).into());
            }
            Self::Name(name) => return Ok(Completeness::Column(name.clone())),
        };
        let map = match std::fs::File::open(path).is_ok_and(|file| begins_as_fits(&file)) {
            true => Known::of_map(path, column)
                .map_err(|wrong| usage(format!("{}: {wrong}", path.display())))?,
            false => None,
        };
        let known = map.map_or_else(|| positions::read_completeness(path, column), Ok)?;
        Ok(Completeness::Known(known))
    }
}

/// Nobody says in which file a column is.
pub fn no_file(column: &str) -> Usage {
    let text = "it is a column of a file: name that with --completeness";
    usage(format!("--completeness-column {column}: {text}"))
}

fn begins_as_fits(mut file: &std::fs::File) -> bool {
    let mut magic = [0; 6];
    std::io::Read::read_exact(&mut file, &mut magic).is_ok() && &magic == b"SIMPLE"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_columns_and_files_are_told_apart() {
        let asked = |text: &str| text.parse::<Asked>().expect("anything").read(None);
        assert!(matches!(asked("0.8"), Ok(Completeness::Number(part)) if part == 0.8));
        assert!(matches!(asked("fracz"), Ok(Completeness::Column(name)) if name == "fracz"));
        for wrong in ["0", "1.5", "nan", "-1", "no/such.fits", "gone.csv"] {
            assert!(asked(wrong).is_err(), "{wrong}");
        }
    }
}
