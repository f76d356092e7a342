//! The damaged file: pages that verify, and nothing else of it.

use std::collections::HashMap;
use std::path::Path;

use folio::inspect::{
    ChildFields, DecodedPage, Layout, LeafContent, LogRecord, PageBody, RawFile, RunReference, TreeFields,
};

use super::seed;
use crate::failure::Failure;
use crate::progress::Progress;

/// See the module.
pub(super) struct Source {
    file: RawFile,
    pub(super) layout: Layout,
    /// Pages of the file, and of the root if that says more.
    pub(super) pages: u64,
    /// Neither meta page says what the checksums depend on.
    pub(super) is_guessed: bool,
    bytes: Vec<u8>,
}

/// A page whose checksum and structure are right.
pub(super) struct Verified {
    pub(super) page: u64,
    pub(super) birth: u64,
    pub(super) level: u8,
    pub(super) body: Body,
}

pub(super) enum Body {
    Leaf(Vec<(Vec<u8>, Content)>),
    Branch(Branch),
    Log { older: u64, older_birth: u64, records: Vec<LogRecord> },
}

/// Separators are put together when they are asked for: with a long prefix, all of them have hundreds of
/// times the bytes of the page.
pub(super) struct Branch {
    prefix: Vec<u8>,
    cells: Vec<(Vec<u8>, ChildFields)>,
}

impl Branch {
    pub(super) fn children(&self) -> impl DoubleEndedIterator<Item = &ChildFields> {
        self.cells.iter().map(|(_, child)| child)
    }

    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    /// The least key that may be below a child; the first child's is empty.
    pub(super) fn separator(&self, child: usize) -> Vec<u8> {
        match child {
            0 => Vec::new(),
            _ => [&self.prefix[..], &self.cells[child].0].concat(),
        }
    }
}

pub(super) enum Content {
    Inline(Vec<u8>),
    Run(RunReference),
}

/// What is said of a page of a tree by whoever refers to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    pub(super) page: u64,
    pub(super) birth: u64,
    pub(super) count: u64,
    pub(super) level: u8,
}

impl Expected {
    pub(super) fn of(root: &TreeFields) -> Expected {
        Expected { page: root.page, birth: root.birth, count: root.count, level: root.level }
    }

    pub(super) fn below(child: &ChildFields, level: u8) -> Expected {
        Expected { page: child.page, birth: child.birth, count: child.count, level: level.saturating_sub(1) }
    }
}

impl Source {
    pub(super) fn open(path: &Path, page_size: Option<u32>) -> Result<Source, Failure> {
        let file = RawFile::open(path)?;
        let known = file.layout()?.filter(|known| page_size.is_none_or(|size| size == known.page_size));
        let layout = match known {
            Some(layout) => Some(layout),
            None => seed::guess(&file, page_size)?,
        };
        let layout = layout.ok_or_else(|| {
            let text = format!("{}: no two pages agree on what database they are of", path.display());
            Failure::Message(text)
        })?;
        let pages = file.pages(&layout)?;
        Ok(Source { file, layout, pages, is_guessed: known.is_none(), bytes: Vec::new() })
    }

    /// The roots that the meta pages name, the newest first.
    pub(super) fn roots(&self) -> Result<Vec<folio::inspect::RootFields>, Failure> {
        let mut metas = self.file.metas()?.to_vec();
        metas.retain(|meta| meta.is_known() && meta.page_size == self.layout.page_size);
        metas.sort_by_key(|meta| std::cmp::Reverse(meta.sequence));
        Ok(metas.into_iter().map(|meta| meta.root).collect())
    }

    /// The root that the head record names, whatever meta page it builds on: a recovery must know that
    /// nothing of it was overwritten since, but here each page says so by its birth.
    pub(super) fn head_root(&self) -> Result<Option<folio::inspect::RootFields>, Failure> {
        let head = self.file.head()?;
        Ok(head.is_whole().then_some(head.root))
    }

    /// A page, if it verifies.
    pub(super) fn page(&mut self, page: u64) -> Result<Option<Verified>, Failure> {
        if page >= self.pages || self.layout.header_pages().contains(&page) {
            return Ok(None);
        }
        self.file.read_page(page, &self.layout, &mut self.bytes)?;
        let decoded = DecodedPage::new(&self.bytes, page, &self.layout);
        let Some(header) = decoded.header.filter(|header| header.is_checksum_right() == Some(true)) else {
            return Ok(None);
        };
        if !decoded.faults.is_empty() {
            return Ok(None);
        }
        let body = match decoded.body {
            PageBody::Leaf { prefix, cells, .. } => {
                let entry = |cell: folio::inspect::LeafCell<'_>| {
                    let content = match cell.content {
                        LeafContent::Inline(value) => Content::Inline(value.to_vec()),
                        LeafContent::Overflow(run) => Content::Run(run),
                        _ => return None,
                    };
                    Some(([prefix, cell.suffix].concat(), content))
                };
                Body::Leaf(cells.into_iter().filter_map(entry).collect())
            }
            PageBody::Branch { prefix, cells, .. } => {
                let child = |cell: folio::inspect::BranchCell<'_>| {
                    cell.child.map(|child| (cell.suffix.to_vec(), child))
                };
                let cells = cells.into_iter().filter_map(child).collect();
                Body::Branch(Branch { prefix: prefix.to_vec(), cells })
            }
            PageBody::FreeLog { older, older_birth, records, .. } => {
                Body::Log { older, older_birth, records }
            }
            _ => return Ok(None),
        };
        Ok(Some(Verified { page, birth: header.birth, level: header.level, body }))
    }

    /// The page that somebody refers to, if it verifies and is the one that is meant.
    pub(super) fn expected(&mut self, expected: &Expected) -> Result<Option<Verified>, Failure> {
        let found = self.page(expected.page)?;
        Ok(found.filter(|found| {
            (found.birth, found.level) == (expected.birth, expected.level)
                && !matches!(found.body, Body::Log { .. })
        }))
    }

    /// The value that a reference leads to, if its checksum is right.
    pub(super) fn value(&mut self, run: &RunReference) -> Result<Option<Vec<u8>>, Failure> {
        self.file.read_run(run.page, run.len, &self.layout, &mut self.bytes)?;
        let is_right =
            self.bytes.len() == run.len as usize && self.layout.value_sum(&self.bytes) == Some(run.checksum);
        Ok(is_right.then(|| self.bytes.clone()))
    }

    /// What the free-space log calls free or pending; none if it cannot be read whole.
    pub(super) fn free(&mut self, root: &folio::inspect::RootFields) -> Result<Option<Pages>, Failure> {
        let (mut spoken, mut free) = (Pages::new(self.pages), Pages::new(self.pages));
        let (mut page, mut birth) = (root.free_page, root.free_birth);
        let mut seen = Pages::new(self.pages);
        for _ in 0..root.free_pages {
            let found = self.page(page)?.filter(|found| found.birth == birth && seen.claim(page));
            let Some(Verified { body: Body::Log { older, older_birth, records }, .. }) = found else {
                return Ok(None);
            };
            for record in records.iter().rev() {
                let end = record.start.saturating_add(record.pages.into()).min(self.pages);
                let is_free = !record.is_used();
                spoken.claim_range(record.start, end, |word, new| {
                    if is_free {
                        free.add(word, new);
                    }
                });
            }
            (page, birth) = (older, older_birth);
        }
        Ok(Some(free))
    }

    /// Every page that verifies and that `wanted` asks for.
    pub(super) fn scan(
        &mut self,
        wanted: impl Fn(u64) -> bool,
        mut take: impl FnMut(Verified),
    ) -> Result<(), Failure> {
        let progress = Progress::of_things("scanning", self.pages);
        for page in 0..self.pages {
            if page % 256 == 0 {
                progress.set(page);
            }
            if wanted(page)
                && let Some(found) = self.page(page)?
            {
                take(found);
            }
        }
        Ok(())
    }
}

/// A set of pages, in words of 64 of them: little where few are named, however far apart.
pub(super) struct Pages {
    words: HashMap<u64, u64>,
    end: u64,
}

impl Pages {
    pub(super) fn new(end: u64) -> Pages {
        Pages { words: HashMap::new(), end }
    }

    /// Adds a page; whether it is one of the file that was not there.
    pub(super) fn claim(&mut self, page: u64) -> bool {
        let is_new = page < self.end && !self.has(page);
        if is_new {
            self.add(page / 64, 1 << (page % 64));
        }
        is_new
    }

    pub(super) fn has(&self, page: u64) -> bool {
        self.words.get(&(page / 64)).is_some_and(|word| word >> (page % 64) & 1 == 1)
    }

    fn add(&mut self, word: u64, bits: u64) {
        *self.words.entry(word).or_default() |= bits;
    }

    /// Adds the pages from `start` on and before `end`, and tells word by word which of them are new.
    fn claim_range(&mut self, start: u64, end: u64, mut tell: impl FnMut(u64, u64)) {
        let mut from = start;
        while from < end {
            let (word, to) = (from / 64, end.min((from / 64 + 1) * 64));
            let bits = u64::MAX >> (64 - (to - from)) << (from % 64);
            let known = self.words.entry(word).or_default();
            tell(word, bits & !*known);
            *known |= bits;
            from = to;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a range is the set of its pages. Method: ranges at the edges of words, page by page.
    #[test]
    fn ranges_are_sets_of_pages() {
        for (start, end) in [(0, 1), (63, 65), (64, 128), (5, 200), (130, 131)] {
            let (mut pages, mut new) = (Pages::new(1000), Pages::new(1000));
            assert!(pages.claim(100) && !pages.claim(100) && !pages.claim(1000));
            pages.claim_range(start, end, |word, bits| new.add(word, bits));
            for page in 0..300 {
                let is_inside = (start..end).contains(&page);
                assert_eq!(pages.has(page), is_inside || page == 100, "{page}");
                assert_eq!(new.has(page), is_inside && page != 100, "{page}");
            }
        }
    }
}
