//! Goal: what one process does to the file's size the others see without any action of theirs, and nothing
//! is pulled from under them; and there is no number of readers to be guessed.
//! Method: a reader opens a small file, which a writer of another process grows a thousandfold, and empties
//! and compacts; thousands of snapshots in several processes.

use std::fs;
use std::path::Path;

use super::{Talker, number_in, place};
use crate::files::long_form;

const MIB: u64 = 1 << 20;

fn size(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

#[test]
fn a_reader_follows_a_file_that_grows_a_thousandfold_and_shrinks_again() {
    let (_folder, path) = place();
    let mut writer = Talker::start();
    writer.open(&path);
    let small = size(&path);
    assert!(small <= MIB / 4, "{small} bytes");
    // One that has address space for all of it from the start, and one that has for nothing.
    let mut readers = ["", "reserve=1", "read-only", "read-only reserve=1"].map(|options| {
        let mut reader = Talker::start();
        reader.ask(&format!("open db {} {options}", path.display()));
        reader
    });
    writer.ask("fill db 10 200 1 2 immediate");
    readers.iter_mut().for_each(|reader| drop(reader.ask("snapshot db small")));
    let mut stamp = 2;
    for rows in [100, 1_000, 16_000] {
        writer.ask(&format!("fill db {rows} 16000 {stamp} {} buffered", stamp + 1));
        for reader in &mut readers {
            let seen = reader.ask("snapshot db new");
            assert_eq!((number_in(&seen, "stamp"), number_in(&seen, "cells")), (stamp, rows));
            let seen = reader.ask("read small");
            assert_eq!((number_in(&seen, "stamp"), number_in(&seen, "cells")), (1, 10));
        }
        stamp += 1;
    }
    let large = size(&path);
    println!("{small} bytes of file, then {large}");
    assert!(large >= 1_000 * small);
    // What it has seen is left where it is.
    writer.ask("clear db");
    writer.ask("compact db");
    writer.ask("apply db 20 immediate");
    for reader in &mut readers {
        let seen = reader.ask("read new");
        assert_eq!((number_in(&seen, "stamp"), number_in(&seen, "cells")), (stamp - 1, 16_000));
    }
    assert!(size(&path) >= large / 2, "they still see all of it");
    let [first, second, third, fourth] = readers;
    first.kill();
    for mut reader in [second, third] {
        assert_eq!(reader.number("snapshot db new", "cells"), 0);
        reader.ask("read small");
        reader.exit();
    }
    assert!(size(&path) >= large / 2, "one still sees all of it");
    fourth.kill();
    writer.ask("compact db");
    let rest = size(&path);
    println!("{rest} bytes when no reader is left");
    assert!(rest <= 4 * MIB, "{rest} bytes are left");
    writer.ask("check db");
}

#[test]
fn five_thousand_readers_need_no_option() {
    let (_folder, path) = place();
    let mut writer = Talker::start();
    writer.open(&path);
    writer.ask("apply db 3 immediate");
    let mut readers: Vec<Talker> = (0..5).map(|_| Talker::start()).collect();
    for (i, reader) in readers.iter_mut().enumerate() {
        let options = if i % 2 == 0 { "" } else { " read-only" };
        reader.ask(&format!("open db {}{options}", path.display()));
    }
    // All at once, in four threads of each process.
    readers.iter_mut().for_each(|reader| reader.tell("hold db 1000 4"));
    let held = "ok 1000 of Some(3)..Some(3)";
    readers.iter_mut().for_each(|reader| assert_eq!(reader.answer(), held));
    writer.ask("apply db 20 buffered");
    readers.iter_mut().for_each(|reader| assert_eq!(reader.ask("hold db 0 1"), held[3..]));
    if long_form() {
        readers.iter_mut().for_each(|reader| drop(reader.ask("hold db 20000 4")));
    }
    let pinned = writer.number("stats db", "pending");
    // Some let go, some are killed.
    for (i, mut reader) in readers.into_iter().enumerate() {
        if i % 2 == 0 {
            reader.ask("release");
            reader.exit();
        } else {
            reader.kill();
        }
    }
    writer.ask("apply db 3 immediate");
    let left = writer.number("stats db", "pending");
    println!("{pinned} pages pinned by 5,000 snapshots, {left} when they are gone");
    writer.ask("check db");
}
