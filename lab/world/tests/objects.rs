//! Objects of the kernel: a rule, a program that breaks it on the instruction said, and its twin that does not.

use skep_abi::{AttachType, ProgType};
use skep_btf::TypeId;
use skep_isa::InsnIdx;
use skep_isa::text::assemble;
use skep_lab_world::{Kernel, MAPS, World, kernel};
use skep_model::platform::Platform;
use skep_model::platform::helper::Licence;
use skep_verifier::{Limits, Rejection, Sleep, Subject, Verified, verify};

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

    fn verify(self, world: &Kernel, text: &str) -> Result<Verified, Rejection> {
        let assembled = assemble(text, &()).unwrap_or_else(|error| panic!("{text}\n{error}"));
        let mut subject = Subject::new(assembled.slots(), &Platform::LINUX_6_18, self.kind, &World);
        subject.attach = self.attach;
        subject.licence = self.licence;
        subject.sleep = self.sleep;
        subject.kernel = Some(&world.types);
        subject.target = Some(self.target);
        subject.maps = MAPS;
        verify(&subject, &Limits::LINUX)
    }

    #[track_caller]
    fn accepts(self, world: &Kernel, text: &str) {
        self.verify(world, text).unwrap_or_else(|rejection| panic!("{text}\n{rejection}"));
    }

    #[track_caller]
    fn rejects(self, world: &Kernel, text: &str, id: &str, at: u32) {
        let rejection = self.verify(world, text).expect_err(text);
        assert_eq!((rejection.id(), rejection.insn), (id, Some(InsnIdx(at))), "{rejection}");
    }
}

#[test]
fn arguments_of_tracepoints_are_in_the_context() {
    let world = kernel();
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
    let world = kernel();
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
    let world = kernel();
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
    let world = kernel();
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
    let world = kernel();
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
    let world = kernel();
    let place = Place::tracepoint(world.sched_switch);
    // The branch is never taken.
    let test = |load: &str| {
        format!("r1 = *(u64 *)(r1 + 8)\n{load}r0 = 0\nif r1 != 0 goto out\nr0 = *(u8 *)(r10 + 0)\nout: exit")
    };
    place.accepts(world, &test(""));
    place.rejects(world, &test("r1 = *(u64 *)(r1 + 16)\n"), "stack-bounds", 4);
}

#[test]
fn security_modules_have_hooks() {
    let world = kernel();
    let at = |target| Place::new(ProgType::LSM, AttachType::LSM_MAC, target);
    at(world.file_open).accepts(world, "r1 = *(u64 *)(r1 + 0)\nr0 = 0\nexit");
    // Neither another function, nor what is no function.
    for target in [world.do_thing, world.bpf_iter_task, world.sched_switch] {
        at(target).rejects(world, "r1 = *(u64 *)(r1 + 0)\nr0 = 0\nexit", "reference-target", 0);
    }
}

#[test]
fn sleepable_programs_trust_less() {
    let world = kernel();
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
    let world = kernel();
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
    let world = kernel();
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
    let world = kernel();
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
    let world = kernel();
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
    let world = kernel();
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
    let world = kernel();
    let place = Place::tracepoint(world.sched_switch);
    let load = |fd: u32, load: &str| format!("r1 = map[fd:{fd}] ll\nr0 = *({load})\nexit");
    place.accepts(world, &load(4, "u32 *)(r1 + 4"));
    place.rejects(world, &load(4, "u32 *)(r1 + 8"), "object-access", 2);
    place.rejects(world, &load(3, "u32 *)(r1 + 0"), "unsupported", 2);
    place.rejects(world, "r1 = map[fd:4] ll\n*(u32 *)(r1 + 0) = 0\nr0 = 0\nexit", "memory-rights", 2);
}

#[test]
fn helpers_take_objects_of_their_structs() {
    let world = kernel();
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
    let world = kernel();
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
