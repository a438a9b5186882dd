//! Tables of what Linux's headers `#define`, which no BTF knows.

/// One constant of Linux's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Define {
    /// Linux's name.
    pub name: &'static str,
    /// The value, sign-extended from the type the constant has here.
    pub value: i64,
    /// The header that has it, below `include/uapi/` (or `include/` for the kernel's own).
    pub header: &'static str,
}

/// Declares constants under Linux's own names, and the module's `DEFINES` table of the same.
macro_rules! defines {
    ($($header:literal { $($name:ident: $type:ty = $value:expr, $doc:literal;)* })*) => {
        $($(
            #[doc = $doc]
            pub const $name: $type = $value;
        )*)*

        /// Every constant of this module with its source.
        pub const DEFINES: &[crate::Define] = &[
            $($(crate::Define { name: stringify!($name), value: $name as i64, header: $header },)*)*
        ];
    };
}

pub(crate) use defines;
