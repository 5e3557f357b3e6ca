//! What our files say of themselves: keys of the Parquet footer and of its columns.
//!
//! A file carries its own provenance, so that a registry can be made anew from the lake alone.

use crate::tile::Name;
use serde::{Deserialize, Serialize};

/// Version of Bifrost that wrote the file.
pub const VERSION: &str = "bifrost.version";
/// Product the file belongs to.
pub const PRODUCT: &str = "bifrost.product";
/// The tile, as JSON ([`crate::tile::Tile`]).
pub const TILE: &str = "bifrost.tile";
/// The stage that made it, as JSON ([`MadeBy`]).
pub const STAGE: &str = "bifrost.stage";
/// The archive's files it was made from, as JSON (a list of [`Input`]).
pub const INPUTS: &str = "bifrost.inputs";
/// The published files it was made from, as JSON (a list of [`Parent`]).
pub const PARENTS: &str = "bifrost.parents";
/// Fingerprint of the configuration that shaped the content (hex).
pub const CONFIG: &str = "bifrost.config";
/// That configuration itself, as JSON.
pub const CONFIGURATION: &str = "bifrost.configuration";
/// Hash of the TARGETIDs in row order (hex): products of one tile with equal hashes zip.
pub const ORDER: &str = "bifrost.order";
/// How many rows have a TARGETID that names a brick in which they do not lie (see
/// [`crate::sky::bricks::is_off`]).
pub const OFF_BRICK: &str = "bifrost.off_brick";
/// [`Content`] of the file, written as `blake3:HEX:LENGTH`.
pub const CONTENT: &str = "bifrost.content";
/// Header cards of the inputs that are worth keeping, as JSON (name to value).
pub const HEADERS: &str = "bifrost.headers";
/// What was noticed while it was made, as JSON (a list of sentences).
pub const NOTES: &str = "bifrost.notes";

/// Field metadata: unit in VOUnit spelling.
pub const UNIT: &str = "unit";
/// Field metadata: IVOA UCD1+ word.
pub const UCD: &str = "ucd";
/// Field metadata: one sentence.
pub const DESCRIPTION: &str = "description";

/// A stage and its version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeBy {
    /// Name of the stage.
    pub name: String,
    /// Its version: another one gives other files.
    pub version: u32,
}

/// One published file that a file of another product was made from: the same tile, the same rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// Its product.
    pub product: Name,
    /// Bare file name.
    pub name: String,
    /// Bytes.
    pub size_bytes: i64,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Checksum of its content ([`Content`]): as it states it, else of the whole file.
    pub content: String,
    /// Hash of its row order ([`crate::order::Order`]).
    pub order: String,
}

/// One file of the archive that a published file was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// `coadd`, `redrock`, `emline` or `rrdetails`.
    pub kind: String,
    /// Bare file name.
    pub name: String,
    /// Bytes.
    pub size_bytes: u64,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Digest (hex), computed or, with `verified` false, as the sum file states it.
    pub sha256: Option<String>,
    /// Whether the digest was computed and agreed with the archive's sum file.
    pub verified: bool,
}

/// Checksum of everything in a file that precedes its footer's key-value metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// BLAKE3 of the first `length` bytes.
    pub blake3: [u8; 32],
    /// How many bytes it covers, from the start of the file.
    pub length: u64,
}

impl std::fmt::Display for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "blake3:{}:{}", blake3::Hash::from(self.blake3).to_hex(), self.length)
    }
}

impl std::str::FromStr for Content {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let (hex, length) =
            text.strip_prefix("blake3:").and_then(|rest| rest.split_once(':')).ok_or(())?;
        let blake3 = *blake3::Hash::from_hex(hex).map_err(|_| ())?.as_bytes();
        Ok(Self { blake3, length: length.parse().map_err(|_| ())? })
    }
}
