//! Quarantine: one small JSON file for each tile that could not be made, saying why and what to do.
//!
//! It lies in `.bifrost/quarantine/TILE.json`, for products other than spectra in `PRODUCT-TILE.json`,
//! or under a hash of its sources where not even the tile could be told, and goes when it is made. `sync` carries it into the registry.

use crate::layout::{Lake, SPECTRA};
use crate::outcome::Outcome;
use crate::tile::{Name, Tile};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use uuid::Uuid;

const QUARANTINE: &str = "quarantine";

/// Why a tile could not be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The product that lacks it.
    #[serde(default = "spectra")]
    pub product: Name,
    /// The tile, where it could be told.
    pub tile: Option<Tile>,
    /// How it ended: the worst of what was found.
    pub outcome: Outcome,
    /// Everything that was found, the worst first.
    pub reasons: Vec<String>,
    /// What to do about it.
    pub advice: Option<String>,
    /// The files concerned.
    pub sources: Vec<PathBuf>,
    /// When it was found.
    pub at: DateTime<Utc>,
}

/// The product of records that name none.
fn spectra() -> Name {
    Name::new(SPECTRA).unwrap_or_else(|e| unreachable!("{e}"))
}

/// What cannot be read or written of the quarantine.
#[derive(Debug, thiserror::Error)]
#[error("failed to {action} {}: {source}", path.display())]
pub struct Error {
    action: &'static str,
    path: PathBuf,
    /// The system's reason.
    pub source: io::Error,
}

impl Error {
    fn new(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { action, path, source }
    }
}

/// Records why a tile could not be made, in place of what was recorded of it before.
///
/// # Errors
/// What the file system refuses.
pub fn record(lake: &Lake, record: &Record) -> Result<(), Error> {
    let path = path_of(lake, &record.product, record.tile.as_ref(), &record.sources);
    write(&path, record).map_err(Error::new("record", &path))
}

/// Forgets a tile of a product, and the same sources under no tile: it is made.
///
/// # Errors
/// What the file system refuses.
pub fn clear(lake: &Lake, product: &Name, tile: &Tile, sources: &[PathBuf]) -> Result<(), Error> {
    let paths = [path_of(lake, product, Some(tile), &[]), path_of(lake, product, None, sources)];
    for path in paths {
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(Error::new("clear", &path)(e));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Everything in quarantine, in the order of file names. What is no record is logged and left.
///
/// # Errors
/// What the file system refuses.
pub fn list(lake: &Lake) -> Result<Vec<Record>, Error> {
    let dir = lake.private(QUARANTINE);
    let entries = match fs::read_dir(&dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(Error::new("list", &dir))?,
    };
    let mut paths = entries
        .map(|entry| entry.map(|e| e.path()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(Error::new("list", &dir))?;
    paths.retain(|path| path.extension().is_some_and(|e| e == "json"));
    paths.sort();
    let mut records = Vec::new();
    for path in paths {
        match fs::read(&path).map(|text| serde_json::from_slice(&text)) {
            Ok(Ok(record)) => records.push(record),
            Ok(Err(e)) => tracing::warn!("left alone: {} is no record: {e}", path.display()),
            // cleared by another run in this moment
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::new("read", &path)(e)),
        }
    }
    Ok(records)
}

fn path_of(lake: &Lake, product: &Name, tile: Option<&Tile>, sources: &[PathBuf]) -> PathBuf {
    let name = match tile {
        Some(tile) if product.as_str() == SPECTRA => format!("{tile}.json"),
        Some(tile) => format!("{product}-{tile}.json"),
        None => {
            let mut hasher = blake3::Hasher::new();
            for source in sources {
                hasher.update(source.as_os_str().as_encoded_bytes()).update(b"\0");
            }
            format!("unknown-{}.json", &hasher.finalize().to_hex()[..16])
        }
    };
    lake.private(QUARANTINE).join(name)
}

fn write(path: &Path, record: &Record) -> io::Result<()> {
    let dir = path.parent().unwrap_or(path);
    fs::create_dir_all(dir)?;
    let draft = dir.join(format!("{}.draft", Uuid::new_v4()));
    let put = || -> io::Result<()> {
        let mut file = File::create(&draft)?;
        file.write_all(&serde_json::to_vec_pretty(record)?)?;
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    put().inspect_err(|_| {
        // on a full disk every byte counts
        let _ = fs::remove_file(&draft);
    })?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tile::{Name, Pixel};

    #[test]
    fn records_replace_each_other_and_go() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let lake = Lake::open_or_create(dir.path(), "here").expect("a lake");
        assert_eq!(list(&lake).expect("listed"), []);
        let name = |n| Name::new(n).expect("a name");
        let pixel = Pixel::new(7).expect("a pixel");
        let tile =
            Tile { release: name("iron"), survey: name("main"), program: name("dark"), pixel };
        let sources = vec![PathBuf::from("coadd-x.fits")];
        let mut first = Record {
            product: spectra(),
            tile: None,
            outcome: Outcome::Corrupt,
            reasons: vec!["x".into()],
            advice: Some("give --survey".into()),
            sources: sources.clone(),
            at: Utc::now(),
        };
        record(&lake, &first).expect("recorded");
        first.tile = Some(tile.clone());
        record(&lake, &first).expect("recorded");
        first.outcome = Outcome::Mismatch;
        record(&lake, &first).expect("recorded");
        fs::write(lake.private(QUARANTINE).join("y.json"), "{").expect("written");
        let listed = list(&lake).expect("listed");
        assert_eq!((listed.len(), &listed[0]), (2, &first));
        let folder = lake.private(QUARANTINE);
        fs::create_dir(folder.join("iron-main-dark-8.json")).expect("in the way");
        let eighth = Tile { pixel: Pixel::new(8).expect("a pixel"), ..tile.clone() };
        let blocked = Record { tile: Some(eighth), ..first.clone() };
        assert!(record(&lake, &blocked).is_err());
        let drafts = fs::read_dir(&folder).expect("listed").flatten();
        assert!(drafts.map(|e| e.path()).all(|p| p.extension().is_some_and(|e| e == "json")));
        fs::remove_dir(folder.join("iron-main-dark-8.json")).expect("removed");
        let other = Record { product: name("snr"), ..first.clone() };
        record(&lake, &other).expect("recorded");
        clear(&lake, &spectra(), &tile, &sources).expect("cleared");
        assert_eq!(list(&lake).expect("listed"), [other]);
        clear(&lake, &name("snr"), &tile, &sources).expect("cleared");
        assert_eq!(list(&lake).expect("listed"), []);
    }
}
