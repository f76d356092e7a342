//! Opening: which root is the newest whole one, and what must be done before it is shown.
//!
//! 1. Read both meta pages. A file that has neither is not ours, or not whole.
//! 2. After a clean close the newer one is the state, and nothing needs to be looked at. The older one names
//!    the same root: the next meta page is written over the newer one, of which it is not sure that it is on
//!    the disk.
//! 3. Else take the newest meta page whose commit record verifies. The record's pages are read with `pread`:
//!    an error of the disk is an error and no reason to fall back.
//! 4. Write what was adopted again, byte for byte, with the end of the file, and sync, before anything is
//!    shown: after a failed sync the system's memory may hold what the disk does not, and call it clean.
//! 5. A meta page that is torn, or names what is not there, is replaced: by one with a higher ceiling.
//! 6. A head record that builds on that meta page is adopted if every page younger than the durable root
//!    verifies; then it is made durable.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};

use super::group::Group;
use super::head::Head;
use super::shared::Shared;
use super::snapshot::Base;
use super::sync::{Heads, Leader};
use super::walk::{Walk, read, write_end_again};
use super::writer::Writer;
use super::{Config, Pager, map};
use crate::error::{Error, Result};
use crate::page::{
    self, CommitRecord, Extent, FreeLogPage, HEAD_AT, HEAD_LEN, HeadRecord, LogLink, META_AT, META_LEN, Meta,
    PageId, Root, Seed, TxnId, record_sum, run_sum,
};
use crate::storage::{Access, Lock, Others, Storage, coarse_ms};

/// What opening found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Recovered {
    /// The transaction that is shown.
    pub(crate) txn: u64,
    /// The database was closed in good order.
    pub(crate) clean: bool,
    /// The newest meta page did not verify, and the one before it was taken.
    pub(crate) fell_back: bool,
    /// Pages that were read to verify commits.
    pub(crate) pages_verified: u64,
    /// A buffered commit behind the durable one was found whole.
    pub(crate) head_adopted: bool,
    /// One of the meta pages is torn, or names what is not there.
    pub(crate) bad_meta: bool,
    /// Other processes had it open: nothing was to be recovered.
    pub(crate) joined: bool,
}

/// The first transaction's number, and the first page behind the header pages.
const FIRST_TXN: TxnId = TxnId(1);

/// Writes an empty database into a new file: at most 256 KiB.
pub(crate) fn format(storage: &Storage, page_size: usize) -> Result<()> {
    let (database_id, lineage_id) = (random_id()?, random_id()?);
    let seed = Seed::of(&database_id);
    let [_, _, head_page] = page::header_pages(page_size);
    // The log has the page behind the head record; what lies between the header pages is free.
    let log_page = head_page + 1;
    let between =
        page::header_pages(page_size).windows(2).map(|pair| (pair[0] + 1, pair[1])).collect::<Vec<_>>();
    let free = between.iter().filter(|(from, to)| to > from).map(|(from, to)| Extent::free(*from, to - from));
    let log = FreeLogPage { older: LogLink::default(), records: free.collect() };
    let mut log_bytes = vec![0; page_size];
    log.encode(&mut log_bytes, PageId(log_page), FIRST_TXN, seed);

    let free = page::FreeRoot { page: PageId(log_page), birth: FIRST_TXN, pages: 1 };
    let root = Root { txn: FIRST_TXN, page_count: log_page + 1, free, ..Root::default() };
    let meta = Meta {
        page_size: u32::try_from(page_size).expect("a page size"),
        database_id,
        lineage_id,
        read_only_compatible: 0,
        compatible: 0,
        sequence: 1,
        ceiling: FIRST_TXN.0 + 1,
        boot_id: boot_id()?,
        root,
        clean: true,
        record: CommitRecord::default(),
    };
    storage.extend_zeroed(0, (root.page_count * page_size as u64).next_multiple_of(256 << 10))?;
    storage.write_at(&[&log_bytes], log_page * page_size as u64)?;
    storage.write_at(&[&Meta { sequence: 0, ..meta.clone() }.encode()], META_AT[1])?;
    storage.write_at(&[&meta.encode()], META_AT[0])
}

/// Opens a file that is a database. `lock` is held for as long as it is open, where processes do not meet.
pub(crate) fn open(storage: Storage, lock: Option<Lock>, config: Config) -> Result<Arc<Pager>> {
    check_is_ours(&storage)?;
    let meeting = storage.meet()?;
    let pager = open_behind_door(storage, lock, Shared::new(meeting), config)?;
    pager.base.shared.meeting().close_door();
    Ok(pager)
}

/// Nobody else comes or goes meanwhile.
fn open_behind_door(
    storage: Storage,
    lock: Option<Lock>,
    shared: Shared,
    config: Config,
) -> Result<Arc<Pager>> {
    let writable = storage.access() == Access::ReadWrite;
    let others = shared.meeting().others()?;
    // After a failure the file alone says what is true, as soon as nobody is left who can write.
    let is_over = others == Others::Readers && shared.has_ended();
    let is_joining = others != Others::Nobody && (!writable || shared.is_recovered() && !is_over);
    let Found { adopted, head, recovered, written_again } =
        if is_joining { join(&storage, &shared)? } else { recover(&storage, writable)? };
    let meta = adopted.meta;
    let (page_size, root) = (meta.page_size as usize, meta.root);
    // After a clean close both meta pages name the root. The newer one may stand in the system's memory
    // alone, if its sync failed or never ended: it is the one to be written over.
    let slot = if recovered.clean { 1 - adopted.slot } else { adopted.slot };
    if !is_joining {
        shared.begin(&meta.database_id, &head.unwrap_or(root), &root);
        shared.set_base_sums([Meta::sum_of(&adopted.bytes), 0]);
        shared.set_meta(meta.sequence, slot);
        shared.set_ceiling(meta.ceiling);
        shared.set_next_id(meta.ceiling);
        let may_write = !writable || shared.resume()?;
        shared.show();
        if !may_write {
            return Err(Error::Locked { path: storage.path().to_owned() });
        }
    }
    let base = base_of(storage, lock, shared, &meta);
    let file_pages = base.storage.len()? / page_size as u64;
    // What is behind an adopted head is not known page by page: it is synced before a meta page names it.
    let head = head.map_or_else(|| Head::durable(root), |root| Head { root, written: None });
    let (unknown, is_ahead) = (meta.read_only_compatible, head.root != root);
    let pager = Arc::new(Pager {
        view: RwLock::new(Arc::new(map(&base, &config)?)),
        base,
        config,
        boot_id: OnceLock::new(),
        recovered,
        ended: OnceLock::new(),
        len_checked_ms: AtomicU64::new(coarse_ms()),
        writer: Pager::writer_mutex(Writer::new(file_pages)),
        group: Group::default(),
        leader: Mutex::new(Leader { slot, meta }),
        heads: Mutex::new(Heads { head: Arc::new(head) }),
    });
    if !writable {
        return Ok(pager);
    }
    if unknown != 0 {
        let what = "read-only-compatible feature";
        pager.refuse_writing(&Error::Unsupported { what, found: unknown });
    } else if let Err(error) = written_again {
        // What is there can be read; nothing is added to it.
        pager.end_writing(&error);
    } else if is_joining {
        return Ok(pager);
    } else if is_ahead {
        // As above: if it fails, writing has ended.
        let _ = pager.sync_all();
    } else if recovered.bad_meta {
        pager.rewrite_spare();
    }
    pager.base.shared.set_recovered();
    Ok(pager)
}

fn base_of(storage: Storage, lock: Option<Lock>, shared: Shared, meta: &Meta) -> Arc<Base> {
    Arc::new(Base {
        shared,
        page_size: meta.page_size as usize,
        seed: Seed::of(&meta.database_id),
        database_id: meta.database_id,
        read_only_compatible: meta.read_only_compatible,
        compatible: meta.compatible,
        storage,
        _lock: lock,
    })
}

/// What those say who have the file open: their state is taken as it is, whatever the file alone would say.
fn join(storage: &Storage, shared: &Shared) -> Result<Found> {
    shared.check_version()?;
    let (slot, bytes) = loop {
        let durable = shared.meta();
        let mut bytes = vec![0; META_LEN];
        storage.read_exact_at(&mut bytes, META_AT[durable.1])?;
        // Leaders go on meanwhile: the second one from here writes over this page.
        if shared.meta() == durable {
            break (durable.1, bytes);
        }
    };
    let meta = Meta::decode(&bytes, page::page_at(META_AT[slot], 4096))?;
    shared.check_database(&meta.database_id)?;
    let head = shared.check_roots(|| storage.len(), u64::from(meta.page_size))?;
    let recovered = Recovered { txn: shared.visible().txn.0, joined: true, ..Recovered::default() };
    Ok(Found { adopted: Slot { slot, bytes, meta }, head: Some(head), recovered, written_again: Ok(()) })
}

/// What opening has found in the file, and done to it.
struct Found {
    adopted: Slot,
    /// The root of a buffered commit behind the adopted meta page.
    head: Option<Root>,
    recovered: Recovered,
    /// Whether what is adopted could be written again, if it had to be.
    written_again: Result<()>,
}

/// Steps 1 to 4, and what 5 and 6 need to know.
fn recover(storage: &Storage, writable: bool) -> Result<Found> {
    let slots = read_metas(storage)?;
    let clean = is_clean(&slots);
    let mut recovered = Recovered { clean, ..Recovered::default() };
    let whole = slots.len();
    let adopted = adopt(storage, slots, &mut recovered)?;
    recovered.bad_meta = whole < META_AT.len() || recovered.fell_back;
    recovered.clean &= !recovered.bad_meta;
    check_len(storage, &adopted.meta)?;
    let mut written_again = if !clean && writable { write_again(storage, &adopted) } else { Ok(()) };
    let mut head = None;
    // After a failure nothing more is written.
    let may_write = writable && written_again.is_ok();
    if !clean && let Some(newer) = newer_head(storage, &adopted, may_write, &mut recovered)? {
        head = Some(newer.root);
        written_again = written_again.and(newer.written_again);
    }
    recovered.txn = head.unwrap_or(adopted.meta.root).txn.0;
    Ok(Found { adopted, head, recovered, written_again })
}

/// Whether the newest meta page is of a clean close, and the one before it names the same root, as a close
/// leaves it. Else what is adopted must be made durable like any other.
pub(super) fn is_clean(slots: &[Slot]) -> bool {
    matches!(slots, [newest, other] if newest.meta.clean && newest.meta.root == other.meta.root)
}

/// A meta page that decodes.
pub(super) struct Slot {
    pub(super) slot: usize,
    pub(super) bytes: Vec<u8>,
    pub(super) meta: Meta,
}

/// A file that is no database is refused before anything is made beside it.
pub(super) fn check_is_ours(storage: &Storage) -> Result<()> {
    let not_ours =
        |reason: &str| Error::NotADatabase { path: storage.path().to_owned(), reason: reason.to_owned() };
    let len = storage.len()?;
    if len == 0 {
        return Err(not_ours("it is empty"));
    }
    for at in META_AT.into_iter().filter(|at| at + META_LEN as u64 <= len) {
        let mut magic = [0; 8];
        storage.read_exact_at(&mut magic, at)?;
        if Meta::has_magic(&magic) {
            return Ok(());
        }
    }
    Err(not_ours("it does not begin as one"))
}

/// The meta pages that decode, the newest first.
pub(super) fn read_metas(storage: &Storage) -> Result<Vec<Slot>> {
    let len = storage.len()?;
    let mut found = Vec::new();
    let mut faults = Vec::new();
    for (slot, at) in META_AT.into_iter().enumerate() {
        if at + META_LEN as u64 > len {
            continue;
        }
        let mut bytes = vec![0; META_LEN];
        storage.read_exact_at(&mut bytes, at)?;
        // The page size is not known before a meta page is: the number is right for the smallest.
        match Meta::decode(&bytes, page::page_at(at, 4096)) {
            Ok(meta) => found.push(Slot { slot, bytes, meta }),
            Err(error) => faults.push(error),
        }
    }
    // A meta page that is whole and of a newer version: whoever wrote it knows more than we do.
    let newer = faults.iter().position(|fault| matches!(fault, Error::Unsupported { .. }));
    match (newer, found.is_empty()) {
        (Some(i), _) => return Err(faults.swap_remove(i)),
        (None, true) => {
            let expected = META_AT[1] + META_LEN as u64;
            let cut = Error::Truncated { path: storage.path().to_owned(), expected, found: len };
            return Err(if len < expected { cut } else { faults.swap_remove(0) });
        }
        (None, false) => {}
    }
    found.sort_by_key(|slot| std::cmp::Reverse(slot.meta.sequence));
    if let [a, b] = &found[..]
        && (a.meta.database_id, a.meta.lineage_id, a.meta.page_size)
            != (b.meta.database_id, b.meta.lineage_id, b.meta.page_size)
    {
        return Err(Error::corrupted(0, "database id", "the same in both meta pages", "two"));
    }
    Ok(found)
}

/// The newest meta page whose record verifies.
fn adopt(storage: &Storage, slots: Vec<Slot>, recovered: &mut Recovered) -> Result<Slot> {
    let mut fault = None;
    for slot in slots {
        let error = match verify_record(storage, &slot.meta, recovered)? {
            None => return Ok(slot),
            Some(error) => error,
        };
        recovered.fell_back = true;
        fault.get_or_insert(error);
    }
    Err(fault.unwrap_or_else(|| Error::corrupted(0, "meta pages", "one that verifies", "none")))
}

/// What is wrong with the pages that the meta page's record covers.
pub(super) fn verify_record(
    storage: &Storage,
    meta: &Meta,
    recovered: &mut Recovered,
) -> Result<Option<Error>> {
    let page_size = meta.page_size as usize;
    let seed = Seed::of(&meta.database_id);
    let len = storage.len()?;
    if let Err(error) = check_len(storage, meta) {
        // The file's new length did not reach the disk either.
        return Ok(Some(error));
    }
    for run in &meta.record.runs {
        let pages = u64::from(run.len);
        if (run.start + pages).saturating_mul(page_size as u64) > len {
            return Ok(Some(Error::corrupted(
                run.start,
                "run of the commit record",
                "inside the file",
                "behind it",
            )));
        }
        let bytes = read(storage, run.start, pages, page_size)?;
        recovered.pages_verified += pages;
        let sum = run_sum(bytes.chunks_exact(page_size).map(|page| record_sum(seed, page)));
        if sum != run.sum {
            return Ok(Some(Error::corrupted(run.start, "checksum of a committed run", run.sum, sum)));
        }
    }
    Ok(None)
}

pub(super) fn check_len(storage: &Storage, meta: &Meta) -> Result<()> {
    let expected = meta.root.page_count.saturating_mul(u64::from(meta.page_size));
    let found = storage.len()?;
    if found < expected {
        return Err(Error::Truncated { path: storage.path().to_owned(), expected, found });
    }
    Ok(())
}

/// After a failed sync the system's memory may hold what the disk does not, and call it clean: only writing
/// makes it durable.
fn write_again(storage: &Storage, adopted: &Slot) -> Result<()> {
    let page_size = adopted.meta.page_size as usize;
    for run in &adopted.meta.record.runs {
        let bytes = read(storage, run.start, u64::from(run.len), page_size)?;
        storage.write_at(&[&bytes], run.start * page_size as u64)?;
    }
    write_end_again(storage, &adopted.meta.root, page_size)?;
    storage.write_at(&[&adopted.bytes], META_AT[adopted.slot])?;
    let mapping = storage.map(0, crate::storage::Advice::Normal)?;
    let len = storage.len()?;
    storage.sync(&mapping, len)
}

/// A buffered commit that was found whole.
pub(super) struct NewerHead {
    pub(super) root: Root,
    /// Whether what was read could be written again: see [`write_again`]. A sync makes it durable.
    written_again: Result<()>,
}

/// The root of a buffered commit that builds on the adopted meta page, if everything younger verifies.
pub(super) fn newer_head(
    storage: &Storage,
    adopted: &Slot,
    writable: bool,
    recovered: &mut Recovered,
) -> Result<Option<NewerHead>> {
    let mut bytes = vec![0; HEAD_LEN];
    if storage.len()? < HEAD_AT + HEAD_LEN as u64 {
        return Ok(None);
    }
    storage.read_exact_at(&mut bytes, HEAD_AT)?;
    let Some(record) = HeadRecord::decode(&bytes) else { return Ok(None) };
    let root = record.root;
    let page_size = adopted.meta.page_size as usize;
    let builds_on = record.base_sums.contains(&Meta::sum_of(&adopted.bytes));
    let fits = root.fault(page_size, adopted.meta.ceiling).is_none()
        && root.page_count.saturating_mul(page_size as u64) <= storage.len()?;
    // Equal boots prove nothing, but different ones rule the record out: it was never synced.
    if !builds_on || record.boot_id != boot_id()? || root.txn <= adopted.meta.root.txn || !fits {
        return Ok(None);
    }
    let seed = Seed::of(&adopted.meta.database_id);
    let durable = adopted.meta.root.txn;
    let mut walk = Walk::new(storage, page_size, seed, durable, root, writable);
    let verified = walk.everything();
    recovered.pages_verified += walk.pages;
    match verified {
        Ok(()) => {
            recovered.head_adopted = true;
            let mut written_again = walk.written_again;
            if writable && written_again.is_ok() {
                written_again = write_end_again(storage, &root, page_size);
            }
            Ok(Some(NewerHead { root, written_again }))
        }
        Err(Error::Corrupted { .. } | Error::Unsupported { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The system's boot, so that what was never synced is not believed after another. Where a system does not
/// tell, all boots are alike.
///
/// An error is not taken for that: with another boot's name, buffered commits would be given up.
pub(super) fn boot_id() -> Result<[u8; 16]> {
    let path = std::path::Path::new("/proc/sys/kernel/random/boot_id");
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Error::io("open", path, error)),
    };
    let mut digits = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d.to_le_bytes()[0]);
    Ok(std::array::from_fn(|_| {
        let (high, low) = (digits.next().unwrap_or(0), digits.next().unwrap_or(0));
        high << 4 | low
    }))
}

/// Sixteen random bytes from the system.
pub(super) fn random_id() -> Result<[u8; 16]> {
    let path = std::path::Path::new("/dev/urandom");
    let mut id = [0; 16];
    let mut source = std::fs::File::open(path).map_err(|error| Error::io("open", path, error))?;
    std::io::Read::read_exact(&mut source, &mut id).map_err(|error| Error::io("read", path, error))?;
    Ok(id)
}
