//! Who may go on, and the step that is taken.

use super::check::{End, Violation};
use super::choices::Turn;
use super::leader::Job;
use super::recovery::Opening;
use super::state::{Model, READERS};

/// A step of somebody, or the end of it all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Begin,
    Scan,
    ScanAgain,
    RaiseCeiling,
    WritePage,
    RewritePage,
    Commit,
    Abort,
    Cut,
    Capture,
    Lead,
    KillLeader,
    FailSync,
    Read(usize),
    Close,
    Open,
    KillAll,
    CutPower,
}

/// How a schedule is mixed. A violation may need a slow leader, a slow writer, or many ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mix {
    /// How often each is offered, where others are once.
    pub(super) writer: usize,
    pub(super) leader: usize,
    /// Readers that take part.
    pub(super) readers: usize,
    /// Ends, failures and aborts are offered once in so many steps; 0 for never.
    pub(super) rare: usize,
    /// How often killing the leader is offered then, where other ends are once.
    pub(super) leaders_die: usize,
    /// And how often a sync that runs fails, or the power.
    pub(super) syncs_fail: usize,
    pub(super) power_fails: usize,
    /// One in so many commits is immediate.
    pub(super) immediate: usize,
    /// Places are written twice.
    pub(super) rewrites: bool,
    /// A transaction frees one page and writes one.
    pub(super) small: bool,
}

impl Mix {
    /// A writer, a leader, and nothing rare.
    pub(super) const PLAIN: Mix = Mix {
        writer: 1,
        leader: 1,
        readers: 0,
        rare: 0,
        leaders_die: 1,
        syncs_fail: 1,
        power_fails: 1,
        immediate: 2,
        rewrites: false,
        small: false,
    };
}

impl Model {
    /// What may happen next, into `actions`: once for each unit of its weight.
    pub(super) fn actions(&self, mix: &Mix, rare: bool, actions: &mut Vec<Action>) {
        actions.clear();
        if rare {
            actions.push(Action::KillAll);
            actions.extend(std::iter::repeat_n(Action::CutPower, mix.power_fails));
        }
        let Some(open) = &self.open else {
            actions.push(Action::Open);
            if rare && matches!(self.opening, Opening::Sync { .. }) {
                actions.extend(std::iter::repeat_n(Action::FailSync, mix.syncs_fail));
            }
            return;
        };
        let closing = open.leader.as_ref().is_some_and(|leader| leader.job == Job::Close);
        if open.shown && !closing {
            self.writer_actions(mix, rare, actions);
            for number in 0..mix.readers.min(READERS) {
                actions.push(Action::Read(number));
            }
        }
        match &open.leader {
            Some(leader) => {
                actions.extend(std::iter::repeat_n(Action::Lead, mix.leader));
                if rare && leader.is_syncing() {
                    actions.extend(std::iter::repeat_n(Action::FailSync, mix.syncs_fail));
                }
                if rare && open.shown && !closing {
                    actions.extend(std::iter::repeat_n(Action::KillLeader, mix.leaders_die));
                }
            }
            None if open.ended => {}
            None if open.head.txn != open.durable => actions.push(Action::Capture),
            None if rare && open.writer.is_none() => actions.push(Action::Close),
            None => {}
        }
        if actions.is_empty() {
            // Writing has ended, and nobody is there any more.
            actions.push(Action::KillAll);
        }
    }

    fn writer_actions(&self, mix: &Mix, rare: bool, actions: &mut Vec<Action>) {
        let Some(open) = &self.open else { return };
        let Some(writer) = &open.writer else {
            if !open.ended {
                actions.extend(std::iter::repeat_n(Action::Begin, mix.writer));
                if self.can_cut() {
                    actions.push(Action::Cut);
                }
            }
            return;
        };
        let next = if !writer.has_scanned() {
            Some(Action::Scan)
        } else if !writer.started && writer.root.txn >= open.ceiling {
            // It waits for the leader lock.
            (open.leader.is_none() && !open.ended).then_some(Action::RaiseCeiling)
        } else if writer.writes_left > 0 {
            Some(Action::WritePage)
        } else {
            Some(Action::Commit)
        };
        if let Some(next) = next {
            actions.extend(std::iter::repeat_n(next, mix.writer));
        }
        if mix.rewrites && writer.can_rewrite() {
            actions.push(Action::RewritePage);
        }
        let raises = open.leader.as_ref().is_some_and(|leader| leader.job == Job::Ceiling);
        // Where the disk is full: a sync may have set pages free (`Txn::settles` in `src/pager/txn.rs`).
        if rare && !raises && writer.has_scanned() {
            actions.push(Action::ScanAgain);
        }
        if rare && !raises || next.is_none() && open.ended {
            actions.push(Action::Abort);
        }
    }

    /// Takes the step.
    pub(super) fn act(&mut self, action: Action, mix: &Mix, turn: &mut Turn) -> Result<(), Violation> {
        match action {
            Action::Begin => self.begin(mix, turn),
            Action::Scan => self.scan(turn),
            Action::ScanAgain => self.scan_again(turn),
            Action::RaiseCeiling => self.raise_ceiling(turn),
            Action::WritePage => self.write_page(turn),
            Action::RewritePage => self.rewrite_page(turn),
            Action::Commit => self.commit(turn),
            Action::Abort => self.abort(turn),
            Action::Cut => self.cut(turn),
            Action::Capture => {
                let two_phase = turn.choices.one_in(2);
                self.capture(two_phase, turn);
            }
            Action::Lead => self.lead(turn),
            Action::KillLeader => self.kill_leader(turn),
            Action::FailSync if self.open.is_none() => self.fail_opening(turn),
            Action::FailSync => self.fail_sync(turn),
            Action::Read(number) => self.read(number, turn),
            Action::Close => self.close(turn),
            Action::KillAll => self.kill_all(turn),
            Action::CutPower => self.cut_power(turn),
            Action::Open => match self.opening.clone() {
                Opening::Look => {
                    self.disk.drop_clean(turn.choices);
                    let found = self.judge(&self.disk.cached(), End::Processes)?;
                    self.look(found, turn);
                }
                Opening::Sync { slot, meta, spare_is_bad } => self.settle(slot, &meta, spare_is_bad, turn),
            },
        }
        Ok(())
    }
}
