//! Memory that is read once and written once, by processors that can be told so. Written past the
//! caches, a line is not fetched only to be overwritten, and drives nothing else out.

/// So many floats are a line of a cache.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 16;

/// Says that values are soon read.
#[inline(always)]
pub(super) fn announce(values: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in values.chunks(LINE) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: every x86_64 has the instruction, which loads nothing that is seen
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}

/// Copies values, as many as there is room for. Until [`wait`] nobody may read them.
#[inline(always)]
pub(super) fn put(values: &[f32], to: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{__m128, _mm_loadu_ps, _mm_stream_ps};
        // SAFETY: four floats are an `__m128` where they are aligned as one, whatever their bits
        let (before, fours, after) = unsafe { to.align_to_mut::<__m128>() };
        if before.is_empty() && after.is_empty() {
            for (from, to) in values.as_chunks::<4>().0.iter().zip(fours) {
                // SAFETY: every x86_64 has the instructions; `from` has four floats, `to` is aligned
                unsafe { _mm_stream_ps((&raw mut *to).cast(), _mm_loadu_ps(from.as_ptr())) }
            }
            return;
        }
    }
    to.copy_from_slice(values);
}

/// What was put is there for everybody.
#[inline(always)]
pub(super) fn wait() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86_64 has the instruction
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}
