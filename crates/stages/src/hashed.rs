//! A file whose content is hashed while it is written.

use bifrost_core::metadata::Content;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Bytes that are gathered before they are hashed and written.
const BUFFER_BYTES: usize = 1 << 20;

/// A file that hashes what is written to it.
pub(crate) struct Hashed {
    file: File,
    buffer: Vec<u8>,
    hasher: blake3::Hasher,
    length: u64,
}

impl Hashed {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let file = File::create(path)?;
        let buffer = Vec::with_capacity(BUFFER_BYTES);
        Ok(Self { file, buffer, hasher: blake3::Hasher::new(), length: 0 })
    }

    /// Checksum of what was written and flushed so far.
    pub(crate) fn content(&self) -> Content {
        Content { blake3: *self.hasher.finalize().as_bytes(), length: self.length }
    }
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all(&self.buffer)?;
        self.hasher.update(&self.buffer);
        self.length += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}
