//! The map as a picture: where what is drawn, whatever it is drawn on.

use crate::map::Map;
use crate::map::scheme::Colour;
use crate::output::{bytes, cut, grouped, percent, ratio};

/// What can be drawn on. Places are in pixels, from the upper left corner.
pub(super) trait Canvas {
    fn rectangle(&mut self, area: Area, colour: Colour);
    /// Everything that is drawn from now on lies above what was drawn before.
    fn layer(&mut self);
    /// A line of text; `x` is its left end, or its right one.
    fn text(&mut self, x: u32, y: u32, text: &str, style: Style);
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Left,
    Right,
    Bold,
}

const WHITE: Colour = [0xFF; 3];
pub(super) const INK: Colour = [0x22; 3];
const FRAME: Colour = [0xC8; 3];

/// Pixels.
const MARGIN: u32 = 28;
const LINE: u32 = 24;
const TITLE: u32 = 3 * LINE + 16;
const AXIS: u32 = 80;
const GRID_WIDTH: u32 = 1024;
const GRID_HEIGHT: u32 = 800;
const LEGEND: u32 = 380;
/// Cells that are smaller have no gap between them.
const GAPS_FROM: u32 = 8;
/// From one label of the axis to the next, at least.
const LABELS: u32 = 40;
/// Letters of a name in the legend.
const NAME: usize = 24;

/// Cells in a row, and pixels of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lay {
    pub(super) columns: u32,
    side: u32,
    /// Cells that there is room for.
    pub(super) room: u64,
}

/// Large cells for few pages, small ones for many. Rows have a power of two of cells, so that they begin at
/// round places of the file.
pub(super) fn lay(pages: u64) -> Lay {
    let lays = [64, 128, 256].map(|columns| {
        let side = GRID_WIDTH / columns;
        Lay { columns, side, room: u64::from(columns) * u64::from(GRID_HEIGHT / side) }
    });
    lays.into_iter().find(|lay| pages <= lay.room).unwrap_or(lays[2])
}

/// Width and height of the whole picture.
pub(super) fn size(map: &Map, lay: Lay) -> (u32, u32) {
    let grid = rows(map, lay) * lay.side;
    let legend = (u32::try_from(map.legend().count()).unwrap_or(0) + 4) * LINE;
    (MARGIN + AXIS + GRID_WIDTH + MARGIN + LEGEND + MARGIN, MARGIN + TITLE + grid.max(legend) + MARGIN)
}

fn rows(map: &Map, lay: Lay) -> u32 {
    u32::try_from(map.grid.cells.len()).unwrap_or(0).div_ceil(lay.columns)
}

pub(super) fn draw(map: &Map, lay: Lay, canvas: &mut dyn Canvas) {
    let (width, height) = size(map, lay);
    canvas.rectangle(Area { x: 0, y: 0, width, height }, WHITE);
    canvas.layer();
    for (line, y) in map.title().iter().zip((MARGIN..).step_by(LINE as usize)) {
        let style = if y == MARGIN { Style::Bold } else { Style::Left };
        canvas.text(MARGIN, y, line, style);
    }
    let (x, y) = (MARGIN + AXIS, MARGIN + TITLE);
    cells(map, lay, canvas, x, y);
    axis(map, lay, canvas, x - 12, y);
    legend(map, canvas, x + GRID_WIDTH + MARGIN, y);
}

/// Runs of cells that look the same, then the gaps above them.
fn cells(map: &Map, lay: Lay, canvas: &mut dyn Canvas, x: u32, y: u32) {
    let side = lay.side;
    for (row, top) in map.grid.cells.chunks(lay.columns as usize).zip((y..).step_by(side as usize)) {
        let mut left = x;
        for run in row.chunk_by(|one, other| one == other) {
            let width = u32::try_from(run.len()).unwrap_or(0) * side;
            let area = Area { x: left, y: top, width, height: side };
            canvas.rectangle(area, map.scheme.classes[run[0]].colour);
            left += width;
        }
    }
    canvas.layer();
    if side >= GAPS_FROM {
        let (width, height) = (lay.columns * side, rows(map, lay) * side);
        for column in 1..=lay.columns {
            canvas.rectangle(Area { x: x + column * side - 1, y, width: 1, height }, WHITE);
        }
        for row in 1..=rows(map, lay) {
            canvas.rectangle(Area { x, y: y + row * side - 1, width, height: 1 }, WHITE);
        }
        canvas.layer();
    }
}

/// Where in the file a row begins.
fn axis(map: &Map, lay: Lay, canvas: &mut dyn Canvas, right: u32, y: u32) {
    let step = LABELS.div_ceil(lay.side).next_power_of_two();
    let row_bytes = u64::from(lay.columns) * map.grid.scale * u64::from(map.page_size);
    for row in (0..rows(map, lay)).step_by(step as usize) {
        let top = y + row * lay.side;
        canvas.text(right, top - 8, &bytes(row_bytes.saturating_mul(u64::from(row))), Style::Right);
        canvas.rectangle(Area { x: right + 4, y: top, width: 5, height: 1 }, FRAME);
    }
}

fn legend(map: &Map, canvas: &mut dyn Canvas, x: u32, y: u32) {
    let (count, share) = (x + LEGEND - 78, x + LEGEND);
    canvas.text(x, y, map.by_name(), Style::Bold);
    canvas.text(count, y, "pages", Style::Right);
    canvas.text(share, y, "share", Style::Right);
    let mut top = y + LINE + LINE / 4;
    for (class, pages) in map.legend() {
        canvas.rectangle(Area { x, y: top, width: 16, height: 16 }, class.colour);
        canvas.text(x + 26, top, &cut(&class.name, NAME), Style::Left);
        canvas.text(count, top, &grouped(pages), Style::Right);
        canvas.text(share, top, &percent(ratio(pages, map.page_count)), Style::Right);
        top += LINE;
    }
    canvas.rectangle(Area { x, y: top, width: LEGEND, height: 1 }, FRAME);
    canvas.text(count, top + 6, &grouped(map.page_count), Style::Right);
    canvas.text(x + 26, top + 6, "all", Style::Left);
    for line in map.notes() {
        top += LINE;
        canvas.text(x, top + 12, &line, Style::Left);
    }
}
