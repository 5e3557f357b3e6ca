//! Rows about one file, as COPY wants them: values in the order of `sql/sync_copy_….sql`.

use super::copy::Rows;
use super::row_groups;
use crate::footer::Footer;
use crate::metadata::Parent;
use crate::occupancy;
use crate::store::Group;
use crate::tile::Tile;
use std::ops::Range;
use uuid::Uuid;

/// A version of a file.
#[derive(Debug, Clone)]
pub(crate) struct FileRow<'a> {
    pub(crate) file_id: i64,
    pub(crate) lake_id: Uuid,
    pub(crate) added_commit: i64,
    pub(crate) size_bytes: i64,
    pub(crate) mtime_ns: i64,
    pub(crate) inode: i64,
    pub(crate) node: &'a str,
    pub(crate) product: &'a str,
    pub(crate) path: &'a str,
    pub(crate) tile: Option<&'a Tile>,
    pub(crate) sky: Option<Range<i64>>,
    pub(crate) content: Result<ReadRow<'a>, &'a str>,
}

/// What was found in a file that could be read; otherwise there is a reason.
#[derive(Debug, Clone)]
pub(crate) struct ReadRow<'a> {
    pub(crate) num_rows: i64,
    pub(crate) num_row_groups: i32,
    pub(crate) schema_id: i32,
    pub(crate) making_id: i32,
    pub(crate) in_catalog: bool,
    pub(crate) is_ours: bool,
    pub(crate) z: (Option<f64>, Option<f64>),
    pub(crate) deltachi2: (Option<f64>, Option<f64>),
    pub(crate) zwarn: (Option<i64>, Option<i64>),
    pub(crate) target_id: (Option<i64>, Option<i64>),
    pub(crate) ra: (Option<f64>, Option<f64>),
    pub(crate) dec: (Option<f64>, Option<f64>),
    pub(crate) spectype: (Option<&'a str>, Option<&'a str>),
    pub(crate) footer_hash: &'a [u8],
    pub(crate) content: Option<&'a str>,
    pub(crate) order_hash: Option<&'a str>,
    pub(crate) promoted: Option<&'a [u8]>,
    pub(crate) off_brick: Option<i64>,
}

impl Rows {
    /// A row of `file_registry`.
    pub(crate) fn file(&mut self, file: &FileRow<'_>) {
        let read = file.content.as_ref().ok();
        self.begin(41);
        self.int8(file.file_id);
        self.bytes(file.lake_id.as_bytes());
        self.int8(file.added_commit);
        self.int8(file.size_bytes);
        self.int8(file.mtime_ns);
        self.int8(file.inode);
        self.maybe(read.map(|r| r.num_rows), Self::int8);
        self.maybe(read.map(|r| r.num_row_groups), Self::int4);
        self.maybe(read.map(|r| r.schema_id), Self::int4);
        self.maybe(read.map(|r| r.making_id), Self::int4);
        self.maybe(file.tile.map(|t| t.pixel.get() as i32), Self::int4);
        self.bool(read.is_some_and(|r| r.in_catalog));
        self.bool(read.is_some_and(|r| r.is_ours));
        self.range(read.map(|r| r.z), Self::float8);
        self.range(read.map(|r| r.deltachi2), Self::float8);
        self.range(read.map(|r| r.zwarn), Self::int8);
        self.range(read.map(|r| r.target_id), Self::int8);
        self.range(read.map(|r| r.ra), Self::float8);
        self.range(read.map(|r| r.dec), Self::float8);
        self.maybe(file.sky.as_ref(), Self::int8range);
        self.text(if read.is_some() { "live" } else { "quarantined" });
        self.text(file.node);
        self.text(file.product);
        self.text(file.path);
        self.maybe(file.tile.map(|t| t.release.as_str()), Self::text);
        self.maybe(file.tile.map(|t| t.survey.as_str()), Self::text);
        self.maybe(file.tile.map(|t| t.program.as_str()), Self::text);
        self.range(read.map(|r| r.spectype), Self::text);
        self.maybe(read.map(|r| r.footer_hash), Self::bytes);
        self.maybe(read.and_then(|r| r.content), Self::text);
        self.maybe(read.and_then(|r| r.order_hash), Self::text);
        self.maybe(read.and_then(|r| r.promoted), Self::bytes);
        self.maybe(read.and_then(|r| r.off_brick), Self::int8);
        self.maybe(file.content.as_ref().err().copied(), Self::text);
    }

    fn range<T>(
        &mut self,
        range: Option<(Option<T>, Option<T>)>,
        mut put: impl FnMut(&mut Self, T),
    ) {
        let (min, max) = range.unwrap_or((None, None));
        self.maybe(min, &mut put);
        self.maybe(max, &mut put);
    }

    /// A row of `catalog_labels`.
    pub(crate) fn label(&mut self, label_id: i32, label: &Label) {
        self.begin(10);
        self.int4(label_id);
        self.maybe(label.zwarn, Self::int8);
        self.maybe(label.coadd_fiberstatus, Self::int4);
        self.maybe(label.healpix, Self::int4);
        for text in [
            &label.release,
            &label.survey,
            &label.program,
            &label.spectype,
            &label.subtype,
            &label.objtype,
        ] {
            self.maybe(text.as_deref(), Self::text);
        }
    }

    /// A row of `file_bounds`.
    pub(crate) fn bounds(&mut self, file_id: i64, footer: &Footer) {
        let bounds = &footer.bounds;
        self.begin(12);
        self.int8(file_id);
        self.int8(bounds.num_rows);
        self.int4s(bounds.null_count.iter().copied());
        self.int8s(bounds.ints.iter().map(|ends| ends.min));
        self.int8s(bounds.ints.iter().map(|ends| ends.max));
        self.float8s(bounds.floats.iter().map(|ends| ends.min));
        self.float8s(bounds.floats.iter().map(|ends| ends.max));
        let no_nan = footer.is_ours().then(|| bounds.floats.iter().map(|_| false));
        self.maybe(no_nan, Self::bools);
        self.texts(bounds.texts.iter().map(|ends| ends.min.as_deref()));
        self.texts(bounds.texts.iter().map(|ends| ends.max.as_deref()));
        self.bools(bounds.texts.iter().map(|ends| ends.is_exact));
        self.maybe(row_groups::pack(footer).as_deref(), Self::bytes);
    }
}

impl Rows {
    /// A row of `file_parents`.
    pub(crate) fn parent(&mut self, file_id: i64, parent: &Parent) {
        self.begin(7);
        self.int8(file_id);
        self.int8(parent.size_bytes);
        self.int8(parent.mtime_ns);
        self.text(parent.product.as_str());
        self.text(&parent.name);
        self.text(&parent.content);
        self.text(&parent.order);
    }
}

impl Rows {
    /// A row of `store_groups`.
    pub(crate) fn group(&mut self, file_id: i64, group: &Group) {
        let place = |at: u64| i64::try_from(at).unwrap_or(i64::MAX);
        let count = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        let (tile, parent) = (&group.tile, &group.parent);
        self.begin(16);
        self.int8(file_id);
        self.int8(parent.size_bytes);
        self.int8(parent.mtime_ns);
        self.int8(place(group.wavelength));
        self.int8(place(group.target_id));
        self.int8(place(group.chunks_at));
        self.int4(tile.pixel.get() as i32);
        self.int4(count(group.rows));
        self.int4(count(group.pixels));
        self.text(tile.release.as_str());
        self.text(tile.survey.as_str());
        self.text(tile.program.as_str());
        self.text(&group.path);
        self.text(&parent.name);
        self.text(&parent.content);
        self.text(&parent.order);
    }
}

/// What many rows of the catalog share. A tile is named where it is not that of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Label<T = String> {
    pub(crate) zwarn: Option<i64>,
    pub(crate) coadd_fiberstatus: Option<i32>,
    pub(crate) healpix: Option<i32>,
    pub(crate) release: Option<T>,
    pub(crate) survey: Option<T>,
    pub(crate) program: Option<T>,
    pub(crate) spectype: Option<T>,
    pub(crate) subtype: Option<T>,
    pub(crate) objtype: Option<T>,
}

impl<T> Label<T> {
    fn map<'a, U>(&'a self, text: impl Fn(&'a T) -> U) -> Label<U> {
        let text = |value: &'a Option<T>| value.as_ref().map(&text);
        Label {
            zwarn: self.zwarn,
            coadd_fiberstatus: self.coadd_fiberstatus,
            healpix: self.healpix,
            release: text(&self.release),
            survey: text(&self.survey),
            program: text(&self.program),
            spectype: text(&self.spectype),
            subtype: text(&self.subtype),
            objtype: text(&self.objtype),
        }
    }
}

impl Label {
    pub(crate) fn borrowed(&self) -> Label<&str> {
        self.map(String::as_str)
    }
}

impl Label<&str> {
    pub(crate) fn owned(&self) -> Label {
        self.map(|text| (*text).to_owned())
    }
}

/// Rows of one class in one file.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ClassRow {
    pub(crate) spectype: Option<String>,
    pub(crate) zwarn_zero: bool,
    pub(crate) num_rows: i64,
    pub(crate) z_min: Option<f64>,
    pub(crate) z_max: Option<f64>,
    pub(crate) z_bins: Vec<i16>,
    pub(crate) z_counts: Vec<Option<i32>>,
}

impl Rows {
    /// A row of `file_classes`.
    pub(crate) fn class(&mut self, file_id: i64, class: &ClassRow) {
        self.begin(8);
        self.int8(file_id);
        self.int8(class.num_rows);
        self.maybe(class.z_min, Self::float8);
        self.maybe(class.z_max, Self::float8);
        self.bool(class.zwarn_zero);
        self.maybe(class.spectype.as_deref(), Self::text);
        self.int2s(class.z_bins.iter().copied());
        self.int4s(class.z_counts.iter().copied());
    }
}

impl Rows {
    /// A row of `file_cells`.
    pub(crate) fn cells(
        &mut self,
        file_id: i64,
        release: Option<&str>,
        classes: &[ClassRow],
        objects: Option<&[u8]>,
    ) {
        let cells = occupancy::cells(
            release,
            classes.iter().map(|row| {
                let with_redshift: i64 = row.z_counts.iter().flatten().map(|n| i64::from(*n)).sum();
                occupancy::Class {
                    spectype: row.spectype.as_deref(),
                    zwarn_zero: row.zwarn_zero,
                    z_bins: &row.z_bins,
                    has_no_redshift: row.num_rows > with_redshift,
                }
            }),
        );
        let ends = occupancy::Ends::of(
            classes
                .iter()
                .map(|row| (row.spectype.as_deref(), row.zwarn_zero, row.z_min, row.z_max)),
        );
        self.begin(4);
        self.int8(file_id);
        self.int2s(cells.into_iter());
        self.float4s(ends.packed().into_iter());
        self.maybe(objects, Self::bytes);
    }
}

/// Counts over the rows of one file.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct FactsRow {
    pub(crate) num_rows: i64,
    pub(crate) zwarn_zero: i64,
    pub(crate) negative_ids: i64,
    pub(crate) without_position: i64,
    pub(crate) good_fibers: i64,
    /// All, and those with zwarn = 0, of bgs, lrg, elg, qso, mws, scnd, other.
    pub(crate) targets: [[i64; 2]; 7],
}

impl Rows {
    /// A row of `file_facts`.
    pub(crate) fn facts(&mut self, file_id: i64, facts: &FactsRow) {
        self.begin(20);
        self.int8(file_id);
        self.int8(facts.num_rows);
        self.int8(facts.zwarn_zero);
        self.int8(facts.negative_ids);
        self.int8(facts.without_position);
        self.int8(facts.good_fibers);
        for count in facts.targets.iter().flatten() {
            self.int8(*count);
        }
    }
}
