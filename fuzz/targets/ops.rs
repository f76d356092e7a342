//! Operations against the model, on a simulated disk, and crashes of them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| folio::fuzzing::ops(data));
