//! Helpers that call functions of the program.

use crate::{each, is, program};
use skep_abi::MapType;
use skep_machine::{Caller, Cpu, Engine, Helper, HelperEnd, Input, Param, Setup, Stop, StopKind};
use skep_maps::MapDef;
use skep_mem::testing::TestHost;

/// Runs a program with Linux's helpers and a hash of four, and gives what it returns and the fuel it took.
fn run(engine: Engine, text: &str, units: u64) -> (Result<u64, Stop>, u64) {
    let host = TestHost::new().as_dyn();
    let def = MapDef {
        map_type: MapType::HASH,
        key_size: 4,
        value_size: 8,
        max_entries: 4,
        flags: 0,
        extra: 0,
        numa_node: 0,
    };
    let map = skep_maps::create(&host, &def).unwrap();
    let setup = crate::setup::<()>(engine).map(7, &*map).host(&*host);
    let program = setup.assemble(text).unwrap();
    let mut cpu = Cpu::new(()).with_fuel(units);
    let result = setup.load(program).unwrap().run(&mut cpu, Input::None);
    (result, units - cpu.fuel().left())
}

/// Demands a result, and the same fuel on every engine.
#[track_caller]
fn returns(text: &str, want: u64) {
    let mut spent = None;
    each(|engine| {
        let (result, took) = run(engine, text, 100_000);
        assert_eq!(result, Ok(want), "{text}");
        assert_eq!(*spent.get_or_insert(took), took, "{text}");
    });
}

#[track_caller]
fn stops(text: &str, at: u32, kind: StopKind) {
    each(|engine| is(&run(engine, text, 100_000).0.unwrap_err(), at, kind));
}

/// Adds up the squares of 0 to 9 in the caller's stack, which the function gets as context.
const SQUARES: &str = "
    *(u64 *)(r10 - 8) = 0
    r6 = 40
    r1 = 10
    r2 = subprog[square] ll
    r3 = r10
    r3 += -8
    r4 = 0
    call bpf_loop
    r1 = *(u64 *)(r10 - 8)
    r0 *= 1000
    r0 += r1
    r0 += r6
    exit
    square:
    r6 = r1
    r6 *= r1
    r3 = *(u64 *)(r2 + 0)
    r3 += r6
    *(u64 *)(r2 + 0) = r3
    r0 = 0
    exit";

#[test]
fn loops_call_a_function() {
    returns(SQUARES, 10_000 + 285 + 40);
    // It goes on as long as the function returns zero.
    let text = "r1 = 100\nr2 = subprog[f] ll\nr3 = 0\nr4 = 0\ncall bpf_loop\nexit\nf: r0 = 0\nif r1 != 6 goto +1\nr0 = 1\nexit";
    returns(text, 7);
    let none = "r1 = 0\nr2 = subprog[f] ll\nr3 = 0\nr4 = 0\ncall bpf_loop\nexit\nf: r0 = 0\nexit";
    returns(none, 0);
    let flags = "r1 = 5\nr2 = subprog[f] ll\nr3 = 0\nr4 = 1\ncall bpf_loop\nexit\nf: r0 = 0\nexit";
    returns(flags, -22_i64 as u64);
}

#[test]
fn loops_lie_in_loops() {
    let text = "
        *(u64 *)(r10 - 8) = 0
        r1 = 6
        r2 = subprog[outer] ll
        r3 = r10
        r3 += -8
        r4 = 0
        call bpf_loop
        r0 = *(u64 *)(r10 - 8)
        exit
        outer:
        *(u64 *)(r10 - 16) = r2
        *(u64 *)(r10 - 8) = r1
        r2 = subprog[inner] ll
        r3 = r10
        r3 += -16
        r4 = 0
        call bpf_loop
        r0 = 0
        exit
        inner:
        r3 = *(u64 *)(r2 + 0)
        r4 = *(u64 *)(r3 + 0)
        r4 += 1
        *(u64 *)(r3 + 0) = r4
        r0 = 0
        exit";
    returns(text, 15);
}

#[test]
fn elements_are_called_with() {
    let text = "
        r7 = 0
        *(u32 *)(r10 - 4) = 0
        fill:
        r1 = *(u32 *)(r10 - 4)
        r1 *= 7
        *(u64 *)(r10 - 16) = r1
        r1 = map[fd:7] ll
        r2 = r10
        r2 += -4
        r3 = r10
        r3 += -16
        r4 = 0
        call map_update_elem
        r1 = *(u32 *)(r10 - 4)
        r1 += 1
        *(u32 *)(r10 - 4) = r1
        if r1 != 4 goto fill
        *(u64 *)(r10 - 16) = 0
        r1 = map[fd:7] ll
        r2 = subprog[f] ll
        r3 = r10
        r3 += -16
        r4 = 0
        call bpf_for_each_map_elem
        r1 = *(u64 *)(r10 - 16)
        r0 *= 1000
        r0 += r1
        exit
        f:
        r1 = *(u32 *)(r2 + 0)
        r2 = *(u64 *)(r3 + 0)
        r1 *= 100
        r1 += r2
        r2 = *(u64 *)(r4 + 0)
        r1 += r2
        *(u64 *)(r4 + 0) = r1
        *(u64 *)(r3 + 0) = 1
        r0 = 0
        exit";
    returns(text, 4000 + 642);
}

#[test]
fn a_key_is_lent_for_one_call_and_to_be_read() {
    let each_key = |body: &str| {
        format!(
            "*(u32 *)(r10 - 4) = 1
            *(u64 *)(r10 - 16) = 5
            r1 = map[fd:7] ll
            r2 = r10
            r2 += -4
            r3 = r10
            r3 += -16
            r4 = 0
            call map_update_elem
            r1 = map[fd:7] ll
            r2 = subprog[f] ll
            r3 = r10
            r3 += -16
            r4 = 0
            call bpf_for_each_map_elem
            r1 = *(u64 *)(r10 - 16)
            r0 = *(u32 *)(r1 + 0)
            exit
            f: *(u64 *)(r4 + 0) = r2
            {body}"
        )
    };
    // Read inside it is there, written it is not, and afterwards it is gone.
    stops(&each_key("r0 = *(u32 *)(r2 + 0)\nr0 = 0\nexit"), 19, StopKind::OutOfBounds);
    stops(&each_key("*(u32 *)(r2 + 0) = 0\nr0 = 0\nexit"), 22, StopKind::OutOfBounds);
    stops(&each_key("r0 = *(u64 *)(r2 + 0)\nr0 = 0\nexit"), 22, StopKind::OutOfBounds);
}

#[test]
fn what_happens_inside_ends_the_run() {
    let looped = |body: &str| {
        format!("r1 = 5\nr2 = subprog[f] ll\nr3 = 0\nr4 = 0\ncall bpf_loop\nr0 = 77\nexit\nf: {body}")
    };
    stops(&looped("r0 = *(u8 *)(r2 + 0)\nexit"), 8, StopKind::OutOfBounds);
    stops(&looped("again: goto again"), 8, StopKind::Fuel);
    stops(&looped("r1 = 3\nr2 = r1\ncall map_lookup_elem\nexit"), 10, StopKind::BadArgument);
    // A loop in a loop in a loop: eight functions, and no more.
    let deep = looped("r1 = 1\nr2 = subprog[f] ll\nr3 = 0\nr4 = 0\ncall bpf_loop\nr0 = 0\nexit");
    stops(&deep, 13, StopKind::CallDepth);
    for (number, at) in [("0", 4), ("5", 4), ("0x210000010 ll", 5), ("0x210000004 ll", 5)] {
        let text = format!("r1 = 5\nr2 = {number}\nr3 = 0\nr4 = 0\ncall bpf_loop\nexit\nf: r0 = 0\nexit");
        stops(&text, at, StopKind::BadArgument);
    }
}

#[test]
fn fuel_is_counted_through_calls_back() {
    let (_, took) = run(Engine::Exact, SQUARES, 100_000);
    each(|engine| {
        assert_eq!(run(engine, SQUARES, took), (Ok(10_325), took));
        let (result, spent) = run(engine, SQUARES, took - 1);
        assert_eq!((result.unwrap_err().kind(), spent), (StopKind::Fuel, took - 1));
    });
}

#[test]
fn the_main_function_is_called_back() {
    // Its r1 is the input only where the machine has entered it.
    let text = "
        main:
        if r1 != 0 goto inner
        *(u64 *)(r10 - 8) = 5
        r1 = 1
        r2 = subprog[main] ll
        r3 = r10
        r3 += -8
        r4 = 0
        call most
        exit
        inner:
        r0 = *(u64 *)(r1 + 0)
        exit";
    each(|engine| {
        let most = Helper::calling("most", &[Param::Int, Param::Function, Param::Int], |run, args| {
            let function = args.function(1).ok_or(HelperEnd::Argument(1))?;
            run.call(function, [args.int(2), 0, 0, 0, 0])
        });
        let setup: Setup<'_> = crate::setup(engine).helper(9, most);
        let program = setup.assemble(text).unwrap();
        assert_eq!(setup.load(program).unwrap().run(&mut Cpu::default(), Input::None), Ok(5));
    });
}

/// Sorts eight bytes by a function of the program, counts the calls in the state, and looks at it in between.
fn sort() -> Helper<'static, u64> {
    let params = &[Param::READ_WRITE, Param::Len, Param::Function];
    Helper::calling("sort", params, |run: &mut Caller<'_, u64>, args| {
        let (bytes, less) = (args.bytes(0), args.function(2).ok_or(HelperEnd::Argument(2))?);
        for end in (1..bytes.len()).rev() {
            for at in 0..end {
                let pair = [at, at + 1].map(|at| bytes.load_u8(at).unwrap());
                *run.state() += 1;
                if run.call(less, [pair[1].into(), pair[0].into(), 0, 0, 0])? != 0 {
                    bytes.store_u8(at, pair[1]).unwrap();
                    bytes.store_u8(at + 1, pair[0]).unwrap();
                }
            }
        }
        Ok(args.int(2))
    })
}

#[test]
fn ones_own_helper_calls_back() {
    let text = "r3 = subprog[less] ll\ncall sort\nr1 = subprog[less] ll\nr0 -= r1\nexit
        less: call count\nr0 = r6\nexit";
    let text = text.replace(
        "less: call count\nr0 = r6",
        "less: r6 = 0\nif r1 >= r2 goto +1\nr6 = 1\ncall count\nr0 = r6",
    );
    each(|engine| {
        let count = Helper::numbers("count", |state: &mut u64, _| {
            *state += 1000;
            Ok(0)
        });
        let setup = crate::setup(engine).helper(1, sort()).helper(2, count);
        let program = setup.assemble(&text).unwrap();
        let machine = setup.load(program).unwrap();
        let mut memory = *b"hgfbdeca";
        let mut cpu = Cpu::new(0);
        assert_eq!(machine.run(&mut cpu, Input::Memory(&mut memory)), Ok(0));
        assert_eq!((&memory, *cpu.state()), (b"abcdefgh", 28 * 1001));
        // A number that names no function.
        let setup = crate::setup(engine).helper(1, sort());
        let program = setup.assemble("r3 = 1\ncall sort\nexit").unwrap();
        let stop = setup.load(program).unwrap().run(&mut cpu, Input::Memory(&mut memory)).unwrap_err();
        is(&stop, 1, StopKind::BadArgument);
    });
}

#[test]
fn a_helper_cannot_go_on_after_the_end() {
    each(|engine| {
        let stubborn = Helper::calling("stubborn", &[Param::Function], |run: &mut Caller<'_, u32>, args| {
            let function = args.function(0).ok_or(HelperEnd::Argument(0))?;
            for _ in 0..3 {
                *run.state() += u32::from(run.call(function, [0; 5]).is_ok());
            }
            Ok(5)
        });
        let unwind = Helper::new("unwind", &[], |_: &mut u32, _| Err(HelperEnd::Unwind(9)));
        let setup = crate::setup(engine).helper(1, stubborn).helper(2, unwind);
        let text = |body| program(&format!("r1 = subprog[f] ll\ncall 1\nr0 = 3\nexit\nf: {body}\nexit"));
        let mut cpu = Cpu::new(0);
        let machine = setup.load_all([text("r0 = *(u8 *)(r1 + 0)"), text("call 2")]).unwrap();
        is(&machine.run(&mut cpu, Input::None).unwrap_err(), 5, StopKind::OutOfBounds);
        assert_eq!(*cpu.state(), 0);
    });
    each(|engine| {
        let twice = Helper::calling("twice", &[Param::Function], |run: &mut Caller<'_, u32>, args| {
            let function = args.function(0).ok_or(HelperEnd::Argument(0))?;
            let _ = run.call(function, [0; 5]);
            run.call(function, [0; 5])
        });
        let unwind = Helper::new("unwind", &[], |_: &mut u32, _| Err(HelperEnd::Unwind(9)));
        let setup = crate::setup(engine).helper(1, twice).helper(2, unwind);
        let machine =
            setup.load(program("r1 = subprog[f] ll\ncall 1\nr0 = 3\nexit\nf: call 2\nexit")).unwrap();
        assert_eq!(machine.run(&mut Cpu::new(0), Input::None), Ok(9), "the run ends inside");
    });
}
