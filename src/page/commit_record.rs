//! The commit record: which pages a meta page relies on and was not preceded by a sync of.

use super::{get_u32, get_u64, put_u32, put_u64};

const RUN_LEN: usize = 12;
/// How many runs fit a meta page.
pub(crate) const RECORD_RUNS_MAX: usize = 319;
/// Opening reads the pages of a record, so it covers no more than this; a larger commit syncs twice.
pub(crate) const RECORD_PAGES_MAX: u64 = 1024;

/// Neighbouring pages and the checksum over their checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordRun {
    pub(crate) start: u64,
    pub(crate) len: u16,
    pub(crate) sum: u32,
}

/// FORMAT.md, "Commit record". Empty: nothing needs to be verified.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct CommitRecord {
    pub(crate) runs: Vec<RecordRun>,
}

impl CommitRecord {
    pub(super) fn encode(&self, out: &mut [u8]) {
        assert!(self.runs.len() <= RECORD_RUNS_MAX, "the caller has counted them");
        for (run, room) in self.runs.iter().zip(out.chunks_exact_mut(RUN_LEN)) {
            put_u64(room, 0, run.start | u64::from(run.len) << 48);
            put_u32(room, 8, run.sum);
        }
    }

    pub(super) fn decode(bytes: &[u8], count: usize) -> CommitRecord {
        let run = |room: &[u8]| {
            let word = get_u64(room, 0);
            let [.., low, high] = word.to_le_bytes();
            let len = u16::from_le_bytes([low, high]);
            RecordRun { start: word & super::PAGE_ID_MASK, len, sum: get_u32(room, 8) }
        };
        CommitRecord { runs: bytes.chunks_exact(RUN_LEN).take(count).map(run).collect() }
    }

    /// Pages that the record covers.
    pub(crate) fn pages(&self) -> u64 {
        self.runs.iter().map(|run| u64::from(run.len)).sum()
    }
}
