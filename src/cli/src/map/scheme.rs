//! What a page is shown as: classes with a colour, a letter and a name.

use std::collections::HashMap;

use clap::ValueEnum;
use folio::inspect::{PageKind, PageMap, PageOwner, PageRecord};

use crate::output::{self, grouped};

/// Red, green, blue.
pub(super) type Colour = [u8; 3];

/// What the colours mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum By {
    /// What a page is: leaf, branch, overflow, free and so on
    Kind,
    /// Whose it is: the seven tables with most pages, and all others
    Table,
    /// How much of it is in use
    Fill,
    /// How many transactions ago it was written
    Age,
}

/// Pages that look the same.
#[derive(Debug, Clone)]
pub(super) struct Class {
    pub(super) name: String,
    pub(super) colour: Colour,
    /// Its number where there are 256 colours, if the nearest is not good enough.
    pub(super) indexed: Option<u8>,
    /// Where there are no colours.
    pub(super) letter: char,
}

/// All classes, and which page is in which.
#[derive(Debug)]
pub(super) struct Scheme {
    pub(super) by: By,
    pub(super) classes: Vec<Class>,
    /// By table: the class of those that have one of their own.
    tables: HashMap<u32, usize>,
    newest: u64,
    page_size: u64,
}

/// Classes for steps: of fill in tenths, of age in powers of ten. They come first.
const TENTHS: usize = 10;
const AGES: usize = 8;

/// From little to much: viridis, which everybody can tell apart, and from greys, in ten steps.
const STEPS: [Colour; TENTHS] = [
    [0xFD, 0xE7, 0x25],
    [0xB5, 0xDE, 0x2B],
    [0x6E, 0xCE, 0x58],
    [0x35, 0xB7, 0x79],
    [0x1F, 0x9E, 0x89],
    [0x26, 0x82, 0x8E],
    [0x31, 0x68, 0x8E],
    [0x3E, 0x49, 0x89],
    [0x48, 0x28, 0x78],
    [0x2D, 0x00, 0x40],
];

/// The same of 256 colours: the nearest of some would be greys, or each other.
const STEPS_INDEXED: [u8; TENTHS] = [226, 149, 77, 35, 36, 30, 24, 61, 54, 53];

/// Okabe and Ito's colours, for the same reason: of tables, the most pages first.
const TABLES: [Colour; 7] = [
    [0x56, 0xB4, 0xE9],
    [0xE6, 0x9F, 0x00],
    [0x00, 0x9E, 0x73],
    [0xCC, 0x79, 0xA7],
    [0x00, 0x72, 0xB2],
    [0xF0, 0xE4, 0x42],
    [0x8C, 0x5A, 0x2B],
];

/// What is the same in all schemes, and its place behind the classes of the scheme's own.
const OTHERS: [(&str, Colour, char); 5] = [
    ("free", [0xE4, 0xE4, 0xE4], '.'),
    ("pending", [0xA9, 0xA9, 0xA9], 'p'),
    ("header, free-space log", [0x4D, 0x4D, 0x4D], '#'),
    ("damaged", [0xD5, 0x30, 0x00], '!'),
    ("no known use", [0x8B, 0x00, 0x8B], '?'),
];
const FREE: usize = 0;
const PENDING: usize = 1;
const FILE: usize = 2;
const DAMAGED: usize = 3;
const UNKNOWN: usize = 4;

impl Scheme {
    pub(super) fn new(map: &PageMap, by: By) -> Scheme {
        let mut tables = HashMap::new();
        let mut classes = match by {
            By::Kind => kinds(),
            By::Fill => fills(),
            By::Age => ages(map.txn()),
            By::Table => {
                let largest = largest_tables(map);
                tables = largest.iter().enumerate().map(|(class, table)| (*table, class)).collect();
                table_classes(map, &largest)
            }
        };
        classes.extend(OTHERS.map(|(name, colour, letter)| class(name, colour, letter)));
        Scheme { by, classes, tables, newest: map.txn(), page_size: u64::from(map.page_size()) }
    }

    /// How many of the classes are steps of one measure.
    pub(super) fn steps(&self) -> usize {
        match self.by {
            By::Fill => TENTHS,
            By::Age => AGES,
            By::Kind | By::Table => 0,
        }
    }

    /// The class that is shown wherever there is a page of it.
    pub(super) fn damaged(&self) -> usize {
        self.other(DAMAGED)
    }

    /// The step of fill for so many bytes in so many pages.
    pub(super) fn fill(&self, used_bytes: u64, pages: u64) -> usize {
        let whole = u128::from(pages) * u128::from(self.page_size);
        let tenth = u128::from(used_bytes) * TENTHS as u128 / whole.max(1);
        usize::try_from(tenth).unwrap_or(TENTHS).min(TENTHS - 1)
    }

    fn other(&self, which: usize) -> usize {
        self.classes.len() - OTHERS.len() + which
    }

    pub(super) fn class_of(&self, record: &PageRecord) -> usize {
        match record.kind {
            PageKind::Free => self.other(FREE),
            PageKind::Pending => self.other(PENDING),
            PageKind::Meta | PageKind::Head | PageKind::FreeLog => self.other(FILE),
            PageKind::Damaged => self.other(DAMAGED),
            PageKind::Leaf | PageKind::Branch | PageKind::Overflow => self.of_tree(record),
            _ => self.other(UNKNOWN),
        }
    }

    fn of_tree(&self, record: &PageRecord) -> usize {
        match self.by {
            By::Kind => match record.kind {
                PageKind::Leaf => 0,
                PageKind::Branch => 1,
                _ => 2,
            },
            By::Fill => self.fill(record.used_bytes, record.pages),
            By::Age => {
                let age = self.newest.saturating_sub(record.birth);
                age.checked_ilog10().map_or(0, |power| (power as usize + 1).min(AGES - 1))
            }
            By::Table => match record.owner {
                // Behind the tables: those that share a class, then the trees that are none.
                PageOwner::Table(table) => self.tables.get(&table).copied().unwrap_or(self.tables.len()),
                _ => self.tables.len() + 1,
            },
        }
    }
}

fn class(name: impl Into<String>, colour: Colour, letter: char) -> Class {
    Class { name: name.into(), colour, indexed: None, letter }
}

/// A class of a measure; its colour is that of `step` tenths.
fn measure(name: String, step: usize, letter: char) -> Class {
    Class { name, colour: STEPS[step], indexed: Some(STEPS_INDEXED[step]), letter }
}

fn kinds() -> Vec<Class> {
    vec![
        class("leaf", TABLES[0], 'l'),
        class("branch", TABLES[4], 'B'),
        class("overflow (long values)", TABLES[1], 'o'),
    ]
}

fn fills() -> Vec<Class> {
    let name = |tenth| format!("{} to {} % in use", 10 * tenth, 10 * (tenth + 1));
    (0..TENTHS).zip('0'..).map(|(tenth, letter)| measure(name(tenth), tenth, letter)).collect()
}

/// From the last transaction to long ago: as many steps as there can be, over all colours.
fn ages(newest: u64) -> Vec<Class> {
    let last = newest.checked_ilog10().map_or(0, |power| power as usize + 1).clamp(1, AGES - 1);
    let name = |step: usize| {
        let from = 10_u64.pow(u32::try_from(step).unwrap_or(0)) / 10;
        match step {
            0 => "0: by the last one".to_owned(),
            step if step + 1 == AGES => format!("{} and more", grouped(from)),
            _ => format!("{} to {}", grouped(from), grouped(10 * from - 1)),
        }
    };
    let tenth = |step: usize| step.min(last) * (TENTHS - 1) / last;
    (0..AGES).zip('0'..).map(|(step, letter)| measure(name(step), tenth(step), letter)).collect()
}

fn table_classes(map: &PageMap, largest: &[u32]) -> Vec<Class> {
    let name =
        |table: &u32| map.tables().get(*table as usize).map_or("?".to_owned(), |name| output::name(name));
    let own = largest.iter().zip(TABLES).zip('a'..);
    let mut classes: Vec<Class> =
        own.map(|((table, colour), letter)| class(name(table), colour, letter)).collect();
    classes.push(class("all other tables", [0x88, 0x22, 0x55], 'z'));
    classes.push(class("list of the tables", [0x6B, 0x6B, 0x80], 'T'));
    classes
}

/// The tables with most pages, as many as have a colour.
fn largest_tables(map: &PageMap) -> Vec<u32> {
    let mut pages: HashMap<u32, u64> = HashMap::new();
    for record in map.iter() {
        if let PageOwner::Table(table) = record.owner {
            *pages.entry(table).or_default() += record.pages;
        }
    }
    let mut sorted: Vec<(u32, u64)> = pages.into_iter().collect();
    sorted.sort_unstable_by_key(|(table, pages)| (std::cmp::Reverse(*pages), *table));
    sorted.into_iter().take(TABLES.len()).map(|(table, _)| table).collect()
}
