//! What a pickle may build: plain values, dictionaries, and tensors that point into storages.
//!
//! Values lie in flat lists and refer to each other by number, so that neither depth nor circles
//! can hurt whoever drops or walks them.

use super::super::numbers::Number;

/// Most axes of a tensor, and most bytes in the name of a storage. A few bytes of a pickle repeat a
/// long shape or name as often as they like, and each tensor and each storage keeps its own.
const MOST_AXES: usize = 8;
const LONGEST_KEY: usize = 100;

/// A value, cheap to copy; the numbers point into [`Values`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    Mark,
    None,
    Bool,
    Float,
    Int(i128),
    Text(usize),
    Tuple(usize),
    List(usize),
    Dict(usize),
    Name(Name),
    Storage(usize),
    Tensor(usize),
}

impl Value {
    /// Words for messages.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Mark => "a mark",
            Self::None => "None",
            Self::Bool => "a boolean",
            Self::Float => "a float",
            Self::Int(_) => "a whole number",
            Self::Text(_) => "a string",
            Self::Tuple(_) => "a tuple",
            Self::List(_) => "a list",
            Self::Dict(_) => "a dictionary",
            Self::Name(_) => "a name",
            Self::Storage(_) => "a storage",
            Self::Tensor(_) => "a tensor",
        }
    }
}

/// The only names that are known: what `torch.save` writes for a dictionary of tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Number),
}

impl Name {
    /// The name `module.name`.
    pub(super) fn of(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "DoubleStorage") => Self::Storage(Number::F64),
            ("torch", "FloatStorage") => Self::Storage(Number::F32),
            ("torch", "HalfStorage") => Self::Storage(Number::F16),
            ("torch", "BFloat16Storage") => Self::Storage(Number::BF16),
            ("torch", "LongStorage") => Self::Storage(Number::I64),
            ("torch", "IntStorage") => Self::Storage(Number::I32),
            ("torch", "ShortStorage") => Self::Storage(Number::I16),
            ("torch", "CharStorage") => Self::Storage(Number::I8),
            // A boolean is a byte, 0 or 1.
            ("torch", "ByteStorage" | "BoolStorage") => Self::Storage(Number::U8),
            _ => return None,
        })
    }
}

/// Numbers that lie in the file, apart from the pickle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Storage {
    pub(super) number: Number,
    /// What the file calls it.
    pub(super) key: String,
    /// How many numbers.
    pub(super) elements: usize,
}

/// A view into a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    /// The number of the storage in [`Values::storages`].
    pub(super) storage: usize,
    /// The number in it at which the tensor starts.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    /// How far apart neighbours along each axis lie, in numbers.
    pub(super) strides: Vec<usize>,
}

impl View {
    /// How many numbers the tensor has, when all of them lie within a storage of `length`.
    pub(super) fn elements_within(&self, length: usize) -> Option<usize> {
        let count = self
            .shape
            .iter()
            .try_fold(1usize, |n, &axis| n.checked_mul(axis))?;
        let mut end = self.offset.checked_add(usize::from(count > 0))?;
        for (axis, stride) in self.shape.iter().zip(&self.strides) {
            if count > 0 {
                end = end.checked_add((axis - 1).checked_mul(*stride)?)?;
            }
        }
        (end <= length).then_some(count)
    }

    /// Whether its numbers lie one after another in C order.
    pub(super) fn is_contiguous(&self) -> bool {
        let mut next = 1usize;
        self.shape
            .iter()
            .zip(&self.strides)
            .rev()
            .all(|(&axis, &stride)| {
                let fits = axis == 1 || stride == next;
                next = next.saturating_mul(axis);
                fits
            })
    }

    /// Its `count` numbers in C order; all of them lie within `storage`.
    pub(super) fn gather(&self, count: usize, storage: &[f32]) -> Vec<f32> {
        let mut at = vec![0; self.shape.len()];
        let mut next = || {
            let steps = at.iter().zip(&self.strides).map(|(i, stride)| i * stride);
            let place = self.offset + steps.sum::<usize>();
            for (i, &axis) in at.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < axis {
                    break;
                }
                *i = 0;
            }
            let number = storage.get(place);
            *number.expect("elements_within has told that all lie within the storage")
        };
        (0..count).map(|_| next()).collect()
    }
}

/// Everything that one pickle has built.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub(super) texts: Vec<String>,
    pub(super) tuples: Vec<Vec<Value>>,
    pub(super) lists: Vec<Vec<Value>>,
    pub(super) dicts: Vec<Vec<(Value, Value)>>,
    pub(super) storages: Vec<Storage>,
    pub(super) tensors: Vec<View>,
}

impl Values {
    /// The text behind a value.
    pub(super) fn text(&self, value: Value) -> Option<&str> {
        match value {
            Value::Text(at) => self.texts.get(at).map(String::as_str),
            _ => None,
        }
    }

    /// The members of a tuple.
    pub(super) fn tuple(&self, value: Value) -> Option<&[Value]> {
        match value {
            Value::Tuple(at) => self.tuples.get(at).map(Vec::as_slice),
            _ => None,
        }
    }

    /// A tuple of sizes, one for each axis.
    pub(super) fn sizes(&self, value: Value) -> Option<Vec<usize>> {
        let sizes = self.tuple(value)?;
        if sizes.len() > MOST_AXES {
            return None;
        }
        sizes.iter().map(|&size| count(size)).collect()
    }

    /// The storage that `torch.save` names by `("storage", its type, key, device, elements)`.
    pub(super) fn storage(&self, id: Value) -> Option<Storage> {
        // The older layout adds a member that tells of views, of which nothing but None is written
        // any more.
        let (Value::Name(Name::Storage(number)), kind, key, elements) = (match *self.tuple(id)? {
            [kind, name, key, _, elements] | [kind, name, key, _, elements, Value::None] => {
                (name, kind, key, elements)
            }
            _ => return None,
        }) else {
            return None;
        };
        let key = self.text(key)?;
        (self.text(kind)? == "storage" && key.len() <= LONGEST_KEY).then_some(Storage {
            number,
            key: key.to_owned(),
            elements: count(elements)?,
        })
    }

    /// The tensor of `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)`.
    pub(super) fn view(&self, arguments: Value) -> Option<View> {
        let [Value::Storage(storage), offset, shape, strides, _, _, ..] = *self.tuple(arguments)?
        else {
            return None;
        };
        let view = View {
            storage,
            offset: count(offset)?,
            shape: self.sizes(shape)?,
            strides: self.sizes(strides)?,
        };
        (view.shape.len() == view.strides.len()).then_some(view)
    }
}

/// A whole number that counts something.
pub(super) fn count(value: Value) -> Option<usize> {
    match value {
        Value::Int(n) => usize::try_from(n).ok(),
        _ => None,
    }
}
