//! Objects that do not say everything: what a kernel, its machine or the application has to add, and what is left out.

mod common;

use common::{Held, linux, object, packet, running};
use skep::{Autocreate, Autoload, ErrorKind, Loaded, Object, ProgType, TestRun};

/// What the programs of `data/kconfig` expect.
const OPTIONS: &str = "# as a distribution writes it\n\
    CONFIG_TEST_FLAG=y\n\
    CONFIG_TEST_MODULE=m\n\
    # CONFIG_TEST_ABSENT is not set\n\
    CONFIG_TEST_LETTER=m\n\
    CONFIG_TEST_TEXT=\"of honey\"\n\
    CONFIG_TEST_HEX=0xffff\n\
    CONFIG_TEST_NEGATIVE=-3\n\
    CONFIG_TEST_WIDE=-1\n";

fn run(loaded: &Loaded, program: &str) -> u32 {
    let packet = packet();
    let run = loaded.program(program).and_then(|program| program.test_run(&TestRun::packet(&packet)));
    run.unwrap_or_else(|error| panic!("{error:?}")).retval
}

fn configured(options: &str) -> Object {
    let mut object = object("lab/vectors/data/kconfig");
    object.set_kconfig(options).unwrap();
    object
}

#[test]
fn a_configuration_is_what_the_caller_says() {
    let Some(turn) = linux("a_configuration_is_what_the_caller_says") else { return };
    let before = Held::now();
    let loaded = configured(OPTIONS).load(&turn.kernel).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(run(&loaded, "values"), 0);
    drop(loaded);
    assert_eq!(Held::left_since(&before), "");
}

#[test]
fn an_option_that_is_needed_and_not_there_is_named() {
    let Some(turn) = linux("an_option_that_is_needed_and_not_there_is_named") else { return };
    let name = "CONFIG_TEST_WIDE";
    let without: String =
        OPTIONS.lines().filter(|line| !line.starts_with(name)).map(|l| format!("{l}\n")).collect();
    let error = configured(&without).load(&turn.kernel).unwrap_err();
    assert_eq!(
        (error.kind(), error.place().variable.as_deref()),
        (ErrorKind::Unsupported, Some(name)),
        "{error}"
    );
    // The same of a variable that a program needs only if it is loaded.
    let mut all = configured(OPTIONS);
    all.program_mut("others").unwrap().set_autoload(Autoload::Yes);
    let error = all.load(&turn.kernel).unwrap_err();
    assert!(error.to_string().contains("CONFIG_TEST_ONLY_FOR_OTHERS"), "{error}");
    all.set_kconfig(&format!("{OPTIONS}CONFIG_TEST_ONLY_FOR_OTHERS=7\n")).unwrap();
    assert_eq!(run(&all.load(&turn.kernel).unwrap(), "others"), 0);
}

#[test]
fn a_value_that_its_variable_cannot_hold_is_refused() {
    let Some(turn) = linux("a_value_that_its_variable_cannot_hold_is_refused") else { return };
    for (name, value) in [
        ("CONFIG_TEST_FLAG", "m"),
        ("CONFIG_TEST_FLAG", "1"),
        ("CONFIG_TEST_MODULE", "2"),
        ("CONFIG_TEST_LETTER", "300"),
        ("CONFIG_TEST_TEXT", "y"),
        ("CONFIG_TEST_HEX", "0x10000"),
        ("CONFIG_TEST_NEGATIVE", "2147483648"),
        ("CONFIG_TEST_WIDE", "\"1\""),
    ] {
        let error = configured(&format!("{name}={value}\n{OPTIONS}")).load(&turn.kernel).unwrap_err();
        assert_eq!(error.place().variable.as_deref(), Some(name), "{error}");
        assert!(error.to_string().contains("cannot hold"), "{error}");
    }
    for line in ["CONFIG_X", "X=1", "CONFIG_X=maybe", "CONFIG_X=\"open"] {
        let error = object("lab/vectors/data/kconfig").set_kconfig(line).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Setting, "{error}");
    }
}

#[test]
fn the_kernels_own_configuration_is_found() {
    let Some(turn) = linux("the_kernels_own_configuration_is_found") else { return };
    let loaded =
        object("lab/vectors/data/externs").load(&turn.kernel).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(run(&loaded, "externs"), 0);
    let kconfig = loaded.map(".kconfig").unwrap().lookup(&[0; 4]).unwrap().unwrap();
    let (major, minor) = running();
    let mut words = kconfig.chunks_exact(4).map(|word| u32::from_ne_bytes(word.try_into().unwrap()));
    assert!(words.any(|word| word >> 8 == major << 8 | minor), "{kconfig:?}");
}

#[test]
fn sizes_that_the_object_leaves_open_are_filled_in() {
    let Some(turn) = linux("sizes_that_the_object_leaves_open_are_filled_in") else { return };
    let before = Held::now();
    let mut object = object("lab/vectors/maps/sizes");
    let loaded = object.load(&turn.kernel).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(run(&loaded, "sized"), 0);
    let cpus = turn.kernel.sys().possible_cpus().unwrap();
    for map in ["events", "cpus"] {
        assert_eq!(loaded.map(map).unwrap().max_entries().unwrap(), cpus, "{map}");
    }
    assert_eq!(loaded.map("ring").unwrap().max_entries().unwrap(), 8192);
    // What nobody has said, and nobody needs, is left out, and named.
    for name in ["map chosen", "map unused", "program of_no_type"] {
        assert!(
            loaded.notes().iter().any(|note| note.to_string().starts_with(name)),
            "{name}: {:?}",
            loaded.notes()
        );
    }
    assert_eq!(loaded.notes().len(), 3);
    assert_eq!(loaded.programs().len(), 1);

    drop(loaded);

    // Somebody needs it.
    object.program_mut("by_choice").unwrap().set_autoload(Autoload::Yes);
    let error = object.load(&turn.kernel).unwrap_err();
    assert_eq!(error.place().map.as_deref(), Some("chosen"));
    assert!(error.to_string().contains("set_max_entries"), "{error}");
    object.map_mut("chosen").unwrap().set_max_entries(10).unwrap();
    object.program_mut("of_no_type").unwrap().set_type(ProgType::XDP);
    let loaded = object.load(&turn.kernel).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!((run(&loaded, "by_choice"), run(&loaded, "of_no_type")), (0, 0));
    drop(loaded);
    assert_eq!(Held::left_since(&before), "");
}

#[test]
fn a_map_that_is_not_made_is_missed_only_where_it_is_used() {
    let Some(turn) = linux("a_map_that_is_not_made_is_missed_only_where_it_is_used") else { return };
    let mut object = object("lab/vectors/maps/sizes");
    object.map_mut("chosen").unwrap().set_autocreate(Autocreate::No);
    object.only_program("without_map").unwrap();
    let loaded = object.load(&turn.kernel).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(run(&loaded, "without_map"), 0);
    assert_eq!(loaded.map("chosen").unwrap_err().kind(), ErrorKind::NotFound);
    object.only_program("by_choice").unwrap();
    let error = object.load(&turn.kernel).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.to_string().contains("unknown#200100000"), "{error}");
}

#[test]
fn a_program_of_no_type_is_refused_where_it_is_asked_for() {
    let Some(turn) = linux("a_program_of_no_type_is_refused_where_it_is_asked_for") else { return };
    let mut object = object("lab/vectors/maps/sizes");
    let error = object.only_program("of_no_type").unwrap().load(&turn.kernel).unwrap_err();
    assert_eq!(error.place().program.as_deref(), Some("of_no_type"));
    assert!(error.to_string().contains("set_type"), "{error}");
}
