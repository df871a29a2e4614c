//! What is looked at in a JSON text before serde_json reads it.
//!
//! With `arbitrary_precision` and `raw_value` serde_json hands numbers and raw texts to itself as objects with one
//! field of a private name, and takes an object that came with such a field for one: `{"$serde_json::private::Number":
//! "2"}` would be the number 2, and whole objects could hide in a text, from every limit of depth. So no object with
//! such a name gets there.
//!
//! JSON's grammar allows half of a surrogate pair to stand alone (RFC 8259, section 8.2), and JavaScript writes it where
//! it has cut a text in the middle of a character. No text in Rust can hold it. It is read as U+FFFD, which stands for
//! what is no character; the body itself stays as it came.

use std::borrow::Cow;

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

/// The text with every half of a surrogate pair that stands alone written as U+FFFD. It is as long as before, and the
/// same where there is none.
pub(super) fn mended(text: &str) -> Cow<'_, str> {
    const REPLACEMENT: &str = r"\ufffd";
    let bytes = text.as_bytes();
    let (mut mended, mut written, mut at) = (String::new(), 0, 0);
    while let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'\\')) {
        at += found;
        at += match (escaped_unit(bytes, at), escaped_unit(bytes, at + ESCAPE)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 2 * ESCAPE,
            (Some(0xd800..=0xdfff), _) => {
                mended.push_str(text.get(written..at).unwrap_or_default());
                mended.push_str(REPLACEMENT);
                written = at + ESCAPE;
                ESCAPE
            }
            (Some(_), _) => ESCAPE,
            (None, _) => 2,
        };
    }
    if written == 0 {
        return Cow::Borrowed(text);
    }
    mended.push_str(text.get(written..).unwrap_or_default());
    Cow::Owned(mended)
}

/// How long `\u` and its four digits are.
const ESCAPE: usize = 6;

/// The UTF-16 unit that is written as `\uXXXX` here.
fn escaped_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + ESCAPE)?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits).ok().filter(|_| digits.iter().all(u8::is_ascii_hexdigit))?;
    u16::from_str_radix(digits, 16).ok()
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
    fn half_a_pair_is_replaced_and_nothing_else_is() {
        for (text, expected) in [
            (r#""\ud83c""#, r#""\ufffd""#),
            (r#""\uD83C""#, r#""\ufffd""#),
            (r#""\udf81""#, r#""\ufffd""#),
            (r#""\ud83c\udf81""#, r#""\ud83c\udf81""#),
            (r#""\uD83C\uDf81\udf81""#, r#""\uD83C\uDf81\ufffd""#),
            (r#""\ud83c\ud83c\udf81""#, r#""\ufffd\ud83c\udf81""#),
            (r#""\udf81\ud83c""#, r#""\ufffd\ufffd""#),
            (r#""\ud83c \udf81""#, r#""\ufffd \ufffd""#),
            (r#""\ud83c\n""#, r#""\ufffd\n""#),
            (r#"{"\ud83c":"\ud83c"}"#, r#"{"\ufffd":"\ufffd"}"#),
            // A backslash, and letters.
            (r#""\\ud83c""#, r#""\\ud83c""#),
            (r#""\\\ud83c""#, r#""\\\ufffd""#),
            (r#""\ud83""#, r#""\ud83""#),
            (r#""\ud83c\udf8"#, r#""\ufffd\udf8"#),
            (r"\ud83", r"\ud83"),
            ("\\", "\\"),
            (r"\uü", r"\uü"),
            ("", ""),
        ] {
            assert_eq!(mended(text), expected, "{text}");
        }
    }

    #[test]
    fn a_private_name_with_half_a_pair_is_one() {
        let text = r#"{"$serde_json::private::\ud83c":"2"}"#;
        assert_eq!(check(&mended(text)), Err(Unfit::ReservedName));
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
