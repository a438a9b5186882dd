//! A rule of values, a program that breaks it on the instruction said, and its twin that does not.

use skep_abi::ProgType;
use skep_isa::text::assemble;
use skep_isa::{InsnIdx, Reg};
use skep_lab_world::{MAPS, World};
use skep_model::platform::Platform;
use skep_model::platform::helper::Licence;
use skep_verifier::{
    Holds, Known, Limits, Pruning, Rejection, Subject, Trace, Verified, verify, verify_traced,
};

fn on(kind: ProgType, text: &str) -> Result<Verified, Rejection> {
    let assembled = assemble(text, &()).unwrap_or_else(|error| panic!("{text}\n{error}"));
    let mut subject = Subject::new(assembled.slots(), &Platform::LINUX_6_18, kind, &World);
    subject.licence = Licence::Gpl;
    subject.maps = MAPS;
    verify(&subject, &Limits::LINUX)
}

#[track_caller]
fn accepts(text: &str) -> Verified {
    on(ProgType::XDP, text).unwrap_or_else(|rejection| panic!("{text}\n{rejection}"))
}

#[track_caller]
fn rejects(text: &str, id: &str, at: u32) {
    let rejection = on(ProgType::XDP, text).expect_err(text);
    assert_eq!((rejection.id(), rejection.insn), (id, Some(InsnIdx(at))), "{rejection}");
}

#[test]
fn packets_are_read_within_their_bounds() {
    let read = |bytes: u32, off: u32| {
        format!(
            "r2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr4 = r2\nr4 += {bytes}\nif r4 > r3 goto out\n\
             r0 = *(u8 *)(r2 + {off})\nout: r0 = 2\nexit"
        )
    };
    accepts(&read(14, 13));
    rejects(&read(14, 14), "packet-bounds", 5);
    rejects("r2 = *(u32 *)(r1 + 0)\nr0 = *(u8 *)(r2 + 0)\nexit", "packet-bounds", 1);
    // The other way round, strictly.
    let strictly = |off: u32| {
        format!(
            "r2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr4 = r2\nr4 += 8\nif r4 < r3 goto in\nr0 = 1\nexit\n\
             in: r0 = *(u8 *)(r2 + {off})\nexit"
        )
    };
    accepts(&strictly(8));
    rejects(&strictly(9), "packet-bounds", 7);
    // An offset that is not constant, bounded.
    let variable = |mask: u32| {
        format!(
            "r2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr5 = *(u32 *)(r1 + 12)\nr5 &= {mask}\nr2 += r5\nr4 = r2\n\
             r4 += 4\nif r4 > r3 goto out\nr0 = *(u32 *)(r2 + 0)\nout: r0 = 0\nexit"
        )
    };
    accepts(&variable(255));
    rejects(&variable(0x1fffff), "packet-bounds", 8);
    // What moves the packet takes the pointers.
    rejects(
        "r6 = r1\nr7 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr4 = r7\nr4 += 14\nif r4 > r3 goto out\nr2 = 0\n\
         call 44\nr0 = *(u8 *)(r7 + 0)\nout: r0 = 0\nexit",
        "pointer-dereference",
        8,
    );
}

#[test]
fn contexts_are_read_by_field() {
    accepts("r0 = *(u32 *)(r1 + 12)\nexit");
    rejects("r0 = *(u64 *)(r1 + 12)\nexit", "memory-alignment", 0);
    rejects("r0 = *(u64 *)(r1 + 0)\nexit", "context-access", 0);
    rejects("*(u32 *)(r1 + 12) = 0\nr0 = 0\nexit", "context-access", 0);
    rejects("r1 += r1\nr0 = 0\nexit", "pointer-arithmetic", 0);
}

const LOOKUP: &str = "r1 = map[fd:4] ll\n*(u32 *)(r10 - 4) = r7\nr2 = r10\nr2 += -4\ncall 1\n";

/// A look-up in the array with an unknown key.
fn lookup(rest: &str) -> String {
    format!("r7 = *(u32 *)(r1 + 12)\n{LOOKUP}{rest}")
}

#[test]
fn pointers_are_tested_for_null() {
    accepts(&lookup("if r0 == 0 goto out\nr0 = *(u64 *)(r0 + 56)\nout: r0 = 0\nexit"));
    rejects(&lookup("r0 = *(u64 *)(r0 + 0)\nexit"), "pointer-null", 7);
    rejects(
        &lookup("if r0 != 0 goto out\nr0 = *(u64 *)(r0 + 0)\nout: r0 = 0\nexit"),
        "pointer-dereference",
        8,
    );
    // A copy is null with it.
    accepts(&lookup("r8 = r0\nif r0 == 0 goto out\nr0 = *(u64 *)(r8 + 0)\nout: r0 = 0\nexit"));
    // An element of an array with a constant key is there.
    let constant = |key: u32| {
        let key = format!("r7 = {key}\n{}", LOOKUP.replace("- 4", "- 8").replace("-4", "-8"));
        format!("{key}r0 = *(u64 *)(r0 + 0)\nexit")
    };
    accepts(&constant(15));
    rejects(&constant(16), "pointer-null", 7);
    // Of eight bytes, the four that the key is.
    let part = |key: i32| {
        format!(
            "r7 = {} ll\n*(u64 *)(r10 - 8) = r7\nr1 = map[fd:19] ll\nr2 = r10\nr2 += {key}\ncall 1\nr0 = *(u64 *)(r0 + 0)\nexit",
            1u64 << 32
        )
    };
    if cfg!(target_endian = "little") {
        accepts(&part(-8));
    }
    rejects(&part(-4), "pointer-null", 8);
    rejects(&lookup("r0 += 8\nr0 = 0\nexit"), "pointer-null", 7);
}

#[test]
fn values_are_read_within_their_bounds() {
    let at = |index: &str| {
        lookup(&format!("if r0 == 0 goto out\n{index}\nr0 += r7\nr0 = *(u8 *)(r0 + 0)\nout: r0 = 0\nexit"))
    };
    accepts(&at("r7 &= 63"));
    rejects(&at("r7 &= 127"), "memory-bounds", 10);
    accepts(&at("if r7 > 63 goto out"));
    rejects(&at("if r7 > 64 goto out"), "memory-bounds", 10);
    // Signed against unsigned: a comparison of the lower half as a signed number leaves it negative.
    rejects(&at("if w7 s> 63 goto out"), "memory-bounds", 10);
    accepts(&at("if w7 s> 63 goto out\nif w7 s< 0 goto out"));
    rejects(&at("r7 <<= 1"), "memory-bounds", 10);
    // A copy is bounded with it.
    accepts(&lookup(
        "if r0 == 0 goto out\nr8 = r7\nif r8 > 63 goto out\nr0 += r7\nr0 = *(u8 *)(r0 + 0)\nout: r0 = 0\nexit",
    ));
    // And what was stored.
    accepts(&lookup(
        "if r0 == 0 goto out\n*(u64 *)(r10 - 16) = r7\nr8 = *(u64 *)(r10 - 16)\nif r8 > 63 goto out\nr7 = *(u64 *)(r10 - 16)\n\
         r0 += r7\nr0 = *(u8 *)(r0 + 0)\nout: r0 = 0\nexit",
    ));
}

#[test]
fn the_stack_holds_what_was_stored() {
    accepts("*(u64 *)(r10 - 8) = r1\nr1 = *(u64 *)(r10 - 8)\nr0 = *(u32 *)(r1 + 12)\nexit");
    rejects("*(u64 *)(r10 - 8) = r1\nr1 = *(u32 *)(r10 - 8)\nr0 = 0\nexit", "stack-bounds", 1);
    // Partly overwritten, it is a pointer no more.
    rejects(
        "*(u64 *)(r10 - 8) = r1\n*(u8 *)(r10 - 5) = 0\nr1 = *(u64 *)(r10 - 8)\nr0 = *(u32 *)(r1 + 12)\nexit",
        "pointer-dereference",
        3,
    );
    rejects("*(u64 *)(r10 - 520) = 0\nr0 = 0\nexit", "stack-bounds", 0);
    rejects("*(u64 *)(r10 + 0) = 0\nr0 = 0\nexit", "stack-bounds", 0);
    rejects("*(u64 *)(r10 - 12) = 0\nr0 = 0\nexit", "memory-alignment", 0);
    rejects("*(u32 *)(r10 - 8) = r1\nr0 = 0\nexit", "stack-bounds", 0);
    // A pointer cannot be stored where it is not known where.
    rejects(
        "r6 = *(u32 *)(r1 + 12)\nr6 &= 8\nr2 = r10\nr2 += -16\nr2 += r6\n*(u64 *)(r2 + 0) = r1\nr0 = 0\nexit",
        "stack-bounds",
        5,
    );
    accepts(
        "r6 = *(u32 *)(r1 + 12)\nr6 &= 8\nr2 = r10\nr2 += -16\nr2 += r6\n*(u64 *)(r2 + 0) = 1\nr0 = 0\nexit",
    );
}

#[test]
fn a_store_somewhere_takes_what_may_be_there() {
    rejects(
        "*(u64 *)(r10 - 8) = r1\n*(u64 *)(r10 - 16) = r1\nr6 = *(u32 *)(r1 + 12)\nr6 &= 8\nr2 = r10\nr2 += -16\nr2 += r6\n\
         *(u64 *)(r2 + 0) = 1\nr1 = *(u64 *)(r10 - 8)\nr0 = *(u32 *)(r1 + 0)\nexit",
        "pointer-dereference",
        9,
    );
}

#[test]
fn frozen_values_are_constants() {
    // The branch on what is read is never taken.
    accepts(
        "r2 = map[fd:6][0] ll\nr3 = *(u32 *)(r2 + 0)\nif r3 == 7 goto out\nr0 = *(u8 *)(r3 + 0)\nout: r0 = 0\nexit",
    );
    rejects(
        "r2 = map[fd:6][0] ll\nr3 = *(u32 *)(r2 + 0)\nif r3 == 8 goto out\nr0 = *(u8 *)(r3 + 0)\nout: r0 = 0\nexit",
        "pointer-dereference",
        4,
    );
    rejects("r2 = map[fd:6][0] ll\n*(u32 *)(r2 + 0) = 1\nr0 = 0\nexit", "memory-rights", 2);
}

#[test]
fn loops_end() {
    let verified = accepts("r6 = 0\nloop: r6 += 1\nif r6 < 100 goto loop\nr0 = r6\nexit");
    assert!(verified.stats().insns > 200, "each turn is followed: {:?}", verified.stats());
    rejects("r0 = 0\nloop: if r0 == 0 goto loop\nexit", "control-endless-loop", 1);
    rejects("r6 = *(u32 *)(r1 + 12)\nloop: if r6 != 1 goto loop\nr0 = 0\nexit", "control-endless-loop", 1);
    // Not endless: the second one's number runs over. But nobody waits for that.
    for end in ["r6 < 1000000", "r6 != 0"] {
        let text = format!("r6 = 0\nloop: r6 += 1\nif {end} goto loop\nr0 = r6\nexit");
        let assembled = assemble(&text, &()).unwrap();
        let subject = Subject::new(assembled.slots(), &Platform::LINUX_6_18, ProgType::XDP, &World);
        let rejection = verify(&subject, &Limits { insns: 50_000, ..Limits::LINUX }).unwrap_err();
        assert_eq!(rejection.id(), "limit-processed");
    }
}

#[test]
fn paths_that_meet_are_followed_once() {
    // Twenty branches in a row that change nothing that matters: a million paths, but for pruning.
    let mut text = String::from("r6 = *(u32 *)(r1 + 12)\nr7 = 0\n");
    for bit in 0..20 {
        text += &format!("r2 = r6\nr2 &= {}\nif r2 == 0 goto n{bit}\nr7 += 1\nn{bit}: r3 = 0\n", 1 << bit);
    }
    text += "r0 = r7\nexit";
    let verified = accepts(&text);
    assert!(verified.stats().insns < 1000, "{:?}", verified.stats());
    // If the number decides in the end, none may be left out: at sum 20 the access is out of bounds.
    let at = |size: u32| {
        let text = text.replace(
            "r0 = r7\nexit",
            &format!("r8 = r10\nr8 += -{size}\nr8 += r7\n*(u8 *)(r8 + 0) = 0\nr0 = 0\nexit"),
        );
        on(ProgType::XDP, &text)
    };
    at(21).unwrap();
    let rejection = at(20).unwrap_err();
    assert_eq!(rejection.id(), "stack-bounds");
}

#[test]
fn constants_from_one_path_are_not_those_of_another() {
    // The offset is decided by a branch before paths meet.
    rejects(
        "r6 = *(u32 *)(r1 + 12)\nr7 = 0\nif r6 == 0 goto meet\nr7 = 600\nmeet: r8 = 1\nr8 = 2\nr8 = 3\nr8 = 4\nr8 = 5\nr8 = 6\n\
         if r6 == 1 goto on\nr8 = 7\non: r2 = r10\nr2 += r7\nr0 = *(u8 *)(r2 - 1)\nexit",
        "stack-bounds",
        14,
    );
}

#[test]
fn records_are_given_back() {
    let reserve = "r1 = map[fd:5] ll\nr2 = 16\nr3 = 0\ncall 131\n";
    accepts(&format!(
        "{reserve}if r0 == 0 goto out\n*(u64 *)(r0 + 8) = 1\nr1 = r0\nr2 = 0\ncall 132\nout: r0 = 0\nexit"
    ));
    rejects(
        &format!("{reserve}if r0 == 0 goto out\n*(u64 *)(r0 + 8) = 1\nout: r0 = 0\nexit"),
        "reference-leak",
        8,
    );
    rejects(
        &format!("{reserve}if r0 == 0 goto out\n*(u64 *)(r0 + 16) = 1\nout: r0 = 0\nexit"),
        "memory-bounds",
        6,
    );
    rejects(
        &format!(
            "{reserve}if r0 == 0 goto out\nr6 = r0\nr1 = r0\nr2 = 0\ncall 132\n*(u64 *)(r6 + 0) = 0\nout: r0 = 0\nexit"
        ),
        "pointer-dereference",
        10,
    );
    rejects(
        &format!("{reserve}if r0 == 0 goto out\nr1 = r0\nr1 += 8\nr2 = 0\ncall 132\nout: r0 = 0\nexit"),
        "reference-release",
        9,
    );
    // A tail call does not come back.
    rejects(
        &format!(
            "r6 = r1\n{reserve}if r0 == 0 goto out\nr1 = r6\nr2 = map[fd:9] ll\nr3 = 0\ncall 12\nout: r0 = 0\nexit"
        ),
        "reference-leak",
        11,
    );
}

#[test]
fn locks_are_released() {
    let locked = |rest: &str| {
        format!(
            "r1 = map[fd:7] ll\n*(u32 *)(r10 - 4) = 1\nr2 = r10\nr2 += -4\ncall 1\nif r0 == 0 goto out\nr6 = r0\nr1 = r0\n\
             call 93\n{rest}\nout: r0 = 0\nexit"
        )
    };
    accepts(&locked("*(u32 *)(r6 + 4) = 1\nr1 = r6\ncall 94"));
    rejects(&locked("*(u32 *)(r6 + 4) = 1"), "reference-leak", 12);
    rejects(&locked("*(u32 *)(r6 + 0) = 1\nr1 = r6\ncall 94"), "memory-special", 10);
    rejects(&locked("call 5\nr1 = r6\ncall 94"), "lock-order", 10);
}

#[test]
fn functions_are_followed_where_they_are_called() {
    accepts(
        "r1 = 3\ncall local f\nr2 = r10\nr2 += -8\nr2 += r0\n*(u8 *)(r2 + 0) = 0\nr0 = 0\nexit\nf: r0 = r1\nexit",
    );
    rejects(
        "r1 = 9\ncall local f\nr2 = r10\nr2 += -8\nr2 += r0\n*(u8 *)(r2 + 0) = 0\nr0 = 0\nexit\nf: r0 = r1\nexit",
        "stack-bounds",
        5,
    );
    rejects("call local f\nr0 = 0\nexit\nf: r0 = r10\nexit", "stack-bounds", 4);
    rejects("r6 = 1\ncall local f\nr0 = 0\nexit\nf: r0 = r6\nexit", "register-uninitialised", 4);
    // The caller's stack, by pointer.
    accepts(
        "r1 = r10\nr1 += -8\ncall local f\nr0 = *(u64 *)(r10 - 8)\nexit\nf: *(u64 *)(r1 + 0) = 7\nr0 = 0\nexit",
    );
    // Every call is followed with what it is given.
    rejects(
        "r1 = 3\ncall local f\nr1 = 600\ncall local f\nr0 = 0\nexit\n\
         f: r2 = r10\nr2 += -8\nr2 += r1\n*(u8 *)(r2 + 0) = 0\nr0 = 0\nexit",
        "stack-bounds",
        9,
    );
}

#[test]
fn what_helpers_call_is_followed() {
    let looped = |times: &str, body: &str| {
        format!(
            "{times}\nr2 = subprog[f] ll\nr3 = r10\nr3 += -8\n*(u64 *)(r10 - 8) = 0\nr4 = 0\ncall 181\nr0 = *(u64 *)(r10 - 8)\nexit\n{body}"
        )
    };
    let counts = "f: r3 = *(u64 *)(r2 + 0)\nr3 += 1\n*(u64 *)(r2 + 0) = r3\nr0 = 0\nexit";
    accepts(&looped("r1 = 1000000", counts));
    // It never comes to an end of its own, and needs none.
    accepts(&looped("r1 = *(u32 *)(r1 + 12)", counts));
    rejects(&looped("r1 = 10", "f: r0 = 2\nexit"), "return-value", 11);
    // A function is called at its beginning.
    let moved = looped("r1 = 10", counts).replace("r4 = 0\n", "r4 = 0\nr2 += 8\n");
    rejects(&moved, "call-argument", 8);
    rejects(&looped("r1 = 10", "f: r0 = *(u8 *)(r1 + 0)\nexit"), "pointer-dereference", 10);
    // What the function leaves in its caller's stack is what is there afterwards.
    let then = |body: &str| {
        format!(
            "r1 = 10\nr2 = subprog[f] ll\nr3 = r10\nr3 += -8\n*(u64 *)(r10 - 8) = 0\nr4 = 0\ncall 181\nr1 = *(u64 *)(r10 - 8)\nr2 = r10\n\
             r2 += -16\nr2 += r1\n*(u8 *)(r2 + 0) = 0\nr0 = 0\nexit\n{body}"
        )
    };
    accepts(&then("f: *(u64 *)(r2 + 0) = 5\nr0 = 0\nexit"));
    rejects(&then("f: *(u64 *)(r2 + 0) = 50\nr0 = 0\nexit"), "stack-bounds", 12);
    // Ten turns are followed one by one, for their sum decides something.
    accepts(&then(counts));
    rejects(&then(counts).replace("r1 = 10\n", "r1 = 1000\n"), "stack-bounds", 12);
}

/// What nobody may change is not changed by helpers either.
#[test]
fn maps_are_changed_if_they_may_be() {
    let calls = |map: u32, helper: u32| {
        format!(
            "*(u64 *)(r10 - 8) = 0\n*(u64 *)(r10 - 16) = 0\nr1 = map[fd:{map}] ll\nr2 = r10\nr2 += -8\nr3 = r10\nr3 += -16\n\
             r4 = 0\ncall {helper}\nr0 = 0\nexit"
        )
    };
    for helper in [2, 3] {
        accepts(&calls(3, helper));
        rejects(&calls(6, helper), "memory-rights", 9);
    }
    accepts(&calls(6, 1));
}

#[test]
fn may_goto_ends_loops() {
    accepts("r6 = 0\nloop: may_goto out\nr6 += 1\ngoto loop\nout: r0 = r6\nexit");
    rejects(
        "r6 = 0\nloop: may_goto out\nr6 += 1\ngoto loop\nout: r2 = r10\nr2 += -8\nr2 += r6\n*(u8 *)(r2 + 0) = 0\nr0 = 0\nexit",
        "stack-bounds",
        7,
    );
}

#[test]
fn pointers_that_are_compared_may_be_equal() {
    rejects("r0 = r1\nl: r2 = r0\nr3 = r0\nif r2 == r3 goto l\nexit", "control-endless-loop", 1);
}

#[test]
fn an_instruction_uses_one_kind_of_pointer() {
    // Loads from the context are rewritten, those from the stack are not.
    let either = |other: &str| {
        format!(
            "r2 = *(u32 *)(r1 + 12)\n*(u64 *)(r10 - 8) = 0\nr3 = r10\nr3 += -8\nif r2 == 0 goto on\nr3 = {other}\n\
             on: r0 = *(u32 *)(r3 + 0)\nr0 = 0\nexit"
        )
    };
    accepts(&either("r10\nr3 += -8"));
    rejects(&either("r1"), "pointer-mixed", 6);
}

#[test]
fn a_packet_load_may_leave_a_function() {
    let text = |rest: &str| {
        format!("r6 = r1\ncall local f\n{rest}\nexit\nf: r6 = r1\nr9 = 1\nr0 = *(u8 *)skb[0]\nr0 = 600\nexit")
    };
    let on_filter = |rest: &str| {
        on(ProgType::SOCKET_FILTER, &text(rest).replace("call local f", "r1 = r6\ncall local f"))
    };
    on_filter("r0 = 0").unwrap();
    // It returns 0 or 600.
    let rejection = on_filter("r2 = r10\nr2 += -520\nr2 += r0\nr0 = *(u8 *)(r2 + -90)").unwrap_err();
    assert_eq!(rejection.id(), "stack-bounds", "{rejection}");
}

/// Whoever called the function that is left still has what it has acquired.
#[test]
fn a_packet_load_in_a_function_leaves_what_its_callers_acquired() {
    let text = |in_between: &str, function: &str| {
        format!(
            "r6 = r1\nr1 = map[fd:5] ll\nr2 = 8\nr3 = 0\ncall 131\nif r0 == 0 goto out\nr7 = r0\nr1 = r6\n{in_between}\n\
             r1 = r7\nr2 = 0\ncall 132\nout: r0 = 0\nexit\n{function}"
        )
    };
    let function = "f: r6 = r1\nr0 = *(u8 *)skb[0]\nexit";
    on(ProgType::SOCKET_FILTER, &text("call local f", function)).unwrap();
    let rejection = on(ProgType::SOCKET_FILTER, &text("r0 = *(u8 *)skb[0]", "")).unwrap_err();
    assert_eq!((rejection.id(), rejection.insn), ("reference-leak", Some(InsnIdx(9))), "{rejection}");
}

/// What is read or written in order with others is so at once, and so it is aligned.
#[test]
fn ordered_accesses_are_aligned() {
    let value = |access: &str| lookup(&format!("if r0 == 0 goto out\n{access}\nout: r0 = 0\nexit"));
    for (at, is_fine) in [(8, true), (4, false)] {
        for access in [
            format!("r0 = load_acquire((u64 *)(r0 + {at}))"),
            format!("r1 = 1\nstore_release((u64 *)(r0 + {at}), r1)"),
        ] {
            match is_fine {
                true => drop(accepts(&value(&access))),
                false => {
                    let at = if access.starts_with("r1") { 9 } else { 8 };
                    rejects(&value(&access), "memory-alignment", at);
                }
            }
        }
    }
    accepts(&value("r0 = *(u64 *)(r0 + 4)"));
}

/// What a call's arguments decide they decide before it, though it leaves nothing of them: paths that meet before the call differ by them.
#[test]
fn arguments_of_calls_tell_paths_apart() {
    let pad = "r5 = 1\n".repeat(50);
    let sized = |other: u32, size: &str| {
        format!(
            "r6 = *(u32 *)(r1 + 12)\n*(u64 *)(r10 - 8) = 0\nr7 = 8\nif r6 == 0 goto small\ngoto on\nsmall: r7 = {other}\n\
             on: r8 = 1\n{pad}if r6 == 7 goto more\nmore: r8 = 2\n{pad}r1 = r10\nr1 += -8\n{size}r3 = 0\nr4 = 0\nr5 = 0\n\
             call 28\nr0 = 0\nexit"
        )
    };
    for size in ["r2 = r7\n", "r2 = r7\nr2 &= 127\n"] {
        accepts(&sized(4, size));
        let rejection = on(ProgType::XDP, &sized(64, size)).expect_err("64 bytes at -8");
        assert_eq!(rejection.id(), "stack-bounds", "{rejection}");
    }
    // How often a function is called.
    let counted = |function: &str| {
        format!(
            "r9 = 0\nloop: may_goto out\nr9 += 1\ngoto loop\nout: r1 = r9\nr2 = subprog[f] ll\nr3 = r10\nr4 = 0\ncall 181\n\
             r0 = 0\nexit\nf: {function}\nexit"
        )
    };
    rejects(&counted("r0 = r6"), "register-uninitialised", 12);
}

#[test]
fn a_packet_load_may_leave_a_function_that_a_helper_calls() {
    // The loop's function leaves 600 behind, if it is left early.
    let text = |before: &str| {
        format!(
            "r6 = r1\n*(u64 *)(r10 - 8) = r6\n*(u64 *)(r10 - 16) = 0\nr1 = 4\nr2 = subprog[f] ll\nr3 = r10\nr3 += -16\n\
             r4 = 0\ncall 181\nr1 = *(u64 *)(r10 - 16)\nif r1 == 0 goto out\nr0 = *(u8 *)(r1 + 0)\nout: r0 = 0\nexit\n\
             f: r7 = r2\nr6 = *(u64 *)(r7 + 8)\n{before}r0 = *(u8 *)skb[0]\n*(u64 *)(r7 + 0) = 0\nr0 = 0\nexit"
        )
    };
    on(ProgType::SOCKET_FILTER, &text("")).unwrap();
    let rejection =
        on(ProgType::SOCKET_FILTER, &text("*(u64 *)(r7 + 0) = 600\n")).expect_err("it is left early");
    assert_eq!((rejection.id(), rejection.insn), ("pointer-dereference", Some(InsnIdx(12))), "{rejection}");
}

/// A look-up in a map, and what is found there looked up in by the key 0, too, which is a constant.
fn lookup_twice(map: u32, rest: &str) -> String {
    format!(
        "*(u32 *)(r10 - 4) = 0\nr1 = map[fd:{map}] ll\nr2 = r10\nr2 += -4\ncall 1\nif r0 == 0 goto out\n\
         r1 = r0\nr2 = r10\nr2 += -4\ncall 1\n{rest}out: r0 = 0\nexit"
    )
}

/// Of a map that was found in another only the prototype is known: neither what is in it, nor how many elements it has.
#[test]
fn inner_maps_are_not_their_prototypes() {
    accepts(&lookup_twice(8, "if r0 == 0 goto out\nr0 = *(u8 *)(r0 + 0)\n"));
    rejects(&lookup_twice(8, "r0 = *(u8 *)(r0 + 0)\n"), "pointer-null", 11);
    let decided = "r3 = *(u32 *)(r0 + 0)\nif r3 == 7 goto out\nr0 = *(u8 *)(r3 + 0)\n";
    accepts(&format!("r0 = map[fd:6][0] ll\n{decided}out: r0 = 0\nexit"));
    rejects(&lookup_twice(20, &format!("if r0 == 0 goto out\n{decided}")), "pointer-dereference", 14);
    // Nor are they in functions that are called for each element.
    let each = "r2 = subprog[f] ll\nr3 = 0\nr4 = 0\ncall 164\nout: r0 = 0\nexit\n\
         f: r4 = *(u32 *)(r3 + 0)\nif r4 == 7 goto end\nr0 = *(u8 *)(r4 + 0)\nend: r0 = 0\nexit";
    accepts(&format!("r1 = map[fd:6] ll\n{each}"));
    rejects(
        &format!(
            "*(u32 *)(r10 - 4) = 0\nr1 = map[fd:20] ll\nr2 = r10\nr2 += -4\ncall 1\nif r0 == 0 goto out\nr1 = r0\n{each}"
        ),
        "pointer-dereference",
        17,
    );
}

/// Only the value of an array with one element has an address that programs can name.
#[test]
fn addresses_are_of_values() {
    accepts("r1 = map[fd:6][0]+4 ll\nr0 = *(u32 *)(r1 + 0)\nr0 = 0\nexit");
    rejects("r1 = map[fd:6][0]+16 ll\nr0 = 0\nexit", "reference-map-value", 0);
    rejects("r1 = map[fd:4][0] ll\nr0 = 0\nexit", "reference-map-value", 0);
    rejects("r1 = map[fd:3][0] ll\nr0 = 0\nexit", "reference-map-value", 0);
}

/// A program with a stack offset that many paths come to, and one of them out of bounds: however little is pruned, the verdict is the same.
#[test]
fn verdicts_do_not_depend_on_what_is_pruned() {
    let mut text = String::from("r6 = *(u32 *)(r1 + 12)\nr7 = 0\n");
    for bit in 0..8 {
        text += &format!("r2 = r6\nr2 &= {}\nif r2 == 0 goto n{bit}\nr7 += 1\nn{bit}: r3 = 0\n", 1 << bit);
    }
    for (size, verdict) in [(9, true), (8, false)] {
        let text = format!("{text}r8 = r10\nr8 += -{size}\nr8 += r7\n*(u8 *)(r8 + 0) = 0\nr0 = 0\nexit");
        let assembled = assemble(&text, &()).unwrap();
        let subject = Subject::new(assembled.slots(), &Platform::LINUX_6_18, ProgType::XDP, &World);
        let seen = [Pruning::Full, Pruning::Within, Pruning::Never].map(|pruning| {
            let verified = verify(&subject, &Limits { pruning, ..Limits::LINUX });
            assert_eq!(verified.is_ok(), verdict, "{pruning:?}");
            verified.map_or(0, |verified| verified.stats().insns)
        });
        assert!(seen[0] <= seen[1] && seen[1] <= seen[2], "{seen:?}");
        assert!(!verdict || seen[0] < seen[2] / 4, "{seen:?}");
    }
}

/// Everything that happens in a run lies in a state that was looked at.
#[test]
fn states_are_told() {
    struct Seen(Vec<(u32, Holds)>);
    impl Trace for Seen {
        fn looks_at(&mut self, at: InsnIdx, known: &Known<'_>) {
            self.0.push((at.0, known.register(0, Reg::R6)));
        }
    }
    let assembled = assemble("r6 = *(u32 *)(r1 + 12)\nr6 &= 7\nr0 = r6\nexit", &()).unwrap();
    let subject = Subject::new(assembled.slots(), &Platform::LINUX_6_18, ProgType::XDP, &World);
    let mut seen = Seen(Vec::new());
    verify_traced(&subject, &Limits::LINUX, &mut seen).unwrap();
    assert_eq!(seen.0.len(), 4);
    assert_eq!(seen.0[0], (0, Holds::Anything));
    let Holds::Number(numbers) = seen.0[2].1 else { panic!("{:?}", seen.0[2]) };
    assert_eq!(numbers.range(), (0, 7));
    assert!(numbers.contains(7) && !numbers.contains(8));
}

#[test]
fn a_loop_around_a_call_back_ends_too() {
    rejects(
        "l: r1 = 3\nr2 = subprog[f] ll\nr3 = 0\nr4 = 0\ncall 181\nif r0 != 9 goto l\nr0 = 0\nexit\nf: r0 = 0\nexit",
        "control-endless-loop",
        5,
    );
}

/// What decides must be compared where paths meet, however it decides: through a register that is zero, or a slot that was.
#[test]
fn what_decides_is_compared() {
    // r8 is 0 or 1; only where it is 0 does the comparison tell that the pointer is not null.
    let meet = "r9 = 1\nr9 = 2\nr9 = 3\nr9 = 4\nr9 = 5\nr9 = 6\nif r7 == 77 goto n\nr9 = 7\nn: r9 = 8\n";
    rejects(
        &format!(
            "r7 = *(u32 *)(r1 + 12)\nr8 = 0\nif r7 == 5 goto m\nr8 = 1\nm: {meet}\
             r1 = map[fd:4] ll\n*(u32 *)(r10 - 4) = r7\nr2 = r10\nr2 += -4\ncall 1\n\
             if r0 == r8 goto out\nr0 = *(u64 *)(r0 + 0)\nout: r0 = 0\nexit"
        ),
        "pointer-null",
        20,
    );
    // The slot holds 0 on one path, stored as a register, and something else on the other.
    rejects(
        &format!(
            "r7 = *(u32 *)(r1 + 12)\nr8 = 600\nif r7 == 5 goto m\nr8 = 0\nm: {meet}\
             *(u64 *)(r10 - 8) = r8\nr2 = *(u64 *)(r10 - 8)\nr3 = r10\nr3 += -16\nr3 += r2\nr0 = *(u8 *)(r3 + 0)\nr0 = 0\nexit"
        ),
        "stack-bounds",
        18,
    );
}

#[test]
fn sums_are_bounded_with_what_they_are_of() {
    // The sum is two more than what is compared.
    let at = |bound: u32| {
        lookup(&format!(
            "if r0 == 0 goto out\nr8 = r7\nr8 += 1\nr8 += 1\nif r7 > {bound} goto out\nr0 += r8\nr0 = *(u8 *)(r0 + 0)\n\
             out: r0 = 0\nexit"
        ))
    };
    accepts(&at(61));
    rejects(&at(62), "memory-bounds", 13);
}

#[test]
fn contexts_are_no_memory_to_helpers() {
    let call = |text: &str| format!("r6 = r1\n{text}\nr0 = 0\nexit");
    // bpf_trace_printk reads it, bpf_probe_read_kernel writes it.
    let printed = call("r1 = r6\nr2 = 8\ncall 6");
    let written = call("r1 = r6\nr2 = 8\nr3 = 0\ncall 113");
    for (kind, text, at) in [
        (ProgType::KPROBE, &printed, 3),
        (ProgType::SOCKET_FILTER, &printed, 3),
        (ProgType::KPROBE, &written, 4),
    ] {
        let rejection = on(kind, text).expect_err(text);
        assert_eq!((rejection.id(), rejection.insn), ("call-argument", Some(InsnIdx(at))), "{rejection}");
    }
}

/// What a loop hands on from turn to turn is wanted of what comes before it, though no turn that was followed shows it.
#[test]
fn what_a_loop_hands_on_is_compared() {
    let text = |other: u32| {
        format!(
            "r6 = *(u32 *)(r1 + 12)\nr8 = {other}\nif r6 == 5 goto m\nr8 = 0\nm: r9 = 1\nr9 = 2\nr9 = 3\nr9 = 4\nr9 = 5\nr9 = 6\n\
             if r6 == 77 goto n\nr9 = 7\nn: r7 = 0\nloop: may_goto out\nr7 = r8\ngoto loop\n\
             out: r2 = r10\nr2 += -8\nr2 += r7\n*(u8 *)(r2 + 0) = 0\nr0 = 0\nexit"
        )
    };
    accepts(&text(7));
    rejects(&text(600), "stack-bounds", 19);
}
