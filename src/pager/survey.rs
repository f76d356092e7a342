//! The free space of a snapshot, for whoever looks at the whole file.

use super::Pager;
use super::free_log::{FreeLog, LogPages, replay};
use super::shared::Reading;
use super::snapshot::ReadSnapshot;
use super::space::holder;
use crate::error::Result;
use crate::page::{Extent, META_AT, META_LEN, Meta, PageId, TxnId, page_at};

/// What the free-space log of a snapshot says.
#[derive(Debug, Clone)]
pub(crate) struct SpaceSurvey {
    /// The pages of the log itself.
    pub(crate) log_pages: Vec<PageId>,
    /// Free and pending extents, ascending.
    pub(crate) extents: Vec<Extent>,
}

impl SpaceSurvey {
    /// Pages that were freed since snapshot `txn` and that it still needs.
    pub(crate) fn needed_by(&self, txn: TxnId) -> u64 {
        let needed = |extent: &&Extent| extent.birth <= txn && txn < extent.death;
        self.extents.iter().filter(needed).map(|extent| extent.len).sum()
    }
}

impl ReadSnapshot {
    /// The pages of the log from the newest on, up to the first that cannot be read. O(pages of the log).
    pub(crate) fn log_pages(&self) -> LogPages<'_> {
        LogPages::of(self.pages())
    }

    /// The roots that are pinned now, ascending, this snapshot's among them.
    pub(crate) fn pins(&self) -> Vec<TxnId> {
        self.pages().view.base.shared.pins()
    }

    /// The transaction that a loss of power leaves.
    pub(crate) fn durable(&self) -> u64 {
        self.pages().view.base.shared.durable().0
    }

    /// Who reads, but for this snapshot itself.
    pub(crate) fn other_readers(&self) -> Result<Vec<Reading>> {
        let mut readers = self.pages().view.base.shared.readers()?;
        readers.retain(|reading| !reading.has(self.slot()));
        Ok(readers)
    }

    /// Reads the free-space log. O(its records).
    pub(crate) fn survey(&self) -> Result<SpaceSurvey> {
        let snapshot = self.pages();
        let (log, records) = FreeLog::read(snapshot)?;
        let mut extents = replay(&records, snapshot.root().page_count)?;
        extents.sort_unstable_by_key(|extent| extent.start);
        Ok(SpaceSurvey { log_pages: log.pages().collect(), extents })
    }

    /// Pages among `extents` that some snapshot still needs.
    pub(crate) fn pending(&self, survey: &SpaceSurvey) -> u64 {
        let pins = self.pins();
        let needed = |extent: &&Extent| holder(extent, &pins).is_some();
        survey.extents.iter().filter(needed).map(|extent| extent.len).sum()
    }
}

impl Pager {
    /// What is wrong with the meta pages as they are in the file now. Nobody writes them meanwhile.
    pub(crate) fn header_faults(&self) -> Result<Vec<(u64, String)>> {
        let _turn = self.wait_for_turn()?;
        let shared = &self.base.shared;
        // A leader that was killed may have left anything there. The next one writes over it.
        let left = shared.unfinished().meta.then(|| META_AT[1 - shared.meta().1]);
        let mut faults = Vec::new();
        for at in META_AT.into_iter().filter(|at| Some(*at) != left) {
            let page = page_at(at, self.base.page_size);
            let mut bytes = vec![0; META_LEN];
            self.base.storage.read_exact_at(&mut bytes, at)?;
            if let Err(error) = Meta::decode(&bytes, page) {
                faults.push((page, error.to_string()));
            }
        }
        Ok(faults)
    }
}
