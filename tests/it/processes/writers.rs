//! Goal: writers of several processes take turns: none waits for ever, those who do not want to wait need
//! not, and whoever is killed, writing or waiting, is in nobody's way.
//! Method: processes that do what they are told. That one of them waits is seen where the kernel shows in
//! which call a process is.

use std::time::Instant;

use super::{HANGS, Talker, number_in, place};

/// It has been told something, and waits for a lock of a file to do it.
#[track_caller]
fn wait_until_it_waits(talker: &mut Talker) {
    assert_eq!(talker.answer_unless_it_waits(), None);
}

fn started(path: &std::path::Path) -> Talker {
    let mut talker = Talker::start();
    talker.open(path);
    talker
}

/// Whether tight loops of so many processes leave each other a fair share.
fn check_fairness(processes: usize) {
    let (_folder, path) = place();
    let mut all: Vec<Talker> = (0..processes).map(|_| started(&path)).collect();
    let mut watcher = started(&path);
    for (i, other) in all[1..].iter_mut().enumerate() {
        // More than it will come to.
        other.tell(&format!("tally db other{i} 1000000"));
    }
    // Only when all of them are at it.
    let start = Instant::now();
    while number_in(&watcher.ask("tally db watcher 1"), "writers") < processes as u64 {
        assert!(start.elapsed() < HANGS, "they do not begin");
    }
    let answer = all[0].ask("tally db first 1000");
    println!("{processes} processes in tight loops: {answer}");
    let least = number_in(&answer, "least");
    assert!(least > 100, "while one committed 1,000 times, another did {least} times");
    watcher.ask("check db");
}

#[test]
fn two_processes_in_tight_loops_each_get_a_fair_share() {
    check_fairness(2);
}

#[test]
fn four_processes_in_tight_loops_each_get_a_fair_share() {
    check_fairness(4);
}

#[test]
fn who_does_not_want_to_wait_for_another_process_need_not() {
    let (_folder, path) = place();
    let (mut first, mut second) = (started(&path), started(&path));
    first.ask("begin db");
    first.ask("work");
    for limit in ["try", "within 1", "within 30"] {
        let error = second.refuses(&format!("begin db {limit}"));
        assert!(error.starts_with("WriterBusy"), "{error}");
    }
    // It waits for nobody to read, though.
    assert_eq!(second.number("snapshot db s", "version"), 0);
    first.ask("commit immediate");
    for (n, limit) in ["try", "within 1", "within 10000"].into_iter().enumerate() {
        second.ask(&format!("begin db {limit}"));
        assert!(first.refuses("begin db try").starts_with("WriterBusy"));
        assert_eq!(second.ask("work"), (n + 2).to_string());
        second.ask("commit buffered");
    }
    // Somebody who waits in turn goes before somebody who tries.
    first.ask("begin db");
    second.tell("begin db");
    wait_until_it_waits(&mut second);
    let mut third = started(&path);
    assert!(third.refuses("begin db try").starts_with("WriterBusy"));
    first.ask("abort");
    assert!(second.answer().starts_with("ok"));
    assert!(third.refuses("begin db within 5").starts_with("WriterBusy"));
}

#[test]
fn a_writer_killed_in_a_transaction_leaves_the_last_whole_commit() {
    let (_folder, path) = place();
    let (mut next, mut reader) = (started(&path), started(&path));
    next.ask("apply db 5 buffered");
    next.ask("fill db 300 2000 1 2 buffered");
    for round in 0..6_u64 {
        let mut killed = Talker::start();
        // With little memory, most of the transaction is in the file by then.
        killed.ask(&format!("open db {} memory-limit=65536", path.display()));
        killed.ask("begin db");
        killed.ask("work");
        killed.ask("rows 300 2000 99");
        if round % 2 == 0 {
            next.tell("apply db 1 immediate");
            wait_until_it_waits(&mut next);
            killed.kill();
            assert_eq!(next.answer(), format!("ok {}", 6 + round));
        } else {
            killed.kill();
            next.ask("begin db try");
            assert_eq!(next.ask("work"), (6 + round).to_string());
            next.ask("commit buffered");
        }
        let seen = reader.ask("snapshot db s");
        let found = (number_in(&seen, "version"), number_in(&seen, "stamp"), number_in(&seen, "cells"));
        assert_eq!(found, (6 + round, 1, 300));
        next.ask("check db");
    }
}

#[test]
fn who_is_killed_while_it_waits_for_its_turn_is_in_nobodys_way() {
    let (_folder, path) = place();
    let (mut first, mut second, mut third) = (started(&path), started(&path), started(&path));
    first.ask("begin db");
    second.tell("begin db");
    wait_until_it_waits(&mut second);
    third.tell("begin db");
    wait_until_it_waits(&mut third);
    // First in line, and the one behind.
    second.kill();
    let mut fourth = started(&path);
    assert!(fourth.refuses("begin db try").starts_with("WriterBusy"));
    third.kill();
    first.ask("work");
    first.ask("commit buffered");
    // Nobody is in line.
    fourth.ask("begin db try");
    fourth.ask("abort");
    first.ask("apply db 3 immediate");
    assert_eq!(fourth.ask("apply db 1 immediate"), "5");
    fourth.ask("check db");
}

#[test]
fn a_stopped_writer_keeps_its_turn() {
    let (_folder, path) = place();
    let (mut first, mut second) = (started(&path), started(&path));
    first.ask("begin db");
    first.ask("work");
    first.stop();
    assert!(second.refuses("begin db within 20").starts_with("WriterBusy"));
    second.tell("apply db 1 immediate");
    wait_until_it_waits(&mut second);
    first.signal("CONT");
    first.ask("commit buffered");
    assert_eq!(second.answer(), "ok 2");
    second.ask("check db");
}

#[test]
fn who_waits_in_line_is_next_however_slow_it_is() {
    let (_folder, path) = place();
    let (mut first, mut second) = (started(&path), started(&path));
    first.ask("begin db");
    first.ask("work");
    second.tell("apply db 1 buffered");
    wait_until_it_waits(&mut second);
    // It does not even see that the lock is free.
    second.stop();
    first.ask("commit buffered");
    for limit in ["try", "within 20"] {
        assert!(first.refuses(&format!("begin db {limit}")).starts_with("WriterBusy"));
    }
    first.tell("apply db 1 buffered");
    wait_until_it_waits(&mut first);
    second.signal("CONT");
    assert_eq!((second.answer(), first.answer()), ("ok 2".to_owned(), "ok 3".to_owned()));
    // Unless it is killed.
    first.ask("begin db");
    second.tell("apply db 1 buffered");
    wait_until_it_waits(&mut second);
    second.stop();
    first.ask("abort");
    second.kill();
    first.ask("begin db try");
}
