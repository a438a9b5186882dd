//! Frames: entering and leaving functions, and what keeps objects alive.

use super::{Flow, Machine, Trap};
use crate::object::{Object, State};
use crate::observe::{FrameView, Frames};
use crate::stack::Shadow;
use crate::{FaultKind, MAX_FRAMES, ObjectId, Observer, Program, Region, Rights, Stack, Value};
use skep_isa::{InsnIdx, Reg};

/// What one call may count down before `may_goto` jumps (`BPF_MAX_LOOPS` in `include/linux/bpf.h`).
const MAX_LOOPS: u32 = 8 * 1024 * 1024;

/// Who gets what the function returns.
#[derive(Clone, Copy, Debug)]
pub(super) enum Caller<'m> {
    /// Whoever called the machine: the run itself, or a helper that calls back.
    Host,
    /// A function of this program, which goes on at this slot with these r6 to r9.
    Function { program: &'m Program, next: usize, saved: [Value; 4] },
}

/// One active function.
pub(super) struct Frame<'m> {
    pub(super) caller: Caller<'m>,
    pub(super) object: ObjectId,
    pub(super) shadow: Shadow,
    loops_left: u32,
}

/// The frames, for an observer.
pub(super) struct View<'a, 'm> {
    pub(super) frames: &'a [Frame<'m>],
    pub(super) stack: &'m Stack,
}

impl Frames for View<'_, '_> {
    fn frame(&self, depth: usize) -> Option<FrameView<'_>> {
        let shadow = &self.frames.get(depth)?.shadow;
        Some(FrameView { bytes: self.stack.frame(depth)?, shadow })
    }
}

impl<'m, O: Observer> Machine<'m, '_, O> {
    /// Makes a fresh frame the current one.
    pub(super) fn push_frame(&mut self, caller: Caller<'m>) -> Result<(), FaultKind> {
        let depth = match caller {
            Caller::Host if self.frames.is_empty() => 0,
            _ => self.depth + 1,
        };
        if depth >= MAX_FRAMES {
            return Err(FaultKind::CallDepth);
        }
        let bytes = self.stack.frame(depth).ok_or(FaultKind::CallDepth)?;
        let object = Object { frame: depth, ..Object::new(Region::Stack, Rights::ReadWrite, bytes) };
        let object = self.create(object)?;
        if depth == self.frames.len() {
            self.frames.try_reserve(1).map_err(|_| FaultKind::OutOfMemory)?;
            self.frames.push(Frame { caller, object, shadow: Shadow::default(), loops_left: 0 });
        }
        self.depth = depth;
        if let Some(frame) = self.frames.get_mut(depth) {
            frame.caller = caller;
        }
        self.reset_frame(object)
    }

    /// Makes the current frame as good as new, under a new object: nothing is written in it.
    pub(super) fn reset_frame(&mut self, object: ObjectId) -> Result<(), FaultKind> {
        let size = self.stack.frame_bytes() as usize;
        let frame = self.frames.get_mut(self.depth).ok_or(FaultKind::CallDepth)?;
        frame.shadow.reset(size).map_err(|_| FaultKind::OutOfMemory)?;
        frame.object = object;
        frame.loops_left = MAX_LOOPS;
        if let Some(object) = self.objects.find(object) {
            object.bytes.fill(0);
        }
        self.regs[10] = Value::Pointer { object, offset: size as i64 };
        Ok(())
    }

    /// Calls a function of the same program.
    pub(super) fn call_local(&mut self, target: InsnIdx) -> Result<(), Trap> {
        let [.., r6, r7, r8, r9, _] = self.regs;
        let caller = Caller::Function { program: self.program, next: self.next, saved: [r6, r7, r8, r9] };
        self.push_frame(caller)?;
        self.regs[0] = Value::Uninit;
        self.regs[6..10].fill(Value::Uninit);
        self.next = target.index();
        self.charge_entry()
    }

    /// Returns from the current function; r0 stays.
    pub(super) fn exit(&mut self, floor: usize) -> Result<Flow, Trap> {
        let value = self.regs[0];
        if self.depth == floor {
            return Ok(Flow::Returned(value));
        }
        let Some(caller) = self.leave() else { return Ok(Flow::Returned(value)) };
        match caller {
            Caller::Host => Ok(Flow::Returned(value)),
            Caller::Function { program, next, saved } => {
                self.switch(program);
                self.next = next;
                self.regs[1..6].fill(Value::Uninit);
                self.regs[6..10].copy_from_slice(&saved);
                // A call is one slot.
                self.at = next - 1;
                self.charge_edge()?;
                Ok(Flow::Next)
            }
        }
    }

    /// Ends the current frame and makes the one below current.
    pub(super) fn leave(&mut self) -> Option<Caller<'m>> {
        let frame = self.frames.get(self.depth)?;
        let caller = frame.caller;
        self.objects.kill(frame.object);
        self.depth = self.depth.checked_sub(1)?;
        let below = self.frames.get(self.depth)?.object;
        let size = i64::from(self.stack.frame_bytes());
        self.regs[Reg::FP.index()] = Value::Pointer { object: below, offset: size };
        Some(caller)
    }

    /// Makes a program the one that runs.
    pub(super) fn switch(&mut self, program: &'m Program) {
        if core::ptr::eq(self.program, program) {
            return;
        }
        self.program = program;
        self.values.clear();
        self.world.switched(program);
    }

    /// Counts one `may_goto`, and tells whether it jumps.
    pub(super) fn loop_is_over(&mut self) -> bool {
        let Some(frame) = self.frames.get_mut(self.depth) else { return true };
        match frame.loops_left.checked_sub(1) {
            None => true,
            Some(left) => {
                frame.loops_left = left;
                false
            }
        }
    }

    /// Makes an object, after freeing those that nothing refers to if the table is full.
    pub(super) fn create(&mut self, object: Object<'m>) -> Result<ObjectId, FaultKind> {
        debug_assert!(object.state == State::Live);
        if self.objects.is_full() {
            self.collect()?;
        }
        self.objects.insert(Object { born: InsnIdx(self.at as u32), ..object })
    }

    #[cold]
    fn collect(&mut self) -> Result<(), FaultKind> {
        let Machine { regs, frames, depth, objects, packet, values, pending, .. } = self;
        objects.collect(|mark| {
            let mut see = |value: Value| {
                if let Value::Pointer { object, .. } = value {
                    mark(object);
                }
            };
            regs.iter().copied().for_each(&mut see);
            pending.iter().flatten().copied().for_each(&mut see);
            for frame in frames.iter().take(*depth + 1) {
                frame.shadow.pointers().for_each(&mut see);
                if let Caller::Function { saved, .. } = frame.caller {
                    saved.into_iter().for_each(&mut see);
                }
            }
            packet.iter().copied().for_each(&mut *mark);
            values.iter().flatten().copied().for_each(&mut *mark);
        })
    }
}
