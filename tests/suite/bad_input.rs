//! Input that cannot be used: each case ends with a status, a message that names the place, and no
//! output.

mod prepare;
mod replay;
