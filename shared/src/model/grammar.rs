//! What is looked at in a JSON text before serde_json reads it.
//!
//! With `arbitrary_precision` and `raw_value` serde_json hands numbers and raw texts to itself as objects with one
//! field of a private name, and takes an object that came with such a field for one: `{"$serde_json::private::Number":
//! "2"}` would be the number 2, and whole objects could hide in a text, from every limit of depth. So no object with
//! such a name gets there.

/// How deep objects and arrays may stand in each other. serde_json reads 127 levels, and what is sent or shown of a
/// body stands a few levels deeper than in the body itself.
pub(super) const MAX_DEPTH: usize = 120;

/// What serde_json's private names begin with.
const RESERVED: &str = "$serde_json::private::";

/// Why a text is not given to serde_json.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// Its nesting is too deep.
    TooDeep,
    /// The name of a field is reserved.
    ReservedName,
}

/// Looks through a text, which need not be JSON.
pub(super) fn check(text: &str) -> Result<(), Unfit> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let end = end_of_string(bytes, at);
                let is_name = bytes.get(end..).unwrap_or_default().trim_ascii_start().first() == Some(&b':');
                if is_name && text.get(at..end).is_some_and(is_reserved) {
                    return Err(Unfit::ReservedName);
                }
                at = end;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(Unfit::TooDeep);
        }
        at += 1;
    }
    Ok(())
}

/// The position after the string that begins here.
fn end_of_string(bytes: &[u8], begin: usize) -> usize {
    let mut at = begin + 1;
    loop {
        match bytes.get(at) {
            Some(b'\\') => at += 2,
            Some(b'"') => return at + 1,
            Some(_) => at += 1,
            None => return bytes.len(),
        }
    }
}

/// Whether a string, in its quotes, is one of the private names, however it is written.
fn is_reserved(quoted: &str) -> bool {
    if !quoted.contains('\\') {
        return quoted.strip_prefix('"').is_some_and(|name| name.starts_with(RESERVED));
    }
    serde_json::from_str::<String>(quoted).is_ok_and(|name| name.starts_with(RESERVED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_name_is_found_at_any_depth_and_in_any_spelling() {
        for text in [
            r#"{"$serde_json::private::Number":"2"}"#,
            r#"{"a":[{"b":1,"$serde_json::private::RawValue" : "{}"}]}"#,
            r#"{"\u0024serde_json::private::Number":"2"}"#,
            r#"{"$serde_json:\u003aprivate::Number":"2"}"#,
            r#"{"$serde_json::private::Later":1}"#,
        ] {
            assert_eq!(check(text), Err(Unfit::ReservedName), "{text}");
        }
    }

    #[test]
    fn the_same_letters_elsewhere_are_text() {
        for text in [
            r#"{"memo":"$serde_json::private::Number"}"#,
            r#"{"memo":"\"$serde_json::private::Number\":1"}"#,
            r#"{" $serde_json::private::Number":1}"#,
            r#"["$serde_json::private::Number"]"#,
            "\"unfinished",
            "\"unfinished\\",
            "",
            "}]}",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn depth_is_counted_outside_of_strings() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(check(&nested(MAX_DEPTH)), Ok(()));
        assert_eq!(check(&nested(MAX_DEPTH + 1)), Err(Unfit::TooDeep));
        assert_eq!(check(&format!("\"{}\"", nested(1000))), Ok(()));
        assert_eq!(check(&format!("[{}]", vec![nested(50); 50].join(","))), Ok(()));
    }
}
