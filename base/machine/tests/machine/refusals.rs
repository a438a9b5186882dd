//! What is not loaded.

use crate::{each, program};
use skep_machine::{AtMost, Engine, Helper, NoLoops, Param, Program, Refusal, Setup, SetupErrorKind};
use std::cell::Cell;

/// Checks that a program is refused on an instruction, and what is said.
#[track_caller]
fn refused(text: &str, want: &str) {
    each(|engine| {
        let error = crate::setup::<()>(engine).load(program(text)).unwrap_err();
        assert_eq!(error.to_string(), want);
    });
}

#[test]
fn what_no_engine_runs_is_refused_by_name() {
    refused("r0 = 0\ncall 99\nexit", "instruction 1: helper 99 is not known here");
    refused("r10 = 5\nexit", "instruction 0: the frame pointer r10 is read-only");
    refused("r0 = 0\nr10 += 5\nexit", "instruction 1: the frame pointer r10 is read-only");
    refused("r1 = map[fd:3] ll\nr0 = 0\nexit", "instruction 0: the map is not known here");
    refused("r1 = 0\ncallx r1\nexit", "instruction 1: a call through a register is not supported here");
    refused("r0 = *(u8 *)skb[3]\nexit", "instruction 0: a packet load of classic BPF is not supported here");
    refused(
        "call kfunc[btf:3, fd:0]\nexit",
        "instruction 0: a call of a kernel function is not supported here",
    );
}

#[test]
fn every_verifier_must_accept() {
    each(|engine| {
        let calls = Cell::new(0);
        let setup = |message: Option<&'static str>| {
            let calls = &calls;
            let count = move |_: &Program| {
                calls.set(calls.get() + 1);
                message.map_or(Ok(()), |message| Err(Refusal::new(message)))
            };
            crate::setup::<()>(engine).verifier(count).verifier(count).verifier(AtMost(2))
        };
        let two = program("r0 = 0\nexit");
        setup(None).load(two.clone()).unwrap();
        assert_eq!(calls.get(), 2);
        let error = setup(None).load(program("r0 = 0\nr0 = 0\nexit")).unwrap_err();
        assert_eq!(error.to_string(), "wanted at most 2 slots, found 3");
        let error = setup(Some("not today")).load(two.clone()).unwrap_err();
        assert_eq!(error.to_string(), "not today");
        assert_eq!(calls.get(), 5, "the first refusal is enough");
        let error = setup(None).load_all([two, program("r0 = 1 ll\nexit")]).unwrap_err();
        assert_eq!(
            (error.program, error.to_string().as_str()),
            (Some(1), "program 1: wanted at most 2 slots, found 3")
        );
    });
}

#[test]
fn a_verifier_cannot_let_anything_in() {
    each(|engine| {
        let anything = |_: &Program| Ok(());
        let error = crate::setup::<()>(engine).verifier(anything).load(program("call 1\nexit")).unwrap_err();
        assert_eq!(error.kind, SetupErrorKind::UnknownHelper { id: 1 });
    });
}

#[test]
fn loops_and_recursion_are_found() {
    each(|engine| {
        let load = |text: &str| {
            let setup = crate::setup::<()>(engine).verifier(NoLoops).register_calls();
            setup.load(program(text)).map(|_| ()).map_err(|error| error.at.unwrap().0)
        };
        assert_eq!(load("r0 = 0\nif r0 == 0 goto out\nr0 = 1\nout: exit"), Ok(()));
        assert_eq!(load("call f\nexit\nf: r0 = 0\nexit"), Ok(()));
        assert_eq!(load("r0 = 0\nagain: r0 += 1\nif r0 != 9 goto again\nexit"), Err(2));
        assert_eq!(load("again: goto again"), Err(0));
        assert_eq!(load("call f\nexit\nf: r0 = 0\ncall f\nexit"), Err(3));
        assert_eq!(load("call f\nexit\nf: call g\nexit\ng: call f\nexit"), Err(4));
        assert_eq!(load("r1 = 0\ncallx r1\nexit"), Err(1));
    });
}

#[test]
fn memory_wants_a_length() {
    each(|engine| {
        let refuse = |params: &'static [Param]| {
            let helper = Helper::new("odd", params, |_: &mut (), _| Ok(0));
            let error = crate::setup(engine).helper(3, helper).load(program("r0 = 0\nexit")).unwrap_err();
            assert_eq!(error.kind, SetupErrorKind::Params { id: 3 });
        };
        refuse(&[Param::READ]);
        refuse(&[Param::READ, Param::Int]);
        refuse(&[Param::Int, Param::Int, Param::Int, Param::Int, Param::WRITE]);
        refuse(&[Param::Int; 6]);
    });
}

#[test]
fn a_function_makes_no_tail_call() {
    each(|engine| {
        let setup = crate::setup::<()>(engine).tail_calls(12);
        let error = setup.load(program("call f\nexit\nf: r3 = 0\ncall 12\nexit")).unwrap_err();
        assert_eq!((error.at.unwrap().0, error.kind), (3, SetupErrorKind::TailCall));
        let setup = crate::setup::<()>(engine).tail_calls(12).register_calls();
        let error = setup.load(program("r1 = 12\ncallx r1\nexit")).unwrap_err();
        assert_eq!(error.at.unwrap().0, 1);
    });
}

#[test]
fn a_machine_has_a_program() {
    each(|engine| {
        let error = crate::setup::<()>(engine).load_all([]).unwrap_err();
        assert_eq!(error.kind, SetupErrorKind::NoProgram);
    });
}

#[test]
fn machine_code_wants_memory() {
    let load = |setup: Setup<'_, ()>| setup.engine(Engine::Jit).load(program("r0 = 0\nexit")).map(|_| ());
    let error = load(Setup::new()).unwrap_err();
    let wanted = match Engine::Jit.is_here() {
        true => SetupErrorKind::NoCodeMemory,
        false => SetupErrorKind::Unsupported { what: "machine code for this processor" },
    };
    assert_eq!(error.kind, wanted);
}
