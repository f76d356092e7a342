//! The read-only mapping of a file, which lives as long as anything reads from it.
//!
//! - Relies on memmap2. Address space may be reserved far beyond the end of the file: pages become readable
//!   through the same mapping when the file grows, whoever makes it grow, and no slice ever moves.
//! - Guarantees that no slice leaves the reservation. That a slice lies inside the file, and that nobody
//!   writes under it, is the caller's promise: [`Mapping::bytes`].
//! - The mapping is `PROT_READ`: a stray write through it faults instead of changing the file.

#![expect(unsafe_code, reason = "slices of a mapping outlive what the compiler can see")]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::slice;

use memmap2::{MmapOptions, MmapRaw};

use crate::storage::sys;

/// How the mapping is going to be read. Advice only: a system that does not know it goes on without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Advice {
    /// The system's own guess, with some read-ahead.
    Normal,
    /// In no order: no read-ahead.
    Random,
    /// From front to back: long read-ahead.
    Sequential,
    /// Soon, and all of it: reading starts now, in the background.
    WillNeed,
    /// With large pages of the operating system where it can.
    HugePages,
}

/// A file's bytes, `[0, capacity)`, most of them possibly not there yet. Unmapped on drop.
pub(crate) struct Mapping {
    raw: MmapRaw,
    /// Of the open file this was made from.
    source: Source,
}

/// Which open file a mapping was made from, and whether flushing the mapping flushes that file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Source {
    /// The number that the [`Storage`](super::Storage) has in this process.
    pub(super) storage: u64,
    /// `msync` returns 0 and does nothing over a mapping made from a descriptor that is open for reading
    /// only.
    pub(super) writable: bool,
}

impl Mapping {
    /// Maps `reserve` bytes, or as many as `file_len` if that is more. Where the system refuses that much
    /// address space, half of it, and so on down to twice the file.
    pub(super) fn new(file: &File, source: Source, reserve: u64, file_len: u64) -> io::Result<Mapping> {
        let mut len = whole_pages(reserve.max(file_len));
        let least = whole_pages(file_len.saturating_mul(2)).min(len);
        loop {
            match map(file, len) {
                Ok(raw) => {
                    // What a forked child would read there, nobody would keep for it.
                    #[cfg(target_os = "linux")]
                    raw.advise(memmap2::Advice::DontFork)?;
                    return Ok(Mapping { raw, source });
                }
                Err(error) if is_too_much(&error) && len > least => len = whole_pages(len / 2).max(least),
                Err(error) => return Err(error),
            }
        }
    }

    /// How many bytes can be addressed, in the file or beyond its end: a multiple of the system's page size.
    pub(crate) fn capacity(&self) -> u64 {
        self.raw.len() as u64
    }

    /// The bytes `[offset, offset + len)`.
    ///
    /// # Safety
    /// - The whole range lies below the end of the file for as long as the slice lives: reading beyond it is
    ///   `SIGBUS`.
    /// - Nobody, in this process or another, writes these bytes while the slice lives.
    ///
    /// # Panics
    /// If the range is not inside the [`capacity`](Mapping::capacity).
    #[inline]
    pub(crate) unsafe fn bytes(&self, offset: u64, len: usize) -> &[u8] {
        let start = self.checked_start(offset, len);
        // SAFETY: `start` and the `len` bytes behind it are inside the mapping: checked in the line above.
        let first = unsafe { self.raw.as_ptr().add(start) };
        // SAFETY: the bytes are mapped, readable and in the file, they do not change, and the slice borrows
        // the mapping: the contract of this function and the line above.
        unsafe { slice::from_raw_parts(first, len) }
    }

    /// Tells the system how `range` will be read. A part of it beyond the mapping is ignored, and so are
    /// errors: nothing is wrong if the system does not take advice.
    pub(crate) fn advise(&self, advice: Advice, range: Range<u64>) {
        let page = sys::page_size();
        let start = range.start / page * page;
        let end = range.end.min(self.capacity());
        if start >= end {
            return;
        }
        let Some(known) = advice.of_the_system() else { return };
        let step = if advice == Advice::WillNeed { WILL_NEED_STEP } else { u64::MAX };
        let mut from = start;
        while from < end {
            let to = from.saturating_add(step).min(end);
            let (Ok(offset), Ok(len)) = (usize::try_from(from), usize::try_from(to - from)) else { return };
            if self.raw.advise_range(known, offset, len).is_err() {
                return;
            }
            from = to;
        }
    }

    /// Whether [`flush`](Mapping::flush) makes the first `len` bytes of the open file `storage` durable.
    pub(super) fn can_flush(&self, storage: u64, len: u64) -> bool {
        // Elsewhere msync leaves the bytes in the disk's own cache.
        cfg!(target_os = "linux")
            && self.source == Source { storage, writable: true }
            && len <= self.capacity()
    }

    /// `msync(MS_SYNC)` over the first `len` bytes.
    pub(super) fn flush(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).expect("no longer than the mapping");
        self.raw.flush_range(0, len)
    }

    /// `offset` as an index, if `len` bytes from there are inside the mapping.
    #[inline]
    fn checked_start(&self, offset: u64, len: usize) -> usize {
        let inside = usize::try_from(offset)
            .ok()
            .filter(|start| start.checked_add(len).is_some_and(|end| end <= self.raw.len()));
        match inside {
            Some(start) => start,
            None => outside(offset, len, self.raw.len()),
        }
    }
}

impl std::fmt::Debug for Mapping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mapping").field("capacity", &self.capacity()).field("source", &self.source).finish()
    }
}

impl Advice {
    /// What memmap2 calls it, where this system has it.
    fn of_the_system(self) -> Option<memmap2::Advice> {
        match self {
            Advice::Normal => Some(memmap2::Advice::Normal),
            Advice::Random => Some(memmap2::Advice::Random),
            Advice::Sequential => Some(memmap2::Advice::Sequential),
            Advice::WillNeed => Some(memmap2::Advice::WillNeed),
            #[cfg(target_os = "linux")]
            Advice::HugePages => Some(memmap2::Advice::HugePage),
            #[cfg(not(target_os = "linux"))]
            Advice::HugePages => None,
        }
    }
}

/// Rounds up to whole pages of the system, of which there is at least one. What is too large for an address
/// stays too large: the largest multiple that is none.
pub(super) fn whole_pages(len: u64) -> u64 {
    let page = sys::page_size();
    len.max(1).checked_next_multiple_of(page).unwrap_or(u64::MAX / page * page)
}

/// Linux cuts one request down to the read-ahead size of the device, usually 128 KiB, and ignores the rest.
const WILL_NEED_STEP: u64 = 128 << 10;

#[cold]
#[inline(never)]
fn outside(offset: u64, len: usize, capacity: usize) -> ! {
    panic!("{len} bytes at {offset} are outside the mapping of {capacity} bytes")
}

fn map(file: &File, len: u64) -> io::Result<MmapRaw> {
    let len = usize::try_from(len)
        .ok()
        .filter(|&len| isize::try_from(len).is_ok())
        .ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
    MmapOptions::new().len(len).no_reserve_swap().map_raw_read_only(file)
}

/// Whether a smaller mapping of the same file may succeed.
fn is_too_much(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOMEM | libc::EINVAL))
}
