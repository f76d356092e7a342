//! Meta pages and the head record: what a database is, and which root is its newest.

use super::commit_record::{CommitRecord, RECORD_PAGES_MAX, RECORD_RUNS_MAX};
use super::root::{ROOT_LEN, Root};
use super::{get_u32, get_u64, put_u32, put_u64};
use crate::error::{Error, Result};

/// Bytes of a meta page that are in use, whatever the page size.
pub(crate) const META_LEN: usize = 4096;
/// Bytes of the head record.
pub(crate) const HEAD_LEN: usize = 512;
/// The version of everything in FORMAT.md.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// As PNG's: a byte that is not text, the name, and line ends that a text conversion would change.
pub(super) const META_MAGIC: [u8; 8] = *b"\x89FOLIO\r\n";
pub(super) const HEAD_MAGIC: [u8; 8] = *b"\x89FOHEAD\n";
pub(super) const FLAG_CLEAN: u32 = 1;
pub(super) const ROOT_AT: usize = 104;
pub(super) const FLAGS_AT: usize = ROOT_AT + ROOT_LEN;
pub(super) const RUNS_AT: usize = 256;
pub(super) const SUM_AT: usize = META_LEN - 4;
/// Where the root stands in a head record.
pub(super) const HEAD_ROOT_AT: usize = 32;
/// A meta page has a smaller sequence number: written every microsecond it would take 146,000 years.
pub(super) const SEQUENCE_END: u64 = 1 << 62;

const _: () = assert!(ROOT_LEN == 112 && FLAGS_AT == 216, "FORMAT.md, Meta page");
const _: () = assert!(RUNS_AT + RECORD_RUNS_MAX * 12 <= SUM_AT, "FORMAT.md, Commit record");

/// FORMAT.md, "Meta page".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) page_size: u32,
    pub(crate) database_id: [u8; 16],
    pub(crate) lineage_id: [u8; 16],
    /// Features that a reader may ignore and a writer must know: with any bit set, nothing may be written.
    pub(crate) read_only_compatible: u64,
    /// Features that anybody may ignore. Kept as they are.
    pub(crate) compatible: u64,
    /// Counts the meta pages written: the greater is the newer.
    pub(crate) sequence: u64,
    /// No transaction number from here on stands on any page.
    pub(crate) ceiling: u64,
    /// The boot of the system in which this was written. Proves nothing when equal.
    pub(crate) boot_id: [u8; 16],
    pub(crate) root: Root,
    /// Written by a clean close: there is no head record and nothing unsynced behind it.
    pub(crate) clean: bool,
    pub(crate) record: CommitRecord,
}

impl Meta {
    /// The 4,096 bytes of the meta page.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![0; META_LEN];
        out[..8].copy_from_slice(&META_MAGIC);
        put_u32(&mut out, 8, FORMAT_VERSION);
        put_u32(&mut out, 12, self.page_size);
        // 16..24: incompatible features, of which version 1 has none.
        put_u64(&mut out, 24, self.read_only_compatible);
        put_u64(&mut out, 32, self.compatible);
        out[40..56].copy_from_slice(&self.database_id);
        out[56..72].copy_from_slice(&self.lineage_id);
        put_u64(&mut out, 72, self.sequence);
        put_u64(&mut out, 80, self.ceiling);
        out[88..104].copy_from_slice(&self.boot_id);
        out[ROOT_AT..FLAGS_AT].copy_from_slice(&self.root.encode());
        put_u32(&mut out, FLAGS_AT, if self.clean { FLAG_CLEAN } else { 0 });
        let runs = u32::try_from(self.record.runs.len()).expect("the caller keeps to RECORD_RUNS_MAX");
        put_u32(&mut out, FLAGS_AT + 4, runs);
        self.record.encode(&mut out[RUNS_AT..SUM_AT]);
        let sum = crc32fast::hash(&out[..SUM_AT]);
        put_u32(&mut out, SUM_AT, sum);
        out
    }

    /// The checksum of the encoded meta page: what a head record names it by.
    pub(crate) fn sum_of(encoded: &[u8]) -> u32 {
        get_u32(encoded, SUM_AT)
    }

    /// Whether `bytes` begin as a meta page does, damaged or not.
    pub(crate) fn has_magic(bytes: &[u8]) -> bool {
        bytes.starts_with(&META_MAGIC)
    }

    /// Decodes and checks a meta page that stands in page `page` of the file.
    pub(crate) fn decode(bytes: &[u8], page: u64) -> Result<Meta> {
        let fault = |what, expected: String, found: String| Error::corrupted(page, what, expected, found);
        if bytes.len() < META_LEN || !Meta::has_magic(bytes) {
            return Err(fault("magic of a meta page", "a Folio database".into(), "something else".into()));
        }
        let (expected, found) = (crc32fast::hash(&bytes[..SUM_AT]), get_u32(bytes, SUM_AT));
        if expected != found {
            return Err(fault("checksum of a meta page", expected.to_string(), found.to_string()));
        }
        let version = get_u32(bytes, 8);
        if version != FORMAT_VERSION {
            return Err(Error::Unsupported { what: "format version", found: u64::from(version) });
        }
        let incompatible = get_u64(bytes, 16);
        if incompatible != 0 {
            return Err(Error::Unsupported { what: "incompatible feature", found: incompatible });
        }
        let page_size = get_u32(bytes, 12);
        if !super::is_page_size(u64::from(page_size)) {
            let found = page_size.to_string();
            return Err(fault("page size", "a power of two from 4096 to 65536".into(), found));
        }
        let runs = get_u32(bytes, FLAGS_AT + 4) as usize;
        let record = CommitRecord::decode(&bytes[RUNS_AT..SUM_AT], runs.min(RECORD_RUNS_MAX));
        if runs > RECORD_RUNS_MAX || record.pages() > RECORD_PAGES_MAX {
            let found = format!("{runs} runs, {} pages", record.pages());
            return Err(fault("commit record", format!("at most {RECORD_PAGES_MAX} pages"), found));
        }
        let unused = RUNS_AT + runs * 12;
        if get_u32(bytes, FLAGS_AT) & !FLAG_CLEAN != 0
            || bytes[FLAGS_AT + 8..RUNS_AT].iter().chain(&bytes[unused..SUM_AT]).any(|b| *b != 0)
        {
            return Err(fault("reserved bytes of a meta page", "zeros".into(), "other bytes".into()));
        }
        let (sequence, ceiling) = (get_u64(bytes, 72), get_u64(bytes, 80));
        if sequence >= SEQUENCE_END {
            return Err(fault("sequence of a meta page", "below 2^62".into(), sequence.to_string()));
        }
        let root = Root::decode(&bytes[ROOT_AT..FLAGS_AT]);
        if let Some((what, expected, found)) = root.fault(page_size as usize, ceiling) {
            return Err(fault(what, expected, found));
        }
        let array = |at: usize| bytes[at..].first_chunk::<16>().copied().unwrap_or_default();
        Ok(Meta {
            page_size,
            database_id: array(40),
            lineage_id: array(56),
            read_only_compatible: get_u64(bytes, 24),
            compatible: get_u64(bytes, 32),
            sequence,
            ceiling,
            boot_id: array(88),
            root,
            clean: get_u32(bytes, FLAGS_AT) & FLAG_CLEAN != 0,
            record,
        })
    }
}

/// FORMAT.md, "Head record": the newest commit that no meta page names yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeadRecord {
    /// The checksum of the durable meta page that the commit builds on, and of the one that was being
    /// written; 0 for none.
    pub(crate) base_sums: [u32; 2],
    pub(crate) boot_id: [u8; 16],
    pub(crate) root: Root,
}

impl HeadRecord {
    pub(crate) fn encode(&self) -> [u8; HEAD_LEN] {
        let mut out = [0; HEAD_LEN];
        out[..8].copy_from_slice(&HEAD_MAGIC);
        put_u32(&mut out, 8, self.base_sums[0]);
        put_u32(&mut out, 12, self.base_sums[1]);
        out[16..32].copy_from_slice(&self.boot_id);
        out[HEAD_ROOT_AT..HEAD_ROOT_AT + ROOT_LEN].copy_from_slice(&self.root.encode());
        let sum = crc32fast::hash(&out[..HEAD_LEN - 4]);
        put_u32(&mut out, HEAD_LEN - 4, sum);
        out
    }

    /// The record, if there is a whole one.
    pub(crate) fn decode(bytes: &[u8]) -> Option<HeadRecord> {
        let bytes = bytes.get(..HEAD_LEN)?;
        if !bytes.starts_with(&HEAD_MAGIC) {
            return None;
        }
        if crc32fast::hash(&bytes[..HEAD_LEN - 4]) != get_u32(bytes, HEAD_LEN - 4) {
            return None;
        }
        Some(HeadRecord {
            base_sums: [get_u32(bytes, 8), get_u32(bytes, 12)],
            boot_id: bytes[16..].first_chunk().copied()?,
            root: Root::decode(&bytes[HEAD_ROOT_AT..HEAD_ROOT_AT + ROOT_LEN]),
        })
    }
}
