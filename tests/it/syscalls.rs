//! Goal: what commits and openings ask of the system: one `msync` for each durable commit that waits alone,
//! fewer where several wait, two writes, six calls for locks; and opening reads what was written last,
//! however large the file is.
//! Method: strace counts the calls of the program `torture`. `FOLIO_LONG=1` ages a file of a million entries.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::files::{long_form, say_untested};
use crate::torture::{folder_on_disk, has_strace, program, run, succeed};

const COMMITS: usize = 1_000;

/// Calls of a run of the program on `db`, in order: name and the whole line, with the paths of descriptors.
fn calls(db: &Path, words: &[&str]) -> Vec<(String, String)> {
    let trace = db.with_extension("trace");
    let traced = "trace=msync,fsync,fdatasync,sync_file_range,sync,syncfs,pwrite64,pwritev,pwritev2,pread64,\
                  preadv,ftruncate,fallocate,flock,fcntl,?fstat,?newfstatat,?statx,?prlimit64";
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-qq", "-o"]).arg(&trace).args(["-e", traced]).arg(program()).arg(words[0]);
    let status = command.arg(db).args(&words[1..]).status().unwrap();
    let text = fs::read_to_string(&trace).unwrap();
    assert!(status.success() || words.contains(&"kill"), "{words:?}: {status}");
    let call = |line: &str| {
        let call = line.split_once(' ')?.1.trim_start();
        Some((call.split_once('(')?.0.to_owned(), line.to_owned()))
    };
    text.lines().filter_map(call).collect()
}

fn count(calls: &[(String, String)], name: &str) -> usize {
    calls.iter().filter(|call| call.0 == name).count()
}

/// Whether the call is about a lock file: what is written there is nothing that has to last.
fn is_on_lock_file(line: &str) -> bool {
    line.contains("-lock>")
}

/// Writes that are no growth. What a file grows by is written with zeros, and handed to the disk at once.
fn writes(calls: &[(String, String)]) -> usize {
    let (mut all, mut since) = (0, 0);
    for (name, _) in calls.iter().filter(|call| !is_on_lock_file(&call.1)) {
        match name.as_str() {
            "pwrite64" | "pwritev" | "pwritev2" => since += 1,
            "sync_file_range" => since = 0,
            "msync" => {
                all += since;
                since = 0;
            }
            _ => {}
        }
    }
    all + since
}

/// A session of durable commits of one entry each: one sync a commit, one before the first for the ceiling of
/// transaction numbers, one of the meta page of a clean end, and no other. How many writes a commit.
fn check_session(db: &Path, more: &[&str]) -> f64 {
    let commits = COMMITS.to_string();
    let words: Vec<&str> = ["inserts", "--commits", &commits].iter().chain(more).copied().collect();
    let calls = calls(db, &words);
    assert_eq!(count(&calls, "msync"), COMMITS + 2);
    for other in ["fsync", "fdatasync", "sync", "syncfs"] {
        assert_eq!(count(&calls, other), 0, "{other}");
    }
    // A commit takes and lets go of the writer lock on the file, and in the lock file those of the leader and
    // of the head record. To come in and to leave takes a few more.
    for (call, each) in [("flock", 2), ("fcntl", 4)] {
        let more = count(&calls, call).checked_sub(each * COMMITS);
        assert!(more.is_some_and(|more| more <= 40), "{} calls of {call}", count(&calls, call));
    }
    // Who asks for the file's times has the next sync write its inode; and limits hardly ever change.
    let asked = ["fstat", "newfstatat", "statx", "prlimit64"].map(|call| count(&calls, call));
    assert!(asked.iter().sum::<usize>() <= COMMITS / 4, "{asked:?} calls that ask for what is known");
    let in_lock_file = |call: &&(String, String)| call.0.starts_with("pwrite") && is_on_lock_file(&call.1);
    assert!(calls.iter().filter(in_lock_file).count() <= 2, "the lock file is written when it is opened");
    // The meta pages of the ceiling and of the end are no commit's.
    let writes = writes(&calls) - 2;
    let each = f64::from(u32::try_from(writes).unwrap()) / 1_000.0;
    println!("{COMMITS} durable commits: {each} writes each, {} in all", count(&calls, "pwritev"));
    each
}

fn loaded(entries: u64) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = folder_on_disk();
    let db = folder.path().join("db.folio");
    succeed(run(&["load"], &db, &["--entries", &entries.to_string()]));
    (folder, db)
}

#[test]
fn a_durable_commit_is_one_sync_six_locks_and_two_writes_or_four_on_an_aged_file() {
    if !has_strace("how often commits sync and write") {
        return;
    }
    // What a thousand commits write is less than a file that large may grow by before it fills its gaps.
    let (_folder, db) = loaded(if long_form() { 1_000_000 } else { 300_000 });
    let fresh = check_session(&db, &[]);
    assert!(fresh <= 2.0, "{fresh}");
    // Twice as many overwrites as there are entries, a thousandth of them at a time.
    let entries = if long_form() { 1_000_000 } else { 40_000 };
    let (_folder, db) = loaded(entries);
    let (entries, batch) = (entries.to_string(), (entries / 1_000).to_string());
    let aging = ["--commits", "2000", "--overwrite", &entries, "--batch", &batch, "--levels", "buffered"];
    succeed(run(&["inserts"], &db, &aging));
    let aged = check_session(&db, &["--overwrite", &entries]);
    assert!(aged <= 4.0, "{aged}");
}

/// How many meta pages have been written: the greater of the two numbers. FORMAT.md, "Meta page".
fn meta_pages_written(db: &Path) -> u64 {
    let bytes = fs::read(db).unwrap();
    let number = |meta: usize| u64::from_le_bytes(bytes[meta + 72..meta + 80].try_into().unwrap());
    number(0).max(number(64 << 10))
}

/// Each sync of commits that ask for one flush is that of a meta page: nothing has to be traced, which would
/// make the calls slow and leave more to share.
#[test]
fn threads_that_wait_share_their_syncs() {
    let (_folder, db) = loaded(1_000);
    let found = Command::new("stat").args(["-f", "-c", "%T"]).arg(&db).output().unwrap();
    let kind = String::from_utf8(found.stdout).unwrap().trim().to_owned();
    if !["ext2/ext3", "xfs", "btrfs"].contains(&kind.as_str()) {
        say_untested(&format!("how many syncs four threads share: nobody waits for a disk on {kind:?}"));
        return;
    }
    // A machine that is busy elsewhere may keep the threads from meeting.
    let fewest = (0..5).map(|_| {
        let before = meta_pages_written(&db);
        succeed(run(&["inserts"], &db, &["--threads", "4", "--commits", "1000"]));
        let syncs = meta_pages_written(&db) - before;
        println!("1,000 commits of 4 threads: {syncs} syncs");
        syncs
    });
    // How many are shared is a matter of the disk: 500 to 550 on an idle one. That those who wait share what
    // comes next is certain, and tested with syncs that are held.
    let most = if long_form() { 600 } else { 800 };
    assert!(fewest.into_iter().any(|syncs| syncs <= most));
}

/// Bytes that opening reads, with `pread`, after a writer was killed.
fn bytes_read_after_a_kill(db: &Path, inserts: &[&str]) -> u64 {
    let mut command = run(&["inserts"], db, inserts);
    assert!(!command.args(["--end", "kill"]).status().unwrap().success());
    let calls = calls(db, &["open"]);
    let result = |line: &str| line.rsplit_once("= ").and_then(|(_, result)| result.trim().parse().ok());
    let reads = calls.iter().filter(|call| call.0 == "pread64" || call.0 == "preadv");
    reads.map(|call| result(&call.1).unwrap_or(0)).sum()
}

#[test]
fn opening_after_a_kill_reads_what_was_written_last_whatever_the_size() {
    if !has_strace("how much opening reads") {
        return;
    }
    let (_small, small) = loaded(2_000);
    let (_large, large) = loaded(if long_form() { 2_000_000 } else { 100_000 });
    for db in [&small, &large] {
        let read = bytes_read_after_a_kill(db, &["--commits", "200"]);
        println!("{} of file: {read} bytes read after durable commits", fs::metadata(db).unwrap().len());
        assert!(read <= 64 << 10, "{read} bytes");
    }
    // After buffered ones, what they wrote since the last sync: at most as much as is synced by itself.
    let buffered = |commits: &str, after: &str| {
        bytes_read_after_a_kill(
            &large,
            &["--commits", commits, "--levels", "buffered", "--checkpoint-after", after],
        )
    };
    let (few, many) = (buffered("20", "67108864"), buffered("400", "67108864"));
    let bounded = buffered("4000", "1000000");
    println!("after 20, 400 and 4,000 buffered commits: {few}, {many}, {bounded} bytes read");
    assert!(few < many, "{few} and {many}");
    assert!(bounded <= 3_000_000, "{bounded}");
}
