//! Goal: no page is written that a pinned root needs, in whatever order the stores of one thread are seen by
//! another. Method: loom runs the code of `roots.rs` and `cell.rs` with words of its own, in every
//! interleaving with few preemptions, and with every value that the memory model allows a load to see. A
//! page holds the number of the transaction that wrote it. For each step of the protocol there is a run that
//! leaves it out or does it in the wrong order, and must be caught.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, fence};
use loom::thread;

use super::cell::Word;
use super::roots::{NOTHING, Roots, roots_words};
use super::*;

impl Word for AtomicU64 {
    fn load(&self, order: Ordering) -> u64 {
        self.load(order)
    }

    fn store(&self, value: u64, order: Ordering) {
        self.store(value, order);
    }

    fn fence(order: Ordering) {
        fence(order);
    }

    fn wait() {
        thread::yield_now();
    }
}

/// A root is its transaction and the page that it refers to.
const WORDS: usize = 2;

/// As many as roots can be pinned at once, and one more.
const PAGES: usize = 5;

/// What the threads share. Each transaction writes one page and frees that of the one before.
struct World {
    words: Vec<AtomicU64>,
    captured: Vec<AtomicU64>,
    slot: AtomicU64,
    pages: Vec<AtomicU64>,
    /// The first page that was not what it should have been. Told when the threads have ended: loom does not
    /// survive a panic in the middle.
    fault: std::sync::Arc<OnceLock<String>>,
}

impl World {
    /// At transaction 1, which is visible and durable, in page 0.
    fn new() -> World {
        let words = |count: usize| (0..count).map(|_| AtomicU64::new(NOTHING)).collect::<Vec<_>>();
        let world = World {
            words: words(roots_words(WORDS)),
            captured: words(1),
            slot: AtomicU64::new(NOTHING),
            pages: words(PAGES),
            fault: std::sync::Arc::default(),
        };
        world.pages[0].store(1, Ordering::Relaxed);
        world.roots().begin(&[1, 0], &[1, 0]);
        world
    }

    fn roots(&self) -> Roots<'_, AtomicU64, WORDS> {
        Roots::new(&self.words, &self.captured)
    }

    fn page(&self, [_, page]: [u64; WORDS]) -> &AtomicU64 {
        &self.pages[usize::try_from(page).unwrap()]
    }

    /// Whoever has pinned `root` finds its page as it was written.
    fn check(&self, root: [u64; WORDS], who: &str) {
        let found = self.page(root).load(Ordering::Relaxed);
        if found != root[0] {
            let fault = format!("{who} of transaction {} finds the page of {found}", root[0]);
            let _ = self.fault.set(fault);
        }
    }

    /// A write transaction on top of `head`, in the first page that no pinned root needs.
    fn commit(&self, head: u64, pins: &[u64]) -> [u64; WORDS] {
        let is_needed = |page: u64| {
            let owner = self.pages[usize::try_from(page).unwrap()].load(Ordering::Relaxed);
            owner != NOTHING && (owner == head || pins.contains(&owner))
        };
        let page = (0..PAGES as u64).find(|page| !is_needed(*page)).expect("fewer pins than pages");
        let root = [head + 1, page];
        self.page(root).store(head + 1, Ordering::Relaxed);
        root
    }

    fn pins(&self) -> Vec<u64> {
        self.roots().pins(|| std::iter::once(&self.slot))
    }
}

type Step<T> = fn(&World) -> T;

/// What the threads do, so that a run can do one of it wrongly.
#[derive(Clone, Copy)]
struct Rules {
    pin: Step<[u64; WORDS]>,
    release: Step<()>,
    scan: Step<Vec<u64>>,
    capture: Step<[u64; WORDS]>,
    set_durable: fn(&World, [u64; WORDS]),
}

const RULES: Rules = Rules {
    pin: |world| world.roots().pin(&world.slot),
    release: |world| world.slot.store(NOTHING, Ordering::Release),
    scan: World::pins,
    capture: |world| world.roots().capture().expect("there is room"),
    set_durable: |world, root| world.roots().set_durable(&root),
};

/// Runs a model; what loom found, if anything.
fn explore(rules: Rules, threads: fn(Rules, &Arc<World>)) -> Option<String> {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    let run = || {
        builder.check(move || {
            let world = Arc::new(World::new());
            let fault = std::sync::Arc::clone(&world.fault);
            threads(rules, &world);
            drop(world);
            if let Some(fault) = fault.get() {
                panic!("{fault}");
            }
        });
    };
    let panic = catch_unwind(AssertUnwindSafe(run)).err()?;
    Some(panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "another panic".to_owned()))
}

/// A reader beside a writer that makes two buffered commits, the second of which wants the page that the
/// first one freed.
fn a_reader(rules: Rules, world: &Arc<World>) {
    let reader = {
        let world = Arc::clone(world);
        thread::spawn(move || {
            let root = (rules.pin)(&world);
            world.check(root, "a reader");
            (rules.release)(&world);
        })
    };
    for head in 1..3 {
        let root = world.commit(head, &(rules.scan)(world));
        world.roots().set_head(&root);
        world.roots().set_soft(&root);
        // So that the first commit's predecessor is not kept for the disk's sake.
        world.roots().set_durable(&root);
    }
    reader.join().unwrap();
}

/// A leader beside a writer that goes on committing.
fn a_leader(rules: Rules, world: &Arc<World>) {
    let root = world.commit(1, &world.pins());
    world.roots().set_head(&root);
    let leader = {
        let world = Arc::clone(world);
        thread::spawn(move || {
            let root = (rules.capture)(&world);
            world.check(root, "the meta page");
            (rules.set_durable)(&world, root);
            world.check(world.roots().durable(), "the durable root");
        })
    };
    for head in 2..4 {
        let root = world.commit(head, &(rules.scan)(world));
        world.roots().set_head(&root);
    }
    leader.join().unwrap();
}

#[test]
fn readers_and_leaders_find_what_they_have_pinned() {
    assert_eq!(explore(RULES, a_reader), None);
    assert_eq!(explore(RULES, a_leader), None);
}

#[track_caller]
fn is_caught(rules: Rules, threads: fn(Rules, &Arc<World>)) {
    let found = explore(rules, threads).expect("the broken rule must be found");
    assert!(found.contains("finds the page of"), "{found}");
    println!("caught: {found}");
}

#[test]
fn a_reader_that_does_not_look_again_is_caught() {
    let pin: Step<_> = |world| {
        let (root, _) = world.roots().visible();
        world.slot.store(root[0], Ordering::Relaxed);
        fence(Ordering::SeqCst);
        root
    };
    is_caught(Rules { pin, ..RULES }, a_reader);
}

#[test]
fn a_reader_that_looks_again_before_it_has_published_is_caught() {
    let pin: Step<_> = |world| {
        let (root, stamp) = world.roots().visible();
        let (again, seen) = world.roots().visible();
        let root = if stamp == seen { root } else { again };
        fence(Ordering::SeqCst);
        world.slot.store(root[0], Ordering::Relaxed);
        root
    };
    is_caught(Rules { pin, ..RULES }, a_reader);
}

#[test]
fn a_reader_without_a_fence_is_caught() {
    let pin: Step<_> = |world| {
        loop {
            let (root, stamp) = world.roots().visible();
            world.slot.store(root[0], Ordering::Relaxed);
            if world.roots().visible().1 == stamp {
                return root;
            }
        }
    };
    is_caught(Rules { pin, ..RULES }, a_reader);
}

#[test]
fn a_scan_that_reads_slots_before_roots_is_caught() {
    let scan: Step<_> = |world| {
        let slot = world.slot.load(Ordering::Acquire);
        fence(Ordering::SeqCst);
        let mut pins = world.roots().pins(std::iter::empty);
        pins.push(slot);
        pins
    };
    is_caught(Rules { scan, ..RULES }, a_reader);
}

#[test]
fn a_scan_without_a_fence_is_caught() {
    let scan: Step<_> = |world| {
        let slot = world.slot.load(Ordering::Acquire);
        vec![slot, world.roots().head()[0], world.roots().durable()[0], world.roots().visible().0[0]]
    };
    is_caught(Rules { scan, ..RULES }, a_reader);
}

#[test]
fn a_leader_that_does_not_look_at_the_head_again_is_caught() {
    let capture: Step<_> = |world| {
        let head = world.roots().head();
        world.captured[0].store(head[0], Ordering::Relaxed);
        fence(Ordering::SeqCst);
        head
    };
    is_caught(Rules { capture, ..RULES }, a_leader);
}

#[test]
fn a_leader_that_lets_go_before_its_root_is_durable_is_caught() {
    let set_durable = |world: &World, root: [u64; WORDS]| {
        world.roots().forget_captures();
        world.roots().set_durable(&root);
    };
    is_caught(Rules { set_durable, ..RULES }, a_leader);
}
