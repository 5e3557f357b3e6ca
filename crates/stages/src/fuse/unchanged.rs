//! Whether a published file is what the same inputs and settings would give again.

use super::config::Config;
use super::inputs::Inputs;
use super::sums;
use bifrost_core::metadata::{self, Input};
use parquet::file::metadata::ParquetMetaDataReader;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::Path;

/// Whether the file at `live` needs not be made again: same settings, same files.
///
/// A file is the same if name, size and time are, or if its digest is. A tile that was published
/// unverified is made again once sum files are there and verification is wanted.
#[must_use]
pub fn is_current(live: &Path, inputs: &Inputs, config: &Config) -> bool {
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
    inputs.files.iter().all(|(kind, now)| {
        made_from.get(kind.as_str()).is_some_and(|then| {
            (then.verified || !stated.contains_key(kind))
                && is_same(then, now, &inputs.paths[kind], stated.get(kind))
        })
    })
}

fn is_same(then: &Input, now: &Input, path: &Path, stated: Option<&String>) -> bool {
    if (&then.name, then.size_bytes) != (&now.name, now.size_bytes) {
        return false;
    }
    // a sum file that states another digest says that the file was meant to change
    if stated.is_some_and(|stated| then.sha256.as_ref() != Some(stated)) {
        return false;
    }
    then.mtime_ns == now.mtime_ns
        || then.sha256.as_ref().is_some_and(|then| sums::sha256(path).is_ok_and(|now| now == *then))
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
