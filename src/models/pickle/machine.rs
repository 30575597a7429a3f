//! The pickle machine, cut down to what builds a dictionary of tensors. It calls nothing and
//! imports nothing: an instruction or a name outside its short lists is refused.
//!
//! The instructions are those of Python's `pickletools`; torch writes protocol 2.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::Read;
use std::path::Path;

use super::value::{Name, Value, Values};
use crate::error::{Error, Result};

/// Longest pickle that is read. Those of real checkpoints stay below 1 MB; each byte may cost some
/// tens in memory.
const MAX_BYTES: u64 = 1 << 23;
const ONLY_TENSORS: &str =
    "only what builds tensors (a model.safetensors is safe to load from anybody)";
const REMEDY: &str = "a pickle as torch.save writes it: copy or download the file again";

/// Runs one pickle.
pub(super) struct Machine<'a, R> {
    path: &'a Path,
    /// The name of the pickle within the file, for messages.
    part: &'a str,
    reader: R,
    /// Bytes read so far, and where the present instruction stands.
    position: u64,
    start: u64,
    stack: Vec<Value>,
    memo: HashMap<u32, Value>,
    values: Values,
}

impl<'a, R: Read> Machine<'a, R> {
    /// Run the pickle that starts at `reader`'s place up to its end: its value, and all that the
    /// value points to.
    ///
    /// # Errors
    /// [`Error::Malformed`] naming the byte, for an instruction or a name that is not allowed, or a
    /// damaged pickle.
    pub(super) fn run(path: &'a Path, part: &'a str, reader: R) -> Result<(Value, Values)> {
        let mut machine = Self {
            path,
            part,
            reader,
            position: 0,
            start: 0,
            stack: Vec::new(),
            memo: HashMap::new(),
            values: Values::default(),
        };
        loop {
            machine.start = machine.position;
            let [instruction] = machine.take()?;
            if instruction == b'.' {
                let value = machine.pop()?;
                return Ok((value, machine.values));
            }
            machine.step(instruction)?;
        }
    }

    fn bad(&self, found: impl Display, expected: &str) -> Error {
        let place = format!("byte {} of {}", self.start, self.part);
        Error::malformed(self.path, place, found, expected)
    }

    fn bytes(&mut self, n: u64) -> Result<Vec<u8>> {
        if self.position + n > MAX_BYTES {
            return Err(self.bad(format!("a pickle of more than {MAX_BYTES} bytes"), REMEDY));
        }
        let mut bytes = Vec::new();
        let read = self.reader.by_ref().take(n).read_to_end(&mut bytes);
        read.map_err(|e| self.bad(e, REMEDY))?;
        if bytes.len() as u64 != n {
            return Err(self.bad("the end of the pickle", REMEDY));
        }
        self.position += n;
        Ok(bytes)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        if self.position + N as u64 > MAX_BYTES {
            return Err(self.bad(format!("a pickle of more than {MAX_BYTES} bytes"), REMEDY));
        }
        let read = self.reader.read_exact(&mut bytes);
        read.map_err(|e| self.bad(format!("the end of the pickle ({e})"), REMEDY))?;
        self.position += N as u64;
        Ok(bytes)
    }

    /// A line of a name, without its end.
    fn line(&mut self) -> Result<String> {
        const LONGEST: usize = 200;
        let mut line = Vec::new();
        loop {
            match self.take()? {
                [b'\n'] => return Ok(String::from_utf8_lossy(&line).into_owned()),
                [byte] if line.len() < LONGEST => line.push(byte),
                _ => return Err(self.bad("a name without an end", REMEDY)),
            }
        }
    }

    fn pop(&mut self) -> Result<Value> {
        match self.stack.pop() {
            None | Some(Value::Mark) => Err(self.bad("no value to take", REMEDY)),
            Some(value) => Ok(value),
        }
    }

    /// The values above the last mark, which goes.
    fn pop_to_mark(&mut self) -> Result<Vec<Value>> {
        let mark = self.stack.iter().rposition(|v| *v == Value::Mark);
        let mark = mark.ok_or_else(|| self.bad("no mark", REMEDY))?;
        let values = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(values)
    }

    fn remember(&mut self, key: u32) -> Result<()> {
        let value = self.pop()?;
        self.memo.insert(key, value);
        self.stack.push(value);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<()> {
        let value = self.memo.get(&key).copied();
        let value = value.ok_or_else(|| self.bad(format!("no value {key} in memory"), REMEDY))?;
        self.stack.push(value);
        Ok(())
    }

    fn step(&mut self, instruction: u8) -> Result<()> {
        match instruction {
            0x80 => match self.take()? {
                [2] => {}
                [version] => {
                    return Err(self.bad(
                        format!("protocol {version}"),
                        "protocol 2, as torch.save has it",
                    ));
                }
            },
            b'q' => {
                let [key] = self.take()?;
                self.remember(key.into())?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.take()?);
                self.remember(key)?;
            }
            b'h' => {
                let [key] = self.take()?;
                self.recall(key.into())?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.take()?);
                self.recall(key)?;
            }
            b'c' => self.name()?,
            b'Q' => self.storage()?,
            b'R' => self.reduce()?,
            b'b' => {
                // The attributes of a dictionary, such as `_metadata` of a state dict, are of no
                // use here.
                self.pop()?;
                let object = self.stack.last().copied();
                if !matches!(object, Some(Value::Dict(_))) {
                    return Err(self.bad(
                        "attributes of something other than a dictionary",
                        ONLY_TENSORS,
                    ));
                }
            }
            b'a' | b'e' | b's' | b'u' => self.fill(instruction)?,
            _ => {
                let value = self.plain(instruction)?;
                self.stack.push(value);
            }
        }
        Ok(())
    }

    /// An instruction that makes a value.
    fn plain(&mut self, instruction: u8) -> Result<Value> {
        Ok(match instruction {
            b'(' => Value::Mark,
            b'N' => Value::None,
            0x88 | 0x89 => Value::Bool,
            b'G' => {
                self.take::<8>()?;
                Value::Float
            }
            b'J' => Value::Int(i32::from_le_bytes(self.take()?).into()),
            b'K' => Value::Int(u8::from_le_bytes(self.take()?).into()),
            b'M' => Value::Int(u16::from_le_bytes(self.take()?).into()),
            0x8A => Value::Int(self.long()?),
            b'X' => {
                let length = u32::from_le_bytes(self.take()?);
                let text = String::from_utf8(self.bytes(length.into())?);
                let text = text.map_err(|e| self.bad(e, "a string in UTF-8"))?;
                self.values.texts.push(text);
                Value::Text(self.values.texts.len() - 1)
            }
            b')' => self.tuple(Vec::new()),
            0x85..=0x87 => {
                let length = usize::from(instruction - 0x84);
                let start = self.stack.len().checked_sub(length);
                let start = start.filter(|&start| !self.stack[start..].contains(&Value::Mark));
                let start = start.ok_or_else(|| self.bad("no value to take", REMEDY))?;
                let members = self.stack.split_off(start);
                self.tuple(members)
            }
            b't' => {
                let members = self.pop_to_mark()?;
                self.tuple(members)
            }
            b']' => {
                self.values.lists.push(Vec::new());
                Value::List(self.values.lists.len() - 1)
            }
            b'}' => self.dict(),
            other => {
                let name = match other {
                    b'i' => " (INST)",
                    b'o' => " (OBJ)",
                    0x81 => " (NEWOBJ)",
                    0x92 => " (NEWOBJ_EX)",
                    0x82..=0x84 => " (EXT)",
                    0x93 => " (STACK_GLOBAL)",
                    b'P' => " (PERSID)",
                    _ => "",
                };
                return Err(self.bad(format!("the instruction 0x{other:02x}{name}"), ONLY_TENSORS));
            }
        })
    }

    fn tuple(&mut self, members: Vec<Value>) -> Value {
        self.values.tuples.push(members);
        Value::Tuple(self.values.tuples.len() - 1)
    }

    fn dict(&mut self) -> Value {
        self.values.dicts.push(Vec::new());
        Value::Dict(self.values.dicts.len() - 1)
    }

    /// A whole number of up to 16 bytes.
    fn long(&mut self) -> Result<i128> {
        let [length @ 0..=16] = self.take()? else {
            return Err(self.bad("a number of more than 16 bytes", ONLY_TENSORS));
        };
        let bytes = self.bytes(length.into())?;
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut all = [if negative { 0xFF } else { 0 }; 16];
        all[..bytes.len()].copy_from_slice(&bytes);
        Ok(i128::from_le_bytes(all))
    }

    fn name(&mut self) -> Result<()> {
        let (module, name) = (self.line()?, self.line()?);
        let known = Name::of(&module, &name);
        let known =
            known.ok_or_else(|| self.bad(format!("the name {module}.{name}"), ONLY_TENSORS))?;
        self.stack.push(Value::Name(known));
        Ok(())
    }

    fn storage(&mut self) -> Result<()> {
        let id = self.pop()?;
        let storage = self.values.storage(id);
        let storage = storage.ok_or_else(|| self.bad("a reference to no storage", ONLY_TENSORS))?;
        self.values.storages.push(storage);
        self.stack
            .push(Value::Storage(self.values.storages.len() - 1));
        Ok(())
    }

    /// A call, of one of three functions.
    fn reduce(&mut self) -> Result<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let made = match function {
            Value::Name(Name::OrderedDict) => match self.values.tuple(arguments) {
                Some([]) => Some(self.dict()),
                _ => None,
            },
            Value::Name(Name::RebuildTensor) => self.values.view(arguments).map(|view| {
                self.values.tensors.push(view);
                Value::Tensor(self.values.tensors.len() - 1)
            }),
            Value::Name(Name::RebuildParameter) => match self.values.tuple(arguments) {
                Some([tensor @ Value::Tensor(_), ..]) => Some(*tensor),
                _ => None,
            },
            _ => None,
        };
        let made = made.ok_or_else(|| self.bad(format!("a call of {function:?}"), ONLY_TENSORS))?;
        self.stack.push(made);
        Ok(())
    }

    /// Values for the list or the dictionary below them.
    fn fill(&mut self, instruction: u8) -> Result<()> {
        let values = match instruction {
            b'a' => vec![self.pop()?],
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.pop_to_mark()?,
        };
        let into_list = matches!(instruction, b'a' | b'e');
        let (pairs, rest) = values.as_chunks();
        match self.stack.last() {
            Some(&Value::List(at)) if into_list => {
                self.values
                    .lists
                    .get_mut(at)
                    .into_iter()
                    .for_each(|l| l.extend(&values));
            }
            Some(&Value::Dict(at)) if !into_list && rest.is_empty() => {
                let pairs = pairs.iter().map(|&[key, value]| (key, value));
                self.values
                    .dicts
                    .get_mut(at)
                    .into_iter()
                    .for_each(|d| d.extend(pairs.clone()));
            }
            _ => return Err(self.bad("values for nothing that takes them", REMEDY)),
        }
        Ok(())
    }
}
