//! Files as inputs: most of a small database is zeros, which an input leaves out.
//!
//! An input is a list of pieces: how many zeros there are, how many bytes follow them (both `u16`), and these
//! bytes. Every input is a file.

use super::Bytes;

/// So few zeros are written out.
const ZEROS_MIN: usize = 8;
/// No file is longer.
pub(super) const FILE_MAX: usize = 1 << 20;

/// The input for a file.
pub fn pack(file: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut rest = file;
    while !rest.is_empty() {
        let zeros = leading_zeros(rest).min(usize::from(u16::MAX));
        rest = &rest[zeros..];
        let mut len = 0;
        while len < rest.len() && len < usize::from(u16::MAX) {
            let zeros = leading_zeros(&rest[len..][..ZEROS_MIN.min(rest.len() - len)]);
            if zeros == ZEROS_MIN || zeros == rest.len() - len {
                break;
            }
            len += zeros + 1;
        }
        let len = len.min(usize::from(u16::MAX)).min(rest.len());
        let (piece, behind) = rest.split_at(len);
        for number in [zeros, len] {
            packed.extend(u16::try_from(number).expect("bounded above").to_le_bytes());
        }
        packed.extend(piece);
        rest = behind;
    }
    packed
}

/// The file that an input stands for.
pub fn unpack(packed: &[u8]) -> Vec<u8> {
    let (mut bytes, mut file) = (Bytes::new(packed), Vec::new());
    while !bytes.is_empty() && file.len() < FILE_MAX {
        let (zeros, len) = (usize::from(bytes.u16()), usize::from(bytes.u16()));
        file.resize(file.len() + zeros, 0);
        file.extend_from_slice(bytes.take(len));
    }
    file.truncate(FILE_MAX);
    file
}

fn leading_zeros(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| **byte == 0).count()
}
