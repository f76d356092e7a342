//! The state of the model: the file, what the processes that have it open share, and what was promised.

use std::rc::Rc;

use super::broken::Broken;
use super::disk::{Content, Disk, Meta, PAGES};
use super::leader::Leader;
use super::reader::Reader;
use super::recovery::Opening;
use super::roots::{Level, Page, Root, Txn, UNUSED};
use super::writer::Writer;

/// Readers, each with a slot of the reader table.
pub(super) const READERS: usize = 2;

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
    /// None until opening has found a root.
    pub(super) open: Option<Open>,
    /// How far opening has come, until then.
    pub(super) opening: Opening,
    pub(super) promises: Promises,
    /// Pages written so far, for serial numbers.
    pub(super) writes: u32,
    /// Meta pages made so far, for their sums.
    pub(super) metas_made: u32,
}

/// What is in memory, and ends with the last process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Open {
    /// Whether opening has ended: before, there is only the leader that makes the adopted root durable.
    pub(super) shown: bool,
    /// A sync has failed: nothing new is written or made visible any more.
    pub(super) ended: bool,

    // Read without a lock: the words of `src/pager/shared.rs`.
    /// The root that a leader is making durable.
    pub(super) captured: Option<Txn>,
    /// Roots that leaders had captured who were killed then: their meta pages may be on the disk. (For
    /// several processes. In one, the leader dies with everybody else.)
    pub(super) orphans: Vec<Txn>,
    pub(super) durable: Txn,
    pub(super) visible: Rc<Root>,
    /// What readers say they read.
    pub(super) slots: [Option<Txn>; READERS],

    // Guarded by the lock on the heads: each use is one step.
    pub(super) head: Rc<Root>,
    /// The sums of the durable meta page, and of the one that is being written; 0 for none.
    pub(super) bases: [u32; 2],
    /// A head record names a commit that no durable meta page covers.
    pub(super) recorded: bool,

    // Guarded by the leader lock.
    /// Where the durable meta page is.
    pub(super) slot: usize,
    /// The durable meta page.
    pub(super) meta: Rc<Meta>,
    pub(super) leader: Option<Leader>,

    // Guarded by the writer lock.
    pub(super) next_txn: Txn,
    pub(super) ceiling: Txn,
    /// The last commit that lowered the page count, until the file is cut.
    pub(super) lowered: Option<Txn>,
    pub(super) writer: Option<Writer>,

    pub(super) readers: [Reader; READERS],
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
    /// The commits that may be found: the durable one and those after it, in order.
    pub(super) history: Vec<Rc<Root>>,
    /// Commits that opening has not found, though they were made. They may be found by another opening, as
    /// long as nothing else was written; they are given up for good when a newer meta page is durable.
    pub(super) missing: Vec<Rc<Root>>,
}

impl Promises {
    /// `root` can be seen from now on.
    pub(super) fn show(&mut self, root: &Root) {
        let shown = self.history.iter().filter(|commit| commit.txn <= root.txn);
        let immediate = shown.filter(|commit| commit.level == Level::Immediate).map(|commit| commit.txn);
        self.seen = immediate.max().map_or(self.seen, |txn| self.seen.max(txn));
        self.kept = self.kept.max(root.txn);
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
    /// A small database, open and at rest.
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
            history: vec![Rc::clone(&root)],
            missing: Vec::new(),
        };
        let open = Open { next_txn: Txn(2), ..Open::new(&root, meta, 1) };
        Model {
            broken,
            disk,
            boot: 1,
            open: Some(Open { shown: true, ..open }),
            opening: Opening::Look,
            promises,
            writes: 2,
            metas_made: 2,
        }
    }

    /// Whether this rule is broken.
    pub(super) fn breaks(&self, rule: Broken) -> bool {
        self.broken == Some(rule)
    }

    /// What the open database has in memory. Only for actors, who have it open.
    pub(super) fn memory(&mut self) -> &mut Open {
        self.open.as_mut().expect("somebody has it open")
    }
}

impl Open {
    /// A database that was just opened at the root of `meta`, which is durable, in `slot`.
    pub(super) fn new(head: &Rc<Root>, meta: Rc<Meta>, slot: usize) -> Open {
        Open {
            shown: false,
            ended: false,
            captured: None,
            orphans: Vec::new(),
            durable: meta.root.txn,
            visible: Rc::clone(head),
            slots: [None; READERS],
            head: Rc::clone(head),
            bases: [meta.sum, 0],
            recorded: head.txn > meta.root.txn,
            slot,
            leader: None,
            next_txn: meta.ceiling,
            ceiling: meta.ceiling,
            meta,
            lowered: None,
            writer: None,
            readers: Default::default(),
        }
    }
}
