//! `folio map`: a picture of the whole file.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use folio::inspect::PageMap;

mod grid;
mod picture;
mod png;
mod scheme;
mod svg;
mod target;
mod text;

use crate::failure::Failure;
use crate::open::ToRead;
use crate::output;
use crate::output::{bytes, grouped, plural};
use crate::progress::Progress;
use grid::Grid;
use scheme::{By, Class, Scheme};
use text::Palette;

/// Draw a map of the file: every page a cell, coloured by what it is
///
/// The cells are the pages from the first to the last, left to right and top to bottom. Where there are more
/// pages than cells, a cell is 2, 4, 8 or more of them, which the map says, and shows what most of them are;
/// with --by fill, their mean. A damaged page is always shown.
///
/// Without -o the map is drawn in the terminal, in coloured blocks; with NO_COLOR, with TERM=dumb or in a
/// pipe, in letters. The colours are those that people with any colour vision can tell apart.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  folio map words.folio\n  folio map words.folio --by fill -o words.png")]
pub(crate) struct MapPages {
    #[command(flatten)]
    db: ToRead,
    /// Write a picture to this file, as its name ends: .png or .svg
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What the colours mean
    #[arg(long, value_enum, default_value_t = By::Kind)]
    by: By,
}

/// What is drawn.
#[derive(Debug)]
struct Map {
    path: String,
    txn: u64,
    page_size: u32,
    page_count: u64,
    faults: u64,
    scheme: Scheme,
    grid: Grid,
}

#[derive(Debug, Clone, Copy)]
enum Format {
    Png,
    Svg,
}

impl MapPages {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let format = self.output.as_deref().map(|path| self.format(path)).transpose()?;
        let db = self.db.open()?;
        let progress = Progress::of_things("mapping", 0);
        let pages = db.begin_read()?.page_map_with(&mut |step| progress.set_of(step.done, step.total))?;
        drop((progress, db));
        match format.zip(self.output.as_deref()) {
            Some((format, path)) => self.write(&pages, format, path),
            None => {
                let (palette, scheme) = (Palette::of_terminal(), Scheme::new(&pages, self.by));
                let (columns, room) = text::room(palette, scheme.classes.len());
                let map = self.map(&pages, scheme, room);
                let mut out = output::stdout();
                text::write(&mut out, &map, palette, columns)?;
                out.flush()?;
                Ok(())
            }
        }
    }

    /// What the picture's name asks for.
    fn format(&self, path: &Path) -> Result<Format, Failure> {
        let shown = output::name(&path.to_string_lossy());
        target::check(path, self.db.path())
            .map_err(|reason| Failure::Usage(format!("{shown} {reason}: the picture needs another name")))?;
        match path.extension().map(|ending| ending.to_ascii_lowercase()) {
            Some(ending) if ending == "png" => Ok(Format::Png),
            Some(ending) if ending == "svg" => Ok(Format::Svg),
            _ => Err(Failure::Usage(format!("{shown}: the name of a picture ends in .png or .svg"))),
        }
    }

    fn write(&self, pages: &PageMap, format: Format, path: &Path) -> Result<(), Failure> {
        let lay = picture::lay(pages.page_count());
        let map = self.map(pages, Scheme::new(pages, self.by), lay.room);
        let size = picture::size(&map, lay);
        let bytes = match format {
            Format::Png => {
                let mut pixels = png::Pixels::new(size);
                picture::draw(&map, lay, &mut pixels);
                pixels.encode()?
            }
            Format::Svg => {
                let mut drawing = svg::Drawing::new(size);
                picture::draw(&map, lay, &mut drawing);
                drawing.encode()
            }
        };
        let name = || output::name(&path.to_string_lossy());
        target::write(path, &bytes).map_err(|source| Failure::Input { name: name(), source })
    }

    fn map(&self, pages: &PageMap, scheme: Scheme, room: u64) -> Map {
        Map {
            path: output::name(&self.db.path().to_string_lossy()),
            txn: pages.txn(),
            page_size: pages.page_size(),
            page_count: pages.page_count(),
            faults: pages.faults().len() as u64,
            grid: Grid::new(pages, &scheme, room),
            scheme,
        }
    }
}

impl Map {
    /// What it is, and what a cell is.
    fn title(&self) -> [String; 3] {
        let page = bytes(u64::from(self.page_size));
        let all = bytes(self.page_count.saturating_mul(u64::from(self.page_size)));
        let pages = plural(self.page_count, "page", "pages");
        let scale = self.grid.scale;
        let shown = if self.scheme.by == By::Fill { "their mean" } else { "what most of them are" };
        let cell = match scale {
            1 => "one cell is one page".to_owned(),
            _ => {
                let size = bytes(scale.saturating_mul(u64::from(self.page_size)));
                format!("one cell is {} pages ({size}) and shows {shown}", grouped(scale))
            }
        };
        [
            format!("folio map {}", self.path),
            format!("{pages} of {page}: {all}, transaction {}", grouped(self.txn)),
            cell,
        ]
    }

    fn by_name(&self) -> &'static str {
        match self.scheme.by {
            By::Kind => "kind",
            By::Table => "table",
            By::Fill => "fill",
            By::Age => "transactions ago",
        }
    }

    /// The classes that there are, with their pages.
    fn legend(&self) -> impl Iterator<Item = (&Class, u64)> {
        self.scheme.classes.iter().zip(self.grid.pages.iter().copied()).filter(|(_, pages)| *pages > 0)
    }

    /// What else is to be said.
    fn notes(&self) -> impl Iterator<Item = String> {
        let faults = plural(self.faults, "fault", "faults");
        (self.faults > 0).then(|| format!("{faults}: folio check says more")).into_iter()
    }
}
