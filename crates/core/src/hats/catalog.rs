//! A catalog's own files: read as far as they are ours, written where they change.
//!
//! `hats.properties` is written last: whatever it says the catalog is as of is in the other files.

use super::AsOf;
use super::columns;
use super::partitions::Partitions;
use super::skymap;
use crate::VERSION;
use crate::layout::DATASET;
use crate::sky;
use crate::tile::Pixel;
use crate::whole::{flush_folder, write_changed};
use arrow::datatypes::Schema;
use std::fmt::Write;
use std::io;
use std::path::Path;
use uuid::Uuid;

/// What marks a catalog as kept here: whose it is.
const OWNER: &str = "bifrost_lake";
/// The registry's commit that the catalog is as of, and its time; absent where that is not known.
const COMMIT: &str = "bifrost_commit";
/// Fingerprints of the schemas in `_common_metadata`.
const SCHEMAS: &str = "bifrost_schemas";

const PROPERTIES: &str = "hats.properties";
const LEGACY_PROPERTIES: &str = "properties";
const PARTITION_INFO: &str = "partition_info.csv";
const COMMON_METADATA: &str = "_common_metadata";
/// The same map under the name of today and that of yesterday.
const MAPS: [&str; 2] = ["skymap.fits", "point_map.fits"];

/// A product's catalog.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Catalog {
    /// What it is as of; `None`: not known.
    pub(super) as_of: Option<AsOf>,
    pub(super) partitions: Partitions,
    pub(super) schema: Option<Schema>,
    /// Fingerprints of what came together in `schema`.
    pub(super) schemas: Vec<String>,
}

/// What is in the place of a catalog.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum There {
    /// Nothing, or what is left of one of ours.
    Nothing,
    /// Ours, and whole.
    Ours(Box<Catalog>),
    /// Another program's: left alone.
    Foreign,
}

impl Catalog {
    /// Reads the catalog of a product's folder.
    pub(super) fn read(folder: &Path, owner: Uuid) -> There {
        let text = std::fs::read_to_string(folder.join(PROPERTIES));
        let Ok(text) = text.or_else(|_| std::fs::read_to_string(folder.join(LEGACY_PROPERTIES)))
        else {
            return There::Nothing;
        };
        match value(&text, OWNER) {
            None => return There::Foreign,
            // a copy of another lake
            Some(other) if other != owner.to_string() => return There::Nothing,
            Some(_) => {}
        }
        let maps = MAPS.iter().chain([&LEGACY_PROPERTIES, &PROPERTIES]);
        if !maps.into_iter().all(|name| folder.join(name).is_file()) {
            return There::Nothing;
        }
        let partitions = std::fs::read_to_string(folder.join(PARTITION_INFO)).ok();
        let schema = columns::of_file(&folder.join(DATASET).join(COMMON_METADATA)).ok();
        let (Some(partitions), Some(schema)) =
            (partitions.and_then(|text| Partitions::parse(&text)), schema)
        else {
            return There::Nothing;
        };
        There::Ours(Box::new(Self {
            as_of: value(&text, COMMIT).and_then(AsOf::parse),
            partitions,
            schema: Some(schema),
            schemas: value(&text, SCHEMAS)
                .map(|s| s.split(' ').map(Into::into).collect())
                .unwrap_or_default(),
        }))
    }

    /// What a product's catalog is as of, without reading more than that.
    pub(super) fn as_of(folder: &Path, owner: Uuid) -> Option<AsOf> {
        let text = std::fs::read_to_string(folder.join(PROPERTIES)).ok()?;
        let files = MAPS.iter().chain([&LEGACY_PROPERTIES, &PARTITION_INFO]);
        let is_whole = files.into_iter().all(|name| folder.join(name).is_file())
            && folder.join(DATASET).join(COMMON_METADATA).is_file();
        let is_ours = value(&text, OWNER) == Some(&owner.to_string());
        value(&text, COMMIT).filter(|_| is_whole && is_ours).and_then(AsOf::parse)
    }

    /// Whether it can be a catalog.
    pub(super) fn has_positions(&self) -> bool {
        self.schema.as_ref().is_some_and(columns::has_positions)
    }

    /// Adds the columns of a file; `fingerprint` names its schema.
    pub(super) fn add_columns(&mut self, fingerprint: &str, schema: &Schema) {
        let both = self.schema.as_ref().map(|older| columns::merged(older, schema));
        self.schema = Some(both.unwrap_or_else(|| schema.clone()));
        self.schemas.push(fingerprint.to_owned());
    }

    /// Writes what changed into a product's folder, by way of a draft; says whether anything did.
    /// What has no positions is no catalog: nothing is written of it.
    pub(super) fn write(
        &self,
        folder: &Path,
        product: &str,
        owner: Uuid,
        draft: &Path,
    ) -> io::Result<bool> {
        let Some(schema) = self.schema.as_ref().filter(|_| self.has_positions()) else {
            return Ok(false);
        };
        let dataset = folder.join(DATASET);
        let common = columns::common_metadata(product, schema).map_err(io::Error::other)?;
        let (order, rows) = self.partitions.coverage();
        let (map, info) = (skymap::fits(order, &rows), self.partitions.csv());
        let [map_of_today, map_of_yesterday] = MAPS.map(|name| folder.join(name));
        let content: [(&Path, &[u8]); _] = [
            (&dataset.join(COMMON_METADATA), &common),
            (&folder.join(PARTITION_INFO), info.as_bytes()),
            (&map_of_today, &map),
            (&map_of_yesterday, &map),
        ];
        let is_changed = write_changed(&content, draft)?;
        if is_changed {
            flush_folder(&dataset)?;
            flush_folder(folder)?;
        }
        let properties = self.properties(product, schema, owner, (order, rows.len()));
        let [legacy, properties_at] = [LEGACY_PROPERTIES, PROPERTIES].map(|name| folder.join(name));
        let about: [(&Path, &[u8]); _] =
            [(&legacy, properties.as_bytes()), (&properties_at, properties.as_bytes())];
        let is_said = write_changed(&about, draft)?;
        if is_said {
            flush_folder(folder)?;
        }
        Ok(is_changed || is_said)
    }

    /// The last are the order of the map, and how many pixels it has.
    fn properties(
        &self,
        product: &str,
        schema: &Schema,
        owner: Uuid,
        (order, pixels): (u8, usize),
    ) -> String {
        let total = self.partitions.total();
        let largest =
            |of: fn(&super::Content) -> u64| self.partitions.0.values().map(of).max().unwrap_or(0);
        let covered_deg2 = pixels as f64 * sky::cell_area_deg2(order);
        let whole_deg2 = sky::cell_area_deg2(0) * 12.0;
        let mut text = "#HATS catalog, kept by bifrost\n".to_owned();
        let mut put = |key: &str, value: &dyn std::fmt::Display| {
            // writing to a string cannot fail
            let _ = writeln!(text, "{key}={value}");
        };
        put("obs_collection", &product);
        put("dataproduct_type", &"object");
        put("hats_nrows", &total.rows);
        put("hats_col_ra", &"ra");
        put("hats_col_dec", &"dec");
        put("hats_cols_default", &columns::defaults(schema).join(" "));
        put("hats_col_healpix", &"_healpix_29");
        put("hats_col_healpix_order", &sky::ORDER);
        put("hats_npix_suffix", &"/");
        put(
            "hats_order",
            &self.partitions.0.keys().map(|(order, _)| *order).max().unwrap_or(Pixel::ORDER),
        );
        put("hats_skymap_order", &order);
        put("hats_max_rows", &largest(|content| content.rows));
        put("hats_max_bytes", &largest(|content| content.size_bytes));
        put("hats_estsize", &total.size_bytes.div_ceil(1024));
        put("moc_sky_fraction", &format_args!("{:.5}", covered_deg2 / whole_deg2));
        put("hats_builder", &format_args!("bifrost {VERSION}"));
        put("hats_version", &"v1.0");
        put(OWNER, &owner);
        if let Some(as_of) = self.as_of {
            put(COMMIT, &as_of);
        }
        put(SCHEMAS, &self.schemas.join(" "));
        text
    }
}

/// A value in a properties file as it is written here: no escapes, no continued lines.
pub(super) fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hats::Content;
    use arrow::datatypes::{DataType, Field};
    use chrono::DateTime;
    use std::fs;

    fn as_of() -> AsOf {
        AsOf {
            commit: 7,
            at: DateTime::from_timestamp_micros(1_789_000_000_000_001).expect("a time"),
        }
    }

    fn catalog() -> Catalog {
        let field = |name: &str| Field::new(name, DataType::Float64, true);
        let schema = Schema::new(["_healpix_29", "ra", "dec"].map(field).to_vec());
        let content = Content { rows: 5, files: 1, size_bytes: 2049 };
        let mut catalog = Catalog { as_of: Some(as_of()), ..Catalog::default() };
        catalog.partitions.0.insert((6, 10_000), content);
        catalog.add_columns("f1", &schema);
        catalog
    }

    #[test]
    fn a_catalog_is_read_as_it_was_written_and_written_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let product = folder.path().join("p");
        fs::create_dir_all(product.join(DATASET)).expect("made");
        let (owner, draft) = (Uuid::from_u128(1), folder.path().join("draft"));
        let write =
            |catalog: &Catalog| catalog.write(&product, "p", owner, &draft).expect("written");
        assert_eq!(Catalog::read(&product, owner), There::Nothing);
        assert!(write(&catalog()) && !write(&catalog()));
        assert_eq!(Catalog::read(&product, owner), There::Ours(Box::new(catalog())));
        assert_eq!(Catalog::as_of(&product, owner), Some(as_of()));
        let text = fs::read_to_string(product.join("hats.properties")).expect("there");
        assert!(text.contains("\nhats_nrows=5\n") && text.contains("\nhats_estsize=3\n"), "{text}");
    }

    #[test]
    fn what_is_not_ours_or_not_whole_is_told_apart() {
        let folder = tempfile::tempdir().expect("a folder");
        let product = folder.path();
        fs::create_dir_all(product.join(DATASET)).expect("made");
        let (owner, draft) = (Uuid::from_u128(1), product.join("draft"));
        catalog().write(product, "p", owner, &draft).expect("written");
        assert_eq!(Catalog::read(product, Uuid::from_u128(2)), There::Nothing, "another lake's");
        fs::remove_file(product.join("point_map.fits")).expect("removed");
        assert_eq!(Catalog::read(product, owner), There::Nothing);
        assert_eq!(Catalog::as_of(product, owner), None);
        for name in [PROPERTIES, LEGACY_PROPERTIES] {
            fs::write(product.join(name), "obs_collection=theirs\n").expect("written");
        }
        assert_eq!(Catalog::read(product, owner), There::Foreign);
    }
}
