//! The parts of `docs/BENCHMARKS.md` that are made from a run: each stands between two lines,
//! `<!-- report: NAME -->` and `<!-- end -->`, and is written anew.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::catalog::{Figure, WORKLOADS, Workload};
use crate::check::{Floors, JUDGED, Verdict};
use crate::engines::BASE;
use crate::job::{Device, Outcome};
use crate::results::{Results, disagreements};
use crate::summary::number;

/// Rewrites every marked part of a document.
pub(crate) fn rewrite(results: &Results, document: &Path) -> Result<()> {
    let text = fs::read_to_string(document).with_context(|| format!("reading {}", document.display()))?;
    let text = replaced(&text, |name| part(results, name))?;
    fs::write(document, text).with_context(|| format!("writing {}", document.display()))
}

/// The text with each marked part replaced by what `part` says for its name.
fn replaced(text: &str, part: impl Fn(&str) -> Result<String>) -> Result<String> {
    const BEGIN: &str = "<!-- report: ";
    const END: &str = "<!-- end -->";
    let mut pieces = text.split(BEGIN);
    let mut out = pieces.next().unwrap_or_default().to_owned();
    let mut count = 0;
    for piece in pieces {
        let (name, rest) = piece.split_once(" -->").context("a marker that does not end")?;
        let (_, after) = rest.split_once(END).with_context(|| format!("the part {name:?} does not end"))?;
        let _ = write!(out, "{BEGIN}{name} -->\n\n{}\n\n{END}{after}", part(name)?.trim());
        count += 1;
    }
    ensure!(count > 0, "no marked parts");
    Ok(out)
}

fn part(results: &Results, name: &str) -> Result<String> {
    let is_rate = |row: &&Workload| row.figure == Figure::Rate;
    let table = |keep: &dyn Fn(&&Workload) -> bool| engine_table(results, WORKLOADS.iter().filter(keep));
    Ok(match name {
        "run" => run(results),
        "engines" => engines(results),
        "floors" => floors(results)?,
        "reads" => table(&|row| is_rate(row) && row.step.only_reads()),
        "writes" => table(&|row| is_rate(row) && !row.step.only_reads()),
        "sizes" => table(&|row| !is_rate(row)),
        "units" => units(results),
        _ => bail!("there is no part {name:?}"),
    })
}

/// When, where, how much, and whether all went well.
fn run(results: &Results) -> String {
    let header = &results.header;
    let mut text = format!("- date: {}, commit {}\n", header.date, header.commit);
    let _ = writeln!(
        text,
        "- {} rounds; reads and durable writes ran {} times in each; {} entries{}; seed {}",
        header.rounds,
        header.passes,
        header.sizes.entries,
        if header.quick { " (`--quick`)" } else { "" },
        header.seed
    );
    for (name, value) in &header.machine {
        let _ = writeln!(text, "- {name}: {value}");
    }
    if !header.device_counters {
        text.push_str("- this system does not count what the disk does\n");
    }
    for skipped in &header.skipped {
        let _ = writeln!(text, "- SKIPPED: {skipped}");
    }
    let failed = results.runs.iter().filter_map(|run| Some((run, run.error.as_ref()?)));
    for (run, error) in failed {
        let error = error.replace('\n', " ");
        let _ = writeln!(text, "- FAILED: {} {:?}/{:?}: {error}", run.engine, run.set, run.step);
    }
    let mut same = 0;
    for runs in results.runs.chunk_by(|a, b| a.place() == b.place()) {
        let found = disagreements(runs);
        same += usize::from(found.is_empty());
        for text_of in found {
            let _ = writeln!(text, "- DISAGREEMENT: {text_of}");
        }
    }
    let _ = writeln!(text, "- engines agreed on what was read and what was written in {same} comparisons");
    text
}

fn engines(results: &Results) -> String {
    let mut text = "| engine | version | settings |\n|---|---|---|\n".to_owned();
    for engine in &results.header.engines {
        let _ = writeln!(text, "| {} | {} | {} |", engine.name, engine.version, engine.settings);
    }
    text
}

/// What Folio must reach, and what it has reached.
fn floors(results: &Results) -> Result<String> {
    let floors = Floors::read()?;
    let mut text = "| workload | | floor | aim | Folio | rounds | by CPU time | floor kept |\n".to_owned();
    text.push_str("|---|---|---|---|---|---|---|---|\n");
    for floor in floors.all() {
        let Some(row) = WORKLOADS.iter().find(|row| row.name == floor.workload) else { continue };
        let side = if row.figure == Figure::Rate { "at least" } else { "at most" };
        let (cell, verdict) = (results.cell(row, JUDGED), floor.verdict(results, row));
        let spread = cell.and_then(|cell| if floor.own { Some(cell.value) } else { cell.ratio });
        let (reached, rounds) = match spread {
            Some(spread) => {
                (format!("**{:.2}**", spread.median), format!("{:.2}..{:.2}", spread.min, spread.max))
            }
            None => ("-".to_owned(), "-".to_owned()),
        };
        let cpu =
            cell.and_then(|cell| cell.cpu_ratio).map_or("-".to_owned(), |cpu| format!("{:.2}", cpu.median));
        let kept = match verdict {
            Verdict::Aim => "yes, and the aim",
            Verdict::Floor => "yes",
            Verdict::Missed => "**no**",
            Verdict::Unknown => "not measured",
        };
        let name = format!("{} (`{}`)", row.title, row.name);
        let (floor, aim) = (floor.floor, floor.aim);
        let _ = writeln!(
            text,
            "| {name} | {side} | {floor:.2} | {aim:.2} | {reached} | {rounds} | {cpu} | {kept} |"
        );
    }
    Ok(text)
}

/// The first line of a table, and the one below, with a column for each engine.
fn head(results: &Results, columns: &[&str]) -> String {
    let engines = results.header.engines.iter().map(|engine| engine.name.as_str());
    let names: Vec<&str> = columns.iter().copied().chain(engines).collect();
    format!("| {} |\n|{}\n", names.join(" | "), "---|".repeat(names.len()))
}

/// All engines: the median, how many times LMDB's, and the least and the most.
fn engine_table<'w>(results: &Results, rows: impl Iterator<Item = &'w Workload>) -> String {
    let mut text = head(results, &["workload", "unit"]);
    for row in rows {
        let _ = write!(text, "| {} (`{}`) | {} |", row.title, row.name, row.unit);
        for engine in &results.header.engines {
            let Some(cell) = results.cell(row, &engine.name) else {
                text.push_str(" - |");
                continue;
            };
            let _ = write!(text, " {}", number(cell.value.median));
            if let Some(ratio) = cell.ratio.filter(|_| engine.name != BASE) {
                let _ = write!(text, " **x{:.2}**", ratio.median);
            }
            if cell.value.min < cell.value.max {
                let _ = write!(text, "<br>{}..{}", number(cell.value.min), number(cell.value.max));
            }
            text.push_str(" |");
        }
        text.push('\n');
    }
    text
}

/// What a table of units shows of an outcome, if it has it.
struct Quantity {
    name: &'static str,
    of: fn(&Outcome) -> Option<f64>,
}

const QUANTITIES: &[Quantity] = &[
    Quantity { name: "p50 us", of: |outcome| Some(outcome.latency?.p50) },
    Quantity { name: "p90 us", of: |outcome| Some(outcome.latency?.p90) },
    Quantity { name: "p99 us", of: |outcome| Some(outcome.latency?.p99) },
    Quantity { name: "CPU user us/unit", of: |outcome| per_unit(outcome, outcome.cost.user_seconds * 1e6) },
    Quantity {
        name: "CPU system us/unit",
        of: |outcome| per_unit(outcome, outcome.cost.system_seconds * 1e6),
    },
    Quantity {
        name: "device KiB written/commit",
        of: |outcome| per_commit(outcome, |d| d.written_bytes >> 10),
    },
    Quantity { name: "device writes/commit", of: |outcome| per_commit(outcome, |d| d.writes) },
    Quantity { name: "device flushes/commit", of: |outcome| per_commit(outcome, |d| d.flushes) },
    Quantity { name: "device KiB read/unit", of: |outcome| read_per_unit(outcome) },
];

/// Workloads whose units are shown.
const UNITS: &[&str] = &[
    "indiv",
    "batch",
    "nosync",
    "mt4",
    "aged-indiv",
    "aged-batch",
    "get",
    "get-txn",
    "range10",
    "scan",
    "load",
    "remove",
    "large-write",
    "limited-get",
];

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn per_unit(outcome: &Outcome, total: f64) -> Option<f64> {
    Some(total / outcome.units as f64)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn per_commit(outcome: &Outcome, of: impl Fn(Device) -> u64) -> Option<f64> {
    let commits = outcome.latency?.count;
    Some(of(outcome.cost.device?) as f64 / commits as f64)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn read_per_unit(outcome: &Outcome) -> Option<f64> {
    let bytes = outcome.cost.device?.read_bytes;
    if outcome.latency.is_some() { None } else { per_unit(outcome, bytes as f64 / 1024.0) }
}

/// Latencies, CPU time and what the disk did: medians.
fn units(results: &Results) -> String {
    let mut text = head(results, &["workload", "what"]);
    for row in UNITS.iter().filter_map(|name| WORKLOADS.iter().find(|row| row.name == *name)) {
        for quantity in QUANTITIES {
            let engines = results.header.engines.iter();
            let cells: Vec<_> =
                engines.map(|engine| results.spread(row, &engine.name, quantity.of)).collect();
            let is_shown = |cell: &Option<crate::summary::Spread>| cell.is_some_and(|cell| cell.max > 0.0);
            if !cells.iter().any(is_shown) {
                continue;
            }
            let _ = write!(text, "| `{}` | {} |", row.name, quantity.name);
            for cell in cells {
                let _ = write!(text, " {} |", cell.map_or("-".to_owned(), |cell| number(cell.median)));
            }
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    //! Goal: only what is marked is rewritten. Method: small documents.

    use super::*;

    #[test]
    fn marked_parts_are_replaced_and_nothing_else() {
        let text = "a\n<!-- report: x -->\nold\n<!-- end -->\nb\n<!-- report: y --><!-- end -->\nc\n";
        let made = replaced(text, |name| Ok(format!("new {name}\n"))).unwrap();
        let new = |name: &str| format!("<!-- report: {name} -->\n\nnew {name}\n\n<!-- end -->");
        let expected = format!("a\n{}\nb\n{}\nc\n", new("x"), new("y"));
        assert_eq!(made, expected);
        assert_eq!(replaced(&made, |name| Ok(format!("new {name}"))).unwrap(), expected);
    }

    #[test]
    fn a_document_without_ends_or_with_unknown_parts_is_refused() {
        assert!(replaced("<!-- report: x -->", |_| Ok(String::new())).is_err());
        assert!(replaced("no parts", |_| Ok(String::new())).is_err());
    }
}
