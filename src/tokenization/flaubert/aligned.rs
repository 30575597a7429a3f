//! A text that is rewritten step by step and, when asked, remembers where each byte comes from.
//!
//! Every rule of the pipeline is written once, over [`Rewrite`]; with the alignment `()` the
//! bookkeeping compiles to nothing, with [`Spans`] each byte carries its span in the original text.

use std::ops::Range;

use memchr::memchr;
use memchr::memmem;

/// What a text remembers about the origin of its bytes.
pub(crate) trait Alignment: Default {
    /// Forget everything.
    fn clear(&mut self);
    /// Append the bytes `range` of the original text itself.
    fn append_original(&mut self, range: Range<usize>);
    /// Append a copy of `range` of `source`.
    fn append_copy(&mut self, source: &Self, range: Range<usize>);
    /// Append `length` bytes that stand for all of `range` of `source`.
    fn append_covering(&mut self, source: &Self, range: Range<usize>, length: usize);
}

impl Alignment for () {
    fn clear(&mut self) {}
    fn append_original(&mut self, _: Range<usize>) {}
    fn append_copy(&mut self, (): &Self, _: Range<usize>) {}
    fn append_covering(&mut self, (): &Self, _: Range<usize>, _: usize) {}
}

/// For every byte, the first byte and the end of what it stands for in the original text.
#[derive(Default)]
pub(crate) struct Spans(Vec<(u32, u32)>);

impl Spans {
    /// The smallest span of the original text that holds all bytes of `range`; empty for an empty
    /// range.
    pub(crate) fn cover(&self, range: Range<usize>) -> Range<usize> {
        let spans = self.0.get(range).unwrap_or_default();
        // Inserted bytes stand for nothing and do not widen the span, unless there is nothing else.
        let start = spans.iter().filter(|s| s.0 < s.1).map(|s| s.0).min();
        let end = spans.iter().filter(|s| s.0 < s.1).map(|s| s.1).max();
        match (start, end, spans.first()) {
            (Some(start), Some(end), _) => start as usize..end as usize,
            (_, _, Some(&(at, _))) => at as usize..at as usize,
            _ => 0..0,
        }
    }
}

impl Alignment for Spans {
    fn clear(&mut self) {
        self.0.clear();
    }

    fn append_original(&mut self, range: Range<usize>) {
        self.0.extend(range.map(|i| (i as u32, i as u32 + 1)));
    }

    fn append_copy(&mut self, source: &Self, range: Range<usize>) {
        self.0.extend_from_slice(&source.0[range]);
    }

    fn append_covering(&mut self, source: &Self, range: Range<usize>, length: usize) {
        let span = if range.is_empty() {
            let at = match range.start.checked_sub(1) {
                Some(before) => source.0.get(before).map_or(0, |s| s.1),
                None => source.0.first().map_or(0, |s| s.0),
            };
            (at, at)
        } else {
            let cover = source.cover(range);
            (cover.start as u32, cover.end as u32)
        };
        self.0.extend(std::iter::repeat_n(span, length));
    }
}

/// Valid UTF-8 and the origin of its bytes.
#[derive(Default)]
pub(crate) struct Text<A> {
    /// The text.
    pub(crate) bytes: Vec<u8>,
    /// Where its bytes come from.
    pub(crate) origin: A,
}

impl<A: Alignment> Text<A> {
    fn clear(&mut self) {
        self.bytes.clear();
        self.origin.clear();
    }
}

/// A text and the buffer in which its next state is written: no allocation once both have grown.
#[derive(Default)]
pub(crate) struct Buffers<A> {
    /// The present state.
    pub(crate) text: Text<A>,
    next: Text<A>,
}

impl<A: Alignment> Buffers<A> {
    /// Start from the given ranges of an original text, one after another.
    pub(crate) fn load(&mut self, original: &str, ranges: &[Range<usize>]) {
        self.text.clear();
        for range in ranges {
            let part = original.as_bytes().get(range.clone()).unwrap_or_default();
            self.text.bytes.extend_from_slice(part);
            self.text.origin.append_original(range.clone());
        }
    }

    /// Run one rule from left to right over the text.
    pub(crate) fn rewrite(&mut self, rule: impl FnOnce(&mut Rewrite<'_, A>)) {
        self.next.clear();
        let mut rewrite = Rewrite {
            from: &self.text,
            to: &mut self.next,
            copied: 0,
        };
        rule(&mut rewrite);
        if rewrite.finish() {
            std::mem::swap(&mut self.text, &mut self.next);
        }
    }

    /// Replace every occurrence of one byte, from left to right.
    pub(crate) fn replace_byte(&mut self, pattern: u8, replacement: &[u8]) {
        if memchr(pattern, &self.text.bytes).is_some() {
            self.rewrite(|r| {
                let mut at = 0;
                while let Some(found) = r.find_byte(pattern, at) {
                    r.replace(found..found + 1, replacement);
                    at = found + 1;
                }
            });
        }
    }

    /// Replace every occurrence of a string, from left to right, without overlap.
    pub(crate) fn replace_all(&mut self, pattern: &str, replacement: &str) {
        let finder = memmem::Finder::new(pattern);
        if finder.find(&self.text.bytes).is_some() {
            self.rewrite(|r| {
                let mut at = 0;
                while let Some(distance) = finder.find(&r.bytes()[at..]) {
                    let end = at + distance + pattern.len();
                    r.replace(at + distance..end, replacement.as_bytes());
                    at = end;
                }
            });
        }
    }

    /// Keep only `range` of the text.
    pub(crate) fn crop(&mut self, range: Range<usize>) {
        let end = self.text.bytes.len();
        if range != (0..end) {
            self.rewrite(|r| {
                r.replace(0..range.start, b"");
                r.replace(range.end..end, b"");
            });
        }
    }
}

/// A rule at work: the text is read anywhere, and written from left to right.
pub(crate) struct Rewrite<'a, A> {
    from: &'a Text<A>,
    to: &'a mut Text<A>,
    copied: usize,
}

impl<'a, A: Alignment> Rewrite<'a, A> {
    /// The text as it was before the rule.
    #[inline]
    pub(crate) fn bytes(&self) -> &'a [u8] {
        &self.from.bytes
    }

    /// The first place at or after `at` that holds `byte`.
    #[inline]
    pub(crate) fn find_byte(&self, byte: u8, at: usize) -> Option<usize> {
        memchr(byte, self.from.bytes.get(at..)?).map(|distance| at + distance)
    }

    /// Copy what stands before `end` and has not been copied yet.
    #[inline]
    pub(crate) fn keep_to(&mut self, end: usize) {
        if self.copied < end {
            self.to
                .bytes
                .extend_from_slice(&self.from.bytes[self.copied..end]);
            self.to
                .origin
                .append_copy(&self.from.origin, self.copied..end);
            self.copied = end;
        }
    }

    /// Write `replacement` in place of `range`, which must not start before what is already
    /// written.
    #[inline]
    pub(crate) fn replace(&mut self, range: Range<usize>, replacement: &[u8]) {
        self.keep_to(range.start);
        self.to.bytes.extend_from_slice(replacement);
        self.to
            .origin
            .append_covering(&self.from.origin, range.clone(), replacement.len());
        self.copied = range.end;
    }

    /// Write `inserted` before what stands at `at`.
    #[inline]
    pub(crate) fn insert(&mut self, at: usize, inserted: &[u8]) {
        self.replace(at..at, inserted);
    }

    /// Write a copy of `range`, wherever it stands, and go on reading at `resume`.
    #[inline]
    pub(crate) fn transpose(&mut self, range: Range<usize>, resume: usize) {
        self.to
            .bytes
            .extend_from_slice(&self.from.bytes[range.clone()]);
        self.to.origin.append_copy(&self.from.origin, range);
        self.copied = resume;
    }

    /// How many bytes are written.
    pub(crate) fn written(&self) -> usize {
        self.to.bytes.len()
    }

    /// Copy the rest; whether the rule wrote anything at all.
    fn finish(mut self) -> bool {
        if self.copied == 0 && self.to.bytes.is_empty() {
            return false;
        }
        self.keep_to(self.from.bytes.len());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rewritten_text_remembers_where_its_bytes_come_from() {
        let mut buffers = Buffers::<Spans>::default();
        buffers.load("xxa…bxx", std::slice::from_ref(&(2..7)));
        buffers.replace_all("…", "...");
        buffers.replace_byte(b'b', b" b ");
        assert_eq!(buffers.text.bytes, b"a... b ");
        assert_eq!(buffers.text.origin.cover(0..1), 2..3);
        assert_eq!(buffers.text.origin.cover(1..2), 3..6);
        assert_eq!(buffers.text.origin.cover(0..7), 2..7);
    }

    #[test]
    fn deleting_everything_leaves_nothing() {
        let mut buffers = Buffers::<()>::default();
        buffers.load("aaa", std::slice::from_ref(&(0..3)));
        buffers.replace_byte(b'a', b"");
        assert!(buffers.text.bytes.is_empty());
    }
}
