//! CamemBERT's and FlauBERT's tokenizers, truncation and padding.
