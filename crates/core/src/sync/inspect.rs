//! One file: what the registry will know of it.

use super::walk::Seen;
use crate::footer::{Column, Footer, Kind, Schemas, Tail};
use crate::guard::guard;
use crate::layout::{self, DATASET};
use crate::metadata::{self, Parent};
use crate::registry::promoted;
use crate::store::{self, Group, Index};
use crate::tile::{FileName, Tile};
use crate::{order, sky};
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::retry_on_intr;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::Path;

/// What became of reading a file's footer.
pub(super) enum Inspected {
    Read(Box<Found>),
    /// It is there, and this is why it cannot be read.
    Unreadable(String),
    /// It changed or went while it was being read: the next sync will see.
    Unsettled,
}

/// What was found in a footer.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) footer: Footer,
    pub(super) tile: Option<Tile>,
    pub(super) sky: Option<Range<i64>>,
    pub(super) making: Making,
    /// Hash of its row order, stated or computed.
    pub(super) order_hash: Option<String>,
    /// The published files that it was made of.
    pub(super) parents: Vec<Parent>,
    /// The groups of a spectra store.
    pub(super) groups: Vec<Group>,
}

/// How a file was made, as far as its footer tells.
#[derive(Clone)]
pub(super) struct Making {
    pub(super) fingerprint: blake3::Hash,
    /// JSON.
    pub(super) document: String,
}

/// Reads footers of one lake, and keeps at hand what the next file is likely to need again.
pub(super) struct Inspector<'a> {
    root: &'a Path,
    schemas: &'a Schemas,
    tail: Tail,
    /// The folder of the last file's folder, relative to the lake: of a path of ten names the system
    /// then looks up two.
    folder: Option<(String, OwnedFd)>,
}

impl<'a> Inspector<'a> {
    pub(super) fn new(root: &'a Path, schemas: &'a Schemas) -> Self {
        Self { root, schemas, tail: Tail::default(), folder: None }
    }

    /// Reads a file's footer.
    pub(super) fn inspect(&mut self, seen: &Seen) -> Inspected {
        if let Some(problem) = seen.problem {
            return Inspected::Unreadable(problem.to_owned());
        }
        let file = match self.open(&seen.path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Inspected::Unsettled,
            Err(e) => return Inspected::Unreadable(crate::footer::Error::Io(e).to_string()),
        };
        let size_bytes = u64::try_from(seen.size_bytes).unwrap_or(0);
        if seen.product() == store::PRODUCT {
            let index = guard(|| Index::read(&file, size_bytes));
            if !file.metadata().is_ok_and(|now| seen.is(&now)) {
                return Inspected::Unsettled;
            }
            return match index {
                Ok(Ok((index, hash))) => {
                    Inspected::Read(Box::new(Found::of_store(seen, index, hash)))
                }
                Ok(Err(e)) => Inspected::Unreadable(e.to_string()),
                Err(e) => Inspected::Unreadable(e.to_string()),
            };
        }
        let footer = guard(|| self.tail.footer(&file, size_bytes, self.schemas));
        if !file.metadata().is_ok_and(|now| seen.is(&now)) {
            return Inspected::Unsettled;
        }
        match footer {
            Ok(Ok(footer)) => {
                let mut found = Found::new(seen, footer);
                found.order_hash =
                    found.stated_order().or_else(|| found.order_of(&file, &self.tail));
                Inspected::Read(Box::new(found))
            }
            Ok(Err(e)) => Inspected::Unreadable(e.to_string()),
            Err(e) => Inspected::Unreadable(e.to_string()),
        }
    }

    fn open(&mut self, path: &str) -> io::Result<File> {
        let mut names = path.rmatch_indices('/').map(|(at, _)| at);
        let Some(at) = names.nth(1) else { return File::open(self.root.join(path)) };
        let (folder, rest) = (&path[..at], &path[at + 1..]);
        let (folder, open) = match self.folder.take() {
            Some((last, open)) if last == folder => (last, open),
            _ => (folder.to_owned(), File::open(self.root.join(folder))?.into()),
        };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = retry_on_intr(|| openat(&open, rest, flags, Mode::empty()));
        self.folder = Some((folder, open));
        Ok(file?.into())
    }
}

impl Found {
    fn new(seen: &Seen, footer: Footer) -> Self {
        let (tile, making) = (tile(seen, &footer), Making::of(&footer));
        let stated = footer.value(metadata::PARENTS).filter(|_| footer.is_ours());
        let parents = stated.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        let (order_hash, groups) = (None, Vec::new());
        let mut found = Self { footer, tile, sky: None, making, order_hash, parents, groups };
        found.sky = found.sky_of(seen);
        found
    }

    fn of_store(seen: &Seen, index: Index, hash: [u8; 16]) -> Self {
        let footer = Footer::of_store(&index, hash);
        let partition = layout::partition_of(Path::new(&seen.path));
        let making = Making::of(&footer);
        Self {
            footer,
            making,
            sky: partition.map(|(order, pixel)| sky::range_of(order, pixel)),
            groups: index.groups,
            tile: None,
            order_hash: None,
            parents: Vec::new(),
        }
    }

    fn stated_order(&self) -> Option<String> {
        let is_hex = |text: &&str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let stated = self.footer.value(metadata::ORDER).filter(|_| self.footer.is_ours());
        stated.filter(is_hex).map(str::to_owned)
    }

    /// The order of the rows of a tile's file that does not state it: its key column is read. None
    /// where it has none that can be.
    fn order_of(&self, file: &File, tail: &Tail) -> Option<String> {
        let tile = self.tile.as_ref()?;
        order::of_footer(file, tail, &self.footer, tile)
            .or_else(|| guard(|| order::of_file(file, tile)).ok().flatten())
    }

    /// The part of the sky of a HATS partition. Rows that may lie beyond it widen it; `None` where
    /// they may lie anywhere.
    pub(super) fn sky_of(&self, seen: &Seen) -> Option<Range<i64>> {
        let (_, below) = seen.path.split_once('/')?;
        let relative = below.strip_prefix(DATASET)?;
        let (order, pixel) = layout::partition_of(Path::new(relative.trim_start_matches('/')))?;
        let partition = sky::range_of(order, pixel);
        let rows = match (self.ints("_healpix_29"), self.has("ra") && self.has("dec")) {
            ((Some(first), Some(last)), _) => first..last.saturating_add(1),
            (_, false) => partition.clone(),
            (_, true) => {
                let (ra, dec) = (self.floats("ra"), self.floats("dec"));
                sky::Cone::around((ra.0?, ra.1?), (dec.0?, dec.1?))?.range()
            }
        };
        Some(partition.start.min(rows.start)..partition.end.max(rows.end))
    }

    /// Whether no row says that it is of another tile than the file: then the columns that tell
    /// need not be read.
    pub(super) fn is_one_tile(&self) -> bool {
        let Some(tile) = self.tile.as_ref().filter(|_| !self.footer.is_ours()) else {
            return self.footer.is_ours();
        };
        let is_it = |name, value| !self.has(name) || self.texts(name) == (Some(value), Some(value));
        let pixel = Some(i64::from(tile.pixel.get()));
        is_it("release", tile.release.as_str())
            && is_it("survey", tile.survey.as_str())
            && is_it("program", tile.program.as_str())
            && (!self.has("healpix") || self.ints("healpix") == (pixel, pixel))
    }

    fn has(&self, name: &str) -> bool {
        self.footer.schema.column(name).is_some()
    }

    /// Bounds of a floating-point column.
    pub(super) fn floats(&self, name: &str) -> (Option<f64>, Option<f64>) {
        let ends = self.slot(name, Kind::Float).map(|slot| &self.footer.bounds.floats[slot]);
        ends.map_or((None, None), |ends| (ends.min, ends.max))
    }

    /// Bounds of an integer column.
    pub(super) fn ints(&self, name: &str) -> (Option<i64>, Option<i64>) {
        let ends = self.slot(name, Kind::Int).map(|slot| &self.footer.bounds.ints[slot]);
        ends.map_or((None, None), |ends| (ends.min, ends.max))
    }

    /// Bounds of a text column.
    pub(super) fn texts(&self, name: &str) -> (Option<&str>, Option<&str>) {
        let ends = self.slot(name, Kind::Text).map(|slot| &self.footer.bounds.texts[slot]);
        ends.map_or((None, None), |ends| (ends.min.as_deref(), ends.max.as_deref()))
    }

    /// The bounds that most questions are about, packed; of our own files only, which hold no NaN.
    pub(super) fn promoted(&self) -> Option<Vec<u8>> {
        if !self.footer.is_ours() {
            return None;
        }
        let mut slots = [0; promoted::COLUMNS.len()];
        for (slot, (name, kind)) in slots.iter_mut().zip(promoted::COLUMNS) {
            *slot = self.slot(name, kind)?;
        }
        promoted::pack(&self.footer, slots)
    }

    pub(super) fn slot(&self, name: &str, kind: Kind) -> Option<usize> {
        let schema = &self.footer.schema;
        let alias = || schema.column("targetid").filter(|_| name == "target_id");
        slot(schema.column(name).or_else(alias)?, kind)
    }
}

fn slot(column: &Column, kind: Kind) -> Option<usize> {
    column.slot.filter(|_| column.kind == kind)?.checked_sub(1)
}

/// The tile as our own files state it, else as the file's name does.
fn tile(seen: &Seen, footer: &Footer) -> Option<Tile> {
    let stated = footer.value(metadata::TILE).filter(|_| footer.is_ours());
    let name = seen.path.rsplit('/').next()?;
    stated
        .and_then(|json| serde_json::from_str(json).ok())
        .or_else(|| name.parse::<FileName>().ok().map(|n| n.tile))
}

impl Making {
    fn of(footer: &Footer) -> Self {
        let mut document = serde_json::Map::new();
        document.extend(footer.writer.as_deref().map(|w| ("writer".to_owned(), w.into())));
        if footer.is_ours() {
            let keys =
                [metadata::VERSION, metadata::CONFIG, metadata::CONFIGURATION, metadata::STAGE];
            for key in keys {
                let value = footer.value(key).map(value_of);
                document.extend(value.map(|v| (key.trim_start_matches("bifrost.").to_owned(), v)));
            }
            let headers = footer.value(metadata::HEADERS).map(lasting_headers);
            document.extend(headers.map(|h| ("headers".to_owned(), h.into())));
        }
        let mut document = serde_json::Value::Object(document).to_string();
        if document.contains("\\u0000") {
            // Postgres refuses NUL, and nothing good is told with one
            document = "{}".to_owned();
        }
        Self { fingerprint: blake3::hash(document.as_bytes()), document }
    }
}

/// A value of the footer: an object where it is one in JSON, else text.
fn value_of(text: &str) -> serde_json::Value {
    match serde_json::from_str(text) {
        Ok(object @ serde_json::Value::Object(_)) => object,
        _ => text.into(),
    }
}

/// The header cards that do not vary from tile to tile: versions of programs and templates.
fn lasting_headers(json: &str) -> serde_json::Map<String, serde_json::Value> {
    let serde_json::Value::Object(cards) = value_of(json) else { return serde_json::Map::new() };
    let is_lasting = |key: &str| {
        let card = key.split_once('.').map_or(key, |(_, card)| card);
        ["dependency.", "RRVER", "TEMNAM", "TEMVER"].iter().any(|prefix| card.starts_with(prefix))
    };
    cards.into_iter().filter(|(key, _)| is_lasting(key)).collect()
}
