//! Any file, looked at as if it were a database.

use std::path::Path;

use crate::error::Result;
use crate::page::decode::{DecodedPage, HeadPage, Layout, MetaPage};
use crate::page::{HEAD_AT, HEAD_LEN, META_AT, META_LEN, index, is_page_size};
use crate::storage::PlainFile;

/// A file of any bytes, read page by page: a database that does not open, or no database at all.
///
/// It is read as it is: nothing is mapped, locked, written or made beside it. So it says what the bytes are,
/// not what a database that is in use shows; what others write meanwhile may be seen in part.
///
/// ```
/// use folio::inspect::{DecodedPage, RawFile};
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("x.folio");
/// # unsafe { folio::Database::create(&path)? }.close()?;
///
/// let file = RawFile::open(&path)?;
/// let layout = file.layout()?.expect("one of the two meta pages is whole");
/// let mut bytes = Vec::new();
/// for page in 0..file.pages(&layout)? {
///     file.read_page(page, &layout, &mut bytes)?;
///     if !layout.header_pages().contains(&page) {
///         let decoded = DecodedPage::new(&bytes, page, &layout);
///         println!("page {page}: {} faults", decoded.faults.len());
///     }
/// }
/// # Ok::<(), folio::Error>(())
/// ```
#[derive(Debug)]
pub struct RawFile {
    file: PlainFile,
}

impl RawFile {
    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound); [`Error::NotAFile`](crate::Error::NotAFile);
    /// [`Error::Io`](crate::Error::Io).
    pub fn open(path: impl AsRef<Path>) -> Result<RawFile> {
        Ok(RawFile { file: PlainFile::open(path.as_ref())? })
    }

    /// The path as it was given.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Bytes of the file now.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn len(&self) -> Result<u64> {
        self.file.len()
    }

    /// Whether the file has no bytes.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `buf` from byte `at` on, as far as the file goes; how many bytes that were.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn read_at(&self, buf: &mut [u8], at: u64) -> Result<usize> {
        self.file.read_at(buf, at)
    }

    /// The two meta pages, whatever stands in their places.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn metas(&self) -> Result<[MetaPage; 2]> {
        let [first, second] = META_AT.map(|at| self.piece(at, META_LEN));
        Ok([MetaPage::new(&first?), MetaPage::new(&second?)])
    }

    /// The head record, whatever stands in its place.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn head(&self) -> Result<HeadPage> {
        Ok(HeadPage::new(&self.piece(HEAD_AT, HEAD_LEN)?))
    }

    fn piece(&self, at: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let found = self.read_at(&mut bytes, at)?;
        bytes.truncate(found);
        Ok(bytes)
    }

    /// What the pages are like, as the newest meta page says that this version knows; else one that is
    /// damaged, where a page can be found that has the right checksum under it. None if neither is of use.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn layout(&self) -> Result<Option<Layout>> {
        let mut metas = self.metas()?.to_vec();
        metas.sort_by_key(|meta| (meta.is_known(), meta.sequence));
        let len = self.len()?;
        for meta in metas.into_iter().rev() {
            if !meta.has_magic || !is_page_size(meta.page_size.into()) {
                continue;
            }
            let in_file = len.div_ceil(meta.page_size.into());
            let said = if meta.is_known() { meta.root.page_count } else { 0 };
            let layout = Layout {
                page_size: meta.page_size,
                database_id: Some(meta.database_id),
                page_count: Some(in_file.max(said)),
            };
            if meta.is_known() || self.fits(&layout)? {
                return Ok(Some(layout));
            }
        }
        Ok(None)
    }

    /// Whether one of the first pages has the right checksum and number under this layout.
    fn fits(&self, layout: &Layout) -> Result<bool> {
        const LOOKED_AT: u64 = 256;
        let mut bytes = Vec::new();
        for page in 1..self.pages(layout)?.min(LOOKED_AT) {
            self.read_page(page, layout, &mut bytes)?;
            let header = DecodedPage::new(&bytes, page, layout).header;
            if header.is_some_and(|h| h.page == page && h.is_checksum_right() == Some(true)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How many pages the file has, a part of one at its end included.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn pages(&self, layout: &Layout) -> Result<u64> {
        Ok(self.len()?.div_ceil(layout.page_size.into()))
    }

    /// Puts the bytes of a page into `bytes`: fewer than a page where the file ends.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn read_page(&self, page: u64, layout: &Layout, bytes: &mut Vec<u8>) -> Result<()> {
        self.read(page, layout.page_size.into(), layout, bytes)
    }

    /// Puts a value of `len` bytes, which begins with page `page`, into `bytes`: fewer where the file ends.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn read_run(&self, page: u64, len: u32, layout: &Layout, bytes: &mut Vec<u8>) -> Result<()> {
        self.read(page, len.into(), layout, bytes)
    }

    fn read(&self, page: u64, len: u64, layout: &Layout, bytes: &mut Vec<u8>) -> Result<()> {
        let at = page.saturating_mul(layout.page_size.into());
        // Not more memory than there are bytes, whatever the length says.
        let len = index(len.min(self.len()?.saturating_sub(at)));
        bytes.resize(len, 0);
        let found = self.read_at(bytes, at)?;
        bytes.truncate(found);
        Ok(())
    }
}
