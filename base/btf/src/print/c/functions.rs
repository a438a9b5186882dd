//! Functions: the prototypes of kfuncs, which programs may call.

use core::fmt::Write;

use crate::error::Error;
use crate::record::Type;
use crate::types::Def;

use super::{CPrinter, PrintError};

/// The tag that pahole gives to kfuncs (Documentation/bpf/kfuncs.rst), for kernels since 6.10.
const KFUNC: &str = "bpf_kfunc";

/// The tag of those that leave the caller's registers alone (`bpf_fastcall`, since 6.13).
const FASTCALL: &str = "bpf_fastcall";

/// Macros that `bpf_helpers.h` and `bpftool`'s header share.
const HEAD: &str = "#ifndef BPF_NO_KFUNC_PROTOTYPES
#ifndef __ksym
#define __ksym __attribute__((section(\".ksyms\")))
#endif

#ifndef __weak
#define __weak __attribute__((weak))
#endif

#ifndef __bpf_fastcall
#if __has_attribute(bpf_fastcall)
#define __bpf_fastcall __attribute__((bpf_fastcall))
#else
#define __bpf_fastcall
#endif
#endif

";

const TAIL: &str = "#endif /* BPF_NO_KFUNC_PROTOTYPES */

";

impl<'b> CPrinter<'b> {
    /// Writes the prototypes of all kfuncs, with `__weak __ksym`. Only kernels since 6.10 say which functions these are.
    ///
    /// # Errors
    ///
    /// As [`CPrinter::header`].
    pub fn kfuncs(&mut self, out: &mut dyn Write) -> Result<(), PrintError> {
        let is_kfunc = |ty: &Type<'b>| matches!(ty.def(), Def::Func(_)) && self.tags.has(ty.id(), KFUNC);
        let found: alloc::vec::Vec<Type<'b>> = self.btf.own_types().filter(is_kfunc).collect();
        if found.is_empty() {
            return Ok(());
        }
        out.write_str(HEAD)?;
        for ty in found {
            self.function(ty)?;
            self.hand_over(out)?;
        }
        out.write_str(TAIL)?;
        Ok(())
    }

    /// Writes the prototype of a function; one whose name is taken is left out, with a comment.
    pub(super) fn function(&mut self, ty: Type<'b>) -> Result<(), Error> {
        let Def::Func(func) = ty.def() else { return Err(ty.wrong_kind("func")) };
        self.require(func.proto)?;
        if !self.names.exact(ty.name()) {
            // Writing to a String does not fail, here and below.
            let _ =
                write!(self.text, "/* {} has a name that is taken, or that C cannot have */\n\n", ty.id());
            return Ok(());
        }
        let prototype = self.declaration(func.proto, ty.name(), 0)?;
        let attributes = match (self.tags.has(ty.id(), KFUNC), self.tags.has(ty.id(), FASTCALL)) {
            (false, _) => "",
            (true, false) => " __weak __ksym",
            (true, true) => " __bpf_fastcall __weak __ksym",
        };
        let _ = write!(self.text, "extern {prototype}{attributes};\n\n");
        Ok(())
    }
}
