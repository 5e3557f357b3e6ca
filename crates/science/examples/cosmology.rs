//! Comoving distances of redshifts in a file.
//!
//! `cosmology H OMEGA_M REDSHIFTS PASSES OUT`: REDSHIFTS holds f64 of this machine's byte order, and OUT
//! becomes their distances (Mpc). H and `OMEGA_M` are those of a flat cosmology, or both `desi`. Prints
//! the seconds that each pass took, on one thread.

use bifrost_science::cosmology::Cosmology;
use std::error::Error;
use std::io::Write;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [h, omega_m, redshifts, passes, out] = &words[..] else {
        return Err("cosmology H OMEGA_M REDSHIFTS PASSES OUT".into());
    };
    let cosmology = match &h[..] {
        "desi" => Cosmology::desi(),
        h => Cosmology::flat(h.parse()?, omega_m.parse()?)?,
    };
    let bytes = std::fs::read(redshifts)?;
    let (words, _) = bytes.as_chunks::<8>();
    let z: Vec<f64> = words.iter().map(|word| f64::from_ne_bytes(*word)).collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let mut distances = Vec::new();
    for _ in 0..passes.parse()? {
        let began = Instant::now();
        distances = pool.install(|| cosmology.distances(&z));
        writeln!(std::io::stdout(), "{}", began.elapsed().as_secs_f64())?;
    }
    std::fs::write(out, distances.into_iter().flat_map(f64::to_ne_bytes).collect::<Vec<u8>>())?;
    Ok(())
}
