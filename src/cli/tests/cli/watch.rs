//! Goal: `watch` shows every commit of another process once, exactly, and ends when it is told to.
//! Method: the tool in a process of its own, whose output is read line by line: a line that was read says how
//! far it is, so nothing waits for the clock. Others change the table: the tool again, or this process.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use crate::{Place, tool};

/// A `folio watch` under way.
pub(crate) struct Watch {
    pub(crate) child: Child,
    /// Until it is closed.
    out: Option<BufReader<ChildStdout>>,
}

impl Watch {
    /// Starts it, and returns when it has said where it begins.
    #[track_caller]
    pub(crate) fn start(place: &Place, arguments: &[&str], entries: u64) -> (Watch, u64) {
        let mut command = Command::new(tool());
        command.arg("watch").args(arguments).current_dir(place.folder.path());
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = child.stdout.take().map(BufReader::new);
        let mut watch = Watch { child, out };
        let first = watch.line();
        let rest = first.strip_prefix("transaction ").or_else(|| first.strip_prefix("{\"txn\":")).unwrap();
        let txn: u64 = rest.split([':', ',']).next().unwrap().parse().unwrap();
        let end = if entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") };
        let begins =
            [format!("transaction {txn}: {end}"), format!("{{\"txn\":{txn},\"entries\":{entries}}}")];
        assert!(begins.contains(&first), "{first}");
        (watch, txn)
    }

    /// The next line, without its end; empty at the end of the output.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.as_mut().unwrap().read_line(&mut line).unwrap();
        line.trim_end_matches('\n').to_owned()
    }

    /// A line that says which transactions follow; they are put in by `TXN`.
    #[track_caller]
    fn shows(&mut self, txn: &str, lines: &[&str]) {
        for expected in lines {
            assert_eq!(self.line(), expected.replace("TXN", txn));
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// A signal is on its way when `kill` has returned.
    #[cfg(target_os = "linux")]
    pub(crate) fn wait_until_stopped(&self) {
        let stat = format!("/proc/{}/stat", self.child.id());
        let state = || std::fs::read_to_string(&stat).unwrap().split(") ").nth(1).unwrap().as_bytes()[0];
        while state() != b'T' {
            std::thread::yield_now();
        }
    }

    /// Closes its output, and waits for its end, which is quiet.
    #[track_caller]
    fn closes(mut self) {
        drop(self.out.take());
        assert_eq!(self.ends().code(), Some(0));
    }

    /// Waits for its end, after which there is nothing more on its output and nothing on standard error.
    #[track_caller]
    pub(crate) fn ends(mut self) -> ExitStatus {
        let (mut rest, mut err) = (String::new(), String::new());
        if let Some(out) = &mut self.out {
            out.read_to_string(&mut rest).unwrap();
        }
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!((rest.as_str(), err.as_str()), ("", ""));
        self.child.wait().unwrap()
    }
}

impl Drop for Watch {
    /// A test that failed leaves no process behind.
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The database in this process, for what the tool cannot do.
#[expect(unsafe_code, reason = "the contract of a mapped file")]
pub(crate) fn open(place: &Place, name: &str) -> folio::Database {
    // SAFETY: nobody but Folio writes to the file.
    unsafe { folio::Database::open(place.path(name)) }.unwrap()
}

#[test]
fn every_commit_is_shown_once() {
    let place = Place::with_words();
    let (mut watch, txn) = Watch::start(&place, &["words.folio", "words", "--count", "4"], 5);
    let number = |commits: u64| (txn + commits).to_string();
    place.run(&["put", "words.folio", "words", "apricot", "orange"]).succeeds();
    watch.shows(&number(1), &["transaction TXN: 1 inserted", "+\tapricot\torange"]);
    place.run(&["put", "words.folio", "words", "apple", "a\\ttree"]).succeeds();
    watch.shows(&number(2), &["transaction TXN: 1 changed", "~\tapple\ta fruit\ta\\ttree"]);
    place.run(&["del", "words.folio", "words", "--prefix", "b"]).succeeds();
    watch.shows(&number(3), &["transaction TXN: 2 removed", "-\tbanana", "-\tblackberry"]);
    // The same once more is no change; nor is another table.
    place.run(&["put", "words.folio", "words", "apple", "a\\ttree"]).succeeds();
    place.run(&["put", "words.folio", "other", "key", "value"]).succeeds();
    place.run(&["put", "words.folio", "words", "fig", ""]).succeeds();
    let header = watch.line();
    assert!(header.starts_with("transaction") && header.ends_with(": 1 inserted"), "{header}");
    watch.shows("", &["+\tfig\t"]);
    assert_eq!(watch.ends().code(), Some(0));
}

#[test]
fn a_range_hides_all_other_keys() {
    let place = Place::with_words();
    let arguments = ["words.folio", "words", "--prefix", "b", "--count", "1"];
    let (mut watch, _) = Watch::start(&place, &arguments, 2);
    place.run(&["put", "words.folio", "words", "apple", "x"]).succeeds();
    place.run_with(&["load", "words.folio", "words"], b"apple\ty\nbanana\tshort\ncherry\tz\n").succeeds();
    assert!(watch.line().ends_with(": 1 changed"));
    watch.shows("", &["~\tbanana\tlong\tshort"]);
    assert_eq!(watch.ends().code(), Some(0));
}

#[test]
fn jsonl_has_an_object_for_each_change() {
    let place = Place::with_words();
    let arguments = ["words.folio", "words", "--format", "jsonl", "--count", "3"];
    let (mut watch, txn) = Watch::start(&place, &arguments, 5);
    let number = |commits: u64| (txn + commits).to_string();
    place.run(&["put", "words.folio", "words", "apple", "\\xff\""]).succeeds();
    watch.shows(
        &number(1),
        &[concat!(
            r#"{"first_txn":TXN,"txn":TXN,"change":"changed","key":"apple","#,
            r#""before":"a fruit","after_base64":"/yI="}"#
        )],
    );
    place.run(&["del", "words.folio", "words", "date"]).succeeds();
    watch.shows(&number(2), &[r#"{"first_txn":TXN,"txn":TXN,"change":"removed","key":"date","before":""}"#]);
    place.run(&["put", "words.folio", "words", "\\xfe", "x"]).succeeds();
    watch.shows(
        &number(3),
        &[r#"{"first_txn":TXN,"txn":TXN,"change":"inserted","key_base64":"/g==","after":"x"}"#],
    );
    assert_eq!(watch.ends().code(), Some(0));
}

#[test]
fn it_ends_when_nobody_reads_its_output_though_nothing_is_committed() {
    let place = Place::with_words();
    let (watch, _) = Watch::start(&place, &["words.folio", "words"], 5);
    watch.closes();
}

#[test]
fn it_ends_so_while_other_tables_change_without_pause_too() {
    let place = Place::with_words();
    let (mut watch, _) = Watch::start(&place, &["words.folio", "words"], 5);
    drop(watch.out.take());
    let db = open(&place, "words.folio");
    while watch.child.try_wait().unwrap().is_none() {
        let mut tx = db.begin_write().unwrap();
        tx.set_durability(folio::Durability::Buffered);
        let txn = tx.txn().to_le_bytes();
        tx.create_raw("other", "bytes", "bytes").unwrap().insert(b"key", &txn).unwrap();
        tx.commit().unwrap();
    }
    assert_eq!(watch.ends().code(), Some(0));
}

#[test]
fn a_reader_that_goes_away_ends_it_at_the_next_line_too() {
    let place = Place::with_words();
    // Each line that is shown makes the next commit, until `head` has had enough.
    let put = "read -r line; echo \"$line\"; folio put words.folio words fig \"$line\"";
    let line = format!("{{ folio watch words.folio words; echo \"exit code $?\" >&2; }} | {{ {put}; }}");
    let run = place.shell(&line);
    assert_eq!((run.code, run.err.as_str()), (Some(0), "exit code 0\n"));
}

#[test]
fn an_interrupt_ends_it_as_it_ends_other_tools() {
    use std::os::unix::process::ExitStatusExt;
    let place = Place::with_words();
    let (watch, _) = Watch::start(&place, &["words.folio", "words"], 5);
    watch.signal("INT");
    assert_eq!(watch.ends().signal(), Some(2));
    // And nothing of it is left: the next one begins as if it had not been.
    place.run(&["put", "words.folio", "words", "fig", ""]).succeeds();
    place.run(&["check", "words.folio"]).succeeds();
}

/// Stopped, the tool sees nothing of what is committed meanwhile, and then all at once.
#[test]
#[cfg(target_os = "linux")]
fn commits_between_two_looks_are_shown_as_one() {
    let place = Place::with_words();
    let (mut watch, txn) = Watch::start(&place, &["words.folio", "words", "--count", "2"], 5);
    watch.signal("STOP");
    watch.wait_until_stopped();
    for value in ["1", "2", "3"] {
        place.run(&["put", "words.folio", "words", "fig", value]).succeeds();
    }
    place.run(&["del", "words.folio", "words", "apple"]).succeeds();
    watch.signal("CONT");
    let header = format!("transactions {} to {}: 1 inserted, 1 removed", txn + 1, txn + 4);
    watch.shows("", &[&header, "-\tapple", "+\tfig\t3"]);
    place.run(&["del", "words.folio", "words", "fig"]).succeeds();
    watch.shows(&(txn + 5).to_string(), &["transaction TXN: 1 removed", "-\tfig"]);
    assert_eq!(watch.ends().code(), Some(0));
}

#[test]
fn a_table_may_be_dropped_and_made_anew_with_other_types() {
    let place = Place::with_types("str", "u64");
    place.run(&["put", "x.folio", "t", "one", "1"]).succeeds();
    let (mut watch, _) = Watch::start(&place, &["x.folio", "t", "--count", "3"], 1);
    let db = open(&place, "x.folio");
    let commit = |change: &dyn Fn(&folio::WriteTransaction)| {
        let tx = db.begin_write().unwrap();
        change(&tx);
        tx.commit().unwrap().txn.to_string()
    };
    let txn = commit(&|tx| assert!(tx.drop_table("t").unwrap()));
    watch.shows(&txn, &["transaction TXN: 1 removed", "-\tone"]);
    let create = |tx: &folio::WriteTransaction, value_type, value: &[u8]| {
        tx.create_raw("t", "str", value_type).unwrap().insert(b"one", value).unwrap();
    };
    let txn = commit(&|tx| create(tx, "str", b"first"));
    watch.shows(&txn, &["transaction TXN: 1 inserted", "+\tone\tfirst"]);
    let txn = commit(&|tx| {
        tx.drop_table("t").unwrap();
        create(tx, "u64", &7u64.to_le_bytes());
    });
    watch.shows(&txn, &["transaction TXN: 1 inserted, 1 removed", "-\tone", "+\tone\t7"]);
    assert_eq!(watch.ends().code(), Some(0));
}

#[test]
fn what_cannot_be_watched_is_an_error_at_once() {
    let place = Place::with_words();
    place.run(&["watch", "no.folio", "words"]).fails(1, &["no.folio", "does not exist"]);
    place.run(&["watch", "words.folio", "verbs"]).fails(1, &["no table", "verbs"]);
    place.run(&["watch", "words.tsv", "words"]).fails(1, &["words.tsv", "not a Folio database"]);
    let run = place.run(&["watch", "words.folio", "words", "--count", "0"]).succeeds();
    assert!(run.text().ends_with(": 5 entries\n"), "{}", run.text());
}
