//! Goal: whatever is damaged in a file, reading it gives what was stored or `Error::Corrupted`, the
//! whole-file check names the page and the fault, and nothing panics.
//! Method: a file with every kind of page, which are found by decoding it here as docs/FORMAT.md says; copies
//! that are damaged on purpose (each kind of page: a flipped bit, zeros, another page of its kind), and at
//! random places.
//!
//! The one exception is documented: a value above 1 MiB is verified by the check alone.

mod decode;
mod inspection;
mod laundered;

use std::collections::BTreeMap;
use std::fs;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use folio::{CheckReport, Database, Durability, Error, RawTable, Table};
use tempfile::TempDir;

use crate::files::{create, long_form, open, open_read_only};
use decode::{HEAD_PAGE, Kinds, PAGE, at};

/// What a table holds.
type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// A value that is longer is verified by the check alone.
const VERIFIED_MAX: usize = 1 << 20;

/// A sound file, what it holds, and a place for damaged copies.
struct Sound {
    _folder: TempDir,
    path: PathBuf,
    bytes: Vec<u8>,
    model: BTreeMap<String, Model>,
    kinds: Kinds,
}

/// Numbers that look random: the same for the same seed.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).take(len).collect()
    }
}

fn put(db: &Database, model: &mut BTreeMap<String, Model>, table: &str, entries: Vec<(Vec<u8>, Vec<u8>)>) {
    let tx = db.begin_write().unwrap();
    {
        let mut raw = tx.create_raw(table, "[u8]", "[u8]").unwrap();
        for (key, value) in &entries {
            raw.insert(key, value).unwrap();
        }
    }
    tx.commit().unwrap();
    model.entry(table.to_owned()).or_default().extend(entries);
}

impl Sound {
    fn new() -> Sound {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db.folio");
        let (db, mut rng, mut model) = (create(&path).unwrap(), Rng(7), BTreeMap::new());
        let numbered = |i: usize| format!("key/{i:06}").into_bytes();
        for table in ["first", "second"] {
            let entries = (0..1500).map(|i| (numbered(i), rng.bytes(i % 90))).collect();
            put(&db, &mut model, table, entries);
        }
        let lens = [2100, 4096, 9000, 20_000, 100_000, VERIFIED_MAX + 5000, VERIFIED_MAX + 70_001];
        let entries = lens.iter().enumerate().map(|(i, len)| (numbered(i), rng.bytes(*len))).collect();
        put(&db, &mut model, "runs", entries);
        // Enough tables for a catalog of several leaves, and enough commits for a log of several pages.
        for i in 0..120 {
            put(&db, &mut model, &format!("table-{i:03}"), vec![(b"only".to_vec(), rng.bytes(i))]);
        }
        for i in 0..60 {
            let entries = (0..25).map(|_| (numbered(rng.below(1500)), rng.bytes(i))).collect();
            put(&db, &mut model, "first", entries);
        }
        assert!(db.check().unwrap().is_ok());
        db.close().unwrap();
        let bytes = fs::read(&path).unwrap();
        let kinds = Kinds::of(&bytes);
        Sound { _folder: folder, path, bytes, model, kinds }
    }

    /// Overwrites the file with what `change` makes of the sound one.
    fn damaged(&self, change: impl FnOnce(&mut [u8])) {
        let mut bytes = self.bytes.clone();
        change(&mut bytes);
        fs::write(&self.path, bytes).unwrap();
    }
}

/// What reading everything came to.
#[derive(Debug, Default)]
struct Reading {
    corrupted: usize,
    /// Values above [`VERIFIED_MAX`] that are not what was stored.
    unnoticed: usize,
}

impl Reading {
    /// Takes a result: right, or `Corrupted`.
    #[track_caller]
    fn take<T: PartialEq>(&mut self, what: &str, result: folio::Result<T>, expected: &T) {
        match result {
            Ok(found) => assert!(found == *expected, "{what}: wrong data"),
            Err(Error::Corrupted { .. }) => self.corrupted += 1,
            Err(error) => panic!("{what}: {error:?}"),
        }
    }

    #[track_caller]
    fn entry(&mut self, (key, value): (&[u8], &[u8]), expected: Option<(&Vec<u8>, &Vec<u8>)>) {
        let (expected_key, expected_value) = expected.expect("no more entries than were stored");
        assert!(key == expected_key, "{key:?} in place of {expected_key:?}");
        if value != expected_value {
            assert!(
                value.len() == expected_value.len() && value.len() > VERIFIED_MAX,
                "{key:?}: a wrong value"
            );
            self.unnoticed += 1;
        }
    }

    /// All of a table, from both ends. A range ends with its first error.
    fn scan(&mut self, table: &RawTable<'_>, model: &Model) {
        let all = (Bound::Unbounded, Bound::Unbounded);
        let mut expected = model.iter();
        let mut range = table.range(all).unwrap();
        let mut complete = true;
        for entry in &mut range {
            match entry {
                Ok((key, value)) => self.entry((&key, value), expected.next()),
                Err(Error::Corrupted { .. }) => (self.corrupted, complete) = (self.corrupted + 1, false),
                Err(error) => panic!("{error:?}"),
            }
        }
        assert!(range.next().is_none() && range.next_back().is_none(), "nothing follows the end");
        assert!(!complete || expected.next().is_none(), "entries are missing");
        let mut expected = model.iter().rev();
        let mut complete = true;
        for entry in table.range(all).unwrap().rev() {
            match entry {
                Ok((key, value)) => self.entry((&key, value), expected.next()),
                Err(Error::Corrupted { .. }) => (self.corrupted, complete) = (self.corrupted + 1, false),
                Err(error) => panic!("{error:?}"),
            }
        }
        assert!(!complete || expected.next().is_none(), "entries are missing");
    }

    fn table(&mut self, table: &RawTable<'_>, model: &Model, step: usize) {
        assert_eq!(table.len(), model.len() as u64);
        self.scan(table, model);
        for (i, (key, value)) in model.iter().enumerate().step_by(step) {
            match table.get(key) {
                Ok(found) => self.entry((key, found.expect("a key that was stored")), Some((key, value))),
                Err(Error::Corrupted { .. }) => self.corrupted += 1,
                Err(error) => panic!("{error:?}"),
            }
            self.take("rank", table.rank(key), &(i as u64));
            self.take("nth", table.nth(i as u64).map(|entry| entry.unwrap().0.into_owned()), key);
            let from_here = (Bound::Included(&key[..]), Bound::Unbounded);
            self.take("count", table.count(from_here), &((model.len() - i) as u64));
        }
        self.take("contains", table.contains(b"key/0000005x"), &false);
        self.take("split", table.split(5).map(|_| ()), &());
    }

    /// Everything that the database is asked for is right, or an error that says so.
    fn everything(db: &Database, model: &BTreeMap<String, Model>, step: usize) -> Reading {
        let mut reading = Reading::default();
        let tx = db.begin_read().unwrap();
        let names = |tables: Vec<folio::TableInfo>| tables.into_iter().map(|t| t.name).collect::<Vec<_>>();
        reading.take("tables", tx.tables().map(names), &model.keys().cloned().collect());
        for (name, model) in model {
            match tx.open_raw(name) {
                Ok(table) => reading.table(&table, model, step),
                Err(Error::Corrupted { .. }) => reading.corrupted += 1,
                Err(error) => panic!("table {name}: {error:?}"),
            }
        }
        if let Err(error) = db.stats() {
            assert!(matches!(error, Error::Corrupted { .. }), "{error:?}");
        }
        reading
    }
}

/// Changes of all sorts, in a file that may be damaged: done, or `Corrupted`.
fn write_something(db: &Database, model: &BTreeMap<String, Model>) {
    let change = |name: &str, model: &Model| -> folio::Result<()> {
        let tx = db.begin_write()?;
        {
            let mut table = tx.open_raw(name)?;
            for key in model.keys().step_by(41) {
                table.remove(key)?;
            }
            for key in model.keys().step_by(67) {
                table.insert(key, &[1; 3000])?;
            }
            table.remove_range((Bound::Included(b"key/0003"), Bound::Excluded(b"key/0004")))?;
        }
        tx.commit().map(|_| ())
    };
    let dropped = |name: &str| db.write(|tx| tx.drop_table(name).map(|_| ()));
    for (name, model) in model {
        for result in [change(name, model), dropped(name)] {
            match result {
                Ok(()) | Err(Error::Corrupted { .. } | Error::NoSuchTable { .. }) => {}
                Err(error) => panic!("table {name}: {error:?}"),
            }
        }
    }
}

/// The check names one of these pages, and says what is wrong.
#[track_caller]
fn assert_reported(report: &CheckReport, pages: &[u64], what: &str) {
    let named = |fault: &&folio::Fault| fault.page.is_some_and(|page| pages.contains(&page));
    let fault = report.faults.iter().find(named);
    let fault = fault.unwrap_or_else(|| panic!("{what}: {pages:?} not among {:?}", report.faults));
    assert!(!fault.what.is_empty() && fault.to_string().contains("page"), "{fault}");
}

/// Whether this page of the file is a meta page with its checksum.
fn is_whole_meta(path: &Path, page: u64) -> bool {
    let bytes = fs::read(path).unwrap();
    let meta = &bytes[at(page)..at(page) + PAGE];
    meta.starts_with(b"\x89FOLIO\r\n") && crc32fast::hash(&meta[..4092]) == decode::u32_at(meta, 4092)
}

/// Runs `damage` on copies opened for reading and for writing: everything is right or `Corrupted`, the check
/// reports one of `pages`. Whether anything was noticed while reading.
fn suffers(sound: &Sound, what: &str, pages: &[u64], damage: impl Fn(&mut [u8])) -> bool {
    let mut noticed = false;
    for writable in [false, true] {
        sound.damaged(&damage);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let db = match if writable { open(&sound.path) } else { open_read_only(&sound.path) } {
                Ok(db) => db,
                // Opening reports it, which is as good.
                Err(Error::Corrupted { .. }) => return true,
                Err(error) => panic!("{error:?}"),
            };
            let reading = Reading::everything(&db, &sound.model, 7);
            let report = db.check().unwrap();
            // Opening for writing may replace a bad meta page.
            let replaced = writable && pages.iter().all(|page| is_whole_meta(&sound.path, *page));
            if !(replaced && report.is_ok()) {
                assert_reported(&report, pages, what);
            }
            if writable {
                write_something(&db, &sound.model);
                db.check().unwrap();
            }
            reading.corrupted > 0
        }));
        noticed |= outcome.unwrap_or_else(|_| panic!("{what} (for writing: {writable}) panicked, see above"));
    }
    noticed
}

/// Three damaged copies for two pages of one kind: a flipped bit, zeros, and the two swapped.
fn three_copies(sound: &Sound, kind: &str, (page, other): (u64, u64), read: bool) {
    let bit = format!("{kind} {page}: a flipped bit");
    let noticed = suffers(sound, &bit, &[page], |bytes| bytes[at(page) + 1234] ^= 0x10);
    assert_eq!(noticed, read, "{bit}");
    let zeros = format!("{kind} {page}: zeros");
    let noticed = suffers(sound, &zeros, &[page], |bytes| bytes[at(page)..at(page) + PAGE].fill(0));
    assert_eq!(noticed, read, "{zeros}");
    let swapped = format!("{kind} {page} and {other}: swapped");
    let noticed = suffers(sound, &swapped, &[page, other], |bytes| swap(bytes, page, other));
    assert_eq!(noticed, read, "{swapped}");
}

fn swap(bytes: &mut [u8], page: u64, other: u64) {
    let kept = bytes[at(page)..at(page) + PAGE].to_vec();
    bytes.copy_within(at(other)..at(other) + PAGE, at(page));
    bytes[at(other)..at(other) + PAGE].copy_from_slice(&kept);
}

#[test]
fn each_kind_of_page_is_reported_with_its_number() {
    let sound = Sound::new();
    let kinds = &sound.kinds;
    let ends = |pages: &[u64]| {
        assert!(pages.len() > 1, "two of a kind are needed: {kinds:?}");
        (pages[0], pages[pages.len() - 1])
    };
    three_copies(&sound, "branch", ends(&kinds.branches), true);
    three_copies(&sound, "leaf", ends(&kinds.leaves), true);
    three_copies(&sound, "catalog leaf", ends(&kinds.catalog_leaves), true);
    // Reading needs no log; writing does.
    three_copies(&sound, "page of the log", ends(&kinds.log), false);
}

#[test]
fn values_outside_their_leaf_are_reported_and_long_ones_by_the_check() {
    let sound = Sound::new();
    let (long, short): (Vec<(u64, u64)>, Vec<_>) =
        sound.kinds.runs.iter().partition(|(_, len)| *len > VERIFIED_MAX as u64);
    let starts = |runs: &[(u64, u64)]| (runs[0].0, runs[runs.len() - 1].0);
    three_copies(&sound, "overflow page", starts(&short), true);
    three_copies(&sound, "overflow page of a long value", starts(&long), false);
}

#[test]
fn bytes_behind_a_value_are_zero_and_the_check_looks() {
    let sound = Sound::new();
    for (first, len) in sound.kinds.runs.iter().filter(|(_, len)| len % PAGE as u64 != 0) {
        let last = first + len / PAGE as u64;
        let what = format!("the last byte of the run from {first} to {last}");
        assert!(!suffers(&sound, &what, &[*first, last], |bytes| bytes[at(last) + PAGE - 1] = 1));
    }
}

/// One meta page is enough: they differ in age alone here, and a damaged one is reported.
#[test]
fn a_damaged_meta_page_is_made_up_for_by_the_other() {
    let sound = Sound::new();
    for page in sound.kinds.metas.clone() {
        for at_byte in [0, 5, 20, 45, 80, 110, 150, 216, 220, 300, 4092] {
            let what = format!("meta page {page}: byte {at_byte}");
            let noticed = suffers(&sound, &what, &[page], |bytes| bytes[at(page) + at_byte] ^= 0x10);
            assert!(!noticed, "{what}");
        }
        let what = format!("meta page {page}: zeros");
        suffers(&sound, &what, &[page], |bytes| bytes[at(page)..at(page) + PAGE].fill(0));
    }
    // Which place is whose does not matter: the sequence decides.
    sound.damaged(|bytes| swap(bytes, 0, 16));
    let db = open_read_only(&sound.path).unwrap();
    assert_eq!(Reading::everything(&db, &sound.model, 7).corrupted, 0);
    assert!(db.check().unwrap().is_ok());
    drop(db);
    // Both gone.
    for zeros in [false, true] {
        sound.damaged(|bytes| {
            for page in [0, 16] {
                if zeros {
                    bytes[at(page)..at(page) + PAGE].fill(0);
                } else {
                    bytes[at(page) + 120] ^= 1;
                }
            }
        });
        for result in [open(&sound.path), open_read_only(&sound.path)] {
            let error = result.unwrap_err();
            assert!(matches!(error, Error::Corrupted { .. } | Error::NotADatabase { .. }), "{error:?}");
        }
    }
}

/// A head record that is damaged is none: what was durable is shown, and it is whole.
#[test]
fn a_damaged_head_record_leaves_the_durable_state() {
    const NUMBERS: Table<u64, u64> = Table::new("numbers");
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("db.folio"), folder.path().join("copy.folio"));
    let db = create(&path).unwrap();
    let commit = |from: u64, durability| {
        let mut tx = db.begin_write().unwrap();
        tx.set_durability(durability);
        (from..from + 500).for_each(|n| assert!(!tx.open(NUMBERS).unwrap().insert(n, n).unwrap()));
        tx.commit().unwrap();
        // As a process that died here would leave it.
        fs::read(&path).unwrap()
    };
    commit(0, Durability::Immediate);
    let older = commit(500, Durability::Buffered);
    commit(1000, Durability::Immediate);
    let bytes = commit(1500, Durability::Buffered);
    let head = at(HEAD_PAGE)..at(HEAD_PAGE) + 512;
    assert_eq!(&bytes[head.clone()][..8], b"\x89FOHEAD\n");
    let entries = |bytes: &[u8], open: &dyn Fn(&Path) -> folio::Result<Database>| {
        fs::write(&copy, bytes).unwrap();
        let db = open(&copy).unwrap();
        let report = db.check().unwrap();
        assert!(report.is_ok(), "{:?}", report.faults);
        let tx = db.begin_read().unwrap();
        let numbers = tx.open(NUMBERS).unwrap();
        let found = numbers.iter().unwrap().map(|entry| entry.unwrap()).collect::<Vec<_>>();
        assert!(found.iter().enumerate().all(|(i, entry)| *entry == (i as u64, i as u64)));
        found.len()
    };
    for open in [&open as &dyn Fn(&Path) -> _, &open_read_only] {
        assert_eq!(entries(&bytes, open), 2000, "sound");
        for byte in [0, 9, 17, 40, 60, 100, 510] {
            let mut flipped = bytes.clone();
            flipped[head.start + byte] ^= 4;
            assert_eq!(entries(&flipped, open), 1500, "byte {byte}");
        }
        let mut zeros = bytes.clone();
        zeros[head.clone()].fill(0);
        assert_eq!(entries(&zeros, open), 1500, "zeros");
        let mut foreign = bytes.clone();
        foreign[head.clone()].copy_from_slice(&older[head.clone()]);
        assert_eq!(entries(&foreign, open), 1500, "an older head record");
    }
}

/// Any bit of the file, one at a time.
#[test]
fn random_flips_are_reported_and_never_panic() {
    let sound = Sound::new();
    let flips = if long_form() { 20_000 } else { 500 };
    let end = at(sound.kinds.page_count);
    fs::write(&sound.path, &sound.bytes).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&sound.path).unwrap();
    let write = |place: usize, byte: u8| {
        std::os::unix::fs::FileExt::write_all_at(&file, &[byte], place as u64).unwrap();
    };
    let mut reported = 0;
    for seed in 0..flips {
        let mut rng = Rng(seed);
        // Half of them anywhere, half in pages that have a structure.
        let page = match seed % 2 {
            0 => rng.below(end / PAGE) as u64,
            _ => {
                let structured =
                    [&sound.kinds.leaves[..], &sound.kinds.branches, &sound.kinds.catalog_leaves]
                        .concat()
                        .into_iter()
                        .chain(sound.kinds.log.iter().copied())
                        .collect::<Vec<_>>();
                structured[rng.below(structured.len())]
            }
        };
        let (place, bit) = (at(page) + rng.below(PAGE), 1 << rng.below(8));
        write(place, sound.bytes[place] ^ bit);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let db = match open_read_only(&sound.path) {
                Ok(db) => db,
                Err(Error::Corrupted { .. }) => return 1,
                Err(error) => panic!("{error:?}"),
            };
            let reading = Reading::everything(&db, &sound.model, 97);
            let faults = db.check().unwrap().faults;
            let reachable = sound.kinds.reachable.contains(&page);
            assert_eq!(!faults.is_empty(), reachable, "{reading:?}, {faults:?}");
            assert!(faults.iter().all(|fault| !fault.what.is_empty()));
            usize::from(reachable)
        }));
        let offset = place % PAGE;
        let named = format!("seed {seed}: page {page}, byte {offset}, bit {bit:#x}");
        reported += outcome.unwrap_or_else(|_| panic!("{named}: see above"));
        write(place, sound.bytes[place]);
    }
    assert!(reported > 250, "{reported} of {flips} hit something");
    assert!(open_read_only(&sound.path).unwrap().check().unwrap().is_ok(), "every flip was taken back");
}
