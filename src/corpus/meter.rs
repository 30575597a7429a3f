//! A reader that gives so many bytes and then fails: what a stranger wrote may expand, or run on, without end.

use std::io::{self, Read};

/// Fails with [`io::ErrorKind::InvalidData`] when more than a limit is read.
pub(super) struct Meter<R> {
    reader: R,
    left: u64,
    /// What is too long then, with its remedy.
    complaint: &'static str,
}

impl<R> Meter<R> {
    /// Read `limit` bytes of `reader`; after them the error says `complaint`.
    pub fn new(reader: R, limit: u64, complaint: &'static str) -> Self {
        Self {
            reader,
            left: limit,
            complaint,
        }
    }

    /// Start counting anew, up to another limit.
    pub fn refill(&mut self, limit: u64, complaint: &'static str) {
        (self.left, self.complaint) = (limit, complaint);
    }
}

impl<R: Read> Read for Meter<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buffer)?;
        match self.left.checked_sub(n as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::new(io::ErrorKind::InvalidData, self.complaint)),
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fails_past_its_limit_unless_it_is_refilled() {
        let mut meter = Meter::new(io::repeat(0), 9, "a header");
        let mut buffer = [0; 8];
        assert_eq!(meter.read(&mut buffer).unwrap(), 8);
        meter.refill(10, "enough");
        assert_eq!(meter.read(&mut buffer).unwrap(), 8);
        assert_eq!(meter.read(&mut buffer).unwrap_err().to_string(), "enough");
    }
}
