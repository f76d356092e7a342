//! Standard output, and how numbers and tables look there.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Standard output, locked and buffered. Commands flush it themselves, so that an error at the end is seen.
pub(crate) fn stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::with_capacity(128 << 10, io::stdout().lock())
}

/// Whether somebody may still read standard output: not so when it is a pipe whose other end is closed.
pub(crate) fn has_reader() -> bool {
    let stdout = io::stdout();
    // Errors and the end are told without being asked for.
    let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
    match poll(&mut polled, Some(&Timespec::default())) {
        Ok(_) => !polled[0].revents().intersects(PollFlags::ERR | PollFlags::HUP),
        Err(_) => true,
    }
}

/// Whether what goes to standard output may be coloured.
pub(crate) fn has_colours() -> bool {
    let is_refused = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|name| name == "dumb");
    io::stdout().is_terminal() && !is_refused && !is_dumb
}

/// Columns and lines of the terminal that standard output is; none where there is none, or it does not say.
pub(crate) fn window() -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col.into(), size.ws_row.into()))
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    grouped_digits(&number.to_string())
}

/// The same for digits that were rounded or are too many for a `u64`.
pub(crate) fn grouped_digits(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 entry`, `2,000 entries`.
pub(crate) fn plural(number: u64, one: &str, more: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { more })
}

/// Bytes in the largest unit that leaves at least one: `264.0 MiB`, `4 KiB`, `17 B`.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut whole = number;
    let mut text = format!("{number} B");
    for (unit, power) in UNITS.iter().zip(1_u32..) {
        if whole < 1024 {
            break;
        }
        whole /= 1024;
        let size = 1_u64 << (10 * power);
        text = match number % size {
            0 => format!("{whole} {unit}"),
            _ => format!("{:.1} {unit}", ratio(number, size)),
        };
    }
    text
}

/// Bytes for people and exactly: `264 MiB (276,824,064 bytes)`.
pub(crate) fn bytes_exactly(number: u64) -> String {
    let exactly = plural(number, "byte", "bytes");
    if number < 1024 { exactly } else { format!("{} ({exactly})", bytes(number)) }
}

/// A name that somebody chose, so that it stays on its line, and hides or reorders nothing around it.
pub(crate) fn name(text: &str) -> String {
    escaped(text.as_bytes())
}

/// Bytes as text that stays on its line: what is not printable is escaped as the tool's help says.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    // Bytes of this type are always text.
    folio::types::render_value("bytes", bytes).unwrap_or_else(|_| hex(bytes))
}

/// Whether a character would speak to the terminal, or turn the direction of writing round.
fn is_wild(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A message in which something of a file may stand: characters that a terminal would obey are escaped.
pub(crate) fn tame(text: &str) -> String {
    let tamed = |c: char| if is_wild(c) { c.escape_unicode().to_string() } else { c.to_string() };
    match text.chars().any(is_wild) {
        true => text.chars().map(tamed).collect(),
        false => text.to_owned(),
    }
}

/// JSON as it is printed. Its own rules let some characters through that a terminal obeys.
pub(crate) fn json(text: &str) -> String {
    let is_plain = |c: char| c == '\n' || !is_wild(c);
    match text.chars().all(is_plain) {
        true => text.to_owned(),
        // They stand in strings, and have four digits.
        false => text
            .chars()
            .map(|c| if is_plain(c) { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) })
            .collect(),
    }
}

/// Two hexadecimal digits for each byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |number: u8| char::from(b"0123456789abcdef"[usize::from(number)]);
    let mut text = String::with_capacity(2 * bytes.len());
    bytes.iter().for_each(|byte| text.extend([digit(byte >> 4), digit(byte & 15)]));
    text
}

/// How many columns a line may have: those of the terminal, or any number where there is none.
pub(crate) fn width() -> usize {
    window().map_or(usize::MAX, |(columns, _)| columns)
}

/// The text, or its beginning and three dots where it has more characters than fit.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    match text.char_indices().nth(columns) {
        None => text.to_owned(),
        Some(_) => text.chars().take(columns.saturating_sub(3)).chain("...".chars()).collect(),
    }
}

/// `part` of `whole`; 0 where there is no whole.
#[expect(clippy::cast_precision_loss, reason = "a figure for people, rounded to a few digits")]
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// `0.125` as `12.5 %`.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Which side of its column a cell keeps to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Writes rows of cells in columns two blanks apart, without blanks at the end of a line.
pub(crate) fn columns(out: &mut impl Write, align: &[Align], rows: &[Vec<String>]) -> io::Result<()> {
    // Whatever was forgotten to be escaped is escaped here.
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| tame(cell)).collect()).collect();
    let width_of =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max();
    let widths: Vec<usize> = (0..align.len()).map(|column| width_of(column).unwrap_or(0)).collect();
    for row in &rows {
        let mut line = String::new();
        for ((cell, width), align) in row.iter().zip(&widths).zip(align) {
            match align {
                Align::Left => line.push_str(&format!("{cell:<width$}  ")),
                Align::Right => line.push_str(&format!("{cell:>width$}  ")),
            }
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_in_threes() {
        let given = [0, 12, 999, 1_000, 12_345, 1_234_567, u64::MAX];
        let expected = ["0", "12", "999", "1,000", "12,345", "1,234,567", "18,446,744,073,709,551,615"];
        assert_eq!(given.map(grouped), expected);
    }

    #[test]
    fn bytes_take_the_largest_unit() {
        let given = [0, 17, 1023, 1024, 1536, 4096, 1 << 20, (1 << 20) + 1, 276_824_064, u64::MAX];
        let expected =
            ["0 B", "17 B", "1023 B", "1 KiB", "1.5 KiB", "4 KiB", "1 MiB", "1.0 MiB", "264 MiB", "16.0 EiB"];
        assert_eq!(given.map(bytes), expected);
    }

    #[test]
    fn long_lines_are_cut() {
        assert_eq!(
            ["", "abcd", "abcde", "\u{e9}\u{e9}\u{e9}\u{e9}x"].map(|text| cut(text, 4)),
            ["", "abcd", "a...", "\u{e9}..."]
        );
        assert_eq!(cut("abc", 0), "...");
    }

    #[test]
    fn columns_align_and_end_without_blanks() {
        let mut out = Vec::new();
        let rows = [vec!["a".to_owned(), "10".to_owned()], vec!["long".to_owned(), "9".to_owned()]];
        columns(&mut out, &[Align::Left, Align::Right], &rows).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a     10\nlong   9\n");
    }
}
