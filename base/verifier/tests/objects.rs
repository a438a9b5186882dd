//! Objects of the kernel: a rule, a program that breaks it on the instruction said, and its twin that does not.

use skep_abi::{AttachType, MapType, ProgType};
use skep_btf::{
    Array, Btf, Builder, Endian, Func, FuncLinkage, Int, IntEncoding, Member, Param, SecInfo, TagStyle,
    TypeId, TypeTag, Var, VarLinkage,
};
use skep_isa::text::assemble;
use skep_isa::{Addr, InsnIdx};
use skep_model::platform::Platform;
use skep_model::platform::helper::Licence;
use skep_verifier::{Limits, MapProto, Reference, References, Rejection, Sleep, Subject, Verified, verify};
use std::num::NonZeroU8;

/// The types of a small kernel.
struct World {
    types: Btf<'static>,
    sched_switch: TypeId,
    kfree_skb: TypeId,
    cachefiles_lookup: TypeId,
    do_thing: TypeId,
    bpf_iter_task: TypeId,
    bpf_iter_elem: TypeId,
    file_open: TypeId,
    task_free: TypeId,
    hook_of_nothing: TypeId,
    ops: TypeId,
    per_cpu: TypeId,
    one: TypeId,
    number: TypeId,
}

fn member<'n>(name: &'n str, type_id: TypeId, byte: u32) -> Member<'n> {
    Member { name, type_id, bit_offset: byte * 8, bitfield: None }
}

/// `task_struct`, whose members stand at:
/// 0 `pid`, 4 `low:3` and `high:5`, 8 `cgroups`, 16 `parent`, 24 `stack`, 32 `inner.a`, 36 `inner.b`, 40 `numbers[4]`, 56 `either`, 64
/// `each`, 72 `theirs`, 80 `guarded`, 88 `pair[0].next`, 96 `pair[1].next`, 104 nothing, 112 `last`, 120 `rest[]`.
fn world() -> World {
    let mut b = Builder::new(Endian::NATIVE);
    let int = |b: &mut Builder, name: &str, size: u32, encoding| {
        b.int(name, Int { size, bits: (size * 8) as u8, offset: 0, encoding })
    };
    let u32_id = int(&mut b, "unsigned int", 4, IntEncoding::UNSIGNED);
    let u64_id = int(&mut b, "unsigned long", 8, IntEncoding::UNSIGNED);
    let char_id = int(&mut b, "char", 1, IntEncoding::CHAR);
    let s32_id = int(&mut b, "int", 4, IntEncoding::SIGNED);
    let css_set = b.structure("css_set", 8, &[member("count", u32_id, 0)]);
    let tagged = |b: &mut Builder, tag: &str, target| {
        let tag = b.type_tag(tag, TypeTag { target, style: TagStyle::Tag });
        b.ptr(tag)
    };
    let cgroups = tagged(&mut b, "rcu", css_set);
    let guarded = tagged(&mut b, "rcu", css_set);
    let each = tagged(&mut b, "percpu", css_set);
    let theirs = tagged(&mut b, "user", css_set);
    let inner = b.structure("inner", 8, &[member("a", u32_id, 0), member("b", u32_id, 4)]);
    let numbers = b.array(Array { elem: u32_id, index: u32_id, len: 4 });
    let rest = b.array(Array { elem: u64_id, index: u32_id, len: 0 });
    let void = b.ptr(TypeId::VOID);
    // The struct comes right behind the four types that need it.
    let task = TypeId(b.next_id().0 + 4);
    let parent = b.ptr(task);
    let either = b.union("", 8, &[member("task", parent, 0), member("word", u64_id, 0)]);
    let link = b.structure("link", 8, &[member("next", parent, 0)]);
    let pair = b.array(Array { elem: link, index: u32_id, len: 2 });
    let bits = |name, bit_offset, width| Member {
        name,
        type_id: u32_id,
        bit_offset,
        bitfield: NonZeroU8::new(width),
    };
    let made = b.structure(
        "task_struct",
        120,
        &[
            member("pid", u32_id, 0),
            bits("low", 32, 3),
            bits("high", 35, 5),
            member("cgroups", cgroups, 8),
            member("parent", parent, 16),
            member("stack", void, 24),
            member("inner", inner, 32),
            member("numbers", numbers, 40),
            member("", either, 56),
            member("each", each, 64),
            member("theirs", theirs, 72),
            member("guarded", guarded, 80),
            member("pair", pair, 88),
            member("last", u32_id, 112),
            member("rest", rest, 120),
        ],
    );
    assert_eq!(made, task);
    let inode = b.structure("inode", 8, &[member("i_mode", u32_id, 0)]);
    let inode_ptr = b.ptr(inode);
    let file = b.structure("file", 16, &[member("f_inode", inode_ptr, 0), member("other", inode_ptr, 8)]);
    let file_ptr = b.ptr(file);
    b.structure("socket", 8, &[member("file", file_ptr, 0)]);
    // It begins with a file, and has another.
    let two_files = b.structure("two_files", 32, &[member("one", file, 0), member("other", file, 16)]);
    let two_files = b.ptr(two_files);
    let text = b.ptr(char_id);
    let words = b.ptr(text);
    let param = |name, type_id| Param { name, type_id };
    let tracepoint = |b: &mut Builder, name: &str, params: &[Param<'_>]| {
        let proto = b.func_proto(TypeId::VOID, params);
        let pointer = b.ptr(proto);
        b.typedef(name, pointer)
    };
    let sched_switch = tracepoint(
        &mut b,
        "btf_trace_sched_switch",
        &[param("", void), param("", u32_id), param("", parent), param("", text), param("", words)],
    );
    let kfree_skb = tracepoint(
        &mut b,
        "btf_trace_kfree_skb",
        &[param("", void), param("", parent), param("", void), param("", u32_id), param("", parent)],
    );
    let cachefiles_lookup = tracepoint(
        &mut b,
        "btf_trace_cachefiles_lookup",
        &[param("", void), param("", parent), param("", parent), param("", parent)],
    );
    let function = |b: &mut Builder, name: &str, ret, params: &[Param<'_>]| {
        let proto = b.func_proto(ret, params);
        b.func(name, Func { proto, linkage: FuncLinkage::Static })
    };
    let do_thing = function(&mut b, "do_thing", s32_id, &[param("task", parent), param("how", u32_id)]);
    let iter = [param("meta", file_ptr), param("task", parent)];
    let bpf_iter_task = function(&mut b, "bpf_iter_task", s32_id, &iter);
    let elem = [param("meta", file_ptr), param("map", parent), param("key", void), param("value", void)];
    let bpf_iter_elem = function(&mut b, "bpf_iter_bpf_map_elem", s32_id, &elem);
    let file_open = function(
        &mut b,
        "bpf_lsm_file_open",
        s32_id,
        &[param("file", file_ptr), param("more__nullable", file_ptr), param("two", two_files)],
    );
    let task_free = function(&mut b, "bpf_lsm_task_free", TypeId::VOID, &[param("task", parent)]);
    let hook_of_nothing = function(&mut b, "bpf_lsm_cred_free", TypeId::VOID, &[param("file", file_ptr)]);
    let proto = b.func_proto(TypeId::VOID, &[param("", file_ptr), param("", file_ptr)]);
    let pointer = b.ptr(proto);
    let ops = b.structure("some_ops", 8, &[member("open", pointer, 0)]);
    function(
        &mut b,
        "some_ops__open",
        TypeId::VOID,
        &[param("file", file_ptr), param("more__nullable", file_ptr)],
    );
    b.structure("bpf_array", 8, &[member("map_type", u32_id, 0), member("max_entries", u32_id, 4)]);
    let variable =
        |b: &mut Builder, name: &str, type_id| b.var(name, Var { type_id, linkage: VarLinkage::Global });
    let per_cpu = variable(&mut b, "runqueues", task);
    let one = variable(&mut b, "init_task", task);
    let number = variable(&mut b, "jiffies", u64_id);
    b.datasec(".data..percpu", 120, &[SecInfo { type_id: per_cpu, offset: 0, size: 120 }]);
    let types = Btf::from_vec(b.finish().unwrap()).unwrap();
    World {
        types,
        sched_switch,
        kfree_skb,
        cachefiles_lookup,
        do_thing,
        bpf_iter_task,
        bpf_iter_elem,
        file_open,
        task_free,
        hook_of_nothing,
        ops,
        per_cpu,
        one,
        number,
    }
}

const fn map(kind: MapType) -> MapProto<'static> {
    MapProto {
        kind,
        key_size: 4,
        value_size: 8,
        max_entries: 4,
        flags: 0,
        inner: None,
        frozen: None,
        special: &[],
    }
}

/// 3: an array; 4: a hash, of which the small kernel has no struct.
const MAPS: &[MapProto<'static>] = &[map(MapType::ARRAY), map(MapType::HASH)];

impl References for World {
    fn address(&self, at: InsnIdx, addr: Addr) -> Reference {
        match addr {
            Addr::Variable { .. } => Reference::Kernel,
            _ => self.map_of(at, addr).map_or(Reference::Missing, |map| Reference::Map(MAPS[map].kind)),
        }
    }

    fn map_of(&self, _: InsnIdx, addr: Addr) -> Option<usize> {
        let Addr::MapFd { fd } = addr else { return None };
        usize::try_from(fd - 3).ok().filter(|&map| map < MAPS.len())
    }

    fn kfunc(&self, _: InsnIdx, _: u32) -> Reference {
        Reference::Missing
    }
}

/// What a program is, besides its instructions.
#[derive(Clone, Copy)]
struct Place {
    kind: ProgType,
    attach: AttachType,
    target: TypeId,
    sleep: Sleep,
    licence: Licence,
}

impl Place {
    fn new(kind: ProgType, attach: AttachType, target: TypeId) -> Place {
        Place { kind, attach, target, sleep: Sleep::Never, licence: Licence::Gpl }
    }

    fn tracepoint(target: TypeId) -> Place {
        Place::new(ProgType::TRACING, AttachType::TRACE_RAW_TP, target)
    }

    fn verify(self, world: &World, text: &str) -> Result<Verified, Rejection> {
        let assembled = assemble(text, &()).unwrap_or_else(|error| panic!("{text}\n{error}"));
        let mut subject = Subject::new(assembled.slots(), &Platform::LINUX_6_18, self.kind, world);
        subject.attach = self.attach;
        subject.licence = self.licence;
        subject.sleep = self.sleep;
        subject.kernel = Some(&world.types);
        subject.target = Some(self.target);
        subject.maps = MAPS;
        verify(&subject, &Limits::LINUX)
    }

    #[track_caller]
    fn accepts(self, world: &World, text: &str) {
        self.verify(world, text).unwrap_or_else(|rejection| panic!("{text}\n{rejection}"));
    }

    #[track_caller]
    fn rejects(self, world: &World, text: &str, id: &str, at: u32) {
        let rejection = self.verify(world, text).expect_err(text);
        assert_eq!((rejection.id(), rejection.insn), (id, Some(InsnIdx(at))), "{rejection}");
    }
}

#[test]
fn arguments_of_tracepoints_are_in_the_context() {
    let world = &world();
    let place = Place::tracepoint(world.sched_switch);
    place.accepts(world, "r1 = *(u64 *)(r1 + 8)\nr0 = *(u32 *)(r1 + 0)\nexit");
    // The first is a number.
    place.accepts(world, "r0 = *(u64 *)(r1 + 0)\nexit");
    place.accepts(world, "r0 = *(u32 *)(r1 + 0)\nexit");
    place.rejects(world, "r1 = *(u64 *)(r1 + 0)\nr0 = *(u32 *)(r1 + 0)\nexit", "pointer-dereference", 1);
    // So is a pointer to characters, and one to pointers is nothing that can be had.
    place.rejects(world, "r1 = *(u64 *)(r1 + 16)\nr0 = *(u8 *)(r1 + 0)\nexit", "pointer-dereference", 1);
    place.rejects(world, "r0 = *(u64 *)(r1 + 24)\nexit", "context-access", 0);
    // There is no fifth.
    place.rejects(world, "r0 = *(u64 *)(r1 + 32)\nexit", "context-access", 0);
    place.rejects(world, "r0 = *(u32 *)(r1 + 8)\nexit", "context-access", 0);
    place.rejects(world, "r0 = *(u32 *)(r1 + 4)\nexit", "context-access", 0);
    place.rejects(world, "r0 = 0\n*(u64 *)(r1 + 0) = r0\nexit", "context-access", 1);
    place.rejects(world, "r1 += 8\nr0 = *(u64 *)(r1 + 0)\nexit", "context-access", 1);
    // Nothing but a tracepoint will do.
    Place::tracepoint(world.do_thing).rejects(world, "r0 = *(u64 *)(r1 + 0)\nexit", "reference-target", 0);
}

#[test]
fn some_arguments_of_tracepoints_may_be_null() {
    let world = &world();
    let place = Place::tracepoint(world.kfree_skb);
    place.accepts(world, "r1 = *(u64 *)(r1 + 0)\nr0 = *(u32 *)(r1 + 0)\nexit");
    place.rejects(world, "r1 = *(u64 *)(r1 + 24)\nr0 = *(u32 *)(r1 + 0)\nexit", "pointer-null", 1);
    place.accepts(
        world,
        "r0 = 0\nr1 = *(u64 *)(r1 + 24)\nif r1 == 0 goto out\nr0 = *(u32 *)(r1 + 0)\nout: exit",
    );
    // An error number is no pointer.
    let place = Place::tracepoint(world.cachefiles_lookup);
    place.rejects(world, "r1 = *(u64 *)(r1 + 16)\nr0 = *(u32 *)(r1 + 0)\nexit", "pointer-dereference", 1);
}

#[test]
fn members_are_read_whole_and_within_the_struct() {
    let world = &world();
    let place = Place::tracepoint(world.sched_switch);
    let load = |load: &str| format!("r1 = *(u64 *)(r1 + 8)\nr0 = *({load})\nexit");
    for good in [
        "u32 *)(r1 + 0",
        "u16 *)(r1 + 2",
        "u8 *)(r1 + 4",
        "u32 *)(r1 + 4",
        "u64 *)(r1 + 8",
        "u32 *)(r1 + 36",
        "u64 *)(r1 + 40",
        "u64 *)(r1 + 48",
        "u64 *)(r1 + 56",
        "u64 *)(r1 + 96",
        "u32 *)(r1 + 112",
        // The array without a length goes on.
        "u64 *)(r1 + 120",
        "u64 *)(r1 + 4096",
    ] {
        place.accepts(world, &load(good));
    }
    for (bad, id) in [
        // A part of a pointer, or one and what lies beside it.
        ("u32 *)(r1 + 8", "object-access"),
        ("u32 *)(r1 + 12", "object-access"),
        ("u64 *)(r1 + 84", "object-access"),
        // Over the end of a number.
        ("u64 *)(r1 + 0", "object-access"),
        ("u64 *)(r1 + 32", "object-access"),
        ("u64 *)(r1 + 52", "object-access"),
        // Between members, and before the first.
        ("u32 *)(r1 + 104", "object-access"),
        ("u32 *)(r1 - 4", "object-access"),
        // Behind the bitfields of four bytes there is no second byte of them.
        ("u8 *)(r1 + 6", "object-access"),
    ] {
        place.rejects(world, &load(bad), id, 1);
    }
    // Where is not known.
    place.rejects(
        world,
        "r2 = *(u64 *)(r1 + 0)\nr2 &= 4\nr1 = *(u64 *)(r1 + 8)\nr1 += r2\nr0 = *(u32 *)(r1 + 0)\nexit",
        "object-access",
        4,
    );
    place.accepts(world, "r1 = *(u64 *)(r1 + 8)\nr1 += 32\nr0 = *(u32 *)(r1 + 4)\nexit");
    place.rejects(world, "r1 = *(u64 *)(r1 + 8)\n*(u32 *)(r1 + 0) = 1\nr0 = 0\nexit", "memory-rights", 1);
    let free = Place { licence: Licence::Any, ..place };
    free.rejects(world, &load("u32 *)(r1 + 0"), "object-access", 1);
}

#[test]
fn pointers_in_objects_lead_on() {
    let world = &world();
    let place = Place::tracepoint(world.sched_switch);
    let two = |first: u32, second: &str| {
        format!("r1 = *(u64 *)(r1 + 8)\nr1 = *(u64 *)(r1 + {first})\nr0 = *({second})\nexit")
    };
    for (first, second) in [
        (16, "u32 *)(r1 + 0"),
        // Found in a union, it may be something else: it is read as a probe reads, over the ends of members too.
        (56, "u32 *)(r1 + 0"),
        // Of memory without a type anything may be read.
        (24, "u64 *)(r1 + 77"),
        (96, "u32 *)(r1 + 36"),
    ] {
        place.accepts(world, &two(first, second));
    }
    place.rejects(world, &two(16, "u64 *)(r1 + 0"), "object-access", 2);
    // Of the process's memory nothing, nor of one object for each CPU.
    place.rejects(world, &two(72, "u32 *)(r1 + 0"), "object-access", 2);
    place.rejects(world, &two(64, "u32 *)(r1 + 0"), "object-access", 2);
    // What RCU protects may be null, but for what is known not to be.
    place.accepts(world, &two(8, "u32 *)(r1 + 0"));
    place.rejects(world, &two(80, "u32 *)(r1 + 0"), "pointer-null", 2);
    // Memory that may not be there cannot be written, and is nothing for helpers.
    place.rejects(
        world,
        "r1 = *(u64 *)(r1 + 8)\nr1 = *(u64 *)(r1 + 24)\n*(u8 *)(r1 + 0) = 1\nr0 = 0\nexit",
        "memory-rights",
        2,
    );
    let print =
        |off: u32| format!("r1 = *(u64 *)(r1 + 8)\nr1 = *(u64 *)(r1 + {off})\nr2 = 4\ncall 6\nr0 = 0\nexit");
    place.rejects(world, &print(24), "call-argument", 3);
    // Only what is there for certain is memory for them.
    place.rejects(world, &print(16), "call-argument", 3);
    place.accepts(world, "r1 = *(u64 *)(r1 + 8)\nr2 = 4\ncall 6\nr0 = 0\nexit");
    place.rejects(world, "r1 = *(u64 *)(r1 + 8)\nr2 = 8\ncall 6\nr0 = 0\nexit", "object-access", 2);
}

#[test]
fn one_load_reads_as_a_probe_or_not() {
    let world = &world();
    let place = Place::tracepoint(world.sched_switch);
    let either = |other: &str| {
        format!(
            "*(u64 *)(r10 - 8) = 0\nr2 = *(u64 *)(r1 + 0)\nr1 = *(u64 *)(r1 + 8)\nif r2 == 0 goto on\n{other}\non: r0 = *(u32 *)(r1 + 0)\n\
             exit"
        )
    };
    // What is trusted and what is not may come to the same load.
    place.accepts(world, &either("r1 = *(u64 *)(r1 + 56)"));
    place.accepts(world, &either("r1 = *(u64 *)(r1 + 24)"));
    place.accepts(world, &either(&format!("r1 = var[btf:{}] ll", world.number.0)));
    place.rejects(world, &either("r1 = r10\nr1 += -8"), "pointer-mixed", 6);
}

#[test]
fn what_is_there_for_certain_is_not_null() {
    let world = &world();
    let place = Place::tracepoint(world.sched_switch);
    // The branch is never taken.
    let test = |load: &str| {
        format!("r1 = *(u64 *)(r1 + 8)\n{load}r0 = 0\nif r1 != 0 goto out\nr0 = *(u8 *)(r10 + 0)\nout: exit")
    };
    place.accepts(world, &test(""));
    place.rejects(world, &test("r1 = *(u64 *)(r1 + 16)\n"), "stack-bounds", 4);
}

#[test]
fn sleepable_programs_trust_less() {
    let world = &world();
    let place = Place::new(ProgType::LSM, AttachType::LSM_MAC, world.file_open);
    let sleepable = Place { sleep: Sleep::Allowed, ..place };
    let through =
        |off: u32| format!("r1 = *(u64 *)(r1 + 0)\nr1 = *(u64 *)(r1 + {off})\nr2 = 4\ncall 6\nr0 = 0\nexit");
    // A file's inode is there as long as the file.
    place.accepts(world, &through(0));
    sleepable.accepts(world, &through(0));
    place.rejects(world, &through(8), "call-argument", 3);
    // Outside of RCU sections what RCU protects is read as a probe reads, and is not tested for null.
    let tracepoint = Place::tracepoint(world.sched_switch);
    let guarded = "r1 = *(u64 *)(r1 + 8)\nr1 = *(u64 *)(r1 + 80)\nr0 = *(u32 *)(r1 + 0)\nexit";
    tracepoint.rejects(world, guarded, "pointer-null", 2);
    Place { sleep: Sleep::Allowed, ..tracepoint }.accepts(world, guarded);
}

#[test]
fn functions_pass_arguments_and_results() {
    let world = &world();
    let fentry = Place::new(ProgType::TRACING, AttachType::TRACE_FENTRY, world.do_thing);
    let fexit = Place { attach: AttachType::TRACE_FEXIT, ..fentry };
    let change = Place { attach: AttachType::MODIFY_RETURN, ..fentry };
    fentry.accepts(world, "r1 = *(u64 *)(r1 + 0)\nr2 = *(u32 *)(r1 + 0)\nr0 = 0\nexit");
    // It may not be there when the program reads it: nothing for helpers.
    fentry.rejects(world, "r1 = *(u64 *)(r1 + 0)\nr2 = 4\ncall 6\nr0 = 0\nexit", "call-argument", 2);
    fentry.rejects(world, "r1 = *(u64 *)(r1 + 16)\nr0 = 0\nexit", "context-access", 0);
    fexit.accepts(world, "r1 = *(u64 *)(r1 + 16)\nr0 = 0\nexit");
    fexit.rejects(world, "r1 = *(u64 *)(r1 + 24)\nr0 = 0\nexit", "context-access", 0);
    fexit.rejects(world, "r0 = 1\nexit", "return-value", 1);
    change.accepts(world, "r0 = *(u64 *)(r1 + 16)\nexit");
}

#[test]
fn iterators_end_with_null() {
    let world = &world();
    let task = Place::new(ProgType::TRACING, AttachType::TRACE_ITER, world.bpf_iter_task);
    let read = "r1 = *(u64 *)(r1 + 8)\nif r1 == 0 goto out\nr2 = *(u32 *)(r1 + 0)\nout: r0 = 0\nexit";
    task.accepts(world, read);
    task.rejects(world, "r1 = *(u64 *)(r1 + 8)\nr2 = *(u32 *)(r1 + 0)\nr0 = 0\nexit", "pointer-null", 1);
    task.accepts(world, "r1 = *(u64 *)(r1 + 0)\nr2 = *(u64 *)(r1 + 0)\nr0 = 1\nexit");
    task.rejects(world, "r0 = 2\nexit", "return-value", 1);
    let elem = Place { target: world.bpf_iter_elem, ..task };
    let buffer = |off: u32, access: &str| {
        format!("r1 = *(u64 *)(r1 + {off})\nif r1 == 0 goto out\n{access}\nout: r0 = 0\nexit")
    };
    elem.accepts(world, &buffer(16, "r2 = *(u32 *)(r1 + 0)"));
    elem.rejects(world, &buffer(16, "*(u32 *)(r1 + 0) = 1"), "memory-rights", 2);
    elem.accepts(world, &buffer(24, "*(u32 *)(r1 + 0) = 1"));
    elem.rejects(world, &buffer(24, "*(u32 *)(r1 - 4) = 1"), "memory-bounds", 2);
    elem.rejects(world, "r1 = *(u64 *)(r1 + 24)\nr2 = *(u32 *)(r1 + 0)\nr0 = 0\nexit", "pointer-null", 1);
    // Of iterators that are not known it is not known what they pass.
    Place { target: world.do_thing, ..task }.rejects(
        world,
        "r1 = *(u64 *)(r1 + 0)\nr0 = 0\nexit",
        "unsupported",
        0,
    );
}

#[test]
fn hooks_return_what_they_may() {
    let world = &world();
    let open = Place::new(ProgType::LSM, AttachType::LSM_MAC, world.file_open);
    open.accepts(world, "r0 = -13\nexit");
    open.rejects(world, "r0 = 1\nexit", "return-value", 1);
    open.rejects(world, "r0 = -4096\nexit", "return-value", 1);
    // What the hooks before returned is handed on.
    open.accepts(world, "r0 = *(u64 *)(r1 + 24)\nexit");
    open.rejects(world, "r1 = *(u64 *)(r1 + 8)\nr0 = *(u64 *)(r1 + 0)\nexit", "pointer-null", 1);
    // Nothing is wanted of a hook that returns nothing.
    let nothing = Place { target: world.hook_of_nothing, ..open };
    nothing.accepts(world, "exit");
    nothing.accepts(world, "r0 = 77\nexit");
    let cgroup = Place { attach: AttachType::LSM_CGROUP, ..open };
    cgroup.accepts(world, "r0 = 1\nexit");
    cgroup.rejects(world, "r0 = 2\nexit", "return-value", 1);
    // Some hooks pass what is going away.
    let print = "r1 = *(u64 *)(r1 + 0)\nr2 = 4\ncall 6\nr0 = 0\nexit";
    Place { target: world.task_free, ..open }.rejects(world, print, "call-argument", 2);
}

#[test]
fn structs_of_functions_pass_what_their_members_take() {
    let world = &world();
    let place = Place::new(ProgType::STRUCT_OPS, AttachType(0), world.ops);
    place.accepts(world, "r1 = *(u64 *)(r1 + 0)\nr0 = *(u64 *)(r1 + 0)\nexit");
    place.accepts(world, "exit");
    place.rejects(world, "r1 = *(u64 *)(r1 + 8)\nr0 = *(u64 *)(r1 + 0)\nexit", "pointer-null", 1);
    place.rejects(world, "r1 = *(u64 *)(r1 + 16)\nexit", "context-access", 0);
    Place { attach: AttachType(1), ..place }.rejects(
        world,
        "r1 = *(u64 *)(r1 + 0)\nexit",
        "reference-target",
        0,
    );
}

#[test]
fn variables_of_the_kernel_are_read_by_their_types() {
    let world = &world();
    let place = Place::tracepoint(world.sched_switch);
    let load = |id: TypeId, load: &str| format!("r1 = var[btf:{}] ll\nr0 = *({load})\nexit", id.0);
    place.accepts(world, &load(world.number, "u64 *)(r1 + 0"));
    place.rejects(world, &load(world.number, "u64 *)(r1 + 1"), "memory-bounds", 2);
    place.accepts(world, &load(world.one, "u32 *)(r1 + 0"));
    place.rejects(world, &load(world.one, "u64 *)(r1 + 0"), "object-access", 2);
    // Which of them must be chosen first.
    place.rejects(world, &load(world.per_cpu, "u32 *)(r1 + 0"), "object-access", 2);
    place.rejects(
        world,
        &load(world.number, "u64 *)(r1 + 0").replace("r0 = ", "*(u64 *)(r1 + 0) = 1\nr0 = "),
        "memory-rights",
        2,
    );
    // Of a function only the address is of use.
    place.rejects(world, &load(world.do_thing, "u8 *)(r1 + 0"), "memory-bounds", 2);
    place.rejects(world, &load(world.ops, "u8 *)(r1 + 0"), "reference-variable", 0);
}

#[test]
fn maps_are_read_by_their_structs() {
    let world = &world();
    let place = Place::tracepoint(world.sched_switch);
    let load = |fd: u32, load: &str| format!("r1 = map[fd:{fd}] ll\nr0 = *({load})\nexit");
    place.accepts(world, &load(3, "u32 *)(r1 + 4"));
    place.rejects(world, &load(3, "u32 *)(r1 + 8"), "object-access", 2);
    place.rejects(world, &load(4, "u32 *)(r1 + 0"), "unsupported", 2);
    place.rejects(world, "r1 = map[fd:3] ll\n*(u32 *)(r1 + 0) = 0\nr0 = 0\nexit", "memory-rights", 2);
}

#[test]
fn helpers_take_objects_of_their_structs() {
    let world = &world();
    let open = Place::new(ProgType::LSM, AttachType::LSM_MAC, world.file_open);
    let call = |load: &str, then: &str| format!("r1 = *(u64 *)(r1 + {load}\ncall 162\n{then}r0 = 0\nexit");
    open.accepts(world, &call("0)", ""));
    // It may be found at the start of another struct, or within.
    open.accepts(world, &call("16)", ""));
    open.accepts(world, &call("16)\nr1 += 16", ""));
    open.rejects(world, &call("16)\nr1 += 8", ""), "call-argument", 2);
    // Another struct will not do, nor what may be null.
    open.rejects(world, &call("0)\nr1 = *(u64 *)(r1 + 0)", ""), "call-argument", 2);
    open.rejects(world, &call("8)", ""), "call-argument", 1);
    open.rejects(world, &call("0)", "r1 = *(u64 *)(r0 + 0)\n"), "pointer-null", 2);
    open.accepts(world, &call("0)", "if r0 == 0 goto on\nr1 = *(u64 *)(r0 + 0)\non: "));
    // What is running is there.
    open.accepts(world, "call 158\nr1 = r0\nr2 = 4\ncall 6\nr0 = 0\nexit");
}

#[test]
fn one_of_each_cpu_is_chosen() {
    let world = &world();
    let place = Place::tracepoint(world.sched_switch);
    let this = |id: TypeId, then: &str| format!("r1 = var[btf:{}] ll\ncall 154\n{then}\nr0 = 0\nexit", id.0);
    place.accepts(world, &this(world.per_cpu, "r1 = *(u32 *)(r0 + 0)"));
    place.rejects(world, &this(world.per_cpu, "r1 = *(u64 *)(r0 + 0)"), "object-access", 3);
    place.rejects(world, &this(world.one, ""), "call-argument", 2);
    let other = |then: &str| {
        format!("r1 = var[btf:{}] ll\nr2 = 1\ncall 153\n{then}\nout: r0 = 0\nexit", world.per_cpu.0)
    };
    place.rejects(world, &other("r1 = *(u32 *)(r0 + 0)"), "pointer-null", 4);
    place.accepts(world, &other("if r0 == 0 goto out\nr1 = *(u32 *)(r0 + 0)"));
}
