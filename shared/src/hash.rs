//! Hashes over several fields, and bytes as text.

use sha2::digest::Update;

/// Feeds fields to a hash or a MAC, each after its length (64 bit, big endian): no two lists of fields are the same
/// input.
pub fn feed<'a>(hash: &mut impl Update, fields: impl IntoIterator<Item = &'a [u8]>) {
    for field in fields {
        hash.update(&(field.len() as u64).to_be_bytes());
        hash.update(field);
    }
}

/// Bytes in hexadecimal, two characters each.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};

    fn hash(fields: &[&[u8]]) -> String {
        let mut hash = Sha256::new();
        feed(&mut hash, fields.iter().copied());
        hex(&hash.finalize())
    }

    #[test]
    fn where_a_field_ends_matters() {
        let lists: [&[&[u8]]; 5] = [&[], &[b""], &[b"ab"], &[b"a", b"b"], &[b"", b"ab"]];
        for (number, one) in lists.iter().enumerate() {
            for other in lists.iter().skip(number + 1) {
                assert_ne!(hash(one), hash(other), "{one:?} {other:?}");
            }
        }
        // Computed elsewhere: SHA-256 of 00 00 00 00 00 00 00 01 61.
        assert_eq!(hash(&[b"a"]), "3b196fd4907bedf51c3090e9835f2f7cb61e7ee1b2299ea3b8fed9b4183a822a");
    }

    #[test]
    fn bytes_are_two_characters_each() {
        assert_eq!(hex(&[0, 0x0a, 0xff]), "000aff");
        assert_eq!(hex(&[]), "");
    }
}
