//! Goal: opening says what it found, where somebody listens.
//! Method: a logger that keeps what its own thread says; disks that were left in different ways.

use std::cell::RefCell;
use std::sync::Once;

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::explore::{add, formatted};
use super::ops::Setup;
use super::version::Version;
use crate::page::{META_AT, META_LEN};
use crate::storage::Call;
use crate::storage::sim::{Fault, Loss, SimDisk};
use crate::{Database, Durability, Error, Recovery};

struct OfThisThread;

thread_local! {
    static SAID: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

impl Log for OfThisThread {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        SAID.with_borrow_mut(|said| said.push((record.level(), record.args().to_string())));
    }

    fn flush(&self) {}
}

/// Opens the disk; what was said of that.
fn opening(disk: &SimDisk) -> (Database, Vec<(Level, String)>) {
    static INIT: Once = Once::new();
    INIT.call_once(|| {
        log::set_logger(&OfThisThread).unwrap();
        log::set_max_level(LevelFilter::Debug);
    });
    SAID.take();
    let db = Database::over(&Setup::PLAIN.options(), disk.storage().unwrap()).unwrap();
    (db, SAID.take())
}

/// A disk as the end of the process leaves it, after an immediate commit and a buffered one.
fn left_behind() -> SimDisk {
    let disk = SimDisk::with_content(formatted(&Setup::PLAIN)).unwrap();
    let db = opening(&disk).0;
    add(&db, &mut Version::new());
    let mut tx = db.begin_write().unwrap();
    tx.set_durability(Durability::Buffered);
    tx.create_raw("buffered", "k", "v").unwrap().insert(b"key", b"value").unwrap();
    tx.commit().unwrap();
    disk.crash(disk.event_count(), Loss::All, 0).unwrap()
}

#[test]
fn a_clean_end_is_worth_a_word_for_who_looks_for_it() {
    let (_, said) = opening(&SimDisk::with_content(formatted(&Setup::PLAIN)).unwrap());
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].0, Level::Debug);
    assert!(said[0].1.ends_with(": the last end was clean"), "{said:?}");
}

#[test]
fn recovery_says_how_far_it_came() {
    let (db, said) = opening(&left_behind());
    let Recovery::Recovered { txn, head_adopted: true, bad_meta: false, .. } = db.stats().unwrap().recovery
    else {
        panic!("{said:?}")
    };
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].0, Level::Info);
    assert!(said[0].1.contains(&format!("unclean: recovered to transaction {txn}, ")), "{said:?}");
    assert!(said[0].1.ends_with("commits that were not durable yet included"), "{said:?}");
}

#[test]
fn a_torn_meta_page_is_a_warning() {
    let mut content = formatted(&Setup::PLAIN);
    let at = usize::try_from(META_AT[1]).unwrap() + META_LEN / 2;
    content[at] ^= 1;
    let disk = SimDisk::with_content(content).unwrap();
    let (db, said) = opening(&disk);
    assert!(matches!(db.stats().unwrap().recovery, Recovery::Recovered { bad_meta: true, .. }));
    assert_eq!(said.iter().map(|(level, _)| *level).collect::<Vec<_>>(), [Level::Warn]);
    assert!(said[0].1.ends_with("one of the two meta pages is torn"), "{said:?}");
    drop(db);
    // It was written anew.
    assert_eq!(opening(&disk).1[0].0, Level::Debug);
}

/// Goal: where what was found cannot be made durable, it can still be read, and the next opening tries again.
#[test]
fn what_cannot_be_made_durable_can_be_read() {
    for nth in 1..=3 {
        let disk = left_behind();
        disk.inject(Fault::new(Some(Call::Sync), nth, libc::EIO));
        let (db, said) = opening(&disk);
        assert_eq!(said.last().unwrap().0, Level::Error, "sync {nth}: {said:?}");
        assert!(said.last().unwrap().1.contains("writing has ended"), "{said:?}");
        assert!(db.begin_read().unwrap().open_raw("buffered").unwrap().contains(b"key").unwrap());
        assert!(matches!(db.begin_write(), Err(Error::WritingEnded { .. })));
        drop(db);
        let (db, said) = opening(&disk);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(db.begin_read().unwrap().open_raw("buffered").unwrap().contains(b"key").unwrap());
        db.begin_write().unwrap();
    }
}
