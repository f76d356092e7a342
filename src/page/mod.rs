//! The on-disk format: bytes in, bytes out. No input or output, no unsafe code.
//!
//! Everything that has a meaning on disk is encoded and decoded here and described in docs/FORMAT.md. Views
//! are cheap: a [`Page`] is a slice and every access is in bounds for any bytes, so that a damaged page can
//! give wrong answers, which [`check`] finds at first touch, but never a panic.

mod branch;
mod build;
mod check;
mod checksum;
mod commit_record;
pub(crate) mod decode;
mod edit;
mod free_log;
mod leaf;
mod meta;
mod root;
mod search;
mod shift;
mod slotted;
mod table_record;
#[cfg(test)]
mod tests;

pub(crate) use branch::{Child, DIRTY, HAS_OVERFLOW};
pub(crate) use build::{
    build, cell_cost, merged_len, packed_len, packed_len_of, packed_page_len, separator_len, shared_bytes,
    shared_len,
};
pub(crate) use check::{Expected, check, check_unused};
pub(crate) use checksum::{Seed, record_sum, run_sum};
pub(crate) use commit_record::{CommitRecord, RECORD_PAGES_MAX, RECORD_RUNS_MAX, RecordRun};
pub(crate) use edit::{PageMut, finalize, init};
pub(crate) use free_log::{Extent, FreeLogPage, LogLink, free_log_capacity, free_log_used};
pub(crate) use leaf::{Leaf, LeafValue, OverflowRef, inline_fixed};
pub(crate) use meta::{HEAD_LEN, HeadRecord, META_LEN, Meta};
pub(crate) use root::{FreeRoot, ROOT_WORDS, Root, TreeRoot};
pub(crate) use shift::{build_part, len_under, prefix_between};
pub(crate) use slotted::{Cell, Page};
pub(crate) use table_record::{TABLE_ROOT_AT, TableRecord};

/// The number of a page: its bytes begin at number times page size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct PageId(pub(crate) u64);

/// The number of a write transaction. Greater is later; no number is ever given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct TxnId(pub(crate) u64);

impl std::fmt::Display for PageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::fmt::Display for TxnId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What a page with a header holds. On disk: never renumber.
pub(crate) const KIND_LEAF: u8 = 1;
pub(crate) const KIND_BRANCH: u8 = 2;
pub(crate) const KIND_FREE_LOG: u8 = 3;

/// FORMAT.md, "Page header".
pub(crate) const HEADER_LEN: usize = 32;
/// FORMAT.md, "Slot".
pub(crate) const SLOT_LEN: usize = 8;

/// Page numbers have 48 bits in a branch cell.
pub(crate) const PAGE_ID_MASK: u64 = (1 << 48) - 1;
/// No tree is deeper: levels 0 to 31.
pub(crate) const LEVELS_MAX: usize = 32;
/// The longest value: its length is a `u32`.
pub(crate) const VALUE_LEN_MAX: usize = u32::MAX as usize;

/// Byte positions of the two meta pages and the head record, whatever the page size: no device block or large
/// page of the system holds two of them.
pub(crate) const META_AT: [u64; 2] = [0, 64 << 10];
/// See [`META_AT`].
pub(crate) const HEAD_AT: u64 = 128 << 10;

const _: () = assert!(usize::BITS == 64, "offsets in a mapping are computed as usize");

/// The page that holds the byte at `offset`.
pub(crate) fn page_at(offset: u64, page_size: usize) -> u64 {
    offset / page_size as u64
}

/// The pages of the file that are neither tree nor free space: the meta pages and the head record.
pub(crate) fn header_pages(page_size: usize) -> [u64; 3] {
    [META_AT[0], META_AT[1], HEAD_AT].map(|offset| page_at(offset, page_size))
}

/// Page sizes that a database can have.
pub(crate) fn is_page_size(bytes: u64) -> bool {
    bytes.is_power_of_two() && (4096..=65536).contains(&bytes)
}

/// The longest key: a branch page holds three children at least, two of them with a separator.
pub(crate) const fn key_len_max(page_size: usize) -> usize {
    (page_size - 128) / 2
}

/// Whether a value stands in its leaf: at least two such cells fit on every page.
pub(crate) const fn is_inline(key_len: usize, value_len: usize, page_size: usize) -> bool {
    SLOT_LEN + 2 + key_len + value_len <= (page_size - HEADER_LEN) / 2
}

/// Pages that a run of `len` bytes takes.
pub(crate) const fn run_pages(len: u64, page_size: usize) -> u64 {
    len.div_ceil(page_size as u64)
}

/// A 64-bit number from a page as an index.
#[expect(clippy::cast_possible_truncation, reason = "asserted above: usize has 64 bits")]
pub(crate) const fn index(n: u64) -> usize {
    n as usize
}

/// An offset or a length inside a page, which has at most 65,536 bytes.
#[expect(clippy::cast_possible_truncation, reason = "callers hold page offsets below 65,536; asserted")]
fn to_u16(n: usize) -> u16 {
    debug_assert!(n <= usize::from(u16::MAX));
    n as u16
}

/// Little-endian reads that answer zero outside the bytes, so that no caller needs to check first.
#[inline]
fn get_u16(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u16::from_le_bytes(*b))
}

#[inline]
fn get_u32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u32::from_le_bytes(*b))
}

#[inline]
fn get_u64(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u64::from_le_bytes(*b))
}

fn put_u16(bytes: &mut [u8], at: usize, n: u16) {
    bytes[at..at + 2].copy_from_slice(&n.to_le_bytes());
}

fn put_u32(bytes: &mut [u8], at: usize, n: u32) {
    bytes[at..at + 4].copy_from_slice(&n.to_le_bytes());
}

fn put_u64(bytes: &mut [u8], at: usize, n: u64) {
    bytes[at..at + 8].copy_from_slice(&n.to_le_bytes());
}
