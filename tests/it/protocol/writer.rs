//! A write transaction: from its scan of the pinned roots to the new head. It runs beside the leader and the
//! readers, of the same process and of others; there is one at a time (the writer lock). What follows is in
//! `publish`.

use std::rc::Rc;

use super::actions::Mix;
use super::broken::Broken;
use super::choices::Turn;
use super::disk::{Content, PAGES};
use super::leader::Job;
use super::publish::Publish;
use super::reader::Reader;
use super::roots::{Level, Page, Root, Txn, UNUSED};
use super::state::Model;

/// A write transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Writer {
    pub(super) process: usize,
    /// The root that its commit will make.
    pub(super) root: Root,
    /// How many loads of the scan are done.
    pub(super) scanned: usize,
    /// The roots that the scan has seen.
    pub(super) pins: Vec<Txn>,
    /// Pages that it still has to write.
    pub(super) writes_left: usize,
    /// It has written a page: its number is used up.
    pub(super) started: bool,
    /// It waits for a higher ceiling.
    pub(super) raises: bool,
    /// What is left to do once all pages are written.
    pub(super) publish: Option<Publish>,
}

/// What a scan loads, each a step of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    Captured,
    Durable,
    Head,
    /// The soft root, if it is newer than the durable one that was loaded before.
    Soft,
    Slots,
}

/// The order of `Shared::pins` in `src/pager/shared/mod.rs`.
///
/// A leader that ends sets durable before it clears the captures, so a scan that finds no capture finds the
/// new durable root. A reader publishes before it looks at the visible root again, so a scan that finds the
/// slot empty has seen what the reader will see, or something older than that.
const SCAN: [Load; 5] = [Load::Captured, Load::Durable, Load::Head, Load::Soft, Load::Slots];

impl Writer {
    pub(super) fn has_scanned(&self) -> bool {
        self.scanned == SCAN.len()
    }

    /// Pages of its own that it may write a second time.
    fn own_pages(&self) -> Vec<usize> {
        let own = |content: &Content| content.birth() == Some(self.root.txn);
        self.root.live().filter(|(_, content)| own(content)).map(|(page, _)| page).collect()
    }

    pub(super) fn can_rewrite(&self) -> bool {
        !self.root.rewrote && !self.own_pages().is_empty()
    }
}

fn numbers(txns: &[Txn]) -> String {
    let numbers: Vec<String> = txns.iter().map(Txn::to_string).collect();
    if numbers.is_empty() { "none".to_owned() } else { numbers.join(", ") }
}

impl Model {
    /// Begins on the head. What it will free is known from the beginning; that keeps the model small.
    pub(super) fn begin(&mut self, process: usize, mix: &Mix, turn: &mut Turn) {
        let small = mix.small;
        self.clear_dead_readers();
        let own_head = Rc::clone(&self.process(process).head);
        let head = Rc::clone(&self.words().head);
        let head = if self.breaks(Broken::WriterGoesOnFromOwnHead) { own_head } else { head };
        self.process(process).head = Rc::clone(&head);
        self.repair_head_record(turn);
        let from_head = self.breaks(Broken::NextIdTakenFromHead);
        let txn = if from_head { head.txn.next() } else { self.words().next_id };
        let level = if turn.choices.one_in(mix.immediate) { Level::Immediate } else { Level::Buffered };
        let mut root = Root { txn, level, rewrote: false, ..(*head).clone() };
        let live: Vec<(usize, Content)> = root.live().collect();
        let frees = if live.len() < 3 || small { 1 } else { 1 + turn.pick(2) };
        let writes_left = if live.len() > 3 || small { 1 } else { 1 + turn.pick(2) };
        let mut freed: Vec<usize> = Vec::new();
        for _ in 0..frees {
            let left: Vec<_> = live.iter().filter(|(page, _)| !freed.contains(page)).collect();
            let (page, content) = *left[turn.pick(left.len())];
            let birth = content.birth().expect("live pages are whole");
            root.pages[page] = Page::Dead { birth, death: txn };
            freed.push(page);
        }
        turn.say(|| {
            format!(
                "writer of {process} begins {txn}, {level:?}: will free {freed:?} and write {writes_left}"
            )
        });
        let (pins, publish) = (Vec::new(), None);
        let (scanned, started, raises) = (0, false, false);
        self.writer = Some(Writer { process, root, scanned, pins, writes_left, started, raises, publish });
    }

    /// A writer that was killed may have left a head record of a commit that is not visible and that nobody
    /// pins: what is visible must be found even so (`Pager::repair_head_record`).
    fn repair_head_record(&mut self, turn: &mut Turn) {
        let words = self.words();
        let visible = Rc::clone(words.visible());
        let is_needed = visible.txn != words.head.txn && visible.txn > words.durable.txn;
        if is_needed && !self.breaks(Broken::HeadRecordOfKilledWriterKept) {
            turn.say(|| format!("writer writes the head record of {} again", visible.txn));
            self.write_head_record(&visible);
        }
    }

    /// Clears what killed readers have left, where it pins something that is not visible any more
    /// (`Shared::clear_dead_readers`).
    fn clear_dead_readers(&mut self) {
        let blindly = self.breaks(Broken::LivingReadersCleared);
        let idle = self.readers.each_ref().map(|reader| blindly || *reader == Reader::Idle);
        let words = self.words();
        let visible = words.visible().txn;
        for (slot, is_idle) in words.slots.iter_mut().zip(idle) {
            slot.take_if(|txn| is_idle && *txn < visible);
        }
    }

    /// The next load of the scan.
    pub(super) fn scan(&mut self, turn: &mut Turn) {
        let mut order = SCAN;
        match self.broken {
            Some(Broken::ScanReadsDurableBeforeCaptured) => order.swap(0, 1),
            Some(Broken::ScanReadsSlotsFirst) => order.rotate_right(1),
            _ => {}
        }
        let broken = self.broken;
        let mut writer = self.writer.take().expect("a writer");
        let words = self.words();
        let load = order[writer.scanned];
        let skipped = match load {
            Load::Captured => broken == Some(Broken::CapturedNotPinned),
            Load::Durable => broken == Some(Broken::DurableNotPinned),
            Load::Head => broken == Some(Broken::HeadNotPinned),
            Load::Soft => broken == Some(Broken::SoftNotPinned),
            Load::Slots => false,
        };
        let seen: Vec<Txn> = match load {
            _ if skipped => Vec::new(),
            Load::Captured => words.captured.iter().flatten().copied().collect(),
            Load::Durable => vec![words.durable.txn],
            Load::Head => vec![words.head.txn],
            // One that is older than the durable root was visible once, and never will be again.
            Load::Soft if words.soft.txn < words.durable.txn => Vec::new(),
            Load::Soft => vec![words.soft.txn],
            Load::Slots => words.slots.iter().flatten().copied().collect(),
        };
        turn.say(|| format!("writer scans, {load:?}: {}", numbers(&seen)));
        writer.pins.extend(seen);
        writer.scanned += 1;
        if writer.has_scanned() && broken != Some(Broken::FreedPageReusedAtOnce) {
            writer.root.hang(&writer.pins);
        }
        self.writer = Some(writer);
    }

    /// Forgets what the scan has seen, to look which roots are pinned now.
    pub(super) fn scan_again(&mut self, turn: &mut Turn) {
        turn.say(|| "writer finds the disk full, and scans again".to_owned());
        let writer = self.writer.as_mut().expect("a writer");
        writer.scanned = 0;
        writer.pins.clear();
    }

    /// Pages that the transaction may write. Pages that never held anything are alike: the first will do.
    fn writable_pages(&self, writer: &Writer) -> Vec<usize> {
        let root = &writer.root;
        let at_once = self.breaks(Broken::FreedPageReusedAtOnce);
        let mut fresh = false;
        let inside = (0..root.page_count).filter(|page| match root.pages[*page] {
            Page::Live(_) => false,
            // What the transaction frees itself is not free before its commit.
            Page::Dead { death, .. } => at_once || death < root.txn && root.is_free(*page),
        });
        let mut pages: Vec<usize> = inside
            .filter(|page| {
                let is_fresh = self.disk.pages[*page].cached == Content::Nothing;
                let skipped = is_fresh && fresh;
                fresh |= is_fresh;
                !skipped
            })
            .collect();
        if root.page_count < PAGES {
            pages.push(root.page_count);
        }
        pages
    }

    /// Writes a page that no pinned root needs.
    pub(super) fn write_page(&mut self, turn: &mut Turn) {
        let mut writer = self.writer.take().expect("a writer");
        let pages = self.writable_pages(&writer);
        if pages.is_empty() {
            turn.say(|| format!("writer finds no room for {} and aborts", writer.root.txn));
            return;
        }
        self.start(&mut writer);
        let page = pages[turn.pick(pages.len())];
        turn.say(|| format!("writer writes page {page}"));
        writer.root.page_count = writer.root.page_count.max(page + 1);
        writer.writes_left -= 1;
        self.put(&mut writer, page);
        self.writer = Some(writer);
    }

    /// The number is used up as soon as it may stand on a page, whatever becomes of the transaction.
    fn start(&mut self, writer: &mut Writer) {
        if !writer.started && !self.breaks(Broken::NumberOfAbortedGivenAgain) {
            self.words().next_id = writer.root.txn.next();
        }
        writer.started = true;
    }

    fn put(&mut self, writer: &mut Writer, page: usize) {
        self.writes += 1;
        let content = Content::Written { birth: writer.root.txn, serial: self.writes };
        writer.root.pages[page] = Page::Live(content);
        self.disk.write(page, content);
    }

    /// The transaction has outgrown its memory before, frees a page of its own and writes the place anew: two
    /// contents of one birth.
    pub(super) fn rewrite_page(&mut self, turn: &mut Turn) {
        let mut writer = self.writer.take().expect("a writer");
        let own = writer.own_pages();
        let page = own[turn.pick(own.len())];
        turn.say(|| format!("writer writes page {page} a second time"));
        writer.root.rewrote = true;
        self.put(&mut writer, page);
        self.writer = Some(writer);
    }

    /// Begins to raise the ceiling.
    pub(super) fn raise_ceiling(&mut self, turn: &mut Turn) {
        let writer = self.writer.as_mut().expect("a writer");
        writer.raises = true;
        let process = writer.process;
        turn.say(|| "writer raises the ceiling first".to_owned());
        self.lead_for(process, Job::Ceiling, false, turn);
    }

    pub(super) fn abort(&mut self, turn: &mut Turn) {
        let writer = self.writer.take().expect("a writer");
        turn.say(|| format!("writer aborts {}", writer.root.txn));
    }

    /// All pages are written (`Commit::finish`).
    pub(super) fn commit(&mut self, turn: &mut Turn) {
        let mut writer = self.writer.take().expect("a writer");
        self.trim(&mut writer, turn);
        // What it has freed itself hangs on the roots that it has seen.
        writer.root.hang(&writer.pins);
        let Root { txn, page_count, rewrote, .. } = writer.root;
        turn.say(|| {
            let rewrote = if rewrote { ", a page written twice" } else { "" };
            format!("writer is about to commit {txn}, page count {page_count}{rewrote}")
        });
        writer.publish = Some(Publish::Begin);
        self.writer = Some(writer);
    }

    /// Lowers the page count if the end of the file is free, and if that is thought to be worth it.
    fn trim(&mut self, writer: &mut Writer, turn: &mut Turn) {
        let root = &mut writer.root;
        let trimmed = root.trimmed();
        if trimmed < root.page_count && turn.choices.one_in(2) {
            root.pages[trimmed..].fill(UNUSED);
            root.page_count = trimmed;
        }
        let words = self.words();
        if writer.root.page_count < words.head.page_count {
            words.lowered = Some(writer.root.txn);
        }
    }

    /// Whether nobody can look behind the head's last page: every pinned root is at or after the commit that
    /// lowered the page count, and that is durable (`Pager::can_cut`).
    pub(super) fn can_cut(&self, process: usize) -> bool {
        let Some(words) = &self.words else { return false };
        let Some(lowered) = words.lowered else { return false };
        let own = |number: &usize| self.readers[*number].process() == Some(process);
        let all = self.broken != Some(Broken::CutByOwnPinsAlone);
        let slots = (0..words.slots.len()).filter(|number| all || own(number));
        let readers = slots.filter_map(|number| words.slots[number]);
        let roots = words.captured.iter().flatten().copied();
        let roots = roots.chain([&words.durable, &words.head, words.visible()].map(|root| root.txn));
        match self.broken {
            Some(Broken::CutWhileOlderRootIsRead) => words.durable.txn >= lowered,
            Some(Broken::CutBeforeDurable) => readers.chain([words.visible().txn]).all(|pin| pin >= lowered),
            _ => words.durable.txn >= lowered && roots.chain(readers).all(|pin| pin >= lowered),
        }
    }

    /// Cuts the file behind the head's last page (`Pager::cut_file`): in one step, since whoever pins a root
    /// meanwhile pins one that is no longer than the head.
    pub(super) fn cut(&mut self, process: usize, turn: &mut Turn) {
        let own_head = Rc::clone(&self.process(process).head);
        let own = self.breaks(Broken::CutBehindOwnHead);
        let words = self.words();
        let len = if own { own_head.page_count } else { words.head.page_count };
        words.lowered = None;
        if self.disk.len.cached > len {
            turn.say(|| format!("process {process} cuts the file to {len} pages"));
            self.disk.cut(len);
        }
    }
}
