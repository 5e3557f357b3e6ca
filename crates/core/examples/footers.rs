//! Reads and decodes the footer of every Parquet file below a folder with the parquet crate alone, on all
//! cores: what a cold sync is held against. Prints a JSON object with seconds, files and columns of row groups.
//!
//! ```text
//! footers FOLDER
//! ```

use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
use rayon::prelude::*;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            walk(&path, found)?;
        } else if path.extension().is_some_and(|end| end == "parquet") {
            found.push(path);
        }
    }
    Ok(())
}

/// How many columns its row groups have.
fn columns(path: &PathBuf) -> Result<usize, Box<dyn Error + Send + Sync>> {
    let mut reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Skip);
    reader.try_parse(&File::open(path)?)?;
    Ok(reader.finish()?.row_groups().iter().map(|group| group.num_columns()).sum())
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let folder = std::env::args().nth(1).ok_or("usage: footers FOLDER")?;
    let mut paths = Vec::new();
    walk(Path::new(&folder), &mut paths)?;
    let started = Instant::now();
    let counted: usize = paths.par_iter().map(columns).sum::<Result<usize, _>>()?;
    let seconds = started.elapsed().as_secs_f64();
    let told = serde_json::json!({ "seconds": seconds, "files": paths.len(), "columns": counted });
    Ok(writeln!(io::stdout(), "{told}")?)
}
