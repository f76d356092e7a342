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
fn every_byte_survives_both_formats() {
    let entries = hard_entries();
    let place = Place::new();
    place.run_with(&["load", "x.folio", "t"], &spelled_out(&entries)).succeeds();
    let tsv = place.run(&["dump", "x.folio", "t"]).succeeds().out;
    for format in ["tsv", "jsonl"] {
        let dumped = place.run(&["dump", "x.folio", "t", "--format", format]).succeeds().out;
        assert_eq!(dumped.iter().filter(|byte| **byte == b'\n').count(), entries.len(), "a line per entry");
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
fn every_type_survives_both_formats() {
    let check = |keys: &str, values: &str, lines: &str| {
        let place = Place::with_types(keys, values);
        place.run_with(&["load", "x.folio", "t"], lines.as_bytes()).succeeds();
        place.run(&["dump", "x.folio", "t"]).prints(lines);
        let jsonl = place.run(&["dump", "x.folio", "t", "--format", "jsonl"]).succeeds().out;
        let types = ["--key-type", keys, "--value-type", values];
        let load = [&["load", "y.folio", "t", "--format", "jsonl"], &types[..]].concat();
        place.run_with(&load, &jsonl).succeeds();
        place.run(&["dump", "y.folio", "t"]).prints(lines);
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
}
