//! Goal: what a fuzzer found once stays fixed, and its tools do what they say.
//! Method: every file of `tests/data/fuzz/TARGET` is given to the code that the fuzzer runs.

use std::path::Path;

use super::*;
use crate::simulation::explore::formatted;
use crate::simulation::ops::Setup;

/// Runs a target on all inputs that are kept for it; how many there are.
fn each_input(target: &str, run: impl Fn(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fuzz").join(target);
    let mut inputs: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    for input in &inputs {
        println!("{}", input.display());
        run(&std::fs::read(input).unwrap());
    }
    inputs.len()
}

#[test]
fn inputs_of_file() {
    assert!(each_input("file", file) > 0);
}

#[test]
fn inputs_of_keys() {
    assert!(each_input("keys", keys) > 0);
}

#[test]
fn inputs_of_ops() {
    assert!(each_input("ops", ops) > 0);
}

#[test]
fn inputs_of_page() {
    assert!(each_input("page", page) > 0);
}

#[test]
fn a_packed_file_is_unpacked_to_what_it_was() {
    let file = formatted(&Setup::PLAIN);
    assert_eq!(unpack(&pack(&file)), file);
    assert!(pack(&file).len() < 2000);
    for bytes in [&[][..], &[0; 70_000], &[1; 70_000], &[0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]] {
        assert_eq!(unpack(&pack(bytes)), bytes);
    }
}

#[test]
fn sealing_a_sound_file_changes_nothing() {
    let file = formatted(&Setup::PLAIN);
    let mut sealed = file.clone();
    seal::seal(&mut sealed);
    assert!(sealed == file);
    seal::relink(&mut sealed);
    assert!(sealed == file);
}
