//! Leaves out of a program whatever can be.

use crate::Listing;

/// Programs that are tried at most.
const TRIES: usize = 500;

/// The shortest program that was found for which something still holds.
pub(crate) fn shortest(listing: &Listing, holds: &mut dyn FnMut(&Listing) -> bool) -> Listing {
    let mut best = listing.clone();
    let mut tries = 0;
    let mut size = (best.lines.len() / 2).max(1);
    loop {
        let mut is_shorter = false;
        let mut at = 0;
        while at < best.lines.len() && tries < TRIES {
            let without = best.without(at, size);
            tries += 1;
            if !without.lines.is_empty() && holds(&without) {
                best = without;
                is_shorter = true;
            } else {
                at += size;
            }
        }
        if tries >= TRIES || (size == 1 && !is_shorter) {
            return best;
        }
        if size > 1 {
            size /= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_isa::{Builder, Insn, Reg};

    #[test]
    fn what_is_left_is_what_it_takes() {
        let mut b = Builder::new();
        for value in 0..40 {
            b.mov(Reg::R0, value);
        }
        b.call_helper(7).exit();
        let slots: Vec<_> = b.finish().unwrap().0.encode().collect();
        let listing = Listing::of(&slots, &[]).unwrap();
        let calls = |listing: &Listing| {
            listing.lines.iter().any(|line| matches!(line.insn, Insn::CallHelper { id: 7 }))
        };
        let left = shortest(&listing, &mut |listing| calls(listing));
        assert_eq!(left.lines.len(), 1);
    }
}
