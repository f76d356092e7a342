//! Goal: a file that was made to hurt, each by one fault with all checksums right, ends with a result or an
//! error: in the check, in every way of reading, and in writing. What the fault does not touch stays
//! readable.
//! Method: files put together page by page (`craft.rs`), each with a sound table `good` beside the table with
//! the fault; each goes through everything in a child process with little memory, whose CPU time is watched.
//! With `FOLIO_HOSTILE_KEEP=FOLDER` the files are put there, to be looked at with the tool.

use std::ops::Bound;
use std::path::Path;

use folio::{Database, Error, Result};

use super::bytes::{put_u16, put_u64};
use super::craft::{Child, File, SIZE, TXN, reseal_meta};
use super::format::examine;
use super::inspected::inspect;
use super::metas::{META_AT, META_LEN, ROOT_IN_META};
use crate::files::{assert_passed, child_path, open, open_read_only, start_child};

const ALL: (Bound<&[u8]>, Bound<&[u8]>) = (Bound::Unbounded, Bound::Unbounded);
/// CPU seconds of a child that goes through one file, and its memory in KiB.
const SECONDS: u64 = 4;
const MEMORY_KIB: u64 = 256 << 10;

fn good(file: &mut File) -> Child {
    file.leaf(&[(b"a", b"one"), (b"b", b"two"), (b"c", b"three")])
}

/// The file with a table `bad` that `make` gives, beside a sound one.
pub(super) fn with_table(make: impl FnOnce(&mut File) -> Child) -> Vec<u8> {
    let mut file = File::new();
    let (good, bad) = (good(&mut file), make(&mut file));
    let catalog = file.catalog(&[("bad", bad), ("good", good)]);
    file.finish(catalog)
}

/// A file by name, and how it is made.
type Recipe = (&'static str, fn() -> Vec<u8>);

/// Every file by name, and whether the engine refuses to open it.
const FILES: &[Recipe] = &[
    ("a branch is its own child", || {
        with_table(|file| {
            let leaf = file.leaf(&[(b"m", b"1")]);
            let own = file.next();
            let level_1 = file.branch(&[(b"", leaf), (b"n", leaf)]);
            let _ = level_1;
            let cycle = Child { level: 1, ..Child::of(own, 1, 1) };
            file.branch(&[(b"", cycle), (b"n", cycle)])
        })
    }),
    ("a page is the child of every branch", || {
        with_table(|file| {
            let mut child = file.leaf(&[(b"k", b"1")]);
            for _ in 0..30 {
                let cells: Vec<(Vec<u8>, Child)> =
                    (0..60u8).map(|i| (if i == 0 { Vec::new() } else { vec![b'k', i] }, child)).collect();
                let cells: Vec<(&[u8], Child)> =
                    cells.iter().map(|(key, child)| (&key[..], *child)).collect();
                child = file.branch(&cells);
                // What a walk that believes the numbers would need a lifetime for.
                child.count = child.count.max(1);
            }
            child
        })
    }),
    ("a page is the child of every branch, which says so of one entry", || {
        with_table(|file| {
            let mut child = file.leaf(&[(b"k", b"1")]);
            for _ in 0..30 {
                let once = Child { count: 1, ..child };
                child = file.branch(&[(b"", child), (b"l", once), (b"m", once), (b"n", once)]);
            }
            child
        })
    }),
    ("two tables have one page", || {
        let mut file = File::new();
        let (good, shared) = (good(&mut file), file.leaf(&[(b"m", b"1"), (b"n", b"2")]));
        let catalog = file.catalog(&[("bad", shared), ("bad too", shared), ("good", good)]);
        file.finish(catalog)
    }),
    ("a table is the catalog", || {
        let mut file = File::new();
        let good = good(&mut file);
        let catalog = Child::of(file.next(), 2, 0);
        let made = file.catalog(&[("bad", catalog), ("good", good)]);
        assert_eq!(made.page, catalog.page);
        file.finish(catalog)
    }),
    ("a child far behind the end", || {
        with_table(|file| {
            let leaf = file.leaf(&[(b"a", b"1")]);
            let far = Child::of((1 << 48) - 1, 1, 0);
            file.branch(&[(b"", leaf), (b"b", far)])
        })
    }),
    ("a table's root far behind the end", || with_table(|_| Child::of((1 << 48) - 1, 1, 0))),
    ("counts that overflow", || {
        with_table(|file| {
            let leaf = file.leaf(&[(b"a", b"1")]);
            let many = Child { count: u64::MAX, ..leaf };
            let branch = file.branch(&[(b"", many), (b"b", many)]);
            Child { count: u64::MAX, ..branch }
        })
    }),
    ("a count that is too large", || {
        with_table(|file| {
            let leaf = file.leaf(&[(b"a", b"1")]);
            Child { count: u64::MAX, ..leaf }
        })
    }),
    ("a root at level 31 above a leaf", || {
        with_table(|file| Child { level: 31, ..file.leaf(&[(b"a", b"1")]) })
    }),
    ("a chain of branches to level 250", || {
        with_table(|file| {
            let mut child = file.leaf(&[(b"a", b"1")]);
            while child.level < 250 {
                child = file.branch(&[(b"", child)]);
            }
            // A table record that says so is not believed; the highest level it can say is 31.
            Child { level: 31, ..child }
        })
    }),
    ("a chain of branches with one child each, to level 31", || {
        with_table(|file| {
            let mut child = file.leaf(&[(b"a", b"1")]);
            while child.level < 31 {
                child = file.branch(&[(b"", child)]);
            }
            child
        })
    }),
    ("a prefix longer than the page", || {
        with_table(|file| {
            let leaf = file.leaf(&[(b"a", b"1")]);
            put_u16(file.page(leaf.page), 24, 65_535);
            file.seal(leaf.page);
            leaf
        })
    }),
    ("slots that do not ascend", || with_table(|file| file.leaf(&[(b"b", b"1"), (b"a", b"2")]))),
    ("a cell on another", || {
        with_table(|file| {
            let leaf = file.leaf(&[(b"a", b"111"), (b"b", b"222")]);
            put_u16(file.page(leaf.page), 32 + 8 + 4, SIZE - 6);
            file.seal(leaf.page);
            leaf
        })
    }),
    ("cells that go on behind the page", || {
        with_table(|file| {
            let leaf = file.leaf(&[(b"a", b"111")]);
            put_u16(file.page(leaf.page), SIZE - 6, 65_535);
            file.seal(leaf.page);
            leaf
        })
    }),
    ("a value that goes on behind the end", || {
        with_table(|file| file.leaf_with_run(b"a", file.next() - 1, u32::MAX, 0))
    }),
    ("a value at the last page number", || {
        with_table(|file| file.leaf_with_run(b"a", (1 << 48) - 1, u32::MAX, 0))
    }),
    ("a value in the header pages", || with_table(|file| file.leaf_with_run(b"a", 16, 4096, 0))),
    ("two entries with one value", || {
        with_table(|file| {
            let run = file.raw(&[7; 3000]);
            let sum = File::sum_of(&[7; 3000]);
            let (a, b) = (file.leaf_with_run(b"a", run, 3000, sum), file.leaf_with_run(b"b", run, 3000, sum));
            file.branch(&[(b"", a), (b"b", b)])
        })
    }),
    ("a table's root born in the future", || {
        with_table(|file| {
            let leaf = file.leaf(&[(b"a", b"1")]);
            put_u64(file.page(leaf.page), 16, TXN + 1);
            file.seal(leaf.page);
            Child { birth: TXN + 1, ..leaf }
        })
    }),
    ("a child born after its parent", || {
        with_table(|file| {
            let leaf = file.leaf(&[(b"a", b"1")]);
            put_u64(file.page(leaf.page), 16, TXN + 1);
            file.seal(leaf.page);
            let leaf = Child { birth: TXN + 1, ..leaf };
            file.branch(&[(b"", leaf), (b"b", leaf)])
        })
    }),
    ("a child born after its parent, and before the root", || {
        with_table(|file| {
            let leaf = file.leaf(&[(b"a", b"1")]);
            let branch = file.branch(&[(b"", leaf)]);
            put_u64(file.page(branch.page), 16, TXN - 1);
            file.seal(branch.page);
            Child { birth: TXN - 1, ..branch }
        })
    }),
    ("keys outside the separators", || {
        with_table(|file| {
            let (low, high) = (file.leaf(&[(b"x", b"1")]), file.leaf(&[(b"c", b"1")]));
            file.branch(&[(b"", low), (b"m", high)])
        })
    }),
    ("names of types that go on behind the record", || {
        let mut file = File::new();
        let good = good(&mut file);
        let mut record = File::record(good, "[u8]", "[u8]");
        put_u16(&mut record, 38, 65_535);
        put_u16(&mut record, 40, 65_535);
        let sound = File::record(Child { page: 0, birth: 0, count: 0, level: 0 }, "[u8]", "[u8]");
        let mut sound = sound;
        sound[..32].fill(0);
        let catalog = file.leaf(&[(b"bad", &record), (b"good", &sound)]);
        file.finish(catalog)
    }),
    ("the log calls a live page free", || {
        let mut file = File::new();
        let (good, bad) = (good(&mut file), file.leaf(&[(b"a", b"1")]));
        let catalog = file.catalog(&[("bad", bad), ("good", good)]);
        file.free(bad.page, 1);
        file.finish(catalog)
    }),
    ("the log calls its own page free", || {
        let mut file = File::new();
        let good = good(&mut file);
        let catalog = file.catalog(&[("good", good)]);
        file.free(file.next(), 1);
        file.finish(catalog)
    }),
    ("the log calls pages behind the end free", || {
        let mut file = File::new();
        let good = good(&mut file);
        let catalog = file.catalog(&[("good", good)]);
        file.free(file.next() + 1, 60_000);
        file.finish(catalog)
    }),
    ("the log names the farthest pages", || {
        let mut file = File::new();
        let good = good(&mut file);
        let catalog = file.catalog(&[("good", good)]);
        file.free((1 << 48) - 1, 65_535);
        file.finish(catalog)
    }),
    ("the log goes in a circle", || {
        let mut file = File::new();
        let good = good(&mut file);
        let catalog = file.catalog(&[("good", good)]);
        let own = file.next();
        for _ in 0..20 {
            file.log(&[[1 | 15 << 48, 0, 0]], (own, TXN));
        }
        let end = file.next();
        file.finish_with(catalog, (own, TXN, end - 1), end)
    }),
    ("the log is a page of a tree", || {
        let mut file = File::new();
        let good = good(&mut file);
        let catalog = file.catalog(&[("good", good)]);
        let end = file.next();
        file.finish_with(catalog, (good.page, TXN, 1), end)
    }),
    ("a page of a tree is one of the log", || {
        let mut file = File::new();
        let good = good(&mut file);
        let log = file.log(&[[1 | 15 << 48, 0, 0]], (0, 0));
        let catalog = file.catalog(&[("bad", Child::of(log, 1, 0)), ("good", good)]);
        let end = file.next();
        file.finish_with(catalog, (log, TXN, 1), end)
    }),
    ("a page count of 2^48", || meta(8, 1 << 48)),
    ("a page count of 2^64 - 1", || meta(8, u64::MAX)),
    ("a page count below the header pages", || meta(8, 5)),
    ("a transaction behind the ceiling", || meta(0, TXN + 1)),
    ("transaction 0", || meta(0, 0)),
    ("a catalog born in the future", || meta(24, TXN + 1)),
    ("a log of 2^60 pages", || meta(96, 1 << 60)),
    ("a catalog at level 255", || meta(40, 255)),
];

/// A sound file, but for one number of the root in both meta pages.
fn meta(offset: usize, number: u64) -> Vec<u8> {
    let mut file = with_table(|file| file.leaf(&[(b"a", b"1")]));
    for at in META_AT {
        let meta = &mut file[at..at + META_LEN];
        put_u64(meta, ROOT_IN_META + offset, number);
        reseal_meta(meta);
    }
    file
}

#[test]
fn each_crafted_file_ends_with_a_result_and_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let sound = with_table(|file| file.leaf(&[(b"a", b"1")]));
    examine(&sound, &[0; 16]).unwrap();
    for (i, (name, make)) in FILES.iter().enumerate() {
        let path = folder.path().join(format!("{i}.folio"));
        let bytes = make();
        // One or the other is sound in all that the format says is checked.
        let verdict = examine_if_small(&bytes);
        std::fs::write(&path, &bytes).unwrap();
        if let Some(kept) = std::env::var_os("FOLIO_HOSTILE_KEEP") {
            std::fs::copy(&path, Path::new(&kept).join(name.replace(' ', "-") + ".folio")).unwrap();
        }
        std::fs::write(path.with_extension("verdict"), verdict.clone().err().unwrap_or_default()).unwrap();
        let shell = format!("ulimit -d {MEMORY_KIB}; ulimit -t {SECONDS}");
        let exe = std::env::current_exe().unwrap();
        println!("{name}: {verdict:?}");
        let output = start_child(&shell, &[], &exe, "hostile::crafted::goes_through_everything", &path);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        assert_passed(&output);
    }
}

/// What the slow reader says; it makes lists as long as the page count, which some of these files overstate.
fn examine_if_small(bytes: &[u8]) -> std::result::Result<(), String> {
    match super::bytes::u64_at(bytes, ROOT_IN_META + 8) {
        pages if pages > 1 << 20 => Err("page count".to_owned()),
        _ => examine(bytes, &[0; 16]).map(drop),
    }
}

#[test]
#[ignore = "a child process of the test above"]
fn goes_through_everything() {
    let Some(path) = child_path() else { return };
    let verdict = std::fs::read_to_string(path.with_extension("verdict")).unwrap();
    match open_read_only(&path) {
        Err(error) => assert!(!verdict.is_empty() && is_damage(&error), "{error:?}"),
        Ok(db) => {
            let report = db.check().unwrap();
            assert_eq!(!report.is_ok(), !verdict.is_empty(), "{verdict}: {:?}", report.faults);
            assert!(report.faults.len() <= 10_000);
            let _ = db.stats();
            read_all(&db);
            inspect(&db);
            assert_good_is_there(&db);
        }
    }
    for round in 0..5 {
        let Ok(db) = open(&path) else { continue };
        let result = write(&db, round);
        assert!(result.as_ref().err().is_none_or(is_damage), "{result:?}");
        db.check().unwrap();
        read_all(&db);
        let _ = db.close();
    }
}

pub(super) fn is_damage(error: &Error) -> bool {
    matches!(
        error,
        Error::Corrupted { .. } | Error::Truncated { .. } | Error::Full { .. } | Error::NoSuchTable { .. }
    )
}

fn read_all(db: &Database) {
    let Ok(tx) = db.begin_read() else { return };
    let _ = tx.tables();
    for name in ["bad", "bad too", "good"] {
        let Ok(table) = tx.open_raw(name) else { continue };
        for reversed in [false, true] {
            let range = table.range(ALL).unwrap();
            let entries: u64 = match reversed {
                false => range.map(checked).sum(),
                true => range.rev().map(checked).sum(),
            };
            assert!(entries < 100_000, "{entries} entries");
        }
        for key in [&b""[..], b"a", b"k", b"zz"] {
            let _ = (table.get(key), table.rank(key), table.count((Bound::Included(key), Bound::Unbounded)));
        }
        for index in [0, 1, table.len() / 2, table.len().wrapping_sub(1), u64::MAX] {
            let _ = table.nth(index);
        }
        let _ = (table.first(), table.last(), table.split(100));
    }
}

/// An entry counts 1, an error that says what is damaged 0.
fn checked(entry: Result<folio::RawEntry<'_>>) -> u64 {
    assert!(entry.as_ref().err().is_none_or(is_damage), "{entry:?}");
    u64::from(entry.is_ok())
}

/// What the fault does not touch is there.
fn assert_good_is_there(db: &Database) {
    let tx = db.begin_read().unwrap();
    let Ok(table) = tx.open_raw("good") else { return };
    if table.is_empty() {
        return;
    }
    let entries: Vec<_> = table.range(ALL).unwrap().map(|entry| entry.unwrap()).collect();
    let entries: Vec<(&[u8], &[u8])> = entries.iter().map(|(key, value)| (&key[..], *value)).collect();
    assert_eq!(entries, [(&b"a"[..], &b"one"[..]), (b"b", b"two"), (b"c", b"three")]);
}

/// One kind of change after another to the table with the fault.
fn write(db: &Database, round: usize) -> Result<()> {
    if round == 4 {
        db.write(|tx| tx.drop_table("bad").map(drop))?;
        return db.compact().map(drop);
    }
    let tx = db.begin_write()?;
    {
        let mut table = tx.open_raw("bad").or_else(|_| tx.open_raw("good"))?;
        match round {
            0 => drop(table.insert(b"k", &[1; 900])?),
            1 => drop(table.remove(b"k")?),
            2 => drop(table.remove_range((Bound::Included(b"b"), Bound::Excluded(b"y")))?),
            _ => drop(table.clear()?),
        }
        for i in 0..40u8 {
            table.insert(&[b'q', i], &[i; 500])?;
        }
    }
    tx.commit().map(drop)?;
    if round == 1 {
        db.compact()?;
    }
    Ok(())
}

/// What the log calls free is written to. Then what was there is gone, and the check says so; no more.
#[test]
fn writing_where_a_live_page_is_called_free_takes_that_page_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db.folio");
    let make = FILES.iter().find(|(name, _)| *name == "the log calls a live page free").unwrap().1;
    std::fs::write(&path, make()).unwrap();
    let db = open(&path).unwrap();
    for i in 0..200u32 {
        let written = db
            .write(|tx| tx.create_raw("new", "[u8]", "[u8]")?.insert(&i.to_le_bytes(), &[1; 500]).map(drop));
        assert!(written.as_ref().err().is_none_or(is_damage), "{written:?}");
        assert_good_is_there(&db);
    }
    assert!(!db.check().unwrap().is_ok());
}

#[test]
fn a_page_that_two_tables_have_is_not_freed_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db.folio");
    let make = FILES.iter().find(|(name, _)| *name == "two tables have one page").unwrap().1;
    std::fs::write(&path, make()).unwrap();
    let db = open(Path::new(&path)).unwrap();
    let result = db.write(|tx| {
        tx.open_raw("bad")?.insert(b"o", b"3")?;
        tx.open_raw("bad too")?.insert(b"p", b"3").map(drop)
    });
    assert!(matches!(result, Err(Error::Corrupted { page: 34, .. })), "{result:?}");
    // One of them alone: the page is the other's no more, which is what the fault means.
    db.write(|tx| tx.open_raw("bad")?.insert(b"o", b"3").map(drop)).unwrap();
    let result = db.write(|tx| tx.open_raw("bad too")?.insert(b"p", b"3").map(drop));
    assert!(matches!(result, Err(Error::Corrupted { .. })), "{result:?}");
    assert_good_is_there(&db);
}

/// A page count of 2^28, and a file that is as long: almost all of it is a hole, of which nobody says that it
/// is free.
#[test]
fn a_huge_sparse_file_takes_little_memory_and_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db.folio");
    let pages = 1u64 << 28;
    std::fs::write(&path, meta(8, pages)).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    if let Err(error) = file.set_len(pages * SIZE as u64) {
        return crate::files::say_untested(&format!("a file of 1 TiB: {error}"));
    }
    let shell = format!("ulimit -d {MEMORY_KIB}; ulimit -t {SECONDS}");
    let exe = std::env::current_exe().unwrap();
    assert_passed(&start_child(&shell, &[], &exe, "hostile::crafted::only_reads", &path));
}

#[test]
#[ignore = "a child process of the test above"]
fn only_reads() {
    let Some(path) = child_path() else { return };
    let db = open_read_only(&path).unwrap();
    let report = db.check().unwrap();
    assert!(report.faults.iter().any(|fault| fault.what.contains("neither in use nor free")));
    assert_eq!(db.stats().unwrap().pages, 1 << 28);
    read_all(&db);
    assert_good_is_there(&db);
}
