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

/// FORMAT.md, "Table record".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableRecord {
    pub(crate) root: TreeRoot,
    pub(crate) key_type: String,
    pub(crate) value_type: String,
}

impl TableRecord {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; FIXED_LEN];
        bytes[..TREE_ROOT_LEN].copy_from_slice(&self.root.encode());
        bytes[32] = KIND_PLAIN;
        bytes[34..36].copy_from_slice(&1u16.to_le_bytes());
        bytes[36..38].copy_from_slice(&ENCODING_VERSION.to_le_bytes());
        assert!(
            self.key_type.len().max(self.value_type.len()) <= usize::from(u16::MAX),
            "checked at creation"
        );
        bytes[38..40].copy_from_slice(&to_u16(self.key_type.len()).to_le_bytes());
        bytes[40..42].copy_from_slice(&to_u16(self.value_type.len()).to_le_bytes());
        bytes.extend_from_slice(self.key_type.as_bytes());
        bytes.extend_from_slice(self.value_type.as_bytes());
        bytes
    }

    /// Decodes a record that stands in catalog page `page`.
    pub(crate) fn decode(bytes: &[u8], page: PageId) -> Result<TableRecord> {
        let fault = |what, expected: &str| Error::corrupted(page.0, what, expected, "something else");
        let kind = bytes.get(32).copied().unwrap_or(0);
        if kind != KIND_PLAIN {
            return Err(Error::Unsupported { what: "table kind", found: u64::from(kind) });
        }
        let version = get_u16(bytes, 36);
        if version != ENCODING_VERSION {
            return Err(Error::Unsupported { what: "key encoding", found: u64::from(version) });
        }
        let key_end = FIXED_LEN + usize::from(get_u16(bytes, 38));
        let value_end = key_end + usize::from(get_u16(bytes, 40));
        if bytes.len() != value_end {
            return Err(fault("length of a table record", "the length of its parts"));
        }
        if !TreeRoot::is_plausible(&bytes[..TREE_ROOT_LEN]) {
            return Err(fault("root of a table", "page, birth, entries and level"));
        }
        if get_u16(bytes, 34) != 1 {
            return Err(Error::Unsupported { what: "value alignment", found: get_u16(bytes, 34).into() });
        }
        if bytes[33] != 0 || bytes[42..FIXED_LEN].iter().any(|b| *b != 0) {
            return Err(fault("reserved bytes of a table record", "zeros"));
        }
        let text = |from, to| {
            let bytes: &[u8] = &bytes[from..to];
            String::from_utf8(bytes.to_vec()).map_err(|_| fault("type name", "UTF-8"))
        };
        Ok(TableRecord {
            root: TreeRoot::decode(bytes),
            key_type: text(FIXED_LEN, key_end)?,
            value_type: text(key_end, value_end)?,
        })
    }
}
