//! What programs load and store through pointers to sockets and to the flow dissector's keys.

use super::answers::{attach_of, list};
use super::ask::{Asker, Question, Wanted, insn};
use anyhow::{Result, anyhow};
use skep_abi::{FuncId, MapType, ProgType as T};
use std::fmt::Write;

/// How far is asked; the longest struct has 112 bytes.
const ASKED: std::ops::Range<i64> = -8..128;

/// A width and the operation codes of its load and store.
const WIDTHS: &[(u8, u8, u8)] = &[(1, 0x71, 0x73), (2, 0x69, 0x6b), (4, 0x61, 0x63), (8, 0x79, 0x7b)];

/// Where `__sk_buff` has `sk` and `flow_keys`.
const SK: i16 = 168;
const FLOW_KEYS: i16 = 144;

/// Asks for each kind of pointer.
pub(super) fn pointers(asker: &Asker, text: &mut String) -> Result<()> {
    let wanted = Wanted { kind: MapType::XSKMAP, key: 4, value: 4, entries: 1, flags: 0 };
    let sockets = asker.create(wanted).map_err(|errno| anyhow!("XSKMAP: {errno}"))?;
    let leave_if_null = |reg| [insn::raw(0x55, reg, 0, 2, 0), insn::set(0, 0), insn::exit()].concat();
    let common = [insn::raw(0x79, 1, 1, SK, 0).to_vec(), leave_if_null(1)].concat();
    let cast = |helper: FuncId| [common.clone(), insn::call(helper.0).to_vec(), leave_if_null(0)].concat();
    let xdp = [
        insn::raw(0x62, 10, 0, -4, 0).to_vec(),
        insn::copy(2, 10).to_vec(),
        insn::add(2, -4).to_vec(),
        insn::wide(1, 1, sockets.fd().raw()).to_vec(),
        insn::call(FuncId::MAP_LOOKUP_ELEM.0).to_vec(),
        leave_if_null(0),
    ]
    .concat();
    let keys = insn::raw(0x79, 1, 1, FLOW_KEYS, 0).to_vec();
    // The pointer's name, the type that gets it, how, and where it is then.
    let ways = [
        ("Common", T::SCHED_CLS, common.clone(), 1),
        ("Full", T::SCHED_CLS, cast(FuncId::SK_FULLSOCK), 0),
        ("Tcp", T::SCHED_CLS, cast(FuncId::TCP_SOCK), 0),
        ("Xdp", T::XDP, xdp, 0),
        ("FlowKeys", T::FLOW_DISSECTOR, keys, 1),
    ];
    for (name, kind, get, reg) in ways {
        for &(width, load, store) in WIDTHS {
            let offsets = |access: &dyn Fn(i16) -> [u8; 8]| {
                let passes = |offset: &i64| {
                    let access = access(*offset as i16);
                    let insns =
                        [&get[..], &insn::set(2, 1), &access, &insn::set(0, 0), &insn::exit()].concat();
                    let attach = attach_of(kind);
                    asker.load(Question { kind, attach, target: "", license: "GPL", insns: &insns }).is_ok()
                };
                list(ASKED.filter(passes))
            };
            for (what, found) in [
                ("load", offsets(&|offset| insn::raw(load, 2, reg, offset, 0))),
                ("store", offsets(&|offset| insn::raw(store, reg, 2, offset, 0))),
            ] {
                if !found.is_empty() {
                    writeln!(text, "behind {name} {what} {width}{found}")?;
                }
            }
        }
    }
    Ok(())
}
