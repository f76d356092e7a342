//! Pages of the free-space log: extents, each with the snapshots that need it.
//!
//! The log is a chain from the newest page to the oldest. A record says of an extent which roots still need
//! its pages: those from `birth` on and before `death`. Later records win, so the state of a page is what the
//! last record that covers it says; a page that no record covers is live.

use super::{HEADER_LEN, KIND_FREE_LOG, PAGE_ID_MASK, PageId, Seed, TxnId};
use super::{get_u16, get_u64, put_u16, put_u64, to_u16};
use crate::error::{Error, Result};

pub(super) const RECORDS_AT: usize = HEADER_LEN + 16;
pub(super) const RECORD_LEN: usize = 24;
/// The `death` of pages that are in use: no root is that young.
pub(super) const NEVER: TxnId = TxnId(u64::MAX);
/// One record covers so many pages at most; longer extents take several.
const RECORD_PAGES_MAX: u64 = (1 << 16) - 1;

/// Neighbouring pages that the same roots need: those from `birth` on and before `death`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Extent {
    pub(crate) start: u64,
    pub(crate) len: u64,
    pub(crate) birth: TxnId,
    pub(crate) death: TxnId,
}

impl Extent {
    /// Pages that no root needs.
    pub(crate) fn free(start: u64, len: u64) -> Extent {
        Extent { start, len, birth: TxnId(0), death: TxnId(0) }
    }

    /// Pages in use again: this takes back what an earlier record said.
    pub(crate) fn used(start: u64, len: u64) -> Extent {
        Extent { start, len, birth: TxnId(0), death: NEVER }
    }

    pub(crate) fn is_used(&self) -> bool {
        self.death == NEVER
    }

    pub(crate) fn end(&self) -> u64 {
        self.start + self.len
    }

    /// How many records this extent takes.
    pub(crate) fn records(&self) -> usize {
        super::index(self.len.div_ceil(RECORD_PAGES_MAX))
    }

    /// The extent in pieces that fit a record each.
    pub(crate) fn pieces(self) -> impl Iterator<Item = Extent> {
        (0..self.records() as u64).map(move |i| {
            let start = self.start + i * RECORD_PAGES_MAX;
            Extent { start, len: RECORD_PAGES_MAX.min(self.end() - start), ..self }
        })
    }
}

/// Where the next older page of the log is: page 0 when there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LogLink {
    pub(crate) page: PageId,
    pub(crate) birth: TxnId,
}

/// How many records a page of the log holds.
pub(crate) const fn free_log_capacity(page_size: usize) -> usize {
    (page_size - RECORDS_AT) / RECORD_LEN
}

/// Bytes in use of a page of the log with so many records.
pub(crate) const fn free_log_used(records: usize) -> usize {
    RECORDS_AT + records * RECORD_LEN
}

/// One page of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FreeLogPage {
    pub(crate) older: LogLink,
    /// At most [`free_log_capacity`], each at most [`RECORD_PAGES_MAX`] pages, oldest first.
    pub(crate) records: Vec<Extent>,
}

impl FreeLogPage {
    /// Writes the page; its checksum is returned.
    pub(crate) fn encode(&self, out: &mut [u8], id: PageId, birth: TxnId, seed: Seed) -> u32 {
        assert!(self.records.len() <= free_log_capacity(out.len()), "the caller has counted them");
        out[..RECORDS_AT].fill(0);
        out[RECORDS_AT + self.records.len() * RECORD_LEN..].fill(0);
        out[4] = KIND_FREE_LOG;
        put_u16(out, 6, to_u16(self.records.len()));
        put_u64(out, 8, id.0);
        put_u64(out, 16, birth.0);
        put_u64(out, HEADER_LEN, self.older.page.0);
        put_u64(out, HEADER_LEN + 8, self.older.birth.0);
        for (record, room) in self.records.iter().zip(out[RECORDS_AT..].chunks_exact_mut(RECORD_LEN)) {
            debug_assert!(record.len <= RECORD_PAGES_MAX);
            put_u64(room, 0, record.start | record.len << 48);
            put_u64(room, 8, record.birth.0);
            put_u64(room, 16, record.death.0);
        }
        seed.seal(out)
    }

    /// Reads and checks page `link` of the log.
    pub(crate) fn decode(bytes: &[u8], link: LogLink, seed: Seed) -> Result<FreeLogPage> {
        let fault =
            |what, expected: String, found: String| Err(Error::corrupted(link.page.0, what, expected, found));
        let numbers = [
            ("checksum", u64::from(seed.page_sum(bytes)), u64::from(super::get_u32(bytes, 0))),
            ("page kind", u64::from(KIND_FREE_LOG), u64::from(bytes.get(4).copied().unwrap_or(0))),
            ("page number", link.page.0, get_u64(bytes, 8)),
            ("birth", link.birth.0, get_u64(bytes, 16)),
        ];
        for (what, expected, found) in numbers {
            if expected != found {
                return fault(what, expected.to_string(), found.to_string());
            }
        }
        let count = usize::from(get_u16(bytes, 6));
        if count > free_log_capacity(bytes.len()) {
            return fault("number of records", "what fits".to_owned(), count.to_string());
        }
        let unused = &bytes[RECORDS_AT + count * RECORD_LEN..];
        if bytes[5] != 0 || bytes[24..HEADER_LEN].iter().chain(unused).any(|b| *b != 0) {
            return fault("unused part of the page", "zeros".to_owned(), "other bytes".to_owned());
        }
        let mut records = Vec::with_capacity(count);
        for room in bytes[RECORDS_AT..].chunks_exact(RECORD_LEN).take(count) {
            let word = get_u64(room, 0);
            let record = Extent {
                start: word & PAGE_ID_MASK,
                len: word >> 48,
                birth: TxnId(get_u64(room, 8)),
                death: TxnId(get_u64(room, 16)),
            };
            // An extent beyond the end was cut off with the file and taken back by a later record.
            if record.start == 0 || record.len == 0 || record.birth > record.death {
                return fault("free-space record", "an extent".to_owned(), format!("{record:?}"));
            }
            records.push(record);
        }
        // Whoever follows the link knows how many pages the log has: the oldest keeps a link to one that is
        // gone.
        let older = LogLink {
            page: PageId(get_u64(bytes, HEADER_LEN)),
            birth: TxnId(get_u64(bytes, HEADER_LEN + 8)),
        };
        Ok(FreeLogPage { older, records })
    }
}
