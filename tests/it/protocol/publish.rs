//! How a commit becomes the head, and perhaps visible (`Pager::publish` in `src/pager/sync.rs`): steps that
//! the process may be killed between. And the head record, which leaders write too.

use std::rc::Rc;

use super::broken::Broken;
use super::choices::Turn;
use super::disk::HeadRecord;
use super::roots::{Level, Root};
use super::state::Model;

/// What a writer does next with its commit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Publish {
    /// Look whether it may be visible at once; then take the lock on the head record.
    Begin,
    /// With that lock: so many stores are done.
    Visible(Rc<Root>, usize),
}

/// What makes a commit visible that does not wait for the disk, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Store {
    Head,
    HeadRecord,
    Soft,
}

/// A head record names a head, and what is visible has a head record.
const STORES: [Store; 3] = [Store::Head, Store::HeadRecord, Store::Soft];

impl Publish {
    pub(super) fn has_head_record_lock(&self) -> bool {
        matches!(self, Publish::Visible(..))
    }
}

impl Model {
    /// Whether the writer can go on: another may have the lock on the head record.
    pub(super) fn can_publish(&self) -> bool {
        self.breaks(Broken::HeadRecordLockIgnored)
            || !self.leader.as_ref().is_some_and(|leader| leader.has_head_record_lock())
    }

    /// The next step of a commit whose pages are written.
    pub(super) fn publish(&mut self, turn: &mut Turn) {
        let mut writer = self.writer.take().expect("a writer");
        match writer.publish.take().expect("a commit") {
            Publish::Begin => {
                if self.words().ended {
                    turn.say(|| format!("writer cannot commit {}: writing has ended", writer.root.txn));
                    return;
                }
                let root = Rc::new(writer.root.clone());
                if !self.is_visible_at_once(&root) {
                    return self.set_head(&root, writer.process, turn);
                }
                turn.say(|| format!("writer may show {} at once, and has the head record", root.txn));
                writer.publish = Some(Publish::Visible(root, 0));
            }
            Publish::Visible(root, done) => {
                self.store(&root, done, writer.process, turn);
                if done + 1 == STORES.len() {
                    return;
                }
                writer.publish = Some(Publish::Visible(root, done + 1));
            }
        }
        self.writer = Some(writer);
    }

    /// Visible roots are shown in the order of commits, and what a crash may take back stands behind no
    /// immediate commit.
    fn is_visible_at_once(&mut self, root: &Root) -> bool {
        let words = self.words();
        let follows = words.visible().txn == words.head.txn;
        match root.level {
            Level::Immediate => self.breaks(Broken::ImmediateVisibleAtOnce),
            Level::Buffered => {
                (follows || self.breaks(Broken::BufferedVisibleBehindImmediate))
                    && (!root.rewrote || self.breaks(Broken::PageWrittenTwiceLeftToHeadRecord))
            }
        }
    }

    fn store(&mut self, root: &Rc<Root>, done: usize, process: usize, turn: &mut Turn) {
        let mut stores = STORES;
        match self.broken {
            Some(Broken::SoftSetBeforeHeadRecord) => stores.swap(1, 2),
            Some(Broken::HeadRecordBeforeHead) => stores.swap(0, 1),
            Some(Broken::HeadSetAfterSoft) => stores.rotate_left(1),
            _ => {}
        }
        match stores[done] {
            Store::Head => self.set_head(root, process, turn),
            Store::HeadRecord => {
                let left_out = root.level == Level::Immediate || self.breaks(Broken::NoHeadRecord);
                if !left_out {
                    turn.say(|| format!("writer writes the head record of {}", root.txn));
                    self.write_head_record(root);
                    self.promises.made(root);
                }
            }
            Store::Soft => {
                self.promises.made(root);
                turn.say(|| format!("writer shows {}", root.txn));
                self.words().soft = Rc::clone(root);
                self.promises.show(root);
            }
        }
    }

    fn set_head(&mut self, root: &Rc<Root>, process: usize, turn: &mut Turn) {
        turn.say(|| format!("writer makes {} the head", root.txn));
        self.process(process).head = Rc::clone(root);
        self.promises.made(root);
        let unused = self.breaks(Broken::NumberOfAbortedGivenAgain);
        let words = self.words();
        words.head = Rc::clone(root);
        if unused {
            words.next_id = root.txn.next();
        }
    }

    /// Says which commit is the newest visible one, and on which meta pages it builds. Never synced by
    /// itself.
    pub(super) fn write_head_record(&mut self, root: &Rc<Root>) {
        let boot = self.boot;
        let mut bases = self.words().bases;
        match self.broken {
            Some(Broken::HeadRecordNamesOnlyDurable) => bases[1] = 0,
            Some(Broken::HeadRecordNamesOnlyNew) if bases[1] != 0 => bases[0] = 0,
            _ => {}
        }
        self.disk.head_record.write(Some(Rc::new(HeadRecord { bases, boot, root: Rc::clone(root) })));
    }
}
