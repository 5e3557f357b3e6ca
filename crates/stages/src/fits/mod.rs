//! FITS by positioned reads: headers, plain images and binary tables, whatever the size.
//!
//! Nothing is read but what is asked for, and nothing in a header is believed before it has been
//! held against the file's length: a damaged or truncated file ends in an [`Error`], never in a
//! large allocation or a panic. A [`Fits`] may be read by many threads at once. Tile-compressed
//! images are left to cfitsio, in [`compressed`].

pub mod compressed;
mod header;
mod image;
mod table;
pub mod write;

pub use header::{Header, Value};
pub use image::{Image, Place};
pub use table::{Columns, Table};

use header::BLOCK;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// No header of the archive comes near: 12 MB of cards.
const MAX_HEADER_BLOCKS: usize = 4096;
/// Blocks that are read at a time while a header's end is sought.
const HEADER_READ: usize = 4 * BLOCK;

/// What is wrong with a FITS file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It does not begin as a FITS file does.
    #[error("it is not a FITS file: it does not begin with SIMPLE")]
    NotFits,
    /// It ends before its contents do.
    #[error("it is truncated: {hdu} needs {needed} bytes and the file has {found}")]
    Truncated {
        /// The part that is cut.
        hdu: String,
        /// Bytes up to that part's end.
        needed: u64,
        /// Bytes in the file.
        found: u64,
    },
    /// A header without END.
    #[error("a header at byte {0} has no END")]
    NoEnd(u64),
    /// A card that is missing or impossible.
    #[error("card {0} is missing or makes no sense")]
    Card(String),
    /// A table column of a kind that is not known, or too wide for its row.
    #[error("column {0} makes no sense")]
    Column(String),
    /// A part that should be there.
    #[error("it has no {0}")]
    Missing(String),
    /// A part of another form.
    #[error("{hdu} is {found}, not {wanted}")]
    Form {
        /// The part.
        hdu: String,
        /// What it is.
        found: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// What cfitsio says.
    #[error("cfitsio cannot read {0}")]
    Compressed(String),
}

impl Error {
    /// Whether the disk, not the file, is to blame.
    #[must_use]
    pub fn is_disk(&self) -> bool {
        matches!(self, Self::Io(e) if e.kind() != io::ErrorKind::UnexpectedEof)
    }
}

/// One header and its data unit.
#[derive(Debug, Clone)]
pub struct Hdu {
    /// EXTNAME, in capitals; empty for the primary one without a name.
    pub name: String,
    /// The cards.
    pub header: Header,
    offset: u64,
    size_bytes: u64,
}

impl Hdu {
    /// Whether it is a binary table (also one that holds a compressed image).
    #[must_use]
    pub fn is_table(&self) -> bool {
        self.header.text("XTENSION") == Some("BINTABLE")
    }

    /// Whether it is a tile-compressed image.
    #[must_use]
    pub fn is_compressed_image(&self) -> bool {
        self.is_table() && self.header.logical("ZIMAGE") == Some(true)
    }
}

/// An open FITS file whose parts all lie within it.
#[derive(Debug)]
pub struct Fits {
    path: PathBuf,
    file: Arc<File>,
    hdus: Vec<Hdu>,
}

impl Fits {
    /// Opens a file and reads its headers.
    ///
    /// # Errors
    /// [`Error::NotFits`], [`Error::Truncated`] where a part reaches beyond the file's end,
    /// [`Error::NoEnd`] or [`Error::Card`] for a damaged header.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut hdus: Vec<Hdu> = Vec::new();
        let mut offset = 0;
        while offset < length {
            let Some(hdu) = read_hdu(&file, offset, length, hdus.len())? else { break };
            offset = hdu
                .offset
                .checked_add(padded(hdu.size_bytes).ok_or_else(|| too_large(&hdu))?)
                .ok_or_else(|| too_large(&hdu))?;
            hdus.push(hdu);
        }
        if hdus.is_empty() {
            return Err(Error::NotFits);
        }
        Ok(Self { path: path.to_owned(), file: Arc::new(file), hdus })
    }

    /// The primary header.
    #[must_use]
    pub fn primary(&self) -> &Header {
        &self.hdus[0].header
    }

    /// Where the file lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A part by name.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub fn hdu(&self, name: &str) -> Result<&Hdu, Error> {
        self.hdus
            .iter()
            .find(|hdu| hdu.name == name)
            .ok_or_else(|| Error::Missing(format!("{name} part")))
    }

    /// Whether a part is there.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.hdus.iter().any(|hdu| hdu.name == name)
    }

    /// A plain image by name.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Form`], [`Error::Card`].
    pub fn image(&self, name: &str) -> Result<Image, Error> {
        Image::new(Arc::clone(&self.file), self.hdu(name)?)
    }

    /// Names of the binary tables, in their order.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        self.hdus.iter().filter(|hdu| hdu.is_table()).map(|hdu| hdu.name.as_str())
    }

    /// The first binary table, whatever its name; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Card`], [`Error::Column`].
    pub fn first_table(&self) -> Result<Option<Table>, Error> {
        let first = self.hdus.iter().find(|hdu| hdu.is_table());
        first.map(|hdu| Table::new(Arc::clone(&self.file), hdu)).transpose()
    }

    /// The header of the first binary table.
    #[must_use]
    pub fn first_table_header(&self) -> Option<&Header> {
        self.hdus.iter().find(|hdu| hdu.is_table()).map(|hdu| &hdu.header)
    }

    /// A binary table by name.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Form`], [`Error::Card`], [`Error::Column`].
    pub fn table(&self, name: &str) -> Result<Table, Error> {
        Table::new(Arc::clone(&self.file), self.hdu(name)?)
    }
}

/// Reads the header at `offset`; `None` where trailing bytes are no extension.
fn read_hdu(file: &File, offset: u64, length: u64, index: usize) -> Result<Option<Hdu>, Error> {
    let mut bytes = Vec::new();
    let header = loop {
        let at = offset + bytes.len() as u64;
        let more = (length.saturating_sub(at)).min(HEADER_READ as u64) as usize;
        let held = bytes.len();
        bytes.resize(held + more, 0);
        file.read_exact_at(&mut bytes[held..], at)?;
        if held == 0 && !bytes.starts_with(if index == 0 { b"SIMPLE  =" } else { b"XTENSION=" }) {
            return if index == 0 { Err(Error::NotFits) } else { Ok(None) };
        }
        if let Some(header) = Header::parse(&bytes) {
            break header;
        }
        if more == 0 || bytes.len() > MAX_HEADER_BLOCKS * BLOCK {
            return Err(Error::NoEnd(offset));
        }
    };
    let size_bytes = data_size(&header)?;
    let name = header.text("EXTNAME").unwrap_or_default().trim().to_ascii_uppercase();
    let start = offset + padded(header_bytes(&bytes)).unwrap_or(u64::MAX - offset);
    let hdu = Hdu { name, header, offset: start, size_bytes };
    let needed = start.checked_add(size_bytes).ok_or_else(|| too_large(&hdu))?;
    if needed > length {
        let hdu = label(&hdu, index);
        return Err(Error::Truncated { hdu, needed, found: length });
    }
    Ok(Some(hdu))
}

/// Bytes of the cards, END included.
fn header_bytes(bytes: &[u8]) -> u64 {
    let cards = bytes.chunks_exact(header::CARD).position(|card| &card[..8] == b"END     ");
    (cards.map_or(bytes.len(), |n| (n + 1) * header::CARD)) as u64
}

fn label(hdu: &Hdu, index: usize) -> String {
    if hdu.name.is_empty() { format!("part {index}") } else { hdu.name.clone() }
}

fn too_large(hdu: &Hdu) -> Error {
    Error::Card(format!("NAXIS of {}", hdu.name))
}

fn padded(size: u64) -> Option<u64> {
    size.div_ceil(BLOCK as u64).checked_mul(BLOCK as u64)
}

/// |BITPIX| / 8 × (PCOUNT + NAXIS1 × NAXIS2 …); several groups (GCOUNT) are not known here.
fn data_size(header: &Header) -> Result<u64, Error> {
    let axes = header.size("NAXIS")?;
    if axes == 0 {
        return Ok(0);
    }
    if axes > 999 {
        return Err(Error::Card("NAXIS".into()));
    }
    let item = element_bytes(header)?;
    let mut elements = 1u64;
    for axis in 1..=axes {
        let keyword = format!("NAXIS{axis}");
        let length = header.size(&keyword)?;
        elements = elements.checked_mul(length).ok_or(Error::Card(keyword))?;
    }
    if !matches!(header.integer("GCOUNT"), None | Some(1)) {
        return Err(Error::Card("GCOUNT".into()));
    }
    let extra = header.get("PCOUNT").map_or(Ok(0), |_| header.size("PCOUNT"))?;
    elements
        .checked_add(extra)
        .and_then(|n| n.checked_mul(item))
        .ok_or_else(|| Error::Card("PCOUNT".into()))
}

fn element_bytes(header: &Header) -> Result<u64, Error> {
    match header.integer("BITPIX") {
        Some(bits @ (8 | 16 | 32 | 64 | -32 | -64)) => Ok(bits.unsigned_abs() / 8),
        _ => Err(Error::Card("BITPIX".into())),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Lays cards and data out as a FITS part.
    pub(crate) fn part(cards: &[String], data: &[u8]) -> Vec<u8> {
        let mut bytes: Vec<u8> =
            cards.iter().flat_map(|card| format!("{card:<80}").into_bytes()).collect();
        bytes.extend(format!("{:<80}", "END").into_bytes());
        bytes.resize(bytes.len().next_multiple_of(BLOCK), b' ');
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes
    }

    /// An empty primary part.
    pub(crate) fn primary() -> Vec<u8> {
        part(&["SIMPLE  = T".into(), "BITPIX  = 8".into(), "NAXIS   = 0".into()], &[])
    }

    /// An image extension.
    pub(crate) fn image(name: &str, bitpix: i64, axes: &[u64], data: &[u8]) -> Vec<u8> {
        let mut cards = vec![
            "XTENSION= 'IMAGE   '".to_owned(),
            format!("BITPIX  = {bitpix}"),
            format!("NAXIS   = {}", axes.len()),
        ];
        cards.extend(axes.iter().enumerate().map(|(i, n)| format!("NAXIS{}  = {n}", i + 1)));
        cards.push(format!("EXTNAME = '{name}'"));
        part(&cards, data)
    }

    /// Writes parts to a file and opens it.
    pub(crate) fn opened(parts: &[Vec<u8>]) -> (tempfile::TempDir, Result<Fits, Error>) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("x.fits");
        std::fs::write(&path, parts.concat()).expect("written");
        let fits = Fits::open(&path);
        (dir, fits)
    }

    #[test]
    fn parts_are_found_by_name() {
        let data = [0u8; 12];
        let (_dir, fits) =
            opened(&[primary(), image("B_FLUX", -32, &[3, 1], &data), b"trailing".to_vec()]);
        let fits = fits.expect("opened");
        assert!(fits.has("B_FLUX") && !fits.has("Z_FLUX"));
        assert!(matches!(fits.image("Z_FLUX"), Err(Error::Missing(_))));
        assert_eq!(fits.image("B_FLUX").expect("an image").width(), 3);
    }

    #[test]
    fn sizes_are_held_against_the_file() {
        let cut = |axes: &[u64]| opened(&[primary(), image("A", -64, axes, &[0; 16])]).1;
        assert!(cut(&[2]).is_ok());
        assert!(matches!(cut(&[1 << 20]), Err(Error::Truncated { .. })));
        assert!(matches!(cut(&[1 << 40, 1 << 40]), Err(Error::Card(_))));
        assert!(matches!(cut(&[1 << 60, 2]), Err(Error::Card(_))));
        assert!(matches!(cut(&[u64::MAX]), Err(Error::Card(_))));
    }

    #[test]
    fn damaged_files_are_refused() {
        assert!(matches!(opened(&[]).1, Err(Error::NotFits)));
        assert!(matches!(opened(&[b"PAR1".to_vec()]).1, Err(Error::NotFits)));
        let endless = b"SIMPLE  = T".to_vec();
        assert!(matches!(opened(&[endless]).1, Err(Error::NoEnd(0))));
        let whole = primary();
        assert!(matches!(opened(&[whole[..1000].to_vec()]).1, Err(Error::Truncated { .. })));
    }
}
