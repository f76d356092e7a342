//! Goal: pages whose separators do not fit together are never laid out as one, which would take the entries
//! of the sound page with those of the other.
//! Method: a crafted tree whose second branch begins with the separator above it, so that no key can be below
//! its first child; and a removal that makes the first branch small enough to be joined with it.

use folio::Error;

use super::craft::Child;
use super::crafted::with_table;
use crate::files::open;

#[test]
fn a_branch_that_begins_with_the_separator_above_it_is_joined_with_none() {
    let bytes = with_table(|file| {
        let mut leaf = |key: &[u8]| file.leaf(&[(key, &[7; 1800]), (&[key, b"x"].concat(), &[7; 1800])]);
        let leaves: Vec<Child> = [&b"a"[..], b"b", b"c", b"m0", b"m5"].iter().map(|key| leaf(key)).collect();
        let left = file.branch(&[(b"", leaves[0]), (b"b", leaves[1]), (b"c", leaves[2])]);
        let right = file.branch(&[(b"", leaves[3]), (b"m", leaves[4])]);
        file.branch(&[(b"", left), (b"m", right)])
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db.folio");
    std::fs::write(&path, bytes).unwrap();
    let removed = open(&path).unwrap().write(|tx| {
        let mut table = tx.open_raw("bad")?;
        [&b"a"[..], b"ax", b"b"].iter().try_for_each(|key| table.remove(key).map(drop))
    });
    assert!(matches!(removed, Ok(()) | Err(Error::Corrupted { .. })), "{removed:?}");
    let db = open(&path).unwrap();
    let tx = db.begin_read().unwrap();
    let table = tx.open_raw("bad").unwrap();
    for key in [&b"bx"[..], b"c", b"cx"] {
        assert!(matches!(table.get(key), Ok(Some(_))), "{key:?}");
    }
}
