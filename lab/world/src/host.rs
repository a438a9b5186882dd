//! A host's own program types, contexts, helpers and objects.

use skep_abi::{FuncId, ProgType};
use skep_model::platform::context::{Context, Field};
use skep_model::platform::helper::{Arg, Effects, Helper, MemAccess, Nullable, Ret, Work, Zero};
use skep_model::platform::prog::{Prog, Returns};
use skep_model::platform::{OWN_HELPERS, OWN_TYPES, Platform};

static CONTEXT: Context = Context {
    name: "event",
    size: 32,
    fields: &[
        Field::own("kind", 0, 4),
        Field::own("mark", 4, 4).writable(),
        Field::own_bytes("text", 8, 8),
        Field::own_bytes("scratch", 16, 16).writable(),
    ],
};

static BOX: Context = Context {
    name: "box",
    size: 16,
    fields: &[Field::own("weight", 0, 8), Field::own("label", 8, 4).writable()],
};
static LID: Context = Context::opaque("lid");

/// By number: 0 acquires a box, 1 releases one, 2 takes one, 3 takes one or null, 4 lends a lid, 5 takes one, 6 reads memory, 7 fills it.
static HELPERS: [Helper; 8] = [
    Helper::own(own(0), "box_open").effects(Effects::ACQUIRES).call(
        &[],
        Ret::OwnOrNull(&BOX),
        Work::Fixed(1),
    ),
    Helper::own(own(1), "box_close").call(&[Arg::OwnRelease(&BOX)], Ret::Void, Work::Fixed(1)),
    Helper::own(own(2), "box_shake").call(&[Arg::Own(&BOX, Nullable::No)], Ret::Int, Work::Fixed(1)),
    Helper::own(own(3), "box_look").call(&[Arg::Own(&BOX, Nullable::Yes)], Ret::Int, Work::Fixed(1)),
    Helper::own(own(4), "lid_find").call(&[], Ret::OwnOrNull(&LID), Work::Fixed(1)),
    Helper::own(own(5), "lid_lift").call(&[Arg::Own(&LID, Nullable::No)], Ret::Int, Work::Fixed(1)),
    Helper::own(own(6), "say").call(
        &[Arg::Mem(MemAccess::Read, Nullable::No), Arg::Size(Zero::Refused)],
        Ret::Int,
        Work::Bytes(2),
    ),
    Helper::own(own(7), "ask").call(
        &[Arg::Mem(MemAccess::Write, Nullable::No), Arg::Size(Zero::Refused)],
        Ret::Int,
        Work::Bytes(2),
    ),
];

static PROGS: [Prog; 1] = [Prog::own(ProgType(OWN_TYPES), &CONTEXT).returns(Returns::Within(0, 3))];

/// Linux 6.18 with a program type of a host's own, the first, and helpers that take, lend and use its objects.
pub const HOST: Platform = Platform { own_progs: &PROGS, own_helpers: &HELPERS, ..Platform::LINUX_6_18 };

const fn own(number: u32) -> FuncId {
    FuncId(OWN_HELPERS + number)
}
