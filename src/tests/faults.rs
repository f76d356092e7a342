//! Goal: whatever call fails, the transaction says so, nothing that was acknowledged is lost, reading goes
//! on; a full disk ends one transaction alone, anything else ends writing.
//! Method: a scenario is run once for every call that it makes, and that call fails.

use proptest::prelude::*;

use super::explore::{Place, allowed, formatted, leave, try_add};
use super::model::Driver;
use super::ops::{Mix, Op, Setup, generate, op};
use super::version::{Version, holds, sound};
use crate::storage::Call;
use crate::storage::sim::{Event, Fault, Loss, Rng, SimDisk};
use crate::{Database, Durability, Error};

const CALLS: [Call; 5] = [Call::Write, Call::Grow, Call::Sync, Call::Map, Call::Truncate];

/// Runs the scenario with one fault in it.
fn with_fault(content: &[u8], setup: &Setup, ops: &[Op], call: Call, nth: u64, errno: i32) {
    let place = format!("{call:?} {nth} errno {errno}");
    let _place = Place(&place);
    let disk = SimDisk::with_content(content.to_vec()).unwrap();
    let partial = if errno == 0 { 700 } else { usize::try_from(nth).unwrap() % 3 * 1000 };
    disk.inject(Fault::new(Some(call), nth, errno).partial(partial));
    let mut driver = match Driver::on(disk.clone(), setup.clone(), Version::new()) {
        Ok(driver) => driver,
        Err(_) => Driver::on(disk.clone(), setup.clone(), Version::new()).unwrap(),
    };
    driver.checks = false;
    let failed = driver.run(ops).err();
    assert!(errno != 0 || failed.is_none(), "a short write is no failure: {failed:?}");
    driver.abort();
    if let Some(error) = failed {
        after_failure(&mut driver, call, errno, &error);
    } else {
        driver.all_there().unwrap();
        let before = disk.counters().of(call);
        let closed = driver.close_in_order();
        let failed = (before + 1..=disk.counters().of(call)).contains(&nth) && errno != 0;
        assert_eq!(closed.is_err(), failed, "closing says so: {closed:?}");
    }
    driver.close();
    disk.clear_faults();
    found_again(&driver);
}

/// What is left of the open database.
fn after_failure(driver: &mut Driver, call: Call, errno: i32, error: &Error) {
    if !driver.is_open() {
        return;
    }
    let now = driver.disk.event_count();
    driver.end_readers().unwrap();
    let db = driver.db().clone();
    // What was visible stays so, or what was being committed is.
    let shown = db.begin_read().unwrap();
    let range = allowed(&driver.attempts, now, Loss::All);
    let is = |i: &usize| holds(&shown, &driver.attempts[*i].version).unwrap();
    let found = range.clone().rev().find(is);
    let found = found.unwrap_or_else(|| panic!("{error}: none of {range:?} is shown"));
    drop(shown);
    let full = errno == libc::ENOSPC && matches!(call, Call::Write | Call::Grow);
    let mut version = driver.attempts[found].version.clone();
    match try_add(&db, &mut version) {
        Ok(()) => {
            assert!(full || matches!(call, Call::Map | Call::Truncate), "{error}: writing has to end");
            driver.push_durable(version);
            sound(&db).unwrap();
        }
        Err(Error::WritingEnded { .. }) => {
            assert!(!matches!(call, Call::Grow | Call::Map) || errno == libc::EIO, "{error}: it goes on");
            let again = try_add(&db, &mut version);
            assert!(matches!(again, Err(Error::WritingEnded { .. })), "{again:?}");
            // Reading goes on.
            assert!(holds(&db.begin_read().unwrap(), &driver.attempts[found].version).unwrap());
        }
        Err(other) => panic!("after {error}: {other}"),
    }
}

/// Whatever a crash, the end of the process, or opening once more finds.
fn found_again(driver: &Driver) {
    let disk = &driver.disk;
    let now = disk.event_count();
    let options = driver.setup.options();
    for loss in Loss::EACH.into_iter().chain([Loss::Random]) {
        let image = disk.crash(now, loss, now as u64).unwrap();
        check_image(driver, &image, loss);
    }
    // The same system goes on: what it believes to be on the disk need not be there.
    let db = Database::over(&options, disk.storage().unwrap()).unwrap();
    let opened = disk.event_count();
    let shown = db.begin_read().unwrap();
    let is = |i: &usize| holds(&shown, &driver.attempts[*i].version).unwrap();
    let found = allowed(&driver.attempts, now, Loss::All).rev().find(is).expect("an allowed version");
    drop(shown);
    let mut version = driver.attempts[found].version.clone();
    try_add(&db, &mut version).unwrap();
    sound(&db).unwrap();
    let added = disk.event_count();
    drop(db);
    let mut rng = Rng::new(now as u64);
    for point in now..=disk.event_count() {
        // What was shown has to be durable by then.
        let loss = if point == opened { Loss::None } else { Loss::EACH[rng.index(Loss::EACH.len())] };
        let image = disk.crash(point, loss, rng.next()).unwrap();
        let place = format!("point {point} of {now}, {opened}, {added} {loss:?}");
        let _place = Place(&place);
        let before = allowed(&driver.attempts, now, loss);
        let db = Database::over(&options, image.storage().unwrap()).unwrap();
        let shown = db.begin_read().unwrap();
        let is_new = holds(&shown, &version).unwrap();
        // What was shown is not taken back, nor what was acknowledged after the failure.
        let is_old = |i: usize| holds(&shown, &driver.attempts[i].version).unwrap();
        let is_old = if point < opened { before.into_iter().any(is_old) } else { is_old(found) };
        assert!(is_new && point >= opened || is_old && point < added, "{:?}", db.stats());
        sound(&db).unwrap();
        leave(&image, db);
    }
}

fn check_image(driver: &Driver, image: &SimDisk, loss: Loss) {
    let db = Database::over(&driver.setup.options(), image.storage().unwrap()).unwrap();
    let shown = db.begin_read().unwrap();
    let range = allowed(&driver.attempts, driver.disk.event_count(), loss);
    let is = |i: usize| holds(&shown, &driver.attempts[i].version).unwrap();
    assert!(range.clone().any(is), "{loss:?}: none of {range:?}");
    sound(&db).unwrap();
    try_add(&db, &mut driver.newest().clone()).unwrap();
    drop(shown);
    leave(image, db);
}

/// Every call of one scenario.
fn every_fault(seed: u64) -> u64 {
    let place = format!("scenario seed {seed}");
    let _place = Place(&place);
    let ops = prop::collection::vec(op(Mix { reopen: 0, ..Mix::CRASH }), 30..60);
    let (setup, ops): (Setup, Vec<Op>) = generate(&(super::ops::setup(), ops), seed);
    let content = formatted(&setup);
    let disk = SimDisk::with_content(content.clone()).unwrap();
    let mut driver = Driver::on(disk.clone(), setup.clone(), Version::new()).unwrap();
    driver.checks = false;
    driver.run(&ops).unwrap();
    driver.close_in_order().unwrap();
    let mut runs = 0;
    for call in CALLS {
        for nth in 1..=disk.counters().of(call) {
            // A write with no error is a short one.
            let short = if call == Call::Write { &[0][..] } else { &[] };
            for &errno in [libc::EIO, libc::ENOSPC].iter().chain(short) {
                with_fault(&content, &setup, &ops, call, nth, errno);
                runs += 1;
            }
        }
    }
    runs
}

/// Goal: what the system believes to be on the disk after a failed sync, and is not, is written again.
/// Method: the sync of buffered commits fails; the database is opened anew without a power cut between.
#[test]
fn what_a_failed_sync_left_behind_is_written_again() {
    use super::ops::{Key, Near, Value};
    let commit = |durability| Op::Commit { durability, two_phase: false };
    for (last, failing) in [(Durability::Buffered, Op::Sync), (Durability::Immediate, Op::Abort)] {
        let value = |near| Value { near, off: 0, fill: 9 };
        let insert = |n, near| Op::Insert { table: 0, key: Key::Short(n), value: value(near) };
        let mut ops = vec![insert(1, Near::Small), commit(Durability::Immediate)];
        ops.extend([
            insert(2, Near::Page),
            commit(Durability::Buffered),
            insert(3, Near::Direct),
            commit(last),
            failing,
        ]);
        let content = formatted(&Setup::PLAIN);
        // One for the ceiling, one for the first commit, and the one that fails.
        with_fault(&content, &Setup::PLAIN, &ops, Call::Sync, 3, libc::EIO);
        // With two phases: the one for the pages fails, and no meta page names them; or the one after it.
        let setup = Setup { two_phase: true, ..Setup::PLAIN };
        with_fault(&content, &setup, &ops, Call::Sync, 4, libc::EIO);
        with_fault(&content, &setup, &ops, Call::Sync, 5, libc::EIO);
    }
}

#[test]
fn every_call_may_fail() {
    let first = super::crash::number("FOLIO_FAULT_SEED", 1);
    let seeds = first..first + super::crash::number("FOLIO_FAULT_SCENARIOS", 3);
    let runs: u64 = seeds.clone().map(every_fault).sum();
    println!("{runs} runs with a fault each, of scenarios with seeds {seeds:?}");
}

/// Goal: a clean end whose sync has failed is not believed: the disk may hold the meta page before it.
/// Method: the last sync of closing fails; the same system opens the database anew and writes, and then the
/// power fails.
#[test]
fn a_clean_end_that_failed_is_not_relied_on() {
    let disk = SimDisk::with_content(formatted(&Setup::PLAIN)).unwrap();
    let options = Setup::PLAIN.options();
    let mut version = Version::new();
    let db = Database::over(&options, disk.storage().unwrap()).unwrap();
    (0..3).for_each(|_| try_add(&db, &mut version).unwrap());
    disk.inject(Fault::new(Some(Call::Sync), 1, libc::EIO));
    assert!(matches!(db.close(), Err(Error::Io { call: "msync", .. })));
    let closed = disk.event_count();
    let db = Database::over(&options, disk.storage().unwrap()).unwrap();
    let mut next = version.clone();
    try_add(&db, &mut next).unwrap();
    for point in closed..=disk.event_count() {
        for (seed, loss) in (0..30).flat_map(|seed| Loss::EACH.map(|loss| (seed, loss))) {
            let image = disk.crash(point, loss, seed).unwrap();
            let place = format!("point {point} of {closed}.. {loss:?} seed {seed}");
            let _place = Place(&place);
            let db = Database::over(&options, image.storage().unwrap()).unwrap();
            let shown = db.begin_read().unwrap();
            assert!(holds(&shown, &version).unwrap() || holds(&shown, &next).unwrap(), "{:?}", db.stats());
            sound(&db).unwrap();
            leave(&image, db);
        }
    }
}

/// Goal: after a failed sync the disk's file is as long as the root that is adopted says.
/// Method: the simulated disk forgets no length that the system shows, as file systems may; so the test looks
/// for a write of the last page, which no commit since the last sync has touched.
#[test]
fn the_end_of_the_file_is_written_again() {
    for durability in [Durability::Immediate, Durability::Buffered] {
        let options = Setup::PLAIN.options();
        let disk = SimDisk::with_content(formatted(&Setup::PLAIN)).unwrap();
        let db = Database::over(&options, disk.storage().unwrap()).unwrap();
        let write = |durability, change: &dyn Fn(&mut crate::RawTableMut<'_>)| {
            let mut tx = db.begin_write().unwrap();
            tx.set_durability(durability);
            // The sync that fails is the first of two: a buffered commit is left to the head record.
            tx.set_two_phase(durability == Durability::Buffered);
            change(&mut tx.create_raw("t", "[u8]", "[u8]").unwrap());
            tx.commit().map(|_| ())
        };
        let insert = |table: &mut crate::RawTableMut<'_>, key: u8| {
            table.insert(&[key], &[1; 2_000]).unwrap();
        };
        write(Durability::Immediate, &|table| (0..200).for_each(|key| insert(table, key))).unwrap();
        // Room for small commits far from the end.
        let remove = |table: &mut crate::RawTableMut<'_>| {
            for key in 0..50 {
                table.remove(&[key]).unwrap();
            }
        };
        write(Durability::Immediate, &remove).unwrap();
        write(Durability::Immediate, &|table| insert(table, 100)).unwrap();
        disk.inject(Fault::new(Some(Call::Sync), 1, libc::EIO));
        let failed = write(durability, &|table| insert(table, 100)).and_then(|()| db.sync());
        assert!(matches!(failed, Err(Error::OutcomeUnknown { .. })), "{failed:?}");
        drop(db);

        let ended = disk.event_count();
        let db = Database::over(&options, disk.storage().unwrap()).unwrap();
        let stats = db.stats().unwrap();
        let end = stats.pages * u64::from(stats.page_size);
        let reaches = |event: &Event| match event {
            Event::Write { offset, bytes } => offset + bytes.len() as u64 >= end,
            _ => false,
        };
        let written = disk.events()[ended..].iter().filter(|event| reaches(event)).count();
        // The root of the meta page, and the one of the head record.
        let expected = if durability == Durability::Buffered { 2 } else { 1 };
        assert_eq!(written, expected, "{durability:?}: writes that reach page {}", stats.pages);
    }
}
