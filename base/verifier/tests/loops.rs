//! Loops that are not seen to end: refused, or accepted as ones that need fuel.

use skep_abi::{MapType, ProgType};
use skep_isa::text::assemble;
use skep_isa::{Addr, InsnIdx, Reg};
use skep_model::platform::Platform;
use skep_model::platform::helper::Licence;
use skep_verifier::{
    Holds, Known, Limits, Loops, MapProto, Pruning, Reference, References, Rejection, Subject, Trace,
    Verified, verify, verify_traced,
};

/// One map, by any descriptor: a ring.
struct World;

const RING: MapProto<'static> = MapProto {
    kind: MapType::RINGBUF,
    key_size: 0,
    value_size: 0,
    max_entries: 4096,
    flags: 0,
    inner: None,
    frozen: None,
    special: &[],
};

impl References for World {
    fn address(&self, _: InsnIdx, _: Addr) -> Reference {
        Reference::Map(RING.kind)
    }

    fn kfunc(&self, _: InsnIdx, _: u32) -> Reference {
        Reference::Missing
    }

    fn map_of(&self, _: InsnIdx, _: Addr) -> Option<usize> {
        Some(0)
    }
}

/// Turns that would have to be followed, of which there are too many.
const INSNS: u32 = 20_000;

fn limits(loops: Loops) -> Limits {
    Limits { loops, insns: INSNS, ..Limits::LINUX }
}

fn with(text: &str, limits: &Limits) -> Result<Verified, Rejection> {
    let assembled = assemble(text, &()).unwrap_or_else(|error| panic!("{text}\n{error}"));
    let mut subject = Subject::new(assembled.slots(), &Platform::LINUX_6_18, ProgType::XDP, &World);
    subject.licence = Licence::Gpl;
    subject.maps = &[RING];
    verify(&subject, limits)
}

/// Accepted where fuel is counted, as loops that come round at these instructions, and refused where it is not.
#[track_caller]
fn metered(text: &str, at: &[u32], refused: &str) {
    let verified =
        with(text, &limits(Loops::Metered)).unwrap_or_else(|rejection| panic!("{text}\n{rejection}"));
    assert_eq!(verified.loops(), Loops::Metered, "{text}");
    assert_eq!(verified.metered().iter().map(|at| at.0).collect::<Vec<_>>(), at, "{text}");
    let rejection = with(text, &limits(Loops::Bounded)).expect_err(text);
    assert_eq!(rejection.id(), refused, "{text}\n{rejection}");
}

/// Refused however loops are taken.
#[track_caller]
fn rejects(text: &str, id: &str, at: u32) {
    for pruning in [Pruning::Full, Pruning::Within, Pruning::Never] {
        let rejection = with(text, &Limits { pruning, ..limits(Loops::Metered) }).expect_err(text);
        assert_eq!(
            (rejection.id(), rejection.insn),
            (id, Some(InsnIdx(at))),
            "{pruning:?}\n{text}\n{rejection}"
        );
    }
}

#[test]
fn loops_that_end_are_bounded() {
    for text in [
        "r0 = 0\nexit",
        "r0 = 0\nl: r0 += 1\nif r0 != 100 goto l\nexit",
        "r6 = 0\nl: may_goto out\nr6 += 1\ngoto l\nout: r0 = 0\nexit",
    ] {
        let verified = with(text, &limits(Loops::Metered)).unwrap();
        assert_eq!((verified.loops(), verified.metered()), (Loops::Bounded, &[][..]), "{text}");
    }
}

#[test]
fn loops_that_do_not_end_are_metered() {
    metered("l: goto l", &[0], "control-endless-loop");
    metered("r6 = 0\nl: r6 += 1\ngoto l", &[1], "limit-processed");
    metered("r6 = 0\nl: r6 += 1\nif r6 != 10000000 goto l\nr0 = 0\nexit", &[1], "limit-processed");
    // Until a number comes that is not known.
    metered("l: call 7\nif r0 != 5 goto l\nr0 = 0\nexit", &[0], "control-endless-loop");
    // Whoever goes round the outer one comes to the inner one.
    metered(
        "l: call local f\nif r0 == 0 goto l\nexit\nf: call 7\nif r0 != 5 goto f\nr0 = 0\nexit",
        &[3],
        "control-endless-loop",
    );
    // Into the middle.
    metered(
        "call 7\nif r0 == 5 goto m\nl: r6 = 0\nm: call 7\nif r0 != 7 goto l\nr0 = 0\nexit",
        &[2],
        "control-endless-loop",
    );
}

#[test]
fn numbers_in_loops_stay_within_what_they_are_compared_with() {
    let around = |most: u32| {
        format!(
            "r6 = 0\nl: if r6 <= {most} goto on\nr6 = 0\non: r2 = r10\nr2 += -8\nr2 += r6\n*(u8 *)(r2 + 0) = 0\nr6 += 1\ngoto l"
        )
    };
    // The first turns are followed one by one, and this many are all: it comes to where it was.
    metered(&around(7), &[1], "control-endless-loop");
    rejects(&around(8), "stack-bounds", 6);
    // A loop that ends in one that does not, as compilers write it.
    let inner = |step: u32, end: u32, size: u32| {
        format!(
            "r7 = 0\nouter: r6 = 0\ninner: r2 = r10\nr2 += -64\nr2 += r6\n*(u{} *)(r2 + 0) = 0\nr6 += {step}\n\
             if r6 != {end} goto inner\nr7 += 1\ngoto outer",
            size * 8
        )
    };
    metered(&inner(1, 64, 1), &[2], "limit-processed");
    metered(&inner(8, 64, 8), &[2], "limit-processed");
    rejects(&inner(1, 65, 1), "stack-bounds", 5);
    rejects(&inner(8, 72, 8), "stack-bounds", 5);
    // Without a comparison nothing is known of it.
    rejects(
        "r6 = 0\nl: r2 = r10\nr2 += -8\nr2 += r6\n*(u8 *)(r2 + 0) = 0\nr6 += 1\ngoto l",
        "stack-bounds",
        4,
    );
    // Nor of a number on the stack.
    rejects(
        "*(u64 *)(r10 - 16) = 0\nl: r6 = *(u64 *)(r10 - 16)\nr6 += 1\n*(u64 *)(r10 - 16) = r6\ncall 7\nif r0 != 5 goto l\n\
         r2 = r10\nr2 += -8\nr2 += r6\n*(u8 *)(r2 + 0) = 0\nr0 = 0\nexit",
        "stack-bounds",
        9,
    );
}

/// What a loop hands on from turn to turn is wanted of what comes before it, though no turn that was followed shows it.
#[test]
fn what_a_loop_hands_on_is_compared() {
    let text = |other: u32| {
        format!(
            "r6 = *(u32 *)(r1 + 12)\nr8 = {other}\nif r6 == 5 goto m\nr8 = 0\nm: r9 = 1\nr9 = 2\nr9 = 3\nr9 = 4\nr9 = 5\nr9 = 6\n\
             if r6 == 77 goto n\nr9 = 7\nn: r7 = 0\nloop: call 7\nif r0 == 5 goto out\nr7 = r8\ngoto loop\n\
             out: r2 = r10\nr2 += -8\nr2 += r7\n*(u8 *)(r2 + 0) = 0\nr0 = 0\nexit"
        )
    };
    metered(&text(7), &[13], "control-endless-loop");
    rejects(&text(600), "stack-bounds", 20);
}

/// Of two numbers that take turns, what one becomes the other was.
#[test]
fn numbers_that_take_turns_are_followed_through_all() {
    let text = |fourth: u32| {
        format!(
            "r6 = 0\nr7 = 0\nr8 = 0\nr9 = {fourth}\nl: r2 = r10\nr2 += -8\nr2 += r6\n*(u8 *)(r2 + 0) = 0\n\
             r6 = r7\nr7 = r8\nr8 = r9\ncall 7\nif r0 != 5 goto l\nr0 = 0\nexit"
        )
    };
    metered(&text(7), &[4], "control-endless-loop");
    rejects(&text(8), "stack-bounds", 7);
}

#[test]
fn obligations_are_kept_in_every_turn() {
    let text = |then: &str| {
        format!(
            "l: r1 = map[fd:3] ll\nr2 = 8\nr3 = 0\ncall 131\nif r0 == 0 goto on\n{then}\non: call 7\nif r0 != 5 goto l\nr0 = 0\nexit"
        )
    };
    metered(&text("r1 = r0\nr2 = 0\ncall 132"), &[0], "control-endless-loop");
    let rejection = with(&text("r1 = 0"), &limits(Loops::Metered)).unwrap_err();
    assert!(["reference-leak", "limit-processed"].contains(&rejection.id()), "{rejection}");
}

/// What is known in a loop that goes round for ever is what holds in every turn.
#[test]
fn a_pointer_counts_calls_as_well_as_a_number() {
    for count in ["r1", "r10", "0x7fffff ll"] {
        let text = format!(
            "r1 = {count}\nr2 = subprog[pc+6] ll\nr3 = 0\nr4 = 0\ncall 181\nr0 = 0\nexit\nr0 = r5\nexit"
        );
        let insn = if count.ends_with("ll") { 9 } else { 8 };
        rejects(&text, "register-uninitialised", insn);
    }
}

#[test]
fn states_of_metered_loops_are_told() {
    struct Seen(Vec<(i64, i64)>);
    impl Trace for Seen {
        fn looks_at(&mut self, at: InsnIdx, known: &Known<'_>) {
            if let (3, Holds::Number(numbers)) = (at.0, known.register(0, Reg::R6)) {
                self.0.push(numbers.range());
            }
        }
    }
    let assembled =
        assemble("r6 = 0\nl: if r6 < 10000000 goto on\nr6 = 0\non: r6 += 1\ngoto l", &()).unwrap();
    let subject = Subject::new(assembled.slots(), &Platform::LINUX_6_18, ProgType::XDP, &World);
    let mut seen = Seen(Vec::new());
    let verified = verify_traced(&subject, &limits(Loops::Metered), &mut seen).unwrap();
    assert_eq!(verified.loops(), Loops::Metered);
    for number in [0, 1, 12_345, 9_999_999] {
        assert!(seen.0.iter().any(|&(low, high)| low <= number && number <= high), "{number}");
    }
    assert!(seen.0.iter().all(|&(low, high)| 0 <= low && high < 10_000_000), "{:?}", seen.0);
}
