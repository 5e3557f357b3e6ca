//! Tetrahedra of points in a file, and how long they took.
//!
//! `delaunay POINTS THREADS PASSES OUT`: POINTS holds f64 of this machine's byte order, x, y, z of each.
//! Prints the seconds of each pass, and at the end how many cells there are; writes their vertices as
//! u32, then their neighbours, into OUT, if it is not `-`.

use bifrost_science::delaunay::Delaunay;
use std::error::Error;
use std::io::{Read, Write};
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [points, threads, passes, out] = &words[..] else {
        return Err("delaunay POINTS THREADS PASSES OUT".into());
    };
    let points = read(points)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build()?;
    let mut stdout = std::io::stdout().lock();
    for pass in (0..passes.parse::<u32>()?).rev() {
        let began = Instant::now();
        let made = pool.install(|| Delaunay::new(&points))?;
        writeln!(stdout, "{}", began.elapsed().as_secs_f64())?;
        if pass > 0 {
            continue;
        }
        let mesh = made.mesh();
        writeln!(stdout, "{}", mesh.cells.len())?;
        if out != "-" {
            let values = mesh.cells.iter().chain(mesh.neighbours).flatten();
            std::fs::write(out, values.flat_map(|value| value.to_ne_bytes()).collect::<Vec<u8>>())?;
        }
    }
    Ok(())
}

/// Reads points one by one: the file's bytes would add to the peak memory.
fn read(path: &str) -> std::io::Result<Vec<[f64; 3]>> {
    let file = std::fs::File::open(path)?;
    let count = file.metadata()?.len() / 24;
    let mut file = std::io::BufReader::new(file);
    let mut point = || {
        let mut bytes = [0; 24];
        file.read_exact(&mut bytes)?;
        let (words, _) = bytes.as_chunks::<8>();
        Ok([0, 1, 2].map(|axis| f64::from_ne_bytes(words[axis])))
    };
    (0..count).map(|_| point()).collect()
}
