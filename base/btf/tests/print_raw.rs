//! The lines of the raw form: each kind's, and those of `bpftool` for the running kernel.

mod common;

use std::process::Command;

use common::every_kind;
use skep_btf::Btf;

const RUNNING: &str = "/sys/kernel/btf/vmlinux";

fn raw(btf: &Btf<'_>) -> String {
    let mut text = String::new();
    btf.write_raw(&mut text).unwrap();
    text
}

#[test]
fn every_kind_has_its_line() {
    for endian in common::BOTH {
        let bytes = every_kind(endian).bytes();
        let text = raw(&Btf::parse(&bytes).unwrap());
        for line in [
            "[1] INT 'int' size=4 bits_offset=0 nr_bits=32 encoding=SIGNED",
            "[3] INT '_Bool' size=1 bits_offset=0 nr_bits=8 encoding=BOOL",
            "[5] PTR '(anon)' type_id=1",
            "[6] ARRAY '(anon)' type_id=2 index_type_id=1 nr_elems=16",
            "[7] ENUM 'mode' encoding=SIGNED size=4 vlen=2\n\t'OFF' val=-1\n\t'ON' val=7",
            "[8] UNION '(anon)' size=4 vlen=2\n\t'v4' type_id=1 bits_offset=0\n",
            "[9] STRUCT 'event' size=48 vlen=7\n",
            "\t'b' type_id=1 bits_offset=195 bitfield_size=5\n\t'(anon)' type_id=8 bits_offset=224\n",
            "[11] FWD 'opaque_u' fwd_kind=union",
            "[13] VOLATILE '(anon)' type_id=12",
            "[16] FUNC_PROTO '(anon)' ret_type_id=1 vlen=3\n\t'ctx' type_id=5\n\t'n' type_id=4\n\t'(anon)' type_id=0\n",
            "[17] FUNC 'prog' type_id=16 linkage=global",
            "[19] VAR 'count' type_id=4, linkage=static",
            "[20] DATASEC '.rodata' size=56 vlen=2\n\ttype_id=18 offset=0 size=48 (VAR 'limit')\n",
            "[21] FLOAT 'double' size=8",
            "[23] DECL_TAG 'whole' type_id=9 component_idx=-1",
            "[24] TYPE_TAG 'user' type_id=1",
            "[25] ENUM64 'wide' encoding=UNSIGNED size=8 vlen=2\n\t'SMALL' val=1ULL\n\t'BIG' val=9223372036854775813ULL\n",
        ] {
            assert!(text.contains(line), "{line}\nis not in\n{text}");
        }
    }
}

#[test]
fn bpftool_has_the_same_lines_for_the_running_kernel() {
    let test = "bpftool_has_the_same_lines_for_the_running_kernel";
    let Ok(bytes) = std::fs::read(RUNNING) else {
        println!("skipped: {test}: no {RUNNING}");
        return;
    };
    let arguments = ["btf", "dump", "file", RUNNING, "format", "raw"];
    let run = |tool: &str| Command::new(tool).args(arguments).output().ok();
    let Some(output) = run("bpftool").or_else(|| run("/usr/sbin/bpftool")) else {
        println!("skipped: {test}: no bpftool");
        return;
    };
    let theirs = String::from_utf8(output.stdout).unwrap();
    let ours = raw(&Btf::parse(&bytes).unwrap());
    let difference = ours.lines().zip(theirs.lines()).find(|(ours, theirs)| ours != theirs);
    assert_eq!(difference, None);
    assert_eq!(ours.lines().count(), theirs.lines().count());
}
