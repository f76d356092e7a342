//! Encodings: any bytes are an item or an error, an item has one encoding, and the order of the bytes is that
//! of the items.

use std::borrow::Cow;

use super::Bytes;
use crate::types::{AsKey, AsValue, Key, Value, parse_key, parse_value, render_key, render_value};

/// Two byte strings as items of each of many types, and as text.
///
/// # Panics
/// If something panics that must not, or the above is not so.
pub fn keys(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let (kind, name_len, len, split) = (bytes.u8(), bytes.u8(), bytes.u8(), bytes.u8());
    let name = bytes.take(name_len.into());
    let (a, b) = (bytes.take(len.into()), bytes.rest);
    typed(kind, split.into(), a, b);
    floats(a, b);
    let name = match std::str::from_utf8(name) {
        Ok(name) if kind % 4 == 0 => name,
        _ => NAMES[usize::from(kind) % NAMES.len()],
    };
    for bytes in [a, b] {
        dynamic(name, bytes);
        dynamic(name, &[bytes, &[0]].concat());
        let _ = std::str::from_utf8(bytes).map(|text| text_of(name, text));
    }
}

/// Types as the catalog names them.
const NAMES: [&str; 12] = [
    "str",
    "bytes",
    "(str,u8)",
    "(bytes,bytes,bytes)",
    "Option<str>",
    "Option<(f64,bool)>",
    "[str;2]",
    "[u8;3]",
    "char",
    "(i16,Option<char>,[f32;2])",
    "((bytes,),())",
    "u128",
];

fn typed(kind: u8, split: usize, a: &[u8], b: &[u8]) {
    macro_rules! one_of {
        ($($type:ty),+ $(,)?) => {
            let checks: &[fn(usize, &[u8], &[u8])] = &[$(pair::<$type>),+];
            checks[usize::from(kind) % checks.len()](split, a, b);
        };
    }
    one_of!(
        &'static str,
        &'static [u8],
        (&'static str, &'static [u8]),
        (&'static [u8], &'static [u8], &'static [u8]),
        u8,
        i16,
        u32,
        i64,
        u128,
        i128,
        bool,
        char,
        (),
        Option<&'static str>,
        Option<Option<&'static [u8]>>,
        Option<i8>,
        [u8; 3],
        [i16; 2],
        [&'static str; 2],
        [(&'static [u8], bool); 2],
        (&'static str,),
        (u8, &'static str, i8),
        ((&'static [u8], Option<&'static [u8]>), &'static str),
        (&'static [u8], i8, &'static str, Option<u8>, char, &'static str),
    );
}

fn pair<T>(split: usize, a: &[u8], b: &[u8])
where
    T: Key + Value + 'static,
    for<'a> <T as Key>::Item<'a>: AsKey<T> + Ord,
    for<'a> <T as Value>::Ref<'a>: AsValue<T>,
{
    one::<T>(split, a);
    one::<T>(split, b);
    let key = |bytes| <T as Key>::decode(Cow::Borrowed(bytes));
    if let (Ok(first), Ok(second)) = (key(a), key(b)) {
        assert_eq!(first.cmp(&second), a.cmp(b), "{a:?} {b:?} as {}", <T as Key>::NAME);
    }
}

/// Bytes that decode are what their item is encoded as, in one piece and in two.
fn one<T>(split: usize, bytes: &[u8])
where
    T: Key + Value + 'static,
    for<'a> <T as Key>::Item<'a>: AsKey<T>,
    for<'a> <T as Value>::Ref<'a>: AsValue<T>,
{
    let (prefix, suffix) = bytes.split_at(split.min(bytes.len()));
    let whole = <T as Key>::decode(Cow::Borrowed(bytes));
    let in_parts = <T as Key>::decode_in_parts(prefix, suffix);
    assert_eq!(whole.is_ok(), in_parts.is_ok(), "{bytes:?} as {}", <T as Key>::NAME);
    for item in whole.into_iter().chain(in_parts) {
        assert_eq!(item.key_bytes().as_ref(), bytes, "as {}", <T as Key>::NAME);
    }
    if let Ok(item) = <T as Value>::decode(bytes) {
        assert_eq!(item.value_bytes().as_ref(), bytes, "as {}", <T as Value>::NAME);
        let owned = <T as Value>::decode_owned(bytes.to_vec());
        assert!(owned.is_ok());
    }
}

fn floats(a: &[u8], b: &[u8]) {
    let key = |bytes: &[u8]| <f64 as Key>::decode(Cow::Borrowed(&bytes[..bytes.len().min(8)])).ok();
    if let (Some(first), Some(second)) = (key(a), key(b)) {
        assert_eq!(first.total_cmp(&second), a[..8].cmp(&b[..8]));
        assert_eq!(first.key_bytes().as_ref(), &a[..8]);
    }
    let key = |bytes: &[u8]| <f32 as Key>::decode(Cow::Borrowed(&bytes[..bytes.len().min(4)])).ok();
    if let (Some(first), Some(second)) = (key(a), key(b)) {
        assert_eq!(first.total_cmp(&second), a[..4].cmp(&b[..4]));
        let pairs = [first, second].map(|float| (float, 7u8).key_bytes().as_ref().to_vec());
        assert_eq!(first.total_cmp(&second), pairs[0].cmp(&pairs[1]));
    }
}

/// What is shown of bytes stands for these bytes.
fn dynamic(name: &str, bytes: &[u8]) {
    if let Ok(text) = render_key(name, bytes) {
        assert_eq!(parse_key(name, &text).unwrap(), bytes, "{text} as a key {name}");
    }
    if let Ok(text) = render_value(name, bytes) {
        assert_eq!(parse_value(name, &text).unwrap(), bytes, "{text} as a value {name}");
    }
}

/// What a text stands for can be shown, and what is shown stands for the same.
fn text_of(name: &str, text: &str) {
    if let Ok(bytes) = parse_key(name, text) {
        assert_eq!(parse_key(name, &render_key(name, &bytes).unwrap()).unwrap(), bytes, "{text} as {name}");
    }
    if let Ok(bytes) = parse_value(name, text) {
        let shown = render_value(name, &bytes).unwrap();
        assert_eq!(parse_value(name, &shown).unwrap(), bytes, "{text} as {name}");
    }
}
