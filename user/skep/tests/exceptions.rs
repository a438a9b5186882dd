//! Programs that throw.

mod common;

use common::{linux, object, packet, running};
use skep::{ErrorKind, TestRun, Value};

const STEM: &str = "lab/vectors/code/exceptions";

#[test]
fn a_callback_is_linked_for_its_tag() {
    let object = object(STEM);
    let functions = |name: &str| {
        let program = object.program(name).unwrap();
        program.functions.iter().map(|function| function.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(functions("tagged"), ["tagged", "caught", "double_of"]);
    assert_eq!(functions("untagged"), ["untagged"]);
    assert_eq!(functions("dangling"), ["dangling"]);
    let tagged = object.program("tagged").unwrap();
    assert_eq!(tagged.exception_callback, Some(tagged.functions[1].start));
    assert_eq!(object.program("untagged").unwrap().exception_callback, None);
}

#[test]
fn what_is_thrown_is_caught() {
    let Some(turn) = linux("what_is_thrown_is_caught") else { return };
    if running() < (6, 7) || !cfg!(target_arch = "x86_64") {
        println!("skipped: what_is_thrown_is_caught: no exceptions before 6.7, and on other machines");
        return;
    }
    let loaded = object(STEM).load(&turn.kernel).unwrap_or_else(|error| panic!("{error:?}"));
    let packet = packet();
    let run = |name: &str| loaded.program(name).unwrap().test_run(&TestRun::packet(&packet)).unwrap().retval;
    assert_eq!((run("tagged"), run("untagged")), (1, 2));
    loaded.global("thrown").unwrap().set("21").unwrap();
    assert_eq!((run("tagged"), run("untagged")), (42, 21));
    assert_eq!(loaded.global("seen").unwrap().value().unwrap(), Value::Unsigned(21));

    let mut dangling = object(STEM);
    dangling.only_program("dangling").unwrap();
    let error = dangling.load(&turn.kernel).unwrap_err();
    assert_eq!((error.kind(), error.place().program.as_deref()), (ErrorKind::Rejected, Some("dangling")));
    assert!(error.to_string().contains("exception"), "{error}");
}
