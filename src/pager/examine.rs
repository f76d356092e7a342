//! Whether and how a file would open if nobody had it open: what recovery would find, and nothing that it
//! would do.

use std::path::Path;

use super::recovery::{
    Recovered, Slot, boot_id, check_is_ours, check_len, is_clean, newer_head, read_metas, verify_record,
};
use crate::error::{Error, Result};
use crate::page::{HEAD_AT, HEAD_LEN, HeadRecord, META_AT, META_LEN, Meta, page_at};
use crate::storage::{Access, Storage};

/// What opening a file by itself would find.
#[derive(Debug)]
#[non_exhaustive]
pub struct Examination {
    /// Each of the two meta pages.
    pub metas: [MetaState; 2],
    /// Whether the file was closed in good order.
    pub is_clean: bool,
    /// The head record.
    pub head: HeadState,
    /// The transaction that would be shown.
    pub txn: Option<u64>,
    /// Pages that were read to verify the last commits.
    pub pages_verified: u64,
    /// Why it would not open.
    pub error: Option<Error>,
}

/// What a meta page is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetaState {
    /// It names the state of the database.
    Current,
    /// It passes; the other one is newer and holds.
    Older,
    /// It cannot be used: why.
    Unusable(String),
    /// It passes, but the state that it names is not whole: why.
    NotWhole(String),
}

/// What a head record is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadState {
    /// There is none.
    Absent,
    /// There is one, and it means nothing: why.
    Ignored(String),
    /// Its state is newer than that of the current meta page, and whole.
    Adopted,
}

/// Examines the file as it is. While somebody has it open, they alone know what is true.
pub(crate) fn examine(path: &Path) -> Examination {
    let unknown = || MetaState::Unusable("not looked at".to_owned());
    let mut found = Examination {
        metas: [unknown(), unknown()],
        is_clean: false,
        head: HeadState::Absent,
        txn: None,
        pages_verified: 0,
        error: None,
    };
    found.error = found.look(path).err();
    found
}

impl Examination {
    /// In the order of opening.
    fn look(&mut self, path: &Path) -> Result<()> {
        let storage = Storage::open(path, Access::ReadOnly)?;
        for (state, at) in self.metas.iter_mut().zip(META_AT) {
            let fault = decode(&storage, at)?;
            *state = fault.map_or(MetaState::Older, MetaState::Unusable);
        }
        check_is_ours(&storage)?;
        let slots = read_metas(&storage)?;
        self.is_clean = is_clean(&slots);
        let mut recovered = Recovered::default();
        let adopted = self.adopt(&storage, slots, &mut recovered);
        self.pages_verified = recovered.pages_verified;
        let adopted = adopted?;
        check_len(&storage, &adopted.meta)?;
        self.txn = Some(adopted.meta.root.txn.0);
        self.look_at_head(&storage, &adopted, &mut recovered)?;
        self.pages_verified = recovered.pages_verified;
        Ok(())
    }

    fn adopt(&mut self, storage: &Storage, slots: Vec<Slot>, recovered: &mut Recovered) -> Result<Slot> {
        let mut fault = None;
        for slot in slots {
            match verify_record(storage, &slot.meta, recovered)? {
                None => {
                    self.metas[slot.slot] = MetaState::Current;
                    return Ok(slot);
                }
                Some(error) => {
                    self.metas[slot.slot] = MetaState::NotWhole(error.to_string());
                    fault.get_or_insert(error);
                }
            }
        }
        Err(fault.unwrap_or_else(|| Error::corrupted(0, "meta pages", "one that verifies", "none")))
    }

    fn look_at_head(&mut self, storage: &Storage, adopted: &Slot, recovered: &mut Recovered) -> Result<()> {
        let ignored = |why: &str| HeadState::Ignored(why.to_owned());
        let mut bytes = vec![0; HEAD_LEN];
        if storage.len()? < HEAD_AT + HEAD_LEN as u64 {
            return Ok(());
        }
        storage.read_exact_at(&mut bytes, HEAD_AT)?;
        let Some(record) = HeadRecord::decode(&bytes) else { return Ok(()) };
        let (root, meta) = (record.root, &adopted.meta);
        let end = root.page_count.saturating_mul(u64::from(meta.page_size));
        self.head = if self.is_clean {
            ignored("the database was closed in good order")
        } else if !record.base_sums.contains(&Meta::sum_of(&adopted.bytes)) {
            ignored("it does not build on the current meta page")
        } else if record.boot_id != boot_id()? {
            ignored("the system was started again since")
        } else if root.txn <= meta.root.txn {
            ignored("it is not newer than the current meta page")
        } else if end > storage.len()? {
            ignored("the file is shorter than its pages")
        } else if let Some(newer) = newer_head(storage, adopted, false, recovered)? {
            self.txn = Some(newer.root.txn.0);
            HeadState::Adopted
        } else {
            ignored("pages of its state are not whole")
        };
        Ok(())
    }
}

/// What is wrong with the meta page at byte `at`.
fn decode(storage: &Storage, at: u64) -> Result<Option<String>> {
    let mut bytes = vec![0; META_LEN];
    if storage.len()? < at + META_LEN as u64 {
        return Ok(Some("the file ends before it".to_owned()));
    }
    storage.read_exact_at(&mut bytes, at)?;
    Ok(Meta::decode(&bytes, page_at(at, META_LEN)).err().map(|error| error.to_string()))
}
