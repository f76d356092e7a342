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
        Grid::of(map.iter(), map.page_count(), scheme, room)
    }

    fn of(records: impl Iterator<Item = PageRecord>, page_count: u64, scheme: &Scheme, room: u64) -> Grid {
        let scale = page_count.div_ceil(room.max(1)).max(1).next_power_of_two();
        let classes = scheme.classes.len();
        let mut grid = Grid { scale, cells: Vec::new(), pages: vec![0; classes] };
        let mut cell = Cell { pages: vec![0; classes], used_bytes: 0, measured: 0 };
        let mut room_left = scale;
        for record in records {
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

    /// What it is shown as: what most of its pages are, the first of equals. Of fill the mean. Damage is
    /// shown wherever it is.
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

#[cfg(test)]
mod tests {
    use folio::inspect::{PageKind, PageOwner};

    use super::*;

    /// A scheme, and records of so many pages, as `change` makes them of a leaf.
    fn check(by: By, records: &[(u64, PageKind, u64)], room: u64, scale: u64, names: &[&str]) -> Grid {
        let db = folio::Database::in_memory().unwrap();
        db.write(|tx| tx.create_raw("t", "bytes", "bytes").map(|_| ())).unwrap();
        let map = db.begin_read().unwrap().page_map().unwrap();
        let leaf = map.iter().find(|record| record.kind == PageKind::Leaf).unwrap();
        let mut next = 0;
        let records: Vec<PageRecord> = records
            .iter()
            .map(|(pages, kind, used_bytes)| {
                let mut record = leaf;
                (record.page, record.pages, record.kind) = (next, *pages, *kind);
                (record.used_bytes, record.owner, record.birth) = (*used_bytes, PageOwner::Table(0), 0);
                next += pages;
                record
            })
            .collect();
        let scheme = Scheme::new(&map, by);
        let grid = Grid::of(records.into_iter(), next, &scheme, room);
        assert_eq!(grid.pages.iter().sum::<u64>(), next);
        assert_eq!(grid.scale, scale);
        let shown: Vec<_> = grid.cells.iter().map(|class| scheme.classes[*class].name.as_str()).collect();
        assert_eq!(shown, names);
        grid
    }

    use PageKind::{Branch, Damaged, Free, Leaf};

    #[test]
    fn a_cell_shows_what_most_of_its_pages_are_and_damage_always() {
        let records =
            [(3, Leaf, 0), (1, Free, 0), (2, Branch, 0), (2, Free, 0), (3, Leaf, 0), (1, Damaged, 0)];
        check(By::Kind, &records, 3, 4, &["leaf", "branch", "damaged"]);
        check(
            By::Kind,
            &records,
            100,
            1,
            &[
                "leaf", "leaf", "leaf", "free", "branch", "branch", "free", "free", "leaf", "leaf", "leaf",
                "damaged",
            ],
        );
        check(By::Kind, &[(5, Leaf, 0), (4, Free, 0)], 3, 4, &["leaf", "free", "free"]);
    }

    #[test]
    fn a_cell_shows_the_mean_of_fill() {
        let records = [(1, Leaf, 4096), (1, Leaf, 0), (1, Branch, 2048), (1, Free, 0)];
        check(By::Fill, &records, 1, 4, &["50 to 60 % in use"]);
        check(
            By::Fill,
            &records,
            4,
            1,
            &["90 to 100 % in use", "0 to 10 % in use", "50 to 60 % in use", "free"],
        );
        check(By::Fill, &[(1, Leaf, 4096), (3, Free, 0)], 1, 4, &["free"]);
        // Of a run of several pages, those that lie in the cell.
        check(By::Fill, &[(4, PageKind::Overflow, 4 * 4096 - 100)], 2, 2, &["90 to 100 % in use"; 2]);
    }

    #[test]
    fn a_file_that_claims_no_end_of_pages_has_no_more_cells_than_there_is_room() {
        let far = 1_u64 << 48;
        let records = [(1, Leaf, 0), (far - 2, Free, 0), (1, Leaf, 0)];
        check(By::Kind, &records, 4, far / 4, &["free"; 4]);
        let grid = check(By::Kind, &[(far, Leaf, u64::MAX)], 51_200, 1 << 33, &["leaf"; 1 << 15]);
        assert!(grid.cells.len() <= 51_200);
    }
}
