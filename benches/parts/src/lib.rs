//! What the benches share: keys and values of the sizes that engines are compared with.

/// A key that nothing but its number tells: the same in every run, in no order.
pub fn key<const N: usize>(number: u64) -> [u8; N] {
    let mut key = [0; N];
    let mut state = number;
    for part in key.chunks_mut(8) {
        state = mix(state.wrapping_add(0x9E37_79B9_7F4A_7C15));
        part.copy_from_slice(&state.to_le_bytes()[..part.len()]);
    }
    key
}

/// SplitMix64's finalizer: every bit of the number changes half of the others.
fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}
