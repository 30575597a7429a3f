//! `study report`: one HTML page.
