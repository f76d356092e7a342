//! Goal: the bytes of keys are in the order of the keys, every item comes back as it was, and no bytes make
//! decoding panic.
//! Method: random items and random bytes for every built-in type, alone and nested; fixed cases for the
//! edges.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::Debug;

use proptest::prelude::*;

use crate::types::buffer::special;
use crate::types::{AsKey, AsValue, Buffer, Key, TypeName, Value};

/// The encoded key, which is also a component that tells where it ends.
fn key_of<K: Key>(key: &impl AsKey<K>) -> Vec<u8> {
    key.key_bytes().as_ref().to_vec()
}

fn value_of<V: Value>(value: &impl AsValue<V>) -> Vec<u8> {
    value.value_bytes().as_ref().to_vec()
}

/// Two keys are in the same order as their bytes, alone and in the middle of a tuple, whatever follows them.
fn check_order<K: Key, T: AsKey<K> + Debug>(a: &T, b: &T, natural: Ordering) {
    let (left, right) = (key_of(a), key_of(b));
    assert_eq!(left.cmp(&right), natural, "{a:?} as {left:?}, {b:?} as {right:?}");
    for (follows_a, follows_b) in [(0, u64::MAX), (u64::MAX, 0), (1 << 56, 0), (7, 7)] {
        let natural = natural.then(follows_a.cmp(&follows_b));
        let (left, right) = (key_of::<(K, u64)>(&(a, follows_a)), key_of::<(K, u64)>(&(b, follows_b)));
        assert_eq!(left.cmp(&right), natural, "{a:?} as {left:?}, {b:?} as {right:?}");
    }
}

/// Runs `$check` over pairs of items, half of which are near to each other.
macro_rules! ordered {
    ($($name:ident: $key:ty, $strategy:expr, $compare:expr;)+) => { $(
        proptest! {
            #[test]
            fn $name(a in $strategy, b in $strategy) {
                check_order::<$key, _>(&a, &b, $compare(&a, &b));
                check_order::<$key, _>(&a, &a, Ordering::Equal);
            }
        }
    )+ };
}

/// Short strings of few different bytes, so that two of them often share a beginning or are equal.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(vec![0, 1, 2, b'a', 0xFE, 0xFF]), 0..5)
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop::sample::select(vec!['\0', '\u{1}', '\u{2}', 'a', '\u{e9}', '\u{10FFFF}']),
        0..5,
    )
    .prop_map(String::from_iter)
}

fn float() -> impl Strategy<Value = f64> {
    let edges = [0.0, f64::MIN_POSITIVE, 1.0, 1.5, f64::MAX, f64::INFINITY, f64::NAN, f64::from_bits(1)];
    prop_oneof![
        prop::sample::select(edges.to_vec()),
        prop::sample::select(edges.map(|edge| -edge).to_vec()),
        any::<u64>().prop_map(f64::from_bits),
    ]
}

fn float32() -> impl Strategy<Value = f32> {
    let edges = [0.0, -0.0, f32::INFINITY, -f32::INFINITY, f32::NAN, -f32::NAN, 1.0, -1.0];
    prop_oneof![prop::sample::select(edges.to_vec()), any::<u32>().prop_map(f32::from_bits)]
}

ordered! {
    u8_in_order: u8, any::<u8>(), u8::cmp;
    u16_in_order: u16, any::<u16>(), u16::cmp;
    u32_in_order: u32, any::<u32>(), u32::cmp;
    u64_in_order: u64, any::<u64>(), u64::cmp;
    u128_in_order: u128, any::<u128>(), u128::cmp;
    i8_in_order: i8, any::<i8>(), i8::cmp;
    i16_in_order: i16, any::<i16>(), i16::cmp;
    i32_in_order: i32, any::<i32>(), i32::cmp;
    i64_in_order: i64, any::<i64>(), i64::cmp;
    i128_in_order: i128, any::<i128>(), i128::cmp;
    small_i64_in_order: i64, -3_i64..3, i64::cmp;
    bool_in_order: bool, any::<bool>(), bool::cmp;
    char_in_order: char, any::<char>(), char::cmp;
    unit_in_order: (), Just(()), <()>::cmp;
    f32_in_order: f32, float32(), f32::total_cmp;
    f64_in_order: f64, float(), f64::total_cmp;
    str_in_order: &str, text(), String::cmp;
    bytes_in_order: &[u8], bytes(), Vec::cmp;
    option_int_in_order: Option<i16>, any::<Option<i16>>(), Option::cmp;
    option_str_in_order: Option<&str>, prop::option::of(text()), Option::cmp;
    nested_option_in_order: Option<Option<&[u8]>>, prop::option::of(prop::option::of(bytes())), Option::cmp;
    byte_array_in_order: [u8; 3], any::<[u8; 3]>(), <[u8; 3]>::cmp;
    int_array_in_order: [i16; 2], any::<[i16; 2]>(), <[i16; 2]>::cmp;
    str_array_in_order: [&str; 2], [text(), text()], <[String; 2]>::cmp;
    one_in_order: (&str,), (text(),), <(String,)>::cmp;
    pair_in_order: (&[u8], u64), (bytes(), any::<u64>()), <(Vec<u8>, u64)>::cmp;
    pair_of_bytes_in_order: (&[u8], &[u8]), (bytes(), bytes()), <(Vec<u8>, Vec<u8>)>::cmp;
    triple_in_order: (u8, &str, i8), (0..2_u8, text(), any::<i8>()), <(u8, String, i8)>::cmp;
    nested_in_order: ((&[u8], Option<&[u8]>), &str), ((bytes(), prop::option::of(bytes())), text()),
        <((Vec<u8>, Option<Vec<u8>>), String)>::cmp;
    array_of_pairs_in_order: [(&str, bool); 2], [(text(), any::<bool>()), (text(), any::<bool>())],
        <[(String, bool); 2]>::cmp;
    six_in_order: (&[u8], i8, &str, Option<u8>, &[u8], &str),
        (bytes(), any::<i8>(), text(), any::<Option<u8>>(), bytes(), text()),
        <(Vec<u8>, i8, String, Option<u8>, Vec<u8>, String)>::cmp;
}

/// The items decoded from a key's and from a value's bytes print as the original does, also from a key that
/// had to be assembled, and not one byte may be missing or too many.
fn check_round_trip<T>(item: T)
where
    T: Key + Value + AsKey<T> + AsValue<T> + Debug,
    for<'a> <T as Key>::Item<'a>: Debug,
    for<'a> <T as Value>::Ref<'a>: Debug,
    <T as Value>::Owned: Debug,
{
    let original = format!("{item:?}");
    let key = key_of::<T>(&item);
    let value = value_of::<T>(&item);
    assert_eq!(format!("{:?}", <T as Key>::decode(Cow::Borrowed(&key)).unwrap()), original);
    assert_eq!(format!("{:?}", <T as Key>::decode(Cow::Owned(key.clone())).unwrap()), original);
    assert_eq!(format!("{:?}", <T as Value>::decode(&value).unwrap()), original);
    assert_eq!(format!("{:?}", T::into_owned(<T as Value>::decode(&value).unwrap())), original);
    assert_eq!(format!("{:?}", T::decode_owned(value.clone()).unwrap()), original);
    for (bytes, width) in [(key, <T as Key>::WIDTH), (value, <T as Value>::WIDTH)] {
        assert!(width.is_none_or(|width| width == bytes.len()), "{original} is {width:?} wide");
    }
}

proptest! {
    #[test]
    fn items_come_back(
        text in text(), bytes in bytes(), float in float(), float32 in float32(),
        ints in any::<(u8, i8, u16, i16, u32, i32)>(), big in any::<(u64, i64, u128, i128)>(),
        small in any::<(bool, char, [u8; 20], [i32; 3])>(),
        long in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let (text, bytes, long) = (text.as_str(), bytes.as_slice(), long.as_slice());
        check_round_trip(text);
        check_round_trip(bytes);
        check_round_trip(long);
        check_round_trip(float);
        check_round_trip(float32);
        check_round_trip(ints);
        check_round_trip(big);
        check_round_trip(small);
        check_round_trip(());
        check_round_trip((text,));
        check_round_trip((bytes, text));
        check_round_trip((long, long, ints.0));
        check_round_trip((long, small.1, (text, Some(bytes)), [text; 3], small.2, long));
        check_round_trip([Some(long), None]);
        check_round_trip([[ints.1; 2]; 40]);
        check_round_trip([text; 0]);
        check_round_trip(Some(Some(text)));
        check_round_trip(Some(None::<&str>));
        check_round_trip(None::<Option<u8>>);
        check_round_trip((Some(()), ((), ()), [(); 3]));
    }

    #[test]
    fn any_bytes_are_an_item_or_an_error(bytes in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        prop::collection::vec(prop::sample::select(vec![0, 1, 2, 3, b'a', 0x80, 0xFF]), 0..40),
    ]) {
        check_bytes::<bool>(&bytes);
        check_bytes::<char>(&bytes);
        check_bytes::<u64>(&bytes);
        check_bytes::<i128>(&bytes);
        check_bytes::<f32>(&bytes);
        check_bytes::<()>(&bytes);
        check_bytes::<&str>(&bytes);
        check_bytes::<&[u8]>(&bytes);
        check_bytes::<[u8; 4]>(&bytes);
        check_bytes::<[&str; 2]>(&bytes);
        check_bytes::<(&str,)>(&bytes);
        check_bytes::<(&[u8], bool)>(&bytes);
        check_bytes::<(&[u8], &[u8], &[u8])>(&bytes);
        check_bytes::<(u8, Option<(&str, char)>, i16)>(&bytes);
        check_bytes::<Option<Option<&str>>>(&bytes);
        check_bytes::<[(Option<bool>, &[u8]); 3]>(&bytes);
    }
}

/// Bytes that decode are the bytes that encoding the item gives: each item has one encoding.
fn check_bytes<T>(bytes: &[u8])
where
    T: Key + Value + 'static,
    for<'a> <T as Key>::Item<'a>: AsKey<T>,
    for<'a> <T as Value>::Ref<'a>: AsValue<T>,
{
    let borrowed = <T as Key>::decode(Cow::Borrowed(bytes));
    let owned = <T as Key>::decode(Cow::Owned(bytes.to_vec()));
    assert_eq!(borrowed.is_ok(), owned.is_ok());
    for item in borrowed.into_iter().chain(owned) {
        assert_eq!(key_of::<T>(&item), bytes);
    }
    if let Ok(item) = <T as Value>::decode(bytes) {
        assert_eq!(value_of::<T>(&item), bytes);
    }
}

#[test]
fn keys_are_encoded_as_documented() {
    let check = |bytes: &[u8], expected: &[u8]| assert_eq!(bytes, expected);
    check(&AsKey::<u32>::key_bytes(&1), &[0, 0, 0, 1]);
    check(&AsKey::<i16>::key_bytes(&-1), &[0x7F, 0xFF]);
    check(&AsKey::<i16>::key_bytes(&1), &[0x80, 1]);
    check(&AsKey::<f32>::key_bytes(&1.0), &[0xBF, 0x80, 0, 0]);
    check(&AsKey::<f32>::key_bytes(&-1.0), &[0x40, 0x7F, 0xFF, 0xFF]);
    check(&AsKey::<char>::key_bytes(&'a'), &[0, 0, 0, b'a']);
    check(AsKey::<&str>::key_bytes("a\0"), b"a\0");
    check(AsKey::<(&str,)>::key_bytes(&("a\0",)).as_ref(), b"a\0");
    check(AsKey::<(&str, u8)>::key_bytes(&("a", 255)).as_ref(), b"a\0\xFF");
    check(AsKey::<(&str, u8)>::key_bytes(&("a\0\x01b", 0)).as_ref(), b"a\x01\x01\x01\x02b\0\0");
    check(AsKey::<Option<&str>>::key_bytes(&Some("a")).as_ref(), b"\x01a");
    check(AsKey::<(Option<&str>, u8)>::key_bytes(&(Some("a"), 7)).as_ref(), b"\x01a\0\x07");
    check(AsKey::<Option<u8>>::key_bytes(&None::<u8>).as_ref(), b"\0");
}

#[test]
fn values_are_encoded_as_documented() {
    let check = |bytes: &[u8], expected: &[u8]| assert_eq!(bytes, expected);
    check(&AsValue::<u32>::value_bytes(&1), &[1, 0, 0, 0]);
    check(&AsValue::<i16>::value_bytes(&-2), &[0xFE, 0xFF]);
    check(&AsValue::<f32>::value_bytes(&1.0), &[0, 0, 0x80, 0x3F]);
    check(AsValue::<(&str, u8)>::value_bytes(&("ab", 255)).as_ref(), b"\x02ab\xFF");
    check(AsValue::<(u8, &str)>::value_bytes(&(255, "ab")).as_ref(), b"\xFFab");
    check(AsValue::<[Option<&str>; 2]>::value_bytes(&[Some("a"), Some("b")]).as_ref(), b"\x01\x01a\x01b");
    let long = "x".repeat(300);
    check(&AsValue::<(&str, ())>::value_bytes(&(&long, ())).as_ref()[..3], b"\xAC\x02x");
}

#[test]
fn what_follows_an_end_mark_is_not_taken_for_an_escape() {
    // With 00 FF for an inner 00, the bytes of ("a", u64::MAX) would begin like those of ("a\0", ...).
    check_order::<(&str, u64), _>(&("a", u64::MAX), &("a\0", 0), Ordering::Less);
    let bytes = key_of::<(&str, u64)>(&("a", u64::MAX));
    assert_eq!(<(&str, u64) as Key>::decode(Cow::Borrowed(&bytes)).unwrap(), (Cow::Borrowed("a"), u64::MAX));
}

#[test]
fn keys_borrow_unless_they_are_escaped_or_assembled() {
    let key = <(&str, &[u8]) as Key>::decode(Cow::Borrowed(b"a\0b")).unwrap();
    assert!(matches!(key, (Cow::Borrowed("a"), Cow::Borrowed(b"b"))));
    let key = <(&str, &[u8]) as Key>::decode(Cow::Borrowed(b"\x01\x02\0b")).unwrap();
    assert!(matches!(key, (Cow::Owned(_), Cow::Borrowed(b"b"))));
    let key = <&str as Key>::decode(Cow::Owned(b"a".to_vec())).unwrap();
    assert!(matches!(key, Cow::Owned(_)));
}

#[test]
fn malformed_bytes_are_refused() {
    fn check<T: Key + Value>(key: &[u8], value: &[u8]) {
        assert!(<T as Key>::decode(Cow::Borrowed(key)).is_err(), "{key:?}");
        assert!(<T as Value>::decode(value).is_err(), "{value:?}");
    }
    check::<u32>(&[1, 2, 3], &[1, 2, 3]);
    check::<u32>(&[1, 2, 3, 4, 5], &[1, 2, 3, 4, 5]);
    check::<bool>(&[2], &[2]);
    check::<()>(&[0], &[0]);
    check::<char>(&[0, 0, 0xD8, 0], &[0, 0xD8, 0, 0]);
    check::<&str>(&[0xFF], &[0xFF]);
    check::<Option<u8>>(&[2, 0], &[2, 0]);
    check::<Option<u8>>(&[0, 0], &[0, 0]);
    check::<Option<u8>>(&[], &[]);
    check::<(&str, u8)>(b"a", b"\x05a");
    check::<(&str, u8)>(b"a\x01\x03\0\0", &[0x80, 0x00, 7]);
    check::<(&str, u8)>(b"a\0\x07\x07", &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]);
    check::<[u8; 2]>(&[1], &[1, 2, 3]);
}

#[test]
fn an_error_names_type_and_reason() {
    let error = <u32 as Key>::decode(Cow::Borrowed(b"abc")).unwrap_err();
    assert_eq!(error.to_string(), "stored bytes are not a u32: it takes 4 bytes, and there are 3");
    let error = <(u8, u8) as Value>::decode(b"abc").unwrap_err();
    assert_eq!(error.to_string(), "stored bytes are not a (u8,u8): 1 bytes follow its end");
}

#[test]
fn names_are_as_rust_writes_them() {
    fn check<T: Key + Value>(expected: &str) {
        for name in [<T as Key>::NAME, <T as Value>::NAME] {
            assert_eq!(name.to_string(), expected);
            assert!(name.is(expected));
            assert!(!name.is(&expected[1..]));
            assert!(!name.is(&expected[..expected.len() - 1]));
            assert!(!name.is(&format!("{expected} ")));
        }
    }
    check::<u64>("u64");
    check::<&str>("str");
    check::<&[u8]>("bytes");
    check::<()>("()");
    check::<(u32,)>("(u32,)");
    check::<(&str, u64)>("(str,u64)");
    check::<[u8; 16]>("[u8;16]");
    check::<Option<[(char, bool); 2]>>("Option<[(char,bool);2]>");
}

#[test]
fn widths_are_those_of_all_components() {
    assert_eq!(<(u8, [i64; 3], ()) as Key>::WIDTH, Some(25));
    assert_eq!(<(u8, &str) as Key>::WIDTH, None);
    assert_eq!(<[&str; 0] as Value>::WIDTH, Some(0));
    assert_eq!(<Option<u8> as Value>::WIDTH, None);
}

#[test]
#[should_panic(expected = "crate::Type/version")]
fn own_type_names_cannot_be_taken_for_built_in_ones() {
    let _ = TypeName::new("u64");
}

#[test]
fn a_buffer_keeps_everything_when_it_outgrows_its_place() {
    for first in 0..=Buffer::INLINE + 1 {
        for second in [0, 1, Buffer::INLINE - 1, Buffer::INLINE, 200] {
            let (first, second) = (vec![1; first], vec![2; second]);
            let mut buffer = Buffer::new();
            buffer.push(&first);
            buffer.push(&second);
            buffer.push(&[3]);
            assert_eq!(buffer.as_slice(), [first, second, vec![3]].concat());
        }
    }
}

proptest! {
    #[test]
    fn the_first_special_byte_is_found_wherever_it_stands(
        bytes in prop::collection::vec(prop::sample::select(vec![0, 1, 2, 3, 0x7F, 0x80, 0x81, 0xFF]), 0..40),
        plain in 0_usize..40,
    ) {
        let bytes = [vec![2; plain], bytes].concat();
        prop_assert_eq!(special(&bytes), bytes.iter().position(|&byte| byte <= 1));
    }
}

/// A type of variable length that leaves the provided methods as they are.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone)]
struct Label(Vec<u8>);

impl Key for Label {
    type Item<'a> = Label;
    const NAME: TypeName = TypeName::new("tests::Label/1");
    const WIDTH: Option<usize> = None;

    fn decode(bytes: Cow<'_, [u8]>) -> crate::Result<Label> {
        Ok(Label(bytes.into_owned()))
    }
}

impl AsKey<Label> for Label {
    type Bytes<'a> = &'a [u8];

    fn key_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Value for Label {
    type Ref<'a> = Label;
    type Owned = Label;
    const NAME: TypeName = TypeName::new("tests::Label/1");
    const WIDTH: Option<usize> = None;

    fn decode(bytes: &[u8]) -> crate::Result<Label> {
        Ok(Label(bytes.to_vec()))
    }

    fn into_owned(item: Label) -> Label {
        item
    }
}

impl AsValue<Label> for Label {
    type Bytes<'a> = &'a [u8];

    fn value_bytes(&self) -> &[u8] {
        &self.0
    }
}

proptest! {
    #[test]
    fn own_types_work_in_tuples(a in bytes(), b in bytes()) {
        let (a, b) = (Label(a), Label(b));
        check_order::<Label, _>(&a, &b, a.cmp(&b));
        check_order::<(Label, Option<Label>), _>(&(&a, Some(&b)), &(&b, Some(&a)), a.cmp(&b).then(b.cmp(&a)));
        check_round_trip((a, Some(b), 7));
        assert_eq!(<(Label, u8) as Key>::NAME.to_string(), "(tests::Label/1,u8)");
    }
}
