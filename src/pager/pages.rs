//! The seam between trees and space.
//! The two traits here are the seam between trees and space: trees read through [`Pages`] and write through
//! [`PagesMut`]; snapshots and write sets implement them, and the tree's tests have a double.

use crate::error::Result;
use crate::page::{Child, OverflowRef, Page, TxnId};

/// Where a tree reads its pages. `Sync`, so that an iterator over them can be.
pub(crate) trait Pages: Sync {
    /// Bytes of a page.
    fn page_size(&self) -> usize;

    /// The transaction whose state this is: what the file has of it is not younger.
    fn newest(&self) -> TxnId {
        TxnId(u64::MAX)
    }

    /// The page that `child` names, which stands at `level`. Checked at first touch.
    fn page(&self, child: &Child, level: u8) -> Result<Page<'_>>;

    /// Asks the processor for the beginning of a page that will be wanted soon.
    fn ask_for(&self, child: &Child) {
        let _ = child;
    }

    /// The page, checked again whatever is remembered of it.
    fn recheck(&self, child: &Child, level: u8) -> Result<Page<'_>> {
        self.page(child, level)
    }

    /// The value that `run` refers to.
    fn run(&self, run: &OverflowRef) -> Result<&[u8]>;

    /// The value, its checksum computed again however long it is, and what lies behind it in its last page
    /// looked at.
    fn recheck_run(&self, run: &OverflowRef) -> Result<&[u8]>;
}

/// Where a tree changes its pages: on copies on the heap, named by an index that stands in the parent's cell
/// with [`crate::page::DIRTY`] set.
pub(crate) trait PagesMut: Pages + Sized {
    /// Copies the page that `child` names to the heap and frees the page; the copy's index. A child that is
    /// on the heap already stays there.
    fn dirty(&mut self, child: &Child, level: u8) -> Result<usize>;

    /// A heap page.
    fn bytes(&self, index: usize) -> &[u8];

    /// A heap page to change, and a buffer to do it with.
    fn bytes_mut(&mut self, index: usize) -> (&mut [u8], &mut Vec<u8>);

    /// Two different heap pages to change, and a buffer to do it with.
    fn pair_mut(&mut self, a: usize, b: usize) -> (&mut [u8], &mut [u8], &mut Vec<u8>);

    /// A new heap page; its content is whatever it is.
    fn new_page(&mut self) -> usize;

    /// A page buffer of the right length; its content is whatever it is.
    fn buffer(&mut self) -> Box<[u8]>;

    /// Gives a buffer back.
    fn recycle(&mut self, buffer: Box<[u8]>);

    /// Makes a heap page of a buffer's bytes, and gives that back; its index.
    fn adopt(&mut self, buffer: Box<[u8]>) -> usize {
        let index = self.new_page();
        self.bytes_mut(index).0.copy_from_slice(&buffer);
        self.recycle(buffer);
        index
    }

    /// Copies the page that `child` names to a buffer, and frees the page.
    fn take(&mut self, child: &Child, level: u8) -> Result<Box<[u8]>>;

    /// Frees the page that `child` names, unread.
    fn drop_page(&mut self, child: &Child);

    /// Stores a value outside the leaf.
    fn put_run(&mut self, value: &[u8]) -> Result<OverflowRef>;

    /// Frees a value outside the leaf.
    fn drop_run(&mut self, run: &OverflowRef);
}
