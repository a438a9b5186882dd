//! Names without their flavour.

/// The part of a name that says which type it is: what stands before the last `___` that has something on both sides.
pub fn essential_name(name: &str) -> &str {
    let bytes = name.as_bytes();
    // `a___b`: one byte that is no `_`, three that are, one that is none.
    let is_separator = |at: usize| match bytes.get(at..at + 5) {
        Some([before, b'_', b'_', b'_', after]) => *before != b'_' && *after != b'_',
        _ => false,
    };
    let last = (0..bytes.len().saturating_sub(4)).rev().find(|&at| is_separator(at));
    last.and_then(|at| name.get(..=at)).unwrap_or(name)
}

/// Whether a name of the target is one of the program's: the same but for flavours, or both empty.
pub(super) fn is_same(local: &str, target: &str) -> bool {
    match target {
        "" => local.is_empty(),
        _ => essential_name(local) == essential_name(target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flavours_are_behind_three_underlines() {
        for (name, essential) in [
            ("task_struct", "task_struct"),
            ("task_struct___old", "task_struct"),
            ("a___b___c", "a___b"),
            ("a___b", "a"),
            ("a__b", "a__b"),
            ("a____b", "a____b"),
            ("___b", "___b"),
            ("a___", "a___"),
            ("a_____b", "a_____b"),
            ("___", "___"),
            ("", ""),
            ("\u{e9}___x", "\u{e9}"),
        ] {
            assert_eq!(essential_name(name), essential, "{name}");
        }
    }

    #[test]
    fn no_name_is_the_name_of_nothing_else() {
        assert!(is_same("", "") && is_same("a___1", "a___2"));
        assert!(!is_same("a", "") && !is_same("", "a"));
    }
}
