//! The coadd file: tables, then arm by arm the images, so that one arm at a time is in memory.

use super::arms::{Arm, Camera, DIAGONALS, ResolutionBank, Row, Score};
use super::dice::{Purpose, Seed};
use super::edges::Edge;
use super::tables::{self, Campaign};
use super::{Mask, Object, Request};
use crate::fits::write::{Codec, FitsWriter, Header, Pixels, compress_rows};
use rayon::prelude::*;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

const FLUX_UNIT: &str = "10**-17 erg/(s cm2 Angstrom)";
const IVAR_UNIT: &str = "10**+34 (s2 cm4 Angstrom2) / erg2";
/// Pixels that turn NaN, and pixels that turn infinite, where [`Edge::NanFlux`] strikes.
const BLIGHTS: [(f32, usize); 2] = [(f32::NAN, 6), (f32::INFINITY, 2)];

/// Writes the file, of which `primary` is the first header, and fills in the objects' scores.
///
/// # Errors
/// Those of the file system.
pub fn write(
    path: &Path,
    primary: Header,
    campaign: Campaign<'_>,
    request: &Request,
    seed: Seed,
    objects: &mut [Object],
) -> io::Result<()> {
    let out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut file = FitsWriter::new(out, request.checksums);
    file.append(primary, [].into_iter())?;
    let rows: Vec<&Object> = objects.iter().collect();
    let ascii = Header::default().text("ENCODING", "ascii", "").clone();
    let long = ascii.clone().text("LONGSTRN", "OGIP 1.0", "").clone();
    file.append_table(&tables::fibermap(&rows, campaign, long))?;
    file.append_table(&tables::exp_fibermap(&rows, true, ascii.clone()))?;
    for arm in Arm::ALL {
        if arm == Arm::Z && request.edges.has(Edge::MissingArm) {
            continue;
        }
        let camera = Camera::new(arm);
        let mut images = Images::expose(&camera, seed, objects);
        if request.edges.has(Edge::NanFlux) {
            images.blight(seed, objects);
        }
        images.score(&camera, objects);
        images.write(&mut file, &camera, objects, request)?;
    }
    let rows: Vec<&Object> = objects.iter().collect();
    file.append_table(&tables::scores(&rows, ascii))?;
    file.finish()?.into_inner().map_err(io::IntoInnerError::into_error).map(drop)
}

/// The images of an arm.
struct Images {
    arm: Arm,
    rows: Vec<Row>,
}

impl Images {
    fn expose(camera: &Camera, seed: Seed, objects: &[Object]) -> Self {
        let arm = camera.arm;
        let expose = |(row, object): (usize, &Object)| {
            let depth = object.observation.depths[arm as usize];
            let mut dice = seed.dice_of(Purpose::Noise, arm as usize, row);
            if depth > 0.0 {
                camera.expose(&object.target, depth, &mut dice)
            } else {
                camera.blank()
            }
        };
        Self { arm, rows: objects.par_iter().enumerate().map(expose).collect() }
    }

    /// Puts NaN and Inf into a few pixels of rows with data.
    fn blight(&mut self, seed: Seed, objects: &[Object]) {
        let arm = self.arm as usize;
        let mut dice = seed.dice_of(Purpose::Blight, arm, 0);
        let alive: Vec<usize> =
            (0..objects.len()).filter(|i| objects[*i].observation.depths[arm] > 0.0).collect();
        let blights = BLIGHTS.into_iter().flat_map(|(value, count)| [value].repeat(count));
        for value in blights.filter(|_| !alive.is_empty()) {
            let row = &mut self.rows[alive[dice.below(alive.len())]];
            let pixel = dice.below(row.flux.len());
            row.flux[pixel] = value;
        }
    }

    fn score(&self, camera: &Camera, objects: &mut [Object]) {
        let arm = self.arm as usize;
        objects.par_iter_mut().zip(&self.rows).for_each(|(object, row)| {
            let depth = object.observation.depths[arm];
            object.scores[arm] =
                if depth > 0.0 { camera.score(row, depth) } else { Score::default() };
        });
    }

    fn write<W: io::Write>(
        self,
        file: &mut FitsWriter<W>,
        camera: &Camera,
        objects: &[Object],
        request: &Request,
    ) -> io::Result<()> {
        let Self { arm, rows } = self;
        let [width, count] = [arm.width(), rows.len()];
        let name = |kind: &str| format!("{}_{kind}", arm.letter());
        let image = |kind: &str, pixels, axes: &[usize], unit: &str| {
            let mut header = Header::image(&name(kind), pixels, axes);
            if !unit.is_empty() {
                header.text("BUNIT", unit, "");
            }
            header
        };
        let wave: Vec<u8> = camera.wave_angstrom.iter().flat_map(|w| w.to_be_bytes()).collect();
        file.append(
            image("WAVELENGTH", Pixels::F64, &[width], "Angstrom"),
            [&wave[..]].into_iter(),
        )?;
        for (kind, unit, pixels) in [
            ("FLUX", FLUX_UNIT, (|row| &row.flux) as fn(&Row) -> &Vec<f32>),
            ("IVAR", IVAR_UNIT, |row| &row.ivar),
        ] {
            let bytes = encode(&rows, width, |row| pixels(row).iter().map(|p| p.to_be_bytes()));
            file.append(image(kind, Pixels::F32, &[width, count], unit), bytes.chunks(1 << 20))?;
        }
        write_mask(file, &name("MASK"), rows, width, request.mask)?;
        if request.resolution {
            let bank = ResolutionBank::new(arm);
            let of = |o: &Object| bank.of(&o.target, o.observation.depths[arm as usize]);
            let header = image("RESOLUTION", Pixels::F32, &[width, DIAGONALS, count], "");
            file.append(header, objects.iter().map(of))?;
        }
        Ok(())
    }
}

/// The big-endian bytes of an image.
fn encode<'a, I>(rows: &'a [Row], width: usize, pixels: impl Fn(&'a Row) -> I + Sync) -> Vec<u8>
where
    I: Iterator<Item = [u8; 4]>,
{
    let mut bytes = vec![0u8; rows.len() * width * 4];
    bytes.par_chunks_mut(width * 4).zip(rows).for_each(|(bytes, row)| {
        for (slot, pixel) in bytes.chunks_exact_mut(4).zip(pixels(row)) {
            slot.copy_from_slice(&pixel);
        }
    });
    bytes
}

fn write_mask<W: io::Write>(
    file: &mut FitsWriter<W>,
    name: &str,
    rows: Vec<Row>,
    width: usize,
    style: Mask,
) -> io::Result<()> {
    let codec = match style {
        Mask::Int32 => return write_plain_mask(file, name, &rows, width, Pixels::I32),
        Mask::Uint32 => return write_plain_mask(file, name, &rows, width, Pixels::U32),
        Mask::Gzip => Codec::Gzip1,
        Mask::Rice => Codec::Rice1,
    };
    let pixels: Vec<u32> = rows.into_iter().flat_map(|row| row.mask).collect();
    let (header, data) = compress_rows(name, codec, &pixels, width)?;
    file.append(header, [&data[..]].into_iter())
}

fn write_plain_mask<W: io::Write>(
    file: &mut FitsWriter<W>,
    name: &str,
    rows: &[Row],
    width: usize,
    pixels: Pixels,
) -> io::Result<()> {
    // less BZERO, 2^31, is the signed number of the same order
    let flip = if pixels == Pixels::U32 { 1 << 31 } else { 0 };
    let bytes = encode(rows, width, |row| row.mask.iter().map(move |m| (m ^ flip).to_be_bytes()));
    file.append(Header::image(name, pixels, &[width, rows.len()]), [&bytes[..]].into_iter())
}
