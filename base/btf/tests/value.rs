//! Bytes to values, and text to bytes.

mod common;

use common::{BOTH, Blob, KIND_FLAG, every_kind, k};
use skep_btf::{AssignProblem, Btf, Endian, Literal, Problem, Sign, TypeId, Unreadable, Value};

/// The bytes of a `struct event` (type 9 of `every_kind`).
fn event(endian: Endian) -> Vec<u8> {
    let mut bytes = vec![0; 48];
    let put = |bytes: &mut [u8], at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    let word = |value: u64| match endian {
        Endian::Little => value.to_le_bytes(),
        Endian::Big => value.to_be_bytes(),
    };
    put(&mut bytes, 0, &word(1 << 60));
    put(&mut bytes, 8, b"sh\0garbage");
    // a = -2 in 3 bits, b = 9 in 5 bits.
    bytes[24] = match endian {
        Endian::Little => 9 << 3 | 0b110,
        Endian::Big => 0b110 << 5 | 9,
    };
    put(&mut bytes, 28, &endian.bytes32(0x01));
    put(&mut bytes, 32, &word(0xffff_8880_0000_1000));
    put(&mut bytes, 40, &endian.bytes32(7));
    bytes
}

#[test]
fn a_struct_reads_by_name_in_both_byte_orders() {
    for endian in BOTH {
        let blob = every_kind(endian).bytes();
        let btf = Btf::parse(&blob).unwrap();
        // Through const, volatile and typedef; the anonymous union's members stand beside the others.
        let value = btf.value(TypeId(14), &event(endian));
        let on = if endian == Endian::Little { "true" } else { "false" };
        assert_eq!(
            value.to_string(),
            format!(
                "{{when: 1152921504606846976, comm: \"sh\", a: -2, b: 9, v4: 1, bytes: {on}, \
                 ptr: 0xffff888000001000, mode: ON}}"
            )
        );
        assert_eq!(value.member("b").and_then(Value::as_int), Some(9));
        assert_eq!(value.member("mode"), Some(&Value::Enum { name: Some("ON"), value: 7 }));
        assert_eq!(value.member("nothing"), None);
        // A variable reads as its type.
        assert_eq!(btf.value(TypeId(18), &event(endian)), value);
        // The other byte order, on request.
        let other = BOTH[usize::from(endian == Endian::Little)];
        assert_eq!(btf.value_in(TypeId(9), &event(other), other).member("when"), value.member("when"));
    }
}

#[test]
fn short_data_gives_what_is_there() {
    let blob = every_kind(Endian::Little).bytes();
    let btf = Btf::parse(&blob).unwrap();
    let bytes = event(Endian::Little);
    for len in 0..bytes.len() {
        let value = btf.value(TypeId(9), &bytes[..len]);
        let Value::Struct(fields) = &value else { panic!("{value}") };
        assert_eq!(fields.len(), 8);
        let when = value.member("when").unwrap();
        match len {
            0..8 => assert_eq!(*when, Value::Unreadable(Unreadable::Short { wanted: 8, found: len as u64 })),
            _ => assert_eq!(*when, Value::Unsigned(1 << 60)),
        }
        assert!(matches!(value.member("ptr"), Some(Value::Ptr(_))) == (len >= 40));
    }
    assert_eq!(btf.value(TypeId(4), &[1, 2]).to_string(), "<wanted 8 bytes, found 2>");
}

#[test]
fn scalars_of_every_width() {
    for endian in BOTH {
        let mut b = Blob::new(endian);
        let ids = [(1, 1), (2, 1), (4, 1), (8, 1), (16, 1), (1, 0), (2, 0), (4, 0), (8, 0), (16, 0)]
            .map(|(size, encoding)| (b.int("n", size, encoding), size as usize, encoding == 1));
        let bytes = b.bytes();
        let btf = Btf::parse(&bytes).unwrap();
        for (id, size, is_signed) in ids {
            let value = btf.value(TypeId(id), &vec![0xff; size]);
            let wanted =
                if is_signed { Value::Signed(-1) } else { Value::Unsigned(u128::MAX >> (128 - size * 8)) };
            assert_eq!(value, wanted);
        }
    }
}

#[test]
fn odd_scalars() {
    let mut b = Blob::new(Endian::Little);
    let bool_id = b.int("_Bool", 1, 4);
    let char_id = b.int("char", 1, 1);
    let f32_id = b.add("float", k::FLOAT, 0, 4, &[]);
    let f64_id = b.add("double", k::FLOAT, 0, 8, &[]);
    let x87 = b.add("long double", k::FLOAT, 0, 16, &[]);
    let huge = b.add("huge", k::INT, 0, 64, &[255]);
    let empty = b.add("empty", k::INT, 0, 0, &[0]);
    // A bitfield of the old form: four bits from bit two on.
    let old = b.add("old", k::INT, 0, 4, &[2 << 16 | 4]);
    let holder = b.composite(k::STRUCT, "s", 4, &[("x", old, 8)]);
    let unnamed = b.add("e", k::ENUM, 0, 4, &[]);
    let wide = b.add("e16", k::ENUM, 0, 16, &[]);
    let bytes = b.bytes();
    let btf = Btf::parse(&bytes).unwrap();
    let text = |id, bytes: &[u8]| btf.value(TypeId(id), bytes).to_string();
    assert_eq!(text(bool_id, &[1]), "true");
    assert_eq!(text(bool_id, &[2]), "2");
    assert_eq!(text(char_id, b"x"), "'x'");
    assert_eq!(text(char_id, &[200]), "200");
    assert_eq!(text(f32_id, &1.5f32.to_le_bytes()), "1.5");
    assert_eq!(text(f64_id, &3f64.to_le_bytes()), "3.0");
    assert_eq!(btf.value(TypeId(x87), &[0; 16]), Value::Unreadable(Unreadable::Width(16)));
    assert_eq!(btf.value(TypeId(huge), &[0; 64]), Value::Unreadable(Unreadable::Width(32)));
    assert_eq!(text(empty, &[]), "0");
    assert_eq!(text(holder, &[0, 0b0101_0100, 0, 0]), "{x: 5}");
    assert_eq!(text(unnamed, &[3, 0, 0, 0]), "3");
    assert_eq!(btf.value(TypeId(wide), &[0; 16]), Value::Unreadable(Unreadable::Width(16)));
    assert_eq!(btf.value(TypeId(0), &[0; 16]), Value::Unreadable(Unreadable::Type(Problem::Unsized)));
    assert_eq!(
        btf.value(TypeId(99), &[]),
        Value::Unreadable(Unreadable::Type(Problem::UnknownType(TypeId(99))))
    );
}

#[test]
fn arrays_and_text() {
    let mut b = Blob::new(Endian::Big);
    let char_id = b.int("char", 1, 1);
    let u16_id = b.int("u16", 2, 0);
    let name = b.add("", k::ARRAY, 0, 0, &[char_id, u16_id, 4]);
    let names = b.add("", k::ARRAY, 0, 0, &[name, u16_id, 2]);
    let numbers = b.add("", k::ARRAY, 0, 0, &[u16_id, u16_id, 3]);
    let u = b.composite(k::UNION, "u", 4, &[("name", name, 0), ("n", u16_id, 0)]);
    let bytes = b.bytes();
    let btf = Btf::parse(&bytes).unwrap();
    let text = |id, bytes: &[u8]| btf.value(TypeId(id), bytes).to_string();
    assert_eq!(text(name, b"abc\0"), "\"abc\"");
    assert_eq!(text(name, b"\0xyz"), "\"\"");
    assert_eq!(text(name, "é\0\0".as_bytes()), "\"é\"");
    assert_eq!(text(name, b"abcd"), "['a', 'b', 'c', 'd']", "no NUL, no text");
    assert_eq!(text(name, b"a\x01b\0"), "['a', 1, 'b', 0]", "not printable");
    assert_eq!(text(name, b"ab"), "['a', 'b', <wanted 3 bytes, found 2>]");
    assert_eq!(text(names, b"ab\0\0cd\0\0"), "[\"ab\", \"cd\"]");
    assert_eq!(text(numbers, &[0, 1, 0, 2, 0, 3]), "[1, 2, 3]");
    assert_eq!(text(u, b"ab\0\0"), "{name: \"ab\", n: 24930}");
}

#[test]
fn endless_and_doubling_types_cost_bounded_work() {
    let mut b = Blob::new(Endian::Little);
    b.int("int", 4, 1);
    let own = b.composite(k::STRUCT, "own", 8, &[("next", 2, 0), ("x", 1, 32)]);
    let anonymous = b.composite(k::STRUCT, "anonymous", 8, &[("", 3, 0), ("x", 1, 32)]);
    let empty = b.composite(k::STRUCT, "empty", 0, &[]);
    let many = b.add("", k::ARRAY, 0, 0, &[empty, 1, u32::MAX]);
    let huge = b.add("", k::ARRAY, 0, 0, &[1, 1, u32::MAX]);
    let mut last = 1;
    for _ in 0..30 {
        last = b.composite(k::UNION, "", 4, &[("a", last, 0), ("b", last, 0)]);
    }
    let mut hidden = 1;
    for _ in 0..30 {
        hidden = b.composite(k::UNION, "", 4, &[("", hidden, 0), ("", hidden, 0)]);
    }
    let bytes = b.bytes();
    let btf = Btf::parse(&bytes).unwrap();
    for id in [own, anonymous, many, huge, last, hidden] {
        let text = btf.value(TypeId(id), &[0; 64]).to_string();
        assert!(text.len() < 1 << 20, "{}", text.len());
    }
    assert_eq!(btf.value(TypeId(own), &[0; 64]).member("x"), Some(&Value::Signed(0)));
    assert!(btf.value(TypeId(many), &[]).to_string().ends_with("more than the bytes can fill>]"));
}

fn assigned(btf: &Btf<'_>, path: &str, text: &str) -> Result<String, AssignProblem> {
    let mut bytes = event(btf.endian());
    let before = bytes.clone();
    match btf.assign(TypeId(18), path, Literal::Text(text), &mut bytes) {
        Ok(()) => {
            let field = btf.field(TypeId(9), path).unwrap();
            let value = btf.value(TypeId(9), &bytes);
            Ok(value.member(path).map_or_else(|| format!("{field:?}"), Value::to_string))
        }
        Err(error) => {
            assert_eq!(bytes, before, "nothing may be written");
            Err(error.problem)
        }
    }
}

#[test]
fn text_sets_members() {
    for endian in BOTH {
        let blob = every_kind(endian).bytes();
        let btf = Btf::parse(&blob).unwrap();
        for (path, text, wanted) in [
            ("when", "100", "100"),
            ("when", " 0xffffffffffffffff ", "18446744073709551615"),
            ("when", "0b101", "5"),
            ("when", "0o17", "15"),
            ("a", "-4", "-4"),
            ("b", "-16", "-16"),
            ("v4", "-2147483648", "-2147483648"),
            ("bytes", "true", "true"),
            ("bytes", "0", "false"),
            ("mode", "OFF", "OFF"),
            ("mode", "-1", "OFF"),
            ("mode", "5", "5"),
            ("ptr", "0x10", "0x10"),
            ("comm", "bash", "\"bash\""),
            ("comm", "\"a\\tb\\x41\\\"\"", "\"a\\tbA\\\"\""),
            ("comm", "", "\"\""),
            ("comm", "fifteen letters", "\"fifteen letters\""),
        ] {
            assert_eq!(assigned(&btf, path, text).as_deref(), Ok(wanted), "{path} = {text}");
        }
        let out = |bits, sign| Err(AssignProblem::OutOfRange { bits, sign });
        for (path, text, wanted) in [
            ("when", "-1", out(64, Sign::Unsigned)),
            ("when", "0x10000000000000000", out(64, Sign::Unsigned)),
            ("a", "4", out(3, Sign::Signed)),
            ("a", "-5", out(3, Sign::Signed)),
            ("v4", "2147483648", out(32, Sign::Signed)),
            ("bytes", "2", out(1, Sign::Unsigned)),
            ("bytes", "maybe", Err(AssignProblem::NotABoolean)),
            ("mode", "NEITHER", Err(AssignProblem::NotAnEnumerator)),
            ("mode", "2147483648", out(32, Sign::Signed)),
            ("when", "", Err(AssignProblem::NotAnInteger)),
            ("when", "--1", Err(AssignProblem::NotAnInteger)),
            ("when", "0x", Err(AssignProblem::NotAnInteger)),
            ("when", "0x-1", Err(AssignProblem::NotAnInteger)),
            ("when", "1.5", Err(AssignProblem::NotAnInteger)),
            ("comm", "sixteen letters!", Err(AssignProblem::TooLong { room: 16, found: 17 })),
            ("comm", "\"open", Err(AssignProblem::BadQuotes)),
            ("comm", "\"", Err(AssignProblem::BadQuotes)),
            ("comm", "\"a\"b\"", Err(AssignProblem::BadQuotes)),
            ("comm", "\"\\q\"", Err(AssignProblem::BadQuotes)),
            ("", "1", Err(AssignProblem::NotAScalar)),
        ] {
            assert_eq!(assigned(&btf, path, text), wanted, "{path} = {text}");
        }
        assert!(
            matches!(assigned(&btf, "nothing", "1"), Err(AssignProblem::Type(e)) if e.problem == Problem::NoMember)
        );
    }
}

#[test]
fn numbers_and_bytes_set_members() {
    let mut b = every_kind(Endian::Little);
    let f32_id = b.add("float", k::FLOAT, 0, 4, &[]);
    let blob = b.bytes();
    let btf = Btf::parse(&blob).unwrap();
    let mut bytes = event(Endian::Little);
    let mut set = |path: &str, value| btf.assign(TypeId(9), path, value, &mut bytes).map_err(|e| e.problem);
    assert_eq!(set("when", Literal::Int(5)), Ok(()));
    assert_eq!(set("comm[1]", Literal::Text("'x'")), Ok(()));
    assert_eq!(set("comm[2]", Literal::Text("'\\n'")), Ok(()));
    assert_eq!(set("comm[3]", Literal::Int(200)), Ok(()));
    assert_eq!(set("comm[4]", Literal::Int(-1)), Ok(()));
    assert!(set("comm[5]", Literal::Int(256)).is_err());
    assert_eq!(set("ptr", Literal::Bytes(&[1; 8])), Ok(()));
    assert_eq!(set("ptr", Literal::Bytes(&[1; 7])), Err(AssignProblem::WrongSize { wanted: 8, found: 7 }));
    assert_eq!(set("a", Literal::Bytes(&[1])), Err(AssignProblem::NotAScalar));
    assert_eq!(set("when", Literal::Float(1.0)), Err(AssignProblem::NotAnInteger));
    assert_eq!(bytes[..13], [5, 0, 0, 0, 0, 0, 0, 0, b's', b'x', b'\n', 200, 255]);
    let short = btf.assign(TypeId(4), "", Literal::Int(1), &mut [0; 7]).unwrap_err();
    assert_eq!(short.problem, AssignProblem::Short { wanted: 8, found: 7 });

    let mut float = [0; 8];
    btf.assign(TypeId(21), "", Literal::Text("-2.5e3"), &mut float).unwrap();
    assert_eq!(f64::from_le_bytes(float), -2500.0);
    let overflow = btf.assign(TypeId(f32_id), "", Literal::Text("1e300"), &mut [0; 4]).unwrap_err();
    assert_eq!(overflow.problem, AssignProblem::FloatOverflow);
    let word = btf.assign(TypeId(f32_id), "", Literal::Text("fast"), &mut [0; 4]).unwrap_err();
    assert_eq!(word.to_string(), "wanted a floating-point number, found something else (given \"fast\")");
}

#[test]
fn errors_name_the_path_and_the_range() {
    let blob = every_kind(Endian::Little).bytes();
    let btf = Btf::parse(&blob).unwrap();
    let text =
        |path, text| btf.assign(TypeId(9), path, Literal::Text(text), &mut [0; 48]).unwrap_err().to_string();
    assert_eq!(text("a", "9"), "a: wanted a number from -4 to 3, found another (given \"9\")");
    assert_eq!(
        text("when", "-1"),
        "when: wanted a number from 0 to 18446744073709551615, found another (given \"-1\")"
    );
    assert_eq!(text("whem", "1"), "whem: wanted a member that exists, found no such name (given \"1\")");
}

#[test]
fn variables_are_located_by_the_first_step_of_a_path() {
    let mut b = every_kind(Endian::Little);
    let hidden = b.add("map", k::VAR, 0, 9, &[1]);
    b.add(".maps", k::DATASEC, 1, 48, &[hidden, 0, 48]);
    b.add("odd", k::ENUM | KIND_FLAG, 0, 4, &[]);
    let blob = b.bytes();
    let btf = Btf::parse(&blob).unwrap();
    let located = btf.locate("limit.comm[2]").unwrap();
    assert_eq!((located.section_name, located.variable.name, located.path), (".rodata", "limit", "comm[2]"));
    assert_eq!(btf.locate("count").unwrap().variable.offset, 48);
    assert_eq!(btf.locate("count[1]").unwrap().path, "[1]");
    assert_eq!(btf.locate("map"), None, "a map has no data to set");
    assert_eq!(btf.locate("lim"), None);
    assert_eq!(btf.locate(""), None);
}
