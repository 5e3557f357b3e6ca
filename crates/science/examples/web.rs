//! The cosmic web of clustered points: how long each step takes, and how much memory all of it.
//!
//! `web COUNT|FILE [--sigmas N] [--memory BYTES | --blocks N] [--folder DIR] [--classes N]`: how many points
//! are drawn, half of them in haloes of a hierarchy of clusters, half anywhere in a cube, from one seed, or a
//! file of points (x, y, z of each, f64 of this machine's byte order); in how many blocks the web is made, or within how much memory; where the outputs of parts are kept (without it, in
//! memory), from which a run that was ended goes on; and how many sets of random points classes are made with.
//!
//! Prints a line a step with its seconds, then the numbers of cells, filaments and segments, a digest of all
//! that was made, and the peak memory (kB).

use bifrost_science::astra::Uniform;
use bifrost_science::skeleton::{Options, Threshold};
use bifrost_science::web::{Realisations, Settings, Web, blocks, classify, find};
use bifrost_science::work::{Failure, Make, Memory, Work};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::cell::Cell;
use std::error::Error;
use std::hash::{DefaultHasher, Hasher};
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

/// Points of a halo, on average.
const OF_A_HALO: usize = 40;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let of = |name: &str| {
        let place = words.iter().position(|word| word == name);
        place.and_then(|at| words.get(at + 1)).map(String::as_str)
    };
    let first = words.first().ok_or("web COUNT|FILE …")?;
    let points = match first.parse() {
        Ok(count) => drawn(count),
        Err(_) => read(first)?,
    };
    let count = points.len();
    let blocks = match (of("--memory"), of("--blocks")) {
        (Some(bytes), _) => blocks(count, bytes.parse()?).ok_or("that is too little memory")?,
        (None, blocks) => blocks.map_or(Ok(1), str::parse)?,
    };
    let threshold = Threshold::Sigma(of("--sigmas").map_or(Ok(3.0), str::parse)?);
    let work: Box<dyn Work> = match of("--folder") {
        Some(folder) => Box::new(Folder::new(folder.into())?),
        None => Box::<Memory>::default(),
    };
    let clock = Clock(Cell::new((Instant::now(), "")));
    let options = Options { threshold, ..Options::default() };
    let settings = Settings { blocks, options, ..Settings::default() };
    let web = find(&points, &settings, &*work, &|step| clock.begin(step))?;
    clock.begin("classes");
    let mut digest = DefaultHasher::new();
    digest_of(&web, &mut digest);
    if let Some(count) = of("--classes") {
        let ends = |pick: fn(f64, f64) -> f64| {
            points.iter().copied().reduce(|a, b| [0, 1, 2].map(|k| pick(a[k], b[k])))
        };
        let (low, high) = (ends(f64::min).unwrap_or_default(), ends(f64::max).unwrap_or_default());
        let volume = Uniform { low, high, seed: 1 };
        let realisations = Realisations { count: count.parse()?, blocks };
        let draw = |realisation, count| volume.points(realisation, count);
        for web in classify(&points, realisations, &*work, &draw)? {
            web.counts.iter().for_each(|count| digest.write_u32(*count));
        }
    }
    clock.begin("");
    let near = web.dist_filament.iter().filter(|distance| !distance.is_nan());
    let mean: f64 = near.sum::<f64>() / points.len() as f64;
    let mut out = std::io::stdout().lock();
    writeln!(out, "points {}\nblocks {blocks}\ncells {}", points.len(), web.cells)?;
    writeln!(out, "filaments {}", web.skeleton.filaments.len())?;
    writeln!(out, "segments {}\nmean_distance {mean}", web.skeleton.segments().len())?;
    writeln!(out, "digest {:016x}", digest.finish())?;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(peak) = status.lines().find_map(|line| line.strip_prefix("VmHWM:")) {
        writeln!(out, "memory {}", peak.trim().trim_end_matches(" kB"))?;
    }
    Ok(())
}

/// Says how long each step took when the next begins.
struct Clock(Cell<(Instant, &'static str)>);

impl Clock {
    fn begin(&self, step: &'static str) {
        let (began, before) = self.0.replace((Instant::now(), step));
        if !before.is_empty() {
            let said = writeln!(std::io::stdout(), "{before} {:.3}", began.elapsed().as_secs_f64());
            drop(said);
        }
    }
}

/// Outputs as files in a folder.
struct Folder(PathBuf);

impl Folder {
    fn new(folder: PathBuf) -> std::io::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    fn path(&self, step: &str, part: usize) -> PathBuf {
        self.0.join(format!("{}.{part}", step.replace(' ', "_")))
    }
}

impl Work for Folder {
    fn each(&self, step: &str, parts: usize, make: Make<'_>) -> Result<(), Failure> {
        for part in 0..parts {
            let path = self.path(step, part);
            if !path.exists() {
                let partial = path.with_extension("partial");
                std::fs::write(&partial, make(part)?)?;
                // whoever looks sees all of it or nothing
                std::fs::rename(partial, path)?;
            }
        }
        Ok(())
    }

    fn read(&self, step: &str, part: usize) -> Result<Vec<u8>, Failure> {
        Ok(std::fs::read(self.path(step, part))?)
    }
}

/// All bits of a web.
fn digest_of(web: &Web, digest: &mut DefaultHasher) {
    for values in [&web.density, &web.dist_filament, &web.dist_node] {
        values.iter().for_each(|value| digest.write_u64(value.to_bits()));
    }
    web.is_boundary.iter().for_each(|is| digest.write_u8(u8::from(*is)));
    let skeleton = &web.skeleton;
    skeleton.points.iter().flatten().for_each(|x| digest.write_u64(x.to_bits()));
    skeleton.vertices.iter().for_each(|vertex| digest.write_u32(*vertex));
    digest.write(format!("{:?}{:?}", skeleton.nodes, skeleton.filaments).as_bytes());
}

/// Points of a file, one by one: its bytes would add to the peak memory.
fn read(path: &str) -> Result<Vec<[f64; 3]>, Box<dyn Error>> {
    let file = std::fs::File::open(path)?;
    let count = file.metadata()?.len() as usize / 24;
    let mut file = std::io::BufReader::new(file);
    let mut points = Vec::with_capacity(count);
    let mut bytes = [0; 8];
    for _ in 0..count {
        let mut point = [0.0; 3];
        for x in &mut point {
            std::io::Read::read_exact(&mut file, &mut bytes)?;
            *x = f64::from_ne_bytes(bytes);
        }
        points.push(point);
    }
    Ok(points)
}

/// 20 points a cubic unit of 10 Mpc, whatever their number.
fn side(count: usize) -> f64 {
    (count as f64 / 0.02).cbrt()
}

/// Points of which half are in haloes: clusters of clusters, each a Gaussian.
fn drawn(count: usize) -> Vec<[f64; 3]> {
    let mut dice = ChaCha8Rng::seed_from_u64(20);
    let side = side(count);
    let groups = (count / (2 * OF_A_HALO * 10)).max(1);
    let centres: Vec<[f64; 3]> =
        (0..groups).map(|_| [0; 3].map(|_| dice.random_range(0.0..side))).collect();
    let scatter = |dice: &mut ChaCha8Rng, about: [f64; 3], width: f64| {
        // the sum of uniform numbers is near enough to a Gaussian
        about.map(|x| {
            x + width * ((0..6).map(|_| dice.random_range(-1.0..1.0)).sum::<f64>() / 1.414)
        })
    };
    let haloes: Vec<[f64; 3]> =
        (0..groups * 10).map(|halo| scatter(&mut dice, centres[halo % groups], 8.0)).collect();
    let halo = |dice: &mut ChaCha8Rng| haloes[dice.random_range(0..haloes.len())];
    (0..count)
        .map(|point| match point % 2 {
            0 => {
                let about = halo(&mut dice);
                scatter(&mut dice, about, 0.7)
            }
            _ => [0; 3].map(|_| dice.random_range(0.0..side)),
        })
        .collect()
}
