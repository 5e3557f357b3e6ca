//! What shapes the fused file, and its fingerprint.

use super::precision::Precision;
use bifrost_core::predicate::Predicate;
use bifrost_core::tile::Name;
use serde::{Deserialize, Serialize};

/// Changes whenever the same inputs and settings would give another file.
pub(super) const REVISION: u32 = 2;

/// Which rows are kept before any `--where`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// Real targets: TARGETID above 0 and OBJTYPE 'TGT'.
    #[default]
    Targets,
    /// Sky and unassigned fibres too.
    All,
}

/// Where the arrays of rows are put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arrays {
    /// In the tile's Parquet file.
    #[default]
    Parquet,
    /// In the pixel's spectra store; the Parquet file says where.
    Hdf5,
    /// In both.
    Both,
}

impl Arrays {
    /// Whether the Parquet file has them.
    #[must_use]
    pub fn in_parquet(self) -> bool {
        self != Self::Hdf5
    }

    /// Whether the spectra store has them.
    #[must_use]
    pub fn in_store(self) -> bool {
        self != Self::Parquet
    }
}

/// Compression of pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// Zstandard of a level.
    Zstd(i32),
    /// Snappy.
    Snappy,
    /// None.
    Uncompressed,
}

/// How rows are laid out in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Rows of a row group.
    pub group_rows: usize,
    /// Rows of an array page.
    pub page_rows: usize,
    /// Compression.
    pub codec: Codec,
}

impl Default for Layout {
    fn default() -> Self {
        Self { group_rows: 512, page_rows: 8, codec: Codec::Zstd(1) }
    }
}

/// Parts of the tile's key, for files that do not say them.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// Production, such as iron.
    pub release: Option<Name>,
    /// Survey, such as main.
    pub survey: Option<Name>,
    /// Program, such as dark.
    pub program: Option<Name>,
}

/// Everything that `convert` can be told.
#[derive(Debug, Clone)]
pub struct Config {
    /// Rows that are kept.
    pub keep: Keep,
    /// Condition on the scalar columns.
    pub selection: Option<Predicate>,
    /// Rounding of the arrays.
    pub precision: Precision,
    /// Wavelengths that are kept, both ends included.
    pub wave_angstrom: (f64, f64),
    /// Layout of the file.
    pub layout: Layout,
    /// Where arrays are put.
    pub arrays: Arrays,
    /// How arrays are stored in spectra stores.
    pub store: crate::store::Layout,
    /// Whether sums are verified.
    pub verify: bool,
    /// Whether tiles are made again that are up to date.
    pub force: bool,
    /// Parts of the key.
    pub given: Given,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            keep: Keep::Targets,
            selection: None,
            precision: Precision::Decimals,
            wave_angstrom: (3600.0, 9800.0),
            layout: Layout::default(),
            arrays: Arrays::default(),
            store: crate::store::Layout::default(),
            verify: true,
            force: false,
            given: Given::default(),
        }
    }
}

impl Config {
    /// What shapes the content.
    #[must_use]
    pub fn shape(&self) -> serde_json::Value {
        let mut shape = serde_json::json!({
            "revision": REVISION,
            "keep": self.keep,
            "where": self.selection.as_ref().map(Predicate::to_string),
            "precision": self.precision.to_string(),
            "wave": [self.wave_angstrom.0, self.wave_angstrom.1],
            "layout": self.layout,
        });
        // a file with its arrays is the same file wherever else they are
        if !self.arrays.in_parquet() {
            shape["arrays"] = serde_json::json!(self.arrays);
        }
        shape
    }

    /// Fingerprint of what shapes the content; hex.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        blake3::hash(self.shape().to_string().as_bytes()).to_hex()[..32].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_shapes_the_file_counts() {
        let base = Config::default().fingerprint();
        let quick = Config { verify: false, force: true, ..Config::default() };
        assert_eq!(quick.fingerprint(), base);
        let all = Config { keep: Keep::All, ..Config::default() };
        assert_ne!(all.fingerprint(), base);
        let both = Config { arrays: Arrays::Both, ..Config::default() };
        assert_eq!(both.fingerprint(), base);
        let elsewhere = Config { arrays: Arrays::Hdf5, ..Config::default() };
        assert_ne!(elsewhere.fingerprint(), base);
        let cut = Config { wave_angstrom: (3600.0, 9800.5), ..Config::default() };
        assert_ne!(cut.fingerprint(), base);
    }
}
