//! Tuples of up to six components, and the prefixes of tuples.
//!
//! Each component but the last tells where it ends; the last does so only if the tuple itself is inside
//! something.

use std::borrow::Cow;

use crate::error::Result;
use crate::types::name::{Kind, sum};
use crate::types::{
    AsKey, AsValue, Buffer, Key, KeyPrefix, KeyReader, TypeName, Value, ValueReader, key, value,
};

/// Implements the four traits for one length. Each component has a stored type, a given type and an index;
/// the last one stands apart.
macro_rules! tuple {
    ($($stored:ident $given:ident $index:tt,)* ; $last:ident $last_given:ident $last_index:tt) => {
        impl<$($stored: Key,)* $last: Key> Key for ($($stored,)* $last,) {
            type Item<'a> = ($($stored::Item<'a>,)* $last::Item<'a>,);
            const NAME: TypeName =
                TypeName { kind: Kind::Tuple { parts: &[$($stored::NAME,)* $last::NAME] } };
            const WIDTH: Option<usize> = sum(&[$($stored::WIDTH,)* $last::WIDTH]);

            #[inline]
            fn decode(bytes: Cow<'_, [u8]>) -> Result<Self::Item<'_>> {
                key::decode_whole::<Self>(bytes)
            }

            #[inline]
            fn read<'a>(from: &mut KeyReader<'a>, last: bool) -> Result<Self::Item<'a>> {
                Ok(($($stored::read(from, false)?,)* $last::read(from, last)?,))
            }
        }

        impl<$($stored: Key, $given: AsKey<$stored>,)* $last: Key, $last_given: AsKey<$last>>
            AsKey<($($stored,)* $last,)> for ($($given,)* $last_given,)
        {
            type Bytes<'a> = Buffer where Self: 'a;

            #[inline]
            fn key_bytes(&self) -> Buffer {
                let mut buffer = Buffer::new();
                self.append_key(&mut buffer, true);
                buffer
            }

            #[inline]
            fn append_key(&self, to: &mut Buffer, last: bool) {
                $(self.$index.append_key(to, false);)*
                self.$last_index.append_key(to, last);
            }
        }

        impl<$($stored: Value,)* $last: Value> Value for ($($stored,)* $last,) {
            type Ref<'a> = ($($stored::Ref<'a>,)* $last::Ref<'a>,);
            type Owned = ($($stored::Owned,)* $last::Owned,);
            const NAME: TypeName =
                TypeName { kind: Kind::Tuple { parts: &[$($stored::NAME,)* $last::NAME] } };
            const WIDTH: Option<usize> = sum(&[$($stored::WIDTH,)* $last::WIDTH]);

            #[inline]
            fn decode(bytes: &[u8]) -> Result<Self::Ref<'_>> {
                value::decode_whole::<Self>(bytes)
            }

            fn into_owned(item: Self::Ref<'_>) -> Self::Owned {
                ($($stored::into_owned(item.$index),)* $last::into_owned(item.$last_index),)
            }

            #[inline]
            fn read<'a>(from: &mut ValueReader<'a>, last: bool) -> Result<Self::Ref<'a>> {
                Ok(($($stored::read(from, false)?,)* $last::read(from, last)?,))
            }
        }

        impl<$($stored: Value, $given: AsValue<$stored>,)* $last: Value, $last_given: AsValue<$last>>
            AsValue<($($stored,)* $last,)> for ($($given,)* $last_given,)
        {
            type Bytes<'a> = Buffer where Self: 'a;

            #[inline]
            fn value_bytes(&self) -> Buffer {
                let mut buffer = Buffer::new();
                self.append_value(&mut buffer, true);
                buffer
            }

            #[inline]
            fn append_value(&self, to: &mut Buffer, last: bool) {
                $(self.$index.append_value(to, false);)*
                self.$last_index.append_value(to, last);
            }
        }
    };
}

tuple!(; Z Y 0);
tuple!(A S 0, ; Z Y 1);
tuple!(A S 0, B T 1, ; Z Y 2);
tuple!(A S 0, B T 1, C U 2, ; Z Y 3);
tuple!(A S 0, B T 1, C U 2, D V 3, ; Z Y 4);
tuple!(A S 0, B T 1, C U 2, D V 3, E W 4, ; Z Y 5);

/// Lets the first components of a tuple stand for all the tuples that begin with them.
macro_rules! prefix {
    ($($stored:ident $given:ident $index:tt),+ ; $($rest:ident),+) => {
        impl<$($stored: Key, $given: AsKey<$stored>,)+ $($rest: Key),+>
            KeyPrefix<($($stored,)+ $($rest,)+)> for ($($given,)+)
        {
            type Bytes<'a> = Buffer where Self: 'a;

            #[inline]
            fn prefix_bytes(&self) -> Buffer {
                let mut buffer = Buffer::new();
                $(self.$index.append_key(&mut buffer, false);)+
                buffer
            }
        }
    };
}

prefix!(A S 0; P);
prefix!(A S 0; P, Q);
prefix!(A S 0; P, Q, R);
prefix!(A S 0; P, Q, R, X);
prefix!(A S 0; P, Q, R, X, Y);
prefix!(A S 0, B T 1; P);
prefix!(A S 0, B T 1; P, Q);
prefix!(A S 0, B T 1; P, Q, R);
prefix!(A S 0, B T 1; P, Q, R, X);
prefix!(A S 0, B T 1, C U 2; P);
prefix!(A S 0, B T 1, C U 2; P, Q);
prefix!(A S 0, B T 1, C U 2; P, Q, R);
prefix!(A S 0, B T 1, C U 2, D V 3; P);
prefix!(A S 0, B T 1, C U 2, D V 3; P, Q);
prefix!(A S 0, B T 1, C U 2, D V 3, E W 4; P);
