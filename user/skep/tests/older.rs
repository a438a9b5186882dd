//! Kernels that lack something: what loads do instead, and that they say so. The running kernel and the embedded one are
//! made to lack one thing after the other, and to seem of older releases.

mod common;

use common::{Held, ROOT, linux, object, packet};
use skep::sys::{Hidden, Insns, KernelVersion, Older};
use skep::{
    BtfFeature, Errno, ErrorKind, Feature, FuncId, Instead, Kernel, Known, Loaded, Note, Object, ProgType,
    TestRun, flags,
};
use skep_abi::Cmd;
use skep_btf::Def;

/// One thing that a kernel lacks, and what becomes of an object.
struct Case {
    lacks: &'static [Hidden],
    object: &'static str,
    program: &'static str,
    wanted: (Feature, Instead),
    check: fn(&Loaded),
}

const HELPERS_OF_READS: &[Hidden] =
    &[Hidden::Helper(112), Hidden::Helper(113), Hidden::Helper(114), Hidden::Helper(115)];

static CASES: &[Case] = &[
    Case {
        lacks: &[Hidden::Names],
        object: "lab/vectors/data/globals",
        program: "reads",
        wanted: (Feature::ProgName, Instead::NoName),
        check: |loaded| {
            assert!(loaded.maps().all(|map| map.info().unwrap().name == [0; 16]));
            assert!(loaded.programs().all(|program| program.info().unwrap().name == [0; 16]));
        },
    },
    Case {
        lacks: &[Hidden::MapFlags(flags::BPF_F_MMAPABLE)],
        object: "lab/vectors/data/globals",
        program: "writes",
        wanted: (Feature::ArrayMmap, Instead::NotMapped),
        check: |loaded| {
            assert!(loaded.maps().all(|map| map.info().unwrap().map_flags & flags::BPF_F_MMAPABLE == 0));
            let variable = loaded.global("points[1].y").unwrap();
            variable.set("40").unwrap();
            assert_eq!(variable.value().unwrap().as_int(), Some(40), "by calls");
        },
    },
    Case {
        lacks: &[Hidden::ExpectedAttachType],
        object: "examples/xdp-firewall/xdp_firewall",
        program: "xdp_firewall",
        wanted: (Feature::ExpectedAttachType, Instead::NoAttachType),
        check: |loaded| {
            let output = loaded.program("xdp_firewall").unwrap().test_run(&TestRun::packet(&packet()));
            assert_eq!(output.unwrap().retval, 2);
        },
    },
    Case {
        lacks: HELPERS_OF_READS,
        object: "lab/vectors/helpers/tasks",
        program: "kernel_memory",
        wanted: (Feature::ProbeReadKernel, Instead::ProbeRead),
        check: |loaded| {
            // Kernel memory and strings are read as they should be; only an address of a user is told apart no more.
            let source = common::read(&format!("{ROOT}/lab/vectors/helpers/tasks.bpf.c"));
            let line = source.lines().position(|line| line.contains("NULL) == -34")).unwrap() + 1;
            let run = TestRun::new().with_ctx(&[0; 96]);
            let output = loaded.program("kernel_memory").unwrap().test_run(&run).unwrap();
            assert_eq!(output.retval as usize, line);
        },
    },
    Case {
        lacks: &[Hidden::Command(Cmd::BTF_LOAD)],
        object: "examples/xdp-firewall/xdp_firewall",
        program: "xdp_firewall",
        wanted: (Feature::Btf, Instead::NoTypes),
        check: |loaded| assert!(loaded.maps().all(|map| map.info().unwrap().btf_id == 0)),
    },
    Case {
        lacks: &[Hidden::BtfKind(12), Hidden::BtfKind(13)],
        object: "examples/xdp-firewall/xdp_firewall",
        program: "xdp_firewall",
        wanted: (Feature::BtfType(BtfFeature::Func), Instead::OlderTypes),
        check: |loaded| {
            assert_eq!(loaded.program("xdp_firewall").unwrap().info().unwrap().nr_line_info, 0);
            assert_ne!(loaded.map("blocked").unwrap().info().unwrap().btf_id, 0);
        },
    },
    Case {
        lacks: &[Hidden::BtfKind(14), Hidden::BtfKind(15)],
        object: "examples/xdp-firewall/xdp_firewall",
        program: "xdp_firewall",
        wanted: (Feature::BtfType(BtfFeature::Datasec), Instead::OlderTypes),
        check: has_lines,
    },
    Case {
        lacks: &[Hidden::GlobalFunctions],
        object: "examples/xdp-firewall/xdp_firewall",
        program: "xdp_firewall",
        wanted: (Feature::BtfType(BtfFeature::FuncLinkage), Instead::OlderTypes),
        check: has_lines,
    },
    Case {
        lacks: &[Hidden::EmptySections],
        object: "lab/vectors/maps/kinds",
        program: "arrays",
        wanted: (Feature::BtfType(BtfFeature::EmptyDatasec), Instead::OlderTypes),
        check: |_| {},
    },
    // Whoever knows no tags does not know this one either.
    Case {
        lacks: &[Hidden::BtfKind(17)],
        object: "lab/vectors/code/context_arguments",
        program: "packet",
        wanted: (Feature::ArgCtxTag, Instead::ContextType),
        check: |loaded| {
            assert_eq!(arguments(loaded, "packet", "twice"), ["__sk_buff", "int", "__sk_buff"]);
            assert_eq!(arguments(loaded, "packet", "arguments"), ["unsigned long long"], "nobody calls it");
            let output = loaded.program("packet").unwrap().test_run(&TestRun::packet(&packet()));
            assert_eq!(output.unwrap().retval, 0);
        },
    },
];

/// What the arguments of the last function of a name point to, in the types that the kernel has.
fn arguments(loaded: &Loaded, program: &str, function: &str) -> Vec<String> {
    let id = loaded.program(program).unwrap().info().unwrap().btf_id;
    let btf = skep::BtfObject::from_id(loaded.kernel(), id).unwrap().read().unwrap();
    let last = btf.types().filter(|ty| ty.name() == function).last().unwrap();
    let Def::Func(func) = last.def() else { panic!("{last:?}") };
    let params = btf.ty(func.proto).unwrap().as_func_proto().unwrap().params;
    let target = |id| match btf.resolve(id).unwrap().def() {
        Def::Ptr(target) => btf.resolve(target).unwrap().name().to_owned(),
        other => panic!("{other:?}"),
    };
    params.into_iter().map(|param| target(param.type_id)).collect()
}

fn has_lines(loaded: &Loaded) {
    for program in loaded.programs() {
        assert_ne!(program.info().unwrap().nr_line_info, 0, "{}", program.name());
    }
}

fn only(stem: &str, program: &str) -> Object {
    let mut object = object(stem);
    object.only_program(program).unwrap();
    object
}

/// What a load did without, but for what the kernel beneath does not have anyway.
fn notes(loaded: &Loaded, inner: &Kernel, wanted: Feature) -> Vec<(Option<Feature>, Instead)> {
    let has = |feature| inner.has(feature).unwrap();
    let is_meant = |note: &&Note| note.feature.is_none_or(|feature| feature == wanted || has(feature));
    loaded.notes().iter().filter(is_meant).map(|note| (note.feature, note.instead)).collect()
}

/// Since when functions that are verified by themselves take pointers to numbers (`btf_prepare_func_args` in `kernel/bpf/btf.c`).
const POINTER_ARGUMENTS: skep::Version = skep::Version::new(5, 12);

/// Runs the cases over a kernel.
fn run_cases(inner: &Kernel) {
    for case in CASES {
        let what = format!("{} without {:?}", case.object, case.lacks);
        if case.wanted.0 == Feature::ArgCtxTag && inner.version().unwrap() < POINTER_ARGUMENTS {
            println!(
                "skipped: each_lack_has_its_way_around_on_linux: {what}: no pointers to numbers for functions"
            );
            continue;
        }
        let kernel = Kernel::from_sys(Older::without(inner.sys(), case.lacks));
        let object = only(case.object, case.program);
        let loaded = object.load(&kernel).unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let (feature, instead) = case.wanted;
        let notes = notes(&loaded, inner, feature);
        assert!(notes.contains(&(Some(feature), instead)), "{what}: {notes:?}");
        // What comes with it: an empty section that has become a struct is no type of an array's value, so that one array has no
        // types; and a kernel without tags takes none.
        let follows = |note: &(Option<Feature>, Instead)| match feature {
            Feature::BtfType(BtfFeature::EmptyDatasec) => *note == (None, Instead::NoTypes),
            Feature::ArgCtxTag => *note == (Some(Feature::BtfType(BtfFeature::DeclTag)), Instead::OlderTypes),
            _ => false,
        };
        let is_due = |note: &(Option<Feature>, Instead)| *note == (Some(feature), instead) || follows(note);
        assert!(notes.iter().all(is_due), "{what}: {notes:?}");
        assert_eq!(kernel.known(feature), Known::Missing, "{what}");
        (case.check)(&loaded);
        // What is known to be missing is left out at once, and noted again.
        assert_eq!(object.load(&kernel).unwrap().notes().len(), loaded.notes().len(), "{what}");
        // And nothing of it is done where nothing is missing.
        if inner.has(feature).unwrap() {
            let whole = object.load(inner).unwrap();
            assert_eq!(self::notes(&whole, inner, feature), [], "{what}");
        }
    }
}

#[test]
fn each_lack_has_its_way_around_on_linux() {
    let Some(turn) = linux("each_lack_has_its_way_around_on_linux") else { return };
    let before = Held::now();
    run_cases(&turn.kernel);
    assert_eq!(Held::left_since(&before), "");
}

#[test]
fn constants_are_bound_to_programs_that_do_not_refer_to_them() {
    let Some(turn) = linux("constants_are_bound_to_programs_that_do_not_refer_to_them") else { return };
    if common::running() < (5, 10) {
        return;
    }
    let object = only("lab/vectors/contexts/tracing", "short_name");
    let maps = |loaded: &Loaded| loaded.program("short_name").unwrap().fd().map_ids().unwrap();
    let loaded = object.load(&turn.kernel).unwrap();
    assert_eq!(maps(&loaded), [loaded.map(".rodata").unwrap().info().unwrap().id]);
    let lacks = [Hidden::Command(Cmd::PROG_BIND_MAP)];
    let kernel = Kernel::from_sys(Older::without(turn.kernel.sys(), &lacks));
    for _ in 0..2 {
        let loaded = object.load(&kernel).unwrap();
        assert_eq!(maps(&loaded), [] as [u32; 0]);
        let wanted = (Some(Feature::ProgBindMap), Instead::NotBound);
        assert_eq!(notes(&loaded, &turn.kernel, Feature::ProgBindMap), [wanted]);
    }
}

#[test]
fn nothing_is_known_before_somebody_needs_it() {
    let Some(turn) = linux("nothing_is_known_before_somebody_needs_it") else { return };
    let kernel = Kernel::from_sys(Older::without(turn.kernel.sys(), &[Hidden::Names]));
    only("examples/xdp-firewall/xdp_firewall", "xdp_firewall").load(&kernel).unwrap();
    assert_eq!(kernel.known(Feature::ProgName), Known::Missing);
    assert_eq!(kernel.known(Feature::ProbeReadKernel), Known::Unknown, "nothing reads by it");
    assert_eq!(kernel.known(Feature::BtfType(BtfFeature::Float)), Known::Unknown, "the types were taken");
}

#[test]
fn data_sections_are_left_out_where_nothing_needs_them() {
    let Some(turn) = linux("data_sections_are_left_out_where_nothing_needs_them") else { return };
    // A kernel without global data refuses `.rodata` for its flag, and others where a program refers to them.
    let kernel = Kernel::from_sys(Older::new(turn.kernel.sys(), KernelVersion::new(5, 1)));
    let loaded = only("lab/vectors/contexts/tracing", "short_name").load(&kernel).unwrap();
    assert!(loaded.map(".rodata").is_err());
    let notes: Vec<_> = loaded.notes().iter().map(|note| (note.feature, note.instead)).collect();
    assert!(notes.contains(&(Some(Feature::GlobalData), Instead::NoData)), "{notes:?}");

    let error = only("lab/vectors/data/globals", "reads").load(&kernel).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error:?}");
    assert_eq!(error.place().program.as_deref(), Some("reads"), "{error}");

    let lacks = [Hidden::Insns(Insns::MapValue)];
    let kernel = Kernel::from_sys(Older::without(turn.kernel.sys(), &lacks));
    let error = only("lab/vectors/data/globals", "reads").load(&kernel).unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::Rejected, Some(Errno::EINVAL)), "{error:?}");
    assert!(error.to_string().contains("unknown opcode 18"), "{error}");
}

#[test]
fn what_cannot_be_done_without_is_an_error() {
    let Some(turn) = linux("what_cannot_be_done_without_is_an_error") else { return };
    // A helper that nothing replaces, and the verifier's word on it.
    let kernel =
        Kernel::from_sys(Older::without(turn.kernel.sys(), &[Hidden::Helper(FuncId::GET_CURRENT_TASK.0)]));
    let error = only("lab/vectors/helpers/tasks", "who").load(&kernel).unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::Rejected, Some(Errno::EINVAL)));
    assert!(error.to_string().contains("invalid func unknown#35"), "{error}");
    // A type of programs.
    let kernel = Kernel::from_sys(Older::without(turn.kernel.sys(), &[Hidden::ProgType(ProgType::XDP)]));
    let error = only("examples/xdp-firewall/xdp_firewall", "xdp_firewall").load(&kernel).unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::Kernel, Some(Errno::EINVAL)), "{error:?}");
}

/// Each release that Linux has had lacks what came later, and is asked for it.
#[test]
fn releases_have_what_they_brought() {
    let Some(turn) = linux("releases_have_what_they_brought") else { return };
    // What a release can prove, and what its links look at, is not played.
    const NOT_PLAYED: &[Feature] = &[
        Feature::BoundedLoops,
        Feature::ArgCtxTag,
        Feature::SyscallWrapper,
        Feature::FullRangeOffsets,
        Feature::UprobeMulti,
    ];
    for (major, minor) in [(4, 14), (4, 19), (5, 1), (5, 4), (5, 10), (5, 15), (6, 1), (6, 6), (6, 12)] {
        let kernel = Kernel::from_sys(Older::new(turn.kernel.sys(), KernelVersion::new(major, minor)));
        assert_eq!(kernel.version().unwrap(), skep::Version::new(major, minor));
        for feature in Feature::named().filter(|feature| !NOT_PLAYED.contains(feature)) {
            let since = feature.since().unwrap();
            let is_due = since <= skep::Version::new(major, minor)
                && (since.major.into(), since.minor.into()) <= common::running();
            assert_eq!(kernel.has(feature).unwrap(), is_due, "{feature} on {major}.{minor}");
        }
    }
}

#[test]
fn types_are_read_back_where_they_have_no_names() {
    let Some(turn) = linux("types_are_read_back_where_they_have_no_names") else { return };
    let kernel = Kernel::from_sys(Older::new(turn.kernel.sys(), KernelVersion::new(5, 10)));
    let loaded = object("examples/xdp-firewall/xdp_firewall").load(&kernel).unwrap();
    let id = loaded.program("xdp_firewall").unwrap().info().unwrap().btf_id;
    let types = skep::BtfObject::from_id(&kernel, id).unwrap();
    assert_eq!((types.id(), types.name(), types.is_kernel()), (id, "", false));
    assert!(types.read().unwrap().types().len() > 10);
}

#[cfg(feature = "embedded")]
#[test]
fn each_lack_has_its_way_around_on_the_embedded_kernel() {
    use skep::embedded::{Config, Embedded};
    let embedded = Embedded::new(Config::new()).unwrap();
    run_cases(&Kernel::from_sys(embedded.clone()));
    assert_eq!((embedded.open_descriptors(), embedded.page_bytes()), (0, 0), "something is left");
}
