//! Goal: what users of other memory-mapped databases complain of does not happen here.
//! Method: a test for each complaint, named for the promise: readers that are forgotten, readers that are
//! killed, a file that is opened twice, transactions that move among threads, writers that would wait for
//! ever. (Process namespaces and other users: `containers`.) `FOLIO_READER_KILLS` asks for more kills.

use std::fs;
use std::path::Path;

use folio::{Database, Durability, Error, Table};

use super::{Talker, lock_path, place};
use crate::files::open_with;
use crate::torture::{number, run, succeed};

const MOVED: Table<u64, u64> = Table::new("moved");

fn started(path: &Path) -> Talker {
    let mut talker = Talker::start();
    talker.open(path);
    talker
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

#[test]
fn a_forgotten_reader_pins_what_it_sees_once_however_much_is_written() {
    let (_folder, path) = place();
    let (mut writer, mut reader) = (started(&path), started(&path));
    writer.ask("fill db 500 4000 1 2 buffered");
    let data = writer.number("stats db", "live");
    let old = reader.ask("snapshot db forgotten");
    writer.ask("fill db 500 4000 2 10 buffered");
    let soon = size(&path);
    writer.ask("fill db 500 4000 10 200 buffered");
    let late = size(&path);
    println!("{data} bytes of data; file after 10 rounds {soon}, after 200 rounds {late}");
    assert!(late <= soon + data / 4, "the file goes on growing: {soon}, {late}");
    // What it sees, what is there, what is being made, and what the last sync has left.
    assert!(late <= 5 * data, "{late} bytes for {data}");
    assert_eq!(reader.ask("read forgotten"), old);
    // One that was killed pins nothing any more: the same again needs no more room.
    reader.kill();
    writer.ask("fill db 500 4000 200 220 buffered");
    writer.ask("sync db");
    writer.ask("fill db 1 4000 220 222 immediate");
    let pending = writer.number("stats db", "pending");
    assert!(pending < 20, "{pending} pages are pinned");
    assert!(size(&path) <= late);
    writer.ask("check db");
}

#[test]
fn opening_a_file_twice_in_a_process_and_closing_one_leaves_the_other_its_locks() {
    let (_folder, path) = place();
    let (mut twice, mut other) = (started(&path), Talker::start());
    twice.ask("fill db 500 2000 1 2 immediate");
    twice.ask(&format!("open again {}", path.display()));
    let old = twice.ask("snapshot again old");
    twice.ask("begin again");
    twice.ask("work");
    twice.ask("close db");
    // Reading the files as anybody may, which ends the locks that POSIX gives.
    twice.ask(&format!("peek {}", path.display()));
    twice.ask(&format!("peek {}", lock_path(&path).display()));
    other.open(&path);
    assert!(other.refuses("begin db try").starts_with("WriterBusy"), "the write transaction is still there");
    twice.ask("commit immediate");
    // And so is the snapshot, whatever is written.
    other.ask("fill db 500 2000 2 30 buffered");
    other.ask("sync db");
    other.ask("fill db 500 2000 30 60 buffered");
    assert_eq!(twice.ask("read old"), old);
    // Nobody takes the database for closed, either.
    other.kill();
    assert_eq!(twice.number("snapshot again new", "stamp"), 59);
    fs::remove_file(lock_path(&path)).unwrap();
    let error = Talker::start().refuses(&format!("open db {}", path.display()));
    assert!(error.starts_with("LockFileReplaced"), "{error}");
    twice.ask("check again");
}

#[test]
fn killed_readers_never_use_up_the_reader_table() {
    let (_folder, path) = place();
    let kills = number("FOLIO_READER_KILLS", 1_000);
    let mut writer = started(&path);
    writer.ask("fill db 300 2000 1 2 immediate");
    let rounds = 10;
    let mut stamp = 2;
    let (mut first_size, mut first_lock) = (0, 0);
    for round in 0..rounds {
        // Each has a snapshot that nobody ends.
        let each = (kills / rounds / 2).to_string();
        let mut others = run(&["die"], &path, &["--times", &each]).spawn().unwrap();
        succeed(run(&["die"], &path, &["--times", &each]));
        assert!(others.wait().unwrap().success());
        writer.ask(&format!("fill db 300 2000 {stamp} {} buffered", stamp + 8));
        stamp += 8;
        if round == 0 {
            (first_size, first_lock) = (size(&path), size(&lock_path(&path)));
        }
    }
    let (last_size, last_lock) = (size(&path), size(&lock_path(&path)));
    println!(
        "{kills} readers killed; file {first_size}, {last_size}; lock file {first_lock}, {last_lock} bytes"
    );
    assert!(last_lock <= first_lock.max(64 << 10), "the reader table grows");
    assert!(last_size <= first_size + (1 << 20), "their pages are not reused");
    // And a reader comes in as ever.
    let mut reader = started(&path);
    assert_eq!(reader.number("snapshot db s", "stamp"), stamp - 1);
    writer.ask("sync db");
    writer.ask("fill db 1 2000 1 3 immediate");
    writer.ask("check db");
}

fn open(path: &Path) -> Database {
    open_with(path, Database::options().create(true)).unwrap()
}

#[test]
fn transactions_may_begin_in_one_thread_and_end_in_another() {
    let (_folder, path) = place();
    let db = open(&path);
    let mut other = started(&path);
    for round in 0..20 {
        let mut tx = db.begin_write().unwrap();
        let tx = std::thread::spawn(move || {
            tx.open(MOVED).unwrap().insert(round, round).unwrap();
            tx.set_durability(Durability::Buffered);
            tx
        });
        let tx = tx.join().unwrap();
        assert!(other.refuses("begin db try").starts_with("WriterBusy"));
        std::thread::spawn(move || tx.commit().unwrap()).join().unwrap();
        other.ask("apply db 1 buffered");
        let tx = db.begin_read().unwrap();
        let reader = std::thread::spawn(move || {
            assert_eq!(tx.open(MOVED).unwrap().len(), round + 1);
            tx
        });
        let tx = reader.join().unwrap();
        assert_eq!(tx.open(MOVED).unwrap().get(round).unwrap(), Some(round));
    }
}

#[test]
fn a_second_write_transaction_is_an_error_for_who_asks_and_no_deadlock() {
    let (_folder, path) = place();
    let db = open(&path);
    let tx = db.begin_write().unwrap();
    // Of the same thread, of another, and of another process.
    let limit = std::time::Duration::from_millis(2);
    assert!(matches!(db.try_begin_write(), Err(Error::WriterBusy)));
    assert!(matches!(db.begin_write_timeout(limit), Err(Error::WriterBusy)));
    std::thread::scope(|scope| {
        let busy = || matches!(db.try_begin_write(), Err(Error::WriterBusy));
        assert!(scope.spawn(busy).join().unwrap());
    });
    let mut other = started(&path);
    assert!(other.refuses("begin db try").starts_with("WriterBusy"));
    assert!(other.refuses("begin db within 2").starts_with("WriterBusy"));
    drop(tx);
    other.ask("begin db try");
    assert!(matches!(db.try_begin_write(), Err(Error::WriterBusy)));
    assert!(matches!(db.begin_write_timeout(limit), Err(Error::WriterBusy)));
    other.ask("commit buffered");
    drop(db.try_begin_write().unwrap());
}
