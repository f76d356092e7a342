//! CRC-32 (IEEE 802.3, reflected) of pages, seeded with the database id.
//!
//! The seed keeps a page of another database, or of an older file in the same blocks, from passing for ours.

use super::put_u32;

/// What every page checksum of one database starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seed(u32);

impl Seed {
    /// FORMAT.md, "Checksums": the CRC-32 of the database id.
    pub(crate) fn of(database_id: &[u8; 16]) -> Seed {
        Seed(crc32fast::hash(database_id))
    }

    /// The checksum of any bytes of this database: a value's, or an overflow page's.
    pub(crate) fn sum(self, bytes: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new_with_initial(self.0);
        hasher.update(bytes);
        hasher.finalize()
    }

    /// What the checksum of bytes behind these starts from, where they come in pieces.
    pub(crate) fn behind(self, bytes: &[u8]) -> Seed {
        Seed(self.sum(bytes))
    }

    /// The checksum of all pieces so far.
    pub(crate) fn value(self) -> u32 {
        self.0
    }

    /// The checksum of a page with a header: of everything behind the checksum itself.
    pub(crate) fn page_sum(self, page: &[u8]) -> u32 {
        self.sum(page.get(4..).unwrap_or(&[]))
    }

    /// Writes the checksum into a finished page and returns it.
    pub(crate) fn seal(self, page: &mut [u8]) -> u32 {
        let sum = self.page_sum(page);
        put_u32(page, 0, sum);
        sum
    }
}

/// What a commit record keeps of one page: the CRC over the whole page.
///
/// For a page with a header this is a second pass over bytes that are hot (0.1 us), and it saves recovery
/// from knowing which pages have one.
pub(crate) fn record_sum(seed: Seed, page: &[u8]) -> u32 {
    seed.sum(page)
}

/// What a commit record says of a run: the CRC over its pages' own.
pub(crate) fn run_sum(page_sums: impl IntoIterator<Item = u32>) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for sum in page_sums {
        hasher.update(&sum.to_le_bytes());
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::Seed;

    #[test]
    fn another_database_has_other_sums() {
        let (a, b) = (Seed::of(&[1; 16]), Seed::of(&[2; 16]));
        assert_ne!(a.sum(b"page"), b.sum(b"page"));
        assert_ne!(a.sum(b"page"), a.sum(b"pagf"));
        assert_eq!(a.behind(b"pa").behind(b"").behind(b"ge").value(), a.sum(b"page"));
    }
}
