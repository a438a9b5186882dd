//! Dynptrs: a rule, a program that breaks it on the instruction said, and its twin that does not.

use skep_abi::{MapType, ProgType};
use skep_isa::text::assemble;
use skep_isa::{Addr, InsnIdx};
use skep_model::platform::Platform;
use skep_model::platform::helper::Licence;
use skep_verifier::{Limits, MapProto, Reference, References, Rejection, Subject, Verified, verify};

/// Maps by descriptor: 3 is the first of [`MAPS`].
struct World;

const fn map(kind: MapType, key_size: u32, value_size: u32) -> MapProto<'static> {
    MapProto {
        kind,
        key_size,
        value_size,
        max_entries: 4096,
        flags: 0,
        inner: None,
        frozen: None,
        special: &[],
    }
}

/// 3: array of one value; 4: ring; 5: ring that user space fills.
const MAPS: &[MapProto<'static>] = &[
    MapProto { max_entries: 1, ..map(MapType::ARRAY, 4, 64) },
    map(MapType::RINGBUF, 0, 0),
    map(MapType::USER_RINGBUF, 0, 0),
];

impl References for World {
    fn address(&self, at: InsnIdx, addr: Addr) -> Reference {
        self.map_of(at, addr).map_or(Reference::Missing, |map| Reference::Map(MAPS[map].kind))
    }

    fn kfunc(&self, _: InsnIdx, _: u32) -> Reference {
        Reference::Missing
    }

    fn map_of(&self, _: InsnIdx, addr: Addr) -> Option<usize> {
        let (Addr::MapFd { fd } | Addr::MapValueFd { fd, .. }) = addr else { return None };
        usize::try_from(fd - 3).ok().filter(|&map| map < MAPS.len())
    }
}

fn verified(text: &str) -> Result<Verified, Rejection> {
    let assembled = assemble(text, &()).unwrap_or_else(|error| panic!("{text}\n{error}"));
    let mut subject = Subject::new(assembled.slots(), &Platform::LINUX_6_18, ProgType::XDP, &World);
    subject.licence = Licence::Gpl;
    subject.maps = MAPS;
    verify(&subject, &Limits::LINUX)
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

/// Seven slots that make a dynptr over a map's value at `r10 - 16`.
const LOCAL: &str = "r1 = map[fd:3][0] ll\nr2 = 64\nr3 = 0\nr4 = r10\nr4 += -16\ncall 197\n";
/// Seven slots that make one over a record of a ring at `r10 - 16`.
const RESERVE: &str = "r1 = map[fd:4] ll\nr2 = 8\nr3 = 0\nr4 = r10\nr4 += -16\ncall 198\n";
/// Four slots that submit what is at `r10 - 16`.
const SUBMIT: &str = "r1 = r10\nr1 += -16\nr2 = 0\ncall 199\n";
/// Five slots that get eight bytes of the memory of what is at `r10 - 16`.
const DATA: &str = "r1 = r10\nr1 += -16\nr2 = 0\nr3 = 8\ncall 203\n";
const END: &str = "r0 = 0\nexit\n";

#[test]
fn dynptrs_over_records_are_released_on_every_path() {
    accepts(&format!("{RESERVE}{SUBMIT}{END}"));
    accepts(&format!("{RESERVE}{}{END}", SUBMIT.replace("199", "200")));
    rejects(&format!("{RESERVE}{END}"), "reference-leak", 8);
    // When the call fails, too.
    rejects(&format!("{RESERVE}if r0 != 0 goto out\n{SUBMIT}out: {END}"), "reference-leak", 13);
    rejects(&format!("{RESERVE}{SUBMIT}{SUBMIT}{END}"), "reference-release", 14);
    rejects(&format!("{RESERVE}{}{END}", SUBMIT.replace("-16", "-8")), "reference-release", 10);
    // One over local memory needs no release, and knows none.
    accepts(&format!("{LOCAL}{END}"));
    rejects(&format!("{LOCAL}{SUBMIT}{END}"), "reference-release", 10);
}

#[test]
fn dynptrs_end_when_they_are_overwritten() {
    accepts(&format!("{LOCAL}{DATA}{END}"));
    for store in ["*(u64 *)(r10 - 8) = 0", "*(u8 *)(r10 - 1) = 1", "*(u64 *)(r10 - 16) = r10"] {
        accepts(&format!("{LOCAL}{store}\n{END}"));
        rejects(&format!("{LOCAL}{store}\n{DATA}{END}"), "call-dynptr", 12);
        // What must be released cannot be lost.
        rejects(&format!("{RESERVE}{store}\n{SUBMIT}{END}"), "reference-leak", 7);
    }
    // Where the store is is not known.
    let somewhere = |make: &str| {
        format!(
            "r6 = *(u32 *)(r1 + 12)\nr6 &= 15\n{make}r3 = r10\nr3 += -24\nr3 += r6\n*(u8 *)(r3 + 0) = 0\n{DATA}{SUBMIT}{END}"
        )
    };
    rejects(&somewhere(LOCAL), "call-dynptr", 17);
    rejects(&somewhere(RESERVE), "reference-leak", 12);
}

#[test]
fn dynptrs_are_made_where_others_were() {
    let at = |offset: &str| LOCAL.replace("-16", offset);
    accepts(&format!("{LOCAL}{LOCAL}{DATA}{END}"));
    // One between two takes a half of each.
    let both = format!("{}{LOCAL}", at("-32"));
    accepts(&format!("{both}{DATA}{END}"));
    rejects(&format!("{both}{}{DATA}{END}", at("-24")), "call-dynptr", 25);
    accepts(&format!("{both}{}{}{END}", at("-24"), DATA.replace("-16", "-24")));
    rejects(&format!("{RESERVE}{RESERVE}{SUBMIT}{END}"), "reference-leak", 13);
    rejects(&format!("{RESERVE}{}{SUBMIT}{END}", at("-24")), "reference-leak", 13);
}

#[test]
fn dynptrs_are_read_by_helpers_only() {
    rejects(&format!("{LOCAL}r0 = *(u64 *)(r10 - 16)\nexit"), "memory-special", 7);
    rejects(&format!("{LOCAL}r0 = *(u8 *)(r10 - 8)\nexit"), "memory-special", 7);
    let read = |into: &str| {
        format!("{LOCAL}r1 = r10\nr1 += {into}\nr2 = 8\nr3 = r10\nr3 += -16\nr4 = 0\nr5 = 0\ncall 201\n{END}")
    };
    accepts(&read("-24"));
    // A helper does not write what it reads.
    rejects(&read("-16"), "memory-special", 14);
    let write = |from: &str| {
        format!("{LOCAL}r1 = r10\nr1 += -16\nr2 = 0\nr3 = r10\nr3 += {from}\nr4 = 8\nr5 = 0\ncall 202\n{END}")
    };
    accepts(&write("-24"));
    rejects(&write("-8"), "memory-special", 14);
}

#[test]
fn dynptrs_are_named_by_their_first_byte() {
    rejects(&format!("{DATA}{END}"), "call-dynptr", 4);
    rejects(&format!("*(u64 *)(r10 - 16) = 0\n*(u64 *)(r10 - 8) = 0\n{DATA}{END}"), "call-dynptr", 6);
    for offset in ["-8", "-12", "-24", "0"] {
        rejects(&format!("{LOCAL}{}{END}", DATA.replace("-16", offset)), "call-dynptr", 11);
    }
    for offset in ["-8", "-20", "0"] {
        rejects(&format!("{}{END}", LOCAL.replace("-16", offset)), "call-dynptr", 6);
    }
    rejects(&format!("{}{END}", LOCAL.replace("-16", "-520")), "stack-bounds", 6);
    // Where it is must be known.
    rejects(
        &format!("r6 = *(u32 *)(r1 + 12)\nr6 &= 8\n{LOCAL}{}{END}", DATA.replace("-16", "-24\nr1 += r6")),
        "call-dynptr",
        14,
    );
    rejects(
        &format!("{LOCAL}{}{END}", DATA.replace("r1 = r10\nr1 += -16", "r1 = map[fd:3][0] ll")),
        "call-argument",
        11,
    );
    // Only values of maps become one.
    rejects(
        &format!(
            "{}{END}",
            LOCAL.replace("r1 = map[fd:3][0] ll", "r1 = r10\nr1 += -64").replace("r2 = 64", "r2 = 8")
        ),
        "call-argument",
        6,
    );
}

#[test]
fn memory_of_a_dynptr_is_there_as_long_as_it_is() {
    let used = |make: &str, before: &str, load: &str| {
        format!("{make}{DATA}r6 = r0\nif r6 == 0 goto out\n{before}r1 = *({load})\nout: {SUBMIT}{END}")
    };
    let ring = |before: &str, load: &str| used(RESERVE, before, load);
    accepts(&ring("", "u64 *)(r6 + 0"));
    accepts(&ring("*(u32 *)(r6 + 4) = 1\n", "u8 *)(r6 + 7"));
    rejects(&ring("", "u8 *)(r6 + 8"), "memory-bounds", 14);
    rejects(&ring("", "u8 *)(r6 - 1"), "memory-bounds", 14);
    rejects(&format!("{RESERVE}{DATA}r1 = *(u8 *)(r0 + 0)\n{SUBMIT}{END}"), "pointer-null", 12);
    rejects(
        &format!(
            "{RESERVE}{DATA}r6 = r0\nif r6 == 0 goto out\n{SUBMIT}r1 = *(u8 *)(r6 + 0)\n{END}out: {SUBMIT}{END}"
        ),
        "pointer-dereference",
        18,
    );
    // Another's end is not its own.
    let other = LOCAL.replace("-16", "-48");
    let local = |before: &str| {
        format!("{LOCAL}{DATA}r6 = r0\nif r6 == 0 goto out\n{before}r1 = *(u8 *)(r6 + 0)\nout: {END}")
    };
    accepts(&local(""));
    accepts(&local(&format!("{other}*(u64 *)(r10 - 48) = 0\n")));
    rejects(&local("*(u64 *)(r10 - 16) = 0\n"), "pointer-dereference", 15);
    rejects(&local(LOCAL), "pointer-dereference", 21);
    // Memory that is not there does not mean that the dynptr is not.
    rejects(&format!("{RESERVE}{DATA}if r0 == 0 goto out\n{SUBMIT}out: {END}"), "reference-leak", 18);
    // It is no record.
    rejects(
        &format!("{RESERVE}{DATA}if r0 == 0 goto out\nr1 = r0\nr2 = 0\ncall 132\nout: {SUBMIT}{END}"),
        "call-argument",
        15,
    );
    // How much there is is a constant.
    rejects(
        &format!("r6 = *(u32 *)(r1 + 12)\n{LOCAL}{}{END}", DATA.replace("r3 = 8", "r3 = r6")),
        "call-argument",
        12,
    );
}

/// Of two paths that meet, one has made a dynptr.
#[test]
fn paths_that_differ_in_dynptrs_are_told_apart() {
    let meet = "r9 = 1\nr9 = 2\nr9 = 3\nr9 = 4\nr9 = 5\nr9 = 6\nif r6 == 77 goto n\nr9 = 7\nn: r9 = 8\n";
    let text = |other: &str, then: &str| {
        format!(
            "r6 = *(u32 *)(r1 + 12)\n*(u64 *)(r10 - 16) = 0\n*(u64 *)(r10 - 8) = 0\nif r6 == 5 goto five\n\
             {LOCAL}goto m\nfive: {other}m: {meet}{then}{END}"
        )
    };
    accepts(&text(LOCAL, DATA));
    rejects(&text("r7 = 0\n", DATA), "call-dynptr", 26);
    accepts(&text("r7 = 0\n", "*(u64 *)(r10 - 16) = 0\nr0 = *(u64 *)(r10 - 16)\n"));
}

/// Slots 0 to 8; the function begins at 9.
fn drain(function: &str) -> String {
    format!("r1 = map[fd:5] ll\nr2 = subprog[f] ll\nr3 = 0\nr4 = 0\ncall 209\n{END}f: {function}")
}

#[test]
fn functions_get_records_of_user_rings_as_dynptrs() {
    let read = "r2 = 0\nr3 = 8\ncall 203\nif r0 == 0 goto out\nr1 = *(u64 *)(r0 + 0)\nout: r0 = 0\nexit";
    accepts(&drain(read));
    rejects(&drain(&read.replace("r0 + 0", "r0 + 8")), "memory-bounds", 13);
    rejects(&drain("r0 = 2\nexit"), "return-value", 10);
    rejects(&drain("r0 = *(u64 *)(r1 + 0)\nexit"), "pointer-dereference", 9);
    rejects(&drain("*(u64 *)(r1 + 0) = 0\nr0 = 0\nexit"), "pointer-dereference", 9);
    rejects(&drain(&format!("r1 += 8\n{read}")), "call-argument", 12);
    // It is not the function's to end, nor stack for another.
    rejects(&drain("r2 = 0\ncall 200\nr0 = 0\nexit"), "reference-release", 10);
    rejects(
        &drain("r4 = r1\nr1 = map[fd:3][0] ll\nr2 = 8\nr3 = 0\ncall 197\nr0 = 0\nexit"),
        "call-dynptr",
        14,
    );
    // What was handed to it is what the call was given.
    rejects(&drain("r0 = *(u64 *)(r2 + 0)\nexit"), "pointer-dereference", 9);
    // What it acquires it releases.
    accepts(&drain(&format!("{RESERVE}{SUBMIT}{END}")));
    rejects(&drain(&format!("{RESERVE}{END}")), "reference-leak", 17);
}
