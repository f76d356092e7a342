//! Goal: a million entries go in and come out, and space that is no longer needed is given back.
//! Method: random lines with 24 bytes of key and 150 of value, against the same lines sorted.

use std::fs;

use serde_json::Value;

use crate::Place;

const ENTRIES: usize = 1_000_000;

#[test]
fn a_million_lines_come_back_sorted_and_half_of_them_can_go() {
    let place = Place::new();
    let mut lines = random_lines();
    place.write("in.tsv", &lines.concat());
    let text = place.run(&["load", "x.folio", "t", "in.tsv"]).succeeds().text();
    assert!(text.starts_with("1,000,000 entries, 165.9 MiB (174,000,000 bytes), "), "{text:?}");
    let loaded = size(&place);
    fs::remove_file(place.path("in.tsv")).unwrap();

    // Keys have one length and are all different, so lines are in the order of their keys.
    lines.sort_unstable();
    assert!(
        place.run(&["dump", "x.folio", "t"]).succeeds().out == lines.concat(),
        "dump is the input, sorted"
    );
    assert_sound(&place);
    let stat: Value =
        serde_json::from_slice(&place.run(&["stat", "x.folio", "--json"]).succeeds().out).unwrap();
    let table = &stat["tables"][0];
    assert_eq!(table["entries"], ENTRIES);
    assert_eq!(
        (table["key_bytes"].as_u64(), table["value_bytes"].as_u64()),
        (Some(24_000_000), Some(150_000_000))
    );
    assert!((1..=5).contains(&table["depth"].as_u64().unwrap()), "{table}");
    assert!((0.5..=1.0).contains(&table["fill"].as_f64().unwrap()), "{table}");

    let middle = String::from_utf8(lines[ENTRIES / 2][..24].to_vec()).unwrap();
    place.run(&["count", "x.folio", "t", "--to", &middle]).prints("500000\n");
    place.run(&["del", "x.folio", "t", "--from", &middle]).prints("deleted 500,000 entries\n");
    place.run(&["compact", "x.folio"]).succeeds();
    let compacted = size(&place);
    assert!(compacted * 10 < loaded * 6, "{compacted} bytes of {loaded} are left");
    assert_sound(&place);
    lines.truncate(ENTRIES / 2);
    assert!(place.run(&["dump", "x.folio", "t"]).succeeds().out == lines.concat(), "the lower half is left");
}

fn assert_sound(place: &Place) {
    let text = place.run(&["check", "x.folio"]).succeeds().text();
    assert!(text.starts_with("ok: "), "{text}");
}

fn size(place: &Place) -> u64 {
    fs::metadata(place.path("x.folio")).unwrap().len()
}

/// Lines of hexadecimal digits from a fixed seed (xorshift64*).
fn random_lines() -> Vec<Vec<u8>> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut digits = move |len: usize, line: &mut Vec<u8>| {
        let end = line.len() + len;
        while line.len() < end {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            let word = state.wrapping_mul(0x2545_f491_4f6c_dd1d);
            let left = (end - line.len()).min(16);
            line.extend_from_slice(&format!("{word:016x}").as_bytes()[..left]);
        }
    };
    let line = |_| {
        let mut line = Vec::with_capacity(176);
        digits(24, &mut line);
        line.push(b'\t');
        digits(150, &mut line);
        line.push(b'\n');
        line
    };
    (0..ENTRIES).map(line).collect()
}
