//! Goal: each check of the source can fail. Method: a text that breaks its rule, and one that nearly does.

use super::lexer::{code_only, functions};
use super::*;

fn check_layer(path: &str, text: &str, expected: &[&str]) {
    let roots = root_names("pub use error::{Error, Result};\npub use database::Database;\n");
    assert_eq!(layer_faults(path, text, &roots), expected, "{text}");
}

#[test]
fn an_upward_import_is_found() {
    check_layer(
        "src/page/leaf.rs",
        "use crate::pager::PageId;\n",
        &["src/page/leaf.rs:1: page may not use pager"],
    );
    let group = "//! x\nuse crate::{\n    error::Error,\n    btree::{Cursor, insert},\n};\n";
    check_layer("src/storage/mod.rs", group, &["src/storage/mod.rs:2: storage may not use btree"]);
    check_layer(
        "src/types/str.rs",
        "fn f(d: &crate::Database) {}\n",
        &["src/types/str.rs:1: types may not use database"],
    );
    check_layer(
        "src/catalog.rs",
        "use super::table::Table;\n",
        &["src/catalog.rs:1: catalog may not use table"],
    );
    check_layer(
        "src/inspect.rs",
        "use crate::transaction::X;\n",
        &["src/inspect.rs:1: inspect may not use transaction"],
    );
    check_layer("src/news.rs", "\n", &["src/news.rs: module news is not in the table of layers"]);
    let long = "use super::super::page::PageId;\n";
    check_layer(
        "src/btree/split.rs",
        long,
        &["src/btree/split.rs:1: name it from crate::, not super::super::"],
    );
}

#[test]
fn a_downward_import_is_not() {
    check_layer("src/page/leaf.rs", "use crate::{Error, Result};\nuse super::slot::Slot;\n", &[]);
    check_layer("src/page/leaf.rs", "// crate::pager\nconst A: &str = \"crate::pager\";\n", &[]);
    check_layer("src/page/mod.rs", "use crate::page::leaf::Leaf;\n", &[]);
    check_layer("src/page/leaf.rs", "#[cfg(test)]\nmod tests {\n    use crate::pager::X;\n}\n", &[]);
    check_layer("src/cli/src/main.rs", "use crate::dump;\n", &[]);
}

#[test]
fn unsafe_code_is_found() {
    let planted = "fn f() {\n    unsafe { g() }\n}\n";
    assert_eq!(unsafe_faults("src/btree/mod.rs", planted, &[]), ["src/btree/mod.rs:2: unsafe code"]);
    assert!(unsafe_faults("src/storage/map.rs", planted, &["src/storage/map.rs"]).is_empty());
    let clean = "#![expect(unsafe_code)]\n// unsafe\nconst A: &str = \"unsafe\";\n";
    assert!(unsafe_faults("src/btree/mod.rs", clean, &[]).is_empty());
    let idle = unsafe_faults("src/storage/map.rs", clean, &["src/storage/map.rs"]);
    assert_eq!(idle, ["src/storage/map.rs: holds no unsafe code, take it off the list"]);
}

#[test]
fn a_long_file_is_found() {
    let check = |lines: usize, exceptions: &[(&str, usize)]| {
        file_length_faults("src/a.rs", &"x\n".repeat(lines), exceptions)
    };
    assert!(check(499, &[]).is_empty());
    assert_eq!(check(500, &[]), ["src/a.rs: the file has 500 lines, must be below 500"]);
    assert!(check(600, &[("src/a.rs", 600)]).is_empty());
    assert_eq!(
        check(601, &[("src/a.rs", 600)]),
        ["src/a.rs: the file has 601 lines, its exception says 600"]
    );
    assert_eq!(
        check(590, &[("src/a.rs", 600)]),
        ["src/a.rs: the file has 590 lines, its exception says 600"]
    );
    assert_eq!(check(400, &[("src/a.rs", 600)]), ["src/a.rs: the file needs no exception any more"]);
}

#[test]
fn a_long_function_is_found() {
    let text =
        |lines: usize| format!("impl A {{\n    fn long(&self) {{\n{}    }}\n}}\n", "x;\n".repeat(lines - 2));
    assert!(function_length_faults("src/a.rs", &text(69), &[]).is_empty());
    let found = function_length_faults("src/a.rs", &text(70), &[]);
    assert_eq!(found, ["src/a.rs:2: long has 70 lines, must be below 70"]);
    assert!(function_length_faults("src/a.rs", &text(80), &[("src/a.rs", "long", 80)]).is_empty());
    assert_eq!(function_length_faults("src/a.rs", &text(79), &[("src/a.rs", "long", 80)]).len(), 1);
}

#[test]
fn unfinished_or_unplain_text_is_found() {
    let one = |text: &str| text_faults("src/a.rs", text).join("|");
    assert_eq!(one("fine\n"), "");
    assert_eq!(one(&format!("{}\n", "x".repeat(111))), "src/a.rs:1: 111 columns");
    assert_eq!(one("a\u{e9}\n"), "src/a.rs:1: characters beyond ASCII");
    assert_eq!(one("a\tb\n"), "src/a.rs:1: a tab");
    assert_eq!(one("a \n"), "src/a.rs:1: blanks at the end");
    assert_eq!(one("a\r\n"), "src/a.rs:1: blanks at the end");
    assert_eq!(one("a"), "src/a.rs: must end with one line end");
    assert_eq!(one("a\n\n"), "src/a.rs: must end with one line end");
    for word in FORBIDDEN {
        assert_eq!(one(&format!("// {word} x\n")), format!("src/a.rs:1: {word}"));
    }
    let row = format!("|{}\n", "x".repeat(120));
    assert!(text_faults("docs/A.md", &row).is_empty());
    assert_eq!(text_faults("docs/A.md", &row[1..]), ["docs/A.md:1: 120 columns"]);
}

#[test]
fn the_lexer_tells_code_from_the_rest() {
    let code =
        code_only("a // b\n/* c /* d */ e */ f \"g\\\"h\" r#\"i\"j\"# 'k' '\\'' l<'m> b'n' br\"o\" par\"p\"");
    let words: Vec<_> = code.split_whitespace().collect();
    assert_eq!(words, ["a", "f", "l<'m>", "b", "b", "par"]);
    let found = functions("fn a(x: [u8; 2]) {\n}\ntrait T {\n    fn b();\n    fn c() {}\n}\n");
    assert_eq!(found, [(1, "a".to_owned(), 2), (5, "c".to_owned(), 1)]);
}
