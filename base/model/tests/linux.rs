//! The tables against what Linux 6.18 answered; see the head of each file in `data/`.

use skep_abi::{AttachType, FuncId, MapType, ProgType};
use skep_model::platform::Platform;
use skep_model::platform::context::Touch;
use skep_model::platform::contexts;
use skep_model::platform::helper::{Caller, Licence, Socket, Target};
use skep_model::platform::helpers::HELPERS;
use skep_model::platform::prog::Sleeps;

const PROGRAMS: &str = include_str!("data/linux-6.18.txt");
const MAPS: &str = include_str!("data/linux-6.18-maps.txt");

fn lines<'a>(text: &'a str, what: &'a str) -> impl Iterator<Item = Vec<&'a str>> {
    text.lines().map(|line| line.split(' ').collect::<Vec<_>>()).filter(move |words| words[0] == what)
}

/// Reads `1 3 5..7` as 1, 3, 5, 6, 7.
fn numbers(words: &[&str]) -> Vec<i64> {
    let mut all = Vec::new();
    for word in words {
        let (low, high) = word.split_once("..").unwrap_or((word, word));
        all.extend(low.parse::<i64>().unwrap()..=high.parse().unwrap());
    }
    all
}

fn prog_type(name: &str) -> ProgType {
    ProgType::from_name(&format!("BPF_PROG_TYPE_{name}")).unwrap()
}

/// A place that Linux was asked about: type, expected attach type, target.
fn caller<'a>(words: &[&'a str]) -> Caller<'a> {
    let target = match words[2].split_once('.') {
        Some((ops, member)) => Some(Target::Member { ops, member }),
        None => (words[2] != "-").then_some(Target::Function(words[2])),
    };
    let attach = AttachType::from_name(words[1]);
    Caller { attach, target, ..Caller::of(prog_type(words[0]), Licence::Gpl) }
}

#[test]
fn helpers_by_program() {
    let mut places = 0;
    for words in lines(PROGRAMS, "helper") {
        let caller = caller(&words[1..]);
        let linux = numbers(&words[4..]);
        let ours: Vec<i64> =
            HELPERS.iter().filter(|helper| helper.admits(&caller)).map(|helper| helper.id.0.into()).collect();
        // probe_write_user and override_return depend on the kernel's configuration and lockdown; get_func_ip is
        // refused later, by `check_get_func_ip`.
        let apart = [FuncId::PROBE_WRITE_USER, FuncId::OVERRIDE_RETURN, FuncId::GET_FUNC_IP]
            .map(|id| i64::from(id.0));
        let [ours, linux] = [ours, linux].map(|mut ids| {
            ids.retain(|id| !apart.contains(id));
            ids
        });
        assert_eq!(ours, linux, "{caller:?}");
        places += 1;
    }
    assert_eq!(places, 60);
}

#[test]
fn licences_of_helpers() {
    for (asked, gpl) in lines(PROGRAMS, "helper").zip(lines(PROGRAMS, "gpl")) {
        assert_eq!(asked[1..4], gpl[1..4]);
        let caller = caller(&asked[1..]);
        // Without that licence, nothing of these is loaded at all.
        if caller.kind == ProgType::STRUCT_OPS {
            continue;
        }
        let gpl = numbers(&gpl[4..]);
        for id in numbers(&asked[4..]) {
            let helper = &HELPERS[id as usize - 1];
            assert_eq!(
                helper.called_by(&caller).0 == Licence::Gpl,
                gpl.contains(&id),
                "{} {caller:?}",
                helper.name
            );
        }
    }
}

#[test]
fn context_accesses() {
    let platform = Platform::LINUX_6_18;
    let mut cases = Vec::new();
    for (what, touch) in [("load", Touch::Load), ("loads", Touch::LoadSigned), ("store", Touch::Store)] {
        for words in lines(PROGRAMS, what) {
            let attach = AttachType::from_name(words[2]).unwrap();
            cases.push((
                prog_type(words[1]),
                attach,
                touch,
                words[3].parse::<u8>().unwrap(),
                numbers(&words[4..]),
            ));
        }
    }
    let mut asked: Vec<(ProgType, AttachType)> = cases.iter().map(|case| (case.0, case.1)).collect();
    asked.dedup();
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), 48);
    for (kind, attach) in asked {
        let context = platform.prog(kind).unwrap().context.unwrap();
        let end = i64::from(context.size).min(200) + 16;
        for touch in [Touch::Load, Touch::LoadSigned, Touch::Store] {
            for size in [1u8, 2, 4, 8] {
                if touch == Touch::LoadSigned && size == 8 {
                    continue;
                }
                let linux = cases
                    .iter()
                    .find(|case| (case.0, case.1, case.2, case.3) == (kind, attach, touch, size))
                    .map_or(&[][..], |case| &case.4);
                for offset in -8..end {
                    // What the file was not asked: it stops 16 bytes after the context's fixed part.
                    let unasked = match kind {
                        ProgType::TRACEPOINT => !(0..80).contains(&offset),
                        ProgType::SYSCALL => offset >= 40,
                        _ => false,
                    };
                    // The bytes of a writable tracepoint's buffer pointer, see RAW_TRACEPOINT_WRITABLE.
                    let of_pointer = kind == ProgType::RAW_TRACEPOINT_WRITABLE && (1..8).contains(&offset);
                    if unasked || of_pointer {
                        continue;
                    }
                    let ours = context.access(kind, attach, offset, size, touch);
                    assert_eq!(
                        ours.is_ok(),
                        linux.contains(&offset),
                        "{kind} {attach} {touch:?} {size} at {offset}: {ours:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn accesses_behind_pointers() {
    let pointers = [
        ("Common", contexts::of_socket(Socket::Common)),
        ("Full", contexts::of_socket(Socket::Full)),
        ("Tcp", contexts::of_socket(Socket::Tcp)),
        ("Xdp", contexts::of_socket(Socket::Xdp)),
        ("FlowKeys", &contexts::FLOW_KEYS),
    ];
    for (name, table) in pointers {
        for (what, touch) in [("load", Touch::Load), ("store", Touch::Store)] {
            for size in [1u8, 2, 4, 8] {
                let asked = ["behind", name, what, &size.to_string()].map(String::from);
                let linux = lines(PROGRAMS, "behind").find(|words| words[..4] == asked);
                let linux = linux.map_or(Vec::new(), |words| numbers(&words[4..]));
                for offset in -8..128 {
                    let ours = table.access(ProgType::SCHED_CLS, AttachType(0), offset, size, touch);
                    assert_eq!(
                        ours.is_ok(),
                        linux.contains(&offset),
                        "{name} {what} {size} at {offset}: {ours:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn return_values() {
    let mut cases = 0;
    for words in lines(PROGRAMS, "return") {
        let (kind, attach) = (prog_type(words[1]), AttachType::from_name(words[2]).unwrap());
        let linux = numbers(&words[3..]);
        let range = Platform::LINUX_6_18.prog(kind).unwrap().returns.range(attach);
        let ours: Vec<i64> = (-2..=10)
            .filter(|&value| {
                range.is_none_or(|(low, high)| (i64::from(low)..=i64::from(high)).contains(&value))
            })
            .collect();
        assert_eq!(ours, linux, "{kind} {attach}");
        cases += 1;
    }
    assert_eq!(cases, 55);
}

#[test]
fn programs_that_may_sleep() {
    let mut places = 0;
    for words in lines(PROGRAMS, "sleep") {
        let caller = caller(&words[1..]);
        let sleeps = Platform::LINUX_6_18.prog(caller.kind).unwrap().sleeps;
        let ours = match sleeps {
            Sleeps::Always => "always",
            _ if sleeps.may(caller.attach.unwrap_or(AttachType(0))) => "both",
            _ => "never",
        };
        assert_eq!(ours, words[4], "{caller:?}");
        places += 1;
    }
    assert_eq!(places, 60);
}

#[test]
fn map_creation() {
    let mut cases = 0;
    for base in lines(MAPS, "base") {
        let kind = MapType::from_name(&format!("BPF_MAP_TYPE_{}", base[1])).unwrap();
        let row = Platform::LINUX_6_18.map(kind).unwrap();
        let start: Vec<u32> = base[2..].iter().map(|word| word.parse().unwrap()).collect();
        for (which, what) in ["key", "value", "entries", "flag"].into_iter().enumerate() {
            for words in lines(MAPS, what).filter(|words| words[1] == base[1]) {
                let linux: i32 = words[2].parse().unwrap();
                for number in &words[3..] {
                    let number: u32 = number.parse().unwrap();
                    let mut args = [start[0], start[1], start[2], start[3]];
                    args[which] = if what == "flag" { start[3] ^ number } else { number };
                    let ours = row.check(args[0], args[1], args[2], args[3]);
                    let errno = ours.map_or_else(|mistake| mistake.errno().raw(), |()| 0);
                    assert_eq!(errno, linux, "{kind} {what} {number}: {ours:?}");
                    cases += 1;
                }
            }
        }
    }
    assert!(cases > 1400, "{cases}");
}
