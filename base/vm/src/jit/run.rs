//! Entering machine code, and what it calls.

use super::program::JitProgram;
use crate::calls::{CallEnd, Calls, Reach, Waiting};
use crate::cpu::Cpu;
use crate::regions::{Found, Regions};
use crate::stop::{Stop, StopKind};
use core::marker::PhantomData;
use core::mem::offset_of;
use core::ops::Range;
use core::ptr::NonNull;
use skep_ir::handle;
use skep_ir::ssa::eval::MAX_DEPTH;
use skep_isa::PacketSize;
use skep_jit::state::{Site, SiteKind, State, Window};
use skep_mem::{Code, Fuel, Meter, Panicked, Spent};

/// Counts the units that code may take before it asks, which is a look at what another thread has left: it goes through this
/// many in about a microsecond.
const BATCH: u64 = 16 << 10;

/// Is what code returns, in `rax` and `rdx`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Returned {
    value: u64,
    /// Is zero if the value counts.
    ended: u64,
}

/// Counts the words of stack that who takes another one's place finds: those of as many functions as may be active, of 512 bytes each.
const ENTERED_STACK_WORDS: usize = MAX_DEPTH * 512 / size_of::<u64>();
/// Counts the windows of code that needs nobody: the stack's.
const ALONE_WINDOWS: u32 = 1;
/// Names no site.
const NO_SITE: u32 = u32::MAX;
/// Is what code returns besides a value when a run goes on elsewhere.
const GONE: u64 = 2;

/// Is where a program is entered by one that makes way for it.
#[derive(Clone, Copy, Debug)]
pub struct Entrance<'e> {
    address: u64,
    program: PhantomData<&'e ()>,
}

impl Entrance<'_> {
    pub(crate) fn address(self) -> u64 {
        self.address
    }
}

/// Says how the code of a run was left before it was at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Another program [takes the place](crate::Next::Elsewhere) of the one that ran, and is still to be run.
    Elsewhere,
    /// The program that ran last has stopped, and [knows](JitProgram::stop) why.
    Stopped(Stuck),
}

/// Is where a program has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stuck {
    site: u32,
    address: u64,
}

/// Returns where code is entered that does nothing but say that the run goes on elsewhere.
#[inline]
pub(crate) fn elsewhere() -> u64 {
    extern "sysv64" fn gone(_: u64, _: u64, _: u64, _: u64, _: u64, _: usize) -> Returned {
        Returned { value: 0, ended: GONE }
    }
    gone as *const () as u64
}

/// Is how code is entered.
type Entry = unsafe extern "sysv64" fn(u64, u64, u64, u64, u64, usize) -> Returned;

/// Is what the functions that code calls know of the run.
struct Context<'c, 'r, 'm> {
    regions: &'c mut Regions<'m>,
    calls: &'c dyn Calls<'m>,
    meter: Meter<'r>,
    sites: &'c [Site],
    stack_top: usize,
    state: NonNull<State>,
    /// Numbers the windows that searches remember.
    remembered: Range<u32>,
    /// Leads to functions by their position, if there is such a way.
    callback: Option<Entry>,
    /// Counts the functions.
    functions: u32,
    end: Option<Ended>,
    /// Lends the code's memory, and keeps panics from it.
    host: &'c dyn Code,
    /// Goes on with a helper's panic.
    panicked: Option<Panicked>,
}

/// Is the bounds of nothing.
const NOTHING: (u64, u64, u64) = (0, 0, 0);

/// Says how a run has ended in a helper.
#[derive(Clone, Copy)]
enum Ended {
    /// Where the helper was called.
    Here(CallEnd),
    /// Inside a function that the helper has called.
    Inside(Result<u64, Stop>),
}

/// Counts the words of a state and of so many windows.
pub(super) const fn state_words(windows: u32) -> usize {
    (size_of::<State>() + windows as usize * size_of::<Window>()) / size_of::<u64>()
}

impl<H: Code> JitProgram<H> {
    /// Runs the program with these values in r1 to r5, and returns r0.
    ///
    /// # Errors
    ///
    /// [`Stop`] says where and why there is no result.
    #[inline]
    pub fn run<'m>(
        &self,
        cpu: &mut Cpu,
        regions: &mut Regions<'m>,
        args: [u64; 5],
        fuel: &Fuel,
        calls: &dyn Calls<'m>,
    ) -> Result<u64, Stop> {
        if !self.uses_state {
            // SAFETY: the code has no use for what the anchor stands for.
            return Ok(unsafe { self.enter(args, 0) }.value);
        }
        self.run_with_state(cpu, regions, args, fuel, calls)
    }

    /// Runs the program with these values in r1 to r5, if it needs nobody while it runs: it calls only [plain](crate::Plain) helpers, whose
    /// [word](Calls::word) this is, makes way only for programs that need nobody either, and neither has checks nor counts fuel.
    ///
    /// # Errors
    ///
    /// [`Left`] says how the code was left before it was at its end.
    #[inline]
    pub fn run_alone(&self, cpu: &mut Cpu, args: [u64; 5], word: u64) -> Option<Result<u64, Left>> {
        if !self.is_alone {
            return None;
        }
        if !self.uses_state {
            // SAFETY: the code has no use for what the anchor stands for.
            return Some(Ok(unsafe { self.enter(args, 0) }.value));
        }
        // Whoever takes its place finds as much as anybody may need who does.
        let (state_words, stack_words) = match self.makes_way {
            true => (state_words(ALONE_WINDOWS), self.stack_words.max(ENTERED_STACK_WORDS)),
            false => (self.state_words, self.stack_words),
        };
        if !cpu.reserve_words(state_words, stack_words) {
            return Some(Err(Left::Stopped(Stuck { site: NO_SITE, address: 0 })));
        }
        let stack_top = cpu.stack() + stack_words * size_of::<u64>();
        let state = cpu.state().cast::<State>();
        let anchor = state.as_ptr().expose_provenance() + size_of::<State>();
        // Only what such code looks at is set.
        // SAFETY: `reserve_words` has made room for a state, which is this run's alone until the code is entered.
        let mine = unsafe { &mut *state.as_ptr() };
        (mine.word, mine.first, mine.depth) = (word, args[0], MAX_DEPTH as u32 - 1);
        let stack = core::ptr::with_exposed_provenance_mut::<Window>(anchor);
        // SAFETY: behind the state is room for the program's windows, of which the stack's is the first.
        unsafe { (*stack).base = stack_top as u64 };
        // SAFETY: what the code looks at of the state and its windows is set, for this run alone.
        let returned = unsafe { self.enter(args, anchor) };
        Some(match returned.ended {
            0 => Ok(returned.value),
            GONE => Err(Left::Elsewhere),
            _ => {
                // SAFETY: the state is there, and the code has left it.
                let State { stop_site: site, stop_address: address, .. } = unsafe { state.read() };
                Err(Left::Stopped(Stuck { site, address }))
            }
        })
    }

    /// Says whether it needs nobody while it runs.
    #[inline]
    pub fn is_alone(&self) -> bool {
        self.is_alone
    }

    /// Returns where other programs may enter it, if it needs nobody while it runs and not more than they leave it.
    #[inline]
    pub fn entrance(&self) -> Option<Entrance<'_>> {
        let fits = self.windows <= ALONE_WINDOWS && self.stack_words <= ENTERED_STACK_WORDS;
        let address = self.code.base.as_ptr().expose_provenance() as u64;
        (self.is_alone && fits).then_some(Entrance { address, program: PhantomData })
    }

    /// Says why a run has stopped in this program, which need not be the one that it started with.
    #[cold]
    pub fn stop(&self, stuck: Stuck) -> Stop {
        let Stuck { site, address } = stuck;
        let Some(site) = self.sites.get(site as usize) else {
            return Stop { at: self.start, kind: StopKind::OutOfMemory };
        };
        let kind = match site.kind {
            SiteKind::Misaligned { bytes } => StopKind::Misaligned { address, bytes },
            SiteKind::Depth => StopKind::CallDepth,
            // Nothing else is in such code.
            _ => StopKind::BadCallTarget { found: address },
        };
        Stop { at: site.at, kind }
    }

    /// Runs a program that uses its state.
    fn run_with_state<'m>(
        &self,
        cpu: &mut Cpu,
        regions: &mut Regions<'m>,
        args: [u64; 5],
        fuel: &Fuel,
        calls: &dyn Calls<'m>,
    ) -> Result<u64, Stop> {
        let start = |kind| Stop { at: self.start, kind };
        if !cpu.reserve_words(self.state_words, self.stack_words) {
            return Err(start(StopKind::OutOfMemory));
        }
        let stack_top = cpu.stack() + self.stack_words * size_of::<u64>();
        if regions.set_stack(stack_top, 0).is_err() {
            return Err(start(StopKind::OutOfMemory));
        }
        let state = cpu.state().cast::<State>();
        let mut context = Context {
            regions,
            calls,
            meter: Meter::new(fuel),
            sites: &self.sites,
            stack_top,
            state,
            remembered: self.remembered..self.windows,
            callback: self.callback.map(|offset| self.door(offset)),
            functions: self.functions,
            end: None,
            host: &self.host,
            panicked: None,
        };
        let anchor = state.as_ptr().expose_provenance() + size_of::<State>();
        self.put_windows(state, &context);
        let units = context.meter.lend(BATCH);
        let word = if self.wants_word { context.calls.word() } else { 0 };
        // From here until the code returns, only what it calls touches the context.
        let lent = &raw mut context;
        let fresh = State {
            fuel: units,
            ask: ask as *const () as u64,
            call: call as *const () as u64,
            context: lent.expose_provenance() as u64,
            word,
            first: args[0],
            second: args[1],
            tail_calls: self.tail_calls,
            depth: MAX_DEPTH as u32 - 1,
            ..State::default()
        };
        // SAFETY: `reserve_words` has made room for it.
        unsafe { state.write(fresh) };
        // SAFETY: the state, its windows and the stacks are set, for this run alone.
        let returned = unsafe { self.enter(args, anchor) };
        // SAFETY: as above; the code has returned. The other fields are read only where they count.
        context.meter.give_back(unsafe { (*state.as_ptr()).fuel });
        context.meter.settle();
        if let Some(go_on) = context.panicked.take() {
            go_on();
        }
        match returned.ended {
            0 => Ok(returned.value),
            _ => context.ended(),
        }
    }

    /// Returns a place of the code where it may be entered.
    #[inline(always)]
    fn door(&self, offset: usize) -> Entry {
        let address = self.code.base.as_ptr().wrapping_add(offset);
        // SAFETY: the emitter makes a function of this type there, and `new` has published it.
        unsafe { core::mem::transmute::<*mut u8, Entry>(address) }
    }

    /// Executes the code.
    ///
    /// # Safety
    /// A [`State`] must lie in front of the anchor and as many windows as the program has behind it, all set, unless the program
    /// uses no state.
    #[inline(always)]
    unsafe fn enter(&self, args: [u64; 5], anchor: usize) -> Returned {
        let entry = self.door(0);
        let [r1, r2, r3, r4, r5] = args;
        // SAFETY: it keeps the calling convention, and what it accesses is checked or promised.
        unsafe { entry(r1, r2, r3, r4, r5, anchor) }
    }

    /// Writes the windows of the stack and of regions, and empties those in which searches remember what is not there any more.
    ///
    /// Most are as an earlier run has left them: behind the first one lies nothing but whole windows, and those are alike in all
    /// if they are in what this looks at.
    #[inline(always)]
    fn put_windows(&self, state: NonNull<State>, context: &Context<'_, '_, '_>) {
        // SAFETY: behind the state, which is there.
        let windows = unsafe { state.add(1) }.cast::<Window>();
        // SAFETY: there is at least this one.
        unsafe { windows.write(Window::stack(context.stack_top as u64)) };
        for number in 1..self.windows {
            // SAFETY: `state_words` has counted it.
            let at = unsafe { windows.add(number as usize) };
            // SAFETY: as above; it is zero or was written as a window.
            let Window { base, read: [readable, ..], write: [writable, ..] } = unsafe { at.read() };
            let old = (base, readable, writable);
            let new = match number < self.remembered {
                true => context.regions.bounds(number as usize - 1),
                // What an earlier search has found holds as long as the region is there.
                false if old != NOTHING && context.regions.has_bounds(old) => old,
                false => NOTHING,
            };
            if new != old {
                let (base, readable, writable) = new;
                // SAFETY: as above.
                unsafe { at.write(Window::new(base, readable, writable)) };
            }
        }
    }
}

impl<'m> Context<'_, '_, 'm> {
    /// Says how a run has ended that did not return.
    #[cold]
    fn ended(&self) -> Result<u64, Stop> {
        // SAFETY: the state is there, and the code has left it or waits.
        let state = unsafe { self.state.read() };
        let site = self.sites[state.stop_site as usize];
        let address = state.stop_address;
        let few = |bytes: u16| bytes.min(255) as u8;
        let kind = match site.kind {
            SiteKind::Read { bytes } | SiteKind::SearchRead { bytes, .. } => {
                StopKind::Read { address, bytes: few(bytes) }
            }
            SiteKind::Write { bytes } | SiteKind::SearchWrite { bytes, .. } => {
                StopKind::Write { address, bytes: few(bytes) }
            }
            SiteKind::Misaligned { bytes } => StopKind::Misaligned { address, bytes },
            SiteKind::Fuel { .. } => StopKind::Fuel,
            SiteKind::Depth => StopKind::CallDepth,
            SiteKind::Target => StopKind::BadCallTarget { found: address },
            SiteKind::Helper => match self.end {
                Some(Ended::Inside(result)) => return result,
                Some(Ended::Here(CallEnd::Unwind(result))) => return Ok(result),
                Some(Ended::Here(CallEnd::Stop(kind))) => kind,
                // The code says that a helper has ended the run only if `call` has said so.
                Some(Ended::Here(CallEnd::Ended)) | None => StopKind::UnknownHelper { id: state.helper },
            },
        };
        Err(Stop { at: site.at, kind })
    }

    /// Tells the regions which stacks are in use.
    fn show_stack(&mut self) {
        // SAFETY: behind the state, which is there.
        let stack = unsafe { self.state.add(1).cast::<Window>() };
        // SAFETY: as above; code is waiting.
        let low = unsafe { (*stack.as_ptr()).base } as usize;
        self.regions.move_stack(low, self.stack_top - low);
    }

    /// Makes searches forget what they have found, if some of it may be gone.
    fn forget(&mut self) {
        if !self.regions.has_shrunk() {
            return;
        }
        // SAFETY: behind the state, which is there.
        let windows = unsafe { self.state.add(1) }.cast::<Window>();
        for number in self.remembered.clone() {
            // SAFETY: one of the windows behind the state.
            let at = unsafe { windows.add(number as usize) };
            // SAFETY: as above; code is waiting.
            unsafe { at.write(Window::NONE) };
        }
    }
}

impl<'m> Waiting<'m> for Context<'_, '_, 'm> {
    fn charge(&mut self, units: u64) -> Result<(), Spent> {
        self.meter.charge(units)
    }

    fn regions(&mut self) -> &mut Regions<'m> {
        self.regions
    }

    fn call_back(&mut self, function: u32, args: [u64; 5]) -> Result<u64, CallEnd> {
        if self.end.is_some() {
            return Err(CallEnd::Ended);
        }
        let Some(callback) = self.callback.filter(|_| function < self.functions) else {
            return Err(CallEnd::Stop(StopKind::BadCallTarget { found: handle::function(function) }));
        };
        // SAFETY: the state is there, and code is waiting.
        let State { frame, depth, .. } = unsafe { self.state.read() };
        let Some(deeper) = depth.checked_sub(1) else {
            self.end_here(StopKind::CallDepth);
            return Err(CallEnd::Ended);
        };
        self.forget();
        let units = self.meter.lend(BATCH);
        let state = self.state;
        // What the code calls finds the run by this address; it is this borrow that it goes by now.
        let lent = (&raw mut *self).expose_provenance() as u64;
        // SAFETY: as above.
        let mine = unsafe { &mut *state.as_ptr() };
        (mine.fuel, mine.depth, mine.helper, mine.context) = (units, deeper, function, lent);
        let anchor = state.as_ptr().expose_provenance() + size_of::<State>();
        let [r1, r2, r3, r4, r5] = args;
        // SAFETY: as in `enter`; the emitter makes such a function that leads to others by their position, of which there are
        // so many.
        let returned = unsafe { callback(r1, r2, r3, r4, r5, anchor) };
        // SAFETY: as above; the code has returned.
        let mine = unsafe { &mut *state.as_ptr() };
        (mine.frame, mine.depth) = (frame, depth);
        let left = mine.fuel;
        self.meter.give_back(left);
        self.show_stack();
        match returned.ended {
            0 => Ok(returned.value),
            _ => {
                self.end = Some(Ended::Inside(self.ended()));
                Err(CallEnd::Ended)
            }
        }
    }

    fn end_here(&mut self, kind: StopKind) {
        self.end = Some(Ended::Here(CallEnd::Stop(kind)));
    }
}

/// Returns the state in front of an anchor.
fn state(anchor: usize) -> NonNull<State> {
    let state = core::ptr::with_exposed_provenance_mut::<State>(anchor - size_of::<State>());
    NonNull::new(state).unwrap_or(NonNull::dangling())
}

/// Returns the context of a run.
///
/// # Safety
/// The anchor must be that of a run that is in its code, and the result must be gone before that goes on.
unsafe fn context<'c>(state: NonNull<State>) -> &'c mut Context<'c, 'c, 'c> {
    // SAFETY: the caller's promise.
    let address = unsafe { (*state.as_ptr()).context } as usize;
    // SAFETY: `run` has exposed it, and does not touch it while it is in the code.
    unsafe { &mut *core::ptr::with_exposed_provenance_mut(address) }
}

/// Answers code that cannot go on by itself, with zero if it may.
extern "sysv64" fn ask(anchor: usize, site: u64, address: u64) -> u64 {
    let state = state(anchor);
    // SAFETY: only code calls this, with its anchor.
    let context = unsafe { context(state) };
    match context.sites[site as usize].kind {
        SiteKind::Fuel { units } => {
            // SAFETY: the state is there, and code is waiting.
            let fuel = unsafe { &mut (*state.as_ptr()).fuel };
            // The code has taken it, although it was not there.
            context.meter.give_back(fuel.wrapping_add(u64::from(units)));
            let left = context.meter.charge_and_lend(BATCH, u64::from(units));
            *fuel = left.unwrap_or(0);
            u64::from(left.is_err())
        }
        SiteKind::SearchRead { bytes, window } => {
            search(state, context, address, Sought { bytes, window, write: false })
        }
        SiteKind::SearchWrite { bytes, window } => {
            search(state, context, address, Sought { bytes, window, write: true })
        }
        // Nothing else asks.
        _ => 1,
    }
}

/// Is what is searched for.
#[derive(Clone, Copy)]
struct Sought {
    bytes: u16,
    window: u16,
    write: bool,
}

/// Searches the regions for an access, and remembers the one that holds it.
fn search(state: NonNull<State>, context: &mut Context<'_, '_, '_>, address: u64, sought: Sought) -> u64 {
    let Sought { bytes, window, write } = sought;
    context.show_stack();
    match context.regions.find(address, u64::from(bytes), write) {
        Some(Found::Stack) => 0,
        Some(Found::Region(number)) => {
            let found = context.regions.window(number);
            // SAFETY: one of the windows behind the state.
            let windows = unsafe { state.add(1) }.cast::<Window>();
            // SAFETY: as above.
            let at = unsafe { windows.add(usize::from(window)) };
            // SAFETY: as above.
            unsafe { at.write(found) };
            0
        }
        None => {
            // SAFETY: the state is there, and code is waiting.
            unsafe { (*state.as_ptr()).stop_address = address };
            1
        }
    }
}

/// Calls a helper for code.
extern "sysv64" fn call(r1: u64, r2: u64, r3: u64, r4: u64, r5: u64, anchor: usize) -> Returned {
    let state = state(anchor);
    // SAFETY: only code calls this, with its anchor.
    let context = unsafe { context(state) };
    context.show_stack();
    // SAFETY: the state is there, and code is waiting.
    let State { helper: id, packet, .. } = unsafe { state.read() };
    // What helpers charge for their work comes from the same fuel.
    // SAFETY: as above.
    context.meter.give_back(unsafe { (*state.as_ptr()).fuel });
    let (calls, host) = (context.calls, context.host);
    let mut result = Err(CallEnd::Ended);
    let panicked = host.shield(&mut || {
        result = match packet {
            0 => calls.helper(id, [r1, r2, r3, r4, r5], &Reach::new(&mut *context)).map(Some),
            bytes => calls.packet(r1, r2 as i32, packet_size(bytes)),
        };
    });
    if packet != 0 {
        // SAFETY: as above.
        unsafe { (*state.as_ptr()).packet = 0 };
    }
    if panicked.is_some() {
        context.panicked = context.panicked.take().or(panicked);
    }
    context.forget();
    let units = context.meter.lend(BATCH);
    // SAFETY: as above.
    unsafe { (*state.as_ptr()).fuel = units };
    match (context.end, result) {
        (None, Ok(Some(value))) => Returned { value, ended: 0 },
        (None, Ok(None)) => Returned { value: 0, ended: 2 },
        (None, Err(end)) => {
            context.end = Some(Ended::Here(end));
            Returned { value: 0, ended: 1 }
        }
        (Some(_), _) => Returned { value: 0, ended: 1 },
    }
}

/// Names a size by its bytes; the emitter knows no others.
const fn packet_size(bytes: u32) -> PacketSize {
    match bytes {
        1 => PacketSize::B,
        2 => PacketSize::H,
        _ => PacketSize::W,
    }
}

const _: () = assert!(offset_of!(Returned, value) == 0 && size_of::<Returned>() == 16);
