//! What makes commits durable: one meta page and one sync for all that are waiting.
//!
//! A commit whose level asks for it waits for the leader's lock. Whoever gets it makes the newest head
//! durable, and with it every commit before; the others find that done. Meanwhile the next transaction runs:
//! it builds on the head, which is pinned.

use std::sync::Arc;

use super::Pager;
use super::head::Head;
use super::snapshot::Snapshot;
use super::writer::Writer;
use crate::error::{Error, Result};
use crate::page::{CommitRecord, HEAD_AT, HeadRecord, META_AT, META_LEN, Meta, Root, TxnId};

/// A meta page raises the ceiling by so many transaction numbers.
const CEILING_STEP: u64 = 1 << 24;

/// The meta pages. Guarded by the leader's lock.
#[derive(Debug)]
pub(super) struct Leader {
    /// The slot of a durable meta page of the durable root: the other one is written next, whatever its age.
    pub(super) slot: usize,
    /// The newest meta page.
    pub(super) meta: Meta,
}

/// The newest commit and what leads to it. Guarded by the lock on the heads.
#[derive(Debug)]
pub(super) struct Heads {
    pub(super) head: Arc<Head>,
    /// The checksums of the durable meta page, and of the one that is being written.
    pub(super) base_sums: [u32; 2],
    /// Whether a head record names a commit that no durable meta page covers.
    pub(super) recorded: bool,
}

impl Pager {
    /// The newest commit.
    pub(super) fn head(&self) -> Arc<Head> {
        Arc::clone(&self.heads.lock().head)
    }

    /// The newest commit's number.
    pub(crate) fn newest(&self) -> TxnId {
        self.heads.lock().head.root.txn
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

    /// Makes `head` the newest commit. A buffered one is visible at once if its predecessor is, and survives
    /// the end of the process through the head record; an immediate one becomes visible when it is durable.
    pub(super) fn publish(&self, head: Head, buffered: bool) -> Result<()> {
        let mut heads = self.heads.lock();
        // A transaction may have begun before a sync failed.
        self.check_writable()?;
        let visible = buffered && self.base.shared.visible().txn == heads.head.root.txn;
        if visible {
            // Perhaps the record is whole all the same, and is found when the file is opened again.
            let written = self.write_head_record(&mut heads, &head.root);
            written.map_err(|error| self.unknown(head.root.txn, error))?;
            self.base.shared.set_visible(&head.root);
        }
        self.base.shared.set_head(head.root.txn);
        heads.head = Arc::new(head);
        Ok(())
    }

    fn write_head_record(&self, heads: &mut Heads, root: &Root) -> Result<()> {
        let record = HeadRecord { base_sums: heads.base_sums, boot_id: self.boot_id, root: *root };
        heads.recorded = true;
        // Whoever wanted it ends writing if it fails.
        self.base.storage.write_at(&[&record.encode()], HEAD_AT)
    }

    /// Waits until transaction `txn` is durable, or makes it so, together with every commit before it and
    /// those that have been made since.
    pub(crate) fn sync_to(&self, txn: TxnId) -> Result<()> {
        self.check_process()?;
        // A leader sets the one before the other; whoever returns reads its own writes.
        if self.base.shared.durable() >= txn && self.is_visible(txn) {
            return Ok(());
        }
        // 1. One leader at a time. Whoever waited here may find its work done.
        let mut leader = self.leader.lock();
        let durable = self.base.shared.durable();
        if durable >= txn {
            return Ok(());
        }
        // The sync of somebody else has failed: perhaps it would have covered this commit, and perhaps it
        // did.
        self.check_writable().map_err(|error| match error {
            Error::WritingEnded { .. } => Error::OutcomeUnknown { txn: txn.0, source: Box::new(error) },
            error => error,
        })?;
        // 2. Capture the head; from here on its root is pinned. In one step, so that no scan can miss both.
        let head = {
            let heads = self.heads.lock();
            self.base.shared.set_captured(Some(heads.head.root.txn));
            Arc::clone(&heads.head)
        };
        // 3. What the meta page relies on; or, if that is too much to verify at opening, a sync of it first.
        let two_phase = self.config.two_phase;
        let record = head.record(durable).filter(|record| !two_phase || record.runs.is_empty());
        if record.is_none() {
            self.sync(&head.root).map_err(|error| self.unknown(txn, error))?;
        }
        // 4. The meta page of the captured root, into the slot that does not hold the durable one, and the
        //    sync.
        let meta = Meta {
            root: head.root,
            record: record.unwrap_or_default(),
            clean: false,
            boot_id: self.boot_id,
            ..leader.meta.clone()
        };
        self.write_meta(&mut leader, meta).map_err(|error| self.unknown(txn, error))?;
        // 5. Durable, then visible, then the capture is over.
        let _heads = self.heads.lock();
        self.base.shared.set_durable(head.root.txn);
        if self.base.shared.visible().txn < head.root.txn {
            self.base.shared.set_visible(&head.root);
        }
        self.base.shared.set_captured(None);
        Ok(())
    }

    /// Makes everything durable that is committed.
    pub(crate) fn sync_all(&self) -> Result<()> {
        self.check_process()?;
        let txn = self.head().root.txn;
        self.sync_to(txn)
    }

    /// Writes `meta`, with the next sequence number, into the spare slot, and syncs.
    fn write_meta(&self, leader: &mut Leader, meta: Meta) -> Result<()> {
        let sequence = leader.meta.sequence.checked_add(1);
        let sequence = sequence.ok_or(Error::Full { what: "the meta pages are numbered up to 2^64" })?;
        let meta = Meta { sequence, ..meta };
        let slot = 1 - leader.slot;
        let bytes = meta.encode();
        {
            let mut heads = self.heads.lock();
            heads.base_sums[1] = Meta::sum_of(&bytes);
            if heads.recorded && heads.head.root.txn > meta.root.txn {
                // A buffered commit that the meta page does not cover must be found behind either of them.
                let root = self.base.shared.visible();
                self.write_head_record(&mut heads, &root)?;
            }
        }
        self.base.storage.write_at(&[&bytes], META_AT[slot])?;
        self.sync(&meta.root)?;
        (leader.slot, leader.meta) = (slot, meta);
        let mut heads = self.heads.lock();
        heads.base_sums = [heads.base_sums[1], 0];
        heads.recorded &= heads.head.root.txn > leader.meta.root.txn;
        Ok(())
    }

    /// Makes durable what `root` refers to and the header pages.
    fn sync(&self, root: &Root) -> Result<()> {
        let header = HEAD_AT + META_LEN as u64;
        let len = (root.page_count * self.base.page_size as u64).max(header);
        let view = Arc::clone(&self.view.read());
        self.base.storage.sync(&view.mapping, len)
    }

    /// A sync failed. The capture stays: nobody knows which meta page is on the disk.
    fn unknown(&self, txn: TxnId, source: Error) -> Error {
        self.end_writing(&source);
        Error::OutcomeUnknown { txn: txn.0, source: Box::new(source) }
    }

    /// Sees to it that number `id` is below a durable ceiling, before it can stand on a page.
    pub(super) fn raise_ceiling(&self, id: TxnId, writer: &mut Writer) -> Result<()> {
        if id.0 < writer.ceiling {
            return Ok(());
        }
        let mut leader = self.leader.lock();
        let ceiling = id.0.checked_add(CEILING_STEP);
        let ceiling = ceiling.ok_or(Error::Full { what: "transactions are numbered up to 2^64" })?;
        // The durable root is synced: there is nothing to verify behind it.
        let record = CommitRecord::default();
        let meta = Meta { ceiling, record, clean: false, boot_id: self.boot_id, ..leader.meta.clone() };
        self.write_meta(&mut leader, meta).inspect_err(|error| self.end_writing(error))?;
        writer.ceiling = ceiling;
        Ok(())
    }

    /// Writes a good meta page over a bad one, with a higher ceiling. If it fails, writing has ended, and the
    /// durable meta page is where it was.
    pub(super) fn rewrite_spare(&self) {
        let mut writer = self.writer.lock();
        let id = TxnId(writer.next_id);
        // The failure is remembered, and the next write transaction tells of it.
        let _ = self.raise_ceiling(id, &mut writer);
    }

    /// Ends in good order: everything is synced, the file is cut to its pages, and a meta page says that
    /// nothing needs to be verified when it is opened again.
    pub(crate) fn close(&self) -> Result<()> {
        self.check_process()?;
        let mut writer = self.writer.lock();
        if let Err(error) = self.check_writable() {
            let lost = self.base.shared.durable() < self.newest();
            return if lost && !matches!(error, Error::ReadOnly) { Err(error) } else { Ok(()) };
        }
        if writer.ceiling == writer.next_id && self.is_clean() {
            return Ok(());
        }
        self.sync_all()?;
        let head = self.head();
        if self.can_cut(&writer) {
            // The room for growth goes as well: a file at rest is no longer than its pages.
            self.cut_behind(&mut writer, &head)?;
        }
        let mut leader = self.leader.lock();
        let meta = Meta {
            ceiling: writer.next_id,
            record: CommitRecord::default(),
            clean: true,
            boot_id: self.boot_id,
            ..leader.meta.clone()
        };
        self.write_meta(&mut leader, meta).inspect_err(|error| self.end_writing(error))?;
        writer.ceiling = writer.next_id;
        Ok(())
    }

    fn is_clean(&self) -> bool {
        self.leader.lock().meta.clean
    }
}

impl Drop for Pager {
    fn drop(&mut self) {
        // Whoever wants to know of a failure calls `close`. After one, opening recovers.
        let _ = self.close();
    }
}
