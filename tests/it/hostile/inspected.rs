//! Goal: the inspection of a file that was made to hurt ends, and what it says makes sense.
//! Method: the page map, a walk down every tree and the free space, of each file that a test hands in.

use std::collections::BTreeSet;

use folio::Database;

use super::crafted::is_damage;

/// The map has every page once, and the walk down a tree meets none twice but to say so.
pub(super) fn inspect(db: &Database) {
    let tx = db.begin_read().unwrap();
    let map = tx.page_map().unwrap();
    let mut end = 0;
    for record in map.iter() {
        assert_eq!(record.page, end);
        end += record.pages;
    }
    assert_eq!(end, map.page_count());
    for table in map.tables() {
        let (mut met, mut nodes) = (BTreeSet::new(), 0);
        let walked = tx.visit_tree(table, u32::MAX, &mut |node| {
            assert!(node.fault.is_some() || met.insert(node.page), "page {} is met again", node.page);
            nodes += 1;
        });
        assert!(walked.as_ref().err().is_none_or(is_damage), "{walked:?}");
        assert!(nodes < 10_000, "{nodes} nodes");
    }
    let space = tx.free_space().map(drop);
    assert!(space.as_ref().err().is_none_or(is_damage), "{space:?}");
}
