//! `folio info`: what a database file says of itself, and how it would open.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use folio::inspect::{Examination, HeadPage, HeadState, LockFile, MetaPage, MetaState, Presence, RawFile};
use serde_json::{Value, json};

use crate::failure::{Failure, chain, verdict};
use crate::file_system::{FileSystem, file_system};
use crate::output;
use crate::output::Align::Left;
use crate::output::{bytes, bytes_exactly, columns, grouped, hex, plural};

/// Show what a database file says of itself: meta pages, recovery, lock file, file system
///
/// Both meta pages are shown field by field, and which of them is current and why; the head record; whether
/// the database was closed in good order, or what recovery would find; who has it open; and the file system.
/// The file is only read: nothing is changed, and no lock file is made, so it may be in use, damaged, or no
/// database at all. Exit code 1 if it would not open; the last line says why.
///
/// While somebody has the database open, the lock file alone says what the newest commit is. The meta pages
/// are those of the last syncs then, and the one that is being written may look torn.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  folio info words.folio")]
pub(crate) struct Info {
    /// The database file
    db: PathBuf,
    /// Print one JSON object, sizes in bytes
    #[arg(long)]
    json: bool,
}

/// All that there is to tell.
struct Facts {
    path: PathBuf,
    bytes: u64,
    metas: [MetaPage; 2],
    head: HeadPage,
    found: Examination,
    lock: LockFile,
    file_system: Option<FileSystem>,
}

impl Info {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let facts = Facts::of(&self.db)?;
        let mut out = output::stdout();
        let written = match self.json {
            true => writeln!(out, "{}", output::json(&format!("{:#}", facts.json()))),
            false => facts.write(&mut out),
        };
        verdict(facts.refusal().is_none(), written.and_then(|()| out.flush()))
    }
}

impl Facts {
    fn of(path: &Path) -> Result<Facts, Failure> {
        let file = RawFile::open(path)?;
        let lock = LockFile::of(path)?;
        Ok(Facts {
            path: path.to_owned(),
            bytes: file.len()?,
            metas: file.metas()?,
            head: file.head()?,
            found: Examination::of(path),
            lock,
            file_system: file_system(path),
        })
    }

    /// Whether others have the database open, who alone know its state.
    fn is_in_use(&self) -> bool {
        let is_there = matches!(self.lock.presence, Presence::Readers | Presence::Writers);
        is_there && self.lock.words.as_ref().is_some_and(|words| words.has_magic)
    }

    /// Why it would not open.
    fn refusal(&self) -> Option<String> {
        let is_elsewhere = self.lock.presence == Presence::Elsewhere;
        match &self.found.error {
            // What is in use is being written.
            Some(_) if self.is_in_use() => None,
            Some(error) => Some(chain(error)),
            None if is_elsewhere => Some("those who have it open use another lock file".to_owned()),
            None => self.lock.fault.as_ref().map(|fault| format!("its lock file cannot be used: {fault}")),
        }
    }

    /// The place of the current meta page.
    fn current(&self) -> Option<usize> {
        if self.is_in_use() {
            return self.lock.words.as_ref().map(|words| usize::from(words.meta_slot));
        }
        self.found.metas.iter().position(|state| *state == MetaState::Current)
    }

    /// Which meta page is current, and why.
    fn why(&self) -> String {
        let Some(current) = self.current() else { return "none: neither can be used".to_owned() };
        let name = ["the first", "the second"][current];
        if self.is_in_use() {
            return format!("{name}: those who have the database open say so");
        }
        match &self.found.metas[1 - current] {
            MetaState::Unusable(_) => format!("{name}: the other one cannot be used"),
            MetaState::NotWhole(_) => format!("{name}: the other one is newer, but its state is not whole"),
            _ => format!("{name}: it is the newer one"),
        }
    }

    fn state_of(&self, slot: usize) -> String {
        match &self.found.metas[slot] {
            _ if self.is_in_use() && self.current() == Some(slot) => "current".to_owned(),
            MetaState::Current if self.is_in_use() => "being written, or older".to_owned(),
            MetaState::Current => "current".to_owned(),
            MetaState::Older => "older".to_owned(),
            MetaState::Unusable(_) => "cannot be used".to_owned(),
            _ => "not whole".to_owned(),
        }
    }

    /// What is wrong with a meta page, if anything is.
    fn fault_of(&self, slot: usize) -> Option<&str> {
        match &self.found.metas[slot] {
            MetaState::Unusable(why) | MetaState::NotWhole(why) => Some(why),
            _ => None,
        }
    }

    fn head_state(&self) -> String {
        if self.is_in_use() {
            return "of those who have the database open".to_owned();
        }
        match &self.found.head {
            HeadState::Absent if self.head.has_magic => "damaged, which is no harm".to_owned(),
            HeadState::Absent => "none".to_owned(),
            HeadState::Adopted => format!("counts: opening shows transaction {}", self.head.root.txn),
            HeadState::Ignored(why) => format!("transaction {}, ignored: {why}", self.head.root.txn),
            _ => "unknown".to_owned(),
        }
    }

    fn recovery(&self) -> String {
        let Some(txn) = self.found.txn.filter(|_| !self.is_in_use()) else {
            return if self.is_in_use() { "in use".to_owned() } else { "cannot be recovered".to_owned() };
        };
        let pages = plural(self.found.pages_verified, "page", "pages");
        match self.found.is_clean && self.found.metas.iter().all(is_whole) {
            true => format!("closed in good order, at transaction {}", grouped(txn)),
            false => {
                format!(
                    "not closed in good order: would recover to transaction {} ({pages} verified)",
                    grouped(txn)
                )
            }
        }
    }

    fn lock_state(&self) -> String {
        let lock = &self.lock;
        let there = match (lock.bytes, &lock.fault) {
            (_, Some(fault)) => format!("cannot be used: {fault}"),
            (Some(len), None) => bytes(len),
            (None, None) => "none".to_owned(),
        };
        let who = match lock.presence {
            Presence::Nobody => "nobody has the database open",
            Presence::Readers => "open for reading only",
            Presence::Writers => "open, by at least one that can write",
            Presence::Elsewhere => "open, by way of another lock file",
            _ => "this system does not tell who has it open",
        };
        format!("{there}; {who}")
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let row = |name: &str, text: String| vec![name.to_owned(), text];
        let mut rows = vec![
            row("file", output::name(&self.path.display().to_string())),
            row("size", self.size()),
            row("file system", self.file_system.as_ref().map_or("unknown".to_owned(), FileSystem::text)),
        ];
        if let Some(meta) = self.current().map(|slot| &self.metas[slot]) {
            let unknown = if meta.features == [0; 3] { "none".to_owned() } else { features(meta) };
            rows.push(row("format", format!("version {}, features: {unknown}", meta.version)));
            rows.push(row("database id", hex(&meta.database_id)));
            rows.push(row("lineage id", hex(&meta.lineage_id)));
        }
        rows.push(row("current", self.why()));
        rows.push(row("last end", self.recovery()));
        rows.push(row("head record", self.head_state()));
        rows.push(row("lock file", self.lock_state()));
        columns(out, &[Left, Left], &rows)?;
        writeln!(out)?;
        self.write_metas(out)?;
        for (slot, name) in ["first", "second"].into_iter().enumerate() {
            if let Some(fault) = self.fault_of(slot) {
                writeln!(out, "the {name} meta page: {}", output::name(fault))?;
            }
        }
        if let Some(words) = self.lock.words.as_ref().filter(|_| self.is_in_use()) {
            writeln!(out)?;
            let mut rows = vec![
                row("newest commit", grouped(words.head_txn)),
                row("readers get", grouped(words.visible_txn)),
                row("durable", grouped(words.durable_txn)),
                row("next transaction", grouped(words.next_txn)),
                row("pages", grouped(words.page_count)),
                row("processes that read", list(&words.processes)),
            ];
            if words.has_ended {
                rows.push(row("writing", "has ended, after a failed write or sync".to_owned()));
            }
            columns(out, &[Left, Left], &rows)?;
        }
        if let Some(refusal) = self.refusal() {
            writeln!(out, "\ndoes not open: {}", output::name(&refusal))?;
        }
        Ok(())
    }

    fn size(&self) -> String {
        let Some(meta) = self.current().map(|slot| &self.metas[slot]) else {
            return bytes_exactly(self.bytes);
        };
        let size = u64::from(meta.page_size);
        let (pages, behind) =
            (meta.root.page_count, self.bytes.checked_sub(meta.root.page_count.saturating_mul(size)));
        let rest = match behind {
            Some(0) => String::new(),
            Some(more) => format!(", {} behind them", bytes(more)),
            None => ", of which some are missing".to_owned(),
        };
        format!("{}: {} of {}{rest}", bytes_exactly(self.bytes), plural(pages, "page", "pages"), bytes(size))
    }

    fn write_metas(&self, out: &mut impl Write) -> io::Result<()> {
        let cells = |name: &str, of: &dyn Fn(usize, &MetaPage) -> String| {
            vec![name.to_owned(), of(0, &self.metas[0]), of(1, &self.metas[1])]
        };
        let yes_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
        let tree = |page: u64, count: u64, level: u8| match page {
            0 => "empty".to_owned(),
            page => format!("page {}, level {level}, {}", grouped(page), plural(count, "entry", "entries")),
        };
        let rows = [
            cells("meta page", &|slot, _| ["first", "second"][slot].to_owned()),
            cells("at byte", &|slot, _| grouped([0, 65_536][slot])),
            cells("state", &|slot, _| self.state_of(slot)),
            cells("sequence", &|_, meta| grouped(meta.sequence)),
            cells("transaction", &|_, meta| grouped(meta.root.txn)),
            cells("clean", &|_, meta| yes_no(meta.is_clean)),
            cells("page size", &|_, meta| bytes(meta.page_size.into())),
            cells("page count", &|_, meta| grouped(meta.root.page_count)),
            cells("ceiling", &|_, meta| grouped(meta.ceiling)),
            cells("catalog", &|_, meta| {
                let root = meta.root.catalog;
                tree(root.page, root.count, root.level)
            }),
            cells("free-space log", &|_, meta| match meta.root.free_pages {
                0 => "empty".to_owned(),
                more => format!("page {}, {}", grouped(meta.root.free_page), plural(more, "page", "pages")),
            }),
            cells("commit record", &|_, meta| record(meta)),
            // As much of it as tells one from another; all of it is in JSON.
            cells("boot id", &|_, meta| format!("{}..", hex(&meta.boot_id[..8]))),
            cells("checksum", &|_, meta| match meta.is_whole() {
                true => format!("{:#010x}", meta.checksum),
                false => format!("{:#010x}, wrong", meta.checksum),
            }),
        ];
        if self.metas.iter().any(|meta| meta.has_magic) {
            columns(out, &[Left, Left, Left], &rows)?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let states = ["current", "older", "unusable", "not whole"];
        let meta = |slot: usize| {
            let meta = &self.metas[slot];
            let state = match &self.found.metas[slot] {
                _ if self.current() == Some(slot) => 0,
                MetaState::Current | MetaState::Older => 1,
                MetaState::Unusable(_) => 2,
                _ => 3,
            };
            let root = meta.root;
            json!({
                "at": ([0, 65_536][slot]),
                "state": states[state],
                "fault": self.fault_of(slot),
                "has_magic": meta.has_magic,
                "checksum": meta.checksum,
                "checksum_right": meta.is_whole(),
                "version": meta.version,
                "page_size": meta.page_size,
                "features": {
                    "incompatible": meta.features[0],
                    "read_only": meta.features[1],
                    "compatible": meta.features[2],
                },
                "database_id": hex(&meta.database_id),
                "lineage_id": hex(&meta.lineage_id),
                "sequence": meta.sequence,
                "ceiling": meta.ceiling,
                "boot_id": hex(&meta.boot_id),
                "clean": meta.is_clean,
                "txn": root.txn,
                "page_count": root.page_count,
                "catalog": { "page": root.catalog.page, "birth": root.catalog.birth,
                    "entries": root.catalog.count, "level": root.catalog.level },
                "free_space_log": { "page": root.free_page, "birth": root.free_birth,
                    "pages": root.free_pages },
                "commit_record": meta.record.iter().map(|run| json!({
                    "page": run.start, "pages": run.pages, "sum": run.sum,
                })).collect::<Vec<_>>(),
            })
        };
        let head = self.head.is_whole().then(|| {
            json!({
                "txn": self.head.root.txn,
                "page_count": self.head.root.page_count,
                "bases": self.head.bases,
                "boot_id": hex(&self.head.boot_id),
                "adopted": self.found.head == HeadState::Adopted,
            })
        });
        json!({
            "path": self.path.to_string_lossy(),
            "file_bytes": self.bytes,
            "file_system": self.file_system.as_ref().map(FileSystem::json),
            "opens": self.refusal().is_none(),
            "refusal": self.refusal(),
            "current": self.current(),
            "clean": self.found.is_clean,
            "in_use": self.is_in_use(),
            "txn": self.found.txn.filter(|_| !self.is_in_use()),
            "pages_verified": self.found.pages_verified,
            "metas": [meta(0), meta(1)],
            "head": head,
            "lock_file": self.lock_json(),
        })
    }

    fn lock_json(&self) -> Value {
        let presence = match self.lock.presence {
            Presence::Nobody => "nobody",
            Presence::Readers => "readers",
            Presence::Writers => "writers",
            Presence::Elsewhere => "elsewhere",
            _ => "unknown",
        };
        let words = self.lock.words.as_ref().filter(|_| self.is_in_use()).map(|words| {
            json!({
                "version": words.version,
                "head_txn": words.head_txn,
                "visible_txn": words.visible_txn,
                "durable_txn": words.durable_txn,
                "next_txn": words.next_txn,
                "page_count": words.page_count,
                "writing_has_ended": words.has_ended,
                "processes": words.processes,
            })
        });
        json!({
            "path": self.lock.path.to_string_lossy(),
            "bytes": self.lock.bytes,
            "fault": self.lock.fault,
            "presence": presence,
            "words": words,
        })
    }
}

fn is_whole(state: &MetaState) -> bool {
    matches!(state, MetaState::Current | MetaState::Older)
}

fn features(meta: &MetaPage) -> String {
    let [incompatible, read_only, compatible] = meta.features;
    format!("{incompatible:#x} incompatible, {read_only:#x} read-only, {compatible:#x} compatible")
}

fn record(meta: &MetaPage) -> String {
    let pages = meta.record.iter().map(|run| u64::from(run.pages)).sum();
    match meta.record.len() {
        0 => "empty".to_owned(),
        runs => format!("{} in {}", plural(pages, "page", "pages"), plural(runs as u64, "run", "runs")),
    }
}

/// `12, 15`, or a word for none.
fn list(numbers: &[u32]) -> String {
    match numbers {
        [] => "none".to_owned(),
        some => some.iter().map(u32::to_string).collect::<Vec<_>>().join(", "),
    }
}
