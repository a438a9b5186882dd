//! What is handed on with a verdict: facts for a compiler, and what the verdict is bound to.

use skep_abi::{AttachType, MapType, ProgType};
use skep_isa::text::assemble;
use skep_isa::{Addr, InsnIdx};
use skep_model::Touches;
use skep_model::platform::Platform;
use skep_model::platform::helper::Licence;
use skep_model::platform::version::Version;
use skep_verifier::{Difference, Limits, MapProto, Reference, References, Subject, Verified, verify};

const ARRAY: MapProto<'static> = MapProto {
    kind: MapType::ARRAY,
    key_size: 4,
    value_size: 8,
    max_entries: 1,
    flags: 0,
    inner: None,
    frozen: None,
    special: &[],
};

/// By descriptor: two arrays, and one that is frozen.
const MAPS: &[MapProto<'static>] =
    &[ARRAY, ARRAY, MapProto { frozen: Some(&[1, 0, 0, 0, 0, 0, 0, 0]), flags: 1 << 7, ..ARRAY }];

struct World;

impl References for World {
    fn address(&self, _: InsnIdx, _: Addr) -> Reference {
        Reference::Map(MapType::ARRAY)
    }

    fn kfunc(&self, _: InsnIdx, _: u32) -> Reference {
        Reference::Missing
    }

    fn map_of(&self, _: InsnIdx, addr: Addr) -> Option<usize> {
        match addr {
            Addr::MapFd { fd } | Addr::MapValueFd { fd, .. } => usize::try_from(fd).ok(),
            _ => None,
        }
    }
}

/// Verifies a program of XDP, and shows the subject that it was.
fn verified<R>(text: &str, look: impl FnOnce(&Verified, Subject<'_>) -> R) -> R {
    let assembled = assemble(text, &()).unwrap_or_else(|error| panic!("{text}\n{error}"));
    let mut subject = Subject::new(assembled.slots(), &Platform::LINUX_6_18, ProgType::XDP, &World);
    subject.licence = Licence::Gpl;
    subject.maps = MAPS;
    let verified = verify(&subject, &Limits::LINUX).unwrap_or_else(|error| panic!("{text}\n{error}"));
    look(&verified, subject)
}

#[test]
fn ways_that_are_never_gone_are_known() {
    let text = "
        r1 = map[fd:2][0] ll
        r2 = *(u32 *)(r1 + 0)
        if r2 == 1 goto one
        r0 = 3
        exit
        one: r0 = 2
        exit";
    verified(text, |verified, _| {
        let reached = |at| verified.facts().is_reached(InsnIdx(at));
        assert_eq!([0, 2, 3, 4, 5, 6, 7].map(reached), [true, true, true, false, false, true, true]);
    });
}

#[test]
fn what_instructions_touch_and_how_much_stack_is_known() {
    let text = "
        r6 = *(u32 *)(r1 + 0)
        r7 = *(u32 *)(r1 + 4)
        r8 = r6
        r8 += 8
        r0 = 0
        if r8 > r7 goto out
        r0 = *(u64 *)(r6 + 0)
        *(u64 *)(r10 - 24) = r0
        r0 = 1
        out: exit";
    verified(text, |verified, _| {
        let touches = |at| verified.facts().touches(InsnIdx(at));
        assert_eq!([0, 1, 2].map(touches), [Touches::Context, Touches::Context, Touches::Nothing]);
        assert_eq!([6, 7].map(touches), [Touches::Memory; 2]);
        assert_eq!(verified.facts().stack_bytes, 24);
        assert!(!verified.facts().lends_context);
    });
}

#[test]
fn the_map_of_a_call_is_known_if_it_is_always_the_same() {
    let text = "
        r6 = *(u32 *)(r1 + 12)
        *(u32 *)(r10 - 4) = 0
        r2 = r10
        r2 += -4
        r1 = map[fd:1] ll
        call 1                        ; 6: always on the second
        r2 = r10
        r2 += -4
        r1 = map[fd:0] ll
        if r6 > 7 goto other
        r1 = map[fd:1] ll
        other:
        call 1                        ; 14: on the first or the second
        r0 = 2
        exit";
    verified(text, |verified, _| {
        let facts = verified.facts();
        assert_eq!(facts.calls.iter().map(|call| call.at.0).collect::<Vec<_>>(), [6, 14]);
        assert_eq!([6, 14].map(|at| facts.map_of_call(InsnIdx(at))), [Some(1), None]);
    });
}

#[test]
fn a_verdict_holds_only_for_what_it_was_reached_with() {
    let text = "
        *(u32 *)(r10 - 4) = 0
        r2 = r10
        r2 += -4
        r1 = map[fd:0] ll
        call 1
        r0 = 2
        exit";
    verified(text, |verified, subject| {
        let against = |change: &dyn Fn(&mut Subject<'_>)| {
            let mut other = subject;
            change(&mut other);
            verified.binding().check(&other)
        };
        assert_eq!(against(&|_| ()), Ok(()));
        static OLDER: Platform = Platform::linux(Version::new(6, 12));
        assert_eq!(against(&|other| other.platform = &OLDER), Err(Difference::Version));
        assert_eq!(against(&|other| other.kind = ProgType::SCHED_CLS), Err(Difference::Kind));
        assert_eq!(against(&|other| other.attach = AttachType::XDP_DEVMAP), Err(Difference::Kind));
        assert_eq!(against(&|other| other.licence = Licence::Any), Err(Difference::Licence));
        assert_eq!(against(&|other| other.cpus += 1), Err(Difference::Cpus));
        assert_eq!(against(&|other| other.cpus = 1), Ok(()));
        let with = |at: usize, map: MapProto<'static>| {
            let mut maps = MAPS.to_vec();
            maps[at] = map;
            let mut other = Subject::new(subject.slots, subject.platform, subject.kind, subject.references);
            other.licence = Licence::Gpl;
            other.maps = &maps;
            verified.binding().check(&other)
        };
        assert_eq!(with(1, MapProto { value_size: 16, ..ARRAY }), Err(Difference::Map(1)));
        assert_eq!(with(0, MapProto { max_entries: 2, ..ARRAY }), Err(Difference::Map(0)));
        assert_eq!(with(2, MapProto { frozen: None, ..MAPS[2] }), Err(Difference::Frozen(2)));
        assert_eq!(with(2, MapProto { frozen: Some(&[2; 8]), ..MAPS[2] }), Err(Difference::Frozen(2)));
        assert_eq!(with(0, MapProto { frozen: Some(&[2; 8]), ..ARRAY }), Ok(()), "nothing was relied on");
        assert_eq!(against(&|other| other.maps = &MAPS[..2]), Err(Difference::Map(2)));
    });
}
