//! `folio pages`: what each page of a database is.

use std::io::{self, Write};

use clap::{Args, ValueEnum};
use folio::Fault;
use folio::inspect::{PageKind, PageMap, PageOwner, PageRecord};
use serde_json::{Value, json};

use crate::failure::{Failure, verdict};
use crate::open::ToRead;
use crate::output;
use crate::output::{grouped, percent, ratio};
use crate::progress::Progress;

/// List the pages of a database: what each is, and whose
///
/// Each line is a page in the order of the file; a value outside its leaf, a free extent and pages of no
/// known use take one line for all of their pages, whose number is in the second column. `fill` is the share
/// of the pages that is in use, `birth` the transaction that wrote them. Free pages can be used again now;
/// pending ones are out of use, but a snapshot still needs them (`folio free` says which).
///
/// On a damaged database the listing goes on elsewhere: damaged pages are `damaged`, what only they lead to
/// is `unknown`, and the last lines say what is wrong, with exit code 1. Values outside their leaves are not
/// read; `folio check` looks at everything. For a file that does not open, see `folio page`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  folio pages words.folio\n  folio pages words.folio --kind leaf --table words"
)]
pub(crate) struct Pages {
    #[command(flatten)]
    db: ToRead,
    /// Only pages of this kind
    #[arg(long, value_enum, value_name = "KIND")]
    kind: Option<Kind>,
    /// Only pages of this table
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// Print one JSON object a line, sizes in bytes
    #[arg(long)]
    json: bool,
}

/// [`PageKind`] as an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Meta,
    Head,
    Freelog,
    Branch,
    Leaf,
    Overflow,
    Free,
    Pending,
    Damaged,
    Unknown,
}

impl Kind {
    fn is(self, kind: PageKind) -> bool {
        self.to_possible_value().is_some_and(|value| value.get_name() == kind.name())
    }
}

impl Pages {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let db = self.db.open()?;
        let tx = db.begin_read()?;
        let progress = Progress::of_things("reading pages", 0);
        let map = tx.page_map_with(&mut |step| progress.set_of(step.done, step.total))?;
        drop(progress);
        let table = match &self.table {
            None => None,
            Some(name) => match map.tables().iter().position(|table| table == name) {
                None => return Err(folio::Error::NoSuchTable { table: name.clone() }.into()),
                Some(number) => Some(PageOwner::Table(u32::try_from(number).unwrap_or(u32::MAX))),
            },
        };
        verdict(map.faults().is_empty(), self.write(&map, table))
    }

    fn write(&self, map: &PageMap, table: Option<PageOwner>) -> io::Result<()> {
        let (mut out, width) = (output::stdout(), output::width());
        if !self.json {
            write_row(&mut out, width, &HEAD.map(str::to_owned), "table")?;
        }
        let is_wanted = |record: &PageRecord| {
            self.kind.is_none_or(|kind| kind.is(record.kind))
                && table.is_none_or(|table| table == record.owner)
        };
        for record in map.iter().filter(is_wanted) {
            match self.json {
                true => writeln!(out, "{}", output::json(&json_of(map, &record).to_string()))?,
                false => write_record(&mut out, width, map, &record)?,
            }
        }
        for fault in map.faults() {
            match self.json {
                true => writeln!(out, "{}", output::json(&json_of_fault(fault).to_string()))?,
                false => writeln!(out, "{}", output::name(&fault.to_string()))?,
            }
        }
        out.flush()
    }
}

const HEAD: [&str; 7] = ["page", "pages", "kind", "level", "entries", "fill", "birth"];

/// The lines are written as they come, so the columns have the widths that most numbers fit.
fn write_row(out: &mut impl Write, width: usize, cells: &[String; 7], table: &str) -> io::Result<()> {
    let [page, pages, kind, level, entries, fill, birth] = cells;
    let line =
        format!("{page:>10} {pages:>9}  {kind:<8} {level:>5} {entries:>7} {fill:>7} {birth:>11}  {table}");
    writeln!(out, "{}", output::cut(line.trim_end(), width))
}

fn write_record(out: &mut impl Write, width: usize, map: &PageMap, record: &PageRecord) -> io::Result<()> {
    let is_tree = matches!(record.kind, PageKind::Leaf | PageKind::Branch);
    let is_read = is_tree || matches!(record.kind, PageKind::FreeLog);
    let if_so = |yes: bool, text: String| if yes { text } else { String::new() };
    let all = record.pages.saturating_mul(map.page_size().into());
    let cells = [
        record.page.to_string(),
        grouped(record.pages),
        record.kind.name().to_owned(),
        if_so(is_tree, record.level.to_string()),
        if_so(is_read, grouped(record.entries.into())),
        if_so(is_read || record.kind == PageKind::Overflow, percent(ratio(record.used_bytes, all))),
        if_so(record.birth != 0 && record.kind != PageKind::Free, grouped(record.birth)),
    ];
    write_row(out, width, &cells, &owner(map, record.owner))
}

/// Names in parentheses are no tables: nothing in a table's name is changed but what a terminal would not
/// show.
fn owner(map: &PageMap, owner: PageOwner) -> String {
    match owner {
        PageOwner::Catalog => "(catalog)".to_owned(),
        PageOwner::System => "(system)".to_owned(),
        PageOwner::Table(number) => {
            map.tables().get(number as usize).map_or("(one of many)".to_owned(), |table| output::name(table))
        }
        _ => String::new(),
    }
}

fn json_of(map: &PageMap, record: &PageRecord) -> Value {
    let owner = match record.owner {
        PageOwner::Catalog => json!("catalog"),
        PageOwner::System => json!("system"),
        PageOwner::Table(_) => json!("table"),
        _ => Value::Null,
    };
    let table = match record.owner {
        PageOwner::Table(number) => map.tables().get(number as usize),
        _ => None,
    };
    json!({
        "page": record.page,
        "pages": record.pages,
        "kind": record.kind.name(),
        "level": record.level,
        "entries": record.entries,
        "used_bytes": record.used_bytes,
        "birth": record.birth,
        "owner": owner,
        "table": table,
    })
}

fn json_of_fault(fault: &Fault) -> Value {
    json!({ "fault": fault.what, "page": fault.page, "table": fault.table })
}
