//! Goal: a file that was made to name far pages costs memory for the records that it has, not for the pages
//! that it names. Method: an empty database is made into a sparse file of 32 TiB, of which the log calls a
//! 64th free, and into one of an EiB; then the first transaction writes.

use super::*;
use crate::page::{FreeLogPage, FreeRoot, LogLink, META_AT, META_LEN, Meta, Seed};

/// A database of `bytes`, whose log says that all of its last 64th but one page is free, and how many records
/// say so.
fn far_database(bytes: u64) -> (Storage, u64) {
    let storage = Storage::memory().unwrap();
    format(&storage, 4096).unwrap();
    let mut encoded = vec![0; META_LEN];
    storage.read_exact_at(&mut encoded, META_AT[0]).unwrap();
    let mut meta = Meta::decode(&encoded, 0).unwrap();
    let root = &mut meta.root;
    root.page_count = bytes / 4096;
    let far = root.page_count / 64;
    // What an EiB would need is more than a test can write.
    let free = Extent::free(root.page_count - 1 - far, far).pieces().take(5_000);
    let records: Vec<Extent> = free.collect();

    let (seed, birth) = (Seed::of(&meta.database_id), root.txn);
    let mut link = LogLink { page: root.free.page, birth };
    for chunk in records.chunks(free_log_capacity(4096)) {
        let page = PageId(link.page.0 + 1);
        let mut log = [0; 4096];
        FreeLogPage { older: link, records: chunk.to_vec() }.encode(&mut log, page, birth, seed);
        storage.write_at(&[&log], page.0 * 4096).unwrap();
        link.page = page;
    }
    let pages = link.page.0 - root.free.page.0 + root.free.pages;
    root.free = FreeRoot { page: link.page, birth, pages };
    for (at, sequence) in META_AT.into_iter().zip([1, 0]) {
        storage.write_at(&[&Meta { sequence, ..meta.clone() }.encode()], at).unwrap();
    }
    storage.truncate(bytes).unwrap();
    (storage, records.len() as u64)
}

#[test]
fn memory_is_for_what_is_named_and_not_for_where_it_lies() {
    for bytes in [1 << 45, 1 << 60] {
        let (storage, records) = far_database(bytes);
        let pager = match open(storage, None, Config::new(&OpenOptions::new())) {
            Ok(pager) => pager,
            Err(error) => {
                println!("{bytes} bytes cannot be opened here: {error}");
                continue;
            }
        };
        let engine = Engine { pager, random: 1 };
        let tx = engine.begin();
        table(&tx, "a").insert(b"key", b"value").unwrap();
        engine.commit(tx, false);
        let writer = engine.pager.lock_writer().unwrap();
        assert!(writer.space.free_pages() > bytes / 4096 / 65, "{} pages", writer.space.free_pages());
        let chunks = writer.space.chunks() as u64;
        assert!(chunks <= 2 * records + 10, "{chunks} chunks of bits for {records} records");
    }
}
