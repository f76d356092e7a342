//! How full pages are and how long keys and values, as bars.

use std::io::{self, IsTerminal, Write};

use folio::TableStats;
use folio::inspect::Sizes;
use serde_json::{Value, json};

use crate::output::Align::{Left, Right};
use crate::output::{self, bytes, columns, grouped, percent, ratio};

/// Columns of the widest bar, at least and at most.
const BAR: (usize, usize) = (10, 60);

/// What is shown of a table, or of several together.
#[derive(Debug)]
pub(crate) struct Histograms {
    leaf_fill: [u64; 10],
    branch_fill: [u64; 10],
    key_sizes: Sizes,
    value_sizes: Sizes,
}

impl Histograms {
    pub(crate) fn of<'t>(tables: impl Iterator<Item = &'t TableStats>) -> Histograms {
        let mut all = Histograms {
            leaf_fill: [0; 10],
            branch_fill: [0; 10],
            key_sizes: Sizes::default(),
            value_sizes: Sizes::default(),
        };
        let add = |sum: &mut [u64; 10], more: &[u64; 10]| sum.iter_mut().zip(more).for_each(|(a, b)| *a += b);
        for table in tables {
            add(&mut all.leaf_fill, &table.leaf_fill);
            add(&mut all.branch_fill, &table.branch_fill);
            all.key_sizes = all.key_sizes.and(&table.key_sizes);
            all.value_sizes = all.value_sizes.and(&table.value_sizes);
        }
        all
    }

    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let fills = |fills: &[u64; 10]| -> Vec<(String, u64)> {
            let name = |tenth| format!("{} to {} %", 10 * tenth, 10 * (tenth + 1));
            fills.iter().enumerate().map(|(tenth, pages)| (name(tenth), *pages)).collect()
        };
        let sizes =
            |sizes: &Sizes| sizes.classes().map(|(from, to, n)| (size(from, to), n)).collect::<Vec<_>>();
        write_bars(out, "leaf pages by fill", "pages", &fills(&self.leaf_fill))?;
        write_bars(out, "branch pages by fill", "pages", &fills(&self.branch_fill))?;
        write_bars(out, &titled("key sizes", &self.key_sizes), "entries", &sizes(&self.key_sizes))?;
        write_bars(out, &titled("value sizes", &self.value_sizes), "entries", &sizes(&self.value_sizes))
    }

    pub(crate) fn json(&self) -> Value {
        let fills = |fills: &[u64; 10]| -> Vec<Value> {
            let bucket = |(tenth, pages): (usize, &u64)| {
                let (from, to) = (10 * tenth, 10 * (tenth + 1));
                json!({ "from_percent": from, "to_percent": to, "pages": pages })
            };
            fills.iter().enumerate().map(bucket).collect()
        };
        let sizes = |sizes: &Sizes| {
            let bucket =
                |(from, to, n): (u64, u64, u64)| json!({ "from_bytes": from, "to_bytes": to, "entries": n });
            let range = sizes.range();
            json!({
                "min_bytes": range.map(|range| range.0),
                "max_bytes": range.map(|range| range.1),
                "buckets": sizes.classes().map(bucket).collect::<Vec<_>>(),
            })
        };
        json!({
            "leaf_fill": fills(&self.leaf_fill),
            "branch_fill": fills(&self.branch_fill),
            "key_sizes": sizes(&self.key_sizes),
            "value_sizes": sizes(&self.value_sizes),
        })
    }
}

/// `8 to 15 B`; one size alone.
fn size(from: u64, to: u64) -> String {
    match from == to {
        true => bytes(from),
        // Round ends: the last is one less than the next class's first.
        false if from >= 1024 => format!("{} to < {}", bytes(from), bytes(to + 1)),
        false => format!("{from} to {to} B"),
    }
}

fn titled(name: &str, sizes: &Sizes) -> String {
    match sizes.range() {
        Some((least, most)) if least == most => format!("{name}, all {}", bytes(least)),
        Some((least, most)) => format!("{name}, from {} to {}", bytes(least), bytes(most)),
        None => name.to_owned(),
    }
}

/// A line for each count: what, how many, which share, and a bar in proportion to the largest.
fn write_bars(out: &mut impl Write, title: &str, of: &str, counts: &[(String, u64)]) -> io::Result<()> {
    let all: u64 = counts.iter().map(|(_, count)| count).sum();
    writeln!(out, "\n{title}")?;
    if all == 0 {
        return writeln!(out, "none");
    }
    let mut rows = vec![vec![String::new(), of.to_owned(), "share".to_owned()]];
    for (name, count) in counts {
        rows.push(vec![name.clone(), grouped(*count), percent(ratio(*count, all))]);
    }
    let mut lines = Vec::new();
    columns(&mut lines, &[Left, Right, Right], &rows)?;
    let lines = String::from_utf8_lossy(&lines);
    let used = lines.lines().map(|line| line.chars().count()).max().unwrap_or(0) + 2;
    let room = output::window().map_or(80, |(columns, _)| columns).saturating_sub(used).clamp(BAR.0, BAR.1);
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or(0);
    let bars = counts.iter().map(|(_, count)| bar(*count, most, room));
    for (line, bar) in lines.lines().zip(std::iter::once(String::new()).chain(bars)) {
        let padded = format!("{line:<used$}{bar}");
        writeln!(out, "{}", padded.trim_end())?;
    }
    Ok(())
}

/// Something is never nothing.
fn bar(count: u64, most: u64, room: usize) -> String {
    let cells = u128::from(count) * room as u128;
    let cells = usize::try_from(cells.div_ceil(u128::from(most.max(1)))).unwrap_or(room);
    let cell = if io::stdout().is_terminal() { "\u{2588}" } else { "#" };
    cell.repeat(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_named_by_their_ends() {
        let given = [(0, 0), (1, 1), (2, 3), (512, 1023), (1024, 2047), (1 << 20, (2 << 20) - 1)];
        let expected = ["0 B", "1 B", "2 to 3 B", "512 to 1023 B", "1 KiB to < 2 KiB", "1 MiB to < 2 MiB"];
        assert_eq!(given.map(|(from, to)| size(from, to)), expected);
    }

    #[test]
    fn the_largest_bar_fills_the_room_and_the_smallest_can_be_seen() {
        assert_eq!([0, 1, 500, 1_000].map(|count| bar(count, 1_000, 20).chars().count()), [0, 1, 10, 20]);
    }
}
