//! A name or a folder to local files: local folder, cache, hub.
