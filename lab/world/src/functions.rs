//! Types of a program's functions.

use skep_abi::ProgType;
use skep_btf::{
    Btf, Builder, DeclTag, Endian, EnumWidth, Func, FuncInfo, FuncLinkage, Int, IntEncoding, Param, Sign,
    TagStyle, TypeId,
};
use skep_model::platform::Platform;

/// What is said of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Who can call it.
    pub linkage: Linkage,
    /// Whether it returns nothing, in place of a number.
    pub is_void: bool,
    /// What it takes.
    pub parameters: Vec<Parameter>,
}

/// Who can call a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linkage {
    /// The program: it is looked at where it is called.
    Static,
    /// Anybody: it is looked at by itself.
    Global,
}

/// What a function takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// `int`.
    Number,
    /// An enum.
    Choice,
    /// The context of the program's type.
    Context,
    /// A pointer to 16 bytes, or null.
    Memory,
    /// A pointer to 16 bytes that says that it is none to null.
    There,
    /// `void *`.
    Nothing,
    /// A struct.
    Struct,
    /// A pointer with a tag that means something else.
    Tagged,
    /// `struct bpf_dynptr *`.
    Dynptr,
}

impl Function {
    /// A function of a line, as `global(ctx, memory)` or `static void()`.
    ///
    /// # Errors
    /// The word that says nothing.
    pub fn parse(text: &str) -> Result<Function, String> {
        let wrong = |word: &str| Err(format!("`{word}` says nothing of a function"));
        let Some((before, rest)) = text.trim().split_once('(') else { return wrong(text) };
        let Some(inside) = rest.trim().strip_suffix(')') else { return wrong(rest) };
        let mut function = Function { linkage: Linkage::Static, is_void: false, parameters: Vec::new() };
        for word in before.split_whitespace() {
            match word {
                "static" => function.linkage = Linkage::Static,
                "global" => function.linkage = Linkage::Global,
                "void" => function.is_void = true,
                _ => return wrong(word),
            }
        }
        for word in inside.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            function.parameters.push(match word {
                "int" => Parameter::Number,
                "enum" => Parameter::Choice,
                "ctx" => Parameter::Context,
                "memory" => Parameter::Memory,
                "nonnull memory" => Parameter::There,
                "void" => Parameter::Nothing,
                "struct" => Parameter::Struct,
                "trusted" => Parameter::Tagged,
                "dynptr" => Parameter::Dynptr,
                _ => return wrong(word),
            });
        }
        Ok(function)
    }
}

/// Types of functions, and which function has which.
#[derive(Debug)]
pub struct Functions {
    /// The types, as bytes.
    pub bytes: Vec<u8>,
    /// The types.
    pub types: Btf<'static>,
    /// Each function's.
    pub ids: Vec<TypeId>,
}

impl Functions {
    /// Says of functions that begin at these instructions which type they have.
    pub fn at(&self, starts: &[u32]) -> Vec<FuncInfo> {
        starts.iter().zip(&self.ids).map(|(&insn_off, &type_id)| FuncInfo { insn_off, type_id }).collect()
    }
}

/// Makes the types of functions of a program of a type. The first is the program itself.
pub fn functions(kind: ProgType, all: &[Function]) -> Functions {
    let mut builder = Builder::new(Endian::NATIVE);
    let int = builder.int("int", Int { size: 4, encoding: IntEncoding::SIGNED, offset: 0, bits: 32 });
    let choice = builder.enumeration("choice", 4, EnumWidth::Bits32, Sign::Unsigned, &[]);
    let context = Platform::LINUX_6_18.prog(kind).and_then(|prog| prog.context);
    let context = builder.structure(context.map_or("none", |context| context.name), 8, &[]);
    let context = builder.ptr(context);
    let structure = builder.structure("memory", 16, &[]);
    let memory = builder.ptr(structure);
    let nothing = builder.ptr(TypeId::VOID);
    let dynptr = builder.structure("bpf_dynptr", 16, &[]);
    let dynptr = builder.ptr(dynptr);
    let mut ids = Vec::new();
    for (number, function) in all.iter().enumerate() {
        let names: Vec<String> = (0..function.parameters.len()).map(|number| format!("p{number}")).collect();
        let params: Vec<Param<'_>> = function
            .parameters
            .iter()
            .zip(&names)
            .map(|(parameter, name)| Param {
                name,
                type_id: match parameter {
                    Parameter::Number => int,
                    Parameter::Choice => choice,
                    Parameter::Context => context,
                    Parameter::Memory | Parameter::There | Parameter::Tagged => memory,
                    Parameter::Nothing => nothing,
                    Parameter::Struct => structure,
                    Parameter::Dynptr => dynptr,
                },
            })
            .collect();
        let ret = if function.is_void { TypeId::VOID } else { int };
        let proto = builder.func_proto(ret, &params);
        let linkage = match function.linkage {
            Linkage::Static => FuncLinkage::Static,
            Linkage::Global => FuncLinkage::Global,
        };
        let id = builder.func(&format!("f{number}"), Func { proto, linkage });
        for (component, parameter) in (0..).zip(&function.parameters) {
            let tag = match parameter {
                Parameter::There => "arg:nonnull",
                Parameter::Tagged => "arg:trusted",
                _ => continue,
            };
            builder.decl_tag(tag, DeclTag { target: id, component: Some(component), style: TagStyle::Tag });
        }
        ids.push(id);
    }
    let bytes = builder.finish().expect("types that were just built");
    let types = Btf::from_vec(bytes.clone()).expect("types that were just built");
    Functions { bytes, types, ids }
}
