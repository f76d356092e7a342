//! Cells of pages: as many as there is room for.

use folio::inspect::{PageMap, PageRecord};

use crate::map::scheme::{By, Scheme};

/// The whole file in cells, each of the same number of pages.
#[derive(Debug)]
pub(super) struct Grid {
    /// Pages of a cell: a power of two.
    pub(super) scale: u64,
    /// The class that each is shown as.
    pub(super) cells: Vec<usize>,
    /// How many pages of each class there are, whatever is shown.
    pub(super) pages: Vec<u64>,
}

impl Grid {
    /// O(records + cells), of which there are at most `room`.
    pub(super) fn new(map: &PageMap, scheme: &Scheme, room: u64) -> Grid {
        let scale = map.page_count().div_ceil(room.max(1)).max(1).next_power_of_two();
        let classes = scheme.classes.len();
        let mut grid = Grid { scale, cells: Vec::new(), pages: vec![0; classes] };
        let mut cell = Cell { pages: vec![0; classes], used_bytes: 0, measured: 0 };
        let mut room_left = scale;
        for record in map.iter() {
            let class = scheme.class_of(&record);
            grid.pages[class] += record.pages;
            // What is left of it: a free extent may fill many cells.
            let mut left = record.pages;
            while left > 0 {
                let here = left.min(room_left);
                cell.add(scheme, &record, class, here);
                left -= here;
                room_left -= here;
                if room_left == 0 {
                    grid.cells.push(cell.end(scheme));
                    room_left = scale;
                }
            }
        }
        if room_left < scale {
            grid.cells.push(cell.end(scheme));
        }
        grid
    }
}

/// The cell that is being filled.
struct Cell {
    pages: Vec<u64>,
    /// Bytes in use of the pages of which that is known, and how many these are.
    used_bytes: u64,
    measured: u64,
}

impl Cell {
    fn add(&mut self, scheme: &Scheme, record: &PageRecord, class: usize, pages: u64) {
        self.pages[class] += pages;
        if class < scheme.steps() {
            let share = u128::from(record.used_bytes) * u128::from(pages) / u128::from(record.pages.max(1));
            self.used_bytes = self.used_bytes.saturating_add(u64::try_from(share).unwrap_or(u64::MAX));
            self.measured += pages;
        }
    }

    /// What it is shown as: what most of its pages are, the first of equals. Of fill the mean. Damage is shown
    /// wherever it is.
    fn end(&mut self, scheme: &Scheme) -> usize {
        let shown = if self.pages[scheme.damaged()] > 0 {
            scheme.damaged()
        } else {
            let steps = if scheme.by == By::Fill { scheme.steps() } else { 0 };
            let most = |from: usize| {
                let counts = self.pages.iter().enumerate().skip(from).rev();
                counts.max_by_key(|(_, pages)| **pages).map_or((0, 0), |(class, pages)| (class, *pages))
            };
            let (class, pages) = most(steps);
            let is_measured = steps > 0 && self.measured > 0 && self.measured >= pages;
            if is_measured { scheme.fill(self.used_bytes, self.measured) } else { class }
        };
        self.pages.fill(0);
        (self.used_bytes, self.measured) = (0, 0);
        shown
    }
}
