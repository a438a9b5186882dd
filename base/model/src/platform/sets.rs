//! Sets of program types and of map types, as one word each, so that tables stay constant.

use skep_abi::{MapType, ProgType};

macro_rules! kind_set {
    ($(#[$meta:meta])* $set:ident of $kind:ident, $what:literal) => {
        $(#[$meta])*
        ///
        /// Numbers from 63 on, which Linux does not use, share one member: [`Self::ALL`] has them, a set made of
        /// names has not.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $set(u64);

        impl $set {
            #[doc = concat!("No ", $what, " at all.")]
            pub const NONE: Self = Self(0);
            #[doc = concat!("Every ", $what, ", those of a host's own making too.")]
            pub const ALL: Self = Self(u64::MAX);

            #[doc = concat!("The set of these ", $what, "s.")]
            pub const fn of(kinds: &[$kind]) -> Self {
                let mut bits = 0;
                let mut i = 0;
                while i < kinds.len() {
                    bits |= Self::bit(kinds[i]);
                    i += 1;
                }
                Self(bits)
            }

            /// The union of both.
            pub const fn or(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// What is in this set and not in the other.
            pub const fn without(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }

            #[doc = concat!("Tells whether the ", $what, " is a member.")]
            pub const fn contains(self, kind: $kind) -> bool {
                self.0 & Self::bit(kind) != 0
            }

            /// Tells whether nothing is in the set.
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// Iterates over the members that have a name.
            pub fn iter(self) -> impl Iterator<Item = $kind> {
                $kind::ALL.iter().copied().filter(move |&kind| self.contains(kind))
            }

            const fn bit(kind: $kind) -> u64 {
                if kind.0 < 63 { 1 << kind.0 } else { 1 << 63 }
            }
        }
    };
}

kind_set! {
    /// A set of program types.
    ProgSet of ProgType, "program type"
}

kind_set! {
    /// A set of map types.
    MapSet of MapType, "map type"
}

/// The program types of tc.
pub const TC: ProgSet = ProgSet::of(&[ProgType::SCHED_CLS, ProgType::SCHED_ACT]);
/// XDP.
pub const XDP: ProgSet = ProgSet::of(&[ProgType::XDP]);
/// Socket filters.
pub const SOCKET_FILTER: ProgSet = ProgSet::of(&[ProgType::SOCKET_FILTER]);
/// Packets of a cgroup.
pub const CGROUP_SKB: ProgSet = ProgSet::of(&[ProgType::CGROUP_SKB]);
/// Light-weight tunnels.
pub const LWT: ProgSet =
    ProgSet::of(&[ProgType::LWT_IN, ProgType::LWT_OUT, ProgType::LWT_XMIT, ProgType::LWT_SEG6LOCAL]);
/// Probes and trace events: what Linux's kernel/trace/bpf_trace.c serves.
pub const TRACE: ProgSet = ProgSet::of(&[
    ProgType::KPROBE,
    ProgType::TRACEPOINT,
    ProgType::PERF_EVENT,
    ProgType::RAW_TRACEPOINT,
    ProgType::RAW_TRACEPOINT_WRITABLE,
    ProgType::TRACING,
    ProgType::LSM,
]);
/// Both kinds of raw tracepoints.
pub const RAW_TP: ProgSet = ProgSet::of(&[ProgType::RAW_TRACEPOINT, ProgType::RAW_TRACEPOINT_WRITABLE]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_own_types_are_in_all_only() {
        let own = ProgType(0x4000_0000);
        assert!(ProgSet::ALL.contains(own));
        assert!(!TC.or(XDP).contains(own));
        assert!(!ProgSet::NONE.contains(own) && ProgSet::NONE.is_empty());
    }

    #[test]
    fn iterates_in_order() {
        let mut members = TC.or(XDP).iter();
        assert_eq!(members.next(), Some(ProgType::SCHED_CLS));
        assert_eq!(members.next(), Some(ProgType::SCHED_ACT));
        assert_eq!(members.next(), Some(ProgType::XDP));
        assert_eq!(members.next(), None);
        assert_eq!(TC.or(XDP).without(TC), XDP);
    }
}
