//! Opening after whatever has ended the last process: which root is the newest whole one, and what is done
//! before it is shown (`src/pager/recovery.rs`). Who opens may be killed after each step.

use std::rc::Rc;

use super::broken::Broken;
use super::choices::Turn;
use super::disk::{Image, Meta};
use super::openers::Passage;
use super::roots::{Root, Txn};
use super::state::{Model, ONLY_READS};

/// What opening finds in an image.
#[derive(Debug)]
pub(super) struct Found {
    slot: usize,
    pub(super) meta: Rc<Meta>,
    /// After a clean close nothing is looked at, nor written again.
    clean: bool,
    /// The other meta page is torn, or names what is not there.
    spare_is_bad: bool,
    /// The root of a buffered commit behind the meta page.
    pub(super) head: Option<Rc<Root>>,
}

impl Found {
    /// The root that is going to be shown.
    pub(super) fn root(&self) -> &Rc<Root> {
        self.head.as_ref().unwrap_or(&self.meta.root)
    }
}

impl Model {
    /// What opening finds: the newest meta page that holds, else the other if that holds; none if neither
    /// does.
    pub(super) fn find(&self, image: &Image) -> Option<Found> {
        let mut slots: Vec<(usize, &Rc<Meta>)> =
            (0..2).filter_map(|slot| Some((slot, image.metas[slot].as_ref()?))).collect();
        slots.sort_by_key(|(_, meta)| std::cmp::Reverse(meta.sequence));
        let clean = match &slots[..] {
            [(_, newest), (_, other)] => newest.clean && newest.root == other.root,
            _ => false,
        };
        let unchecked = |at: usize| at == 1 && self.breaks(Broken::OtherMetaNotVerified);
        let at = (0..slots.len()).find(|at| unchecked(*at) || self.holds(slots[*at].1, image))?;
        let (slot, meta) = (slots[at].0, Rc::clone(slots[at].1));
        let head = if clean { None } else { self.newer_head(&meta, image) };
        Some(Found { slot, meta, clean, spare_is_bad: slots.len() < 2 || at == 1, head })
    }

    /// The file is long enough for the root, and every page of the record is what it was.
    fn holds(&self, meta: &Meta, image: &Image) -> bool {
        let verified = || meta.record.iter().all(|(page, content)| image.pages[*page] == *content);
        meta.root.page_count <= image.len && (self.breaks(Broken::RecordNotChecked) || verified())
    }

    /// The root that the head record names, if it builds on `meta` and every younger page is there.
    ///
    /// A head record has no checksums of pages: they are found by walking, and a page is believed if it is
    /// whole and its birth is what its parent says. That is enough because no number is given twice, and
    /// because no transaction whose commit is left to the head record writes a place twice.
    fn newer_head(&self, meta: &Meta, image: &Image) -> Option<Rc<Root>> {
        let record = image.head_record.as_ref()?;
        let root = &record.root;
        let based = record.bases.contains(&meta.sum) || self.breaks(Broken::HeadRecordWithoutBase);
        let newer = root.txn > meta.root.txn || self.breaks(Broken::HeadRecordOlderThanMeta);
        // Another boot rules the record out, for it was never synced. The same one proves nothing: disks are
        // unplugged, and a file may lie in a file.
        let boot = record.boot == self.boot || self.breaks(Broken::HeadRecordOfAnotherBoot);
        let fits = root.page_count <= image.len;
        let born = |page: usize| image.pages[page].birth();
        let walks = || root.younger_than(meta.root.txn).all(|(page, content)| born(page) == content.birth());
        let verified = self.breaks(Broken::HeadRecordOnBootAlone) || walks();
        (based && newer && boot && fits && verified).then(|| Rc::clone(root))
    }

    /// Steps 1 to 4 of opening, without the sync. Who only reads writes nothing.
    pub(super) fn look(&mut self, process: usize, found: Found, turn: &mut Turn) -> Passage {
        let Found { slot, meta, clean, spare_is_bad, ref head } = found;
        turn.say(|| {
            format!(
                "process {process} opens, and takes meta page {slot}: root {}, clean {clean}",
                meta.root.txn
            )
        });
        if process == ONLY_READS {
            let head = head.clone().unwrap_or_else(|| Rc::clone(&meta.root));
            return Passage::Begin { head, meta, slot, spare_is_bad, done: 0 };
        }
        if clean {
            // Both meta pages name the root. The newer one may be in the page cache alone, if its sync failed
            // or never ended: so that is the one to be written over.
            let slot = if self.breaks(Broken::CleanMetaReliedOn) { slot } else { 1 - slot };
            let head = Rc::clone(&meta.root);
            return Passage::Begin { head, meta, slot, spare_is_bad, done: 0 };
        }
        // What is in the page cache need not be on the disk, and a sync need not write it.
        if !self.breaks(Broken::NotWrittenAgain) {
            for (page, _) in &meta.record {
                self.disk.write_again(*page);
            }
            self.write_end_again(&meta.root);
            self.disk.metas[slot].write(Some(Rc::clone(&meta)));
        }
        Passage::Sync { slot, meta, spare_is_bad }
    }

    /// The file has to be as long as the root says, also where the last pages are free.
    fn write_end_again(&mut self, root: &Root) {
        if !self.breaks(Broken::EndNotWrittenAgain) {
            self.disk.write_again(root.page_count - 1);
        }
    }

    /// The sync; and step 6, whose pages are written again.
    pub(super) fn settle(
        &mut self,
        slot: usize,
        meta: Rc<Meta>,
        spare_is_bad: bool,
        turn: &mut Turn,
    ) -> Passage {
        turn.say(|| "opening has written that again, and synced".to_owned());
        if !self.breaks(Broken::RecoveryDoesNotSync) {
            let marks = self.disk.begin_sync(self.disk.len.cached);
            self.disk.end_sync(&marks);
        }
        let newer = self.newer_head(&meta, &self.disk.cached());
        if let Some(head) = &newer {
            turn.say(|| format!("opening finds the head record of {} whole", head.txn));
            if !self.breaks(Broken::HeadPagesNotWrittenAgain) {
                for (page, _) in head.younger_than(meta.root.txn) {
                    self.disk.write_again(page);
                }
            }
            self.write_end_again(head);
        }
        let head = newer.unwrap_or_else(|| Rc::clone(&meta.root));
        Passage::Begin { head, meta, slot, spare_is_bad, done: 0 }
    }

    /// Opening's sync fails. What is there could be read; here the process ends.
    pub(super) fn fail_opening(&mut self, turn: &mut Turn) {
        turn.say(|| "the sync of opening fails".to_owned());
        let marks = self.disk.begin_sync(self.disk.len.cached);
        self.disk.fail_sync(&marks, turn.choices);
        self.promises.shake(Txn(0));
        let process = self.door.as_ref().expect("somebody opens").process;
        self.leave(process);
    }
}
