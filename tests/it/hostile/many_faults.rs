//! Goal: a file with a fault every few bytes takes no memory for each of them: so many are listed, and the
//! last one says that there are more. And no fault hides another one that has nothing to do with it.
//! Method: a crafted file of branches all of whose children are one leaf; one with a table whose name is no
//! text before one with a fault.

use super::bytes::seal;
use super::craft::{Child, File, ID, SIZE};
use super::crafted::with_table;
use crate::files::open_read_only;

/// Faults that are listed, as the documentation of the check and of the page map says.
const LISTED: usize = 10_000;
/// Children of each branch, on three levels.
const CHILDREN: u8 = 60;

fn file() -> Vec<u8> {
    with_table(|file| {
        let shared = vec![file.leaf(&[(b"k", b"1")]); CHILDREN.into()];
        let tops: Vec<Child> = (0..4)
            .map(|top| {
                let lows: Vec<Child> = (0..CHILDREN).map(|low| branch(file, &[top, low], &shared)).collect();
                branch(file, &[top], &lows)
            })
            .collect();
        branch(file, &[], &tops)
    })
}

/// A branch whose separators are the prefix and one byte.
fn branch(file: &mut File, prefix: &[u8], children: &[Child]) -> Child {
    let keys: Vec<Vec<u8>> = (0..=u8::MAX).map(|i| [prefix, &[i]].concat()).collect();
    let mut cells: Vec<(&[u8], Child)> =
        keys.iter().map(Vec::as_slice).zip(children.iter().copied()).collect();
    cells[0].0 = b"";
    file.branch(&cells)
}

#[test]
fn so_many_faults_are_listed_and_the_last_says_that_there_are_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db.folio");
    std::fs::write(&path, file()).unwrap();
    let db = open_read_only(&path).unwrap();
    let map = db.begin_read().unwrap().page_map().unwrap();
    for faults in [&db.check().unwrap().faults[..], map.faults()] {
        assert_eq!(faults.len(), LISTED, "{}", faults[faults.len() / 2]);
        let (last, others) = faults.split_last().unwrap();
        assert!(last.what.contains("there are more faults"), "{last}");
        assert!(others.iter().all(|fault| fault.page.is_some()), "{}", others[0]);
        let shared = others.iter().filter(|fault| fault.what.contains("in use by something else")).count();
        assert!(shared > LISTED / 2, "{shared}: {}", others[LISTED / 2]);
        assert!(others.iter().any(|fault| fault.table.as_deref() == Some("bad")));
    }
}

#[test]
fn a_table_that_cannot_be_named_hides_no_fault_of_another() {
    let mut file = File::new();
    let mut leaf = |key: &[u8]| file.leaf(&[(key, b"1")]);
    let (sound, odd) = (leaf(b"a"), leaf(b"b"));
    let shared = Child { count: 7, ..sound };
    let catalog = file.catalog(&[("a name", odd), ("b name", sound), ("c name", shared)]);
    let mut bytes = file.finish(catalog);
    let page = usize::try_from(catalog.page).unwrap() * SIZE;
    let page = &mut bytes[page..page + SIZE];
    let at = page.windows(6).position(|window| window == b"a name").unwrap();
    page[at + 5] = 0xFF;
    seal(&ID, page);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db.folio");
    std::fs::write(&path, bytes).unwrap();
    let faults = open_read_only(&path).unwrap().check().unwrap().faults;
    let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert!(texts.iter().any(|text| text.contains("name of a table")), "{texts:#?}");
    assert!(texts.iter().any(|text| text.contains("c name") && text.contains("in use")), "{texts:#?}");
}
