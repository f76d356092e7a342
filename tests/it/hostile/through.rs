//! One file goes through everything that there is.

use std::fs;
use std::ops::Bound;
use std::path::Path;

use folio::{Database, Error, RawTable, Recovery, Result};

use super::bytes::Rng;
use super::format::{Sound, examine};
use super::mutate::Mutated;
use crate::files::{open, open_read_only};

const ALL: (Bound<&[u8]>, Bound<&[u8]>) = (Bound::Unbounded, Bound::Unbounded);

/// What was seen, in words for the count; or what is wrong with the engine.
pub(super) fn case(
    path: &Path,
    bytes: &[u8],
    sound: &Sound,
    mutated: &Mutated,
    boot: &[u8; 16],
    rng: &mut Rng,
) -> std::result::Result<String, String> {
    fs::write(path, &mutated.file).unwrap();
    let verdict = examine(&mutated.file, boot);
    let mut seen = vec![if mutated.repaired { "repaired" } else { "not repaired" }];
    let opened = open_read_only(path);
    let mut reported = None;
    match &opened {
        Err(error) => {
            seen.push("refused");
            reported = Some(error.to_string());
        }
        Ok(db) => {
            let report = db.check().map_err(|error| format!("the check itself: {error}"))?;
            if let Some(fault) = report.faults.first() {
                seen.push("faults");
                reported = Some(fault.to_string());
            }
            let recovery = db.stats().map(|stats| stats.recovery);
            agree_on_recovery(&verdict, recovery.as_ref().ok(), &mut seen)?;
            read(db, rng);
        }
    }
    match (&verdict, &reported) {
        (Ok(_), Some(fault)) => return Err(format!("it is sound, but the engine says: {fault}")),
        (Err(fault), None) => return Err(format!("the engine finds nothing, but: {fault}")),
        (Ok(found), None) if !mutated.repaired => unchanged(bytes, sound, &mutated.file, found)?,
        _ => {}
    }
    seen.push(if verdict.is_ok() { "sound" } else { "unsound" });
    drop(opened);
    if rng.one_in(3) {
        seen.push("written");
        write(path, rng, verdict.is_ok())?;
    }
    Ok(seen.join(", "))
}

/// What opening had to do is what the format says.
fn agree_on_recovery(
    verdict: &std::result::Result<Sound, String>,
    recovery: Option<&Recovery>,
    seen: &mut Vec<&str>,
) -> std::result::Result<(), String> {
    let (Ok(found), Some(recovery)) = (verdict, recovery) else { return Ok(()) };
    let is = match recovery {
        Recovery::Recovered { fell_back, head_adopted, .. } => (*fell_back, *head_adopted),
        _ => (false, false),
    };
    if found.fell_back {
        seen.push("fell back");
    }
    if found.head {
        seen.push("head");
    }
    match is == (found.fell_back, found.head) {
        true => Ok(()),
        false => Err(format!("recovery {recovery:?}, but {:?}", (found.fell_back, found.head))),
    }
}

/// Without repaired checksums, a file that is sound has every byte that its root reaches as it was.
fn unchanged(bytes: &[u8], was: &Sound, file: &[u8], is: &Sound) -> std::result::Result<(), String> {
    if was.root != is.root {
        // An older state, or a newer one that had not been adopted: told by opening, or a design.
        return Ok(());
    }
    let size = is.page_size;
    let runs = is.runs.iter().flat_map(|run| run.first..run.first + run.len.div_ceil(size as u64));
    for page in is.pages.iter().map(|(page, _)| *page).chain(runs) {
        let at = usize::try_from(page).unwrap() * size;
        if bytes[at..at + size] != file[at..at + size] {
            return Err(format!("page {page} is another, and nothing was reported"));
        }
    }
    Ok(())
}

/// Everything that reads. That it ends is all that is asked.
fn read(db: &Database, rng: &mut Rng) {
    let Ok(tx) = db.begin_read() else { return };
    let Ok(tables) = tx.tables() else { return };
    for table in tables {
        if let Ok(table) = tx.open_raw(&table.name) {
            let _ = read_table(&table, rng);
        }
    }
    let _ = db.readers();
}

fn read_table(table: &RawTable<'_>, rng: &mut Rng) -> Result<()> {
    let mut keys: Vec<Vec<u8>> = Vec::new();
    let forwards = table.range(ALL)?.take_while(|entry| entry.is_ok()).flatten().map(|(key, _)| {
        if keys.len() < 500 {
            keys.push(key.into_owned());
        }
    });
    let count = forwards.count();
    let backwards = table.range(ALL)?.rev().take_while(|entry| entry.is_ok()).count();
    let mut ends = table.range(ALL)?;
    while let (Some(Ok(_)), Some(Ok(_))) = (ends.next(), ends.next_back()) {}
    for _ in 0..20 {
        let key = match rng.pick(&(0..keys.len()).collect::<Vec<_>>()) {
            Some(i) if !rng.one_in(4) => keys[i].clone(),
            _ => rng.bytes(5),
        };
        let _ = (table.get(&key), table.contains(&key), table.rank(&key));
        let from = (Bound::Excluded(&key[..]), Bound::Unbounded);
        let _ = (table.count(from), table.range(from).map(|range| range.take(50).count()));
        let _ = table.nth(rng.next() % (count + backwards + 2) as u64);
    }
    let _ = (table.first(), table.last(), table.nth(table.len().wrapping_sub(1)), table.nth(u64::MAX));
    let _ = table.split(7);
    let _ = table.changes_since(table).take(1000).count();
    Ok(())
}

/// Changes of all sorts. In a sound file they work, and leave it sound.
fn write(path: &Path, rng: &mut Rng, sound: bool) -> std::result::Result<(), String> {
    let db = match open(path) {
        Ok(db) => db,
        Err(error) if sound && !is_refusal(&error) => return Err(format!("opening for writing: {error}")),
        Err(_) => return Ok(()),
    };
    let mut names: Vec<String> = match db.begin_read().and_then(|tx| tx.tables()) {
        Ok(tables) => tables.into_iter().map(|table| table.name).take(8).collect(),
        Err(_) => Vec::new(),
    };
    names.push("made here".to_owned());
    let mut results = Vec::new();
    for name in &names {
        results.push(change(&db, name, rng));
    }
    let dropped = rng.pick(&(0..names.len()).collect::<Vec<_>>()).unwrap_or(0);
    results.push(db.write(|tx| tx.drop_table(&names[dropped]).map(drop)));
    if rng.one_in(3) {
        results.push(db.compact().map(drop));
    }
    results.push(change(&db, "made at the end", rng));
    if let Some(error) = results.into_iter().filter_map(Result::err).find(|error| sound && !is_refusal(error))
    {
        return Err(format!("writing to a sound file: {error}"));
    }
    let report = db.check().map_err(|error| format!("the check after writing: {error}"))?;
    if sound && let Some(fault) = report.faults.first() {
        return Err(format!("after writing to a sound file: {fault}"));
    }
    let closed = db.close();
    drop(closed);
    Ok(())
}

/// What a sound file may say, too: it holds numbers that leave no room, or features that only a reader knows.
fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Full { .. } | Error::Unsupported { .. })
        || error.to_string().contains("read-only-compatible feature")
}

fn change(db: &Database, name: &str, rng: &mut Rng) -> Result<()> {
    let tx = db.begin_write()?;
    {
        let mut table = tx.create_raw(name, "str", "[u8]").or_else(|error| match error {
            Error::TableTypeMismatch { .. } => tx.open_raw(name),
            error => Err(error),
        })?;
        let keys: Vec<Vec<u8>> = {
            let range = table.range(ALL)?;
            range
                .take(200)
                .take_while(|entry| entry.is_ok())
                .flatten()
                .map(|(key, _)| key.into_owned())
                .collect()
        };
        for key in keys.iter().step_by(1 + rng.below(7)) {
            match rng.below(4) {
                0 => drop(table.remove(key)?),
                1 => drop(table.insert(key, &vec![5; rng.below(9000)])?),
                _ => drop(table.insert(&[key, &b"x"[..]].concat(), b"new")?),
            }
        }
        if let (Some(from), true) = (keys.get(keys.len() / 3), rng.one_in(3)) {
            let to = keys.last().map_or(Bound::Unbounded, |key| Bound::Excluded(&key[..]));
            table.remove_range((Bound::Included(&from[..]), to))?;
        }
        table.insert(b"at the end", &[1; 100])?;
    }
    match rng.one_in(8) {
        true => tx.abort(),
        false => drop(tx.commit()?),
    }
    Ok(())
}
