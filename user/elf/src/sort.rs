//! Sorting by little code: the standard library's sorts are several kilobytes for each type, and a load comes through each
//! once, when none of it is in any cache.

/// Sorts in place, whatever the order of equals. What is sorted already is only looked at.
pub(crate) fn heap_sort<T>(items: &mut [T], is_less: impl Fn(&T, &T) -> bool) {
    if items.is_sorted_by(|one, next| !is_less(next, one)) {
        return;
    }
    let sink = |heap: &mut [T], mut root: usize| {
        loop {
            let mut child = 2 * root + 1;
            if child >= heap.len() {
                return;
            }
            if child + 1 < heap.len() && is_less(&heap[child], &heap[child + 1]) {
                child += 1;
            }
            if !is_less(&heap[root], &heap[child]) {
                return;
            }
            heap.swap(root, child);
            root = child;
        }
    };
    for root in (0..items.len() / 2).rev() {
        sink(items, root);
    }
    for end in (1..items.len()).rev() {
        items.swap(0, end);
        sink(&mut items[..end], 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_sorted_as_the_standard_library_sorts() {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 33
        };
        for len in (0..70).chain([1000]) {
            for most in [1, 3, 100_000] {
                let mut items: Vec<u64> = (0..len).map(|_| next() % most).collect();
                let mut wanted = items.clone();
                wanted.sort_unstable();
                heap_sort(&mut items, |one, other| one < other);
                assert_eq!(items, wanted);
                heap_sort(&mut items, |one, other| one > other);
                wanted.reverse();
                assert_eq!(items, wanted);
            }
        }
    }
}
