//! The table of section names beside the list of libbpf's.

use skep_model::platform::sections::{Flags, Form, SECTIONS, lookup};

const FLAGS: [(char, Flags); 6] = [
    ('o', Flags::OPTIONAL_ATTACH),
    ('a', Flags::ATTACHABLE),
    ('b', Flags::ATTACH_BTF),
    ('s', Flags::SLEEPABLE),
    ('x', Flags::XDP_FRAGS),
    ('u', Flags::USDT),
];

#[test]
fn every_name_of_libbpf_means_the_same() {
    let listed = include_str!("sections.txt").lines().filter(|line| !line.starts_with('#'));
    let mut count = 0;
    for line in listed {
        let words: Vec<_> = line.split_whitespace().collect();
        let &[name, prog, attach, loaded] = words.as_slice() else { panic!("{line}") };
        let (name, form) = match name.strip_suffix('+') {
            Some(name) => (name, Form::Target),
            None => (name, Form::Exact),
        };
        let row = lookup(name).unwrap_or_else(|error| panic!("{error}")).row;
        assert_eq!((row.name, row.form), (name, form));
        assert_eq!(row.prog.name(), Some(prog), "{name}");
        // Number 0 stands for none, too.
        let found = if row.attach.0 == 0 && attach == "-" { "-" } else { row.attach.name().unwrap_or("-") };
        assert_eq!(found, attach, "{name}");
        for (letter, flag) in FLAGS {
            assert_eq!(row.flags.has(flag), loaded.contains(letter), "{name}: {letter}");
        }
        if form == Form::Target {
            assert_eq!(lookup(&format!("{name}/x")).map(|found| found.extra), Ok(Some("x")), "{name}");
        }
        count += 1;
    }
    assert_eq!(count, SECTIONS.len());
}
