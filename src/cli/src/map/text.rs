//! The map in a terminal, or as letters.

use std::io::{self, Write};

use crate::map::Map;
use crate::map::scheme::{Class, Colour};
use crate::output::Align::{Left, Right};
use crate::output::{self, bytes, columns, grouped, percent, ratio};

/// Columns for the places in the file, on the left.
const AXIS: usize = 10;
/// Lines of letters where there is no terminal to say how many it has.
const LINES: usize = 32;
/// Letters of a name in the legend.
const NAME: usize = 40;

/// How colours are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Palette {
    /// Not at all: a letter a cell.
    Letters,
    /// By number, of 256.
    Indexed,
    /// As they are.
    Full,
}

impl Palette {
    /// What standard output can show, and may.
    pub(super) fn of_terminal() -> Palette {
        let full = |value: std::ffi::OsString| value == "truecolor" || value == "24bit";
        match output::has_colours() {
            false => Palette::Letters,
            true if std::env::var_os("COLORTERM").is_some_and(full) => Palette::Full,
            true => Palette::Indexed,
        }
    }

    /// What sets a colour: of the letters, or of what is behind them.
    fn code(self, class: &Class, behind: bool) -> String {
        let [red, green, blue] = class.colour;
        let ground = if behind { 48 } else { 38 };
        match self {
            Palette::Letters => String::new(),
            Palette::Indexed => {
                let number = class.indexed.unwrap_or_else(|| nearest(class.colour));
                format!("\x1B[{ground};5;{number}m")
            }
            Palette::Full => format!("\x1B[{ground};2;{red};{green};{blue}m"),
        }
    }

    fn reset(self) -> &'static str {
        if self == Palette::Letters { "" } else { "\x1B[0m" }
    }
}

/// The nearest of the 240 colours that every terminal with 256 has: a cube, and greys.
fn nearest(colour: Colour) -> u8 {
    const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let cube = (0..216_u8).map(|n| (16 + n, [n / 36, n / 6 % 6, n % 6].map(|i| STEPS[usize::from(i)])));
    let greys = (0..24_u8).map(|n| (232 + n, [8 + 10 * n; 3]));
    let distance = |other: Colour| -> u32 {
        colour.iter().zip(other).map(|(one, other)| u32::from(one.abs_diff(other)).pow(2)).sum()
    };
    cube.chain(greys).min_by_key(|(_, other)| distance(*other)).map_or(0, |(number, _)| number)
}

/// How many cells a row has, and how many there is room for.
pub(super) fn room(palette: Palette, classes: usize) -> (usize, u64) {
    let window = output::window();
    let columns = window.map_or(80, |(columns, _)| columns).saturating_sub(AXIS).clamp(16, 256);
    let columns = if columns.is_power_of_two() { columns } else { columns.next_power_of_two() / 2 };
    let lines = window.map_or(LINES, |(_, lines)| lines.saturating_sub(classes + 6).max(12));
    let rows = if palette == Palette::Letters { lines } else { 2 * lines };
    (columns, (columns * rows) as u64)
}

pub(super) fn write(out: &mut impl Write, map: &Map, palette: Palette, width: usize) -> io::Result<()> {
    for line in map.title() {
        writeln!(out, "{line}")?;
    }
    writeln!(out)?;
    let rows: Vec<&[usize]> = map.grid.cells.chunks(width).collect();
    let row_bytes = width as u64 * map.grid.scale * u64::from(map.page_size);
    let tall = if palette == Palette::Letters { 1 } else { 2 };
    for (line, rows) in rows.chunks(tall).enumerate() {
        let place = bytes(row_bytes.saturating_mul((line * tall) as u64));
        let label = if line % 4 == 0 { place } else { String::new() };
        write!(out, "{label:>width$} ", width = AXIS - 1)?;
        match rows {
            [row] if tall == 1 => write_letters(out, map, row)?,
            [upper, lower @ ..] => {
                write_blocks(out, map, palette, upper, lower.first().copied().unwrap_or(&[]))?;
            }
            [] => {}
        }
        writeln!(out)?;
    }
    write_legend(out, map, palette)
}

fn write_letters(out: &mut impl Write, map: &Map, row: &[usize]) -> io::Result<()> {
    let letters: String = row.iter().map(|class| map.scheme.classes[*class].letter).collect();
    write!(out, "{letters}")
}

/// Two rows in one line: a half block in the colour of the upper cell, on that of the lower one.
fn write_blocks(
    out: &mut impl Write,
    map: &Map,
    palette: Palette,
    upper: &[usize],
    lower: &[usize],
) -> io::Result<()> {
    let code = |class: usize, behind| palette.code(&map.scheme.classes[class], behind);
    let mut before = None;
    for (i, class) in upper.iter().enumerate() {
        let pair = (*class, lower.get(i).copied());
        if before != Some(pair) {
            let behind = pair.1.map_or(String::new(), |class| code(class, true));
            write!(out, "{}{}{behind}", palette.reset(), code(pair.0, false))?;
            before = Some(pair);
        }
        write!(out, "\u{2580}")?;
    }
    write!(out, "{}", palette.reset())
}

fn write_legend(out: &mut impl Write, map: &Map, palette: Palette) -> io::Result<()> {
    let mut rows = vec![vec![map.by_name().to_owned(), "pages".to_owned(), "share".to_owned()]];
    for (class, pages) in map.legend() {
        let share = percent(ratio(pages, map.page_count));
        rows.push(vec![output::cut(&class.name, NAME), grouped(pages), share]);
    }
    let mut lines = Vec::new();
    columns(&mut lines, &[Left, Right, Right], &rows)?;
    writeln!(out)?;
    let sample = |class: &Class| match palette {
        Palette::Letters => format!("{}  ", class.letter),
        _ => format!("{}  {} ", palette.code(class, true), palette.reset()),
    };
    let samples = map.legend().map(|(class, _)| sample(class));
    let lines = String::from_utf8_lossy(&lines);
    for (sample, line) in std::iter::once("   ".to_owned()).chain(samples).zip(lines.lines()) {
        writeln!(out, "{sample}{line}")?;
    }
    map.notes().try_for_each(|note| writeln!(out, "{note}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_of_256_colours_is_near() {
        assert_eq!([[0, 0, 0], [255, 255, 255], [0, 95, 135]].map(nearest), [16, 231, 24]);
        assert_eq!([[0xE4; 3], [0x4D; 3]].map(nearest), [254, 239]);
    }
}
