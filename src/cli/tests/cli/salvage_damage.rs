//! Goal: `salvage` claims nothing that it cannot know of a file with several damaged pages, or with pages
//! that were made to hurt, and leaves no half of a file behind.
//! Method: files with old versions of their pages, whose branches and free-space log are gone; pages that
//! were changed and have the checksum that fits; an end in the middle of the work.

use std::collections::BTreeSet;
use std::fs;

use folio::inspect::{Layout, PageKind, PageMap, PageOwner, PageRecord, RawFile};
use serde_json::Value;

use crate::Place;
use crate::salvage::{Content, content, content_of, folio_new, key, put, salvage, total};
use crate::watch::open;

/// Behind the first header page; the others have no number where pages have theirs.
const FIRST: usize = 4096;

/// The file `sound.folio` of 3,000 entries, and one that two commits changed: old pages stay in the file.
/// Its content, its live pages and its bytes.
fn changed_twice(place: &Place) -> (Content, PageMap, Vec<u8>) {
    let db = folio_new(&place.path("sound.folio"), 4096);
    put(&db, "t", (0..3000).map(|i| (key(i), vec![b'a'; 30])));
    put(&db, "t", [(key(700), vec![b'b'; 30])].into_iter());
    put(&db, "t", [(key(2100), vec![b'c'; 30])].into_iter());
    let (content, map) = (content_of(&db), db.begin_read().unwrap().page_map().unwrap());
    db.close().unwrap();
    (content, map, fs::read(place.path("sound.folio")).unwrap())
}

/// Zeros the pages that have a header with this kind, old ones too.
fn zero_all(bytes: &mut [u8], kinds: &[u8]) {
    for (i, page) in bytes[FIRST..].chunks_exact_mut(4096).enumerate() {
        let number = u64::try_from(i + FIRST / 4096).unwrap();
        if page[8..16] == number.to_le_bytes() && kinds.contains(&page[4]) {
            page.fill(0);
        }
    }
}

fn zero(bytes: &mut [u8], record: &PageRecord) {
    let at = usize::try_from(record.page).unwrap() * 4096;
    bytes[at..at + 4096].fill(0);
}

/// The names of the tables that were saved.
fn tables(json: &Value) -> Vec<&str> {
    json["tables"].as_array().unwrap().iter().map(|table| table["table"].as_str().unwrap()).collect()
}

/// Changes a page, which has the right checksum afterwards too.
fn change(bytes: &mut [u8], layout: &Layout, page: u64, change: impl FnOnce(&mut [u8])) {
    let size = layout.page_size as usize;
    let at = usize::try_from(page).unwrap() * size;
    let page = &mut bytes[at..at + size];
    change(page);
    let sum = layout.value_sum(&page[4..]).unwrap();
    page[..4].copy_from_slice(&sum.to_le_bytes());
}

/// A file with the table `t` of one leaf: its bytes and layout, the page of its catalog and its leaf.
fn small(place: &Place, page_size: u32) -> (Vec<u8>, Layout, u64, PageRecord) {
    let path = place.path("sound.folio");
    let db = folio_new(&path, page_size);
    put(&db, "t", (0..20).map(|i| (key(i), vec![1; 30])));
    let map = db.begin_read().unwrap().page_map().unwrap();
    db.close().unwrap();
    let catalog = map.iter().find(|record| record.owner == PageOwner::Catalog).unwrap().page;
    let leaf = map.iter().find(|record| matches!(record.owner, PageOwner::Table(_))).unwrap();
    (fs::read(&path).unwrap(), RawFile::open(&path).unwrap().layout().unwrap().unwrap(), catalog, leaf)
}

/// Where the record of the one table stands in the catalog's page: it begins with its root.
fn record_in(page: &[u8], leaf: &PageRecord) -> usize {
    let root = [leaf.page.to_le_bytes(), leaf.birth.to_le_bytes()].concat();
    let found = page.windows(16).position(|bytes| bytes[..6] == root[..6] && bytes[8..] == root[8..]);
    found.expect("the record of the table")
}

#[test]
fn old_versions_of_entries_do_not_make_up_for_lost_ones() {
    let place = Place::new();
    let (sound, map, mut bytes) = changed_twice(&place);
    zero_all(&mut bytes, &[2, 3]);
    let lost = map.iter().filter(|record| record.kind == PageKind::Leaf).nth(20).unwrap();
    zero(&mut bytes, &lost);
    place.write("damaged.folio", &bytes);
    let (run, json) = salvage(&place);
    assert_eq!((run.code, &json["lossless"]), (Some(1), &Value::Bool(false)), "{json:#}");
    assert_eq!(json["entries"], total(&sound) - u64::from(lost.entries), "{json:#}");
    // The newest of what was found twice is there.
    let saved = content(&place, "saved.folio");
    assert!(saved.keys().all(|entry| sound.contains_key(entry)), "an old value");
    let gaps = json["lost_pages"].as_array().unwrap();
    assert_eq!((gaps.len(), &gaps[0]["found"]), (1, &json["entries"]), "{json:#}");
}

#[test]
fn where_free_space_is_unknown_nobody_can_say_that_nothing_is_lost() {
    let place = Place::new();
    let (_, map, mut bytes) = changed_twice(&place);
    // Removed entries come back, and would make up for those of the leaf.
    let lost = map.iter().filter(|record| record.kind == PageKind::Leaf).nth(20).unwrap();
    let db = open(&place, "sound.folio");
    let tx = db.begin_write().unwrap();
    (0..u64::from(lost.entries)).for_each(|i| {
        assert!(tx.open_raw("t").unwrap().remove(&key(usize::try_from(i).unwrap())).unwrap());
    });
    tx.commit().unwrap();
    db.close().unwrap();
    bytes.clone_from(&fs::read(place.path("sound.folio")).unwrap());
    zero_all(&mut bytes, &[2, 3]);
    zero(&mut bytes, &lost);
    place.write("damaged.folio", &bytes);
    let (run, json) = salvage(&place);
    assert_eq!((run.code, &json["lossless"]), (Some(1), &Value::Bool(false)), "{json:#}");
    fs::remove_file(place.path("saved.folio")).unwrap();
    let text = place.run(&["salvage", "damaged.folio", "saved.folio"]).text();
    assert!(!text.contains("nothing is lost"), "{text}");
}

#[test]
fn a_table_with_fewer_entries_than_its_record_says_has_lost_some() {
    let place = Place::new();
    let (mut bytes, layout, catalog, leaf) = small(&place, 4096);
    change(&mut bytes, &layout, catalog, |page| page[record_in(page, &leaf) + 16] += 1);
    place.write("damaged.folio", &bytes);
    let (run, json) = salvage(&place);
    assert_eq!((run.code, &json["lossless"]), (Some(1), &Value::Bool(false)), "{json:#}");
    assert_eq!((&json["entries"], &json["tables"][0]["expected"]), (&20.into(), &21.into()), "{json:#}");
}

#[test]
fn a_table_whose_record_makes_no_sense_is_lost() {
    let place = Place::new();
    let (mut bytes, layout, catalog, leaf) = small(&place, 4096);
    change(&mut bytes, &layout, catalog, |page| page[record_in(page, &leaf) + 32] = 9);
    place.write("damaged.folio", &bytes);
    let (run, json) = salvage(&place);
    assert_eq!((run.code, &json["lossless"]), (Some(1), &Value::Bool(false)), "{json:#}");
    assert_eq!(json["lost_tables"], 1, "{json:#}");
    assert!(json["notes"][0].as_str().unwrap().contains("table t makes no sense"), "{json:#}");
}

#[test]
#[cfg(unix)]
fn the_new_file_has_its_name_when_it_is_whole_and_not_before() {
    let place = Place::new();
    let (sound, _, bytes) = changed_twice(&place);
    place.write("damaged.folio", &bytes);
    // The system ends it when its file grows too long: it can clean up nothing.
    let run = place.shell("ulimit -c 0; ulimit -f 300; exec folio salvage damaged.folio saved.folio");
    assert!(run.code != Some(0) && run.text().is_empty(), "{:?} {}", run.code, run.text());
    assert!(!place.path("saved.folio").exists());
    let names = || -> BTreeSet<String> {
        let names = fs::read_dir(place.folder.path()).unwrap();
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let mut before = names();
    place.run(&["salvage", "damaged.folio", "saved.folio"]).succeeds();
    assert!(before.insert("saved.folio".to_owned()) && names() == before, "{:?} {before:?}", names());
    assert_eq!(content(&place, "saved.folio"), sound);
}

/// A branch page of level 1 or more with these children, whose keys have a long common beginning.
fn branch(layout: &Layout, number: u64, level: u8, prefix: &[u8], children: &[(u64, u64)]) -> Vec<u8> {
    let mut bytes = vec![0; layout.page_size as usize];
    let mut end = bytes.len();
    let slots = (32 + prefix.len()).next_multiple_of(8);
    for (i, (child, count)) in children.iter().enumerate() {
        let suffix = [i / 256, i % 256].map(|byte| u8::try_from(byte).unwrap());
        let suffix = if i == 0 { &[][..] } else { &suffix[..] };
        let cell = [&child.to_le_bytes()[..], &2_u64.to_le_bytes(), &count.to_le_bytes(), suffix].concat();
        end -= cell.len();
        bytes[end..end + cell.len()].copy_from_slice(&cell);
        let mut head = [0; 4];
        head[..suffix.len()].copy_from_slice(suffix);
        head.reverse();
        let at = slots + 8 * i;
        bytes[at..at + 4].copy_from_slice(&head);
        bytes[at + 4..at + 6].copy_from_slice(&u16::try_from(end).unwrap().to_le_bytes());
        bytes[at + 6..at + 8].copy_from_slice(&u16::try_from(suffix.len()).unwrap().to_le_bytes());
    }
    bytes[32..32 + prefix.len()].copy_from_slice(prefix);
    (bytes[4], bytes[5]) = (2, level);
    bytes[6..8].copy_from_slice(&u16::try_from(children.len()).unwrap().to_le_bytes());
    bytes[8..16].copy_from_slice(&number.to_le_bytes());
    bytes[16..24].copy_from_slice(&2_u64.to_le_bytes());
    bytes[24..26].copy_from_slice(&u16::try_from(prefix.len()).unwrap().to_le_bytes());
    bytes[28..32].copy_from_slice(&u32::try_from(end).unwrap().to_le_bytes());
    let sum = layout.value_sum(&bytes[4..]).unwrap();
    bytes[..4].copy_from_slice(&sum.to_le_bytes());
    bytes
}

#[test]
#[cfg(target_os = "linux")]
fn pages_with_long_keys_that_lead_nowhere_take_little_memory_and_time() {
    const CHILDREN: u64 = 900;
    let place = Place::new();
    let (mut bytes, layout, catalog, leaf) = small(&place, 65_536);
    let root = bytes.len().div_ceil(65_536);
    bytes.resize(root * 65_536, 0);
    let root = u64::try_from(root).unwrap();
    // A chain of 20 branches from the root down, each with as many other children as fit.
    let levels = 20_u8;
    for level in (1..=levels).rev() {
        let number = root + u64::from(levels - level);
        // The first child is there, which is the leaf at last; all others are that leaf again.
        let mut children = vec![(4, 1); usize::try_from(CHILDREN).unwrap()];
        if level > 1 {
            children[0] = (number + 1, 1);
        }
        bytes.extend(branch(&layout, number, level, &[b'p'; 32_000], &children));
    }
    change(&mut bytes, &layout, catalog, |page| {
        let at = record_in(page, &leaf);
        page[at..at + 6].copy_from_slice(&root.to_le_bytes()[..6]);
        page[at + 8..at + 16].copy_from_slice(&2_u64.to_le_bytes());
        page[at + 24] = levels;
    });
    place.write("damaged.folio", &bytes);
    for json in ["", "--json"] {
        let _ = fs::remove_file(place.path("saved.folio"));
        let _ = fs::remove_file(place.path("saved.folio-lock"));
        let line =
            format!("ulimit -d 262144; ulimit -t 2; exec folio salvage damaged.folio saved.folio {json}");
        let run = place.shell(&line);
        assert_eq!((run.code, run.err.as_str()), (Some(1), ""), "{json}");
        if json.is_empty() {
            assert!(run.text().contains("something is lost"), "{}", run.text());
            continue;
        }
        let json: Value = serde_json::from_slice(&run.out).unwrap();
        // Every one of them is counted, if not listed.
        let listed = u64::try_from(json["lost_pages"].as_array().unwrap().len()).unwrap();
        let more = json["more_lost_pages"]["pages"].as_u64().unwrap();
        assert_eq!(listed + more, (CHILDREN - 1) * u64::from(levels));
    }
}

#[test]
fn tables_of_unknown_type_have_a_type_that_the_tool_knows() {
    let place = Place::new();
    let (_, map, mut bytes) = changed_twice(&place);
    zero_all(&mut bytes, &[2]);
    map.iter().filter(|record| record.owner == PageOwner::Catalog).for_each(|page| zero(&mut bytes, &page));
    place.write("damaged.folio", &bytes);
    let (_, json) = salvage(&place);
    let name = *tables(&json).iter().find(|name| name.starts_with("salvaged-")).unwrap();
    let run = place.run(&["scan", "saved.folio", name, "--prefix", "key/00"]).succeeds();
    assert!(run.text().lines().count() > 0);
}

#[test]
fn old_versions_of_a_lost_branch_lead_to_its_leaves() {
    let place = Place::new();
    let (sound, map, mut bytes) = changed_twice(&place);
    zero_all(&mut bytes, &[3]);
    let root = map.iter().find(|record| record.kind == PageKind::Branch).unwrap();
    zero(&mut bytes, &root);
    place.write("damaged.folio", &bytes);
    let (run, json) = salvage(&place);
    assert_eq!((run.code, tables(&json)), (Some(1), vec!["t"]), "{json:#}");
    let gaps = json["lost_pages"].as_array().unwrap();
    assert_eq!(
        (gaps.len(), &gaps[0]["page"], &gaps[0]["found"]),
        (1, &root.page.into(), &3000.into()),
        "{json:#}"
    );
    assert!(content(&place, "saved.folio") == sound, "an old value replaced a newer one");
}

#[test]
fn the_first_unnamed_table_is_the_newest_version_and_the_second_lacks_nothing() {
    let place = Place::new();
    let (sound, _, mut bytes) = changed_twice(&place);
    zero_all(&mut bytes, &[3]);
    // The catalog's leaves, old ones too: the record of a table has its types in it.
    for page in bytes[FIRST..].chunks_exact_mut(4096) {
        if page[4] == 1 && page.windows(7).any(|bytes| bytes == b"str[u8]") {
            page.fill(0);
        }
    }
    place.write("damaged.folio", &bytes);
    let (_, json) = salvage(&place);
    let mut newest = content(&place, "saved.folio");
    newest.retain(|(table, _, _), _| table == "salvaged-1");
    let without_table = |content: Content| -> BTreeSet<(Vec<u8>, Vec<u8>)> {
        content.into_keys().map(|(_, key, value)| (key, value)).collect()
    };
    assert!(without_table(newest) == without_table(sound), "{json:#}");
    let gaps = json["lost_pages"].as_array().unwrap();
    assert!(gaps.iter().all(|gap| gap["table"].is_null()), "{json:#}");
}
