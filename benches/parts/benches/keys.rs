//! Keys as their encodings, and back.

use std::borrow::Cow;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use folio::types::AsKey;
use folio::{Key, Result};

/// Encodes and decodes one key of type `K`.
fn bench<K: Key>(c: &mut Criterion, name: &str, key: &impl AsKey<K>) {
    let mut group = c.benchmark_group(name);
    group.bench_function("encode", |b| {
        b.iter(|| black_box(black_box(key).key_bytes().as_ref()).len());
    });
    let bytes = key.key_bytes().as_ref().to_vec();
    let decode = |bytes| -> Result<()> {
        black_box(K::decode(Cow::Borrowed(bytes))?);
        Ok(())
    };
    group.bench_function("decode", |b| b.iter(|| decode(black_box(&bytes))));
    group.finish();
}

fn keys(c: &mut Criterion) {
    bench::<u64>(c, "u64", &0x0123_4567_89AB_CDEF_u64);
    bench::<&str>(c, "str", &"user/000123/orders/000000045678");
    bench::<(u64, &str)>(c, "(u64,str)", &(7, "orders"));
    bench::<(&str, u32, &[u8])>(c, "(str,u32,bytes)", &("user", 123, &b"a\0b"[..]));
}

criterion_group!(benches, keys);
criterion_main!(benches);
