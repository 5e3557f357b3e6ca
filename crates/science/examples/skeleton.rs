//! Density, persistence pairs and skeleton of a mesh in a file.
//!
//! `skeleton pairs MESH VALUES OUT`: the pairs of the ascending order of values.
//!
//! `skeleton web MESH SIGMAS SMOOTH OUT`: density, averaged over neighbours SMOOTH times, its pairs and the
//! skeleton, whose pieces of filaments OUT has as f64: x, y, z of both ends of each. Then each vertex is
//! asked for its distance to the filaments.
//!
//! Both print how many seconds each step took, how many critical cells there are, and, where the system
//! says so, the peak of memory in kB.
//!
//! MESH holds the numbers of vertices and of cells as u64, then positions (f64), cells and neighbours
//! (u32); VALUES f64; all in this machine's byte order.

use bifrost_science::distance::Segments;
use bifrost_science::dtfe::Density;
use bifrost_science::mesh::Mesh;
use bifrost_science::morse::{Block, Complex, Order};
use bifrost_science::patch::Patch;
use bifrost_science::skeleton::{Field, Kind, Options, Skeleton, Threshold};
use bifrost_science::star::Stars;
use std::error::Error;
use std::io::{Read, Write};
use std::time::Instant;

type Any = Box<dyn Error>;

fn main() -> Result<(), Any> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["pairs", mesh, values, out] => pairs(&Owned::read(mesh)?, &numbers(values)?, out),
        ["web", mesh, sigmas, smooth, out] => {
            web(&Owned::read(mesh)?, sigmas.parse()?, smooth.parse()?, out)
        }
        _ => Err("skeleton pairs MESH VALUES OUT | web MESH SIGMAS SMOOTH OUT".into()),
    }
}

struct Owned {
    vertices: Vec<[f64; 3]>,
    cells: Vec<[u32; 4]>,
    neighbours: Vec<[u32; 4]>,
}

impl Owned {
    fn read(path: &str) -> Result<Self, Any> {
        let mut file = std::io::BufReader::with_capacity(1 << 20, std::fs::File::open(path)?);
        let mut word = [0; 8];
        let mut count = || -> Result<usize, Any> {
            file.read_exact(&mut word)?;
            Ok(usize::try_from(u64::from_ne_bytes(word))?)
        };
        let (vertices, cells) = (count()?, count()?);
        let mut position = || -> Result<[f64; 3], Any> {
            let mut bytes = [0; 24];
            file.read_exact(&mut bytes)?;
            Ok([0, 8, 16].map(|at| f64::from_ne_bytes(std::array::from_fn(|k| bytes[at + k]))))
        };
        let vertices = (0..vertices).map(|_| position()).collect::<Result<_, _>>()?;
        let mut four = || -> Result<[u32; 4], Any> {
            let mut bytes = [0; 16];
            file.read_exact(&mut bytes)?;
            Ok([0, 4, 8, 12].map(|at| u32::from_ne_bytes(std::array::from_fn(|k| bytes[at + k]))))
        };
        let mut quads = || (0..cells).map(|_| four()).collect::<Result<Vec<_>, _>>();
        Ok(Self { vertices, cells: quads()?, neighbours: quads()? })
    }

    fn mesh(&self) -> Mesh<'_> {
        Mesh { vertices: &self.vertices, cells: &self.cells, neighbours: &self.neighbours }
    }
}

fn numbers(path: &str) -> Result<Vec<f64>, Any> {
    let bytes = std::fs::read(path)?;
    let (words, _) = bytes.as_chunks::<8>();
    Ok(words.iter().map(|word| f64::from_ne_bytes(*word)).collect())
}

/// Says how long it took since the last time.
struct Clock(Instant);

impl Clock {
    fn say(&mut self, what: &str) -> Result<(), Any> {
        writeln!(std::io::stdout(), "{what} {:.3}", self.0.elapsed().as_secs_f64())?;
        self.0 = Instant::now();
        Ok(())
    }
}

/// Writes dimension and the last ranks of both cells of each pair, as u32.
fn pairs(mesh: &Owned, values: &[f64], out: &str) -> Result<(), Any> {
    let mut clock = Clock(Instant::now());
    let stars = Stars::new(mesh.mesh())?;
    clock.say("stars")?;
    let order = Order::ascending(values)?;
    clock.say("order")?;
    let patch = Patch::whole(mesh.mesh());
    let (block, found) = Block::new(&patch, &stars, &order)?;
    clock.say("gradient")?;
    let complex = Complex::new(order.ranks().len(), [found])?;
    clock.say("paths")?;
    let blocks = [block];
    let pairs = complex.pairs(&blocks)?;
    clock.say("pairs")?;
    say_critical(&complex)?;
    let edge = |at: u32| complex.edges()[at as usize].ranks[0];
    let triangle = |at: u32| complex.triangles()[at as usize].ranks[0];
    let mut all: Vec<[u32; 3]> = Vec::new();
    all.extend(pairs.vertex_edge.iter().map(|p| [0, complex.vertices()[p.0 as usize], edge(p.1)]));
    all.extend(pairs.edge_triangle.iter().map(|p| [1, edge(p.0), triangle(p.1)]));
    let last = pairs.triangle_tetrahedron.iter();
    all.extend(last.map(|p| [2, triangle(p.0), complex.tetrahedra()[p.1 as usize][0]]));
    std::fs::write(out, all.into_iter().flatten().flat_map(u32::to_ne_bytes).collect::<Vec<_>>())?;
    Ok(())
}

fn web(mesh: &Owned, sigmas: f64, smooth: usize, out: &str) -> Result<(), Any> {
    let mut clock = Clock(Instant::now());
    let stars = Stars::new(mesh.mesh())?;
    clock.say("stars")?;
    let density = Density::new(&stars, 1.0, smooth)?;
    clock.say("density")?;
    let order = Order::descending(&density.values)?;
    clock.say("order")?;
    let patch = Patch::whole(mesh.mesh());
    let (block, found) = Block::new(&patch, &stars, &order)?;
    clock.say("gradient")?;
    let complex = Complex::new(order.ranks().len(), [found])?;
    clock.say("paths")?;
    let blocks = [block];
    let pairs = complex.pairs(&blocks)?;
    clock.say("pairs")?;
    let options = Options { threshold: Threshold::Sigma(sigmas), ..Options::default() };
    let field = Field { positions: &mesh.vertices, density: &density, order: &order };
    let skeleton = Skeleton::trace(&complex, &pairs, field, &options, &blocks)?;
    clock.say("skeleton")?;
    let segments = skeleton.segments();
    let distances = Segments::new(&segments)?.nearest_of(&mesh.vertices);
    clock.say("distances")?;
    drop(distances);
    let of = |kind| skeleton.nodes.iter().filter(|node| node.kind == kind).count();
    let kinds = [Kind::Maximum, Kind::Saddle2, Kind::Saddle1, Kind::Minimum, Kind::Bifurcation];
    say_critical(&complex)?;
    writeln!(std::io::stdout(), "nodes {:?}", kinds.map(of))?;
    let numbers = segments.iter().flatten().flatten();
    std::fs::write(out, numbers.flat_map(|x| x.to_ne_bytes()).collect::<Vec<_>>())?;
    Ok(())
}

fn say_critical(complex: &Complex) -> Result<(), Any> {
    let (vertices, edges) = (complex.vertices().len(), complex.edges().len());
    let counts = [vertices, edges, complex.triangles().len(), complex.tetrahedra().len()];
    writeln!(std::io::stdout(), "critical {counts:?}")?;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(peak) = status.lines().find_map(|line| line.strip_prefix("VmHWM:")) {
        writeln!(std::io::stdout(), "memory {}", peak.trim().trim_end_matches(" kB"))?;
    }
    Ok(())
}
