//! Names as the kernel takes them: up to 15 bytes of letters, digits, `_` and `.` (kernel/bpf/syscall.c,
//! `bpf_obj_name_cpy`).

use skep_abi::OBJ_NAME_LEN;
use skep_model::{MapOrigin, MapSpec};

/// Bytes of a name without its NUL.
const MOST: usize = OBJ_NAME_LEN - 1;
/// Bytes that the names of data sections leave to the object's, as libbpf does (`internal_map_name`).
const SHORTEST_SUFFIX: usize = 7;

/// Makes a name of any text.
pub(crate) fn kernel_name(name: &str) -> [u8; OBJ_NAME_LEN] {
    let mut out = [0; OBJ_NAME_LEN];
    for (place, byte) in out[..MOST].iter_mut().zip(name.bytes()) {
        *place = if byte.is_ascii_alphanumeric() || byte == b'.' { byte } else { b'_' };
    }
    out
}

/// Makes the name of a map: its own, or for a data section the start of the object's and the section's. A section that has a
/// name of its own (`.data.name`) stands alone.
pub(super) fn map_name(spec: &MapSpec, file: &str) -> [u8; OBJ_NAME_LEN] {
    let MapOrigin::Data(data) = &spec.origin else { return kernel_name(&spec.name) };
    let suffix: String = data.section.chars().take(MOST).collect();
    let has_own_name = data.section.chars().skip(1).any(|c| c == '.');
    let room = if has_own_name { 0 } else { MOST - suffix.len().clamp(SHORTEST_SUFFIX, MOST) };
    let stem = file.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = stem.split('.').next().unwrap_or_default();
    let prefix: String =
        stem.chars().take(room).map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    kernel_name(&format!("{prefix}{suffix}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_abi::MapType;
    use skep_model::{DataKind, MapData, Pinning};

    fn data(section: &str) -> MapSpec {
        let data = MapData { section: section.into(), kind: DataKind::Initialised, bytes: vec![0] };
        MapSpec {
            name: section.into(),
            map_type: MapType::ARRAY,
            key_size: 4,
            value_size: 1,
            max_entries: 1,
            flags: 0,
            extra: 0,
            numa_node: None,
            pinning: Pinning::None,
            key_type: None,
            value_type: None,
            inner: None,
            initial: Vec::new(),
            origin: MapOrigin::Data(Box::new(data)),
        }
    }

    fn text(name: [u8; OBJ_NAME_LEN]) -> String {
        String::from_utf8(name.iter().copied().take_while(|byte| *byte != 0).collect()).unwrap()
    }

    #[test]
    fn names_are_cut_and_cleaned() {
        assert_eq!(text(kernel_name("a-very/long name indeed")), "a_very_long_nam");
        assert_eq!(text(kernel_name("h\u{e9}")), "h__");
        assert_eq!(kernel_name(&"x".repeat(40))[MOST], 0);
    }

    #[test]
    fn data_sections_carry_the_objects_name() {
        let name = |section, file| text(map_name(&data(section), file));
        assert_eq!(name(".rodata", "dir/xdp_firewall.bpf.o"), "xdp_fire.rodata");
        assert_eq!(name(".bss", "xdp_firewall.bpf.o"), "xdp_fire.bss");
        assert_eq!(name(".data.custom", "globals.bpf.o"), ".data.custom");
        assert_eq!(name(".rodata.much.too.long", "globals.bpf.o"), ".rodata.much.to");
        assert_eq!(name(".data", ""), ".data");
    }
}
