//! Crashes of a scenario: at any point of what happened and for every kind of loss, the disk as it may be
//! found is opened and compared with the model.

use crate::simulation::model::{Attempt, Driver};
use crate::simulation::ops::{Op, Setup};
use crate::simulation::seen::Seen;
use crate::simulation::version::{Version, holds, same, sound};
use crate::storage::sim::{Fault, Loss, Rng, SimDisk};
use crate::{Database, Recovery, Result};

/// A disk that holds an empty database, all of it durable.
pub(crate) fn formatted(setup: &Setup) -> Vec<u8> {
    let disk = SimDisk::new().unwrap();
    Database::over(&setup.options(), disk.storage().unwrap()).unwrap().close().unwrap();
    disk.content().unwrap()
}

/// Runs a scenario to its end. The disk's log begins with an empty database.
pub(crate) fn scenario(setup: &Setup, ops: &[Op]) -> Driver {
    let disk = SimDisk::with_content(formatted(setup)).unwrap();
    let mut driver = Driver::on(disk, setup.clone(), Version::new()).unwrap();
    driver.checks = false;
    driver.run(ops).unwrap();
    driver.close();
    let commits: Vec<u64> = driver.attempts.iter().filter_map(|attempt| attempt.txn).collect();
    driver.seen.syncs(&driver.disk, &commits);
    driver
}

/// Which of the attempts a crash may leave.
pub(crate) fn allowed(attempts: &[Attempt], point: usize, loss: Loss) -> std::ops::RangeInclusive<usize> {
    let done = |attempt: &Attempt| match loss {
        // What the system's memory holds: the process alone has ended.
        Loss::All => attempt.acknowledged,
        _ => attempt.durable,
    };
    let is_done = |attempt: &&Attempt| done(attempt).is_some_and(|at| at <= point);
    let oldest = attempts.iter().filter(is_done).count().saturating_sub(1);
    let newest = attempts.iter().rposition(|attempt| attempt.began < point).unwrap_or(0);
    oldest..=newest.max(oldest)
}

/// Looks at crashes of one scenario.
pub(crate) struct Explorer<'d> {
    driver: &'d Driver,
    rng: Rng,
    pub(crate) states: u64,
    pub(crate) seen: Seen,
    /// Says where a failure happened.
    place: String,
}

impl Explorer<'_> {
    pub(crate) fn new(driver: &Driver, seed: u64, place: String) -> Explorer<'_> {
        Explorer { driver, rng: Rng::new(seed), states: 0, seen: driver.seen.clone(), place }
    }

    /// Every point and kind of loss; but no more than about `states`.
    pub(crate) fn explore(&mut self, states: u64) {
        let points = self.driver.disk.event_count() + 1;
        let all = (points * Loss::EACH.len()) as u64;
        for point in 0..points {
            for loss in Loss::EACH {
                if self.rng.below(all) < states {
                    self.state(point, loss);
                }
            }
        }
    }

    pub(crate) fn state(&mut self, point: usize, loss: Loss) {
        self.states += 1;
        let seed = self.rng.next();
        let place = format!("{} point {point} {loss:?} crash seed {seed}", self.place);
        let _place = Place(&place);
        let image = self.driver.disk.crash(point, loss, seed).unwrap();
        let allowed = allowed(&self.driver.attempts, point, loss);
        let db = Database::over(&self.driver.setup.options(), image.storage().unwrap()).unwrap();
        self.seen.opened(&db);
        let found = self.version(&db, allowed.clone());
        let opened = image.event_count();
        sound(&db).unwrap();
        match self.rng.below(8) {
            0 => self.go_on(&image, db, found),
            1 => self.again(&image, db, allowed, opened, found),
            _ => leave(&image, db),
        }
    }

    /// Which of the allowed versions the database holds.
    pub(crate) fn version(&self, db: &Database, allowed: std::ops::RangeInclusive<usize>) -> usize {
        let tx = db.begin_read().unwrap();
        let is = |i: &usize| holds(&tx, &self.driver.attempts[*i].version).unwrap();
        let found = allowed.clone().rev().find(is);
        found.unwrap_or_else(|| {
            let others: Vec<usize> = (0..self.driver.attempts.len()).filter(is).collect();
            panic!("one of {allowed:?} is allowed, and it is one of {others:?}: {:?}", db.stats())
        })
    }

    /// Writing goes on: a commit that is acknowledged survives a loss of everything else.
    fn go_on(&mut self, image: &SimDisk, db: Database, found: usize) {
        let mut version = self.driver.attempts[found].version.clone();
        if matches!(db.stats().unwrap().recovery, Recovery::Recovered { .. }) {
            add(&db, &mut version);
        }
        add(&db, &mut version);
        sound(&db).unwrap();
        self.seen.count("commits after a crash", 1);
        let loss = Loss::EACH[self.rng.index(Loss::EACH.len())];
        let after = image.crash(image.event_count(), loss, self.rng.next()).unwrap();
        self.states += 1;
        let again = Database::over(&self.driver.setup.options(), after.storage().unwrap()).unwrap();
        same(&again.begin_read().unwrap(), &version).unwrap();
        sound(&again).unwrap();
        leave(image, db);
        leave(&after, again);
    }

    /// The power fails again, while the database is opened, or right after that.
    fn again(
        &mut self,
        image: &SimDisk,
        db: Database,
        allowed: std::ops::RangeInclusive<usize>,
        opened: usize,
        found: usize,
    ) {
        leave(image, db);
        let point = self.rng.index(opened + 1);
        let when =
            if point == opened { "second crashes after it" } else { "second crashes while recovering" };
        self.seen.count(when, 1);
        // What was shown once stays.
        let allowed = if point == opened { found..=found } else { allowed };
        let loss = Loss::EACH[self.rng.index(Loss::EACH.len())];
        let second = image.crash(point, loss, self.rng.next()).unwrap();
        self.states += 1;
        let db = Database::over(&self.driver.setup.options(), second.storage().unwrap()).unwrap();
        let found = self.version(&db, allowed);
        sound(&db).unwrap();
        match self.rng.below(2) {
            0 => self.go_on(&second, db, found),
            _ => leave(&second, db),
        }
    }
}

/// Drops the database without the work of closing it: nobody looks at the disk again.
pub(crate) fn leave(disk: &SimDisk, db: Database) {
    disk.inject(Fault::new(None, 1, libc::EIO).forever());
    drop(db);
}

/// Commits an entry to the database and to its model.
pub(crate) fn add(db: &Database, version: &mut Version) {
    try_add(db, version).unwrap();
}

pub(crate) fn try_add(db: &Database, version: &mut Version) -> Result<()> {
    let mut next = version.clone();
    let entries = std::sync::Arc::make_mut(next.entry("after".to_owned()).or_default());
    let key = (entries.len() as u64).to_le_bytes().to_vec();
    let tx = db.begin_write()?;
    tx.create_raw("after", "[u8]", "[u8]")?.insert(&key, &[7; 100])?;
    entries.insert(key, [7; 100].into());
    tx.commit()?;
    *version = next;
    Ok(())
}

/// Says where a panic happened.
pub(crate) struct Place<'s>(pub(crate) &'s str);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("at: {}", self.0);
        }
    }
}
