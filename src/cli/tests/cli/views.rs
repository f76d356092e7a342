//! Goal: `info`, `pages`, `page`, `tree` and `free` show what is in a file, whatever that is, and change
//! nothing.
//! Method: small files whose content is known, compared as a whole where the numbers are always the same;
//! empty, damaged, hostile and foreign files; random bytes.

use std::fs;

use serde_json::Value;

use crate::watch::open;
use crate::{Place, Run};

/// What a command wrote, line by line as JSON.
fn lines(run: &Run) -> Vec<Value> {
    run.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The pages of a kind.
fn pages(place: &Place, kind: &str) -> Vec<u64> {
    let run = place.run(&["pages", "words.folio", "--kind", kind, "--json"]).succeeds();
    lines(&run).iter().map(|page| page["page"].as_u64().unwrap()).collect()
}

/// The leaf of the table `words`.
fn leaf(place: &Place) -> u64 {
    let run = place.run(&["pages", "words.folio", "--kind", "leaf", "--table", "words", "--json"]).succeeds();
    lines(&run)[0]["page"].as_u64().unwrap()
}

/// Exit code 1 with results on standard output and nothing on standard error.
#[track_caller]
fn finds_fault(run: Run) -> String {
    assert_eq!((run.code, run.err.as_str()), (Some(1), ""), "{}", run.text());
    run.text()
}

/// Numbers that depend on the database's id are left out.
fn without_sums(text: &str) -> String {
    let mut shown = String::new();
    for line in text.lines() {
        match line.split_once("0x") {
            Some((before, behind)) => {
                let rest = behind.trim_start_matches(|c: char| c.is_ascii_hexdigit());
                shown.push_str(&format!("{before}SUM{rest}\n"));
            }
            None => shown.push_str(&format!("{line}\n")),
        }
    }
    shown
}

/// Changes a byte of a page.
fn damage(place: &Place, page: u64, at: u64) {
    let mut bytes = fs::read(place.path("words.folio")).unwrap();
    bytes[usize::try_from(page * 4096 + at).unwrap()] ^= 0x10;
    place.write("words.folio", &bytes);
}

#[test]
fn info_says_which_meta_page_counts_and_changes_nothing() {
    let place = Place::with_words();
    let (before, lock) = (fs::read(place.path("words.folio")).unwrap(), place.path("words.folio-lock"));
    fs::remove_file(&lock).unwrap();
    let text = place.run(&["info", "words.folio"]).succeeds().text();
    for part in
        ["closed in good order", "nobody has the database open", "version 1", "it is the newer one", "clean"]
    {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    let json: Value =
        serde_json::from_slice(&place.run(&["info", "words.folio", "--json"]).succeeds().out).unwrap();
    let current = usize::try_from(json["current"].as_u64().unwrap()).unwrap();
    let (meta, other) = (&json["metas"][current], &json["metas"][1 - current]);
    assert!(meta["sequence"].as_u64() > other["sequence"].as_u64());
    assert_eq!((&meta["state"], &other["state"]), (&"current".into(), &"older".into()));
    assert_eq!(
        (&json["opens"], &json["clean"], &json["refusal"]),
        (&true.into(), &true.into(), &Value::Null)
    );
    assert_eq!(json["lock_file"]["bytes"], Value::Null);
    assert_eq!(json["lock_file"]["presence"], "nobody");
    assert_eq!(json["file_bytes"], before.len());
    assert!(!lock.exists(), "it makes no lock file");
    assert_eq!(fs::read(place.path("words.folio")).unwrap(), before);
    let stat: Value =
        serde_json::from_slice(&place.run(&["stat", "words.folio", "--json"]).succeeds().out).unwrap();
    assert_eq!((&json["txn"], &meta["page_count"]), (&stat["txn"], &stat["pages"]));
}

#[test]
fn info_asks_those_who_have_the_database_open() {
    let place = Place::with_words();
    let db = open(&place, "words.folio");
    let mut tx = db.begin_write().unwrap();
    tx.set_durability(folio::Durability::Buffered);
    tx.open_raw("words").unwrap().insert(b"egg", b"brown").unwrap();
    let txn = tx.commit().unwrap().txn;
    let text = place.run(&["info", "words.folio"]).succeeds().text();
    assert!(
        text.contains("open, by at least one that can write") && text.contains("newest commit"),
        "{text}"
    );
    let json: Value =
        serde_json::from_slice(&place.run(&["info", "words.folio", "--json"]).succeeds().out).unwrap();
    assert_eq!((&json["in_use"], &json["opens"]), (&true.into(), &true.into()));
    let words = &json["lock_file"]["words"];
    assert_eq!((&words["head_txn"], &words["visible_txn"]), (&txn.into(), &txn.into()));
    assert!(words["durable_txn"].as_u64().unwrap() < txn);
    drop(db);
}

#[test]
fn info_says_why_a_file_does_not_open() {
    let place = Place::with_words();
    let bytes = fs::read(place.path("words.folio")).unwrap();
    place.write("cut.folio", &bytes[..70_000]);
    place.write("empty.folio", b"");
    place.write("text.folio", &b"no database at all\n".repeat(5000));
    for (name, reason) in [("cut", "truncated"), ("empty", "it is empty"), ("text", "does not begin as one")]
    {
        let name = format!("{name}.folio");
        let text = finds_fault(place.run(&["info", &name]));
        let last = text.lines().last().unwrap();
        assert!(last.starts_with("does not open: ") && last.contains(reason), "{text}");
        let run = place.run(&["info", &name, "--json"]);
        let json: Value = serde_json::from_slice(&run.out).unwrap();
        assert_eq!((run.code, &json["opens"]), (Some(1), &false.into()));
        assert!(json["refusal"].as_str().unwrap().contains(reason));
        assert!(!place.path(&format!("{name}-lock")).exists());
    }
    place.run(&["info", "nothing.folio"]).fails(1, &["nothing.folio", "does not exist"]);
    place.run(&["info", "."]).fails(1, &["directory"]);
}

/// What `info` says as JSON.
fn info(place: &Place) -> Value {
    serde_json::from_slice(&place.run(&["info", "words.folio", "--json"]).succeeds().out).unwrap()
}

#[test]
fn info_shows_a_torn_meta_page_and_does_not_call_the_end_clean() {
    for slot in [0, 1] {
        let place = Place::with_words();
        let sound = info(&place);
        let text = place.run(&["info", "words.folio"]).succeeds().text();
        assert_eq!(sound["clean"], true);
        assert!(text.contains("  closed in good order"), "{text}");
        damage(&place, slot * 16, 2000);
        let text = place.run(&["info", "words.folio"]).succeeds().text();
        let slot = usize::try_from(slot).unwrap();
        let (name, other) = [("first", "second"), ("second", "first")][slot];
        for part in [
            &format!("current      the {other}: the other one cannot be used"),
            "last end     not closed in good order",
            &format!("the {name} meta page: "),
        ] {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
        let torn = info(&place);
        assert_eq!([&torn["clean"], &torn["current"]], [&Value::Bool(false), &Value::from(1 - slot)]);
        assert_eq!(
            [&torn["metas"][slot]["state"], &torn["metas"][1 - slot]["state"]],
            ["unusable", "current"]
        );
        // Both meta pages of a clean close name the same root.
        assert_eq!([&torn["opens"], &torn["txn"]], [&Value::Bool(true), &sound["txn"]]);
        // Opening says the same.
        let stat = place.run(&["stat", "words.folio"]);
        assert!(stat.err.contains("the last end was unclean"), "{}", stat.err);
    }
}

#[test]
fn pages_lists_every_page_once_and_adds_up_to_stat() {
    let place = Place::with_words();
    let lines_of: String = (0..3000).map(|n| format!("{n:05}\t{}\n", "x".repeat(n % 300))).collect();
    place.run_with(&["load", "words.folio", "more"], lines_of.as_bytes()).succeeds();
    place.run_with(&["put", "words.folio", "more", "long"], &[b'v'; 20_000]).succeeds();
    let stat: Value =
        serde_json::from_slice(&place.run(&["stat", "words.folio", "--json"]).succeeds().out).unwrap();
    let records = lines(&place.run(&["pages", "words.folio", "--json"]).succeeds());
    let mut end = 0;
    for record in &records {
        assert_eq!(record["page"], end, "{record}");
        end += record["pages"].as_u64().unwrap();
    }
    assert_eq!(end, stat["pages"]);
    let sum = |kind: &str| -> u64 {
        let of_kind = records.iter().filter(|record| record["kind"] == kind);
        of_kind.map(|record| record["pages"].as_u64().unwrap()).sum()
    };
    for (kind, name) in [
        ("branch", "branch_pages"),
        ("leaf", "leaf_pages"),
        ("overflow", "overflow_pages"),
        ("freelog", "free_space_pages"),
        ("free", "free_pages"),
        ("pending", "pending_pages"),
    ] {
        assert_eq!(sum(kind), stat[name].as_u64().unwrap(), "{kind}");
    }
    assert_eq!(sum("meta") + sum("head"), 3);
    let text = place.run(&["pages", "words.folio"]).succeeds().text();
    assert_eq!(text.lines().count(), records.len() + 1);
    let overflow = place.run(&["pages", "words.folio", "--kind", "overflow"]).succeeds().text();
    assert!(
        overflow.lines().nth(1).unwrap().ends_with("  more") && overflow.lines().count() == 2,
        "{overflow}"
    );
    place.run(&["pages", "words.folio", "--table", "none"]).fails(1, &["none"]);
    place.run(&["pages", "words.folio", "--kind", "none"]).fails(2, &["none"]);
}

#[test]
fn small_files_are_shown_like_this() {
    let place = Place::with_words();
    place.run(&["pages", "words.folio"]).prints(PAGES);
    let leaf = leaf(&place).to_string();
    let text = place.run(&["page", "words.folio", &leaf]).succeeds().text();
    assert_eq!(without_sums(&text), LEAF);
    let log = pages(&place, "freelog")[0].to_string();
    let text = place.run(&["page", "words.folio", &log]).succeeds().text();
    assert_eq!(without_sums(&text), LOG);
    place.run(&["tree", "words.folio", "words"]).prints(TREE);
    place.run(&["free", "words.folio", "--extents"]).prints(FREE);
}

const PAGES: &str = "\
\x20     page     pages  kind     level entries    fill       birth  table
         0         1  meta
         1         1  leaf         0       5   3.2 %           2  words
         2         1  leaf         0       1   2.6 %           2  (catalog)
         3         1  freelog              4   3.5 %           2
         4        12  free
        16         1  meta
        17        15  free
        32         1  head
        33         1  free
";

const LEAF: &str = "\
page 1 at byte 4,096: leaf, 5 entries

 offset  size  field                value
      0     4  checksum             SUM, right
      4     1  kind                 1
      5     1  level                0
      6     2  count                5
      8     8  page number          1
     16     8  birth                2
     24     2  prefix               0
     26     2  holes                0
     28     4  cells                4,036

 cell   slot     at    key   value  key = value
    0     32   4070      5       7  apple = a fruit
    1     40   4084      6       4  banana = long
    2     48   4036     10       5  blackberry = black
    3     56   4053      6       3  cherry = red
    4     64   4064      4       0  date =\x20
";

const LOG: &str = "\
page 3 at byte 12,288: free-space log, 4 records

 offset  size  field                value
      0     4  checksum             SUM, right
      4     1  kind                 3
      5     1  level                0
      6     2  count                4
      8     8  page number          3
     16     8  birth                2
     24     2  prefix               0
     26     2  holes                0
     28     4  cells                0
     32     8  older page           0
     40     8  older birth          0

 offset        page  pages        birth        death  state
     48           1     15            0            0  free
     72          17     15            0            0  free
     96           1      3            0        never  in use again
    120          33      1            1            2  needed from birth on, before death
";

const TREE: &str = "\
page             level       entries   cells    fill       birth  from
1                    0             5       5   3.2 %           2

level  pages  cells   fill
    0      1      5  3.2 %
";

const FREE: &str = "\
pages            count     size    share
free                28  112 KiB   82.4 %
pending              0      0 B    0.0 %
free space log       1    4 KiB    2.9 %
all of the file     34  136 KiB  100.0 %

pages of an extent  free     size  pending  size
                 1     1    4 KiB        0   0 B
            8 - 15     2  108 KiB        0   0 B

         4      12 pages  free
        17      15 pages  free
        33        1 page  free
";

#[test]
fn tree_shows_as_many_levels_as_asked_and_counts_all() {
    let place = Place::new();
    let lines_of: String = (0..3000).map(|n| format!("{n:05}\t{}\n", "x".repeat(100))).collect();
    place.run_with(&["load", "words.folio", "words"], lines_of.as_bytes()).succeeds();
    // One leaf is the catalog.
    let (leaves, branches) = (pages(&place, "leaf").len() - 1, pages(&place, "branch").len());
    assert!(leaves > 50 && branches == 1, "{leaves} {branches}");
    for (depth, shown) in [("1", 1), ("2", 1 + leaves), ("9", 1 + leaves)] {
        let arguments = ["tree", "words.folio", "words", "--depth", depth, "--json"];
        assert_eq!(lines(&place.run(&arguments).succeeds()).len(), shown, "{depth}");
        let text = place.run(&arguments[..5]).succeeds().text();
        let (nodes, levels) = text.split_once("\n\n").unwrap();
        assert_eq!(nodes.lines().count(), 1 + shown, "{text}");
        let levels: Vec<String> =
            levels.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert!(levels[1].starts_with(&format!("1 1 {leaves} ")), "{text}");
        assert!(levels[2].starts_with(&format!("0 {leaves} 3,000 ")), "{text}");
    }
}

#[test]
fn tables_without_entries_are_shown() {
    let place = Place::with_types("bytes", "bytes");
    let text = place.run(&["tree", "x.folio", "t"]).succeeds().text();
    assert!(text.ends_with("\nthe table is empty\n"), "{text}");
    assert_eq!(place.run(&["tree", "x.folio", "t", "--json"]).succeeds().text(), "");
    let text = place.run(&["pages", "x.folio"]).succeeds().text();
    assert!(text.contains("(catalog)") && !text.contains("NaN"), "{text}");
    place.run(&["free", "x.folio"]).succeeds();
    place.run(&["page", "x.folio", "0-32"]).succeeds();
    place.run(&["tree", "x.folio", "none"]).fails(1, &["none"]);
}

#[test]
fn what_is_damaged_is_shown_as_such() {
    let place = Place::with_words();
    let page = leaf(&place);
    damage(&place, page, 4090);
    let text = finds_fault(place.run(&["pages", "words.folio"]));
    let row = text.lines().find(|line| line.trim_start().starts_with(&format!("{page} "))).unwrap();
    assert!(row.contains(" damaged ") && row.ends_with("  words"), "{text}");
    assert!(text.lines().last().unwrap().contains("checksum"), "{text}");
    let run = place.run(&["pages", "words.folio", "--json"]);
    assert!(lines(&run).last().unwrap()["fault"].as_str().unwrap().contains("checksum"));
    let text = finds_fault(place.run(&["tree", "words.folio", "words"]));
    assert!(text.contains("damaged: ") && text.ends_with("\nnothing can be read\n"), "{text}");
    let text = place.run(&["page", "words.folio", &page.to_string()]).succeeds().text();
    assert!(text.contains(", wrong\n") && text.contains("\n1 fault\n"), "{text}");
    // What is not damaged is shown all the same.
    assert!(text.contains("banana = long") || text.contains("blackberry = black"), "{text}");
    // The log of free space, too.
    let place = Place::with_words();
    let page = pages(&place, "freelog")[0];
    damage(&place, page, 33);
    let text = finds_fault(place.run(&["pages", "words.folio"]));
    assert!(text.contains(" damaged\n") && text.contains(" unknown\n") && text.contains(" leaf "), "{text}");
    place.run(&["free", "words.folio"]).fails(1, &[&format!("page {page} is corrupted")]);
}

#[test]
fn page_reads_files_that_are_no_databases() {
    let place = Place::with_words();
    place.write("text", &b"no database at all\n".repeat(500));
    place.run(&["page", "text", "0"]).fails(1, &["text", "--page-size"]);
    let text = place.run(&["page", "text", "1-2", "--page-size", "4096", "--hex"]).succeeds().text();
    assert!(text.contains("no page header") && text.contains("|") | text.contains("database"), "{text}");
    place.run(&["page", "text", "3", "--page-size", "4096"]).fails(1, &["page 3", "3 pages"]);
    place.run(&["page", "text", "0", "--page-size", "5000"]).fails(2, &["power of two"]);
    for wrong in ["x", "5-3", "-", "1-", "99999999999999999999"] {
        let run = place.run(&["page", "--", "words.folio", wrong]);
        assert_eq!((run.code, run.text().as_str()), (Some(2), ""), "{wrong}: {}", run.err);
    }
    // Both meta pages are gone, and the pages can still be read.
    let page = leaf(&place).to_string();
    for meta in [0, 16] {
        for at in 0..4096 {
            damage(&place, meta, at);
        }
    }
    place.run(&["page", "words.folio", &page]).fails(1, &["--page-size"]);
    let text = place.run(&["page", "words.folio", &page, "--page-size", "4096"]).succeeds().text();
    assert!(text.contains("not compared") && text.contains("apple = a fruit"), "{text}");
}

#[test]
fn redacted_pages_tell_nothing_of_keys_and_values() {
    let place = Place::new();
    let lines_of: String = (0..2000).map(|n| format!("secret{n:05}\thidden{n}\n")).collect();
    place.run_with(&["load", "words.folio", "words"], lines_of.as_bytes()).succeeds();
    let mut args = vec!["page".to_owned(), "words.folio".to_owned(), "--redact".to_owned()];
    args.extend(pages(&place, "leaf").iter().chain(&pages(&place, "branch")).map(u64::to_string));
    let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
    let text = place.run(&args).succeeds().text();
    assert!(text.contains("bytes hidden") && !text.contains("secret") && !text.contains("hidden0"), "{text}");
    args.push("--json");
    let run = place.run(&args).succeeds();
    assert!(!run.text().contains("_hex") && !run.text().contains("\"head\""), "{}", run.text());
    let cell = &lines(&run)[1]["cells"][0];
    assert!(cell["key_len"].is_u64() && cell["value_len"].is_u64(), "{cell}");
    args.push("--hex");
    assert_eq!(place.run(&args).code, Some(2));
}

#[test]
fn nothing_reaches_the_terminal_unescaped() {
    let place = Place::new();
    let name = "t\x1b[31m\u{202e}";
    let input = b"\x1b]0;key\x07\xff\tva\x08lue\x1b[2J\n";
    place.run_with(&["load", "words.folio", name], input).succeeds();
    for n in 0..300 {
        let line = format!("\x1b{n}\t{}\n", "\x07".repeat(100));
        place.run_with(&["load", "words.folio", name], line.as_bytes()).succeeds();
    }
    let all = pages(&place, "leaf");
    let range = format!("0-{}", all.iter().max().unwrap());
    let commands: [&[&str]; 6] = [
        &["info", "words.folio"],
        &["pages", "words.folio"],
        &["tree", "words.folio", name, "--depth", "9"],
        &["page", "words.folio", &range],
        &["page", "words.folio", &range, "--hex"],
        &["free", "words.folio", "--extents"],
    ];
    for command in commands {
        let text = place.run(command).succeeds().text();
        let control = text.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(control, None, "folio {}", command.join(" "));
    }
}

#[test]
fn any_bytes_end_with_a_result_or_an_error() {
    let place = Place::with_words();
    let sound = fs::read(place.path("words.folio")).unwrap();
    let mut state = 5_u64;
    let mut next = |end: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % end
    };
    for round in 0..40 {
        let mut bytes = sound.clone();
        // Half of them random from somewhere on, half with a few bytes changed where the numbers are.
        if round % 2 == 0 {
            let from = usize::try_from(next(200_000)).unwrap();
            bytes.iter_mut().skip(from).for_each(|byte| *byte = u8::try_from(next(256)).unwrap());
        }
        for _ in 0..8 {
            let at = usize::try_from(next(48) * 4096 + next(300)).unwrap();
            bytes[at] = u8::try_from(next(256)).unwrap();
        }
        bytes.truncate(usize::try_from(next(bytes.len() as u64 * 2)).unwrap());
        if round % 4 == 0 {
            // Of the last page, only some of its header is there.
            bytes.truncate(bytes.len() / 4096 * 4096 + usize::try_from(next(32)).unwrap());
        }
        place.write("x.folio", &bytes);
        let _ = fs::remove_file(place.path("x.folio-lock"));
        let commands: [&[&str]; 6] = [
            &["info", "x.folio"],
            &["pages", "x.folio"],
            &["tree", "x.folio", "words", "--depth", "40"],
            &["free", "x.folio", "--extents"],
            &["page", "x.folio", "0-60", "--page-size", "4096"],
            &["page", "x.folio", "0-60", "--page-size", "4096", "--json"],
        ];
        for command in commands {
            let run = place.run(command);
            assert!(matches!(run.code, Some(0 | 1)), "round {round}: folio {}: {}", run.command, run.err);
            assert!(!run.err.contains("panicked"), "round {round}: {}", run.err);
        }
    }
}
