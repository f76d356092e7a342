//! The state of the model: the file, who has it open, what they share, and what was promised.

use std::rc::Rc;

use super::broken::Broken;
use super::disk::{Content, Disk, Meta, PAGES};
use super::leader::Leader;
use super::openers::Door;
use super::reader::Reader;
use super::roots::{Level, Page, Root, Txn, UNUSED};
use super::words::{READERS, Words};
use super::writer::Writer;

/// Processes: such as can write, and the last one, which only reads.
pub(super) const PROCESSES: usize = 3;
pub(super) const ONLY_READS: usize = PROCESSES - 1;

/// A raise of the ceiling makes room for so many transaction numbers (in Folio 2^24).
pub(super) const CEILING_STEP: u32 = 5;

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Model {
    /// The rule that is broken, if any.
    pub(super) broken: Option<Broken>,
    pub(super) disk: Disk,
    /// The system's boot.
    pub(super) boot: u32,
    /// None as long as nobody has the file open.
    pub(super) words: Option<Words>,
    /// Those who have it open.
    pub(super) processes: [Option<Process>; PROCESSES],
    /// Who opens or closes: one at a time.
    pub(super) door: Option<Door>,
    /// Who has the writer lock.
    pub(super) writer: Option<Writer>,
    /// Who has the leader lock.
    pub(super) leader: Option<Leader>,
    pub(super) readers: [Reader; READERS],
    pub(super) promises: Promises,
    /// Pages written so far, for serial numbers.
    pub(super) writes: u32,
    /// Meta pages made so far, for their sums.
    pub(super) metas_made: u32,
}

/// What a process knows by itself; the others may have moved on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Process {
    /// The newest commit.
    pub(super) head: Rc<Root>,
    /// The durable meta page, and where it is.
    pub(super) meta: Rc<Meta>,
    pub(super) slot: usize,
}

/// What must be found again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Promises {
    /// The newest commit that is durable as far as anybody was told. Survives everything.
    pub(super) acknowledged: Txn,
    /// The newest immediate commit that a reader could see. Survives everything, too: nobody sees what a
    /// crash takes back.
    pub(super) seen: Txn,
    /// The newest commit that was visible. Survives the end of all processes, unless a sync failed before.
    pub(super) kept: Txn,
    /// After a failed sync the system may forget what transactions before this one have written: what is
    /// visible need not survive until a commit as new as that is durable.
    pub(super) shaken: Txn,
    /// The commits that may be found: the durable one and those after it, in order.
    pub(super) history: Vec<Rc<Root>>,
    /// Commits that opening has not found, though they were made. They may be found by another opening, as
    /// long as nothing else was written; they are given up for good when a newer meta page is durable.
    pub(super) missing: Vec<Rc<Root>>,
}

impl Promises {
    /// `root` is a commit from now on.
    pub(super) fn made(&mut self, root: &Rc<Root>) {
        if !self.history.iter().any(|commit| Rc::ptr_eq(commit, root)) {
            self.history.push(Rc::clone(root));
        }
    }

    /// `root` can be seen from now on.
    pub(super) fn show(&mut self, root: &Root) {
        let shown = self.history.iter().filter(|commit| commit.txn <= root.txn);
        let immediate = shown.filter(|commit| commit.level == Level::Immediate).map(|commit| commit.txn);
        self.seen = immediate.max().map_or(self.seen, |txn| self.seen.max(txn));
        if self.acknowledged.next() >= self.shaken {
            self.kept = self.kept.max(root.txn);
        }
    }

    /// A sync has failed, or the power.
    pub(super) fn shake(&mut self, next_id: Txn) {
        self.kept = self.acknowledged;
        self.shaken = next_id;
    }

    /// `root` is durable, and anybody may be told.
    pub(super) fn acknowledge(&mut self, root: &Rc<Root>) {
        if let Some(at) = self.history.iter().position(|commit| Rc::ptr_eq(commit, root)) {
            self.history.drain(..at);
        }
        self.acknowledged = self.acknowledged.max(root.txn);
    }

    /// A newer meta page of `root` is durable: no opening finds what an earlier one has not.
    pub(super) fn settle(&mut self, root: &Root, shown: bool) {
        self.missing.clear();
        if !shown {
            self.history.retain(|commit| commit.txn <= root.txn);
        }
    }

    /// Opening found `root`.
    pub(super) fn found(&mut self, root: &Rc<Root>) {
        let history = std::mem::replace(&mut self.history, vec![Rc::clone(root)]);
        self.missing = history.into_iter().filter(|commit| commit.txn > root.txn).collect();
        self.shaken = Txn(0);
        self.acknowledge(root);
        self.show(root);
    }

    /// The next opening may find what this one has not.
    pub(super) fn look_again(&mut self) {
        self.history.append(&mut self.missing);
        self.history.sort_by_key(|commit| commit.txn);
    }
}

impl Model {
    /// A small database, opened by the first process and at rest.
    pub(super) fn new(broken: Option<Broken>) -> Model {
        let first = |page| Content::Written { birth: Txn(1), serial: page };
        let mut pages = [UNUSED; PAGES];
        pages[0] = Page::Live(first(1));
        pages[1] = Page::Live(first(2));
        let root = Root { txn: Txn(1), level: Level::Immediate, rewrote: false, page_count: 5, pages };
        let contents = pages.map(|page| match page {
            Page::Live(content) => content,
            Page::Dead { .. } => Content::Nothing,
        });
        let root = Rc::new(root);
        let meta = |sequence, ceiling, clean| Meta {
            sum: sequence,
            sequence,
            root: Rc::clone(&root),
            record: Vec::new(),
            ceiling: Txn(ceiling),
            clean,
        };
        // As a clean close leaves it, and the first raise of the ceiling in the next session.
        let metas = [meta(1, 2, true), meta(2, 2 + CEILING_STEP, false)];
        let disk = Disk::new(contents, metas, root.page_count);
        let meta = disk.metas[1].cached.clone().expect("written above");
        let promises = Promises {
            acknowledged: root.txn,
            seen: root.txn,
            kept: root.txn,
            shaken: Txn(0),
            history: vec![Rc::clone(&root)],
            missing: Vec::new(),
        };
        let words = Words {
            recovered: true,
            next_id: Txn(2),
            ceiling: meta.ceiling,
            meta: (meta.sequence, 1),
            bases: [meta.sum, 0],
            ..Words::new(&root)
        };
        Model {
            broken,
            disk,
            boot: 1,
            words: Some(words),
            processes: [Some(Process { head: root, meta, slot: 1 }), None, None],
            door: None,
            writer: None,
            leader: None,
            readers: Default::default(),
            promises,
            writes: 2,
            metas_made: 2,
        }
    }

    /// Whether this rule is broken.
    pub(super) fn breaks(&self, rule: Broken) -> bool {
        self.broken == Some(rule)
    }

    /// The words. Only for those who are in.
    pub(super) fn words(&mut self) -> &mut Words {
        self.words.as_mut().expect("somebody is in")
    }

    /// What process `number` knows. Only for those who are in.
    pub(super) fn process(&mut self, number: usize) -> &mut Process {
        self.processes[number].as_mut().expect("it is in")
    }

    /// Who has the file open, and is not just about to open or to close it.
    pub(super) fn ready(&self) -> impl Iterator<Item = usize> {
        let busy = self.door.as_ref().map(|door| door.process);
        (0..PROCESSES).filter(move |number| self.processes[*number].is_some() && Some(*number) != busy)
    }
}
