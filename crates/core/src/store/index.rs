//! What a store says of itself at its end.

use super::{ARRAYS, Chunk, Error, Filter};
use crate::metadata::{Content, MadeBy, Parent};
use crate::tile::Tile;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

const VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"BIFROST5";
/// Magic, length, BLAKE3.
const TRAILER_BYTES: usize = 8 + 8 + 16;
/// Read at first: the index of most files.
const TAIL_BYTES: u64 = 128 * 1024;

/// What a store holds, and where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Index {
    version: u32,
    /// Version of Bifrost that wrote it.
    pub written_by: String,
    /// The stage that made it.
    pub stage: MadeBy,
    /// How arrays were to be stored, as JSON.
    pub configuration: String,
    /// Filters of all chunks, in the order in which they were applied.
    pub filters: Vec<Filter>,
    /// Checksum of all that precedes the index, as [`Content`] writes it.
    pub content: String,
    /// Its groups.
    pub groups: Vec<Group>,
}

/// The spectra of a tile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Its name in the file, such as `/iron/main/dark`.
    pub path: String,
    /// The tile.
    pub tile: Tile,
    /// The file that it was made of: its rows are that one's, in their order.
    pub parent: Parent,
    /// Rows.
    pub rows: u32,
    /// Pixels of a row.
    pub pixels: u32,
    /// Least and greatest TARGETID; none without rows.
    pub target_ids: Option<(i64, i64)>,
    /// Where the wavelengths lie, as `f64`, one after the other.
    pub wavelength: u64,
    /// Where the TARGETIDs lie, as `i64`.
    pub target_id: u64,
    /// Where in the file [`Group::chunks`] begin, once it is written.
    #[serde(skip)]
    pub chunks_at: u64,
    /// Where the chunks of each row lie, as [`ARRAYS`] orders them.
    #[serde(skip)]
    pub chunks: Vec<[Chunk; ARRAYS.len()]>,
}

impl Group {
    /// Bytes of its wavelengths.
    #[must_use]
    pub fn wavelength_bytes(&self) -> usize {
        self.pixels as usize * size_of::<f64>()
    }
}

impl Index {
    /// Of groups, of a file whose content is not yet known.
    #[must_use]
    pub fn new(
        stage: MadeBy,
        configuration: String,
        filters: Vec<Filter>,
        groups: Vec<Group>,
    ) -> Self {
        let (written_by, content) = (crate::VERSION.to_owned(), String::new());
        Self { version: VERSION, written_by, stage, configuration, filters, content, groups }
    }

    /// Sums a file up and writes the index behind it.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn append(mut self, file: &mut File) -> io::Result<()> {
        self.content = content_of(file, u64::MAX)?.to_string();
        let json = serde_json::to_vec(&self)?;
        let mut bytes = u32::try_from(json.len()).map_err(io::Error::other)?.to_le_bytes().to_vec();
        bytes.extend(json);
        for chunk in self.groups.iter().flat_map(|group| group.chunks.iter().flatten()) {
            chunk.put(&mut bytes);
        }
        let (length, sum) = (bytes.len() as u64, blake3::hash(&bytes));
        bytes.extend(&sum.as_bytes()[..16]);
        bytes.extend(length.to_le_bytes());
        bytes.extend(MAGIC);
        file.seek(SeekFrom::End(0))?;
        file.write_all(&bytes)
    }

    /// Reads the index of an open file of `size_bytes`, with the first 16 bytes of its BLAKE3.
    ///
    /// # Errors
    /// [`Error`] says what is wrong with the file.
    pub fn read(file: &File, size_bytes: u64) -> Result<(Self, [u8; 16]), Error> {
        Self::read_with(size_bytes, |start, length| {
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, start)?;
            Ok(bytes)
        })
    }

    /// The same of a file that gives so many bytes from a place on.
    ///
    /// # Errors
    /// As [`Index::read`].
    pub fn read_with(
        size_bytes: u64,
        read: impl Fn(u64, usize) -> Result<Vec<u8>, Error>,
    ) -> Result<(Self, [u8; 16]), Error> {
        if size_bytes == 0 {
            return Err(Error::Empty);
        }
        let read_end = |length: u64| {
            let count = usize::try_from(length).map_err(io::Error::other)?;
            read(size_bytes - length, count)
        };
        let mut tail = read_end(size_bytes.min(TAIL_BYTES))?;
        let Some((length, sum)) = trailer(&tail) else { return Err(Error::NoIndex) };
        let whole = length.saturating_add(TRAILER_BYTES as u64);
        if whole > size_bytes {
            return Err(Error::damaged("its index is said to be longer than the file"));
        }
        if whole > tail.len() as u64 {
            tail = read_end(whole)?;
        }
        let end = tail.len() - TRAILER_BYTES;
        let bytes = &tail[end - (whole as usize - TRAILER_BYTES)..end];
        if blake3::hash(bytes).as_bytes()[..16] != sum {
            return Err(Error::damaged("its index is not what its checksum states"));
        }
        Ok((Self::decoded(bytes, size_bytes - whole)?, sum))
    }

    /// Bytes of the HDF5 file that stands before the index, as it states them.
    #[must_use]
    pub fn stated_content(&self) -> Option<Content> {
        self.content.parse().ok()
    }

    /// Whether the content of a file is what its index states.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn is_sound(&self, file: &mut File) -> io::Result<bool> {
        let Some(stated) = self.stated_content() else { return Ok(false) };
        Ok(content_of(file, stated.length)? == stated)
    }

    /// The group of a tile.
    #[must_use]
    pub fn group(&self, tile: &Tile) -> Option<&Group> {
        self.groups.iter().find(|group| group.tile == *tile)
    }

    /// The index in its bytes, of a file with `data_bytes` before it.
    fn decoded(bytes: &[u8], data_bytes: u64) -> Result<Self, Error> {
        let nonsense = |what: &str| Error::Damaged(format!("its index {what}"));
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(|| nonsense("is empty"))?;
        let (json, chunks) = rest
            .split_at_checked(u32::from_le_bytes(*length) as usize)
            .ok_or_else(|| nonsense("ends early"))?;
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let not_json = |error: serde_json::Error| nonsense(&format!("is not understood: {error}"));
        let Versioned { version } = serde_json::from_slice(json).map_err(not_json)?;
        if version > VERSION {
            return Err(Error::Newer(version));
        }
        let mut index: Self = serde_json::from_slice(json).map_err(not_json)?;
        let mut chunks_at = data_bytes + 4 + json.len() as u64;
        let (mut chunks, _) = chunks.as_chunks::<{ Chunk::BYTES * ARRAYS.len() }>();
        for group in &mut index.groups {
            let (own, others) = chunks
                .split_at_checked(group.rows as usize)
                .ok_or_else(|| nonsense("lacks chunks"))?;
            chunks = others;
            group.chunks_at = chunks_at;
            chunks_at += size_of_val(own) as u64;
            group.chunks = own.iter().map(row).collect();
            let ends = [
                group.wavelength.saturating_add(group.wavelength_bytes() as u64),
                group.target_id.saturating_add(8 * u64::from(group.rows)),
            ];
            let chunks = group.chunks.iter().flatten();
            if chunks.map(|chunk| chunk.end()).chain(ends).any(|end| end > data_bytes) {
                return Err(nonsense("names places beyond the end"));
            }
        }
        Ok(index)
    }
}

fn row(bytes: &[u8; Chunk::BYTES * ARRAYS.len()]) -> [Chunk; ARRAYS.len()] {
    let (chunks, _) = bytes.as_chunks::<{ Chunk::BYTES }>();
    std::array::from_fn(|array| Chunk::of(&chunks[array]))
}

/// The index's length and checksum.
fn trailer(tail: &[u8]) -> Option<(u64, [u8; 16])> {
    let (rest, magic) = tail.split_last_chunk::<8>()?;
    let (rest, length) = rest.split_last_chunk::<8>()?;
    let (_, sum) = rest.split_last_chunk::<16>()?;
    (magic == MAGIC).then_some((u64::from_le_bytes(*length), *sum))
}

fn content_of(file: &mut File, length: u64) -> io::Result<Content> {
    let mut hasher = blake3::Hasher::new();
    file.rewind()?;
    let mut buffer = vec![0; 1 << 20];
    let (mut from, mut count) = (file.take(length), 0);
    loop {
        match from.read(&mut buffer)? {
            0 => break,
            read => {
                hasher.update(&buffer[..read]);
                count += read as u64;
            }
        }
    }
    Ok(Content { blake3: *hasher.finalize().as_bytes(), length: count })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tile::{Name, Pixel};

    fn index(rows: u32) -> Index {
        let name = |n| Name::new(n).expect("a name");
        let pixel = Pixel::new(12_712).expect("a pixel");
        let tile =
            Tile { release: name("iron"), survey: name("main"), program: name("dark"), pixel };
        let chunk = |address| Chunk { address, size_bytes: 3, skipped: 0 };
        let group = Group {
            path: "/iron/main/dark".into(),
            tile,
            parent: Parent {
                product: name("spectra"),
                name: "iron-main-dark-12712_2.parquet".into(),
                size_bytes: 5,
                mtime_ns: 6,
                content: "blake3:00:5".into(),
                order: "00".into(),
            },
            rows,
            pixels: 4,
            target_ids: Some((1, 2)),
            wavelength: 100,
            target_id: 200,
            chunks_at: 0,
            chunks: (0..u64::from(rows)).map(|i| [chunk(i), chunk(i + 1), chunk(i + 2)]).collect(),
        };
        let stage = MadeBy { name: "spectra-h5".into(), version: 1 };
        Index::new(stage, "{}".into(), vec![Filter::Shuffle, Filter::Deflate], vec![group])
    }

    fn written(index: Index) -> (File, u64) {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&[7; 100_000]).expect("written");
        index.append(&mut file).expect("appended");
        let size_bytes = file.metadata().expect("a file").len();
        (file, size_bytes)
    }

    #[test]
    fn what_was_written_is_read() {
        // a few rows, and more than the first read holds
        for rows in [0, 2, 4000] {
            let (mut file, size_bytes) = written(index(rows));
            let (read, _) = Index::read(&file, size_bytes).expect("an index");
            let mut expected = Index { content: read.content.clone(), ..index(rows) };
            expected.groups[0].chunks_at = size_bytes - 32 - 48 * u64::from(rows);
            assert_eq!(read, expected);
            assert_eq!(read.stated_content().expect("a checksum").length, 100_000);
            assert!(read.is_sound(&mut file).expect("read"));
            file.write_all_at(b"x", 50).expect("written");
            assert!(!read.is_sound(&mut file).expect("read"));
        }
    }

    #[test]
    fn a_damaged_index_is_an_error() {
        let (file, size_bytes) = written(index(2));
        let mut bytes = vec![0; size_bytes as usize];
        file.read_exact_at(&mut bytes, 0).expect("read");
        let read = |bytes: &[u8]| {
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(bytes).expect("written");
            Index::read(&file, bytes.len() as u64).map(drop)
        };
        assert!(read(&bytes).is_ok());
        assert!(matches!(read(&[]), Err(Error::Empty)));
        assert!(matches!(read(&bytes[..bytes.len() - 1]), Err(Error::NoIndex)));
        for at in 100_000..bytes.len() {
            bytes[at] ^= 0x10;
            assert!(read(&bytes).is_err(), "byte {at}");
            bytes[at] ^= 0x10;
        }
        // whole and signed, but of places that are not there
        let mut beyond = index(1);
        beyond.groups[0].chunks[0][2].address = 100_000;
        let (file, size_bytes) = written(beyond);
        assert!(matches!(Index::read(&file, size_bytes), Err(Error::Damaged(_))));
    }
}
