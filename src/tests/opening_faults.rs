//! Goal: whatever call of opening fails, opening says so or ends writing; nothing is lost, and the next
//! opening finds what this one should have.
//! Method: a scenario ends without a close, or with a power cut; then the database is opened once for every
//! call that opening makes, and that call fails. What the disk holds is looked at, and opened again.

use proptest::prelude::*;

use super::crash::number;
use super::explore::{Place, allowed, formatted, leave, try_add};
use super::model::Driver;
use super::ops::{Mix, Op, Setup, generate, op};
use super::version::{Version, holds, sound};
use crate::storage::Call;
use crate::storage::sim::{Fault, Loss, SimDisk};
use crate::{Database, Error};

const CALLS: [Call; 7] =
    [Call::Read, Call::Write, Call::Grow, Call::Sync, Call::Map, Call::Truncate, Call::Lock];

/// A disk as the end of the process leaves it: what is not synced is in the system's memory alone.
fn after_the_process(setup: &Setup, ops: &[Op]) -> Driver {
    let disk = SimDisk::with_content(formatted(setup)).unwrap();
    let mut driver = Driver::on(disk, setup.clone(), Version::new()).unwrap();
    driver.checks = false;
    driver.run(ops).unwrap();
    driver.disk.inject(Fault::new(None, 1, libc::EIO).forever());
    driver.close();
    driver.disk.clear_faults();
    driver
}

/// A disk, and what an opening without a fault finds there.
struct Left {
    disk: SimDisk,
    expected: Version,
}

fn open(setup: &Setup, disk: &SimDisk) -> crate::Result<Database> {
    Database::over(&setup.options(), disk.storage().unwrap())
}

fn shows(db: &Database, version: &Version) -> bool {
    holds(&db.begin_read().unwrap(), version).unwrap()
}

/// Opens `left.disk` with one call failing. Whether that call was made.
fn with_fault(setup: &Setup, left: &Left, call: Call, nth: u64, errno: i32) -> bool {
    let place = format!("{call:?} {nth} errno {errno}");
    let _place = Place(&place);
    let Left { disk, expected } = left;
    let before = disk.counters().of(call);
    disk.inject(Fault::new(Some(call), nth, errno).partial(usize::try_from(nth).unwrap() % 3 * 700));
    let opened = open(setup, disk);
    let tripped = disk.counters().of(call) - before >= nth;
    disk.clear_faults();
    let mut expected = expected.clone();
    match opened {
        Err(Error::Io { source, .. }) => assert_eq!(source.raw_os_error(), Some(errno)),
        Err(error) => panic!("no clear error: {error}"),
        Ok(db) => {
            assert!(shows(&db, &expected), "less than what is there: {:?}", db.stats());
            let now = disk.event_count();
            match db.begin_write() {
                Ok(tx) => {
                    drop(tx);
                    // What is shown by who may write is durable.
                    let image = disk.crash(now, Loss::None, 0).unwrap();
                    let again = open(setup, &image).unwrap();
                    assert!(shows(&again, &expected), "shown and lost: {:?}", again.stats());
                    leave(&image, again);
                    try_add(&db, &mut expected).unwrap();
                    sound(&db).unwrap();
                }
                // The meta page that could not be written may be torn.
                Err(Error::WritingEnded { .. }) => assert!(tripped),
                Err(error) => panic!("{error}"),
            }
            leave(disk, db);
            disk.clear_faults();
        }
    }
    // The next opening, by the same system.
    let db = open(setup, disk).unwrap();
    assert!(shows(&db, &expected), "{:?}", db.stats());
    try_add(&db, &mut expected).unwrap();
    sound(&db).unwrap();
    let image = disk.crash(disk.event_count(), Loss::None, 0).unwrap();
    leave(disk, db);
    let again = open(setup, &image).unwrap();
    assert!(shows(&again, &expected), "acknowledged after two openings, and lost: {:?}", again.stats());
    leave(&image, again);
    tripped
}

/// Every call of opening what `left` makes; how many runs that were.
fn every_call(setup: &Setup, left: impl Fn() -> Left) -> u64 {
    let mut runs = 0;
    for call in CALLS {
        for nth in 1.. {
            let errors = [libc::EIO, libc::ENOSPC];
            let tripped = errors.map(|errno| with_fault(setup, &left(), call, nth, errno));
            if tripped == [false; 2] {
                break;
            }
            runs += 2;
        }
    }
    runs
}

/// The disk of `driver` after a power cut, and what is found there.
fn after_a_crash(driver: &Driver, point: usize, loss: Loss, seed: u64) -> Left {
    let disk = driver.disk.crash(point, loss, seed).unwrap();
    // To look at it changes it.
    let looked_at = driver.disk.crash(point, loss, seed).unwrap();
    let db = open(&driver.setup, &looked_at).unwrap();
    let found = allowed(&driver.attempts, point, loss).rev();
    let expected = found.map(|i| &driver.attempts[i].version).find(|version| shows(&db, version));
    let expected = expected.expect("an allowed version").clone();
    leave(&looked_at, db);
    Left { disk, expected }
}

#[test]
fn every_call_of_opening_may_fail() {
    let first = number("FOLIO_FAULT_SEED", 1);
    let seeds = first..first + number("FOLIO_FAULT_SCENARIOS", 3);
    let mut runs = 0;
    for seed in seeds.clone() {
        let place = format!("scenario seed {seed}");
        let _place = Place(&place);
        let ops = prop::collection::vec(op(Mix { reopen: 0, ..Mix::CRASH }), 30..60);
        let (setup, ops): (Setup, Vec<Op>) = generate(&(super::ops::setup(), ops), seed);
        runs += every_call(&setup, || {
            let driver = after_the_process(&setup, &ops);
            let expected = driver.newest().clone();
            Left { disk: driver.disk, expected }
        });
        let driver = after_the_process(&setup, &ops);
        let points = driver.disk.event_count();
        for (i, loss) in [Loss::Prefix, Loss::Random, Loss::Torn, Loss::Growth].into_iter().enumerate() {
            runs += every_call(&setup, || after_a_crash(&driver, points * (2 * i + 1) / 8, loss, seed));
        }
    }
    println!("{runs} openings with a fault each, of scenarios with seeds {seeds:?}");
}
