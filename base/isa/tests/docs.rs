//! docs/instructions.md is the opcode table in prose form.

use core::fmt::Write;
use skep_isa::table::{INTERNAL, Next, Pick, ROWS};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/instructions.md");

fn pick(pick: Pick) -> String {
    match pick {
        Pick::Any => String::new(),
        Pick::Imm(imm) if imm > 64 => format!("imm {imm:#x}"),
        Pick::Src(value) => format!("src {value}"),
        Pick::Off(value) => format!("off {value}"),
        Pick::Imm(value) => format!("imm {value}"),
    }
}

/// Makes a template readable: operands by plain names.
fn readable(template: &str) -> String {
    let names = [
        ("{rd}", "rD"),
        ("{rs}", "rS"),
        ("{wd}", "wD"),
        ("{ws}", "wS"),
        ("{i}", "imm"),
        ("{u}", "imm"),
        ("{q}", "imm64"),
        ("{n}", "imm2"),
        ("{m}", "imm2"),
        ("{o}", "+off"),
        ("{j}", "+imm"),
        ("{b}", "off"),
        ("{l}", "label"),
        ("{k}", "label"),
        ("{f}", "label"),
        ("{h}", "helper"),
        ("{ta}", "to"),
        ("{fa}", "from"),
    ];
    let text = names.iter().fold(template.to_owned(), |text, (hole, name)| text.replace(hole, name));
    text.replace('|', "\\|")
}

fn document() -> String {
    let mut out = String::from(
        "# Instructions\n\n\
         <!-- Made from the opcode table of base/isa: SKEP_BLESS=1 cargo test -p skep-isa --test docs -->\n\n\
         Every instruction skep knows: RFC 9669, and what Linux added since. Fields that an instruction does not use must be\n\
         zero. Both spellings are taken by `skep asm`; `skep disasm` writes either. *Group* is the conformance group of\n\
         RFC 9669 §2.4 (`linux`: added by Linux; `callx`: of the public conformance suite), *cpu* the first `-mcpu` of LLVM\n\
         and *Linux* the first release that takes it.\n\n\
         | opcode | where | Linux dialect | mnemonic dialect | group | cpu | Linux |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in &ROWS {
        let wide = if row.next == Next::None { "" } else { " (two slots)" };
        let since = row.since.map_or("never".to_owned(), |release| release.to_string());
        let cpu = format!("{:?}", row.cpu).to_lowercase();
        let (linux, mnemonic) = (readable(row.linux), readable(row.mnemonic));
        let (code, pick, group) = (row.code, pick(row.pick), row.group);
        writeln!(
            out,
            "| {code:#04x}{wide} | {pick} | `{linux}` | `{mnemonic}` | {group} | {cpu} | {since} |"
        )
        .expect("strings take all");
    }
    out += "\nThe kernel makes these for itself; skep refuses them by name, as Linux refuses them:\n\n| opcode | where | name |\n| --- | --- | --- |\n";
    for row in &INTERNAL {
        writeln!(out, "| {:#04x} | {} | {} |", row.code, pick(row.pick), row.name).expect("strings take all");
    }
    out
}

#[test]
fn the_document_is_the_table() {
    let wanted = document();
    if std::env::var_os("SKEP_BLESS").is_some() {
        std::fs::write(PATH, &wanted).expect("docs can be written");
    }
    let found = std::fs::read_to_string(PATH).expect("docs/instructions.md is there");
    assert!(found == wanted, "docs/instructions.md is not the table; make it again as its head says");
}
