//! Goal: what is rendered by a type's name is what was encoded, it parses back to the same bytes, and neither
//! damaged bytes nor damaged names or texts make it panic, hang or fill the memory.
//! Method: typed items against their expected text; random names, bytes and texts.

use proptest::prelude::*;

use crate::error::Error;
use crate::types::{AsKey, AsValue, Key, Value, parse_key, parse_value, render_key, render_value};

/// An item is rendered as `text` from both encodings, and `text` parses as both.
fn check<T: Key + Value>(item: &(impl AsKey<T> + AsValue<T> + ?Sized), text: &str) {
    let (key, value) = (item.key_bytes(), item.value_bytes());
    let (key_type, value_type) = (<T as Key>::NAME.to_string(), <T as Value>::NAME.to_string());
    assert_eq!(render_key(&key_type, key.as_ref()).unwrap(), text);
    assert_eq!(render_value(&value_type, value.as_ref()).unwrap(), text);
    assert_eq!(parse_key(&key_type, text).unwrap(), key.as_ref(), "{text}");
    assert_eq!(parse_value(&value_type, text).unwrap(), value.as_ref(), "{text}");
}

#[test]
fn items_are_shown_as_documented() {
    check::<u8>(&7, "7");
    check::<i128>(&i128::MIN, "-170141183460469231731687303715884105728");
    check::<bool>(&true, "true");
    check::<f64>(&-0.0, "-0.0");
    check::<f64>(&1e300, "1e300");
    check::<f64>(&0.1, "0.1");
    check::<f32>(&f32::NEG_INFINITY, "-inf");
    check::<f32>(&f32::NAN, "NaN");
    check::<f32>(&f32::from_bits(0xFFC0_0001), "NaN:0xffc00001");
    check::<char>(&'"', "\"");
    check::<char>(&'\n', r"\n");
    check::<(char, char)>(&('\'', ','), r"('\'', ',')");
    check::<&str>("a \"b\" \u{e9}\t\r\n\\\0", "a \"b\" \u{e9}\\t\\r\\n\\\\\\x00");
    check::<&str>("\u{202E}", r"\xE2\x80\xAE");
    check::<&str>("", "");
    check::<&[u8]>(b"a\xFFb", r"a\xFFb");
    check::<(&str,)>(&("a\"),",), r#"("a\"),",)"#);
    check::<(&str, &[u8])>(&("a\0", b"\0\x01"), r#"("a\x00", "\x00\x01")"#);
    check::<()>(&(), "()");
    check::<[u8; 3]>(&[0, 16, 255], "0x0010FF");
    check::<([u8; 0], u8)>(&([0_u8; 0], 1), "(0x, 1)");
    check::<[i16; 2]>(&[-1, 1], "[-1, 1]");
    check::<[&str; 0]>(&[""; 0], "[]");
    check::<Option<&str>>(&None::<&str>, "None");
    check::<Option<Option<&str>>>(&Some(Some("a")), r#"Some(Some("a"))"#);
    check::<(Option<u8>, (f64, bool))>(&(Some(1), (2.0, false)), "(Some(1), (2.0, false))");
}

#[test]
fn spaces_between_components_may_vary() {
    assert_eq!(parse_key("(str,u8)", " ( \"a b\" ,7 ) ").unwrap(), b"a b\0\x07");
    assert_eq!(parse_value("[u8;2]", " 0x0a0B ").unwrap(), [10, 11]);
    assert_eq!(parse_key("str", " a ").unwrap(), b" a ");
}

#[test]
fn other_types_are_shown_as_bytes() {
    for name in
        ["shop::Id/1", "(shop::Id/1,u8)", "(u8,u8", "(u8)", "(u8,u8,)", "u64 ", "[u8;]", "Option<u8", ""]
    {
        assert_eq!(render_key(name, b"\x01a").unwrap(), r"\x01a", "{name}");
        assert_eq!(parse_key(name, r"\x01a").unwrap(), b"\x01a", "{name}");
    }
}

#[test]
fn wrong_text_is_refused_with_its_place() {
    let cases = [
        ("u8", "256", "a u8 is missing at byte 0"),
        ("u8", "", "a u8 is missing at byte 0"),
        ("u8", "1 2", "something follows its end at byte 2"),
        ("(str,u8)", r#"("a" 7)"#, "`,` is missing at byte 5"),
        ("(str,u8)", r#"("a, 7)"#, "text in \" is missing at byte 1"),
        ("[u8;2]", "0x1", "0x and two digits for each of 2 bytes are missing at byte 0"),
        ("[u8;1]", "0x+1", "0x and two digits for each of 1 bytes are missing at byte 0"),
        ("str", r"\xFF", "invalid utf-8 sequence of 1 bytes from index 0"),
        ("bytes", r"\xF", r"two hexadecimal digits must follow \x"),
        ("bytes", r"a\", "nothing follows a backslash"),
        ("bytes", r"\q", r#"the escapes are \t \n \r \\ \" \' and \xHH"#),
        ("char", "ab", "it is not one character"),
        ("f64", "NaN:0x0", "a f64 is missing at byte 0"),
        ("Option<u8>", "Some(", "a u8 is missing at byte 5"),
    ];
    for (type_name, text, expected) in cases {
        match parse_key(type_name, text) {
            Err(Error::Parse { reason, .. }) => assert_eq!(reason, expected, "{type_name} {text}"),
            other => panic!("{type_name} {text}: {other:?}"),
        }
    }
}

#[test]
fn hostile_names_end_quickly() {
    let deep = format!("{}u8{}", "Option<".repeat(100_000), ">".repeat(100_000));
    assert_eq!(render_key(&deep, b"a").unwrap(), "a");
    for name in ["[();18446744073709551615]", "[[[();1000];1000];1000]", "[[u8;0];4000000000]"] {
        assert!(matches!(render_value(name, b""), Err(Error::Decode { .. })), "{name}");
        assert!(matches!(parse_value(name, "[(), ()]"), Err(Error::Parse { .. })), "{name}");
    }
    assert!(render_key("[u64;18446744073709551615]", &[0; 64]).is_err());
    assert!(render_key("[u8;18446744073709551615]", &[0; 64]).is_err());
}

/// Names of types as a table could have them, and as it could not.
fn name() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "bool", "char", "u8", "i16", "u32", "i64", "u128", "f32", "f64", "str", "bytes", "()",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|part| format!("Option<{part}>")),
            inner.clone().prop_map(|part| format!("({part},)")),
            (inner.clone(), 0..4).prop_map(|(part, len)| format!("[{part};{len}]")),
            prop::collection::vec(inner, 2..5).prop_map(|parts| format!("({})", parts.join(","))),
        ]
    })
}

/// Bytes in which tags, end marks and small lengths are frequent.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let frequent = prop::sample::select(vec![0, 1, 2, b'a', b'"', b'\\']);
    prop::collection::vec(prop_oneof![3 => frequent, 1 => any::<u8>()], 0..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn whatever_is_shown_parses_back(name in name(), bytes in bytes()) {
        if let Ok(text) = render_key(&name, &bytes) {
            prop_assert_eq!(parse_key(&name, &text).unwrap(), &*bytes, "{} as {}", text, name);
            prop_assert!(!text.contains(char::is_control));
        }
        if let Ok(text) = render_value(&name, &bytes) {
            prop_assert_eq!(parse_value(&name, &text).unwrap(), &*bytes, "{} as {}", text, name);
        }
    }

    #[test]
    fn any_name_and_text_are_read_or_refused(
        name in prop_oneof![name(), any::<String>(), "[\\[\\](),;<>a-z0-9]{0,20}"],
        text in prop_oneof![any::<String>(), "[\\[\\](),\"'\\\\ a-z0-9SomeNone]{0,20}"],
        bytes in bytes(),
    ) {
        drop(render_value(&name, &bytes));
        if let Ok(bytes) = parse_key(&name, &text) {
            render_key(&name, &bytes).unwrap();
        }
        if let Ok(bytes) = parse_value(&name, &text) {
            render_value(&name, &bytes).unwrap();
        }
    }

    #[test]
    fn typed_items_and_their_text_agree(
        a in any::<(String, Option<i64>, [u8; 4], char)>(), b in any::<(bool, Vec<u8>, f64)>(),
    ) {
        let (text, number, array, c) = a;
        let (flag, bytes, float) = b;
        type Item = ((&'static str, Option<i64>), [u8; 4], char, bool, &'static [u8], f64);
        let item = ((&text, number), array, c, flag, &bytes, float);
        let (key, value) = (AsKey::<Item>::key_bytes(&item), AsValue::<Item>::value_bytes(&item));
        let name = <Item as Key>::NAME.to_string();
        let text = render_key(&name, key.as_ref()).unwrap();
        prop_assert_eq!(&text, &render_value(&name, value.as_ref()).unwrap());
        prop_assert_eq!(parse_key(&name, &text).unwrap(), key.as_ref());
        prop_assert_eq!(parse_value(&name, &text).unwrap(), value.as_ref());
    }
}
