//! Whether bytes are a sound file, decided from docs/FORMAT.md alone: slow, and without a line of the engine.

use std::collections::BTreeMap;

use super::bytes::{NUMBER, crc, seeded, u16_at, u32_at, u64_at};
use super::metas::{
    HEAD_AT, HEAD_LEN, META_AT, ROOT_IN_HEAD, ROOT_IN_META, ROOT_LEN, Refusal, examine_meta, examine_root,
    header_pages, record_holds,
};
use super::page::{Cell, Decoded, Reference, decode, fit_together};

/// The death of a record that takes pages back into use.
const NEVER: u64 = u64::MAX;

/// What somebody who reads a file finds wrong first.
pub(super) type Checked<T> = Result<T, String>;

/// What a page of a sound file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    CatalogLeaf,
    Leaf,
    Branch,
    Log,
}

/// A value outside its leaf: its pages, and where in the file its reference stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) first: u64,
    pub(super) len: u64,
    pub(super) reference_at: usize,
    pub(super) leaf: u64,
}

/// A sound file.
#[derive(Debug)]
pub(super) struct Sound {
    pub(super) page_size: usize,
    pub(super) id: [u8; 16],
    /// The newest meta page did not hold.
    pub(super) fell_back: bool,
    /// The head record was adopted.
    pub(super) head: bool,
    pub(super) root: [u8; ROOT_LEN],
    pub(super) pages: Vec<(u64, Kind)>,
    pub(super) runs: Vec<Run>,
}

/// Goes through the whole file; what is wrong with it, if anything is. `boot` is the id of the system's boot.
pub(super) fn examine(file: &[u8], boot: &[u8; 16]) -> Checked<Sound> {
    let metas = META_AT.map(|at| examine_meta(file, at));
    if let Some(Err(Refusal::Newer(what))) = metas.iter().find(|meta| matches!(meta, Err(Refusal::Newer(_))))
    {
        return Err(what.clone());
    }
    let mut metas: Vec<&[u8]> = metas
        .into_iter()
        .map(|meta| match meta {
            Ok(meta) => Ok(meta),
            Err(Refusal::Bad(what) | Refusal::Newer(what)) => Err(what),
        })
        .collect::<Checked<_>>()?;
    if metas[1][12..16] != metas[0][12..16] || metas[1][40..72] != metas[0][40..72] {
        return Err("the meta pages are of two files".to_owned());
    }
    metas.sort_by_key(|meta| std::cmp::Reverse(u64_at(meta, 72)));
    let root_of = |meta: &[u8]| -> [u8; ROOT_LEN] { meta[ROOT_IN_META..][..ROOT_LEN].try_into().unwrap() };
    let clean = metas[0][216] & 1 == 1 && root_of(metas[0]) == root_of(metas[1]);
    let holds = metas.iter().map(|meta| record_holds(file, meta)).collect::<Vec<_>>();
    let taken = holds.iter().position(|holds| *holds).ok_or("no meta page holds")?;
    let meta = metas[taken];
    let mut root = root_of(meta);
    let mut head = false;
    if !clean && let Some(newer) = newer_head(file, meta, boot) {
        (root, head) = (newer, true);
    }
    let page_size = u32_at(meta, 12) as usize;
    let id = meta[40..56].try_into().unwrap();
    let mut walk = Walk::new(file, page_size, id, &root);
    walk.everything(&root)?;
    let Walk { pages, runs, .. } = walk;
    Ok(Sound { page_size, id, fell_back: taken > 0, head, root, pages, runs })
}

/// The root of the head record, if it counts.
fn newer_head(file: &[u8], meta: &[u8], boot: &[u8; 16]) -> Option<[u8; ROOT_LEN]> {
    let head = file.get(HEAD_AT..HEAD_AT + HEAD_LEN)?;
    let is_record = head.starts_with(b"\x89FOHEAD\n") && crc(&head[..508]) == u32_at(head, 508);
    let base = u32_at(meta, 4092);
    let builds_on = u32_at(head, 8) == base || u32_at(head, 12) == base;
    if !is_record || !builds_on || head[16..32] != *boot {
        return None;
    }
    let root: [u8; ROOT_LEN] = head[ROOT_IN_HEAD..][..ROOT_LEN].try_into().unwrap();
    let page_size = u32_at(meta, 12) as usize;
    let durable = u64_at(meta, ROOT_IN_META);
    examine_root(&root, page_size, u64_at(meta, 80)).ok()?;
    let fits = u64_at(&root, 8).saturating_mul(page_size as u64) <= file.len() as u64;
    if u64_at(&root, 0) <= durable || !fits {
        return None;
    }
    let mut walk = Walk::new(file, page_size, meta[40..56].try_into().unwrap(), &root);
    walk.only_younger_than = Some(durable);
    walk.young(&root).ok()?;
    Some(root)
}

/// One walk through the pages of a root.
struct Walk<'f> {
    file: &'f [u8],
    page_size: usize,
    id: [u8; 16],
    page_count: u64,
    txn: u64,
    only_younger_than: Option<u64>,
    claimed: Vec<bool>,
    pages: Vec<(u64, Kind)>,
    runs: Vec<Run>,
    /// The tables found in the catalog: their roots.
    tables: Vec<[u8; 32]>,
}

/// What the separators above say of the keys of a page.
type Limits<'k> = (Option<&'k [u8]>, Option<&'k [u8]>);

impl<'f> Walk<'f> {
    fn new(file: &'f [u8], page_size: usize, id: [u8; 16], root: &[u8]) -> Walk<'f> {
        let page_count = u64_at(root, 8);
        Walk {
            file,
            page_size,
            id,
            page_count,
            txn: u64_at(root, 0),
            only_younger_than: None,
            claimed: vec![false; usize::try_from(page_count).unwrap()],
            pages: Vec::new(),
            runs: Vec::new(),
            tables: Vec::new(),
        }
    }

    fn everything(&mut self, root: &[u8]) -> Checked<()> {
        for page in header_pages(self.page_size) {
            self.claim(page, 1)?;
        }
        self.log(&root[80..112])?;
        self.trees(root)?;
        match self.claimed.iter().position(|claimed| !claimed) {
            Some(page) => Err(format!("page {page} is neither in use nor free")),
            None => Ok(()),
        }
    }

    /// What a head record needs: only pages that are younger than the durable root.
    fn young(&mut self, root: &[u8]) -> Checked<()> {
        self.trees(root)?;
        let (mut page, mut birth) = (u64_at(root, 80) & NUMBER, u64_at(root, 88));
        for _ in 0..u64_at(root, 96) {
            if self.only_younger_than.is_some_and(|old| birth <= old) {
                break;
            }
            self.claim(page, 1)?;
            (page, birth, _) = self.log_page(page, birth)?;
        }
        Ok(())
    }

    fn trees(&mut self, root: &[u8]) -> Checked<()> {
        let part = |at: usize| root[at..at + 32].try_into().unwrap();
        let mut catalog: [u8; 32] = part(16);
        let mut system: [u8; 32] = part(48);
        for tree in [&mut catalog, &mut system] {
            // The flags and zeros of these two are ignored.
            let word = u64_at(tree, 0) & (NUMBER | 1 << 48);
            tree[..8].copy_from_slice(&word.to_le_bytes());
            tree[25..].fill(0);
        }
        self.tree(&catalog, self.txn, true)?;
        self.tree(&system, self.txn, false)?;
        for root in std::mem::take(&mut self.tables) {
            self.tree(&root, self.txn, false)?;
        }
        Ok(())
    }

    fn claim(&mut self, first: u64, pages: u64) -> Checked<()> {
        for page in first..first.saturating_add(pages) {
            let place = usize::try_from(page).ok().and_then(|page| self.claimed.get_mut(page));
            match place {
                Some(claimed) if !*claimed => *claimed = true,
                Some(_) => return Err(format!("page {page} is reached twice")),
                None => return Err(format!("page {page} is behind the end")),
            }
        }
        Ok(())
    }

    fn bytes(&self, page: u64) -> Checked<&'f [u8]> {
        let at = usize::try_from(page).unwrap() * self.page_size;
        self.file.get(at..at + self.page_size).ok_or_else(|| format!("page {page} is not in the file"))
    }

    fn tree(&mut self, root: &[u8; 32], young_as: u64, is_catalog: bool) -> Checked<()> {
        let word = u64_at(root, 0);
        if word & NUMBER == 0 {
            return Ok(());
        }
        let reference = Reference::of(&root[..24]);
        if self.only_younger_than.is_some_and(|old| reference.birth <= old) {
            return Ok(());
        }
        self.page(&reference, usize::from(root[24]), (None, None), young_as, is_catalog).map(|_| ())
    }

    fn page(
        &mut self,
        reference: &Reference,
        level: usize,
        limits: Limits<'_>,
        young_as: u64,
        is_catalog: bool,
    ) -> Checked<Option<Decoded<'f>>> {
        let number = reference.number;
        if reference.flags & !1 != 0 || number == 0 || number >= self.page_count || reference.count == 0 {
            return Err(format!("the reference to page {number}"));
        }
        if reference.birth > young_as {
            return Err(format!("page {number} is younger than what refers to it"));
        }
        if self.only_younger_than.is_some_and(|old| reference.birth <= old) {
            return Ok(None);
        }
        self.claim(number, 1)?;
        let bytes = self.bytes(number)?;
        let fault = |what: &str| Err(format!("page {number}: {what}"));
        if seeded(&self.id, &bytes[4..]) != u32_at(bytes, 0) {
            return fault("checksum");
        }
        if u64_at(bytes, 8) != number || u64_at(bytes, 16) != reference.birth {
            return fault("number or birth");
        }
        if usize::from(bytes[5]) != level || level > 31 || bytes[4] != if level == 0 { 1 } else { 2 } {
            return fault("level or kind");
        }
        let page = decode(bytes, self.only_younger_than.is_none())
            .map_err(|what| format!("page {number}: {what}"))?;
        let kind = match (level, is_catalog) {
            (0, true) => Kind::CatalogLeaf,
            (0, false) => Kind::Leaf,
            _ => Kind::Branch,
        };
        self.pages.push((number, kind));
        let keyed = &page.cells[usize::from(level > 0)..];
        if self.only_younger_than.is_none()
            && let (Some(first), Some(last)) = (keyed.first(), keyed.last())
            && (limits.0.is_some_and(|lower| *first.key < *lower)
                || limits.1.is_some_and(|upper| *last.key >= *upper))
        {
            return fault("keys outside the separators");
        }
        if level == 0 {
            self.leaf(&page, number, reference, is_catalog)?;
        } else {
            self.branch(&page, number, level, reference, limits, is_catalog)?;
        }
        Ok(Some(page))
    }

    fn leaf(
        &mut self,
        page: &Decoded<'f>,
        number: u64,
        reference: &Reference,
        is_catalog: bool,
    ) -> Checked<()> {
        if page.cells.len() as u64 != reference.count {
            return Err(format!("page {number}: number of entries"));
        }
        for cell in &page.cells {
            let mut value = cell.tail.to_vec();
            if cell.extended {
                value = self.run(cell, number, reference)?;
            }
            if is_catalog {
                self.table(&cell.key, &value)?;
            }
        }
        Ok(())
    }

    /// The value of an extended cell.
    fn run(&mut self, cell: &Cell<'_>, leaf: u64, reference: &Reference) -> Checked<Vec<u8>> {
        let (word, len, birth) =
            (u64_at(cell.tail, 0), u64::from(u32_at(cell.tail, 8)), u64_at(cell.tail, 12));
        let pages = len.div_ceil(self.page_size as u64);
        let is_inside = word != 0 && word <= NUMBER && len > 0 && word + pages <= self.page_count;
        if !is_inside || birth > reference.birth {
            return Err(format!("page {leaf}: an overflow reference"));
        }
        if self.only_younger_than.is_some_and(|old| birth <= old) {
            return Ok(Vec::new());
        }
        if reference.flags & 1 == 0 && self.only_younger_than.is_none() {
            return Err(format!("page {leaf}: the overflow flag above it"));
        }
        self.claim(word, pages)?;
        let at = usize::try_from(word).unwrap() * self.page_size;
        let all = &self.file[at..at + usize::try_from(pages).unwrap() * self.page_size];
        let (value, behind) = all.split_at(usize::try_from(len).unwrap());
        if seeded(&self.id, value) != u32_at(cell.tail, 20) || behind.iter().any(|byte| *byte != 0) {
            return Err(format!("the value from page {word} on"));
        }
        let leaf_at = usize::try_from(leaf).unwrap() * self.page_size;
        self.runs.push(Run { first: word, len, reference_at: leaf_at + cell.tail_at, leaf });
        Ok(value.to_vec())
    }

    fn table(&mut self, name: &[u8], record: &[u8]) -> Checked<()> {
        let fault = |what: &str| Err(format!("table {:?}: {what}", String::from_utf8_lossy(name)));
        if self.only_younger_than.is_none() && std::str::from_utf8(name).is_err() {
            return fault("name");
        }
        if record.len() < 48 || record.len() != 48 + u16_at(record, 38) + u16_at(record, 40) {
            return fault("length of the record");
        }
        if record[32] != 1 || record[33] != 0 || u16_at(record, 34) != 1 || u16_at(record, 36) != 1 {
            return fault("kind");
        }
        let (root, rest) = record.split_first_chunk::<32>().unwrap();
        if rest[10..16].iter().chain(&root[25..]).any(|byte| *byte != 0) || root[24] > 31 {
            return fault("reserved bytes");
        }
        let word = u64_at(root, 0);
        if word & !(NUMBER | 1 << 48) != 0 || (word & NUMBER == 0 && root.iter().any(|byte| *byte != 0)) {
            return fault("root");
        }
        let types = &record[48..];
        let (key, value) = types.split_at(u16_at(record, 38));
        if self.only_younger_than.is_none()
            && [key, value].iter().any(|name| std::str::from_utf8(name).is_err())
        {
            return fault("types");
        }
        self.tables.push(*root);
        Ok(())
    }

    fn branch(
        &mut self,
        page: &Decoded<'f>,
        number: u64,
        level: usize,
        reference: &Reference,
        limits: Limits<'_>,
        is_catalog: bool,
    ) -> Checked<()> {
        let children: Vec<Reference> = page.cells.iter().map(|cell| Reference::of(cell.fixed)).collect();
        let below = children.iter().try_fold(0u64, |sum, child| sum.checked_add(child.count));
        if below != Some(reference.count) {
            return Err(format!("page {number}: number of entries"));
        }
        let mut before: Option<Decoded<'f>> = None;
        for (i, child) in children.iter().enumerate() {
            if child.flags & 1 > reference.flags & 1 && self.only_younger_than.is_none() {
                return Err(format!("page {number}: the overflow flag above it"));
            }
            let lower = if i == 0 { limits.0 } else { Some(&*page.cells[i].key) };
            let upper = page.cells.get(i + 1).map_or(limits.1, |cell| Some(&*cell.key));
            let found = self.page(child, level - 1, (lower, upper), reference.birth, is_catalog)?;
            if let (Some(left), Some(right)) = (&before, &found)
                && self.only_younger_than.is_none()
                && fit_together(left, right, &page.cells[i].key, self.page_size)
            {
                return Err(format!("page {number}: children {} and {i} fit together", i - 1));
            }
            before = found;
        }
        Ok(())
    }

    /// The older page's number and birth, and the records: first page, pages, birth, death.
    fn log_page(&mut self, number: u64, birth: u64) -> Checked<(u64, u64, Vec<[u64; 4]>)> {
        let fault = |what: &str| Err(format!("page {number} of the log: {what}"));
        let page = self.bytes(number)?;
        if seeded(&self.id, &page[4..]) != u32_at(page, 0) {
            return fault("checksum");
        }
        let count = u16_at(page, 6);
        let end = 48 + count * 24;
        if page[4] != 3 || page[5] != 0 || u64_at(page, 8) != number || u64_at(page, 16) != birth {
            return fault("header");
        }
        if end > self.page_size || page[24..32].iter().chain(&page[end..]).any(|byte| *byte != 0) {
            return fault("length, or bytes that are zero");
        }
        let mut records = Vec::new();
        for at in (48..end).step_by(24) {
            let (word, birth, death) = (u64_at(page, at), u64_at(page, at + 8), u64_at(page, at + 16));
            if word & NUMBER == 0 || word >> 48 == 0 || birth > death {
                return fault("a record");
            }
            records.push([word & NUMBER, word >> 48, birth, death]);
        }
        self.pages.push((number, Kind::Log));
        Ok((u64_at(page, 32), u64_at(page, 40), records))
    }

    fn log(&mut self, root: &[u8]) -> Checked<()> {
        let (mut page, mut birth, pages) = (u64_at(root, 0) & NUMBER, u64_at(root, 8), u64_at(root, 16));
        if pages >= self.page_count {
            return Err("length of the log".to_owned());
        }
        let mut records = Vec::new();
        for _ in 0..pages {
            if page == 0 || page >= self.page_count {
                return Err(format!("a link of the log to page {page}"));
            }
            self.claim(page, 1)?;
            let here;
            (page, birth, here) = self.log_page(page, birth)?;
            records.extend(here.into_iter().rev());
        }
        // From the newest record on: who speaks of a page first is right.
        let mut spoken = BTreeMap::new();
        for [first, pages, _, death] in records {
            for page in first..first + pages {
                let free = *spoken.entry(page).or_insert(death != NEVER);
                if free && page >= self.page_count {
                    return Err(format!("page {page}, behind the end, is free"));
                }
            }
        }
        for page in spoken.into_iter().filter(|(_, free)| *free).map(|(page, _)| page) {
            self.claim(page, 1)?;
        }
        Ok(())
    }
}
