//! A page for people.

use std::io::{self, Write};

use folio::inspect::{
    BranchCell, DecodedPage, Field, FieldValue, HeadPage, LeafCell, LeafContent, LogRecord, MetaPage,
    PageBody, PageFault,
};

use super::{Content, Shown};
use crate::output;
use crate::output::{cut, escaped, grouped, plural};

impl Shown<'_> {
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let at = self.page.saturating_mul(self.layout.page_size.into());
        write!(out, "page {} at byte {}: ", self.page, grouped(at))?;
        match &self.content {
            Content::Meta(meta) => self.write_meta(out, meta)?,
            Content::Head(head) => self.write_head(out, head)?,
            Content::Other(page) => self.write_page(out, page)?,
        }
        if self.hex {
            writeln!(out)?;
            write_hex(out, self.bytes)?;
        }
        Ok(())
    }

    fn write_meta(&self, out: &mut impl Write, meta: &MetaPage) -> io::Result<()> {
        writeln!(out, "meta page")?;
        write_fields(out, &meta.fields, Some(meta.checksum == meta.computed))?;
        if !meta.record.is_empty() {
            writeln!(out, "\ncommit record\n offset        page  pages  sum")?;
        }
        for run in &meta.record {
            writeln!(out, "{:>7}  {:>10}  {:>5}  {:#010x}", run.at, run.start, run.pages, run.sum)?;
        }
        write_faults(out, &meta.faults)
    }

    fn write_head(&self, out: &mut impl Write, head: &HeadPage) -> io::Result<()> {
        let what = match (head.is_whole(), head.has_magic) {
            (true, _) => "head record",
            (false, true) => "head record, damaged, which is no harm",
            (false, false) => "place of the head record, which is not there",
        };
        writeln!(out, "{what}")?;
        if head.has_magic {
            write_fields(out, &head.fields, Some(head.checksum == head.computed))?;
        }
        Ok(())
    }

    fn write_page(&self, out: &mut impl Write, page: &DecodedPage<'_>) -> io::Result<()> {
        let Some(header) = page.header else {
            let what = match self.bytes.iter().all(|byte| *byte == 0) {
                true => "zeros",
                false => "no page header: part of a value, a free page, or anything",
            };
            writeln!(out, "{what}")?;
            return write_faults(out, &page.faults);
        };
        let count = u64::from(header.count);
        match &page.body {
            PageBody::Leaf { .. } => writeln!(out, "leaf, {}", plural(count, "entry", "entries"))?,
            PageBody::Branch { .. } => {
                writeln!(out, "branch of level {}, {}", header.level, plural(count, "child", "children"))?;
            }
            _ => writeln!(out, "free-space log, {}", plural(count, "record", "records"))?,
        }
        write_fields(out, &page.fields(self.bytes), header.is_checksum_right())?;
        match &page.body {
            PageBody::Leaf { prefix, cells, .. } => {
                self.write_prefix(out, prefix)?;
                writeln!(out, "\n cell   slot     at    key   value  key = value")?;
                cells
                    .iter()
                    .enumerate()
                    .try_for_each(|(i, cell)| self.write_leaf_cell(out, i, prefix, cell))?;
            }
            PageBody::Branch { prefix, cells, .. } => {
                self.write_prefix(out, prefix)?;
                writeln!(
                    out,
                    "\n cell   slot     at    key       child       birth       entries  separator"
                )?;
                cells
                    .iter()
                    .enumerate()
                    .try_for_each(|(i, cell)| self.write_branch_cell(out, i, prefix, cell))?;
            }
            PageBody::FreeLog { records, .. } => {
                writeln!(out, "\n offset        page  pages        birth        death  state")?;
                records.iter().try_for_each(|record| write_record(out, record))?;
            }
            _ => {}
        }
        write_faults(out, &page.faults)
    }

    fn write_prefix(&self, out: &mut impl Write, prefix: &[u8]) -> io::Result<()> {
        if prefix.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            "\nprefix of all keys: {}",
            cut(&self.bytes_text(prefix), output::width().saturating_sub(20))
        )
    }

    /// Bytes of a key or a value.
    fn bytes_text(&self, bytes: &[u8]) -> String {
        match self.redact {
            true => format!("({} hidden)", plural(bytes.len() as u64, "byte", "bytes")),
            false => escaped(bytes),
        }
    }

    fn write_leaf_cell(
        &self,
        out: &mut impl Write,
        i: usize,
        prefix: &[u8],
        cell: &LeafCell<'_>,
    ) -> io::Result<()> {
        let (len, value) = match &cell.content {
            LeafContent::Inline(value) => (value.len().to_string(), self.bytes_text(value)),
            LeafContent::Overflow(run) => {
                let pages = plural(self.layout.run_pages(run.len), "page", "pages");
                let text = format!(
                    "{pages} from {}, birth {}, checksum {:#010x}",
                    run.page, run.birth, run.checksum
                );
                (run.len.to_string(), text)
            }
            LeafContent::Unknown(kind) => ("?".to_owned(), format!("kind {kind}")),
            _ => ("?".to_owned(), "not inside the page".to_owned()),
        };
        let slot = &cell.slot;
        let key = self.bytes_text(&[prefix, cell.suffix].concat());
        let line = format!(
            "{i:>5} {:>6} {:>6} {:>6} {len:>7}  {key} = {value}",
            slot.at,
            slot.offset,
            prefix.len() + usize::from(slot.key_len),
        );
        writeln!(out, "{}", cut(&line, output::width()))
    }

    fn write_branch_cell(
        &self,
        out: &mut impl Write,
        i: usize,
        prefix: &[u8],
        cell: &BranchCell<'_>,
    ) -> io::Result<()> {
        let (child, birth, count) = match &cell.child {
            Some(child) => (child.page.to_string(), child.birth.to_string(), grouped(child.count)),
            None => ("?".to_owned(), "?".to_owned(), "?".to_owned()),
        };
        let slot = &cell.slot;
        // The first cell has no separator.
        let (len, separator) = match i {
            0 => (0, String::new()),
            _ => {
                let key = [prefix, cell.suffix].concat();
                (prefix.len() + usize::from(slot.key_len), self.bytes_text(&key))
            }
        };
        let line = format!(
            "{i:>5} {:>6} {:>6} {len:>6} {child:>11} {birth:>11} {count:>13}  {separator}",
            slot.at, slot.offset
        );
        writeln!(out, "{}", cut(line.trim_end(), output::width()))
    }
}

fn write_record(out: &mut impl Write, record: &LogRecord) -> io::Result<()> {
    let state = match record {
        _ if record.is_free() => "free",
        _ if record.is_used() => "in use again",
        _ => "needed from birth on, before death",
    };
    let death = if record.is_used() { "never".to_owned() } else { record.death.to_string() };
    let LogRecord { at, start, pages, birth, .. } = record;
    writeln!(out, "{at:>7}  {start:>10}  {pages:>5} {birth:>12} {death:>12}  {state}")
}

fn write_fields(out: &mut impl Write, fields: &[Field], is_right: Option<bool>) -> io::Result<()> {
    writeln!(out, "\n offset  size  field                value")?;
    for field in fields {
        let name = match field.group {
            "" => field.name.to_owned(),
            group => format!("{group} {}", field.name),
        };
        let mut value = text_of(&field.value);
        match is_right {
            _ if field.name != "checksum" => {}
            Some(true) => value.push_str(", right"),
            Some(false) => value.push_str(", wrong"),
            None => value.push_str(", not compared: no meta page says what it depends on"),
        }
        writeln!(out, "{:>7} {:>5}  {name:<20} {value}", field.at, field.len)?;
    }
    Ok(())
}

fn text_of(value: &FieldValue) -> String {
    match value {
        FieldValue::Number(number) => grouped(*number),
        FieldValue::Hex(number) => format!("{number:#x}"),
        FieldValue::Word { page, high: 0, .. } => grouped(*page),
        FieldValue::Word { page, high, .. } => format!("{}, flags {high:#x}", grouped(*page)),
        FieldValue::Bytes(bytes) => output::hex(bytes),
        _ => String::new(),
    }
}

fn write_faults(out: &mut impl Write, faults: &[PageFault]) -> io::Result<()> {
    if !faults.is_empty() {
        writeln!(out, "\n{}", plural(faults.len() as u64, "fault", "faults"))?;
    }
    faults.iter().try_for_each(|fault| writeln!(out, "{:>7}  {}", fault.at, output::name(&fault.what)))
}

/// Sixteen bytes a line, with what of them is text. Lines that repeat the one before are one star.
fn write_hex(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let mut last: Option<&[u8]> = None;
    let mut is_star = false;
    for (line, at) in bytes.chunks(16).zip((0..).step_by(16)) {
        if last == Some(line) {
            if !is_star {
                writeln!(out, "*")?;
            }
            is_star = true;
            continue;
        }
        (last, is_star) = (Some(line), false);
        let digits: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let text: String = line
            .iter()
            .map(|byte| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '.' })
            .collect();
        writeln!(out, "{at:>7}  {:<47}  {text}", digits.join(" "))?;
    }
    writeln!(out, "{:>7}", bytes.len())
}
