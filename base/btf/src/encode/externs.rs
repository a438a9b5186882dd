//! Variables and functions that a program expects from elsewhere, given the shape that kernels accept: BTF of a
//! program must not have externs.
//!
//! The rules are libbpf's (`bpf_object__collect_externs`): settings of the kernel (`.kconfig`) become variables of one
//! section, largest alignment first; kernel symbols (`.ksyms`) become integers of four bytes, since their section is
//! never made a map.

use alloc::vec::Vec;

use super::Builder;
use crate::btf::{Btf, RECORD, TypeId};
use crate::error::{Error, Problem};
use crate::kind::Kind;
use crate::record::Type;
use crate::types::{Datasec, Def, Func, FuncLinkage, Int, IntEncoding, Param, SecInfo, Var, VarLinkage};

/// What stands in for a function in `.ksyms`, and for the names its parameters lack.
const STAND_IN: &str = "dummy_ksym";
/// Bytes of what stands in for a kernel symbol.
const SYMBOL_SIZE: u32 = 4;

impl Btf<'_> {
    /// The same BTF with externs of `.kconfig` and `.ksyms` made variables that have a place in their section.
    ///
    /// Where each setting of `.kconfig` lies is then found with [`Btf::variable`]. The types of kernel symbols are
    /// gone from the result; ask this BTF for them.
    ///
    /// # Errors
    ///
    /// If the type of a setting has no size, or something in a section is neither variable nor function.
    pub fn place_externs(&self) -> Result<Vec<u8>, Error> {
        let mut builder = Builder::from_btf(self);
        for ty in self.own_types() {
            match (ty.def(), ty.name()) {
                (Def::Datasec(datasec), ".kconfig") => self.place_settings(&mut builder, ty, datasec)?,
                (Def::Datasec(datasec), ".ksyms") => self.place_symbols(&mut builder, ty, datasec)?,
                _ => {}
            }
        }
        builder.finish()
    }

    fn place_settings(&self, builder: &mut Builder, ty: Type<'_>, datasec: Datasec<'_>) -> Result<(), Error> {
        let mut settings = Vec::new();
        for info in datasec.vars {
            let found = self.ty(info.type_id)?;
            let Def::Var(var) = found.def() else { return Err(found.wrong_kind("var")) };
            settings.push((self.layout(var.type_id)?, found.name(), info, var));
        }
        settings.sort_by(|(a, a_name, ..), (b, b_name, ..)| {
            (b.align, a.size, a_name).cmp(&(a.align, b.size, b_name))
        });
        let mut end: u32 = 0;
        for (index, (layout, _, info, var)) in settings.into_iter().enumerate() {
            let too_large = || ty.error(Problem::TooLarge);
            let offset = end.checked_next_multiple_of(layout.align).ok_or_else(too_large)?;
            end = offset.checked_add(layout.size).ok_or_else(too_large)?;
            builder.set_var(info.type_id, Var { linkage: VarLinkage::Global, ..var })?;
            builder.set_datasec_var(ty.id(), index as u32, SecInfo { offset, size: layout.size, ..info })?;
        }
        builder.set_datasec_size(ty.id(), end)
    }

    fn place_symbols(&self, builder: &mut Builder, ty: Type<'_>, datasec: Datasec<'_>) -> Result<(), Error> {
        let int =
            self.types().find(|ty| matches!(ty.def(), Def::Int(int) if int.size == 4 && int.bits == 32));
        let int = int.map_or_else(
            || builder.int("int", Int { size: 4, bits: 32, offset: 0, encoding: IntEncoding::SIGNED }),
            |ty| ty.id(),
        );
        let stand_in = Var { type_id: int, linkage: VarLinkage::Global };
        let mut dummy = None;
        let mut end = 0;
        for (index, info) in datasec.vars.into_iter().enumerate() {
            let found = self.ty(info.type_id)?;
            let type_id = match found.def() {
                Def::Func(func) => {
                    self.name_params(builder, func.proto)?;
                    builder.set_func(info.type_id, Func { linkage: FuncLinkage::Global, ..func })?;
                    *dummy.get_or_insert_with(|| builder.var(STAND_IN, stand_in))
                }
                Def::Var(_) => {
                    builder.set_var(info.type_id, stand_in)?;
                    info.type_id
                }
                _ => return Err(found.wrong_kind("var or func")),
            };
            builder.set_datasec_var(
                ty.id(),
                index as u32,
                SecInfo { type_id, offset: end, size: SYMBOL_SIZE },
            )?;
            // At most 2^24 symbols.
            end += SYMBOL_SIZE;
        }
        builder.set_datasec_size(ty.id(), end)
    }

    /// A global function's parameters have names (`btf_func_proto_check` of kernel/bpf/btf.c).
    fn name_params(&self, builder: &mut Builder, proto: TypeId) -> Result<(), Error> {
        let params = self.ty(proto)?.as_func_proto()?.params;
        let at = builder.record_at(proto)?;
        for (index, Param { name, type_id }) in params.into_iter().enumerate() {
            if name.is_empty() && !type_id.is_void() {
                let name = builder.name(STAND_IN);
                builder.put(at + RECORD + index * Kind::FuncProto.elem_size(), name);
            }
        }
        Ok(())
    }
}
