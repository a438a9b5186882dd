//! The tables against what Linux 6.18 answered; see the head of each file in `data/`.

use skep_abi::{AttachType, FuncId, MapType, ProgType};
use skep_model::platform::Platform;
use skep_model::platform::context::Touch;
use skep_model::platform::helper::{Caller, Licence};
use skep_model::platform::helpers::HELPERS;

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

#[test]
fn helpers_by_program_type() {
    let mut types = 0;
    for words in lines(PROGRAMS, "helper") {
        let kind = prog_type(words[1]);
        let linux = numbers(&words[2..]);
        // Asked at the first attach type of each kind; what `allowed` refuses counts as there.
        let attach = match kind {
            ProgType::CGROUP_SOCK_ADDR => AttachType::CGROUP_INET4_CONNECT,
            ProgType::CGROUP_SOCKOPT => AttachType::CGROUP_GETSOCKOPT,
            _ => AttachType(0),
        };
        let caller = Caller { attach: Some(attach), ..Caller::of(kind, Licence::Gpl) };
        let ours: Vec<i64> = HELPERS
            .iter()
            .filter(|helper| match kind {
                ProgType::SYSCALL => helper.progs.contains(kind),
                _ => helper.admits(&caller),
            })
            .map(|helper| helper.id.0.into())
            .collect();
        // probe_write_user and override_return depend on the kernel's configuration and lockdown; get_func_ip is
        // refused later, by `check_get_func_ip`.
        let apart = [FuncId::PROBE_WRITE_USER, FuncId::OVERRIDE_RETURN, FuncId::GET_FUNC_IP]
            .map(|id| i64::from(id.0));
        let [ours, linux] = [ours, linux].map(|mut ids| {
            ids.retain(|id| !apart.contains(id));
            ids
        });
        assert_eq!(ours, linux, "{kind}");
        types += 1;
    }
    assert_eq!(types, 27);
}

#[test]
fn licences_of_helpers() {
    let linux = numbers(&lines(PROGRAMS, "gpl").next().unwrap()[1..]);
    for helper in HELPERS {
        let id = i64::from(helper.id.0);
        let asked = lines(PROGRAMS, "helper").any(|words| numbers(&words[2..]).contains(&id));
        if asked {
            assert_eq!(helper.licence == Licence::Gpl, linux.contains(&id), "{}", helper.name);
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
    assert_eq!(asked.len(), 18);
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
    assert_eq!(cases, 51);
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
