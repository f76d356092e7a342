//! What a leader does first: it learns what other processes have done, and clears up after a leader that was
//! killed (`Pager::take_over` in `src/pager/sync.rs`).

use std::rc::Rc;

use super::broken::Broken;
use super::choices::Turn;
use super::disk::Content;
use super::leader::{Job, Leader, Step};
use super::state::Model;

/// How the meta page of a killed leader is got rid of.
///
/// While it is there, head records have to name it, and the next head record will name the next one: so it
/// goes before that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Store {
    Wipe,
    SetBases,
    MetaFinished,
}

const STORES: [Store; 3] = [Store::Wipe, Store::SetBases, Store::MetaFinished];

impl Model {
    pub(super) fn take_over(&mut self, leader: &mut Leader, turn: &mut Turn) -> Step {
        let words = self.words();
        let (unfinished, meta) = (words.unfinished, words.meta);
        leader.cut_short = unfinished.sync && !self.breaks(Broken::CutShortSyncBelieved);
        let known = self.process(leader.process);
        let is_known = (known.meta.sequence, known.slot) == meta && !unfinished.meta;
        if is_known || self.breaks(Broken::LeaderTrustsItsMemory) {
            return self.begin_work(leader);
        }
        let page = self.disk.metas[meta.1].cached.clone().expect("the durable meta page is whole");
        turn.say(|| format!("leader reads meta page {}: root {}", meta.1, page.root.txn));
        let known = self.process(leader.process);
        (known.meta, known.slot) = (page, meta.1);
        if unfinished.meta && !self.breaks(Broken::KilledMetaNotWiped) {
            return Step::ClearUp(0);
        }
        self.begin_work(leader)
    }

    pub(super) fn clear_up(&mut self, leader: &mut Leader, done: usize, turn: &mut Turn) -> Step {
        let mut stores = STORES;
        match self.broken {
            Some(Broken::KilledMetaForgottenBeforeWiped) => stores.swap(0, 1),
            Some(Broken::KilledMetaFinishedBeforeWiped) => stores.rotate_right(1),
            _ => {}
        }
        let known = self.process(leader.process);
        let (slot, sum) = (known.slot, known.meta.sum);
        let store = stores[done];
        turn.say(|| format!("leader clears up after one that was killed: {store:?}"));
        match store {
            Store::Wipe => self.disk.metas[1 - slot].write(None),
            Store::SetBases => self.words().bases = [sum, 0],
            Store::MetaFinished => self.words().unfinished.meta = false,
        }
        if done + 1 < STORES.len() {
            return Step::ClearUp(done + 1);
        }
        self.begin_work(leader)
    }

    /// A leader may have been killed after it had said where the durable meta page is, and before its root
    /// was the durable one: then the capture alone pins that (`Pager::finish_for_others`).
    ///
    /// The root of a meta page that is not for commits is that of the durable one.
    fn begin_work(&mut self, leader: &mut Leader) -> Step {
        leader.root = Rc::clone(&self.process(leader.process).meta.root);
        let forgets = self.breaks(Broken::DoubtEndsWithOneSync);
        let words = self.words();
        if leader.cut_short {
            // What the writer has written so far, and will commit, may not be on the disk either.
            words.doubted = words.next_id;
        }
        leader.doubts = leader.cut_short;
        if leader.root.txn > self.words().durable.txn && !self.breaks(Broken::DurableLeftBehindMeta) {
            self.promises.acknowledge(&leader.root);
            self.promises.show(&leader.root);
            let words = self.words();
            words.durable = Rc::clone(&leader.root);
            words.captured.fill(None);
        }
        let words = self.words();
        leader.doubts |= words.durable.txn.next() < words.doubted && !forgets;
        if leader.job == Job::Commits { Step::LoadHead } else { Step::MarkUnfinished }
    }

    /// Whether a page of the captured root is on the disk is not known if a sync was cut short, and may have
    /// failed: what is younger than the durable root is written again (`Pager::write_again_since`). Nobody
    /// else writes these pages: the root is pinned.
    pub(super) fn write_pages_again(&mut self, leader: &Leader, turn: &mut Turn) -> Step {
        let durable = self.words().durable.txn;
        turn.say(|| format!("leader writes again what {} has and {durable} has not", leader.root.txn));
        for (page, _) in leader.root.younger_than(durable) {
            self.disk.write_again(page);
        }
        match self.broken {
            Some(Broken::EndNotMadeLonger) => self.first_sync(),
            Some(Broken::EndWrittenAgainBesideWriter) => {
                Step::WriteEnd(self.disk.pages[leader.root.page_count - 1].cached)
            }
            _ => Step::MakeLonger,
        }
    }

    /// The disk may have a shorter file than the root needs. Nothing is written: the root's last page may be
    /// free, and the writer just writing it (`Storage::make_longer`).
    pub(super) fn make_longer(&mut self, turn: &mut Turn) -> Step {
        turn.say(|| "leader makes the file longer".to_owned());
        self.disk.len.write(self.disk.len.cached + 1);
        self.first_sync()
    }

    /// As opening does it, where there is no writer.
    pub(super) fn write_end_as_it_was(&mut self, leader: &Leader, content: Content, turn: &mut Turn) -> Step {
        let page = leader.root.page_count - 1;
        turn.say(|| format!("leader writes page {page} again, as it was"));
        self.disk.write(page, content);
        self.first_sync()
    }
}
