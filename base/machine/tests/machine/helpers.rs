//! Helpers: state, arguments, ends, and the ready ones.

use crate::{each, is, program};
use skep_machine::{
    Args, Clock, Cpu, Engine, Helper, HelperEnd, Input, Param, Random, Stop, StopKind, Trace, helpers,
};
use std::cell::{Cell, RefCell};
use std::sync::Mutex;

#[test]
fn helpers_share_the_state_of_their_cpu() {
    each(|engine| {
        let add = Helper::numbers("add", |sum: &mut u64, [a, ..]| {
            *sum += a;
            Ok(*sum)
        });
        let setup = crate::setup(engine).helper(u32::MAX, add);
        let program = setup.assemble("r1 = 3\ncall add\nr1 = r0\ncall add\nexit").unwrap();
        let machine = setup.load(program).unwrap();
        let (mut one, mut other) = (Cpu::new(0), Cpu::new(100));
        assert_eq!(machine.run(&mut one, Input::None), Ok(6));
        assert_eq!(machine.run(&mut other, Input::None), Ok(206));
        assert_eq!(machine.run(&mut one, Input::None), Ok(18));
        *one.state_mut() = 1;
        assert_eq!((machine.run(&mut one, Input::None), other.into_state()), (Ok(8), 206));
    });
}

#[test]
fn a_helper_may_borrow_what_lives_as_long_as_the_machine() {
    each(|engine| {
        let calls = Mutex::new(0);
        let count = Helper::numbers("count", |_: &mut (), _| {
            *calls.lock().unwrap() += 1;
            Ok(0)
        });
        let setup = crate::setup(engine).helper(1, count);
        let program = setup.assemble("call count\ncall count\nexit").unwrap();
        setup.load(program).unwrap().run(&mut Cpu::default(), Input::None).unwrap();
        assert_eq!(*calls.lock().unwrap(), 2);
    });
}

extern "C" fn weigh(a: u64, b: u64, c: u64, d: u64, e: u64, word: u64) -> u64 {
    [a, b, c, d, e]
        .iter()
        .zip(1..)
        .fold(word, |sum: u64, (arg, n)| sum.wrapping_mul(31).wrapping_add(arg * n))
}

#[test]
fn plain_helpers_get_numbers_and_the_word() {
    let text = "r1 = 1\nr2 = 2\nr3 = 3\nr4 = 4\nr5 = 5\ncall weigh\nr6 = r0\nr1 = r6\nr2 = 0\nr3 = 0\nr4 = 0\nr5 = 0\ncall weigh\nr0 ^= r6\nexit";
    let once = weigh(1, 2, 3, 4, 5, 99);
    let want = weigh(once, 0, 0, 0, 0, 99) ^ once;
    each(|engine| {
        let setup = crate::setup::<()>(engine).helper(9, Helper::plain("weigh", weigh));
        let program = setup.assemble(text).unwrap();
        let machine = setup.load(program).unwrap();
        // Fifteen instructions, and one unit for each call.
        let mut cpu = Cpu::new(()).with_fuel(17);
        cpu.set_word(99);
        assert_eq!(machine.run(&mut cpu, Input::None), Ok(want));
        assert_eq!(cpu.fuel().left(), 0);
        for (units, at) in [(16, 12), (15, 5)] {
            cpu.fuel().fill(units);
            is(&machine.run(&mut cpu, Input::None).unwrap_err(), at, StopKind::Fuel);
            assert_eq!(cpu.fuel().left(), 0);
        }
    });
}

#[test]
fn machine_code_is_listed_by_program_and_function() {
    each(|engine| {
        let first = program("call inner\nexit\ninner:\nr0 = 1\nexit");
        let second = program("r0 = 2\nexit");
        let machine = crate::setup::<()>(engine).tail_calls(12).load_all([first, second]).unwrap();
        let names: Vec<String> = machine.code().map(|code| code.to_string()).collect();
        let functions: Vec<&str> =
            names.iter().map(String::as_str).filter(|name| !name.ends_with("exits")).collect();
        match engine {
            Engine::Jit => {
                assert_eq!(functions, ["bpf_prog_0_main", "bpf_prog_0_function_1", "bpf_prog_1_main"]);
            }
            _ => assert!(names.is_empty()),
        }
        assert!(machine.code().all(|code| code.address != 0 && code.len != 0));
    });
}

/// What a call of `probe` got, as text.
fn probed(engine: Engine, params: &'static [Param], text: &str) -> Result<String, Stop> {
    let probe = Helper::new("probe", params, |seen: &mut String, args: &Args<'_>| {
        for (position, param) in params.iter().enumerate() {
            *seen += &match param {
                Param::Int | Param::Len => format!("{} ", args.int(position)),
                _ if args.is_null(position) => "null ".to_owned(),
                _ => format!("{:?} ", args.copy(position)?),
            };
        }
        Ok(0)
    });
    let setup = crate::setup(engine).helper(1, probe);
    let program = setup.assemble(&format!("{text}\ncall probe\nr0 = 0\nexit")).unwrap();
    let mut cpu = Cpu::default();
    setup.load(program).unwrap().run(&mut cpu, Input::Memory(&mut [1, 2, 3, 0, 5, 6]))?;
    Ok(cpu.into_state())
}

#[test]
fn memory_arrives_as_bytes() {
    const READ: &[Param] = &[Param::READ, Param::Len];
    each(|engine| {
        let gets = |params, text, want: &str| {
            assert_eq!(probed(engine, params, text).as_deref(), Ok(want), "{text}");
        };
        gets(READ, "r2 = 2", "[1, 2] 2 ");
        gets(READ, "r2 = 6", "[1, 2, 3, 0, 5, 6] 6 ");
        gets(READ, "r2 = 0\nr1 = 0", "[] 0 ");
        gets(READ, "*(u16 *)(r10 - 2) = 0x0101\nr1 = r10\nr1 += -2\nr2 = 2", "[1, 1] 2 ");
        gets(&[Param::Int, Param::READ, Param::Len], "r3 = 1\nr2 = r1\nr1 = 9", "9 [1] 1 ");
        gets(&[Param::Fixed(skep_machine::Lend::Read, 3)], "r1 += 1", "[2, 3, 0] ");
        gets(&[Param::Str(9)], "r1 += 1", "[2, 3] ");
        gets(&[Param::Str(3)], "r1 += 1", "[2, 3] ");
        gets(&[Param::Str(9)], "r1 += 3", "[] ");
        gets(&[Param::Str(9)], "r1 = 0", "null ");
    });
}

#[test]
fn an_argument_that_cannot_be_used_stops_the_run() {
    const READ: &[Param] = &[Param::READ, Param::Len];
    each(|engine| {
        let refused = |params, text: &str| {
            let stop = probed(engine, params, text).unwrap_err();
            is(&stop, text.lines().count() as u32, StopKind::BadArgument);
            assert!(stop.to_string().contains("argument 1 of probe"), "{stop}");
        };
        refused(READ, "r2 = 7");
        refused(READ, "r2 = -1");
        refused(READ, "r1 += 5\nr2 = 2");
        refused(READ, "r1 = 0\nr2 = 1");
        refused(READ, "r1 = r10\nr2 = 1");
        refused(&[Param::Fixed(skep_machine::Lend::Read, 7)], "r2 = 0");
        refused(&[Param::Str(2)], "r2 = 0");
        refused(&[Param::Str(9)], "r1 += 4");
    });
}

#[test]
fn what_a_helper_writes_the_program_reads() {
    each(|engine| {
        let fill = Helper::new("fill", &[Param::WRITE, Param::Len], |_: &mut (), args: &Args<'_>| {
            args.bytes(0).fill(9);
            Ok(args.bytes(0).len() as u64)
        });
        let setup = crate::setup(engine).helper(1, fill);
        // Over a pointer that was kept there, too.
        let text =
            "*(u64 *)(r10 - 8) = r1\nr1 = r10\nr1 += -8\nr2 = 8\ncall fill\nr0 = *(u64 *)(r10 - 8)\nexit";
        let program = setup.assemble(text).unwrap();
        let found = setup.load(program).unwrap().run(&mut Cpu::default(), Input::Memory(&mut [0]));
        assert_eq!(found, Ok(0x0909_0909_0909_0909));
    });
}

#[test]
fn read_only_memory_is_not_lent_for_writing() {
    each(|engine| {
        let mut table = [1; 4];
        let table = skep_machine::Bytes::from_mut(&mut table);
        let setup = crate::setup::<()>(engine).read_only_memory(table).helper(1, helpers::memfrob());
        let text = format!("r1 = {:#x} ll\nr2 = 4\ncall memfrob\nexit", table.addr());
        let program = setup.assemble(&text).unwrap();
        let stop = setup.load(program).unwrap().run(&mut Cpu::default(), Input::None).unwrap_err();
        is(&stop, 3, StopKind::BadArgument);
    });
}

#[test]
fn a_helper_may_end_the_run() {
    each(|engine| {
        let end = |how: HelperEnd| {
            let helper = Helper::numbers("end", move |_: &mut (), _| Err(how));
            let setup = crate::setup(engine).helper(1, helper);
            let program = setup.assemble("call f\nr0 = 1\nexit\nf: call end\nr0 = 2\nexit").unwrap();
            setup.load(program).unwrap().run(&mut Cpu::default(), Input::None)
        };
        assert_eq!(end(HelperEnd::Unwind(77)), Ok(77));
        let stop = end(HelperEnd::Fail("no more")).unwrap_err();
        is(&stop, 3, StopKind::Helper);
        assert_eq!(stop.to_string(), "instruction 3: end: no more");
        let stop = end(HelperEnd::Argument(2)).unwrap_err();
        is(&stop, 3, StopKind::BadArgument);
        assert!(stop.to_string().contains("argument 3 of end"), "{stop}");
    });
}

#[test]
fn helpers_are_charged_for_the_memory_that_they_get() {
    each(|engine| {
        let setup = crate::setup::<()>(engine).helper(1, helpers::memfrob());
        let program = setup.assemble("call memfrob\nexit").unwrap();
        let machine = setup.load(program).unwrap();
        let spent = |bytes: usize| {
            let mut cpu = Cpu::new(()).with_fuel(1_000_000);
            machine.run(&mut cpu, Input::Memory(&mut vec![0; bytes])).unwrap();
            1_000_000 - cpu.fuel().left()
        };
        assert_eq!(spent(8000) - spent(0), 1000);
        let mut cpu = Cpu::new(()).with_fuel(100);
        let stop = machine.run(&mut cpu, Input::Memory(&mut vec![0; 8000])).unwrap_err();
        assert_eq!(stop.kind(), StopKind::Fuel);
    });
}

/// A clock, random numbers and a log that a test sees through.
#[derive(Default)]
struct Surroundings {
    now: Cell<u64>,
    lines: RefCell<String>,
}

struct Shared(Mutex<Surroundings>);

impl Clock for Shared {
    fn monotonic_ns(&self) -> u64 {
        let surroundings = self.0.lock().unwrap();
        surroundings.now.set(surroundings.now.get() + 5);
        surroundings.now.get()
    }
}

impl Random for Shared {
    fn next_u32(&self) -> u32 {
        self.0.lock().unwrap().now.get() as u32
    }
}

impl Trace for Shared {
    fn message(&self, text: &[u8]) {
        *self.0.lock().unwrap().lines.borrow_mut() += &String::from_utf8_lossy(text);
    }
}

/// Calls a ready helper with five numbers.
fn ready(engine: Engine, helper: Helper<'static, Shared>, args: [u64; 5]) -> (Result<u64, Stop>, String) {
    let setup = crate::setup(engine).helper(1, helper);
    let mut text: String = args.iter().zip(1..).map(|(arg, reg)| format!("r{reg} = {arg:#x} ll\n")).collect();
    text += "call 1\nexit";
    let program = setup.assemble(&text).unwrap();
    let mut cpu = Cpu::new(Shared(Mutex::default()));
    let found = setup.load(program).unwrap().run(&mut cpu, Input::None);
    let lines = cpu.state().0.lock().unwrap().lines.take();
    (found, lines)
}

#[test]
fn the_ready_helpers_do_what_their_table_says() {
    each(|engine| {
        let number = |helper, args| ready(engine, helper, args).0;
        assert_eq!(number(helpers::gather_bytes(), [0x11, 0x22, 0x33, 0x44, 0x55]), Ok(0x11_2233_4455));
        assert_eq!(number(helpers::gather_bytes(), [u64::MAX, 0, 0, 0, 0]), Ok(u64::MAX << 32));
        for (of, root) in [(0, 0), (15, 3), (16, 4), (u64::MAX, 0xffff_ffff), ((1 << 53) + 1, 94_906_265)] {
            assert_eq!(number(helpers::sqrti(), [of, 0, 0, 0, 0]), Ok(root));
        }
        assert_eq!(number(helpers::time(), [0; 5]), Ok(5));
        assert_eq!(number(helpers::unwind(), [3, 0, 0, 0, 0]), Ok(3));
        assert_eq!(number(helpers::unwind(), [0; 5]), Ok(0));
        assert_eq!(number(helpers::rand(), [3, 3, 0, 0, 0]), Ok(0));
        assert_eq!(number(helpers::rand(), [3, 9, 0, 0, 0]), Ok(3));
        assert_eq!(number(helpers::rand(), [0, u64::MAX, 0, 0, 0]), Ok(0));
        let line = "bpf_trace_printf: 0x1, 0x0, 0xffffffffffffffff\n";
        assert_eq!(
            ready(engine, helpers::trace_printf(), [9, 9, 1, 0, u64::MAX]),
            (Ok(line.len() as u64), line.to_owned())
        );
    });
}

#[test]
fn only_zero_unwinds() {
    each(|engine| {
        let run = |argument: i32| {
            let setup = crate::setup::<()>(engine).helper(5, helpers::unwind());
            let text = format!("r1 = {argument}\ncall unwind\nr0 = 2\nexit");
            let program = setup.assemble(&text).unwrap();
            setup.load(program).unwrap().run(&mut Cpu::default(), Input::None)
        };
        assert_eq!((run(-1), run(0)), (Ok(2), Ok(0)));
    });
}

#[test]
fn strings_are_compared_to_their_end() {
    each(|engine| {
        let compare = |a: &str, b: &str| {
            let setup = crate::setup::<()>(engine).helper(1, helpers::strcmp());
            let text = format!("r2 = r1\nr2 += {}\ncall strcmp\nexit", a.len() + 1);
            let program = setup.assemble(&text).unwrap();
            let mut memory = format!("{a}\0{b}\0").into_bytes();
            setup.load(program).unwrap().run(&mut Cpu::default(), Input::Memory(&mut memory))
        };
        assert_eq!(compare("abc", "abc"), Ok(0));
        assert_eq!(compare("abc", "abe"), Ok(2));
        assert_eq!(compare("abe", "abc"), Ok(2));
        assert_eq!(compare("", "a"), Ok(97));
        assert_eq!(compare("ab", "abc"), Ok(99));
        assert_eq!(compare("", ""), Ok(0));
        let null = ready(engine, helpers::strcmp(), [0; 5]).0;
        assert_eq!(null, Ok(u64::MAX));
    });
}

/// Runs what panics, and gives the message.
#[cfg(not(miri))]
fn panic_of<T>(run: impl FnOnce() -> T) -> String {
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    let payload = caught.err().expect("a panic");
    (*payload.downcast::<&str>().expect("a message")).to_owned()
}

#[test]
#[cfg(not(miri))]
fn a_panic_comes_through() {
    each(|engine| {
        let bad = Helper::numbers("bad", |calls: &mut u32, [how, ..]| {
            *calls += 1;
            if how == 1 { panic!("no such thing") } else { Ok(how) }
        });
        let setup = crate::setup(engine).helper(1, bad);
        let machine = setup.load(program("r1 = *(u8 *)(r1 + 0)\ncall 1\nr6 = r0\ncall 1\nexit")).unwrap();
        let mut cpu = Cpu::new(0).with_fuel(1000);
        let mut memory = [1];
        let panic = panic_of(|| machine.run(&mut cpu, Input::Memory(&mut memory)));
        assert_eq!((panic.as_str(), *cpu.state()), ("no such thing", 1));
        // Afterwards all is as ever.
        memory[0] = 5;
        assert_eq!(machine.run(&mut cpu, Input::Memory(&mut memory)), Ok(0));
        assert_eq!(*cpu.state(), 3);
        assert!(cpu.fuel().left() > 900);
    });
}

#[test]
#[cfg(not(miri))]
fn a_panic_comes_through_functions_that_helpers_call() {
    each(|engine| {
        let bad = Helper::numbers("bad", |_: &mut u32, _| panic!("deep inside"));
        let twice = Helper::calling("twice", &[Param::Function], |run, args| {
            let function = args.function(0).ok_or(HelperEnd::Argument(0))?;
            *run.state() += 1;
            let _ = run.call(function, [0; 5]);
            run.call(function, [0; 5])
        });
        let setup = crate::setup(engine).helper(1, bad).helper(2, twice);
        let program = setup.assemble("r1 = subprog[f] ll\ncall twice\nexit\nf: call bad\nexit").unwrap();
        let machine = setup.load(program).unwrap();
        let mut cpu = Cpu::new(0).with_fuel(1000);
        assert_eq!(panic_of(|| machine.run(&mut cpu, Input::None)), "deep inside");
        assert_eq!(*cpu.state(), 1);
    });
}
