//! Spectra become tokens, one after another, with vectors of 256 bits where the processor has them;
//! wider ones gain nothing here. The code is the same for all processors, and so are the results: every
//! step is one that IEEE 754 rounds. Tokens that no cache holds go past the caches ([`super::past`]).

use super::median::median;
use super::past;
use super::{EMPTY, FLOORED, IVAR_FLOOR, MEDIAN_FLOOR, NEGATIVE, Tokenizer, TokensMut};
use std::iter;

/// Tokens of so many bytes leave a core's caches before anybody reads them.
const FAR_BYTES: usize = 8 << 20;

/// Spectra in patches of `P` pixels. All lengths fit together.
pub(super) fn rows<const P: usize>(
    shape: Tokenizer,
    flux: &[f32],
    ivar: &[f32],
    into: TokensMut<'_>,
) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2")]
        fn wide<const P: usize>(shape: Tokenizer, flux: &[f32], ivar: &[f32], into: TokensMut<'_>) {
            each_row::<P>(shape, flux, ivar, into);
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has what the function needs.
            return unsafe { wide::<P>(shape, flux, ivar, into) };
        }
    }
    each_row::<P>(shape, flux, ivar, into);
}

#[inline(always)]
fn each_row<const P: usize>(shape: Tokenizer, flux: &[f32], ivar: &[f32], into: TokensMut<'_>) {
    if size_of_val(into.tokens) < FAR_BYTES {
        each::<P, false>(shape, flux, ivar, into);
    } else {
        each::<P, true>(shape, flux, ivar, into);
        past::wait();
    }
}

#[inline(always)]
fn each<const P: usize, const IS_FAR: bool>(
    shape: Tokenizer,
    flux: &[f32],
    ivar: &[f32],
    into: TokensMut<'_>,
) {
    let mut values = vec![0.0; shape.pixels];
    let spectra = flux.chunks_exact(shape.pixels).zip(ivar.chunks_exact(shape.pixels));
    let after = spectra.clone().skip(usize::from(IS_FAR)).chain(iter::once((&[][..], &[][..])));
    let tokens = into.tokens.chunks_exact_mut(shape.patches() * 2 * P);
    let masked = into.masked.chunks_exact_mut(shape.patches());
    let ends = into.median.iter_mut().zip(into.flag);
    for ((((spectrum, after), tokens), masked), (median, flag)) in
        spectra.zip(after).zip(tokens).zip(masked).zip(ends)
    {
        (*median, *flag) = level(spectrum.0, spectrum.1, &mut values);
        let factor = if *flag == EMPTY { 1.0 } else { 1.0 / median.abs().max(MEDIAN_FLOOR) };
        patches::<P, IS_FAR>(spectrum, after, factor, tokens, masked);
    }
}

#[inline(always)]
fn is_good(flux: f32, ivar: f32) -> bool {
    // each comparison is false for NaN; without branches, so that vectors of them are one step
    (flux.abs() <= f32::MAX) & (ivar > 0.0) & (ivar <= f32::MAX)
}

/// The median of a spectrum's good pixels, and what there is to say of it.
#[inline(always)]
fn level(flux: &[f32], ivar: &[f32], values: &mut [f32]) -> (f32, u8) {
    let mut good = 0;
    for ((flux, ivar), to) in flux.iter().zip(ivar).zip(&mut *values) {
        let is_good = is_good(*flux, *ivar);
        // bad ones are behind all others
        *to = if is_good { *flux } else { f32::INFINITY };
        good += u32::from(is_good);
    }
    if good == 0 {
        return (f32::NAN, EMPTY);
    }
    let median = median(values, good as usize);
    let floored = if median.abs() < MEDIAN_FLOOR { FLOORED } else { 0 };
    (median, floored | if median < 0.0 { NEGATIVE } else { 0 })
}

/// Flux and ivar of a spectrum become tokens, while those of the one after it are on their way.
#[inline(always)]
fn patches<const P: usize, const IS_FAR: bool>(
    (flux, ivar): (&[f32], &[f32]),
    after: (&[f32], &[f32]),
    factor: f32,
    tokens: &mut [f32],
    masked: &mut [bool],
) {
    let (flux, flux_rest) = flux.as_chunks::<P>();
    let (ivar, ivar_rest) = ivar.as_chunks::<P>();
    let (tokens, tokens_rest) = tokens.split_at_mut(flux.len() * 2 * P);
    let mut after = after.0.chunks(P).zip(after.1.chunks(P));
    let all = flux.iter().zip(ivar).zip(tokens.chunks_exact_mut(2 * P));
    for (((flux, ivar), token), masked) in all.zip(&mut *masked) {
        if IS_FAR {
            if let Some((flux, ivar)) = after.next() {
                past::announce(flux);
                past::announce(ivar);
            }
            let mut made = [[0.0; P]; 2];
            *masked = patch(flux, ivar, factor, made.as_flattened_mut());
            past::put(made.as_flattened(), token);
        } else {
            *masked = patch(flux, ivar, factor, token);
        }
    }
    if let Some(last) = masked.get_mut(flux.len()) {
        let (mut flux, mut ivar) = ([0.0; P], [0.0; P]);
        flux[..flux_rest.len()].copy_from_slice(flux_rest);
        ivar[..ivar_rest.len()].copy_from_slice(ivar_rest);
        *last = patch(&flux, &ivar, factor, tokens_rest);
    }
}

/// Says whether more than half of its pixels are bad.
#[inline(always)]
fn patch<const P: usize>(flux: &[f32; P], ivar: &[f32; P], factor: f32, token: &mut [f32]) -> bool {
    let (to_flux, to_sigma) = token.split_at_mut(P);
    let mut bad = 0;
    for (((flux, ivar), to_flux), to_sigma) in flux.iter().zip(ivar).zip(to_flux).zip(to_sigma) {
        let is_good = is_good(*flux, *ivar);
        bad += u32::from(!is_good);
        *to_flux = if is_good { *flux * factor } else { 0.0 };
        let ivar = if is_good { *ivar } else { 0.0 };
        *to_sigma = factor / ivar.max(IVAR_FLOOR).sqrt();
    }
    bad as usize > P / 2
}
