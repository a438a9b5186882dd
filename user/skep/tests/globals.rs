//! Global variables, before the load and after.

mod common;

use common::{Held, linux, object, packet};
use skep::{ErrorKind, Literal, TestRun};

#[test]
fn they_are_set_by_name_before_any_kernel_is_asked() {
    let mut firewall = object("examples/xdp-firewall/xdp_firewall");
    assert_eq!(firewall.global("limit_packets").unwrap().as_int(), Some(16));
    firewall.set_global("limit_packets", "3").unwrap();
    firewall.set_global("use_ktime", "true").unwrap();
    firewall.set_global("blocked_default[1]", "0x0a000001").unwrap();
    firewall.set_global_to("window_ns", Literal::Int(1_000)).unwrap();
    assert_eq!(firewall.global("limit_packets").unwrap().as_int(), Some(3));
    assert_eq!(firewall.global("use_ktime").unwrap().as_int(), Some(1));
    assert_eq!(firewall.global("blocked_default[1]").unwrap().as_int(), Some(0x0a00_0001));
    assert_eq!(firewall.global("blocked_default[0]").unwrap().as_int(), Some(0x0a4d_0001));
    assert_eq!(firewall.global("window_ns").unwrap().as_int(), Some(1_000));
}

#[test]
fn what_does_not_fit_is_refused_by_name_and_changes_nothing() {
    let mut firewall = object("examples/xdp-firewall/xdp_firewall");
    let before = format!("{:?}", firewall.map(".rodata").unwrap());
    for (path, text) in
        [("limit_packets", "-1"), ("limit_packets", "many"), ("use_ktime", "2"), ("window_ns", "1.5")]
    {
        let error = firewall.set_global(path, text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Setting, "{error}");
        assert_eq!(error.place().variable.as_deref(), Some(path));
    }
    let error = firewall.set_global("no_such", "1").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(firewall.set_global("blocked_default[8]", "1").is_err());
    assert!(firewall.set_global_bytes("limit_packets", &[1, 2]).is_err());
    assert_eq!(format!("{:?}", firewall.map(".rodata").unwrap()), before);
}

#[test]
fn constants_reach_the_program_and_are_frozen() {
    let Some(turn) = linux("constants_reach_the_program_and_are_frozen") else { return };
    let before = Held::now();
    let mut globals = object("lab/vectors/data/globals");
    globals.set_global("in_rodata", "5").unwrap();
    let loaded = globals.load(&turn.kernel).unwrap();
    let line = loaded.program("reads").unwrap().test_run(&TestRun::packet(&packet())).unwrap().retval;
    assert_ne!(line, 0, "the program must see the other value");
    let constant = loaded.global("in_rodata").unwrap();
    assert_eq!(constant.value().unwrap().as_int(), Some(5));
    let error = constant.set("6").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission, "{error}");
    assert_eq!(constant.value().unwrap().as_int(), Some(5));
    drop(loaded);
    assert_eq!(Held::left_since(&before), "");
}

#[test]
fn variables_are_shared_with_the_running_program() {
    let Some(turn) = linux("variables_are_shared_with_the_running_program") else { return };
    let before = Held::now();
    let loaded = object("lab/vectors/data/globals").load(&turn.kernel).unwrap();
    let run = || loaded.program("reads").unwrap().test_run(&TestRun::packet(&packet())).unwrap().retval;
    assert_eq!(run(), 0);
    for (path, other) in [
        ("in_data", "7"),
        ("hidden_data", "9"),
        ("points[2].y", "11"),
        ("custom_data", "1"),
        ("static_data", "3"),
        ("in_bss", "1"),
        ("custom_bss", "2"),
    ] {
        let variable = loaded.global(path).unwrap();
        let original = variable.bytes().unwrap();
        variable.set(other).unwrap();
        assert_eq!(variable.value().unwrap().to_string(), other, "{path}");
        assert_ne!(run(), 0, "{path}");
        variable.set_bytes(&original).unwrap();
        assert_eq!(run(), 0, "{path}");
    }
    assert_eq!(loaded.global("points[1].x").unwrap().value().unwrap().as_int(), Some(3));
    assert_eq!(loaded.global("origin").unwrap().value().unwrap().to_string(), "{x: 0, y: 0}");
    assert_eq!(loaded.global("nothing").unwrap_err().kind(), ErrorKind::NotFound);
    drop(loaded);
    assert_eq!(Held::left_since(&before), "");
}
