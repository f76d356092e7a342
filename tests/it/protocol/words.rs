//! What the processes share that have the file open: words, each of them whole whenever the process that sets
//! it is killed (`src/pager/shared`).

use std::rc::Rc;

use super::roots::{Root, Txn};

/// Readers, each with a slot of the reader table.
pub(super) const READERS: usize = 2;

/// Leaders that can be killed one after another before the next has to make room (in Folio 16).
pub(super) const CAPTURES: usize = 2;

/// What a leader has begun: if it is killed, the next one finds it so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Unfinished {
    /// A meta page may be in the spare slot that is not durable.
    pub(super) meta: bool,
    /// How a sync ended is not known.
    pub(super) sync: bool,
}

/// See the module. They end when nobody is in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Words {
    /// Somebody who can write has recovered the file.
    pub(super) recovered: bool,
    /// A write or a sync has failed: nothing new is written or made visible any more.
    pub(super) ended: bool,

    // Set by who has the writer lock.
    pub(super) head: Rc<Root>,
    /// Visible, though not durable.
    pub(super) soft: Rc<Root>,
    pub(super) next_id: Txn,
    pub(super) ceiling: Txn,
    /// The last commit that lowered the page count, until the file is cut.
    pub(super) lowered: Option<Txn>,

    // Set by the leader.
    pub(super) durable: Rc<Root>,
    /// The sequence number and the slot of the durable meta page.
    pub(super) meta: (u32, usize),
    /// The sums of the durable meta page, and of the one that is being written; 0 for none.
    pub(super) bases: [u32; 2],
    pub(super) unfinished: Unfinished,
    /// Pages of transactions before this one may be in the page cache alone, and count as written there.
    pub(super) doubted: Txn,
    /// The roots that leaders are making durable, or were when they were killed.
    pub(super) captured: [Option<Txn>; CAPTURES],

    /// What readers say they read.
    pub(super) slots: [Option<Txn>; READERS],
}

impl Words {
    /// Of who comes first.
    pub(super) fn new(root: &Rc<Root>) -> Words {
        let [head, soft, durable] = [(); 3].map(|()| Rc::clone(root));
        Words {
            recovered: false,
            ended: false,
            head,
            soft,
            next_id: Txn(0),
            ceiling: Txn(0),
            lowered: None,
            durable,
            meta: (0, 0),
            bases: [0, 0],
            unfinished: Unfinished::default(),
            doubted: Txn(0),
            captured: [None; CAPTURES],
            slots: [None; READERS],
        }
    }

    /// What new readers get.
    pub(super) fn visible(&self) -> &Rc<Root> {
        if self.soft.txn > self.durable.txn { &self.soft } else { &self.durable }
    }
}
