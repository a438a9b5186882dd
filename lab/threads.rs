//! The table of which types may go to another thread (`Send`) and which may be used by several at once (`Sync`), with the
//! reason. The compiler checks each row, both what it claims and what it denies; a test checks that no public type of
//! the crate's snapshot in `docs/api` lacks a row. Each public crate has its table in `tests/threads.rs`.

/// One type, and why it is what its row says.
pub(crate) struct Row {
    /// The type as its row writes it.
    pub(crate) name: &'static str,
    /// The reason.
    pub(crate) reason: &'static str,
}

/// Compiles where a type implements the trait, or where it does not.
macro_rules! implements {
    ($type:ty, yes $trait:ident) => {
        const _: fn() = || {
            fn claims<T: ?Sized + $trait>() {}
            claims::<$type>();
        };
    };
    // With the trait, the type has two implementations to choose from, and the compiler cannot.
    ($type:ty, no $trait:ident) => {
        const _: fn() = || {
            struct IfItDoes;
            trait Denies<A> {
                fn it() {}
            }
            impl<T: ?Sized> Denies<()> for T {}
            impl<T: ?Sized + $trait> Denies<IfItDoes> for T {}
            <$type as Denies<_>>::it();
        };
    };
}

/// The table of a crate: `"reason": yes Send, no Sync => Type, Type;` and so on.
macro_rules! threads {
    ($($reason:literal: $send:ident Send, $sync:ident Sync => $($type:ty),+;)+) => {
        const ROWS: &[threads::Row] =
            &[$($(threads::Row { name: stringify!($type), reason: $reason }),+),+];
        $($(
            implements!($type, $send Send);
            implements!($type, $sync Sync);
        )+)+
    };
}

/// Fails where the snapshot of a crate's interface has a type that no row is about, or a row is about none or twice.
pub(crate) fn check_complete(snapshot: &'static str, rows: &[Row]) {
    let declared = |line: &'static str| {
        let words = ["pub struct ", "pub enum ", "pub union "];
        words.iter().find_map(|word| Some(name_of(line.split_once(word)?.1)))
    };
    let public: Vec<&str> = snapshot.lines().filter_map(declared).collect();
    assert!(!public.is_empty(), "the snapshot has no types");
    for name in &public {
        assert!(rows.iter().any(|row| name_of(row.name) == *name), "{name} has no row");
    }
    for (index, row) in rows.iter().enumerate() {
        assert!(public.contains(&name_of(row.name)), "{} is not in the snapshot", row.name);
        assert!(rows[..index].iter().all(|other| other.name != row.name), "{} has two rows", row.name);
        assert!(!row.reason.is_empty(), "{} has no reason", row.name);
    }
}

/// The last part of a path, without parameters: what a declaration and a row have in common.
fn name_of(text: &str) -> &str {
    let path = text.split(['<', '(', ' ']).next().unwrap_or(text);
    path.rsplit("::").next().unwrap_or(path)
}
