//! Goal: the file is as small as it is said to be: after a load, while it is overwritten, after deletions.
//! Method: the public face alone, with 24-byte random keys and 150-byte values; the length of the file and
//! what commits say they wrote. A tenth of the real size unless `FOLIO_LONG` is set; bounds are scaled with
//! it.

use folio::{Database, Durability, OpenOptions};

mod compact;
mod load;
mod memory;

use load::{ENTRIES, Loaded, MIB, key, mib, scale, value};

/// A database with a megabyte of entries in the long form.
fn loaded(options: OpenOptions) -> Loaded {
    let loaded = Loaded::random(1_000_000 / scale(), options);
    println!("loaded: {} of file, {} of it live", mib(loaded.len()), mib(loaded.live()));
    loaded
}

/// Overwrites as the issue asks: 1,000 of a million at a time, in the short form as large a share.
fn batch() -> u64 {
    1_000 / scale()
}

#[test]
fn a_random_load_takes_less_than_the_smallest_of_its_peers() {
    let loaded = loaded(Database::options());
    let table = loaded.stats().tables.remove(0);
    println!("depth {}, fill {:.3}", table.depth, table.fill);
    let most = 251 * MIB / scale();
    assert!(loaded.len() <= most, "{} of file, {} at most", mib(loaded.len()), mib(most));
    loaded.verify(997);
}

/// The share of its pages that an ascending load of such values uses.
fn ascending_fill(value_len: usize) -> f64 {
    let loaded = Loaded::empty(Database::options());
    loaded
        .db
        .write(|tx| {
            let mut table = tx.open(ENTRIES)?;
            for i in 0..1_000_000 / scale() {
                let mut ascending = key(i);
                i.to_le_bytes().iter().rev().zip(&mut ascending).for_each(|(from, to)| *to = *from);
                table.insert(&ascending[..], &value(i, 0)[..value_len])?;
            }
            Ok(())
        })
        .unwrap();
    loaded.check();
    let table = loaded.stats().tables.remove(0);
    println!("ascending, values of {value_len}: {} of file, fill {:.4}", mib(loaded.len()), table.fill);
    table.fill
}

#[test]
fn an_ascending_load_leaves_full_pages() {
    assert!(ascending_fill(24) > 0.97);
    // An entry of 150 bytes takes a 22nd of a page: nowhere would another one fit.
    assert!(ascending_fill(150) > 1.0 - 184.0 / 4_064.0);
}

/// 200 transactions beside a reader; LMDB's file grows by 1,276 MiB then.
fn growth_beside_a_reader(durability: Durability) {
    let mut options = Database::options();
    // What is pinned until a sync is a share of the file, as with a million entries.
    options.checkpoint_after((64 << 20) / scale());
    let mut loaded = loaded(options);
    let before = loaded.len();
    let reader = loaded.db.begin_read().unwrap();
    let written = loaded.overwrite(200, batch(), durability);
    let grown = loaded.len() - before;
    println!("beside a reader, {durability:?}: grown by {}; {written}", mib(grown));
    let most = 1_276 * MIB * 3 / 10 / scale();
    assert!(grown <= most, "grown by {}, {} at most", mib(grown), mib(most));
    let table = reader.open(ENTRIES).unwrap();
    for i in (0..loaded.versions.len() as u64).step_by(997) {
        assert_eq!(table.get(&key(i)[..]).unwrap(), Some(&value(i, 0)[..]));
    }
    loaded.verify(997);
    // What the reader alone needed is free when it is gone: nothing grows then.
    drop(reader);
    let before = loaded.len();
    let written = loaded.overwrite(100, batch(), durability);
    println!("after the reader: grown by {}; {written}", mib(loaded.len() - before));
    assert_eq!(loaded.len(), before);
    loaded.check();
}

#[test]
fn a_long_lived_reader_costs_the_file_a_copy_at_most() {
    growth_beside_a_reader(Durability::Buffered);
}

#[test]
fn a_long_lived_reader_costs_durable_commits_no_more() {
    growth_beside_a_reader(Durability::Immediate);
}

/// Overwrites the entries twice, in batches, and says what the commits wrote in the beginning and in the end.
fn growth_alone(mut options: OpenOptions, share: f64) {
    options.free_ratio(share);
    let mut loaded = loaded(options);
    let before = loaded.len();
    let live = loaded.live();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a bound"
    )]
    let most = (live as f64 * share) as u64;
    let mut peak = 0;
    for round in 0..10 {
        let written = loaded.overwrite(200, batch(), Durability::Immediate);
        peak = peak.max(loaded.len() - before);
        let stats = loaded.stats();
        println!(
            "share {share}, after {} commits: grown by {}, live {}, free {}; {written}",
            (round + 1) * 200,
            mib(loaded.len() - before),
            mib(loaded.live()),
            mib((stats.free_pages + stats.pending_pages) * 4096),
        );
    }
    assert!(peak <= most, "grown by {}, {} at most", mib(peak), mib(most));
    loaded.verify(997);
    // The aged file under small commits.
    let written = loaded.overwrite(50, 1, Durability::Buffered);
    println!("share {share}, aged, single overwrites: {written}");
    let loaded = loaded.reopen();
    loaded.verify(9_973);
}

#[test]
fn overwriting_grows_the_file_by_half_of_its_live_pages_at_most() {
    growth_alone(Database::options(), 0.5);
}

#[test]
fn a_smaller_share_of_free_pages_is_kept_to() {
    growth_alone(Database::options(), 0.1);
}

#[test]
fn small_databases_are_small() {
    let loaded = Loaded::empty(Database::options());
    let open = loaded.len();
    let loaded = loaded.reopen();
    println!("empty: {open} bytes open, {} closed", loaded.len());
    assert!(open <= 256 << 10 && loaded.len() <= 256 << 10);
    loaded.db.write(|tx| tx.open(ENTRIES)?.insert(&b"key"[..], &b"value"[..])).unwrap();
    let open = loaded.len();
    let loaded = loaded.reopen();
    println!("one entry: {open} bytes open, {} closed", loaded.len());
    assert!(open <= 1 << 20 && loaded.len() <= 512 << 10);
    loaded.check();
}
