//! Open enumerations: numbers that Linux names and goes on adding to.

/// Declares a newtype over `u32` with one constant per known value; unknown values stay representable.
macro_rules! open_enum {
    ($(#[$meta:meta])* pub struct $name:ident: $what:literal { $($ident:ident = $value:literal, $linux:literal;)* }) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
            zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout, zerocopy::Immutable,
        )]
        #[repr(transparent)]
        pub struct $name(pub u32);

        impl $name {
            $(
                #[doc = concat!("`", $linux, "`.")]
                pub const $ident: Self = Self($value);
            )*

            /// Every value that has a name, in ascending order.
            pub const ALL: &'static [Self] = &[$(Self($value)),*];

            /// Returns the name that Linux's headers give to this value.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($linux),)*
                    _ => None,
                }
            }

            /// Returns the name of the constant of this type, which is Linux's without the prefix that all share.
            pub const fn short_name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($ident)),)*
                    _ => None,
                }
            }

            /// Looks a value up by the name that Linux's headers give it.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($linux => Some(Self($value)),)*
                    _ => None,
                }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self.name() {
                    Some(name) => f.pad(name),
                    None => write!(f, concat!($what, " {}"), self.0),
                }
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::fmt::Display::fmt(self, f)
            }
        }
    };
}

pub(crate) use open_enum;
