//! The names of types, as a table's catalog record holds them.

use std::fmt::{self, Write};

use crate::error::Error;

/// The name of a type in the catalog. It is recorded when a table is made and compared when it is opened.
///
/// Built-in types are named as Rust writes them, without spaces and references, and `[u8]` is `bytes`: `u64`,
/// `str`, `(str,u64)`, `(u32,)`, `[u8;16]`, `Option<u32>`. A type of your own is named `crate::Type/version`;
/// raise the version when the encoding changes, so that an old table is refused instead of misread.
#[derive(Clone, Copy)]
pub struct TypeName {
    pub(super) kind: Kind,
}

/// A name is kept in parts, so that generic types can put theirs together at compile time.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Plain { name: &'static str },
    Tuple { parts: &'static [TypeName] },
    Array { part: &'static TypeName, len: usize },
    Option { part: &'static TypeName },
}

impl TypeName {
    /// The name of a type of your own, as `crate::Type/version`.
    ///
    /// # Panics
    ///
    /// If the name has no `/`, because it could then be taken for a built-in one. In a `const` this is an
    /// error of compilation.
    pub const fn new(name: &'static str) -> Self {
        let bytes = name.as_bytes();
        let mut at = 0;
        while at < bytes.len() && bytes[at] != b'/' {
            at += 1;
        }
        assert!(at < bytes.len(), "a type is named `crate::Type/version`");
        Self::built_in(name)
    }

    /// The name of a type that the tools know.
    pub(super) const fn built_in(name: &'static str) -> Self {
        TypeName { kind: Kind::Plain { name } }
    }

    /// Whether `name` is this name. Allocates nothing.
    pub fn is(&self, name: &str) -> bool {
        self.is_in_bytes(name.as_bytes())
    }

    /// Whether `name`, which need not be text, is this name.
    #[inline]
    pub(crate) fn is_in_bytes(&self, name: &[u8]) -> bool {
        match self.kind {
            Kind::Plain { name: own } => own.as_bytes() == name,
            _ => self.is_put_together(name),
        }
    }

    fn is_put_together(&self, name: &[u8]) -> bool {
        let mut rest = Rest(name);
        write!(rest, "{self}").is_ok() && rest.0.is_empty()
    }

    /// The error for stored bytes that are not an item of this type. The reason is in lower case, without a
    /// full stop.
    #[cold]
    pub fn error(&self, reason: impl Into<String>) -> Error {
        Error::Decode { type_name: self.to_string(), reason: reason.into() }
    }

    /// The error for an encoding of fixed width that has another length.
    #[cold]
    pub(super) fn length_error(&self, width: usize, found: usize) -> Error {
        self.error(format!("it takes {width} bytes, and there are {found}"))
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Plain { name } => f.write_str(name),
            Kind::Tuple { parts: [only] } => write!(f, "({only},)"),
            Kind::Tuple { parts } => {
                for (index, part) in parts.iter().enumerate() {
                    write!(f, "{}{part}", if index == 0 { '(' } else { ',' })?;
                }
                f.write_char(')')
            }
            Kind::Array { part, len } => write!(f, "[{part};{len}]"),
            Kind::Option { part } => write!(f, "Option<{part}>"),
        }
    }
}

impl fmt::Debug for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TypeName({self})")
    }
}

impl PartialEq<str> for TypeName {
    fn eq(&self, name: &str) -> bool {
        self.is(name)
    }
}

/// What of a name has not been matched yet; writing to it fails at the first difference.
struct Rest<'a>(&'a [u8]);

impl Write for Rest<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(text.as_bytes()).ok_or(fmt::Error)?;
        Ok(())
    }
}

/// The width of components in a row, if each has one.
pub(super) const fn sum(widths: &[Option<usize>]) -> Option<usize> {
    let mut total = 0;
    let mut index = 0;
    while index < widths.len() {
        match widths[index] {
            Some(width) => total += width,
            None => return None,
        }
        index += 1;
    }
    Some(total)
}

/// The width of `count` components of the same type, if it has one.
pub(super) const fn product(width: Option<usize>, count: usize) -> Option<usize> {
    match width {
        _ if count == 0 => Some(0),
        Some(width) => width.checked_mul(count),
        None => None,
    }
}
