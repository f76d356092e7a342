//! Any bytes as a database file, with a mutator that knows what a file is made of and makes checksums right.
#![no_main]

use libfuzzer_sys::{fuzz_crossover, fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|data: &[u8]| folio::fuzzing::file(data));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut bytes = |bytes: &mut [u8]| {
        let len = bytes.len();
        if len > 0 {
            fuzzer_mutate(bytes, len, len);
        }
    };
    folio::fuzzing::mutate(data, size, max_size, seed, &mut bytes)
});

fuzz_crossover!(|one: &[u8], other: &[u8], out: &mut [u8], seed: u32| {
    folio::fuzzing::cross_over(one, other, out, seed)
});
