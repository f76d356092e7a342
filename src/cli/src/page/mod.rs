//! `folio page`: single pages, decoded or as bytes.

mod json;
mod text;

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use folio::inspect::{DecodedPage, HeadPage, Layout, MetaPage, RawFile};

use crate::failure::Failure;
use crate::output;
use crate::output::grouped;

/// Show pages of a file as the format describes them, or as bytes
///
/// The file is only read, page by page: it may be in use, damaged, or no database at all. Every field is
/// shown with its offset in the page, then the cells of a leaf or branch, the records of the free-space log,
/// or the commit record of a meta page; last what is wrong. A page without a page header is part of a value,
/// a free page, or anything: --hex shows it. A free page shows what it last was.
///
/// Checksums are compared if a meta page can be read, which says what they depend on, and the page size.
/// Otherwise give --page-size; 4096 is usual.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  folio page words.folio 0 33\n  folio page words.folio 33-35 --redact\n  \
                        folio page words.folio 34 --hex"
)]
pub(crate) struct Page {
    /// The file
    db: PathBuf,
    /// Pages by number, or ranges of them as 10-20
    #[arg(required = true, value_name = "ID", value_parser = parse_range)]
    pages: Vec<Range>,
    /// Show the bytes of the page
    #[arg(long)]
    hex: bool,
    /// Hide keys and values, so that the output can be shown to others; lengths stay
    #[arg(long, conflicts_with = "hex")]
    redact: bool,
    /// Bytes of a page, where the file does not say: 4096, 8192, 16384, 32768 or 65536
    #[arg(long, value_name = "BYTES")]
    page_size: Option<u32>,
    /// Print one JSON object a page and line, bytes in hexadecimal digits
    #[arg(long)]
    json: bool,
}

/// Pages from the first to the last.
type Range = (u64, u64);

fn parse_range(text: &str) -> Result<Range, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{text:?} is no page number"));
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(text)?, number(text)?),
    };
    if first > last { Err("the range ends before it begins".to_owned()) } else { Ok((first, last)) }
}

/// A page with its bytes, taken apart as what stands in its place.
struct Shown<'a> {
    page: u64,
    bytes: &'a [u8],
    layout: &'a Layout,
    content: Content<'a>,
    hex: bool,
    redact: bool,
}

enum Content<'a> {
    Meta(Box<MetaPage>),
    Head(Box<HeadPage>),
    Other(DecodedPage<'a>),
}

impl<'a> Shown<'a> {
    fn content(page: u64, bytes: &'a [u8], layout: &Layout) -> Content<'a> {
        let [first, second, head] = layout.header_pages();
        match page {
            _ if page == first || page == second => Content::Meta(Box::new(MetaPage::new(bytes))),
            _ if page == head => Content::Head(Box::new(HeadPage::new(bytes))),
            _ => Content::Other(DecodedPage::new(bytes, page, layout)),
        }
    }
}

impl Page {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let file = RawFile::open(&self.db)?;
        let layout = self.layout(&file)?;
        let end = file.pages(&layout)?;
        if let Some((page, _)) = self.pages.iter().find(|(first, _)| *first >= end) {
            let count = output::plural(end, "page", "pages");
            let message = format!("page {} is not there: the file has {count}", grouped(*page));
            return Err(Failure::Message(message));
        }
        let mut out = output::stdout();
        let (mut bytes, mut is_first) = (Vec::new(), true);
        for (first, last) in &self.pages {
            for page in *first..=(*last).min(end - 1) {
                file.read_page(page, &layout, &mut bytes)?;
                let content = Shown::content(page, &bytes, &layout);
                let (hex, redact) = (self.hex, self.redact);
                let shown = Shown { page, bytes: &bytes, layout: &layout, content, hex, redact };
                if self.json {
                    writeln!(out, "{}", output::json(&shown.json().to_string()))?;
                    continue;
                }
                if !is_first {
                    writeln!(out)?;
                }
                is_first = false;
                shown.write(&mut out)?;
            }
        }
        out.flush()?;
        Ok(())
    }

    fn layout(&self, file: &RawFile) -> Result<Layout, Failure> {
        let said = file.layout()?;
        let Some(size) = self.page_size else {
            let name = output::name(&self.db.display().to_string());
            return said.ok_or_else(|| {
                let what =
                    "no meta page says how large its pages are: say it with --page-size, 4096 is usual";
                Failure::Message(format!("{name}: {what}"))
            });
        };
        let Some(mut layout) = Layout::new(size) else {
            return Err(Failure::Usage(format!(
                "--page-size {size}: it must be a power of two from 4096 to 65536"
            )));
        };
        layout.database_id = said.and_then(|said| said.database_id);
        Ok(layout)
    }
}
