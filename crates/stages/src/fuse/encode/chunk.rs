//! A column chunk put together from finished pages, in the form that Parquet's writer takes over.

use bytes::Bytes;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use std::io::{self, Read};

/// A page as it stands in the file: header and compressed bytes.
#[derive(Debug, Clone)]
pub(super) struct FilePage {
    bytes: Bytes,
    uncompressed_bytes: usize,
    rows: usize,
    values: usize,
    encoding: Encoding,
}

/// What a page holds, before and after compression.
pub(super) struct PageBody {
    pub(super) compressed: Vec<u8>,
    pub(super) uncompressed_bytes: usize,
    pub(super) rows: usize,
    pub(super) values: usize,
    pub(super) encoding: Encoding,
}

impl FilePage {
    /// A data page.
    pub(super) fn data(body: PageBody) -> Result<Self> {
        let page = Page::DataPage {
            buf: Bytes::from(body.compressed),
            num_values: count(body.values)?,
            encoding: body.encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let written = FilePage::write(page, body.uncompressed_bytes)?;
        Ok(Self { rows: body.rows, values: body.values, encoding: body.encoding, ..written })
    }

    /// A dictionary page of so many values.
    pub(super) fn dictionary(
        compressed: Vec<u8>,
        plain_bytes: usize,
        values: usize,
    ) -> Result<Self> {
        let page = Page::DictionaryPage {
            buf: Bytes::from(compressed),
            num_values: count(values)?,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        FilePage::write(page, plain_bytes)
    }

    /// Puts the header before the bytes.
    fn write(page: Page, uncompressed_bytes: usize) -> Result<Self> {
        let page = CompressedPage::new(page, uncompressed_bytes);
        let mut sink = TrackedWrite::new(Vec::with_capacity(page.compressed_size() + 64));
        let spec = SerializedPageWriter::new(&mut sink).write_page(page)?;
        Ok(Self {
            bytes: Bytes::from(sink.into_inner()?),
            uncompressed_bytes: spec.uncompressed_size,
            rows: 0,
            values: 0,
            encoding: Encoding::PLAIN,
        })
    }
}

fn count(n: usize) -> Result<u32> {
    u32::try_from(n).map_err(|_| ParquetError::General(format!("{n} values in a page")))
}

/// A finished column chunk.
#[derive(Debug)]
pub(crate) struct Chunk {
    bytes: Segments,
    close: ColumnCloseResult,
}

impl Chunk {
    /// Joins pages: a dictionary, if there is one, then data.
    pub(super) fn new(
        column: ColumnDescPtr,
        codec: Compression,
        dictionary: Option<FilePage>,
        pages: Vec<FilePage>,
    ) -> Result<Self> {
        let mut index = OffsetIndexBuilder::new();
        let mut encodings = vec![Encoding::RLE];
        if dictionary.is_some() {
            encodings.push(Encoding::PLAIN);
        }
        let (mut rows, mut values, mut uncompressed) = (0, 0, 0);
        let data_offset = dictionary.as_ref().map_or(0, |page| page.bytes.len());
        let mut offset = data_offset;
        for page in &pages {
            index.append_row_count(page.rows as i64);
            let size = i32::try_from(page.bytes.len())
                .map_err(|_| ParquetError::General("a page beyond 2 GiB".into()))?;
            index.append_offset_and_size(offset as i64, size);
            if !encodings.contains(&page.encoding) {
                encodings.push(page.encoding);
            }
            offset += page.bytes.len();
            rows += page.rows;
            values += page.values;
            uncompressed += page.uncompressed_bytes;
        }
        uncompressed += dictionary.as_ref().map_or(0, |page| page.uncompressed_bytes);
        let metadata = ColumnChunkMetaData::builder(column)
            .set_compression(codec)
            .set_encodings(encodings)
            .set_num_values(values as i64)
            .set_total_compressed_size(offset as i64)
            .set_total_uncompressed_size(uncompressed as i64)
            .set_data_page_offset(data_offset as i64)
            .set_dictionary_page_offset(dictionary.is_some().then_some(0))
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: offset as u64,
            rows_written: rows as u64,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(index.build()),
        };
        let segments = dictionary.into_iter().chain(pages).map(|page| page.bytes).collect();
        Ok(Self { bytes: Segments(segments), close })
    }

    /// The bytes and what the footer says of them.
    pub(crate) fn into_parts(self) -> (impl ChunkReader, ColumnCloseResult) {
        (self.bytes, self.close)
    }
}

/// Bytes in several pieces, read as one.
#[derive(Debug)]
struct Segments(Vec<Bytes>);

impl Length for Segments {
    fn len(&self) -> u64 {
        self.0.iter().map(|segment| segment.len() as u64).sum()
    }
}

impl ChunkReader for Segments {
    type T = SegmentsReader;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let mut reader = SegmentsReader { left: self.0.clone().into_iter(), now: Bytes::new() };
        let skipped = io::copy(&mut reader.by_ref().take(start), &mut io::sink())?;
        if skipped == start {
            Ok(reader)
        } else {
            Err(ParquetError::EOF("beyond the chunk".into()))
        }
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let mut bytes = vec![0; length];
        self.get_read(start)?.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

struct SegmentsReader {
    left: std::vec::IntoIter<Bytes>,
    now: Bytes,
}

impl Read for SegmentsReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.now.is_empty() {
            match self.left.next() {
                Some(next) => self.now = next,
                None => return Ok(0),
            }
        }
        let count = out.len().min(self.now.len());
        out[..count].copy_from_slice(&self.now.split_to(count));
        Ok(count)
    }
}
