//! Compression of pages, with a context that is used again.

use crate::fuse::config::Codec;
use parquet::basic::{Compression, ZstdLevel};
use std::io;
use zstd::zstd_safe::{
    CCtx, CParameter, InBuffer, OutBuffer, ResetDirective, compress_bound, get_error_name,
    zstd_sys::ZSTD_EndDirective,
};

/// Compresses pages one after the other.
pub(super) enum Compressor {
    Zstd(CCtx<'static>),
    Snappy(Box<snap::raw::Encoder>),
    Uncompressed,
}

impl Compressor {
    pub(super) fn new(codec: Codec) -> Self {
        match codec {
            Codec::Zstd(level) => {
                let mut context = CCtx::create();
                // levels out of range are moved into it, so this cannot fail
                let _ = context.set_parameter(CParameter::CompressionLevel(level));
                Self::Zstd(context)
            }
            Codec::Snappy => Self::Snappy(Box::new(snap::raw::Encoder::new())),
            Codec::Uncompressed => Self::Uncompressed,
        }
    }

    /// Compresses a page. Zstandard codes each part with tables of its own: bytes of one part are
    /// alike, those of different parts are not.
    pub(super) fn compress(&mut self, page: &[u8], parts: &[usize]) -> io::Result<Vec<u8>> {
        match self {
            Self::Zstd(context) => compress_parts(context, page, parts).map_err(zstd_error),
            Self::Snappy(encoder) => encoder.compress_vec(page).map_err(io::Error::other),
            Self::Uncompressed => Ok(page.to_vec()),
        }
    }
}

fn compress_parts(context: &mut CCtx<'_>, page: &[u8], parts: &[usize]) -> Result<Vec<u8>, usize> {
    context.reset(ResetDirective::SessionOnly)?;
    context.set_pledged_src_size(Some(page.len() as u64))?;
    // each flushed part may end with an empty block of 3 bytes
    let mut out = Vec::with_capacity(compress_bound(page.len()) + 3 * (parts.len() + 1));
    let mut rest = page;
    for length in parts {
        let (part, after) = rest.split_at((*length).min(rest.len()));
        rest = after;
        push(context, part, &mut out, ZSTD_EndDirective::ZSTD_e_flush)?;
    }
    push(context, rest, &mut out, ZSTD_EndDirective::ZSTD_e_end)?;
    Ok(out)
}

fn push(
    context: &mut CCtx<'_>,
    part: &[u8],
    out: &mut Vec<u8>,
    end: ZSTD_EndDirective,
) -> Result<(), usize> {
    let mut input = InBuffer::around(part);
    loop {
        out.reserve(1 << 10);
        let position = out.len();
        let mut output = OutBuffer::around_pos(out, position);
        if context.compress_stream2(&mut output, &mut input, end)? == 0 {
            return Ok(());
        }
    }
}

fn zstd_error(code: usize) -> io::Error {
    io::Error::other(get_error_name(code))
}

/// What the footer calls a codec.
pub(crate) fn compression(codec: Codec) -> parquet::errors::Result<Compression> {
    Ok(match codec {
        Codec::Zstd(level) => Compression::ZSTD(ZstdLevel::try_new(level)?),
        Codec::Snappy => Compression::SNAPPY,
        Codec::Uncompressed => Compression::UNCOMPRESSED,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_make_one_frame() {
        let page: Vec<u8> =
            (0..100_000u32).map(|i| if i < 50_000 { 7 } else { i.wrapping_mul(i) as u8 }).collect();
        let mut zstd = Compressor::new(Codec::Zstd(1));
        for parts in [&[][..], &[50_000], &[10, 0, 49_990, 50_000], &[200_000]] {
            let packed = zstd.compress(&page, parts).expect("compressed");
            assert_eq!(zstd::bulk::decompress(&packed, page.len()).expect("whole"), page);
        }
        let packed = zstd.compress(&[], &[0]).expect("compressed");
        assert_eq!(zstd::bulk::decompress(&packed, 0).expect("whole"), b"");
    }
}
