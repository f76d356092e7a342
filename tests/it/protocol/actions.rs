//! Who may go on, and the step that is taken.

use std::iter::repeat_n;

use super::broken::Broken;
use super::check::Violation;
use super::choices::Turn;
use super::leader::Job;
use super::openers::Passage;
use super::state::{Model, ONLY_READS};
use super::words::READERS;

/// A step of somebody, or the end of it all. Numbers are those of processes, or of readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Begin(usize),
    Scan,
    ScanAgain,
    RaiseCeiling,
    WritePage,
    RewritePage,
    Commit,
    Publish,
    Abort,
    Cut(usize),
    BeginToLead(usize),
    Lead,
    FailSync,
    FailSyncUntold,
    Read(usize),
    Open(usize),
    Pass,
    Close(usize),
    Kill(usize),
    KillAll,
    CutPower,
}

/// How a schedule is mixed. A violation may need a slow leader, a slow writer, or many ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mix {
    /// Processes that take part and can write, and whether one that only reads does.
    pub(super) writers: usize,
    pub(super) onlooker: bool,
    /// How often each is offered, where others are once.
    pub(super) writer: usize,
    pub(super) leader: usize,
    /// Readers that take part.
    pub(super) readers: usize,
    /// Ends, failures and aborts are offered once in so many steps; 0 for never.
    pub(super) rare: usize,
    /// How often killing the leader's process is offered then, and the writer's, where other ends are once.
    pub(super) leaders_die: usize,
    pub(super) writers_die: usize,
    /// And how often a sync that runs fails, or the power.
    pub(super) syncs_fail: usize,
    /// How often it fails so that its leader is killed at once; not only where ends are offered.
    pub(super) untold: usize,
    pub(super) power_fails: usize,
    /// And closing in good order.
    pub(super) closes: usize,
    /// One in so many commits is immediate.
    pub(super) immediate: usize,
    /// Places are written twice.
    pub(super) rewrites: bool,
    /// A transaction frees one page and writes one.
    pub(super) small: bool,
}

impl Mix {
    /// One process, a writer, a leader, and nothing rare.
    pub(super) const PLAIN: Mix = Mix {
        writers: 1,
        onlooker: false,
        writer: 1,
        leader: 1,
        readers: 0,
        rare: 0,
        leaders_die: 1,
        writers_die: 1,
        syncs_fail: 1,
        untold: 0,
        power_fails: 1,
        closes: 1,
        immediate: 2,
        rewrites: false,
        small: false,
    };

    fn takes_part(&self, process: usize) -> bool {
        process < self.writers || process == ONLY_READS && self.onlooker
    }
}

impl Model {
    /// What may happen next, into `actions`: once for each unit of its weight.
    pub(super) fn actions(&self, mix: &Mix, rare: bool, actions: &mut Vec<Action>) {
        actions.clear();
        if rare {
            self.ends(mix, actions);
        }
        match &self.door {
            Some(door) if matches!(door.passage, Passage::Lead | Passage::Close) => {}
            Some(_) => actions.push(Action::Pass),
            None => {
                let absent = |process: &usize| self.processes[*process].is_none() && mix.takes_part(*process);
                actions.extend((0..self.processes.len()).filter(absent).map(Action::Open));
            }
        }
        let Some(words) = &self.words else { return };
        if self.ready().next().is_some() {
            actions.extend((0..mix.readers.min(READERS)).map(Action::Read));
        }
        let closing = matches!(&self.door, Some(door) if door.passage == Passage::Close);
        let writers = self.ready().filter(|process| *process != ONLY_READS && words.recovered);
        let writers: Vec<usize> = if closing { Vec::new() } else { writers.collect() };
        self.writer_actions(mix, rare, &writers, actions);
        match &self.leader {
            Some(leader) => {
                let waits = leader.wants_head_record_lock() && !self.is_head_record_free();
                actions.extend(repeat_n(Action::Lead, if waits { 0 } else { mix.leader }));
                let untold = if leader.is_syncing() { mix.untold } else { 0 };
                actions.extend(repeat_n(Action::FailSyncUntold, untold));
            }
            None if words.ended => {}
            None if words.head.txn != words.durable.txn => {
                actions.extend(writers.iter().map(|process| Action::BeginToLead(*process)));
            }
            None => {}
        }
        if rare || words.ended {
            let can = |process: &usize| self.can_close(*process);
            for process in self.ready().filter(can) {
                actions.extend(repeat_n(Action::Close(process), mix.closes));
            }
        }
        if actions.is_empty() {
            // Writing has ended, and nobody is there any more.
            actions.push(Action::KillAll);
        }
    }

    fn ends(&self, mix: &Mix, actions: &mut Vec<Action>) {
        actions.push(Action::KillAll);
        actions.extend(repeat_n(Action::CutPower, mix.power_fails));
        actions.extend((0..self.processes.len()).filter(|number| self.is_in(*number)).map(Action::Kill));
        if let Some(leader) = &self.leader {
            actions.extend(repeat_n(Action::Kill(leader.process), mix.leaders_die));
            if self.is_syncing() {
                actions.extend(repeat_n(Action::FailSync, mix.syncs_fail));
            }
        }
        if let Some(writer) = &self.writer {
            actions.extend(repeat_n(Action::Kill(writer.process), mix.writers_die));
        }
        if matches!(&self.door, Some(door) if matches!(door.passage, Passage::Sync { .. })) {
            actions.extend(repeat_n(Action::FailSync, mix.syncs_fail));
        }
    }

    fn is_in(&self, process: usize) -> bool {
        self.processes[process].is_some() || self.door.as_ref().is_some_and(|door| door.process == process)
    }

    fn is_syncing(&self) -> bool {
        self.leader.as_ref().is_some_and(|leader| leader.is_syncing())
    }

    fn is_head_record_free(&self) -> bool {
        let publish = self.writer.as_ref().and_then(|writer| writer.publish.as_ref());
        self.breaks(Broken::HeadRecordLockIgnored)
            || !publish.is_some_and(|publish| publish.has_head_record_lock())
    }

    fn writer_actions(&self, mix: &Mix, rare: bool, writers: &[usize], actions: &mut Vec<Action>) {
        let Some(words) = &self.words else { return };
        let Some(writer) = &self.writer else {
            let begins = !words.ended && self.can_publish();
            for process in writers.iter().filter(|_| begins) {
                actions.extend(repeat_n(Action::Begin(*process), mix.writer));
                if self.can_cut(*process) {
                    actions.push(Action::Cut(*process));
                }
            }
            return;
        };
        let next = if writer.publish.is_some() {
            self.can_publish().then_some(Action::Publish)
        } else if !writer.has_scanned() {
            Some(Action::Scan)
        } else if !writer.started && writer.root.txn >= words.ceiling {
            // It waits for the leader lock.
            (self.leader.is_none() && !words.ended).then_some(Action::RaiseCeiling)
        } else if writer.writes_left > 0 {
            Some(Action::WritePage)
        } else {
            Some(Action::Commit)
        };
        if let Some(next) = next {
            actions.extend(repeat_n(next, mix.writer));
        }
        if writer.publish.is_some() {
            return;
        }
        if mix.rewrites && writer.can_rewrite() {
            actions.push(Action::RewritePage);
        }
        // Where the disk is full: a sync may have set pages free (`Txn::settles` in `src/pager/txn.rs`).
        if rare && !writer.raises && writer.has_scanned() {
            actions.push(Action::ScanAgain);
        }
        if rare && !writer.raises || next.is_none() && words.ended {
            actions.push(Action::Abort);
        }
    }

    /// Takes the step.
    pub(super) fn act(&mut self, action: Action, mix: &Mix, turn: &mut Turn) -> Result<(), Violation> {
        match action {
            Action::Begin(process) => self.begin(process, mix, turn),
            Action::Scan => self.scan(turn),
            Action::ScanAgain => self.scan_again(turn),
            Action::RaiseCeiling => self.raise_ceiling(turn),
            Action::WritePage => self.write_page(turn),
            Action::RewritePage => self.rewrite_page(turn),
            Action::Commit => self.commit(turn),
            Action::Publish => self.publish(turn),
            Action::Abort => self.abort(turn),
            Action::Cut(process) => self.cut(process, turn),
            Action::BeginToLead(process) => {
                let two_phase = turn.choices.one_in(2);
                self.lead_for(process, Job::Commits, two_phase, turn);
            }
            Action::Lead => self.lead(turn),
            Action::FailSync if !self.is_syncing() => self.fail_opening(turn),
            Action::FailSync => self.fail_sync(turn),
            Action::FailSyncUntold => {
                self.fail_sync(turn);
                let process = self.leader.as_ref().expect("a leader").process;
                self.kill(process, turn);
            }
            Action::Read(number) => self.read(number, turn),
            Action::Open(process) => self.open(process, turn),
            Action::Pass => return self.pass(turn),
            Action::Close(process) => self.close(process, turn),
            Action::Kill(process) => self.kill(process, turn),
            Action::KillAll => self.kill_all(turn),
            Action::CutPower => self.cut_power(turn),
        }
        Ok(())
    }
}
