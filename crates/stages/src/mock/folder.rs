//! The folder of a tile: which files lie in it under which names, and the smaller of them.

use super::dice::{Purpose, Seed};
use super::edges::{Edge, Edges};
use super::exposures::Exposure;
use super::tables::{self, Campaign};
use super::{Details, Error, Object, Request, coadd, emlines, rrdetails};
use crate::fits::write::{FitsWriter, Header};
use bifrost_core::tile::{Pixel, Tile};
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

/// Redshifts of a scan that [`Details::Small`] leaves out between two.
const THINNED: usize = 20;
/// What an additional redrock row's id is larger by.
const EXTRA_ID: i64 = 1 << 21;

/// A file's name and the sha256 of its content, in hexadecimal.
pub type Digest = (String, String);

/// The folder of one tile.
pub struct Folder<'a> {
    dir: PathBuf,
    tile: &'a Tile,
}

impl<'a> Folder<'a> {
    /// Makes the folder, and removes what it holds of the tile's files.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn clear(out: &Path, tile: &'a Tile) -> Result<Self, Error> {
        let pixel = tile.pixel.get();
        let dir = out
            .join("healpix")
            .join(tile.survey.as_str())
            .join(tile.program.as_str())
            .join((pixel / 100).to_string())
            .join(pixel.to_string());
        let folder = Self { dir, tile };
        fs::create_dir_all(&folder.dir).map_err(Error::io(&folder.dir))?;
        for path in folder.paths().iter().filter(|p| p.exists()) {
            fs::remove_file(path).map_err(Error::io(path))?;
        }
        Ok(folder)
    }

    /// The folder's path.
    pub fn into_dir(self) -> PathBuf {
        self.dir
    }

    /// Bytes of all files.
    pub fn size_bytes(&self) -> u64 {
        self.paths().iter().filter_map(|p| fs::metadata(p).ok()).map(|m| m.len()).sum()
    }

    /// `SURVEY-PROGRAM-PIX`
    fn stem(&self) -> String {
        format!("{}-{}-{}", self.tile.survey, self.tile.program, self.tile.pixel)
    }

    fn name(&self, kind: &str, extension: &str) -> String {
        format!("{kind}-{}.{extension}", self.stem())
    }

    fn path(&self, kind: &str, extension: &str) -> PathBuf {
        self.dir.join(self.name(kind, extension))
    }

    fn sums(&self) -> PathBuf {
        let Tile { release, survey, program, pixel } = self.tile;
        let group = pixel.get() / 100;
        self.dir
            .join(format!("redux_{release}_healpix_{survey}_{program}_{group}_{pixel}.sha256sum"))
    }

    fn paths(&self) -> [PathBuf; 6] {
        [
            self.path("coadd", "fits"),
            self.path("redrock", "fits"),
            self.path("emline", "fits"),
            self.path("rrdetails", "h5"),
            self.path("hpixexp", "csv"),
            self.sums(),
        ]
    }

    fn campaign(&self) -> Campaign<'a> {
        Campaign { survey: self.tile.survey.as_str(), program: self.tile.program.as_str() }
    }

    /// Writes the coadd and fills in the objects' scores.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write_coadd(
        &self,
        request: &Request,
        seed: Seed,
        objects: &mut [Object],
    ) -> Result<(), Error> {
        let path = self.path("coadd", "fits");
        let mut primary = Header::primary();
        add_tile_cards(&mut primary, self.tile, true);
        coadd::write(&path, primary, self.campaign(), request, seed, objects)
            .map_err(Error::io(&path))
    }

    /// Writes everything but the coadd, and returns the digests.
    ///
    /// # Errors
    /// Those of the file system and of the HDF5 library.
    pub fn write_others(
        &self,
        request: &Request,
        seed: Seed,
        objects: &[Object],
        pool: &[Exposure],
    ) -> Result<Vec<Digest>, Error> {
        let edges = &request.edges;
        let mut digests = Vec::new();
        if !edges.has(Edge::MissingRedrock) {
            let path = self.path("redrock", "fits");
            self.write_redrock(&path, edges, seed, objects).map_err(Error::io(&path))?;
            digests.push(self.digest("redrock", "fits")?);
        }
        let path = self.path("emline", "fits");
        if self.write_emline(&path, edges, seed, objects).map_err(Error::io(&path))? {
            digests.push(self.digest("emline", "fits")?);
        }
        let thin = match request.details {
            _ if edges.has(Edge::MissingRrdetails) => None,
            Details::None => None,
            Details::Small => Some(THINNED),
            Details::Full => Some(1),
        };
        if let Some(thin) = thin {
            let path = self.path("rrdetails", "h5");
            rrdetails::write(&path, seed, objects, thin)
                .map_err(|source| Error::Hdf5 { path, source })?;
            digests.push(self.digest("rrdetails", "h5")?);
        }
        let path = self.path("hpixexp", "csv");
        fs::write(&path, self.exposure_list(pool)).map_err(Error::io(&path))?;
        digests.push(self.digest("hpixexp", "csv")?);
        Ok(digests)
    }

    fn write_redrock(
        &self,
        path: &Path,
        edges: &Edges,
        seed: Seed,
        objects: &[Object],
    ) -> io::Result<()> {
        let mut primary = Header::primary();
        primary.text("LONGSTRN", "OGIP 1.0", "").text("RRVER", "0.17.0", "Redrock version");
        for (i, template) in rrdetails::templates().iter().enumerate() {
            primary.text(&format!("TEMNAM{i:02}"), &template.name, "");
            primary.text(&format!("TEMVER{i:02}"), template.version(), "");
        }
        add_tile_cards(&mut primary, self.tile, false);
        let coadd_order: Vec<&Object> = objects.iter().collect();
        let mut rows = coadd_order.clone();
        if edges.has(Edge::ShuffleRedrock) {
            seed.dice(Purpose::RedrockOrder, 0).shuffle(&mut rows);
        }
        let real = objects.iter().find(|o| o.target.class.is_object()).or(objects.first());
        let extra = real.cloned().map(|mut object| {
            object.target.target_id += EXTRA_ID;
            object
        });
        rows.extend(extra.iter().filter(|_| edges.has(Edge::ExtraRedrock)));

        let mut file = FitsWriter::new(BufWriter::new(File::create(path)?), false);
        file.append(primary, [].into_iter())?;
        file.append_table(&tables::redshifts(&rows))?;
        file.append_table(&tables::fibermap(&rows, self.campaign(), Header::default()))?;
        file.append_table(&tables::exp_fibermap(&coadd_order, false, Header::default()))?;
        file.append_table(&tables::tsnr2(&rows))?;
        file.finish().map(drop)
    }

    /// Writes the line fits; says whether there is a file.
    fn write_emline(
        &self,
        path: &Path,
        edges: &Edges,
        seed: Seed,
        objects: &[Object],
    ) -> io::Result<bool> {
        if edges.has(Edge::EmptyEmline) {
            return File::create(path).map(|_| true);
        }
        let is_headless = edges.has(Edge::HeadlessEmline);
        if edges.has(Edge::MissingEmline) && !is_headless {
            return Ok(false);
        }
        let mut file = FitsWriter::new(BufWriter::new(File::create(path)?), false);
        file.append(Header::primary(), [].into_iter())?;
        if !is_headless {
            let mut rows: Vec<usize> = (0..objects.len()).collect();
            if edges.has(Edge::ShuffleEmline) {
                seed.dice(Purpose::EmlineOrder, 0).shuffle(&mut rows);
            }
            if edges.has(Edge::ShortEmline) {
                let kept = rows.into_iter().enumerate().filter(|(place, _)| place % 5 != 0);
                rows = kept.map(|(_, row)| row).collect();
            }
            file.append_table(&emlines::table(seed, objects, &rows, emlines::cards(&self.stem())))?;
        }
        file.finish().map(|_| true)
    }

    fn exposure_list(&self, pool: &[Exposure]) -> String {
        let Tile { survey, program, pixel, .. } = self.tile;
        let mut csv = String::from("NIGHT,EXPID,TILEID,SURVEY,PROGRAM,SPECTRO,HEALPIX\n");
        for Exposure { night, exposure_id, pointing_id, petal, .. } in pool {
            // writing to a string cannot fail
            let _ = writeln!(
                csv,
                "{night},{exposure_id},{pointing_id},{survey},{program},{petal},{pixel}"
            );
        }
        csv
    }

    /// The digest of one of the tile's files.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn digest(&self, kind: &str, extension: &str) -> Result<Digest, Error> {
        let path = self.path(kind, extension);
        let digest = bifrost_sha256::file(&path).map_err(Error::io(&path))?;
        Ok((self.name(kind, extension), digest))
    }

    /// Writes the sum file, as `sha256sum *` would, and does what must come after it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn finish(&self, edges: &Edges, mut digests: Vec<Digest>) -> Result<(), Error> {
        digests.sort();
        if edges.has(Edge::BadSha256)
            && let Some((_, digest)) = digests.first_mut()
        {
            let wrong = if digest.starts_with('0') { "1" } else { "0" };
            digest.replace_range(..1, wrong);
        }
        if !edges.has(Edge::NoSha256) {
            let path = self.sums();
            let lines: String =
                digests.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect();
            fs::write(&path, lines).map_err(Error::io(&path))?;
        }
        if edges.has(Edge::TruncatedCoadd) {
            let path = self.path("coadd", "fits");
            cut_short(&path).map_err(Error::io(&path))?;
        }
        Ok(())
    }
}

fn add_tile_cards(cards: &mut Header, tile: &Tile, has_long_strings: bool) {
    let pixel = i64::from(tile.pixel.get());
    cards
        .text("SPGRP", "healpix", "")
        .int("SPGRPVAL", pixel, "")
        .int("HPXPIXEL", pixel, "")
        .int("HPXNSIDE", i64::from(Pixel::NSIDE), "")
        .text("HPXNEST", "True", "")
        .text("SURVEY", tile.survey.as_str(), "")
        .text("PROGRAM", tile.program.as_str(), "");
    if has_long_strings {
        cards.text("LONGSTRN", "OGIP 1.0", "");
    }
    cards.text("DEPNAM00", "SPECPROD", "").text("DEPVER00", tile.release.as_str(), "");
}

/// Leaves two thirds of a file.
fn cut_short(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    let size_bytes = file.metadata()?.len();
    file.set_len(size_bytes * 2 / 3)
}
