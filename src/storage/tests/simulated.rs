//! Goal: a simulated crash leaves what the rules of `replay` allow, all of it at some seed, and nothing else.
//! Method: small histories whose possible outcomes are written out; a block is known by the byte that fills
//! it.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::error::Error;
use crate::storage::replay::Replay;
use crate::storage::sim::{Counters, Event, Fault, Loss, Rng, SimDisk};
use crate::storage::tests::check_errno;
use crate::storage::{Access, Advice, Call, Mapping, Storage, sys};

const BLOCK: usize = 4096;

/// A disk, its file open and mapped.
struct Bench {
    disk: SimDisk,
    storage: Storage,
    mapping: Mapping,
}

impl Bench {
    /// With so many durable blocks of zeros.
    fn new(blocks: usize) -> Bench {
        let disk = SimDisk::with_content(vec![0; blocks * BLOCK]).unwrap();
        let storage = disk.storage().unwrap();
        let mapping = storage.map(1 << 20, Advice::Normal).unwrap();
        Bench { disk, storage, mapping }
    }

    fn write(&self, block: u64, fill: u8) {
        self.storage.write_at(&[&[fill; BLOCK]], block * BLOCK as u64).unwrap();
    }

    fn sync(&self) {
        self.storage.sync(&self.mapping, self.storage.len().unwrap()).unwrap();
    }

    /// The first byte of every block after a crash.
    fn crash(&self, point: usize, loss: Loss, seed: u64) -> Vec<u8> {
        let content = self.disk.crash(point, loss, seed).unwrap().content().unwrap();
        content.iter().step_by(BLOCK).copied().collect()
    }

    /// What is found over many seeds, after all that happened.
    fn outcomes(&self, loss: Loss) -> BTreeSet<Vec<u8>> {
        let now = self.disk.event_count();
        (0..400).map(|seed| self.crash(now, loss, seed)).collect()
    }
}

fn set<const N: usize>(outcomes: [&[u8]; N]) -> BTreeSet<Vec<u8>> {
    outcomes.into_iter().map(<[u8]>::to_vec).collect()
}

#[test]
fn what_is_synced_stays_and_the_rest_may_go() {
    let bench = Bench::new(3);
    bench.write(0, 1);
    bench.sync();
    bench.write(1, 2);
    bench.write(2, 3);
    assert_eq!(bench.outcomes(Loss::None), set([&[1, 0, 0]]));
    assert_eq!(bench.outcomes(Loss::All), set([&[1, 2, 3]]));
    assert_eq!(bench.outcomes(Loss::Prefix), set([&[1, 0, 0], &[1, 2, 0], &[1, 2, 3]]));
    assert_eq!(bench.outcomes(Loss::Random), set([&[1, 0, 0], &[1, 2, 0], &[1, 0, 3], &[1, 2, 3]]));
    assert_eq!(bench.disk.content().unwrap()[BLOCK], 2, "the disk itself goes on");
}

#[test]
fn every_point_of_the_log_can_be_the_last() {
    let bench = Bench::new(2);
    bench.write(0, 1);
    bench.sync();
    bench.write(1, 2);
    let events = bench.disk.events();
    assert!(matches!(
        events[..],
        [
            Event::Write { offset: 0, .. },
            Event::SyncBegin { sync: 0, end: Some(8192) },
            Event::SyncEnd { sync: 0, ok: true },
            Event::Write { offset: 4096, .. }
        ]
    ));
    let durable: Vec<_> = (0..=4).map(|point| bench.crash(point, Loss::None, 0)).collect();
    assert_eq!(durable, [[0, 0], [0, 0], [0, 0], [1, 0], [1, 0]], "durable when the sync has ended");
    let all: Vec<_> = (0..=4).rev().map(|point| bench.crash(point, Loss::All, 0)).collect();
    assert_eq!(all, [[1, 2], [1, 0], [1, 0], [1, 0], [0, 0]], "and backwards");
}

#[test]
fn any_earlier_version_of_a_block_may_be_found() {
    let bench = Bench::new(1);
    bench.write(0, 1);
    bench.sync();
    for fill in 2..5 {
        bench.write(0, fill);
    }
    assert_eq!(bench.outcomes(Loss::Random), set([&[1], &[2], &[3], &[4]]));
    assert_eq!(bench.outcomes(Loss::Prefix), set([&[1], &[2], &[3], &[4]]));
}

#[test]
fn one_block_tears_between_sectors() {
    let bench = Bench::new(4);
    for block in 0..4 {
        bench.write(block, 1);
    }
    let mut tears = BTreeSet::new();
    for seed in 0..400 {
        let disk = bench.disk.crash(bench.disk.event_count(), Loss::Torn, seed).unwrap();
        let content = disk.content().unwrap();
        let torn: Vec<_> = content.chunks(BLOCK).enumerate().filter(|(_, b)| b[0] != b[BLOCK - 1]).collect();
        assert_eq!(torn.len(), 1, "seed {seed}");
        let (block, bytes) = torn[0];
        let at = bytes.iter().position(|&byte| byte != bytes[0]).unwrap();
        assert!(bytes[at..].iter().all(|&byte| byte == bytes[at]));
        tears.insert((block, at, bytes[0]));
    }
    let expected =
        (0..4).flat_map(|block| (1..8).flat_map(move |s| [(block, s * 512, 0), (block, s * 512, 1)]));
    assert_eq!(tears, expected.collect(), "every block, at every sector, the new part first or last");
    let durable = Bench::new(2);
    assert_eq!(durable.outcomes(Loss::Torn), set([&[0, 0]]), "what is durable does not tear");
}

#[test]
fn a_sync_covers_what_was_written_before_it_began() {
    // No thread writes during a simulated sync by chance: the log says what would have happened.
    let write = |offset, fill| Event::Write { offset, bytes: vec![fill; BLOCK] };
    let events = [
        write(0, 1),
        Event::SyncBegin { sync: 0, end: None },
        write(0, 2),
        write(4096, 3),
        Event::SyncEnd { sync: 0, ok: true },
    ];
    let mut replay = Replay::new(vec![0; 2 * BLOCK]);
    replay.advance(&events, events.len());
    let found: BTreeSet<_> = (0..200)
        .map(|seed| {
            let content = replay.after_crash(&events, Loss::Random, &mut Rng::new(seed), Vec::new());
            [content[0], content[BLOCK]]
        })
        .collect();
    assert_eq!(found, [[1, 0], [1, 3], [2, 0], [2, 3]].into());
}

#[test]
fn a_sync_covers_what_lies_below_its_end() {
    let bench = Bench::new(3);
    for block in 0..3 {
        bench.write(block, 1);
    }
    bench.storage.sync(&bench.mapping, 4097).unwrap();
    assert_eq!(bench.outcomes(Loss::None), set([&[1, 1, 0]]), "rounded up to a page of the system");
    let asked = bench.disk.events()[3].clone();
    assert_eq!(asked, Event::SyncBegin { sync: 0, end: Some(4097_u64.next_multiple_of(sys::page_size())) });
    // fdatasync knows no end.
    let reader = bench.disk.storage_with(Access::ReadOnly).unwrap();
    reader.sync(&reader.map(0, Advice::Normal).unwrap(), 1).unwrap();
    assert_eq!(bench.outcomes(Loss::None), set([&[1, 1, 1]]));
    assert!(matches!(bench.disk.events()[5], Event::SyncBegin { sync: 1, end: None }));
}

#[test]
fn a_failed_sync_is_not_made_good_by_the_next() {
    let bench = Bench::new(2);
    bench.write(0, 1);
    bench.disk.inject(Fault::new(Some(Call::Sync), 1, libc::EIO));
    let len = bench.storage.len().unwrap();
    check_errno(bench.storage.sync(&bench.mapping, len), "msync", libc::EIO);
    assert_eq!(bench.disk.counters().syncs, 1, "a failed sync is never repeated");
    bench.write(1, 2);
    bench.sync();
    assert_eq!(bench.outcomes(Loss::Random), set([&[0, 2], &[1, 2]]), "block 0 counts as clean");
    bench.write(0, 3);
    bench.sync();
    assert_eq!(bench.outcomes(Loss::Random), set([&[3, 2]]), "written again, it is dirty again");
}

#[test]
fn growth_without_a_sync_may_be_lost() {
    let bench = Bench::new(1);
    bench.storage.extend_zeroed(4096, 3 * 4096).unwrap();
    bench.write(1, 1);
    let lens = |loss| -> BTreeSet<usize> {
        let now = bench.disk.event_count();
        (0..400).map(|seed| bench.disk.crash(now, loss, seed).unwrap().content().unwrap().len()).collect()
    };
    assert_eq!(lens(Loss::None), [4096].into());
    assert_eq!(lens(Loss::All), [3 * 4096].into());
    let random = lens(Loss::Random);
    assert!(random.contains(&4096) && random.contains(&8192) && random.contains(&(3 * 4096)));
    assert!(random.iter().any(|len| len % 512 != 0), "any length is possible");
    for seed in 0..400 {
        let content =
            bench.disk.crash(bench.disk.event_count(), Loss::Random, seed).unwrap().content().unwrap();
        if content.len() > 4096 && content[4096] == 1 {
            assert!(content.len() >= 8192, "the length covers what arrived, seed {seed}");
        }
    }
    bench.storage.sync(&bench.mapping, 8192).unwrap();
    assert_eq!(lens(Loss::None), [8192].into(), "durable as far as the sync reaches");
    bench.sync();
    assert_eq!(lens(Loss::Torn), [3 * 4096].into());
}

#[test]
fn growth_alone_may_be_lost() {
    let bench = Bench::new(2);
    bench.write(1, 1);
    bench.write(2, 2);
    bench.storage.extend_zeroed(3 * 4096, 4 * 4096).unwrap();
    bench.write(0, 3);
    assert_eq!(bench.outcomes(Loss::Growth), set([&[3, 1], &[3, 1, 0, 0]]));
    bench.storage.truncate(4096).unwrap();
    bench.write(1, 4);
    assert_eq!(bench.outcomes(Loss::Growth), set([&[3], &[3, 0]]), "a cut arrives, the growth after it not");
    bench.sync();
    assert_eq!(bench.outcomes(Loss::Growth), set([&[3, 4]]));
}

#[test]
fn a_cut_arrives_before_what_follows_it() {
    let bench = Bench::new(3);
    for block in 0..3 {
        bench.write(block, 1);
    }
    bench.sync();
    bench.storage.truncate(4096).unwrap();
    bench.write(2, 2);
    assert_eq!(bench.outcomes(Loss::None), set([&[1, 1, 1]]));
    assert_eq!(bench.outcomes(Loss::All), set([&[1, 0, 2]]));
    assert_eq!(bench.outcomes(Loss::Prefix), set([&[1, 1, 1], &[1], &[1, 0, 2]]));
    // Never the 2 beside the old 1 in the middle: the new block was added after the cut. The length may lie
    // between.
    let lost = bench.outcomes(Loss::Random);
    assert_eq!(lost, set([&[1, 1, 1], &[1], &[1, 0], &[1, 0, 0], &[1, 0, 2]]));
    bench.storage.sync(&bench.mapping, 4096).unwrap();
    let cut = bench.outcomes(Loss::Random);
    assert_eq!(
        cut,
        set([&[1], &[1, 0], &[1, 0, 0], &[1, 0, 2]]),
        "a sync makes the cut durable, whatever its end"
    );
    bench.sync();
    assert_eq!(bench.outcomes(Loss::Random), set([&[1, 0, 2]]));
}

#[test]
fn nothing_comes_back_from_behind_a_durable_cut() {
    let bench = Bench::new(1);
    bench.write(1, 5);
    bench.write(2, 6);
    bench.storage.truncate(4096 + 100).unwrap();
    bench.storage.sync(&bench.mapping, 4096).unwrap();
    for loss in Loss::EACH {
        for seed in 0..50 {
            let now = bench.disk.event_count();
            let content = bench.disk.crash(now, loss, seed).unwrap().content().unwrap();
            assert_eq!(content.len(), 4096 + 100, "the length of the cut, {loss:?}, seed {seed}");
        }
    }
    bench.storage.truncate(3 * 4096).unwrap();
    let found = bench.outcomes(Loss::Random).into_iter().flatten().collect::<BTreeSet<u8>>();
    assert_eq!(found, [0, 5].into(), "the 6 lay behind the cut");
}

#[test]
fn a_sync_from_before_a_cut_does_not_undo_it() {
    let begin = |sync| Event::SyncBegin { sync, end: None };
    let end = |sync| Event::SyncEnd { sync, ok: true };
    let events = [begin(0), Event::Truncate { len: 4096 }, begin(1), end(1), end(0)];
    let mut replay = Replay::new(vec![1; 2 * BLOCK]);
    replay.advance(&events, events.len());
    for loss in Loss::EACH {
        assert_eq!(replay.after_crash(&events, loss, &mut Rng::new(0), Vec::new()), [1; BLOCK]);
    }
}

#[test]
fn seeds_reproduce() {
    let bench = Bench::new(8);
    for step in 0..200_u8 {
        bench.write(u64::from(step) * 7 % 16, step);
        if step % 50 == 0 {
            bench.sync();
        }
    }
    let point = bench.disk.event_count() - 10;
    let image = |loss, seed| bench.disk.crash(point, loss, seed).unwrap().content().unwrap();
    for loss in Loss::EACH {
        let first: Vec<_> = (0..20).map(|seed| image(loss, seed)).collect();
        bench.disk.crash(3, loss, 0).unwrap();
        let second: Vec<_> = (0..20).map(|seed| image(loss, seed)).collect();
        assert!(first == second, "{loss:?}");
    }
    assert_ne!(image(Loss::Random, 1), image(Loss::Random, 2));
}

#[test]
fn a_disk_after_a_crash_is_a_disk() {
    let bench = Bench::new(2);
    bench.write(0, 1);
    let disk = bench.disk.crash(1, Loss::All, 0).unwrap();
    assert_eq!((disk.event_count(), disk.counters()), (0, Counters::default()));
    let storage = disk.storage().unwrap();
    let mapping = storage.map(1 << 20, Advice::Normal).unwrap();
    super::check_bytes(&mapping, 0, &[1; BLOCK]);
    storage.write_at(&[b"second life"], 4096).unwrap();
    super::check_bytes(&mapping, 4096, b"second life");
    let again = disk.crash(1, Loss::None, 0).unwrap().content().unwrap();
    assert_eq!((again[0], again[4096]), (1, 0), "what the crash left is durable");
    let other = disk.storage().unwrap();
    let _lock = storage.lock_exclusive().unwrap();
    assert!(matches!(other.lock_shared(), Err(Error::Locked { .. })), "two opens of one disk");
}

#[test]
fn calls_fail_as_they_are_told() {
    let bench = Bench::new(1);
    let Bench { disk, storage, mapping } = &bench;
    for (call, errno) in [(Call::Read, libc::EIO), (Call::Map, libc::ENODEV), (Call::Lock, libc::ENOLCK)] {
        disk.inject(Fault::new(Some(call), 2, errno));
        for nth in 1..=3 {
            let (name, result) = match call {
                Call::Read => ("pread", storage.read_exact_at(&mut [0], 0)),
                Call::Map => ("mmap", storage.map(0, Advice::Normal).map(drop)),
                _ => ("flock", storage.lock_exclusive().map(drop)),
            };
            match nth {
                2 => check_errno(result, name, errno),
                _ => result.unwrap(),
            }
        }
    }
    disk.inject(Fault::new(Some(Call::Truncate), 1, libc::EIO));
    check_errno(storage.truncate(0), "ftruncate", libc::EIO);
    assert_eq!(storage.len().unwrap(), 4096);
    disk.inject(Fault::new(Some(Call::Write), 1, libc::ENOSPC).partial(1000).forever());
    for _ in 0..2 {
        check_errno(storage.write_at(&[&[9; 2000]], 0), "pwritev", libc::ENOSPC);
    }
    let content = disk.content().unwrap();
    assert_eq!((content[999], content[1000]), (9, 0), "part of a failed write is done");
    storage.sync(mapping, 4096).unwrap();
    disk.clear_faults();
    storage.write_at(&[b"x"], 0).unwrap();
    disk.inject(Fault::new(None, 1, libc::EIO).forever());
    check_errno(storage.read_exact_at(&mut [0], 0), "pread", libc::EIO);
    check_errno(storage.sync(mapping, 1), "msync", libc::EIO);
}

#[test]
fn counters_count() {
    let bench = Bench::new(1);
    let before = bench.disk.counters();
    assert_eq!(before, Counters { maps: 1, ..Counters::default() });
    bench.write(0, 1);
    bench.storage.extend_zeroed(4096, 100_000).unwrap();
    bench.sync();
    bench.storage.truncate(4096).unwrap();
    bench.storage.read_exact_at(&mut [0], 0).unwrap();
    bench.storage.lock_shared().unwrap();
    let after = bench.disk.counters();
    let expected =
        Counters { reads: 1, writes: 1, grows: 2, truncates: 1, syncs: 1, maps: 1, locks: 1, ..after };
    assert_eq!((after, after.bytes_written), (expected, 100_000));
}

#[test]
fn any_history_can_be_replayed() {
    for seed in 0..40 {
        let bench = Bench::new(4);
        let mut rng = Rng::new(seed);
        let mut contents = vec![(0, bench.disk.content().unwrap())];
        let mut honest = true;
        while bench.disk.event_count() < 60 {
            let len = bench.storage.len().unwrap();
            let offset = rng.below(len + 5000);
            match rng.below(8) {
                0 => bench.storage.truncate(offset).unwrap(),
                1 => bench.storage.extend_zeroed(len, len + rng.below(9000)).unwrap(),
                2 => bench.storage.sync(&bench.mapping, offset).unwrap(),
                3 => bench.sync(),
                4 if rng.below(3) == 0 => {
                    bench.disk.inject(Fault::new(Some(Call::Sync), 1, libc::EIO));
                    bench.storage.sync(&bench.mapping, len).unwrap_err();
                    honest = false;
                }
                _ => {
                    let bytes = vec![rng.next().to_le_bytes()[0]; rng.index(9000)];
                    bench.storage.write_at(&[&bytes], offset).unwrap();
                }
            }
            contents.push((bench.disk.event_count(), bench.disk.content().unwrap()));
            if honest && matches!(bench.disk.events().last(), Some(Event::SyncEnd { .. })) {
                check_durable(&bench, seed);
            }
        }
        let len_max = contents.iter().map(|(_, content)| content.len()).max().unwrap();
        for (point, content) in contents {
            let at = |loss| bench.disk.crash(point, loss, seed).unwrap().content().unwrap();
            let all = at(Loss::All);
            assert_eq!(all.len(), content.len(), "seed {seed}, point {point}");
            let differs = all.iter().zip(&content).position(|(found, expected)| found != expected);
            assert_eq!(differs, None, "seed {seed}, point {point}");
            for loss in Loss::EACH {
                assert!(at(loss).len() <= len_max, "seed {seed}, point {point}, {loss:?}");
            }
        }
    }
}

/// After a sync, every crash keeps what lies below its end.
fn check_durable(bench: &Bench, seed: u64) {
    let events = bench.disk.events();
    let Event::SyncBegin { end, .. } = events[events.len() - 2] else { panic!("a sync begins") };
    let content = bench.disk.content().unwrap();
    let kept = end.map_or(content.len(), |end| content.len().min(end.try_into().unwrap()));
    for loss in Loss::EACH {
        let found = bench.disk.crash(events.len(), loss, seed).unwrap().content().unwrap();
        assert!(found.get(..kept) == Some(&content[..kept]), "seed {seed}, point {}, {loss:?}", events.len());
    }
}

/// Not a limit, which a busy machine would break: the figure is for who wants to know.
#[test]
fn a_crash_is_cheap() {
    let bench = Bench::new(64);
    for step in 0..1000_u64 {
        bench.write(step * 31 % 64, step.to_le_bytes()[0]);
        if step % 10 == 9 {
            bench.sync();
        }
    }
    let start = Instant::now();
    let points = bench.disk.event_count();
    for point in 0..points {
        bench.disk.crash(point, Loss::Random, point as u64).unwrap();
    }
    let each = start.elapsed() / u32::try_from(points).unwrap();
    println!("{points} crashes of a file of 256 KiB, {each:?} each");
    assert!(each.as_millis() < 50, "{each:?} each");
}
