//! The leader: whoever writes a meta page and syncs, for all that wait (`src/pager/sync.rs`). There is one at
//! a time (the leader lock); writers and readers go on beside it, between any two of its steps.

use std::rc::Rc;

use super::broken::Broken;
use super::choices::Turn;
use super::disk::{Content, Marks, Meta, PAGES};
use super::recovery::Opening;
use super::roots::{Level, Root, Txn};
use super::state::{CEILING_STEP, Model};

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
    /// Two phases: the first sync, of the pages, runs.
    FirstSync(Marks),
    /// Say in the head record that another meta page is about to be written.
    Announce,
    /// Write the meta page into the spare slot.
    WriteMeta(Rc<Meta>),
    /// The sync of the meta page, and of the pages if there was no first one, runs.
    Sync(Rc<Meta>, Marks),
    /// The end, of which so many steps are done.
    End(Rc<Meta>, usize),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Leader {
    pub(super) job: Job,
    pub(super) step: Step,
    /// The captured root.
    root: Rc<Root>,
    /// What the meta page will rely on.
    record: Vec<(usize, Content)>,
    two_phase: bool,
    /// Where the meta page goes.
    slot: usize,
}

/// How a leader ends, each a step of its own for whoever reads these words without a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    SetDurable,
    SetVisible,
    ClearCapture,
}

/// The order of step 5 in `Pager::sync_to`: at no time is the root pinned by nothing.
const END: [End; 3] = [End::SetDurable, End::SetVisible, End::ClearCapture];

impl Leader {
    /// A job that has nothing to capture: its root is the durable one.
    pub(super) fn of_durable(job: Job, root: &Rc<Root>) -> Leader {
        let (step, root) = (Step::Announce, Rc::clone(root));
        Leader { job, step, root, record: Vec::new(), two_phase: false, slot: 0 }
    }

    pub(super) fn is_syncing(&self) -> bool {
        matches!(self.step, Step::FirstSync(_) | Step::Sync(..))
    }
}

impl Model {
    /// Steps 1 to 3: captures the head, and makes the commit record, or begins the first of two syncs.
    ///
    /// Two phases are chosen freely here: where they are asked for, where the record would be too long, and
    /// where the pages are not all known, as behind an adopted head record.
    pub(super) fn capture(&mut self, two_phase: bool, turn: &mut Turn) {
        let pinned = !self.breaks(Broken::CapturedPinnedLate);
        let open = self.memory();
        let root = Rc::clone(&open.head);
        if pinned {
            open.captured = Some(root.txn);
        }
        let durable = open.durable;
        let phases = if two_phase { "two syncs" } else { "one sync" };
        turn.say(|| format!("leader captures {}, {phases}", root.txn));
        let record = if two_phase { Vec::new() } else { self.record(&root, durable) };
        let step = if two_phase && !self.breaks(Broken::FirstSyncLeftOut) {
            let end = self.sync_end(&root);
            Step::FirstSync(self.disk.begin_sync(end))
        } else {
            Step::Announce
        };
        let job = Job::Commits;
        self.memory().leader = Some(Leader { job, step, root, record, two_phase, slot: 0 });
    }

    /// Everything that the captured root may have had written since the last sync lies below its page count.
    fn sync_end(&mut self, root: &Rc<Root>) -> usize {
        if self.breaks(Broken::SyncReachesDurablePageCount) {
            return self.memory().meta.root.page_count;
        }
        root.page_count
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

    /// The next step of the leader.
    pub(super) fn lead(&mut self, turn: &mut Turn) {
        let mut leader = self.memory().leader.take().expect("a leader");
        let step = std::mem::replace(&mut leader.step, Step::Announce);
        leader.step = match step {
            Step::FirstSync(marks) => {
                turn.say(|| format!("leader of {}: the first sync ends", leader.root.txn));
                self.disk.end_sync(&marks);
                Step::Announce
            }
            Step::Announce => self.announce(&mut leader, turn),
            Step::WriteMeta(meta) => self.write_meta(&mut leader, meta, turn),
            Step::Sync(meta, marks) => {
                if self.breaks(Broken::MetaWhileSyncRuns) {
                    self.write_another(turn);
                }
                self.disk.end_sync(&marks);
                match self.sync_ended(&leader, meta, turn) {
                    Some(step) => step,
                    None => return,
                }
            }
            Step::End(meta, done) => {
                self.end(leader.slot, Rc::clone(&meta), done, turn);
                if done + 1 == END.len() {
                    return self.show();
                }
                Step::End(meta, done + 1)
            }
        };
        self.memory().leader = Some(leader);
    }

    /// Makes the meta page, and has the head record name it, under the lock on the heads: a buffered commit
    /// must be found behind whichever of the two meta pages is there when the process ends.
    fn announce(&mut self, leader: &mut Leader, turn: &mut Turn) -> Step {
        self.metas_made += 1;
        let sum = self.metas_made;
        if leader.two_phase && self.breaks(Broken::MetaOfLaterHead) {
            leader.root = Rc::clone(&self.memory().head);
        }
        if self.breaks(Broken::RecordOfCurrentHead) {
            let current = Rc::clone(&self.memory().head);
            leader.record.retain(|entry| current.live().any(|live| live == *entry));
        }
        let open = self.memory();
        let ceiling = match leader.job {
            Job::Commits => open.ceiling,
            Job::Ceiling => Txn(open.next_txn.0 + CEILING_STEP),
            Job::Close => open.next_txn,
        };
        let meta = Meta {
            sum,
            sequence: open.meta.sequence + 1,
            root: Rc::clone(&leader.root),
            record: leader.record.clone(),
            ceiling,
            clean: leader.job == Job::Close,
        };
        open.bases[1] = sum;
        let again = open.recorded && open.head.txn > meta.root.txn;
        if again && !self.breaks(Broken::HeadRecordNotWrittenAgain) {
            let visible = Rc::clone(&self.memory().visible);
            turn.say(|| format!("leader has the head record of {} name the new meta page too", visible.txn));
            self.write_head_record(&visible);
        }
        Step::WriteMeta(Rc::new(meta))
    }

    /// Step 4: the meta page goes over the one that is not durable, and the sync begins. None is written
    /// while a sync runs: the kernel might write that one in place of the one meant.
    fn write_meta(&mut self, leader: &mut Leader, meta: Rc<Meta>, turn: &mut Turn) -> Step {
        let in_place = self.breaks(Broken::MetaIntoDurableSlot)
            || self.breaks(Broken::RecoveryChangesInPlace) && !self.memory().shown;
        let end = self.sync_end(&leader.root);
        let open = self.memory();
        let slot = if in_place { open.slot } else { 1 - open.slot };
        leader.slot = slot;
        if leader.job == Job::Commits {
            open.captured = Some(leader.root.txn);
        }
        turn.say(|| {
            let Meta { root, ceiling, record, .. } = &*meta;
            let pages: Vec<usize> = record.iter().map(|entry| entry.0).collect();
            let job = leader.job;
            format!(
                "leader writes meta page {slot}, {job:?}: root {}, pages {pages:?}, ceiling {ceiling}",
                root.txn
            )
        });
        self.disk.metas[slot].write(Some(Rc::clone(&meta)));
        let marks = self.disk.begin_sync(end);
        if leader.job == Job::Ceiling && self.breaks(Broken::CeilingUsedBeforeItsSync) {
            self.memory().ceiling = meta.ceiling;
        }
        if leader.two_phase && self.breaks(Broken::SecondSyncLeftOut) {
            return Step::End(meta, 0);
        }
        Step::Sync(meta, marks)
    }

    /// Somebody does not wait for the leader, and writes a meta page of the newest head over the one that is
    /// being synced.
    fn write_another(&mut self, turn: &mut Turn) {
        self.metas_made += 1;
        let sum = self.metas_made;
        let open = self.memory();
        let (slot, root) = (1 - open.slot, Rc::clone(&open.head));
        let (sequence, ceiling, durable) = (open.meta.sequence + 2, open.ceiling, open.durable);
        turn.say(|| format!("another writes meta page {slot}: root {}", root.txn));
        let record = root.younger_than(durable).collect();
        let meta = Meta { sum, sequence, root, record, ceiling, clean: false };
        self.disk.metas[slot].write(Some(Rc::new(meta)));
    }

    /// The sync is over. What remains to be done for commits; none for other jobs.
    fn sync_ended(&mut self, leader: &Leader, meta: Rc<Meta>, turn: &mut Turn) -> Option<Step> {
        turn.say(|| format!("leader of {}: the sync ends", leader.root.txn));
        if self.breaks(Broken::HeadRecordSettledBeforeDurable) {
            self.settle_head_record(&meta);
        }
        match leader.job {
            Job::Commits => return Some(Step::End(meta, 0)),
            Job::Ceiling => {
                self.memory().ceiling = meta.ceiling;
                self.settle_meta(leader.slot, meta);
                self.show();
            }
            Job::Close => self.process_ends(),
        }
        None
    }

    /// Step 5.
    fn end(&mut self, slot: usize, meta: Rc<Meta>, done: usize, turn: &mut Turn) {
        let mut order = END;
        match self.broken {
            Some(Broken::CaptureClearedBeforeDurable) => order.rotate_right(1),
            Some(Broken::VisibleSetBeforeDurable) => order.swap(0, 1),
            _ => {}
        }
        let root = Rc::clone(&meta.root);
        let end = order[done];
        turn.say(|| match end {
            End::SetDurable => format!("leader of {0}: durable is {0}", root.txn),
            End::SetVisible => format!("leader of {0}: visible is {0}, or newer", root.txn),
            End::ClearCapture => format!("leader of {}: nothing is captured", root.txn),
        });
        match end {
            End::SetDurable => {
                self.promises.acknowledge(&root);
                self.memory().durable = root.txn;
                self.settle_meta(slot, meta);
            }
            End::SetVisible => {
                let root = self.next_visible(root);
                if self.memory().visible.txn < root.txn {
                    self.memory().visible = Rc::clone(&root);
                    self.promises.show(&root);
                }
            }
            End::ClearCapture => {
                let open = self.memory();
                open.captured = None;
                // A later sync has ended: what was captured before is not what a crash can leave.
                open.orphans.clear();
            }
        }
    }

    /// `meta` in `slot` is the durable meta page. (For commits that is so from the end of the sync on, but
    /// nobody else looks before.)
    fn settle_meta(&mut self, slot: usize, meta: Rc<Meta>) {
        self.settle_head_record(&meta);
        let shown = self.memory().shown;
        self.promises.settle(&meta.root, shown);
        let open = self.memory();
        (open.slot, open.meta) = (slot, meta);
    }

    /// Head records name `meta` from now on; the one that is there counts only if it goes further.
    fn settle_head_record(&mut self, meta: &Meta) {
        let open = self.memory();
        open.bases = [meta.sum, 0];
        open.recorded &= open.head.txn > meta.root.txn;
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

    /// A leader that opening has started is done: the database is open.
    fn show(&mut self) {
        if !self.memory().shown {
            self.shown();
        }
    }

    /// Begins to raise the ceiling.
    pub(super) fn raise_ceiling(&mut self, turn: &mut Turn) {
        turn.say(|| "writer raises the ceiling first".to_owned());
        self.lead_durable(Job::Ceiling);
    }

    /// Begins to close in good order; or ends at once if nothing was written.
    pub(super) fn close(&mut self, turn: &mut Turn) {
        turn.say(|| "everybody closes".to_owned());
        let open = self.memory();
        if open.meta.clean && open.ceiling == open.next_txn {
            return self.process_ends();
        }
        // The room for growth goes as well.
        if self.memory().lowered.is_none() || self.can_cut() {
            self.cut(turn);
        }
        self.lead_durable(Job::Close);
    }

    pub(super) fn lead_durable(&mut self, job: Job) {
        let open = self.memory();
        open.leader = Some(Leader::of_durable(job, &open.meta.root));
    }

    /// The leader's process is killed, others go on. What it had captured stays pinned, for its meta page may
    /// be on the disk, and as long as that is the newest in the page cache, the head record has to name it.
    pub(super) fn kill_leader(&mut self, turn: &mut Turn) {
        let forgets = self.breaks(Broken::CaptureLostWithLeader);
        let open = self.memory();
        let leader = open.leader.take().expect("a leader");
        turn.say(|| format!("the leader of {} is killed", leader.root.txn));
        let captured = open.captured.take();
        if !forgets {
            open.orphans.extend(captured);
        }
        if let Step::Sync(meta, _) | Step::End(meta, _) = leader.step
            && !self.breaks(Broken::HeadRecordForgetsKilledLeader)
        {
            self.memory().bases = [meta.sum, 0];
        }
        if leader.job == Job::Ceiling {
            // It is the writer who raises the ceiling.
            self.memory().writer = None;
        }
    }

    /// The running sync fails. Writing ends, and the capture stays: nobody knows which meta page is on the
    /// disk (`Pager::unknown`).
    pub(super) fn fail_sync(&mut self, turn: &mut Turn) {
        let mut leader = self.memory().leader.take().expect("a leader");
        let (Step::FirstSync(marks) | Step::Sync(_, marks)) = &mut leader.step else {
            unreachable!("only a sync that runs can fail");
        };
        turn.say(|| format!("leader of {}: the sync FAILS", leader.root.txn));
        self.disk.fail_sync(marks, turn.choices);
        self.promises.kept = self.promises.acknowledged;
        if self.breaks(Broken::SyncRepeated) {
            *marks = self.disk.begin_sync(leader.root.page_count);
            self.memory().leader = Some(leader);
            return;
        }
        let goes_on = self.breaks(Broken::WritingGoesOnAfterFailedSync);
        let open = self.memory();
        open.ended = !goes_on;
        if leader.job == Job::Ceiling {
            open.writer = None;
        }
        if leader.job == Job::Close || !open.shown {
            self.process_ends();
        }
    }

    /// The last process ends, however. The page cache stays.
    pub(super) fn process_ends(&mut self) {
        self.promises.look_again();
        self.open = None;
        self.opening = Opening::Look;
    }
}
