//! Floats. As keys in the order of `total_cmp`: -NaN, -inf, ..., -0.0, 0.0, ..., inf, NaN. As values:
//! little-endian.
//!
//! Every bit pattern is kept, the payload of a NaN too.
#![expect(clippy::big_endian_bytes, reason = "the order of big-endian bytes is the order of the numbers")]

use crate::types::scalar::number;

macro_rules! float {
    ($type:ty, $bits:ty, $name:literal) => {
        number!($type, $name,
            key: |number: $type| {
                // Magnitude and sign are apart. A negative number is smaller the larger its magnitude: flip
                // all of it.
                let bits = number.to_bits();
                (if bits & SIGN == 0 { bits | SIGN } else { !bits }).to_be_bytes()
            },
            |bytes| {
                let bits = <$bits>::from_be_bytes(bytes);
                <$type>::from_bits(if bits & SIGN == 0 { !bits } else { bits ^ SIGN })
            },
            value: <$type>::to_le_bytes, <$type>::from_le_bytes);
    };
}

const _: () = {
    const SIGN: u32 = 1 << 31;
    float!(f32, u32, "f32");
};

const _: () = {
    const SIGN: u64 = 1 << 63;
    float!(f64, u64, "f64");
};
