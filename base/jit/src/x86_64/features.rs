//! What not every x86-64 processor can.
//!
//! An instruction that needs a feature takes a token of it, and only a [`Features`] that has the feature gives the token away.

use core::fmt;

/// Names a feature that the encoder has instructions for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Feature {
    /// Has `andn`, `bextr`, `tzcnt`.
    Bmi1,
    /// Has `shlx`, `shrx`, `sarx`, `rorx`, `bzhi`.
    Bmi2,
    /// Has `movbe`, loads and stores in the other byte order.
    Movbe,
    /// Has `lzcnt`.
    Lzcnt,
    /// Has `popcnt`.
    Popcnt,
}

impl Feature {
    /// Lists every feature.
    pub const ALL: [Feature; 5] =
        [Feature::Bmi1, Feature::Bmi2, Feature::Movbe, Feature::Lzcnt, Feature::Popcnt];

    /// Returns the name that `/proc/cpuinfo` has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Feature::Bmi1 => "bmi1",
            Feature::Bmi2 => "bmi2",
            Feature::Movbe => "movbe",
            Feature::Lzcnt => "abm",
            Feature::Popcnt => "popcnt",
        }
    }
}

/// Holds the words that the CPUID instruction gives for what this encoder can use.
///
/// Whoever runs on the target processor asks it; here they are numbers. No bit about the operating system's support is
/// needed: the VEX-coded instructions in use touch general registers only, which XCR0 does not govern (Intel SDM vol. 2,
/// "VEX-encoded GPR instructions").
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Cpuid {
    /// Leaf 1, ECX.
    pub leaf_1_ecx: u32,
    /// Leaf 7, subleaf 0, EBX; zero where the processor's highest leaf is lower.
    pub leaf_7_ebx: u32,
    /// Leaf 8000_0001H, ECX; zero where the processor's highest extended leaf is lower.
    pub leaf_8000_0001_ecx: u32,
}

/// Holds a set of features.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Features(u8);

impl Features {
    /// Holds no feature: every x86-64 processor.
    pub const NONE: Features = Features(0);
    /// Holds what the psABI's level x86-64-v3 has of them, which is all.
    pub const V3: Features = Features(0x1f);

    /// Reads the features from CPUID's words (Intel SDM vol. 2, CPUID; AMD APM vol. 3, appendix E).
    pub const fn from_cpuid(words: &Cpuid) -> Features {
        let mut found = Features::NONE;
        let bits = [
            (words.leaf_7_ebx >> 3, Feature::Bmi1),
            (words.leaf_7_ebx >> 8, Feature::Bmi2),
            (words.leaf_1_ecx >> 22, Feature::Movbe),
            (words.leaf_8000_0001_ecx >> 5, Feature::Lzcnt),
            (words.leaf_1_ecx >> 23, Feature::Popcnt),
        ];
        let mut at = 0;
        while at < bits.len() {
            if bits[at].0 & 1 == 1 {
                found = found.with(bits[at].1);
            }
            at += 1;
        }
        found
    }

    /// Returns the set with one feature more.
    #[must_use]
    pub const fn with(self, feature: Feature) -> Features {
        Features(self.0 | 1 << feature as u8)
    }

    /// Returns the set with one feature less.
    #[must_use]
    pub const fn without(self, feature: Feature) -> Features {
        Features(self.0 & !(1 << feature as u8))
    }

    /// Says whether the feature is in the set.
    pub const fn has(self, feature: Feature) -> bool {
        self.0 >> feature as u8 & 1 == 1
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(Feature::ALL.iter().filter(|feature| self.has(**feature))).finish()
    }
}

macro_rules! tokens {
    ($($token:ident, $give:ident;)*) => {
        $(
            #[doc = concat!("Proves that the target has [`Feature::", stringify!($token), "`].")]
            #[derive(Clone, Copy, PartialEq, Eq, Debug)]
            pub struct $token(());
        )*
        impl Features {
            $(
                #[doc = concat!("Gives the proof of [`Feature::", stringify!($token), "`], if it is in the set.")]
                #[inline]
                pub const fn $give(self) -> Option<$token> {
                    if self.has(Feature::$token) { Some($token(())) } else { None }
                }
            )*
        }
    };
}

tokens! {
    Bmi1, bmi1;
    Bmi2, bmi2;
    Movbe, movbe;
    Lzcnt, lzcnt;
    Popcnt, popcnt;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bit_of_cpuid_is_one_feature() {
        let one = |leaf_1_ecx, leaf_7_ebx, leaf_8000_0001_ecx| {
            Features::from_cpuid(&Cpuid { leaf_1_ecx, leaf_7_ebx, leaf_8000_0001_ecx })
        };
        assert_eq!(one(0, 1 << 3, 0), Features::NONE.with(Feature::Bmi1));
        assert_eq!(one(0, 1 << 8, 0), Features::NONE.with(Feature::Bmi2));
        assert_eq!(one(1 << 22, 0, 0), Features::NONE.with(Feature::Movbe));
        assert_eq!(one(0, 0, 1 << 5), Features::NONE.with(Feature::Lzcnt));
        assert_eq!(one(1 << 23, 0, 0), Features::NONE.with(Feature::Popcnt));
        assert_eq!(one(!(3 << 22), !(1 << 3 | 1 << 8), !(1 << 5)), Features::NONE);
        assert_eq!(one(!0, !0, !0), Features::V3);
    }

    #[test]
    fn a_token_is_given_by_its_own_feature_only() {
        for feature in Feature::ALL {
            let only = Features::NONE.with(feature);
            let given = [
                only.bmi1().is_some(),
                only.bmi2().is_some(),
                only.movbe().is_some(),
                only.lzcnt().is_some(),
                only.popcnt().is_some(),
            ];
            assert_eq!(given, Feature::ALL.map(|other| other == feature));
            assert!(!Features::V3.without(feature).has(feature));
        }
    }
}
