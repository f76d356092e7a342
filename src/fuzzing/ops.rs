//! Operations against the model, on a simulated disk; and crashes of them.

use std::time::Duration;

use super::Bytes;
use crate::Durability;
use crate::simulation::explore::{Explorer, Place, scenario};
use crate::simulation::model::Driver;
use crate::simulation::ops::{Key, Near, Op, Setup, TABLES, Value};

/// So many operations are done at most, and so many crashes looked at.
const OPS: usize = 80;
const STATES: u64 = 12;

/// Does the operations that the input stands for, then either compares all of it with the model, or looks at
/// some crashes.
///
/// # Panics
/// If the database differs from its model.
pub fn ops(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let (kind, seed) = (bytes.u8(), bytes.u8());
    let (setup, ops) = scenario_of(&mut bytes);
    let place = format!("{setup:?} {ops:?}");
    let _place = Place(&place);
    if kind % 2 == 0 {
        let mut driver = Driver::new(setup).unwrap();
        driver.checks = kind % 4 == 0;
        driver.run(&ops).unwrap();
        driver.finish().unwrap();
    } else {
        let driver = scenario(&setup, &ops);
        Explorer::new(&driver, seed.into(), String::new()).explore(STATES);
    }
}

/// What an input stands for: any input is a scenario.
fn scenario_of(bytes: &mut Bytes<'_>) -> (Setup, Vec<Op>) {
    let [page, memory, other, ratio] = bytes.array();
    let setup = Setup {
        page_size: [4096, 4096, 4096, 8192, 16_384][usize::from(page) % 5],
        reserve: (other & 1 == 0).then_some(1),
        memory_limit: [2, 12, 1 << 14][usize::from(memory) % 3] * 4096,
        two_phase: other & 6 == 6,
        free_ratio: [0.0, 0.1, 0.5, 4.0][usize::from(ratio) % 4],
        checkpoint_after: [None, None, Some(0), Some(64 << 10)][usize::from(other >> 3) % 4],
    };
    let mut ops = Vec::new();
    while !bytes.is_empty() && ops.len() < OPS {
        ops.push(op(bytes));
    }
    (setup, ops)
}

fn op(bytes: &mut Bytes<'_>) -> Op {
    let kind = bytes.u8();
    match kind % 64 {
        0..24 => change(kind % 64, bytes),
        24..30 => {
            let (from, count) = (bytes.u16() % 600, bytes.u8() % 60);
            Op::Ascend { table: table(bytes), from, count, value: small_value(bytes) }
        }
        30..34 => {
            let (from, count) = (bytes.u16() % 600, bytes.u8() % 60);
            Op::Scatter { table: table(bytes), from, count, value: small_value(bytes) }
        }
        34..36 => {
            let [count, step] = bytes.array();
            let from = bytes.u16() % 600;
            Op::Thin { table: table(bytes), from, count: count % 60, step: 1 + step % 5 }
        }
        36 => Op::Clear { table: table(bytes) },
        37 => Op::DropTable { table: table(bytes) },
        38..50 => commit(bytes),
        50 => Op::Abort,
        51..53 => Op::BeginRead,
        53 => Op::CheckRead { reader: bytes.u8() },
        54 => Op::EndRead { reader: bytes.u8() },
        55 => {
            let [older, newer] = bytes.array();
            Op::Compare { older, newer, from: key(bytes), to: key(bytes) }
        }
        56 => {
            let [reader, count] = bytes.array();
            let table = table(bytes);
            Op::GetMany { reader, table, keys: (0..count % 20).map(|_| key(bytes)).collect() }
        }
        57 => Op::Sync,
        58 => Op::WaitDurable { back: bytes.u8() % 6 },
        59 | 60 => Op::Compact,
        61 => Op::Reopen,
        62 => Op::Kill,
        _ => Op::Look { table: table(bytes), key: key(bytes) },
    }
}

fn change(kind: u8, bytes: &mut Bytes<'_>) -> Op {
    let (table, key) = (table(bytes), key(bytes));
    match kind {
        0..12 => Op::Insert { table, key, value: value(bytes) },
        12..14 => Op::Replace { table, key, value: value(bytes) },
        14..16 => Op::Append { table, key, value: value(bytes) },
        16..20 => Op::Remove { table, key },
        20 => Op::Take { table, key },
        21 | 22 => Op::RemoveRange { table, from: key, to: self::key(bytes) },
        _ => Op::Look { table, key },
    }
}

fn commit(bytes: &mut Bytes<'_>) -> Op {
    let kind = bytes.u8();
    let durability = match kind % 3 {
        0 => Durability::Immediate,
        1 => Durability::Buffered,
        // Never due: when a thread runs is not the input's to decide.
        _ => Durability::Background { within: Duration::MAX },
    };
    Op::Commit { durability, two_phase: kind >= 224 }
}

fn table(bytes: &mut Bytes<'_>) -> u8 {
    [0, 0, 0, 0, 1, 1, 2, TABLES - 1][usize::from(bytes.u8()) % 8]
}

fn key(bytes: &mut Bytes<'_>) -> Key {
    let (kind, number) = (bytes.u8(), bytes.u16());
    match kind % 16 {
        0 => Key::Empty,
        1..6 => Key::Short(number % 600),
        6..11 => Key::Text(number % 600),
        11 | 12 => Key::Long(number % 60),
        13 | 14 => Key::Padded(number % 60),
        _ => Key::Nested(number % 600),
    }
}

fn value(bytes: &mut Bytes<'_>) -> Value {
    let [near, off, fill] = bytes.array();
    let near = match near {
        0..16 => Near::Zero,
        16..140 => Near::Small,
        140..180 => Near::Inline,
        180..215 => Near::Page,
        215..240 => Near::Pages,
        240..255 => Near::Direct,
        255 => Near::Unchecked,
    };
    Value { near, off: i8::try_from(off % 7).unwrap() - 3, fill }
}

/// Values that many entries can have.
fn small_value(bytes: &mut Bytes<'_>) -> Value {
    let [near, off, fill] = bytes.array();
    match near % 16 {
        0 => Value { near: Near::Zero, off: 0, fill },
        1 => Value { near: Near::Inline, off: i8::try_from(off % 4).unwrap() - 3, fill },
        _ => Value { near: Near::Small, off: i8::try_from(off % 128).unwrap() - 30, fill },
    }
}
