//! What registers and the stack hold while a program is written.

use skep_model::platform::helper::Socket;

/// What memory a pointer leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Area {
    /// The function's own stack.
    Stack,
    /// A value of a map of the stock.
    Value(usize),
    /// A record of a ring.
    Record(u32),
    /// Other memory that may be written.
    Lent(u32),
    /// Other memory that may be read only.
    Shown(u32),
}

/// What a register or a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Kind {
    /// Nothing that may be read, or nothing that is of use.
    #[default]
    Nothing,
    /// A number of at most this.
    Number(u64),
    /// The context.
    Context,
    /// A pointer into memory, between two offsets. What has a number here may be null, and is with all of that number.
    Region { area: Area, low: i32, high: i32, null: Option<u32> },
    /// A pointer into the packet: so far behind its data, and so much of the packet is known to be there.
    Packet { id: u32, at: i32, known: i32 },
    /// The packet's end.
    End,
    /// A map that was found in another, of this shape, or null.
    Inner { map: usize, null: Option<u32> },
    /// A map of the stock.
    Map(usize),
    /// A socket, or null.
    Socket { what: Socket, null: Option<u32> },
}

impl Kind {
    /// Whether it may be null.
    pub(super) fn null(self) -> Option<u32> {
        match self {
            Kind::Region { null, .. } | Kind::Inner { null, .. } | Kind::Socket { null, .. } => null,
            _ => None,
        }
    }

    fn set_null(&mut self, to: Option<u32>) {
        if let Kind::Region { null, .. } | Kind::Inner { null, .. } | Kind::Socket { null, .. } = self {
            *null = to;
        }
    }

    /// What is known where two ways meet.
    fn join(self, other: Kind, fresh: u32) -> Kind {
        match (self, other) {
            (one, other) if one == other => one,
            (Kind::Number(one), Kind::Number(other)) => Kind::Number(one.max(other)),
            (mut pointer, Kind::Number(0)) | (Kind::Number(0), mut pointer)
                if matches!(pointer, Kind::Region { .. } | Kind::Inner { .. } | Kind::Socket { .. }) =>
            {
                if pointer.null().is_none() {
                    pointer.set_null(Some(fresh));
                }
                pointer
            }
            (Kind::Packet { id, at, known }, Kind::Packet { id: other, at: there, known: less })
                if id == other && at == there =>
            {
                Kind::Packet { id, at, known: known.min(less) }
            }
            _ => Kind::Nothing,
        }
    }
}

/// What eight bytes of the stack hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Slot {
    /// Nothing was written.
    #[default]
    Nothing,
    /// Bytes.
    Data,
    /// What a register was.
    Value(Kind),
}

/// Slots of a stack.
pub(super) const SLOTS: usize = 64;

/// What is known at a place in the program.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) regs: [Kind; 10],
    /// The first is the one right below the frame pointer.
    pub(super) stack: [Slot; SLOTS],
}

impl State {
    pub(super) fn new() -> State {
        State { regs: [Kind::Nothing; 10], stack: [Slot::Nothing; SLOTS] }
    }

    /// Changes what each register and slot holds.
    pub(super) fn each(&mut self, mut change: impl FnMut(&mut Kind)) {
        self.regs.iter_mut().for_each(&mut change);
        for slot in &mut self.stack {
            if let Slot::Value(kind) = slot {
                change(kind);
            }
        }
    }

    /// All pointers that were null with one are not, or all are.
    pub(super) fn decide(&mut self, id: u32, is_null: bool) {
        self.each(|kind| {
            if kind.null() == Some(id) {
                match is_null {
                    true => *kind = Kind::Number(0),
                    false => kind.set_null(None),
                }
            }
        });
    }

    /// The packet may have changed.
    pub(super) fn forget_packet(&mut self) {
        self.each(|kind| {
            if matches!(kind, Kind::Packet { .. } | Kind::End) {
                *kind = Kind::Nothing;
            }
        });
    }

    /// A call has left nothing in r1 to r5.
    pub(super) fn forget_scratch(&mut self) {
        self.regs[1..6].fill(Kind::Nothing);
    }

    /// Nothing is known of numbers any more.
    pub(super) fn widen(&mut self) {
        self.each(|kind| {
            if let Kind::Number(most) = kind {
                *most = u64::MAX;
            }
        });
    }

    /// What is known where two ways meet.
    pub(super) fn join(&mut self, other: &State, mut fresh: impl FnMut() -> u32) {
        for (mine, theirs) in self.regs.iter_mut().zip(&other.regs) {
            *mine = mine.join(*theirs, fresh());
        }
        for (mine, theirs) in self.stack.iter_mut().zip(&other.stack) {
            *mine = match (*mine, *theirs) {
                (Slot::Value(one), Slot::Value(other)) => match one.join(other, fresh()) {
                    Kind::Nothing => Slot::Nothing,
                    kind => Slot::Value(kind),
                },
                (Slot::Data | Slot::Value(Kind::Number(_)), Slot::Data | Slot::Value(Kind::Number(_))) => {
                    Slot::Data
                }
                (one, other) if one == other => one,
                _ => Slot::Nothing,
            };
        }
    }
}
