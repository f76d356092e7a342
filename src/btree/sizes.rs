//! How many of something are how large.

/// How many keys or values are how long: counts for lengths of 0, 1, 2 to 3, 4 to 7 bytes and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    counts: [u64; CLASSES],
    least: u64,
    most: u64,
}

/// One for nothing, and one for each power of two below that of the longest value.
const CLASSES: usize = 33;

impl Sizes {
    pub(crate) fn add(&mut self, size: usize) {
        let size = size as u64;
        let class = size.checked_ilog2().map_or(0, |log| log as usize + 1);
        self.counts[class.min(CLASSES - 1)] += 1;
        self.least = self.least.min(size);
        self.most = self.most.max(size);
    }

    /// The smallest size and the largest; none where nothing was counted.
    pub fn range(&self) -> Option<(u64, u64)> {
        (self.least <= self.most).then_some((self.least, self.most))
    }

    /// The classes from that of the smallest size to that of the largest: the sizes that are in it, the first
    /// and the last, and how many were counted.
    pub fn classes(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        let used = |class: &usize| self.counts[*class] > 0;
        let first = (0..CLASSES).find(used).unwrap_or(0);
        let end = (0..CLASSES).rfind(used).map_or(first, |last| last + 1);
        (first..end).map(|class| match class.checked_sub(1) {
            None => (0, 0, self.counts[0]),
            Some(log) => (1 << log, (2 << log) - 1, self.counts[class]),
        })
    }

    /// Everything that was counted here or there.
    #[must_use]
    pub fn and(mut self, other: &Sizes) -> Sizes {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.least = self.least.min(other.least);
        self.most = self.most.max(other.most);
        self
    }
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes { counts: [0; CLASSES], least: u64::MAX, most: 0 }
    }
}

/// How many pages are used how far: the first count is of those below a tenth, the last of those from nine
/// tenths on.
pub(crate) type Fills = [u64; 10];

/// Adds a page of which `used` bytes are in use.
pub(super) fn add_fill(fills: &mut Fills, used: usize, page_size: usize) {
    fills[(used * fills.len() / page_size.max(1)).min(fills.len() - 1)] += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_size_is_in_the_class_that_names_it() {
        for size in [0, 1, 2, 3, 4, 7, 8, 1_983, 1_984, u32::MAX as usize] {
            let mut sizes = Sizes::default();
            sizes.add(size);
            let classes: Vec<_> = sizes.classes().collect();
            let [(from, to, 1)] = classes[..] else { panic!("{size}: {classes:?}") };
            assert!((from..=to).contains(&(size as u64)), "{size}: {classes:?}");
            assert_eq!(sizes.range(), Some((size as u64, size as u64)));
        }
        assert_eq!((Sizes::default().classes().count(), Sizes::default().range()), (0, None));
    }

    #[test]
    fn classes_between_are_there_and_sums_are_those_of_the_parts() {
        let (mut one, mut other) = (Sizes::default(), Sizes::default());
        one.add(1);
        other.add(5);
        other.add(9);
        let all: Vec<_> = one.and(&other).classes().collect();
        assert_eq!(all, [(1, 1, 1), (2, 3, 0), (4, 7, 1), (8, 15, 1)]);
        assert_eq!(one.and(&other).range(), Some((1, 9)));
        assert_eq!(one.and(&Sizes::default()), one);
    }

    #[test]
    fn a_full_page_is_in_the_last_class() {
        let mut fills = Fills::default();
        for used in [0, 409, 410, 3_686, 3_687, 4_096] {
            add_fill(&mut fills, used, 4_096);
        }
        assert_eq!(fills, [2, 1, 0, 0, 0, 0, 0, 0, 1, 2]);
    }
}
