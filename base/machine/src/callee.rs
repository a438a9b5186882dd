//! What programs may call, by number.

use crate::{Helper, Param};
use alloc::vec::Vec;
use core::fmt;
use skep_helpers::Row;
use skep_mem::Host;
use skep_model::platform::Platform;
use skep_model::platform::helper::{Arg, Callback, Helper as Described, Prototype, Ret};

/// What a number stands for.
pub(crate) enum Callee<'m, S> {
    /// A helper of the embedder's.
    Own(Helper<'m, S>),
    /// A helper of Linux's.
    Linux(Linux),
    /// Going on with another program.
    TailCall,
}

/// A helper of Linux's, with what is known of it.
#[derive(Clone, Copy)]
pub(crate) struct Linux {
    pub(crate) row: &'static Row,
    pub(crate) name: &'static str,
    pub(crate) prototype: &'static Prototype,
}

impl Linux {
    /// Finds what can be called with numbers, and answers with a number: no context, no timers.
    fn find(row: &'static Row) -> Option<Linux> {
        let described: &'static Described = Platform::LINUX_6_18.helper(row.id).ok()?;
        let prototype = described.prototype.as_ref()?;
        let fits = |arg: &Arg| {
            matches!(
                arg,
                Arg::Any
                    | Arg::Unchecked
                    | Arg::Map
                    | Arg::MapKey
                    | Arg::MapValue
                    | Arg::MapValueOut
                    | Arg::Mem(..)
                    | Arg::Size(_)
                    | Arg::AllocSize
                    | Arg::Fixed { .. }
                    | Arg::Record
                    | Arg::StackOrNull
                    | Arg::Func(Callback::Loop | Callback::MapElem)
            )
        };
        let answers = matches!(
            prototype.ret,
            Ret::Int | Ret::Void | Ret::UpToSize(_) | Ret::Cpu | Ret::MapValueOrNull | Ret::RecordOrNull
        );
        let callable = answers && prototype.args.len() <= 5 && prototype.args.iter().all(fits);
        callable.then_some(Linux { row, name: described.name, prototype })
    }
}

impl<S> Callee<'_, S> {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Callee::Own(helper) => helper.name(),
            Callee::Linux(linux) => linux.name,
            Callee::TailCall => "tail_call",
        }
    }

    /// Says whether it may call functions of the program.
    pub(crate) fn calls_back(&self) -> bool {
        match self {
            Callee::Own(helper) => helper.params().contains(&Param::Function),
            Callee::Linux(linux) => linux.prototype.args.iter().any(|arg| matches!(arg, Arg::Func(_))),
            Callee::TailCall => false,
        }
    }
}

/// Numbers below this are found by one look: all of Linux's.
const SMALL: usize = 256;

/// All of them.
pub(crate) struct Callees<'m, S> {
    /// Sorted by number.
    all: Vec<(u32, Callee<'m, S>)>,
    /// Says for small numbers where in the list they are, one too much; zero is nowhere.
    places: [u16; SMALL],
}

impl<S> fmt::Debug for Callees<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.all.iter().map(|(id, callee)| (id, callee.name()))).finish()
    }
}

impl<'m, S> Callees<'m, S> {
    pub(crate) const fn new() -> Self {
        Callees { all: Vec::new(), places: [0; SMALL] }
    }

    pub(crate) fn insert(&mut self, id: u32, callee: Callee<'m, S>) {
        match self.all.binary_search_by_key(&id, |(id, _)| *id) {
            Ok(at) => self.all[at].1 = callee,
            Err(at) => {
                self.all.insert(at, (id, callee));
                for (place, (id, _)) in (1..).zip(&self.all) {
                    // Small numbers come first, so their places are small too.
                    let Some(small) = self.places.get_mut(*id as usize) else { break };
                    *small = place;
                }
            }
        }
    }

    /// Adds those of Linux that a host has what they need for, where their numbers are free.
    pub(crate) fn insert_linux(&mut self, host: &dyn Host) {
        let rows = skep_helpers::rows().iter().filter(|row| row.needs.met_by(host));
        for linux in rows.filter_map(Linux::find) {
            if self.find(linux.row.id.0).is_none() {
                self.insert(linux.row.id.0, Callee::Linux(linux));
            }
        }
    }

    pub(crate) fn find(&self, id: u32) -> Option<&Callee<'m, S>> {
        let at = match self.places.get(id as usize) {
            Some(place) => usize::from(*place).checked_sub(1)?,
            None => self.all.binary_search_by_key(&id, |(id, _)| *id).ok()?,
        };
        self.all.get(at).map(|(_, callee)| callee)
    }

    /// Finds a number by name; Linux's prefix may be there or not.
    pub(crate) fn named(&self, name: &str) -> Option<u32> {
        let short = name.strip_prefix("bpf_").unwrap_or(name);
        let is_meant = |(_, callee): &&(u32, Callee<'m, S>)| callee.name() == name || callee.name() == short;
        self.all.iter().find(is_meant).map(|(id, _)| *id)
    }

    pub(crate) fn has_tail_calls(&self) -> bool {
        self.iter().any(|(_, callee)| matches!(callee, Callee::TailCall))
    }

    /// Yields the numbers of helpers; a tail call is none.
    pub(crate) fn own_numbers(&self) -> impl Iterator<Item = u32> + '_ {
        self.iter().filter(|(_, callee)| !matches!(callee, Callee::TailCall)).map(|(id, _)| id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Callee<'m, S>)> {
        self.all.iter().map(|(id, callee)| (*id, callee))
    }
}
