//! Fits by positioned reads, from files of the oldest HDF5 format.
//!
//! Sources: HDF5 File Format Specification, version 0 superblock (II.A), B-trees version 1 (III.A.1),
//! symbol tables (III.B, III.C), local heaps (III.D), object headers version 1 (IV.A). Whatever is
//! not as expected is [`Error::Unknown`], and somebody else's to read; every address and count is
//! held against the file before it is used.

use super::Fit;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

const SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";
/// A target's parts lie close to each other: one read gets most of them.
const WINDOW_BYTES: usize = 8 << 10;
/// Deeper B-trees, longer headers and more fits than these are not expected.
const MAX_DEPTH: u8 = 8;
const MAX_HEADER_BYTES: u64 = 16 << 10;
const MAX_FITS: usize = 1000;
const UNDEFINED: u64 = u64::MAX;
/// Kinds of header messages.
const DATA_TYPE: u16 = 0x03;
const LAYOUT: u16 = 0x08;
const CONTINUATION: u16 = 0x10;
const SYMBOL_TABLE: u16 = 0x11;
/// A message's flag.
const SHARED: u8 = 2;

/// Why this file cannot be read here.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The system refused.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is laid out otherwise.
    #[error("it is laid out otherwise")]
    Unknown,
}

type Result<T> = std::result::Result<T, Error>;

/// Reads the fits of targets; `None` for those that the file lacks.
pub(super) fn read(path: &Path, target_ids: &[i64]) -> Result<Vec<Option<Vec<Fit>>>> {
    let mut file = Window::open(path)?;
    let root = file.root()?;
    let zfit = *file.members(root)?.get(b"zfit".as_slice()).ok_or(Error::Unknown)?;
    let zfit = file.group(zfit)?;
    let targets = file.members(zfit)?;
    let mut known: Option<(Vec<u8>, Record)> = None;
    target_ids
        .iter()
        .map(|id| {
            let Some(target) = targets.get(id.to_string().as_bytes()) else { return Ok(None) };
            let target = file.group(*target)?;
            let members = file.members(target)?;
            let data = members.get(b"zfit".as_slice()).ok_or(Error::Unknown)?;
            file.fits(data.header, &mut known).map(Some)
        })
        .collect()
}

/// What a symbol table says of a member: its header, and its own table if it is a group.
#[derive(Debug, Clone, Copy)]
struct Member {
    header: u64,
    table: Option<Group>,
}

/// Where a group's B-tree and its names lie.
#[derive(Debug, Clone, Copy)]
struct Group {
    tree: u64,
    heap: u64,
}

/// A file with the piece of it that was read last.
struct Window {
    file: File,
    length: u64,
    start: u64,
    held: Vec<u8>,
}

impl Window {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { file, length, start: 0, held: Vec::new() })
    }

    /// `size` bytes at `address`.
    fn bytes(&mut self, address: u64, size: usize) -> Result<&[u8]> {
        let end = address.checked_add(size as u64).filter(|end| *end <= self.length);
        let end = end.ok_or(Error::Unknown)?;
        if address < self.start || end > self.start + self.held.len() as u64 {
            let wanted = (self.length - address).min(size.max(WINDOW_BYTES) as u64) as usize;
            self.held.resize(wanted, 0);
            self.start = address;
            self.file.read_exact_at(&mut self.held, address)?;
        }
        let from = (address - self.start) as usize;
        Ok(&self.held[from..from + size])
    }

    /// The root group, from the superblock.
    fn root(&mut self) -> Result<Group> {
        let block = self.bytes(0, 96)?;
        let eight_bytes = (block[13], block[14]) == (8, 8);
        if block[..8] != SIGNATURE || block[8] != 0 || !eight_bytes || u64_at(block, 24)? != 0 {
            return Err(Error::Unknown);
        }
        let root = member_at(block, 56)?;
        self.group(root)
    }

    /// A member's own table: as its entry states it, or from its header.
    fn group(&mut self, member: Member) -> Result<Group> {
        if let Some(table) = member.table {
            return Ok(table);
        }
        let messages = self.messages(member.header)?;
        let table =
            messages.iter().find(|(kind, _)| *kind == SYMBOL_TABLE).ok_or(Error::Unknown)?;
        Ok(Group { tree: u64_at(&table.1, 0)?, heap: u64_at(&table.1, 8)? })
    }

    /// A group's members by name.
    fn members(&mut self, group: Group) -> Result<HashMap<Vec<u8>, Member>> {
        let heap = self.bytes(group.heap, 32)?;
        if &heap[..4] != b"HEAP" {
            return Err(Error::Unknown);
        }
        let (size, address) = (u64_at(heap, 8)?, u64_at(heap, 24)?);
        let size = usize::try_from(size.min(self.length)).map_err(|_| Error::Unknown)?;
        let names = self.bytes(address, size)?.to_vec();
        let mut members = HashMap::new();
        self.walk(group.tree, MAX_DEPTH, &names, &mut members)?;
        Ok(members)
    }

    /// Collects the members below a B-tree node, whose children are at most `depth` levels deep.
    fn walk(
        &mut self,
        node: u64,
        depth: u8,
        names: &[u8],
        members: &mut HashMap<Vec<u8>, Member>,
    ) -> Result<()> {
        let head = self.bytes(node, 24)?;
        let (level, used) = (head[5], usize::from(u16_at(head, 6)?));
        if &head[..4] != b"TREE" || head[4] != 0 || level >= depth {
            return Err(Error::Unknown);
        }
        // keys and children alternate, a key more than children
        let entries = self.bytes(node + 24, used * 16)?;
        let children: Vec<u64> =
            (0..used).map(|i| u64_at(entries, i * 16 + 8)).collect::<Result<_>>()?;
        for child in children {
            if level > 0 {
                self.walk(child, level, names, members)?;
            } else {
                self.symbols(child, names, members)?;
            }
        }
        Ok(())
    }

    fn symbols(
        &mut self,
        node: u64,
        names: &[u8],
        members: &mut HashMap<Vec<u8>, Member>,
    ) -> Result<()> {
        let head = self.bytes(node, 8)?;
        let count = usize::from(u16_at(head, 6)?);
        if &head[..4] != b"SNOD" {
            return Err(Error::Unknown);
        }
        let entries = self.bytes(node + 8, count * 40)?;
        for i in 0..count {
            let name = usize::try_from(u64_at(entries, i * 40)?).map_err(|_| Error::Unknown)?;
            let name = names.get(name..).ok_or(Error::Unknown)?;
            let end = name.iter().position(|b| *b == 0).ok_or(Error::Unknown)?;
            members.insert(name[..end].to_vec(), member_at(entries, i * 40)?);
        }
        Ok(())
    }

    /// The messages of an object header of version 1: (kind, body).
    fn messages(&mut self, header: u64) -> Result<Vec<(u16, Vec<u8>)>> {
        let head = self.bytes(header, 16)?;
        let (version, count) = (head[0], usize::from(u16_at(head, 2)?));
        let mut blocks = vec![(header + 16, u64::from(u32_at(head, 8)?))];
        if version != 1 {
            return Err(Error::Unknown);
        }
        let mut messages = Vec::new();
        let mut seen = 0;
        while let Some((address, size)) = blocks.pop() {
            if size > MAX_HEADER_BYTES {
                return Err(Error::Unknown);
            }
            let mut rest = self.bytes(address, size as usize)?;
            while seen < count && rest.len() >= 8 {
                let (kind, size, flags) =
                    (u16_at(rest, 0)?, usize::from(u16_at(rest, 2)?), rest[4]);
                let body = rest.get(8..8 + size).ok_or(Error::Unknown)?;
                match kind {
                    CONTINUATION => blocks.push((u64_at(body, 0)?, u64_at(body, 8)?)),
                    // its body lies elsewhere
                    _ if flags & SHARED != 0 => return Err(Error::Unknown),
                    _ => messages.push((kind, body.to_vec())),
                }
                seen += 1;
                rest = &rest[8 + size..];
            }
        }
        Ok(messages)
    }

    /// The fits of a dataset; the type of its records is parsed when it is another than `known`.
    fn fits(&mut self, header: u64, known: &mut Option<(Vec<u8>, Record)>) -> Result<Vec<Fit>> {
        let messages = self.messages(header)?;
        let message = |wanted: u16| {
            let found = messages.iter().find(|(kind, _)| *kind == wanted);
            found.map(|(_, body)| body.as_slice()).ok_or(Error::Unknown)
        };
        let data_type = message(DATA_TYPE)?;
        if known.as_ref().is_none_or(|(bytes, _)| bytes != data_type) {
            *known = Some((data_type.to_vec(), Record::parse(data_type)?));
        }
        let record = known.as_ref().map(|(_, record)| record).ok_or(Error::Unknown)?;
        let layout = message(LAYOUT)?;
        let (address, size) = (u64_at(layout, 2)?, u64_at(layout, 10)?);
        // version 3, contiguous
        let contiguous = layout.starts_with(&[3, 1]) && address != UNDEFINED;
        let count = size / record.size as u64;
        if !contiguous || size % record.size as u64 != 0 || count > MAX_FITS as u64 {
            return Err(Error::Unknown);
        }
        let bytes = self.bytes(address, size as usize)?;
        bytes.chunks_exact(record.size).map(|bytes| record.fit(bytes)).collect()
    }
}

/// A member as its entry in a symbol table states it.
fn member_at(bytes: &[u8], at: usize) -> Result<Member> {
    let table = match u32_at(bytes, at + 16)? {
        1 => Some(Group { tree: u64_at(bytes, at + 24)?, heap: u64_at(bytes, at + 32)? }),
        _ => None,
    };
    Ok(Member { header: u64_at(bytes, at + 8)?, table })
}

/// Where the fields of a fit lie in its record.
#[derive(Debug)]
struct Record {
    size: usize,
    z: Field,
    chi2: Field,
    deltachi2: Field,
    znum: Field,
    spectype: Field,
    subtype: Field,
}

/// A field of a record: little-endian numbers and text.
#[derive(Debug, Clone, Copy)]
struct Field {
    offset: usize,
    size: usize,
    class: u8,
}

const INTEGER: u8 = 0;
const FLOAT: u8 = 1;
const TEXT: u8 = 3;
const COMPOUND: u8 = 6;
const ARRAY: u8 = 10;

impl Record {
    /// Parses a compound type of version 1 to 3.
    fn parse(message: &[u8]) -> Result<Self> {
        let (version, class) = (byte(message, 0)? >> 4, byte(message, 0)? & 15);
        let count = usize::from(u16_at(message, 1)?);
        let size = u32_at(message, 4)? as usize;
        if class != COMPOUND || !(1..=3).contains(&version) || size == 0 {
            return Err(Error::Unknown);
        }
        let mut fields = HashMap::new();
        let mut rest = message.get(8..).ok_or(Error::Unknown)?;
        for _ in 0..count {
            let (name, field, after) = parse_member(rest, version, size)?;
            fields.insert(name, field);
            rest = after;
        }
        let field = |name: &str, classes: &[u8]| {
            let field = fields.get(name.as_bytes()).copied().ok_or(Error::Unknown)?;
            if classes.contains(&field.class) { Ok(field) } else { Err(Error::Unknown) }
        };
        Ok(Self {
            size,
            z: field("z", &[FLOAT])?,
            chi2: field("chi2", &[FLOAT])?,
            deltachi2: field("deltachi2", &[FLOAT])?,
            znum: field("znum", &[INTEGER])?,
            spectype: field("spectype", &[TEXT])?,
            subtype: field("subtype", &[TEXT])?,
        })
    }

    fn fit(&self, record: &[u8]) -> Result<Fit> {
        Ok(Fit {
            z: self.z.real(record)?,
            chi2: self.chi2.real(record)?,
            deltachi2: self.deltachi2.real(record)?,
            znum: self.znum.integer(record)?,
            spectype: self.spectype.text(record),
            subtype: self.subtype.text(record),
        })
    }
}

/// (name, field, what follows) of a member of a compound type.
fn parse_member(bytes: &[u8], version: u8, record_size: usize) -> Result<(&[u8], Field, &[u8])> {
    let end = bytes.iter().position(|b| *b == 0).ok_or(Error::Unknown)?;
    let name = &bytes[..end];
    // up to version 2 names are filled up to a multiple of 8, zero included
    let after_name = if version < 3 { (end + 1).next_multiple_of(8) } else { end + 1 };
    let bytes = bytes.get(after_name..).ok_or(Error::Unknown)?;
    let offset_bytes = match version {
        1 | 2 => 4,
        _ => (usize::BITS - record_size.leading_zeros()).div_ceil(8) as usize,
    };
    let mut offset = [0; 8];
    offset[..offset_bytes].copy_from_slice(bytes.get(..offset_bytes).ok_or(Error::Unknown)?);
    let offset = u64::from_le_bytes(offset) as usize;
    // version 1 states dimensions here: a field of several values is no plain field
    let (dimensions, head) = if version == 1 { (byte(bytes, 4)?, 32) } else { (0, offset_bytes) };
    let kind = bytes.get(head..).ok_or(Error::Unknown)?;
    let length = type_length(kind)?;
    let size = u32_at(kind, 4)? as usize;
    let class = if dimensions > 0 { ARRAY } else { byte(kind, 0)? & 15 };
    let little_endian = byte(kind, 1)? & 1 == 0 || !matches!(class, INTEGER | FLOAT);
    let fits = offset.checked_add(size).is_some_and(|end| end <= record_size);
    if !fits || !little_endian {
        return Err(Error::Unknown);
    }
    Ok((name, Field { offset, size, class }, kind.get(length..).ok_or(Error::Unknown)?))
}

/// Bytes of a type message within another.
fn type_length(kind: &[u8]) -> Result<usize> {
    let (version, class) = (byte(kind, 0)? >> 4, byte(kind, 0)? & 15);
    match class {
        INTEGER => Ok(12),
        FLOAT => Ok(20),
        TEXT => Ok(8),
        ARRAY => {
            let axes = usize::from(byte(kind, 8)?);
            // version 2 has three bytes of filling, and permutations after the sizes
            let head = if version < 3 { 12 + axes * 8 } else { 9 + axes * 4 };
            Ok(head + type_length(kind.get(head..).ok_or(Error::Unknown)?)?)
        }
        _ => Err(Error::Unknown),
    }
}

impl Field {
    fn bytes<'a>(&self, record: &'a [u8]) -> &'a [u8] {
        &record[self.offset..self.offset + self.size]
    }

    fn real(&self, record: &[u8]) -> Result<f64> {
        let bytes = self.bytes(record);
        match self.size {
            8 => Ok(f64::from_le_bytes(array(bytes)?)),
            4 => Ok(f64::from(f32::from_le_bytes(array(bytes)?))),
            _ => Err(Error::Unknown),
        }
    }

    fn integer(&self, record: &[u8]) -> Result<i64> {
        let bytes = self.bytes(record);
        match self.size {
            8 => Ok(i64::from_le_bytes(array(bytes)?)),
            4 => Ok(i64::from(i32::from_le_bytes(array(bytes)?))),
            2 => Ok(i64::from(i16::from_le_bytes(array(bytes)?))),
            1 => Ok(i64::from(i8::from_le_bytes(array(bytes)?))),
            _ => Err(Error::Unknown),
        }
    }

    fn text(&self, record: &[u8]) -> String {
        let bytes = self.bytes(record);
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).trim_end().to_owned()
    }
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| Error::Unknown)
}

fn byte(bytes: &[u8], at: usize) -> Result<u8> {
    bytes.get(at).copied().ok_or(Error::Unknown)
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16> {
    bytes.get(at..at + 2).ok_or(Error::Unknown).and_then(array).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    bytes.get(at..at + 4).ok_or(Error::Unknown).and_then(array).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64> {
    bytes.get(at..at + 8).ok_or(Error::Unknown).and_then(array).map(u64::from_le_bytes)
}
