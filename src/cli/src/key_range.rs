//! The arguments that choose keys: `--from`, `--to`, `--prefix`.

use std::ops::Bound;

use clap::Args;
use folio::RawBounds;

use crate::column::Column;
use crate::failure::Failure;

/// Which keys.
#[derive(Debug, Args)]
pub(crate) struct RangeArgs {
    /// From this key on, itself included
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    from: Option<String>,
    /// Up to this key, itself not included
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    to: Option<String>,
    /// Only keys that begin with this (tables whose keys are bytes or str)
    #[arg(long, conflicts_with_all = ["from", "to"], allow_hyphen_values = true)]
    prefix: Option<String>,
}

impl RangeArgs {
    /// Whether none of the arguments was given.
    pub(crate) fn is_empty(&self) -> bool {
        self.from.is_none() && self.to.is_none() && self.prefix.is_none()
    }

    /// The keys that are meant, as stored bytes.
    pub(crate) fn resolve(&self, keys: &Column) -> Result<KeyRange, Failure> {
        if let Some(prefix) = &self.prefix {
            if !keys.has_prefixes() {
                let name = keys.type_name();
                return Err(Failure::Message(format!(
                    "--prefix needs keys of type bytes or str, not {name}"
                )));
            }
            return Ok(KeyRange::of_prefix(keys.parse(prefix)?));
        }
        let parse = |text: &Option<String>| text.as_deref().map(|text| keys.parse(text)).transpose();
        Ok(KeyRange {
            from: parse(&self.from)?.map_or(Bound::Unbounded, Bound::Included),
            to: parse(&self.to)?.map_or(Bound::Unbounded, Bound::Excluded),
        })
    }
}

/// A range of keys as stored bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KeyRange {
    from: Bound<Vec<u8>>,
    to: Bound<Vec<u8>>,
}

impl KeyRange {
    fn of_prefix(prefix: Vec<u8>) -> Self {
        // The first key after all that begin so: the prefix with its last byte below ff counted up, and cut
        // there.
        let to = match prefix.iter().rposition(|byte| *byte != 0xff) {
            Some(last) => {
                let mut end = prefix.get(..=last).unwrap_or_default().to_vec();
                end.iter_mut().skip(last).for_each(|byte| *byte += 1);
                Bound::Excluded(end)
            }
            None => Bound::Unbounded,
        };
        KeyRange { from: Bound::Included(prefix), to }
    }

    pub(crate) fn bounds(&self) -> RawBounds<'_> {
        (self.from.as_ref().map(Vec::as_slice), self.to.as_ref().map(Vec::as_slice))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_one() {
        let to = |prefix: &[u8]| KeyRange::of_prefix(prefix.to_vec()).to;
        assert_eq!(to(b"ab"), Bound::Excluded(b"ac".to_vec()));
        assert_eq!(to(b"a\xff\xff"), Bound::Excluded(b"b".to_vec()));
        assert_eq!(to(b"\xff\xff"), Bound::Unbounded);
        assert_eq!(to(b""), Bound::Unbounded);
    }
}
