//! Checks by comparison with what is left: how much room there is behind a pointer is computed once, where the pointer is, and a
//! check of something behind it is one comparison.
//!
//! | what is checked | when | the room is computed |
//! | --- | --- | --- |
//! | a sum of a pointer and an index | in a loop that the pointer comes from outside of, and that calls nothing | in front of the outermost such loop |
//! | what is at a number behind a pointer | the same | the same |
//! | the same | at least three times in a block, with no call in between | in front of the first |
//! | the same | at least three times, in a function that calls nothing | behind the pointer itself |
//!
//! A check whose room does not suffice looks again, so that what is refused, and how, does not depend on any of this.

use super::params::Incoming;
use super::regions::Origin;
use crate::cover::MAX_FACTS;
use crate::error::BuildErrorKind;
use crate::ops::{Measure, What};
use crate::source::Region;
use crate::ssa::{BlockData, Function, MemAddr, Node, Sum, Val, filled, grow};
use alloc_crate::vec::Vec;
use skep_isa::{AluOp, Size, Width};

/// Bounds the rooms of a function, so that each is a fact that can be followed.
const MAX_ROOMS: usize = MAX_FACTS - 8;
/// Bounds the loops around a block that are looked at.
const MAX_DEPTH: usize = 8;
/// Counts the checks from which on computing a room pays that is not in front of a loop.
const WORTH: u32 = 3;
/// Bounds the nodes in which such checks are looked for.
const RUN: usize = 64;

/// Is where a room is computed: in front of a node, or of a block's end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Spot {
    block: u32,
    before: u32,
}

/// Is a room, and where it is.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Room {
    spot: Spot,
    base: Val,
    end: u32,
    scale: u8,
    write: bool,
    region: Region,
}

/// Is a pointer with an index added.
#[derive(Clone, Copy)]
struct Split {
    base: Val,
    index: Val,
    scale: u8,
}

/// Is a check that compares with a room from now on.
#[derive(Clone, Copy)]
struct Change {
    check: Val,
    room: usize,
    /// Says what is compared, where the address is a sum.
    measure: Measure,
}

/// Lets checks compare with rooms, where that pays. Says whether anything has changed; then values may be left that nobody
/// reads.
///
/// # Errors
///
/// [`BuildErrorKind::OutOfMemory`] and [`BuildErrorKind::TooLarge`].
pub(super) fn measure(function: &mut Function, origins: &[Origin]) -> Result<bool, BuildErrorKind> {
    if !function.nodes.iter().any(|node| checked(*node).is_some()) {
        return Ok(false);
    }
    let mut pass = Rooms {
        function,
        origins,
        incoming: Incoming::new(function)?,
        places: super::params::places(function)?,
        loops: Loops::new(function)?,
        readers: Readers::new(function)?,
        chosen: filled(None, function.nodes.len())?,
        changes: Vec::new(),
        rooms: Vec::new(),
    };
    pass.plan()?;
    let Rooms { chosen, changes, rooms, .. } = pass;
    if rooms.is_empty() {
        return Ok(false);
    }
    for node in &mut function.nodes {
        if let Some(split) = summable(*node).and_then(|addr| chosen[addr.base.index()]?.split()) {
            *node = at_sum(*node, split);
        }
    }
    insert(function, &changes, &rooms, &chosen)?;
    Ok(true)
}

/// Returns what a check that can compare with a room checks.
fn checked(node: Node) -> Option<(MemAddr, Size, bool, Region)> {
    let Node::Check { addr, bytes, write, region } = node else { return None };
    let size = match bytes {
        1 => Size::B,
        2 => Size::H,
        4 => Size::W,
        8 => Size::Dw,
        _ => return None,
    };
    (region != Region::Unknown).then_some((addr, size, write, region))
}

/// Returns the address of an access, or of a check, that can add it up.
fn summable(node: Node) -> Option<MemAddr> {
    match node {
        // What is stored must not be the sum itself.
        Node::Store { addr, value, .. } => (value != addr.base).then_some(addr),
        Node::Load { addr, .. } | Node::StoreImm { addr, .. } => Some(addr),
        node => checked(node).map(|(addr, ..)| addr),
    }
}

/// Lets an access add up its address; checks follow with their rooms.
fn at_sum(node: Node, split: Split) -> Node {
    let sum = |off| Sum { base: split.base, index: split.index, off, scale: split.scale };
    match node {
        Node::Load { kind, addr } => Node::LoadSum { kind, sum: sum(addr.off) },
        Node::Store { size, addr, value } => Node::StoreSum { size, sum: sum(addr.off), value },
        Node::StoreImm { size, addr, imm } => Node::StoreImmSum { size, sum: sum(addr.off), imm },
        node => node,
    }
}

fn calls(node: &Node) -> bool {
    matches!(node, Node::Helper { .. } | Node::Call { .. } | Node::CallReg { .. } | Node::Packet { .. })
}

/// Counts who reads what.
struct Readers {
    /// Counts, for each value, all readers.
    all: Vec<u32>,
    /// Counts those in its own block that could add it up themselves.
    summing: Vec<u32>,
    /// Counts the checks at a number behind it.
    checks: Vec<u32>,
    /// Names the block of each node.
    blocks: Vec<u32>,
}

/// Says whether what is at an offset lies behind its pointer, and ends where a positive number can still say.
const fn is_behind(off: i32) -> bool {
    0 <= off && off <= i32::MAX - 8
}

impl Readers {
    fn new(function: &Function) -> Result<Readers, BuildErrorKind> {
        let none = || filled(0, function.nodes.len());
        let mut readers =
            Readers { all: super::uses(function)?, summing: none()?, checks: none()?, blocks: none()? };
        for (block, number) in function.blocks.iter().zip(0..) {
            for val in block.nodes() {
                readers.blocks[val.index()] = number;
                let node = function.node(val);
                if let Some(addr) = summable(node) {
                    readers.summing[addr.base.index()] += u32::from(addr.base >= block.first);
                }
                if let Some((addr, ..)) = checked(node) {
                    readers.checks[addr.base.index()] += u32::from(is_behind(addr.off));
                }
            }
        }
        Ok(readers)
    }
}

/// Says what is decided of an address.
#[derive(Clone, Copy)]
enum Choice {
    /// All its readers add it up.
    Sum(Split),
    /// There was no room for one of its checks.
    Plain,
}

impl Choice {
    fn split(self) -> Option<Split> {
        match self {
            Choice::Sum(split) => Some(split),
            Choice::Plain => None,
        }
    }
}

struct Rooms<'r> {
    function: &'r Function,
    origins: &'r [Origin],
    incoming: Incoming,
    /// Says, for each parameter, which block it is of, and its position there.
    places: Vec<(u32, u32)>,
    loops: Loops,
    readers: Readers,
    /// Holds what is decided of each address that is a sum.
    chosen: Vec<Option<Choice>>,
    /// Holds the checks that change, in order.
    changes: Vec<Change>,
    rooms: Vec<Room>,
}

impl Rooms<'_> {
    /// Decides what becomes of each check.
    fn plan(&mut self) -> Result<(), BuildErrorKind> {
        let function = self.function;
        let calm = !function.nodes.iter().any(calls);
        // Holds the pointers that have a room in a block, since the last call.
        let mut near: Vec<(Val, Spot)> = Vec::new();
        for (block, number) in function.blocks.iter().zip(0..) {
            near.clear();
            for val in block.nodes() {
                let node = function.node(val);
                if calls(&node) {
                    near.clear();
                }
                let Some((addr, size, write, region)) = checked(node) else { continue };
                if let Some(split) = self.split(addr.base) {
                    if let Some(spot) = self.outside(number, split.base) {
                        let measure = self.measure(addr.off, split);
                        let (end, scale) = match measure {
                            Measure::Index => (addr.off as u32 + size.bytes(), split.scale),
                            Measure::Distance => (size.bytes(), 0),
                        };
                        let base = split.base;
                        let room = self.room(Room { spot, base, end, scale, write, region })?;
                        let change = room.map(|room| Change { check: val, room, measure });
                        self.change_sum(addr.base, split, change)?;
                        continue;
                    }
                }
                if !is_behind(addr.off) {
                    continue;
                }
                let base = addr.base;
                let spot = if let Some(spot) = self.outside(number, base) {
                    spot
                } else if calm && self.readers.checks[base.index()] >= WORTH {
                    self.behind(base)
                } else if let Some((_, spot)) = near.iter().find(|(val, _)| *val == base) {
                    *spot
                } else if self.run(val, block.end, base) >= WORTH {
                    let spot = Spot { block: number, before: val.0 };
                    grow(&mut near, (base, spot))?;
                    spot
                } else {
                    continue;
                };
                let room = self.room(Room { spot, base, end: 1, scale: 0, write, region })?;
                if let Some(room) = room {
                    grow(&mut self.changes, Change { check: val, room, measure: Measure::Distance })?;
                }
            }
        }
        // Where not all checks of an address could change, none does.
        let (function, chosen) = (self.function, &self.chosen);
        self.changes.retain(|change| {
            let addr = summable(function.node(change.check));
            !addr.is_some_and(|addr| matches!(chosen[addr.base.index()], Some(Choice::Plain)))
        });
        Ok(())
    }

    /// Notes that a check of a sum changes, or that none of that address can.
    fn change_sum(
        &mut self,
        address: Val,
        split: Split,
        change: Option<Change>,
    ) -> Result<(), BuildErrorKind> {
        let choice = &mut self.chosen[address.index()];
        match (change, &choice) {
            (Some(change), None | Some(Choice::Sum(_))) => {
                *choice = Some(Choice::Sum(split));
                grow(&mut self.changes, change)
            }
            _ => {
                *choice = Some(Choice::Plain);
                Ok(())
            }
        }
    }

    /// Finds the sum that a value is, if all its readers can add it up.
    fn split(&self, val: Val) -> Option<Split> {
        if self.readers.summing[val.index()] != self.readers.all[val.index()] {
            return None;
        }
        let Node::Alu { op: AluOp::Add, width: Width::W64, a, b } = self.function.node(val) else {
            return None;
        };
        let pointer = |val: Val| matches!(self.origins[val.index()], Origin::Pointer(_));
        let (base, index) = match (pointer(a), pointer(b)) {
            (true, false) => (a, b),
            (false, true) => (b, a),
            _ => return None,
        };
        Some(match self.function.node(index) {
            Node::AluImm { op: AluOp::Lsh, width: Width::W64, a, imm: scale @ 1..=3 }
                if self.readers.all[index.index()] == 1 =>
            {
                Split { base, index: a, scale: scale as u8 }
            }
            _ => Split { base, index, scale: 0 },
        })
    }

    /// Says what a check of a sum had best compare: the index, unless it may well be below zero where the sum is not.
    fn measure(&self, off: i32, split: Split) -> Measure {
        let falls =
            |val: Val| matches!(self.function.node(val), Node::AluImm { op: AluOp::Add, imm, .. } if imm < 0);
        let (block, position) = self.places[split.index.index()];
        let comes_down = || {
            self.incoming
                .of(block as usize)
                .iter()
                .any(|list| falls(super::params::brought(self.function, *list, position)))
        };
        let may_fall = match self.function.node(split.index) {
            Node::Param if block != 0 => comes_down(),
            _ => falls(split.index),
        };
        if !is_behind(off) || may_fall { Measure::Distance } else { Measure::Index }
    }

    /// Finds the outermost loop around a block that calls nothing and that a value comes from outside of, and returns where it
    /// is entered.
    fn outside(&self, block: u32, val: Val) -> Option<Spot> {
        let mut found = None;
        let mut inner = self.loops.around[block as usize];
        while let Some(number) = inner {
            let around = self.loops.list[number as usize];
            if val >= self.function.blocks[around.first as usize].first {
                break;
            }
            if let Some(entry) = around.entry {
                found = Some(Spot { block: entry, before: self.function.blocks[entry as usize].end.0 });
            }
            inner = around.outer;
        }
        found
    }

    /// Returns the spot behind a value.
    fn behind(&self, val: Val) -> Spot {
        let number = self.readers.blocks[val.index()];
        let block = &self.function.blocks[number as usize];
        Spot { block: number, before: (val.0 + 1).max(block.first.0 + block.params) }
    }

    /// Counts the checks at numbers behind a pointer, up to the next call, as far as that matters.
    fn run(&self, from: Val, end: Val, base: Val) -> u32 {
        let nodes = (from.0..end.0).take(RUN).map(|val| self.function.nodes[val as usize]);
        let quiet = nodes.take_while(|node| !calls(node));
        let behind =
            |node: &Node| checked(*node).is_some_and(|(addr, ..)| addr.base == base && is_behind(addr.off));
        quiet.filter(behind).count() as u32
    }

    /// Names a room, an equal one where there is one; nothing where there are too many.
    fn room(&mut self, wanted: Room) -> Result<Option<usize>, BuildErrorKind> {
        let same = |room: &Room| Room { write: wanted.write, ..*room } == wanted;
        if let Some(found) = self.rooms.iter().position(same) {
            // What may be written may be read.
            self.rooms[found].write |= wanted.write;
            return Ok(Some(found));
        }
        if self.rooms.len() == MAX_ROOMS {
            return Ok(None);
        }
        grow(&mut self.rooms, wanted)?;
        Ok(Some(self.rooms.len() - 1))
    }
}

/// Is a loop as far as the order of blocks tells.
#[derive(Clone, Copy)]
struct Loop {
    first: u32,
    last: u32,
    /// Names the block in front of it from which alone it is entered, at its first block alone; nothing where there is none, or
    /// where the loop calls.
    entry: Option<u32>,
    /// Names the loop around it.
    outer: Option<u32>,
}

/// Holds the loops that lie in each other or beside each other.
struct Loops {
    list: Vec<Loop>,
    /// Names the innermost one around each block.
    around: Vec<Option<u32>>,
}

impl Loops {
    fn new(function: &Function) -> Result<Loops, BuildErrorKind> {
        let count = function.blocks.len();
        let mut last = filled(0u32, count)?;
        let mut calling = filled(0u32, count + 1)?;
        for (block, number) in function.blocks.iter().zip(0..) {
            for edge in block.term.edges().filter(|edge| edge.to.0 <= number) {
                last[edge.to.index()] = number;
            }
            let calls = block.nodes().any(|val| calls(&function.nodes[val.index()]));
            calling[number as usize + 1] = calling[number as usize] + u32::from(calls);
        }
        let mut loops = Loops { list: Vec::new(), around: filled(None, count)? };
        let incoming = Preds::new(function)?;
        let mut open: Vec<u32> = Vec::new();
        for number in 0..count as u32 {
            while open.last().is_some_and(|l| loops.list[*l as usize].last < number) {
                open.pop();
            }
            let end = last[number as usize];
            let has_back_edge = end > number || loops_itself(function, number);
            let fits = open.last().is_none_or(|l| end <= loops.list[*l as usize].last);
            if has_back_edge && fits && open.len() < MAX_DEPTH {
                let calls = calling[end.max(number) as usize + 1] != calling[number as usize];
                let entry = if calls { None } else { incoming.entry(number, end.max(number)) };
                let l = Loop { first: number, last: end.max(number), entry, outer: open.last().copied() };
                grow(&mut open, loops.list.len() as u32)?;
                grow(&mut loops.list, l)?;
            }
            loops.around[number as usize] = open.last().copied();
        }
        Ok(loops)
    }
}

fn loops_itself(function: &Function, number: u32) -> bool {
    function.blocks[number as usize].term.edges().any(|edge| edge.to.0 == number)
}

/// Holds the blocks that lead to each block.
struct Preds {
    from: Vec<u32>,
    starts: Vec<u32>,
}

impl Preds {
    fn new(function: &Function) -> Result<Preds, BuildErrorKind> {
        let count = function.blocks.len();
        let mut starts = filled(0u32, count + 1)?;
        let edges = || {
            function
                .blocks
                .iter()
                .zip(0u32..)
                .flat_map(|(block, from)| block.term.edges().map(move |edge| (from, edge.to.index())))
        };
        edges().for_each(|(_, to)| starts[to + 1] += 1);
        for index in 0..count {
            starts[index + 1] += starts[index];
        }
        let mut from = filled(0u32, starts[count] as usize)?;
        let mut next = filled(0u32, count)?;
        for (source, to) in edges() {
            from[(starts[to] + next[to]) as usize] = source;
            next[to] += 1;
        }
        Ok(Preds { from, starts })
    }

    fn of(&self, block: u32) -> &[u32] {
        &self.from[self.starts[block as usize] as usize..self.starts[block as usize + 1] as usize]
    }

    /// Returns the one block from which a loop is entered, at its first block.
    fn entry(&self, first: u32, last: u32) -> Option<u32> {
        let outside = |from: &&u32| !(first..=last).contains(*from);
        let mut entries = self.of(first).iter().filter(outside);
        let entry = *entries.next()?;
        let only = entries.all(|other| *other == entry);
        let closed = (first + 1..=last).all(|block| !self.of(block).iter().any(|from| outside(&from)));
        (only && closed && entry < first).then_some(entry)
    }
}

/// Puts the rooms where they belong, and lets the checks compare with them; all values behind get other numbers.
fn insert(
    function: &mut Function,
    changes: &[Change],
    rooms: &[Room],
    chosen: &[Option<Choice>],
) -> Result<(), BuildErrorKind> {
    let mut order = filled(0usize, rooms.len())?;
    for (place, number) in order.iter_mut().zip(0..) {
        *place = number;
    }
    order.sort_unstable_by_key(|number| rooms[*number].spot);
    let old = core::mem::take(&mut function.nodes);
    let old_at = core::mem::take(&mut function.at);
    let mut moved = filled(Val(0), old.len())?;
    let mut made = filled(Val(0), rooms.len())?;
    let mut order = order.into_iter().peekable();
    let reserved = function.nodes.try_reserve(old.len() + rooms.len());
    let reserved = reserved.and_then(|()| function.at.try_reserve(old.len() + rooms.len()));
    reserved.map_err(|_| BuildErrorKind::OutOfMemory)?;
    for number in 0..function.blocks.len() {
        let block = function.blocks[number];
        let first = Val(function.nodes.len() as u32);
        let mut from = block.first;
        loop {
            let room = order.next_if(|room| rooms[*room].spot.block == number as u32);
            let to = room.map_or(block.end, |room| Val(rooms[room].spot.before));
            let range = from.index()..to.index();
            for (moved, val) in moved[range.clone()].iter_mut().zip(function.nodes.len() as u32..) {
                *moved = Val(val);
            }
            function.nodes.extend_from_slice(&old[range.clone()]);
            function.at.extend_from_slice(&old_at[range]);
            let Some(room) = room else { break };
            let Room { base, end, scale, write, region, .. } = rooms[room];
            let at = if to < block.end { old_at[to.index()] } else { block.at };
            made[room] = function.push(Node::Room { base, end, scale, write, region }, at)?;
            from = to;
        }
        let end = Val(function.nodes.len() as u32);
        function.blocks[number] = BlockData { first, end, ..block };
    }
    for node in &mut function.nodes {
        node.map_operands(|val| moved[val.index()]);
    }
    for change in changes {
        let Some((old, size, write, region)) = checked(old[change.check.index()]) else { continue };
        let (room, at) = (made[change.room], |val: Val| moved[val.index()]);
        let check = match chosen[old.base.index()].and_then(Choice::split) {
            None => {
                let addr = MemAddr { base: at(old.base), off: old.off };
                Node::CheckRoom { addr, size, write, region, room }
            }
            Some(Split { base, index, scale }) => {
                let what = What::new(scale, size, write, change.measure);
                Node::CheckSum { base: at(base), index: at(index), off: old.off, what, region, room }
            }
        };
        function.nodes[at(change.check).index()] = check;
    }
    for val in &mut function.pool {
        *val = moved[val.index()];
    }
    for block in &mut function.blocks {
        block.term.map_operands(|val| moved[val.index()]);
    }
    Ok(())
}
