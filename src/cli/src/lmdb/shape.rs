//! Which types a table of LMDB has here, so that nothing is lost and the order stays the same:
//!
//! | LMDB | keys | values |
//! |---|---|---|
//! | no flags | `bytes` | `bytes` |
//! | INTEGERKEY | `u32` or `u64` | `bytes` |
//! | DUPSORT | `(bytes,bytes)`: the key and one of its values | `()` |
//! | DUPSORT, DUPFIXED | `(bytes,[u8;N])` | `()` |
//! | DUPSORT, DUPFIXED, INTEGERDUP | `(bytes,u32)` or `(bytes,u64)` | `()` |
//! | with INTEGERKEY | `u32` or `u64` in the place of the first `bytes` | |
//!
//! And back. Integers are little-endian in LMDB: its files and dumps are those of one kind of machine, and
//! hardly any other is in use.

use std::borrow::Cow;

use folio::types::{AsKey, Buffer, KeyReader};

use super::Flags;

/// A key of LMDB, and its value where that is part of the stored key.
pub(crate) type Entry<'a> = (Cow<'a, [u8]>, Option<Cow<'a, [u8]>>);

/// What keys, or values where a key has several, consist of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Bytes,
    /// So many bytes.
    Array(usize),
    U32,
    U64,
}

/// What a table's keys are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    key: Part,
    /// Where a key may have several values: they are part of the stored key.
    dup: Option<Part>,
}

/// Stands for the values of a table whose keys hold everything.
const NOTHING: &str = "()";

impl Shape {
    /// The shape for a section with these flags and this first entry. With `pairs`, the values of a key that
    /// may have several stay. The error is a reason.
    pub(crate) fn of_section(
        flags: Flags,
        pairs: bool,
        first: Option<(&[u8], &[u8])>,
    ) -> Result<Shape, String> {
        let key = match flags.integer_key {
            true => Part::integer("key", first.map(|(key, _)| key))?,
            false => Part::Bytes,
        };
        let value = first.map(|(_, value)| value);
        let dup = match (flags.dup_sort && pairs, flags.integer_dup, flags.dup_fixed, value) {
            (false, ..) => None,
            (true, true, ..) => Some(Part::integer("value", value)?),
            (true, false, true, Some(value)) => Some(Part::Array(value.len())),
            (true, false, ..) => Some(Part::Bytes),
        };
        Ok(Shape { key, dup })
    }

    /// The shape that a table of these types has, and whether the key type and the value type follow from it.
    pub(crate) fn of_types(key_type: &str, value_type: &str) -> (Shape, bool, bool) {
        let pair = key_type.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
        if value_type == NOTHING
            && let Some((key, dup)) = pair.and_then(|pair| pair.split_once(','))
            && let (Some(key @ (Part::Bytes | Part::U32 | Part::U64)), Some(dup)) =
                (Part::named(key), Part::named(dup))
        {
            return (Shape { key, dup: Some(dup) }, true, true);
        }
        match Part::named(key_type) {
            Some(key @ (Part::Bytes | Part::U32 | Part::U64)) => {
                (Shape { key, dup: None }, true, value_type == "bytes")
            }
            _ => (Shape { key: Part::Bytes, dup: None }, false, value_type == "bytes"),
        }
    }

    pub(crate) fn key_type(self) -> String {
        match self.dup {
            None => self.key.name(),
            Some(dup) => format!("({},{})", self.key.name(), dup.name()),
        }
    }

    pub(crate) fn value_type(self) -> &'static str {
        if self.dup.is_some() { NOTHING } else { "bytes" }
    }

    /// Whether the stored key is LMDB's key, and the stored value its value.
    pub(crate) fn is_plain(self) -> bool {
        self.key == Part::Bytes && self.dup.is_none()
    }

    /// Whether a key may have several values.
    pub(crate) fn has_dups(self) -> bool {
        self.dup.is_some()
    }

    pub(crate) fn flags(self) -> Flags {
        let is_integer = |part: Part| matches!(part, Part::U32 | Part::U64);
        Flags {
            integer_key: is_integer(self.key),
            dup_sort: self.dup.is_some(),
            dup_fixed: self.dup.is_some_and(|dup| dup != Part::Bytes),
            integer_dup: self.dup.is_some_and(is_integer),
            ..Flags::default()
        }
    }

    /// The key to be stored for an entry of LMDB. The error is a reason.
    pub(crate) fn encode(self, key: &[u8], value: &[u8]) -> Result<Buffer, String> {
        let mut buffer = Buffer::new();
        self.key.append("key", key, &mut buffer, self.dup.is_none())?;
        if let Some(dup) = self.dup {
            dup.append("value", value, &mut buffer, true)?;
        }
        Ok(buffer)
    }

    /// The key, and where the stored key holds it the value, of an entry of LMDB.
    pub(crate) fn decode(self, stored: &[u8]) -> folio::Result<Entry<'_>> {
        let mut reader = KeyReader::new(Cow::Borrowed(stored));
        let key = self.key.read(&mut reader, self.dup.is_none())?;
        let value = self.dup.map(|dup| dup.read(&mut reader, true)).transpose()?;
        Ok((key, value))
    }
}

impl Part {
    /// The integer type that has as many bytes as the first one found.
    fn integer(what: &str, first: Option<&[u8]>) -> Result<Part, String> {
        match first.map(<[u8]>::len) {
            Some(4) => Ok(Part::U32),
            Some(8) | None => Ok(Part::U64),
            Some(len) => {
                Err(format!("an integer of 4 or 8 bytes was to be expected for the {what}, not {len}"))
            }
        }
    }

    fn named(name: &str) -> Option<Part> {
        match name {
            "bytes" => Some(Part::Bytes),
            "u32" => Some(Part::U32),
            "u64" => Some(Part::U64),
            _ => {
                let len = name.strip_prefix("[u8;")?.strip_suffix(']')?;
                let part = len.parse().ok().map(Part::Array)?;
                (part.name() == name).then_some(part)
            }
        }
    }

    fn name(self) -> String {
        match self {
            Part::Bytes => "bytes".to_owned(),
            Part::U32 => "u32".to_owned(),
            Part::U64 => "u64".to_owned(),
            Part::Array(len) => format!("[u8;{len}]"),
        }
    }

    fn append(self, what: &str, bytes: &[u8], to: &mut Buffer, last: bool) -> Result<(), String> {
        let fault = |wanted: usize| {
            Err(format!("the {what} has {} bytes, and those before it had {wanted}", bytes.len()))
        };
        match self {
            Part::Bytes => AsKey::<&[u8]>::append_key(&bytes, to, last),
            Part::Array(len) if bytes.len() != len => return fault(len),
            Part::Array(_) => to.push(bytes),
            Part::U32 => match <[u8; 4]>::try_from(bytes) {
                Ok(bytes) => AsKey::<u32>::append_key(&u32::from_le_bytes(bytes), to, last),
                Err(_) => return fault(4),
            },
            Part::U64 => match <[u8; 8]>::try_from(bytes) {
                Ok(bytes) => AsKey::<u64>::append_key(&u64::from_le_bytes(bytes), to, last),
                Err(_) => return fault(8),
            },
        }
        Ok(())
    }

    fn read<'a>(self, from: &mut KeyReader<'a>, last: bool) -> folio::Result<Cow<'a, [u8]>> {
        use folio::Key;
        match self {
            Part::Bytes => <&[u8]>::read(from, last),
            // The last thing in its key.
            Part::Array(_) => <&[u8]>::read(from, true),
            Part::U32 => u32::read(from, last).map(|number| Cow::Owned(number.to_le_bytes().to_vec())),
            Part::U64 => u64::read(from, last).map(|number| Cow::Owned(number.to_le_bytes().to_vec())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_comes_back_from_its_types_and_its_entries() {
        let (four, eight) = ([1, 0, 2, 255], [1, 0, 2, 255, 0, 0, 0, 128]);
        let keys: [(Part, &[u8]); 3] =
            [(Part::Bytes, b"k\x00\x01\xff"), (Part::U32, &four), (Part::U64, &eight)];
        let dups: [(Option<Part>, &[u8]); 5] = [
            (None, b"any"),
            (Some(Part::Bytes), b"\x00\x01"),
            (Some(Part::Array(3)), b"\x00\x01\x02"),
            (Some(Part::U32), &four),
            (Some(Part::U64), &eight),
        ];
        for (key, key_bytes) in keys {
            for (dup, dup_bytes) in dups {
                let shape = Shape { key, dup };
                assert_eq!(Shape::of_types(&shape.key_type(), shape.value_type()), (shape, true, true));
                let again = Shape::of_section(shape.flags(), true, Some((key_bytes, dup_bytes)));
                assert_eq!(again, Ok(shape));
                let stored = shape.encode(key_bytes, dup_bytes).unwrap();
                let (found, value) = shape.decode(stored.as_slice()).unwrap();
                assert_eq!((&*found, value.as_deref()), (key_bytes, dup.map(|_| dup_bytes)));
                folio::types::render_key(&shape.key_type(), stored.as_slice()).unwrap();
            }
        }
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        let integer = Flags { integer_key: true, ..Flags::default() };
        assert!(Shape::of_section(integer, true, Some((b"abc", b""))).is_err());
        let shape = Shape::of_section(integer, true, Some((b"abcd", b""))).unwrap();
        assert!(shape.encode(b"abcdefgh", b"").is_err());
        let fixed = Flags { dup_sort: true, dup_fixed: true, ..Flags::default() };
        let shape = Shape::of_section(fixed, true, Some((b"k", b"ab"))).unwrap();
        assert!(shape.encode(b"k", b"abc").is_err());
    }
}
