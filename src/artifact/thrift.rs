//! A look over the footer of a Parquet file before the parquet crate reads it: that crate skips as many members of a
//! collection as a header announces, and booleans take no bytes there, so that a few bytes can keep it busy for hours.
//!
//! The encoding is Thrift's compact protocol
//! (<https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>).

/// Structures within structures; Parquet's own go down to about ten.
const DEEPEST: usize = 64;

/// The bytes of a structure that have not been looked at.
struct Bytes<'a>(&'a [u8]);

/// Require that the structure at the start of `bytes` is whole, and that none of its collections announces more members
/// than there are bytes, or booleans, which Parquet's footers do not list.
pub(super) fn check(bytes: &[u8]) -> Result<(), &'static str> {
    Bytes(bytes).structure(DEEPEST)
}

impl Bytes<'_> {
    fn skip(&mut self, n: u64) -> Result<(), &'static str> {
        let rest = usize::try_from(n).ok().and_then(|n| self.0.get(n..));
        self.0 = rest.ok_or("a footer that is cut short")?;
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, &'static str> {
        let (&byte, rest) = self.0.split_first().ok_or("a footer that is cut short")?;
        self.0 = rest;
        Ok(byte)
    }

    fn varint(&mut self) -> Result<u64, &'static str> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a number of more than 64 bits")
    }

    fn structure(&mut self, depth: usize) -> Result<(), &'static str> {
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Ok(());
            }
            if head >> 4 == 0 {
                self.varint()?;
            }
            self.value(head & 0xF, depth)?;
        }
    }

    fn value(&mut self, kind: u8, depth: usize) -> Result<(), &'static str> {
        let inner = depth
            .checked_sub(1)
            .ok_or("structures too deep in each other")?;
        match kind {
            1 | 2 => Ok(()),
            3 => self.skip(1),
            4..=6 => self.varint().map(drop),
            7 => self.skip(8),
            8 => {
                let length = self.varint()?;
                self.skip(length)
            }
            9 | 10 => {
                let head = self.byte()?;
                let size = match head >> 4 {
                    15 => self.varint()?,
                    size => size.into(),
                };
                self.members(size, &[head & 0xF], inner)
            }
            11 => match self.varint()? {
                0 => Ok(()),
                size => {
                    let kinds = self.byte()?;
                    self.members(size, &[kinds >> 4, kinds & 0xF], inner)
                }
            },
            12 => self.structure(inner),
            13 => self.skip(16),
            _ => Err("a field of an unknown kind"),
        }
    }

    /// `size` members of a collection, each made of values of these kinds.
    fn members(&mut self, size: u64, kinds: &[u8], depth: usize) -> Result<(), &'static str> {
        if size > self.0.len() as u64 {
            return Err("a list longer than the footer");
        }
        if size > 0 && kinds.iter().any(|kind| matches!(kind, 1 | 2)) {
            return Err("a list of booleans");
        }
        (0..size).try_for_each(|_| kinds.iter().try_for_each(|&kind| self.value(kind, depth)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn footers_that_announce_more_than_they_hold_are_refused() {
        // i32 7, a list of two strings, a map from string to i32, a structure, a double, a boolean.
        let whole = [
            0x15, 0x0E, 0x19, 0x28, 1, b'a', 1, b'b', 0x1B, 1, 0x85, 1, b'k', 2, 0x1C, 0, 0x17, 0,
            0, 0, 0, 0, 0, 0, 0, 0x11, 0,
        ];
        assert_eq!(check(&whole), Ok(()));
        for length in 0..whole.len() {
            assert!(check(&whole[..length]).is_err(), "cut at {length}");
        }
        let endless = [0x1B, 0xFF, 0xFF, 0xFF, 0xFF, 7, 0x22, 0];
        assert_eq!(check(&endless), Err("a list longer than the footer"));
        assert_eq!(check(&[0x19, 0x22, 1, 1, 0]), Err("a list of booleans"));
        assert_eq!(
            check(&[0x1C; 100]),
            Err("structures too deep in each other")
        );
        assert_eq!(check(&[0x1E, 0]), Err("a field of an unknown kind"));
    }
}
