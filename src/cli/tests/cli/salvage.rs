//! Goal: `salvage` saves everything that is not on a damaged page, says what is lost, and leaves the damaged
//! file as it is.
//! Method: a file with trees of several levels, values outside their leaves, many tables and old pages,
//! damaged at every page in turn; the same cut short, and without its meta pages.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Bound;
use std::path::Path;

use folio::inspect::{PageKind, PageMap, PageOwner, PageRecord};
use folio::{Database, Durability};
use serde_json::Value;

use crate::watch::open;
use crate::{Place, Run};

/// Every entry with its table; how often each is there.
pub(crate) type Content = BTreeMap<(String, Vec<u8>, Vec<u8>), u32>;

pub(crate) fn put(db: &Database, table: &str, entries: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) {
    let tx = db.begin_write().unwrap();
    {
        let mut table = tx.create_raw(table, "str", "[u8]").unwrap();
        entries.for_each(|(key, value)| assert!(table.insert(&key, &value).is_ok()));
    }
    tx.commit().unwrap();
}

pub(crate) fn key(i: usize) -> Vec<u8> {
    format!("key/{i:05}").into_bytes()
}

/// The file `sound.folio`.
fn make(place: &Place, page_size: u32) {
    let db = folio_new(&place.path("sound.folio"), page_size);
    // Different keys in different tables, and the same ones.
    put(&db, "large", (0..2500).map(|i| (key(i), vec![1; 30 + i % 50])));
    put(&db, "middle", (500..900).map(|i| (key(i), vec![2; 60])));
    put(&db, "runs", (0..9).map(|i| (key(i), vec![3; 3000 * (i + 1)])));
    let long = |i: usize| [key(i), vec![b'x'; 1500]].concat();
    put(&db, "deep", (0..40).map(|i| (long(i), vec![4; 100])));
    for i in 0..70 {
        put(&db, &format!("table-{i:02}"), (0..i % 4).map(|i| (key(i), vec![5; 20])));
    }
    // Older versions of pages stay in the file.
    for round in 0..12 {
        put(&db, "large", (0..15).map(|i| (key(i * 167 % 2500), vec![6; 40 + round])));
        put(&db, "middle", (0..3).map(|i| (key(500 + i * 131), vec![7; 60])));
    }
    db.close().unwrap();
}

#[expect(unsafe_code, reason = "opening a file has a contract: only this test knows it")]
pub(crate) fn folio_new(path: &Path, page_size: u32) -> Database {
    // SAFETY: only this test knows the file.
    unsafe { Database::options().create_new(true).page_size(page_size).open(path) }.unwrap()
}

pub(crate) fn content(place: &Place, name: &str) -> Content {
    let db = open(place, name);
    let report = db.check().unwrap();
    assert!(report.is_ok(), "{:?}", report.faults);
    content_of(&db)
}

pub(crate) fn content_of(db: &Database) -> Content {
    let tx = db.begin_read().unwrap();
    let mut content = Content::new();
    for table in tx.tables().unwrap() {
        let all = (Bound::Unbounded, Bound::Unbounded);
        for entry in tx.open_raw(&table.name).unwrap().range(all).unwrap() {
            let (key, value) = entry.unwrap();
            *content.entry((table.name.clone(), key.into_owned(), value.to_vec())).or_default() += 1;
        }
    }
    content
}

/// The types of each table, the empty ones too.
fn types(place: &Place, name: &str) -> BTreeMap<String, [String; 2]> {
    let tables = open(place, name).begin_read().unwrap().tables().unwrap().into_iter();
    tables.map(|table| (table.name, [table.key_type, table.value_type])).collect()
}

/// What the new file has, which is as much as the report says.
fn saved(place: &Place, json: &Value) -> Content {
    let saved = content(place, "saved.folio");
    assert_eq!(json["entries"], total(&saved), "{json:#}");
    saved
}

pub(crate) fn salvage(place: &Place) -> (Run, Value) {
    for name in ["saved.folio", "saved.folio-lock"] {
        let _ = fs::remove_file(place.path(name));
    }
    let run = place.run(&["salvage", "damaged.folio", "saved.folio", "--json"]);
    let json = serde_json::from_slice(&run.out)
        .unwrap_or_else(|error| panic!("{error}: {}\n{}", String::from_utf8_lossy(&run.out), run.err));
    (run, json)
}

/// How many entries are on a page, or need it; and whether it belongs to the catalog.
fn on_page(map: &PageMap, page: u64) -> (u64, bool) {
    let record = map.iter().find(|record| (record.page..record.page + record.pages).contains(&page)).unwrap();
    let of_catalog = record.owner == PageOwner::Catalog;
    match record.kind {
        PageKind::Leaf if !of_catalog => (record.entries.into(), false),
        PageKind::Overflow => (1, false),
        _ => (0, of_catalog),
    }
}

/// Every entry of the one is in the other, in its table or, unless `named`, in any.
fn assert_within(saved: &Content, sound: &Content, named: bool) {
    let mut rest = Content::new();
    let name = |table: &str| if named { table.to_owned() } else { String::new() };
    for ((table, key, value), count) in sound {
        *rest.entry((name(table), key.clone(), value.clone())).or_default() += count;
    }
    for ((table, key, value), count) in saved {
        let left = rest.get_mut(&(name(table), key.clone(), value.clone()));
        let left = left.unwrap_or_else(|| panic!("{table}: {:?}", String::from_utf8_lossy(key)));
        *left = left.checked_sub(*count).expect("no entry more often than it was there");
    }
}

pub(crate) fn total(content: &Content) -> u64 {
    content.values().map(|count| u64::from(*count)).sum()
}

#[test]
fn whatever_page_is_damaged_everything_else_is_saved() {
    let place = Place::new();
    make(&place, 4096);
    let (sound, sound_types) = (content(&place, "sound.folio"), types(&place, "sound.folio"));
    let map = open(&place, "sound.folio").begin_read().unwrap().page_map().unwrap();
    let bytes = fs::read(place.path("sound.folio")).unwrap();
    let (mut lossy, mut lossless) = (0, 0);
    for page in 0..map.page_count() {
        let at = usize::try_from(page).unwrap() * 4096;
        let mut damaged = bytes.clone();
        // As a disk would: half of it is other bytes.
        damaged[at + 100..at + 2100].iter_mut().for_each(|byte| *byte ^= 0x5A);
        place.write("damaged.folio", &damaged);
        let (run, json) = salvage(&place);
        assert_eq!(fs::read(place.path("damaged.folio")).unwrap(), damaged);
        let saved = saved(&place, &json);
        let (lost, of_catalog) = on_page(&map, page);
        let what = format!("page {page}: {json:#}");
        assert_eq!(total(&saved) + lost, total(&sound), "{what}");
        assert_within(&saved, &sound, !of_catalog);
        assert_eq!(json["lossless"], lost == 0 && !of_catalog, "{what}");
        assert_eq!(run.code, Some(i32::from(lost > 0 || of_catalog)), "{what}");
        assert!(of_catalog || types(&place, "saved.folio") == sound_types, "{what}");
        (lossy, lossless) = (lossy + u32::from(lost > 0), lossless + u32::from(lost == 0));
    }
    assert!(lossy > 50 && lossless > 30, "{lossy} {lossless}");
}

#[test]
fn without_meta_pages_the_pages_themselves_say_what_they_are_of() {
    for page_size in [4096, 8192] {
        let place = Place::new();
        make(&place, page_size);
        let sound = content(&place, "sound.folio");
        let mut damaged = fs::read(place.path("sound.folio")).unwrap();
        for at in [0, 65_536] {
            damaged[at..at + 4096].fill(0);
        }
        place.write("damaged.folio", &damaged);
        let (run, json) = salvage(&place);
        assert_within(&sound, &saved(&place, &json), true);
        assert_eq!((run.code, &json["root_found"]), (Some(1), &Value::Bool(false)), "{json:#}");
        // The id alone is gone.
        damaged.copy_from_slice(&fs::read(place.path("sound.folio")).unwrap());
        for at in [0, 65_536] {
            damaged[at + 40..at + 56].fill(0);
        }
        place.write("damaged.folio", &damaged);
        let (_, json) = salvage(&place);
        assert_within(&sound, &saved(&place, &json), true);
    }
}

#[test]
fn a_file_that_was_cut_short_gives_what_is_left() {
    let place = Place::new();
    make(&place, 4096);
    let sound = content(&place, "sound.folio");
    let bytes = fs::read(place.path("sound.folio")).unwrap();
    let mut seen = Vec::new();
    for parts in [2, 5, 8, 9] {
        place.write("damaged.folio", &bytes[..bytes.len() / 10 * parts + 1000]);
        let (run, json) = salvage(&place);
        assert_eq!(run.code, Some(1), "{json:#}");
        seen.push(total(&saved(&place, &json)));
    }
    assert!(seen.is_sorted() && seen[3] > total(&sound) / 3, "{seen:?} of {}", total(&sound));
}

#[test]
fn a_sound_file_is_saved_as_a_whole_and_people_are_told() {
    let place = Place::with_words();
    let text = place.run(&["salvage", "words.folio", "saved.folio"]).succeeds().text();
    assert_eq!(text, "table words: 5 entries\nsaved 1 table with 5 entries: nothing is lost\n");
    assert_eq!(content(&place, "saved.folio"), content(&place, "words.folio"));
    // What is there stays.
    let before = fs::read(place.path("saved.folio")).unwrap();
    let run = place.run(&["salvage", "words.folio", "saved.folio"]);
    assert!(run.code == Some(1) && run.err.contains("exists already"), "{}", run.err);
    assert_eq!(fs::read(place.path("saved.folio")).unwrap(), before);
}

#[test]
fn a_file_of_anything_else_is_refused_and_nothing_is_left_behind() {
    let place = Place::new();
    for (name, bytes) in
        [("empty", vec![]), ("text", b"some words\n".repeat(9000)), ("zeros", vec![0; 1 << 20])]
    {
        place.write(name, &bytes);
        let run = place.run(&["salvage", name, "saved.folio"]);
        assert_eq!(run.code, Some(1), "{name}");
        assert!(run.err.starts_with("folio: ") && run.err.contains("no two pages"), "{}", run.err);
        assert!(!place.path("saved.folio").exists() && !place.path("saved.folio-lock").exists());
    }
}

#[test]
fn commits_that_were_not_synced_are_saved_if_they_are_whole() {
    let place = Place::new();
    let db = folio_new(&place.path("live.folio"), 4096);
    put(&db, "t", (0..900).map(|i| (key(i), vec![1; 100])));
    db.sync().unwrap();
    let synced = content_of(&db);
    for i in [5, 400, 899] {
        let mut tx = db.begin_write().unwrap();
        tx.set_durability(Durability::Buffered);
        tx.open_raw("t").unwrap().insert(&key(i), &[2; 9000]).unwrap();
        tx.commit().unwrap();
    }
    let newest = content_of(&db);
    let pages = db.begin_read().unwrap().page_map().unwrap();
    let (since, newest_txn) = (pages.txn() - 3, pages.txn());
    // As a killed process leaves it: nobody closes it, nobody syncs it.
    let bytes = fs::read(place.path("live.folio")).unwrap();
    place.write("damaged.folio", &bytes);
    let (run, json) = salvage(&place);
    assert_eq!((run.code, content(&place, "saved.folio") == newest), (Some(0), true), "{json:#}");
    let young = |record: &PageRecord| {
        record.birth > since && matches!(record.kind, PageKind::Leaf | PageKind::Branch | PageKind::Overflow)
    };
    let mut seen = 0;
    for record in pages.iter().filter(young) {
        let mut torn = bytes.clone();
        torn[usize::try_from(record.page).unwrap() * 4096 + 90] ^= 1;
        place.write("damaged.folio", &torn);
        let (run, json) = salvage(&place);
        assert_eq!((run.code, content(&place, "saved.folio") == synced), (Some(0), true), "{json:#}");
        seen += 1;
    }
    assert!(seen >= 8, "{seen} pages of the commits up to {newest_txn}");
}
