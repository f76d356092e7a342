//! Edits of pages against a map, and any bytes as a page.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| folio::fuzzing::page(data));
