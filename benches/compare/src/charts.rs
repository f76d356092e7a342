//! Charts of a run, as SVG: Folio against LMDB in one picture, and all engines in small panels.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::catalog::{Figure, WORKLOADS, Workload};
use crate::check::{Floor, Floors, JUDGED};
use crate::engines::BASE;
use crate::results::Results;
use crate::summary::{Cell, number};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const INK: RGBColor = RGBColor(0x24, 0x29, 0x2f);
const FAINT: RGBColor = RGBColor(0xd0, 0xd7, 0xde);
const BETTER: RGBColor = RGBColor(0x1a, 0x7f, 0x37);
const WORSE: RGBColor = RGBColor(0xbc, 0x4c, 0x00);
const GREY: RGBColor = RGBColor(0x6e, 0x77, 0x81);

/// Small panels: the file, its title, and its rows.
struct Panels {
    file: &'static str,
    title: &'static str,
    rows: &'static [&'static str],
}

const PANELS: &[Panels] = &[
    Panels {
        file: "reads.svg",
        title: "Reading: longer is faster",
        rows: &[
            "get",
            "get-8",
            "get-paths",
            "get-absent",
            "get-txn",
            "get-many",
            "get-threads",
            "get-cold",
            "range10",
            "scan",
            "scan-8",
            "large-read",
        ],
    },
    Panels {
        file: "writes.svg",
        title: "Writing: longer is faster",
        rows: &[
            "indiv",
            "batch",
            "nosync",
            "mt4",
            "mixed",
            "mixed-nosync",
            "load",
            "load-sorted",
            "remove",
            "aged-indiv",
            "aged-batch",
            "large-write",
        ],
    },
    Panels {
        file: "sizes.svg",
        title: "Room, memory and time to open: shorter is better",
        rows: &[
            "size",
            "size-8",
            "size-removed",
            "size-aged",
            "growth-pinned",
            "size-large",
            "memory",
            "open",
        ],
    },
];

/// Draws all charts into a folder, and says which files they are.
pub(crate) fn draw(results: &Results, folder: &Path) -> Result<Vec<&'static str>> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let mut files = vec!["overview.svg"];
    overview(results, &folder.join("overview.svg")).context("drawing overview.svg")?;
    for panels in PANELS {
        panel_chart(results, panels, &folder.join(panels.file))
            .with_context(|| format!("drawing {}", panels.file))?;
        files.push(panels.file);
    }
    Ok(files)
}

/// A row of the overview: how many times better Folio is than LMDB, whichever way the figure counts.
struct Bar<'a> {
    row: &'a Workload,
    times: f64,
    least: f64,
    most: f64,
    floor: &'a Floor,
}

/// One bar a workload: to the right where Folio is better, to the left where LMDB is.
fn overview(results: &Results, path: &Path) -> Result<()> {
    const ROW: i32 = 21;
    const LEFT: i32 = 330;
    const WIDTH: i32 = 960;
    let floors = Floors::read()?;
    let bars = bars(results, &floors);
    let height = 96 + ROW * i32::try_from(bars.len())? + 40;
    let area = SVGBackend::new(path, (size(WIDTH)?, size(height)?)).into_drawing_area();
    area.fill(&WHITE)?;
    text(&area, (20, 24), "Folio compared to LMDB", 20, INK, HPos::Left)?;
    let legend = "How many times as fast, or as small: to the right Folio is better. \
        Thin lines: all rounds. Marks: the floors.";
    text(&area, (20, 48), legend, 13, GREY, HPos::Left)?;

    let scale = Scale { left: LEFT, right: WIDTH - 60, least: 0.25, most: 16.0 };
    let bottom = height - 34;
    for (at, name) in
        [(0.25, "1/4"), (0.5, "1/2"), (1.0, "1"), (2.0, "2"), (4.0, "4"), (8.0, "8"), (16.0, "16")]
    {
        let x = scale.place(at);
        let color = if name == "1" { INK } else { FAINT };
        area.draw(&PathElement::new([(x, 74), (x, bottom)], color))?;
        text(&area, (x, bottom + 14), name, 13, GREY, HPos::Center)?;
    }
    for (index, bar) in (0_i32..).zip(&bars) {
        let y = 84 + ROW * index;
        let color = if bar.times >= 1.0 { BETTER } else { WORSE };
        let (one, end) = (scale.place(1.0), scale.place(bar.times));
        text(&area, (LEFT - 12, y + 7), bar.row.title, 13, INK, HPos::Right)?;
        area.draw(&Rectangle::new([(one.min(end), y), (one.max(end), y + 14)], color.mix(0.75).filled()))?;
        let spread = [(scale.place(bar.least), y + 7), (scale.place(bar.most), y + 7)];
        area.draw(&PathElement::new(spread, INK))?;
        let needed = if bar.row.figure == Figure::Rate { bar.floor.floor } else { 1.0 / bar.floor.floor };
        let mark = scale.place(needed);
        area.draw(&Rectangle::new([(mark - 1, y - 2), (mark + 1, y + 16)], GREY.filled()))?;
        let label = match bar.times {
            times if times > 100.0 => "> 100".to_owned(),
            times => number(times),
        };
        let x = end.max(scale.place(bar.most)).max(one) + 6;
        let x = if (x - 4..x + 34).contains(&mark) { mark + 8 } else { x };
        text(&area, (x, y + 7), &label, 12, INK, HPos::Left)?;
    }
    area.present()?;
    Ok(())
}

/// The workloads that have a floor to keep, as a ratio to LMDB.
fn bars<'a>(results: &Results, floors: &'a Floors) -> Vec<Bar<'a>> {
    WORKLOADS
        .iter()
        .filter_map(|row| {
            let floor = floors.of(row.name).filter(|floor| !floor.own)?;
            let ratio = results.cell(row, JUDGED)?.ratio?;
            let (times, least, most) = match row.figure {
                Figure::Rate => (ratio.median, ratio.min, ratio.max),
                _ => (1.0 / ratio.median, 1.0 / ratio.max, 1.0 / ratio.min),
            };
            Some(Bar { row, times, least, most, floor })
        })
        .collect()
}

/// A logarithmic scale from left to right. What does not fit stands at its end.
struct Scale {
    left: i32,
    right: i32,
    least: f64,
    most: f64,
}

impl Scale {
    fn place(&self, value: f64) -> i32 {
        let value = if value.is_nan() { 1.0 } else { value.clamp(self.least, self.most) };
        let share = (value / self.least).ln() / (self.most / self.least).ln();
        self.left + pixels(share * f64::from(self.right - self.left))
    }
}

/// Four panels in a line, each with one bar an engine.
fn panel_chart(results: &Results, panels: &Panels, path: &Path) -> Result<()> {
    const COLUMNS: i32 = 4;
    const WIDTH: i32 = 250;
    const BAR: i32 = 19;
    let engines: Vec<&str> = results.header.engines.iter().map(|engine| engine.name.as_str()).collect();
    let height = 52 + BAR * i32::try_from(engines.len())?;
    let rows: Vec<&Workload> =
        panels.rows.iter().filter_map(|name| WORKLOADS.iter().find(|row| row.name == *name)).collect();
    let lines = (i32::try_from(rows.len())? + COLUMNS - 1) / COLUMNS;
    let area = SVGBackend::new(path, (size(COLUMNS * WIDTH + 20)?, size(44 + lines * height)?));
    let area = area.into_drawing_area();
    area.fill(&WHITE)?;
    text(&area, (20, 22), panels.title, 18, INK, HPos::Left)?;
    for (index, row) in (0_i32..).zip(rows) {
        let (x, y) = (20 + index % COLUMNS * WIDTH, 44 + index / COLUMNS * height);
        text(&area, (x, y + 8), row.title, 12, INK, HPos::Left)?;
        text(&area, (x, y + 23), row.unit, 11, GREY, HPos::Left)?;
        let cells: Vec<Option<Cell>> = engines.iter().map(|engine| results.cell(row, engine)).collect();
        let most = cells.iter().flatten().map(|cell| cell.value.median).fold(0.0, f64::max);
        for (index, (engine, cell)) in (0_i32..).zip(engines.iter().zip(&cells)) {
            let top = y + 34 + BAR * index;
            text(&area, (x + 42, top + 7), engine, 11, INK, HPos::Right)?;
            let Some(cell) = cell else {
                text(&area, (x + 50, top + 7), "not measured", 11, GREY, HPos::Left)?;
                continue;
            };
            let share = if most > 0.0 { cell.value.median.max(0.0) / most } else { 0.0 };
            let end = x + 47 + pixels(share * f64::from(WIDTH - 125)).max(1);
            area.draw(&Rectangle::new([(x + 47, top), (end, top + 14)], color_of(engine).filled()))?;
            text(&area, (end + 4, top + 7), &number(cell.value.median), 11, INK, HPos::Left)?;
        }
    }
    area.present()?;
    Ok(())
}

/// Folio and LMDB stand out.
fn color_of(engine: &str) -> RGBColor {
    match engine {
        JUDGED => BETTER,
        BASE => RGBColor(0x42, 0x4a, 0x53),
        _ => RGBColor(0xaf, 0xb8, 0xc1),
    }
}

fn text(area: &Area<'_>, at: (i32, i32), text: &str, size: i32, color: RGBColor, side: HPos) -> Result<()> {
    let style = ("sans-serif", size).into_font().color(&color).pos(Pos::new(side, VPos::Center));
    area.draw(&Text::new(text.to_owned(), at, style))?;
    Ok(())
}

fn size(pixels: i32) -> Result<u32> {
    Ok(u32::try_from(pixels)?)
}

#[expect(clippy::cast_possible_truncation, reason = "places in a picture")]
fn pixels(value: f64) -> i32 {
    value.round() as i32
}
