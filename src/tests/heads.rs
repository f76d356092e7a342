//! Goal: a head record is believed when all that it names is there, and only then; and it is found behind
//! whichever meta page survives.
//! Method: a simulated disk as it is after a buffered commit, of which one page or meta page is put back to
//! what it was before, or part of a page.

use super::explore::{Place, formatted, leave};
use super::ops::Setup;
use super::version::sound;
use crate::page::{HEAD_AT, META_AT};
use crate::storage::sim::{Loss, SimDisk};
use crate::{Database, Durability, Recovery};

const BLOCK: usize = 4096;
const SECTOR: usize = 512;

fn put(db: &Database, key: &[u8], value: &[u8], durability: Durability) {
    let mut tx = db.begin_write().unwrap();
    tx.set_durability(durability);
    tx.create_raw("t", "k", "v").unwrap().insert(key, value).unwrap();
    tx.commit().unwrap();
}

fn has(db: &Database, key: &[u8]) -> bool {
    db.read(|tx| tx.open_raw("t")?.contains(key)).unwrap()
}

/// Opens a disk of this content; whether it is sound, has `key`, and adopted a head record.
fn found(content: Vec<u8>, setup: &Setup, key: &[u8]) -> (bool, bool) {
    let disk = SimDisk::with_content(content).unwrap();
    let db = Database::over(&setup.options(), disk.storage().unwrap()).unwrap();
    sound(&db).unwrap();
    let adopted = matches!(db.stats().unwrap().recovery, Recovery::Recovered { head_adopted: true, .. });
    let found = (has(&db, key), adopted);
    leave(&disk, db);
    found
}

/// Goal: no page of a buffered commit that is torn anywhere is taken for whole.
/// Method: a value lies in place of an older one, and ends in its last page's first sector.
#[test]
fn a_torn_page_of_a_buffered_commit_is_found() {
    let disk = SimDisk::with_content(formatted(&Setup::PLAIN)).unwrap();
    let db = Database::over(&Setup::PLAIN.options(), disk.storage().unwrap()).unwrap();
    let long = |fill| vec![fill; (64 << 10) + 4095];
    put(&db, b"old", &long(1), Durability::Immediate);
    put(&db, b"old", b"", Durability::Immediate);
    put(&db, b"other", b"", Durability::Immediate);
    let value = vec![2; (64 << 10) + 3];
    put(&db, b"new", &value, Durability::Buffered);
    let now = disk.event_count();
    let content = |loss| disk.crash(now, loss, 0).unwrap().content().unwrap();
    let (before, after) = (content(Loss::None), content(Loss::All));
    assert_eq!(found(after.clone(), &Setup::PLAIN, b"new"), (true, true));
    let changed: Vec<usize> = (0..before.len() / BLOCK)
        .map(|block| block * BLOCK)
        .filter(|at| before[*at..at + BLOCK] != after[*at..at + BLOCK])
        .collect();
    let mut last_pages = 0;
    for at in changed {
        for cut in (SECTOR..BLOCK).step_by(SECTOR) {
            for old in [at..at + cut, at + cut..at + BLOCK] {
                if before[old.clone()] == after[old.clone()] {
                    continue;
                }
                let place = format!("page {} torn at {cut}, old {old:?}", at / BLOCK);
                let _place = Place(&place);
                let mut content = after.clone();
                content[old.clone()].copy_from_slice(&before[old.clone()]);
                assert_eq!(found(content, &Setup::PLAIN, b"new"), (false, false));
                last_pages += usize::from(before[old.clone()][0] == 1 && after[old][0] == 0);
            }
        }
    }
    assert!(last_pages > 0, "an older value lay behind the end of the new one");
}

/// Goal: a buffered commit that happens during a sync is kept when the process ends, and found behind the
/// meta page that was durable as well as behind the one being written.
/// Method: the first and the second sync of two phases, and the sync of one, are held.
#[test]
fn a_commit_during_a_sync_is_found_behind_either_meta_page() {
    for (two_phase, nth) in [(true, 1), (true, 2), (false, 1)] {
        let setup = Setup { two_phase, ..Setup::PLAIN };
        let disk = SimDisk::with_content(formatted(&setup)).unwrap();
        let db = Database::over(&setup.options(), disk.storage().unwrap()).unwrap();
        put(&db, b"durable", b"", Durability::Immediate);
        put(&db, b"first", b"", Durability::Buffered);
        let syncs = disk.counters().syncs;
        let committed = std::thread::scope(|scope| {
            let mut held = Some(disk.hold_syncs());
            scope.spawn(|| db.sync().unwrap());
            for begun in 1..=nth {
                if begun > 1 {
                    // One sync may end. The next one is held again, or has begun: it makes no difference.
                    held = None;
                }
                while disk.counters().syncs < syncs + begun {
                    std::thread::yield_now();
                }
            }
            put(&db, b"second", b"", Durability::Buffered);
            drop(held);
            disk.event_count()
        });
        for point in committed..=disk.event_count() {
            let place = format!("two phases {two_phase}, sync {nth}, point {point} from {committed}");
            let _place = Place(&place);
            let content = |loss| disk.crash(point, loss, 0).unwrap().content().unwrap();
            let (before, after) = (content(Loss::None), content(Loss::All));
            assert_eq!(found(after.clone(), &setup, b"second"), (true, true));
            for at in META_AT.map(|at| usize::try_from(at).unwrap()) {
                let mut content = after.clone();
                content[at..at + BLOCK].copy_from_slice(&before[at..at + BLOCK]);
                assert_eq!(found(content, &setup, b"second"), (true, true));
            }
        }
    }
}

/// Goal: a page of a commit that was lost is not taken for one of a later commit in the same place.
/// Method: a buffered commit is lost with its head record, but its pages have arrived. The next one writes
/// the same pages, and one of them does not arrive.
#[test]
fn a_page_of_a_lost_commit_is_not_taken_for_a_later_one() {
    let setup = Setup::PLAIN;
    let open = |disk: &SimDisk| Database::over(&setup.options(), disk.storage().unwrap()).unwrap();
    let content = |disk: &SimDisk, loss| disk.crash(disk.event_count(), loss, 0).unwrap().content().unwrap();
    let disk = SimDisk::with_content(formatted(&setup)).unwrap();
    let db = open(&disk);
    put(&db, b"durable", b"", Durability::Immediate);
    // Both commits are the first ones after a recovery, so they are given the same pages.
    let disk = SimDisk::with_content(content(&disk, Loss::None)).unwrap();
    let db = open(&disk);
    put(&db, b"new", b"lost", Durability::Buffered);
    let (durable, mut lost) = (content(&disk, Loss::None), content(&disk, Loss::All));
    let head = usize::try_from(HEAD_AT).unwrap();
    lost[head..head + BLOCK].copy_from_slice(&durable[head..head + BLOCK]);

    let disk = SimDisk::with_content(lost).unwrap();
    let db = open(&disk);
    assert!(!has(&db, b"new"));
    put(&db, b"new", b"kept", Durability::Buffered);
    let (before, after) = (content(&disk, Loss::None), content(&disk, Loss::All));
    assert_eq!(found(after.clone(), &setup, b"new"), (true, true));
    let mut same_place = 0;
    for at in (0..before.len()).step_by(BLOCK) {
        if before[at..at + BLOCK] == after[at..at + BLOCK] {
            continue;
        }
        let place = format!("page {} did not arrive", at / BLOCK);
        let _place = Place(&place);
        let mut content = after.clone();
        content[at..at + BLOCK].copy_from_slice(&before[at..at + BLOCK]);
        assert_eq!(found(content, &setup, b"new"), (false, false));
        let is_header = [META_AT[0], META_AT[1], HEAD_AT].contains(&(at as u64));
        same_place += usize::from(!is_header && before[at..at + BLOCK].iter().any(|byte| *byte != 0));
    }
    assert!(same_place > 1, "the second commit has the pages of the first");
}
