//! Where the choices of a schedule come from: a seed, or every path in turn.

/// What decides at each fork: which actor goes on, which page is taken, what a crash leaves.
#[derive(Debug)]
pub(super) enum Choices {
    /// Random numbers that a seed determines.
    Random(u64),
    /// One path after the other, as a counter whose digits are the forks of a path.
    Every { taken: Vec<(usize, usize)>, at: usize },
}

impl Choices {
    pub(super) fn random(seed: u64) -> Choices {
        // splitmix64: neighbouring seeds give unrelated sequences.
        let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Choices::Random((z ^ (z >> 31)).max(1))
    }

    pub(super) fn every() -> Choices {
        Choices::Every { taken: Vec::new(), at: 0 }
    }

    pub(super) fn is_random(&self) -> bool {
        matches!(self, Choices::Random(_))
    }

    /// The path that was taken, to be taken again.
    pub(super) fn again(path: &[usize]) -> Choices {
        Choices::Every { taken: path.iter().map(|choice| (*choice, choice + 1)).collect(), at: 0 }
    }

    /// The path so far.
    pub(super) fn taken(&self) -> Vec<usize> {
        match self {
            Choices::Random(_) => Vec::new(),
            Choices::Every { taken, .. } => taken.iter().map(|(choice, _)| *choice).collect(),
        }
    }

    /// One of `count`, which is not 0.
    pub(super) fn pick(&mut self, count: usize) -> usize {
        assert!(count > 0, "nothing to choose from");
        if count == 1 {
            return 0;
        }
        match self {
            Choices::Random(state) => {
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                // The product's upper half: the bias does not matter here.
                usize::try_from((u128::from(*state) * count as u128) >> 64).expect("below count")
            }
            Choices::Every { taken, at } => {
                if *at == taken.len() {
                    taken.push((0, count));
                }
                *at += 1;
                taken[*at - 1].0
            }
        }
    }

    /// True once in `count` times.
    pub(super) fn one_in(&mut self, count: usize) -> bool {
        self.pick(count) == 0
    }

    /// Goes on to the next path; false when there is none.
    pub(super) fn next_path(&mut self) -> bool {
        let Choices::Every { taken, at } = self else { return false };
        *at = 0;
        while let Some((choice, count)) = taken.pop() {
            if choice + 1 < count {
                taken.push((choice + 1, count));
                return true;
            }
        }
        false
    }
}

/// What a step is given: its choices, and where it says what it does.
#[derive(Debug)]
pub(super) struct Turn<'t> {
    pub(super) choices: &'t mut Choices,
    pub(super) log: Option<&'t mut Vec<String>>,
}

impl Turn<'_> {
    /// Nothing is put into words unless somebody listens: schedules that find nothing are many.
    pub(super) fn say(&mut self, text: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push(text());
        }
    }

    pub(super) fn pick(&mut self, count: usize) -> usize {
        self.choices.pick(count)
    }
}
