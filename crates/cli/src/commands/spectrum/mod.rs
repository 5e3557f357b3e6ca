//! `bifrost spectrum`: an object's spectrum, for eyes and for programs.

mod show;

use crate::context::Context;
use crate::exit::{Exit, Usage};
use crate::rows::Output;
use anyhow::Context as _;
use bifrost_core::spectrum::{Error, Spectra, Spectrum, Which};
use bifrost_stages::picture;
use bifrost_stages::spectrum::{svg, write_fits};
use clap::ValueEnum;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Arguments of `bifrost spectrum`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The object
    #[arg(value_name = "TARGET_ID", allow_negative_numbers = true)]
    target_id: i64,
    /// Of this survey only
    #[arg(long, value_name = "NAME")]
    survey: Option<String>,
    /// Of this program only: an object may have been observed in several
    #[arg(long, value_name = "NAME")]
    program: Option<String>,
    /// Of this release only
    #[arg(long, value_name = "NAME")]
    release: Option<String>,
    /// The arms as they were taken, or coadded once over their overlaps onto 7,781 pixels of 0.8 Å
    #[arg(long, value_enum, default_value = "arms")]
    grid: Grid,
    /// How to write it
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Write to a file instead of standard output; it appears when it is complete
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Draw it, with lines marked at its redshift, as SVG or PNG
    #[arg(long, value_name = "FILE.svg|png")]
    plot: Option<PathBuf>,
}

/// Which pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Grid {
    /// b, r, z, one after the other; they overlap
    Arms,
    /// One
    Coadd,
}

/// How a spectrum is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: what it is, how good it is, and where its lines are
    Table,
    /// One line a pixel
    Csv,
    /// One object a line and spectrum, with arrays
    Json,
    /// A binary table with units; needs -o FILE
    Fits,
}

/// Runs the command.
pub fn run(ctx: &Context, args: &Args) -> anyhow::Result<Exit> {
    let format = match args.format {
        Format::Table if ctx.printer.json => Format::Json,
        format => format,
    };
    if format == Format::Fits && args.output.is_none() {
        return Err(Usage("FITS goes to a file: give -o FILE".into()).into());
    }
    let plot =
        args.plot.as_deref().map(|path| Ok::<_, Usage>((path, drawn_as(path)?))).transpose()?;
    let which = Which {
        release: args.release.clone(),
        survey: args.survey.clone(),
        program: args.program.clone(),
    };
    let spectra = Spectra::new(ctx.registry_to_read()?);
    let asked = || spectra.spectrum(args.target_id, &which);
    let mut found = match ctx.ask(asked) {
        Err(error @ Error::Unknown { .. }) => {
            ctx.printer.note(&error.to_string());
            return Ok(Exit::NothingMatched);
        }
        found => found?,
    };
    if args.grid == Grid::Coadd {
        found = found.into_iter().map(Spectrum::coadded).collect::<Result<_, _>>()?;
    }
    let with_arms = args.grid == Grid::Arms;
    if let Some((path, format)) = plot {
        let drawn = format.bytes(svg(only(&found, "a plot shows")?)?)?;
        write(path, |out| out.write_all(&drawn).map_err(Into::into))?;
    }
    match (format, &args.output) {
        (Format::Fits, Some(path)) => {
            let spectrum = only(&found, "a FITS file holds")?;
            write(path, |out| Ok(write_fits(out, spectrum, with_arms)?))?;
        }
        (format, path) => {
            let text = match format {
                Format::Csv => show::csv(&found, with_arms),
                Format::Json => show::json(&found, with_arms)?,
                Format::Table | Format::Fits => show::table(&found),
            };
            let mut output = Output::open(path.as_deref())?;
            output.write(text.as_bytes())?;
            output.finish()?;
        }
    }
    Ok(Exit::Ok)
}

/// The one spectrum that there is.
fn only<'a>(found: &'a [Spectrum], what: &str) -> anyhow::Result<&'a Spectrum> {
    if let [spectrum] = found {
        return Ok(spectrum);
    }
    let several: Vec<String> = found.iter().map(|spectrum| show::tile(&spectrum.about)).collect();
    let text = format!(
        "{what} one spectrum, and there are {}: {}; choose with --release, --survey and --program",
        several.len(),
        several.join(", ")
    );
    Err(Usage(text).into())
}

/// What a figure in a file of that name is.
fn drawn_as(path: &Path) -> Result<picture::Format, Usage> {
    let unknown = || Usage(format!("--plot {}: name it .svg or .png", path.display()));
    picture::Format::of(path).ok_or_else(unknown)
}

/// Writes a file that appears when it is complete.
fn write(path: &Path, fill: impl FnOnce(&mut Vec<u8>) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    fill(&mut bytes).with_context(|| format!("failed to make {}", path.display()))?;
    let mut output = Output::open(Some(path))?;
    output.write(&bytes)?;
    output.finish()
}
