//! What the catalog keeps of a table.

use super::root::{TREE_ROOT_LEN, TreeRoot};
use super::{PageId, get_u16, to_u16};
use crate::error::{Error, Result};

/// Where the root stands in an encoded record: it is overwritten in place at commit, when page numbers are
/// known.
pub(crate) const TABLE_ROOT_AT: usize = 0;
const FIXED_LEN: usize = 48;
/// The only kind of table in version 1: ordered, one value a key. On disk: never renumber.
const KIND_PLAIN: u8 = 1;
/// The only key encoding in version 1: the order of keys is the order of their bytes.
const ENCODING_VERSION: u16 = 1;

/// FORMAT.md, "Table record". The names of the types are `&[u8]` where they stand in the page, `&str` where
/// somebody has seen that they are text, else `String`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableRecord<S> {
    pub(crate) root: TreeRoot,
    pub(crate) key_type: S,
    pub(crate) value_type: S,
}

impl<S: AsRef<str>> TableRecord<S> {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (key_type, value_type) = (self.key_type.as_ref(), self.value_type.as_ref());
        let mut bytes = Vec::with_capacity(FIXED_LEN + key_type.len() + value_type.len());
        bytes.resize(FIXED_LEN, 0);
        bytes[..TREE_ROOT_LEN].copy_from_slice(&self.root.encode());
        bytes[32] = KIND_PLAIN;
        bytes[34..36].copy_from_slice(&1u16.to_le_bytes());
        bytes[36..38].copy_from_slice(&ENCODING_VERSION.to_le_bytes());
        assert!(key_type.len().max(value_type.len()) <= usize::from(u16::MAX), "checked at creation");
        bytes[38..40].copy_from_slice(&to_u16(key_type.len()).to_le_bytes());
        bytes[40..42].copy_from_slice(&to_u16(value_type.len()).to_le_bytes());
        bytes.extend_from_slice(key_type.as_bytes());
        bytes.extend_from_slice(value_type.as_bytes());
        bytes
    }

    pub(crate) fn to_owned(&self) -> TableRecord<String> {
        let (key_type, value_type) = (self.key_type.as_ref(), self.value_type.as_ref());
        TableRecord { root: self.root, key_type: key_type.to_owned(), value_type: value_type.to_owned() }
    }
}

impl<'a> TableRecord<&'a [u8]> {
    /// Decodes a record that stands in catalog page `page`. Allocates nothing.
    #[inline]
    pub(crate) fn decode(bytes: &'a [u8], page: PageId) -> Result<TableRecord<&'a [u8]>> {
        let fault = |what, expected: &str| Error::corrupted(page.0, what, expected, "something else");
        let Some((fixed, types)) = bytes.split_first_chunk::<FIXED_LEN>() else {
            return Err(fault("length of a table record", "the length of its parts"));
        };
        if fixed[32] != KIND_PLAIN {
            return Err(Error::Unsupported { what: "table kind", found: u64::from(fixed[32]) });
        }
        let version = get_u16(fixed, 36);
        if version != ENCODING_VERSION {
            return Err(Error::Unsupported { what: "key encoding", found: u64::from(version) });
        }
        let (key_len, value_len) = (usize::from(get_u16(fixed, 38)), usize::from(get_u16(fixed, 40)));
        if types.len() != key_len + value_len {
            return Err(fault("length of a table record", "the length of its parts"));
        }
        let root = fixed.first_chunk().and_then(TreeRoot::decode_plausible);
        let Some(root) = root else {
            return Err(fault("root of a table", "page, birth, entries and level"));
        };
        if get_u16(fixed, 34) != 1 {
            return Err(Error::Unsupported { what: "value alignment", found: get_u16(fixed, 34).into() });
        }
        if fixed[33] != 0 || fixed[42..] != [0; FIXED_LEN - 42] {
            return Err(fault("reserved bytes of a table record", "zeros"));
        }
        let (key_type, value_type) = types.split_at(key_len);
        Ok(TableRecord { root, key_type, value_type })
    }

    /// The record, the names of its types seen to be text.
    pub(crate) fn text(&self, page: PageId) -> Result<TableRecord<&'a str>> {
        let fault = |_| Error::corrupted(page.0, "type name", "UTF-8", "something else");
        let text = |bytes| std::str::from_utf8(bytes).map_err(fault);
        Ok(TableRecord {
            root: self.root,
            key_type: text(self.key_type)?,
            value_type: text(self.value_type)?,
        })
    }
}
