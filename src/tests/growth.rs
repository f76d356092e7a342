//! Goal: small commits write where the file was written before, also when a large one has made it longer:
//! they need not wait for the file system to say that blocks are in use now.
//! Method: the log of a simulated disk says which blocks were written.

use std::collections::BTreeSet;
use std::ops::Range;

use super::ops::Setup;
use crate::storage::sim::{Event, SimDisk};
use crate::{Database, Durability, Table};

const TABLE: Table<u64, &[u8]> = Table::new("t");
const BLOCK: u64 = 4096;

/// A commit of entries of so many bytes.
fn put(db: &Database, keys: Range<u64>, len: usize, durability: Durability) {
    let mut tx = db.begin_write().unwrap();
    tx.set_durability(durability);
    keys.for_each(|key| assert!(!tx.open(TABLE).unwrap().insert(key, &vec![7; len][..]).unwrap()));
    tx.commit().unwrap();
}

/// Blocks that were written, with zeros or with something.
#[derive(Default)]
struct Written(BTreeSet<u64>);

impl Written {
    /// Takes an event in; how many blocks it wrote that were not written before, unless it made the file
    /// grow.
    fn take(&mut self, event: &Event) -> usize {
        let (offset, len) = match event {
            Event::Write { offset, bytes } => (*offset, bytes.len() as u64),
            Event::Zeros { offset, len } => (*offset, *len),
            Event::Truncate { len } => {
                self.0.split_off(&len.div_ceil(BLOCK));
                return 0;
            }
            Event::SyncBegin { .. } | Event::SyncEnd { .. } => return 0,
        };
        let blocks = offset / BLOCK..(offset + len).div_ceil(BLOCK);
        let new = blocks.filter(|block| self.0.insert(*block)).count();
        if matches!(event, Event::Write { .. }) { new } else { 0 }
    }
}

/// A large commit may be given so many more pages for its log than it needs. Those are free behind it, and
/// nobody has written them.
const UNUSED_MAX: usize = 10;

#[test]
fn small_commits_write_hardly_a_block_for_the_first_time() {
    // Both larger than a step of the file's growth.
    for (what, count, len) in [("many pages", 1000, 3000), ("a long value", 1, 4 << 20)] {
        let disk = SimDisk::new().unwrap();
        let db = Database::over(&Setup::PLAIN.options(), disk.storage().unwrap()).unwrap();
        let mut written = Written::default();
        put(&db, 0..count, len, Durability::Immediate);
        put(&db, 5000..5001, 3000, Durability::Buffered);
        let large = disk.events();
        let new: usize = large.iter().map(|event| written.take(event)).sum();
        assert!(new > 500, "{what}: {new} blocks written for the first time");
        let len = disk.content().unwrap().len();
        for key in 5001..6000 {
            put(&db, key..key + 1, 3000, Durability::Buffered);
        }
        let new: usize = disk.events()[large.len()..].iter().map(|event| written.take(event)).sum();
        println!("{what}: the small ones wrote {new} blocks for the first time");
        assert!(new <= UNUSED_MAX, "{what}: {new}");
        assert!(disk.content().unwrap().len() > len, "the small ones have made the file longer");
    }
}
