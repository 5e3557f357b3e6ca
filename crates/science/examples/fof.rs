//! Finds groups of galaxies in a file, and says how long it took.
//!
//! `fof WHAT SAMPLE THREADS PASSES OUT`: SAMPLE holds f64 of this machine's byte order. WHAT is
//!
//! - `link`: all right ascensions, declinations, distances, linking lengths on the sky and along the line
//!   of sight; OUT becomes the first row of each row's group, as u32;
//! - `links`: the same sample; OUT becomes the pairs of linked rows, as u32, in order;
//! - `isotropic`: the linking length, then all x, all y, all z; OUT as for `link`.
//!
//! Prints the seconds that each pass took. Writes OUT if it is not `-`.

use bifrost_science::fof::{Galaxies, link, link_isotropic, links};
use std::error::Error;
use std::io::Write;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [what, sample, threads, passes, out] = &words[..] else {
        return Err("fof WHAT SAMPLE THREADS PASSES OUT".into());
    };
    let values = read(sample)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build()?;
    let find: Box<dyn Fn() -> Result<Vec<u32>, bifrost_science::fof::Error> + Sync> = match &what[..]
    {
        "link" => Box::new(|| Ok(link(galaxies(&values))?.first().to_vec())),
        "links" => Box::new(|| Ok(links(galaxies(&values))?.concat())),
        "isotropic" => {
            let (length, columns) = values.split_first().ok_or("no linking length")?;
            let count = columns.len() / 3;
            let place = |row| [columns[row], columns[count + row], columns[2 * count + row]];
            let positions: Vec<[f64; 3]> = (0..count).map(place).collect();
            Box::new(move || Ok(link_isotropic(&positions, *length)?.first().to_vec()))
        }
        _ => return Err(format!("{what} is not link, links or isotropic").into()),
    };
    let mut found = Vec::new();
    for _ in 0..passes.parse()? {
        let began = Instant::now();
        found = pool.install(&find)?;
        writeln!(std::io::stdout(), "{}", began.elapsed().as_secs_f64())?;
    }
    if out != "-" {
        std::fs::write(out, found.into_iter().flat_map(u32::to_ne_bytes).collect::<Vec<u8>>())?;
    }
    Ok(())
}

fn read(path: &str) -> std::io::Result<Vec<f64>> {
    let mut file = std::io::BufReader::with_capacity(1 << 20, std::fs::File::open(path)?);
    let count = file.get_ref().metadata()?.len() as usize / 8;
    let mut word = [0; 8];
    let mut next = || {
        std::io::Read::read_exact(&mut file, &mut word)?;
        Ok(f64::from_ne_bytes(word))
    };
    (0..count).map(|_| next()).collect()
}

fn galaxies(values: &[f64]) -> Galaxies<'_> {
    let (ra_deg, rest) = values.split_at(values.len() / 5);
    let (dec_deg, rest) = rest.split_at(ra_deg.len());
    let (distance, rest) = rest.split_at(ra_deg.len());
    let (across, along) = rest.split_at(ra_deg.len());
    Galaxies { ra_deg, dec_deg, distance, across, along }
}
