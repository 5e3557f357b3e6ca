//! People are told.
