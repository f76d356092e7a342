//! The newest commit, and what a meta page that names it has to say of the pages behind it.

use crate::page::{CommitRecord, RECORD_PAGES_MAX, RECORD_RUNS_MAX, RecordRun, Root, TxnId, run_sum};

/// A page that was written since the last durable meta page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) page: u64,
    pub(super) birth: TxnId,
    pub(super) sum: u32,
}

/// A commit. Never changes: what a leader has captured stays what it was.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) root: Root,
    /// The pages that are live in the root and were written since some durable root, ascending; none when
    /// they are too many to be verified at opening, or not known.
    pub(super) written: Option<Vec<Written>>,
}

impl Head {
    /// A head that is durable.
    pub(super) fn durable(root: Root) -> Head {
        Head { root, written: Some(Vec::new()) }
    }

    /// The pages of the commit that follows: those of this one that are not durable yet and that it does not
    /// free, and its own.
    pub(super) fn written_by_next(
        &self,
        durable: TxnId,
        is_freed: impl Fn(u64) -> bool,
        own: Option<Vec<Written>>,
    ) -> Option<Vec<Written>> {
        let before = match &self.written {
            // Whatever it was, it is durable by now.
            _ if durable >= self.root.txn => &[][..],
            Some(written) => written,
            None => return None,
        };
        let mut written = own?;
        written.extend(before.iter().filter(|w| w.birth > durable && !is_freed(w.page)));
        if written.len() as u64 > RECORD_PAGES_MAX {
            return None;
        }
        // Few runs, each sorted: the stable sort merges such in one go.
        written.sort_by_key(|w| w.page);
        Some(written)
    }

    /// What a meta page of this root, written while `durable` is the durable root, says of its pages. None
    /// when they must be synced before the meta page is written.
    pub(super) fn record(&self, durable: TxnId) -> Option<CommitRecord> {
        let written = self.written.as_ref()?;
        let mut runs: Vec<RecordRun> = Vec::new();
        let mut sums: Vec<u32> = Vec::new();
        let mut pages = written.iter().filter(|w| w.birth > durable).peekable();
        while let Some(first) = pages.next() {
            sums.clear();
            sums.push(first.sum);
            let mut len = 1u16;
            while let Some(next) = pages.next_if(|next| next.page == first.page + u64::from(len)) {
                sums.push(next.sum);
                len += 1;
            }
            runs.push(RecordRun { start: first.page, len, sum: run_sum(sums.iter().copied()) });
        }
        (runs.len() <= RECORD_RUNS_MAX).then_some(CommitRecord { runs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(page: u64, birth: u64) -> Written {
        Written { page, birth: TxnId(birth), sum: u32::try_from(page).unwrap() }
    }

    fn head(txn: u64, written: Option<Vec<Written>>) -> Head {
        Head { root: Root { txn: TxnId(txn), ..Root::default() }, written }
    }

    #[test]
    fn a_record_has_what_is_live_and_not_durable() {
        let first = head(5, Some(vec![written(40, 5), written(41, 5), written(50, 5)]));
        let next = first.written_by_next(TxnId(4), |page| page == 41, Some(vec![written(42, 6)]));
        assert_eq!(next, Some(vec![written(40, 5), written(42, 6), written(50, 5)]));
        let next = first.written_by_next(TxnId(5), |_| false, Some(vec![written(42, 6)]));
        assert_eq!(next, Some(vec![written(42, 6)]));
        let record = first.record(TxnId(4)).unwrap();
        assert_eq!(record.runs.iter().map(|r| (r.start, r.len)).collect::<Vec<_>>(), [(40, 2), (50, 1)]);
        assert_eq!(first.record(TxnId(5)), Some(CommitRecord::default()));
    }

    #[test]
    fn what_is_not_known_stays_so_until_it_is_durable() {
        let first = head(5, None);
        assert_eq!(first.written_by_next(TxnId(4), |_| false, Some(vec![written(42, 6)])), None);
        assert_eq!(first.record(TxnId(4)), None);
        let next = first.written_by_next(TxnId(5), |_| false, Some(vec![written(42, 6)]));
        assert_eq!(next, Some(vec![written(42, 6)]));
    }

    #[test]
    fn more_pages_or_runs_than_a_record_holds_are_synced_first() {
        let many = |count: u64, step: u64| Some((0..count).map(|i| written(100 + i * step, 6)).collect());
        assert_eq!(head(5, None).written_by_next(TxnId(5), |_| false, many(1025, 1)), None);
        assert_eq!(head(6, many(319, 2)).record(TxnId(5)).map(|r| r.runs.len()), Some(319));
        assert_eq!(head(6, many(320, 2)).record(TxnId(5)), None);
    }
}
