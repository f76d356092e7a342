//! Goal: readers pin what they read, roots are never torn, the table grows.
//! Method: calls in the order of the protocol, and threads beside each other.

use super::*;

fn root(txn: u64) -> Root {
    Root { txn: TxnId(txn), page_count: txn * 7, ..Root::default() }
}

fn shared() -> Shared {
    let shared = Shared::new(Meeting::alone());
    shared.begin(&[7; 16], &root(1), &root(1));
    shared
}

fn begin_read(shared: &Shared) -> (Root, SlotIndex) {
    let slot = shared.claim(0).unwrap();
    (shared.pin(&slot), slot)
}

fn readers(shared: &Shared) -> usize {
    Readers::slots(&shared.meeting).filter(|slot| slot.load(Ordering::Relaxed) != 0).count()
}

#[test]
fn a_reader_pins_its_root_until_it_ends() {
    let shared = shared();
    let (first, slot) = begin_read(&shared);
    assert_eq!(first, root(1));
    for txn in 2..5 {
        shared.set_head(&root(txn));
        shared.set_soft(&root(txn));
        shared.set_durable(&root(txn));
    }
    let (second, other) = begin_read(&shared);
    assert_eq!(second, root(4));
    assert_eq!(shared.pins(), [1, 4].map(TxnId));
    shared.end_read(&slot);
    assert_eq!(shared.pins(), [4].map(TxnId));
    shared.end_read(&other);
    assert_eq!(readers(&shared), 0);
}

#[test]
fn what_is_visible_is_the_newer_of_soft_and_durable() {
    let shared = shared();
    shared.set_head(&root(2));
    assert_eq!(shared.visible(), root(1));
    shared.set_soft(&root(2));
    assert_eq!((shared.visible(), shared.durable()), (root(2), TxnId(1)));
    shared.set_head(&root(3));
    shared.set_durable(&root(3));
    assert_eq!((shared.visible(), shared.durable()), (root(3), TxnId(3)));
}

#[test]
fn captured_roots_stay_pinned_until_a_sync_has_completed() {
    let shared = shared();
    for txn in 2..6 {
        shared.set_head(&root(txn));
        shared.set_soft(&root(txn));
        // The last leader has died.
        assert_eq!(shared.capture(), Some(root(txn)));
    }
    shared.set_head(&root(6));
    assert_eq!(shared.pins(), [1, 2, 3, 4, 5, 6].map(TxnId));
    assert_eq!(shared.capture(), Some(root(6)));
    shared.set_durable(&root(6));
    assert_eq!(shared.pins(), [6].map(TxnId), "the last soft commit is covered by then");
    for _ in at::CAPTURED {
        assert!(shared.capture().is_some());
    }
    assert_eq!(shared.capture(), None, "nothing is forgotten");
}

#[test]
fn five_thousand_readers_need_no_option() {
    let shared = shared();
    let slots: Vec<_> = (0..5_000).map(|_| begin_read(&shared).1).collect();
    assert_eq!(readers(&shared), 5_000);
    slots.iter().for_each(|slot| shared.end_read(slot));
    assert_eq!(readers(&shared), 0);
}

#[test]
fn a_root_is_never_torn() {
    let shared = shared();
    std::thread::scope(|scope| {
        scope.spawn(|| (2..20_000).for_each(|txn| shared.set_soft(&root(txn))));
        loop {
            let seen = shared.visible();
            assert_eq!(seen.page_count, seen.txn.0 * 7);
            if seen.txn.0 == 19_999 {
                break;
            }
        }
    });
}
