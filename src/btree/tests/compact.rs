//! Goal: a step of moving pages forward moves few more than it was asked to, however long the values are, and
//! the steps come to an end with every page moved.
//! Method: trees of one leaf and of many, with values of many pages each; a step copies at least one.

use super::super::compact::relocate;
use super::*;

const BUDGET: usize = 7;
/// Pages of a value, and what a step moves besides: the pages down to a leaf.
const RUN: u64 = 5;
const PATH: u64 = 3;

/// The pages of values and of the tree that lie at or behind `limit`.
fn far_pages(pages: &Double, limit: u64) -> usize {
    pages.runs.keys().chain(pages.clean.keys()).filter(|page| **page >= limit).count()
}

#[test]
fn a_step_moves_few_more_pages_than_it_was_asked_to() {
    for entries in [3, 60, 700] {
        let mut pages = Double::new(4096);
        let (mut root, mut finger, mut model) = (TreeRoot::default(), Finger::default(), Model::new());
        for i in 0..entries {
            // Long keys: few fit in a leaf.
            let key = [&ordered(i)[..], &[7; 300]].concat();
            let value = vec![i.to_le_bytes()[0]; index(RUN - 1) * 4096 + 9];
            insert(&mut pages, &mut root, &mut finger, &key, &value).unwrap();
            model.insert(key, value);
        }
        finger.forget();
        pages.freeze(&mut root);
        // Copies go behind everything, so that they would be copied again if a step went back.
        let (end, before) = (pages.next, far_pages(&pages, 1));
        let (mut from, mut steps, mut all) = (Vec::new(), 0, 0);
        loop {
            let (next, moved) = relocate(&mut pages, &mut root, &from, 1, BUDGET).unwrap();
            pages.freeze(&mut root);
            assert!(moved <= BUDGET as u64 + RUN + PATH, "{moved} pages in step {steps}");
            (steps, all) = (steps + 1, all + moved);
            let Some(next) = next else { break };
            assert!(next > from, "a step went back");
            from = next;
        }
        assert_eq!(far_pages(&pages, 1), far_pages(&pages, end), "a page was left where it was");
        assert!(all >= before as u64 && steps >= entries / 3, "{all} pages in {steps} steps");
        check_rules(&pages, &root);
        check_tree(&pages, &root, &model);
    }
}
