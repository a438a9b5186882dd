//! Functions of the kernel: a rule, a program that breaks it on the instruction said, and its twin that does not.

use skep_abi::ProgType;
use skep_btf::{Btf, Builder, Endian, Func, FuncLinkage, TypeId};
use skep_isa::text::assemble;
use skep_isa::{Addr, InsnIdx};
use skep_model::platform::Platform;
use skep_model::platform::helper::Licence;
use skep_model::platform::kfuncs::KFUNCS;
use skep_model::platform::version::Version;
use skep_verifier::{Limits, Pruning, Reference, References, Rejection, Sleep, Subject, Verified, verify};

/// Whatever is called is there.
struct World;

impl References for World {
    fn address(&self, _: InsnIdx, _: Addr) -> Reference {
        Reference::Missing
    }

    fn kfunc(&self, _: InsnIdx, _: u32) -> Reference {
        Reference::Kernel
    }
}

/// The types of a kernel that has the functions that are modelled, and one more.
fn kernel() -> Btf<'static> {
    let mut b = Builder::new(Endian::NATIVE);
    let proto = b.func_proto(TypeId::VOID, &[]);
    for name in KFUNCS.iter().map(|kfunc| kfunc.name).chain(["bpf_other"]) {
        b.func(name, Func { proto, linkage: FuncLinkage::Static });
    }
    Btf::from_vec(b.finish().unwrap()).unwrap()
}

#[derive(Clone, Copy)]
struct Place {
    kind: ProgType,
    sleep: Sleep,
    licence: Licence,
    version: Version,
    pruning: Pruning,
}

const XDP: Place = Place {
    kind: ProgType::XDP,
    sleep: Sleep::Never,
    licence: Licence::Gpl,
    version: Version::LINUX_6_18,
    pruning: Pruning::Full,
};

impl Place {
    /// Calls of functions are written by their names.
    fn verify(self, text: &str) -> Result<Verified, Rejection> {
        let kernel = kernel();
        let mut text = text.to_owned();
        for name in KFUNCS.iter().map(|kfunc| kfunc.name).chain(["bpf_other"]) {
            let id = kernel.find(name, skep_btf::Kind::Func).unwrap();
            text = text.replace(&format!("call {name}\n"), &format!("call kfunc[btf:{}]\n", id.0));
        }
        let assembled = assemble(&text, &()).unwrap_or_else(|error| panic!("{text}\n{error}"));
        let platform = Platform::linux(self.version);
        let mut subject = Subject::new(assembled.slots(), &platform, self.kind, &World);
        subject.licence = self.licence;
        subject.sleep = self.sleep;
        subject.kernel = Some(&kernel);
        verify(&subject, &Limits { pruning: self.pruning, insns: 20_000, ..Limits::LINUX })
    }

    #[track_caller]
    fn accepts(self, text: &str) {
        self.verify(text).unwrap_or_else(|rejection| panic!("{text}\n{rejection}"));
    }

    #[track_caller]
    fn rejects(self, text: &str, id: &str, at: u32) {
        let rejection = self.verify(text).expect_err(text);
        assert_eq!((rejection.id(), rejection.insn), (id, Some(InsnIdx(at))), "{text}\n{rejection}");
    }
}

/// Five slots that make an iterator at `r10 - 8`.
const NEW: &str = "r1 = r10\nr1 += -8\nr2 = 0\nr3 = 1000000\ncall bpf_iter_num_new\n";
/// Three slots that ask it for the next number.
const NEXT: &str = "r1 = r10\nr1 += -8\ncall bpf_iter_num_next\n";
/// Three slots that end it.
const DESTROY: &str = "r1 = r10\nr1 += -8\ncall bpf_iter_num_destroy\n";
const END: &str = "r0 = 0\nexit\n";

/// A loop over numbers: NEW is 0 to 4, the loop's NEXT 5 to 7, its branch 8, the body begins at 9.
fn each(before: &str, body: &str, after: &str) -> String {
    format!("{before}{NEW}l: {NEXT}if r0 == 0 goto out\n{body}goto l\nout: {DESTROY}{after}{END}")
}

#[test]
fn loops_over_numbers_end() {
    XDP.accepts(&each("", "", ""));
    XDP.accepts(&each("", "r6 = *(u32 *)(r0 + 0)\n", ""));
    // What the loop counts goes on for ever, as long as nothing depends on it; what does is followed turn by turn.
    let counted = |after: &str| each("r6 = 0\n", "r6 += 1\n", after);
    XDP.accepts(&counted("*(u64 *)(r10 - 16) = r6\n"));
    XDP.rejects(&counted("r2 = r10\nr2 += -16\nr2 += r6\n*(u8 *)(r2 + 0) = 0\n"), "stack-bounds", 18);
    // In a body without a branch nothing else ends it.
    XDP.rejects(&format!("{NEW}{NEXT}l: goto l\n"), "control-endless-loop", 8);
    // One in another, each over its own.
    let inner = each("", "", "")
        .replace("-8", "-16")
        .replace("l: ", "m: ")
        .replace("goto l", "goto m")
        .replace("out", "on")
        .replace(END, "");
    XDP.accepts(&each("", &inner, ""));
}

#[test]
fn what_is_in_a_turn_is_looked_at() {
    XDP.rejects(&each("", "r6 = *(u64 *)(r0 + 0)\n", ""), "memory-bounds", 9);
    XDP.rejects(&each("", "*(u32 *)(r0 + 0) = 1\n", ""), "memory-rights", 9);
    XDP.rejects(&each("", "r6 = *(u32 *)(r1 + 0)\n", ""), "register-uninitialised", 9);
    // What a number of the last turn leaves behind is gone with the iterator.
    let kept = each("r6 = 0\n", "r6 = r0\n", "if r6 == 0 goto +1\nr0 = *(u32 *)(r6 + 0)\n");
    XDP.rejects(&kept, "pointer-dereference", 16);
    // Which turn it is decides, and that is followed.
    for pruning in [Pruning::Full, Pruning::Within, Pruning::Never] {
        let place = Place { pruning, ..XDP };
        let hands_on = |last: u32| {
            each(
                &format!("r6 = 0\nr8 = {last}\n"),
                "r6 = r8\n",
                "r2 = r10\nr2 += -16\nr2 += r6\n*(u8 *)(r2 + 0) = 0\n",
            )
        };
        place.accepts(&hands_on(7));
        place.rejects(&hands_on(600), "stack-bounds", 19);
    }
}

#[test]
fn iterators_are_made_once_and_ended_once() {
    XDP.rejects(&format!("{NEW}{END}"), "reference-leak", 6);
    XDP.rejects(&format!("{NEW}{NEW}{DESTROY}{END}"), "call-argument", 9);
    XDP.accepts(&format!("{NEW}{DESTROY}{NEW}{DESTROY}{END}"));
    XDP.rejects(&format!("{NEW}{DESTROY}{DESTROY}{END}"), "call-argument", 10);
    XDP.rejects(&format!("{NEXT}{END}"), "call-argument", 2);
    XDP.rejects(&format!("{NEW}{}{DESTROY}{END}", NEXT.replace("-8", "-16")), "call-argument", 7);
    XDP.rejects(&format!("{}{END}", NEW.replace("-8", "-4")), "call-argument", 4);
    XDP.rejects(&format!("{}{END}", NEW.replace("-8", "-520")), "stack-bounds", 4);
    XDP.rejects(&format!("{}{END}", NEW.replace("r2 = 0", "r2 = r10")), "call-argument", 4);
    // Overwritten, it is lost.
    XDP.rejects(&format!("{NEW}*(u8 *)(r10 - 1) = 0\n{DESTROY}{END}"), "call-argument", 8);
    XDP.rejects(&format!("{NEW}*(u64 *)(r10 - 8) = 0\n{END}"), "reference-leak", 7);
    // By a helper, too: bpf_get_current_comm.
    XDP.rejects(&format!("{NEW}r1 = r10\nr1 += -16\nr2 = 16\ncall 16\n{DESTROY}{END}"), "call-argument", 11);
    XDP.rejects(&format!("{NEW}r0 = *(u64 *)(r10 - 8)\n{DESTROY}{END}"), "memory-special", 5);
}

#[test]
fn sections_are_ended() {
    let lock = "call bpf_rcu_read_lock\n";
    let unlock = "call bpf_rcu_read_unlock\n";
    let disable = "call bpf_preempt_disable\n";
    let enable = "call bpf_preempt_enable\n";
    XDP.accepts(&format!("{lock}{unlock}{END}"));
    XDP.rejects(&format!("{lock}{END}"), "lock-order", 2);
    XDP.rejects(&format!("{unlock}{END}"), "lock-order", 0);
    XDP.rejects(&format!("{lock}{lock}{END}"), "lock-order", 1);
    XDP.accepts(&format!("{disable}{disable}{enable}{enable}{END}"));
    XDP.rejects(&format!("{disable}{disable}{enable}{END}"), "lock-order", 4);
    XDP.rejects(&format!("{enable}{END}"), "lock-order", 0);
    // On one of two paths that meet.
    let perhaps =
        |then: &str| format!("call 7\nif r0 == 5 goto on\n{lock}{unlock}goto off\non: {then}off: {END}");
    XDP.accepts(&perhaps(""));
    XDP.rejects(&perhaps(lock), "lock-order", 7);
    // Nothing sleeps in them: bpf_copy_from_user.
    let sleeps = "r1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\ncall 148\n";
    let sleepable = Place { kind: ProgType::SYSCALL, sleep: Sleep::Allowed, ..XDP };
    sleepable.accepts(&format!("{lock}{unlock}{sleeps}{END}"));
    sleepable.rejects(&format!("{lock}{sleeps}{unlock}{END}"), "call-helper", 5);
    sleepable.rejects(&format!("{disable}{sleeps}{enable}{END}"), "call-helper", 5);
}

#[test]
fn functions_are_those_of_the_version_and_for_the_gpl() {
    let text = format!("call bpf_rcu_read_lock\ncall bpf_rcu_read_unlock\n{END}");
    Place { licence: Licence::Any, ..XDP }.rejects(&text, "call-helper", 0);
    Place { version: Version::new(6, 1), ..XDP }.rejects(&text, "unsupported", 0);
    XDP.rejects(&format!("call bpf_other\n{END}"), "unsupported", 0);
}
