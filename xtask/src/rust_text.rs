//! Just enough of Rust's lexical structure to find `unsafe` in a source file.
//!
//! Comments and literals are blanked first, so that only code is counted. What macros expand to is not seen: the
//! compiler's own lint is there for that.

/// The source with comments and literals replaced by spaces; lines stay where they are.
pub(crate) fn code_only(source: &str) -> String {
    let mut rest = source;
    let mut code = String::with_capacity(source.len());
    let mut after_word = false;
    while let Some(first) = rest.chars().next() {
        let blank = if after_word { None } else { raw_string(rest) }
            .or_else(|| line_comment(rest))
            .or_else(|| block_comment(rest))
            .or_else(|| quoted(rest))
            .or_else(|| character(rest));
        match blank {
            Some(len) => {
                code.extend(rest[..len].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
                rest = &rest[len..];
                after_word = false;
            }
            None => {
                code.push(first);
                rest = &rest[first.len_utf8()..];
                after_word = is_word(first);
            }
        }
    }
    code
}

/// The number of lines that `unsafe` accounts for: every line of an unsafe block, one line for each other use of the
/// keyword (a function, an implementation, a trait, an attribute), and every line of `global_asm!`, which is
/// unsafe without the keyword.
pub(crate) fn unsafe_lines(source: &str) -> usize {
    let code = code_only(source);
    let mut lines = 0;
    let mut counted_to = 0;
    for (at, word) in words(&code) {
        let span = match word {
            _ if at < counted_to => continue,
            "unsafe" => block_after(&code, at + word.len()).unwrap_or(at + word.len()),
            "global_asm" if code[at..].starts_with("global_asm!") => {
                group_end(&code, at).unwrap_or(code.len())
            }
            _ => continue,
        };
        lines += code[at..span].matches('\n').count() + 1;
        counted_to = span;
    }
    lines
}

/// The 1-based lines on which the keyword `unsafe` stands.
pub(crate) fn unsafe_places(source: &str) -> Vec<usize> {
    let code = code_only(source);
    let places = words(&code).filter(|(_, word)| *word == "unsafe");
    places.map(|(at, _)| code[..at].matches('\n').count() + 1).collect()
}

fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + code[from..].find(is_word)?;
        let end = code[start..].find(|c| !is_word(c)).map_or(code.len(), |len| start + len);
        from = end;
        Some((start, &code[start..end]))
    })
}

/// The end of the block, if a block is what comes next.
fn block_after(code: &str, at: usize) -> Option<usize> {
    code[at..].trim_start().starts_with('{').then(|| group_end(code, at)).flatten()
}

/// The end of the first bracketed group at or after `at`.
fn group_end(code: &str, at: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (offset, c) in code[at..].char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(at + offset + 1);
                }
            }
            _ => {}
        }
    }
    None
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn line_comment(text: &str) -> Option<usize> {
    text.starts_with("//").then(|| text.find('\n').unwrap_or(text.len()))
}

fn block_comment(text: &str) -> Option<usize> {
    if !text.starts_with("/*") {
        return None;
    }
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0usize, 0);
    while at < bytes.len() {
        let step = match &bytes[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                2
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                2
            }
            _ => 1,
        };
        at += step;
        if depth == 0 {
            return Some(at);
        }
    }
    Some(bytes.len())
}

/// A string in plain quotes; its prefix (`b`, `c`) stays in the code and does no harm.
fn quoted(text: &str) -> Option<usize> {
    let body = text.strip_prefix('"')?;
    let mut chars = body.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '"' => return Some(at + 2),
            _ => {}
        }
    }
    Some(text.len())
}

fn raw_string(text: &str) -> Option<usize> {
    let body = ["br", "cr", "r"].iter().find_map(|prefix| text.strip_prefix(prefix))?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let open = text.len() - body.len() + hashes;
    if !text[open..].starts_with('"') {
        return None;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    Some(text[open + 1..].find(&close).map_or(text.len(), |at| open + 1 + at + close.len()))
}

/// A character literal, which a lifetime is not.
fn character(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    if body.starts_with('\\') {
        let end = body.char_indices().skip(2).find(|(_, c)| *c == '\'')?;
        return Some(end.0 + 2);
    }
    let first = body.chars().next()?;
    body[first.len_utf8()..].starts_with('\'').then(|| first.len_utf8() + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_not_code() {
        for text in [
            "// unsafe",
            "/* /* unsafe */ unsafe */",
            "\"unsafe \\\" unsafe\"",
            "r#\"unsafe \" unsafe\"#",
            "b\"unsafe\"",
            "br##\"unsafe\"##",
            "let x = '\\''; // unsafe",
            "let unsafe_code = \"unsafe\";",
        ] {
            assert!(unsafe_places(text).is_empty(), "{text}");
            assert_eq!(unsafe_lines(text), 0, "{text}");
        }
    }

    #[test]
    fn code_after_a_literal_is_code() {
        for text in [
            "'\"'; unsafe {}",
            "'\\''; unsafe {}",
            "f::<'a>('x'); unsafe {}",
            "r\"\\\"; unsafe {}",
            "br\"\"; unsafe {}",
        ] {
            assert_eq!(unsafe_places(text), [1], "{text}");
        }
    }

    #[test]
    fn a_name_that_ends_in_r_before_a_string_is_no_raw_string() {
        assert_eq!(unsafe_places("macro_for\"\\\" unsafe\" unsafe"), [1]);
    }

    #[test]
    fn a_block_counts_all_its_lines_and_the_rest_one_each() {
        assert_eq!(unsafe_lines("unsafe { a() }"), 1);
        assert_eq!(unsafe_lines("unsafe {\n a({});\n}\nsafe();"), 3);
        assert_eq!(unsafe_lines("unsafe fn f() {\n\n\n}"), 1);
        assert_eq!(unsafe_lines("unsafe impl Send for T {\n}"), 1);
        assert_eq!(unsafe_lines("#[unsafe(no_mangle)]\nfn f() {}"), 1);
        assert_eq!(unsafe_lines("core::arch::global_asm!(\n\"nop\",\n);\nsafe();"), 3);
    }

    #[test]
    fn a_block_within_a_block_is_counted_once() {
        assert_eq!(unsafe_lines("unsafe {\n unsafe { a() }\n}"), 3);
    }

    #[test]
    fn places_are_lines() {
        assert_eq!(unsafe_places("fn a() {}\n\nunsafe fn b() {\n unsafe { c() }\n}"), [3, 4]);
    }

    #[test]
    fn text_that_ends_early_is_no_reason_to_panic() {
        for text in ["\"", "'", "/*", "r#\"", "'\\", "unsafe {", "unsafe", "\"\\", "é'é'"] {
            let _ = (unsafe_lines(text), code_only(text));
        }
    }
}
