//! Bytes as text: base64 with the alphabet and the padding of RFC 4648, section 4.

use std::io::{self, Write};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Writes the text of `bytes`.
pub(crate) fn write(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    for piece in bytes.chunks(3 * 256) {
        let mut text = [b'='; 4 * 256];
        for (three, four) in piece.chunks(3).zip(text.chunks_exact_mut(4)) {
            let byte = |i: usize| three.get(i).map_or(0, |byte| u32::from(*byte));
            let word = byte(0) << 16 | byte(1) << 8 | byte(2);
            for (place, shift) in four.iter_mut().zip([18, 12, 6, 0]).take(three.len() + 1) {
                *place = ALPHABET[(word >> shift & 63) as usize];
            }
        }
        out.write_all(&text[..piece.len().div_ceil(3) * 4])?;
    }
    Ok(())
}

/// The bytes of a text. Each has one text, and every other is refused; the padding alone may be missing. The
/// error is a reason.
pub(crate) fn read(text: &[u8], bytes: &mut Vec<u8>) -> Result<(), String> {
    let padded = text.iter().rev().take_while(|character| **character == b'=').count();
    if padded > 2 || padded > 0 && !text.len().is_multiple_of(4) {
        return Err("the padding (=) at the end is wrong".to_owned());
    }
    bytes.clear();
    bytes.reserve(text.len() / 4 * 3);
    for four in text[..text.len() - padded].chunks(4) {
        let mut word = 0_u32;
        for i in 0..4 {
            let value = match four.get(i) {
                Some(character) => value(*character)
                    .ok_or_else(|| format!("{:?} is no character of base64", char::from(*character)))?,
                None => 0,
            };
            word = word << 6 | value;
        }
        let [low, middle, high, _] = word.to_le_bytes();
        let (whole, rest): (&[u8], u32) = match four.len() {
            4 => (&[high, middle, low], 0),
            3 => (&[high, middle], word & 0xff),
            2 => (&[high], word & 0xffff),
            _ => return Err("a character is missing at the end".to_owned()),
        };
        if rest != 0 {
            return Err("the last character has bits that belong to no byte".to_owned());
        }
        bytes.extend_from_slice(whole);
    }
    Ok(())
}

fn value(character: u8) -> Option<u32> {
    let from = |first: u8, at: u32| Some(u32::from(character - first) + at);
    match character {
        b'A'..=b'Z' => from(b'A', 0),
        b'a'..=b'z' => from(b'a', 26),
        b'0'..=b'9' => from(b'0', 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        write(&mut out, bytes).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_examples_of_the_rfc() {
        let texts = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        for (len, expected) in texts.iter().enumerate() {
            assert_eq!(text(&b"foobar"[..len]), *expected);
            let mut bytes = Vec::new();
            read(expected.trim_end_matches('=').as_bytes(), &mut bytes).unwrap();
            assert_eq!(bytes, b"foobar"[..len]);
        }
    }

    #[test]
    fn every_length_comes_back_and_what_is_wrong_is_refused() {
        let all: Vec<u8> = (0..2000_u32).map(|i| (i * 7 + i / 256).to_le_bytes()[0]).collect();
        let mut bytes = Vec::new();
        for len in (0..300).chain(760..780).chain(1530..1550) {
            read(text(&all[..len]).as_bytes(), &mut bytes).unwrap();
            assert_eq!(bytes, all[..len]);
        }
        for wrong in ["A", "AB=", "AB===", "=", "AA==AA==", "AB==", "AAB=", "A-==", "AA A", "AAAA\n"] {
            assert!(read(wrong.as_bytes(), &mut bytes).is_err(), "{wrong:?}");
        }
    }
}
