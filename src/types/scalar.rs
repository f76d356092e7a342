//! One macro for every type of fixed width that is read by value: numbers, `bool`, `char`, `()`.

/// Implements the four traits for a scalar of `$width` bytes.
///
/// The functions encode to and decode from `[u8; $width]`; decoding gives `None` for bytes that are no such
/// scalar, for the reason given.
macro_rules! scalar {
    (
        $type:ty, $name:literal, $width:expr, not: $reason:literal,
        key: $encode_key:expr, $decode_key:expr,
        value: $encode_value:expr, $decode_value:expr
        $(, {
            key { $($key:tt)* } as_key { $($as_key:tt)* }
            value { $($value:tt)* } as_value { $($as_value:tt)* }
        })?
    ) => {
        impl $crate::types::Key for $type {
            type Item<'a> = $type;
            const NAME: $crate::types::TypeName = $crate::types::TypeName::built_in($name);
            const WIDTH: Option<usize> = Some($width);

            #[inline]
            fn decode(bytes: std::borrow::Cow<'_, [u8]>) -> $crate::error::Result<$type> {
                let name = <Self as $crate::types::Key>::NAME;
                let array = bytes.as_ref().try_into().map_err(|_| name.length_error($width, bytes.len()))?;
                $decode_key(array).ok_or_else(|| name.error($reason))
            }

            #[inline]
            fn decode_in_parts(prefix: &[u8], suffix: &[u8]) -> $crate::error::Result<$type> {
                let mut array = [0; $width];
                let len = prefix.len() + suffix.len();
                if len != $width {
                    return Err(<Self as $crate::types::Key>::NAME.length_error($width, len));
                }
                let (start, end) = array.split_at_mut(prefix.len());
                start.copy_from_slice(prefix);
                end.copy_from_slice(suffix);
                $decode_key(array).ok_or_else(|| <Self as $crate::types::Key>::NAME.error($reason))
            }

            #[inline]
            fn read(from: &mut $crate::types::KeyReader<'_>, _last: bool) -> $crate::error::Result<$type> {
                let name = <Self as $crate::types::Key>::NAME;
                match from.take_array() {
                    Some(array) => $decode_key(array).ok_or_else(|| name.error($reason)),
                    None => Err(name.length_error($width, from.remaining().len())),
                }
            }

            $($($key)*)?
        }

        impl $crate::types::AsKey<$type> for $type {
            type Bytes<'a> = [u8; $width];

            #[inline]
            fn key_bytes(&self) -> [u8; $width] {
                $encode_key(*self)
            }

            $($($as_key)*)?
        }

        impl $crate::types::Value for $type {
            type Ref<'a> = $type;
            type Owned = $type;
            const NAME: $crate::types::TypeName = $crate::types::TypeName::built_in($name);
            const WIDTH: Option<usize> = Some($width);

            #[inline]
            fn decode(bytes: &[u8]) -> $crate::error::Result<$type> {
                let name = <Self as $crate::types::Value>::NAME;
                let array = bytes.try_into().map_err(|_| name.length_error($width, bytes.len()))?;
                $decode_value(array).ok_or_else(|| name.error($reason))
            }

            #[inline]
            fn into_owned(item: $type) -> $type {
                item
            }

            #[inline]
            fn read(from: &mut $crate::types::ValueReader<'_>, _last: bool) -> $crate::error::Result<$type> {
                let name = <Self as $crate::types::Value>::NAME;
                match from.take_array() {
                    Some(array) => $decode_value(array).ok_or_else(|| name.error($reason)),
                    None => Err(name.length_error($width, from.remaining().len())),
                }
            }

            $($($value)*)?
        }

        impl $crate::types::AsValue<$type> for $type {
            type Bytes<'a> = [u8; $width];

            #[inline]
            fn value_bytes(&self) -> [u8; $width] {
                $encode_value(*self)
            }

            $($($as_value)*)?
        }
    };
}

/// Implements the four traits for a number: a scalar for which all bytes are valid, so that arrays of it are
/// read as one.
macro_rules! number {
    (
        $type:ty, $name:literal,
        key: $encode_key:expr, $decode_key:expr,
        value: $encode_value:expr, $decode_value:expr
        $(, slices $slices:tt)?
    ) => {
        $crate::types::scalar::scalar!($type, $name, size_of::<$type>(), not: "it is out of range",
            key: $encode_key, |bytes| Some($decode_key(bytes)),
            value: $encode_value, |bytes| Some($decode_value(bytes)), {
                key {
                    #[inline]
                    fn read_array<const N: usize>(
                        from: &mut $crate::types::KeyReader<'_>,
                        _last: bool,
                    ) -> $crate::error::Result<[$type; N]> {
                        let name = <[$type; N] as $crate::types::Key>::NAME;
                        match from.take_arrays() {
                            Some(arrays) => Ok(arrays.map($decode_key)),
                            None => Err(name.length_error(size_of::<[$type; N]>(), from.remaining().len())),
                        }
                    }
                }
                as_key { $($crate::types::scalar::slices!(raw_key_slice $slices);)? }
                value {
                    #[inline]
                    fn read_array<const N: usize>(
                        from: &mut $crate::types::ValueReader<'_>,
                        _last: bool,
                    ) -> $crate::error::Result<[$type; N]> {
                        let name = <[$type; N] as $crate::types::Value>::NAME;
                        match from.take_arrays() {
                            Some(arrays) => Ok(arrays.map($decode_value)),
                            None => Err(name.length_error(size_of::<[$type; N]>(), from.remaining().len())),
                        }
                    }
                }
                as_value { $($crate::types::scalar::slices!(raw_value_slice $slices);)? }
            });
    };
}

/// Says that a slice of this number is its own encoding.
macro_rules! slices {
    ($name:ident ($type:ty)) => {
        #[inline]
        fn $name(items: &[$type]) -> Option<&[u8]> {
            Some(items)
        }
    };
}

pub(super) use {number, scalar, slices};

scalar!(bool, "bool", 1, not: "its byte is neither 0 nor 1",
    key: |bit| [u8::from(bit)], decode_bool,
    value: |bit| [u8::from(bit)], decode_bool);

scalar!((), "()", 0, not: "it has no bytes",
    key: |()| [], |_: [u8; 0]| Some(()),
    value: |()| [], |_: [u8; 0]| Some(()));

fn decode_bool([byte]: [u8; 1]) -> Option<bool> {
    match byte {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}
