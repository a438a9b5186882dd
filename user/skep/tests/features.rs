//! What kernels can do: the running one, one whose calls fail, and the embedded one.

mod common;

use common::{Held, linux, running};
use skep::sys::{Fault, Faulty, On, With};
use skep::{Errno, Error, ErrorKind, Feature, FuncId, Kernel, Known, MapType, ProgType};
use std::sync::Arc;

fn all() -> impl Iterator<Item = Feature> {
    Feature::named().chain(Feature::prog_types()).chain(Feature::map_types())
}

/// What a kernel of any release may have been built without.
const BY_CONFIGURATION: &[Feature] = &[
    Feature::ProgType(ProgType::LIRC_MODE2),
    Feature::ProgType(ProgType::NETFILTER),
    Feature::ProgType(ProgType::LSM),
    Feature::SyscallWrapper,
];

#[test]
fn the_running_kernel_has_what_its_release_brought() {
    let Some(turn) = linux("the_running_kernel_has_what_its_release_brought") else { return };
    let before = Held::now();
    for feature in all().filter(|feature| !BY_CONFIGURATION.contains(feature)) {
        let since = feature.since().expect("a release");
        let is_due = (since.major.into(), since.minor.into()) <= running();
        match turn.kernel.has(feature) {
            Ok(has) => assert_eq!(has, is_due, "{feature} is since {since}, on {:?}", running()),
            // A machine may forbid programs that reach into the kernel.
            Err(error) => assert_eq!(error.kind(), ErrorKind::Permission, "{error}"),
        }
    }
    assert_eq!(Held::left_since(&before), "");
}

#[test]
fn helpers_are_told_apart_by_type() {
    let Some(turn) = linux("helpers_are_told_apart_by_type") else { return };
    let has = |kind, id| turn.kernel.has(Feature::Helper(kind, id)).unwrap();
    assert!(has(ProgType::XDP, FuncId::KTIME_GET_NS), "no arguments");
    assert!(has(ProgType::XDP, FuncId::MAP_LOOKUP_ELEM), "arguments that are not there");
    assert!(has(ProgType::XDP, FuncId::XDP_ADJUST_HEAD));
    assert!(!has(ProgType::SOCKET_FILTER, FuncId::XDP_ADJUST_HEAD), "of another type");
    assert!(!has(ProgType::XDP, FuncId(9999)), "there is none");
    let error = turn.kernel.has(Feature::Helper(ProgType::TRACING, FuncId::KTIME_GET_NS)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

/// A kernel whose calls are counted, and fail as planned.
fn faulty(inner: &Kernel) -> (Arc<Faulty>, Kernel) {
    let faulty = Arc::new(Faulty::new(inner.sys()));
    (Arc::clone(&faulty), Kernel::from(skep::sys::Kernel::from_arc(faulty)))
}

#[test]
fn a_kernel_is_asked_once() {
    let Some(turn) = linux("a_kernel_is_asked_once") else { return };
    let (faulty, kernel) = faulty(&turn.kernel);
    assert_eq!(kernel.known(Feature::GlobalData), Known::Unknown);
    assert!(kernel.has(Feature::GlobalData).unwrap());
    let calls = faulty.names().len();
    assert_ne!(calls, 0);
    let other = kernel.clone();
    assert!(other.has(Feature::GlobalData).unwrap());
    assert_eq!((kernel.known(Feature::GlobalData), faulty.names().len()), (Known::There, calls));
    assert!(!kernel.has(Feature::MapType(MapType(9999))).unwrap());
    assert_eq!(kernel.known(Feature::MapType(MapType(9999))), Known::Missing);
}

#[test]
fn a_load_that_succeeds_asks_nothing() {
    let Some(turn) = linux("a_load_that_succeeds_asks_nothing") else { return };
    let (faulty, kernel) = faulty(&turn.kernel);
    let loaded = common::object("examples/xdp-firewall/xdp_firewall").load(&kernel).unwrap();
    assert!(all().all(|feature| kernel.known(feature) == Known::Unknown));
    let calls = faulty.names();
    let programs = calls.iter().filter(|name| **name == "BPF_PROG_LOAD").count();
    assert_eq!(programs, loaded.programs().len(), "{calls:?}");
}

/// Fails each call of a question, and each by its name: it is an error that says so, or an answer, and nothing is left.
#[test]
fn a_question_that_fails_is_no_answer() {
    const OTHERS: [Errno; 4] = [Errno::EPERM, Errno::ENOMEM, Errno::EMFILE, Errno::EIO];
    let Some(turn) = linux("a_question_that_fails_is_no_answer") else { return };
    let before = Held::now();
    let helper = Feature::Helper(ProgType::XDP, FuncId::KTIME_GET_NS);
    let mut failures = 0;
    for feature in all().chain([helper]) {
        let (counted, kernel) = faulty(&turn.kernel);
        let whole = kernel.has(feature);
        if whole.as_ref().is_err_and(|error| error.kind() == ErrorKind::Permission) {
            continue;
        }
        // The symbols are megabytes of reads, all alike.
        for (nth, call) in counted.names().into_iter().enumerate().take(8) {
            for errno in OTHERS {
                let (struck, kernel) = faulty(&turn.kernel);
                struck.plan(Fault { on: On::Nth(nth as u64), with: With::Errno(errno) });
                let answer = kernel.has(feature);
                if call == "close" {
                    continue;
                }
                // What multi-uprobes are refused with the second time is one answer or the other.
                if feature == Feature::UprobeMulti && answer.is_ok() {
                    continue;
                }
                // Before Linux 5.11 it stands for too little memory that may be locked, which is raised then.
                if errno == Errno::EPERM && answer.is_ok() && running() < (5, 11) {
                    continue;
                }
                failures += 1;
                let error: Error = answer.err().unwrap_or_else(|| panic!("{feature}: {call} {errno}"));
                assert_eq!(error.errno(), Some(errno), "{feature}: {call}: {error}");
                assert_eq!(error.place().feature.as_deref(), Some(&*feature.name()), "{error}");
                assert_eq!(kernel.known(feature), Known::Unknown, "{feature}");
                // And the next time it is asked again.
                assert_eq!(kernel.has(feature).ok(), whole.as_ref().ok().copied(), "{feature}");
            }
        }
    }
    assert!(failures > 300, "{failures}");
    assert_eq!(Held::left_since(&before), "");
}

#[cfg(feature = "embedded")]
#[test]
fn the_embedded_kernel_can_be_asked_everything() {
    use skep::embedded::{Config, Embedded};
    let embedded = Embedded::new(Config::new()).unwrap();
    let kernel = Kernel::from_sys(embedded.clone());
    let mut there = 0;
    for feature in all() {
        match kernel.has(feature) {
            Ok(has) => there += u32::from(has),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(there > 40, "{there}");
    for named in [Feature::ProgName, Feature::GlobalData, Feature::Btf, Feature::ArrayMmap, Feature::Links] {
        assert!(kernel.has(named).unwrap(), "{named}");
    }
    assert!(kernel.has(Feature::Helper(ProgType::XDP, FuncId::KTIME_GET_NS)).unwrap());
    assert_eq!((embedded.open_descriptors(), embedded.page_bytes()), (0, 0), "something is left");
}
