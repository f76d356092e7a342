//! What a disk may hold after a power cut: the rules of the simulation.
//!
//! The file is seen as blocks of 4 KiB. Each change to a block gives it a new *version*; version 0 is
//! durable, the others are pending. After a crash a block has one of its versions, and blocks choose
//! independently. The rules:
//!
//! - A sync that ended well makes durable, of each block that was dirty below its end, the version at its
//!   beginning. What was written while it ran stays pending.
//! - A sync that failed, or has not ended yet, makes nothing durable. After a failed one its blocks count as
//!   clean, as in Linux: their pending versions may be on the disk or not, and a later sync does **not** make
//!   them durable unless the block was written again.
//! - Shortening (a *cut*) reaches the disk in order, as in the journal of a file system: a later one not
//!   without an earlier one. Where a cut is lost, so is everything written later to the blocks that it cut.
//!   Any sync that ends well makes the cuts before its beginning durable.
//! - The length after a crash covers the durable length (or the last cut that arrived) and every byte that
//!   arrived. Beyond that it is anything up to the length that the file had; bytes that did not arrive below
//!   it are zeros.
//! - A sync of less than the file makes the length durable only as far as it reaches.

use std::collections::{BTreeMap, HashMap};
use std::ops::{Range, RangeInclusive};

use crate::storage::sim::{Event, Loss, Rng};

/// The unit that arrives or does not.
const BLOCK: usize = 4096;

/// The unit that a disk writes whole.
const SECTOR: usize = 512;

/// A prefix of a log, applied.
#[derive(Debug)]
pub(super) struct Replay {
    /// How many events are applied.
    position: usize,
    /// The durable content; zeros follow.
    durable: Vec<u8>,
    durable_len: u64,
    /// The length now, and after each event that changed it since the last durable cut.
    len: u64,
    lens: Vec<(usize, u64)>,
    /// Cuts that are not durable, and the last that is.
    cuts: Vec<Cut>,
    durable_cut: Option<Cut>,
    /// The blocks with pending changes.
    blocks: BTreeMap<u64, Block>,
    /// The syncs that have begun and not ended.
    running: HashMap<u64, Running>,
}

#[derive(Debug, Default)]
struct Block {
    /// The events that changed it, oldest first. Version `n` is the durable content with the first `n`
    /// applied.
    changes: Vec<usize>,
    /// Whether a sync would write it.
    dirty: bool,
}

#[derive(Debug, Clone, Copy)]
struct Cut {
    event: usize,
    len: u64,
}

/// What a sync found when it began.
#[derive(Debug)]
struct Running {
    event: usize,
    end: u64,
    len: u64,
    dirty: Vec<u64>,
}

impl Replay {
    /// The start: all of `content` is durable.
    pub(super) fn new(content: Vec<u8>) -> Replay {
        let len = content.len() as u64;
        Replay {
            position: 0,
            durable: content,
            durable_len: len,
            len,
            lens: Vec::new(),
            cuts: Vec::new(),
            durable_cut: None,
            blocks: BTreeMap::new(),
            running: HashMap::new(),
        }
    }

    /// How many events are applied.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// Applies the events up to `point`.
    pub(super) fn advance(&mut self, events: &[Event], point: usize) {
        assert!(point <= events.len(), "there are {} events, not {point}", events.len());
        while self.position < point {
            let event = self.position;
            match &events[event] {
                Event::Write { offset, bytes } => self.write(event, *offset, bytes.len() as u64),
                Event::Zeros { offset, len } => self.write(event, *offset, *len),
                Event::Truncate { len } => self.truncate(event, *len),
                Event::SyncBegin { sync, end } => self.begin_sync(event, *sync, *end),
                Event::SyncEnd { sync, ok } => self.end_sync(events, *sync, *ok),
            }
            self.position += 1;
        }
    }

    fn write(&mut self, event: usize, offset: u64, len: u64) {
        self.change(event, blocks_of(offset, offset + len));
        self.set_len(event, self.len.max(offset + len));
    }

    fn truncate(&mut self, event: usize, len: u64) {
        if len < self.len {
            self.change(event, blocks_of(len, self.len));
            self.cuts.push(Cut { event, len });
        }
        self.set_len(event, len);
    }

    fn change(&mut self, event: usize, blocks: Range<u64>) {
        for number in blocks {
            let block = self.blocks.entry(number).or_default();
            block.changes.push(event);
            block.dirty = true;
        }
    }

    fn set_len(&mut self, event: usize, len: u64) {
        if len != self.len {
            self.len = len;
            self.lens.push((event, len));
        }
    }

    fn begin_sync(&mut self, event: usize, sync: u64, end: Option<u64>) {
        let end = end.unwrap_or(u64::MAX);
        let dirty = self.blocks.range(..end.div_ceil(BLOCK as u64));
        let dirty = dirty.filter(|(_, block)| block.dirty).map(|(number, _)| *number).collect();
        self.running.insert(sync, Running { event, end, len: self.len, dirty });
    }

    fn end_sync(&mut self, events: &[Event], sync: u64, ok: bool) {
        let running = self.running.remove(&sync).expect("a sync ends after it began");
        if ok {
            // First: what was written behind a cut must not be cut off again.
            self.make_cuts_durable(running.event);
        }
        for number in &running.dirty {
            let Some(block) = self.blocks.get_mut(number) else { continue };
            let covered = block.changes.partition_point(|&change| change < running.event);
            if covered == block.changes.len() {
                block.dirty = false;
            }
            if ok {
                let start = start_of(*number);
                if self.durable.len() < start + BLOCK {
                    self.durable.resize(start + BLOCK, 0);
                }
                let bytes = &mut self.durable[start..start + BLOCK];
                for change in block.changes.drain(..covered) {
                    apply(&events[change], start, bytes);
                }
            }
        }
        if ok {
            self.make_len_durable(&running);
        }
        self.blocks.retain(|_, block| !block.changes.is_empty());
    }

    /// The cuts before `event` have reached the disk, with them the end of everything behind them.
    fn make_cuts_durable(&mut self, event: usize) {
        let count = self.cuts.partition_point(|cut| cut.event < event);
        for cut in self.cuts.drain(..count) {
            self.durable_len = cut.len;
            self.durable.truncate(usize::try_from(cut.len).expect("a file in memory"));
            self.durable_cut = Some(cut);
            for (_, block) in self.blocks.range_mut(cut.len.div_ceil(BLOCK as u64)..) {
                let before = block.changes.partition_point(|&change| change <= cut.event);
                block.changes.drain(..before);
            }
        }
    }

    fn make_len_durable(&mut self, running: &Running) {
        let cut = self.durable_cut.map(|cut| cut.event);
        // A sync that began before the last durable cut knows nothing about the length after it.
        if cut.is_none_or(|cut| cut < running.event) {
            self.durable_len = self.durable_len.max(running.len.min(running.end));
        }
        let durable_len = self.durable_len;
        self.lens.retain(|&(event, len)| {
            cut.is_none_or(|cut| cut < event) && (event >= running.event || len > durable_len)
        });
    }

    /// What the disk holds if the power fails now, in the memory of `buffer`.
    pub(super) fn after_crash(
        &self,
        events: &[Event],
        loss: Loss,
        rng: &mut Rng,
        buffer: Vec<u8>,
    ) -> Vec<u8> {
        let outcome = match loss {
            Loss::None => self.prefix(0),
            Loss::All => self.prefix(self.position),
            Loss::Prefix => {
                let pending = self.blocks.values().flat_map(|block| block.changes.first());
                let others = self.lens.iter().map(|(event, _)| event);
                let first = pending.chain(others).min().copied().unwrap_or(self.position);
                self.prefix(first + rng.index(self.position - first + 1))
            }
            Loss::Random => self.random(events, false, rng),
            Loss::Torn => self.random(events, true, rng),
            Loss::Growth => self.without_growth(rng.below(2) == 0),
        };
        self.compose(events, &outcome, buffer)
    }

    /// Everything that happened before `event` arrives, and nothing later.
    fn prefix(&self, event: usize) -> Outcome {
        let cuts_kept = self.cuts.partition_point(|cut| cut.event < event);
        let versions = self.blocks.iter().map(|(&number, block)| {
            let version = block.changes.partition_point(|&change| change < event);
            (number, Version::Whole(version))
        });
        let (least, most) = self.len_bounds(cuts_kept, event);
        Outcome { versions: versions.collect(), len: least.max(most) }
    }

    /// Everything arrives but what lies behind the certain length, and perhaps the length.
    fn without_growth(&self, keeps_len: bool) -> Outcome {
        let mut outcome = self.prefix(self.position);
        let (least, most) = self.len_bounds(self.cuts.len(), self.position);
        for (&number, block) in self.blocks.range(least.div_ceil(BLOCK as u64)..) {
            let oldest = *self.possible_versions(number, block, self.cuts.len()).start();
            outcome.versions.insert(number, Version::Whole(oldest));
        }
        outcome.len = if keeps_len { most } else { least };
        outcome
    }

    /// Each block for itself; with `torn`, one of them in two parts.
    fn random(&self, events: &[Event], torn: bool, rng: &mut Rng) -> Outcome {
        let cuts_kept = rng.index(self.cuts.len() + 1);
        // Mostly lost, even, or mostly there: with many blocks, "all but one" must not be out of reach.
        let arrives_of_16 = [1, 8, 15][rng.index(3)];
        let mut versions = BTreeMap::new();
        let mut choices = Vec::new();
        for (&number, block) in &self.blocks {
            let possible = self.possible_versions(number, block, cuts_kept);
            versions.insert(number, Version::Whole(choose(&possible, arrives_of_16, rng)));
            if possible.start() < possible.end() {
                choices.push((number, possible));
            }
        }
        if torn && !choices.is_empty() {
            let (number, possible) = choices.swap_remove(rng.index(choices.len()));
            versions.insert(number, tear(&possible, rng));
        }
        let (mut least, most) = self.len_bounds(cuts_kept, self.position);
        let cut = self.cuts[..cuts_kept].last().or(self.durable_cut.as_ref()).map(|cut| cut.event);
        for (number, version) in &versions {
            for &change in &self.blocks[number].changes[..version.newest()] {
                if cut.is_none_or(|cut| change > cut) {
                    least = least.max(end_within(&events[change], *number));
                }
            }
        }
        let more = most.saturating_sub(least);
        let len = match rng.below(3) {
            0 => least,
            1 => least + more,
            _ => least + rng.below(more + 1),
        };
        Outcome { versions, len }
    }

    /// The versions that a block can have if the first `cuts_kept` cuts arrived.
    fn possible_versions(&self, number: u64, block: &Block, cuts_kept: usize) -> RangeInclusive<usize> {
        let (start, end) = (number * BLOCK as u64, (number + 1) * BLOCK as u64);
        let (kept, lost) = self.cuts.split_at(cuts_kept);
        let floor = kept.iter().rfind(|cut| cut.len <= start);
        let limit = lost.iter().find(|cut| cut.len < end);
        let floor = floor.map_or(0, |cut| block.changes.partition_point(|&change| change <= cut.event));
        let limit = limit.map(|cut| block.changes.partition_point(|&change| change < cut.event));
        floor..=limit.unwrap_or(block.changes.len())
    }

    /// The length that is certain if the first `cuts_kept` cuts arrived, and the one the file had before the
    /// next cut and before `event`.
    fn len_bounds(&self, cuts_kept: usize, event: usize) -> (u64, u64) {
        let (kept, lost) = self.cuts.split_at(cuts_kept);
        let (begin, least) = kept.last().map_or((None, self.durable_len), |cut| (Some(cut.event), cut.len));
        let end = lost.first().map_or(event, |cut| cut.event.min(event));
        let window = self.lens.iter().filter(|(at, _)| *at < end && begin.is_none_or(|begin| *at > begin));
        let most = window.map(|(_, len)| *len).max().unwrap_or(least);
        (least, most.max(least))
    }

    fn compose(&self, events: &[Event], outcome: &Outcome, buffer: Vec<u8>) -> Vec<u8> {
        let len = usize::try_from(outcome.len).expect("a file in memory");
        let mut image = buffer;
        image.clone_from(&self.durable);
        image.resize(len.next_multiple_of(BLOCK), 0);
        for (&number, version) in &outcome.versions {
            let start = start_of(number);
            let Some(bytes) = image.get_mut(start..start + BLOCK) else { continue };
            let changes = &self.blocks[&number].changes;
            let durable = bytes.to_vec();
            for change in &changes[..version.newest_of_front()] {
                apply(&events[*change], start, bytes);
            }
            if let Version::Torn { at, back, .. } = *version {
                let mut other = durable;
                for change in &changes[..back] {
                    apply(&events[*change], start, &mut other);
                }
                bytes[at..].copy_from_slice(&other[at..]);
            }
        }
        image.truncate(len);
        image
    }
}

/// What arrived.
struct Outcome {
    versions: BTreeMap<u64, Version>,
    len: u64,
}

/// The version of a block that arrived.
#[derive(Debug, Clone, Copy)]
enum Version {
    Whole(usize),
    /// The bytes before `at` of one version, the others of another.
    Torn {
        at: usize,
        front: usize,
        back: usize,
    },
}

impl Version {
    fn newest_of_front(self) -> usize {
        match self {
            Version::Whole(version) => version,
            Version::Torn { front, .. } => front,
        }
    }

    fn newest(self) -> usize {
        match self {
            Version::Whole(version) => version,
            Version::Torn { front, back, .. } => front.max(back),
        }
    }
}

fn choose(possible: &RangeInclusive<usize>, arrives_of_16: u64, rng: &mut Rng) -> usize {
    let (oldest, newest) = (*possible.start(), *possible.end());
    if oldest == newest || rng.below(16) >= arrives_of_16 {
        return oldest;
    }
    // The newest is the likely one. Those in between are there if something wrote it out early.
    if rng.below(2) == 0 { newest } else { oldest + 1 + rng.index(newest - oldest) }
}

fn tear(possible: &RangeInclusive<usize>, rng: &mut Rng) -> Version {
    let count = possible.end() - possible.start() + 1;
    let first = rng.index(count);
    // Any but the first.
    let second = (first + 1 + rng.index(count - 1)) % count;
    let at = SECTOR * (1 + rng.index(BLOCK / SECTOR - 1));
    Version::Torn { at, front: possible.start() + first, back: possible.start() + second }
}

/// Applies the part of an event that changes the block at `start`.
fn apply(event: &Event, start: usize, block: &mut [u8]) {
    let within =
        |offset: u64| usize::try_from(offset).expect("a file in memory").saturating_sub(start).min(BLOCK);
    match event {
        Event::Write { offset, bytes } => {
            let target = within(*offset)..within(offset + bytes.len() as u64);
            let skip = start.saturating_sub(usize::try_from(*offset).expect("a file in memory"));
            block[target.clone()].copy_from_slice(&bytes[skip..skip + target.len()]);
        }
        Event::Zeros { offset, len } => block[within(*offset)..within(offset + len)].fill(0),
        Event::Truncate { len } => block[within(*len)..].fill(0),
        Event::SyncBegin { .. } | Event::SyncEnd { .. } => unreachable!("a sync changes no block"),
    }
}

/// Where the bytes that the event wrote to the block end in the file; 0 if it wrote none.
fn end_within(event: &Event, number: u64) -> u64 {
    let end = match event {
        Event::Write { offset, bytes } => offset + bytes.len() as u64,
        Event::Zeros { offset, len } => offset + len,
        _ => 0,
    };
    end.min((number + 1) * BLOCK as u64)
}

fn start_of(number: u64) -> usize {
    usize::try_from(number * BLOCK as u64).expect("a file in memory")
}

fn blocks_of(from: u64, to: u64) -> Range<u64> {
    from / BLOCK as u64..to.div_ceil(BLOCK as u64)
}
