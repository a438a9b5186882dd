//! A host's own program types, contexts, helpers and objects: a rule, a program that breaks it, and its twin that does not.

use skep_abi::ProgType;
use skep_isa::InsnIdx;
use skep_isa::text::assemble;
use skep_lab_world::HOST;
use skep_model::platform::{OWN_HELPERS, OWN_TYPES, Platform};
use skep_verifier::{Limits, Rejection, Subject, Verified, verify};

const KIND: ProgType = ProgType(OWN_TYPES);

/// Calls of own helpers are written as `call @N`.
fn verified(text: &str) -> Result<Verified, Rejection> {
    let mut text = text.to_owned();
    for number in 0..10 {
        text = text.replace(&format!("call @{number}"), &format!("call {}", OWN_HELPERS + number));
    }
    let assembled = assemble(&text, &()).unwrap_or_else(|error| panic!("{text}\n{error}"));
    verify(&Subject::new(assembled.slots(), &HOST, KIND, &()), &Limits::LINUX)
}

#[track_caller]
fn accepts(text: &str) {
    verified(text).unwrap_or_else(|rejection| panic!("{text}\n{rejection}"));
}

#[track_caller]
fn rejects(text: &str, id: &str, at: u32) {
    let rejection = verified(text).expect_err(text);
    assert_eq!((rejection.id(), rejection.insn), (id, Some(InsnIdx(at))), "{text}\n{rejection}");
}

#[test]
fn fields_have_rights_of_their_own() {
    accepts("r0 = *(u32 *)(r1 + 0)\n*(u32 *)(r1 + 4) = r0\nr0 = 3\nexit");
    rejects("*(u32 *)(r1 + 0) = 1\nr0 = 0\nexit", "context-access", 0);
    rejects("*(u8 *)(r1 + 8) = 1\nr0 = 0\nexit", "context-access", 0);
    rejects("r0 = *(u16 *)(r1 + 0)\nr0 = 0\nexit", "context-access", 0);
    rejects("r0 = *(u64 *)(r1 + 0)\nr0 = 0\nexit", "context-access", 0);
    rejects("r0 = *(u32 *)(r1 + 32)\nr0 = 0\nexit", "context-access", 0);
    // Bytes in any number, each where it likes, as long as they are aligned.
    accepts("r2 = *(u64 *)(r1 + 8)\nr2 = *(u8 *)(r1 + 15)\n*(u16 *)(r1 + 18) = 1\nr0 = 0\nexit");
    // It may be pointed into, at a known offset.
    accepts("r1 += 4\n*(u32 *)(r1 + 0) = 1\nr0 = 0\nexit");
    rejects("r1 += 4\n*(u32 *)(r1 - 4) = 1\nr0 = 0\nexit", "context-access", 1);
    rejects(
        "r2 = *(u32 *)(r1 + 0)\nr2 &= 7\nr1 += r2\nr0 = *(u8 *)(r1 + 8)\nr0 = 0\nexit",
        "context-access",
        3,
    );
    rejects("r0 = 4\nexit", "return-value", 1);
}

#[test]
fn bytes_of_the_context_are_lent_by_their_rights() {
    let lent = |offset: i32, size: u32, call: u32| {
        format!("r1 += {offset}\nr2 = {size}\ncall @{call}\nr0 = 0\nexit")
    };
    accepts(&lent(8, 8, 6));
    accepts(&lent(8, 24, 6));
    accepts(&lent(15, 1, 6));
    accepts(&lent(16, 16, 7));
    // Of others the first byte tells no less than the last.
    rejects(&lent(4, 12, 6), "context-access", 2);
    rejects(&lent(0, 4, 6), "context-access", 2);
    rejects(&lent(8, 25, 6), "context-access", 2);
    rejects(&lent(-1, 9, 6), "context-access", 2);
    rejects(&lent(8, 16, 7), "context-access", 2);
    rejects(&lent(15, 2, 7), "context-access", 2);
}

#[test]
fn own_objects_are_tested_used_and_released() {
    let with = |body: &str| {
        format!("call @0\nif r0 == 0 goto out\nr6 = r0\n{body}\nr1 = r6\ncall @1\nout: r0 = 0\nexit")
    };
    accepts(&with("r1 = r6\ncall @2"));
    accepts(&with("r1 = 0\ncall @3"));
    accepts(&with("r1 = r6\ncall @3"));
    rejects("call @0\nr0 = 0\nexit", "reference-leak", 2);
    rejects("call @0\nif r0 == 0 goto out\nr0 = 0\nout: exit", "reference-leak", 3);
    rejects("call @0\nr1 = r0\ncall @2\nr0 = 0\nexit", "call-argument", 2);
    rejects("call @0\nr1 = r0\ncall @1\nr0 = 0\nexit", "call-argument", 2);
    rejects(&with("r1 = 0\ncall @2"), "call-argument", 4);
    rejects(&with("r1 = 5\ncall @3"), "call-argument", 4);
    // Not twice, nor used after that.
    rejects(&with("r1 = r6\ncall @1"), "call-argument", 6);
    rejects(
        "call @0\nif r0 == 0 goto out\nr6 = r0\nr1 = r6\ncall @1\nr0 = *(u64 *)(r6 + 0)\nout: r0 = 0\nexit",
        "pointer-dereference",
        5,
    );
    // One of another kind is another thing, and nobody has to release it.
    accepts("call @4\nif r0 == 0 goto out\nr1 = r0\ncall @5\nout: r0 = 0\nexit");
    rejects("call @4\nif r0 == 0 goto out\nr1 = r0\ncall @2\nout: r0 = 0\nexit", "call-argument", 3);
    rejects("call @4\nif r0 == 0 goto out\nr1 = r0\ncall @1\nout: r0 = 0\nexit", "call-argument", 3);
}

#[test]
fn own_objects_are_read_by_their_tables() {
    let with = |body: &str| {
        format!("call @0\nif r0 == 0 goto out\nr6 = r0\n{body}\nr1 = r6\ncall @1\nout: r0 = 0\nexit")
    };
    accepts(&with("r1 = *(u64 *)(r6 + 0)\n*(u32 *)(r6 + 8) = r1"));
    rejects(&with("*(u64 *)(r6 + 0) = 1"), "memory-rights", 3);
    rejects(&with("r1 = *(u32 *)(r6 + 0)"), "memory-rights", 3);
    rejects(&with("r1 = *(u32 *)(r6 + 12)"), "memory-rights", 3);
    rejects(&with("r1 = *(u32 *)(r6 - 4)"), "memory-rights", 3);
    rejects(&with("r6 += 8"), "pointer-arithmetic", 3);
    rejects(&with("r2 = 1\nlock *(u32 *)(r6 + 8) += r2"), "memory-rights", 4);
    rejects(&with("r1 = r6\nr2 = 8\ncall @6"), "pointer-dereference", 5);
    rejects("call @4\nif r0 == 0 goto out\nr1 = *(u8 *)(r0 + 0)\nout: r0 = 0\nexit", "memory-rights", 2);
    // One that nobody has to release cannot be.
    rejects("call @0\nr0 = *(u64 *)(r0 + 0)\nexit", "pointer-null", 1);
}

#[test]
fn only_what_is_there_is_called() {
    rejects("call @9\nr0 = 0\nexit", "call-helper", 0);
    let text = format!("call {OWN_HELPERS}\nr0 = 0\nexit");
    let assembled = assemble(&text, &()).unwrap();
    // Another platform has no such types, nor such helpers.
    for (platform, kind, id) in [
        (Platform::LINUX_6_18, KIND, "prog-type"),
        (Platform { own_helpers: &[], ..HOST }, KIND, "call-helper"),
    ] {
        let rejection =
            verify(&Subject::new(assembled.slots(), &platform, kind, &()), &Limits::LINUX).unwrap_err();
        assert_eq!(rejection.id(), id, "{rejection}");
    }
}
