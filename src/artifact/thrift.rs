//! A look over the footer and the page headers of a Parquet file before the parquet crate (60.1)
//! reads them: it skips as many members of an unknown collection as are announced, up to 2³¹, and
//! booleans take no bytes there, so that a few bytes can keep it busy for hours.
//!
//! The encoding is Thrift's compact protocol
//! (<https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>).

/// Structures within structures; Parquet's own go down to about ten.
const DEEPEST: usize = 64;

/// What is said where the bytes end too early.
pub(super) const CUT: &str = "bytes that are cut short";

/// Bytes that have not been looked at.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

/// What the header of a page says of its size.
#[derive(Debug, PartialEq)]
pub(super) struct PageHeader {
    /// Bytes of the header.
    pub(super) length: usize,
    /// Bytes of the page as it is stored, and decompressed.
    pub(super) stored: u32,
    pub(super) size: u32,
    /// The number of values, if it is a dictionary.
    pub(super) dictionary: Option<u32>,
    /// The encoding of the values, if it is a page of data.
    pub(super) encoding: Option<u32>,
}

/// What takes a field, by its number and kind, or says that it is of no interest.
type Take<'t, 'a> = &'t mut dyn FnMut(&mut Bytes<'a>, i64, u8) -> Result<bool, &'static str>;

/// Require that the structure at the start of `bytes` is whole, and that none of its collections
/// announces more members than there are bytes, or booleans, which Parquet's footers do not list.
pub(super) fn check(bytes: &[u8]) -> Result<(), &'static str> {
    Bytes(bytes).structure(DEEPEST)
}

/// The header of a page at the start of `bytes`: `PageHeader` of `parquet.thrift`, under the same
/// conditions.
pub(super) fn page_header(bytes: &[u8]) -> Result<PageHeader, &'static str> {
    let (mut stored, mut size) = (None, None);
    let (mut dictionary, mut encoding) = (None, None);
    let mut rest = Bytes(bytes);
    rest.fields(DEEPEST, &mut |bytes, field, kind| {
        match (field, kind) {
            (2, _) => size = Some(bytes.number(kind)?),
            (3, _) => stored = Some(bytes.number(kind)?),
            // The headers of a page of data, of a dictionary, and of a page of data in the second
            // version.
            (5 | 7 | 8, 12) => bytes.fields(DEEPEST - 1, &mut |bytes, inner, kind| {
                match (field, inner) {
                    (7, 1) => dictionary = Some(bytes.number(kind)?),
                    (5, 2) | (8, 4) => encoding = Some(bytes.number(kind)?),
                    _ => return Ok(false),
                }
                Ok(true)
            })?,
            (5 | 7 | 8, _) => return Err("a field of another kind"),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(PageHeader {
        length: bytes.len() - rest.0.len(),
        stored: stored.ok_or("a page without a size")?,
        size: size.ok_or("a page without a size")?,
        dictionary,
        encoding,
    })
}

impl<'a> Bytes<'a> {
    pub(super) fn take(&mut self, n: u64) -> Result<&'a [u8], &'static str> {
        let n = usize::try_from(n).map_err(|_| CUT)?;
        let (taken, rest) = self.0.split_at_checked(n).ok_or(CUT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn skip(&mut self, n: u64) -> Result<(), &'static str> {
        self.take(n).map(drop)
    }

    fn byte(&mut self) -> Result<u8, &'static str> {
        let (&byte, rest) = self.0.split_first().ok_or(CUT)?;
        self.0 = rest;
        Ok(byte)
    }

    /// A number of a field that counts something.
    fn number(&mut self, kind: u8) -> Result<u32, &'static str> {
        if !(4..=6).contains(&kind) {
            return Err("a field of another kind");
        }
        let number = i32::try_from(zigzag(self.varint()?)).ok();
        number
            .and_then(|n| u32::try_from(n).ok())
            .ok_or("a size that is negative or too large")
    }

    pub(super) fn varint(&mut self) -> Result<u64, &'static str> {
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
        self.fields(depth, &mut |_, _, _| Ok(false))
    }

    /// The fields of a structure, those that `take` takes and those that are passed over.
    fn fields(&mut self, depth: usize, take: Take<'_, 'a>) -> Result<(), &'static str> {
        let mut number = 0i64;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Ok(());
            }
            number = match head >> 4 {
                0 => zigzag(self.varint()?),
                delta => number.wrapping_add(delta.into()),
            };
            let kind = head & 0xF;
            if !take(self, number, kind)? {
                self.value(kind, depth)?;
            }
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

/// A signed number out of an unsigned one.
fn zigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_of_a_page_is_read_and_lists_of_booleans_in_it_are_not() {
        // A page of data (type 0) of 300 bytes, stored as 20, with 5 values in the encoding 8, and
        // four bytes after it.
        let data = [
            0x15, 0, 0x15, 0xD8, 4, 0x15, 40, 0x2C, 0x15, 10, 0x15, 16, 0x15, 6, 0x15, 6, 0, 0, 1,
            2, 3, 4,
        ];
        let header = PageHeader {
            length: 18,
            stored: 20,
            size: 300,
            dictionary: None,
            encoding: Some(8),
        };
        assert_eq!(page_header(&data), Ok(header));
        for length in 0..18 {
            assert_eq!(page_header(&data[..length]), Err(CUT), "cut at {length}");
        }
        let dictionary = [0x15, 4, 0x15, 8, 0x15, 8, 0x4C, 0x15, 14, 0x15, 0, 0, 0];
        let dictionary = page_header(&dictionary).unwrap();
        assert_eq!(
            (dictionary.dictionary, dictionary.encoding),
            (Some(7), None)
        );
        assert_eq!(page_header(&[0x15, 0, 0]), Err("a page without a size"));
        // -1 bytes; 2³¹ bytes; a size that is a boolean.
        for size in [&[0x25, 1, 0][..], &[0x25, 0x80, 0x80, 0x80, 0x80, 0x10, 0]] {
            let error = page_header(size).unwrap_err();
            assert_eq!(error, "a size that is negative or too large");
        }
        assert_eq!(page_header(&[0x21, 0]), Err("a field of another kind"));
        let booleans = [0x29, 0xF1, 0xFF, 0xFF, 0xFF, 0xFF, 7, 0];
        assert!(page_header(&[&[0x99], &booleans[1..]].concat()).is_err());
    }

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
