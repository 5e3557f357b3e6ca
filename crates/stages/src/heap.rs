//! Memory that is no longer used goes back to the system.

/// Gives back what the allocator keeps for later: glibc holds on to freed memory up to the last piece in use,
/// which under a ceiling is missing elsewhere. Other allocators are left alone.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        unsafe extern "C" {
            fn malloc_trim(pad: usize) -> std::ffi::c_int;
        }
        // SAFETY: the C library's own, declared as malloc.h has it; it takes its locks, and touches only
        // memory that is free
        let _is_any = unsafe { malloc_trim(0) };
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_in_use_stays() {
        let kept: Vec<Vec<u8>> = (0..1000).map(|k| vec![k as u8; 4096]).collect();
        drop((0..1000).map(|k| vec![k as u8; 4096]).collect::<Vec<_>>());
        super::give_back();
        assert!(
            kept.iter().enumerate().all(|(k, bytes)| bytes.iter().all(|byte| *byte == k as u8))
        );
    }
}
