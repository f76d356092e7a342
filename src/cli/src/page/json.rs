//! A page for machines.

use folio::inspect::{
    BranchCell, DecodedPage, Field, FieldValue, LeafCell, LeafContent, LogRecord, PageBody, PageFault,
    RecordFields, SlotFields,
};
use serde_json::{Map, Value, json};

use super::{Content, Shown};
use crate::output::hex;

impl Shown<'_> {
    pub(super) fn json(&self) -> Value {
        let mut all = Map::new();
        all.insert("page".to_owned(), self.page.into());
        all.insert("at".to_owned(), self.page.saturating_mul(self.layout.page_size.into()).into());
        match &self.content {
            Content::Meta(meta) => {
                all.insert("kind".to_owned(), "meta".into());
                all.insert("fields".to_owned(), fields(&meta.fields));
                all.insert("checksum_right".to_owned(), (meta.checksum == meta.computed).into());
                all.insert("commit_record".to_owned(), meta.record.iter().map(record_run).collect());
                all.insert("faults".to_owned(), faults(&meta.faults));
            }
            Content::Head(head) => {
                all.insert("kind".to_owned(), "head".into());
                all.insert("is_there".to_owned(), head.is_whole().into());
                all.insert("fields".to_owned(), fields(&head.fields));
                all.insert("checksum_right".to_owned(), (head.checksum == head.computed).into());
            }
            Content::Other(page) => self.page_json(&mut all, page),
        }
        if self.hex {
            all.insert("bytes_hex".to_owned(), hex(self.bytes).into());
        }
        Value::Object(all)
    }

    fn page_json(&self, all: &mut Map<String, Value>, page: &DecodedPage<'_>) {
        let kind = match &page.body {
            PageBody::Leaf { .. } => "leaf",
            PageBody::Branch { .. } => "branch",
            PageBody::FreeLog { .. } => "freelog",
            _ => "bare",
        };
        all.insert("kind".to_owned(), kind.into());
        all.insert("fields".to_owned(), fields(&page.fields(self.bytes)));
        let is_right = page.header.and_then(|header| header.is_checksum_right());
        all.insert("checksum_right".to_owned(), is_right.into());
        match &page.body {
            PageBody::Leaf { prefix, cells, .. } => {
                let cells = cells.iter().map(|cell| self.leaf_cell(prefix, cell)).collect();
                self.add_bytes(all, "prefix", prefix);
                all.insert("cells".to_owned(), cells);
            }
            PageBody::Branch { prefix, cells, .. } => {
                let cells =
                    cells.iter().enumerate().map(|(i, cell)| self.branch_cell(i, prefix, cell)).collect();
                self.add_bytes(all, "prefix", prefix);
                all.insert("cells".to_owned(), cells);
            }
            PageBody::FreeLog { records, .. } => {
                all.insert("records".to_owned(), records.iter().map(record).collect());
            }
            _ => {}
        }
        all.insert("faults".to_owned(), faults(&page.faults));
    }

    /// Bytes of a key or a value, and how many.
    fn add_bytes(&self, object: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
        object.insert(format!("{name}_len"), bytes.len().into());
        if !self.redact {
            object.insert(format!("{name}_hex"), hex(bytes).into());
        }
    }

    fn slot(&self, slot: &SlotFields) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert("slot".to_owned(), slot.at.into());
        object.insert("at".to_owned(), slot.offset.into());
        // The head is the beginning of the key.
        if !self.redact {
            object.insert("head".to_owned(), slot.head.into());
        }
        object
    }

    fn leaf_cell(&self, prefix: &[u8], cell: &LeafCell<'_>) -> Value {
        let mut object = self.slot(&cell.slot);
        if cell.content != LeafContent::Outside {
            self.add_bytes(&mut object, "key", &[prefix, cell.suffix].concat());
        }
        match &cell.content {
            LeafContent::Inline(value) => self.add_bytes(&mut object, "value", value),
            LeafContent::Overflow(run) => {
                object.insert("value_len".to_owned(), run.len.into());
                let run = json!({
                    "page": run.page,
                    "pages": self.layout.run_pages(run.len),
                    "flags": run.flags,
                    "birth": run.birth,
                    "checksum": run.checksum,
                });
                object.insert("run".to_owned(), run);
            }
            _ => {}
        }
        Value::Object(object)
    }

    fn branch_cell(&self, i: usize, prefix: &[u8], cell: &BranchCell<'_>) -> Value {
        let mut object = self.slot(&cell.slot);
        if i > 0 && cell.child.is_some() {
            self.add_bytes(&mut object, "separator", &[prefix, cell.suffix].concat());
        }
        let child = cell.child.map(|child| {
            json!({
                "page": child.page,
                "flags": child.flags,
                "birth": child.birth,
                "entries": child.count,
            })
        });
        object.insert("child".to_owned(), child.unwrap_or_default());
        Value::Object(object)
    }
}

fn record_run(run: &RecordFields) -> Value {
    json!({ "at": run.at, "page": run.start, "pages": run.pages, "sum": run.sum })
}

fn record(record: &LogRecord) -> Value {
    json!({
        "at": record.at,
        "page": record.start,
        "pages": record.pages,
        "birth": record.birth,
        "death": record.death,
        "free": record.is_free(),
        "used": record.is_used(),
    })
}

fn fields(fields: &[Field]) -> Value {
    let field = |field: &Field| {
        let value = match &field.value {
            FieldValue::Number(number) | FieldValue::Hex(number) => json!(number),
            FieldValue::Word { page, high, .. } => json!({ "page": page, "flags": high }),
            FieldValue::Bytes(bytes) => json!(hex(bytes)),
            _ => Value::Null,
        };
        json!({ "at": field.at, "len": field.len, "group": field.group, "name": field.name, "value": value })
    };
    fields.iter().map(field).collect()
}

fn faults(faults: &[PageFault]) -> Value {
    faults.iter().map(|fault| json!({ "at": fault.at, "what": fault.what })).collect()
}
