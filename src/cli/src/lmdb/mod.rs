//! LMDB's text format, which `mdb_dump` writes and `mdb_load` reads: Berkeley DB's, with header lines of
//! LMDB's own. libmdbx writes a dialect of it.
//!
//! `parse` reads it line by line, `write` writes it, `shape` says which types a table of LMDB has here. None
//! of them opens anything.

pub(crate) mod parse;
pub(crate) mod shape;
pub(crate) mod write;

/// A keyword for the type of a table's keys, where LMDB's own header lines do not say it. Other loaders
/// ignore keywords that they do not know.
const KEY_TYPE: &str = "x_folio_key_type";
/// The same for its values.
const VALUE_TYPE: &str = "x_folio_value_type";

/// The flags of a table of LMDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Flags {
    /// Keys are compared from their last byte on.
    pub(crate) reverse_key: bool,
    /// A key may have several values, which are ordered.
    pub(crate) dup_sort: bool,
    /// Keys are integers of 4 or 8 bytes, in the byte order of the machine.
    pub(crate) integer_key: bool,
    /// With `dup_sort`: all values have the same length.
    pub(crate) dup_fixed: bool,
    /// With `dup_sort`: values are integers.
    pub(crate) integer_dup: bool,
    /// With `dup_sort`: values are compared from their last byte on.
    pub(crate) reverse_dup: bool,
}

impl Flags {
    /// The flag that a keyword of the header sets. libmdbx says `dupfix` for `dupfixed`.
    fn named(&mut self, keyword: &str) -> Option<&mut bool> {
        match keyword {
            "reversekey" => Some(&mut self.reverse_key),
            "dupsort" | "duplicates" => Some(&mut self.dup_sort),
            "integerkey" => Some(&mut self.integer_key),
            "dupfixed" | "dupfix" => Some(&mut self.dup_fixed),
            "integerdup" => Some(&mut self.integer_dup),
            "reversedup" => Some(&mut self.reverse_dup),
            _ => None,
        }
    }

    /// The keywords of the flags that are set, in LMDB's order.
    fn names(self) -> impl Iterator<Item = &'static str> {
        let all = [
            (self.reverse_key, "reversekey"),
            (self.dup_sort, "dupsort"),
            (self.integer_key, "integerkey"),
            (self.dup_fixed, "dupfixed"),
            (self.integer_dup, "integerdup"),
            (self.reverse_dup, "reversedup"),
        ];
        all.into_iter().filter(|(set, _)| *set).map(|(_, name)| name)
    }
}

/// What the header of a section says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Header {
    /// The table's name; none for the main database, which has none.
    pub(crate) name: Option<Vec<u8>>,
    pub(crate) flags: Flags,
    /// Types that only Folio writes.
    pub(crate) key_type: Option<String>,
    pub(crate) value_type: Option<String>,
    /// Bytes that are text stand as they are; else all are hexadecimal digits.
    print: bool,
}

/// Whether a value is what LMDB keeps in its main database for a table with a name. It says where the table's
/// pages are, and means nothing in another file.
pub(crate) fn is_table_record(value: &[u8]) -> bool {
    const FLAGS: u64 = 0x7e;
    const DUP_FIXED: u64 = 0x10;
    let (words, rest) = value.as_chunks::<8>();
    if words.len() != 6 || !rest.is_empty() {
        return false;
    }
    let [head, branches, leaves, overflows, entries, root] =
        std::array::from_fn(|i| words.get(i).map_or(0, |word| u64::from_le_bytes(*word)));
    let (pad, flags, depth) = (head & 0xffff_ffff, head >> 32 & 0xffff, head >> 48);
    if flags & !FLAGS != 0 || pad > 0xffff || pad != 0 && flags & DUP_FIXED == 0 || depth > 32 {
        return false;
    }
    if depth == 0 {
        return (branches, leaves, overflows, entries, root) == (0, 0, 0, 0, u64::MAX);
    }
    let pages = [branches, leaves, overflows];
    leaves > 0
        && entries > 0
        && branches + 1 >= depth
        && root > 1
        && root < 1 << 48
        && pages.iter().all(|pages| *pages < 1 << 48)
}
