//! A reader: it loads the visible root, publishes its number in a slot, and looks whether that root is still
//! visible. Each is a step of its own, and anything may happen between. (`begin_read` in
//! `src/pager/shared.rs`.)

use std::rc::Rc;

use super::broken::Broken;
use super::choices::Turn;
use super::roots::Root;
use super::state::Model;

/// How far a reader has come.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) enum Reader {
    #[default]
    Idle,
    /// Has loaded the visible root. Nobody knows yet.
    Loaded(Rc<Root>),
    /// Its slot names the root. A scan that came before did not see it.
    Published(Rc<Root>),
    /// The root was visible after the slot was published: from here on the reader touches its pages.
    Reading(Rc<Root>),
}

impl Model {
    /// The next step of reader `number`.
    pub(super) fn read(&mut self, number: usize, turn: &mut Turn) {
        let checks = !self.breaks(Broken::ReaderDoesNotLookAgain);
        let open = self.memory();
        let visible = Rc::clone(&open.visible);
        let name = ["A", "B"][number];
        open.readers[number] = match std::mem::take(&mut open.readers[number]) {
            Reader::Idle => {
                turn.say(|| format!("reader {name} loads visible: {}", visible.txn));
                Reader::Loaded(visible)
            }
            Reader::Loaded(root) => {
                turn.say(|| format!("reader {name} publishes {}", root.txn));
                open.slots[number] = Some(root.txn);
                Reader::Published(root)
            }
            Reader::Published(root) if root.txn == visible.txn || !checks => {
                turn.say(|| format!("reader {name} reads {}", root.txn));
                Reader::Reading(root)
            }
            // Its slot still names the root that was loaded before, which does no harm.
            Reader::Published(_) => {
                turn.say(|| format!("reader {name} finds another root visible: {}", visible.txn));
                Reader::Loaded(visible)
            }
            Reader::Reading(root) => {
                turn.say(|| format!("reader {name} ends reading {}", root.txn));
                open.slots[number] = None;
                Reader::Idle
            }
        };
    }
}
