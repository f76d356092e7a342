//! A write transaction: from its scan of the pinned roots to the new head. It runs beside the leader and the
//! readers; there is one at a time (the writer lock).

use std::rc::Rc;

use super::actions::Mix;
use super::broken::Broken;
use super::choices::Turn;
use super::disk::{Content, HeadRecord, PAGES};
use super::roots::{Level, Page, Root, Txn, UNUSED};
use super::state::Model;

/// A write transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Writer {
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
}

/// What a scan loads, each a step of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    Captured,
    Durable,
    Head,
    Visible,
    Slots,
}

/// The order of `Shared::pins` in `src/pager/shared.rs`.
///
/// A leader that ends sets durable before it clears its capture, so a scan that finds no capture finds the
/// new durable root. A reader publishes before it looks at the visible root again, so a scan that finds the
/// slot empty has seen what the reader will see, or something older than that.
const SCAN: [Load; 5] = [Load::Captured, Load::Durable, Load::Head, Load::Visible, Load::Slots];

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
    pub(super) fn begin(&mut self, mix: &Mix, turn: &mut Turn) {
        let small = mix.small;
        let open = self.memory();
        let txn = open.next_txn;
        let level = if turn.choices.one_in(mix.immediate) { Level::Immediate } else { Level::Buffered };
        let mut root = Root { txn, level, rewrote: false, ..(*open.head).clone() };
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
        turn.say(|| format!("writer begins {txn}, {level:?}: will free {freed:?} and write {writes_left}"));
        let writer = Writer { root, scanned: 0, pins: Vec::new(), writes_left, started: false };
        self.memory().writer = Some(writer);
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
        let open = self.memory();
        let mut writer = open.writer.take().expect("a writer");
        let load = order[writer.scanned];
        let skipped = match load {
            Load::Captured => broken == Some(Broken::CapturedNotPinned),
            Load::Durable => broken == Some(Broken::DurableNotPinned),
            Load::Head => broken == Some(Broken::HeadNotPinned),
            Load::Visible | Load::Slots => false,
        };
        let seen: Vec<Txn> = match load {
            _ if skipped => Vec::new(),
            Load::Captured => open.captured.into_iter().chain(open.orphans.iter().copied()).collect(),
            Load::Durable => vec![open.durable],
            Load::Head => vec![open.head.txn],
            Load::Visible => vec![open.visible.txn],
            Load::Slots => open.slots.iter().flatten().copied().collect(),
        };
        turn.say(|| format!("writer scans, {load:?}: {}", numbers(&seen)));
        writer.pins.extend(seen);
        writer.scanned += 1;
        if writer.has_scanned() && broken != Some(Broken::FreedPageReusedAtOnce) {
            writer.root.hang(&writer.pins);
        }
        open.writer = Some(writer);
    }

    /// Forgets what the scan has seen, to look which roots are pinned now.
    pub(super) fn scan_again(&mut self, turn: &mut Turn) {
        turn.say(|| "writer finds the disk full, and scans again".to_owned());
        let writer = self.memory().writer.as_mut().expect("a writer");
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
        let mut writer = self.memory().writer.take().expect("a writer");
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
        self.memory().writer = Some(writer);
    }

    /// The number is used up as soon as it may stand on a page, whatever becomes of the transaction.
    fn start(&mut self, writer: &mut Writer) {
        if !writer.started && !self.breaks(Broken::NumberOfAbortedGivenAgain) {
            self.memory().next_txn = writer.root.txn.next();
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
        let mut writer = self.memory().writer.take().expect("a writer");
        let own = writer.own_pages();
        let page = own[turn.pick(own.len())];
        turn.say(|| format!("writer writes page {page} a second time"));
        writer.root.rewrote = true;
        self.put(&mut writer, page);
        self.memory().writer = Some(writer);
    }

    pub(super) fn abort(&mut self, turn: &mut Turn) {
        let writer = self.memory().writer.take().expect("a writer");
        turn.say(|| format!("writer aborts {}, or is killed", writer.root.txn));
    }

    /// Makes the transaction's root the head (`Commit::finish`, `Pager::publish`).
    pub(super) fn commit(&mut self, turn: &mut Turn) {
        let mut writer = self.memory().writer.take().expect("a writer");
        if self.memory().ended {
            turn.say(|| format!("writer cannot commit {}: writing has ended", writer.root.txn));
            return;
        }
        self.trim(&mut writer, turn);
        // What it has freed itself hangs on the roots that it has seen.
        writer.root.hang(&writer.pins);
        let root = Rc::new(writer.root);
        let (level, rewrote) = (root.level, root.rewrote);
        let open = self.memory();
        open.next_txn = root.txn.next();
        // Visible roots are shown in the order of commits, and what a crash may take back stands behind no
        // immediate commit.
        let follows = open.visible.txn == open.head.txn;
        open.head = Rc::clone(&root);
        self.promises.history.push(Rc::clone(&root));
        let visible = match level {
            Level::Immediate => self.breaks(Broken::ImmediateVisibleAtOnce),
            Level::Buffered => {
                (follows || self.breaks(Broken::BufferedVisibleBehindImmediate))
                    && (!rewrote || self.breaks(Broken::PageWrittenTwiceLeftToHeadRecord))
            }
        };
        if visible {
            if level == Level::Buffered && !self.breaks(Broken::NoHeadRecord) {
                self.write_head_record(&root);
            }
            self.memory().visible = Rc::clone(&root);
            self.promises.show(&root);
        }
        turn.say(|| {
            let rewrote = if rewrote { ", a page written twice" } else { "" };
            let visible = if visible { "head and visible" } else { "head" };
            format!("writer commits {}: {visible}, page count {}{rewrote}", root.txn, root.page_count)
        });
    }

    /// Lowers the page count if the end of the file is free, and if that is thought to be worth it.
    fn trim(&mut self, writer: &mut Writer, turn: &mut Turn) {
        let root = &mut writer.root;
        let trimmed = root.trimmed();
        if trimmed < root.page_count && turn.choices.one_in(2) {
            root.pages[trimmed..].fill(UNUSED);
            root.page_count = trimmed;
        }
        let open = self.memory();
        if writer.root.page_count < open.head.page_count {
            open.lowered = Some(writer.root.txn);
        }
    }

    /// Says which commit is the newest visible one, and on which meta pages it builds. Never synced by
    /// itself.
    pub(super) fn write_head_record(&mut self, root: &Rc<Root>) {
        let boot = self.boot;
        let mut bases = self.memory().bases;
        match self.broken {
            Some(Broken::HeadRecordNamesOnlyDurable) => bases[1] = 0,
            Some(Broken::HeadRecordNamesOnlyNew) if bases[1] != 0 => bases[0] = 0,
            _ => {}
        }
        self.memory().recorded = true;
        self.disk.head_record.write(Some(Rc::new(HeadRecord { bases, boot, root: Rc::clone(root) })));
    }

    /// Whether nobody can look behind the head's last page: every pinned root is at or after the commit that
    /// lowered the page count, and that is durable (`Pager::can_cut`).
    pub(super) fn can_cut(&self) -> bool {
        let Some(open) = &self.open else { return false };
        let Some(lowered) = open.lowered else { return false };
        let readers = open.slots.iter().flatten().copied();
        let roots = open.captured.into_iter().chain(open.orphans.iter().copied());
        let roots = roots.chain([open.durable, open.head.txn, open.visible.txn]);
        match self.broken {
            Some(Broken::CutWhileOlderRootIsRead) => open.durable >= lowered,
            Some(Broken::CutBeforeDurable) => readers.chain([open.visible.txn]).all(|pin| pin >= lowered),
            _ => open.durable >= lowered && roots.chain(readers).all(|pin| pin >= lowered),
        }
    }

    /// Cuts the file behind the head's last page.
    pub(super) fn cut(&mut self, turn: &mut Turn) {
        let open = self.memory();
        let len = open.head.page_count;
        open.lowered = None;
        if self.disk.len.cached > len {
            turn.say(|| format!("writer cuts the file to {len} pages"));
            self.disk.cut(len);
        }
    }
}
