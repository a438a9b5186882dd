//! Programs of user-space virtual machines, stopping, looking on.

mod common;

use common::{Bare, EXIT, add, load_at, mov, slots};
use skep_exact::{
    CallEnd, Entry, Fuel, HelperLink, LoadErrorKind, MapRef, MapShape, Outcome, Platform, Program,
    RegisterCalls, Rules, Stack, Step, Value, World, run, run_observed,
};
use skep_isa::Reg::{R0, R1, R2, R3, R5, R8};
use skep_isa::{Addr, Insn, LoadKind, Reg};
use skep_mem::{Arg, Bytes, Invoke, MapIndex, Ret};

/// Has helper 1, which sums its arguments, and helper 5, which ends the run with its first argument.
struct Plain;

impl Platform for Plain {
    fn map(&self, _: MapRef) -> Option<MapIndex> {
        None
    }

    fn maps(&self) -> &[MapShape] {
        &[]
    }

    fn helper(&self, id: u32) -> HelperLink {
        if id == 1 || id == 5 { HelperLink::Plain } else { HelperLink::Refused(Some("nobody")) }
    }
}

impl<'m> World<'m> for Plain {
    fn call(&self, id: u32, args: &[Arg<'m>], _: &mut dyn Invoke<'m>) -> Result<Ret<'m>, CallEnd> {
        let numbers = args.iter().map(|arg| match arg {
            Arg::Int(number) => *number,
            other => panic!("{other:?}"),
        });
        match id {
            1 => Ok(Ret::Int(numbers.fold(0, u64::wrapping_add))),
            _ => Err(CallEnd::Unwind(numbers.take(1).sum())),
        }
    }
}

fn plain(insns: &[Insn], memory: &mut [u8]) -> Outcome {
    let rules = Rules { register_calls: RegisterCalls::Allowed(vec![1]), ..Rules::default() };
    let program = Program::new(&slots(insns), &Plain, rules).unwrap();
    let stack = Stack::new().unwrap();
    run(&program, &Plain, &stack, Entry::Memory(Bytes::from_mut(memory)), &Fuel::new(1000))
}

#[test]
fn memory_and_length_come_in_two_registers() {
    assert_eq!(plain(&[mov(R0, R2), EXIT], &mut [0; 13]).result, Ok(13));
    assert_eq!(plain(&[load_at(LoadKind::U8, R0, R1, 2), EXIT], &mut [1, 2, 3]).result, Ok(3));
    assert_eq!(
        plain(&[load_at(LoadKind::U8, R0, R1, 0), EXIT], &mut []).result.unwrap_err().kind.code(),
        "out_of_bounds"
    );
}

#[test]
fn plain_helpers_take_and_return_numbers() {
    let sum = [mov(R1, 5), mov(R2, 6), mov(R3, -1), Insn::CallHelper { id: 1 }, EXIT];
    assert_eq!(plain(&sum, &mut []).result, Ok(10), "what holds nothing arrives as zero");
    let unwind = [mov(R1, 5), Insn::CallHelper { id: 5 }, mov(R0, 0), EXIT];
    assert_eq!(plain(&unwind, &mut []), Outcome { result: Ok(5), executed: 2, charged: unwind.len() as u64 });
    let lost = [mov(R1, 5), Insn::CallHelper { id: 1 }, add(R0, R1), EXIT];
    assert_eq!(plain(&lost, &mut []).result.unwrap_err().at.0, 2);
    let unknown = Program::new(&slots(&[Insn::CallHelper { id: 2 }, EXIT]), &Plain, Rules::default());
    assert_eq!(unknown.unwrap_err().kind, LoadErrorKind::UnknownHelper { id: 2, name: Some("nobody") });
}

#[test]
fn calls_through_registers_go_where_they_are_allowed() {
    let call = Insn::CallReg { reg: R8 };
    assert_eq!(plain(&[mov(R1, 4), mov(R8, 1), call, EXIT], &mut []).result, Ok(4));
    let local = [Insn::LoadAddr { dst: R8, addr: Addr::Code { off: 3 } }, call, EXIT, mov(R0, 9), EXIT];
    assert_eq!(plain(&local, &mut []).result, Ok(9));
    for (value, message) in [
        (5.into(), "call wants a function, found 0x5"),
        (skep_isa::Operand::Imm(-1), "call wants a function, found 0xffffffffffffffff"),
        (Reg::R10.into(), "call wants a function, found object 0+512"),
    ] {
        let fault = plain(&[mov(R8, value), call, EXIT], &mut []).result.unwrap_err();
        assert_eq!(
            (fault.kind.code(), fault.at.0, &*fault.kind.to_string()),
            ("bad_call_target", 1, message)
        );
    }
}

#[test]
fn another_thread_stops_a_run() {
    let program =
        Program::new(&slots(&[mov(R0, 0), Insn::Goto { off: -1 }]), &Bare, Rules::default()).unwrap();
    let fuel = Fuel::new(Fuel::UNLIMITED);
    let outcome = std::thread::scope(|scope| {
        let runner = scope.spawn(|| run(&program, &Bare, &Stack::new().unwrap(), Entry::Context, &fuel));
        fuel.stop();
        runner.join().unwrap()
    });
    assert_eq!(outcome.result.unwrap_err().kind.code(), "fuel");
    assert_eq!(fuel.left(), 0);
}

#[test]
fn fuel_is_taken_to_the_unit() {
    let program = Program::new(&slots(&[mov(R0, 0), mov(R5, 1), EXIT]), &Bare, Rules::default()).unwrap();
    let stack = Stack::new().unwrap();
    for (units, left, done) in [(2, 0, false), (3, 0, true), (10, 7, true)] {
        let fuel = Fuel::new(units);
        let outcome = run(&program, &Bare, &stack, Entry::Context, &fuel);
        assert_eq!((outcome.result.is_ok(), fuel.left(), outcome.charged), (done, left, units - left));
    }
}

#[test]
fn functions_and_ways_back_are_what_costs() {
    // Three times round a loop of two, into a function of two and out of it.
    let insns = [
        mov(R0, 3),
        Insn::CallLocal { off: 3 },
        add(R0, -1),
        common::jump(skep_isa::Width::W64, skep_isa::Cond::Ne, R0, 0, -2),
        EXIT,
        mov(R0, 3),
        EXIT,
    ];
    let program = Program::new(&slots(&insns), &Bare, Rules::default()).unwrap();
    let outcome = run(&program, &Bare, &Stack::new().unwrap(), Entry::Context, &Fuel::new(Fuel::UNLIMITED));
    assert_eq!(outcome, Outcome { result: Ok(0), executed: 11, charged: 5 + 2 + 2 * 2 });
    let few = run(&program, &Bare, &Stack::new().unwrap(), Entry::Context, &Fuel::new(5 + 2 + 3));
    let fault = few.result.unwrap_err();
    assert_eq!((fault.at.0, fault.kind.code(), few.charged), (3, "fuel", 10));
}

#[test]
fn an_observer_sees_every_step_before_it_is_taken() {
    let insns = [mov(R0, 7), Insn::CallLocal { off: 1 }, EXIT, mov(R0, 9), EXIT];
    let program = Program::new(&slots(&insns), &Bare, Rules { tag: 3, ..Rules::default() }).unwrap();
    let mut seen = Vec::new();
    let mut look = |step: &Step<'_>| seen.push((step.program, step.at.0, step.depth, step.regs[0]));
    let outcome =
        run_observed(&program, &Bare, &Stack::new().unwrap(), Entry::Context, &Fuel::new(100), &mut look);
    assert_eq!(outcome, Outcome { result: Ok(9), executed: 5, charged: 5 });
    let (none, seven, nine) = (Value::Uninit, Value::Scalar(7), Value::Scalar(9));
    assert_eq!(seen, [(3, 0, 0, none), (3, 1, 0, seven), (3, 3, 1, none), (3, 4, 1, nine), (3, 2, 0, nine)]);
}

#[test]
fn an_observer_sees_the_stack() {
    use skep_exact::Slot;
    let insns = [
        common::store(skep_isa::Size::Dw, Reg::R10, -8, Reg::R10),
        common::store(skep_isa::Size::W, Reg::R10, -16, -1),
        Insn::CallLocal { off: 2 },
        mov(R0, 0),
        EXIT,
        mov(R0, 0),
        EXIT,
    ];
    let program = Program::new(&slots(&insns), &Bare, Rules::default()).unwrap();
    let mut seen = Vec::new();
    let mut look = |step: &Step<'_>| {
        let main = step.frame(0).unwrap();
        assert_eq!((main.len(), main.slots().count(), main.slot(0), main.slot(-520)), (512, 64, None, None));
        assert_eq!(main.slot(-12), None, "slots are aligned");
        let own = step.frame(step.depth).and_then(|frame| frame.slot(-8));
        seen.push((step.at.0, main.slot(-8).unwrap(), main.slot(-16).unwrap(), own.unwrap()));
        assert!(step.frame(step.depth + 1).is_none());
    };
    let stack = Stack::new().unwrap();
    run_observed(&program, &Bare, &stack, Entry::Context, &Fuel::new(100), &mut look).result.unwrap();
    let nothing = Slot::Data { bits: 0, written: 0 };
    assert_eq!(seen[0], (0, nothing, nothing, nothing));
    let Slot::Pointer(top) = seen[1].1 else { panic!("{:?}", seen[1]) };
    assert!(top.has_provenance());
    let half = if cfg!(target_endian = "big") { 0xffff_ffff_0000_0000 } else { 0xffff_ffff };
    let written = Slot::Data { bits: half, written: 0x0f };
    assert_eq!(seen[2], (2, Slot::Pointer(top), written, Slot::Pointer(top)));
    assert_eq!(seen[3], (5, Slot::Pointer(top), written, nothing), "a callee has a stack of its own");
}

#[test]
fn frames_may_be_larger() {
    let insns = [common::store(skep_isa::Size::B, Reg::R10, -4096, 1), mov(R0, 0), EXIT];
    let program = Program::new(&slots(&insns), &Bare, Rules::default()).unwrap();
    let run = |stack: Stack| run(&program, &Bare, &stack, Entry::Context, &Fuel::new(100)).result;
    assert_eq!(run(Stack::of_frames(4096).unwrap()), Ok(0));
    assert!(run(Stack::of_frames(4088).unwrap()).is_err());
}
