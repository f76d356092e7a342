//! What makes commits durable: one meta page and one sync for all that are waiting.
//!
//! A commit whose level asks for it joins the group. Who leads that takes the leader's lock and makes the
//! newest head durable, and with it every commit before; the others find that done. Meanwhile the next
//! transaction runs: it builds on the head, which is pinned.

use std::sync::Arc;

use parking_lot::MutexGuard;

use super::Pager;
use super::head::Head;
use super::shared::Unfinished;
use super::snapshot::{Base, Snapshot};
use super::walk::Walk;
use crate::error::{Error, Result};
use crate::page::{CommitRecord, HEAD_AT, HeadRecord, META_AT, META_LEN, Meta, Root, TxnId};
use crate::storage::{Held, Others};

/// A meta page raises the ceiling by so many transaction numbers.
const CEILING_STEP: u64 = 1 << 24;

/// The meta pages, as this process knows them. Guarded by the leader's lock.
#[derive(Debug)]
pub(super) struct Leader {
    /// The slot of a durable meta page of the durable root: the other one is written next, whatever its age.
    pub(super) slot: usize,
    /// The newest meta page.
    pub(super) meta: Meta,
}

/// The leader's lock, held: among the threads of this process, and among processes.
pub(super) struct Turn<'p> {
    // Let go of first, or the next thread would find it held by its own process.
    _among_processes: Held<'p>,
    leader: MutexGuard<'p, Leader>,
    /// A leader was killed in the middle of a sync, and perhaps after that has failed: nobody was told.
    cut_short: bool,
}

/// The newest commit. Guarded by the lock on the heads.
#[derive(Debug)]
pub(super) struct Heads {
    /// Of this process: another may have moved on.
    pub(super) head: Arc<Head>,
}

impl Pager {
    /// The newest commit, as this process knows it: for who has the writer lock, or does not mind.
    pub(super) fn head(&self) -> Arc<Head> {
        Arc::clone(&self.heads.lock().head)
    }

    /// The newest commit's number.
    pub(crate) fn newest(&self) -> TxnId {
        self.base.shared.head().txn
    }

    /// Whether new readers see transaction `txn`.
    pub(crate) fn is_visible(&self, txn: TxnId) -> bool {
        self.base.shared.visible().txn >= txn
    }

    /// The head's pages, for the writer: nobody else moves the head, so it stays pinned as long as that has
    /// the writer lock.
    pub(super) fn snapshot_of_head(&self, head: &Head) -> Snapshot {
        Snapshot::of_head(Arc::clone(&self.view.read()), head.root)
    }

    /// A commit of another process: which of its pages are durable is known only if all are.
    pub(super) fn head_of_others(&self, root: Root) -> Head {
        let durable = self.base.shared.durable() >= root.txn;
        Head { root, written: durable.then(Vec::new) }
    }

    /// Makes `head` the newest commit. A buffered one is visible at once if its predecessor is, and survives
    /// the end of the process through the head record; an immediate one becomes visible when it is durable.
    ///
    /// In this order, since the process may be killed between any two: a head record names a head, and what
    /// is visible has a head record.
    pub(super) fn publish(&self, head: Head, buffered: bool) -> Result<()> {
        let mut heads = self.heads.lock();
        // A transaction may have begun before a sync failed.
        self.check_writable()?;
        let (root, shared) = (head.root, &self.base.shared);
        let is_visible = buffered && shared.visible().txn == heads.head.root.txn;
        let turn = if is_visible { Some(shared.meeting().head_record()?) } else { None };
        shared.set_head(&root);
        heads.head = Arc::new(head);
        if turn.is_some() {
            // Perhaps the record is whole all the same, and is found when the file is opened again.
            let written = self.write_head_record(&root);
            written.map_err(|error| self.unknown(root.txn, error))?;
            shared.set_soft(&root);
        }
        Ok(())
    }

    /// A writer that was killed may have left the head record of a commit that never became visible. Nobody
    /// pins that one, so the next transactions may spoil it; then what is visible would not be found when the
    /// last process ends. For who has the writer lock and that on the heads, before any page is written.
    pub(super) fn repair_head_record(&self, head: &Root) -> Result<()> {
        let shared = &self.base.shared;
        let visible = shared.visible();
        if visible.txn == head.txn || visible.txn <= shared.durable() || self.check_writable().is_err() {
            return Ok(());
        }
        let _turn = shared.meeting().head_record()?;
        self.write_head_record(&visible).inspect_err(|error| self.end_writing(error))
    }

    /// For who has the lock on the head record.
    fn write_head_record(&self, root: &Root) -> Result<()> {
        let base_sums = self.base.shared.base_sums();
        let record = HeadRecord { base_sums, boot_id: self.boot_id()?, root: *root };
        // Whoever wanted it ends writing if it fails.
        self.base.storage.write_at(&[&record.encode()], HEAD_AT)
    }

    /// Waits until transaction `txn` is durable, or makes it so, together with every commit before it and
    /// those that have been made since.
    pub(crate) fn sync_to(&self, txn: TxnId) -> Result<()> {
        self.check_process()?;
        let shared = &self.base.shared;
        let is_done = || shared.durable() >= txn;
        if is_done() {
            return Ok(());
        }
        // 1. One leader at a time. Whoever waited here may find its work done.
        let Some(lead) = self.group.join(txn, is_done) else { return Ok(()) };
        self.sync_as_leader(txn)?;
        lead.end(shared.durable());
        Ok(())
    }

    fn sync_as_leader(&self, txn: TxnId) -> Result<()> {
        let shared = &self.base.shared;
        // Another process may lead just now.
        let mut turn = self.wait_for_turn()?;
        let durable = shared.durable();
        if durable >= txn {
            return Ok(());
        }
        // The sync of somebody else has failed: perhaps it would have covered this commit, and perhaps it
        // did.
        self.check_writable().map_err(|error| match error {
            Error::WritingEnded { .. } => Error::OutcomeUnknown { txn: txn.0, source: Box::new(error) },
            error => error,
        })?;
        self.take_over(&mut turn)?;
        let durable = shared.durable();
        // 2. Capture the head; from here on its root is pinned.
        let head = self.capture(&turn).map_err(|error| self.unknown(txn, error))?;
        // 3. What the meta page relies on; or, if that is too much to verify at opening, a sync of it first.
        let mut record = head.record(durable);
        // Pages that were written before a sync was cut short may be committed only now.
        if turn.cut_short || durable.0 + 1 < shared.doubted() {
            self.write_again_since(durable, &head.root).map_err(|error| self.unknown(txn, error))?;
            record = None;
        }
        let record = record.filter(|record| !self.config.two_phase || record.runs.is_empty());
        if record.is_none() {
            self.sync(&head.root).map_err(|error| self.unknown(txn, error))?;
        }
        // 4. The meta page of the captured root, into the slot that does not hold the durable one, and the
        //    sync.
        let meta = Meta {
            root: head.root,
            record: record.unwrap_or_default(),
            clean: false,
            boot_id: self.boot_id().map_err(|error| self.unknown(txn, error))?,
            ..turn.leader.meta.clone()
        };
        self.write_meta(&mut turn, meta).map_err(|error| self.unknown(txn, error))?;
        // 5. Durable, and so visible; then all captures are over, and nothing is left undone.
        shared.set_durable(&head.root);
        shared.set_unfinished(Unfinished::default());
        Ok(())
    }

    /// The newest commit, pinned.
    fn capture(&self, turn: &Turn<'_>) -> Result<Arc<Head>> {
        let shared = &self.base.shared;
        let root = match shared.capture() {
            Some(root) => root,
            // So many leaders were killed one after another. None of their meta pages is in the page cache
            // any more, and after a sync none is on the disk: what they have captured may go. The last one is
            // wiped out again, since a sync may have failed to write that.
            None => {
                shared.set_unfinished(Unfinished { meta: true, ..shared.unfinished() });
                self.base.storage.write_at(&[&[0; META_LEN]], META_AT[1 - turn.leader.slot])?;
                self.sync(&shared.durable_root())?;
                shared.forget_captures();
                shared.capture().expect("there is room now")
            }
        };
        let heads = self.heads.lock();
        if heads.head.root.txn == root.txn {
            return Ok(Arc::clone(&heads.head));
        }
        Ok(Arc::new(self.head_of_others(root)))
    }

    /// Makes everything durable that is committed.
    pub(crate) fn sync_all(&self) -> Result<()> {
        self.check_process()?;
        self.sync_to(self.newest())
    }

    /// Waits for the leader's lock.
    pub(super) fn wait_for_turn(&self) -> Result<Turn<'_>> {
        let leader = self.leader.lock();
        Ok(Turn { _among_processes: self.base.shared.meeting().leader()?, leader, cut_short: false })
    }

    /// Waits for the leader's lock, for a meta page of the durable root.
    fn lead(&self) -> Result<Turn<'_>> {
        let mut turn = self.wait_for_turn()?;
        self.check_writable()?;
        self.take_over(&mut turn)?;
        Ok(turn)
    }

    /// Learns what other processes have done as leaders, and clears up after one that was killed.
    fn take_over(&self, turn: &mut Turn<'_>) -> Result<()> {
        let shared = &self.base.shared;
        let unfinished = shared.unfinished();
        let (sequence, slot) = shared.meta();
        turn.cut_short = unfinished.sync;
        if turn.cut_short {
            shared.set_doubted(shared.next_id());
        }
        if (turn.leader.meta.sequence, turn.leader.slot) == (sequence, slot) && !unfinished.meta {
            self.finish_for_others(turn);
            return Ok(());
        }
        let mut bytes = vec![0; META_LEN];
        self.base.storage.read_exact_at(&mut bytes, META_AT[slot])?;
        let page = META_AT[slot] / self.base.page_size as u64;
        *turn.leader = Leader { slot, meta: Meta::decode(&bytes, page)? };
        if unfinished.meta {
            // Nobody was told of its commit, but while the meta page is there a head record has to name it;
            // and the next head record names the next one. So it goes before that.
            self.base.storage.write_at(&[&[0; META_LEN]], META_AT[1 - slot]).inspect_err(|error| {
                self.end_writing(error);
            })?;
            shared.set_base_sums([Meta::sum_of(&bytes), 0]);
        }
        self.finish_for_others(turn);
        Ok(())
    }

    /// A leader may have been killed between its last two words: its meta page is durable, and its root does
    /// not say so. As long as that is so the capture alone pins it.
    fn finish_for_others(&self, turn: &Turn<'_>) {
        let root = &turn.leader.meta.root;
        if root.txn > self.base.shared.durable() {
            self.base.shared.set_durable(root);
        }
    }

    /// Writes what `root` has in addition to the durable root again, byte for byte: what a sync could not
    /// write is in the system's memory alone, and counts as written there.
    fn write_again_since(&self, durable: TxnId, root: &Root) -> Result<()> {
        let Base { storage, page_size, seed, .. } = &*self.base;
        let mut walk = Walk::new(storage, *page_size, *seed, durable, *root, true);
        walk.everything()?;
        walk.written_again?;
        // The disk may have a shorter file. The root's last page is not written again, as opening does it: it
        // may be free, and the writer just writing it.
        storage.make_longer(root.page_count * *page_size as u64, *page_size as u64)
    }

    /// Writes `meta`, with the next sequence number, into the spare slot, and syncs.
    fn write_meta(&self, turn: &mut Turn<'_>, meta: Meta) -> Result<()> {
        let sequence = turn.leader.meta.sequence.checked_add(1);
        let sequence = sequence.ok_or(Error::Full { what: "the meta pages are numbered up to 2^64" })?;
        let meta = Meta { sequence, ..meta };
        let (slot, shared) = (1 - turn.leader.slot, &self.base.shared);
        let bytes = meta.encode();
        let sum = Meta::sum_of(&bytes);
        shared.set_unfinished(Unfinished { meta: true, ..shared.unfinished() });
        {
            let _heads = self.heads.lock();
            let _turn = shared.meeting().head_record()?;
            shared.set_base_sums([shared.base_sums()[0], sum]);
            let visible = shared.visible();
            if visible.txn > meta.root.txn {
                // A buffered commit that the meta page does not cover must be found behind either of them.
                self.write_head_record(&visible)?;
            }
        }
        self.base.storage.write_at(&[&bytes], META_AT[slot])?;
        self.sync(&meta.root)?;
        *turn.leader = Leader { slot, meta };
        // Before the root counts as durable: whoever leads next, perhaps because this process is killed here,
        // must not write over this meta page then.
        shared.set_meta(sequence, slot);
        shared.set_base_sums([sum, 0]);
        shared.set_unfinished(Unfinished { meta: false, sync: turn.cut_short });
        Ok(())
    }

    /// Makes durable what `root` refers to and the header pages.
    fn sync(&self, root: &Root) -> Result<()> {
        let header = HEAD_AT + META_LEN as u64;
        let len = (root.page_count * self.base.page_size as u64).max(header);
        let view = Arc::clone(&self.view.read());
        let shared = &self.base.shared;
        // Whoever leads next, if this process is killed now, does not know how it ended.
        shared.set_unfinished(Unfinished { sync: true, ..shared.unfinished() });
        self.base.storage.sync(&view.mapping, len)
    }

    /// A sync failed. The capture stays: nobody knows which meta page is on the disk.
    fn unknown(&self, txn: TxnId, source: Error) -> Error {
        self.end_writing(&source);
        Error::OutcomeUnknown { txn: txn.0, source: Box::new(source) }
    }

    /// Sees to it that number `id` is below a durable ceiling, before it can stand on a page. For who has the
    /// writer lock.
    pub(super) fn raise_ceiling(&self, id: TxnId) -> Result<()> {
        let shared = &self.base.shared;
        if id.0 < shared.ceiling() {
            return Ok(());
        }
        let mut turn = self.lead()?;
        let ceiling = id.0.checked_add(CEILING_STEP);
        let ceiling = ceiling.ok_or(Error::Full { what: "transactions are numbered up to 2^64" })?;
        let boot_id = self.boot_id()?;
        // The durable root is synced: there is nothing to verify behind it.
        let record = CommitRecord::default();
        let meta = Meta { ceiling, record, clean: false, boot_id, ..turn.leader.meta.clone() };
        self.write_meta(&mut turn, meta).inspect_err(|error| self.end_writing(error))?;
        shared.set_ceiling(ceiling);
        Ok(())
    }

    /// Writes a good meta page over a bad one, with a higher ceiling. If it fails, writing has ended, and the
    /// durable meta page is where it was.
    pub(super) fn rewrite_spare(&self) {
        let id = TxnId(self.base.shared.next_id());
        // The failure is remembered, and the next write transaction tells of it.
        let _ = self.raise_ceiling(id);
    }

    /// Ends in good order: everything is synced, and where nobody else can write, the file is cut to its
    /// pages and a meta page says that nothing needs to be verified when it is opened again.
    pub(crate) fn close(&self) -> Result<()> {
        self.check_process()?;
        if let Err(error) = self.check_writable() {
            let lost = self.base.shared.durable() < self.newest();
            // Snapshots may stay, and must not pass for somebody who could still write.
            let _door = self.base.shared.meeting().door()?;
            self.base.shared.meeting().stop_writing();
            return if lost && !matches!(error, Error::ReadOnly) { Err(error) } else { Ok(()) };
        }
        let _door = self.base.shared.meeting().door()?;
        let result = self.close_behind_door();
        // Snapshots may stay. Whoever closes after them is the last who can write.
        self.base.shared.meeting().stop_writing();
        result
    }

    fn close_behind_door(&self) -> Result<()> {
        let shared = &self.base.shared;
        if shared.meeting().others()? == Others::Writers {
            return self.sync_all();
        }
        let mut writer = self.lock_writer()?;
        self.catch_up(&mut writer, self.base.storage.len()?)?;
        if shared.ceiling() == shared.next_id() && self.is_clean()? {
            return Ok(());
        }
        self.sync_all()?;
        let head = self.head();
        if self.can_cut() {
            // The room for growth goes as well: a file at rest is no longer than its pages.
            self.cut_behind(&mut writer, &head)?;
        }
        let mut turn = self.lead()?;
        // Before there is a meta page that says so: if this process is killed, others may go on with these
        // words (where somebody only reads), and use numbers that this meta page does not cover.
        shared.set_ceiling(shared.next_id());
        let meta = Meta {
            ceiling: shared.next_id(),
            record: CommitRecord::default(),
            clean: true,
            boot_id: self.boot_id()?,
            ..turn.leader.meta.clone()
        };
        self.write_meta(&mut turn, meta).inspect_err(|error| self.end_writing(error))
    }

    fn is_clean(&self) -> Result<bool> {
        let turn = self.lead()?;
        Ok(turn.leader.meta.clean && self.base.shared.unfinished() == Unfinished::default())
    }
}

impl Drop for Pager {
    fn drop(&mut self) {
        // Whoever wants to know of a failure calls `close`. After one, opening recovers.
        let _ = self.close();
    }
}
