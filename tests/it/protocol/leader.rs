//! The leader: whoever writes a meta page and syncs, for all that wait (`src/pager/sync.rs`). There is one at
//! a time (the leader lock, which the kernel frees when its process is killed); writers and readers go on
//! beside it, between any two of its steps. How it learns what others have left: `take_over`.

use std::rc::Rc;

use super::broken::Broken;
use super::choices::Turn;
use super::disk::{Content, Marks, Meta, PAGES};
use super::roots::{Level, Root, Txn};
use super::state::{CEILING_STEP, Model};
use super::words::Unfinished;

/// What the meta page is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Job {
    /// To make the newest head durable (`Pager::sync_to`).
    Commits,
    /// To raise the ceiling. The root is the durable one (`Pager::raise_ceiling`, `Pager::rewrite_spare`).
    Ceiling,
    /// To end in good order. The root is the durable one (`Pager::close`).
    Close,
}

/// What the leader does next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// Learn what others have done, and clear up after one that was killed.
    TakeOver,
    /// Clearing up, of which so many steps are done.
    ClearUp(usize),
    /// Load the head; publish it; and look whether it is the head still.
    LoadHead,
    PublishCapture(Rc<Root>),
    LookAgain(Rc<Root>),
    /// There is no room for another capture: the sync that makes room runs.
    SyncForRoom(Marks),
    /// After a sync that was cut short: write pages again, and see to the length of the file.
    WriteAgain,
    MakeLonger,
    WriteEnd(Content),
    /// Two phases: the first sync, of the pages, begins, and runs.
    BeginFirstSync,
    FirstSync(Marks),
    /// Say that another meta page is about to be written: to whom leads next, then in the head record.
    MarkUnfinished,
    SetBases(Rc<Meta>),
    RewriteHeadRecord(Rc<Meta>),
    /// Write the meta page into the spare slot.
    WriteMeta(Rc<Meta>),
    /// The sync of the meta page, and of the pages if there was no first one, begins, and runs.
    BeginSync(Rc<Meta>),
    Sync(Rc<Meta>, Marks),
    /// The end, of which so many steps are done.
    End(Rc<Meta>, usize),
    /// The sync has failed, and nobody was told yet.
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Leader {
    pub(super) process: usize,
    pub(super) job: Job,
    pub(super) step: Step,
    /// The root of the meta page.
    pub(super) root: Rc<Root>,
    /// What the meta page will rely on.
    record: Vec<(usize, Content)>,
    pub(super) two_phase: bool,
    /// The sync of a leader that was killed may have failed.
    pub(super) cut_short: bool,
    /// So pages of the captured root may be in the page cache alone, and count as written there.
    pub(super) doubts: bool,
    /// Where the meta page goes.
    slot: usize,
}

/// How a leader ends, each a store that it may be killed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    SetMeta,
    SettleBases,
    MetaFinished,
    SetDurable,
    ClearCaptures,
    AllFinished,
    SetCeiling,
    Leave,
}

/// The end of `Pager::write_meta`, and step 5 of `Pager::sync_to`: at no time is the root pinned by nothing,
/// and the next leader writes over the meta page of no root that counts as durable.
const COMMITS: &[End] = &[
    End::SetMeta,
    End::SettleBases,
    End::MetaFinished,
    End::SetDurable,
    End::ClearCaptures,
    End::AllFinished,
];
const CEILING: &[End] = &[End::SetMeta, End::SettleBases, End::MetaFinished, End::SetCeiling];
const CLOSE: &[End] = &[End::SetMeta, End::SettleBases, End::MetaFinished, End::Leave];

impl Leader {
    pub(super) fn is_syncing(&self) -> bool {
        matches!(self.step, Step::SyncForRoom(_) | Step::FirstSync(_) | Step::Sync(..))
    }

    /// Whether it waits for the lock on the head record.
    pub(super) fn wants_head_record_lock(&self) -> bool {
        matches!(self.step, Step::SetBases(_))
    }

    pub(super) fn has_head_record_lock(&self) -> bool {
        matches!(self.step, Step::RewriteHeadRecord(_))
    }
}

impl Model {
    /// Somebody takes the leader lock.
    ///
    /// Two phases are chosen freely: where they are asked for, where the record would be too long, and where
    /// the pages are not all known, as behind an adopted head record or the commit of another process.
    pub(super) fn lead_for(&mut self, process: usize, job: Job, two_phase: bool, turn: &mut Turn) {
        turn.say(|| format!("process {process} leads: {job:?}"));
        let root = Rc::clone(&self.process(process).meta.root);
        let (step, record) = (Step::TakeOver, Vec::new());
        self.leader = Some(Leader {
            process,
            job,
            step,
            root,
            record,
            two_phase,
            cut_short: false,
            doubts: false,
            slot: 0,
        });
    }

    /// The next step of the leader.
    pub(super) fn lead(&mut self, turn: &mut Turn) {
        let mut leader = self.leader.take().expect("a leader");
        let step = std::mem::replace(&mut leader.step, Step::TakeOver);
        let next = match step {
            Step::TakeOver => self.take_over(&mut leader, turn),
            Step::ClearUp(done) => self.clear_up(&mut leader, done, turn),
            Step::LoadHead => self.load_head(leader.process, turn),
            Step::PublishCapture(root) => self.publish_capture(root, turn),
            Step::LookAgain(root) => self.look_at_head_again(&mut leader, root, turn),
            Step::SyncForRoom(marks) => {
                self.disk.end_sync(&marks);
                turn.say(|| "leader has synced, and forgets what was captured".to_owned());
                self.words().captured.fill(None);
                Step::LoadHead
            }
            Step::WriteAgain => self.write_pages_again(&leader, turn),
            Step::MakeLonger => self.make_longer(turn),
            Step::WriteEnd(content) => self.write_end_as_it_was(&leader, content, turn),
            Step::BeginFirstSync => Step::FirstSync(self.begin_sync(&leader.root, turn)),
            Step::FirstSync(marks) => {
                turn.say(|| format!("leader of {}: the first sync ends", leader.root.txn));
                self.disk.end_sync(&marks);
                Step::MarkUnfinished
            }
            Step::MarkUnfinished => self.make_meta(&mut leader, turn),
            Step::SetBases(meta) => {
                turn.say(|| "leader has head records name the new meta page too".to_owned());
                self.words().bases[1] = meta.sum;
                Step::RewriteHeadRecord(meta)
            }
            Step::RewriteHeadRecord(meta) => self.rewrite_head_record(meta, turn),
            Step::WriteMeta(meta) => self.write_meta(&mut leader, meta, turn),
            Step::BeginSync(meta) => {
                let marks = self.begin_sync(&leader.root, turn);
                if leader.job == Job::Ceiling && self.breaks(Broken::CeilingUsedBeforeItsSync) {
                    self.words().ceiling = meta.ceiling;
                }
                Step::Sync(meta, marks)
            }
            Step::Sync(meta, marks) => {
                if self.breaks(Broken::MetaWhileSyncRuns) {
                    self.write_another(turn);
                }
                turn.say(|| format!("leader of {}: the sync ends", leader.root.txn));
                self.disk.end_sync(&marks);
                Step::End(meta, 0)
            }
            Step::End(meta, done) => match self.end(&leader, meta, done, turn) {
                Some(step) => step,
                None => return self.led(),
            },
            Step::Failed => return self.tell_of_failure(&leader, turn),
        };
        leader.step = next;
        self.leader = Some(leader);
    }

    /// Step 2: captures the head as a reader pins its root (`Shared::capture`).
    fn load_head(&mut self, process: usize, turn: &mut Turn) -> Step {
        if self.words().captured.iter().all(Option::is_some) {
            if self.breaks(Broken::CapturesForgottenUnsynced) {
                self.words().captured.fill(None);
            } else {
                // What was wiped out before may be so in the page cache alone, and count as written.
                let slot = 1 - self.process(process).slot;
                turn.say(|| format!("leader has no room for another capture, wipes out {slot}, and syncs"));
                if !self.breaks(Broken::RoomMadeWithoutWiping) {
                    self.disk.metas[slot].write(None);
                }
                let durable = Rc::clone(&self.words().durable);
                return Step::SyncForRoom(self.begin_sync(&durable, turn));
            }
        }
        let head = Rc::clone(&self.words().head);
        turn.say(|| format!("leader loads the head: {}", head.txn));
        Step::PublishCapture(head)
    }

    fn publish_capture(&mut self, root: Rc<Root>, turn: &mut Turn) -> Step {
        if !self.breaks(Broken::CapturedPinnedLate) {
            turn.say(|| format!("leader says that it captures {}", root.txn));
            self.say_captured(root.txn);
        }
        Step::LookAgain(root)
    }

    fn say_captured(&mut self, txn: Txn) {
        let captured = &mut self.words().captured;
        if let Some(room) = captured.iter_mut().find(|captured| captured.is_none()) {
            *room = Some(txn);
        }
    }

    /// Then step 3: what the meta page relies on.
    fn look_at_head_again(&mut self, leader: &mut Leader, root: Rc<Root>, turn: &mut Turn) -> Step {
        let head = Rc::clone(&self.words().head);
        if head.txn != root.txn && !self.breaks(Broken::CaptureNotLookedAtAgain) {
            turn.say(|| format!("leader finds another head: {}", head.txn));
            let room = self.words().captured.iter_mut().find(|captured| **captured == Some(root.txn));
            if let Some(room) = room {
                *room = None;
            }
            return Step::PublishCapture(head);
        }
        let phases = if leader.two_phase || leader.doubts { "two syncs" } else { "one sync" };
        turn.say(|| format!("leader has captured {}: {phases}", root.txn));
        leader.root = root;
        if leader.doubts {
            leader.two_phase = true;
            return Step::WriteAgain;
        }
        if !leader.two_phase {
            let durable = self.words().durable.txn;
            leader.record = self.record(&leader.root, durable);
            return Step::MarkUnfinished;
        }
        self.first_sync()
    }

    pub(super) fn first_sync(&self) -> Step {
        if self.breaks(Broken::FirstSyncLeftOut) { Step::MarkUnfinished } else { Step::BeginFirstSync }
    }

    /// Whoever leads next, if this process is killed now, does not know how the sync ended.
    fn begin_sync(&mut self, root: &Root, turn: &mut Turn) -> Marks {
        turn.say(|| format!("leader begins a sync of what {} has", root.txn));
        let durable = self.words().durable.page_count;
        let unfinished = &mut self.words().unfinished;
        unfinished.sync = true;
        // Everything that the root may have had written since the last sync lies below its page count.
        let short = self.breaks(Broken::SyncReachesDurablePageCount);
        self.disk.begin_sync(if short { durable } else { root.page_count })
    }

    /// The commit record (`Head::record` in `src/pager/head.rs`).
    fn record(&self, root: &Root, durable: Txn) -> Vec<(usize, Content)> {
        if !self.breaks(Broken::RecordOfFreedPages) {
            return root.younger_than(durable).collect();
        }
        let mut written = [None; PAGES];
        for commit in self.promises.history.iter().filter(|c| durable < c.txn && c.txn <= root.txn) {
            let own = commit.live().filter(|(_, content)| content.birth() == Some(commit.txn));
            own.for_each(|(page, content)| written[page] = Some((page, content)));
        }
        written.into_iter().flatten().collect()
    }

    /// Step 4 (`Pager::write_meta`): the meta page; and the note that there may be one which is not durable.
    fn make_meta(&mut self, leader: &mut Leader, turn: &mut Turn) -> Step {
        self.metas_made += 1;
        let sum = self.metas_made;
        if leader.job == Job::Commits && leader.two_phase && self.breaks(Broken::MetaOfLaterHead) {
            leader.root = Rc::clone(&self.words().head);
        }
        if self.breaks(Broken::RecordOfCurrentHead) {
            let current = Rc::clone(&self.words().head);
            leader.record.retain(|entry| current.live().any(|live| live == *entry));
        }
        let known = self.process(leader.process);
        let (sequence, ceiling) = (known.meta.sequence + 1, known.meta.ceiling);
        let next_id = self.words().next_id;
        let ceiling = match leader.job {
            Job::Commits => ceiling,
            Job::Ceiling => Txn(next_id.0 + CEILING_STEP),
            Job::Close => next_id,
        };
        let (root, record) = (Rc::clone(&leader.root), leader.record.clone());
        let clean = leader.job == Job::Close;
        if !self.breaks(Broken::UnfinishedMetaNotMarked) {
            turn.say(|| "leader notes that a meta page may not be durable".to_owned());
            self.words().unfinished.meta = true;
        }
        Step::SetBases(Rc::new(Meta { sum, sequence, root, record, ceiling, clean }))
    }

    /// With the lock on the head record: a buffered commit that the meta page does not cover must be found
    /// behind whichever of the two is there when the processes end.
    fn rewrite_head_record(&mut self, meta: Rc<Meta>, turn: &mut Turn) -> Step {
        let visible = Rc::clone(self.words().visible());
        if visible.txn > meta.root.txn && !self.breaks(Broken::HeadRecordNotWrittenAgain) {
            turn.say(|| format!("leader writes the head record of {} again", visible.txn));
            self.write_head_record(&visible);
        }
        Step::WriteMeta(meta)
    }

    /// The meta page goes over the one that is not durable. None is written while a sync runs: the kernel
    /// might write that one in place of the one meant.
    fn write_meta(&mut self, leader: &mut Leader, meta: Rc<Meta>, turn: &mut Turn) -> Step {
        let opening = self.door.as_ref().is_some_and(|door| door.process == leader.process);
        let in_place = self.breaks(Broken::MetaIntoDurableSlot)
            || self.breaks(Broken::RecoveryChangesInPlace) && opening && leader.job != Job::Close;
        let durable = self.process(leader.process).slot;
        leader.slot = if in_place { durable } else { 1 - durable };
        if leader.job == Job::Commits && self.breaks(Broken::CapturedPinnedLate) {
            self.say_captured(leader.root.txn);
        }
        turn.say(|| {
            let Meta { root, ceiling, record, .. } = &*meta;
            let pages: Vec<usize> = record.iter().map(|entry| entry.0).collect();
            let (slot, job) = (leader.slot, leader.job);
            format!(
                "leader writes meta page {slot}, {job:?}: root {}, pages {pages:?}, ceiling {ceiling}",
                root.txn
            )
        });
        self.disk.metas[leader.slot].write(Some(Rc::clone(&meta)));
        if leader.two_phase && self.breaks(Broken::SecondSyncLeftOut) {
            return Step::End(meta, 0);
        }
        Step::BeginSync(meta)
    }

    /// Somebody does not wait for the leader, and writes a meta page of the newest head over the one that is
    /// being synced.
    fn write_another(&mut self, turn: &mut Turn) {
        self.metas_made += 1;
        let sum = self.metas_made;
        let words = self.words();
        let (sequence, slot) = (words.meta.0 + 2, 1 - words.meta.1);
        let (root, ceiling, durable) = (Rc::clone(&words.head), words.ceiling, words.durable.txn);
        turn.say(|| format!("another writes meta page {slot}: root {}", root.txn));
        let record = root.younger_than(durable).collect();
        let meta = Meta { sum, sequence, root, record, ceiling, clean: false };
        self.disk.metas[slot].write(Some(Rc::new(meta)));
    }

    /// One store of the end; what follows, if anything does.
    fn end(&mut self, leader: &Leader, meta: Rc<Meta>, done: usize, turn: &mut Turn) -> Option<Step> {
        let mut order = match leader.job {
            Job::Commits => COMMITS,
            Job::Ceiling => CEILING,
            Job::Close => CLOSE,
        }
        .to_vec();
        match self.broken {
            Some(Broken::BasesSettledBeforeMeta) => order.swap(0, 1),
            Some(Broken::MetaFinishedBeforeMeta) => order[..3].rotate_right(1),
            Some(Broken::MetaSetAfterDurable) if leader.job == Job::Commits => order[..4].rotate_right(1),
            Some(Broken::CapturesClearedBeforeDurable) if leader.job == Job::Commits => order.swap(3, 4),
            _ => {}
        }
        let store = order[done];
        turn.say(|| format!("leader of {}: {store:?}", leader.root.txn));
        match store {
            End::SetMeta => {
                let shown = self.door.as_ref().is_none_or(|door| door.process != leader.process);
                self.promises.settle(&meta.root, shown);
                let known = self.process(leader.process);
                (known.meta, known.slot) = (Rc::clone(&meta), leader.slot);
                self.words().meta = (meta.sequence, leader.slot);
            }
            End::SettleBases => self.words().bases = [meta.sum, 0],
            End::MetaFinished => {
                let forgets = leader.job == Job::Ceiling && self.breaks(Broken::CeilingForgetsCutShort);
                self.words().unfinished = Unfinished { meta: false, sync: leader.cut_short && !forgets };
            }
            End::SetDurable => {
                let root = self.next_visible(Rc::clone(&meta.root));
                self.promises.acknowledge(&meta.root);
                self.promises.show(&root);
                self.words().durable = root;
            }
            End::ClearCaptures => self.words().captured.fill(None),
            End::AllFinished => self.words().unfinished = Unfinished::default(),
            End::SetCeiling => {
                self.words().ceiling = meta.ceiling;
                if let Some(writer) = &mut self.writer {
                    writer.raises = false;
                }
            }
            End::Leave => self.leave(leader.process),
        }
        (done + 1 < order.len()).then(|| Step::End(meta, done + 1))
    }

    /// The synced root, and none after it: only that was pinned all the time.
    fn next_visible(&mut self, synced: Rc<Root>) -> Rc<Root> {
        if !self.breaks(Broken::MoreVisibleThanSynced) {
            return synced;
        }
        let later = self.promises.history.iter().filter(|commit| commit.txn > synced.txn);
        let buffered = later.take_while(|commit| commit.level == Level::Buffered && !commit.rewrote);
        let Some(last) = buffered.last().cloned() else { return synced };
        self.write_head_record(&last);
        last
    }

    /// The running sync fails.
    pub(super) fn fail_sync(&mut self, turn: &mut Turn) {
        let mut leader = self.leader.take().expect("a leader");
        turn.say(|| format!("leader of {}: the sync FAILS", leader.root.txn));
        self.promises.shake(self.words.as_ref().map_or(Txn(0), |words| words.next_id));
        let again = self.breaks(Broken::SyncRepeated);
        match &mut leader.step {
            Step::SyncForRoom(marks) | Step::FirstSync(marks) | Step::Sync(_, marks) => {
                self.disk.fail_sync(marks, turn.choices);
                if again {
                    *marks = self.disk.begin_sync(leader.root.page_count);
                } else {
                    leader.step = Step::Failed;
                }
            }
            _ => unreachable!("only a sync that runs can fail"),
        }
        self.leader = Some(leader);
    }

    /// Writing ends, and the capture stays: nobody knows which meta page is on the disk (`Pager::unknown`).
    fn tell_of_failure(&mut self, leader: &Leader, turn: &mut Turn) {
        turn.say(|| "leader says that writing has ended".to_owned());
        let goes_on = self.breaks(Broken::WritingGoesOnAfterFailedSync);
        self.words().ended = !goes_on;
        if leader.job == Job::Ceiling {
            self.writer = None;
        }
        // What was being opened could be read, and what was being closed is closed.
        if self.door.as_ref().is_some_and(|door| door.process == leader.process) {
            self.words().recovered = true;
            self.leave(leader.process);
        }
    }
}
