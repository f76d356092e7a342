//! The workload: transaction `n` of a database is a function of `n` and the database's seed, and so is the
//! state after it. Beside its rows, a database says how far it is and what its rows add up to, so that a
//! reader can tell whether a snapshot is whole.

use std::collections::BTreeMap;

use folio::{Database, ReadTransaction, Result, Table, WriteTransaction};

/// The database's seed, the number of the newest transaction, the sum and the number of the rows.
pub(crate) const STATE: Table<&str, u64> = Table::new("state");
/// The rows.
pub(crate) const ROWS: Table<u64, &[u8]> = Table::new("rows");
/// The sum after each of the last transactions.
pub(crate) const LOG: Table<u64, u64> = Table::new("log");

/// So many transactions stay in the log.
const LOG_LEN: u64 = 64;
/// The keys of rows are below.
const KEYS: u64 = 4096;

/// With a seed that has this bit, a database is filled by the first transaction and stays about as large:
/// what its file is larger than that is not what the data once was.
pub(crate) const STEADY: u64 = 1 << 63;

/// Numbers that look random, from a seed.
#[derive(Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let a = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let b = (a ^ (a >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        b ^ (b >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let at = usize::try_from(self.below(from.len() as u64)).expect("an index");
        &from[at]
    }
}

/// One change of the rows.
#[derive(Debug, Clone, Copy)]
enum Step {
    Put { key: u64, len: usize },
    Remove { key: u64 },
    RemoveRange { from: u64, to: u64 },
}

/// What transaction `n` does.
fn steps(seed: u64, n: u64) -> Vec<Step> {
    let mut rng = Rng::new(seed ^ n.wrapping_mul(0xD6E8_FEB8_6659_FD93));
    let mut number = |from: u64, to: u64| usize::try_from(from + rng.below(to - from)).expect("it is small");
    let steady = seed & STEADY != 0;
    let count = match n.is_multiple_of(97) {
        true if steady => number(20, 60),
        true => number(200, 600),
        false => number(1, 12),
    };
    let mut steps = Vec::new();
    if steady && n == 1 {
        // As many as there will be when as many come as go.
        let keys = (0..KEYS).filter(|key| key % 4 != 0);
        steps.extend(keys.map(|key| Step::Put { key, len: number(200, 3000) }));
    }
    for _ in 0..count {
        let key = number(0, KEYS) as u64;
        let step = match number(0, 20) {
            0..4 => Step::Remove { key },
            step if steady || step == 4 => Step::Put { key, len: number(200, 3000) },
            _ => Step::Put { key, len: number(0, 200) },
        };
        steps.push(step);
    }
    if n.is_multiple_of(31) && !steady {
        steps.push(Step::Put { key: number(0, KEYS) as u64, len: number(10_000, 200_000) });
    }
    if n.is_multiple_of(601) && !steady {
        // More pages than a commit record names.
        steps.push(Step::Put { key: number(0, KEYS) as u64, len: 5 << 20 });
    }
    if n.is_multiple_of(23) {
        let from = number(0, KEYS) as u64;
        steps.push(Step::RemoveRange { from, to: from + KEYS / 32 });
    }
    steps
}

/// What transaction `n` writes under `key`.
fn value(seed: u64, n: u64, key: u64, len: usize) -> Vec<u8> {
    let mut rng = Rng::new(seed ^ (n << 20) ^ key);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&rng.next().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// What a row adds to the sum.
fn row_sum(key: u64, value: &[u8]) -> u64 {
    let mut sum = (key ^ (value.len() as u64) << 32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    for word in value.chunks(8) {
        let mut bytes = [0; 8];
        bytes[..word.len()].copy_from_slice(word);
        sum = (sum ^ u64::from_le_bytes(bytes)).wrapping_mul(0xFF51_AFD7_ED55_8CCD).rotate_left(29);
    }
    sum
}

/// Does the next transaction of this database; which one it was.
pub(crate) fn apply(tx: &WriteTransaction, seed: u64) -> Result<u64> {
    let (mut state, mut rows, mut log) = (tx.open(STATE)?, tx.open(ROWS)?, tx.open(LOG)?);
    if state.get("seed")?.is_none() {
        state.insert("seed", seed)?;
    }
    let seed = state.get("seed")?.unwrap_or(seed);
    let n = state.get("version")?.unwrap_or(0) + 1;
    let mut sum = state.get("sum")?.unwrap_or(0);
    for step in steps(seed, n) {
        match step {
            Step::Put { key, len } => {
                let new = value(seed, n, key, len);
                if let Some(old) = rows.get(key)? {
                    sum = sum.wrapping_sub(row_sum(key, old));
                }
                sum = sum.wrapping_add(row_sum(key, &new));
                rows.insert(key, &new[..])?;
            }
            Step::Remove { key } => {
                if let Some(old) = rows.get(key)? {
                    sum = sum.wrapping_sub(row_sum(key, old));
                }
                rows.remove(key)?;
            }
            Step::RemoveRange { from, to } => {
                for entry in rows.range(from..to)? {
                    let (key, old) = entry?;
                    sum = sum.wrapping_sub(row_sum(key, old));
                }
                rows.remove_range(from..to)?;
            }
        }
    }
    state.insert("version", n)?;
    state.insert("sum", sum)?;
    state.insert("rows", rows.len())?;
    log.insert(n, sum)?;
    if n > LOG_LEN {
        log.remove(n - LOG_LEN)?;
    }
    Ok(n)
}

/// The state after a transaction, computed without a database.
#[derive(Debug)]
struct Model {
    /// By key: which transaction wrote it, and how long it is.
    rows: BTreeMap<u64, (u64, usize)>,
    sum: u64,
    log: BTreeMap<u64, u64>,
}

impl Model {
    fn after(seed: u64, version: u64) -> Model {
        let mut model = Model { rows: BTreeMap::new(), sum: 0, log: BTreeMap::new() };
        for n in 1..=version {
            for step in steps(seed, n) {
                match step {
                    Step::Put { key, len } => {
                        model.remove(seed, key);
                        model.rows.insert(key, (n, len));
                        model.sum = model.sum.wrapping_add(row_sum(key, &value(seed, n, key, len)));
                    }
                    Step::Remove { key } => model.remove(seed, key),
                    Step::RemoveRange { from, to } => {
                        let keys: Vec<u64> = model.rows.range(from..to).map(|row| *row.0).collect();
                        keys.into_iter().for_each(|key| model.remove(seed, key));
                    }
                }
            }
            model.log.insert(n, model.sum);
            if n > LOG_LEN {
                model.log.remove(&(n - LOG_LEN));
            }
        }
        model
    }

    fn remove(&mut self, seed: u64, key: u64) {
        if let Some((n, len)) = self.rows.remove(&key) {
            self.sum = self.sum.wrapping_sub(row_sum(key, &value(seed, n, key, len)));
        }
    }
}

/// The newest transaction that a snapshot holds.
pub(crate) fn version(tx: &ReadTransaction) -> Result<u64> {
    Ok(tx.open(STATE)?.get("version")?.unwrap_or(0))
}

/// What is wrong with a snapshot, judged by what it says of itself.
pub(crate) fn sum_fault(tx: &ReadTransaction) -> Result<Option<String>> {
    let (state, rows, log) = (tx.open(STATE)?, tx.open(ROWS)?, tx.open(LOG)?);
    let said = (state.get("sum")?.unwrap_or(0), state.get("rows")?.unwrap_or(0));
    let mut found = (0_u64, 0);
    for entry in rows.iter()? {
        let (key, value) = entry?;
        found = (found.0.wrapping_add(row_sum(key, value)), found.1 + 1);
    }
    let version = version(tx)?;
    let logged = log.last()?.map_or((0, 0), |entry| entry);
    if found != said {
        return Ok(Some(format!("the rows of version {version} are {found:?}, it says {said:?}")));
    }
    if logged != (version, said.0) {
        return Ok(Some(format!("the log of version {version} ends with {logged:?}, the sum is {}", said.0)));
    }
    Ok(None)
}

/// What is wrong with a snapshot, judged by what its version must hold.
pub(crate) fn fault(tx: &ReadTransaction) -> Result<Option<String>> {
    let version = version(tx)?;
    let Some(seed) = tx.open(STATE)?.get("seed")? else {
        let empty = tx.open(ROWS)?.is_empty() && tx.open(LOG)?.is_empty() && version == 0;
        return Ok((!empty).then(|| "there are rows, but no seed".to_owned()));
    };
    let model = Model::after(seed, version);
    let mut expected = model.rows.iter();
    for entry in tx.open(ROWS)?.iter()? {
        let (key, found) = entry?;
        let Some((wanted, &(n, len))) = expected.next() else {
            return Ok(Some(format!("version {version} has a row {key} too many")));
        };
        if key != *wanted || found != value(seed, n, key, len) {
            return Ok(Some(format!(
                "version {version} has at {wanted}, written by {n}, the row {key}, wrong"
            )));
        }
    }
    if let Some((key, (n, _))) = expected.next() {
        return Ok(Some(format!("version {version} lacks the row {key} that {n} wrote")));
    }
    let mut log = BTreeMap::new();
    for entry in tx.open(LOG)?.iter()? {
        let (n, sum) = entry?;
        log.insert(n, sum);
    }
    if log != model.log {
        return Ok(Some(format!("the log of version {version} is wrong")));
    }
    sum_fault(tx)
}

/// What the whole-file check says.
pub(crate) fn check_fault(db: &Database) -> Result<Option<String>> {
    let report = db.check()?;
    Ok(report.faults.first().map(|fault| format!("{} faults: {fault}", report.faults.len())))
}
