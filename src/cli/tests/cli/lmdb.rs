//! Goal: tables of LMDB come in and go back out by its own text format, and nothing is lost on the way.
//! Method: streams written here, in LMDB's and libmdbx's dialects and in broken ones; and, where Debian's
//! lmdb-utils are installed, real environments through `mdb_load` and `mdb_dump`, compared byte for byte.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::Place;

/// A random number after the other.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    fn bytes(&mut self, len: u64, mut byte: impl FnMut(&mut Random) -> u64) -> Vec<u8> {
        (0..len).map(|_| byte(self).to_le_bytes()[0]).collect()
    }
}

/// The lines of a section as LMDB writes them, with one value for each of its header lines.
fn section(name: &str, flags: &[&str], entries: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) -> String {
    let mut text =
        format!("VERSION=3\nformat=bytevalue\ndatabase={name}\ntype=btree\nmapsize={MAP}\nmaxreaders=126\n");
    if flags.contains(&"dupsort") {
        text.push_str("duplicates=1\n");
    }
    flags.iter().for_each(|flag| text.push_str(&format!("{flag}=1\n")));
    text.push_str("db_pagesize=4096\nHEADER=END\n");
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    entries.for_each(|(key, value)| text.push_str(&format!(" {}\n {}\n", hex(&key), hex(&value))));
    text + "DATA=END\n"
}

const MAP: u64 = 1 << 29;

/// Whether LMDB's tools are there.
fn has_tools() -> bool {
    let has = |tool: &str| Command::new(tool).arg("-V").output().is_ok_and(|output| output.status.success());
    let all = has("mdb_dump") && has("mdb_load");
    if !all {
        eprintln!("NOT TESTED: mdb_dump and mdb_load are not installed (Debian: lmdb-utils)");
    }
    all
}

/// An environment of LMDB. It syncs every hundred entries, so it lies in memory where that is possible.
struct Environment {
    folder: TempDir,
}

impl Environment {
    fn new() -> Environment {
        let memory = tempfile::tempdir_in("/dev/shm").ok();
        Environment { folder: memory.unwrap_or_else(|| tempfile::tempdir().unwrap()) }
    }

    fn load(&self, dump: &Path) {
        let output = Command::new("mdb_load").arg("-f").arg(dump).arg(self.folder.path()).output().unwrap();
        assert!(output.status.success(), "mdb_load: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn dump(&self, options: &[&str]) -> Vec<u8> {
        let output = Command::new("mdb_dump").args(options).arg(self.folder.path()).output().unwrap();
        assert!(output.status.success(), "mdb_dump: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}

/// Three tables, one of them with several values for a key: 200,000 entries in all. Keys and values of every
/// byte value, keys of all lengths that LMDB has, empty values and long ones; without backslashes, if wanted.
fn environment(with_backslashes: bool) -> String {
    let mut random = Random(7);
    let any = move |random: &mut Random| match random.next(256) {
        92 if !with_backslashes => 93,
        byte => byte,
    };
    let mut blobs = BTreeMap::new();
    for byte in (0..=255_u8).filter(|byte| with_backslashes || *byte != b'\\') {
        blobs.insert(vec![byte], vec![byte; usize::from(byte % 3)]);
        blobs.insert(vec![byte; 511], random.bytes(10_000, any));
    }
    while blobs.len() < 100_000 {
        let (key_len, value_len) = (1 + random.next(60), random.next(80));
        blobs.insert(random.bytes(key_len, any), random.bytes(value_len, any));
    }
    let mut pairs = BTreeSet::new();
    while pairs.len() < 50_000 {
        let few =
            |random: &mut Random| [0, 1, 2, 255, 65, 66, 67, 68][random.next(8).to_le_bytes()[0] as usize];
        let (key_len, value_len) = (1 + random.next(4), 1 + random.next(6));
        pairs.insert((random.bytes(key_len, few), random.bytes(value_len, few)));
    }
    let mut numbers = BTreeMap::new();
    while numbers.len() < 50_000 {
        let number: u64 = random.bytes(8, any).iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
        let len = random.next(20);
        numbers.insert(number, random.bytes(len, any));
    }
    let numbers = numbers.into_iter().map(|(number, value)| (number.to_le_bytes().to_vec(), value));
    section("blobs", &[], blobs.into_iter())
        + &section("inverted index", &["dupsort"], pairs.into_iter())
        + &section("numbers", &["integerkey"], numbers)
}

#[test]
fn an_environment_of_lmdb_comes_in_and_goes_back_byte_for_byte() {
    if !has_tools() {
        return;
    }
    let place = Place::new();
    place.write("made.txt", environment(true).as_bytes());
    let first = Environment::new();
    first.load(&place.path("made.txt"));
    let dumped = first.dump(&["-a"]);
    place.run_with(&["load", "x.folio", "--format", "dump"], &dumped).succeeds();
    place.run(&["check", "x.folio"]).succeeds();
    let tables = place.run(&["tables", "x.folio"]).succeeds().text();
    for row in
        ["blobs bytes bytes 100,000", "inverted index (bytes,bytes) () 50,000", "numbers u64 bytes 50,000"]
    {
        let has_row = tables.lines().any(|line| line.split_whitespace().eq(row.split_whitespace()));
        assert!(has_row, "{tables}");
    }
    let map = MAP.to_string();
    let back = place.run(&["dump", "x.folio", "--format", "dump", "--mapsize", &map]).succeeds().out;
    assert!(back == dumped, "what folio dumps is what mdb_dump did");
    place.write("back.txt", &back);
    let second = Environment::new();
    second.load(&place.path("back.txt"));
    assert!(second.dump(&["-a"]) == dumped, "what mdb_dump says of the environment loaded from folio's dump");
}

#[test]
fn the_form_of_text_goes_both_ways_too() {
    if !has_tools() {
        return;
    }
    let place = Place::new();
    // Whether this LMDB writes backslashes so that they can be read back: 0.9.25 and later do.
    place.write("one.txt", b"VERSION=3\nHEADER=END\n 5c\n 5c\nDATA=END\n");
    let probe = Environment::new();
    probe.load(&place.path("one.txt"));
    let escapes = String::from_utf8(probe.dump(&["-p"])).unwrap().contains("\n \\\\\n");
    if !escapes {
        eprintln!("NOT TESTED: backslashes in mdb_dump -p, which this LMDB does not escape");
    }
    place.write("made.txt", environment(escapes).as_bytes());
    let first = Environment::new();
    first.load(&place.path("made.txt"));
    let dumped = first.dump(&["-a", "-p"]);
    place.run_with(&["load", "x.folio", "--format", "dump"], &dumped).succeeds();
    let map = MAP.to_string();
    let back = place.run(&["dump", "x.folio", "-p", "--format", "dump", "--mapsize", &map]).succeeds().out;
    assert!(back == dumped, "what folio dumps is what mdb_dump -p did");
}

#[test]
fn the_size_that_lmdb_is_told_is_enough() {
    if !has_tools() {
        return;
    }
    let place = Place::new();
    // Long keys that differ in their last bytes: a few bytes each here, all of them in LMDB.
    let lines = (0..60_000).map(|i| format!("{}{i:06}\t\n", "k".repeat(400))).collect::<String>();
    place.run_with(&["load", "x.folio", "t"], lines.as_bytes()).succeeds();
    place.write("dump.txt", &place.run(&["dump", "x.folio", "--format", "dump"]).succeeds().out);
    let environment = Environment::new();
    environment.load(&place.path("dump.txt"));
    assert_eq!(environment.dump(&["-a"]).iter().filter(|byte| **byte == b'\n').count(), 120_000 + 9);
}

/// Loads a stream into `x.folio`, and gives back what `dump` writes of it.
#[track_caller]
fn there_and_back(stream: &str) -> (Place, String) {
    let place = Place::new();
    place.run_with(&["load", "x.folio", "--format", "dump"], stream.as_bytes()).succeeds();
    let dumped = place.run(&["dump", "x.folio", "--format", "dump"]).succeeds().text();
    let without_size = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with("mapsize="));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    let text = without_size(&dumped);
    (place, text)
}

fn lmdb(name: &str, flags: &str, data: &str) -> String {
    format!(
        "VERSION=3\nformat=bytevalue\ndatabase={name}\ntype=btree\nmaxreaders=126\n{flags}db_pagesize=4096\n\
         HEADER=END\n{data}DATA=END\n"
    )
}

#[test]
fn every_kind_of_table_keeps_its_flags_its_order_and_its_content() {
    let check = |flags: &str, data: &str, types: &str| {
        let stream = lmdb("t", flags, data);
        let (place, back) = there_and_back(&stream);
        assert_eq!(back, stream);
        let tables = place.run(&["tables", "x.folio"]).succeeds().text();
        assert!(tables.contains(types), "{tables}");
        place.run(&["check", "x.folio"]).succeeds();
    };
    check("", " 00\n 00\n 61\n \n", "bytes  bytes");
    check("integerkey=1\n", " ff000000\n 01\n 00010000\n 02\n", "u32  bytes");
    check("integerkey=1\n", " ff00000000000000\n 01\n 0001000000000000\n 02\n", "u64  bytes");
    let dup = "duplicates=1\ndupsort=1\n";
    check(dup, " 00\n 00\n 00\n 0000\n 0001\n ff\n 01\n \n", "(bytes,bytes)  ()");
    let fixed = format!("{dup}dupfixed=1\n");
    check(&fixed, " 61\n 0000\n 61\n 0001\n 62\n ffff\n", "(bytes,[u8;2])  ()");
    let integers = format!("{dup}dupfixed=1\nintegerdup=1\n");
    check(&integers, " 61\n ff000000\n 61\n 00010000\n", "(bytes,u32)  ()");
    let both = format!("{dup}integerkey=1\ndupfixed=1\nintegerdup=1\n");
    check(
        &both,
        " 0100000000000000\n ff00000000000000\n 0100000000000000\n 0001000000000000\n",
        "(u64,u64)  ()",
    );
}

#[test]
fn the_dialect_of_libmdbx_is_read() {
    let first = "VERSION=3\ngeometry=l12288,u1048576,s65536,g65536\nmapsize=1048576\ncanary=v1,x2,y3,z4\n\
                 format=print\ndatabase=a\ntype=btree\ndb_pagesize=4096\nduplicates=1\ndupsort=1\ndupfix=1\n\
                 sequence=7\nHEADER=END\n k\n \\5c\\00\n k\n \\5ca\nDATA=END\n";
    let second = "VERSION=3\nformat=bytevalue\ndatabase=b\ntype=btree\ndb_pagesize=4096\nduplicates=0\n\
                  HEADER=END\n 61\n 62\nDATA=END\n";
    let short = "VERSION=3\ndatabase=c\ndupsort=1\nHEADER=END\n 61\n 01\n  02\nDATA=END\n";
    let place = Place::new();
    let stream = [first, second, short].concat();
    let run = place.run_with(&["load", "x.folio", "--format", "dump"], stream.as_bytes());
    assert_eq!(run.code, Some(0));
    assert!(
        run.err.contains("standard input:4: canary=") && run.err.contains(":12: sequence=7"),
        "{}",
        run.err
    );
    assert_eq!(run.err.lines().count(), 2, "{}", run.err);
    place.run(&["dump", "x.folio", "a"]).prints("(\"k\", 0x5C00)\t()\n(\"k\", 0x5C61)\t()\n");
    place.run(&["dump", "x.folio", "b"]).prints("a\tb\n");
    place.run(&["count", "x.folio", "c"]).prints("2\n");
}

#[test]
fn tables_of_every_type_come_back_as_they_were() {
    let place = Place::new();
    let tables = [
        ("words", "str", "u64", "a\t1\nb\\n\t18446744073709551615\n"),
        ("numbers", "u64", "str", "7\tseven\n256\tmore\n"),
        ("points", "(str,i32)", "Option<f64>", "(\"a\", -1)\tNone\n(\"b\", 2)\tSome(0.5)\n"),
        ("pairs", "(bytes,bytes)", "()", "(\"a\", \"\")\t()\n(\"a\", \"b\")\t()\n"),
        ("own", "mine::Key/1", "mine::Value/1", "\\x00\\xFF\t\n"),
        ("none", "i64", "bool", ""),
    ];
    for (name, keys, values, lines) in tables {
        let types = ["--key-type", keys, "--value-type", values];
        place.run_with(&[&["load", "x.folio", name], &types[..]].concat(), lines.as_bytes()).succeeds();
    }
    for form in [&[][..], &["--print"]] {
        let dumped = place.run(&[&["dump", "x.folio", "--format", "dump"], form].concat()).succeeds().out;
        let copy = format!("copy{}.folio", form.len());
        place.run_with(&["load", &copy, "--format", "dump"], &dumped).succeeds();
        let tables_of = |db: &str| place.run(&["tables", db]).succeeds().text();
        assert_eq!(tables_of(&copy), tables_of("x.folio"));
        for (name, _, _, lines) in tables {
            place.run(&["dump", &copy, name]).prints(lines);
        }
    }
}

#[test]
fn the_main_database_has_a_name_here() {
    let stream = "VERSION=3\nHEADER=END\n 61\n 62\nDATA=END\n";
    let place = Place::new();
    place.run_with(&["load", "x.folio", "--format", "dump"], stream.as_bytes()).succeeds();
    place.run(&["dump", "x.folio", "main"]).prints("a\tb\n");
    place.run_with(&["load", "x.folio", "--format", "dump", "--main", "other"], stream.as_bytes()).succeeds();
    let text = place.run(&["dump", "x.folio", "--format", "dump", "--main", "other"]).succeeds().text();
    assert_eq!(text.matches("database=").count(), 1, "{text}");
    assert!(text.contains("database=main\n"), "{text}");
    // A record that stands for a table with a name.
    let record =
        format!("{}{}{}", "00000000000001000000000000000000", "0100000000000000", "0000000000000000");
    let record = format!("{record}02000000000000000500000000000000");
    let stream = format!("VERSION=3\nHEADER=END\n 61\n 62\n 7461626c65\n {record}\nDATA=END\n");
    let load = |how: &[&str]| {
        place.run_with(&[&["load", "y.folio", "--format", "dump"], how].concat(), stream.as_bytes())
    };
    load(&[]).fails(1, &["standard input:6: ", "record table", "mdb_dump -a", "nothing was loaded"]);
    load(&["--table-records", "skip"]).succeeds();
    place.run(&["dump", "y.folio", "main"]).prints("a\tb\n");
    load(&["--table-records", "keep"]).succeeds();
    place.run(&["count", "y.folio", "main"]).prints("2\n");
}

#[test]
fn what_cannot_be_kept_is_refused_or_asked_for() {
    let dups = lmdb("index", "dupsort=1\n", " 61\n 01\n 61\n 02\n 62\n 03\n");
    let place = Place::new();
    let load = |db: &str, more: &[&str], stream: &str| {
        place.run_with(&[&["load", db, "--format", "dump"], more].concat(), stream.as_bytes())
    };
    load("x.folio", &["--dupsort", "refuse"], &dups).fails(1, &["index", "DUPSORT", "--dupsort pairs"]);
    load("first.folio", &["--dupsort", "first"], &dups).succeeds();
    place.run(&["dump", "first.folio", "index"]).prints("a\t\\x01\nb\t\\x03\n");
    load("last.folio", &["--dupsort", "last"], &dups).succeeds();
    place.run(&["dump", "last.folio", "index"]).prints("a\t\\x02\nb\t\\x03\n");
    for (flag, name) in [("reversekey", "REVERSEKEY"), ("dupsort=1\nreversedup", "REVERSEDUP")] {
        let reverse = lmdb("r", &format!("{flag}=1\n"), " 6162\n 01\n");
        load("x.folio", &[], &reverse).fails(1, &["\"r\"", name, "--any-order"]);
        load("any.folio", &["--any-order"], &reverse.replace("=r\n", &format!("={name}\n"))).succeeds();
    }
    let long = lmdb("long", "dupsort=1\n", &format!(" {}\n 01\n", "00".repeat(1000)));
    load("x.folio", &[], &long).fails(1, &["standard input:10: ", "\"long\"", "2002 bytes", "--page-size"]);
    load("large.folio", &["--page-size", "8192"], &long).succeeds();
    let odd = lmdb("odd", "integerkey=1\n", " 010203\n 01\n");
    load("x.folio", &[], &odd).fails(1, &["\"odd\"", "4 or 8 bytes"]);
    load("x.folio", &[], &lmdb("\u{e9}", "", "").replace('\u{e9}', "\u{1}")).succeeds();
    let latin = lmdb("@AME", "", "").into_bytes();
    let latin: Vec<u8> = latin.iter().map(|byte| if *byte == b'@' { 0xe9 } else { *byte }).collect();
    let run = place.run_with(&["load", "x.folio", "--format", "dump"], &latin);
    run.fails(1, &["\\xe9AME", "UTF-8", "database="]);
}

#[test]
fn a_stream_is_loaded_whole_or_not_at_all() {
    let whole = lmdb("a", "", " 61\n 62\n");
    let check = |second: &str, parts: &[&str]| {
        let place = Place::with_words();
        let stream = format!("{whole}{second}");
        let run = place.run_with(&["load", "words.folio", "--format", "dump"], stream.as_bytes());
        run.fails(1, &[parts, &["nothing was loaded"]].concat());
        assert!(!place.run(&["tables", "words.folio"]).succeeds().text().contains("\na "));
    };
    check(&lmdb("b", "", " 61\n 6\n"), &["standard input:19: ", "\"b\"", "odd"]);
    check(&lmdb("b", "", " 61\n"), &["standard input:19: ", "no value"]);
    check(lmdb("b", "", " 61\n 62\n").trim_end_matches("DATA=END\n"), &["DATA=END", "cut off"]);
    check("key\tvalue\n", &["standard input:11: ", "VERSION=3"]);
    check(
        &lmdb("words", "dupsort=1\n", " 61\n 62\n"),
        &["\"words\"", "bytes -> bytes", "(bytes,bytes) -> ()"],
    );
    check(&lmdb("b", "x_folio_key_type=str\n", " ff\n 62\n"), &["standard input:20: ", "key", "str"]);
    check(&lmdb("b", "x_folio_value_type=u64\n", " ff\n 62\n"), &["value", "u64"]);
    check(&lmdb("b", "x_folio_key_type=u46\n", " ff\n 62\n"), &["u46", "no type"]);
}

#[test]
fn tables_are_chosen_by_name() {
    let place = Place::with_words();
    for name in ["a", "b"] {
        place.run_with(&["load", "words.folio", name], b"k\tv\n").succeeds();
    }
    let names = |more: &[&str]| {
        let text =
            place.run(&[&["dump", "words.folio", "--format", "dump"], more].concat()).succeeds().text();
        let names = text.lines().filter_map(|line| line.strip_prefix("database="));
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), ["a", "b", "words"]);
    assert_eq!(names(&["--all"]), ["a", "b", "words"]);
    assert_eq!(names(&["words", "a"]), ["a", "words"]);
    place.run(&["dump", "words.folio", "no", "--format", "dump"]).fails(1, &["\"no\""]);
    place.run(&["dump", "words.folio", "a", "b"]).fails(2, &["one table"]);
    place.run(&["dump", "words.folio", "a", "--print"]).fails(2, &["--format dump"]);
    place.run(&["dump", "words.folio", "a", "--all", "--format", "dump"]).fails(2, &["--all"]);
    place.run(&["load", "words.folio"]).fails(2, &["name of the table"]);
    place.run(&["load", "words.folio", "a", "--main", "b"]).fails(2, &["--format dump"]);
    place.run(&["load", "words.folio", "--format", "dump", "--batch", "5"]).fails(2, &["whole"]);
    // An empty key is no key of LMDB's, and mdb_load would leave it out without a word.
    place.run_with(&["load", "words.folio", "a"], b"\tv\n").succeeds();
    let run = place.run(&["dump", "words.folio", "a", "--format", "dump"]);
    assert_eq!(run.code, Some(0));
    assert!(run.err.contains("1 entry that LMDB"), "{}", run.err);
}

#[test]
fn thousands_of_sections_are_loaded() {
    let place = Place::new();
    let sections: String = (0..3000).map(|n| section(&format!("t{n:04}"), &[], std::iter::empty())).collect();
    place.write("many.dump", sections.as_bytes());
    place.run(&["load", "x.folio", "--format", "dump", "many.dump"]).succeeds();
    // And again, into tables that are there.
    let text = place.run(&["load", "x.folio", "--format", "dump", "many.dump"]).succeeds().text();
    assert!(text.contains("\nt0000 ") && text.contains("\nt2999 "), "{text}");
    let tables = place.run(&["tables", "x.folio"]).succeeds().text();
    assert_eq!(tables.lines().filter(|line| line.starts_with('t') && line.contains("bytes")).count(), 3000);
}
