//! What a kernel can do, as values.
//!
//! Each [`Feature`] has a name, the release that brought it, and a question to the kernel that shows whether it is there:
//! distributions carry features back, and configurations leave them out, so a release number tells little. A kernel is
//! asked when somebody needs to know, and once: answers are kept with the [`Kernel`] value.
//!
//! Three things are unlike libbpf's `feat_supported`. A load asks nothing in advance: what the kernel takes at once needs no
//! question. A question that fails for another reason than the feature (no right, no memory) is an error and not an
//! answer, and is asked again the next time. And answers belong to a `Kernel` value, not to the process, so that kernels
//! beside each other, and tokens, do not mix.

mod ask;
mod btf;
mod insn;
mod kinds;
mod table;

use crate::Kernel;
use crate::error::Result;
use skep_abi::{FuncId, MapType, ProgType};
use skep_btf::{Feature as BtfFeature, Support};
use skep_model::platform::version::Version;
use skep_model::platform::{Platform, helpers, maps, prog};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Something that kernels have or lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Feature {
    /// Programs and maps have names.
    ProgName,
    /// Instructions load addresses inside the value of an array.
    GlobalData,
    /// The kernel takes types.
    Btf,
    /// It takes this of types.
    BtfType(BtfFeature),
    /// Arrays can be mapped into memory.
    ArrayMmap,
    /// A load says where the program is to be attached.
    ExpectedAttachType,
    /// `bpf_probe_read_kernel` and its siblings for user memory and strings.
    ProbeReadKernel,
    /// Maps are bound to programs that do not refer to them.
    ProgBindMap,
    /// Modules have types, and types have names.
    ModuleBtf,
    /// Perf events are attached to by links.
    PerfLink,
    /// Programs read a number of the one who attached them.
    BpfCookie,
    /// Memory counts against the control group, and no longer against `RLIMIT_MEMLOCK`.
    MemcgAccounting,
    /// The functions of system calls have a prefix of their architecture.
    SyscallWrapper,
    /// One link has many uprobes, and finds those of one process.
    UprobeMulti,
    /// A tag says which argument of a global function is the context.
    ArgCtxTag,
    /// Instructions load any address of an arena.
    FullRangeOffsets,
    /// Programs have functions.
    FunctionCalls,
    /// Programs are attached by links.
    Links,
    /// Elements of maps are read and written many at once.
    BatchOps,
    /// Maps may be read-only to programs.
    ReadOnlyMaps,
    /// Instructions refer to maps by an index.
    FdArray,
    /// Rights are delegated by tokens.
    Token,
    /// Programs have more than 4096 instructions.
    LargePrograms,
    /// Programs have loops.
    BoundedLoops,
    /// The second version of the instruction set: jumps on less.
    IsaV2,
    /// The third: jumps on 32 bits.
    IsaV3,
    /// The fourth: long jumps, signed division and loads.
    IsaV4,
    /// Programs of this type.
    ProgType(ProgType),
    /// Maps of this type.
    MapType(MapType),
    /// This helper, for programs of this type.
    Helper(ProgType, FuncId),
}

/// What is known of a feature without asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Known {
    /// Nobody has asked.
    Unknown,
    /// The kernel has it.
    There,
    /// The kernel lacks it.
    Missing,
}

impl Feature {
    /// Lists the features that have no parameter, oldest questions of libbpf's first.
    pub fn named() -> impl ExactSizeIterator<Item = Feature> {
        table::ROWS.iter().map(|row| row.feature)
    }

    /// Lists the types of programs that Linux has names for.
    pub fn prog_types() -> impl ExactSizeIterator<Item = Feature> {
        prog::PROGS.iter().map(|row| Feature::ProgType(row.kind))
    }

    /// Lists the types of maps that Linux has names for.
    pub fn map_types() -> impl ExactSizeIterator<Item = Feature> {
        maps::MAPS.iter().map(|row| Feature::MapType(row.kind))
    }

    /// Lists the helpers that Linux has names for, for programs of a type.
    pub fn helpers(prog_type: ProgType) -> impl ExactSizeIterator<Item = Feature> {
        helpers::HELPERS.iter().map(move |row| Feature::Helper(prog_type, row.id))
    }

    /// Gives the name: a word in small letters, or Linux's name of a type or helper.
    pub fn name(self) -> Cow<'static, str> {
        match self {
            Feature::ProgType(kind) => kind.to_string().into(),
            Feature::MapType(kind) => kind.to_string().into(),
            Feature::Helper(kind, id) => format!("bpf_{} in {kind}", helper_name(id)).into(),
            named => table::find(named).map_or("?", |row| row.name).into(),
        }
    }

    /// Gives the first release that has it; `None` where that is not known.
    pub fn since(self) -> Option<Version> {
        const ALL: Platform = Platform::linux(Version::new(u8::MAX, u8::MAX));
        match self {
            Feature::ProgType(kind) => ALL.prog(kind).map(|row| row.since),
            Feature::MapType(kind) => ALL.map(kind).map(|row| row.since),
            Feature::Helper(_, id) => ALL.helper(id).ok().map(|row| row.since),
            named => table::find(named).and_then(|row| row.since),
        }
    }
}

/// A helper's name without `bpf_`, or its number.
fn helper_name(id: FuncId) -> Cow<'static, str> {
    let row = helpers::HELPERS.iter().find(|row| row.id == id);
    row.map_or_else(|| format!("helper#{}", id.0).into(), |row| row.name.into())
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// The answers that a kernel has given.
#[derive(Default)]
pub(crate) struct Answers(Mutex<BTreeMap<Feature, bool>>);

impl Answers {
    fn get(&self, feature: Feature) -> Option<bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&feature).copied()
    }

    fn set(&self, feature: Feature, answer: bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(feature, answer);
    }
}

impl Kernel {
    /// Tells whether this kernel has a feature; it is asked the first time, by making and closing something small.
    ///
    /// # Errors
    /// Where it cannot be asked: this process lacks the right, there is no memory. The next call asks again.
    pub fn has(&self, feature: Feature) -> Result<bool> {
        if let Some(answer) = self.answers().get(feature) {
            return Ok(answer);
        }
        let answer = self.ask(feature).map_err(|error| error.in_feature(&feature.name()))?;
        self.answers().set(feature, answer);
        Ok(answer)
    }

    /// Tells what is known of a feature, and asks nothing.
    pub fn known(&self, feature: Feature) -> Known {
        match self.answers().get(feature) {
            None => Known::Unknown,
            Some(true) => Known::There,
            Some(false) => Known::Missing,
        }
    }

    fn ask(&self, feature: Feature) -> Result<bool> {
        match feature {
            Feature::ProgType(kind) => kinds::prog_type(self, kind),
            Feature::MapType(kind) => kinds::map_type(self, kind),
            Feature::Helper(kind, id) => kinds::helper(self, kind, id),
            named => table::find(named).map_or(Ok(false), |row| (row.probe)(self)),
        }
    }

    /// Gives what this kernel takes of types.
    pub(crate) fn btf_support(&self) -> Result<Support> {
        BtfFeature::all().try_fold(Support::NONE, |support, feature| {
            Ok(if self.has(Feature::BtfType(feature))? { support.with(feature) } else { support })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_words() {
        let names: HashSet<_> = Feature::named().map(Feature::name).collect();
        assert_eq!(names.len(), Feature::named().len());
        let is_word =
            |name: &str| name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_');
        assert!(names.iter().all(|name| is_word(name)), "{names:?}");
        assert_eq!(Feature::MapType(MapType::RINGBUF).to_string(), "BPF_MAP_TYPE_RINGBUF");
        let helper = Feature::Helper(ProgType::XDP, FuncId(5));
        assert_eq!(helper.to_string(), "bpf_ktime_get_ns in BPF_PROG_TYPE_XDP");
        assert_eq!(
            Feature::Helper(ProgType::XDP, FuncId(9999)).to_string(),
            "bpf_helper#9999 in BPF_PROG_TYPE_XDP"
        );
    }

    #[test]
    fn parameters_have_a_release_where_tables_know_it() {
        assert_eq!(Feature::MapType(MapType::RINGBUF).since(), Some(Version::new(5, 8)));
        assert_eq!(Feature::Helper(ProgType::XDP, FuncId(9999)).since(), None);
        assert_eq!(Feature::ProgType(ProgType(9999)).since(), None);
    }

    #[test]
    fn every_feature_of_types_has_a_row() {
        for feature in BtfFeature::all() {
            let since = feature.since();
            let row = table::find(Feature::BtfType(feature)).expect("a row");
            assert_eq!(row.since, Some(Version::new(since.0, since.1)), "{feature:?}");
        }
    }
}
