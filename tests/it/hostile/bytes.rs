//! Numbers in bytes, checksums, and numbers that look random.

/// The page number in a word; above it stand flags, or a number of pages.
pub(super) const NUMBER: u64 = (1 << 48) - 1;

pub(super) fn u16_at(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap()))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

pub(super) fn put(bytes: &mut [u8], at: usize, number: &[u8]) {
    bytes[at..at + number.len()].copy_from_slice(number);
}

pub(super) fn put_u16(bytes: &mut [u8], at: usize, number: usize) {
    put(bytes, at, &u16::try_from(number).unwrap().to_le_bytes());
}

pub(super) fn put_u32(bytes: &mut [u8], at: usize, number: u32) {
    put(bytes, at, &number.to_le_bytes());
}

pub(super) fn put_u64(bytes: &mut [u8], at: usize, number: u64) {
    put(bytes, at, &number.to_le_bytes());
}

pub(super) fn crc(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// The CRC-32 of the database id followed by the bytes.
pub(super) fn seeded(id: &[u8], bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(id);
    hasher.update(bytes);
    hasher.finalize()
}

/// Gives a page the checksum that it must have.
pub(super) fn seal(id: &[u8], page: &mut [u8]) {
    let sum = seeded(id, &page[4..]);
    put_u32(page, 0, sum);
}

/// Numbers that look random: the same for the same seed.
pub(super) struct Rng(pub(super) u64);

impl Rng {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }

    pub(super) fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        if from.is_empty() { None } else { Some(from[self.below(from.len())]) }
    }

    pub(super) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).take(len).collect()
    }
}
