//! What is checked, after every step of anybody: the pages that are in use now, what the end of the processes
//! would leave, and what a power cut would leave.

use std::fmt;
use std::rc::Rc;

use super::choices::Choices;
use super::disk::{Image, Loss};
use super::reader::Reader;
use super::recovery::Found;
use super::roots::{Root, Txn};
use super::state::{Model, Promises};

/// What went wrong.
#[derive(Debug)]
pub(super) struct Violation {
    what: What,
    /// What was left of the file, where something had ended.
    left: Option<(End, String)>,
}

#[derive(Debug)]
enum What {
    /// A page that somebody is using was overwritten or cut off, or the file ends before the root's pages do.
    Used { root: Txn, page: usize },
    /// No meta page holds: the file cannot be opened.
    DoesNotOpen,
    /// The file opens to an older root than was promised.
    Lost { found: Txn, promised: Txn },
    /// The file opens to a root that was given up by an earlier opening.
    GivenUp { found: Txn },
    /// The file opens to a root one of whose pages is not its own.
    Mixture { root: Txn, page: usize },
}

/// What has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// All processes. The page cache stays.
    Processes,
    Power,
}

impl Model {
    /// Looks at everything that can be wrong now. How many images were looked at; all of them if there are no
    /// more than `images`, else so many at random.
    pub(super) fn check(&self, images: usize, choices: &mut Choices) -> Result<u64, Violation> {
        self.check_used().map_err(|what| Violation { what, left: None })?;
        self.judge(&self.disk.cached(), End::Processes)?;
        let mut looked = 1;
        if self.disk.image_count() > images {
            for _ in 0..images {
                self.judge(&self.disk.any_image(choices), End::Power)?;
                looked += 1;
            }
            return Ok(looked);
        }
        let mut every = Choices::every();
        loop {
            self.judge(&self.disk.image(Loss::Any, &mut every), End::Power)?;
            looked += 1;
            if !every.next_path() {
                return Ok(looked);
            }
        }
    }

    /// No page of a root that readers or the writer look at is ever written or cut off.
    fn check_used(&self) -> Result<(), What> {
        let Some(words) = &self.words else { return Ok(()) };
        let read = self.readers.iter().filter_map(|reader| match reader {
            Reader::Reading { root, .. } => Some(root),
            _ => None,
        });
        for root in read.chain([words.visible(), &words.head]) {
            let cached = |page: usize| self.disk.pages[page].cached;
            let wrong = root.live().find(|(page, content)| cached(*page) != *content);
            let behind = (root.page_count > self.disk.len.cached).then_some(self.disk.len.cached);
            if let Some(page) = wrong.map(|(page, _)| page).or(behind) {
                return Err(What::Used { root: root.txn, page });
            }
        }
        Ok(())
    }

    /// Opens an image, and says what is wrong with what is found.
    pub(super) fn judge(&self, image: &Image, end: End) -> Result<Found, Violation> {
        self.open_image(image, end).map_err(|what| Violation { what, left: Some((end, image.to_string())) })
    }

    fn open_image(&self, image: &Image, end: End) -> Result<Found, What> {
        let found = self.find(image).ok_or(What::DoesNotOpen)?;
        // The meta page's root, too: it is what another boot shows.
        for root in [&found.meta.root, found.root()] {
            if let Some(page) = image.wrong_page(root) {
                return Err(What::Mixture { root: root.txn, page });
            }
        }
        let promises = &self.promises;
        let promised = promises.acknowledged.max(promises.seen);
        self.at_least(&found.meta.root, promised)?;
        let promised = if end == End::Processes { promised.max(promises.kept) } else { promised };
        self.at_least(found.root(), promised)?;
        Ok(found)
    }

    fn at_least(&self, found: &Rc<Root>, promised: Txn) -> Result<(), What> {
        if found.txn < promised {
            return Err(What::Lost { found: found.txn, promised });
        }
        let Promises { history, missing, .. } = &self.promises;
        let known = history.iter().chain(missing).any(|root| Rc::ptr_eq(root, found));
        if known { Ok(()) } else { Err(What::GivenUp { found: found.txn }) }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.left {
            Some((End::Processes, image)) => writeln!(f, "The processes end, and leave {image}.")?,
            Some((End::Power, image)) => writeln!(f, "The power fails, and leaves {image}.")?,
            None => {}
        }
        match self.what {
            What::Used { root, page } => {
                write!(f, "Page {page} of root {root}, which is in use, was written over or cut off.")
            }
            What::DoesNotOpen => write!(f, "No meta page holds."),
            What::Lost { found, promised } => write!(f, "Root {found} is found; {promised} was promised."),
            What::GivenUp { found } => write!(f, "Root {found} is found, which was given up before."),
            What::Mixture { root, page } => {
                write!(f, "Root {root} is found, and its page {page} is not its own.")
            }
        }
    }
}
