//! A rule, a program that breaks it on the instruction said, and its twin that does not.

use skep_abi::{Errno, MapType, ProgType};
use skep_isa::text::assemble;
use skep_isa::{Addr, InsnIdx};
use skep_model::platform::Platform;
use skep_model::platform::helper::Licence;
use skep_model::platform::version::Version;
use skep_verifier::{Reference, References, Rejection, Structured, Subject, structured};

/// Maps with a descriptor from 3 to 9 exist, and one kernel function.
struct World;

impl References for World {
    fn address(&self, _: InsnIdx, addr: Addr) -> Reference {
        match addr {
            Addr::MapFd { fd: 3..=9 } | Addr::MapValueFd { fd: 3..=9, .. } => Reference::Map(MapType::ARRAY),
            Addr::Variable { btf_id: 77, .. } => Reference::Kernel,
            _ => Reference::Missing,
        }
    }

    fn kfunc(&self, _: InsnIdx, btf_id: u32) -> Reference {
        if btf_id == 77 { Reference::Kernel } else { Reference::Missing }
    }
}

fn on(platform: &Platform, kind: ProgType, licence: Licence, text: &str) -> Result<Structured, Rejection> {
    let assembled = assemble(text, &()).unwrap();
    let mut subject = Subject::new(assembled.slots(), platform, kind, &World);
    subject.licence = licence;
    structured(&subject)
}

fn xdp(text: &str) -> Result<Structured, Rejection> {
    on(&Platform::LINUX_6_18, ProgType::XDP, Licence::Gpl, text)
}

#[track_caller]
fn accepts(text: &str) {
    let doubts = xdp(text).unwrap().doubts().to_vec();
    assert!(doubts.is_empty(), "{doubts:?}");
}

#[track_caller]
fn rejects(text: &str, id: &str, insn: u32) -> Rejection {
    let rejection = xdp(text).unwrap_err();
    assert_eq!((rejection.id(), rejection.insn), (id, Some(InsnIdx(insn))), "{rejection}");
    rejection
}

#[track_caller]
fn doubts(text: &str, insn: u32) {
    let structured = xdp(text).unwrap();
    let places: Vec<u32> = structured.doubts().iter().map(|doubt| doubt.insn.0).collect();
    assert_eq!(places, [insn], "{:?}", structured.doubts());
}

#[test]
fn slots_decode() {
    accepts("r0 = 2\nexit");
    rejects("r0 = 2\n.insn 0xff, 0, 0, 0, 0\nexit", "insn-decodes", 1);
    rejects("r0 = 2\n.insn 0xb7, 11, 0, 0, 0\nexit", "insn-decodes", 1);
    rejects("r0 = 2\n.insn 0x95, 0, 0, 0, 1", "insn-decodes", 1);
    rejects("r0 = 2\n.insn 0x18, 0, 0, 0, 1", "insn-decodes", 1);
}

#[test]
fn the_platform_has_the_instructions() {
    let movsx = "r1 = 1\nr0 = (s8)r1\nexit";
    accepts(movsx);
    let old = on(&Platform::linux(Version::new(6, 1)), ProgType::XDP, Licence::Gpl, movsx).unwrap_err();
    assert_eq!((old.id(), old.insn), ("insn-known", Some(InsnIdx(1))));
    assert!(old.message.contains("needs Linux 6.6, this is 6.1"), "{old}");
    rejects("r0 = 0\ncallx r1\nexit", "insn-known", 1);
}

#[test]
fn control_stays_inside() {
    rejects("r0 = 2", "control-targets", 0);
    rejects("goto +3\nexit", "control-targets", 0);
    rejects("if r1 == 0 goto +1\nr0 = 1 ll\nexit", "control-targets", 0);
    rejects("call local +5\nexit", "control-targets", 0);
    assert_eq!(xdp("").unwrap_err().id(), "control-targets");
}

#[test]
fn every_instruction_can_be_reached() {
    accepts("if r1 == 0 goto out\nr0 = 1\nexit\nout: r0 = 2\nexit");
    let rejection = rejects("r0 = 1\ngoto out\nr0 = 2\nr0 = 3\nout: exit", "control-unreachable", 2);
    assert_eq!((rejection.errno(), rejection.category().name()), (Errno::EINVAL, "control"));
    accepts("call local f\nexit\nf: r0 = 1\nexit");
    rejects("call local f\nexit\nr0 = 3\nexit\nf: r0 = 1\nexit", "control-unreachable", 2);
}

#[test]
fn the_frame_pointer_is_read_only() {
    accepts("r2 = r10\nr2 += -8\nr0 = 0\nexit");
    let rejection = rejects("r0 = 0\nr10 += -8\nexit", "register-frame-pointer", 1);
    assert_eq!(rejection.errno(), Errno::EACCES);
    rejects("r0 = 0\nr10 = *(u64 *)(r1 + 0)\nexit", "register-frame-pointer", 1);
    accepts("r0 = 0\n*(u64 *)(r10 - 8) = r0\nexit");
}

#[test]
fn constants_are_sensible() {
    rejects("r0 = 1\nr0 /= 0\nexit", "insn-divisor", 1);
    rejects("r0 = 1\nr0 %= 0\nexit", "insn-divisor", 1);
    accepts("r0 = 1\nr0 /= 3\nexit");
    rejects("r0 = 1\nr0 <<= 64\nexit", "insn-shift", 1);
    rejects("r0 = 1\nw0 >>= 32\nexit", "insn-shift", 1);
    accepts("r0 = 1\nr0 <<= 63\nw0 >>= 31\nexit");
}

#[test]
fn helpers_are_known_and_allowed() {
    accepts("call 5\nexit");
    rejects("call 9999\nexit", "call-helper", 0);
    let rejection = rejects("r0 = 0\ncall 9\nexit", "call-helper", 1);
    assert!(rejection.message.contains("bpf_skb_store_bytes#9"), "{rejection}");
    let proprietary = on(&Platform::LINUX_6_18, ProgType::XDP, Licence::Any, "call 6\nexit").unwrap_err();
    assert!(proprietary.message.contains("GPL"), "{proprietary}");
    accepts("call 6\nexit");
}

#[test]
fn what_a_branch_may_skip_is_a_doubt() {
    doubts("if r1 == 0 goto out\ncall 9999\nout: r0 = 0\nexit", 1);
    doubts("if r1 == 0 goto out\nr10 = 0\nout: r0 = 0\nexit", 1);
    // The call is certain, and what the function does before its first branch is, too.
    rejects("call local f\nexit\nf: call 9999\nexit", "call-helper", 2);
    // A callback runs only if its helper calls it.
    doubts("r2 = subprog[cb] ll\nr0 = 0\nexit\ncb: call 9999\nexit", 4);
}

#[test]
fn references_exist() {
    accepts("r1 = map[fd:3] ll\nr0 = 0\nexit");
    let rejection = rejects("r0 = 0\nr1 = map[fd:2] ll\nexit", "reference-missing", 1);
    assert_eq!(rejection.errno(), Errno::EBADF);
    accepts("call kfunc[btf:77, fd:0]\nr0 = 0\nexit");
    rejects("call kfunc[btf:78, fd:0]\nr0 = 0\nexit", "call-kfunc", 0);
    accepts("r1 = var[btf:77, fd:0] ll\nr0 = 0\nexit");
    let rejection = rejects("r1 = var[btf:78, fd:0] ll\nr0 = 0\nexit", "reference-variable", 0);
    assert_eq!(rejection.errno(), Errno::EINVAL);
}

#[test]
fn packet_loads_want_a_socket_buffer() {
    let text = "r6 = r1\nr0 = *(u16 *)skb[12]\nr0 = 0\nexit";
    rejects(text, "insn-packet-load", 1);
    let filter = on(&Platform::LINUX_6_18, ProgType::SOCKET_FILTER, Licence::Gpl, text).unwrap();
    assert!(filter.doubts().is_empty());
}

#[test]
fn the_type_and_the_size_are_the_platforms() {
    let unknown = on(&Platform::LINUX_6_18, ProgType(4000), Licence::Gpl, "exit").unwrap_err();
    assert_eq!((unknown.id(), unknown.insn), ("prog-type", None));
    let long = vec![assemble("r0 = 0", &()).unwrap().slots()[0]; 1_000_001];
    let subject = Subject::new(&long, &Platform::LINUX_6_18, ProgType::XDP, &World);
    let rejection = structured(&subject).unwrap_err();
    assert_eq!((rejection.id(), rejection.errno()), ("limit-instructions", Errno::E2BIG));
    let mut many = String::from("r0 = 0\n");
    (0..256).for_each(|i| many.push_str(&format!("call local f{i}\n")));
    many.push_str("exit\n");
    (0..256).for_each(|i| many.push_str(&format!("f{i}: r0 = 0\nexit\n")));
    assert_eq!(xdp(&many).unwrap_err().id(), "limit-functions");
}

#[test]
fn what_is_read_was_written() {
    accepts("r0 = 2\nexit");
    let rejection = rejects("exit", "register-uninitialised", 0);
    assert_eq!(rejection.errno(), Errno::EACCES);
    assert_eq!(rejection.message, "`exit` reads r0, which nothing has written before");
    rejects("r0 = r2\nexit", "register-uninitialised", 0);
    rejects("r6 ^= r6\nr0 = 0\nexit", "register-uninitialised", 0);
    accepts("r6 = r1\nr0 = *(u32 *)(r6 + 0)\nexit");
    // A call leaves r0, and takes r1 to r5.
    accepts("call 5\nexit");
    rejects("r6 = r1\ncall 5\nr0 = r1\nexit", "register-uninitialised", 2);
    // Behind a branch nothing is certain.
    accepts("r0 = 0\nif r1 == 0 goto +1\nr0 = r7\nexit");
    rejects("goto +0\nr0 = r3\nexit", "register-uninitialised", 1);
}

#[test]
fn the_first_in_the_order_of_control_is_named() {
    rejects("goto b\na: r0 = r3\nexit\nb: r10 = 0\ngoto a", "register-frame-pointer", 3);
    rejects("goto b\na: r10 = 0\nr0 = 0\nexit\nb: r0 = r3\ngoto a", "register-uninitialised", 4);
    // A call goes into its function, and what follows comes after that.
    rejects("call local f\nr10 = 0\nr0 = 0\nexit\nf: call 9999\nexit", "call-helper", 4);
}

#[test]
fn what_is_called_when_the_program_throws_is_reached() {
    let assembled = assemble("r0 = 0\nexit\nr0 = r1\nexit", &()).unwrap();
    let with = |exception_callback| {
        let mut subject = Subject::new(assembled.slots(), &Platform::LINUX_6_18, ProgType::XDP, &World);
        subject.exception_callback = exception_callback;
        structured(&subject)
    };
    let rejection = with(None).unwrap_err();
    assert_eq!((rejection.id(), rejection.insn), ("control-unreachable", Some(InsnIdx(2))));
    with(Some(InsnIdx(2))).unwrap();
    assert_eq!(with(Some(InsnIdx(3))).unwrap_err().insn, Some(InsnIdx(2)), "what leads to it is not reached");
    assert!(with(Some(InsnIdx(u32::MAX))).is_err(), "it is no slot of the program");
}
