//! Whether a published file is what the same inputs and settings would give again.

use super::config::Config;
use super::inputs::Inputs;
use super::sources::Kind;
use bifrost_core::layout::Lake;
use bifrost_core::metadata::{self, Input};
use bifrost_core::tile::Tile;
use parquet::file::metadata::ParquetMetaDataReader;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Whether the file at `live` needs not be made again: same settings, same files.
///
/// A file is the same if name, size and time are, or if its digest is; what is computed of digests
/// goes to `remembered`. A tile that was published unverified is made again once sum files are
/// there and verification is wanted.
#[must_use]
pub fn is_current(
    live: &Path,
    inputs: &Inputs,
    config: &Config,
    remembered: &mut Remembered,
) -> bool {
    let Some(about) = key_values(live) else { return false };
    let is = |key: &str, wanted: &str| about.get(key).is_some_and(|value| value == wanted);
    if !is(metadata::CONFIG, &config.fingerprint()) {
        return false;
    }
    let Some(made_from) = about.get(metadata::INPUTS).and_then(|text| parse(text)) else {
        return false;
    };
    if made_from.len() != inputs.files.len() {
        return false;
    }
    let stated = if config.verify { inputs.stated_sums() } else { HashMap::new() };
    let mut touched = Vec::new();
    for (kind, now) in &inputs.files {
        let Some(then) = made_from.get(kind.as_str()) else { return false };
        if !may_be_same(then, now, stated.get(kind)) {
            return false;
        }
        if then.mtime_ns != now.mtime_ns {
            touched.push((*kind, then));
        }
    }
    remembered.digest(inputs, touched.iter().map(|(kind, _)| *kind));
    let is_same = |(kind, then): &(Kind, &Input)| {
        then.sha256.is_some() && then.sha256.as_deref() == remembered.of(&inputs.files[kind])
    };
    touched.iter().all(is_same)
}

/// Digests of the files that the file at `live` was made of with such settings, by kind; `None` where
/// one of them was not verified.
#[must_use]
pub fn verified_digests(live: &Path, config: &Config) -> Option<BTreeMap<String, String>> {
    let about = key_values(live)?;
    let is_so_made = about.get(metadata::CONFIG).is_some_and(|made| *made == config.fingerprint());
    let made_from =
        about.get(metadata::INPUTS).and_then(|text| parse(text)).filter(|_| is_so_made)?;
    let digest = |input: Input| Some((input.kind, input.sha256.filter(|_| input.verified)?));
    made_from.into_values().map(digest).collect()
}

/// As far as can be told without reading it.
fn may_be_same(then: &Input, now: &Input, stated: Option<&String>) -> bool {
    (&then.name, then.size_bytes) == (&now.name, now.size_bytes)
        // a sum file that states another digest says that the file was meant to change
        && stated.is_none_or(|stated| then.verified && then.sha256.as_ref() == Some(stated))
        && (then.mtime_ns == now.mtime_ns || then.sha256.is_some())
}

/// Digests of a tile's files whose times alone have changed since it was published.
///
/// The published file cannot take note of the new times, for it is not written again: they are
/// kept in `.bifrost/digests/TILE.json`, so that the files are read once and not in every run. It is
/// a memory and no more: without it, or where it is damaged, digests are computed again.
#[derive(Debug)]
pub struct Remembered {
    path: PathBuf,
    files: Vec<Input>,
    is_new: bool,
}

impl Remembered {
    /// What is remembered of a tile.
    #[must_use]
    pub fn read(lake: &Lake, tile: &Tile) -> Self {
        let path = lake.private("digests").join(format!("{tile}.json"));
        let text = fs::read(&path).unwrap_or_default();
        Self { path, files: serde_json::from_slice(&text).unwrap_or_default(), is_new: false }
    }

    /// Keeps what was computed, if anything was. The tile must be claimed.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn write(&self) -> io::Result<()> {
        if !self.is_new {
            return Ok(());
        }
        fs::create_dir_all(self.path.parent().unwrap_or(&self.path))?;
        let draft = self.path.with_extension("draft");
        fs::write(&draft, serde_json::to_vec_pretty(&self.files)?)?;
        fs::rename(&draft, &self.path)
    }

    /// The digest of a file of this name, size and time.
    fn of(&self, file: &Input) -> Option<&str> {
        let is_it = |known: &&Input| {
            (&known.kind, &known.name) == (&file.kind, &file.name)
                && (known.size_bytes, known.mtime_ns) == (file.size_bytes, file.mtime_ns)
        };
        self.files.iter().find(is_it)?.sha256.as_deref()
    }

    /// Computes the digests that are not known.
    fn digest(&mut self, inputs: &Inputs, kinds: impl Iterator<Item = Kind>) {
        let unknown = kinds.filter(|kind| self.of(&inputs.files[kind]).is_none());
        for (kind, digest) in inputs.digests(unknown) {
            // a file that cannot be read now is found out when the tile is made again
            let Ok(digest) = digest else { continue };
            self.files.retain(|known| known.kind != kind.as_str());
            self.files.push(Input { sha256: Some(digest), ..inputs.files[&kind].clone() });
            self.is_new = true;
        }
    }
}

fn parse(text: &str) -> Option<BTreeMap<String, Input>> {
    let inputs: Vec<Input> = serde_json::from_str(text).ok()?;
    Some(inputs.into_iter().map(|input| (input.kind.clone(), input)).collect())
}

/// The footer's key-value metadata; `None` where the file is not readable.
fn key_values(path: &Path) -> Option<HashMap<String, String>> {
    let file = File::open(path).ok()?;
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&file).ok()?;
    let pairs = metadata.file_metadata().key_value_metadata()?;
    Some(pairs.iter().filter_map(|kv| Some((kv.key.clone(), kv.value.clone()?))).collect())
}
