//! What a database's checksums depend on, found from its pages alone where both meta pages are gone.
//!
//! A page's checksum is the CRC-32 of the database id and the page. Taken backwards over the page, from the
//! checksum that stands there, it gives what the id alone comes to: the same for every sound page of a file.
//! Any id that comes to the same will do, and one is easily made.

use std::collections::HashMap;

use folio::inspect::{Layout, RawFile};

use crate::failure::Failure;

/// So many pages that agree are enough; fewer than two say nothing.
const ENOUGH: u32 = 16;
const LEAST: u32 = 2;
/// Page sizes that a database can have.
const PAGE_SIZES: [u32; 5] = [4096, 8192, 16_384, 32_768, 65_536];

/// The layout that most pages agree on; `size` alone is tried if it is given.
pub(super) fn guess(file: &RawFile, size: Option<u32>) -> Result<Option<Layout>, Failure> {
    let crc = Crc::new();
    let mut best = (LEAST - 1, None);
    for page_size in PAGE_SIZES.into_iter().filter(|bytes| size.is_none_or(|size| size == *bytes)) {
        let Some(mut layout) = Layout::new(page_size) else { continue };
        let (votes, register) = vote(file, &layout, &crc)?;
        if votes > best.0 {
            layout.database_id = Some(crc.id_of(register));
            layout.page_count = Some(file.pages(&layout)?);
            best = (votes, Some(layout));
        }
    }
    Ok(best.1)
}

/// What most pages say that the id comes to, and how many do.
fn vote(file: &RawFile, layout: &Layout, crc: &Crc) -> Result<(u32, u32), Failure> {
    let (mut votes, mut best, mut bytes) = (HashMap::<u32, u32>::new(), (0, 0), Vec::new());
    for page in 1..file.pages(layout)? {
        file.read_page(page, layout, &mut bytes)?;
        if bytes.len() < layout.page_size as usize || !is_likely(&bytes, page) {
            continue;
        }
        let register = crc.before(&bytes);
        let count = votes.entry(register).or_default();
        *count += 1;
        best = best.max((*count, register));
        if best.0 >= ENOUGH {
            break;
        }
    }
    Ok(best)
}

/// Whether a page seems to have a page header with its own number.
fn is_likely(bytes: &[u8], page: u64) -> bool {
    matches!((bytes[4], bytes[5]), (1 | 3, 0) | (2, 1..=31)) && bytes[8..16] == page.to_le_bytes()
}

/// CRC-32 of IEEE 802.3, reflected, forwards and backwards. `crc32fast` has no way back.
struct Crc {
    table: [u32; 256],
    /// Which entry has this highest byte.
    by_high: [u8; 256],
}

impl Crc {
    fn new() -> Crc {
        let (mut table, mut by_high) = ([0; 256], [0; 256]);
        for byte in 0..=u8::MAX {
            let entry = (0..8)
                .fold(u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 });
            let [.., high] = entry.to_le_bytes();
            table[usize::from(byte)] = entry;
            by_high[usize::from(high)] = byte;
        }
        Crc { table, by_high }
    }

    fn forwards(&self, register: u32, bytes: &[u8]) -> u32 {
        bytes.iter().fold(register, |register, byte| {
            let [low, ..] = (register ^ u32::from(*byte)).to_le_bytes();
            register >> 8 ^ self.table[usize::from(low)]
        })
    }

    fn backwards(&self, register: u32, bytes: &[u8]) -> u32 {
        bytes.iter().rev().fold(register, |register, byte| {
            let [.., high] = register.to_le_bytes();
            let index = self.by_high[usize::from(high)];
            (register ^ self.table[usize::from(index)]) << 8 | u32::from(index ^ byte)
        })
    }

    /// The register before a page whose checksum is right.
    fn before(&self, page: &[u8]) -> u32 {
        let (sum, rest) = page.split_at(4);
        let sum = u32::from_le_bytes(sum.first_chunk().copied().unwrap_or_default());
        self.backwards(!sum, rest)
    }

    /// An id behind which the register is this.
    fn id_of(&self, register: u32) -> [u8; 16] {
        let mut id = [0; 16];
        let here = self.forwards(u32::MAX, &id[..12]);
        let wanted = self.backwards(register, &[0; 4]);
        id[12..].copy_from_slice(&(here ^ wanted).to_le_bytes());
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: any page gives the seed back. Method: a checksum computed forwards, and the way back.
    #[test]
    fn a_page_tells_what_its_checksum_depends_on() {
        let crc = Crc::new();
        assert_eq!(!crc.forwards(u32::MAX, b"123456789"), 0xCBF4_3926);
        let id = *b"sixteen bytes id";
        let mut page = b"....the rest of a page".to_vec();
        let sum = !crc.forwards(crc.forwards(u32::MAX, &id), &page[4..]);
        page[..4].copy_from_slice(&sum.to_le_bytes());
        let register = crc.before(&page);
        assert_eq!(register, crc.forwards(u32::MAX, &id));
        assert_eq!(crc.forwards(u32::MAX, &crc.id_of(register)), register);
    }
}
