//! Goal: the rules about the source that no compiler checks stay true.
//! Method: read every file of the repository as text. Each rule is a function from a path and a text to its
//! faults, which is run over the repository and, in `tidy/planted.rs`, over texts that break it.

use std::fs;
use std::path::{Path, PathBuf};

mod lexer;
mod planted;

use lexer::code_only;

/// Each module of the library, and the modules it may name. Nothing else is allowed, and none is missing.
const LAYERS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("prefetch", &[]),
    ("reader", &[]),
    ("short", &[]),
    // The builder's last step returns what it opens: the one arrow that points up.
    ("options", &["error", "reader", "database"]),
    ("page", &["error", "prefetch"]),
    ("storage", &["error"]),
    ("pager", &["error", "options", "page", "storage", "prefetch"]),
    ("btree", &["error", "page", "pager", "short"]),
    ("catalog", &["error", "page", "pager", "btree"]),
    ("types", &["error"]),
    ("raw", &["error", "page", "pager", "btree", "catalog", "short"]),
    ("range", &["error", "page", "pager", "btree", "catalog", "types", "raw"]),
    ("table", &["error", "page", "pager", "btree", "catalog", "types", "raw", "range"]),
    (
        "inspect",
        &["error", "options", "page", "storage", "pager", "btree", "catalog", "types", "raw", "reader"],
    ),
    // For benches alone.
    ("internals", &["page"]),
    // For tests and fuzzers alone.
    (
        "simulation",
        &["error", "options", "page", "storage", "raw", "table", "transaction", "inspect", "database"],
    ),
    (
        "fuzzing",
        &[
            "error",
            "options",
            "page",
            "types",
            "storage",
            "raw",
            "table",
            "inspect",
            "database",
            "simulation",
        ],
    ),
    ("instance", &["error", "options", "page", "storage", "pager", "inspect"]),
    (
        "transaction",
        &[
            "error", "options", "page", "pager", "btree", "catalog", "types", "raw", "range", "table",
            "instance", "inspect",
        ],
    ),
    (
        "database",
        &[
            "error",
            "options",
            "page",
            "storage",
            "pager",
            "btree",
            "catalog",
            "types",
            "raw",
            "range",
            "table",
            "instance",
            "transaction",
            "inspect",
            "reader",
        ],
    ),
    // Compact copies are databases.
    (
        "copy",
        &[
            "error",
            "options",
            "page",
            "storage",
            "pager",
            "btree",
            "catalog",
            "types",
            "raw",
            "instance",
            "transaction",
            "inspect",
            "database",
        ],
    ),
];

/// Files outside `tests` that may hold unsafe code. A file that no longer does must leave the list.
const UNSAFE_FILES: &[&str] = &[
    "src/storage/map.rs",
    "src/storage/fork.rs",
    "src/storage/sys.rs",
    "src/storage/words.rs",
    "src/prefetch.rs",
    "src/pager/snapshot.rs",
    "src/options.rs",
    "src/database.rs",
    "src/cli/src/open.rs",
    "benches/compare/src/engines/folio.rs",
    "benches/compare/src/engines/lmdb.rs",
    "benches/compare/src/engines/mdbx.rs",
    "benches/parts/benches/transactions.rs",
];

/// A file has fewer lines than this, a function fewer than that.
const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 70;
const COLUMNS: usize = 110;

/// A ratchet: the exact length of what is longer. Entries may shrink and go, never grow or come.
const LONG_FILES: &[(&str, usize)] = &[];
const LONG_FUNCTIONS: &[(&str, &str, usize)] = &[];

/// Words that may not stand anywhere. In two parts, so that this file does not break its own rule.
const FORBIDDEN: &[&str] =
    &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX"), concat!("dbg", "!")];

#[test]
fn imports_only_go_down() {
    let roots = root_names(&fs::read_to_string(root().join("src/lib.rs")).unwrap());
    assert_clean(|path, text| layer_faults(path, text, &roots));
}

#[test]
fn unsafe_code_stays_in_its_files() {
    assert_clean(|path, text| unsafe_faults(path, text, UNSAFE_FILES));
}

#[test]
fn files_and_functions_stay_short() {
    assert_clean(|path, text| {
        let mut faults = file_length_faults(path, text, LONG_FILES);
        faults.extend(function_length_faults(path, text, LONG_FUNCTIONS));
        faults
    });
    let gone = LONG_FILES.iter().map(|e| e.0).chain(LONG_FUNCTIONS.iter().map(|e| e.0));
    let gone: Vec<_> = gone.filter(|path| !root().join(path).exists()).collect();
    assert!(gone.is_empty(), "exceptions for files that are gone: {gone:?}");
}

#[test]
fn text_is_plain_and_finished() {
    assert_clean(text_faults);
}

/// Runs one rule over the repository and fails with every fault at once.
fn assert_clean(rule: impl Fn(&str, &str) -> Vec<String>) {
    let mut files = Vec::new();
    walk(&root(), &mut files);
    assert!(files.len() > 10, "only {} files found below {}", files.len(), root().display());
    let mut faults = Vec::new();
    for file in files {
        let path = file.strip_prefix(root()).unwrap().to_str().expect("paths are text").to_owned();
        match fs::read_to_string(&file) {
            Ok(text) => faults.extend(rule(&path, &text)),
            Err(error) => faults.push(format!("{path}: {error}")),
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Faults of one file of the library against [`LAYERS`]. `roots` says which module a name at the crate's root
/// is from.
fn layer_faults(path: &str, text: &str, roots: &[(String, String)]) -> Vec<String> {
    let Some(module) = module_of(path) else { return Vec::new() };
    let Some((_, allowed)) = LAYERS.iter().find(|layer| layer.0 == module) else {
        return vec![format!("{path}: module {module} is not in the table of layers")];
    };
    let code = code_only(text);
    // Tests may look at everything; by rule they stand last in a file.
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let mut faults = Vec::new();
    for (line, name) in names_at_root(code, is_module_root(path)) {
        let home = roots.iter().find(|root| root.0 == name).map_or(name.as_str(), |root| root.1.as_str());
        let known = LAYERS.iter().any(|layer| layer.0 == home);
        if known && home != module && !allowed.contains(&home) {
            faults.push(format!("{path}:{line}: {module} may not use {home}"));
        }
    }
    for (index, line) in code.lines().enumerate() {
        if line.contains("super::super") {
            faults.push(format!("{path}:{}: name it from crate::, not super::super::", index + 1));
        }
    }
    faults
}

/// The module of the library that a file belongs to: `page` for `src/page/leaf.rs` and `src/page.rs`.
fn module_of(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let module = rest.split('/').next()?;
    let is_test = rest.ends_with("/tests") || rest.contains("/tests/") || module == "tests";
    (!is_test && module != "lib" && module != "cli").then_some(module)
}

/// Whether `super::` means the crate's root in this file.
fn is_module_root(path: &str) -> bool {
    path.matches('/').count() == 1 || (path.matches('/').count() == 2 && path.ends_with("/mod.rs"))
}

/// Every name that follows `crate::` (and `super::`, where it means the same), with its line. Groups are
/// opened.
fn names_at_root(code: &str, super_is_root: bool) -> Vec<(usize, String)> {
    let mut names = Vec::new();
    let prefixes: &[&str] = if super_is_root { &["crate::", "super::"] } else { &["crate::"] };
    for prefix in prefixes {
        for (at, _) in code.match_indices(prefix) {
            let line = code[..at].matches('\n').count() + 1;
            let rest = &code[at + prefix.len()..];
            let items = if rest.starts_with('{') { group_items(rest) } else { vec![rest] };
            let name = |item: &str| item.trim_start().chars().take_while(|c| is_word(*c)).collect::<String>();
            names
                .extend(items.into_iter().map(name).filter(|name| !name.is_empty()).map(|name| (line, name)));
        }
    }
    names
}

/// The items of a group `{a::B, c::{D, E}}` at its own level.
fn group_items(group: &str) -> Vec<&str> {
    let (mut items, mut depth, mut start) = (Vec::new(), 0, 1);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && c == ',') {
            items.push(&group[start..at]);
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    items
}

/// What `lib.rs` exports: each name with the module it comes from.
fn root_names(lib: &str) -> Vec<(String, String)> {
    let code = code_only(lib);
    let mut names = Vec::new();
    for (at, _) in code.match_indices("pub use ") {
        let item = code[at + "pub use ".len()..].split(';').next().unwrap_or_default();
        let Some((module, rest)) = item.split_once("::") else { continue };
        let words = rest.split(|c| !is_word(c)).filter(|word| !word.is_empty());
        names.extend(words.map(|word| (word.to_owned(), module.trim().to_owned())));
    }
    names
}

/// `unsafe` as a word of code, outside the listed files; and listed files that hold none.
fn unsafe_faults(path: &str, text: &str, listed: &[&str]) -> Vec<String> {
    if !path.ends_with(".rs") || path.split('/').any(|part| part == "tests") || path.ends_with("/tests.rs") {
        return Vec::new();
    }
    let code = code_only(text);
    let lines: Vec<usize> = (1..)
        .zip(code.lines())
        .filter(|(_, line)| line.split(|c| !is_word(c)).any(|word| word == "unsafe"))
        .map(|(number, _)| number)
        .collect();
    match (listed.contains(&path), lines.first()) {
        (false, Some(_)) => lines.iter().map(|line| format!("{path}:{line}: unsafe code")).collect(),
        (true, None) => vec![format!("{path}: holds no unsafe code, take it off the list")],
        _ => Vec::new(),
    }
}

/// A file of Rust that is too long, or whose exception is not exact.
fn file_length_faults(path: &str, text: &str, exceptions: &[(&str, usize)]) -> Vec<String> {
    if !path.ends_with(".rs") {
        return Vec::new();
    }
    let exception = exceptions.iter().find(|e| e.0 == path).map(|e| e.1);
    ratchet(path, "the file", text.lines().count(), FILE_LINES, exception).into_iter().collect()
}

/// Functions that are too long, or whose exceptions are not exact.
fn function_length_faults(path: &str, text: &str, exceptions: &[(&str, &str, usize)]) -> Vec<String> {
    if !path.ends_with(".rs") {
        return Vec::new();
    }
    let fault = |(line, name, length): (usize, String, usize)| {
        let exception = exceptions.iter().find(|e| e.0 == path && e.1 == name).map(|e| e.2);
        ratchet(&format!("{path}:{line}"), &name, length, FUNCTION_LINES, exception)
    };
    lexer::functions(&code_only(text)).into_iter().filter_map(fault).collect()
}

/// What is wrong with a length, given the limit and the exception, if any.
fn ratchet(place: &str, what: &str, length: usize, limit: usize, exception: Option<usize>) -> Option<String> {
    match exception {
        None if length < limit => None,
        None => Some(format!("{place}: {what} has {length} lines, must be below {limit}")),
        Some(_) if length < limit => Some(format!("{place}: {what} needs no exception any more")),
        Some(known) if length == known => None,
        Some(known) => Some(format!("{place}: {what} has {length} lines, its exception says {known}")),
    }
}

/// Columns, characters, blanks and words of any text file.
fn text_faults(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fenced = false;
    for (number, line) in (1..).zip(text.split('\n')) {
        let mut fault = |what: &str| faults.push(format!("{path}:{number}: {what}"));
        fenced ^= line.trim_start().starts_with("```");
        // A row of a table, a command line and the text of a message cannot be wrapped.
        let may_be_wide = match path.rsplit_once('.') {
            Some((_, "md")) => fenced || line.starts_with('|') || line.contains("](http"),
            Some((_, "toml")) => line.starts_with("description = "),
            _ => line.trim_start().starts_with("#[error(\""),
        };
        if line.len() > COLUMNS && !may_be_wide {
            fault(&format!("{} columns", line.len()));
        }
        if !line.is_ascii() {
            fault("characters beyond ASCII");
        }
        if line.contains('\t') {
            fault("a tab");
        }
        if line.ends_with([' ', '\t', '\r']) {
            fault("blanks at the end");
        }
        for word in FORBIDDEN.iter().filter(|word| line.contains(**word)) {
            fault(word);
        }
    }
    if !text.ends_with('\n') || text.ends_with("\n\n") {
        faults.push(format!("{path}: must end with one line end"));
    }
    faults
}

/// The text files that people wrote: not what is built, fetched or found by fuzzing.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    const SKIPPED: &[&str] = &[".git", "target", "proptest-regressions", "corpus", "artifacts", "Cargo.lock"];
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_str().expect("paths are text");
        if SKIPPED.contains(&name) {
            continue;
        }
        let is_text = match name.rsplit_once('.') {
            Some((_, extension)) => ["rs", "md", "toml", "yml", "sh", "gitignore"].contains(&extension),
            None => name.starts_with("LICENSE") || folder == root().join(".ci"),
        };
        match path.is_dir() {
            true => walk(&path, files),
            false if is_text => files.push(path),
            false => {}
        }
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
