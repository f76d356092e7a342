//! Goal: what a process has stored in its blocks stays, whoever makes room for others at the same time.
//! Method: two openings of one file, as two processes have it. One of them has looked at the file's length
//! before the other made it longer, and goes on only then: here the length is set back to what it was.

use std::fs::File;
use std::sync::atomic::Ordering;

use super::super::words::Words;

#[test]
fn making_a_block_leaves_those_before_it_to_their_owners() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let open = || Words::shared(File::options().read(true).write(true).open(&file).unwrap()).unwrap();
    let (first, second) = (open(), open());
    first.clear().unwrap();
    let len = file.as_file().metadata().unwrap().len();
    first.make(2).unwrap();
    first.block(2)[7].store(1, Ordering::Release);
    // As far as the second one knows, no more is there yet. (A part of a block, so that it stays.)
    file.as_file().set_len(len + 64).unwrap();
    second.make(4).unwrap();
    assert_eq!(first.block(2)[7].load(Ordering::Acquire), 1);
    // And what nobody has made can be looked at.
    assert_eq!(first.block(3)[7].load(Ordering::Acquire), 0);
    second.block(4)[7].store(2, Ordering::Release);
    first.make(3).unwrap();
    let found = [2, 3, 4].map(|number| second.block(number)[7].load(Ordering::Acquire));
    assert_eq!(found, [1, 0, 2]);
    assert!(!first.is_begun().unwrap());
    first.block(0)[0].store(1, Ordering::Release);
    assert!(second.is_begun().unwrap());
    file.as_file().set_len(len - 1).unwrap();
    assert!(!second.is_begun().unwrap(), "somebody has cut it");
}
