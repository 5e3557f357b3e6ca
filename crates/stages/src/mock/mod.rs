//! Synthetic tiles in the archive's exact format: the numbers are invented, the structure is not.
//!
//! One call writes the folder of one tile: `coadd`, `redrock`, `emline`, `rrdetails`, `hpixexp` and
//! the `sha256sum` file. Spectra are simple physical models at a known redshift plus noise, so that
//! fluxes, line positions, redshifts and scores agree with each other across the files. The same
//! request gives the same bytes.
//!
//! A tile is made in this order: `targets` are drawn, `exposures` observe them, `coadd` writes
//! what the `arms` see of their `spectra` and scores it, `redshifts` are fitted to that, and the
//! other files follow from the objects.

mod arms;
mod coadd;
mod dice;
mod edges;
mod emlines;
mod exposures;
mod folder;
mod photometry;
mod redshifts;
mod rrdetails;
mod spectra;
mod tables;
mod targets;

pub use edges::{Edge, Edges};

use bifrost_core::tile::Tile;
use dice::{Purpose, Seed};
use folder::Folder;
use std::io;
use std::path::{Path, PathBuf};
use targets::Class;

/// The archive's surveys; the place of a name numbers its targets.
pub const SURVEYS: [&str; 6] = ["cmx", "main", "special", "sv1", "sv2", "sv3"];
/// The archive's programs.
pub const PROGRAMS: [&str; 4] = ["backup", "bright", "dark", "other"];
/// Rows that a tile can have; the archive's largest has about 5,000.
pub const MAX_OBJECTS: usize = 50_000;

/// The form of pixel masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mask {
    /// Plain signed integers: DR1 coadds.
    #[default]
    Int32,
    /// Plain unsigned integers by `BZERO`: EDR coadds.
    Uint32,
    /// Tile-compressed with GZIP_1: uncoadded spectra.
    Gzip,
    /// Tile-compressed with RICE_1: seen nowhere, but legal.
    Rice,
}

/// How much of the fits' details is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Details {
    /// Every redshift of every scan.
    #[default]
    Full,
    /// One redshift in twenty.
    Small,
    /// No file.
    None,
}

/// How many rows a tile gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// So many, sky and unassigned fibers included.
    Rows(usize),
    /// As the archive's tiles spread: half below 530, some of 5,000.
    Real,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Folder that stands for the production (`…/redux/iron`).
    pub out: PathBuf,
    /// Rows a tile.
    pub size: Size,
    /// The same seed gives the same tiles.
    pub seed: u64,
    /// Form of pixel masks.
    pub mask: Mask,
    /// Extent of the rrdetails file.
    pub details: Details,
    /// Whether resolution matrices, two thirds of the bytes, are written.
    pub resolution: bool,
    /// Whether the coadd's HDUs carry checksums.
    pub checksums: bool,
    /// Edge cases that every tile shows.
    pub edges: Edges,
}

/// A tile that was written.
#[derive(Debug, Clone)]
pub struct Made {
    /// The tile.
    pub tile: Tile,
    /// Its folder.
    pub dir: PathBuf,
    /// Rows of each class.
    pub counts: Counts,
    /// All files together.
    pub size_bytes: u64,
}

/// Rows of each class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Counts {
    pub galaxies: usize,
    pub quasars: usize,
    pub stars: usize,
    pub sky: usize,
    pub unassigned: usize,
}

impl Counts {
    /// Rows of the tile.
    #[must_use]
    pub fn total(&self) -> usize {
        self.galaxies + self.quasars + self.stars + self.sky + self.unassigned
    }

    fn of(objects: &[Object]) -> Self {
        let mut counts = Self::default();
        for object in objects {
            *match object.target.class {
                Class::Galaxy => &mut counts.galaxies,
                Class::Quasar => &mut counts.quasars,
                Class::Star(_) => &mut counts.stars,
                Class::Sky => &mut counts.sky,
                Class::Unassigned => &mut counts.unassigned,
            } += 1;
        }
        counts
    }
}

/// Why a tile was not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not one of the archive's.
    #[error("'{0}' is no survey of the archive: use one of {all}", all = SURVEYS.join(", "))]
    Survey(String),
    /// Not one of the archive's.
    #[error("'{0}' is no program of the archive: use one of {all}", all = PROGRAMS.join(", "))]
    Program(String),
    /// None, or more than ids can be given to.
    #[error("a tile cannot have {0} rows: ask for 1 to {MAX_OBJECTS}")]
    Rows(usize),
    /// The file system refused.
    #[error("failed to write {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The HDF5 library refused.
    #[error("failed to write {}: {source}", path.display())]
    Hdf5 {
        /// The file.
        path: PathBuf,
        /// The library's reason.
        source: hdf5::Error,
    },
}

impl Error {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// One row of a tile: who it is, how it was observed, and what came out.
#[derive(Debug, Clone)]
struct Object {
    target: targets::Target,
    target_bits: i64,
    photometry: photometry::Photometry,
    observation: exposures::Observation,
    scores: [arms::Score; 3],
    fit: redshifts::Fit,
}

/// Writes one tile, in place of what its folder held of it.
///
/// # Errors
/// [`Error::Survey`], [`Error::Program`] or [`Error::Rows`] where the request cannot be met;
/// otherwise those of writing.
pub fn write_tile(request: &Request, tile: &Tile) -> Result<Made, Error> {
    let branch = branch_of(tile)?;
    let seed = Seed::new(request.seed, tile.pixel.get(), branch);
    let count = row_count(request.size, seed)?;
    let folder = Folder::clear(&request.out, tile)?;
    let pool = exposures::pool(seed, tile.pixel.get());
    let mut objects = draw_objects(request, tile, seed, branch, &pool, count);
    folder.write_coadd(request, seed, &mut objects)?;
    for (row, object) in objects.iter_mut().enumerate() {
        object.fit = redshifts::fit(seed, row, object, &request.edges);
    }
    // the digest of the coadd takes about as long as all the other files
    let (coadd, others) = rayon::join(
        || folder.digest("coadd", "fits"),
        || folder.write_others(request, seed, &objects, &pool),
    );
    let mut digests = others?;
    digests.push(coadd?);
    folder.finish(&request.edges, digests)?;
    Ok(Made {
        tile: tile.clone(),
        counts: Counts::of(&objects),
        size_bytes: folder.size_bytes(),
        dir: folder.into_dir(),
    })
}

/// The number of a (survey, program), from 1.
fn branch_of(tile: &Tile) -> Result<u32, Error> {
    let place = |names: &[&str], name: &str| names.iter().position(|n| *n == name);
    let survey = place(&SURVEYS, tile.survey.as_str());
    let survey = survey.ok_or_else(|| Error::Survey(tile.survey.to_string()))?;
    let program = place(&PROGRAMS, tile.program.as_str());
    let program = program.ok_or_else(|| Error::Program(tile.program.to_string()))?;
    Ok((1 + survey * PROGRAMS.len() + program) as u32)
}

fn row_count(size: Size, seed: Seed) -> Result<usize, Error> {
    match size {
        Size::Rows(count) if (1..=MAX_OBJECTS).contains(&count) => Ok(count),
        Size::Rows(count) => Err(Error::Rows(count)),
        Size::Real => {
            let count = seed.dice(Purpose::Size, 0).lognormal(530.0, 1.1);
            Ok((count as usize).clamp(1, 5000))
        }
    }
}

fn draw_objects(
    request: &Request,
    tile: &Tile,
    seed: Seed,
    branch: u32,
    pool: &[exposures::Exposure],
    count: usize,
) -> Vec<Object> {
    let edges = &request.edges;
    let mut targets = targets::draw(request.seed, tile.pixel, branch, count, edges);
    let observations = exposures::observe(seed, &targets, pool, edges);
    exposures::name_unassigned(&mut targets, &observations);
    if edges.has(Edge::DuplicateId) {
        targets::duplicate_id(&mut targets);
    }
    let rows = targets.into_iter().zip(observations).enumerate();
    rows.map(|(row, (target, observation))| Object {
        target_bits: tables::target_bits(target.class, target.young, tile.program.as_str()),
        photometry: photometry::draw(seed, row),
        observation,
        scores: Default::default(),
        fit: redshifts::without_data(),
        target,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bifrost_core::tile::{Name, Pixel};
    use std::collections::BTreeMap;
    use std::fs;

    fn request(out: &Path, edges: &[Edge]) -> Request {
        Request {
            out: out.to_owned(),
            size: Size::Rows(24),
            seed: 5,
            mask: Mask::Int32,
            details: Details::Small,
            resolution: false,
            checksums: true,
            edges: edges.iter().copied().collect(),
        }
    }

    fn tile(survey: &str, program: &str) -> Tile {
        let name = |n| Name::new(n).expect("a name");
        let pixel = Pixel::new(12_345).expect("on the sphere");
        Tile { release: name("iron"), survey: name(survey), program: name(program), pixel }
    }

    /// The bytes of a tile's files, by what the name begins with.
    fn write(edges: &[Edge], survey: &str) -> BTreeMap<String, Vec<u8>> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let made = write_tile(&request(dir.path(), edges), &tile(survey, "dark")).expect("made");
        let files = fs::read_dir(&made.dir).expect("a folder").map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|n| n.to_str()).expect("a name").to_owned();
            let kind = name.split(['-', '_']).next().expect("a kind").to_owned();
            (kind, fs::read(&path).expect("its bytes"))
        });
        files.collect()
    }

    /// Values of a card in all headers of a file.
    fn cards(bytes: &[u8], key: &str) -> Vec<i64> {
        let cards = bytes.chunks(80).filter(|card| card.starts_with(key.as_bytes()));
        cards
            .map(|card| String::from_utf8_lossy(&card[10..]).into_owned())
            .map(|text| text.split('/').next().unwrap_or("").trim().parse().expect("a number"))
            .collect()
    }

    #[test]
    fn the_same_request_gives_the_same_bytes() {
        assert_eq!(write(&[], "main"), write(&[], "main"));
    }

    #[test]
    fn row_widths_are_those_of_the_release() {
        let files = write(&[], "main");
        let widths = |kind: &str| cards(&files[kind], "NAXIS1  ");
        let coadd = widths("coadd");
        assert_eq!(coadd[..2], [317, 162]);
        assert_eq!(coadd.last(), Some(&172));
        assert_eq!(widths("redrock"), [170, 317, 162, 136]);
        assert_eq!(widths("emline"), [345]);
        assert_eq!(cards(&write(&[], "sv3")["coadd"], "NAXIS1  ")[0], 341);
    }

    #[test]
    fn an_edge_leaves_the_rest_of_the_tile_as_it_was() {
        let plain = write(&[], "main");
        for (edge, changed) in [
            (Edge::ShuffleRedrock, "redrock"),
            (Edge::ExtraRedrock, "redrock"),
            (Edge::ShuffleEmline, "emline"),
            (Edge::ShortEmline, "emline"),
            (Edge::TruncatedCoadd, "coadd"),
        ] {
            let other = write(&[edge], "main");
            for (kind, bytes) in plain.iter().filter(|(kind, _)| *kind != "redux") {
                assert_eq!(*bytes != other[kind], kind == changed, "{edge}: {kind}");
            }
        }
    }

    #[test]
    fn edges_combine() {
        let files = write(&[Edge::MissingRedrock, Edge::EmptyEmline, Edge::NoSha256], "main");
        let kinds: Vec<_> = files.keys().map(String::as_str).collect();
        assert_eq!(kinds, ["coadd", "emline", "hpixexp", "rrdetails"]);
        assert!(files["emline"].is_empty());
    }

    #[test]
    fn impossible_requests_are_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut request = request(dir.path(), &[]);
        assert!(matches!(write_tile(&request, &tile("sdss", "dark")), Err(Error::Survey(_))));
        assert!(matches!(write_tile(&request, &tile("main", "gray")), Err(Error::Program(_))));
        request.size = Size::Rows(0);
        assert!(matches!(write_tile(&request, &tile("main", "dark")), Err(Error::Rows(0))));
    }
}
