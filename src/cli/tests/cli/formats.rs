//! Goal: what `dump` writes, `load` reads back to the same bytes, whatever they are.
//! Method: all 256 byte values, alone and together, and texts that are hard on each format; dump, load,
//! compare.

use serde_json::Value;

use crate::Place;

/// Each byte alone and all of them in one value; texts with every kind of character; the empty key and value.
fn hard_entries() -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut entries: Vec<(Vec<u8>, Vec<u8>)> = (0..=255).map(|byte| (vec![byte], vec![b'v', byte])).collect();
    entries.push((Vec::new(), (0..=255).collect()));
    entries.push(((0..=255).rev().collect(), Vec::new()));
    for text in
        ["\u{e9}\u{20ac}\u{1f600}", "\"quoted\" \\u0041 \\x41", "\u{2028}\u{feff}\u{7f}\u{85}", "{\"key\":1}"]
    {
        entries.push((text.as_bytes().to_vec(), text.as_bytes().to_vec()));
    }
    entries.push((b"cut \xe2\x82".to_vec(), b"\xf0\x9f\x98 cut".to_vec()));
    entries.sort();
    entries
}

/// The entries in TSV with every byte escaped that can be: another spelling than `dump` has.
fn spelled_out(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\x{byte:02X}")).collect::<String>();
    entries
        .iter()
        .map(|(key, value)| format!("{}\t{}\n", hex(key), hex(value)))
        .collect::<String>()
        .into_bytes()
}

#[test]
fn every_byte_survives_every_format() {
    let entries = hard_entries();
    let place = Place::new();
    place.run_with(&["load", "x.folio", "t"], &spelled_out(&entries)).succeeds();
    let tsv = place.run(&["dump", "x.folio", "t"]).succeeds().out;
    for format in ["tsv", "jsonl", "csv"] {
        let dumped = place.run(&["dump", "x.folio", "t", "--format", format]).succeeds().out;
        if format != "csv" {
            let lines = dumped.iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(lines, entries.len(), "a line per entry");
        }
        assert!(str::from_utf8(&dumped).is_ok(), "{format} is text");
        let copy = format!("{format}.folio");
        place.run_with(&["load", &copy, "t", "--format", format], &dumped).succeeds();
        assert!(place.run(&["dump", &copy, "t"]).succeeds().out == tsv, "{format}");
        for (key, value) in &entries {
            let key: String = key.iter().map(|byte| format!("\\x{byte:02x}")).collect();
            assert_eq!(&place.run(&["get", &copy, "t", &key, "--raw"]).succeeds().out, value, "{key}");
        }
    }
}

#[test]
fn tsv_escapes_only_what_it_must() {
    let place = Place::new();
    let line = "caf\u{e9} \"x\"\t\\t\\n\\r\\\\\\x00\\x7F\\xFF\u{1f600}\n";
    place.run_with(&["load", "x.folio", "t"], line.as_bytes()).succeeds();
    place.run(&["dump", "x.folio", "t"]).prints(line);
    // Bytes that are not text may also stand in a line as they are.
    place.run_with(&["load", "y.folio", "t"], b"\xff\xfe\t\\t\xff\n").succeeds();
    place.run(&["dump", "y.folio", "t"]).prints("\\xFF\\xFE\t\\t\\xFF\n");
}

#[test]
fn jsonl_is_json_that_says_what_it_holds() {
    let place = Place::new();
    place.run_with(&["load", "x.folio", "t"], b"a\tt\\t\"\\\\\nb\\xff\tplain\n").succeeds();
    let text = place.run(&["dump", "x.folio", "t", "--format", "jsonl"]).succeeds().text();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0], serde_json::json!({ "key": "a", "value": "t\t\"\\" }));
    assert_eq!(lines[1], serde_json::json!({ "key_base64": "Yv8=", "value": "plain" }));
}

#[test]
fn jsonl_has_numbers_where_the_type_has() {
    let place = Place::with_types("u64", "str");
    let lines = "{\"key\":7,\"value\":\"8\"}\n{\"key\":18446744073709551615,\"value\":\"\"}\n";
    place.run_with(&["load", "x.folio", "t", "--format", "jsonl"], lines.as_bytes()).succeeds();
    place.run(&["dump", "x.folio", "t", "--format", "jsonl"]).prints(lines);
    place.run(&["dump", "x.folio", "t"]).prints("7\t8\n18446744073709551615\t\n");
    place
        .run_with(&["load", "x.folio", "t", "--format", "jsonl"], b"{\"value\":\"nine\",\"key\":\"9\"}\n")
        .succeeds();
    place.run(&["get", "x.folio", "t", "9"]).prints("nine\n");
}

#[test]
fn every_type_survives_every_format() {
    let check = |keys: &str, values: &str, lines: &str| {
        let place = Place::with_types(keys, values);
        place.run_with(&["load", "x.folio", "t"], lines.as_bytes()).succeeds();
        place.run(&["dump", "x.folio", "t"]).prints(lines);
        for format in ["jsonl", "csv"] {
            let dumped = place.run(&["dump", "x.folio", "t", "--format", format]).succeeds().out;
            let types = ["--key-type", keys, "--value-type", values];
            let load = [&["load", format, "t", "--format", format], &types[..]].concat();
            place.run_with(&load, &dumped).succeeds();
            place.run(&["dump", format, "t"]).prints(lines);
        }
    };
    check("u8", "f64", "1\t0.30000000000000004\n2\tNaN\n3\tinf\n4\t-0.1\n5\t1.7976931348623157\n");
    check("i64", "bool", "1\ttrue\n2\tfalse\n9223372036854775807\ttrue\n");
    check("u128", "f32", "340282366920938463463374607431768211455\t0.1\n");
    check("char", "char", "a\t\\t\nb\t\\\\\nc\t\"\n");
    check("(str,u64)", "Option<u8>", "(\"a\\tb\", 1)\tNone\n(\"a\\tb\", 2)\tSome(7)\n");
    check("[u8;2]", "[u16;2]", "0x0102\t[1, 2]\n");
    check("mine::Point/1", "mine::Point/1", "\\x00\\xFF\tp\\n\n");
}

#[test]
fn a_broken_object_is_named() {
    let check = |line: &str, part: &str| {
        let place = Place::new();
        let input = format!("{{\"key\":\"a\",\"value\":\"b\"}}\n{line}\n");
        let run = place.run_with(&["load", "x.folio", "t", "--format", "jsonl"], input.as_bytes());
        run.fails(1, &["standard input:2: ", part, "nothing was loaded"]);
    };
    check("{", "JSON");
    check("[1]", "JSON");
    check("", "JSON");
    check("{\"key\":\"a\"}", "value");
    check("{\"value\":\"a\"}", "key");
    check("{\"key\":\"a\",\"value\":\"b\",\"more\":1}", "more");
    check("{\"key\":\"a\",\"key_hex\":\"61\",\"value\":\"b\"}", "exclude");
    check("{\"key\":\"a\",\"value_hex\":\"0\"}", "odd");
    check("{\"key\":\"a\",\"value_hex\":\"0g\"}", "hexadecimal");
    check("{\"key\":\"a\",\"value_hex\":1}", "string");
    check("{\"key\":1,\"value\":\"b\"}", "bytes");
    check("{\"key\":null,\"value\":\"b\"}", "bytes");
    check("{\"key\":\"a\",\"key_base64\":\"YQ==\",\"value\":\"b\"}", "exclude");
    check("{\"key_hex\":\"61\",\"key_base64\":\"YQ==\",\"value\":\"b\"}", "exclude");
    check("{\"key\":\"a\",\"value_base64\":\"YQ=\"}", "value_base64: the padding");
    check("{\"key\":\"a\",\"value_base64\":\"Y*==\"}", "no character of base64");
    check("{\"key\":\"a\",\"value_base64\":1}", "string");
}

#[test]
fn hexadecimal_digits_of_older_dumps_are_read() {
    let place = Place::new();
    let lines = b"{\"key_hex\":\"62fF\",\"value\":\"a\"}\n{\"key_base64\":\"Yg==\",\"value_hex\":\"\"}\n";
    place.run_with(&["load", "x.folio", "t", "--format", "jsonl"], lines).succeeds();
    place.run(&["dump", "x.folio", "t"]).prints("b\t\nb\\xFF\ta\n");
}

#[test]
fn csv_is_what_other_programs_read_and_write() {
    let place = Place::new();
    let entries =
        "a,b\tsaid \\\"yes\\\"\n\\xff\tback\\\\slash\nlines\tone\\ntwo\\r\\nthree\\tx\nzero\t\\x00\n";
    place.run_with(&["load", "x.folio", "t"], entries.as_bytes()).succeeds();
    place.run(&["dump", "x.folio", "t", "--format", "csv"]).prints(
        "key,value,base64\r\n\"a,b\",\"said \"\"yes\"\"\",\r\nlines,\"one\ntwo\r\nthree\tx\",\r\n\
         zero,AA==,value\r\n/w==,back\\slash,key\r\n",
    );
    let typed = Place::with_types("u64", "bool");
    typed
        .run_with(&["load", "x.folio", "t", "--format", "csv"], b"value,key\ntrue,7\n\nfalse,10\n")
        .succeeds();
    typed.run(&["dump", "x.folio", "t", "--format", "csv"]).prints("key,value\r\n7,true\r\n10,false\r\n");
    // A spreadsheet's: a mark of the byte order, quotes everywhere. And each file names its columns.
    place.write("one.csv", b"\xef\xbb\xbf\"key\",\"value\"\r\n\"k\",\"C:\\new\"\r\n");
    place.write("two.csv", b"base64,value,key\nkey value,dg==,aw==\n,,empty");
    place.run(&["load", "y.folio", "t", "one.csv", "two.csv", "--format", "csv"]).succeeds();
    place.run(&["dump", "y.folio", "t"]).prints("empty\t\nk\tv\n");
    place.run(&["load", "z.folio", "t", "one.csv", "--format", "csv"]).succeeds();
    place.run(&["get", "z.folio", "t", "k", "--raw"]).prints("C:\\new");
}

#[test]
fn a_broken_row_is_named() {
    let check = |rows: &str, line: u64, part: &str| {
        let place = Place::new();
        let run = place.run_with(&["load", "x.folio", "t", "--format", "csv"], rows.as_bytes());
        run.fails(1, &[&format!("standard input:{line}: "), part, "nothing was loaded"]);
    };
    check("a,b\n", 1, "names the columns");
    check("key,value,other\n", 1, "names the columns");
    check("key,key\n", 1, "names the columns");
    check("key,value\na\n", 2, "1 cells");
    check("key,value\na,b\nc,d,e\n", 3, "3 cells");
    check("key,value\na,b\"c\n", 2, "quote");
    check("key,value\n\"a\" ,b\n", 2, "closing quote");
    check("key,value\na,b\nc,\"d\n\nmore\n", 3, "not closed");
    check("key,value,base64\na,b,both\n", 2, "base64");
    check("key,value,base64\na,!,value\n", 2, "value: '!'");
    let place = Place::new();
    place.write("one.csv", b"key,value\na,\"b\n");
    place.write("two.csv", b"key,value\na,b\n");
    let run = place.run(&["load", "x.folio", "t", "one.csv", "two.csv", "--format", "csv"]);
    run.fails(1, &["two.csv:1: ", "file before", "not closed"]);
    let typed = Place::with_types("u64", "bytes");
    let run = typed.run_with(&["load", "x.folio", "t", "--format", "csv"], b"key,value\n1,a\nx,b\n");
    run.fails(1, &["standard input:3: key: ", "nothing was loaded"]);
}

#[test]
fn the_first_row_of_every_file_names_the_columns_wherever_it_stands() {
    let place = Place::new();
    place.write("1.csv", b"key,value\r\n");
    place.write("2.csv", b"\n\nkey,value\r\nx,y\r\n");
    place.write("empty.csv", b"");
    place.write("3.csv", b"\n\n\n\n\nvalue,key\nv,k\n");
    let files = ["1.csv", "2.csv", "empty.csv", "3.csv"];
    place.run(&[&["load", "x.folio", "t", "--format", "csv"][..], &files].concat()).succeeds();
    place.run(&["dump", "x.folio", "t"]).prints("k\tv\nx\ty\n");
}
