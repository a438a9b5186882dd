//! What of a map's value is the kernel's, by the value's type.

use skep_abi::{MapType, ProgType};
use skep_btf::{
    Array, Btf, Builder, Endian, Int, IntEncoding, Member, SecInfo, TagStyle, TypeId, TypeTag, Var,
    VarLinkage,
};
use skep_isa::text::assemble;
use skep_isa::{Addr, InsnIdx};
use skep_model::platform::Platform;
use skep_verifier::{
    KptrTrust, Limits, MapProto, Reference, References, Special, SpecialError, SpecialKind, Subject,
    special_fields, verify,
};

/// Types that are put together, with the structs of the kernel's that are asked for.
struct Types {
    builder: Builder,
}

impl Types {
    fn new() -> Self {
        Self { builder: Builder::new(Endian::Little) }
    }

    fn number(&mut self, bytes: u32) -> TypeId {
        let int = Int { size: bytes, bits: (bytes * 8) as u8, offset: 0, encoding: IntEncoding::UNSIGNED };
        self.builder.int("number", int)
    }

    /// A struct without members, of which only name and size matter.
    fn opaque(&mut self, name: &str, size: u32) -> TypeId {
        self.builder.structure(name, size, &[])
    }

    fn structure(&mut self, name: &str, size: u32, members: &[(TypeId, u32)]) -> TypeId {
        let member = |&(type_id, at): &(TypeId, u32)| Member {
            name: "m",
            type_id,
            bit_offset: at * 8,
            bitfield: None,
        };
        let members: Vec<Member<'_>> = members.iter().map(member).collect();
        self.builder.structure(name, size, &members)
    }

    fn array(&mut self, elem: TypeId, len: u32) -> TypeId {
        self.builder.array(Array { elem, index: TypeId(1), len })
    }

    fn tagged(&mut self, tag: &str, target: TypeId) -> TypeId {
        let tag = self.builder.type_tag(tag, TypeTag { target, style: TagStyle::Tag });
        self.builder.ptr(tag)
    }

    fn find(self, value: TypeId, kernel: Option<&Btf<'_>>) -> Result<Vec<Special>, SpecialError> {
        let bytes = self.builder.finish().unwrap();
        special_fields(&Btf::parse(&bytes).unwrap(), value, kernel)
    }
}

fn special(kind: SpecialKind, offset: u32, size: u32) -> Special {
    Special { kind, offset, size }
}

#[test]
fn fields_are_found_by_name_and_size_in_nested_structs_too() {
    let mut types = Types::new();
    let number = types.number(8);
    let (lock, timer) = (types.opaque("bpf_spin_lock", 4), types.opaque("bpf_timer", 16));
    let wrong = types.opaque("bpf_wq", 12);
    let inner = types.structure("inner", 24, &[(number, 0), (timer, 8)]);
    let value = types.structure("value", 64, &[(lock, 4), (number, 8), (inner, 16), (wrong, 40)]);
    let named = types.builder.typedef("value_t", value);
    let wanted = [special(SpecialKind::SpinLock, 4, 4), special(SpecialKind::Timer, 24, 16)];
    assert_eq!(types.find(named, None).unwrap(), wanted);
}

#[test]
fn what_is_not_aligned_is_nothing_special() {
    let mut types = Types::new();
    let timer = types.opaque("bpf_timer", 16);
    let value = types.structure("value", 24, &[(timer, 4)]);
    assert_eq!(types.find(value, None).unwrap(), []);
}

#[test]
fn there_is_one_lock_in_a_struct_and_none_in_an_array() {
    for is_array in [false, true] {
        let mut types = Types::new();
        types.number(4);
        let lock = types.opaque("bpf_spin_lock", 4);
        let two = types.array(lock, 2);
        let members = if is_array { vec![(two, 0)] } else { vec![(lock, 0), (lock, 4)] };
        let value = types.structure("value", 8, &members);
        let refused = if is_array { SpecialError::Misplaced { offset: 0 } } else { SpecialError::TooMany };
        assert_eq!(types.find(value, None), Err(refused));
    }
}

#[test]
fn pointers_have_the_type_that_the_kernel_has() {
    let mut kernel = Types::new();
    kernel.number(4);
    let task = kernel.opaque("task_struct", 8);
    let kernel = kernel.builder.finish().unwrap();
    let kernel = Btf::parse(&kernel).unwrap();

    let mut types = Types::new();
    let number = types.number(4);
    let (theirs, own) = (types.opaque("task_struct", 0), types.opaque("own", 8));
    let plain = types.builder.ptr(theirs);
    let (untrusted, owned) = (types.tagged("kptr_untrusted", theirs), types.tagged("kptr", theirs));
    let (unknown, percpu) = (types.tagged("kptr", own), types.tagged("percpu_kptr", theirs));
    let two = types.array(owned, 2);
    let members = [(number, 0), (plain, 8), (untrusted, 16), (two, 24), (unknown, 40), (percpu, 48)];
    let value = types.structure("value", 56, &members);
    let kptr = |trust, offset| special(SpecialKind::Kptr { type_id: task, trust }, offset, 8);
    let wanted = [
        kptr(KptrTrust::Untrusted, 16),
        kptr(KptrTrust::Referenced, 24),
        kptr(KptrTrust::Referenced, 32),
        special(SpecialKind::Other, 40, 8),
        kptr(KptrTrust::PerCpu, 48),
    ];
    assert_eq!(types.find(value, Some(&kernel)).unwrap(), wanted);
}

#[test]
fn a_tag_that_no_kernel_knows_spoils_the_value() {
    let mut types = Types::new();
    let object = types.opaque("task_struct", 0);
    let pointer = types.tagged("mine", object);
    let value = types.structure("value", 16, &[(pointer, 8)]);
    assert_eq!(types.find(value, None), Err(SpecialError::Misplaced { offset: 8 }));
}

#[test]
fn variables_of_a_section_have_fields() {
    let mut types = Types::new();
    types.number(4);
    let (lock, head) = (types.opaque("bpf_spin_lock", 4), types.opaque("bpf_list_head", 16));
    let linkage = VarLinkage::Static;
    let lock = types.builder.var("lock", Var { type_id: lock, linkage });
    let head = types.builder.var("head", Var { type_id: head, linkage });
    let vars =
        [SecInfo { type_id: lock, offset: 0, size: 4 }, SecInfo { type_id: head, offset: 16, size: 16 }];
    let section = types.builder.datasec(".data.A", 32, &vars);
    let wanted = [special(SpecialKind::SpinLock, 0, 4), special(SpecialKind::Other, 16, 16)];
    assert_eq!(types.find(section, None).unwrap(), wanted);
}

#[test]
fn a_list_wants_a_lock() {
    let mut types = Types::new();
    let head = types.opaque("bpf_list_head", 16);
    let value = types.structure("value", 16, &[(head, 0)]);
    assert_eq!(types.find(value, None), Err(SpecialError::Unlocked));
}

#[test]
fn fields_do_not_lie_on_each_other_or_outside() {
    for (at, refused) in [(12, SpecialError::Overlap), (24, SpecialError::Misplaced { offset: 24 })] {
        let mut types = Types::new();
        let (lock, timer) = (types.opaque("bpf_spin_lock", 4), types.opaque("bpf_timer", 16));
        let members = if at == 12 { [(timer, 0), (lock, at)] } else { [(lock, 0), (timer, at)] };
        let value = types.structure("value", 32, &members);
        assert_eq!(types.find(value, None), Err(refused));
    }
}

#[test]
fn structs_that_double_at_each_level_are_given_up() {
    let mut types = Types::new();
    let mut of = types.opaque("empty", 0);
    for _ in 0..30 {
        of = types.structure("twice", 0, &[(of, 0), (of, 0)]);
    }
    assert_eq!(types.find(of, None), Err(SpecialError::TooMany));
}

#[test]
fn numbers_have_no_fields() {
    let mut types = Types::new();
    let number = types.number(4);
    assert_eq!(types.find(number, None), Err(SpecialError::NoStruct));
}

/// One map: an array whose values hold a pointer to an object of the kernel behind eight bytes.
struct Pointers;

const POINTERS: &[MapProto<'static>] = &[MapProto {
    kind: MapType::ARRAY,
    key_size: 4,
    value_size: 24,
    max_entries: 1,
    flags: 0,
    inner: None,
    frozen: None,
    special: &[Special {
        kind: SpecialKind::Kptr { type_id: TypeId(1), trust: KptrTrust::Untrusted },
        offset: 8,
        size: 8,
    }],
}];

impl References for Pointers {
    fn address(&self, _: InsnIdx, _: Addr) -> Reference {
        Reference::Map(MapType::ARRAY)
    }

    fn kfunc(&self, _: InsnIdx, _: u32) -> Reference {
        Reference::Missing
    }

    fn map_of(&self, _: InsnIdx, _: Addr) -> Option<usize> {
        Some(0)
    }
}

/// The rule that an access to the value breaks, if it breaks one.
fn broken_by(access: &str) -> Option<&'static str> {
    let text = format!(
        "r6 = *(u32 *)(r1 + 0)\nr6 &= 8\n*(u32 *)(r10 - 4) = 0\nr1 = map[fd:0] ll\nr2 = r10\nr2 += -4\ncall 1\n\
         if r0 == 0 goto out\n{access}\nout: r0 = 0\nexit"
    );
    let assembled = assemble(&text, &()).unwrap_or_else(|error| panic!("{text}\n{error}"));
    let mut subject =
        Subject::new(assembled.slots(), &Platform::LINUX_6_18, ProgType::SOCKET_FILTER, &Pointers);
    subject.maps = POINTERS;
    verify(&subject, &Limits::LINUX).err().map(|rejection| rejection.id())
}

#[test]
fn pointers_in_maps_are_not_numbers() {
    for beside in ["r0 = *(u64 *)(r0 + 0)", "*(u64 *)(r0 + 16) = 1", "*(u64 *)(r0 + 0) = r6"] {
        assert_eq!(broken_by(beside), None, "{beside}");
    }
    for access in [
        "r0 = *(u64 *)(r0 + 8)",
        "r0 = *(u8 *)(r0 + 15)",
        "*(u64 *)(r0 + 8) = r6",
        "*(u64 *)(r0 + 8) = 1",
        "*(u32 *)(r0 + 12) = 0",
        "*(u8 *)(r0 + 8) = 0",
        "r0 += r6\n*(u64 *)(r0 + 0) = 1",
        "r0 += r6\nr0 = *(u64 *)(r0 + 8)",
        "lock *(u64 *)(r0 + 8) += r6",
    ] {
        assert_eq!(broken_by(access), Some("unsupported"), "{access}");
    }
    let lent = "r3 = r0\nr1 = map[fd:0] ll\nr2 = r10\nr2 += -4\nr4 = 0\ncall 2";
    assert_eq!(broken_by(lent), Some("memory-special"), "{lent}");
}
