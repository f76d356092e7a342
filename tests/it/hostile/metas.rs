//! Meta pages and their roots, by themselves, as docs/FORMAT.md says.

use super::bytes::{NUMBER, crc, seeded, u32_at, u64_at};
use super::format::Checked;

pub(super) const META_AT: [usize; 2] = [0, 65_536];
pub(super) const META_LEN: usize = 4096;
pub(super) const HEAD_AT: usize = 131_072;
pub(super) const HEAD_LEN: usize = 512;
/// Where the root stands in a meta page and in a head record.
pub(super) const ROOT_IN_META: usize = 104;
pub(super) const ROOT_IN_HEAD: usize = 32;
pub(super) const ROOT_LEN: usize = 112;
/// Why a meta page does not pass.
pub(super) enum Refusal {
    Bad(String),
    /// Whole, and of another version or with unknown features.
    Newer(String),
}

pub(super) fn examine_meta(file: &[u8], at: usize) -> Result<&[u8], Refusal> {
    let bad = |what: &str| Err(Refusal::Bad(format!("meta page at {at}: {what}")));
    let Some(meta) = file.get(at..at + META_LEN) else { return bad("behind the end") };
    if meta[..8] != *b"\x89FOLIO\r\n" {
        return bad("magic");
    }
    if crc(&meta[..4092]) != u32_at(meta, 4092) {
        return bad("checksum");
    }
    if u32_at(meta, 8) != 1 || u64_at(meta, 16) != 0 {
        return Err(Refusal::Newer(format!("meta page at {at}: version or features")));
    }
    let page_size = u32_at(meta, 12) as usize;
    if !page_size.is_power_of_two() || !(4096..=65_536).contains(&page_size) {
        return bad("page size");
    }
    let runs = u32_at(meta, 220) as usize;
    if runs > 319 || record(meta).map(|(_, pages, _)| pages).sum::<u64>() > 1024 {
        return bad("commit record");
    }
    let reserved = [&meta[224..256], &meta[256 + runs * 12..4092]].concat();
    if u32_at(meta, 216) > 1 || reserved.iter().any(|byte| *byte != 0) {
        return bad("reserved bytes");
    }
    if u64_at(meta, 72) >= 1 << 62 {
        return bad("sequence");
    }
    match examine_root(&meta[ROOT_IN_META..][..ROOT_LEN], page_size, u64_at(meta, 80)) {
        Ok(()) => Ok(meta),
        Err(what) => bad(&what),
    }
}

/// Numbers of a root that must fit together.
pub(super) fn examine_root(root: &[u8], page_size: usize, ceiling: u64) -> Checked<()> {
    let (txn, page_count) = (u64_at(root, 0), u64_at(root, 8));
    if txn == 0 || txn >= ceiling {
        return Err("transaction of the root".to_owned());
    }
    if page_count <= header_pages(page_size)[2] || page_count > 1 << 48 {
        return Err("page count".to_owned());
    }
    if [24, 56, 88].iter().any(|birth| u64_at(root, *birth) > txn) {
        return Err("a birth behind the root's transaction".to_owned());
    }
    Ok(())
}

pub(super) fn header_pages(page_size: usize) -> [u64; 3] {
    [0, META_AT[1], HEAD_AT].map(|at| (at / page_size) as u64)
}

/// The runs of a commit record: first page, pages, sum.
pub(super) fn record(meta: &[u8]) -> impl Iterator<Item = (u64, u64, u32)> {
    let runs = (u32_at(meta, 220) as usize).min(319);
    (0..runs).map(move |i| {
        let word = u64_at(meta, 256 + i * 12);
        (word & NUMBER, word >> 48, u32_at(meta, 256 + i * 12 + 8))
    })
}

/// The sum of a run of a commit record, if it lies in the file.
pub(super) fn sum_of_run(file: &[u8], id: &[u8], page_size: usize, first: u64, pages: u64) -> Option<u32> {
    let at = usize::try_from(first).ok()?.checked_mul(page_size)?;
    let bytes = file.get(at..at.checked_add(usize::try_from(pages).ok()? * page_size)?)?;
    let sums: Vec<u8> =
        bytes.chunks_exact(page_size).flat_map(|page| seeded(id, page).to_le_bytes()).collect();
    Some(crc(&sums))
}

/// Whether the file is long enough for the root, and all runs of the commit record verify.
pub(super) fn record_holds(file: &[u8], meta: &[u8]) -> bool {
    let page_size = u32_at(meta, 12) as usize;
    let long_enough = u64_at(meta, ROOT_IN_META + 8).saturating_mul(page_size as u64) <= file.len() as u64;
    long_enough
        && record(meta)
            .all(|(first, pages, sum)| sum_of_run(file, &meta[40..56], page_size, first, pages) == Some(sum))
}
