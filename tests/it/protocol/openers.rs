//! Who comes and goes: opening, closing, being killed (`src/storage/lock_file.rs`, `src/pager/recovery.rs`).
//! One at a time opens or closes, behind the door; who is in goes on meanwhile.

use std::rc::Rc;

use super::broken::Broken;
use super::check::{End, Violation};
use super::choices::Turn;
use super::disk::Meta;
use super::leader::{Job, Step};
use super::publish::Publish;
use super::reader::Reader;
use super::roots::{Root, Txn};
use super::state::{Model, ONLY_READS, PROCESSES, Process};
use super::words::Words;

/// Who opens or closes, and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Door {
    pub(super) process: usize,
    pub(super) passage: Passage,
}

/// What is done behind the door.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Passage {
    /// Look which meta page holds, and write again what it relies on.
    Look,
    /// Sync that; then look at the head record.
    Sync {
        slot: usize,
        meta: Rc<Meta>,
        spare_is_bad: bool,
    },
    /// Say in the words what was found: so many stores are done.
    Begin {
        head: Rc<Root>,
        meta: Rc<Meta>,
        slot: usize,
        spare_is_bad: bool,
        done: usize,
    },
    /// A leader makes it durable.
    Lead,
    /// Take over what those say who are in: which meta page is the durable one; then read it.
    Join,
    Read {
        meta: (u32, usize),
    },
    /// A leader writes the meta page that says so.
    Close,
}

impl Model {
    fn others(&self, process: usize) -> impl Iterator<Item = usize> {
        (0..PROCESSES).filter(move |other| *other != process && self.processes[*other].is_some())
    }

    /// Comes in, and takes the door.
    pub(super) fn open(&mut self, process: usize, turn: &mut Turn) {
        let writers = self.others(process).any(|other| other != ONLY_READS);
        let readers = self.others(process).any(|other| other == ONLY_READS);
        let recovered = self.words.as_ref().is_some_and(|words| words.recovered);
        let joins = match self.broken {
            Some(Broken::JoinerRecovers) => process == ONLY_READS && (writers || readers),
            Some(Broken::RecoversBesideReaders) => writers,
            _ => (writers || readers) && (recovered || process == ONLY_READS),
        };
        turn.say(|| format!("process {process} {}", if joins { "joins" } else { "is the first" }));
        let passage = if joins { Passage::Join } else { Passage::Look };
        self.door = Some(Door { process, passage });
    }

    /// The next step of who opens.
    pub(super) fn pass(&mut self, turn: &mut Turn) -> Result<(), Violation> {
        let Door { process, passage } = self.door.clone().expect("somebody opens");
        let next = match passage {
            Passage::Look => {
                if self.words.is_none() {
                    self.disk.drop_clean(turn.choices);
                }
                let found = self.judge(&self.disk.cached(), End::Processes)?;
                Some(self.look(process, found, turn))
            }
            Passage::Sync { slot, meta, spare_is_bad } => Some(self.settle(slot, meta, spare_is_bad, turn)),
            Passage::Begin { head, meta, slot, spare_is_bad, done } => {
                self.begin_words(&head, &meta, slot, done, turn);
                if done < 3 {
                    Some(Passage::Begin { head, meta, slot, spare_is_bad, done: done + 1 })
                } else {
                    self.recovered(process, &head, &meta, slot, spare_is_bad, turn)
                }
            }
            Passage::Join => Some(Passage::Read { meta: self.words().meta }),
            Passage::Read { meta } => self.join(process, meta, turn),
            Passage::Lead | Passage::Close => unreachable!("the leader goes on"),
        };
        if let Some(passage) = next {
            self.door = Some(Door { process, passage });
        }
        Ok(())
    }

    /// Those who only read may look meanwhile.
    fn begin_words(&mut self, head: &Rc<Root>, meta: &Rc<Meta>, slot: usize, done: usize, turn: &mut Turn) {
        let from_root = self.breaks(Broken::NumbersGoOnFromRoot);
        let words = self.words.get_or_insert_with(|| Words::new(head));
        turn.say(|| format!("opening sets the words, {done}"));
        match done {
            0 => words.head = Rc::clone(head),
            1 => words.soft = Rc::clone(head),
            2 => words.durable = Rc::clone(&meta.root),
            _ => {
                words.bases = [meta.sum, 0];
                words.meta = (meta.sequence, slot);
                words.ceiling = meta.ceiling;
                words.next_id = if from_root { head.txn.next() } else { meta.ceiling };
            }
        }
    }

    /// What is adopted behind the meta page is made durable like any other commit, with two syncs, since it
    /// is not known page by page; a bad meta page is replaced, by one with a higher ceiling.
    fn recovered(
        &mut self,
        process: usize,
        head: &Rc<Root>,
        meta: &Rc<Meta>,
        slot: usize,
        spare_is_bad: bool,
        turn: &mut Turn,
    ) -> Option<Passage> {
        self.processes[process] = Some(Process { head: Rc::clone(head), meta: Rc::clone(meta), slot });
        if process == ONLY_READS {
            self.door = None;
            return None;
        }
        if head.txn > meta.root.txn {
            self.lead_for(process, Job::Commits, true, turn);
            return Some(Passage::Lead);
        }
        if spare_is_bad || self.breaks(Broken::RecoveryChangesInPlace) {
            self.lead_for(process, Job::Ceiling, false, turn);
            return Some(Passage::Lead);
        }
        self.opened();
        None
    }

    /// A leader is done: if it was one of opening, the database is open.
    pub(super) fn led(&mut self) {
        if matches!(self.door, Some(Door { passage: Passage::Lead, .. })) {
            self.opened();
        }
    }

    /// From here on others may write, and what readers see is promised.
    fn opened(&mut self) {
        self.door = None;
        self.words().recovered = true;
        let root = Rc::clone(&self.words().head);
        self.promises.found(&root);
    }

    /// Takes the words as they are, and the durable meta page (`join` in `src/pager/recovery.rs`).
    fn join(&mut self, process: usize, meta: (u32, usize), turn: &mut Turn) -> Option<Passage> {
        let now = self.words().meta;
        let page = self.disk.metas[meta.1].cached.clone();
        let (Some(page), true) = (page, now == meta || self.breaks(Broken::JoinerDoesNotLookAgain)) else {
            turn.say(|| "the durable meta page is another by now".to_owned());
            return Some(Passage::Join);
        };
        turn.say(|| {
            format!("process {process} is in, and knows meta page {}: root {}", meta.1, page.root.txn)
        });
        let head = Rc::clone(&self.words().head);
        self.processes[process] = Some(Process { head, meta: page, slot: meta.1 });
        self.door = None;
        None
    }

    /// Whether process `number` can close: nothing of it is under way.
    pub(super) fn can_close(&self, number: usize) -> bool {
        let Some(words) = &self.words else { return false };
        let reads = self.readers.iter().any(|reader| reader.process() == Some(number));
        let writes = self.writer.as_ref().is_some_and(|writer| writer.process == number);
        if reads || writes || self.door.is_some() || self.leader.is_some() {
            return false;
        }
        let alone = !self.others(number).any(|other| other != ONLY_READS);
        number == ONLY_READS
            || words.ended
            || words.head.txn == words.durable.txn && (!alone || self.writer.is_none())
    }

    /// Everything is durable. Where nobody else can write, the file is cut and a meta page says that it was
    /// closed in good order (`Pager::close`).
    pub(super) fn close(&mut self, process: usize, turn: &mut Turn) {
        turn.say(|| format!("process {process} closes"));
        let beside = self.breaks(Broken::CleanMetaBesideWriters);
        let alone = beside || !self.others(process).any(|other| other != ONLY_READS);
        let (early, words) = (!self.breaks(Broken::CeilingKeptUntilClosed), self.words());
        let is_at_rest = words.ceiling == words.next_id && !words.unfinished.meta;
        let (slot, ended) = (words.meta.1, words.ended);
        let is_clean = is_at_rest && self.disk.metas[slot].cached.as_ref().is_some_and(|meta| meta.clean);
        if process == ONLY_READS || ended || !alone || is_clean {
            return self.leave(process);
        }
        if self.words().lowered.is_none() || self.can_cut(process) {
            self.process(process).head = Rc::clone(&self.words().head);
            self.cut(process, turn);
        }
        if early {
            let words = self.words();
            words.ceiling = words.next_id;
        }
        self.door = Some(Door { process, passage: Passage::Close });
        self.lead_for(process, Job::Close, false, turn);
    }

    /// The process is not there any more. The page cache stays; the words as long as somebody is in.
    pub(super) fn leave(&mut self, process: usize) {
        self.processes[process] = None;
        self.door.take_if(|door| door.process == process);
        for reader in self.readers.iter_mut().filter(|reader| reader.process() == Some(process)) {
            // Its slot stays.
            *reader = Reader::Idle;
        }
        if self.door.is_none() && self.processes.iter().all(Option::is_none) {
            self.words = None;
            self.promises.look_again();
        }
    }

    /// The process is killed, wherever it is. Its locks are free; what it had captured stays pinned, for its
    /// meta page may be on the disk.
    pub(super) fn kill(&mut self, process: usize, turn: &mut Turn) {
        turn.say(|| format!("PROCESS {process} IS KILLED"));
        let tears = self.breaks(Broken::HeadRecordTornByKill);
        if let Some(leader) = self.leader.take_if(|leader| leader.process == process) {
            match leader.step {
                // Torn, perhaps.
                Step::WriteMeta(_) if turn.choices.one_in(2) => {
                    let slot = 1 - self.process(process).slot;
                    turn.say(|| format!("in the middle of meta page {slot}"));
                    self.disk.metas[slot].write(None);
                }
                Step::RewriteHeadRecord(_) if tears => self.disk.head_record.write(None),
                _ => {}
            }
            if self.breaks(Broken::CaptureLostWithLeader) {
                self.words().captured.fill(None);
            }
        }
        if let Some(writer) = self.writer.take_if(|writer| writer.process == process)
            && matches!(writer.publish, Some(Publish::Visible(_, 1)))
            && tears
        {
            self.disk.head_record.write(None);
        }
        self.leave(process);
    }

    /// All processes are killed. The page cache stays.
    pub(super) fn kill_all(&mut self, turn: &mut Turn) {
        turn.say(|| "EVERY PROCESS ENDS. The page cache stays".to_owned());
        self.end_all();
    }

    fn end_all(&mut self) {
        (self.leader, self.writer) = (None, None);
        for process in 0..PROCESSES {
            self.leave(process);
        }
    }

    /// The power fails, and the system starts again: it may or may not be noticed as another boot.
    pub(super) fn cut_power(&mut self, turn: &mut Turn) {
        let image = self.disk.any_image(turn.choices);
        turn.say(|| format!("THE POWER FAILS, and leaves {image}"));
        self.disk.restart(image);
        self.boot += u32::from(turn.choices.one_in(2));
        self.promises.shake(Txn(0));
        self.end_all();
    }
}
