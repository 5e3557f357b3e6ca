//! Distances to fifth neighbours, or Σ₅, of galaxies in a file.
//!
//! `neighbours WHAT SAMPLE THREADS PASSES OUT`: SAMPLE holds f64 of this machine's byte order. WHAT is
//!
//! - `dist`: all x, all y, all z; OUT becomes the distance to each row's fifth neighbour;
//! - `sigma`: all right ascensions, declinations, redshifts; OUT becomes Σ₅ in DESI's cosmology.
//!
//! Prints the seconds that each pass took. Writes OUT, as f64, if it is not `-`.

use bifrost_science::cosmology::Cosmology;
use bifrost_science::neighbours::{Edge, Galaxies, Recipe, dist_5nn, sigma_5};
use std::error::Error;
use std::io::Write;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [what, sample, threads, passes, out] = &words[..] else {
        return Err("neighbours WHAT SAMPLE THREADS PASSES OUT".into());
    };
    let bytes = std::fs::read(sample)?;
    let (words, _) = bytes.as_chunks::<8>();
    let values: Vec<f64> = words.iter().map(|word| f64::from_ne_bytes(*word)).collect();
    drop(bytes);
    let count = values.len() / 3;
    let column = |number: usize| &values[number * count..(number + 1) * count];
    let positions: Vec<[f64; 3]> =
        (0..count).map(|row| [0, 1, 2].map(|number| column(number)[row])).collect();
    let is_tracer = vec![true; count];
    let galaxies = Galaxies {
        ra_deg: column(0),
        dec_deg: column(1),
        z: column(2),
        is_tracer: &is_tracer,
        completeness: &[1.0],
    };
    let cosmology = Cosmology::desi();
    let find = || match &what[..] {
        "dist" => dist_5nn(&positions),
        _ => Ok(sigma_5(&cosmology, galaxies, Edge::None, Recipe::default())?.sigma_5),
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build()?;
    let mut found = Vec::new();
    for _ in 0..passes.parse()? {
        let began = Instant::now();
        found = pool.install(find)?;
        writeln!(std::io::stdout(), "{}", began.elapsed().as_secs_f64())?;
    }
    if out != "-" {
        std::fs::write(out, found.into_iter().flat_map(f64::to_ne_bytes).collect::<Vec<u8>>())?;
    }
    Ok(())
}
