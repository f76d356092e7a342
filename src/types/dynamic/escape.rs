//! Bytes as text that a terminal shows as it is, and back.

/// Appends `bytes` to `out`, escaping what is not printable, the backslash and the `quote` around it.
pub(super) fn escape(bytes: &[u8], quote: Option<char>, out: &mut String) {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\t' => out.push_str(r"\t"),
                '\n' => out.push_str(r"\n"),
                '\r' => out.push_str(r"\r"),
                '\\' => out.push_str(r"\\"),
                c if Some(c) == quote => out.extend(['\\', c]),
                c if is_printable(c) => out.push(c),
                c => push_hex(c.encode_utf8(&mut [0; 4]).as_bytes(), r"\x", out),
            }
        }
        push_hex(chunk.invalid(), r"\x", out);
    }
}

/// Appends two hexadecimal digits for each byte, with `before` in front of each byte.
pub(super) fn push_hex(bytes: &[u8], before: &str, out: &mut String) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    for byte in bytes {
        out.push_str(before);
        out.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

/// The bytes of two hexadecimal digits each. `None` if the text is anything else.
pub(super) fn parse_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(hex_byte).collect())?
}

/// The bytes that an escaped text stands for.
pub(super) fn unescape(text: &str) -> Result<Vec<u8>, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let (&letter, after) = rest.split_first().ok_or("nothing follows a backslash")?;
        rest = after;
        bytes.push(match letter {
            b't' => b'\t',
            b'n' => b'\n',
            b'r' => b'\r',
            b'\\' | b'"' | b'\'' => letter,
            b'x' => {
                let (digits, after) = rest.split_first_chunk().ok_or(NO_DIGITS)?;
                rest = after;
                hex_byte(digits).ok_or(NO_DIGITS)?
            }
            _ => return Err(r#"the escapes are \t \n \r \\ \" \' and \xHH"#),
        });
    }
    Ok(bytes)
}

/// The length in bytes of a text that begins with a quote, up to and with the same quote. `None` if it is not
/// closed.
pub(super) fn quoted_len(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate();
    let (_, quote) = bytes.next()?;
    while let Some((at, byte)) = bytes.next() {
        if byte == quote {
            return Some(at + 1);
        }
        if byte == b'\\' {
            bytes.next();
        }
    }
    None
}

fn hex_byte(digits: &[u8; 2]) -> Option<u8> {
    // `from_str_radix` alone would take "+f".
    let digits = std::str::from_utf8(digits).ok().filter(|_| digits.iter().all(u8::is_ascii_hexdigit))?;
    u8::from_str_radix(digits, 16).ok()
}

/// Neither a control character nor an invisible one: those can reorder or hide the text around them.
fn is_printable(c: char) -> bool {
    let invisible = matches!(c,
        '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}');
    !c.is_control() && !invisible
}

const NO_DIGITS: &str = r"two hexadecimal digits must follow \x";
