//! Plain series to PNG and SVG.
