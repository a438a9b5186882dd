//! docs/instructions.md is the opcode table in prose form.

use core::fmt::Write;
use skep_isa::table::{INTERNAL, Next, Pick, ROWS};
use skep_isa::text::assemble;

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

/// Stands before what is made; what stands before it is written by hand.
const MARK: &str =
    "<!-- Made from the opcode table of base/isa: SKEP_BLESS=1 cargo test -p skep-isa --test docs -->\n";

fn tables() -> String {
    let mut out = String::from(
        "\n| opcode | where | Linux dialect | mnemonic dialect | group | cpu | Linux |\n\
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

fn read() -> String {
    std::fs::read_to_string(PATH).expect("docs/instructions.md is there")
}

#[test]
fn the_document_has_the_table() {
    let wanted = tables();
    let document = read();
    let (by_hand, found) = document.split_once(MARK).expect("the mark");
    if std::env::var_os("SKEP_BLESS").is_some() {
        std::fs::write(PATH, format!("{by_hand}{MARK}{wanted}")).expect("docs can be written");
        return;
    }
    assert!(found == wanted, "docs/instructions.md is not the table; make it again as its mark says");
}

/// Blocks marked `asm` assemble.
#[test]
fn the_examples_assemble() {
    let document = read();
    let blocks: Vec<&str> =
        document.split("```asm\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!blocks.is_empty(), "no examples");
    for block in blocks {
        assemble(block, &()).unwrap_or_else(|error| panic!("{error}\n{block}"));
    }
}

/// Each row of the table of peers' spellings assembles to the same in both columns.
#[test]
fn the_spellings_of_peers_are_taken() {
    let document = read();
    let (_, rest) = document.split_once("| written elsewhere | here | by whom |\n").expect("the table");
    let rows: Vec<&str> = rest.lines().skip(1).take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() >= 20, "{} rows", rows.len());
    for row in rows {
        let columns = row.rsplit_once(" | ").expect("columns").0;
        let texts: Vec<&str> = columns.split('`').skip(1).step_by(2).collect();
        let (last, others) = texts.split_last().expect("two texts");
        assert!(!others.is_empty(), "{row}");
        let slots =
            |text: &str| assemble(text, &()).unwrap_or_else(|error| panic!("{text}: {error}")).into_slots();
        for other in others {
            assert_eq!(slots(other), slots(last), "{row}");
        }
    }
}
