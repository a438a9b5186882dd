//! What the command line puts into globals before the load, and into maps after it.

use crate::failure::{Failure, Place};
use skep::{Btf, Loaded, Object};
use skep_btf::{Def, Literal, TypeId};
use skep_model::BtfId;

/// Sets globals.
///
/// # Errors
/// Names the variable that is not there, or the text that does not fit.
pub(super) fn set(object: &mut Object, settings: &[(String, String)]) -> Result<(), Failure> {
    for (name, value) in settings {
        object.set_global(name, value)?;
    }
    Ok(())
}

/// Puts elements into maps; `entries` alternates between a map and `KEY=VALUE`.
///
/// # Errors
/// Names the map that is not there, or the text that does not fit.
pub(super) fn fill(loaded: &Loaded, object: &Object, entries: &[String]) -> Result<(), Failure> {
    for pair in entries.chunks_exact(2) {
        let (name, text) = (pair[0].as_str(), pair[1].as_str());
        let place = || Place {
            file: Some(object.file().to_owned()),
            symbol: Some(name.to_owned()),
            ..Place::default()
        };
        let map = loaded.map(name)?;
        let spec = object.map(name)?;
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| Failure::usage(format_args!("wanted KEY=VALUE, found `{text}`")).at(place()))?;
        let part = |text: &str, id: Option<BtfId>, size: usize| {
            bytes(object.btf(), id.map(|id| TypeId(id.0)), text, size)
                .map_err(|message| Failure::usage(format_args!("`{text}`: {message}")).at(place()))
        };
        let key = part(key, spec.key_type, map.key_size())?;
        let value = part(value, spec.value_type, map.value_size())?;
        let stored = match map.is_per_cpu() {
            true => {
                let cpus = map.split_cpus(&vec![0; map.value_stride()]).count();
                map.join_cpus(&vec![value; cpus])?
            }
            false => value,
        };
        map.insert(&key, &stored)?;
    }
    Ok(())
}

/// Reads text by a type: a number or name for what is one, `member:text,member:text` for what has several, and hexadecimal digits
/// where nothing says what the bytes mean.
pub(crate) fn bytes(
    btf: Option<&Btf<'static>>,
    id: Option<TypeId>,
    text: &str,
    size: usize,
) -> Result<Vec<u8>, String> {
    let (Some(btf), Some(id)) = (btf, id) else { return digits(text, size) };
    let mut bytes = vec![0; size];
    let mut assign = |path: &str, text: &str| {
        btf.assign(id, path, Literal::Text(text), &mut bytes).map_err(|error| error.to_string())
    };
    let has_parts = match btf.resolve(id).map(|ty| ty.def()) {
        Ok(Def::Struct(_) | Def::Union(_)) => true,
        // Text goes into an array of characters as a whole.
        Ok(Def::Array(_)) => text.starts_with('['),
        _ => false,
    };
    match has_parts {
        false => assign("", text)?,
        true => {
            for part in text.split(',').filter(|part| !part.trim().is_empty()) {
                let (path, text) =
                    part.split_once(':').ok_or_else(|| format!("wanted member:value, found `{part}`"))?;
                assign(path.trim(), text.trim())?;
            }
        }
    }
    Ok(bytes)
}

fn digits(text: &str, size: usize) -> Result<Vec<u8>, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let wanted = || format!("it has no type, so wanted the {} digits of its bytes", size * 2);
    if digits.len() != size * 2 || !digits.is_ascii() {
        return Err(wanted());
    }
    (0..size).map(|at| u8::from_str_radix(&digits[at * 2..at * 2 + 2], 16).map_err(|_| wanted())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_btf::Kind;

    #[test]
    fn text_becomes_bytes_by_its_type() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/xdp-firewall/xdp_firewall.bpf.o");
        let object = Object::open(path).unwrap();
        let btf = object.btf().unwrap();
        let of = |name, kind, text: &str, size| bytes(Some(btf), btf.find(name, kind), text, size);
        assert_eq!(of("__u32", Kind::Typedef, "0x0a4d0001", 4).unwrap(), 0x0a4d_0001u32.to_ne_bytes());
        let tally = of("tally", Kind::Struct, "bytes:7, packets:1", 16).unwrap();
        assert_eq!(tally, [1u64.to_ne_bytes(), 7u64.to_ne_bytes()].concat());
        let address = of("address", Kind::Struct, "words[3]:5", 16).unwrap();
        assert_eq!(address[12..], 5u32.to_ne_bytes());
        assert!(of("tally", Kind::Struct, "5", 16).unwrap_err().contains("member:value"));
        assert!(of("tally", Kind::Struct, "nothing:1", 16).is_err());
        assert!(of("__u32", Kind::Typedef, "0x100000000", 4).is_err());
        assert_eq!(bytes(None, None, "0x0aFF", 2).unwrap(), [10, 255]);
        assert!(bytes(None, None, "0a", 2).is_err());
        assert!(bytes(None, None, "é0", 2).is_err());
    }
}
