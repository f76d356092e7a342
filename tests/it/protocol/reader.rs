//! A reader: it loads the two roots of which the newer is the visible one, publishes that one's number in a
//! slot, and looks whether both are still what they were. Each is a step of its own, and anything may happen
//! between. (`begin_read` in `src/pager/shared/mod.rs`.)

use std::rc::Rc;

use super::broken::Broken;
use super::choices::Turn;
use super::roots::{Root, Txn};
use super::state::Model;

/// How far a reader has come.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) enum Reader {
    #[default]
    Idle,
    /// Has loaded the soft root.
    Begun { process: usize, soft: Rc<Root> },
    /// Has loaded the durable root, too. Nobody knows yet.
    Loaded { process: usize, root: Rc<Root>, stamp: Stamp },
    /// Its slot names the root. A scan that came before did not see it.
    Published { process: usize, root: Rc<Root>, stamp: Stamp },
    /// Nothing had changed after the slot was published: from here on the reader touches the root's pages.
    Reading { process: usize, root: Rc<Root> },
}

/// The soft and the durable root by which the visible one was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Stamp(Txn, Txn);

impl Reader {
    /// Whose reader it is.
    pub(super) fn process(&self) -> Option<usize> {
        match self {
            Reader::Idle => None,
            Reader::Begun { process, .. }
            | Reader::Loaded { process, .. }
            | Reader::Published { process, .. }
            | Reader::Reading { process, .. } => Some(*process),
        }
    }
}

impl Model {
    /// The next step of reader `number`.
    pub(super) fn read(&mut self, number: usize, turn: &mut Turn) {
        let present: Vec<usize> = self.ready().collect();
        let broken = self.broken;
        let reader = std::mem::take(&mut self.readers[number]);
        let words = self.words();
        let name = ["A", "B"][number];
        let now = Stamp(words.soft.txn, words.durable.txn);
        let next = match reader {
            Reader::Idle => {
                let (process, soft) = (present[turn.pick(present.len())], Rc::clone(&words.soft));
                turn.say(|| format!("reader {name} of process {process} loads soft: {}", soft.txn));
                Reader::Begun { process, soft }
            }
            Reader::Begun { process, soft } => {
                let durable = Rc::clone(&words.durable);
                let stamp = Stamp(soft.txn, durable.txn);
                let root = if soft.txn > durable.txn { soft } else { durable };
                turn.say(|| format!("reader {name} loads durable: {}; visible is {}", stamp.1, root.txn));
                Reader::Loaded { process, root, stamp }
            }
            Reader::Loaded { process, root, stamp } => {
                turn.say(|| format!("reader {name} publishes {}", root.txn));
                words.slots[number] = Some(root.txn);
                Reader::Published { process, root, stamp }
            }
            Reader::Published { process, root, stamp } => {
                let is_same = match broken {
                    Some(Broken::ReaderDoesNotLookAgain) => true,
                    Some(Broken::ReaderLooksAtSoftAlone) => stamp.0 == now.0,
                    Some(Broken::ReaderLooksAtDurableAlone) => stamp.1 == now.1,
                    _ => stamp == now,
                };
                if is_same {
                    turn.say(|| format!("reader {name} reads {}", root.txn));
                    Reader::Reading { process, root }
                } else {
                    // Its slot still names the root that was loaded before, which does no harm.
                    turn.say(|| format!("reader {name} finds that something has changed"));
                    let soft = Rc::clone(&words.soft);
                    Reader::Begun { process, soft }
                }
            }
            Reader::Reading { root, .. } => {
                turn.say(|| format!("reader {name} ends reading {}", root.txn));
                words.slots[number] = None;
                Reader::Idle
            }
        };
        self.readers[number] = next;
    }
}
