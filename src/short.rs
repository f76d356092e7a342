//! Copies of a few bytes that need no heap.

/// A copy of some bytes: in place up to `N` of them, on the heap if they are more. `N` is below 256.
#[derive(Debug, Clone)]
pub(crate) enum Short<const N: usize> {
    Near { bytes: [u8; N], len: u8 },
    Far(Box<[u8]>),
}

impl<const N: usize> Short<N> {
    #[inline]
    pub(crate) fn new(source: &[u8]) -> Short<N> {
        let mut bytes = [0; N];
        match (bytes.get_mut(..source.len()), u8::try_from(source.len())) {
            (Some(to), Ok(len)) => {
                to.copy_from_slice(source);
                Short::Near { bytes, len }
            }
            _ => Short::Far(source.into()),
        }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Short::Near { bytes, len } => &bytes[..usize::from(*len)],
            Short::Far(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_the_same_bytes_wherever_they_lie() {
        for len in 0..40 {
            let source: Vec<u8> = (1..=len).collect();
            let copy = Short::<22>::new(&source);
            assert_eq!(copy.as_slice(), source);
            assert_eq!(matches!(copy, Short::Near { .. }), len <= 22, "{len}");
        }
    }
}
