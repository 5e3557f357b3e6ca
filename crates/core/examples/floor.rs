//! What decoding arrays costs at the least: reads the pages of split 4-byte columns one after the other in one
//! thread, decompresses them with one zstd context and joins their planes, into buffers that are used again.
//! Prints a JSON object with seconds, seconds of decompression alone, values and their sum as integers.
//!
//! ```text
//! floor COLUMN[,COLUMN…] FILE…
//! ```

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::PageIndexPolicy;
use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// Every page is one frame of zstd, behind its header.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// A page is no larger.
const PAGE_BYTES: usize = 64 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let columns = arguments.next().ok_or("which columns?")?;
    let columns: Vec<&str> = columns.split(',').collect();
    let mut zstd = zstd::bulk::Decompressor::new()?;
    let (mut packed, mut plain, mut joined) = (Vec::new(), vec![0; PAGE_BYTES], Vec::new());
    let (mut values, mut sum, mut unpacking) = (0, 0u64, Duration::ZERO);
    let started = Instant::now();
    for path in arguments {
        let file = File::open(path)?;
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let footer = ArrowReaderMetadata::load(&file, options)?;
        let index = footer.metadata().offset_index().ok_or("no index of pages")?;
        for (group, pages) in footer.metadata().row_groups().iter().zip(index) {
            let named =
                group.columns().iter().zip(pages).filter(|(column, _)| {
                    columns.contains(&column.column_path().parts()[0].as_str())
                });
            for page in named.flat_map(|(_, pages)| pages.page_locations()) {
                packed.resize(usize::try_from(page.compressed_page_size)?, 0);
                file.read_exact_at(&mut packed, u64::try_from(page.offset)?)?;
                let start = packed.windows(4).position(|four| four == MAGIC).ok_or("no zstd")?;
                let now = Instant::now();
                let length = zstd.decompress_to_buffer(&packed[start..], plain.as_mut_slice())?;
                unpacking += now.elapsed();
                let mut split = &plain[..length];
                // repetition and definition levels, each behind its length
                for _ in 0..2 {
                    let (length, rest) = split.split_first_chunk().ok_or("no levels")?;
                    split = &rest[u32::from_le_bytes(*length) as usize..];
                }
                let count = split.len() / 4;
                let plane = |at: usize| &split[at * count..(at + 1) * count];
                let pairs = plane(0).iter().zip(plane(1)).zip(plane(2).iter().zip(plane(3)));
                joined.clear();
                joined.extend(pairs.map(|((a, b), (c, d))| u32::from_le_bytes([*a, *b, *c, *d])));
                values += count;
                sum = sum.wrapping_add(u64::from(joined[count / 2]));
            }
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let unpacking = unpacking.as_secs_f64();
    let told = serde_json::json!({
        "seconds": seconds, "zstd_seconds": unpacking, "values": values, "sum": sum,
    });
    Ok(writeln!(std::io::stdout(), "{told}")?)
}
