//! Pages that verify and that no tree has which was walked: what lies below damaged pages.

use std::collections::{BTreeMap, HashMap};

use super::report::Gap;
use super::source::{Body, Expected, Verified};
use super::trees::{Limits, Trees, is_of_catalog};
use crate::failure::Failure;

/// Tables for leaves that overlap; what overlaps with leaves in all of them is left out.
const TABLES_MAX: usize = 32;

/// A page that no page refers to.
#[derive(Debug, Clone, Copy)]
struct Top {
    page: u64,
    birth: u64,
    level: u8,
}

impl Top {
    fn expected(self) -> Expected {
        Expected { page: self.page, birth: self.birth, count: 0, level: self.level }
    }
}

/// A leaf that lies in a gap of a table.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Filling {
    birth: u64,
    page: u64,
    gap: usize,
    table: usize,
}

/// The first key and the last.
type KeyRange = (Vec<u8>, Vec<u8>);

/// Leaves of one unnamed table: the first key of each, and the last.
type Ranges = BTreeMap<Vec<u8>, Vec<u8>>;

impl Trees<'_> {
    /// Tables that pages of the catalog name which the walk did not come to: the newest page first.
    pub(super) fn lost_tables(&mut self) -> Result<(), Failure> {
        if !self.report.rootless && !self.report.lacks_catalog() {
            return Ok(());
        }
        let mut found: Vec<(bool, u64, u64)> = Vec::new();
        {
            let (reached, free) = (&self.reached, &self.free);
            self.source.scan(
                |page| !reached.has(page),
                |leaf| {
                    if is_of_catalog(&leaf) {
                        let is_live = !free.as_ref().is_some_and(|free| free.has(leaf.page));
                        found.push((is_live, leaf.birth, leaf.page));
                    }
                },
            )?;
        }
        found.sort_unstable_by(|a, b| b.cmp(a));
        for (is_live, _, page) in found {
            if let Some(leaf) = self.source.page(page)? {
                if is_live {
                    self.reached.claim(page);
                }
                self.catalog_leaf(leaf, true)?;
            }
        }
        Ok(())
    }

    /// Everything else that verifies and is not free.
    pub(super) fn orphans(&mut self) -> Result<(), Failure> {
        if self.free.is_none() {
            let note = "what is free cannot be read: entries that had been removed may be back";
            self.report.notes.push(note.to_owned());
        }
        self.is_below_orphans = true;
        let (mut unnamed, mut leaves): (Vec<(usize, Ranges)>, Vec<Filling>) = (Vec::new(), Vec::new());
        let tops = self.tops()?;
        self.report.is_mixed = self.free.is_none() && !tops.is_empty();
        for top in tops {
            if self.reached.has(top.page) {
                continue;
            }
            let Some((first, last)) = self.keys(top)? else { continue };
            let (root, limits) = (top.expected(), Limits::default());
            let gap = self.gap_for(top, &first, &last);
            if let Some((gap, Some(table))) = gap.map(|gap| (gap, self.report.gaps[gap].table)) {
                self.walk(&root, limits, Some(table), &mut |_, leaf| {
                    leaves.push(Filling { birth: leaf.birth, page: leaf.page, gap, table });
                    Ok(0)
                })?;
            } else if let Some(table) = self.table_for(&mut unnamed, first, last)? {
                self.walk(&root, limits, Some(table), &mut |trees, leaf| trees.put(table, &leaf))?;
            } else {
                self.report.left_out.push(top.page);
            }
        }
        self.fill_gaps(leaves)
    }

    /// The oldest leaves first: what is younger replaces what it finds.
    fn fill_gaps(&mut self, mut leaves: Vec<Filling>) -> Result<(), Failure> {
        leaves.sort_unstable();
        for Filling { page, gap, table, .. } in leaves {
            if let Some(leaf) = self.source.page(page)? {
                self.report.gaps[gap].found += self.put(table, &leaf)?;
            }
        }
        Ok(())
    }

    /// Pages without a parent. The newest of each level has its pages first, and older versions what is left.
    fn tops(&mut self) -> Result<Vec<Top>, Failure> {
        let (mut pages, mut children) = (Vec::new(), Vec::new());
        {
            let (reached, free) = (&self.reached, &self.free);
            let is_wanted =
                |page: u64| !reached.has(page) && !free.as_ref().is_some_and(|free| free.has(page));
            self.source.scan(is_wanted, |found| {
                if matches!(found.body, Body::Log { .. }) || is_of_catalog(&found) {
                    return;
                }
                if let Body::Branch(branch) = &found.body {
                    children.extend(branch.children().map(|child| (child.page, child.birth)));
                }
                pages.push(Top { page: found.page, birth: found.birth, level: found.level });
            })?;
        }
        let children: HashMap<u64, u64> = children.into_iter().collect();
        pages.retain(|top| children.get(&top.page) != Some(&top.birth));
        // Trees before single leaves, which could go between theirs.
        pages.sort_unstable_by_key(|top| std::cmp::Reverse((top.level, top.birth, top.page)));
        Ok(pages)
    }

    /// The first and the last key below a page, as far as its edges verify.
    fn keys(&mut self, top: Top) -> Result<Option<KeyRange>, Failure> {
        let mut ends = [None, None];
        for (i, end) in ends.iter_mut().enumerate() {
            let mut at = top.expected();
            for _ in 0..32 {
                let Some(found) = self.source.expected(&at)? else { break };
                if is_of_catalog(&found) {
                    return Ok(None);
                }
                let Verified { level, body, .. } = found;
                match body {
                    Body::Branch(branch) => {
                        let child = if i == 0 { 0 } else { branch.len().saturating_sub(1) };
                        let Some(below) = branch.children().nth(child) else { break };
                        // Where the page below is damaged, its separator has to do.
                        *end = Some(branch.separator(child));
                        at = Expected::below(below, level);
                    }
                    Body::Leaf(entries) => {
                        let entry = if i == 0 { entries.first() } else { entries.last() };
                        *end = entry.map(|(key, _)| key.clone());
                        break;
                    }
                    Body::Log { .. } => break,
                }
            }
        }
        let [first, last] = ends;
        Ok(first.zip(last))
    }

    /// The one gap in which these keys lie, of the one table that has such.
    fn gap_for(&self, top: Top, first: &[u8], last: &[u8]) -> Option<usize> {
        // Where free pages are known, no old version of a lost page is among those that were found.
        let least = if self.free.is_none() { top.level } else { top.level.saturating_add(1) };
        let fits = |gap: &Gap| {
            gap.table.is_some()
                && gap.level >= least
                && gap.birth >= top.birth
                && gap.from.as_ref().is_none_or(|from| &**from <= first)
                && gap.to.as_ref().is_none_or(|to| last < &**to)
        };
        let mut gaps: Vec<usize> =
            (0..self.report.gaps.len()).filter(|i| fits(&self.report.gaps[*i])).collect();
        // Under a page that is lost alone, the pages are one level below it.
        if gaps.iter().any(|gap| self.report.gaps[*gap].level == top.level + 1) {
            gaps.retain(|gap| self.report.gaps[*gap].level == top.level + 1);
        }
        let gap = *gaps.first()?;
        let table = self.report.gaps[gap].table;
        gaps.iter().all(|other| self.report.gaps[*other].table == table).then_some(gap)
    }

    /// An unnamed table in which no key of the range stands yet: leaves of one table do not overlap.
    fn table_for(
        &mut self,
        unnamed: &mut Vec<(usize, Ranges)>,
        first: Vec<u8>,
        last: Vec<u8>,
    ) -> Result<Option<usize>, Failure> {
        for (table, ranges) in unnamed.iter_mut() {
            let before = ranges.range(..=last.clone()).next_back();
            if before.is_none_or(|(_, end)| *end < first) {
                ranges.insert(first, last);
                return Ok(Some(*table));
            }
        }
        if unnamed.len() >= TABLES_MAX {
            return Ok(None);
        }
        let table = self.unnamed()?;
        unnamed.push((table, BTreeMap::from([(first, last)])));
        Ok(Some(table))
    }
}
