//! The `DatasetDict` folder of Hugging Face datasets: features, Arrow, Parquet, read and written as a stream.
