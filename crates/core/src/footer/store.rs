//! A spectra store, as the registry sees any file: groups for row groups, and no columns. What it
//! holds are columns of `spectra`.

use super::{Footer, Packed, Schema};
use crate::metadata;
use crate::store::{Index, PRODUCT};
use std::sync::Arc;

impl Footer {
    /// Of a store with that index, of which `hash` is the checksum.
    #[must_use]
    pub fn of_store(index: &Index, hash: [u8; 16]) -> Self {
        let schema = Schema::without_columns();
        let of_rows = |num_rows: i64| Packed { num_rows, ..Packed::unknown(schema.slots()) };
        let rows = || index.groups.iter().map(|group| i64::from(group.rows));
        let groups =
            if index.groups.len() > 1 { rows().map(of_rows).collect() } else { Vec::new() };
        let stage = serde_json::to_string(&index.stage).unwrap_or_default();
        let key_values = [
            (metadata::VERSION, index.written_by.clone()),
            (metadata::PRODUCT, PRODUCT.to_owned()),
            (metadata::STAGE, stage),
            (metadata::CONFIGURATION, index.configuration.clone()),
            (metadata::CONTENT, index.content.clone()),
        ];
        Self {
            num_row_groups: index.groups.len(),
            bounds: of_rows(rows().sum()),
            groups,
            keys: Vec::new(),
            writer: Some(format!("bifrost {}", index.written_by)),
            key_values: key_values.map(|(key, value)| (key.to_owned(), value)).into(),
            hash,
            schema: Arc::new(schema),
        }
    }
}
