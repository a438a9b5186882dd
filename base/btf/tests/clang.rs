//! BTF as clang writes it, in both byte orders, where there is a clang.

use std::path::{Path, PathBuf};
use std::process::Command;

use skep_btf::{
    Btf, Builder, CoreRelocKind, Def, Endian, Ext, FuncLinkage, Kind, Literal, ObjectLayout, Support, Symbol,
    Value, VarLinkage, Visibility,
};

/// The first of these programs that runs.
fn tool(names: &[&str]) -> Option<String> {
    let runs = |name: &&&str| {
        Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success())
    };
    names.iter().find(runs).map(|name| (*name).to_owned())
}

/// Compiles the C file and returns its sections of these names.
fn compile(target: &str, sections: &[&str]) -> Option<Vec<Vec<u8>>> {
    let clang = tool(&["clang", "clang-19", "clang-18", "clang-17", "clang-16"])?;
    let objcopy =
        tool(&["llvm-objcopy", "llvm-objcopy-19", "llvm-objcopy-18", "llvm-objcopy-17", "llvm-objcopy-16"])?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kinds.c");
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let unique = format!("{}-{target}-{}", std::process::id(), sections.len());
    let object = dir.join(format!("{unique}.o"));
    let status = Command::new(clang)
        .args(["-g", "-O2", "-mcpu=v3", "-target", target, "-c", "-o"])
        .args([&object, &source])
        .status()
        .expect("clang ran before");
    assert!(status.success(), "clang refuses the C file");
    let mut command = Command::new(objcopy);
    let files: Vec<_> = (0..sections.len()).map(|index| dir.join(format!("{unique}.{index}"))).collect();
    for (section, file) in sections.iter().zip(&files) {
        command.arg("--dump-section").arg(format!("{section}={}", file.display()));
    }
    assert!(
        command
            .arg(&object)
            .arg(dir.join(format!("{unique}.copy")))
            .status()
            .expect("it ran before")
            .success()
    );
    Some(files.iter().map(|file| std::fs::read(file).expect("objcopy wrote it")).collect())
}

fn for_both_targets(test: &str, sections: &[&str], check: impl Fn(Endian, &[Vec<u8>])) {
    for (target, endian) in [("bpfel", Endian::Little), ("bpfeb", Endian::Big)] {
        match compile(target, sections) {
            Some(found) => check(endian, &found),
            None => println!("skipped: {test} ({target}): no clang and llvm-objcopy"),
        }
    }
}

#[test]
fn every_kind_but_two_is_there() {
    for_both_targets("every_kind_but_two_is_there", &[".BTF"], |endian, sections| {
        let btf = Btf::parse(&sections[0]).unwrap();
        assert_eq!(btf.endian(), endian);
        let kinds: std::collections::BTreeSet<_> = btf.types().filter_map(|ty| ty.kind()).collect();
        let missing: Vec<_> = Kind::all().filter(|kind| !kinds.contains(kind)).collect();
        assert_eq!(missing, [Kind::Fwd, Kind::Restrict]);
        assert!(Builder::from_btf(&btf).finish().unwrap() == sections[0]);
        assert!(btf.sanitize(Support::ALL).unwrap() == sections[0]);
        let old = Btf::from_vec(btf.sanitize(Support::NONE).unwrap()).unwrap();
        assert!(old.types().filter_map(|ty| ty.kind()).all(|kind| kind.number() <= Kind::Restrict.number()));
        let sum = btf.find("sum", Kind::Func).unwrap();
        assert!(matches!(btf.ty(sum).unwrap().def(), Def::Func(func) if func.linkage == FuncLinkage::Global));
    });
}

#[test]
fn rodata_reads_as_it_was_written() {
    for_both_targets("rodata_reads_as_it_was_written", &[".BTF", ".rodata"], |_, sections| {
        let btf = Btf::parse(&sections[0]).unwrap();
        let settings = btf.variable(".rodata", "settings").unwrap();
        let mut data = sections[1].clone();
        let wanted = "{limit: -7, on: true, name: \"hive\", mac: [1, 2, 3, 4, 5, 6], big: 737894400291, negative: -3, \
                      verdict: DROP, v4: 10, v6:";
        let text = btf.value(settings.type_id, &data).to_string();
        assert!(text.starts_with(wanted), "{text}");
        assert!(
            text.contains("], ratio: 0.5, next: 0x0, wide: LARGE, grid: [[1, 2, 3], [4, 5, 6]]}"),
            "{text}"
        );
        let second = btf.variable(".rodata", "second").unwrap();
        assert_eq!(second.linkage, VarLinkage::Static);
        assert_eq!(btf.value(second.type_id, &data[second.offset as usize..]), Value::Signed(5));

        let mut set = |path: &str, value| btf.assign(settings.type_id, path, Literal::Text(value), &mut data);
        set("limit", "100").unwrap();
        set("negative", "-16").unwrap();
        set("verdict", "PASS").unwrap();
        set("mac[5]", "0xff").unwrap();
        set("ratio", "2.25").unwrap();
        set("wide", "SMALL").unwrap();
        set("name", "skep").unwrap();
        let text = btf.value(settings.type_id, &data).to_string();
        let wanted = "{limit: 100, on: true, name: \"skep\", mac: [1, 2, 3, 4, 5, 255], big: 737894400291, \
                      negative: -16, verdict: PASS, v4: 10, v6:";
        assert!(text.starts_with(wanted), "{text}");
        assert!(text.contains("ratio: 2.25, next: 0x0, wide: SMALL"), "{text}");
    });
}

#[test]
fn ext_has_functions_lines_and_relocations() {
    for_both_targets("ext_has_functions_lines_and_relocations", &[".BTF", ".BTF.ext"], |_, sections| {
        let btf = Btf::parse(&sections[0]).unwrap();
        let ext = Ext::parse(&sections[1], &btf).unwrap();
        let main = ext.func_info().named(&btf, "xdp").unwrap().next().unwrap();
        assert_eq!((main.insn_off, btf.ty(main.type_id).unwrap().name()), (0, "prog"));
        let line = ext.line_info().named(&btf, "tc").unwrap().last().unwrap();
        assert!(btf.text(line.line).unwrap().contains("return core->c[2].b"));
        assert!(btf.text(line.file_name).unwrap().ends_with("kinds.c"));
        assert!(line.line_number() > 40 && line.column() > 0);
        let relo = ext.core_relos().named(&btf, "tc").unwrap().next().unwrap();
        assert_eq!(relo.kind, CoreRelocKind::FieldByteOffset);
        assert_eq!(btf.ty(relo.type_id).unwrap().name(), "core");
        assert_eq!(btf.text(relo.access).as_deref(), Some("0:1:2:0"));
    });
}

struct Object;

impl ObjectLayout for Object {
    fn section_size(&self, section: &str) -> Option<u32> {
        [(".rodata", 200), (".bss", 8), (".maps", 32)]
            .iter()
            .find(|(name, _)| *name == section)
            .map(|(_, size)| *size)
    }

    fn symbol(&self, _: &str, _: &str) -> Option<Symbol> {
        Some(Symbol { offset: 0, visibility: Visibility::Default })
    }
}

#[test]
fn sections_of_clang_are_open_and_get_fixed() {
    for_both_targets("sections_of_clang_are_open_and_get_fixed", &[".BTF"], |_, sections| {
        let btf = Btf::parse(&sections[0]).unwrap();
        assert_eq!(btf.datasec(".rodata").unwrap().1.size, 0);
        let fixed = Btf::from_vec(btf.fix_up(&Object).unwrap()).unwrap();
        assert_eq!(fixed.datasec(".rodata").unwrap().1.size, 200);
        let placed = Btf::from_vec(fixed.place_externs().unwrap()).unwrap();
        let hz = placed.variable(".kconfig", "CONFIG_HZ").unwrap();
        assert_eq!((hz.offset, hz.size, hz.linkage), (0, 4, VarLinkage::Global));
    });
}
