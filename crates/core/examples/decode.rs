//! Decodes columns of Parquet files with the parquet crate alone, as fast as it goes: what a scan is held
//! against. Prints a JSON object with seconds, values and their sum.
//!
//! ```text
//! decode COLUMN[,COLUMN…] FILE…
//! ```
//!
//! Row groups are decoded side by side, columns of f64 and f32 into buffers that are used again.

use bytes::Bytes;
use parquet::column::reader::ColumnReader;
use parquet::file::reader::{ChunkReader, FileReader, Length, SerializedFileReader};
use rayon::prelude::*;
use std::error::Error;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Instant;

/// A place in a file that several threads read: the crate's own reader of files has one place for all.
struct At(Arc<File>, u64);

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.0.read_at(buffer, self.1)?;
        self.1 += read as u64;
        Ok(read)
    }
}

impl Length for At {
    fn len(&self) -> u64 {
        self.0.metadata().map_or(0, |about| about.len())
    }
}

impl ChunkReader for At {
    type T = BufReader<At>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(BufReader::new(At(self.0.clone(), start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let mut bytes = vec![0; length];
        self.0.read_exact_at(&mut bytes, start)?;
        Ok(bytes.into())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let columns = arguments.next().ok_or("which columns?")?;
    let columns: Vec<&str> = columns.split(',').collect();
    let started = Instant::now();
    let files =
        arguments.map(|path| Ok(SerializedFileReader::new(At(Arc::new(File::open(path)?), 0))?));
    let files = files.collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    let groups: Vec<(usize, usize)> = files
        .iter()
        .enumerate()
        .flat_map(|(file, reader)| (0..reader.num_row_groups()).map(move |group| (file, group)))
        .collect();
    let decode = |&(file, group): &(usize, usize)| -> Result<(u64, f64), String> {
        let wrong = |error: parquet::errors::ParquetError| error.to_string();
        let reader = files[file].get_row_group(group).map_err(wrong)?;
        let (mut values, mut sum) = (0, 0.0);
        for (at, column) in reader.metadata().columns().iter().enumerate() {
            if !columns.contains(&column.column_path().string().as_str()) {
                continue;
            }
            let rows = usize::try_from(reader.metadata().num_rows()).map_err(|e| e.to_string())?;
            let mut levels = Vec::new();
            match reader.get_column_reader(at).map_err(wrong)? {
                ColumnReader::DoubleColumnReader(mut column) => {
                    let mut all = Vec::with_capacity(rows);
                    column.read_records(rows, Some(&mut levels), None, &mut all).map_err(wrong)?;
                    values += all.len() as u64;
                    sum += all.iter().sum::<f64>();
                }
                ColumnReader::FloatColumnReader(mut column) => {
                    let mut all = Vec::with_capacity(rows);
                    column.read_records(rows, Some(&mut levels), None, &mut all).map_err(wrong)?;
                    values += all.len() as u64;
                    sum += all.iter().map(|value| f64::from(*value)).sum::<f64>();
                }
                _ => return Err(format!("{} is no column of f64 or f32", column.column_path())),
            }
        }
        Ok((values, sum))
    };
    let found = groups.par_iter().map(decode).collect::<Result<Vec<_>, _>>()?;
    let (values, sum) = found.into_iter().fold((0, 0.0), |(n, s), (m, t)| (n + m, s + t));
    let seconds = started.elapsed().as_secs_f64();
    let told = serde_json::json!({ "seconds": seconds, "values": values, "sum": sum });
    Ok(writeln!(std::io::stdout(), "{told}")?)
}
