//! Goal: tables take every form of key, value, range and prefix that is documented, and answer as an ordered
//! map does.
//! Method: one call for each form, which must compile; then random contents and ranges against a `BTreeMap`
//! of typed keys.
#![expect(
    clippy::needless_borrow,
    clippy::needless_borrows_for_generic_args,
    reason = "what is given by reference is the point"
)]

mod changes;
mod many;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;

use proptest::prelude::*;

use crate::database::Database;
use crate::error::{Error, Result};
use crate::range::Range;
use crate::table::{DynTable, ReadTable, Table, TableDef, TableMut, type_names, type_names_match};
use crate::transaction::{ReadTransaction, WriteTransaction};
use crate::types::{AsKey, AsValue, Key, Prefix, Value};

const WORDS: Table<&str, u64> = Table::new("words");
const BLOBS: Table<&[u8], &[u8]> = Table::new("blobs");
const POINTS: Table<(&str, i32), Option<&str>> = Table::new("points");
const DEEP: Table<(&str, u64, [u8; 2]), (&str, f64)> = Table::new("deep");
const COUNTS: Table<i64, ()> = Table::new("counts");
const IDS: Table<[u8; 4], [f32; 2]> = Table::new("ids");

/// A database in memory, with the transaction that is under way: the first read commits what was written.
struct Place {
    db: Database,
    writing: Option<WriteTransaction>,
    reading: Option<ReadTransaction>,
}

impl Place {
    fn new() -> Place {
        Place { db: Database::in_memory().unwrap(), writing: None, reading: None }
    }

    fn writing(&mut self) -> &WriteTransaction {
        self.reading = None;
        self.writing.get_or_insert_with(|| self.db.begin_write().unwrap())
    }

    fn reading(&mut self) -> &ReadTransaction {
        if let Some(tx) = self.writing.take() {
            tx.commit().unwrap();
        }
        self.reading.get_or_insert_with(|| self.db.begin_read().unwrap())
    }

    /// Puts bytes into the table of words that no typed table would.
    fn plant(&mut self, key: &[u8], value: &[u8]) {
        let mut raw = self.writing().create_raw("words", "str", "u64").unwrap();
        assert!(!raw.insert(key, value).unwrap());
    }

    /// The table of words as bytes.
    fn planted(&mut self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let raw = self.reading().open_raw("words").unwrap();
        let entries = raw.range((Bound::Unbounded, Bound::Unbounded)).unwrap();
        entries.map(|entry| entry.map(|(key, value)| (key.into_owned(), value.to_vec())).unwrap()).collect()
    }
}

fn read<T: TableDef>(place: &mut Place, table: T) -> ReadTable<'_, T::Key, T::Value> {
    place.reading().open(table).unwrap()
}

fn write<T: TableDef>(place: &mut Place, table: T) -> TableMut<'_, T::Key, T::Value> {
    place.writing().open(table).unwrap()
}

fn keys<K: Key, V: Value>(range: Result<Range<'_, K, V>>) -> Vec<K::Item<'_>> {
    range.unwrap().map(|entry| entry.unwrap().0).collect()
}

fn byte_keys<V: Value>(range: Result<Range<'_, &'static [u8], V>>) -> Vec<Vec<u8>> {
    keys(range).into_iter().map(Cow::into_owned).collect()
}

/// The words that most tests read.
fn words(place: &mut Place) -> ReadTable<'_, &'static str, u64> {
    let mut table = write(place, WORDS);
    for (word, number) in [("folio", 1), ("leaf", 2), ("fold", 3), ("", 4), ("quire", 5)] {
        assert!(!table.insert(word, number).unwrap());
    }
    drop(table);
    read(place, WORDS)
}

#[test]
fn definitions_give_name_and_types() {
    assert_eq!((WORDS.name(), WORDS.table_name(), (&WORDS).table_name()), ("words", "words", "words"));
    let table: DynTable<&str, u64> = DynTable::new(String::from("words-2026"));
    assert_eq!((table.name(), table.clone().table_name()), ("words-2026", "words-2026"));
    assert_eq!(DynTable::from(WORDS).name(), "words");
    assert_eq!(format!("{WORDS:?} {table:?}"), r#"Table("words") DynTable("words-2026")"#);
    assert_eq!(type_names::<(&str, i32), Option<&str>>(), ("(str,i32)".to_owned(), "Option<str>".to_owned()));
    assert!(type_names_match::<(&str, i32), Option<&str>>(b"(str,i32)", b"Option<str>"));
    assert!(!type_names_match::<(&str, i32), Option<&str>>(b"(str,i32)", b"str"));
    assert!(!type_names_match::<(&str, i32), Option<&str>>(b"(str,i64)", b"Option<str>"));
}

#[test]
fn text_keys_come_in_every_form() {
    let mut place = Place::new();
    let table = words(&mut place);
    let key = String::from("leaf");
    let number: Option<u64> = table.get("leaf").unwrap();
    assert_eq!(number, Some(2));
    assert_eq!(table.get(&key).unwrap(), Some(2));
    assert_eq!(table.get(key.clone()).unwrap(), Some(2));
    assert_eq!(table.get(key.as_str()).unwrap(), Some(2));
    assert_eq!(table.get(&key.as_str()).unwrap(), Some(2));
    assert_eq!(table.get(key.clone().into_boxed_str()).unwrap(), Some(2));
    assert_eq!(table.get(Cow::Borrowed("leaf")).unwrap(), Some(2));
    let (first, _) = table.first().unwrap().unwrap();
    assert_eq!(table.get(&first).unwrap(), Some(4));
    assert!(table.contains(&key).unwrap());
    assert_eq!(table.get("leaves").unwrap(), None);
}

#[test]
fn text_ranges_come_in_every_form() {
    let mut place = Place::new();
    let table = words(&mut place);
    let (a, m) = (String::from("a"), String::from("m"));
    let middle = ["fold", "folio", "leaf"];
    assert_eq!(keys(table.range("a".."m")), middle);
    assert_eq!(keys(table.range(&a..&m)), middle);
    assert_eq!(keys(table.range(&(&a..&m))), middle);
    assert_eq!(keys(table.range(a.clone()..m.clone())), middle);
    assert_eq!(keys(table.range("fold"..="leaf")), middle);
    assert_eq!(keys(table.range((Bound::Excluded(""), Bound::Excluded("quire")))), middle);
    assert_eq!(keys(table.range((Bound::Included(&a), Bound::Included(&m)))), middle);
    assert_eq!(keys(table.range("folio"..)), ["folio", "leaf", "quire"]);
    assert_eq!(keys(table.range(.."folio")), ["", "fold"]);
    assert_eq!(keys(table.range(..="folio")), ["", "fold", "folio"]);
    assert_eq!(keys(table.range(..)).len(), 5);
    assert_eq!(keys(table.iter()).len(), 5);
    assert_eq!(keys(table.prefix("fo")), ["fold", "folio"]);
    assert_eq!(keys(table.prefix(&a)), Vec::<&str>::new());
    assert_eq!(keys(table.prefix("")).len(), 5);
    assert_eq!(keys(table.range(Prefix("fol"))), ["fold", "folio"]);
    assert_eq!(table.count(Prefix("fol")).unwrap(), 2);
    assert_eq!(table.count("a".."m").unwrap(), 3);
    let backwards: Vec<_> = table.range("a".."m").unwrap().rev().map(|entry| entry.unwrap()).collect();
    assert_eq!(backwards, [("leaf".into(), 2), ("folio".into(), 1), ("fold".into(), 3)]);
}

#[test]
#[expect(clippy::reversed_empty_ranges, reason = "that is the case")]
fn inverted_ranges_are_empty() {
    let mut place = Place::new();
    let table = words(&mut place);
    assert_eq!(keys(table.range("m".."a")), [""; 0]);
    assert_eq!(keys(table.range("m"..="a")), [""; 0]);
    assert_eq!(keys(table.range("leaf".."leaf")), [""; 0]);
    assert_eq!(keys(table.range((Bound::Excluded("leaf"), Bound::Excluded("leaf")))), [""; 0]);
    assert_eq!(keys(table.range((Bound::Excluded("leaf"), Bound::Included("leaf")))), [""; 0]);
    assert_eq!(keys(table.range("leaf"..="leaf")), ["leaf"]);
    assert_eq!(table.count("m".."a").unwrap(), 0);
    assert_eq!(read(&mut Place::new(), COUNTS).count(10..3).unwrap(), 0);
    let mut table = write(&mut place, WORDS);
    assert_eq!(keys(table.range("m".."a")), [""; 0]);
    assert_eq!(table.count("m".."a").unwrap(), 0);
    assert_eq!(table.remove_range("m".."a").unwrap(), 0);
    assert_eq!(table.len(), 5);
}

#[test]
fn byte_keys_come_in_every_form() {
    let mut place = Place::new();
    let mut table = write(&mut place, BLOBS);
    let vector = vec![b'c'];
    assert!(!table.insert(b"a", b"value").unwrap());
    assert!(!table.insert([b'b'], vec![1, 2]).unwrap());
    assert!(!table.insert(&vector, &vector).unwrap());
    assert!(!table.insert(&b"d"[..], String::from("text").as_bytes()).unwrap());
    assert!(!table.insert(b"\xFF\xFFx", []).unwrap());
    assert!(table.insert(vector.clone(), &b""[..]).unwrap());
    drop(table);
    let table = read(&mut place, BLOBS);
    assert_eq!(table.get(b"a").unwrap(), Some(&b"value"[..]));
    assert_eq!(table.get([b'b']).unwrap(), Some(&[1, 2][..]));
    assert_eq!(table.get(&vector).unwrap(), Some(&b""[..]));
    assert_eq!(byte_keys(table.range(b"a"..b"c")), [b"a", b"b"]);
    assert_eq!(keys(table.range(&vector[..]..)).len(), 3);
    assert_eq!(keys(table.range(..=&vector)).len(), 3);
    assert_eq!(byte_keys(table.range(b"a".as_slice()..b"bb".as_slice())), [b"a", b"b"]);
    assert_eq!(byte_keys(table.prefix(b"\xFF")), [b"\xFF\xFFx"]);
    assert_eq!(byte_keys(table.prefix(vec![0xFF, 0xFF])), [b"\xFF\xFFx"]);
    assert_eq!(byte_keys(table.prefix(&b"b"[..])), [b"b"]);
}

#[test]
fn number_keys_come_by_value_and_by_reference() {
    let mut place = Place::new();
    let mut table = write(&mut place, COUNTS);
    for number in -5..5 {
        table.insert(number, ()).unwrap();
    }
    assert_eq!(keys(table.range(-2..2)), [-2, -1, 0, 1]);
    assert_eq!(keys(table.range(3..=10)), [3, 4]);
    assert_eq!(keys(table.range(&-5..&-3)), [-5, -4]);
    assert_eq!(keys(table.range(..-3)), [-5, -4]);
    assert_eq!(table.get(&1).unwrap(), Some(()));
    assert_eq!(table.rank(-5).unwrap(), 0);
    assert_eq!(table.rank(100).unwrap(), 10);
    assert_eq!(table.nth(5).unwrap(), Some((0, ())));
    assert_eq!(table.nth(10).unwrap(), None);
    assert_eq!(table.pop_first().unwrap(), Some((-5, ())));
    assert_eq!(table.pop_last().unwrap(), Some((4, ())));
    assert_eq!(table.remove_range(0..).unwrap(), 4);
    assert_eq!(table.clear().unwrap(), 4);
    assert_eq!((table.pop_first().unwrap(), table.pop_last().unwrap()), (None, None));
    assert!(table.is_empty());
}

#[test]
fn tuple_keys_take_whatever_their_components_take() {
    let mut place = Place::new();
    let mut table = write(&mut place, POINTS);
    let name = String::from("a");
    assert!(!table.insert(("a", 1), Some("one")).unwrap());
    assert!(table.insert((&name, &1), Some(&name)).unwrap());
    assert!(!table.insert((name.clone(), -1), Some(String::from("minus one"))).unwrap());
    assert!(!table.insert(&("a\0", 0), None::<&str>).unwrap());
    assert!(!table.insert(("b", 0), Some("zero")).unwrap());
    assert_eq!(table.get(("a", -1)).unwrap(), Some(Some("minus one")));
    assert_eq!(table.get(&("a\0", 0)).unwrap(), Some(None));
    assert_eq!(table.replace(("b", 0), Some("null")).unwrap(), Some(Some("zero".to_owned())));
    assert_eq!(table.take((&name, 1)).unwrap(), Some(Some("a".to_owned())));
    assert_eq!(table.take((&name, 1)).unwrap(), None);
    drop(table);
    let table = read(&mut place, POINTS);
    assert_eq!(keys(table.range(("a", 1)..("b", 0))), [("a\0".into(), 0)]);
    assert_eq!(keys(table.range((&name, i32::MIN)..=(&name, i32::MAX))), [("a".into(), -1)]);
    assert_eq!(keys(table.prefix(("a",))), [("a".into(), -1)]);
    assert_eq!(keys(table.prefix((&name,))), [("a".into(), -1)]);
}

#[test]
fn first_components_are_a_prefix() {
    let mut place = Place::new();
    let mut table = write(&mut place, DEEP);
    for (name, number) in [("a", 1), ("a", u64::MAX), ("a\0", 1), ("ab", 1)] {
        table.insert((name, number, b"xy"), ("value", 0.5)).unwrap_or_else(|error| panic!("{error}"));
        table.insert((name, number, *b"xz"), (String::from("value"), 1.5)).unwrap();
    }
    assert_eq!(table.prefix(("a",)).unwrap().count(), 4);
    assert_eq!(table.prefix(("a", 1)).unwrap().count(), 2);
    assert_eq!(table.prefix(&("a", u64::MAX)).unwrap().count(), 2);
    assert_eq!(table.remove_range(Prefix(("a\0",))).unwrap(), 2);
    assert_eq!(table.get(("a", 1, *b"xz")).unwrap(), Some(("value", 1.5)));
}

#[test]
fn byte_array_keys_have_prefixes() {
    let mut place = Place::new();
    let mut table = write(&mut place, IDS);
    table.insert(b"abcd", [0.0, 1.0]).unwrap();
    table.insert([1, 2, 3, 4], &[f32::MAX, -1.0]).unwrap();
    assert_eq!(keys(table.prefix(b"ab")), [*b"abcd"]);
    assert_eq!(keys(table.prefix(vec![1])), [[1, 2, 3, 4]]);
    assert_eq!(table.get(b"abcd").unwrap(), Some([0.0, 1.0]));
}

#[test]
fn a_missing_table_reads_as_an_empty_one() {
    let table: ReadTable<'_, &str, u64> = ReadTable::new(None);
    assert_eq!(table.get("a").unwrap(), None);
    assert!(!table.contains("a").unwrap());
    assert_eq!((table.first().unwrap(), table.last().unwrap(), table.nth(0).unwrap()), (None, None, None));
    assert_eq!((table.rank("a").unwrap(), table.count(..).unwrap(), table.len()), (0, 0, 0));
    assert!(table.is_empty());
    assert_eq!(keys(table.range("a".."b")), [""; 0]);
    assert_eq!(keys(table.prefix("a")), [""; 0]);
    assert_eq!(table.split(4).unwrap().into_iter().flatten().count(), 0);
}

#[test]
fn values_of_a_read_table_outlive_the_handle() {
    let mut place = Place::new();
    write(&mut place, BLOBS).insert(b"a", b"value").unwrap();
    let (value, first, mut range) = {
        let table = read(&mut place, BLOBS);
        (table.get(b"a").unwrap(), table.first().unwrap(), table.iter().unwrap())
    };
    assert_eq!(value, Some(&b"value"[..]));
    assert_eq!(first.unwrap().1, range.next().unwrap().unwrap().1);
}

#[test]
fn tables_can_be_copied_into_one_another() {
    const COPY: Table<&str, u64> = Table::new("copy");
    let mut place = Place::new();
    words(&mut place);
    let tx = place.writing();
    let source = tx.open(WORDS).unwrap();
    let mut copy = tx.open(COPY).unwrap();
    for entry in source.iter().unwrap() {
        let (key, value) = entry.unwrap();
        copy.insert(key, value).unwrap();
    }
    assert_eq!(copy.get("leaf").unwrap(), Some(2));
    assert_eq!(copy.len(), 5);
}

#[test]
fn nothing_follows_an_error() {
    let mut place = Place::new();
    words(&mut place);
    place.plant(b"g", b"no u64");
    let table = read(&mut place, WORDS);
    let mut range = table.range("folio"..).unwrap();
    assert_eq!(range.next().unwrap().unwrap().0, "folio");
    assert!(matches!(range.next(), Some(Err(Error::Decode { .. }))));
    assert!(range.next().is_none());
    assert!(range.next_back().is_none());
    let mut range = table.range(..="g").unwrap();
    assert!(range.next_back().unwrap().is_err());
    assert!(range.next().is_none());
}

#[test]
fn an_entry_of_another_type_is_not_lost() {
    let mut place = Place::new();
    place.plant(b"a", b"no u64");
    place.plant(b"\xFF", &[0; 8]);
    let before = place.planted();
    assert_eq!(before.len(), 2);
    let mut table = write(&mut place, WORDS);
    assert!(table.get("a").is_err());
    assert!(table.take("a").is_err());
    assert!(table.replace("a", 1).is_err());
    assert!(table.pop_first().is_err());
    assert!(table.pop_last().is_err());
    drop(table);
    assert_eq!(place.planted(), before);
}

#[test]
fn ranges_and_views_can_be_shared_between_threads() {
    fn check<T: Send + Sync>() {}
    check::<Table<&str, u64>>();
    check::<ReadTable<'_, &str, u64>>();
    check::<Range<'_, &str, u64>>();
    let mut place = Place::new();
    let table = words(&mut place);
    let parts = table.split(3).unwrap();
    assert_eq!(parts.len(), 3);
    let counts = std::thread::scope(|scope| {
        let threads: Vec<_> = parts.into_iter().map(|part| scope.spawn(|| part.count())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(counts.iter().sum::<usize>(), 5);
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    assert_eq!(table.split(0).unwrap().len(), 1);
}

fn name(len: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(vec![0, b'a', 0xFE, 0xFF]), 0..len)
}

type Pair = (Vec<u8>, i16);

fn pair() -> impl Strategy<Value = Pair> {
    (prop::collection::vec(prop::sample::select(vec![0, 1, b'a', 0xFF]), 0..4), -2_i16..3)
}

fn bound() -> impl Strategy<Value = Bound<Pair>> {
    prop_oneof![
        4 => pair().prop_map(Bound::Included),
        4 => pair().prop_map(Bound::Excluded),
        1 => Just(Bound::Unbounded),
    ]
}

/// Whether a key lies between two bounds, without the panic of `BTreeMap::range` at inverted ones.
fn lies_between(key: &Pair, start: &Bound<Pair>, end: &Bound<Pair>) -> bool {
    let after_start = match start {
        Bound::Included(start) => key >= start,
        Bound::Excluded(start) => key > start,
        Bound::Unbounded => true,
    };
    let before_end = match end {
        Bound::Included(end) => key <= end,
        Bound::Excluded(end) => key < end,
        Bound::Unbounded => true,
    };
    after_start && before_end
}

const PAIRS: Table<(&[u8], i16), u32> = Table::new("pairs");

proptest! {
    #[test]
    fn a_table_answers_as_an_ordered_map(
        model in prop::collection::btree_map(pair(), any::<u32>(), 0..40),
        start in bound(), end in bound(), probe in pair(), parts in 0_usize..9,
    ) {
        let mut place = Place::new();
        let mut table = write(&mut place, PAIRS);
        for (key, value) in &model {
            prop_assert!(!table.insert(key, value).unwrap());
        }
        let typed = |(key, value): (&Pair, &u32)| ((Cow::Owned::<[u8]>(key.0.clone()), key.1), *value);
        let expected: Vec<_> =
            model.iter().filter(|(key, _)| lies_between(key, &start, &end)).map(typed).collect();
        let bounds = (start, end);
        let found: Vec<_> = table.range(&bounds).unwrap().map(|entry| entry.unwrap()).collect();
        prop_assert_eq!(&found, &expected);
        let mut found: Vec<_> = table.range(&bounds).unwrap().rev().map(|entry| entry.unwrap()).collect();
        found.reverse();
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(table.count(&bounds).unwrap(), expected.len() as u64);
        let rank = model.range(..probe.clone()).count() as u64;
        prop_assert_eq!(table.rank(&probe).unwrap(), rank);
        prop_assert_eq!(table.get(&probe).unwrap(), model.get(&probe).copied());
        prop_assert_eq!(table.nth(rank).unwrap(), model.range(probe.clone()..).next().map(typed));
        prop_assert_eq!(table.first().unwrap(), model.first_key_value().map(typed));
        prop_assert_eq!(table.last().unwrap(), model.last_key_value().map(typed));
        let ranges = table.split(parts).unwrap();
        let split: Vec<_> = ranges.into_iter().flatten().map(|entry| entry.unwrap()).collect();
        prop_assert_eq!(split, model.iter().map(typed).collect::<Vec<_>>());
        let same_name = model.keys().filter(|key| key.0 == probe.0).count();
        prop_assert_eq!(table.prefix((&probe.0,)).unwrap().count(), same_name);
        prop_assert_eq!(table.remove_range(&bounds).unwrap(), expected.len() as u64);
        prop_assert_eq!(table.len(), (model.len() - expected.len()) as u64);
    }

    #[test]
    fn a_prefix_finds_just_the_keys_that_begin_with_it(
        names in prop::collection::btree_set(name(4), 0..30), prefix in name(3),
    ) {
        let mut place = Place::new();
        let mut table = write(&mut place, BLOBS);
        for name in &names {
            table.insert(name, b"").unwrap();
        }
        let expected: Vec<_> = names.iter().filter(|name| name.starts_with(&prefix)).cloned().collect();
        prop_assert_eq!(byte_keys(table.prefix(&prefix)), expected);
    }
}

/// The types that stand for the same keys and values give the same bytes.
#[test]
fn all_forms_encode_alike() {
    let text = String::from("a\0b");
    let tuple = AsKey::<(&str, u8)>::key_bytes(&(text.as_str(), 1));
    assert_eq!(AsKey::<(&str, u8)>::key_bytes(&(&text, &1)).as_ref(), tuple.as_ref());
    assert_eq!(
        AsKey::<(&str, u8)>::key_bytes(&(Cow::Borrowed("a\0b"), Box::new(1))).as_ref(),
        tuple.as_ref()
    );
    let value = AsValue::<(&str, u8)>::value_bytes(&(text.as_str(), 1));
    assert_eq!(AsValue::<(&str, u8)>::value_bytes(&(text, &1)).as_ref(), value.as_ref());
    let map: BTreeMap<String, u8> = BTreeMap::from([("a".into(), 1)]);
    assert_eq!(AsKey::<(&str, u8)>::key_bytes(&map.first_key_value().unwrap()).as_ref(), b"a\0\x01");
}

#[test]
fn a_writer_lists_old_and_new_tables_by_name() {
    let db = Database::options().in_memory().unwrap();
    let names =
        |tx: &WriteTransaction| tx.tables().unwrap().into_iter().map(|table| table.name).collect::<Vec<_>>();
    let tx = db.begin_write().unwrap();
    for name in ["m", "c", "x"] {
        tx.create_raw(name, "bytes", "bytes").unwrap();
    }
    assert_eq!(names(&tx), ["c", "m", "x"]);
    tx.commit().unwrap();
    let tx = db.begin_write().unwrap();
    for name in ["z", "a", "m", "d"] {
        tx.create_raw(name, "bytes", "bytes").unwrap();
    }
    assert_eq!(names(&tx), ["a", "c", "d", "m", "x", "z"]);
}
