//! What the first byte of an input of the fuzzer `dump` chooses. Part of the fuzzer as well.

const FORMATS: [&str; 5] = ["tsv", "jsonl", "dump", "lines", "csv"];
const TYPES: [(&str, &str); 6] = [
    ("bytes", "bytes"),
    ("str", "str"),
    ("u32", "(str,u8)"),
    ("(bytes,bytes)", "()"),
    ("(str,i16)", "f64"),
    ("Option<str>", "[u8;2]"),
];

/// The format, and the types of keys and values.
pub(crate) fn chosen(kind: u8) -> (&'static str, (&'static str, &'static str)) {
    let kind = usize::from(kind);
    (FORMATS[kind % FORMATS.len()], TYPES[(kind >> 2) % TYPES.len()])
}
