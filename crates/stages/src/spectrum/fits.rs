//! A spectrum as a FITS binary table: one row a pixel, units as the archive spells them.

use crate::fits::write::{Column, FitsWriter, Header, Table};
use bifrost_core::spectrum::{ARMS, Observed, Spectrum, arms};
use std::io::{self, Write};

const FLUX_UNIT: &str = "10**-17 erg/(s cm2 Angstrom)";
const IVAR_UNIT: &str = "10**34 (s2 cm4 Angstrom2) / erg2";

/// Writes a spectrum as the first extension of a FITS file: `WAVELENGTH` (Å, vacuum), `FLUX`, `IVAR`,
/// `MASK`, and, where `with_arms` says that its arms are not coadded, `ARM`.
///
/// # Errors
/// Those of the sink.
pub fn write_fits(out: impl Write, spectrum: &Spectrum, with_arms: bool) -> io::Result<()> {
    let pixels = &spectrum.pixels;
    let mut columns = vec![
        Column::new("WAVELENGTH", "Angstrom", pixels.wavelength.iter().copied()),
        Column::new("FLUX", FLUX_UNIT, pixels.flux.iter().copied()),
        Column::new("IVAR", IVAR_UNIT, pixels.ivar.iter().copied()),
        Column::new("MASK", "", pixels.mask.iter().copied()),
    ];
    if with_arms {
        let arms = arms(&pixels.wavelength).into_iter().zip(ARMS);
        let names = arms.flat_map(|(pixels, arm)| pixels.map(move |_| arm));
        columns.push(Column::text("ARM", 1, names));
    }
    let table = Table::new("SPECTRUM", pixels.flux.len(), columns, cards(&spectrum.about));
    let mut file = FitsWriter::new(out, true);
    file.append(Header::primary(), std::iter::empty())?;
    file.append_table(&table)?;
    file.finish().map(drop)
}

fn cards(about: &Observed) -> Header {
    let mut cards = Header::default();
    cards.int("TARGETID", about.target_id, "unique target identifier");
    let texts = [
        ("RELEASE", &about.release, "production of the archive"),
        ("SURVEY", &about.survey, "survey"),
        ("PROGRAM", &about.program, "program"),
        ("SPECTYPE", &about.spectype, "class"),
        ("SUBTYPE", &about.subtype, "subclass"),
    ];
    for (key, text, comment) in texts {
        if let Some(text) = text {
            cards.text(key, text, comment);
        }
    }
    let reals = [
        ("RA", about.ra, "[deg] right ascension, ICRS"),
        ("DEC", about.dec, "[deg] declination, ICRS"),
        ("Z", about.z, "redshift"),
        ("ZERR", about.zerr, "error of the redshift"),
        ("DELTACHI", about.deltachi2, "chi2 of the next best fit less that of the best"),
    ];
    for (key, real, comment) in reals {
        if let Some(real) = real.filter(|real| real.is_finite()) {
            cards.real(key, real, comment);
        }
    }
    if let Some(zwarn) = about.zwarn {
        cards.int("ZWARN", zwarn, "warnings of the redshift fit; 0 is none");
    }
    if let Some(pixel) = about.healpix {
        cards.int("HPXPIXEL", i64::from(pixel), "HEALPix pixel");
        cards.int("HPXNSIDE", 64, "its nside").flag("HPXNEST", true, "its numbers are NESTED");
    }
    cards.text("SPECSYS", "BARYCENT", "wavelengths are barycentric").flag(
        "VACUUM",
        true,
        "and vacuum",
    );
    cards
}
