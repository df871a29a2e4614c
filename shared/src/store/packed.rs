//! What is kept small: deflated (RFC 1950), with a dictionary of what all of it has in common. DynamoDB counts each started
//! KB of a write.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// What bodies, notifications and states have in common: the names and the words, without the values. It must not change:
/// what was packed with it is unpacked with it. Another one would be a second one, told apart by the checksum that what is
/// packed begins with.
const DICTIONARY: &[u8] = include_bytes!("packed.dictionary");

/// What is packed cannot be unpacked: it was damaged, or is of a later version.
#[derive(Debug, thiserror::Error)]
#[error("what is packed cannot be unpacked: it was damaged, or a later version wrote it")]
pub struct Damaged;

/// Packs some bytes.
///
/// # Errors
/// [`Damaged`], which does not happen.
pub(super) fn pack(bytes: &[u8]) -> Result<Vec<u8>, Damaged> {
    let mut deflate = Compress::new(Compression::default(), true);
    deflate.set_dictionary(DICTIONARY).map_err(|_| Damaged)?;
    let mut packed = Vec::with_capacity(bytes.len() / 2 + 128);
    loop {
        let rest = rest(bytes, deflate.total_in())?;
        if deflate.compress_vec(rest, &mut packed, FlushCompress::Finish).map_err(|_| Damaged)?
            == Status::StreamEnd
        {
            return Ok(packed);
        }
        packed.reserve(packed.capacity());
    }
}

/// The bytes that were packed.
///
/// # Errors
/// [`Damaged`].
pub(super) fn unpack(packed: &[u8]) -> Result<Vec<u8>, Damaged> {
    let mut inflate = Decompress::new(true);
    let mut bytes = Vec::with_capacity(packed.len() * 4 + 128);
    loop {
        let (read, written) = (inflate.total_in(), bytes.len());
        match inflate.decompress_vec(rest(packed, read)?, &mut bytes, FlushDecompress::Finish) {
            Ok(Status::StreamEnd) => return Ok(bytes),
            Ok(_) if bytes.len() == bytes.capacity() => bytes.reserve(bytes.capacity()),
            // There is room, and nothing more comes.
            Ok(_) if inflate.total_in() == read && bytes.len() == written => return Err(Damaged),
            Ok(_) => {}
            Err(error) if error.needs_dictionary().is_some() => {
                inflate.set_dictionary(DICTIONARY).map_err(|_| Damaged)?;
            }
            Err(_) => return Err(Damaged),
        }
    }
}

fn rest(bytes: &[u8], done: u64) -> Result<&[u8], Damaged> {
    usize::try_from(done).ok().and_then(|done| bytes.get(done..)).ok_or(Damaged)
}

/// A field that is stored as packed JSON.
pub(super) mod json {
    use serde::de::{DeserializeOwned, Error as _};
    use serde::ser::Error as _;
    use serde::{Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<T: Serialize, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let json = serde_json::to_vec(value).map_err(S::Error::custom)?;
        serializer.serialize_bytes(&super::pack(&json).map_err(S::Error::custom)?)
    }

    pub(crate) fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let packed: Vec<u8> = serde_bytes::deserialize(deserializer)?;
        let json = super::unpack(&packed).map_err(D::Error::custom)?;
        serde_json::from_slice(&json).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_packed_once_is_unpacked_for_ever() {
        let packed = include_bytes!("packed.example");
        assert_eq!(
            unpack(packed).unwrap(),
            br#"{"event":"transaction.deposit.success","data":{"uid":"u","amount":0.5}}"#
        );
    }

    #[test]
    fn what_is_damaged_is_an_error() {
        let packed = pack(b"transaction.deposit.success").unwrap();
        assert!(
            unpack(&[]).is_err() && unpack(b"text").is_err() && unpack(&packed[..packed.len() - 1]).is_err()
        );
        let mut other = packed;
        // The checksum of the dictionary.
        other[2] ^= 1;
        assert!(unpack(&other).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_the_same_afterwards(bytes in proptest::collection::vec(any::<u8>(), 0..70_000)) {
            prop_assert_eq!(unpack(&pack(&bytes).unwrap()).unwrap(), bytes);
        }

        #[test]
        fn any_bytes_are_unpacked_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = unpack(&bytes);
        }
    }
}
