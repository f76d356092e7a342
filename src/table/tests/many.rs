//! Goal: `get_many` answers what `get` does, for any number of keys.
//! Method: long shared prefixes, so that heads are equal, in a tree of several levels; keys that are there
//! and keys that are not, more and fewer than are looked up at once; and a table that does not exist.

use crate::{Database, Table};

const PATHS: Table<&str, u64> = Table::new("paths");

fn path(number: u64) -> String {
    format!("user/{:06}/orders/{number:012}", number / 100)
}

#[test]
fn many_keys_have_the_values_that_each_has() {
    let db = Database::in_memory().unwrap();
    let tx = db.begin_read().unwrap();
    let found: Vec<_> = tx.open(PATHS).unwrap().get_many(["a", "b"]).map(Result::unwrap).collect();
    assert_eq!(found, [None, None]);
    drop(tx);
    db.write(|tx| {
        let mut paths = tx.open(PATHS)?;
        (0..20_000).step_by(2).try_for_each(|number| paths.insert(path(number), number).map(|_| ()))
    })
    .unwrap();
    let tx = db.begin_read().unwrap();
    let paths = tx.open(PATHS).unwrap();
    for count in [0, 1, 7, 8, 9, 500] {
        let keys: Vec<String> = (0..count).map(|i| path(i * 7919 % 20_000)).collect();
        let one_by_one: Vec<_> = keys.iter().map(|key| paths.get(key).unwrap()).collect();
        assert_eq!(paths.get_many(&keys).map(Result::unwrap).collect::<Vec<_>>(), one_by_one, "{count}");
        assert_eq!(one_by_one.iter().flatten().count() as u64, count.div_ceil(2));
    }
}
