//! Helpers: what the embedder lets programs call.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::RefMut;
use core::fmt;
use core::ops::DerefMut;
use skep_ir::handle;
use skep_mem::{Bytes, FuncIndex, Halt, Lend};
use skep_vm::PlainFn;

/// Says what a helper wants in one of its registers r1 to r5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Param {
    /// A number.
    Int,
    /// An address of memory that the program may use so; the next parameter is its [length](Param::Len). Null with a length
    /// of zero will do, as will any other number.
    Memory(Lend),
    /// Counts the bytes of the memory in the parameter before.
    Len,
    /// An address of so many bytes that the program may use so.
    Fixed(Lend, u32),
    /// The number of a function of the program (`subprog[NAME] ll`), for helpers that [call back](Helper::calling).
    Function,
    /// An address of a string that ends with a NUL within so many bytes, all of which the program may read; it arrives
    /// without the NUL. Or [null](Args::is_null).
    Str(u32),
}

impl Param {
    /// Is memory that the helper reads; [`Param::Len`] follows.
    pub const READ: Param = Param::Memory(Lend::Read);
    /// Is memory that the helper writes; [`Param::Len`] follows.
    pub const WRITE: Param = Param::Memory(Lend::Write);
    /// Is memory that the helper reads and writes; [`Param::Len`] follows.
    pub const READ_WRITE: Param = Param::Memory(Lend::ReadWrite);
}

/// Says how a helper's call ended the run, where it did not return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HelperEnd {
    /// The run ends, and returns this number.
    Unwind(u64),
    /// The run is stopped, for this reason.
    Fail(&'static str),
    /// The run is stopped: this argument, counted from zero, cannot be used.
    Argument(u8),
    /// The run has ended inside a function that the helper has [called](Caller::call): the helper returns this at once.
    Ended,
}

/// Names a function of the program that has called a helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function(pub(crate) FuncIndex);

/// Is an argument, as its parameter says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Int(u64),
    Bytes(Bytes<'a>),
    Function(Function),
    /// No string.
    Null,
}

/// Holds the arguments of one call, checked against the helper's parameters.
#[derive(Debug)]
pub struct Args<'a> {
    values: [Value<'a>; 5],
}

impl<'a> Args<'a> {
    pub(crate) fn new(values: [Value<'a>; 5]) -> Args<'a> {
        Args { values }
    }

    /// Returns a number, by its position from zero; of memory it is the number of bytes.
    pub fn int(&self, position: usize) -> u64 {
        match self.values.get(position) {
            Some(Value::Int(number)) => *number,
            Some(Value::Bytes(bytes)) => bytes.len() as u64,
            Some(Value::Function(Function(FuncIndex(function)))) => handle::function(*function),
            Some(Value::Null) | None => 0,
        }
    }

    /// Returns a function, by its position from zero; nothing where none was declared.
    pub fn function(&self, position: usize) -> Option<Function> {
        match self.values.get(position) {
            Some(Value::Function(function)) => Some(*function),
            _ => None,
        }
    }

    /// Returns memory, by its position from zero; there are no bytes where no memory was declared.
    pub fn bytes(&self, position: usize) -> Bytes<'a> {
        match self.values.get(position) {
            Some(Value::Bytes(bytes)) => *bytes,
            Some(Value::Int(_) | Value::Function(_) | Value::Null) | None => Bytes::empty(),
        }
    }

    /// Says whether an argument is a null pointer where a string was declared, or the number zero.
    pub fn is_null(&self, position: usize) -> bool {
        matches!(self.values.get(position), Some(Value::Null | Value::Int(0)))
    }

    /// Copies memory, by its position from zero.
    ///
    /// # Errors
    ///
    /// [`HelperEnd::Fail`] where there is no memory for it.
    pub fn copy(&self, position: usize) -> Result<Vec<u8>, HelperEnd> {
        let bytes = self.bytes(position);
        let mut copy = Vec::new();
        copy.try_reserve_exact(bytes.len()).map_err(|_| HelperEnd::Fail("no memory for a copy"))?;
        copy.resize(bytes.len(), 0);
        bytes.copy_out(0, &mut copy).map_err(|_| HelperEnd::Argument(position as u8))?;
        Ok(copy)
    }
}

/// What a helper does.
type Run<'m, S> = dyn Fn(&mut S, &Args<'_>) -> Result<u64, HelperEnd> + Send + Sync + 'm;
/// What a helper does that calls back.
type RunCalling<'m, S> = dyn Fn(&mut Caller<'_, S>, &Args<'_>) -> Result<u64, HelperEnd> + Send + Sync + 'm;

/// How a helper is run.
pub(crate) enum How<'m, S> {
    Plain(Box<Run<'m, S>>),
    Calling(Box<RunCalling<'m, S>>),
    Direct(PlainFn),
}

/// A run that waits for a helper.
pub(crate) trait Waits<S> {
    fn state(&mut self) -> RefMut<'_, S>;
    fn call(&mut self, function: FuncIndex, args: [u64; 5]) -> Result<u64, Halt>;
}

/// Lets a helper call functions of the program, and look at the state between the calls.
pub struct Caller<'c, S> {
    run: &'c mut dyn Waits<S>,
}

impl<S> fmt::Debug for Caller<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").finish_non_exhaustive()
    }
}

impl<'c, S> Caller<'c, S> {
    pub(crate) fn new(run: &'c mut dyn Waits<S>) -> Caller<'c, S> {
        Caller { run }
    }

    /// Returns the helpers' state.
    pub fn state(&mut self) -> impl DerefMut<Target = S> + '_ {
        self.run.state()
    }

    /// Calls a function of the program with these numbers in r1 to r5, and returns its r0. It counts among the eight that may
    /// be active, and takes its fuel as if the program had called it.
    ///
    /// # Errors
    ///
    /// [`HelperEnd::Ended`] where the run has ended inside.
    pub fn call(&mut self, function: Function, args: [u64; 5]) -> Result<u64, HelperEnd> {
        self.run.call(function.0, args).map_err(|Halt| HelperEnd::Ended)
    }
}

/// Is a function that programs may call: its name, what it wants, and what it does.
///
/// It never sees an address, unless it is content with numbers: memory that is declared arrives as [`Bytes`], checked
/// against what the program itself may touch. A call costs one unit of fuel, and one more for each eight bytes of memory.
///
/// What it needs besides its arguments is the state `S`, which each [`Cpu`](crate::Cpu) has one of.
///
/// ```
/// use skep_machine::{Cpu, Helper, Input, Param, Program, Setup};
///
/// // say(text, length) gives the length of all that was said.
/// let say = Helper::new("say", &[Param::READ, Param::Len], |said: &mut String, args| {
///     said.push_str(&String::from_utf8_lossy(&args.copy(0)?));
///     Ok(said.len() as u64)
/// });
/// let setup = Setup::new().helper(7, say);
/// let program = setup.assemble("call say\nexit")?;
/// let machine = setup.load(program)?;
///
/// let mut cpu = Cpu::new(String::from("I say: "));
/// assert_eq!(machine.run(&mut cpu, Input::Memory(&mut *b"hello".to_vec()))?, 12);
/// assert_eq!(cpu.state(), "I say: hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Helper<'m, S> {
    name: &'static str,
    params: &'static [Param],
    how: How<'m, S>,
}

impl<S> fmt::Debug for Helper<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Helper")
            .field("name", &self.name)
            .field("params", &self.params)
            .finish_non_exhaustive()
    }
}

impl<'m, S> Helper<'m, S> {
    /// Makes a helper that wants what `params` say, and finds it in [`Args`] by position.
    pub fn new<F>(name: &'static str, params: &'static [Param], run: F) -> Helper<'m, S>
    where
        F: Fn(&mut S, &Args<'_>) -> Result<u64, HelperEnd> + Send + Sync + 'm,
    {
        Helper { name, params, how: How::Plain(Box::new(run)) }
    }

    /// Makes a helper that may call functions of the program, which it gets as [`Param::Function`].
    ///
    /// ```
    /// use skep_machine::{Cpu, Helper, HelperEnd, Input, Param, Setup};
    ///
    /// // most(f, n) gives the largest of f(0), f(1), …, f(n - 1).
    /// let most = Helper::calling("most", &[Param::Function, Param::Int], |run, args| {
    ///     let function = args.function(0).ok_or(HelperEnd::Argument(0))?;
    ///     (0..args.int(1)).try_fold(0, |most, n| {
    ///         *run.state() += 1;
    ///         Ok(run.call(function, [n, 0, 0, 0, 0])?.max(most))
    ///     })
    /// });
    /// let setup = Setup::<u32>::new().helper(9, most);
    /// let program = setup.assemble("r1 = subprog[f] ll\nr2 = 10\ncall most\nexit\nf: r0 = r1\nr0 ^= 5\nexit")?;
    /// let mut cpu = Cpu::default();
    /// assert_eq!(setup.load(program)?.run(&mut cpu, Input::None)?, 13);
    /// assert_eq!(*cpu.state(), 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn calling<F>(name: &'static str, params: &'static [Param], run: F) -> Helper<'m, S>
    where
        F: Fn(&mut Caller<'_, S>, &Args<'_>) -> Result<u64, HelperEnd> + Send + Sync + 'm,
    {
        Helper { name, params, how: How::Calling(Box::new(run)) }
    }

    /// Makes a helper of a function that takes five numbers and the [word](crate::Cpu::set_word) of the [`Cpu`](crate::Cpu) that
    /// runs, and always answers. Machine code calls it by its address, which other helpers cost several times as much as.
    ///
    /// A panic in it ends the process, whichever the engine.
    ///
    /// ```
    /// use skep_machine::{Cpu, Helper, Input, Setup};
    ///
    /// extern "C" fn scale(number: u64, _: u64, _: u64, _: u64, _: u64, word: u64) -> u64 {
    ///     number.wrapping_mul(word)
    /// }
    ///
    /// let setup = Setup::<()>::new().helper(1, Helper::plain("scale", scale));
    /// let program = setup.assemble("r1 = 6\ncall scale\nexit")?;
    /// let machine = setup.load(program)?;
    /// let mut cpu = Cpu::default();
    /// cpu.set_word(7);
    /// assert_eq!(machine.run(&mut cpu, Input::None)?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn plain(name: &'static str, function: PlainFn) -> Helper<'m, S> {
        Helper { name, params: &[Param::Int; 5], how: How::Direct(function) }
    }

    /// Makes a helper that takes five numbers, whatever they are.
    pub fn numbers<F>(name: &'static str, run: F) -> Helper<'m, S>
    where
        F: Fn(&mut S, [u64; 5]) -> Result<u64, HelperEnd> + Send + Sync + 'm,
    {
        Helper::new(name, &[Param::Int; 5], move |state: &mut S, args: &Args<'_>| {
            run(state, core::array::from_fn(|position| args.int(position)))
        })
    }

    /// Returns its name, by which text calls it.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns what it wants.
    pub fn params(&self) -> &'static [Param] {
        self.params
    }

    pub(crate) fn how(&self) -> &How<'m, S> {
        &self.how
    }

    /// Returns the function that it is, if it is no more than that.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn as_plain(&self) -> Option<PlainFn> {
        match self.how {
            How::Plain(_) | How::Calling(_) => None,
            How::Direct(function) => Some(function),
        }
    }
}
