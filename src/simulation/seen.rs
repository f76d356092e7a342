//! What a run has met, so that a generator which silently stops covering something is noticed.

use std::collections::BTreeMap;

use crate::page::{META_AT, META_LEN, Meta, page_at};
use crate::storage::sim::{Event, SimDisk};
use crate::{Database, Recovery};

/// How often what happened.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen(BTreeMap<&'static str, u64>);

impl Seen {
    pub(crate) fn count(&mut self, what: &'static str, times: u64) {
        *self.0.entry(what).or_default() += times;
    }

    pub(crate) fn of(&self, what: &'static str) -> u64 {
        self.0.get(what).copied().unwrap_or_default()
    }

    pub(crate) fn add(&mut self, other: &Seen) {
        other.0.iter().for_each(|(what, times)| self.count(what, *times));
    }

    /// What opening found.
    pub(crate) fn opened(&mut self, db: &Database) {
        let Recovery::Recovered { fell_back, head_adopted, bad_meta, .. } = db.stats().unwrap().recovery
        else {
            return self.count("clean openings", 1);
        };
        self.count("recoveries", 1);
        self.count("fallbacks to the older meta page", fell_back.into());
        self.count("torn meta pages", (bad_meta && !fell_back).into());
        self.count("head records adopted", head_adopted.into());
    }

    /// What the syncs on the disk were, of these commits in ascending order.
    pub(crate) fn syncs(&mut self, disk: &SimDisk, commits: &[u64]) {
        let mut durable = 0;
        for meta in disk.events().iter().filter_map(meta_page) {
            let up_to = |txn| commits.partition_point(|commit| *commit <= txn);
            let group = up_to(meta.root.txn.0).saturating_sub(up_to(durable));
            let kind = if meta.record.runs.is_empty() { "two-phase syncs" } else { "one-phase syncs" };
            self.count(kind, (group > 0).into());
            self.count("groups of several commits", (group > 1).into());
            durable = durable.max(meta.root.txn.0);
        }
    }

    /// Prints everything.
    ///
    /// # Panics
    /// If something that is wanted did not happen.
    pub(crate) fn report(&self, wanted: &[&'static str]) {
        let counts: Vec<String> = self.0.iter().map(|(what, times)| format!("{times} {what}")).collect();
        println!("{}", counts.join(", "));
        let missing = |what: &&&'static str| self.of(what) == 0;
        let missing: Vec<_> = wanted.iter().filter(missing).collect();
        assert!(missing.is_empty(), "never happened: {missing:?}");
    }
}

/// The meta page that was written, if it was one.
fn meta_page(event: &Event) -> Option<Meta> {
    match event {
        Event::Write { offset, bytes } if META_AT.contains(offset) && bytes.len() == META_LEN => {
            Meta::decode(bytes, page_at(*offset, 4096)).ok()
        }
        _ => None,
    }
}
