//! What rejections say of the way to them.

use skep_abi::{MapType, ProgType};
use skep_isa::text::assemble;
use skep_isa::{Addr, InsnIdx};
use skep_model::platform::Platform;
use skep_model::platform::helper::Licence;
use skep_verifier::{Limits, MapProto, Reference, References, Rejection, Subject, verify};

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

/// By descriptor from 3: a hash, a ring.
const MAPS: &[MapProto<'static>] = &[map(MapType::HASH, 4, 64), map(MapType::RINGBUF, 0, 0)];

impl References for World {
    fn address(&self, at: InsnIdx, addr: Addr) -> Reference {
        self.map_of(at, addr).map_or(Reference::Missing, |map| Reference::Map(MAPS[map].kind))
    }

    fn kfunc(&self, _: InsnIdx, _: u32) -> Reference {
        Reference::Missing
    }

    fn map_of(&self, _: InsnIdx, addr: Addr) -> Option<usize> {
        let Addr::MapFd { fd } = addr else { return None };
        usize::try_from(fd - 3).ok().filter(|&map| map < MAPS.len())
    }
}

fn rejection(text: &str) -> Rejection {
    let assembled = assemble(text, &()).unwrap_or_else(|error| panic!("{text}\n{error}"));
    let mut subject = Subject::new(assembled.slots(), &Platform::LINUX_6_18, ProgType::XDP, &World);
    subject.licence = Licence::Gpl;
    subject.maps = MAPS;
    verify(&subject, &Limits::LINUX).expect_err(text)
}

/// The instructions of the notes, each with a word that its message has.
#[track_caller]
fn says(text: &str, wanted: &[(u32, &str)]) {
    let rejection = rejection(text);
    let found: Vec<u32> = rejection.notes.iter().map(|note| note.insn.0).collect();
    let insns: Vec<u32> = wanted.iter().map(|(insn, _)| *insn).collect();
    assert_eq!(found, insns, "{rejection}: {:?}", rejection.notes);
    for (note, (_, word)) in rejection.notes.iter().zip(wanted) {
        assert!(note.message.contains(word), "{word}: {:?}", rejection.notes);
    }
}

const LOOKUP: &str = "r6 = r1\n*(u32 *)(r10 - 4) = 7\nr1 = map[fd:3] ll\nr2 = r10\nr2 += -4\ncall 1\n";

#[test]
fn a_pointer_is_followed_to_the_call_that_returned_it() {
    says(&format!("{LOOKUP}r7 = r0\nr0 = *(u64 *)(r7 + 0)\nexit"), &[(6, "may be null")]);
    // Through the stack, and through a function.
    says(
        &format!(
            "{LOOKUP}*(u64 *)(r10 - 16) = r0\nr1 = *(u64 *)(r10 - 16)\ncall local f\nexit\nf: r0 = *(u64 *)(r1 + 0)\nexit"
        ),
        &[(6, "may be null")],
    );
    // Where it is null, that was found out.
    says(
        &format!("{LOOKUP}if r0 != 0 goto out\nr0 = *(u64 *)(r0 + 0)\nout: r0 = 0\nexit"),
        &[(6, "returned"), (7, "null")],
    );
}

#[test]
fn an_index_is_followed_to_what_bounds_it() {
    let index = |bound: &str| {
        format!(
            "{LOOKUP}if r0 == 0 goto out\nr7 = *(u32 *)(r6 + 12)\n{bound}r0 += r7\nr0 = *(u8 *)(r0 + 0)\nout: r0 = 0\nexit"
        )
    };
    says(&index(""), &[(6, "64 bytes"), (8, "nothing compares it"), (9, "added")]);
    says(&index("if r7 > 64 goto out\n"), &[(6, "64 bytes"), (9, "unsigned"), (10, "added")]);
}

#[test]
fn packets_say_what_was_compared() {
    let read = |bytes: u32| {
        format!(
            "r2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr4 = r2\nr4 += {bytes}\nif r4 > r3 goto out\nr0 = *(u8 *)(r2 + 13)\n\
             out: r0 = 2\nexit"
        )
    };
    says(&read(13), &[(0, "loaded"), (4, "13 bytes")]);
    says("r2 = *(u32 *)(r1 + 0)\nr0 = *(u8 *)(r2 + 0)\nexit", &[(0, "nothing compares it")]);
}

#[test]
fn what_is_owned_says_where_it_was_acquired_and_released() {
    let reserve = "r1 = map[fd:4] ll\nr2 = 16\nr3 = 0\ncall 131\nif r0 == 0 goto out\n";
    says(&format!("{reserve}out: r0 = 0\nexit"), &[(4, "ringbuf_reserve")]);
    says(
        &format!("{reserve}r6 = r0\nr1 = r0\nr2 = 0\ncall 132\n*(u64 *)(r6 + 0) = 0\nout: r0 = 0\nexit"),
        &[(4, "returned"), (9, "releases")],
    );
}

#[test]
fn the_path_is_told_and_what_it_took() {
    let rejection =
        rejection("r0 = 1\nif r1 == 0 goto out\ngoto far\nout: r0 = 2\nfar: r0 = *(u8 *)(r0 + 0)\nexit");
    let path: Vec<u32> = rejection.path.iter().map(|insn| insn.0).collect();
    assert_eq!(path, [0, 1, 2, 4]);
    assert_eq!((rejection.stats.insns, rejection.insn), (4, Some(InsnIdx(4))));
}
