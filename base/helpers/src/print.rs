//! Printing, to the trace log and to memory.

use crate::args::{Answer, Args, signed, status};
use crate::format::{Out, Value, print};
use crate::{Env, Invoker};
use skep_abi::Errno;
use skep_mem::{Arg, Bytes, Halt};

/// The longest message (`MAX_BPRINTF_BUF`).
const MOST_MESSAGE: usize = 1024;
/// The longest format that is read (a message without values is as long as its format).
const MOST_FORMAT: usize = 1024;
/// The most values (`MAX_BPRINTF_VARARGS`).
const MOST_VALUES: usize = 12;

/// `bpf_trace_printk`: a format and up to three values.
pub(crate) fn trace_printk<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    let mut values = [Value::Int(0); 3];
    for (index, value) in values.iter_mut().enumerate() {
        *value = match args.0.get(index + 2) {
            Some(Arg::Bytes(bytes)) => Value::Bytes(*bytes),
            Some(_) => Value::Int(args.int(index + 2)?),
            None => Value::Int(0),
        };
    }
    trace(env, args.bytes(0)?, &values)
}

/// `bpf_trace_vprintk`: a format and values in memory, eight bytes each.
pub(crate) fn trace_vprintk<'m>(
    env: &dyn Env<'m>,
    args: Args<'_, 'm>,
    program: Invoker<'_, 'm>,
) -> Answer<'m> {
    let format = args.bytes(0)?;
    let Some((values, count)) = values(args, 2, program)? else { return status(Err(Errno::EINVAL)) };
    trace(env, format, &values[..count])
}

fn trace<'m>(env: &dyn Env<'m>, format: Bytes<'m>, values: &[Value<'m>]) -> Answer<'m> {
    let mut copy = [0; MOST_FORMAT];
    let Some(format) = copied(format, &mut copy) else { return status(Err(Errno::EINVAL)) };
    let mut buffer = [0; MOST_MESSAGE];
    let mut out = Out::new(&mut buffer);
    let printed = print(&mut out, format, values, env.host().probe());
    if printed.is_ok() {
        env.host().trace().inspect(|trace| trace.message(out.text()));
    }
    signed(printed.map(|()| out.len() as i64))
}

/// `bpf_snprintf`: gives the length that the text would have, its NUL included.
pub(crate) fn snprintf<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, program: Invoker<'_, 'm>) -> Answer<'m> {
    let (into, format) = (args.bytes(0)?, args.bytes(2)?);
    let Some((values, count)) = values(args, 3, program)? else { return status(Err(Errno::EINVAL)) };
    let mut copy = [0; MOST_FORMAT];
    let Some(format) = copied(format, &mut copy) else { return status(Err(Errno::EINVAL)) };
    let mut buffer = [0; MOST_MESSAGE];
    let mut out = Out::new(&mut buffer);
    let printed = print(&mut out, format, &values[..count], env.host().probe());
    let printed = printed.and_then(|()| {
        if !into.is_empty() {
            let text = &out.text()[..out.text().len().min(into.len() - 1)];
            into.copy_in(0, text).map_err(|_| Errno::EFAULT)?;
            into.store_u8(text.len(), 0).map_err(|_| Errno::EFAULT)?;
        }
        Ok(out.len() as i64 + 1)
    });
    signed(printed)
}

/// Copies a format up to its NUL; `None` where there is none in reach.
fn copied<'b>(format: Bytes<'_>, copy: &'b mut [u8]) -> Option<&'b [u8]> {
    let len = format.len().min(copy.len());
    format.copy_out(0, &mut copy[..len]).ok()?;
    let end = copy[..len].iter().position(|byte| *byte == 0)?;
    Some(&copy[..=end])
}

/// The values in memory whose pointer and size are the arguments at `index`; `None` where the size is wrong.
fn values<'m>(
    args: Args<'_, 'm>,
    index: usize,
    program: Invoker<'_, 'm>,
) -> Result<Option<([Value<'m>; MOST_VALUES], usize)>, Halt> {
    let data = args.bytes(index)?;
    let mut values = [Value::Int(0); MOST_VALUES];
    if data.len() % 8 != 0 || data.len() > MOST_VALUES * 8 {
        return Ok(None);
    }
    for (i, value) in values[..data.len() / 8].iter_mut().enumerate() {
        let number = data.load_u64(i * 8).unwrap_or(0);
        *value = match program.pointee(number) {
            Some(bytes) => Value::Pointer(number, bytes),
            None => Value::Int(number),
        };
    }
    Ok(Some((values, data.len() / 8)))
}
