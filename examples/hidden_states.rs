//! The hidden states of two sentences, layer by layer: tokens, their places in the text, and the
//! length of each token's vector in the last layer.
//!
//! `cargo run --release --example hidden_states [CHECKPOINT]`, where CHECKPOINT is a folder or a
//! name at the hub, `camembert-base` for example.
#![allow(clippy::print_stdout)]

use flue_study::{EncodedText, Result, TextEncoder};

fn main() -> Result<()> {
    let checkpoint = std::env::args().nth(1);
    let encoder =
        TextEncoder::from_pretrained(checkpoint.as_deref().unwrap_or("models/tiny-camembert"))?;
    let texts = ["Un très bon livre, je le relirai.", "Quel ennui !"];
    for (text, encoded) in texts.iter().zip(encoder.encode(&texts)?) {
        print(text, &encoded);
    }
    Ok(())
}

fn print(text: &str, encoded: &EncodedText) {
    let last = encoded.num_layers();
    let states = encoded.hidden_states(last);
    println!(
        "{text}  ({} tokens, layers 0 to {last}, states of {} numbers)",
        encoded.tokens.len(),
        states.ncols()
    );
    for ((token, place), state) in encoded
        .tokens
        .iter()
        .zip(&encoded.offsets)
        .zip(states.rows())
    {
        println!(
            "{token:>14} {:>9} {:8.3}",
            format!("{:?}", place.characters),
            state.dot(&state).sqrt()
        );
    }
}
