//! Every shape comes to its number, and counts its runs, on every engine and in both kernels.

use skep_embedded::{Config, Embedded, Engine as KernelEngine};
use skep_lab_shapes::{Attached, InKernel, SHAPES, packet};
use skep_machine::{Code, Cpu, Engine, Input, Level, Setup};

/// Runs that a machine and a kernel make.
const RUNS: u32 = 1000;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
const CODE: Option<&dyn Code> = Some(&skep_embedded::CodePages);
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
const CODE: Option<&dyn Code> = None;

fn setup<'m>(engine: Engine, level: Level) -> Setup<'m, ()> {
    match CODE {
        Some(code) => Setup::new().code(code),
        None => Setup::new(),
    }
    .engine(engine)
    .level(level)
}

#[test]
fn machines_come_to_it() {
    let kernel = Embedded::new(Config::new()).unwrap();
    for shape in SHAPES {
        for engine in Engine::ALL.into_iter().filter(|engine| *engine != Engine::Jit || CODE.is_some()) {
            for level in [Level::O0, Level::O] {
                let attached = Attached::new(shape, kernel.as_host()).unwrap();
                let machine = attached.machine(setup(engine, level)).unwrap();
                let mut packet = packet();
                for _ in 0..RUNS {
                    let result = machine.run(&mut Cpu::default(), Input::Memory(&mut packet));
                    assert_eq!(result, Ok(u64::from(shape.result)), "{} on {engine:?}", shape.name);
                }
                let counted = shape.counter.map(|_| u64::from(RUNS));
                assert_eq!(attached.counted(), Ok(counted), "{} on {engine:?}", shape.name);
            }
        }
    }
}

#[test]
fn machines_refuse_packets_that_are_cut_off() {
    let kernel = Embedded::new(Config::new()).unwrap();
    for shape in SHAPES.iter().filter(|shape| !["pass", "counter", "loop"].contains(&shape.name)) {
        let attached = Attached::new(shape, kernel.as_host()).unwrap();
        let machine = attached.machine(setup(Engine::Exact, Level::O0)).unwrap();
        for len in 1..42 {
            let mut cut = packet()[..len].to_vec();
            let result = machine.run(&mut Cpu::default(), Input::Memory(&mut cut));
            assert_eq!(result, Ok(0), "{} with {len} bytes", shape.name);
        }
    }
}

/// Runs every shape in an embedded kernel, and says what has run it.
fn in_kernel(engine: KernelEngine) {
    let embedded = Embedded::new(Config::new().engine(engine)).unwrap();
    let kernel = skep::Kernel::from_sys(embedded.clone());
    for shape in SHAPES {
        let loaded = InKernel::new(shape, &kernel).unwrap_or_else(|error| panic!("{}: {error}", shape.name));
        assert_eq!(loaded.run(RUNS), Ok(shape.result), "{}", shape.name);
        assert_eq!(loaded.counted(), Ok(shape.counter.map(|_| u64::from(RUNS))), "{}", shape.name);
        let engines: Vec<_> =
            loaded.programs().unwrap().into_iter().map(|id| embedded.engine_of(id)).collect();
        assert!(engines.iter().all(|found| *found == Ok(engine)), "{} on {engines:?}", shape.name);
    }
}

#[test]
fn the_embedded_kernel_comes_to_it_on_the_reference_machine() {
    in_kernel(KernelEngine::Exact);
}

#[test]
fn the_embedded_kernel_comes_to_it_verified_on_the_interpreter() {
    in_kernel(KernelEngine::Interpreter);
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn the_embedded_kernel_comes_to_it_verified_on_the_jit() {
    in_kernel(KernelEngine::Jit);
}
