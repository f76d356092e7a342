//! The file: what the page cache holds, and what the disk may hold.
//!
//! A place (a page, a meta page, the head record, the length) has one *cached* value, which is what every
//! process reads, and a queue of *versions*: the first is what the last completed sync has settled, the
//! others were written since. A power cut leaves any of them in each place, each place for itself, or a torn
//! mixture of two, which no checksum passes.
//!
//! - A sync that ends well settles what was written before it *began*. What was written while it ran may have
//!   arrived or not.
//! - A sync that fails leaves any of the versions on the disk. All of them count as written from then on:
//!   what is cached stays cached, and no later sync writes it, unless it is written again.

use std::fmt;
use std::rc::Rc;

use super::choices::Choices;
use super::roots::{Root, Txn};

/// Pages that the file may grow to, the header pages aside.
pub(super) const PAGES: usize = 7;

/// What stands in a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Content {
    /// Nothing was written here, or the file was cut off here since.
    Nothing,
    /// Parts of two versions.
    Torn,
    /// A whole page. Its birth stands in it, and everybody can compare that. The serial number stands for the
    /// bytes: only a checksum that was kept elsewhere tells two pages of one birth apart.
    Written { birth: Txn, serial: u32 },
}

impl Content {
    pub(super) fn birth(self) -> Option<Txn> {
        match self {
            Content::Written { birth, .. } => Some(birth),
            Content::Nothing | Content::Torn => None,
        }
    }
}

/// A meta page: the root that it names, and what it takes to believe it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Meta {
    /// Stands for the checksum: what a head record names its bases by.
    pub(super) sum: u32,
    /// The greater is the newer.
    pub(super) sequence: u32,
    pub(super) root: Rc<Root>,
    /// The commit record: pages, and what they must hold. Empty when they were synced before.
    pub(super) record: Vec<(usize, Content)>,
    /// No number from here on stands on any page.
    pub(super) ceiling: Txn,
    /// Written by closing in good order.
    pub(super) clean: bool,
}

/// The head record: the newest visible commit, for the case that only the process ends.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct HeadRecord {
    /// The sums of the durable meta page and of the one that is being written.
    pub(super) bases: [u32; 2],
    pub(super) boot: u32,
    pub(super) root: Rc<Root>,
}

/// One place of the file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place<T> {
    pub(super) cached: T,
    versions: Vec<T>,
}

impl<T: Clone + PartialEq> Place<T> {
    fn new(value: T) -> Place<T> {
        Place { cached: value.clone(), versions: vec![value] }
    }

    pub(super) fn write(&mut self, value: T) {
        self.versions.push(value.clone());
        self.cached = value;
    }

    /// Writing the same bytes again tears nothing.
    fn can_tear(&self) -> bool {
        self.versions.iter().any(|version| *version != self.versions[0])
    }

    /// How many outcomes a power cut has here.
    fn outcomes(&self) -> usize {
        if self.can_tear() { self.versions.len() + 1 } else { 1 }
    }

    /// One of them; none when the place is torn.
    fn outcome(&self, loss: Loss, choices: &mut Choices) -> Option<&T> {
        if loss == Loss::Little && !choices.one_in(4) {
            return self.versions.last();
        }
        self.versions.get(choices.pick(self.outcomes()))
    }

    fn mark(&self) -> usize {
        self.versions.len() - 1
    }

    fn settle(&mut self, mark: usize) {
        self.versions.drain(..mark);
    }

    fn fail(&mut self, mark: usize, choices: &mut Choices) {
        let arrived = self.versions[choices.pick(mark + 1)].clone();
        self.versions.splice(..=mark, [arrived]);
    }

    /// The system may drop what it believes to be on the disk, and read it from there again.
    fn drop_clean(&mut self, choices: &mut Choices) {
        if self.cached != *self.newest() && choices.one_in(2) {
            self.cached = self.newest().clone();
        }
    }

    /// What the disk will hold, when everything has arrived that is on its way.
    fn newest(&self) -> &T {
        self.versions.last().expect("a place has a version")
    }

    fn reset(&mut self, value: T) {
        *self = Place::new(value);
    }
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Disk {
    pub(super) pages: [Place<Content>; PAGES],
    /// None: no meta page that decodes.
    pub(super) metas: [Place<Option<Rc<Meta>>>; 2],
    pub(super) head_record: Place<Option<Rc<HeadRecord>>>,
    /// In pages.
    pub(super) len: Place<usize>,
}

/// What a sync found when it began, and how far it reaches.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Marks {
    pages: [usize; PAGES],
    metas: [usize; 2],
    head_record: usize,
    len: usize,
    /// Pages from here on are not synced.
    end: usize,
}

impl Disk {
    pub(super) fn new(pages: [Content; PAGES], metas: [Meta; 2], len: usize) -> Disk {
        Disk {
            pages: pages.map(Place::new),
            metas: metas.map(|meta| Place::new(Some(Rc::new(meta)))),
            head_record: Place::new(None),
            len: Place::new(len),
        }
    }

    /// Writes a page, behind the end of the file too. The length goes to the disk with it.
    pub(super) fn write(&mut self, page: usize, content: Content) {
        self.len.cached = self.len.cached.max(page + 1);
        if *self.len.newest() <= page {
            self.len.versions.push(page + 1);
        }
        self.pages[page].write(content);
    }

    /// Writes what is cached again: it is dirty from then on, whatever the system thought of it.
    pub(super) fn write_again(&mut self, page: usize) {
        self.write(page, self.pages[page].cached);
    }

    /// Cuts the file behind its first `len` pages.
    pub(super) fn cut(&mut self, len: usize) {
        self.len.write(len);
        for page in &mut self.pages[len..] {
            page.write(Content::Nothing);
        }
    }

    /// A sync of the header and the pages below `end` begins.
    pub(super) fn begin_sync(&self, end: usize) -> Marks {
        Marks {
            pages: std::array::from_fn(|page| if page < end { self.pages[page].mark() } else { 0 }),
            metas: std::array::from_fn(|slot| self.metas[slot].mark()),
            head_record: self.head_record.mark(),
            len: self.len.mark(),
            end,
        }
    }

    /// It ends well.
    pub(super) fn end_sync(&mut self, marks: &Marks) {
        for (page, mark) in self.pages.iter_mut().zip(marks.pages) {
            page.settle(mark);
        }
        for (meta, mark) in self.metas.iter_mut().zip(marks.metas) {
            meta.settle(mark);
        }
        self.head_record.settle(marks.head_record);
        // What the file has grown by is settled as far as the sync reaches.
        let reached = self.len.versions[0].max(marks.end);
        self.len.settle(marks.len);
        if self.len.versions[0] > reached {
            self.len.versions.insert(0, reached);
        }
    }

    /// It fails.
    pub(super) fn fail_sync(&mut self, marks: &Marks, choices: &mut Choices) {
        for (page, mark) in self.pages.iter_mut().zip(marks.pages) {
            page.fail(mark, choices);
        }
        for (meta, mark) in self.metas.iter_mut().zip(marks.metas) {
            meta.fail(mark, choices);
        }
        self.head_record.fail(marks.head_record, choices);
        self.len.fail(marks.len, choices);
    }

    /// Any of the clean pages that the disk does not hold leave the page cache.
    pub(super) fn drop_clean(&mut self, choices: &mut Choices) {
        self.pages.iter_mut().for_each(|page| page.drop_clean(choices));
        self.metas.iter_mut().for_each(|meta| meta.drop_clean(choices));
        self.head_record.drop_clean(choices);
    }

    /// What a process reads.
    pub(super) fn cached(&self) -> Image {
        Image {
            pages: std::array::from_fn(|page| self.pages[page].cached),
            metas: std::array::from_fn(|slot| self.metas[slot].cached.clone()),
            head_record: self.head_record.cached.clone(),
            len: self.len.cached,
        }
    }

    /// How many different images a power cut may leave.
    pub(super) fn image_count(&self) -> usize {
        let pages = self.pages.iter().map(Place::outcomes);
        let metas = self.metas.iter().map(Place::outcomes);
        let others = [self.head_record.outcomes(), self.len.versions.len()];
        pages.chain(metas).chain(others).fold(1, usize::saturating_mul)
    }

    /// What a power cut leaves.
    pub(super) fn image(&self, loss: Loss, choices: &mut Choices) -> Image {
        let len = self.len.versions[choices.pick(self.len.versions.len())];
        let mut page = |page: usize| {
            let content = self.pages[page].outcome(loss, choices).copied().unwrap_or(Content::Torn);
            if page < len { content } else { Content::Nothing }
        };
        let pages = std::array::from_fn(&mut page);
        let metas = std::array::from_fn(|slot| self.metas[slot].outcome(loss, choices).cloned().flatten());
        let head_record = self.head_record.outcome(loss, choices).cloned().flatten();
        Image { pages, metas, head_record, len }
    }

    /// What some power cut leaves.
    pub(super) fn any_image(&self, choices: &mut Choices) -> Image {
        // Whoever follows every path has all images without the other way to draw them.
        let loss = if !choices.is_random() || choices.one_in(2) { Loss::Any } else { Loss::Little };
        self.image(loss, choices)
    }

    /// The system starts again with what the power cut has left.
    pub(super) fn restart(&mut self, image: Image) {
        self.pages.iter_mut().zip(image.pages).for_each(|(page, content)| page.reset(content));
        self.metas.iter_mut().zip(image.metas).for_each(|(meta, left)| meta.reset(left));
        self.head_record.reset(image.head_record);
        self.len.reset(image.len);
    }
}

/// How images are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// Each place has each of its outcomes with the same chance.
    Any,
    /// Most places have their newest version. With many places, "all but one" would be rare else.
    Little,
}

/// One state of the file: what is cached, or what a power cut may leave.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) pages: [Content; PAGES],
    pub(super) metas: [Option<Rc<Meta>>; 2],
    pub(super) head_record: Option<Rc<HeadRecord>>,
    pub(super) len: usize,
}

impl Image {
    /// The first page of `root` that does not hold what it should.
    pub(super) fn wrong_page(&self, root: &Root) -> Option<usize> {
        root.live().find(|(page, content)| self.pages[*page] != *content).map(|(page, _)| page)
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let page = |content: &Content| match content {
            Content::Written { birth, .. } => birth.to_string(),
            Content::Torn => "torn".to_owned(),
            Content::Nothing => "-".to_owned(),
        };
        let pages: Vec<String> = self.pages.iter().take(self.len).map(page).collect();
        let metas = self.metas.each_ref().map(|meta| match meta {
            Some(meta) => format!("root {}", meta.root.txn),
            None => "torn".to_owned(),
        });
        let head =
            self.head_record.as_ref().map_or("none".to_owned(), |head| format!("root {}", head.root.txn));
        write!(f, "pages born {}; meta pages {}; head record: {head}", pages.join(" "), metas.join(", "))
    }
}
