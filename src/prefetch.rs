//! Asks the processor for bytes that will be needed, so that several of them come from memory at once.
//!
//! Advice only: elsewhere than on x86-64 nothing happens, and nothing is wrong.

#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "the instruction has no safe name"))]

/// Bytes that come from memory together.
const LINE: usize = 64;

/// Asks for the first `LEN` bytes, or for one line if there are fewer, and does not wait.
#[inline]
pub(crate) fn prefetch<const LEN: usize>(bytes: &[u8]) {
    match bytes.first_chunk::<LEN>() {
        Some(bytes) => bytes.chunks(LINE).for_each(prefetch_line),
        None => prefetch_line(bytes),
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn prefetch_line(line: &[u8]) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch changes nothing that a program could see, and never faults, whatever the address is.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn prefetch_line(_line: &[u8]) {}
