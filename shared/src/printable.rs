//! Other people's text where more than text has a meaning: on a terminal, in a mail, in a line of a file.
//!
//! Whoever sends a webhook chooses what stands in it. A line break in a reference makes a line that we never wrote; an
//! escape sequence moves a terminal's cursor; a character that turns the direction of writing makes an address read as
//! another one. None of them is lost: each is shown as what it is, `\u202e`.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character does something else than stand there: control characters, separators of lines, and what turns
/// the direction of writing (Unicode Standard Annex #9, "Bidirectional Algorithm", section 2).
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// The text on one line, in which every character only stands there.
pub fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, acts)
}

/// JSON, on one line or indented, that means the same and acts on no terminal. What acts stands in JSON's strings only,
/// but for the line breaks of an indented text.
pub fn json(text: &str) -> Cow<'_, str> {
    escaped(text, |c| acts(c) && c != '\n')
}

fn escaped(text: &str, escapes: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&escapes) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' if escapes(c) => out.push_str("\\n"),
            '\r' if escapes(c) => out.push_str("\\r"),
            '\t' if escapes(c) => out.push_str("\\t"),
            // All that acts is below U+10000: four digits name it.
            c if escapes(c) => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_acts_is_shown_as_what_it_is() {
        for (text, shown) in [
            ("plain text, Zürich, 漢字, 🎁", "plain text, Zürich, 漢字, 🎁"),
            ("one\ntwo\r\n\tthree", "one\\ntwo\\r\\n\\tthree"),
            ("\u{1b}[2J", "\\u001b[2J"),
            ("\u{9b}2J\u{7f}", "\\u009b2J\\u007f"),
            ("0xab\u{202e}cd\u{2069}", "0xab\\u202ecd\\u2069"),
            ("a\u{2028}b\u{85}c", "a\\u2028b\\u0085c"),
            ("", ""),
        ] {
            assert_eq!(one_line(text), shown);
        }
    }

    proptest! {
        #[test]
        fn nothing_acts_on_one_line(text in "(?s).{0,50}[\u{0}-\u{9f}\u{200e}-\u{2069}]{0,20}.{0,20}") {
            let line = one_line(&text);
            prop_assert!(!line.chars().any(acts));
            prop_assert_eq!(one_line(&line), line.as_ref());
        }

        #[test]
        fn json_means_the_same(text in "(?s).{0,50}[\u{0}-\u{9f}\u{200e}-\u{2069}]{0,20}.{0,20}") {
            let value = serde_json::json!({ &text: [&text] });
            for written in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let shown = json(&written);
                prop_assert!(!shown.chars().any(|c| acts(c) && c != '\n'));
                prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(&shown).unwrap(), &value);
            }
        }
    }
}
