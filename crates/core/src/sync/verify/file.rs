//! One file, read from its first byte to its last and held against what was registered of it.

use super::rows::{Expected, Rows, columns_of};
use crate::footer::{self, Footer, Schemas};
use crate::guard::guard;
use crate::layout::{self, DATASET};
use crate::metadata::{self, Content};
use crate::registry::KnownRow;
use crate::sky;
use crate::store::{self, Index};
use crate::tile::{FileName, Pixel, Tile};
use crate::withdraw::Version;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::ops::Range;
use std::path::Path;

/// Rows looked at at a time: of a few columns, and of all, where rows may hold long arrays.
const BATCH_ROWS: [usize; 2] = [8192, 128];

/// What came of reading a file.
#[derive(Debug)]
pub(super) enum Checked {
    Sound,
    /// This is wrong with it.
    Damaged(String),
    /// It could not be read, for this reason: another time it may.
    Unread(String),
    /// It is not there, or not what was registered: a comparison tells.
    Other,
}

/// Reads a file.
pub(super) fn check(root: &Path, known: &KnownRow, schemas: &Schemas) -> Checked {
    let path = root.join(&known.path);
    let is_known = || Version::of(&path).is_ok_and(|now| now == Some(known.version));
    if !is_known() {
        return Checked::Other;
    }
    let read = guard(|| read(&path, known, schemas));
    if !is_known() {
        return Checked::Other;
    }
    match read {
        Ok(Ok(wrong)) if wrong.is_empty() => Checked::Sound,
        Ok(Ok(wrong)) => Checked::Damaged(wrong.join("; ")),
        Ok(Err(Fault::Damaged(what))) => Checked::Damaged(what),
        Ok(Err(Fault::Unread(e))) => Checked::Unread(format!("it cannot be read: {e}")),
        Err(panicked) => Checked::Damaged(panicked.to_string()),
    }
}

/// Why no more can be told of a file.
enum Fault {
    /// It is not what it should be.
    Damaged(String),
    /// The system refused, which says nothing about the file.
    Unread(io::Error),
}

impl From<footer::Error> for Fault {
    fn from(error: footer::Error) -> Self {
        match error {
            footer::Error::Io(e) => Self::Unread(e),
            damage => Self::Damaged(damage.to_string()),
        }
    }
}

impl From<store::Error> for Fault {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Io(e) => Self::Unread(e),
            damage => Self::Damaged(damage.to_string()),
        }
    }
}

fn undecodable(e: impl Display) -> String {
    format!("its rows cannot be decoded: {e}")
}

/// What is wrong with it; an error where no more can be told.
fn read(path: &Path, known: &KnownRow, schemas: &Schemas) -> Result<Vec<String>, Fault> {
    let file = File::open(path).map_err(Fault::Unread)?;
    let size_bytes = u64::try_from(known.version.size_bytes).unwrap_or(0);
    if known.path.starts_with(store::PRODUCT) && known.path.ends_with(".h5") {
        let (index, hash) = Index::read(&file, size_bytes)?;
        let wrong = against_registered(&Footer::of_store(&index, hash), known);
        let stated = index.stated_content();
        let stated = stated.ok_or(Fault::Damaged("it states no checksum".to_owned()))?;
        return against_content(&file, &stated).map(|()| wrong);
    }
    let footer = Footer::read(&file, size_bytes, schemas)?;
    let mut wrong = against_registered(&footer, known);
    let stated = footer.value(metadata::CONTENT).filter(|_| footer.is_ours());
    let stated: Option<Content> = stated.and_then(|text| text.parse().ok());
    if let Some(stated) = &stated {
        against_content(&file, stated)?;
    }
    let (tile, partition) = place_of(known, &footer, &mut wrong);
    let is_ours = footer.is_ours();
    let expected = Expected { tile: tile.as_ref(), partition, is_ours };
    let rows = match rows(&file, expected, stated.map_or(0, |stated| stated.length)) {
        Ok(rows) => rows,
        Err(e) => {
            // the decoder does not tell a disk that fails from a file that is damaged
            read_through(&file).map_err(Fault::Unread)?;
            wrong.push(e);
            return Err(Fault::Damaged(wrong.join("; ")));
        }
    };
    wrong.extend(rows.wrong);
    let counts = [
        ("its footer states", Some(footer.bounds.num_rows)),
        ("its name states", named_rows(known)),
        ("the registry states", known.num_rows),
    ];
    let decoded = i64::try_from(rows.count).unwrap_or(i64::MAX);
    let differing =
        counts.iter().filter_map(|(who, n)| n.filter(|n| *n != decoded).map(|n| (who, n)));
    wrong.extend(differing.map(|(who, n)| format!("{who} {n} rows, and it holds {decoded}")));
    if known.order_hash.is_some() && rows.order.is_some() && known.order_hash != rows.order {
        wrong.push("its rows are not in the order that was registered".to_owned());
    }
    Ok(wrong)
}

/// A registered footer is known to the last bit.
fn against_registered(footer: &Footer, known: &KnownRow) -> Vec<String> {
    let mut wrong = Vec::new();
    if known.footer_hash.as_ref().is_some_and(|hash| *hash != footer.hash) {
        wrong.push("its footer is not the one that was registered".to_owned());
    }
    if known.fingerprint.as_deref().is_some_and(|f| f != footer.schema.fingerprint()) {
        wrong.push("its columns are not those that were registered".to_owned());
    }
    wrong
}

fn against_content(file: &File, stated: &Content) -> Result<(), Fault> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file.take(stated.length)).map_err(Fault::Unread)?;
    if hasher.count() < stated.length {
        Err(Fault::Damaged("it is shorter than its checksum states".to_owned()))
    } else if *hasher.finalize().as_bytes() != stated.blake3 {
        Err(Fault::Damaged("its content is not what its checksum states".to_owned()))
    } else {
        Ok(())
    }
}

/// The file's tile, and the order-29 numbers of the pixel that it lies in.
fn place_of(
    known: &KnownRow,
    footer: &Footer,
    wrong: &mut Vec<String>,
) -> (Option<Tile>, Option<Range<i64>>) {
    let stated = footer.value(metadata::TILE).filter(|_| footer.is_ours());
    let stated: Option<Tile> = stated.and_then(|json| serde_json::from_str(json).ok());
    let named = named(known).map(|name| name.tile);
    if let (Some(stated), Some(named)) = (&stated, &named)
        && stated != named
    {
        wrong.push(format!("it says that it is tile {stated}, its name says {named}"));
    }
    let tile = stated.or(named);
    let below = known.path.split_once('/').and_then(|(_, below)| below.strip_prefix(DATASET));
    let folder = below.and_then(|p| layout::partition_of(Path::new(p.trim_start_matches('/'))));
    let pixel = tile.as_ref().map(|t| (Pixel::ORDER, u64::from(t.pixel.get())));
    if let (Some((Pixel::ORDER, folder)), Some((_, pixel))) = (folder, pixel)
        && folder != pixel
    {
        wrong.push(format!("it is of pixel {pixel} and lies in the folder of pixel {folder}"));
    }
    (tile, folder.or(pixel).map(|(order, pixel)| sky::range_of(order, pixel)))
}

fn named(known: &KnownRow) -> Option<FileName> {
    known.path.rsplit('/').next()?.parse().ok()
}

fn named_rows(known: &KnownRow) -> Option<i64> {
    i64::try_from(named(known)?.rows).ok()
}

fn read_through(mut file: &File) -> io::Result<()> {
    file.rewind()?;
    io::copy(&mut file, &mut io::sink()).map(drop)
}

struct Found {
    count: u64,
    order: Option<String>,
    wrong: Vec<String>,
}

/// Looks at the rows of a file whose first bytes, up to `vouched`, are known to be good. What lies
/// beyond must be decoded, all of it.
fn rows(file: &File, expected: Expected<'_>, vouched: u64) -> Result<Found, String> {
    let file = file.try_clone().map_err(undecodable)?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(undecodable)?;
    let columns: Vec<usize> = columns_of(builder.schema()).into_values().collect();
    let groups = builder.metadata().row_groups().iter();
    let ends = groups.flat_map(|group| group.columns()).map(|chunk| {
        let (start, length) = chunk.byte_range();
        start.saturating_add(length)
    });
    let all = ends.max().is_some_and(|end| vouched < end);
    let mask = if all {
        ProjectionMask::all()
    } else {
        ProjectionMask::roots(builder.parquet_schema(), columns)
    };
    let batch_rows = BATCH_ROWS[usize::from(all)];
    let reader = builder.with_projection(mask).with_batch_size(batch_rows).build();
    let reader = reader.map_err(undecodable)?;
    let mut rows = Rows::new(expected, &arrow::array::RecordBatchReader::schema(&reader));
    for batch in reader {
        rows.add(&batch.map_err(undecodable)?).map_err(undecodable)?;
    }
    Ok(Found { count: rows.count(), order: rows.order(), wrong: rows.wrong() })
}
