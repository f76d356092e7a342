//! A database of the wanted shape: loads, commits of all kinds, look-ups and a scan.

use std::fs;
use std::ops::Bound;
use std::path::Path;
use std::time::{Duration, Instant};

use folio::{Database, Durability};

use super::{Figure, Times, Unit};
use crate::failure::Failure;
use crate::open;

const TABLE: &str = "bench";
const PAGE_SIZE: u32 = 4096;
/// How long each part goes on at most.
const PART: Duration = Duration::from_millis(1200);
/// Bytes of entries that each thread of a part puts in at most.
const MOST_OF_PART: usize = 256 << 20;
/// Longer than this the load may not take: it is one transaction, of which a part says nothing.
const LOAD: Duration = Duration::from_secs(60);
/// Threads that commit side by side.
const THREADS: u64 = 4;

/// SplitMix64.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }
}

/// What the entries are like.
pub(super) struct Shape {
    key_size: usize,
    value: Vec<u8>,
    entries: u64,
}

impl Shape {
    pub(super) fn new(key_size: u32, value_size: u32, entries: u64) -> Shape {
        let mut random = Random(2);
        let value = (0..value_size.div_ceil(8)).flat_map(|_| random.next().to_le_bytes());
        let value = value.take(value_size as usize).collect();
        Shape { key_size: key_size as usize, value, entries }
    }

    /// The keys are random numbers in the order of their bytes, filled up to their length.
    fn key(&self, number: u64, room: &mut Vec<u8>) {
        room.clear();
        room.extend_from_slice(&number.swap_bytes().to_le_bytes());
        room.resize(self.key_size, b'k');
    }

    /// The numbers of all keys, at random.
    fn numbers(&self) -> impl Iterator<Item = u64> {
        (0..self.entries).map(number)
    }
}

/// The number that belongs to entry `i`, each another one.
fn number(i: u64) -> u64 {
    Random(i).next()
}

/// All figures of the database. It has lost its name, so nothing of it stays.
pub(super) fn measure(folder: &Path, shape: &Shape, step: &mut dyn FnMut()) -> Result<Vec<Figure>, Failure> {
    let path = folder.join(format!(".folio-bench-{}.folio", std::process::id()));
    // A file that somebody has given this name is not touched.
    let db = open::new(&path, PAGE_SIZE)?;
    let mut lock = path.clone().into_os_string();
    lock.push("-lock");
    for name in [path.as_os_str(), &lock] {
        let name = Path::new(name);
        fs::remove_file(name)
            .map_err(|source| Failure::Input { name: name.display().to_string(), source })?;
    }
    let mut figures = vec![load(&db, shape)?];
    step();
    figures.push(commits(&db, shape, Commits::DURABLE)?);
    step();
    figures.push(threads(&db, shape)?);
    step();
    figures.push(commits(&db, shape, Commits::BATCHES)?);
    step();
    figures.push(commits(&db, shape, Commits::BUFFERED)?);
    step();
    figures.push(gets(&db, shape)?);
    step();
    figures.push(scan(&db)?);
    step();
    Ok(figures)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn rate(number: u64, time: Duration) -> f64 {
    number as f64 / time.as_secs_f64().max(1e-9)
}

fn load(db: &Database, shape: &Shape) -> Result<Figure, Failure> {
    let mut numbers: Vec<u64> = shape.numbers().collect();
    numbers.sort_unstable();
    let mut key = Vec::new();
    let start = Instant::now();
    let tx = db.begin_write()?;
    {
        let mut table = tx.create_raw(TABLE, "bytes", "bytes")?;
        for (i, number) in numbers.into_iter().enumerate() {
            if i.is_multiple_of(1024) && start.elapsed() > LOAD {
                let reason = "the load takes more than a minute: give fewer --entries";
                return Err(Failure::Message(reason.to_owned()));
            }
            shape.key(number, &mut key);
            table.insert(&key, &shape.value)?;
        }
    }
    tx.commit()?;
    Ok(Figure {
        id: "load",
        name: "load".to_owned(),
        value: rate(shape.entries, start.elapsed()),
        unit: Unit::PerSecond("entries"),
        times: None,
        meaning: "all entries in the order of their keys, one transaction, on the disk at the end",
    })
}

/// A kind of commits.
struct Commits {
    id: &'static str,
    name: &'static str,
    entries: u64,
    durability: Durability,
    meaning: &'static str,
}

impl Commits {
    const DURABLE: Commits = Commits {
        id: "durable_commits",
        name: "durable commits",
        entries: 1,
        durability: Durability::Immediate,
        meaning: "one insertion each at a random place, on the disk when it returns",
    };
    const BATCHES: Commits = Commits {
        id: "batches",
        name: "durable batches of 100",
        entries: 100,
        durability: Durability::Immediate,
        meaning: "100 insertions at random places in one commit: many in one transaction cost little more \
                  than one",
    };
    const BUFFERED: Commits = Commits {
        id: "buffered_commits",
        name: "buffered commits",
        entries: 1,
        durability: Durability::Buffered,
        meaning: "one insertion each; survives the end of the process, and a loss of power from the next \
                  sync on",
    };
}

/// Commits until the time is over; how many, and how long each took.
fn commit_for(db: &Database, shape: &Shape, commits: &Commits, seed: u64) -> Result<Vec<Duration>, Failure> {
    let mut random = Random(seed);
    let (mut key, mut times) = (Vec::new(), Vec::new());
    let start = Instant::now();
    let mut left = MOST_OF_PART;
    while start.elapsed() < PART && left > 0 {
        let before = Instant::now();
        let mut tx = db.begin_write()?;
        tx.set_durability(commits.durability);
        {
            let mut table = tx.open_raw(TABLE)?;
            for _ in 0..commits.entries {
                shape.key(random.next(), &mut key);
                table.insert(&key, &shape.value)?;
                left = left.saturating_sub(key.len() + shape.value.len());
            }
        }
        tx.commit()?;
        times.push(before.elapsed());
    }
    Ok(times)
}

fn commits(db: &Database, shape: &Shape, commits: Commits) -> Result<Figure, Failure> {
    let start = Instant::now();
    let times = commit_for(db, shape, &commits, 1 << 40 | commits.entries)?;
    let took = start.elapsed();
    // What comes next shall not pay for what these have left to be written.
    db.sync()?;
    Ok(Figure {
        id: commits.id,
        name: commits.name.to_owned(),
        value: rate(times.len() as u64, took),
        unit: Unit::PerSecond("commits"),
        times: Times::of(times),
        meaning: commits.meaning,
    })
}

fn threads(db: &Database, shape: &Shape) -> Result<Figure, Failure> {
    let start = Instant::now();
    let all = std::thread::scope(|scope| {
        let run = |seed: u64| scope.spawn(move || commit_for(db, shape, &Commits::DURABLE, 2 << 40 | seed));
        let running: Vec<_> = (0..THREADS).map(run).collect();
        running
            .into_iter()
            .map(|thread| {
                let ended = thread.join().map_err(|_| Failure::Message("a thread panicked".to_owned()));
                ended.and_then(|times| times)
            })
            .collect::<Result<Vec<_>, Failure>>()
    })?;
    let took = start.elapsed();
    let times = all.concat();
    Ok(Figure {
        id: "durable_commits_4_threads",
        name: format!("the same in {THREADS} threads"),
        value: rate(times.len() as u64, took),
        unit: Unit::PerSecond("commits"),
        times: Times::of(times),
        meaning: "commits that wait at the same time share a flush",
    })
}

fn gets(db: &Database, shape: &Shape) -> Result<Figure, Failure> {
    let tx = db.begin_read()?;
    let table = tx.open_raw(TABLE)?;
    let mut random = Random(3 << 40);
    let (mut key, mut done) = (Vec::new(), 0_u64);
    let start = Instant::now();
    while start.elapsed() < PART {
        for _ in 0..256 {
            shape.key(number(random.next() % shape.entries), &mut key);
            if std::hint::black_box(table.get(&key)?).is_none() {
                return Err(Failure::Message("an entry that was loaded is not there".to_owned()));
            }
        }
        done += 256;
    }
    Ok(Figure {
        id: "random_gets",
        name: "random gets".to_owned(),
        value: rate(done, start.elapsed()),
        unit: Unit::PerSecond("gets"),
        times: None,
        meaning: "one thread, from memory: the file is in the page cache",
    })
}

fn scan(db: &Database) -> Result<Figure, Failure> {
    let tx = db.begin_read()?;
    let table = tx.open_raw(TABLE)?;
    let mut done = 0_u64;
    let start = Instant::now();
    while start.elapsed() < PART / 2 {
        for entry in table.range((Bound::Unbounded, Bound::Unbounded))? {
            std::hint::black_box(entry?);
            done += 1;
        }
    }
    Ok(Figure {
        id: "scan",
        name: "scan".to_owned(),
        value: rate(done, start.elapsed()),
        unit: Unit::PerSecond("entries"),
        times: None,
        meaning: "all entries in the order of their keys, one thread, from memory",
    })
}
