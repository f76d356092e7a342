//! Values: what is stored as one, what may be given for one, and the reader that takes tuple components
//! apart.

use std::borrow::Cow;

use crate::error::Result;
use crate::types::{Buffer, TypeName};

/// A type that values are stored as. Reading one copies nothing: it borrows from the page.
///
/// ```
/// use folio::types::{AsValue, TypeName, Value};
///
/// /// A colour.
/// #[derive(Debug, Clone, Copy, PartialEq)]
/// struct Rgb(u8, u8, u8);
///
/// impl Value for Rgb {
///     type Ref<'a> = Rgb;
///     type Owned = Rgb;
///     const NAME: TypeName = TypeName::new("paint::Rgb/1");
///     const WIDTH: Option<usize> = Some(3);
///
///     fn decode(bytes: &[u8]) -> folio::Result<Rgb> {
///         match *bytes {
///             [r, g, b] => Ok(Rgb(r, g, b)),
///             _ => Err(Self::NAME.error("it takes 3 bytes")),
///         }
///     }
///
///     fn into_owned(item: Rgb) -> Rgb {
///         item
///     }
/// }
///
/// impl AsValue<Rgb> for Rgb {
///     type Bytes<'a> = [u8; 3];
///
///     fn value_bytes(&self) -> [u8; 3] {
///         [self.0, self.1, self.2]
///     }
/// }
///
/// let bytes = Some(Rgb(1, 2, 3)).value_bytes();
/// assert_eq!(<Option<Rgb> as Value>::decode(bytes.as_ref())?, Some(Rgb(1, 2, 3)));
/// # Ok::<(), folio::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a type of values",
    note = "values are integers other than usize and isize, floats, bool, char, &str, &[u8], (), Option, \
            arrays and tuples of these, and types that implement `folio::Value`"
)]
pub trait Value {
    /// What a look-up returns, borrowed from the page.
    type Ref<'a>;

    /// What [`TableMut::replace`](crate::TableMut::replace) and [`take`](crate::TableMut::take) return.
    type Owned;

    /// The name in the catalog.
    const NAME: TypeName;

    /// How many bytes an encoded value has, if every one has the same number.
    const WIDTH: Option<usize>;

    /// Reads a whole value.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`](crate::Error::Decode) if the bytes are not an encoding of this type. It must not
    /// panic, whatever they are.
    fn decode(bytes: &[u8]) -> Result<Self::Ref<'_>>;

    /// Copies what was borrowed.
    fn into_owned(item: Self::Ref<'_>) -> Self::Owned;

    /// Reads a whole value that nobody else needs. `&str` and `&[u8]` keep the allocation.
    ///
    /// # Errors
    ///
    /// As [`Value::decode`].
    fn decode_owned(bytes: Vec<u8>) -> Result<Self::Owned> {
        Self::decode(&bytes).map(Self::into_owned)
    }

    /// Reads this type as a component of a tuple, array or `Option`, `last` if the value ends with it.
    ///
    /// The provided method suits every type that leaves [`AsValue::append_value`] as it is.
    ///
    /// # Errors
    ///
    /// As [`Value::decode`].
    #[inline]
    fn read<'a>(from: &mut ValueReader<'a>, last: bool) -> Result<Self::Ref<'a>> {
        match Self::WIDTH {
            Some(width) => {
                let found = from.remaining().len();
                Self::decode(from.take(width).ok_or_else(|| Self::NAME.length_error(width, found))?)
            }
            None => Self::decode(from.component(last).map_err(|reason| Self::NAME.error(reason))?),
        }
    }

    /// Reads `N` components in a row; `last` is for the last of them. Numbers have a faster way.
    ///
    /// # Errors
    ///
    /// As [`Value::decode`].
    #[doc(hidden)]
    #[inline]
    fn read_array<'a, const N: usize>(from: &mut ValueReader<'a>, last: bool) -> Result<[Self::Ref<'a>; N]> {
        crate::types::array::try_from_fn(|index| Self::read(from, last && index + 1 == N))
    }
}

/// What may be given where a value of type `V` is wanted: the same as [`AsKey`](crate::types::AsKey) takes
/// for keys.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be given for a value of type `{V}`",
    label = "not a value of type `{V}`"
)]
pub trait AsValue<V: Value> {
    /// The encoded value: an array where the width is fixed, a slice where the bytes are there already, a
    /// [`Buffer`] otherwise.
    type Bytes<'a>: AsRef<[u8]>
    where
        Self: 'a;

    /// Encodes a whole value.
    fn value_bytes(&self) -> Self::Bytes<'_>;

    /// Appends the value as a component of a tuple, array or `Option`, `last` if the value ends with it.
    ///
    /// The provided method appends the encoding; if `V` has no fixed width and this is not the last
    /// component, the length goes before it.
    #[inline]
    fn append_value(&self, to: &mut Buffer, last: bool) {
        to.push_value(self.value_bytes().as_ref(), last || V::WIDTH.is_some());
    }

    /// The encoding of these as components in a row, if it is there already. Only bytes have it.
    #[doc(hidden)]
    #[inline]
    fn raw_value_slice(items: &[Self]) -> Option<&[u8]>
    where
        Self: Sized,
    {
        let _ = items;
        None
    }
}

/// Takes a value apart, component by component.
#[derive(Debug, Clone, Copy)]
pub struct ValueReader<'a> {
    rest: &'a [u8],
}

impl<'a> ValueReader<'a> {
    /// Begins at the first byte.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        ValueReader { rest: bytes }
    }

    /// The bytes not yet read.
    #[inline]
    pub fn remaining(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `len` bytes. `None` if there are fewer, and then nothing is read.
    #[inline]
    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    /// The next `N` bytes by value. `None` if there are fewer, and then nothing is read.
    #[inline]
    pub fn take_array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*array)
    }

    /// The next `N` arrays of `W` bytes by value. `None` if there are fewer, and then nothing is read.
    #[inline]
    pub(super) fn take_arrays<const W: usize, const N: usize>(&mut self) -> Option<[[u8; W]; N]> {
        let arrays = *self.rest.as_chunks().0.first_chunk()?;
        self.rest = self.rest.get(size_of_val(&arrays)..)?;
        Some(arrays)
    }

    /// The next component of variable length: all that is left if it is `last`, else as long as the number
    /// before it says.
    ///
    /// # Errors
    ///
    /// Says why the bytes are not such a component.
    #[inline]
    pub fn component(&mut self, last: bool) -> Result<&'a [u8], &'static str> {
        let len = if last { self.rest.len() } else { self.length()? };
        self.take(len).ok_or("a component is longer than the bytes left")
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`](crate::Error::Decode) in the name of the value's type if there is.
    #[inline]
    pub fn finish(&self, name: TypeName) -> Result<()> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(name.error(format!("{left} bytes follow its end"))),
        }
    }

    fn length(&mut self) -> Result<usize, &'static str> {
        let mut len = 0;
        for shift in (0..LENGTH_BITS_MAX).step_by(7) {
            let [byte] = self.take_array().ok_or("a length is cut short")?;
            len |= usize::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                // One encoding for each value, so that equal values are equal bytes.
                let shortest = byte != 0 || shift == 0;
                return if shortest { Ok(len) } else { Err("a length has needless zeros") };
            }
        }
        Err("a length is longer than any value")
    }
}

/// Reads a whole value by its components.
#[inline]
pub(super) fn decode_whole<V: Value>(bytes: &[u8]) -> Result<V::Ref<'_>> {
    let mut reader = ValueReader::new(bytes);
    let item = V::read(&mut reader, true)?;
    reader.finish(V::NAME)?;
    Ok(item)
}

impl<V: Value, T: AsValue<V> + ?Sized> AsValue<V> for &T {
    type Bytes<'a>
        = T::Bytes<'a>
    where
        Self: 'a;

    #[inline]
    fn value_bytes(&self) -> Self::Bytes<'_> {
        (**self).value_bytes()
    }

    #[inline]
    fn append_value(&self, to: &mut Buffer, last: bool) {
        (**self).append_value(to, last);
    }
}

impl<V: Value, T: AsValue<V> + ?Sized> AsValue<V> for Box<T> {
    type Bytes<'a>
        = T::Bytes<'a>
    where
        Self: 'a;

    #[inline]
    fn value_bytes(&self) -> Self::Bytes<'_> {
        (**self).value_bytes()
    }

    #[inline]
    fn append_value(&self, to: &mut Buffer, last: bool) {
        (**self).append_value(to, last);
    }
}

impl<V: Value, T: AsValue<V> + ToOwned + ?Sized> AsValue<V> for Cow<'_, T> {
    type Bytes<'a>
        = T::Bytes<'a>
    where
        Self: 'a;

    #[inline]
    fn value_bytes(&self) -> Self::Bytes<'_> {
        (**self).value_bytes()
    }

    #[inline]
    fn append_value(&self, to: &mut Buffer, last: bool) {
        (**self).append_value(to, last);
    }
}

/// Lengths are below 2^35, in five bytes of seven bits: a value ends at 4 GiB - 1.
const LENGTH_BITS_MAX: usize = 35;
