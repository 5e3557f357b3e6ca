//! Makes tokens of spectra in a file, and says how long it took.
//!
//! `tokens SPECTRA PATCH THREADS PASSES OUT`: SPECTRA holds f32 of this machine's byte order, the flux
//! of all spectra on the coadded grid, then their ivar. Prints the seconds that each pass took; writes
//! tokens, then medians, then flags and mask as f32, into OUT, if it is not `-`.

use bifrost_science::grid::COADDED;
use bifrost_science::tokens::{Tokenizer, TokensMut};
use std::error::Error;
use std::io::Write;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [spectra, patch, threads, passes, out] = &words[..] else {
        return Err("tokens SPECTRA PATCH THREADS PASSES OUT".into());
    };
    let (threads, passes) = (threads.parse()?, passes.parse()?);
    let tokenizer = Tokenizer::new(patch.parse()?, COADDED.pixels())?;
    let bytes = std::fs::read(spectra)?;
    let (words, _) = bytes.as_chunks::<4>();
    let values: Vec<f32> = words.iter().map(|word| f32::from_ne_bytes(*word)).collect();
    let (flux, ivar) = values.split_at(values.len() / 2);
    let mut made = tokenizer.tokens(flux, ivar, threads)?;
    let mut stdout = std::io::stdout().lock();
    for _ in 0..passes {
        let began = Instant::now();
        let into = TokensMut {
            tokens: &mut made.tokens,
            masked: &mut made.masked,
            median: &mut made.median,
            flag: &mut made.flag,
        };
        tokenizer.tokens_into(flux, ivar, threads, into)?;
        writeln!(stdout, "{}", began.elapsed().as_secs_f64())?;
    }
    if out != "-" {
        let flags = made.flag.into_iter().map(f32::from);
        let masked = made.masked.into_iter().map(|is| f32::from(u8::from(is)));
        let all = made.tokens.into_iter().chain(made.median).chain(flags).chain(masked);
        std::fs::write(out, all.flat_map(f32::to_ne_bytes).collect::<Vec<u8>>())?;
    }
    Ok(())
}
