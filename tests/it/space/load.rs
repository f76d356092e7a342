//! What the tests of space load, overwrite and measure.

use std::path::PathBuf;

use folio::{Database, Durability, OpenOptions, Stats, Table, TableMut};
use tempfile::TempDir;

pub(super) const ENTRIES: Table<&[u8], &[u8]> = Table::new("entries");

pub(super) const MIB: u64 = 1 << 20;

/// How large the tests are: everything is divided by this. The bounds are those of 1,000,000 entries.
pub(super) fn scale() -> u64 {
    static SAID: std::sync::Once = std::sync::Once::new();
    let scale = if std::env::var_os("FOLIO_LONG").is_some() { 1 } else { 10 };
    SAID.call_once(|| match scale {
        1 => println!("space: the long form, 1,000,000 entries"),
        _ => println!("space: the short form, a tenth; FOLIO_LONG=1 runs 1,000,000 entries"),
    });
    scale
}

pub(super) fn mib(bytes: u64) -> String {
    format!("{}.{:02} MiB", bytes / MIB, bytes % MIB * 100 / MIB)
}

/// SplitMix64: what is random here is the same in every run.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// The 24-byte key of entry `i`: random, each another one.
pub(super) fn key(i: u64) -> [u8; 24] {
    bytes(i << 1)
}

/// 150 bytes that belong to version `version` of entry `i`.
pub(super) fn value(i: u64, version: u64) -> [u8; 150] {
    bytes(i.rotate_left(32) ^ version << 1 | 1)
}

fn bytes<const N: usize>(seed: u64) -> [u8; N] {
    let mut random = Random(seed);
    let mut bytes = [0; N];
    for chunk in bytes.chunks_mut(8) {
        chunk.copy_from_slice(&random.next().to_le_bytes()[..chunk.len()]);
    }
    bytes
}

/// A database in a directory of its own, and what each of its entries is.
pub(super) struct Loaded {
    pub(super) db: Database,
    /// The version of each entry's value.
    pub(super) versions: Vec<u64>,
    random: Random,
    path: PathBuf,
    options: OpenOptions,
    _dir: TempDir,
}

/// What some commits did.
#[derive(Default)]
pub(super) struct Written {
    pub(super) commits: u64,
    pub(super) pages: u64,
    pub(super) runs: u64,
}

impl std::fmt::Display for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Written { commits, pages, runs } = self;
        let (per_commit, tenths) = (pages / commits, pages * 10 / runs);
        write!(f, "{per_commit} pages in {} runs a commit", runs / commits)?;
        write!(f, ", {}.{} pages a run", tenths / 10, tenths % 10)
    }
}

impl Loaded {
    /// Nothing in it yet.
    pub(super) fn empty(mut options: OpenOptions) -> Loaded {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("space.folio");
        options.create(true);
        // SAFETY: the directory is this test's own.
        #[expect(unsafe_code, reason = "the contract of a mapped file: the directory is the test's own")]
        let db = unsafe { options.open(&path) }.unwrap();
        Loaded { db, versions: Vec::new(), random: Random(1), path, options, _dir: dir }
    }

    /// `count` random entries, loaded in one transaction.
    pub(super) fn random(count: u64, options: OpenOptions) -> Loaded {
        let mut loaded = Loaded::empty(options);
        loaded.versions = vec![0; usize::try_from(count).unwrap()];
        loaded.load_as(ENTRIES);
        loaded
    }

    /// Loads the entries, as first made, into a table in one transaction.
    pub(super) fn load_as(&self, table: Table<&[u8], &[u8]>) {
        self.db
            .write(|tx| {
                let mut table = tx.open(table)?;
                for i in 0..self.versions.len() as u64 {
                    table.insert(&key(i)[..], &value(i, 0)[..])?;
                }
                Ok(())
            })
            .unwrap();
    }

    /// The length of the file.
    pub(super) fn len(&self) -> u64 {
        std::fs::metadata(&self.path).unwrap().len()
    }

    pub(super) fn stats(&self) -> Stats {
        self.db.stats().unwrap()
    }

    /// Pages that are neither free nor pending, in bytes.
    pub(super) fn live(&self) -> u64 {
        let stats = self.stats();
        (stats.pages - stats.free_pages - stats.pending_pages) * u64::from(stats.page_size)
    }

    /// Overwrites random entries: `commits` transactions of `batch`.
    pub(super) fn overwrite(&mut self, commits: u64, batch: u64, durability: Durability) -> Written {
        let mut written = Written::default();
        for _ in 0..commits {
            let mut tx = self.db.begin_write().unwrap();
            tx.set_durability(durability);
            {
                let mut table = tx.open(ENTRIES).unwrap();
                for _ in 0..batch {
                    let i = self.random.below(self.versions.len() as u64);
                    overwrite(&mut table, &mut self.versions, i);
                }
            }
            let info = tx.commit().unwrap();
            written.commits += 1;
            written.pages += info.pages;
            written.runs += info.runs;
        }
        written
    }

    /// Every `step`-th entry is what it must be, there are no others, and the whole file is in order.
    pub(super) fn verify(&self, step: usize) {
        let tx = self.db.begin_read().unwrap();
        let table = tx.open(ENTRIES).unwrap();
        assert_eq!(table.len(), self.versions.len() as u64);
        for (i, version) in (0..).zip(&self.versions).step_by(step) {
            assert_eq!(table.get(&key(i)[..]).unwrap(), Some(&value(i, *version)[..]), "entry {i}");
        }
        self.check();
    }

    pub(super) fn check(&self) {
        let report = self.db.check().unwrap();
        assert!(report.is_ok(), "{:?}", &report.faults[..report.faults.len().min(5)]);
    }

    /// Closes it and opens it again.
    pub(super) fn reopen(self) -> Loaded {
        let Loaded { db, versions, random, path, options, _dir } = self;
        db.close().unwrap();
        #[expect(unsafe_code, reason = "the contract of a mapped file: the directory is the test's own")]
        // SAFETY: the directory is this test's own.
        let db = unsafe { options.open(&path) }.unwrap();
        Loaded { db, versions, random, path, options, _dir }
    }
}

fn overwrite(table: &mut TableMut<'_, &[u8], &[u8]>, versions: &mut [u64], i: u64) {
    let version = &mut versions[usize::try_from(i).unwrap()];
    *version += 1;
    assert!(table.insert(&key(i)[..], &value(i, *version)[..]).unwrap());
}
