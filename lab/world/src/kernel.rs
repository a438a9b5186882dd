//! The types of a small kernel.

use skep_btf::{
    Array, Btf, Builder, Endian, Func, FuncLinkage, Int, IntEncoding, Kind, Member, Param, SecInfo, TagStyle,
    TypeId, TypeTag, Var, VarLinkage,
};
use skep_model::platform::kfuncs::KFUNCS;
use std::num::NonZeroU8;
use std::sync::OnceLock;

/// The types of a small kernel, and some of them.
#[derive(Debug)]
#[expect(missing_docs, reason = "they are called as in the types")]
pub struct Kernel {
    /// The types.
    pub types: Btf<'static>,
    pub sched_switch: TypeId,
    pub kfree_skb: TypeId,
    pub cachefiles_lookup: TypeId,
    pub do_thing: TypeId,
    pub bpf_iter_task: TypeId,
    pub bpf_iter_elem: TypeId,
    pub file_open: TypeId,
    pub task_free: TypeId,
    pub hook_of_nothing: TypeId,
    pub ops: TypeId,
    pub per_cpu: TypeId,
    pub one: TypeId,
    pub number: TypeId,
}

impl Kernel {
    /// A type by its name: a function, a typedef, a struct or a variable.
    pub fn find(&self, name: &str) -> Option<TypeId> {
        [Kind::Func, Kind::Typedef, Kind::Struct, Kind::Var]
            .into_iter()
            .find_map(|kind| self.types.find(name, kind))
    }
}

/// The types, which are made once.
pub fn kernel() -> &'static Kernel {
    static KERNEL: OnceLock<Kernel> = OnceLock::new();
    KERNEL.get_or_init(make)
}

fn member<'n>(name: &'n str, type_id: TypeId, byte: u32) -> Member<'n> {
    Member { name, type_id, bit_offset: byte * 8, bitfield: None }
}

/// `task_struct`, whose members stand at:
/// 0 `pid`, 4 `low:3` and `high:5`, 8 `cgroups`, 16 `parent`, 24 `stack`, 32 `inner.a`, 36 `inner.b`, 40 `numbers[4]`, 56 `either`, 64
/// `each`, 72 `theirs`, 80 `guarded`, 88 `pair[0].next`, 96 `pair[1].next`, 104 nothing, 112 `last`, 120 `rest[]`.
fn make() -> Kernel {
    let mut b = Builder::new(Endian::NATIVE);
    let int = |b: &mut Builder, name: &str, size: u32, encoding| {
        b.int(name, Int { size, bits: (size * 8) as u8, offset: 0, encoding })
    };
    let u32_id = int(&mut b, "unsigned int", 4, IntEncoding::UNSIGNED);
    let u64_id = int(&mut b, "unsigned long", 8, IntEncoding::UNSIGNED);
    let char_id = int(&mut b, "char", 1, IntEncoding::CHAR);
    let s32_id = int(&mut b, "int", 4, IntEncoding::SIGNED);
    let css_set = b.structure("css_set", 8, &[member("count", u32_id, 0)]);
    let tagged = |b: &mut Builder, tag: &str, target| {
        let tag = b.type_tag(tag, TypeTag { target, style: TagStyle::Tag });
        b.ptr(tag)
    };
    let cgroups = tagged(&mut b, "rcu", css_set);
    let guarded = tagged(&mut b, "rcu", css_set);
    let each = tagged(&mut b, "percpu", css_set);
    let theirs = tagged(&mut b, "user", css_set);
    let inner = b.structure("inner", 8, &[member("a", u32_id, 0), member("b", u32_id, 4)]);
    let numbers = b.array(Array { elem: u32_id, index: u32_id, len: 4 });
    let rest = b.array(Array { elem: u64_id, index: u32_id, len: 0 });
    let void = b.ptr(TypeId::VOID);
    // The struct comes right behind the four types that need it.
    let task = TypeId(b.next_id().0 + 4);
    let parent = b.ptr(task);
    let either = b.union("", 8, &[member("task", parent, 0), member("word", u64_id, 0)]);
    let link = b.structure("link", 8, &[member("next", parent, 0)]);
    let pair = b.array(Array { elem: link, index: u32_id, len: 2 });
    let bits = |name, bit_offset, width| Member {
        name,
        type_id: u32_id,
        bit_offset,
        bitfield: NonZeroU8::new(width),
    };
    let made = b.structure(
        "task_struct",
        120,
        &[
            member("pid", u32_id, 0),
            bits("low", 32, 3),
            bits("high", 35, 5),
            member("cgroups", cgroups, 8),
            member("parent", parent, 16),
            member("stack", void, 24),
            member("inner", inner, 32),
            member("numbers", numbers, 40),
            member("", either, 56),
            member("each", each, 64),
            member("theirs", theirs, 72),
            member("guarded", guarded, 80),
            member("pair", pair, 88),
            member("last", u32_id, 112),
            member("rest", rest, 120),
        ],
    );
    assert_eq!(made, task);
    let inode = b.structure("inode", 8, &[member("i_mode", u32_id, 0)]);
    let inode_ptr = b.ptr(inode);
    let file = b.structure("file", 16, &[member("f_inode", inode_ptr, 0), member("other", inode_ptr, 8)]);
    let file_ptr = b.ptr(file);
    b.structure("socket", 8, &[member("file", file_ptr, 0)]);
    // It begins with a file, and has another.
    let two_files = b.structure("two_files", 32, &[member("one", file, 0), member("other", file, 16)]);
    let two_files = b.ptr(two_files);
    let text = b.ptr(char_id);
    let words = b.ptr(text);
    let param = |name, type_id| Param { name, type_id };
    let tracepoint = |b: &mut Builder, name: &str, params: &[Param<'_>]| {
        let proto = b.func_proto(TypeId::VOID, params);
        let pointer = b.ptr(proto);
        b.typedef(name, pointer)
    };
    let sched_switch = tracepoint(
        &mut b,
        "btf_trace_sched_switch",
        &[param("", void), param("", u32_id), param("", parent), param("", text), param("", words)],
    );
    let kfree_skb = tracepoint(
        &mut b,
        "btf_trace_kfree_skb",
        &[param("", void), param("", parent), param("", void), param("", u32_id), param("", parent)],
    );
    let cachefiles_lookup = tracepoint(
        &mut b,
        "btf_trace_cachefiles_lookup",
        &[param("", void), param("", parent), param("", parent), param("", parent)],
    );
    let function = |b: &mut Builder, name: &str, ret, params: &[Param<'_>]| {
        let proto = b.func_proto(ret, params);
        b.func(name, Func { proto, linkage: FuncLinkage::Static })
    };
    let do_thing = function(&mut b, "do_thing", s32_id, &[param("task", parent), param("how", u32_id)]);
    let iter = [param("meta", file_ptr), param("task", parent)];
    let bpf_iter_task = function(&mut b, "bpf_iter_task", s32_id, &iter);
    let elem = [param("meta", file_ptr), param("map", parent), param("key", void), param("value", void)];
    let bpf_iter_elem = function(&mut b, "bpf_iter_bpf_map_elem", s32_id, &elem);
    let file_open = function(
        &mut b,
        "bpf_lsm_file_open",
        s32_id,
        &[param("file", file_ptr), param("more__nullable", file_ptr), param("two", two_files)],
    );
    let task_free = function(&mut b, "bpf_lsm_task_free", TypeId::VOID, &[param("task", parent)]);
    let hook_of_nothing = function(&mut b, "bpf_lsm_cred_free", TypeId::VOID, &[param("file", file_ptr)]);
    let proto = b.func_proto(TypeId::VOID, &[param("", file_ptr), param("", file_ptr)]);
    let pointer = b.ptr(proto);
    let ops = b.structure("some_ops", 8, &[member("open", pointer, 0)]);
    function(
        &mut b,
        "some_ops__open",
        TypeId::VOID,
        &[param("file", file_ptr), param("more__nullable", file_ptr)],
    );
    b.structure("bpf_array", 8, &[member("map_type", u32_id, 0), member("max_entries", u32_id, 4)]);
    let variable =
        |b: &mut Builder, name: &str, type_id| b.var(name, Var { type_id, linkage: VarLinkage::Global });
    let per_cpu = variable(&mut b, "runqueues", task);
    let one = variable(&mut b, "init_task", task);
    let number = variable(&mut b, "jiffies", u64_id);
    b.datasec(".data..percpu", 120, &[SecInfo { type_id: per_cpu, offset: 0, size: 120 }]);
    // Programs call them by name and number only.
    let proto = b.func_proto(TypeId::VOID, &[]);
    for name in KFUNCS.iter().map(|kfunc| kfunc.name).chain(["bpf_other"]) {
        b.func(name, Func { proto, linkage: FuncLinkage::Static });
    }
    let types =
        Btf::from_vec(b.finish().expect("types that were just built")).expect("types that were just built");
    Kernel {
        types,
        sched_switch,
        kfree_skb,
        cachefiles_lookup,
        do_thing,
        bpf_iter_task,
        bpf_iter_elem,
        file_open,
        task_free,
        hook_of_nothing,
        ops,
        per_cpu,
        one,
        number,
    }
}
